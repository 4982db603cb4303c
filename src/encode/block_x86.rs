//! Blocks of characters on x86: 16 are joined at a time with AVX-512; and work compiled for that, or for AVX2.
//!
//! The places in the tables are those of the plain reading; an edge's marks decide whether the set and the masks of
//! [`Cuts`] are looked at, which for most edges they need not be.
//!
//! `unsafe` here is three things: intrinsics, whose presence a value of [`Avx512`] or [`Avx2`] proves; loads and stores of
//! 64 bytes, and of the 16 of an entry, in arrays that are as long; and gathers from tables, each index of which is below
//! the table's length, as said there. The readings are compared by the tests of `block.rs`, and by the fuzz target
//! `encode` with plain merging.

use std::arch::x86_64::*;

use super::block::{Block, PLACES, Place, Plain, PreTokens, Reading, STEP, Work};
use super::characters::{Characters, Entry};
use super::characters_x86;
use super::cuts::{Cuts, FIRSTS_SHIFT, HASH, LASTS_SHIFT, LEFT, MASK_BITS, MASKS, RIGHT, WORDS};
use super::gathered::Gathered;
use super::gathered_x86;
use super::ids::Room;
use super::known::{Asked, Known, Run};
use super::known_x86;
use super::memo::{FewIds, Key, Memo};
use super::whole::WholePairs;
use super::whole_x86;
use crate::vocab::TokenId;

/// A value is proof that the machine has the instructions; with `BYTES` also those that move bytes about in a register, as
/// machines of 2019 on have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512<const BYTES: bool = false>(());

impl<const BYTES: bool> Avx512<BYTES> {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        let moves = || is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512vbmi2");
        (found && (!BYTES || moves())).then_some(Self(()))
    }

    /// Work that is compiled for these instructions.
    pub(super) fn run<W: Work>(self, work: W) {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled<W: Work>(lanes: impl Reading, work: W) {
            work.run(lanes);
        }
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
        fn compiled_for_bytes<W: Work>(lanes: impl Reading, work: W) {
            work.run(lanes);
        }
        // SAFETY: `self` proves every feature.
        unsafe { if BYTES { compiled_for_bytes(self, work) } else { compiled(self, work) } }
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

impl<const BYTES: bool> Reading for Avx512<BYTES> {
    #[inline(always)]
    fn apart(self, work: impl Work) {
        self.run(work);
    }

    #[inline(always)]
    fn some(self, text: &[u8], pre_tokens: PreTokens<'_>, block: &mut Block, place: &mut Place) {
        match text[place.at..].first_chunk() {
            // SAFETY: `self` proves the instructions.
            Some(text) if BYTES => unsafe { characters_x86::some(text, pre_tokens, block, place) },
            _ => Plain.some(text, pre_tokens, block, place),
        }
    }

    #[inline(always)]
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> (u64, u64) {
        // SAFETY: `self` proves the instructions.
        unsafe { joined(characters, block, count) }
    }

    #[inline(always)]
    fn known(self, memo: &Memo, asked: &[Asked], run: &mut Run) -> Known {
        // SAFETY: `self` proves the instructions.
        unsafe { known_x86::known(memo, asked, run) }
    }

    #[inline(always)]
    fn find(self, memo: &Memo, key: Key, set: usize) -> Option<FewIds> {
        // SAFETY: `self` proves the instructions.
        unsafe { known_x86::find(memo, key, set) }
    }

    #[inline(always)]
    fn more(self, block: &Block) -> [u64; 2] {
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
    fn tokens(self, block: &mut Block) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe { tokens(block) }
    }

    #[inline(always)]
    fn merge(self, pairs: &WholePairs, tokens: &mut [TokenId; PLACES], ends: u64, count: usize) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe { whole_x86::merge(pairs, tokens, ends, count) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn tokens(block: &mut Block) -> u64 {
    let mut single = 0;
    for at in (0..block.count).step_by(STEP) {
        let entries: &[Entry; STEP] = block.gathered.ids[at..].first_chunk().expect("a block is a number of steps");
        // SAFETY: four entries have 64 bytes.
        let fours = std::array::from_fn(|four| unsafe { _mm512_loadu_si512(entries[4 * four..].as_ptr().cast()) });
        store(&mut block.tokens, at, words_of::<0>(fours));
        let counts = _mm512_and_si512(load(&block.marks, at), all(3));
        single |= u64::from(_mm512_cmpeq_epi32_mask(counts, all(1))) << at;
    }
    single & u64::MAX >> (64 - block.count)
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn joined(characters: &Characters, block: &mut Block, count: usize) -> (u64, u64) {
    let (mut joined, mut partial) = (0, 0);
    let mut before = sides(characters, block, 0);
    for at in (0..count).step_by(STEP) {
        // Of the last edge of a block nothing is asked.
        let next = if at + STEP < count { sides(characters, block, at + STEP) } else { before };
        let behind = Sides {
            codes: _mm512_alignr_epi32::<1>(next.codes, before.codes),
            marks: _mm512_alignr_epi32::<1>(next.marks, before.marks),
        };
        let (spanned, by_part) = edges(characters.cuts(), before, behind);
        joined |= u64::from(spanned) << at;
        partial |= u64::from(by_part) << at;
        before = next;
    }
    (joined, partial)
}

/// Reads the entries of sixteen characters of a block.
///
/// They are loaded one by one and put together, as all of them are wanted; gathering their marks took longer.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn sides(characters: &Characters, block: &mut Block, at: usize) -> Sides {
    let codes: &[u32; STEP] = block.codes[at..].first_chunk().expect("a step fits behind every count");
    let entries: &mut [Entry; STEP] = block.gathered.ids[at..].first_chunk_mut().expect("a block is a number of steps");
    let mut fours = [all(0); 4];
    for ((four, codes), entries) in fours.iter_mut().zip(codes.as_chunks::<4>().0).zip(entries.as_chunks_mut::<4>().0) {
        let [a, b, c, d] = codes.map(|code| load_entry(characters.entry_of_block(code)));
        let [low, high] = [[a, b], [c, d]].map(|[a, b]| _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b));
        *four = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
        // SAFETY: four entries have 64 bytes.
        unsafe { _mm512_storeu_si512(entries.as_mut_ptr().cast(), *four) };
    }
    let marks = words_of::<3>(fours);
    let codes = load(&block.codes, at);
    store(&mut block.marks, at, marks);
    Sides { codes, marks }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_entry(entry: &Entry) -> __m128i {
    // SAFETY: an entry has 16 bytes.
    unsafe { _mm_loadu_si128(entry.as_ptr().cast()) }
}

/// This word of each of sixteen entries.
#[target_feature(enable = "avx512f")]
#[inline]
fn words_of<const WORD: i32>(fours: [__m512i; 4]) -> __m512i {
    let of_two = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 0, 0, 0, 0, 0, 0, 0);
    let of_two = _mm512_add_epi32(of_two, all(WORD as u32));
    let low = _mm512_permutex2var_epi32(fours[0], of_two, fours[1]);
    let high = _mm512_permutex2var_epi32(fours[2], of_two, fours[3]);
    _mm512_inserti64x4::<1>(low, _mm512_castsi512_si256(high))
}

/// Sixteen characters of a block from `at` on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(of: &[u32; PLACES], at: usize) -> __m512i {
    let of: &[u32; STEP] = of[at..].first_chunk().expect("a step and one more fit behind every count");
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_si512(of.as_ptr().cast()) }
}

