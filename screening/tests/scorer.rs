//! What evidence leads to: decisions, their reasons in words, replies, and what may never happen.
#![allow(missing_docs, clippy::unwrap_used)]

use core::time::Duration;
use std::net::IpAddr;

use mail_dns::{Name, Zone, resolve_blocking};
use screening::dnsbl::{self, Codes, Dnsbl, List, Lists, Subject, Subjects};
use screening::early_talker::{Conduct, Offence};
use screening::helo::{self, Helo, Ours};
use screening::iprev::{self, Iprev};
use screening::s25r::{Finding, ReverseName, S25r};
use screening::scorer::{Decision, Evidence, Scorer, Spf, Stage, Thresholds, Verdict, Weights};

const CLIENT: &str = "192.0.2.7";

fn client() -> IpAddr {
    CLIENT.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A zone in which the client has this name, which leads back to it or not.
fn named(reverse: &str, leads_back: bool) -> Zone {
    let address = [192, 0, 2, if leads_back { 7 } else { 8 }];
    Zone::new()
        .ptr("7.2.0.192.in-addr.arpa", reverse)
        .a(reverse, address)
}

/// All that is known of one client, found in a zone.
struct Known {
    iprev: iprev::Verdict,
    s25r: Finding,
    helo: helo::Verdict,
    lists: dnsbl::Verdict,
}

fn known(zone: &Zone, helo: &str, lists: &Lists) -> Known {
    let ask = |question: &mail_dns::Question| zone.answer(question);
    let iprev = resolve_blocking(Iprev::new(client(), &Default::default()), ask);
    let ours = Ours {
        names: vec![name("mx.example.org")],
        addresses: vec![[203, 0, 113, 1].into()],
    };
    let helo = resolve_blocking(Helo::new(helo, client(), &ours), ask);
    let mut subjects = Subjects::from(client());
    subjects.helo = helo.name.clone();
    Known {
        s25r: S25r::default().check(client(), &ReverseName::from(&iprev)),
        lists: resolve_blocking(Dnsbl::new(subjects, lists), ask),
        iprev,
        helo,
    }
}

impl Known {
    fn evidence(&self) -> Evidence<'_> {
        let mut evidence = Evidence::default();
        evidence.client = Some(client());
        evidence.iprev = Some(&self.iprev);
        evidence.s25r = Some(&self.s25r);
        evidence.helo = Some(&self.helo);
        evidence.lists = Some(&self.lists);
        evidence
    }
}

fn lists() -> Lists {
    Lists::new(
        [
            List::new(name("bad.example.com"), 6).with_reason(),
            List::new(name("list.example"), -2),
            List::of(Subject::Helo, name("doms.example.net"), 4),
        ],
        0,
        &Default::default(),
    )
    .unwrap()
}

