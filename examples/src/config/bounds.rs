//! Numbers that would make no sense: what is wrong is told by the key.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use screening::asn::Zones;

use super::{Codes, Config, ConfigError, List, Quota, Rates};

const DAY: u64 = 86_400;

/// Leading bits: fewer would make one client of what belongs to many owners.
const IPV4: RangeInclusive<u64> = 8..=32;
const IPV6: RangeInclusive<u64> = 16..=128;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    prefixes(config)?;
    let screening = &config.screening;
    let (past, health) = (&screening.reputation, &screening.list_health);
    let (grey, thresholds) = (&screening.greylisting, &screening.thresholds);
    let most = config.limits.connections as u64;
    let points = |points: i32| u64::try_from(points).unwrap_or(u64::MAX);
    let (login, pop) = (&config.failed_login, &config.pop_before_smtp);
    for (field, value, range) in [
        // RFC 5321 §4.5.3.2 lets a client wait for 5 minutes.
        (
            "screening.greeting_delay",
            screening.greeting_delay,
            0..=300_000,
        ),
        (
            "screening.thresholds.tarpit_delay",
            thresholds.tarpit_delay,
            0..=300,
        ),
        ("screening.greylisting.delay", grey.delay, 0..=DAY),
        (
            "screening.greylisting.retry_window",
            grey.retry_window,
            grey.delay.saturating_mul(2)..=30 * DAY,
        ),
        (
            "screening.greylisting.lifetime",
            grey.lifetime,
            DAY..=3650 * DAY,
        ),
        (
            "screening.greylisting.known_after",
            grey.known_after.into(),
            1..=1000,
        ),
        (
            "screening.correspondents.lifetime",
            screening.correspondents.lifetime,
            1..=3650 * DAY,
        ),
        // As the half-life is parted into 256 steps of whole seconds.
        (
            "screening.reputation.half_life",
            past.half_life,
            256..=365 * DAY,
        ),
        ("screening.reputation.most", past.most.into(), 1..=10_000),
        (
            "screening.reputation.minimum",
            past.minimum.into(),
            1..=past.most.into(),
        ),
        (
            "screening.reputation.good_points",
            points(past.good_points),
            0..=100,
        ),
        (
            "screening.reputation.good_after",
            past.good_after,
            0..=365 * DAY,
        ),
        (
            "screening.reputation.bad_points",
            points(past.bad_points),
            0..=100,
        ),
        (
            "screening.reputation.network_points",
            points(past.network_points),
            0..=100,
        ),
        (
            "screening.reputation.dkim_domains",
            past.dkim_domains as u64,
            0..=64,
        ),
        (
            "screening.list_health.interval",
            health.interval,
            60..=7 * DAY,
        ),
        (
            "screening.list_health.first_retry",
            health.first_retry,
            10..=DAY,
        ),
        (
            "screening.list_health.longest_retry",
            health.longest_retry,
            health.first_retry..=30 * DAY,
        ),
        (
            "screening.list_health.failures",
            health.failures.into(),
            1..=1000,
        ),
        (
            "screening.list_health.listed_in_a_row",
            health.listed_in_a_row.into(),
            2..=1_000_000,
        ),
        ("failed_login.delay", login.delay, 0..=login.longest_delay),
        // RFC 5321 §4.5.3.2 lets a client wait for 5 minutes.
        (
            "failed_login.longest_delay",
            login.longest_delay,
            0..=300_000,
        ),
        (
            "failed_login.address_failures",
            login.address_failures.into(),
            1..=1_000_000,
        ),
        (
            "failed_login.network_failures",
            login.network_failures.into(),
            1..=1_000_000,
        ),
        (
            "failed_login.forgotten_after",
            login.forgotten_after,
            1..=30 * DAY,
        ),
        ("failed_login.ban", login.ban, 0..=365 * DAY),
        ("failed_login.known_for", login.known_for, 0..=3650 * DAY),
        ("failed_login.at_once", login.at_once.into(), 1..=10_000),
        ("pop_before_smtp.minutes", pop.minutes, 0..=DAY / 60),
        ("limits.connections", most, 1..=1_000_000),
        // Or port 25 takes nobody.
        (
            "limits.reserved_for_users",
            config.limits.reserved_for_users as u64,
            0..=most.saturating_sub(1),
        ),
    ] {
        within(field, value, &range)?;
    }
    rates(&screening.rates)?;
    screening.lists.iter().try_for_each(codes)?;
    let asn = &screening.asn;
    let zones = Zones::new(asn.ipv4_zone.clone(), asn.ipv6_zone.clone());
    zones.map(drop).map_err(|error| ConfigError::Value {
        field: "screening.asn",
        why: error.to_string(),
    })
}

