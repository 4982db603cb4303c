//! Pairs of tokens: how often each occurs, and where.
//!
//! One table with open addressing finds the entry of a pair by its two ids, which are one number of 64 bits. Nothing is
//! taken out: a pair that is not kept any more leaves an entry that counts nothing, and the table is made anew as soon
//! as rarer pairs are looked at (`pairs.rs`). While pairs are counted, their counts lie in the slots themselves
//! ([`PairCounts`]), so that a pair costs one look into memory. While there are few tokens, there is a slot for each two of
//! them, which none others are in.

use std::collections::{BTreeMap, BTreeSet};

use crate::segment::prefetch;

/// Two tokens, the left one in the upper half: pairs in order are numbers in order.
pub(super) type Key = u64;

/// No pair: ids are below 2³¹.
const NONE: Key = u64::MAX;

/// The pair of two tokens.
#[inline(always)]
pub(super) fn key(left: u32, right: u32) -> Key {
    u64::from(left) << 32 | u64::from(right)
}

/// The tokens of a pair.
#[inline(always)]
pub(super) fn parts(key: Key) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

/// The upper bits of the hash of a pair, so many as are asked for (at least one).
#[inline(always)]
pub(super) fn hash(key: Key, bits: u32) -> usize {
    let mixed = (key ^ key >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> (64 - bits)) as usize
}

/// A pair that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// How often it occurs; 0 if it is not kept any more.
    pub(super) count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    entry: u32,
}

/// Entries of pairs.
#[derive(Debug)]
pub(super) struct PairTable {
    slots: Vec<Slot>,
    bits: u32,
    pub(super) entries: Vec<Entry>,
}

impl PairTable {
    pub(super) fn new() -> Self {
        const BITS: u32 = 8;
        Self { slots: vec![Slot { key: NONE, entry: 0 }; 1 << BITS], bits: BITS, entries: Vec::new() }
    }

    /// The slot of a pair, or the empty one where it would stand.
    #[inline(always)]
    fn slot(&self, key: Key) -> usize {
        let mut at = hash(key, self.bits);
        while self.slots[at].key != key && self.slots[at].key != NONE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// The entry of a pair.
    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        let slot = self.slots[self.slot(key)];
        (slot.key == key).then_some(slot.entry)
    }

    /// The entry of a pair; a new one counts nothing.
    pub(super) fn entry(&mut self, key: Key) -> u32 {
        let at = self.slot(key);
        if self.slots[at].key == key {
            return self.slots[at].entry;
        }
        let entry = self.entries.len() as u32;
        self.entries.push(Entry { key, count: 0 });
        self.slots[at] = Slot { key, entry };
        if 2 * self.entries.len() > self.slots.len() {
            self.grow();
        }
        entry
    }

    /// Asks for the slot of a pair ahead.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: Key) {
        prefetch(&self.slots[hash(key, self.bits)]);
    }

    /// The entries of all pairs of the first few tokens, where each has a place of its own.
    pub(super) fn square(&self, tokens: usize) -> Square {
        let mut square = Square { entries: vec![NO_ENTRY; tokens * tokens], tokens };
        for (entry, at) in self.entries.iter().zip(0..) {
            let place = square.place(entry.key);
            square.entries[place] = at;
        }
        square
    }

    fn grow(&mut self) {
        self.bits += 1;
        self.slots.clear();
        self.slots.resize(1 << self.bits, Slot { key: NONE, entry: 0 });
        for entry in 0..self.entries.len() {
            let key = self.entries[entry].key;
            let at = self.slot(key);
            self.slots[at] = Slot { key, entry: entry as u32 };
        }
    }
}

const NO_ENTRY: u32 = u32::MAX;

/// Entries by the tokens of their pairs.
pub(super) struct Square {
    entries: Vec<u32>,
    tokens: usize,
}

impl Square {
    #[inline(always)]
    fn place(&self, key: Key) -> usize {
        parts(key).0 as usize * self.tokens + parts(key).1 as usize
    }

