//! The days as one picture: SVG that needs nothing from elsewhere, light or dark as whoever looks at it prefers.

use std::fmt::Write as _;

use screening::outbound::provider::Provider;
use screening::outbound::warm_up::Row;

use super::Days;
use super::table::warm;
use crate::plot::{Axis, escaped, fraction, grouped, shortened};

const STYLE: &str = include_str!("chart.css");

/// The most providers that have a panel: those with the most mail.
const MAX_PANELS: usize = 12;

/// The most characters of a provider's name.
const MAX_NAME: usize = 40;

const WIDTH: f64 = 1_080.0;
/// The title and the legend.
const TOP: f64 = 96.0;
const MARGIN: f64 = 28.0;
const PANEL_WIDTH: f64 = (WIDTH - 3.0 * MARGIN) / 2.0;
const PANEL_HEIGHT: f64 = 288.0;
/// Inside of a panel: left of the axis, above the plot, below it.
const LEFT: f64 = 92.0;
const ABOVE: f64 = 68.0;
const BELOW: f64 = 48.0;
const RIGHT: f64 = 18.0;

/// The picture: a panel for each provider, with a column for each day.
#[must_use]
pub fn svg(days: &Days) -> String {
    let mut largest: Vec<(&Provider, u32)> = days
        .volumes
        .iter()
        .map(|(it, volume)| (it, *volume))
        .collect();
    largest.sort_by_key(|(_, volume)| core::cmp::Reverse(*volume));
    let hidden = largest.len().saturating_sub(MAX_PANELS);
    largest.truncate(MAX_PANELS);
    let lines = largest.len().div_ceil(2);
    let height = TOP + lines as f64 * (PANEL_HEIGHT + MARGIN);
    let count = days.days().count();
    let title = match hidden {
        0 => format!("Warm-up plan, {count} days"),
        hidden => format!("Warm-up plan, {count} days ({hidden} more providers are not shown)"),
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"title\">\n<title id=\"title\">{title}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"back\" width=\"{WIDTH}\" height=\"{height}\"/>\n<text class=\"title\" x=\"{MARGIN}\" y=\"44\">{title}</text>\n"
    );
    legend(&mut svg);
    for (at, (provider, volume)) in largest.into_iter().enumerate() {
        let x = MARGIN + (at % 2) as f64 * (PANEL_WIDTH + MARGIN);
        let y = TOP + (at / 2) as f64 * (PANEL_HEIGHT + MARGIN);
        let _ = writeln!(svg, "<g transform=\"translate({x:.1} {y:.1})\">");
        panel(&mut svg, days, provider, volume);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let mut x = MARGIN;
    for (class, name) in [
        ("sent", "sent by new addresses"),
        ("overflow", "sent by warm addresses"),
        ("waiting", "waiting at the end of the day"),
        ("paused", "paused"),
    ] {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"62\" width=\"14\" height=\"14\" rx=\"3\"/><text class=\"key\" x=\"{}\" y=\"74\">{name}</text>",
            x + 20.0
        );
        x += 44.0 + 7.2 * name.len() as f64;
    }
    let _ = writeln!(
        svg,
        "<line class=\"quota\" x1=\"{x}\" x2=\"{}\" y1=\"69\" y2=\"69\"/><text class=\"key\" x=\"{}\" y=\"74\">quota of new addresses</text>",
        x + 18.0,
        x + 25.0
    );
}

