//! Does whoever is to get a report want it (RFC 9990 §4)?

use mail_dns::{
    Answer, Evaluation, Failure, Name, Need, Question, Record as DnsRecord, RecordType,
};
use mail_syntax::Domain;

use crate::record::{Record, ReportingUri};
use crate::tree_walk::{Progress, Targets, Walk, label_count, shared_labels};

/// The most records at the confirming name that are read: 20.
const MAX_RECORDS: usize = 20;

/// What became of a reporting URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Reports may be sent to these URIs: the one asked for, or those by which the destination replaced it.
    Confirmed(Vec<ReportingUri>),
    /// No report may be sent.
    Refused(Refusal),
    /// It cannot be told for now.
    Unknown(Question, Failure),
}

/// Why no report may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The URI names no host by a domain name.
    #[error("the reporting URI names no host")]
    NoHost,
    /// The name to be asked would be too long for the DNS.
    #[error("the name that would confirm the destination is too long")]
    NameTooLong,
    /// The destination does not say that it wants reports.
    #[error("the destination has not said that it wants the reports")]
    NotConfirmed,
    /// The destination names yet another host.
    #[error("the destination replaces itself by another host")]
    OtherHost,
}

/// Verifies one URI of a record's `rua` or `ruf`.
///
/// A URI within the organization of the record needs no confirmation; of any other the destination must say that it wants the reports.
/// Asks both Tree Walks and the confirmation together, at most 17 questions.
///
/// ```
/// use dmarc::report_destination::{Destination, ReportDestination};
/// use mail_dns::{Zone, resolve_blocking};
///
/// let zone = Zone::new().txt("blue.example.com._report._dmarc.red.example.net", "v=DMARC1");
/// let record: dmarc::Record = "v=DMARC1; p=none; rua=mailto:reports@red.example.net,mailto:joe@example.org".parse()?;
/// let domain = "blue.example.com".parse()?;
/// let verify = |number: usize| resolve_blocking(ReportDestination::new(&domain, &record.rua[number]), |question| zone.answer(question));
/// assert_eq!(verify(0), Destination::Confirmed(vec![record.rua[0].clone()]));
/// assert!(matches!(verify(1), Destination::Refused(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReportDestination {
    uri: ReportingUri,
    record_domain: Domain,
    host: Option<Domain>,
    confirmation: Option<Question>,
    confirmed: Option<Result<Vec<Record>, Failure>>,
    confirmation_asked: bool,
    /// The walks of both; `None` if they cannot be of one organization.
    walks: Option<Walks>,
}

/// The walks of the record's domain and of the host.
#[derive(Clone, Debug)]
struct Walks {
    targets: Targets,
    of_record: Walk,
    of_host: Walk,
}

impl Walks {
    /// `None` for domains that cannot have a common Organizational Domain.
    fn of(record_domain: &Domain, host: &Domain) -> Option<Self> {
        let shared = shared_labels(record_domain, host);
        let mut targets = Targets::default();
        let of_record = targets.walk_from(record_domain, label_count(record_domain));
        (shared > 0).then(|| Self {
            of_host: targets.walk_beside(&of_record, host, label_count(host), shared),
            of_record,
            targets,
        })
    }
}

impl ReportDestination {
    /// Begins to verify a URI of the record that was found at this domain.
    #[must_use]
    pub fn new(record_domain: &Domain, uri: &ReportingUri) -> Self {
        let host = uri.host();
        let other = host.as_ref().filter(|host| *host != record_domain);
        Self {
            uri: uri.clone(),
            record_domain: record_domain.clone(),
            confirmation: other.and_then(|host| confirmation(record_domain, host)),
            confirmed: None,
            confirmation_asked: false,
            walks: other.and_then(|host| Walks::of(record_domain, host)),
            host,
        }
    }

