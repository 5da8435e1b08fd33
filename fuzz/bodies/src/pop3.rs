//! The server's side of POP3.

use std::sync::Arc;

use mail_wire::Secret;
use pop3_proto::maildrop::Message;
use pop3_proto::server::{Config, Event, Session};
use sasl_core::server::{Question, ServerConfig, is_own};
use sasl_core::{Entropy, PlaintextPolicy};
use testkit::Seen;

use crate::pieces::same_in_any_pieces;

const MESSAGES: [&[u8]; 2] = [b"a: b\r\n\r\n.\r\n", b"c: d\r\n\r\ne\r\nf\r\n"];

/// A server sees the same commands however they are cut, and sends the same.
pub fn pop3_server_split(data: &[u8]) {
    let mut sasl = ServerConfig::new(Secret::new([1; 32]));
    sasl.plaintext = PlaintextPolicy::Always;
    let mut config = Config::new(sasl);
    // A small one, so that it is reached.
    config.limits.auth_line = 500;
    let config = Arc::new(config);
    same_in_any_pieces(
        data,
        502,
        || Session::new(Arc::clone(&config), Entropy::new([2; 32])),
        || {
            // Which message is sent, and how much of it was.
            let mut sending = (0, 0);
            move |session: &mut Session, event| answer(session, event, &mut sending)
        },
        |event| match event {
            // How often there is room depends on how much was asked for at once.
            Event::Room(_) => Seen::Nothing,
            event => Seen::debug(event),
        },
    );
}

/// The one user is `mrose`, who has [`MESSAGES`]; they are sent in pieces of 5 octets.
fn answer(session: &mut Session, event: Event, sending: &mut (usize, usize)) {
    let answered = match event {
        Event::Connected(pending) => session.greet(pending, "POP3 server ready").is_ok(),
        Event::Auth { question, pending } => match question {
            Question::CheckPassword { authcid, password } => {
                let is_right = authcid.as_str() == "mrose" && password.ct_eq("tanstaaf");
                session.password(pending, is_right)
            }
            Question::Authorize { authcid, authzid } => {
                session.authorized(pending, is_own(&authcid, authzid.as_ref()))
            }
            Question::StoredKeys { .. } => session.stored_keys(pending, None),
            _ => session.auth_unavailable(pending),
        }
        .is_ok(),
        Event::OpenMaildrop { user, pending } => {
            assert_eq!(user.as_str(), "mrose", "nobody else has the password");
            let messages = MESSAGES.iter().zip(1..).map(|(message, number)| {
                let unique_id = format!("id-{number}").parse().unwrap();
                Message::new(message.len() as u64, unique_id)
            });
            session.maildrop(pending, messages.collect()).is_ok()
        }
        Event::Retrieve { number, pending }
        | Event::Top {
            number, pending, ..
        } => {
            *sending = (number.index(), 0);
            let size = MESSAGES
                .get(number.index())
                .expect("a message that there is")
                .len();
            session.promise(pending, size as u64).is_ok()
        }
        Event::Room(stream) => {
            let (index, at) = *sending;
            let rest = MESSAGES
                .get(index)
                .and_then(|message| message.get(at..))
                .unwrap_or_default();
            let piece = rest.get(..5).unwrap_or(rest);
            sending.1 += piece.len();
            session.send(stream, piece).is_ok()
        }
        Event::Update { deletes, pending } => {
            assert!(deletes.iter().all(|number| number.index() < MESSAGES.len()));
            session.updated(pending).is_ok()
        }
        _ => true,
    };
    assert!(answered, "an answer to the question that was asked");
}
