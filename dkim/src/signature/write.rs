//! Writing a signature: folded, the value of `b=` last, so that all before it can be signed.

use base64::Engine as _;
use mail_syntax::folding::{FieldWriter, FoldError};

use super::{BASE64, FIELD_NAME, Signature};
use crate::quoted_printable;

/// Octets of a field without `z=`, about: names and their tags, and a signature by an RSA key of 2048 bits.
const USUAL: usize = 1024;

/// Octets of a field without `z=` up to the value of its `b=`, about.
pub(crate) const USUAL_UNSIGNED: usize = 512;

impl Signature {
    /// Prints the field, folded at 78 columns and with its CRLF.
    ///
    /// # Errors
    /// [`FoldError`] if a name in it does not fit into a line.
    pub fn to_field(&self) -> Result<String, FoldError> {
        finish_field(self.unsigned_field()?, &self.octets)
    }

    /// The field up to `b=`, to which its value is added last.
    pub(crate) fn unsigned_field(&self) -> Result<FieldWriter, FoldError> {
        let mut field = FieldWriter::with_capacity(FIELD_NAME, USUAL)?;
        field.word("v=1;");
        self.write_tags(&mut field);
        Ok(field)
    }

    /// Writes the tags from `a=` to `b=`, which is left empty.
    pub(crate) fn write_tags(&self, field: &mut FieldWriter) {
        field.word_parts(&["a=", self.algorithm.name(), ";"]);
        let (header, body) = (self.header_canonicalization, self.body_canonicalization);
        field.word_parts(&["c=", header.name(), "/", body.name(), ";"]);
        field.word_parts(&["d=", self.domain.as_str(), ";"]);
        field.word_parts(&["s=", self.selector.as_str(), ";"]);
        if let Some(identity) = &self.identity {
            let identity = quoted_printable::encode(identity.to_string().as_bytes());
            field.word_parts(&["i=", &identity, ";"]);
        }
        for (tag, value) in [
            ("t=", self.timestamp),
            ("x=", self.expiration),
            ("l=", self.body_length),
        ] {
            if let Some(value) = value {
                field.word_parts(&[tag, decimal(value, &mut [0; 20]), ";"]);
            }
        }
        self.write_signed_fields(field);
        for (at, (name, value)) in self.copied_fields.iter().enumerate() {
            let start = if at == 0 { "z=" } else { "|" };
            field.word_parts(&[start, name, ":"]);
            field.anywhere(&quoted_printable::encode(value));
        }
        if !self.copied_fields.is_empty() {
            field.anywhere(";");
        }
        field.word("bh=");
        write_base64(field, &self.body_hash);
        field.anywhere(";");
        field.word("b=");
    }

    /// Writes `h=`, several names to a word so that white space stands only where the line is folded.
    fn write_signed_fields(&self, field: &mut FieldWriter) {
        const WORD: usize = 64;
        let mut tag = "h=";
        for names in self.signed_fields.words(WORD, tag.len()) {
            let end = if names.ends_with(':') { "" } else { ";" };
            field.word_parts(&[tag, names, end]);
            tag = "";
        }
    }
}

/// Adds the value of `b=`.
pub(crate) fn finish_field(mut field: FieldWriter, octets: &[u8]) -> Result<String, FoldError> {
    write_base64(&mut field, octets);
    field.finish()
}

/// The digits of a number, of which none has more than there is room for.
fn decimal(mut number: u64, room: &mut [u8; 20]) -> &str {
    let mut start = room.len();
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    room.get(start..)
        .and_then(|digits| str::from_utf8(digits).ok())
        .unwrap_or_default()
}

/// Writes octets in base64, folded anywhere.
fn write_base64(field: &mut FieldWriter, octets: &[u8]) {
    // Multiples of three, so that only the last piece is padded.
    for piece in octets.chunks(48) {
        let mut text = [0; 64];
        // 64 octets are what 48 become, and base64 is ASCII.
        if let Ok(length) = BASE64.encode_slice(piece, &mut text)
            && let Some(Ok(text)) = text.get(..length).map(str::from_utf8)
        {
            field.anywhere(text);
        }
    }
}
