//! What an experienced mail administrator would say of a record before it is published.
//!
//! [`lint`] looks at the text of one record and asks nothing. [`LintDomain`] asks for the record of a domain and for all that it leads to,
//! and counts over the whole tree.

use core::fmt;
use core::ops::Range;
use std::net::IpAddr;

use mail_dns::{Failure, Name};

mod domain;

pub use domain::{DomainReport, LintDomain, MAX_RECORDS};
pub use mail_syntax::Severity;

use crate::record::{Directive, Mechanism, Qualifier, SpfRecord, Term};
use crate::{Limits, RecordError};

/// One thing to say of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The octets of the record that it is about, from 0; always within the text.
    pub span: Range<usize>,
    /// What it is.
    pub problem: Problem,
}

impl Finding {
    fn new(span: Range<usize>, problem: Problem) -> Self {
        Self {
            severity: problem.severity(),
            span,
            problem,
        }
    }
}

/// `error at octets 7 to 11: "+all" lets every host pass; write "-all" or "~all" instead`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.span;
        write!(f, "{} at octets {start} to {end}: ", self.severity)?;
        write!(f, "{}; {}", self.problem, self.problem.instead())
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The record is broken, and its result `permerror` (RFC 7208 §4.6).
    #[error("{0}")]
    Syntax(RecordError),
    /// The terms of this record alone exceed [`Limits::terms`] (RFC 7208 §4.6.4).
    #[error("{terms} terms cause lookups, and {limit} may")]
    TooManyTerms {
        /// How many there are.
        terms: usize,
        /// How many may be.
        limit: usize,
    },
    /// The terms of this record and of those that it leads to exceed [`Limits::void_lookups`] (RFC 7208 §4.6.4).
    #[error("{void_lookups} terms look for what is not there, and {limit} may")]
    TooManyVoidLookups {
        /// How many there are.
        void_lookups: usize,
        /// How many may be.
        limit: usize,
    },
    /// What the term looks for is not there (RFC 7208 §4.6.4, void lookups).
    #[error("{target} has nothing of the kind")]
    NothingThere {
        /// Where it looks.
        target: Name,
    },
    /// More exchanges than [`Limits::mx_names`] (RFC 7208 §4.6.4).
    #[error("{exchanges} mail exchanges, and {limit} may be asked for")]
    TooManyExchanges {
        /// How many there are.
        exchanges: usize,
        /// How many may be.
        limit: usize,
    },
    /// The domain has no SPF record (RFC 7208 §4.5, §5.2).
    #[error("{domain} has no SPF record")]
    NoRecord {
        /// The domain.
        domain: Name,
    },
    /// The domain has more than one SPF record (RFC 7208 §3.2).
    #[error("{domain} has {records} SPF records")]
    SeveralRecords {
        /// The domain.
        domain: Name,
        /// How many.
        records: usize,
    },
    /// The record of the domain leads back here, so that every evaluation ends in an error.
    #[error("{domain} leads here")]
    Loop {
        /// The domain.
        domain: Name,
    },
    /// The domain could not be asked for its record.
    #[error("{domain} TXT: {failure}")]
    LookupFailed {
        /// The domain.
        domain: Name,
        /// How it failed.
        failure: Failure,
    },
    /// `+all`, or a network of all addresses.
    #[error("it lets every host pass")]
    AnyoneMayPass,
    /// A network that is wider than any sender needs: an IPv4 prefix below 16, or an IPv6 prefix below 32.
    #[error("it lets a very large network pass")]
    WideNetwork,
    /// `?all`.
    #[error("\"?all\" says nothing of hosts that are not listed")]
    NeutralAll,
    /// Neither `all` nor `redirect=`: the default is neutral (RFC 7208 §4.7).
    #[error(
        "the record has neither \"all\" nor \"redirect=\", so hosts that are not listed are neutral"
    )]
    NoDefault,
    /// `ptr` (RFC 7208 §5.5).
    #[error("\"ptr\" is slow, unreliable and deprecated")]
    Ptr,
    /// `%{p}` (RFC 7208 §7.2).
    #[error("\"%{{p}}\" is slow, unreliable and deprecated")]
    ValidatedName,
    /// Behind `all` (RFC 7208 §5.1).
    #[error("the term stands behind \"all\" and is ignored")]
    Unreachable,
    /// `redirect=` beside `all` (RFC 7208 §6.1).
    #[error("\"redirect=\" is ignored beside \"all\"")]
    IdleRedirect,
    /// The same mechanism as an earlier term.
    #[error("the mechanism stood here before")]
    Duplicate,
    /// Bits of a network behind its prefix are set.
    #[error("the address is not the first of its network")]
    HostBits,
    /// `-include:`, `~include:` or `?include:`.
    #[error(
        "an include with this qualifier gives that result to the hosts that the other domain lets pass"
    )]
    QualifiedInclude,
    /// A modifier that RFC 7208 does not know.
    #[error("the modifier is not known, and ignored")]
    UnknownModifier,
    /// More than one string of a TXT record holds (RFC 7208 §3.3).
    #[error("{octets} octets do not fit in one string of 255 octets")]
    SeveralStrings {
        /// The length of the record.
        octets: usize,
    },
    /// Longer than fits in a DNS answer of 512 octets (RFC 7208 §3.4).
    #[error("a record of {octets} octets makes an answer that may not fit in 512 octets")]
    Long {
        /// The length of the record.
        octets: usize,
    },
    /// Upper case in the version or the name of a term.
    #[error("upper case is legal, and trips careless readers")]
    UpperCase,
    /// Two spaces in a row, or one at the end.
    #[error("more spaces than needed")]
    Spaces,
}

