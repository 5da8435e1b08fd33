//! One message: MAIL and its RCPTs, in a group where the server takes one, then the content.

use mail_wire::framing::DotEncoder;
use mail_wire::{Room, Stale, Stream};

use super::content::{Chunks, Writer};
use super::{
    CommandError, ContentError, Envelope, Error, Event, Expected, PeerError, Phase, Protocol,
    Session, unexpected,
};
use crate::parameters::{AuthParameter, BodyType};
use crate::{Command, Reply};

#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    bdat: bool,
    next: Next,
    accepted: Vec<usize>,
    mail_refused: bool,
    /// DATA or a chunk was refused.
    failed: bool,
    refusal: Option<Reply>,
    content: Option<Content>,
    replies: Vec<Reply>,
    reply_octets: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Mail,
    Rcpt(usize),
    Data,
    Nothing,
}

#[derive(Debug)]
struct Content {
    stream: Stream,
    writer: Writer,
    promise: Option<Room>,
    told: bool,
    finished: bool,
}

/// Chunks sent ahead of their replies.
const MOST_CHUNKS: usize = 8;

impl Transaction {
    fn new(envelope: Envelope, bdat: bool) -> Self {
        Self {
            envelope,
            bdat,
            next: Next::Mail,
            accepted: Vec::new(),
            mail_refused: false,
            failed: false,
            refusal: None,
            content: None,
            replies: Vec::new(),
            reply_octets: 0,
        }
    }

    /// Whether the application owes content.
    pub(super) fn wants_content(&self) -> bool {
        self.content
            .as_ref()
            .is_some_and(|content| !content.finished)
    }

    /// Whether it was told so.
    pub(super) fn was_told(&self) -> bool {
        self.content
            .as_ref()
            .is_some_and(|content| content.told && !content.finished)
    }

    /// The stream to tell of, if there is room, `queued` octets waiting in the output.
    pub(super) fn room(&mut self, queued: usize) -> Option<Stream> {
        let content = self.content.as_mut()?;
        let is_full = match &content.writer {
            Writer::Dots(_) => false,
            Writer::Chunks(chunks) => chunks.is_full(),
        };
        if content.finished || content.told || is_full || queued >= Room::LOW_WATER {
            return None;
        }
        content.told = true;
        Some(content.stream)
    }
}

impl Session {
    /// Begins a message.
    ///
    /// The commands go out by themselves: in one group where the server offers PIPELINING (RFC 2920), else one by one. Then come
    /// [`Event::MailReply`], an [`Event::RecipientReply`] for each recipient, [`Event::Room`] for the content, and at the end
    /// [`Event::Delivered`] or [`Event::Refused`]; then the next message may be sent.
    ///
    /// # Errors
    ///
    /// Nothing was sent: the session is not ready, or the server does not offer what the envelope needs.
    pub fn send(&mut self, mut envelope: Envelope) -> Result<(), CommandError> {
        self.is_ready()?;
        let bdat = self.check_envelope(&mut envelope)?;
        self.phase = Phase::Transaction(Box::new(Transaction::new(envelope, bdat)));
        self.progress = true;
        Ok(())
    }

