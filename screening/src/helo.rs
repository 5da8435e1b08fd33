//! Is what the client calls itself in HELO or EHLO what a mail server would say?
//!
//! None of what is found here is a reason to refuse mail by itself. Where a name does not lead to the client, the RFC forbids it:
//! RFC 5321 §4.1.4: "An SMTP server MAY verify that the domain name argument in the EHLO command actually corresponds to the IP address
//! of the client. However, if the verification fails, the server MUST NOT refuse to accept a message on that basis." For the rest it
//! leaves it to the site (§7.9). So each finding is worth some points to the [`scorer`](crate::scorer), and the forbidden one never
//! counts towards a refusal there.

use core::fmt;
use std::net::IpAddr;

use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, Record, RecordType};
use mail_syntax::Host;

/// What the server itself is called, which no client can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ours {
    /// Its names: those of the host, and the domains that it receives mail for.
    pub names: Vec<Name>,
    /// Its addresses, those that it has in front of an address translator included.
    pub addresses: Vec<IpAddr>,
}

/// What the argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A domain of two labels or more: what RFC 5321 §2.3.5 asks for.
    Domain,
    /// A single label, such as `localhost`: "no more than a local alias" (§2.3.5).
    NotQualified,
    /// The client's own address as a literal: what a host without a name says (§4.1.4).
    OwnLiteral,
    /// An address literal that is not the client's.
    ForeignLiteral,
    /// An address without the brackets.
    BareAddress,
    /// One of our own names.
    OurName,
    /// One of our own addresses, as a literal or bare.
    OurAddress,
    /// Neither a domain nor an address literal.
    Malformed,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Domain => "a domain",
            Self::NotQualified => "a single label",
            Self::OwnLiteral => "the client's address",
            Self::ForeignLiteral => "an address that is not the client's",
            Self::BareAddress => "an address without brackets",
            Self::OurName => "a name of ours",
            Self::OurAddress => "an address of ours",
            Self::Malformed => "neither a domain nor an address",
        })
    }
}

/// Where a domain leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resolution {
    /// It was not looked up: it is no domain, or one of ours.
    NotAsked,
    /// To the client.
    Client,
    /// To other addresses, or to mail exchangers only.
    Elsewhere,
    /// Nowhere: it has no A, AAAA or MX record.
    Nowhere,
    /// A lookup failed, and none led to the client; a failure is held against nobody.
    Failed(Failure),
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not looked up"),
            Self::Client => f.write_str("leads to the client"),
            Self::Elsewhere => f.write_str("leads elsewhere"),
            Self::Nowhere => f.write_str("leads nowhere"),
            Self::Failed(failure) => write!(f, "the lookup: {failure}"),
        }
    }
}

/// What a [`Helo`] comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What the argument is.
    pub form: Form,
    /// Where it leads.
    pub resolution: Resolution,
    /// The domain, if it is one: to be looked up in lists of names.
    pub name: Option<Name>,
}

/// Both in a line: `a domain, leads elsewhere`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form.fmt(f)?;
        match self.resolution {
            Resolution::NotAsked => Ok(()),
            resolution => write!(f, ", {resolution}"),
        }
    }
}

/// What an argument of HELO or EHLO is, without any lookup.
///
/// ```
/// # use screening::helo::{Form, Ours, form};
/// let client = "192.0.2.7".parse()?;
/// let mut ours = Ours::default();
/// ours.names.push("mx.example.org".parse()?);
/// assert_eq!(form("[192.0.2.7]", client, &ours), Form::OwnLiteral);
/// assert_eq!(form("192.0.2.7", client, &ours), Form::BareAddress);
/// assert_eq!(form("MX.example.org", client, &ours), Form::OurName);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn form(argument: &str, client: IpAddr, ours: &Ours) -> Form {
    let is_ours = |address: IpAddr| {
        let mut ours = ours.addresses.iter();
        ours.any(|our| our.to_canonical() == address.to_canonical())
    };
    if let Ok(address) = argument.parse::<IpAddr>() {
        return if is_ours(address) {
            Form::OurAddress
        } else {
            Form::BareAddress
        };
    }
    match argument.parse::<Host>() {
        Err(_) => Form::Malformed,
        Ok(Host::Literal(literal)) => match literal.ip() {
            Some(address) if is_ours(address) => Form::OurAddress,
            Some(address) if address.to_canonical() == client.to_canonical() => Form::OwnLiteral,
            _ => Form::ForeignLiteral,
        },
        Ok(Host::Domain(domain)) => match name(domain.as_str()) {
            Some(name) if ours.names.contains(&name) => Form::OurName,
            Some(name) if name.label_count() > 1 => Form::Domain,
            Some(_) => Form::NotQualified,
            None => Form::Malformed,
        },
    }
}

