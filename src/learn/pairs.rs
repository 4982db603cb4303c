//! The pairs of the words: counts and places, kept up to date from merge to merge.
//!
//! **Rare pairs are left out.** A pair occurs nowhere but where the later of its tokens is made, so its count only
//! falls, and one that is rare now need not be kept: it cannot come up before all that are as frequent as the threshold
//! are used up. Then the threshold falls, and the words are counted anew. So the table holds the few pairs that may
//! come up, and stays in the cache, where most pairs of a text occur once or twice. While there are few tokens, each
//! two of them have a counter of their own, and the words are looked at once. Later they are counted in two rounds: the
//! first adds the counts of pairs of the same hash, the second looks only at those whose sum reaches the threshold. Each
//! is done by several threads, of which each has a part of the words; their sums do not depend on how many there are,
//! and places are put together in order.
//!
//! Tried and lost: cutting words where a pair is rarer than the last one that is merged, and counting equal pieces once
//! (of 6.7 million cells 5.4 are left: finding the equal ones takes longer than they save); and doing the next merges of
//! the queue ahead, 32 at a time, so that threads share those in few places too. (All but one of forty are foretold
//! rightly, but the time is the same within the noise: what one thread has merged the other then reads from its cache.)
//!
//! **A merge touches its neighbours.** Where `a b` becomes `n` between `x` and `y`, `x a` and `b y` are gone, `x n` and
//! `n y` have come. These are added up by `x` and by `y` in two lists indexed by token; the table is asked once for
//! each `x` and `y`, not for each place.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use rayon::prelude::*;

use super::arena::{AHEAD, Arena, Cell};
use super::pair_table::{Count, FewCounts, Key, PairCounts, PairTable, hash, key, parts};
pub(super) use super::part::Made;
use super::part::{Part, Sides};
use super::rules::Rules;
use super::tokens::Tokens;
use super::watch::{Outcome, WORK, Watch};
use crate::error::Error;
use crate::segment::prefetch;

/// By what the threshold of the first counting is below the most frequent pair.
const FALL: u64 = 64;

/// How counts are taken to fall with the merges done: as this power of them. It tells how rare the last pairs will be that
/// are asked for, so that few rarer ones are kept. They fall faster (from the 1,000th to the 32,000th merge by 1.43 in
/// Chinese, 1.56 in English and 1.50 in source code, of 30 MB each), so the last pairs are counted once more; that takes
/// less time than to keep them all along.
const DECLINE: f64 = 1.25;

/// Tokens of which all pairs are counted in one round, at the most. (Tests count by both ways.)
const FEW: usize = if cfg!(test) { 258 } else { 1 << 10 };

/// Bits of a hash in the first round, at the most.
const MAX_BITS: u32 = 20;

/// Parts of the words, at the most: each has sums of its own.
pub(super) const MAX_PARTS: usize = 8;

/// Places of a pair from which on threads merge it together.
const MANY_PLACES: usize = if cfg!(test) { 3 } else { 1 << 11 };

/// Cells from which on there is a further part: each makes a merge in few places slower. (With two parts English, which
/// has a million cells, took a tenth longer.) Tests have parts of few.
const PART_CELLS: usize = if cfg!(test) { 4 } else { 1 << 21 };

/// The parts that words of so many cells are put into.
pub(super) fn part_count(cells: usize) -> usize {
    (cells / PART_CELLS).min(rayon::current_num_threads()).clamp(1, MAX_PARTS)
}

/// The words and the pairs in them.
pub(super) struct Pairs<C> {
    parts: Vec<Part<C>>,
    rules: Rules,
    table: PairTable,
    /// Entries by count, then the lowest pair first. A count may have fallen since; it is looked up when it comes up.
    queue: BinaryHeap<(u64, Reverse<Key>, u32)>,
    /// Pairs as frequent as this are kept.
    threshold: u64,
    /// It does not fall below this.
    fewest: u64,
    /// Merges that were done.
    merges: usize,
    /// Merges that will be asked for, at the most.
    room: usize,
    /// Whether the pairs must be counted before the next one is chosen.
    outdated: bool,
    /// Which tokens occur in the words.
    occurs: Vec<bool>,
    left: Sides,
    right: Sides,
    /// Entries of pairs that a merge takes away, and how often.
    found: Vec<(u32, u64)>,
}

/// A pair that is chosen.
pub(super) struct Best {
    pub(super) pair: Key,
    pub(super) count: u64,
    entry: u32,
}

