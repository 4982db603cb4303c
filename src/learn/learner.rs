//! Learning merges: pair counts and the words of each pair are kept up to date from merge to merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use rustc_hash::FxHashMap;

use super::config::{LearnConfig, VocabSize};
use super::counts::Counts;
use crate::error::{Error, Result};
use crate::vocab::{TokenId, gpt2_byte_order};

type Pair = (TokenId, TokenId);

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The pairs to merge, by rank; pair k makes token 256 + k.
    pub pairs: Vec<Pair>,
    /// How often each pair occurred when it was merged.
    pub counts: Vec<u64>,
    /// Whether the text held no further pair to merge before the size asked for was reached.
    pub exhausted: bool,
}

/// A distinct span as tokens, and how often it occurs.
struct Word {
    tokens: Vec<TokenId>,
    count: u64,
}

/// Learns merges from counts. `progress` is told the merges done and the most there will be, every 64 merges, and may
/// stop the work.
///
/// ```
/// use std::ops::ControlFlow;
/// use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
/// let mut counts = Counts::default();
/// counts.add(b"abab", 5)?;
/// counts.add(b"abc", 2)?;
/// let config = LearnConfig { vocab_size: VocabSize::Tokens(258), special: vec![], min_count: 1 };
/// let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(()))?;
/// let (a, b) = (u32::from(b'a' - b'!'), u32::from(b'b' - b'!')); // GPT-2's ids begin at "!"
/// assert_eq!(learned.pairs, [(a, b), (256, 256)]);
/// assert_eq!(learned.counts, [12, 5]);
/// # Ok::<(), ciyuan::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Tokenizer`] when the vocabulary asked for is too small, [`Error::CountOverflow`], and
/// [`Error::Interrupted`] when `progress` says so.
pub fn learn(
    counts: &Counts,
    config: &LearnConfig,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Learned> {
    let max_merges = config.max_merges()?;
    let mut state = State::new(counts)?;
    let mut learned = Learned { pairs: Vec::new(), counts: Vec::new(), exhausted: false };
    let mut support = Support::new(config);
    while learned.pairs.len() < max_merges {
        let Some((pair, count)) = state.best() else {
            break;
        };
        if count < config.min_count.max(1) || support.is_settled(count) {
            break;
        }
        let made = state.merge(pair, 256 + learned.pairs.len() as TokenId)?;
        learned.pairs.push(pair);
        learned.counts.push(count);
        support.merged(pair, made);
        if learned.pairs.len().is_multiple_of(64) && progress(learned.pairs.len() as u64, max_merges as u64).is_break()
        {
            return Err(Error::Interrupted { stage: "learning merges" });
        }
    }
    learned.exhausted = learned.pairs.len() < max_merges;
    if let Some(merges) = support.merges(config) {
        learned.pairs.truncate(merges);
        learned.counts.truncate(merges);
        learned.exhausted = false;
    }
    Ok(learned)
}

/// The words, and for each pair how often it occurs and in which words.
struct State {
    words: Vec<Word>,
    pairs: FxHashMap<Pair, u64>,
    /// Words in which a pair occurs, or once did; some more than once.
    places: FxHashMap<Pair, Vec<u32>>,
    /// Pairs by count, then lowest first. An entry may be out of date: its count is compared when it comes up.
    queue: BinaryHeap<(u64, Reverse<Pair>)>,
}

impl State {
    fn new(counts: &Counts) -> Result<Self> {
        let mut ids = [0; 256];
        gpt2_byte_order().iter().enumerate().for_each(|(id, &byte)| ids[usize::from(byte)] = id as TokenId);
        let word = |(span, count): (&[u8], u64)| Word {
            tokens: span.iter().map(|&byte| ids[usize::from(byte)]).collect(),
            count,
        };
        let words: Vec<Word> = counts.sorted().into_iter().filter(|(span, _)| span.len() > 1).map(word).collect();
        let mut state =
            Self { words, pairs: FxHashMap::default(), places: FxHashMap::default(), queue: BinaryHeap::new() };
        for (at, word) in state.words.iter().enumerate() {
            for pair in word.tokens.windows(2).map(|pair| (pair[0], pair[1])) {
                add(&mut state.pairs, pair, word.count)?;
                let places = state.places.entry(pair).or_default();
                if places.last() != Some(&(at as u32)) {
                    places.push(at as u32);
                }
            }
        }
        state.queue = state.pairs.iter().map(|(&pair, &count)| (count, Reverse(pair))).collect();
        Ok(state)
    }

    /// The most frequent pair; of equal ones the lowest.
    fn best(&mut self) -> Option<(Pair, u64)> {
        while let Some((queued, Reverse(pair))) = self.queue.pop() {
            let count = self.pairs.get(&pair).copied().unwrap_or(0);
            if count == queued {
                return (count > 0).then_some((pair, count));
            }
            // It has become rarer since; a pair that becomes more frequent is queued anew.
            if count > 0 && count < queued {
                self.queue.push((count, Reverse(pair)));
            }
        }
        None
    }

    /// Merges a pair everywhere; gives how many tokens that made.
    fn merge(&mut self, pair: Pair, result: TokenId) -> Result<u64> {
        let mut places = self.places.remove(&pair).unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        let mut changes: FxHashMap<Pair, (u64, u64)> = FxHashMap::default();
        let mut made = 0u64;
        for place in places {
            let word = &mut self.words[place as usize];
            let before = std::mem::take(&mut word.tokens);
            word.tokens = merged(&before, pair, result);
            let merges = (before.len() - word.tokens.len()) as u64;
            if merges == 0 {
                continue;
            }
            made += merges * word.count;
            for gone in before.windows(2) {
                changes.entry((gone[0], gone[1])).or_default().1 += word.count;
            }
            for come in word.tokens.windows(2) {
                let come = (come[0], come[1]);
                changes.entry(come).or_default().0 += word.count;
                if come.0 == result || come.1 == result {
                    self.places.entry(come).or_default().push(place);
                }
            }
        }
        for (pair, (come, gone)) in changes {
            let count = self.pairs.entry(pair).or_default();
            // Additions first: what is gone was counted before, or has just come.
            *count = count.checked_add(come).ok_or(Error::CountOverflow { left: pair.0, right: pair.1 })? - gone;
            match *count {
                0 => {
                    self.pairs.remove(&pair);
                    self.places.remove(&pair);
                }
                count if come > gone => self.queue.push((count, Reverse(pair))),
                _ => {}
            }
        }
        Ok(made)
    }
}

fn add(pairs: &mut FxHashMap<Pair, u64>, pair: Pair, count: u64) -> Result<()> {
    let known = pairs.entry(pair).or_default();
    *known = known.checked_add(count).ok_or(Error::CountOverflow { left: pair.0, right: pair.1 })?;
    Ok(())
}

/// `tokens` with each occurrence of `pair` replaced, from the left.
pub(super) fn merged(tokens: &[TokenId], pair: Pair, result: TokenId) -> Vec<TokenId> {
    let mut after = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == pair.0 && tokens.get(at + 1) == Some(&pair.1) {
            after.push(result);
            at += 2;
        } else {
            after.push(tokens[at]);
            at += 1;
        }
    }
    after
}

