//! Where the ids of an encoder go: into a list, or only their number.
//!
//! Counting writes no ids but those of pieces that are met for the first time, which the memo wants.

use super::block::{CHARACTERS, PRE_TOKENS, Reading};
use super::gathered::Gathered;
use super::memo::{FewIds, of_few};
use crate::vocab::TokenId;

/// The most ids that are put together before they go on: of a block of characters, or of as many pre-tokens, four
/// each. There is twice that, so that every place that such a number stands for is inside.
const MOST: usize = 8 * CHARACTERS;
/// So many are written at once at the most, some of which may count for nothing.
const AT_ONCE: usize = 16;

const _: () = assert!(PRE_TOKENS == CHARACTERS);

/// Where ids are put together that then go on at once.
#[derive(Clone)]
pub(super) struct Room([TokenId; MOST + AT_ONCE]);

impl Default for Room {
    fn default() -> Self {
        Self([0; MOST + AT_ONCE])
    }
}

impl Room {
    /// The places behind the first `written` ids, at most [`AT_ONCE`].
    #[inline(always)]
    pub(super) fn next<const N: usize>(&mut self, written: usize) -> &mut [TokenId; N] {
        const { assert!(N <= AT_ONCE) };
        let from = written % MOST;
        (&mut self.0[from..from + N]).try_into().expect("N places stand there")
    }

    /// The first `count` ids.
    #[inline(always)]
    pub(super) fn first(&self, count: usize) -> &[TokenId] {
        &self.0[..count]
    }
}

/// Where ids go.
pub(super) trait Ids {
    fn few(&mut self, few: FewIds);

    fn some(&mut self, ids: &[TokenId]);

    /// Those of the pieces that begin with the characters `heads` of a block.
    fn gathered(&mut self, reading: impl Reading, gathered: &Gathered, heads: u64, room: &mut Room);

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
    fn gathered(&mut self, reading: impl Reading, gathered: &Gathered, heads: u64, room: &mut Room) {
        let written = reading.write(gathered, heads, room);
        self.extend_from_slice(room.first(written));
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
    fn gathered(&mut self, _: impl Reading, gathered: &Gathered, heads: u64, _: &mut Room) {
        self.count += gathered.count(heads);
    }

    fn merged(&mut self, merge: impl FnOnce(&mut Vec<TokenId>)) -> &[TokenId] {
        self.room.clear();
        merge(&mut self.room);
        self.count += self.room.len();
        &self.room
    }
}
