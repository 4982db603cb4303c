//! Matrix multiplication of f32 on x86-64 with AVX2 or AVX-512: c = alpha a b + beta c.
//!
//! A tile of sums in registers (`kernel_tile.rs`) walks over at most [`DEPTH`] products (Goto and van de Geijn 2008). `b`
//! is copied into panels of as many columns as a tile has (`kernel_pack.rs`), which stay in the first cache while `a`
//! streams by in panels of as many rows. If its rows are contiguous, `a` may be read where it lies: with AVX2 copying it
//! pays from 65 columns on, with AVX-512 it did not (3 runs by turns). With AVX-512 the next panel of `b` is asked for a little
//! at a time while tiles are multiplied: on an AMD Zen 5 a step took a twentieth less. Twice as many rows of `a` at a time,
//! asking for what is written without being read, and sums of 384 or 512 products won nothing there; asking for the next rows
//! of `a` lost two to four percent. Reading contiguous columns of `a` where they lie, as sums over tokens have them, was as fast
//! as copying them.
//!
//! Tails: fewer rows take a tile of as many rows, fewer columns a panel filled with zeros, whose sums are not written.

use std::cell::RefCell;

use super::kernel_pack::{BEHIND, pack_a, pack_b};
use super::kernel_tile::{Long, Short, Tile};
use super::panels::Line;
use super::wide::avx512;

/// Products that a tile adds up before it goes to memory: a panel of `b` is 16 or 32 KiB, a part of the first cache. It
/// decides the order of sums, so it is a part of the results.
const DEPTH: usize = 256;
/// Rows of `a` that are multiplied with all panels, whole tiles of either size: 144 KiB, a part of the second cache.
const HEIGHT: usize = 144;
/// Columns of `b` that are packed at a time.
const BREADTH: usize = 1024;

thread_local! {
    /// Packed panels of `a` and `b`. Every thread has its own, which it keeps.
    static PANELS: RefCell<[Vec<Line>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// A pointer to a matrix, and how far apart its rows and its columns lie.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    pub(super) data: *const f32,
    pub(super) rows: isize,
    pub(super) columns: isize,
}

impl Strided {
    /// The matrix from a row and column on.
    ///
    /// # Safety
    ///
    /// The element must lie inside the allocation.
    #[allow(unsafe_code)]
    pub(super) unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: the caller's.
        let data = unsafe { self.data.offset(row as isize * self.rows + column as isize * self.columns) };
        Self { data, ..self }
    }
}

/// Columns that stand in the panels of a matrix of so many.
fn padded(n: usize) -> usize {
    n.next_multiple_of(if avx512() { Long::COLUMNS } else { Short::COLUMNS })
}

/// The panels of `b` (k, n), for [`multiply`].
///
/// # Safety
///
/// The processor has AVX2 and FMA. Every element that the sizes and strides reach lies inside its allocation.
#[allow(unsafe_code)]
pub(super) unsafe fn pack(b: Strided, [k, n]: [usize; 2], panels: &mut Vec<Line>) {
    let all = room(panels, padded(n) * k);
    for column in (0..n).step_by(BREADTH) {
        let breadth = BREADTH.min(n - column);
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            // SAFETY: the offsets are below the sizes. Blocks of columns but the last are whole panels, so that the
            // panels of all come to what there is room for.
            unsafe {
                let (b, to) = (b.at(first, column), all.add(column * k + padded(breadth) * first));
                if avx512() {
                    pack_b::<{ Long::COLUMNS }>(b, depth, breadth, to);
                } else {
                    pack_b::<{ Short::COLUMNS }>(b, depth, breadth, to);
                }
            }
        }
    }
}

/// `c = alpha a b + beta c` for (m, k) times (k, n); the rows of `c` lie `c_stride` apart. `c` is not read if `beta` is
/// 0. `packed` is nothing, or the panels that [`pack`] made of `b`.
///
/// # Safety
///
/// The processor has AVX2 and FMA. Every element that the sizes and strides reach lies inside its allocation; `c`
/// overlaps neither `a` nor `b`.
///
/// # Panics
///
/// If there are panels, but of another size.
#[allow(unsafe_code)]
pub(super) unsafe fn multiply(
    sizes: [usize; 3],
    alpha: f32,
    a: Strided,
    (b, packed): (Strided, &[Line]),
    beta: f32,
    c: *mut f32,
    c_stride: usize,
) {
    assert!(packed.is_empty() || packed.len() * 16 == padded(sizes[2]) * sizes[1], "panels of another size");
    let b = (b, packed);
    // SAFETY: the caller's; AVX-512 was asked for.
    unsafe {
        if avx512() {
            multiply_by::<Long, { Long::ROWS }, { Long::COLUMNS }>(sizes, [alpha, beta], a, b, c, c_stride);
        } else {
            multiply_by::<Short, { Short::ROWS }, { Short::COLUMNS }>(sizes, [alpha, beta], a, b, c, c_stride);
        }
    }
}

