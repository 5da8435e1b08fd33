//! Values that are not valid, and URIs to which no report can go.

use core::ops::Range;

use super::{Consequence, Linter, Severity, What};
use crate::record::{
    AlignmentMode, FailureOptions, MAX_REPORTING_URIS, NAMES, Policy, Psd, Record, ReportingUri,
    one_of, split_size,
};

impl Linter<'_> {
    /// The value of each known tag.
    pub(super) fn values(&mut self, record: &Record) {
        let consequence = if record.rua.is_empty() {
            Consequence::DoesNotApply
        } else {
            Consequence::CountsAsNone
        };
        let once = core::mem::replace(&mut self.once, [const { None }; NAMES.len()]);
        for (name, tag) in NAMES.into_iter().zip(&once) {
            let Some(tag) = tag else { continue };
            let (value, span) = (tag.value(), self.value_span(tag));
            let valid = match name {
                "p" | "sp" | "np" => {
                    if Policy::read(value).is_none() {
                        let value = value.to_owned();
                        let what = What::PolicyValue { value, consequence };
                        let advice = "write none, quarantine or reject";
                        self.find(Severity::Error, span, what, advice);
                    }
                    continue;
                }
                "rua" | "ruf" => {
                    self.uris(value, span.start);
                    continue;
                }
                "adkim" | "aspf" => AlignmentMode::read(value).is_some(),
                "psd" => Psd::read(value).is_some(),
                "fo" => FailureOptions::read(value).is_some(),
                _ => one_of(value, &[("y", ()), ("n", ())]).is_some(),
            };
            if !valid {
                let what = What::Value {
                    name,
                    value: value.to_owned(),
                };
                let advice = match name {
                    "adkim" | "aspf" => "write r or s",
                    "psd" => "write y or n, or leave it out",
                    "fo" => {
                        "write 0 or 1, d, s, or several of them with colons between, as in 1:d:s"
                    }
                    _ => "write y or n",
                };
                self.find(Severity::Error, span, what, advice);
            }
        }
        self.once = once;
    }

    /// The reporting URIs of a tag, whose value begins at this octet.
    fn uris(&mut self, value: &str, start: usize) {
        let (mut at, mut seen) = (start, std::collections::BTreeSet::new());
        for part in value.split(',') {
            let lead = part.len() - part.trim_ascii_start().len();
            let uri = part.trim_ascii();
            let span = at + lead..at + lead + uri.len();
            at += part.len() + 1;
            if seen.len() == MAX_REPORTING_URIS {
                let what = What::TooManyUris;
                self.find(
                    Severity::Error,
                    span.start..start + value.len(),
                    what,
                    "leave them out",
                );
                return;
            }
            self.uri(uri, span.clone());
            if let Some(read) = ReportingUri::read(uri)
                && !seen.insert(read.as_str().to_owned())
            {
                let what = What::UriTwice(read.as_str().to_owned());
                self.find(Severity::Warning, span, what, "name it once");
            }
        }
    }

    fn uri(&mut self, text: &str, span: Range<usize>) {
        let Some(uri) = ReportingUri::read(text) else {
            let advice = match text.contains('@') && !text.contains(':') {
                true => format!("write mailto:{text}"),
                false => "write mailto: and an address".to_owned(),
            };
            self.find(Severity::Error, span, What::Uri(text.to_owned()), advice);
            return;
        };
        if let Some((_, Some(size))) = split_size(text) {
            let span = span.end - size.len()..span.end;
            let advice = "leave it out; RFC 9989 has no sizes";
            self.find(Severity::Note, span, What::Size(size.to_owned()), advice);
        }
        match uri.mailto() {
            None => {
                let what = What::Scheme(uri.as_str().to_owned());
                self.find(
                    Severity::Warning,
                    span,
                    what,
                    "give a mailto: URI beside it",
                );
            }
            Some(_)
                if uri.host().is_none()
                    || uri.mailto().is_some_and(|address| address.starts_with('@')) =>
            {
                let what = What::MailtoAddress(uri.as_str().to_owned());
                self.find(Severity::Error, span, what, "write mailto:name@domain");
            }
            Some(_) => self.destination(&uri, span),
        }
    }

    /// Whether it must confirm that it wants the reports.
    fn destination(&mut self, uri: &ReportingUri, span: Range<usize>) {
        let (Some(domain), Some(host)) = (self.domain, uri.host()) else {
            return;
        };
        // Which domain is the Organizational Domain only the DNS knows; of what is above or below it is so likely that nothing is said.
        if host.is_at_or_below(domain) || domain.is_at_or_below(&host) {
            return;
        }
        let name = format!("{domain}._report._dmarc.{host}");
        let advice = format!("have {host} publish \"v=DMARC1\" at {name}");
        let what = What::ExternalDestination { host, name };
        self.find(Severity::Note, span, what, advice);
    }
}
