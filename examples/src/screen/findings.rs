//! What is found of a client and its message before the message comes.

use std::net::IpAddr;

use mail_dns::Name;
use mail_syntax::{Host, ReversePath};
use screening::asn::Origin;
use screening::dnsbl::{self, Dnsbl, Subjects};
use screening::early_talker::Conduct;
use screening::greylisting::Attempt;
use screening::helo::{self, Helo, Resolution};
use screening::iprev::{self, Iprev};
use screening::reputation;
use screening::s25r;
use screening::scorer::{Evidence, Spf};
use spf::{CheckHost, SpfResult};
use tokio::time::Instant;

use super::{KnownBy, PATIENCE, Screen};
use crate::resolver::Resolver;

/// Who wants to send, as it says.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its address.
    pub client: IpAddr,
    /// The argument of its HELO or EHLO, if it gave one.
    pub helo: Option<String>,
    /// Its MAIL FROM.
    pub sender: ReversePath,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// Of whom.
    pub claim: Claim,
    /// How it speaks SMTP.
    pub conduct: Conduct,
    /// Who announces its address.
    pub asn: Origin,
    /// The names of its address.
    pub iprev: iprev::Verdict,
    /// Whether they look like an end user's line.
    pub s25r: s25r::Finding,
    /// What it calls itself.
    pub helo: Option<helo::Verdict>,
    /// What the lists say.
    pub lists: dnsbl::Verdict,
    /// What SPF says of MAIL FROM.
    pub spf: Option<spf::Verdict>,
    /// What its past is worth.
    pub past: Option<reputation::Score>,
    /// Whether somebody has written from the recipient's address to the sender's, which anybody may claim to have.
    pub is_correspondent: bool,
}

impl Screen {
    /// Finds out what the DNS says: within three seconds, and what lists say within three more.
    pub async fn find(&self, resolver: &Resolver, claim: Claim, conduct: Conduct) -> Findings {
        let deadline = Instant::now() + PATIENCE;
        let helo = claim.helo.as_deref();
        let helo = helo.map(|argument| Helo::new(argument, claim.client, &self.ours));
        let mut subjects = Subjects::from(claim.client);
        subjects.mail_from = sender_domain(&claim.sender);
        subjects.helo = helo.as_ref().and_then(|helo| helo.name().cloned());
        let helo = async { Some(resolver.evaluate(helo?, deadline).await) };
        let spf = async {
            if !self.evaluate_spf {
                return None;
            }
            let client = spf::Client::new(claim.client, claim.helo.clone().unwrap_or_default());
            let check = CheckHost::mail_from(&client, &claim.sender, &spf::Config::default());
            Some(resolver.evaluate(check, deadline).await)
        };
        let iprev_and_lists = async {
            let iprev = Iprev::new(claim.client, &iprev::Limits::default());
            let iprev = resolver.evaluate(iprev, deadline).await;
            subjects.reverse_name = iprev.confirmed.first().cloned();
            // The client's own name servers may take all of the time above, so lists have a time of their own.
            let deadline = Instant::now() + PATIENCE;
            let lists = self.ask_lists(resolver, subjects, deadline).await;
            (iprev, lists)
        };
        let asn = self.origins.ask(resolver, claim.client);
        let ((iprev, lists), helo, spf, asn) = tokio::join!(iprev_and_lists, helo, spf, asn);
        Findings {
            asn,
            s25r: self.s25r.check_names(claim.client, &iprev),
            claim,
            conduct,
            iprev,
            helo,
            lists,
            spf,
            past: None,
            is_correspondent: false,
        }
    }

    /// Asks early what will be needed later: the resolver keeps the answers.
    pub(super) async fn ask_ahead(&self, resolver: &Resolver, client: IpAddr) {
        let deadline = Instant::now() + PATIENCE;
        let iprev = Iprev::new(client, &iprev::Limits::default());
        let iprev = resolver.evaluate(iprev, deadline);
        let lists = self.ask_lists(resolver, client.into(), deadline);
        tokio::join!(iprev, lists, self.origins.ask(resolver, client));
    }

    /// By what a client is known that has only connected.
    pub(super) async fn known_by_address(&self, resolver: &Resolver, client: IpAddr) -> KnownBy {
        KnownBy {
            asn: self.origins.ask(resolver, client).await.number(),
            ..KnownBy::address(client)
        }
    }

