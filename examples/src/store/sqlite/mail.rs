//! Mailboxes and the messages in them.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::store::{
    AccountId, BodyId, Delivery, Entry, FlagChange, Mailbox, MailboxId, StoreError,
};

/// RFC 9051 §5.1: "The case-insensitive mailbox name INBOX is a special name reserved to mean "the primary mailbox for this user on
/// this server"."
fn canonical(name: &str) -> &str {
    if name.eq_ignore_ascii_case("INBOX") {
        "INBOX"
    } else {
        name
    }
}

const COLUMNS: &str = "id, name, uid_validity, uid_next, subscribed";

fn to_mailbox(row: &Row<'_>) -> rusqlite::Result<Mailbox> {
    Ok(Mailbox {
        id: MailboxId(row.get(0)?),
        name: row.get(1)?,
        uid_validity: row.get(2)?,
        uid_next: row.get(3)?,
        subscribed: row.get(4)?,
    })
}

pub(super) fn mailboxes(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<Mailbox>, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM mailboxes WHERE account = ?1 ORDER BY name"
    ))?;
    let rows = query.query_map([account.0], to_mailbox)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn mailbox(
    connection: &Connection,
    account: AccountId,
    name: &str,
) -> Result<Option<Mailbox>, StoreError> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM mailboxes WHERE account = ?1 AND name = ?2"
    ))?;
    Ok(query
        .query_row(params![account.0, canonical(name)], to_mailbox)
        .optional()?)
}

/// Makes a mailbox unless there is one, and those above it.
pub(super) fn insert_mailbox(
    transaction: &Transaction<'_>,
    account: AccountId,
    name: &str,
) -> Result<(), StoreError> {
    // Rises with time and never repeats: a mailbox made anew under an old name is not taken for the old one.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_secs());
    let highest: u32 = transaction.query_row(
        "SELECT coalesce(max(uid_validity), 0) FROM mailboxes",
        [],
        |row| row.get(0),
    )?;
    let validity = u32::try_from(now)
        .unwrap_or(u32::MAX)
        .max(highest.saturating_add(1));
    let name = canonical(name);
    let levels = name
        .match_indices('/')
        .map(|(at, _)| at)
        .chain([name.len()]);
    for level in levels
        .filter_map(|end| name.get(..end))
        .filter(|level| !level.is_empty())
    {
        transaction.execute(
            "INSERT INTO mailboxes (account, name, uid_validity) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![account.0, canonical(level), validity],
        )?;
    }
    Ok(())
}

pub(super) fn delete_mailbox(
    transaction: &Transaction<'_>,
    account: AccountId,
    name: &str,
) -> Result<Vec<String>, StoreError> {
    if canonical(name) == "INBOX" {
        return Err(StoreError::Refused("INBOX cannot be deleted"));
    }
    let mailbox = mailbox(transaction, account, name)?.ok_or(StoreError::Missing("the mailbox"))?;
    let mut query =
        transaction.prepare("DELETE FROM messages WHERE mailbox = ?1 RETURNING body")?;
    let bodies: Vec<i64> = query
        .query_map([mailbox.id.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    transaction.execute("DELETE FROM mailboxes WHERE id = ?1", [mailbox.id.0])?;
    drop_unused(transaction, &bodies)
}

pub(super) fn rename(
    transaction: &Transaction<'_>,
    account: AccountId,
    from: &str,
    to: &str,
) -> Result<(), StoreError> {
    let (from, to) = (canonical(from), canonical(to));
    let source = mailbox(transaction, account, from)?.ok_or(StoreError::Missing("the mailbox"))?;
    if mailbox(transaction, account, to)?.is_some() {
        return Err(StoreError::Exists("the mailbox"));
    }
    if to
        .strip_prefix(from)
        .is_some_and(|below| below.starts_with('/'))
    {
        return Err(StoreError::Refused(
            "a mailbox cannot be moved below itself",
        ));
    }
    if from == "INBOX" {
        // RFC 9051 §6.3.6: "It moves all messages in INBOX to a new mailbox with the given name, leaving INBOX empty."
        insert_mailbox(transaction, account, to)?;
        let target =
            mailbox(transaction, account, to)?.ok_or(StoreError::Missing("the mailbox"))?;
        transaction.execute(
            "UPDATE messages SET mailbox = ?2 WHERE mailbox = ?1",
            params![source.id.0, target.id.0],
        )?;
        transaction.execute(
            "UPDATE mailboxes SET uid_next = ?2 WHERE id = ?1",
            params![target.id.0, source.uid_next],
        )?;
        return Ok(());
    }
    if let Some((above, _)) = to.rsplit_once('/') {
        insert_mailbox(transaction, account, above)?;
    }
    for inferior in mailboxes(transaction, account)? {
        if let Some(rest) = inferior.name.strip_prefix(from)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            transaction.execute(
                "UPDATE mailboxes SET name = ?2 WHERE id = ?1",
                params![inferior.id.0, format!("{to}{rest}")],
            )?;
        }
    }
    Ok(())
}

fn next_uid(transaction: &Transaction<'_>, mailbox: MailboxId) -> Result<u32, StoreError> {
    transaction
        .query_row(
            "UPDATE mailboxes SET uid_next = uid_next + 1 WHERE id = ?1 RETURNING uid_next - 1",
            [mailbox.0],
            |row| row.get(0),
        )
        .optional()?
        .ok_or(StoreError::Missing("the mailbox"))
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    body: BodyId,
    delivery: &Delivery,
) -> Result<u32, StoreError> {
    let uid = next_uid(transaction, delivery.mailbox)?;
    transaction.execute(
        "INSERT INTO messages (mailbox, uid, body, added, flags, internal_date) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            delivery.mailbox.0,
            uid,
            body.0,
            delivery.added,
            join(delivery.flags.clone()),
            delivery.internal_date
        ],
    )?;
    Ok(uid)
}

