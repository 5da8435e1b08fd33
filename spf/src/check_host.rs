//! check_host() (RFC 7208 §4) as a machine: a stack of records, no recursion.

mod evaluate;
mod identity;
mod look_ahead;
mod lookups;
mod mechanisms;
mod records;
mod trace;

use std::net::IpAddr;

use mail_dns::{Answer, Evaluation, Need, Question, RecordType};
use mail_syntax::ReversePath;

use self::identity::Session;
use self::lookups::{LookupId, Lookups};
use self::records::{Records, Terms};
use crate::config::Config;
use crate::verdict::{Cause, Explanation, Identity, SpfResult, TraceStep, Verdict};

/// Who connects, and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; an IPv4-mapped IPv6 address counts as the IPv4 address (RFC 7208 §5).
    pub ip: IpAddr,
    /// The last HELO or EHLO parameter, as it came.
    pub helo: String,
}

impl Client {
    /// A client at this address with this HELO or EHLO parameter.
    pub fn new(ip: impl Into<IpAddr>, helo: impl Into<String>) -> Self {
        Self {
            ip: ip.into().to_canonical(),
            helo: helo.into(),
        }
    }
}

/// The evaluation of one identity of one client.
///
/// It asks one question at a time, except for the hosts of an `mx`, the names of a `ptr` and those of `%{p}`, which are asked together.
/// With the default limits it asks at most 111 questions, and at most 12 more for an explanation.
#[derive(Clone, Debug)]
pub struct CheckHost {
    check: Check,
    stage: Stage,
    /// The record that is evaluated on top, below it those whose `include` led there.
    frames: Vec<Frame>,
    records: Records,
    /// Whether an answer came since the last step.
    fresh: bool,
}

/// What holds for all records of an evaluation.
#[derive(Clone, Debug)]
struct Check {
    session: Session,
    config: Config,
    lookups: Lookups,
    /// Terms that counted against [`Limits::terms`](crate::Limits::terms).
    terms: usize,
    /// Whether the term that is evaluated is among them already.
    counted: bool,
    /// Terms that counted against [`Limits::void_lookups`](crate::Limits::void_lookups).
    void_lookups: usize,
    /// Of the last term that matched by itself; an `include` matches by one of those.
    authorized_bits: Option<u8>,
    /// Whether a term that was evaluated asked for the local part.
    uses_local_part: bool,
    trace: Vec<TraceStep>,
    /// Of the term that is evaluated: the lookups whose answers it looked at, for the trace.
    heard: Vec<LookupId>,
}

#[derive(Clone, Debug)]
enum Stage {
    Evaluating,
    /// The result is fail for this cause; the record that says so may explain itself.
    Explaining(Frame, Cause),
    Done(SpfResult, Cause, Option<Explanation>),
}

/// The evaluation of one domain's record.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The lookup of the record, whose name is the domain.
    lookup: LookupId,
    /// How many `include`s led here.
    depth: usize,
    /// An `include` or `redirect` led here, so that no record is an error.
    referred: bool,
    /// Of the record, once it was read.
    terms: Option<Terms>,
    /// The number of the term that is evaluated, in [`Records`].
    at: usize,
}

impl Frame {
    const fn new(lookup: LookupId, depth: usize, referred: bool) -> Self {
        Self {
            lookup,
            depth,
            referred,
            terms: None,
            at: 0,
        }
    }
}

/// Why a step came to no value.
enum Stop {
    /// An answer is missing.
    Wait,
    /// The check_host() on top of the stack has this result.
    End(SpfResult, Why),
}

/// Why a check_host() has its result. Most of them end inside of an `include` that nobody asks about, so the common causes are not written
/// out before they count, and the others are small to hand on.
enum Why {
    /// By the term that is evaluated.
    Matched,
    /// By no term.
    NoMatch,
    Cause(Box<Cause>),
}

impl Stop {
    fn end(result: SpfResult, cause: Cause) -> Self {
        Self::End(result, Why::Cause(Box::new(cause)))
    }
}

