//! Reading the tags of a signature (RFC 6376 §3.5, §6.1.1).

use core::ops::Range;

use mail_syntax::Domain;
use mail_syntax::tag_list::{Tag, TagList};

use super::{
    Algorithm, CopiedField, FieldNames, Identity, Kind, Signature, SignatureError, is_at_or_below,
    is_field_name, to_a_labels,
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
        let tags = Tags::of(list);
        if kind == Kind::DkimSignature {
            // RFC 6376 §6.1.1: "Verifiers MUST return PERMFAIL (incompatible version) when presented a DKIM-Signature header field
            // with a "v=" tag that is inconsistent with this specification."
            let version = required(tags.v, "v")?;
            if version.value() != "1" {
                let offset = version.offset();
                return Err(SignatureError::Version { offset });
            }
        }
        // Those that are missing are told before what is wrong with others.
        let (a, b) = (required(tags.a, "a")?, required(tags.b, "b")?);
        if kind != Kind::ArcSeal {
            required(tags.bh, "bh")?;
        }
        let d = required(tags.d, "d")?;
        if kind != Kind::ArcSeal {
            required(tags.h, "h")?;
        }
        let s = required(tags.s, "s")?;
        let algorithm: Algorithm =
            (a.value().parse()).map_err(|_| SignatureError::Algorithm { offset: a.offset() })?;
        let domain = name(d, "d")?;
        // RFC 6376 §3.5: "domain-name     = sub-domain 1*("." sub-domain)"; a selector may have one label only.
        if !domain.as_str().as_bytes().contains(&b'.') {
            return Err(value_error("d", d));
        }
        let mut signature = Self {
            algorithm,
            // RFC 8617 §4.1.3: "only "relaxed" header field canonicalization ([RFC6376], Section 3.4.2) is used".
            header_canonicalization: Canonicalization::Relaxed,
            body_canonicalization: Canonicalization::Relaxed,
            selector: name(s, "s")?,
            domain,
            identity: None,
            signed_fields: FieldNames::default(),
            body_length: None,
            timestamp: time(tags.t, "t")?,
            expiration: None,
            copied_fields: Vec::new(),
            body_hash: Digest::default(),
            octets: octets(b)?,
        };
        // RFC 8617 §4.1.3: "the only supported tags are "i" (from Section 4.2.1 of this document), and "a", "b", "d", "s", and "t"
        // from [RFC6376], Section 3.5." What else stands in a seal is ignored.
        if kind != Kind::ArcSeal {
            signature.read_message_tags(&tags, kind)?;
        }
        Ok((signature, b.value_range()))
    }

    /// Reads the tags that say which message is signed, and for how long.
    fn read_message_tags(&mut self, tags: &Tags<'_, '_>, kind: Kind) -> Result<(), SignatureError> {
        (self.header_canonicalization, self.body_canonicalization) = canonicalizations(tags.c)?;
        // RFC 8617 §4.1.2: "the "i" (Agent or User Identifier (AUID)) tag is not imported from DKIM".
        if kind == Kind::DkimSignature {
            self.identity = identity(tags.i, &self.domain)?;
        }
        self.expiration = time(tags.x, "x")?;
        if let (Some(timestamp), Some(expiration), Some(tag)) =
            (self.timestamp, self.expiration, tags.x)
            && expiration <= timestamp
        {
            let offset = tag.offset();
            return Err(SignatureError::ExpiresBeforeSigned { offset });
        }
        check_query_methods(tags.q)?;
        self.body_hash = body_hash(required(tags.bh, "bh")?, self.algorithm)?;
        self.signed_fields = signed_fields(required(tags.h, "h")?, kind)?;
        self.body_length = number(tags.l, "l", 76)?;
        self.copied_fields = copied_fields(tags.z)?;
        Ok(())
    }
}

