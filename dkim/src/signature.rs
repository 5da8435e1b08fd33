//! The DKIM-Signature header field (RFC 6376 §3.5): read strictly, written folded.

use core::fmt;
use core::ops::Range;
use core::str::FromStr;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mail_dns::Name;
use mail_syntax::header::Field;
use mail_syntax::mailbox::LocalPart;
use mail_syntax::tag_list::{TagList, TagListError};
use mail_syntax::{Domain, domain::DomainError};

use crate::canonicalization::Canonicalization;
use crate::signing_input::Digest;

mod field_names;
mod read;
mod write;

pub(crate) use field_names::FieldNames;
pub(crate) use write::{USUAL_UNSIGNED, finish_field};

/// The name of the field.
pub const FIELD_NAME: &str = "DKIM-Signature";

/// The fields that have the syntax of a DKIM-Signature (RFC 8617 §4.1.2, §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    DkimSignature,
    ArcMessageSignature,
    ArcSeal,
}

/// RFC 6376 §2.10 lets base64 end without its padding.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the hashes are made and signed: the tag `a=` (RFC 6376 §3.3, RFC 8301 §3.1, RFC 8463 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `rsa-sha256`.
    RsaSha256,
    /// `ed25519-sha256`.
    Ed25519Sha256,
    /// `rsa-sha1`, known so that a verifier can say why it refuses it (RFC 8301 §3.1).
    RsaSha1,
}

impl Algorithm {
    /// The name of its hash algorithm, as a key record has it in `h=`.
    #[must_use]
    pub const fn hash_name(self) -> &'static str {
        match self {
            Self::RsaSha256 | Self::Ed25519Sha256 => "sha256",
            Self::RsaSha1 => "sha1",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
            Self::RsaSha1 => "rsa-sha1",
        }
    }

    /// A hash of its length.
    const fn zero_hash(self) -> Digest {
        match self {
            Self::RsaSha256 | Self::Ed25519Sha256 => Digest::Sha256([0; 32]),
            Self::RsaSha1 => Digest::Sha1([0; 20]),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The word names no algorithm that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no algorithm but rsa-sha256, ed25519-sha256 and rsa-sha1 is defined")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        match text {
            "rsa-sha256" => Ok(Self::RsaSha256),
            "ed25519-sha256" => Ok(Self::Ed25519Sha256),
            "rsa-sha1" => Ok(Self::RsaSha1),
            _ => Err(UnknownAlgorithm),
        }
    }
}

/// The Agent or User Identifier of the tag `i=` (RFC 6376 §3.5): like an address, but the local-part may be absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The local-part, if there is one.
    pub local_part: Option<LocalPart>,
    /// The domain, equal to that of `d=` or below it.
    pub domain: Domain,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local_part) = &self.local_part {
            local_part.fmt(f)?;
        }
        write!(f, "@{}", self.domain)
    }
}

/// Text that is no [`Identity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an identity is a local-part, which may be absent, an @, and a domain")]
pub struct NoIdentity;

impl FromStr for Identity {
    type Err = NoIdentity;

    fn from_str(text: &str) -> Result<Self, NoIdentity> {
        let (local_part, domain) = text.rsplit_once('@').ok_or(NoIdentity)?;
        let local_part = match local_part {
            "" => None,
            text => Some(LocalPart::parse_utf8(text).map_err(|_| NoIdentity)?),
        };
        let domain = Domain::parse_utf8(domain).map_err(|_| NoIdentity)?;
        Ok(Self { local_part, domain })
    }
}

