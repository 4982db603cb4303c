//! The strings of JSON, without their escapes, by the vector instructions of x86.
//!
//! With AVX-512 that packs bytes, all escapes of a block are taken off at once, and none of them is a branch to be guessed.
//! Which bytes are escaped is told as by simdjson's `find_escaped` (Langdale and Lemire, Parsing Gigabytes of JSON per
//! Second, 2019): in a run of backslashes each second one is, and a carry goes over the run.
//!
//! `unsafe` here is loads and stores of blocks in arrays that are as long, and calls of what is compiled for instructions that
//! were looked for. The tests of `json_string.rs` compare all ways.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::json_string::{BLOCK, ESCAPES, numbered, unescape_by};

/// As [`unescape_by`]; `None` where the processor cannot.
pub(super) fn unescape(bytes: &[u8], out: &mut [u8]) -> Option<Option<(usize, usize)>> {
    if is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has what it is compiled for.
        return Some(unsafe { unescape_packed(bytes, out) });
    }
    with_avx2(bytes, out)
}

/// The same on a processor of 2013 on.
pub(super) fn with_avx2(bytes: &[u8], out: &mut [u8]) -> Option<Option<(usize, usize)>> {
    // SAFETY: the processor has AVX2.
    is_x86_feature_detected!("avx2").then(|| unsafe { unescape_avx2(bytes, out) })
}

#[target_feature(enable = "avx2")]
fn unescape_avx2(bytes: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let specials = |block: &[u8; BLOCK]| -> u64 {
        let of_half = |half: usize| -> u64 {
            // SAFETY: 32 bytes lie at either half of the block.
            let bytes: __m256i = unsafe { _mm256_loadu_si256(block.as_ptr().add(32 * half).cast()) };
            let is = |byte: u8| _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
            let is_control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes);
            let found = _mm256_or_si256(is_control, _mm256_or_si256(is(b'"'), is(b'\\')));
            u64::from(_mm256_movemask_epi8(found) as u32)
        };
        of_half(0) | of_half(1) << 32
    };
    unescape_by(bytes, out, specials)
}

#[target_feature(enable = "avx512bw,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
fn unescape_packed(bytes: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let (quarters, _) = ESCAPES.as_chunks::<BLOCK>();
    // SAFETY: each has 64 bytes; those of the first two are of ASCII.
    let escapes = unsafe { [0, 1].map(|quarter| _mm512_loadu_si512(quarters[quarter].as_ptr().cast())) };
    let is = |block, byte: u8| _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(byte as i8));
    let (mut read, mut written) = (0, 0);
    // Whether the first byte of the block is escaped, by what stands before it.
    let mut carry = 0;
    loop {
        let there = _bzhi_u64(u64::MAX, bytes.len().saturating_sub(read).min(BLOCK) as u32);
        // SAFETY: no more is loaded than is there. What is not is a control character, which ends no string.
        let block = unsafe { _mm512_maskz_loadu_epi8(there, bytes.as_ptr().wrapping_add(read).cast()) };
        let backslashes = is(block, b'\\');
        let (escaped, carried) = escaped(backslashes & !carry, carry);
        let meant = _mm512_permutex2var_epi8(escapes[0], block, escapes[1]);
        let simple = _mm512_test_epi8_mask(meant, meant) & !_mm512_movepi8_mask(block);
        let ends = is(block, b'"') & !escaped;
        let controls = _mm512_cmplt_epu8_mask(block, _mm512_set1_epi8(b' ' as i8));
        let stop = (ends | controls | escaped & !simple).trailing_zeros();
        let kept = _bzhi_u64(!backslashes | escaped, stop);
        let packed = _mm512_maskz_compress_epi8(kept, _mm512_mask_mov_epi8(block, escaped, meant));
        let place: &mut [u8; BLOCK] =
            out[written..].first_chunk_mut().expect("no more is written than read, and `out` has a block more");
        // SAFETY: the array has 64 bytes.
        unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), packed) };
        written += kept.count_ones() as usize;
        let at = 1 << (stop & 63);
        if stop == 64 {
            (read, carry) = (read + BLOCK, carried);
        } else if ends & at != 0 {
            return Some((read + stop as usize, written));
        } else if escaped & at != 0 {
            // The escape begins with the byte before; if that stands in this block, it was not kept.
            read = (read + stop as usize).checked_sub(1)?;
            numbered(bytes, &mut read, out, &mut written)?;
            carry = 0;
        } else {
            return None;
        }
    }
}

/// Which bytes of a block are escaped by these backslashes, and whether the first behind it is. The first one's backslash is
/// left out of them if it is escaped itself, as `carry` says.
#[inline(always)]
fn escaped(backslashes: u64, carry: u64) -> (u64, u64) {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let behind = backslashes << 1 | carry;
    let odd_starts = backslashes & !EVEN & !behind;
    let (ends, carried) = odd_starts.overflowing_add(backslashes);
    ((EVEN ^ ends << 1) & behind, u64::from(carried))
}
