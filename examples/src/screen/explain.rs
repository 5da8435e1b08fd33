//! What would happen to a message, and why: `mail-server screen`. Nothing is remembered of it.

use std::fmt;

use screening::asn::Origin;
use screening::early_talker::Conduct;
use screening::greylisting;
use screening::rate_limit;
use screening::scorer::{Decision, Stage, Verdict};
use screening::store::{Key, MemoryStore, Store as Memory, Value};
use serde_json::{Value as Json, json};

use super::visit::{Answer, address, is_postmaster};
use super::{Claim, Findings, Screen};
use crate::config::Config;
use crate::resolver::Resolver;
use crate::routing::{self, Refused};
use crate::server::now;
use crate::store::{self, Store, StoreError};

/// What would happen to a message.
#[derive(Debug)]
pub struct Explanation {
    findings: Findings,
    recipient: String,
    /// Where its mail goes, if that was asked.
    routed: Option<Result<Vec<String>, Refused>>,
    verdict: Verdict,
    /// The greylist, if it is asked.
    greylist: Option<greylisting::Decision>,
    /// The reply to RCPT that screening gives; none: accept.
    answer: Option<Answer>,
}

/// Loads what is remembered, and saves nothing.
struct DryRun<'a, S: ?Sized>(&'a mut S);

impl<S: Memory + ?Sized> Memory for DryRun<'_, S> {
    type Error = S::Error;

    fn load(&mut self, key: &Key, now: u64) -> Result<Option<Value>, S::Error> {
        self.0.load(key, now)
    }

    fn save(&mut self, _: Key, _: Value, _: u64) -> Result<(), S::Error> {
        Ok(())
    }
}

impl Screen {
    /// Looks at a message as the server would, which nobody has sent, from a client of this conduct. Without a store nobody has a past;
    /// without a configuration every recipient is there.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn explain(
        &self,
        config: Option<&Config>,
        resolver: &Resolver,
        store: Option<&dyn Store>,
        claim: Claim,
        conduct: Conduct,
        recipient: String,
    ) -> Result<Explanation, StoreError> {
        let now = now();
        let routed = config.map(|config| routing::look_up(config, store, &recipient));
        let routed = routed.transpose()?;
        self.test_lists(resolver, now).await;
        let findings = self.find(resolver, claim, conduct).await;
        let decide = |memory: &mut store::Memory<'_>| {
            let memory = &mut DryRun(memory);
            self.decide(memory, findings.clone(), &recipient, routed.clone(), now)
        };
        match store {
            Some(store) => store::screen(store, now, decide),
            None => {
                let mut nothing = MemoryStore::new(1);
                let Ok(explanation) =
                    self.decide(&mut nothing, findings, &recipient, routed.clone(), now);
                Ok(explanation)
            }
        }
    }

    fn decide<S: Memory + ?Sized>(
        &self,
        memory: &mut S,
        mut findings: Findings,
        recipient: &str,
        routed: Option<Result<Vec<String>, Refused>>,
        now: u64,
    ) -> Result<Explanation, S::Error> {
        let sender = address(&findings.claim.sender);
        let client = findings.claim.client;
        if let Some(reputation) = &self.reputation {
            let known_by = findings.known_by();
            let past = known_by.with(|client| reputation.score(memory, client, now))?;
            findings.past = Some(past);
        }
        if let Some(correspondents) = &self.correspondents {
            let known = correspondents.knows(memory, recipient, &sender, now);
            findings.is_correspondent = known?;
        }
        let verdict = self.scorer.score(&findings.evidence());
        let asks = matches!(verdict.decision, Decision::Greylist | Decision::Tarpit(_));
        let greylist = match self.greylist.as_ref().filter(|_| asks) {
            Some(greylist) => {
                let attempt = findings.attempt(&sender, recipient);
                Some(greylist.check(memory, &attempt, now)?)
            }
            None => None,
        };
        let delayed = matches!(greylist, Some(greylisting::Decision::Delay { .. }));
        let is_refused = delayed || verdict.decision == Decision::Refuse;
        let quotas = self.quotas(&findings, &sender);
        let rate = self.rate_limit.check(memory, &quotas, 1, now)?;
        let answer = match (&routed, rate) {
            // Nobody's mail is taken for such a recipient.
            (Some(Err(refused)), _) => Some((*refused).into()),
            _ if !self.concerns(client) || is_postmaster(recipient) => None,
            _ if is_refused => verdict.reply(Stage::Recipient).map(Answer::from),
            (_, rate_limit::Decision::Limited(limited)) => {
                Some(Answer::too_much(limited.retry_after.as_secs()))
            }
            (_, rate_limit::Decision::Pass) => None,
        };
        Ok(Explanation {
            findings,
            recipient: recipient.to_owned(),
            routed,
            verdict,
            greylist,
            answer,
        })
    }
}

