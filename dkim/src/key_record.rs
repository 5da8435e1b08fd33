//! Key records (RFC 6376 §3.6.1, RFC 8463 §4.2): read from the DNS, and printed for the zone.

use core::fmt;

use base64::Engine as _;
use mail_dns::{Name, Txt};
use mail_syntax::tag_list::{Tag, TagList, TagListError};

use crate::folded_base64;
use crate::public_key::{Ed25519PublicKey, PublicKey, PublicKeyError, RsaPublicKey};
use crate::quoted_printable;
use crate::signature::{Algorithm, BASE64};

/// A key record.
///
/// ```
/// use dkim::KeyRecord;
///
/// let record: KeyRecord = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse()?;
/// assert!(record.public_key.is_some() && record.allows_email());
/// # Ok::<(), dkim::key_record::KeyRecordError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// The kind of key, `k=`.
    pub key_type: KeyType,
    /// The key, `p=`; `None` where it has been revoked.
    pub public_key: Option<PublicKey>,
    /// The names of the hash algorithms that may be used, `h=`; `None` allows all.
    pub hashes: Option<Vec<Box<str>>>,
    /// The services that the key is for, `s=`; `None` allows all.
    pub services: Option<Vec<Box<str>>>,
    /// `t=y`: "This domain is testing DKIM."
    pub testing: bool,
    /// `t=s`: the domain of `i=` must be that of `d=`, not one below it.
    pub strict: bool,
    /// A note for people, `n=`, as it is written: quoted-printable, not decoded.
    pub notes: Option<Box<str>>,
}

/// The kinds of key that are defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// `rsa`.
    Rsa,
    /// `ed25519`.
    Ed25519,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        })
    }
}

/// Why a text is no key record. Offsets count from the start of the record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRecordError {
    /// No tag list, or one with a tag twice.
    #[error("key syntax error: {0}")]
    TagList(#[from] TagListError),
    /// RFC 6376 §3.6.1: "Records beginning with a "v=" tag with any other value MUST be discarded."
    #[error("the key record has a version other than DKIM1")]
    Version,
    /// RFC 6376 §3.6.1: "This tag MUST be the first tag in the record."
    #[error("v= at byte {offset} of the key record is not its first tag")]
    VersionNotFirst {
        /// Where the tag begins.
        offset: usize,
    },
    /// No `p=`.
    #[error("the key record has no p=")]
    MissingKey,
    /// A kind of key that is not defined.
    #[error("the key record has an unknown key type at byte {offset}")]
    KeyType {
        /// Where the tag `k=` begins.
        offset: usize,
    },
    /// The list of a tag has an empty or malformed word.
    #[error("the list {tag}= at byte {offset} of the key record is malformed")]
    List {
        /// The tag.
        tag: &'static str,
        /// Where the tag begins.
        offset: usize,
    },
    /// `p=` is not base64.
    #[error("p= at byte {offset} of the key record is not base64")]
    Base64 {
        /// Where the tag begins.
        offset: usize,
    },
    /// `p=` is no key of its kind that we would use.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
}