impl Problem {
    /// What to write instead, or to do.
    pub const fn instead(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "mend it, or receivers treat the whole record as permerror",
            Self::TooManyTerms { .. } => "replace names by ip4 and ip6, or drop services not used",
            Self::TooManyVoidLookups { .. } | Self::NothingThere { .. } => {
                "drop the term, or put what it looks for there"
            }
            Self::TooManyExchanges { .. } => {
                "write \"ip4\" and \"ip6\", or name the hosts that send"
            }
            Self::NoRecord { .. } => "publish one, or drop the term that leads there",
            Self::SeveralRecords { .. } => "join them into one record",
            Self::Loop { .. } => "drop one of the terms",
            Self::LookupFailed { .. } => "try again, or look at the domain's name servers",
            Self::AnyoneMayPass => "write \"-all\" or \"~all\", and list the hosts that send",
            Self::WideNetwork => "list the networks that send",
            Self::NeutralAll | Self::NoDefault => "end with \"-all\" or \"~all\"",
            Self::Ptr => "write \"a\", \"mx\", \"ip4\" or \"ip6\"",
            Self::ValidatedName => "use another macro",
            Self::Unreachable => "move it before \"all\", or drop it",
            Self::IdleRedirect => "drop one of the two",
            Self::Duplicate | Self::UnknownModifier => "drop it",
            Self::HostBits => "write the first address of the network, or drop the prefix",
            Self::QualifiedInclude => "write \"include:\" without a qualifier",
            Self::SeveralStrings { .. } => "publish it as several strings, cut anywhere",
            Self::Long { .. } => "move a part into the record of another name and include it",
            Self::UpperCase => "write it in lower case",
            Self::Spaces => "write one space between terms and none at the end",
        }
    }

    const fn severity(&self) -> Severity {
        match self {
            Self::Syntax(_)
            | Self::TooManyTerms { .. }
            | Self::TooManyVoidLookups { .. }
            | Self::TooManyExchanges { .. }
            | Self::NoRecord { .. }
            | Self::SeveralRecords { .. }
            | Self::Loop { .. }
            | Self::AnyoneMayPass => Severity::Error,
            Self::SeveralStrings { .. } | Self::UpperCase | Self::Spaces | Self::HostBits => {
                Severity::Note
            }
            _ => Severity::Warning,
        }
    }
}

