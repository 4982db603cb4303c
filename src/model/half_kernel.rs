//! Matrix multiplication of bf16 on x86-64: c = alpha a b + beta c, with a, b and c in f32 outside and bf16 in the panels.
//!
//! Both matrices are packed (`half_pack.rs`) into panels of 32 rows or columns, which the tiles (`half_tile.rs`) walk along:
//! over all products of a sum at once, so that sums never leave the registers, and over whole panels with zeros where the
//! matrices end, whose sums are not written.
//!
//! On an Intel Xeon of family 6, model 207, both of AMX and of memory there is less to be had than the processor's
//! sheets say while its other thread works; asking for the next panel early, and taking 64 rows at a time through the matrices
//! of a layer so that they stay in the cache, won nothing that could be seen there. Sums over windows stay in the
//! registers too; asking for the next right panel of them early was slower. Sums of long rows in parts, so that a panel of
//! `a` stays in the first cache, won nothing beyond going row by row.
//!
//! On an AMD Zen 5, where vectors multiply (a megabyte of second cache), the next right panel is asked for a little at a time
//! while tiles are multiplied; with the rows that packing asks for, a step of C1 took a twentieth less. Sums over windows ask for
//! left panels too, and for the rows that they are added to: another one to two percent. Asked for into the first cache, and by
//! the head too (which otherwise waited for its matrix at the first rows of each tile), one to two percent more. There the sums
//! of all windows in registers, and one to eight left panels together, were as fast as noise can tell; asking for a tile's own
//! panel a little before it is read lost.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch, _mm512_loadu_si512, _mm512_storeu_si512};
use std::cell::RefCell;
use std::sync::OnceLock;

use super::half::{PANEL, Pair, lines};
use super::half_pack::{DEPTH, Side, pack, transposed};
use super::half_tile::{Dots, Tiles, has_dots, has_tiles};
use super::kernel::Strided;
use super::panels::Line;

/// Lines of a panel for each step of [`DEPTH`] products.
pub(super) const STEP: usize = PANEL * DEPTH / 32;
const _: () = assert!(DEPTH == PANEL && STEP == PANEL, "what `lines` counts with");

/// What multiplies bf16 in this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// AMX: tiles of 16 by 32, on Linux.
    Tiles,
    /// AVX512-BF16: pairs of products in vectors.
    Dots,
}

/// What multiplies bf16 in this processor fastest, if anything does.
pub(super) fn unit() -> Option<Unit> {
    static UNIT: OnceLock<Option<Unit>> = OnceLock::new();
    *UNIT.get_or_init(|| {
        if !has_dots() {
            None
        } else if has_tiles() {
            Some(Unit::Tiles)
        } else {
            Some(Unit::Dots)
        }
    })
}

/// Sums of a tile of [`PANEL`] by [`PANEL`].
pub(super) type Sums = [f32; PANEL * PANEL];

/// What sums begin with: nothing (null), or a square in rows of a stride; 0 for one row that stands for all.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) data: *const f32,
    pub(super) stride: usize,
}

impl Start {
    pub(super) const NOTHING: Self = Self { data: std::ptr::null(), stride: 0 };
}

/// Multiplies two panels.
pub(super) trait Multiply {
    /// Lines of `b` at most that are gone through for each panel of `a`: what stays in the second cache.
    const NEAR: usize;

    /// What is to be there as long as tiles are multiplied.
    fn begin() -> Self;

    /// The sums of two panels, of at least one step, and what they begin with, written to a matrix.
    ///
    /// # Safety
    ///
    /// The processor has what it takes; the panels have so many steps; all [`PANEL`] rows of as many numbers lie inside the
    /// matrix, whose rows are `stride` numbers apart, and inside what the sums begin with.
    #[allow(unsafe_code)]
    unsafe fn tile(&self, run: Run, c: *mut f32, stride: usize, from: Start);