/// The tags that are defined, each found once.
#[derive(Default)]
struct Tags<'l, 'a> {
    a: Option<&'l Tag<'a>>,
    b: Option<&'l Tag<'a>>,
    bh: Option<&'l Tag<'a>>,
    c: Option<&'l Tag<'a>>,
    d: Option<&'l Tag<'a>>,
    h: Option<&'l Tag<'a>>,
    i: Option<&'l Tag<'a>>,
    l: Option<&'l Tag<'a>>,
    q: Option<&'l Tag<'a>>,
    s: Option<&'l Tag<'a>>,
    t: Option<&'l Tag<'a>>,
    v: Option<&'l Tag<'a>>,
    x: Option<&'l Tag<'a>>,
    z: Option<&'l Tag<'a>>,
}

impl<'l, 'a> Tags<'l, 'a> {
    fn of(list: &'l TagList<'a>) -> Self {
        let mut tags = Self::default();
        for tag in list.tags() {
            let place = match tag.name() {
                "a" => &mut tags.a,
                "b" => &mut tags.b,
                "bh" => &mut tags.bh,
                "c" => &mut tags.c,
                "d" => &mut tags.d,
                "h" => &mut tags.h,
                "i" => &mut tags.i,
                "l" => &mut tags.l,
                "q" => &mut tags.q,
                "s" => &mut tags.s,
                "t" => &mut tags.t,
                "v" => &mut tags.v,
                "x" => &mut tags.x,
                "z" => &mut tags.z,
                _ => continue,
            };
            *place = Some(tag);
        }
        tags
    }
}

fn required<'l, 'a>(
    tag: Option<&'l Tag<'a>>,
    name: &'static str,
) -> Result<&'l Tag<'a>, SignatureError> {
    tag.ok_or(SignatureError::MissingTag { tag: name })
}

fn value_error(tag: &'static str, at: &Tag<'_>) -> SignatureError {
    SignatureError::Value {
        tag,
        offset: at.offset(),
    }
}

fn canonicalizations(
    c: Option<&Tag<'_>>,
) -> Result<(Canonicalization, Canonicalization), SignatureError> {
    let Some(tag) = c else {
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

fn name(at: &Tag<'_>, tag: &'static str) -> Result<Domain, SignatureError> {
    Domain::parse_utf8(at.value()).map_err(|_| value_error(tag, at))
}

fn identity(i: Option<&Tag<'_>>, domain: &Domain) -> Result<Option<Identity>, SignatureError> {
    let Some(tag) = i else {
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
    at: Option<&Tag<'_>>,
    tag: &'static str,
    digits: usize,
) -> Result<Option<u64>, SignatureError> {
    let Some(at) = at else {
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
fn time(at: Option<&Tag<'_>>, tag: &'static str) -> Result<Option<u64>, SignatureError> {
    let time = number(at, tag, usize::MAX)?;
    let infinite = at.is_some_and(|at| at.value().len() > 12);
    Ok(time.map(|time| if infinite { u64::MAX } else { time }))
}

/// RFC 6376 §3.5: "Unrecognized query mechanisms MUST be ignored."
fn check_query_methods(q: Option<&Tag<'_>>) -> Result<(), SignatureError> {
    match q {
        Some(tag) if !tag.compact().split(':').any(|method| method == "dns/txt") => {
            Err(SignatureError::QueryMethod {
                offset: tag.offset(),
            })
        }
        _ => Ok(()),
    }
}

fn signed_fields(tag: &Tag<'_>, kind: Kind) -> Result<FieldNames, SignatureError> {
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

fn copied_fields(z: Option<&Tag<'_>>) -> Result<Vec<CopiedField>, SignatureError> {
    let Some(tag) = z else {
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

fn body_hash(tag: &Tag<'_>, algorithm: Algorithm) -> Result<Digest, SignatureError> {
    let mut hash = algorithm.zero_hash();
    match folded_base64::decode_to(tag.value(), &mut hash) {
        Some(()) => Ok(hash),
        None => Err(value_error("bh", tag)),
    }
}
