//! Linear layers and cross-entropy, forward and backward.
//!
//! In each backward function `dy` is the gradient of the loss by the output, `dx` that by the input. Gradients of
//! parameters are added to what is there.

use super::matmul::{Matrix, matmul};
use super::real::Real;
use super::wide::{highest, sum, wide};

/// y (T, O) = x (T, I) w (I, O) + b (O), or what is in y + x w + b; `b` may be empty.
pub(super) fn linear<R: Real>(x: &[R], w: Matrix<'_, R>, b: &[R], y: &mut [R], added: bool) {
    let [inputs, outputs] = w.size();
    let rows = y.len() / outputs;
    if added {
        add_bias(b, y);
    } else if !b.is_empty() {
        y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b));
    }
    let keep = R::of(if added || !b.is_empty() { 1.0 } else { 0.0 });
    matmul(R::of(1.0), Matrix::dense(x, rows, inputs), w, keep, y, outputs);
}

/// Adds b (O), which may be empty, to each row of y (T, O).
pub(super) fn add_bias<R: Real>(b: &[R], y: &mut [R]) {
    if !b.is_empty() {
        y.chunks_exact_mut(b.len()).for_each(|row| row.iter_mut().zip(b).for_each(|(y, &b)| *y += b));
    }
}

/// dx (T, I) = dy wᵀ, dw (I, O) += xᵀ dy, db (O) += the rows of dy (T, O); `back` is wᵀ, `db` may be empty. Without `dw`, that
/// is left for later.
pub(super) fn linear_backward<R: Real>(
    x: &[R],
    back: Matrix<'_, R>,
    dy: &[R],
    dx: &mut [R],
    dw: Option<&mut [R]>,
    db: &mut [R],
) {
    let [outputs, inputs] = back.size();
    let rows = dy.len() / outputs;
    let dy_matrix = Matrix::dense(dy, rows, outputs).by(back.precision());
    matmul(R::of(1.0), dy_matrix, back, R::of(0.0), dx, inputs);
    if let Some(dw) = dw {
        matmul(R::of(1.0), Matrix::dense(x, rows, inputs).transposed(), dy_matrix, R::of(1.0), dw, outputs);
    }
    bias_backward(dy, outputs, db);
}

/// db (O) += the rows of dy (T, O); `db` may be empty.
pub(super) fn bias_backward<R: Real>(dy: &[R], outputs: usize, db: &mut [R]) {
    if !db.is_empty() {
        for row in dy.chunks_exact(outputs) {
            db.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
        }
    }
}

wide! {
    /// Turns a row of logits (V) into probabilities, and gives the natural logarithm of their normalising sum.
    pub(super) fn softmax<R>(row: &mut [R]) -> f64 {
        let highest = highest(row);
        row.iter_mut().for_each(|value| *value = (*value - highest).exp());
        let sum = sum(row, |value| value);
        let reciprocal = R::of(1.0) / sum;
        row.iter_mut().for_each(|value| *value *= reciprocal);
        highest.f64() + sum.f64().ln()
    }
}

wide! {
    /// The natural logarithm of the sum that normalises a row of logits (V).
    pub(super) fn log_sum<R>(row: &[R]) -> f64 {
        let highest = highest(row);
        highest.f64() + sum(row, |value| (value - highest).exp()).f64().ln()
    }
}

wide! {
    /// The loss of each row of logits (T, V) in nats, summed; the logits become their gradient times `weight`.
    pub(super) fn cross_entropy<R>(logits: &mut [R], targets: &[u32], weight: R) -> f64 {
        let vocab_size = logits.len() / targets.len();
        let mut loss = 0.0;
        for (row, &target) in logits.chunks_exact_mut(vocab_size).zip(targets) {
            let logit = row[target as usize].f64();
            let highest = highest(row);
            row.iter_mut().for_each(|value| *value = (*value - highest).exp());
            let sum = sum(row, |value| value);
            loss += highest.f64() + sum.f64().ln() - logit;
            let factor = weight / sum;
            row.iter_mut().for_each(|value| *value *= factor);
            row[target as usize] = row[target as usize] - weight;
        }
        loss
    }
}
