//! The merges of a tokenizer, in the order of their ranks.

use rustc_hash::FxHashMap;

use super::{TokenId, Vocab};
use crate::error::TokenizerFault;

/// Two tokens that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The left token.
    pub left: TokenId,
    /// The right token.
    pub right: TokenId,
    /// The token they become.
    pub result: TokenId,
}

/// Merges by rank: the lower one is done first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merges(Vec<Merge>);

impl Merges {
    /// Checks that each merge joins two tokens of `vocab` into a third, and that no pair stands there twice.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Merge`] for the first that does not.
    pub fn new(merges: Vec<Merge>, vocab: &Vocab) -> Result<Self, TokenizerFault> {
        let mut seen = FxHashMap::default();
        for (rank, merge) in merges.iter().enumerate() {
            let fault =
                |why| TokenizerFault::Merge { rank, left: merge.left.to_string(), right: merge.right.to_string(), why };
            let parts = [merge.left, merge.right, merge.result].map(|id| vocab.token(id));
            let [Some(left), Some(right), Some(result)] = parts else {
                return Err(fault("names an id without a token"));
            };
            if result.len() != left.len() + right.len() || !result.starts_with(left) || !result.ends_with(right) {
                return Err(fault("does not give the token it names"));
            }
            if seen.insert((merge.left, merge.right), rank).is_some() {
                return Err(fault("stands in the list twice"));
            }
        }
        Ok(Self(merges))
    }

    /// The merges by rank.
    #[must_use]
    pub fn as_slice(&self) -> &[Merge] {
        &self.0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
