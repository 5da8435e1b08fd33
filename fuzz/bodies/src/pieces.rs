//! Input cut into pieces, and sessions fed with them.

use bytes::BytesMut;
use mail_wire::{End, Session, Step, Time, Upgraded};
use testkit::{Random, Run, Seen, run_cut};

/// `data` in pieces of random lengths, small ones and large ones alike.
pub(crate) fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let (mut random, mut rest, mut pieces) = (Random::of(data), data, Vec::new());
    while !rest.is_empty() {
        let scale = 1 << random.below(10);
        let length = 1 + random.below(scale);
        let (piece, tail) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Inputs up to this length are fed octet by octet too.
const OCTET_BY_OCTET: usize = 2_048;

/// Runs a session over `data` in one piece, in random pieces and octet by octet: events, output and end are the same. While the session
/// waits for input it holds at most `held` octets of it.
pub(crate) fn same_in_any_pieces<S: Session, A: FnMut(&mut S, S::Event)>(
    data: &[u8],
    held: usize,
    session: impl Fn() -> S,
    application: impl Fn() -> A,
    seen: impl Fn(&S::Event) -> Seen,
) -> Run {
    let run = |pieces: &[&[u8]]| {
        let bounded = Bounded {
            session: session(),
            held,
        };
        let mut application = application();
        run_cut(
            pieces,
            bounded,
            |bounded: &mut Bounded<S>, event| application(&mut bounded.session, event),
            &seen,
        )
    };
    let whole = run(&[data]);
    assert_eq!(run(&pieces(data)), whole, "in pieces, and in one");
    if data.len() <= OCTET_BY_OCTET {
        let octets: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(run(&octets), whole, "octet by octet, and in one piece");
    }
    whole
}

/// A session that must not hold more than so many octets of input while it waits for more.
struct Bounded<S> {
    session: S,
    held: usize,
}

impl<S: Session> Session for Bounded<S> {
    type Event = S::Event;
    type Error = S::Error;

    fn input(&mut self) -> &mut BytesMut {
        self.session.input()
    }

    fn output(&mut self) -> &mut BytesMut {
        self.session.output()
    }

    fn poll(&mut self, now: Time) -> Result<Step<S::Event>, S::Error> {
        let step = self.session.poll(now)?;
        if let Step::NeedInput = step {
            let held = self.session.input().len();
            assert!(held <= self.held, "{held} octets held, waiting for more");
        }
        Ok(step)
    }

    fn deadline(&self) -> Option<Time> {
        self.session.deadline()
    }

    fn wants_input(&self) -> bool {
        self.session.wants_input()
    }

    fn end_of_input(&mut self, how: End) {
        self.session.end_of_input(how);
    }

    fn upgraded(&mut self, layer: Upgraded) {
        self.session.upgraded(layer);
    }
}