/// Writes sixteen places of a block from `at` on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn store(to: &mut [u32; PLACES], at: usize, numbers: __m512i) {
    let to: &mut [u32; STEP] = to[at..].first_chunk_mut().expect("a step fits behind every count");
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), numbers) };
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
    let [some_first, some_last] = [firsts, lasts].map(|numbers| _mm512_test_epi32_mask(numbers, numbers));
    let mut by_part = 0;
    if some_first | some_last != 0 {
        // Mostly one of the two has bits, if any, so that they are looked for together.
        let last_bits = _mm512_and_si512(before.codes, all(63));
        let numbers = _mm512_mask_mov_epi32(lasts, some_first, firsts);
        let places = _mm512_mask_mov_epi32(last_bits, some_first, first_bits(behind.codes));
        by_part = of_masks(masks, some_first | some_last, numbers, places);
        let both = some_first & some_last;
        if both != 0 {
            by_part |= of_masks(masks, both, lasts, last_bits);
        }
    }
    (spanned | by_part, both_ascii | by_part)
}

/// Which of `asked` have, in the masks with these numbers, of `MASK_BITS` bits, the bits of these places, below 64.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn of_masks(masks: &[u64; MASKS], asked: __mmask16, numbers: __m512i, places: __m512i) -> __mmask16 {
    let half = _mm512_add_epi32(_mm512_slli_epi32::<1>(numbers), _mm512_srli_epi32::<5>(places));
    // SAFETY: a number is below `MASKS`, and there are two halves of each, told apart by a bit of the place.
    let words = unsafe { _mm512_mask_i32gather_epi32::<4>(all(0), asked, half, masks.as_ptr().cast()) };
    bits(asked, words, places)
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
