//! When keys take turns: a plan with dates, made of selectors and a few durations.
//!
//! A key signs for a time; then the next one does, which has been in the DNS long enough by then. The old record stays until nothing
//! that was signed by it can arrive any more. Nothing here looks at a clock or touches a zone: whoever runs the plan does its steps as
//! they fall due.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;

use mail_syntax::Domain;
use mail_syntax::date::{DateTime, Zone};

use crate::signature::Algorithm;

/// What a plan is made of.
///
/// ```
/// use dkim::rotation::{Action, Rotation};
/// use dkim::Algorithm;
///
/// let mut rotation = Rotation::starting_at(1_767_225_600);
/// rotation.add_key("2026a".parse()?, Algorithm::RsaSha256);
/// rotation.add_key("2026b".parse()?, Algorithm::RsaSha256);
/// let plan = rotation.plan()?;
/// let first = &plan.steps()[0];
/// assert_eq!((first.at, first.action), (1_767_225_600, Action::Publish));
/// assert_eq!(plan.signing(Algorithm::RsaSha256, 1_767_225_600), None, "nobody has the record yet");
/// assert_eq!(plan.signing(Algorithm::RsaSha256, 1_770_000_000), Some(&"2026a".parse()?));
/// println!("{plan}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rotation {
    /// When the first keys are published, in seconds of Unix time.
    pub start: u64,
    /// The keys in the order in which they sign; those of one algorithm take turns, and each algorithm has its own turns.
    pub keys: Vec<Key>,
    /// How long a key signs. Default: 90 days. The last key of an algorithm signs until there is another plan.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub period: Duration,
    /// The time to live of key records, and of the answer that there is none (RFC 2308 §5): for so long a resolver may not know of a
    /// change. Default: 1 day.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub record_ttl: Duration,
    /// The longest time between signing and verifying: in queues, our own and others', and at forwarders. Default: 7 days.
    /// RFC 5321 §4.5.4.1: "the give-up time generally needs to be at least 4-5 days."
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub longest_transit: Duration,
    /// How long a signature is good, [`Signing::lifetime`](crate::Signing::lifetime). Default: 7 days; zero where none is written.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub signature_lifetime: Duration,
    /// What is added to each wait, for clocks that differ and secondary servers that lag. Default: 1 hour.
    #[cfg_attr(feature = "serde", serde(with = "seconds"))]
    pub margin: Duration,
    /// How long a record with an empty `p=` stands in the place of the key before the name is withdrawn, at least until resolvers
    /// have it. Default: 30 days; `None` withdraws the key itself.
    #[cfg_attr(feature = "serde", serde(with = "optional_seconds"))]
    pub revoked_for: Option<Duration>,
    /// Whether the private key is made public in the end, so that nobody can prove by an old signature who wrote what. Default: no.
    pub publish_private_key: bool,
}

/// A key of a [`Rotation`]; it needs not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Key {
    /// Its selector, which no other key of the domain has had.
    #[cfg_attr(feature = "serde", serde(with = "text"))]
    pub selector: Domain,
    /// Its algorithm.
    #[cfg_attr(feature = "serde", serde(with = "text"))]
    pub algorithm: Algorithm,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// No keys.
    #[error("there are no keys to rotate: add one for each period and algorithm")]
    NoKeys,
    /// More than [`MAX_KEYS`].
    #[error("{keys} keys are too many: plan at most {MAX_KEYS} at a time")]
    TooManyKeys {
        /// How many there are.
        keys: usize,
    },
    /// A selector for two keys. Old signatures by one would be verified with the other.
    #[error("the selector {selector} has two keys: give each key its own")]
    SelectorTwice {
        /// The selector.
        selector: Domain,
    },
    /// RFC 8301 §3.1: "rsa-sha1 MUST NOT be used for signing or verifying."
    #[error("rsa-sha1 must not be used to sign: the selector {selector} needs another algorithm")]
    Algorithm {
        /// The selector.
        selector: Domain,
    },
    /// The period is under a second.
    #[error("a key cannot sign for no time: make the period longer")]
    NoPeriod,
    /// A step lies beyond what 64 bits count.
    #[error("the plan reaches beyond the end of time: make the durations shorter")]
    EndOfTime,
}

/// Keys in one plan.
pub const MAX_KEYS: usize = 1000;

