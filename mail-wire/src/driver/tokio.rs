//! The driver for tokio.

use core::future::{Future as _, poll_fn};
use core::pin::Pin;
use core::task::Poll;

use ::tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use ::tokio::time::{Instant, sleep_until, timeout};
use bytes::Buf as _;

use super::{LINGER, READ};
use crate::{End, Session, Step, Time, Transport, TransportError};

/// A session on a tokio stream.
///
/// [`next`](Self::next) reads and writes at once and is cancel-safe, so it stands in `select!` beside whatever else the program
/// waits for.
///
/// ```no_run
/// # async fn serve<P: mail_wire::Session>(protocol: P) -> Result<(), Box<dyn std::error::Error>> where P::Error: 'static {
/// use mail_wire::{Transport, driver::tokio::Driver};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:2525").await?;
/// let (socket, _peer) = listener.accept().await?;
/// let mut driver = Driver::new(Transport::new(protocol), socket);
/// while let Some(_event) = driver.next().await? {
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
    /// The reading side has ended.
    ended: bool,
    /// The writing side has failed; what is still said is thrown away.
    broken: bool,
    over: bool,
}

impl<P: Session, Io: AsyncRead + AsyncWrite + Unpin> Driver<P, Io> {
    /// Begins now.
    pub fn new(transport: Transport<P>, io: Io) -> Self {
        Self {
            transport,
            io,
            start: Instant::now(),
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
    /// Cancel-safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// The transport's or the protocol's error; what it said last (an alert, a refusal) was sent.
    pub async fn next(&mut self) -> Result<Option<P::Event>, TransportError<P::Error>> {
        loop {
            if self.over {
                self.close().await;
                return Ok(None);
            }
            match self.transport.poll(self.now()) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Closed) => self.over = true,
                Err(error) => {
                    self.over = true;
                    self.close().await;
                    return Err(error);
                }
                // The transport sees to its layers itself.
                Ok(Step::Upgrade(_)) => {}
                Ok(Step::NeedInput | Step::NeedAnswer(_)) => self.carry().await,
            }
        }
    }

    /// Sends what is there without waiting for events: after the last command before a long silence.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub async fn flush(&mut self) -> std::io::Result<()> {
        while !self.transport.output().is_empty() {
            let sent = self.io.write(self.transport.output()).await?;
            if sent == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.transport.output().advance(sent);
        }
        self.io.flush().await
    }

    /// Gives the protocol and the stream back.
    pub fn into_parts(self) -> (Transport<P>, Io) {
        (self.transport, self.io)
    }

    async fn close(&mut self) {
        if !self.broken {
            // Whoever does not read the last words within the time does without them.
            let _ = timeout(LINGER, async {
                self.flush().await?;
                self.io.shutdown().await
            })
            .await;
        }
        self.transport.output().clear();
        self.broken = true;
    }

    /// Waits until octets went out, came in, or the deadline passed.
    async fn carry(&mut self) {
        let deadline = self.transport.deadline();
        let wake = deadline.and_then(|deadline| self.start.checked_add(deadline.since_start()));
        let mut timer = core::pin::pin!(wake.map(sleep_until));
        poll_fn(|context| {
            let mut moved = false;
            while !self.transport.output().is_empty() {
                if self.broken {
                    self.transport.output().clear();
                    break;
                }
                match Pin::new(&mut self.io).poll_write(context, self.transport.output()) {
                    Poll::Ready(Ok(sent)) if sent > 0 => {
                        self.transport.output().advance(sent);
                        moved = true;
                    }
                    Poll::Ready(_) => {
                        self.broken = true;
                        if !core::mem::replace(&mut self.ended, true) {
                            self.transport.end_of_input(End::Cut);
                        }
                        moved = true;
                    }
                    Poll::Pending => break,
                }
            }
            if moved && let Poll::Ready(Err(_)) = Pin::new(&mut self.io).poll_flush(context) {
                self.broken = true;
            }
            if !self.ended && self.transport.wants_input() {
                let mut space = [0; READ];
                let mut read = ReadBuf::new(&mut space);
                match Pin::new(&mut self.io).poll_read(context, &mut read) {
                    Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                        self.transport.input().extend_from_slice(read.filled());
                        moved = true;
                    }
                    Poll::Ready(end) => {
                        self.ended = true;
                        self.transport.end_of_input(if end.is_ok() {
                            End::Clean
                        } else {
                            End::Cut
                        });
                        moved = true;
                    }
                    Poll::Pending => {}
                }
            }
            if moved {
                return Poll::Ready(());
            }
            match timer.as_mut().as_pin_mut() {
                Some(timer) => timer.poll(context),
                None => Poll::Pending,
            }
        })
        .await;
    }
}
