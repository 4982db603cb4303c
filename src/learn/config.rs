//! Settings of learning, and the rule that chooses a vocabulary's size.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, TokenizerFault};
use crate::vocab::MAX_ID;

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

/// Which of two pairs that occur equally often is merged first: that with the lower left token, then the lower right
/// one, where the bytes stand before all other tokens, in one of two orders, and those by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TieRule {
    /// The bytes in GPT-2's order, as Hugging Face's `BpeTrainer` numbers them.
    #[default]
    HuggingFace,
    /// The bytes by value, as rustbpe and tiktoken's own trainer number them. The ids of the tokenizer are the same.
    RawBytes,
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
    /// Which of equally frequent pairs is merged first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ties: TieRule,
    /// Whether a part of a character is merged only with the rest of the same one, so that a token holds whole
    /// characters or a part of a single one. Without it, frequent text makes tokens of a character and the first bytes
    /// of the next, which are no text by themselves and of use beside few others. What is no UTF-8 is left in bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub character_boundaries: bool,
    /// Whether no token holds characters of two scripts: Han, Latin letters, letters of any other script, digits. White
    /// space, punctuation, symbols and combining marks are of none and stand beside each: ` the`, `，词`, `e\u{301}` are
    /// tokens as without it; `第3`, `v2`, `漢カ` and `词，a` are none. A part of a character is of no script by itself and
    /// is merged as with [`LearnConfig::character_boundaries`], which this includes. A tokenizer that is extended may
    /// hold tokens of two scripts; they are merged with nothing more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_script_merges: bool,
    /// The most bytes of a token: a pair that would make a longer one is not merged. It keeps lines of a form and
    /// other repeated text from becoming tokens. The precedent is `max_token_length` of Hugging Face's `BpeTrainer`,
    /// which also counts bytes here (characters of the byte-level form), but admits beyond pairs of bytes only what is
    /// shorter. Without it, [`MAX_TOKEN_BYTES`](crate::vocab::MAX_TOKEN_BYTES): no file of a tokenizer holds a longer one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_token_bytes: Option<u32>,
    /// The most characters of a token, by the bytes that begin one: a bound that is the same for all scripts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_token_characters: Option<u32>,
    /// Learning stops before a merge that would save fewer tokens than so many of a million: when the count of the most
    /// frequent pair, times a million, is below this number times all tokens of the text, as the merges before leave
    /// it. A vocabulary then ends where a further token shortens the text by less than its row of a model's embedding
    /// is worth to whoever sets it, whatever the size of the text. (A run of one token, `aaa`, holds its pair twice and
    /// merges it once: there the count is above what is saved.)
    #[serde(default, skip_serializing_if = "is_default")]
    pub min_saved_per_million: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for LearnConfig {
    fn default() -> Self {
        Self {
            vocab_size: VocabSize::Auto,
            special: vec!["<|endoftext|>".to_owned()],
            min_count: 2,
            ties: TieRule::default(),
            character_boundaries: false,
            no_script_merges: false,
            max_token_bytes: None,
            max_token_characters: None,
            min_saved_per_million: None,
        }
    }
}

impl LearnConfig {
    /// The most tokens to learn, beside the bytes.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::VocabTooSmall`] when the size leaves no room for the bytes and the special tokens,
    /// [`Error::Setting`] when it is more than there are ids.
    pub(super) fn room(&self) -> Result<usize> {
        let (taken, asked) = (256 + self.special.len(), self.asked()?);
        (asked as usize).checked_sub(taken).ok_or(Error::Tokenizer(TokenizerFault::VocabTooSmall {
            asked,
            special: self.special.len(),
            min: taken as u32,
        }))
    }

    /// The most tokens to learn, beside those of a tokenizer that has so many ids.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::NotLarger`] when it has more than what is asked for, and as [`LearnConfig::room`].
    pub(super) fn room_beside(&self, taken: u32) -> Result<usize> {
        let asked = self.asked()?;
        let room = asked.checked_sub(taken).ok_or(TokenizerFault::NotLarger { asked, taken })?;
        Ok(room as usize)
    }

    fn asked(&self) -> Result<u32> {
        match self.vocab_size {
            VocabSize::Tokens(asked) if asked > MAX_ID + 1 => {
                let expected = format!("at most {}: ids have 24 bits", MAX_ID + 1);
                Err(Error::Setting { name: "vocab-size", value: asked.to_string(), expected })
            }
            VocabSize::Tokens(asked) => Ok(asked),
            VocabSize::Auto => Ok(VocabSize::AUTO_MAX),
        }
    }
}
