//! Decoding of base64 and quoted-printable bodies, as a stream (RFC 2045 §6.7, §6.8).

use super::TransferEncoding;

/// Decodes the body of a part, whatever pieces it comes in.
///
/// Never fails: octets that are no base64 are passed over and `=` that begins no escape stays as it is, as RFC 2045 §6.7 and §6.8
/// advise. Holds less than a line of white space at a time. Bodies in 7bit, 8bit, binary or an unknown encoding pass through.
///
/// ```
/// use mail_syntax::mime::{TransferDecoder, TransferEncoding};
/// let mut decoder = TransferDecoder::new(&TransferEncoding::QuotedPrintable);
/// let mut text = Vec::new();
/// decoder.push(b"J=C3=B6=\r", &mut text);
/// decoder.push(b"\nrg  \r\n", &mut text);
/// decoder.finish(&mut text);
/// assert_eq!(text, "Jörg\r\n".as_bytes());
/// ```
#[derive(Debug, Clone)]
pub struct TransferDecoder(State);

#[derive(Debug, Clone)]
enum State {
    Identity,
    /// The bits that do not fill an octet yet, how many they are, and whether padding ended the data.
    Base64 {
        bits: u32,
        count: u32,
        ended: bool,
    },
    /// What may be a soft line break, an escape, or white space at the end of a line.
    QuotedPrintable {
        held: Vec<u8>,
    },
}

/// The longest run of white space held back in case a line ends behind it: lines of quoted-printable have 76 octets at most, and
/// a longer run than a legal line is text.
const MAX_HELD: usize = 998;

impl TransferDecoder {
    /// A decoder for one body.
    #[must_use]
    pub fn new(encoding: &TransferEncoding) -> Self {
        Self(match encoding {
            TransferEncoding::Base64 => State::Base64 {
                bits: 0,
                count: 0,
                ended: false,
            },
            TransferEncoding::QuotedPrintable => State::QuotedPrintable { held: Vec::new() },
            _ => State::Identity,
        })
    }

    /// Decodes more octets and appends the result to `out`.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            State::Identity => out.extend_from_slice(octets),
            State::Base64 { bits, count, ended } => {
                for &octet in octets {
                    if *ended {
                        return;
                    }
                    if octet == b'=' {
                        *ended = true;
                    } else if let Some(value) = base64_value(octet) {
                        *bits = *bits << 6 | value;
                        *count += 6;
                        if *count >= 8 {
                            *count -= 8;
                            out.push((*bits >> *count & 0xff) as u8);
                            *bits &= (1 << *count) - 1;
                        }
                    }
                }
            }
            State::QuotedPrintable { held } => {
                for &octet in octets {
                    quoted_printable(held, octet, out);
                }
            }
        }
    }

    /// Ends the body: what was held back is text after all, white space at the very end aside.
    pub fn finish(self, out: &mut Vec<u8>) {
        if let State::QuotedPrintable { held } = self.0 {
            out.extend_from_slice(match held.as_slice() {
                // A soft line break at the end of the body.
                [b'=', rest @ ..] if rest.trim_ascii().is_empty() => b"",
                [b'=', ..] => &held,
                held => held.trim_ascii_end(),
            });
        }
    }
}

/// Decodes a whole body.
#[must_use]
pub fn decode(encoding: &TransferEncoding, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut decoder = TransferDecoder::new(encoding);
    decoder.push(body, &mut out);
    decoder.finish(&mut out);
    out
}

