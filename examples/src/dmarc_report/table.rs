//! The summary for a terminal, and for a program.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::summary::{Counts, Summary, date, date_of_day, largest};
use crate::plot::{grouped, shortened};

/// The summary as text, with so many lines in each table.
#[must_use]
pub fn text(summary: &Summary, lines: usize) -> String {
    let mut out = String::new();
    let total = &summary.total;
    let period = summary.period.map_or_else(String::new, |period| {
        let day = |seconds: u64| date(i64::try_from(seconds).unwrap_or(i64::MAX));
        format!(", {} to {}", day(period.begin), day(period.end))
    });
    let _ = writeln!(
        out,
        "{} messages in {} reports{period}: {:.1} % pass",
        grouped(total.messages),
        grouped(summary.reports),
        total.pass_rate()
    );
    let _ = writeln!(
        out,
        "  passed by DKIM and SPF {}, DKIM alone {}, SPF alone {}\n  failed and accepted {}, quarantined {}, rejected {}",
        grouped(total.both),
        grouped(total.dkim_only),
        grouped(total.spf_only),
        grouped(total.accepted),
        grouped(total.quarantined),
        grouped(total.rejected)
    );
    if summary.duplicates > 0 {
        let _ = writeln!(out, "  {} duplicates left out", grouped(summary.duplicates));
    }
    let sources = largest(&summary.sources);
    table(
        &mut out,
        "SOURCE",
        sources.iter().map(|(ip, counts)| (ip.to_string(), *counts)),
        lines,
    );
    table(
        &mut out,
        "DOMAIN",
        largest(&summary.domains).into_iter(),
        lines,
    );
    table(
        &mut out,
        "REPORTER",
        largest(&summary.reporters).into_iter(),
        lines,
    );
    let days = summary.days.iter().rev();
    table(
        &mut out,
        "DAY",
        days.map(|(day, counts)| (date_of_day(*day), *counts)),
        lines,
    );
    if summary.failure_reports > 0 {
        let _ = writeln!(
            out,
            "\n{} FAILURE REPORTS",
            grouped(summary.failure_reports)
        );
        for failure in summary.failures.iter().take(lines) {
            let arrival = failure.arrival.map_or_else(|| "no date".into(), date);
            let source = failure
                .source
                .map_or_else(|| "unknown".into(), |ip| ip.to_string());
            let _ = writeln!(
                out,
                "  {arrival:<12}{source:<40}{} (failed: {})",
                failure.domain, failure.failed
            );
        }
    }
    if !summary.defects.is_empty() {
        let _ = writeln!(out, "\nWHAT REPORTERS DO WRONG");
        for ((reporter, what), count) in summary.defects.iter().take(lines) {
            let _ = writeln!(out, "  {reporter}: {what} ({} times)", grouped(*count));
        }
    }
    if summary.unreadable_files > 0 {
        let _ = writeln!(out, "\nNOT READ: {}", grouped(summary.unreadable_files));
        for (name, why) in summary.unreadable.iter().take(lines) {
            let _ = writeln!(out, "  {name}: {why}");
        }
    }
    out
}

fn table(
    out: &mut String,
    title: &str,
    rows: impl ExactSizeIterator<Item = (String, Counts)>,
    lines: usize,
) {
    if rows.len() == 0 {
        return;
    }
    let left = rows.len().saturating_sub(lines);
    let _ = writeln!(
        out,
        "\n{title:<40}{:>12}{:>8}{:>12}{:>12}{:>12}",
        "messages", "pass %", "accepted", "quarantined", "rejected"
    );
    for (name, counts) in rows.take(lines) {
        // A name that is too long for its column moves the others.
        let _ = writeln!(
            out,
            "{:<40}{:>12}{:>8.1}{:>12}{:>12}{:>12}",
            shortened(&name, 39),
            grouped(counts.messages),
            counts.pass_rate(),
            grouped(counts.accepted),
            grouped(counts.quarantined),
            grouped(counts.rejected)
        );
    }
    if left > 0 {
        let _ = writeln!(out, "({left} more)");
    }
}

/// The summary as JSON.
#[must_use]
pub fn json(summary: &Summary) -> Value {
    let of = |counts: &Counts| {
        json!({
            "messages": counts.messages,
            "passed": counts.passed(),
            "passed_by_both": counts.both,
            "passed_by_dkim": counts.dkim_only,
            "passed_by_spf": counts.spf_only,
            "failed_accepted": counts.accepted,
            "failed_quarantined": counts.quarantined,
            "failed_rejected": counts.rejected,
        })
    };
    let named = |name: &str, key: String, counts: &Counts| {
        let mut value = of(counts);
        value[name] = key.into();
        value
    };
    let list = |name: &'static str, rows: Vec<(String, Counts)>| -> Value {
        rows.into_iter()
            .map(|(key, counts)| named(name, key, &counts))
            .collect()
    };
    let sources = largest(&summary.sources);
    let sources = sources
        .into_iter()
        .map(|(ip, counts)| (ip.to_string(), counts));
    let days = summary.days.iter();
    let days = days.map(|(day, counts)| (date_of_day(*day), *counts));
    let failures = summary.failures.iter().map(|failure| {
        json!({
            "arrival": failure.arrival,
            "source": failure.source.map(|ip| ip.to_string()),
            "domain": failure.domain,
            "failed": failure.failed,
        })
    });
    let defects = summary.defects.iter().map(
        |((reporter, what), count)| json!({ "reporter": reporter, "defect": what, "count": count }),
    );
    let unreadable = summary.unreadable.iter();
    let unreadable = unreadable.map(|(file, why)| json!({ "file": file, "error": why }));
    json!({
        "reports": summary.reports,
        "duplicates": summary.duplicates,
        "begin": summary.period.map(|period| period.begin),
        "end": summary.period.map(|period| period.end),
        "total": of(&summary.total),
        "sources": list("source", sources.collect()),
        "domains": list("domain", largest(&summary.domains)),
        "reporters": list("reporter", largest(&summary.reporters)),
        "days": list("day", days.collect()),
        "failure_reports": failures.collect::<Value>(),
        "defects": defects.collect::<Value>(),
        "unreadable": unreadable.collect::<Value>(),
    })
}
