//! The server's side of an exchange.

use mail_wire::{Secret, TlsInfo, ct_eq};

use crate::plain::{self, InvalidPlain};
use crate::scram::{BindingFlag, ClientFinal, ClientFirst, InvalidScram, hash, hmac_parts, xor};
use crate::{
    Entropy, Identity, Limits, Mechanism, Mechanisms, PlaintextPolicy, StoredKeys, base64, prepare,
};

/// How a server authenticates.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// What is offered where it is allowed. Default: every mechanism of this crate.
    pub mechanisms: Mechanisms,
    /// Whether a password may be sent without TLS. Default: under TLS only.
    pub plaintext: PlaintextPolicy,
    /// The secret from which salts for users who do not exist are made. It must stay the same over restarts, or such users can be
    /// told from others by a salt that changes.
    pub secret: Secret<[u8; 32]>,
    /// The length of the users' salts. Default: 16 octets. Must be that of [`StoredKeys::derive`], for the same reason.
    pub salt_length: usize,
    /// The rounds of the users' keys. Default: [`StoredKeys::ITERATIONS`]. As `salt_length`.
    pub iterations: u32,
    /// Bounds of what is taken in.
    pub limits: Limits,
}

impl ServerConfig {
    /// The defaults, with the server's secret.
    #[must_use]
    pub fn new(secret: Secret<[u8; 32]>) -> Self {
        Self {
            mechanisms: Mechanisms::all(),
            plaintext: PlaintextPolicy::default(),
            secret,
            salt_length: 16,
            iterations: StoredKeys::ITERATIONS,
            limits: Limits::default(),
        }
    }

    /// What may be offered on a connection with this TLS (`None`: without TLS).
    #[must_use]
    pub fn offered(&self, tls: Option<&TlsInfo>) -> Mechanisms {
        self.mechanisms.allowed(self.plaintext, tls)
    }
}

/// One authentication, seen from the server.
///
/// [`start`](Self::start) it with the initial response, then go where each [`Next`] leads. After [`Next::Success`] or
/// [`Next::Failure`] it is over. Where the application cannot answer a question (its database is down), drop the exchange and reply
/// with the protocol's temporary failure.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    limits: Limits,
    state: State,
}

/// What an exchange wants.
#[derive(Debug, Clone)]
#[must_use]
pub enum Next {
    /// Send this to the client, in base64 (it may be empty), and give its answer to [`Exchange::response`].
    Challenge(Vec<u8>),
    /// Answer this by the method that the question names.
    Ask(Question),
    /// The client is who it says, and may act as it wants.
    Success(Success),
    /// It is not, or made a mistake.
    Failure(Failure),
}

/// What only the application knows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Question {
    /// The keys of this user; `None` where there is no such user: [`Exchange::stored_keys`].
    StoredKeys {
        /// The user, prepared by SASLprep.
        authcid: Identity,
    },
    /// Whether this is the user's password: [`Exchange::password`]. Check one for users who do not exist too (against keys kept for
    /// that), so that the time does not tell.
    CheckPassword {
        /// The user, prepared by SASLprep.
        authcid: Identity,
        /// The password, prepared by SASLprep.
        password: Secret<String>,
    },
    /// Whether this user, now authenticated, may act as the other: [`Exchange::authorized`]. Unless users may act for each other,
    /// the answer is [`is_own`].
    Authorize {
        /// Who has authenticated.
        authcid: Identity,
        /// Whom the user wants to act as; `None`: nobody else.
        authzid: Option<Identity>,
    },
}

/// Whether nobody but oneself is to be acted as: the answer to [`Question::Authorize`] where users may not act for each other.
#[must_use]
pub fn is_own(authcid: &Identity, authzid: Option<&Identity>) -> bool {
    authzid.is_none_or(|authzid| authzid == authcid)
}

