//! Who takes the mail of a domain: many domains are behind few providers, and each provider has one opinion of an address of ours.

use core::fmt;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use mail_syntax::Domain;

/// The most domains in a set of rules. Each costs about 100 octets.
pub const MAX_RULES: usize = 10_000;
/// The most octets of a provider's name.
pub const MAX_NAME: usize = 32;

/// Who takes mail: a provider of the rules, or a domain that stands for itself.
///
/// As text it is the provider's name, which has no dot, or the domain in lower case, which has one (`localhost` is `localhost.`): so
/// no domain can pass for a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Provider(Box<str>);

impl Provider {
    /// The domain that stands for itself.
    pub fn of_domain(domain: &Domain) -> Self {
        let mut text = domain.as_str().to_ascii_lowercase();
        if !text.contains('.') {
            text.push('.');
        }
        Self(text.into())
    }

    /// All domains that stand for themselves, where they are taken together.
    pub fn others() -> Self {
        Self("others".into())
    }

    /// Whether it is a domain that stands for itself.
    pub fn is_domain(&self) -> bool {
        self.0.contains('.')
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A provider's name (letters, digits, `-` and `_`, at most [`MAX_NAME`]), or a domain with a dot.
impl FromStr for Provider {
    type Err = ProvidersError;

    fn from_str(text: &str) -> Result<Self, ProvidersError> {
        if is_name(text) {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        let wrong = || ProvidersError::NoProvider { text: shown(text) };
        let domain = text.strip_suffix('.').unwrap_or(text);
        let domain: Domain = domain.parse().map_err(|_| wrong())?;
        Ok(Self::of_domain(&domain))
    }
}

/// The rules by which domains are grouped.
///
/// They are data: [`Providers::examples`] come with the crate, and a server reads its own from a file of the same form. A line is a name,
/// `domain` or `mx`, and domains; `#` begins a comment.
///
/// ```
/// use screening::outbound::provider::Providers;
///
/// let providers: Providers = "gmail domain gmail.com\ngmail mx google.com\n".parse()?;
/// let provider = |domain: &str, exchanger: Option<&str>| -> Result<String, mail_syntax::domain::DomainError> {
///     let exchanger = exchanger.map(str::parse).transpose()?;
///     Ok(providers.provider(&domain.parse()?, exchanger.as_ref()).to_string())
/// };
/// assert_eq!(provider("Gmail.com", None)?, "gmail");
/// assert_eq!(provider("shop.example", Some("ASPMX.L.Google.com"))?, "gmail");
/// assert_eq!(provider("Shop.example", Some("mx.shop.example"))?, "shop.example");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Providers {
    /// By recipient domain, in lower case.
    domains: BTreeMap<Box<str>, Provider>,
    /// By exchanger or what stands above it, in lower case.
    exchangers: BTreeMap<Box<str>, Provider>,
}

/// Why a text has no rules, or is no provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProvidersError {
    /// The line does not go `NAME domain DOMAIN…` or `NAME mx DOMAIN…`.
    #[error("line {line}: want `NAME domain DOMAIN…` or `NAME mx DOMAIN…`")]
    Form {
        /// Which line, from 1.
        line: usize,
    },
    /// No name of a provider.
    #[error("line {line}: {text:?} is no name of a provider: letters, digits, - and _, at most 32")]
    Name {
        /// Which line, from 1.
        line: usize,
        /// What stands there, its first 80 characters.
        text: String,
    },
    /// No domain.
    #[error("line {line}: {text:?} is no domain")]
    Domain {
        /// Which line, from 1.
        line: usize,
        /// What stands there, its first 80 characters.
        text: String,
    },
    /// The domain is another provider's already.
    #[error("line {line}: {domain} belongs to {provider} already")]
    Taken {
        /// Which line, from 1.
        line: usize,
        /// The domain.
        domain: String,
        /// Whose it is.
        provider: Provider,
    },
    /// A text alone that is neither a name nor a domain.
    #[error("{text:?} is neither the name of a provider nor a domain")]
    NoProvider {
        /// The text, its first 80 characters.
        text: String,
    },
    /// More domains than [`MAX_RULES`].
    #[error("line {line}: more than 10,000 domains")]
    TooMany {
        /// Which line, from 1.
        line: usize,
    },
}

impl Providers {
    /// The rules that come with the crate: gmail, outlook, yahoo, apple. They are examples, and age.
    pub fn examples() -> Self {
        // A test parses the file.
        include_str!("providers.txt").parse().unwrap_or_default()
    }

    /// The providers that the rules name, each once, in the order of their names.
    pub fn names(&self) -> impl Iterator<Item = &Provider> {
        let all = self.domains.values().chain(self.exchangers.values());
        let once: BTreeSet<&Provider> = all.collect();
        once.into_iter()
    }

