//! Reading the tags of a signature (RFC 6376 §3.5, §6.1.1).

use core::ops::Range;

use base64::Engine as _;
use mail_syntax::Domain;
use mail_syntax::tag_list::{Tag, TagList};

use super::{
    Algorithm, BASE64, CopiedField, FieldNames, Identity, Kind, Signature, SignatureError,
    is_at_or_below, is_field_name, to_a_labels,
};
use crate::canonicalization::Canonicalization;
use crate::folded_base64;
use crate::quoted_printable;
use crate::signing_input::Digest;

impl Signature {
    /// Reads the tags of a field of this kind.
    pub(crate) fn from_tags(
        list: &TagList<'_>,
        kind: Kind,
    ) -> Result<(Self, Range<usize>), SignatureError> {
        if kind == Kind::DkimSignature {
            // RFC 6376 §6.1.1: "Verifiers MUST return PERMFAIL (incompatible version) when presented a DKIM-Signature header field
            // with a "v=" tag that is inconsistent with this specification."
            let version = required(list, "v")?;
            if version.value() != "1" {
                let offset = version.offset();
                return Err(SignatureError::Version { offset });
            }
        }
        let needed: &[&str] = match kind {
            Kind::DkimSignature | Kind::ArcMessageSignature => &["a", "b", "bh", "d", "h", "s"],
            Kind::ArcSeal => &["a", "b", "d", "s"],
        };
        for tag in needed {
            required(list, tag)?;
        }
        let tag = required(list, "a")?;
        let algorithm: Algorithm =
            (tag.value().parse()).map_err(|_| SignatureError::Algorithm {
                offset: tag.offset(),
            })?;
        let b = required(list, "b")?;
        let domain = name(list, "d", 2)?;
        let signature = Self {
            algorithm,
            // RFC 8617 §4.1.3: "only "relaxed" header field canonicalization ([RFC6376], Section 3.4.2) is used".
            header_canonicalization: Canonicalization::Relaxed,
            body_canonicalization: Canonicalization::Relaxed,
            selector: name(list, "s", 1)?,
            domain,
            identity: None,
            signed_fields: FieldNames::default(),
            body_length: None,
            timestamp: time(list, "t")?,
            expiration: None,
            copied_fields: Vec::new(),
            body_hash: Digest::default(),
            octets: octets(b)?,
        };
        // RFC 8617 §4.1.3: "the only supported tags are "i" (from Section 4.2.1 of this document), and "a", "b", "d", "s", and "t"
        // from [RFC6376], Section 3.5." What else stands in a seal is ignored.
        let signature = match kind {
            Kind::ArcSeal => signature,
            _ => signature.with_message_tags(list, kind)?,
        };
        Ok((signature, b.value_range()))
    }

    /// Reads the tags that say which message is signed, and for how long.
    fn with_message_tags(self, list: &TagList<'_>, kind: Kind) -> Result<Self, SignatureError> {
        let (header_canonicalization, body_canonicalization) = canonicalizations(list)?;
        // RFC 8617 §4.1.2: "the "i" (Agent or User Identifier (AUID)) tag is not imported from DKIM".
        let identity = match kind {
            Kind::DkimSignature => identity(list, &self.domain)?,
            Kind::ArcMessageSignature | Kind::ArcSeal => None,
        };
        let expiration = time(list, "x")?;
        if let (Some(timestamp), Some(expiration), Some(tag)) =
            (self.timestamp, expiration, list.tag("x"))
            && expiration <= timestamp
        {
            let offset = tag.offset();
            return Err(SignatureError::ExpiresBeforeSigned { offset });
        }
        check_query_methods(list)?;
        let body_hash = body_hash(list, self.algorithm)?;
        Ok(Self {
            header_canonicalization,
            body_canonicalization,
            identity,
            signed_fields: signed_fields(list, kind)?,
            body_length: number(list, "l", 76)?,
            expiration,
            copied_fields: copied_fields(list)?,
            body_hash,
            ..self
        })
    }
}

fn required<'l, 'a>(
    list: &'l TagList<'a>,
    tag: &'static str,
) -> Result<&'l Tag<'a>, SignatureError> {
    list.tag(tag).ok_or(SignatureError::MissingTag { tag })
}

fn value_error(tag: &'static str, at: &Tag<'_>) -> SignatureError {
    SignatureError::Value {
        tag,
        offset: at.offset(),
    }
}

fn canonicalizations(
    list: &TagList<'_>,
) -> Result<(Canonicalization, Canonicalization), SignatureError> {
    let Some(tag) = list.tag("c") else {
        return Ok(Default::default());
    };
    // RFC 6376 §3.5: "If only one algorithm is named, that algorithm is used for the header and "simple" is used for the body."
    let (header, body) = tag
        .value()
        .split_once('/')
        .unwrap_or_else(|| (tag.value(), "simple"));
    match (header.parse(), body.parse()) {
        (Ok(header), Ok(body)) => Ok((header, body)),
        _ => Err(SignatureError::Canonicalization {
            offset: tag.offset(),
        }),
    }
}

