//! The names of fields that a signature signs: what its `h=` holds.

/// Names of fields in their order, in one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldNames {
    /// Each with a colon behind it, which no name has in it.
    text: String,
}

impl FieldNames {
    /// No names, and room for so many octets of them, colons included.
    pub(crate) fn with_capacity(octets: usize) -> Self {
        Self {
            text: String::with_capacity(octets),
        }
    }

    /// Reads names with colons between them, and white space and folds around them; `None` where it is anything else. What no tag list
    /// has is not looked for. Names may be empty, and are then left out.
    pub(crate) fn parse(list: &str) -> Option<Self> {
        let mut names = Self::with_capacity(list.len() + 1);
        let mut rest = list;
        loop {
            let end = memchr::memchr3(b' ', b'\t', b'\r', rest.as_bytes()).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(end);
            names.text.push_str(run);
            rest = behind.trim_ascii_start();
            if rest.is_empty() {
                break;
            }
            // White space within a name.
            if !(names.text.is_empty() || names.text.ends_with(':') || rest.starts_with(':')) {
                return None;
            }
        }
        names.text.push(':');
        names.text.is_ascii().then_some(names)
    }

    /// Whether a place for a name is empty.
    pub(crate) fn has_empty(&self) -> bool {
        let octets = self.text.as_bytes();
        let next = octets.iter().skip(1);
        // Over all, without an early end, so that it is done many at a time.
        let doubled = (octets.iter().zip(next)).fold(false, |any, (one, next)| {
            any | (*one == b':') & (*next == b':')
        });
        doubled || self.text.starts_with(':')
    }

    /// Adds a name. It has no colon and is not empty.
    pub(crate) fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.text.push(':');
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.octets().filter_map(|name| str::from_utf8(name).ok())
    }

    /// The octets of the names, which are ASCII.
    pub(crate) fn octets(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let octets = self.text.as_bytes();
        let mut start = 0;
        memchr::memchr_iter(b':', octets).filter_map(move |end| {
            let name = octets.get(start..end);
            start = end + 1;
            name.filter(|name| !name.is_empty())
        })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        (self.octets()).any(|other| other.eq_ignore_ascii_case(name.as_bytes()))
    }
}

impl FieldNames {
    /// The list in words for a field, each cut behind a colon, no longer than this where a name is not; the last colon is left out. The
    /// first word has so many octets before it.
    pub(crate) fn words(&self, length: usize, before: usize) -> impl Iterator<Item = &str> {
        let mut rest = self.text.strip_suffix(':').unwrap_or_default();
        let mut room = length.saturating_sub(before);
        core::iter::from_fn(move || {
            let octets = rest.as_bytes();
            let end = match octets.get(..=room) {
                None => octets.len(),
                // A name that is longer than a word is one by itself.
                Some(some) => memchr::memrchr(b':', some)
                    .or_else(|| memchr::memchr(b':', octets))
                    .map_or(octets.len(), |colon| colon + 1),
            };
            room = length;
            let (word, behind) = rest.split_at(end);
            rest = behind;
            (!word.is_empty()).then_some(word)
        })
    }
}

impl<'n> FromIterator<&'n str> for FieldNames {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.push(name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        for (list, names, has_empty) in [
            ("From", Some(&["From"][..]), false),
            ("From : To\r\n\t:cc", Some(&["From", "To", "cc"]), false),
            ("", Some(&[]), true),
            (":From", Some(&["From"]), true),
            ("From:", Some(&["From"]), true),
            ("From:\r\n :To", Some(&["From", "To"]), true),
            ("From To", None, false),
            ("From\r\n To", None, false),
            ("Fröm", None, false),
        ] {
            let parsed = FieldNames::parse(list);
            let read = parsed.as_ref().map(|parsed| parsed.iter().collect());
            assert_eq!(read, names.map(<[_]>::to_vec), "{list}");
            assert_eq!(parsed.is_some_and(|names| names.has_empty()), has_empty);
        }
    }

    #[test]
    fn words() {
        let words = |names: &[&str], before| {
            let names: FieldNames = names.iter().copied().collect();
            names
                .words(8, before)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&["a", "b", "cdef"], 0), ["a:b:cdef"]);
        assert_eq!(words(&["a", "b", "cdef"], 2), ["a:b:", "cdef"]);
        assert_eq!(
            words(&["longer-than-all", "b"], 2),
            ["longer-than-all:", "b"]
        );
        assert!(words(&[], 2).is_empty());
    }
}
