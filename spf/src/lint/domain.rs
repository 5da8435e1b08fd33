//! The record of a domain as it is published, and all records that it leads to.

use core::fmt;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use mail_dns::{Answer, Evaluation, Name, Need, Question, Record, RecordType};

use super::{Finding, Problem, asks, lint, spans, uses_validated_name};
use crate::macros::DomainSpec;
use crate::record::{Directive, Mechanism, SpfRecord, Term, is_spf_record};
use crate::{Limits, RecordError};

/// Records that are looked over for one domain; those behind are not asked for. An evaluation that reached so many would be long over.
pub const MAX_RECORDS: usize = 40;
/// Questions for what terms look for, over all records.
const MAX_OTHERS: usize = 200;
/// How deep an `include` is followed.
const MAX_DEPTH: usize = 12;

/// What there is to say of a published record and of all that it leads to, counted over the whole tree.
///
/// It walks `include` and `redirect`, and tries what `a`, `mx` and `exists` ask for, as far as no macro hides the name. It asks all that
/// it can ask at once.
///
/// ```
/// # use mail_dns::{Zone, resolve_blocking};
/// # use spf::{Limits, lint::LintDomain};
/// let zone = Zone::new()
///     .txt("example.com", "v=spf1 include:example.net include:gone.example -all")
///     .txt("example.net", "v=spf1 ptr ~all");
/// let lint = LintDomain::new("example.com".parse()?, &Limits::default());
/// let reports = resolve_blocking(lint, |question| zone.answer(question));
/// let said: Vec<String> = reports.iter().flat_map(|of| &of.findings).map(ToString::to_string).collect();
/// assert_eq!(said, [
///     "error at octets 27 to 47: gone.example has no SPF record; publish one, or drop the term that leads there",
///     "warning at octets 7 to 10: \"ptr\" is slow, unreliable and deprecated; write \"a\", \"mx\", \"ip4\" or \"ip6\"",
/// ]);
/// # Ok::<(), mail_dns::NameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LintDomain {
    domain: Name,
    limits: Limits,
    answers: BTreeMap<Question, Option<Answer>>,
    unasked: Vec<Question>,
    open: usize,
    verdict: Option<Vec<DomainReport>>,
}

/// What there is to say of the record of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DomainReport {
    /// The domain.
    pub domain: Name,
    /// Which domains led here, from the first.
    pub path: Vec<Name>,
    /// The record as text; none where there is not exactly one.
    pub record: Option<Box<str>>,
    /// What there is to say, in the order of its octets.
    pub findings: Vec<Finding>,
    /// Terms that count against [`Limits::terms`] if no host matches: those of the record, and of all that it leads to.
    pub terms: usize,
    /// Of those the ones that count against [`Limits::void_lookups`], as far as could be tried.
    pub void_lookups: usize,
}

impl LintDomain {
    /// Looks over the record of this domain.
    pub fn new(domain: Name, limits: &Limits) -> Self {
        let question = Question::new(domain.clone(), RecordType::Txt);
        Self {
            domain,
            limits: limits.clone(),
            answers: BTreeMap::from([(question.clone(), None)]),
            unasked: vec![question],
            open: 0,
            verdict: None,
        }
    }

    /// Walks the tree again with the answers there are. It is walked once for each round of questions, and there are no more rounds than
    /// the tree is deep, and two.
    fn walk(&mut self) {
        let record = |question: &&Question| question.kind == RecordType::Txt;
        let records = self.answers.keys().filter(record).count();
        let mut walk = Walk {
            limits: &self.limits,
            answers: &self.answers,
            missing: BTreeSet::new(),
            records_left: MAX_RECORDS.saturating_sub(records),
            others_left: MAX_OTHERS.saturating_sub(self.answers.len() - records),
            reports: Vec::new(),
            counts: BTreeMap::new(),
        };
        walk.visit(&self.domain, &mut Vec::new());
        let Walk {
            missing,
            mut reports,
            ..
        } = walk;
        if missing.is_empty() {
            if let Some(first) = reports.first_mut() {
                first.count(&self.limits);
            }
            self.verdict = Some(reports);
        }
        for question in missing {
            self.answers.insert(question.clone(), None);
            self.unasked.push(question);
        }
    }
}

impl Evaluation for LintDomain {
    type Verdict = Vec<DomainReport>;

