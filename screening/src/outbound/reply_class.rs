//! What a reply to our mail says of us: a full mailbox is the recipient's matter, a refusal by policy is ours.

use core::fmt;

/// The most octets of a reply's text that are looked at.
const MAX_TEXT: usize = 1_024;

/// A reply of a server to which we send.
///
/// ```
/// use screening::outbound::reply_class::{Reply, ReplyClass};
///
/// let full = Reply { code: 452, enhanced: Some((4, 2, 2)), text: "mailbox full" };
/// assert_eq!(full.class(), ReplyClass::Mailbox);
/// let listed = Reply { code: 554, enhanced: Some((5, 7, 1)), text: "Client host [192.0.2.1] blocked using bl.example" };
/// assert_eq!(listed.class(), ReplyClass::Reputation);
/// assert!(listed.class().is_about_us() && !full.class().is_about_us());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// The three digits.
    pub code: u16,
    /// The enhanced status, as RFC 3463 has it: class, subject, detail.
    pub enhanced: Option<(u16, u16, u16)>,
    /// What else it says, lines joined by anything. Of it 1,024 octets are looked at.
    pub text: &'a str,
}

/// What a reply is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ReplyClass {
    /// The message was taken.
    Accepted,
    /// There is no such recipient. Many of them say that a list was not tended, or bought.
    Recipient,
    /// The recipient's mailbox takes nothing now: full, disabled, or gets too much.
    Mailbox,
    /// The message itself: too large, of a form that cannot be read, from a sender whose domain does not exist.
    Message,
    /// We are to come back, as everybody at the first time.
    Greylisted,
    /// We send too much or too fast.
    Throttled,
    /// Our address or network is distrusted or listed.
    Reputation,
    /// The message was refused by policy: taken for spam, or not authenticated.
    Policy,
    /// The other side has trouble of its own, or does not understand us.
    System,
    /// It does not say.
    Unknown,
}

impl ReplyClass {
    /// Whether it speaks against the address that sent, rather than of a recipient, a message or the other side.
    pub const fn is_about_us(self) -> bool {
        matches!(self, Self::Throttled | Self::Reputation | Self::Policy)
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Recipient => "recipient",
            Self::Mailbox => "mailbox",
            Self::Message => "message",
            Self::Greylisted => "greylisted",
            Self::Throttled => "throttled",
            Self::Reputation => "reputation",
            Self::Policy => "policy",
            Self::System => "system",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ReplyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A line of the table: everything that is named must hold, of the text one phrase.
struct Rule {
    class: ReplyClass,
    /// Only for 4xx (`Some(4)`) or 5xx (`Some(5)`).
    digit: Option<u16>,
    code: Option<u16>,
    /// Subject, and detail unless any will do.
    status: Option<(u16, Option<u16>)>,
    /// In lower case, each at the beginning of a word; none: whatever the text says.
    text: &'static [&'static str],
}

const ANY: Rule = Rule {
    class: ReplyClass::Unknown,
    digit: None,
    code: None,
    status: None,
    text: &[],
};

const fn status(subject: u16, detail: u16, class: ReplyClass) -> Rule {
    Rule {
        class,
        status: Some((subject, Some(detail))),
        ..ANY
    }
}

const fn subject(subject: u16, class: ReplyClass) -> Rule {
    Rule {
        class,
        status: Some((subject, None)),
        ..ANY
    }
}

const fn text(text: &'static [&'static str], class: ReplyClass) -> Rule {
    Rule { class, text, ..ANY }
}

const fn code(code: u16, class: ReplyClass) -> Rule {
    Rule {
        class,
        code: Some(code),
        ..ANY
    }
}

