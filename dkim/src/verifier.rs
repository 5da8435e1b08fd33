//! Verifying (RFC 6376 §6): a message and the answers of the DNS go in, verdicts come out.

use core::ops::Range;
use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use mail_dns::{Answer, Dnssec, Evaluation, Need, Question, Record, RecordType};
use mail_syntax::Domain;
use mail_syntax::header::{
    self, Defect, Field, Header, HeaderError, HeaderIndex, HeaderSplitter, LineEnd, Split,
};
use mail_syntax::tag_list::TagList;

use crate::crypto::{Crypto, RING};
use crate::key_record::{KeyRecord, Leniency};
use crate::public_key::PublicKey;
use crate::signature::{Algorithm, FIELD_NAME, Signature, is_at_or_below};
use crate::signing_input::{BodyHash, BodyHasher, FieldsByName, push_signature_field};
use crate::verdict::{Cause, SignatureVerdict, Verdict};

/// What verifying one message may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Signatures that are verified; further ones are neutral, first those of domains that the From field does not show. Default: 10.
    /// RFC 6376 §6.1: "A Verifier MAY limit the number of signatures it tries". Costs: a copy of the header and a verification each.
    pub signatures: usize,
    /// Keys that are asked for; signatures that need further ones are neutral. Default: 10. Costs: a query each.
    pub keys: usize,
    /// Key records of one name that are tried, the first in the order of their octets. Default: 4. Costs: a verification each.
    pub records: usize,
    /// Octets of a key record. Default: 8192; a key of 4096 bits has about 750. Costs: the time to decode it.
    pub key_record: usize,
    /// Limits of the header block.
    pub header: header::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signatures: 10,
            keys: 10,
            records: 4,
            key_record: 8192,
            header: header::Limits::default(),
        }
    }
}

/// What becomes of a signature whose `l=` leaves octets of the body unsigned (RFC 6376 §8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsignedContent {
    /// It is neutral: whoever added the octets may have changed all that a reader sees.
    #[default]
    Neutral,
    /// It passes; [`SignatureVerdict::unsigned_octets`] tells.
    Accept,
}

/// What becomes of signatures by rsa-sha1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RsaSha1 {
    /// They are permanent errors. RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
    #[default]
    Refuse,
    /// They are verified, for archives of old mail. Whoever can make two texts of one SHA-1 hash can move a signature to another text.
    Accept,
}

/// How to verify.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What becomes of signatures by rsa-sha1. Default: refused (RFC 8301 §3.1).
    pub rsa_sha1: RsaSha1,
    /// What becomes of signatures that leave octets unsigned. Default: neutral.
    pub unsigned_content: UnsignedContent,
    /// How long after `x=` a signature is still good. Default: 5 minutes, for clocks that differ (RFC 6376 §3.5).
    pub clock_skew: Duration,
    /// Key records that a standard refuses and that are taken all the same. Default: none.
    pub leniency: Leniency,
    /// What it may cost.
    pub limits: Limits,
    /// The cryptographic library. Default: ring.
    pub crypto: &'static dyn Crypto,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rsa_sha1: RsaSha1::Refuse,
            unsigned_content: UnsignedContent::Neutral,
            clock_skew: Duration::from_secs(5 * 60),
            leniency: Leniency::default(),
            limits: Limits::default(),
            crypto: &RING,
        }
    }
}

/// Verifies the signatures of one message in one pass.
///
/// Write the message as it came, lines ending in CRLF and dots no longer stuffed, in any pieces, and finish at its end. The keys can be asked for as soon as the
/// header is complete, while the body still comes in. It holds for each signature the octets that it signs, and of the body only
/// hashes.
#[derive(Debug)]
pub struct Verifier {
    options: Options,
    now: u64,
    splitter: HeaderSplitter,
    header: Vec<u8>,
    in_body: bool,
    header_error: Option<HeaderError>,
    signatures: Vec<Verification>,
    keys: Vec<Key>,
    body: BodyHasher,
    /// The hashes, once the body has ended.
    hashes: Option<Vec<BodyHash>>,
}

