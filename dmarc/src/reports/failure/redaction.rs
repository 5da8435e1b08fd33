//! Addresses made unrecognizable in what is reported (RFC 6590).

use std::borrow::Cow;

use mail_syntax::header::{Header, Limits, LineEnd};

/// How addresses are made unrecognizable: RFC 6590 wants the same local-part to become the same word each time, and nobody but the
/// reporter to find the way back. So it is a keyed hash, and the key is the caller's.
#[derive(Clone, Copy)]
pub struct Redaction<'a> {
    /// Makes a word of a local-part: of letters, digits, `+`, `/`, `=`, `-` and `_`. Anything else in it is left out.
    pub local_part: &'a dyn Fn(&str) -> String,
}

impl core::fmt::Debug for Redaction<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Redaction")
    }
}

/// Fields in which `@` stands in identifiers, which the Domain Owner needs to find the message.
const IDENTIFIERS: [&str; 5] = [
    "Message-ID",
    "Resent-Message-ID",
    "In-Reply-To",
    "References",
    "Content-ID",
];

impl Redaction<'_> {
    /// An address, its local-part replaced.
    pub(super) fn address(&self, address: &str) -> String {
        match address.rsplit_once('@') {
            Some((local_part, domain)) => format!("{}@{domain}", self.word(local_part)),
            None if address.is_empty() => String::new(),
            None => self.word(address),
        }
    }

    fn word(&self, local_part: &str) -> String {
        let mut word = (self.local_part)(local_part.trim_start_matches('<'));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
        word.retain(is_plain);
        word.truncate(64);
        if local_part.starts_with('<') {
            word.insert(0, '<');
        }
        word
    }

    /// A header block in which each local-part is replaced, wherever it stands.
    pub(super) fn header(&self, block: &[u8]) -> Vec<u8> {
        let limits = Limits::default();
        let Ok((header, _)) = Header::split_with(block, &limits, LineEnd::CrlfOrLf) else {
            // What cannot be taken apart cannot be redacted.
            return b"\r\n".to_vec();
        };
        let mut redacted = Vec::with_capacity(block.len());
        for field in header.fields() {
            let raw = String::from_utf8_lossy(field.raw());
            if IDENTIFIERS.iter().any(|name| field.is(name)) {
                redacted.extend_from_slice(raw.as_bytes());
            } else {
                redacted.extend_from_slice(self.text(&raw).as_bytes());
            }
        }
        redacted.extend_from_slice(b"\r\n");
        redacted
    }

    /// Text in which each local-part before an `@` is replaced.
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut pieces = text.split('@');
        let Some(first) = pieces.next() else {
            return Cow::Borrowed(text);
        };
        let mut redacted = String::with_capacity(text.len());
        let mut before = first;
        let mut has_any = false;
        for piece in pieces {
            has_any = true;
            let (kept, local_part) = before.split_at(local_part_start(before));
            redacted.push_str(kept);
            if !local_part.is_empty() {
                redacted.push_str(&self.word(local_part));
            }
            redacted.push('@');
            before = piece;
        }
        redacted.push_str(before);
        if has_any {
            Cow::Owned(redacted)
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// Where the local-part begins that ends this text: a quoted string, or what no special or white space divides.
fn local_part_start(text: &str) -> usize {
    if let Some(quoted) = text.strip_suffix('"') {
        // Within the quotes an escaped one does not begin it.
        let mut end = quoted.len();
        while let Some(open) = quoted.get(..end).and_then(|text| text.rfind('"')) {
            let escapes = quoted.get(..open).unwrap_or_default();
            if (escapes.len() - escapes.trim_end_matches('\\').len()) % 2 == 0 {
                return open;
            }
            end = open;
        }
    }
    let ends = |c: char| c.is_whitespace() || c.is_control() || "()<>[]:;\\,\"".contains(c);
    text.rfind(ends).map_or(0, |at| {
        at + text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(0, char::len_utf8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_parts_are_replaced_throughout_and_identifiers_are_kept() {
        let hash = |local_part: &str| format!("h{}", local_part.len());
        let redaction = Redaction { local_part: &hash };
        let header = b"Received: from a by b for <users@forwarder.example>;\r\n Tue\r\n\
            To: \"Joe @ home\" <joe@b.example>, =?utf-8?q?x?= <\"a b\\\"c\"@b.example>\r\n\
            X-Original-To: users@forwarder.example\r\nMessage-ID: <keep-me@b.example>\r\n\r\n";
        let redacted = String::from_utf8(redaction.header(header)).unwrap();
        assert_eq!(
            redacted,
            "Received: from a by b for <h5@forwarder.example>;\r\n Tue\r\n\
            To: \"Joe @ home\" <h3@b.example>, =?utf-8?q?x?= <h8@b.example>\r\n\
            X-Original-To: h5@forwarder.example\r\nMessage-ID: <keep-me@b.example>\r\n\r\n"
        );
        assert_eq!(redaction.address("joe@b.example"), "h3@b.example");
        assert_eq!(redaction.address(""), "");
    }

    #[test]
    fn a_hash_cannot_end_a_line() {
        let hash = |_: &str| "a\r\nBcc: b>@".to_owned();
        let redaction = Redaction { local_part: &hash };
        assert_eq!(redaction.address("joe@b.example"), "aBccb@b.example");
    }
}