    /// Asks for the place of a pair ahead, which may be none of two tokens.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: Key) {
        if let Some(entry) = self.entries.get(self.place(key)) {
            prefetch(entry);
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        Some(self.entries[self.place(key)]).filter(|&entry| entry != NO_ENTRY)
    }
}

/// A pair that is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) key: Key,
    /// How often it occurs.
    pub(super) count: u64,
    /// In how many places.
    pub(super) places: u32,
}

const NOT_COUNTED: Counted = Counted { key: NONE, count: 0, places: 0 };

/// Counts of the pairs of some words.
pub(super) trait Count: Sized + Send + Sync {
    /// Asks for what is kept of a pair ahead, which may be none of two tokens.
    fn prefetch(&self, key: Key);

    /// Counts a pair at a place that counts so often.
    fn add(&mut self, key: Key, weight: u64);

    /// In how many places a pair occurs.
    fn places(&self, key: Key) -> u32;

    /// The pairs of several parts of the words, in no order, and those that 64 bits do not count.
    fn sum(parts: &[Self]) -> (Vec<(Key, u64)>, BTreeSet<Key>);
}

/// Counts of pairs by their hashes.
#[derive(Debug)]
pub(super) struct PairCounts {
    slots: Vec<Counted>,
    bits: u32,
    len: usize,
    /// Pairs that 64 bits do not count.
    overflow: BTreeSet<Key>,
}