fn score(zone: &Zone, helo: &str, more: impl Fn(&mut Evidence<'_>)) -> Verdict {
    let known = known(zone, helo, &lists());
    let mut evidence = known.evidence();
    more(&mut evidence);
    Scorer::default().score(&evidence)
}

/// Whoever is not a good sender can still call himself one.
#[test]
fn a_white_list_of_names_counts_where_the_name_is_the_clients() {
    let lists = [Subject::MailFrom, Subject::Helo, Subject::ReverseName].map(|subject| {
        let zone = format!("{subject:?}.example").to_lowercase();
        List::of(subject, name(&zone), -1 << subject as u32)
    });
    let lists = Lists::new(lists, 0, &Default::default()).unwrap();
    let mut subjects = Subjects::default();
    for field in [
        &mut subjects.mail_from,
        &mut subjects.helo,
        &mut subjects.reverse_name,
    ] {
        *field = Some(name("mail.good.example"));
    }
    let listed = |question: &mail_dns::Question| {
        let zone = Zone::new().a(&question.name.to_string(), [127, 0, 0, 2]);
        zone.answer(question)
    };
    let verdict = resolve_blocking(Dnsbl::new(subjects, &lists), listed);
    assert_eq!(verdict.listed().count(), 3);
    let honest = named("mail.good.example", true).a("mail.good.example", [192, 0, 2, 7]);
    let forged = named("mail.good.example", false);
    for (zone, spf, expected) in [
        (&honest, Spf::Pass, -(8 + 16 + 32)),
        (&honest, Spf::Neutral, -(16 + 32)),
        (&forged, Spf::Pass, -8),
        (&forged, Spf::None, 0),
    ] {
        let known = known(zone, "mail.good.example", &self::lists());
        let mut evidence = Evidence::default();
        evidence.iprev = Some(&known.iprev);
        evidence.helo = Some(&known.helo);
        evidence.spf = Some(spf);
        let without = Scorer::default().score(&evidence).score;
        evidence.lists = Some(&verdict);
        let with = Scorer::default().score(&evidence).score;
        assert_eq!(with - without, expected, "{spf:?}");
    }
}

#[test]
fn decisions_in_words() {
    let bad = |zone: Zone| {
        zone.a("7.2.0.192.bad.example.com", [127, 0, 0, 2])
            .txt("7.2.0.192.bad.example.com", "Dynamic \"line\"")
    };
    let good = |zone: Zone| zone.a("7.2.0.192.list.example", [127, 0, 10, 2]);
    let mail = || named("mail.example.net", true);
    let pool = || named("p12345.pool.example.net", true);
    let rows: [(Zone, &str, &str); 14] = [
        (mail(), "mail.example.net", "accept, score 0"),
        (
            mail(),
            "[192.0.2.7]",
            "accept, score 1: +1 HELO: the client's address",
        ),
        (
            mail(),
            "localhost",
            "accept, score 2: +2 HELO: a single label",
        ),
        (
            mail(),
            "192.0.2.7",
            "accept, score 2: +2 HELO: an address without brackets",
        ),
        (
            mail(),
            "gone.example.net",
            "accept, score 2: +2 HELO: leads nowhere",
        ),
        (
            mail(),
            "!",
            "accept, score 2: +2 HELO: neither a domain nor an address",
        ),
        (
            mail(),
            "[192.0.2.8]",
            "greylist, score 3: +3 HELO: an address that is not the client's",
        ),
        (
            mail(),
            "mx.example.org",
            "greylist, score 5: +5 HELO: a name of ours",
        ),
        (
            mail(),
            "[203.0.113.1]",
            "greylist, score 5: +5 HELO: an address of ours",
        ),
        (
            pool(),
            "p12345.pool.example.net",
            r#"greylist, score 3: +3 rule 2: five digits in "p12345""#,
        ),
        (
            good(pool()),
            "p12345.pool.example.net",
            r#"accept, score 1: +3 rule 2: five digits in "p12345", -2 on list.example"#,
        ),
        (
            bad(pool()),
            "p12345.pool.example.net",
            r#"tarpit 20 s, score 9: +3 rule 2: five digits in "p12345", +6 on bad.example.com: "Dynamic \"line\"""#,
        ),
        (
            bad(Zone::new()),
            "localhost",
            r#"tarpit 20 s, score 11: +3 rule 0: no name that leads back, +2 HELO: a single label, +6 on bad.example.com: "Dynamic \"line\"""#,
        ),
        (
            named("mail.example.net", false).a("spam.example.doms.example.net", [127, 0, 0, 2]),
            "spam.example",
            r#"tarpit 20 s, score 9: +3 rule 0: no name that leads back, "mail.example.net" does not, +2 HELO: leads nowhere, +4 on doms.example.net by the HELO name"#,
        ),
    ];
    for (zone, helo, expected) in &rows {
        assert_eq!(score(zone, helo, |_| ()).to_string(), *expected, "{helo}");
    }
}

#[test]
fn session_and_sender_in_words() {
    let zone = named("mail.example.net", true);
    let all: Conduct = Offence::ALL.into_iter().collect();
    type Row<'a> = (&'a dyn Fn(&mut Evidence<'_>), &'a str);
    let rows: [Row<'_>; 11] = [
        (
            &|evidence| evidence.conduct.saw(Offence::BareNewline),
            "accept, score 2: +2 sent a bare newline",
        ),
        (
            &|evidence| evidence.conduct = all,
            "refuse, score 19: +5 talked before the greeting, +6 sent a command of another protocol, +2 sent a bare newline, \
             +3 did not wait for replies, +3 went on after 421",
        ),
        (
            &|evidence| evidence.spf = Some(Spf::Fail),
            "greylist, score 3: +3 SPF fail",
        ),
        (
            &|evidence| evidence.spf = Some(Spf::SoftFail),
            "accept, score 1: +1 SPF softfail",
        ),
        (
            &|evidence| evidence.spf = Some(Spf::PermError),
            "accept, score 1: +1 SPF permerror",
        ),
        (
            &|evidence| evidence.spf = Some(Spf::TempError),
            "accept, score 0",
        ),
        (
            &|evidence| evidence.reputation = Some(-3),
            "accept, score -3: -3 reputation",
        ),
        (
            &|evidence| evidence.reputation = Some(i32::MAX),
            "tarpit 20 s, score 14: +14 reputation",
        ),
        (
            &|evidence| evidence.reputation = Some(i32::MIN),
            "accept, score -14: -14 reputation",
        ),
        // Without SPF anybody may claim to be somebody we know.
        (
            &|evidence| {
                evidence.known_correspondent = true;
                evidence.spf = Some(Spf::SoftFail);
            },
            "accept, score 1: +1 SPF softfail",
        ),
        (
            &|evidence| {
                evidence.known_correspondent = true;
                evidence.spf = Some(Spf::Pass);
                evidence.conduct.saw(Offence::Pipelining);
            },
            "accept, score -2: +3 did not wait for replies, -5 known correspondent",
        ),
    ];
    for (more, expected) in rows {
        assert_eq!(score(&zone, "mail.example.net", more).to_string(), expected);
    }
}

#[test]
fn a_failed_lookup_is_held_against_nobody() {
    let failure = mail_dns::Failure::Timeout;
    let zone = [
        "7.2.0.192.in-addr.arpa",
        "mail.example.net",
        "7.2.0.192.bad.example.com",
        "7.2.0.192.list.example",
        "mail.example.net.doms.example.net",
    ]
    .into_iter()
    .fold(Zone::new(), |zone, name| zone.fail(name, failure));
    assert_eq!(
        score(&zone, "mail.example.net", |_| ()).to_string(),
        "accept, score 0"
    );
}

/// RFC 5321 §4.1.4: "However, if the verification fails, the server MUST NOT refuse to accept a message on that basis."
#[test]
fn a_helo_name_that_leads_elsewhere_never_refuses() {
    let zone = named("mail.example.net", true).a("other.example.net", [192, 0, 2, 8]);
    let known = known(&zone, "other.example.net", &lists());
    let mut evidence = known.evidence();
    evidence.spf = Some(Spf::Fail);
    evidence.conduct.saw(Offence::BeforeGreeting);
    let mut scorer = Scorer::default();
    scorer.weights.helo_elsewhere = 1_000;
    // 8 points without it: not enough, and with it it is the tarpit at most.
    let verdict = scorer.score(&evidence);
    assert_eq!(
        (verdict.score, verdict.decision),
        (1_008, Decision::Tarpit(Duration::from_secs(20)))
    );
    evidence.conduct.saw(Offence::Pipelining);
    evidence.conduct.saw(Offence::Ignored421);
    let verdict = scorer.score(&evidence);
    assert_eq!(verdict.decision, Decision::Refuse);
    let reply = verdict.reply(Stage::Recipient).unwrap().to_string();
    assert_eq!(
        reply,
        "550 5.7.1 Refused [192.0.2.7]: talked before the greeting (and 4 more)"
    );
}

#[test]
fn what_the_neighbours_sent_never_refuses() {
    let zone = named("mail.example.net", true);
    let known = known(&zone, "mail.example.net", &lists());
    let mut evidence = known.evidence();
    (evidence.reputation, evidence.network_reputation) = (Some(13), Some(1_000));
    evidence.spf = Some(Spf::None);
    let mut scorer = Scorer::default();
    let verdict = scorer.score(&evidence);
    assert_eq!(
        verdict.to_string(),
        "tarpit 20 s, score 17: +13 reputation, +4 reputation of its network"
    );
    scorer.weights.network_reputation_most = 1_000;
    let tarpit = Decision::Tarpit(Duration::from_secs(20));
    assert_eq!(scorer.score(&evidence).decision, tarpit);
    evidence.spf = Some(Spf::SoftFail);
    assert_eq!(scorer.score(&evidence).decision, Decision::Refuse);
}

/// The worst that an honest server behind an end user's line has against it, as [`Thresholds::refuse`] reckons.
#[test]
fn an_honest_server_behind_a_line_of_an_end_user_is_not_refused() {
    let zone = named("p12345.pool.example.net", true).a("7.2.0.192.list.example", [127, 0, 0, 2]);
    let policy_list = List::new(name("list.example"), 4);
    let lists = Lists::new([policy_list], 0, &Default::default());
    let known = known(&zone, "[192.168.1.2]", &lists.unwrap());
    let mut evidence = known.evidence();
    evidence.spf = Some(Spf::Fail);
    let verdict = Scorer::default().score(&evidence);
    let tarpit = Decision::Tarpit(Duration::from_secs(20));
    assert_eq!((verdict.score, verdict.decision), (13, tarpit));
}

#[test]
fn a_refusal_is_to_be_remembered_only_for_what_the_client_did() {
    let named = named("mail.example.net", true);
    let listed = Zone::new().a("7.2.0.192.bad.example.com", [127, 0, 0, 2]);
    for (zone, helo, offence, expected) in [
        (&named, "mail.example.net", None, false),
        (&listed, "localhost", None, false),
        (&named, "mx.example.org", None, true),
        (&named, "mail.example.net", Some(Offence::BareNewline), true),
    ] {
        let verdict = score(zone, helo, |evidence| {
            (evidence.reputation, evidence.spf) = (Some(14), Some(Spf::Fail));
            if let Some(offence) = offence {
                evidence.conduct.saw(offence);
            }
        });
        assert_eq!(verdict.decision, Decision::Refuse, "{verdict}");
        assert_eq!(verdict.is_for_conduct(), expected, "{verdict}");
    }
}

#[test]
fn a_helo_name_that_leads_elsewhere_is_no_second_finding() {
    let zone = named("mail.example.net", true)
        .a("other.example.net", [192, 0, 2, 8])
        .a("7.2.0.192.bad.example.com", [127, 0, 0, 2]);
    let lists = Lists::new(
        [List::new(name("bad.example.com"), 100)],
        0,
        &Default::default(),
    );
    let known = known(&zone, "other.example.net", &lists.unwrap());
    let verdict = Scorer::default().score(&known.evidence());
    assert_eq!(
        verdict.to_string(),
        "tarpit 20 s, score 101: +1 HELO: leads elsewhere, +100 on bad.example.com"
    );
}

#[test]
fn of_equal_reasons_a_refusal_names_the_first() {
    let zone = named("mail.example.net", true);
    let verdict = score(&zone, "mx.example.org", |evidence| {
        evidence.conduct.saw(Offence::BeforeGreeting);
        evidence.conduct.saw(Offence::Pipelining);
        evidence.conduct.saw(Offence::BareNewline);
    });
    let reply = verdict.reply(Stage::Greeting).unwrap().to_string();
    assert_eq!(
        reply,
        "554 5.7.1 Refused [192.0.2.7]: HELO: a name of ours (and 3 more)"
    );
}

/// All that can be found at once, and alone.
fn findings() -> Vec<(Zone, &'static str, Conduct, Option<Spf>)> {
    let mail = || named("mail.example.net", true);
    let mut rows = vec![
        (
            named("p12345.pool.example.net", true),
            "mail.example.net",
            Conduct::default(),
            None,
        ),
        (
            Zone::new().a("h.example.net", [192, 0, 2, 7]),
            "h.example.net",
            Conduct::default(),
            None,
        ),
        (
            mail().a("7.2.0.192.bad.example.com", [127, 0, 0, 2]),
            "mail.example.net",
            Conduct::default(),
            None,
        ),
    ];
    for helo in [
        "localhost",
        "192.0.2.7",
        "!",
        "[192.0.2.7]",
        "[192.0.2.8]",
        "mx.example.org",
        "gone.example",
    ] {
        rows.push((mail(), helo, Conduct::default(), None));
    }
    for offence in Offence::ALL {
        rows.push((
            mail(),
            "mail.example.net",
            [offence].into_iter().collect(),
            None,
        ));
    }
    for spf in [Spf::Fail, Spf::SoftFail, Spf::PermError] {
        rows.push((mail(), "mail.example.net", Conduct::default(), Some(spf)));
    }
    rows
}

#[test]
fn one_finding_alone_never_refuses_whatever_it_weighs() {
    let mut heavy = Scorer::default();
    heavy.weights.s25r = [1_000; 7];
    for weight in [
        &mut heavy.weights.helo_malformed,
        &mut heavy.weights.helo_not_qualified,
        &mut heavy.weights.helo_bare_address,
        &mut heavy.weights.helo_own_literal,
        &mut heavy.weights.helo_foreign_literal,
        &mut heavy.weights.helo_ours,
        &mut heavy.weights.helo_nowhere,
        &mut heavy.weights.before_greeting,
        &mut heavy.weights.foreign_command,
        &mut heavy.weights.bare_newline,
        &mut heavy.weights.pipelining,
        &mut heavy.weights.ignored_421,
        &mut heavy.weights.spf_fail,
        &mut heavy.weights.spf_soft_fail,
        &mut heavy.weights.spf_perm_error,
    ] {
        *weight = 1_000;
    }
    for (zone, helo, conduct, spf) in findings() {
        let zone = zone.a("mail.example.net", [192, 0, 2, 7]);
        let known = known(&zone, helo, &lists());
        let mut evidence = known.evidence();
        evidence.conduct = conduct;
        evidence.spf = spf;
        for scorer in [&heavy, &Scorer::default()] {
            let verdict = scorer.score(&evidence);
            assert_eq!(verdict.reasons.len(), 1, "{verdict}");
            assert_ne!(verdict.decision, Decision::Refuse, "{verdict}");
        }
        // The default only greylists, or less; a block list of weight 6 and a browser go to the tarpit.
        let verdict = Scorer::default().score(&evidence);
        let tarpit = known.lists.score > 0 || conduct.has(Offence::ForeignCommand);
        assert_eq!(
            matches!(verdict.decision, Decision::Tarpit(_)),
            tarpit,
            "{verdict}"
        );
    }
}

#[test]
fn what_s25r_users_run() {
    let scorer = Scorer::s25r();
    let everything_else = |evidence: &mut Evidence<'_>| {
        evidence.conduct = Offence::ALL.into_iter().collect();
        evidence.spf = Some(Spf::Fail);
        evidence.reputation = Some(100);
        evidence.known_correspondent = true;
    };
    let bad = |zone: Zone| zone.a("7.2.0.192.bad.example.com", [127, 0, 0, 2]);
    let good = |zone: Zone| zone.a("7.2.0.192.list.example", [127, 0, 0, 2]);
    for (zone, expected) in [
        (bad(named("mail.example.net", true)), "accept, score 0"),
        (
            bad(Zone::new()),
            "greylist, score 1: +1 rule 0: no name that leads back",
        ),
        (
            bad(named("ppp1.example.net", true)),
            r#"greylist, score 1: +1 rule 6: a word for dynamic lines in "ppp1""#,
        ),
        (
            good(named("ppp1.example.net", true)),
            r#"accept, score -1: +1 rule 6: a word for dynamic lines in "ppp1", -2 on list.example"#,
        ),
    ] {
        let known = known(&zone, "localhost", &lists());
        let mut evidence = known.evidence();
        everything_else(&mut evidence);
        assert_eq!(scorer.score(&evidence).to_string(), expected);
    }
}

