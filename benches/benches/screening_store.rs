//! Screening: what a decision costs with a million keys in the store, against one look-up in a map of as many.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use benches::group;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use screening::failed_login::FailedLogin;
use screening::greylisting::{Attempt, Decision, Greylist, Known};
use screening::rate_limit::{self, Quota, RateLimit};
use screening::reputation::{Client, Outcome, Reputation};
use screening::store::{Keys, MemoryStore};

/// A million, and a power of two.
const KEYS: u32 = 1 << 20;
const KEY: Keys = Keys::new([7; 16]);
const NOW: u64 = 1_800_000_000;

/// Addresses of as many networks, each once before any comes again, in an order that no cache guesses.
fn clients() -> impl FnMut() -> IpAddr {
    let mut number = 1_u32;
    move || {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) % KEYS;
        Ipv4Addr::from(number << 12 | 1).into()
    }
}

fn attempt<'a>(client: IpAddr) -> Attempt<'a> {
    Attempt::new(client, "joe.bloggs@example.net", "ann.other@example.org")
}

fn greylisting(criterion: &mut Criterion) {
    let greylist = Greylist::new(KEY);
    let mut known = MemoryStore::new(KEYS as usize);
    let mut client = clients();
    for _ in 0..KEYS {
        let attempt = attempt(client());
        greylist.check(&mut known, &attempt, NOW).unwrap();
        greylist.check(&mut known, &attempt, NOW + 60).unwrap();
    }
    let mut map: HashMap<[u8; 16], [u64; 4]> = HashMap::new();
    let octets = |client: IpAddr| match client {
        IpAddr::V4(client) => client.to_ipv6_mapped().octets(),
        IpAddr::V6(client) => client.octets(),
    };
    let mut client = clients();
    for _ in 0..KEYS {
        map.insert(octets(client()), [0; 4]);
    }
    let mut group = group(criterion, "screening/greylisting, a million keys");
    let mut client = clients();
    let decision = greylist.check(&mut known, &attempt(client()), NOW + 61);
    assert_eq!(decision, Ok(Decision::Pass(Known::Client)));
    group.bench_function("a known client", |bencher| {
        bencher.iter(|| greylist.check(&mut known, &attempt(client()), NOW + 61));
    });
    let mut client = clients();
    let mut number = 0_u64;
    group.bench_function("a new message, the oldest forgotten", |bencher| {
        bencher.iter_batched(
            || {
                number += 1;
                (client(), format!("joe@x{number:x}.example"))
            },
            |(client, sender)| {
                let IpAddr::V4(client) = client else { return };
                // Of a network that is not known.
                let client = Ipv4Addr::from(u32::from(client) ^ 0x100).into();
                let attempt = Attempt::new(client, &sender, "ann.other@example.org");
                black_box(greylist.check(&mut known, &attempt, NOW + 62)).unwrap();
            },
            BatchSize::SmallInput,
        );
    });
    let mut client = clients();
    group.bench_function("limit: one look-up in a map", |bencher| {
        bencher.iter(|| black_box(&map).get(&octets(client())).copied());
    });
    group.finish();
}

fn others(criterion: &mut Criterion) {
    let mut group = group(criterion, "screening/a million keys");
    let mut store = MemoryStore::new(KEYS as usize);

    let limit = RateLimit::new(KEY);
    let quotas = [
        Quota::new(600, Duration::from_secs(3_600)),
        Quota::new(2_000, Duration::from_secs(3_600)),
    ];
    let wanted = |client: IpAddr| {
        let network = screening::Network::new(client, 24);
        [
            (rate_limit::Subject::Address(client), quotas[0]),
            (rate_limit::Subject::Network(network), quotas[1]),
        ]
    };
    let mut client = clients();
    for _ in 0..KEYS / 2 {
        limit.check(&mut store, &wanted(client()), 1, NOW).unwrap();
    }
    let mut client = clients();
    group.bench_function("rate limits of an address and its network", |bencher| {
        bencher.iter(|| limit.check(&mut store, &wanted(client()), 1, NOW).is_ok());
    });

    let failed_login = FailedLogin::new(KEY);
    let mut client = clients();
    for _ in 0..KEYS / 4 {
        failed_login
            .failed(&mut store, client(), "ann", NOW)
            .unwrap();
    }
    let mut client = clients();
    group.bench_function("may this login be tried", |bencher| {
        bencher.iter(|| failed_login.check(&mut store, client(), "ann", NOW));
    });
    let mut client = clients();
    group.bench_function("a failed login", |bencher| {
        bencher.iter(|| failed_login.failed(&mut store, client(), "ann", NOW));
    });

    let reputation = Reputation::new(KEY);
    let known = |address| {
        let mut client = Client::new(address);
        client.spf_domain = Some("example.net");
        client.dkim_domains = &["example.net"];
        client
    };
    let mut client = clients();
    for number in 0..KEYS / 2 {
        let outcome = if number % 3 == 0 {
            Outcome::Virus
        } else {
            Outcome::SpamTrap
        };
        reputation
            .record(&mut store, &known(client()), outcome, NOW)
            .unwrap();
    }
    let mut client = clients();
    group.bench_function("a reputation with its reasons", |bencher| {
        bencher.iter(|| reputation.score(&mut store, &known(client()), NOW));
    });
    let mut client = clients();
    group.bench_function("an outcome recorded", |bencher| {
        bencher.iter(|| reputation.record(&mut store, &known(client()), Outcome::Accepted, NOW));
    });
    group.finish();
}

