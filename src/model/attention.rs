//! Causal attention with several heads (Vaswani et al. 2017), forward and backward, for one window.
//!
//! Queries are taken in blocks, and a block sees the keys up to its own end only: half of the products are never made.
//! The backward pass makes the weights again from the logarithms of their sums (Dao et al. 2022), so that none of the
//! squares of T by T is ever whole.
//!
//! Tried and not faster: panels of a head's keys and values made once, and not for each block; blocks of 32 or 128 queries.

use super::half::Precision;
use super::layers::softmax;
use super::matmul::{Matrix, matmul};
use super::real::Real;
use super::wide::{sum_pairs, wide};

/// Queries of a block. It decides the order of sums, so it is a part of the results.
const BLOCK: usize = 64;

/// Sizes of the attention of one window.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Tokens that ask: the last of the tokens there are.
    pub(super) queries: usize,
    /// Tokens there are.
    pub(super) keys: usize,
    /// H: heads of queries.
    pub(super) heads: usize,
    /// K: heads of keys and values.
    pub(super) kv_heads: usize,
    /// D: width of a head.
    pub(super) head_width: usize,
    /// Numbers between the queries of two tokens, and between their keys.
    pub(super) strides: [usize; 2],
    /// How products are made.
    pub(super) precision: Precision,
}

/// A block of queries of one head: the queries `start..end` and the keys that the last of them sees.
#[derive(Clone, Copy)]
struct Block {
    start: usize,
    rows: usize,
    keys: usize,
}

impl Shape {
    pub(super) fn scale<R: Real>(self) -> R {
        R::of(1.0 / (self.head_width as f64).sqrt())
    }

    /// The same with products in another precision.
    pub(super) fn by(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    fn blocks(self) -> impl Iterator<Item = Block> {
        let past = self.keys - self.queries;
        (0..self.queries).step_by(BLOCK).map(move |start| {
            let rows = BLOCK.min(self.queries - start);
            Block { start, rows, keys: past + start + rows }
        })
    }

    fn query<R: Real>(self, q: &[R], head: usize, block: Block) -> Matrix<'_, R> {
        let at = block.start * self.strides[0] + head * self.head_width;
        Matrix::new(&q[at..], block.rows, self.head_width, self.strides[0]).by(self.precision)
    }

    /// Where the keys (part 0) or values (1) that a head sees begin in a token's.
    pub(super) fn offset(self, head: usize, part: usize) -> usize {
        (part * self.kv_heads + head / (self.heads / self.kv_heads)) * self.head_width
    }

    fn seen<R: Real>(self, kv: &[R], head: usize, part: usize, block: Block) -> Matrix<'_, R> {
        Matrix::new(&kv[self.offset(head, part)..], block.keys, self.head_width, self.strides[1]).by(self.precision)
    }

    /// A block of the mixed values, (queries, H D).
    fn mixed<R: Real>(self, mix: &[R], head: usize, block: Block) -> Matrix<'_, R> {
        let width = self.heads * self.head_width;
        let at = block.start * width + head * self.head_width;
        Matrix::new(&mix[at..], block.rows, self.head_width, width).by(self.precision)
    }
}

/// Space for the weights of a block and their gradients.
#[derive(Default)]
pub(super) struct Scratch<R> {
    weights: Vec<R>,
    dweights: Vec<R>,
}

fn room<R: Real>(space: &mut Vec<R>, block: Block) -> &mut [R] {
    let count = block.rows * block.keys;
    if space.len() < count {
        space.resize(count, R::default());
    }
    &mut space[..count]
}

