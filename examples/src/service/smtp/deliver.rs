//! A whole message: judged or signed, marked, and put where it belongs, all at once.

use std::collections::BTreeSet;
use std::net::IpAddr;

use dkim::arc::Sealer;
use dmarc::reports::ActionDisposition;
use dmarc::{Disposition, DmarcResult, OverrideReason, PolicyOverride};
use mail_syntax::received::{Protocol, Received, return_path};
use mail_syntax::{ForwardPath, Host, ReversePath, is_invisible};
use screening::outbound::suppression::Suppressed;
use screening::reputation::Outcome;
use screening::scorer::Verdict;
use smtp_proto::server::Hello;
use smtp_proto::{EnhancedStatus, Reply};

use crate::accounts::random_word;
use crate::aggregate_reports;
use crate::config::{DmarcPolicy, DmarcTempError};
use crate::feedback;
use crate::forwarding;
use crate::identities;
use crate::intake::{Purpose, date};
use crate::judge::{Judge, Judged};
use crate::queue::{HEADER, succeeded};
use crate::routing::{self, Route};
use crate::screen::{Answer, Screened};
use crate::server::{Context, now};
use crate::store::{Delivery, Dsn, Outgoing, Spool, StoreError};

use super::wishes::Wishes;

/// What the `Received` field tells of the session.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) hello: Option<Hello>,
    pub(super) tls: bool,
    pub(super) auth: bool,
    pub(super) client: IpAddr,
    /// What was found of a stranger.
    pub(super) screened: Option<Screened>,
}

/// A reply whose text was written for it.
#[expect(
    clippy::expect_used,
    reason = "code and status are constants of the same class; the text is made safe"
)]
pub(super) fn reply(code: u16, enhanced: EnhancedStatus, text: &str) -> Reply {
    let text: String = text
        .chars()
        .map(|c| match c.is_control() || is_invisible(c) {
            true => ' ',
            false => c,
        })
        .take(400)
        .collect();
    Reply::new(code, enhanced, &text).expect("a valid reply")
}

/// The reply to a failure of the store: the client keeps the message and tries again.
pub(super) fn fault(error: &StoreError) -> Reply {
    tracing::error!(%error, "smtp: the store");
    match error {
        StoreError::Full => reply(
            452,
            EnhancedStatus::MAIL_SYSTEM_FULL,
            "Insufficient system storage",
        ),
        _ => reply(
            451,
            EnhancedStatus::MAIL_SYSTEM,
            "Local error in processing",
        ),
    }
}

/// The reply to a recipient whose mail nobody may bring.
pub(super) fn refused(refused: routing::Refused) -> Reply {
    reply(refused.code(), refused.status(), &refused.to_string())
}

/// The reply to a recipient of somebody who is not to send now, or not at all.
pub(super) fn not_now(answer: &Answer) -> Reply {
    let (class, subject, detail) = answer.enhanced;
    let status = format!("{class}.{subject}.{detail}").parse();
    let status = status.unwrap_or(EnhancedStatus::TEMPORARY_SECURITY);
    reply(answer.code, status, &answer.text)
}

/// The reply to an address that reads as another one: none of our header fields and log lines shall hold it.
pub(super) fn deceptive(address: &str, status: EnhancedStatus) -> Result<(), Reply> {
    let text = "The address has characters that are not seen, or that change how the others are";
    match address.chars().any(is_invisible) {
        true => Err(reply(553, status, text)),
        false => Ok(()),
    }
}

/// The reply to a recipient who gets no mail for now.
pub(super) fn suppressed(suppressed: &Suppressed) -> Reply {
    let (class, subject, detail) = suppressed.enhanced();
    let status = format!("{class}.{subject}.{detail}").parse();
    let status = status.unwrap_or(EnhancedStatus::NOT_AUTHORIZED);
    reply(Suppressed::CODE, status, &suppressed.to_string())
}

