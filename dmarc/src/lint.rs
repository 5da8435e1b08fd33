//! What is wrong with a DMARC Policy Record, or unwise, and what to write instead; and what it means, in words.
//!
//! [`Record::parse`] reads past every mistake, as RFC 9989 §4.8 has it. Whoever publishes the record wants to know of each.

use core::ops::Range;

use mail_syntax::Domain;
use mail_syntax::tag_list::Tag;

use crate::record::{MAX_RECORD, NAMES, Record, RecordError};

mod explain;
mod finding;
mod instead;
mod tags;
mod values;
mod whole_record;

pub use explain::explain;
pub use finding::{Consequence, Finding, What};
pub use instead::instead;
pub use mail_syntax::Severity;

/// Looks a record over, the strings of a TXT record joined: what is wrong with it, and what unwise, in the order of the text.
///
/// With the domain that publishes it, it also tells which destinations must confirm that they want reports. A record without findings
/// does what it says.
///
/// ```
/// use dmarc::lint::{Severity, lint};
/// let findings = lint(b"v=DMARC1; p=reject; sp=none; rau=mailto:dmarc@example.com", None);
/// let told: Vec<String> = findings.iter().map(|finding| finding.what.to_string()).collect();
/// assert_eq!(told, [
///     "without rua= nobody tells which mail fails",
///     "sp=none weakens p=reject",
///     "DMARC knows no tag \"rau\", and ignores it",
/// ]);
/// assert_eq!(findings[2].advice, "write rua=");
/// assert_eq!((findings[2].severity, findings[2].span.clone()), (Severity::Error, 29..32));
/// ```
#[must_use]
pub fn lint(text: &[u8], domain: Option<&Domain>) -> Vec<Finding> {
    let mut linter = Linter {
        text,
        domain,
        findings: Vec::new(),
        once: [const { None }; NAMES.len()],
    };
    match Record::parse(text) {
        Ok(record) => {
            linter.tags();
            linter.values(&record);
            linter.whole_record(&record);
        }
        Err(RecordError::TooLong) => {
            let advice = format!("shorten it to {MAX_RECORD} octets");
            linter.find(Severity::Error, 0..text.len(), What::TooLong, advice);
        }
        Err(RecordError::Version) => {
            let end = memchr_semicolon(text);
            let advice = "begin it with v=DMARC1, with DMARC in capitals, and a semicolon behind";
            linter.find(Severity::Error, 0..end, What::Version, advice);
        }
    }
    linter
        .findings
        .sort_by_key(|finding| (finding.span.start, core::cmp::Reverse(finding.severity)));
    linter.findings
}

fn memchr_semicolon(text: &[u8]) -> usize {
    let found = text.iter().position(|octet| *octet == b';');
    found.unwrap_or(text.len())
}

struct Linter<'a> {
    text: &'a [u8],
    domain: Option<&'a Domain>,
    findings: Vec<Finding>,
    /// The tags that DMARC knows and that stand there, the first of each.
    once: [Option<Tag<'a>>; NAMES.len()],
}

impl<'a> Linter<'a> {
    fn find(
        &mut self,
        severity: Severity,
        span: Range<usize>,
        what: What,
        advice: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity,
            span,
            what,
            advice: advice.into(),
        });
    }
}

impl Linter<'_> {
    /// The tag of this name that stands first.
    fn tag_of(&self, name: &str) -> Option<&Tag<'_>> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.once.get(at)?.as_ref()
    }

    /// The tag of this name with its value, or the whole record.
    fn span_of(&self, name: &str) -> Range<usize> {
        let tag = self.tag_of(name);
        tag.map_or_else(
            || self.whole(),
            |tag| tag.offset()..self.value_span(tag).end,
        )
    }

    fn whole(&self) -> Range<usize> {
        0..self.text.len()
    }

    /// Where the value stands, without the white space around it.
    fn value_span(&self, tag: &Tag<'_>) -> Range<usize> {
        let range = tag.value_range();
        let octets = self.text.get(range.clone()).unwrap_or_default();
        let start = range.end - octets.trim_ascii_start().len();
        start..start + tag.value().len()
    }
}

