//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).

use crate::envelope::string;
use crate::{Envelope, ExtensionValue, NString};
use mail_syntax::mime::{self, Part};

/// The MIME structure of a message or part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStructure {
    /// A part that is not a multipart.
    Single(Box<SinglePart>),
    /// A multipart.
    Multipart {
        /// Its parts, at least one.
        parts: Vec<Self>,
        /// `MIXED`, `ALTERNATIVE`, …
        subtype: Vec<u8>,
        /// What BODYSTRUCTURE adds: its parameters, and more.
        extension: Option<MultipartExtension>,
    },
}

/// A part that is not a multipart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinglePart {
    /// `TEXT`, `IMAGE`, …
    pub media_type: Vec<u8>,
    /// `PLAIN`, `PNG`, …
    pub subtype: Vec<u8>,
    /// Parameters of Content-Type.
    pub parameters: Parameters,
    /// Content-ID
    pub id: NString,
    /// Content-Description
    pub description: NString,
    /// Content-Transfer-Encoding
    pub encoding: Vec<u8>,
    /// The size as it is encoded.
    pub octets: u64,
    /// What is known besides, by type.
    pub special: Special,
    /// What BODYSTRUCTURE adds.
    pub extension: Option<SinglePartExtension>,
}

/// What some types have besides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Special {
    /// Nothing.
    #[default]
    None,
    /// `TEXT/*`
    Text {
        /// Lines as it is encoded.
        lines: u64,
    },
    /// `MESSAGE/RFC822`, `MESSAGE/GLOBAL`
    Message {
        /// The envelope of the message inside.
        envelope: Box<Envelope>,
        /// Its structure.
        structure: Box<BodyStructure>,
        /// Its lines as it is encoded.
        lines: u64,
    },
}

/// Names and values, in order.
pub type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// What BODYSTRUCTURE adds for a single part. RFC 9051 §7.5.2: what stands last may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinglePartExtension {
    /// Content-MD5
    pub md5: NString,
    /// What follows.
    pub common: CommonExtension,
}

/// What BODYSTRUCTURE adds for a multipart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultipartExtension {
    /// Parameters of Content-Type.
    pub parameters: Parameters,
    /// What follows.
    pub common: CommonExtension,
}

/// What both have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommonExtension {
    /// Content-Disposition and its parameters.
    pub disposition: Option<(Vec<u8>, Parameters)>,
    /// Content-Language
    pub language: Vec<Vec<u8>>,
    /// Content-Location
    pub location: NString,
    /// Anything of the future.
    pub future: Vec<ExtensionValue>,
}

impl BodyStructure {
    /// The structure of a message or part, with its extension data; printed as BODY it is without.
    ///
    /// As deep as the tree is. What the grammar cannot say is told as the nearest that it can: a multipart without parts has one empty
    /// text; what ought to be a multipart or message and was not taken apart is plain text without a boundary (RFC 2045 §5.2: the
    /// default "when a syntactically invalid Content-Type header field is encountered"), and else application/octet-stream.
    #[must_use]
    pub fn of(part: Part<'_>) -> Self {
        let content_type = part.content_type();
        let common = common_extension(&part);
        if part.is_multipart() {
            let mut parts: Vec<Self> = part.children().map(Self::of).collect();
            if parts.is_empty() {
                parts.push(Self::Single(Box::new(SinglePart::text_plain())));
            }
            return Self::Multipart {
                parts,
                subtype: content_type.subtype().into(),
                extension: Some(MultipartExtension {
                    parameters: parameters(content_type.parameters()),
                    common,
                }),
            };
        }
        let mut single = SinglePart {
            media_type: content_type.main_type().into(),
            subtype: content_type.subtype().into(),
            parameters: parameters(content_type.parameters()),
            ..SinglePart::text_plain()
        };
        if content_type.is_multipart() && content_type.parameters().value("boundary").is_none() {
            single = SinglePart::text_plain();
        } else if content_type.is_multipart()
            || (content_type.is_message() && part.message().is_none())
        {
            single.media_type = b"application".into();
            single.subtype = b"octet-stream".into();
        }
        let lines = part.lines() as u64;
        single.special = match part.message() {
            Some(message) => Special::Message {
                envelope: Box::new(Envelope::of(&message.header())),
                structure: Box::new(Self::of(message)),
                lines,
            },
            None if single.media_type.eq_ignore_ascii_case(b"text") => Special::Text { lines },
            None => Special::None,
        };
        Self::Single(Box::new(SinglePart {
            id: nstring(part.id()),
            description: nstring(part.description()),
            encoding: part.encoding().as_str().into(),
            octets: part.octets() as u64,
            extension: Some(SinglePartExtension {
                md5: nstring(part.md5()),
                common,
            }),
            ..single
        }))
    }
}

