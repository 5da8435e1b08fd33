//! Answers that an application owes, and streams that it has promised.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

/// The answer that an event of kind `C` asks for. It is spent by the method of the session that answers it.
///
/// It cannot be cloned, so nothing is answered twice; one that is dropped leaves the session waiting until its time limit for the
/// application ends it. A token of another session, or one that has ended, gives [`Stale`] and changes nothing.
#[must_use = "the peer waits until this is answered"]
pub struct Pending<C> {
    ticket: Ticket,
    kind: PhantomData<fn() -> C>,
}

impl<C> core::fmt::Debug for Pending<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Pending({})", self.ticket.serial)
    }
}

/// Two tokens are equal when they are of the same kind and the same place in the order of their sessions, whichever sessions these
/// are: so that events of two runs over the same bytes compare equal.
impl<C> PartialEq for Pending<C> {
    fn eq(&self, other: &Self) -> bool {
        self.ticket.serial == other.ticket.serial
    }
}

impl<C> Eq for Pending<C> {}

/// The answer came for another session, or too late: nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this answer belongs to another session, or the question is no longer open")]
pub struct Stale;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticket {
    session: u64,
    serial: u64,
}

/// The desk of a session: gives out tokens and takes them back.
///
/// For whoever writes a session. The number of a desk is taken from a counter of the process and has no effect but to tell desks
/// apart.
#[derive(Debug)]
pub struct Desk {
    session: u64,
    last: u64,
    open: Vec<u64>,
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Desk {
    /// A desk of its own, with nothing open.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            session: NEXT.fetch_add(1, Ordering::Relaxed),
            last: 0,
            open: Vec::new(),
        }
    }

    /// Opens a question and gives the token that answers it.
    pub fn open<C>(&mut self) -> Pending<C> {
        self.last += 1;
        self.open.push(self.last);
        Pending {
            ticket: Ticket {
                session: self.session,
                serial: self.last,
            },
            kind: PhantomData,
        }
    }

    /// Takes an answer back, and closes its question.
    ///
    /// # Errors
    ///
    /// [`Stale`] for a token of another desk or of a question that was closed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the token is spent; that is what it is for"
    )]
    pub fn redeem<C>(&mut self, token: Pending<C>) -> Result<(), Stale> {
        if token.ticket.session != self.session {
            return Err(Stale);
        }
        let place = self
            .open
            .iter()
            .position(|serial| *serial == token.ticket.serial)
            .ok_or(Stale)?;
        self.open.remove(place);
        Ok(())
    }

    /// Whether an answer is owed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Closes every question; their tokens are stale from now on.
    pub fn close(&mut self) {
        self.open = Vec::new();
    }

    /// A handle for a stream that the application will fill.
    pub fn stream(&mut self) -> Stream {
        self.last += 1;
        Stream {
            ticket: Ticket {
                session: self.session,
                serial: self.last,
            },
        }
    }
}

/// Names a stream that the application has promised to fill: a message for RETR, a literal of FETCH, a client's DATA.
///
/// It comes with an event of room whenever the session can take more of it. Equality is as for [`Pending`].
#[derive(Clone, Copy)]
pub struct Stream {
    ticket: Ticket,
}

impl Stream {
    /// Whether `other` names the same stream of the same session.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.ticket == other.ticket
    }
}

impl core::fmt::Debug for Stream {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Stream({})", self.ticket.serial)
    }
}

impl PartialEq for Stream {
    fn eq(&self, other: &Self) -> bool {
        self.ticket.serial == other.ticket.serial
    }
}

impl Eq for Stream {}

/// The account of a promised stream: how much of it is still owed, and whether the output has room for more.
///
/// For whoever writes a session: nothing of a message is held whole, so the session asks for more only while its output holds less
/// than [`Room::LOW_WATER`] octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    owed: u64,
}

impl Room {
    /// The application is asked for more whenever the output holds less than this: 64 KiB.
    pub const LOW_WATER: usize = 64 * 1024;

    /// A stream of exactly `size` octets.
    #[must_use]
    pub const fn promise(size: u64) -> Self {
        Self { owed: size }
    }

    /// How many octets have not been given yet.
    #[must_use]
    pub const fn owed(&self) -> u64 {
        self.owed
    }

    /// Whether all that was promised has been given.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.owed == 0
    }

    /// Whether to ask the application for more, the output holding `queued` octets.
    #[must_use]
    pub const fn is_wanted(&self, queued: usize) -> bool {
        self.owed > 0 && queued < Self::LOW_WATER
    }

    /// Counts `octets` as given.
    ///
    /// # Errors
    ///
    /// [`TooLong`] when that is more than was promised; nothing is counted then.
    pub const fn spend(&mut self, octets: usize) -> Result<(), TooLong> {
        match self.owed.checked_sub(octets as u64) {
            Some(owed) => {
                self.owed = owed;
                Ok(())
            }
            None => Err(TooLong {
                given: octets as u64,
                owed: self.owed,
            }),
        }
    }
}

/// More was given to a stream than was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{given} octets given to a stream that owes {owed}: promise the exact size")]
pub struct TooLong {
    /// The octets that were to be added.
    pub given: u64,
    /// The octets that were still owed.
    pub owed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mail;

    #[test]
    fn tokens_are_spent_once_and_at_home() {
        let (mut here, mut there) = (Desk::new(), Desk::new());
        let (a, b) = (here.open::<Mail>(), there.open::<Mail>());
        assert_eq!(a, b, "the same place in the order");
        assert_eq!(here.redeem(b), Err(Stale));
        assert!(here.is_open());
        assert_eq!(here.redeem(a), Ok(()));
        assert!(!here.is_open());
        let late = here.open::<Mail>();
        here.close();
        assert_eq!(here.redeem(late), Err(Stale));
    }

    #[test]
    fn room_is_exact() {
        let mut room = Room::promise(10);
        assert!(room.is_wanted(0));
        assert!(!room.is_wanted(Room::LOW_WATER));
        assert_eq!(room.spend(7), Ok(()));
        assert_eq!(room.spend(4), Err(TooLong { given: 4, owed: 3 }));
        assert_eq!(room.spend(3), Ok(()));
        assert!(room.is_complete() && !room.is_wanted(0));
    }
}
