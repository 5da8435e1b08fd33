//! What is done with mailboxes: LIST, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE.

use std::collections::BTreeMap;

use imap_proto::server::{AnswerError, Refusal, asked};
use imap_proto::{
    ExtensionValue, Keyword, List, ListEntry, ListReturn, ListSelect, Mailbox, StatusItem,
    StatusValue, Word, decode_utf7, list_pattern_matches,
};
use mail_wire::Pending;

use super::{Connection, refusal};
use crate::store::{self, AccountId, Store, StoreError};

/// Special uses (RFC 6154) of the mailboxes that every account begins with.
const SPECIAL: [(&str, &str); 4] = [
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
];

fn special_use(name: &str) -> Option<&'static str> {
    let found = SPECIAL.iter().find(|(mailbox, _)| *mailbox == name);
    found.map(|(_, attribute)| *attribute)
}

/// A name of LIST: `None` for a level that has none of its own.
type Tree = BTreeMap<String, Option<store::Mailbox>>;

fn tree(mailboxes: Vec<store::Mailbox>) -> Tree {
    let mut tree = Tree::new();
    for mailbox in mailboxes {
        for (end, _) in mailbox.name.match_indices('/') {
            if let Some(above) = mailbox.name.get(..end) {
                tree.entry(above.to_owned()).or_insert(None);
            }
        }
        tree.insert(mailbox.name.clone(), Some(mailbox));
    }
    tree
}

/// The names below one.
fn below<'t>(tree: &'t Tree, name: &str) -> impl Iterator<Item = &'t Option<store::Mailbox>> {
    let prefix = format!("{name}/");
    let from = tree.range(prefix.clone()..);
    from.take_while(move |(name, _)| name.starts_with(&prefix))
        .map(|(_, mailbox)| mailbox)
}

/// Reads a reference or pattern: modified UTF-7, or UTF-8 once IMAP4rev2 is enabled; what is no UTF-7 stands for itself.
fn decoded(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    decode_utf7(&text).unwrap_or_else(|_| text.into_owned())
}

type Listed = Vec<(ListEntry, Option<Vec<StatusValue>>)>;

fn listed(store: &dyn Store, account: AccountId, list: &List) -> Result<Listed, StoreError> {
    let is_root = |pattern: &Vec<u8>| pattern.is_empty();
    if !list.extended_patterns && list.patterns.iter().all(is_root) {
        // RFC 9051 §6.3.9: "an empty ("" string) mailbox name argument is a special request to return the hierarchy delimiter and
        // the root name of the name given in the reference."
        return Ok(entry("", &["\\Noselect"])
            .map(|root| (root, None))
            .into_iter()
            .collect());
    }
    let reference = decoded(&list.reference);
    let patterns: Vec<String> = list
        .patterns
        .iter()
        .map(|pattern| format!("{reference}{}", decoded(pattern)))
        .collect();
    let selects = |option| list.select.contains(&option);
    let returns = list.returns.as_deref().unwrap_or_default();
    let shows_subscribed =
        selects(ListSelect::Subscribed) || returns.contains(&ListReturn::Subscribed);
    let status = returns.iter().find_map(|option| match option {
        ListReturn::Status(items) => Some(&items[..]),
        _ => None,
    });
    let tree = tree(store.mailboxes(account)?);
    let mut all = Vec::new();
    for (name, mailbox) in &tree {
        let fits = |pattern: &String| list_pattern_matches(pattern, name, Some('/'));
        let special = special_use(name).filter(|_| mailbox.is_some());
        if !patterns.iter().any(fits) || (selects(ListSelect::SpecialUse) && special.is_none()) {
            continue;
        }
        let subscribed = mailbox.as_ref().is_some_and(|mailbox| mailbox.subscribed);
        // RFC 5258 §3.5: CHILDINFO tells that something below fits the selection.
        let subscribed_below = selects(ListSelect::Subscribed)
            && selects(ListSelect::RecursiveMatch)
            && below(&tree, name)
                .flatten()
                .any(|mailbox| mailbox.subscribed);
        if selects(ListSelect::Subscribed) && !subscribed && !subscribed_below {
            continue;
        }
        let mut attributes = vec![match below(&tree, name).next() {
            Some(_) => "\\HasChildren",
            None => "\\HasNoChildren",
        }];
        if mailbox.is_none() {
            // RFC 9051 §7.3.1: \NonExistent implies \Noselect; IMAP4rev1 knows only the latter.
            attributes.extend(["\\NonExistent", "\\Noselect"]);
        }
        if subscribed && shows_subscribed {
            attributes.push("\\Subscribed");
        }
        attributes.extend(special);
        let Some(mut entry) = entry(name, &attributes) else {
            continue;
        };
        if subscribed_below {
            let subscribed = ExtensionValue::String(b"SUBSCRIBED".to_vec());
            let info = ExtensionValue::List(vec![subscribed]);
            entry.extended.push((b"CHILDINFO".to_vec(), info));
        }
        let values = match (status, mailbox) {
            (Some(items), Some(mailbox)) => Some(counted(store, mailbox, items)?),
            _ => None,
        };
        all.push((entry, values));
    }
    Ok(all)
}

/// `None` for a name that IMAP cannot say, which the store does not hold.
fn entry(name: &str, attributes: &[&str]) -> Option<ListEntry> {
    Some(ListEntry {
        attributes: attributes.iter().filter_map(|a| a.parse().ok()).collect(),
        delimiter: Some('/'),
        mailbox: Mailbox::new(name).ok()?,
        extended: Vec::new(),
    })
}

