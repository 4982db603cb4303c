//! Attention in bf16 on x86-64, as [`attention`](super::attention) does it, straight through the tiles of the kernel.
//!
//! Queries, keys and values of a head are packed once, not once for each block of queries; a panel of queries sees the panels of
//! keys up to its own. Its weights stay in the first cache between the two products; weights are divided by their sum behind
//! the second one. The backward pass keeps the weights of a head and their gradients, transposed, in bf16, and sums over all
//! queries stay in registers. The plain version is [`attention`](super::attention) itself, through products of matrices.

use std::cell::RefCell;

use super::attention::Shape;
use super::half::PANEL;
use super::half_kernel::{Multiply, Packed, Strides, Sums, Unit, product, unit};
use super::half_pack::DEPTH;
use super::half_tile::{Dots, Tiles};
use super::wide::{highest, sum, sum_pairs, wide};

/// Space for one head.
#[derive(Default)]
struct Space {
    /// Queries and gradients by mixed values as left sides; keys and values as right sides, products over the head.
    queries: Packed,
    dmix: Packed,
    keys: Packed,
    values: Packed,
    /// As right sides of products over tokens.
    over: [Packed; 3],
    /// Rows of a panel of queries: weights, and their gradients, as left sides; and in f32.
    rows: Packed,
    weights: Vec<f32>,
    dweights: Vec<f32>,
    /// All weights and gradients of a head, transposed, as left sides.
    columns: [Packed; 2],
}

thread_local! {
    /// Every thread has its own, which it keeps.
    static SPACE: RefCell<Space> = RefCell::default();
}

/// [`attention`](super::attention::attention), if the processor multiplies bf16 and all tokens ask; says whether it is done.
pub(super) fn forward(shape: Shape, q: &[f32], kv: &[f32], sums: &mut [f32], mix: &mut [f32]) -> bool {
    if shape.precision.is_f32() || shape.queries != shape.keys {
        return false;
    }
    SPACE.with_borrow_mut(|space| {
        match unit() {
            Some(Unit::Tiles) => forward_by::<Tiles>(shape, q, kv, sums, mix, space),
            Some(Unit::Dots) => forward_by::<Dots>(shape, q, kv, sums, mix, space),
            None => return false,
        }
        true
    })
}

fn forward_by<M: Multiply>(shape: Shape, q: &[f32], kv: &[f32], sums: &mut [f32], mix: &mut [f32], space: &mut Space) {
    let unit = M::begin();
    let (t, d, width) = (shape.queries, shape.head_width, shape.heads * shape.head_width);
    let (panels, steps, stride) = (t.div_ceil(PANEL), d.div_ceil(DEPTH), row_stride(t));
    let Space { queries, keys, over: [values, ..], rows, weights, .. } = space;
    weights.resize(PANEL * stride, 0.0);
    let scale = shape.scale::<f32>();
    let (mut square, mut factors): (Sums, _) = ([0.0; PANEL * PANEL], [0.0; PANEL]);
    for head in 0..shape.heads {
        queries.fill::<false>(&q[head * d..], Strides { count: t, depth: d, outer: shape.strides[0], inner: 1 });
        let (key, value) = (&kv[shape.offset(head, 0)..], &kv[shape.offset(head, 1)..]);
        keys.fill::<true>(key, Strides { count: t, depth: d, outer: shape.strides[1], inner: 1 });
        values.fill::<true>(value, Strides { count: d, depth: t, outer: 1, inner: shape.strides[1] });
        for panel in 0..panels {
            let (start, count) = (panel * PANEL, PANEL.min(t - panel * PANEL));
            for seen in 0..=panel {
                product(&unit, (queries, panel), (keys, seen), [0, steps], &mut weights[seen * PANEL..], stride);
            }
            for (at, row) in weights.chunks_exact_mut(stride).take(count).enumerate() {
                let (past, future) = row[..start + PANEL].split_at_mut(start + at + 1);
                (sums[head * t + start + at], factors[at]) = weigh(past, scale);
                future.fill(0.0);
            }
            rows.fill::<false>(weights, Strides { count, depth: start + count, outer: stride, inner: 1 });
            for column in 0..d.div_ceil(PANEL) {
                product(&unit, (rows, 0), (values, column), [0, panel + 1], &mut square, PANEL);
                let at = head * d + column * PANEL;
                let part = at..at + PANEL.min(d - column * PANEL);
                let mixed = mix[start * width..].chunks_exact_mut(width).zip(square.chunks_exact(PANEL)).zip(factors);
                for ((row, sums), factor) in mixed.take(count) {
                    row[part.clone()].iter_mut().zip(sums).for_each(|(mix, &sum)| *mix = factor * sum);
                }
            }
        }
    }
}

