//! The messages that tell a sender what became of his (RFC 3464): that it was not delivered, or not yet; and that it was, if he asked.

use std::fmt::Write as _;

use mail_syntax::folding::fold;
use smtp_proto::Reply;
use smtp_proto::parameters::Ret;

use super::DeliveryError;
use super::delivery::Sent;
use super::exchanger::RouteError;
use crate::accounts::random_word;
use crate::intake::date;
use crate::outgoing::SendError;
use crate::server::{Context, now};
use crate::store::{Dsn, Leased, StoreError};

/// The header of a message is given back up to this size.
pub(crate) const HEADER: usize = 16 * 1024;

/// A message that failed is given back whole up to this size, where its sender asks for that.
const WHOLE: u64 = 1024 * 1024;

/// What a sender is told.
#[derive(Debug, Clone, Copy)]
enum Notice<'a> {
    Failed(&'a DeliveryError),
    /// It is tried until this second since 1970.
    Late {
        error: &'a DeliveryError,
        until: u64,
    },
    Relayed(&'a Sent),
    Succeeded(Way),
}

/// How a message was delivered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Into a mailbox.
    Delivered,
    /// To all that an alias leads to.
    Expanded,
}

/// A recipient of a message that was delivered here, of whom the sender wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Success {
    pub(crate) recipient: String,
    pub(crate) way: Way,
    pub(crate) dsn: Dsn,
}

/// The message that a notice is about.
struct About<'a> {
    /// Tells notices apart.
    name: String,
    sender: &'a str,
    recipient: &'a str,
    smtputf8: bool,
    accepted: u64,
    dsn: &'a Dsn,
}

impl<'a> About<'a> {
    fn of(entry: &'a Leased) -> Self {
        let outgoing = &entry.outgoing;
        Self {
            name: entry.id.to_string(),
            sender: &outgoing.sender,
            recipient: &outgoing.recipient,
            smtputf8: outgoing.smtputf8,
            accepted: outgoing.accepted,
            dsn: &outgoing.dsn,
        }
    }
}

/// Tells the sender that a message was given up, unless there is none, or he does not want to know.
///
/// RFC 5321 §6.1: "If there is a delivery failure after acceptance of a message, the receiver-SMTP MUST formulate and mail a
/// notification message." and "This notification MUST be sent using a null ("<>") reverse-path in the envelope." A message that has a
/// null reverse-path itself gets none.
// RFC 3461 §5.2.6: "If a NOTIFY parameter was supplied for the recipient which did not contain the value FAILURE, a DSN MUST NOT be issued
// for that recipient."
pub(super) async fn failed(
    context: &Context,
    entry: &Leased,
    error: &DeliveryError,
) -> Result<(), StoreError> {
    if entry.outgoing.sender.is_empty() || !entry.outgoing.dsn.wants_failure() {
        return Ok(());
    }
    tell_of(context, entry, Notice::Failed(error)).await
}

/// When the sender of a message is to be told that it is late, in seconds since 1970; none: he is not, or was told before.
///
/// RFC 3461 §5.2.5: "If the NOTIFY parameter was not supplied for a recipient, a "delayed" DSN MAY be issued." It is for our own users: what
/// strangers have sent to an alias may have a sender who knows nothing of it.
// RFC 3461 §5.2.5: "If the NOTIFY parameter was supplied which did not contain the DELAY keyword, a "delayed" DSN MUST NOT be issued."
pub(super) fn late_at(context: &Context, entry: &Leased) -> Option<u64> {
    let late = context.config.outbound.late;
    let (_, domain) = entry.outgoing.sender.rsplit_once('@')?;
    let is_told = late > 0
        && !entry.told_late
        && entry.outgoing.dsn.wants_delay()
        && context.config.is_local(domain);
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
    tell_of(context, entry, Notice::Late { error, until }).await
}

/// The header of a message that was sent, before it leaves the queue: for a sender who wants to know it, of a host that will tell him
/// nothing.
// RFC 3461 §5.2.2: "If the NOTIFY parameter was supplied for a recipient, with an esmtp-value containing the keyword SUCCESS, and the SMTP
// server returns a success (2xx) reply-code in response to the RCPT command, the client MUST issue a "relayed" DSN for that recipient."
pub(super) async fn header_to_tell(
    context: &Context,
    entry: &Leased,
    sent: &Sent,
) -> Option<Vec<u8>> {
    if sent.has_dsn || entry.outgoing.sender.is_empty() || !entry.outgoing.dsn.wants_success() {
        return None;
    }
    let leased = entry.clone();
    let start = context.store(move |store| store.queued(&leased)?.read(HEADER));
    // What cannot be read is told without.
    let start = start.await.unwrap_or_default();
    Some(header_of(&start).to_vec())
}

/// Tells the sender that it was passed on.
pub(super) async fn relayed(
    context: &Context,
    entry: &Leased,
    sent: &Sent,
    header: &[u8],
) -> Result<(), StoreError> {
    let about = About::of(entry);
    tell(
        context,
        &about,
        Notice::Relayed(sent),
        Original::Header(header),
    )
    .await
}