impl PairCounts {
    pub(super) fn new() -> Self {
        const BITS: u32 = 8;
        Self { slots: vec![NOT_COUNTED; 1 << BITS], bits: BITS, len: 0, overflow: BTreeSet::new() }
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn add_counted(&mut self, pair: Counted) {
        let at = self.slot(pair.key);
        let slot = &mut self.slots[at];
        slot.places += pair.places;
        match slot.count.checked_add(pair.count) {
            Some(sum) => slot.count = sum,
            None => _ = self.overflow.insert(pair.key),
        }
        if slot.key == NONE {
            slot.key = pair.key;
            self.len += 1;
            if 2 * self.len > self.slots.len() {
                self.grow();
            }
        }
    }

    /// The slot of a pair, or the empty one where it would stand.
    #[inline(always)]
    fn slot(&self, key: Key) -> usize {
        let mut at = hash(key, self.bits);
        while self.slots[at].key != key && self.slots[at].key != NONE {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    fn grow(&mut self) {
        self.bits += 1;
        for pair in std::mem::replace(&mut self.slots, vec![NOT_COUNTED; 1 << self.bits]) {
            if pair.key != NONE {
                let at = self.slot(pair.key);
                self.slots[at] = pair;
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = Counted> {
        self.slots.iter().copied().filter(|pair| pair.key != NONE)
    }
}

impl Count for PairCounts {
    #[inline(always)]
    fn prefetch(&self, key: Key) {
        prefetch(&self.slots[hash(key, self.bits)]);
    }

    #[inline(always)]
    fn add(&mut self, key: Key, weight: u64) {
        self.add_counted(Counted { key, count: weight, places: 1 });
    }

    fn places(&self, key: Key) -> u32 {
        self.slots[self.slot(key)].places
    }

    fn sum(parts: &[Self]) -> (Vec<(Key, u64)>, BTreeSet<Key>) {
        let mut all = Self::new();
        for part in parts {
            all.overflow.extend(&part.overflow);
            part.iter().for_each(|pair| all.add_counted(pair));
        }
        (all.iter().map(|pair| (pair.key, pair.count)).collect(), all.overflow)
    }
}

/// Counts of pairs of few tokens, where each two have a slot of their own.
#[derive(Debug)]
pub(super) struct FewCounts {
    slots: Vec<FewSlot>,
    tokens: usize,
    /// By slot, how often 2³² is to be added to its count.
    high: BTreeMap<usize, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct FewSlot {
    /// The lower half of the count.
    low: u32,
    places: u32,
}

impl FewCounts {
    /// Counts of pairs of the first so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        Self { slots: vec![FewSlot::default(); tokens * tokens], tokens, high: BTreeMap::new() }
    }

    #[inline(always)]
    fn slot(&self, key: Key) -> usize {
        parts(key).0 as usize * self.tokens + parts(key).1 as usize
    }

    fn count(&self, slot: usize) -> u128 {
        u128::from(self.high.get(&slot).copied().unwrap_or(0)) << 32 | u128::from(self.slots[slot].low)
    }
}

impl Count for FewCounts {
    #[inline(always)]
    fn prefetch(&self, key: Key) {
        if let Some(slot) = self.slots.get(self.slot(key)) {
            prefetch(slot);
        }
    }

    #[inline(always)]
    fn add(&mut self, key: Key, weight: u64) {
        let at = self.slot(key);
        let slot = &mut self.slots[at];
        slot.places += 1;
        let (low, carry) = slot.low.overflowing_add(weight as u32);
        slot.low = low;
        if carry || weight > u64::from(u32::MAX) {
            *self.high.entry(at).or_default() += (weight >> 32) + u64::from(carry);
        }
    }

    fn places(&self, key: Key) -> u32 {
        self.slots[self.slot(key)].places
    }

    fn sum(parts: &[Self]) -> (Vec<(Key, u64)>, BTreeSet<Key>) {
        let (mut pairs, mut overflow) = (Vec::new(), BTreeSet::new());
        let tokens = parts.first().map_or(0, |part| part.tokens);
        for at in (0..tokens * tokens).filter(|&at| parts.iter().any(|part| part.slots[at].places > 0)) {
            let pair = key((at / tokens) as u32, (at % tokens) as u32);
            match u64::try_from(parts.iter().map(|part| part.count(at)).sum::<u128>()) {
                Ok(count) => pairs.push((pair, count)),
                Err(_) => _ = overflow.insert(pair),
            }
        }
        (pairs, overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_again() {
        let mut table = PairTable::new();
        let keys: Vec<Key> = (0..5000u32).map(|n| key(n % 71, n)).collect();
        for (n, &key) in keys.iter().enumerate() {
            assert_eq!((table.find(key), table.entry(key)), (None, n as u32));
        }
        for (n, &key) in keys.iter().enumerate() {
            assert_eq!((table.find(key), table.entry(key)), (Some(n as u32), n as u32));
            assert_eq!(parts(key), (n as u32 % 71, n as u32));
        }
    }

    /// Some pairs, with weights that 32 bits do not hold, in two parts.
    fn counts_of<C: Count>(new: impl Fn() -> C) {
        let weight = |key: Key| 1 + (key & 0xFF) * if key.is_multiple_of(3) { 0x0101_0101_0101 } else { 0x0111_1111 };
        let keys: Vec<Key> = (0..5000u32).map(|n| key(n % 71, n % 613)).collect();
        let mut parts = [new(), new()];
        let (mut counts, mut places) = (BTreeMap::<Key, u64>::new(), [BTreeMap::<Key, u32>::new(), BTreeMap::new()]);
        for (at, &key) in keys.iter().cycle().take(30_000).enumerate() {
            parts[at % 2].prefetch(key);
            parts[at % 2].add(key, weight(key));
            *counts.entry(key).or_default() += weight(key);
            *places[at % 2].entry(key).or_default() += 1;
        }
        let (mut found, overflow) = C::sum(&parts);
        found.sort_unstable();
        assert_eq!((found, overflow.len()), (counts.into_iter().collect(), 0));
        for (part, places) in parts.iter().zip(places) {
            keys.iter().for_each(|key| assert_eq!(part.places(*key), places.get(key).copied().unwrap_or(0)));
        }
        // In one part, and of two that each hold no more than 64 bits.
        parts[0].add(keys[7], u64::MAX);
        parts[1].add(keys[8], u64::MAX - weight(keys[8]));
        assert_eq!(C::sum(&parts).1.into_iter().collect::<Vec<_>>(), [keys[7], keys[8]]);
    }

    #[test]
    fn pairs_are_counted() {
        counts_of(PairCounts::new);
        counts_of(|| FewCounts::new(613));
    }
}
