//! What the store promises: durable before it says so, bodies kept once, UIDs that only rise.
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::path::PathBuf;

use examples::store::{
    AccountId, Delivery, Dsn, FlagChange, MailboxId, Memory, Outgoing, ReportDestination,
    Settlement, Sqlite, Store, StoreError, screen,
};
use screening::greylisting::{Attempt, Decision, Greylist, Known};
use screening::store::{Keys, Kind};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("yubin-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.0.join("bodies")).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn delivery(mailbox: MailboxId, added: &str) -> Delivery {
    Delivery {
        mailbox,
        added: added.into(),
        flags: Vec::new(),
        internal_date: 1,
    }
}

fn inbox(store: &Sqlite, account: AccountId) -> MailboxId {
    store.mailbox(account, "inbox").unwrap().unwrap().id
}

#[test]
fn a_message_lies_once_for_all() {
    let folder = Folder::new("once");
    let store = Sqlite::open(&folder.0).unwrap();
    let alice = store
        .put_account("alice", "keys", &["Alice@Example.org".into()])
        .unwrap();
    let bob = store.put_account("bob", "keys", &[]).unwrap();
    assert_eq!(store.owner("alice@EXAMPLE.org").unwrap().unwrap().id, alice);
    let mut spool = store.spool().unwrap();
    spool.write(b"Subject: x\r\n\r\n").unwrap();
    spool.write(b"body\r\n").unwrap();
    let (to_alice, to_bob) = (inbox(&store, alice), inbox(&store, bob));
    let out = Outgoing {
        sender: "alice@example.org".into(),
        recipient: "carol@example.net".into(),
        added: b"DKIM-Signature: x\r\n".to_vec(),
        smtputf8: false,
        accepted: 5,
        dsn: Dsn::read("NOTIFY=DELAY ORCPT=rfc822;c+2Bx@example.net RET=HDRS ENVID=9"),
    };
    let uids = store
        .commit(
            spool,
            &[delivery(to_alice, "A: 1\r\n"), delivery(to_bob, "")],
            std::slice::from_ref(&out),
        )
        .unwrap();
    assert_eq!((uids, folder.files()), (vec![1, 1], 1));

    let mut message = store.message(to_alice, 1).unwrap();
    let mut whole = Vec::new();
    while let piece @ 1.. = {
        let piece = message.read(7).unwrap();
        whole.extend_from_slice(&piece);
        piece.len()
    } {
        assert!(piece <= 7);
    }
    assert_eq!(whole, b"A: 1\r\nSubject: x\r\n\r\nbody\r\n");
    assert_eq!(message.size(), whole.len() as u64);

    assert_eq!(store.expunge(to_alice, &[1, 2]).unwrap(), [1]);
    assert!(matches!(
        store.message(to_alice, 1),
        Err(StoreError::Missing(_))
    ));
    let trash = store.mailbox(bob, "Trash").unwrap().unwrap().id;
    assert_eq!(store.copy(to_bob, &[1], trash).unwrap(), [(1, 1)]);
    store.expunge(to_bob, &[1]).unwrap();
    store.expunge(trash, &[1]).unwrap();
    assert_eq!(folder.files(), 1, "the queue still needs it");

    assert!(store.lease(4, 100, 10).unwrap().is_empty(), "not due");
    let leased = store.lease(5, 100, 10).unwrap();
    assert_eq!(leased[0].outgoing, out);
    assert!(
        store.lease(50, 200, 10).unwrap().is_empty(),
        "leased by another"
    );
    assert_eq!(
        store.queued(&leased[0]).unwrap().read_all().unwrap(),
        b"DKIM-Signature: x\r\nSubject: x\r\n\r\nbody\r\n"
    );
    let retry = Settlement::Retry {
        at: 300,
        because: "451".into(),
    };
    store.settle(leased[0].id, &retry).unwrap();
    assert_eq!(store.next_due().unwrap(), Some(300));
    // A clock that ran ahead: what it has put off is due once it is set back, and young.
    assert_eq!(store.bring_back(200, 300).unwrap(), 0);
    assert_eq!(store.bring_back(3, 200).unwrap(), 1);
    assert_eq!(store.next_due().unwrap(), Some(3));
    let ahead = store.lease(4, 400, 1).unwrap();
    assert_eq!(ahead[0].outgoing.accepted, 3);
    store.settle(ahead[0].id, &retry).unwrap();
    let again = store.lease(300, 400, 1).unwrap();
    assert_eq!((again[0].attempts, again[0].told_late), (2, false));
    assert!(store.tell_late(again[0].id).unwrap());
    assert!(!store.tell_late(again[0].id).unwrap(), "told twice");
    let sent = Settlement::Sent {
        feedback_id: Some("8c1f6e02".into()),
        until: 500,
        now: 400,
    };
    store.settle(again[0].id, &sent).unwrap();
    let pair = (out.sender.clone(), out.recipient.clone());
    assert_eq!(store.sent_to("8c1f6e02").unwrap(), [pair]);
    assert!(store.sent_to("8c1f6e03").unwrap().is_empty());
    assert_eq!((folder.files(), store.next_due().unwrap()), (0, None));
}

