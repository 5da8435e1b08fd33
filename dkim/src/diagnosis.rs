//! What was changed: for a signature that fails, which part of the message it was, and which change when undone makes it verify.
//!
//! This is for people who look into one message, and for tools that help them; a server that receives mail needs
//! [`Verifier`] alone. Other than that it holds the whole message, body included, and it works far longer: it guesses
//! what list servers, gateways and disks do to messages, takes it back, and looks whether the hash fits then. What it says was undone is
//! therefore proven; what it says was seen, a difference to `z=`, is not.

mod body;
mod changes;
mod header;

use core::fmt;
use std::borrow::Cow;

use mail_dns::{Answer, Evaluation, Need, Question, RecordType};
use mail_syntax::Domain;
use mail_syntax::header::{Header, HeaderError};

use crate::signature::Algorithm;
use crate::verdict::{Cause, DkimResult, SignatureVerdict, Verdict};
use crate::verifier::{self, Options, Verifier};

pub use changes::{Change, LineEnds};

/// What a diagnosis may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of the message. Default: 32 MiB. Costs: it is held several times.
    pub message: usize,
    /// Octets that guesses for one signature may read. Default: 512 MiB; a guess reads the body once, or the header, which counts 16
    /// times as it is taken apart anew. Costs: about a second for all of them.
    pub octets: usize,
    /// Guesses about the header for one signature. Default: 2000. Costs: a verification each, 20 to 100 microseconds.
    pub tries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 32 << 20,
            octets: 512 << 20,
            tries: 2000,
        }
    }
}

/// The message is longer than [`Limits::message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has {octets} octets, too many to be diagnosed: at most {limit}")]
pub struct MessageTooLong {
    /// How many it has.
    pub octets: usize,
    /// The limit.
    pub limit: usize,
}

/// Finds out why the signatures of one message fail.
///
/// ```
/// use dkim::diagnosis::{Diagnoser, Integrity, Limits};
/// use dkim::Options;
/// use mail_dns::{Zone, resolve_blocking};
/// # use std::sync::Arc;
/// # use dkim::{PrivateKey, Signer, Signing};
/// # let key = PrivateKey::from_ed25519_seed(&[7; 32])?;
/// # let zone = Zone::new().txt("a._domainkey.example.com", &key.key_record()?.to_string());
/// # let message = b"From: joe@example.com\r\nSubject: dinner\r\n\r\nIs it ready?\r\n";
/// # let mut signer = Signer::new([Signing::new("example.com".parse()?, "a".parse()?, Arc::new(key))], 1_700_000_000);
/// # signer.write(message);
/// # let signed = signer.finish()?.concat() + core::str::from_utf8(message)?;
///
/// let message = signed.replace("dinner", "[food] dinner") + "-- \r\nThe food list\r\n";
/// let diagnoser = Diagnoser::new(message.as_bytes(), 1_700_000_000, Options::default(), Limits::default())?;
/// let diagnosis = resolve_blocking(diagnoser, |question| zone.answer(question));
/// let [signature] = diagnosis.signatures.as_slice() else { panic!() };
/// assert_eq!((signature.body, signature.header), (Integrity::Undone, Integrity::Undone));
/// assert!(signature.to_string().ends_with(
///     "the signature verifies if the last 2 lines are dropped: a footer was added; \
///      and if \"[food] \" is taken from Subject: a prefix was added"
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Diagnoser<'m> {
    message: Cow<'m, [u8]>,
    /// The line ends of the header were mended before anything else.
    mended: bool,
    options: Options,
    limits: Limits,
    verifier: Verifier,
    answers: Vec<(Question, Answer)>,
}

/// What was found out about all signatures of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Diagnosis {
    /// One for each DKIM-Signature, from the top of the header.
    pub signatures: Vec<SignatureDiagnosis>,
    /// The header goes past a limit, so no signature was looked at.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_text"))]
    pub header_error: Option<HeaderError>,
}

/// What was found out about one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SignatureDiagnosis {
    /// The result of the message as it is.
    #[cfg_attr(feature = "serde", serde(serialize_with = "text"))]
    pub result: DkimResult,
    /// `d=`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_text"))]
    pub domain: Option<Domain>,
    /// `s=`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_text"))]
    pub selector: Option<Domain>,
    /// `a=`.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_text"))]
    pub algorithm: Option<Algorithm>,
    /// Why it has its result.
    #[cfg_attr(feature = "serde", serde(serialize_with = "text"))]
    pub cause: Cause,
    /// How the body is.
    pub body: Integrity,
    /// How the signed fields of the header are.
    pub header: Integrity,
    /// What was done to the message: in a part that is [`Integrity::Undone`] what was proven, else what was seen.
    pub changes: Vec<Change>,
}

/// How a part of a message is, compared with what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum Integrity {
    /// It is what was signed.
    Intact,
    /// It was changed, and the signature fits when the changes that are told are undone.
    Undone,
    /// It was changed in a way that was not found; of the header: or the key is not the one that signed.
    Changed,
    /// Nothing can be said: the signature cannot be read or has no key.
    Unknown,
}

