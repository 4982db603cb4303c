//! MB/s of encoding and decoding: `cargo bench --bench encode -- cl100k=cl100k_base.tiktoken zh.txt en.txt`.
//!
//! The tokenizer is given as PATTERN=FILE, the pattern by its name; a `tokenizer.json` holds its own, `=FILE` is enough.
//! Of each text the first 12 MB are passed over, in documents of about 64 KB, by one thread: by a fresh encoder, whose memo
//! is empty; again; counted by a fresh encoder; decoded. Ids and bytes go into buffers that are used again. A figure is the
//! median of five runs, with the slowest and the fastest.
//!
//! `runs` instead of texts: a document of one class of characters, of 1, 10 and 100 MB. `long` before texts: a document of
//! a gigabyte, which the texts are repeated to, on one thread and on two, and as a stream; their ids are equal. `command`,
//! the program and texts: all of a text encoded in memory by all threads, and by `ciyuan encode` from files of the same
//! documents to shards, start and end of the process and all: JSON lines, plain and compressed, and Parquet. By turns, fifteen
//! times, and the percent that the command has of the rate in memory of the same turn.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

mod common;
#[path = "common/parquet_file.rs"]
mod parquet_file;
#[path = "common/runs.rs"]
mod runs;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use ciyuan::encode::{EncodeStream, Encoder, Tokenizer};
use ciyuan::segment::Pattern;
use ciyuan::vocab::TokenizerSpec;
use common::documents;
use runs::RUNS_OF;

const RUNS: usize = 5;
const TURNS: usize = 15;
const BYTES: usize = 12_000_000;
const LONG: usize = 1_000_000_000;

fn main() {
    // Cargo hands its own flag on.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [tokenizer, texts @ ..] = &arguments[..] else {
        println!("name a tokenizer and texts: cargo bench --bench encode -- cl100k=cl100k_base.tiktoken zh.txt en.txt");
        return;
    };
    let tokenizer = load(tokenizer);
    match texts {
        [runs] if runs == "runs" => runs_of_one_class(&tokenizer),
        [long, paths @ ..] if long == "long" => one_document(&tokenizer, paths),
        [command, program, paths @ ..] if command == "command" => {
            println!("| text | in memory | .jsonl | .jsonl.zst | .parquet | percent, .jsonl | .jsonl.zst | .parquet |");
            println!("|---|---|---|---|---|---|---|---|");
            paths.iter().for_each(|path| whole_command(&tokenizer, Path::new(program), path));
        }
        paths => {
            println!("| text | first pass | second pass | counted | decoded |\n|---|---|---|---|---|");
            paths.iter().for_each(|path| text(&tokenizer, path));
        }
    }
}

fn load(argument: &str) -> Tokenizer {
    let (pattern, path) = argument.split_once('=').expect("PATTERN=FILE");
    let file = std::fs::read(path).unwrap();
    let spec = if pattern.is_empty() {
        TokenizerSpec::from_json(&file)
    } else {
        TokenizerSpec::from_tiktoken(&file, Pattern::parse(pattern).unwrap().source(), vec![])
    };
    Tokenizer::new(spec.unwrap()).unwrap()
}

/// Megabytes a second, from the slowest to the fastest.
#[derive(Default)]
struct Rates(Vec<f64>);

