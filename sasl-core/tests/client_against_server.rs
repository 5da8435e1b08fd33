//! Laws of whole exchanges: the right secret always gets in, nothing else ever does.
#![allow(clippy::unwrap_used)]

use mail_wire::{Secret, TlsInfo};
use proptest::prelude::*;
use sasl_core::server::{self, Next, Question};
use sasl_core::{Credentials, Entropy, Mechanism, Mechanisms, StoredKeys, client, prepare};

fn tls() -> TlsInfo {
    let mut tls = TlsInfo::default();
    tls.version = "TLSv1.3".to_owned();
    tls.exporter = Some([9; 32]);
    tls
}

type Tamper = Box<dyn Fn(&mut Vec<u8>)>;

struct Setting {
    mechanism: Mechanism,
    offered_to_client: Mechanisms,
    client_tls: Option<TlsInfo>,
    server_tls: Option<TlsInfo>,
    /// Changes the message of this number.
    tamper: Option<(usize, Tamper)>,
}

impl Setting {
    fn of(mechanism: Mechanism) -> Self {
        Self {
            mechanism,
            offered_to_client: Mechanisms::all(),
            client_tls: Some(tls()),
            server_tls: Some(tls()),
            tamper: None,
        }
    }
}

/// Whether both sides are content, and how many messages it took.
fn run(setting: &Setting, keys: Option<&StoredKeys>, credentials: Credentials) -> (bool, usize) {
    let config = server::ServerConfig::new(Secret::new([1; 32]));
    let Ok(mut server) = server::Exchange::new(
        setting.mechanism,
        &config,
        setting.server_tls.as_ref(),
        &mut Entropy::new([2; 32]),
    ) else {
        return (false, 0);
    };
    let Ok(mut client) = client::Exchange::new(
        setting.mechanism,
        credentials,
        &setting.offered_to_client,
        setting.client_tls.as_ref(),
        &client::Policy::default(),
        &mut Entropy::new([3; 32]),
    ) else {
        return (false, 0);
    };
    let mut count = 0;
    let mut carry = |message: &[u8]| {
        let mut message = message.to_vec();
        if let Some((place, tamper)) = &setting.tamper
            && *place == count
        {
            tamper(&mut message);
        }
        count += 1;
        message
    };
    let initial = client
        .initial()
        .map(|message| carry(message.expose_secret()));
    let mut next = server.start(initial.as_deref());
    loop {
        next = match next {
            Next::Challenge(challenge) => {
                let mut answer = client.challenge(&carry(&challenge));
                if let Ok(client::Next::Derive(work)) = answer {
                    answer = client.derived(work.run());
                }
                match answer {
                    Ok(client::Next::Response(response)) => {
                        server.response(&carry(response.expose_secret()))
                    }
                    _ => return (false, count),
                }
            }
            Next::Ask(Question::StoredKeys { .. }) => server.stored_keys(keys.cloned()),
            Next::Ask(Question::CheckPassword { password, .. }) => {
                server.password(keys.is_some_and(|keys| keys.verify(password.expose_secret())))
            }
            Next::Ask(Question::Authorize { authcid, authzid }) => {
                server.authorized(server::is_own(&authcid, authzid.as_ref()))
            }
            Next::Success(success) => {
                let last = success.last.map(|last| carry(&last));
                return (client.succeeded(last.as_deref()).is_ok(), count);
            }
            _ => return (false, count),
        };
    }
}

fn keys(password: &str) -> StoredKeys {
    StoredKeys::derive(password, vec![5; 16], 4096).unwrap()
}

fn user(password: &str) -> Credentials {
    Credentials::new("user".parse().unwrap(), password)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn the_right_secret_gets_in_and_no_other(
        name in "[a-zA-Z0-9,=@é\u{aa}\u{ad}ß ]{1,20}", password in "[ -~é\u{aa}\u{a0}ß]{1,20}", other in "[ -~é\u{aa}\u{a0}ß]{1,20}"
    ) {
        prop_assume!(prepare::query(&name).is_ok() && prepare::stored(&password).is_ok());
        let keys = keys(&password);
        for mechanism in Mechanism::ALL {
            let with = |secret: &str| Credentials::new(name.parse().unwrap(), secret);
            prop_assert!(run(&Setting::of(mechanism), Some(&keys), with(&password)).0, "{}", mechanism);
            let same = prepare::query(&other) == prepare::query(&password);
            prop_assert_eq!(run(&Setting::of(mechanism), Some(&keys), with(&other)).0, same, "{}", mechanism);
            prop_assert!(!run(&Setting::of(mechanism), None, with(&password)).0, "{}", mechanism);
        }
    }

    #[test]
    fn changed_messages_fail(place in 0_usize..4, at in 0_usize..200, bit in 0_u8..8, cut in any::<bool>()) {
        let mut setting = Setting::of(Mechanism::ScramSha256Plus);
        setting.tamper = Some((place, Box::new(move |message| {
            let at = at % message.len();
            if cut { message.truncate(at) } else { message[at] ^= 1 << bit }
        })));
        prop_assert!(!run(&setting, Some(&keys("pencil")), user("pencil")).0);
    }
}

#[test]
fn unknown_users_fail_where_known_ones_do() {
    for mechanism in Mechanism::ALL {
        let wrong = run(
            &Setting::of(mechanism),
            Some(&keys("pencil")),
            user("wrong"),
        );
        assert_eq!(
            run(&Setting::of(mechanism), None, user("wrong")),
            wrong,
            "{mechanism}"
        );
    }
}

#[test]
fn a_hidden_plus_is_noticed() {
    let mut setting = Setting::of(Mechanism::ScramSha256);
    setting.offered_to_client.remove(Mechanism::ScramSha256Plus);
    assert!(
        !run(&setting, Some(&keys("pencil")), user("pencil")).0,
        "y, where the server offers -PLUS"
    );
    setting.server_tls = Some(TlsInfo::default());
    assert!(
        run(&setting, Some(&keys("pencil")), user("pencil")).0,
        "y, where it does not"
    );
}

#[test]
fn another_connection_is_noticed() {
    let mut setting = Setting::of(Mechanism::ScramSha256Plus);
    let mut other = tls();
    other.exporter = Some([8; 32]);
    setting.server_tls = Some(other);
    assert!(!run(&setting, Some(&keys("pencil")), user("pencil")).0);
}

#[test]
fn nobody_acts_as_another() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        let mut credentials = user("pencil");
        credentials.authzid = Some("admin".parse().unwrap());
        assert!(
            !run(&Setting::of(mechanism), Some(&keys("pencil")), credentials).0,
            "{mechanism}"
        );
    }
}
