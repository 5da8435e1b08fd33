//! What all that was found comes to: one score with its reasons, and a decision.
//!
//! Each finding of the other modules is worth some points ([`Weights`]); their sum leads to a [`Decision`] ([`Thresholds`]). Both are
//! data. Nothing here is learnt or hidden: a [`Verdict`] prints each reason with its points, and whoever reads a log can add them up.
//!
//! ```
//! use screening::s25r::{ReverseName, S25r};
//! use screening::scorer::{Decision, Evidence, Scorer, Stage};
//!
//! let client = "192.0.2.7".parse()?;
//! let name = ReverseName::Confirmed("p12345.pool.example.net".parse()?);
//! let suspicion = S25r::default().check(client, &name);
//! let mut evidence = Evidence::default();
//! evidence.client = Some(client);
//! evidence.s25r = Some(&suspicion);
//!
//! let verdict = Scorer::default().score(&evidence);
//! assert_eq!(verdict.to_string(), r#"greylist, score 3: +3 rule 2: five digits in "p12345""#);
//! let reply = verdict.reply(Stage::Recipient).ok_or("no reply")?;
//! assert_eq!((reply.code, reply.enhanced), (450, (4, 7, 1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the default does to honest servers
//!
//! A small server with one thing wrong (no reverse name, a HELO of a single label, SPF that fails behind a forwarder) is greylisted at
//! most, and its mail comes with the next try. A refusal needs two findings and 14 points, which takes a lie in HELO, bad manners or a bad
//! past of its own besides all that can be wrong with it ([`Thresholds::refuse`]). What its neighbours sent counts towards no refusal.
//! [`Scorer::s25r`] never refuses.

mod evidence;
mod verdict;
mod weights;

pub use evidence::{Evidence, Spf};
pub use verdict::{Decision, Reason, Reply, Stage, Verdict, Why};
pub use weights::{Thresholds, Weights};

use crate::Network;
use crate::dnsbl;
use crate::early_talker::Offence;
use crate::helo::{self, Form, Resolution};
use crate::iprev::IprevResult;
use crate::s25r::{Finding, Rule};

/// Weights, thresholds and exceptions: made once, used for all clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scorer {
    /// What each finding is worth.
    pub weights: Weights,
    /// What each score leads to.
    pub thresholds: Thresholds,
    /// Networks whose clients are accepted without a look.
    pub exempt: Vec<Network>,
}

impl Scorer {
    /// What S25R's author and its users run: who looks like an end user's line by the rules is greylisted, everybody else is accepted, and
    /// nobody is refused. A white list of negative weight lifts a client over it.
    pub fn s25r() -> Self {
        Self {
            weights: Weights {
                s25r: [1; 7],
                ..Weights::none()
            },
            thresholds: Thresholds {
                greylist: Some(1),
                tarpit: None,
                refuse: None,
                ..Thresholds::default()
            },
            exempt: Vec::new(),
        }
    }

    /// Adds up what is known. Linear in the evidence, which is bounded by the limits of what found it.
    pub fn score(&self, evidence: &Evidence<'_>) -> Verdict {
        let client = evidence.client;
        let mut exempt = self.exempt.iter();
        let exempt = exempt.find(|network| client.is_some_and(|client| network.contains(client)));
        let mut reasons = Reasons(Vec::new());
        if let Some(network) = exempt {
            let why = Why::Exempt(*network);
            return Verdict {
                client,
                score: 0,
                decision: Decision::Accept,
                reasons: vec![Reason { points: 0, why }],
            };
        }
        self.name(evidence, &mut reasons);
        if let Some(helo) = evidence.helo {
            self.helo(helo, &mut reasons);
        }
        if let Some(lists) = evidence.lists {
            self.lists(lists, evidence, &mut reasons);
        }
        self.conduct(evidence, &mut reasons);
        self.sender(evidence, &mut reasons);
        let Reasons(reasons) = reasons;
        let sum = |points: &dyn Fn(&Reason) -> i64| -> i64 { reasons.iter().map(points).sum() };
        let score = sum(&|reason| i64::from(reason.points));
        // What may not refuse counts for greylisting and the tarpit only.
        let refusing = |reason: &Reason| reason.points <= 0 || reason.why.may_refuse();
        let refusal = sum(&|reason| i64::from(reason.points) * i64::from(refusing(reason)));
        let against = sum(&|reason| i64::from(reason.points > 0 && refusing(reason)));
        let reached = |score: i64, threshold: Option<i64>| threshold.is_some_and(|at| score >= at);
        let decision = if reached(refusal, self.thresholds.refuse)
            && against >= i64::from(self.thresholds.refuse_findings)
        {
            Decision::Refuse
        } else if reached(score, self.thresholds.tarpit) {
            Decision::Tarpit(self.thresholds.tarpit_delay)
        } else if reached(score, self.thresholds.greylist) {
            Decision::Greylist
        } else {
            Decision::Accept
        };
        Verdict {
            client,
            score,
            decision,
            reasons,
        }
    }

