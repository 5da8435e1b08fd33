//! RFC 7677 §3: the example, octet by octet, from both sides.

use mail_wire::Secret;
use sasl_core::client::{self, Next as ClientNext};
use sasl_core::server::{self, Next, Question};
use sasl_core::{Credentials, Entropy, Mechanism, Mechanisms, StoredKeys, base64};

const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

#[test]
fn client() {
    let mut exchange = client::Exchange::new(
        Mechanism::ScramSha256,
        Credentials::new("user".parse().unwrap(), "pencil"),
        &Mechanisms::from_names("SCRAM-SHA-256"),
        None,
        &client::Policy::default(),
        &mut Entropy::fixed_for_tests("rOprNGfwEbeRWgbNEkqO"),
    )
    .unwrap();
    assert_eq!(
        exchange.initial().unwrap().expose_secret(),
        CLIENT_FIRST.as_bytes()
    );
    let ClientNext::Derive(work) = exchange.challenge(SERVER_FIRST.as_bytes()).unwrap() else {
        panic!("no derivation");
    };
    let ClientNext::Response(last) = exchange.derived(work.run()).unwrap() else {
        panic!("no response");
    };
    assert_eq!(last.expose_secret(), CLIENT_FINAL.as_bytes());
    let ClientNext::Response(empty) = exchange.challenge(SERVER_FINAL.as_bytes()).unwrap() else {
        panic!("no response");
    };
    assert!(empty.expose_secret().is_empty());
    assert!(exchange.succeeded(None).unwrap().into_keys().is_some());
}

#[test]
fn server() {
    let salt = base64::decode(b"W22ZaJ0SNY7soEsUEjb6gQ==")
        .unwrap()
        .expose_secret()
        .clone();
    let keys = StoredKeys::derive("pencil", salt, 4096).unwrap();
    let config = server::ServerConfig::new(Secret::new([0; 32]));
    let mut entropy = Entropy::fixed_for_tests("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    let mut exchange =
        server::Exchange::new(Mechanism::ScramSha256, &config, None, &mut entropy).unwrap();
    let Next::Ask(Question::StoredKeys { authcid }) = exchange.start(Some(CLIENT_FIRST.as_bytes()))
    else {
        panic!("keys are not asked for");
    };
    assert_eq!(authcid.as_str(), "user");
    let Next::Challenge(first) = exchange.stored_keys(Some(keys)) else {
        panic!("no challenge");
    };
    assert_eq!(String::from_utf8_lossy(&first), SERVER_FIRST);
    let Next::Ask(Question::Authorize { authzid: None, .. }) =
        exchange.response(CLIENT_FINAL.as_bytes())
    else {
        panic!("authorization is not asked for");
    };
    let Next::Success(success) = exchange.authorized(true) else {
        panic!("no success");
    };
    assert_eq!(success.last.as_deref(), Some(SERVER_FINAL.as_bytes()));
}