#[test]
fn iprev_counts_where_the_rules_did_not_say_it() {
    let unconfirmed = known(&named("mail.example.net", false), "h.example.net", &lists());
    let missing = known(&Zone::new(), "h.example.net", &lists());
    for (known, with, without) in [(&unconfirmed, 3, 2), (&missing, 3, 3)] {
        let mut evidence = Evidence::default();
        evidence.iprev = Some(&known.iprev);
        assert_eq!(Scorer::default().score(&evidence).score, without);
        evidence.s25r = Some(&known.s25r);
        assert_eq!(Scorer::default().score(&evidence).score, with);
        // Where the rule is worth nothing, iprev speaks.
        let mut scorer = Scorer::default();
        scorer.weights.s25r = [0; 7];
        assert_eq!(scorer.score(&evidence).score, without);
    }
}

#[test]
fn exempt_networks_and_nothing_at_all() {
    let mut scorer = Scorer::default();
    assert_eq!(
        scorer.score(&Evidence::default()).to_string(),
        "accept, score 0"
    );
    scorer.exempt.push("192.0.2.0/24".parse().unwrap());
    let mut evidence = Evidence::default();
    evidence.conduct = Offence::ALL.into_iter().collect();
    assert_eq!(scorer.score(&evidence).decision, Decision::Refuse);
    evidence.client = Some("::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(
        scorer.score(&evidence).to_string(),
        "accept, score 0: +0 exempt: 192.0.2.0/24"
    );
}

