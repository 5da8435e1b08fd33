//! The three charsets that need no tables.

/// Decodes octets to text; `None` for another charset than UTF-8, US-ASCII and ISO-8859-1. Octets that are wrong in their
/// charset become U+FFFD. No charset at all means UTF-8.
pub(super) fn decode(charset: &str, octets: &[u8]) -> Option<String> {
    match &*charset.to_ascii_lowercase() {
        "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => {
            Some(String::from_utf8_lossy(octets).into_owned())
        }
        "iso-8859-1" | "latin1" => Some(octets.iter().copied().map(char::from).collect()),
        _ => None,
    }
}
