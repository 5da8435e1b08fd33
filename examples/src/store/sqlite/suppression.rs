//! Addresses that get no mail of ours, and to whom the messages went that may be complained about.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use screening::outbound::suppression::{Cause, Remembered, Scope};
use screening::store::{Entry, Key, Store, Value};

use super::screening::time;
use crate::store::{Measure, StoreError, SuppressedAddress};

/// Rows of suppressed addresses, and of such as were refused once. Each is some 200 octets; where there are more, what ends soonest goes.
const MOST: u32 = 100_000;

/// The rows of one sender and one recipient, as a measure sees them: with what it has saved itself.
struct Call<'a> {
    connection: &'a Connection,
    saved: Vec<(Key, Entry)>,
}

impl Store for Call<'_> {
    type Error = StoreError;

    fn load(&mut self, key: &Key, now: u64) -> Result<Option<Value>, StoreError> {
        if let Some((_, entry)) = self.saved.iter().rev().find(|(saved, _)| saved == key) {
            return Ok((now <= entry.expires).then_some(entry.value));
        }
        let mut query = self
            .connection
            .prepare_cached("SELECT a, b, c FROM suppressed WHERE hash = ?1 AND expires >= ?2")?;
        let value = query.query_row(params![key.hash(), time(now)], |row| {
            let number = |at| row.get(at).map(i64::cast_unsigned);
            Ok([number(0)?, number(1)?, number(2)?])
        });
        Ok(value.optional()?)
    }

    fn save(&mut self, key: Key, value: Value, expires: u64) -> Result<(), StoreError> {
        self.saved.push((key, Entry { value, expires }));
        Ok(())
    }
}

/// Calls the measure; gives what it would save.
pub(super) fn measure(
    connection: &Connection,
    measure: &mut Measure<'_>,
) -> Result<Vec<(Key, Entry)>, StoreError> {
    let mut call = Call {
        connection,
        saved: Vec::new(),
    };
    measure(&mut call)?;
    Ok(call.saved)
}

pub(super) fn save(
    transaction: &Transaction<'_>,
    saved: Vec<(Key, Entry)>,
    remembered: &Remembered,
    sender: &str,
    recipient: &str,
    now: u64,
) -> Result<(), StoreError> {
    for (key, Entry { value, expires }) in saved {
        let of = remembered.iter().find(|(_, _, of)| *of == key);
        let Some((cause, scope, _)) = of else {
            // It is about others.
            continue;
        };
        let sender = (*scope == Scope::Sender).then_some(sender);
        let [a, b, c] = value.map(u64::cast_signed);
        transaction.execute(
            "INSERT OR REPLACE INTO suppressed VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                key.hash(),
                number(*cause),
                recipient,
                sender,
                a,
                b,
                c,
                time(expires)
            ],
        )?;
    }
    transaction.execute("DELETE FROM suppressed WHERE expires < ?1", [time(now)])?;
    transaction.execute(
        "DELETE FROM suppressed WHERE hash IN
           (SELECT hash FROM suppressed ORDER BY expires LIMIT max(0, (SELECT COUNT(*) FROM suppressed) - ?1))",
        [MOST],
    )?;
    Ok(())
}

pub(super) fn list(
    connection: &Connection,
    now: u64,
) -> Result<Vec<SuppressedAddress>, StoreError> {
    let mut query = connection.prepare(
        "SELECT cause, recipient, sender, a, b, c FROM suppressed WHERE expires >= ?1 ORDER BY recipient, sender",
    )?;
    let rows = query.query_map([time(now)], |row| {
        let number = |at| row.get(at).map(i64::cast_unsigned);
        Ok(SuppressedAddress {
            cause: of_number(row.get(0)?),
            recipient: row.get(1)?,
            sender: row.get(2)?,
            value: [number(3)?, number(4)?, number(5)?],
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes down to whom a message went, as the queue knows it.
pub(super) fn sent(
    transaction: &Transaction<'_>,
    id: i64,
    feedback_id: &str,
    until: u64,
    now: u64,
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM sent WHERE until < ?1", [time(now)])?;
    transaction.execute(
        "INSERT OR REPLACE INTO sent SELECT ?2, recipient, sender, ?3 FROM queue WHERE id = ?1",
        params![id, feedback_id, time(until)],
    )?;
    Ok(())
}

/// Sender and recipient of each copy of a message that was taken.
pub(super) fn sent_to(
    connection: &Connection,
    feedback_id: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut query = connection
        .prepare_cached("SELECT sender, recipient FROM sent WHERE feedback_id = ?1 ORDER BY 2")?;
    let rows = query.query_map([feedback_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const fn number(cause: Cause) -> u8 {
    match cause {
        Cause::Complaint => 1,
        Cause::Hand => 2,
        // There is no other yet.
        _ => 0,
    }
}

const fn of_number(number: u8) -> Cause {
    match number {
        1 => Cause::Complaint,
        2 => Cause::Hand,
        _ => Cause::Unknown,
    }
}