#[test]
fn replies() {
    let zone = Zone::new()
        .a("7.2.0.192.bad.example.com", [127, 0, 0, 2])
        .txt(
            "7.2.0.192.bad.example.com",
            "see http://bad.example.com?192.0.2.7",
        );
    let refuse = score(&zone, "mx.example.org", |_| ());
    let text = "Refused [192.0.2.7]: on bad.example.com: \"see http://bad.example.com?192.0.2.7\" (and 2 more)";
    let greylist = score(&Zone::new(), "[192.0.2.7]", |_| ());
    let tarpit = score(&Zone::new(), "[192.0.2.8]", |_| ());
    assert!(matches!(tarpit.decision, Decision::Tarpit(_)));
    let later = "450 4.7.1 Not known here yet, please try again in some minutes";
    let accept = score(&named("mail.example.net", true), "mail.example.net", |_| ());
    for (verdict, greeting, recipient) in [
        (&accept, None, None),
        (&greylist, None, Some(later.to_owned())),
        (&tarpit, None, Some(later.to_owned())),
        (
            &refuse,
            Some(format!("554 5.7.1 {text}")),
            Some(format!("550 5.7.1 {text}")),
        ),
    ] {
        let reply = |stage| verdict.reply(stage).map(|reply| reply.to_string());
        assert_eq!(reply(Stage::Greeting), greeting);
        assert_eq!(reply(Stage::Recipient), recipient);
    }
}

