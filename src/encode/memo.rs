//! A memo of pieces and their ids, of fixed size: what was encoded once is looked up when it comes again.
//!
//! A key holds the bytes of its piece, so two pieces never share an entry. Pieces of up to 15 bytes and 4 ids stand in
//! slots of 32 bytes, two to a line of the cache; those of up to 31 bytes and 7 ids in slots of 64 bytes, two to a set;
//! longer ones, as lines of `=` and long names, wherever the allocator puts them, four to a set (with one place each,
//! English that is met again was a seventh slower). A piece of up to 15 bytes with more ids than four leaves a mark in a
//! short slot: without it nothing else need be looked at to know that a short piece is new. An entry that is put in takes
//! the place of the oldest of its set; which entries are there changes time alone, never ids.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::segment::Pages;
use crate::segment::prefetch;
use crate::vocab::TokenId;

/// The longest piece of a short slot, in bytes.
pub(super) const SHORT: usize = 15;
/// The longest piece of a long slot, in bytes.
const LONG: usize = 31;
/// The longest piece that is kept, in bytes.
const LONGEST: usize = 2048;
/// The most ids of one that is kept: runs have few, and text that has one for each byte shall not fill the memory.
const LONGEST_IDS: usize = 512;
/// The most ids of a long slot.
const LONG_IDS: usize = 7;

/// Up to four ids; the number of them stands in the top byte of the last.
pub(super) type FewIds = [TokenId; 4];

/// Sets of short slots, 8 MB, and of long slots, 2 MB.
const SHORT_BITS: u32 = 17;
const LONG_BITS: u32 = 14;
/// Sets of longer pieces.
const LONGEST_BITS: u32 = 10;
/// Long slots of a set, and longer pieces.
const LONG_WAYS: usize = 2;
const LONGEST_WAYS: usize = 4;

/// The piece as a number: its bytes, and its length in the top byte. No piece has key 0.
pub(super) type Key = u128;

/// Added to the key of a short piece that has a long slot.
const HAS_LONG: Key = 1 << 126;

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Long {
    keys: [Key; 2],
    count: u32,
    ids: [TokenId; LONG_IDS],
}

#[derive(Clone, Default)]
struct Longest {
    /// Of the piece, all bits.
    hash: u64,
    piece: Vec<u8>,
    ids: Vec<TokenId>,
}

#[derive(Clone)]
pub(super) struct Memo {
    /// Sets of two slots of 32 bytes: a key and ids.
    short: Pages,
    long: Vec<[Long; LONG_WAYS]>,
    longest: Vec<[Longest; LONGEST_WAYS]>,
}

/// Puts ids into the form of [`FewIds`].
pub(super) fn few_ids(ids: &[TokenId]) -> Option<FewIds> {
    let mut few = [0; 4];
    if ids.len() > few.len() {
        return None;
    }
    few.iter_mut().zip(ids).for_each(|(place, id)| *place = *id);
    few[3] |= (ids.len() as u32) << 24;
    Some(few)
}

/// The first of the ids in `few`, three or four, and how many of them count.
#[inline(always)]
pub(super) fn of_few(few: FewIds) -> ([TokenId; 4], usize) {
    ([few[0], few[1], few[2], few[3] & 0xFF_FFFF], (few[3] >> 24) as usize)
}

/// The key of `text[start..end]`, 1 to [`SHORT`] bytes.
#[inline(always)]
pub(super) fn short_key(text: &[u8], start: usize, end: usize) -> Key {
    let length = end - start;
    sixteen(text, start, end) & MASKS[length] | (length as Key) << 120
}

/// By length, the bytes that count.
const MASKS: [Key; SHORT + 1] = {
    let (mut masks, mut length) = ([0; SHORT + 1], 1);
    while length <= SHORT {
        masks[length] = Key::MAX >> (128 - 8 * length);
        length += 1;
    }
    masks
};

/// The bytes from `start` on, of which at least those before `end` are right, at most 16.
#[inline(always)]
fn sixteen(text: &[u8], start: usize, end: usize) -> Key {
    match text[start..].first_chunk() {
        Some(sixteen) => Key::from_le_bytes(*sixteen),
        None => padded(&text[start..end]),
    }
}

#[cold]
fn padded(bytes: &[u8]) -> Key {
    let mut sixteen = [0; 16];
    sixteen[..bytes.len()].copy_from_slice(bytes);
    Key::from_le_bytes(sixteen)
}

/// The keys of 1 to [`LONG`] bytes, the second with their number on top.
fn long_keys(text: &[u8], piece: Range<usize>) -> [Key; 2] {
    let length = piece.len();
    if length <= SHORT {
        return [short_key(text, piece.start, piece.end), (length as Key) << 120];
    }
    let second = piece.start + 16;
    let rest = sixteen(text, second, piece.end) & !(Key::MAX << (8 * (length - 16)));
    [sixteen(text, piece.start, second), rest | (length as Key) << 120]
}