/// The first that holds counts: statuses that leave no doubt, what the text says, other statuses, codes alone.
const RULES: &[Rule] = &[
    // RFC 3463 §3.2: "X.1.1 Bad destination mailbox address"
    status(1, 1, ReplyClass::Recipient),
    status(1, 2, ReplyClass::Recipient),
    status(1, 3, ReplyClass::Recipient),
    status(1, 6, ReplyClass::Recipient),
    status(1, 10, ReplyClass::Recipient),
    // RFC 3463 §3.3: "X.2.2 Mailbox full"
    status(2, 2, ReplyClass::Mailbox),
    // RFC 3463 §3.4: "X.3.4 Message too big for system"
    status(3, 4, ReplyClass::Message),
    status(2, 3, ReplyClass::Message),
    // RFC 3463 §3.6: "X.5.3 Too many recipients": of one transaction, and no opinion of us.
    subject(5, ReplyClass::System),
    Rule {
        digit: Some(4),
        ..text(
            &["greylist", "graylist", "postgrey"],
            ReplyClass::Greylisted,
        )
    },
    // A recipient who gets too much, not a sender who sends too much.
    status(2, 1, ReplyClass::Mailbox),
    Rule {
        digit: Some(4),
        ..text(
            &[
                "rate limit",
                "rate-limit",
                "ratelimit",
                "too many",
                "too much mail",
                "too fast",
                "throttl",
                "unusual rate",
                "unexpected volume",
                "slow down",
                "limit exceeded",
                "exceeded the",
            ],
            ReplyClass::Throttled,
        )
    },
    text(
        &[
            "reputation",
            "blocklist",
            "block list",
            "blacklist",
            "black list",
            "blocked using",
            "blocked by",
            "denylist",
            "dnsbl",
            "dnsrbl",
            "rbl",
            "listed",
            "banned",
            "spamhaus",
            "spamcop",
        ],
        ReplyClass::Reputation,
    ),
    text(
        &[
            "spam",
            "unsolicited",
            "phish",
            "virus",
            "malware",
            "policy",
            "dmarc",
            "dkim",
            "spf",
            "unauthenticated",
            "user complaint",
        ],
        ReplyClass::Policy,
    ),
    text(
        &[
            "user unknown",
            "unknown user",
            "no such user",
            "unknown recipient",
            "no such recipient",
            "recipient unknown",
            "invalid recipient",
            "recipient address rejected",
            "recipient rejected",
            "no such mailbox",
            "mailbox not found",
            "does not exist",
            "doesn't exist",
        ],
        ReplyClass::Recipient,
    ),
    text(
        &["mailbox full", "mailbox is full", "over quota", "quota"],
        ReplyClass::Mailbox,
    ),
    // A connection that is ended for what RFC 3463 §3.8 calls "Security or Policy Status" is told to slow down.
    Rule {
        code: Some(421),
        ..subject(7, ReplyClass::Throttled)
    },
    subject(7, ReplyClass::Policy),
    // RFC 3463 §3.2: "X.1.8 Bad sender's system address"
    status(1, 7, ReplyClass::Message),
    status(1, 8, ReplyClass::Message),
    subject(1, ReplyClass::Recipient),
    subject(2, ReplyClass::Mailbox),
    subject(3, ReplyClass::System),
    subject(4, ReplyClass::System),
    subject(6, ReplyClass::Message),
    // RFC 5321 §4.2.3: "552 Requested mail action aborted: exceeded storage allocation"; §4.2.3: "452 Requested action not taken:
    // insufficient system storage"
    code(552, ReplyClass::Mailbox),
    code(452, ReplyClass::System),
    code(421, ReplyClass::System),
    code(451, ReplyClass::System),
];

impl Reply<'_> {
    /// What it is about, by a table: its enhanced status where that leaves no doubt, then the words that servers use, then its code.
    ///
    /// Replies are what others choose to write; a class is a guess, good enough to be counted.
    pub fn class(&self) -> ReplyClass {
        let digit = self.code / 100;
        if matches!(digit, 2 | 3) {
            return ReplyClass::Accepted;
        }
        let end = (0..=self.text.len().min(MAX_TEXT))
            .rev()
            .find(|&end| self.text.is_char_boundary(end));
        let text = self.text[..end.unwrap_or_default()].to_ascii_lowercase();
        let holds = |rule: &&Rule| {
            let is_status = |(subject, detail): (u16, Option<u16>)| {
                self.enhanced.is_some_and(|(_, of, which)| {
                    of == subject && detail.is_none_or(|detail| which == detail)
                })
            };
            rule.digit.is_none_or(|wanted| wanted == digit)
                && rule.code.is_none_or(|code| code == self.code)
                && rule.status.is_none_or(is_status)
                && (rule.text.is_empty() || rule.text.iter().any(|phrase| has_words(&text, phrase)))
        };
        RULES
            .iter()
            .find(holds)
            .map_or(ReplyClass::Unknown, |rule| rule.class)
    }
}

