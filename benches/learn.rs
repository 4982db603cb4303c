//! Seconds and memory of learning: `cargo bench --bench learn -- zh.txt en.txt`.
//!
//! Each file is counted with the pattern cl100k, whose pre-tokens of Chinese are whole runs, and with the default
//! pattern and words; then merges are learned for vocabularies of several sizes. Rows give seconds, the fastest of
//! `RUNS` for merging, and the most memory that the program had so far, which holds the text and the counts.
//! `RAYON_NUM_THREADS=1` for one core.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

#[path = "common/mod.rs"]
mod common;

use std::ops::ControlFlow;
use std::time::Instant;

use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
use ciyuan::segment::{HanEdges, Pattern, Segmenter};

const RUNS: usize = 3;
const SIZES: [u32; 5] = [8_192, 32_768, 65_536, 131_072, 262_144];

fn main() {
    // Cargo hands its own flag on.
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if files.is_empty() {
        println!("name files of text: cargo bench --bench learn -- zh.txt en.txt");
    }
    println!("| file | pattern | distinct | s counting | tokens: s merging (merges, sum of counts) | peak MB |");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for (pattern, edges) in [("cl100k", HanEdges::None), ("ciyuan", HanEdges::Words)] {
            let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), edges).unwrap();
            let start = Instant::now();
            let counts = Counts::of_texts(&segmenter, &common::documents(&text)).unwrap();
            let counted = start.elapsed().as_secs_f64();
            let cells = SIZES.map(|size| measure(&counts, size)).join("; ");
            println!("| {path} | {pattern} | {} | {counted:.2} | {cells} | {} |", counts.len(), peak());
        }
    }
}

fn measure(counts: &Counts, size: u32) -> String {
    let config = LearnConfig { vocab_size: VocabSize::Tokens(size), ..LearnConfig::default() };
    let (mut fastest, mut merges, mut sum) = (f64::MAX, 0, 0);
    for _ in 0..RUNS {
        let start = Instant::now();
        let learned = learn(counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap();
        fastest = fastest.min(start.elapsed().as_secs_f64());
        (merges, sum) = (learned.pairs.len(), learned.counts.iter().sum::<u64>());
    }
    format!("{size}: {fastest:.3} ({merges}, {sum})")
}

/// The most memory that the program had, in MB.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.map_or("unknown".to_owned(), |kilobytes| (kilobytes >> 10).to_string())
}
