//! The chain of one message between its header and its verdict (RFC 8617 §5.2): it has neither the body nor a clock.

use core::ops::Range;

use mail_dns::{Answer, Question, RecordType};
use mail_syntax::authentication_results::AuthenticationResults;
use mail_syntax::header::{Defect, Header, HeaderIndex};
use mail_syntax::tag_list::TagList;

use super::set::{Collected, SetFields};
use super::verdict::{Cause, Set, Verdict};
use crate::Cause as SignatureCause;
use crate::canonicalization::Canonicalization;
use crate::signature::{Algorithm, Kind, Signature, SignatureError};
use crate::signing_input::{BodyHash, BodyHasher, FieldsByName, push_signature_field};
use crate::verifier::{Found, Options, judge, verify_by};

/// A chain whose structure is known; its signatures are judged when keys and body hashes are there.
///
/// It holds the header of the message: what each signature signs is taken out of it one after another, never all at once.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// There is nothing left to judge.
    settled: Option<Cause>,
    header: Vec<u8>,
    index: HeaderIndex,
    /// What is told of each set, from the oldest to the newest.
    told: Vec<Set>,
    /// What is to be judged of each.
    links: Vec<Link>,
    keys: Vec<Key>,
}

/// A key to ask for, and its answer.
#[derive(Debug)]
struct Key {
    question: Question,
    asked: bool,
    answer: Option<Answer>,
}

/// One set.
#[derive(Debug)]
struct Link {
    /// The readings of its message signature; one of them must validate.
    message: Result<Vec<MessageSignature>, SignatureCause>,
    seal: Signature,
    seal_key: usize,
}

#[derive(Debug)]
struct MessageSignature {
    signature: Signature,
    /// Where in the body of the field the value of `b=` stands.
    b: Range<usize>,
    key: usize,
    hash: usize,
}

impl Chain {
    /// Steps 1 to 3 of RFC 8617 §5.2, and what the others need: the keys to ask for, and the hashes of the body.
    pub(super) fn of(
        header: Found<'_>,
        now: u64,
        options: &Options,
        body: &mut BodyHasher,
    ) -> Self {
        let (octets, index) = match header {
            Ok(header) => header,
            Err(error) => {
                return Self {
                    settled: Some(error.into()),
                    ..Self::default()
                };
            }
        };
        let mut chain = Self::default();
        let header = Header::new(octets, &index);
        let collected = Collected::new(&header);
        let outcome = if !collected.is_empty() && index.is_malformed() {
            let defect = index.defects().iter().copied().find(Defect::is_malformed);
            Err(Cause::MalformedHeader { defect })
        } else {
            (collected.structure()).and_then(|sets| chain.link(&sets, now, options, body))
        };
        match outcome {
            Ok(()) => {
                chain.header = octets.to_vec();
                chain.index = index;
            }
            Err(cause) => {
                chain.settled = Some(cause);
                chain.keys.clear();
            }
        }
        chain
    }

