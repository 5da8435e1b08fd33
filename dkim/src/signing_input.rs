//! The two hashes of RFC 6376 §3.7: which octets of a message a signature is over.

use core::cell::Cell;
use core::cmp::Ordering;
use core::ops::Range;
use std::borrow::Cow;

use mail_syntax::folding::{FieldWriter, FoldError};
use mail_syntax::header::{Field, Header};

use crate::canonicalization::{self, BodyCanonicalizer, Canonicalization};
use crate::crypto::{Crypto, Sha1, Sha256};
use crate::signature::{Algorithm, FieldNames, Signature, SignatureError};

/// The octets that `b=` of this signature signs: the fields named by `h=`, and the signature itself without the value of its `b=`,
/// all canonical (RFC 6376 §3.7, hash step 2).
///
/// The field may be one of the header or stand alone.
///
/// # Errors
/// [`SignatureError`] if the field is no DKIM-Signature.
pub fn signing_input(
    header: &Header<'_>,
    signature_field: &Field<'_>,
) -> Result<Vec<u8>, SignatureError> {
    let (signature, b) = Signature::parse_with_range(signature_field)?;
    let kind = signature.header_canonicalization;
    // One that stands alone has offset 0, and so may another; only its own octets tell it from that.
    let own = header
        .fields()
        .find(|field| core::ptr::eq(field.raw(), signature_field.raw()));
    let own_offset = own.map(|own| own.offset());
    let mut input = Vec::with_capacity(header.octets().len() + signature_field.raw().len());
    FieldsByName::new(header).select(kind, &signature.signed_fields, own_offset, &mut input);
    push_signature_field(kind, signature_field, b, &mut input);
    Ok(input)
}

/// The fields of a header, found by name: built once for all signatures, so that the cost of a long `h=` is not its square.
pub(crate) struct FieldsByName<'a> {
    /// In an order of their names; those of one name from the top.
    fields: Vec<Entry<'a>>,
    /// For each beginning of a key, where the first field stands whose key begins so, or what is beyond them all: most names that a
    /// header does not have are found not to be there, and most that it has are found at once.
    firsts: [u32; Key::BEGINNINGS],
    /// Octets of the header.
    octets: usize,
}

struct Entry<'a> {
    key: Key,
    field: Field<'a>,
    /// At the first field of a name: how many have it.
    count: usize,
    /// At the first field of a name: how many of them, from the bottom, a signature has taken.
    taken: Cell<usize>,
}

impl<'a> FieldsByName<'a> {
    pub(crate) fn new(header: &Header<'a>) -> Self {
        let mut fields = Vec::with_capacity(header.fields().size_hint().1.unwrap_or_default());
        for field in header.fields() {
            fields.push(Entry {
                key: Key::of(field.name_octets()),
                field,
                count: 0,
                taken: Cell::new(0),
            });
        }
        fields.sort_unstable_by(|one, other| {
            let by_name = one.cmp_name(other.key, other.field.name_octets());
            by_name.then(one.field.offset().cmp(&other.field.offset()))
        });
        let (mut firsts, mut at) = ([u32::MAX; Key::BEGINNINGS], 0);
        for same in fields
            .chunk_by_mut(|one, next| one.key == next.key && one.has(next.field.name_octets()))
        {
            let count = same.len();
            if let Some(first) = same.first_mut() {
                first.count = count;
                let beginning = &mut firsts[first.key.beginning()];
                *beginning = at.min(*beginning);
            }
            // So many fit into no memory: each has 32 octets in the index of the header.
            at = at.saturating_add(count as u32);
        }
        Self {
            fields,
            firsts,
            octets: header.octets().len(),
        }
    }

