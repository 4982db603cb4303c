//! Linear layers, layer norm, GELU and cross-entropy, forward and backward.
//!
//! In each backward function `dy` is the gradient of the loss by the output, `dx` that by the input. Gradients of
//! parameters are added to what is there.

use super::matmul::{Matrix, matmul};
use super::real::Real;

/// Added to the variance in a layer norm, as in GPT-2.
const EPSILON: f64 = 1e-5;

/// y (T, O) = x (T, I) w (I, O) + b (O).
pub(super) fn linear<R: Real>(x: &[R], w: &[R], b: &[R], y: &mut [R]) {
    let outputs = b.len();
    let inputs = w.len() / outputs;
    let rows = y.len() / outputs;
    y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b));
    matmul(R::of(1.0), Matrix::dense(x, rows, inputs), Matrix::dense(w, inputs, outputs), R::of(1.0), y, outputs);
}

/// dx (T, I) = dy wᵀ, dw (I, O) += xᵀ dy, db (O) += the rows of dy (T, O).
pub(super) fn linear_backward<R: Real>(x: &[R], w: &[R], dy: &[R], dx: &mut [R], dw: &mut [R], db: &mut [R]) {
    let outputs = db.len();
    let inputs = w.len() / outputs;
    let rows = dy.len() / outputs;
    let dy_matrix = Matrix::dense(dy, rows, outputs);
    matmul(R::of(1.0), dy_matrix, Matrix::dense(w, inputs, outputs).transposed(), R::of(0.0), dx, inputs);
    matmul(R::of(1.0), Matrix::dense(x, rows, inputs).transposed(), dy_matrix, R::of(1.0), dw, outputs);
    for row in dy.chunks_exact(outputs) {
        db.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
    }
}

/// Mean and reciprocal deviation of a row.
pub(super) type Stats<R> = (R, R);

/// y (T, C) = (x - mean) / deviation * scale + bias, row by row (Ba, Kiros and Hinton 2016).
pub(super) fn layer_norm<R: Real>(x: &[R], scale: &[R], bias: &[R], y: &mut [R], stats: &mut [Stats<R>]) {
    let width = scale.len();
    let count = R::of(width as f64);
    for ((x, y), stats) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(stats) {
        let mean = x.iter().copied().sum::<R>() / count;
        let variance = x.iter().map(|&value| (value - mean) * (value - mean)).sum::<R>() / count;
        let reciprocal = R::of(1.0) / (variance + R::of(EPSILON)).sqrt();
        for (((y, &x), &scale), &bias) in y.iter_mut().zip(x).zip(scale).zip(bias) {
            *y = (x - mean) * reciprocal * scale + bias;
        }
        *stats = (mean, reciprocal);
    }
}

/// dx (T, C) += gradient by x; dscale and dbias (C) += theirs.
pub(super) fn layer_norm_backward<R: Real>(
    x: &[R],
    scale: &[R],
    stats: &[Stats<R>],
    dy: &[R],
    dx: &mut [R],
    dscale: &mut [R],
    dbias: &mut [R],
) {
    let width = scale.len();
    let count = R::of(width as f64);
    let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)).zip(stats);
    for (((x, dy), dx), &(mean, reciprocal)) in rows {
        let mut sum = R::default();
        let mut product = R::default();
        for at in 0..width {
            let normal = (x[at] - mean) * reciprocal;
            let dnormal = dy[at] * scale[at];
            sum += dnormal;
            product += dnormal * normal;
            dscale[at] += dy[at] * normal;
            dbias[at] += dy[at];
        }
        for at in 0..width {
            let normal = (x[at] - mean) * reciprocal;
            dx[at] += (dy[at] * scale[at] - sum / count - normal * product / count) * reciprocal;
        }
    }
}

/// The inner function of GELU and its slope factors: √(2/π) and 0.044715 of Hendrycks and Gimpel 2016, tanh form.
const GELU_SCALE: f64 = 0.797_884_560_802_865_4;
const GELU_CUBE: f64 = 0.044_715;

/// y = x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))).
pub(super) fn gelu<R: Real>(x: &[R], y: &mut [R]) {
    let (half, one, scale, cube) = (R::of(0.5), R::of(1.0), R::of(GELU_SCALE), R::of(GELU_CUBE));
    for (y, &x) in y.iter_mut().zip(x) {
        *y = half * x * (one + (scale * (x + cube * x * x * x)).tanh());
    }
}

/// dx *= the slope of GELU at x; `dx` holds the gradient by the output before.
pub(super) fn gelu_backward<R: Real>(x: &[R], dx: &mut [R]) {
    let (half, one, three) = (R::of(0.5), R::of(1.0), R::of(3.0));
    let (scale, cube) = (R::of(GELU_SCALE), R::of(GELU_CUBE));
    for (dx, &x) in dx.iter_mut().zip(x) {
        let tanh = (scale * (x + cube * x * x * x)).tanh();
        let slope = half * (one + tanh) + half * x * (one - tanh * tanh) * scale * (one + three * cube * x * x);
        *dx *= slope;
    }
}

/// Turns a row of logits (V) into probabilities, and gives the natural logarithm of their normalising sum.
pub(super) fn softmax<R: Real>(row: &mut [R]) -> f64 {
    let highest = row.iter().copied().fold(row[0], |a, b| if b > a { b } else { a });
    let mut sum = R::default();
    for value in row.iter_mut() {
        *value = (*value - highest).exp();
        sum += *value;
    }
    let reciprocal = R::of(1.0) / sum;
    row.iter_mut().for_each(|value| *value *= reciprocal);
    highest.f64() + sum.f64().ln()
}

/// The loss of each row of logits (T, V) in nats, summed; the logits become their gradient times `weight`.
pub(super) fn cross_entropy<R: Real>(logits: &mut [R], targets: &[u32], weight: R) -> f64 {
    let vocab_size = logits.len() / targets.len();
    let mut loss = 0.0;
    for (row, &target) in logits.chunks_exact_mut(vocab_size).zip(targets) {
        let logit = row[target as usize].f64();
        loss += softmax(row) - logit;
        row[target as usize] = row[target as usize] - R::of(1.0);
        row.iter_mut().for_each(|value| *value *= weight);
    }
    loss
}