impl Rotation {
    /// A rotation without keys, its durations as by default; `start` in seconds of Unix time.
    #[must_use]
    pub const fn starting_at(start: u64) -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            start,
            keys: Vec::new(),
            period: Duration::from_secs(90 * DAY),
            record_ttl: Duration::from_secs(DAY),
            longest_transit: Duration::from_secs(7 * DAY),
            signature_lifetime: Duration::from_secs(7 * DAY),
            margin: Duration::from_secs(60 * 60),
            revoked_for: Some(Duration::from_secs(30 * DAY)),
            publish_private_key: false,
        }
    }

    /// Adds the next key of an algorithm.
    pub fn add_key(&mut self, selector: Domain, algorithm: Algorithm) {
        self.keys.push(Key {
            selector,
            algorithm,
        });
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn plan(&self) -> Result<RotationPlan, RotationError> {
        self.check()?;
        let mut steps = Vec::new();
        for (number, key) in self.keys.iter().enumerate() {
            let before = self.keys.iter().take(number);
            let turn = before
                .filter(|other| other.algorithm == key.algorithm)
                .count();
            let behind = self.keys.iter().skip(number + 1);
            let last = !behind.clone().any(|other| other.algorithm == key.algorithm);
            for (at, action) in self.life(turn, last).ok_or(RotationError::EndOfTime)? {
                steps.push(Step {
                    at,
                    action,
                    selector: key.selector.clone(),
                    algorithm: key.algorithm,
                });
            }
        }
        // Stable: steps at one time keep the order of the keys and of each key's life, so that the old key stops before the new one
        // starts.
        steps.sort_by_key(|step| step.at);
        Ok(RotationPlan { steps })
    }

    fn check(&self) -> Result<(), RotationError> {
        let keys = self.keys.len();
        if keys == 0 {
            return Err(RotationError::NoKeys);
        }
        if keys > MAX_KEYS {
            return Err(RotationError::TooManyKeys { keys });
        }
        if self.period.as_secs() == 0 {
            return Err(RotationError::NoPeriod);
        }
        let mut selectors = BTreeSet::new();
        for Key {
            selector,
            algorithm,
        } in &self.keys
        {
            let selector = selector.clone();
            if *algorithm == Algorithm::RsaSha1 {
                return Err(RotationError::Algorithm { selector });
            }
            if !selectors.insert(selector.as_str().to_lowercase()) {
                return Err(RotationError::SelectorTwice { selector });
            }
        }
        Ok(())
    }

    /// The steps of one key; `None` beyond the end of time.
    fn life(&self, turn: usize, last: bool) -> Option<Vec<(u64, Action)>> {
        let wait = |duration: Duration| duration.as_secs().checked_add(self.margin.as_secs());
        let seen = wait(self.record_ttl)?;
        let turns = self.period.as_secs().checked_mul(turn as u64)?;
        let publish = self.start.checked_add(turns)?;
        let sign = publish.checked_add(seen)?;
        let mut life = vec![(publish, Action::Publish), (sign, Action::SignFrom)];
        if last {
            return Some(life);
        }
        let stop = sign.checked_add(self.period.as_secs())?;
        life.push((stop, Action::StopSigning));
        // RFC 6376 §5.2: "the old public key should be retained for a reasonable validation interval before being removed from the
        // key server."
        let needed = wait(self.longest_transit.max(self.signature_lifetime))?;
        let unneeded = stop.checked_add(needed)?;
        // By then no resolver has the key any more, and a signature made with it proves nothing.
        let forgotten = unneeded.checked_add(seen)?;
        let private = (self.publish_private_key).then_some((forgotten, Action::PublishPrivateKey));
        match self.revoked_for {
            None => {
                life.push((unneeded, Action::Withdraw));
                life.extend(private);
            }
            Some(revoked_for) => {
                life.push((unneeded, Action::Revoke));
                life.extend(private);
                let withdraw = unneeded.checked_add(wait(revoked_for)?)?.max(forgotten);
                life.push((withdraw, Action::Withdraw));
            }
        }
        Some(life)
    }
}

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Action {
    /// Its record is put into the zone.
    Publish,
    /// It signs all that goes out.
    SignFrom,
    /// It does not sign any more.
    StopSigning,
    /// The `p=` of its record becomes empty ([`KeyRecord::revoked`](crate::KeyRecord::revoked)).
    Revoke,
    /// Its record is taken out of the zone.
    Withdraw,
    /// The private key is made public.
    PublishPrivateKey,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Publish => "publish the record",
            Self::SignFrom => "sign from now on",
            Self::StopSigning => "stop signing",
            Self::Revoke => "revoke: empty p=",
            Self::Withdraw => "withdraw the record",
            Self::PublishPrivateKey => "publish the private key",
        })
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Step {
    /// When, in seconds of Unix time.
    pub at: u64,
    /// What is done.
    pub action: Action,
    /// The selector of the key.
    #[cfg_attr(feature = "serde", serde(with = "text"))]
    pub selector: Domain,
    /// The algorithm of the key.
    #[cfg_attr(feature = "serde", serde(with = "text"))]
    pub algorithm: Algorithm,
}

