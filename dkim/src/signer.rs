//! Signing (RFC 6376 §5): a message goes in, DKIM-Signature header fields come out.

use core::time::Duration;
use std::borrow::Cow;
use std::sync::Arc;

use mail_syntax::Domain;
use mail_syntax::folding::{FieldWriter, FoldError};
use mail_syntax::header::{Defect, Field, HeaderError, Limits};

use crate::canonicalization::{self, Canonicalization};
use crate::crypto::{Crypto, RING};
use crate::message_to_sign::{MessageToSign, Unsignable};
use crate::signature::{
    self, Algorithm, FIELD_NAME, FieldNames, Identity, Signature, USUAL_UNSIGNED,
};
use crate::signing_input::{BodyHasher, Digest, FieldsByName, push_unsigned_field};
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

    /// Whether a signature like this may be made, and would be read again.
    fn check(&self) -> Result<(), SignError> {
        let algorithm = self.key.algorithm();
        // RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
        if algorithm == Algorithm::RsaSha1 {
            return Err(SignError::Algorithm { algorithm });
        }
        if !self.domain.as_str().as_bytes().contains(&b'.') {
            let domain = self.domain.clone();
            return Err(SignError::Domain { domain });
        }
        let outside =
            |identity: &Identity| !signature::is_at_or_below(&identity.domain, &self.domain);
        if self.identity.as_ref().is_some_and(outside) {
            return Err(SignError::Identity);
        }
        let unfit =
            |name: &str| !signature::is_field_name(name) || name.eq_ignore_ascii_case(FIELD_NAME);
        match self.fields.unfit(unfit) {
            Some(name) => Err(SignError::FieldName { name: name.into() }),
            None => Ok(()),
        }
    }
}

/// Which fields are signed. `From` always is, whether it is named or not, and once more than it is there.
///
/// ```
/// let mut fields = dkim::SignedFields::default();
/// fields.present.to_mut().push("Feedback-ID".into());
/// fields.oversigned = ["From", "Subject"].map(Into::into).to_vec().into();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedFields {
    /// Fields that are named in `h=` once more than the message has them, so that none can be added (RFC 6376 §8.15). Default: From,
    /// To, Cc, Subject, Date, Reply-To, Message-ID, MIME-Version and the Content fields.
    pub oversigned: NameList,
    /// Fields that are signed as often as the message has them. Default: Sender, In-Reply-To, References, the Resent and the List
    /// fields (RFC 6376 §5.4.1).
    pub present: NameList,
}

/// Names of fields; those by default are not copied until they are changed.
pub type NameList = Cow<'static, [Cow<'static, str>]>;

static OVERSIGNED: [Cow<'static, str>; 13] = [
    Cow::Borrowed("From"),
    Cow::Borrowed("To"),
    Cow::Borrowed("Cc"),
    Cow::Borrowed("Subject"),
    Cow::Borrowed("Date"),
    Cow::Borrowed("Reply-To"),
    Cow::Borrowed("Message-ID"),
    Cow::Borrowed("MIME-Version"),
    Cow::Borrowed("Content-Type"),
    Cow::Borrowed("Content-Transfer-Encoding"),
    Cow::Borrowed("Content-Disposition"),
    Cow::Borrowed("Content-ID"),
    Cow::Borrowed("Content-Description"),
];

static PRESENT: [Cow<'static, str>; 17] = [
    Cow::Borrowed("Sender"),
    Cow::Borrowed("In-Reply-To"),
    Cow::Borrowed("References"),
    Cow::Borrowed("Resent-Date"),
    Cow::Borrowed("Resent-From"),
    Cow::Borrowed("Resent-Sender"),
    Cow::Borrowed("Resent-To"),
    Cow::Borrowed("Resent-Cc"),
    Cow::Borrowed("Resent-Message-ID"),
    Cow::Borrowed("List-Id"),
    Cow::Borrowed("List-Help"),
    Cow::Borrowed("List-Unsubscribe"),
    Cow::Borrowed("List-Unsubscribe-Post"),
    Cow::Borrowed("List-Subscribe"),
    Cow::Borrowed("List-Post"),
    Cow::Borrowed("List-Owner"),
    Cow::Borrowed("List-Archive"),
];

impl Default for SignedFields {
    fn default() -> Self {
        Self {
            oversigned: Cow::Borrowed(&OVERSIGNED),
            present: Cow::Borrowed(&PRESENT),
        }
    }
}