    /// Whether the server offers what the envelope needs; whether BDAT is used.
    fn check_envelope(&self, envelope: &mut Envelope) -> Result<bool, CommandError> {
        let needs = |keyword: &'static str, offered: bool| {
            if offered {
                Ok(())
            } else {
                Err(CommandError::NotOffered(keyword))
            }
        };
        let offered = &self.extensions;
        if envelope.recipients.is_empty() {
            return Err(CommandError::NoRecipient);
        }
        let parameters = &envelope.parameters;
        match parameters.body {
            Some(BodyType::EightBitMime) => needs("8BITMIME", offered.eight_bit_mime)?,
            Some(BodyType::BinaryMime) => {
                needs("BINARYMIME", offered.binary_mime)?;
                needs("CHUNKING", offered.chunking)?;
            }
            _ => {}
        }
        if let (Some(size), Some(limit)) = (parameters.size, offered.size.filter(|size| *size > 0))
            && size > limit
        {
            return Err(CommandError::TooLarge { size, limit });
        }
        let is_ascii = envelope
            .reverse_path
            .mailbox()
            .is_none_or(|mailbox| mailbox.is_ascii())
            && envelope.recipients.iter().all(|recipient| {
                recipient
                    .forward_path
                    .mailbox()
                    .is_none_or(|mailbox| mailbox.is_ascii())
            });
        if parameters.smtputf8 {
            needs("SMTPUTF8", offered.smtputf8)?;
        } else if !is_ascii {
            return Err(CommandError::NeedsSmtpUtf8);
        }
        let dsn = parameters.ret.is_some()
            || parameters.envid.is_some()
            || envelope.recipients.iter().any(|recipient| {
                recipient.parameters.notify.is_some() || recipient.parameters.orcpt.is_some()
            });
        if dsn {
            needs("DSN", offered.dsn)?;
        }
        if parameters.require_tls {
            // RFC 8689 §4.2.1: the message goes only over TLS to a server that offers REQUIRETLS.
            needs("REQUIRETLS", offered.require_tls && self.tls.is_some())?;
        }
        // RFC 4954 §5: AUTH= is said to servers that offer AUTH.
        if offered.auth.is_empty() {
            envelope.parameters.auth = None;
        } else if let Some(AuthParameter::Mailbox(mailbox)) = &envelope.parameters.auth
            && !mailbox.is_ascii()
        {
            return Err(CommandError::NeedsSmtpUtf8);
        }
        // RFC 6152 §2: 7BIT is what is meant where BODY= is not said.
        Ok(offered.chunking
            && (self.config.chunking || envelope.parameters.body == Some(BodyType::BinaryMime)))
    }

    /// Gives a piece of the content, in answer to [`Event::Room`]; pieces of up to 64 KiB keep the memory small.
    ///
    /// Line ends are CR LF, dots are not stuffed. Another [`Event::Room`] comes when there is room for more.
    ///
    /// # Errors
    ///
    /// But for a stale stream, the content cannot be sent and the session is over: the next poll says so, and the connection
    /// closes without an end of the content.
    pub fn content(&mut self, stream: Stream, octets: &[u8]) -> Result<(), ContentError> {
        let (content, body) = Self::open_stream(&mut self.phase, stream)?;
        let result = content.take(octets, body, &mut self.output);
        self.progress = true;
        result.inspect_err(|error| self.fail(Error::Misuse((*error).into())))
    }

    /// Ends the content; a last line without CR LF is completed.
    ///
    /// # Errors
    ///
    /// As [`content`](Self::content), and where less was given than the envelope promised.
    pub fn finish(&mut self, stream: Stream) -> Result<(), ContentError> {
        let (content, _) = Self::open_stream(&mut self.phase, stream)?;
        let result = content.end(&mut self.output);
        self.progress = true;
        if let Err(error) = result {
            self.fail(Error::Misuse(error.into()));
            return Err(error);
        }
        if matches!(content_writer(&self.phase), Some(Writer::Dots(_))) {
            self.expect_final();
        }
        Ok(())
    }

    fn open_stream(
        phase: &mut Phase,
        stream: Stream,
    ) -> Result<(&mut Content, Option<BodyType>), Stale> {
        match phase {
            Phase::Transaction(transaction) => {
                let body = transaction.envelope.parameters.body;
                match &mut transaction.content {
                    Some(content) if content.stream.is(&stream) && !content.finished => {
                        Ok((content, body))
                    }
                    _ => Err(Stale),
                }
            }
            _ => Err(Stale),
        }
    }

    /// The content is over: so many replies come.
    fn expect_final(&mut self) {
        if let Phase::Transaction(transaction) = &mut self.phase {
            transaction.content = None;
            // RFC 2033 §4.2: "after the final ".", the server returns one reply for each previously successful RCPT command in the
            // mail transaction, in the order that the RCPT commands were issued."
            let replies = match self.config.protocol {
                Protocol::Smtp => 1,
                Protocol::Lmtp => transaction.accepted.len(),
            };
            self.expected
                .extend(core::iter::repeat_n(Expected::Final, replies));
        }
    }
}

fn content_writer(phase: &Phase) -> Option<&Writer> {
    match phase {
        Phase::Transaction(transaction) => {
            transaction.content.as_ref().map(|content| &content.writer)
        }
        _ => None,
    }
}

impl Content {
    fn take(
        &mut self,
        octets: &[u8],
        body: Option<BodyType>,
        output: &mut bytes::BytesMut,
    ) -> Result<(), ContentError> {
        if body == Some(BodyType::SevenBit) && !octets.is_ascii() {
            return Err(ContentError::EightBit);
        }
        if let Some(promise) = &mut self.promise {
            promise.spend(octets.len())?;
        }
        self.told = false;
        match &mut self.writer {
            Writer::Dots(dots) => dots.write(octets, output)?,
            Writer::Chunks(chunks) => chunks.write(octets)?,
        }
        Ok(())
    }

