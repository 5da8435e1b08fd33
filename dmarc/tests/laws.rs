//! Laws on generated zones: the steps of RFC 9989 one after the other as the oracle, any order of answers, failing lookups.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use dmarc::record::Psd;
use dmarc::{
    AlignmentMode, Authentication, AuthorDomains, Disposition, Dmarc, DmarcResult, Policy, Record,
    Verdict,
};
use mail_dns::{Answer, Evaluation, Failure, Need, Question, Zone};
use proptest::prelude::*;

type Records = BTreeMap<String, Vec<String>>;

#[derive(Clone, Debug)]
struct Case {
    records: Records,
    exists: bool,
    author: String,
    spf: Option<String>,
    dkim: Vec<String>,
}

impl Case {
    fn zone(&self) -> Zone {
        let mut zone = Zone::new();
        for (domain, records) in &self.records {
            for record in records {
                zone = zone.txt(&format!("_dmarc.{domain}"), record);
            }
        }
        if self.exists {
            zone.exists(&self.author)
        } else {
            zone
        }
    }

    fn begin(&self) -> Dmarc {
        let author = AuthorDomains::One(self.author.parse().unwrap());
        let mut dmarc = Dmarc::new(&author, &Default::default());
        if let Some(spf) = &self.spf {
            dmarc.spf(&spf.parse().unwrap(), Authentication::Pass);
        }
        for dkim in &self.dkim {
            dmarc.dkim(&dkim.parse().unwrap(), Authentication::Pass);
        }
        dmarc.no_more_identifiers();
        dmarc
    }

    /// Whether the author's name exists in the zone: for itself, or because of something below it.
    fn author_exists(&self) -> bool {
        let below = format!(".{}", self.author);
        let of_records = self
            .records
            .iter()
            .filter(|(_, records)| !records.is_empty());
        self.exists
            || of_records
                .into_iter()
                .any(|(domain, _)| *domain == self.author || domain.ends_with(&below))
    }
}

/// RFC 9989, one step after the other.
mod oracle {
    use super::*;

    pub(super) fn record(case: &Case, domain: &str) -> Option<Record> {
        let texts = case.records.get(domain)?;
        let mut records = texts.iter().filter_map(|text| text.parse().ok());
        let first = records.next()?;
        records.next().is_none().then_some(first)
    }

    /// §4.10: the names at which records are, from the longest.
    pub(super) fn walk(case: &Case, domain: &str) -> Vec<(String, Record)> {
        let mut labels: Vec<&str> = domain.split('.').collect();
        let mut found = Vec::new();
        loop {
            let target = labels.join(".");
            if let Some(record) = record(case, &target) {
                let stop = record.psd != Psd::Unspecified;
                found.push((target, record));
                if stop {
                    return found;
                }
            }
            let remove = if labels.len() < 8 {
                1
            } else {
                labels.len() - 7
            };
            labels.drain(..remove);
            if labels.is_empty() {
                return found;
            }
        }
    }

    /// §4.10.2.
    pub(super) fn organizational_domain(case: &Case, domain: &str) -> String {
        let found = walk(case, domain);
        if let Some((name, _)) = found.iter().find(|(_, record)| record.psd == Psd::No) {
            return name.clone();
        }
        if let Some((name, _)) = found
            .iter()
            .find(|(name, record)| record.psd == Psd::Yes && name != domain)
        {
            let above = name.split('.').count();
            let labels: Vec<&str> = domain.split('.').collect();
            return labels[labels.len() - above - 1..].join(".");
        }
        found
            .last()
            .map_or_else(|| domain.to_owned(), |(name, _)| name.clone())
    }

    /// §4.10.1: the record in force and where it is.
    pub(super) fn in_force(case: &Case) -> Option<(String, Record)> {
        if let Some(record) = record(case, &case.author) {
            return Some((case.author.clone(), record));
        }
        let organizational = organizational_domain(case, &case.author);
        let found = walk(case, &case.author);
        let at = |wanted: &dyn Fn(&(String, Record)) -> bool| {
            found.iter().find(|found| wanted(found)).cloned()
        };
        at(&|(name, _)| *name == organizational)
            .or_else(|| at(&|(_, record)| record.psd == Psd::Yes))
    }

    pub(super) fn result(case: &Case) -> (DmarcResult, Option<Policy>, Disposition) {
        let Some((name, record)) = in_force(case) else {
            return (DmarcResult::None, None, Disposition::None);
        };
        let Some(p) = record.p else {
            return (DmarcResult::None, None, Disposition::None);
        };
        let policy = match () {
            () if name == case.author => p,
            () if case.author_exists() => record.sp.unwrap_or(p),
            () => record.np.or(record.sp).unwrap_or(p),
        };
        let aligned = |identifier: &String, mode| {
            *identifier == case.author
                || mode == AlignmentMode::Relaxed
                    && organizational_domain(case, identifier)
                        == organizational_domain(case, &case.author)
        };
        let passes = case.spf.iter().any(|spf| aligned(spf, record.aspf))
            || case.dkim.iter().any(|dkim| aligned(dkim, record.adkim));
        if passes {
            return (DmarcResult::Pass, Some(policy), Disposition::None);
        }
        (
            DmarcResult::Fail,
            Some(policy),
            policy.disposition(record.test_mode),
        )
    }
}

