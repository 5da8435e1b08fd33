//! Screening: any answers in any order lead to the same verdict, and nothing of them gets out of its place.

use std::collections::HashMap;
use std::net::IpAddr;

use mail_dns::{Answer, Dnssec, Evaluation, Failure, Name, Need, Question, Record, Txt};
use screening::asn::{Asn, Origin, Zones};
use screening::dnsbl::{
    Codes, Dnsbl, HealthPolicy, Limits, List, ListHealth, Lists, Outcome, SelfTest, Subject,
    Subjects, Verdict,
};
use screening::early_talker::{Conduct, Offence, foreign_command};
use screening::helo::{Helo, Ours};
use screening::iprev::Iprev;
use screening::s25r::{ReverseName, S25r};
use screening::scorer::{Evidence, Scorer, Spf, Stage};

use crate::Random;

/// Input that is used up octet by octet; zero where it has ended.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn octets(&mut self) -> Vec<u8> {
        let length = usize::from(self.octet()).min(self.0.len());
        let (octets, rest) = self.0.split_at(length);
        self.0 = rest;
        octets.to_vec()
    }

    fn name(&mut self) -> Option<Name> {
        Name::from_dotted(&self.octets()).ok()
    }

    fn address(&mut self) -> IpAddr {
        let octets: [u8; 4] = core::array::from_fn(|_| self.octet());
        match self.octet() % 3 {
            0 => octets.into(),
            1 => IpAddr::V6(core::net::Ipv4Addr::from(octets).to_ipv6_mapped()),
            _ => [
                0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, octets[0], octets[1], octets[2],
                octets[3],
            ]
            .into(),
        }
    }

    fn record(&mut self) -> Record {
        match self.octet() % 8 {
            0..=2 => Record::A([127, 0, 0, self.octet()].into()),
            3 => Record::A([127, 255, 255, self.octet()].into()),
            4 => Record::A(core::array::from_fn(|_| self.octet()).into()),
            5 => Record::Txt(Txt::new([self.octets()])),
            6 => Record::Ptr(self.name().unwrap_or_else(Name::root)),
            _ => Record::Mx {
                preference: 0,
                exchange: self.name().unwrap_or_else(Name::root),
            },
        }
    }

    fn answer(&mut self) -> Answer {
        let mut answer = match self.octet() % 12 {
            0 => Answer::nx_domain(),
            1 => Answer::no_data(),
            2 => Answer::failed(Failure::Timeout),
            3 => Answer::failed(Failure::ServFail),
            4 => Answer::failed(Failure::Refused),
            5 => Answer::failed(Failure::Bogus),
            kind => {
                let mut records: Vec<_> = (0..kind - 5).map(|_| self.record()).collect();
                if self.octet() == 255 {
                    records = core::iter::repeat_n(records, 2_000).flatten().collect();
                }
                Answer::found(records)
            }
        };
        if self.octet().is_multiple_of(2) {
            answer.dnssec = Dnssec::Secure;
        }
        answer
    }
}

/// Answers of the input, the same for each question however often and in whatever order it is asked.
struct Answers<'a> {
    input: Input<'a>,
    /// In the order in which they were first asked for.
    known: HashMap<Question, Answer>,
}

impl Answers<'_> {
    fn answer(&mut self, question: &Question) -> Answer {
        let input = &mut self.input;
        let answer = self.known.entry(question.clone());
        answer.or_insert_with(|| input.answer()).clone()
    }

    /// Runs an evaluation: questions are collected, and answered in an order of the random numbers, with a second and a foreign answer
    /// among them.
    fn run<E: Evaluation>(&mut self, mut evaluation: E, random: &mut Random) -> E::Verdict {
        let mut open: Vec<Question> = Vec::new();
        loop {
            match evaluation.poll() {
                Need::Done(verdict) => return verdict,
                Need::Lookup(question) => {
                    let _ = self.answer(&question);
                    open.push(question);
                }
                Need::Wait => {
                    assert!(!open.is_empty(), "waits for nothing");
                    let question = open.swap_remove(random.below(open.len()));
                    let answer = self.answer(&question);
                    evaluation.answer(&question, &answer);
                    evaluation.answer(&question, &Answer::failed(Failure::Timeout));
                    let foreign = Question::new(Name::root(), question.kind);
                    evaluation.answer(&foreign, &answer);
                }
            }
        }
    }
}

