//! What a score is made of.

use std::net::IpAddr;

use crate::dnsbl::{self, Subject};
use crate::early_talker::Conduct;
use crate::helo::{self, Resolution};
use crate::iprev::{self, IprevResult};
use crate::s25r;

/// What is known of a client and its message; what is not known is left out and worth nothing.
///
/// ```
/// # use screening::scorer::{Evidence, Spf};
/// let mut evidence = Evidence::default();
/// evidence.client = Some("192.0.2.7".parse()?);
/// evidence.spf = Some(Spf::Pass);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Whether the address has a name that leads back to it.
    pub iprev: Option<&'a iprev::Verdict>,
    /// Whether the name looks like that of an end user's line.
    pub s25r: Option<&'a s25r::Finding>,
    /// What the client calls itself.
    pub helo: Option<&'a helo::Verdict>,
    /// What the lists say. A white list of names counts only where the name is the client's: SPF says pass for the domain of the reverse-path,
    /// the name of HELO leads to the client, the reverse name does.
    pub lists: Option<&'a dnsbl::Verdict>,
    /// How it speaks SMTP.
    pub conduct: Conduct,
    /// What SPF says of the reverse-path.
    pub spf: Option<Spf>,
    /// Whether our users have written to the sender before. It counts only where SPF says pass: otherwise anybody may claim to be it.
    pub known_correspondent: bool,
    /// What its past is worth in points: positive for a bad one, negative for a good one
    /// ([`Score::points`](crate::reputation::Score::points)).
    pub reputation: Option<i32>,
    /// What the past of its networks is worth ([`Score::network_points`](crate::reputation::Score::network_points)). It refuses nobody.
    pub network_reputation: Option<i32>,
    /// What has the greatest share in the points of its past ([`Score::mostly`](crate::reputation::Score::mostly)), for the reasons.
    pub reputation_of: Option<&'a str>,
    /// The same of its networks ([`Score::network_mostly`](crate::reputation::Score::network_mostly)).
    pub network_reputation_of: Option<&'a str>,
}

impl Evidence<'_> {
    /// Whether the client is what a list was asked for, and does not only say so.
    pub(super) fn proves(&self, subject: Subject) -> bool {
        match subject {
            Subject::Address | Subject::Ipv4 | Subject::Ipv6 => true,
            Subject::MailFrom => self.spf == Some(Spf::Pass),
            Subject::Helo => {
                let helo = self.helo.map(|helo| helo.resolution);
                helo == Some(Resolution::Client)
            }
            Subject::ReverseName => {
                let iprev = self.iprev.map(|iprev| iprev.result);
                iprev == Some(IprevResult::Pass)
            }
        }
    }
}

/// A result of SPF (RFC 7208 §2.6), told to the scorer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spf {
    /// The domain publishes no policy.
    None,
    /// It publishes one that says nothing of this client.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// A lookup failed.
    TempError,
    /// The policy cannot be understood.
    PermError,
}
