//! A hash table of ids whose keys stand elsewhere: a word a slot, of an id and as many bits of its key's hash as fit.
//!
//! A look-up that finds another id's slot is told apart by those bits, nearly always, so that it reads one line of
//! memory and no key. The caller's test of the key decides.
//!
//! Tried and not faster, in loading or encoding: hashes of four bytes at a time, whose products do not wait for each other.

use super::searches_end;
use crate::segment::{Pages, prefetch};

/// A word for each slot; 0 is empty, as the bits of a hash are never 0.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    slots: Pages,
    shift: u32,
    id_bits: u32,
}

/// Slots that a look-up passes over at the most. Half of the slots are empty, so that hashes that are not chosen to
/// collide stay far below.
const MAX_PROBES: usize = 256;

impl Slots {
    /// A table for `count` ids below `id_end`, which is at most 2²⁴.
    pub(super) fn new(count: usize, id_end: u32) -> Self {
        let bits = (2 * count + 2).next_power_of_two().trailing_zeros();
        Self { slots: Pages::zeros(4 << bits), shift: 64 - bits, id_bits: bits_of_ids(id_end) }
    }

    /// The table as bytes.
    pub(super) fn to_table(&self) -> Vec<u8> {
        self.slots.bytes().to_vec()
    }

    /// The table of [`Slots::to_table`] for ids below `id_end`; `None` if another id stands there, or a look-up may not
    /// come to an end.
    pub(super) fn of_table(table: &[u8], id_end: u32) -> Option<Self> {
        let (slots, rest) = table.as_chunks();
        if !rest.is_empty() || !searches_end(slots, |slot| *slot == [0; 4]) {
            return None;
        }
        let shift = 64 - slots.len().trailing_zeros();
        let mut made = Self { slots: Pages::zeros(table.len()), shift, id_bits: bits_of_ids(id_end) };
        let id = |slot: &[u8; 4]| u32::from_le_bytes(*slot) & !(u32::MAX << made.id_bits);
        let highest = slots.iter().map(id).fold(0, u32::max);
        made.slots.bytes_mut().copy_from_slice(table);
        (highest < id_end.max(1)).then_some(made)
    }

    /// Bits of the hash, as they stand in a slot.
    #[inline(always)]
    fn tag(&self, hash: u64) -> u32 {
        (hash as u32 | 1) << self.id_bits
    }

    /// The slot at which a look-up of a hash begins. Reading those of many hashes at first, without a look at what they
    /// hold, waits for memory once.
    #[inline(always)]
    pub(super) fn first(&self, hash: u64) -> u32 {
        self.slot((hash >> self.shift) as usize)
    }

    /// Asks for the slot at which a look-up of a hash begins.
    #[inline(always)]
    pub(super) fn ask(&self, hash: u64) {
        let (slots, _) = self.slots.bytes().as_chunks::<4>();
        prefetch(&slots[(hash >> self.shift) as usize & (slots.len() - 1)]);
    }

    #[inline(always)]
    fn slot(&self, at: usize) -> u32 {
        let (slots, _) = self.slots.bytes().as_chunks();
        u32::from_le_bytes(slots[at & (slots.len() - 1)])
    }

    /// The id of a hash for which `is` holds.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        self.find_from(hash, self.first(hash), is)
    }

    /// As [`Slots::find`], if `slot` is the [`Slots::first`] of the hash.
    #[inline(always)]
    pub(super) fn find_from(&self, hash: u64, mut slot: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = self.tag(hash);
        let mut at = (hash >> self.shift) as usize;
        loop {
            if slot == 0 {
                return None;
            }
            let id = slot & !(u32::MAX << self.id_bits);
            if slot ^ id == tag && is(id) {
                return Some(id);
            }
            at += 1;
            slot = self.slot(at);
        }
    }

    /// Puts an id in, unless `is` holds for one that is there, which is given back. An error when too many hashes
    /// collide, as they may when somebody has chosen the keys.
    #[inline(always)]
    pub(super) fn insert(&mut self, hash: u64, id: u32, is: impl Fn(u32) -> bool) -> Result<Option<u32>, Crowded> {
        let (tag, id_bits) = (self.tag(hash), self.id_bits);
        let (slots, _) = self.slots.bytes_mut().as_chunks_mut();
        let (first, mask) = ((hash >> self.shift) as usize, slots.len() - 1);
        for at in first..first + MAX_PROBES {
            let slot = u32::from_le_bytes(slots[at & mask]);
            if slot == 0 {
                slots[at & mask] = (tag | id).to_le_bytes();
                return Ok(None);
            }
            let other = slot & !(u32::MAX << id_bits);
            if slot ^ other == tag && is(other) {
                return Ok(Some(other));
            }
        }
        Err(Crowded)
    }
}