/// Keeps the books for [`VocabSize::Auto`]: how often each learned token occurs, as later merges use it up.
struct Support {
    active: bool,
    occurrences: Vec<u64>,
    rare: usize,
    /// The most merges at which the rule held.
    supported: usize,
}

impl Support {
    fn new(config: &LearnConfig) -> Self {
        Self { active: config.vocab_size == VocabSize::Auto, occurrences: Vec::new(), rare: 0, supported: 0 }
    }

    fn holds(&self) -> bool {
        20 * self.rare <= self.occurrences.len()
    }

    fn merged(&mut self, pair: Pair, made: u64) {
        if !self.active {
            return;
        }
        for part in [pair.0, pair.1] {
            let Some(token) = (part as usize).checked_sub(256) else {
                continue;
            };
            let before = self.occurrences[token];
            let after = before.saturating_sub(made);
            self.occurrences[token] = after;
            self.rare += usize::from(before >= VocabSize::EXAMPLES && after < VocabSize::EXAMPLES);
        }
        self.occurrences.push(made);
        self.rare += usize::from(made < VocabSize::EXAMPLES);
        if self.holds() {
            self.supported = self.occurrences.len();
        }
    }

    /// Whether the rule fails from here on: with each pair rarer than the examples asked for, every further token is a
    /// rare one, so a share that is too large only grows.
    fn is_settled(&self, count: u64) -> bool {
        self.active && count < VocabSize::EXAMPLES && !self.holds()
    }

