//! The embedded store: an SQLite database for what is known of messages, one file for each body.
//!
//! A message is durable in this order: its file is synced, moved to its place, the folder is synced, then one transaction enters it
//! everywhere at once, and SQLite syncs that. Only then does the server say 250. A file that no row names was left by a crash in
//! between; it is removed at the next start.
//!
//! What screening remembers stands in memory and in a database of its own: nothing is lost with it, so nothing waits for it.

mod mail;
mod queue;
mod reports;
mod schema;
mod screening;
mod suppression;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::screening::outbound::suppression::Remembered;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::{Notify, broadcast};

use super::{
    Account, AccountId, BodyId, Change, Delivery, Entry, FlagChange, Leased, Mailbox, MailboxId,
    Measure, Outgoing, ReportDestination, ReportRow, Settlement, Spool, Store, StoreError,
    StoredMessage, SuppressedAddress,
};

/// The embedded store.
#[derive(Debug)]
pub struct Sqlite {
    folder: PathBuf,
    /// SQLite takes one writer at a time anyway.
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    changes: broadcast::Sender<Change>,
    filled: Arc<Notify>,
    screening: screening::Screening,
    /// Names files apart within this run.
    serial: AtomicU64,
    run: String,
}

impl Sqlite {
    /// Opens the store in a folder, or makes one there, for the server that it belongs to: what a run before this one has left is
    /// removed, and what it was delivering is due again.
    ///
    /// # Errors
    ///
    /// What the disk or the database says; a store of a newer version is refused.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let mut store = Self::open_beside(folder)?;
        store.screening = screening::Screening::open(&store.folder)?;
        (store.writer()).execute("UPDATE queue SET leased_until = 0", [])?;
        store.sweep()?;
        Ok(store)
    }

    /// Opens the store in a folder, or makes one there, beside a server that may be running.
    ///
    /// # Errors
    ///
    /// What the disk or the database says; a store of a newer version is refused.
    pub fn open_beside(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        std::fs::create_dir_all(folder.join("bodies"))?;
        std::fs::create_dir_all(folder.join("spool"))?;
        let mut random = [0; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| StoreError::Refused("the system gives no randomness"))?;
        let mut writer = connect(&folder)?;
        schema::prepare(&mut writer)?;
        Ok(Self {
            screening: screening::Screening::beside(&folder),
            writer: Mutex::new(writer),
            readers: Mutex::new(Vec::new()),
            changes: broadcast::channel(1024).0,
            filled: Arc::new(Notify::new()),
            serial: AtomicU64::new(0),
            run: format!("{:016x}", u64::from_be_bytes(random)),
            folder,
        })
    }

    /// Removes what a crash has left: messages that were still arriving, bodies that no row names.
    fn sweep(&self) -> Result<(), StoreError> {
        for entry in std::fs::read_dir(self.folder.join("spool"))? {
            std::fs::remove_file(entry?.path())?;
        }
        let connection = self.writer();
        let mut known = connection.prepare("SELECT 1 FROM bodies WHERE file = ?1")?;
        for entry in std::fs::read_dir(self.folder.join("bodies"))? {
            let entry = entry?;
            if !known.exists([entry.file_name().to_string_lossy()])? {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction has rolled it back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.writer();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = change(&transaction)?;
        transaction.commit().map_err(full)?;
        Ok(done)
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.folder)?,
        };
        let found = look(&connection);
        let mut readers = self.readers();
        if readers.len() < 8 {
            readers.push(connection);
        }
        found
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file_name(&self) -> String {
        format!(
            "{}-{}",
            self.run,
            self.serial.fetch_add(1, Ordering::Relaxed)
        )
    }

    fn body_path(&self, file: &str) -> PathBuf {
        self.folder.join("bodies").join(file)
    }

    fn announce(&self, mailbox: MailboxId) {
        // Nobody may be looking.
        let _ = self.changes.send(Change { mailbox });
    }

    /// Removes bodies that nothing names any more; the files go once the rows are gone for good.
    fn unlink(&self, files: &[String]) {
        for file in files {
            // What cannot be removed now is swept at the next start.
            let _ = std::fs::remove_file(self.body_path(file));
        }
    }
}

fn connect(folder: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(folder.join("mail.sqlite"))?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // In WAL mode FULL syncs each transaction: a 250 survives the loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(connection)
}

/// Tells a full disk from other failures of the database.
fn full(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full,
        _ => error.into(),
    }
}

