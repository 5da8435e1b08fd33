//! Mailbox names, modified UTF-7, and the patterns of LIST.

use crate::InvalidValue;
use base64::Engine as _;
use core::fmt;

/// The name of a mailbox, decoded; `INBOX` in any case is `INBOX`.
///
/// ```
/// use imap_proto::Mailbox;
///
/// let name = Mailbox::from_utf7(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-")?;
/// assert_eq!(name.as_str(), "~peter/mail/台北/日本語");
/// assert_eq!(name.to_utf7(), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
/// assert_eq!(Mailbox::new("inBox")?.as_str(), "INBOX");
/// # Ok::<(), imap_proto::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox(Box<str>);

impl Mailbox {
    /// Takes a decoded name.
    ///
    /// # Errors
    ///
    /// For control characters (RFC 9051 §5.1: names follow Net-Unicode, and need not be accepted otherwise).
    pub fn new(name: &str) -> Result<Self, InvalidValue> {
        if name.chars().any(char::is_control) || name.contains(['\u{2028}', '\u{2029}']) {
            return Err(InvalidValue::new(
                "mailbox name",
                "control characters are not allowed (RFC 9051 §5.1)",
            ));
        }
        if name.eq_ignore_ascii_case("INBOX") {
            return Ok(Self("INBOX".into()));
        }
        Ok(Self(name.into()))
    }

    /// Takes a name in modified UTF-7 (RFC 3501 §5.1.3), or in UTF-8 where it has octets above 127.
    ///
    /// # Errors
    ///
    /// For what is neither, and as for [`Mailbox::new`].
    pub fn from_utf7(octets: &[u8]) -> Result<Self, InvalidValue> {
        let text = core::str::from_utf8(octets)
            .map_err(|_| InvalidValue::new("mailbox name", "UTF-8 is needed"))?;
        if !text.is_ascii() {
            return Self::new(text);
        }
        Self::new(&decode_utf7(text)?)
    }

    /// The decoded name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in modified UTF-7.
    #[must_use]
    pub fn to_utf7(&self) -> String {
        encode_utf7(&self.0)
    }

    /// Whether it is the mailbox that every user has.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }
}

impl core::str::FromStr for Mailbox {
    type Err = InvalidValue;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// RFC 3501 §5.1.3: "modified BASE64, with a further modification from [UTF-7] that "," is used instead of "/"."; no padding.
const ALPHABET: base64::alphabet::Alphabet = base64::alphabet::IMAP_MUTF7;
const ENGINE: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &ALPHABET,
    base64::engine::GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Decodes modified UTF-7.
///
/// # Errors
///
/// For an unended or empty shift, bad base64, half a surrogate pair, or characters that had to stand for themselves: so each name
/// has one spelling only.
pub fn decode_utf7(text: &str) -> Result<String, InvalidValue> {
    let bad = |why| InvalidValue::new("modified UTF-7", why);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_shift = false;
    while let Some((plain, shifted)) = rest.split_once('&') {
        out.push_str(plain);
        let (code, tail) = shifted
            .split_once('-')
            .ok_or_else(|| bad("'&' needs its '-'"))?;
        rest = tail;
        if code.is_empty() {
            out.push('&');
            after_shift = false;
            continue;
        }
        // RFC 3501 §5.1.3: "null shifts ("-&" while in BASE64; note that "&-" while in US-ASCII means "&") are not permitted".
        if after_shift && plain.is_empty() {
            return Err(bad("a null shift is not permitted"));
        }
        let octets = ENGINE
            .decode(code)
            .map_err(|_| bad("its base64 is not valid"))?;
        if octets.len() % 2 != 0 {
            return Err(bad("half a UTF-16 unit"));
        }
        let units = octets.chunks_exact(2).map(|pair| {
            u16::from_be_bytes([
                pair.first().copied().unwrap_or(0),
                pair.get(1).copied().unwrap_or(0),
            ])
        });
        for unit in char::decode_utf16(units) {
            let character = unit.map_err(|_| bad("half a surrogate pair"))?;
            // "Modified BASE64 MUST NOT be used to represent any printing US-ASCII character which can represent itself."
            if matches!(character, ' '..='~') {
                return Err(bad("a printable ASCII character stands for itself"));
            }
            out.push(character);
        }
        after_shift = true;
    }
    out.push_str(rest);
    Ok(out)
}

/// Encodes as modified UTF-7.
#[must_use]
pub fn encode_utf7(text: &str) -> String {
    fn flush(units: &mut Vec<u8>, out: &mut String) {
        if !units.is_empty() {
            out.push('&');
            ENGINE.encode_string(&*units, out);
            out.push('-');
            units.clear();
        }
    }
    let (mut out, mut units) = (String::with_capacity(text.len()), Vec::new());
    for character in text.chars() {
        match character {
            '&' => {
                flush(&mut units, &mut out);
                out.push_str("&-");
            }
            ' '..='~' => {
                flush(&mut units, &mut out);
                out.push(character);
            }
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    units.extend_from_slice(&unit.to_be_bytes());
                }
            }
        }
    }
    flush(&mut units, &mut out);
    out
}

