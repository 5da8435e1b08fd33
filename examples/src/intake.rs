//! A message on its way in: written to the spool piece by piece, judged or signed while it comes, never held whole.

use crate::feedback;
use crate::identities::{Authors, HeaderError as AuthorsError};
use crate::judge::Judge;
use crate::server::Context;
use crate::store::{Spool, StoreError};
use dkim::arc::Sealer;
use mail_syntax::address_list::AuthorDomains;
use mail_syntax::authentication_results::claims;
use mail_syntax::date::{DateTime, Zone};
use mail_syntax::header::{Field, Header, HeaderError, HeaderSplitter, Limits, LineEnd, Split};
use screening::scorer::Verdict;

/// What is done with a message while it comes.
#[derive(Debug)]
pub enum Purpose {
    /// From outside: it is judged, and fields that claim to be ours are removed.
    Judge(Box<Judge>, Option<Box<Sealer>>),
    /// From one of our users: it is completed and signed.
    Submit(Box<Submission>),
}

/// A message of one of our users.
#[derive(Debug)]
pub struct Submission {
    /// The fields that were missing.
    pub added: String,
    /// Whom it says it is from, once its header is whole.
    pub authors: Result<Authors, AuthorsError>,
    signer: Option<dkim::Signer>,
    now: u64,
    message_id: String,
    feedback_id: String,
}

impl Submission {
    /// Begins; the message id is for a message that has none, and complaints about it have the other, which nobody can guess.
    #[must_use]
    pub fn new(now: u64, message_id: String, feedback_id: String) -> Self {
        Self {
            added: String::new(),
            authors: Ok(Authors::default()),
            signer: None,
            now,
            message_id,
            feedback_id,
        }
    }