impl KeyRecord {
    /// A record for this key that restricts nothing. The `with_` methods add to it.
    ///
    /// ```
    /// # use dkim::{KeyRecord, PrivateKey};
    /// let key = PrivateKey::from_ed25519_seed(&[7; 32])?.public_key()?;
    /// let record = KeyRecord::new(key).with_email_only().with_testing().with_notes("asked for by Joe");
    /// let text = record.to_string();
    /// assert!(text.starts_with("v=DKIM1; k=ed25519; s=email; t=y; n=asked=20for=20by=20Joe; p="), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new(public_key: PublicKey) -> Self {
        Self {
            key_type: match public_key {
                PublicKey::Rsa(_) => KeyType::Rsa,
                PublicKey::Ed25519(_) => KeyType::Ed25519,
            },
            public_key: Some(public_key),
            hashes: None,
            services: None,
            testing: false,
            strict: false,
            notes: None,
        }
    }

    /// The record that takes the place of a key that must not be trusted any more: its `p=` is empty.
    ///
    /// RFC 6376 §6.1.2: "There is no defined semantic difference between a key that has been revoked and a key record that has been
    /// removed."
    #[must_use]
    pub const fn revoked(key_type: KeyType) -> Self {
        Self {
            key_type,
            public_key: None,
            hashes: None,
            services: None,
            testing: false,
            strict: false,
            notes: None,
        }
    }

    /// With `s=email`: the key is for mail and nothing else.
    #[must_use]
    pub fn with_email_only(mut self) -> Self {
        self.services = Some(vec!["email".into()]);
        self
    }

    /// With `h=sha256`: signatures by other hashes are refused.
    #[must_use]
    pub fn with_sha256_only(mut self) -> Self {
        self.hashes = Some(vec!["sha256".into()]);
        self
    }

    /// With `t=y`: the domain is testing DKIM, and its signatures are to count for nothing.
    #[must_use]
    pub const fn with_testing(mut self) -> Self {
        self.testing = true;
        self
    }

    /// With `t=s`: the domain of `i=` must be that of `d=`.
    #[must_use]
    pub const fn with_strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// With a note for people, `n=`, any text.
    ///
    /// RFC 6376 §3.6.1: "This tag should be used sparingly in any key server mechanism that has space limitations (notably DNS)."
    #[must_use]
    pub fn with_notes(mut self, text: &str) -> Self {
        self.notes = Some(encode_notes(text));
        self
    }

    /// Reads the joined strings of a TXT record.
    ///
    /// # Errors
    /// [`KeyRecordError`]; the record must then be ignored (RFC 6376 §6.1.2).
    pub fn parse(text: &[u8]) -> Result<Self, KeyRecordError> {
        Self::parse_with(text, &Leniency::default())
    }

    /// As [`KeyRecord::parse`], and takes what the leniency says.
    ///
    /// # Errors
    /// As [`KeyRecord::parse`].
    pub fn parse_with(text: &[u8], leniency: &Leniency) -> Result<Self, KeyRecordError> {
        let list = TagList::parse(text)?;
        if let Some(tag) = list.tag("v") {
            if list.tags().first() != Some(tag) {
                let offset = tag.offset();
                return Err(KeyRecordError::VersionNotFirst { offset });
            }
            if tag.value() != "DKIM1" {
                return Err(KeyRecordError::Version);
            }
        }
        let key_type = match list.tag("k") {
            None => KeyType::Rsa,
            Some(tag) => match tag.value() {
                "rsa" => KeyType::Rsa,
                "ed25519" => KeyType::Ed25519,
                _ => {
                    let offset = tag.offset();
                    return Err(KeyRecordError::KeyType { offset });
                }
            },
        };
        let p = list.tag("p").ok_or(KeyRecordError::MissingKey)?;
        let flag = |flag| {
            let flags = words(&list, "t")?;
            Ok::<_, KeyRecordError>(flags.into_iter().flatten().any(|word| word == flag))
        };
        let kept = |tag| {
            Ok::<_, KeyRecordError>(words(&list, tag)?.map(|words| words.map(Box::from).collect()))
        };
        let (testing, strict) = (flag("y")?, flag("s")?);
        Ok(Self {
            key_type,
            public_key: public_key(key_type, p, leniency)?,
            hashes: kept("h")?,
            services: kept("s")?,
            testing,
            strict,
            notes: list.value("n").map(Into::into),
        })
    }

    /// Whether signatures with the hash of this algorithm may be made with the key (`h=`).
    #[must_use]
    pub fn allows_hash_of(&self, algorithm: Algorithm) -> bool {
        let allows =
            |hashes: &[Box<str>]| hashes.iter().any(|hash| **hash == *algorithm.hash_name());
        self.hashes.as_deref().is_none_or(allows)
    }

    /// Whether the key is for mail (`s=`).
    #[must_use]
    pub fn allows_email(&self) -> bool {
        let allows = |services: &[Box<str>]| {
            services
                .iter()
                .any(|service| matches!(&**service, "*" | "email"))
        };
        self.services.as_deref().is_none_or(allows)
    }

    /// The record as the DNS holds it, in strings of at most 255 octets; where it does not fit into one, `p=` begins a new one.
    #[must_use]
    pub fn to_txt(&self) -> Txt {
        let text = self.to_string();
        // The key is printed last, and base64 has no semicolon.
        match text.rsplit_once("; p=") {
            Some((tags, key)) if text.len() > Txt::MAX_STRING => {
                Txt::new([format!("{tags}; "), format!("p={key}")])
            }
            _ => Txt::new([text]),
        }
    }

    /// The record as an entry of a master file (RFC 1035 §5.1), without a time to live: one line, or where it needs several strings,
    /// one line for each of them within parentheses.
    ///
    /// ```
    /// # use dkim::KeyRecord;
    /// let record: KeyRecord = "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse()?;
    /// assert_eq!(
    ///     record.zone_line(&"brisbane._domainkey.example.com".parse()?),
    ///     "brisbane._domainkey.example.com. IN TXT \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn zone_line(&self, name: &Name) -> String {
        self.to_txt().zone_line(name)
    }
}

/// Key records that a standard refuses and that may be taken all the same. Default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leniency {
    /// An Ed25519 key wrapped in a SubjectPublicKeyInfo (RFC 8410 §4), as who knows RSA key records publishes it. Default: refused.
    /// RFC 8463 §4.2: "Since the key is 256 bits long, the base64 text is 44 octets". Costs: the domain does not learn of its mistake.
    pub ed25519_spki: bool,
}

