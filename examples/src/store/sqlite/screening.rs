//! What screening remembers: in memory, so that no decision waits for a disk or for mail that is stored, and in a database of its own.
//!
//! What has changed is written every few seconds and at the end, in one transaction that nothing waits for. So a server that is ended has
//! lost nothing, one that was killed the last seconds: that delays mail or forgives an offence. The database may be removed while no
//! server runs: then everything is forgotten.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, params};
use screening::store::{Entry, Key, MemoryStore, Store, Value};

use crate::store::{Measure, StoreError};

/// Entries of each kind that are kept. About 75 octets of memory each, and 80 of disk.
const ENTRIES: usize = 250_000;
/// From one writing to the next.
const INTERVAL: Duration = Duration::from_secs(5);
/// Entries that are copied for writing before another decision may have its turn.
const STEP: usize = 1_000;

const TABLE: &str = "
CREATE TABLE screening (
    kind INTEGER NOT NULL,
    hash BLOB NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    c INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (kind, hash)
) WITHOUT ROWID;
CREATE INDEX screening_expires ON screening (expires);
PRAGMA user_version = 1;
";

/// What is remembered, and the thread that writes it down.
#[derive(Debug)]
pub(super) struct Screening {
    shared: Arc<Shared>,
    writer: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    capacity: usize,
    /// None until somebody asks.
    remembered: Mutex<Option<Remembered>>,
    /// Held by who writes; none until then.
    database: Mutex<Option<Connection>>,
}

#[derive(Debug)]
struct Remembered {
    memory: MemoryStore,
    /// What was saved or forgotten since it was written last.
    changed: HashSet<Key>,
    /// The time that was asked about last: what ended before it needs no row.
    now: u64,
}

impl Screening {
    /// Of the server that the folder belongs to: what it remembers is written.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::with_capacity(folder, ENTRIES)
    }

    fn with_capacity(folder: &Path, capacity: usize) -> Result<Self, StoreError> {
        let mut screening = Self::beside(folder);
        if let Some(shared) = Arc::get_mut(&mut screening.shared) {
            shared.capacity = capacity;
        }
        let shared = Arc::clone(&screening.shared);
        *shared.lock() = Some(shared.read()?);
        let (sender, ended) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("screening".to_owned());
        let thread = thread.spawn(move || {
            loop {
                let is_over = ended.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                if let Err(error) = shared.write() {
                    tracing::error!(%error, "what screening remembers could not be written");
                }
                if is_over {
                    break;
                }
            }
        })?;
        screening.writer = Some((sender, thread));
        Ok(screening)
    }

    /// Beside a server that may be running: reads what it has written, and writes nothing.
    pub(super) fn beside(folder: &Path) -> Self {
        let shared = Arc::new(Shared {
            file: folder.join("screening.sqlite"),
            capacity: ENTRIES,
            remembered: Mutex::new(None),
            database: Mutex::new(None),
        });
        Self {
            shared,
            writer: None,
        }
    }

    /// Calls a measure; where it fails, nothing that it has saved is kept.
    pub(super) fn measure(&self, now: u64, measure: &mut Measure<'_>) -> Result<(), StoreError> {
        let mut remembered = self.shared.lock();
        let remembered = match &mut *remembered {
            Some(remembered) => remembered,
            none => none.insert(self.shared.read()?),
        };
        remembered.now = now;
        let mut call = Call {
            memory: &mut remembered.memory,
            saved: Vec::new(),
        };
        measure(&mut call)?;
        for (key, entry) in call.saved {
            let forgotten = remembered.memory.insert(key, entry);
            if self.writer.is_some() {
                remembered.changed.insert(key);
                remembered.changed.extend(forgotten);
            }
        }
        Ok(())
    }

    /// Writes what has changed.
    pub(super) fn write(&self) -> Result<(), StoreError> {
        self.shared.write()
    }
}

impl Drop for Screening {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.writer.take() {
            drop(sender);
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Remembered>> {
        // A measure that panics has saved nothing yet.
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is in the database.
    fn read(&self) -> Result<Remembered, StoreError> {
        let connection = connect(&self.file)?;
        let mut memory = MemoryStore::new(self.capacity);
        // What ends last is forgotten last.
        let mut query = connection
            .prepare("SELECT kind, hash, a, b, c, expires FROM screening ORDER BY expires")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let number = |at| row.get(at).map(i64::cast_unsigned);
            let value = [number(2)?, number(3)?, number(4)?];
            let expires = number(5)?;
            if let Some(key) = Key::stored(row.get(0)?, row.get(1)?) {
                memory.insert(key, Entry { value, expires });
            }
        }
        Ok(Remembered {
            memory,
            changed: HashSet::new(),
            now: 0,
        })
    }

