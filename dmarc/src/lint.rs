//! What is wrong with a DMARC Policy Record, or unwise, and what to write instead; and what it means, in words.
//!
//! [`Record::parse`] reads past every mistake, as RFC 9989 §4.8 has it. Whoever publishes the record wants to know of each.

use core::fmt;
use core::ops::Range;

use mail_syntax::Domain;
use mail_syntax::tag_list::{MAX_TAGS, Tag, TagListError, Tags};

use crate::record::{
    AlignmentMode, FailureOptions, MAX_RECORD, MAX_REPORTING_URIS, NAMES, Policy, Psd, Record,
    RecordError, ReportingUri, one_of, split_size,
};

mod explain;
mod instead;

pub use explain::explain;
pub use instead::instead;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The record works as its text says; here is more of it.
    Note,
    /// The record works, but likely not as it is meant.
    Warning,
    /// The record, or this part of it, is ignored or replaced by a default.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One thing to know about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The octets of the record that it is about; the whole record where it is about what is missing.
    pub span: Range<usize>,
    /// What it is.
    pub what: What,
    /// What to do about it.
    pub advice: String,
}

/// `severity at octet N: what; advice`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, at) = (self.severity, self.span.start);
        write!(
            f,
            "{severity} at octet {at}: {}; {}",
            self.what, self.advice
        )
    }
}

/// What a finding is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum What {
    /// The record does not begin with `v=DMARC1`, so it is none (RFC 9989 §4.7).
    #[error("the record does not begin with v=DMARC1, and is ignored as a whole")]
    Version,
    /// The record is longer than [`MAX_RECORD`].
    #[error("the record is longer than {MAX_RECORD} octets, and is ignored as a whole")]
    TooLong,
    /// A part that is no `name=value`.
    #[error("this is no tag: {0}")]
    NoTag(TagListError),
    /// Tags beyond the hundredth.
    #[error("tags beyond the {MAX_TAGS}th are ignored")]
    TooManyTags,
    /// A name that DMARC does not know.
    #[error("DMARC knows no tag {name:?}, and ignores it")]
    UnknownTag {
        /// The name.
        name: String,
        /// A name that DMARC knows and that looks like it.
        nearest: Option<&'static str>,
    },
    /// A tag of RFC 7489 that RFC 9989 has dropped: `pct`, `rf`, `ri`.
    #[error("RFC 9989 has dropped the tag {0:?}, and ignores it")]
    DroppedTag(&'static str),
    /// A tag that stands there more than once.
    #[error("the tag {0:?} stands here again, so none of them counts")]
    Doubled(&'static str),
    /// A value that the tag does not have.
    #[error("{value:?} is no value of the tag {name:?}, which has its default instead")]
    Value {
        /// The tag.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// A policy that is none, which spoils the other policies too (RFC 9989 §4.10.1).
    #[error("{value:?} is no policy, and makes {consequence}")]
    PolicyValue {
        /// The value.
        value: String,
        /// What becomes of the record.
        consequence: Consequence,
    },
    /// There is no `p` (RFC 9989 §4.10.1).
    #[error("there is no policy p=, which makes {0}")]
    NoPolicy(Consequence),
    /// `sp` or `np` is weaker than what it stands in for.
    #[error("{name}={weaker} weakens {than}={stronger}")]
    Weaker {
        /// `sp` or `np`.
        name: &'static str,
        /// Its policy.
        weaker: Policy,
        /// `p`, or `sp` for an `np` beside it.
        than: &'static str,
        /// The policy that would hold without the tag.
        stronger: Policy,
    },
    /// A policy that says what would hold without it.
    #[error("{0}= says what holds without it")]
    Redundant(&'static str),
    /// `p=none` and no `rua`: nobody acts on the record and nobody hears of anything.
    #[error("p=none without rua= does nothing: no mail is stopped, and no report is sent")]
    NoneWithoutReports,
    /// A policy of enforcement and no `rua`.
    #[error("without rua= nobody tells which mail fails")]
    NoReports,
    /// `t=y`: the policy is not applied as it stands.
    #[error("t=y lowers each policy by one level")]
    TestMode,
    /// `t=y` where there is nothing to lower.
    #[error("t=y has no effect on a policy of none")]
    TestModeOfNone,
    /// `fo` without `ruf`.
    #[error("fo= is ignored without ruf=")]
    FailureOptionsWithoutRuf,
    /// `ruf` without `fo`.
    #[error("without fo= a failure is reported only where both SPF and DKIM fail")]
    RufWithoutFailureOptions,
    /// A reporting URI that is none.
    #[error("{0:?} is no URI, and is left out")]
    Uri(String),
    /// A `mailto:` URI whose address is none.
    #[error("{0:?} names no address that mail could go to")]
    MailtoAddress(String),
    /// A reporting URI of a scheme other than `mailto:`, which few receivers know.
    #[error("few receivers send reports to {0:?}: RFC 9989 has them support mailto: only")]
    Scheme(String),
    /// A size behind a reporting URI, as in `!10m`.
    #[error("the size {0:?} is ignored")]
    Size(String),
    /// More reporting URIs than are read.
    #[error("reporting URIs beyond the {MAX_REPORTING_URIS}th are ignored")]
    TooManyUris,
    /// The same URI twice.
    #[error("{0:?} stands in the list twice")]
    UriTwice(String),
    /// A destination that must say that it wants the reports (RFC 9990 §4).
    #[error("reports to {host} are sent only if {host} says at {name} that it wants them")]
    ExternalDestination {
        /// The host of the URI.
        host: Domain,
        /// Where it is to say so.
        name: String,
    },
    /// `psd=y` beside `ruf` (RFC 9989 §10.2).
    #[error("a record of a Public Suffix Domain must not have ruf=")]
    RufOfPublicSuffix,
    /// `psd=y`, which is for registries only.
    #[error("psd=y says that everybody may register names below this domain")]
    PublicSuffix,
    /// Strict alignment.
    #[error("{0}=s refuses every subdomain as an identifier")]
    Strict(&'static str),
}

/// What becomes of a record without a valid policy (RFC 9989 §4.10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consequence {
    /// It has a valid `rua`: it counts as `p=none`.
    CountsAsNone,
    /// It has none: DMARC does not apply.
    DoesNotApply,
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CountsAsNone => "the record count as p=none",
            Self::DoesNotApply => "DMARC not apply",
        })
    }
}