#[test]
fn thresholds_are_data() {
    let known = known(&Zone::new(), "localhost", &lists());
    let mut scorer = Scorer::default();
    let decide = |scorer: &Scorer| scorer.score(&known.evidence()).decision;
    let delay = Duration::from_secs(125);
    scorer.thresholds.tarpit_delay = delay;
    for (at, expected) in [
        ([None, None, None], Decision::Accept),
        ([Some(6), None, None], Decision::Accept),
        ([Some(5), None, None], Decision::Greylist),
        ([Some(5), Some(5), None], Decision::Tarpit(delay)),
        ([None, Some(5), Some(6)], Decision::Tarpit(delay)),
        ([Some(1), Some(2), Some(5)], Decision::Refuse),
        ([None, None, Some(5)], Decision::Refuse),
    ] {
        let [greylist, tarpit, refuse] = at;
        scorer.thresholds.greylist = greylist;
        scorer.thresholds.tarpit = tarpit;
        scorer.thresholds.refuse = refuse;
        assert_eq!(decide(&scorer), expected, "{at:?}");
    }
    scorer.thresholds.refuse_findings = 3;
    assert_eq!(decide(&scorer), Decision::Accept);
    scorer.weights = Weights::none();
    scorer.thresholds = Thresholds::default();
    assert_eq!(decide(&scorer), Decision::Accept);
}