    /// Finds keys and hashes: for the seals and the newest message signature first, then for what is only told.
    fn link(
        &mut self,
        sets: &[SetFields<'_>],
        now: u64,
        options: &Options,
        body: &mut BodyHasher,
    ) -> Result<(), Cause> {
        self.told = sets.iter().map(Set::new).collect();
        for set in sets {
            let instance = set.instance;
            let seal = set.seal.signature.clone();
            let seal_key = refuse(&seal, now, options)
                .and_then(|()| self.key(&seal, options))
                .map_err(|cause| Cause::of_seal(instance, cause))?;
            self.links.push(Link {
                message: Err(SignatureCause::TooManyKeys),
                seal,
                seal_key,
            });
        }
        for (number, set) in sets.iter().enumerate().rev() {
            let message = self.readings(set, now, options, body);
            if let (Err(cause), true) = (&message, number + 1 == sets.len()) {
                return Err(Cause::of_message_signature(set.instance, cause.clone()));
            }
            if let Some(link) = self.links.get_mut(number) {
                link.message = message;
            }
        }
        Ok(())
    }

    fn readings(
        &mut self,
        set: &SetFields<'_>,
        now: u64,
        options: &Options,
        body: &mut BodyHasher,
    ) -> Result<Vec<MessageSignature>, SignatureCause> {
        let list = TagList::parse(set.message.body()).map_err(SignatureError::from)?;
        let (signature, b) = Signature::from_tags(&list, Kind::ArcMessageSignature)?;
        refuse(&signature, now, options)?;
        let key = self.key(&signature, options)?;
        let mut signatures = vec![signature.clone()];
        // Without c= it is simple/simple, as in DKIM (RFC 8617 §4.1.2). Sealers older than the RFC meant relaxed/relaxed.
        if list.tag("c").is_none() {
            signatures.push(Signature {
                header_canonicalization: Canonicalization::Relaxed,
                body_canonicalization: Canonicalization::Relaxed,
                ..signature
            });
        }
        let reading = |signature: Signature| {
            let (kind, length) = (signature.body_canonicalization, signature.body_length);
            let hash = body.add(options.crypto, kind, length);
            let b = b.clone();
            MessageSignature {
                signature,
                b,
                key,
                hash,
            }
        };
        Ok(signatures.into_iter().map(reading).collect())
    }

    /// The number of the key of this signature.
    fn key(&mut self, signature: &Signature, options: &Options) -> Result<usize, SignatureCause> {
        let question = Question::new(signature.key_name()?, RecordType::Txt);
        match self.keys.iter().position(|key| key.question == question) {
            Some(key) => Ok(key),
            None if self.keys.len() >= options.limits.keys => Err(SignatureCause::TooManyKeys),
            None => {
                self.keys.push(Key {
                    question,
                    asked: false,
                    answer: None,
                });
                Ok(self.keys.len() - 1)
            }
        }
    }

    /// The next key to ask for.
    pub(super) fn question(&mut self) -> Option<Question> {
        let key = self.keys.iter_mut().find(|key| !key.asked)?;
        key.asked = true;
        Some(key.question.clone())
    }

    /// Takes the answer to a question that was asked, once.
    pub(super) fn answer(&mut self, question: &Question, answer: &Answer) {
        let mut keys = self.keys.iter_mut();
        if let Some(key) = keys.find(|key| key.asked && key.question == *question) {
            key.answer.get_or_insert_with(|| answer.clone());
        }
    }

    /// Whether the body can change nothing.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Whether all keys have been answered.
    pub(super) fn has_all_keys(&self) -> bool {
        self.keys.iter().all(|key| key.answer.is_some())
    }

    /// Steps 4 to 7 of RFC 8617 §5.2.
    pub(super) fn verdict(&self, hashes: &[BodyHash], options: &Options) -> Verdict {
        let mut told = self.told.clone();
        if let Some(cause) = &self.settled {
            return Verdict::new(cause.clone(), told, None);
        }
        let header = Header::new(&self.header, &self.index);
        // What had a structure has it still.
        let sets = Collected::new(&header).structure().unwrap_or_default();
        let fields = FieldsByName::new(&header);
        let causes = self.message_causes(&sets, &fields, hashes, options);
        for (told, cause) in told.iter_mut().rev().zip(&causes) {
            told.message_signature = Some(cause.clone());
        }
        let mut oldest_pass = 0;
        let ended = sets.iter().rev().zip(&causes).next_back();
        if let Some((set, cause)) = ended.filter(|(_, cause)| **cause != SignatureCause::Verified) {
            // RFC 8617 §5.2: "Validate the AMS with the greatest instance value (most recent). If validation fails, then the Chain
            // Validation Status is "fail", and the algorithm stops here."
            if causes.len() == 1 {
                let cause = Cause::of_message_signature(set.instance, cause.clone());
                return Verdict::new(cause, told, None);
            }
            // RFC 8617 §5.2: "If an AMS fails to validate (for instance value "M"), then set the oldest-pass value to the lowest AMS
            // instance value that passed (M+1)".
            oldest_pass = set.instance + 1;
        }
        match self.failing_seal(&sets, options) {
            Some(cause) => Verdict::new(cause, told, None),
            None => Verdict::new(Cause::Validated, told, Some(oldest_pass)),
        }
    }

    /// What the message signatures come to, from the newest to the first that does not validate (RFC 8617 §5.2, steps 4 and 5).
    fn message_causes(
        &self,
        sets: &[SetFields<'_>],
        fields: &FieldsByName<'_>,
        hashes: &[BodyHash],
        options: &Options,
    ) -> Vec<SignatureCause> {
        let mut causes = Vec::new();
        for (link, set) in self.links.iter().zip(sets).rev() {
            let tried = link.message.as_ref().map(|readings| {
                let judge = |reading| self.message_cause(reading, set, fields, hashes, options);
                first_verified(readings.iter().map(judge))
            });
            causes.push(tried.unwrap_or_else(Clone::clone));
            if causes.last() != Some(&SignatureCause::Verified) {
                break;
            }
        }
        causes
    }

    fn message_cause(
        &self,
        message: &MessageSignature,
        set: &SetFields<'_>,
        fields: &FieldsByName<'_>,
        hashes: &[BodyHash],
        options: &Options,
    ) -> SignatureCause {
        let MessageSignature { signature, b, .. } = message;
        let Some(body) = hashes.get(message.hash) else {
            return SignatureCause::BodyHash;
        };
        // The body first: it costs no arithmetic.
        match judge(signature, body, true, options) {
            SignatureCause::Verified => {}
            cause => return cause,
        }
        let kind = signature.header_canonicalization;
        let own = Some(set.message.offset());
        let mut input = Vec::with_capacity(fields.octets());
        fields.select(kind, &signature.signed_fields, own, &mut input);
        push_signature_field(kind, &set.message, b.clone(), &mut input);
        self.compare(message.key, signature, &input, options)
    }

    /// RFC 8617 §5.2: "Validate each AS beginning with the greatest instance value and proceeding in decreasing order to the AS with
    /// the instance value of 1. If any AS fails to validate, the Chain Validation Status is "fail", and the algorithm stops here."
    fn failing_seal(&self, sets: &[SetFields<'_>], options: &Options) -> Option<Cause> {
        let mut input = Vec::new();
        let mut evidence_ends = Vec::new();
        for set in sets {
            set.push_evidence(&mut input);
            evidence_ends.push(input.len());
            set.push_seal(&mut input);
        }
        let links = self.links.iter().zip(sets).zip(evidence_ends).rev();
        for ((link, set), end) in links {
            // Older seals sign less of the same.
            input.truncate(end);
            let (kind, b) = (link.seal.header_canonicalization, set.seal.b.clone());
            push_signature_field(kind, &set.seal_field, b, &mut input);
            match self.compare(link.seal_key, &link.seal, &input, options) {
                SignatureCause::Verified => {}
                cause => return Some(Cause::of_seal(set.instance, cause)),
            }
        }
        None
    }

    fn compare(
        &self,
        key: usize,
        signature: &Signature,
        input: &[u8],
        options: &Options,
    ) -> SignatureCause {
        let Some(answer) = self.keys.get(key).and_then(|key| key.answer.as_ref()) else {
            return SignatureCause::NoKey;
        };
        match verify_by(answer, signature, input, options) {
            Ok((_, Ok(()))) => SignatureCause::Verified,
            Ok((_, Err(cause))) | Err(cause) => cause,
        }
    }
}

/// The first that verifies, else the first.
fn first_verified(mut causes: impl Iterator<Item = SignatureCause>) -> SignatureCause {
    let first = causes.next().unwrap_or(SignatureCause::NoKey);
    if first != SignatureCause::Verified && causes.any(|c| c == SignatureCause::Verified) {
        return SignatureCause::Verified;
    }
    first
}

/// Why a well-formed signature need not be verified.
fn refuse(signature: &Signature, now: u64, options: &Options) -> Result<(), SignatureCause> {
    // RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
    if signature.algorithm() == Algorithm::RsaSha1 {
        return Err(SignatureCause::Sha1);
    }
    let skew = options.clock_skew.as_secs();
    let expired = |expiration: u64| now > expiration.saturating_add(skew);
    if signature.expiration().is_some_and(expired) {
        return Err(SignatureCause::Expired);
    }
    Ok(())
}

impl Set {
    pub(super) fn new(set: &SetFields<'_>) -> Self {
        let seal = &set.seal.signature;
        Self {
            instance: set.instance,
            domain: seal.domain().clone(),
            selector: seal.selector().clone(),
            timestamp: seal.timestamp(),
            message_signature: None,
            results: AuthenticationResults::parse(set.results.body()).ok(),
        }
    }
}

impl Cause {
    fn of_message_signature(instance: u8, cause: SignatureCause) -> Self {
        match cause {
            SignatureCause::TooManyKeys => Self::TooManyKeys,
            cause => Self::MessageSignature { instance, cause },
        }
    }

    fn of_seal(instance: u8, cause: SignatureCause) -> Self {
        match cause {
            SignatureCause::TooManyKeys => Self::TooManyKeys,
            cause => Self::Seal { instance, cause },
        }
    }
}