impl Leniency {
    /// Everything of it, for tools that tell what is wrong with a record.
    #[must_use]
    pub const fn all() -> Self {
        Self { ed25519_spki: true }
    }
}

/// Prints the record in one line, the key last and as a SubjectPublicKeyInfo where it is RSA, as it is published everywhere.
impl fmt::Display for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=DKIM1; k={}; ", self.key_type)?;
        for (tag, list) in [("h", &self.hashes), ("s", &self.services)] {
            if let Some(list) = list {
                write!(f, "{tag}={}; ", list.join(":"))?;
            }
        }
        match (self.testing, self.strict) {
            (true, true) => f.write_str("t=y:s; ")?,
            (true, false) => f.write_str("t=y; ")?,
            (false, true) => f.write_str("t=s; ")?,
            (false, false) => {}
        }
        if let Some(notes) = &self.notes {
            write!(f, "n={notes}; ")?;
        }
        let octets = match &self.public_key {
            Some(PublicKey::Rsa(key)) => key.to_der(),
            Some(PublicKey::Ed25519(key)) => key.octets().to_vec(),
            None => Vec::new(),
        };
        write!(f, "p={}", BASE64.encode(octets))
    }
}

impl core::str::FromStr for KeyRecord {
    type Err = KeyRecordError;

    fn from_str(text: &str) -> Result<Self, KeyRecordError> {
        Self::parse(text.as_bytes())
    }
}

/// A note for [`KeyRecord::notes`], with all written as quoted-printable that the record cannot hold.
#[must_use]
pub fn encode_notes(text: &str) -> Box<str> {
    quoted_printable::encode(text.as_bytes()).into()
}

/// What stands before the 32 octets of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4): two sequences, the object identifier
/// 1.3.101.112, and the head of the bit string.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

fn public_key(
    key_type: KeyType,
    tag: &Tag<'_>,
    leniency: &Leniency,
) -> Result<Option<PublicKey>, KeyRecordError> {
    // RFC 6376 §3.6.1: "An empty value means that this public key has been revoked."
    if tag.value().is_empty() {
        return Ok(None);
    }
    let octets = folded_base64::decode(tag.value()).ok_or_else(|| KeyRecordError::Base64 {
        offset: tag.offset(),
    })?;
    Ok(Some(match key_type {
        KeyType::Rsa => PublicKey::Rsa(RsaPublicKey::from_der_vec(octets)?),
        KeyType::Ed25519 => {
            let bare = match octets.strip_prefix(&ED25519_SPKI) {
                Some(bare) if leniency.ed25519_spki => bare,
                _ => &octets,
            };
            PublicKey::Ed25519(Ed25519PublicKey::from_octets(bare)?)
        }
    }))
}

/// The words of a list with colons between them; white space around the colons is no part of them.
fn words<'a>(
    list: &TagList<'a>,
    tag: &'static str,
) -> Result<Option<impl Iterator<Item = &'a str>>, KeyRecordError> {
    let Some(at) = list.tag(tag) else {
        return Ok(None);
    };
    let words = at.value().split(':').map(str::trim_ascii);
    if (words.clone()).all(|word| word == "*" || is_hyphenated_word(word)) {
        Ok(Some(words))
    } else {
        let offset = at.offset();
        Err(KeyRecordError::List { tag, offset })
    }
}