#[test]
fn a_crash_leaves_no_half_message() {
    let folder = Folder::new("crash");
    let store = Sqlite::open(&folder.0).unwrap();
    let alice = store.put_account("alice", "keys", &[]).unwrap();
    let mut kept = store.spool().unwrap();
    kept.write(b"kept").unwrap();
    store
        .commit(kept, &[delivery(inbox(&store, alice), "")], &[])
        .unwrap();
    let mut lost = store.spool().unwrap();
    lost.write(b"lost").unwrap();
    // As after `kill -9`: no destructor runs, and a body was moved but not entered.
    std::mem::forget(lost);
    std::fs::write(folder.0.join("bodies/orphan"), b"x").unwrap();
    drop(store);

    let store = Sqlite::open(&folder.0).unwrap();
    assert_eq!(
        std::fs::read_dir(folder.0.join("spool")).unwrap().count(),
        0
    );
    assert_eq!(folder.files(), 1);
    let message = store.message(inbox(&store, alice), 1).unwrap();
    assert_eq!(message.read_all().unwrap(), b"kept");
    let spool = store.spool().unwrap();
    assert_eq!(
        store
            .commit(spool, &[delivery(inbox(&store, alice), "")], &[])
            .unwrap(),
        [2]
    );
    assert!(
        store
            .commit(store.spool().unwrap(), &[delivery(MailboxId(99), "")], &[])
            .is_err()
    );
    assert_eq!(folder.files(), 2, "nothing is kept of what was not stored");
}

#[test]
fn what_was_being_delivered_is_due_after_a_restart() {
    let folder = Folder::new("leases");
    let store = Sqlite::open(&folder.0).unwrap();
    let out = Outgoing {
        sender: String::new(),
        recipient: "carol@example.net".into(),
        added: Vec::new(),
        smtputf8: false,
        accepted: 5,
        dsn: Dsn::default(),
    };
    let put = |store: &Sqlite| {
        store
            .commit(store.spool().unwrap(), &[], std::slice::from_ref(&out))
            .unwrap()
    };
    put(&store);
    let first = store.lease(5, 3600, 10).unwrap().remove(0);
    assert!(store.lease(6, 3600, 10).unwrap().is_empty());
    // A tool that looks into the store of a running server leaves what is being sent, and what is arriving, alone.
    let mut arriving = store.spool().unwrap();
    arriving.write(b"Subject: 1\r\n\r\n").unwrap();
    let beside = Sqlite::open_beside(&folder.0).unwrap();
    assert!(beside.lease(6, 3600, 10).unwrap().is_empty());
    drop(beside);
    store.commit(arriving, &[], &[]).unwrap();
    drop(store);
    let store = Sqlite::open(&folder.0).unwrap();
    let again = store.lease(6, 3600, 10).unwrap().remove(0);
    assert_eq!(again, first);
    store.settle(again.id, &Settlement::Done).unwrap();
    put(&store);
    let second = store.lease(6, 3600, 10).unwrap().remove(0);
    assert_ne!(
        second.id, first.id,
        "an id is never given twice: message ids of bounces hold it"
    );
}

