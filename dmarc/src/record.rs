//! DMARC Policy Records (RFC 9989 §4.7 and §4.8).

mod zone;

use core::fmt;
use core::str::FromStr;

use mail_syntax::Domain;
use mail_syntax::tag_list::{MAX_TAGS, Tag, Tags};

use crate::verdict::Disposition;

/// The longest record that is read: 8,192 octets. A longer one is an error; the longest in known use have some hundreds.
pub const MAX_RECORD: usize = 8_192;
/// The most reporting URIs kept of one tag: 20. What stands behind them is ignored; each may cost a report.
pub const MAX_REPORTING_URIS: usize = 20;

/// What a domain owner asks receivers to do with mail that fails: the tags `p`, `sp` and `np`.
///
/// In order of strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// "The Domain Owner offers no expression of preference."
    None,
    /// "The Domain Owner considers such mail to be suspicious."
    Quarantine,
    /// "The Domain Owner considers all such failures to be a clear indication that the use of the domain name is not valid."
    Reject,
}

/// How near an identifier must be to the Author Domain: the tags `adkim` and `aspf`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AlignmentMode {
    /// They have the same Organizational Domain.
    #[default]
    Relaxed,
    /// They are the same domain.
    Strict,
}

/// Whether the record's domain is a Public Suffix Domain: the tag `psd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Psd {
    /// It is one (`y`).
    Yes,
    /// It is none, but the Organizational Domain of itself and what is below it (`n`).
    No,
    /// It is none, and may or may not be an Organizational Domain (`u`).
    #[default]
    Unspecified,
}

/// When failure reports are wanted: the tag `fo`. The default is `fo=0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FailureOptions {
    /// If all mechanisms fail to produce an aligned pass, or if any does.
    pub alignment: Option<FailureScope>,
    /// If a DKIM signature fails, aligned or not (`d`).
    pub dkim: bool,
    /// If SPF fails, aligned or not (`s`).
    pub spf: bool,
}

/// Of how many mechanisms the failure is to be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureScope {
    /// Of all together (`0`).
    All,
    /// Of any (`1`).
    Any,
}

/// Where reports go: a URI of the tags `rua` and `ruf`, without the size that old records have behind a `!`.
///
/// Syntactically valid (RFC 3986 §3), of any scheme; whether the owner of the place wants the reports is another question (RFC 9990).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReportingUri(Box<str>);

/// A DMARC Policy Record.
///
/// What is wrong behind the version is left out or replaced by the default, as RFC 9989 §4.8 has it, so every record that begins with
/// `v=DMARC1` can be read. Names of tags and their words are read without case. A tag that stands twice counts as not there: which of
/// the two was meant cannot be told.
///
/// ```
/// use dmarc::record::{AlignmentMode, Policy, Record};
/// let record: Record = "v=DMARC1; p=reject; sp=quarantine; adkim=s; rua=mailto:dmarc@example.com!10m; pct=50".parse()?;
/// assert_eq!(record.p, Some(Policy::Reject));
/// assert_eq!(record.adkim, AlignmentMode::Strict);
/// assert_eq!(record.to_string(), "v=DMARC1; p=reject; sp=quarantine; adkim=s; pct=50; rua=mailto:dmarc@example.com");
/// # Ok::<(), dmarc::record::RecordError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The policy for the domain itself. `None`: the record has no valid policy and no valid `rua`, and DMARC does not apply where it is
    /// the record in force (RFC 9989 §4.10.1).
    pub p: Option<Policy>,
    /// The policy for subdomains that exist.
    pub sp: Option<Policy>,
    /// The policy for subdomains that do not exist.
    pub np: Option<Policy>,
    /// The alignment mode of DKIM.
    pub adkim: AlignmentMode,
    /// The alignment mode of SPF.
    pub aspf: AlignmentMode,
    /// Whether the domain is a Public Suffix Domain.
    pub psd: Psd,
    /// Whether the policy is in test mode (`t=y`).
    pub test_mode: bool,
    /// To how many percent of the messages the policy applies, at most 100: a tag of RFC 7489 §6.3, which RFC 9989 ignores. `None` stands
    /// for all.
    pub pct: Option<u8>,
    /// When failure reports are wanted; the default where there is no `ruf`.
    pub fo: FailureOptions,
    /// Where aggregate reports go.
    pub rua: Vec<ReportingUri>,
    /// Where failure reports go.
    pub ruf: Vec<ReportingUri>,
}

