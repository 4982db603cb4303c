//! Characters read into a block, 16 at a time, with AVX-512 that moves bytes about in a register.
//!
//! What is read comes from bits, one for each of the next 64 bytes: where a character begins, and where a pre-token does.
//! So it is the same work for characters of one byte, two or three in any order, and for pre-tokens of ASCII between them:
//! a jump for each of these would mostly be foreseen wrong. How far the sixteen go follows from the bits alone; which
//! characters they are nothing waits for.
//!
//! Sixteen pre-tokens are looked at, which is enough: a character or a pre-token of ASCII that is read stands in a pre-token
//! of them, as each of them holds one at least, and what comes behind the last one begins where that ends.
//!
//! `unsafe` here is loads and stores of arrays that are as long. The tests of `block.rs` compare it with the plain reading.

use std::arch::x86_64::*;

use super::block::{Block, CHARACTERS, Place, PreTokens, STEP};
use super::block_x86::{all, store};
use super::characters::BEYOND_CODE;

/// What begins in front of this place of 64 bytes ends in them, if it is a character.
const WHOLE: usize = 61;

/// Of each of 64 bytes, its place.
static NUMBERS: [u8; 64] = {
    let (mut numbers, mut place) = ([0; 64], 0);
    while place < 64 {
        numbers[place] = place as u8;
        place += 1;
    }
    numbers
};

/// As [`Plain::some`](super::block::Plain) does it, up to sixteen times; the text from the place on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
pub(super) fn some(text: &[u8; 64], pre_tokens: PreTokens<'_>, block: &mut Block, place: &mut Place) {
    let Place { at, piece, count, .. } = *place;
    // SAFETY: the array has 64 bytes.
    let bytes = unsafe { _mm512_loadu_si512(text.as_ptr().cast()) };
    let ends = ends_of(pre_tokens.ends, piece, at);
    let is_ascii = !(pre_tokens.others >> piece);
    // Pre-tokens come in the order of their beginnings, the first of which is here.
    let ascii = _pdep_u64(is_ascii, ends | 1);
    // Each is filled up to where it ends: a carry goes from its second byte to the next end, behind which nothing is
    // carried on.
    let ascii_ends = (ascii << 1).wrapping_add(!ends) & ends;
    let filled = ascii_ends.wrapping_sub(ascii);
    let begins = !_mm512_cmplt_epi8_mask(bytes, _mm512_set1_epi8(-64)) & (ascii | !filled);
    let room = (CHARACTERS - count).min(STEP) as u32;
    let last = pre_tokens.ends[pre_tokens.ends.len() - 1] as usize;
    let within = _bzhi_u64(begins, (last - at).min(WHOLE) as u32);
    let read = _pdep_u64(_bzhi_u64(u64::MAX, room), within);
    let next = (begins & !read).trailing_zeros();
    let number = read.count_ones();

    let ascii = _pext_u64(ascii, read);
    let beyond = write(bytes, (read, ascii as u16), at, block, count);
    write_pieces((is_ascii as u16, ascii as u16), piece, block, count);

    place.ascii |= ascii << count;
    place.beyond |= u64::from(beyond) << count & _bzhi_u64(u64::MAX, count as u32 + number);
    place.is_start |= _pext_u64(ends, read) << count;
    place.count += number as usize;
    if next < 64 {
        place.at += next as usize;
        place.piece += _bzhi_u64(ends, next + 1).count_ones() as usize;
        place.is_start |= (ends >> next & 1) << (place.count - 1) << 1;
    } else {
        // The last is a pre-token of ASCII of which the end is not seen, or a character of four bytes.
        let of_last = piece + ends.count_ones() as usize;
        let end = pre_tokens.ends[of_last] as usize;
        place.at = if filled >> 63 == 1 { end } else { at + 64 };
        place.piece = of_last + usize::from(place.at == end);
        place.is_start |= u64::from(place.at == end) << (place.count - 1) << 1;
    }
}

