//! The strings of JSON, without their escapes, by the vector instructions of x86.

#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi8,
};

use super::json_string::{BLOCK, unescape_by};

/// As [`unescape_by`]; `None` where the processor cannot.
pub(super) fn unescape(bytes: &[u8], out: &mut [u8]) -> Option<Option<(usize, usize)>> {
    // SAFETY: the processor has AVX2.
    std::arch::is_x86_feature_detected!("avx2").then(|| unsafe { unescape_avx2(bytes, out) })
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
