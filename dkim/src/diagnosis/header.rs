//! Undoing changes of a header until the signature verifies.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use mail_syntax::header::{Field, Header, Limits};
use mail_syntax::mime::{self, MimeTree};

use super::Budget;
use super::changes::Change;
use crate::canonicalization::{self, Canonicalization};
use crate::signature::Signature;
use crate::signing_input::signing_input;

/// How many guesses are made at the same time.
const AT_ONCE: usize = 3;

/// Guesses that are taken into account; two of them at once are then at most 1275 tries, three 20,825.
const MOST_GUESSES: usize = 50;

/// Names of `h=`, and of `z=`, that are taken into account.
const MOST_NAMES: usize = 100;

/// Fields that one guess changes at most.
const MOST_FIELDS: usize = 100;

/// What was found out about a header.
pub(super) struct Found {
    /// Changes that must be undone for the signature to verify; `None` if none do it.
    pub(super) undone: Option<Vec<Change>>,
    /// Changes that `z=` tells of.
    pub(super) seen: Vec<Change>,
}

/// One guess of what was done to a header.
struct Guess {
    change: Change,
    /// Numbers of fields, and what is to stand there instead.
    puts: Vec<(usize, Option<Vec<u8>>)>,
    /// A field to stand at the end.
    adds: Option<Vec<u8>>,
}

/// The header of one message and one of its signatures.
pub(super) struct Search<'a> {
    message: &'a [u8],
    fields: Vec<Field<'a>>,
    /// The number of the signature among them.
    own: usize,
    signature: &'a Signature,
    /// The names in `h=`, each once.
    signed: Vec<&'a str>,
    verifies: &'a dyn Fn(&[u8]) -> bool,
    budget: &'a mut Budget,
}

impl<'a> Search<'a> {
    /// Begins with the signature at `offset`; `verifies` tells of the octets of RFC 6376 §3.7, hash step 2.
    pub(super) fn new(
        message: &'a [u8],
        header: &Header<'a>,
        offset: usize,
        signature: &'a Signature,
        verifies: &'a dyn Fn(&[u8]) -> bool,
        budget: &'a mut Budget,
    ) -> Self {
        let fields: Vec<Field<'a>> = header.fields().collect();
        let own = fields.iter().position(|field| field.offset() == offset);
        Self {
            message,
            own: own.unwrap_or(fields.len()),
            fields,
            signature,
            signed: distinct(signature.signed_fields()),
            verifies,
            budget,
        }
    }

    /// Looks for the smallest number of changes that explain it.
    pub(super) fn run(mut self) -> Found {
        let copied = self.copied();
        let seen: Vec<Change> = copied.iter().map(|guess| guess.change.clone()).collect();
        let all: Vec<&Guess> = copied.iter().collect();
        if self.verify(&[]) {
            let (undone, seen) = (Some(Vec::new()), Vec::new());
            return Found { undone, seen };
        }
        if !all.is_empty() && self.verify(&all) {
            return Found {
                undone: Some(seen),
                seen: Vec::new(),
            };
        }
        let mut guesses = copied;
        guesses.extend(self.guesses());
        guesses.truncate(MOST_GUESSES);
        let mut undone = None;
        for size in 1..=AT_ONCE {
            undone = self.choose(&guesses, &mut Vec::new(), size);
            if undone.is_some() {
                break;
            }
        }
        let undone = undone.map(|chosen| chosen.iter().map(|guess| guess.change.clone()).collect());
        Found { undone, seen }
    }

