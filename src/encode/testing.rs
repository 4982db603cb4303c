//! Small tokenizers for the tests of this room.

use std::ops::ControlFlow;

use super::Tokenizer;
use crate::learn::{Counts, LearnConfig, VocabSize, learn};
use crate::segment::{HanEdges, Pattern, Segmenter};
use crate::vocab::{TokenId, TokenizerSpec, Vocab};

/// One with tokens of one character, some characters, and parts of characters.
pub(super) fn learned(pattern: &str, text: &str, merges: u32) -> Tokenizer {
    let segmenter =
        Segmenter::new(Pattern::parse(pattern).expect("it compiles"), HanEdges::None).expect("no words are asked for");
    let counts = Counts::of_texts(&segmenter, &[text]).expect("the text is short");
    let special = vec!["<|endoftext|>".to_owned(), "<|end|>".to_owned(), "<|end|>er".to_owned()];
    let config =
        LearnConfig { vocab_size: VocabSize::Tokens(259 + merges), special, min_count: 1, ..LearnConfig::default() };
    let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(())).expect("merges can be learned");
    let regex = segmenter.pattern().source().to_owned();
    let spec = TokenizerSpec::from_learned(regex, HanEdges::None, &learned.pairs, &config.special);
    spec.and_then(Tokenizer::new).expect("what was learned fits together")
}

/// One without merges: the bytes by their value, `tokens` and special tokens.
pub(super) fn of_tokens(
    tokens: impl Iterator<Item = (TokenId, Vec<u8>)>,
    special: Vec<(TokenId, String)>,
) -> Tokenizer {
    let tokens = (0..=255u8).map(|byte| (TokenId::from(byte), vec![byte])).chain(tokens).collect();
    let pattern = Pattern::default().source().to_owned();
    let vocab = Vocab::new(tokens).expect("no token stands there twice");
    let spec = TokenizerSpec::new(pattern, HanEdges::None, vocab, vec![], special, false);
    spec.and_then(Tokenizer::new).expect("the parts fit together")
}
