//! Ids against tiktoken: the public vocabularies, and tokenizers learned here in tiktoken's form.
//!
//! The long tier adds files of text and many more hostile strings, as in `exactness.rs`:
//! `CIYUAN_LONG="zh.txt en.txt" cargo test --release --test suite tiktoken`.
//!
//! The reference is tiktoken-rs 0.12, which holds OpenAI's vocabularies and patterns (its possessive forms, not ours).

use std::sync::LazyLock;

use ciyuan::encode::Tokenizer;
use ciyuan::segment::{Han, NAMED_PATTERNS, Pattern};
use ciyuan::vocab::TokenizerSpec;
use tiktoken_rs::CoreBPE;

use super::common::{Random, corpus, hostile, learned};

/// The `.tiktoken` file of a reference: every id below `ranks`, decoded to its bytes.
fn file_of(reference: &CoreBPE, ranks: u32) -> String {
    use base64::Engine;
    let line = |id: u32| {
        let bytes = reference.decode_bytes(&[id]).unwrap_or_else(|_| panic!("no token {id}"));
        format!("{} {id}\n", base64::engine::general_purpose::STANDARD.encode(bytes))
    };
    (0..ranks).map(line).collect()
}

fn tokenizer_of(reference: &CoreBPE, ranks: u32, pattern: &str) -> Tokenizer {
    let regex = Pattern::parse(pattern).unwrap().source().to_owned();
    Tokenizer::new(TokenizerSpec::from_tiktoken(file_of(reference, ranks).as_bytes(), &regex, vec![]).unwrap()).unwrap()
}

static HOSTILE: LazyLock<Vec<String>> = LazyLock::new(|| hostile(20_000, 1));

/// A vocabulary's own tokens, one after the other, and their parts: what could span an edge wrongly.
fn some_tokens(tokenizer: &Tokenizer, random: &mut Random) -> Vec<u8> {
    let end = tokenizer.spec().vocab_size() as usize;
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(8) {
        let token = tokenizer.token_bytes(random.below(end) as u32).unwrap_or_default();
        let cut = if random.below(3) == 0 { random.below(token.len() + 1) } else { 0 };
        bytes.extend_from_slice(&token[cut..]);
    }
    bytes
}

/// The same as texts: what is no UTF-8 is taken out.
fn texts_of_tokens(tokenizer: &Tokenizer, count: usize, seed: u64) -> impl Iterator<Item = String> {
    let mut random = Random(seed);
    (0..count).map(move |_| String::from_utf8_lossy(&some_tokens(tokenizer, &mut random)).replace('\u{FFFD}', ""))
}

/// The plain loop of tiktoken: of all neighbours whose bytes together are a token, those with the lowest id are joined.
fn plain_merges(tokenizer: &Tokenizer, bytes: &[u8]) -> Vec<u32> {
    let mut parts: Vec<&[u8]> = bytes.chunks(1).collect();
    let rank = |left: &[u8], right: &[u8]| tokenizer.token_id(&[left, right].concat());
    while let Some((_, at)) =
        (1..parts.len()).filter_map(|at| rank(parts[at - 1], parts[at]).map(|rank| (rank, at))).min()
    {
        let start = parts[..at - 1].iter().map(|part| part.len()).sum::<usize>();
        let end = start + parts[at - 1].len() + parts[at].len();
        parts[at - 1] = &bytes[start..end];
        parts.remove(at);
    }
    parts.iter().map(|part| tokenizer.token_id(part).unwrap()).collect()
}

/// Bytes that are no text, by the rule of the door for bytes: what is valid as a text by itself, what is not in one piece.
fn same_ids_of_bytes(reference: &CoreBPE, tokenizer: &Tokenizer, count: usize, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..count {
        let bytes = some_tokens(tokenizer, &mut random);
        let (mut wanted, mut other) = (Vec::new(), Vec::new());
        for chunk in bytes.utf8_chunks() {
            if !chunk.valid().is_empty() {
                wanted.extend(plain_merges(tokenizer, &std::mem::take(&mut other)));
                wanted.extend(reference.encode_ordinary(chunk.valid()));
            }
            other.extend_from_slice(chunk.invalid());
        }
        wanted.extend(plain_merges(tokenizer, &other));
        assert_eq!(tokenizer.encode_bytes(&bytes).unwrap(), wanted, "{bytes:?}");
        assert_eq!(tokenizer.decode(&wanted).unwrap(), bytes);
    }
}