/// Whether the text has the phrase where a word begins: `unlisted` is not `listed`.
fn has_words(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| {
        let before = text.as_bytes().get(at.wrapping_sub(1));
        before.is_none_or(|octet| !octet.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_as_they_are_sent() {
        use ReplyClass::*;
        for (code, enhanced, text, wanted) in [
            (250, Some((2, 0, 0)), "OK", Accepted),
            (
                550,
                Some((5, 1, 1)),
                "The account does not exist",
                Recipient,
            ),
            (550, None, "5.1.1 <a@b.example>... User unknown", Recipient),
            (
                550,
                Some((5, 4, 1)),
                "Recipient address rejected: Access denied",
                Recipient,
            ),
            (452, Some((4, 2, 2)), "The recipient is over quota", Mailbox),
            (552, None, "Mailbox full", Mailbox),
            (
                450,
                Some((4, 2, 1)),
                "receives mail at a rate that is too fast",
                Mailbox,
            ),
            (
                552,
                Some((5, 3, 4)),
                "too big, see our spam policy",
                Message,
            ),
            (452, Some((4, 5, 3)), "Too many recipients", System),
            (
                450,
                Some((4, 7, 1)),
                "Greylisted, come back in 5 minutes",
                Greylisted,
            ),
            (
                550,
                Some((5, 7, 1)),
                "Greylisting is not what we do",
                Policy,
            ),
            (
                421,
                Some((4, 7, 28)),
                "an unusual rate of unsolicited mail",
                Throttled,
            ),
            (
                421,
                Some((4, 7, 0)),
                "deferred due to unexpected volume or user complaints",
                Throttled,
            ),
            (
                421,
                Some((4, 7, 0)),
                "Try again later, closing connection",
                Throttled,
            ),
            (
                451,
                Some((4, 7, 650)),
                "temporarily rate limited due to IP reputation",
                Throttled,
            ),
            (
                554,
                Some((5, 7, 1)),
                "Client host blocked using bl.example",
                Reputation,
            ),
            (
                550,
                None,
                "part of your network is on our block list",
                Reputation,
            ),
            (
                550,
                Some((5, 7, 606)),
                "Access denied, banned sending IP",
                Reputation,
            ),
            (
                550,
                Some((5, 7, 26)),
                "This mail is unauthenticated",
                Policy,
            ),
            (550, Some((5, 7, 1)), "refused", Policy),
            (550, None, "the address is unlisted", Unknown),
            (421, Some((4, 3, 2)), "shutting down", System),
            (451, None, "local error", System),
            (550, None, "no", Unknown),
            (0, None, "", Unknown),
        ] {
            let reply = Reply {
                code,
                enhanced,
                text,
            };
            assert_eq!(reply.class(), wanted, "{reply:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long = "\u{e9}".repeat(2_000) + " spam";
        let reply = Reply {
            code: 550,
            enhanced: None,
            text: &long,
        };
        assert_eq!(reply.class(), ReplyClass::Unknown);
    }

    #[test]
    fn each_phrase_is_in_lower_case_and_reached() {
        for rule in RULES {
            for phrase in rule.text {
                assert_eq!(*phrase, phrase.to_ascii_lowercase());
                let reply = Reply {
                    code: rule.digit.unwrap_or(4) * 100 + 50,
                    enhanced: None,
                    text: phrase,
                };
                assert_eq!(reply.class(), rule.class, "{phrase}");
            }
        }
    }
}
