//! Signing (RFC 6376 §5): a message goes in, DKIM-Signature header fields come out.

use core::time::Duration;
use std::sync::Arc;

use mail_syntax::Domain;
use mail_syntax::folding::{FieldWriter, FoldError};
use mail_syntax::header::{
    Defect, Field, Header, HeaderError, HeaderSplitter, Limits, LineEnd, Split,
};

use crate::canonicalization::Canonicalization;
use crate::crypto::{Crypto, RING};
use crate::signature::{self, Algorithm, FIELD_NAME, Identity, Signature, SignatureError};
use crate::signing_input::{BodyHasher, Digest, FieldsByName, push_signature_field};
use crate::signing_key::{SigningKey, SigningKeyError};

/// What one signature is to be.
///
/// There is no body length in it: with `l=` anybody can add to a signed message (RFC 6376 §8.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Signing {
    /// The domain that takes responsibility, `d=`.
    pub domain: Domain,
    /// The selector, `s=`: the key record stands at `SELECTOR._domainkey.DOMAIN`.
    pub selector: Domain,
    /// The key.
    pub key: Arc<dyn SigningKey>,
    /// The user or agent, `i=`, of the domain or one below it. Default: none.
    pub identity: Option<Identity>,
    /// How the header is canonicalized. Default: relaxed, which survives refolding.
    pub header_canonicalization: Canonicalization,
    /// How the body is canonicalized. Default: relaxed, which survives changed white space.
    pub body_canonicalization: Canonicalization,
    /// Which fields are signed.
    pub fields: SignedFields,
    /// How long the signature is good, `x=`. Default: 7 days, longer than a queue keeps a message; `None` writes no `x=`.
    pub lifetime: Option<Duration>,
}

impl Signing {
    /// A signature of this domain by this key, all else as by default.
    #[must_use]
    pub fn new(domain: Domain, selector: Domain, key: Arc<dyn SigningKey>) -> Self {
        Self {
            domain,
            selector,
            key,
            identity: None,
            header_canonicalization: Canonicalization::Relaxed,
            body_canonicalization: Canonicalization::Relaxed,
            fields: SignedFields::default(),
            lifetime: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        }
    }
}

/// Which fields are signed. `From` always is, whether it is named or not, and once more than it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedFields {
    /// Fields that are named in `h=` once more than the message has them, so that none can be added (RFC 6376 §8.15). Default: From,
    /// To, Cc, Subject, Date, Reply-To, Message-ID, MIME-Version and the Content fields.
    pub oversigned: Vec<Box<str>>,
    /// Fields that are signed as often as the message has them. Default: Sender, In-Reply-To, References, the Resent and the List
    /// fields (RFC 6376 §5.4.1).
    pub present: Vec<Box<str>>,
}

impl Default for SignedFields {
    fn default() -> Self {
        let boxed = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
        Self {
            oversigned: boxed(&[
                "From",
                "To",
                "Cc",
                "Subject",
                "Date",
                "Reply-To",
                "Message-ID",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding",
                "Content-Disposition",
                "Content-ID",
                "Content-Description",
            ]),
            present: boxed(&[
                "Sender",
                "In-Reply-To",
                "References",
                "Resent-Date",
                "Resent-From",
                "Resent-Sender",
                "Resent-To",
                "Resent-Cc",
                "Resent-Message-ID",
                "List-Id",
                "List-Help",
                "List-Unsubscribe",
                "List-Unsubscribe-Post",
                "List-Subscribe",
                "List-Post",
                "List-Owner",
                "List-Archive",
            ]),
        }
    }
}

impl SignedFields {
    /// The names for `h=`.
    pub(crate) fn names(&self, header: &FieldsByName<'_>) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = Vec::new();
        let from = Box::from("From");
        let oversigned = [&from].into_iter().chain(&self.oversigned);
        let oversigned = oversigned.map(|name| (name, 1));
        let present = self.present.iter().map(|name| (name, 0));
        for (name, more) in oversigned.chain(present) {
            // A name that stands in the lists twice counts once.
            if !names.iter().any(|done| done.eq_ignore_ascii_case(name)) {
                let count = header.count(name) + more;
                names.extend(core::iter::repeat_n(name, count).cloned());
            }
        }
        names
    }
}

