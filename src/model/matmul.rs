//! Matrix multiplication over slices: a safe door to the `matrixmultiply` crate.
//!
//! This and `real.rs` are the room's only places with `unsafe`.

use super::real::Real;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'d, R> {
    data: &'d [R],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
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
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Rows without gaps.
    pub(super) fn dense(data: &'d [R], rows: usize, columns: usize) -> Self {
        Self::new(data, rows, columns, columns)
    }

    /// Rows for columns.
    pub(super) fn transposed(self) -> Self {
        let Self { data, rows, columns, row_stride, column_stride } = self;
        Self { data, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }
}

/// `c = alpha a b + beta c`, where the rows of `c` begin `c_stride` numbers apart.
///
/// # Panics
///
/// If the sizes do not fit, or `c` is too short.
pub(super) fn matmul<R: Real>(alpha: R, a: Matrix<'_, R>, b: Matrix<'_, R>, beta: R, c: &mut [R], c_stride: usize) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert_eq!(k, b.rows, "the columns of the first matrix are the rows of the second");
    assert!(c_stride >= n && extent(m, n, c_stride, 1) <= c.len(), "the product must lie inside its slice");
    let strides = |matrix: &Matrix<'_, R>| [matrix.row_stride as isize, matrix.column_stride as isize];
    // SAFETY: `Matrix::new` has checked that every element of `a` and `b` lies inside its slice (transposing exchanges
    // sizes and strides together), the assertion above that every element of `c` does. `c` is borrowed mutably, so it
    // overlaps neither, and its rows do not overlap each other because their stride is at least their length.
    #[allow(unsafe_code)]
    unsafe {
        R::gemm(
            [m, k, n],
            alpha,
            a.data.as_ptr(),
            strides(&a),
            b.data.as_ptr(),
            strides(&b),
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

    proptest! {
        #[test]
        fn equals_three_loops(m in 1usize..9, k in 1usize..9, n in 1usize..9, pad in 0usize..3, transpose in any::<bool>(), seed in any::<u32>()) {
            let numbers = |count: usize, salt: u32| (0..count).map(|at| f64::from((at as u32).wrapping_mul(2_654_435_761).wrapping_add(seed ^ salt) % 97) - 48.0).collect::<Vec<_>>();
            let (a, b, before) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * (n + pad), 3));
            let mut c = before.clone();
            let left = if transpose { Matrix::dense(&a, k, m).transposed() } else { Matrix::dense(&a, m, k) };
            matmul(2.0, left, Matrix::dense(&b, k, n), -1.0, &mut c, n + pad);
            for i in 0..m {
                for j in 0..n + pad {
                    let at = i * (n + pad) + j;
                    let sum: f64 = (0..k).map(|l| if transpose { a[l * m + i] } else { a[i * k + l] } * b[l * n + j.min(n - 1)]).sum();
                    let expected = if j < n { 2.0 * sum - before[at] } else { before[at] };
                    prop_assert_eq!(c[at], expected);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "inside its slice")]
    fn too_short_a_slice() {
        let _ = Matrix::<f32>::dense(&[0.0; 5], 2, 3);
    }
}
