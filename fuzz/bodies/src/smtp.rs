//! The server's side of SMTP and LMTP.

use std::sync::Arc;

use mail_wire::Secret;
use sasl_core::server::{Question, ServerConfig, is_own};
use sasl_core::{Entropy, PlaintextPolicy};
use smtp_proto::server::{Config, Event, Role, Session, StartTls};
use smtp_proto::{EnhancedStatus, Reply};
use testkit::Seen;

use crate::pieces::same_in_any_pieces;

/// A server sees the same commands and messages however they are cut; it speaks LMTP where the client begins with LHLO.
pub fn smtp_server_split(data: &[u8]) {
    let is_lmtp = data
        .get(..4)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"LHLO"));
    let mut config = Config::new("mx.example".parse().unwrap());
    config.role = if is_lmtp { Role::Lmtp } else { Role::Mx };
    config.start_tls = StartTls::Offered;
    config.dsn = true;
    config.vrfy = true;
    config.binary_mime = true;
    // Small ones, so that they are reached.
    config.limits.command_line = 512;
    config.limits.auth_line = 600;
    config.limits.message = 1_000;
    config.limits.discard = 2_000;
    config.limits.recipients = 3;
    config.limits.empty_chunks = 3;
    let mut sasl = ServerConfig::new(Secret::new([1; 32]));
    sasl.plaintext = PlaintextPolicy::Always;
    config.sasl = Some(sasl);
    let config = Arc::new(config);
    same_in_any_pieces(
        data,
        602,
        || Session::new(Arc::clone(&config), Entropy::new([2; 32])),
        || answer,
        |event| match event {
            Event::Body(octets) => Seen::Body(octets.to_vec()),
            event => Seen::debug(event),
        },
    );
}

/// Takes everything but mail for `green` (RFC 5321 appendix D.1); the one user is `tim`, by PLAIN and LOGIN.
fn answer(session: &mut Session, event: Event) {
    let answered = match event {
        Event::Connected(pending) => session.accept(pending).is_ok(),
        Event::Hello { pending, .. } => session.accept(pending).is_ok(),
        Event::Mail { pending, .. } => session.accept(pending).is_ok(),
        Event::Rcpt {
            forward_path,
            pending,
            ..
        } => {
            if forward_path
                .to_string()
                .to_ascii_lowercase()
                .contains("green")
            {
                let status = "5.1.1".parse::<EnhancedStatus>().unwrap();
                session
                    .reject(
                        pending,
                        Reply::new(550, status, "No such user here").unwrap(),
                    )
                    .is_ok()
            } else {
                session.accept(pending).is_ok()
            }
        }
        Event::Data(pending) => session.accept(pending).is_ok(),
        Event::EndOfData { pending, .. } => session.accept(pending).is_ok(),
        Event::Vrfy { pending, .. } => session.accept(pending).is_ok(),
        Event::Auth { question, pending } => match question {
            Question::CheckPassword { authcid, password } => {
                let is_right = authcid.as_str() == "tim" && password.ct_eq("tanstaaftanstaaf");
                session.password(pending, is_right)
            }
            Question::Authorize { authcid, authzid } => {
                session.authorized(pending, is_own(&authcid, authzid.as_ref()))
            }
            Question::StoredKeys { .. } => session.stored_keys(pending, None),
            _ => session.auth_unavailable(pending),
        }
        .is_ok(),
        _ => true,
    };
    assert!(answered, "an answer to the question that was asked");
}