/// One message to a provider: a new address and a warm one behind it; seven new ones whose quotas are spent before that; and as many that
/// are paused.
fn outbound(criterion: &mut Criterion) {
    use screening::outbound::provider::Provider;
    use screening::outbound::reputation::{Level, Listing, Outcome, Reputation};
    use screening::outbound::shaping::Shaper;
    use screening::outbound::warm_up::{Decision, Plan, Scheduler, Source};

    let mut group = group(criterion, "screening/outbound, a million keys");
    let mut store = MemoryStore::new(KEYS as usize);
    let provider = |number: u32| -> Provider {
        let domain = format!("d{number}.example.com").parse().unwrap();
        Provider::of_domain(&domain)
    };
    let address = |last: u8| IpAddr::from([192, 0, 2, last]);
    let scheduler = |new: std::ops::Range<u8>| {
        let mut plan = Plan::default();
        // Many keys, rather than one for all domains.
        plan.pool_domains = false;
        let new = new.map(|last| Source::warming(address(last)));
        let sources = new.chain([Source::warm(address(1))]);
        Scheduler::new(plan, Reputation::new(KEY), KEY, sources)
    };
    let (one, mut eight) = (scheduler(2..3), scheduler(2..9));
    let providers: Vec<Provider> = (0..KEYS / 8).map(provider).collect();
    for provider in &providers {
        for day in 0..7 {
            let now = NOW - day * 86_400;
            let reputation = &one.reputation;
            reputation
                .record(&mut store, address(2), provider, Outcome::Accepted, 9, now)
                .unwrap();
        }
    }
    let mut which = clients();
    let mut next = || match which() {
        IpAddr::V4(client) => &providers[(u32::from(client) >> 12) as usize % providers.len()],
        IpAddr::V6(_) => &providers[0],
    };
    group.bench_function("by which address", |bencher| {
        bencher.iter(|| one.take(&mut store, next(), 1, NOW).is_ok());
    });
    for provider in &providers {
        while let Ok(Decision::Send { .. }) = eight.take(&mut store, provider, 50, NOW) {}
    }
    group.bench_function(
        "by which of eight addresses, seven of them spent",
        |bencher| {
            bencher.iter(|| eight.take(&mut store, next(), 1, NOW).is_ok());
        },
    );
    let tomorrow = NOW + 86_400;
    let (new, _warm) = eight.sources_mut().split_at_mut(7);
    for source in new {
        source.listings.push(Listing {
            list: "bad.example.com".into(),
            level: Level::Stop,
        });
    }
    for provider in &providers {
        let decision = eight.take(&mut store, provider, 1, tomorrow);
        assert!(matches!(decision, Ok(Decision::Overflow { because, .. }) if because.len() == 7));
    }
    group.bench_function(
        "by which of eight addresses, seven of them paused",
        |bencher| {
            bencher.iter(|| eight.take(&mut store, next(), 1, tomorrow).is_ok());
        },
    );
    let yahoo: Provider = "yahoo".parse().unwrap();
    let Ok(Decision::Send { .. }) = one.take(&mut store, &yahoo, 1, NOW) else {
        return;
    };
    let mut shaper = Shaper::default();
    let _ = shaper.connect(&yahoo, NOW);
    group.bench_function("a message on a connection", |bencher| {
        bencher.iter(|| shaper.message(&yahoo, 1, NOW, NOW));
    });
    group.finish();
}

criterion_group!(benches, greylisting, others, outbound);
criterion_main!(benches);
