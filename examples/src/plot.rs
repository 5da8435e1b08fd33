//! What plots and tables share: numbers, axes, and text that stays text.

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// At most so many characters of a name.
pub(crate) fn shortened(name: &str, characters: usize) -> String {
    if name.chars().nth(characters).is_none() {
        return name.to_owned();
    }
    let kept = name.chars().take(characters.saturating_sub(1));
    kept.chain(['\u{2026}']).collect()
}

/// An axis from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Where it ends.
    pub(crate) top: u64,
    /// The distance of its ticks: 1, 2 or 5 times a power of ten.
    step: u64,
}

impl Axis {
    /// One that reaches this number, with five ticks at most above 0.
    pub(crate) fn up_to(most: u64) -> Self {
        let mut step = 1_u64;
        for factor in [2, 5, 10].into_iter().cycle() {
            if most.div_ceil(step) <= 5 {
                break;
            }
            let power = 10_u64.pow(step.ilog10());
            step = power.saturating_mul(factor);
            if step == u64::MAX {
                break;
            }
        }
        let top = most.div_ceil(step).max(1).saturating_mul(step);
        Self { top, step }
    }

    /// Where its ticks are.
    pub(crate) fn ticks(self) -> impl Iterator<Item = u64> {
        (0..=self.top / self.step).map(move |tick| tick * self.step)
    }
}

/// A part of a whole, which counts as one where it is nothing.
pub(crate) fn fraction(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

/// The same in per cent.
pub(crate) fn percent(part: u64, of: u64) -> f64 {
    100.0 * fraction(part, of)
}

/// Text that is nothing but text wherever it stands in the page, and looks like what it is: no characters that turn the direction of others.
#[must_use]
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_with_few_ticks() {
        for (most, expected) in [
            (0, (1, 1)),
            (1, (1, 1)),
            (5, (5, 1)),
            (6, (6, 2)),
            (11, (15, 5)),
            (26, (30, 10)),
            (99, (100, 20)),
            (1_234, (1_500, 500)),
        ] {
            let axis = Axis::up_to(most);
            assert_eq!((axis.top, axis.step), expected, "{most}");
            assert_eq!(axis.ticks().last(), Some(axis.top));
        }
        // The last tick of such an axis would be beyond what there is.
        let ticks = Axis::up_to(u64::MAX).ticks();
        assert!((2..=6).contains(&ticks.count()));
    }

    #[test]
    fn numbers_read_well() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escaped("<script>\"'&\u{202e}\n"),
            "&lt;script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn names_are_cut_at_characters() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "ab\u{2026}");
        assert_eq!(
            shortened("\u{e9}\u{e9}\u{e9}\u{e9}", 3),
            "\u{e9}\u{e9}\u{2026}"
        );
        assert_eq!(shortened("", 0), "");
        assert_eq!(shortened("a", 0), "\u{2026}");
    }
}