    /// The signatures of the message.
    ///
    /// # Errors
    ///
    /// A key that does not sign.
    pub fn sign(self) -> Result<(String, Vec<String>), dkim::SignError> {
        let signatures = self.signer.map_or(Ok(Vec::new()), dkim::Signer::finish)?;
        Ok((self.added, signatures))
    }
}

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The header is beyond its limits, or is none.
    #[error("the header: {0}")]
    Header(#[from] HeaderError),
    /// A line of the header is no field.
    #[error("a line of the header is no field")]
    Malformed,
    /// It has been through too many servers.
    #[error("{0} Received fields: this message goes in circles")]
    Loop(usize),
    /// The spool failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// RFC 5321 §6.3: "Simple counting of the number of "Received:" header fields in a message has proven to be an effective, although
/// rarely optimal, method of detecting loops in mail systems. SMTP servers using this technique SHOULD use a large rejection
/// threshold, normally at least 100 Received entries."
const MOST_RECEIVED: usize = 100;

/// A message that is arriving.
#[derive(Debug)]
pub struct Intake {
    /// Where it is written to.
    pub spool: Spool,
    /// What is done with it meanwhile.
    pub purpose: Purpose,
    splitter: Option<HeaderSplitter>,
    header: Vec<u8>,
    refused: Option<Refused>,
}

impl Intake {
    /// Begins.
    #[must_use]
    pub fn new(spool: Spool, purpose: Purpose) -> Self {
        Self {
            spool,
            purpose,
            splitter: Some(HeaderSplitter::new(Limits::default(), LineEnd::Crlf)),
            header: Vec::new(),
            refused: None,
        }
    }

    /// Takes a piece of the message; what is wrong is told by [`finish`](Self::finish).
    pub fn write(&mut self, context: &Context, octets: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        if let Err(refused) = self.take(context, octets) {
            self.refused = Some(refused);
        }
    }

    /// Asks the DNS what the message so far needs answered, beside the arrival of the rest; cancel-safe.
    pub async fn ask(&mut self) {
        if let (Purpose::Judge(judge, _), None) = (&mut self.purpose, &self.refused) {
            judge.ask().await;
        }
    }

    fn take(&mut self, context: &Context, octets: &[u8]) -> Result<(), Refused> {
        if let Purpose::Judge(judge, _) = &mut self.purpose {
            judge.write(octets);
        }
        let Some(splitter) = &mut self.splitter else {
            return self.body(octets);
        };
        match splitter.push(octets)? {
            Split::NeedInput => self.header.extend_from_slice(octets),
            Split::Complete { taken } => {
                let (header, body) = octets.split_at_checked(taken).unwrap_or((octets, &[]));
                self.header.extend_from_slice(header);
                self.end_of_header(context)?;
                self.body(body)?;
            }
        }
        Ok(())
    }

    fn body(&mut self, octets: &[u8]) -> Result<(), Refused> {
        match &mut self.purpose {
            Purpose::Submit(submission) => {
                if let Some(signer) = &mut submission.signer {
                    signer.write(octets);
                }
            }
            Purpose::Judge(_, Some(sealer)) => sealer.write(octets),
            Purpose::Judge(_, None) => {}
        }
        Ok(self.spool.write(octets)?)
    }

    fn end_of_header(&mut self, context: &Context) -> Result<(), Refused> {
        let Some(splitter) = self.splitter.take() else {
            return Ok(());
        };
        let index = splitter.finish();
        if index.is_malformed() {
            return Err(Refused::Malformed);
        }
        let octets = std::mem::take(&mut self.header);
        let header = Header::new(&octets, &index);
        let received = header.named("Received").count();
        if received > MOST_RECEIVED {
            return Err(Refused::Loop(received));
        }
        match &mut self.purpose {
            Purpose::Judge(judge, sealer) => {
                judge.header(&header);
                let mut kept = without_forged(&header, &context.config.hostname);
                // The empty line that ends the header, if there is one.
                kept.extend_from_slice(octets.get(header.octets().len()..).unwrap_or_default());
                if let Some(sealer) = sealer {
                    sealer.write(&kept);
                }
                self.spool.write(&kept)?;
            }
            Purpose::Submit(submission) => {
                submission.complete(&header);
                submission.authors = Authors::of(&header);
                if let AuthorDomains::One(author) = AuthorDomains::of(&header) {
                    let id = &submission.feedback_id;
                    let (keys, fields) = feedback::signing(context, &header, &author, id);
                    submission.added.push_str(&fields);
                    if !keys.is_empty() {
                        let mut signer = dkim::Signer::new(keys, submission.now);
                        signer.write(submission.added.as_bytes());
                        signer.write(&octets);
                        submission.signer = Some(signer);
                    }
                }
                self.spool.write(&octets)?;
            }
        }
        Ok(())
    }

    /// The message is whole.
    ///
    /// # Errors
    ///
    /// Why it is not taken.
    pub fn finish(mut self, context: &Context) -> Result<(Spool, Purpose), Refused> {
        if self.splitter.is_some() && self.refused.is_none() {
            // A message that is all header.
            self.end_of_header(context)?;
        }
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        Ok((self.spool, self.purpose))
    }
}

impl Submission {
    /// RFC 6409 §8.2: "The MSA MAY add a 'Date' field to the submitted message, if it lacks it"; §8.3: "The MSA SHOULD add or replace
    /// the 'Message-ID' field, if it lacks it".
    fn complete(&mut self, header: &Header<'_>) {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        if header.named("Date").next().is_none() {
            let _ = write!(self.added, "Date: {}\r\n", date(self.now));
        }
        if header.named("Message-ID").next().is_none() {
            let _ = write!(self.added, "Message-ID: <{}>\r\n", self.message_id);
        }
    }
}

/// A header without the fields that say what this server has found: only itself writes them.
fn without_forged(header: &Header<'_>, authserv_id: &str) -> Vec<u8> {
    // RFC 8601 §5: "any MTA conforming to this specification MUST delete any discovered instance of this header field that claims, by
    // virtue of its authentication service identifier, to have been added within its trust boundary".
    let results = claims(header, authserv_id);
    let mut forged: Vec<Field<'_>> = results.chain(header.named(Verdict::FIELD_NAME)).collect();
    forged.sort_by_key(Field::offset);
    let octets = header.octets();
    let (mut kept, mut from) = (Vec::with_capacity(octets.len()), 0);
    for field in forged {
        kept.extend_from_slice(octets.get(from..field.offset()).unwrap_or_default());
        from = field.offset() + field.raw().len();
    }
    kept.extend_from_slice(octets.get(from..).unwrap_or_default());
    kept
}

/// A moment as header fields write it, in UTC.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "years up to 9999 can be written, and what is later is 9999"
)]
pub fn date(unix_seconds: u64) -> DateTime {
    const LAST: u64 = 253_402_300_799;
    let seconds = i64::try_from(unix_seconds.min(LAST)).unwrap_or_default();
    DateTime::from_unix(seconds, Zone::Offset(0)).expect("a year up to 9999")
}
