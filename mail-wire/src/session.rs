//! The contract itself: what a protocol is to whoever drives it.

use bytes::BytesMut;

use crate::{Time, TlsInfo};

/// A protocol that owns two byte queues and no socket, clock or thread.
///
/// The loop of every driver is the same: append what was read to [`input`](Self::input), call [`poll`](Self::poll) until it
/// wants something, and send what lies in [`output`](Self::output).
///
/// Laws that every session keeps:
///
/// - The same bytes give the same events however they are cut (adjacent body chunks joined).
/// - One event for each poll, and nothing is parsed past an answer that is still owed, so pipelining, AUTH and STARTTLS cannot race.
/// - What it buffers is bounded by its limits, whatever the peer sends.
pub trait Session {
    /// What happened, for the application.
    type Event;
    /// Why the session cannot go on.
    type Error: core::error::Error;

    /// The queue to which the driver appends what it read.
    fn input(&mut self) -> &mut BytesMut;

    /// The queue whose octets the driver sends, after an error too. It is complete once a poll that returned no event leaves it empty:
    /// a layer with a bounded queue holds more back until what is here was sent.
    fn output(&mut self) -> &mut BytesMut;

    /// Goes on until there is one thing to say.
    ///
    /// # Errors
    ///
    /// The session is over: send what is in `output`, then close. Mistakes of the peer that can be mended are answered by the
    /// session itself and are events, not errors.
    fn poll(&mut self, now: Time) -> Result<Step<Self::Event>, Self::Error>;

    /// When to poll again, input or not. `Some` in every state but closed.
    fn deadline(&self) -> Option<Time>;

    /// Whether reading helps; while false, leave the bytes in the socket, so that the peer feels the pressure.
    fn wants_input(&self) -> bool;

    /// Tells that no more input will come, and how it ended. What is buffered is still answered.
    fn end_of_input(&mut self, how: End);

    /// Tells that the layer asked for by [`Step::Upgrade`] stands (or stood from the first byte), so that the protocol starts
    /// anew on top of it. Both queues are empty at that moment.
    fn upgraded(&mut self, layer: Upgraded);
}

/// What a poll came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Step<E> {
    /// Something happened; poll again afterwards.
    Event(E),
    /// Send what is in `output`, put this layer below the session, then call [`Session::upgraded`].
    ///
    /// Input that waits at this moment was sent in the old layer by someone who should not have: for TLS it is fatal.
    Upgrade(Layer),
    /// Nothing to do until more input comes or the deadline passes.
    NeedInput,
    /// Nothing to do until the application has answered the event named here.
    NeedAnswer(&'static str),
    /// Over: send what is in `output`, then close.
    Closed,
}

/// A layer below a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// STARTTLS, STLS.
    Tls,
    /// COMPRESS=DEFLATE (RFC 4978).
    Deflate,
}

/// A layer that now stands, with what is known of it.
#[derive(Debug, Clone)]
pub enum Upgraded {
    /// TLS, with what the handshake told.
    Tls(Box<TlsInfo>),
    /// DEFLATE in both directions.
    Deflate,
}

/// How the input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a close of TCP without TLS, or with TLS's close_notify.
    Clean,
    /// By an error of the socket, or under TLS without close_notify: a truncation cannot be told from an attack.
    Cut,
}
