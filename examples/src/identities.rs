//! Whom a user may send as: what stands in MAIL FROM, From and Sender must be addresses of the account that has logged in.

use std::collections::BTreeSet;

use mail_syntax::address_list::{AddressList, AddressListError};
use mail_syntax::header::Header;

use crate::routing::{Route, routes};
use crate::server::Context;
use crate::store::{AccountId, StoreError};

/// Who has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitter {
    /// The account.
    pub account: AccountId,
    /// Its login name.
    pub name: String,
}

/// Addresses in From and Sender of one message; each costs a look into the store.
const MOST_ADDRESSES: usize = 100;

/// Why a message of a user is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// An address of somebody else, or of nobody.
    // Replies are ASCII unless both sides have agreed on something else (RFC 6531 §3.7.4.1).
    #[error("{field}: {} is no address of yours, and none that you may send as", address.escape_default())]
    NotYours {
        /// Where it stands.
        field: &'static str,
        /// Which.
        address: String,
    },
    /// It cannot be told whose message it says it is.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why it cannot be told from the header whose message it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// RFC 5322 §3.6 wants one From field, and no more than one Sender.
    #[error("{count} {field} fields, where there must be one")]
    Count {
        /// Which.
        field: &'static str,
        /// How many.
        count: usize,
    },
    /// A field that is no list of addresses.
    #[error("{field}: {error}")]
    List {
        /// Which.
        field: &'static str,
        /// Why not.
        error: AddressListError,
    },
    /// An address that no mail can be sent to, or an empty list.
    #[error("{field}: not an address that a user can have")]
    Address {
        /// Which.
        field: &'static str,
    },
    /// More addresses than are looked up.
    #[error("From and Sender: more than {MOST_ADDRESSES} addresses")]
    TooMany,
}

/// The addresses that a message says it is from, each with the name of its field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authors(BTreeSet<(&'static str, String)>);

impl Authors {
    /// The addresses of From.
    pub fn from(&self) -> impl Iterator<Item = &str> {
        let from = self.0.iter().filter(|(field, _)| *field == "From");
        from.map(|(_, address)| address.as_str())
    }

    /// Those of From and Sender.
    ///
    /// # Errors
    ///
    /// What is wrong with the fields.
    pub fn of(header: &Header<'_>) -> Result<Self, HeaderError> {
        let mut authors = Self::default();
        for (field, least) in [("From", 1), ("Sender", 0)] {
            let fields: Vec<_> = header.named(field).collect();
            let count = fields.len();
            if count > 1 || count < least {
                return Err(HeaderError::Count { field, count });
            }
            for body in fields {
                authors.add(field, body.body())?;
            }
        }
        Ok(authors)
    }

    fn add(&mut self, field: &'static str, body: &[u8]) -> Result<(), HeaderError> {
        let list = AddressList::parse(body).map_err(|error| HeaderError::List { field, error })?;
        let mut mailboxes = list.mailboxes().peekable();
        if mailboxes.peek().is_none() {
            return Err(HeaderError::Address { field });
        }
        for named in mailboxes {
            let mailbox = named.addr_spec().mailbox();
            let mailbox = mailbox.map_err(|_| HeaderError::Address { field })?;
            self.0.insert((field, mailbox.to_string()));
            if self.0.len() > MOST_ADDRESSES {
                return Err(HeaderError::TooMany);
            }
        }
        Ok(())
    }
}

/// Whether the submitter may send a message that says it is from these.
///
/// # Errors
///
/// Why not.
pub async fn check(
    context: &Context,
    submitter: &Submitter,
    authors: Result<Authors, HeaderError>,
) -> Result<(), Refused> {
    if !context.config.submission.own_addresses_only {
        return Ok(());
    }
    for (field, address) in authors?.0 {
        if !may_send_as(context, submitter, &address).await? {
            return Err(Refused::NotYours { field, address });
        }
    }
    Ok(())
}

/// Whether the submitter may send as this address: one of the account's own, with a `+detail` too, an alias that leads to it, or one that the
/// configuration gives it.
///
/// # Errors
///
/// A failure of the store.
pub async fn may_send_as(
    context: &Context,
    submitter: &Submitter,
    address: &str,
) -> Result<bool, StoreError> {
    let config = &context.config.submission;
    if !config.own_addresses_only {
        return Ok(true);
    }
    let given = config.identities.get(&submitter.name);
    let is_given = given.into_iter().flatten().any(|identity| {
        let domain = address.rfind('@').and_then(|at| address.get(at..));
        identity.eq_ignore_ascii_case(address)
            || domain.is_some_and(|domain| identity.eq_ignore_ascii_case(domain))
    });
    if is_given || (context.accounts.may_send_as(submitter.account, address)).await? {
        return Ok(true);
    }
    let routes = routes(context, address).await?;
    Ok(routes.contains(&Route::Local(submitter.account)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_are_read_or_the_header_is_refused() {
        let of = |header: &str| {
            let message = format!("{header}\r\n\r\n");
            let (header, _) = Header::split(message.as_bytes(), &Default::default()).unwrap();
            let authors = Authors::of(&header)?;
            let addresses = authors
                .0
                .into_iter()
                .map(|(field, it)| format!("{field} {it}"));
            Ok(addresses.collect::<Vec<_>>().join(", "))
        };
        for (header, authors) in [
            ("From: a@b.example", "From a@b.example"),
            (
                "From: A <a@b.example>, g: c@d.example;\r\nSender: e@f.example",
                "From a@b.example, From c@d.example, Sender e@f.example",
            ),
            (
                "from: \"a b\"@c.example (d@e.example)",
                "From \"a b\"@c.example",
            ),
        ] {
            assert_eq!(of(header), Ok(authors.to_owned()), "{header}");
        }
        let count = |field, count| HeaderError::Count { field, count };
        for (header, error) in [
            ("Subject: x", count("From", 0)),
            ("From: a@b.example\r\nFrom: a@b.example", count("From", 2)),
            (
                "From: a@b.example\r\nSender: a@b.example\r\nSender: c@d.example",
                count("Sender", 2),
            ),
            ("From: g:;", HeaderError::Address { field: "From" }),
        ] {
            assert_eq!(of(header), Err(error), "{header}");
        }
        assert!(matches!(
            of("From: a@b.example, <"),
            Err(HeaderError::List { field: "From", .. })
        ));
        // RFC 5321 §4.5.3.1.1 ends local parts at 64 octets.
        let long = format!("From: {}@b.example", "a".repeat(65));
        assert_eq!(of(&long), Err(HeaderError::Address { field: "From" }));
        let many: Vec<_> = (0..101)
            .map(|number| format!("a{number}@b.example"))
            .collect();
        let many = format!("From: {}", many.join(",\r\n "));
        assert_eq!(of(&many), Err(HeaderError::TooMany));
    }
}
