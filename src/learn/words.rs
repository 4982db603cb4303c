//! A vocabulary of words: the most frequent spans as they are, and merges that make characters, for all other text.
//!
//! A span that is no word falls into characters, and a character that is none of the learned ones into its bytes, so no
//! text is unknown. The merges stay inside characters, so that a word is either a token or falls apart into them:
//! nothing in between, as with byte-pair merges.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use rustc_hash::FxHashSet;

use super::config::{LearnConfig, VocabSize};
use super::counts::Counts;
use super::learner::{Learned, learn};
use crate::error::{Error, Result};
use crate::vocab::{MAX_TOKEN_BYTES, TokenId, gpt2_byte_order};

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedWords {
    /// The pairs to merge, as in [`Learned`]; they make characters.
    pub pairs: Vec<(TokenId, TokenId)>,
    /// The words, the most frequent first; of equal ones that with the lower bytes.
    pub words: Vec<Vec<u8>>,
    /// Whether the text held no further word before the size asked for was reached.
    pub exhausted: bool,
}

/// Learns a vocabulary of words from counts of spans. Merges that make characters come first and take at most half of
/// the vocabulary's room. With [`VocabSize::Auto`] a word must occur [`VocabSize::EXAMPLES`] times.
///
/// ```
/// use std::ops::ControlFlow;
/// use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn_words};
/// let mut counts = Counts::default();
/// counts.add("词元".as_bytes(), 3)?;
/// counts.add(b" token", 2)?;
/// let vocab_size = VocabSize::Tokens(270);
/// let config = LearnConfig { vocab_size, special: vec![], min_count: 1, ..LearnConfig::default() };
/// let learned = learn_words(&counts, &config, &mut |_, _| ControlFlow::Continue(()))?;
/// assert_eq!(learned.pairs.len(), 4); // two for each of the two characters
/// assert_eq!(learned.words, ["词元".as_bytes(), b" token"]);
/// # Ok::<(), ciyuan::Error>(())
/// ```
///
/// # Errors
///
/// As [`learn`], and [`Error::Interrupted`] when `progress` says so.
pub fn learn_words(
    counts: &Counts,
    config: &LearnConfig,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<LearnedWords> {
    let entries =
        |each: &mut dyn FnMut(&[u8], u64) -> Result<()>| counts.iter().try_for_each(|(span, count)| each(span, count));
    learn_words_of(&entries, config, progress)
}

/// Gives all spans and their counts to what it is given, in any order; it is asked twice.
pub type Entries<'e> = &'e dyn Fn(&mut dyn FnMut(&[u8], u64) -> Result<()>) -> Result<()>;

/// As [`learn_words`], from spans that need not be in memory.
///
/// # Errors
///
/// As [`learn_words`], and those of `entries`.
pub fn learn_words_of(
    entries: Entries<'_>,
    config: &LearnConfig,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<LearnedWords> {
    let room = config.room()?;
    let mut learned = learn(characters(entries)?, config, progress)?;
    if learned.interrupted {
        return Err(Error::Interrupted { stage: "learning merges" });
    }
    learned.pairs.truncate(room / 2);
    let made = made_by(&learned);
    let fewest = match config.vocab_size {
        VocabSize::Auto => config.min_count.max(VocabSize::EXAMPLES),
        VocabSize::Tokens(_) => config.min_count.max(1),
    };
    let is_word = |span: &[u8], count: u64| {
        count >= fewest && (2..=MAX_TOKEN_BYTES).contains(&span.len()) && !made.contains(span)
    };
    let fit = room - learned.pairs.len();
    // The best so far, the least of them on top.
    let mut best: BinaryHeap<(Reverse<u64>, Vec<u8>)> = BinaryHeap::new();
    entries(&mut |span, count| {
        let is_better =
            best.len() < fit || best.peek().is_some_and(|(last, of)| (Reverse(count), span) < (*last, of.as_slice()));
        if is_better && is_word(span, count) {
            best.push((Reverse(count), span.to_vec()));
            if best.len() > fit {
                best.pop();
            }
        }
        Ok(())
    })?;
    let exhausted = best.len() < fit;
    let mut words = best.into_sorted_vec();
    if config.vocab_size == VocabSize::Auto {
        let size = 256 + config.special.len() + learned.pairs.len() + words.len();
        words.truncate(words.len().saturating_sub(size % 64));
    }
    let words = words.into_iter().map(|(_, span)| span).collect();
    Ok(LearnedWords { pairs: learned.pairs, words, exhausted: exhausted && config.vocab_size != VocabSize::Auto })
}

/// How often each character occurs in the spans.
fn characters(entries: Entries<'_>) -> Result<Counts> {
    let mut characters = Counts::default();
    entries(&mut |span, count| {
        let mut of_span = span.utf8_chunks().flat_map(|chunk| chunk.valid().chars()).filter(|c| !c.is_ascii());
        of_span.try_for_each(|c| characters.add(c.encode_utf8(&mut [0; 4]).as_bytes(), count))
    })?;
    Ok(characters)
}

/// The bytes of the tokens that the merges make.
fn made_by(learned: &Learned) -> FxHashSet<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = gpt2_byte_order().iter().map(|&byte| vec![byte]).collect();
    for &(left, right) in &learned.pairs {
        tokens.push([tokens[left as usize].as_slice(), tokens[right as usize].as_slice()].concat());
    }
    tokens.into_iter().skip(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(spans: &[(&str, u64)], vocab_size: VocabSize) -> LearnedWords {
        let mut counts = Counts::default();
        spans.iter().for_each(|(span, count)| counts.add(span.as_bytes(), *count).unwrap());
        let config = LearnConfig { vocab_size, special: vec![], min_count: 2, ..LearnConfig::default() };
        learn_words(&counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn frequent_words_first_and_no_character_twice() {
        let spans = [("词", 9), ("元", 9), ("词元", 7), ("ab", 7), ("zz", 8), ("rare", 1), ("a", 50)];
        let learned = learned(&spans, VocabSize::Tokens(300));
        assert_eq!(learned.words, [b"zz".as_slice(), b"ab", "词元".as_bytes()]);
        assert!(learned.exhausted);
        assert_eq!(learned.pairs.len(), 4);
    }

    #[test]
    fn characters_take_half_of_the_room_at_most() {
        let spans: Vec<(String, u64)> = ('一'..'十').map(|c| (format!("{c}{c}"), 5)).collect();
        let spans: Vec<(&str, u64)> = spans.iter().map(|(span, count)| (span.as_str(), *count)).collect();
        let learned = learned(&spans, VocabSize::Tokens(276));
        assert_eq!((learned.pairs.len(), learned.words.len(), learned.exhausted), (10, 10, false));
    }

    #[test]
    fn the_automatic_size_wants_examples() {
        let learned = learned(&[("ab", 10), ("cd", 9)], VocabSize::Auto);
        // 257 tokens, rounded down to a multiple of 64.
        assert!(learned.words.is_empty());
        let spans: Vec<(String, u64)> = (0..130).map(|n| (format!("w{n}"), 10 + n % 2)).collect();
        let spans: Vec<(&str, u64)> = spans.iter().map(|(span, count)| (span.as_str(), *count)).collect();
        assert_eq!(self::learned(&spans, VocabSize::Auto).words.len(), 128);
    }
}
