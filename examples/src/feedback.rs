//! Complaints: where they are wanted (RFC 9477), and what is made of those that come (RFC 5965).
//!
//! A message of a user names the address for complaints, and itself by a word that nobody can guess; our signature covers both. Where a
//! complaint shows that word, and comes signed from the domain of a provider that has taken the message, it is counted. All others
//! are only delivered, as other mail is.

use std::sync::Arc;

use mail_syntax::address_list::AuthorDomains;
use mail_syntax::header::{Header, Limits, LineEnd};
use mail_syntax::{Domain, ForwardPath};
use message_auth::Verdict;
use screening::outbound::cfbl_address::{CfblAddress, feedback_id, may_be_believed};
use screening::outbound::feedback_report::FeedbackReport;
use screening::outbound::provider::Provider;

use crate::server::Context;
use crate::signing::for_author;
use crate::store::{Spool, StoreError};

/// Octets of a report that are read: more than a provider shows of a message, as ours is named at its top.
const MOST: u64 = 1024 * 1024;

const ADDRESS: &str = "CFBL-Address";
const FEEDBACK_ID: &str = "CFBL-Feedback-ID";

/// The keys that sign a user's message, and the fields to put on top of it before.
///
/// The fields are left out where nobody would believe them: without a signature of the author's domain, and of the address's domain too
/// where that is neither the same nor below it (RFC 9477). What the user has written himself stays as it is.
pub(crate) fn signing(
    context: &Context,
    header: &Header<'_>,
    author: &Domain,
    id: &str,
) -> (Vec<dkim::Signing>, String) {
    let mut keys: Vec<_> = for_author(&context.signing, author).cloned().collect();
    let wanted = context.config.outbound.feedback_address.as_deref();
    let wanted = wanted.and_then(|address| address.parse::<CfblAddress>().ok());
    let has_own = [ADDRESS, FEEDBACK_ID]
        .iter()
        .any(|name| header.named(name).next().is_some());
    let (Some(wanted), false, false) = (wanted, keys.is_empty(), has_own) else {
        return (keys, String::new());
    };
    let Some(domain) = wanted.mailbox.domain() else {
        return (keys, String::new());
    };
    let is_signed = keys.iter().any(|key| key.domain == *domain);
    if !domain.is_at_or_below(author) && !is_signed {
        let before = keys.len();
        keys.extend(
            context
                .signing
                .iter()
                .filter(|key| key.domain == *domain)
                .cloned(),
        );
        if keys.len() == before {
            return (keys, String::new());
        }
    }
    for key in &mut keys {
        let present = key.fields.present.to_mut();
        present.extend([ADDRESS.into(), FEEDBACK_ID.into()]);
    }
    let fields = format!("{ADDRESS}: {wanted}\r\n{FEEDBACK_ID}: {id}\r\n");
    (keys, fields)
}

/// The name that complaints about a message have, by the fields that were put on top of it.
pub(crate) fn id_of(added: &[u8]) -> Option<String> {
    let (header, _) = Header::split_with(added, &Limits::default(), LineEnd::Crlf).ok()?;
    feedback_id(header.named(FEEDBACK_ID).next()?.body())
}

/// Whether a message is one to read: mail to the address for complaints.
pub(crate) fn is_wanted(context: &Context, recipients: &[ForwardPath]) -> bool {
    let wanted = context.config.outbound.feedback_address.as_deref();
    wanted.is_some_and(|wanted| {
        recipients.iter().any(|recipient| match recipient {
            ForwardPath::Mailbox(mailbox) => mailbox.to_string().eq_ignore_ascii_case(wanted),
            ForwardPath::Postmaster => false,
        })
    })
}

/// Reads a message that has come to the address for complaints, and counts it if it is one that can be believed.
pub(crate) async fn read(context: &Context, spool: &mut Spool, verdict: &Verdict) {
    let mail = match spool.start(MOST) {
        Ok(mail) => mail,
        Err(error) => {
            tracing::error!(%error, "a feedback report cannot be read");
            return;
        }
    };
    match count(context, &mail, verdict).await {
        Ok(Ok((provider, address))) => {
            tracing::warn!(%provider, %address, "feedback: a complaint was counted");
        }
        Ok(Err(why)) => tracing::info!(why, "feedback: not counted"),
        Err(error) => tracing::error!(%error, "a complaint could not be counted"),
    }
}

/// The provider, and the address of ours; or why it does not count.
async fn count(
    context: &Context,
    mail: &[u8],
    verdict: &Verdict,
) -> Result<Result<(String, String), &'static str>, StoreError> {
    let Ok((report, _)) = FeedbackReport::read(mail) else {
        return Ok(Err("it is no feedback report"));
    };
    if !report.is_complaint() {
        return Ok(Err("it is no complaint of a user"));
    }
    let header = Header::split_with(mail, &Limits::default(), LineEnd::Crlf);
    let author = header.map(|(header, _)| AuthorDomains::of(&header));
    let Ok(AuthorDomains::One(reporter)) = author else {
        return Ok(Err("it has no one author"));
    };
    let signers = verdict.dkim.passed();
    let signers: Vec<&Domain> = signers.filter_map(|it| it.domain.as_ref()).collect();
    if !may_be_believed(&reporter, &signers) {
        return Ok(Err("its author's domain has not signed it"));
    }
    let Some(id) = report.feedback_id() else {
        return Ok(Err("it does not show the name of a message of ours"));
    };
    let own = Arc::clone(&context.own_addresses);
    let now = context.clock.now();
    let name = id.clone();
    let counted = context.store(move |store| own.complained(store, &name, &reporter, now));
    let Some((provider, address)) = counted.await? else {
        return Ok(Err(
            "no such message went to a provider for which its author's domain speaks, or it was complained about already",
        ));
    };
    suppress(context, id, &provider, &report.original_rcpt_to).await?;
    Ok(Ok((provider.to_string(), address.to_string())))
}

/// Who has complained gets no more mail of this sender for a while: the only one at the provider who has got the message, or the one that
/// the report names. Where that leaves several, nobody is guessed.
async fn suppress(
    context: &Context,
    feedback_id: String,
    provider: &Provider,
    named: &[String],
) -> Result<(), StoreError> {
    let sent_to = context.store(move |store| store.sent_to(&feedback_id));
    let mut recipients = Vec::new();
    for (sender, recipient) in sent_to.await? {
        let domain = recipient.rsplit_once('@').map(|(_, domain)| domain.parse());
        let Some(Ok(domain)) = domain else {
            continue;
        };
        let of = context.own_addresses.provider(&context.resolver, &domain);
        if of.await == *provider {
            recipients.push((sender, recipient));
        }
    }
    let is_named = |recipient: &str| {
        let named = named.iter().map(|named| named.trim_matches(['<', '>']));
        named
            .into_iter()
            .any(|it| it.eq_ignore_ascii_case(recipient))
    };
    if recipients.len() > 1 {
        recipients.retain(|(_, recipient)| is_named(recipient));
    }
    let Ok([(sender, recipient)]) = <[_; 1]>::try_from(recipients) else {
        tracing::info!(%provider, "feedback: the report does not say who of several has complained");
        return Ok(());
    };
    let (list, now) = (Arc::clone(&context.suppression), context.clock.now());
    let to = recipient.clone();
    let suppressed = context.store(move |store| list.complained(store, &sender, &to, now));
    if let Some(suppressed) = suppressed.await? {
        tracing::warn!(recipient, %suppressed, "suppression: from now on");
    }
    Ok(())
}
