//! Messages on their way in: DATA and BDAT give the same events.

use bytes::{Bytes, BytesMut};
use mail_wire::framing::{Counted, DotDecoder, DotPiece, LineEndPolicy, LineEndings};

use super::answers::failed;
use super::event::{Abort, Envelope, Event, Mistake};
use super::{Asked, Error, Role, Session, State, Transaction};
use crate::line_ends::LineEndFilter;
use crate::parameters::BodyType;
use crate::{EnhancedStatus, Reply};

/// A message that is coming.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) envelope: Box<Envelope>,
    framing: Framing,
    octets: u64,
    /// The reply at the true end, once the message is refused; what comes until then is dropped.
    refused: Option<Reply>,
    empty_chunks: u32,
    /// When the first octet was awaited.
    pub(super) began: Option<mail_wire::Time>,
}

#[derive(Debug)]
enum Framing {
    Dots(DotDecoder),
    Chunks {
        chunk: Counted,
        last: bool,
        line_ends: LineEndFilter,
    },
}

/// Octets of a refused chunk, and what is done behind them.
#[derive(Debug)]
pub(super) struct Discard {
    chunk: Counted,
    refusal: Refusal,
}

/// How a chunk is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// By the application.
    Wanted(Reply),
    /// As a mistake of the client's.
    Mistake(Mistake, Reply),
    /// Without a reply.
    Silent,
}

impl Discard {
    pub(super) const fn new(size: u64, refusal: Refusal) -> Self {
        Self {
            chunk: Counted::new(size),
            refusal,
        }
    }
}

impl Transfer {
    pub(super) fn by_data(envelope: Box<Envelope>, policy: LineEndPolicy) -> Self {
        Self::new(envelope, Framing::Dots(DotDecoder::new(policy)))
    }

    fn by_chunks(envelope: Box<Envelope>, size: u64, last: bool, policy: LineEndPolicy) -> Self {
        let is_binary = envelope.parameters.body == Some(BodyType::BinaryMime);
        let line_ends = LineEndFilter::new((!is_binary).then_some(policy));
        let chunk = Counted::new(size);
        Self::new(
            envelope,
            Framing::Chunks {
                chunk,
                last,
                line_ends,
            },
        )
    }

    const fn new(envelope: Box<Envelope>, framing: Framing) -> Self {
        Self {
            envelope,
            framing,
            octets: 0,
            refused: None,
            empty_chunks: 0,
            began: None,
        }
    }

    fn line_endings(&self) -> LineEndings {
        match &self.framing {
            Framing::Dots(decoder) => decoder.line_endings(),
            Framing::Chunks { line_ends, .. } => line_ends.line_endings(),
        }
    }
}

/// What came off the queue.
enum Piece {
    Body(Bytes),
    /// The message is complete; what the filter of line ends still held, goes before.
    End(Bytes),
    EndOfChunk,
    NeedInput,
}

impl Transfer {
    fn next(&mut self, input: &mut BytesMut) -> Piece {
        match &mut self.framing {
            Framing::Dots(decoder) => match decoder.next(input) {
                DotPiece::Body(octets) => Piece::Body(octets),
                DotPiece::End => Piece::End(Bytes::new()),
                DotPiece::NeedInput => Piece::NeedInput,
            },
            Framing::Chunks {
                chunk,
                last,
                line_ends,
            } => match chunk.next(input) {
                Some(octets) => Piece::Body(line_ends.take(octets)),
                None if chunk.left() > 0 => Piece::NeedInput,
                None if *last => Piece::End(line_ends.finish()),
                None => Piece::EndOfChunk,
            },
        }
    }
}