    fn poll(&mut self) -> Need<Vec<DomainReport>> {
        loop {
            if let Some(question) = self.unasked.pop() {
                self.open += 1;
                return Need::Lookup(question);
            }
            if self.open > 0 {
                return Need::Wait;
            }
            if let Some(verdict) = &self.verdict {
                return Need::Done(verdict.clone());
            }
            self.walk();
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if let Some(known @ None) = self.answers.get_mut(question)
            && !self.unasked.contains(question)
        {
            *known = Some(answer.clone());
            self.open -= 1;
        }
    }
}

impl DomainReport {
    /// The limits of an evaluation hold for the tree as a whole.
    fn count(&mut self, limits: &Limits) {
        let whole = 0..self.record.as_ref().map_or(0, |record| record.len());
        let mut say = |problem| self.findings.push(Finding::new(whole.clone(), problem));
        if self.terms > limits.terms {
            let (terms, limit) = (self.terms, limits.terms);
            say(Problem::TooManyTerms { terms, limit });
        }
        if self.void_lookups > limits.void_lookups {
            let (void_lookups, limit) = (self.void_lookups, limits.void_lookups);
            say(Problem::TooManyVoidLookups {
                void_lookups,
                limit,
            });
        }
        self.findings.sort_by_key(|finding| finding.span.start);
    }
}

/// How a domain is led to.
enum Led {
    /// It has a record, with so many terms and void lookups.
    Here(Counts),
    /// It has none, or more than one.
    Astray(Problem),
    /// The answer is missing, or it is too far off.
    Unknown,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    terms: usize,
    void_lookups: usize,
}

struct Walk<'a> {
    limits: &'a Limits,
    answers: &'a BTreeMap<Question, Option<Answer>>,
    missing: BTreeSet<Question>,
    /// How many questions of either kind may still be added.
    records_left: usize,
    others_left: usize,
    reports: Vec<DomainReport>,
    /// Of the domains that were walked to their end.
    counts: BTreeMap<Name, Counts>,
}

