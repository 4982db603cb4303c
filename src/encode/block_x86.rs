//! Blocks of characters on x86: read 16 at a time with AVX-512, and work compiled for that, or for AVX2.
//!
//! The places in the tables are those of the plain reading; an edge's marks decide whether the set and the masks of
//! [`Cuts`] are looked at, which for most edges they need not be. On an Intel Xeon of 2023 Chinese was faster by a seventh
//! than with the plain reading.
//!
//! `unsafe` here is three things: intrinsics, whose presence a value of [`Avx512`] or [`Avx2`] proves; loads and stores of
//! 64 bytes in arrays that are as long; and gathers from tables, each index of which is below the table's length, as said
//! there. Both readings are compared by the tests of `block.rs`, and by the fuzz target `encode` with plain merging.

use std::arch::x86_64::*;

use super::block::{Block, PLACES, Plain, Reading, STEP, Work};
use super::characters::Characters;
use super::cuts::{Cuts, FIRSTS_SHIFT, HASH, LASTS_SHIFT, LEFT, MASK_BITS, MASKS, RIGHT, WORDS};
use super::gathered::Gathered;
use super::gathered_x86;
use super::ids::Room;
use super::known::{Asked, Known};
use super::known_x86;
use super::memo::{FewIds, Key, Memo};
use super::whole::WholePairs;
use super::whole_x86;
use crate::vocab::TokenId;

/// A value is proof that the machine has the instructions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Self(()))
    }

    /// Work that is compiled for these instructions.
    pub(super) fn run<W: Work>(self, work: W) {
        #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<W: Work>(lanes: Avx512, work: W) {
            work.run(lanes);
        }
        // SAFETY: `self` proves every feature.
        unsafe { compiled(self, work) }
    }
}

/// The instructions of 2013 on, with the plain reading. A value is proof that the machine has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        found.then_some(Self(()))
    }

    /// Work that is compiled for these instructions.
    pub(super) fn run<W: Work>(self, work: W) {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<W: Work>(work: W) {
            work.run(Plain);
        }
        // SAFETY: `self` proves every feature.
        unsafe { compiled(work) }
    }
}

