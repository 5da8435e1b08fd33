//! Does the name of the client look like that of an end user's line (S25R, "Selective SMTP Rejection")?
//!
//! Asami Hideo's rules look at nothing but the name that the reverse tree gives for the client's address: lines of end users are
//! numbered, mail servers mostly are not. About one mail server in eight is caught too, so a match is a reason for a *temporary*
//! refusal (reply 450) and greylisting, never for a permanent one, and a white list comes before the rules. They were made for IPv4.

use core::fmt;
use std::net::IpAddr;

use mail_dns::Name;

use crate::Network;
use crate::iprev::{self, IprevResult};
use crate::text::Quoted;

/// What is known of a client's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReverseName {
    /// It has none.
    Missing,
    /// It has one that does not lead back to the address: whoever owns the address may claim any name.
    Unconfirmed(Name),
    /// It has one that leads back (RFC 8601 §3, "pass").
    Confirmed(Name),
    /// The lookup failed; a failure is held against nobody.
    Unavailable,
}

/// The first confirmed name, else the first name.
impl From<&iprev::Verdict> for ReverseName {
    fn from(verdict: &iprev::Verdict) -> Self {
        let confirmed = verdict.confirmed.first();
        match (verdict.result, confirmed, verdict.names.first()) {
            (_, Some(name), _) => Self::Confirmed(name.clone()),
            (IprevResult::TempError, ..) => Self::Unavailable,
            (_, None, Some(name)) => Self::Unconfirmed(name.clone()),
            (_, None, None) => Self::Missing,
        }
    }
}

/// A rule of the paper, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rule {
    /// Rule 0: there is no name, or the name is an address in brackets.
    NoName = 0,
    /// Rule 1: the leftmost label has two numbers with something else between them: `pc-12-34.example.net`.
    TwoNumbers = 1,
    /// Rule 2: the leftmost label has five digits in a row.
    FiveDigits = 2,
    /// Rule 3: the leftmost or second label begins with a digit, and three more stand behind it: `398.pool.example.ne.jp`.
    LeadingDigit = 3,
    /// Rule 4: the leftmost label ends in a digit, and the second has digits around a hyphen: `host1.pool-12-34.example.net`.
    NumberedPool = 4,
    /// Rule 5: the two leftmost labels end in a digit, of five or more: `d1.area2.pool.example.net`.
    TwoTrailingDigits = 5,
    /// Rule 6: the leftmost label begins with `dhcp`, `dialup`, `ppp` or a word for DSL, and has a digit.
    Dynamic = 6,
}

impl Rule {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::NoName,
        Self::TwoNumbers,
        Self::FiveDigits,
        Self::LeadingDigit,
        Self::NumberedPool,
        Self::TwoTrailingDigits,
        Self::Dynamic,
    ];

    /// The number.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The number and what it looks for: `rule 2: five digits`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoName => "no name that leads back",
            Self::TwoNumbers => "two numbers",
            Self::FiveDigits => "five digits",
            Self::LeadingDigit => "a digit first",
            Self::NumberedPool => "a numbered host of a numbered pool",
            Self::TwoTrailingDigits => "two labels that end in digits",
            Self::Dynamic => "a word for dynamic lines",
        };
        write!(f, "rule {}: {words}", self.number())
    }
}

/// What [`S25r::check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The white list knows the client; no rule was looked at.
    WhiteListed,
    /// A rule matches.
    Suspicious {
        /// The first that does.
        rule: Rule,
        /// What it matched on: the labels it looked at, or for rule 0 the name without forward confirmation, if there is one. As the
        /// DNS writes names: printable ASCII, any other octet as `\DDD`.
        part: String,
        /// Whether the name leads back to the address.
        confirmed: bool,
    },
    /// No rule matches.
    Clear,
    /// The name could not be looked up.
    Undecided,
}

impl Finding {
    /// Whether a rule matches.
    pub const fn is_suspicious(&self) -> bool {
        matches!(self, Self::Suspicious { .. })
    }
}

/// For logs; what comes from the DNS stands in quotes and is printable ASCII.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WhiteListed => f.write_str("white-listed"),
            Self::Suspicious {
                rule,
                part,
                confirmed,
            } => {
                print_match(f, *rule, part)?;
                if !confirmed && *rule != Rule::NoName {
                    f.write_str(" (not forward confirmed)")?;
                }
                Ok(())
            }
            Self::Clear => f.write_str("no rule matches"),
            Self::Undecided => f.write_str("the name could not be looked up"),
        }
    }
}

