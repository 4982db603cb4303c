//! Matrix multiplication of f32 on x86-64 with AVX2: c = alpha a b + beta c.
//!
//! The inner tile keeps 6 x 16 sums in twelve registers and walks over at most [`DEPTH`] products (Goto and van de
//! Geijn 2008). `b` is copied into panels of 16 columns, which stay in the first cache while `a` streams by in panels
//! of 6 rows. With few columns, `a` is read where it lies if its rows are contiguous: copying it would cost more than
//! the better addresses gain.
//!
//! Tails: fewer than 6 rows take a tile of as many rows, fewer than 16 columns a panel filled with zeros, whose sums
//! are not written.

use std::arch::x86_64::{
    __m256, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_load_ps,
    _mm256_loadu_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps,
    _mm256_store_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};
use std::cell::RefCell;

/// Rows and columns of a tile.
const ROWS: usize = 6;
const COLUMNS: usize = 16;
/// Products that a tile adds up before it goes to memory: a panel of `b` is 16 KiB, half of the first cache.
const DEPTH: usize = 256;
/// Rows of `a` that are multiplied with all panels: 144 KiB, a part of the second cache.
const HEIGHT: usize = 24 * ROWS;
/// Columns of `b` up to which contiguous rows of `a` are not packed.
const NARROW: usize = 64;
/// Products that a tile makes between two jumps.
const UNROLLED: usize = 4;
/// Columns of `b` that are packed at a time.
const BREADTH: usize = 1024;

/// A line of the cache.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[allow(dead_code)] [f32; COLUMNS]);

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
    unsafe fn at(self, row: usize, column: usize) -> Self {
        // SAFETY: the caller's.
        let data = unsafe { self.data.offset(row as isize * self.rows + column as isize * self.columns) };
        Self { data, ..self }
    }
}

/// `c = alpha a b + beta c` for (m, k) times (k, n); the rows of `c` lie `c_stride` apart. `c` is not read if `beta` is
/// 0.
///
/// # Safety
///
/// The processor has AVX2 and FMA. Every element that the sizes and strides reach lies inside its allocation; `c`
/// overlaps neither `a` nor `b`.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn multiply(
    [m, k, n]: [usize; 3],
    alpha: f32,
    a: Strided,
    b: Strided,
    beta: f32,
    c: *mut f32,
    c_stride: usize,
) {
    PANELS.with_borrow_mut(|[a_panels, b_panels]| {
        for column in (0..n).step_by(BREADTH) {
            let breadth = BREADTH.min(n - column);
            for first in (0..k.max(1)).step_by(DEPTH) {
                let depth = DEPTH.min(k - first);
                let beta = if first == 0 { beta } else { 1.0 };
                let factors = Factors { alpha, beta, depth };
                let b_panels = room(b_panels, breadth.next_multiple_of(COLUMNS) * depth);
                // SAFETY: all offsets are below the sizes, and the caller keeps those inside the allocations. The
                // panels have room for all columns, rounded up to whole panels.
                unsafe { pack_b(if depth > 0 { b.at(first, column) } else { b }, depth, breadth, b_panels) };
                for row in (0..m).step_by(HEIGHT) {
                    let height = HEIGHT.min(m - row);
                    // SAFETY: as above; there is room for all rows, rounded up to whole panels, and a vector more.
                    unsafe {
                        let a = if depth > 0 { a.at(row, first) } else { a };
                        let a = if a.columns == 1 && n <= NARROW {
                            Block { data: a.data, row: a.rows as usize, depth: 1, panel: a.rows as usize * ROWS }
                        } else {
                            let panels = room(a_panels, (height.next_multiple_of(ROWS) * depth) + 8);
                            pack_a(a, height, depth, panels);
                            Block { data: panels, row: 1, depth: ROWS, panel: ROWS * depth }
                        };
                        block(a, height, b_panels, breadth, factors, c.add(row * c_stride + column), c_stride);
                    }
                }
            }
        }
    });
}