impl Reading for Avx512 {
    #[inline(always)]
    fn three_bytes(self, text: &[u8], at: usize, most: usize, block: &mut Block, count: usize) -> usize {
        let Some(bytes) = text[at..].first_chunk::<64>() else {
            return Plain.three_bytes(text, at, most, block, count);
        };
        let codes: &mut [u32; STEP] = block.codes[count..].first_chunk_mut().expect("a step fits behind every count");
        let starts: &mut [u32; STEP] = block.starts[count..].first_chunk_mut().expect("a step fits behind every count");
        // SAFETY: `self` proves the instructions; loads and stores are of arrays of 64 bytes.
        let threes = unsafe {
            // Four characters to a lane of 16 bytes, each then a word with its first byte on top.
            let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
            let lanes = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
            let order = _mm512_broadcast_i32x4(_mm_setr_epi8(2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1));
            let words = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(lanes, bytes), order);
            let third = _mm512_and_si512(words, _mm512_set1_epi32(0x3F));
            let second = _mm512_and_si512(_mm512_srli_epi32::<2>(words), _mm512_set1_epi32(0xFC0));
            let first = _mm512_and_si512(_mm512_srli_epi32::<4>(words), _mm512_set1_epi32(0xF000));
            // At most 0xFFFF, whatever the bytes are.
            _mm512_storeu_si512(codes.as_mut_ptr().cast(), _mm512_or_si512(third, _mm512_or_si512(second, first)));
            let offsets = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45);
            let places = _mm512_add_epi32(_mm512_set1_epi32(at as i32), offsets);
            _mm512_storeu_si512(starts.as_mut_ptr().cast(), places);
            let top = _mm512_and_si512(words, _mm512_set1_epi32(0xF0_0000));
            _mm512_cmpeq_epi32_mask(top, _mm512_set1_epi32(0xE0_0000))
        };
        (threes.trailing_ones() as usize).min(most)
    }

    #[inline(always)]
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> (u64, u64) {
        // SAFETY: `self` proves the instructions.
        unsafe { joined(characters, block, count) }
    }

    #[inline(always)]
    fn known(self, memo: &Memo, asked: &[Asked], room: &mut Room) -> Known {
        // SAFETY: `self` proves the instructions.
        unsafe { known_x86::known(memo, asked, room) }
    }

    #[inline(always)]
    fn find(self, memo: &Memo, key: Key, set: usize) -> Option<FewIds> {
        // SAFETY: `self` proves the instructions.
        unsafe { known_x86::find(memo, key, set) }
    }

    #[inline(always)]
    fn more(self, _: &Characters, block: &Block) -> [u64; 2] {
        // SAFETY: `self` proves the instructions.
        unsafe { gathered_x86::more(block) }
    }

    #[inline(always)]
    fn write(self, gathered: &Gathered, heads: u64, room: &mut Room) -> usize {
        // SAFETY: `self` proves the instructions.
        unsafe { gathered_x86::write(gathered, heads, room) }
    }

    const MERGES: bool = true;

    #[inline(always)]
    fn tokens(self, characters: &Characters, block: &mut Block) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe { tokens(characters, block) }
    }

    #[inline(always)]
    fn merge(self, pairs: &WholePairs, tokens: &mut [TokenId; PLACES], ends: u64, count: usize) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe { whole_x86::merge(pairs, tokens, ends, count) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn tokens(characters: &Characters, block: &mut Block) -> u64 {
    let mut single = 0;
    for at in (0..block.count).step_by(STEP) {
        let codes = _mm512_and_si512(load(&block.codes, at), all(0xFFFF));
        let tokens: &mut [u32; STEP] = block.tokens[at..].first_chunk_mut().expect("a step fits behind every count");
        // SAFETY: an entry of each of these codes has 16 bytes, the first four of which are loaded.
        unsafe {
            let entries = characters.entries().as_ptr().cast::<u8>();
            let gathered = _mm512_i32gather_epi32::<8>(_mm512_slli_epi32::<1>(codes), entries.cast());
            _mm512_storeu_si512(tokens.as_mut_ptr().cast(), gathered);
        }
        let counts = _mm512_and_si512(load(&block.marks, at), all(3));
        single |= u64::from(_mm512_cmpeq_epi32_mask(counts, all(1))) << at;
    }
    single & u64::MAX >> (64 - block.count)
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn joined(characters: &Characters, block: &mut Block, count: usize) -> (u64, u64) {
    for at in (0..count).step_by(STEP) {
        let codes = _mm512_and_si512(load(&block.codes, at), all(0xFFFF));
        // SAFETY: an entry of each of these codes has 16 bytes, the last four of which are loaded.
        unsafe {
            let entries = characters.entries().as_ptr().cast::<u8>().add(12);
            let gathered = _mm512_i32gather_epi32::<8>(_mm512_slli_epi32::<1>(codes), entries.cast());
            let marks: &mut [u32; STEP] = block.marks[at..].first_chunk_mut().expect("a step fits behind every count");
            _mm512_storeu_si512(marks.as_mut_ptr().cast(), gathered);
        }
    }
    let (mut joined, mut partial) = (0, 0);
    for at in (0..count.saturating_sub(1)).step_by(STEP) {
        let before = Sides { codes: load(&block.codes, at), marks: load(&block.marks, at) };
        let behind = Sides { codes: load(&block.codes, at + 1), marks: load(&block.marks, at + 1) };
        let (spanned, by_part) = edges(characters.cuts(), before, behind);
        joined |= u64::from(spanned) << at;
        partial |= u64::from(by_part) << at;
    }
    (joined, partial)
}

/// Sixteen characters of a block from `at` on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(of: &[u32; PLACES], at: usize) -> __m512i {
    let of: &[u32; STEP] = of[at..].first_chunk().expect("a step and one more fit behind every count");
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_si512(of.as_ptr().cast()) }
}