fn bits_of_ids(id_end: u32) -> u32 {
    id_end.max(2).next_power_of_two().trailing_zeros()
}

/// Too many keys fall on the same slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowded;

/// A set of hashes that may say yes to others too, small enough to stay in the cache.
pub(super) struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// A set for `count` hashes: at the most a quarter of the bits are set.
    pub(super) fn new(count: usize) -> Self {
        let bits = (4 * count).next_power_of_two().trailing_zeros().max(6);
        Self { bits: vec![0; 1 << (bits - 6)], shift: 64 - bits }
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, hash: u64) {
        let at = hash >> self.shift;
        self.bits[(at >> 6) as usize] |= 1 << (at & 63);
    }

    /// 1 if the hash may be in the set, 0 if it is not.
    #[inline(always)]
    pub(super) fn has(&self, hash: u64) -> u64 {
        let at = hash >> self.shift;
        self.bits[(at >> 6) as usize] >> (at & 63) & 1
    }
}

/// The factor by which hashes of bytes go on.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash of bytes, not [`mixed`] yet: that of the bytes before, and one byte more.
#[inline(always)]
pub(super) fn and_byte(hash: u64, byte: u8) -> u64 {
    hash.wrapping_mul(FACTOR).wrapping_add(u64::from(byte) + 1)
}

/// The hash of bytes, not [`mixed`] yet.
#[inline(always)]
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |hash, byte| and_byte(hash, *byte))
}

/// What a hash is multiplied by when so many bytes follow: `of_bytes(ab) = of_bytes(a) * factor(len b) + of_bytes(b)`.
pub(super) fn factors(count: usize) -> Vec<u64> {
    std::iter::successors(Some(1u64), |factor| Some(factor.wrapping_mul(FACTOR))).take(count).collect()
}

/// Spreads a hash over all its bits.
#[inline(always)]
pub(super) fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    hash ^ hash >> 32
}

/// The hash of two ids, mixed.
#[inline(always)]
pub(super) fn of_pair(left: u32, right: u32) -> u64 {
    mixed((u64::from(left) << 32 | u64::from(right)).wrapping_mul(FACTOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found() {
        let keys: Vec<String> = (0..5000).map(|n| format!("key {n}")).collect();
        let mut slots = Slots::new(keys.len(), keys.len() as u32);
        let hash = |key: &str| mixed(of_bytes(key.as_bytes()));
        for (id, key) in keys.iter().enumerate() {
            assert_eq!(slots.insert(hash(key), id as u32, |other| keys[other as usize] == *key), Ok(None));
        }
        for (id, key) in keys.iter().enumerate() {
            let is = |other: u32| keys[other as usize] == *key;
            assert_eq!(slots.find(hash(key), is), Some(id as u32));
            assert_eq!(slots.insert(hash(key), 7, is), Ok(Some(id as u32)));
        }
        assert_eq!(slots.find(hash("none"), |other| keys[other as usize] == "none"), None);
    }

    #[test]
    fn keys_that_all_collide_are_an_error() {
        let mut slots = Slots::new(1000, 1000);
        let full = (0..1000).find(|id| slots.insert(u64::MAX, *id, |_| false).is_err());
        assert_eq!(full, Some(MAX_PROBES as u32));
    }

    #[test]
    fn hashes_of_parts() {
        let (left, right) = (&b"left "[..], &b"right"[..]);
        let whole = of_bytes(&[left, right].concat());
        assert_eq!(whole, of_bytes(left).wrapping_mul(factors(9)[5]).wrapping_add(of_bytes(right)));
        assert_ne!(of_bytes(b"\0"), of_bytes(b"\0\0"));
    }
}