/// Time in UTC, action, selector and algorithm.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            selector,
            algorithm,
            ..
        } = self;
        write!(f, "{}  {action:23}  {selector}  {algorithm}", date(self.at))
    }
}

/// The steps of all keys in the order of time. At one time an old key stops before the next one starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct RotationPlan {
    steps: Vec<Step>,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyState {
    /// Its record is not in the zone yet.
    Planned,
    /// Its record is in the zone, and it does not sign yet.
    Published,
    /// It signs.
    Signing,
    /// It does not sign any more; its record verifies what is under way.
    Retired,
    /// Its record has an empty `p=`.
    Revoked,
    /// Its record is not in the zone any more.
    Withdrawn,
}

impl RotationPlan {
    /// All steps, in the order of time.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The steps whose time has come: all of them should be done by `now`.
    #[must_use]
    pub fn due(&self, now: u64) -> &[Step] {
        let due = self.steps.partition_point(|step| step.at <= now);
        self.steps.get(..due).unwrap_or_default()
    }

    /// The step after `now`; `None` when the plan is done, and then it is high time for another.
    #[must_use]
    pub fn next(&self, now: u64) -> Option<&Step> {
        self.steps.get(self.due(now).len())
    }

    /// The selector of the key that signs at `now` by this algorithm.
    #[must_use]
    pub fn signing(&self, algorithm: Algorithm, now: u64) -> Option<&Domain> {
        let mut steps = self.due(now).iter().rev();
        let step = steps.find(|step| {
            step.algorithm == algorithm
                && matches!(step.action, Action::SignFrom | Action::StopSigning)
        })?;
        (step.action == Action::SignFrom).then_some(&step.selector)
    }

    /// Where the key of this selector stands at `now`; `None` if the plan does not know the selector.
    #[must_use]
    pub fn state(&self, selector: &Domain, now: u64) -> Option<KeyState> {
        let of_key = |step: &&Step| step.selector == *selector;
        self.steps.iter().find(of_key)?;
        let mut state = KeyState::Planned;
        for step in self.due(now).iter().filter(of_key) {
            state = match step.action {
                Action::Publish => KeyState::Published,
                Action::SignFrom => KeyState::Signing,
                Action::StopSigning => KeyState::Retired,
                Action::Revoke => KeyState::Revoked,
                Action::Withdraw => KeyState::Withdrawn,
                Action::PublishPrivateKey => state,
            };
        }
        Some(state)
    }
}

/// A table, one line for each step.
impl fmt::Display for RotationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = (self.steps.iter())
            .map(|step| step.selector.as_str().chars().count())
            .fold("selector".len(), usize::max);
        write!(
            f,
            "{:16}  {:23}  {:width$}  algorithm",
            "time (UTC)", "step", "selector"
        )?;
        for Step {
            at,
            action,
            selector,
            algorithm,
        } in &self.steps
        {
            let (at, selector) = (date(*at), selector.as_str());
            write!(f, "\n{at:16}  {action:23}  {selector:width$}  {algorithm}")?;
        }
        Ok(())
    }
}

/// Year, month, day, hour and minute in UTC; beyond the year 9999 the bare number.
fn date(unix_seconds: u64) -> String {
    let seconds = i64::try_from(unix_seconds).ok();
    match seconds.and_then(|seconds| DateTime::from_unix(seconds, Zone::Unknown).ok()) {
        Some(date) => {
            let (year, month, day) = date.local_date();
            let minutes = unix_seconds / 60 % (24 * 60);
            let (hour, minute) = (minutes / 60, minutes % 60);
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
        }
        None => unix_seconds.to_string(),
    }
}

#[cfg(feature = "serde")]
mod text {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(feature = "serde")]
mod seconds {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

#[cfg(feature = "serde")]
mod optional_seconds {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|duration| duration.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_767_225_600;
    const HOUR: u64 = 3600;

    fn rotation(keys: &[(&str, Algorithm)]) -> Rotation {
        let mut rotation = Rotation::starting_at(START);
        for (selector, algorithm) in keys {
            rotation.add_key(selector.parse().unwrap(), *algorithm);
        }
        rotation
    }