pub(crate) fn print_match(f: &mut fmt::Formatter<'_>, rule: Rule, part: &str) -> fmt::Result {
    write!(f, "{rule}")?;
    match (rule, part) {
        (_, "") => Ok(()),
        (Rule::NoName, part) => write!(f, ", {} does not", Quoted(part)),
        (_, part) => write!(f, " in {}", Quoted(part)),
    }
}

/// What to make of a name that does not lead back to the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unconfirmed {
    /// The rules look at it; where none matches, it is as good as no name (rule 0). The default: an attacker writes his own PTR.
    #[default]
    IsNoName,
    /// The rules look at it as at any name.
    IsName,
}

/// The rules and what comes before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S25r {
    /// Networks whose clients are never suspicious.
    pub networks: Vec<Network>,
    /// Domains below which (and at which) no name is suspicious; counts only for names with forward confirmation.
    pub domains: Vec<Name>,
    /// What a name without forward confirmation is worth.
    pub unconfirmed: Unconfirmed,
}

impl S25r {
    /// Looks at a client's name: white list first, then rules 0 to 6 in order.
    pub fn check(&self, client: IpAddr, name: &ReverseName) -> Finding {
        if self.networks.iter().any(|network| network.contains(client)) {
            return Finding::WhiteListed;
        }
        let (name, confirmed) = match name {
            ReverseName::Unavailable => return Finding::Undecided,
            ReverseName::Missing => {
                return Finding::Suspicious {
                    rule: Rule::NoName,
                    part: String::new(),
                    confirmed: false,
                };
            }
            ReverseName::Unconfirmed(name) => (name, false),
            ReverseName::Confirmed(name) => (name, true),
        };
        if confirmed
            && self
                .domains
                .iter()
                .any(|domain| name.is_subdomain_of(domain))
        {
            return Finding::WhiteListed;
        }
        match matching(name) {
            Some((rule, part)) => Finding::Suspicious {
                rule,
                part,
                confirmed,
            },
            None if !confirmed && self.unconfirmed == Unconfirmed::IsNoName => {
                Finding::Suspicious {
                    rule: Rule::NoName,
                    part: name.to_string(),
                    confirmed,
                }
            }
            None => Finding::Clear,
        }
    }

    /// The same by what iprev found: of several names that lead back to the address the one counts that speaks best for it.
    pub fn check_names(&self, client: IpAddr, found: &iprev::Verdict) -> Finding {
        let first = self.check(client, &ReverseName::from(found));
        if !first.is_suspicious() {
            return first;
        }
        let others = found.confirmed.iter().skip(1);
        let mut others =
            others.map(|name| self.check(client, &ReverseName::Confirmed(name.clone())));
        others.find(|other| !other.is_suspicious()).unwrap_or(first)
    }
}

/// The first rule that matches a name, and the labels that it looked at; linear in the name.
///
/// ```
/// # use screening::s25r::{Rule, matching};
/// let name = "ppp12.pool.example.net".parse()?;
/// assert_eq!(matching(&name), Some((Rule::Dynamic, "ppp12".to_owned())));
/// assert_eq!(matching(&"mail.example.net".parse()?), None);
/// # Ok::<(), mail_dns::NameError>(())
/// ```
pub fn matching(name: &Name) -> Option<(Rule, String)> {
    let labels: Vec<&[u8]> = name.labels().collect();
    let part = |labels: &[&[u8]]| {
        Name::from_labels(labels).map_or_else(|_| String::new(), |name| name.to_string())
    };
    let [first, rest @ ..] = labels.as_slice() else {
        return Some((Rule::NoName, String::new()));
    };
    if first.starts_with(b"[") && labels.last().is_some_and(|label| label.ends_with(b"]")) {
        return Some((Rule::NoName, part(&labels)));
    }
    // The whole name counts for rule 1: an address without any dot is no host name.
    if !rest.is_empty() && digit_runs(first) >= 2 {
        return Some((Rule::TwoNumbers, part(&labels[..1])));
    }
    if longest_run(first) >= 5 {
        return Some((Rule::FiveDigits, part(&labels[..1])));
    }
    for at in 0..2 {
        let begins = labels
            .get(at)
            .is_some_and(|label| label[0].is_ascii_digit());
        let behind = labels.get(at + 3..).unwrap_or_default();
        if begins && behind.iter().any(|label| label[0].is_ascii_alphabetic()) {
            return Some((Rule::LeadingDigit, part(&labels[at..=at])));
        }
    }
    let ends = |label: &[u8]| label.last().is_some_and(u8::is_ascii_digit);
    if let [second, ..] = rest
        && ends(first)
    {
        let around = |window: &[u8]| matches!(window, [a, b'-', b] if a.is_ascii_digit() && b.is_ascii_digit());
        if second.windows(3).any(around) {
            return Some((Rule::NumberedPool, part(&labels[..2])));
        }
        if ends(second) && labels.len() >= 5 {
            return Some((Rule::TwoTrailingDigits, part(&labels[..2])));
        }
    }
    let dynamic = DYNAMIC.iter().any(|word| {
        let split = first.split_at_checked(word.len());
        split.is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(word) && rest.iter().any(u8::is_ascii_digit)
        })
    });
    dynamic.then(|| (Rule::Dynamic, part(&labels[..1])))
}

