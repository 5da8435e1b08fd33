//! Fields of others that bear our name, which a border server removes (RFC 8601 §5).

use super::{AuthenticationResults, NAME};
#[cfg(feature = "idna")]
use crate::domain::MAX_DOMAIN;
use crate::header::{Field, Header};
use crate::lexer::{LexError, Lexer};

/// The fields of a header that claim to come from this server, and that a border server must remove (RFC 8601 §5).
///
/// Every reading counts in which our name is the server's, however wide: it stands as a word before the first semicolon, outside of comments,
/// quoted or not, with anything glued to it that no name of a host has (`mx.example.org/1`, `<mx.example.org>`); or as the first word behind
/// a later one. Case, folds and white space before the colon make no difference. Of a field that cannot be read every word counts.
/// With feature `idna` a name in U-labels and the same in A-labels are one; without it, a server whose name has U-labels asks for both forms
/// of it.
pub fn claims<'a>(header: &Header<'a>, authserv_id: &str) -> impl Iterator<Item = Field<'a>> {
    header
        .named(NAME)
        .filter(move |field| claims_to_be(field.body(), authserv_id))
}

/// True if an Authentication-Results field with this body claims to come from this server.
#[must_use]
pub fn claims_to_be(body: &[u8], authserv_id: &str) -> bool {
    let own = canonical(authserv_id);
    // Who knows ASCII only stops reading where it ends.
    let ascii = |text: &str| text.find(|c: char| !c.is_ascii()).unwrap_or(text.len());
    let is_own = |name: &str| canonical(name) == own || canonical(&name[..ascii(name)]) == own;
    let text = String::from_utf8_lossy(body).to_lowercase();
    let read = AuthenticationResults::parse(body).map(|read| read.authserv_id);
    match (read, segments(&text)) {
        (Ok(id), Ok(segments)) => {
            let mut segments = segments.iter();
            let head = segments.next().map_or("", String::as_str);
            let mut later = segments.filter_map(|segment| words(segment).next());
            id.is_some_and(|id| is_own(&id))
                // A name that is no word in our sense.
                || words(&own).nth(1).is_some() && head.contains(&own)
                || words(head).any(is_own)
                || later.any(is_own)
        }
        _ => text.contains(&own) || words(&text).any(is_own),
    }
}

/// What stands between the semicolons, without comments and quotes.
fn segments(text: &str) -> Result<Vec<String>, LexError> {
    let mut lexer = Lexer::new(text);
    let mut segments = vec![];
    let mut segment = String::new();
    loop {
        if lexer.cfws()? {
            segment.push(' ');
        }
        match lexer.peek() {
            None => break,
            Some(';') => {
                lexer.eat(';');
                segments.push(core::mem::take(&mut segment));
            }
            // What is glued to it is another word.
            Some('"') => segment.extend([" ", &lexer.quoted_string()?, " "]),
            Some(_) => {
                segment.push_str(
                    lexer.run(|c| !matches!(c, ';' | '(' | '"' | ' ' | '\t' | '\r' | '\n')),
                );
            }
        }
    }
    segments.push(segment);
    Ok(segments)
}

/// The words in the sense of a host's name: no other ASCII belongs to one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let ends =
        |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && !matches!(c, '-' | '.' | '_');
    text.split(ends).filter(|word| !word.is_empty())
}

/// The octets of a header without the fields that claim to come from this server (RFC 8601 §5).
///
/// All other octets, malformed lines included, stay as they are.
#[must_use]
pub fn strip(header: &Header<'_>, authserv_id: &str) -> Vec<u8> {
    let octets = header.octets();
    let mut kept = Vec::with_capacity(octets.len());
    let mut from = 0;
    for field in claims(header, authserv_id) {
        kept.extend_from_slice(&octets[from..field.offset()]);
        from = field.offset() + field.raw().len();
    }
    kept.extend_from_slice(&octets[from..]);
    kept
}

