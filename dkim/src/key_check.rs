//! Whether the DNS has the key that we sign with: for who publishes keys.

use core::fmt;

use mail_dns::{Answer, Dnssec, Evaluation, Failure, Name, Need, Question, Record, RecordType};
use mail_syntax::Domain;

use crate::key_record::{KeyRecord, KeyRecordError, Leniency};
use crate::public_key::PublicKey;
use crate::signature::{KeyNameError, key_name};
use crate::verifier::Limits;

/// Asks for the key record of a selector, and compares it with the public half of a private key.
///
/// ```
/// use dkim::key_check::{KeyCheck, Published};
/// use dkim::PrivateKey;
/// use mail_dns::{Zone, resolve_blocking};
///
/// let key = PrivateKey::from_ed25519_seed(&[7; 32])?;
/// let zone = Zone::new().txt("2026a._domainkey.example.com", &key.key_record()?.to_string());
/// let check = KeyCheck::new(&"2026a".parse()?, &"example.com".parse()?, key.public_key()?)?;
/// let verdict = resolve_blocking(check, |question| zone.answer(question));
/// assert_eq!(verdict.published, Published::Matches);
/// assert!(verdict.is_good());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyCheck {
    question: Question,
    wanted: PublicKey,
    asked: bool,
    verdict: Option<KeyCheckVerdict>,
}

/// What stands in the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// The key that was wanted.
    Matches,
    /// Another key.
    Differs,
    /// An empty `p=`.
    Revoked,
    /// No TXT record.
    Missing,
    /// More than one record.
    ///
    /// RFC 6376 §3.6.2.2: "TXT RRs MUST be unique for a particular selector name; that is, if there are multiple records in an RRset,
    /// the results are undefined."
    Several {
        /// How many there are.
        records: usize,
        /// One of them has the key.
        matches: bool,
    },
    /// A record that verifiers refuse.
    Malformed(KeyRecordError),
    /// A record longer than [`Limits::key_record`].
    TooLong {
        /// Its octets.
        octets: usize,
    },
    /// The DNS did not answer.
    Unavailable(Failure),
}

/// What it is, and what to do about it.
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matches => f.write_str("the DNS has this key"),
            Self::Differs => f.write_str(
                "the DNS has another key: publish the record of this one, or sign with the key that is published",
            ),
            Self::Revoked => f.write_str(
                "the key is revoked: its p= is empty; publish a new key by another selector",
            ),
            Self::Missing => f.write_str(
                "there is no key record: publish it as TXT, and check that its name does not have the domain twice",
            ),
            Self::Several { records, matches } => {
                let one = if *matches { "one of them has this key" } else { "none has this key" };
                write!(f, "there are {records} records, {one}: leave only its own, verifiers take any")
            }
            Self::Malformed(error) => write!(f, "{error}: publish the record anew"),
            Self::TooLong { octets } => {
                write!(f, "the record has {octets} octets, too many: publish the record of the key alone")
            }
            Self::Unavailable(failure) => write!(f, "the DNS did not answer ({failure}): try again"),
        }
    }
}

/// Something about a record that is allowed, and may not be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Concern {
    /// `t=y`.
    #[error("t=y says that the domain only tests DKIM: take it out when the test is over")]
    Testing,
    /// `s=` without `email` or `*`.
    #[error("s= says that the key is not for mail: signatures by it are refused")]
    NotForMail,
    /// `h=` without `sha256`.
    #[error("h= does not have sha256, the only hash in use: signatures by it are refused")]
    NotForSha256,
    /// Below 2048 bits (RFC 8301 §3.2).
    #[error("the RSA key has fewer than 2048 bits: make a longer one")]
    Weak,
    /// An Ed25519 key that is wrapped, which [`Leniency::ed25519_spki`] would take.
    #[error(
        "p= has the Ed25519 key within a SubjectPublicKeyInfo, which most verifiers refuse: publish its 32 octets alone"
    )]
    Wrapped,
}

