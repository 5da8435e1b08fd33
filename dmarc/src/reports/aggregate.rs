//! Rows counted together until they are reported.

use std::collections::BTreeMap;

use mail_syntax::Domain;

use super::{
    ActionDisposition, DateRange, DkimAuthResult, DkimResult, DmarcAlignment, PolicyPublished,
    Report, ReportMetadata, Row,
};
use crate::record::Policy;
use crate::{OverrideReason, PolicyOverride};

/// How much is kept until it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Policies that are reported on: domains, and what each published. Default: 10,000. Each costs some 300 octets beside its rows.
    pub policies: usize,
    /// Policies of one domain. Default: 4. A domain that changes its record more often than that gets its further messages reported
    /// under the last of them, as RFC 9990 §3.3 allows. Each is a mail more to the same destination.
    pub policies_of_a_domain: usize,
    /// Rows in all. Default: 200,000. Each costs some 600 octets.
    pub rows: usize,
    /// Rows of one policy. Default: 10,000, a report of some 150 KiB compressed. Whoever forges a domain from many addresses can fill
    /// it; raising it makes larger mails.
    pub rows_of_a_policy: usize,
    /// Octets of a comment or other text for people, and of a domain. Default: 255; what is longer is cut.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            policies: 10_000,
            policies_of_a_domain: 4,
            rows: 200_000,
            rows_of_a_policy: 10_000,
            text: 255,
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Added {
    /// It is a new one.
    New,
    /// It was counted to one that is alike.
    Counted,
    /// There is no room for another row or policy. The message will not be reported.
    LeftOut,
}

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The domain of the receiver, which stands in the name of the file and the subject of the mail.
    pub domain: Domain,
    /// The name of the organization.
    pub org_name: String,
    /// The address for questions about reports.
    pub email: String,
    /// More of that.
    pub extra_contact_info: Option<String>,
    /// The program and its version.
    pub generator: Option<String>,
}

/// Counts messages until the end of the reporting period.
///
/// There is one report for each policy: a domain, and what its record said when the message came. No row says anything of a single
/// message but its domains and results.
///
/// ```
/// # use dmarc::reports::{Aggregate, Added, DateRange, PolicyPublished, Reporter, Report};
/// # let sample = include_bytes!("../../tests/reports/rfc9990_appendix_b.xml");
/// # let row = Report::read(sample, &Default::default())?.0.rows.remove(0);
/// let record: dmarc::Record = "v=DMARC1; p=reject; rua=mailto:dmarc@example.com".parse()?;
/// let policy = PolicyPublished::of_record(&"example.com".parse()?, &record);
///
/// let mut aggregate = Aggregate::new(Default::default());
/// assert_eq!(aggregate.add(&policy, row.clone()), Added::New);
/// assert_eq!(aggregate.add(&policy, row), Added::Counted);
///
/// let reporter = Reporter {
///     domain: "mail.receiver.example".parse()?,
///     org_name: "Receiver".into(),
///     email: "dmarc-reports@receiver.example".into(),
///     extra_contact_info: None,
///     generator: None,
/// };
/// let reports = aggregate.take_reports(DateRange::day_of(1_700_000_000), &reporter);
/// assert_eq!(reports.len(), 1);
/// assert_eq!(reports[0].rows[0].count, 246);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Aggregate {
    limits: Limits,
    domains: BTreeMap<String, Vec<Counted>>,
    policies: usize,
    rows: usize,
    left_out: u64,
}

/// One policy and its rows, whose own count is 0.
#[derive(Clone, Debug)]
struct Counted {
    policy: PolicyPublished,
    rows: BTreeMap<Row, u64>,
}

impl Aggregate {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Counts the messages of a row, under the policy that was published for them.
    ///
    /// Signatures beyond a hundred are left out, those first that matter least. Where neither mechanism is aligned and something else was
    /// done than the policy says, and the row has no reason for it, one is added: test mode if the record asks for it, else `other`.
    pub fn add(&mut self, policy: &PolicyPublished, mut row: Row) -> Added {
        let messages = row.count;
        row.count = 0;
        row.explain(policy);
        let dkim = core::mem::take(&mut row.auth_results.dkim);
        row.auth_results.dkim = prioritized(&row, policy, dkim);
        row.cut_texts(self.limits.text);
        let added = self.count(policy, row, messages);
        if added == Added::LeftOut {
            self.left_out = self.left_out.saturating_add(messages);
        }
        added
    }

