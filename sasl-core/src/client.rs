//! The client's side of an exchange.

use core::ops::RangeInclusive;

use mail_wire::{Secret, TlsInfo, ct_eq};

use crate::plain;
use crate::prepare::{self, Unprepared};
use crate::scram::{InvalidScram, ServerFinal, ServerFirst, encode_name, hash, hmac_parts, xor};
use crate::server::{TLS_EXPORTER, TLS_SERVER_END_POINT};
use crate::stored_keys::client_and_server_key;
use crate::{Credentials, Entropy, Limits, Mechanism, Mechanisms, PlaintextPolicy, base64, pbkdf2};

/// What a client lets a server ask of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Policy {
    /// What it is willing to use. Default: every mechanism of this crate.
    pub mechanisms: Mechanisms,
    /// Whether it sends a password without TLS. Default: under TLS only.
    pub plaintext: PlaintextPolicy,
    /// The rounds of PBKDF2 that it does. Default: 4,096 to 600,000. RFC 7677 §4: "the hash
    /// iteration-count SHOULD be at least 4096". A higher end lets a server make it work longer; a lower start lets someone who
    /// stands in for the server try passwords faster.
    pub iterations: RangeInclusive<u32>,
    /// Bounds of what is taken in.
    pub limits: Limits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mechanisms: Mechanisms::all(),
            plaintext: PlaintextPolicy::default(),
            iterations: 4_096..=600_000,
            limits: Limits::default(),
        }
    }
}

impl Policy {
    /// The strongest mechanism that the server offers and this policy allows on a connection with this TLS.
    #[must_use]
    pub fn choose(&self, offered: &Mechanisms, tls: Option<&TlsInfo>) -> Option<Mechanism> {
        self.mechanisms
            .allowed(self.plaintext, tls)
            .strongest_common(*offered)
    }
}

/// One authentication, seen from the client.
///
/// Send [`initial`](Self::initial) beside the mechanism's name or, where the protocol cannot, as the answer to an empty challenge;
/// answer each challenge; and believe the protocol's success only with what [`succeeded`](Self::succeeded) gives.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    credentials: Credentials,
    policy: Policy,
    state: State,
}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Send this to the server, in base64; it may be empty.
    Response(Secret<Vec<u8>>),
    /// [Run](Derivation::run) this, on another thread if it must not block, and give the result to [`Exchange::derived`].
    Derive(Derivation),
}

/// That the server has authenticated the client, and, where the mechanism is a SCRAM, the server itself knows the password's keys.
#[derive(Debug)]
#[must_use]
pub struct Authenticated {
    keys: Option<DerivedKeys>,
}

impl Authenticated {
    /// Keys that spare the derivation at the next login, to be put into [`Credentials::keys`].
    #[must_use]
    pub fn into_keys(self) -> Option<DerivedKeys> {
        self.keys
    }
}

/// The work that turns a password into keys.
#[derive(Debug, Clone)]
pub struct Derivation {
    password: Secret<String>,
    salt: Vec<u8>,
    iterations: u32,
}

impl Derivation {
    /// How many rounds of PBKDF2 it takes; tens of milliseconds for 65,536.
    #[must_use]
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Does it.
    #[must_use]
    pub fn run(&self) -> DerivedKeys {
        let salted = pbkdf2::hi(
            self.password.expose_secret().as_bytes(),
            &self.salt,
            self.iterations,
        );
        let (client_key, server_key) = client_and_server_key(&salted);
        DerivedKeys {
            salt: self.salt.clone(),
            iterations: self.iterations,
            client_key,
            server_key,
        }
    }
}

/// The keys of SCRAM-SHA-256 that a client may keep between logins; as secret as the password.
#[derive(Debug, Clone)]
pub struct DerivedKeys {
    salt: Vec<u8>,
    iterations: u32,
    client_key: Secret<[u8; 32]>,
    server_key: Secret<[u8; 32]>,
}