impl Best {
    /// A pair whose places are not known.
    pub(super) fn anywhere(pair: Key, count: u64) -> Self {
        Self { pair, count, entry: u32::MAX }
    }
}

/// Which hashes of pairs may be those of frequent ones.
struct Frequent {
    bits: u32,
    sets: Vec<u64>,
}

impl Frequent {
    fn new(sums: &[u64], bits: u32, threshold: u64) -> Self {
        let set = |sums: &[u64]| sums.iter().rev().fold(0, |set, &sum| set << 1 | u64::from(sum >= threshold));
        Self { bits, sets: sums.chunks(64).map(set).collect() }
    }

    #[inline(always)]
    fn may_be(&self, pair: Key) -> bool {
        let hash = hash(pair, self.bits);
        self.sets[hash / 64] >> (hash % 64) & 1 == 1
    }
}

impl<C: Cell> Pairs<C> {
    /// The pairs of words. Those below `fewest` are never asked for, nor more than `room`, with the `merges` that were done before.
    pub(super) fn new(
        arenas: Vec<Arena<C>>,
        rules: Rules,
        fewest: u64,
        (merges, room): (usize, usize),
        tokens: &Tokens,
    ) -> Self {
        let of_arena = |arena: &Arena<C>| {
            let mut occurs = vec![false; tokens.len()];
            arena.tokens().for_each(|token| occurs[token as usize] = true);
            occurs
        };
        let either =
            |left: Vec<bool>, right: Vec<bool>| left.iter().zip(right).map(|(left, right)| left | right).collect();
        let occurs = arenas.par_iter().map(of_arena).reduce(|| vec![false; tokens.len()], either);
        Self {
            parts: arenas.into_iter().map(Part::new).collect(),
            rules,
            table: PairTable::new(),
            queue: BinaryHeap::new(),
            threshold: u64::MAX,
            fewest: fewest.max(1),
            merges,
            room,
            outdated: true,
            occurs,
            left: Sides::default(),
            right: Sides::default(),
            found: Vec::new(),
        }
    }

    /// The words.
    pub(super) fn into_arenas(self) -> Vec<Arena<C>> {
        self.parts.into_iter().map(|part| part.arena).collect()
    }

