//! What would happen to a message, and why: `mail-server screen`. Nothing is remembered of it.

use std::fmt;

use screening::asn::Origin;
use screening::early_talker::Conduct;
use screening::greylisting;
use screening::iprev;
use screening::rate_limit::{self, Quota, Subject};
use screening::reputation;
use screening::scorer::{Decision, Stage, Verdict};
use screening::store::{Key, MemoryStore, Store as Memory, Value};
use serde_json::{Value as Json, json};

use super::visit::{Answer, address, is_postmaster};
use super::{Claim, Findings, KnownBy, Screen, those_with_a_quota};
use crate::config::{Config, GreylistStage};
use crate::resolver::Resolver;
use crate::routing::{self, Refused};
use crate::server::now;
use crate::store::{self, Store, StoreError};

/// A message that nobody has sent.
#[derive(Debug, Clone)]
pub struct Imagined {
    /// Who would send it.
    pub claim: Claim,
    /// How that client speaks SMTP.
    pub conduct: Conduct,
    /// The first recipient.
    pub recipient: String,
    /// Domains of its signatures, all of which pass.
    pub signed_by: Vec<String>,
}

/// What would happen to a message.
#[derive(Debug)]
pub struct Explanation {
    findings: Findings,
    message: Imagined,
    /// Where its mail goes, if that was asked.
    routed: Option<Result<Vec<String>, Refused>>,
    judged: Judged,
}

