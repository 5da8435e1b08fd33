//! DNS for the server: the system's resolver, named servers, or a zone file; with a cache in front.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr;
use mail_dns::{Answer, Cache, CacheLimits, Evaluation, Failure, Question, Zone};

use crate::config::Dns;

/// Answers questions.
pub struct Resolver {
    source: Source,
    start: Instant,
    cache: Mutex<Cache>,
}

enum Source {
    Network(Box<TokioResolver>),
    Zone(Box<Zone>),
    Function(Box<Function>),
}

/// An answer that is on its way.
pub type Lookup = Pin<Box<dyn Future<Output = Answer> + Send>>;

type Function = dyn Fn(Question) -> Lookup + Send + Sync;

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.source {
            Source::Network(_) => "Resolver(network)",
            Source::Zone(_) => "Resolver(zone)",
            Source::Function(_) => "Resolver(function)",
        })
    }
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// The zone file cannot be read.
    #[error("zone file: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The zone file is wrong.
    #[error("zone file: {0}")]
    Zone(#[from] mail_dns::ZoneError),
    /// The system's configuration cannot be used.
    #[error("resolver: {0}")]
    System(String),
}

impl Resolver {
    /// As configured: a zone file, named servers, or the system's.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration.
    pub fn new(dns: &Dns) -> Result<Self, ResolverError> {
        if let Some(path) = &dns.zone {
            return Ok(Self::from_zone(std::fs::read_to_string(path)?.parse()?));
        }
        let failed = |error: NetError| ResolverError::System(error.to_string());
        let builder = if dns.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(failed)?
        } else {
            let servers = dns.servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let resolver = builder.build().map_err(failed)?;
        Ok(Self::from_source(Source::Network(Box::new(resolver))))
    }

    /// A zone that answers everything.
    #[must_use]
    pub fn from_zone(zone: Zone) -> Self {
        Self::from_source(Source::Zone(Box::new(zone)))
    }

    /// A function that answers everything, through the cache: another resolver, or one that is slow, for a test.
    #[must_use]
    pub fn from_function(answer: impl Fn(Question) -> Lookup + Send + Sync + 'static) -> Self {
        Self::from_source(Source::Function(Box::new(answer)))
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            start: Instant::now(),
            cache: Mutex::new(Cache::new(CacheLimits::default())),
        }
    }

    /// The verdict of an evaluation; what has no answer by then has failed.
    pub async fn evaluate<E: Evaluation>(
        &self,
        evaluation: E,
        deadline: tokio::time::Instant,
    ) -> E::Verdict {
        let ask = |question: Question| async move { self.ask(&question).await };
        mail_dns::resolve(evaluation, ask, tokio::time::sleep_until(deadline)).await
    }

    /// The answer to a question, within 10 seconds.
    pub async fn ask(&self, question: &Question) -> Answer {
        if let Source::Zone(zone) = &self.source {
            return zone.answer(question);
        }
        let kept = self.cache().find(question, self.start.elapsed());
        if let Some(answer) = kept {
            return answer;
        }
        let answer = tokio::time::timeout(Duration::from_secs(10), self.lookup(question))
            .await
            .unwrap_or_else(|_| Answer::failed(Failure::Timeout));
        self.cache().insert(question, &answer, self.start.elapsed());
        answer
    }

    async fn lookup(&self, question: &Question) -> Answer {
        match &self.source {
            Source::Network(resolver) => lookup(resolver, question).await,
            Source::Zone(zone) => zone.answer(question),
            Source::Function(answer) => answer(question.clone()).await,
        }
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

async fn lookup(resolver: &TokioResolver, question: &Question) -> Answer {
    let Ok(name) = rr::Name::try_from(&question.name) else {
        return Answer::nx_domain();
    };
    let kind = rr::RecordType::from(question.kind);
    match resolver.lookup(name, kind).await {
        Ok(lookup) => mail_dns::hickory::answer(question, lookup.message()),
        Err(error) if error.is_nx_domain() => Answer::nx_domain(),
        Err(error) if error.is_no_records_found() => Answer::no_data(),
        Err(NetError::Timeout) => Answer::failed(Failure::Timeout),
        Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused))) => {
            Answer::failed(Failure::Refused)
        }
        Err(_) => Answer::failed(Failure::ServFail),
    }
}
