//! Domain names (RFC 1035 §3.1): any octets, no case, always absolute.

mod order;
mod presentation;
mod suffixes;

use core::iter::once;
use std::sync::Arc;

pub(crate) use presentation::escape;
pub use suffixes::Suffixes;

/// A domain name: a list of labels of any octets, absolute, compared and hashed without regard to ASCII case.
///
/// RFC 1035 §2.3.4 and RFC 2181 §11: a label has 1 to 63 octets, a name at most 255 octets on the wire. There is no relative name:
/// `example.com` and `example.com.` are the same value, so the final dot that makes names of other libraries differ does not exist
/// here. The case that was given is kept and printed. A clone, and [`Name::parent`], cost a reference count.
///
/// The order is the canonical DNS name order of RFC 4034 §6.1: a name stands directly before everything below it.
///
/// ```
/// # use mail_dns::Name;
/// let name: Name = "strong\\.bad=x._spf.Example.com".parse()?;
/// assert_eq!(name.labels().next(), Some(&b"strong.bad=x"[..]));
/// assert_eq!(name, "STRONG\\.bad=x._spf.example.com.".parse()?);
/// assert_eq!(name.to_string(), "strong\\.bad=x._spf.Example.com");
/// # Ok::<(), mail_dns::NameError>(())
/// ```
#[derive(Clone)]
pub struct Name {
    /// Labels as on the wire, each after its length, without the root's zero. Shared with the names this one was derived from.
    wire: Arc<[u8]>,
    /// Where in `wire` this name begins; always at the length octet of a label, or the end.
    start: u16,
    /// The octets of this name.
    length: u8,
}

/// Why text or labels are no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No text at all; the root is written as a dot.
    #[error("a domain name is empty; the root is written \".\"")]
    Empty,
    /// Two dots in a row, or a dot at the beginning.
    #[error("empty label at octet {at} of a domain name")]
    EmptyLabel {
        /// Octet of the text, or for [`Name::from_labels`] the number of the label.
        at: usize,
    },
    /// A label of more than 63 octets (RFC 1035 §2.3.4).
    #[error("label at octet {at} of a domain name is longer than 63 octets")]
    LabelTooLong {
        /// Octet of the text where the label begins, or for [`Name::from_labels`] the number of the label.
        at: usize,
    },
    /// More than 255 octets on the wire (RFC 1035 §2.3.4).
    #[error("a domain name is longer than 255 octets")]
    TooLong,
    /// A backslash that is followed neither by three digits up to 255 nor by another character (RFC 1035 §5.1).
    #[error("bad escape at octet {at} of a domain name")]
    BadEscape {
        /// Octet of the text.
        at: usize,
    },
}

/// Octets of a label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// Octets of a name on the wire without the root's own zero octet (RFC 1035 §2.3.4: 255 with it).
const MAX_WIRE: usize = 254;
/// Labels of a name: each has at least one octet besides its length.
const MAX_LABELS: usize = MAX_WIRE / 2;

impl Name {
    /// The root of the DNS, which prints as a dot.
    pub fn root() -> Self {
        Self {
            wire: Arc::default(),
            start: 0,
            length: 0,
        }
    }