/// One provider: columns of what was sent and what waits, the quota as a line, days of pause behind them.
fn panel(svg: &mut String, days: &Days, provider: &Provider, volume: u32) {
    const PLOT_WIDTH: f64 = PANEL_WIDTH - LEFT - RIGHT;
    const PLOT_HEIGHT: f64 = PANEL_HEIGHT - ABOVE - BELOW;
    let rows: Vec<&Row> = days.rows_of(provider).collect();
    let name = escaped(&shortened(provider.as_str(), MAX_NAME));
    let _ = writeln!(
        svg,
        "<rect class=\"card\" width=\"{PANEL_WIDTH:.1}\" height=\"{PANEL_HEIGHT}\" rx=\"12\"/>\
         <text class=\"name\" x=\"18\" y=\"30\">{name}</text>\
         <text class=\"note\" x=\"18\" y=\"50\">{} a day, {}</text>",
        grouped(volume.into()),
        warm(days, provider)
    );
    let tall = |row: &Row| u64::from(row.sent) + u64::from(row.overflow) + u64::from(row.waiting);
    // A quota may be far above what there is to send: the line ends at the top then.
    let most = rows.iter().map(|row| tall(row)).max().unwrap_or(0);
    let axis = Axis::up_to(most.max(1));
    let floor = PANEL_HEIGHT - BELOW;
    let y = |messages: u64| floor - PLOT_HEIGHT * fraction(messages, axis.top).min(1.0);
    let room = PLOT_WIDTH / rows.len().max(1) as f64;
    let x = |at: usize| LEFT + room * at as f64;
    for tick in axis.ticks() {
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{height:.1}\" y2=\"{height:.1}\"/>\
             <text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            PANEL_WIDTH - RIGHT,
            LEFT - 8.0,
            y(tick) + 4.0,
            label(tick, axis.top),
            height = y(tick),
        );
    }
    let width = (room * 0.76).min(40.0);
    let label_every = rows.len().div_ceil(10).max(1);
    for (at, row) in rows.iter().enumerate() {
        let middle = x(at) + room / 2.0;
        let quota = match row.quota {
            Some(quota) => format!("quota {}", grouped(quota.into())),
            None => "warm".to_owned(),
        };
        let _ = writeln!(
            svg,
            "<g><title>{name}, day {}: {quota}, sent {}, overflow {}, waiting {}{}</title>",
            row.day,
            grouped(row.sent.into()),
            grouped(row.overflow.into()),
            grouped(row.waiting.into()),
            if row.paused { ", paused" } else { "" }
        );
        let mut below = 0;
        for (class, count) in [
            ("sent", row.sent),
            ("overflow", row.overflow),
            ("waiting", row.waiting),
        ] {
            if count == 0 {
                continue;
            }
            let above = below + u64::from(count);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.2}\" width=\"{width:.2}\" height=\"{:.2}\"/>",
                middle - width / 2.0,
                y(above),
                y(below) - y(above)
            );
            below = above;
        }
        svg.push_str("</g>\n");
        if at % label_every == 0 {
            let _ = writeln!(
                svg,
                "<text class=\"axis\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                floor + 18.0,
                row.day
            );
        }
    }
    for (at, row) in rows.iter().enumerate() {
        if row.paused {
            let _ = writeln!(
                svg,
                "<rect class=\"paused\" x=\"{:.2}\" y=\"{ABOVE}\" width=\"{room:.2}\" height=\"{PLOT_HEIGHT}\"/>",
                x(at)
            );
        }
    }
    // A line in steps, broken where no address warms up.
    let mut path = String::new();
    let mut is_drawn = false;
    for (at, row) in rows.iter().enumerate() {
        let Some(quota) = row.quota else {
            is_drawn = false;
            continue;
        };
        let height = y(quota.into());
        let _ = match is_drawn {
            true => write!(path, "V{height:.2}H{:.2}", x(at + 1)),
            false => write!(path, "M{:.2} {height:.2}H{:.2}", x(at), x(at + 1)),
        };
        is_drawn = true;
    }
    if !path.is_empty() {
        let _ = writeln!(svg, "<path class=\"quota\" d=\"{path}\"/>");
    }
    let _ = writeln!(
        svg,
        "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">day</text>\
         <text class=\"axis\" transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">messages</text>",
        LEFT + PLOT_WIDTH / 2.0,
        PANEL_HEIGHT - 12.0,
        ABOVE + PLOT_HEIGHT / 2.0
    );
}

/// What stands at a tick of an axis that ends at `top`.
fn label(tick: u64, top: u64) -> String {
    const MILLION: u64 = 1_000_000;
    match top >= 10 * MILLION && tick > 0 {
        true => format!("{} M", grouped(tick / MILLION)),
        false => grouped(tick),
    }
}