impl Explanation {
    /// The code of the reply to RCPT: 250, 450, 550 or 554.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.answer.as_ref().map_or(250, |answer| answer.code)
    }

    /// What was found, by what found it.
    fn found(&self) -> Vec<(&'static str, String)> {
        let findings = &self.findings;
        let mut found = vec![
            ("iprev", findings.iprev.result.to_string()),
            ("S25R", findings.s25r.to_string()),
        ];
        if findings.asn != Origin::NotAsked {
            found.insert(0, ("ASN", findings.asn.to_string()));
        }
        for offence in findings.conduct.iter() {
            found.push(("conduct", offence.to_string()));
        }
        if let Some(helo) = &findings.helo {
            found.push(("HELO", helo.to_string()));
        }
        for row in &findings.lists.lists {
            found.push(("list", format!("{}: {}", row.list.zone, row.outcome)));
        }
        if let Some(spf) = &findings.spf {
            found.push(("SPF", format!("{}: {}", spf.result, spf.cause)));
        }
        if findings.is_correspondent {
            let whose = "the recipient has written to this address";
            found.push(("correspondent", whose.to_owned()));
        }
        if let Some(past) = &findings.past {
            for reason in &past.reasons {
                found.push(("past", reason.to_string()));
            }
        }
        found
    }

    /// Where its mail would go, if that is known.
    fn goes_to(&self) -> Option<&Vec<String>> {
        self.routed.as_ref()?.as_ref().ok()
    }

    fn reply(&self) -> String {
        let answer = self.answer.as_ref();
        answer.map_or_else(|| "250 2.1.5".to_owned(), ToString::to_string)
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Json {
        let claim = &self.findings.claim;
        let found = self.found();
        let found = found
            .iter()
            .map(|(by, what)| json!({"by": by, "found": what}));
        let reasons = self.verdict.reasons.iter();
        let reasons =
            reasons.map(|reason| json!({"points": reason.points, "why": reason.why.to_string()}));
        json!({
            "client": claim.client.to_string(),
            "helo": claim.helo,
            "from": claim.sender.to_string(),
            "to": self.recipient,
            "found": found.collect::<Vec<_>>(),
            "reasons": reasons.collect::<Vec<_>>(),
            "score": self.verdict.score,
            "decision": self.verdict.decision.to_string(),
            "greylist": self.greylist.map(|decision| decision.to_string()),
            "code": self.code(),
            "goes_to": self.goes_to(),
            "reply": self.reply(),
        })
    }
}

/// For people: what was found, its points, the decision, the reply.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = &self.findings.claim;
        let helo = claim.helo.as_deref().unwrap_or_default();
        writeln!(
            f,
            "{} says HELO {helo:?}, from {} to {:?}",
            claim.client, claim.sender, self.recipient
        )?;
        for (by, what) in self.found() {
            writeln!(f, "  {by}: {what}")?;
        }
        writeln!(f, "points:")?;
        for reason in &self.verdict.reasons {
            writeln!(f, "  {reason}")?;
        }
        let verdict = &self.verdict;
        writeln!(f, "decision: {}, score {}", verdict.decision, verdict.score)?;
        if let Some(decision) = &self.greylist {
            writeln!(f, "greylist: {decision}")?;
        }
        if let Some(goes_to) = self.goes_to() {
            writeln!(f, "goes to: {}", goes_to.join(", "))?;
        }
        if is_postmaster(&self.recipient) && self.code() == 250 {
            writeln!(f, "postmaster gets all mail (RFC 5321 §4.5.1)")?;
        }
        write!(f, "reply: {}", self.reply())
    }
}