    /// Octets of the header: no fewer than those of its fields in canonical form, but for a last CRLF.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// How many fields have this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.range(name.as_bytes()).len()
    }

    /// The fields of this name, from the top.
    pub(crate) fn named(
        &self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = Field<'a>> + ExactSizeIterator {
        let same = self
            .fields
            .get(self.range(name.as_bytes()))
            .unwrap_or_default();
        same.iter().map(|entry| entry.field)
    }

    /// Where the fields of this name stand.
    #[inline]
    fn range(&self, name: &[u8]) -> Range<usize> {
        // RFC 6376 §3.5: "Header field names MUST be compared against actual header field names in a case-insensitive manner."
        let key = Key::of(name);
        let start = self.firsts[key.beginning()] as usize;
        match self.fields.get(start) {
            None => 0..0,
            Some(first) if first.key == key && first.has(name) => start..start + first.count,
            Some(_) => self.find(key, name),
        }
    }

    /// As [`FieldsByName::range`], where another name has such a key.
    fn find(&self, key: Key, name: &[u8]) -> Range<usize> {
        let before = |entry: &Entry<'_>| entry.cmp_name(key, name).is_lt();
        let start = self.fields.partition_point(before);
        let first = self.fields.get(start).filter(|first| first.has(name));
        start..start + first.map_or(0, |first| first.count)
    }

    /// Adds the canonical form of the fields that `h=` names, never the field at `own_offset`.
    ///
    /// RFC 6376 §3.7: "The DKIM-Signature header field MUST NOT be included in its own "h=" tag, although other DKIM-Signature
    /// header fields MAY be signed".
    pub(crate) fn select(
        &self,
        kind: Canonicalization,
        signed_fields: &FieldNames,
        own_offset: Option<usize>,
        input: &mut Vec<u8>,
    ) {
        for entry in &self.fields {
            entry.taken.set(0);
        }
        let (mut last, mut range) = (&[][..], 0..0);
        for name in signed_fields.octets() {
            // Many name a field once more than it is there.
            if name != last {
                (last, range) = (name, self.range(name));
            }
            while let Some(field) = self.take(&range) {
                if Some(field.offset()) != own_offset {
                    canonicalization::push_field(kind, &field, input);
                    break;
                }
            }
        }
    }

    /// The next field of those that stand here.
    fn take(&self, range: &Range<usize>) -> Option<Field<'a>> {
        let first = self.fields.get(range.start)?;
        // RFC 6376 §5.4.2: "MUST sign such header fields in order from the bottom of the header field block to the top."
        let at = range.end.checked_sub(1 + first.taken.get())?;
        if at < range.start {
            return None;
        }
        first.taken.update(|taken| taken + 1);
        self.fields.get(at).map(|entry| entry.field)
    }
}

impl Entry<'_> {
    fn has(&self, name: &[u8]) -> bool {
        let own = self.field.name_octets();
        // Most names are spelled alike, and that is found sooner.
        own == name || own.eq_ignore_ascii_case(name)
    }

    /// Any order will do; the keys settle it for most.
    fn cmp_name(&self, key: Key, name: &[u8]) -> Ordering {
        self.key.cmp(&key).then_with(|| {
            let own = self.field.name_octets().iter().map(u8::to_ascii_lowercase);
            own.cmp(name.iter().map(u8::to_ascii_lowercase))
        })
    }
}

/// Length and three letters of a name, mixed: the same for names that are the same without regard to case, and different for most others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(u32);

impl Key {
    /// How many beginnings there are.
    const BEGINNINGS: usize = 64;

    fn of(name: &[u8]) -> Self {
        // The bit makes letters small, and no two letters the same.
        let letter = |at: usize| u32::from(name.get(at).copied().unwrap_or_default() | 0x20);
        let length = name.len();
        let all = (length as u32) << 24
            | letter(0) << 16
            | letter(length / 2) << 8
            | letter(length.wrapping_sub(1));
        // An odd factor, so that no two become the same.
        Self(all.wrapping_mul(0x9e37_79b1))
    }

    /// The first six bits.
    fn beginning(self) -> usize {
        (self.0 >> 26) as usize
    }
}