type Step<T> = Result<T, Stop>;

impl CheckHost {
    /// Checks the MAIL FROM identity: the reverse-path, or for a null one `postmaster@` and the HELO name (RFC 7208 §2.4).
    pub fn mail_from(client: &Client, reverse_path: &ReversePath, config: &Config) -> Self {
        let sender = reverse_path.mailbox().map(ToString::to_string);
        Self::new(
            client,
            Identity::MailFrom,
            &sender.unwrap_or_default(),
            config,
        )
    }

    /// Checks the HELO identity (RFC 7208 §2.3).
    pub fn helo(client: &Client, config: &Config) -> Self {
        Self::new(client, Identity::Helo, "", config)
    }

    /// Checks any text as the sender: a mailbox, or a domain for which the local part is `postmaster` (RFC 7208 §4.3), or nothing for
    /// the HELO name. What is no domain gives `none`.
    pub fn new(client: &Client, identity: Identity, sender: &str, config: &Config) -> Self {
        let session = Session::new(client, identity, sender);
        let (mut lookups, mut frames) = (Lookups::default(), Vec::new());
        let stage = match session.domain.clone() {
            Some(domain) => {
                let lookup = lookups.ask(Question::new(domain, RecordType::Txt));
                frames.push(Frame::new(lookup, 0, false));
                Stage::Evaluating
            }
            None => Stage::Done(SpfResult::None, session.no_domain(), None),
        };
        let check = Check {
            session,
            config: config.clone(),
            lookups,
            terms: 0,
            counted: false,
            void_lookups: 0,
            authorized_bits: None,
            uses_local_part: false,
            trace: Vec::new(),
            heard: Vec::new(),
        };
        Self {
            check,
            stage,
            frames,
            records: Records::default(),
            fresh: true,
        }
    }
}

impl Check {
    fn verdict(
        &self,
        result: SpfResult,
        cause: &Cause,
        explanation: Option<&Explanation>,
    ) -> Verdict {
        Verdict {
            result,
            identity: self.session.identity,
            sender: self.session.sender.clone(),
            domain: self.session.domain.clone(),
            cause: cause.clone(),
            authorized_bits: self.authorized_bits.filter(|_| result == SpfResult::Pass),
            explanation: explanation.cloned(),
            uses_local_part: self.uses_local_part,
            terms: self.terms,
            void_lookups: self.void_lookups,
            trace: self.trace.clone(),
        }
    }
}