fn lists(input: &mut Input<'_>) -> Lists {
    let zone = |text: &str| text.parse().expect("a zone");
    let mut rows = vec![
        List::new(zone("bad.example.com"), 3).with_reason(),
        List::new(zone("good.example.com"), -4),
        List::of(Subject::Ipv6, zone("bad.example.com"), 2),
        List::of(Subject::MailFrom, zone("doms.example.net"), 2).with_reason(),
        List::of(Subject::Helo, zone("doms.example.net"), 2),
        List::of(Subject::ReverseName, zone("doms.example.net"), 2),
    ];
    for row in &mut rows {
        row.weight = i32::from(input.octet()) - 100;
        row.codes = match input.octet() % 5 {
            0 | 1 => Codes::Any,
            2 => Codes::Bits(input.octet()),
            3 => Codes::OneOf(vec![[127, 0, 0, input.octet()].into()]),
            _ => Codes::Between([127, 0, 0, 2].into(), [127, 0, 0, input.octet()].into()),
        };
    }
    Lists::new(rows, 3, &Limits::default()).expect("few lists")
}

fn printable(text: &str) -> bool {
    text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

/// Whatever the lists answer, in whatever order: one verdict, by which only entries with codes of 127.0.0.0/8 count; and only a test turns
/// a list on or off.
pub fn screening_dnsbl_answers(data: &[u8]) {
    let mut input = Input(data);
    let lists = lists(&mut input);
    let mut subjects = Subjects::from(input.address());
    subjects.mail_from = input.name();
    subjects.helo = input.name();
    subjects.reverse_name = input.name();
    let mut answers = Answers {
        input,
        known: HashMap::new(),
    };
    let mut random = Random::of(data);
    let dnsbl = Dnsbl::new(subjects, &lists);
    let verdict = answers.run(dnsbl.clone(), &mut random);
    for _ in 0..3 {
        assert_eq!(answers.run(dnsbl.clone(), &mut random), verdict);
    }
    check(&verdict);
    let mut health = ListHealth::new(&lists, HealthPolicy::default());
    let mut now = 1_800_000_000;
    for _ in 0..4 {
        for (id, test) in health.due(now) {
            // A test asks the entries that must and must not be there, so their answers stand in the map like others.
            let (first, second) = (test.clone(), test);
            let found = answers.run::<SelfTest>(first, &mut random);
            assert_eq!(answers.run::<SelfTest>(second, &mut random), found);
            let _ = health.tested(&id, found, now);
        }
        let standing = |health: &ListHealth| {
            let all = health.iter().map(|(_, status)| status.standing.clone());
            all.collect::<Vec<_>>()
        };
        let before = standing(&health);
        health.observe(&verdict);
        assert_eq!(standing(&health), before);
        let next = health.next_test().expect("lists that can be tested");
        assert!(next > now, "tested without end");
        now = next;
    }
}

/// Lines of text as the entry of an address, in any order: one origin, of the longest prefix that holds the address, with few numbers.
pub fn screening_asn_origin(data: &[u8]) {
    let mut lines = data.split(|octet| *octet == b'\n');
    let address: IpAddr = match lines.next().unwrap_or_default() {
        b"6" => "2001:db8::1".parse().expect("an address"),
        _ => [216, 90, 108, 31].into(),
    };
    let zone = |text: &str| Some(text.parse().expect("a zone"));
    let zones = Zones::new(zone("a.example"), zone("b.example")).expect("short zones");
    let mut records: Vec<_> = lines.map(|line| Record::Txt(Txt::new([line]))).collect();
    let origin = |records: &[Record]| {
        let asn = Asn::new(address, &zones, &Default::default());
        let answer = Answer::found(records.to_vec());
        mail_dns::resolve_blocking(asn, |_| answer.clone())
    };
    let found = origin(&records);
    records.reverse();
    assert_eq!(origin(&records), found);
    records.extend(records.clone());
    assert_eq!(origin(&records), found);
    assert!(printable(&found.to_string()), "{found}");
    match &found {
        Origin::Announced { prefix, numbers } => {
            assert!(prefix.contains(address) && prefix.prefix() > 0);
            assert!((1..=8).contains(&numbers.len()) && !numbers.contains(&0));
            assert!(numbers.is_sorted_by(|one, other| one < other));
            assert_eq!(found.number(), numbers.first().copied());
        }
        _ => assert_eq!(found, Origin::Unknown),
    }
}

fn check(verdict: &Verdict) {
    let mut score = 0;
    for row in &verdict.lists {
        assert!(printable(&row.outcome.to_string()), "{}", row.outcome);
        score += i64::from(row.points);
        match &row.outcome {
            Outcome::Listed { codes, reason } => {
                assert!(!codes.is_empty() && codes.len() <= 32);
                let code = |code: &core::net::Ipv4Addr| {
                    code.octets()[0] == 127 && !code.octets().starts_with(&[127, 255, 255])
                };
                assert!(codes.iter().all(code) && codes.is_sorted());
                assert!(reason.as_ref().is_none_or(|reason| reason.len() <= 255));
                assert!(row.points == row.list.weight || row.points == 0);
            }
            _ => assert_eq!(row.points, 0),
        }
    }
    assert_eq!(verdict.score, score);
}

/// Whatever is known of a client: one decision, the points add up, and log line, header field and replies are lines of printable ASCII.
pub fn screening_score(data: &[u8]) {
    let mut input = Input(data);
    let lists = lists(&mut input);
    let client = input.address();
    let helo = String::from_utf8_lossy(&input.octets()).into_owned();
    let line = input.octets();
    let flags = input.octet();
    let spf = [
        Spf::None,
        Spf::Neutral,
        Spf::Pass,
        Spf::Fail,
        Spf::SoftFail,
        Spf::TempError,
        Spf::PermError,
    ];
    let spf = spf.get(usize::from(input.octet() % 9)).copied();
    let reputation = i32::from(input.octet()) - 128;
    let mut conduct: Conduct = Offence::ALL
        .into_iter()
        .enumerate()
        .filter(|(number, _)| flags >> number & 1 == 1)
        .map(|(_, offence)| offence)
        .collect();
    if foreign_command(&line) {
        conduct.saw(Offence::ForeignCommand);
    }
    let mut subjects = Subjects::from(client);
    subjects.mail_from = input.name();
    let mut answers = Answers {
        input,
        known: HashMap::new(),
    };
    let mut random = Random::of(data);
    let iprev = answers.run(Iprev::new(client, &Default::default()), &mut random);
    let mut ours = Ours::default();
    ours.names.push("mx.example.org".parse().expect("a name"));
    let text = helo.clone();
    let helo = answers.run(Helo::new(&helo, client, &ours), &mut random);
    subjects.helo.clone_from(&helo.name);
    subjects.reverse_name = iprev.names.first().cloned();
    let s25r = S25r::default().check(client, &ReverseName::from(&iprev));
    let listed = answers.run(Dnsbl::new(subjects, &lists), &mut random);
    assert!(printable(&s25r.to_string()) && printable(&helo.to_string()));
    let mut evidence = Evidence::default();
    evidence.client = Some(client);
    evidence.iprev = Some(&iprev);
    evidence.s25r = Some(&s25r);
    evidence.helo = Some(&helo);
    evidence.lists = Some(&listed);
    evidence.conduct = conduct;
    evidence.spf = spf;
    evidence.known_correspondent = flags & 0x80 != 0;
    evidence.reputation = Some(reputation);
    evidence.network_reputation = Some(reputation / 2);
    evidence.reputation_of = Some(&text);
    evidence.network_reputation_of = Some("AS64496");
    for scorer in [Scorer::default(), Scorer::s25r()] {
        let verdict = scorer.score(&evidence);
        assert_eq!(scorer.score(&evidence), verdict);
        let points = |reason: &screening::scorer::Reason| i64::from(reason.points);
        assert_eq!(
            verdict.reasons.iter().map(points).sum::<i64>(),
            verdict.score
        );
        assert!(printable(&verdict.to_string()), "{verdict}");
        for stage in [Stage::Greeting, Stage::Recipient] {
            let Some(reply) = verdict.reply(stage) else {
                continue;
            };
            assert_eq!(u16::from(reply.enhanced.0), reply.code / 100);
            let line = reply.to_string();
            assert!(printable(&line) && line.len() <= 510, "{line}");
        }
        let field = verdict.header_field("Yubin-Screening").expect("a field");
        let lines = field
            .strip_suffix("\r\n")
            .expect("an end of line")
            .split("\r\n");
        for (number, line) in lines.enumerate() {
            assert!(printable(line) && line.len() <= 998, "{line}");
            assert!(
                number == 0 || line.starts_with(' ') && !line.trim().is_empty(),
                "{line}"
            );
        }
    }
}
