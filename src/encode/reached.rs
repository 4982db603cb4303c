//! Which tokens are what their own bytes merge to.
//!
//! Of such a token the ids of its bytes are known without merging them. [`plain`] merges them to know. [`walk`] asks of
//! each merge, by rank, whether its two parts stand side by side when their bytes are merged by the ranks below; as in
//! `vocab/recovery.rs`, which holds the proof, it goes through the neighbours at the edge of the two backwards in time.
//! That needs merges whose parts are made before them, and no token that two merges make.

use rayon::prelude::*;

use super::merge::Merger;
use super::pairs::{NONE, Pairs};
use crate::vocab::{Merge, TokenId, TokenizerSpec};

/// A set of ids.
#[derive(Debug)]
pub(super) struct Reached {
    bits: Vec<u64>,
    /// How it was found.
    pub(super) way: Way,
}

/// How it was found which tokens are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Merges that were recovered from tokens reach them.
    Known,
    /// By [`walk`].
    Walked,
    /// It was written with the tokenizer.
    Read,
    /// By [`plain`], as merges come before those of their parts, or two make the same token.
    Merged,
}

impl Reached {
    /// None at all.
    pub(super) fn none() -> Self {
        Self { bits: Vec::new(), way: Way::Known }
    }

    pub(super) fn new(spec: &TokenizerSpec, pairs: &Pairs, byte_ids: &[TokenId; 256]) -> Self {
        let merges = spec.merges().as_slice();
        if spec.merges().known_reached() {
            let results = merges.iter().map(|merge| merge.result);
            return Self::of(spec, Way::Known, byte_ids.iter().copied().chain(results));
        }
        match walk(spec, pairs) {
            Some(results) => Self::of(spec, Way::Walked, byte_ids.iter().copied().chain(results)),
            None => Self::of(spec, Way::Merged, plain(spec, pairs, byte_ids).into_iter()),
        }
    }