/// Why a message is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The header goes past a limit.
    #[error("the message cannot be signed: {0}")]
    Header(#[from] HeaderError),
    /// Readers would disagree about what the header says.
    #[error(
        "the message cannot be signed: its header has a line that is no field, a NUL, or a CR or LF alone"
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
    /// A name in [`SignedFields`] is no name of a field, or is `DKIM-Signature`.
    #[error("{name:?} cannot be signed: it is no field name, or one that must not be signed")]
    FieldName {
        /// The name.
        name: Box<str>,
    },
    /// The domain of the identity is neither that of the signature nor below it.
    #[error("the domain of the identity is neither that of the signature nor below it")]
    Identity,
    /// The key has an algorithm that signers must not use (RFC 8301 §3.1).
    #[error("{algorithm} must not be used to sign")]
    Algorithm {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// A name does not fit into a line.
    #[error("the signature cannot be written: {0}")]
    Fold(#[from] FoldError),
    /// What was written would not be read again.
    #[error("the signature would not be accepted: {0}")]
    Signature(#[from] SignatureError),
}

/// Makes the signatures of one message in one pass.
///
/// Write the message as it will be sent, lines ending in CRLF, in any pieces; then finish. It holds the header, and of the body only
/// hashes.
#[derive(Debug)]
pub struct Signer {
    signings: Vec<Signing>,
    now: u64,
    splitter: HeaderSplitter,
    header: Vec<u8>,
    in_body: bool,
    error: Option<HeaderError>,
    body: BodyHasher,
    /// The number of the body hash for each signing.
    hashes: Vec<usize>,
}

impl Signer {
    /// Begins to sign a message; `now` is the time in seconds of Unix time, for `t=` and `x=`.
    #[must_use]
    pub fn new(signings: impl IntoIterator<Item = Signing>, now: u64) -> Self {
        Self::with(signings, now, &RING, Limits::default())
    }

    /// As [`Signer::new`], with another cryptographic library for the hashes and other limits for the header.
    #[must_use]
    pub fn with(
        signings: impl IntoIterator<Item = Signing>,
        now: u64,
        crypto: &'static dyn Crypto,
        limits: Limits,
    ) -> Self {
        let signings: Vec<_> = signings.into_iter().collect();
        let mut body = BodyHasher::default();
        let hashes = signings
            .iter()
            .map(|signing| body.add(crypto, signing.body_canonicalization, None))
            .collect();
        Self {
            signings,
            now,
            splitter: HeaderSplitter::new(limits, LineEnd::Crlf),
            header: Vec::new(),
            in_body: false,
            error: None,
            body,
            hashes,
        }
    }

    /// Takes octets of the message: first of its header, then of its body, cut anywhere.
    pub fn write(&mut self, octets: &[u8]) {
        if self.in_body {
            return self.body.update(octets);
        }
        match self.splitter.push(octets) {
            Ok(Split::NeedInput) => self.header.extend_from_slice(octets),
            Ok(Split::Complete { taken }) => {
                let (header, body) = octets.split_at(taken.min(octets.len()));
                self.header.extend_from_slice(header);
                self.in_body = true;
                self.body.update(body);
            }
            // It is told by finish; the octets are not kept.
            Err(error) => self.error = Some(error),
        }
    }

    /// Signs, and gives the header fields in the order of the signings, each folded and with its CRLF. They are to stand before
    /// everything else in the message.
    ///
    /// # Errors
    /// [`SignError`]; then there is no signature at all.
    pub fn finish(self) -> Result<Vec<String>, SignError> {
        let keys: Vec<_> = (self.signings.iter())
            .map(|signing| Arc::clone(&signing.key))
            .collect();
        let unsigned = self.finish_unsigned()?;
        let sign = |(unsigned, key): (UnsignedField, Arc<dyn SigningKey>)| {
            let octets = key.sign(unsigned.octets())?;
            unsigned.finish(&octets)
        };
        unsigned.into_iter().zip(keys).map(sign).collect()
    }

    /// The fields up to their signatures, for keys that take their time: elsewhere, or in another thread.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn finish_unsigned(self) -> Result<Vec<UnsignedField>, SignError> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let index = self.splitter.finish();
        if index.is_malformed() {
            let defect = index.defects().iter().copied().find(Defect::is_malformed);
            return Err(SignError::Malformed { defect });
        }
        let header = Header::new(&self.header, &index);
        let fields = FieldsByName::new(&header);
        let count = fields.count("From");
        if count != 1 {
            return Err(SignError::From { count });
        }
        let bodies = self.body.finish();
        let unsigned = |(signing, number): (&Signing, &usize)| {
            let hash = bodies.get(*number).map(|body| body.hash);
            UnsignedField::new(signing, self.now, &fields, hash.unwrap_or_default())
        };
        self.signings
            .iter()
            .zip(&self.hashes)
            .map(unsigned)
            .collect()
    }
}

/// A DKIM-Signature that lacks its signature.
#[derive(Clone, Debug)]
pub struct UnsignedField {
    field: FieldWriter,
    octets: Vec<u8>,
    algorithm: Algorithm,
}

impl UnsignedField {
    fn new(
        signing: &Signing,
        now: u64,
        fields: &FieldsByName<'_>,
        body_hash: Digest,
    ) -> Result<Self, SignError> {
        let algorithm = signing.key.algorithm();
        // RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
        if algorithm == Algorithm::RsaSha1 {
            return Err(SignError::Algorithm { algorithm });
        }
        let identity = signing.identity.clone();
        let outside =
            |identity: &Identity| !signature::is_at_or_below(&identity.domain, &signing.domain);
        if identity.as_ref().is_some_and(outside) {
            return Err(SignError::Identity);
        }
        for name in signing
            .fields
            .oversigned
            .iter()
            .chain(&signing.fields.present)
        {
            if !signature::is_field_name(name) || name.eq_ignore_ascii_case(FIELD_NAME) {
                return Err(SignError::FieldName { name: name.clone() });
            }
        }
        let kind = signing.header_canonicalization;
        let expires = |lifetime: Duration| now.saturating_add(lifetime.as_secs().max(1));
        let signature = Signature {
            algorithm,
            header_canonicalization: kind,
            body_canonicalization: signing.body_canonicalization,
            domain: signing.domain.clone(),
            selector: signing.selector.clone(),
            identity,
            signed_fields: signing.fields.names(fields),
            body_length: None,
            timestamp: Some(now),
            expiration: signing.lifetime.map(expires),
            copied_fields: Vec::new(),
            body_hash: body_hash.to_vec(),
            octets: Vec::new(),
        };
        let field = signature.unsigned_field()?;
        let text = signature::finish_field(field.clone(), &[0])?;
        let parsed = Field::parse(text.as_bytes()).ok_or(SignatureError::FieldName)?;
        let b = signature::check_written(&parsed)?;
        let mut octets = fields.select(kind, &signature.signed_fields, None);
        push_signature_field(kind, &parsed, b, &mut octets);
        Ok(Self {
            field,
            octets,
            algorithm,
        })
    }

    /// The octets to sign, not hashed: for RSA those that RSASSA-PKCS1-v1_5 with SHA-256 takes, for Ed25519 those whose SHA-256 hash it
    /// takes (RFC 8463 §3).
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The algorithm that the field names.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Adds the signature, and gives the field, folded and with its CRLF.
    ///
    /// # Errors
    /// [`SignError::Fold`].
    pub fn finish(self, signature: &[u8]) -> Result<String, SignError> {
        Ok(signature::finish_field(self.field, signature)?)
    }
}
