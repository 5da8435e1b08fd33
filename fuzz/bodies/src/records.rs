//! Records and fields: what was parsed is printed as text that parses to the same.

use dmarc::Record;
use mail_syntax::authentication_results::AuthenticationResults;
use spf::{Limits, SpfRecord};

/// An SPF record prints as one that parses to the same, and that begins as an SPF record does.
pub fn spf_record_roundtrip(data: &[u8]) {
    let limits = Limits::default();
    let Ok(record) = SpfRecord::parse(data, &limits) else {
        return;
    };
    assert!(
        spf::record::is_spf_record(data),
        "parsed, and yet no SPF record"
    );
    let printed = record.to_string();
    assert!(
        spf::record::is_spf_record(printed.as_bytes()),
        "{printed:?}"
    );
    // What is printed may be longer than what was read, never by much: a prefix length is spelt out.
    let again = SpfRecord::parse(printed.as_bytes(), &limits);
    assert!(
        again.as_ref() == Ok(&record) || printed.len() > limits.record,
        "{printed:?}: {again:?}"
    );
}

/// A DMARC record prints as one that parses to the same.
pub fn dmarc_record_roundtrip(data: &[u8]) {
    let Ok(record) = Record::parse(data) else {
        return;
    };
    let printed = record.to_string();
    assert_eq!(
        Record::parse(printed.as_bytes()).as_ref(),
        Ok(&record),
        "{printed:?}"
    );
}

/// The body of an Authentication-Results field prints as one that parses to the same, and so does the whole field when it is folded.
pub fn authentication_results_roundtrip(data: &[u8]) {
    let Ok(results) = AuthenticationResults::parse(data) else {
        return;
    };
    let printed = results.to_string();
    let again = AuthenticationResults::parse(printed.as_bytes());
    assert_eq!(again.as_ref(), Ok(&results), "{printed:?}");
    // A word that is too long for a line cannot be folded.
    let Ok(field) = results.to_field() else {
        return;
    };
    for line in field.split_inclusive("\r\n") {
        assert!(line.len() <= 1_000, "a line of {} octets", line.len());
        assert!(!line.trim().is_empty(), "an empty line in {field:?}");
    }
    let (_, body) = field.split_once(':').expect("a field has a colon");
    let again = AuthenticationResults::parse(body.trim_end().as_bytes());
    assert_eq!(again.as_ref(), Ok(&results), "{field:?}");
}
