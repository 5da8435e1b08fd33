//! Which addresses get no mail for a while: those whose owner has complained, and those that do not exist.
//!
//! Whoever goes on writing to them is distrusted with all of his mail, and on a server of many users with all of theirs. But a provider
//! errs too, and a user may write to a friend. So each measure is as narrow and as short as it can be:
//!
//! | cause | holds for | after | at first | then |
//! |---|---|---|---|---|
//! | a complaint | the sender that it was about | the first | 30 days | doubled with each further one, up to a year |
//! | refused as unknown | the sender that was refused | 2 refusals | 1 hour | doubled with each further one, up to 30 days |
//! | refused as unknown | everybody | 2 refusals of different senders in turn | 1 hour | the same |
//! | by hand | a sender, or everybody | | as said | |
//!
//! A complaint says that somebody does not want the mail of *this* sender: others write to him as before, those of the sender's domain
//! too, as a domain may have many users. Of a sender's local part what follows a `+` is left out (RFC 5233), as lists have an address
//! for each recipient there. One sender who is refused keeps nobody else from writing: a recipient may tell one person alone that he
//! does not exist. Refusals that come while an address is suppressed are of mail that was on its way, and count no more: a thousand
//! messages at once, or a provider that errs for an hour, make one step and not ten. A message that is taken forgives what was
//! refused.
//!
//! ```
//! use screening::outbound::reply_class::Reply;
//! use screening::outbound::suppression::{Cause, Scope, Suppression};
//! use screening::store::{Keys, MemoryStore};
//!
//! let suppression = Suppression::new(Keys::new([7; 16]));
//! let (mut store, now) = (MemoryStore::new(10_000), 1_800_000_000);
//! let (ann, ben, joe) = ("ann@example.org", "ben@example.org", "joe@example.net");
//! let unknown = Reply { code: 550, enhanced: Some((5, 1, 1)), text: "no such user" };
//!
//! assert_eq!(suppression.bounced(&mut store, ann, joe, &unknown, now)?, None);
//! let suppressed = suppression.bounced(&mut store, ann, joe, &unknown, now + 60)?.ok_or("twice")?;
//! assert_eq!((suppressed.cause, suppressed.scope, suppressed.until), (Cause::Unknown, Scope::Sender, Some(now + 3_660)));
//! assert_eq!(suppression.check(&mut store, ann, joe, now + 61)?, Some(suppressed));
//! assert_eq!(suppression.check(&mut store, ben, joe, now + 61)?, None);
//! assert_eq!(suppression.check(&mut store, ann, joe, now + 3_661)?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::time::Duration;

use mail_syntax::date::{DateTime, Zone};

use super::reply_class::{Reply, ReplyClass};
use crate::store::{Entry, Key, Keys, Kind, Store, Value};
use crate::text::Lower;

/// When an address is suppressed, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// For how long after a first complaint, doubled with each further one. Default: 30 days. Whoever sends each week has four messages
    /// fewer that are complained about again; whose finger slipped has his mail back after a month, or by hand. Zero: complaints suppress
    /// nothing.
    pub complaint: Duration,
    /// For how long after complaints at most. Default: 365 days; after a year an address may have another owner.
    pub longest_complaint: Duration,
    /// Refusals as unknown until an address is suppressed. Default: 2: one may be a slip of the provider, and the sender is told of it by
    /// a bounce. Zero: they suppress nothing.
    pub refusals: u32,
    /// For how long at first, doubled with each further refusal. Default: 1 hour, in which a provider mends what it has broken.
    pub refused: Duration,
    /// For how long at most. Default: 30 days. It is reached after ten refusals, three weeks after the second.
    pub longest_refused: Duration,
    /// How long a refusal or a complaint is remembered once nothing is suppressed for it any more. Default: 60 days. It costs an entry of
    /// the store for each.
    pub memory: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * super::DAY);
        Self {
            complaint: days(30),
            longest_complaint: days(365),
            refusals: 2,
            refused: Duration::from_secs(3_600),
            longest_refused: days(30),
            memory: days(60),
        }
    }
}

/// Why an address is suppressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cause {
    /// It was refused as unknown.
    Unknown,
    /// Its owner has complained.
    Complaint,
    /// Somebody has said so.
    Hand,
}

/// Whose mail it does not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// That of one sender.
    Sender,
    /// All.
    Everybody,
}

