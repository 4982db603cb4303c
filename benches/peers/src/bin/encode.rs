//! Encoding by ciyuan and by peers, one thread, with a published vocabulary:
//! `cd benches/peers && taskset -c 1 cargo run --release --bin encode -- cl100k_base.tiktoken zh.txt en.txt`.
//!
//! gigatoken, which is there for Python alone, is measured in the same way by `encode_gigatoken.py`.
//!
//! The vocabulary is told by the name of its file: cl100k or o200k. First pass of a fresh encoder over text that is not
//! repeated, in documents of about 64 KB, then the second pass of the same encoder; all in turn, five times, each time
//! with a fresh encoder where there is one to make. Figures are medians in MB/s, with the slowest and the fastest. The
//! slow peers see the first part of the text only, as stated. Ids of the first documents are compared in passing.

use std::time::Instant;

use ciyuan::encode::{Encoder, Tokenizer};
use ciyuan::segment::Pattern;
use ciyuan::vocab::TokenizerSpec;
use ciyuan_peers::documents;

const RUNS: usize = 5;

/// A fresh encoder, which appends the ids of a text.
type Fresh<'a> = Box<dyn Fn() -> Box<dyn FnMut(&str, &mut Vec<u32>) + 'a> + 'a>;

struct Peer<'a> {
    name: &'static str,
    /// Bytes of the text that it sees.
    bytes: usize,
    fresh: Fresh<'a>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let vocabulary = arguments.next().expect("the vocabulary, then texts");
    let name = if vocabulary.contains("o200k") { "o200k" } else { "cl100k" };
    let file = std::fs::read(&vocabulary).unwrap();
    let start = Instant::now();
    let spec = TokenizerSpec::from_tiktoken(&file, Pattern::parse(name).unwrap().source(), vec![]).unwrap();
    drop(Tokenizer::new(spec.clone()).unwrap());
    println!("{name}: ciyuan loads it in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let tiktoken = if name == "cl100k" { tiktoken_rs::cl100k_base() } else { tiktoken_rs::o200k_base() }.unwrap();
    let openai = if name == "cl100k" { bpe_openai::cl100k_base() } else { bpe_openai::o200k_base() };
    let config = || match name {
        "cl100k" => fastokens::tiktoken::TiktokenConfig::cl100k_base(),
        _ => fastokens::tiktoken::TiktokenConfig::o200k_base(),
    };
    let text = std::str::from_utf8(&file).unwrap();
    let json = spec.to_json();
    let release: tokenizers::Tokenizer = json.parse().unwrap();
    let candidate = tokenizers_rc::canonicalize_str(&json).unwrap();
    let peers: Vec<Peer> = vec![
        Peer {
            name: "ciyuan",
            bytes: usize::MAX,
            // An encoder gives what it has learned back to its tokenizer, so a fresh one needs a fresh tokenizer.
            fresh: Box::new(|| {
                let tokenizer: &'static Tokenizer = Box::leak(Box::new(Tokenizer::new(spec.clone()).unwrap()));
                let mut encoder = Encoder::new(tokenizer);
                Box::new(move |text, ids| encoder.encode_into(text, ids).unwrap())
            }),
        },
        Peer {
            name: "fastokens 0.3.5",
            bytes: usize::MAX,
            fresh: Box::new(|| {
                let tokenizer = fastokens::Tokenizer::from_tiktoken_str(text, config()).unwrap();
                Box::new(move |text, ids| ids.extend(tokenizer.encode_ordinary(text).unwrap()))
            }),
        },
        Peer {
            name: "tokenizers 1.0.0-rc.3",
            bytes: usize::MAX,
            // Its clones share what they have learned.
            fresh: Box::new(|| {
                let tokenizer = tokenizers_rc::from_json(&candidate).unwrap();
                let options = tokenizers_rc::pipeline::EncodeOptions::no_specials();
                let mut tokens = Vec::new();
                Box::new(move |text, ids| {
                    tokens.clear();
                    tokenizer.encode_into(text, &options, &mut tokens).unwrap();
                    ids.extend_from_slice(tokenizers_rc::pipeline::PipelineToken::cast_slice(&tokens));
                })
            }),
        },
        Peer {
            name: "bpe-openai 0.3.2",
            bytes: 8 << 20,
            fresh: Box::new(|| Box::new(|text, ids| ids.extend(openai.encode(text)))),
        },
        Peer {
            name: "tiktoken-rs 0.12",
            bytes: 4 << 20,
            fresh: Box::new(|| Box::new(|text, ids| ids.extend(tiktoken.encode_ordinary(text)))),
        },
        Peer {
            name: "tokenizers 0.23",
            bytes: 2 << 20,
            fresh: Box::new(|| {
                Box::new(|text, ids| ids.extend_from_slice(release.encode_fast(text, false).unwrap().get_ids()))
            }),
        },
    ];
    for path in arguments {
        let text = std::fs::read_to_string(&path).unwrap();
        println!("\n{path}: {} bytes", text.len());
        let mut encode = (peers[0].fresh)();
        let mut ids = Vec::new();
        documents(&text).iter().for_each(|document| encode(document, &mut ids));
        println!("{} ids, sum {}", ids.len(), ids.iter().map(|id| u64::from(*id)).sum::<u64>());
        println!("\n| {name}, by | first pass | second pass |\n|---|---|---|");
        measure(&peers, &documents(&text));
    }
}

fn measure(peers: &[Peer], documents: &[&str]) {
    let mut rates = vec![[Vec::new(), Vec::new()]; peers.len()];
    let mut ids = Vec::with_capacity(1 << 17);
    let mut wanted: Vec<Vec<u32>> = Vec::new();
    for run in 0..RUNS {
        for (peer, rates) in peers.iter().zip(&mut rates) {
            let mut encode = (peer.fresh)();
            let mut seen = 0;
            let documents = documents.iter().take_while(|document| {
                seen += document.len();
                seen <= peer.bytes
            });
            let documents: Vec<&str> = documents.copied().collect();
            let bytes: usize = documents.iter().map(|document| document.len()).sum();
            for rates in rates {
                let start = Instant::now();
                for document in &documents {
                    ids.clear();
                    encode(document, &mut ids);
                    std::hint::black_box(&ids);
                }
                rates.push(bytes as f64 / 1e6 / start.elapsed().as_secs_f64());
            }
            if run == 0 {
                compare(peer.name, &documents, &mut encode, &mut wanted);
            }
        }
    }
    for (peer, rates) in peers.iter().zip(&mut rates) {
        let cells = rates.each_mut().map(|rates| {
            rates.sort_by(f64::total_cmp);
            format!("{:.1} ({:.1}..{:.1})", rates[RUNS / 2], rates[0], rates[RUNS - 1])
        });
        println!("| {} | {} | {} |", peer.name, cells[0], cells[1]);
    }
}

/// Ids of the first documents, against those of the first peer.
fn compare(name: &str, documents: &[&str], encode: &mut impl FnMut(&str, &mut Vec<u32>), wanted: &mut Vec<Vec<u32>>) {
    let first = wanted.is_empty();
    for (at, document) in documents.iter().take(32).enumerate() {
        let mut ids = Vec::new();
        encode(document, &mut ids);
        if first {
            wanted.push(ids);
        } else if wanted.get(at).is_some_and(|wanted| *wanted != ids) {
            println!("{name}: other ids in document {at}");
        }
    }
}
