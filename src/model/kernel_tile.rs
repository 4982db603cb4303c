//! The kernel's inner tiles: 6 rows of 16 columns with AVX2, 12 of 32 with AVX-512.
//!
//! A tile keeps its sums in registers, twelve or twenty-four of them, and adds up products one after the other. Every
//! element's sum is made by the same operations in the same order in both, so both give the same bits.

use std::arch::x86_64::{
    __m256, __m512, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps,
    _mm256_load_ps, _mm256_loadu_ps, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_store_ps,
    _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
};

use super::kernel::{Block, Factors};
use super::panels::Line;

/// Products that a tile makes between two jumps.
const UNROLLED: usize = 4;

/// A size of tiles, and the processor that has the registers for it.
pub(super) trait Tile {
    /// Rows and columns.
    const ROWS: usize;
    const COLUMNS: usize;
    /// Columns of `b` up to which contiguous rows of `a` are not packed.
    const NARROW: usize;

    /// One tile: the first `rows` rows of `a` (all of a packed panel if there are as many) by a whole panel of `b`,
    /// of which `width` columns go to `c`.
    ///
    /// # Safety
    ///
    /// As [`multiply`](super::kernel::multiply), and the processor has what the implementation takes; `b` is aligned to
    /// a line.
    #[allow(unsafe_code)]
    unsafe fn tile(rows: usize, a: Block, b: *const f32, factors: Factors, c: *mut f32, c_stride: usize, width: usize);
}

/// For AVX2 and FMA.
pub(super) struct Short;

/// For AVX-512F.
pub(super) struct Long;

impl Block {
    fn is_packed(&self, rows: usize) -> bool {
        self.row == 1 && self.depth == rows
    }
}

impl Tile for Short {
    const ROWS: usize = 6;
    const COLUMNS: usize = 16;
    const NARROW: usize = 64;

    #[allow(unsafe_code)]
    unsafe fn tile(rows: usize, a: Block, b: *const f32, factors: Factors, c: *mut f32, c_stride: usize, width: usize) {
        // SAFETY: the caller's.
        unsafe {
            match rows {
                6 if a.is_packed(6) => short::<6, true>(a, b, factors, c, c_stride, width),
                1 => short::<1, false>(a, b, factors, c, c_stride, width),
                2 => short::<2, false>(a, b, factors, c, c_stride, width),
                3 => short::<3, false>(a, b, factors, c, c_stride, width),
                4 => short::<4, false>(a, b, factors, c, c_stride, width),
                5 => short::<5, false>(a, b, factors, c, c_stride, width),
                _ => short::<6, false>(a, b, factors, c, c_stride, width),
            }
        }
    }
}

impl Tile for Long {
    const ROWS: usize = 12;
    const COLUMNS: usize = 32;
    const NARROW: usize = usize::MAX;

    #[allow(unsafe_code)]
    unsafe fn tile(rows: usize, a: Block, b: *const f32, factors: Factors, c: *mut f32, c_stride: usize, width: usize) {
        // SAFETY: the caller's.
        unsafe {
            match rows {
                12 if a.is_packed(12) => long::<12, true>(a, b, factors, c, c_stride, width),
                1 => long::<1, false>(a, b, factors, c, c_stride, width),
                2 => long::<2, false>(a, b, factors, c, c_stride, width),
                3 => long::<3, false>(a, b, factors, c, c_stride, width),
                4 => long::<4, false>(a, b, factors, c, c_stride, width),
                5 => long::<5, false>(a, b, factors, c, c_stride, width),
                6 => long::<6, false>(a, b, factors, c, c_stride, width),
                7 => long::<7, false>(a, b, factors, c, c_stride, width),
                8 => long::<8, false>(a, b, factors, c, c_stride, width),
                9 => long::<9, false>(a, b, factors, c, c_stride, width),
                10 => long::<10, false>(a, b, factors, c, c_stride, width),
                11 => long::<11, false>(a, b, factors, c, c_stride, width),
                _ => long::<12, false>(a, b, factors, c, c_stride, width),
            }
        }
    }
}

/// What is added to comes from far away: sums of gradients. It is asked for while the products are made.
#[inline]
#[target_feature(enable = "sse")]
fn ask_for<const N: usize>(c: *mut f32, c_stride: usize, columns: usize) {
    for row in 0..N {
        let c = c.wrapping_add(row * c_stride);
        for at in (0..columns).step_by(16) {
            _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(at).cast());
        }
        _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(columns - 1).cast());
    }
}

