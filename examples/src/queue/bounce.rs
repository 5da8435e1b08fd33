//! The message that tells a sender what was not delivered (RFC 3464).

use std::fmt::Write as _;

use mail_syntax::folding::fold;

use super::DeliveryError;
use crate::intake::date;
use crate::server::{Context, now};
use crate::store::{Leased, StoreError};

/// The header of the message that was not delivered is given back up to this size; its body is not.
const HEADER: usize = 16 * 1024;

/// Tells the sender, unless there is none.
///
/// RFC 5321 §6.1: "If there is a delivery failure after acceptance of a message, the receiver-SMTP MUST formulate and mail a
/// notification message." and "This notification MUST be sent using a null ("<>") reverse-path in the envelope." A message that has a
/// null reverse-path itself gets none.
pub(super) async fn bounce(
    context: &Context,
    entry: &Leased,
    error: &DeliveryError,
) -> Result<(), StoreError> {
    if entry.outgoing.sender.is_empty() {
        return Ok(());
    }
    let leased = entry.clone();
    let mut original = context.store(move |store| store.queued(&leased)).await?;
    let start = original.read(HEADER)?;
    let header = header_of(&start);
    let text = write(context, entry, error, header);
    let (sender, smtputf8) = (&entry.outgoing.sender, entry.outgoing.smtputf8);
    super::post(context, sender, String::new(), text.as_bytes(), smtputf8).await
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

fn write(context: &Context, entry: &Leased, error: &DeliveryError, header: &[u8]) -> String {
    let host = &context.config.hostname;
    let boundary = format!("={}-{}", entry.id, now());
    let status = error
        .reply()
        .and_then(smtp_proto::Reply::enhanced)
        .filter(|status| status.class() == 5)
        .map_or_else(
            || {
                if error.is_permanent() {
                    "5.0.0"
                } else {
                    "5.4.7"
                }
                .to_owned()
            },
            |status| status.to_string(),
        );
    let recipient = clean(&entry.outgoing.recipient);
    let why = clean(&error.to_string());
    let field = |name: &str, body: &str| {
        fold(name, body).unwrap_or_else(|_| format!("{name}: (too long)\r\n"))
    };
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "Date: {}\r\n{}{}Subject: Undelivered mail returned to sender\r\n\
         Message-ID: <{}.{}@{host}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n",
        date(now()),
        field("From", &format!("Mail Delivery System <postmaster@{host}>")),
        field("To", &format!("<{}>", clean(&entry.outgoing.sender))),
        entry.id,
        now(),
    );
    let _ = write!(
        text,
        "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         Your message could not be delivered to\r\n\r\n    {recipient}\r\n\r\nand will not be tried again:\r\n\r\n    {why}\r\n\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; {host}\r\nArrival-Date: {}\r\n\r\n{}Action: failed\r\nStatus: {status}\r\n",
        date(entry.outgoing.accepted),
        field("Final-Recipient", &format!("rfc822; {recipient}")),
    );
    if let Some(reply) = error.reply() {
        text.push_str(&field(
            "Diagnostic-Code",
            &format!("smtp; {}", clean(&reply.to_string())),
        ));
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