/// Why a text is no DMARC Policy Record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It does not begin with `v=DMARC1`: it is some other record, and to be ignored.
    #[error("no DMARC record: it does not begin with v=DMARC1")]
    Version,
    /// It is longer than [`MAX_RECORD`].
    #[error("the DMARC record is longer than 8192 octets")]
    TooLong,
}

impl Record {
    /// A record with this policy and nothing else.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            p: Some(policy),
            ..Self::default()
        }
    }

    /// Reads a record: the strings of a TXT record, joined.
    ///
    /// # Errors
    /// If it does not begin with `v=DMARC1`, or is too long.
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        let behind = behind_version(text).ok_or(RecordError::Version)?;
        if text.len() > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        let mut tags = KnownTags::default();
        // RFC 9989 §4.8: "Syntax errors in the remainder of the record MUST be discarded in favor of default values (if any) or ignored
        // outright."
        for tag in Tags::new(behind).take(MAX_TAGS).flatten() {
            tags.add(&tag);
        }
        Ok(tags.record())
    }

    /// The policy for the domain itself, or for one below it.
    pub(crate) fn policy_for(&self, place: Place) -> Option<Policy> {
        let p = self.p?;
        Some(match place {
            Place::Itself => p,
            // RFC 9989 §4.7: "If the "np" tag is absent, the policy specified by the "sp" tag (if the "sp" tag is present) or the policy
            // specified by the "p" tag (if the "sp" tag is not present) MUST be applied for non-existent subdomains."
            Place::NonExistentBelow => self.np.or(self.sp).unwrap_or(p),
            Place::Below => self.sp.unwrap_or(p),
        })
    }
}

/// Where the Author Domain is, seen from the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Itself,
    Below,
    NonExistentBelow,
}

/// What stands behind the version; `None` where that is another or missing.
///
/// RFC 9989 §4.7: "If the tag is not the first in the list, the tag is absent, or the value is not "DMARC1", then the entire record MUST be
/// ignored."
pub(crate) fn behind_version(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|octet| *octet == b';');
    let (first, behind) = text.split_at(end.unwrap_or(text.len()));
    // RFC 9989 §4.8: "dmarc-version = "v" equals %s"DMARC1" ; case sensitive"
    let mut sides = first
        .splitn(2, |octet| *octet == b'=')
        .map(<[u8]>::trim_ascii);
    match (sides.next(), sides.next()) {
        (Some(b"v" | b"V"), Some(b"DMARC1")) => Some(behind.get(1..).unwrap_or_default()),
        _ => None,
    }
}

/// The raw values of the tags that DMARC knows.
#[derive(Debug, Default)]
struct KnownTags<'a>([Value<'a>; NAMES.len() + 1]);

/// The tags of a record behind its version, as RFC 9989 has them.
pub(crate) const NAMES: [&str; 10] = [
    "p", "sp", "np", "adkim", "aspf", "psd", "t", "fo", "rua", "ruf",
];

impl<'a> KnownTags<'a> {
    fn add(&mut self, tag: &Tag<'a>) {
        // RFC 9989 §4.7: "unknown tags MUST be ignored."
        for (name, value) in NAMES.iter().chain(&["pct"]).zip(&mut self.0) {
            if is_word(name, tag.name()) {
                *value = match value {
                    Value::Absent => Value::Once(tag.value()),
                    Value::Once(_) | Value::Invalid => Value::Invalid,
                };
                return;
            }
        }
    }