/// Why a DKIM-Signature cannot be used. Offsets count from the octet behind the colon of the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The field has another name.
    #[error("not a DKIM-Signature header field")]
    FieldName,
    /// No tag list, or one with a tag twice.
    #[error("signature syntax error: {0}")]
    TagList(#[from] TagListError),
    /// RFC 6376 §6.1.1: "PERMFAIL (incompatible version)".
    #[error("incompatible version at byte {offset}: only v=1 is defined")]
    Version {
        /// Where the tag begins.
        offset: usize,
    },
    /// RFC 6376 §6.1.1: "PERMFAIL (signature missing required tag)".
    #[error("signature missing required tag {tag}=")]
    MissingTag {
        /// The tag.
        tag: &'static str,
    },
    /// The value of a tag is not of its form.
    #[error("the value of the tag {tag}= at byte {offset} is not of its form")]
    Value {
        /// The tag.
        tag: &'static str,
        /// Where the tag begins.
        offset: usize,
    },
    /// An algorithm in `a=` that we do not know.
    #[error("unknown algorithm at byte {offset}")]
    Algorithm {
        /// Where the tag begins.
        offset: usize,
    },
    /// A canonicalization in `c=` that we do not know.
    #[error("unknown canonicalization at byte {offset}")]
    Canonicalization {
        /// Where the tag begins.
        offset: usize,
    },
    /// `q=` does not have `dns/txt`.
    #[error("no query method at byte {offset} that is defined: only dns/txt is")]
    QueryMethod {
        /// Where the tag begins.
        offset: usize,
    },
    /// RFC 6376 §6.1.1: "PERMFAIL (domain mismatch)".
    #[error("domain mismatch: that of i= at byte {offset} is neither that of d= nor below it")]
    DomainMismatch {
        /// Where the tag `i=` begins.
        offset: usize,
    },
    /// RFC 6376 §6.1.1: "PERMFAIL (From field not signed)".
    #[error("From field not signed: h= at byte {offset} does not name it")]
    FromNotSigned {
        /// Where the tag `h=` begins.
        offset: usize,
    },
    /// RFC 6376 §3.5: "The value of the "x=" tag MUST be greater than the value of the "t=" tag if both are present."
    #[error("x= at byte {offset} is not later than t=")]
    ExpiresBeforeSigned {
        /// Where the tag `x=` begins.
        offset: usize,
    },
}

/// A DKIM-Signature header field that is well-formed (RFC 6376 §3.5).
///
/// ```
/// use dkim::signature::{Algorithm, Signature};
/// use mail_syntax::header::Field;
///
/// let field = b"DKIM-Signature: v=1; a=ed25519-sha256; d=example.com; s=brisbane; h=From:To;\r\n \
///     bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA\r\n";
/// let field = Field::parse(field).ok_or("no field")?;
/// let signature = Signature::parse(&field)?;
/// assert_eq!(signature.algorithm(), Algorithm::Ed25519Sha256);
/// assert_eq!(signature.key_name()?.to_string(), "brisbane._domainkey.example.com");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub(crate) algorithm: Algorithm,
    pub(crate) header_canonicalization: Canonicalization,
    pub(crate) body_canonicalization: Canonicalization,
    pub(crate) domain: Domain,
    pub(crate) selector: Domain,
    pub(crate) identity: Option<Identity>,
    pub(crate) signed_fields: FieldNames,
    pub(crate) body_length: Option<u64>,
    pub(crate) timestamp: Option<u64>,
    pub(crate) expiration: Option<u64>,
    pub(crate) copied_fields: Vec<CopiedField>,
    pub(crate) body_hash: Digest,
    pub(crate) octets: Vec<u8>,
}

/// Name and value of a field in `z=`.
type CopiedField = (Box<str>, Vec<u8>);

impl Signature {
    /// Reads the field.
    ///
    /// # Errors
    /// The first of the mistakes of RFC 6376 §6.1.1, in its order.
    pub fn parse(field: &Field<'_>) -> Result<Self, SignatureError> {
        Self::parse_with_range(field).map(|(signature, _)| signature)
    }

    /// As [`Signature::parse`], and where in the body of the field the value of `b=` stands, all white space around it included.
    pub(crate) fn parse_with_range(
        field: &Field<'_>,
    ) -> Result<(Self, Range<usize>), SignatureError> {
        if !field.is(FIELD_NAME) {
            return Err(SignatureError::FieldName);
        }
        Self::from_tags(&TagList::parse(field.body())?, Kind::DkimSignature)
    }

    /// The algorithm, `a=`.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// How the header is canonicalized, `c=` before the slash.
    #[must_use]
    pub fn header_canonicalization(&self) -> Canonicalization {
        self.header_canonicalization
    }

    /// How the body is canonicalized, `c=` behind the slash.
    #[must_use]
    pub fn body_canonicalization(&self) -> Canonicalization {
        self.body_canonicalization
    }

    /// The Signing Domain Identifier, `d=`: who takes responsibility.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The selector, `s=`.
    #[must_use]
    pub fn selector(&self) -> &Domain {
        &self.selector
    }