fn name_span(tag: &Tag<'_>) -> Range<usize> {
    tag.offset()..tag.offset() + tag.name().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use mail_syntax::tag_list::MAX_TAGS;

    use super::*;

    /// The findings as `severity start..end what`.
    fn told(text: &str) -> Vec<String> {
        let domain = "example.com".parse().ok();
        lint(text.as_bytes(), domain.as_ref())
            .iter()
            .map(|finding| {
                format!(
                    "{} {:?} {}",
                    finding.severity,
                    &text[finding.span.clone()],
                    finding.what
                )
            })
            .collect()
    }

    #[test]
    fn what_does_what_it_says_has_no_findings() {
        for text in [
            "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
            "v=DMARC1;p=quarantine;np=reject;rua=mailto:a@reports.example.com,mailto:b@example.com;",
            "v=DMARC1; p=none; sp=reject; rua=mailto:dmarc@example.com; ruf=mailto:f@example.com; fo=1:d",
        ] {
            assert_eq!(told(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn findings() {
        for (text, wanted) in [
            (
                "p=none; v=DMARC1",
                &[
                    r#"error "p=none" the record does not begin with v=DMARC1, and is ignored as a whole"#,
                ][..],
            ),
            (
                "v=dmarc1; p=none",
                &[
                    r#"error "v=dmarc1" the record does not begin with v=DMARC1, and is ignored as a whole"#,
                ],
            ),
            (
                "v=DMARC1; p=none",
                &[
                    r#"warning "p=none" p=none without rua= does nothing: no mail is stopped, and no report is sent"#,
                ],
            ),
            (
                "v=DMARC1; p=reject; rua=mailto:a@example.com; sp = none",
                &[r#"warning "sp = none" sp=none weakens p=reject"#],
            ),
            (
                "v=DMARC1; p=quarantine; sp=reject; np=none; rua=mailto:a@example.com",
                &[r#"warning "np=none" np=none weakens sp=reject"#],
            ),
            (
                "v=DMARC1; p=reject; sp=reject; rua=mailto:a@example.com",
                &[r#"note "sp=reject" sp= says what holds without it"#],
            ),
            (
                "v=DMARC1; rua=mailto:a@example.com",
                &[
                    r#"error "v=DMARC1; rua=mailto:a@example.com" there is no policy p=, which makes the record count as p=none"#,
                ],
            ),
            (
                "v=DMARC1; p=rejct",
                &[r#"error "rejct" "rejct" is no policy, and makes DMARC not apply"#],
            ),
            (
                "v=DMARC1; p=none; p=none; rua=mailto:a@example.com",
                &[r#"error "p" the tag "p" stands here again, so none of them counts"#],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com; pct=50; RI=3600; rf=afrf",
                &[
                    r#"warning "pct" RFC 9989 has dropped the tag "pct", and ignores it"#,
                    r#"note "RI" RFC 9989 has dropped the tag "ri", and ignores it"#,
                    r#"note "rf" RFC 9989 has dropped the tag "rf", and ignores it"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com; v=DMARC1; zz=1; dkim=s; nonsense; =x",
                &[
                    r#"error "v" DMARC knows no tag "v", and ignores it"#,
                    r#"warning "zz" DMARC knows no tag "zz", and ignores it"#,
                    r#"error "dkim" DMARC knows no tag "dkim", and ignores it"#,
                    r#"error "nonsense" this is no tag: no = behind the tag name that begins at byte 68"#,
                    r#"error "=x" this is no tag: no tag name at byte 78"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com; adkim=strict; aspf=s; psd=x; t=yes; fo=0:1",
                &[
                    r#"error "strict" "strict" is no value of the tag "adkim", which has its default instead"#,
                    r#"note "aspf=s" aspf=s refuses every subdomain as an identifier"#,
                    r#"error "x" "x" is no value of the tag "psd", which has its default instead"#,
                    r#"error "yes" "yes" is no value of the tag "t", which has its default instead"#,
                    r#"warning "fo=0:1" fo= is ignored without ruf="#,
                    r#"error "0:1" "0:1" is no value of the tag "fo", which has its default instead"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.com!10m , a@example.com,mailto:@example.com,https://example.com/,mailto:a@example.com",
                &[
                    r#"note "!10m" the size "!10m" is ignored"#,
                    r#"error "a@example.com" "a@example.com" is no URI, and is left out"#,
                    r#"error "mailto:@example.com" "mailto:@example.com" names no address that mail could go to"#,
                    r#"warning "https://example.com/" few receivers send reports to "https://example.com/": RFC 9989 has them support mailto: only"#,
                    r#"warning "mailto:a@example.com" "mailto:a@example.com" stands in the list twice"#,
                ],
            ),
            (
                "v=DMARC1; p=none; rua=mailto:a@example.net",
                &[
                    r#"note "mailto:a@example.net" reports to example.net are sent only if example.net says at example.com._report._dmarc.example.net that it wants them"#,
                ],
            ),
            (
                "v=DMARC1; p=reject; t=y; psd=y; rua=mailto:a@example.com; ruf=mailto:a@example.com",
                &[
                    r#"note "t=y" t=y lowers each policy by one level"#,
                    r#"warning "psd=y" psd=y says that everybody may register names below this domain"#,
                    r#"error "ruf=mailto:a@example.com" a record of a Public Suffix Domain must not have ruf="#,
                    r#"note "ruf=mailto:a@example.com" without fo= a failure is reported only where both SPF and DKIM fail"#,
                ],
            ),
            (
                "v=DMARC1; p=none; t=y; rua=mailto:a@example.com",
                &[r#"note "t=y" t=y has no effect on a policy of none"#],
            ),
        ] {
            assert_eq!(told(text), wanted, "{text}");
        }
        let long = format!("v=DMARC1; p=none; x={}", "y".repeat(MAX_RECORD));
        assert_eq!(lint(long.as_bytes(), None)[0].what, What::TooLong);
        let tags = format!("v=DMARC1; p=none{}", "; zz=1".repeat(MAX_TAGS));
        assert!(
            lint(tags.as_bytes(), None)
                .iter()
                .any(|finding| finding.what == What::TooManyTags)
        );
        let uris = format!(
            "v=DMARC1; p=none; rua={}",
            (0..30)
                .map(|n| format!("mailto:a{n}@example.com,"))
                .collect::<String>()
        );
        assert!(
            lint(uris.as_bytes(), None)
                .iter()
                .any(|finding| finding.what == What::TooManyUris)
        );
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text(text in "v=DMARC1(; ?(p|sp|rua|ruf|fo|é|pct|x)? ?=? ?(none|reject|mailto:a@b!1k|é|,|:|)){0,8};?") {
            for finding in lint(text.as_bytes(), None) {
                prop_assert!(text.as_bytes().get(finding.span.clone()).is_some(), "{:?}", finding);
            }
        }

        #[test]
        fn any_octets_are_looked_over(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = b"v=DMARC1;".to_vec();
            text.extend(octets);
            for finding in lint(&text, None) {
                prop_assert!(text.get(finding.span.clone()).is_some(), "{:?}", finding);
            }
        }
    }
}