/// [`multiply`] with tiles of a size.
///
/// # Safety
///
/// As [`multiply`], and the processor has the tiles.
#[allow(unsafe_code)]
unsafe fn multiply_by<T: Tile, const ROWS: usize, const COLUMNS: usize>(
    [m, k, n]: [usize; 3],
    [alpha, beta]: [f32; 2],
    a: Strided,
    (b, packed): (Strided, &[Line]),
    c: *mut f32,
    c_stride: usize,
) {
    PANELS.with_borrow_mut(|[a_panels, b_panels]| {
        for column in (0..n).step_by(BREADTH) {
            let breadth = BREADTH.min(n - column);
            for first in (0..k.max(1)).step_by(DEPTH) {
                let depth = DEPTH.min(k - first);
                let beta = if first == 0 { beta } else { 1.0 };
                let factors = Factors { alpha, beta, depth, ahead: std::ptr::null(), lines: 0 };
                let whole = breadth.next_multiple_of(COLUMNS);
                let b_panels = if packed.is_empty() {
                    let panels = room(b_panels, whole * depth);
                    // SAFETY: all offsets are below the sizes, and the caller keeps those inside the allocations. The
                    // panels have room for all columns, rounded up to whole panels.
                    unsafe {
                        let b = if depth > 0 { b.at(first, column) } else { b };
                        pack_b::<COLUMNS>(b, depth, breadth, panels);
                    }
                    panels
                } else {
                    packed.as_ptr().cast::<f32>().wrapping_add(column * k + whole * first)
                };
                for row in (0..m).step_by(HEIGHT) {
                    let height = HEIGHT.min(m - row);
                    // SAFETY: as above; there is room for all rows, rounded up to whole panels, and a vector more.
                    unsafe {
                        let a = if depth > 0 { a.at(row, first) } else { a };
                        let a = if a.columns == 1 && n <= T::NARROW {
                            Block { data: a.data, row: a.rows as usize, depth: 1, panel: a.rows as usize * ROWS }
                        } else {
                            let panels = room(a_panels, (height.next_multiple_of(ROWS) * depth) + BEHIND);
                            pack_a::<ROWS>(a, height, depth, panels);
                            Block { data: panels, row: 1, depth: ROWS, panel: ROWS * depth }
                        };
                        let c = c.add(row * c_stride + column);
                        block::<T>(a, height, b_panels, breadth, factors, c, c_stride);
                    }
                }
            }
        }
    });
}

/// Space for so many numbers.
fn room(lines: &mut Vec<Line>, numbers: usize) -> *mut f32 {
    let count = numbers.div_ceil(16);
    if lines.len() < count {
        lines.resize(count, Line([0.0; 16]));
    }
    lines.as_mut_ptr().cast()
}

#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) alpha: f32,
    pub(super) beta: f32,
    pub(super) depth: usize,
    /// Lines of the next panel, which a long tile asks for while it is multiplied. They need not be there.
    pub(super) ahead: *const Line,
    pub(super) lines: usize,
}

/// Rows of `a`: how far apart rows of a tile lie, the products of a row, and the tiles.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) data: *const f32,
    pub(super) row: usize,
    pub(super) depth: usize,
    panel: usize,
}

/// All tiles of some rows of `a` and the packed columns.
///
/// # Safety
///
/// As [`multiply_by`]; `b` are whole panels.
#[allow(unsafe_code)]
unsafe fn block<T: Tile>(
    a: Block,
    rows: usize,
    b: *const f32,
    columns: usize,
    factors: Factors,
    c: *mut f32,
    c_stride: usize,
) {
    // A part of the next panel for each tile.
    let next = T::COLUMNS / 16 * factors.depth;
    let lines = next.div_ceil(rows.div_ceil(T::ROWS));
    for column in (0..columns).step_by(T::COLUMNS) {
        let width = T::COLUMNS.min(columns - column);
        for row in (0..rows).step_by(T::ROWS) {
            let ahead =
                b.wrapping_add(column * factors.depth).cast::<Line>().wrapping_add(next + row / T::ROWS * lines);
            let factors = Factors { ahead, lines, ..factors };
            // SAFETY: the offsets are below the sizes, which the caller keeps inside the allocations.
            unsafe {
                let a = Block { data: a.data.add(row / T::ROWS * a.panel), ..a };
                let (b, c) = (b.add(column * factors.depth), c.add(row * c_stride + column));
                T::tile(T::ROWS.min(rows - row), a, b, factors, c, c_stride, width);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::random::Random;
    use super::super::wide::avx2;
    use super::*;

    /// The product, without what was there before (`beta` 0) or with it, by tiles of a size.
    #[allow(unsafe_code)]
    fn by<T: Tile, const ROWS: usize, const COLUMNS: usize>(
        sizes: [usize; 3],
        transposed: [bool; 2],
        beta: f32,
        seed: u64,
    ) -> Vec<u32> {
        let [m, k, n] = sizes;
        let mut random = Random::new(seed);
        let mut numbers = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<f32>>();
        let (a, b, mut c) = (numbers(m * k), numbers(k * n), numbers(m * n));
        let strided = |data: &[f32], rows: usize, columns: usize, transposed: bool| {
            let strides = if transposed { [1, rows] } else { [columns, 1] };
            Strided { data: data.as_ptr(), rows: strides[0] as isize, columns: strides[1] as isize }
        };
        let (a, b) = (strided(&a, m, k, transposed[0]), strided(&b, k, n, transposed[1]));
        // SAFETY: the matrices are as large as the sizes say, and the caller has asked for the processor.
        unsafe { multiply_by::<T, ROWS, COLUMNS>(sizes, [0.5, beta], a, (b, &[]), c.as_mut_ptr(), n) };
        c.into_iter().map(f32::to_bits).collect()
    }

    proptest! {
        #[test]
        fn both_sizes_of_tiles_give_the_same_bits(
            sizes in [1usize..160, 1usize..300, 1usize..100],
            transposed in any::<[bool; 2]>(),
            beta in prop_oneof![Just(0.0f32), Just(1.0), Just(-0.3)],
            seed: u64,
        ) {
            if avx2() && avx512() {
                let short = by::<Short, { Short::ROWS }, { Short::COLUMNS }>(sizes, transposed, beta, seed);
                let long = by::<Long, { Long::ROWS }, { Long::COLUMNS }>(sizes, transposed, beta, seed);
                prop_assert!(short == long, "{sizes:?} {transposed:?} {beta}");
            }
        }
    }
}
