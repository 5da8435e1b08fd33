//! A stranger's connection: what it shows of itself, and what becomes of each of its messages.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use mail_syntax::ReversePath;
use mail_syntax::authentication_results::MethodResult;
use screening::early_talker::{Conduct, Offence, foreign_command};
use screening::greylisting::{self, Known};
use screening::reputation::Outcome;
use screening::scorer::{self, Decision, Stage, Verdict};
use smtp_proto::server::Mistake;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::findings::proven_domain;
use super::{Claim, Findings, KnownBy, PATIENCE};
use crate::config::GreylistStage;
use crate::routing::Refused;
use crate::server::{Context, now};
use crate::store::{self, StoreError};

/// A client of port 25 that is not exempt, from its connection on.
#[derive(Debug)]
pub struct Visit {
    client: IpAddr,
    conduct: Conduct,
    /// Questions that were asked when it came.
    asked: JoinSet<()>,
    /// Of the transaction that there is.
    screened: Option<Screened>,
}

/// A message that was screened.
#[derive(Debug, Clone)]
pub struct Screened {
    findings: Findings,
    /// The first recipient.
    recipient: String,
    /// By what the client is known, once its message is there.
    known_by: Option<KnownBy>,
    /// What it came to.
    pub verdict: Verdict,
    answer: Option<Answer>,
    /// What to say to the message when it is there; none: nothing that is known yet.
    answer_to_message: Option<Answer>,
}

/// The reply to a recipient of somebody who is not to send now, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The reply code.
    pub code: u16,
    /// The enhanced status code.
    pub enhanced: (u8, u16, u16),
    /// One line.
    pub text: String,
}

impl Answer {
    /// There was too much of it: in so many seconds it may come again.
    #[must_use]
    pub fn too_much(seconds: u64) -> Self {
        Self {
            code: 450,
            enhanced: (4, 7, 1),
            text: format!("Too much mail for now, please try again in {seconds} s"),
        }
    }
}

impl From<scorer::Reply> for Answer {
    fn from(reply: scorer::Reply) -> Self {
        Self {
            code: reply.code,
            enhanced: reply.enhanced,
            text: reply.text,
        }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let status = refused.status();
        Self {
            code: refused.code(),
            enhanced: (status.class(), status.subject(), status.detail()),
            text: refused.to_string(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, subject, detail) = self.enhanced;
        write!(f, "{} {class}.{subject}.{detail} {}", self.code, self.text)
    }
}

impl Visit {
    /// A client has connected; none if it is not screened.
    #[must_use]
    pub fn begin(context: &Arc<Context>, client: IpAddr) -> Option<Self> {
        if !context.screen.concerns(client) {
            tracing::debug!(%client, "screening: exempt");
            return None;
        }
        let mut asked = JoinSet::new();
        let context = Arc::clone(context);
        asked.spawn(async move {
            let resolver = &context.resolver;
            context.screen.ask_ahead(resolver, client).await;
        });
        Some(Self {
            client,
            conduct: Conduct::default(),
            asked,
            screened: None,
        })
    }

    /// Lets a client without a good past wait for its greeting, and notes it if it does not.
    pub async fn wait_to_greet(&mut self, context: &Context, socket: &TcpStream) {
        let screen = &context.screen;
        let past = screen.past(context, &KnownBy::address(self.client)).await;
        if past.ok().flatten().is_some_and(|past| past.points < 0) {
            return;
        }
        let mut early = [0; 80];
        // What is looked at here is still there for the session. A client that hangs up sends nothing, and the session will see it.
        let Ok(Ok(length @ 1..)) = timeout(screen.greeting_delay, socket.peek(&mut early)).await
        else {
            return;
        };
        self.saw(Offence::BeforeGreeting);
        if foreign_command(early.get(..length).unwrap_or_default()) {
            self.saw(Offence::ForeignCommand);
        }
    }

    /// Notes what mail servers do not do. It counts for what is screened from now on: a message whose first recipient was answered before
    /// stays what it was.
    pub fn saw(&mut self, offence: Offence) {
        if !self.conduct.has(offence) {
            self.conduct.saw(offence);
            tracing::info!(client = %self.client, %offence, "screening: conduct");
        }
    }

