//! The summary as one page of HTML with its plots in it: no scripts, nothing from elsewhere.
//!
//! Reports are written by strangers, so every text goes through [`escaped`], and the page forbids scripts and requests by its policy
//! even if that should fail.

use std::fmt::Write as _;

use super::summary::{Counts, Summary, date, date_of_day, largest};
use crate::plot::{Axis, escaped, fraction, grouped, percent, shortened};

const STYLE: &str = include_str!("page.css");

/// The class of a colour, what it stands for, and how many of the messages are that.
type Part = (&'static str, &'static str, fn(&Counts) -> u64);

/// The parts of a bar, in the order in which they are stacked: the class of its colour, its name, and what it counts.
const PARTS: [Part; 6] = [
    ("both", "passed by DKIM and SPF", |counts| counts.both),
    ("dkim", "passed by DKIM alone", |counts| counts.dkim_only),
    ("spf", "passed by SPF alone", |counts| counts.spf_only),
    ("accepted", "failed, accepted", |counts| counts.accepted),
    ("quarantined", "failed, quarantined", |counts| {
        counts.quarantined
    }),
    ("rejected", "failed, rejected", |counts| counts.rejected),
];

/// The page, with so many lines in each table.
#[must_use]
pub fn html(summary: &Summary, lines: usize) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>DMARC reports</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>DMARC reports</h1>\n"
    );
    let domains: Vec<&str> = summary.domains.keys().take(5).map(String::as_str).collect();
    let more = if summary.domains.len() > domains.len() {
        ", \u{2026}"
    } else {
        ""
    };
    let period = summary.period.map_or_else(String::new, |period| {
        let day = |seconds: u64| date(i64::try_from(seconds).unwrap_or(i64::MAX));
        format!(" \u{b7} {} to {}", day(period.begin), day(period.end))
    });
    let _ = writeln!(
        page,
        "<p class=\"about\">{}{more}{period}</p>",
        escaped(&domains.join(", "))
    );
    tiles(&mut page, summary);
    results(&mut page, &summary.total);
    over_time(&mut page, summary);
    let sources = largest(&summary.sources);
    let sources: Vec<(String, Counts)> = sources
        .into_iter()
        .map(|(ip, counts)| (ip.to_string(), counts))
        .collect();
    bars(&mut page, "By source", "Source", &sources, lines);
    bars(
        &mut page,
        "By author domain",
        "Domain",
        &largest(&summary.domains),
        lines,
    );
    bars(
        &mut page,
        "By reporter",
        "Reporter",
        &largest(&summary.reporters),
        lines,
    );
    failures(&mut page, summary, lines);
    notes(&mut page, summary, lines);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// The figures at the top.
fn tiles(page: &mut String, summary: &Summary) {
    page.push_str("<section class=\"tiles\">\n");
    let total = &summary.total;
    let failed = total.messages.saturating_sub(total.passed());
    for (figure, name) in [
        (grouped(total.messages), "messages"),
        (format!("{:.1} %", total.pass_rate()), "passed DMARC"),
        (grouped(failed), "failed"),
        (grouped(summary.sources.len() as u64), "sources"),
        (grouped(summary.reports), "reports"),
    ] {
        let _ = writeln!(page, "<div><b>{figure}</b><span>{name}</span></div>");
    }
    page.push_str("</section>\n");
}

/// All messages by result: one bar, and its legend with figures.
fn results(page: &mut String, total: &Counts) {
    page.push_str("<section>\n<h2>By result</h2>\n");
    let _ = writeln!(
        page,
        "<svg class=\"bar\" viewBox=\"0 0 1000 28\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"messages by result\">"
    );
    stacked(page, total, 1_000.0, total.messages, 0.0, 28.0);
    page.push_str("</svg>\n<ul class=\"legend\">\n");
    for (class, name, count) in PARTS {
        let count = count(total);
        let percent = percent(count, total.messages);
        let _ = writeln!(
            page,
            "<li><i class=\"{class}\"></i>{name}<b>{}</b><span>{percent:.1} %</span></li>",
            grouped(count)
        );
    }
    page.push_str("</ul>\n</section>\n");
}

/// One horizontal stacked bar: so wide for so many messages.
fn stacked(page: &mut String, counts: &Counts, width: f64, of: u64, y: f64, height: f64) {
    let mut x = 0.0;
    for (class, name, count) in PARTS {
        let count = count(counts);
        if count == 0 {
            continue;
        }
        let part = width * fraction(count, of);
        let _ = writeln!(
            page,
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{part:.2}\" height=\"{height:.1}\"><title>{name}: {}</title></rect>",
            grouped(count)
        );
        x += part;
    }
}