impl<'a> Walk<'a> {
    fn ask(&mut self, name: &Name, kind: RecordType) -> Option<&'a Answer> {
        let question = Question::new(name.clone(), kind);
        if let Some(answer) = self.answers.get(&question) {
            return answer.as_ref();
        }
        let left = match kind {
            RecordType::Txt => &mut self.records_left,
            _ => &mut self.others_left,
        };
        if *left > 0 && self.missing.insert(question) {
            *left -= 1;
        }
        None
    }

    fn visit(&mut self, domain: &Name, path: &mut Vec<Name>) -> Led {
        if path.contains(domain) {
            return Led::Astray(Problem::Loop {
                domain: domain.clone(),
            });
        }
        if let Some(counts) = self.counts.get(domain) {
            return Led::Here(*counts);
        }
        if path.len() >= MAX_DEPTH {
            return Led::Unknown;
        }
        let Some(answer) = self.ask(domain, RecordType::Txt) else {
            return Led::Unknown;
        };
        let texts = texts(answer);
        let problem = match (answer.outcome(), texts.as_slice()) {
            (Err(failure), _) => Some(Problem::LookupFailed {
                domain: domain.clone(),
                failure,
            }),
            (_, [_]) => None,
            (_, []) => Some(Problem::NoRecord {
                domain: domain.clone(),
            }),
            (_, several) => Some(Problem::SeveralRecords {
                domain: domain.clone(),
                records: several.len(),
            }),
        };
        let number = self.reports.len();
        let text = texts.first().filter(|_| problem.is_none());
        // What leads here says what is missing; the first domain has to say it itself.
        if text.is_some() || path.is_empty() {
            self.reports.push(DomainReport {
                domain: domain.clone(),
                path: path.clone(),
                record: text.map(|text| String::from_utf8_lossy(text).into()),
                findings: (problem.iter().cloned())
                    .map(|problem| Finding::new(0..0, problem))
                    .collect(),
                terms: 0,
                void_lookups: 0,
            });
        }
        let Some(text) = text else {
            return problem.map_or(Led::Unknown, Led::Astray);
        };
        let mut findings = lint(text, self.limits);
        // It is counted over the whole tree.
        findings.retain(|finding| !matches!(finding.problem, Problem::TooManyTerms { .. }));
        path.push(domain.clone());
        let counts = match SpfRecord::parse(text, self.limits) {
            Ok(record) => self.terms(text, &record, path, &mut findings),
            Err(RecordError { .. }) => Counts::default(),
        };
        path.pop();
        findings.sort_by_key(|finding| finding.span.start);
        if let Some(report) = self.reports.get_mut(number) {
            report.findings = findings;
            (report.terms, report.void_lookups) = (counts.terms, counts.void_lookups);
        }
        self.counts.insert(domain.clone(), counts);
        Led::Here(counts)
    }

    fn terms(
        &mut self,
        text: &[u8],
        record: &SpfRecord,
        path: &mut Vec<Name>,
        findings: &mut Vec<Finding>,
    ) -> Counts {
        let mut counts = Counts::default();
        for (span, term) in spans(text).zip(record.terms()) {
            let validated = uses_validated_name(text.get(span.clone()).unwrap_or_default());
            let leads_to = match term {
                Term::Directive(Directive { mechanism, .. }) => {
                    counts.terms += asks(mechanism) * (1 + usize::from(validated));
                    match mechanism {
                        Mechanism::All => break,
                        Mechanism::Include(domain) => Some(domain),
                        mechanism => {
                            self.try_lookup(&span, mechanism, path, &mut counts, findings);
                            None
                        }
                    }
                }
                _ => None,
            };
            self.follow(span, leads_to, path, &mut counts, findings);
        }
        let redirect = |term: &Term| matches!(term, Term::Redirect(_));
        if let Some(domain) = record.redirect()
            && let Some((span, _)) =
                (spans(text).zip(record.terms())).find(|(_, term)| redirect(term))
        {
            let validated = uses_validated_name(text.get(span.clone()).unwrap_or_default());
            counts.terms += 1 + usize::from(validated);
            self.follow(span, Some(domain), path, &mut counts, findings);
        }
        counts
    }

    /// The record that an `include` or `redirect` leads to.
    fn follow(
        &mut self,
        span: Range<usize>,
        domain: Option<&DomainSpec>,
        path: &mut Vec<Name>,
        counts: &mut Counts,
        findings: &mut Vec<Finding>,
    ) {
        let Some(Ok(target)) = domain.and_then(DomainSpec::literal) else {
            return;
        };
        match self.visit(&target, path) {
            Led::Here(behind) => {
                counts.terms = counts.terms.saturating_add(behind.terms);
                counts.void_lookups = counts.void_lookups.saturating_add(behind.void_lookups);
            }
            Led::Astray(problem) => findings.push(Finding::new(span, problem)),
            Led::Unknown => {}
        }
    }

    /// What an `a`, `mx` or `exists` finds.
    fn try_lookup(
        &mut self,
        span: &Range<usize>,
        mechanism: &Mechanism,
        path: &[Name],
        counts: &mut Counts,
        findings: &mut Vec<Finding>,
    ) {
        let (spec, kinds) = match mechanism {
            Mechanism::A { domain, .. } => {
                (domain.as_ref(), &[RecordType::A, RecordType::Aaaa][..])
            }
            Mechanism::Mx { domain, .. } => (domain.as_ref(), &[RecordType::Mx][..]),
            Mechanism::Exists(domain) => (Some(domain), &[RecordType::A][..]),
            _ => return,
        };
        let target = match spec.map(DomainSpec::literal) {
            Some(Some(Ok(name))) => Some(name),
            Some(_) => None,
            None => path.last().cloned(),
        };
        let Some(target) = target else {
            return;
        };
        let (mut void, mut exchanges) = (true, 0);
        for kind in kinds {
            let answer = self.ask(&target, *kind);
            void &= answer.is_some_and(Answer::is_void);
            let records = answer.map_or(&[][..], Answer::records);
            let is_exchange = |record: &&Record| matches!(record, Record::Mx { .. });
            exchanges = records.iter().filter(is_exchange).count();
        }
        if void {
            counts.void_lookups += 1;
            let target = target.clone();
            findings.push(Finding::new(span.clone(), Problem::NothingThere { target }));
        }
        let limit = self.limits.mx_names;
        if exchanges > limit {
            let problem = Problem::TooManyExchanges { exchanges, limit };
            findings.push(Finding::new(span.clone(), problem));
        }
    }
}

/// The SPF records of an answer.
fn texts(answer: &Answer) -> Vec<Vec<u8>> {
    let texts = answer.records().iter().filter_map(|record| match record {
        Record::Txt(text) => Some(text.joined().into_owned()),
        _ => None,
    });
    texts.filter(|text| is_spf_record(text)).collect()
}

