//! Sealing (RFC 8617 §5.1): a message, its results and the verdict on its chain go in, an ARC set comes out.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use mail_syntax::Domain;
use mail_syntax::authentication_results::{self, AuthenticationResults};
use mail_syntax::folding::{FieldWriter, FoldError};
use mail_syntax::header::{Defect, Field, Header, HeaderError, Limits};
use mail_syntax::tag_list::TagList;

use super::seal::{ChainStatus, Seal};
use super::set::{Collected, FieldKind, MAX_SETS, SetFields, push_field};
use super::verdict::{Set, Verdict};
use crate::canonicalization::Canonicalization;
use crate::crypto::{Crypto, RING};
use crate::message_to_sign::{MessageToSign, Unsignable};
use crate::signature::{self, Algorithm, FieldNames, Kind, Signature, SignatureError};
use crate::signer::{NameList, SignedFields};
use crate::signing_input::{BodyHasher, Digest, FieldsByName, push_signature_field};
use crate::signing_key::{SigningKey, SigningKeyError};

/// How a message is sealed.
///
/// There is no body length in it, and no expiration: a chain that fails because time went by cannot be told from a forged one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sealing {
    /// The domain that vouches for the set, `d=`: that of the forwarder, not of the author.
    pub domain: Domain,
    /// The selector, `s=`: the key record stands at `SELECTOR._domainkey.DOMAIN`, as for DKIM.
    pub selector: Domain,
    /// The key.
    pub key: Arc<dyn SigningKey>,
    /// How the message signature canonicalizes the header. Default: relaxed. The seal is always relaxed.
    pub header_canonicalization: Canonicalization,
    /// How the message signature canonicalizes the body. Default: relaxed.
    pub body_canonicalization: Canonicalization,
    /// Which fields the message signature signs.
    pub fields: SealedFields,
}

impl Sealing {
    /// A set of this domain by this key, all else as by default.
    #[must_use]
    pub fn new(domain: Domain, selector: Domain, key: Arc<dyn SigningKey>) -> Self {
        Self {
            domain,
            selector,
            key,
            header_canonicalization: Canonicalization::Relaxed,
            body_canonicalization: Canonicalization::Relaxed,
            fields: SealedFields::default(),
        }
    }
}

/// Which fields the message signature signs. ARC fields and Authentication-Results are refused (RFC 8617 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealedFields {
    /// As a DKIM signature has them. Default: those of [`SignedFields`], and every DKIM-Signature. RFC 8617 §4.1.2: "the signature of
    /// the AMS header field SHOULD include any DKIM-Signature header fields already present in the message."
    Chosen(SignedFields),
    /// Exactly these names, in this order; `From` must be among them.
    Exactly(NameList),
}

impl Default for SealedFields {
    fn default() -> Self {
        let mut fields = SignedFields::default();
        fields.present.to_mut().push(signature::FIELD_NAME.into());
        Self::Chosen(fields)
    }
}

impl SealedFields {
    /// The names for `h=`.
    fn names(&self, header: &FieldsByName<'_>) -> Result<FieldNames, SealError> {
        // RFC 8617 §4.1.2: "Authentication-Results header fields MUST NOT be included in AMS signatures as they are likely to be
        // deleted by downstream ADMDs".
        let forbidden = |name: &str| {
            FieldKind::of(name).is_some() || name.eq_ignore_ascii_case("Authentication-Results")
        };
        let unfit = |name: &&str| !signature::is_field_name(name) || forbidden(name);
        let (one, other): (&[Cow<'_, str>], &[Cow<'_, str>]) = match self {
            Self::Chosen(fields) => (&fields.oversigned, &fields.present),
            Self::Exactly(names) => (names, &[]),
        };
        if let Some(name) = one.iter().chain(other).map(AsRef::as_ref).find(unfit) {
            return Err(SealError::FieldName { name: name.into() });
        }
        Ok(match self {
            Self::Chosen(fields) => fields.names(header, |_| {}),
            Self::Exactly(names) => names.iter().map(AsRef::as_ref).collect(),
        })
    }
}