#[track_caller]
fn same_ids(reference: &CoreBPE, tokenizer: &Tokenizer) {
    let check = |text: &str| {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids, reference.encode_ordinary(text), "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
    };
    corpus().iter().chain(&*HOSTILE).for_each(|text| check(text));
    texts_of_tokens(tokenizer, 20_000, 5).for_each(|text| check(&text));
    same_ids_of_bytes(reference, tokenizer, 10_000, 8);
    if let Ok(files) = std::env::var("CIYUAN_LONG") {
        texts_of_tokens(tokenizer, 800_000, 6).for_each(|text| check(&text));
        super::common::hostile(500_000, 7).iter().for_each(|text| check(text));
        same_ids_of_bytes(reference, tokenizer, 200_000, 9);
        for file in files.split(' ') {
            let text = std::fs::read_to_string(file).unwrap();
            // As a whole too: it is encoded in parts then, on one thread and on all.
            assert_eq!(tokenizer.encode_parallel(&text).unwrap(), tokenizer.encode(&text).unwrap(), "{file}");
            check(&text);
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            lines.chunks(400).for_each(|lines| check(&lines.concat()));
        }
    }
}

#[test]
fn gpt2() {
    let reference = tiktoken_rs::r50k_base().unwrap();
    let tokenizer = tokenizer_of(&reference, 50_256, "gpt2");
    // Every token of two bytes and more is made by one merge.
    assert_eq!((tokenizer.spec().vocab().len(), tokenizer.spec().merges().len()), (50_256, 50_000));
    same_ids(&reference, &tokenizer);
}

#[test]
fn cl100k() {
    let reference = tiktoken_rs::cl100k_base().unwrap();
    let tokenizer = tokenizer_of(&reference, 100_256, "cl100k");
    assert_eq!(tokenizer.spec().merges().len(), 100_000);
    same_ids(&reference, &tokenizer);
}

#[test]
fn o200k() {
    let reference = tiktoken_rs::o200k_base().unwrap();
    let tokenizer = tokenizer_of(&reference, 199_998, "o200k");
    assert_eq!(tokenizer.spec().merges().len(), 199_742);
    same_ids(&reference, &tokenizer);
}

/// What we learn, written as `.tiktoken` and run by tiktoken with the same pattern.
#[test]
fn learned_tokenizers() {
    use base64::Engine;
    let texts = corpus();
    let mut patterns =
        vec![("ciyuan", Han::LearnWords), ("cl100k", Han::Runs), ("gpt2", Han::LearnWords), ("o200k", Han::Runs)];
    if std::env::var_os("CIYUAN_LONG").is_some() {
        let known = patterns.clone();
        // Characters that DeepSeek's pattern does not match, as unassigned ones, tiktoken leaves out. Hugging Face's library
        // keeps them, as we do: that pattern is compared there.
        let is_other = |name: &&str| *name != "deepseek-v3" && known.iter().all(|(known, _)| known != name);
        let others = NAMED_PATTERNS.iter().map(|(name, _)| *name).filter(is_other).map(|name| (name, Han::Runs));
        patterns.extend(others);
    }
    for (pattern, han) in patterns {
        let tokenizer = learned(&texts, pattern, han, 3000);
        let file = tokenizer.spec().to_tiktoken().unwrap();
        let ranks = file.lines().map(|line| {
            let (token, rank) = line.split_once(' ').unwrap();
            (base64::engine::general_purpose::STANDARD.decode(token).unwrap(), rank.parse().unwrap())
        });
        let regex = Pattern::parse(pattern).unwrap().source().to_owned();
        let reference = CoreBPE::new(ranks.collect(), Default::default(), &regex).unwrap();
        same_ids(&reference, &tokenizer);
        // And read back: the same ids again, by merges that were recovered from the ranks.
        let back = TokenizerSpec::from_tiktoken(file.as_bytes(), &regex, vec![]).unwrap();
        assert_eq!(back.merges(), tokenizer.spec().merges());
        assert_eq!(back.vocab(), tokenizer.spec().vocab());
    }
}