/// A column for each day, stacked by result.
fn over_time(page: &mut String, summary: &Summary) {
    const WIDTH: f64 = 1_000.0;
    const HEIGHT: f64 = 240.0;
    const LEFT: f64 = 64.0;
    const BOTTOM: f64 = 28.0;
    let (Some((first, _)), Some((last, _))) = (
        summary.days.first_key_value(),
        summary.days.last_key_value(),
    ) else {
        return;
    };
    page.push_str("<section>\n<h2>Over time</h2>\n");
    let _ = writeln!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"messages for each day\">",
        HEIGHT + BOTTOM
    );
    let most = summary
        .days
        .values()
        .map(|counts| counts.messages)
        .max()
        .unwrap_or(1);
    let axis = Axis::up_to(most);
    for tick in axis.ticks() {
        let y = HEIGHT - (HEIGHT - 12.0) * fraction(tick, axis.top);
        let _ = writeln!(
            page,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            grouped(tick)
        );
    }
    // Days far apart, which a forged date can make of them, stand side by side and not to scale.
    let is_dense = last - first < 400;
    let columns = if is_dense {
        last - first + 1
    } else {
        summary.days.len() as u64
    };
    let room = (WIDTH - LEFT) / columns as f64;
    let width = (room * 0.8).min(48.0);
    let label_every = columns.div_ceil(10);
    for (number, (day, counts)) in summary.days.iter().enumerate() {
        let place = if is_dense { day - first } else { number as u64 };
        let x = LEFT + room * (place as f64 + 0.5);
        let mut y = HEIGHT;
        let day = date_of_day(*day);
        let _ = writeln!(
            page,
            "<g><title>{day}: {} messages, {:.1} % passed</title>",
            grouped(counts.messages),
            counts.pass_rate()
        );
        for (class, _, count) in PARTS {
            let count = count(counts);
            if count == 0 {
                continue;
            }
            let height = (HEIGHT - 12.0) * fraction(count, axis.top);
            y -= height;
            let _ = writeln!(
                page,
                "<rect class=\"{class}\" x=\"{:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\"/>",
                x - width / 2.0
            );
        }
        page.push_str("</g>\n");
        if place % label_every == 0 {
            let _ = writeln!(
                page,
                "<text class=\"axis\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{day}</text>",
                HEIGHT + 20.0
            );
        }
    }
    page.push_str("</svg>\n</section>\n");
}

/// A table whose last column is a bar.
fn bars(page: &mut String, title: &str, column: &str, rows: &[(String, Counts)], lines: usize) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<section>\n<h2>{title}</h2>\n<table>\n<thead><tr><th>{column}</th><th class=\"n\">Messages</th><th class=\"n\">Passed</th>\
         <th class=\"n\">Accepted</th><th class=\"n\">Quarantined</th><th class=\"n\">Rejected</th><th class=\"w\">Volume and result</th></tr></thead>\n<tbody>"
    );
    let most = rows
        .iter()
        .map(|(_, counts)| counts.messages)
        .max()
        .unwrap_or(1);
    for (name, counts) in rows.iter().take(lines) {
        let _ = writeln!(
            page,
            "<tr><td title=\"{}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1} %</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td><svg class=\"bar\" viewBox=\"0 0 1000 14\" preserveAspectRatio=\"none\">",
            escaped(&shortened(name, 300)),
            escaped(&shortened(name, 60)),
            grouped(counts.messages),
            counts.pass_rate(),
            grouped(counts.accepted),
            grouped(counts.quarantined),
            grouped(counts.rejected)
        );
        stacked(page, counts, 1_000.0, most, 0.0, 14.0);
        page.push_str("</svg></td></tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
    if rows.len() > lines {
        let left = rows.get(lines..).unwrap_or_default();
        let messages = left.iter().fold(0_u64, |sum, (_, counts)| {
            sum.saturating_add(counts.messages)
        });
        let _ = writeln!(
            page,
            "<p class=\"more\">{} more, with {} messages.</p>",
            grouped(left.len() as u64),
            grouped(messages)
        );
    }
    page.push_str("</section>\n");
}

fn failures(page: &mut String, summary: &Summary, lines: usize) {
    if summary.failure_reports == 0 {
        return;
    }
    let _ = writeln!(
        page,
        "<section>\n<h2>Failure reports <small>{}</small></h2>\n<table>\n<thead><tr><th>Arrived</th><th>Source</th><th>Domain</th><th>Failed</th></tr></thead>\n<tbody>",
        grouped(summary.failure_reports)
    );
    for failure in summary.failures.iter().take(lines) {
        let arrival = failure.arrival.map_or_else(String::new, date);
        let source = failure.source.map_or_else(String::new, |ip| ip.to_string());
        let _ = writeln!(
            page,
            "<tr><td>{arrival}</td><td>{source}</td><td>{}</td><td>{}</td></tr>",
            escaped(&shortened(&failure.domain, 100)),
            escaped(&failure.failed)
        );
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

/// What is wrong with the reports, and what is no report.
fn notes(page: &mut String, summary: &Summary, lines: usize) {
    if summary.defects.is_empty() && summary.unreadable.is_empty() && summary.duplicates == 0 {
        return;
    }
    page.push_str("<section>\n<h2>About the reports</h2>\n<ul class=\"notes\">\n");
    if summary.duplicates > 0 {
        let _ = writeln!(
            page,
            "<li>{} duplicates were left out.</li>",
            grouped(summary.duplicates)
        );
    }
    for ((reporter, what), count) in summary.defects.iter().take(lines) {
        let _ = writeln!(
            page,
            "<li><b>{}</b> {} <span>\u{d7} {}</span></li>",
            escaped(&shortened(reporter, 100)),
            escaped(what),
            grouped(*count)
        );
    }
    for (name, why) in summary.unreadable.iter().take(lines) {
        let _ = writeln!(
            page,
            "<li class=\"bad\"><b>{}</b> was not read: {}</li>",
            escaped(&shortened(name, 200)),
            escaped(why)
        );
    }
    page.push_str("</ul>\n</section>\n");
}
