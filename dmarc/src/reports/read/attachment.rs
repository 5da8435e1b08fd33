//! The report in a mail.

use mail_syntax::header::LineEnd;
use mail_syntax::mime::{self, MimeTree, Part};
use memchr::memmem;

use super::ReadError;

/// Parts of a mail that are looked at: 100. Reports have two or three.
pub const MAX_PARTS: usize = 100;

/// A report as it was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// Its octets: XML, gzip or ZIP.
    pub octets: Vec<u8>,
    /// Whether its part says that it is such.
    pub has_media_type: bool,
    /// Whether there are further parts that look like reports.
    pub has_others: bool,
}

/// The first part of a mail that is an aggregate report by its first octets, or the body itself.
///
/// RFC 9990 §3.5.2: "It is presumed that the aggregate reporting address will be equipped to extract body parts with the prescribed media
/// type and filename and ignore the rest." The octets are asked rather than the media type, which real reporters get wrong.
pub fn attachment(mail: &[u8]) -> Result<Attachment, ReadError> {
    if mail.trim_ascii_start().starts_with(b"{")
        && memmem::find(mail, b"organization-name").is_some()
    {
        return Err(ReadError::TlsReport);
    }
    let tree = parts(mail);
    let mut found: Option<Attachment> = None;
    let mut other = ReadError::NoAttachment;
    for part in tree.parts() {
        if part.is_multipart() || part.message().is_some() {
            continue;
        }
        let media = part.content_type();
        if media.is("application", "tlsrpt+gzip") || media.is("application", "tlsrpt+json") {
            other = ReadError::TlsReport;
            continue;
        }
        if media.is("message", "feedback-report") {
            other = ReadError::FailureReport;
            continue;
        }
        if let Some(found) = &mut found {
            found.has_others |= names_itself_report(&part);
            continue;
        }
        let octets = part.decoded_body();
        if is_report(&octets) && !media.is("text", "html") {
            found = Some(Attachment {
                octets,
                has_media_type: names_itself_report(&part),
                has_others: false,
            });
        }
    }
    found.ok_or(other)
}

/// The parts of a mail, which may have come out of a file whose lines end in a bare LF.
fn parts(mail: &[u8]) -> MimeTree<'_> {
    let mut limits = mime::Limits::default();
    limits.parts = MAX_PARTS;
    limits.line_end = LineEnd::CrlfOrLf;
    MimeTree::parse(mail, &limits)
}

/// Whether the media type is that of a report, in any spelling that is in use.
fn names_itself_report(part: &Part<'_>) -> bool {
    let media = part.content_type();
    let subtypes = ["gzip", "x-gzip", "zip", "x-zip", "x-zip-compressed", "xml"];
    media.is("text", "xml")
        || subtypes
            .into_iter()
            .any(|subtype| media.is("application", subtype))
}

/// Whether these octets are gzip, ZIP or XML.
pub(super) fn is_report(octets: &[u8]) -> bool {
    let without_mark = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    octets.starts_with(&[0x1f, 0x8b])
        || octets.starts_with(b"PK\x03\x04")
        || without_mark.trim_ascii_start().starts_with(b"<")
}
