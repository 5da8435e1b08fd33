//! The queue: leased row by row, so that several servers can work on it.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::mail::drop_unused;
use crate::store::{BodyId, Dsn, Leased, Outgoing, Settlement, StoreError};

pub(super) fn insert(
    transaction: &Transaction<'_>,
    body: BodyId,
    entry: &Outgoing,
) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO queue (body, sender, recipient, added, smtputf8, accepted, due, dsn)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
        params![
            body.0,
            entry.sender,
            entry.recipient,
            entry.added,
            entry.smtputf8,
            entry.accepted,
            entry.dsn.to_string()
        ],
    )?;
    Ok(())
}

pub(super) fn lease(
    transaction: &Transaction<'_>,
    now: u64,
    until: u64,
    limit: usize,
) -> Result<Vec<Leased>, StoreError> {
    let mut query = transaction.prepare_cached(
        "UPDATE queue SET leased_until = ?2 WHERE id IN
           (SELECT id FROM queue WHERE due <= ?1 AND leased_until <= ?1 ORDER BY due LIMIT ?3)
         RETURNING id, body, sender, recipient, added, smtputf8, accepted, attempts, told_late, dsn",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![now, until, limit], |row| {
        Ok(Leased {
            id: row.get(0)?,
            body: BodyId(row.get(1)?),
            outgoing: Outgoing {
                sender: row.get(2)?,
                recipient: row.get(3)?,
                added: row.get(4)?,
                smtputf8: row.get(5)?,
                accepted: row.get(6)?,
                dsn: Dsn::read(&row.get::<_, String>(9)?),
            },
            attempts: row.get(7)?,
            told_late: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn bring_back(
    transaction: &Transaction<'_>,
    now: u64,
    latest: u64,
) -> Result<usize, StoreError> {
    let brought = transaction.execute(
        "UPDATE queue SET accepted = min(accepted, ?1), due = CASE WHEN due > ?2 THEN ?1 ELSE due END
         WHERE accepted > ?1 OR due > ?2",
        params![now, latest],
    )?;
    Ok(brought)
}

pub(super) fn release(transaction: &Transaction<'_>, ids: &[i64]) -> Result<(), StoreError> {
    let mut release =
        transaction.prepare_cached("UPDATE queue SET leased_until = 0 WHERE id = ?1")?;
    for id in ids {
        release.execute([id])?;
    }
    Ok(())
}

/// Whether nobody was told before that an entry is late.
pub(super) fn tell_late(transaction: &Transaction<'_>, id: i64) -> Result<bool, StoreError> {
    let told = transaction.execute(
        "UPDATE queue SET told_late = 1 WHERE id = ?1 AND told_late = 0",
        [id],
    )?;
    Ok(told == 1)
}

/// Returns the files that nothing names any more.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    id: i64,
    settlement: &Settlement,
) -> Result<Vec<String>, StoreError> {
    if let Settlement::Sent {
        feedback_id: Some(feedback_id),
        until,
        now,
    } = settlement
    {
        super::suppression::sent(transaction, id, feedback_id, *until, *now)?;
    }
    match settlement {
        Settlement::Done | Settlement::Sent { .. } => {
            let body: Option<i64> = transaction
                .query_row(
                    "DELETE FROM queue WHERE id = ?1 RETURNING body",
                    [id],
                    |row| row.get(0),
                )
                .optional()?;
            match body {
                Some(body) => drop_unused(transaction, &[body]),
                None => Ok(Vec::new()),
            }
        }
        Settlement::Retry { at, because } | Settlement::Held { at, because } => {
            let tried = matches!(settlement, Settlement::Retry { .. });
            transaction.execute(
                "UPDATE queue SET due = ?2, leased_until = 0, attempts = attempts + ?4, last_reply = ?3
                 WHERE id = ?1",
                params![id, at, because, tried],
            )?;
            Ok(Vec::new())
        }
    }
}
