//! A client and a server joined in memory.

use core::time::Duration;
use std::collections::VecDeque;

use mail_wire::{End, Layer, Session, Step, Time, TlsInfo, Upgraded};

/// A client and a server session joined in memory, with latency, a chunk size and a simulated clock.
///
/// TLS and DEFLATE are simulated: once both sides have asked for a layer and nothing is on the way, both are told that it stands,
/// and the octets stay as they are.
#[derive(Debug)]
pub struct Pair<C: Session, S: Session> {
    /// The client.
    pub client: C,
    /// The server.
    pub server: S,
    now: Time,
    latency: Duration,
    chunk: usize,
    tls: TlsInfo,
    to_server: Wire,
    to_client: Wire,
    client_side: Side<C::Error>,
    server_side: Side<S::Error>,
}

/// In what state one side of a pair was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side<E> {
    /// It waits for input.
    NeedInput,
    /// It waits for an answer of its application.
    NeedAnswer(&'static str),
    /// It wants a layer that the other side did not ask for.
    Upgrade(Layer),
    /// It wanted a layer, and input in the old one had come already.
    PlaintextAfterUpgrade,
    /// It is over.
    Closed,
    /// It failed.
    Failed(E),
}

impl<E> Side<E> {
    const fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Closed | Self::Failed(_) | Self::PlaintextAfterUpgrade
        )
    }
}

/// One direction: chunks with the time of their arrival.
#[derive(Debug, Default)]
struct Wire {
    chunks: VecDeque<(Time, Vec<u8>)>,
    end: Option<Time>,
    end_told: bool,
}

/// Turns of the loop after which a pair is called a live-lock.
const MOST_STEPS: usize = 1_000_000;

impl<C: Session, S: Session> Pair<C, S> {
    /// Joins the two: no latency, chunks of any size.
    pub fn new(client: C, server: S) -> Self {
        let mut tls = TlsInfo::default();
        tls.version = "TLSv1.3".into();
        tls.cipher_suite = "TLS_AES_128_GCM_SHA256".into();
        tls.exporter = Some([0x79; 32]);
        Self {
            client,
            server,
            now: Time::START,
            latency: Duration::ZERO,
            chunk: usize::MAX,
            tls,
            to_server: Wire::default(),
            to_client: Wire::default(),
            client_side: Side::NeedInput,
            server_side: Side::NeedInput,
        }
    }

    /// Lets octets take this long from one side to the other.
    #[must_use]
    pub const fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Cuts the stream into chunks of at most this many octets (at least one).
    #[must_use]
    pub const fn with_chunk(mut self, octets: usize) -> Self {
        self.chunk = if octets == 0 { 1 } else { octets };
        self
    }

    /// What both sides are told of the simulated TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsInfo) -> Self {
        self.tls = tls;
        self
    }

    /// The simulated time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Lets time pass; the next [`run`](Self::run) sees deadlines that passed.
    pub fn sleep(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Cuts the connection: both sides see [`End::Cut`] behind what has arrived.
    pub fn cut(&mut self) {
        for wire in [&mut self.to_server, &mut self.to_client] {
            wire.chunks.clear();
            if !wire.end_told {
                wire.end_told = true;
                wire.end = Some(self.now);
            }
        }
        self.client.end_of_input(End::Cut);
        self.server.end_of_input(End::Cut);
    }

    /// Runs until both sides are at rest and nothing is on the way, and tells how each was left.
    ///
    /// The clock goes on only by the latency; deadlines pass by [`sleep`](Self::sleep). May be called again, after a command was
    /// given to the client, say.
    ///
    /// # Panics
    ///
    /// When the sides do not come to rest.
    pub fn run(
        &mut self,
        mut on_client: impl FnMut(&mut C, C::Event),
        mut on_server: impl FnMut(&mut S, S::Event),
    ) -> (&Side<C::Error>, &Side<S::Error>) {
        for _ in 0..MOST_STEPS {
            let mut moved = turn(
                &mut self.client,
                &mut self.client_side,
                self.now,
                &mut on_client,
            );
            moved |= turn(
                &mut self.server,
                &mut self.server_side,
                self.now,
                &mut on_server,
            );
            let arrival = self.now + self.latency;
            moved |= send(
                &mut self.client,
                &self.client_side,
                &mut self.to_server,
                arrival,
                self.chunk,
            );
            moved |= send(
                &mut self.server,
                &self.server_side,
                &mut self.to_client,
                arrival,
                self.chunk,
            );
            moved |= deliver(
                &mut self.to_server,
                &mut self.server,
                &mut self.server_side,
                self.now,
            );
            moved |= deliver(
                &mut self.to_client,
                &mut self.client,
                &mut self.client_side,
                self.now,
            );
            if moved || self.upgrade() {
                continue;
            }
            let Some(next) = [self.to_server.next(), self.to_client.next()]
                .into_iter()
                .flatten()
                .filter(|arrival| *arrival > self.now)
                .min()
            else {
                return (&self.client_side, &self.server_side);
            };
            self.now = next;
        }
        panic!(
            "no rest after {MOST_STEPS} steps: a live-lock; client {:?}, server {:?}",
            self.client_side, self.server_side
        );
    }

    fn upgrade(&mut self) -> bool {
        let (Side::Upgrade(a), Side::Upgrade(b)) = (&self.client_side, &self.server_side) else {
            return false;
        };
        if a != b || !self.to_server.chunks.is_empty() || !self.to_client.chunks.is_empty() {
            return false;
        }
        let layer = match a {
            Layer::Tls => Upgraded::Tls(Box::new(self.tls.clone())),
            Layer::Deflate => Upgraded::Deflate,
        };
        self.client_side = Side::NeedInput;
        self.server_side = Side::NeedInput;
        self.client.upgraded(layer.clone());
        self.server.upgraded(layer);
        true
    }
}