#[test]
fn block_lists_together_add_no_more_than_they_may() {
    let zones = ["a.example", "b.example", "c.example", "w.example"];
    let weights = [3, 4, 5, -1];
    let rows = zones
        .iter()
        .zip(weights)
        .map(|(zone, weight)| List::new(name(zone), weight));
    let lists = Lists::new(rows, 0, &Default::default()).unwrap();
    let zone = zones
        .iter()
        .fold(named("mail.example.net", true), |zone, list| {
            zone.a(&format!("7.2.0.192.{list}"), [127, 0, 0, 2])
        });
    let known = known(&zone, "mail.example.net", &lists);
    for (most, score) in [(i32::MAX, 11), (8, 7), (3, 2), (0, -1), (-9, -1)] {
        let mut scorer = Scorer::default();
        scorer.weights.block_lists_most = most;
        assert_eq!(scorer.score(&known.evidence()).score, score, "{most}");
    }
}

#[test]
fn sublists_tell_their_codes() {
    let code = |last| core::net::Ipv4Addr::new(127, 0, 0, last);
    let zen = || List::new(name("zen.example"), 1);
    let lists = Lists::new(
        [
            zen().with_codes(Codes::OneOf(vec![code(2)])),
            zen().with_codes(Codes::Between(code(4), code(7))),
            zen().with_codes(Codes::Between(code(0), code(255))),
        ],
        0,
        &Default::default(),
    )
    .unwrap();
    let zone = [2, 4, 7, 9, 10]
        .into_iter()
        .fold(named("mail.example.net", true), |zone, last| {
            zone.a("7.2.0.192.zen.example", code(last))
        });
    let known = known(&zone, "mail.example.net", &lists);
    assert_eq!(
        Scorer::default().score(&known.evidence()).to_string(),
        "greylist, score 3: +1 on zen.example for 127.0.0.2, +1 on zen.example for 127.0.0.4 127.0.0.7, \
         +1 on zen.example for 127.0.0.2 127.0.0.4 127.0.0.7 127.0.0.9 ..."
    );
}