    /// Whether host and record are of one organization; `None` while answers are missing.
    fn is_internal(&self, host: &Domain) -> Option<Result<bool, (Question, Failure)>> {
        let Some(walks) = &self.walks else {
            return Some(Ok(*host == self.record_domain));
        };
        match (walks.of_record.progress(), walks.of_host.progress()) {
            (Progress::Failed(at, failure), _) | (_, Progress::Failed(at, failure)) => {
                Some(Err((walks.targets.question(at)?, failure)))
            }
            (Progress::Waiting, _) | (_, Progress::Waiting) => None,
            (Progress::Done(of_record), Progress::Done(of_host)) => {
                let of_record = self
                    .record_domain
                    .suffix(of_record.organizational_domain.into());
                Some(Ok(
                    of_record == host.suffix(of_host.organizational_domain.into())
                ))
            }
        }
    }

    fn settle(&self) -> Option<Destination> {
        let Some(host) = &self.host else {
            return Some(Destination::Refused(Refusal::NoHost));
        };
        // RFC 9990 §4: "the Organizational Domain at which that record was discovered is not identical to the Organizational Domain of the
        // host part"
        match self.is_internal(host)? {
            Ok(true) => return Some(Destination::Confirmed(vec![self.uri.clone()])),
            Ok(false) => {}
            Err((question, failure)) => return Some(Destination::Unknown(question, failure)),
        }
        // RFC 9990 §4: "If the length of the constructed name exceed DNS limits, a positive determination of the external reporting
        // relationship cannot be made; stop."
        let Some(confirmation) = &self.confirmation else {
            return Some(Destination::Refused(Refusal::NameTooLong));
        };
        Some(match self.confirmed.as_ref()? {
            Err(failure) => Destination::Unknown(confirmation.clone(), *failure),
            Ok(records) if records.is_empty() => Destination::Refused(Refusal::NotConfirmed),
            Ok(records) => self.replaced(host, records),
        })
    }

    /// RFC 9990 §4: "If a "rua" tag is thus discovered, replace the corresponding value extracted from the domain's DMARC Policy Record with
    /// the one found in this record."
    fn replaced(&self, host: &Domain, records: &[Record]) -> Destination {
        let replacements: Vec<ReportingUri> = records
            .iter()
            .flat_map(|record| record.rua.iter().cloned())
            .collect();
        if replacements.is_empty() {
            Destination::Confirmed(vec![self.uri.clone()])
        } else if replacements
            .iter()
            .all(|uri| uri.host().as_ref() == Some(host))
        {
            Destination::Confirmed(replacements)
        } else {
            // RFC 9990 §4: "the Mail Receiver generating the report MUST NOT generate a report to either the original or the override
            // URI."
            Destination::Refused(Refusal::OtherHost)
        }
    }
}

impl Evaluation for ReportDestination {
    type Verdict = Destination;

    fn poll(&mut self) -> Need<Destination> {
        if let Some(destination) = self.settle() {
            return Need::Done(destination);
        }
        if let Some(question) = self
            .walks
            .as_mut()
            .and_then(|walks| walks.targets.next_question())
        {
            return Need::Lookup(question);
        }
        match &self.confirmation {
            Some(question) if !self.confirmation_asked => {
                self.confirmation_asked = true;
                Need::Lookup(question.clone())
            }
            _ => Need::Wait,
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if Some(question) == self.confirmation.as_ref() && self.confirmed.is_none() {
            self.confirmed = Some(answer.outcome().map(confirming_records));
        } else if let Some(walks) = &mut self.walks
            && let Some(at) = walks.targets.answer(question, answer)
        {
            walks.of_record.advance(at, &walks.targets);
            walks.of_host.advance(at, &walks.targets);
        }
    }
}

/// The question whether the host wants reports of the domain; `None` if it would be too long.
fn confirmation(record_domain: &Domain, host: &Domain) -> Option<Question> {
    // RFC 9990 §4: "Prepend the string "_report._dmarc"." and "Prepend the domain name from which the policy was retrieved"
    let name = format!("{record_domain}._report._dmarc.{host}");
    let name = Name::from_dotted(name.as_bytes()).ok()?;
    Some(Question::new(name, RecordType::Txt))
}

/// RFC 9990 §4: "the "v=DMARC1" tag is mandatory and MUST appear first in the list. Discard any that do not pass this test."
fn confirming_records(records: &[DnsRecord]) -> Vec<Record> {
    let texts = records.iter().filter_map(|record| match record {
        DnsRecord::Txt(text) => Record::parse(&text.joined()).ok(),
        _ => None,
    });
    texts.take(MAX_RECORDS).collect()
}
