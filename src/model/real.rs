//! The numbers a model is made of: f32 to train, f64 to check gradients.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use super::attention::Shape;
use super::half::{self, Both, Precision, Source};
use super::head::Window;
use super::panels::Line;

/// f32 or f64.
pub(super) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + MulAssign
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// The nearest number.
    fn of(value: f64) -> Self;
    /// The number as f64.
    fn f64(self) -> f64;
    /// e to the power of it.
    fn exp(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `c = alpha a b + beta c` through pointers; see [`matmul`](super::matmul). `strides` are those of rows and columns;
    /// the columns of `c` are neighbours. With the strides of `b` come its panels in this precision, if there are any.
    /// f64 has one precision alone.
    ///
    /// # Safety
    ///
    /// Every element that the sizes (m, k, n) and strides reach must lie inside its allocation, and `c` must overlap
    /// neither `a` nor `b`, nor its elements each other.
    #[allow(unsafe_code, clippy::too_many_arguments)]
    unsafe fn gemm(
        precision: Precision,
        sizes: [usize; 3],
        alpha: Self,
        a: *const Self,
        a_strides: [isize; 2],
        b: *const Self,
        b_strides: ([isize; 2], &[Line]),
        beta: Self,
        c: *mut Self,
        c_strides: [isize; 2],
    );

    /// Makes panels of a matrix (rows, columns) with these strides, where there is a kernel that takes them.
    ///
    /// # Safety
    ///
    /// Every element that the sizes and strides reach must lie inside its allocation.
    #[allow(unsafe_code)]
    unsafe fn pack(
        _precision: Precision,
        _sizes: [usize; 2],
        _data: *const Self,
        _strides: [isize; 2],
        _panels: &mut Vec<Line>,
    ) {
    }

    /// Packs a matrix for a product in bf16: see [`Matrix::keep`](super::matmul::Matrix::keep).
    ///
    /// # Safety
    ///
    /// As [`Real::pack`].
    #[allow(unsafe_code)]
    unsafe fn keep(
        _right: bool,
        _sizes: [usize; 2],
        _data: *const Self,
        _strides: [isize; 2],
        _products: [usize; 2],
        _panels: &mut Vec<Line>,
    ) {
    }

    /// Packs rows (tokens, columns) for two products in bf16: see [`half_rows`](super::half_rows).
    fn keep_both(_source: Source<'_, Self>, _size: [usize; 2], _to: Both<'_, Self>) {}

    /// The same rows (tokens, columns) in f32, if they can be had so; says whether they are written.
    fn activated(_source: Source<'_, Self>, _columns: usize, _rows: &mut [Self]) -> bool {
        false
    }

    /// `c = a b + beta c`, or that and a row of biases, for packed rows: see [`matmul_rows`](super::matmul::matmul_rows).
    fn multiply_rows(
        _sizes: [usize; 3],
        _a: &[Line],
        _b: &[Line],
        _start: (Self, &[Self]),
        _c: &mut [Self],
        _c_stride: usize,
    ) {
    }

    /// [`attention`](super::attention::attention) by a way of its own, if there is one; says whether it is done.
    fn attention(_shape: Shape, _q: &[Self], _kv: &[Self], _sums: &mut [Self], _mix: &mut [Self]) -> bool {
        false
    }

    /// The same of [`attention_backward`](super::attention::attention_backward).
    fn attention_backward(_shape: Shape, _qkv: &[Self], _sums: &[Self], _dmix: &[Self], _dqkv: &mut [Self]) -> bool {
        false
    }

    /// e of a window, its sums and its products, by a way of its own, if there is one; says whether it is done.
    fn head(_window: Window<'_, Self>) -> bool {
        false
    }

    /// Hyperbolic tangent, by [`Real::exp`]: for recurrent models.
    fn tanh(self) -> Self {
        let one = Self::of(1.0);
        one - Self::of(2.0) / (one + (self + self).exp())
    }
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }

    fn f64(self) -> f64 {
        f64::from(self)
    }

    /// Within 3e-7 of the value from -86.5 to 88.5, and the values there beyond: the smallest is 3e-38. Without
    /// branches, so that the compiler turns loops over it into vector code.
    ///
    /// x = n ln 2 + r with |r| <= ln 2 / 2, where n ln 2 is subtracted in two parts (Cody and Waite 1980), and e^r by
    /// its Taylor polynomial of degree 6.
    #[inline(always)]
    fn exp(self) -> Self {
        const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
        let x = self.clamp(-86.5, 88.5);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
        let high = 1.0 / 120.0 + r * (1.0 / 720.0);
        let polynomial = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * high))));
        // The low bits of `shifted` are n; 2^n is made of its exponent bits, halved so that 2^128 has one.
        let half = f32::from_bits((shifted.to_bits().wrapping_add(126) & 0x1FF) << 23);
        polynomial * half * 2.0
    }

    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe fn pack(
        precision: Precision,
        sizes: [usize; 2],
        data: *const Self,
        strides: [isize; 2],
        panels: &mut Vec<Line>,
    ) {
        use super::{half_kernel, kernel};
        let strided = |data, [rows, columns]: [isize; 2]| kernel::Strided { data, rows, columns };
        // SAFETY: the processor has what is asked for; the caller keeps the rest of the same contract.
        unsafe {
            if precision.is_f32() {
                if super::wide::avx2() {
                    kernel::pack(strided(data, strides), sizes, panels);
                }
            } else if half_kernel::unit().is_some() {
                half_kernel::pack_b(strided(data, strides), sizes, panels);
            } else {
                let copy = half::copy(sizes, data, strides);
                Self::pack(Precision::F32, sizes, copy.as_ptr(), [sizes[1] as isize, 1], panels);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe fn keep(
        right: bool,
        sizes: [usize; 2],
        data: *const Self,
        [rows, columns]: [isize; 2],
        products: [usize; 2],
        panels: &mut Vec<Line>,
    ) {
        use super::{half_kernel, kernel};
        if half_kernel::unit().is_some() {
            // SAFETY: the processor has what is asked for; the caller keeps the rest of the same contract.
            unsafe { half_kernel::keep(right, kernel::Strided { data, rows, columns }, sizes, products, panels) };
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn keep_both(source: Source<'_, Self>, size: [usize; 2], to: Both<'_, Self>) {
        super::half_rows::pack(source, size, to);
    }

    #[cfg(target_arch = "x86_64")]
    fn activated(source: Source<'_, Self>, columns: usize, rows: &mut [Self]) -> bool {
        super::half_kernel::unit().is_some() && {
            super::half_rows::write(source, columns, rows);
            true
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn multiply_rows(
        sizes: [usize; 3],
        a: &[Line],
        b: &[Line],
        start: (Self, &[Self]),
        c: &mut [Self],
        c_stride: usize,
    ) {
        super::half_kernel::multiply_rows(sizes, a, b, start, c, c_stride);
    }

    #[cfg(target_arch = "x86_64")]
    fn attention(shape: Shape, q: &[Self], kv: &[Self], sums: &mut [Self], mix: &mut [Self]) -> bool {
        super::half_attention::forward(shape, q, kv, sums, mix)
    }

    #[cfg(target_arch = "x86_64")]
    fn attention_backward(shape: Shape, qkv: &[Self], sums: &[Self], dmix: &[Self], dqkv: &mut [Self]) -> bool {
        super::half_attention::backward(shape, qkv, sums, dmix, dqkv)
    }

    #[cfg(target_arch = "x86_64")]
    fn head(window: Window<'_, Self>) -> bool {
        super::half_head::head(window)
    }

    #[allow(unsafe_code)]
    unsafe fn gemm(
        precision: Precision,
        [m, k, n]: [usize; 3],
        alpha: Self,
        a: *const Self,
        [a_rows, a_columns]: [isize; 2],
        b: *const Self,
        ([b_rows, b_columns], panels): ([isize; 2], &[Line]),
        beta: Self,
        c: *mut Self,
        [c_rows, c_columns]: [isize; 2],
    ) {
        debug_assert_eq!(c_columns, 1);
        #[cfg(target_arch = "x86_64")]
        {
            use super::{half_kernel, kernel};
            let unit = if precision.is_f32() { None } else { half_kernel::unit() };
            let a = kernel::Strided { data: a, rows: a_rows, columns: a_columns };
            let b = (kernel::Strided { data: b, rows: b_rows, columns: b_columns }, panels);
            let stride = c_rows as usize;
            // SAFETY: the processor has what is asked for; the caller keeps the rest of the same contract.
            unsafe {
                if let Some(unit) = unit {
                    return half_kernel::multiply(unit, [m, k, n], [alpha, beta], a, b, c, stride);
                }
                if precision.is_f32() && super::wide::avx2() {
                    return kernel::multiply([m, k, n], alpha, a, b, beta, c, stride);
                }
            }
        }
        if !precision.is_f32() {
            // SAFETY: the copies have the sizes; the caller keeps the rest of the same contract.
            unsafe {
                let a = half::copy([m, k], a, [a_rows, a_columns]);
                let copy = if panels.is_empty() { half::copy([k, n], b, [b_rows, b_columns]) } else { Vec::new() };
                let (b, b_strides) =
                    if panels.is_empty() { (copy.as_ptr(), [n as isize, 1]) } else { (b, [b_rows, b_columns]) };
                let (sizes, c_strides) = ([m, k, n], [c_rows, c_columns]);
                let (a, a_strides) = (a.as_ptr(), [k as isize, 1]);
                return Self::gemm(
                    Precision::F32,
                    sizes,
                    alpha,
                    a,
                    a_strides,
                    b,
                    (b_strides, panels),
                    beta,
                    c,
                    c_strides,
                );
            }
        }
        let _ = panels;
        let gemm = gemm_f32::gemm::f32::get_gemm_fn();
        let alone = gemm_common::Parallelism::None;
        // SAFETY: the caller keeps the same contract. The crate computes `alpha c + beta a b`, its names for the factors
        // being the other way round, and reads `c` only when told so.
        unsafe {
            gemm(
                m,
                n,
                k,
                c,
                c_columns,
                c_rows,
                beta != 0.0,
                a,
                a_columns,
                a_rows,
                b,
                b_columns,
                b_rows,
                beta,
                alpha,
                false,
                false,
                false,
                alone,
            );
        }
    }
}

/// The plain version, which f32 is compared with.
impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn f64(self) -> f64 {
        self
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[allow(unsafe_code)]
    unsafe fn gemm(
        _precision: Precision,
        [m, k, n]: [usize; 3],
        alpha: Self,
        a: *const Self,
        a_strides: [isize; 2],
        b: *const Self,
        (b_strides, _): ([isize; 2], &[Line]),
        beta: Self,
        c: *mut Self,
        c_strides: [isize; 2],
    ) {
        let at =
            |row: usize, column: usize, strides: [isize; 2]| row as isize * strides[0] + column as isize * strides[1];
        for i in 0..m {
            for j in 0..n {
                // SAFETY: the caller has checked that all these elements lie inside their allocations.
                unsafe {
                    let sum: f64 =
                        (0..k).map(|l| *a.offset(at(i, l, a_strides)) * *b.offset(at(l, j, b_strides))).sum();
                    let c = c.offset(at(i, j, c_strides));
                    *c = alpha * sum + if beta == 0.0 { 0.0 } else { beta * *c };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        let mut worst: f64 = 0.0;
        for step in -865_000..=885_000 {
            let x = step as f32 * 1e-4;
            let (got, exact) = (f64::from(Real::exp(x)), f64::from(x).exp());
            worst = worst.max((got - exact).abs() / exact);
        }
        assert!(worst < 3e-7, "{worst:e}");
        assert_eq!((Real::exp(0f32), Real::exp(-1e30f32)), (1.0, Real::exp(-86.5f32)));
        assert!(Real::exp(-1e30f32) < 1e-37 && Real::exp(1e30f32) > 1e38);
    }

    #[test]
    fn tanh_is_close_everywhere() {
        for step in -4000..=4000 {
            let x = step as f32 * 5e-3;
            assert!((f64::from(Real::tanh(x)) - f64::from(x).tanh()).abs() < 2e-7, "{x}");
        }
    }
}