/// Answers the open questions in the order that `picks` chooses.
fn resolve(
    mut dmarc: Dmarc,
    picks: &[usize],
    mut ask: impl FnMut(&Question) -> Answer,
) -> (Verdict, usize) {
    let (mut open, mut asked, mut picks) = (Vec::new(), 0, picks.iter().cycle());
    loop {
        match dmarc.poll() {
            Need::Lookup(question) => {
                asked += 1;
                open.push(question);
            }
            Need::Done(verdict) => return (verdict, asked),
            Need::Wait => {
                assert!(!open.is_empty(), "waits for nothing");
                let question = open.swap_remove(picks.next().unwrap() % open.len());
                dmarc.answer(&question, &ask(&question));
            }
        }
    }
}

fn domain() -> impl Strategy<Value = String> {
    let labels = prop::collection::vec("[ab]", 0..10);
    (labels, "[xy]").prop_map(|(labels, top)| {
        let labels: Vec<String> = labels.into_iter().chain([top]).collect();
        labels.join(".")
    })
}

/// A domain on the way up from another, with perhaps something in front: near enough to matter.
fn relative(of: String) -> impl Strategy<Value = String> {
    (0usize..10, prop::option::of("[abc]"), domain(), 0..4).prop_map(
        move |(up, label, other, which)| {
            let labels: Vec<&str> = of.split('.').collect();
            let above = labels[up.min(labels.len() - 1)..].join(".");
            match (which, label) {
                (0, _) => other,
                (_, Some(label)) => format!("{label}.{above}"),
                (_, None) => above,
            }
        },
    )
}

fn record() -> impl Strategy<Value = String> {
    let policy = "none|quarantine|reject|bad";
    let tag = prop_oneof![
        4 => policy.prop_map(|policy| format!("; sp={policy}")),
        4 => policy.prop_map(|policy| format!("; np={policy}")),
        4 => "y|n|u".prop_map(|psd| format!("; psd={psd}")),
        2 => "; adkim=s|; aspf=s|; t=y|; rua=mailto:a@b",
    ];
    (
        "v=DMARC1; p=(none|quarantine|reject|reject|reject)|v=DMARC1|other",
        prop::collection::vec(tag, 0..3),
    )
        .prop_map(|(start, tags)| format!("{start}{}", tags.concat()))
}

fn case() -> impl Strategy<Value = Case> {
    domain().prop_flat_map(|author| {
        let records = prop::collection::btree_map(
            relative(author.clone()),
            prop::collection::vec(record(), 1..3),
            0..5,
        );
        let dkim = prop::collection::vec(relative(author.clone()), 0..2);
        let spf = prop::option::of(relative(author.clone()));
        (records, any::<bool>(), spf, dkim).prop_map(move |(records, exists, spf, dkim)| Case {
            records,
            exists,
            author: author.clone(),
            spf,
            dkim,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_verdict_is_that_of_the_steps_of_the_rfc(case in case(), picks in prop::collection::vec(0usize..100, 1..30)) {
        let zone = case.zone();
        let (verdict, asked) = resolve(case.begin(), &picks, |question| zone.answer(question));
        let said = (verdict.result, verdict.policy, verdict.disposition);
        prop_assert_eq!(said, oracle::result(&case));
        prop_assert!(asked <= 25);
        if verdict.result != DmarcResult::None {
            prop_assert_eq!(
                verdict.record_domain.as_ref().map(|domain| domain.to_string()),
                oracle::in_force(&case).map(|(name, _)| name)
            );
        }
        // The order of answers changes nothing.
        let (back, _) = resolve(case.begin(), &[0], |question| zone.answer(question));
        prop_assert_eq!((verdict.result, &verdict.cause, verdict.aligned_spf()), (back.result, &back.cause, back.aligned_spf()));
    }

    #[test]
    fn failed_lookups_make_no_result_of_their_own(case in case(), failing in prop::collection::vec(any::<bool>(), 1..30)) {
        let zone = case.zone();
        let mut fails = failing.iter().cycle();
        let (verdict, _) = resolve(case.begin(), &[0], |question| {
            if *fails.next().unwrap() { Answer::failed(Failure::Timeout) } else { zone.answer(question) }
        });
        if verdict.result == DmarcResult::TempError {
            prop_assert_eq!(verdict.disposition, Disposition::None);
        } else {
            let (result, _, disposition) = oracle::result(&case);
            prop_assert_eq!((verdict.result, verdict.disposition), (result, disposition));
        }
    }
}
