//! The law of every session: the same bytes give the same events however they are cut.

use core::fmt::Debug;

use mail_wire::{End, Layer, Session, Step, Time};

use crate::Random;

/// What a test sees of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// An event of its own, as text.
    Event(String),
    /// A piece of a body: adjacent pieces are joined before runs are compared.
    Body(Vec<u8>),
    /// An event whose number depends on how the bytes are cut, and may: it is not compared.
    Nothing,
}

impl Seen {
    /// An event as its `Debug` prints it.
    pub fn debug(event: &impl Debug) -> Self {
        Self::Event(format!("{event:?}"))
    }
}

/// How a run over some bytes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All input was taken and the session waits for more.
    NeedInput,
    /// The session waits for an answer that the application of the test did not give.
    NeedAnswer(&'static str),
    /// The session wants a layer below it. Input that waits or comes after that is one outcome, wherever it was cut.
    Upgrade {
        /// The layer.
        layer: Layer,
        /// Whether input in the old layer waited, or was still to come.
        plaintext_after: bool,
    },
    /// The session is over.
    Closed,
    /// The session failed; the error as its `Debug` prints it.
    Error(String),
}

/// All that can be seen of a session from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The events in order, adjacent pieces of bodies joined.
    pub events: Vec<Seen>,
    /// All octets that the session sent.
    pub output: Vec<u8>,
    /// How it ended.
    pub ended: Ended,
}

/// Steps without a new octet of input after which a session is called a live-lock.
const MOST_IDLE_STEPS: usize = 100_000;