pub(super) fn entries(
    connection: &Connection,
    mailbox: MailboxId,
) -> Result<Vec<Entry>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT uid, length(added) + size, internal_date, flags FROM messages JOIN bodies ON bodies.id = body
         WHERE mailbox = ?1 ORDER BY uid",
    )?;
    let rows = query.query_map([mailbox.0], |row| {
        Ok(Entry {
            uid: row.get(0)?,
            size: row.get(1)?,
            internal_date: row.get(2)?,
            flags: split(&row.get::<_, String>(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn place(
    connection: &Connection,
    mailbox: MailboxId,
    uid: u32,
) -> Result<(Vec<u8>, String, u64), StoreError> {
    connection
        .query_row(
            "SELECT added, file, size FROM messages JOIN bodies ON bodies.id = body WHERE mailbox = ?1 AND uid = ?2",
            params![mailbox.0, uid],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?
        .ok_or(StoreError::Missing("the message"))
}

pub(super) fn flag(
    transaction: &Transaction<'_>,
    mailbox: MailboxId,
    uids: &[u32],
    change: FlagChange,
    flags: &[String],
) -> Result<Vec<(u32, Vec<String>)>, StoreError> {
    let mut look =
        transaction.prepare("SELECT flags FROM messages WHERE mailbox = ?1 AND uid = ?2")?;
    let mut set =
        transaction.prepare("UPDATE messages SET flags = ?3 WHERE mailbox = ?1 AND uid = ?2")?;
    let mut changed = Vec::new();
    for uid in uids {
        let old: Option<String> = look
            .query_row(params![mailbox.0, uid], |row| row.get(0))
            .optional()?;
        let Some(old) = old else { continue };
        let mut new = split(&old);
        match change {
            FlagChange::Replace => new = flags.to_vec(),
            FlagChange::Add => new.extend(flags.iter().cloned()),
            FlagChange::Remove => {
                new.retain(|one| !flags.iter().any(|other| other.eq_ignore_ascii_case(one)));
            }
        }
        let new = join(new);
        set.execute(params![mailbox.0, uid, new])?;
        changed.push((*uid, split(&new)));
    }
    Ok(changed)
}

pub(super) fn copy(
    transaction: &Transaction<'_>,
    from: MailboxId,
    uids: &[u32],
    to: MailboxId,
) -> Result<Vec<(u32, u32)>, StoreError> {
    let mut insert = transaction.prepare(
        "INSERT INTO messages (mailbox, uid, body, added, flags, internal_date)
         SELECT ?3, ?4, body, added, flags, internal_date FROM messages WHERE mailbox = ?1 AND uid = ?2",
    )?;
    let mut exists =
        transaction.prepare("SELECT 1 FROM messages WHERE mailbox = ?1 AND uid = ?2")?;
    let mut copied = Vec::new();
    for uid in uids {
        if exists.exists(params![from.0, uid])? {
            let new = next_uid(transaction, to)?;
            insert.execute(params![from.0, uid, to.0, new])?;
            copied.push((*uid, new));
        }
    }
    Ok(copied)
}

/// Returns which were there, and the files that nothing names any more.
pub(super) fn expunge(
    transaction: &Transaction<'_>,
    mailbox: MailboxId,
    uids: &[u32],
) -> Result<(Vec<u32>, Vec<String>), StoreError> {
    let mut delete = transaction
        .prepare("DELETE FROM messages WHERE mailbox = ?1 AND uid = ?2 RETURNING body")?;
    let (mut gone, mut bodies) = (Vec::new(), Vec::new());
    for uid in uids {
        let body: Option<i64> = delete
            .query_row(params![mailbox.0, uid], |row| row.get(0))
            .optional()?;
        if let Some(body) = body {
            gone.push(*uid);
            bodies.push(body);
        }
    }
    Ok((gone, drop_unused(transaction, &bodies)?))
}

/// Drops those of the bodies that nothing names any more, and returns their files.
pub(super) fn drop_unused(
    transaction: &Transaction<'_>,
    bodies: &[i64],
) -> Result<Vec<String>, StoreError> {
    let mut query = transaction.prepare(
        "DELETE FROM bodies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM messages WHERE body = ?1)
           AND NOT EXISTS (SELECT 1 FROM queue WHERE body = ?1) RETURNING file",
    )?;
    let mut files = Vec::new();
    for body in bodies {
        files.extend(query.query_row([body], |row| row.get(0)).optional()?);
    }
    Ok(files)
}

fn split(flags: &str) -> Vec<String> {
    flags
        .split_ascii_whitespace()
        .map(ToOwned::to_owned)
        .collect()
}

fn join(mut flags: Vec<String>) -> String {
    flags.sort_unstable();
    flags.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    flags.join(" ")
}
