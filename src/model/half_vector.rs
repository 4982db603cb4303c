//! Vectors of f32 on their way to bf16: their functions need to be right to more digits than bf16 has, not to all of f32's.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, __mmask16, _mm512_cvtne2ps_pbh, _mm512_fmadd_ps, _mm512_loadu_si512,
    _mm512_permutex2var_epi16, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps, _mm512_sub_ps,
};
use std::mem::transmute;

/// Numbers of a vector.
pub(super) const LANES: usize = 16;

/// The first `count` of them.
#[inline]
pub(super) fn low(count: usize) -> __mmask16 {
    if count >= LANES { u16::MAX } else { (1 << count) - 1 }
}

/// 2 to the power of each number, within 4e-6 of it; not of an infinite one. 0 where f32 has no such number.
///
/// x = n + r with |r| <= 1/2, and 2^r by its Taylor polynomial of degree 5.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn exp2(x: __m512) -> __m512 {
    const SERIES: [f32; 5] = [9.618_129e-3, 5.550_411e-2, 0.240_226_5, std::f32::consts::LN_2, 1.0];
    let whole = _mm512_roundscale_ps::<0>(x);
    let rest = _mm512_sub_ps(x, whole);
    let mut sum = _mm512_set1_ps(1.333_355_8e-3);
    for factor in SERIES {
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(factor));
    }
    _mm512_scalef_ps(sum, whole)
}

/// 32 numbers, rounded.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn rounded([first, second]: [__m512; 2]) -> __m512i {
    // SAFETY: both are vectors of the same length, and any bits are a number.
    #[allow(unsafe_code)]
    unsafe {
        transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first))
    }
}

/// Number n of one row and number n of the next side by side: of the first 16, and of the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn zipped([row, next]: [__m512i; 2]) -> [__m512i; 2] {
    const fn pairs(first: usize) -> [u16; 2 * LANES] {
        let mut order = [0; 2 * LANES];
        let mut at = 0;
        while at < 2 * LANES {
            order[at] = (first + at / 2 + at % 2 * 2 * LANES) as u16;
            at += 1;
        }
        order
    }
    const ORDERS: [[u16; 2 * LANES]; 2] = [pairs(0), pairs(LANES)];
    // SAFETY: each array has the length of a vector.
    #[allow(unsafe_code)]
    let orders =
        unsafe { [_mm512_loadu_si512(ORDERS[0].as_ptr().cast()), _mm512_loadu_si512(ORDERS[1].as_ptr().cast())] };
    [_mm512_permutex2var_epi16(row, orders[0], next), _mm512_permutex2var_epi16(row, orders[1], next)]
}

#[cfg(test)]
mod tests {
    use std::arch::x86_64::{_mm512_loadu_ps, _mm512_storeu_ps};

    use super::*;

    #[target_feature(enable = "avx512f")]
    fn exp2_of(x: f32) -> f32 {
        let mut values = [x; LANES];
        // SAFETY: the array has the length of a vector.
        #[allow(unsafe_code)]
        unsafe {
            _mm512_storeu_ps(values.as_mut_ptr(), exp2(_mm512_loadu_ps(values.as_ptr())));
        }
        values[3]
    }

    #[test]
    fn powers_of_two() {
        if !super::super::half_tile::has_dots() {
            return;
        }
        for at in -4000..4000 {
            let x = at as f32 * 0.031;
            // SAFETY: the processor was asked for.
            #[allow(unsafe_code)]
            let got = unsafe { exp2_of(x) };
            let expected = f64::from(x).exp2();
            assert!((f64::from(got) - expected).abs() <= 4e-6 * expected, "2^{x}: {got}");
        }
        // SAFETY: as above.
        #[allow(unsafe_code)]
        let far = unsafe { [exp2_of(-1e30), exp2_of(-200.0), exp2_of(1e30)] };
        assert_eq!(far, [0.0, 0.0, f32::INFINITY]);
    }
}