    /// The first `more` of the guesses that explain it together with those chosen; recursion ends at [`AT_ONCE`].
    fn choose<'g>(
        &mut self,
        guesses: &'g [Guess],
        chosen: &mut Vec<&'g Guess>,
        more: usize,
    ) -> Option<Vec<&'g Guess>> {
        if more == 0 {
            return self.verify(chosen).then(|| chosen.clone());
        }
        for (at, guess) in guesses.iter().enumerate() {
            if self.budget.tries == 0 {
                return None;
            }
            if chosen.iter().any(|other| other.touches_what(guess)) {
                continue;
            }
            chosen.push(guess);
            let rest = guesses.get(at + 1..).unwrap_or_default();
            if let Some(found) = self.choose(rest, chosen, more - 1) {
                return Some(found);
            }
            chosen.pop();
        }
        None
    }

    /// Whether the signature verifies when these changes are undone.
    fn verify(&mut self, guesses: &[&Guess]) -> bool {
        let length = self.fields.iter().map(|field| field.raw().len()).sum();
        if !self.budget.spend_try(length) {
            return false;
        }
        let puts: BTreeMap<usize, &Option<Vec<u8>>> = (guesses.iter())
            .flat_map(|guess| guess.puts.iter().map(|(number, put)| (*number, put)))
            .collect();
        let mut octets = Vec::new();
        let mut own = 0;
        for (number, field) in self.fields.iter().enumerate() {
            if number == self.own {
                own = octets.len();
            }
            match puts.get(&number) {
                Some(Some(other)) => octets.extend_from_slice(other),
                Some(None) => {}
                None => octets.extend_from_slice(field.raw()),
            }
            // The last field may have no line end.
            if !octets.is_empty() && !octets.ends_with(b"\r\n") {
                octets.extend_from_slice(b"\r\n");
            }
        }
        for added in guesses.iter().filter_map(|guess| guess.adds.as_ref()) {
            octets.extend_from_slice(added);
        }
        octets.extend_from_slice(b"\r\n");
        // Fields were added at most, and each is bounded: what passed the limits of the caller is not judged by others.
        let mut limits = Limits::default();
        (limits.block, limits.field, limits.fields) = (usize::MAX, usize::MAX, usize::MAX);
        let Ok((header, _)) = Header::split(&octets, &limits) else {
            return false;
        };
        let own = header.fields().find(|field| field.offset() == own);
        let input = own.and_then(|own| signing_input(&header, &own).ok());
        input.is_some_and(|input| (self.verifies)(&input))
    }

    /// What `z=` says that the header does not.
    fn copied(&self) -> Vec<Guess> {
        let mut guesses = Vec::new();
        for name in distinct(self.signature.copied_fields().map(|(name, _)| name)) {
            let mut copies: Vec<&[u8]> = (self.signature.copied_fields())
                .filter(|(other, _)| other.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
                .take(MOST_FIELDS)
                .collect();
            // From the bottom, as they are signed; first those that are the same.
            let mut there: Vec<usize> = self.named(name).rev().take(MOST_FIELDS).collect();
            copies.retain(|value| {
                let same = there
                    .iter()
                    .position(|number| self.changed(*number, value).is_none());
                same.map(|at| there.remove(at)).is_none()
            });
            let rest = there.split_off(copies.len().min(there.len()));
            for (at, value) in copies.into_iter().enumerate() {
                match there.get(at) {
                    Some(number) => guesses.extend(self.changed(*number, value)),
                    None => guesses.push(removed(name, value)),
                }
            }
            let signed = self.signature.signed_fields();
            let signed = signed
                .filter(|other| other.eq_ignore_ascii_case(name))
                .count();
            if signed > 1 {
                guesses.extend(rest.into_iter().map(|number| self.added(number)));
            }
        }
        guesses
    }

    /// All that is done to headers.
    fn guesses(&self) -> Vec<Guess> {
        let mut guesses = Vec::new();
        for number in self.named("Subject") {
            guesses.extend(self.prefixes(number));
            guesses.extend(self.encoded_words(number));
        }
        if self.signature.header_canonicalization() == Canonicalization::Simple {
            guesses.extend(self.simple());
        }
        guesses.extend(self.rewritten_from());
        guesses.extend(self.content());
        // What list servers add comes first.
        let lists = |name: &str| {
            let name = name.to_ascii_lowercase();
            !(name.starts_with("list-") || ["reply-to", "sender", "cc"].contains(&&*name))
        };
        let mut names = self.signed.clone();
        names.sort_by_key(|name| lists(name));
        for name in &names {
            if !name.eq_ignore_ascii_case("From") {
                guesses.extend(self.named(name).take(2).map(|number| self.added(number)));
            }
        }
        let from = self
            .named("From")
            .next()
            .and_then(|number| self.fields.get(number));
        let from = from.map(|from| from.value()).unwrap_or_default();
        for (name, value) in [
            ("MIME-Version", &b"1.0"[..]),
            ("Content-Type", b"text/plain"),
            ("Content-Type", b"text/plain; charset=us-ascii"),
            ("Content-Type", b"text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", b"7bit"),
            ("Content-Transfer-Encoding", b"8bit"),
            ("Content-Language", b"en-US"),
            ("Sender", &from),
            ("Reply-To", &from),
        ] {
            let absent = self.named(name).next().is_none();
            if absent && self.is_signed(name) {
                guesses.push(removed(name, value));
            }
        }
        guesses
    }

    /// Tags before the value, as list servers and filters write them.
    fn prefixes(&self, number: usize) -> Option<Guess> {
        let field = self.fields.get(number)?;
        let body = field.body();
        let mut start = body.len() - body.trim_ascii_start().len();
        // The tag may stand behind marks of a reply.
        while let Some(mark) = reply_mark(body.get(start..)?) {
            start += mark;
        }
        let (before, rest) = body.split_at_checked(start)?;
        let (tag, behind) = rest.split_at_checked(tag(rest)?)?;
        let value = [before, behind].concat();
        Some(Guess {
            change: Change::FieldPrefixed {
                name: field.name().into(),
                prefix: readable(tag),
            },
            puts: vec![(number, Some(self.with_body(number, &value)?))],
            adds: None,
        })
    }

    /// Encoded words that were text.
    fn encoded_words(&self, number: usize) -> Option<Guess> {
        let field = self.fields.get(number)?;
        let value = field.value();
        let text = core::str::from_utf8(&value).ok()?;
        let decoded = mime::decode_words(text);
        (decoded != text).then(|| self.changed(number, decoded.as_bytes()))?
    }

    /// What only `simple` sees.
    fn simple(&self) -> Vec<Guess> {
        let mut guesses = Vec::new();
        let spaced = |field: &Field<'_>| {
            let value = field.value();
            [field.name().as_bytes(), b": ", &value, b"\r\n"].concat()
        };
        let mut all = Vec::new();
        for (number, field) in self.fields.iter().enumerate() {
            if number != self.own && !self.is_signed(field.name()) {
                continue;
            }
            let one_line = spaced(field);
            if one_line != field.raw() {
                all.push((number, Some(one_line)));
            }
        }
        for put in &all {
            let name = self.fields.get(put.0).map(|field| field.name().to_owned());
            guesses.push(Guess {
                change: Change::FieldRefolded { name },
                puts: vec![put.clone()],
                adds: None,
            });
        }
        // The signature may have been folded as it is now, or not.
        let others: Vec<_> = (all.iter())
            .filter(|(number, _)| *number != self.own)
            .cloned()
            .collect();
        let sets = [all.len() > others.len(), true]
            .into_iter()
            .zip([all.clone(), others]);
        for (_, puts) in
            sets.filter(|(differs, puts)| *differs && (2..=MOST_FIELDS).contains(&puts.len()))
        {
            guesses.push(Guess {
                change: Change::FieldRefolded { name: None },
                puts,
                adds: None,
            });
        }
        let as_signed = |field: &Field<'_>| {
            let signed = self.signed.iter().find(|name| field.is(name));
            signed.map(|name| (*name).to_owned())
        };
        let as_usual = |field: &Field<'_>| Some(usual_spelling(field.name()));
        guesses.extend(self.respelled(as_signed));
        guesses.extend(self.respelled(as_usual));
        guesses
    }

    /// All names of fields spelled otherwise.
    fn respelled(&self, spelling: impl Fn(&Field<'_>) -> Option<String>) -> Option<Guess> {
        let mut puts = Vec::new();
        for (number, field) in self.fields.iter().enumerate() {
            if let Some(name) = spelling(field).filter(|name| name != field.name()) {
                let rest = field.raw().get(field.name().len()..).unwrap_or_default();
                puts.push((number, Some([name.as_bytes(), rest].concat())));
            }
        }
        (1..=MOST_FIELDS).contains(&puts.len()).then_some(Guess {
            change: Change::FieldNamesRespelled,
            puts,
            adds: None,
        })
    }

    /// The author's address where a list put its own into From.
    fn rewritten_from(&self) -> Vec<Guess> {
        let mut guesses = Vec::new();
        let Some(from) = self.named("From").next() else {
            return guesses;
        };
        for name in ["X-Original-From", "Original-From", "X-From", "Reply-To"] {
            for original in self.named(name) {
                let value = self.fields.get(original).map(|field| field.value());
                let guess = value.and_then(|value| self.changed(from, &value));
                guesses.extend(guess);
            }
        }
        guesses
    }

    /// Fields that change with the encoding of the body.
    fn content(&self) -> Vec<Guess> {
        let mut guesses = Vec::new();
        if let Some(number) = self.named("Content-Transfer-Encoding").next() {
            for encoding in ["7bit", "8bit", "quoted-printable", "base64"] {
                guesses.extend(self.changed(number, encoding.as_bytes()));
            }
        }
        let Some(number) = self.named("Content-Type").next() else {
            return guesses;
        };
        let value = self.fields.get(number).map(|field| field.value());
        let value = value.unwrap_or_default();
        let unquoted: Vec<u8> = value
            .iter()
            .copied()
            .filter(|octet| *octet != b'"')
            .collect();
        let text = String::from_utf8_lossy(&unquoted);
        let quoted = text.split_inclusive('=').collect::<Vec<_>>();
        let quoted: Option<String> = match quoted.as_slice() {
            [start, value] => Some(format!("{start}\"{value}\"")),
            _ => None,
        };
        let mut others = vec![unquoted.clone()];
        others.extend(quoted.map(String::into_bytes));
        for other in others {
            if other != *value {
                guesses.extend(self.changed(number, &other));
            }
        }
        guesses.extend(self.inner_content(number));
        guesses
    }

    /// The content fields of the first part, which were those of the message before it was wrapped; or none at all.
    fn inner_content(&self, content_type: usize) -> Option<Guess> {
        let tree = MimeTree::parse(self.message, &mime::Limits::default());
        let first = tree.root().children().next()?;
        let was: Vec<Field<'_>> = first.header().fields().collect();
        let mut puts = Vec::new();
        for (number, field) in self.fields.iter().enumerate() {
            let name = field.name().to_ascii_lowercase();
            if name.starts_with("content-") {
                puts.push((number, None));
            }
        }
        if puts.len() > MOST_FIELDS {
            return None;
        }
        let mut adds = Vec::new();
        for field in &was {
            adds.extend_from_slice(field.raw());
        }
        let value = |field: Option<&Field<'_>>| field.map(|field| readable(&field.value()));
        Some(Guess {
            change: Change::FieldChanged {
                name: "Content-Type".into(),
                was: value(was.iter().find(|field| field.is("Content-Type"))).unwrap_or_default(),
                is: value(self.fields.get(content_type)).unwrap_or_default(),
            },
            puts,
            adds: Some(adds),
        })
    }

    /// The numbers of the fields of this name, the signature itself not among them.
    fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = usize> {
        let own = self.own;
        let fields = self.fields.iter().enumerate();
        let named = fields.filter(move |(number, field)| *number != own && field.is(name));
        named.map(|(number, _)| number)
    }

    /// Whether `h=` has the name.
    fn is_signed(&self, name: &str) -> bool {
        (self.signed.iter()).any(|signed| signed.eq_ignore_ascii_case(name))
    }

    fn added(&self, number: usize) -> Guess {
        let name = self.fields.get(number).map(|field| field.name());
        Guess {
            change: Change::FieldAdded {
                name: name.unwrap_or_default().into(),
            },
            puts: vec![(number, None)],
            adds: None,
        }
    }

    /// A guess that the value was another, if it is another to relaxed eyes.
    fn changed(&self, number: usize, was: &[u8]) -> Option<Guess> {
        let field = self.fields.get(number)?;
        let relaxed = |body: &[u8]| {
            let mut out = Vec::new();
            canonicalization::push_relaxed_field(field.name_octets(), body, &mut out);
            out
        };
        if relaxed(was) == relaxed(field.body()) {
            return None;
        }
        let body = [b" ", was.trim_ascii()].concat();
        let name = field.name().to_owned();
        let value = field.value();
        let change = match value.strip_suffix(was.trim_ascii()) {
            Some(prefix) if !was.trim_ascii().is_empty() => Change::FieldPrefixed {
                name,
                prefix: readable(prefix),
            },
            _ => Change::FieldChanged {
                name,
                was: readable(was.trim_ascii()),
                is: readable(&value),
            },
        };
        Some(Guess {
            change,
            puts: vec![(number, Some(self.with_body(number, &body)?))],
            adds: None,
        })
    }

    /// The field with another body.
    fn with_body(&self, number: usize, body: &[u8]) -> Option<Vec<u8>> {
        let field = self.fields.get(number)?;
        let colon = field.body_offset().checked_sub(field.offset())?;
        Some([field.raw().get(..colon)?, body, b"\r\n"].concat())
    }
}

