//! The messages that tell a sender what was not delivered, or not yet (RFC 3464).

use std::fmt::Write as _;

use mail_syntax::folding::fold;

use super::DeliveryError;
use super::exchanger::RouteError;
use crate::intake::date;
use crate::outgoing::SendError;
use crate::server::{Context, now};
use crate::store::{Leased, StoreError};

/// The header of the message that was not delivered is given back up to this size; its body is not.
const HEADER: usize = 16 * 1024;

/// What a sender is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    Failed,
    /// It is tried until this second since 1970.
    Late {
        until: u64,
    },
}

/// Tells the sender that a message was given up, unless there is none.
///
/// RFC 5321 §6.1: "If there is a delivery failure after acceptance of a message, the receiver-SMTP MUST formulate and mail a
/// notification message." and "This notification MUST be sent using a null ("<>") reverse-path in the envelope." A message that has a
/// null reverse-path itself gets none.
pub(super) async fn failed(
    context: &Context,
    entry: &Leased,
    error: &DeliveryError,
) -> Result<(), StoreError> {
    if entry.outgoing.sender.is_empty() {
        return Ok(());
    }
    tell(context, entry, error, Notice::Failed).await
}

/// When the sender of a message is to be told that it is late, in seconds since 1970; none: he is not, or was told before.
///
/// The server does not offer DSN, so nobody has asked for it or against it. RFC 3461 §5.2.5: "If the NOTIFY parameter was not supplied for
/// a recipient, a "delayed" DSN MAY be issued." It is for our own users: what strangers have sent to an alias may have a sender who
/// knows nothing of it.
pub(super) fn late_at(context: &Context, entry: &Leased) -> Option<u64> {
    let late = context.config.outbound.late;
    let (_, domain) = entry.outgoing.sender.rsplit_once('@')?;
    let is_told = late > 0 && !entry.told_late && context.config.is_local(domain);
    is_told.then(|| entry.outgoing.accepted.saturating_add(late))
}

/// Tells the sender that a message is late, if it is, and once.
pub(super) async fn late(
    context: &Context,
    entry: &Leased,
    error: &DeliveryError,
) -> Result<(), StoreError> {
    if late_at(context, entry).is_none_or(|late| context.clock.now() < late) {
        return Ok(());
    }
    let id = entry.id;
    // Who crashes in between tells nobody, rather than twice.
    if !context.store(move |store| store.tell_late(id)).await? {
        return Ok(());
    }
    tracing::info!(id, sender = ?entry.outgoing.sender, "queue: the sender is told that it is late");
    let until = (entry.outgoing.accepted).saturating_add(context.config.outbound.give_up);
    tell(context, entry, error, Notice::Late { until }).await
}

async fn tell(
    context: &Context,
    entry: &Leased,
    error: &DeliveryError,
    notice: Notice,
) -> Result<(), StoreError> {
    let leased = entry.clone();
    let mut original = context.store(move |store| store.queued(&leased)).await?;
    let start = original.read(HEADER)?;
    let header = header_of(&start);
    let text = write(context, entry, error, notice, header);
    let (sender, smtputf8) = (&entry.outgoing.sender, entry.outgoing.smtputf8);
    super::post(context, sender, String::new(), text.as_bytes(), smtputf8).await
}

/// The status of a notice: what the other side said if that is of its class, else what is known here (RFC 3463).
fn status(error: &DeliveryError, notice: Notice) -> String {
    let class = match notice {
        Notice::Failed => 5,
        Notice::Late { .. } => 4,
    };
    // Some servers have it in their replies without offering it.
    let said = (error.reply()).and_then(|reply| reply.clone().with_enhanced_from_text().enhanced());
    if let Some(said) = said.filter(|status| status.class() == class) {
        return said.to_string();
    }
    if let DeliveryError::Suppressed(suppressed) = error {
        let (class, subject, detail) = suppressed.enhanced();
        return format!("{class}.{subject}.{detail}");
    }
    let detail = match (notice, error) {
        (Notice::Failed, error) if error.is_permanent() => "0.0",
        // RFC 3463 §3.5: "X.4.7 Delivery time expired"
        (Notice::Failed, _) => "4.7",
        // RFC 3463 §3.5: "X.4.1 No answer from host"
        (_, DeliveryError::Send(SendError::Connect { .. })) => "4.1",
        // RFC 3463 §3.5: "X.4.2 Bad connection"
        (_, DeliveryError::Send(SendError::Session(_) | SendError::Closed)) => "4.2",
        // RFC 3463 §3.5: "X.4.3 Directory server failure"
        (_, DeliveryError::Route(RouteError::Dns(_))) => "4.3",
        _ => "0.0",
    };
    format!("{class}.{detail}")
}

