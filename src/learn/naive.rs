//! The oracle for learning: every pair is counted anew before every merge.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::config::LearnConfig;
use super::counts::Counts;
use super::learner::{Learned, merged};
use crate::error::{Error, Result};
use crate::vocab::{TokenId, gpt2_byte_order};

/// Learns merges by recounting; the size must be given. Time grows with merges times text; for tests.
///
/// # Errors
///
/// As [`learn`](super::learn).
pub fn naive_learn(counts: &Counts, config: &LearnConfig) -> Result<Learned> {
    let order = gpt2_byte_order();
    let id = |byte: &u8| order.iter().position(|other| other == byte).map_or(0, |id| id as TokenId);
    let mut words: Vec<(Vec<TokenId>, u64)> =
        counts.sorted().into_iter().map(|(span, count)| (span.iter().map(id).collect(), count)).collect();
    let mut learned = Learned { pairs: Vec::new(), counts: Vec::new(), exhausted: false };
    let max_merges = config.max_merges()?;
    while learned.pairs.len() < max_merges {
        let mut pairs: BTreeMap<(TokenId, TokenId), u64> = BTreeMap::new();
        for (word, count) in &words {
            for pair in word.windows(2).map(|pair| (pair[0], pair[1])) {
                let known = pairs.entry(pair).or_default();
                *known = known.checked_add(*count).ok_or(Error::CountOverflow { left: pair.0, right: pair.1 })?;
            }
        }
        let best = pairs.into_iter().max_by_key(|&(pair, count)| (count, Reverse(pair)));
        let Some((pair, count)) = best.filter(|&(_, count)| count >= config.min_count) else {
            break;
        };
        let result = 256 + learned.pairs.len() as TokenId;
        words.iter_mut().for_each(|(word, _)| *word = merged(word, pair, result));
        learned.pairs.push(pair);
        learned.counts.push(count);
    }
    learned.exhausted = learned.pairs.len() < max_merges;
    Ok(learned)
}
