//! The server's side of SASL.

use mail_wire::Secret;
use sasl_core::server::{Exchange, Next, Question, ServerConfig, is_own};
use sasl_core::{Entropy, Mechanism, PlaintextPolicy, StoredKeys};

/// The keys of `pencil`, with the salt and the rounds of RFC 7677 §3.
const KEYS: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// The server's part of the nonce in RFC 7677 §3.
const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

/// The client's messages of RFC 7677 §3; none can make others who does not know the password.
const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const FINAL: &[u8] =
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

/// An exchange over lines, the first of which names the mechanism and the others are the client's messages: it ends, and succeeds only by
/// a message that holds the password, or by the one proof made of it that can be known here.
pub fn sasl_server_exchange(data: &[u8]) {
    let mut lines = data.split(|octet| *octet == b'\n');
    let Some(mechanism) = lines
        .next()
        .and_then(|name| core::str::from_utf8(name).ok()?.parse::<Mechanism>().ok())
    else {
        return;
    };
    let messages: Vec<&[u8]> = lines.collect();
    let mut config = ServerConfig::new(Secret::new([1; 32]));
    config.plaintext = PlaintextPolicy::Always;
    config.iterations = 4_096;
    let mut entropy = Entropy::fixed_for_tests(NONCE);
    let Ok(mut exchange) = Exchange::new(mechanism, &config, None, &mut entropy) else {
        assert_eq!(
            mechanism,
            Mechanism::ScramSha256Plus,
            "there is no TLS to bind to"
        );
        return;
    };
    let (mut proven, mut authorized) = (!mechanism.is_plaintext(), false);
    let mut unread = messages.iter();
    let mut next = exchange.start(unread.next().copied());
    // An exchange of four messages has no more steps than these.
    for _ in 0..16 {
        next = match next {
            Next::Challenge(challenge) => {
                assert!(
                    challenge.len() <= 10_000,
                    "a challenge longer than what it answers"
                );
                let Some(message) = unread.next() else { return };
                exchange.response(message)
            }
            Next::Ask(Question::StoredKeys { authcid }) => exchange.stored_keys(
                (authcid.as_str() == "user").then(|| KEYS.parse::<StoredKeys>().unwrap()),
            ),
            Next::Ask(Question::CheckPassword { authcid, password }) => {
                proven = authcid.as_str() == "user" && password.ct_eq("pencil");
                exchange.password(proven)
            }
            Next::Ask(Question::Authorize { authcid, authzid }) => {
                assert!(proven, "asked whom one may act as who is not known yet");
                authorized = is_own(&authcid, authzid.as_ref());
                exchange.authorized(authorized)
            }
            Next::Success(success) => {
                assert!(proven && authorized, "a success that nobody granted");
                assert_eq!(success.authcid.as_str(), "user");
                if !mechanism.is_plaintext() {
                    assert_eq!(
                        messages.get(..2),
                        Some(&[FIRST, FINAL][..]),
                        "a proof without the password"
                    );
                }
                return;
            }
            Next::Failure(_) => return,
            other => panic!("{other:?}"),
        };
    }
    panic!("no end");
}