/// Why a message is not sealed. It can be forwarded without.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The header goes past a limit.
    #[error("the message cannot be sealed: {0}")]
    Header(#[from] HeaderError),
    /// Readers would disagree about what the header says.
    #[error(
        "the message cannot be sealed: its header has a line that is no field, a NUL, or a CR or LF alone"
    )]
    Malformed {
        /// The first of it, if it was kept ([`Limits::defects`]).
        defect: Option<Defect>,
    },
    /// RFC 5322 §3.6 wants one From field, and readers of a message with several show one or the other.
    #[error("the message has {count} From fields, not one")]
    From {
        /// How many there are.
        count: usize,
    },
    /// The chain is another one than the verdict is about: ARC fields were added, changed or removed after the message was validated.
    #[error("the chain of the message is not the one that was validated")]
    ChainChanged,
    /// A name in [`SealedFields`] is no name of a field, or one that must not be signed.
    #[error("{name:?} cannot be signed: it is no field name, or one that must not be signed")]
    FieldName {
        /// The name.
        name: Box<str>,
    },
    /// The key has an algorithm that signers must not use (RFC 8301 §3.1).
    #[error("{algorithm} must not be used to sign")]
    Algorithm {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// A name or a result does not fit into a line.
    #[error("the set cannot be written: {0}")]
    Fold(#[from] FoldError),
    /// What was written would not be read again.
    #[error("the set would not be accepted: {0}")]
    Signature(#[from] SignatureError),
}

impl From<Unsignable> for SealError {
    fn from(unsignable: Unsignable) -> Self {
        match unsignable {
            Unsignable::Header(error) => Self::Header(error),
            Unsignable::Malformed(defect) => Self::Malformed { defect },
            Unsignable::From(count) => Self::From { count },
        }
    }
}

/// The three fields of an ARC set, each folded and with its CRLF; prints as they are to stand before everything else in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArcSet {
    /// ARC-Seal.
    pub seal: String,
    /// ARC-Message-Signature.
    pub message_signature: String,
    /// ARC-Authentication-Results.
    pub results: String,
}

impl fmt::Display for ArcSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seal)?;
        f.write_str(&self.message_signature)?;
        f.write_str(&self.results)
    }
}

/// All results that one server wrote into a header, from the top, as one: for the ARC-Authentication-Results of that server.
///
/// The fields must be those that the server wrote itself: it has to strip what came in under its name (RFC 8601 §5,
/// [`authentication_results::strip`]).
#[must_use]
pub fn combined_results(header: &Header<'_>, authserv_id: &str) -> AuthenticationResults {
    // RFC 8617 §4.1.1: "the AAR MUST contain the combined authres-payload with all of the authentication results from within the
    // participating ADMD, regardless of how many Authentication-Results header fields are attached to the message."
    let mut combined = AuthenticationResults::new(authserv_id);
    for field in authentication_results::claims(header, authserv_id) {
        let Ok(results) = AuthenticationResults::parse(field.body()) else {
            continue;
        };
        for result in results.results() {
            combined.push(result.clone());
        }
    }
    combined
}

/// Makes the ARC set of one message in one pass.
///
/// Write the message as it will be sent, lines ending in CRLF, in any pieces; RFC 8617 §5.1: "All message modifications (including
/// adding a DKIM-Signature header field(s)) MUST be performed before sealing." Then finish. It holds the header, and of the body only a
/// hash.
#[derive(Debug)]
pub struct Sealer {
    sealing: Sealing,
    now: u64,
    message: MessageToSign,
}

impl Sealer {
    /// Begins to seal a message; `now` is the time in seconds of Unix time, for `t=`.
    #[must_use]
    pub fn new(sealing: Sealing, now: u64) -> Self {
        Self::with(sealing, now, &RING, Limits::default())
    }

    /// As [`Sealer::new`], with another cryptographic library for the hashes and other limits for the header.
    #[must_use]
    pub fn with(sealing: Sealing, now: u64, crypto: &'static dyn Crypto, limits: Limits) -> Self {
        let mut body = BodyHasher::default();
        body.add(crypto, sealing.body_canonicalization, None);
        Self {
            sealing,
            now,
            message: MessageToSign::new(limits, body),
        }
    }

