//! Encoded words in header fields: `=?utf-8?Q?J=C3=B6rg?=` (RFC 2047).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::charset;

/// The longest encoded word that is decoded. RFC 2047 §2 says 75; longer ones are common.
const MAX_WORD: usize = 998;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes the encoded words in unstructured text or a display name; everything else stays as it is.
///
/// White space between two encoded words is dropped, and neighbours in one charset are joined before they are decoded, so that a
/// character cut in two is whole again. Words in a charset other than UTF-8, US-ASCII and ISO-8859-1 stay encoded. Control
/// characters in what was decoded become U+FFFD: a decoded name never holds a line break.
///
/// ```
/// use mail_syntax::mime::decode_words;
/// assert_eq!(decode_words("=?utf-8?Q?J=C3?= =?UTF-8*de?b?tnJn?= (home)"), "Jörg (home)");
/// ```
#[must_use]
pub fn decode_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut pending: Option<(&str, Vec<u8>)> = None;
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        let Some((word, behind)) = Word::parse(from) else {
            flush(&mut pending, &mut out);
            out.push_str(before);
            out.push_str("=?");
            rest = &from[2..];
            continue;
        };
        let adjacent = pending.is_some()
            && before
                .chars()
                .all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        match &mut pending {
            Some((charset, octets)) if adjacent && charset.eq_ignore_ascii_case(word.charset) => {
                octets.extend(word.octets);
            }
            _ => {
                flush(&mut pending, &mut out);
                if !adjacent {
                    out.push_str(before);
                }
                pending = Some((word.charset, word.octets));
            }
        }
        rest = behind;
    }
    flush(&mut pending, &mut out);
    out.push_str(rest);
    out
}

fn flush(pending: &mut Option<(&str, Vec<u8>)>, out: &mut String) {
    if let Some((charset, octets)) = pending.take() {
        // `Word::parse` takes only charsets that are known.
        let text = charset::decode(charset, &octets).unwrap_or_default();
        out.extend(
            text.chars()
                .map(|c| if c.is_control() { '\u{fffd}' } else { c }),
        );
    }
}

struct Word<'a> {
    charset: &'a str,
    octets: Vec<u8>,
}

impl<'a> Word<'a> {
    /// RFC 2047 §2: `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="`
    fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let window = text.as_bytes().get(..MAX_WORD.min(text.len()))?;
        let (charset_at, encoding_at) = (2, 2 + memchr::memchr(b'?', &window[2..])? + 1);
        // `?` is ASCII, so every slice below falls between characters.
        let text_at = encoding_at + 2;
        if window.get(encoding_at + 1) != Some(&b'?') {
            return None;
        }
        let end = text_at
            + window
                .get(text_at..)?
                .iter()
                .position(|c| matches!(c, b'?' | b' ' | b'\t' | b'\r' | b'\n'))?;
        let behind = text.get(end..)?.strip_prefix("?=")?;
        // RFC 2231 §5: `charset*language`.
        let charset = text.get(charset_at..encoding_at - 1)?.split('*').next()?;
        charset::decode(charset, b"").filter(|_| !charset.is_empty())?;
        let encoded = text.get(text_at..end)?;
        let octets = match window[encoding_at].to_ascii_lowercase() {
            b'b' => BASE64.decode(encoded).ok()?,
            b'q' => decode_q(encoded),
            _ => return None,
        };
        Some((Self { charset, octets }, behind))
    }
}

/// RFC 2047 §4.2: as quoted-printable, with `_` for a space.
fn decode_q(text: &str) -> Vec<u8> {
    let octets = text.as_bytes();
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let pair = octets
            .get(at + 1..at + 3)
            .and_then(super::transfer::hex_pair);
        match (octet, pair) {
            (b'=', Some(value)) => {
                decoded.push(value);
                at += 2;
            }
            (b'_', _) => decoded.push(b' '),
            (octet, _) => decoded.push(octet),
        }
        at += 1;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc2047_section_8() {
        for (encoded, decoded) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?_b?=)", "(a b)"),
            (
                "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=",
                "Keld Jørn Simonsen",
            ),
        ] {
            assert_eq!(decode_words(encoded), decoded);
        }
    }

    #[test]
    fn what_is_no_word_stays() {
        for text in [
            "",
            "plain",
            "=?",
            "=?utf-8?q?",
            "=?utf-8?q?a b?=",
            "=?x-unknown?q?a?=",
            "=?utf-8?x?a?=",
            "=?utf-8?b?!?=",
            "=??q?a?=",
        ] {
            assert_eq!(decode_words(text), text);
        }
        assert_eq!(
            decode_words("=?utf-8?q?a=0D=0ABcc:_x?="),
            "a\u{fffd}\u{fffd}Bcc: x"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "([=?_ ü]|utf-8|q|b|=41){0,20}") {
            let _ = decode_words(&text);
        }
    }
}