    /// The sums of several pairs of panels, of so many steps each, one after the other.
    ///
    /// # Safety
    ///
    /// As [`Multiply::tile`]; a step at least in all.
    #[allow(unsafe_code)]
    unsafe fn tiles(&self, runs: &[Run], c: *mut f32, stride: usize) {
        let mut from = Start::NOTHING;
        for run in runs.iter().filter(|run| run.steps > 0) {
            // SAFETY: the caller's; behind the first one, sums are there.
            unsafe { self.tile(*run, c, stride, from) };
            from = Start { data: c, stride };
        }
    }
}

/// A pair of panels.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) left: *const Line,
    pub(super) right: *const Line,
    pub(super) steps: usize,
    /// Lines that are wanted soon, which may be asked for while these are multiplied. They need not be there.
    pub(super) ahead: *const Line,
    pub(super) lines: usize,
}

impl Run {
    /// So many steps, and nothing to ask for.
    pub(super) fn new(left: *const Line, right: *const Line, steps: usize) -> Self {
        Self { left, right, steps, ahead: right, lines: 0 }
    }

    /// One of so many parts of the lines from a place on, to be asked for.
    pub(super) fn asking(self, ahead: *const Line, lines: usize, part: usize, parts: usize) -> Self {
        let each = lines / parts;
        Self { ahead: ahead.wrapping_add(part * each), lines: each, ..self }
    }
}

