//! Validating (RFC 8617 §5.2): a message and the answers of the DNS go in, the status of its chain comes out.

use mail_dns::{Answer, Evaluation, Need, Question};
use mail_syntax::header::{Header, HeaderError, HeaderSplitter, LineEnd, Split};

use super::chain::Chain;
use super::verdict::Verdict;
use crate::signing_input::{BodyHash, BodyHasher};
use crate::verifier::{Found, Options, Verifier, shown};

/// Validates the chain of one message in one pass.
///
/// Write the message as it came, lines ending in CRLF and dots no longer stuffed, in any pieces, and finish at its end. All keys of the
/// chain can be asked for as soon as the header is complete, while the body still comes in; where the header alone decides, the verdict
/// is there at once. It holds the header of a message that has a chain, and of the body only hashes, one for all message signatures that
/// have the same canonicalization and length.
///
/// Who verifies DKIM signatures too writes the message to both at once, by [`Validator::write_beside`].
///
/// Of the [`Options`], `limits.signatures` has no meaning here: a chain has at most 50 sets (RFC 8617 §4.2.1), and none may be left out.
/// Signatures that leave octets of the body unsigned do not validate unless [`Options::unsigned_content`] accepts them. With more keys
/// than `limits.keys` the chain fails; if only older message signatures need them, `oldest_pass` tells no more than is known.
#[derive(Debug)]
pub struct Validator {
    options: Options,
    now: u64,
    splitter: HeaderSplitter,
    header: Vec<u8>,
    /// Once the header is complete.
    chain: Option<Chain>,
    body: BodyHasher,
    /// The hashes, once the body has ended.
    hashes: Option<Vec<BodyHash>>,
}

impl Validator {
    /// Begins to validate a message; `now` is the time at which it was received, in seconds of Unix time, for `x=`.
    #[must_use]
    pub fn new(now: u64, options: Options) -> Self {
        Self {
            splitter: HeaderSplitter::new(options.limits.header.clone(), LineEnd::Crlf),
            options,
            now,
            header: Vec::new(),
            chain: None,
            body: BodyHasher::default(),
            hashes: None,
        }
    }

    /// Takes octets of the message: first of its header, then of its body, cut anywhere.
    pub fn write(&mut self, octets: &[u8]) {
        if self.chain.is_some() {
            return self.body.update(octets);
        }
        match self.splitter.push(octets) {
            Ok(Split::NeedInput) => self.header.extend_from_slice(octets),
            Ok(Split::Complete { taken }) => {
                let (header, body) = octets.split_at(taken.min(octets.len()));
                self.header.extend_from_slice(header);
                self.end_header();
                self.body.update(body);
            }
            Err(error) => {
                self.header = Vec::new();
                let (options, body) = (&self.options, &mut self.body);
                self.chain = Some(Chain::of(Err(error), self.now, options, body));
            }
        }
    }

    /// Ends the message.
    pub fn finish(&mut self) {
        if self.chain.is_none() {
            self.end_header();
        }
        if self.hashes.is_none() {
            self.hashes = Some(core::mem::take(&mut self.body).finish());
        }
    }

    /// As [`Validator::write`] and [`Verifier::write_with`]: both get the message, the header is kept once, and what both hash of the body
    /// is hashed once, by the library of the verifier.
    ///
    /// All of a message goes in this way, from its first octet to [`Validator::finish_beside`]; the limits of the header are those of the
    /// verifier.
    pub fn write_beside(
        &mut self,
        verifier: &mut Verifier,
        octets: &[u8],
        header: impl FnOnce(Result<Header<'_>, &HeaderError>),
    ) {
        verifier.write_beside(octets, |found, body| self.begin(found, header, body));
    }

    /// Ends a message that was written by [`Validator::write_beside`], for both.
    pub fn finish_beside(
        &mut self,
        verifier: &mut Verifier,
        header: impl FnOnce(Result<Header<'_>, &HeaderError>),
    ) {
        let hashes = verifier.finish_beside(|found, body| self.begin(found, header, body));
        self.hashes.get_or_insert_with(|| hashes.to_vec());
    }

    /// Takes the header that a verifier has kept.
    fn begin(
        &mut self,
        found: Found<'_>,
        header: impl FnOnce(Result<Header<'_>, &HeaderError>),
        body: &mut BodyHasher,
    ) {
        header(shown(&found));
        self.chain = Some(Chain::of(found, self.now, &self.options, body));
    }

    fn end_header(&mut self) {
        let octets = core::mem::take(&mut self.header);
        let index = core::mem::take(&mut self.splitter).finish();
        let (options, body) = (&self.options, &mut self.body);
        let chain = Chain::of(Ok((&octets, index)), self.now, options, body);
        if chain.is_settled() {
            self.body = BodyHasher::default();
        }
        self.chain = Some(chain);
    }
}

impl Evaluation for Validator {
    type Verdict = Verdict;

    fn poll(&mut self) -> Need<Verdict> {
        let Some(chain) = &mut self.chain else {
            return Need::Wait;
        };
        if let Some(question) = chain.question() {
            return Need::Lookup(question);
        }
        let hashes = match &self.hashes {
            _ if chain.is_settled() => &[],
            Some(hashes) if chain.has_all_keys() => hashes.as_slice(),
            _ => return Need::Wait,
        };
        Need::Done(chain.verdict(hashes, &self.options))
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if let Some(chain) = &mut self.chain {
            chain.answer(question, answer);
        }
    }
}