    fn count(&mut self, policy: &PolicyPublished, row: Row, messages: u64) -> Added {
        let name = policy.domain.to_ascii_lowercase();
        if !self.domains.contains_key(&name) && self.policies >= self.limits.policies {
            return Added::LeftOut;
        }
        let of_domain = self.domains.entry(name).or_default();
        let known = of_domain
            .iter()
            .position(|counted| counted.policy == *policy);
        let has_room = self.policies < self.limits.policies
            && of_domain.len() < self.limits.policies_of_a_domain.max(1);
        let counted = match known {
            Some(known) => of_domain.get_mut(known),
            None if has_room || of_domain.is_empty() => {
                self.policies += 1;
                of_domain.push(Counted {
                    policy: policy.clone(),
                    rows: BTreeMap::new(),
                });
                of_domain.last_mut()
            }
            None => {
                // RFC 9990 §3.1: "the reporting entity SHOULD note only the final configuration observed during the period"
                let mut last = of_domain.last_mut();
                if let Some(last) = &mut last {
                    last.policy = policy.clone();
                }
                last
            }
        };
        let Some(counted) = counted else {
            return Added::LeftOut;
        };
        if let Some(count) = counted.rows.get_mut(&row) {
            *count = count.saturating_add(messages);
            return Added::Counted;
        }
        if self.rows >= self.limits.rows || counted.rows.len() >= self.limits.rows_of_a_policy {
            return Added::LeftOut;
        }
        self.rows += 1;
        counted.rows.insert(row, messages);
        Added::New
    }

    /// Messages that were left out since the reports were taken last.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// All reports of the period that has ended, by their domains; nothing is left behind. The same messages and period give the same
    /// reports, Report-IDs and file names included.
    pub fn take_reports(&mut self, period: DateRange, reporter: &Reporter) -> Vec<Report> {
        let limits = self.limits.clone();
        let taken = core::mem::replace(self, Self::new(limits));
        // RFC 9990 §3.1: "A separate report MUST be generated for each DMARC Policy Domain encountered during the reporting period."
        let policies = taken.domains.into_values().flatten();
        // RFC 9990 §3.1.1.2: "There MUST be at least one "record" element"
        policies
            .filter(|counted| !counted.rows.is_empty())
            .map(|counted| counted.report(period, reporter))
            .collect()
    }
}

impl Counted {
    fn report(self, period: DateRange, reporter: &Reporter) -> Report {
        let rows = self.rows.into_iter();
        let metadata = ReportMetadata {
            org_name: reporter.org_name.clone(),
            email: reporter.email.clone(),
            extra_contact_info: reporter.extra_contact_info.clone(),
            report_id: report_id(&self.policy, period, &reporter.domain),
            date_range: period,
            errors: Vec::new(),
            generator: reporter.generator.clone(),
        };
        Report {
            metadata,
            policy_published: self.policy,
            rows: rows.map(|(row, count)| Row { count, ..row }).collect(),
        }
    }
}