/// [`attention_backward`](super::attention::attention_backward), as [`forward`].
pub(super) fn backward(shape: Shape, qkv: &[f32], sums: &[f32], dmix: &[f32], dqkv: &mut [f32]) -> bool {
    if shape.precision.is_f32() || shape.queries != shape.keys {
        return false;
    }
    SPACE.with_borrow_mut(|space| {
        match unit() {
            Some(Unit::Tiles) => backward_by::<Tiles>(shape, qkv, sums, dmix, dqkv, space),
            Some(Unit::Dots) => backward_by::<Dots>(shape, qkv, sums, dmix, dqkv, space),
            None => return false,
        }
        true
    })
}

fn backward_by<M: Multiply>(
    shape: Shape,
    qkv: &[f32],
    sums: &[f32],
    dmix: &[f32],
    dqkv: &mut [f32],
    space: &mut Space,
) {
    let unit = M::begin();
    let (t, d, from) = (shape.queries, shape.head_width, shape.strides[0]);
    let (width, panels) = (shape.heads * d, t.div_ceil(PANEL));
    let scale = shape.scale::<f32>();
    for head in 0..shape.heads {
        let places = [head * d, width + shape.offset(head, 0), width + shape.offset(head, 1)];
        space.pack_head(shape, places.map(|place| &qkv[place..]), &dmix[head * d..]);
        for panel in 0..panels {
            space.weigh_back(&unit, shape, panel, &sums[head * t..][..t]);
            let part = [&space.rows, &space.over[0]];
            let rows = &mut dqkv[panel * PANEL * from + places[0]..];
            write(&unit, part, [0, 0, panel + 1], [PANEL.min(t - panel * PANEL), d, from], [scale, 0.0], rows);
        }
        // The first of the heads that share keys and values writes, the others add.
        let beta = if head % (shape.heads / shape.kv_heads) == 0 { 0.0 } else { 1.0 };
        for panel in 0..panels {
            let (size, steps) = ([PANEL.min(t - panel * PANEL), d, from], [panel, panel, panels - panel]);
            let sides = [0, 1].map(|side| [&space.columns[side], &space.over[1 + side]]);
            for (side, (place, alpha)) in sides.into_iter().zip([(places[1], scale), (places[2], 1.0)]) {
                write(&unit, side, steps, size, [alpha, beta], &mut dqkv[panel * PANEL * from + place..]);
            }
        }
    }
}

impl Space {
    /// Queries, keys, values and gradients of a head.
    fn pack_head(&mut self, shape: Shape, [query, key, value]: [&[f32]; 3], dmix: &[f32]) {
        let (t, d, from) = (shape.queries, shape.head_width, shape.strides[0]);
        let width = shape.heads * d;
        let (rows, columns) = (
            Strides { count: t, depth: d, outer: from, inner: 1 },
            Strides { count: d, depth: t, outer: 1, inner: from },
        );
        self.queries.fill::<false>(query, rows);
        self.keys.fill::<true>(key, rows);
        self.values.fill::<true>(value, rows);
        self.dmix.fill::<false>(dmix, Strides { outer: width, ..rows });
        self.over[0].fill::<true>(key, columns);
        self.over[1].fill::<true>(query, columns);
        self.over[2].fill::<true>(dmix, Strides { inner: width, ..columns });
        let panels = t.div_ceil(PANEL);
        self.columns.iter_mut().for_each(|columns| columns.room(panels, panels));
    }

    /// Weights of a panel of queries and the gradients by their scores: into the rows, and transposed into the columns.
    fn weigh_back<M: Multiply>(&mut self, unit: &M, shape: Shape, panel: usize, sums: &[f32]) {
        let (steps, stride) = (shape.head_width.div_ceil(DEPTH), row_stride(shape.queries));
        let (start, scale) = (panel * PANEL, shape.scale::<f32>());
        let count = PANEL.min(shape.queries - start);
        let Self { queries, dmix, keys, values, rows, weights, dweights, columns, .. } = self;
        weights.resize(PANEL * stride, 0.0);
        dweights.resize(PANEL * stride, 0.0);
        for seen in 0..=panel {
            product(unit, (queries, panel), (keys, seen), [0, steps], &mut weights[seen * PANEL..], stride);
            product(unit, (dmix, panel), (values, seen), [0, steps], &mut dweights[seen * PANEL..], stride);
        }
        let pairs = weights.chunks_exact_mut(stride).zip(dweights.chunks_exact_mut(stride)).zip(&sums[start..]);
        for (at, ((weights, dweights), &sum)) in pairs.take(count).enumerate() {
            let seen = start + at + 1;
            weigh_back(&mut weights[..seen], &mut dweights[..seen], scale, sum);
            weights[seen..start + PANEL].fill(0.0);
            dweights[seen..start + PANEL].fill(0.0);
        }
        rows.fill::<false>(dweights, Strides { count, depth: start + count, outer: stride, inner: 1 });
        for seen in 0..=panel {
            let own = if seen == panel { count } else { PANEL };
            let square = Strides { count: own, depth: count, outer: 1, inner: stride };
            columns[0].put::<false>([seen, panel], &dweights[seen * PANEL..], square);
            columns[1].put::<false>([seen, panel], &weights[seen * PANEL..], square);
        }
    }
}