    fn record(&self) -> Record {
        let [p, sp, np, adkim, aspf, psd, t, fo, rua, ruf, pct] = self.0;
        let rua = rua.uris();
        let ruf = ruf.uris();
        let [p, sp, np] = [p, sp, np].map(|value| value.read(Policy::read));
        // RFC 9989 §4.10.1: "If a retrieved DMARC Policy Record does not contain a valid "p" tag, or contains an "sp" or "np" tag that is
        // not valid, then:"
        let (p, sp, np) = match (p, sp, np) {
            (Ok(Some(p)), Ok(sp), Ok(np)) => (Some(p), sp, np),
            // "If a "rua" tag is present and contains at least one syntactically valid reporting URI, the Mail Receiver MUST act as if a
            // record containing "p=none" was retrieved and continue processing."
            _ if !rua.is_empty() => (Some(Policy::None), None, None),
            // "Otherwise, the Mail Receiver applies no DMARC processing to this message."
            _ => (None, None, None),
        };
        let fo = if ruf.is_empty() {
            // RFC 9989 §4.7: "This tag's content MUST be ignored if a "ruf" tag (below) is not also specified."
            FailureOptions::default()
        } else {
            fo.or_default(FailureOptions::read)
        };
        Record {
            p,
            sp,
            np,
            adkim: adkim.or_default(AlignmentMode::read),
            aspf: aspf.or_default(AlignmentMode::read),
            psd: psd.or_default(Psd::read),
            test_mode: t.or_default(|value| one_of(value, &[("y", true), ("n", false)])),
            pct: pct.read(percent).ok().flatten(),
            fo,
            rua,
            ruf,
        }
    }
}

/// RFC 7489 §6.3: "plain-text integer between 0 and 100, inclusive".
fn percent(value: &str) -> Option<u8> {
    let is_number = (1..=3).contains(&value.len()) && value.bytes().all(|c| c.is_ascii_digit());
    let number = value.parse().ok().filter(|number| *number <= 100);
    number.filter(|_| is_number)
}

/// What a record has for a tag.
#[derive(Clone, Copy, Debug, Default)]
enum Value<'a> {
    #[default]
    Absent,
    Once(&'a str),
    /// It stands there twice.
    Invalid,
}

impl Value<'_> {
    fn read<T>(self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ()> {
        match self {
            Self::Absent => Ok(None),
            Self::Once(value) => read(value).map(Some).ok_or(()),
            Self::Invalid => Err(()),
        }
    }

    fn or_default<T: Default>(self, read: impl FnOnce(&str) -> Option<T>) -> T {
        self.read(read).ok().flatten().unwrap_or_default()
    }

    fn uris(self) -> Vec<ReportingUri> {
        let Self::Once(value) = self else {
            return Vec::new();
        };
        // Most records name one or two.
        let mut uris = Vec::with_capacity(2);
        let parts = value.split(',').map(str::trim_ascii);
        uris.extend(
            parts
                .filter_map(ReportingUri::read)
                .take(MAX_REPORTING_URIS),
        );
        uris
    }
}

/// Whether the words are the same, but for case. Most differ in length.
#[inline]
fn is_word(known: &str, word: &str) -> bool {
    known.len() == word.len() && known.eq_ignore_ascii_case(word)
}

/// What the word stands for; words of DMARC have no case.
pub(crate) fn one_of<T: Copy>(word: &str, words: &[(&str, T)]) -> Option<T> {
    words
        .iter()
        .find(|(known, _)| is_word(known, word))
        .map(|(_, value)| *value)
}

impl Policy {
    pub(crate) fn read(value: &str) -> Option<Self> {
        let policies = [Self::None, Self::Quarantine, Self::Reject];
        one_of(value, &policies.map(|policy| (policy.word(), policy)))
    }

