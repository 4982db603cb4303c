//! The pairs of the words: counts and places, kept up to date from merge to merge.
//!
//! **Rare pairs are left out.** A pair occurs nowhere but where the later of its tokens is made, so its count only
//! falls, and one that is rare now need not be kept: it cannot come up before all that are as frequent as the threshold
//! are used up. Then the threshold falls, and the words are counted anew. So the table holds the few pairs that may
//! come up, and stays in the cache, where most pairs of a text occur once or twice. The words are counted in two
//! rounds: the first adds the counts of pairs of the same hash, the second looks only at those whose sum reaches the
//! threshold. Each is done by several threads, of which each has a part of the words; their sums do not depend on how
//! many there are, and places are put together in order.
//!
//! **A merge touches its neighbours.** Where `a b` becomes `n` between `x` and `y`, `x a` and `b y` are gone, `x n` and
//! `n y` have come. These are added up by `x` and by `y` in two lists indexed by token; the table is asked once for
//! each `x` and `y`, not for each place.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::arena::{Arena, EDGE, Weights};
use super::pair_table::{Entry, Key, PairTable, hash, key, parts};
use super::rules::Rules;
use super::tokens::Tokens;
use super::watch::{Outcome, WORK, Watch};
use crate::error::Error;
use crate::segment::prefetch;

/// By what the threshold falls when the pairs above it are used up.
const FALL: u64 = 16;

/// Places that are asked for ahead.
const AHEAD: usize = 16;

/// Bits of a hash in the first round, at the most.
const MAX_BITS: u32 = 20;

/// Threads that count, at the most: each has sums of its own.
const MAX_PARTS: usize = 8;

/// The words and the pairs in them.
pub(super) struct Pairs {
    arena: Arena,
    rules: Rules,
    table: PairTable,
    /// Entries by count, then the lowest pair first. A count may have fallen since; it is looked up when it comes up.
    queue: BinaryHeap<(u64, Reverse<Key>, u32)>,
    /// Pairs as frequent as this are kept.
    threshold: u64,
    /// It does not fall below this.
    fewest: u64,
    /// Whether the pairs must be counted before the next one is chosen.
    outdated: bool,
    /// Which tokens occur in the words.
    occurs: Vec<bool>,
    left: Sides,
    right: Sides,
}

/// Counts of pairs, by one thread.
struct Counting {
    table: PairTable,
    /// The lowest pair that 64 bits do not count.
    overflow: Option<Key>,
}

impl Default for Counting {
    fn default() -> Self {
        Self { table: PairTable::new(), overflow: None }
    }
}

impl Counting {
    #[inline(always)]
    fn add(&mut self, pair: Key, places: u32, count: u64) {
        let entry = self.table.entry(pair);
        let entry = &mut self.table.entries[entry as usize];
        entry.number += places;
        match entry.count.checked_add(count) {
            Some(sum) => entry.count = sum,
            None => self.overflow = Some(self.overflow.unwrap_or(pair).min(pair)),
        }
    }
}

/// A pair that is chosen.
pub(super) struct Best {
    pub(super) pair: Key,
    pub(super) count: u64,
    entry: u32,
}

/// What a merge did.
pub(super) struct Made {
    /// How many tokens it made.
    pub(super) tokens: u64,
    /// In how many places.
    pub(super) places: usize,
}

/// Neighbours on one side of the places of a merge, by token.
#[derive(Default)]
struct Sides {
    of: Vec<Side>,
    /// The tokens that are neighbours.
    seen: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Side {
    count: u64,
    places: u32,
    /// The entry of the pair with the new token.
    entry: u32,
}

const NO_ENTRY: u32 = u32::MAX;
const NO_SIDE: Side = Side { count: 0, places: 0, entry: NO_ENTRY };

impl Sides {
    #[inline(always)]
    fn add(&mut self, token: u32, count: u64, places: u32) {
        let side = &mut self.of[token as usize];
        if side.places == 0 {
            self.seen.push(token);
        }
        side.count += count;
        side.places += places;
    }