/// An address that gets no mail for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suppressed {
    /// Why.
    pub cause: Cause,
    /// From whom.
    pub scope: Scope,
    /// Complaints, or refusals that were counted.
    pub count: u64,
    /// The last second of it, since 1970; none: until somebody lifts it.
    pub until: Option<u64>,
}

impl Suppressed {
    /// The code of the reply to whoever would write to it.
    pub const CODE: u16 = 550;

    /// The enhanced status of that reply: the address is bad, or the mail is not wanted.
    pub const fn enhanced(&self) -> (u16, u16, u16) {
        match self.cause {
            // RFC 3463 §3.2: "X.1.1 Bad destination mailbox address"
            Cause::Unknown => (5, 1, 1),
            // RFC 3463 §3.8: "X.7.1 Delivery not authorized, message refused"
            Cause::Complaint | Cause::Hand => (5, 7, 1),
        }
    }
}

/// A sentence for whoever would write to it.
impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = match self.count {
            0 | 1 => "",
            2 => " twice",
            _ => " again and again",
        };
        match (self.cause, self.scope) {
            (Cause::Unknown, Scope::Sender) => {
                write!(
                    f,
                    "Your mail to this address was refused{times} as to nobody"
                )?;
            }
            (Cause::Unknown, Scope::Everybody) => {
                write!(f, "Mail to this address was refused{times} as to nobody")?;
            }
            (Cause::Complaint, _) => {
                write!(f, "The recipient has complained{times} about your mail")?;
            }
            (Cause::Hand, _) => {
                f.write_str("The postmaster here has stopped mail to this address")?;
            }
        }
        let until = self.until.and_then(|until| i64::try_from(until).ok());
        match until.and_then(|until| DateTime::from_unix(until, Zone::Offset(0)).ok()) {
            Some(date) => write!(f, "; it gets none until {date}"),
            None => f.write_str("; it gets none until that is lifted"),
        }
    }
}

/// The value that stands for "until somebody lifts it".
const FOR_GOOD: u64 = u64::MAX;

/// The rules alone, for a store that answers asynchronously. A value is a count, the last second of the suppression, and who was counted
/// last.
impl Policy {
    /// What a value says at a time in seconds since 1970. One that is too far ahead was written before the clock was set back.
    pub fn read(&self, cause: Cause, scope: Scope, value: Value, now: u64) -> Option<Suppressed> {
        let [count, until, _] = value;
        let longest = match cause {
            Cause::Unknown => self.longest_refused,
            Cause::Complaint => self.longest_complaint,
            Cause::Hand => Duration::MAX,
        };
        let until = until.min(now.saturating_add(longest.as_secs()));
        (until >= now && until > 0).then_some(Suppressed {
            cause,
            scope,
            count,
            until: (until != FOR_GOOD).then_some(until),
        })
    }

    /// What to save when one more was refused, or has complained; none: it does not count.
    fn step(
        &self,
        cause: Cause,
        scope: Scope,
        before: Option<Value>,
        sender: u64,
        now: u64,
    ) -> Option<Entry> {
        let value = before.unwrap_or_default();
        let [count, _, last] = value;
        let is_on_its_way =
            cause == Cause::Unknown && self.read(cause, scope, value, now).is_some();
        if is_on_its_way || (scope == Scope::Everybody && count > 0 && last == sender) {
            return None;
        }
        let (after, first, longest) = match cause {
            Cause::Complaint => (1, self.complaint, self.longest_complaint),
            _ => (u64::from(self.refusals), self.refused, self.longest_refused),
        };
        if after == 0 || first.is_zero() {
            return None;
        }
        let count = count.saturating_add(1);
        let until = match count.checked_sub(after) {
            Some(further) => {
                let doubled = 1_u64
                    .checked_shl(u32::try_from(further).unwrap_or(u32::MAX))
                    .unwrap_or(u64::MAX);
                let wait = first.as_secs().saturating_mul(doubled);
                now.saturating_add(wait.min(longest.as_secs()))
                    .min(FOR_GOOD - 1)
            }
            None => 0,
        };
        Some(Entry {
            value: [count, until, sender],
            expires: until.max(now).saturating_add(self.memory.as_secs()),
        })
    }
}