    /// Writes what has changed since it was written last; if that fails, it is written the next time.
    fn write(&self) -> Result<(), StoreError> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let (changed, now) = match &mut *self.lock() {
            Some(remembered) => (std::mem::take(&mut remembered.changed), remembered.now),
            None => return Ok(()),
        };
        if changed.is_empty() {
            return Ok(());
        }
        let connection = match &mut *database {
            Some(connection) => Ok(connection),
            none => connect(&self.file).map(|connection| none.insert(connection)),
        };
        let written =
            connection.and_then(|connection| self.write_changes(connection, &changed, now));
        if written.is_err()
            && let Some(Remembered {
                memory,
                changed: again,
                ..
            }) = &mut *self.lock()
        {
            // Rows of what was forgotten stay until they end: so this has no more entries than the memory.
            let held = changed
                .into_iter()
                .filter(|key| memory.entry(key).is_some());
            again.extend(held);
        }
        written
    }

    fn write_changes(
        &self,
        connection: &mut Connection,
        changed: &HashSet<Key>,
        now: u64,
    ) -> Result<(), StoreError> {
        let transaction = connection.transaction()?;
        let mut save = transaction
            .prepare_cached("INSERT OR REPLACE INTO screening VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let mut forget =
            transaction.prepare_cached("DELETE FROM screening WHERE kind = ?1 AND hash = ?2")?;
        let mut changed = changed.iter();
        loop {
            let some: Vec<(Key, Option<Entry>)> = match &*self.lock() {
                Some(Remembered { memory, .. }) => {
                    let entry = |key: &Key| (*key, memory.entry(key));
                    changed.by_ref().take(STEP).map(entry).collect()
                }
                None => Vec::new(),
            };
            if some.is_empty() {
                break;
            }
            for (key, entry) in some {
                let (kind, hash) = (key.kind().number(), key.hash());
                match entry {
                    Some(Entry { value, expires }) => {
                        let [a, b, c] = value.map(u64::cast_signed);
                        save.execute(params![kind, hash, a, b, c, time(expires)])?
                    }
                    None => forget.execute(params![kind, hash])?,
                };
            }
        }
        transaction.execute("DELETE FROM screening WHERE expires < ?1", [time(now)])?;
        drop((save, forget));
        transaction.commit()?;
        Ok(())
    }
}

/// The memory as a measure sees it: with what it has saved itself.
struct Call<'a> {
    memory: &'a mut MemoryStore,
    /// A handful: a measure saves what one message or one login is known by.
    saved: Vec<(Key, Entry)>,
}

impl Store for Call<'_> {
    type Error = StoreError;

    fn load(&mut self, key: &Key, now: u64) -> Result<Option<Value>, StoreError> {
        if let Some((_, entry)) = self.saved.iter().rev().find(|(saved, _)| saved == key) {
            return Ok((now <= entry.expires).then_some(entry.value));
        }
        let Ok(value) = self.memory.load(key, now);
        Ok(value)
    }

    fn save(&mut self, key: Key, value: Value, expires: u64) -> Result<(), StoreError> {
        self.saved.push((key, Entry { value, expires }));
        Ok(())
    }
}

fn connect(file: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // No transaction waits for the disk: what a loss of power takes may be forgotten.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let transaction = connection.transaction()?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => transaction.execute_batch(TABLE)?,
        1 => {}
        _ => {
            return Err(StoreError::Refused(
                "what screening remembers was written by a newer version of this server",
            ));
        }
    }
    transaction.commit()?;
    Ok(connection)
}

