//! Where accounts, mailboxes, bodies and the queue live.
//!
//! [`Store`] is the one trait between the server and its database; [`Sqlite`] is what stands behind it unless somebody writes
//! another. It is shaped so that several servers can share an SQL engine: no lock is wider than a mailbox, a UID is given in the
//! transaction that inserts the message, the queue is leased row by row, and changes are announced by the store.
//!
//! Its calls block; a service makes them through [`blocking`].

mod body;
mod sqlite;

use std::path::PathBuf;
use std::sync::Arc;

use screening::outbound::suppression::{Cause, Remembered};
use screening::store::Value;
use smtp_proto::Xtext;
use smtp_proto::parameters::{Notify, OriginalRecipient, Ret};
use tokio::sync::broadcast;

pub use body::{Spool, StoredMessage};
pub use sqlite::Sqlite;

/// A store that services share.
pub type SharedStore = Arc<dyn Store>;

/// Runs calls of the store where blocking is allowed.
///
/// # Errors
///
/// What the calls say, or [`StoreError::Interrupted`] when the server is stopping.
pub async fn blocking<T: Send + 'static>(
    store: &SharedStore,
    calls: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || calls(&*store))
        .await
        .unwrap_or(Err(StoreError::Interrupted))
}

/// Runs a measure of screening over what the store remembers.
///
/// # Errors
///
/// Those of [`Store::screening`].
pub fn screen<T>(
    store: &dyn Store,
    now: u64,
    mut measure: impl FnMut(&mut Memory<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut result = None;
    store.screening(now, &mut |memory| {
        result = Some(measure(memory)?);
        Ok(())
    })?;
    result.ok_or(StoreError::Interrupted)
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full: a temporary failure for the sender.
    #[error("no space left for mail")]
    Full,
    /// There is no such mailbox, account or message.
    #[error("{0} does not exist")]
    Missing(&'static str),
    /// There is one already.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// INBOX cannot be deleted, a name has too many levels, and the like.
    #[error("not possible: {0}")]
    Refused(&'static str),
    /// The server is stopping, or a call panicked.
    #[error("the call was interrupted")]
    Interrupted,
    /// A file could not be written or read.
    #[error("mail file: {0}")]
    Io(#[source] std::io::Error),
    /// The database said no.
    #[error("database: {0}")]
    Database(#[from] rusqlite::Error),
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            Self::Full
        } else {
            Self::Io(error)
        }
    }
}

/// The key of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// The key of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxId(pub i64);

/// The key of a body, which several mailboxes and queue entries may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BodyId(pub i64);

/// Somebody who can log in.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its key.
    pub id: AccountId,
    /// The name to log in with.
    pub name: String,
    /// The SCRAM keys as text; the password is not kept.
    pub keys: String,
}

/// A mailbox as LIST and STATUS show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its key.
    pub id: MailboxId,
    /// Its name, levels divided by `/`.
    pub name: String,
    /// Changes when UIDs start anew.
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: u32,
    /// Whether LSUB shows it.
    pub subscribed: bool,
}

/// A message in a mailbox, without its octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Unique and rising in its mailbox.
    pub uid: u32,
    /// Octets, the added fields included.
    pub size: u64,
    /// When it came, in seconds since 1970.
    pub internal_date: u64,
    /// Its flags and keywords, sorted.
    pub flags: Vec<String>,
}

/// A change of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagChange {
    /// These instead of the ones there were.
    Replace,
    /// These too.
    Add,
    /// These no longer.
    Remove,
}

/// A message that goes into a mailbox.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Into which.
    pub mailbox: MailboxId,
    /// The fields written above the message for this mailbox.
    pub added: Vec<u8>,
    /// The flags to begin with.
    pub flags: Vec<String>,
    /// When it came, in seconds since 1970.
    pub internal_date: u64,
}

/// A message that goes to a recipient elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The reverse-path; empty for a bounce.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
    /// The fields written above the message, its signatures included.
    pub added: Vec<u8>,
    /// Whether the message or an address needs SMTPUTF8.
    pub smtputf8: bool,
    /// When it was accepted, in seconds since 1970.
    pub accepted: u64,
    /// What its sender wants to be told of it.
    pub dsn: Dsn,
}

