//! What came of a score: the decision, its reasons, and the words for log, header and reply.

use core::fmt::{self, Write as _};
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use mail_dns::Name;
use mail_syntax::folding::{FoldError, fold};

use super::Spf;
use crate::Network;
use crate::dnsbl::Subject;
use crate::early_talker::Offence;
use crate::helo::{Form, Resolution};
use crate::iprev::IprevResult;
use crate::s25r::{self, Rule};
use crate::text::{Harmless, Line, Quoted};

/// What to do about a client, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Take its mail.
    Accept,
    /// Ask [`greylisting`](crate::greylisting): who is not known there is answered with a temporary refusal.
    Greylist,
    /// Let each reply wait for so long, and greylist. Spamware mostly hangs up.
    Tarpit(Duration),
    /// Refuse it for good; but never refuse mail for postmaster (RFC 5321 §4.5.1: "SMTP systems are expected to make every reasonable
    /// effort to accept mail directed to Postmaster from any other system on the Internet.").
    Refuse,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Greylist => f.write_str("greylist"),
            Self::Tarpit(delay) => write!(f, "tarpit {} s", delay.as_secs()),
            Self::Refuse => f.write_str("refuse"),
        }
    }
}

/// Something that was found, and its points.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reason {
    /// What it adds to the score: positive speaks against the client.
    pub points: i32,
    /// What it is.
    pub why: Why,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The client is in a network that is never screened; nothing else counts.
    Exempt(Network),
    /// A rule of S25R.
    S25r {
        /// The rule.
        rule: Rule,
        /// What it matched on.
        part: String,
    },
    /// What [`iprev`](crate::iprev) found.
    Iprev(IprevResult),
    /// What the argument of HELO is.
    Helo(Form),
    /// Where it leads.
    HeloLeads(Resolution),
    /// How the client speaks SMTP.
    Offence(Offence),
    /// A list has it.
    Listed {
        /// The zone of the list.
        zone: Name,
        /// What was looked up.
        subject: Subject,
        /// The codes that counted, if it is a sublist; empty where every code counts.
        codes: Vec<Ipv4Addr>,
        /// The list's own reason.
        reason: Option<String>,
    },
    /// What SPF found.
    Spf(Spf),
    /// Our users have written to the sender.
    KnownCorrespondent,
    /// Its past: mostly that of this, if that was told.
    Reputation(Option<String>),
    /// The past of its networks: mostly that of this.
    NetworkReputation(Option<String>),
}

impl Why {
    /// Whether it may count towards a refusal.
    ///
    /// RFC 5321 §4.1.4: "However, if the verification fails, the server MUST NOT refuse to accept a message on that basis." And nobody is
    /// refused for what others did.
    pub(super) const fn may_refuse(&self) -> bool {
        !matches!(
            self,
            Self::HeloLeads(Resolution::Elsewhere) | Self::NetworkReputation(_)
        )
    }

    /// Whether it is something that the client did, rather than what it is called or what others say of it.
    const fn is_conduct(&self) -> bool {
        matches!(
            self,
            Self::Offence(_) | Self::Helo(Form::OurName | Form::OurAddress)
        )
    }
}

/// `+3 rule 2: five digits in "p12345"`; printable ASCII in one line, and what others chose stands in quotes, at most 200 octets of it.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+} {}", self.points, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exempt(network) => write!(f, "exempt: {network}"),
            Self::S25r { rule, part } => s25r::print_match(f, *rule, part),
            Self::Iprev(result) => write!(f, "iprev: {result}"),
            Self::Helo(form) => write!(f, "HELO: {form}"),
            Self::HeloLeads(resolution) => write!(f, "HELO: {resolution}"),
            Self::Offence(offence) => offence.fmt(f),
            Self::Listed {
                zone,
                subject,
                codes,
                reason,
            } => {
                write!(f, "on {}", Harmless(&zone.to_string()))?;
                for (number, code) in codes.iter().take(MAX_CODES).enumerate() {
                    write!(f, "{}{code}", if number == 0 { " for " } else { " " })?;
                }
                if codes.len() > MAX_CODES {
                    f.write_str(" ...")?;
                }
                f.write_str(match subject {
                    Subject::Address | Subject::Ipv4 | Subject::Ipv6 => "",
                    Subject::MailFrom => " by the sender's domain",
                    Subject::Helo => " by the HELO name",
                    Subject::ReverseName => " by the reverse name",
                })?;
                match reason {
                    Some(reason) => write!(f, ": {}", Quoted(reason)),
                    None => Ok(()),
                }
            }
            Self::Spf(spf) => f.write_str(match spf {
                Spf::None => "SPF none",
                Spf::Neutral => "SPF neutral",
                Spf::Pass => "SPF pass",
                Spf::Fail => "SPF fail",
                Spf::SoftFail => "SPF softfail",
                Spf::TempError => "SPF temperror",
                Spf::PermError => "SPF permerror",
            }),
            Self::KnownCorrespondent => f.write_str("known correspondent"),
            Self::Reputation(Some(of)) | Self::NetworkReputation(Some(of)) => {
                write!(f, "reputation of {}", Line(of))
            }
            Self::Reputation(None) => f.write_str("reputation"),
            Self::NetworkReputation(None) => f.write_str("reputation of its network"),
        }
    }
}