/// A key to ask for, or its answer to come.
#[derive(Debug)]
struct Key {
    question: Question,
    asked: bool,
    answered: bool,
}

/// One signature on its way to its verdict; what the verdict says already, without its cause.
#[derive(Debug)]
struct Verification {
    verdict: SignatureVerdict,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The verdict has its cause.
    Settled,
    /// It needs a key.
    NeedsKey {
        key: usize,
        hash: usize,
        input: Vec<u8>,
    },
    /// The key and the signature are good, or there is a mismatch; all but the body is settled.
    NeedsBody { hash: usize, matches: bool },
}

/// The octets of a complete header and what was found in them, or why it is none.
pub(crate) type Found<'a> = Result<(&'a [u8], HeaderIndex), HeaderError>;

/// It, for who only reads.
pub(crate) fn shown<'a>(found: &'a Found<'_>) -> Result<Header<'a>, &'a HeaderError> {
    let (octets, index) = found.as_ref()?;
    Ok(Header::new(octets, index))
}

impl Verifier {
    /// Begins to verify a message; `now` is the time at which it was received, in seconds of Unix time, for `x=`.
    #[must_use]
    pub fn new(now: u64, options: Options) -> Self {
        Self {
            splitter: HeaderSplitter::new(options.limits.header.clone(), LineEnd::Crlf),
            options,
            now,
            header: Vec::new(),
            in_body: false,
            header_error: None,
            signatures: Vec::new(),
            keys: Vec::new(),
            body: BodyHasher::default(),
            hashes: None,
        }
    }

    /// Takes octets of the message: first of its header, then of its body, cut anywhere.
    pub fn write(&mut self, octets: &[u8]) {
        self.write_with(octets, |_| {});
    }

    /// Ends the message.
    pub fn finish(&mut self) {
        self.finish_with(|_| {});
    }

