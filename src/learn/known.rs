//! Merges that are known before learning begins: those of a tokenizer that is extended, or of a run that was stopped.
//!
//! They are done word by word, as encoding does them: the pair of the lowest rank first, of equal ones the leftmost. So
//! learning goes on from what they make of a word, whatever their order is.
//!
//! Of a word that is not very long the ranks of all pairs stand in a list, in which the lowest is looked for each time; a
//! longer one has a linked list of tokens and a heap of pairs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::pair_table::{Key, key};

/// Merges by pair: rank and result.
#[derive(Debug, Default)]
pub(super) struct Known {
    merges: FxHashMap<Key, (u32, u32)>,
    /// By rank.
    results: Vec<u32>,
}

const NONE: u32 = u32::MAX;
/// The most tokens of a word whose ranks stand in a list.
const LISTED: usize = 1024;

impl Known {
    /// Adds the merge of the next rank. Of a pair that is there already, the lower rank holds.
    pub(super) fn push(&mut self, pair: Key, result: u32) {
        let rank = self.merges.len() as u32;
        if let Entry::Vacant(entry) = self.merges.entry(pair) {
            entry.insert((rank, result));
            self.results.push(result);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.merges.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.merges.len()
    }

    /// Merges a word; `merged` is told the rank of each merge. What is in `ranks` does not matter.
    pub(super) fn apply(&self, word: &mut Vec<u32>, ranks: &mut Vec<u32>, merged: &mut impl FnMut(u32)) {
        if word.len() > LISTED {
            return self.apply_by_heap(word, merged);
        }
        let rank = |left: u32, right: u32| self.merges.get(&key(left, right)).map_or(NONE, |found| found.0);
        ranks.clear();
        ranks.extend(word.windows(2).map(|pair| rank(pair[0], pair[1])));
        loop {
            let lowest = ranks.iter().copied().fold(NONE, u32::min);
            if lowest == NONE {
                return;
            }
            let at = ranks.iter().position(|rank| *rank == lowest).expect("the lowest rank is one of them");
            merged(lowest);
            word[at] = self.results[lowest as usize];
            word.remove(at + 1);
            ranks.remove(at);
            if at > 0 {
                ranks[at - 1] = rank(word[at - 1], word[at]);
            }
            if let Some(behind) = ranks.get_mut(at) {
                *behind = rank(word[at], word[at + 1]);
            }
        }
    }

    fn apply_by_heap(&self, word: &mut Vec<u32>, merged: &mut impl FnMut(u32)) {
        let find = |left: u32, right: u32| self.merges.get(&key(left, right)).copied();
        let end = word.len() as u32;
        let mut behind: Vec<u32> = (1..=end).collect();
        let mut before: Vec<u32> = (0..end).map(|at| at.wrapping_sub(1)).collect();
        let mut queue: BinaryHeap<Reverse<(u32, u32, u32)>> = BinaryHeap::new();
        let pairs = word.windows(2).zip(0..);
        queue.extend(pairs.filter_map(|(pair, at)| Some(Reverse((find(pair[0], pair[1])?.0, at, pair[1])))));
        while let Some(Reverse((rank, at, right))) = queue.pop() {
            let next = behind[at as usize];
            // The pair may be there no more: then one of its tokens has become another.
            if word[at as usize] == NONE || next == end || word[next as usize] != right {
                continue;
            }
            let Some((_, result)) = find(word[at as usize], right).filter(|found| found.0 == rank) else {
                continue;
            };
            merged(rank);
            let after = behind[next as usize];
            (word[at as usize], word[next as usize], behind[at as usize]) = (result, NONE, after);
            if after != end {
                before[after as usize] = at;
                let right = word[after as usize];
                queue.extend(find(result, right).map(|(rank, _)| Reverse((rank, at, right))));
            }
            let left = before[at as usize];
            if left != NONE {
                queue.extend(find(word[left as usize], result).map(|(rank, _)| Reverse((rank, left, result))));
            }
        }
        word.retain(|&token| token != NONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The leftmost pair of the lowest rank, found anew each time.
    fn plainly(merges: &[(u32, u32, u32)], mut word: Vec<u32>) -> Vec<u32> {
        loop {
            let rank = |pair: &[u32]| merges.iter().position(|merge| (merge.0, merge.1) == (pair[0], pair[1]));
            let best = (1..word.len()).filter_map(|at| Some((rank(&word[at - 1..=at])?, at))).min();
            let Some((rank, at)) = best else { return word };
            word.splice(at - 1..=at, [merges[rank].2]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        /// Merges in any order, also those whose parts are made later.
        #[test]
        fn equals_the_plain_loop(
            merges in prop::collection::vec((0u32..6, 0u32..6, 0u32..9), 0..12),
            word in prop::collection::vec(0u32..6, 0..14),
        ) {
            let mut known = Known::default();
            let mut distinct: Vec<(u32, u32, u32)> = Vec::new();
            for (left, right, result) in merges {
                if distinct.iter().all(|merge| (merge.0, merge.1) != (left, right)) {
                    distinct.push((left, right, result));
                    known.push(key(left, right), result);
                }
            }
            let (mut merged, mut ranks) = (word.clone(), Vec::new());
            known.apply(&mut merged, &mut vec![7], &mut |rank| ranks.push(rank));
            prop_assert_eq!(word.len() - ranks.len(), merged.len());
            prop_assert_eq!(&merged, &plainly(&distinct, word.clone()));
            let (mut by_heap, mut ranks_by_heap) = (word, Vec::new());
            known.apply_by_heap(&mut by_heap, &mut |rank| ranks_by_heap.push(rank));
            prop_assert_eq!((by_heap, ranks_by_heap), (merged, ranks));
        }
    }
}
