//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).

use crate::{Envelope, ExtensionValue, NString};

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