/// Adds the signature itself.
///
/// RFC 6376 §3.7: "with the value of the "b=" tag (including all surrounding whitespace) deleted (i.e., treated as the empty
/// string), canonicalized using the header canonicalization algorithm specified in the "c=" tag, and without a trailing CRLF."
pub(crate) fn push_signature_field(
    kind: Canonicalization,
    field: &Field<'_>,
    b: Range<usize>,
    input: &mut Vec<u8>,
) {
    let body = field.body();
    let before = body.get(..b.start).unwrap_or_default();
    let behind = body.get(b.end..).unwrap_or_default();
    match kind {
        Canonicalization::Simple => {
            let raw = field.raw();
            // Up to the colon: white space may stand before it.
            let colon = field.body_offset() - field.offset();
            input.extend_from_slice(raw.get(..colon).unwrap_or_default());
            input.extend_from_slice(before);
            input.extend_from_slice(behind);
        }
        Canonicalization::Relaxed => {
            let body = match behind {
                [] => Cow::Borrowed(before),
                _ => Cow::Owned([before, behind].concat()),
            };
            canonicalization::push_relaxed_field(field.name_octets(), &body, input);
        }
    }
}

/// Adds a signature that is written up to its `b=`, as the signature signs it.
///
/// # Errors
/// What was wrong with anything that was written.
pub(crate) fn push_unsigned_field(
    kind: Canonicalization,
    field: &FieldWriter,
    input: &mut Vec<u8>,
) -> Result<(), FoldError> {
    let written = field.written()?;
    match kind {
        Canonicalization::Simple => input.extend_from_slice(written.as_bytes()),
        Canonicalization::Relaxed => {
            let (name, body) = written.split_once(':').unwrap_or((written, ""));
            canonicalization::push_relaxed_field(name.as_bytes(), body.as_bytes(), input);
        }
    }
    Ok(())
}

/// The hashes of one body, one for each canonicalization and length (RFC 6376 §3.7, hash step 1).
#[derive(Debug, Default)]
pub(crate) struct BodyHasher {
    hashes: Vec<Hash>,
}

#[derive(Debug)]
struct Hash {
    /// Each has its own: that two hashes of one body are of one canonical form, and differ in their length, is rare.
    canonicalizer: BodyCanonicalizer,
    signed: Signed,
}

/// What is hashed of a canonical body.
#[derive(Debug)]
struct Signed {
    length: Option<u64>,
    state: State,
    hashed: u64,
    unsigned: u64,
}

#[derive(Debug)]
enum State {
    Sha256(Box<dyn Sha256>),
    Sha1(Box<dyn Sha1>),
}

/// What the body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyHash {
    pub(crate) hash: Digest,
    /// Octets that were hashed, counted where a length bounds them.
    pub(crate) hashed: u64,
    /// Octets of the canonical body behind them.
    pub(crate) unsigned: u64,
}

/// A hash of 32 octets, or of 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Sha256([u8; 32]),
    Sha1([u8; 20]),
}

impl core::ops::Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Sha256(octets) => octets,
            Self::Sha1(octets) => octets,
        }
    }
}

impl core::ops::DerefMut for Digest {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Sha256(octets) => octets,
            Self::Sha1(octets) => octets,
        }
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::Sha256([0; 32])
    }
}

impl BodyHasher {
    /// Adds a hash by SHA-256, and gives its number. Nothing of the body may have been hashed yet.
    pub(crate) fn add(
        &mut self,
        crypto: &dyn Crypto,
        kind: Canonicalization,
        length: Option<u64>,
    ) -> usize {
        self.add_by(Algorithm::RsaSha256, crypto, kind, length)
    }