/// Looks a record over, the strings of a TXT record joined: what is wrong with it, and what unwise, in the order of the text.
///
/// With the domain that publishes it, it also tells which destinations must confirm that they want reports. A record without findings
/// does what it says.
///
/// ```
/// use dmarc::lint::{Severity, lint};
/// let findings = lint(b"v=DMARC1; p=reject; sp=none; rau=mailto:dmarc@example.com", None);
/// let told: Vec<String> = findings.iter().map(|finding| finding.what.to_string()).collect();
/// assert_eq!(told, [
///     "without rua= nobody tells which mail fails",
///     "sp=none weakens p=reject",
///     "DMARC knows no tag \"rau\", and ignores it",
/// ]);
/// assert_eq!(findings[2].advice, "write rua=");
/// assert_eq!((findings[2].severity, findings[2].span.clone()), (Severity::Error, 29..32));
/// ```
#[must_use]
pub fn lint(text: &[u8], domain: Option<&Domain>) -> Vec<Finding> {
    let mut linter = Linter {
        text,
        domain,
        findings: Vec::new(),
        once: [const { None }; NAMES.len()],
    };
    match Record::parse(text) {
        Ok(record) => {
            linter.tags();
            linter.values(&record);
            linter.whole_record(&record);
        }
        Err(RecordError::TooLong) => {
            let advice = format!("shorten it to {MAX_RECORD} octets");
            linter.find(Severity::Error, 0..text.len(), What::TooLong, advice);
        }
        Err(RecordError::Version) => {
            let end = memchr_semicolon(text);
            let advice = "begin it with v=DMARC1, with DMARC in capitals, and a semicolon behind";
            linter.find(Severity::Error, 0..end, What::Version, advice);
        }
    }
    linter
        .findings
        .sort_by_key(|finding| (finding.span.start, core::cmp::Reverse(finding.severity)));
    linter.findings
}

fn memchr_semicolon(text: &[u8]) -> usize {
    let found = text.iter().position(|octet| *octet == b';');
    found.unwrap_or(text.len())
}

