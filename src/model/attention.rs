//! Causal attention with several heads (Vaswani et al. 2017), forward and backward, for one window.

use super::layers::softmax;
use super::matmul::{Matrix, matmul};
use super::real::Real;

/// Sizes of the attention of one window.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// T: tokens.
    pub(super) tokens: usize,
    /// H: heads.
    pub(super) heads: usize,
    /// C: width of all heads together.
    pub(super) width: usize,
}

impl Shape {
    fn head_width(self) -> usize {
        self.width / self.heads
    }

    fn scale<R: Real>(self) -> R {
        R::of(1.0 / (self.head_width() as f64).sqrt())
    }

    /// Query (part 0), key (1) or value (2) of a head inside `qkv` (T, 3 C): (T, D).
    fn part<R: Real>(self, qkv: &[R], head: usize, part: usize) -> Matrix<'_, R> {
        Matrix::new(&qkv[self.offset(head, part)..], self.tokens, self.head_width(), 3 * self.width)
    }

    fn offset(self, head: usize, part: usize) -> usize {
        part * self.width + head * self.head_width()
    }
}

/// `mix` (T, C): each token's values of it and the tokens before, weighted by softmax(q kᵀ / √D). Keeps the weights in
/// `weights` (H, T, T).
pub(super) fn attention<R: Real>(shape: Shape, qkv: &[R], weights: &mut [R], mix: &mut [R]) {
    let (t, d) = (shape.tokens, shape.head_width());
    for (head, weights) in weights.chunks_exact_mut(t * t).take(shape.heads).enumerate() {
        let keys = shape.part(qkv, head, 1).transposed();
        matmul(shape.scale(), shape.part(qkv, head, 0), keys, R::of(0.0), weights, t);
        for (token, row) in weights.chunks_exact_mut(t).enumerate() {
            let (past, future) = row.split_at_mut(token + 1);
            softmax(past);
            future.fill(R::default());
        }
        matmul(
            R::of(1.0),
            Matrix::dense(weights, t, t),
            shape.part(qkv, head, 2),
            R::of(0.0),
            &mut mix[head * d..],
            shape.width,
        );
    }
}

/// `dqkv` (T, 3 C): the gradient by queries, keys and values, from `dmix` (T, C). `scratch` (T, T) is overwritten.
pub(super) fn attention_backward<R: Real>(
    shape: Shape,
    qkv: &[R],
    weights: &[R],
    dmix: &[R],
    dqkv: &mut [R],
    scratch: &mut [R],
) {
    let (t, d) = (shape.tokens, shape.head_width());
    let stride = 3 * shape.width;
    for (head, weights) in weights.chunks_exact(t * t).take(shape.heads).enumerate() {
        let matrix = Matrix::dense(weights, t, t);
        let dmix = Matrix::new(&dmix[head * d..], t, d, shape.width);
        matmul(R::of(1.0), matrix.transposed(), dmix, R::of(0.0), &mut dqkv[shape.offset(head, 2)..], stride);
        matmul(R::of(1.0), dmix, shape.part(qkv, head, 2).transposed(), R::of(0.0), scratch, t);
        // Through the softmax: ds = w (dw - Σ w dw), where w is zero for future tokens.
        for (token, (row, weights)) in scratch.chunks_exact_mut(t).zip(weights.chunks_exact(t)).enumerate() {
            let sum: R = row[..=token].iter().zip(weights).map(|(&dw, &w)| dw * w).sum();
            row.iter_mut().zip(weights).for_each(|(dw, &w)| *dw = w * (*dw - sum));
        }
        let dscores = Matrix::dense(&*scratch, t, t);
        matmul(
            shape.scale(),
            dscores,
            shape.part(qkv, head, 1),
            R::of(0.0),
            &mut dqkv[shape.offset(head, 0)..],
            stride,
        );
        matmul(
            shape.scale(),
            dscores.transposed(),
            shape.part(qkv, head, 0),
            R::of(0.0),
            &mut dqkv[shape.offset(head, 1)..],
            stride,
        );
    }
}