fn counted(
    store: &dyn Store,
    mailbox: &store::Mailbox,
    items: &[StatusItem],
) -> Result<Vec<StatusValue>, StoreError> {
    let entries = store.entries(mailbox.id)?;
    let having = |flag: &str| {
        let has = |entry: &&store::Entry| entry.flags.iter().any(|one| one == flag);
        entries.iter().filter(has).count() as u64
    };
    let after_last = entries
        .last()
        .map_or(1, |entry| entry.uid.saturating_add(1));
    let value = |item| match item {
        StatusItem::Messages => entries.len() as u64,
        StatusItem::Recent => 0,
        StatusItem::UidNext => mailbox.uid_next.max(after_last).into(),
        StatusItem::UidValidity => mailbox.uid_validity.into(),
        StatusItem::Unseen => entries.len() as u64 - having("\\Seen"),
        StatusItem::Deleted => having("\\Deleted"),
        StatusItem::Size => entries.iter().map(|entry| entry.size).sum(),
    };
    let values = items
        .iter()
        .map(|item| StatusValue::Known(*item, value(*item)));
    Ok(values.collect())
}

/// The name of a mailbox that is to be made.
fn new_name(mailbox: &Mailbox) -> Result<String, Refusal> {
    // RFC 9051 §6.3.4: "If the mailbox name is suffixed with the server's hierarchy separator character [...], this is a declaration
    // that the client intends to create mailbox names under this name in the hierarchy."
    let name = mailbox.as_str();
    let name = name.strip_suffix('/').unwrap_or(name);
    if name.len() > 1000 || name.split('/').count() > 32 {
        return Err(Refusal::new(Word::Limit, "The name is too long"));
    }
    // RFC 9051 §5.1: wildcards in names cause trouble; and a level needs a name.
    if name.contains(['*', '%']) || name.split('/').any(str::is_empty) {
        return Err(Refusal::new(Word::Cannot, "No mailbox can have this name"));
    }
    Ok(name.to_owned())
}

impl Connection {
    pub(super) async fn list(
        &mut self,
        account: AccountId,
        asked: Pending<asked::List>,
        what: List,
    ) -> Result<(), AnswerError> {
        let found = self
            .context
            .store(move |store| listed(store, account, &what));
        match found.await {
            Ok(entries) => Ok(self.driver.session().listed(asked, entries)?),
            Err(error) => Ok(self.driver.session().refuse(asked, &refusal(error))?),
        }
    }

    pub(super) async fn status(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Status>,
        mailbox: &Mailbox,
        items: Vec<StatusItem>,
    ) -> Result<(), AnswerError> {
        let name = mailbox.as_str().to_owned();
        let values = self.context.store(move |store| {
            let mailbox = store.mailbox(account, &name)?;
            let mailbox = mailbox.ok_or(StoreError::Missing("the mailbox"))?;
            counted(store, &mailbox, &items)
        });
        match values.await {
            Ok(values) => Ok(self.driver.session().status(asked, values)?),
            Err(error) => Ok(self.driver.session().refuse(asked, &refusal(error))?),
        }
    }

    pub(super) async fn create(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Plain>,
        mailbox: &Mailbox,
        uses: &[Keyword],
    ) -> Result<(), AnswerError> {
        let named = new_name(mailbox).and_then(|name| {
            let has = |attribute: &Keyword| {
                special_use(&name).is_some_and(|own| own.eq_ignore_ascii_case(attribute.as_str()))
            };
            // RFC 6154 §3: "If the server cannot create a mailbox with the designated special use defined, for whatever reason, it
            // MUST NOT create the mailbox, and MUST respond to the CREATE command with a tagged NO response."
            match uses.iter().all(has) {
                true => Ok(name),
                false => Err(Refusal::new(
                    Word::UseAttr,
                    "This use has a mailbox of its own",
                )),
            }
        });
        let made = match named {
            Ok(name) => {
                let made = self
                    .context
                    .store(move |store| store.create(account, &name));
                made.await.map(drop).map_err(refusal)
            }
            Err(refusal) => Err(refusal),
        };
        self.done(asked, made)
    }

    pub(super) async fn delete(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Plain>,
        mailbox: &Mailbox,
    ) -> Result<(), AnswerError> {
        let name = mailbox.as_str().to_owned();
        let deleted = self
            .context
            .store(move |store| store.delete(account, &name));
        let deleted = deleted.await.map_err(refusal);
        self.look_again().await;
        self.done(asked, deleted)
    }

    pub(super) async fn rename(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Plain>,
        from: &Mailbox,
        to: &Mailbox,
    ) -> Result<(), AnswerError> {
        let renamed = match new_name(to) {
            Ok(to) => {
                let from = from.as_str().to_owned();
                let renamed = self
                    .context
                    .store(move |store| store.rename(account, &from, &to));
                renamed.await.map_err(refusal)
            }
            Err(refusal) => Err(refusal),
        };
        self.look_again().await;
        self.done(asked, renamed)
    }

    pub(super) async fn subscribe(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Plain>,
        mailbox: &Mailbox,
        subscribed: bool,
    ) -> Result<(), AnswerError> {
        let name = mailbox.as_str().to_owned();
        let done = self
            .context
            .store(move |store| store.subscribe(account, &name, subscribed));
        let done = done.await.map_err(refusal);
        self.done(asked, done)
    }

    fn done(
        &mut self,
        asked: Pending<asked::Plain>,
        outcome: Result<(), Refusal>,
    ) -> Result<(), AnswerError> {
        let session = self.driver.session();
        match outcome {
            Ok(()) => session.done(asked)?,
            Err(refusal) => session.refuse(asked, &refusal)?,
        }
        Ok(())
    }
}
