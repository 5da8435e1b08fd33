//! The measuring: contenders take turns, so that what the machine does otherwise hits them alike.

use std::time::{Duration, Instant};

use crate::allocations;

/// How long one turn of a contender lasts at least.
const TURN: Duration = Duration::from_millis(2);
/// How long a race lasts for each contender.
const TIME: Duration = Duration::from_millis(600);

/// Several ways to do the same work; the first is the limit.
pub(crate) struct Race<'a> {
    what: String,
    contenders: Vec<Contender<'a>>,
}

struct Contender<'a> {
    name: &'static str,
    work: Box<dyn FnMut() + 'a>,
}

impl<'a> Race<'a> {
    /// Races at this work, against the least that it can cost.
    pub(crate) fn new<T>(
        what: impl Into<String>,
        limit: &'static str,
        work: impl FnMut() -> T + 'a,
    ) -> Self {
        Self {
            what: what.into(),
            contenders: Vec::new(),
        }
        .with(limit, work)
    }

    /// Another contender.
    pub(crate) fn with<T>(mut self, name: &'static str, mut work: impl FnMut() -> T + 'a) -> Self {
        self.contenders.push(Contender {
            name,
            work: Box::new(move || {
                core::hint::black_box(work());
            }),
        });
        self
    }

    /// Runs, and prints a row for each contender.
    pub(crate) fn run(mut self) {
        let mut results: Vec<_> = self.contenders.iter_mut().map(Turns::of).collect();
        let started = Instant::now();
        while started.elapsed() < TIME * self.contenders.len() as u32 {
            for (contender, turns) in self.contenders.iter_mut().zip(&mut results) {
                turns.take(contender);
            }
        }
        let limit = results.first().map_or(1.0, Turns::least);
        for (contender, turns) in self.contenders.iter().zip(&mut results) {
            let (least, median) = (turns.least(), turns.median());
            println!(
                "| {} | {} | {} | {} | {:.2} | {} |",
                self.what,
                contender.name,
                time(least),
                time(median),
                least / limit,
                turns.allocations,
            );
        }
    }
}

/// What a contender did: seconds for one run of the work, turn by turn.
struct Turns {
    allocations: usize,
    runs: u32,
    seconds: Vec<f64>,
}

impl Turns {
    fn of(contender: &mut Contender<'_>) -> Self {
        // Once to warm up, so that what is made once is not counted.
        (contender.work)();
        let allocations = allocations::of(&mut contender.work);
        let mut runs = 1;
        while run(contender, runs) < TURN {
            runs *= 2;
        }
        Self {
            allocations,
            runs,
            seconds: Vec::new(),
        }
    }

    fn take(&mut self, contender: &mut Contender<'_>) {
        let spent = run(contender, self.runs);
        self.seconds
            .push(spent.as_secs_f64() / f64::from(self.runs));
    }

    fn least(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn median(&mut self) -> f64 {
        self.seconds.sort_by(f64::total_cmp);
        self.seconds
            .get(self.seconds.len() / 2)
            .copied()
            .unwrap_or(f64::NAN)
    }
}

fn run(contender: &mut Contender<'_>, runs: u32) -> Duration {
    let started = Instant::now();
    for _ in 0..runs {
        (contender.work)();
    }
    started.elapsed()
}

/// Three digits and a unit.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        ..1e-6 => (seconds * 1e9, "ns"),
        1e-6..1e-3 => (seconds * 1e6, "µs"),
        _ => (seconds * 1e3, "ms"),
    };
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$} {unit}")
}
