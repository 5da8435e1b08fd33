//! Text of strangers, as part of a key and in a log: bounded, and without case.

use core::fmt::{self, Write as _};

use mail_syntax::mailbox::MAX_PATH;

/// A text in lower case, as a part of a key. The first 256 octets count, as many as an address has (RFC 5321 §4.5.3.1.3).
pub(crate) struct Lower {
    octets: [u8; MAX_PATH],
    length: usize,
}

impl Lower {
    pub(crate) fn new(text: &str) -> Self {
        Self::with_numbers_alike(text, 0)
    }

    /// A domain, with a dot at its end or without.
    pub(crate) fn domain(name: &str) -> Self {
        Self::new(name.strip_suffix('.').unwrap_or(name))
    }

    /// Each number in the first `end` octets becomes one `#`.
    pub(crate) fn with_numbers_alike(text: &str, end: usize) -> Self {
        let mut lower = Self {
            octets: [0; MAX_PATH],
            length: 0,
        };
        for (at, octet) in text.bytes().enumerate().take(MAX_PATH) {
            let digit = at < end && octet.is_ascii_digit();
            if digit && lower.octets().last() == Some(&b'#') {
                continue;
            }
            // No more octets are taken than there is room for.
            lower.octets[lower.length] = if digit {
                b'#'
            } else {
                octet.to_ascii_lowercase()
            };
            lower.length += 1;
        }
        lower
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// A text that somebody else chose, as the content of a quoted string: printable ASCII, quotes and backslashes behind a backslash.
pub(crate) struct Harmless<'a>(pub(crate) &'a str);

/// Octets of another's text that are printed: enough for every reason one can read, and three of them stay below 998 in a header line.
const MAX_PRINTED: usize = 200;

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.chars().enumerate() {
            match character {
                _ if at == MAX_PRINTED => return f.write_str("..."),
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => f.write_char(character)?,
                _ => f.write_char('?')?,
            }
        }
        Ok(())
    }
}

/// A text that was made for printing, in which others' stands in quotes already: printable ASCII, at most as long as a name and the word for it.
pub(crate) struct Line<'a>(pub(crate) &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars().take(2 * MAX_PRINTED);
        characters.try_for_each(|character| match character {
            ' '..='~' => f.write_char(character),
            _ => f.write_char('?'),
        })
    }
}

/// Such a text of somebody else in its quotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Harmless(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_of_a_text() {
        let long = "ü".repeat(5_000);
        for (text, end, expected) in [
            ("", 9, ""),
            ("A1b22C333", 0, "a1b22c333"),
            ("A1b22C333", 5, "a#b#c333"),
            ("12#3", 4, "##"),
            (&long, 4, &long[..256]),
        ] {
            let lower = Lower::with_numbers_alike(text, end);
            assert_eq!(lower.octets(), expected.as_bytes());
        }
        assert_eq!(Lower::domain("Example.org.").octets(), b"example.org");
    }

    #[test]
    fn logs_are_safe() {
        let hostile = Quoted("a\r\nX: \u{1b}[2J\"").to_string();
        assert_eq!(hostile, r#""a??X: ?[2J\"""#);
        assert!(Quoted(&"ü".repeat(5_000)).to_string().len() < 300);
        assert_eq!(Line("HELO \"a\"\r\n\u{202e}").to_string(), r#"HELO "a"???"#);
        assert!(Line(&"ü".repeat(5_000)).to_string().len() <= 400);
    }
}