/// Codes of a list that are printed.
const MAX_CODES: usize = 4;

/// Octets of a refusal's text in front of the count of further reasons: RFC 5321 §4.5.3.1.5: "The maximum total length of a reply line
/// including the reply code and the \<CRLF\> is 512 octets."
const MAX_REASON: usize = 450;

/// Where in a session a reply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In place of the greeting.
    Greeting,
    /// In answer to a recipient, to the whole message behind its last octet, or to another command.
    Recipient,
}

/// A reply: the codes, and one line of printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The reply code (RFC 5321 §4.2).
    pub code: u16,
    /// The enhanced status code (RFC 3463): class, subject, detail.
    pub enhanced: (u8, u16, u16),
    /// The text; with the codes it fits into a reply line of 512 octets (RFC 5321 §4.5.3.1.5).
    pub text: String,
}

/// As it stands on the wire, without CRLF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, subject, detail) = self.enhanced;
        write!(f, "{} {class}.{subject}.{detail} {}", self.code, self.text)
    }
}

/// What a [`Scorer`](super::Scorer) comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The client, if it is known.
    pub client: Option<IpAddr>,
    /// The sum of the points.
    pub score: i64,
    /// What to do.
    pub decision: Decision,
    /// What was found, in the order of [`Evidence`](super::Evidence); what is worth nothing is left out.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// The name for [`Verdict::header_field`]: without `X-`, as RFC 6648 §3 asks for. A server that writes it takes fields of this name
    /// out of what it receives.
    pub const FIELD_NAME: &'static str = "Yubin-Screening";

    /// The reply to give; none where nothing is to be said at this stage.
    ///
    /// Accepted clients get none; greylisted ones only a temporary refusal of the recipient, and only where the greylist does not know them.
    ///
    /// | decision | greeting | recipient, message |
    /// |---|---|---|
    /// | accept | | |
    /// | greylist, tarpit | | `450 4.7.1` |
    /// | refuse | `554 5.7.1` | `550 5.7.1` |
    pub fn reply(&self, stage: Stage) -> Option<Reply> {
        let (code, enhanced, text) = match (self.decision, stage) {
            (Decision::Accept, _) => return None,
            (Decision::Greylist | Decision::Tarpit(_), Stage::Greeting) => return None,
            // RFC 6647 §5: "the only two reasonable choices are 421 if the implementation wishes to terminate the connection
            // immediately and 450 otherwise."
            (Decision::Greylist | Decision::Tarpit(_), Stage::Recipient) => {
                let text = "Not known here yet, please try again in some minutes".to_owned();
                (450, (4, 7, 1), text)
            }
            // RFC 5321 §3.1: "a server returning a 554 response on connection opening SHOULD provide enough information in the reply
            // text to facilitate debugging of the sending system."
            (Decision::Refuse, Stage::Greeting) => (554, (5, 7, 1), self.refusal()),
            // RFC 5321 §7.9: "When mail is rejected for these or other policy reasons, a 550 code SHOULD be used in response to EHLO
            // (or HELO), MAIL, or RCPT as appropriate."
            (Decision::Refuse, Stage::Recipient) => (550, (5, 7, 1), self.refusal()),
        };
        Some(Reply {
            code,
            enhanced,
            text,
        })
    }

    /// Whether something that the client did speaks against it, such as a lie in HELO or talking before the greeting: only then is a refusal
    /// an [`Outcome`](crate::reputation::Outcome::Refused) to remember.
    pub fn is_for_conduct(&self) -> bool {
        let mut against = self.reasons.iter().filter(|reason| reason.points > 0);
        against.any(|reason| reason.why.is_conduct())
    }

    /// Names the weightiest reason, so that an honest sender knows where to begin.
    fn refusal(&self) -> String {
        let against = || self.reasons.iter().filter(|reason| reason.points > 0);
        let others = against().count().saturating_sub(1);
        let mut text = "Refused".to_owned();
        // Writing to a String cannot fail.
        if let Some(client) = self.client {
            let _ = write!(text, " [{}]", client.to_canonical());
        }
        let refusing = against().filter(|reason| reason.why.may_refuse());
        // Of equal ones the first.
        if let Some(reason) = refusing.rev().max_by_key(|reason| reason.points) {
            let _ = write!(text, ": {}", reason.why);
        }
        // All of it is ASCII, so every place is the end of a character.
        text.truncate(MAX_REASON);
        if others > 0 {
            let _ = write!(text, " (and {others} more)");
        }
        text
    }

    /// The verdict as a header field, folded and with CRLF; [`Verdict::FIELD_NAME`] is a name for it.
    ///
    /// # Errors
    ///
    /// The name is none for a header field.
    pub fn header_field(&self, name: &str) -> Result<String, FoldError> {
        fold(name, &self.to_string())
    }
}

/// For the log and the header: `refuse, score 11: +5 talked before the greeting, +6 on bad.example.com`. One line of printable ASCII.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, score {}", self.decision, self.score)?;
        for (number, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if number == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}
