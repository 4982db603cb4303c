//! Settings of learning, and the rule that chooses a vocabulary's size.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, TokenizerFault};

/// How many tokens to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VocabSize {
    /// So many, bytes and special tokens among them.
    Tokens(u32),
    /// As many as the text has examples for: the largest vocabulary in which 95 % of the learned tokens occur at least
    /// [`VocabSize::EXAMPLES`] times, at most [`VocabSize::AUTO_MAX`], rounded down to a multiple of 64.
    ///
    /// Source: Gowda and May 2020, *Finding the Optimal Vocabulary Size for Neural Machine Translation*, section 5.
    /// They ask for 100 examples, which on corpora/ choose 512 tokens; 10 choose 2,112. Held-out bits per byte of the
    /// small GPT there: 3.37 with 512 tokens, 3.15 with 1,024, 3.05 with 2,048, 3.05 with 4,096.
    Auto,
}

impl VocabSize {
    /// Occurrences in the text that make a token well supported.
    pub const EXAMPLES: u64 = 10;
    /// The largest size that [`VocabSize::Auto`] chooses: ids of two bytes.
    pub const AUTO_MAX: u32 = 65_536;
}

/// What the tokens are (`--granularity`). Each kind falls back to bytes, so that no text is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Byte-pair merges inside the spans of the pattern.
    #[default]
    Bpe,
    /// The most frequent spans, Chinese words among them; rarer ones fall into characters.
    Word,
    /// Single characters; rarer ones fall into bytes.
    Char,
    /// The 256 bytes.
    Byte,
}

/// Settings of learning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnConfig {
    /// How many tokens to learn.
    pub vocab_size: VocabSize,
    /// Names of the special tokens; they get the ids behind the learned ones.
    pub special: Vec<String>,
    /// A pair that occurs less often is not merged.
    pub min_count: u64,
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self { vocab_size: VocabSize::Auto, special: vec!["<|endoftext|>".to_owned()], min_count: 2 }
    }
}

impl LearnConfig {
    /// The most merges to learn.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::VocabTooSmall`] when the size leaves no room for the bytes and the special tokens.
    pub(super) fn max_merges(&self) -> Result<usize> {
        let taken = 256 + self.special.len();
        let asked = match self.vocab_size {
            VocabSize::Tokens(asked) => asked,
            VocabSize::Auto => VocabSize::AUTO_MAX,
        };
        (asked as usize).checked_sub(taken).ok_or(Error::Tokenizer(TokenizerFault::VocabTooSmall {
            asked,
            special: self.special.len(),
            min: taken as u32,
        }))
    }
}