    fn end(&mut self, output: &mut bytes::BytesMut) -> Result<(), ContentError> {
        if let Some(promise) = &self.promise
            && !promise.is_complete()
        {
            return Err(ContentError::TooShort {
                owed: promise.owed(),
            });
        }
        self.finished = true;
        match &mut self.writer {
            Writer::Dots(dots) => core::mem::take(dots).finish(output)?,
            Writer::Chunks(chunks) => chunks.finish()?,
        }
        Ok(())
    }
}

/// What goes out, and what comes back.
impl Session {
    /// Sends what may be sent now.
    pub(super) fn pump(&mut self) {
        while let Phase::Transaction(transaction) = &mut self.phase {
            let window = if self.extensions.pipelining {
                self.config.limits.in_flight.max(1)
            } else {
                1
            };
            if self.expected.len() >= window || self.output.len() >= Room::LOW_WATER {
                return;
            }
            if transaction.content.is_some() {
                if !self.pump_chunk() {
                    return;
                }
                continue;
            }
            let all_answered = self.expected.is_empty();
            match transaction.next {
                _ if transaction.mail_refused || transaction.failed => return,
                Next::Mail => {
                    let mut parameters = transaction.envelope.parameters.clone();
                    if self.extensions.size.is_none() {
                        parameters.size = None;
                    }
                    if !self.extensions.eight_bit_mime
                        && parameters.body == Some(BodyType::SevenBit)
                    {
                        parameters.body = None;
                    }
                    let command = Command::Mail {
                        reverse_path: transaction.envelope.reverse_path.clone(),
                        parameters,
                    };
                    transaction.next = Next::Rcpt(0);
                    self.command(&command, Expected::Mail);
                }
                Next::Rcpt(index) => match transaction.envelope.recipients.get(index) {
                    Some(recipient) => {
                        let command = Command::Rcpt {
                            forward_path: recipient.forward_path.clone(),
                            parameters: recipient.parameters.clone(),
                        };
                        transaction.next = Next::Rcpt(index + 1);
                        self.command(&command, Expected::Rcpt(index));
                    }
                    None => transaction.next = Next::Data,
                },
                Next::Data if all_answered && transaction.accepted.is_empty() => return,
                Next::Data if transaction.bdat => {
                    // The content comes from the application, so BDAT cannot stand in the group.
                    if !all_answered {
                        return;
                    }
                    transaction.next = Next::Nothing;
                    self.open_content();
                }
                // RFC 2920 §3.1: "The EHLO, DATA, VRFY, EXPN, TURN, QUIT, and NOOP commands can only appear as the last command in a
                // group"
                Next::Data => {
                    transaction.next = Next::Nothing;
                    self.command(&Command::Data, Expected::Data);
                }
                Next::Nothing => return,
            }
        }
    }

    /// Sends one chunk if there is one to send; the last only when all before it were taken.
    fn pump_chunk(&mut self) -> bool {
        let Phase::Transaction(transaction) = &mut self.phase else {
            return false;
        };
        let Some(Content {
            writer: Writer::Chunks(chunks),
            finished,
            ..
        }) = &mut transaction.content
        else {
            return false;
        };
        if self.expected.len() >= MOST_CHUNKS {
            return false;
        }
        let is_last = *finished && chunks.held() <= self.config.limits.chunk.max(1);
        if is_last && self.expected.is_empty() {
            chunks.put(true, &mut self.output);
            self.expect_final();
            return true;
        }
        if is_last || !chunks.is_full() {
            return false;
        }
        chunks.put(false, &mut self.output);
        self.expected.push_back(Expected::Chunk);
        true
    }

    fn open_content(&mut self) {
        let stream = self.desk.stream();
        if let Phase::Transaction(transaction) = &mut self.phase {
            let parameters = &transaction.envelope.parameters;
            let writer = if transaction.bdat {
                Writer::Chunks(Chunks::new(
                    parameters.body,
                    self.config.line_ends,
                    self.config.limits.chunk,
                ))
            } else {
                Writer::Dots(DotEncoder::new(self.config.line_ends))
            };
            transaction.content = Some(Content {
                stream,
                writer,
                promise: parameters.size.map(Room::promise),
                told: false,
                finished: false,
            });
        }
    }

