//! What stands between the two matrices of the feed-forward part, forward and backward.

use super::config::Activation;
use super::half::{Precision, Source};
use super::matmul::Matrix;
use super::real::Real;
use super::wide::wide;

/// The inner function of GELU and its slope factors: √(2/π) and 0.044715 of Hendrycks and Gimpel 2016, tanh form.
pub(super) const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
pub(super) const GELU_CUBE: f64 = 0.044_715;

/// y (T, F) from x (T, F), or from gate and value side by side in x (T, 2 F) with SwiGLU. In bf16, as it is packed.
pub(super) fn activate<R: Real>(precision: Precision, kind: Activation, x: &[R], y: &mut [R], hidden: usize) {
    if !precision.is_f32() && R::activated(Source::Activated(kind, x), hidden, y) {
        return;
    }
    match kind {
        Activation::Gelu => gelu(x, y),
        Activation::Relu2 => relu2(x, y),
        Activation::SwiGlu => swiglu(x, y, hidden),
    }
}

/// dx from dy, of the lengths of x and y. In bf16, as it is packed: from x rounded.
pub(super) fn activate_backward<R: Real>(
    precision: Precision,
    kind: Activation,
    x: &[R],
    dy: &[R],
    dx: &mut [R],
    hidden: usize,
) {
    if !precision.is_f32() && !dy.is_empty() {
        let (columns, mut before) = (dx.len() * hidden / dy.len(), Vec::new());
        Matrix::dense(x, x.len() / columns, columns).keep(false, [0, columns], &mut before);
        if R::activated(Source::Back(kind, &before, dy), columns, dx) {
            return;
        }
    }
    match kind {
        Activation::Gelu => gelu_backward(x, dy, dx),
        Activation::Relu2 => relu2_backward(x, dy, dx),
        Activation::SwiGlu => swiglu_backward(x, dy, dx, hidden),
    }
}

/// 1 / (1 + e^-x).
#[inline(always)]
fn sigmoid<R: Real>(x: R) -> R {
    R::of(1.0) / (R::of(1.0) + (-x).exp())
}

wide! {
    /// y = x/2 (1 + tanh(u)) with u = √(2/π) (x + 0.044715 x³), which is x sigmoid(2 u).
    fn gelu<R>(x: &[R], y: &mut [R]) {
        let (scale, cube) = (R::of(2.0 * GELU_SCALE), R::of(2.0 * GELU_SCALE * GELU_CUBE));
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * sigmoid(x * (scale + cube * x * x));
        }
    }
}

wide! {
    /// With s = sigmoid(2 u): dx = dy (s + x s (1 - s) 2 u').
    fn gelu_backward<R>(x: &[R], dy: &[R], dx: &mut [R]) {
        let (one, three) = (R::of(1.0), R::of(3.0));
        let (scale, cube) = (R::of(2.0 * GELU_SCALE), R::of(2.0 * GELU_SCALE * GELU_CUBE));
        for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
            let share = sigmoid(x * (scale + cube * x * x));
            *dx = dy * (share + x * share * (one - share) * (scale + three * cube * x * x));
        }
    }
}

wide! {
    /// y = max(x, 0)².
    fn relu2<R>(x: &[R], y: &mut [R]) {
        for (y, &x) in y.iter_mut().zip(x) {
            let above = if x > R::default() { x } else { R::default() };
            *y = above * above;
        }
    }
}

wide! {
    fn relu2_backward<R>(x: &[R], dy: &[R], dx: &mut [R]) {
        for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
            let above = if x > R::default() { x } else { R::default() };
            *dx = dy * (above + above);
        }
    }
}

wide! {
    /// y = gate sigmoid(gate) value.
    fn swiglu<R>(x: &[R], y: &mut [R], hidden: usize) {
        for (x, y) in x.chunks_exact(2 * hidden).zip(y.chunks_exact_mut(hidden)) {
            let (gate, value) = x.split_at(hidden);
            for ((y, &gate), &value) in y.iter_mut().zip(gate).zip(value) {
                *y = gate * sigmoid(gate) * value;
            }
        }
    }
}

wide! {
    fn swiglu_backward<R>(x: &[R], dy: &[R], dx: &mut [R], hidden: usize) {
        let one = R::of(1.0);
        let rows = x.chunks_exact(2 * hidden).zip(dy.chunks_exact(hidden)).zip(dx.chunks_exact_mut(2 * hidden));
        for ((x, dy), dx) in rows {
            let ((gate, value), (dgate, dvalue)) = (x.split_at(hidden), dx.split_at_mut(hidden));
            for ((((dgate, dvalue), &dy), &gate), &value) in dgate.iter_mut().zip(dvalue).zip(dy).zip(gate).zip(value) {
                let share = sigmoid(gate);
                *dgate = dy * value * share * (one + gate * (one - share));
                *dvalue = dy * gate * share;
            }
        }
    }
}
