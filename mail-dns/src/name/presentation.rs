//! Names as text: in zone files, and for people.

use core::fmt;
use core::str::FromStr;

use super::{Builder, MAX_LABEL, Name, NameError};

/// The presentation form of RFC 1035 §5.1: dots between labels, `\.` for a dot within one, `\DDD` for any octet; the final dot
/// changes nothing.
///
/// Characters beyond ASCII are taken as their UTF-8 octets; turning them into A-labels is the caller's part.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text == "." {
            return Ok(Self::root());
        }
        let mut builder = Builder::default();
        let mut label = Vec::new();
        let (mut label_at, mut at) = (0, 0);
        let octets = text.as_bytes();
        while let Some(&octet) = octets.get(at) {
            at += 1;
            match octet {
                b'.' => {
                    builder.label(&label, label_at)?;
                    label.clear();
                    label_at = at;
                    continue;
                }
                b'\\' => {
                    let (octet, length) =
                        escape(&octets[at..]).ok_or(NameError::BadEscape { at: at - 1 })?;
                    label.push(octet);
                    at += length;
                }
                octet => label.push(octet),
            }
            if label.len() > MAX_LABEL {
                return Err(NameError::LabelTooLong { at: label_at });
            }
        }
        if label_at < octets.len() {
            builder.label(&label, label_at)?;
        }
        Ok(builder.name())
    }
}

/// What stands behind a backslash (RFC 1035 §5.1): the octet it means, and how many octets of text that took.
pub(crate) fn escape(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = u32::from(a - b'0') * 100 + u32::from(b - b'0') * 10 + u32::from(c - b'0');
            Some((u8::try_from(value).ok()?, 3))
        }
        [b'0'..=b'9', ..] | [] => None,
        [octet, ..] => Some((*octet, 1)),
    }
}

/// The presentation form without a final dot; the root is a dot.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.is_root() {
            return f.write_char('.');
        }
        for (number, label) in self.labels().enumerate() {
            if number > 0 {
                f.write_char('.')?;
            }
            for &octet in label {
                match octet {
                    // The characters that mean something in a zone file (RFC 1035 §5.1).
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        f.write_char('\\')?;
                        f.write_char(char::from(octet))?;
                    }
                    b'!'..=b'~' => f.write_char(char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}
