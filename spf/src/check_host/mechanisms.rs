//! What the terms of a record test (RFC 7208 §5), and the names they mean (§4.8).

use std::net::IpAddr;

use mail_dns::{Answer, Name, Question, Record, RecordType};

use super::lookups::LookupId;
use super::records::{Records, Term};
use super::{Check, Frame, Step, Stop};
use crate::config::Explain;
use crate::macros::{Context, ExplainString, Letter};
use crate::record::{Cursor, DualPrefix, Kind};
use crate::verdict::{Cause, Explanation, SpfResult, TermOutcome};

/// What a mechanism comes to.
pub(super) enum Test {
    Match,
    NoMatch,
    /// No match, because its own lookup found nothing (RFC 7208 §4.6.4).
    Void,
    /// What the record of this lookup comes to (RFC 7208 §5.2).
    Include(LookupId),
    /// What the record of this lookup comes to, without coming back (RFC 7208 §6.1).
    Redirect(LookupId),
}

impl Test {
    pub(super) const fn outcome(&self) -> TermOutcome {
        match self {
            Self::Match => TermOutcome::Match,
            Self::NoMatch => TermOutcome::NoMatch,
            Self::Void => TermOutcome::Void,
            Self::Include(_) | Self::Redirect(_) => TermOutcome::Followed,
        }
    }
}

/// What a domain-spec comes to.
pub(super) enum Target {
    Name(Name),
    /// No name comes of it.
    Malformed,
    /// It needs a local part that is not ASCII.
    NotAscii,
}

/// The macros that hold the local part.
const LOCAL_PART: &[Letter] = &[Letter::Sender, Letter::LocalPart];

impl Check {
    /// What a mechanism or `redirect` comes to.
    pub(super) fn test(&mut self, frame: &Frame, records: &Records, term: &Term) -> Step<Test> {
        if term.matches {
            return Ok(Test::Match);
        }
        if matches!(term.kind, Kind::Ip4 | Kind::Ip6) {
            return Ok(Test::NoMatch);
        }
        self.count_term(term)?;
        let refers = matches!(term.kind, Kind::Include | Kind::Redirect);
        self.uses_local_part |= records.spec(term).uses(LOCAL_PART);
        let target = match self.target(frame, records, term)? {
            Target::Name(target) if !refers || has_labels(&target) => target,
            // RFC 8616 §4: "If the local part contains non-ASCII characters, terms that include %{s} or %{l} do not match anything"
            Target::NotAscii if term.kind != Kind::Redirect => return Ok(Test::NoMatch),
            // RFC 7208 §5.2: a check_host() with a malformed domain gives none, which makes permerror of an include. §6.1: "if no SPF
            // record is found, or if the <target-name> is malformed, the result is a "permerror" rather than "none"."
            _ if refers => return Err(self.no_domain(frame, records, term)),
            // RFC 7208 §4.8: "Some implementations choose to treat such errors as not-match and therefore ignore such names". The sender
            // chooses what `%{l}` expands to, so the publisher's record is not to blame.
            _ => return Ok(Test::NoMatch),
        };
        match term.kind {
            Kind::Include => Ok(Test::Include(self.refer(target))),
            Kind::Redirect => Ok(Test::Redirect(self.refer(target))),
            Kind::Exists => {
                // RFC 7208 §5.7: "The resulting domain name is used for a DNS A RR lookup (even when the connection type is IPv6)."
                let records = self.lookup(&target, RecordType::A)?.records();
                let found = records.iter().any(|record| matches!(record, Record::A(_)));
                Ok(if found { Test::Match } else { Test::Void })
            }
            Kind::Mx => self.mx(&target, term.prefix),
            Kind::Ptr => self.ptr(&target),
            Kind::A => {
                let ip = self.session.ip;
                let answer = self.lookup(&target, self.address_type())?;
                Ok(if answer.is_void() {
                    Test::Void
                } else {
                    of(has_client(ip, answer, term.prefix))
                })
            }
            // They are settled above, or are not evaluated.
            _ => Ok(Test::NoMatch),
        }
    }

    /// Asks for the record that an `include` or `redirect` leads to.
    fn refer(&mut self, target: Name) -> LookupId {
        self.settle_term();
        self.lookups.ask(Question::new(target, RecordType::Txt))
    }

