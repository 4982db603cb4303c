//! Matrix multiplication over slices: a safe door to the kernel for AVX2, and to the `gemm` crate elsewhere.
//!
//! A product of a few rows, as in sampling, reads the second matrix once where it lies: packing it would take longer.

use super::half::Precision;
use super::panels::Line;
use super::real::Real;
use super::wide::{sum_pairs, wide};

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'d, R> {
    data: &'d [R],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
    /// Nothing, or what the kernel would copy it to.
    panels: &'d [Line],
    /// How products with it are made.
    precision: Precision,
}

/// How many numbers a matrix reaches over.
fn extent(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

impl<'d, R: Real> Matrix<'d, R> {
    /// `rows` rows that begin `row_stride` numbers apart.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    pub(super) fn new(data: &'d [R], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(extent(rows, columns, row_stride, 1) <= data.len(), "a matrix must lie inside its slice");
        Self { data, rows, columns, row_stride, column_stride: 1, panels: &[], precision: Precision::F32 }
    }

    /// Rows without gaps.
    pub(super) fn dense(data: &'d [R], rows: usize, columns: usize) -> Self {
        Self::new(data, rows, columns, columns)
    }

    /// Rows for columns.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            panels: &[],
            ..self
        }
    }

    /// Rows and columns.
    pub(super) fn size(self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The same, but the products of another matrix with it are made in this precision. (f64 has one alone.)
    pub(super) fn by(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// How products with it are made.
    pub(super) fn precision(self) -> Precision {
        self.precision
    }

    /// The same with the panels that [`Matrix::pack`] made of it in this precision, or none.
    pub(super) fn with(self, panels: &'d [Line]) -> Self {
        Self { panels, ..self }
    }

    /// Packs it into the panels of the left side of a product or of the right, from the first product of so many in all on;
    /// where a processor multiplies bf16.
    pub(super) fn keep(self, right: bool, products: [usize; 2], panels: &mut Vec<Line>) {
        let strides = [self.row_stride as isize, self.column_stride as isize];
        // SAFETY: `Matrix::new` has checked that every element lies inside the slice.
        #[allow(unsafe_code)]
        unsafe {
            R::keep(right, [self.rows, self.columns], self.data.as_ptr(), strides, products, panels);
        }
    }

    /// Makes panels of it, where there is a kernel that takes them.
    pub(super) fn pack(self, panels: &mut Vec<Line>) {
        let strides = [self.row_stride as isize, self.column_stride as isize];
        // SAFETY: `Matrix::new` has checked that every element lies inside the slice.
        #[allow(unsafe_code)]
        unsafe {
            R::pack(self.precision, [self.rows, self.columns], self.data.as_ptr(), strides, panels);
        }
    }
}

/// `c = a b + beta c`, or that and a row of biases if there are any: for so many rows of `a`, packed by
/// [`Real::keep_both`], and `b` with its panels.
///
/// # Panics
///
/// If the sizes do not fit, or there is nothing that multiplies bf16.
pub(super) fn matmul_rows<R: Real>(
    (a, rows): (&[Line], usize),
    b: Matrix<'_, R>,
    start: (R, &[R]),
    c: &mut [R],
    c_stride: usize,
) {
    if b.panels.is_empty() {
        let mut panels = Vec::new();
        b.pack(&mut panels);
        return R::multiply_rows([rows, b.rows, b.columns], a, &panels, start, c, c_stride);
    }
    R::multiply_rows([rows, b.rows, b.columns], a, b.panels, start, c, c_stride);
}

/// Rows of a product that takes the way without packing.
const THIN: usize = 3;

wide! {
    /// [`matmul`] of a few rows by a matrix whose rows or columns are contiguous; in the second case, the rows of the
    /// few.
    fn thin<R>(alpha: R, a: Matrix<'_, R>, b: Matrix<'_, R>, beta: R, c: &mut [R], c_stride: usize) {
        let n = b.columns;
        for (row, c) in c.chunks_mut(c_stride).take(a.rows).enumerate() {
            let c = &mut c[..n];
            if beta == R::default() {
                c.fill(R::default());
            } else if beta != R::of(1.0) {
                c.iter_mut().for_each(|c| *c *= beta);
            }
            let a_row = &a.data[row * a.row_stride..];
            if b.column_stride == 1 {
                for at in 0..b.rows {
                    let b = &b.data[at * b.row_stride..][..n];
                    let factor = alpha * a_row[at * a.column_stride];
                    c.iter_mut().zip(b).for_each(|(c, &b)| *c += factor * b);
                }
            } else {
                let a_row = &a_row[..a.columns];
                for (at, c) in c.iter_mut().enumerate() {
                    let b = &b.data[at * b.column_stride..][..a.columns];
                    *c += alpha * sum_pairs(a_row, b, |a, b| a * b);
                }
            }
        }
    }
}

/// `c = alpha a b + beta c`, where the rows of `c` begin `c_stride` numbers apart, in the precision of `b`.
///
/// # Panics
///
/// If the sizes do not fit, or `c` is too short.
pub(super) fn matmul<R: Real>(alpha: R, a: Matrix<'_, R>, b: Matrix<'_, R>, beta: R, c: &mut [R], c_stride: usize) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(k, b.rows, "the columns of the first matrix are the rows of the second");
    assert!(c_stride >= n && extent(m, n, c_stride, 1) <= c.len(), "the product must lie inside its slice");
    if m <= THIN
        && k > 0
        && b.precision.is_f32()
        && (b.column_stride == 1 || (b.row_stride == 1 && a.column_stride == 1))
    {
        return thin(alpha, a, b, beta, c, c_stride);
    }
    let strides = |matrix: &Matrix<'_, R>| [matrix.row_stride as isize, matrix.column_stride as isize];
    // SAFETY: `Matrix::new` has checked that every element of `a` and `b` lies inside its slice (transposing exchanges
    // sizes and strides together), the assertion above that every element of `c` does. `c` is borrowed mutably, so it
    // overlaps neither, and its rows do not overlap each other because their stride is at least their length.
    #[allow(unsafe_code)]
    unsafe {
        R::gemm(
            b.precision,
            [m, k, n],
            alpha,
            a.data.as_ptr(),
            strides(&a),
            b.data.as_ptr(),
            (strides(&b), b.panels),
            beta,
            c.as_mut_ptr(),
            [c_stride as isize, 1],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The plain version: three loops.
    fn loops<R: Real>(alpha: R, a: Matrix<'_, R>, b: Matrix<'_, R>, beta: R, c: &mut [R], c_stride: usize) {
        let at = |matrix: Matrix<'_, R>, row: usize, column: usize| {
            matrix.data[row * matrix.row_stride + column * matrix.column_stride]
        };
        for i in 0..a.rows {
            for j in 0..b.columns {
                let sum: R = (0..a.columns).map(|l| at(a, i, l) * at(b, l, j)).sum();
                let before = if beta == R::default() { R::default() } else { beta * c[i * c_stride + j] };
                c[i * c_stride + j] = alpha * sum + before;
            }
        }
    }

    /// Sizes that cross each border of the kernel: rows of a tile and of a block, columns of a panel, products.
    fn size(far: usize) -> impl Strategy<Value = usize> {
        prop_oneof![3 => 1usize..20, 2 => 20usize..70, 1 => far - 8..far + 8]
    }

    fn check<R: Real + std::fmt::Debug>(
        [m, k, n]: [usize; 3],
        pads: [usize; 3],
        transposed: [bool; 2],
        beta: f64,
        seed: u32,
    ) {
        // Whole numbers whose sums f32 holds: every order of additions gives the same.
        let numbers = |count: usize, salt: u32| -> Vec<R> {
            let number = |at: u32| (at ^ salt).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16;
            (0..count as u32).map(|at| R::of(f64::from(number(at) % 17) - 8.0)).collect()
        };
        let [a_pad, b_pad, c_pad] = pads;
        let place = |rows: usize, columns: usize, pad: usize, transposed: bool| {
            if transposed { (columns, rows, rows + pad) } else { (rows, columns, columns + pad) }
        };
        let (a_place, b_place) = (place(m, k, a_pad, transposed[0]), place(k, n, b_pad, transposed[1]));
        let (a, b) = (numbers(a_place.0 * a_place.2, 1), numbers(b_place.0 * b_place.2, 2));
        let matrix = |data, (rows, columns, stride): (usize, usize, usize), transposed: bool| {
            let matrix = Matrix::<R>::new(data, rows, columns, stride);
            if transposed { matrix.transposed() } else { matrix }
        };
        let mut got = numbers(m * (n + c_pad), 3);
        if beta == 0.0 {
            got.fill(R::of(f64::NAN));
        }
        let mut expected = got.clone();
        let [a, b] = [matrix(&a, a_place, transposed[0]), matrix(&b, b_place, transposed[1])];
        matmul(R::of(2.0), a, b, R::of(beta), &mut got, n + c_pad);
        loops(R::of(2.0), a, b, R::of(beta), &mut expected, n + c_pad);
        let same = |(got, expected): (&R, &R)| got == expected || (got.f64().is_nan() && expected.f64().is_nan());
        assert!(got.iter().zip(&expected).all(same), "{got:?} should be {expected:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn equals_three_loops(
            sizes in [size(144), size(256), size(96)],
            pads in [0usize..3, 0usize..3, 0usize..3],
            transposed in any::<[bool; 2]>(),
            beta in prop_oneof![Just(0.0), Just(1.0), Just(-1.0)],
            seed in any::<u32>(),
        ) {
            check::<f32>(sizes, pads, transposed, beta, seed);
            check::<f64>(sizes, pads, transposed, beta, seed);
        }
    }

    /// One row of the second matrix, whose rows and columns are both contiguous.
    #[test]
    fn one_product_a_sum() {
        check::<f32>([1, 1, 2], [0, 0, 0], [false, true], 0.0, 0);
        check::<f32>([9, 1, 20], [0, 0, 0], [true, true], 1.0, 0);
    }

    #[test]
    fn more_columns_than_are_packed_at_a_time() {
        check::<f32>([7, 3, 1024 + 21], [1, 0, 2], [false, true], 1.0, 5);
        check::<f32>([2, 300, 1024 + 21], [1, 0, 2], [false, false], 1.0, 6);
    }

    #[test]
    #[should_panic(expected = "inside its slice")]
    fn too_short_a_slice() {
        let _ = Matrix::<f32>::dense(&[0.0; 5], 2, 3);
    }
}