    #[test]
    fn two_keys_take_turns() {
        let mut rotation = rotation(&[
            ("2026a", Algorithm::RsaSha256),
            ("ed", Algorithm::Ed25519Sha256),
            ("2026b", Algorithm::RsaSha256),
        ]);
        rotation.publish_private_key = true;
        let plan = rotation.plan().unwrap();
        assert_eq!(
            plan.to_string(),
            "\
time (UTC)        step                     selector  algorithm
2026-01-01 00:00  publish the record       2026a     rsa-sha256
2026-01-01 00:00  publish the record       ed        ed25519-sha256
2026-01-02 01:00  sign from now on         2026a     rsa-sha256
2026-01-02 01:00  sign from now on         ed        ed25519-sha256
2026-04-01 00:00  publish the record       2026b     rsa-sha256
2026-04-02 01:00  stop signing             2026a     rsa-sha256
2026-04-02 01:00  sign from now on         2026b     rsa-sha256
2026-04-09 02:00  revoke: empty p=         2026a     rsa-sha256
2026-04-10 03:00  publish the private key  2026a     rsa-sha256
2026-05-09 03:00  withdraw the record      2026a     rsa-sha256"
        );
        let selector: Domain = "2026a".parse().unwrap();
        let at = |hours: u64| START + hours * HOUR;
        for (hours, state) in [
            (0, KeyState::Published),
            (25, KeyState::Signing),
            (91 * 24 + 1, KeyState::Retired),
            (98 * 24 + 2, KeyState::Revoked),
            (99 * 24 + 4, KeyState::Revoked),
            (128 * 24 + 3, KeyState::Withdrawn),
        ] {
            assert_eq!(plan.state(&selector, at(hours)), Some(state), "{hours}");
        }
        assert_eq!(plan.state(&selector, START - 1), Some(KeyState::Planned));
        assert_eq!(plan.state(&"pear".parse().unwrap(), START), None);
        assert_eq!(
            plan.next(START).map(|step| step.action),
            Some(Action::SignFrom)
        );
        assert_eq!(plan.due(START).len(), 2);
        assert_eq!(plan.next(u64::MAX), None);
        assert_eq!(
            plan.steps()[0].to_string(),
            "2026-01-01 00:00  publish the record       2026a  rsa-sha256"
        );
    }

    #[test]
    fn mistakes() {
        let rsa = Algorithm::RsaSha256;
        let twice = rotation(&[("a", rsa), ("A", Algorithm::Ed25519Sha256)]);
        let sha1 = rotation(&[("a", Algorithm::RsaSha1)]);
        let mut still = rotation(&[("a", rsa)]);
        still.period = Duration::from_millis(999);
        let mut late = rotation(&[("a", rsa)]);
        late.start = u64::MAX;
        let mut many = Rotation::starting_at(0);
        for number in 0..=MAX_KEYS {
            many.add_key(format!("s{number}").parse().unwrap(), rsa);
        }
        let selector = |text: &str| text.parse::<Domain>().unwrap();
        for (rotation, error) in [
            (rotation(&[]), RotationError::NoKeys),
            (
                twice,
                RotationError::SelectorTwice {
                    selector: selector("A"),
                },
            ),
            (
                sha1,
                RotationError::Algorithm {
                    selector: selector("a"),
                },
            ),
            (still, RotationError::NoPeriod),
            (late, RotationError::EndOfTime),
            (many.clone(), RotationError::TooManyKeys { keys: 1001 }),
        ] {
            assert_eq!(rotation.plan(), Err(error));
        }
        many.keys.pop();
        assert!(many.plan().is_ok());
    }

    prop_compose! {
        fn any_rotation()(
            start in 0..2_000_000_000_u64,
            algorithms in prop::collection::vec(any::<bool>(), 1..8),
            durations in prop::array::uniform4(0..1_000_000_u64),
            period in 1..1_000_000_u64,
            revoked_for in prop::option::of(0..1_000_000_u64),
            publish_private_key: bool,
        ) -> Rotation {
            let mut rotation = Rotation::starting_at(start);
            for (number, rsa) in algorithms.into_iter().enumerate() {
                let algorithm = if rsa { Algorithm::RsaSha256 } else { Algorithm::Ed25519Sha256 };
                rotation.add_key(format!("s{number}").parse().unwrap(), algorithm);
            }
            let [ttl, transit, lifetime, margin] = durations.map(Duration::from_secs);
            (rotation.record_ttl, rotation.longest_transit) = (ttl, transit);
            (rotation.signature_lifetime, rotation.margin) = (lifetime, margin);
            rotation.period = Duration::from_secs(period);
            rotation.revoked_for = revoked_for.map(Duration::from_secs);
            rotation.publish_private_key = publish_private_key;
            rotation
        }
    }