    /// What it comes to for a message that fails: in test mode (`t=y`) one step less.
    #[must_use]
    pub fn disposition(self, test_mode: bool) -> Disposition {
        // RFC 9989 §4.7: "the policy applied to any failing messages will be one level below the specified policy."
        match (self, test_mode) {
            (Self::Reject, false) => Disposition::Reject,
            (Self::Reject, true) | (Self::Quarantine, false) => Disposition::Quarantine,
            (Self::Quarantine, true) | (Self::None, _) => Disposition::None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

impl AlignmentMode {
    pub(crate) fn read(value: &str) -> Option<Self> {
        one_of(value, &[("r", Self::Relaxed), ("s", Self::Strict)])
    }
}

impl Psd {
    pub(crate) fn read(value: &str) -> Option<Self> {
        one_of(
            value,
            &[("y", Self::Yes), ("n", Self::No), ("u", Self::Unspecified)],
        )
    }
}

impl FailureOptions {
    /// Each value at most once, and `0` and `1` not together.
    pub(crate) fn read(value: &str) -> Option<Self> {
        let mut options = Self::default();
        for option in value.split(':') {
            match option.trim_ascii() {
                "0" if options.alignment.is_none() => options.alignment = Some(FailureScope::All),
                "1" if options.alignment.is_none() => options.alignment = Some(FailureScope::Any),
                "d" | "D" if !options.dkim => options.dkim = true,
                "s" | "S" if !options.spf => options.spf = true,
                _ => return None,
            }
        }
        Some(options)
    }
}

impl ReportingUri {
    pub(crate) fn read(value: &str) -> Option<Self> {
        let whole = Some(value).filter(|value| is_uri(value));
        // A size begins with what no URI has, so it is looked for where the whole is none.
        let uri = whole.or_else(|| Some(split_size(value)?.0).filter(|uri| is_uri(uri)))?;
        Some(Self(uri.into()))
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address of a `mailto:` URI, as it is written there: what stands before a `?`. `None` for another scheme.
    #[must_use]
    pub fn mailto(&self) -> Option<&str> {
        let (scheme, path) = self.0.split_once(':')?;
        let address = path.split('?').next()?;
        scheme.eq_ignore_ascii_case("mailto").then_some(address)
    }
}

impl ReportingUri {
    /// The host that reports go to: of a `mailto:` URI the domain of its address, of others that of the authority (RFC 3986 §3.2.2). `None`
    /// if there is none, or it is no domain name.
    #[must_use]
    pub fn host(&self) -> Option<Domain> {
        let host = match self.mailto() {
            Some(address) => address.rsplit_once('@')?.1,
            None => {
                let (_, behind) = self.0.split_once("://")?;
                let authority = behind.split(['/', '?', '#']).next()?;
                let host = authority
                    .rsplit_once('@')
                    .map_or(authority, |(_, host)| host);
                host.split_once(':').map_or(host, |(host, _)| host)
            }
        };
        host.parse().ok()
    }
}

/// A reporting URI and the size that old records have behind it, with its exclamation mark; `None` if that is no size.
pub(crate) fn split_size(value: &str) -> Option<(&str, Option<&str>)> {
    let Some(at) = value.bytes().position(|octet| octet == b'!') else {
        return Some((value, None));
    };
    let (uri, size) = value.split_at(at);
    // RFC 9989 §4.8: "obs-dmarc-report-size = "!" 1*DIGIT [ "k" / "m" / "g" / "t" ]"
    let number = size.get(1..)?;
    let digits = number.trim_end_matches(|unit: char| "kmgtKMGT".contains(unit));
    let is_size = number.len() - digits.len() <= 1
        && !digits.is_empty()
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_size.then_some((uri, Some(size)))
}

/// RFC 3986 §3: a scheme, a colon, and something; only its characters, a `%` only before two hexadecimal digits.
fn is_uri(uri: &str) -> bool {
    let octets = uri.as_bytes();
    let is_of_scheme = |c: &u8| c.is_ascii_alphanumeric() || b"+-.".contains(c);
    let end = octets.iter().position(|c| !is_of_scheme(c));
    let (scheme, behind) = octets.split_at(end.unwrap_or(octets.len()));
    let Some((b':', rest)) = behind.split_first() else {
        return false;
    };
    let is_plain = |part: &[u8]| part.iter().all(|c| URI_CHARACTERS[usize::from(*c)]);
    let is_escaped = |part: &[u8]| {
        let hex = part.get(..2);
        hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) && is_plain(part)
    };
    let rest_ok = is_plain(rest) || {
        let mut parts = rest.split(|octet| *octet == b'%');
        parts.next().is_some_and(is_plain) && parts.all(is_escaped)
    };
    scheme.first().is_some_and(u8::is_ascii_alphabetic) && rest_ok && !rest.is_empty()
}

/// What may stand in a URI behind its scheme, but for `%`. The two characters that RFC 9989 §4.8 wants encoded, comma and exclamation mark, are missing.
const URI_CHARACTERS: [bool; 256] = {
    let punctuation = b"-._~:/?#[]@$&'()*+=";
    let mut may = [false; 256];
    let mut octet = 0;
    while octet < may.len() {
        may[octet] = (octet as u8).is_ascii_alphanumeric();
        octet += 1;
    }
    let mut at = 0;
    while at < punctuation.len() {
        may[punctuation[at] as usize] = true;
        at += 1;
    }
    may
};

impl FromStr for Record {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        Self::parse(text.as_bytes())
    }
}

/// The text is no reporting URI: no absolute URI (RFC 3986 §3), or with a comma or an exclamation mark that is not encoded (RFC 9989 §4.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no URI for reports, such as mailto:dmarc@example.com; a comma is written %2C, an exclamation mark %21"
)]
#[non_exhaustive]
pub struct UriError;