    /// Notes a mistake, if it is one that mail servers do not make. What an honest one may do is none: it tries commands that are not known
    /// or offered, and where MAIL is refused what it has pipelined is out of order.
    pub fn made(&mut self, mistake: Mistake) {
        match mistake {
            Mistake::ForeignCommand => self.saw(Offence::ForeignCommand),
            Mistake::BareNewline => self.saw(Offence::BareNewline),
            Mistake::TurnedAway => self.saw(Offence::Ignored421),
            _ => {}
        }
    }

    /// The server has ended the connection for what the client did.
    pub async fn turned_out(&self, context: &Context) {
        let screen = &context.screen;
        let known_by = screen.known_by_address(&context.resolver, self.client);
        screen
            .record(context, &known_by.await, Outcome::Refused)
            .await;
    }

    /// A transaction begins.
    pub fn begin_message(&mut self) {
        self.screened = None;
    }

    /// What is known of the message whose recipients were accepted.
    #[must_use]
    pub const fn screened(&self) -> Option<&Screened> {
        self.screened.as_ref()
    }

    /// What to say to a recipient who is there; none: accept. The first recipient of a message decides for all (RFC 6647 §5).
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn recipient(
        &mut self,
        context: &Arc<Context>,
        helo: Option<String>,
        sender: &ReversePath,
        recipient: &str,
    ) -> Result<Option<Answer>, StoreError> {
        let screened = match self.screened.take() {
            Some(screened) => screened,
            None => {
                let mut screened = self.screen(context, helo, sender, recipient).await?;
                // Who is told to come again has not sent anything that counts.
                if screened.answer.is_none() && screened.answer_to_message.is_none() {
                    let screen = &context.screen;
                    let too_much = screen.too_much(context, &screened.findings);
                    screened.answer = too_much.await?.map(Answer::too_much);
                }
                screened
            }
        };
        let screened = self.screened.insert(screened);
        if let Decision::Tarpit(delay) = screened.verdict.decision {
            tokio::time::sleep(delay).await;
        }
        Ok(screened.answer.clone())
    }

    /// Somebody whom there never was.
    pub async fn unknown_recipient(&self, context: &Context) {
        let screen = &context.screen;
        let known_by = screen.known_by_address(&context.resolver, self.client);
        let outcome = Outcome::UnknownRecipient;
        screen.record(context, &known_by.await, outcome).await;
    }

    async fn screen(
        &mut self,
        context: &Context,
        helo: Option<String>,
        sender: &ReversePath,
        recipient: &str,
    ) -> Result<Screened, StoreError> {
        // Their answers are kept by the resolver.
        let asked = async { while self.asked.join_next().await.is_some() {} };
        let _ = timeout(PATIENCE, asked).await;
        let claim = Claim {
            client: self.client,
            helo,
            sender: sender.clone(),
        };
        let screen = &context.screen;
        let mut findings = screen.find(&context.resolver, claim, self.conduct).await;
        findings.past = screen.past(context, &findings.known_by()).await?;
        let known = screen.is_correspondent(context, address(sender), recipient);
        findings.is_correspondent = known.await?;
        let verdict = screen.scorer.score(&findings.evidence());
        let mut screened = Screened {
            findings,
            recipient: recipient.to_owned(),
            known_by: None,
            verdict,
            answer: None,
            answer_to_message: None,
        };
        screened.log("screened");
        let is_refused = match screened.verdict.decision {
            Decision::Accept => false,
            Decision::Refuse => {
                // Names, lists and the past are no outcome: a refusal would be the reason of the next.
                if screened.verdict.is_for_conduct() {
                    screened.record(context, Outcome::Refused).await;
                }
                true
            }
            Decision::Greylist | Decision::Tarpit(_) => {
                // Nobody may fill the memory of greylisting alone.
                if let Some(seconds) = screen.attempts_too_much(context, self.client).await? {
                    screened.answer = Some(Answer::too_much(seconds));
                    return Ok(screened);
                }
                screened.is_delayed(context).await?
            }
        };
        let reply = screened.verdict.reply(Stage::Recipient);
        let answer = reply.filter(|_| is_refused).map(Answer::from);
        let waits_for_message = screen.reply_to == GreylistStage::Message
            && screened.verdict.decision != Decision::Refuse;
        if waits_for_message {
            screened.answer_to_message = answer;
        } else {
            screened.answer = answer;
        }
        Ok(screened)
    }
}

impl Screened {
    /// What white lists say of the client, for Authentication-Results.
    pub fn white_lists(&self) -> impl Iterator<Item = MethodResult> {
        self.findings.lists.dnswl_results()
    }

