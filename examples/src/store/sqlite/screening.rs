//! What screening remembers of others, in rows that end.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use screening::store::{Key, Store, Value};

use crate::store::StoreError;

/// Rows that are kept; beyond it goes what would end soonest. About 100 octets each.
const ROWS: i64 = 1_000_000;
/// Rows that a new one removes at most, if their time is over or there are too many.
const STEP: i64 = 4;

/// How many rows there are; counting them takes a walk over the table.
pub(super) fn count(connection: &Connection) -> Result<AtomicI64, StoreError> {
    let rows = connection.query_row("SELECT COUNT(*) FROM screening", [], |row| row.get(0))?;
    Ok(AtomicI64::new(rows))
}

/// The table within a transaction.
pub(super) struct Memory<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    /// How many rows there are. After a transaction that came to nothing it is off by a few, which moves the bound by as much.
    pub(super) rows: &'a AtomicI64,
    pub(super) now: u64,
}

impl Store for Memory<'_> {
    type Error = StoreError;

    fn load(&mut self, key: &Key, now: u64) -> Result<Option<Value>, StoreError> {
        let mut query = self.transaction.prepare_cached(
            "SELECT a, b, c FROM screening WHERE kind = ?1 AND hash = ?2 AND expires >= ?3",
        )?;
        let number = |row: &rusqlite::Row<'_>, at| row.get(at).map(i64::cast_unsigned);
        let row = query.query_row(params![key.kind().number(), key.hash(), time(now)], |row| {
            Ok([number(row, 0)?, number(row, 1)?, number(row, 2)?])
        });
        Ok(row.optional()?)
    }

    fn save(&mut self, key: Key, value: Value, expires: u64) -> Result<(), StoreError> {
        let [a, b, c] = value.map(u64::cast_signed);
        let (kind, hash) = (key.kind().number(), key.hash());
        let updated = self
            .transaction
            .prepare_cached(
                "UPDATE screening SET a = ?3, b = ?4, c = ?5, expires = ?6
                 WHERE kind = ?1 AND hash = ?2",
            )?
            .execute(params![kind, hash, a, b, c, time(expires)])?;
        if updated > 0 {
            return Ok(());
        }
        self.make_room()?;
        self.transaction
            .prepare_cached(
                "INSERT INTO screening (kind, hash, a, b, c, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![kind, hash, a, b, c, time(expires)])?;
        self.rows.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl Memory<'_> {
    /// Removes a few rows whose time is over; if there are too many, those whose time is over soonest.
    fn make_room(&self) -> Result<(), StoreError> {
        let full = self.rows.load(Ordering::Relaxed) >= ROWS;
        let before = if full { i64::MAX } else { time(self.now) };
        let removed = self
            .transaction
            .prepare_cached(
                "DELETE FROM screening WHERE (kind, hash) IN
                 (SELECT kind, hash FROM screening WHERE expires < ?1 ORDER BY expires LIMIT ?2)",
            )?
            .execute(params![before, STEP])?;
        let removed = i64::try_from(removed).unwrap_or_default();
        self.rows.fetch_sub(removed, Ordering::Relaxed);
        Ok(())
    }
}

/// A time as the table holds it: it compares as numbers do, and none is the last.
fn time(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).min(i64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use screening::store::{Keys, Kind};

    use super::*;

    #[test]
    fn a_full_table_forgets_what_ends_soonest() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::schema::prepare(&mut connection).unwrap();
        let key = |number: u64| Keys::new([0; 16]).key(Kind::Rate, &[&number.to_be_bytes()]);
        let transaction = connection.transaction().unwrap();
        let rows = AtomicI64::new(0);
        let mut memory = Memory {
            transaction: &transaction,
            rows: &rows,
            now: 50,
        };
        for number in (0..10).rev() {
            memory.save(key(number), [number; 3], 100 + number).unwrap();
        }
        memory.save(key(5), [0; 3], 200).unwrap();
        assert_eq!(rows.load(Ordering::Relaxed), 10);
        // As if there were many more.
        rows.fetch_add(ROWS - 10, Ordering::Relaxed);
        memory.save(key(10), [10; 3], 300).unwrap();
        let left = (0..=10).filter(|number| memory.load(&key(*number), 50).unwrap().is_some());
        assert_eq!(left.collect::<Vec<_>>(), [4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(rows.load(Ordering::Relaxed), ROWS - STEP + 1);
    }
}