/// The library takes none for one, and who writes `count = 0` wants something else.
fn rates(rates: &Rates) -> Result<(), ConfigError> {
    for (field, quota) in [
        ("screening.rates.address", rates.address),
        ("screening.rates.known_address", rates.known_address),
        ("screening.rates.network", rates.network),
        ("screening.rates.attempts", rates.attempts),
        ("screening.rates.postmaster", rates.postmaster),
        ("screening.rates.sender", rates.sender),
        ("screening.rates.login", rates.login),
        ("screening.rates.recipient_domain", rates.recipient_domain),
    ] {
        let is_something =
            |quota: Quota| quota.count > 0 && quota.per > 0 && quota.burst != Some(0);
        if !quota.is_none_or(is_something) {
            let why =
                "want at least one in at least one second, or \"none\" for no bound".to_owned();
            return Err(ConfigError::Value { field, why });
        }
    }
    Ok(())
}

/// RFC 5782 §2.3: "all A values SHOULD be in the 127.0.0.0/8 range": an answer elsewhere never counts, so none is waited for.
fn codes(list: &List) -> Result<(), ConfigError> {
    let why = match &list.codes {
        Codes::OneOf(codes) if codes.is_empty() => "name at least one code",
        Codes::OneOf(codes) if !codes.iter().all(Ipv4Addr::is_loopback) => "want codes in 127/8",
        Codes::Between { first, last } if !first.is_loopback() || !last.is_loopback() => {
            "want codes in 127/8"
        }
        Codes::Between { first, last } if first > last => "the first code is behind the last",
        Codes::Bits { bits: 0 } => "name at least one bit",
        _ => return Ok(()),
    };
    Err(ConfigError::Value {
        field: "screening.list.codes",
        why: format!("{}: {why}", list.zone),
    })
}

fn prefixes(config: &Config) -> Result<(), ConfigError> {
    let screening = &config.screening;
    let (past, rates, grey) = (
        &screening.reputation,
        &screening.rates,
        &screening.greylisting,
    );
    let (login, pop) = (&config.failed_login, &config.pop_before_smtp);
    let [site, provider] = past.ipv6_networks;
    for (field, bits, range) in [
        ("screening.reputation.ipv4_network", past.ipv4_network, IPV4),
        ("screening.reputation.ipv6_address", past.ipv6_address, IPV6),
        ("screening.reputation.ipv6_networks", site, IPV6),
        ("screening.reputation.ipv6_networks", provider, IPV6),
        ("screening.greylisting.ipv4_prefix", grey.ipv4_prefix, IPV4),
        ("screening.greylisting.ipv6_prefix", grey.ipv6_prefix, IPV6),
        (
            "screening.greylisting.known_ipv4_prefix",
            grey.known_ipv4_prefix,
            IPV4,
        ),
        (
            "screening.greylisting.known_ipv6_prefix",
            grey.known_ipv6_prefix,
            IPV6,
        ),
        ("screening.rates.ipv4_network", rates.ipv4_network, IPV4),
        ("screening.rates.ipv6_address", rates.ipv6_address, IPV6),
        ("screening.rates.ipv6_network", rates.ipv6_network, IPV6),
        ("screening.rates.ipv6_provider", rates.ipv6_provider, IPV6),
        ("failed_login.ipv4_address", login.ipv4_address, IPV4),
        ("failed_login.ipv6_address", login.ipv6_address, IPV6),
        ("failed_login.ipv4_network", login.ipv4_network, IPV4),
        ("failed_login.ipv6_network", login.ipv6_network, IPV6),
        ("pop_before_smtp.ipv4_prefix", pop.ipv4_prefix, IPV4),
        ("pop_before_smtp.ipv6_prefix", pop.ipv6_prefix, IPV6),
    ] {
        within(field, bits.into(), &range)?;
    }
    Ok(())
}