/// A panel of rows (count, d) that lie `stride` apart: alpha times the product of two sides from a step on, and beta times what
/// is there.
fn write<M: Multiply>(
    unit: &M,
    [left, right]: [&Packed; 2],
    [panel, first, steps]: [usize; 3],
    [count, d, stride]: [usize; 3],
    [alpha, beta]: [f32; 2],
    rows: &mut [f32],
) {
    let mut square: Sums = [0.0; PANEL * PANEL];
    for column in 0..d.div_ceil(PANEL) {
        product(unit, (left, panel), (right, column), [first, steps], &mut square, PANEL);
        let (from, width) = (column * PANEL, PANEL.min(d - column * PANEL));
        for (row, sums) in rows.chunks_mut(stride).zip(square.chunks_exact(PANEL)).take(count) {
            let row = row[from..from + width].iter_mut().zip(sums);
            if beta == 0.0 {
                row.for_each(|(value, &sum)| *value = alpha * sum);
            } else {
                row.for_each(|(value, &sum)| *value += alpha * sum);
            }
        }
    }
}

/// Numbers from one row of weights to the next: rows of a power of two would share a set of the cache.
fn row_stride(tokens: usize) -> usize {
    tokens.next_multiple_of(PANEL) + 16
}

wide! {
    /// A row of scores, times `scale`, becomes its weights before they are divided by their sum; gives the logarithm of the
    /// sum of all powers, and the reciprocal of the weights' sum.
    fn weigh<R>(row: &mut [R], scale: R) -> (R, R) {
        let highest = highest(row);
        row.iter_mut().for_each(|value| *value = ((*value - highest) * scale).exp());
        let sum = sum(row, |value| value);
        ((highest * scale) + R::of(sum.f64().ln()), R::of(1.0) / sum)
    }
}

wide! {
    /// A row of scores, times `scale`, becomes its weights again, and the gradient by the weights that by the scores.
    fn weigh_back<R>(scores: &mut [R], dweights: &mut [R], scale: R, sum: R) {
        scores.iter_mut().for_each(|score| *score = (*score * scale - sum).exp());
        let product = sum_pairs(scores, dweights, |weight, dweight| weight * dweight);
        dweights.iter_mut().zip(&*scores).for_each(|(dweight, &weight)| *dweight = weight * (*dweight - product));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::attention::{Scratch, attention, attention_backward};
    use super::super::half::{Precision, rounded};
    use super::super::random::Random;
    use super::*;

    /// Differences as shares of the highest number.
    fn close(got: &[f32], expected: &[f32], what: &str) -> Result<(), TestCaseError> {
        let highest = expected.iter().fold(0.0f32, |highest, value| highest.max(value.abs()));
        for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
            prop_assert!((got - expected).abs() <= 0.01 * highest, "{what} {at}: {got} {expected} of {highest}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn is_attention_in_f32_of_rounded_numbers(
            tokens in 1usize..150,
            (heads, kv_heads) in select(vec![(1, 1), (3, 3), (4, 2), (4, 1)]),
            head_width in select(vec![2usize, 16, 24, 32, 40, 64, 72]),
            seed: u64,
        ) {
            prop_assume!(Precision::Bf16.is_native());
            let (width, row) = (heads * head_width, (heads + 2 * kv_heads) * head_width);
            let strides = [row; 2];
            let shape =
                Shape { queries: tokens, keys: tokens, heads, kv_heads, head_width, strides, precision: Precision::F32 };
            let mut random = Random::new(seed);
            let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| rounded(random.normal() as f32)).collect() };
            let (qkv, dmix) = (numbers(tokens * row), numbers(tokens * width));
            let run = |shape: Shape| {
                // What was there before counts for nothing.
                let (mut sums, mut mix) = (vec![f32::NAN; heads * tokens], vec![f32::NAN; tokens * width]);
                let (mut dqkv, mut scratch) = (vec![f32::NAN; tokens * row], Scratch::default());
                attention(shape, &qkv, &qkv[width..], &mut sums, &mut mix, &mut scratch);
                attention_backward(shape, &qkv, &sums, &dmix, &mut dqkv, &mut scratch);
                (sums, mix, dqkv)
            };
            let (expected, got) = (run(shape), run(shape.by(Precision::Bf16)));
            close(&got.0, &expected.0, "sum")?;
            close(&got.1, &expected.1, "mix")?;
            close(&got.2, &expected.2, "gradient")?;
            prop_assert!(got == run(shape.by(Precision::Bf16)));
        }
    }
}