/// A client that has authenticated and is authorized.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Success {
    /// Who it is.
    pub authcid: Identity,
    /// Whom it acts as, where it said so.
    pub authzid: Option<Identity>,
    /// What the client still has to see: in SMTP, IMAP and POP3, which send no data with success, it is sent as one more challenge,
    /// to which the client answers with an empty response.
    pub last: Option<Vec<u8>>,
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The mechanism is not offered on this connection; a plaintext one without TLS, for example.
    #[error("{0} is not offered on this connection")]
    NotOffered(Mechanism),
    /// The client broke the grammar of PLAIN.
    #[error("the client's PLAIN message: {0}")]
    Plain(#[from] InvalidPlain),
    /// The client broke the grammar of SCRAM.
    #[error("the client's SCRAM message: {0}")]
    Scram(#[from] InvalidScram),
    /// A message longer than [`Limits::message`].
    #[error("a message of {length} octets, where {limit} are allowed")]
    TooLong {
        /// The limit.
        limit: usize,
        /// The length of the message.
        length: usize,
    },
    /// The client's channel binding is not that of this connection, or it was led to believe that there is none: someone may stand
    /// in between.
    #[error("the channel binding does not match this connection")]
    ChannelBinding,
    /// User name or password are wrong: which, is not said.
    #[error("user name or password is wrong")]
    Credentials,
    /// The user may not act as the other.
    #[error("the user may not act as the one it asked for")]
    Authorization,
    /// The application answered a question that was not asked, or went on after the end.
    #[error("an answer that was not asked for: answer the last question only")]
    OutOfOrder,
}

impl Failure {
    /// Whether the client broke a grammar or a limit, so that the reply is that for a mistake (SMTP 501) and not that for wrong
    /// credentials (SMTP 535).
    #[must_use]
    pub const fn is_malformed(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::Scram(_) | Self::TooLong { .. })
    }
}

#[derive(Debug)]
enum State {
    Start(Option<Scram>),
    PlainMessage,
    LoginName,
    LoginPassword(Identity),
    AwaitPassword(Who),
    ScramFirst(Scram),
    AwaitKeys(ScramFirstSeen),
    ScramFinal(Box<ScramChallenged>),
    AwaitAuthorization(Who, Option<Vec<u8>>),
    Over,
}

#[derive(Debug)]
struct Who {
    authcid: Identity,
    authzid: Option<Identity>,
}

/// What SCRAM needs to know from the start.
#[derive(Debug)]
struct Scram {
    secret: Secret<[u8; 32]>,
    salt_length: usize,
    iterations: u32,
    nonce: String,
    exporter: Option<[u8; 32]>,
    server_end_point: Option<Vec<u8>>,
    /// Whether `-PLUS` was offered.
    plus_offered: bool,
}

#[derive(Debug)]
struct ScramFirstSeen {
    scram: Scram,
    who: Who,
    bare: String,
    nonce: String,
    channel_binding: Vec<u8>,
}

#[derive(Debug)]
struct ScramChallenged {
    who: Who,
    known: bool,
    keys: StoredKeys,
    /// `client-first-message-bare "," server-first-message ","`
    auth_message: String,
    nonce: String,
    channel_binding: Vec<u8>,
}

impl Exchange {
    /// An exchange by `mechanism` on a connection with this TLS (`None`: without TLS).
    ///
    /// # Errors
    ///
    /// [`Failure::NotOffered`] where [`ServerConfig::offered`] does not hold the mechanism.
    pub fn new(
        mechanism: Mechanism,
        config: &ServerConfig,
        tls: Option<&TlsInfo>,
        entropy: &mut Entropy,
    ) -> Result<Self, Failure> {
        let offered = config.offered(tls);
        if !offered.contains(mechanism) {
            return Err(Failure::NotOffered(mechanism));
        }
        let scram = (!mechanism.is_plaintext()).then(|| Scram {
            secret: config.secret.clone(),
            salt_length: config.salt_length,
            iterations: config.iterations,
            nonce: entropy.nonce(),
            exporter: tls.and_then(|tls| tls.exporter),
            server_end_point: tls.and_then(|tls| tls.server_end_point.clone()),
            plus_offered: offered.contains(Mechanism::ScramSha256Plus),
        });
        Ok(Self {
            mechanism,
            limits: config.limits,
            state: State::Start(scram),
        })
    }