#[test]
fn mailboxes_and_flags() {
    let folder = Folder::new("boxes");
    let store = Sqlite::open(&folder.0).unwrap();
    let alice = store.put_account("alice", "keys", &[]).unwrap();
    let first = store.create(alice, "a/b/c").unwrap();
    assert!(store.mailbox(alice, "a/b").unwrap().is_some());
    assert!(matches!(
        store.create(alice, "a/b/c"),
        Err(StoreError::Exists(_))
    ));
    assert!(matches!(
        store.delete(alice, "InBox"),
        Err(StoreError::Refused(_))
    ));
    store.rename(alice, "a/b", "z").unwrap();
    assert!(store.mailbox(alice, "z/c").unwrap().is_some());
    assert!(store.mailbox(alice, "a/b").unwrap().is_none());
    assert!(store.rename(alice, "z", "z/y").is_err());
    store.delete(alice, "z/c").unwrap();
    assert!(store.create(alice, "z/c").unwrap().uid_validity > first.uid_validity);

    let inbox = inbox(&store, alice);
    store
        .commit(store.spool().unwrap(), &[delivery(inbox, "")], &[])
        .unwrap();
    let seen = ["\\Seen".to_owned()];
    store.flag(inbox, &[1, 7], FlagChange::Add, &seen).unwrap();
    let flagged = store
        .flag(
            inbox,
            &[1],
            FlagChange::Add,
            &["\\seen".into(), "$Junk".into()],
        )
        .unwrap();
    assert_eq!(flagged[0].1.len(), 2);
    store.rename(alice, "INBOX", "old").unwrap();
    assert!(store.entries(inbox).unwrap().is_empty());
    let old = store.mailbox(alice, "old").unwrap().unwrap();
    assert_eq!((store.entries(old.id).unwrap().len(), old.uid_next), (1, 2));
    store
        .flag(old.id, &[1], FlagChange::Remove, &["\\SEEN".into()])
        .unwrap();
    assert_eq!(store.entries(old.id).unwrap()[0].flags, ["$Junk"]);
    store
        .flag(old.id, &[1], FlagChange::Replace, &seen)
        .unwrap();
    assert_eq!(store.entries(old.id).unwrap()[0].flags, seen);
}

#[test]
fn report_rows_are_counted_by_day_and_domain() {
    let folder = Folder::new("reports");
    let store = Sqlite::open(&folder.0).unwrap();
    let count = |day, domain: &str, row: &str| {
        store
            .count_report_row(day, domain, "v=DMARC1; p=none", row, false, 2)
            .unwrap();
    };
    count(7, "example.org", "a");
    count(7, "example.org", "a");
    count(7, "example.org", "b");
    count(7, "example.org", "beyond the limit");
    count(7, "example.net", "a");
    count(8, "example.org", "a");
    drop(store);
    let store = Sqlite::open(&folder.0).unwrap();
    let due = |day| store.reports_before(day).unwrap();
    assert_eq!(due(7), []);
    let domains = ["example.net", "example.org"].map(|domain| (7, domain.to_owned()));
    assert_eq!(due(8), domains);
    let rows = store.report_rows(7, "example.org").unwrap();
    let counts: Vec<_> = rows
        .iter()
        .map(|row| (row.row.as_str(), row.count))
        .collect();
    assert_eq!(counts, [("a", 2), ("b", 1)]);
    store.forget_report(7, "example.org").unwrap();
    assert_eq!(due(8), domains[..1]);
    assert_eq!(due(9).len(), 2);
}