/// The reply to a user who sends as somebody else.
pub(super) fn not_yours(refused: &identities::Refused) -> Reply {
    match refused {
        identities::Refused::Store(error) => fault(error),
        // RFC 6409 §6.3: "Reply code 554 is used for syntactic problems in the data."
        identities::Refused::Header(error) => reply(554, EnhancedStatus::MEDIA, &error.to_string()),
        // RFC 6409 §6.1: "The MSA MAY issue an error response to a MAIL command if the address in MAIL FROM appears to have
        // insufficient submission rights"; "Reply code 550 with an appropriate enhanced status code per [SMTP-CODES], such as 5.7.1,
        // is used for this purpose."
        // RFC 6409 §6.3: "Reply code 550 with an appropriate enhanced status code per [SMTP-CODES] (such as 5.7.1) is used to reject
        // based on the submitting user."
        identities::Refused::NotYours { .. } => {
            reply(550, EnhancedStatus::NOT_AUTHORIZED, &refused.to_string())
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one message, each used once"
)]
pub(super) async fn deliver(
    context: &Context,
    mut trace: Trace,
    sender: &ReversePath,
    smtputf8: bool,
    recipients: &[ForwardPath],
    routes: &BTreeSet<Route>,
    wishes: &Wishes,
    mut spool: Spool,
    purpose: Purpose,
) -> Reply {
    let id = random_word();
    let Some(received) = received(context, &trace, smtputf8, recipients, &id) else {
        return reply(
            451,
            EnhancedStatus::MAIL_SYSTEM,
            "Local error in processing",
        );
    };
    let (seal, above, junk) = match purpose {
        Purpose::Judge(judge, sealer) => {
            let report = feedback::is_wanted(context, recipients).then_some(&mut spool);
            match judged(context, *judge, sealer, trace.screened.as_mut(), report).await {
                Ok((seal, fields, junk)) => (seal, format!("{fields}{received}"), junk),
                Err(refusal) => return refusal,
            }
        }
        Purpose::Submit(submission) => match submission.sign() {
            Ok((added, signatures)) => (
                String::new(),
                format!("{}{received}{added}", signatures.concat()),
                false,
            ),
            Err(error) => {
                tracing::error!(%error, "a message could not be signed");
                return reply(
                    451,
                    EnhancedStatus::MAIL_SYSTEM,
                    "The message could not be signed",
                );
            }
        },
    };
    let above = Above {
        leaving: format!("{seal}{above}"),
        staying: format!(
            "{}{}{above}",
            return_path(sender),
            field(trace.screened.as_ref())
        ),
    };
    let start = match wishes.here.is_empty() {
        true => Ok(Vec::new()),
        false => spool.start(HEADER as u64),
    };
    let stored = store(
        context, sender, smtputf8, routes, wishes, spool, above, junk,
    );
    match stored.await {
        Ok(()) => {
            let start = start.unwrap_or_default();
            tell(context, &id, sender, smtputf8, &start, wishes).await;
            tracing::info!(id, sender = ?sender.to_string(), recipients = recipients.len(), "accepted");
            reply(250, EnhancedStatus::OK, &format!("Queued as {id}"))
        }
        Err(error) => fault(&error),
    }
}

fn received(
    context: &Context,
    trace: &Trace,
    smtputf8: bool,
    recipients: &[ForwardPath],
    id: &str,
) -> Option<String> {
    let by = Host::Domain(context.config.hostname.parse().ok()?);
    let (tls, auth) = (trace.tls, trace.auth);
    let with = match &trace.hello {
        Some(hello) if hello.is_extended => Protocol::Esmtp {
            tls,
            auth,
            utf8: smtputf8,
        },
        _ => Protocol::Smtp,
    };
    let from = trace.hello.as_ref().map_or_else(
        || Host::Literal(trace.client.into()),
        |hello| hello.host.clone(),
    );
    let mut received = Received::new(from, by, with, date(now()));
    received.from_ip = Some(trace.client);
    received.id = id.parse().ok();
    if let [only] = recipients {
        received.recipient = Some(only.clone());
    }
    received.to_field().ok()
}

/// The ARC set of a message that is to leave, the fields that say what was found, and whether it belongs into Junk; or the refusal.
async fn judged(
    context: &Context,
    judge: Judge,
    sealer: Option<Box<Sealer>>,
    mut screened: Option<&mut Screened>,
    report: Option<&mut Spool>,
) -> Result<(String, String, bool), Reply> {
    let local_error = || {
        reply(
            451,
            EnhancedStatus::MAIL_SYSTEM,
            "Local error in processing",
        )
    };
    let judged = judge.finish().await.ok_or_else(local_error)?;
    let verdict = &judged.verdict;
    let mut results = verdict.results();
    let white_lists = screened.iter().flat_map(|screened| screened.white_lists());
    for result in white_lists {
        results.push(result);
    }
    let seal = sealer.map_or_else(String::new, |sealer| {
        forwarding::seal(*sealer, &verdict.arc, &results)
    });
    let results = results.to_field();
    let received_spf = verdict.received_spf();
    let (Ok(results), Ok(received_spf)) = (results, received_spf) else {
        return Err(local_error());
    };
    tracing::info!(client = %verdict.inbound.client_ip, results = ?results.trim_end(), "judged");
    let enforce = context.config.inbound.dmarc == DmarcPolicy::Enforce;
    if enforce
        && context.config.inbound.temperror == DmarcTempError::Defer
        && asks_for_more(&verdict.dmarc)
    {
        return Err(reply(
            451,
            EnhancedStatus::TEMPORARY_SECURITY,
            "DMARC of the author's domain cannot be checked for now",
        ));
    }
    let signatures = verdict.dkim.passed();
    let domains = signatures.filter_map(|signature| Some(signature.domain.as_ref()?.to_string()));
    let domains: Vec<String> = domains.collect();
    if let Some(screened) = screened.as_deref_mut() {
        let spf = &verdict.spf_mail_from;
        let answer = screened.judged(context, domains, spf).await;
        if let Some(answer) = answer.map_err(|error| fault(&error))? {
            return Err(not_now(&answer));
        }
    }
    count(context, &judged, enforce).await;
    if let Some(screened) = screened {
        let outcome = match verdict.disposition {
            Disposition::None => Outcome::Accepted,
            _ => Outcome::DmarcFail,
        };
        screened.record(context, outcome).await;
    }
    if enforce && verdict.disposition == Disposition::Reject {
        // RFC 7372 and RFC 9989 §5.4: a refusal names its cause, so that the domain's owner can find it.
        return Err(reply(
            550,
            EnhancedStatus::NOT_AUTHORIZED,
            "Refused by the DMARC policy of the author's domain",
        ));
    }
    if let Some(report) = report {
        feedback::read(context, report, verdict).await;
    }
    let junk = enforce && verdict.disposition == Disposition::Quarantine;
    Ok((seal, format!("{results}{received_spf}"), junk))
}

/// Whether DMARC could not be checked for now, and the record that was found asks for more than delivery.
// RFC 9989 §4.10.1: "they could result in the message being temporarily rejected (i.e., an SMTP 4yx reply), which invites the sending MTA to
// try again after the condition has possibly cleared, allowing a definite DMARC conclusion to be reached ("fail closed")."
fn asks_for_more(dmarc: &dmarc::Verdict) -> bool {
    let asks = |record: &dmarc::Record| match dmarc.policy {
        Some(policy) => policy.disposition(record.test_mode) != Disposition::None,
        // Not known whether the author's domain exists, and so which of its policies applies.
        None => true,
    };
    dmarc.result == DmarcResult::TempError && dmarc.record.as_deref().is_some_and(asks)
}

/// What was found of a stranger, for whoever looks why a message came or came late.
fn field(screened: Option<&Screened>) -> String {
    let field = screened.map(|screened| screened.verdict.header_field(Verdict::FIELD_NAME));
    // The name is one.
    field.and_then(Result::ok).unwrap_or_default()
}

/// What is put on top of a message.
struct Above {
    /// Of what goes elsewhere: the ARC set first, if there is one.
    leaving: String,
    /// RFC 5321 §4.4: "When the delivery SMTP server makes the "final delivery" of a message, it inserts a return-path line at the
    /// beginning of the mail data."
    staying: String,
}

/// Counts the message for the aggregate report of its domain.
async fn count(context: &Context, judged: &Judged, enforce: bool) {
    let verdict = &judged.verdict;
    let dmarc = &verdict.dmarc;
    let (Some(domain), Some(record), Some(mut row)) =
        (&dmarc.record_domain, &dmarc.record, verdict.report_row())
    else {
        return;
    };
    if !enforce && verdict.disposition != Disposition::None {
        row.policy_evaluated.disposition = ActionDisposition::None;
        row.policy_evaluated.reasons.push(OverrideReason {
            kind: PolicyOverride::LocalPolicy,
            comment: None,
        });
    }
    // A forger who calls his mail a report has it reported all the same.
    let is_report = judged.is_report && dmarc.result == DmarcResult::Pass;
    aggregate_reports::count(context, domain, record, &row, is_report).await;
}

/// Tells the sender of those to whom the message was delivered here, if he wants to know it.
async fn tell(
    context: &Context,
    id: &str,
    sender: &ReversePath,
    smtputf8: bool,
    start: &[u8],
    wishes: &Wishes,
) {
    let sender = text_of(sender);
    for (at, success) in wishes.here.iter().enumerate() {
        let name = format!("{id}-{at}");
        if let Err(error) = succeeded(context, name, &sender, smtputf8, start, success).await {
            tracing::error!(%error, "a notice of success could not be stored");
        }
    }
}

fn text_of(sender: &ReversePath) -> String {
    match sender {
        ReversePath::Null => String::new(),
        ReversePath::Mailbox(mailbox) => mailbox.to_string(),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one message, each used once"
)]
async fn store(
    context: &Context,
    sender: &ReversePath,
    smtputf8: bool,
    routes: &BTreeSet<Route>,
    wishes: &Wishes,
    spool: Spool,
    above: Above,
    junk: bool,
) -> Result<(), StoreError> {
    let sender_text = text_of(sender);
    let accepted = now();
    let routes: Vec<(Route, Dsn)> = (routes.iter())
        .map(|route| (route.clone(), wishes.of(route)))
        .collect();
    context
        .store(move |store| {
            let (mut deliveries, mut outgoing) = (Vec::new(), Vec::new());
            for (route, dsn) in routes {
                match route {
                    Route::Local(account) => {
                        let inbox = store.mailbox(account, "INBOX")?;
                        let chosen = match junk {
                            true => store.mailbox(account, "Junk")?.or(inbox),
                            false => inbox,
                        };
                        deliveries.push(Delivery {
                            mailbox: chosen.ok_or(StoreError::Missing("INBOX"))?.id,
                            added: above.staying.clone().into_bytes(),
                            flags: Vec::new(),
                            internal_date: accepted,
                        });
                    }
                    Route::Remote(recipient) => outgoing.push(Outgoing {
                        sender: sender_text.clone(),
                        recipient,
                        added: above.leaving.clone().into_bytes(),
                        smtputf8,
                        accepted,
                        dsn,
                    }),
                }
            }
            store.commit(spool, &deliveries, &outgoing).map(drop)
        })
        .await
}
