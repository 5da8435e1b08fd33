//! What a sender wants to be told of each recipient (RFC 3461), from RCPT to where the recipient's mail goes.

use std::collections::{BTreeMap, BTreeSet};

use mail_syntax::ForwardPath;
use smtp_proto::{MailParameters, RcptParameters};

use crate::queue::{Success, Way};
use crate::routing::Route;
use crate::store::Dsn;

/// The wishes of a message's sender.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Of the whole message.
    message: Dsn,
    elsewhere: BTreeMap<Route, Dsn>,
    /// Of whom he is told once the message is here.
    pub(super) here: Vec<Success>,
}

impl Wishes {
    /// As they came with MAIL.
    pub(super) fn new(parameters: &MailParameters) -> Self {
        let mut wishes = Self::default();
        wishes.message.ret = parameters.ret;
        wishes.message.envid.clone_from(&parameters.envid);
        wishes
    }

    /// Adds those that came with RCPT. Where two recipients lead to one place, the first counts.
    pub(super) fn recipient(
        &mut self,
        forward_path: &ForwardPath,
        parameters: RcptParameters,
        routes: &BTreeSet<Route>,
    ) {
        let dsn = Dsn {
            notify: parameters.notify,
            orcpt: parameters.orcpt,
            ..self.message.clone()
        };
        if dsn == Dsn::default() {
            return;
        }
        let is_alone = routes.len() == 1;
        let way = match routes.first() {
            Some(Route::Local(_)) if is_alone => Some(Way::Delivered),
            // RFC 3461 §5.2.7.2: "Any ENVID, NOTIFY, RET, or ORCPT parameters SHOULD be propagated with the message as it is
            // redistributed to the forwarding address."
            Some(Route::Remote(_)) if is_alone => None,
            // RFC 3461 §5.2.7.3: "The NOTIFY parameter is propagated to the forwarding addresses, except that it any SUCCESS keyword is
            // removed. If the original NOTIFY parameter for the alias contained the SUCCESS keyword, an "expanded" DSN is issued for the
            // alias."
            _ => Some(Way::Expanded),
        };
        let passed_on = match way {
            None => dsn.clone(),
            Some(_) => dsn.clone().without_success(),
        };
        for route in routes {
            self.elsewhere
                .entry(route.clone())
                .or_insert_with(|| passed_on.clone());
        }
        if let Some(way) = way.filter(|_| dsn.wants_success()) {
            let recipient = match forward_path {
                ForwardPath::Postmaster => "postmaster".to_owned(),
                ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
            };
            self.here.push(Success {
                recipient,
                way,
                dsn,
            });
        }
    }

    /// Those that go with the message to this place.
    pub(super) fn of(&self, route: &Route) -> Dsn {
        self.elsewhere.get(route).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::AccountId;

    #[test]
    fn an_alias_of_one_passes_all_on_and_one_of_many_all_but_success() {
        let (ann, joe) = (
            Route::Local(AccountId(1)),
            Route::Remote("joe@a.example".to_owned()),
        );
        for (routes, notify, of_joe, told) in [
            (
                &[&joe][..],
                "SUCCESS,FAILURE",
                "NOTIFY=SUCCESS,FAILURE RET=FULL",
                None,
            ),
            (&[&ann], "SUCCESS", "", Some(Way::Delivered)),
            (&[&ann], "FAILURE", "", None),
            (&[&ann], "NEVER", "", None),
            (
                &[&ann, &joe],
                "SUCCESS,DELAY",
                "NOTIFY=DELAY RET=FULL",
                Some(Way::Expanded),
            ),
            (
                &[&ann, &joe],
                "SUCCESS",
                "NOTIFY=NEVER RET=FULL",
                Some(Way::Expanded),
            ),
            (&[&ann, &joe], "NEVER", "NOTIFY=NEVER RET=FULL", None),
        ] {
            let mut parameters = MailParameters::default();
            parameters.ret = Some("FULL".parse().unwrap());
            let mut wishes = Wishes::new(&parameters);
            let mut parameters = RcptParameters::default();
            parameters.notify = Some(notify.parse().unwrap());
            let routes: BTreeSet<Route> = routes.iter().map(|it| (*it).clone()).collect();
            let path = "<list@example.org>".parse().unwrap();
            wishes.recipient(&path, parameters, &routes);
            assert_eq!(wishes.of(&joe).to_string(), of_joe, "{notify}");
            let ways: Vec<Way> = wishes.here.iter().map(|it| it.way).collect();
            assert_eq!(ways, told.into_iter().collect::<Vec<_>>(), "{notify}");
        }
    }
}