    async fn ask_lists(
        &self,
        resolver: &Resolver,
        subjects: Subjects,
        deadline: Instant,
    ) -> dnsbl::Verdict {
        let dnsbl = Dnsbl::with_health(subjects, &self.lists, &self.health());
        let verdict = resolver.evaluate(dnsbl, deadline).await;
        self.health().observe(&verdict);
        verdict
    }
}

fn sender_domain(sender: &ReversePath) -> Option<Name> {
    let ReversePath::Mailbox(mailbox) = sender else {
        return None;
    };
    match mailbox.host() {
        Host::Domain(domain) => domain.as_str().parse().ok(),
        Host::Literal(_) => None,
    }
}

/// A record of SPF that lets a /8 of IPv4 pass, or more, says nothing of who sends.
const MOST_BITS_IPV4: u8 = 24;

/// Nor does one that lets a /24 of IPv6 pass: the largest providers have been given some bits less.
const MOST_BITS_IPV6: u8 = 104;

impl Findings {
    /// For the scorer.
    #[must_use]
    pub fn evidence(&self) -> Evidence<'_> {
        let mut evidence = Evidence::default();
        evidence.client = Some(self.claim.client);
        evidence.iprev = Some(&self.iprev);
        evidence.s25r = Some(&self.s25r);
        evidence.helo = self.helo.as_ref();
        evidence.lists = Some(&self.lists);
        evidence.conduct = self.conduct;
        evidence.spf = self.spf.as_ref().map(|spf| match spf.result {
            SpfResult::None => Spf::None,
            SpfResult::Neutral => Spf::Neutral,
            SpfResult::Pass => Spf::Pass,
            SpfResult::Fail => Spf::Fail,
            SpfResult::SoftFail => Spf::SoftFail,
            SpfResult::TempError => Spf::TempError,
            SpfResult::PermError => Spf::PermError,
        });
        // A record by which most of the world may send proves nothing.
        evidence.known_correspondent = self.is_correspondent && self.spf_domain().is_some();
        if let Some(past) = &self.past {
            evidence.reputation = Some(past.points);
            evidence.reputation_of = past.mostly.as_deref();
            evidence.network_reputation = Some(past.network_points);
            evidence.network_reputation_of = past.network_mostly.as_deref();
        }
        evidence
    }

    /// Whether the past speaks for the client, or a list does.
    pub(super) fn is_known(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.points < 0) || self.is_white_listed()
    }

    /// By its address, with more than block lists have against it. A name is a claim; an address is not.
    fn is_white_listed(&self) -> bool {
        let addresses = self.lists.lists.iter();
        let addresses = addresses.filter(|row| !row.list.subject.is_name());
        addresses.map(|row| i64::from(row.points)).sum::<i64>() < 0
    }

    /// What the greylist is asked; by the address of MAIL FROM, empty for the null one, and the first recipient.
    pub(super) fn attempt<'a>(&'a self, sender: &'a str, recipient: &'a str) -> Attempt<'a> {
        let mut attempt = Attempt::new(self.claim.client, sender, recipient);
        let domain = sender.rsplit_once('@').map(|(_, domain)| domain);
        attempt.spf_pass = domain.filter(|_| self.spf_domain().is_some());
        // It counts where SPF passes.
        attempt.correspondent = self.is_correspondent;
        attempt.dnswl = self.is_white_listed();
        attempt
    }

    /// The domain that SPF proves, by a record that few share.
    fn spf_domain(&self) -> Option<String> {
        proven_domain(self.spf.as_ref()?, self.claim.client)
    }

    /// What the client is known by.
    pub(crate) fn known_by(&self) -> KnownBy {
        let leads_back = |helo: &&helo::Verdict| helo.resolution == Resolution::Client;
        let helo = self.helo.as_ref().filter(leads_back);
        KnownBy {
            asn: self.asn.number(),
            helo: helo.and_then(|helo| Some(helo.name.as_ref()?.to_string())),
            spf_domain: self.spf_domain(),
            ..KnownBy::address(self.claim.client)
        }
    }
}

