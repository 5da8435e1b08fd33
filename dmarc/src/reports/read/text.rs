//! The text of an element: references resolved, bounded, as UTF-8.

use std::borrow::Cow;

use memchr::memchr;

use super::Defect;

/// The text of the element that is open, collected in a buffer that is used again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    octets: Vec<u8>,
    limit: usize,
    is_cut: bool,
}

impl Text {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.is_cut = false;
    }

    /// Adds octets as they stand.
    #[inline]
    pub(super) fn verbatim(&mut self, octets: &[u8]) {
        let octets = if self.octets.is_empty() {
            octets.trim_ascii_start()
        } else {
            octets
        };
        let room = self.limit.saturating_sub(self.octets.len());
        match octets.get(..room) {
            // White space behind the text is no part of it, and no reason to call it cut.
            Some(fitting) if octets.len() > room => {
                self.is_cut |= !octets
                    .get(room..)
                    .unwrap_or_default()
                    .trim_ascii()
                    .is_empty();
                self.octets.extend_from_slice(fitting);
            }
            _ => self.octets.extend_from_slice(octets),
        }
    }

    /// Adds text in which references stand for characters; false if one is of an entity that XML does not have.
    #[inline]
    pub(super) fn escaped(&mut self, mut octets: &[u8]) -> bool {
        let mut all_known = true;
        while let Some(ampersand) = memchr(b'&', octets) {
            self.verbatim(octets.get(..ampersand).unwrap_or_default());
            octets = octets.get(ampersand..).unwrap_or_default();
            // The longest reference is `&#x10FFFF;`.
            let end = memchr(b';', octets.get(..12).unwrap_or(octets));
            let reference = end.and_then(|end| octets.get(1..end));
            if let (Some(end), Some(character)) = (end, reference.and_then(character)) {
                self.verbatim(character.encode_utf8(&mut [0; 4]).as_bytes());
                octets = octets.get(end + 1..).unwrap_or_default();
            } else {
                all_known = false;
                self.verbatim(b"&");
                octets = octets.get(1..).unwrap_or_default();
            }
        }
        self.verbatim(octets);
        all_known
    }

    /// The octets without white space around them.
    #[inline]
    pub(super) fn trimmed(&self) -> &[u8] {
        self.octets.trim_ascii()
    }

    /// The text without white space around it, and what was wrong.
    #[inline]
    pub(super) fn as_str(&self) -> (Cow<'_, str>, Option<Defect>) {
        let octets = self.trimmed();
        if let Ok(text) = core::str::from_utf8(octets) {
            return (Cow::Borrowed(text), self.is_cut.then_some(Defect::TooLong));
        }
        // What was cut may end within a character; that is not the reporter's fault.
        let complete = core::str::from_utf8(octets).map_or_else(
            |error| error.error_len().is_some() || !self.is_cut,
            |_| false,
        );
        let text = String::from_utf8_lossy(octets);
        if complete {
            (text, Some(Defect::NotUtf8))
        } else {
            let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
            (Cow::Owned(text.into()), Some(Defect::TooLong))
        }
    }
}

/// The character of a reference, without `&` and `;`.
fn character(reference: &[u8]) -> Option<char> {
    match reference {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', digits @ ..] => {
            let digits = core::str::from_utf8(digits).ok()?;
            let code = match digits.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&[u8]], limit: usize) -> (String, Option<Defect>, bool) {
        let mut text = Text::new(limit);
        let mut known = true;
        for piece in pieces {
            known &= text.escaped(piece);
        }
        let (text, defect) = text.as_str();
        (text.into_owned(), defect, known)
    }

    #[test]
    fn references_are_resolved_once_and_no_others() {
        assert_eq!(
            of(&[b" a &amp;lt; &#x4E;&#79; &quot;&apos; "], 99),
            ("a &lt; NO \"'".into(), None, true)
        );
        assert_eq!(of(&[b"&lol9;x"], 99), ("&lol9;x".into(), None, false));
        assert_eq!(of(&[b"a & b"], 99), ("a & b".into(), None, false));
        assert_eq!(of(&[b"&#xD800;"], 99), ("&#xD800;".into(), None, false));
        assert_eq!(of(&[b"&#99999999999;"], 99).1, None);
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character() {
        assert_eq!(of(&[b"abc", b"def"], 6), ("abcdef".into(), None, true));
        assert_eq!(of(&[b"abcdef  \n"], 6), ("abcdef".into(), None, true));
        assert_eq!(
            of(&[b"abc", b"def"], 5),
            ("abcde".into(), Some(Defect::TooLong), true)
        );
        assert_eq!(
            of(&["ab\u{e9}".as_bytes()], 3),
            ("ab".into(), Some(Defect::TooLong), true)
        );
        assert_eq!(
            of(&[b"ab\xe9c"], 9),
            ("ab\u{fffd}c".into(), Some(Defect::NotUtf8), true)
        );
    }
}
