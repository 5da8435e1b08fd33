//! A message as the tests of RFC 9989 tell it: its author, and what was authenticated.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use dmarc::{Authentication, AuthorDomains, Config, Dmarc, Verdict};
use mail_dns::{Question, Zone, resolve_blocking};
use mail_syntax::Domain;

pub(crate) fn author(domain: &str) -> AuthorDomains {
    AuthorDomains::One(Domain::parse_utf8(domain).unwrap())
}

/// SPF and DKIM domains that passed; a `?` before one stands for a temporary error, a `!` for a failure.
pub(crate) fn begin(from: &str, spf: &[&str], dkim: &[&str], config: &Config) -> Dmarc {
    let mut dmarc = Dmarc::new(&author(from), config);
    let read = |text: &str| {
        let (authentication, domain) = match text.split_at(1) {
            ("?", domain) => (Authentication::TempError, domain),
            ("!", domain) => (Authentication::Fail, domain),
            _ => (Authentication::Pass, text),
        };
        (Domain::parse_utf8(domain).unwrap(), authentication)
    };
    for (domain, authentication) in spf.iter().map(|text| read(text)) {
        dmarc.spf(&domain, authentication);
    }
    for (domain, authentication) in dkim.iter().map(|text| read(text)) {
        dmarc.dkim(&domain, authentication);
    }
    dmarc.no_more_identifiers();
    dmarc
}

pub(crate) fn evaluate(
    zone: &Zone,
    from: &str,
    spf: &[&str],
    dkim: &[&str],
) -> (Verdict, Vec<Question>) {
    let mut asked = Vec::new();
    let dmarc = begin(from, spf, dkim, &Config::default());
    let verdict = resolve_blocking(dmarc, |question| {
        asked.push(question.clone());
        zone.answer(question)
    });
    (verdict, asked)
}