thread_local! {
    /// Packed panels of `a` and `b`. Every thread has its own, which it keeps.
    static PANELS: RefCell<[Vec<Line>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

pub(super) fn room(lines: &mut Vec<Line>, count: usize) -> *mut Line {
    if lines.len() < count {
        lines.resize(count, Line([0.0; 16]));
    }
    lines.as_mut_ptr()
}

/// The panels of `b` (k, n), for [`multiply`].
///
/// # Safety
///
/// [`unit`] gives one. Every element that the sizes and strides reach lies inside its allocation.
#[allow(unsafe_code)]
pub(super) unsafe fn pack_b(b: Strided, [k, n]: [usize; 2], panels: &mut Vec<Line>) {
    let side = Side { data: b.data, outer: b.columns, inner: b.rows };
    // SAFETY: there is room for all panels; the rest is the caller's.
    unsafe { pack::<true>(side, n, k, room(panels, lines(n, k)), lines(1, k)) };
}

/// Packs a part of a side of a product: of the left one (m, k), or of the right one (k, n), from the first product of so many
/// in all on. The first is a multiple of [`DEPTH`].
///
/// # Safety
///
/// As [`pack_b`].
#[allow(unsafe_code)]
pub(super) unsafe fn keep(
    right: bool,
    matrix: Strided,
    [rows, columns]: [usize; 2],
    [first, all]: [usize; 2],
    panels: &mut Vec<Line>,
) {
    let (stride, offset) = (lines(1, all), first / DEPTH * STEP);
    let (count, depth) = if right { (columns, rows) } else { (rows, columns) };
    assert!(first.is_multiple_of(DEPTH) && first + depth <= all, "a part of the products");
    // SAFETY: there is room for all panels, and the part is one of them; the rest is the caller's.
    unsafe {
        let to = room(panels, lines(count, all)).add(offset);
        if right {
            pack::<true>(
                Side { data: matrix.data, outer: matrix.columns, inner: matrix.rows },
                count,
                depth,
                to,
                stride,
            );
        } else {
            pack::<false>(
                Side { data: matrix.data, outer: matrix.rows, inner: matrix.columns },
                count,
                depth,
                to,
                stride,
            );
        }
    }
}

/// The rows of a sum of products from a panel of the left sides on, or those rows added to what is there. `turned`: the rows
/// of the product turned, which are those of the right sides.
///
/// # Panics
///
/// If the panels are of another size, or there is nothing that multiplies bf16.
pub(super) fn add_up(pairs: &[Pair<'_>], turned: bool, panel: usize, columns: usize, rows: &mut [f32], added: bool) {
    let height = rows.len() / columns;
    for pair in pairs {
        let (left, right) = if turned { (pair.right, pair.left) } else { (pair.left, pair.right) };
        let fits = lines(panel * PANEL + height, pair.tokens) <= left.len();
        assert!(fits && lines(columns, pair.tokens) <= right.len(), "panels of another size");
    }
    // SAFETY: the panels are as large as was checked, and the unit is that of the processor.
    #[allow(unsafe_code)]
    unsafe {
        match unit().expect("what was packed is multiplied by the same processor") {
            Unit::Tiles => add_up_by::<Tiles>(pairs, turned, panel, columns, rows, added),
            Unit::Dots => add_up_by::<Dots>(pairs, turned, panel, columns, rows, added),
        }
    }
}

/// [`add_up`] by one unit.
///
/// # Safety
///
/// The processor has it and AVX-512, and the panels are as large as the sizes say.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
unsafe fn add_up_by<M: Multiply>(
    pairs: &[Pair<'_>],
    turned: bool,
    panel: usize,
    columns: usize,
    rows: &mut [f32],
    added: bool,
) {
    let unit = M::begin();
    let (mut sums, mut runs): (Sums, _) = ([0.0; PANEL * PANEL], Vec::with_capacity(pairs.len()));
    let steps: usize = pairs.iter().map(|pair| pair.tokens.div_ceil(DEPTH)).sum();
    let (blocks, panels) = (rows.len().div_ceil(PANEL * columns), columns.div_ceil(PANEL));
    // A panel of the right sides is multiplied with all of the left ones, which are near.
    for column in (0..columns).step_by(PANEL) {
        let width = PANEL.min(columns - column);
        for (block, rows) in rows.chunks_mut(PANEL * columns).enumerate() {
            runs.clear();
            for pair in pairs {
                let stride = lines(1, pair.tokens);
                let (row, column) = (panel + block, column / PANEL);
                let (left, right) = if turned { (column, row) } else { (row, column) };
                // SAFETY: the caller's.
                let (left, right) =
                    unsafe { (pair.left.as_ptr().add(left * stride), pair.right.as_ptr().add(right * stride)) };
                let run = Run::new(left, right, pair.tokens.div_ceil(DEPTH));
                // What comes next from far away. While the first panel of columns is there it is the next panel of rows; then the
                // next panel of columns, a part at a time; and at the end what the next rows begin with.
                let [own, other] = if turned { [right, left] } else { [left, right] };
                runs.push(if column / PANEL + 1 == panels {
                    run.asking(own.wrapping_add(blocks * stride), stride, 0, 1)
                } else if column == 0 {
                    run.asking((if block + 1 < blocks { own } else { other }).wrapping_add(stride), stride, 0, 1)
                } else {
                    run.asking(other.wrapping_add(stride), stride, block, blocks)
                });
            }
            for row in rows.chunks_exact(columns) {
                for half in [0, PANEL / 2] {
                    _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(column + half).cast());
                }
            }
            if steps > 0 {
                // SAFETY: the caller's.
                unsafe { unit.tiles(&runs, sums.as_mut_ptr(), PANEL) };
            }
            if turned {
                turn(&mut sums);
            }
            for (row, sums) in rows.chunks_exact_mut(columns).zip(sums.chunks_exact(PANEL)) {
                let factors = if added { [1.0, 1.0] } else { [1.0, 0.0] };
                combine(&sums[..width], factors, &mut row[column..column + width]);
            }
        }
    }
}

/// Turns a square.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn turn(sums: &mut Sums) {
    const HALF: usize = PANEL / 2;
    let before = *sums;
    for (row, column) in [(0, 0), (0, HALF), (HALF, 0), (HALF, HALF)] {
        let place = |at: usize| before[(row + at) * PANEL + column..].as_ptr();
        // SAFETY: 16 numbers of 16 rows from these on are inside the square.
        #[allow(unsafe_code)]
        unsafe {
            let columns = transposed(std::array::from_fn(|at| _mm512_loadu_si512(place(at).cast())));
            for (at, column_of) in columns.into_iter().enumerate() {
                _mm512_storeu_si512(sums[(column + at) * PANEL + row..].as_mut_ptr().cast(), column_of);
            }
        }
    }
}

/// `c = alpha a b + beta c` for (m, k) times (k, n); the rows of `c` lie `c_stride` apart. `c` is not read if `beta` is
/// 0. `packed` is nothing, or the panels that [`pack_b`] made of `b`.
///
/// # Safety
///
/// [`unit`] gives this one. Every element that the sizes and strides reach lies inside its allocation; `c` overlaps neither
/// `a` nor `b`.
///
/// # Panics
///
/// If there are panels, but of another size.
#[allow(unsafe_code)]
pub(super) unsafe fn multiply(
    unit: Unit,
    sizes: [usize; 3],
    factors: [f32; 2],
    a: Strided,
    (b, packed): (Strided, &[Line]),
    c: *mut f32,
    c_stride: usize,
) {
    let [m, k, n] = sizes;
    assert!(packed.is_empty() || packed.len() == lines(n, k), "panels of another size");
    PANELS.with_borrow_mut(|[a_panels, b_panels]| {
        let a_panels = room(a_panels, lines(m, k));
        // SAFETY: there is room for all panels; the rest is the caller's.
        unsafe {
            pack::<false>(Side { data: a.data, outer: a.rows, inner: a.columns }, m, k, a_panels, lines(1, k));
            if packed.is_empty() {
                pack_b(b, [k, n], b_panels);
            }
            let b = if packed.is_empty() { b_panels.as_ptr() } else { packed.as_ptr() };
            walk_by(unit, sizes, (factors, &[]), a_panels, b, c, c_stride);
        }
    });
}

/// `c = a b + beta c`, or that and a row of biases if there are any, for `a` packed as left side and [`pack_b`] of `b`.
///
/// # Panics
///
/// If the panels, the biases or `c` are too few, or there is nothing that multiplies bf16.
pub(super) fn multiply_rows(
    [m, k, n]: [usize; 3],
    a: &[Line],
    b: &[Line],
    (beta, bias): (f32, &[f32]),
    c: &mut [f32],
    c_stride: usize,
) {
    assert!(a.len() >= lines(m, k) && b.len() == lines(n, k), "panels of another size");
    assert!(bias.is_empty() || (bias.len() == n && beta == 0.0), "a bias for each column, instead of what is there");
    assert!(
        m > 0 && n > 0 && c_stride >= n && (m - 1) * c_stride + n <= c.len(),
        "the product must lie inside its slice"
    );
    let unit = unit().expect("what was packed is multiplied by the same processor");
    // SAFETY: all sizes were checked.
    #[allow(unsafe_code)]
    unsafe {
        walk_by(unit, [m, k, n], ([1.0, beta], bias), a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), c_stride);
    }
}

/// [`walk`] by a unit.
///
/// # Safety
///
/// As [`multiply`].
#[allow(unsafe_code)]
unsafe fn walk_by(
    unit: Unit,
    sizes: [usize; 3],
    factors: ([f32; 2], &[f32]),
    a: *const Line,
    b: *const Line,
    c: *mut f32,
    c_stride: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        match unit {
            Unit::Tiles => walk::<Tiles>(sizes, factors, a, b, c, c_stride),
            Unit::Dots => walk::<Dots>(sizes, factors, a, b, c, c_stride),
        }
    }
}