/// What there is to say of a record, in the order of its octets. Nothing to say is an empty list.
///
/// ```
/// # use spf::{Limits, lint::lint};
/// let findings = lint(b"v=spf1 mx +all", &Limits::default());
/// assert_eq!(findings[0].span, 10..14);
/// assert_eq!(
///     findings[0].to_string(),
///     "error at octets 10 to 14: it lets every host pass; write \"-all\" or \"~all\", and list the hosts that send"
/// );
/// ```
pub fn lint(record: &[u8], limits: &Limits) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |span: Range<usize>, problem: Problem| findings.push(Finding::new(span, problem));
    let whole = 0..record.len();
    if record.len() > 450 {
        // RFC 7208 §3.4: "Records that are too long to fit in a single UDP packet could be silently ignored by SPF verifiers"
        say(
            whole.clone(),
            Problem::Long {
                octets: record.len(),
            },
        );
    } else if record.len() > 255 {
        say(
            whole.clone(),
            Problem::SeveralStrings {
                octets: record.len(),
            },
        );
    }
    let parsed = match SpfRecord::parse(record, limits) {
        Ok(parsed) => parsed,
        Err(error) => {
            let at = error.at.min(record.len());
            let length = record
                .iter()
                .skip(at)
                .take_while(|&&octet| octet != b' ')
                .count();
            say(at..at + length, Problem::Syntax(error));
            return findings;
        }
    };
    let (terms, mut lookups, mut all) = (parsed.terms(), 0, false);
    for (number, (span, term)) in spans(record).zip(terms).enumerate() {
        let text = record.get(span.clone()).unwrap_or_default();
        let name = text.iter().take_while(|octet| !b":=/".contains(octet));
        if name.into_iter().any(u8::is_ascii_uppercase) {
            say(span.clone(), Problem::UpperCase);
        }
        let validated = uses_validated_name(text);
        if validated {
            say(span.clone(), Problem::ValidatedName);
        }
        match term {
            Term::Directive(directive) => {
                if all {
                    say(span, Problem::Unreachable);
                    continue;
                }
                let same = |of: &Term| matches!(of, Term::Directive(of) if of.mechanism == directive.mechanism);
                if terms.iter().take(number).any(same) {
                    say(span.clone(), Problem::Duplicate);
                }
                lookups += asks(&directive.mechanism) * (1 + usize::from(validated));
                all = directive.mechanism == Mechanism::All;
                if let Some(problem) = problem(directive) {
                    say(span, problem);
                }
            }
            Term::Redirect(_) if parsed.redirect().is_none() => say(span, Problem::IdleRedirect),
            Term::Redirect(_) => lookups += 1 + usize::from(validated),
            Term::Explanation(_) => {}
            Term::Unknown { .. } => say(span, Problem::UnknownModifier),
        }
    }
    if lookups > limits.terms {
        let (terms, limit) = (lookups, limits.terms);
        say(whole.clone(), Problem::TooManyTerms { terms, limit });
    }
    if !all && parsed.redirect().is_none() {
        say(record.len()..record.len(), Problem::NoDefault);
    }
    if record.iter().take(6).any(u8::is_ascii_uppercase) {
        say(0..6, Problem::UpperCase);
    }
    if let Some(at) = record.windows(2).position(|pair| pair == b"  ") {
        say(at..at + 2, Problem::Spaces);
    } else if record.ends_with(b" ") {
        say(record.len() - 1..record.len(), Problem::Spaces);
    }
    findings.sort_by_key(|finding| finding.span.start);
    findings
}

/// Where the terms stand behind the version.
fn spans(record: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    let words = record.split(|&octet| octet == b' ').map(move |word| {
        let span = at..at + word.len();
        at = span.end + 1;
        span
    });
    words.skip(1).filter(|span| !span.is_empty())
}

fn uses_validated_name(term: &[u8]) -> bool {
    term.windows(3).any(|of| of.eq_ignore_ascii_case(b"%{p"))
}

const fn asks(mechanism: &Mechanism) -> usize {
    match mechanism {
        Mechanism::All | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => 0,
        _ => 1,
    }
}