/// RFC 6376 §3.5: "domain-name     = sub-domain 1*("." sub-domain)", and the selector may have one label only.
fn name(list: &TagList<'_>, tag: &'static str, labels: usize) -> Result<Domain, SignatureError> {
    let at = required(list, tag)?;
    match Domain::parse_utf8(at.value()) {
        Ok(name) if name.labels().count() >= labels => Ok(name),
        _ => Err(value_error(tag, at)),
    }
}

fn identity(list: &TagList<'_>, domain: &Domain) -> Result<Option<Identity>, SignatureError> {
    let Some(tag) = list.tag("i") else {
        return Ok(None);
    };
    let error = || value_error("i", tag);
    let text = quoted_printable::decode(&tag.compact()).ok_or_else(error)?;
    let text = String::from_utf8(text).map_err(|_| error())?;
    let identity: Identity = text.parse().map_err(|_| error())?;
    // RFC 6376 §6.1.1: "Verifiers MUST confirm that the domain specified in the "d=" tag is the same as or a parent domain of the
    // domain part of the "i=" tag."
    // A domain without A-labels has no key either, and its cause says more than a mismatch.
    if is_at_or_below(&identity.domain, domain) || to_a_labels(domain).is_err() {
        Ok(Some(identity))
    } else {
        let offset = tag.offset();
        Err(SignatureError::DomainMismatch { offset })
    }
}

/// A number of at most so many digits; beyond [`u64::MAX`] it is that.
fn number(
    list: &TagList<'_>,
    tag: &'static str,
    digits: usize,
) -> Result<Option<u64>, SignatureError> {
    let Some(at) = list.tag(tag) else {
        return Ok(None);
    };
    let text = at.value();
    if text.is_empty() || text.len() > digits || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(value_error(tag, at));
    }
    // All are digits, so what does not parse is too large.
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

/// RFC 6376 §3.5: "implementations MAY consider any value longer than 12 digits to be infinite."
fn time(list: &TagList<'_>, tag: &'static str) -> Result<Option<u64>, SignatureError> {
    let time = number(list, tag, usize::MAX)?;
    let infinite = time.is_some() && list.value(tag).is_some_and(|text| text.len() > 12);
    Ok(time.map(|time| if infinite { u64::MAX } else { time }))
}

/// RFC 6376 §3.5: "Unrecognized query mechanisms MUST be ignored."
fn check_query_methods(list: &TagList<'_>) -> Result<(), SignatureError> {
    match list.tag("q") {
        Some(tag) if !tag.compact().split(':').any(|method| method == "dns/txt") => {
            Err(SignatureError::QueryMethod {
                offset: tag.offset(),
            })
        }
        _ => Ok(()),
    }
}

fn signed_fields(list: &TagList<'_>, kind: Kind) -> Result<FieldNames, SignatureError> {
    let tag = required(list, "h")?;
    let names = FieldNames::parse(tag.value()).ok_or_else(|| value_error("h", tag))?;
    let fine = match kind {
        // A place in the list of an ARC-Message-Signature may be empty: sealers have written such, and it names no field.
        //
        // RFC 8617 §4.1.2: "ARC-related header fields (ARC-Authentication-Results, ARC-Message-Signature, and ARC-Seal) MUST NOT be
        // included in the list of header fields covered by the signature of the AMS header field." That binds sealers; the first two
        // are in lists that were written before it was a rule, and do no harm.
        Kind::ArcMessageSignature => !names.contains("ARC-Seal"),
        Kind::DkimSignature | Kind::ArcSeal => !names.has_empty(),
    };
    if !fine {
        return Err(value_error("h", tag));
    }
    // RFC 6376 §6.1.1: "If the "h=" tag does not include the From header field, the Verifier MUST ignore the DKIM-Signature header
    // field and return PERMFAIL (From field not signed)."
    if !names.contains("From") {
        let offset = tag.offset();
        return Err(SignatureError::FromNotSigned { offset });
    }
    Ok(names)
}

fn copied_fields(list: &TagList<'_>) -> Result<Vec<CopiedField>, SignatureError> {
    let Some(tag) = list.tag("z") else {
        return Ok(Vec::new());
    };
    let copy = |text: &str| {
        let (name, value) = text.split_once(':')?;
        let value = quoted_printable::decode(value)?;
        is_field_name(name).then(|| (name.into(), value))
    };
    let fields: Option<Vec<_>> = tag.compact().split('|').map(copy).collect();
    fields.ok_or_else(|| value_error("z", tag))
}

fn octets(b: &Tag<'_>) -> Result<Vec<u8>, SignatureError> {
    match folded_base64::decode(b.value()) {
        Some(octets) if !octets.is_empty() => Ok(octets),
        _ => Err(value_error("b", b)),
    }
}

fn body_hash(list: &TagList<'_>, algorithm: Algorithm) -> Result<Digest, SignatureError> {
    let tag = required(list, "bh")?;
    let mut hash = algorithm.zero_hash();
    match BASE64.decode_slice(tag.compact().as_bytes(), &mut hash) {
        Ok(octets) if octets == hash.len() => Ok(hash),
        _ => Err(value_error("bh", tag)),
    }
}
