//! From a pair of neighbours to its merge.

use rustc_hash::FxHashMap;

use crate::vocab::{Merges, TokenId};

/// Rank and result of each pair that merges.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(FxHashMap<(TokenId, TokenId), (u32, TokenId)>);

impl Pairs {
    pub(super) fn new(merges: &Merges) -> Self {
        let entry =
            |(rank, merge): (usize, &crate::vocab::Merge)| ((merge.left, merge.right), (rank as u32, merge.result));
        Self(merges.as_slice().iter().enumerate().map(entry).collect())
    }

    /// Rank and result of the merge of two neighbours, if they merge.
    pub(super) fn get(&self, left: TokenId, right: TokenId) -> Option<(u32, TokenId)> {
        self.0.get(&(left, right)).copied()
    }
}