/// `mix` (queries, H D): each token's values of it and the tokens before, weighted by softmax(q kᵀ / √D). `q` holds the
/// queries of each token, `kv` its keys and then its values. The logarithms of the sums are left in `sums` (H,
/// queries).
pub(super) fn attention<R: Real>(
    shape: Shape,
    q: &[R],
    kv: &[R],
    sums: &mut [R],
    mix: &mut [R],
    scratch: &mut Scratch<R>,
) {
    if R::attention(shape, q, kv, sums, mix) {
        return;
    }
    let width = shape.heads * shape.head_width;
    for head in 0..shape.heads {
        for block in shape.blocks() {
            let weights = room(&mut scratch.weights, block);
            let keys = shape.seen(kv, head, 0, block).transposed();
            matmul(shape.scale(), shape.query(q, head, block), keys, R::of(0.0), weights, block.keys);
            let sums = &mut sums[head * shape.queries + block.start..][..block.rows];
            for (at, (row, sum)) in weights.chunks_exact_mut(block.keys).zip(sums).enumerate() {
                let (past, future) = row.split_at_mut(block.keys - block.rows + at + 1);
                *sum = R::of(softmax(past));
                future.fill(R::default());
            }
            let weights = Matrix::dense(&*weights, block.rows, block.keys);
            let mix = &mut mix[block.start * width + head * shape.head_width..];
            matmul(R::of(1.0), weights, shape.seen(kv, head, 1, block), R::of(0.0), mix, width);
        }
    }
}

/// `dqkv`: the gradients by queries, keys and values from `dmix` (T, H D), in rows of H + 2 K heads as those of `qkv`,
/// which are overwritten. `sums` is what [`attention`] left.
pub(super) fn attention_backward<R: Real>(
    shape: Shape,
    qkv: &[R],
    sums: &[R],
    dmix: &[R],
    dqkv: &mut [R],
    scratch: &mut Scratch<R>,
) {
    if R::attention_backward(shape, qkv, sums, dmix, dqkv) {
        return;
    }
    let stride = shape.strides[0];
    let first = shape.heads * shape.head_width;
    let kv = &qkv[first..];
    dqkv[..shape.queries * stride].fill(R::default());
    for head in 0..shape.heads {
        for block in shape.blocks() {
            let (weights, dweights) = (room(&mut scratch.weights, block), room(&mut scratch.dweights, block));
            let (query, dmix) = (shape.query(qkv, head, block), shape.mixed(dmix, head, block));
            let keys = shape.seen(kv, head, 0, block);
            matmul(shape.scale(), query, keys.transposed(), R::of(0.0), weights, block.keys);
            matmul(R::of(1.0), dmix, shape.seen(kv, head, 1, block).transposed(), R::of(0.0), dweights, block.keys);
            let rows = weights.chunks_exact_mut(block.keys).zip(dweights.chunks_exact_mut(block.keys));
            for (at, (weights, dweights)) in rows.enumerate() {
                let seen = block.keys - block.rows + at + 1;
                let sum = sums[head * shape.queries + block.start + at];
                weights_backward(&mut weights[..seen], &mut dweights[..seen], sum);
                weights[seen..].fill(R::default());
                dweights[seen..].fill(R::default());
            }
            let weights = Matrix::dense(&*weights, block.rows, block.keys);
            let dscores = Matrix::dense(&*dweights, block.rows, block.keys);
            let one = R::of(1.0);
            let at = first + shape.offset(head, 1);
            matmul(one, weights.transposed(), dmix, one, &mut dqkv[at..], stride);
            let at = first + shape.offset(head, 0);
            matmul(shape.scale(), dscores.transposed(), query, one, &mut dqkv[at..], stride);
            let at = block.start * stride + head * shape.head_width;
            matmul(shape.scale(), dscores, keys, R::of(0.0), &mut dqkv[at..], stride);
        }
    }
}

wide! {
    /// A row of scores becomes its weights again, and the gradient by the weights that by the scores:
    /// ds = w (dw - Σ w dw).
    fn weights_backward<R>(scores: &mut [R], dweights: &mut [R], sum: R) {
        scores.iter_mut().for_each(|score| *score = (*score - sum).exp());
        let product = sum_pairs(scores, dweights, |weight, dweight| weight * dweight);
        dweights.iter_mut().zip(&*scores).for_each(|(dweight, &weight)| *dweight = weight * (*dweight - product));
    }
}