/// The id in the form that stands for all its spellings. It is a domain name in most cases (RFC 8601 §2.5): a final dot makes no difference.
///
/// RFC 8601 §5: "In the case of EAI-formatted messages, this test is done after converting A-labels into U-labels." The other way round it
/// is the same test, and also takes letters of other widths and other full stops for what they look like.
fn canonical(id: &str) -> String {
    let id = id.trim_matches(char::is_whitespace).to_lowercase();
    let id = id.trim_end_matches('.').to_owned();
    // Four octets a character: no longer name is a domain, and the conversion of a long label takes time.
    #[cfg(feature = "idna")]
    if !id.is_ascii() && id.len() <= 4 * MAX_DOMAIN {
        return idna::domain_to_ascii(&id).unwrap_or(id);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Limits;
    use proptest::prelude::*;

    #[test]
    fn forged_fields_are_found() {
        for body in [
            "mx.example.org; spf=pass",
            "MX.Example.ORG; spf=pass",
            "\"mx.example.org\" 1; spf=pass",
            "(c (d)) mx.example.org(e); spf=pass",
            "\r\n mx.example.org;\r\n none",
            "mx.example.org",
            "mx.example.org.; none",
            "\"mx\\.example.org\"; none",
            "spf=pass; mx.example.org; dkim=pass",
            "mx.example.org; spf=pass (unclosed",
            "i=1; mx.example.org; spf=pass",
            // Read as a value it is something else; read by others it may be our name.
            "mx.example.org/1; dkim=pass",
            "mx.example.org /1; dkim=pass",
            "mx.example.org:25; dkim=pass",
            "mx.example.org@evil.example; dkim=pass",
            "\"mx.example.org\"x; dkim=pass",
            "\"mx.example.org\"/1; dkim=pass",
            "\" mx.example.org \"; dkim=pass",
            "mx.example.org=1; dkim=pass",
            "mx.example.org =1; dkim=pass",
            "<mx.example.org>; dkim=pass",
            "[mx.example.org]; dkim=pass",
            "mx.example.org'; dkim=pass",
            "'mx.example.org'; dkim=pass",
            "mx.example.org,x; dkim=pass",
            "x mx.example.org; dkim=pass",
            "mx.example.org\u{fc}; dkim=pass",
            "i=1; <mx.example.org/1>; dkim=pass",
            "; mx.example.org; dkim=pass",
        ] {
            assert!(claims_to_be(body.as_bytes(), "mx.example.org"), "{body}");
        }
        for body in [
            "other.example; spf=pass smtp.helo=mx.example.org",
            "(mx.example.org) other.example; none",
            "mx.example.org.evil; none",
            "mx.example.org-1; none",
            "other.example; dkim=pass reason=\"of mx.example.org\"",
            "other.example; dkim=pass; spf=pass smtp.mailfrom=mx.example.org",
            "",
            "(",
        ] {
            assert!(!claims_to_be(body.as_bytes(), "mx.example.org"), "{body}");
        }
    }

    #[test]
    fn a_name_that_is_no_host_is_found() {
        for body in [
            "\"mx 1/a\"; none",
            "\"MX 1/a\"x; none",
            "other.example; \"mx 1/a\"; none (",
        ] {
            assert!(claims_to_be(body.as_bytes(), "mx 1/a"), "{body}");
        }
        assert!(!claims_to_be(b"mx; none", "mx 1/a"));
    }

    #[test]
    fn strip_keeps_the_rest() {
        let message = b"A: 1\r\nAuthentication-Results : (x) MX;\r\n spf=pass\r\nno colon\r\nauthentication-results: other; none\r\nAuthentication-Results: mx\r\n\r\n";
        let (header, _) = Header::split(message, &Limits::default()).unwrap();
        assert_eq!(
            strip(&header, "mx"),
            b"A: 1\r\nno colon\r\nauthentication-results: other; none\r\n"
        );
    }

    proptest! {
        #[test]
        fn nothing_of_ours_is_left(parts in proptest::collection::vec(prop_oneof![
            Just("mx"), Just("MX"), Just(" "), Just(";"), Just("\""), Just("("), Just(")"), Just("="), Just("spf=pass"), Just("\r\n "), Just("\\"), Just("i=1"), Just("."), Just("/"), Just("<"), Just("'"),
        ], 0..14)) {
            let message = format!("Authentication-Results:{}\r\n\r\n", parts.concat());
            let (header, _) = Header::split(message.as_bytes(), &Limits::default()).unwrap();
            let mut stripped = strip(&header, "mx");
            stripped.extend_from_slice(b"\r\n");
            let (header, _) = Header::split(&stripped, &Limits::default()).unwrap();
            for field in header.named(NAME) {
                let id = AuthenticationResults::parse(field.body()).ok().and_then(|read| read.authserv_id);
                prop_assert!(id.is_none_or(|id| !id.eq_ignore_ascii_case("mx")));
                // Nor what a reader finds who skips what he does not know.
                let body = String::from_utf8_lossy(field.body()).to_lowercase();
                let from = body.find(|c: char| c.is_ascii_alphanumeric() || ".;()\"".contains(c)).unwrap_or(body.len());
                let first: String = body[from..].chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
                prop_assert!(first != "mx" || body[from..].starts_with("mx."), "{}", body);
            }
        }
    }
}