/// All tiles of packed matrices; a bias for each column, or none.
///
/// # Safety
///
/// As [`multiply`].
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f")]
unsafe fn walk<M: Multiply>(
    [m, k, n]: [usize; 3],
    ([alpha, beta], bias): ([f32; 2], &[f32]),
    a: *const Line,
    b: *const Line,
    c: *mut f32,
    c_stride: usize,
) {
    let steps = k.div_ceil(DEPTH);
    let unit = M::begin();
    let direct = alpha == 1.0 && (beta == 0.0 || beta == 1.0) && steps > 0;
    let near = n.div_ceil(PANEL) * steps * STEP <= M::NEAR;
    let mut sums: Sums = [0.0; PANEL * PANEL];
    let mut tile = |row: usize, column: usize| {
        let (height, width) = (PANEL.min(m - row), PANEL.min(n - column));
        let bias = if bias.is_empty() { bias } else { &bias[column..column + width] };
        // SAFETY: the panels have all rows and columns, `c` has these, and a bias as many columns. What a square begins with
        // is read before any of its rows is written.
        unsafe {
            let (a, b) = (a.add(row / PANEL * steps * STEP), b.add(column / PANEL * steps * STEP));
            let c = c.add(row * c_stride + column);
            let run = Run::new(a, b, steps);
            let next = b.wrapping_add(steps * STEP);
            let run = if near { run } else { run.asking(next, steps * STEP, row / PANEL, m.div_ceil(PANEL)) };
            let from = match bias {
                [] if beta == 0.0 => Start::NOTHING,
                [] => Start { data: c, stride: c_stride },
                bias => Start { data: bias.as_ptr(), stride: 0 },
            };
            if direct && width == PANEL && height == PANEL {
                return unit.tile(run, c, c_stride, from);
            }
            let rows = (0..height).map(|row| std::slice::from_raw_parts_mut(c.add(row * c_stride), width));
            if direct {
                // By way of a whole square that begins with the same: so a row does not depend on how many stand beside it.
                let mut whole = Start::NOTHING;
                if !from.data.is_null() {
                    for (row, sums) in sums.chunks_exact_mut(PANEL).take(height).enumerate() {
                        sums[..width]
                            .copy_from_slice(std::slice::from_raw_parts(from.data.add(row * from.stride), width));
                    }
                    whole = Start { data: sums.as_ptr(), stride: PANEL };
                }
                unit.tile(run, sums.as_mut_ptr(), PANEL, whole);
                return rows.zip(sums.chunks_exact(PANEL)).for_each(|(row, sums)| row.copy_from_slice(&sums[..width]));
            }
            if steps > 0 {
                unit.tile(run, sums.as_mut_ptr(), PANEL, Start::NOTHING);
            }
            for (row, sums) in rows.zip(sums.chunks_exact(PANEL)) {
                combine(&sums[..width], [alpha, beta], row);
                row.iter_mut().zip(bias).for_each(|(c, &bias)| *c += bias);
            }
        }
    };
    // Row by row while all of `b` stays in the second cache, so that rows of `c` are written one after the other.
    if near {
        (0..m).step_by(PANEL).for_each(|row| (0..n).step_by(PANEL).for_each(|column| tile(row, column)));
    } else {
        (0..n).step_by(PANEL).for_each(|column| (0..m).step_by(PANEL).for_each(|row| tile(row, column)));
    }
}

