//! The registered words of Authentication-Results: methods, results, property types.

use core::fmt;
use core::str::FromStr;

/// A word of letters, digits, hyphens, underscores and dots: what RFC 8601 calls a Keyword, and a little more, as peers write
/// `dkim_pass` and `gateway.spf`. Compares without case; held in lower case. At most 64 octets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Keyword(Box<str>);

/// The text is no [`Keyword`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a keyword is 1 to 64 letters, digits, hyphens, underscores and dots")]
pub struct KeywordError;

impl Keyword {
    /// The word in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Keyword {
    type Err = KeywordError;
    fn from_str(text: &str) -> Result<Self, KeywordError> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(KeywordError)
        }
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $variant:ident = $text:literal,)* } $(not registered: $unregistered:ident)? $(without: $separator:literal)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_meta])* #[doc = concat!("`", $text, "`.")] $variant,)*
            /// Another word.
            Other(Keyword),
        }

        impl $name {
            /// True if the word is in IANA's registry.
            #[must_use]
            pub fn is_registered(&self) -> bool {
                match self {
                    $(Self::$unregistered => false,)?
                    Self::Other(_) => false,
                    _ => true,
                }
            }

            /// The word, in lower case.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(word) => word.as_str(),
                }
            }
        }

        impl FromStr for $name {
            type Err = KeywordError;
            fn from_str(text: &str) -> Result<Self, KeywordError> {
                let word: Keyword = text.parse()?;
                $(if word.as_str().contains($separator) {
                    return Err(KeywordError);
                })?
                Ok(match word.as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Other(word),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What was used to check the message (IANA registry "Email Authentication Methods").
    Method {
        Arc = "arc",
        Auth = "auth",
        Dkim = "dkim",
        DkimAdsp = "dkim-adsp",
        DkimAtps = "dkim-atps",
        Dmarc = "dmarc",
        Dnswl = "dnswl",
        DomainKeys = "domainkeys",
        Iprev = "iprev",
        Rrvs = "rrvs",
        SenderId = "sender-id",
        Smime = "smime",
        Spf = "spf",
        Vbr = "vbr",
    }
}

words! {
    /// What the check said (IANA registry "Email Authentication Result Names"). What each means depends on the method.
    Outcome {
        None = "none",
        Pass = "pass",
        Fail = "fail",
        Policy = "policy",
        Neutral = "neutral",
        SoftFail = "softfail",
        TempError = "temperror",
        PermError = "permerror",
        Discard = "discard",
        NxDomain = "nxdomain",
        Signed = "signed",
        Unknown = "unknown",
        /// Not registered any more; some servers write it for `fail`.
        HardFail = "hardfail",
    } not registered: HardFail
}

words! {
    /// Where a property was taken from (IANA registry "Email Authentication Property Types"). Holds no dot: that ends it.
    Ptype {
        Body = "body",
        Dns = "dns",
        Header = "header",
        Policy = "policy",
        Smtp = "smtp",
    } without: '.'
}