/// Sixteen characters: their code points and marks.
#[derive(Clone, Copy)]
struct Sides {
    codes: __m512i,
    marks: __m512i,
}

/// Which of 16 edges may be spanned, or lie between two ASCII characters; and which of them do, or may be spanned by a token
/// that begins or ends inside a character beside them.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn edges(cuts: &Cuts, before: Sides, behind: Sides) -> (u16, u16) {
    let (set, masks, shift) = cuts.tables();
    let both_ascii = _mm512_cmplt_epu32_mask(_mm512_or_si512(before.codes, behind.codes), all(0x80));
    let mut spanned = both_ascii;
    let is_left = _mm512_test_epi32_mask(before.marks, all(LEFT));
    let marked = _mm512_mask_test_epi32_mask(is_left, behind.marks, all(RIGHT));
    if marked != 0 {
        let pairs = _mm512_xor_si512(_mm512_slli_epi32::<16>(before.codes), behind.codes);
        let hash = _mm512_mullo_epi32(pairs, all(HASH));
        let place = _mm512_srl_epi32(hash, _mm_cvtsi32_si128(shift as i32));
        let half = _mm512_and_si512(_mm512_srli_epi32::<5>(place), all(2 * WORDS as u32 - 1));
        // SAFETY: the set has `2 * WORDS` halves of words.
        let words = unsafe { _mm512_mask_i32gather_epi32::<4>(all(0), marked, half, set.as_ptr().cast()) };
        spanned |= bits(marked, words, place);
    }
    let firsts = _mm512_and_si512(_mm512_srli_epi32::<FIRSTS_SHIFT>(before.marks), all((1 << MASK_BITS) - 1));
    let lasts = _mm512_srli_epi32::<LASTS_SHIFT>(behind.marks);
    let by_first = of_masks(masks, firsts, first_bits(behind.codes));
    let by_part = by_first | of_masks(masks, lasts, _mm512_and_si512(before.codes, all(63)));
    (spanned | by_part, both_ascii | by_part)
}

/// Which of the masks with these numbers, of `MASK_BITS` bits, have the bits of these places, below 64.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn of_masks(masks: &[u64; MASKS], numbers: __m512i, places: __m512i) -> __mmask16 {
    // Mask 0 has none.
    let some = _mm512_test_epi32_mask(numbers, numbers);
    if some == 0 {
        return 0;
    }
    let half = _mm512_add_epi32(_mm512_slli_epi32::<1>(numbers), _mm512_srli_epi32::<5>(places));
    // SAFETY: a number is below `MASKS`, and there are two halves of each, told apart by a bit of the place.
    let words = unsafe { _mm512_mask_i32gather_epi32::<4>(all(0), some, half, masks.as_ptr().cast()) };
    bits(some, words, places)
}

/// Which of `found` have the bit of this place, its lowest five bits, in these halves of words.
#[target_feature(enable = "avx512f")]
#[inline]
fn bits(found: __mmask16, words: __m512i, places: __m512i) -> __mmask16 {
    let bits = _mm512_srlv_epi32(words, _mm512_and_si512(places, all(31)));
    _mm512_mask_test_epi32_mask(found, bits, all(1))
}

/// The low six bits of the first bytes of characters of up to three bytes.
#[target_feature(enable = "avx512f")]
#[inline]
fn first_bits(codes: __m512i) -> __m512i {
    let of_three = _mm512_or_si512(_mm512_srli_epi32::<12>(codes), all(32));
    let is_three = _mm512_cmpge_epu32_mask(codes, all(0x800));
    let is_one = _mm512_cmplt_epu32_mask(codes, all(0x80));
    let of_others = _mm512_mask_mov_epi32(_mm512_srli_epi32::<6>(codes), is_three, of_three);
    _mm512_mask_and_epi32(of_others, is_one, codes, all(63))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn all(word: u32) -> __m512i {
    _mm512_set1_epi32(word as i32)
}