/// The domain that SPF proves of a client, by a record that few share.
pub(super) fn proven_domain(spf: &spf::Verdict, client: IpAddr) -> Option<String> {
    let most_bits = match client.to_canonical() {
        IpAddr::V4(_) => MOST_BITS_IPV4,
        IpAddr::V6(_) => MOST_BITS_IPV6,
    };
    // What `exists` and `ptr` let pass has no bound that one could know.
    let narrow = spf.authorized_bits.is_some_and(|bits| bits < most_bits);
    let domain = spf.authenticated_mail_from().filter(|_| narrow)?;
    Some(domain.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use mail_dns::Zone;
    use screening::dnsbl::Outcome;

    use super::*;
    use crate::config::Config;

    const CONFIG: &str = r#"
        hostname = "mx.example.org"
        domains = ["example.org"]
        data = "data"
        [tls]
        certificate = "certificate.pem"
        key = "key.pem"
        [[screening.list]]
        zone = "bad.example"
        tested = false
        [[screening.list]]
        zone = "names.example"
        subject = "mail-from"
        tested = false
        [[screening.list]]
        zone = "hellos.example"
        subject = "helo"
        tested = false
        [[screening.list]]
        zone = "good.example"
        subject = "mail-from"
        weight = -9
        tested = false
    "#;

    fn screen() -> Screen {
        let config: Config = toml::from_str(CONFIG).unwrap();
        Screen::new(&config, &[7; 32]).unwrap()
    }

    async fn find(resolver: &Resolver, client: &str) -> Findings {
        let claim = Claim {
            client: client.parse().unwrap(),
            helo: Some("mail.slow.example".to_owned()),
            sender: "<joe@slow.example>".parse().unwrap(),
        };
        screen().find(resolver, claim, Conduct::default()).await
    }

    /// Whoever is listed has his own name servers say nothing.
    #[tokio::test(start_paused = true)]
    async fn slow_names_of_a_client_do_not_silence_lists() {
        let zone = Zone::new()
            .a("7.2.0.192.bad.example", [127, 0, 0, 2])
            .a("slow.example.names.example", [127, 0, 0, 2])
            .a("mail.slow.example.hellos.example", [127, 0, 0, 2]);
        let resolver = Resolver::from_function(move |question| {
            let name = question.name.to_string();
            if name.ends_with(".bad.example")
                || name.ends_with(".names.example")
                || name.ends_with(".hellos.example")
            {
                Box::pin(ready(zone.answer(&question)))
            } else {
                Box::pin(pending())
            }
        });
        let findings = find(&resolver, "192.0.2.7").await;
        let outcomes: Vec<bool> = findings
            .lists
            .lists
            .iter()
            .map(|row| matches!(row.outcome, Outcome::Listed { .. }))
            .collect();
        assert_eq!(outcomes, [true, true, true, false]);
        assert_eq!(findings.spf.unwrap().result, SpfResult::TempError);
    }

    #[tokio::test]
    async fn a_record_that_many_share_proves_no_domain() {
        for (record, client, proves) in [
            ("ip4:192.0.2.7", "192.0.2.7", true),
            ("ip4:192.0.0.0/9", "192.0.2.7", true),
            ("ip4:192.0.0.0/8", "192.0.2.7", false),
            ("+all", "192.0.2.7", false),
            ("exists:bot.example", "192.0.2.7", false),
            ("ip6:2001:db8::/64", "2001:db8::7", true),
            ("ip6:2001:db8::/25", "2001:db8::7", true),
            ("ip6:2001:d00::/24", "2001:db8::7", false),
            ("+all", "2001:db8::7", false),
        ] {
            let zone = Zone::new()
                .txt("slow.example", &format!("v=spf1 {record} -all"))
                .a("bot.example", [127, 0, 0, 2]);
            let findings = find(&Resolver::from_zone(zone), client).await;
            assert_eq!(findings.spf.as_ref().unwrap().result, SpfResult::Pass);
            let attempt = findings.attempt("joe@slow.example", "ann@example.org");
            assert_eq!(attempt.spf_pass.is_some(), proves, "{record}");
        }
    }

    /// A white list of names has the domain; whoever forges it is not on it.
    #[tokio::test]
    async fn a_forged_name_on_a_white_list_is_greylisted_as_others_are() {
        let zone = Zone::new().a("slow.example.good.example", [127, 0, 0, 2]);
        let findings = find(&Resolver::from_zone(zone), "192.0.2.7").await;
        assert_eq!(findings.lists.score, -9);
        let attempt = findings.attempt("joe@slow.example", "ann@example.org");
        assert!(!attempt.dnswl);
        let verdict = screen().scorer.score(&findings.evidence());
        assert!(verdict.score > 0, "{verdict}");
    }
}
