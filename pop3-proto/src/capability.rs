//! Capabilities (RFC 2449 §5 and §6, RFC 2595 §4, RFC 3206 §6, RFC 5034 §3).

use core::fmt;

use sasl_core::Mechanisms;

/// What a server can do: one line of the answer to CAPA.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// `TOP` (RFC 2449 §6.1).
    Top,
    /// `USER`: USER and PASS may be used (RFC 2449 §6.2).
    User,
    /// `SASL`, with the mechanisms that this house knows (RFC 2449 §6.3, RFC 5034 §3).
    Sasl(Mechanisms),
    /// `RESP-CODES` (RFC 2449 §6.4).
    RespCodes,
    /// `LOGIN-DELAY`: seconds between logins (RFC 2449 §6.5).
    LoginDelay {
        /// The least number of seconds.
        seconds: u32,
        /// Whether it differs between users.
        per_user: bool,
    },
    /// `PIPELINING` (RFC 2449 §6.6).
    Pipelining,
    /// `EXPIRE` (RFC 2449 §6.7).
    Expire {
        /// Days that messages are kept at least; `None`: `NEVER` deleted by the server.
        days: Option<u32>,
        /// Whether it differs between users.
        per_user: bool,
    },
    /// `UIDL` (RFC 2449 §6.8).
    Uidl,
    /// `IMPLEMENTATION`: what program it is (RFC 2449 §6.9).
    Implementation(String),
    /// `STLS` (RFC 2595 §4).
    Stls,
    /// `AUTH-RESP-CODE`: whatever fails for the credentials says `[AUTH]` (RFC 3206 §6).
    AuthRespCode,
    /// Another one, the line as it is.
    Other(String),
}

/// Why a line is not a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a capability line begins with a word and holds visible characters and single spaces")]
pub struct InvalidCapability;

impl core::str::FromStr for Capability {
    type Err = InvalidCapability;

    /// Reads a line without its CR LF. A capability that is known but has parameters which are not is an [`Other`](Self::Other).
    fn from_str(line: &str) -> Result<Self, InvalidCapability> {
        // Servers send trailing spaces; RFC 2449 §3 does not allow them, and they mean nothing.
        let line = line.trim_end_matches(' ');
        if line.is_empty()
            || line.starts_with(' ')
            || line.bytes().any(|octet| octet.is_ascii_control())
        {
            return Err(InvalidCapability);
        }
        let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
        let words: Vec<&str> = parameters.split_ascii_whitespace().take(3).collect();
        let number = |word: &str| crate::command::number(word).ok();
        let is_user = |word: &&str| word.eq_ignore_ascii_case("USER");
        let known = match (name.to_ascii_uppercase().as_str(), &words[..]) {
            ("TOP", []) => Some(Self::Top),
            ("USER", []) => Some(Self::User),
            ("SASL", _) => Some(Self::Sasl(Mechanisms::from_names(parameters))),
            ("RESP-CODES", []) => Some(Self::RespCodes),
            ("LOGIN-DELAY", [seconds]) => number(seconds).map(|seconds| Self::LoginDelay {
                seconds,
                per_user: false,
            }),
            ("LOGIN-DELAY", [seconds, user]) if is_user(user) => {
                number(seconds).map(|seconds| Self::LoginDelay {
                    seconds,
                    per_user: true,
                })
            }
            ("PIPELINING", []) => Some(Self::Pipelining),
            ("EXPIRE", [days]) => expire(days).map(|days| Self::Expire {
                days,
                per_user: false,
            }),
            ("EXPIRE", [days, user]) if is_user(user) => expire(days).map(|days| Self::Expire {
                days,
                per_user: true,
            }),
            ("UIDL", []) => Some(Self::Uidl),
            ("IMPLEMENTATION", [_, ..]) => Some(Self::Implementation(parameters.to_owned())),
            ("STLS", []) => Some(Self::Stls),
            ("AUTH-RESP-CODE", []) => Some(Self::AuthRespCode),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| Self::Other(line.to_owned())))
    }
}