/// What a [`KeyCheck`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCheckVerdict {
    /// The name of the record.
    pub name: Name,
    /// What stands there.
    pub published: Published,
    /// What else is to be said of a single record.
    pub concerns: Vec<Concern>,
    /// How long resolvers keep the answer, in seconds, if that was told: for so long an old record may still be seen.
    pub ttl: Option<u64>,
    /// What DNSSEC says of it.
    pub dnssec: Dnssec,
}

impl KeyCheckVerdict {
    /// Signatures by the key verify: it is there, alone, for mail and for SHA-256.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let refused = |concern: &Concern| {
            matches!(
                concern,
                Concern::NotForMail | Concern::NotForSha256 | Concern::Wrapped
            )
        };
        self.published == Published::Matches && !self.concerns.iter().any(refused)
    }
}

/// A line for what stands in the DNS, and one for each concern.
impl fmt::Display for KeyCheckVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.published)?;
        (self.concerns.iter()).try_for_each(|concern| write!(f, "\n{concern}"))
    }
}

impl KeyCheck {
    /// Begins to check that SELECTOR`._domainkey.`DOMAIN has this key.
    ///
    /// # Errors
    /// [`KeyNameError`] if they make no name.
    pub fn new(
        selector: &Domain,
        domain: &Domain,
        wanted: PublicKey,
    ) -> Result<Self, KeyNameError> {
        Ok(Self {
            question: Question::new(key_name(selector, domain)?, RecordType::Txt),
            wanted,
            asked: false,
            verdict: None,
        })
    }

    fn judge(&self, answer: &Answer) -> (Published, Vec<Concern>) {
        let records = match answer.outcome() {
            Ok(records) => records,
            Err(failure) => return (Published::Unavailable(failure), Vec::new()),
        };
        let texts: Vec<_> = (records.iter())
            .filter_map(|record| match record {
                Record::Txt(text) => Some(text.joined()),
                _ => None,
            })
            .collect();
        match texts.as_slice() {
            [] => (Published::Missing, Vec::new()),
            [text] => self.judge_one(text),
            several => {
                let matches = |text: &[u8]| self.judge_one(text).0 == Published::Matches;
                let published = Published::Several {
                    records: several.len(),
                    matches: several.iter().any(|text| matches(text)),
                };
                (published, Vec::new())
            }
        }
    }

    fn judge_one(&self, text: &[u8]) -> (Published, Vec<Concern>) {
        let octets = text.len();
        if octets > Limits::default().key_record {
            return (Published::TooLong { octets }, Vec::new());
        }
        let strict = KeyRecord::parse(text);
        let wrapped = strict.is_err();
        let record = match strict.or_else(|_| KeyRecord::parse_with(text, &Leniency::all())) {
            Ok(record) => record,
            Err(error) => return (Published::Malformed(error), Vec::new()),
        };
        let published = match &record.public_key {
            None => Published::Revoked,
            Some(key) if *key == self.wanted => Published::Matches,
            Some(_) => Published::Differs,
        };
        let weak = matches!(&record.public_key, Some(PublicKey::Rsa(key)) if key.is_weak());
        let sha256 = |hashes: &Vec<Box<str>>| hashes.iter().any(|hash| **hash == *"sha256");
        let concerns = [
            (record.testing, Concern::Testing),
            (!record.allows_email(), Concern::NotForMail),
            (
                !record.hashes.as_ref().is_none_or(sha256),
                Concern::NotForSha256,
            ),
            (weak, Concern::Weak),
            (wrapped, Concern::Wrapped),
        ];
        let concerns = concerns.into_iter().filter(|(there, _)| *there);
        (published, concerns.map(|(_, concern)| concern).collect())
    }
}

impl Evaluation for KeyCheck {
    type Verdict = KeyCheckVerdict;

    fn poll(&mut self) -> Need<KeyCheckVerdict> {
        if !self.asked {
            self.asked = true;
            return Need::Lookup(self.question.clone());
        }
        self.verdict.clone().map_or(Need::Wait, Need::Done)
    }

    fn answer(&mut self, question: &Question, answer: &Answer) {
        if !self.asked || self.verdict.is_some() || *question != self.question {
            return;
        }
        let (published, concerns) = self.judge(answer);
        self.verdict = Some(KeyCheckVerdict {
            name: self.question.name.clone(),
            published,
            concerns,
            ttl: answer.ttl.map(|ttl| ttl.as_secs()),
            dnssec: answer.dnssec,
        });
    }
}