impl<'m> Diagnoser<'m> {
    /// Begins with a message, lines ending in CRLF where nothing damaged them; `now` in seconds of Unix time, for `x=`.
    ///
    /// # Errors
    /// [`MessageTooLong`].
    pub fn new(
        message: &'m [u8],
        now: u64,
        options: Options,
        limits: Limits,
    ) -> Result<Self, MessageTooLong> {
        let (octets, limit) = (message.len(), limits.message);
        if octets > limit {
            return Err(MessageTooLong { octets, limit });
        }
        let mended = with_mended_header(message);
        let was_mended = mended.is_some();
        let message = mended.map_or(Cow::Borrowed(message), Cow::Owned);
        let mut verifier = Verifier::new(now, options.clone());
        verifier.write(&message);
        verifier.finish();
        Ok(Self {
            message,
            mended: was_mended,
            options,
            limits,
            verifier,
            answers: Vec::new(),
        })
    }

    fn diagnose(&self, verdict: &Verdict) -> Diagnosis {
        let split = Header::split(&self.message, &self.options.limits.header);
        let mut signatures = Vec::new();
        for signature in &verdict.signatures {
            let mut diagnosis = SignatureDiagnosis::new(signature);
            if let Ok((header, body)) = &split {
                self.search(&mut diagnosis, signature, header, body);
            }
            if self.mended {
                diagnosis.cause = Cause::MalformedHeader { defect: None };
                diagnosis.result = diagnosis.cause.result();
                diagnosis.changes.insert(0, Change::HeaderLineEnds);
                if diagnosis.header == Integrity::Intact {
                    diagnosis.header = Integrity::Undone;
                }
            }
            signatures.push(diagnosis);
        }
        Diagnosis {
            signatures,
            header_error: verdict.header_error.clone(),
        }
    }

    fn search(
        &self,
        diagnosis: &mut SignatureDiagnosis,
        verdict: &SignatureVerdict,
        header: &Header<'_>,
        body: &[u8],
    ) {
        let Some(signature) = &verdict.signature else {
            return;
        };
        if diagnosis.body == Integrity::Unknown {
            return;
        }
        let mut budget = Budget {
            octets: self.limits.octets,
            tries: self.limits.tries,
        };
        match body::undo(&self.message, body, signature, &mut budget) {
            Some(changes) => diagnosis.conclude_body(changes),
            None => {
                diagnosis.body = Integrity::Changed;
                if let (Some(signed), Cause::BodyTooShort { octets }) =
                    (signature.body_length(), &verdict.cause)
                {
                    let octets = *octets;
                    diagnosis
                        .changes
                        .push(Change::BodyShorter { signed, octets });
                } else if body.trim_ascii().is_empty() {
                    diagnosis.changes.push(Change::BodyLost);
                }
            }
        }
        let name = signature.key_name().ok();
        let question = name.map(|name| Question::new(name, RecordType::Txt));
        let answer = (self.answers.iter()).find(|(asked, _)| Some(asked) == question.as_ref());
        let texts = answer.and_then(|(_, answer)| verifier::key_texts(answer).ok());
        let records: Vec<_> = (texts.iter().flatten())
            .filter_map(|text| verifier::key_record(text, &self.options).ok())
            .take(self.options.limits.records)
            .collect();
        if records.is_empty() {
            return;
        }
        let verifies = |input: &[u8]| {
            let check = |record| verifier::check(record, signature, input, self.options.crypto);
            records.iter().any(|record| check(record).is_ok())
        };
        let (message, offset) = (&*self.message, verdict.offset);
        let search =
            header::Search::new(message, header, offset, signature, &verifies, &mut budget);
        diagnosis.conclude_header(search.run());
    }
}

impl Evaluation for Diagnoser<'_> {
    type Verdict = Diagnosis;

    fn poll(&mut self) -> Need<Diagnosis> {
        match self.verifier.poll() {
            Need::Lookup(question) => Need::Lookup(question),
            Need::Wait => Need::Wait,
            Need::Done(verdict) => Need::Done(self.diagnose(&verdict)),
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if !self.answers.iter().any(|(asked, _)| asked == question) {
            self.answers.push((question.clone(), answer.clone()));
        }
        self.verifier.answer(question, answer);
    }
}

impl SignatureDiagnosis {
    fn new(verdict: &SignatureVerdict) -> Self {
        // Only what the hashes tell says anything about the message.
        let judged = matches!(
            verdict.cause,
            Cause::Verified
                | Cause::BodyHash
                | Cause::Mismatch
                | Cause::BodyTooShort { .. }
                | Cause::UnsignedContent { .. }
        );
        let integrity = match judged {
            true => Integrity::Changed,
            false => Integrity::Unknown,
        };
        Self {
            result: verdict.result,
            domain: verdict.domain.clone(),
            selector: verdict.selector.clone(),
            algorithm: verdict.algorithm,
            cause: verdict.cause.clone(),
            body: integrity,
            header: integrity,
            changes: Vec::new(),
        }
    }