/// RFC 6376 §2.10: "hyphenated-word =  ALPHA [ *(ALPHA / DIGIT / "-") (ALPHA / DIGIT) ]"
fn is_hyphenated_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.ends_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn reads_all_tags() {
        let text = format!(
            "v=DKIM1;k = ed25519 ;h=sha1 :\tsha256;s=email:x-new; t=y : s:new;n=a=20note;g=;p= {P} ;"
        );
        let record = KeyRecord::parse(text.as_bytes()).unwrap();
        assert_eq!(record.key_type, KeyType::Ed25519);
        assert!(record.testing && record.strict && record.allows_email());
        assert!(
            record.allows_hash_of(Algorithm::Ed25519Sha256)
                && record.allows_hash_of(Algorithm::RsaSha1)
        );
        assert_eq!(record.notes.as_deref(), Some("a=20note"));
        assert_eq!(encode_notes("a note"), record.notes.unwrap());
    }

    #[test]
    fn mistakes() {
        use KeyRecordError::*;
        for (text, error) in [
            ("v=DKIM1", MissingKey),
            ("p=; v=DKIM1", VersionNotFirst { offset: 4 }),
            ("v=DKIM1.0; p=", Version),
            ("v=dkim1; p=", Version),
            ("k=dsa; p=", KeyType { offset: 0 }),
            (
                "h=; p=",
                List {
                    tag: "h",
                    offset: 0,
                },
            ),
            (
                "s=email:; p=",
                List {
                    tag: "s",
                    offset: 0,
                },
            ),
            (
                "t=y s; p=",
                List {
                    tag: "t",
                    offset: 0,
                },
            ),
            ("p=*", Base64 { offset: 0 }),
            ("p=AAAA", PublicKey(PublicKeyError::Der)),
            (
                "k=ed25519; p=AAAA",
                PublicKey(PublicKeyError::Ed25519Length { octets: 3 }),
            ),
            ("p=; p=", TagList(TagListError::Duplicate { offset: 4 })),
        ] {
            assert_eq!(KeyRecord::parse(text.as_bytes()), Err(error), "{text}");
        }
    }

    #[test]
    fn an_ed25519_key_in_a_subject_public_key_info_needs_leniency() {
        let octets = BASE64.decode(P).unwrap();
        let wrapped = BASE64.encode([&ED25519_SPKI[..], &octets].concat());
        let text = format!("k=ed25519; p={wrapped}");
        let length = PublicKeyError::Ed25519Length { octets: 44 };
        assert_eq!(
            KeyRecord::parse(text.as_bytes()),
            Err(KeyRecordError::PublicKey(length))
        );
        let record = KeyRecord::parse_with(text.as_bytes(), &Leniency::all()).unwrap();
        let bare = format!("k=ed25519; p={P}");
        assert_eq!(Ok(record), KeyRecord::parse(bare.as_bytes()));
        let cut = BASE64.encode([&ED25519_SPKI[..], &octets[..31]].concat());
        let text = format!("k=ed25519; p={cut}");
        assert!(KeyRecord::parse_with(text.as_bytes(), &Leniency::all()).is_err());
    }

    #[test]
    fn a_long_record_has_a_line_for_each_string() {
        let rsa = include_str!("../tests/keys/rsa2048.pub.base64");
        let record: KeyRecord = format!("p={}", rsa.trim()).parse().unwrap();
        let name: Name = "s._domainkey.example.org".parse().unwrap();
        let line = record.zone_line(&name);
        let mut lines = line.lines();
        assert_eq!(lines.next(), Some("s._domainkey.example.org. IN TXT ("));
        assert_eq!(lines.next(), Some("\t\"v=DKIM1; k=rsa; \""));
        assert!(lines.next().unwrap().starts_with("\t\"p=MII"), "{line}");
        assert!(lines.next().unwrap().ends_with("\" )"), "{line}");
        assert_eq!(lines.next(), None);
    }

    fn words() -> impl Strategy<Value = Option<Vec<Box<str>>>> {
        let word = "[a-z]([a-z0-9-]{0,8}[a-z0-9])?|\\*".prop_map(Box::from);
        prop::option::of(prop::collection::vec(word, 1..4))
    }

    proptest! {
        #[test]
        fn printing_undoes_reading(
            hashes in words(), services in words(), testing: bool, strict: bool, revoked: bool, notes in prop::option::of(".{1,30}"),
        ) {
            let mut record: KeyRecord = format!("k=ed25519; p={P}").parse().unwrap();
            if revoked {
                record.public_key = None;
            }
            (record.hashes, record.services, record.testing, record.strict) = (hashes, services, testing, strict);
            record.notes = notes.map(|notes| encode_notes(&notes));
            prop_assert_eq!(KeyRecord::parse(record.to_string().as_bytes()), Ok(record));
        }

        #[test]
        fn a_master_file_reads_what_is_printed_for_one(
            rsa: bool, services in words(), notes in prop::option::of(".{1,300}"),
        ) {
            let rsa_key = include_str!("../tests/keys/rsa2048.pub.base64").trim();
            let (kind, key) = if rsa { ("rsa", rsa_key) } else { ("ed25519", P) };
            let mut record: KeyRecord = format!("k={kind}; p={key}").parse().unwrap();
            record.services = services;
            record.notes = notes.map(|notes| encode_notes(&notes));
            let name: Name = "s._domainkey.example.org".parse().unwrap();
            let zone: mail_dns::Zone = record.zone_line(&name).parse().unwrap();
            let answer = zone.answer(&mail_dns::Question::new(name, mail_dns::RecordType::Txt));
            let [mail_dns::Record::Txt(text)] = answer.records() else {
                panic!("{answer:?}");
            };
            prop_assert!(text.strings().all(|string| string.len() <= 255));
            prop_assert_eq!(KeyRecord::parse(&text.joined()), Ok(record));
        }

        #[test]
        fn no_octets_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = KeyRecord::parse(&text);
        }
    }
}
