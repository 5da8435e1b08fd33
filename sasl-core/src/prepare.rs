//! SASLprep (RFC 4013): user names and passwords that look alike become alike before they are hashed or compared.

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization as _;

/// Why a string cannot be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unprepared {
    /// A character that may not stand in the output (RFC 4013 §2.3).
    #[error("a character that SASLprep prohibits (RFC 4013 §2.3)")]
    Prohibited,
    /// Characters of both directions (RFC 3454 §6).
    #[error("right-to-left and left-to-right characters are mixed (RFC 3454 §6)")]
    Bidirectional,
    /// A code point that Unicode 3.2 does not assign, in a string to be stored (RFC 4013 §2.5).
    #[error("a code point that is unassigned in Unicode 3.2 (RFC 4013 §2.5)")]
    Unassigned,
    /// Nothing is left.
    #[error("nothing is left after SASLprep")]
    Empty,
}

/// Prepares what a user has just typed, or a peer has just sent: a "query" (RFC 3454 §7), in which unassigned code points may stand.
///
/// # Errors
///
/// [`Unprepared`] says why not.
pub fn query(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    saslprep(text, true)
}

/// Prepares what will be kept, also in the form of keys: a "stored string" (RFC 3454 §7), without unassigned code points.
///
/// # Errors
///
/// [`Unprepared`] says why not.
pub fn stored(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    saslprep(text, false)
}

fn saslprep(text: &str, unassigned_allowed: bool) -> Result<Cow<'_, str>, Unprepared> {
    if text.is_empty() {
        return Err(Unprepared::Empty);
    }
    // Printable ASCII is its own preparation.
    if text.bytes().all(|octet| matches!(octet, 0x20..=0x7e)) {
        return Ok(Cow::Borrowed(text));
    }
    // RFC 4013 §2.1: "non-ASCII space characters [StringPrep, C.1.2] that can be mapped to SPACE (U+0020)", "the "commonly mapped
    // to nothing" characters [StringPrep, B.1] that can be mapped to nothing."
    let mapped = text
        .chars()
        .map(|c| {
            if tables::non_ascii_space_character(c) {
                ' '
            } else {
                c
            }
        })
        .filter(|&c| !tables::commonly_mapped_to_nothing(c));
    // RFC 4013 §2.2: "This profile specifies using Unicode normalization form KC"
    let prepared: String = mapped.nfkc().collect();
    if prepared.chars().any(is_prohibited) {
        return Err(Unprepared::Prohibited);
    }
    if !unassigned_allowed && prepared.chars().any(tables::unassigned_code_point) {
        return Err(Unprepared::Unassigned);
    }
    if is_mixed(&prepared) {
        return Err(Unprepared::Bidirectional);
    }
    if prepared.is_empty() {
        return Err(Unprepared::Empty);
    }
    Ok(Cow::Owned(prepared))
}

/// RFC 4013 §2.3, table by table.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c) // C.1.2
        || tables::ascii_control_character(c) // C.2.1
        || tables::non_ascii_control_character(c) // C.2.2
        || tables::private_use(c) // C.3
        || tables::non_character_code_point(c) // C.4
        || tables::surrogate_code(c) // C.5
        || tables::inappropriate_for_plain_text(c) // C.6
        || tables::inappropriate_for_canonical_representation(c) // C.7
        || tables::change_display_properties_or_deprecated(c) // C.8
        || tables::tagging_character(c) // C.9
}

/// RFC 3454 §6: "If a string contains any RandALCat character, the string MUST NOT contain any LCat character." and "a RandALCat
/// character MUST be the first character of the string, and a RandALCat character MUST be the last character of the string."
fn is_mixed(text: &str) -> bool {
    if !text.chars().any(tables::bidi_r_or_al) {
        return false;
    }
    text.chars().any(tables::bidi_l)
        || !text.chars().next().is_some_and(tables::bidi_r_or_al)
        || !text.chars().next_back().is_some_and(tables::bidi_r_or_al)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_stored_strings() {
        assert_eq!(query("I\u{ad}X").as_deref(), Ok("IX"));
        assert_eq!(query("\u{ad}"), Err(Unprepared::Empty));
        assert_eq!(query(""), Err(Unprepared::Empty));
        assert_eq!(query("a\u{7}"), Err(Unprepared::Prohibited));
        assert_eq!(query("\u{627}1"), Err(Unprepared::Bidirectional));
        assert_eq!(query("a\u{487}").as_deref(), Ok("a\u{487}"));
        assert_eq!(stored("a\u{487}"), Err(Unprepared::Unassigned));
    }
}
