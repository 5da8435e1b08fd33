//! The driver for blocking sockets.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a driver is where the clock and the socket are"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Buf as _;

use super::{LINGER, READ};
use crate::{End, Session, Step, Time, Transport, TransportError};

/// A stream whose reads and writes can be given a time limit.
pub trait Stream: Read + Write {
    /// Bounds each read and each write; never zero.
    ///
    /// # Errors
    ///
    /// The socket's.
    fn set_time_limit(&self, limit: Duration) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn set_time_limit(&self, limit: Duration) -> std::io::Result<()> {
        self.set_read_timeout(Some(limit))?;
        self.set_write_timeout(Some(limit))
    }
}

/// A session on a blocking socket: one thread for each.
///
/// While output waits for a peer that does not read, the driver looks for input every [`Driver::TURN`], so two peers that pipeline
/// do not block each other.
///
/// ```no_run
/// # fn serve<P: mail_wire::Session>(protocol: P) -> Result<(), Box<dyn std::error::Error>> where P::Error: 'static {
/// use mail_wire::{Transport, driver::blocking::Driver};
///
/// let (socket, _peer) = std::net::TcpListener::bind("127.0.0.1:2525")?.accept()?;
/// let mut driver = Driver::new(Transport::new(protocol), socket);
/// while let Some(_event) = driver.next()? {
///     // Answer it through `driver.session()`.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Driver<P: Session, Io> {
    transport: Transport<P>,
    io: Io,
    start: Instant,
    limit: Option<Duration>,
    ended: bool,
    broken: bool,
    over: bool,
}

/// What [`Driver::next_until`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<E> {
    /// Something happened.
    Event(E),
    /// The moment came first.
    TimedOut,
    /// The session is over and all its output was sent.
    Closed,
}

impl<P: Session, Io: Stream> Driver<P, Io> {
    /// How long one blocked write may keep the driver from reading: 20 ms.
    pub const TURN: Duration = Duration::from_millis(20);

    /// Begins now.
    pub fn new(transport: Transport<P>, io: Io) -> Self {
        Self {
            transport,
            io,
            start: Instant::now(),
            limit: None,
            ended: false,
            broken: false,
            over: false,
        }
    }

    /// The protocol, to answer its events and to give it commands.
    pub const fn session(&mut self) -> &mut P {
        self.transport.protocol_mut()
    }

    /// The stack below the protocol.
    pub const fn transport(&self) -> &Transport<P> {
        &self.transport
    }

    /// The time as the session sees it.
    pub fn now(&self) -> Time {
        Time::from_start(self.start.elapsed())
    }

    /// The next event; `None` when the session is over and all its output was sent.
    ///
    /// # Errors
    ///
    /// The transport's or the protocol's error; what it said last (an alert, a refusal) was sent.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not be asked for its session between events"
    )]
    pub fn next(&mut self) -> Result<Option<P::Event>, TransportError<P::Error>> {
        Ok(match self.next_until(None)? {
            Next::Event(event) => Some(event),
            Next::TimedOut | Next::Closed => None,
        })
    }

    /// As [`next`](Self::next), but for no longer than `until`.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn next_until(
        &mut self,
        until: impl Into<Option<Time>>,
    ) -> Result<Next<P::Event>, TransportError<P::Error>> {
        let until = until.into();
        loop {
            if self.over {
                self.close();
                return Ok(Next::Closed);
            }
            match self.transport.poll(self.now()) {
                Ok(Step::Event(event)) => return Ok(Next::Event(event)),
                Ok(Step::Closed) => self.over = true,
                Err(error) => {
                    self.over = true;
                    self.close();
                    return Err(error);
                }
                Ok(Step::Upgrade(_)) => {}
                Ok(Step::NeedInput | Step::NeedAnswer(_)) => {
                    if until.is_some_and(|until| self.now() >= until) {
                        return Ok(Next::TimedOut);
                    }
                    self.carry(until);
                }
            }
        }
    }

    /// Sends what is there.
    fn close(&mut self) {
        let until = self.now() + LINGER;
        while !self.broken && !self.transport.output().is_empty() && self.now() < until {
            self.set_limit(Self::TURN);
            self.write();
        }
        self.transport.output().clear();
        if !self.broken {
            self.broken = self.io.flush().is_err();
        }
        self.broken = true;
    }

    fn carry(&mut self, until: Option<Time>) {
        let wake = match (self.transport.deadline(), until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let left = wake.map_or(Duration::from_secs(60), |wake| wake.since(self.now()));
        let left = left.clamp(Duration::from_millis(1), Duration::from_secs(60));
        let writes = !self.transport.output().is_empty();
        self.set_limit(if writes { Self::TURN.min(left) } else { left });
        if writes {
            self.write();
        }
        let reads = !self.ended && self.transport.wants_input();
        if reads && self.transport.output().is_empty() {
            // All was said: now the peer has the word, for as long as there is.
            if writes {
                return;
            }
            self.read();
        } else if reads {
            self.read();
        } else if !writes {
            std::thread::sleep(Self::TURN.min(left));
        }
    }

    fn write(&mut self) {
        match self.io.write(self.transport.output()) {
            Ok(sent) if sent > 0 => self.transport.output().advance(sent),
            Err(error) if is_slow(&error) => {}
            Ok(_) | Err(_) => {
                self.broken = true;
                self.transport.output().clear();
                self.end(End::Cut);
            }
        }
    }

    fn read(&mut self) {
        let mut space = [0; READ];
        match self.io.read(&mut space) {
            Ok(0) => self.end(End::Clean),
            Ok(read) => self
                .transport
                .input()
                .extend_from_slice(space.get(..read).unwrap_or_default()),
            Err(error) if is_slow(&error) => {}
            Err(_) => self.end(End::Cut),
        }
    }

    fn end(&mut self, how: End) {
        if !core::mem::replace(&mut self.ended, true) {
            self.transport.end_of_input(how);
        }
    }

    fn set_limit(&mut self, limit: Duration) {
        if self.limit != Some(limit) && self.io.set_time_limit(limit).is_ok() {
            self.limit = Some(limit);
        }
    }
}

fn is_slow(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