    /// Takes octets of the message: first of its header, then of its body, cut anywhere.
    pub fn write(&mut self, octets: &[u8]) {
        self.message.write(octets);
    }

    /// Seals. `chain` is the verdict on the message as it arrived, `results` what authentication came to then, `arc` included.
    ///
    /// `None` if the chain takes no further set: it says itself that it failed before, or it has 50 sets.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn finish(
        self,
        chain: &Verdict,
        results: &AuthenticationResults,
    ) -> Result<Option<ArcSet>, SealError> {
        let key = Arc::clone(&self.sealing.key);
        let Some(message) = self.finish_unsigned(chain, results)? else {
            return Ok(None);
        };
        let octets = key.sign(message.octets())?;
        let seal = message.finish(&octets)?;
        let octets = key.sign(seal.octets())?;
        Ok(Some(seal.finish(&octets)?))
    }

    /// The set up to its signatures, for keys that take their time: elsewhere, or in another thread. There are two, one after the other.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn finish_unsigned(
        self,
        chain: &Verdict,
        results: &AuthenticationResults,
    ) -> Result<Option<UnsignedMessage>, SealError> {
        let message = self.message.finish()?;
        let (header, fields) = message.header()?;
        let algorithm = self.sealing.key.algorithm();
        // RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
        if algorithm == Algorithm::RsaSha1 {
            return Err(SealError::Algorithm { algorithm });
        }
        let Some(place) = attach(Collected::new(&header), chain)? else {
            return Ok(None);
        };
        let mut results = results.clone();
        results.set_instance(place.instance.into());
        let body = message.hashes.first().map(|body| body.hash);
        UnsignedMessage::new(
            &self.sealing,
            self.now,
            place,
            results.to_field()?,
            &fields,
            body.unwrap_or_default(),
        )
        .map(Some)
    }
}

/// Where a set stands in its chain.
#[derive(Clone, Debug)]
struct Place {
    instance: u8,
    /// `cv=` of its seal.
    status: ChainStatus,
    /// What its seal signs of the sets before it.
    seal_input: Vec<u8>,
}

/// The place of the next set; `None` if there is to be none.
fn attach(collected: Collected<'_>, chain: &Verdict) -> Result<Option<Place>, SealError> {
    // RFC 8617 §5.1: "If the message already contains an Authenticated Received Chain with the most recent AS reporting "cv=fail",
    // there is no need to proceed and the algorithm stops here."
    if collected.failed_before() || collected.has_more_than(MAX_SETS - 1) {
        return Ok(None);
    }
    // RFC 8617 §5.1: "the instance value is 1 more than the highest instance number found in the Authenticated Received Chain. If no
    // Authenticated Received Chain exists, the instance value is 1."
    let instance = collected.highest() + 1;
    if collected.is_empty() != (chain.status == ChainStatus::None) {
        return Err(SealError::ChainChanged);
    }
    let mut seal_input = Vec::new();
    // RFC 8617 §5.1.2: "In the case of a failed Authenticated Received Chain, the header fields included in the signature scope of the
    // AS header field b= value MUST only include the ARC Set header fields created by the MTA that detected the malformed chain, as if
    // this newest ARC Set was the only set present."
    if chain.status == ChainStatus::Pass {
        let sets = collected.structure().map_err(|_| SealError::ChainChanged)?;
        let same = |(set, validated): (&SetFields<'_>, &Set)| {
            Set {
                message_signature: validated.message_signature.clone(),
                ..Set::new(set)
            } == *validated
        };
        if sets.len() != chain.sets.len() || !sets.iter().zip(&chain.sets).all(same) {
            return Err(SealError::ChainChanged);
        }
        for set in &sets {
            set.push_evidence(&mut seal_input);
            set.push_seal(&mut seal_input);
        }
    }
    Ok(Some(Place {
        instance,
        status: chain.status,
        seal_input,
    }))
}