fn expire(word: &str) -> Option<Option<u32>> {
    if word.eq_ignore_ascii_case("NEVER") {
        return Some(None);
    }
    crate::command::number(word).ok().map(Some)
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = |per_user: bool| if per_user { " USER" } else { "" };
        match self {
            Self::Top => f.write_str("TOP"),
            Self::User => f.write_str("USER"),
            Self::Sasl(mechanisms) if mechanisms.is_empty() => f.write_str("SASL"),
            Self::Sasl(mechanisms) => write!(f, "SASL {mechanisms}"),
            Self::RespCodes => f.write_str("RESP-CODES"),
            Self::LoginDelay { seconds, per_user } => {
                write!(f, "LOGIN-DELAY {seconds}{}", user(*per_user))
            }
            Self::Pipelining => f.write_str("PIPELINING"),
            Self::Expire {
                days: None,
                per_user,
            } => write!(f, "EXPIRE NEVER{}", user(*per_user)),
            Self::Expire {
                days: Some(days),
                per_user,
            } => write!(f, "EXPIRE {days}{}", user(*per_user)),
            Self::Uidl => f.write_str("UIDL"),
            Self::Implementation(text) => write!(f, "IMPLEMENTATION {text}"),
            Self::Stls => f.write_str("STLS"),
            Self::AuthRespCode => f.write_str("AUTH-RESP-CODE"),
            Self::Other(line) => f.write_str(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sasl_core::Mechanism;

    use super::*;

    #[test]
    fn table() {
        let plain = Mechanisms::from_iter([Mechanism::Plain]);
        for (line, want, printed) in [
            ("top", Capability::Top, "TOP"),
            ("SASL PLAIN XOAUTH2", Capability::Sasl(plain), "SASL PLAIN"),
            ("SASL", Capability::Sasl(Mechanisms::NONE), "SASL"),
            (
                "LOGIN-DELAY 300",
                Capability::LoginDelay {
                    seconds: 300,
                    per_user: false,
                },
                "LOGIN-DELAY 300",
            ),
            (
                "LOGIN-DELAY 1 user",
                Capability::LoginDelay {
                    seconds: 1,
                    per_user: true,
                },
                "LOGIN-DELAY 1 USER",
            ),
            (
                "EXPIRE NEVER",
                Capability::Expire {
                    days: None,
                    per_user: false,
                },
                "EXPIRE NEVER",
            ),
            (
                "EXPIRE 60 USER",
                Capability::Expire {
                    days: Some(60),
                    per_user: true,
                },
                "EXPIRE 60 USER",
            ),
            (
                "EXPIRE soon",
                Capability::Other("EXPIRE soon".into()),
                "EXPIRE soon",
            ),
            (
                "TOP of it",
                Capability::Other("TOP of it".into()),
                "TOP of it",
            ),
            (
                "IMPLEMENTATION Shlemazle-Plotz-v302",
                Capability::Implementation("Shlemazle-Plotz-v302".into()),
                "IMPLEMENTATION Shlemazle-Plotz-v302",
            ),
            ("STLS ", Capability::Stls, "STLS"),
            (
                "X-GOOGLE-RICO",
                Capability::Other("X-GOOGLE-RICO".into()),
                "X-GOOGLE-RICO",
            ),
        ] {
            assert_eq!(line.parse(), Ok(want.clone()), "{line:?}");
            assert_eq!(want.to_string(), printed);
        }
        for line in ["", " ", " TOP", "TOP\r"] {
            assert_eq!(
                line.parse::<Capability>(),
                Err(InvalidCapability),
                "{line:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_parses(line in "(EXPIRE|LOGIN-DELAY|SASL|TOP|IMPLEMENTATION|[A-Z]{1,9})( [ -~]{0,12}| [0-9]{1,11}( USER)?)?") {
            if let Ok(capability) = line.parse::<Capability>() {
                prop_assert_eq!(capability.to_string().parse(), Ok(capability));
            }
        }
    }
}