    /// The most frequent pair that may be merged; of equal ones the lowest.
    pub(super) fn best(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Option<Best>> {
        loop {
            if self.outdated {
                self.count(tokens, watch)?;
                self.outdated = false;
            }
            while let Some(mut head) = self.queue.peek_mut() {
                let (queued, Reverse(pair), entry) = *head;
                let count = self.table.entries[entry as usize].count;
                if count == queued {
                    PeekMut::pop(head);
                    return Ok(Some(Best { pair, count, entry }));
                }
                match count {
                    0 => _ = PeekMut::pop(head),
                    count => head.0 = count,
                }
            }
            if self.threshold == self.fewest {
                return Ok(None);
            }
            self.threshold = (self.threshold / 2).max(self.fewest);
            self.outdated = true;
        }
    }

    /// Counts the pairs anew, with a lower threshold.
    fn count(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<()> {
        // Freed first, so that old and new places are not in memory together.
        (self.table, self.queue) = (PairTable::new(), BinaryHeap::new());
        self.parts.par_iter_mut().for_each(|part| {
            part.places = Vec::new();
            part.arena.compact();
        });
        let frequent = if tokens.len() > FEW { Some(self.frequent(watch)?) } else { None };
        self.keep_frequent(tokens, frequent.as_ref(), watch)?;
        self.place_all(tokens.len(), frequent.as_ref(), watch)?;
        let entries = self.table.entries.iter().zip(0..);
        self.queue = entries.map(|(entry, at)| (entry.count, Reverse(entry.key), at)).collect();
        Ok(())
    }

    /// The first of two rounds: which pairs may be frequent, by the threshold that comes of it.
    fn frequent(&mut self, watch: &mut Watch<'_>) -> Outcome<Frequent> {
        let cells: usize = self.parts.iter().map(|part| part.arena.len()).sum();
        let bits = (usize::BITS - cells.leading_zeros()).clamp(8, MAX_BITS);
        let sums = self.sums(bits, watch)?;
        let highest = sums.iter().copied().max().unwrap_or(0);
        self.threshold = self.foretold(highest);
        Ok(Frequent::new(&sums, bits, self.threshold))
    }

    /// The threshold after a counting, where the most frequent pair occurs so often.
    fn foretold(&self, highest: u64) -> u64 {
        let highest = highest.min(self.threshold);
        let next = match self.merges {
            0 => highest / FALL,
            merges => (highest as f64 * (merges as f64 / self.room.max(merges) as f64).powf(DECLINE)) as u64,
        };
        next.min(self.threshold).max(self.fewest)
    }

    /// The counts of all pairs, added up by their hashes.
    fn sums(&mut self, bits: u32, watch: &mut Watch<'_>) -> Outcome<Vec<u64>> {
        let mut all: Vec<Vec<u64>> = self.parts.iter().map(|_| vec![0u64; 1 << bits]).collect();
        each_pair(
            &mut self.parts,
            watch,
            &mut all,
            |_, sums, pair| prefetch(&sums[hash(pair, bits)]),
            |_, sums, pair, count, _| {
                let sum = &mut sums[hash(pair, bits)];
                *sum = sum.saturating_add(count);
            },
        )?;
        let mut sums = all.swap_remove(0);
        for more in all {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        Ok(sums)
    }

    /// Puts those pairs into the table that are frequent, and makes room for their places. Where none were looked for
    /// before, there are few tokens, and their pairs tell the threshold.
    fn keep_frequent(&mut self, tokens: &Tokens, frequent: Option<&Frequent>, watch: &mut Watch<'_>) -> Outcome<()> {
        let parts = self.parts.len();
        match frequent {
            Some(_) => self.keep(tokens, (0..parts).map(|_| PairCounts::new()).collect(), frequent, watch),
            None => self.keep(tokens, (0..parts).map(|_| FewCounts::new(tokens.len())).collect(), frequent, watch),
        }
    }

    fn keep<T: Count>(
        &mut self,
        tokens: &Tokens,
        mut tables: Vec<T>,
        frequent: Option<&Frequent>,
        watch: &mut Watch<'_>,
    ) -> Outcome<()> {
        let may_be = |pair: Key| frequent.is_none_or(|frequent| frequent.may_be(pair));
        each_pair(
            &mut self.parts,
            watch,
            &mut tables,
            |_, table, pair| {
                if may_be(pair) {
                    table.prefetch(pair);
                }
            },
            |_, table, pair, count, _| {
                if may_be(pair) {
                    table.add(pair, count);
                }
            },
        )?;
        let rules = self.rules;
        let allowed = |pair: Key| {
            let (left, right) = parts(pair);
            rules.allow(tokens.shape(left), tokens.shape(right))
        };
        let (pairs, overflow) = T::sum(&tables);
        if let Some(&pair) = overflow.iter().find(|&&pair| allowed(pair)) {
            let (left, right) = tokens.ids(pair);
            return Err(Error::CountOverflow { left, right }.into());
        }
        if frequent.is_none() {
            self.threshold = self.foretold(pairs.iter().map(|pair| pair.1).max().unwrap_or(0));
        }
        for (pair, count) in pairs.into_iter().filter(|pair| pair.1 >= self.threshold && allowed(pair.0)) {
            let entry = self.table.entry(pair);
            self.table.entries[entry as usize].count = count;
        }
        let entries = &self.table.entries;
        self.parts.par_iter_mut().zip(&tables).for_each(|(part, table)| {
            part.places = entries.iter().map(|entry| Vec::with_capacity(table.places(entry.key) as usize)).collect();
        });
        Ok(())
    }

    /// Notes the places of the pairs of the table; where it is not known which ones may be in it, there are few tokens.
    fn place_all(&mut self, tokens: usize, frequent: Option<&Frequent>, watch: &mut Watch<'_>) -> Outcome<()> {
        let table = &self.table;
        let mut nothing = vec![(); self.parts.len()];
        let Some(frequent) = frequent else {
            let few = table.square(tokens);
            return each_pair(
                &mut self.parts,
                watch,
                &mut nothing,
                |_, (), pair| few.prefetch(pair),
                |places, (), pair, _, at| {
                    if let Some(entry) = few.find(pair) {
                        places[entry as usize].push(at as u32);
                    }
                },
            );
        };
        each_pair(
            &mut self.parts,
            watch,
            &mut nothing,
            |_, (), pair| {
                if frequent.may_be(pair) {
                    table.prefetch(pair);
                }
            },
            |places, (), pair, _, at| {
                if let Some(entry) = frequent.may_be(pair).then(|| table.find(pair)).flatten() {
                    places[entry as usize].push(at as u32);
                }
            },
        )
    }

    /// Merges a pair everywhere.
    pub(super) fn merge(&mut self, best: &Best, result: u32, tokens: &Tokens) -> Made {
        self.left.make_room(tokens.len());
        self.right.make_room(tokens.len());
        self.occurs.resize(tokens.len(), false);
        // Another pair may have made this token before: then what it occurs beside is not of this merge alone.
        self.outdated = std::mem::replace(&mut self.occurs[result as usize], true);
        self.merges += 1;
        self.table.entries[best.entry as usize].count = 0;
        let places: usize =
            self.parts.iter().filter_map(|part| part.places.get(best.entry as usize)).map(Vec::len).sum();
        let is_many = places >= MANY_PLACES;
        let join = |part: &mut Part<C>| part.join(best.pair, best.entry, result, tokens.len());
        let made: Vec<Made> = match is_many {
            true => self.parts.par_iter_mut().map(join).collect(),
            false => self.parts.iter_mut().map(join).collect(),
        };
        let made = made.into_iter().fold(Made::default(), Made::and);
        if !self.outdated {
            for part in &self.parts {
                part.add_sides(&mut self.left, &mut self.right);
            }
            self.subtract(best.pair);
            self.add(best.pair, result, tokens, made, is_many);
            self.left.clear();
            self.right.clear();
        }
        self.parts.iter_mut().for_each(Part::clear);
        made
    }

    /// Takes away the pairs of which one token has become a part of the new one.
    fn subtract(&mut self, pair: Key) {
        let (a, b) = parts(pair);
        let lefts = self.left.seen.iter().map(|&x| (key(x, a), self.left.of[x as usize].count));
        let rights = self.right.seen.iter().map(|&y| (key(b, y), self.right.of[y as usize].count));
        let pairs = || lefts.clone().chain(rights.clone());
        pairs().take(AHEAD).for_each(|(pair, _)| self.table.prefetch(pair));
        let ahead = pairs().skip(AHEAD).map(|(pair, _)| Some(pair)).chain(std::iter::repeat(None));
        self.found.clear();
        for ((pair, gone), ahead) in pairs().zip(ahead) {
            if let Some(ahead) = ahead {
                self.table.prefetch(ahead);
            }
            if let Some(at) = self.table.find(pair) {
                prefetch(&self.table.entries[at as usize]);
                self.found.push((at, gone));
            }
        }
        for &(at, gone) in &self.found {
            let entry = &mut self.table.entries[at as usize];
            if entry.count == 0 {
                continue;
            }
            entry.count -= gone;
            if entry.count < self.threshold {
                entry.count = 0;
                let places = self.parts.iter_mut().filter_map(|part| part.places.get_mut(at as usize));
                places.for_each(|places| *places = Vec::new());
            }
        }
    }

    /// Puts in the pairs of the new token that are frequent enough, and the places of those.
    fn add(&mut self, pair: Key, result: u32, tokens: &Tokens, made: Made, is_many: bool) {
        let a = parts(pair).0;
        self.right.renew(a, result, made.beside);
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
            self.table.entries[side.entry as usize].count = side.count;
            self.queue.push((side.count, Reverse(pair), side.entry));
            some = true;
        }
        if !some {
            return;
        }
        let (left, right, entries) = (&self.left, &self.right, self.table.entries.len());
        let place = |part: &mut Part<C>| part.place(a, result, entries, left, right);
        match is_many {
            true => self.parts.par_iter_mut().for_each(place),
            false => self.parts.iter_mut().for_each(place),
        }
    }
}

/// Gives each pair of the words, its count and its place to `each`, with the places of its part and one of `states`,
/// one for each part; `ahead` is told pairs before. Only of arenas without free cells.
fn each_pair<C: Cell, S: Send>(
    parts: &mut [Part<C>],
    watch: &mut Watch<'_>,
    states: &mut [S],
    ahead: impl Fn(&[Vec<u32>], &S, Key) + Sync,
    each: impl Fn(&mut [Vec<u32>], &mut S, Key, u64, usize) + Sync,
) -> Outcome<()> {
    let longest = parts.iter().map(|part| part.arena.len()).max().unwrap_or(0);
    let work = WORK / parts.len();
    for start in (0..longest).step_by(work) {
        parts.par_iter_mut().zip(states.par_iter_mut()).for_each(|(part, state)| {
            let Part { arena, places, .. } = part;
            arena.pairs(
                start..start + work,
                &mut (places.as_mut_slice(), state),
                |(places, state), left, right| ahead(places, state, key(left, right)),
                |(places, state), left, right, count, at| each(places, state, key(left, right), count, at),
            );
        });
        watch.worked(work.min(longest - start) * parts.len())?;
    }
    Ok(())
}