    /// The Agent or User Identifier, `i=`, if the tag is there; else it is `@` and [`Signature::domain`].
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The names of the signed fields, `h=`, as they are spelled and in their order; `From` is among them.
    pub fn signed_fields(&self) -> impl Iterator<Item = &str> + Clone {
        self.signed_fields.iter()
    }

    /// How many octets of the canonical body are signed, `l=`, if not all of them.
    #[must_use]
    pub fn body_length(&self) -> Option<u64> {
        self.body_length
    }

    /// When it was made, `t=`, in seconds of Unix time; a number of more than 12 digits is [`u64::MAX`].
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        self.timestamp
    }

    /// When it expires, `x=`, in seconds of Unix time; a number of more than 12 digits is [`u64::MAX`].
    #[must_use]
    pub fn expiration(&self) -> Option<u64> {
        self.expiration
    }

    /// Fields as they were when they were signed, `z=`: names and decoded values, for diagnosis only.
    pub fn copied_fields(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        (self.copied_fields.iter()).map(|(name, value)| (&**name, &**value))
    }

    /// The hash of the canonical body, `bh=`.
    #[must_use]
    pub fn body_hash(&self) -> &[u8] {
        &self.body_hash
    }

    /// The signature, `b=`.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The name of the key record: selector, `_domainkey` and domain, in A-labels (RFC 6376 §3.6.2.1).
    ///
    /// # Errors
    /// [`KeyNameError`] if the name is too long for the DNS or its U-labels cannot be converted (feature `idna`).
    pub fn key_name(&self) -> Result<Name, KeyNameError> {
        key_name(&self.selector, &self.domain)
    }
}

/// Selector and domain make no name that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyNameError {
    /// It has U-labels that do not convert to A-labels, or the feature `idna`, which converts them, is off.
    #[error("the name of the key has U-labels that cannot be converted to A-labels")]
    ULabel(Domain),
    /// Longer than 255 octets.
    #[error("the name of the key is no DNS name: {0}")]
    Name(#[from] mail_dns::NameError),
}

/// The name of a key record (RFC 6376 §3.6.2.1).
///
/// # Errors
/// As [`Signature::key_name`].
pub fn key_name(selector: &Domain, domain: &Domain) -> Result<Name, KeyNameError> {
    let u_label = |_| KeyNameError::ULabel(domain.clone());
    let (selector, domain) = (
        to_a_labels(selector).map_err(u_label)?,
        to_a_labels(domain).map_err(u_label)?,
    );
    let labels = |name| {
        Domain::as_str(name)
            .as_bytes()
            .split(|octet| *octet == b'.')
    };
    let labels = labels(&selector)
        .chain([&b"_domainkey"[..]])
        .chain(labels(&domain));
    Ok(Name::from_labels(labels)?)
}

#[cfg(feature = "idna")]
pub(crate) fn to_a_labels(domain: &Domain) -> Result<Domain, DomainError> {
    domain.to_a_labels()
}

#[cfg(not(feature = "idna"))]
pub(crate) fn to_a_labels(domain: &Domain) -> Result<Domain, DomainError> {
    if domain.is_ascii() {
        return Ok(domain.clone());
    }
    domain.as_str().parse()
}

/// Compares in A-labels where they can be had: the same domain may be written in both forms (RFC 8616 §5).
pub(crate) fn is_at_or_below(domain: &Domain, other: &Domain) -> bool {
    domain.is_at_or_below(other)
        || match (to_a_labels(domain), to_a_labels(other)) {
            (Ok(domain), Ok(other)) => domain.is_at_or_below(&other),
            _ => false,
        }
}

