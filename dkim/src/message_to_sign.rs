//! A message on its way to a signature or a seal: its header is held, and of its body only hashes.

use mail_syntax::header::{
    Defect, Header, HeaderError, HeaderIndex, HeaderSplitter, Limits, LineEnd, Split,
};

use crate::signing_input::{BodyHash, BodyHasher, FieldsByName};

/// What has come of the message so far.
#[derive(Debug)]
pub(crate) struct MessageToSign {
    splitter: HeaderSplitter,
    header: Vec<u8>,
    in_body: bool,
    error: Option<HeaderError>,
    body: BodyHasher,
}

/// A message that has ended.
#[derive(Debug)]
pub(crate) struct EndedMessage {
    header: Vec<u8>,
    index: HeaderIndex,
    /// By the numbers of the hasher.
    pub(crate) hashes: Vec<BodyHash>,
}

/// Why no message of such a header is signed.
#[derive(Debug)]
pub(crate) enum Unsignable {
    Header(HeaderError),
    /// Readers would disagree about what the header says; the first reason, if it was kept.
    Malformed(Option<Defect>),
    /// There are so many From fields, not one.
    From(usize),
}

impl MessageToSign {
    pub(crate) fn new(limits: Limits, body: BodyHasher) -> Self {
        Self {
            splitter: HeaderSplitter::new(limits, LineEnd::Crlf),
            header: Vec::new(),
            in_body: false,
            error: None,
            body,
        }
    }

    pub(crate) fn write(&mut self, octets: &[u8]) {
        if self.error.is_some() {
            return;
        }
        if self.in_body {
            return self.body.update(octets);
        }
        match self.splitter.push(octets) {
            Ok(Split::NeedInput) => self.header.extend_from_slice(octets),
            Ok(Split::Complete { taken }) => {
                let (header, body) = octets.split_at(taken.min(octets.len()));
                self.header.extend_from_slice(header);
                self.in_body = true;
                self.body.update(body);
            }
            // It is told at the end; the octets are not kept.
            Err(error) => {
                self.header = Vec::new();
                self.error = Some(error);
            }
        }
    }

    pub(crate) fn finish(self) -> Result<EndedMessage, Unsignable> {
        match self.error {
            Some(error) => Err(Unsignable::Header(error)),
            None => Ok(EndedMessage {
                header: self.header,
                index: self.splitter.finish(),
                hashes: self.body.finish(),
            }),
        }
    }
}

impl EndedMessage {
    /// The header, if all readers agree about it, and its fields by name, if it has one From.
    pub(crate) fn header(&self) -> Result<(Header<'_>, FieldsByName<'_>), Unsignable> {
        if self.index.is_malformed() {
            let mut defects = self.index.defects().iter().copied();
            return Err(Unsignable::Malformed(defects.find(Defect::is_malformed)));
        }
        let header = Header::new(&self.header, &self.index);
        let fields = FieldsByName::new(&header);
        // RFC 5322 §3.6 wants one, and readers of a message with several show one or the other.
        match fields.count("From") {
            1 => Ok((header, fields)),
            count => Err(Unsignable::From(count)),
        }
    }
}