    /// When this is done with the key, if it is.
    fn when(plan: &RotationPlan, selector: &Domain, action: Action) -> Option<u64> {
        let mut steps = plan.steps().iter();
        let step = steps.find(|step| step.selector == *selector && step.action == action)?;
        Some(step.at)
    }

    proptest! {
        #[test]
        fn exactly_one_key_of_an_algorithm_signs_at_any_time(rotation in any_rotation(), later in 0..9_000_000_u64) {
            let plan = rotation.plan().unwrap();
            let first = rotation.start + rotation.record_ttl.as_secs() + rotation.margin.as_secs();
            // Any time, and the edges of all steps.
            let edges = plan.steps().iter().flat_map(|step| [step.at.saturating_sub(1), step.at]);
            for now in edges.chain([first + later]) {
                for algorithm in [Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
                    let keys: Vec<_> = (rotation.keys.iter())
                        .filter(|key| key.algorithm == algorithm)
                        .filter(|key| plan.state(&key.selector, now) == Some(KeyState::Signing))
                        .map(|key| &key.selector)
                        .collect();
                    let has_keys = rotation.keys.iter().any(|key| key.algorithm == algorithm);
                    prop_assert_eq!(keys.len(), usize::from(has_keys && now >= first), "{}\n{}", now, plan);
                    prop_assert_eq!(plan.signing(algorithm, now), keys.first().copied());
                }
            }
        }

        #[test]
        fn no_key_signs_before_resolvers_know_it_or_goes_before_its_signatures_have(rotation in any_rotation()) {
            let plan = rotation.plan().unwrap();
            for key in &rotation.keys {
                let at = |action| when(&plan, &key.selector, action);
                let (publish, sign) = (at(Action::Publish).unwrap(), at(Action::SignFrom).unwrap());
                prop_assert!(publish >= rotation.start);
                prop_assert!(sign - publish >= rotation.record_ttl.as_secs());
                let gone = [at(Action::Revoke), at(Action::Withdraw)].into_iter().flatten().min();
                let Some(stop) = at(Action::StopSigning) else {
                    // The last of its algorithm signs on.
                    prop_assert_eq!(gone, None);
                    continue;
                };
                let gone = gone.unwrap();
                prop_assert!(gone - stop >= rotation.longest_transit.as_secs());
                prop_assert!(gone - stop >= rotation.signature_lifetime.as_secs());
                let private = at(Action::PublishPrivateKey);
                prop_assert_eq!(private.is_some(), rotation.publish_private_key);
                prop_assert!(private.is_none_or(|at| at - gone >= rotation.record_ttl.as_secs()));
                prop_assert_eq!(plan.state(&key.selector, u64::MAX), Some(KeyState::Withdrawn));
            }
        }

        #[test]
        fn steps_are_in_order_and_next_is_the_first_that_is_not_due(rotation in any_rotation(), later in 0..9_000_000_u64) {
            let plan = rotation.plan().unwrap();
            prop_assert!(plan.steps().is_sorted_by_key(|step| step.at));
            let now = rotation.start + later;
            prop_assert!(plan.due(now).iter().all(|step| step.at <= now));
            prop_assert!(plan.next(now).is_none_or(|step| step.at > now));
            let rest = plan.steps().len() - plan.due(now).len();
            prop_assert_eq!(plan.next(now).is_some(), rest > 0);
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serialised() {
        let rotation = rotation(&[("2026a", Algorithm::RsaSha256)]);
        let json = serde_json::to_value(&rotation).unwrap();
        assert_eq!(json["keys"][0]["algorithm"], "rsa-sha256");
        assert_eq!(json["period"], 90 * 24 * HOUR);
        assert_eq!(
            serde_json::from_value::<Rotation>(json.clone()).unwrap(),
            rotation
        );
        let mut bad = json;
        bad["keys"][0]["algorithm"] = "pear".into();
        assert!(serde_json::from_value::<Rotation>(bad).is_err());
        let plan = serde_json::to_value(rotation.plan().unwrap()).unwrap();
        let first = serde_json::json!({
            "at": START, "action": "publish", "selector": "2026a", "algorithm": "rsa-sha256",
        });
        assert_eq!(plan[0], first);
    }
}