    /// RFC 7208 §5.4.
    fn mx(&mut self, target: &Name, prefix: DualPrefix) -> Step<Test> {
        let (ip, most) = (self.session.ip, self.config.limits.mx_names);
        let answer = self.lookup(target, RecordType::Mx)?;
        if answer.is_void() {
            return Ok(Test::Void);
        }
        let mut exchanges = Vec::new();
        for record in answer.records() {
            if let Record::Mx { exchange, .. } = record
                && !exchange.is_root()
            {
                // RFC 7208 §4.6.4: "the evaluation of each "MX" record MUST NOT result in querying more than 10 address records -- either
                // "A" or "AAAA" resource records.  If this limit is exceeded, the "mx" mechanism MUST produce a "permerror" result."
                if exchanges.len() == most {
                    let cause = Cause::TooManyExchanges {
                        domain: target.clone(),
                    };
                    return Err(Stop::end(SpfResult::PermError, cause));
                }
                exchanges.push(exchange.clone());
            }
        }
        let hosts = self.ask_together(&exchanges);
        let answers = || hosts.iter().map(|host| self.lookups.answer_to(*host));
        // RFC 7208 §5.4: "If any address matches, the mechanism matches." Then no other answer counts, so their order does not either.
        if answers()
            .flatten()
            .any(|answer| has_client(ip, answer, prefix))
        {
            return Ok(Test::Match);
        }
        if answers().any(|answer| answer.is_none()) {
            return Err(Stop::Wait);
        }
        for host in hosts {
            self.lookups.settled(host)?;
        }
        Ok(Test::NoMatch)
    }

    /// RFC 7208 §5.5.
    fn ptr(&mut self, target: &Name) -> Step<Test> {
        let Some(answer) = self.client_names()? else {
            // RFC 7208 §5.5: "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails to match."
            return Ok(Test::NoMatch);
        };
        if answer.is_empty() {
            return Ok(Test::Void);
        }
        // Only these can match, so only these need to be validated. (The last list of §5.5 has it the other way round; its own example
        // and the sentence before say what is meant.)
        let names: Vec<Name> = answer
            .into_iter()
            .filter(|name| name.is_subdomain_of(target))
            .collect();
        let validated = self.validate(&names);
        if validated.contains(&Some(true)) {
            return Ok(Test::Match);
        }
        if validated.contains(&None) {
            Err(Stop::Wait)
        } else {
            Ok(Test::NoMatch)
        }
    }

    /// The names of the client's address, the first of them within the limit; none where the lookup failed.
    fn client_names(&mut self) -> Step<Option<Vec<Name>>> {
        let most = self.config.limits.ptr_names;
        let lookup = self.ask(&Name::reverse(self.session.ip), RecordType::Ptr);
        let answer = self.lookups.answer_to(lookup).ok_or(Stop::Wait)?;
        let Ok(records) = answer.outcome() else {
            return Ok(None);
        };
        // RFC 7208 §4.6.4: "If this limit is exceeded, all records other than the first 10 MUST be ignored."
        let first = records.iter().take(most);
        let mut names = Vec::new();
        for record in first {
            if let Record::Ptr(name) = record
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        Ok(Some(names))
    }

    /// Whether each name leads back to the client; none where the answer is still missing.
    ///
    /// RFC 7208 §5.5: "If a DNS error occurs while doing an A RR lookup, then that domain name is skipped and the search continues."
    fn validate(&mut self, names: &[Name]) -> Vec<Option<bool>> {
        let ip = self.session.ip;
        let asked = self.ask_together(names);
        let valid = |id| {
            let answer = self.lookups.answer_to(id)?;
            Some(has_client(ip, answer, DualPrefix::WHOLE))
        };
        asked.into_iter().map(valid).collect()
    }

    /// The value of `%{p}` (RFC 7208 §7.3).
    fn validated_name(&mut self, frame: &Frame) -> Step<Vec<u8>> {
        let names = self.client_names()?.unwrap_or_default();
        let names: Vec<Name> = names.into_iter().filter(|name| !name.is_root()).collect();
        let validated = self.validate(&names);
        if validated.contains(&None) {
            return Err(Stop::Wait);
        }
        let validated = || {
            names
                .iter()
                .zip(&validated)
                .filter(|(_, valid)| **valid == Some(true))
                .map(|(name, _)| name)
        };
        // RFC 7208 §7.3: "If the <domain> is present in the list of validated domains, it SHOULD be used.  Otherwise, if a subdomain of
        // the <domain> is present, it SHOULD be used.  Otherwise, any name from the list can be used."
        let domain = self.domain(frame);
        let name = validated()
            .find(|name| *name == domain)
            .or_else(|| validated().find(|name| name.is_subdomain_of(domain)))
            .or_else(|| validated().next());
        // RFC 7208 §7.3: "If there are no validated domain names or if a DNS error occurs, the string "unknown" is used."
        Ok(name.map_or_else(|| b"unknown".to_vec(), Name::to_dotted))
    }

    /// RFC 7208 §5: "when <ip> is an IPv4, "A" records are fetched; when <ip> is an IPv6 address, "AAAA" records are fetched."
    pub(super) const fn address_type(&self) -> RecordType {
        match self.session.ip {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::Aaaa,
        }
    }

    /// Asks for the addresses of these names, all of them.
    fn ask_together(&mut self, names: &[Name]) -> Vec<LookupId> {
        let kind = self.address_type();
        names.iter().map(|name| self.ask(name, kind)).collect()
    }

    /// The target-name of a term (RFC 7208 §4.8).
    pub(super) fn target(&mut self, frame: &Frame, records: &Records, term: &Term) -> Step<Target> {
        let spec = records.spec(term);
        if spec.text.is_empty() {
            return Ok(Target::Name(self.domain(frame).clone()));
        }
        if let Some(name) = spec.literal() {
            return Ok(name.map_or(Target::Malformed, Target::Name));
        }
        if !self.session.local_part().is_ascii() && spec.uses(LOCAL_PART) {
            return Ok(Target::NotAscii);
        }
        let validated = if term.validates {
            self.validated_name(frame)?
        } else {
            Vec::new()
        };
        let dotted = self.domain(frame).to_dotted();
        let sender_domain = self.session.sender_domain();
        let context = self.context(&dotted, &sender_domain, &validated, None);
        Ok(spec
            .expand(&context)
            .map_or(Target::Malformed, Target::Name))
    }

    fn context<'a>(
        &'a self,
        domain: &'a [u8],
        sender_domain: &'a [u8],
        validated: &'a [u8],
        explain: Option<&'a Explain>,
    ) -> Context<'a> {
        Context {
            local_part: self.session.local_part(),
            sender_domain,
            domain,
            ip: self.session.ip,
            helo: self.session.helo.as_bytes(),
            validated,
            receiver: explain.map_or(b"unknown", |explain| explain.receiver.as_bytes()),
            now: explain.map_or(0, |explain| explain.now),
        }
    }

    /// RFC 7208 §6.2: the explanation of a record, or none for whatever reason: "proceed as if no "exp" modifier was given."
    pub(super) fn explanation(
        &mut self,
        frame: &Frame,
        records: &Records,
    ) -> Step<Option<Explanation>> {
        let (Some(term), Some(explain)) = (records.explanation(frame), self.config.explain.clone())
        else {
            return Ok(None);
        };
        let Target::Name(target) = self.target(frame, records, term)? else {
            return Ok(None);
        };
        let most = self.config.limits.record;
        let lookup = self.ask(&target, RecordType::Txt);
        let answer = self.lookups.answer_to(lookup).ok_or(Stop::Wait)?;
        let [Record::Txt(text)] = answer.records() else {
            return Ok(None);
        };
        let text = text.joined();
        let parsed = core::str::from_utf8(&text)
            .ok()
            .filter(|text| text.len() <= most);
        let Some(text) = parsed.and_then(|text| text.parse::<ExplainString>().ok()) else {
            return Ok(None);
        };
        let validated = if text.uses(&[Letter::Validated]) {
            self.validated_name(frame)?
        } else {
            Vec::new()
        };
        let domain = self.domain(frame).to_dotted();
        let sender_domain = self.session.sender_domain();
        let context = self.context(&domain, &sender_domain, &validated, Some(&explain));
        Ok(text
            .expand(&context, self.config.limits.explanation)
            .ok()
            .and_then(Explanation::new))
    }
}