/// Tells the sender who wants to know it that his message was delivered here; its header is `start`, or begins with it. The name tells
/// notices apart.
pub(crate) async fn succeeded(
    context: &Context,
    name: String,
    sender: &str,
    smtputf8: bool,
    start: &[u8],
    success: &Success,
) -> Result<(), StoreError> {
    if sender.is_empty() {
        return Ok(());
    }
    let accepted = now();
    let about = About {
        name,
        sender,
        recipient: &success.recipient,
        smtputf8,
        accepted,
        dsn: &success.dsn,
    };
    let original = Original::Header(header_of(start));
    tell(context, &about, Notice::Succeeded(success.way), original).await
}

/// What comes back of a message.
enum Original<'a> {
    Header(&'a [u8]),
    Whole(&'a [u8]),
}

async fn tell_of(context: &Context, entry: &Leased, notice: Notice<'_>) -> Result<(), StoreError> {
    let leased = entry.clone();
    let mut message = context.store(move |store| store.queued(&leased)).await?;
    let about = About::of(entry);
    // RFC 3461 §6.2: "When the value of the RET parameter is FULL, the full message SHOULD be returned for any DSN which conveys
    // notification of delivery failure."
    let is_failure = matches!(notice, Notice::Failed(_));
    if is_failure && entry.outgoing.dsn.ret == Some(Ret::Full) && message.size() <= WHOLE {
        let whole = message.read_all()?;
        return tell(context, &about, notice, Original::Whole(&whole)).await;
    }
    let start = message.read(HEADER)?;
    tell(context, &about, notice, Original::Header(header_of(&start))).await
}

async fn tell(
    context: &Context,
    about: &About<'_>,
    notice: Notice<'_>,
    original: Original<'_>,
) -> Result<(), StoreError> {
    let text = write(context, about, notice, original);
    super::post(context, about.sender, String::new(), &text, about.smtputf8).await
}

impl Notice<'_> {
    const fn error(&self) -> Option<&DeliveryError> {
        match self {
            Self::Failed(error) | Self::Late { error, .. } => Some(error),
            Self::Relayed(_) | Self::Succeeded(_) => None,
        }
    }

    /// What a host has said, and which.
    fn said(&self) -> Option<(&str, Option<&Reply>)> {
        match self {
            Self::Relayed(sent) => Some((&sent.host, Some(&sent.reply))),
            _ => match self.error()? {
                DeliveryError::Send { host, error } => Some((host, error.reply())),
                _ => None,
            },
        }
    }

    /// The status: what the other side said if that is of its class, else what is known here (RFC 3463).
    fn status(&self) -> String {
        let class = match self {
            Self::Failed(_) => 5,
            Self::Late { .. } => 4,
            Self::Relayed(_) | Self::Succeeded(_) => 2,
        };
        let said = self.said().and_then(|(_, reply)| reply);
        // Some servers have it in their replies without offering it.
        let said = said.and_then(|reply| reply.clone().with_enhanced_from_text().enhanced());
        if let Some(said) = said.filter(|status| status.class() == class) {
            return said.to_string();
        }
        if let Some(DeliveryError::Suppressed(suppressed)) = self.error() {
            let (class, subject, detail) = suppressed.enhanced();
            return format!("{class}.{subject}.{detail}");
        }
        let detail = match self {
            // RFC 3463 §3.5: "X.4.7 Delivery time expired"
            Self::Failed(error) if !error.is_permanent() => "4.7",
            Self::Late { error, .. } => match error {
                DeliveryError::Send { error, .. } => match error {
                    // RFC 3463 §3.5: "X.4.1 No answer from host"
                    SendError::Connect { .. } => "4.1",
                    // RFC 3463 §3.5: "X.4.2 Bad connection"
                    SendError::Session(_) | SendError::Closed => "4.2",
                    _ => "0.0",
                },
                // RFC 3463 §3.5: "X.4.3 Directory server failure"
                DeliveryError::Route(RouteError::Dns(_)) => "4.3",
                _ => "0.0",
            },
            _ => "0.0",
        };
        format!("{class}.{detail}")
    }

    /// The subject, the action, and the words.
    fn words(&self, recipient: &str) -> (&'static str, &'static str, String) {
        let to = |text: &str| format!("{text}\r\n\r\n    {recipient}\r\n\r\n");
        match self {
            Self::Failed(error) => (
                "Undelivered mail returned to sender",
                "failed",
                format!(
                    "{}and will not be tried again:\r\n\r\n    {}",
                    to("Your message could not be delivered to"),
                    clean(&error.to_string())
                ),
            ),
            Self::Late { error, until } => (
                "Your mail is late, and still being tried",
                "delayed",
                format!(
                    "{}It is tried until {}; you need not send it again. The last time:\r\n\r\n    {}",
                    to("Your message could not be delivered yet to"),
                    date(*until),
                    clean(&error.to_string())
                ),
            ),
            Self::Relayed(sent) => (
                "Your mail was passed on",
                "relayed",
                format!(
                    "{}was taken by {}, which does not tell what becomes of it.",
                    to("Your message to"),
                    clean(&sent.host)
                ),
            ),
            Self::Succeeded(Way::Delivered) => (
                "Your mail was delivered",
                "delivered",
                format!("{}was delivered.", to("Your message to")),
            ),
            Self::Succeeded(Way::Expanded) => (
                "Your mail was passed on",
                "expanded",
                format!("{}was passed on to those behind it.", to("Your message to")),
            ),
        }
    }
}