impl Session {
    pub(super) fn take_body(&mut self, mut transfer: Box<Transfer>) -> bool {
        let piece = transfer.next(&mut self.input);
        if !matches!(piece, Piece::NeedInput) {
            self.moved = true;
        }
        match piece {
            Piece::NeedInput => {
                self.state = State::Body(transfer);
                return false;
            }
            Piece::Body(octets) => {
                self.body(&mut transfer, octets);
                let discarded =
                    transfer.refused.is_some() && transfer.octets > self.config.limits.discard;
                self.state = State::Body(transfer);
                if discarded {
                    self.ok(
                        421,
                        EnhancedStatus::MAIL_SYSTEM,
                        "Message too large to read to its end",
                    );
                    self.end(Some(Error::TooMuchToDiscard));
                }
            }
            Piece::EndOfChunk => {
                let reply = transfer.refused.clone();
                match reply {
                    // RFC 3030 §2: "If a 5XX or 4XX code is received by the sender-SMTP in response to a BDAT chunk, the transaction
                    // should be considered failed and the sender-SMTP MUST NOT send any additional BDAT segments."
                    Some(reply) => self.lose(&transfer, reply),
                    None => {
                        let text = format!("{} octets received", transfer.octets);
                        self.state = State::Command(Transaction::Chunks(transfer));
                        self.ok(250, EnhancedStatus::OK, &text);
                    }
                }
            }
            Piece::End(held) => {
                if !held.is_empty() {
                    self.body(&mut transfer, held);
                }
                self.end_of_data(transfer);
            }
        }
        true
    }

    /// Hands octets on, up to the limit; where the input was cut, means nothing.
    fn body(&mut self, transfer: &mut Transfer, mut octets: Bytes) {
        let room = self.config.limits.message.saturating_sub(transfer.octets);
        transfer.octets = transfer.octets.saturating_add(octets.len() as u64);
        if transfer.refused.is_some() {
            return;
        }
        if octets.len() as u64 > room {
            octets.truncate(usize::try_from(room).unwrap_or(usize::MAX));
            // RFC 1870 §6.3: "The server may reject such a message after its DATA transfer."
            transfer.refused = Some(too_big());
        }
        if !octets.is_empty() {
            self.events.push_back(Event::Body(octets));
        }
    }

    fn end_of_data(&mut self, transfer: Box<Transfer>) {
        let line_endings = transfer.line_endings();
        let is_canonical = line_endings.are_canonical()
            || self.config.line_ends != LineEndPolicy::Reject
            || transfer.envelope.parameters.body == Some(BodyType::BinaryMime);
        if !is_canonical && transfer.refused.is_none() {
            let reply = Reply::certain(
                550,
                EnhancedStatus::SYNTAX,
                "The message holds a CR or LF that stands alone: send lines that end in CR LF",
            );
            self.lose(&transfer, reply.clone());
            self.count_mistake(Mistake::BareNewline, reply);
            return;
        }
        match transfer.refused.clone() {
            Some(reply) => self.lose(&transfer, reply),
            None => {
                let octets = transfer.octets;
                self.state = State::Asked(Asked::Delivery, Transaction::Open(transfer.envelope));
                let pending = self.desk.open();
                self.events.push_back(Event::EndOfData {
                    octets,
                    line_endings,
                    pending,
                });
            }
        }
    }

    /// Refuses the message at its true end, or the chunk at its end.
    fn lose(&mut self, transfer: &Transfer, reply: Reply) {
        let is_end = !matches!(&transfer.framing, Framing::Chunks { last: false, .. });
        // RFC 2033 §4.2: "the server returns one reply for each previously successful RCPT command in the mail transaction, in
        // the order that the RCPT commands were issued."
        let replies = match self.config.role {
            Role::Lmtp if is_end => transfer.envelope.recipients.len(),
            _ => 1,
        };
        for _ in 0..replies {
            self.say(&reply);
        }
        let is_over = reply.code() == 421;
        self.state = State::Command(Transaction::None);
        self.events.push_back(Event::Aborted(Abort::Refused(reply)));
        if is_over {
            self.end(None);
        }
    }

    pub(super) fn take_discard(&mut self, mut discard: Discard) -> bool {
        if discard.chunk.next(&mut self.input).is_some() {
            self.moved = true;
        }
        if discard.chunk.left() > 0 {
            self.state = State::Discard(discard);
            return false;
        }
        self.state = State::Command(Transaction::None);
        self.refuse(discard.refusal);
        true
    }