fn has_client(ip: IpAddr, answer: &Answer, prefix: DualPrefix) -> bool {
    answer.records().iter().any(|record| {
        let address = match record {
            Record::A(address) => IpAddr::V4(*address),
            Record::Aaaa(address) => IpAddr::V6(*address),
            _ => return false,
        };
        same_network(ip, address, prefix.v4, prefix.v6)
    })
}

/// Whether a name is more than the root and one label.
pub(super) fn has_labels(name: &Name) -> bool {
    name.labels().nth(1).is_some()
}

const fn of(matches: bool) -> Test {
    if matches { Test::Match } else { Test::NoMatch }
}

/// Whether the network of an `ip4` or `ip6` holds the client.
pub(super) fn holds(term: &Cursor<'_>, ip: IpAddr) -> bool {
    // RFC 7208 §5: "If a CIDR prefix length is specified, then only the specified number of high-order bits of <ip> and the IP address
    // are compared for equality."
    match (term.kind, ip) {
        (Kind::Ip4, IpAddr::V4(ip)) => {
            let differ = u128::from(ip.to_bits()) ^ term.network;
            differ.leading_zeros() >= 96 + u32::from(term.v4)
        }
        (Kind::Ip6, IpAddr::V6(ip)) => {
            let differ = ip.to_bits() ^ term.network;
            differ.leading_zeros() >= u32::from(term.v6)
        }
        _ => false,
    }
}

/// RFC 7208 §5: "If a CIDR prefix length is specified, then only the specified number of high-order bits of <ip> and the IP address are
/// compared for equality."
pub(super) fn same_network(ip: IpAddr, network: IpAddr, v4: u8, v6: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let differ = ip.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= u32::from(v4)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let differ = ip.to_bits() ^ network.to_bits();
            differ.leading_zeros() >= u32::from(v6)
        }
        _ => false,
    }
}