/// What a sender wants to be told of a message, and how (RFC 3461).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dsn {
    /// When.
    pub notify: Option<Notify>,
    /// The recipient as he has named it.
    pub orcpt: Option<OriginalRecipient>,
    /// What comes back of a message that failed.
    pub ret: Option<Ret>,
    /// His name for the transaction.
    pub envid: Option<Xtext>,
}

/// As parameters of SMTP, with a space between them.
impl std::fmt::Display for Dsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut space = "";
        let mut parameter = |name: &str, value: Option<&dyn std::fmt::Display>| match value {
            Some(value) => write!(f, "{}{name}={value}", std::mem::replace(&mut space, " ")),
            None => Ok(()),
        };
        parameter("NOTIFY", self.notify.as_ref().map(|it| it as _))?;
        parameter("ORCPT", self.orcpt.as_ref().map(|it| it as _))?;
        parameter("RET", self.ret.as_ref().map(|it| it as _))?;
        parameter("ENVID", self.envid.as_ref().map(|it| it as _))
    }
}

impl Dsn {
    /// Whether the sender is told that the message was delivered.
    #[must_use]
    pub const fn wants_success(&self) -> bool {
        matches!(self.notify, Some(Notify::On { success: true, .. }))
    }

    /// Whether he is told that it was not; he is if he has not said.
    #[must_use]
    pub const fn wants_failure(&self) -> bool {
        matches!(self.notify, None | Some(Notify::On { failure: true, .. }))
    }

    /// Whether he is told that it is late; he may be if he has not said.
    #[must_use]
    pub const fn wants_delay(&self) -> bool {
        matches!(self.notify, None | Some(Notify::On { delay: true, .. }))
    }

    /// The same but for success.
    #[must_use]
    pub fn without_success(mut self) -> Self {
        self.notify = self.notify.map(|notify| match notify {
            Notify::On { failure, delay, .. } if failure || delay => Notify::On {
                success: false,
                failure,
                delay,
            },
            _ => Notify::Never,
        });
        self
    }

    /// What was printed; what is none of it is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut dsn = Self::default();
        for (name, value) in text.split(' ').filter_map(|word| word.split_once('=')) {
            match name {
                "NOTIFY" => dsn.notify = value.parse().ok(),
                "ORCPT" => dsn.orcpt = value.parse().ok(),
                "RET" => dsn.ret = value.parse().ok(),
                "ENVID" => dsn.envid = value.parse().ok(),
                _ => {}
            }
        }
        dsn
    }
}

/// An entry of the queue that this server has leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Its key in the queue.
    pub id: i64,
    /// Where its octets are.
    pub body: BodyId,
    /// To whom, from whom.
    pub outgoing: Outgoing,
    /// How often it was tried before.
    pub attempts: u32,
    /// Whether its sender was told that it is late.
    pub told_late: bool,
}

/// What became of a leased entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Given up and bounced: forget it.
    Done,
    /// Delivered: forget it, but for what a complaint about it will be known by.
    Sent {
        /// The name that complaints about it have, if it has one; then its sender and recipient are kept under it.
        feedback_id: Option<String>,
        /// Until this second since 1970.
        until: u64,
        /// What was kept and ended before this second goes.
        now: u64,
    },
    /// Try again at this second since 1970.
    Retry {
        /// When.
        at: u64,
        /// What the other side said.
        because: String,
    },
    /// It was not its turn, and nothing was tried: look at it again at this second since 1970. No attempt is counted.
    Held {
        /// When.
        at: u64,
        /// What it waits for.
        because: String,
    },
}

/// Something changed in a mailbox; whoever shows it looks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub mailbox: MailboxId,
}

/// What screening remembers, as its measures see it.
pub type Memory<'a> = dyn screening::store::Store<Error = StoreError> + 'a;

/// Something that screening does with what it remembers.
pub type Measure<'a> = dyn FnMut(&mut Memory<'_>) -> Result<(), StoreError> + 'a;

/// What an aggregate report on a domain says: the record that was found, a row, and how many messages it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// The DMARC record that the messages were judged by.
    pub record: String,
    /// The row, as the server writes it.
    pub row: String,
    /// Messages.
    pub count: u64,
    /// Those of them that were reports themselves.
    pub reports: u64,
}

/// What is remembered of an address that reports go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportDestination {
    /// As the server writes it.
    pub state: String,
    /// From this second since 1970 on it no longer matters.
    pub until: u64,
}

