//! Ids against tiktoken: the public vocabularies, and tokenizers learned here in tiktoken's form.
//!
//! The reference is tiktoken-rs 0.12, which holds OpenAI's vocabularies and patterns (its possessive forms, not ours).

use std::sync::LazyLock;

use ciyuan::encode::Tokenizer;
use ciyuan::segment::{Han, Pattern};
use ciyuan::vocab::TokenizerSpec;
use tiktoken_rs::CoreBPE;

use super::common::{corpus, hostile, learned};

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

#[track_caller]
fn same_ids(reference: &CoreBPE, tokenizer: &Tokenizer) {
    for text in corpus().iter().chain(&*HOSTILE) {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids, reference.encode_ordinary(text), "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
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
    for (pattern, han) in
        [("ciyuan", Han::LearnWords), ("cl100k", Han::Runs), ("gpt2", Han::LearnWords), ("o200k", Han::Runs)]
    {
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