#[test]
fn the_longest_refusal_is_one_reply_line() {
    let label = "\\".repeat(63);
    let zone = format!("{0}.{0}.example", label.escape_default());
    let client: IpAddr = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap();
    let entry = screening::network::entry_name(client, &name(&zone)).unwrap();
    let list = List::new(name(&zone), 100).with_reason();
    let lists = Lists::new([list], 0, &Default::default()).unwrap();
    let zone = Zone::new()
        .a(&entry.to_string(), [127, 0, 0, 2])
        .txt(&entry.to_string(), &"\"".repeat(255));
    let listed = resolve_blocking(Dnsbl::new(client, &lists), |question| zone.answer(question));
    let mut evidence = Evidence::default();
    evidence.client = Some(client);
    evidence.lists = Some(&listed);
    evidence.conduct = Offence::ALL.into_iter().collect();
    let reply = Scorer::default()
        .score(&evidence)
        .reply(Stage::Recipient)
        .unwrap()
        .to_string();
    assert!(reply.len() > 450 && reply.len() <= 510, "{reply}");
    assert!(reply.ends_with(" (and 5 more)"), "{reply}");
}

#[test]
fn nothing_is_injected() {
    let hostile = "a\r\n\tb\0\u{7f}\u{e9}\"\\".repeat(40);
    let label = "\\013\\010X\\058\\032\\\"\\\\-1-2".to_owned();
    let reverse = format!("{label}.{}.example", "\\255".repeat(60));
    let long = format!("{0}.{0}.{0}", "\\000".repeat(60));
    let zone = named(&reverse, true)
        .a("7.2.0.192.bad.example.com", [127, 0, 0, 2])
        .txt("7.2.0.192.bad.example.com", &hostile);
    let unconfirmed = named(&long, false)
        .a("7.2.0.192.bad.example.com", [127, 0, 0, 2])
        .txt("7.2.0.192.bad.example.com", "\"");
    for zone in [zone, unconfirmed] {
        let verdict = score(&zone, "x\r\nX-Evil: 1", |evidence| {
            evidence.conduct = Offence::ALL.into_iter().collect();
            evidence.spf = Some(Spf::Fail);
        });
        assert_eq!(verdict.decision, Decision::Refuse);
        let printable = |line: &str| line.bytes().all(|octet| matches!(octet, b' '..=b'~'));
        assert!(printable(&verdict.to_string()), "{verdict}");
        for stage in [Stage::Greeting, Stage::Recipient] {
            let line = verdict.reply(stage).unwrap().to_string();
            // RFC 5321 §4.5.3.1.5: "The maximum total length of a reply line including the reply code and the <CRLF> is 512 octets."
            assert!(printable(&line) && line.len() <= 510, "{line}");
        }
        let field = verdict.header_field(Verdict::FIELD_NAME).unwrap();
        assert!(field.starts_with("Yubin-Screening: refuse, score ") && field.ends_with("\r\n"));
        for line in field.trim_end().split("\r\n") {
            assert!(printable(line) && line.len() <= 998, "{line}");
        }
        assert!(
            field.lines().skip(1).all(|line| line.starts_with(' ')),
            "{field}"
        );
        assert!(verdict.header_field("X\r\nY").is_err());
    }
}