/// The words of rule 6.
const DYNAMIC: [&[u8]; 11] = [
    b"dhcp", b"dialup", b"ppp", b"dsl", b"adsl", b"cdsl", b"hdsl", b"rdsl", b"sdsl", b"vdsl",
    b"xdsl",
];

fn digit_runs(label: &[u8]) -> usize {
    let runs = label.split(|octet| !octet.is_ascii_digit());
    runs.filter(|run| !run.is_empty()).count()
}

fn longest_run(label: &[u8]) -> usize {
    let runs = label.split(|octet| !octet.is_ascii_digit());
    runs.map(<[u8]>::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn rules() {
        for (text, expected) in [
            (".", Some((0, ""))),
            ("[192.0.2.1]", Some((0, "[192.0.2.1]"))),
            (
                "220-139-165-188.dynamic.example.net",
                Some((1, "220-139-165-188")),
            ),
            ("p1a2.example.net", Some((1, "p1a2"))),
            ("1x2", None),
            ("h12345.example.net", Some((2, "h12345"))),
            ("12345", Some((2, "12345"))),
            ("h1234.example.net", None),
            ("398.pool.example.ne.jp", Some((3, "398"))),
            ("398.pool.example.net", Some((3, "398"))),
            ("a.398.pool.example.net", Some((3, "398"))),
            ("398.example.net", None),
            ("a.398.example.net", None),
            ("4.3.2.1", None),
            (
                "host1.pool-12-34.example.net",
                Some((4, "host1.pool-12-34")),
            ),
            ("host.pool-12-34.example.net", None),
            ("host1.pool-12-a.example.net", None),
            ("d1.area2.pool.example.net", Some((5, "d1.area2"))),
            ("d1.area2.example.net", None),
            ("dhcp-7.example.net", Some((6, "dhcp-7"))),
            ("PPP12.example.net", Some((6, "PPP12"))),
            ("xdsl-a1.example.net", Some((6, "xdsl-a1"))),
            ("qdsl-1.example.net", None),
            ("ppp.example.net", None),
            ("mail.example.net", None),
            ("mx1.example.net", None),
        ] {
            let expected = expected.map(|(rule, part): (u8, &str)| (rule, part.to_owned()));
            let found = matching(&name(text)).map(|(rule, part)| (rule.number(), part));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn white_list_first_and_only_for_confirmed_names() {
        let s25r = S25r {
            networks: vec!["203.0.113.0/24".parse().unwrap()],
            domains: vec![name("example.net")],
            ..S25r::default()
        };
        let pool = name("ppp12.example.net");
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let finding = |found: &ReverseName| s25r.check(client, found);
        assert_eq!(
            finding(&ReverseName::Confirmed(pool.clone())),
            Finding::WhiteListed
        );
        assert!(finding(&ReverseName::Unconfirmed(pool)).is_suspicious());
        assert_eq!(
            s25r.check("203.0.113.9".parse().unwrap(), &ReverseName::Missing),
            Finding::WhiteListed
        );
        assert_eq!(finding(&ReverseName::Unavailable), Finding::Undecided);
        assert_eq!(
            finding(&ReverseName::Missing).to_string(),
            "rule 0: no name that leads back"
        );
    }

    #[test]
    fn a_name_of_somebody_else_is_no_name() {
        let forged = ReverseName::Unconfirmed(name("mail.example.org"));
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let finding = S25r::default().check(client, &forged);
        assert_eq!(
            finding.to_string(),
            "rule 0: no name that leads back, \"mail.example.org\" does not"
        );
        let lenient = S25r {
            unconfirmed: Unconfirmed::IsName,
            ..S25r::default()
        };
        assert_eq!(lenient.check(client, &forged), Finding::Clear);
    }

    #[test]
    fn hostile_names_are_escaped_in_logs() {
        let hostile = Name::from_labels([&b"1\r\nX: 2"[..], b"example"]).unwrap();
        let finding = S25r::default().check(
            "192.0.2.1".parse().unwrap(),
            &ReverseName::Confirmed(hostile),
        );
        assert_eq!(
            finding.to_string(),
            r#"rule 1: two numbers in "1\\013\\010X:\\0322""#
        );
    }
}
