//! Aggregate reports (RFC 9990): each message is counted when it was judged, and the next day the domain that asks for it gets a mail.

pub mod sending;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dmarc::Record;
use dmarc::record::ReportingUri;
use dmarc::report_destination::{Destination, ReportDestination};
use dmarc::reports::sending_policy::{Refusal, Traffic};
use dmarc::reports::{Aggregate, DateRange, Envelope, PolicyPublished, Report, Reporter, Row};
use mail_syntax::header::Header;
use mail_syntax::mime::ContentType;
use mail_syntax::{Domain, Mailbox};
use tokio::time::Instant;

use crate::server::{Context, now};
use crate::store::{ReportRow, StoreError};

/// Seconds of a day; reports are about days of UTC.
const DAY: u64 = 86_400;
/// Rows of one day's report to one domain; who forges a domain from many addresses makes no larger mail.
const MOST_ROWS: u32 = 10_000;
/// Reports about one day of one domain: one for each record that it had. Who has a new record for every question gets no more.
const MOST_RECORDS: usize = 8;
/// Days for which a report is tried when the DNS does not say whether it is wanted.
const KEPT: u64 = 3;

/// Whether a message is a report itself, aggregate or about a failure: two servers that report about each other's reports never end.
#[must_use]
pub fn is_report(header: &Header<'_>) -> bool {
    let subject = header.named("Subject").next().map(|field| field.value());
    let content_type = header.named("Content-Type").next();
    // RFC 9990 §3.5.2: "The RFC5322.Subject field for individual report submissions MUST conform to the following ABNF".
    let mut words = (subject.iter())
        .flat_map(|subject| subject.split(u8::is_ascii_whitespace))
        .filter(|word| !word.is_empty());
    let begins = [&b"Report"[..], b"Domain:"];
    begins.iter().all(|word| {
        words
            .next()
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
    }) || content_type
        .and_then(|field| ContentType::parse(field.body()))
        .is_some_and(|media| media.is("multipart", "report"))
}

/// Counts a message for the report to the domain whose record judged it, if it wants reports.
///
/// Only messages that were judged are counted: who was turned away as a spammer before he sent one is told nothing.
pub async fn count(
    context: &Context,
    record_domain: &Domain,
    record: &Record,
    row: &Row,
    is_report: bool,
) {
    if !context.config.reports.aggregate || record.rua.is_empty() {
        return;
    }
    let (domain, record) = (record_domain.to_string(), record.to_string());
    let counted = match serde_json::to_string(row) {
        Ok(row) => {
            context
                .store(move |store| {
                    let day = now() / DAY;
                    store.count_report_row(day, &domain, &record, &row, is_report, MOST_ROWS)
                })
                .await
        }
        // A row is made of texts and numbers, which JSON can always hold.
        Err(_) => Ok(()),
    };
    // A report is worth less than the message: that goes its way.
    if let Err(error) = counted {
        tracing::error!(%error, "a message could not be counted for its report");
    }
}