impl Guess {
    /// Whether both are about one field.
    fn touches_what(&self, other: &Self) -> bool {
        let touched = |number: &usize| self.puts.iter().any(|(own, _)| own == number);
        other.puts.iter().any(|(number, _)| touched(number))
            || (self.adds.is_some() && self.adds == other.adds)
    }
}

/// The first names, each once in whatever case.
fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut seen = BTreeSet::new();
    let names = names.filter(|name| seen.insert(name.to_ascii_lowercase()));
    names.take(MOST_NAMES).collect()
}

fn removed(name: &str, value: &[u8]) -> Guess {
    Guess {
        change: Change::FieldRemoved {
            name: name.into(),
            was: readable(value.trim_ascii()),
        },
        puts: Vec::new(),
        adds: Some([name.as_bytes(), b": ", value.trim_ascii(), b"\r\n"].concat()),
    }
}

/// `Message-ID` for `message-id`: each word with a capital, and some all in capitals.
fn usual_spelling(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let capitals = word.to_ascii_uppercase();
        match capitals.as_str() {
            "ID" | "MIME" | "DKIM" | "ARC" | "SPF" => capitals,
            _ => {
                let mut letters = capitals.chars();
                let first: String = letters.next().into_iter().collect();
                first + &letters.as_str().to_ascii_lowercase()
            }
        }
    });
    words.collect::<Vec<_>>().join("-")
}