    /// As [`BodyHasher::add`], by the hash of this algorithm.
    pub(crate) fn add_by(
        &mut self,
        algorithm: Algorithm,
        crypto: &dyn Crypto,
        kind: Canonicalization,
        length: Option<u64>,
    ) -> usize {
        let sha1 = algorithm == Algorithm::RsaSha1;
        let same = |hash: &Hash| {
            (hash.canonicalizer.kind(), hash.signed.length) == (kind, length)
                && matches!(hash.signed.state, State::Sha1(_)) == sha1
        };
        if let Some(number) = self.hashes.iter().position(same) {
            return number;
        }
        if self.hashes.is_empty() {
            // Most messages need one.
            self.hashes.reserve_exact(1);
        }
        self.hashes.push(Hash {
            canonicalizer: BodyCanonicalizer::new(kind),
            signed: Signed {
                length,
                state: if sha1 {
                    State::Sha1(crypto.sha1())
                } else {
                    State::Sha256(crypto.sha256())
                },
                hashed: 0,
                unsigned: 0,
            },
        });
        self.hashes.len() - 1
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        for hash in &mut self.hashes {
            let signed = &mut hash.signed;
            hash.canonicalizer
                .update(piece, &mut |run| signed.update(run));
        }
    }

    /// The hashes, by number.
    pub(crate) fn finish(mut self) -> Vec<BodyHash> {
        for hash in &mut self.hashes {
            let signed = &mut hash.signed;
            hash.canonicalizer.end(&mut |run| signed.update(run));
        }
        let mut hashes = Vec::with_capacity(self.hashes.len());
        hashes.extend(self.hashes.into_iter().map(|hash| hash.signed.finish()));
        hashes
    }
}

impl Signed {
    fn finish(self) -> BodyHash {
        BodyHash {
            hash: match self.state {
                State::Sha256(state) => Digest::Sha256(state.finish()),
                State::Sha1(state) => Digest::Sha1(state.finish()),
            },
            hashed: self.hashed,
            unsigned: self.unsigned,
        }
    }

    #[inline]
    fn update(&mut self, run: &[u8]) {
        let mut signed = run;
        if let Some(length) = self.length {
            // What does not fit into usize is more than the run has.
            let room = usize::try_from(length - self.hashed).unwrap_or(usize::MAX);
            let unsigned;
            (signed, unsigned) = run.split_at(room.min(run.len()));
            self.hashed += signed.len() as u64;
            self.unsigned += unsigned.len() as u64;
        }
        match &mut self.state {
            State::Sha256(state) => state.update(signed),
            State::Sha1(state) => state.update(signed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_syntax::header::Limits;

    /// Names of one key, as somebody may choose them, are told apart, and in any case of their letters.
    #[test]
    fn names_of_one_key() {
        let names = ["abcd", "axcd", "ABCD", "azcd", "to", "abcd"];
        assert!(
            names
                .iter()
                .all(|name| name.len() == 2 || Key::of(name.as_bytes()) == Key::of(b"abcd"))
        );
        let lines = names
            .iter()
            .enumerate()
            .map(|(at, name)| format!("{name}: {at}\r\n"));
        let block = lines.collect::<String>() + "\r\n";
        let (header, _) = Header::split(block.as_bytes(), &Limits::default()).unwrap();
        let fields = FieldsByName::new(&header);
        let counts =
            ["Abcd", "aXcd", "aycd", "azcd", "To", "TO:", ""].map(|name| fields.count(name));
        assert_eq!(counts, [3, 1, 0, 1, 1, 0, 0]);
        let signed = ["abcd", "axcd", "abcd", "aycd", "abcd", "abcd"]
            .into_iter()
            .collect();
        for own in [None, Some(header.fields().next().unwrap().offset())] {
            let mut input = Vec::new();
            fields.select(Canonicalization::Relaxed, &signed, own, &mut input);
            let first = if own.is_none() { "abcd:0\r\n" } else { "" };
            let expected = format!("abcd:5\r\naxcd:1\r\nabcd:2\r\n{first}");
            assert_eq!(String::from_utf8(input).unwrap(), expected);
        }
    }
}
