//! The values of elements that hold text.

use std::net::IpAddr;

use super::parse::{Parser, empty_row};
use super::{Defect, Element};
use crate::reports::report::DiscoveryMethod;
use crate::reports::{ActionDisposition, DkimResult, DmarcAlignment, SpfResult, SpfScope};
use crate::{AlignmentMode, Policy, PolicyOverride};

/// A value, and what was wrong with how it was written.
type Read<T> = (Option<T>, Option<Defect>);

impl Parser {
    /// The element ends, and the text that was collected is its value.
    pub(super) fn leaf(&mut self, element: Element) {
        match element {
            Element::SourceIp => {
                if let Some(ip) = self.value(element, ip) {
                    self.row.source_ip = ip;
                }
            }
            Element::Count => {
                if let Some(count) = self.value(element, integer) {
                    self.row.count = count;
                }
            }
            Element::Disposition => {
                if let Some(word) = self.value(element, disposition) {
                    self.row.policy_evaluated.disposition = word;
                }
            }
            Element::EvaluatedDkim => {
                if let Some(word) = self.value(element, alignment) {
                    self.row.policy_evaluated.dkim = word;
                }
            }
            Element::EvaluatedSpf => {
                if let Some(word) = self.value(element, alignment) {
                    self.row.policy_evaluated.spf = word;
                }
            }
            Element::HeaderFrom => {
                if let Some(domain) = self.string(element) {
                    self.row.identifiers.header_from = domain;
                }
            }
            Element::EnvelopeFrom => {
                // RFC 9990 §3.1.1.10: ""envelope_from" MAY exist but be empty if the message had a null reverse-path"
                let domain = self.string(element);
                self.row.identifiers.envelope_from = Some(domain.unwrap_or_default());
            }
            Element::EnvelopeTo => self.row.identifiers.envelope_to = self.string(element),
            Element::DkimDomain | Element::DkimSelector | Element::DkimHumanResult => {
                let text = self.string(element);
                if let Some(dkim) = self.row.auth_results.dkim.last_mut() {
                    match element {
                        Element::DkimDomain => dkim.domain = text.unwrap_or_default(),
                        Element::DkimSelector => dkim.selector = text,
                        _ => dkim.human_result = text,
                    }
                }
            }
            Element::DkimResult => {
                let result = self.value(element, dkim_result);
                if let (Some(dkim), Some(result)) = (self.row.auth_results.dkim.last_mut(), result)
                {
                    dkim.result = result;
                }
            }
            Element::SpfDomain | Element::SpfHumanResult => {
                let text = self.string(element);
                if let Some(spf) = self.row.auth_results.spf.last_mut() {
                    match element {
                        Element::SpfDomain => spf.domain = text.unwrap_or_default(),
                        _ => spf.human_result = text,
                    }
                }
            }
            Element::SpfScope => {
                let scope = self.value(element, scope);
                if let Some(spf) = self.row.auth_results.spf.last_mut() {
                    spf.scope = scope;
                }
            }
            Element::SpfResult => {
                let result = self.value(element, spf_result);
                if let (Some(spf), Some(result)) = (self.row.auth_results.spf.last_mut(), result) {
                    spf.result = result;
                }
            }
            Element::ReasonType => self.reason_type(),
            Element::Comment => self.reason.comment = self.string(element),
            element => self.around_rows(element),
        }
    }