/// Whether a reply says that there is no such mailbox, for good: nothing about us, the message, or a full one.
///
/// Statuses of the subjects 1 and 2 that say so count, and replies without one of those whose words say so; a status about policy
/// (X.7) never does, whatever its words: many servers name the recipient in it.
pub fn is_unknown(reply: &Reply<'_>) -> bool {
    if reply.code / 100 != 5 {
        return false;
    }
    match reply.enhanced {
        // RFC 3463 §3.2: "X.1.1 Bad destination mailbox address", "X.1.2 Bad destination system address", "X.1.3 Bad destination mailbox
        // address syntax", "X.1.6 Destination mailbox has moved, No forwarding address"; of RFC 7505, a domain that takes no mail.
        Some((_, 1, 1 | 2 | 3 | 6 | 10)) => true,
        // RFC 3463 §3.3: "X.2.1 Mailbox disabled, not accepting messages"
        Some((_, 2, 1)) => true,
        Some((_, 1 | 2 | 3 | 5 | 6 | 7, _)) => false,
        _ => reply.class() == ReplyClass::Recipient,
    }
}

/// The policy over what is remembered.
///
/// A store holds hashes. Whoever wants to show the list keeps the addresses beside the [`keys`](Self::keys).
#[derive(Clone, Debug)]
pub struct Suppression {
    /// The rules.
    pub policy: Policy,
    keys: Keys,
}

/// What is remembered of a sender and a recipient: why, for whose mail, and under which key.
pub type Remembered = [(Cause, Scope, Key); 5];

impl Suppression {
    /// With the default policy.
    pub fn new(keys: Keys) -> Self {
        Self {
            policy: Policy::default(),
            keys,
        }
    }

    /// Whether mail of a sender to a recipient is to be refused at a time in seconds since 1970; where several reasons hold, the one that
    /// holds for longest. The sender is the reverse-path, empty for the null one.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn check<S: Store + ?Sized>(
        &self,
        store: &mut S,
        sender: &str,
        recipient: &str,
        now: u64,
    ) -> Result<Option<Suppressed>, S::Error> {
        let mut found = None::<Suppressed>;
        for (cause, scope, key) in self.keys(sender, recipient) {
            let value = store.load(&key, now)?;
            let read = value.and_then(|value| self.policy.read(cause, scope, value, now));
            let end = |it: &Suppressed| it.until.unwrap_or(FOR_GOOD);
            if let Some(read) = read
                && found.as_ref().is_none_or(|found| end(found) < end(&read))
            {
                found = Some(read);
            }
        }
        Ok(found)
    }

    /// Takes down what a server has answered for good to a message; gives what is suppressed from now on because of it.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn bounced<S: Store + ?Sized>(
        &self,
        store: &mut S,
        sender: &str,
        recipient: &str,
        reply: &Reply<'_>,
        now: u64,
    ) -> Result<Option<Suppressed>, S::Error> {
        if !is_unknown(reply) {
            return Ok(None);
        }
        self.step(store, Cause::Unknown, sender, recipient, now)
    }

    /// Takes down a complaint about a message of a sender, of which is proven that it went to the recipient, and who complains.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn complained<S: Store + ?Sized>(
        &self,
        store: &mut S,
        sender: &str,
        recipient: &str,
        now: u64,
    ) -> Result<Option<Suppressed>, S::Error> {
        self.step(store, Cause::Complaint, sender, recipient, now)
    }

    /// A message of a sender was taken: what was refused before is forgiven, a complaint is not.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn delivered<S: Store + ?Sized>(
        &self,
        store: &mut S,
        sender: &str,
        recipient: &str,
        now: u64,
    ) -> Result<(), S::Error> {
        for (cause, _, key) in self.keys(sender, recipient) {
            if cause == Cause::Unknown && store.load(&key, now)?.is_some() {
                store.save(key, Value::default(), 0)?;
            }
        }
        Ok(())
    }

    /// Stops mail to a recipient by hand, of one sender or all, until a time or, without one, until it is lifted.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn add<S: Store + ?Sized>(
        &self,
        store: &mut S,
        sender: Option<&str>,
        recipient: &str,
        until: Option<u64>,
    ) -> Result<(), S::Error> {
        let until = until.unwrap_or(FOR_GOOD);
        let key = self.key(Cause::Hand, sender, recipient);
        store.save(key, [1, until, 0], until)
    }

    /// Lifts whatever stops mail to a recipient: of one sender, or what holds for all.
    ///
    /// # Errors
    ///
    /// The store's.
    pub fn remove<S: Store + ?Sized>(
        &self,
        store: &mut S,
        sender: Option<&str>,
        recipient: &str,
        now: u64,
    ) -> Result<(), S::Error> {
        let wanted = match sender {
            Some(_) => Scope::Sender,
            None => Scope::Everybody,
        };
        for (_, scope, key) in self.keys(sender.unwrap_or_default(), recipient) {
            if scope == wanted && store.load(&key, now)?.is_some() {
                store.save(key, Value::default(), 0)?;
            }
        }
        Ok(())
    }

    fn step<S: Store + ?Sized>(
        &self,
        store: &mut S,
        cause: Cause,
        sender: &str,
        recipient: &str,
        now: u64,
    ) -> Result<Option<Suppressed>, S::Error> {
        let by = self.sender(sender);
        let mut found = None;
        for (of, scope, key) in self.keys(sender, recipient) {
            if of != cause {
                continue;
            }
            let before = store.load(&key, now)?;
            let Some(entry) = self.policy.step(cause, scope, before, by, now) else {
                continue;
            };
            store.save(key, entry.value, entry.expires)?;
            // What holds for everybody comes last, and counts.
            let read = self.policy.read(cause, scope, entry.value, now);
            found = read.or(found);
        }
        Ok(found)
    }

    /// Under what is remembered what concerns a sender and a recipient; what holds for everybody comes behind what holds for the sender.
    ///
    /// Letters are compared without case, and of an address the first 256 octets.
    pub fn keys(&self, sender: &str, recipient: &str) -> Remembered {
        use Cause::{Complaint, Hand, Unknown};
        let of_sender = |cause| {
            let key = self.key(cause, Some(sender), recipient);
            (cause, Scope::Sender, key)
        };
        let of_all = |cause| (cause, Scope::Everybody, self.key(cause, None, recipient));
        [
            of_sender(Complaint),
            of_sender(Unknown),
            of_sender(Hand),
            of_all(Unknown),
            of_all(Hand),
        ]
    }

    fn key(&self, cause: Cause, sender: Option<&str>, recipient: &str) -> Key {
        let cause: &[u8] = match cause {
            Cause::Unknown => b"unknown",
            Cause::Complaint => b"complaint",
            Cause::Hand => b"hand",
        };
        let recipient = Lower::new(recipient);
        let Some(sender) = sender else {
            return self
                .keys
                .key(Kind::Suppression, &[cause, recipient.octets()]);
        };
        let [local, domain] = parts(sender);
        let parts = [cause, recipient.octets(), local.octets(), domain.octets()];
        self.keys.key(Kind::Suppression, &parts)
    }

    /// A number that tells senders apart.
    fn sender(&self, sender: &str) -> u64 {
        let [local, domain] = parts(sender);
        let parts: [&[u8]; 3] = [b"sender", local.octets(), domain.octets()];
        let key = self.keys.key(Kind::Suppression, &parts);
        (key.hash().first_chunk()).map_or(0, |bits| u64::from_le_bytes(*bits))
    }
}

