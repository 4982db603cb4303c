//! [`WholePairs::merge`] with AVX-512: 16 pairs are looked up at once.
//!
//! Tokens that are left stand side by side, and so do the ranks of each with the next, so neighbours are 16 lanes from one
//! place further on. The two places of a pair are gathered, which costs less than a jump that is not foreseen.

use std::arch::x86_64::*;

use super::block::{PLACES, STEP};
use super::block_x86::{all, load};
use super::pairs::NONE;
use super::whole::{FROM_LEFT, FROM_RIGHT, HASH, LEFT_SHIFT, RANK_SHIFT, RIGHT_SHIFT, VALUE, WholePairs};
use crate::vocab::TokenId;

/// The ranks of tokens with those behind them, as [`WholePairs`] gives them, from place 1 on: before the first and behind
/// the last stands none.
type Values = [u32; PLACES + 1];

/// As [`WholePairs::merge`].
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn merge(pairs: &WholePairs, tokens: &mut [TokenId; PLACES], ends: u64, count: usize) -> u64 {
    let mut ends = ends | u64::MAX << (count - 1);
    let (mut values, mut count, mut left) = ([NONE; PLACES + 1], count, u64::MAX >> (64 - count));
    look_up(pairs, tokens, &mut values, (u64::MAX >> (64 - count), ends), count);
    loop {
        let chosen = choose(&values, ends, count);
        if chosen == 0 {
            return left;
        }
        let kept = !(chosen << 1) & u64::MAX >> (64 - count);
        count = join(pairs, tokens, &mut values, (chosen, kept), count);
        left = _pdep_u64(kept, left);
        // A token ends a piece if its right part did. Its rank, and that of the token before it, have changed.
        ends = _pext_u64(ends & !chosen | ends >> 1 & chosen, kept) | u64::MAX << (count - 1);
        let changed = _pext_u64(chosen | chosen >> 1, kept);
        look_up(pairs, tokens, &mut values, (changed, ends), count);
    }
}

/// Looks up the ranks of these tokens with those behind them; where a piece ends there is none.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn look_up(
    pairs: &WholePairs,
    tokens: &[TokenId; PLACES],
    values: &mut Values,
    (changed, ends): (u64, u64),
    count: usize,
) {
    for at in (0..count).step_by(STEP) {
        let changed = (changed >> at) as u16;
        if changed != 0 {
            let found = values_of(pairs, load(tokens, at), load(tokens, at + 1), changed & !(ends >> at) as u16);
            let place: &mut [u32; STEP] = values[at + 1..].first_chunk_mut().expect("a step fits behind every count");
            // SAFETY: the array has 64 bytes.
            unsafe { _mm512_mask_storeu_epi32(place.as_mut_ptr().cast(), changed, found) };
        }
    }
}

/// The ranks of 16 pairs, or none of those that are not asked for.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn values_of(pairs: &WholePairs, left: __m512i, right: __m512i, asked: u16) -> __m512i {
    let (slots, shift, _) = pairs.tables();
    let hash = _mm512_add_epi32(_mm512_mullo_epi32(left, all(HASH[0])), _mm512_mullo_epi32(right, all(HASH[1])));
    let first = _mm512_srl_epi32(hash, _mm_cvtsi32_si128(shift as i32));
    let second = _mm512_and_si512(hash, all(slots.len() as u32 - 1));
    let mut found = [_mm256_setzero_si256(); 2];
    for (found, high) in found.iter_mut().zip([false, true]) {
        let asked = if high { (asked >> 8) as u8 } else { asked as u8 };
        if asked == 0 {
            *found = _mm256_set1_epi32(-1);
            continue;
        }
        let left = _mm512_slli_epi64::<LEFT_SHIFT>(_mm512_cvtepu32_epi64(half(left, high)));
        let key = _mm512_or_si512(left, _mm512_slli_epi64::<RIGHT_SHIFT>(_mm512_cvtepu32_epi64(half(right, high))));
        // SAFETY: both are places in the table, whose length is a power of two: so many bits of the hash are its highest,
        // or its lowest.
        let [first, second] = unsafe {
            let none = _mm512_set1_epi64(-1);
            [
                _mm512_mask_i32gather_epi64::<8>(none, asked, half(first, high), slots.as_ptr().cast()),
                _mm512_mask_i32gather_epi64::<8>(none, asked, half(second, high), slots.as_ptr().cast()),
            ]
        };
        // At most one of them is the pair's, with nothing but its value left.
        let lowest = _mm512_min_epu64(_mm512_xor_si512(first, key), _mm512_xor_si512(second, key));
        let is_found = _mm512_cmple_epu64_mask(lowest, _mm512_set1_epi64(VALUE as i64));
        *found = _mm512_cvtepi64_epi32(_mm512_mask_mov_epi64(_mm512_set1_epi64(-1), is_found, lowest));
    }
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(found[0]), found[1])
}

