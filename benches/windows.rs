//! Nanoseconds of a random window of 1,025 ids: `cargo bench --bench windows -- SHARDS`, a folder made by `ciyuan encode`.
//!
//! Windows come in batches, as in training; each row is the median of seven runs of 200,000 windows, with the fastest and
//! the slowest. The shards should be larger than the caches of the processor. The time to open them all stands before.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use ciyuan::shard::{Batches, Corpus, Split};

const RUNS: usize = 7;
const WINDOWS: u64 = 200_000;

fn main() {
    // Cargo hands its own flag on.
    let Some(folder) = std::env::args().skip(1).find(|argument| argument != "--bench") else {
        println!("name a folder of shards: cargo bench --bench windows -- SHARDS");
        return;
    };
    let open = || Corpus::open(Path::new(&folder), Split::Train).unwrap();
    let mut opened: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            drop(black_box(open()));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    opened.sort_by(f64::total_cmp);
    println!("opened in {:.1} ms ({:.1}..{:.1})", opened[RUNS / 2], opened[0], opened[RUNS - 1]);
    let corpus = open();
    println!("{} ids\n\n| windows a batch | ns a window |\n|---|---|", corpus.info().tokens);
    for size in [1, 16, 64] {
        let batches = Batches::new(&corpus, 1024, size, 7).unwrap();
        let steps = WINDOWS / size as u64;
        let mut times: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                (0..steps).for_each(|step| drop(black_box(batches.batch(step).unwrap())));
                start.elapsed().as_nanos() as f64 / (steps * size as u64) as f64
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("| {size} | {:.0} ({:.0}..{:.0}) |", times[RUNS / 2], times[0], times[RUNS - 1]);
    }
}
