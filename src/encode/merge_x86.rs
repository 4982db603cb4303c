//! Merging a short piece with AVX-512: the ranks of its pairs stay in registers.
//!
//! Each lane holds the rank of a token with the next and, below it, the token's place, so that the lowest number is the
//! merge to do: that of the lowest rank, the leftmost of equal ones. Nothing is moved when a token goes: each place has a bit
//! that says whether a token stands there, and the neighbours of a place are found from those bits. The places beside the
//! piece stay as they are, so that there is always a neighbour to ask about.
//!
//! [`Short::merge_plainly`] does the same; both are compared by the tests here, and by the fuzz target `encode`.
//!
//! `unsafe` here is loads of 64 bytes from arrays that are as long, and the call of what is compiled for instructions whose
//! presence a value of [`Avx512`] proves.

use std::arch::x86_64::*;

use super::block_x86::Avx512;
use super::merge::Short;
use super::pairs::{NONE, Narrow};
use crate::vocab::TokenId;

/// Lanes of a register.
const LANES: usize = 16;
/// Bits of a place.
const PLACE: u32 = 6;

impl Avx512 {
    /// As [`Short::merge_plainly`], with the table of these pairs.
    #[inline]
    pub(super) fn merge_short(self, pairs: Narrow<'_>, short: Short, ids: &mut Vec<TokenId>) {
        // SAFETY: `self` proves the instructions.
        unsafe {
            match short.count.div_ceil(LANES) {
                0 | 1 => merge::<1>(pairs, short, ids),
                2 => merge::<2>(pairs, short, ids),
                _ => merge::<4>(pairs, short, ids),
            }
        }
    }
}

/// Merges at most `N * LANES` tokens.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
fn merge<const N: usize>(pairs: Narrow<'_>, short: Short, ids: &mut Vec<TokenId>) {
    let Short { mut tokens, ranks, count } = short;
    let mut lanes: [__m512i; N] = std::array::from_fn(|number| lanes_of(&ranks, number));
    // Bit p: there is a token at place p, or one of those beside the piece.
    let mut there = u64::MAX >> (62 - count);
    loop {
        let lowest = lowest(&lanes);
        if lowest == NONE {
            break;
        }
        let at = lowest & ((1 << PLACE) - 1);
        let result = pairs.result(lowest >> PLACE);
        let gone = (there & u64::MAX << at << 1).trailing_zeros();
        there &= !(1 << gone);
        let before = (there & !(u64::MAX << at)).ilog2();
        let behind = (there & u64::MAX << at << 1).trailing_zeros();
        tokens[at as usize] = result;
        let with_before = pairs.rank(tokens[before as usize], result);
        let with_behind = pairs.rank(result, tokens[behind as usize % 64]);
        set(&mut lanes, gone, NONE);
        set(&mut lanes, before, lane(with_before, before));
        set(&mut lanes, at, lane(with_behind, at));
    }
    // Without the places beside the piece.
    let mut left = there & !(1 | 1 << (count + 1));
    ids.reserve(left.count_ones() as usize);
    while left != 0 {
        ids.push(tokens[left.trailing_zeros() as usize]);
        left &= left - 1;
    }
}

/// The lanes of sixteen ranks.
#[target_feature(enable = "avx512f")]
#[inline]
fn lanes_of(ranks: &[u32; 64], number: usize) -> __m512i {
    let (ranks, _) = ranks.as_chunks::<LANES>();
    // SAFETY: the array has 64 bytes.
    let ranks = unsafe { _mm512_loadu_si512(ranks[number].as_ptr().cast()) };
    let first = _mm512_set1_epi32((LANES * number) as i32);
    let places = _mm512_add_epi32(first, _mm512_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16));
    let none = _mm512_set1_epi32(NONE as i32);
    let merging = _mm512_cmpneq_epu32_mask(ranks, none);
    _mm512_mask_or_epi32(none, merging, _mm512_slli_epi32::<PLACE>(ranks), places)
}

/// The lane of a rank at a place.
#[inline(always)]
fn lane(rank: u32, place: u32) -> u32 {
    if rank == NONE { NONE } else { rank << PLACE | place }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn lowest<const N: usize>(lanes: &[__m512i; N]) -> u32 {
    let all = lanes[1..].iter().fold(lanes[0], |lowest, lanes| _mm512_min_epu32(lowest, *lanes));
    _mm512_reduce_min_epu32(all)
}

/// Sets the lane of a place; that before the piece has none.
#[target_feature(enable = "avx512f")]
#[inline]
fn set<const N: usize>(lanes: &mut [__m512i; N], place: u32, to: u32) {
    let bit = 1u64 << place >> 1;
    for (number, lanes) in lanes.iter_mut().enumerate() {
        *lanes = _mm512_mask_set1_epi32(*lanes, (bit >> (LANES * number)) as u16, to as i32);
    }
}
