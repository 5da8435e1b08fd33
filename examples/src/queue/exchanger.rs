//! Which hosts take the mail of a domain (RFC 5321 §5.1).

use std::net::{IpAddr, SocketAddr};

use mail_dns::{Name, Question, Record, RecordType};
use mail_syntax::{Host, Mailbox};
use smtp_proto::client::TlsPolicy;

use crate::server::Context;

/// A host to try. Messages whose targets are equal may go by one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) address: SocketAddr,
    /// What the recipient's domain demands of TLS with it.
    pub(super) tls: TlsPolicy,
}

impl Target {
    const fn new(host: String, address: SocketAddr) -> Self {
        // Better read by nobody on the way than by anybody; a server without TLS gets its mail too (RFC 7435).
        let tls = TlsPolicy::Opportunistic;
        Self { host, address, tls }
    }
}

/// Why there is no host to try.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum RouteError {
    /// The domain does not exist.
    #[error("the domain does not exist")]
    NoDomain,
    /// RFC 7505: the domain says that it takes no mail.
    #[error("the domain takes no mail")]
    NullMx,
    /// The DNS does not answer.
    #[error("the DNS does not answer: {0:?}")]
    Dns(mail_dns::Failure),
    /// No exchanger has an address.
    #[error("no host that takes the domain's mail has an address")]
    NoAddress,
    /// No exchanger has an address that we can connect to.
    #[error("no way leads from here to a host that takes the domain's mail")]
    NoRoute,
    /// The domain is none that the DNS could know.
    #[error("the domain cannot be looked up")]
    Name,
}

impl RouteError {
    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self, Self::NoDomain | Self::NullMx | Self::Name)
    }
}

/// At most so many addresses are tried in one attempt.
const MOST: usize = 10;

/// The hosts to try for a recipient, in order.
pub(super) async fn targets(
    context: &Context,
    recipient: &Mailbox,
) -> Result<Vec<Target>, RouteError> {
    let outbound = &context.config.outbound;
    if let Some(smarthost) = &outbound.smarthost {
        return addresses(context, smarthost, outbound.port).await;
    }
    let domain = match recipient.host() {
        Host::Domain(domain) => domain,
        Host::Literal(literal) => {
            let text = literal.to_string();
            let inner = text
                .trim_start_matches('[')
                .trim_end_matches(']')
                .trim_start_matches("IPv6:");
            let ip: IpAddr = inner.parse().map_err(|_| RouteError::Name)?;
            let address = (ip, outbound.port).into();
            return Ok(vec![Target::new(inner.to_owned(), address)]);
        }
    };
    let name: Name = domain.as_str().parse().map_err(|_| RouteError::Name)?;
    let answer = context
        .resolver
        .ask(&Question::new(name, RecordType::Mx))
        .await;
    let mut exchangers: Vec<(u16, String)> = match answer.outcome() {
        Ok(records) => records
            .iter()
            .filter_map(|record| match record {
                Record::Mx {
                    preference,
                    exchange,
                } => Some((*preference, exchange.to_string())),
                _ => None,
            })
            .collect(),
        Err(failure) => return Err(RouteError::Dns(failure)),
    };
    if exchangers.is_empty() {
        // RFC 5321 §5.1: "If an empty list of MXs is returned, the address is treated as if it was associated with an implicit MX
        // RR, with a preference of 0, pointing to that host."
        if answer == mail_dns::Answer::nx_domain() {
            return Err(RouteError::NoDomain);
        }
        exchangers.push((0, domain.as_str().to_owned()));
    }
    if let [(0, only)] = &exchangers[..]
        && matches!(only.as_str(), "" | ".")
    {
        return Err(RouteError::NullMx);
    }
    exchangers.sort();
    let mut found = Vec::new();
    for (_, exchanger) in exchangers {
        if let Ok(more) = addresses(context, &exchanger, outbound.port).await {
            found.extend(more);
        }
        if found.len() >= MOST {
            break;
        }
    }
    found.truncate(MOST);
    match found.is_empty() {
        true => Err(RouteError::NoAddress),
        false => Ok(found),
    }
}

async fn addresses(context: &Context, host: &str, port: u16) -> Result<Vec<Target>, RouteError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![Target::new(host.to_owned(), (ip, port).into())]);
    }
    let name: Name = host.parse().map_err(|_| RouteError::Name)?;
    let mut found = Vec::new();
    for kind in [RecordType::Aaaa, RecordType::A] {
        let answer = context
            .resolver
            .ask(&Question::new(name.clone(), kind))
            .await;
        for record in answer.records() {
            let ip: IpAddr = match record {
                Record::A(ip) => (*ip).into(),
                Record::Aaaa(ip) => (*ip).into(),
                _ => continue,
            };
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            found.push(Target::new(host, (ip, port).into()));
        }
    }
    match found.is_empty() {
        true => Err(RouteError::NoAddress),
        false => Ok(found),
    }
}