    /// S25R and iprev look at the same name: that there is none which leads back counts once.
    fn name(&self, evidence: &Evidence<'_>, reasons: &mut Reasons) {
        let mut no_name = false;
        if let Some(Finding::Suspicious { rule, part, .. }) = evidence.s25r {
            let points = self.weights.s25r.get(usize::from(rule.number()));
            let points = points.copied().unwrap_or_default();
            no_name = *rule == Rule::NoName && points != 0;
            reasons.add(points, || Why::S25r {
                rule: *rule,
                part: part.clone(),
            });
        }
        if let Some(iprev) = evidence.iprev.filter(|_| !no_name) {
            let points = match iprev.result {
                IprevResult::PermError => self.weights.iprev_no_name,
                IprevResult::Fail => self.weights.iprev_fail,
                IprevResult::Pass | IprevResult::TempError => 0,
            };
            reasons.add(points, || Why::Iprev(iprev.result));
        }
    }

    fn helo(&self, helo: &helo::Verdict, reasons: &mut Reasons) {
        let weights = &self.weights;
        let points = match helo.form {
            Form::Domain => 0,
            Form::NotQualified => weights.helo_not_qualified,
            Form::OwnLiteral => weights.helo_own_literal,
            Form::ForeignLiteral => weights.helo_foreign_literal,
            Form::BareAddress => weights.helo_bare_address,
            Form::OurName | Form::OurAddress => weights.helo_ours,
            Form::Malformed => weights.helo_malformed,
        };
        reasons.add(points, || Why::Helo(helo.form));
        let points = match helo.resolution {
            Resolution::Elsewhere => weights.helo_elsewhere,
            Resolution::Nowhere => weights.helo_nowhere,
            Resolution::NotAsked | Resolution::Client | Resolution::Failed(_) => 0,
        };
        reasons.add(points, || Why::HeloLeads(helo.resolution));
    }

    fn lists(&self, lists: &dnsbl::Verdict, evidence: &Evidence<'_>, reasons: &mut Reasons) {
        let mut room = self.weights.block_lists_most.max(0);
        for row in &lists.lists {
            let dnsbl::Outcome::Listed { codes, reason } = &row.outcome else {
                continue;
            };
            if row.points < 0 && !evidence.proves(row.list.subject) {
                continue;
            }
            let points = row.points.min(room);
            room -= points.max(0);
            reasons.add(points, || Why::Listed {
                zone: row.list.zone.clone(),
                subject: row.list.subject,
                codes: match row.list.codes {
                    dnsbl::Codes::Any => Vec::new(),
                    _ => codes.clone(),
                },
                reason: reason.clone(),
            });
        }
    }

    fn conduct(&self, evidence: &Evidence<'_>, reasons: &mut Reasons) {
        for offence in evidence.conduct.iter() {
            let points = match offence {
                Offence::BeforeGreeting => self.weights.before_greeting,
                Offence::ForeignCommand => self.weights.foreign_command,
                Offence::BareNewline => self.weights.bare_newline,
                Offence::Pipelining => self.weights.pipelining,
                Offence::Ignored421 => self.weights.ignored_421,
            };
            reasons.add(points, || Why::Offence(offence));
        }
    }

    fn sender(&self, evidence: &Evidence<'_>, reasons: &mut Reasons) {
        if let Some(spf) = evidence.spf {
            let points = match spf {
                Spf::Pass => self.weights.spf_pass,
                Spf::Fail => self.weights.spf_fail,
                Spf::SoftFail => self.weights.spf_soft_fail,
                Spf::PermError => self.weights.spf_perm_error,
                Spf::None | Spf::Neutral | Spf::TempError => 0,
            };
            reasons.add(points, || Why::Spf(spf));
        }
        if evidence.known_correspondent && evidence.spf == Some(Spf::Pass) {
            let points = self.weights.known_correspondent;
            reasons.add(points, || Why::KnownCorrespondent);
        }
        if let Some(points) = evidence.reputation {
            let most = self.weights.reputation_most.max(0);
            reasons.add(points.clamp(-most, most), || {
                Why::Reputation(evidence.reputation_of.map(str::to_owned))
            });
        }
        if let Some(points) = evidence.network_reputation {
            let most = self.weights.network_reputation_most.max(0);
            reasons.add(points.clamp(-most, most), || {
                Why::NetworkReputation(evidence.network_reputation_of.map(str::to_owned))
            });
        }
    }
}

/// What was found so far and is worth something.
struct Reasons(Vec<Reason>);

impl Reasons {
    fn add(&mut self, points: i32, why: impl FnOnce() -> Why) {
        if points != 0 {
            self.0.push(Reason { points, why: why() });
        }
    }
}