/// Bit k: one of the next sixteen pre-tokens ends at `at + k`.
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn ends_of(ends: &[u32], piece: usize, at: usize) -> u64 {
    let ends = &ends[piece..];
    let there = _bzhi_u64(u64::MAX, ends.len().min(STEP) as u32) as u16;
    // SAFETY: no more is loaded than is there.
    let ends = unsafe { _mm512_mask_loadu_epi32(all(u32::MAX), there, ends.as_ptr().cast()) };
    let from_here = _mm512_sub_epi32(ends, all(at as u32));
    // What is moved by 64 and more is none.
    let [low, high] = [_mm512_castsi512_si256(from_here), _mm512_extracti64x4_epi64::<1>(from_here)];
    let bits = |places| _mm512_sllv_epi64(_mm512_set1_epi64(1), _mm512_cvtepu32_epi64(places));
    _mm512_reduce_or_epi64(_mm512_or_si512(bits(low), bits(high))) as u64
}

/// Writes codes and places of these of 64 bytes; code 0 where a pre-token of ASCII stands. Tells those that are beyond the
/// basic plane, where nothing is read too.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn write(bytes: __m512i, (read, ascii): (u64, u16), at: usize, block: &mut Block, count: usize) -> u16 {
    // SAFETY: the array has 64 bytes.
    let numbers = unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) };
    let packed = _mm512_maskz_compress_epi8(read, numbers);
    let places = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed));
    // The first three bytes of each, the first on top.
    let of_each = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, -1, 4, 4, 4, -1, 8, 8, 8, -1, 12, 12, 12, -1));
    let order = _mm512_add_epi8(_mm512_shuffle_epi8(places, of_each), all(0x0000_0102));
    let words = _mm512_maskz_permutexvar_epi8(0x7777_7777_7777_7777, order, bytes);
    let third = _mm512_and_si512(words, all(0x3F));
    let second = _mm512_and_si512(_mm512_srli_epi32::<2>(words), all(0xFC0));
    let first = _mm512_and_si512(_mm512_srli_epi32::<4>(words), all(0xF000));
    let of_three = _mm512_or_si512(third, _mm512_or_si512(second, first));
    let second = _mm512_and_si512(_mm512_srli_epi32::<8>(words), all(0x3F));
    let first = _mm512_and_si512(_mm512_srli_epi32::<10>(words), all(0x7C0));
    let of_two = _mm512_or_si512(second, first);
    let of_one = _mm512_srli_epi32::<16>(words);
    let up_to_two = _mm512_cmplt_epu32_mask(words, all(0xE0_0000));
    let one = _mm512_cmplt_epu32_mask(words, all(0x80_0000));
    let beyond = _mm512_cmpge_epu32_mask(words, all(0xF0_0000));
    let codes = _mm512_mask_mov_epi32(of_three, up_to_two, of_two);
    let codes = _mm512_mask_mov_epi32(codes, one, of_one);
    let codes = _mm512_maskz_mov_epi32(!ascii, _mm512_mask_mov_epi32(codes, beyond, all(BEYOND_CODE)));
    store(&mut block.codes, count, codes);
    store(&mut block.starts, count, _mm512_add_epi32(places, all(at as u32)));
    beyond
}

/// Writes the numbers of the pre-tokens of ASCII to their places; `is_ascii` says which are, from `piece` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn write_pieces((is_ascii, ascii): (u16, u16), piece: usize, block: &mut Block, count: usize) {
    let sixteen = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let of_pieces = _mm512_add_epi32(sixteen, all(piece as u32));
    let numbers = _mm512_maskz_expand_epi32(ascii, _mm512_maskz_compress_epi32(is_ascii, of_pieces));
    let to: &mut [u8; STEP] = block.pieces[count..].first_chunk_mut().expect("a step fits behind every count");
    // SAFETY: the array has 16 bytes.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(numbers)) };
}