    /// Who takes mail for a recipient's domain.
    ///
    /// `exchanger` is the most preferred one of its MX records, if they were looked up: it is where the mail goes, so its owner's opinion
    /// counts. Others are not asked: a domain could name a provider's host behind its own.
    pub fn provider(&self, domain: &Domain, exchanger: Option<&Domain>) -> Provider {
        let by_domain = || self.domains.get(&*domain.as_str().to_ascii_lowercase());
        let by_exchanger = || {
            let host = exchanger?.as_str().to_ascii_lowercase();
            // The host, then each name above it.
            let above = host
                .match_indices('.')
                .filter_map(|(dot, _)| host.get(dot + 1..));
            core::iter::once(host.as_str())
                .chain(above)
                .find_map(|name| self.exchangers.get(name))
        };
        by_domain()
            .or_else(by_exchanger)
            .cloned()
            .unwrap_or_else(|| Provider::of_domain(domain))
    }
}

impl FromStr for Providers {
    type Err = ProvidersError;

    fn from_str(text: &str) -> Result<Self, ProvidersError> {
        let mut providers = Self::default();
        for (at, text) in text.lines().enumerate() {
            let line = at + 1;
            let mut words = text
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            let Some(name) = words.next() else {
                continue;
            };
            if !is_name(name) {
                let text = shown(name);
                return Err(ProvidersError::Name { line, text });
            }
            let provider = Provider(name.to_ascii_lowercase().into());
            let form = ProvidersError::Form { line };
            let count = providers.domains.len() + providers.exchangers.len();
            let rules = match words.next() {
                Some("domain") => &mut providers.domains,
                Some("mx") => &mut providers.exchangers,
                _ => return Err(form),
            };
            let mut words = words.peekable();
            if words.peek().is_none() {
                return Err(form);
            }
            for (added, word) in words.enumerate() {
                if count + added >= MAX_RULES {
                    return Err(ProvidersError::TooMany { line });
                }
                let domain: Domain = word.parse().map_err(|_| ProvidersError::Domain {
                    line,
                    text: shown(word),
                })?;
                let domain = domain.as_str().to_ascii_lowercase();
                match rules.get(&*domain) {
                    Some(other) if *other != provider => {
                        let provider = other.clone();
                        return Err(ProvidersError::Taken {
                            line,
                            domain,
                            provider,
                        });
                    }
                    _ => rules.insert(domain.into(), provider.clone()),
                };
            }
        }
        Ok(providers)
    }
}

/// The rules, one domain a line, in the form that is read.
impl fmt::Display for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, rules) in [("domain", &self.domains), ("mx", &self.exchangers)] {
            for (domain, provider) in rules {
                writeln!(f, "{provider} {rule} {domain}")?;
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(is_plain)
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn the_examples_are_read_and_print_what_they_parse() {
        let examples: Providers = include_str!("providers.txt").parse().unwrap();
        assert_eq!(examples, Providers::examples());
        assert_eq!(examples.to_string().parse(), Ok(examples.clone()));
        let names: Vec<&str> = examples.names().map(Provider::as_str).collect();
        assert_eq!(names, ["apple", "gmail", "outlook", "yahoo"]);
        for (recipient, exchanger, wanted) in [
            ("gmail.com", None, "gmail"),
            ("GMAIL.com", Some("mx.elsewhere.example"), "gmail"),
            ("shop.example", Some("aspmx.l.google.com"), "gmail"),
            ("shop.example", Some("google.com"), "gmail"),
            ("shop.example", Some("notgoogle.com"), "shop.example"),
            (
                "shop.example",
                Some("google.com.shop.example"),
                "shop.example",
            ),
            (
                "shop.example",
                Some("shop-example.mail.protection.outlook.com"),
                "outlook",
            ),
            ("mail.gmail.com", None, "mail.gmail.com"),
            ("gmail", None, "gmail."),
            ("icloud.com", None, "apple"),
        ] {
            let exchanger = exchanger.map(domain);
            let provider = examples.provider(&domain(recipient), exchanger.as_ref());
            assert_eq!(provider.as_str(), wanted, "{recipient} {exchanger:?}");
            assert_eq!(provider.is_domain(), wanted.contains('.'));
            assert_eq!(provider.to_string().parse(), Ok(provider));
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, wanted) in [
            ("gmail\n", "line 1: want"),
            ("\ngmail mx\n", "line 2: want"),
            ("gmail ip a.example", "line 1: want"),
            ("a.b mx c.example", "line 1: \"a.b\" is no name"),
            (
                "# x\na mx c..example",
                "line 2: \"c..example\" is no domain",
            ),
            (
                "a mx c.example\nb mx d.example C.example",
                "line 2: c.example belongs to a already",
            ),
        ] {
            let error = text.parse::<Providers>().unwrap_err();
            assert!(error.to_string().starts_with(wanted), "{error}");
        }
        let many: String = (0..=MAX_RULES)
            .map(|number| format!("a domain d{number}.example\n"))
            .collect();
        let error = many.parse::<Providers>().unwrap_err();
        assert_eq!(
            error,
            ProvidersError::TooMany {
                line: MAX_RULES + 1
            }
        );
        for text in ["", ".", "a b", "a..b", &"x".repeat(300)] {
            let error = text.parse::<Provider>().unwrap_err();
            assert!(
                matches!(error, ProvidersError::NoProvider { .. }),
                "{error}"
            );
        }
        assert_eq!("others".parse(), Ok(Provider::others()));
    }
}