    /// The message is there, and its domains are known: those for which DKIM passed, and that of SPF, of which nothing may have been known
    /// at the recipient. What they have sent before counts now, too. The answer, if the message is not to be taken.
    ///
    /// # Errors
    ///
    /// A failure of the store.
    pub async fn judged(
        &mut self,
        context: &Context,
        dkim_domains: Vec<String>,
        spf: &spf::Verdict,
    ) -> Result<Option<Answer>, StoreError> {
        let mut known_by = self.findings.known_by();
        known_by.dkim_domains = dkim_domains;
        let mut adds = !known_by.dkim_domains.is_empty();
        if known_by.spf_domain.is_none() {
            known_by.spf_domain = proven_domain(spf, self.findings.claim.client);
            adds |= known_by.spf_domain.is_some();
        }
        let known_by = self.known_by.insert(known_by);
        if !adds {
            return Ok(self.answer_to_message.clone());
        }
        let screen = &context.screen;
        self.findings.past = screen.past(context, known_by).await?;
        let verdict = screen.scorer.score(&self.findings.evidence());
        if verdict == self.verdict {
            return Ok(self.answer_to_message.clone());
        }
        let was_accepted = self.verdict.decision == Decision::Accept;
        self.verdict = verdict;
        self.log("screened again, by its domains");
        let is_refused = match self.verdict.decision {
            Decision::Accept => false,
            Decision::Refuse => true,
            // Who was asked to come again has done so, or is told so now.
            Decision::Greylist | Decision::Tarpit(_) if !was_accepted => {
                return Ok(self.answer_to_message.clone());
            }
            Decision::Greylist | Decision::Tarpit(_) => {
                let client = self.findings.claim.client;
                if let Some(seconds) = screen.attempts_too_much(context, client).await? {
                    return Ok(Some(Answer::too_much(seconds)));
                }
                self.is_delayed(context).await?
            }
        };
        let reply = self.verdict.reply(Stage::Recipient);
        Ok(reply.filter(|_| is_refused).map(Answer::from))
    }

    fn log(&self, what: &str) {
        let (findings, verdict) = (&self.findings, &self.verdict);
        let past = findings.past.as_ref().map(ToString::to_string);
        tracing::info!(
            client = %findings.claim.client,
            helo = ?findings.claim.helo.as_deref().unwrap_or_default(),
            sender = ?address(&findings.claim.sender),
            recipient = ?self.recipient,
            %verdict,
            past = past.unwrap_or_default(),
            "{what}"
        );
    }

    async fn is_delayed(&self, context: &Context) -> Result<bool, StoreError> {
        let Some(greylist) = context.screen.greylist.clone() else {
            return Ok(false);
        };
        let (findings, recipient) = (self.findings.clone(), self.recipient.clone());
        let decision = context.store(move |store| {
            let sender = address(&findings.claim.sender);
            let attempt = findings.attempt(&sender, &recipient);
            let now = now();
            store::screen(store, now, |memory| greylist.check(memory, &attempt, now))
        });
        let decision = decision.await?;
        tracing::info!(client = %self.findings.claim.client, %decision, "greylisting");
        if decision == greylisting::Decision::Pass(Known::Retry) {
            self.record(context, Outcome::CameBack).await;
        }
        Ok(matches!(decision, greylisting::Decision::Delay { .. }))
    }

    /// What became of the message.
    pub async fn record(&self, context: &Context, outcome: Outcome) {
        let known_by = self.known_by.clone();
        let known_by = known_by.unwrap_or_else(|| self.findings.known_by());
        context.screen.record(context, &known_by, outcome).await;
    }
}

/// The address of MAIL FROM; empty for the null one.
pub(super) fn address(sender: &ReversePath) -> String {
    match sender {
        ReversePath::Null => String::new(),
        ReversePath::Mailbox(mailbox) => mailbox.to_string(),
    }
}

/// RFC 5321 §4.5.1: "Any system that includes an SMTP server supporting mail relaying or delivery MUST support the reserved mailbox
/// "postmaster" as a case-insensitive local name."
#[must_use]
pub fn is_postmaster(address: &str) -> bool {
    let local_part = address.rsplit_once('@').map_or(address, |(local, _)| local);
    local_part.eq_ignore_ascii_case("postmaster")
}