/// The domain, the counts, and below the record each finding on a line of its own.
impl fmt::Display for DomainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (terms, void_lookups) = (self.terms, self.void_lookups);
        write!(
            f,
            "{}: {terms} terms with lookups, {void_lookups} of them void",
            self.domain
        )?;
        if let Some(record) = &self.record {
            write!(f, "\n  {record}")?;
        }
        (self.findings.iter()).try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Failure, Zone, resolve_blocking};

    use super::*;

    fn reports(zone: &Zone) -> Vec<DomainReport> {
        let lint = LintDomain::new("d.example".parse().unwrap(), &Limits::default());
        let mut asked = Vec::new();
        let reports = resolve_blocking(lint, |question| {
            assert!(!asked.contains(question), "{question}");
            asked.push(question.clone());
            zone.answer(question)
        });
        assert!(asked.len() <= MAX_RECORDS + MAX_OTHERS, "{}", asked.len());
        reports
    }

    fn said(reports: &[DomainReport]) -> Vec<String> {
        let line = |of: &DomainReport| {
            let domain = of.domain.clone();
            let line = move |finding: &Finding| {
                let Finding {
                    severity,
                    span,
                    problem,
                } = finding;
                format!("{domain} {severity} {span:?}: {problem}")
            };
            of.findings.iter().map(line).collect::<Vec<_>>()
        };
        reports.iter().flat_map(line).collect()
    }

    #[test]
    fn what_a_tree_says() {
        let zone = |record: &str| {
            Zone::new()
                .txt("d.example", record)
                .txt("good.example", "v=spf1 mx ip4:192.0.2.1 ~all")
                .mx("good.example", 10, "mx.good.example")
                .txt("two.example", "v=spf1 -all")
                .txt("two.example", "v=spf1 +all")
                .txt("broken.example", "v=spf1 moo -all")
                .txt("back.example", "v=spf1 include:d.example -all")
                .exists("empty.example")
                .fail("down.example", Failure::ServFail)
        };
        for (record, expected) in [
            ("v=spf1 include:good.example -all", &[][..]),
            ("v=spf1 include:%{d}.example exists:%{i}.example -all", &[]),
            ("v=spf1 redirect=good.example", &[]),
            (
                "v=spf1 redirect=gone.example",
                &["d.example error 7..28: gone.example has no SPF record"],
            ),
            (
                "v=spf1 include:empty.example -all",
                &["d.example error 7..28: empty.example has no SPF record"],
            ),
            (
                "v=spf1 include:two.example -all",
                &["d.example error 7..26: two.example has 2 SPF records"],
            ),
            (
                "v=spf1 include:broken.example -all",
                &["broken.example error 7..10: unknown mechanism at octet 7 of the SPF record"],
            ),
            (
                "v=spf1 include:back.example -all",
                &["back.example error 7..24: d.example leads here"],
            ),
            (
                "v=spf1 include:down.example -all",
                &["d.example warning 7..27: down.example TXT: server failure"],
            ),
            (
                "v=spf1 a -all",
                &["d.example warning 7..8: d.example has nothing of the kind"],
            ),
            (
                "v=spf1 mx:empty.example -all",
                &["d.example warning 7..23: empty.example has nothing of the kind"],
            ),
            (
                "v=spf1 -all include:gone.example",
                &["d.example warning 12..32: the term stands behind \"all\" and is ignored"],
            ),
        ] {
            assert_eq!(said(&reports(&zone(record))), expected, "{record}");
        }
        let none = reports(&Zone::new());
        assert_eq!(
            said(&none),
            ["d.example error 0..0: d.example has no SPF record"]
        );
        assert_eq!((none.len(), &none[0].record), (1, &None));
    }

    #[test]
    fn the_counts_are_those_of_the_tree() {
        let zone = Zone::new()
            .txt(
                "d.example",
                "v=spf1 a include:i.example include:i.example redirect=r.example",
            )
            .a("d.example", [192, 0, 2, 1])
            .txt(
                "i.example",
                "v=spf1 mx:i.example exists:gone.example ptr exists:%{p}.x.example ~all",
            )
            .mx("i.example", 10, "mx.example")
            .txt("r.example", "v=spf1 ip4:192.0.2.1 -all");
        let reports = reports(&zone);
        let counts: Vec<_> = (reports.iter())
            .map(|of| {
                (
                    of.domain.to_string(),
                    of.path.len(),
                    of.terms,
                    of.void_lookups,
                )
            })
            .collect();
        let count = |domain: &str, path, terms, voids| (domain.to_owned(), path, terms, voids);
        assert_eq!(
            counts,
            [
                count("d.example", 0, 14, 2),
                count("i.example", 1, 5, 1),
                count("r.example", 1, 0, 0)
            ]
        );
        let (terms, limit) = (14, 10);
        let problem = Problem::TooManyTerms { terms, limit };
        assert!(reports[0].findings.iter().any(|of| of.problem == problem));
        assert!(
            reports[0]
                .to_string()
                .starts_with("d.example: 14 terms with lookups, 2 of them void\n  v=spf1 a")
        );
    }

    #[test]
    fn a_hostile_tree_is_bounded() {
        let mut zone = Zone::new();
        let terms = |start: usize| {
            let terms: Vec<String> = (start..start + 40)
                .map(|n| format!("include:d{n}.example a:{n}.b.example"))
                .collect();
            format!("v=spf1 {} -all", terms.join(" "))
        };
        zone = zone.txt("d.example", &terms(0));
        for number in 0..200 {
            zone = zone.txt(&format!("d{number}.example"), &terms(number));
        }
        let reports = reports(&zone);
        assert_eq!(reports.len(), MAX_RECORDS);
    }
}