    /// The merges that the rule chooses: all that are supported, less what rounds the vocabulary down.
    fn merges(&self, config: &LearnConfig) -> Option<usize> {
        if !self.active {
            return None;
        }
        let taken = 256 + config.special.len();
        let rounded = (taken + self.supported) / 64 * 64;
        Some(rounded.saturating_sub(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive_learn;
    use super::*;
    use proptest::prelude::*;

    const GO_ON: fn(u64, u64) -> ControlFlow<()> = |_, _| ControlFlow::Continue(());

    fn counts(words: &[(&str, u64)]) -> Counts {
        let mut counts = Counts::default();
        words.iter().for_each(|(word, count)| counts.add(word.as_bytes(), *count).unwrap());
        counts
    }

    fn config(merges: u32) -> LearnConfig {
        LearnConfig { vocab_size: VocabSize::Tokens(256 + merges), special: vec![], min_count: 1 }
    }

    #[test]
    fn large_counts_do_not_wrap() {
        for large in [1u64 << 31, 1 << 32, (1 << 53) + 1] {
            let learned = learn(&counts(&[("ab", large), ("cd", 10)]), &config(2), &mut { GO_ON }).unwrap();
            assert_eq!(learned.counts, [large, 10]);
        }
        let overflow = learn(&counts(&[("xab", u64::MAX), ("yab", 1)]), &config(2), &mut { GO_ON });
        assert!(matches!(overflow, Err(Error::CountOverflow { .. })));
    }

    #[test]
    fn text_that_runs_out() {
        let learned = learn(&counts(&[("aaaa", 3), ("b", 9)]), &config(100), &mut { GO_ON }).unwrap();
        assert_eq!((learned.pairs.len(), learned.exhausted), (2, true));
        let rarer = LearnConfig { min_count: 4, ..config(100) };
        assert_eq!(learn(&counts(&[("ab", 3), ("cd", 4)]), &rarer, &mut { GO_ON }).unwrap().counts, [4]);
    }

    #[test]
    fn too_small_a_vocabulary() {
        let small = LearnConfig { vocab_size: VocabSize::Tokens(256), ..LearnConfig::default() };
        let error = learn(&Counts::default(), &small, &mut { GO_ON }).unwrap_err();
        assert!(error.to_string().contains("256 bytes and 1 special tokens need 257"), "{error}");
    }

    #[test]
    fn interruption() {
        let words: Vec<String> = (0..2000).map(|n: u32| format!("{n}{}", n * 7)).collect();
        let all = counts(&words.iter().map(|word| (word.as_str(), 2)).collect::<Vec<_>>());
        let stopped = learn(&all, &config(1000), &mut |_, _| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    }

    #[test]
    fn automatic_size_keeps_tokens_that_have_examples() {
        // 400 words of three letters: the common ones have examples, the tail has none.
        let words: Vec<(String, u64)> = (0..400u64).map(|n| (format!("{n:03}x"), 4_000 / (n + 1))).collect();
        let all = counts(&words.iter().map(|(word, count)| (word.as_str(), *count)).collect::<Vec<_>>());
        let auto = LearnConfig { vocab_size: VocabSize::Auto, special: vec![], min_count: 1 };
        let learned = learn(&all, &auto, &mut { GO_ON }).unwrap();
        assert_eq!((256 + learned.pairs.len()) % 64, 0);
        assert!(!learned.exhausted && learned.pairs.len() >= 64, "{}", learned.pairs.len());
        // The rule, recounted: learn the same merges, and look how often each token is left.
        let mut tokens: Vec<(Vec<TokenId>, u64)> =
            State::new(&all).unwrap().words.into_iter().map(|word| (word.tokens, word.count)).collect();
        for (rank, &pair) in learned.pairs.iter().enumerate() {
            tokens.iter_mut().for_each(|(word, _)| *word = merged(word, pair, 256 + rank as TokenId));
        }
        let left = |id: TokenId| -> u64 {
            tokens.iter().map(|(word, count)| word.iter().filter(|&&token| token == id).count() as u64 * count).sum()
        };
        let rare = (0..learned.pairs.len()).filter(|&rank| left(256 + rank as TokenId) < VocabSize::EXAMPLES).count();
        // Rounding down may have taken a supported token away, so allow what 64 tokens can hide.
        assert!(20 * rare <= learned.pairs.len() + 64, "{rare} of {}", learned.pairs.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn equals_recounting(words in prop::collection::vec(("[abc]{1,8}|a{1,9}", 1u64..6), 0..20), merges in 0u32..30) {
            let words: Vec<(&str, u64)> = words.iter().map(|(word, count)| (word.as_str(), *count)).collect();
            let fast = learn(&counts(&words), &config(merges), &mut { GO_ON }).unwrap();
            let slow = naive_learn(&counts(&words), &config(merges)).unwrap();
            prop_assert_eq!(fast, slow);
        }
    }
}