impl Wire {
    fn next(&self) -> Option<Time> {
        self.chunks
            .front()
            .map(|(arrival, _)| *arrival)
            .or_else(|| self.end.filter(|_| !self.end_told))
    }
}

/// Polls one side until it has nothing to say.
fn turn<X: Session>(
    session: &mut X,
    side: &mut Side<X::Error>,
    now: Time,
    on_event: &mut impl FnMut(&mut X, X::Event),
) -> bool {
    if side.is_over() || matches!(side, Side::Upgrade(_)) {
        return false;
    }
    let mut moved = false;
    for _ in 0..MOST_STEPS {
        *side = match session.poll(now) {
            Ok(Step::Event(event)) => {
                on_event(session, event);
                moved = true;
                continue;
            }
            Ok(Step::NeedInput) => Side::NeedInput,
            Ok(Step::NeedAnswer(what)) => Side::NeedAnswer(what),
            Ok(Step::Upgrade(_)) if !session.input().is_empty() => Side::PlaintextAfterUpgrade,
            Ok(Step::Upgrade(layer)) => Side::Upgrade(layer),
            Ok(Step::Closed) => Side::Closed,
            Err(error) => Side::Failed(error),
        };
        return moved || side.is_over();
    }
    panic!("{MOST_STEPS} events without new input: a live-lock");
}

/// Puts what a side wants to send on the wire.
fn send<X: Session>(
    session: &mut X,
    side: &Side<X::Error>,
    wire: &mut Wire,
    arrival: Time,
    chunk: usize,
) -> bool {
    let output = session.output().split();
    if wire.end.is_some() {
        return false;
    }
    for chunk in output.chunks(chunk) {
        wire.chunks.push_back((arrival, chunk.to_vec()));
    }
    if side.is_over() {
        wire.end = Some(arrival);
    }
    !output.is_empty()
}

/// Gives a side one chunk that has arrived, or the end.
fn deliver<X: Session>(
    wire: &mut Wire,
    session: &mut X,
    side: &mut Side<X::Error>,
    now: Time,
) -> bool {
    if wire.next().is_none_or(|arrival| arrival > now) {
        return false;
    }
    if side.is_over() {
        wire.chunks.clear();
        wire.end_told = true;
        return false;
    }
    if matches!(side, Side::Upgrade(_)) && !wire.chunks.is_empty() {
        *side = Side::PlaintextAfterUpgrade;
        return true;
    }
    if !wire.chunks.is_empty() && !session.wants_input() {
        return false;
    }
    match wire.chunks.pop_front() {
        Some((_, chunk)) => session.input().extend_from_slice(&chunk),
        None => {
            wire.end_told = true;
            session.end_of_input(End::Clean);
            if matches!(side, Side::Upgrade(_)) {
                *side = Side::NeedInput;
            }
        }
    }
    true
}
