//! MB/s of each stage on texts that are given: `cargo bench --bench stages -- zh.txt en.txt`.
//!
//! A text is read whole, cut into documents of about 64 KB at line ends, and passed over once a run; each figure is the
//! median of five runs, with the slowest and the fastest. One thread and two. Peak memory is that of the process so far
//! (`VmHWM`), text among it, so measure one text a call to know it for each.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

mod common;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use common::documents;

use ciyuan::encode::{Encoder, Tokenizer};
use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
use ciyuan::segment::{Han, HanEdges, Pattern, Segmenter};
use ciyuan::shard::{Shard, ShardWriter};
use ciyuan::vocab::TokenizerSpec;
use rayon::prelude::*;

const RUNS: usize = 5;
const VOCAB_SIZE: u32 = 32_768;

fn main() {
    // Cargo hands its own flag on.
    let paths: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if paths.is_empty() {
        println!("name texts to measure: cargo bench --bench stages -- zh.txt en.txt");
    }
    for path in paths {
        measure(Path::new(&path));
    }
}

/// Runs `work` five times on pools of one and two threads, and prints a row.
fn row<T: Send>(stage: &str, bytes: usize, threads: &[usize], work: impl Fn() -> T + Sync) -> T {
    let mut cells = Vec::new();
    let mut last = None;
    for &count in threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
        let mut rates = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            last = Some(black_box(pool.install(&work)));
            rates.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        cells.push(format!("{:.1} ({:.1}..{:.1})", rates[RUNS / 2], rates[0], rates[RUNS - 1]));
    }
    println!("| {stage} | {} |", cells.join(" | "));
    last.unwrap()
}

fn measure(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let documents = documents(&text);
    let bytes = text.len();
    println!(
        "\n{}: {bytes} bytes\n\n| stage | MB/s, one thread | two threads |\n|---|---|---|",
        path.file_name().unwrap().display()
    );
    let segmenter = |edges| Segmenter::new(Pattern::default(), edges).unwrap();
    let (runs, words) = (segmenter(HanEdges::None), segmenter(HanEdges::Words));
    let spans = |segmenter: &Segmenter| {
        let count = |ends: &mut Vec<u32>, text: &&str| {
            segmenter.spans(text, ends).unwrap();
            ends.len()
        };
        documents.par_iter().map_init(Vec::new, count).sum::<usize>()
    };
    row("pre-tokens (pattern `ciyuan`)", bytes, &[1, 2], || spans(&runs));
    row("pre-tokens and Chinese words", bytes, &[1, 2], || spans(&words));
    let counts = row("counting, with words", bytes, &[1, 2], || Counts::of_texts(&words, &documents).unwrap());
    let config = LearnConfig { vocab_size: VocabSize::Tokens(VOCAB_SIZE), ..LearnConfig::default() };
    let learned = row("merging to 32,768 tokens, bytes of text a second", bytes, &[1], || {
        learn(&counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap()
    });
    let regex = Pattern::default().source().to_owned();
    let spec = TokenizerSpec::from_learned(regex, Han::LearnWords.encoding(), &learned.pairs, &config.special).unwrap();
    let tokenizer = Tokenizer::new(spec).unwrap();
    let ids: Vec<Vec<u32>> = row("encoding with that tokenizer", bytes, &[1, 2], || {
        let encode = |encoder: &mut Encoder<'_>, text: &&str| {
            let mut ids = Vec::new();
            encoder.encode_into(text, &mut ids).unwrap();
            ids
        };
        documents.par_iter().map_init(|| Encoder::new(&tokenizer), encode).collect()
    });
    row("counting its tokens", bytes, &[1, 2], || {
        let count = |encoder: &mut Encoder<'_>, text: &&str| encoder.count(text).unwrap();
        documents.par_iter().map_init(|| Encoder::new(&tokenizer), count).sum::<usize>()
    });
    row("encoding all as one document", bytes, &[1, 2], || tokenizer.encode_parallel(&text).unwrap());
    row("decoding", bytes, &[1, 2], || ids.par_iter().map(|ids| tokenizer.decode(ids).unwrap().len()).sum::<usize>());
    let shard = std::env::temp_dir().join(format!("ciyuan-bench-{}.shard", std::process::id()));
    row("writing a shard, flushed", bytes, &[1], || {
        let end = tokenizer.spec().special().end_of_text();
        let mut writer =
            ShardWriter::create(&shard, tokenizer.spec().vocab_size(), end, tokenizer.fingerprint()).unwrap();
        ids.iter().zip(&documents).for_each(|(ids, text)| writer.push(ids, text.len() as u64).unwrap());
        writer.finish().unwrap()
    });
    row("verifying a shard", bytes, &[1], || Shard::open(&shard).unwrap().verify().unwrap());
    std::fs::remove_file(shard).unwrap();
    let tokens: usize = ids.iter().map(Vec::len).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or(" not known").trim();
    println!("\n{tokens} tokens, {:.3} bytes a token; peak memory {peak}", bytes as f64 / tokens as f64);
}