    fn of(spec: &TokenizerSpec, way: Way, ids: impl Iterator<Item = TokenId>) -> Self {
        let mut bits = vec![0; spec.vocab().id_end().div_ceil(64) as usize];
        ids.for_each(|id| bits[id as usize / 64] |= 1 << (id % 64));
        Self { bits, way }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn to_table(&self) -> Vec<u8> {
        self.bits.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// The set of [`Reached::to_table`], if it is one of ids below `id_end`.
    pub(super) fn of_table(table: &[u8], id_end: TokenId) -> Option<Self> {
        let (words, rest) = table.as_chunks();
        let bits: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        (rest.is_empty() && bits.len() == id_end.div_ceil(64) as usize).then_some(Self { bits, way: Way::Read })
    }

    /// Whether the bytes of a token merge to it.
    #[inline]
    pub(super) fn has(&self, id: TokenId) -> bool {
        self.bits[id as usize / 64] >> (id % 64) & 1 == 1
    }
}

/// The tokens that their bytes merge to.
fn plain(spec: &TokenizerSpec, pairs: &Pairs, byte_ids: &[TokenId; 256]) -> Vec<TokenId> {
    let tokens: Vec<(TokenId, &[u8])> = spec.vocab().iter().collect();
    let merges_to_it = |(merger, ids): &mut (Merger, Vec<TokenId>), (id, bytes): (TokenId, &[u8])| {
        ids.clear();
        merger.merge(pairs, byte_ids, bytes, ids);
        (ids[..] == [id]).then_some(id)
    };
    tokens.into_par_iter().map_init(Default::default, merges_to_it).flatten().collect()
}

/// Merges that a thread looks at, at the least.
const MERGES: usize = 1024;

/// The tokens of more than one byte that their bytes merge to; `None` where the walk says nothing.
fn walk(spec: &TokenizerSpec, pairs: &Pairs) -> Option<Vec<TokenId>> {
    let merges = spec.merges().as_slice();
    // The rank of the merge that makes each id.
    let mut made = vec![NONE; spec.vocab().id_end() as usize];
    for (rank, merge) in merges.iter().enumerate() {
        let place = &mut made[merge.result as usize];
        if *place != NONE {
            return None;
        }
        *place = rank as u32;
    }
    let is_before_a_part = |(rank, merge): (usize, &Merge)| {
        [merge.left, merge.right].iter().any(|part| made[*part as usize] != NONE && made[*part as usize] >= rank as u32)
    };
    if merges.iter().enumerate().any(is_before_a_part) {
        return None;
    }
    let is_byte = |id: TokenId| spec.vocab().token(id).is_some_and(|bytes| bytes.len() == 1);
    let do_stand = |(rank, merge): (usize, &Merge)| stand(merges, pairs, &made, merge, rank as u32);
    let standing: Vec<bool> = merges.par_iter().enumerate().with_min_len(MERGES).map(do_stand).collect();
    let mut reached = Vec::with_capacity(merges.len());
    let mut is_reached = vec![false; made.len()];
    for (merge, stands) in merges.iter().zip(standing) {
        let there = [merge.left, merge.right].iter().all(|part| is_reached[*part as usize] || is_byte(*part));
        if there && stands {
            is_reached[merge.result as usize] = true;
            reached.push(merge.result);
        }
    }
    Some(reached)
}

/// Whether the bytes of the two parts of a merge come to these two by the merges of lower ranks.
fn stand(merges: &[Merge], pairs: &Pairs, made: &[u32], merge: &Merge, rank: u32) -> bool {
    let (mut left, mut right) = (merge.left, merge.right);
    // When the pair was gone: merges of its parts up to this one come first.
    let mut until = rank;
    loop {
        if pairs.rank(left, right) < until {
            return false;
        }
        // Back to the time before the later of the two was made.
        match (made[left as usize], made[right as usize]) {
            (NONE, NONE) => return true,
            (by, other) if by != NONE && (other == NONE || by > other) => {
                until = by;
                left = merges[by as usize].right;
            }
            (_, by) => {
                // A merge of the pair of the same rank would have come before, being further to the left.
                until = by + 1;
                right = merges[by as usize].left;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use proptest::prelude::*;

    /// The pairs of a list, in this order, and its reached tokens by both ways.
    fn both(pairs: &[(TokenId, TokenId)], order: &[usize]) -> (Option<Vec<TokenId>>, Vec<TokenId>) {
        let spec = TokenizerSpec::from_learned(".".to_owned(), HanEdges::None, pairs, &[]).unwrap();
        let merges: Vec<Merge> = order.iter().map(|at| spec.merges().as_slice()[*at]).collect();
        let spec = TokenizerSpec::new(".".to_owned(), HanEdges::None, spec.vocab().clone(), merges, vec![], false);
        let spec = spec.unwrap();
        let byte_ids = spec.vocab().byte_ids().unwrap();
        let pairs = Pairs::new(spec.merges(), &byte_ids);
        let mut long = plain(&spec, &pairs, &byte_ids);
        long.retain(|id| *id > 255);
        let walked = walk(&spec, &pairs).map(|mut ids| {
            ids.sort_unstable();
            ids
        });
        (walked, long)
    }

    #[test]
    fn a_merge_before_that_of_its_part_is_merged_plainly() {
        assert_eq!(both(&[(0, 1), (256, 2)], &[0, 1]), (Some(vec![256, 257]), vec![256, 257]));
        assert_eq!(both(&[(0, 1), (256, 2)], &[1, 0]), (None, vec![256, 257]));
    }

    #[test]
    fn a_merge_that_another_comes_before_is_not_reached() {
        assert_eq!(both(&[(0, 1), (1, 2), (0, 257)], &[0, 1, 2]), (Some(vec![256, 257]), vec![256, 257]));
        // And what is made of it neither.
        let pairs = [(0, 1), (1, 2), (0, 257), (258, 258)];
        assert_eq!(both(&pairs, &[0, 1, 2, 3]), (Some(vec![256, 257]), vec![256, 257]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_walk_finds_what_merging_finds(
            choices in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..30),
        ) {
            let mut tokens: Vec<(TokenId, String)> = vec![(64, "a".to_owned()), (65, "b".to_owned())];
            let mut pairs = Vec::new();
            for (left, right) in choices {
                let (left, right) = (left.get(&tokens), right.get(&tokens));
                let (pair, token) = ((left.0, right.0), format!("{}{}", left.1, right.1));
                if token.len() < 60 && tokens.iter().all(|(_, other)| *other != token) {
                    tokens.push((256 + pairs.len() as TokenId, token));
                    pairs.push(pair);
                }
            }
            let order: Vec<usize> = (0..pairs.len()).collect();
            let (walked, merged) = both(&pairs, &order);
            prop_assert_eq!(walked, Some(merged));
        }
    }
}