impl SinglePart {
    /// An empty text, as it is meant where nothing is said.
    fn text_plain() -> Self {
        Self {
            media_type: b"text".into(),
            subtype: b"plain".into(),
            parameters: vec![(b"charset".into(), b"us-ascii".into())],
            encoding: b"7bit".into(),
            special: Special::Text { lines: 0 },
            ..Self::default()
        }
    }
}

fn common_extension(part: &Part<'_>) -> CommonExtension {
    CommonExtension {
        disposition: part
            .disposition()
            .map(|d| (d.kind().into(), parameters(d.parameters()))),
        language: part
            .language()
            .into_iter()
            .map(String::into_bytes)
            .collect(),
        location: nstring(part.location()),
        future: Vec::new(),
    }
}

fn nstring(text: Option<String>) -> NString {
    text.map(|text| string(text.as_bytes()))
}

/// The parameters, their continuations joined.
///
/// RFC 9051 §7.5.2: `baz*0` and `baz*1` are to be "a parameter "baz"", `foo*0*` and `foo*1*` "a parameter "foo*"" in UTF-8, which
/// here has the form that RFC 2231 §4 gives to a parameter of such a name.
fn parameters(parameters: &mime::Parameters) -> Parameters {
    let mut out = Parameters::new();
    for (name, value) in parameters.iter() {
        let (base, section) = name.split_once('*').unwrap_or((name, ""));
        let (name, value) = if section.is_empty() {
            (name.into(), string(value.as_bytes()))
        } else {
            let whole = parameters.value(base).unwrap_or_else(|| value.into());
            if parameters.iter().any(|(name, _)| is_extended(name, base)) {
                (format!("{base}*"), extended_value(&whole))
            } else {
                (base.into(), string(whole.as_bytes()))
            }
        };
        let is_new = |(other, _): &(Vec<u8>, Vec<u8>)| !other.eq_ignore_ascii_case(name.as_bytes());
        if out.iter().all(is_new) {
            out.push((name.into_bytes(), value));
        }
    }
    out
}

/// Whether this is a part of the parameter with its characters encoded: `base*0*`.
fn is_extended(name: &str, base: &str) -> bool {
    let section = name.get(base.len()..).filter(|section| section.len() > 1);
    name.get(..base.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(base))
        && section.is_some_and(|section| section.starts_with('*') && section.ends_with('*'))
}

/// RFC 2231 §7: `charset'language'` and octets, all but letters, digits and a few more behind a percent sign.
fn extended_value(text: &str) -> Vec<u8> {
    let mut out = b"utf-8''".to_vec();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(octet);
        } else {
            out.extend(format!("%{octet:02X}").bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_whole() {
        for (field, want) in [
            ("a/b", vec![]),
            ("a/b; X=1; y=\"2\"", vec![("X", "1"), ("y", "2")]),
            (
                "a/b; baz*0=one; baz*1=two; z=3; BAZ=other",
                vec![("baz", "onetwo"), ("z", "3")],
            ),
            (
                "a/b; name*=iso-8859-1''%e4; name=ae",
                vec![("name*", "iso-8859-1''%e4"), ("name", "ae")],
            ),
            (
                "a/b; foo*0*=iso-8859-1''%e4; Foo*1=\" b\"",
                vec![("foo*", "utf-8''%C3%A4%20b")],
            ),
            ("a/b; n*1=lost; *=odd", vec![("n", "lost"), ("*", "odd")]),
        ] {
            let message = format!("Content-Type: {field}\r\n\r\n");
            let tree = mime::MimeTree::parse(message.as_bytes(), &mime::Limits::default());
            let BodyStructure::Single(part) = BodyStructure::of(tree.root()) else {
                panic!("{field}")
            };
            let want: Parameters = want
                .iter()
                .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
                .collect();
            assert_eq!(part.parameters, want, "{field}");
        }
    }
}