impl Rates {
    /// Times work on so many bytes, and gives its rate.
    fn time(&mut self, bytes: usize, work: impl FnOnce()) -> f64 {
        let start = Instant::now();
        work();
        self.add(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
    }

    fn add(&mut self, figure: f64) -> f64 {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
        figure
    }

    fn cell(&self) -> String {
        format!("{:.0} ({:.0}..{:.0})", self.0[self.0.len() / 2], self.0[0], self.0[self.0.len() - 1])
    }
}

fn text(tokenizer: &Tokenizer, path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let text = &text[..text.floor_char_boundary(BYTES)];
    let documents = documents(text);
    let prebuilt = tokenizer.to_prebuilt().unwrap();
    // An encoder gives its memo back to its tokenizer, so a fresh one is of a tokenizer of its own.
    let fresh = || Tokenizer::from_prebuilt(&prebuilt).unwrap();
    let (mut ids, mut decoded) = (Vec::with_capacity(1 << 18), Vec::with_capacity(1 << 18));
    // Its table is made by the first call.
    tokenizer.decode_into(&[0], &mut decoded).unwrap();
    let mut rates = [const { Rates(Vec::new()) }; 4];
    for _ in 0..RUNS {
        let of_run = fresh();
        let mut encoder = Encoder::new(&of_run);
        let mut tokens = 0;
        for rates in &mut rates[..2] {
            tokens = 0;
            rates.time(text.len(), || {
                for document in &documents {
                    ids.clear();
                    encoder.encode_into(document, &mut ids).unwrap();
                    tokens += ids.len();
                }
            });
        }
        let of_run = fresh();
        let mut encoder = Encoder::new(&of_run);
        rates[2].time(text.len(), || {
            let counted: usize = documents.iter().map(|document| encoder.count(document).unwrap()).sum();
            assert_eq!(counted, tokens);
        });
        let all: Vec<Vec<u32>> = documents.iter().map(|document| tokenizer.encode(document).unwrap()).collect();
        rates[3].time(text.len(), || {
            let mut bytes = 0;
            for ids in &all {
                decoded.clear();
                tokenizer.decode_into(ids, &mut decoded).unwrap();
                bytes += decoded.len();
            }
            assert_eq!(bytes, text.len());
        });
    }
    println!("| {path} | {} |", rates.each_ref().map(Rates::cell).join(" | "));
}

fn runs_of_one_class(tokenizer: &Tokenizer) {
    println!("| run of | MB/s on 1 MB | on 10 MB | on 100 MB |\n|---|---|---|---|");
    for run in RUNS_OF {
        let cells = [1_000_000, 10_000_000, 100_000_000].map(|bytes: usize| {
            let text = run.repeat(bytes / run.len());
            let mut ids = Vec::new();
            let mut rates = Rates::default();
            rates.time(text.len(), || Encoder::new(tokenizer).encode_into(&text, &mut ids).unwrap());
            assert!(tokenizer.decode(&ids).unwrap() == text.as_bytes());
            format!("{:.0}", rates.0[0])
        });
        println!("| {run:?} | {} |", cells.join(" | "));
    }
}

fn one_document(tokenizer: &Tokenizer, paths: &[String]) {
    println!("| a document of 1 GB | one thread | two | stream |\n|---|---|---|---|");
    for path in paths {
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.repeat(LONG / text.len());
        let mut rates = [const { Rates(Vec::new()) }; 3];
        let [one, two] = [1, 2].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut ids = Vec::new();
            rates[threads - 1].time(text.len(), || ids = pool.install(|| tokenizer.encode_parallel(&text)).unwrap());
            ids
        });
        assert!(one == two, "as many threads, as many ids");
        let mut rest = &one[..];
        rates[2].time(text.len(), || {
            let mut stream = EncodeStream::new(tokenizer);
            let mut ids = Vec::new();
            for piece in text.as_bytes().chunks(1 << 20) {
                stream.push(piece, &mut ids).unwrap();
                rest = rest.strip_prefix(&ids[..]).expect("the ids of the whole");
                ids.clear();
            }
            stream.finish(&mut ids).unwrap();
            assert_eq!(rest, ids);
        });
        println!("| {path} | {} |", rates.each_ref().map(|rates| format!("{:.0}", rates.0[0])).join(" | "));
    }
}

fn whole_command(tokenizer: &Tokenizer, program: &Path, path: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let documents = documents(&text);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let lines = documents.iter().map(|document| format!("{}\n", serde_json::json!({"text": document})));
    let lines: String = lines.collect();
    std::fs::write(at("tokenizer.json"), tokenizer.spec().to_json()).unwrap();
    std::fs::write(at("plain.jsonl"), &lines).unwrap();
    std::fs::write(at("compressed.jsonl.zst"), zstd::encode_all(lines.as_bytes(), 3).unwrap()).unwrap();
    std::fs::write(at("column.parquet"), parquet_file::parquet_file(&documents)).unwrap();
    let prebuilt = tokenizer.to_prebuilt().unwrap();
    let inputs = ["plain.jsonl", "compressed.jsonl.zst", "column.parquet"];
    let mut rates = [const { Rates(Vec::new()) }; 7];
    for _ in 0..TURNS {
        let fresh = Tokenizer::from_prebuilt(&prebuilt).unwrap();
        let in_memory = rates[0].time(text.len(), || drop(fresh.encode_batch(&documents).unwrap()));
        for (row, input) in inputs.into_iter().enumerate() {
            let mut command = Command::new(program);
            command.args(["encode", "--quiet", "--val", "0", "-t"]).arg(at("tokenizer.json")).stdout(Stdio::null());
            command.arg("-o").arg(at("shards")).arg(at(input));
            let whole = rates[1 + row].time(text.len(), || assert!(command.status().unwrap().success()));
            rates[4 + row].add(100.0 * whole / in_memory);
            std::fs::remove_dir_all(at("shards")).unwrap();
        }
    }
    println!("| {path} | {} |", rates.each_ref().map(Rates::cell).join(" | "));
}