impl Store for Sqlite {
    fn put_account(
        &self,
        name: &str,
        keys: &str,
        addresses: &[String],
    ) -> Result<AccountId, StoreError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO accounts (name, keys) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET keys = ?2",
                params![name, keys],
            )?;
            let id: i64 =
                transaction.query_row("SELECT id FROM accounts WHERE name = ?1", [name], |row| row.get(0))?;
            for address in addresses {
                transaction.execute(
                    "INSERT INTO addresses (address, account) VALUES (?1, ?2)
                     ON CONFLICT (address) DO UPDATE SET account = ?2",
                    params![address.to_lowercase(), id],
                )?;
            }
            for mailbox in ["INBOX", "Drafts", "Junk", "Sent", "Trash"] {
                mail::insert_mailbox(transaction, AccountId(id), mailbox)?;
            }
            Ok(AccountId(id))
        })
    }

    fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        self.read(|connection| {
            Ok(connection
                .query_row(
                    "SELECT id, name, keys FROM accounts WHERE name = ?1",
                    [name],
                    account,
                )
                .optional()?)
        })
    }

    fn owner(&self, address: &str) -> Result<Option<Account>, StoreError> {
        self.read(|connection| {
            Ok(connection
                .query_row(
                    "SELECT accounts.id, name, keys FROM addresses JOIN accounts ON accounts.id = account
                     WHERE address = ?1",
                    [address.to_lowercase()],
                    account,
                )
                .optional()?)
        })
    }

    fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.read(|connection| {
            let mut query =
                connection.prepare("SELECT id, name, keys FROM accounts ORDER BY name")?;
            let rows = query.query_map([], account)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn secret(&self) -> Result<[u8; 32], StoreError> {
        let mut fresh = [0; 32];
        SystemRandom::new()
            .fill(&mut fresh)
            .map_err(|_| StoreError::Refused("the system gives no randomness"))?;
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO facts (name, value) VALUES ('secret', ?1) ON CONFLICT DO NOTHING",
                [fresh],
            )?;
            Ok(transaction.query_row(
                "SELECT value FROM facts WHERE name = 'secret'",
                [],
                |row| row.get(0),
            )?)
        })
    }

    fn spool(&self) -> Result<Spool, StoreError> {
        Spool::create(self.folder.join("spool").join(self.file_name()))
    }

    fn commit(
        &self,
        spool: Spool,
        deliveries: &[Delivery],
        outgoing: &[Outgoing],
    ) -> Result<Vec<u32>, StoreError> {
        let file = self.file_name();
        let size = spool.persist(&self.body_path(&file))?;
        File::open(self.folder.join("bodies"))?.sync_all()?;
        let entered = self.write(|transaction| {
            transaction.execute(
                "INSERT INTO bodies (file, size) VALUES (?1, ?2)",
                params![file, i64::try_from(size).unwrap_or(i64::MAX)],
            )?;
            let body = BodyId(transaction.last_insert_rowid());
            for entry in outgoing {
                queue::insert(transaction, body, entry)?;
            }
            deliveries
                .iter()
                .map(|delivery| mail::insert(transaction, body, delivery))
                .collect()
        });
        match &entered {
            Ok(_) => {
                for delivery in deliveries {
                    self.announce(delivery.mailbox);
                }
                if !outgoing.is_empty() {
                    self.filled.notify_one();
                }
            }
            Err(_) => self.unlink(&[file]),
        }
        entered
    }

    fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>, StoreError> {
        self.read(|connection| mail::mailboxes(connection, account))
    }

    fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>, StoreError> {
        self.read(|connection| mail::mailbox(connection, account, name))
    }

    fn create(&self, account: AccountId, name: &str) -> Result<Mailbox, StoreError> {
        self.write(|transaction| {
            if mail::mailbox(transaction, account, name)?.is_some() {
                return Err(StoreError::Exists("the mailbox"));
            }
            mail::insert_mailbox(transaction, account, name)?;
            mail::mailbox(transaction, account, name)?.ok_or(StoreError::Missing("the mailbox"))
        })
    }

    fn delete(&self, account: AccountId, name: &str) -> Result<(), StoreError> {
        let files = self.write(|transaction| mail::delete_mailbox(transaction, account, name))?;
        self.unlink(&files);
        Ok(())
    }

    fn rename(&self, account: AccountId, from: &str, to: &str) -> Result<(), StoreError> {
        self.write(|transaction| mail::rename(transaction, account, from, to))
    }

    fn subscribe(
        &self,
        account: AccountId,
        name: &str,
        subscribed: bool,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mailbox = mail::mailbox(transaction, account, name)?
                .ok_or(StoreError::Missing("the mailbox"))?;
            transaction.execute(
                "UPDATE mailboxes SET subscribed = ?2 WHERE id = ?1",
                params![mailbox.id.0, subscribed],
            )?;
            Ok(())
        })
    }

    fn entries(&self, mailbox: MailboxId) -> Result<Vec<Entry>, StoreError> {
        self.read(|connection| mail::entries(connection, mailbox))
    }

    fn message(&self, mailbox: MailboxId, uid: u32) -> Result<StoredMessage, StoreError> {
        let (added, file, size) = self.read(|connection| mail::place(connection, mailbox, uid))?;
        StoredMessage::open(added, &self.body_path(&file), size)
    }

    fn flag(
        &self,
        mailbox: MailboxId,
        uids: &[u32],
        change: FlagChange,
        flags: &[String],
    ) -> Result<Vec<(u32, Vec<String>)>, StoreError> {
        let flagged =
            self.write(|transaction| mail::flag(transaction, mailbox, uids, change, flags))?;
        self.announce(mailbox);
        Ok(flagged)
    }

    fn copy(
        &self,
        from: MailboxId,
        uids: &[u32],
        to: MailboxId,
    ) -> Result<Vec<(u32, u32)>, StoreError> {
        let copied = self.write(|transaction| mail::copy(transaction, from, uids, to))?;
        self.announce(to);
        Ok(copied)
    }

    fn expunge(&self, mailbox: MailboxId, uids: &[u32]) -> Result<Vec<u32>, StoreError> {
        let (gone, files) = self.write(|transaction| mail::expunge(transaction, mailbox, uids))?;
        self.unlink(&files);
        self.announce(mailbox);
        Ok(gone)
    }

    fn lease(&self, now: u64, until: u64, limit: usize) -> Result<Vec<Leased>, StoreError> {
        self.write(|transaction| queue::lease(transaction, now, until, limit))
    }

    fn queued(&self, leased: &Leased) -> Result<StoredMessage, StoreError> {
        let (file, size): (String, u64) = self.read(|connection| {
            connection
                .query_row(
                    "SELECT file, size FROM bodies WHERE id = ?1",
                    [leased.body.0],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?
                .ok_or(StoreError::Missing("the message"))
        })?;
        StoredMessage::open(leased.outgoing.added.clone(), &self.body_path(&file), size)
    }

    fn settle(&self, id: i64, settlement: &Settlement) -> Result<(), StoreError> {
        let files = self.write(|transaction| queue::settle(transaction, id, settlement))?;
        self.unlink(&files);
        Ok(())
    }

    fn bring_back(&self, now: u64, latest: u64) -> Result<usize, StoreError> {
        self.write(|transaction| queue::bring_back(transaction, now, latest))
    }

    fn release(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.write(|transaction| queue::release(transaction, ids))
    }

    fn tell_late(&self, id: i64) -> Result<bool, StoreError> {
        self.write(|transaction| queue::tell_late(transaction, id))
    }

    fn suppression(
        &self,
        sender: &str,
        recipient: &str,
        remembered: &Remembered,
        now: u64,
        measure: &mut Measure<'_>,
    ) -> Result<(), StoreError> {
        let saved = self.read(|connection| suppression::measure(connection, measure))?;
        // Most calls only look, and wait for no writer.
        if saved.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let saved = suppression::measure(transaction, measure)?;
            suppression::save(transaction, saved, remembered, sender, recipient, now)
        })
    }

    fn suppressed(&self, now: u64) -> Result<Vec<SuppressedAddress>, StoreError> {
        self.read(|connection| suppression::list(connection, now))
    }

    fn sent_to(&self, feedback_id: &str) -> Result<Vec<(String, String)>, StoreError> {
        self.read(|connection| suppression::sent_to(connection, feedback_id))
    }

    fn next_due(&self) -> Result<Option<u64>, StoreError> {
        self.read(|connection| {
            Ok(connection.query_row(
                "SELECT min(max(due, leased_until)) FROM queue",
                [],
                |row| row.get(0),
            )?)
        })
    }

    fn screening(&self, now: u64, measure: &mut Measure<'_>) -> Result<(), StoreError> {
        self.screening.measure(now, measure)
    }

    fn write_screening(&self) -> Result<(), StoreError> {
        self.screening.write()
    }

    fn count_report_row(
        &self,
        day: u64,
        domain: &str,
        record: &str,
        row: &str,
        is_report: bool,
        limit: u32,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            reports::count(transaction, day, domain, record, row, is_report, limit)
        })
    }

    fn reports_before(&self, day: u64) -> Result<Vec<(u64, String)>, StoreError> {
        self.read(|connection| reports::before(connection, day))
    }

    fn report_rows(&self, day: u64, domain: &str) -> Result<Vec<ReportRow>, StoreError> {
        self.read(|connection| reports::rows(connection, day, domain))
    }

    fn forget_report(&self, day: u64, domain: &str) -> Result<(), StoreError> {
        self.write(|transaction| reports::forget(transaction, day, domain))
    }

    fn change_report_destination(
        &self,
        address: &str,
        now: u64,
        change: &mut dyn FnMut(Option<ReportDestination>, usize) -> Option<ReportDestination>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| reports::change_destination(transaction, address, now, change))
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn queue_filled(&self) -> Arc<Notify> {
        Arc::clone(&self.filled)
    }

    fn location(&self) -> PathBuf {
        self.folder.clone()
    }
}

fn account(row: &rusqlite::Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: AccountId(row.get(0)?),
        name: row.get(1)?,
        keys: row.get(2)?,
    })
}
