//! The days for a terminal, and for a program.

use std::fmt::Write as _;

use screening::outbound::provider::Provider;
use screening::outbound::warm_up::Row;
use serde_json::{Value, json};

use super::Days;
use crate::plot::grouped;

/// The days as a table: for each provider what was sent of which quota, then the sums.
#[must_use]
pub fn text(days: &Days) -> String {
    let cell = |row: &Row| match row.quota {
        _ if row.paused && row.sent == 0 => "paused".to_owned(),
        Some(quota) => format!("{} of {}", grouped(row.sent.into()), grouped(quota.into())),
        None => "warm".to_owned(),
    };
    let mut out = String::new();
    let _ = writeln!(
        out,
        "New addresses: {}, warm ones: {}. A row has what new addresses sent to each provider, of their quota.\n",
        days.new_addresses, days.warm_addresses
    );
    let mut table = vec![vec!["DAY".to_owned()]];
    if let [head] = table.as_mut_slice() {
        head.extend(days.volumes.keys().map(ToString::to_string));
        head.extend(["SENT", "OVERFLOW", "WAITING", "PAUSED"].map(str::to_owned));
    }
    for rows in days.days() {
        let sum =
            |count: fn(&Row) -> u32| grouped(rows.iter().map(|row| u64::from(count(row))).sum());
        let paused: Vec<&str> = rows
            .iter()
            .filter(|row| row.paused)
            .map(|row| row.provider.as_str())
            .collect();
        let mut line = vec![rows.first().map_or(0, |row| row.day).to_string()];
        line.extend(rows.iter().map(cell));
        line.extend([
            sum(|row| row.sent),
            sum(|row| row.overflow),
            sum(|row| row.waiting),
        ]);
        line.push(paused.join(" "));
        table.push(line);
    }
    let columns = days.volumes.len() + 5;
    let width = |column: usize| {
        let cells = table.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in &table {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Numbers to the right, the names at the end to the left.
            let _ = match column + 1 == columns {
                true => write!(text, "  {cell}"),
                false if column == 0 => write!(text, "{cell:>width$}"),
                false => write!(text, "  {cell:>width$}"),
            };
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
    out.push('\n');
    for (provider, volume) in &days.volumes {
        let _ = writeln!(
            out,
            "{provider}: {} a day, {}",
            grouped((*volume).into()),
            warm(days, provider)
        );
    }
    if days.waiting() > 0 {
        let _ = writeln!(
            out,
            "{} messages still wait: the plan is too slow for them, and no warm address takes them",
            grouped(days.waiting())
        );
    }
    out
}

/// When a provider's addresses are warm, in words.
pub(super) fn warm(days: &Days, provider: &Provider) -> String {
    match (days.warm_on(provider), days.all_on(provider)) {
        (Some(day), _) => format!("warm from day {day}"),
        // Where a quota is more than there is to send, the address gets no warmer than that.
        (None, Some(day)) => format!("all by new addresses from day {day}"),
        (None, None) => "not all by new addresses yet".to_owned(),
    }
}

/// The days for `--json`: `waiting`, `warm_on` and `all_on` by provider, and `rows` with `day`, `provider`, `wanted`, `quota` (null: no address warms up
/// any more), `sent`, `overflow`, `waiting`, `paused`.
#[must_use]
pub fn json(days: &Days) -> Value {
    let row = |row: &Row| {
        json!({
            "day": row.day,
            "provider": row.provider.as_str(),
            "wanted": row.wanted,
            "quota": row.quota,
            "sent": row.sent,
            "overflow": row.overflow,
            "waiting": row.waiting,
            "paused": row.paused,
        })
    };
    let by_provider = |day: fn(&Days, &Provider) -> Option<u32>| -> Value {
        let of = |provider: &Provider| (provider.to_string(), json!(day(days, provider)));
        days.volumes
            .keys()
            .map(of)
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "new_addresses": days.new_addresses,
        "warm_addresses": days.warm_addresses,
        "waiting": days.waiting(),
        "warm_on": by_provider(Days::warm_on),
        "all_on": by_provider(Days::all_on),
        "rows": days.rows.iter().map(row).collect::<Value>(),
    })
}
