//! Where the ids of an encoder go: into a list, or only their number.
//!
//! Counting writes no ids but those of pieces that are met for the first time, which the memo wants.

use super::block::CHARACTERS;
use super::characters::{Characters, count_of};
use super::memo::{FewIds, of_few};
use crate::vocab::TokenId;

/// The ids of the pieces of a block, each at the place of its first character.
#[derive(Clone)]
pub(super) struct Gathered {
    ids: [[TokenId; 4]; CHARACTERS],
    counts: [u32; CHARACTERS],
    /// Those ids one behind the other, and what is written behind the last one.
    room: [TokenId; 4 * CHARACTERS],
}

impl Default for Gathered {
    fn default() -> Self {
        Self { ids: [[0; 4]; CHARACTERS], counts: [0; CHARACTERS], room: [0; 4 * CHARACTERS] }
    }
}

impl Gathered {
    /// Each character by itself.
    #[inline(always)]
    pub(super) fn characters(&mut self, characters: &Characters, codes: &[u32]) {
        for ((ids, count), code) in self.ids.iter_mut().zip(&mut self.counts).zip(codes) {
            let entry = characters.entry_of_block(*code);
            (*ids, *count) = (*entry, count_of(entry) as u32);
        }
    }

    /// The piece that begins with this character.
    #[inline(always)]
    pub(super) fn put(&mut self, at: usize, few: FewIds) {
        let (ids, count) = of_few(few);
        (self.ids[at], self.counts[at]) = (ids, count as u32);
    }

    /// The ids of the pieces that begin with these characters.
    #[inline(always)]
    fn of(&mut self, mut heads: u64) -> &[TokenId] {
        let mut written = 0;
        while heads != 0 {
            let at = heads.trailing_zeros() as usize;
            self.room[written..written + 4].copy_from_slice(&self.ids[at]);
            written += self.counts[at] as usize;
            heads &= heads - 1;
        }
        &self.room[..written]
    }

    #[inline(always)]
    fn count_of(&self, mut heads: u64) -> usize {
        let mut count = 0;
        while heads != 0 {
            count += self.counts[heads.trailing_zeros() as usize] as usize;
            heads &= heads - 1;
        }
        count
    }
}

/// Where ids go.
pub(super) trait Ids {
    fn few(&mut self, few: FewIds);

    fn some(&mut self, ids: &[TokenId]);

    /// Those of the pieces that begin with these characters of a block.
    fn gathered(&mut self, gathered: &mut Gathered, heads: u64);

    /// Those that `merge` writes, which are given back.
    fn merged(&mut self, merge: impl FnOnce(&mut Vec<TokenId>)) -> &[TokenId];
}

impl Ids for Vec<TokenId> {
    #[inline(always)]
    fn few(&mut self, few: FewIds) {
        let (ids, count) = of_few(few);
        self.extend_from_slice(&ids);
        self.truncate(self.len() - (4 - count));
    }

    #[inline(always)]
    fn some(&mut self, ids: &[TokenId]) {
        self.extend_from_slice(ids);
    }

    #[inline(always)]
    fn gathered(&mut self, gathered: &mut Gathered, heads: u64) {
        self.extend_from_slice(gathered.of(heads));
    }

    fn merged(&mut self, merge: impl FnOnce(&mut Vec<TokenId>)) -> &[TokenId] {
        let before = self.len();
        merge(self);
        &self[before..]
    }
}

/// Only their number.
pub(super) struct Counter {
    pub(super) count: usize,
    /// For ids that are wanted besides.
    pub(super) room: Vec<TokenId>,
}

impl Ids for Counter {
    #[inline(always)]
    fn few(&mut self, few: FewIds) {
        self.count += of_few(few).1;
    }

    #[inline(always)]
    fn some(&mut self, ids: &[TokenId]) {
        self.count += ids.len();
    }

    #[inline(always)]
    fn gathered(&mut self, gathered: &mut Gathered, heads: u64) {
        self.count += gathered.count_of(heads);
    }

    fn merged(&mut self, merge: impl FnOnce(&mut Vec<TokenId>)) -> &[TokenId] {
        self.room.clear();
        merge(&mut self.room);
        self.count += self.room.len();
        &self.room
    }
}