    pub(super) fn refuse(&mut self, refusal: Refusal) {
        match refusal {
            Refusal::Wanted(reply) => self.say(&reply),
            Refusal::Mistake(cause, reply) => self.mistake(cause, reply),
            Refusal::Silent => {}
        }
    }

    /// BDAT.
    pub(super) fn chunk(&mut self, size: u64, last: bool, transaction: Transaction) {
        let mistake = |cause, code, text: &str| {
            let reply = Reply::certain(code, EnhancedStatus::INVALID_COMMAND, text);
            Refusal::Mistake(cause, reply)
        };
        match transaction {
            _ if !self.config.chunking => {
                let refusal = mistake(Mistake::NotOffered, 502, "BDAT is not implemented");
                self.refuse_chunk(size, transaction, refusal);
            }
            Transaction::None => {
                let refusal = mistake(Mistake::OutOfOrder, 503, "Say MAIL first");
                self.refuse_chunk(size, transaction, refusal);
            }
            Transaction::Open(envelope) if envelope.recipients.is_empty() => {
                // RFC 2033 §4.3: "If there were no previously successful RCPT commands in the mail transaction, then the BDAT LAST
                // command returns zero replies."
                let refusal = if last && self.config.role == Role::Lmtp {
                    Refusal::Silent
                } else {
                    Refusal::Mistake(Mistake::OutOfOrder, self.no_recipients())
                };
                self.refuse_chunk(size, Transaction::Open(envelope), refusal);
            }
            Transaction::Open(_) => {
                self.state = State::Asked(Asked::Chunk(size, last), transaction);
                let pending = self.desk.open();
                self.events.push_back(Event::Data(pending));
            }
            Transaction::Chunks(mut transfer) => {
                transfer.empty_chunks += u32::from(size == 0);
                if transfer.empty_chunks > self.config.limits.empty_chunks {
                    self.state = State::Command(Transaction::Chunks(transfer));
                    self.ok(
                        421,
                        EnhancedStatus::TEMPORARY_SECURITY,
                        "Too many chunks without octets",
                    );
                    return self.end(Some(Error::TooManyChunks));
                }
                if let Framing::Chunks {
                    chunk,
                    last: is_last,
                    ..
                } = &mut transfer.framing
                {
                    *chunk = Counted::new(size);
                    *is_last = last;
                }
                self.foresee(&mut transfer, size);
                self.state = State::Body(transfer);
            }
        }
    }

    /// The first chunk was accepted.
    pub(super) fn begin_chunks(&mut self, envelope: Box<Envelope>, size: u64, last: bool) {
        let mut transfer = Transfer::by_chunks(envelope, size, last, self.config.line_ends);
        self.foresee(&mut transfer, size);
        self.state = State::Body(Box::new(transfer));
    }

    /// A chunk that will go beyond the limit is refused before its octets are handed on.
    fn foresee(&self, transfer: &mut Transfer, size: u64) {
        if transfer.octets.saturating_add(size) > self.config.limits.message {
            transfer.refused.get_or_insert_with(too_big);
        }
    }

    /// Refuses the message that is coming: no more [`Event::Body`] is told, the rest is read and dropped, and `reply` is given at
    /// its true end (451 instead of one that is neither 4yz nor 5yz). Without a message that is coming, nothing happens.
    pub fn refuse_rest(&mut self, reply: Reply) {
        if let State::Body(transfer) | State::Command(Transaction::Chunks(transfer)) =
            &mut self.state
        {
            let is_refusal = reply.is_transient() || reply.is_permanent();
            transfer
                .refused
                .get_or_insert_with(|| if is_refusal { reply } else { failed() });
            self.events.retain(|event| !matches!(event, Event::Body(_)));
        }
    }
}

fn too_big() -> Reply {
    Reply::certain(
        552,
        EnhancedStatus::TOO_BIG,
        "Message size exceeds fixed maximum message size",
    )
}
