//! Panels of bf16 for the kernel: the parts of two matrices, rounded, in the order in which its tiles read them.
//!
//! A panel has [`PANEL`] rows of `a` (or columns of `b`), and for each [`DEPTH`] products two tiles of 16 lines. A word of 32
//! bits holds two numbers that are neighbours along the products. In `a` a line is a row and its words go along the products;
//! in `b` a line is two products and its words go along the columns. What is beyond the end of a matrix is 0.

use std::arch::x86_64::{
    __m512bh, __m512i, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm512_cvtne2ps_pbh, _mm512_loadu_si512,
    _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_store_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};
use std::mem::transmute;

use super::half::PANEL;
use super::panels::Line;

/// Products of a step along a panel.
pub(super) const DEPTH: usize = 32;
/// Rows or columns of a tile, and its lines.
const TILE: usize = 16;

/// A matrix as the kernel goes along it: how far apart its rows are (or columns, of `b`), and neighbours in a product.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) data: *const f32,
    pub(super) outer: isize,
    pub(super) inner: isize,
}

impl Side {
    /// Asks for a tile from a row (or column) and a product on: pieces of a line or two, which a processor does not foresee.
    #[inline]
    #[target_feature(enable = "sse")]
    fn ask(self, [first, product]: [usize; 2]) {
        let place = first as isize * self.outer + product as isize * self.inner;
        let (apart, pieces, lines) = if self.inner == 1 { (self.outer, TILE, 2) } else { (self.inner, DEPTH, 1) };
        for piece in 0..pieces {
            let data = self.data.wrapping_offset(place + piece as isize * apart);
            (0..lines).for_each(|line| _mm_prefetch::<_MM_HINT_T0>(data.wrapping_add(16 * line).cast()));
        }
    }
}

/// Packs `count` rows or columns (`B`: columns of `b`) of `depth` products each; panels begin `stride` lines apart.
///
/// # Safety
///
/// The processor has AVX512-BF16 and AVX512-BW. What the sizes and strides reach lies inside its allocation; there is room
/// for whole panels.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn pack<const B: bool>(side: Side, count: usize, depth: usize, panels: *mut Line, stride: usize) {
    for panel in (0..count).step_by(PANEL) {
        let mut to = panels.wrapping_add(panel / PANEL * stride);
        for step in (0..depth).step_by(DEPTH) {
            for first in [panel, panel + TILE] {
                let rows = TILE.min(count.saturating_sub(first));
                let next =
                    if side.inner != 1 || step + DEPTH < depth { [first, step + DEPTH] } else { [first + PANEL, 0] };
                side.ask(next);
                // SAFETY: what is read is below the sizes; a panel has two tiles of 16 lines for each step.
                unsafe {
                    let words = if rows == 0 {
                        [_mm512_setzero_si512(); TILE]
                    } else {
                        let place = first as isize * side.outer + step as isize * side.inner;
                        words::<B>(Side { data: side.data.offset(place), ..side }, rows, DEPTH.min(depth - step))
                    };
                    for (at, words) in words.into_iter().enumerate() {
                        _mm512_store_si512(to.add(at).cast(), words);
                    }
                    to = to.add(TILE);
                }
            }
        }
    }
}

/// The lines of a tile of at least one row and product.
///
/// # Safety
///
/// As [`pack`].
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn words<const B: bool>(side: Side, rows: usize, depth: usize) -> [__m512i; TILE] {
    let mut words = [_mm512_setzero_si512(); TILE];
    // SAFETY: what is read is below `rows` and `depth`; the conversion does not change the length.
    unsafe {
        if side.outer == 1 && side.inner != 1 {
            let mask = low(rows);
            for (pair, words) in words.iter_mut().enumerate().take(depth.div_ceil(2)) {
                let row = |at: usize| {
                    let mask = if at < depth { mask } else { 0 };
                    _mm512_maskz_loadu_ps(mask, side.data.wrapping_offset(at as isize * side.inner))
                };
                *words = zip(transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(row(2 * pair + 1), row(2 * pair))));
            }
            return if B { words } else { transposed(words) };
        }
        let mut copy = [0.0f32; DEPTH];
        for (at, words) in words.iter_mut().enumerate().take(rows) {
            let mut row = side.data.offset(at as isize * side.outer);
            if side.inner != 1 {
                for (at, copy) in copy.iter_mut().enumerate().take(depth) {
                    *copy = *row.offset(at as isize * side.inner);
                }
                row = copy.as_ptr();
            }
            let first = _mm512_maskz_loadu_ps(low(depth), row);
            let second = _mm512_maskz_loadu_ps(low(depth.saturating_sub(16)), row.wrapping_add(16));
            *words = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
        }
    }
    if B { transposed(words) } else { words }
}

/// The first `count` of 16.
#[inline]
fn low(count: usize) -> __mmask16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

/// The lower and the upper half of a vector, number by number.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn zip(halves: __m512i) -> __m512i {
    const ORDER: [u16; 32] = {
        let mut order = [0; 32];
        let mut at = 0;
        while at < 32 {
            order[at] = (at / 2 + at % 2 * 16) as u16;
            at += 1;
        }
        order
    };
    // SAFETY: the array has the length of a vector.
    #[allow(unsafe_code)]
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    _mm512_permutexvar_epi16(order, halves)
}

/// 16 rows of 16 words as columns.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transposed(rows: [__m512i; TILE]) -> [__m512i; TILE] {
    let (mut pairs, mut quads, mut columns) = (rows, rows, rows);
    for at in (0..TILE).step_by(2) {
        pairs[at] = _mm512_unpacklo_epi32(rows[at], rows[at + 1]);
        pairs[at + 1] = _mm512_unpackhi_epi32(rows[at], rows[at + 1]);
    }
    for at in (0..TILE).step_by(4) {
        for half in 0..2 {
            quads[at + 2 * half] = _mm512_unpacklo_epi64(pairs[at + half], pairs[at + half + 2]);
            quads[at + 2 * half + 1] = _mm512_unpackhi_epi64(pairs[at + half], pairs[at + half + 2]);
        }
    }
    // Lane l of quads[4 g + c] has column 4 l + c of the rows 4 g to 4 g + 3.
    for at in 0..4 {
        let even = [0, 8].map(|g| _mm512_shuffle_i32x4::<0x88>(quads[g + at], quads[g + at + 4]));
        let odd = [0, 8].map(|g| _mm512_shuffle_i32x4::<0xDD>(quads[g + at], quads[g + at + 4]));
        columns[at] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        columns[at + 4] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        columns[at + 8] = _mm512_shuffle_i32x4::<0xDD>(even[0], even[1]);
        columns[at + 12] = _mm512_shuffle_i32x4::<0xDD>(odd[0], odd[1]);
    }
    columns
}