fn base64_value(octet: u8) -> Option<u32> {
    Some(u32::from(match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// One octet of quoted-printable. `held` is empty, white space, `=` with what may follow it, or white space and a CR.
fn quoted_printable(held: &mut Vec<u8>, octet: u8, out: &mut Vec<u8>) {
    match (held.first(), octet) {
        (None, b'=' | b' ' | b'\t' | b'\r') => held.push(octet),
        (None, _) => out.push(octet),
        (Some(b'='), b'\n') if held[1..].iter().all(|c| matches!(c, b' ' | b'\t' | b'\r')) => {
            held.clear();
        }
        (Some(b'='), _) => escape(held, octet, out),
        // RFC 2045 §6.7 (3): "any trailing white space on a line must be deleted, as it will necessarily have been added by
        // intermediate transport agents."
        (Some(_), b'\n') => {
            out.extend_from_slice(if held.ends_with(b"\r") {
                b"\r\n"
            } else {
                b"\n"
            });
            held.clear();
        }
        (Some(_), b' ' | b'\t' | b'\r') if held.len() < MAX_HELD && !held.ends_with(b"\r") => {
            held.push(octet);
        }
        (Some(_), _) => {
            out.append(held);
            quoted_printable(held, octet, out);
        }
    }
}

/// An octet behind `=`: of two hexadecimal digits, of white space before a soft line break, or of neither.
fn escape(held: &mut Vec<u8>, octet: u8, out: &mut Vec<u8>) {
    let fits = match held.as_slice() {
        [_] => octet.is_ascii_hexdigit() || matches!(octet, b' ' | b'\t' | b'\r'),
        [_, first] if first.is_ascii_hexdigit() => octet.is_ascii_hexdigit(),
        [.., b'\r'] => false,
        _ => matches!(octet, b' ' | b'\t' | b'\r') && held.len() < MAX_HELD,
    };
    if !fits {
        // RFC 2045 §6.7: a robust implementation will "include the "=" character and the following character in the decoded
        // data without any transformation".
        out.append(held);
        return quoted_printable(held, octet, out);
    }
    held.push(octet);
    if let Some(value) = held.get(1..3).and_then(hex_pair) {
        out.push(value);
        held.clear();
    }
}

pub(super) fn hex_pair(digits: &[u8]) -> Option<u8> {
    match digits {
        [high, low] => {
            let digit = |c: u8| char::from(c).to_digit(16);
            u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use proptest::prelude::*;

    #[test]
    fn quoted_printable_bodies() {
        for (encoded, decoded) in [
            ("a=3Db", "a=b"),
            ("a=3db", "a=b"),
            ("soft=\r\nbreak", "softbreak"),
            ("soft= \t\r\nbreak", "softbreak"),
            ("soft=\nbreak", "softbreak"),
            ("trailing \t\r\nx", "trailing\r\nx"),
            ("inner  space", "inner  space"),
            ("bad=XYZ", "bad=XYZ"),
            ("bad=4", "bad=4"),
            ("bad=4=41", "bad=4A"),
            ("end=", "end"),
            ("end=\r\n", "end"),
            ("end  ", "end"),
            ("a\rb", "a\rb"),
            ("a \r \r\nb", "a \r\r\nb"),
            ("==3D", "=="),
        ] {
            assert_eq!(
                decode(&TransferEncoding::QuotedPrintable, encoded.as_bytes()),
                decoded.as_bytes(),
                "{encoded:?}"
            );
        }
    }

    #[test]
    fn base64_bodies() {
        for (encoded, decoded) in [
            ("aGk=", "hi"),
            ("aG\r\nk", "hi"),
            ("a!G?k=", "hi"),
            ("aGk=aGk=", "hi"),
            ("", ""),
            ("a", ""),
        ] {
            assert_eq!(
                decode(&TransferEncoding::Base64, encoded.as_bytes()),
                decoded.as_bytes(),
                "{encoded:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn base64_round_trip(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&octets);
            prop_assert_eq!(decode(&TransferEncoding::Base64, encoded.as_bytes()), octets);
        }

        #[test]
        fn cuts_change_nothing(body in "[= \t\r\nA4x]{0,40}", cut in 0usize..40) {
            for encoding in [TransferEncoding::QuotedPrintable, TransferEncoding::Base64] {
                let (first, second) = body.as_bytes().split_at(cut.min(body.len()));
                let mut decoder = TransferDecoder::new(&encoding);
                let mut out = Vec::new();
                decoder.push(first, &mut out);
                decoder.push(second, &mut out);
                decoder.finish(&mut out);
                prop_assert_eq!(out, decode(&encoding, body.as_bytes()));
            }
        }
    }
}