    fn clear(&mut self) {
        self.seen.drain(..).for_each(|token| self.of[token as usize] = NO_SIDE);
    }
}

impl Pairs {
    /// The pairs of words. Those below `fewest` are never asked for.
    pub(super) fn new(arena: Arena, rules: Rules, fewest: u64, tokens: &Tokens) -> Self {
        let mut occurs = vec![false; tokens.len()];
        arena.tokens().for_each(|token| occurs[token as usize] = true);
        Self {
            arena,
            rules,
            table: PairTable::new(),
            queue: BinaryHeap::new(),
            threshold: u64::MAX,
            fewest: fewest.max(1),
            outdated: true,
            occurs,
            left: Sides::default(),
            right: Sides::default(),
        }
    }

    /// The most frequent pair that may be merged; of equal ones the lowest.
    pub(super) fn best(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Option<Best>> {
        loop {
            if self.outdated {
                self.count(tokens, watch)?;
                self.outdated = false;
            }
            while let Some((queued, Reverse(pair), entry)) = self.queue.pop() {
                let count = self.table.entries[entry as usize].count;
                if count == queued {
                    return Ok(Some(Best { pair, count, entry }));
                }
                if count > 0 {
                    self.queue.push((count, Reverse(pair), entry));
                }
            }
            if self.threshold == self.fewest {
                return Ok(None);
            }
            self.outdated = true;
        }
    }

    /// Counts the pairs anew, with a lower threshold.
    fn count(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<()> {
        // Freed first, so that old and new places are not in memory together.
        (self.table, self.queue) = (PairTable::new(), BinaryHeap::new());
        self.arena.compact();
        let bits = (usize::BITS - self.arena.len().leading_zeros()).clamp(8, MAX_BITS);
        let parts = rayon::current_num_threads().clamp(1, MAX_PARTS);
        let mut all_sums = vec![vec![0u64; 1 << bits]; parts];
        self.each_pair(watch, &mut all_sums, |sums, left, right, count, _| {
            let sum = &mut sums[hash(key(left, right), bits)];
            *sum = sum.saturating_add(count);
        })?;
        let mut sums = all_sums.swap_remove(0);
        for more in all_sums {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        let highest = sums.iter().copied().max().unwrap_or(0).min(self.threshold);
        let threshold = (highest / FALL).min(self.threshold - 1).max(self.fewest);
        let frequent = |pair: Key| sums[hash(pair, bits)] >= threshold;
        let mut table = self.frequent_pairs(tokens, watch, parts, frequent)?;
        table.entries.iter_mut().filter(|entry| entry.count < threshold).for_each(|entry| entry.count = 0);
        let kept = |entry: &&mut Entry| entry.count > 0;
        table.entries.iter_mut().filter(kept).for_each(|entry| entry.places.reserve_exact(entry.number as usize));
        self.place_all(watch, parts, &mut table, frequent)?;
        let kept = table.entries.iter().zip(0..).filter(|(entry, _)| entry.count > 0);
        self.queue = kept.map(|(entry, at)| (entry.count, Reverse(entry.key), at)).collect();
        (self.table, self.threshold) = (table, threshold);
        Ok(())
    }

    /// Counts those pairs that may be frequent.
    fn frequent_pairs(
        &self,
        tokens: &Tokens,
        watch: &mut Watch<'_>,
        parts: usize,
        frequent: impl Fn(Key) -> bool + Sync,
    ) -> Outcome<PairTable> {
        let mut tables: Vec<Counting> = (0..parts).map(|_| Counting::default()).collect();
        self.each_pair(watch, &mut tables, |table, left, right, count, _| {
            let pair = key(left, right);
            if frequent(pair) && self.rules.allow(tokens.shape(left), tokens.shape(right)) {
                table.add(pair, 1, count);
            }
        })?;
        let mut all = tables.swap_remove(0);
        for table in tables {
            all.overflow = all.overflow.into_iter().chain(table.overflow).min();
            for entry in &table.table.entries {
                all.add(entry.key, entry.number, entry.count);
            }
        }
        let Some(pair) = all.overflow else { return Ok(all.table) };
        let (left, right) = tokens.ids(pair);
        Err(Error::CountOverflow { left, right }.into())
    }

    /// Puts the places of the pairs of the table that are kept into it.
    fn place_all(
        &self,
        watch: &mut Watch<'_>,
        parts: usize,
        table: &mut PairTable,
        frequent: impl Fn(Key) -> bool + Sync,
    ) -> Outcome<()> {
        let mut found: Vec<Vec<(u32, u32)>> = vec![Vec::new(); parts];
        for start in (0..self.arena.len()).step_by(WORK) {
            let shared = &*table;
            self.each_pair_of(start, &mut found, |found, left, right, _, at| {
                let pair = key(left, right);
                if let Some(entry) = frequent(pair).then(|| shared.find(pair)).flatten()
                    && shared.entries[entry as usize].count > 0
                {
                    found.push((entry, at as u32));
                }
            });
            for (entry, at) in found.iter_mut().flat_map(|found| found.drain(..)) {
                table.entries[entry as usize].places.push(at);
            }
            watch.worked(WORK.min(self.arena.len() - start))?;
        }
        Ok(())
    }

    /// Gives each pair of the words, its count and its place, with one of `states`, of which each has a thread. Only of
    /// an arena without free cells.
    fn each_pair<S: Send>(
        &self,
        watch: &mut Watch<'_>,
        states: &mut [S],
        each: impl Fn(&mut S, u32, u32, u64, usize) + Sync,
    ) -> Outcome<()> {
        for start in (0..self.arena.len()).step_by(WORK) {
            self.each_pair_of(start, states, &each);
            watch.worked(WORK.min(self.arena.len() - start))?;
        }
        Ok(())
    }

    /// The same of the cells from `start` on that are worked on between two reports; the states have them in order.
    fn each_pair_of<S: Send>(
        &self,
        start: usize,
        states: &mut [S],
        each: impl Fn(&mut S, u32, u32, u64, usize) + Sync,
    ) {
        let cells = WORK.min(self.arena.len() - start);
        let share = cells.div_ceil(states.len());
        states.par_iter_mut().enumerate().for_each(|(number, state)| {
            let [from, to] = [number, number + 1].map(|number| start + (number * share).min(cells));
            if from < to {
                self.arena.pairs(from..to, |left, right, count, at| each(state, left, right, count, at));
            }
        });
    }

    /// Merges a pair everywhere.
    pub(super) fn merge(&mut self, best: &Best, result: u32, tokens: &Tokens) -> Made {
        for sides in [&mut self.left.of, &mut self.right.of] {
            sides.resize(tokens.len(), NO_SIDE);
        }
        self.occurs.resize(tokens.len(), false);
        // Another pair may have made this token before: then what it occurs beside is not of this merge alone.
        self.outdated = std::mem::replace(&mut self.occurs[result as usize], true);
        let entry = &mut self.table.entries[best.entry as usize];
        entry.count = 0;
        let places = std::mem::take(&mut entry.places);
        let joined = self.join(best.pair, places, result);
        if !self.outdated {
            self.subtract(best.pair);
            self.add(best.pair, result, tokens, &joined);
        }
        self.left.clear();
        self.right.clear();
        Made { tokens: joined.count, places: joined.places.len() }
    }

    /// Merges a pair in the words, and notes what stands beside it.
    fn join(&mut self, pair: Key, mut places: Vec<u32>, result: u32) -> Joined {
        let (a, b) = parts(pair);
        let (mut kept, mut weights) = (0, Weights::default());
        let (mut count, mut beside) = (0, (0, 0));
        for at in 0..places.len() {
            if let Some(ahead) = places.get(at + AHEAD) {
                prefetch(self.arena.cell(*ahead as usize));
            }
            let left = places[at] as usize;
            if *self.arena.cell(left) != a {
                continue;
            }
            let right = self.arena.behind(left);
            if *self.arena.cell(right) != b {
                continue;
            }
            let (end, weight) = (self.arena.behind(right), self.arena.weight(left, &mut weights));
            let (x, y) = (*self.arena.cell(self.arena.before(left)), *self.arena.cell(end));
            if x == result {
                beside = (beside.0 + weight, beside.1 + 1);
            } else if x != EDGE {
                self.left.add(x, weight, 1);
            }
            if y != EDGE {
                self.right.add(y, weight, 1);
            }
            self.arena.join(left, right, end, result);
            count += weight;
            places[kept] = left as u32;
            kept += 1;
        }
        places.truncate(kept);
        Joined { places, count, beside }
    }

    /// Takes away the pairs of which one token has become a part of the new one.
    fn subtract(&mut self, pair: Key) {
        let (a, b) = parts(pair);
        let lefts = self.left.seen.iter().map(|&x| (key(x, a), self.left.of[x as usize].count));
        let rights = self.right.seen.iter().map(|&y| (key(b, y), self.right.of[y as usize].count));
        for (pair, gone) in lefts.chain(rights) {
            let Some(entry) = self.table.find(pair) else { continue };
            let entry = &mut self.table.entries[entry as usize];
            if entry.count > 0 {
                entry.count -= gone;
            }
            if entry.count < self.threshold {
                (entry.count, entry.places) = (0, Vec::new());
            }
        }
    }

    /// Puts in the pairs of the new token that are frequent enough, and the places of those.
    fn add(&mut self, pair: Key, result: u32, tokens: &Tokens, joined: &Joined) {
        // To the right of a place that is beside the next one, the left token has become the new one.
        let (count, places) = joined.beside;
        if places > 0 {
            let side = &mut self.right.of[parts(pair).0 as usize];
            (side.count, side.places) = (side.count - count, side.places - places);
            self.right.add(result, count, places);
        }
        let of_left = self.left.seen.iter().map(|&x| (x, result));
        let of_right = self.right.seen.iter().map(|&y| (result, y));
        let mut some = false;
        for (at, (left, right)) in of_left.chain(of_right).enumerate() {
            let side = match at < self.left.seen.len() {
                true => &mut self.left.of[left as usize],
                false => &mut self.right.of[right as usize],
            };
            if side.count < self.threshold || !self.rules.allow(tokens.shape(left), tokens.shape(right)) {
                continue;
            }
            let pair = key(left, right);
            side.entry = self.table.entry(pair);
            let entry = &mut self.table.entries[side.entry as usize];
            entry.count = side.count;
            entry.places.reserve_exact(side.places as usize);
            self.queue.push((side.count, Reverse(pair), side.entry));
            some = true;
        }
        if some {
            self.place(joined);
        }
    }

    /// Notes the places of the pairs that were put in.
    fn place(&mut self, joined: &Joined) {
        let entries = &mut self.table.entries;
        let mut note = |side: &Side, at: usize| {
            if side.entry != NO_ENTRY {
                entries[side.entry as usize].places.push(at as u32);
            }
        };
        for (at, &place) in joined.places.iter().enumerate() {
            if let Some(ahead) = joined.places.get(at + AHEAD) {
                prefetch(self.arena.cell(*ahead as usize));
            }
            let place = place as usize;
            let before = self.arena.before(place);
            if let Some(side) = self.left.of.get(*self.arena.cell(before) as usize) {
                note(side, before);
            }
            if let Some(side) = self.right.of.get(*self.arena.cell(self.arena.behind(place)) as usize) {
                note(side, place);
            }
        }
    }
}

/// A pair that was merged in the words.
struct Joined {
    /// Where.
    places: Vec<u32>,
    /// How often.
    count: u64,
    /// How often, and in how many places, behind another place of it.
    beside: (u64, u32),
}
