//! MB/s of each named pattern: `taskset -c 1 cargo bench --bench segment -- zh.txt en.txt`.
//!
//! Spans only, into a vector that is used again: the scanner with each set of instructions that the machine has, the
//! same pattern on an engine of `regex`, and on `fancy-regex` (the first 2 MB of the text). A text is read whole, cut
//! into documents of about 64 KB at line ends, and passed over once a run. All are run in turn, five times; each figure
//! is the median, with the slowest and the fastest. That the spans are equal is checked in passing.
//!
//! Then the words of each line, by our dictionary, by jieba-rs without its hidden Markov model, and by our dictionary
//! with 10,000 words more, out of the text or not in it, in turn. Where words are found in folded text that are none as it stands, there are more and
//! longer ones to walk; what the fold itself costs shows against the text folded beforehand.
//!
//! `words` before the texts measures their words alone.
//!
//! `runs` in place of a text measures runs of one class, 1 MB and 10 MB as one document: the worst a text can be.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

mod common;
#[path = "common/runs.rs"]
mod runs;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use common::documents;
use runs::RUNS_OF;

use ciyuan::segment::{Dictionary, Fold, HanEdges, Instructions, NAMED_PATTERNS, NaivePattern, Pattern, Segmenter};

const RUNS: usize = 5;

/// An alternative that never matches: a pattern with it in front is not recognised, and runs on an engine.
const NEVER: &str = r"[^\s\S]|";

type Pass<'a> = (String, usize, Box<dyn Fn(&mut Vec<u32>) -> u64 + 'a>);

fn main() {
    // Cargo hands its own flag on.
    let paths: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if paths.is_empty() {
        println!("name texts to measure: cargo bench --bench segment -- zh.txt en.txt");
        return;
    }
    let words_alone = paths[0] == "words";
    for path in paths.iter().skip(usize::from(words_alone)) {
        if path == "runs" {
            runs_of_one_class();
        } else if words_alone {
            println!("\n{path}\n");
            words(&std::fs::read_to_string(path).unwrap());
        } else {
            measure(Path::new(path));
        }
    }
}

/// MB/s on 1 MB and on 10 MB of what could make a scanner look far ahead.
fn runs_of_one_class() {
    println!("| pattern | run of | MB/s on 1 MB | on 10 MB |\n|---|---|---|---|");
    for name in ["ciyuan", "cl100k", "o200k", "deepseek-v3", "gpt2"] {
        let segmenter = Segmenter::new(Pattern::parse(name).unwrap(), HanEdges::None).unwrap();
        for run in RUNS_OF {
            let rate = |bytes: usize| {
                let text = run.repeat(bytes / run.len());
                let mut ends = Vec::new();
                let mut rates: Vec<f64> = (0..RUNS)
                    .map(|_| {
                        let start = Instant::now();
                        segmenter.spans(&text, &mut ends).unwrap();
                        bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
                    })
                    .collect();
                rates.sort_by(f64::total_cmp);
                rates[RUNS / 2]
            };
            println!("| {name} | {run:?} | {:.0} | {:.0} |", rate(1 << 20), rate(10 << 20));
        }
    }
}

/// A number that tells spans from other spans.
fn mix(sum: u64, ends: &[u32]) -> u64 {
    ends.iter().fold(sum, |sum, end| sum.wrapping_mul(31).wrapping_add(u64::from(*end)))
}

fn measure(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let documents = documents(&text);
    println!("\n{}: {} bytes\n", path.file_name().unwrap().display(), text.len());
    println!("| pattern | by | MB/s |\n|---|---|---|");
    for (at, (name, regex)) in NAMED_PATTERNS.iter().enumerate() {
        // Not the second name of a pattern.
        if NAMED_PATTERNS[..at].iter().all(|(_, other)| other != regex) {
            pattern(name, regex, &documents);
        }
    }
    words(&text);
}