impl Evaluation for CheckHost {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if core::mem::take(&mut self.fresh) {
            self.run();
            if self.check.config.look_ahead {
                self.look_ahead();
            }
        }
        if let Stage::Done(result, cause, explanation) = &self.stage {
            let explanation = explanation.as_ref();
            return Need::Done(self.check.verdict(*result, cause, explanation));
        }
        let unasked = self.check.lookups.next_unasked();
        unasked.map_or(Need::Wait, Need::Lookup)
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        self.fresh |= self.check.lookups.answer(question, answer);
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Failure, Name, Zone, resolve_blocking};

    use super::*;
    use crate::verdict::TermOutcome;
    use crate::{Explain, Limits};

    fn evaluate(zone: &Zone, sender: &str, config: &Config) -> (Verdict, Vec<Question>) {
        let client = Client::new([192, 0, 2, 1], "helo.example.org");
        let mut asked = Vec::new();
        let check = CheckHost::new(&client, Identity::MailFrom, sender, config);
        let verdict = resolve_blocking(check, |question| {
            asked.push(question.clone());
            zone.answer(question)
        });
        (verdict, asked)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_no_domain_is_none_without_a_question() {
        let long = "a.".repeat(200);
        for sender in [
            "joe@localhost",
            "joe@a..example.com",
            "joe@.example.com",
            "joe@[192.0.2.1]",
            "joe@[IPv6:2001:db8::1]",
            "joe@two words.example.com",
            "joe@a\r\nb.example.com",
            "joe@",
            "@",
            ".",
            long.as_str(),
            &format!("joe@{}.example.com", "a".repeat(64)),
            &format!("{}@example.com", "a".repeat(257)),
        ] {
            let (verdict, asked) = evaluate(&Zone::new(), sender, &Config::default());
            assert_eq!(
                (verdict.result, verdict.domain, asked.len()),
                (SpfResult::None, None, 0),
                "{sender}"
            );
            assert_eq!(verdict.cause, Cause::NoDomain);
        }
    }

    #[test]
    fn the_identity_and_its_domain() {
        let zone = Zone::new()
            .txt("example.com", "v=spf1 exists:%{l}.local.example.com -all")
            .txt(
                "helo.example.org",
                "v=spf1 exists:%{l}.local.example.com -all",
            )
            .a("postmaster.local.example.com", [127, 0, 0, 2]);
        let client = Client::new([192, 0, 2, 1], "helo.example.org");
        let mailbox = Client::new([192, 0, 2, 1], "postmaster@helo.example.org");
        let run = |check: CheckHost| resolve_blocking(check, |question| zone.answer(question));
        let config = Config::default();

        let null = run(CheckHost::mail_from(&client, &ReversePath::Null, &config));
        assert_eq!(
            (null.result, null.identity),
            (SpfResult::Pass, Identity::MailFrom)
        );
        assert_eq!(null.sender, "postmaster@helo.example.org");
        assert_eq!(null.authenticated_mail_from().unwrap(), "helo.example.org");

        let helo = run(CheckHost::helo(&client, &config));
        assert_eq!(
            (helo.result, helo.identity),
            (SpfResult::Pass, Identity::Helo)
        );
        assert_eq!(helo.domain, Some(name("helo.example.org")));
        assert_eq!(helo.authenticated_mail_from(), None);

        // A HELO parameter that looks like a mailbox names no domain.
        for check in [
            CheckHost::helo(&mailbox, &config),
            CheckHost::mail_from(&mailbox, &ReversePath::Null, &config),
        ] {
            assert_eq!(run(check).cause, Cause::NoDomain);
        }

        let joe = run(CheckHost::mail_from(
            &client,
            &"<joe@example.com>".parse().unwrap(),
            &config,
        ));
        assert_eq!(
            (joe.result, joe.domain.clone()),
            (SpfResult::Fail, Some(name("example.com")))
        );
        assert_eq!(joe.authenticated_mail_from(), None);
    }

    #[test]
    fn causes() {
        let zone = Zone::new()
            .exists("empty.example.com")
            .txt("neutral.example.com", "v=spf1 a:neutral.example.com")
            .a("neutral.example.com", [192, 0, 2, 9])
            .txt("two.example.com", "v=spf1 -all")
            .txt("two.example.com", "v=spf1 +all")
            .txt("late.example.com", "v=spf1 +all moo")
            .txt(
                "follows.example.com",
                "v=spf1 include:empty.example.com +all",
            )
            .txt("label.example.com", "v=spf1 include:%{d1} +all")
            .txt("odd.example.com", "v=spf1 redirect=..%{d}")
            .txt("down.example.com", "v=spf1 mx -all")
            .fail_type("down.example.com", RecordType::Mx, Failure::Refused);
        for (domain, result, cause) in [
            (
                "gone.example.com",
                SpfResult::None,
                "gone.example.com does not exist",
            ),
            (
                "empty.example.com",
                SpfResult::None,
                "empty.example.com has no SPF record",
            ),
            (
                "neutral.example.com",
                SpfResult::Neutral,
                "no term of neutral.example.com matches",
            ),
            (
                "two.example.com",
                SpfResult::PermError,
                "two.example.com has more than one SPF record",
            ),
            (
                "late.example.com",
                SpfResult::PermError,
                "late.example.com: unknown mechanism at octet 12 of the SPF record",
            ),
            (
                "follows.example.com",
                SpfResult::PermError,
                "empty.example.com is referred to and has no SPF record",
            ),
            (
                "label.example.com",
                SpfResult::PermError,
                "label.example.com refers to %{d1}, which gives no domain",
            ),
            (
                "odd.example.com",
                SpfResult::PermError,
                "odd.example.com refers to ..%{d}, which gives no domain",
            ),
            (
                "down.example.com",
                SpfResult::TempError,
                "down.example.com MX: refused",
            ),
        ] {
            let (verdict, _) = evaluate(&zone, domain, &Config::default());
            assert_eq!(
                (verdict.result, verdict.cause.to_string().as_str()),
                (result, cause)
            );
        }
    }

    #[test]
    fn a_record_that_is_too_long() {
        let record = format!("v=spf1 {} +all", "ip4:192.0.2.0/24 ".repeat(200));
        let zone = Zone::new().txt("example.com", &record);
        let (verdict, _) = evaluate(&zone, "example.com", &Config::default());
        assert_eq!(verdict.result, SpfResult::PermError);
        let limits = Limits {
            record: 4000,
            ..Limits::default()
        };
        let (verdict, _) = evaluate(
            &zone,
            "example.com",
            &Config {
                limits,
                ..Config::default()
            },
        );
        assert_eq!(verdict.result, SpfResult::Pass);
    }

    #[test]
    fn explanations() {
        let explain = Some(Explain {
            receiver: "mx.example.org".to_owned(),
            now: 1234,
        });
        let config = Config {
            explain,
            ..Config::default()
        };
        let zone = |record: &str| {
            Zone::new()
                .txt("example.com", record)
                .txt("r.example.com", "v=spf1 -all exp=why.%{d}")
                .txt("why.r.example.com", "redirected from %{o} to %{d}")
                .txt("good.example.com", "%{c} at %{t}: ask %{r}")
                .txt("two.example.com", "one")
                .txt("two.example.com", "another")
                .txt("broken.example.com", "100% bad")
                .txt("line.example.com", "a\r\n250 ok")
                .txt("accent.example.com", "\u{e9}")
                .txt("long.example.com", &"%{s}".repeat(40))
                .fail("down.example.com", Failure::ServFail)
        };
        for (record, expected) in [
            (
                "v=spf1 -all exp=good.example.com",
                Some("192.0.2.1 at 1234: ask mx.example.org"),
            ),
            ("v=spf1 -all", None),
            ("v=spf1 -all exp=two.example.com", None),
            ("v=spf1 -all exp=broken.example.com", None),
            ("v=spf1 -all exp=line.example.com", None),
            ("v=spf1 -all exp=accent.example.com", None),
            ("v=spf1 -all exp=long.example.com", None),
            ("v=spf1 -all exp=down.example.com", None),
            ("v=spf1 -all exp=gone.example.com", None),
            ("v=spf1 -all exp=..%{d}", None),
            ("v=spf1 ~all exp=good.example.com", None),
            // RFC 7208 §6.2: that of an include is never used, that of a redirect alone.
            (
                "v=spf1 include:r.example.com -all exp=good.example.com",
                Some("192.0.2.1 at 1234: ask mx.example.org"),
            ),
            ("v=spf1 include:r.example.com -all", None),
            (
                "v=spf1 redirect=r.example.com exp=good.example.com",
                Some("redirected from example.com to r.example.com"),
            ),
        ] {
            let (verdict, _) = evaluate(&zone(record), "joe@example.com", &config);
            let explanation = verdict.explanation.as_ref().map(Explanation::as_str);
            assert_eq!(explanation, expected, "{record}");
            let (without, asked) = evaluate(&zone(record), "joe@example.com", &Config::default());
            assert_eq!(
                (without.result, without.explanation),
                (verdict.result, None)
            );
            assert!(
                !asked
                    .iter()
                    .any(|question| question.name == name("good.example.com"))
            );
        }
    }

    #[test]
    fn the_trace() {
        let zone = Zone::new()
            .txt(
                "example.com",
                "v=spf1 a include:i.example.com redirect=r.example.com",
            )
            .txt("i.example.com", "v=spf1 ip4:203.0.113.0/24 -all")
            .txt("r.example.com", "v=spf1 ~all");
        let (verdict, _) = evaluate(
            &zone,
            "example.com",
            &Config {
                trace: true,
                ..Config::default()
            },
        );
        let text: Vec<String> = verdict.trace.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "example.com record: read",
                "  example.com TXT: \"v=spf1 a include:i.example.com redirect=r.example.com\"",
                "example.com a: no match, nothing found",
                "  example.com A: no data",
                "example.com include:i.example.com: followed",
                "  i.example.com record: read",
                "    i.example.com TXT: \"v=spf1 ip4:203.0.113.0/24 -all\"",
                "  i.example.com ip4:203.0.113.0/24: no match",
                "  i.example.com -all: match",
                "example.com include:i.example.com: no match",
                "example.com redirect=r.example.com: followed",
                "r.example.com record: read",
                "  r.example.com TXT: \"v=spf1 ~all\"",
                "r.example.com ~all: match",
            ]
        );
        let counts: Vec<_> = verdict
            .trace
            .iter()
            .map(|step| (step.terms, step.void_lookups))
            .collect();
        assert_eq!(counts[..3], [(0, 0), (1, 1), (2, 1)]);
        // An error is the last step, with the lookup that it comes of.
        let zone = zone.fail_type("example.com", RecordType::A, Failure::Timeout);
        let config = Config {
            trace: true,
            ..Config::default()
        };
        let last = evaluate(&zone, "example.com", &config)
            .0
            .trace
            .pop()
            .unwrap();
        assert_eq!(
            (last.term.as_str(), last.outcome),
            ("a", TermOutcome::Ended)
        );
        assert_eq!(last.lookups[0].1, Answer::failed(Failure::Timeout));
        // So is a redirect that leads nowhere.
        let zone = Zone::new().txt("example.com", "v=spf1 redirect=..%{d}");
        let last = evaluate(&zone, "example.com", &config).0.trace.pop();
        assert_eq!(
            last.unwrap().to_string(),
            "example.com redirect=..%{d}: ended"
        );
        // Without it nothing is kept.
        assert!(
            evaluate(&zone, "example.com", &Config::default())
                .0
                .trace
                .is_empty()
        );
        assert_eq!((verdict.terms, verdict.void_lookups), (3, 1));
    }

    #[test]
    fn how_much_a_pass_lets_pass() {
        for (record, bits) in [
            ("v=spf1 ip4:192.0.2.0/24 -all", Some(8)),
            ("v=spf1 a -all", Some(0)),
            ("v=spf1 a/20//64 -all", Some(12)),
            ("v=spf1 include:i.example.com -all", Some(24)),
            ("v=spf1 -include:none.example.com all", Some(32)),
            ("v=spf1 exists:example.com -all", None),
            ("v=spf1 ~all", None),
        ] {
            let zone = Zone::new()
                .txt("example.com", record)
                .a("example.com", [192, 0, 2, 1])
                .txt("i.example.com", "v=spf1 ip4:192.0.0.0/8 -all")
                .txt("none.example.com", "v=spf1 -all");
            let (verdict, _) = evaluate(&zone, "example.com", &Config::default());
            assert_eq!(verdict.authorized_bits, bits, "{record}");
        }
    }

    #[test]
    fn networks() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (client, network, v4, v6, expected) in [
            ("192.0.2.1", "192.0.2.1", 32, 128, true),
            ("192.0.2.1", "192.0.2.0", 32, 128, false),
            ("192.0.2.1", "192.0.2.0", 31, 128, true),
            ("192.0.2.1", "10.0.0.0", 0, 128, true),
            ("2001:db8::1", "2001:db8::", 32, 127, true),
            ("2001:db8::1", "2001:db8::", 32, 128, false),
            ("2001:db8::1", "::", 32, 0, true),
            ("2001:db8::1", "0.0.0.0", 0, 0, false),
            ("192.0.2.1", "::ffff:192.0.2.1", 0, 0, false),
        ] {
            assert_eq!(
                mechanisms::same_network(ip(client), ip(network), v4, v6),
                expected,
                "{client} {network}"
            );
        }
    }
}
