//! What an evaluation was made from, written down: to make it again later, elsewhere, or with other limits.

use std::collections::VecDeque;

use mail_dns::{Evaluation, Need, Question};
use serde::{Deserialize, Serialize};

use crate::message_auth::{Config, Inbound, MessageAuth};
use crate::questions::Answered;
use crate::verdict::Verdict;

/// All that a verdict hangs on but the [`Config`], which holds code and not only data.
///
/// It holds the message and what was known of its sender: whoever keeps recordings keeps mail. In JSON it can be read: the octets of the
/// message are characters from U+0000 to U+00FF, records stand there as in a zone file.
///
/// ```
/// use mail_dns::{Zone, resolve_blocking};
/// use message_auth::{Config, Inbound, MessageAuth, Recording};
///
/// let inbound = Inbound {
///     client_ip: [192, 0, 2, 1].into(),
///     helo: "mail.example.com".to_owned(),
///     mail_from: "<joe@example.com>".parse()?,
///     authserv_id: "mx.example.org".to_owned(),
///     now: 1_700_000_000,
/// };
/// let message = b"From: joe@example.com\r\n\r\nIs it ready?\r\n";
/// let mut auth = MessageAuth::new(inbound, &Config::default());
/// auth.write(message);
/// auth.finish();
/// let zone = Zone::new().txt("example.com", "v=spf1 ip4:192.0.2.1 -all");
/// let verdict = resolve_blocking(auth, |question| zone.answer(question));
///
/// let text = serde_json::to_string(&Recording::new(&verdict, message))?;
/// let recording: Recording = serde_json::from_str(&text)?;
/// assert_eq!(recording.replay(&Config::default())?, verdict);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// What was known before the first octet.
    pub inbound: Inbound,
    /// The message as it came.
    #[serde(with = "octets")]
    pub message: Vec<u8>,
    /// The answers of the DNS, in the order in which they came.
    pub answers: Vec<Answered>,
}

/// Why a recording gives no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A question that was not answered then: the configuration, the message or this library is another one now.
    #[error(
        "the recording has no answer to {0}: replay it with the configuration it was made with"
    )]
    NotRecorded(Question),
    /// The evaluation waits and has asked nothing.
    #[error("the evaluation came to no end")]
    Stalled,
}

impl Recording {
    /// Records a verdict on this message.
    #[must_use]
    pub fn new(verdict: &Verdict, message: &[u8]) -> Self {
        Self {
            inbound: verdict.inbound.clone(),
            message: message.to_vec(),
            answers: verdict.answers.clone(),
        }
    }

    /// Makes the evaluation again: each answer comes when it came then.
    ///
    /// With the configuration of then, the verdict is that of then. Only the order of [`Verdict::questions`] may differ, where they were asked
    /// while the message still came: here it is there from the beginning.
    ///
    /// # Errors
    ///
    /// [`ReplayError`], if an answer is missing.
    pub fn replay(&self, config: &Config) -> Result<Verdict, ReplayError> {
        let mut auth = MessageAuth::new(self.inbound.clone(), config);
        auth.write(&self.message);
        auth.finish();
        let mut open: Vec<Question> = Vec::new();
        let mut asked = 0;
        let mut left: VecDeque<&Answered> = self.answers.iter().collect();
        let mut waits = false;
        loop {
            let is_due = |next: &&Answered| open.contains(&next.question);
            let due = if waits {
                left.iter().position(is_due)
            } else {
                let next = left.front().filter(|next| next.asked <= asked);
                next.filter(|next| is_due(next)).map(|_| 0)
            };
            if let Some(next) = due.and_then(|at| left.remove(at)) {
                open.retain(|question| *question != next.question);
                auth.answer(&next.question, &next.answer);
                waits = false;
                continue;
            }
            if waits {
                let question = open.into_iter().next();
                return Err(question.map_or(ReplayError::Stalled, ReplayError::NotRecorded));
            }
            match auth.poll() {
                Need::Done(verdict) => return Ok(verdict),
                Need::Wait => waits = true,
                Need::Lookup(question) => {
                    open.push(question);
                    asked += 1;
                }
            }
        }
    }
}

/// Any octets as text: each is the character of its number.
mod octets {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        octets: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: String = octets.iter().copied().map(char::from).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octets: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        octets.map_err(|_| D::Error::custom("a character beyond U+00FF in the message"))
    }
}

/// A reverse-path as text, with its angle brackets.
pub(crate) mod reverse_path {
    use mail_syntax::ReversePath;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        path: &ReversePath,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(path)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ReversePath, D::Error> {
        let text = String::deserialize(deserializer)?;
        ReversePath::parse_utf8(&text).map_err(D::Error::custom)
    }
}
