//! Many reports, summed up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dmarc::reports::failure::FailureReport;
use dmarc::reports::read::{Limits, ReadError};
use dmarc::reports::{ActionDisposition, DateRange, DmarcAlignment, Report, Row};

/// Failure reports that are listed one by one; further ones are only counted.
const MAX_FAILURES: usize = 200;
/// Files that could not be read, and defects, that are listed.
const MAX_NOTES: usize = 200;

/// Messages, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub messages: u64,
    /// DMARC passed by both mechanisms.
    pub both: u64,
    /// It passed by DKIM alone.
    pub dkim_only: u64,
    /// It passed by SPF alone.
    pub spf_only: u64,
    /// It failed, and the message was let in.
    pub accepted: u64,
    /// It failed, and the message was marked.
    pub quarantined: u64,
    /// It failed, and the message was refused.
    pub rejected: u64,
}

impl Counts {
    /// Those for which DMARC passed.
    #[must_use]
    pub fn passed(&self) -> u64 {
        [self.both, self.dkim_only, self.spf_only]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Passed, of a hundred.
    #[must_use]
    pub fn pass_rate(&self) -> f64 {
        match self.messages {
            0 => 0.0,
            messages => 100.0 * self.passed() as f64 / messages as f64,
        }
    }

    fn add(&mut self, row: &Row) {
        let evaluated = &row.policy_evaluated;
        let part = match (evaluated.dkim, evaluated.spf) {
            (DmarcAlignment::Pass, DmarcAlignment::Pass) => &mut self.both,
            (DmarcAlignment::Pass, DmarcAlignment::Fail) => &mut self.dkim_only,
            (DmarcAlignment::Fail, DmarcAlignment::Pass) => &mut self.spf_only,
            (DmarcAlignment::Fail, DmarcAlignment::Fail) => match evaluated.disposition {
                ActionDisposition::None | ActionDisposition::Pass => &mut self.accepted,
                ActionDisposition::Quarantine => &mut self.quarantined,
                ActionDisposition::Reject => &mut self.rejected,
            },
        };
        *part = part.saturating_add(row.count);
        self.messages = self.messages.saturating_add(row.count);
    }
}

/// A failure report, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureLine {
    /// When the message came, in seconds since 1970.
    pub arrival: Option<i64>,
    /// The client.
    pub source: Option<IpAddr>,
    /// The first domain it is about.
    pub domain: String,
    /// The mechanisms that failed.
    pub failed: String,
}

/// What all reports say together.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Aggregate reports.
    pub reports: u64,
    /// Reports that were there before, by reporter and Report-ID, and were not counted again.
    pub duplicates: u64,
    /// From the begin of the first period to the end of the last.
    pub period: Option<DateRange>,
    /// Everything.
    pub total: Counts,
    /// By the client's address.
    pub sources: BTreeMap<IpAddr, Counts>,
    /// By Author Domain.
    pub domains: BTreeMap<String, Counts>,
    /// By reporter.
    pub reporters: BTreeMap<String, Counts>,
    /// By the day in the middle of a report's period, counted from 1970.
    pub days: BTreeMap<u64, Counts>,
    /// Failure reports.
    pub failures: Vec<FailureLine>,
    /// Failure reports in all.
    pub failure_reports: u64,
    /// What is wrong with reports, by reporter.
    pub defects: BTreeMap<(String, String), u64>,
    /// Files that hold no report, and why.
    pub unreadable: Vec<(String, String)>,
    /// How many those are.
    pub unreadable_files: u64,
    seen: BTreeSet<(String, String, String)>,
}

impl Summary {
    /// Adds what is in a file: an aggregate report in any wrapping, or a mail with either kind of report.
    pub fn add(&mut self, name: &str, octets: &[u8]) {
        match Report::read(octets, &Limits::default()) {
            Ok((report, defects)) => {
                let reporter = reporter(&report);
                for finding in defects.iter() {
                    let what = format!("{}: {}", finding.element, finding.defect);
                    let key = (reporter.clone(), what);
                    if self.defects.len() < MAX_NOTES || self.defects.contains_key(&key) {
                        *self.defects.entry(key).or_default() += finding.count;
                    }
                }
                self.aggregate(&report, reporter);
            }
            Err(ReadError::NoAttachment | ReadError::FailureReport) => {
                match FailureReport::read(octets) {
                    Ok((report, _)) => self.failure(&report),
                    Err(error) => self.unreadable(name, error.to_string()),
                }
            }
            Err(error) => self.unreadable(name, error.to_string()),
        }
    }

    /// Notes a file that is no report.
    pub fn unreadable(&mut self, name: &str, why: String) {
        self.unreadable_files += 1;
        if self.unreadable.len() < MAX_NOTES {
            self.unreadable.push((name.to_owned(), why));
        }
    }

    fn aggregate(&mut self, report: &Report, reporter: String) {
        let metadata = &report.metadata;
        let key = (
            reporter.clone(),
            metadata.report_id.clone(),
            report.policy_published.domain.clone(),
        );
        // A report without an identifier cannot be known again.
        if !metadata.report_id.is_empty() && !self.seen.insert(key) {
            self.duplicates += 1;
            return;
        }
        self.reports += 1;
        let DateRange { begin, end } = metadata.date_range;
        let period = self.period.get_or_insert(metadata.date_range);
        period.begin = period.begin.min(begin);
        period.end = period.end.max(end);
        let day = (begin / 2 + end.max(begin) / 2) / 86_400;
        for row in &report.rows {
            self.total.add(row);
            self.sources.entry(row.source_ip).or_default().add(row);
            let domain = row.identifiers.header_from.to_ascii_lowercase();
            self.domains.entry(domain).or_default().add(row);
            self.reporters.entry(reporter.clone()).or_default().add(row);
            self.days.entry(day).or_default().add(row);
        }
    }

    fn failure(&mut self, report: &FailureReport) {
        self.failure_reports += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(FailureLine {
                arrival: report.arrival_date,
                source: report.source_ip,
                domain: report.reported_domains.first().cloned().unwrap_or_default(),
                failed: report
                    .identity_alignment
                    .map_or_else(|| "not said".into(), |failed| failed.to_string()),
            });
        }
    }
}

fn reporter(report: &Report) -> String {
    let metadata = &report.metadata;
    match metadata.org_name.as_str() {
        "" => metadata.email.clone(),
        name => name.to_owned(),
    }
}

/// The largest first; of equal ones in the order of their keys.
pub(super) fn largest<K: Clone + Ord>(counts: &BTreeMap<K, Counts>) -> Vec<(K, Counts)> {
    let mut sorted: Vec<(K, Counts)> = counts
        .iter()
        .map(|(key, counts)| (key.clone(), *counts))
        .collect();
    sorted.sort_by_key(|(_, counts)| core::cmp::Reverse(counts.messages));
    sorted
}

/// The date of a day counted from 1970.
pub(super) fn date_of_day(day: u64) -> String {
    let seconds = i64::try_from(day)
        .unwrap_or(i64::MAX)
        .saturating_mul(86_400);
    date(seconds)
}

/// The date of a second, in UTC.
pub(super) fn date(seconds: i64) -> String {
    use mail_syntax::date::{DateTime, Zone};
    match DateTime::from_unix(seconds, Zone::Offset(0)) {
        Ok(date) => {
            let (year, month, day) = date.local_date();
            format!("{year:04}-{month:02}-{day:02}")
        }
        Err(_) => "no date".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_well() {
        assert_eq!(date(1_700_000_000), "2023-11-14");
        assert_eq!(date_of_day(u64::MAX), "no date");
    }
}