/// An address that gets no mail of ours, or of one sender, or is remembered since it was refused once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressedAddress {
    /// The address.
    pub recipient: String,
    /// Whose mail it does not get; none: nobody's.
    pub sender: Option<String>,
    /// Why.
    pub cause: Cause,
    /// What is remembered, as `screening::outbound::suppression` has it.
    pub value: Value,
}

/// Accounts, mailboxes, bodies, the queue.
pub trait Store: Send + Sync + 'static {
    /// Makes an account, or gives an existing one new keys; `addresses` are added to it.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn put_account(
        &self,
        name: &str,
        keys: &str,
        addresses: &[String],
    ) -> Result<AccountId, StoreError>;

    /// The account of this login name.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn account(&self, name: &str) -> Result<Option<Account>, StoreError>;

    /// The account that owns this address (`local@domain`, compared without case).
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn owner(&self, address: &str) -> Result<Option<Account>, StoreError>;

    /// Every account.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// A random secret of this store, made once: for fake salts, and whatever else must look the same after a restart.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn secret(&self) -> Result<[u8; 32], StoreError>;

    /// A file that a message is written to while it arrives.
    ///
    /// # Errors
    ///
    /// A failure of the disk.
    fn spool(&self) -> Result<Spool, StoreError>;

    /// Makes a message durable in all these places at once. When this returns, it survives a loss of power.
    ///
    /// Returns the UIDs in the order of `deliveries`.
    ///
    /// # Errors
    ///
    /// Nothing was stored then.
    fn commit(
        &self,
        spool: Spool,
        deliveries: &[Delivery],
        outgoing: &[Outgoing],
    ) -> Result<Vec<u32>, StoreError>;

    /// The mailboxes of an account, by name.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>, StoreError>;

    /// The mailbox of this name; INBOX in any case.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, StoreError>;

    /// Makes a mailbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`], or a failure of the database.
    fn create(&self, account: AccountId, name: &str) -> Result<Mailbox, StoreError>;

    /// Deletes a mailbox with its messages.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`], [`StoreError::Refused`] for INBOX.
    fn delete(&self, account: AccountId, name: &str) -> Result<(), StoreError>;

    /// Renames a mailbox and those below it; INBOX keeps its place and gives its messages away (RFC 9051 §6.3.6).
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`], [`StoreError::Exists`].
    fn rename(&self, account: AccountId, from: &str, to: &str) -> Result<(), StoreError>;

    /// Subscribes to a mailbox, or no longer.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`].
    fn subscribe(&self, account: AccountId, name: &str, subscribed: bool)
    -> Result<(), StoreError>;

    /// The messages of a mailbox, by UID.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn entries(&self, mailbox: MailboxId) -> Result<Vec<Entry>, StoreError>;

    /// A message, to be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where somebody else has expunged it.
    fn message(&self, mailbox: MailboxId, uid: u32) -> Result<StoredMessage, StoreError>;

    /// Changes the flags of messages; those that are gone are passed over. Returns the new flags.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn flag(
        &self,
        mailbox: MailboxId,
        uids: &[u32],
        change: FlagChange,
        flags: &[String],
    ) -> Result<Vec<(u32, Vec<String>)>, StoreError>;

    /// Copies messages, their flags and dates with them; returns pairs of old and new UID. The bodies are shared.
    ///
    /// # Errors
    ///
    /// A failure of the database; nothing is copied then.
    fn copy(
        &self,
        from: MailboxId,
        uids: &[u32],
        to: MailboxId,
    ) -> Result<Vec<(u32, u32)>, StoreError>;

    /// Removes messages, and bodies that nothing else uses. Returns which were there.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn expunge(&self, mailbox: MailboxId, uids: &[u32]) -> Result<Vec<u32>, StoreError>;

    /// Leases up to `limit` entries that are due at `now`, until `until`.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn lease(&self, now: u64, until: u64, limit: usize) -> Result<Vec<Leased>, StoreError>;

    /// The body of a leased entry with its added fields above, to be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`], or a failure of the database.
    fn queued(&self, leased: &Leased) -> Result<StoredMessage, StoreError>;

    /// Ends the lease of an entry.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn settle(&self, id: i64, settlement: &Settlement) -> Result<(), StoreError>;

    /// The clock was set back to `now`: entries that are due after `latest`, later than any that was put off by this clock, are due at
    /// once, and none was accepted later than now. Returns how many were brought back.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn bring_back(&self, now: u64, latest: u64) -> Result<usize, StoreError>;

    /// Ends the leases of entries that were not tried: they are due as they were.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn release(&self, ids: &[i64]) -> Result<(), StoreError>;

    /// Takes down that the sender of an entry is told that it is late; false: that was done before.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn tell_late(&self, id: i64) -> Result<bool, StoreError>;

    /// Calls a measure of suppression with what is remembered of a sender and a recipient; when this returns, what it has saved survives a
    /// loss of power. It is called twice where it saves something, the second time while nobody else changes it.
    ///
    /// `remembered` are the keys of the two, under which the addresses are kept for whoever wants to see the list.
    ///
    /// # Errors
    ///
    /// The measure's own, or a failure of the database; nothing is saved then.
    fn suppression(
        &self,
        sender: &str,
        recipient: &str,
        remembered: &Remembered,
        now: u64,
        measure: &mut Measure<'_>,
    ) -> Result<(), StoreError>;

    /// All addresses that are remembered by [`suppression`](Self::suppression), by name.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn suppressed(&self, now: u64) -> Result<Vec<SuppressedAddress>, StoreError>;

    /// Sender and recipient of each copy of a message that was [sent](Settlement::Sent), by the name that complaints have.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn sent_to(&self, feedback_id: &str) -> Result<Vec<(String, String)>, StoreError>;

    /// When the next entry of the queue is due.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn next_due(&self) -> Result<Option<u64>, StoreError>;

    /// Calls a measure of screening, once, with what is remembered; nobody else changes it meanwhile. What ended before `now`, in seconds
    /// since 1970, is removed by and by. [`screen`] gives its result back.
    ///
    /// It need not survive a crash: the store may write it later.
    ///
    /// # Errors
    ///
    /// The measure's own, or a failure of the database; nothing is saved then.
    fn screening(&self, now: u64, measure: &mut Measure<'_>) -> Result<(), StoreError>;

    /// Writes down what screening remembers: the server is about to end.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn write_screening(&self) -> Result<(), StoreError>;

    /// Counts one more message, which may be a report itself, for the aggregate report of a day, in days since 1970, on a domain. A row
    /// that is new is left out where the report has `limit` rows already.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn count_report_row(
        &self,
        day: u64,
        domain: &str,
        record: &str,
        row: &str,
        is_report: bool,
        limit: u32,
    ) -> Result<(), StoreError>;

    /// The reports of days before `day`: the day, and the domain.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn reports_before(&self, day: u64) -> Result<Vec<(u64, String)>, StoreError>;

    /// The rows of a report.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn report_rows(&self, day: u64, domain: &str) -> Result<Vec<ReportRow>, StoreError>;

    /// Forgets a report that was sent, or that nobody wants.
    ///
    /// # Errors
    ///
    /// A failure of the database.
    fn forget_report(&self, day: u64, domain: &str) -> Result<(), StoreError>;

    /// Changes what is remembered of an address that reports go to, and forgets those that no longer matter at `now`.
    ///
    /// `change` gets what is there, and how many addresses are remembered; what it gives is kept. Nobody else changes it meanwhile.
    ///
    /// # Errors
    ///
    /// A failure of the database; nothing was changed then.
    fn change_report_destination(
        &self,
        address: &str,
        now: u64,
        change: &mut dyn FnMut(Option<ReportDestination>, usize) -> Option<ReportDestination>,
    ) -> Result<(), StoreError>;

    /// Tells of every change from now on.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// Wakes when something was put into the queue.
    fn queue_filled(&self) -> Arc<tokio::sync::Notify>;

    /// Where the store lives.
    fn location(&self) -> PathBuf;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sender_wants_is_read_as_it_prints() {
        for text in [
            "",
            "NOTIFY=NEVER",
            "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;joe+2Bx@a.example RET=FULL ENVID=a+20b",
            "RET=HDRS",
        ] {
            assert_eq!(Dsn::read(text).to_string(), text);
        }
        assert_eq!(Dsn::read("NOTIFY=x RET ENVID==  y"), Dsn::default());
    }
}
