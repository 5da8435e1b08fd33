//! What one decision of greylisting costs in the server's store, beside its budget of 5 µs.
//!
//! `cargo run --release -p examples --example screening-cost`

use std::net::Ipv4Addr;
use std::time::Instant;

use examples::store::{Sqlite, StoreError, screen};
use screening::greylisting::{Attempt, Greylist};
use screening::store::Keys;

const NOW: u64 = 1_800_000_000;
const DECISIONS: u32 = 1 << 20;
const BUDGET: f64 = 5.0;

fn main() -> Result<(), StoreError> {
    let folder = std::env::temp_dir().join(format!("screening-cost-{}", std::process::id()));
    let store = Sqlite::open(&folder)?;
    let greylist = Greylist::new(Keys::new([7; 16]));
    // The store is full after the first quarter of new clients, and is written meanwhile.
    for (what, later) in [("a new client", 0), ("its retry, of those still there", 60)] {
        let begun = Instant::now();
        for number in 0..DECISIONS {
            let client = Ipv4Addr::from(number << 12 | 1).into();
            let attempt = Attempt::new(client, "joe@example.net", "ann@example.org");
            let now = NOW + later;
            screen(&store, now, |memory| greylist.check(memory, &attempt, now))?;
        }
        let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS);
        println!("{what}: {each:.2} µs of {BUDGET} µs");
    }
    let begun = Instant::now();
    drop(store);
    println!("written at the end: {:?}", begun.elapsed());
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