#[target_feature(enable = "avx512f")]
#[inline]
fn half(of: __m512i, high: bool) -> __m256i {
    if high { _mm512_extracti64x4_epi64::<1>(of) } else { _mm512_castsi512_si256(of) }
}

/// The tokens that are merged with those behind them in this round.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn choose(values: &Values, ends: u64, count: usize) -> u64 {
    let (mut chosen, mut others) = (0, 0);
    let starts = ends << 1 | 1;
    for at in (0..count).step_by(STEP) {
        let [before, value, behind] = [load_at(values, at), load_at(values, at + 1), load_at(values, at + 2)];
        let lowest = _mm512_mask_cmple_epu32_mask(_mm512_cmplt_epu32_mask(value, before), value, behind);
        let from_left = _mm512_test_epi32_mask(value, all(FROM_LEFT)) & !(starts >> at) as u16;
        let from_right = _mm512_test_epi32_mask(value, all(FROM_RIGHT)) & !(ends >> at >> 1) as u16;
        let may_wait = lowest & (from_left | from_right);
        chosen |= u64::from(lowest & !may_wait) << at;
        others |= u64::from(may_wait) << at;
    }
    while others != 0 {
        let at = others.trailing_zeros() as usize;
        others &= others - 1;
        let start = 64 - (ends & !(u64::MAX << at)).leading_zeros() as usize;
        let end = at + (ends >> at).trailing_zeros() as usize;
        let of_piece = !(u32::MAX << (end - start)) as u16;
        let (values, value) = (load_at(values, start + 1), all(values[at + 1]));
        let lower = _mm512_mask_cmplt_epu32_mask(of_piece, values, value);
        let equal = _mm512_mask_cmpeq_epu32_mask(!(u16::MAX << (at - start)), values, value);
        chosen |= u64::from(lower | equal == 0) << at;
    }
    chosen
}

/// Replaces the chosen tokens by what they make with those behind them, and moves all that are kept, and their ranks, to
/// the beginning. Gives their number.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn join(
    pairs: &WholePairs,
    tokens: &mut [TokenId; PLACES],
    values: &mut Values,
    (chosen, kept): (u64, u64),
    count: usize,
) -> usize {
    let (_, _, results) = pairs.tables();
    let mut written = 0;
    for at in (0..count).step_by(STEP) {
        let (chosen, kept) = ((chosen >> at) as u16, (kept >> at) as u16);
        if kept == u16::MAX && chosen == 0 && written == at {
            written += STEP;
            continue;
        }
        let (token, value) = (load(tokens, at), load_at(values, at + 1));
        let rank = _mm512_srli_epi32::<RANK_SHIFT>(value);
        // SAFETY: the rank of a pair that was found is that of a merge, which has a result. Stores are of 16 places.
        unsafe {
            let token = _mm512_mask_i32gather_epi32::<4>(token, chosen, rank, results.as_ptr().cast());
            let place: &mut [u32; STEP] = tokens[written..].first_chunk_mut().expect("it is not behind `at`");
            _mm512_storeu_si512(place.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(kept, token));
            let place: &mut [u32; STEP] = values[written + 1..].first_chunk_mut().expect("it is not behind `at`");
            _mm512_storeu_si512(place.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(kept, value));
        }
        written += kept.count_ones() as usize;
    }
    let behind: &mut [u32; STEP] = values[written + 1..].first_chunk_mut().expect("a step fits behind every count");
    *behind = [NONE; STEP];
    written
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_at(of: &Values, at: usize) -> __m512i {
    let of: &[u32; STEP] = of[at..].first_chunk().expect("a step and two more fit behind every count");
    // SAFETY: the array has 64 bytes.
    unsafe { _mm512_loadu_si512(of.as_ptr().cast()) }
}
