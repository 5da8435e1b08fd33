//! What the defaults do to ten thousand senders. `cargo run --release -p screening --example simulation` prints the whole month.

#[path = "../examples/simulation/measures.rs"]
#[allow(dead_code, reason = "the example plays the other measures too")]
mod measures;

use measures::{Measures, Server};
use testkit::population::Population;

#[test]
fn the_default_refuses_no_honest_server_for_good() {
    let mut population = Population::default();
    // Some days of the month, for the sake of the time that it takes without optimisation; the whole month is no different.
    population.days.value = 5;
    let measures = Measures::default();
    let mut server = Server::new(&measures);
    let outcome = population.run(|world, attempt| server.respond(world, attempt));
    for group in &outcome.groups {
        if group.honest {
            assert!(group.messages > 100, "{}", group.name);
            assert_eq!(
                group.lost(),
                0,
                "{}: {:?}",
                group.name,
                group.senders_who_failed
            );
        }
    }
    assert!(outcome.catch_rate() > 0.8, "{}", outcome.catch_rate());
    assert!(outcome.mean_delay() < 60.0, "{}", outcome.mean_delay());
}