/// Space for so many numbers.
fn room(lines: &mut Vec<Line>, numbers: usize) -> *mut f32 {
    let count = numbers.div_ceil(COLUMNS);
    if lines.len() < count {
        lines.resize(count, Line([0.0; COLUMNS]));
    }
    lines.as_mut_ptr().cast()
}

#[derive(Clone, Copy)]
struct Factors {
    alpha: f32,
    beta: f32,
    depth: usize,
}

/// Rows of `a`: how far apart rows of a tile lie, the products of a row, and the tiles.
#[derive(Clone, Copy)]
struct Block {
    data: *const f32,
    row: usize,
    depth: usize,
    panel: usize,
}

/// All tiles of some rows of `a` and the packed columns.
///
/// # Safety
///
/// As [`multiply`]; `b` are whole panels.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn block(a: Block, rows: usize, b: *const f32, columns: usize, factors: Factors, c: *mut f32, c_stride: usize) {
    for column in (0..columns).step_by(COLUMNS) {
        let width = COLUMNS.min(columns - column);
        for row in (0..rows).step_by(ROWS) {
            // SAFETY: the offsets are below the sizes, which the caller keeps inside the allocations.
            unsafe {
                let a = Block { data: a.data.add(row / ROWS * a.panel), ..a };
                let b = b.add(column * factors.depth);
                let c = c.add(row * c_stride + column);
                if a.row == 1 && a.depth == ROWS && rows - row >= ROWS {
                    tile::<ROWS, true>(a, b, factors, c, c_stride, width);
                    continue;
                }
                match rows - row {
                    1 => tile::<1, false>(a, b, factors, c, c_stride, width),
                    2 => tile::<2, false>(a, b, factors, c, c_stride, width),
                    3 => tile::<3, false>(a, b, factors, c, c_stride, width),
                    4 => tile::<4, false>(a, b, factors, c, c_stride, width),
                    5 => tile::<5, false>(a, b, factors, c, c_stride, width),
                    _ => tile::<ROWS, false>(a, b, factors, c, c_stride, width),
                }
            }
        }
    }
}

/// One tile of `N` rows. `PACKED`: `a` is a panel, so that all its places are known before.
///
/// # Safety
///
/// As [`multiply`]; `b` is a whole panel, aligned to a line.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const N: usize, const PACKED: bool>(
    a: Block,
    b: *const f32,
    factors: Factors,
    c: *mut f32,
    c_stride: usize,
    width: usize,
) {
    let (row_stride, depth_stride) = if PACKED { (1, ROWS) } else { (a.row, a.depth) };
    if factors.beta != 0.0 {
        // What is added to comes from far away: sums of gradients. It is asked for while the products are made.
        for row in 0..N {
            let c = c.wrapping_add(row * c_stride).cast::<i8>();
            _mm_prefetch::<_MM_HINT_T0>(c);
            _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(60));
        }
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

/// Copies (depth, columns) into panels of 16 columns, the last filled up with zeros.
///
/// # Safety
///
/// As [`multiply`]; there is room for whole panels.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn pack_b(b: Strided, depth: usize, columns: usize, panels: *mut f32) {
    let whole = columns / COLUMNS * COLUMNS;
    // SAFETY: reads stay below `depth` and `columns`, writes inside the panels.
    unsafe {
        if b.columns == 1 {
            // A few rows at a time: whole rows would write to places that share a set of the cache, whole panels would
            // read from them.
            for first in (0..depth).step_by(4) {
                for column in (0..whole).step_by(COLUMNS) {
                    for row in first..(first + 4).min(depth) {
                        let from = b.at(row, column).data;
                        let to = panels.add(column * depth + row * COLUMNS);
                        _mm256_store_ps(to, _mm256_loadu_ps(from));
                        _mm256_store_ps(to.add(8), _mm256_loadu_ps(from.add(8)));
                    }
                }
            }
        } else if b.rows == 1 {
            let even = depth / 8 * 8;
            for column in (0..whole).step_by(8) {
                let to = panels.add(column / COLUMNS * COLUMNS * depth + column % COLUMNS);
                for row in (0..even).step_by(8) {
                    let mut numbers = [_mm256_setzero_ps(); 8];
                    for (at, numbers) in numbers.iter_mut().enumerate() {
                        *numbers = _mm256_loadu_ps(b.at(row, column + at).data);
                    }
                    for (at, numbers) in transposed(numbers).into_iter().enumerate() {
                        _mm256_store_ps(to.add((row + at) * COLUMNS), numbers);
                    }
                }
                for row in even..depth {
                    (0..8).for_each(|at| *to.add(row * COLUMNS + at) = *b.at(row, column + at).data);
                }
            }
        } else {
            for column in 0..whole {
                let to = panels.add(column / COLUMNS * COLUMNS * depth + column % COLUMNS);
                (0..depth).for_each(|row| *to.add(row * COLUMNS) = *b.at(row, column).data);
            }
        }
        if whole < columns {
            for row in 0..depth {
                let to = panels.add(whole * depth + row * COLUMNS);
                for at in 0..COLUMNS {
                    *to.add(at) = if whole + at < columns { *b.at(row, whole + at).data } else { 0.0 };
                }
            }
        }
    }
}

