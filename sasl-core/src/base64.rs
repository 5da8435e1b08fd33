//! Base64 as SASL is carried in SMTP, IMAP and POP3: RFC 4648 §4, strictly, into memory that is wiped.

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use mail_wire::Secret;

/// What was sent is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64 (RFC 4648 §4): padding, stray bits and other characters are checked")]
pub struct InvalidBase64;

/// Decodes: no line ends or other foreign characters, padding as it must be, no stray bits.
///
/// # Errors
///
/// [`InvalidBase64`] for anything else; what was decoded until then is wiped.
pub fn decode(text: &[u8]) -> Result<Secret<Vec<u8>>, InvalidBase64> {
    let mut octets = Secret::new(vec![0; ::base64::decoded_len_estimate(text.len())]);
    let length = STANDARD
        .decode_slice(text, octets.expose_secret_mut())
        .map_err(|_| InvalidBase64)?;
    octets.expose_secret_mut().truncate(length);
    Ok(octets)
}

/// Encodes, with padding.
#[must_use]
pub fn encode(octets: &[u8]) -> Secret<String> {
    let mut text = Secret::new(String::with_capacity(octets.len().div_ceil(3) * 4));
    STANDARD.encode_string(octets, text.expose_secret_mut());
    text
}

/// Decodes an initial response: `=` stands for one that is there and empty.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_initial(text: &[u8]) -> Result<Secret<Vec<u8>>, InvalidBase64> {
    // RFC 5034 §4: "If the client needs to send a zero-length initial response, it MUST transmit the response as a single equals
    // sign ("=")."
    if text == b"=" {
        return Ok(Secret::new(Vec::new()));
    }
    decode(text)
}

/// Encodes an initial response; an empty one as `=`.
#[must_use]
pub fn encode_initial(octets: &[u8]) -> Secret<String> {
    if octets.is_empty() {
        return Secret::new("=".to_owned());
    }
    encode(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict() {
        for (text, want) in [
            (&b""[..], Some(&b""[..])),
            (b"AGEAYg==", Some(b"\0a\0b")),
            (b"AGEAYg=", None),
            (b"AGEAYg", None),
            (b"AGEAYh==", None),
            (b"AGEA Yg==", None),
            (b"AGEAYg==\r\n", None),
            (b"AGEA_-==", None),
            (b"=", None),
            (b"*", None),
        ] {
            let got = decode(text).ok();
            assert_eq!(got.as_ref().map(|octets| &octets.expose_secret()[..]), want);
        }
        assert!(decode_initial(b"=").unwrap().expose_secret().is_empty());
        assert_eq!(encode_initial(b"").expose_secret(), "=");
        assert_eq!(encode(b"\0a\0b").expose_secret(), "AGEAYg==");
    }
}