/// RFC 5322 §2.2: printable and no colon; and no semicolon, which ends the tag.
pub(crate) fn is_field_name(name: &str) -> bool {
    !name.is_empty() && (name.bytes()).all(|octet| matches!(octet, b'!'..=b'9' | b'<'..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY_HASH: &str = "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";

    fn parse(body: &str) -> Result<Signature, SignatureError> {
        let field = format!("DKIM-Signature:{body}\r\n");
        Signature::parse(&Field::parse(field.as_bytes()).unwrap())
    }

    /// The signature with these tags behind or in place of the required ones.
    fn with(tags: &str) -> Result<Signature, SignatureError> {
        let mut body = tags.to_owned();
        for tag in [
            "v=1",
            "a=rsa-sha256",
            "d=example.com",
            "s=s",
            "h=from",
            BODY_HASH,
            "b=AAAA",
        ] {
            let (name, _) = tag.split_once('=').unwrap();
            if !tags
                .split("; ")
                .any(|other| other.split('=').next() == Some(name))
            {
                body = format!("{body}; {tag}");
            }
        }
        parse(body.trim_start_matches("; "))
    }

    #[test]
    fn reads_all_tags() {
        let signature = with(
            "a=ed25519-sha256; c=relaxed; i=j=20o=40e\r\n @mail.Example.com; l=12; q=other:dns/txt; t=1; x=2; h=From\r\n : To:from; \
             s=a.b; unknown=x; b=A\r\n A A =; z=From:foo@eng.example.net|To:joe@example.com|\r\n  Subject:demo=20run",
        );
        // A space or a second @ in a local-part needs quotes.
        assert_eq!(
            signature,
            Err(SignatureError::Value {
                tag: "i",
                offset: 29
            })
        );
        let signature = with(
            "a=ed25519-sha256; c=relaxed; i=jo\r\n e@mail.Example.com; l=12; q=other:dns/txt; t=1; x=2; h=From\r\n : To:from; s=a.b; \
             unknown=x; b=A\r\n A A =; z=From:foo@eng.example.net|To:joe@example.com|\r\n  Subject:demo=20run",
        )
        .unwrap();
        assert_eq!(signature.algorithm(), Algorithm::Ed25519Sha256);
        assert_eq!(
            signature.header_canonicalization(),
            Canonicalization::Relaxed
        );
        assert_eq!(signature.body_canonicalization(), Canonicalization::Simple);
        assert_eq!(
            signature.identity().unwrap().to_string(),
            "joe@mail.Example.com"
        );
        assert_eq!(signature.body_length(), Some(12));
        assert_eq!(
            (signature.timestamp(), signature.expiration()),
            (Some(1), Some(2))
        );
        assert_eq!(
            signature.signed_fields().collect::<Vec<_>>(),
            ["From", "To", "from"]
        );
        assert_eq!(signature.octets(), [0, 0]);
        assert_eq!(
            signature.copied_fields().nth(2),
            Some(("Subject", &b"demo run"[..]))
        );
        assert_eq!(
            signature.key_name().unwrap().to_string(),
            "a.b._domainkey.example.com"
        );
    }

    #[test]
    fn mistakes() {
        let value = |tag, offset| Some(SignatureError::Value { tag, offset });
        for (tags, error) in [
            ("", None),
            ("v=2", Some(SignatureError::Version { offset: 0 })),
            ("v=01", Some(SignatureError::Version { offset: 0 })),
            ("a=rsa-md5", Some(SignatureError::Algorithm { offset: 0 })),
            (
                "a=RSA-SHA256",
                Some(SignatureError::Algorithm { offset: 0 }),
            ),
            (
                "c=relaxed/",
                Some(SignatureError::Canonicalization { offset: 0 }),
            ),
            (
                "c=simple/nowsp",
                Some(SignatureError::Canonicalization { offset: 0 }),
            ),
            ("d=com", value("d", 0)),
            ("d=exa mple.com", value("d", 0)),
            ("d=example.com.", value("d", 0)),
            ("d=\"example.com\"", value("d", 0)),
            ("s=", value("s", 0)),
            ("s=a..b", value("s", 0)),
            ("h=", value("h", 0)),
            ("h=from:", value("h", 0)),
            ("h=from to", value("h", 0)),
            ("h=to", Some(SignatureError::FromNotSigned { offset: 0 })),
            ("i=joe", value("i", 0)),
            ("i=jo=6fe@example.com", value("i", 0)),
            (
                "i=@example.org",
                Some(SignatureError::DomainMismatch { offset: 0 }),
            ),
            ("l=-1", value("l", 0)),
            ("l=", value("l", 0)),
            ("l=1 2", value("l", 0)),
            ("t=+1", value("t", 0)),
            ("x=1.5", value("x", 0)),
            (
                "t=2; x=2",
                Some(SignatureError::ExpiresBeforeSigned { offset: 5 }),
            ),
            ("q=dns", Some(SignatureError::QueryMethod { offset: 0 })),
            ("b=", value("b", 0)),
            ("b=A*", value("b", 0)),
            ("bh=AAAA", value("bh", 0)),
            ("z=From", value("z", 0)),
            ("a=rsa-sha1", value("bh", 45)),
        ] {
            assert_eq!(with(tags).err(), error, "{tags}");
        }
        let digits = "9".repeat(77);
        assert_eq!(with(&format!("l={digits}")).err(), value("l", 0));
        assert_eq!(
            with(&format!("l={}", &digits[1..])).unwrap().body_length(),
            Some(u64::MAX)
        );
        assert_eq!(
            with("x=9999999999999").unwrap().expiration(),
            Some(u64::MAX)
        );
        assert_eq!(
            with("x=999999999999").unwrap().expiration(),
            Some(999_999_999_999)
        );
        let tags = [
            "v=1",
            "a=rsa-sha256",
            "d=example.com",
            "s=s",
            "h=from",
            BODY_HASH,
            "b=AAAA",
        ];
        for left_out in tags {
            let rest: Vec<_> = tags.into_iter().filter(|tag| *tag != left_out).collect();
            let error = parse(&rest.join(";"));
            assert!(
                matches!(error, Err(SignatureError::MissingTag { tag }) if left_out.starts_with(tag)),
                "{left_out}"
            );
        }
        assert!(matches!(
            with("d=a.b; d=a.b"),
            Err(SignatureError::TagList(TagListError::Duplicate { .. }))
        ));
        assert_eq!(
            Signature::parse(&Field::parse(b"X: v=1").unwrap()),
            Err(SignatureError::FieldName)
        );
    }

    /// RFC 8616 §5 lets U-labels stand in `d=` and `s=`.
    #[test]
    fn u_labels() {
        let signature = with("d=bücher.example; i=@xn--bcher-kva.example").unwrap();
        #[cfg(feature = "idna")]
        assert_eq!(
            signature.key_name().unwrap().to_string(),
            "s._domainkey.xn--bcher-kva.example"
        );
        #[cfg(not(feature = "idna"))]
        assert!(matches!(
            signature.key_name(),
            Err(KeyNameError::ULabel(domain)) if domain.as_str() == "bücher.example"
        ));
    }

    proptest! {
        #[test]
        fn printing_undoes_reading(
            names in prop::collection::vec("[!-9<-~]{1,40}", 0..30),
            identity in prop::option::of("[a-z=|]{1,20}"),
            numbers in prop::array::uniform3(prop::option::of(0..1_000_000_u64)),
            copied in prop::collection::vec(("[A-Za-z-]{1,20}", prop::collection::vec(any::<u8>(), 0..100)), 0..4),
            octets in prop::collection::vec(any::<u8>(), 1..600),
        ) {
            let [timestamp, lifetime, body_length] = numbers;
            let signature = Signature {
                algorithm: Algorithm::RsaSha256,
                header_canonicalization: Canonicalization::Simple,
                body_canonicalization: Canonicalization::Relaxed,
                domain: "example.com".parse().unwrap(),
                selector: "a.b".parse().unwrap(),
                identity: identity.map(|local_part| format!("{local_part}@mail.example.com").parse().unwrap()),
                signed_fields: names.iter().map(|name| &**name).chain(["From"]).collect(),
                body_length,
                timestamp,
                expiration: lifetime.map(|lifetime| timestamp.unwrap_or(0) + lifetime + 1),
                copied_fields: copied.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                body_hash: Digest::Sha256([7; 32]),
                octets,
            };
            let field = signature.to_field().unwrap();
            // An identity is not cut, however long it is in hexadecimal.
            let fits = |line: &str| line.len() <= 78 || line.starts_with(" i=");
            prop_assert!(field.lines().all(|line| fits(line) && !line.trim().is_empty()), "{}", field);
            prop_assert_eq!(Signature::parse(&Field::parse(field.as_bytes()).unwrap()), Ok(signature));
        }

        #[test]
        fn no_octets_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let field = [b"DKIM-Signature:", &body[..]].concat();
            if let Some(field) = Field::parse(&field) {
                let _ = Signature::parse(&field);
            }
        }
    }
}