/// A part of a row of `c` = alpha sums + beta `c`.
#[inline(always)]
fn combine(sums: &[f32], [alpha, beta]: [f32; 2], c: &mut [f32]) {
    if beta == 0.0 {
        c.iter_mut().zip(sums).for_each(|(c, &sum)| *c = alpha * sum);
    } else {
        c.iter_mut().zip(sums).for_each(|(c, &sum)| *c = beta * *c + alpha * sum);
    }
}

/// Panels of one side of products.
#[derive(Default)]
pub(super) struct Packed {
    lines: Vec<Line>,
    steps: usize,
}

/// Rows of a matrix (or columns, as right side), how far apart they are, and neighbours in a product.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) count: usize,
    pub(super) depth: usize,
    pub(super) outer: usize,
    pub(super) inner: usize,
}

impl Packed {
    /// Makes room for panels of so many steps.
    pub(super) fn room(&mut self, panels: usize, steps: usize) {
        self.steps = steps;
        let lines = panels * steps * STEP;
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0.0; 16]));
        }
    }

    /// Packs a whole side: the left one, or `B`, the right one.
    pub(super) fn fill<const B: bool>(&mut self, data: &[f32], strides: Strides) {
        self.room(strides.count.div_ceil(PANEL), strides.depth.div_ceil(DEPTH));
        self.put::<B>([0, 0], data, strides);
    }

    /// Packs a part, from a panel and a step on.
    pub(super) fn put<const B: bool>(&mut self, [panel, step]: [usize; 2], data: &[f32], strides: Strides) {
        let Strides { count, depth, outer, inner } = strides;
        assert!(count > 0 && depth > 0 && (count - 1) * outer + (depth - 1) * inner < data.len(), "a part of a slice");
        let first = (panel * self.steps + step) * STEP;
        let end = first + ((count.div_ceil(PANEL) - 1) * self.steps + depth.div_ceil(DEPTH)) * STEP;
        assert!(end <= self.lines.len(), "room for the panels");
        let side = Side { data: data.as_ptr(), outer: outer as isize, inner: inner as isize };
        let to = self.lines[first..].as_mut_ptr();
        // SAFETY: whoever packs has asked for the unit, which takes the same of the processor; the rest was checked.
        #[allow(unsafe_code)]
        unsafe {
            pack::<B>(side, count, depth, to, self.steps * STEP);
        }
    }

    /// The lines of so many steps from a step of a panel on, to be filled.
    pub(super) fn lines(&mut self, panel: usize, first: usize, steps: usize) -> &mut [Line] {
        let start = (panel * self.steps + first) * STEP;
        &mut self.lines[start..start + steps * STEP]
    }

    /// So many steps of a panel.
    pub(super) fn part(&self, panel: usize, first: usize, steps: usize) -> *const Line {
        let start = (panel * self.steps + first) * STEP;
        assert!(first + steps <= self.steps, "steps of one panel");
        self.lines[start..start + steps * STEP].as_ptr()
    }
}

