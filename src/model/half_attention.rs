//! Attention in bf16 on x86-64, as [`attention`](super::attention) does it, straight through the tiles of the kernel.
//!
//! Queries, keys and values of a head are packed once, not once for each block of queries; a panel of queries sees the panels of
//! keys up to its own. Its weights (`half_weights.rs`) stay in the first cache between the two products; weights are divided by
//! their sum behind the second one. The backward pass keeps the weights of a head and their gradients in bf16 as right sides of
//! products over queries, which are turned when they are done; sums over all queries stay in registers. The plain version is
//! [`attention`](super::attention) itself, through products of matrices.

use std::cell::RefCell;

use super::attention::Shape;
use super::half::PANEL;
use super::half_kernel::{Multiply, Packed, STEP, Strides, Sums, Unit, product, turn, unit};
use super::half_pack::DEPTH;
use super::half_tile::{Dots, Tiles};
use super::half_weights::{Panel, weigh, weigh_back};

/// Space for one head.
#[derive(Default)]
struct Space {
    /// Queries and gradients by mixed values as left sides; keys and values as right sides, products over the head.
    queries: Packed,
    dmix: Packed,
    keys: Packed,
    values: Packed,
    /// Keys, or values in the forward pass, as right side of products over tokens; queries and gradients as left sides.
    over: Packed,
    across: [Packed; 2],
    /// Rows of a panel of queries: weights, or gradients by scores, as left side; and in f32.
    rows: Packed,
    weights: Vec<f32>,
    dweights: Vec<f32>,
    /// All gradients by scores and weights of a head, as right sides of products over queries.
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
            // SAFETY: the unit takes of the processor what the function is compiled for.
            #[allow(unsafe_code)]
            Some(Unit::Tiles) => unsafe { forward_by::<Tiles>(shape, q, kv, sums, mix, space) },
            // SAFETY: as above.
            #[allow(unsafe_code)]
            Some(Unit::Dots) => unsafe { forward_by::<Dots>(shape, q, kv, sums, mix, space) },
            None => return false,
        }
        true
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn forward_by<M: Multiply>(shape: Shape, q: &[f32], kv: &[f32], sums: &mut [f32], mix: &mut [f32], space: &mut Space) {
    let unit = M::begin();
    let (t, d, width) = (shape.queries, shape.head_width, shape.heads * shape.head_width);
    let (panels, steps, stride) = (t.div_ceil(PANEL), d.div_ceil(DEPTH), row_stride(t));
    let Space { queries, keys, over: values, rows, weights, .. } = space;
    weights.resize(PANEL * stride, 0.0);
    rows.room(1, panels);
    let mut square: Sums = [0.0; PANEL * PANEL];
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
            let of = Panel { start, count, stride, scale: shape.scale() };
            let (lines, sums) = (rows.lines(0, 0, panel + 1), &mut sums[head * t + start..][..count]);
            let factors = weigh(of, weights, lines, sums);
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
            // SAFETY: as above.
            #[allow(unsafe_code)]
            Some(Unit::Tiles) => unsafe { backward_by::<Tiles>(shape, qkv, sums, dmix, dqkv, space) },
            // SAFETY: as above.
            #[allow(unsafe_code)]
            Some(Unit::Dots) => unsafe { backward_by::<Dots>(shape, qkv, sums, dmix, dqkv, space) },
            None => return false,
        }
        true
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
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
            let part = [&space.rows, &space.over];
            let rows = &mut dqkv[panel * PANEL * from + places[0]..];
            write(&unit, false, part, [0, 0, panel + 1], [PANEL.min(t - panel * PANEL), d, from], [scale, 0.0], rows);
        }
        // The first of the heads that share keys and values writes, the others add.
        let beta = if head % (shape.heads / shape.kv_heads) == 0 { 0.0 } else { 1.0 };
        for panel in 0..panels {
            let (size, steps) = ([PANEL.min(t - panel * PANEL), d, from], [panel, panel, panels - panel]);
            let sides = [0, 1].map(|side| [&space.columns[side], &space.across[side]]);
            for (side, (place, alpha)) in sides.into_iter().zip([(places[1], scale), (places[2], 1.0)]) {
                write(&unit, true, side, steps, size, [alpha, beta], &mut dqkv[panel * PANEL * from + place..]);
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
        self.over.fill::<true>(key, columns);
        self.across[0].fill::<false>(query, columns);
        self.across[1].fill::<false>(dmix, Strides { inner: width, ..columns });
        let panels = t.div_ceil(PANEL);
        self.rows.room(1, panels);
        self.columns.iter_mut().for_each(|columns| columns.room(panels, panels));
    }

    /// Weights of a panel of queries and the gradients by their scores: into the rows and the columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn weigh_back<M: Multiply>(&mut self, unit: &M, shape: Shape, panel: usize, sums: &[f32]) {
        let (steps, stride) = (shape.head_width.div_ceil(DEPTH), row_stride(shape.queries));
        let (start, panels) = (panel * PANEL, shape.queries.div_ceil(PANEL));
        let Self { queries, dmix, keys, values, rows, weights, dweights, columns, .. } = self;
        weights.resize(PANEL * stride, 0.0);
        dweights.resize(PANEL * stride, 0.0);
        for seen in 0..=panel {
            product(unit, (queries, panel), (keys, seen), [0, steps], &mut weights[seen * PANEL..], stride);
            product(unit, (dmix, panel), (values, seen), [0, steps], &mut dweights[seen * PANEL..], stride);
        }
        let of = Panel { start, count: PANEL.min(shape.queries - start), stride, scale: shape.scale() };
        let columns = columns.each_mut().map(|side| side.lines(0, panel, panels * panels - panel));
        let (sums, lines) = (&sums[start..start + of.count], rows.lines(0, 0, panel + 1));
        weigh_back(of, [weights, dweights], sums, lines, columns, panels * STEP);
    }
}

/// A panel of rows (count, d) that lie `stride` apart: alpha times the product of a panel of one side and another side from a
/// step on, or of that one turned, whose left side is the other; and beta times what is there.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn write<M: Multiply>(
    unit: &M,
    turned: bool,
    [own, other]: [&Packed; 2],
    [panel, first, steps]: [usize; 3],
    [count, d, stride]: [usize; 3],
    [alpha, beta]: [f32; 2],
    rows: &mut [f32],
) {
    let mut square: Sums = [0.0; PANEL * PANEL];
    for column in 0..d.div_ceil(PANEL) {
        if turned {
            product(unit, (other, column), (own, panel), [first, steps], &mut square, PANEL);
            turn(&mut square);
        } else {
            product(unit, (own, panel), (other, column), [first, steps], &mut square, PANEL);
        }
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