/// Sends the reports of days that are over, until the server stops.
pub async fn run(context: Arc<Context>) {
    let mut stopping = context.stopping.clone();
    loop {
        let today = now() / DAY;
        match context
            .store(move |store| store.reports_before(today))
            .await
        {
            Ok(due) => {
                for (day, domain) in due {
                    if let Err(error) = settle(&context, day, &domain).await {
                        tracing::error!(%error, domain, day, "a report could not be sent");
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the reports cannot be read"),
        }
        tokio::select! {
            _ = stopping.wait_for(|stopping| *stopping) => break,
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
        }
    }
}

/// Sends the reports of one day to one domain, and forgets them.
///
/// They are forgotten after they were queued: who crashes in between sends them again after an hour, under the same Report-ID. What an
/// address does not get because it has had enough, or because it bounces ([`sending`]), it does not get later either.
///
/// # Errors
///
/// A failure of the store.
pub async fn settle(context: &Context, day: u64, domain: &str) -> Result<(), StoreError> {
    let about = domain.to_owned();
    let rows = context
        .store(move |store| store.report_rows(day, &about))
        .await?;
    let traffic = traffic(&rows);
    // RFC 9990 §3.5: "The Mail Receiver, after preparing a report, MUST evaluate the provided reporting URIs (see [RFC9989]) in the order
    // given."
    let mut by_address: Vec<(String, Vec<Report>)> = Vec::new();
    for (record, report) in reports(context, day, domain, rows) {
        let (mut addresses, mut later) = (Vec::new(), false);
        for uri in &record.rua {
            match destinations(context, domain, uri).await {
                Some(confirmed) => addresses.extend(confirmed),
                None => later = true,
            }
        }
        // Nobody gets it before it is known who does, so nobody gets it twice.
        if later && now() / DAY <= day + KEPT {
            return Ok(());
        }
        let mut told = BTreeSet::new();
        addresses.retain(|address: &String| told.insert(address.clone()));
        for address in addresses {
            match by_address.iter_mut().find(|(known, _)| *known == address) {
                Some((_, reports)) => reports.push(report.clone()),
                None => by_address.push((address, vec![report.clone()])),
            }
        }
    }
    let mut too_soon = false;
    for (address, reports) in by_address {
        let sent = send(context, domain, traffic, &address, &reports).await?;
        // After a crash, or when a server was off for days: those of each day have their hour.
        too_soon |= matches!(sent, Err(Refusal::Interval { .. }));
    }
    if too_soon && now() / DAY <= day + KEPT {
        return Ok(());
    }
    let about = domain.to_owned();
    context
        .store(move |store| store.forget_report(day, &about))
        .await
}

/// What the reports of a day tell of.
fn traffic(rows: &[ReportRow]) -> Traffic {
    Traffic {
        messages: rows.iter().map(|row| row.count).sum(),
        // Those are not counted in the first place.
        refused_as_spam: 0,
        reports: rows.iter().map(|row| row.reports).sum(),
    }
}

/// A report for each record that the domain had on that day.
fn reports(
    context: &Context,
    day: u64,
    domain: &str,
    rows: Vec<ReportRow>,
) -> Vec<(Record, Report)> {
    let (Ok(about), Some(reporter)) = (domain.parse::<Domain>(), reporter(context)) else {
        return Vec::new();
    };
    let mut records: Vec<(Record, Aggregate)> = Vec::new();
    let mut left_out = 0;
    for counted in rows {
        // Both were written by `count`.
        let (Ok(record), Ok(row)) = (
            counted.record.parse::<Record>(),
            serde_json::from_str::<Row>(&counted.row),
        ) else {
            continue;
        };
        let row = Row {
            count: counted.count,
            ..row
        };
        let policy = PolicyPublished::of_record(&about, &record);
        let at = records.iter().position(|(known, _)| *known == record);
        let aggregate = match at {
            Some(at) => records.get_mut(at),
            None if records.len() >= MOST_RECORDS => None,
            None => {
                records.push((record, Aggregate::default()));
                records.last_mut()
            }
        };
        match aggregate {
            // The store kept no more rows than a report may have.
            Some((_, aggregate)) => drop(aggregate.add(&policy, row)),
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        tracing::warn!(
            domain,
            day,
            left_out,
            "rows of further records are not reported"
        );
    }
    let period = DateRange::day_of(day * DAY);
    let made = |(record, mut aggregate): (Record, Aggregate)| {
        let reports = aggregate.take_reports(period, &reporter);
        reports
            .into_iter()
            .map(move |report| (record.clone(), report))
    };
    records.into_iter().flat_map(made).collect()
}

fn reporter(context: &Context) -> Option<Reporter> {
    let config = &context.config;
    Some(Reporter {
        domain: config.hostname.parse().ok()?,
        org_name: config
            .reports
            .organization
            .clone()
            .unwrap_or_else(|| config.hostname.clone()),
        email: from(context),
        extra_contact_info: None,
        generator: Some(concat!("yubin ", env!("CARGO_PKG_VERSION")).to_owned()),
    })
}

fn from(context: &Context) -> String {
    let config = &context.config;
    config.reports.from.clone().unwrap_or_else(|| {
        let domain = config.domains.first().unwrap_or(&config.hostname);
        format!("postmaster@{domain}")
    })
}

/// The addresses to which reports for this URI may be sent; `None` if that cannot be told for now.
async fn destinations(context: &Context, domain: &str, uri: &ReportingUri) -> Option<Vec<String>> {
    let about: Domain = domain.parse().ok()?;
    let verify = ReportDestination::new(&about, uri);
    let deadline = Instant::now() + mail_dns::Limits::default().time;
    match context.resolver.evaluate(verify, deadline).await {
        Destination::Confirmed(uris) => {
            let addresses = uris.iter().filter_map(ReportingUri::mailto);
            let valid = addresses.filter(|address| Mailbox::parse_utf8(address).is_ok());
            Some(valid.map(ToOwned::to_owned).collect())
        }
        Destination::Refused(refusal) => {
            tracing::info!(domain, %uri, %refusal, "no report");
            Some(Vec::new())
        }
        Destination::Unknown(question, failure) => {
            tracing::info!(domain, %uri, %question, %failure, "no report for now");
            None
        }
    }
}

/// Puts the reports of a day into the queue, or into a mailbox here, if so much may go to this address.
async fn send(
    context: &Context,
    domain: &str,
    traffic: Traffic,
    address: &str,
    reports: &[Report],
) -> Result<Result<(), Refusal>, StoreError> {
    let mails: Vec<_> = (reports.iter())
        .filter_map(|report| mail(context, report, address))
        .collect();
    let Some(largest) = mails.iter().map(|(_, mail)| mail.len()).max() else {
        return Ok(Ok(()));
    };
    let octets = u64::try_from(largest).unwrap_or(u64::MAX);
    if let Err(refusal) = sending::request(context, now(), domain, traffic, address, octets).await?
    {
        tracing::info!(domain, address, %refusal, "no report");
        return Ok(Err(refusal));
    }
    tracing::info!(domain, address, "report");
    for (signatures, mail) in mails {
        crate::queue::post(context, address, signatures, &mail, false).await?;
    }
    Ok(Ok(()))
}

/// The mail, and its signatures.
fn mail(context: &Context, report: &Report, address: &str) -> Option<(String, Vec<u8>)> {
    let (from, accepted) = (from(context), now());
    let submitter = context.config.hostname.parse().ok()?;
    let envelope = Envelope {
        from: &from,
        to: address,
        submitter: &submitter,
        now: accepted,
    };
    let mail = match report.to_mail(&envelope) {
        Ok(mail) => mail,
        Err(error) => {
            tracing::warn!(%error, address, "a report cannot be mailed");
            return None;
        }
    };
    match sign(context, &from, &mail, accepted) {
        Ok(signatures) => Some((signatures, mail)),
        Err(error) => {
            tracing::error!(%error, "a report could not be signed");
            None
        }
    }
}

/// RFC 9990 §3.5.2: "Mail streams carrying DMARC feedback data MUST conform to the DMARC mechanism, thereby resulting in an aligned
/// "pass"".
fn sign(context: &Context, from: &str, mail: &[u8], now: u64) -> Result<String, dkim::SignError> {
    let domain = from
        .rsplit_once('@')
        .and_then(|(_, domain)| domain.parse().ok());
    let Some(domain) = domain else {
        return Ok(String::new());
    };
    let keys: Vec<_> = crate::signing::for_author(&context.signing, &domain)
        .cloned()
        .collect();
    if keys.is_empty() {
        return Ok(String::new());
    }
    let mut signer = dkim::Signer::new(keys, now);
    signer.write(mail);
    Ok(signer.finish()?.concat())
}