/// The product of two panels along so many steps, written to a square of [`PANEL`] in rows of a stride.
pub(super) fn product<M: Multiply>(
    unit: &M,
    (left, panel): (&Packed, usize),
    (right, column): (&Packed, usize),
    [first, steps]: [usize; 2],
    c: &mut [f32],
    stride: usize,
) {
    assert!(steps > 0 && stride >= PANEL && (PANEL - 1) * stride + PANEL <= c.len(), "a square inside the slice");
    // SAFETY: the parts and the square were checked; the unit was set up.
    #[allow(unsafe_code)]
    unsafe {
        let (a, b) = (left.part(panel, first, steps), right.part(column, first, steps));
        unit.tile(Run::new(a, b, steps), c.as_mut_ptr(), stride, Start::NOTHING);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::half::rounded;
    use super::super::random::Random;
    use super::*;

    /// The matrices of a product, by rows or by columns, and the plain product in f64 of what is rounded.
    struct Case {
        sizes: [usize; 3],
        transposed: [bool; 2],
        a: Vec<f32>,
        b: Vec<f32>,
        before: Vec<f32>,
    }

    impl Case {
        fn new(sizes: [usize; 3], transposed: [bool; 2], mut number: impl FnMut() -> f32) -> Self {
            let [m, k, n] = sizes;
            let mut numbers = |count: usize| (0..count).map(|_| number()).collect();
            Self { sizes, transposed, a: numbers(m * k), b: numbers(k * n), before: numbers(m * n) }
        }

        /// The strides of both.
        fn strides(&self) -> [[usize; 2]; 2] {
            let [m, k, n] = self.sizes;
            let strides = |rows, columns, transposed| if transposed { [1, rows] } else { [columns, 1] };
            [strides(m, k, self.transposed[0]), strides(k, n, self.transposed[1])]
        }

        fn by(&self, unit: Unit, packed: bool, [alpha, beta]: [f32; 2]) -> Vec<f32> {
            let [_, k, n] = self.sizes;
            let [a, b] = self.strides();
            let strided = |data: &[f32], [rows, columns]: [usize; 2]| Strided {
                data: data.as_ptr(),
                rows: rows as isize,
                columns: columns as isize,
            };
            let (a, b) = (strided(&self.a, a), strided(&self.b, b));
            let mut c = if beta == 0.0 { vec![f32::NAN; self.before.len()] } else { self.before.clone() };
            let mut panels = Vec::new();
            // SAFETY: the matrices are as large as the sizes say, and the caller has asked for the processor.
            #[allow(unsafe_code)]
            unsafe {
                if packed {
                    pack_b(b, [k, n], &mut panels);
                }
                multiply(unit, self.sizes, [alpha, beta], a, (b, &panels), c.as_mut_ptr(), n);
            }
            c
        }

        /// Each element, and the sum of the absolute values that it is made of.
        fn plain(&self, [alpha, beta]: [f32; 2]) -> Vec<(f64, f64)> {
            let ([m, k, n], [a, b]) = (self.sizes, self.strides());
            let element = |at: usize| {
                let (i, j) = (at / n, at % n);
                let product = |l: usize| {
                    f64::from(rounded(self.a[i * a[0] + l * a[1]])) * f64::from(rounded(self.b[l * b[0] + j * b[1]]))
                };
                let (alpha, before) = (f64::from(alpha), f64::from(beta * self.before[at]));
                let sum: f64 = (0..k).map(product).sum();
                let whole: f64 = (0..k).map(|l| product(l).abs()).sum();
                (alpha * sum + before, alpha.abs() * whole + before.abs())
            };
            (0..m * n).map(element).collect()
        }
    }

    fn units() -> Vec<Unit> {
        let all = [(has_dots(), Unit::Dots), (unit() == Some(Unit::Tiles), Unit::Tiles)];
        all.into_iter().filter(|(there, _)| *there).map(|(_, unit)| unit).collect()
    }

    fn size() -> impl Strategy<Value = usize> {
        prop_oneof![3 => 1usize..20, 2 => 20usize..70, 1 => 120usize..140]
    }

    proptest! {
        /// Whole numbers, whose sums f32 holds: every order of additions gives the same.
        #[test]
        fn whole_numbers_are_exact(
            sizes in [size(), size(), size()], transposed in any::<[bool; 2]>(), packed: bool,
            factors in (select(vec![1.0f32, -0.5]), select(vec![0.0f32, 1.0, 0.5])),
            seed: u64,
        ) {
            let factors = [factors.0, factors.1];
            let mut random = Random::new(seed);
            let case = Case::new(sizes, transposed, || (random.normal() * 4.0).round() as f32);
            let expected: Vec<f32> = case.plain(factors).into_iter().map(|(value, _)| value as f32).collect();
            for unit in units() {
                prop_assert!(case.by(unit, packed, factors) == expected, "{unit:?} {sizes:?} {transposed:?} {factors:?}");
            }
        }

        /// Others are as near as sums of f32 are; what is rounded is rounded as the plain version does.
        #[test]
        fn others_are_near(
            sizes in [size(), size(), size()], transposed in any::<[bool; 2]>(),
            beta in prop_oneof![Just(0.0f32), Just(1.0)], seed: u64,
        ) {
            let mut random = Random::new(seed);
            let case = Case::new(sizes, transposed, || random.normal() as f32);
            let expected = case.plain([1.0, beta]);
            for unit in units() {
                let got = case.by(unit, false, [1.0, beta]);
                for (got, (expected, whole)) in got.into_iter().zip(&expected) {
                    let error = (f64::from(got) - expected).abs();
                    prop_assert!(error <= 1e-6 * whole, "{unit:?} {sizes:?}: {got} should be {expected}");
                }
            }
        }
    }

    #[test]
    fn nothing_to_add_up() {
        for unit in units() {
            let case = Case::new([3, 0, 5], [false, false], || 1.0);
            assert_eq!(case.by(unit, false, [1.0, 0.0]), [0.0; 15]);
            assert_eq!(case.by(unit, false, [1.0, 1.0]), [1.0; 15]);
            assert!(Case::new([0, 4, 5], [false, false], || 1.0).by(unit, false, [1.0, 0.0]).is_empty());
            assert!(Case::new([4, 4, 0], [false, false], || 1.0).by(unit, true, [1.0, 0.0]).is_empty());
        }
    }
}