    fn conclude_body(&mut self, changes: Vec<Change>) {
        self.body = match changes.is_empty() {
            true => Integrity::Intact,
            false => Integrity::Undone,
        };
        self.changes.extend(changes);
    }

    fn conclude_header(&mut self, found: header::Found) {
        self.header = match &found.undone {
            None => Integrity::Changed,
            Some(changes) if changes.is_empty() => Integrity::Intact,
            Some(_) => Integrity::Undone,
        };
        self.changes.extend(found.undone.unwrap_or(found.seen));
    }

    /// Whether the changes explain all of it: with them undone the signature verifies.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let undone = [self.body, self.header];
        undone.contains(&Integrity::Undone)
            && (undone.iter()).all(|part| matches!(part, Integrity::Intact | Integrity::Undone))
    }
}

/// A line with the result, then what would make it a pass, or how each part is.
impl fmt::Display for SignatureDiagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.result)?;
        if let Some(domain) = &self.domain {
            write!(f, " d={domain}")?;
        }
        if let Some(selector) = &self.selector {
            write!(f, " s={selector}")?;
        }
        if let Some(algorithm) = &self.algorithm {
            write!(f, " a={algorithm}")?;
        }
        write!(f, ": {}", self.cause)?;
        if self.is_explained() {
            let undoings: Vec<String> = self.changes.iter().map(ToString::to_string).collect();
            return write!(
                f,
                "\n  the signature verifies if {}",
                undoings.join("; and if ")
            );
        }
        for (part, integrity, of_body) in
            [("body", self.body, true), ("header", self.header, false)]
        {
            match integrity {
                Integrity::Intact => write!(f, "\n  the {part} is as it was signed")?,
                Integrity::Undone => write!(f, "\n  the {part} was changed, and fits again")?,
                Integrity::Changed if of_body => {
                    f.write_str("\n  the body was changed, and no undoing was found")?;
                }
                Integrity::Changed => f.write_str(
                    "\n  the header was changed, and no undoing was found, or the key is not the one that signed",
                )?,
                Integrity::Unknown => {}
            }
            let changes = self
                .changes
                .iter()
                .filter(|change| change.is_of_body() == of_body);
            for change in changes {
                match integrity {
                    Integrity::Undone => write!(f, "\n    if {change}")?,
                    _ => write!(f, "\n    it would be right if {change}")?,
                }
            }
        }
        Ok(())
    }
}

impl Diagnosis {
    /// One result for all signatures, as [`Verdict::result`] has it.
    #[must_use]
    pub fn result(&self) -> DkimResult {
        let results = self.signatures.iter().map(|signature| signature.result);
        let header = self.header_error.iter().map(|_| DkimResult::PermError);
        DkimResult::best(results.chain(header))
    }
}

/// One diagnosis behind the other.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.header_error {
            return write!(f, "permerror: {error}");
        }
        if self.signatures.is_empty() {
            return f.write_str("none: no signature");
        }
        for (number, signature) in self.signatures.iter().enumerate() {
            let between = if number > 0 { "\n" } else { "" };
            write!(f, "{between}{signature}")?;
        }
        Ok(())
    }
}

/// What may still be spent on guesses.
struct Budget {
    octets: usize,
    tries: usize,
}

impl Budget {
    /// Whether so many octets may be read.
    fn spend(&mut self, octets: usize) -> bool {
        match self.octets.checked_sub(octets) {
            Some(left) => {
                self.octets = left;
                true
            }
            None => false,
        }
    }

    /// Whether a header of so many octets may be verified. It is split, searched and read for that, not only hashed.
    fn spend_try(&mut self, octets: usize) -> bool {
        const PASSES: usize = 16;
        match self.tries.checked_sub(1) {
            Some(left) if self.spend(octets.saturating_mul(PASSES)) => {
                self.tries = left;
                true
            }
            _ => false,
        }
    }
}

/// The message with all lines of its header ending in CRLF, if some did not.
fn with_mended_header(message: &[u8]) -> Option<Vec<u8>> {
    // The header ends at the first empty line, whatever its lines end in.
    let mut end = 0;
    let mut damaged = false;
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        end += line.len();
        let content = line.strip_suffix(b"\r\n");
        damaged |= content.is_none_or(|content| content.contains(&b'\r')) && line.ends_with(b"\n");
        if line.trim_ascii().is_empty() && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            break;
        }
    }
    let (header, body) = message.split_at_checked(end).filter(|_| damaged)?;
    let mut mended = Vec::with_capacity(message.len() + header.len() / 32);
    body::complete_line_ends(header, &mut mended);
    mended.extend_from_slice(body);
    Some(mended)
}

#[cfg(feature = "serde")]
fn text<T: fmt::Display, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[cfg(feature = "serde")]
fn optional_text<T: fmt::Display, S: serde::Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}