#[cfg(test)]
mod tests {
    use mail_dns::{Zone, resolve_blocking};

    use super::*;
    use crate::PrivateKey;

    const NAME: &str = "s._domainkey.example.com";
    const SPKI: &str = "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const BARE: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn check(zone: &Zone) -> KeyCheckVerdict {
        let wanted: KeyRecord = format!("k=ed25519; p={BARE}").parse().unwrap();
        let (selector, domain) = ("s".parse().unwrap(), "example.com".parse().unwrap());
        let check = KeyCheck::new(&selector, &domain, wanted.public_key.unwrap()).unwrap();
        resolve_blocking(check, |question| zone.answer(question))
    }

    #[test]
    fn verdicts() {
        use Concern::*;
        use Published::*;
        let other = PrivateKey::from_ed25519_seed(&[1; 32]).unwrap();
        let other = other.key_record().unwrap().to_string();
        let rsa1024 = "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";
        let ours = format!("k=ed25519; p={BARE}");
        let one = |text: &str| Zone::new().txt(NAME, text);
        for (zone, published, concerns, good) in [
            (one(&ours), Matches, vec![], true),
            (one(&format!("t=y:s; {ours}")), Matches, vec![Testing], true),
            (
                one(&format!("s=tlsrpt; h=sha1; {ours}")),
                Matches,
                vec![NotForMail, NotForSha256],
                false,
            ),
            (
                one(&format!("k=ed25519; p={SPKI}")),
                Matches,
                vec![Wrapped],
                false,
            ),
            (one(&other), Differs, vec![], false),
            (one(rsa1024), Differs, vec![Weak], false),
            (one("k=ed25519; p="), Revoked, vec![], false),
            (Zone::new(), Missing, vec![], false),
            (Zone::new().a(NAME, [192, 0, 2, 1]), Missing, vec![], false),
            (
                one(&ours).txt(NAME, "google-site-verification=x"),
                Several {
                    records: 2,
                    matches: true,
                },
                vec![],
                false,
            ),
            (
                one(&other).txt(NAME, "pear"),
                Several {
                    records: 2,
                    matches: false,
                },
                vec![],
                false,
            ),
            (
                one("v=DKIM1; k=ed25519"),
                Malformed(KeyRecordError::MissingKey),
                vec![],
                false,
            ),
            (
                one(&format!("n={}; {ours}", "a".repeat(9000))),
                TooLong { octets: 9061 },
                vec![],
                false,
            ),
            (
                Zone::new().fail(NAME, Failure::Timeout),
                Unavailable(Failure::Timeout),
                vec![],
                false,
            ),
        ] {
            let verdict = check(&zone);
            assert_eq!(
                (&verdict.published, &verdict.concerns),
                (&published, &concerns),
                "{zone:?}"
            );
            assert_eq!(verdict.is_good(), good, "{verdict}");
            assert!(verdict.to_string().starts_with(&format!("{NAME}: ")));
        }
    }

    #[test]
    fn only_the_first_answer_to_its_question_counts() {
        let (selector, domain) = ("s".parse().unwrap(), "example.com".parse().unwrap());
        let key = PrivateKey::from_ed25519_seed(&[1; 32])
            .unwrap()
            .public_key()
            .unwrap();
        let mut check = KeyCheck::new(&selector, &domain, key).unwrap();
        let Need::Lookup(question) = check.poll() else {
            panic!("no question");
        };
        let other = Question::new("example.com".parse().unwrap(), RecordType::Txt);
        check.answer(&other, &Answer::nx_domain());
        assert_eq!(check.poll(), Need::Wait);
        check.answer(&question, &Answer::failed(Failure::ServFail));
        check.answer(&question, &Answer::nx_domain());
        let Need::Done(verdict) = check.poll() else {
            panic!("no verdict");
        };
        assert_eq!(verdict.published, Published::Unavailable(Failure::ServFail));
    }
}