    /// The mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Begins, with the client's initial response if one came beside the mechanism's name.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Next {
        let State::Start(scram) = core::mem::replace(&mut self.state, State::Over) else {
            return Next::Failure(Failure::OutOfOrder);
        };
        let first_challenge: &[u8] = match (scram, self.mechanism) {
            (Some(scram), _) => {
                self.state = State::ScramFirst(scram);
                b""
            }
            (None, Mechanism::Login) => {
                self.state = State::LoginName;
                LOGIN_NAME
            }
            (None, _) => {
                self.state = State::PlainMessage;
                b""
            }
        };
        match initial {
            Some(initial) => self.response(initial),
            // RFC 4422 §5.1: where the client speaks first without an initial response, the server's first challenge is empty.
            None => Next::Challenge(first_challenge.to_vec()),
        }
    }

    /// Takes in the client's answer to a challenge.
    pub fn response(&mut self, message: &[u8]) -> Next {
        let state = core::mem::replace(&mut self.state, State::Over);
        if message.len() > self.limits.message {
            return Next::Failure(Failure::TooLong {
                limit: self.limits.message,
                length: message.len(),
            });
        }
        let next = match state {
            State::PlainMessage => self.plain_message(message),
            State::LoginName => plain::identity(message, &self.limits)
                .map_err(|error| Failure::Plain(InvalidPlain::Identity(error)))
                .map(|name| {
                    self.state = State::LoginPassword(name);
                    Next::Challenge(LOGIN_PASSWORD.to_vec())
                }),
            State::LoginPassword(authcid) => plain::password_text(message, &self.limits)
                .ok_or(Failure::Plain(InvalidPlain::Password))
                .and_then(|password| self.check_password(authcid, None, &password)),
            State::ScramFirst(scram) => self.scram_first(scram, message),
            State::ScramFinal(challenged) => self.scram_final(*challenged, message),
            _ => Err(Failure::OutOfOrder),
        };
        next.unwrap_or_else(Next::Failure)
    }

    /// Answers [`Question::CheckPassword`].
    pub fn password(&mut self, is_right: bool) -> Next {
        match core::mem::replace(&mut self.state, State::Over) {
            State::AwaitPassword(who) if is_right => self.ask_authorization(who, None),
            State::AwaitPassword(_) => Next::Failure(Failure::Credentials),
            _ => Next::Failure(Failure::OutOfOrder),
        }
    }

    /// Answers [`Question::StoredKeys`]; `None` where there is no such user, who then fails at the same step as one with a wrong
    /// password.
    pub fn stored_keys(&mut self, keys: Option<StoredKeys>) -> Next {
        let State::AwaitKeys(seen) = core::mem::replace(&mut self.state, State::Over) else {
            return Next::Failure(Failure::OutOfOrder);
        };
        let ScramFirstSeen {
            scram,
            who,
            bare,
            nonce,
            channel_binding,
        } = seen;
        // Made in both cases, so that the work is the same.
        let nobody = StoredKeys::of_nobody(
            &scram.secret,
            who.authcid.as_str(),
            scram.salt_length,
            scram.iterations,
        );
        let known = keys.is_some();
        let keys = keys.unwrap_or(nobody);
        let nonce = format!("{nonce}{}", scram.nonce);
        let server_first = format!(
            "r={nonce},s={},i={}",
            base64::encode(keys.salt()).expose_secret(),
            keys.iterations()
        );
        let auth_message = format!("{bare},{server_first},");
        self.state = State::ScramFinal(Box::new(ScramChallenged {
            who,
            known,
            keys,
            auth_message,
            nonce,
            channel_binding,
        }));
        Next::Challenge(server_first.into_bytes())
    }

    /// Answers [`Question::Authorize`].
    pub fn authorized(&mut self, may_act: bool) -> Next {
        match core::mem::replace(&mut self.state, State::Over) {
            State::AwaitAuthorization(Who { authcid, authzid }, last) if may_act => {
                Next::Success(Success {
                    authcid,
                    authzid,
                    last,
                })
            }
            State::AwaitAuthorization(..) => Next::Failure(Failure::Authorization),
            _ => Next::Failure(Failure::OutOfOrder),
        }
    }

    fn plain_message(&mut self, message: &[u8]) -> Result<Next, Failure> {
        let message = plain::Message::parse(message, &self.limits)?;
        self.check_password(message.authcid, message.authzid, &message.password)
    }

    fn check_password(
        &mut self,
        authcid: Identity,
        authzid: Option<Identity>,
        password: &Secret<String>,
    ) -> Result<Next, Failure> {
        // RFC 4616 §2: "if preparation fails or results in an empty string, verification SHALL fail."
        let authcid = prepared(&authcid)?;
        let password =
            prepare::query(password.expose_secret()).map_err(|_| Failure::Credentials)?;
        let password = Secret::new(password.into_owned());
        self.state = State::AwaitPassword(Who {
            authcid: authcid.clone(),
            authzid,
        });
        Ok(Next::Ask(Question::CheckPassword { authcid, password }))
    }

    fn ask_authorization(&mut self, who: Who, last: Option<Vec<u8>>) -> Next {
        let question = Question::Authorize {
            authcid: who.authcid.clone(),
            authzid: who.authzid.clone(),
        };
        self.state = State::AwaitAuthorization(who, last);
        Next::Ask(question)
    }

    fn scram_first(&mut self, scram: Scram, message: &[u8]) -> Result<Next, Failure> {
        let first = ClientFirst::parse(message, &self.limits)?;
        let mut channel_binding = first.gs2_header.as_bytes().to_vec();
        match (first.flag, self.mechanism) {
            (BindingFlag::Used(name), Mechanism::ScramSha256Plus) => {
                // RFC 5802 §6: "If the channel binding flag was "p" and the server does not support the indicated channel binding
                // type, then the server MUST fail authentication."
                let data = match name {
                    TLS_EXPORTER => scram.exporter.as_ref().map(|data| &data[..]),
                    TLS_SERVER_END_POINT => scram.server_end_point.as_deref(),
                    _ => None,
                };
                channel_binding.extend_from_slice(data.ok_or(Failure::ChannelBinding)?);
            }
            // RFC 5802 §6: "If the flag is set to "y" and the server supports channel binding, the server MUST fail
            // authentication."
            (BindingFlag::NotOffered, Mechanism::ScramSha256) if scram.plus_offered => {
                return Err(Failure::ChannelBinding);
            }
            (BindingFlag::NotSupported | BindingFlag::NotOffered, Mechanism::ScramSha256) => {}
            _ => return Err(Failure::ChannelBinding),
        }
        let authcid = prepared(&first.authcid)?;
        self.state = State::AwaitKeys(ScramFirstSeen {
            who: Who {
                authcid: authcid.clone(),
                authzid: first.authzid,
            },
            bare: first.bare.to_owned(),
            nonce: first.nonce.to_owned(),
            channel_binding,
            scram,
        });
        Ok(Next::Ask(Question::StoredKeys { authcid }))
    }

    fn scram_final(
        &mut self,
        challenged: ScramChallenged,
        message: &[u8],
    ) -> Result<Next, Failure> {
        let ScramChallenged {
            who,
            known,
            keys,
            auth_message,
            nonce,
            channel_binding,
        } = challenged;
        let message = ClientFinal::parse(message)?;
        // RFC 5802 §5.1: "The server MUST verify that the nonce sent by the client in the second message is the same as the one
        // sent by the server in its first message."
        if !ct_eq(message.nonce.as_bytes(), nonce.as_bytes()) {
            return Err(Failure::Scram(InvalidScram::Attribute('r')));
        }
        // RFC 5802 §6: "The server MUST always validate the client's "c=" field."
        if !ct_eq(&message.channel_binding, &channel_binding) {
            return Err(Failure::ChannelBinding);
        }
        let signed = [auth_message.as_bytes(), message.without_proof.as_bytes()];
        // RFC 5802 §3: "ClientSignature := HMAC(StoredKey, AuthMessage)", "ClientProof     := ClientKey XOR ClientSignature"
        let client_signature = hmac_parts(keys.stored_key.expose_secret(), &signed);
        let client_key = xor(&message.proof, &client_signature);
        let is_right = keys.stored_key.ct_eq(hash(client_key.expose_secret()));
        if !(is_right & known) {
            return Err(Failure::Credentials);
        }
        let signature = hmac_parts(keys.server_key.expose_secret(), &signed);
        let last = format!("v={}", base64::encode(&signature).expose_secret());
        Ok(self.ask_authorization(who, Some(last.into_bytes())))
    }
}

fn prepared(name: &Identity) -> Result<Identity, Failure> {
    prepare::query(name.as_str())
        .ok()
        .and_then(|name| name.parse().ok())
        .ok_or(Failure::Credentials)
}

pub(crate) const TLS_EXPORTER: &str = "tls-exporter";
pub(crate) const TLS_SERVER_END_POINT: &str = "tls-server-end-point";

/// draft-murchison-sasl-login-00 §2.2: "There is at least one widely deployed client which requires that the challenge strings
/// transmitted by the server be "Username:" and "Password:" respectively."
const LOGIN_NAME: &[u8] = b"Username:";
const LOGIN_PASSWORD: &[u8] = b"Password:";
