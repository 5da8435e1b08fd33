//! The one fixed stack below a session: PROXY header, TLS, DEFLATE.

#[cfg(feature = "deflate")]
mod deflate;
#[cfg(feature = "rustls")]
mod end_point;
mod proxy;
#[cfg(feature = "rustls")]
mod tls;

use core::time::Duration;

use bytes::BytesMut;

use crate::{End, Layer, Session, Step, Time, Upgraded};

pub use proxy::{Proxied, ProxyError};
#[cfg(feature = "rustls")]
pub use tls::{TlsClient, TlsServer};

/// A session with the layers below it: PROXY header → TLS → DEFLATE → `S`, each optional.
///
/// It is itself a [`Session`], with the events of `S`. Layers that stand from the first byte are configured before the first poll;
/// those that `S` asks for by [`Step::Upgrade`] are put in place by the transport, and `S` is told.
///
/// What waits in the clear behind STARTTLS, in either direction, ends the session
/// ([`PlaintextAfterStartTls`](TransportError::PlaintextAfterStartTls)).
///
/// While `S` does not want input, at most 32 KiB are held beside what TLS keeps of one record; while what is to be sent is not
/// taken, output beyond 64 KiB stays in `S`, which so feels the pressure.
#[derive(Debug)]
pub struct Transport<S: Session> {
    protocol: S,
    timeouts: Timeouts,
    stage: Stage,
    /// When the stage began that has a time limit.
    since: Option<Time>,
    /// From and to the wire, while a layer stands between it and the protocol; else the protocol's own queues are the wire's.
    wire_in: BytesMut,
    wire_out: BytesMut,
    ended: Option<End>,
    end_told: bool,
    proxied: Option<Proxied>,
    #[cfg(feature = "rustls")]
    tls_config: Option<tls::Config>,
    #[cfg(feature = "rustls")]
    implicit: bool,
    #[cfg(feature = "rustls")]
    tls: Option<Box<tls::TlsLayer>>,
    #[cfg(feature = "deflate")]
    deflate: Option<Box<deflate::DeflateLayer>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Proxy,
    #[cfg(feature = "rustls")]
    Handshake,
    Open,
    Over,
}

/// How long the layers may take to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The PROXY header, from the first poll. Default: 5 s; it comes from a machine nearby.
    pub proxy_header: Duration,
    /// The TLS handshake. Default: 60 s; more lets idle peers hold connections for longer.
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            proxy_header: Duration::from_secs(5),
            handshake: Duration::from_secs(60),
        }
    }
}

/// Why a session over a transport cannot go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError<E: core::error::Error> {
    /// The protocol's own error.
    #[error(transparent)]
    Session(E),
    /// The load balancer's header is wrong.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The peer, or someone between, sent plaintext behind STARTTLS; nothing of it was used.
    #[error("plaintext behind STARTTLS: an attempt to smuggle octets into the secured session")]
    PlaintextAfterStartTls,
    /// The protocol asked for a layer that is not configured or not compiled in: the application's mistake.
    #[error(
        "the protocol asked for {0:?}, which this transport does not have: configure it, or do not offer it"
    )]
    NoSuchLayer(Layer),
    /// The handshake took too long.
    #[error("the TLS handshake did not end in time")]
    HandshakeTimeout,
    /// The connection ended inside the handshake.
    #[error("the connection ended inside the TLS handshake")]
    HandshakeCut,
    /// TLS failed; the alert lies in the output.
    #[cfg(feature = "rustls")]
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The compressed stream is broken, or was ended by the peer.
    #[error("the compressed stream is broken")]
    Deflate,
}

/// Input held while the protocol does not want it.
const MOST_INPUT: usize = 32 * 1024;
/// Output held before the protocol's is left where it is.
const MOST_OUTPUT: usize = 64 * 1024;

impl<S: Session> Transport<S> {
    /// The protocol over the bare stream.
    pub fn new(protocol: S) -> Self {
        Self {
            protocol,
            timeouts: Timeouts::default(),
            stage: Stage::Start,
            since: None,
            wire_in: BytesMut::new(),
            wire_out: BytesMut::new(),
            ended: None,
            end_told: false,
            proxied: None,
            #[cfg(feature = "rustls")]
            tls_config: None,
            #[cfg(feature = "rustls")]
            implicit: false,
            #[cfg(feature = "rustls")]
            tls: None,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }

    /// Demands the header of a load balancer before anything else; for a listener that only the balancer reaches.
    #[must_use]
    pub const fn with_proxy_header(mut self) -> Self {
        self.stage = Stage::Proxy;
        self
    }

    /// Replaces the time limits.
    #[must_use]
    pub const fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Serves TLS when the protocol asks for it (STARTTLS, STLS).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_start_tls_server(mut self, tls: TlsServer) -> Self {
        self.tls_config = Some(tls::Config::Server(tls));
        self
    }

    /// Begins TLS as a client when the protocol asks for it (STARTTLS, STLS).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_start_tls_client(mut self, tls: TlsClient) -> Self {
        self.tls_config = Some(tls::Config::Client(tls));
        self
    }