    /// The name with these labels, the leftmost first; any octets are taken as they are.
    ///
    /// # Errors
    ///
    /// An empty or too long label (`at` is then its number), or too long a name.
    pub fn from_labels<I>(labels: I) -> Result<Self, NameError>
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut builder = Builder::default();
        for (at, label) in labels.into_iter().enumerate() {
            builder.label(label.as_ref(), at)?;
        }
        Ok(builder.name())
    }

    /// The name that these octets spell when each dot separates two labels and nothing is an escape; a final dot changes nothing.
    ///
    /// It is how protocols write names that do not come from a zone file, for example an expanded SPF macro (RFC 7208 §7).
    ///
    /// # Errors
    ///
    /// As for labels; `at` is the octet of `dotted`. Text of no octets is [`NameError::Empty`].
    pub fn from_dotted(dotted: &[u8]) -> Result<Self, NameError> {
        if dotted == b"." {
            return Ok(Self::root());
        }
        let text = dotted.strip_suffix(b".").unwrap_or(dotted);
        if text.is_empty() {
            return Err(if dotted.is_empty() {
                NameError::Empty
            } else {
                NameError::EmptyLabel { at: 0 }
            });
        }
        // Bound before the work: each label costs one octet more than in the text at most once.
        if text.len() >= MAX_WIRE {
            return Err(first_label_error(text).unwrap_or(NameError::TooLong));
        }
        // The wire form has a length before each label where the text has a dot between two. It is written where it stays.
        let dotted = once(b'.').chain(text.iter().copied());
        let mut wire: Arc<[u8]> = dotted.collect();
        if dots_to_lengths(Arc::make_mut(&mut wire)).is_none() {
            return Err(first_label_error(text).unwrap_or(NameError::TooLong));
        }
        Ok(Self {
            wire,
            start: 0,
            // At most 254.
            length: text.len() as u8 + 1,
        })
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels { wire: self.wire() }
    }

    /// How many labels there are; the root has none.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its leftmost label; none for the root.
    pub fn parent(&self) -> Option<Self> {
        let label = 1 + *self.wire().first()?;
        Some(Self {
            wire: Arc::clone(&self.wire),
            start: self.start + u16::from(label),
            length: self.length.checked_sub(label)?,
        })
    }

    /// This name, its parent, and so on up to and with the root.
    pub fn ancestors(&self) -> Ancestors {
        Ancestors {
            next: Some(self.clone()),
        }
    }

    /// The last `count` labels as a name, or the whole name where it has no more.
    pub fn suffix(&self, count: usize) -> Self {
        let mut name = self.clone();
        for _ in count..self.label_count() {
            match name.parent() {
                Some(parent) => name = parent,
                None => break,
            }
        }
        name
    }

    /// Whether this name is `other` or below it.
    pub fn is_subdomain_of(&self, other: &Self) -> bool {
        let (longer, shorter) = (self.wire(), other.wire());
        let Some(skip) = longer.len().checked_sub(shorter.len()) else {
            return false;
        };
        // The tail is a name of its own only where it begins at a label.
        let mut at = 0;
        while at < skip {
            at += 1 + usize::from(longer[at]);
        }
        at == skip && longer[skip..].eq_ignore_ascii_case(shorter)
    }

    /// `label` in front of this name.
    ///
    /// # Errors
    ///
    /// An empty or too long label, or too long a name.
    pub fn prepend(&self, label: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let mut builder = Builder::default();
        builder.label(label.as_ref(), 0)?;
        builder.labels(self)?;
        Ok(builder.name())
    }

    /// This name's labels in front of `suffix`: `_dmarc` and `example.com` give `_dmarc.example.com`.
    ///
    /// # Errors
    ///
    /// Too long a name.
    pub fn append(&self, suffix: &Self) -> Result<Self, NameError> {
        let mut builder = Builder::default();
        builder.labels(self)?;
        builder.labels(suffix)?;
        Ok(builder.name())
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire().is_empty()
    }

    /// Whether all letters of ASCII are lower case already, and if not, the same name in lower case.
    pub fn to_lowercase(&self) -> Self {
        Self {
            wire: self.wire().to_ascii_lowercase().into(),
            start: 0,
            length: self.length,
        }
    }

    /// The labels as on the wire, each after its length, without the root's final zero and without compression.
    #[inline]
    pub fn wire(&self) -> &[u8] {
        let start = usize::from(self.start);
        let range = start..start + usize::from(self.length);
        self.wire.get(range).unwrap_or_default()
    }

    /// The labels joined by dots with nothing escaped, as protocols write a name outside of zone files; empty for the root.
    pub fn to_dotted(&self) -> Vec<u8> {
        let mut dotted = Vec::with_capacity(self.wire().len());
        for label in self.labels() {
            if !dotted.is_empty() {
                dotted.push(b'.');
            }
            dotted.extend_from_slice(label);
        }
        dotted
    }
}

/// Makes a wire form of what has a dot where it has the length of a label; how many labels it has, or `None` where one is empty or too long.
fn dots_to_lengths(wire: &mut [u8]) -> Option<usize> {
    let (mut labels, mut length, mut fit) = (0, 0, true);
    for octet in wire.iter_mut().rev() {
        if *octet == b'.' {
            fit &= matches!(length, 1..=MAX_LABEL);
            *octet = length as u8;
            labels += 1;
            length = 0;
        } else {
            length += 1;
        }
    }
    fit.then_some(labels)
}