fn within(field: &'static str, value: u64, range: &RangeInclusive<u64>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    let why = format!("want a number from {least} to {most}");
    Err(ConfigError::Value { field, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &str) -> Result<(), ConfigError> {
        let text = format!(
            "hostname = 'mx.example.org'\ndomains = ['example.org']\ndata = 'data'\n\
             [tls]\ncertificate = 'certificate.pem'\nkey = 'key.pem'\n{more}"
        );
        toml::from_str::<Config>(&text).unwrap().check()
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_key() {
        let label = "a".repeat(63);
        let long = format!("{label}.{label}.{label}");
        for (section, key, wrong, right) in [
            ("screening", "greeting_delay", "300001", "0"),
            ("screening.thresholds", "tarpit_delay", "301", "300"),
            ("screening.greylisting", "delay", "86401", "0"),
            ("screening.greylisting", "retry_window", "119", "120"),
            ("screening.greylisting", "lifetime", "86399", "86400"),
            ("screening.greylisting", "known_after", "0", "1"),
            ("screening.correspondents", "lifetime", "0", "1"),
            ("screening.reputation", "half_life", "255", "256"),
            ("screening.reputation", "minimum", "0", "200"),
            ("screening.reputation", "minimum", "201", "1"),
            ("screening.reputation", "most", "10001", "10000"),
            ("screening.reputation", "good_points", "-1", "0"),
            ("screening.reputation", "good_after", "31536001", "0"),
            ("screening.reputation", "bad_points", "101", "100"),
            ("screening.reputation", "network_points", "-2147483648", "0"),
            ("screening.reputation", "dkim_domains", "65", "0"),
            ("screening.reputation", "ipv4_network", "33", "32"),
            ("screening.reputation", "ipv6_address", "15", "16"),
            (
                "screening.reputation",
                "ipv6_networks",
                "[48, 129]",
                "[56, 29]",
            ),
            ("screening.list_health", "interval", "59", "60"),
            ("screening.list_health", "first_retry", "9", "10"),
            ("screening.list_health", "longest_retry", "59", "60"),
            ("screening.list_health", "failures", "0", "1"),
            ("screening.list_health", "listed_in_a_row", "1", "2"),
            ("screening.greylisting", "known_ipv4_prefix", "0", "24"),
            ("screening.greylisting", "known_ipv6_prefix", "129", "128"),
            ("screening.greylisting", "ipv4_prefix", "7", "8"),
            ("screening.rates", "ipv6_network", "0", "32"),
            ("failed_login", "delay", "16001", "16000"),
            ("failed_login", "longest_delay", "300001", "300000"),
            ("failed_login", "address_failures", "0", "1"),
            ("failed_login", "forgotten_after", "0", "1"),
            ("failed_login", "known_for", "315360001", "0"),
            ("failed_login", "at_once", "0", "1"),
            ("failed_login", "ipv4_address", "33", "32"),
            ("failed_login", "ipv6_address", "0", "64"),
            ("failed_login", "ipv4_network", "0", "8"),
            ("failed_login", "ipv6_network", "129", "32"),
            ("limits", "reserved_for_users", "2000", "1999"),
            ("pop_before_smtp", "minutes", "1441", "0"),
            ("pop_before_smtp", "ipv4_prefix", "0", "24"),
            ("pop_before_smtp", "ipv6_prefix", "255", "64"),
        ] {
            let error = with(&format!("[{section}]\n{key} = {wrong}")).unwrap_err();
            let error = error.to_string();
            let named = format!("{section}.{key}: want a number from ");
            assert!(error.starts_with(&named), "{error}, and not {named}");
            with(&format!("[{section}]\n{key} = {right}")).unwrap();
        }
        let error = with(&format!("[screening.asn]\nipv6_zone = '{long}'")).unwrap_err();
        assert!(
            error.to_string().starts_with("screening.asn: the zone aaa"),
            "{error}"
        );
        with("[screening.asn]\nipv4_zone = 'origin.asn.example'").unwrap();
    }

    #[test]
    fn a_quota_is_at_least_one_and_can_be_taken_away() {
        for wrong in [
            "{ count = 0, per = 60 }",
            "{ count = 1, per = 0 }",
            "{ count = 1, per = 60, burst = 0 }",
        ] {
            let error = with(&format!("[screening.rates]\nlogin = {wrong}")).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("screening.rates.login: want at least one in"),
                "{error}"
            );
        }
        let rates: Rates = toml::from_str("address = 'none'").unwrap();
        assert!(rates.address.is_none() && rates.login.is_some());
        let error = toml::from_str::<Rates>("address = 'never'").unwrap_err();
        assert!(error.to_string().contains("or \"none\""), "{error}");
    }

    #[test]
    fn codes_that_no_list_answers_are_a_mistake() {
        let list = |codes: &str| {
            with(&format!(
                "[[screening.list]]\nzone = 'bad.example'\ncodes = {codes}"
            ))
        };
        for (codes, why) in [
            ("[]", "name at least one code"),
            ("['127.0.0.2', '128.0.0.2']", "want codes in 127/8"),
            (
                "{ first = '127.0.0.2', last = '192.0.2.1' }",
                "want codes in 127/8",
            ),
            (
                "{ first = '127.0.0.4', last = '127.0.0.2' }",
                "the first code is behind the last",
            ),
            ("{ bits = 0 }", "name at least one bit"),
        ] {
            let error = list(codes).unwrap_err().to_string();
            assert_eq!(error, format!("screening.list.codes: bad.example: {why}"));
        }
        for codes in [
            "['127.0.0.2']",
            "{ first = '127.0.0.2', last = '127.0.0.4' }",
            "{ bits = 6 }",
        ] {
            list(codes).unwrap();
        }
    }
}
