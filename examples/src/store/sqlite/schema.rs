//! The tables.

use rusqlite::Connection;

use crate::store::StoreError;

const TABLES: &str = "
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    keys TEXT NOT NULL
);
CREATE TABLE addresses (
    address TEXT PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE mailboxes (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL DEFAULT 1,
    subscribed INTEGER NOT NULL DEFAULT 1,
    UNIQUE (account, name)
);
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    file TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL
);
CREATE TABLE messages (
    mailbox INTEGER NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
    uid INTEGER NOT NULL,
    body INTEGER NOT NULL REFERENCES bodies (id),
    added BLOB NOT NULL,
    flags TEXT NOT NULL,
    internal_date INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX messages_body ON messages (body);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    body INTEGER NOT NULL REFERENCES bodies (id),
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    added BLOB NOT NULL,
    smtputf8 INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    due INTEGER NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_reply TEXT NOT NULL DEFAULT ''
);
CREATE INDEX queue_body ON queue (body);
CREATE INDEX queue_due ON queue (due);
CREATE TABLE grey (
    key TEXT PRIMARY KEY,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    passed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX grey_last ON grey (last);
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
";

/// What version 2 added.
const DMARC_ROWS: &str = "
CREATE TABLE dmarc_rows (
    day INTEGER NOT NULL,
    domain TEXT NOT NULL,
    record TEXT NOT NULL,
    row TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, domain, record, row)
) WITHOUT ROWID;
";

/// What version 3 added.
const REPORT_DESTINATIONS: &str = "
ALTER TABLE dmarc_rows ADD COLUMN reports INTEGER NOT NULL DEFAULT 0;
CREATE TABLE report_destinations (
    address TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX report_destinations_until ON report_destinations (until);
";

/// What version 4 has in place of `grey`: what was greylisted before is asked to come again once more.
const SCREENING: &str = "
DROP TABLE grey;
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
";

/// Version 5 has it in a database of its own: once more.
const NO_SCREENING: &str = "DROP TABLE screening;";

/// What version 6 added: addresses that get no mail, to whom went what may be complained about, who was told that a message is late, and
/// who wants to be told of what.
const SUPPRESSION: &str = "
ALTER TABLE queue ADD COLUMN told_late INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN dsn TEXT NOT NULL DEFAULT '';
CREATE TABLE suppressed (
    hash BLOB PRIMARY KEY,
    cause INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    c INTEGER NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX suppressed_expires ON suppressed (expires);
CREATE TABLE sent (
    feedback_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    sender TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (feedback_id, recipient)
) WITHOUT ROWID;
CREATE INDEX sent_until ON sent (until);
";

/// Each leads to the next version; `PRAGMA user_version` says how many of them a database has behind it.
const STEPS: [&str; 6] = [
    TABLES,
    DMARC_ROWS,
    REPORT_DESTINATIONS,
    SCREENING,
    NO_SCREENING,
    SUPPRESSION,
];

pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = STEPS.get(version..).ok_or(StoreError::Refused(
        "the store was written by a newer version of this server",
    ))?;
    if steps.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as u64)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_becomes_the_newest() {
        let dump = |connection: &Connection| {
            let mut query = connection
                .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
                .unwrap();
            let tables = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
            tables.collect::<Result<Vec<_>, _>>().unwrap()
        };
        let mut newest = Connection::open_in_memory().unwrap();
        prepare(&mut newest).unwrap();
        for version in 0..=STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for step in &STEPS[..version] {
                connection.execute_batch(step).unwrap();
            }
            connection
                .pragma_update(None, "user_version", version)
                .unwrap();
            prepare(&mut connection).unwrap();
            assert_eq!(dump(&connection), dump(&newest), "from version {version}");
        }
        newest
            .pragma_update(None, "user_version", STEPS.len() + 1)
            .unwrap();
        assert!(prepare(&mut newest).is_err());
    }
}
