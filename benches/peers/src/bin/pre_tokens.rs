//! Pre-tokens by ciyuan and by the pre-tokenizers of peers, alone:
//! `cd benches/peers && taskset -c 1 cargo run --release --bin pre_tokens -- zh.txt en.txt`.
//!
//! One pass over documents of about 64 KB, all in turn, five times; each figure is the median in MB/s, with the slowest
//! and the fastest. A peer gives what it gives: ciyuan ends of spans, fastokens starts and ends, bpe-openai slices,
//! tokenizers pieces with offsets, each mapped to byte-level letters, which is what its encoder takes. The slow ones see
//! the first 2 MB. The spans of all are compared in passing.

use std::time::Instant;

use ciyuan::segment::{HanEdges, Pattern, Segmenter};
use ciyuan_peers::documents;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

const RUNS: usize = 5;

type Cut<'a> = Box<dyn Fn(&str, &mut Vec<u32>) + 'a>;

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        let documents = documents(&text);
        println!("\n{path}: {} bytes\n\n| pattern | by | MB/s |\n|---|---|---|", text.len());
        for name in ["cl100k", "o200k"] {
            measure(name, &documents);
        }
    }
}

fn measure(name: &str, documents: &[&str]) {
    let pattern = Pattern::parse(name).unwrap();
    let regex = pattern.source().to_owned();
    let segmenter = Segmenter::new(pattern, HanEdges::None).unwrap();
    let openai = if name == "cl100k" { bpe_openai::cl100k_base() } else { bpe_openai::o200k_base() };
    let split = Split::new(SplitPattern::Regex(regex), SplitDelimiterBehavior::Isolated, false).unwrap();
    let hugging_face = Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]);
    let few = &documents[..documents.len().min(32)];
    let cuts: [(&str, &[&str], Cut); 4] = [
        ("ciyuan", documents, Box::new(|text, ends| segmenter.spans(text, ends).unwrap())),
        (
            "fastokens 0.3.5",
            documents,
            Box::new(|text, ends| {
                let spans = std::hint::black_box(fastokens::__bench_scan_spans(text, name));
                // Only the first pass, which is not timed, looks at all of them.
                if ends.capacity() == 0 {
                    ends.extend(spans.iter().map(|(_, end)| *end));
                } else {
                    ends.clear();
                    ends.extend(spans.last().map(|(_, end)| *end));
                }
            }),
        ),
        (
            "bpe-openai 0.3",
            documents,
            Box::new(|text, ends| {
                ends.clear();
                let mut end = 0;
                ends.extend(openai.split(text).map(|piece| {
                    end += piece.len() as u32;
                    end
                }));
            }),
        ),
        (
            "tokenizers 0.23, Split and ByteLevel",
            few,
            Box::new(|text, ends| {
                let mut pieces = PreTokenizedString::from(text);
                hugging_face.pre_tokenize(&mut pieces).unwrap();
                ends.clear();
                let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
                ends.extend(splits.iter().map(|(_, (_, end), _)| *end as u32));
            }),
        ),
    ];
    for document in few {
        let wanted = spans(&cuts[0].2, document);
        for (by, _, cut) in &cuts[1..] {
            let found = spans(cut, document);
            if found != wanted {
                let at = found.iter().zip(&wanted).take_while(|(left, right)| left == right).count();
                println!(
                    "{name} {by}: other spans from {at} of {} on, of {:?}",
                    wanted.len(),
                    &document[..20.min(document.len())]
                );
                break;
            }
        }
    }
    let mut rates = vec![Vec::new(); cuts.len()];
    let mut ends = Vec::with_capacity(1 << 16);
    for _ in 0..RUNS {
        for ((_, documents, cut), rates) in cuts.iter().zip(&mut rates) {
            let start = Instant::now();
            for document in *documents {
                cut(document, &mut ends);
                std::hint::black_box(&ends);
            }
            let bytes: usize = documents.iter().map(|document| document.len()).sum();
            rates.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
        }
    }
    for ((by, ..), rates) in cuts.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        println!("| {name} | {by} | {:.0} ({:.0}..{:.0}) |", rates[RUNS / 2], rates[0], rates[RUNS - 1]);
    }
}

fn spans(cut: &Cut, text: &str) -> Vec<u32> {
    let mut ends = Vec::new();
    cut(text, &mut ends);
    ends
}