/// The tags that RFC 9989 has dropped (Appendix C.6 and §9).
const DROPPED: [(&str, &str); 3] = [
    ("pct", "leave it out; t=y is what has become of pct=0"),
    ("rf", "leave it out; there is one format of failure reports"),
    ("ri", "leave it out; aggregate reports come once a day"),
];

struct Linter<'a> {
    text: &'a [u8],
    domain: Option<&'a Domain>,
    findings: Vec<Finding>,
    /// The tags that DMARC knows and that stand there, the first of each.
    once: [Option<Tag<'a>>; NAMES.len()],
}

impl<'a> Linter<'a> {
    fn find(
        &mut self,
        severity: Severity,
        span: Range<usize>,
        what: What,
        advice: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity,
            span,
            what,
            advice: advice.into(),
        });
    }

    /// Each part of the record by itself.
    fn tags(&mut self) {
        let text = self.text;
        for (number, tag) in Tags::new(text).skip(1).enumerate() {
            if number == MAX_TAGS {
                let start = match &tag {
                    Ok(tag) => tag.offset(),
                    Err(error) => offset(error),
                };
                let what = What::TooManyTags;
                self.find(Severity::Error, start..text.len(), what, "leave them out");
                return;
            }
            match tag {
                Ok(tag) => self.tag(tag),
                Err(error) => {
                    let start = offset(&error).min(text.len());
                    let end = start + memchr_semicolon(text.get(start..).unwrap_or_default());
                    let advice = "write name=value, or leave it out";
                    self.find(Severity::Error, start..end, What::NoTag(error), advice);
                }
            }
        }
    }

    fn tag(&mut self, tag: Tag<'a>) {
        let span = name_span(&tag);
        let known = NAMES
            .iter()
            .position(|name| name.eq_ignore_ascii_case(tag.name()));
        let (Some(slot), Some(name)) = (
            known.and_then(|known| self.once.get_mut(known)),
            known.and_then(|known| NAMES.get(known)),
        ) else {
            self.unknown_tag(&tag, span);
            return;
        };
        if slot.is_none() {
            *slot = Some(tag);
        } else {
            let advice = format!("keep one {name}=");
            self.find(Severity::Error, span, What::Doubled(name), advice);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag<'_>, span: Range<usize>) {
        let dropped = DROPPED
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(tag.name()));
        if let Some((name, advice)) = dropped {
            let weighs = if *name == "pct" && tag.value() != "100" {
                Severity::Warning
            } else {
                Severity::Note
            };
            self.find(weighs, span, What::DroppedTag(name), *advice);
            return;
        }
        if tag.name().eq_ignore_ascii_case("v") {
            let what = What::UnknownTag {
                name: tag.name().to_owned(),
                nearest: None,
            };
            let advice = "leave it out; one record has one version, at its beginning";
            self.find(Severity::Error, span, what, advice);
            return;
        }
        let nearest = nearest(tag.name());
        let advice = match nearest {
            Some(name) => format!("write {name}="),
            None => "leave it out".to_owned(),
        };
        let what = What::UnknownTag {
            name: tag.name().to_owned(),
            nearest,
        };
        // What resembles a tag is a mistake; what does not may be of a version to come.
        let weighs = match nearest {
            Some(_) => Severity::Error,
            None => Severity::Warning,
        };
        self.find(weighs, span, what, advice);
    }
}