/// Copies (rows, depth) into panels of 6 rows; what lies behind the last row is not read.
///
/// # Safety
///
/// As [`multiply`]; there is room for whole panels and a vector more.
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn pack_a(a: Strided, rows: usize, depth: usize, panels: *mut f32) {
    for row in (0..rows).step_by(ROWS) {
        let count = ROWS.min(rows - row);
        // SAFETY: reads stay below `rows` (a vector across rows is read only where 8 are left) and `depth`, writes
        // inside the panels: a vector reaches 2 numbers into what the next product overwrites.
        unsafe {
            let to = panels.add(row * depth);
            let mut product = 0;
            if a.columns == 1 {
                while product + 8 <= depth {
                    let mut numbers = [_mm256_setzero_ps(); 8];
                    for (at, numbers) in numbers[..count].iter_mut().enumerate() {
                        *numbers = _mm256_loadu_ps(a.at(row + at, product).data);
                    }
                    for (at, numbers) in transposed(numbers).into_iter().enumerate() {
                        _mm256_storeu_ps(to.add((product + at) * ROWS), numbers);
                    }
                    product += 8;
                }
            } else if a.rows == 1 && rows - row >= 8 {
                while product < depth {
                    _mm256_storeu_ps(to.add(product * ROWS), _mm256_loadu_ps(a.at(row, product).data));
                    product += 1;
                }
            }
            while product < depth {
                (0..count).for_each(|at| *to.add(product * ROWS + at) = *a.at(row + at, product).data);
                product += 1;
            }
        }
    }
}

/// 8 rows of 8 numbers as columns.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn transposed(rows: [__m256; 8]) -> [__m256; 8] {
    let mut pairs = rows;
    let mut quads = rows;
    let mut columns = rows;
    for at in (0..8).step_by(2) {
        pairs[at] = _mm256_unpacklo_ps(rows[at], rows[at + 1]);
        pairs[at + 1] = _mm256_unpackhi_ps(rows[at], rows[at + 1]);
    }
    for half in [0, 4] {
        for at in 0..2 {
            let (first, second) = (pairs[half + at], pairs[half + at + 2]);
            quads[half + 2 * at] = _mm256_shuffle_ps::<0x44>(first, second);
            quads[half + 2 * at + 1] = _mm256_shuffle_ps::<0xEE>(first, second);
        }
    }
    for at in 0..4 {
        columns[at] = _mm256_permute2f128_ps::<0x20>(quads[at], quads[at + 4]);
        columns[at + 4] = _mm256_permute2f128_ps::<0x31>(quads[at], quads[at + 4]);
    }
    columns
}
