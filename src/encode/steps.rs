//! Merging one occurrence at a time, so that each can be told, or passed over.
//!
//! A linked list of tokens and a heap of pairs, as in `merge.rs`. A token stands at the place of its first unit, of the
//! tokens that merges start from: with bytes, a place in the list is an offset in the piece. A pair that waits in the heap is recognised as gone when the two tokens
//! that stand there now do not merge at its rank: a rank belongs to one pair of tokens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::pairs::{NONE as NO_RANK, Pairs};
use crate::vocab::TokenId;

const NONE: u32 = u32::MAX;

/// A merge that was done: its rank, and the unit at which its left token begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) rank: u32,
    pub(super) at: u32,
}

/// A token, and the places of its neighbours.
#[derive(Clone, Copy)]
struct Link {
    token: TokenId,
    before: u32,
    after: u32,
}

/// Merges the units of a piece, and gives the tokens that are left, each with its first unit.
///
/// In each step the pairs that merge are offered to `taken`, the lowest rank first, of equal ones the leftmost, until it
/// takes one. That one is merged and told to `done`. The first step in which none is taken is the last.
pub(super) fn merge_by_steps(
    pairs: &Pairs,
    units: impl Iterator<Item = TokenId>,
    mut taken: impl FnMut() -> bool,
    mut done: impl FnMut(Done),
) -> Vec<(u32, TokenId)> {
    let mut links = Links::new(units);
    let mut heap: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
    let mut passed = Vec::new();
    heap.extend((0..links.0.len() as u32).filter_map(|at| links.candidate(pairs, at)));
    while let Some(Reverse((rank, at))) = heap.pop() {
        if links.rank(pairs, at) != rank {
            continue;
        }
        if !taken() {
            passed.push(Reverse((rank, at)));
            continue;
        }
        heap.extend(passed.drain(..));
        let before = links.join(at, pairs.result(rank));
        done(Done { rank, at });
        heap.extend([before, at].into_iter().filter_map(|at| links.candidate(pairs, at)));
    }
    links.tokens()
}

struct Links(Vec<Link>);

impl Links {
    fn new(tokens: impl Iterator<Item = TokenId>) -> Self {
        let link = |(at, token): (u32, TokenId)| Link { token, before: at.wrapping_sub(1), after: at + 1 };
        let mut links: Vec<Link> = (0..).zip(tokens).map(link).collect();
        if let Some(last) = links.last_mut() {
            last.after = NONE;
        }
        Self(links)
    }

    /// The rank of the token at `at` with the next one, if both are there and merge.
    fn rank(&self, pairs: &Pairs, at: u32) -> u32 {
        match self.0.get(at as usize) {
            Some(link) if link.token != NONE && link.after != NONE => {
                pairs.rank(link.token, self.0[link.after as usize].token)
            }
            _ => NO_RANK,
        }
    }

    fn candidate(&self, pairs: &Pairs, at: u32) -> Option<Reverse<(u32, u32)>> {
        let rank = self.rank(pairs, at);
        (rank != NO_RANK).then_some(Reverse((rank, at)))
    }

    /// Replaces the pair at `at` by what it makes, and gives the place before it. No token stands at the right one's
    /// place any more.
    fn join(&mut self, at: u32, result: TokenId) -> u32 {
        let right = self.0[at as usize].after as usize;
        let after = self.0[right].after;
        self.0[right].token = NONE;
        let link = &mut self.0[at as usize];
        (link.token, link.after) = (result, after);
        let before = link.before;
        if let Some(next) = self.0.get_mut(after as usize) {
            next.before = at;
        }
        before
    }

    fn tokens(&self) -> Vec<(u32, TokenId)> {
        (0..).zip(&self.0).map(|(at, link)| (at, link.token)).filter(|(_, token)| *token != NONE).collect()
    }
}