/// A sender's local part without its detail, and its domain.
fn parts(sender: &str) -> [Lower; 2] {
    let (local, domain) = sender.rsplit_once('@').unwrap_or((sender, ""));
    let local = local.split('+').next().unwrap_or_default();
    [Lower::new(local), Lower::domain(domain)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const NOW: u64 = 1_800_000_000;
    const HOUR: u64 = 3_600;
    const DAY: u64 = 86_400;
    const JOE: &str = "joe@example.net";
    const ANN: &str = "ann@example.org";
    const BEN: &str = "ben@example.org";

    const UNKNOWN: Reply<'static> = Reply {
        code: 550,
        enhanced: Some((5, 1, 1)),
        text: "no such user",
    };

    struct List(Suppression, MemoryStore);

    impl List {
        fn new() -> Self {
            Self(
                Suppression::new(Keys::new([3; 16])),
                MemoryStore::new(1_000),
            )
        }

        fn bounced(&mut self, sender: &str, now: u64) -> Option<Suppressed> {
            let Ok(found) = self.0.bounced(&mut self.1, sender, JOE, &UNKNOWN, now);
            found
        }

        fn complained(&mut self, sender: &str, now: u64) -> Option<Suppressed> {
            let Ok(found) = self.0.complained(&mut self.1, sender, JOE, now);
            found
        }

        fn check(&mut self, sender: &str, now: u64) -> Option<Suppressed> {
            let Ok(found) = self.0.check(&mut self.1, sender, JOE, now);
            found
        }
    }

    #[test]
    fn a_user_who_writes_to_nobody_a_thousand_times_asks_a_dozen_times() {
        let mut list = List::new();
        let (mut asked, mut days) = (0, Vec::new());
        // Each six minutes for a hundred days.
        for step in 0..24_000 {
            let now = NOW + step * 360;
            if list.check(ANN, now).is_none() {
                asked += 1;
                days.push((now - NOW) / DAY);
                list.bounced(ANN, now);
            }
        }
        assert!((11..=14).contains(&asked), "{days:?}");
        assert!(list.check(BEN, NOW + 100 * DAY).is_none());
    }

    #[test]
    fn a_glitch_locks_a_friend_out_for_an_hour() {
        let mut list = List::new();
        // A hundred messages were on their way when the provider erred for ten minutes.
        for second in 0..100 {
            list.bounced(ANN, NOW + second * 6);
        }
        let until = NOW + 6 + HOUR;
        assert_eq!(list.check(ANN, until - 1).unwrap().until, Some(until));
        assert_eq!(list.check(ANN, until + 1), None);
        // It is taken, and all is as before.
        let List(suppression, store) = &mut list;
        let Ok(()) = suppression.delivered(store, ANN, JOE, until + 1);
        assert_eq!(list.bounced(ANN, until + 2), None);
        assert_eq!(list.bounced(ANN, until + 3).unwrap().count, 2);
    }

    #[test]
    fn one_sender_who_is_refused_keeps_nobody_else_from_writing_and_two_do() {
        let mut list = List::new();
        for hour in 0..1_000 {
            list.bounced(ANN, NOW + hour * HOUR);
        }
        let now = NOW + 1_000 * HOUR;
        assert_eq!(list.check(ANN, now).unwrap().scope, Scope::Sender);
        assert_eq!(list.check(BEN, now), None);
        let all = list.bounced(BEN, now).unwrap();
        assert_eq!((all.scope, all.until), (Scope::Everybody, Some(now + HOUR)));
        for sender in [BEN, "carl@example.org", "", "x@elsewhere.example"] {
            assert_eq!(list.check(sender, now + 1), Some(all), "{sender}");
        }
        // Whoever is taken lifts it for everybody but the one who was refused.
        let List(suppression, store) = &mut list;
        let Ok(()) = suppression.delivered(store, BEN, JOE, now + HOUR + 1);
        assert_eq!(list.check(BEN, now + 2), None);
        assert!(list.check(ANN, now + 2).is_some());
    }

    #[test]
    fn a_complaint_holds_for_its_sender_alone_and_longer_each_time() {
        let mut list = List::new();
        for (times, days) in [30, 60, 120, 240, 365, 365].into_iter().enumerate() {
            let found = list.complained(ANN, NOW).unwrap();
            assert_eq!(
                (found.cause, found.scope),
                (Cause::Complaint, Scope::Sender)
            );
            assert_eq!(
                (found.count, found.until),
                (times as u64 + 1, Some(NOW + days * DAY))
            );
        }
        for (sender, is_suppressed) in [
            (ANN, true),
            ("Ann@EXAMPLE.org", true),
            ("ann+joe=example.net@example.org", true),
            ("anna@example.org", false),
            (BEN, false),
            ("ann@example.com", false),
            ("", false),
        ] {
            let found = list.check(sender, NOW + DAY);
            assert_eq!(found.is_some(), is_suppressed, "{sender}");
        }
        // What is taken does not forgive it.
        let List(suppression, store) = &mut list;
        let Ok(()) = suppression.delivered(store, ANN, JOE, NOW + DAY);
        assert!(list.check(ANN, NOW + 2 * DAY).is_some());
        // It is remembered for as long again, then all begins anew.
        assert_eq!(list.check(ANN, NOW + 366 * DAY), None);
        let found = list.complained(ANN, NOW + (365 + 61) * DAY).unwrap();
        assert_eq!(found.count, 1);
    }

    #[test]
    fn what_was_added_by_hand_is_lifted_by_hand_or_ends() {
        let mut list = List::new();
        let List(suppression, store) = &mut list;
        let Ok(()) = suppression.add(store, None, JOE, None);
        let Ok(()) = suppression.add(store, Some(ANN), JOE, Some(NOW + 9));
        let for_good = list.check(BEN, NOW).unwrap();
        assert_eq!((for_good.cause, for_good.until), (Cause::Hand, None));
        assert_eq!(list.check(ANN, NOW), Some(for_good));
        assert_eq!(list.check(ANN, u64::MAX - 1), Some(for_good));
        let List(suppression, store) = &mut list;
        let Ok(()) = suppression.remove(store, None, JOE, NOW);
        assert_eq!(list.check(BEN, NOW), None);
        assert_eq!(list.check(ANN, NOW + 9).unwrap().until, Some(NOW + 9));
        assert_eq!(list.check(ANN, NOW + 10), None);
        // All that holds for a sender goes at once.
        list.complained(ANN, NOW);
        list.bounced(ANN, NOW);
        list.bounced(ANN, NOW);
        let List(suppression, store) = &mut list;
        let Ok(()) = suppression.remove(store, Some(ANN), JOE, NOW);
        assert_eq!(list.check(ANN, NOW), None);
        assert_eq!(list.bounced(ANN, NOW), None);
    }

    #[test]
    fn only_what_says_that_there_is_no_mailbox_counts() {
        for (code, enhanced, text, counts) in [
            (550, Some((5, 1, 1)), "no such user", true),
            (
                550,
                Some((5, 1, 10)),
                "RESOLVER.ADR.RecipientNotFound",
                true,
            ),
            (550, Some((5, 2, 1)), "the account is disabled", true),
            (551, Some((5, 1, 6)), "moved", true),
            (550, None, "5.1.1 <x@a.example>: User unknown", true),
            (
                550,
                Some((5, 4, 1)),
                "Recipient address rejected: Access denied",
                true,
            ),
            (450, Some((4, 1, 1)), "unknown for now", false),
            (550, Some((5, 1, 8)), "Sender domain does not exist", false),
            (552, Some((5, 2, 2)), "mailbox full", false),
            (
                550,
                Some((5, 7, 1)),
                "Recipient address rejected: not from you",
                false,
            ),
            (554, Some((5, 7, 1)), "blocked using bl.example", false),
            (550, Some((5, 7, 26)), "unauthenticated", false),
            (554, None, "spam", false),
            (550, None, "no", false),
            (250, Some((2, 1, 5)), "OK", false),
        ] {
            let reply = Reply {
                code,
                enhanced,
                text,
            };
            assert_eq!(is_unknown(&reply), counts, "{reply:?}");
        }
    }

    #[test]
    fn no_clock_and_no_policy_suppresses_for_longer_than_it_says() {
        let mut list = List::new();
        list.bounced(ANN, NOW);
        list.bounced(ANN, NOW);
        list.complained(ANN, NOW);
        // The clock is set back by ten years.
        let early = NOW - 3_650 * DAY;
        let found = list.check(ANN, early).unwrap();
        assert_eq!(found.until, Some(early + 365 * DAY));
        for refusals in [0, 1, u32::MAX] {
            for duration in [Duration::ZERO, Duration::MAX] {
                let mut list = List::new();
                list.0.policy = Policy {
                    complaint: duration,
                    longest_complaint: duration,
                    refusals,
                    refused: duration,
                    longest_refused: duration,
                    memory: duration,
                };
                for now in [0, NOW, u64::MAX - 1, 0] {
                    list.bounced(ANN, now);
                    list.complained(ANN, now);
                    let found = list.check(ANN, now);
                    assert_eq!(found.is_some(), !duration.is_zero());
                }
                list.bounced(BEN, NOW);
                let is_off = refusals != 1 || duration.is_zero();
                assert_eq!(list.check(BEN, NOW).is_none(), is_off);
            }
        }
    }

    #[test]
    fn whoever_is_refused_is_told_why_and_until_when() {
        let suppressed = |cause, scope, count, until| Suppressed {
            cause,
            scope,
            count,
            until,
        };
        for (suppressed, wanted, enhanced) in [
            (
                suppressed(Cause::Unknown, Scope::Sender, 2, Some(NOW)),
                "Your mail to this address was refused twice as to nobody; it gets none until Fri, 15 Jan 2027 08:00:00 +0000",
                (5, 1, 1),
            ),
            (
                suppressed(Cause::Complaint, Scope::Sender, 1, Some(u64::MAX - 1)),
                "The recipient has complained about your mail; it gets none until that is lifted",
                (5, 7, 1),
            ),
            (
                suppressed(Cause::Hand, Scope::Everybody, 1, None),
                "The postmaster here has stopped mail to this address; it gets none until that is lifted",
                (5, 7, 1),
            ),
        ] {
            assert_eq!(suppressed.to_string(), wanted);
            assert_eq!(suppressed.enhanced(), enhanced);
        }
    }
}