#[test]
fn what_screening_remembers_survives_a_restart_and_ends() {
    let folder = Folder::new("screening");
    let attempt = |sender| Attempt::new("192.0.2.1".parse().unwrap(), sender, "ann@example.org");
    // As the server does at each start: the keys are made of a secret of the store.
    let check = |sender, now| {
        let store = Sqlite::open(&folder.0).unwrap();
        let secret = store.secret().unwrap();
        let greylist = Greylist::new(Keys::new(*secret.first_chunk().unwrap()));
        screen(&store, now, |memory| {
            greylist.check(memory, &attempt(sender), now)
        })
        .unwrap()
    };
    let rows = || {
        let connection = rusqlite::Connection::open(folder.0.join("screening.sqlite")).unwrap();
        connection
            .query_row("SELECT COUNT(*) FROM screening", [], |row| {
                row.get::<_, u32>(0)
            })
            .unwrap()
    };
    assert!(matches!(check("a@x", 1_000), Decision::Delay { .. }));
    assert_eq!(check("a@x", 1_060), Decision::Pass(Known::Retry));
    assert_eq!(check("b@x", 1_061), Decision::Pass(Known::Client));
    assert_eq!(rows(), 2);
    // Long after: what ended is gone, but for the row that came.
    let later = 1_061 + 36 * 86_400;
    assert!(matches!(check("b@x", later), Decision::Delay { .. }));
    assert_eq!(rows(), 1);
    // Each number of a value is kept with all its bits, and an end beyond the database's numbers too.
    let store = Sqlite::open(&folder.0).unwrap();
    let key = Keys::new([1; 16]).key(Kind::Rate, &[b"x"]);
    let value = [0, u64::MAX, 1 << 63];
    let save = |memory: &mut Memory<'_>| memory.save(key, value, u64::MAX);
    screen(&store, later, save).unwrap();
    let load = |now| screen(&store, now, |memory| memory.load(&key, now)).unwrap();
    assert_eq!((load(0), load(u64::MAX)), (Some(value), Some(value)));
    // A measure that fails leaves nothing behind.
    let failed = screen(&store, later, |memory| {
        memory.save(key, [0; 3], u64::MAX)?;
        Err::<(), _>(StoreError::Interrupted)
    });
    assert!(failed.is_err());
    assert_eq!(load(later), Some(value));
}

/// As the version before wrote it: no column for reports about reports, no destinations.
#[test]
fn a_store_of_version_2_is_brought_up_to_date() {
    let folder = Folder::new("version-2");
    drop(Sqlite::open(&folder.0).unwrap());
    let database = rusqlite::Connection::open(folder.0.join("mail.sqlite")).unwrap();
    let older = "DROP TABLE report_destinations; ALTER TABLE dmarc_rows DROP COLUMN reports;
                 CREATE TABLE grey (key TEXT); ALTER TABLE queue DROP COLUMN told_late;
                 ALTER TABLE queue DROP COLUMN dsn;
                 DROP TABLE suppressed; DROP TABLE sent;
                 INSERT INTO dmarc_rows VALUES (9, 'example.net', 'record', 'row', 7);
                 PRAGMA user_version = 2";
    database.execute_batch(older).unwrap();

    let store = Sqlite::open(&folder.0).unwrap();
    store
        .count_report_row(9, "example.net", "record", "row", true, 10)
        .unwrap();
    let rows = store.report_rows(9, "example.net").unwrap();
    assert_eq!((rows[0].count, rows[0].reports), (8, 1));
    let kept = ReportDestination {
        state: "state".to_owned(),
        until: 100,
    };
    let change = |now, gives: Option<ReportDestination>| {
        let mut seen = None;
        let mut change = |known, count| {
            seen = Some((known, count));
            gives.clone()
        };
        store
            .change_report_destination("a@example.net", now, &mut change)
            .unwrap();
        seen.unwrap()
    };
    assert_eq!(change(1, Some(kept.clone())), (None, 0));
    assert_eq!(change(99, Some(kept.clone())), (Some(kept.clone()), 1));
    // What no longer matters is forgotten.
    assert_eq!(change(100, Some(kept.clone())), (None, 0));
    assert_eq!(change(1, None), (Some(kept), 1));
    assert_eq!(change(1, None), (None, 0));

    let newer = "PRAGMA user_version = 99";
    database.execute_batch(newer).unwrap();
    drop(store);
    assert!(matches!(
        Sqlite::open(&folder.0),
        Err(StoreError::Refused(_))
    ));
}