/// The set of a short key.
#[inline(always)]
pub(super) fn set_of(key: Key) -> usize {
    (mixed(key) >> (64 - SHORT_BITS)) as usize
}

#[inline(always)]
fn mixed(key: Key) -> u64 {
    let (low, high) = (key as u64, (key >> 64) as u64);
    (low ^ high.rotate_left(23).wrapping_mul(0xA076_1D64_78BD_642F)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Memo {
    pub(super) fn new() -> Self {
        Self {
            short: Pages::zeros(64 << SHORT_BITS),
            long: vec![Default::default(); 1 << LONG_BITS],
            longest: vec![Default::default(); 1 << LONGEST_BITS],
        }
    }

    /// The two slots of a set: the key and the ids of each.
    #[inline(always)]
    pub(super) fn set(&self, set: usize) -> &[u8; 64] {
        let (sets, _) = self.short.bytes().as_chunks();
        &sets[set & (sets.len() - 1)]
    }

    /// Asks for a set that will be looked at.
    #[inline(always)]
    pub(super) fn prefetch(&self, set: usize) {
        prefetch(self.set(set));
    }

    /// The ids of a short piece, if they are known; `set` is [`set_of`] its key.
    #[inline(always)]
    pub(super) fn short(&self, key: Key, set: usize) -> Option<FewIds> {
        let (slots, _) = self.set(set).as_chunks::<32>();
        if key_of(&slots[0]) == key {
            Some(ids_of(&slots[0]))
        } else if key_of(&slots[1]) == key {
            Some(ids_of(&slots[1]))
        } else {
            None
        }
    }

    /// Whether [`Memo::long`] may know a piece that is not among the short ones by its key and set; what it will look at is
    /// asked for.
    #[inline(always)]
    pub(super) fn ask_long(&self, text: &[u8], piece: Range<usize>, (key, set): (Key, usize)) -> bool {
        let may_know = piece.len() > SHORT || self.short(key | HAS_LONG, set).is_some();
        if may_know && piece.len() <= LONG {
            prefetch(&self.long[long_set(long_keys(text, piece))]);
        }
        may_know
    }

    /// The ids of a piece of a text that is longer than a short one, or has more ids, if they are known.
    pub(super) fn long(&self, text: &[u8], piece: Range<usize>) -> Option<&[TokenId]> {
        if piece.len() <= SHORT {
            let key = short_key(text, piece.start, piece.end);
            self.short(key | HAS_LONG, set_of(key))?;
        }
        if piece.len() <= LONG {
            let keys = long_keys(text, piece);
            let slot = self.long[long_set(keys)].iter().find(|slot| slot.keys == keys)?;
            return Some(&slot.ids[..slot.count as usize]);
        }
        let piece = &text[piece];
        if piece.len() > LONGEST {
            return None;
        }
        let hash = xxh3_64(piece);
        let slots = &self.longest[longest_set(hash)];
        slots.iter().find(|slot| slot.hash == hash && slot.piece == piece).map(|slot| &slot.ids[..])
    }

    /// Keeps the ids of a piece of a text, if both are short enough.
    pub(super) fn keep(&mut self, text: &[u8], piece: Range<usize>, ids: &[TokenId]) {
        let Range { start, end } = piece;
        match few_ids(ids) {
            Some(few) if piece.len() <= SHORT => self.keep_short(short_key(text, start, end), 0, few),
            _ if piece.len() <= LONG && ids.len() <= LONG_IDS => {
                if piece.len() <= SHORT {
                    self.keep_short(short_key(text, start, end), HAS_LONG, [0; 4]);
                }
                let keys = long_keys(text, piece);
                let mut slot = Long { keys, count: ids.len() as u32, ids: [0; LONG_IDS] };
                slot.ids[..ids.len()].copy_from_slice(ids);
                let slots = &mut self.long[long_set(keys)];
                slots.rotate_right(1);
                slots[0] = slot;
            }
            _ if (LONG + 1..=LONGEST).contains(&piece.len()) && ids.len() <= LONGEST_IDS => {
                let piece = &text[piece];
                let hash = xxh3_64(piece);
                let slots = &mut self.longest[longest_set(hash)];
                slots.rotate_right(1);
                let slot = &mut slots[0];
                slot.hash = hash;
                slot.piece.clear();
                slot.piece.extend_from_slice(piece);
                slot.ids.clear();
                slot.ids.extend_from_slice(ids);
            }
            _ => {}
        }
    }

    /// Puts a key with a mark into its set, in the place of the older one there.
    fn keep_short(&mut self, key: Key, mark: Key, few: FewIds) {
        let set = 64 * set_of(key);
        let slots = &mut self.short.bytes_mut()[set..set + 64];
        slots.copy_within(..32, 32);
        slots[..16].copy_from_slice(&(key | mark).to_le_bytes());
        for (place, id) in slots[16..32].as_chunks_mut::<4>().0.iter_mut().zip(few) {
            *place = id.to_le_bytes();
        }
    }
}

#[inline(always)]
fn key_of(slot: &[u8; 32]) -> Key {
    let (halves, _) = slot.as_chunks();
    Key::from_le_bytes(halves[0])
}

#[inline(always)]
fn ids_of(slot: &[u8; 32]) -> FewIds {
    let (ids, _) = slot.as_chunks::<4>();
    [4, 5, 6, 7].map(|at| TokenId::from_le_bytes(ids[at]))
}

fn longest_set(hash: u64) -> usize {
    (hash >> (64 - LONGEST_BITS)) as usize
}

fn long_set(keys: [Key; 2]) -> usize {
    (mixed(keys[0] ^ keys[1].wrapping_mul(0xD6E8_FEB8_6659_FD93)) >> (64 - LONG_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let mut memo = Memo::new();
        let text = b"0123456789abcdefghijklmnopqrstuvwxyz";
        for length in 1..=text.len() {
            for count in 1..=9usize {
                let ids: Vec<TokenId> = (0..count).map(|n| (1 << 24) - 1 - n as u32).collect();
                memo.keep(text, 0..length, &ids);
                let short = (length <= SHORT).then(|| short_key(text, 0, length));
                let found = short.and_then(|key| memo.short(key, set_of(key)));
                let found = found.map(of_few).map(|(ids, count)| ids[..count].to_vec());
                let long = memo.long(text, 0..length).map(<[TokenId]>::to_vec);
                match (length, count) {
                    (..=SHORT, ..=4) => assert_eq!(found, Some(ids)),
                    (..=LONG, ..=LONG_IDS) => assert_eq!(long, Some(ids)),
                    (..=LONG, _) => assert_ne!(long, Some(ids)),
                    _ => assert_eq!(long, Some(ids)),
                }
            }
        }
    }

    #[test]
    fn what_may_be_among_the_longer_ones() {
        let mut memo = Memo::new();
        let text = b"short longer than a short one, and more than that still";
        memo.keep(text, 0..3, &[1]);
        memo.keep(text, 1..4, &[1, 2, 3, 4, 5]);
        let may_know = |piece: Range<usize>| {
            let key = if piece.len() <= SHORT { short_key(text, piece.start, piece.end) } else { Key::MAX };
            memo.ask_long(text, piece, (key, set_of(key)))
        };
        assert_eq!(
            [0..3, 1..4, 0..4, 0..SHORT, 0..SHORT + 1, 0..text.len()].map(may_know),
            [false, true, false, false, true, true]
        );
    }

    #[test]
    fn long_pieces_are_kept_if_their_ids_are_few() {
        let mut memo = Memo::new();
        let text = vec![b' '; LONGEST + 1];
        for (length, count, kept) in [
            (LONGEST, LONGEST_IDS, true),
            (LONGEST - 1, LONGEST_IDS + 1, false),
            (LONGEST + 1, 1, false),
            (LONG + 1, LONG + 1, true),
        ] {
            let ids: Vec<TokenId> = (0..count as u32).collect();
            memo.keep(&text, 0..length, &ids);
            assert_eq!(memo.long(&text, 0..length), kept.then_some(&ids[..]), "{length} {count}");
        }
    }

    #[test]
    fn a_set_holds_the_latest() {
        for (length, ways) in [(20, LONG_WAYS), (40, LONGEST_WAYS)] {
            let pieces = (0..).map(|number| format!("{number:0length$}").into_bytes());
            let set = |piece: &[u8]| match length {
                20 => long_set(long_keys(piece, 0..20)),
                _ => longest_set(xxh3_64(piece)),
            };
            let of_one_set: Vec<Vec<u8>> = pieces.filter(|piece| set(piece) == 7).take(ways + 1).collect();
            let mut memo = Memo::new();
            for (id, piece) in (0..).zip(&of_one_set) {
                memo.keep(piece, 0..length, &[id]);
            }
            let found: Vec<_> = of_one_set.iter().map(|piece| memo.long(piece, 0..length).map(<[_]>::to_vec)).collect();
            let wanted = (0..).map(|id| (id > 0).then(|| vec![id])).take(ways + 1);
            assert_eq!(found, wanted.collect::<Vec<_>>());
        }
    }

    #[test]
    fn pieces_that_begin_alike_differ() {
        let mut memo = Memo::new();
        memo.keep(b"a", 0..1, &[1]);
        let key = short_key(b"a\0", 0, 2);
        assert_eq!(memo.short(key, set_of(key)), None);
        assert_eq!(short_key(b"xab", 1, 3), short_key(b"ab and much more text", 0, 2));
        assert_ne!(long_keys(b"0123456789abcdef\0", 0..17), long_keys(b"0123456789abcdef", 0..16));
    }
}