    /// Takes a reply of a transaction in.
    pub(super) fn transaction_reply(
        &mut self,
        expected: Expected,
        reply: Reply,
    ) -> Result<(), Error> {
        let Phase::Transaction(transaction) = &mut self.phase else {
            return Err(unexpected(expected, reply));
        };
        let has_no_place = if expected == Expected::Data {
            reply.is_positive()
        } else {
            reply.is_intermediate()
        };
        if has_no_place {
            return Err(unexpected(expected, reply));
        }
        let taken = reply.is_positive() || reply.is_intermediate();
        match expected {
            Expected::Mail => {
                transaction.mail_refused = !taken;
                if !taken {
                    transaction.refusal = Some(reply.clone());
                }
                self.events.push_back(Event::MailReply(reply));
            }
            // Behind a refused MAIL the replies to RCPT say nothing of the recipients.
            Expected::Rcpt(_) if transaction.mail_refused => {}
            Expected::Rcpt(index) => {
                if taken {
                    transaction.accepted.push(index);
                } else if transaction.accepted.is_empty() {
                    transaction.refusal = Some(reply.clone());
                }
                self.events
                    .push_back(Event::RecipientReply { index, reply });
            }
            Expected::Data if taken && transaction.accepted.is_empty() => {
                // RFC 2033 §4.2: "when there have been no successful RCPT commands in the mail transaction, the DATA command MUST
                // fail with a 503 reply code."
                if self.config.protocol == Protocol::Lmtp {
                    return Err(unexpected(expected, reply));
                }
                // RFC 2920 §3.1: "if the DATA command was accepted the client SMTP should send a single dot."
                self.output.extend_from_slice(b".\r\n");
                self.expected.push_back(Expected::Discarded);
            }
            Expected::Data if taken => self.open_content(),
            Expected::Data => {
                if !transaction.accepted.is_empty() {
                    transaction.failed = true;
                    transaction.refusal = Some(reply);
                }
            }
            Expected::Chunk if taken => {}
            Expected::Chunk => {
                transaction.content = None;
                if !transaction.failed {
                    transaction.failed = true;
                    transaction.refusal = Some(reply);
                }
            }
            Expected::Discarded => {
                self.conclude(false);
                return Ok(());
            }
            _ => return self.final_reply(reply),
        }
        self.settle();
        Ok(())
    }

    fn final_reply(&mut self, reply: Reply) -> Result<(), Error> {
        let Phase::Transaction(transaction) = &mut self.phase else {
            return Err(unexpected(Expected::Final, reply));
        };
        if self.config.protocol == Protocol::Smtp && !reply.is_positive() {
            transaction.refusal = Some(reply);
            self.conclude(false);
            return Ok(());
        }
        let limit = self.config.limits.replies;
        transaction.reply_octets += reply.lines().iter().map(String::len).sum::<usize>();
        if transaction.reply_octets > limit {
            return Err(PeerError::TooMuch { limit }.into());
        }
        transaction.replies.push(reply);
        if self.expected.is_empty() {
            let accepted = core::mem::take(&mut transaction.accepted);
            let replies = core::mem::take(&mut transaction.replies);
            self.phase = Phase::Ready;
            self.events
                .push_back(Event::Delivered { accepted, replies });
        }
        Ok(())
    }

    /// Ends a transaction that can only fail, once every command of it was answered.
    fn settle(&mut self) {
        let Phase::Transaction(transaction) = &self.phase else {
            return;
        };
        if !self.expected.is_empty() || transaction.content.is_some() {
            return;
        }
        let all_asked = match transaction.next {
            Next::Mail => false,
            Next::Rcpt(index) => index >= transaction.envelope.recipients.len(),
            Next::Data | Next::Nothing => true,
        };
        if transaction.mail_refused {
            self.conclude(false);
        } else if transaction.failed || (all_asked && transaction.accepted.is_empty()) {
            self.conclude(true);
        }
    }

    /// Tells that the message was refused; behind a RSET where the server may still hold the transaction.
    fn conclude(&mut self, reset: bool) {
        let Phase::Transaction(transaction) = core::mem::replace(&mut self.phase, Phase::Ready)
        else {
            return;
        };
        let Transaction {
            accepted, refusal, ..
        } = *transaction;
        let Some(reply) = refusal else {
            return;
        };
        let refused = Event::Refused { accepted, reply };
        if reset {
            self.phase = Phase::Resetting(Some(Box::new(refused)));
            self.command(&Command::Rset, Expected::Reset);
        } else {
            self.events.push_back(refused);
        }
    }
}
