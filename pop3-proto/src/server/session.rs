//! The session itself: its answers. How it goes on stands in `poll`, what commands do in `authorization` and `transaction`.

mod authorization;
mod poll;
mod transaction;

use std::sync::Arc;

use bytes::BytesMut;
use mail_wire::framing::{DotEncoder, LineEndPolicy, LineFramer};
use mail_wire::{Desk, Pending, Room, Stale, Stream, Time, TlsInfo};
use sasl_core::server::{Exchange, Next, Success};
use sasl_core::{Entropy, Identity, Mechanism, StoredKeys};

use super::Config;
use super::event::{Error, Misuse, SendError, kind};
use super::top::Top;
use crate::maildrop::{Maildrop, Message};
use crate::reply::{Reply, ResponseCode};

/// One connection of a POP3 client, seen from the server.
///
/// Nothing is buffered of a message, nothing is parsed past an answer that is owed, and messages are deleted by nothing but QUIT.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    entropy: Entropy,
    input: BytesMut,
    output: BytesMut,
    lines: LineFramer,
    desk: Desk,
    state: State,
    tls: Option<Box<TlsInfo>>,
    /// There from the login on.
    maildrop: Option<Maildrop>,
    failed_logins: u32,
    mistakes: u32,
    failure: Option<Error>,
    ended: bool,
    clock: Clock,
}

#[derive(Debug)]
enum State {
    /// Nothing was said yet.
    Start,
    AwaitGreeting,
    /// The AUTHORIZATION state, with what USER said.
    Authorization(Option<Identity>),
    /// STLS was answered.
    Tls,
    /// The client's answer to a challenge is awaited.
    AwaitResponse(Box<Login>),
    /// The server's last message was sent as a challenge; the client's empty answer is awaited.
    AwaitLast(Box<Login>, Box<Success>),
    /// The application's answer to a question is awaited.
    AwaitAuth(Box<Login>),
    /// It came.
    Answered(Box<Login>, Box<Next>),
    /// Logged in; the maildrop is to be opened.
    Authenticated(Identity),
    AwaitMaildrop,
    /// The TRANSACTION state.
    Transaction,
    /// The answer to LIST or UIDL is being written.
    Listing {
        unique_ids: bool,
        next: usize,
    },
    AwaitMessage(Option<Top>),
    Sending(Box<Sending>),
    /// All of a message was written.
    Sent(Stream),
    /// The UPDATE state.
    AwaitUpdate,
    Closed,
}

/// An exchange, and by which mechanism of AUTH; `None`: by USER and PASS.
#[derive(Debug)]
struct Login {
    exchange: Exchange,
    mechanism: Option<Mechanism>,
}

#[derive(Debug)]
struct Sending {
    stream: Stream,
    room: Room,
    encoder: DotEncoder,
    top: Option<Top>,
    /// The application knows that there is room, and has given nothing yet.
    asked: bool,
}

/// Since when the session waits.
#[derive(Debug, Default)]
struct Clock {
    /// The first poll.
    started: Option<Time>,
    since: Option<Time>,
    /// Something happened since the last poll.
    touched: bool,
    /// The octets of output that the last poll left.
    queued: usize,
}