/// A time as the table holds it: it compares as numbers do, and none is the last.
pub(super) fn time(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use screening::failed_login::{Decision, FailedLogin};
    use screening::greylisting::{self, Attempt, Greylist, Known};
    use screening::reputation::{Client, Outcome, Reputation};
    use screening::store::Keys;

    use super::*;
    use crate::store::Memory;

    const NOW: u64 = 1_800_000_000;
    const KEYS: Keys = Keys::new([3; 16]);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("yubin-screening-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn rows(&self) -> u64 {
            let connection = Connection::open(self.0.join("screening.sqlite")).unwrap();
            let count = "SELECT COUNT(*) FROM screening";
            connection.query_row(count, [], |row| row.get(0)).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    impl Screening {
        fn run<T>(&self, now: u64, run: impl Fn(&mut Memory<'_>) -> Result<T, StoreError>) -> T {
            let mut result = None;
            let measure = &mut |memory: &mut Memory<'_>| {
                result = Some(run(memory)?);
                Ok(())
            };
            self.measure(now, measure).unwrap();
            result.unwrap()
        }
    }

    fn client(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + (number << 8)).into()
    }

    /// Everything that strangers can make it remember, ten times more than there is room for.
    #[test]
    fn a_full_store_loses_no_honest_mail_and_lifts_no_ban() {
        let folder = Folder::new("full");
        let screening = Screening::with_capacity(&folder.0, 100).unwrap();
        let (greylist, reputation) = (Greylist::new(KEYS), Reputation::new(KEYS));
        let failed_login = FailedLogin::new(KEYS);
        let [honest, guesser] = [[192, 0, 2, 80], [192, 0, 3, 80]].map(IpAddr::from);
        let greylisted = |now| {
            let attempt = Attempt::new(honest, "joe@x.example", "ann@example.org");
            screening.run(now, |memory| greylist.check(memory, &attempt, now))
        };
        greylisted(NOW);
        for _ in 0..50 {
            screening.run(NOW, |memory| {
                failed_login.failed(memory, guesser, "ann", NOW)
            });
        }
        for number in 0..1_000 {
            let domains = [1, 2, 3, 4].map(|it| format!("{it}.{number}.example"));
            let dkim: Vec<&str> = domains.iter().map(String::as_str).collect();
            let mut spammer = Client::new([203, 0, 113, 1].into());
            (spammer.spf_domain, spammer.dkim_domains) = (Some(dkim[0]), &dkim);
            screening.run(NOW + 1, |memory| {
                reputation.record(memory, &spammer, Outcome::Accepted, NOW + 1)?;
                failed_login.failed(memory, client(number), &domains[0], NOW + 1)
            });
        }
        let passes = greylisting::Decision::Pass(Known::Retry);
        assert_eq!(greylisted(NOW + 600), passes);
        let is_banned = |screening: &Screening| {
            let decision = screening.run(NOW + 600, |memory| {
                failed_login.check(memory, guesser, "ann", NOW + 600)
            });
            decision != Decision::Allowed
        };
        assert!(is_banned(&screening));
        drop(screening);
        // Those that are full, and the message, its client and the spammer's address and network.
        assert_eq!(folder.rows(), 100 + 100 + 100 + 2 + 2);
        assert!(is_banned(&Screening::open(&folder.0).unwrap()));
    }

    #[test]
    fn what_was_saved_is_written_once_and_read_by_those_beside() {
        let folder = Folder::new("beside");
        let screening = Screening::open(&folder.0).unwrap();
        let key = KEYS.key(screening::store::Kind::Rate, &[b"x"]);
        let save = |screening: &Screening, value| {
            screening.run(NOW, |memory| memory.save(key, [value; 3], NOW + 9));
        };
        let load = |screening: &Screening| screening.run(NOW, |memory| memory.load(&key, NOW));
        save(&screening, 1);
        screening.write().unwrap();
        save(&screening, 2);
        let beside = Screening::beside(&folder.0);
        assert_eq!(load(&beside), Some([1; 3]));
        save(&beside, 3);
        drop(beside);
        drop(screening);
        assert_eq!(load(&Screening::beside(&folder.0)), Some([2; 3]));
    }

    #[test]
    fn what_cannot_be_written_is_written_later() {
        let folder = Folder::new("later");
        let screening = Screening::open(&folder.0).unwrap();
        let key = KEYS.key(screening::store::Kind::Rate, &[b"x"]);
        screening.run(NOW, |memory| memory.save(key, [1; 3], NOW + 9));
        let other = Connection::open(folder.0.join("screening.sqlite")).unwrap();
        other
            .execute_batch("ALTER TABLE screening RENAME TO away")
            .unwrap();
        assert!(screening.write().is_err());
        other
            .execute_batch("ALTER TABLE away RENAME TO screening")
            .unwrap();
        screening.write().unwrap();
        assert_eq!(folder.rows(), 1);
    }
}