/// The first label of `text` that is empty or too long; of a text that is too long, too, it is the better reason.
fn first_label_error(text: &[u8]) -> Option<NameError> {
    let mut at = 0;
    for label in text
        .get(..=MAX_WIRE)
        .unwrap_or(text)
        .split(|&octet| octet == b'.')
    {
        if label.is_empty() {
            return Some(NameError::EmptyLabel { at });
        }
        if label.len() > MAX_LABEL {
            return Some(NameError::LabelTooLong { at });
        }
        at += label.len() + 1;
    }
    None
}

/// The octet in front of a label that begins at `at`.
fn label_length(length: usize, at: usize) -> Result<u8, NameError> {
    match length {
        0 => Err(NameError::EmptyLabel { at }),
        1..=MAX_LABEL => Ok(length as u8),
        _ => Err(NameError::LabelTooLong { at }),
    }
}

/// A name that grows label by label, always within the limits; nothing is allocated before it is whole.
struct Builder {
    wire: [u8; MAX_WIRE],
    length: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            wire: [0; MAX_WIRE],
            length: 0,
        }
    }
}

impl Builder {
    fn label(&mut self, label: &[u8], at: usize) -> Result<(), NameError> {
        self.append(&[label_length(label.len(), at)?])?;
        self.append(label)
    }

    fn labels(&mut self, name: &Name) -> Result<(), NameError> {
        self.append(name.wire())
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), NameError> {
        let end = self.length + octets.len();
        let room = self.wire.get_mut(self.length..end);
        room.ok_or(NameError::TooLong)?.copy_from_slice(octets);
        self.length = end;
        Ok(())
    }

    fn name(&self) -> Name {
        Name {
            wire: self.wire.get(..self.length).unwrap_or_default().into(),
            start: 0,
            // At most 254, the size of the builder.
            length: self.length as u8,
        }
    }
}

/// The labels of a [`Name`] from left to right.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    wire: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.wire.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.wire = rest;
        Some(label)
    }
}

/// A [`Name`], its parent, and so on up to and with the root.
#[derive(Clone, Debug)]
pub struct Ancestors {
    next: Option<Name>,
}

impl Iterator for Ancestors {
    type Item = Name;

