//! DMARC over zones, identifiers and orders of answers that the input chooses.

use std::collections::BTreeMap;

use dmarc::{
    Authentication, AuthorDomains, Config, Dmarc, DmarcResult, MAX_QUERIES, OrganizationalDomain,
    PublicSuffixes, Verdict,
};
use mail_dns::{Answer, Evaluation, Failure, Name, Need, Question, Record, Txt};
use mail_syntax::Domain;

/// The domain below which all others of an input are, or beside a part of it.
const BASE: &str = "a.b.c.d.e.f.g.h.i.j.example.com";

/// What is left of an input: each choice takes an octet.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn below(&mut self, end: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % end
    }

    /// Up to a line end, or as many octets as there are.
    fn line(&mut self) -> &'a [u8] {
        let length = self.0.iter().position(|octet| *octet == b'\n');
        let (line, rest) = self.0.split_at(length.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        line
    }

    fn domain(&mut self) -> Domain {
        let base: Domain = BASE.parse().unwrap();
        let above = base.suffix(self.below(12)).to_string();
        let front = [
            "",
            "",
            "x.",
            "Y.",
            "x.y.",
            "z.z.z.z.z.z.z.z.",
            "_dmarc.",
            "\u{fc}.",
        ];
        Domain::parse_utf8(&format!("{}{above}", front[self.below(front.len())])).unwrap()
    }

    fn answer(&mut self) -> Answer {
        match self.below(8) {
            0 => Answer::no_data(),
            1 => Answer::failed(Failure::Timeout),
            2 => Answer::failed(Failure::ServFail),
            3 => {
                let texts = [self.line(), self.line()];
                Answer::found(texts.map(|text| Record::Txt(Txt::new([text]))))
            }
            _ => {
                let text = [b"v=DMARC1; ", self.line()].concat();
                Answer::found([Record::Txt(Txt::new([text]))])
            }
        }
    }
}

/// What is asked of whom, and the names that have other answers than that nothing is there.
struct Case {
    config: Config,
    author: Domain,
    identifiers: Vec<(bool, Domain, Authentication)>,
    draw: u8,
    answers: BTreeMap<Name, Answer>,
}

impl Case {
    fn new(choices: &mut Choices<'_>) -> Self {
        let mut config = Config::default();
        if choices.below(4) == 3 {
            let labels = choices.below(4);
            let suffixes = PublicSuffixes::new(move |_| labels);
            config.organizational_domain = OrganizationalDomain::PublicSuffix(suffixes);
        }
        config.limits.dkim_questions = choices.below(16);
        config.limits.identifiers = choices.below(8);
        let author = choices.domain();
        let authentications = [
            Authentication::Pass,
            Authentication::TempError,
            Authentication::Fail,
        ];
        let identifiers = (0..choices.below(6))
            .map(|_| {
                let is_spf = choices.below(3) == 0;
                let authentication = authentications[choices.below(6) / 2];
                (is_spf, choices.domain(), authentication)
            })
            .collect();
        let draw = choices.below(256) as u8;
        let mut answers = BTreeMap::new();
        for _ in 0..choices.below(8) {
            let domain = choices.domain();
            let is_existence = choices.below(5) == 4;
            let name = match is_existence {
                true => Name::from_dotted(domain.as_str().as_bytes()).ok(),
                false => dmarc::tree_walk::record_name(&domain),
            };
            answers.extend(name.map(|name| (name, choices.answer())));
        }
        Self {
            config,
            author,
            identifiers,
            draw,
            answers,
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        let answer = self.answers.get(&question.name).cloned();
        answer.unwrap_or(Answer::nx_domain())
    }

    /// The verdict, where of the questions that are open the one that `pick` chooses is answered next.
    fn judge(&self, mut pick: impl FnMut(usize) -> usize) -> Verdict {
        let author = AuthorDomains::One(self.author.clone());
        let mut dmarc = Dmarc::new(&author, &self.config);
        dmarc.draw(self.draw);
        for (is_spf, domain, authentication) in &self.identifiers {
            match is_spf {
                true => dmarc.spf(domain, *authentication),
                false => dmarc.dkim(domain, *authentication),
            }
        }
        dmarc.no_more_identifiers();
        let (mut open, mut asked) = (Vec::new(), Vec::new());
        let verdict = loop {
            match dmarc.poll() {
                Need::Lookup(question) => {
                    assert!(!asked.contains(&question), "{question} is asked twice");
                    asked.push(question.clone());
                    open.push(question);
                }
                Need::Wait => {
                    assert!(!open.is_empty(), "waits for nothing");
                    let question: Question = open.swap_remove(pick(open.len()));
                    dmarc.answer(&question, &self.answer(&question));
                }
                Need::Done(verdict) => break verdict,
            }
        };
        let spf = self.identifiers.iter().filter(|(is_spf, ..)| *is_spf);
        let walks = (1 + spf.count()) * MAX_QUERIES + self.config.limits.dkim_questions;
        assert!(asked.len() <= walks + 1, "{} questions", asked.len());
        assert_eq!(dmarc.poll(), Need::Wait, "something after the verdict");
        verdict
    }
}

/// The verdict of DMARC is the same in every order of the answers; it asks each question once, and no more than its limits allow; a message
/// passes only where something that passed is of the author's domain, or of one with the same end.
pub fn dmarc_evaluation(data: &[u8]) {
    let mut choices = Choices(data);
    let case = Case::new(&mut choices);
    let first = case.judge(|_| 0);
    let last = case.judge(|open| open - 1);
    let mixed = case.judge(|open| choices.below(open));
    for mut other in [last, mixed] {
        // It is told where it is known by the time that the rest is.
        if first.organizational_domain.is_none() || other.organizational_domain.is_none() {
            other.organizational_domain = first.organizational_domain.clone();
        }
        assert_eq!(other, first);
    }
    if first.result == DmarcResult::Pass {
        let top = |domain: &Domain| domain.suffix(1);
        let of_author = |domain: &Domain| top(domain) == top(&case.author);
        let mut passed = case.identifiers.iter();
        assert!(passed.any(|(_, domain, authentication)| {
            *authentication == Authentication::Pass && of_author(domain)
        }));
    }
}