impl FromStr for ReportingUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let is_uri = is_uri(text);
        is_uri.then(|| Self(text.into())).ok_or(UriError)
    }
}

/// The policy's word.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for ReportingUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tag's value; empty for the default.
impl fmt::Display for FailureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            (self.alignment == Some(FailureScope::All), "0"),
            (self.alignment == Some(FailureScope::Any), "1"),
            (self.dkim, "d"),
            (self.spf, "s"),
        ];
        let wanted = options.iter().filter(|(wanted, _)| *wanted);
        for (at, (_, option)) in wanted.enumerate() {
            write!(f, "{}{option}", if at == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// The record as it is published, without the tags that have their default.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        for (name, policy) in [("p", self.p), ("sp", self.sp), ("np", self.np)] {
            if let Some(policy) = policy {
                write!(f, "; {name}={policy}")?;
            }
        }
        for (name, mode) in [("adkim", self.adkim), ("aspf", self.aspf)] {
            if mode == AlignmentMode::Strict {
                write!(f, "; {name}=s")?;
            }
        }
        match self.psd {
            Psd::Yes => f.write_str("; psd=y")?,
            Psd::No => f.write_str("; psd=n")?,
            Psd::Unspecified => {}
        }
        if self.test_mode {
            f.write_str("; t=y")?;
        }
        if let Some(pct) = self.pct {
            write!(f, "; pct={pct}")?;
        }
        for (name, uris) in [("rua", &self.rua), ("ruf", &self.ruf)] {
            for (at, uri) in uris.iter().enumerate() {
                let lead = if at == 0 { "; " } else { "," };
                let tag = if at == 0 { name } else { "" };
                let equals = if at == 0 { "=" } else { "" };
                write!(f, "{lead}{tag}{equals}{uri}")?;
            }
        }
        if self.fo != FailureOptions::default() {
            write!(f, "; fo={}", self.fo)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_behind_the_version_is_left_out() {
        for (text, printed) in [
            ("V = DMARC1 ; P = Reject", "v=DMARC1; p=reject"),
            (
                "v=DMARC1;;p=reject;garbage;=;9=8; adkim=x;",
                "v=DMARC1; p=reject",
            ),
            (
                "v=DMARC1; p=reject; v=DMARC2; unknown=1",
                "v=DMARC1; p=reject",
            ),
            ("v=DMARC1; p=none; p=reject", "v=DMARC1"),
            (
                "v=DMARC1; p=none; P=reject; rua=mailto:a@b.example",
                "v=DMARC1; p=none; rua=mailto:a@b.example",
            ),
            ("v=DMARC1; p=reject; adkim=s; adkim=r", "v=DMARC1; p=reject"),
            (
                "v=DMARC1; p=reject; sp=no; psd=n; rua=mailto:a@b.example",
                "v=DMARC1; p=none; psd=n; rua=mailto:a@b.example",
            ),
            ("v=DMARC1; p=reject; np=", "v=DMARC1"),
            ("v=DMARC1; p=reject; fo=1:d", "v=DMARC1; p=reject"),
            (
                "v=DMARC1; p=reject; fo=d:1:s; ruf=x:y",
                "v=DMARC1; p=reject; ruf=x:y; fo=1:d:s",
            ),
            (
                "v=DMARC1; p=reject; fo=0:1:d; ruf=x:y",
                "v=DMARC1; p=reject; ruf=x:y",
            ),
            (
                "v=DMARC1; p=reject; fo=d:d; ruf=x:y",
                "v=DMARC1; p=reject; ruf=x:y",
            ),
            (
                "v=DMARC1; p=reject; rua=mailto:a@b.example!10m , bogus, https://c.example/%2c!5,d:%2,e:x!!,f:!1mm",
                "v=DMARC1; p=reject; rua=mailto:a@b.example,https://c.example/%2c",
            ),
        ] {
            assert_eq!(
                text.parse::<Record>().map(|record| record.to_string()),
                Ok(printed.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "v=DMARC12; p=none",
            " p=none; v=DMARC1",
            "w=DMARC1",
            "v=DMARC1 p=none",
            "v==DMARC1",
            ";v=DMARC1",
        ] {
            assert_eq!(text.parse::<Record>(), Err(RecordError::Version), "{text}");
        }
        let long = format!("v=DMARC1; p=none; x={}", "y".repeat(MAX_RECORD));
        assert_eq!(long.parse::<Record>(), Err(RecordError::TooLong));
    }

    #[test]
    fn a_uri_has_a_host() {
        for (uri, host) in [
            ("mailto:a@b.example", Some("b.example")),
            ("mailto:a@x@b.example?to=c@d.example", Some("b.example")),
            ("https://u:p@b.example:8443/x?y@z", Some("b.example")),
            ("https://b.example", Some("b.example")),
            ("https://[2001:db8::1]/", None),
            ("mailto:a", None),
            ("urn:b.example", None),
        ] {
            let host_of =
                ReportingUri::read(uri).map(|uri| uri.host().map(|host| host.to_string()));
            assert_eq!(host_of, Some(host.map(str::to_owned)), "{uri}");
        }
    }

    #[test]
    fn a_mailto_uri_has_an_address() {
        let record: Result<Record, _> =
            "v=DMARC1; p=none; rua=MAILTO:a@b.example?subject=x, https://c.example".parse();
        let uris = record.map(|record| record.rua).unwrap_or_default();
        let addresses: Vec<Option<&str>> = uris.iter().map(ReportingUri::mailto).collect();
        assert_eq!(addresses, [Some("a@b.example"), None]);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut text = b"v=DMARC1;".to_vec();
            text.extend(octets);
            prop_assert!(Record::parse(&text).is_ok());
        }

        #[test]
        fn what_is_printed_is_read_again(
            tags in proptest::collection::vec(
                ("p|sp|np|adkim|aspf|psd|t|fo|rua|ruf|x", "none|reject|quarantine|[rsyn01du]|0:d|s:1|mailto:a@b.example|x:y,z:w!3k|[ -~]{0,8}"),
                0..12,
            ),
        ) {
            let list: Vec<String> = tags.iter().map(|(name, value)| format!("; {name}={value}")).collect();
            let record: Record = format!("v=DMARC1{}", list.concat()).parse()?;
            prop_assert_eq!(record.to_string().parse::<Record>()?, record);
        }
    }
}