fn header_of(start: &[u8]) -> &[u8] {
    let end = start.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.map_or_else(
        // Only whole lines of a header that is longer.
        || {
            start
                .iter()
                .rposition(|octet| *octet == b'\n')
                .map_or(0, |at| at + 1)
        },
        |at| at + 2,
    );
    start.get(..end).unwrap_or_default()
}

fn write(
    context: &Context,
    entry: &Leased,
    error: &DeliveryError,
    notice: Notice,
    header: &[u8],
) -> String {
    let host = &context.config.hostname;
    let boundary = format!("={}-{}", entry.id, now());
    let status = status(error, notice);
    let recipient = clean(&entry.outgoing.recipient);
    let why = clean(&error.to_string());
    let (subject, action, told) = match notice {
        Notice::Failed => (
            "Undelivered mail returned to sender",
            "failed",
            format!(
                "Your message could not be delivered to\r\n\r\n    {recipient}\r\n\r\nand will not be tried again:\r\n\r\n    {why}"
            ),
        ),
        Notice::Late { until } => (
            "Your mail is late, and still being tried",
            "delayed",
            format!(
                "Your message could not be delivered yet to\r\n\r\n    {recipient}\r\n\r\nIt is tried until {}; you need not send it again. \
                 The last time:\r\n\r\n    {why}",
                date(until)
            ),
        ),
    };
    let field = |name: &str, body: &str| {
        fold(name, body).unwrap_or_else(|_| format!("{name}: (too long)\r\n"))
    };
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "Date: {}\r\n{}{}Subject: {subject}\r\n\
         Message-ID: <{}.{}.{action}@{host}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n",
        date(now()),
        field("From", &format!("Mail Delivery System <postmaster@{host}>")),
        field("To", &format!("<{}>", clean(&entry.outgoing.sender))),
        entry.id,
        now(),
    );
    let _ = write!(
        text,
        "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{told}\r\n\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {host}\r\nArrival-Date: {}\r\n\r\n{}Action: {action}\r\nStatus: {status}\r\n",
        date(entry.outgoing.accepted),
        field("Final-Recipient", &format!("rfc822; {recipient}")),
    );
    if let Some(reply) = error.reply() {
        text.push_str(&field(
            "Diagnostic-Code",
            &format!("smtp; {}", clean(&reply.to_string())),
        ));
    }
    if let Notice::Late { until } = notice {
        // RFC 3464 §2.3.9: "For DSNs of type "delayed", the Will-Retry-Until field gives the date after which the Reporting MTA expects to
        // abandon all attempts to deliver the message to that recipient."
        let _ = write!(text, "Will-Retry-Until: {}\r\n", date(until));
    }
    let _ = write!(
        text,
        "\r\n--{boundary}\r\nContent-Type: text/rfc822-headers; charset=utf-8\r\n\r\n{}\r\n--{boundary}--\r\n",
        lines(header),
    );
    text
}

/// Foreign text that goes into one line.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(600)
        .collect()
}

/// A header as canonical lines of text.
fn lines(header: &[u8]) -> String {
    String::from_utf8_lossy(header)
        .lines()
        .fold(String::new(), |mut all, line| {
            all.push_str(line.trim_end_matches('\r'));
            all.push_str("\r\n");
            all
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_a_line() {
        assert_eq!(header_of(b"A: 1\r\nB: 2\r\n\r\nbody"), b"A: 1\r\nB: 2\r\n");
        assert_eq!(header_of(b"A: 1\r\nB: 2\r\nC: cut"), b"A: 1\r\nB: 2\r\n");
        assert_eq!(header_of(b"cut"), b"");
    }
}