impl Linter<'_> {
    /// The tag of this name that stands first.
    fn tag_of(&self, name: &str) -> Option<&Tag<'_>> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.once.get(at)?.as_ref()
    }

    /// The tag of this name with its value, or the whole record.
    fn span_of(&self, name: &str) -> Range<usize> {
        let tag = self.tag_of(name);
        tag.map_or_else(
            || self.whole(),
            |tag| tag.offset()..self.value_span(tag).end,
        )
    }

    fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// Where the value stands, without the white space around it.
    fn value_span(&self, tag: &Tag<'_>) -> Range<usize> {
        let range = tag.value_range();
        let octets = self.text.get(range.clone()).unwrap_or_default();
        let start = range.end - octets.trim_ascii_start().len();
        start..start + tag.value().len()
    }

    /// The value of each known tag.
    fn values(&mut self, record: &Record) {
        let consequence = if record.rua.is_empty() {
            Consequence::DoesNotApply
        } else {
            Consequence::CountsAsNone
        };
        let once = core::mem::replace(&mut self.once, [const { None }; NAMES.len()]);
        for (name, tag) in NAMES.into_iter().zip(&once) {
            let Some(tag) = tag else { continue };
            let (value, span) = (tag.value(), self.value_span(tag));
            let valid = match name {
                "p" | "sp" | "np" => {
                    if Policy::read(value).is_none() {
                        let value = value.to_owned();
                        let what = What::PolicyValue { value, consequence };
                        let advice = "write none, quarantine or reject";
                        self.find(Severity::Error, span, what, advice);
                    }
                    continue;
                }
                "rua" | "ruf" => {
                    self.uris(value, span.start);
                    continue;
                }
                "adkim" | "aspf" => AlignmentMode::read(value).is_some(),
                "psd" => Psd::read(value).is_some(),
                "fo" => FailureOptions::read(value).is_some(),
                _ => one_of(value, &[("y", ()), ("n", ())]).is_some(),
            };
            if !valid {
                let what = What::Value {
                    name,
                    value: value.to_owned(),
                };
                let advice = match name {
                    "adkim" | "aspf" => "write r or s",
                    "psd" => "write y or n, or leave it out",
                    "fo" => {
                        "write 0 or 1, d, s, or several of them with colons between, as in 1:d:s"
                    }
                    _ => "write y or n",
                };
                self.find(Severity::Error, span, what, advice);
            }
        }
        self.once = once;
    }

    /// The reporting URIs of a tag, whose value begins at this octet.
    fn uris(&mut self, value: &str, start: usize) {
        let (mut at, mut seen) = (start, std::collections::BTreeSet::new());
        for part in value.split(',') {
            let lead = part.len() - part.trim_ascii_start().len();
            let uri = part.trim_ascii();
            let span = at + lead..at + lead + uri.len();
            at += part.len() + 1;
            if seen.len() == MAX_REPORTING_URIS {
                let what = What::TooManyUris;
                self.find(
                    Severity::Error,
                    span.start..start + value.len(),
                    what,
                    "leave them out",
                );
                return;
            }
            self.uri(uri, span.clone());
            if let Some(read) = ReportingUri::read(uri)
                && !seen.insert(read.as_str().to_owned())
            {
                let what = What::UriTwice(read.as_str().to_owned());
                self.find(Severity::Warning, span, what, "name it once");
            }
        }
    }

    fn uri(&mut self, text: &str, span: Range<usize>) {
        let Some(uri) = ReportingUri::read(text) else {
            let advice = match text.contains('@') && !text.contains(':') {
                true => format!("write mailto:{text}"),
                false => "write mailto: and an address".to_owned(),
            };
            self.find(Severity::Error, span, What::Uri(text.to_owned()), advice);
            return;
        };
        if let Some((_, Some(size))) = split_size(text) {
            let span = span.end - size.len()..span.end;
            let advice = "leave it out; RFC 9989 has no sizes";
            self.find(Severity::Note, span, What::Size(size.to_owned()), advice);
        }
        match uri.mailto() {
            None => {
                let what = What::Scheme(uri.as_str().to_owned());
                self.find(
                    Severity::Warning,
                    span,
                    what,
                    "give a mailto: URI beside it",
                );
            }
            Some(_)
                if uri.host().is_none()
                    || uri.mailto().is_some_and(|address| address.starts_with('@')) =>
            {
                let what = What::MailtoAddress(uri.as_str().to_owned());
                self.find(Severity::Error, span, what, "write mailto:name@domain");
            }
            Some(_) => self.destination(&uri, span),
        }
    }

    /// Whether it must confirm that it wants the reports.
    fn destination(&mut self, uri: &ReportingUri, span: Range<usize>) {
        let (Some(domain), Some(host)) = (self.domain, uri.host()) else {
            return;
        };
        // Which domain is the Organizational Domain only the DNS knows; of what is above or below it is so likely that nothing is said.
        if host.is_at_or_below(domain) || domain.is_at_or_below(&host) {
            return;
        }
        let name = format!("{domain}._report._dmarc.{host}");
        let advice = format!("have {host} publish \"v=DMARC1\" at {name}");
        let what = What::ExternalDestination { host, name };
        self.find(Severity::Note, span, what, advice);
    }

    /// What the tags come to together.
    fn whole_record(&mut self, record: &Record) {
        let has = |linter: &Self, name: &str| linter.tag_of(name).is_some();
        if !has(self, "p") {
            let consequence = if record.rua.is_empty() {
                Consequence::DoesNotApply
            } else {
                Consequence::CountsAsNone
            };
            let what = What::NoPolicy(consequence);
            self.find(
                Severity::Error,
                self.whole(),
                what,
                "begin with v=DMARC1; p=none",
            );
        }
        self.policies(record);
        self.reports(record);
        if record.test_mode {
            let weak = [record.p, record.sp, record.np];
            let enforced = weak
                .into_iter()
                .flatten()
                .any(|policy| policy != Policy::None);
            let (what, advice) = if enforced {
                (
                    What::TestMode,
                    "leave it out once the reports show that only forgeries fail",
                )
            } else {
                (What::TestModeOfNone, "leave it out")
            };
            self.find(Severity::Note, self.span_of("t"), what, advice);
        }
        for (name, mode) in [("adkim", record.adkim), ("aspf", record.aspf)] {
            if mode == AlignmentMode::Strict {
                let advice = "leave it out, unless subdomains are in the hands of others";
                self.find(
                    Severity::Note,
                    self.span_of(name),
                    What::Strict(name),
                    advice,
                );
            }
        }
        if record.psd == Psd::Yes {
            let advice = "leave it out, unless the domain is a registry's";
            self.find(
                Severity::Warning,
                self.span_of("psd"),
                What::PublicSuffix,
                advice,
            );
            // RFC 9989 §10.2: "DMARC Policy Records for multi-organizational PSDs MUST NOT include the "ruf" tag."
            if has(self, "ruf") {
                let what = What::RufOfPublicSuffix;
                self.find(Severity::Error, self.span_of("ruf"), what, "leave ruf= out");
            }
        }
    }

    fn policies(&mut self, record: &Record) {
        let Some(p) = record.p else { return };
        let sp = record.sp.map_or(("p", p), |sp| ("sp", sp));
        for (name, policy, (than, stronger)) in [("sp", record.sp, ("p", p)), ("np", record.np, sp)]
        {
            match policy {
                Some(weaker) if weaker < stronger => {
                    let what = What::Weaker {
                        name,
                        weaker,
                        than,
                        stronger,
                    };
                    let advice = match name {
                        "sp" => "forgers take a subdomain; leave sp= out once subdomains pass",
                        _ => "no mail comes from names that do not exist; write np=reject",
                    };
                    self.find(Severity::Warning, self.span_of(name), what, advice);
                }
                Some(policy) if policy == stronger => {
                    let what = What::Redundant(name);
                    self.find(
                        Severity::Note,
                        self.span_of(name),
                        what,
                        format!("leave {name}= out"),
                    );
                }
                _ => {}
            }
        }
    }

    fn reports(&mut self, record: &Record) {
        let (fo, ruf) = (self.tag_of("fo").is_some(), !record.ruf.is_empty());
        let rua = self.tag_of("rua").is_some();
        match record.p {
            Some(Policy::None) if !rua => {
                let advice = "add rua=mailto: and an address";
                self.find(
                    Severity::Warning,
                    self.span_of("p"),
                    What::NoneWithoutReports,
                    advice,
                );
            }
            Some(_) if !rua => {
                let advice = "add rua=mailto: and an address";
                self.find(Severity::Note, self.span_of("p"), What::NoReports, advice);
            }
            _ => {}
        }
        if fo && !ruf {
            let what = What::FailureOptionsWithoutRuf;
            self.find(
                Severity::Warning,
                self.span_of("fo"),
                what,
                "leave it out, or add ruf=",
            );
        }
        if ruf && !fo {
            let advice = "add fo=1 to hear of every mechanism that fails";
            let what = What::RufWithoutFailureOptions;
            self.find(Severity::Note, self.span_of("ruf"), what, advice);
        }
    }
}