impl SignedFields {
    /// The names for `h=`; `signed` gets the fields that they sign, in their order.
    pub(crate) fn names(
        &self,
        header: &FieldsByName<'_>,
        mut signed: impl FnMut(&Field<'_>),
    ) -> FieldNames {
        let mut names = FieldNames::with_capacity(256);
        let is_default = self.is_default();
        let from = match is_default {
            true => None,
            false => Some(Cow::Borrowed("From")),
        };
        let lists = || from.iter().chain(&*self.oversigned).chain(&*self.present);
        let oversigned = from.iter().len() + self.oversigned.len();
        for (at, name) in lists().enumerate() {
            let fields = header.named(name);
            let count = fields.len() + usize::from(at < oversigned);
            // A name that stands in the lists twice counts once.
            let is_new = || {
                !lists()
                    .take(at)
                    .any(|other| other.eq_ignore_ascii_case(name))
            };
            if count > 0 && (is_default || is_new()) {
                (0..count).for_each(|_| names.push(name));
                // RFC 6376 §5.4.2: "MUST sign such header fields in order from the bottom of the header field block to the top."
                fields.rev().for_each(|field| signed(&field));
            }
        }
        names
    }

    /// The first name that is not to be signed.
    pub(crate) fn unfit(&self, unfit: impl Fn(&str) -> bool) -> Option<&str> {
        if self.is_default() {
            return None;
        }
        let mut names = self
            .oversigned
            .iter()
            .chain(&*self.present)
            .map(AsRef::as_ref);
        names.find(|name| unfit(name))
    }

    /// Whether these are the lists by default: From is the first name in them, all names are fit, and none stands twice.
    fn is_default(&self) -> bool {
        core::ptr::eq(&*self.oversigned, &OVERSIGNED) && core::ptr::eq(&*self.present, &PRESENT)
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
    /// RFC 6376 §3.5: "domain-name     = sub-domain 1*("." sub-domain)", so no verifier takes a domain of one label.
    #[error("the domain {domain} has one label: verifiers take signatures of two or more")]
    Domain {
        /// The domain.
        domain: Domain,
    },
}

impl From<Unsignable> for SignError {
    fn from(unsignable: Unsignable) -> Self {
        match unsignable {
            Unsignable::Header(error) => Self::Header(error),
            Unsignable::Malformed(defect) => Self::Malformed { defect },
            Unsignable::From(count) => Self::From { count },
        }
    }
}

/// Makes the signatures of one message in one pass.
///
/// Write the message as it will be sent, lines ending in CRLF, in any pieces; then finish. It holds the header, and of the body only
/// hashes.
#[derive(Debug)]
pub struct Signer {
    /// Each with the number of its body hash.
    signings: Vec<(Signing, usize)>,
    now: u64,
    message: MessageToSign,
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
        let mut body = BodyHasher::default();
        let numbered = |signing: Signing| {
            let hash = body.add(crypto, signing.body_canonicalization, None);
            (signing, hash)
        };
        let signings = signings.into_iter().map(numbered).collect();
        Self {
            signings,
            now,
            message: MessageToSign::new(limits, body),
        }
    }

    /// Takes octets of the message: first of its header, then of its body, cut anywhere.
    pub fn write(&mut self, octets: &[u8]) {
        self.message.write(octets);
    }

    /// Signs, and gives the header fields in the order of the signings, each folded and with its CRLF. They are to stand before
    /// everything else in the message.
    ///
    /// # Errors
    /// [`SignError`]; then there is no signature at all.
    pub fn finish(self) -> Result<Vec<String>, SignError> {
        let sign = |unsigned: UnsignedField| {
            let octets = unsigned.key.sign(unsigned.octets())?;
            unsigned.finish(&octets)
        };
        self.finish_unsigned()?.into_iter().map(sign).collect()
    }

    /// The fields up to their signatures, for keys that take their time: elsewhere, or in another thread.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn finish_unsigned(self) -> Result<Vec<UnsignedField>, SignError> {
        let message = self.message.finish()?;
        let (_, fields) = message.header()?;
        let mut unsigned = Vec::with_capacity(self.signings.len());
        for (signing, number) in self.signings {
            let hash = message.hashes.get(number).map(|body| body.hash);
            let hash = hash.unwrap_or_default();
            unsigned.push(UnsignedField::new(signing, self.now, &fields, hash)?);
        }
        Ok(unsigned)
    }
}

/// A DKIM-Signature that lacks its signature.
#[derive(Clone, Debug)]
pub struct UnsignedField {
    field: FieldWriter,
    octets: Vec<u8>,
    key: Arc<dyn SigningKey>,
}

impl UnsignedField {
    fn new(
        signing: Signing,
        now: u64,
        fields: &FieldsByName<'_>,
        body_hash: Digest,
    ) -> Result<Self, SignError> {
        signing.check()?;
        let kind = signing.header_canonicalization;
        let mut octets = Vec::with_capacity(fields.octets() + USUAL_UNSIGNED);
        let signed_fields = signing.fields.names(fields, |field| {
            canonicalization::push_field(kind, field, &mut octets);
        });
        let expires = |lifetime: Duration| now.saturating_add(lifetime.as_secs().max(1));
        let signature = Signature {
            algorithm: signing.key.algorithm(),
            header_canonicalization: kind,
            body_canonicalization: signing.body_canonicalization,
            domain: signing.domain,
            selector: signing.selector,
            identity: signing.identity,
            signed_fields,
            body_length: None,
            timestamp: Some(now),
            expiration: signing.lifetime.map(expires),
            copied_fields: Vec::new(),
            body_hash,
            octets: Vec::new(),
        };
        let field = signature.unsigned_field()?;
        push_unsigned_field(kind, &field, &mut octets)?;
        Ok(Self {
            field,
            octets,
            key: signing.key,
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
        self.key.algorithm()
    }

    /// Adds the signature, and gives the field, folded and with its CRLF.
    ///
    /// # Errors
    /// [`SignError::Fold`].
    pub fn finish(self, signature: &[u8]) -> Result<String, SignError> {
        Ok(signature::finish_field(self.field, signature)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_default() {
        let fields = SignedFields::default();
        assert!(fields.is_default());
        let names: Vec<_> = fields.oversigned.iter().chain(&*fields.present).collect();
        assert_eq!(names.first().unwrap().as_ref(), "From");
        for (at, name) in names.iter().enumerate() {
            assert!(signature::is_field_name(name) && !name.eq_ignore_ascii_case(FIELD_NAME));
            let is_same = |other: &&Cow<'_, str>| other.eq_ignore_ascii_case(name);
            assert!(!names.iter().take(at).any(is_same), "{name}");
        }
        let mut changed = SignedFields::default();
        changed.present.to_mut().push("X".into());
        assert!(!changed.is_default());
        assert_eq!(changed.unfit(|name| name == "X"), Some("X"));
    }
}