impl Session {
    /// A session, with randomness of its own: 32 octets for each connection.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>, entropy: Entropy) -> Self {
        Self {
            config: config.into(),
            entropy,
            input: BytesMut::new(),
            output: BytesMut::new(),
            lines: LineFramer::default(),
            desk: Desk::new(),
            state: State::Start,
            tls: None,
            maildrop: None,
            failed_logins: 0,
            mistakes: 0,
            failure: None,
            ended: false,
            clock: Clock::default(),
        }
    }

    /// What is known of TLS, where it stands.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Greets the client; the text is often the host's name.
    ///
    /// # Errors
    ///
    /// [`Stale`]; as for every answer below, nothing is changed then.
    pub fn greet(&mut self, pending: Pending<kind::Connected>, text: &str) -> Result<(), Stale> {
        self.redeem(pending)?;
        // RFC 1939 §7: "A POP3 server which implements the APOP command will include a timestamp in its banner greeting." This one
        // does not, so nothing in it may look like one.
        self.reply(&Reply::ok(&text.replace(['<', '>'], "")));
        self.state = State::Authorization(None);
        Ok(())
    }

    /// Sends the client away.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn refuse(
        &mut self,
        pending: Pending<kind::Connected>,
        code: Option<ResponseCode>,
        text: &str,
    ) -> Result<(), Stale> {
        self.redeem(pending)?;
        self.reply(&Reply::err(code, text));
        self.state = State::Closed;
        Ok(())
    }

    /// Answers [`Question::StoredKeys`](sasl_core::server::Question::StoredKeys); `None`: there is no such user.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn stored_keys(
        &mut self,
        pending: Pending<kind::Auth>,
        keys: Option<StoredKeys>,
    ) -> Result<(), Stale> {
        self.answer_auth(pending, |exchange| exchange.stored_keys(keys))
    }

    /// Answers [`Question::CheckPassword`](sasl_core::server::Question::CheckPassword).
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn password(&mut self, pending: Pending<kind::Auth>, is_right: bool) -> Result<(), Stale> {
        self.answer_auth(pending, |exchange| exchange.password(is_right))
    }

    /// Answers [`Question::Authorize`](sasl_core::server::Question::Authorize).
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn authorized(&mut self, pending: Pending<kind::Auth>, may_act: bool) -> Result<(), Stale> {
        self.answer_auth(pending, |exchange| exchange.authorized(may_act))
    }

    /// Ends a login whose question cannot be answered now: `-ERR [SYS/TEMP]`.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn auth_unavailable(&mut self, pending: Pending<kind::Auth>) -> Result<(), Stale> {
        self.redeem(pending)?;
        self.reply(&Reply::err(ResponseCode::SysTemp, "try again later"));
        self.state = State::Authorization(None);
        Ok(())
    }

    /// Opens the maildrop: its messages in order. More than 32 bits can number are left out.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn maildrop(
        &mut self,
        pending: Pending<kind::OpenMaildrop>,
        mut messages: Vec<Message>,
    ) -> Result<(), Stale> {
        self.redeem(pending)?;
        messages.truncate(u32::MAX as usize);
        let maildrop = Maildrop::new(messages);
        self.reply(&Reply::ok(&format!(
            "{} messages ({} octets)",
            maildrop.count(),
            maildrop.octets()
        )));
        self.maildrop = Some(maildrop);
        self.state = State::Transaction;
        Ok(())
    }

    /// Does not open the maildrop: `[IN-USE]`, `[LOGIN-DELAY]`, `[SYS/TEMP]`, `[SYS/PERM]`. The client may log in again.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn refuse_maildrop(
        &mut self,
        pending: Pending<kind::OpenMaildrop>,
        code: Option<ResponseCode>,
        text: &str,
    ) -> Result<(), Stale> {
        self.redeem(pending)?;
        self.reply(&Reply::err(code, text));
        self.state = State::Authorization(None);
        Ok(())
    }

    /// Promises the message of RETR or TOP, whole, of exactly `size` octets as they will be given to [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn promise(
        &mut self,
        pending: Pending<kind::Retrieve>,
        size: u64,
    ) -> Result<Stream, Stale> {
        self.redeem(pending)?;
        let top = match core::mem::replace(&mut self.state, State::Transaction) {
            State::AwaitMessage(top) => top,
            _ => None,
        };
        let reply = if top.is_some() {
            Reply::ok("")
        } else {
            Reply::ok(&format!("{size} octets"))
        };
        self.reply(&reply);
        let stream = self.desk.stream();
        self.state = State::Sending(Box::new(Sending {
            stream,
            room: Room::promise(size),
            encoder: DotEncoder::new(LineEndPolicy::Normalise),
            top,
            asked: false,
        }));
        self.finish_when_complete();
        Ok(stream)
    }

    /// Has no message for RETR or TOP now: `[SYS/TEMP]`, `[SYS/PERM]`.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn unavailable(
        &mut self,
        pending: Pending<kind::Retrieve>,
        code: Option<ResponseCode>,
        text: &str,
    ) -> Result<(), Stale> {
        self.redeem(pending)?;
        self.reply(&Reply::err(code, text));
        self.state = State::Transaction;
        Ok(())
    }

    /// Gives the next octets of a promised message, as they are stored: dots are stuffed here, and a CR or an LF alone becomes CR LF.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLong`] for more than was promised, [`SendError::Stale`] where the message has been sent; nothing is taken then.
    pub fn send(&mut self, stream: Stream, octets: &[u8]) -> Result<(), SendError> {
        let State::Sending(sending) = &mut self.state else {
            return Err(Stale.into());
        };
        if !sending.stream.is(&stream) {
            return Err(Stale.into());
        }
        sending.room.spend(octets.len())?;
        let wanted = match &mut sending.top {
            Some(top) => top.take(octets),
            None => octets,
        };
        let written = sending.encoder.write(wanted, &mut self.output);
        debug_assert!(written.is_ok(), "Normalise bears every line end");
        sending.asked = false;
        self.clock.touched = true;
        self.finish_when_complete();
        Ok(())
    }

    /// Gives up a message that was promised: the connection is closed, so that the client does not take a part for the whole.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn abandon(&mut self, stream: Stream) -> Result<(), Stale> {
        match &self.state {
            State::Sending(sending) if sending.stream.is(&stream) => {
                self.failure = Some(Misuse::Abandoned.into());
                Ok(())
            }
            _ => Err(Stale),
        }
    }

    /// Says that the marked messages are deleted and the lock is released.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn updated(&mut self, pending: Pending<kind::Update>) -> Result<(), Stale> {
        self.redeem(pending)?;
        self.reply(&Reply::ok("bye"));
        self.state = State::Closed;
        Ok(())
    }

    /// Says that some messages are not deleted; the lock is released all the same.
    ///
    /// # Errors
    ///
    /// [`Stale`].
    pub fn not_updated(
        &mut self,
        pending: Pending<kind::Update>,
        code: Option<ResponseCode>,
        text: &str,
    ) -> Result<(), Stale> {
        // RFC 1939 §6: "Whether the removal was successful or not, the server then releases any exclusive-access lock on the maildrop
        // and closes the TCP connection."
        self.redeem(pending)?;
        self.reply(&Reply::err(code, text));
        self.state = State::Closed;
        Ok(())
    }
}