fn name_span(tag: &Tag<'_>) -> Range<usize> {
    tag.offset()..tag.offset() + tag.name().len()
}

/// Where a part is wrong.
fn offset(error: &TagListError) -> usize {
    match error {
        TagListError::Name { offset }
        | TagListError::MissingEquals { offset }
        | TagListError::Octet { offset }
        | TagListError::Duplicate { offset } => *offset,
        _ => 0,
    }
}

/// The tag that a misspelt name was likely meant to be.
fn nearest(name: &str) -> Option<&'static str> {
    if name.eq_ignore_ascii_case("policy") {
        return Some("p");
    }
    // What is as short as p and t is near to everything.
    if !(2..=8).contains(&name.len()) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    NAMES
        .into_iter()
        .filter(|known| known.len() >= 2)
        .map(|known| (distance(name.as_bytes(), known.as_bytes()), known))
        .filter(|(distance, _)| *distance == 1)
        .max_by_key(|(_, known)| known.len())
        .map(|(_, known)| known)
}

/// How many octets must be put in, taken out, replaced or swapped with their neighbour: 0, 1, or 2 for more.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[common..], &other[common..]);
    match (one, other) {
        ([], []) => 0,
        ([_, one @ ..], [_, other @ ..]) if one == other => 1,
        ([_, one @ ..], _) if one == other => 1,
        (_, [_, other @ ..]) if one == other => 1,
        ([a, b, one @ ..], [c, d, other @ ..]) if (a, b) == (d, c) && one == other => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The findings as `severity start..end what`.
    fn told(text: &str) -> Vec<String> {
        let domain = "example.com".parse().ok();
        lint(text.as_bytes(), domain.as_ref())
            .iter()
            .map(|finding| {
                format!(
                    "{} {:?} {}",
                    finding.severity,
                    &text[finding.span.clone()],
                    finding.what
                )
            })
            .collect()
    }

    #[test]
    fn what_does_what_it_says_has_no_findings() {
        for text in [
            "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
            "v=DMARC1;p=quarantine;np=reject;rua=mailto:a@reports.example.com,mailto:b@example.com;",
            "v=DMARC1; p=none; sp=reject; rua=mailto:dmarc@example.com; ruf=mailto:f@example.com; fo=1:d",
        ] {
            assert_eq!(told(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn findings() {
        for (text, wanted) in [
            (
                "p=none; v=DMARC1",
                &[
                    r#"error "p=none" the record does not begin with v=DMARC1, and is ignored as a whole"#,
                ][..],
            ),
            (
                "v=dmarc1; p=none",
                &[
                    r#"error "v=dmarc1" the record does not begin with v=DMARC1, and is ignored as a whole"#,
                ],
            ),
            (
                "v=DMARC1; p=none",
                &[
                    r#"warning "p=none" p=none without rua= does nothing: no mail is stopped, and no report is sent"#,
                ],
            ),
            (
                "v=DMARC1; p=reject; rua=mailto:a@example.com; sp = none",
                &[r#"warning "sp = none" sp=none weakens p=reject"#],
            ),
            (
                "v=DMARC1; p=quarantine; sp=reject; np=none; rua=mailto:a@example.com",
                &[r#"warning "np=none" np=none weakens sp=reject"#],
            ),
            (
                "v=DMARC1; p=reject; sp=reject; rua=mailto:a@example.com",
                &[r#"note "sp=reject" sp= says what holds without it"#],
            ),
            (
                "v=DMARC1; rua=mailto:a@example.com",
                &[
                    r#"error "v=DMARC1; rua=mailto:a@example.com" there is no policy p=, which makes the record count as p=none"#,
                ],
            ),
            (
                "v=DMARC1; p=rejct",
                &[r#"error "rejct" "rejct" is no policy, and makes DMARC not apply"#],
            ),
            (
                "v=DMARC1; p=none; p=none; rua=mailto:a@example.com",
                &[r#"error "p" the tag "p" stands here again, so none of them counts"#],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com; pct=50; RI=3600; rf=afrf",
                &[
                    r#"warning "pct" RFC 9989 has dropped the tag "pct", and ignores it"#,
                    r#"note "RI" RFC 9989 has dropped the tag "ri", and ignores it"#,
                    r#"note "rf" RFC 9989 has dropped the tag "rf", and ignores it"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com; v=DMARC1; zz=1; dkim=s; nonsense; =x",
                &[
                    r#"error "v" DMARC knows no tag "v", and ignores it"#,
                    r#"warning "zz" DMARC knows no tag "zz", and ignores it"#,
                    r#"error "dkim" DMARC knows no tag "dkim", and ignores it"#,
                    r#"error "nonsense" this is no tag: no = behind the tag name that begins at byte 68"#,
                    r#"error "=x" this is no tag: no tag name at byte 78"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com; adkim=strict; aspf=s; psd=x; t=yes; fo=0:1",
                &[
                    r#"error "strict" "strict" is no value of the tag "adkim", which has its default instead"#,
                    r#"note "aspf=s" aspf=s refuses every subdomain as an identifier"#,
                    r#"error "x" "x" is no value of the tag "psd", which has its default instead"#,
                    r#"error "yes" "yes" is no value of the tag "t", which has its default instead"#,
                    r#"warning "fo=0:1" fo= is ignored without ruf="#,
                    r#"error "0:1" "0:1" is no value of the tag "fo", which has its default instead"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com!10m , a@example.com,mailto:@example.com,https://example.com/,mailto:a@example.com",
                &[
                    r#"note "!10m" the size "!10m" is ignored"#,
                    r#"error "a@example.com" "a@example.com" is no URI, and is left out"#,
                    r#"error "mailto:@example.com" "mailto:@example.com" names no address that mail could go to"#,
                    r#"warning "https://example.com/" few receivers send reports to "https://example.com/": RFC 9989 has them support mailto: only"#,
                    r#"warning "mailto:a@example.com" "mailto:a@example.com" stands in the list twice"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.net",
                &[
                    r#"note "mailto:a@example.net" reports to example.net are sent only if example.net says at example.com._report._dmarc.example.net that it wants them"#,
                ],
            ),
            (
                "v=DMARC1; p=reject; t=y; psd=y; rua=mailto:a@example.com; ruf=mailto:a@example.com",
                &[
                    r#"note "t=y" t=y lowers each policy by one level"#,
                    r#"warning "psd=y" psd=y says that everybody may register names below this domain"#,
                    r#"error "ruf=mailto:a@example.com" a record of a Public Suffix Domain must not have ruf="#,
                    r#"note "ruf=mailto:a@example.com" without fo= a failure is reported only where both SPF and DKIM fail"#,
                ],
            ),
            (
                "v=DMARC1; p=none; t=y; rua=mailto:a@example.com",
                &[r#"note "t=y" t=y has no effect on a policy of none"#],
            ),
        ] {
            assert_eq!(told(text), wanted, "{text}");
        }
        let long = format!("v=DMARC1; p=none; x={}", "y".repeat(MAX_RECORD));
        assert_eq!(lint(long.as_bytes(), None)[0].what, What::TooLong);
        let tags = format!("v=DMARC1; p=none{}", "; zz=1".repeat(MAX_TAGS));
        assert!(
            lint(tags.as_bytes(), None)
                .iter()
                .any(|finding| finding.what == What::TooManyTags)
        );
        let uris = format!(
            "v=DMARC1; p=none; rua={}",
            (0..30)
                .map(|n| format!("mailto:a{n}@example.com,"))
                .collect::<String>()
        );
        assert!(
            lint(uris.as_bytes(), None)
                .iter()
                .any(|finding| finding.what == What::TooManyUris)
        );
    }

    #[test]
    fn misspelt_names_have_a_nearest() {
        for (name, wanted) in [
            ("rau", Some("rua")),
            ("RUAA", Some("rua")),
            ("spf", Some("aspf")),
            ("akim", Some("adkim")),
            ("adkmi", Some("adkim")),
            ("policy", Some("p")),
            ("x", None),
            ("bimi", None),
            ("adkim_is_strict", None),
        ] {
            assert_eq!(nearest(name), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text(text in "v=DMARC1(; ?(p|sp|rua|ruf|fo|é|pct|x)? ?=? ?(none|reject|mailto:a@b!1k|é|,|:|)){0,8};?") {
            for finding in lint(text.as_bytes(), None) {
                prop_assert!(text.as_bytes().get(finding.span.clone()).is_some(), "{:?}", finding);
            }
        }

        #[test]
        fn any_octets_are_looked_over(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = b"v=DMARC1;".to_vec();
            text.extend(octets);
            for finding in lint(&text, None) {
                prop_assert!(text.get(finding.span.clone()).is_some(), "{:?}", finding);
            }
        }
    }
}