/// An ARC set that lacks both signatures; that of the message comes first.
#[derive(Clone, Debug)]
pub struct UnsignedMessage {
    field: FieldWriter,
    octets: Vec<u8>,
    results: String,
    place: Place,
    /// Both signatures are of the same domain, time and key.
    signature: Signature,
}

impl UnsignedMessage {
    fn new(
        sealing: &Sealing,
        now: u64,
        place: Place,
        results: String,
        fields: &FieldsByName<'_>,
        body_hash: Digest,
    ) -> Result<Self, SealError> {
        let signature = Signature {
            algorithm: sealing.key.algorithm(),
            header_canonicalization: sealing.header_canonicalization,
            body_canonicalization: sealing.body_canonicalization,
            domain: sealing.domain.clone(),
            selector: sealing.selector.clone(),
            identity: None,
            signed_fields: sealing.fields.names(fields)?,
            body_length: None,
            timestamp: Some(now),
            expiration: None,
            copied_fields: Vec::new(),
            body_hash,
            octets: Vec::new(),
        };
        let mut field = FieldWriter::new(FieldKind::MessageSignature.name())?;
        field.word(&format!("i={};", place.instance));
        signature.write_tags(&mut field);
        let kind = sealing.header_canonicalization;
        let mut octets = Vec::with_capacity(fields.octets() + 1024);
        fields.select(kind, &signature.signed_fields, None, &mut octets);
        push_unsigned(&field, Kind::ArcMessageSignature, kind, &mut octets)?;
        Ok(Self {
            field,
            octets,
            results,
            place,
            signature,
        })
    }

    /// The octets to sign for ARC-Message-Signature, not hashed, as [`UnsignedField::octets`](crate::UnsignedField::octets).
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Adds the signature of the message; that of the set is still missing.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn finish(self, signature: &[u8]) -> Result<UnsignedSeal, SealError> {
        let message_signature = signature::finish_field(self.field, signature)?;
        let field = Seal::unsigned_field(&self.signature, self.place.instance, self.place.status)?;
        let mut octets = self.place.seal_input;
        // RFC 8617 §5.1.1: "Within an ARC Set, header fields are supplied to the hash function in the following order: 1.
        // ARC-Authentication-Results 2. ARC-Message-Signature 3. ARC-Seal".
        push_field(&read(&self.results)?, &mut octets);
        push_field(&read(&message_signature)?, &mut octets);
        let kind = Canonicalization::Relaxed;
        push_unsigned(&field, Kind::ArcSeal, kind, &mut octets)?;
        Ok(UnsignedSeal {
            field,
            octets,
            message_signature,
            results: self.results,
        })
    }
}

/// An ARC set that lacks the signature of its seal.
#[derive(Clone, Debug)]
pub struct UnsignedSeal {
    field: FieldWriter,
    octets: Vec<u8>,
    message_signature: String,
    results: String,
}

impl UnsignedSeal {
    /// The octets to sign for ARC-Seal, not hashed, as [`UnsignedField::octets`](crate::UnsignedField::octets).
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Adds the signature, and gives the set.
    ///
    /// # Errors
    /// [`SealError::Fold`].
    pub fn finish(self, signature: &[u8]) -> Result<ArcSet, SealError> {
        Ok(ArcSet {
            seal: signature::finish_field(self.field, signature)?,
            message_signature: self.message_signature,
            results: self.results,
        })
    }
}

/// Adds a field that lacks its signature, as the signature signs it.
fn push_unsigned(
    field: &FieldWriter,
    kind: Kind,
    canonicalization: Canonicalization,
    octets: &mut Vec<u8>,
) -> Result<(), SealError> {
    let text = signature::finish_field(field.clone(), &[0])?;
    let field = read(&text)?;
    let list = TagList::parse(field.body()).map_err(SignatureError::from)?;
    let (_, b) = Signature::from_tags(&list, kind)?;
    push_signature_field(canonicalization, &field, b, octets);
    Ok(())
}

fn read(text: &str) -> Result<Field<'_>, SealError> {
    Field::parse(text.as_bytes()).ok_or(SealError::Signature(SignatureError::FieldName))
}
