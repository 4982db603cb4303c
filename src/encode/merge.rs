//! Merging long pre-tokens: a linked list of tokens and a heap of pairs, O(n log n).
//!
//! Exact, because the heap gives the pair of lowest rank, of equal ones the leftmost, as the plain loop does; an entry
//! whose two tokens have changed since it was pushed is recognised by its result and passed over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::pairs::Pairs;
use crate::vocab::TokenId;

const NONE: u32 = u32::MAX;

/// A token, and the places of its neighbours.
#[derive(Clone, Copy)]
struct Link {
    token: TokenId,
    before: u32,
    after: u32,
}

/// A pair that may be merged: rank, place of its left token, what it makes, what it was.
type Candidate = Reverse<(u32, u32, TokenId, TokenId, TokenId)>;

/// Scratch space, reused from call to call.
#[derive(Default)]
pub(super) struct HeapMerger {
    links: Vec<Link>,
    heap: BinaryHeap<Candidate>,
}

impl HeapMerger {
    /// Merges `tokens` until no pair merges, and appends what is left to `ids`.
    pub(super) fn merge(&mut self, pairs: &Pairs, tokens: impl Iterator<Item = TokenId>, ids: &mut Vec<TokenId>) {
        self.links.clear();
        self.heap.clear();
        for token in tokens {
            let at = self.links.len() as u32;
            self.links.push(Link { token, before: at.wrapping_sub(1), after: at + 1 });
        }
        if let Some(last) = self.links.last_mut() {
            last.after = NONE;
        }
        for at in 0..self.links.len() as u32 {
            self.push(pairs, at);
        }
        while let Some(Reverse((_, at, result, left, right))) = self.heap.pop() {
            let link = self.links[at as usize];
            let gone = link.token != left || link.after == NONE || self.links[link.after as usize].token != right;
            if !gone {
                self.join(at, result);
                self.push(pairs, at);
                if self.links[at as usize].before != NONE {
                    self.push(pairs, self.links[at as usize].before);
                }
            }
        }
        let mut at = if self.links.is_empty() { NONE } else { 0 };
        while at != NONE {
            ids.push(self.links[at as usize].token);
            at = self.links[at as usize].after;
        }
    }

    /// Pushes the pair whose left token stands at `at`, if it merges.
    fn push(&mut self, pairs: &Pairs, at: u32) {
        let Link { token, after, .. } = self.links[at as usize];
        if after == NONE {
            return;
        }
        let right = self.links[after as usize].token;
        if let Some((rank, result)) = pairs.get(token, right) {
            self.heap.push(Reverse((rank, at, result, token, right)));
        }
    }

    /// Replaces the pair at `at` by its result. The right token's place is no token's any more: it gets an id that no
    /// pair holds.
    fn join(&mut self, at: u32, result: TokenId) {
        let right = self.links[at as usize].after;
        let after = self.links[right as usize].after;
        self.links[right as usize].token = NONE;
        self.links[at as usize].token = result;
        self.links[at as usize].after = after;
        if after != NONE {
            self.links[after as usize].before = at;
        }
    }
}