    fn next(&mut self) -> Option<Name> {
        let name = self.next.take()?;
        self.next = name.parent();
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn presentation() {
        for (text, printed) in [
            (".", "."),
            ("example.com", "example.com"),
            ("example.com.", "example.com"),
            ("Example.COM", "Example.COM"),
            ("a=b+c/!._spf", "a=b+c/!._spf"),
            ("a\\.b.c", "a\\.b.c"),
            ("a\\046b.c", "a\\.b.c"),
            ("\\000\\255", "\\000\\255"),
            ("a\\ b", "a\\032b"),
            ("\\@.x", "\\@.x"),
            ("ü", "\\195\\188"),
        ] {
            assert_eq!(name(text).to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_name() {
        let long = "a".repeat(64);
        for (text, error) in [
            ("", NameError::Empty),
            ("..", NameError::EmptyLabel { at: 0 }),
            (".a", NameError::EmptyLabel { at: 0 }),
            ("a..b", NameError::EmptyLabel { at: 2 }),
            ("a.\\", NameError::BadEscape { at: 2 }),
            ("a.\\25", NameError::BadEscape { at: 2 }),
            ("a.\\256", NameError::BadEscape { at: 2 }),
            (&format!("x.{long}"), NameError::LabelTooLong { at: 2 }),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error.clone()), "{text}");
            if !text.contains('\\') {
                assert_eq!(Name::from_dotted(text.as_bytes()), Err(error), "{text}");
            }
        }
    }

    #[test]
    fn limits_just_below_and_above() {
        let label = "a".repeat(63);
        // 3 × 64 + 62 = 254 octets, 255 with the root.
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name(&longest).wire().len(), 254);
        assert_eq!(Name::from_dotted(longest.as_bytes()), Ok(name(&longest)));
        let over = format!("{longest}a");
        assert_eq!(over.parse::<Name>(), Err(NameError::TooLong));
        assert_eq!(Name::from_dotted(over.as_bytes()), Err(NameError::TooLong));
        assert_eq!(name(&longest).prepend("a"), Err(NameError::TooLong));
        assert_eq!(
            Name::from_labels([[b'a'; 64]]),
            Err(NameError::LabelTooLong { at: 0 })
        );
    }

    #[test]
    fn dotted_octets_are_taken_as_they_are() {
        let name = Name::from_dotted(b"a\\b.\xff.com").unwrap();
        assert_eq!(
            name.labels().collect::<Vec<_>>(),
            [&b"a\\b"[..], b"\xff", b"com"]
        );
        assert_eq!(name.to_dotted(), b"a\\b.\xff.com");
    }

    #[test]
    fn relations() {
        let sub = name("a.Example.com");
        assert!(sub.is_subdomain_of(&name("example.COM")));
        assert!(sub.is_subdomain_of(&sub));
        assert!(sub.is_subdomain_of(&Name::root()));
        assert!(!name("badexample.com").is_subdomain_of(&name("example.com")));
        assert!(!name("com").is_subdomain_of(&name("example.com")));
        // The octets of the tail are equal, the labels are not: \003 is both a length and an octet of a label.
        assert!(
            !Name::from_labels([&b"a\x03com"[..]])
                .unwrap()
                .is_subdomain_of(&name("com"))
        );
        assert_eq!(
            sub.ancestors()
                .map(|name| name.to_string())
                .collect::<Vec<_>>(),
            ["a.Example.com", "Example.com", "com", "."]
        );
        assert_eq!(sub.suffix(2), name("example.com"));
        assert_eq!(sub.suffix(9), sub);
        assert_eq!(
            name("_dmarc").append(&sub.parent().unwrap()).unwrap(),
            name("_dmarc.example.com")
        );
        assert_eq!(Name::root().parent(), None);
    }

    #[test]
    fn suffixes_below_a_label() {
        fn of<const N: usize>(dotted: &str, labels: [u8; N]) -> [Option<Name>; N] {
            let names = Suffixes::new(b"_x", dotted.as_bytes(), &labels).unwrap();
            assert_eq!(names.get(N), None);
            core::array::from_fn(|place| names.get(place))
        }
        let some = |text: &str| Some(name(text));
        assert_eq!(
            of("A.Example.com", [3, 2, 1, 0, 4, u8::MAX]),
            [
                some("_x.A.Example.com"),
                some("_x.Example.com"),
                some("_x.com"),
                None,
                None,
                None
            ]
        );
        let [Some(com), Some(all), Some(example_com)] = of("A.Example.com", [1, 3, 2]) else {
            panic!("no name");
        };
        assert_eq!(com.to_string(), "_x.com");
        assert_eq!(all.to_string(), "_x.A.Example.com");
        assert_eq!(example_com.to_string(), "_x.Example.com");
        assert_eq!(example_com.parent(), some("example.com"));
        assert_eq!(example_com.to_lowercase(), example_com);
        // As a name alone: the longest that fits, and one octet more.
        let label = "a".repeat(63);
        let fits = format!("{label}.{label}.{label}.{}", "b".repeat(58));
        assert_eq!(of(&fits, [4]), [some(&format!("_x.{fits}"))]);
        assert_eq!(of(&format!("{fits}b"), [4]), [None]);
        let longest = format!("{fits}bbbbb");
        assert_eq!(longest.len(), 255);
        let top = format!("_x.{}", "b".repeat(63));
        assert_eq!(of(&longest, [4, 1]), [None, some(&top)]);
        assert_eq!(
            of(&("a.".repeat(127) + "b"), [128, 1]),
            [None, some("_x.b")]
        );
        for (dotted, error) in [
            (format!("{longest}b"), NameError::TooLong),
            (String::new(), NameError::EmptyLabel { at: 0 }),
            ("a..b".to_owned(), NameError::EmptyLabel { at: 2 }),
            (".".repeat(255), NameError::EmptyLabel { at: 0 }),
            ("c".repeat(64), NameError::LabelTooLong { at: 0 }),
        ] {
            let failed = Suffixes::new(b"_x", dotted.as_bytes(), &[1]);
            assert_eq!(failed.err(), Some(error));
        }
        let many = Suffixes::new(b"_x", fits.as_bytes(), &[4; 258]);
        assert_eq!(many.err(), Some(NameError::TooLong));
    }

    #[test]
    fn canonical_order_of_rfc_4034() {
        // RFC 4034 §6.1, the example.
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            "\\001.z.example",
            "*.z.example",
            "\\200.z.example",
        ];
        let names: Vec<Name> = sorted.iter().map(|text| name(text)).collect();
        let mut again = names.clone();
        again.reverse();
        again.sort();
        assert_eq!(again, names);
    }
}