fn name(domain: &str) -> Option<Name> {
    Name::from_dotted(domain.as_bytes()).ok()
}

/// Looks at the argument of HELO or EHLO, and asks for the A, AAAA and MX records of a domain at once.
#[derive(Clone, Debug)]
pub struct Helo {
    form: Form,
    client: IpAddr,
    name: Option<Name>,
    asked: usize,
    /// In the order of [`KINDS`].
    found: [Option<Found>; 3],
}

/// What makes a name resolvable (RFC 5321 §2.3.5: "names that can be resolved to MX RRs or address (i.e., A or AAAA) RRs").
const KINDS: [RecordType; 3] = [RecordType::A, RecordType::Aaaa, RecordType::Mx];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Client,
    Others,
    Nothing,
    Failed(Failure),
}

impl Helo {
    /// Begins the evaluation.
    pub fn new(argument: &str, client: IpAddr, ours: &Ours) -> Self {
        let form = form(argument, client, ours);
        let is_domain = form == Form::Domain;
        Self {
            form,
            client: client.to_canonical(),
            name: is_domain.then(|| name(argument)).flatten(),
            asked: 0,
            found: [None; 3],
        }
    }

    /// The domain, if it is one: what the verdict will have, known before any answer.
    pub const fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    fn found(&self, kind: RecordType, answer: &Answer) -> Found {
        let records = match answer.outcome() {
            Ok(records) => records,
            Err(failure) => return Found::Failed(failure),
        };
        let is_client = |record: &Record| match (record, self.client) {
            (Record::A(address), IpAddr::V4(client)) => *address == client,
            (Record::Aaaa(address), IpAddr::V6(client)) => *address == client,
            _ => false,
        };
        // RFC 7505 §3: a null MX says that there is no mail; it makes no name resolvable.
        let counts = |record: &Record| match record {
            Record::Mx { exchange, .. } => !exchange.is_root(),
            record => record.kind() == kind,
        };
        if records.iter().any(is_client) {
            Found::Client
        } else if records.iter().any(counts) {
            Found::Others
        } else {
            Found::Nothing
        }
    }

    fn resolution(&self) -> Resolution {
        let found = || self.found.iter().flatten();
        let failed = found().find_map(|found| match found {
            Found::Failed(failure) => Some(Resolution::Failed(*failure)),
            _ => None,
        });
        // Where the client's own kind of address could not be looked up, nobody knows that the name does not lead to it.
        let own_kind = if self.client.is_ipv4() { 0 } else { 1 };
        let own_failed = matches!(self.found.get(own_kind), Some(Some(Found::Failed(_))));
        if self.name.is_none() {
            Resolution::NotAsked
        } else if found().any(|found| *found == Found::Client) {
            Resolution::Client
        } else if !own_failed && found().any(|found| *found == Found::Others) {
            Resolution::Elsewhere
        } else {
            failed.unwrap_or(Resolution::Nowhere)
        }
    }
}