/// Why a client does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The policy or the connection does not allow the mechanism.
    #[error("{0} may not be used on this connection")]
    NotAllowed(Mechanism),
    /// The user name or the password cannot be prepared.
    #[error("the user name or the password: {0}")]
    Unprepared(#[from] Unprepared),
    /// The server broke the grammar of SCRAM, or did not keep to the client's nonce.
    #[error("the server's SCRAM message: {0}")]
    Scram(#[from] InvalidScram),
    /// A message longer than [`Limits::message`].
    #[error("a message of {length} octets, where {limit} are allowed")]
    TooLong {
        /// The limit.
        limit: usize,
        /// The length of the message.
        length: usize,
    },
    /// The server asks for too few or too many rounds.
    #[error("the server asks for {asked} rounds of PBKDF2, which the policy does not allow")]
    Iterations {
        /// How many it asks for.
        asked: u32,
    },
    /// The server said what went wrong, in a word of RFC 5802 §7 or of its own.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The server's signature is wrong: it does not know the keys of the password.
    #[error("the server could not show that it knows the password: it may be an impostor")]
    ServerSignature,
    /// The server reported success before it showed its signature.
    #[error("the server reports success without its signature: it may be an impostor")]
    EarlySuccess,
    /// A challenge, an answer or a success that has no place here.
    #[error("a message that has no place in this exchange")]
    OutOfOrder,
}

#[derive(Debug)]
enum State {
    Initial(Option<ScramStart>),
    LoginName,
    LoginPassword,
    /// All was sent; the server's word decides.
    Sent,
    ServerFirst(ScramStart),
    AwaitKeys(ScramServerFirst),
    ServerFinal {
        server_signature: Secret<[u8; 32]>,
        keys: DerivedKeys,
    },
    Verified(DerivedKeys),
    Over,
}

#[derive(Debug)]
struct ScramStart {
    gs2_header: String,
    channel_binding: Vec<u8>,
    bare: String,
    nonce: String,
}

#[derive(Debug)]
struct ScramServerFirst {
    start: ScramStart,
    server_first: String,
    nonce: String,
    salt: Vec<u8>,
    iterations: u32,
}

impl Exchange {
    /// An exchange by `mechanism` with a server that offers `offered`, on a connection with this TLS (`None`: without TLS).
    ///
    /// # Errors
    ///
    /// [`Failure::NotAllowed`] where the policy or the connection does not allow the mechanism, [`Failure::Unprepared`] where
    /// SASLprep does not allow the user name or the password.
    pub fn new(
        mechanism: Mechanism,
        mut credentials: Credentials,
        offered: &Mechanisms,
        tls: Option<&TlsInfo>,
        policy: &Policy,
        entropy: &mut Entropy,
    ) -> Result<Self, Failure> {
        let allowed = policy.mechanisms.allowed(policy.plaintext, tls);
        if !allowed.contains(mechanism) {
            return Err(Failure::NotAllowed(mechanism));
        }
        let state = if mechanism.is_plaintext() {
            State::Initial(None)
        } else {
            // RFC 5802 §5.1: "If the preparation of the username fails or results in an empty string, the client SHOULD abort the
            // authentication exchange"
            let name = prepare::query(credentials.authcid.as_str())?.into_owned();
            let password = prepare::query(credentials.password.expose_secret())?.into_owned();
            credentials.password = Secret::new(password);
            State::Initial(Some(scram_start(
                &name,
                &credentials,
                mechanism,
                allowed.contains(Mechanism::ScramSha256Plus)
                    && !offered.contains(Mechanism::ScramSha256Plus),
                tls,
                entropy,
            )))
        };
        Ok(Self {
            mechanism,
            credentials,
            policy: policy.clone(),
            state,
        })
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The initial response, once; `None` where the server speaks first. A protocol that has no room for it keeps it for the
    /// server's empty challenge.
    pub fn initial(&mut self) -> Option<Secret<Vec<u8>>> {
        match core::mem::replace(&mut self.state, State::Over) {
            State::Initial(Some(start)) => {
                let message = format!("{}{}", start.gs2_header, start.bare);
                self.state = State::ServerFirst(start);
                Some(Secret::new(message.into_bytes()))
            }
            State::Initial(None) if self.mechanism == Mechanism::Plain => {
                self.state = State::Sent;
                let message = plain::Message {
                    authzid: self.credentials.authzid.clone(),
                    authcid: self.credentials.authcid.clone(),
                    password: self.credentials.password.clone(),
                };
                Some(message.to_bytes())
            }
            State::Initial(None) => {
                self.state = State::LoginName;
                None
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Takes in a challenge.
    ///
    /// # Errors
    ///
    /// [`Failure`]: the exchange is over, and the protocol's cancellation (`*`) is to be sent.
    pub fn challenge(&mut self, message: &[u8]) -> Result<Next, Failure> {
        let limit = self.policy.limits.message;
        if message.len() > limit {
            self.state = State::Over;
            return Err(Failure::TooLong {
                limit,
                length: message.len(),
            });
        }
        match core::mem::replace(&mut self.state, State::Over) {
            state @ State::Initial(_) => {
                self.state = state;
                match self.initial() {
                    Some(response) => Ok(Next::Response(response)),
                    None => self.challenge(message),
                }
            }
            // draft-murchison-sasl-login-00 §2.1: "The contents of both challenges SHOULD be ignored."
            State::LoginName => {
                self.state = State::LoginPassword;
                Ok(Next::Response(Secret::new(
                    self.credentials.authcid.as_str().as_bytes().to_vec(),
                )))
            }
            State::LoginPassword => {
                self.state = State::Sent;
                let password = self.credentials.password.expose_secret();
                Ok(Next::Response(Secret::new(password.as_bytes().to_vec())))
            }
            State::ServerFirst(start) => self.server_first(start, message),
            State::ServerFinal {
                server_signature,
                keys,
            } => {
                verify(&server_signature, message)?;
                self.state = State::Verified(keys);
                Ok(Next::Response(Secret::new(Vec::new())))
            }
            _ => Err(Failure::OutOfOrder),
        }
    }

    /// Takes in the keys of a [`Derivation`].
    ///
    /// # Errors
    ///
    /// [`Failure::OutOfOrder`] where none was asked for, or the keys are of another salt or number of rounds.
    pub fn derived(&mut self, keys: DerivedKeys) -> Result<Next, Failure> {
        let State::AwaitKeys(seen) = core::mem::replace(&mut self.state, State::Over) else {
            return Err(Failure::OutOfOrder);
        };
        if keys.salt != seen.salt || keys.iterations != seen.iterations {
            return Err(Failure::OutOfOrder);
        }
        let ScramServerFirst {
            start,
            server_first,
            nonce,
            ..
        } = seen;
        let channel_binding = [start.gs2_header.as_bytes(), &start.channel_binding].concat();
        let without_proof = format!(
            "c={},r={nonce}",
            base64::encode(&channel_binding).expose_secret()
        );
        // RFC 5802 §3: "AuthMessage     := client-first-message-bare + "," + server-first-message + "," +
        // client-final-message-without-proof"
        let auth_message = format!("{},{server_first},{without_proof}", start.bare);
        let stored_key = hash(keys.client_key.expose_secret());
        let client_signature = hmac_parts(&stored_key, &[auth_message.as_bytes()]);
        let proof = xor(keys.client_key.expose_secret(), &client_signature);
        let server_signature = Secret::new(hmac_parts(
            keys.server_key.expose_secret(),
            &[auth_message.as_bytes()],
        ));
        self.state = State::ServerFinal {
            server_signature,
            keys,
        };
        let message = format!(
            "{without_proof},p={}",
            base64::encode(proof.expose_secret()).expose_secret()
        );
        Ok(Next::Response(Secret::new(message.into_bytes())))
    }

    /// Takes in the protocol's success, with the data that came along, if the protocol has such.
    ///
    /// # Errors
    ///
    /// [`Failure::EarlySuccess`] and [`Failure::ServerSignature`] where the server did not show that it knows the keys: treat the
    /// connection as an impostor's.
    pub fn succeeded(self, last: Option<&[u8]>) -> Result<Authenticated, Failure> {
        match (self.state, last) {
            (State::Sent, None) => Ok(Authenticated { keys: None }),
            (State::Verified(keys), None) => Ok(Authenticated { keys: Some(keys) }),
            (
                State::ServerFinal {
                    server_signature,
                    keys,
                },
                Some(last),
            ) => {
                verify(&server_signature, last)?;
                Ok(Authenticated { keys: Some(keys) })
            }
            (
                State::ServerFirst(_)
                | State::AwaitKeys(_)
                | State::ServerFinal { .. }
                | State::Initial(Some(_)),
                _,
            ) => Err(Failure::EarlySuccess),
            _ => Err(Failure::OutOfOrder),
        }
    }

    fn server_first(&mut self, start: ScramStart, message: &[u8]) -> Result<Next, Failure> {
        if message.starts_with(b"e=") {
            return match ServerFinal::parse(message)? {
                ServerFinal::Error(word) => Err(Failure::Refused(word.to_owned())),
                ServerFinal::Verifier(_) => Err(Failure::OutOfOrder),
            };
        }
        let first = ServerFirst::parse(message, &self.policy.limits)?;
        // RFC 5802 §5.1: "The client MUST verify that the initial part of the nonce used in subsequent messages is the same as the
        // nonce it initially specified."
        match first.nonce.strip_prefix(start.nonce.as_str()) {
            Some(added) if !added.is_empty() => {}
            _ => return Err(Failure::Scram(InvalidScram::Attribute('r'))),
        }
        if !self.policy.iterations.contains(&first.iterations) {
            return Err(Failure::Iterations {
                asked: first.iterations,
            });
        }
        let kept = self.credentials.keys.take();
        let (salt, iterations, nonce) =
            (first.salt.clone(), first.iterations, first.nonce.to_owned());
        self.state = State::AwaitKeys(ScramServerFirst {
            start,
            server_first: String::from_utf8_lossy(message).into_owned(),
            nonce,
            salt: salt.clone(),
            iterations,
        });
        match kept {
            Some(keys) if keys.salt == salt && keys.iterations == iterations => self.derived(keys),
            _ => Ok(Next::Derive(Derivation {
                password: self.credentials.password.clone(),
                salt,
                iterations,
            })),
        }
    }
}

fn verify(server_signature: &Secret<[u8; 32]>, message: &[u8]) -> Result<(), Failure> {
    match ServerFinal::parse(message)? {
        ServerFinal::Verifier(verifier) if ct_eq(&verifier, server_signature.expose_secret()) => {
            Ok(())
        }
        ServerFinal::Verifier(_) => Err(Failure::ServerSignature),
        ServerFinal::Error(word) => Err(Failure::Refused(word.to_owned())),
    }
}

fn scram_start(
    name: &str,
    credentials: &Credentials,
    mechanism: Mechanism,
    binding_is_not_offered: bool,
    tls: Option<&TlsInfo>,
    entropy: &mut Entropy,
) -> ScramStart {
    let (flag, channel_binding) = if mechanism == Mechanism::ScramSha256Plus {
        let (name, data) = channel_binding(tls);
        (format!("p={name}"), data)
    } else if binding_is_not_offered {
        // RFC 5802 §6: "If the client supports channel binding and the server does not appear to (i.e., the client did not see the
        // -PLUS name advertised by the server), then the client MUST NOT use an "n" gs2-cbind-flag."
        ("y".to_owned(), Vec::new())
    } else {
        ("n".to_owned(), Vec::new())
    };
    let authzid = credentials
        .authzid
        .as_ref()
        .map(|authzid| format!("a={}", encode_name(authzid.as_str())));
    let nonce = entropy.nonce();
    ScramStart {
        gs2_header: format!("{flag},{},", authzid.unwrap_or_default()),
        channel_binding,
        bare: format!("n={},r={nonce}", encode_name(name)),
        nonce,
    }
}

/// `tls-exporter` under TLS 1.3, else `tls-server-end-point` where there is one: older servers know no other.
fn channel_binding(tls: Option<&TlsInfo>) -> (&'static str, Vec<u8>) {
    let exporter = tls.and_then(|tls| tls.exporter);
    let end_point = tls.and_then(|tls| tls.server_end_point.clone());
    match (exporter, end_point) {
        (Some(exporter), None) => (TLS_EXPORTER, exporter.to_vec()),
        (Some(exporter), Some(_)) if tls.is_some_and(|tls| tls.version == "TLSv1.3") => {
            (TLS_EXPORTER, exporter.to_vec())
        }
        (_, end_point) => (TLS_SERVER_END_POINT, end_point.unwrap_or_default()),
    }
}