    /// Serves TLS from the first byte (RFC 8314), behind the PROXY header if there is one.
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_implicit_tls_server(mut self, tls: TlsServer) -> Self {
        self.tls_config = Some(tls::Config::Server(tls));
        self.implicit = true;
        self
    }

    /// Begins TLS as a client from the first byte (RFC 8314).
    #[cfg(feature = "rustls")]
    #[must_use]
    pub fn with_implicit_tls_client(mut self, tls: TlsClient) -> Self {
        self.tls_config = Some(tls::Config::Client(tls));
        self.implicit = true;
        self
    }

    /// The protocol on top.
    pub const fn protocol(&self) -> &S {
        &self.protocol
    }

    /// The protocol on top, to give it answers and commands. Its queues belong to the transport.
    pub const fn protocol_mut(&mut self) -> &mut S {
        &mut self.protocol
    }

    /// Takes the protocol out of its stack.
    pub fn into_protocol(self) -> S {
        self.protocol
    }

    /// What the PROXY header told; `None` until it has come, or where none is configured.
    pub const fn proxied(&self) -> Option<&Proxied> {
        self.proxied.as_ref()
    }

    /// Puts what the protocol wants to send through the layers, up to `most` octets on the wire.
    fn push(&mut self, most: usize) {
        if !self.is_layered() {
            return;
        }
        // While a handshake runs nothing else may be sent.
        #[cfg(feature = "rustls")]
        if self.stage == Stage::Handshake {
            return;
        }
        while self.wire_out.len() < most && !self.protocol.output().is_empty() {
            let queue = self.protocol.output();
            #[cfg_attr(
                not(any(feature = "rustls", feature = "deflate")),
                allow(unused_mut, reason = "no layer changes it")
            )]
            let mut plain = queue.split_to(queue.len().min(16 * 1024));
            #[cfg(feature = "deflate")]
            if let Some(deflate) = &mut self.deflate {
                let mut small = BytesMut::new();
                deflate.put_out(&mut plain, &mut small);
                plain = small;
            }
            #[cfg(feature = "rustls")]
            if let Some(tls) = &mut self.tls {
                tls.put_out(&mut plain, &mut self.wire_out);
                continue;
            }
            self.wire_out.unsplit(plain);
        }
    }

    /// Makes all output complete, the good-bye of TLS included.
    fn finish(&mut self) {
        self.push(usize::MAX);
        #[cfg(feature = "rustls")]
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.wire_out);
        }
        self.wire_in = BytesMut::new();
        self.stage = Stage::Over;
    }

    /// Whether something stands, or is to stand next, between the wire and the protocol.
    #[allow(
        clippy::missing_const_for_fn,
        reason = "not const with every combination of features"
    )]
    fn is_layered(&self) -> bool {
        #[cfg(feature = "rustls")]
        if self.tls.is_some() || (self.implicit && self.stage == Stage::Start) {
            return true;
        }
        #[cfg(feature = "deflate")]
        if self.deflate.is_some() {
            return true;
        }
        self.stage == Stage::Proxy
    }

    fn step(&mut self, now: Time) -> Result<Step<S::Event>, TransportError<S::Error>> {
        loop {
            match self.stage {
                Stage::Over => return Ok(Step::Closed),
                Stage::Start => {
                    self.since = None;
                    self.stage = Stage::Open;
                    #[cfg(feature = "rustls")]
                    if self.implicit {
                        self.start_tls(tls::First::Any, now)?;
                        continue;
                    }
                    // Without a layer the protocol's queues are the wire's.
                    let waiting = self.wire_in.split();
                    self.protocol.input().extend_from_slice(&waiting);
                    self.free();
                    if let Some(how) = self.ended
                        && !core::mem::replace(&mut self.end_told, true)
                    {
                        self.protocol.end_of_input(how);
                    }
                }
                Stage::Proxy => {
                    let since = *self.since.get_or_insert(now);
                    if let Some(proxied) = proxy::take_header(&mut self.wire_in)? {
                        self.proxied = Some(proxied);
                        self.stage = Stage::Start;
                    } else if self.ended.is_some() {
                        // A health check that only connects.
                        if self.wire_in.is_empty() {
                            return Ok(Step::Closed);
                        }
                        return Err(ProxyError::Incomplete.into());
                    } else if now >= since + self.timeouts.proxy_header {
                        return Err(ProxyError::TimedOut.into());
                    } else {
                        return Ok(Step::NeedInput);
                    }
                }
                #[cfg(feature = "rustls")]
                Stage::Handshake => {
                    let since = *self.since.get_or_insert(now);
                    if now >= since + self.timeouts.handshake {
                        return Err(TransportError::HandshakeTimeout);
                    }
                    if self.feed()? {
                        continue;
                    }
                    if self.ended.is_some() {
                        return Err(TransportError::HandshakeCut);
                    }
                    return Ok(Step::NeedInput);
                }
                Stage::Open => {
                    let step = self.protocol.poll(now).map_err(TransportError::Session)?;
                    match step {
                        Step::NeedInput => {
                            self.push(MOST_OUTPUT);
                            if self.is_layered() && (self.feed()? || self.tell_end()) {
                                continue;
                            }
                            self.free();
                        }
                        Step::NeedAnswer(_) => self.push(MOST_OUTPUT),
                        Step::Upgrade(layer) => {
                            self.upgrade(layer, now)?;
                            continue;
                        }
                        Step::Event(_) | Step::Closed => {}
                    }
                    return Ok(step);
                }
            }
        }
    }

    fn upgrade(&mut self, layer: Layer, now: Time) -> Result<(), TransportError<S::Error>> {
        // What the protocol said last goes out in the old layer.
        if self.is_layered() {
            self.push(usize::MAX);
        } else {
            self.wire_out = self.protocol.output().split();
        }
        match layer {
            #[cfg(feature = "rustls")]
            Layer::Tls if self.tls.is_none() && self.tls_config.is_some() => {
                if !self.protocol.input().is_empty() {
                    let input = self.protocol.input();
                    let waiting = input.len();
                    crate::wipe_front(input, waiting);
                    return Err(TransportError::PlaintextAfterStartTls);
                }
                self.start_tls(tls::First::Record, now)
            }
            #[cfg(feature = "deflate")]
            Layer::Deflate if self.deflate.is_none() => {
                // What has come behind the command is compressed already: the peer needs no turn in between.
                let is_bare = !self.is_layered();
                let queue = self.protocol.input().split();
                if is_bare {
                    self.end_told = false;
                }
                self.deflate = Some(Box::new(deflate::DeflateLayer::new(queue)));
                self.protocol.upgraded(Upgraded::Deflate);
                Ok(())
            }
            _ => {
                let _ = now;
                Err(TransportError::NoSuchLayer(layer))
            }
        }
    }

    #[cfg(feature = "rustls")]
    fn start_tls(&mut self, first: tls::First, now: Time) -> Result<(), TransportError<S::Error>> {
        let Some(config) = &self.tls_config else {
            return Err(TransportError::NoSuchLayer(Layer::Tls));
        };
        let mut layer = tls::TlsLayer::new(config, first).map_err(TransportError::Tls)?;
        layer.flush(&mut self.wire_out);
        self.tls = Some(Box::new(layer));
        self.stage = Stage::Handshake;
        self.since = Some(now);
        // An end that was told in the clear is judged anew under TLS.
        self.end_told = false;
        Ok(())
    }

    /// Takes one step of input up through the layers; whether anything moved.
    fn feed(&mut self) -> Result<bool, TransportError<S::Error>> {
        if self.stage == Stage::Open && !self.protocol.wants_input() {
            return Ok(false);
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &mut self.deflate {
            let moved = deflate.take_in(self.protocol.input());
            if moved.map_err(|()| TransportError::Deflate)? {
                return Ok(true);
            }
        }
        if self.wire_in.is_empty() {
            return Ok(false);
        }
        #[cfg(feature = "rustls")]
        if let Some(tls) = &mut self.tls {
            if tls.peer_closed {
                // RFC 8446 §6.1: "Any data received after a closure alert has been received MUST be ignored."
                self.wire_in.clear();
                return Ok(false);
            }
            let was_handshaking = tls.is_handshaking();
            let taken = tls.take_in(&mut self.wire_in);
            let failed = |failure| match failure {
                tls::Failure::Plaintext => TransportError::PlaintextAfterStartTls,
                tls::Failure::Tls(error) => TransportError::Tls(error),
            };
            if matches!(taken, Err(tls::Failure::Plaintext)) {
                // The peer does not speak TLS: no alert, and the same output however the octets were cut.
                self.tls = None;
                return Err(TransportError::PlaintextAfterStartTls);
            }
            // Answers of the handshake, and the alert after an error.
            tls.flush(&mut self.wire_out);
            let octets = taken.map_err(failed)?;
            if was_handshaking && !tls.is_handshaking() {
                self.stage = Stage::Open;
                self.since = None;
                let info = Box::new(tls.info());
                self.protocol.upgraded(Upgraded::Tls(info));
            }
            #[cfg(feature = "deflate")]
            let queue = match &mut self.deflate {
                Some(deflate) => &mut deflate.queue,
                None => self.protocol.input(),
            };
            #[cfg(not(feature = "deflate"))]
            let queue = self.protocol.input();
            if octets > 0 {
                tls.read_plain(octets, queue).map_err(failed)?;
            }
            return Ok(true);
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = &mut self.deflate {
            deflate.queue.unsplit(self.wire_in.split());
            return Ok(true);
        }
        Ok(false)
    }

    /// Tells the protocol of the end of its input once all before it was taken; whether it was told now.
    fn tell_end(&mut self) -> bool {
        #[cfg(feature = "rustls")]
        let how = match &self.tls {
            Some(tls) if tls.peer_closed => Some(End::Clean),
            // RFC 8446 §6.1: the close without close_notify cannot be told from an attack.
            Some(_) => self.ended.map(|_| End::Cut),
            None => self.ended,
        };
        #[cfg(not(feature = "rustls"))]
        let how = self.ended;
        #[cfg(feature = "deflate")]
        if self
            .deflate
            .as_ref()
            .is_some_and(|deflate| deflate.has_more())
        {
            return false;
        }
        match how {
            Some(how) if self.wire_in.is_empty() && !self.end_told => {
                self.end_told = true;
                self.protocol.end_of_input(how);
                true
            }
            _ => false,
        }
    }

    /// Gives empty buffers back: an idle session holds none.
    fn free(&mut self) {
        for queue in [&mut self.wire_in, &mut self.wire_out] {
            if queue.is_empty() && queue.capacity() > 0 {
                *queue = BytesMut::new();
            }
        }
    }
}

impl<S: Session> Session for Transport<S> {
    type Event = S::Event;
    type Error = TransportError<S::Error>;

    fn input(&mut self) -> &mut BytesMut {
        if self.is_layered() || self.stage == Stage::Over {
            &mut self.wire_in
        } else {
            self.protocol.input()
        }
    }

    fn output(&mut self) -> &mut BytesMut {
        // What was said before a layer began goes out first.
        if self.is_layered() || !self.wire_out.is_empty() {
            &mut self.wire_out
        } else {
            self.protocol.output()
        }
    }

    fn poll(&mut self, now: Time) -> Result<Step<S::Event>, Self::Error> {
        let step = self.step(now);
        if matches!(step, Err(_) | Ok(Step::Closed)) && self.stage != Stage::Over {
            self.finish();
        }
        step
    }

    fn deadline(&self) -> Option<Time> {
        let limit = match self.stage {
            Stage::Over => return None,
            Stage::Open => return self.protocol.deadline(),
            Stage::Start => return Some(Time::START),
            Stage::Proxy => self.timeouts.proxy_header,
            #[cfg(feature = "rustls")]
            Stage::Handshake => self.timeouts.handshake,
        };
        Some(self.since.map_or(Time::START, |since| since + limit))
    }

    fn wants_input(&self) -> bool {
        if self.ended.is_some() {
            return false;
        }
        match self.stage {
            Stage::Over => false,
            Stage::Open | Stage::Start if self.is_layered() => {
                self.wire_in.len() < MOST_INPUT && self.protocol.wants_input()
            }
            Stage::Open | Stage::Start => self.protocol.wants_input(),
            _ => self.wire_in.len() < MOST_INPUT,
        }
    }

    fn end_of_input(&mut self, how: End) {
        self.ended.get_or_insert(how);
        if !self.is_layered() && self.stage != Stage::Over {
            self.end_told = true;
            self.protocol.end_of_input(how);
        }
    }

    /// For an application that brings its own TLS: told on to the protocol.
    fn upgraded(&mut self, layer: Upgraded) {
        self.protocol.upgraded(layer);
    }
}
