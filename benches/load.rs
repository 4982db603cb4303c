//! Milliseconds until a tokenizer has encoded its first text: `cargo bench --bench load -- o200k=o200k_base.tiktoken`.
//!
//! Files are given as PATTERN=FILE, the pattern by its name; a `tokenizer.json` holds its own, `=FILE` is enough. Each
//! is loaded many times, on `RAYON_NUM_THREADS` threads; the figures are the fastest, as others work on the machine too. Rows: the
//! specification from the file's bytes; the tokenizer from it; the first text; all of that; the same tokenizer from a
//! prebuilt file, and its first text.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

use std::time::Instant;

use ciyuan::encode::Tokenizer;
use ciyuan::segment::Pattern;
use ciyuan::vocab::TokenizerSpec;

const RUNS: usize = 50;
const TEXT: &str = "Hello world, 词元，今天天气很好。 unbelievable antidisestablishmentarianism";

fn main() {
    // Cargo hands its own flag on.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.is_empty() {
        println!("name files to load: cargo bench --bench load -- o200k=o200k_base.tiktoken =tokenizer.json");
    }
    for argument in arguments {
        let (pattern, path) = argument.split_once('=').expect("PATTERN=FILE");
        measure(pattern, path);
    }
}

fn spec(file: &[u8], pattern: &str) -> TokenizerSpec {
    if pattern.is_empty() {
        TokenizerSpec::from_json(file).unwrap()
    } else {
        TokenizerSpec::from_tiktoken(file, Pattern::parse(pattern).unwrap().source(), vec![]).unwrap()
    }
}

fn measure(pattern: &str, path: &str) {
    let file = std::fs::read(path).unwrap();
    let prebuilt = Tokenizer::new(spec(&file, pattern)).unwrap().to_prebuilt().unwrap();
    let mut fastest = [f64::MAX; 6];
    for _ in 0..RUNS {
        let mut times = Vec::new();
        let start = Instant::now();
        let mut since = |from: Instant| times.push(from.elapsed().as_secs_f64() * 1e3);
        let spec = spec(&file, pattern);
        since(start);
        let made = Instant::now();
        let tokenizer = Tokenizer::new(spec).unwrap();
        since(made);
        let first = Instant::now();
        let ids = tokenizer.encode(TEXT).unwrap();
        since(first);
        since(start);
        let read = Instant::now();
        let again = Tokenizer::from_prebuilt(&prebuilt).unwrap();
        since(read);
        let first = Instant::now();
        assert_eq!(again.encode(TEXT).unwrap(), ids);
        since(first);
        fastest.iter_mut().zip(times).for_each(|(fastest, time)| *fastest = fastest.min(time));
    }
    let cells = fastest.map(|time| format!("{time:.1}")).join(" | ");
    println!("| {path} | {cells} |");
}
