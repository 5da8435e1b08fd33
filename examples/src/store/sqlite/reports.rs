//! What aggregate reports are made of: rows with their counts, for each day and domain. And to whom they went.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::store::{ReportDestination, ReportRow, StoreError};

pub(super) fn count(
    transaction: &Transaction<'_>,
    day: u64,
    domain: &str,
    record: &str,
    row: &str,
    is_report: bool,
    limit: u32,
) -> Result<(), StoreError> {
    let counted = transaction.execute(
        "UPDATE dmarc_rows SET count = count + 1, reports = reports + ?5
         WHERE day = ?1 AND domain = ?2 AND record = ?3 AND row = ?4",
        params![day, domain, record, row, is_report],
    )?;
    if counted == 0 {
        transaction.execute(
            "INSERT INTO dmarc_rows (day, domain, record, row, count, reports)
             SELECT ?1, ?2, ?3, ?4, 1, ?5
             WHERE (SELECT COUNT(*) FROM dmarc_rows WHERE day = ?1 AND domain = ?2) < ?6",
            params![day, domain, record, row, is_report, limit],
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
        "SELECT record, row, count, reports FROM dmarc_rows WHERE day = ?1 AND domain = ?2",
    )?;
    let rows = query.query_map(params![day, domain], |row| {
        Ok(ReportRow {
            record: row.get(0)?,
            row: row.get(1)?,
            count: row.get(2)?,
            reports: row.get(3)?,
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

pub(super) fn change_destination(
    transaction: &Transaction<'_>,
    address: &str,
    now: u64,
    change: &mut dyn FnMut(Option<ReportDestination>, usize) -> Option<ReportDestination>,
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM report_destinations WHERE until <= ?1", [now])?;
    let known = transaction
        .query_row(
            "SELECT state, until FROM report_destinations WHERE address = ?1",
            [address],
            |row| {
                Ok(ReportDestination {
                    state: row.get(0)?,
                    until: row.get(1)?,
                })
            },
        )
        .optional()?;
    let count = transaction.query_row("SELECT COUNT(*) FROM report_destinations", [], |row| {
        row.get(0)
    })?;
    let changed = change(known.clone(), count);
    match changed {
        _ if changed == known => {}
        Some(ReportDestination { state, until }) => {
            transaction.execute(
                "INSERT INTO report_destinations (address, state, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (address) DO UPDATE SET state = ?2, until = ?3",
                params![address, state, until],
            )?;
        }
        None => {
            transaction.execute(
                "DELETE FROM report_destinations WHERE address = ?1",
                [address],
            )?;
        }
    }
    Ok(())
}