    /// As [`Verifier::write`], for who reads the header too: `header` gets it once, when it is complete or when it is found to be none.
    pub fn write_with(
        &mut self,
        octets: &[u8],
        header: impl FnOnce(Result<Header<'_>, &HeaderError>),
    ) {
        self.write_beside(octets, |found, _| header(shown(&found)));
    }

    /// As [`Verifier::finish`], after [`Verifier::write_with`]: a message may end within its header.
    pub fn finish_with(&mut self, header: impl FnOnce(Result<Header<'_>, &HeaderError>)) {
        self.finish_beside(|found, _| header(shown(&found)));
    }

    /// As [`Verifier::write`]. When the header is complete `other` gets it, and adds the hashes of the body that it needs.
    pub(crate) fn write_beside(
        &mut self,
        octets: &[u8],
        other: impl FnOnce(Found<'_>, &mut BodyHasher),
    ) {
        if self.in_body {
            return self.body.update(octets);
        }
        match self.splitter.push(octets) {
            Ok(Split::NeedInput) => self.header.extend_from_slice(octets),
            Ok(Split::Complete { taken }) => {
                let (header, body) = octets.split_at(taken.min(octets.len()));
                self.end_header(header, other);
                self.body.update(body);
            }
            Err(error) => {
                self.header_error = Some(error.clone());
                self.header = Vec::new();
                self.in_body = true;
                other(Err(error), &mut self.body);
            }
        }
    }

    /// As [`Verifier::finish`], for a header that ends here; gives the hashes.
    pub(crate) fn finish_beside(
        &mut self,
        other: impl FnOnce(Found<'_>, &mut BodyHasher),
    ) -> &[BodyHash] {
        if !self.in_body {
            self.end_header(&[], other);
        }
        let body = &mut self.body;
        (self.hashes).get_or_insert_with(|| core::mem::take(body).finish())
    }

    /// Reads the signatures, and finds what must be asked for; `other` gets the header. `rest` is what is behind the octets of the header
    /// that are held.
    fn end_header(&mut self, rest: &[u8], other: impl FnOnce(Found<'_>, &mut BodyHasher)) {
        self.in_body = true;
        let mut held = core::mem::take(&mut self.header);
        let octets = if held.is_empty() {
            rest
        } else {
            held.extend_from_slice(rest);
            &held
        };
        let index = core::mem::take(&mut self.splitter).finish();
        let header = Header::new(octets, &index);
        let fields = FieldsByName::new(&header);
        let signature_fields = fields.named(FIELD_NAME);
        let limit = self.options.limits.signatures;
        let all_fit = signature_fields.len() <= limit;
        self.signatures.reserve_exact(signature_fields.len());
        let mut open = Vec::new();
        for field in signature_fields {
            let mut verification = Verification::new(&field);
            match self.begin(&mut verification.verdict, &field, &index) {
                Ok((signature, b)) if all_fit => {
                    verification.go_on(self.prepare(&signature, &field, b, &fields));
                }
                Ok((signature, b)) => open.push((self.signatures.len(), field, signature, b)),
                Err(cause) => verification.settle(cause),
            }
            self.signatures.push(verification);
        }
        // RFC 6376 §6.1: "The order in which Verifiers try DKIM-Signature header fields is not defined".
        if open.len() > limit {
            let shown = shown_domains(&header);
            open.sort_by_cached_key(|(_, _, signature, _)| {
                !is_any_related(signature.domain(), &shown)
            });
        }
        for (at, (number, field, signature, b)) in open.into_iter().enumerate() {
            let outcome = if at < limit {
                self.prepare(&signature, &field, b, &fields)
            } else {
                Err(Cause::TooManySignatures)
            };
            if let Some(verification) = self.signatures.get_mut(number) {
                verification.go_on(outcome);
            }
        }
        other(Ok((octets, index)), &mut self.body);
    }

    /// Reads one signature (RFC 6376 §6.1.1); gives it and where its `b=` stands if it is to be verified.
    fn begin(
        &self,
        verdict: &mut SignatureVerdict,
        field: &Field<'_>,
        index: &HeaderIndex,
    ) -> Result<(Arc<Signature>, Range<usize>), Cause> {
        let (signature, b) =
            Signature::parse_with_range(field).inspect_err(|_| verdict.read_leniently(field))?;
        let signature = Arc::new(signature);
        verdict.domain = Some(signature.domain().clone());
        verdict.selector = Some(signature.selector().clone());
        verdict.algorithm = Some(signature.algorithm());
        verdict.signature = Some(Arc::clone(&signature));
        match self.refuse(&signature, index) {
            Some(cause) => Err(cause),
            None => Ok((signature, b)),
        }
    }

    /// Why a well-formed signature need not be verified.
    fn refuse(&self, signature: &Signature, index: &HeaderIndex) -> Option<Cause> {
        if index.is_malformed() {
            let defect = index.defects().iter().copied().find(Defect::is_malformed);
            return Some(Cause::MalformedHeader { defect });
        }
        // RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
        if signature.algorithm() == Algorithm::RsaSha1 && self.options.rsa_sha1 == RsaSha1::Refuse {
            return Some(Cause::Sha1);
        }
        // RFC 6376 §6.1.1: "Verifiers MAY ignore the DKIM-Signature header field and return PERMFAIL (signature expired) if it
        // contains an "x=" tag and the signature has expired."
        let skew = self.options.clock_skew.as_secs();
        let expired = |expiration: u64| self.now > expiration.saturating_add(skew);
        signature
            .expiration()
            .is_some_and(expired)
            .then_some(Cause::Expired)
    }

    /// Finds which key, body hash and octets a signature needs.
    fn prepare(
        &mut self,
        signature: &Signature,
        field: &Field<'_>,
        b: Range<usize>,
        fields: &FieldsByName<'_>,
    ) -> Result<State, Cause> {
        let question = Question::new(signature.key_name()?, RecordType::Txt);
        let key = match self.keys.iter().position(|key| key.question == question) {
            Some(key) => key,
            None if self.keys.len() >= self.options.limits.keys => return Err(Cause::TooManyKeys),
            None => {
                self.keys.push(Key {
                    question,
                    asked: false,
                    answered: false,
                });
                self.keys.len() - 1
            }
        };
        let (kind, length) = (signature.body_canonicalization, signature.body_length);
        let algorithm = signature.algorithm;
        let hash = (self.body).add_by(algorithm, self.options.crypto, kind, length);
        let kind = signature.header_canonicalization;
        // The value of b= is not signed.
        let mut input = Vec::with_capacity(fields.octets().saturating_sub(b.len()));
        fields.select(
            kind,
            &signature.signed_fields,
            Some(field.offset()),
            &mut input,
        );
        push_signature_field(kind, field, b, &mut input);
        Ok(State::NeedsKey { key, hash, input })
    }

    fn verdict(&self, hashes: &[BodyHash]) -> Verdict {
        let finish = |verification: &Verification| verification.finish(hashes, &self.options);
        Verdict {
            signatures: self.signatures.iter().map(finish).collect(),
            header_error: self.header_error.clone(),
        }
    }
}

impl Evaluation for Verifier {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        if let Some(key) = self.keys.iter_mut().find(|key| !key.asked) {
            key.asked = true;
            return Need::Lookup(key.question.clone());
        }
        match &self.hashes {
            Some(hashes) if self.keys.iter().all(|key| key.answered) => {
                Need::Done(self.verdict(hashes))
            }
            _ => Need::Wait,
        }
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        let mut keys = self.keys.iter_mut().enumerate();
        let open =
            |(_, key): &(usize, &mut Key)| key.asked && !key.answered && key.question == *question;
        let Some((number, key)) = keys.find(open) else {
            return;
        };
        key.answered = true;
        for verification in &mut self.signatures {
            verification.answer(number, answer, &self.options);
        }
    }
}

impl Verification {
    fn new(field: &Field<'_>) -> Self {
        let cause = Cause::NoKey;
        Self {
            verdict: SignatureVerdict {
                result: cause.result(),
                cause,
                domain: None,
                selector: None,
                algorithm: None,
                signature: None,
                key_bits: None,
                weak_key: false,
                testing: false,
                unsigned_octets: 0,
                dnssec: Dnssec::Unknown,
                offset: field.offset(),
            },
            state: State::Settled,
        }
    }

    fn settle(&mut self, cause: Cause) {
        self.verdict.result = cause.result();
        self.verdict.cause = cause;
        self.state = State::Settled;
    }

    fn go_on(&mut self, outcome: Result<State, Cause>) {
        match outcome {
            Ok(state) => self.state = state,
            Err(cause) => self.settle(cause),
        }
    }

    /// Takes the key, and verifies the signature by it (RFC 6376 §6.1.2, §6.1.3 step 4).
    fn answer(&mut self, number: usize, answer: &Answer, options: &Options) {
        let State::NeedsKey { key, hash, input } = &self.state else {
            return;
        };
        if *key != number {
            return;
        }
        let (hash, Some(signature)) = (*hash, &self.verdict.signature) else {
            return;
        };
        let outcome = verify_by(answer, signature, input, options);
        self.verdict.dnssec = answer.dnssec;
        match outcome {
            Err(cause) => self.settle(cause),
            Ok((record, outcome)) => {
                self.verdict.testing = record.testing;
                if let Some(PublicKey::Rsa(key)) = &record.public_key {
                    self.verdict.key_bits = Some(key.bits());
                    self.verdict.weak_key = key.is_weak();
                }
                match outcome {
                    Ok(()) => {
                        self.state = State::NeedsBody {
                            hash,
                            matches: true,
                        }
                    }
                    Err(Cause::Mismatch) => {
                        self.state = State::NeedsBody {
                            hash,
                            matches: false,
                        }
                    }
                    Err(cause) => self.settle(cause),
                }
            }
        }
    }

    /// Adds what the body says, in the order of RFC 6376 §6.1.3.
    fn finish(&self, hashes: &[BodyHash], options: &Options) -> SignatureVerdict {
        let mut verdict = self.verdict.clone();
        let State::NeedsBody { hash, matches } = self.state else {
            return verdict;
        };
        let (Some(body), Some(signature)) = (hashes.get(hash), &self.verdict.signature) else {
            return verdict;
        };
        verdict.unsigned_octets = body.unsigned;
        verdict.cause = judge(signature, body, matches, options);
        verdict.result = verdict.cause.result();
        verdict
    }
}

/// What a body and the comparison of a signature come to, in the order of RFC 6376 §6.1.3.
pub(crate) fn judge(
    signature: &Signature,
    body: &BodyHash,
    matches: bool,
    options: &Options,
) -> Cause {
    if signature
        .body_length
        .is_some_and(|length| length > body.hashed)
    {
        // RFC 6376 §3.5: "This value MUST NOT be larger than the actual number of octets in the canonicalized message body."
        Cause::BodyTooShort {
            octets: body.hashed,
        }
    } else if *signature.body_hash() != *body.hash {
        Cause::BodyHash
    } else if !matches {
        Cause::Mismatch
    } else if body.unsigned > 0 && options.unsigned_content == UnsignedContent::Neutral {
        Cause::UnsignedContent {
            octets: body.unsigned,
        }
    } else {
        Cause::Verified
    }
}

impl SignatureVerdict {
    /// Takes out of a malformed signature what tells whose it is.
    fn read_leniently(&mut self, field: &Field<'_>) {
        if let Ok(list) = TagList::parse(field.body()) {
            let name = |tag| {
                list.value(tag)
                    .and_then(|text| Domain::parse_utf8(text).ok())
            };
            self.domain = name("d");
            self.selector = name("s");
            self.algorithm = list.value("a").and_then(|text| text.parse().ok());
        }
    }
}

/// Verifies by the key records of an answer: the record that goes furthest, and how far.
pub(crate) fn verify_by(
    answer: &Answer,
    signature: &Signature,
    input: &[u8],
    options: &Options,
) -> Result<(KeyRecord, Result<(), Cause>), Cause> {
    let mut first_error = None;
    let texts = key_texts(answer)?;
    let records = (texts.iter())
        .filter_map(|text| {
            key_record(text, options)
                .map_err(|cause| _ = first_error.get_or_insert(cause))
                .ok()
        })
        .take(options.limits.records);
    let furthest = first_or_furthest(records.map(|record| {
        let outcome = check(&record, signature, input, options.crypto);
        (record, outcome)
    }));
    furthest.ok_or_else(|| first_error.unwrap_or(Cause::NoKey))
}

/// The texts of an answer in the order of their octets, so that the order of the response changes nothing.
pub(crate) fn key_texts(answer: &Answer) -> Result<Vec<Cow<'_, [u8]>>, Cause> {
    let records = answer.outcome().map_err(Cause::KeyUnavailable)?;
    let mut texts = Vec::with_capacity(records.len());
    texts.extend(records.iter().filter_map(|record| match record {
        // RFC 6376 §3.6.2.2: "Strings in a TXT RR MUST be concatenated together before use with no intervening whitespace."
        Record::Txt(text) => Some(text.joined()),
        _ => None,
    }));
    texts.sort_unstable();
    Ok(texts)
}

/// The key record that a text is.
pub(crate) fn key_record(text: &[u8], options: &Options) -> Result<KeyRecord, Cause> {
    let octets = text.len();
    if octets > options.limits.key_record {
        return Err(Cause::KeyRecordTooLong { octets });
    }
    KeyRecord::parse_with(text, &options.leniency).map_err(Cause::KeyRecord)
}

/// RFC 6376 §6.1.2, steps 6 to 8, and §6.1.3, step 4, for one key record.
pub(crate) fn check(
    record: &KeyRecord,
    signature: &Signature,
    input: &[u8],
    crypto: &dyn Crypto,
) -> Result<(), Cause> {
    if !record.allows_hash_of(signature.algorithm()) {
        return Err(Cause::HashNotAllowed);
    }
    let key = record.public_key.as_ref().ok_or(Cause::KeyRevoked)?;
    // RFC 6376 §3.6.1: "Verifiers for a given service type MUST ignore this record if the appropriate type is not listed."
    if !record.allows_email() {
        return Err(Cause::ServiceNotAllowed);
    }
    // RFC 6376 §3.6.1: "Any DKIM-Signature header fields using the "i=" tag MUST have the same domain value on the right-hand side
    // of the "@" in the "i=" tag and the value of the "d=" tag."
    if let Some(identity) = signature.identity()
        && record.strict
        && !is_at_or_below(signature.domain(), &identity.domain)
    {
        return Err(Cause::IdentityBelowDomain);
    }
    let matches = match (key, signature.algorithm()) {
        (PublicKey::Rsa(key), Algorithm::RsaSha256) => {
            crypto.verify_rsa_sha256(key, input, signature.octets())
        }
        // Who refuses rsa-sha1 does so before there is a key.
        (PublicKey::Rsa(key), Algorithm::RsaSha1) => {
            crypto.verify_rsa_sha1(key, input, signature.octets())
        }
        // RFC 8463 §3: "It signs the hash with the PureEdDSA variant Ed25519".
        (PublicKey::Ed25519(key), Algorithm::Ed25519Sha256) => {
            crypto.verify_ed25519(key, &crypto.sha256_of(input), signature.octets())
        }
        _ => return Err(Cause::KeyAlgorithm),
    };
    if matches {
        Ok(())
    } else {
        Err(Cause::Mismatch)
    }
}

/// The first record by which the signature is good, else one by which it was compared, else the first.
fn first_or_furthest(
    tried: impl Iterator<Item = (KeyRecord, Result<(), Cause>)>,
) -> Option<(KeyRecord, Result<(), Cause>)> {
    let mut furthest: Option<(KeyRecord, Result<(), Cause>)> = None;
    for (record, outcome) in tried {
        let rank = |outcome: &Result<(), Cause>| match outcome {
            Ok(()) => 2,
            Err(Cause::Mismatch) => 1,
            Err(_) => 0,
        };
        let new = rank(&outcome);
        if (furthest.as_ref()).is_none_or(|(_, outcome)| new > rank(outcome)) {
            furthest = Some((record, outcome));
        }
        if new == 2 {
            break;
        }
    }
    furthest
}

/// Domains that the From fields may show; good enough to choose whose signatures to try first, and for nothing else.
fn shown_domains(header: &Header<'_>) -> Vec<Domain> {
    const MOST: usize = 10;
    let part_of_domain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "-._".contains(c);
    let mut domains = Vec::new();
    for field in header.named("From") {
        let text = String::from_utf8_lossy(field.body());
        let behind_at = text.split('@').skip(1);
        domains.extend(
            behind_at
                .filter_map(|text| {
                    let end = text.find(|c| !part_of_domain(c)).unwrap_or(text.len());
                    Domain::parse_utf8(text.get(..end)?).ok()
                })
                .take(MOST),
        );
    }
    domains.truncate(MOST);
    domains
}

fn is_any_related(domain: &Domain, shown: &[Domain]) -> bool {
    (shown.iter()).any(|shown| is_at_or_below(domain, shown) || is_at_or_below(shown, domain))
}