/// What it comes to.
#[derive(Debug)]
struct Judged {
    verdict: Verdict,
    /// The greylist, if it is asked.
    greylist: Option<greylisting::Decision>,
    /// The reply that screening gives; none: accept.
    answer: Option<Answer>,
    /// What that is the reply to.
    reply_to: GreylistStage,
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
    /// Looks at a message as the server would, which nobody has sent. Without a store nobody has a past; without a configuration every
    /// recipient is there.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn explain(
        &self,
        config: Option<&Config>,
        resolver: &Resolver,
        store: Option<&dyn Store>,
        message: Imagined,
    ) -> Result<Explanation, StoreError> {
        let now = now();
        let routed = config.map(|config| routing::look_up(config, store, &message.recipient));
        let routed = routed.transpose()?;
        self.test_lists(resolver, now).await;
        let claim = message.claim.clone();
        let mut findings = self.find(resolver, claim, message.conduct).await;
        let mut judged = match store {
            Some(store) => store::screen(store, now, |memory| {
                self.decide(&mut DryRun(memory), &mut findings, &message, now)
            })?,
            None => {
                let mut nothing = MemoryStore::new(1);
                let Ok(judged) = self.decide(&mut nothing, &mut findings, &message, now);
                judged
            }
        };
        // Nobody's mail is taken for such a recipient.
        if let Some(Err(refused)) = &routed {
            judged.answer = Some((*refused).into());
            judged.reply_to = GreylistStage::Recipient;
        }
        Ok(Explanation {
            findings,
            message,
            routed,
            judged,
        })
    }

    /// At the recipient, and once more when the message is there, with what has signed it.
    fn decide<S: Memory + ?Sized>(
        &self,
        memory: &mut S,
        findings: &mut Findings,
        message: &Imagined,
        now: u64,
    ) -> Result<Judged, S::Error> {
        let (sender, recipient) = (address(&findings.claim.sender), &message.recipient);
        let client = findings.claim.client;
        findings.past = self.past_in(memory, &findings.known_by(), now)?;
        if let Some(correspondents) = &self.correspondents {
            let known = correspondents.knows(memory, recipient, &sender, now);
            findings.is_correspondent = known?;
        }
        let verdict = self.scorer.score(&findings.evidence());
        if !self.concerns(client) || is_postmaster(recipient) {
            let quotas = self.networks(client, self.rates.postmaster);
            let quotas = quotas.map(|(network, quota)| (Subject::Postmaster(network), quota));
            let answer = match self.concerns(client) {
                true => self.too_much_of(memory, &those_with_a_quota(quotas), now)?,
                false => None,
            };
            return Ok(Judged {
                verdict,
                greylist: None,
                answer,
                reply_to: GreylistStage::Recipient,
            });
        }
        let mut judged = self.judge(memory, findings, message, verdict, now)?;
        if judged.answer.is_none() {
            let quotas = self.quotas(findings, &sender);
            judged.answer = self.too_much_of(memory, &quotas, now)?;
        }
        let is_final = judged.answer.is_some() && judged.reply_to == GreylistStage::Recipient;
        if message.signed_by.is_empty() || is_final {
            return Ok(judged);
        }
        let known_by = KnownBy {
            dkim_domains: message.signed_by.clone(),
            ..findings.known_by()
        };
        findings.past = self.past_in(memory, &known_by, now)?;
        let verdict = self.scorer.score(&findings.evidence());
        let was_accepted = judged.verdict.decision == Decision::Accept;
        if was_accepted || matches!(verdict.decision, Decision::Accept | Decision::Refuse) {
            judged = self.judge(memory, findings, message, verdict, now)?;
            judged.reply_to = GreylistStage::Message;
        } else {
            judged.verdict = verdict;
        }
        Ok(judged)
    }

    fn judge<S: Memory + ?Sized>(
        &self,
        memory: &mut S,
        findings: &Findings,
        message: &Imagined,
        verdict: Verdict,
        now: u64,
    ) -> Result<Judged, S::Error> {
        let mut judged = Judged {
            verdict,
            greylist: None,
            answer: None,
            reply_to: GreylistStage::Recipient,
        };
        let reply = judged.verdict.reply(Stage::Recipient).map(Answer::from);
        if judged.verdict.decision == Decision::Refuse {
            judged.answer = reply;
            return Ok(judged);
        }
        let Some(greylist) = self.greylist.as_ref().filter(|_| reply.is_some()) else {
            return Ok(judged);
        };
        let networks = self.networks(findings.claim.client, self.rates.attempts);
        let quotas = networks.map(|(network, quota)| (Subject::Attempts(network), quota));
        judged.answer = self.too_much_of(memory, &those_with_a_quota(quotas), now)?;
        if judged.answer.is_none() {
            let sender = address(&findings.claim.sender);
            let attempt = findings.attempt(&sender, &message.recipient);
            let decision = greylist.check(memory, &attempt, now)?;
            if matches!(decision, greylisting::Decision::Delay { .. }) {
                (judged.answer, judged.reply_to) = (reply, self.reply_to);
            }
            judged.greylist = Some(decision);
        }
        Ok(judged)
    }

    fn past_in<S: Memory + ?Sized>(
        &self,
        memory: &mut S,
        known_by: &KnownBy,
        now: u64,
    ) -> Result<Option<reputation::Score>, S::Error> {
        let reputation = self.reputation.as_ref();
        let score = reputation.map(|it| known_by.with(|client| it.score(memory, client, now)));
        score.transpose()
    }

    fn too_much_of<S: Memory + ?Sized>(
        &self,
        memory: &mut S,
        quotas: &[(Subject<'_>, Quota)],
        now: u64,
    ) -> Result<Option<Answer>, S::Error> {
        Ok(match self.rate_limit.check(memory, quotas, 1, now)? {
            rate_limit::Decision::Limited(limited) => {
                Some(Answer::too_much(limited.retry_after.as_secs()))
            }
            rate_limit::Decision::Pass => None,
        })
    }
}

impl Explanation {
    /// The code of the reply: 250, 450, 550 or 554.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.judged
            .answer
            .as_ref()
            .map_or(250, |answer| answer.code)
    }

    /// What was found, by what found it.
    fn found(&self) -> Vec<(&'static str, String)> {
        let findings = &self.findings;
        let mut found = vec![
            ("iprev", led_back(&findings.iprev)),
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
        for domain in &self.message.signed_by {
            found.push(("DKIM", format!("pass: {domain}")));
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
        let answer = self.judged.answer.as_ref();
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
        let verdict = &self.judged.verdict;
        let reasons = verdict.reasons.iter();
        let reasons =
            reasons.map(|reason| json!({"points": reason.points, "why": reason.why.to_string()}));
        json!({
            "client": claim.client.to_string(),
            "helo": claim.helo,
            "from": claim.sender.to_string(),
            "to": self.message.recipient,
            "found": found.collect::<Vec<_>>(),
            "reasons": reasons.collect::<Vec<_>>(),
            "score": verdict.score,
            "decision": verdict.decision.to_string(),
            "greylist": self.judged.greylist.map(|decision| decision.to_string()),
            "code": self.code(),
            "goes_to": self.goes_to(),
            "reply": self.reply(),
            "reply_to": match self.judged.reply_to {
                GreylistStage::Recipient => "recipient",
                GreylistStage::Message => "message",
            },
        })
    }
}

/// `pass: its name leads back to it (mail.example.net)`: the result, why, and the names that it is about.
fn led_back(found: &iprev::Verdict) -> String {
    let names = match found.confirmed.as_slice() {
        [] => &found.names,
        confirmed => confirmed,
    };
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => format!("{}: {}", found.result, found.cause),
        names => format!("{}: {} ({})", found.result, found.cause, names.join(", ")),
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
            claim.client, claim.sender, self.message.recipient
        )?;
        for (by, what) in self.found() {
            writeln!(f, "  {by}: {what}")?;
        }
        writeln!(f, "points:")?;
        let verdict = &self.judged.verdict;
        for reason in &verdict.reasons {
            writeln!(f, "  {reason}")?;
        }
        writeln!(f, "decision: {}, score {}", verdict.decision, verdict.score)?;
        if let Some(decision) = &self.judged.greylist {
            writeln!(f, "greylist: {decision}")?;
        }
        if let Some(goes_to) = self.goes_to() {
            writeln!(f, "goes to: {}", goes_to.join(", "))?;
        }
        if is_postmaster(&self.message.recipient) && self.code() == 250 {
            writeln!(f, "postmaster gets all mail (RFC 5321 §4.5.1)")?;
        }
        let to = match self.judged.reply_to {
            GreylistStage::Recipient => "",
            GreylistStage::Message => " to the message",
        };
        write!(f, "reply{to}: {}", self.reply())
    }
}
