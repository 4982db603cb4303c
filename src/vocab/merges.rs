//! The merges of a tokenizer, in the order of their ranks.

use std::collections::HashSet;

use super::recovery::recover_merges;
use super::slots::{Slots, of_pair};
use super::{MAX_ID, TokenId, Vocab};
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
#[derive(Debug, Clone, Default)]
pub struct Merges {
    list: Vec<Merge>,
    /// Whether it is known already that each result is what its own bytes merge to.
    reached: bool,
}

/// Merges are what they do, however much is known of them.
impl PartialEq for Merges {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Merges {}

impl Merges {
    /// Merges that were found by encoding the tokens of `vocab`: they fit, and reach what they make.
    pub(super) fn recovered(vocab: &Vocab) -> Result<Self, TokenizerFault> {
        Ok(Self { list: recover_merges(vocab)?, reached: true })
    }

    /// Merges that were checked before.
    pub(super) fn trusted(list: Vec<Merge>) -> Self {
        Self { list, reached: false }
    }

    /// Whether it is known that each result is what its own bytes merge to, and that no two merges have the same one.
    pub(crate) fn known_reached(&self) -> bool {
        self.reached
    }

    /// Checks that each merge joins two tokens of `vocab` into a third, and that no pair stands there twice.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Merge`] for the first that does not.
    pub fn new(merges: Vec<Merge>, vocab: &Vocab) -> Result<Self, TokenizerFault> {
        let fault = |rank: usize, why| {
            let Merge { left, right, .. } = merges[rank];
            TokenizerFault::Merge { rank, left: left.to_string(), right: right.to_string(), why }
        };
        for (rank, merge) in merges.iter().enumerate() {
            let parts = [merge.left, merge.right, merge.result].map(|id| vocab.token(id));
            let [Some(left), Some(right), Some(result)] = parts else {
                return Err(fault(rank, "names an id without a token"));
            };
            if result.len() != left.len() + right.len() || !result.starts_with(left) || !result.ends_with(right) {
                return Err(fault(rank, "does not give the token it names"));
            }
        }
        if let Some(rank) = repeated(&merges) {
            return Err(fault(rank, "stands in the list twice"));
        }
        Ok(Self { list: merges, reached: false })
    }

    /// The merges by rank.
    #[must_use]
    pub fn as_slice(&self) -> &[Merge] {
        &self.list
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The first merge whose pair stands in the list before.
fn repeated(merges: &[Merge]) -> Option<usize> {
    let pair = |merge: &Merge| (merge.left, merge.right);
    let plainly = || {
        let mut seen = HashSet::new();
        merges.iter().position(|merge| !seen.insert(pair(merge)))
    };
    let count = merges.len() as u32;
    if merges.len() > MAX_ID as usize {
        return plainly();
    }
    let mut slots = Slots::new(merges.len(), count);
    for (rank, merge) in merges.iter().enumerate() {
        let same = |other: u32| pair(&merges[other as usize]) == pair(merge);
        match slots.insert(of_pair(merge.left, merge.right), rank as u32, same) {
            Ok(None) => {}
            Ok(Some(_)) => return Some(rank),
            Err(_) => return plainly(),
        }
    }
    None
}