/// An identifier of letters and digits: it is the unique-id of the file name too.
///
/// RFC 9990 §3.5.1: "This identifier MUST be unique among reports to the same domain". It is a hash of what makes the report another one
/// (reporter, policy and period; FNV-1a of 128 bits), so that a report that is made again is the same.
fn report_id(policy: &PolicyPublished, period: DateRange, reporter: &Domain) -> String {
    let text = format!("{reporter}\n{} {}\n{policy:?}", period.begin, period.end);
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for octet in text.bytes() {
        hash = (hash ^ u128::from(octet)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
    }
    format!("{hash:032x}")
}

/// At most a hundred signatures, in the order of RFC 9990 §3.1.3.
fn prioritized(
    row: &Row,
    policy: &PolicyPublished,
    mut dkim: Vec<DkimAuthResult>,
) -> Vec<DkimAuthResult> {
    let author = &row.identifiers.header_from;
    // "A signature that passes DKIM, in strict alignment with the RFC5322.From domain", then "in relaxed alignment", "Any other DKIM
    // signatures that pass", "DKIM signatures that do not pass". What is within the policy's domain, or above it, is of one organization.
    let priority = |result: &DkimAuthResult| match result.result {
        DkimResult::Pass if result.domain.eq_ignore_ascii_case(author) => 0,
        DkimResult::Pass
            if is_at_or_below(&result.domain, &policy.domain)
                || is_at_or_below(&policy.domain, &result.domain) =>
        {
            1
        }
        DkimResult::Pass => 2,
        _ => 3,
    };
    // A message that differs in the order of its signatures alone is none of its own.
    dkim.sort_by(|a, b| priority(a).cmp(&priority(b)).then_with(|| a.cmp(b)));
    dkim.truncate(Row::MAX_SIGNATURES);
    dkim
}

fn is_at_or_below(domain: &str, other: &str) -> bool {
    let (domain, other) = (domain.as_bytes(), other.as_bytes());
    let Some(above) = domain.len().checked_sub(other.len()) else {
        return false;
    };
    let (label, tail) = domain.split_at(above);
    !other.is_empty()
        && tail.eq_ignore_ascii_case(other)
        && (label.is_empty() || label.ends_with(b"."))
}

impl Row {
    // RFC 9990 §3.1.1.9: "If alignment fails and the policy applied does not match the DMARC Policy Domain's configured policy, the
    // "reason" element MUST be included."
    fn explain(&mut self, policy: &PolicyPublished) {
        let evaluated = &mut self.policy_evaluated;
        let is_aligned =
            evaluated.dkim == DmarcAlignment::Pass || evaluated.spf == DmarcAlignment::Pass;
        if is_aligned || !evaluated.reasons.is_empty() {
            return;
        }
        let is_domain_itself = self
            .identifiers
            .header_from
            .eq_ignore_ascii_case(&policy.domain);
        let p = policy.p.unwrap_or(Policy::None);
        let sp = policy.sp.unwrap_or(p);
        // Whether a subdomain exists is not known here: either of both policies may be its own.
        let configured = match is_domain_itself {
            true => [p, p],
            false => [sp, policy.np.unwrap_or(sp)],
        };
        let applied = match evaluated.disposition {
            ActionDisposition::None | ActionDisposition::Pass => Policy::None,
            ActionDisposition::Quarantine => Policy::Quarantine,
            ActionDisposition::Reject => Policy::Reject,
        };
        if configured.contains(&applied) {
            return;
        }
        let kind = if policy.testing == Some(true) {
            PolicyOverride::PolicyTestMode
        } else {
            PolicyOverride::Other
        };
        evaluated.reasons.push(OverrideReason {
            kind,
            comment: None,
        });
    }

    fn cut_texts(&mut self, limit: usize) {
        let identifiers = &mut self.identifiers;
        let texts = [
            Some(&mut identifiers.header_from),
            identifiers.envelope_from.as_mut(),
            identifiers.envelope_to.as_mut(),
        ];
        let dkim = self.auth_results.dkim.iter_mut().flat_map(|dkim| {
            [
                Some(&mut dkim.domain),
                dkim.selector.as_mut(),
                dkim.human_result.as_mut(),
            ]
        });
        let spf = self
            .auth_results
            .spf
            .iter_mut()
            .flat_map(|spf| [Some(&mut spf.domain), spf.human_result.as_mut(), None]);
        let reasons = self.policy_evaluated.reasons.iter_mut();
        let comments = reasons.map(|reason| reason.comment.as_mut());
        for text in texts
            .into_iter()
            .chain(dkim)
            .chain(spf)
            .chain(comments)
            .flatten()
        {
            let end = (0..=limit.min(text.len())).rev();
            let end = end.into_iter().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
        }
    }
}
