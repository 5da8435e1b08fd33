//! APPEND: a message on its way into a mailbox.

use bytes::Bytes;
use imap_proto::server::{AnswerError, Refusal, asked};
use imap_proto::{Append, Word};
use mail_wire::Pending;

use super::selected::{kept, non_zero};
use super::{Connection, refusal};
use crate::server::now;
use crate::store::{AccountId, Delivery, Mailbox, Spool, StoreError};

/// A message that is arriving.
pub(super) struct Incoming {
    mailbox: Mailbox,
    flags: Vec<String>,
    internal_date: u64,
    /// What is there of it, or why it is not kept.
    spool: Result<Spool, Refusal>,
}

fn try_create() -> Refusal {
    // RFC 9051 §6.3.12: "If the destination mailbox does not exist, a server MUST return an error and MUST NOT automatically create
    // the mailbox."
    Refusal::new(Word::TryCreate, "There is no such mailbox")
}

impl Connection {
    pub(super) async fn append(
        &mut self,
        account: AccountId,
        asked: Pending<asked::Append>,
        arguments: Append,
    ) -> Result<(), AnswerError> {
        let name = arguments.mailbox.as_str().to_owned();
        let opened = self.context.store(move |store| {
            let Some(mailbox) = store.mailbox(account, &name)? else {
                return Ok(None);
            };
            Ok(Some((mailbox, store.spool()?)))
        });
        let (mailbox, spool) = match opened.await {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(self.driver.session().refuse_append(asked, &try_create())?),
            Err(error) => {
                let refusal = refusal(error);
                return Ok(self.driver.session().refuse_append(asked, &refusal)?);
            }
        };
        self.incoming = Some(Incoming {
            mailbox,
            flags: kept(&arguments.flags),
            internal_date: arguments.date.map_or_else(now, |date| date.to_unix().0),
            spool: Ok(spool),
        });
        Ok(self.driver.session().accept_append(asked)?)
    }

    pub(super) async fn append_body(&mut self, octets: Bytes) {
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        // What was refused is read to its end all the same: the answer comes behind it.
        let dropped = || Err(refusal(StoreError::Interrupted));
        let Ok(mut spool) = std::mem::replace(&mut incoming.spool, dropped()) else {
            return;
        };
        // RFC 9051 §4.3: a literal holds no NUL, so such a message could not be given back.
        if octets.contains(&0) {
            incoming.spool = Err(Refusal::new(Word::Cannot, "The message holds a NUL"));
            return;
        }
        let written = self.context.store(move |_| {
            spool.write(&octets)?;
            Ok(spool)
        });
        incoming.spool = written.await.map_err(refusal);
    }

    pub(super) async fn append_end(
        &mut self,
        asked: Pending<asked::Appended>,
    ) -> Result<(), AnswerError> {
        let Some(incoming) = self.incoming.take() else {
            let refusal = refusal(StoreError::Interrupted);
            return Ok(self.driver.session().refuse(asked, &refusal)?);
        };
        let validity = non_zero(incoming.mailbox.uid_validity);
        let stored = match incoming.spool {
            Err(refusal) => Err(refusal),
            Ok(spool) => {
                let delivery = Delivery {
                    mailbox: incoming.mailbox.id,
                    added: Vec::new(),
                    flags: incoming.flags,
                    internal_date: incoming.internal_date,
                };
                let stored = self
                    .context
                    .store(move |store| store.commit(spool, &[delivery], &[]));
                stored.await.map_err(|error| match error {
                    // Deleted while the message came.
                    StoreError::Missing(_) => try_create(),
                    error => refusal(error),
                })
            }
        };
        match stored {
            Ok(uids) => {
                // RFC 9051 §6.3.12: "If the mailbox is currently selected, normal new message actions SHOULD occur."
                self.look_again().await;
                let at = uids.first().map(|uid| (validity, non_zero(*uid)));
                Ok(self.driver.session().appended(asked, at)?)
            }
            Err(refusal) => Ok(self.driver.session().refuse(asked, &refusal)?),
        }
    }
}