fn write(
    context: &Context,
    about: &About<'_>,
    notice: Notice<'_>,
    original: Original<'_>,
) -> Vec<u8> {
    let host = &context.config.hostname;
    // Nobody can have foreseen it and put it into his message.
    let boundary = format!("={}", random_word());
    let recipient = clean(about.recipient);
    let (subject, action, told) = notice.words(&recipient);
    let (kind, original) = match original {
        Original::Header(header) => (
            "text/rfc822-headers; charset=utf-8",
            lines(header).into_bytes(),
        ),
        Original::Whole(whole) => ("message/rfc822", whole.to_vec()),
    };
    // RFC 2045 §6.1: ""Content-Transfer-Encoding: 7BIT" is assumed if the Content-Transfer-Encoding header field is not present."
    let encoding = match told.is_ascii() && original.is_ascii() {
        true => "",
        false => "Content-Transfer-Encoding: 8bit\r\n",
    };
    let field = |name: &str, body: &str| {
        fold(name, body).unwrap_or_else(|_| format!("{name}: (too long)\r\n"))
    };
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "Date: {}\r\n{}{}Subject: {subject}\r\n\
         Message-ID: <{}.{}.{action}@{host}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n{encoding}\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n",
        date(now()),
        field("From", &format!("Mail Delivery System <postmaster@{host}>")),
        field("To", &format!("<{}>", clean(about.sender))),
        about.name,
        now(),
    );
    let _ = write!(
        text,
        "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n{encoding}\r\n{told}\r\n\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n"
    );
    if let Some(envid) = &about.dsn.envid {
        // RFC 3461 §6.3: "the MTA must decode the xtext encoding when copying the ENVID value to the Original-Envelope-ID field."
        text.push_str(&field("Original-Envelope-Id", envid.as_str()));
    }
    let _ = write!(
        text,
        "Reporting-MTA: dns; {host}\r\nArrival-Date: {}\r\n\r\n",
        date(about.accepted)
    );
    // RFC 3461 §6.3: "If the ORCPT parameter was provided for this recipient, the Original-Recipient field MUST be supplied, with its value
    // taken from the ORCPT parameter."
    if let Some(orcpt) = &about.dsn.orcpt {
        let body = format!("{}; {}", orcpt.address_type(), orcpt.address().as_str());
        text.push_str(&field("Original-Recipient", &body));
    }
    text.push_str(&field("Final-Recipient", &format!("rfc822; {recipient}")));
    let _ = write!(text, "Action: {action}\r\nStatus: {}\r\n", notice.status());
    if let Some((remote, reply)) = notice.said() {
        text.push_str(&field("Remote-MTA", &format!("dns; {}", clean(remote))));
        if let Some(reply) = reply {
            let said = format!("smtp; {}", clean(&reply.to_string()));
            text.push_str(&field("Diagnostic-Code", &said));
        }
    }
    if let Notice::Late { until, .. } = notice {
        // RFC 3464 §2.3.9: "For DSNs of type "delayed", the Will-Retry-Until field gives the date after which the Reporting MTA expects to
        // abandon all attempts to deliver the message to that recipient."
        let _ = write!(text, "Will-Retry-Until: {}\r\n", date(until));
    }
    let _ = write!(
        text,
        "\r\n--{boundary}\r\nContent-Type: {kind}\r\n{encoding}\r\n"
    );
    let mut octets = text.into_bytes();
    octets.extend_from_slice(&original);
    octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    octets
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

/// Foreign text that goes into one line: 600 octets of it.
fn clean(text: &str) -> String {
    // RFC 5322 §2.1.1: "Each line of characters MUST be no more than 998 characters"
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= 600).last();
    let text = text.get(..end.unwrap_or_default()).unwrap_or_default();
    text.replace(char::is_control, " ")
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

    #[test]
    fn foreign_text_fits_into_a_line() {
        assert_eq!(clean("a\r\nb\tc"), "a  b c");
        assert_eq!(clean(&"a".repeat(900)), "a".repeat(600));
        assert_eq!(clean(&"wörter".repeat(200)).len(), 600);
        assert_eq!(clean(&"€".repeat(400)).len(), 600);
        assert_eq!(clean(&format!("a{}", "€".repeat(400))).len(), 598);
    }
}