/// Words of each line of the first 8 MB.
fn words(text: &str) {
    let text = &text[..text.floor_char_boundary(8 << 20)];
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let jieba = jieba_rs::Jieba::new();
    let start = Instant::now();
    let [plain, folded] = [Fold::None, Fold::Simplified].map(Dictionary::new);
    println!("\nboth dictionaries loaded in {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let [own, others] = [1, 1000].map(|apart| own_words(text, apart, 10_000));
    let start = Instant::now();
    let with_own = Dictionary::with_user_words(Fold::Simplified, own.as_bytes()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let with_others = Dictionary::with_user_words(Fold::Simplified, others.as_bytes()).unwrap();
    println!("\n{} words added in {:.1} ms", own.lines().count(), seconds * 1e3);
    let before = folded.folded(text).unwrap_or_else(|| text.to_owned());
    let before: Vec<&str> = before.split_inclusive('\n').collect();
    let mut ends = Vec::new();
    let mut ours = |dictionary: &Dictionary, lines: &[&str]| {
        lines.iter().fold(0, |sum, line| {
            ends.clear();
            dictionary.word_ends(line, &mut ends);
            sum + ends.len()
        })
    };
    let mut theirs = || lines.iter().fold(0, |sum, line| sum + jieba.cut(line, false).len());
    let mut rates = [const { Vec::new() }; 6];
    let timed = |rates: &mut Vec<f64>, pass: &mut dyn FnMut() -> usize| {
        let start = Instant::now();
        let words = pass();
        rates.push(text.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
        words
    };
    for _ in 0..RUNS {
        let count = timed(&mut rates[0], &mut || ours(&plain, &lines));
        assert_eq!(timed(&mut rates[1], &mut theirs), count);
        let count = timed(&mut rates[2], &mut || ours(&folded, &lines));
        assert_eq!(timed(&mut rates[3], &mut || ours(&plain, &before)), count);
        timed(&mut rates[4], &mut || ours(&with_own, &lines));
        timed(&mut rates[5], &mut || ours(&with_others, &lines));
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[RUNS / 2]
    };
    let [plain, theirs, folded, before, with_own, with_others] = rates.each_mut().map(median);
    println!("\n| words | MB/s |\n|---|---|\n| as they stand | {plain:.0} |\n| folded | {folded:.0} |");
    println!("| folded beforehand | {before:.0} |");
    println!("| folded, with words of the text added | {with_own:.0} |");
    println!("| folded, with other words added | {with_others:.0} |");
    println!("| jieba-rs | {theirs:.0} |\n| as they stand / jieba-rs | {:.2} |", plain / theirs);
}

/// Lines of a user dictionary: four Han characters each that stand `apart` of each other among those of the text, from all
/// over it.
fn own_words(text: &str, apart: usize, count: usize) -> String {
    let han: Vec<char> = text.chars().filter(|c| ciyuan::segment::is_han(*c)).collect();
    let word = |at: usize| (0..4).map(|n| han.get(at + n * apart)).collect::<Option<String>>();
    let words: BTreeSet<String> = (0..han.len()).filter_map(word).collect();
    let step = (words.len() / count).max(1);
    words.iter().step_by(step).take(count).map(|word| format!("{word}\n")).collect()
}

fn pattern(name: &str, regex: &str, documents: &[&str]) {
    let segmenter = |regex: &str| Segmenter::new(Pattern::from_regex(regex).unwrap(), HanEdges::None).unwrap();
    let (scanner, engine) = (segmenter(regex), segmenter(&format!("{NEVER}{regex}")));
    let naive = NaivePattern::new(regex).unwrap();
    let bytes = |documents: &[&str]| documents.iter().map(|document| document.len()).sum::<usize>();
    let few = &documents[..documents.len().min(32)];

    let mut passes: Vec<Pass> = Vec::new();
    for instructions in Instructions::all() {
        let scanner = &scanner;
        let pass = move |ends: &mut Vec<u32>| {
            documents.iter().fold(0, |sum, document| {
                scanner.spans_with(instructions, document, ends).unwrap();
                // Only the last end is looked at in what is timed.
                sum + ends.len() as u64 + u64::from(ends.last().copied().unwrap_or(0))
            })
        };
        passes.push((instructions.name().to_owned(), bytes(documents), Box::new(pass)));
    }
    if engine.pattern().is_linear() {
        let engine = &engine;
        let pass = move |ends: &mut Vec<u32>| {
            documents.iter().fold(0, |sum, document| {
                engine.spans(document, ends).unwrap();
                sum + ends.len() as u64
            })
        };
        passes.push(("regex".to_owned(), bytes(documents), Box::new(pass)));
    }
    let naive_pass = |ends: &mut Vec<u32>| {
        few.iter().fold(0, |sum, document| {
            *ends = naive.spans(document).unwrap();
            sum + ends.len() as u64
        })
    };
    passes.push(("fancy-regex".to_owned(), bytes(few), Box::new(naive_pass)));

    let mut ends = Vec::new();
    let mut rates = vec![Vec::new(); passes.len()];
    for _ in 0..RUNS {
        for ((_, bytes, pass), rates) in passes.iter().zip(&mut rates) {
            let start = Instant::now();
            std::hint::black_box(pass(&mut ends));
            rates.push(*bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
        }
    }
    for ((by, ..), rates) in passes.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        println!("| {name} | {by} | {:.0} ({:.0}..{:.0}) |", rates[RUNS / 2], rates[0], rates[RUNS - 1]);
    }

    // Equal spans: the scanner and fancy-regex on the few, the scanner and the engine on all.
    for document in documents {
        scanner.spans(document, &mut ends).unwrap();
        let sum = mix(0, &ends);
        engine.spans(document, &mut ends).unwrap();
        assert_eq!(sum, mix(0, &ends), "{name}");
    }
    for document in few {
        scanner.spans(document, &mut ends).unwrap();
        assert_eq!(ends, naive.spans(document).unwrap(), "{name}");
    }
}