/// Proves that a session sees the same however `input` is cut, then that it ends however `input` is cut off.
///
/// Runs the whole input, each single cut, octet by octet, and 100 seeded random cuttings; events, output and end must be equal.
/// Then [`every_truncation`]. Gives the run over the whole input, for the test to look at.
///
/// - `session` makes a fresh session;
/// - `application` makes a fresh application, which takes each event and spends its answers on the session;
/// - `seen` says what of an event is compared.
///
/// ```
/// # use mail_wire::{End, Session, Step, Time, Upgraded};
/// # use bytes::BytesMut;
/// # #[derive(Default)] struct Upper { input: BytesMut, output: BytesMut, ended: bool }
/// # impl Session for Upper {
/// #     type Event = Vec<u8>;
/// #     type Error = core::convert::Infallible;
/// #     fn input(&mut self) -> &mut BytesMut { &mut self.input }
/// #     fn output(&mut self) -> &mut BytesMut { &mut self.output }
/// #     fn poll(&mut self, _: Time) -> Result<Step<Vec<u8>>, Self::Error> {
/// #         Ok(match () {
/// #             () if !self.input.is_empty() => Step::Event(self.input.split().to_vec()),
/// #             () if self.ended => Step::Closed,
/// #             () => Step::NeedInput,
/// #         })
/// #     }
/// #     fn deadline(&self) -> Option<Time> { Some(Time::START) }
/// #     fn wants_input(&self) -> bool { !self.ended }
/// #     fn end_of_input(&mut self, _: End) { self.ended = true; }
/// #     fn upgraded(&mut self, _: Upgraded) {}
/// # }
/// use testkit::{Seen, every_split};
///
/// let run = every_split(
///     b"some text",
///     Upper::default,
///     || |session: &mut Upper, event: Vec<u8>| {
///         session.output().extend_from_slice(&event.to_ascii_uppercase());
///     },
///     |event| Seen::Body(event.clone()),
/// );
/// assert_eq!(run.output, b"SOME TEXT");
/// ```
pub fn every_split<S, A>(
    input: &[u8],
    session: impl Fn() -> S,
    application: impl Fn() -> A,
    seen: impl Fn(&S::Event) -> Seen,
) -> Run
where
    S: Session,
    A: FnMut(&mut S, S::Event),
{
    let run = |chunks: &[&[u8]]| run_cut(chunks, session(), application(), &seen);
    let whole = run(&[input]);
    let check = |chunks: &[&[u8]], how: &dyn Fn() -> String| {
        let cut = run(chunks);
        assert!(
            cut == whole,
            "{}: not the same as in one piece\n{}",
            how(),
            difference(&whole, &cut)
        );
    };
    for cut in 1..input.len() {
        let (a, b) = input.split_at(cut);
        check(&[a, b], &|| format!("cut at octet {cut}"));
    }
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    check(&octets, &|| "octet by octet".into());
    for seed in 0..100 {
        let (mut random, mut rest, mut chunks) = (Random::new(seed), input, Vec::new());
        // Small pieces and large ones alike: the scale is random too.
        while !rest.is_empty() {
            let scale = 1 << random.below(10);
            let length = 1 + random.below(scale);
            let (chunk, tail) = rest.split_at(length.min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        check(&chunks, &|| format!("random cutting {seed}"));
    }
    every_truncation(input, &session, &application);
    whole
}

/// Proves that a session ends, without a panic, when its input is cut off after any octet, cleanly or not.
pub fn every_truncation<S, A>(input: &[u8], session: impl Fn() -> S, application: impl Fn() -> A)
where
    S: Session,
    A: FnMut(&mut S, S::Event),
{
    for length in 0..=input.len() {
        for how in [End::Clean, End::Cut] {
            let mut session = session();
            let mut runner = Runner::new(application(), |_: &S::Event| Seen::Nothing);
            let front = input.get(..length).unwrap_or_default();
            if runner.feed(&mut session, &[front]) == Ended::NeedInput {
                session.end_of_input(how);
                let ended = runner.settle(&mut session);
                assert!(
                    ended.unwrap_or(Ended::NeedInput) != Ended::NeedInput,
                    "the session still wants input after it ended ({how:?}) behind octet {length}"
                );
            }
        }
    }
}

/// Runs a session over input in these pieces, and tells what was seen.
pub fn run_cut<S: Session>(
    chunks: &[&[u8]],
    mut session: S,
    application: impl FnMut(&mut S, S::Event),
    seen: impl Fn(&S::Event) -> Seen,
) -> Run {
    let mut runner = Runner::new(application, seen);
    let ended = runner.feed(&mut session, chunks);
    Run {
        events: runner.events,
        output: runner.output,
        ended,
    }
}

struct Runner<A, F> {
    application: A,
    seen: F,
    events: Vec<Seen>,
    output: Vec<u8>,
}

impl<A, F> Runner<A, F> {
    const fn new(application: A, seen: F) -> Self {
        Self {
            application,
            seen,
            events: Vec::new(),
            output: Vec::new(),
        }
    }

    fn feed<S: Session>(&mut self, session: &mut S, chunks: &[&[u8]]) -> Ended
    where
        A: FnMut(&mut S, S::Event),
        F: Fn(&S::Event) -> Seen,
    {
        // A session may speak first.
        let mut ended = self.settle(session);
        for (index, chunk) in chunks.iter().enumerate() {
            match ended {
                Some(Ended::Upgrade { layer, .. }) => {
                    let rest = chunks.get(index..).unwrap_or_default();
                    let more = rest.iter().any(|chunk| !chunk.is_empty());
                    return Ended::Upgrade {
                        layer,
                        plaintext_after: more || !session.input().is_empty(),
                    };
                }
                Some(ended) => return ended,
                None => {}
            }
            if chunk.is_empty() {
                continue;
            }
            assert!(
                session.wants_input(),
                "the session needs input, and does not want it"
            );
            session.input().extend_from_slice(chunk);
            ended = self.settle(session);
        }
        ended.unwrap_or(Ended::NeedInput)
    }

    /// Polls until nothing happens without more input; `None` when the session needs input.
    fn settle<S: Session>(&mut self, session: &mut S) -> Option<Ended>
    where
        A: FnMut(&mut S, S::Event),
        F: Fn(&S::Event) -> Seen,
    {
        for _ in 0..MOST_IDLE_STEPS {
            let step = session.poll(Time::START);
            if let Ok(Step::Event(event)) = step {
                let seen = (self.seen)(&event);
                self.push(seen);
                (self.application)(session, event);
                continue;
            }
            let sent = session.output().split();
            self.output.extend_from_slice(&sent);
            let ended = match step {
                Err(error) => Ended::Error(format!("{error:?}")),
                Ok(Step::Closed) => Ended::Closed,
                Ok(Step::Upgrade(layer)) => Ended::Upgrade {
                    layer,
                    plaintext_after: !session.input().is_empty(),
                },
                // What was sent made room: there may be more to say.
                Ok(_) if !sent.is_empty() => continue,
                Ok(Step::NeedAnswer(what)) => {
                    assert_deadline(session);
                    Ended::NeedAnswer(what)
                }
                Ok(_) => {
                    assert_deadline(session);
                    return None;
                }
            };
            return Some(ended);
        }
        panic!("{MOST_IDLE_STEPS} steps without a new octet of input: a live-lock");
    }

    fn push(&mut self, seen: Seen) {
        match (seen, self.events.last_mut()) {
            (Seen::Nothing, _) => {}
            (Seen::Body(more), Some(Seen::Body(body))) => body.extend_from_slice(&more),
            (seen, _) => self.events.push(seen),
        }
    }
}

fn assert_deadline(session: &impl Session) {
    assert!(
        session.deadline().is_some(),
        "the session waits without a deadline"
    );
}

/// The first place where two runs part.
fn difference(whole: &Run, cut: &Run) -> String {
    let at = whole
        .events
        .iter()
        .zip(&cut.events)
        .take_while(|(a, b)| a == b)
        .count();
    if at < whole.events.len().max(cut.events.len()) {
        let (whole, cut) = (whole.events.get(at), cut.events.get(at));
        return format!("event {at}\n  whole: {whole:?}\n    cut: {cut:?}");
    }
    if whole.output != cut.output {
        let (whole, cut) = (whole.output.escape_ascii(), cut.output.escape_ascii());
        return format!("output\n  whole: {whole}\n    cut: {cut}");
    }
    format!("end\n  whole: {:?}\n    cut: {:?}", whole.ended, cut.ended)
}
