//! What aggregate reports are made of: rows with their counts, for each day and domain.

use rusqlite::{Connection, Transaction, params};

use crate::store::{ReportRow, StoreError};

pub(super) fn count(
    transaction: &Transaction<'_>,
    day: u64,
    domain: &str,
    record: &str,
    row: &str,
    limit: u32,
) -> Result<(), StoreError> {
    let counted = transaction.execute(
        "UPDATE dmarc_rows SET count = count + 1
         WHERE day = ?1 AND domain = ?2 AND record = ?3 AND row = ?4",
        params![day, domain, record, row],
    )?;
    if counted == 0 {
        transaction.execute(
            "INSERT INTO dmarc_rows (day, domain, record, row, count) SELECT ?1, ?2, ?3, ?4, 1
             WHERE (SELECT COUNT(*) FROM dmarc_rows WHERE day = ?1 AND domain = ?2) < ?5",
            params![day, domain, record, row, limit],
        )?;
    }
    Ok(())
}

pub(super) fn before(connection: &Connection, day: u64) -> Result<Vec<(u64, String)>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT DISTINCT day, domain FROM dmarc_rows WHERE day < ?1 ORDER BY day, domain",
    )?;
    let rows = query.query_map([day], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn rows(
    connection: &Connection,
    day: u64,
    domain: &str,
) -> Result<Vec<ReportRow>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT record, row, count FROM dmarc_rows WHERE day = ?1 AND domain = ?2",
    )?;
    let rows = query.query_map(params![day, domain], |row| {
        Ok(ReportRow {
            record: row.get(0)?,
            row: row.get(1)?,
            count: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn forget(
    transaction: &Transaction<'_>,
    day: u64,
    domain: &str,
) -> Result<(), StoreError> {
    transaction.execute(
        "DELETE FROM dmarc_rows WHERE day = ?1 AND domain = ?2",
        params![day, domain],
    )?;
    Ok(())
}