/// The length of `Re: ` or its like.
fn reply_mark(text: &[u8]) -> Option<usize> {
    let colon = text.iter().take(4).position(|octet| *octet == b':')?;
    let mark = text.get(..colon)?.to_ascii_lowercase();
    let known: [&[u8]; 4] = [b"re", b"fw", b"fwd", b"aw"];
    known.contains(&&*mark).then_some(())?;
    let behind = text.get(colon + 1..)?;
    Some(text.len() - behind.trim_ascii_start().len())
}

/// The length of a tag with the white space behind it: `[list] `, `{Spam?} `, `***SPAM*** `, `EXTERNAL: `.
fn tag(text: &[u8]) -> Option<usize> {
    let end = match text {
        [b'[', ..] => text.iter().position(|octet| *octet == b']')? + 1,
        [b'{', ..] => text.iter().position(|octet| *octet == b'}')? + 1,
        [b'*', ..] => {
            let word = text.iter().position(|octet| *octet != b'*')?;
            let stars = text.get(word..)?.iter().position(|octet| *octet == b'*')? + word;
            let behind = text.get(stars..)?.iter().position(|octet| *octet != b'*')?;
            stars + behind
        }
        _ => {
            let colon = text.iter().position(|octet| !octet.is_ascii_uppercase())?;
            (colon > 0 && text.get(colon) == Some(&b':')).then_some(colon + 1)?
        }
    };
    let behind = text.get(end..)?;
    Some(text.len() - behind.trim_ascii_start().len())
}

fn readable(octets: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(octets);
    text.replace(['\r', '\n'], "")
}
