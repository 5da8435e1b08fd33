//! What to write instead of a record.

use crate::record::{Policy, Record};

/// The record to write instead: what receivers of RFC 9989 make of this one, with the tags that they ignore left out, and with `p=none` where
/// it has no policy that is valid. Percentages become what is left of them: `t=y` for `pct=0`. `None` for a text that is no DMARC record.
///
/// What a misspelt tag was meant to say is not in it; [`lint`](crate::lint::lint) tells of each.
///
/// ```
/// let record = dmarc::lint::instead(b"V=DMARC1;P=Reject;pct=0;ri=3600;;rua=mailto:dmarc@example.com!10m").ok_or("no record")?;
/// assert_eq!(record.to_string(), "v=DMARC1; p=reject; t=y; rua=mailto:dmarc@example.com");
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn instead(text: &[u8]) -> Option<Record> {
    let mut record = Record::parse(text).ok()?;
    // RFC 9989 has the tag t for what pct=0 was used for (its Appendix A.6).
    record.test_mode |= record.pct.take() == Some(0);
    record.p.get_or_insert(Policy::None);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::{Severity, lint};

    #[test]
    fn what_is_written_instead_has_no_errors() {
        for (text, written) in [
            ("v=DMARC1", "v=DMARC1; p=none"),
            ("v=DMARC1; p=bad; pct=50", "v=DMARC1; p=none"),
            ("v=DMARC1; p=none; p=reject", "v=DMARC1; p=none"),
            ("v=DMARC1; p=reject; rf=afrf; x", "v=DMARC1; p=reject"),
            ("v=DMARC1; p=reject; fo=1", "v=DMARC1; p=reject"),
        ] {
            let record = instead(text.as_bytes()).map(|record| record.to_string());
            assert_eq!(record.as_deref(), Some(written), "{text}");
            let findings = lint(written.as_bytes(), None);
            let errors = findings
                .iter()
                .filter(|finding| finding.severity == Severity::Error);
            assert_eq!(errors.count(), 0, "{written}");
        }
        assert_eq!(instead(b"v=spf1 -all"), None);
    }
}