impl Evaluation for Helo {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if let (Some(name), Some(kind)) = (&self.name, KINDS.get(self.asked)) {
            self.asked += 1;
            return Need::Lookup(Question::new(name.clone(), *kind));
        }
        if self.name.is_some() && self.found.contains(&None) {
            return Need::Wait;
        }
        Need::Done(Verdict {
            form: self.form,
            resolution: self.resolution(),
            name: self.name.clone(),
        })
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if self.name.as_ref() != Some(&question.name) {
            return;
        }
        let asked = KINDS.iter().take(self.asked);
        let Some(at) = asked.into_iter().position(|kind| *kind == question.kind) else {
            return;
        };
        let found = self.found(question.kind, answer);
        if let Some(slot) = self.found.get_mut(at) {
            slot.get_or_insert(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_dns::{Zone, resolve_blocking};

    fn ours() -> Ours {
        Ours {
            names: vec!["mx.example.org".parse().unwrap()],
            addresses: vec![
                "203.0.113.1".parse().unwrap(),
                "2001:db8::1".parse().unwrap(),
            ],
        }
    }

    #[test]
    fn forms() {
        let long = format!("{0}.{0}.{0}.{0}.example", "a".repeat(63));
        for (argument, expected) in [
            ("mail.example.net", Form::Domain),
            ("mail_1.example.net", Form::Domain),
            ("sub.mx.example.org", Form::Domain),
            ("localhost", Form::NotQualified),
            ("WIN-1234", Form::NotQualified),
            ("[192.0.2.7]", Form::OwnLiteral),
            ("[IPv6:::ffff:192.0.2.7]", Form::OwnLiteral),
            ("[192.0.2.8]", Form::ForeignLiteral),
            ("[IPv6:2001:db8::7]", Form::ForeignLiteral),
            ("[x:y]", Form::ForeignLiteral),
            ("192.0.2.7", Form::BareAddress),
            ("2001:db8::7", Form::BareAddress),
            ("203.0.113.1", Form::OurAddress),
            ("[203.0.113.1]", Form::OurAddress),
            ("[IPv6:2001:DB8:0::1]", Form::OurAddress),
            ("mx.EXAMPLE.org", Form::OurName),
            ("", Form::Malformed),
            ("[192.0.2.7", Form::Malformed),
            ("[]", Form::Malformed),
            ("mail..example.net", Form::Malformed),
            ("mail.example.net.", Form::Malformed),
            ("mail example.net", Form::Malformed),
            ("\u{e9}.example.net", Form::Malformed),
            ("a\r\nb.example", Form::Malformed),
            (long.as_str(), Form::Malformed),
        ] {
            let found = form(argument, "::ffff:192.0.2.7".parse().unwrap(), &ours());
            assert_eq!(found, expected, "{argument:?}");
        }
    }

    #[test]
    fn where_a_domain_leads() {
        const NAME: &str = "mail.example.net";
        let other = [192, 0, 2, 8];
        let timeout = Resolution::Failed(Failure::Timeout);
        let fail = |zone: Zone, kind| zone.fail_type(NAME, kind, Failure::Timeout);
        for (zone, v4, v6) in [
            (Zone::new(), Resolution::Nowhere, Resolution::Nowhere),
            (
                Zone::new().a(NAME, [192, 0, 2, 7]).a(NAME, other),
                Resolution::Client,
                Resolution::Elsewhere,
            ),
            (
                Zone::new().aaaa(NAME, [0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]),
                Resolution::Elsewhere,
                Resolution::Client,
            ),
            (
                Zone::new().mx(NAME, 10, "mx.example.com"),
                Resolution::Elsewhere,
                Resolution::Elsewhere,
            ),
            (
                Zone::new().mx(NAME, 0, "."),
                Resolution::Nowhere,
                Resolution::Nowhere,
            ),
            (fail(Zone::new(), RecordType::Mx), timeout, timeout),
            (
                fail(Zone::new().a(NAME, other), RecordType::Mx),
                Resolution::Elsewhere,
                Resolution::Elsewhere,
            ),
            (
                fail(Zone::new().a(NAME, other), RecordType::Aaaa),
                Resolution::Elsewhere,
                timeout,
            ),
            (
                fail(Zone::new().a(NAME, [192, 0, 2, 7]), RecordType::Aaaa),
                Resolution::Client,
                timeout,
            ),
        ] {
            for (client, expected) in [("192.0.2.7", v4), ("2001:db8::7", v6)] {
                let helo = Helo::new(NAME, client.parse().unwrap(), &ours());
                let verdict = resolve_blocking(helo, |question| zone.answer(question));
                assert_eq!(verdict.resolution, expected, "{client}");
                assert_eq!(verdict.form, Form::Domain);
            }
        }
    }

    #[test]
    fn all_is_asked_at_once_and_only_of_domains() {
        let client = "192.0.2.7".parse().unwrap();
        let mut helo = Helo::new("mail.example.net", client, &ours());
        for _ in KINDS {
            assert!(matches!(helo.poll(), Need::Lookup(_)));
        }
        assert_eq!(helo.poll(), Need::Wait);
        for argument in ["localhost", "mx.example.org", "[192.0.2.7]", "!"] {
            let need = Helo::new(argument, client, &ours()).poll();
            assert!(
                matches!(&need, Need::Done(verdict) if verdict.resolution == Resolution::NotAsked),
                "{argument}"
            );
        }
    }
}
