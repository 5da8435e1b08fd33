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

    /// Adds a name. It has no colon and is not empty.
    pub(crate) fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.text.push(':');
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        let mut start = 0;
        memchr::memchr_iter(b':', self.text.as_bytes()).filter_map(move |end| {
            let name = self.text.get(start..end);
            start = end + 1;
            name
        })
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.iter().any(|other| other.eq_ignore_ascii_case(name))
    }
}

impl<'n> FromIterator<&'n str> for FieldNames {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.push(name));
        all
    }
}