    /// What is said of the report and the policy.
    #[cold]
    fn around_rows(&mut self, element: Element) {
        match element {
            Element::Version if matches!(self.text.trimmed(), b"1.0" | b"1") => {}
            Element::Version => self.note(Defect::OtherVersion, element),
            Element::OrgName => self.metadata.org_name = self.string(element).unwrap_or_default(),
            Element::Email => self.metadata.email = self.string(element).unwrap_or_default(),
            Element::ExtraContactInfo => self.metadata.extra_contact_info = self.string(element),
            Element::ReportId => self.metadata.report_id = self.string(element).unwrap_or_default(),
            Element::Begin => {
                self.metadata.date_range.begin = self.value(element, integer).unwrap_or(0);
            }
            Element::End => {
                self.metadata.date_range.end = self.value(element, integer).unwrap_or(0);
            }
            Element::Error => {
                if self.metadata.errors.len() >= self.max_results {
                    self.note(Defect::TooMany, element);
                } else if let Some(error) = self.string(element) {
                    self.metadata.errors.push(error);
                }
            }
            Element::Generator => self.metadata.generator = self.string(element),
            Element::PolicyDomain => {
                self.policy_published.domain = self.string(element).unwrap_or_default();
            }
            Element::P => self.policy_published.p = self.value(element, policy),
            Element::Sp => self.policy_published.sp = self.value(element, policy),
            Element::Np => self.policy_published.np = self.value(element, policy),
            Element::Adkim => self.policy_published.adkim = self.value(element, mode),
            Element::Aspf => self.policy_published.aspf = self.value(element, mode),
            Element::DiscoveryMethod => {
                self.policy_published.discovery_method = self.value(element, discovery_method);
            }
            Element::Fo => self.policy_published.fo = self.string(element),
            Element::Testing => self.policy_published.testing = self.value(element, testing),
            Element::Pct => {
                let percent = self.value(element, integer).map(u8::try_from);
                match percent {
                    Some(Ok(percent)) => self.policy_published.pct = Some(percent),
                    Some(Err(_)) => self.note(Defect::Unreadable, element),
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// The value by this reading; what is wrong with it is noted, and that it was there.
    #[inline]
    fn value<T>(&mut self, element: Element, read: fn(&[u8]) -> Read<T>) -> Option<T> {
        let octets = self.text.trimmed();
        if octets.is_empty() {
            return None;
        }
        let (value, defect) = read(octets);
        if let Some(defect) = defect {
            self.note(defect, element);
        }
        // A word that is not known was there all the same.
        if value.is_some() || defect == Some(Defect::UnknownWord) {
            self.saw(element);
        }
        value
    }

    /// The text; `None` if it is empty.
    #[inline]
    fn string(&mut self, element: Element) -> Option<String> {
        let (text, defect) = self.text.as_str();
        if text.is_empty() && defect.is_none() {
            return None;
        }
        let mut string = self.spare.pop().unwrap_or_default();
        string.clear();
        string.push_str(&text);
        if let Some(defect) = defect {
            self.note(defect, element);
        }
        self.saw(element);
        Some(string)
    }

    #[inline]
    pub(super) fn saw(&mut self, element: Element) {
        if !self.seen.note(element) && is_single(element) {
            self.note(Defect::Repeated, element);
        }
    }

    /// A reason in the words of either RFC; of words that RFC 9990 has no more, the comment keeps the word.
    fn reason_type(&mut self) {
        let octets = self.text.trimmed();
        if octets.is_empty() {
            return;
        }
        let word = String::from_utf8_lossy(octets).to_ascii_lowercase();
        let has_case = word.as_bytes() != octets;
        self.saw(Element::ReasonType);
        if let Ok(kind) = word.parse() {
            self.reason.kind = kind;
            if has_case {
                self.note(Defect::Case, Element::ReasonType);
            }
            return;
        }
        self.reason.kind = PolicyOverride::Other;
        let defect = match word.as_str() {
            // RFC 7489 Appendix C.
            "forwarded" | "sampled_out" => Defect::OtherWord,
            _ => Defect::UnknownWord,
        };
        self.note(defect, Element::ReasonType);
        if self.reason.comment.is_none() {
            self.reason.comment = Some(word);
        }
    }

    /// Makes the row ready for the next record, and keeps its strings.
    pub(super) fn empty_row(&mut self) {
        let row = &mut self.row;
        let spare = &mut self.spare;
        // No more than a row can use.
        let mut keep = |string: String| {
            if string.capacity() > 0 && spare.len() < 64 {
                spare.push(string);
            }
        };
        keep(core::mem::take(&mut row.identifiers.header_from));
        let optional = [
            row.identifiers.envelope_from.take(),
            row.identifiers.envelope_to.take(),
        ];
        optional.into_iter().flatten().for_each(&mut keep);
        for dkim in row.auth_results.dkim.drain(..) {
            keep(dkim.domain);
            dkim.selector.map(&mut keep);
            dkim.human_result.map(&mut keep);
        }
        for spf in row.auth_results.spf.drain(..) {
            keep(spf.domain);
            spf.human_result.map(&mut keep);
        }
        row.policy_evaluated.reasons.clear();
        let empty = empty_row();
        row.source_ip = empty.source_ip;
        row.count = empty.count;
        row.policy_evaluated.disposition = empty.policy_evaluated.disposition;
        row.policy_evaluated.dkim = empty.policy_evaluated.dkim;
        row.policy_evaluated.spf = empty.policy_evaluated.spf;
    }
}

/// Whether it is one that stands once in a report, a record, or a result, and whose repetition changes what is said.
fn is_single(element: Element) -> bool {
    !matches!(element, Element::Error | Element::Comment)
}

fn ip(octets: &[u8]) -> Read<IpAddr> {
    let ip = core::str::from_utf8(octets)
        .ok()
        .and_then(|text| text.parse().ok());
    let defect = ip.is_none().then_some(Defect::Unreadable);
    (ip, defect)
}

/// An integer, of which a fraction is cut off: some write seconds with one.
fn integer(octets: &[u8]) -> Read<u64> {
    let whole = octets.iter().position(|octet| *octet == b'.');
    let (digits, fraction) = octets.split_at(whole.unwrap_or(octets.len()));
    let mut value = Some(0_u64);
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        value = value
            .filter(|_| digit < 10)
            .and_then(|value| value.checked_mul(10)?.checked_add(u64::from(digit)));
    }
    let is_fraction = fraction
        .strip_prefix(b".")
        .unwrap_or_default()
        .iter()
        .all(u8::is_ascii_digit);
    match value {
        Some(value) if !digits.is_empty() && is_fraction => {
            let defect = (!fraction.is_empty()).then_some(Defect::Fraction);
            (Some(value), defect)
        }
        _ => (None, Some(Defect::Unreadable)),
    }
}

/// A word of the schema; else one in other letters; else one of those that are known to stand for it.
#[inline]
fn word<T: Copy>(octets: &[u8], of_word: fn(&[u8]) -> Option<T>, others: &[(&str, T)]) -> Read<T> {
    if let Some(value) = of_word(octets) {
        return (Some(value), None);
    }
    let lower = octets.to_ascii_lowercase();
    if let Some(value) = of_word(&lower) {
        return (Some(value), Some(Defect::Case));
    }
    let other = others.iter().find(|(word, _)| word.as_bytes() == lower);
    match other {
        Some((_, value)) => (Some(*value), Some(Defect::OtherWord)),
        None => (None, Some(Defect::UnknownWord)),
    }
}

fn disposition(octets: &[u8]) -> Read<ActionDisposition> {
    let others = [
        ("accept", ActionDisposition::None),
        ("deliver", ActionDisposition::None),
    ];
    word(octets, ActionDisposition::of_word, &others)
}

fn alignment(octets: &[u8]) -> Read<DmarcAlignment> {
    let others = [
        "none",
        "neutral",
        "softfail",
        "temperror",
        "permerror",
        "policy",
        "unknown",
    ];
    word(
        octets,
        DmarcAlignment::of_word,
        &others.map(|word| (word, DmarcAlignment::Fail)),
    )
}

fn dkim_result(octets: &[u8]) -> Read<DkimResult> {
    let others = [
        ("hardfail", DkimResult::Fail),
        ("softfail", DkimResult::Fail),
        ("invalid", DkimResult::PermError),
        ("unknown", DkimResult::TempError),
        ("error", DkimResult::PermError),
    ];
    word(octets, DkimResult::of_word, &others)
}

fn spf_result(octets: &[u8]) -> Read<SpfResult> {
    // RFC 7489 Appendix C: ""TempError" commonly implemented as "unknown".", ""PermError" commonly implemented as "error"."
    let others = [
        ("hardfail", SpfResult::Fail),
        ("unknown", SpfResult::TempError),
        ("error", SpfResult::PermError),
    ];
    word(octets, SpfResult::of_word, &others)
}

fn scope(octets: &[u8]) -> Read<SpfScope> {
    let others = [("mailfrom", SpfScope::MailFrom)];
    word(octets, SpfScope::of_word, &others)
}

fn discovery_method(octets: &[u8]) -> Read<DiscoveryMethod> {
    word(octets, DiscoveryMethod::of_word, &[])
}

fn policy(octets: &[u8]) -> Read<Policy> {
    let of_word = |word: &[u8]| match word {
        b"none" => Some(Policy::None),
        b"quarantine" => Some(Policy::Quarantine),
        b"reject" => Some(Policy::Reject),
        _ => None,
    };
    word(octets, of_word, &[])
}

fn mode(octets: &[u8]) -> Read<AlignmentMode> {
    let of_word = |word: &[u8]| match word {
        b"r" => Some(AlignmentMode::Relaxed),
        b"s" => Some(AlignmentMode::Strict),
        _ => None,
    };
    let others = [
        ("relaxed", AlignmentMode::Relaxed),
        ("strict", AlignmentMode::Strict),
    ];
    word(octets, of_word, &others)
}

fn testing(octets: &[u8]) -> Read<bool> {
    let of_word = |word: &[u8]| match word {
        b"y" => Some(true),
        b"n" => Some(false),
        _ => None,
    };
    word(octets, of_word, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_of_digits_and_end_where_64_bits_do() {
        for (text, value) in [
            ("0", (Some(0), None)),
            ("18446744073709551615", (Some(u64::MAX), None)),
            ("18446744073709551616", (None, Some(Defect::Unreadable))),
            (
                "1337270400.0",
                (Some(1_337_270_400), Some(Defect::Fraction)),
            ),
            ("-1", (None, Some(Defect::Unreadable))),
            ("1e9", (None, Some(Defect::Unreadable))),
            (".5", (None, Some(Defect::Unreadable))),
            ("1.5.2", (None, Some(Defect::Unreadable))),
        ] {
            assert_eq!(integer(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn words_are_known_in_other_letters_and_of_other_times() {
        assert_eq!(
            spf_result(b"Pass"),
            (Some(SpfResult::Pass), Some(Defect::Case))
        );
        assert_eq!(
            spf_result(b"unknown"),
            (Some(SpfResult::TempError), Some(Defect::OtherWord))
        );
        assert_eq!(spf_result(b"maybe"), (None, Some(Defect::UnknownWord)));
        assert_eq!(
            mode(b"Strict"),
            (Some(AlignmentMode::Strict), Some(Defect::OtherWord))
        );
    }
}