/// Whether `name` fits a pattern of LIST: `*` is anything, `%` anything without the delimiter (RFC 9051 §6.3.9).
///
/// Takes steps linear in the name times the number of `*`-separated pieces at worst, never exponential: it goes back to the last `*`
/// and the last `%` only. `INBOX` in the pattern fits without case.
///
/// ```
/// use imap_proto::list_pattern_matches as fits;
///
/// assert!(fits("%", "work", Some('/')) && !fits("%", "work/2026", Some('/')));
/// assert!(fits("*", "work/2026", Some('/')) && fits("w%/2*6", "work/2026", Some('/')));
/// assert!(fits("inbox", "INBOX", Some('/')));
/// ```
#[must_use]
pub fn list_pattern_matches(pattern: &str, name: &str, delimiter: Option<char>) -> bool {
    let name: Vec<char> = name.chars().collect();
    let pattern: Vec<char> = if pattern.eq_ignore_ascii_case("INBOX") {
        "INBOX".chars().collect()
    } else {
        pattern.chars().collect()
    };
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut percent: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                star = Some((p, n));
                percent = None;
                p += 1;
            }
            (Some('%'), _) => {
                percent = Some((p, n));
                p += 1;
            }
            (Some(a), Some(b)) if a == b => {
                p += 1;
                n += 1;
            }
            (None, None) => return true,
            _ => {
                // One more character for the last '%', if it may take it; else for the last '*'.
                if let Some((at, from)) = percent
                    && name.get(from).is_some_and(|next| Some(*next) != delimiter)
                {
                    percent = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                } else if let Some((at, from)) = star
                    && from < name.len()
                {
                    star = Some((at, from + 1));
                    percent = None;
                    (p, n) = (at + 1, from + 1);
                } else {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_utf7() {
        for bad in [
            "&",
            "&A",
            "&AGE-",
            "&2AA-",
            "&Jjo!",
            "&U,BTFw-&ZeVnLIqe-",
            "&AA-",
        ] {
            assert!(Mailbox::from_utf7(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Mailbox::from_utf7(b"a&-b").unwrap().as_str(), "a&b");
        assert!(Mailbox::new("a\r\nb").is_err());
    }

    /// What the pattern means, said by recursion.
    fn reference(pattern: &[char], name: &[char], delimiter: char) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((wild @ ('*' | '%'), rest)) => (0..=name.len())
                .take_while(|taken| *wild == '*' || !name[..*taken].contains(&delimiter))
                .any(|taken| reference(rest, &name[taken..], delimiter)),
            Some((first, rest)) => {
                name.first() == Some(first) && reference(rest, &name[1..], delimiter)
            }
        }
    }

    proptest! {
        #[test]
        fn utf7_round_trip(name in "[ -~é台&\u{1F600}-]{0,12}") {
            prop_assert_eq!(decode_utf7(&encode_utf7(&name)).unwrap(), name);
        }

        #[test]
        fn patterns(pattern in "[ab/*%]{0,7}", name in "[ab/]{0,7}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(
                list_pattern_matches(&pattern, &name, Some('/')),
                reference(&chars(&pattern), &chars(&name), '/')
            );
        }
    }
}