/// A tile of `N` rows. `PACKED`: `a` is a panel, so that all its places are known before.
///
/// # Safety
///
/// As [`Tile::tile`].
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn short<const N: usize, const PACKED: bool>(
    a: Block,
    b: *const f32,
    factors: Factors,
    c: *mut f32,
    c_stride: usize,
    width: usize,
) {
    const COLUMNS: usize = Short::COLUMNS;
    let (row_stride, depth_stride) = if PACKED { (1, Short::ROWS) } else { (a.row, a.depth) };
    if factors.beta != 0.0 {
        ask_for::<N>(c, c_stride, COLUMNS);
    }
    let mut sums = [[_mm256_setzero_ps(); 2]; N];
    let (mut left, mut right) = (a.data, b);
    for _ in 0..factors.depth / UNROLLED {
        for at in 0..UNROLLED {
            // SAFETY: the panel holds 16 numbers for each of `depth` products, `a` a number for each row and product.
            unsafe { product(&mut sums, left.wrapping_add(at * depth_stride), row_stride, right.add(at * COLUMNS)) };
        }
        left = left.wrapping_add(UNROLLED * depth_stride);
        right = right.wrapping_add(UNROLLED * COLUMNS);
    }
    for _ in 0..factors.depth % UNROLLED {
        // SAFETY: as above.
        unsafe { product(&mut sums, left, row_stride, right) };
        left = left.wrapping_add(depth_stride);
        right = right.wrapping_add(COLUMNS);
    }
    let (alpha, beta) = (_mm256_set1_ps(factors.alpha), _mm256_set1_ps(factors.beta));
    for (row, sums) in sums.iter().enumerate() {
        let products = sums.map(|sum| _mm256_mul_ps(alpha, sum));
        // SAFETY: the tile's rows and its first `width` columns lie inside `c`.
        unsafe {
            let c = c.add(row * c_stride);
            if width == COLUMNS {
                for (half, product) in products.into_iter().enumerate() {
                    let c = c.add(8 * half);
                    let before = if factors.beta == 0.0 { None } else { Some(_mm256_loadu_ps(c)) };
                    _mm256_storeu_ps(c, before.map_or(product, |c| _mm256_add_ps(_mm256_mul_ps(beta, c), product)));
                }
            } else {
                let mut line = Line([0.0; COLUMNS]);
                let numbers = line.0.as_mut_ptr();
                _mm256_store_ps(numbers, products[0]);
                _mm256_store_ps(numbers.add(8), products[1]);
                for (at, &product) in line.0[..width].iter().enumerate() {
                    let c = c.add(at);
                    *c = if factors.beta == 0.0 { product } else { factors.beta * *c + product };
                }
            }
        }
    }
}

/// Adds the products of `N` numbers of `a` and a line of `b`.
///
/// # Safety
///
/// They can be read, and the line is aligned.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn product<const N: usize>(sums: &mut [[__m256; 2]; N], a: *const f32, stride: usize, b: *const f32) {
    // SAFETY: the caller's.
    unsafe {
        let (low, high) = (_mm256_load_ps(b), _mm256_load_ps(b.add(8)));
        for (row, sums) in sums.iter_mut().enumerate() {
            let value = _mm256_broadcast_ss(&*a.wrapping_add(row * stride));
            sums[0] = _mm256_fmadd_ps(value, low, sums[0]);
            sums[1] = _mm256_fmadd_ps(value, high, sums[1]);
        }
    }
}

/// As [`short`], in registers of twice the length.
///
/// # Safety
///
/// As [`Tile::tile`].
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
unsafe fn long<const N: usize, const PACKED: bool>(
    a: Block,
    b: *const f32,
    factors: Factors,
    c: *mut f32,
    c_stride: usize,
    width: usize,
) {
    const COLUMNS: usize = Long::COLUMNS;
    let (row_stride, depth_stride) = if PACKED { (1, Long::ROWS) } else { (a.row, a.depth) };
    if factors.beta != 0.0 {
        ask_for::<N>(c, c_stride, COLUMNS);
    }
    let mut sums = [[_mm512_setzero_ps(); 2]; N];
    let (mut left, mut right) = (a.data, b);
    for group in 0..factors.depth / UNROLLED {
        if group < factors.lines {
            _mm_prefetch::<_MM_HINT_T0>(factors.ahead.wrapping_add(group).cast());
        }
        for at in 0..UNROLLED {
            // SAFETY: the panel holds 32 numbers for each of `depth` products, `a` a number for each row and product.
            unsafe {
                long_product(&mut sums, left.wrapping_add(at * depth_stride), row_stride, right.add(at * COLUMNS));
            }
        }
        left = left.wrapping_add(UNROLLED * depth_stride);
        right = right.wrapping_add(UNROLLED * COLUMNS);
    }
    for _ in 0..factors.depth % UNROLLED {
        // SAFETY: as above.
        unsafe { long_product(&mut sums, left, row_stride, right) };
        left = left.wrapping_add(depth_stride);
        right = right.wrapping_add(COLUMNS);
    }
    let (alpha, beta) = (_mm512_set1_ps(factors.alpha), _mm512_set1_ps(factors.beta));
    let columns = (1u64 << width) - 1;
    for (row, sums) in sums.iter().enumerate() {
        for (half, &sum) in sums.iter().enumerate() {
            let (product, mask) = (_mm512_mul_ps(alpha, sum), (columns >> (16 * half)) as __mmask16);
            let c = c.wrapping_add(row * c_stride + 16 * half);
            // SAFETY: the tile's rows and its first `width` columns lie inside `c`; no others are touched.
            unsafe {
                let product = if factors.beta == 0.0 {
                    product
                } else {
                    _mm512_add_ps(_mm512_mul_ps(beta, _mm512_maskz_loadu_ps(mask, c)), product)
                };
                _mm512_mask_storeu_ps(c, mask, product);
            }
        }
    }
}

/// As [`product`].
///
/// # Safety
///
/// As [`product`].
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn long_product<const N: usize>(sums: &mut [[__m512; 2]; N], a: *const f32, stride: usize, b: *const f32) {
    // SAFETY: the caller's.
    unsafe {
        let (low, high) = (_mm512_load_ps(b), _mm512_load_ps(b.add(16)));
        for (row, sums) in sums.iter_mut().enumerate() {
            let value = _mm512_set1_ps(*a.wrapping_add(row * stride));
            sums[0] = _mm512_fmadd_ps(value, low, sums[0]);
            sums[1] = _mm512_fmadd_ps(value, high, sums[1]);
        }
    }
}