fn problem(directive: &Directive) -> Option<Problem> {
    let passes = directive.qualifier == Qualifier::Pass;
    let (network, prefix) = match &directive.mechanism {
        Mechanism::All if passes => return Some(Problem::AnyoneMayPass),
        Mechanism::All if directive.qualifier == Qualifier::Neutral => {
            return Some(Problem::NeutralAll);
        }
        Mechanism::Ptr(_) => return Some(Problem::Ptr),
        Mechanism::Include(_) if !passes => return Some(Problem::QualifiedInclude),
        Mechanism::Ip4 { network, prefix } => (IpAddr::from(*network), *prefix),
        Mechanism::Ip6 { network, prefix } => (IpAddr::from(*network), *prefix),
        _ => return None,
    };
    let (wide, rest) = match network {
        IpAddr::V4(of) => (16, u128::from(of.to_bits()) << 96),
        IpAddr::V6(of) => (32, of.to_bits()),
    };
    if passes && prefix == 0 {
        Some(Problem::AnyoneMayPass)
    } else if passes && prefix < wide {
        Some(Problem::WideNetwork)
    } else if rest.checked_shl(prefix.into()).unwrap_or(0) != 0 {
        Some(Problem::HostBits)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings() {
        for (record, expected) in [
            ("v=spf1 mx -all", &[][..]),
            ("v=spf1 redirect=example.com", &[]),
            ("v=spf1 moo:x -all", &["error 7..12"]),
            ("moo", &["error 0..3"]),
            ("v=spf1 +all", &["error 7..11"]),
            ("v=spf1 ip4:0.0.0.0/0 -all", &["error 7..20"]),
            ("v=spf1 ip6:2000::/3 -all", &["warning 7..19"]),
            ("v=spf1 ip4:192.0.2.1/24 -all", &["note 7..23"]),
            ("v=spf1 ip6:2001:db8::1/64 -all", &["note 7..25"]),
            ("v=spf1 mx ?all", &["warning 10..14"]),
            ("v=spf1 mx", &["warning 9..9"]),
            ("v=spf1 ptr -all", &["warning 7..10"]),
            ("v=spf1 exists:%{P}.x.org -all", &["warning 7..24"]),
            ("v=spf1 -all mx", &["warning 12..14"]),
            ("v=spf1 redirect=x.org -all", &["warning 7..21"]),
            ("v=spf1 mx a ?mx -all", &["warning 12..15"]),
            ("v=spf1 -include:x.org -all", &["warning 7..21"]),
            ("v=spf1 x=y -all", &["warning 7..10"]),
            ("V=spf1 MX -all", &["note 0..6", "note 7..9"]),
            ("v=spf1  mx -all", &["note 6..8"]),
            ("v=spf1 -all ", &["note 11..12"]),
        ] {
            let said: Vec<String> = lint(record.as_bytes(), &Limits::default())
                .iter()
                .map(|of| format!("{} {:?}", of.severity, of.span))
                .collect();
            assert_eq!(said, expected, "{record}");
        }
    }

    #[test]
    fn lookups_and_length() {
        let terms = |count: usize| {
            let terms: Vec<String> = (0..count)
                .map(|at| format!("a:a{at}.example.com"))
                .collect();
            format!("v=spf1 {} -all", terms.join(" "))
        };
        assert_eq!(lint(terms(10).as_bytes(), &Limits::default()), []);
        let findings = lint(terms(11).as_bytes(), &Limits::default());
        let problem = |of: &Finding| of.problem.clone();
        let (terms, limit) = (11, 10);
        assert!(
            findings
                .iter()
                .map(problem)
                .any(|of| of == Problem::TooManyTerms { terms, limit })
        );
        for (networks, expected) in [(20, "SeveralStrings"), (40, "Long")] {
            let list: Vec<String> = (0..networks).map(|at| format!("ip4:10.0.{at}.0")).collect();
            let record = format!("v=spf1 {} -all", list.join(" "));
            let findings = lint(record.as_bytes(), &Limits::default());
            assert!(format!("{:?}", findings[0].problem).starts_with(expected));
        }
    }
}
