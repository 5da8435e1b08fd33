//! The plan as a file, in TOML. `warm-up-plan.example.toml` has every field.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mail_syntax::date::DateTime;
use screening::outbound::provider::Provider;
use screening::outbound::reputation::{Level, MAX_DAYS, Measure, Rate, Reputation, Threshold};
use screening::outbound::warm_up::{
    Curve, Growth, Hours, MAX_MESSAGES, MAX_SOURCES, Plan, Scheduler, Source, Trouble,
};
use screening::store::Keys;
use serde::Deserialize;

/// The most providers of a plan.
const MAX_PROVIDERS: usize = 100;

/// A plan, ready to be lived through.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlanFile {
    /// Plan, thresholds and addresses.
    pub scheduler: Scheduler,
    /// Messages a day to each provider.
    pub volumes: BTreeMap<Provider, u32>,
    /// What goes badly.
    pub troubles: Vec<Trouble>,
    /// Midnight before the first day of the plan, in seconds since 1970: before it a server sends nothing by new addresses.
    pub first_day: Option<u64>,
}

/// Why a file has no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is no TOML, or has a field that is not known.
    #[error(transparent)]
    Syntax(#[from] toml::de::Error),
    /// A value makes no sense.
    #[error("{field}: {why}")]
    Value {
        /// The field.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

fn wrong(field: &str) -> impl Fn(&dyn std::fmt::Display) -> PlanError {
    let field = field.to_owned();
    move |why| PlanError::Value {
        field: field.clone(),
        why: why.to_string(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    new: Option<Vec<IpAddr>>,
    warm: Option<Vec<IpAddr>>,
    first_day: Option<toml::value::Date>,
    volumes: BTreeMap<String, u32>,
    plan: PlanTable,
    provider: BTreeMap<String, CurveTable>,
    threshold: Option<Vec<ThresholdTable>>,
    trouble: Vec<TroubleTable>,
}

impl Default for File {
    fn default() -> Self {
        let volumes = [
            ("gmail", 20_000),
            ("outlook", 10_000),
            ("yahoo", 5_000),
            ("apple", 2_000),
        ];
        Self {
            new: None,
            warm: None,
            first_day: None,
            volumes: volumes
                .map(|(name, volume)| (name.to_owned(), volume))
                .into(),
            plan: PlanTable::default(),
            provider: BTreeMap::new(),
            threshold: None,
            trouble: Vec::new(),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PlanTable {
    start: Option<u32>,
    growth: Option<String>,
    ceiling: Option<u32>,
    days: Option<usize>,
    table: Option<Vec<u32>>,
    hours: Option<(u8, u8)>,
    pause_days: Option<u32>,
    step_back: Option<u32>,
    spent_percent: Option<u32>,
    cold_after_days: Option<u32>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
struct CurveTable {
    start: Option<u32>,
    growth: Option<String>,
    ceiling: Option<u32>,
    days: Option<usize>,
    table: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThresholdTable {
    measure: Word<Measure>,
    rate: String,
    level: Word<Level>,
    days: usize,
    events: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TroubleTable {
    from: u32,
    to: Option<u32>,
    provider: Option<String>,
    measure: Word<Measure>,
    rate: String,
}

/// A value by its word.
struct Word<T>(T);

impl<'de> Deserialize<'de> for Word<Measure> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let words = [
            Measure::Complaints,
            Measure::Deferrals,
            Measure::Rejections,
            Measure::UnknownRecipients,
        ];
        word(from, &words).map(Self)
    }
}

impl<'de> Deserialize<'de> for Word<Level> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        word(from, &[Level::Warn, Level::Stop]).map(Self)
    }
}

fn word<'de, D: serde::Deserializer<'de>, T: Copy + ToString>(
    from: D,
    known: &[T],
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    let found = known.iter().find(|known| known.to_string() == text);
    found.copied().ok_or_else(|| {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        serde::de::Error::custom(format!("{text:?} is none of: {}", known.join(", ")))
    })
}

/// The curve of a table, whose gaps another one fills.
fn curve(field: &str, table: &CurveTable, default: &CurveTable) -> Result<Curve, PlanError> {
    let grows = table.start.is_some()
        || table.growth.is_some()
        || table.ceiling.is_some()
        || table.days.is_some();
    let wrong = wrong(field);
    if grows && table.table.is_some() {
        return Err(wrong(
            &"want either a table, or start, growth, ceiling and days",
        ));
    }
    // What a table sets itself goes before a table of all.
    let days = match grows {
        true => None,
        false => table.table.as_ref().or(default.table.as_ref()),
    };
    if let Some(days) = days {
        return Curve::table(days.iter().copied()).map_err(|error| wrong(&error));
    }
    let growth = (table.growth.as_deref())
        .or(default.growth.as_deref())
        .map_or(Ok(Growth::thousandths(1_300)), str::parse)
        .map_err(|error| wrong(&error))?;
    let start = table.start.or(default.start).unwrap_or(50);
    let ceiling = table.ceiling.or(default.ceiling).unwrap_or(50_000);
    let days = table.days.or(default.days).unwrap_or(30);
    Curve::growing(start, growth, ceiling, days).map_err(|error| wrong(&error))
}

impl PlanFile {
    /// Reads a plan; what is not in it has a default, so an empty text is one too.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let mut file: File = toml::from_str(text)?;
        file.new = file.new.or_else(|| Some(vec![[192, 0, 2, 2].into()]));
        file.warm = file.warm.or_else(|| Some(vec![[192, 0, 2, 1].into()]));
        // The store is thrown away, so its key need not be secret.
        Self::of(file, Keys::new([0; 16]))
    }

    /// Reads the plan of a server, whose addresses have no default; `keys` are those of its store.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn of_server(text: &str, keys: Keys) -> Result<Self, PlanError> {
        let file: File = toml::from_str(text)?;
        if file.new.as_ref().or(file.warm.as_ref()).is_none() {
            return Err(wrong("new, warm")(
                &"name the addresses that mail leaves from",
            ));
        }
        Self::of(file, keys)
    }

    fn of(file: File, keys: Keys) -> Result<Self, PlanError> {
        let PlanTable {
            start,
            growth,
            ceiling,
            days,
            table,
            ..
        } = &file.plan;
        let of_all = CurveTable {
            start: *start,
            growth: growth.clone(),
            ceiling: *ceiling,
            days: *days,
            table: table.clone(),
        };
        let mut plan = Plan::default();
        plan.curve = curve("plan", &of_all, &CurveTable::default())?;
        let named = |field: &str, name: &str| -> Result<Provider, PlanError> {
            name.parse().map_err(|error| wrong(field)(&error))
        };
        for (name, table) in &file.provider {
            let field = format!("provider.{name}");
            let curve = curve(&field, table, &of_all)?;
            plan.providers.insert(named(&field, name)?, curve);
        }
        if let Some((from, to)) = file.plan.hours {
            plan.hours = Hours::new(from, to).map_err(|error| wrong("plan.hours")(&error))?;
        }
        let PlanTable {
            pause_days,
            step_back,
            spent_percent,
            cold_after_days,
            ..
        } = file.plan;
        plan.pause_days = pause_days.unwrap_or(plan.pause_days);
        plan.step_back = step_back.unwrap_or(plan.step_back);
        plan.spent_percent = spent_percent.unwrap_or(plan.spent_percent);
        plan.cold_after_days = cold_after_days.unwrap_or(plan.cold_after_days);

        let rate = |field: &str, text: &str| -> Result<Rate, PlanError> {
            text.parse().map_err(|error| wrong(field)(&error))
        };
        let mut reputation = Reputation::new(keys);
        if let Some(thresholds) = file.threshold {
            let threshold = |table: ThresholdTable| {
                if !(1..=MAX_DAYS).contains(&table.days) {
                    return Err(wrong("threshold.days")(&"want from 1 to 31 days"));
                }
                Ok(Threshold {
                    measure: table.measure.0,
                    rate: rate("threshold.rate", &table.rate)?,
                    level: table.level.0,
                    days: table.days,
                    events: table.events,
                })
            };
            let thresholds: Result<_, _> = thresholds.into_iter().map(threshold).collect();
            reputation.policy.thresholds = thresholds?;
        }
        let trouble = |table: TroubleTable| {
            let provider = table.provider.as_deref();
            let provider = provider.map(|name| named("trouble.provider", name));
            Ok(Trouble {
                from: table.from,
                to: table.to.unwrap_or(table.from),
                provider: provider.transpose()?,
                measure: table.measure.0,
                rate: rate("trouble.rate", &table.rate)?,
            })
        };
        let troubles: Result<_, PlanError> = file.trouble.into_iter().map(trouble).collect();

        let (new, warm) = (file.new.unwrap_or_default(), file.warm.unwrap_or_default());
        if new.len() + warm.len() > MAX_SOURCES {
            return Err(wrong("new, warm")(&"more than 256 addresses"));
        }
        if file.volumes.is_empty() || file.volumes.len() > MAX_PROVIDERS {
            return Err(wrong("volumes")(&"want from 1 to 100 providers"));
        }
        let mut volumes = BTreeMap::new();
        for (name, volume) in file.volumes {
            if volume > MAX_MESSAGES {
                return Err(wrong(&format!("volumes.{name}"))(&"more than 100,000,000"));
            }
            volumes.insert(named("volumes", &name)?, volume);
        }
        let new = new.into_iter().map(Source::warming);
        let warm = warm.into_iter().map(Source::warm);
        let first_day = file.first_day.map(|date| midnight(&date)).transpose()?;
        Ok(Self {
            scheduler: Scheduler::new(plan, reputation, keys, new.chain(warm)),
            volumes,
            troubles: troubles?,
            first_day,
        })
    }
}

/// The beginning of a day, UTC, in seconds since 1970.
fn midnight(date: &toml::value::Date) -> Result<u64, PlanError> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let wrong = wrong("first_day");
    let month = MONTHS.get(usize::from(date.month).wrapping_sub(1));
    let (day, month) = (date.day, month.ok_or_else(|| wrong(&"no such month"))?);
    let text = format!("{day} {month} {:04} 00:00:00 +0000", date.year);
    let parsed = DateTime::parse(text.as_bytes()).map_err(|error| wrong(&error))?;
    u64::try_from(parsed.unix_seconds()).map_err(|error| wrong(&error))
}
