//! Muon: momentum whose matrix is made nearly orthogonal before it is a step (Jordan et al. 2024), for the matrices
//! inside the layers.
//!
//! `M = 0.95 M + G`, `U = G + 0.95 M` (Nesterov's form), `W = W (1 - rate decay) - rate 0.2 √max(rows, columns) O(U)`.
//! O replaces the singular values of U by ones, roughly: five steps of a quintic iteration, which take those above
//! a hundredth of the norm into 0.68 to 1.13. The factor gives each step the root mean square that AdamW's has, so that
//! both go by one learning rate (Liu et al. 2025, *Muon is Scalable for LLM Training*).

use super::half::Precision;
use super::layout::Tensor;
use super::matmul::{Matrix, matmul};
use super::real::Real;

/// Of the quintic: a x + b x^3 + c x^5 (Jordan's, chosen for their slope at 0).
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
const STEPS: usize = 5;
/// Below this norm a gradient is nothing but rounding.
const EPSILON: f64 = 1e-7;
const MOMENTUM: f32 = 0.95;
/// Root mean square of AdamW's usual steps, in units of the learning rate.
const ADAM_RMS: f64 = 0.2;

/// A matrix that Muon moves: rows of `columns` numbers, `stride` apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    /// What of its tensor it lies in, from its first number on.
    pub(super) offset: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) stride: usize,
}

/// Whether Muon moves this tensor: a matrix inside a layer. Embeddings, the output matrix, positions, norms and biases
/// are AdamW's.
pub(super) fn is_hidden(tensor: &Tensor) -> bool {
    tensor.shape.len() == 2 && tensor.name.starts_with("h.")
}

/// The matrices of a tensor: queries, keys and values stand side by side in one, but are three.
pub(super) fn parts(tensor: &Tensor) -> Vec<Hidden> {
    let (rows, stride) = (tensor.shape[0], tensor.shape[1]);
    let widths = if tensor.name.ends_with("attn.c_attn.weight") {
        // Queries are as wide as the residual stream; keys and values share the rest.
        let keys = (stride - rows) / 2;
        vec![rows, keys, keys]
    } else {
        vec![stride]
    };
    let mut offset = 0;
    let place = |columns| {
        offset += columns;
        Hidden { offset: offset - columns, rows, columns, stride }
    };
    widths.into_iter().map(place).collect()
}

/// One update of all matrices in a tensor, whose numbers, gradients (scaled by `scale` first) and momentum are given;
/// `rates` are the learning rate and the weight decay. In bf16 the products of the iteration are made so too, as its authors do;
/// what is added to them is f32.
pub(super) fn update(
    precision: Precision,
    tensor: &Tensor,
    parameters: &mut [f32],
    gradients: &[f32],
    momentum: &mut [f32],
    scale: f32,
    [learning_rate, weight_decay]: [f64; 2],
) {
    let keep = (1.0 - learning_rate * weight_decay) as f32;
    for Hidden { offset, rows, columns, stride } in parts(tensor) {
        let mut step = vec![0.0f32; rows * columns];
        for (row, step) in step.chunks_exact_mut(columns).enumerate() {
            let own = offset + row * stride..offset + row * stride + columns;
            gather(&gradients[own.clone()], &mut momentum[own], step, scale);
        }
        orthogonalize(&mut step, rows, columns, precision);
        let rate = (learning_rate * ADAM_RMS * (rows.max(columns) as f64).sqrt()) as f32;
        for (row, step) in step.chunks_exact(columns).enumerate() {
            let own = &mut parameters[offset + row * stride..][..columns];
            own.iter_mut().zip(step).for_each(|(parameter, &step)| *parameter = keep * *parameter - rate * step);
        }
    }
}

/// A row of gradients goes into its momentum, and both into the step.
fn gather(gradients: &[f32], momentum: &mut [f32], step: &mut [f32], scale: f32) {
    for ((step, momentum), &gradient) in step.iter_mut().zip(momentum).zip(gradients) {
        let gradient = gradient * scale;
        *momentum = MOMENTUM * *momentum + gradient;
        *step = gradient + MOMENTUM * *momentum;
    }
}

/// Brings the singular values of a matrix near 1 and keeps its singular vectors: U S V^T becomes U S' V^T with S' in about
/// 0.7 to 1.2 (Newton-Schulz). The iteration squares a matrix of the smaller side.
fn orthogonalize<R: Real>(x: &mut Vec<R>, rows: usize, columns: usize, precision: Precision) {
    let norm = x.iter().map(|value| value.f64().powi(2)).sum::<f64>().sqrt();
    let scale = R::of(1.0 / norm.max(EPSILON));
    x.iter_mut().for_each(|value| *value *= scale);
    let [a, b, c] = COEFFICIENTS.map(R::of);
    let (zero, one) = (R::of(0.0), R::of(1.0));
    let side = rows.min(columns);
    let mut square = vec![zero; side * side];
    let mut sum = square.clone();
    let mut next = x.clone();
    for _ in 0..STEPS {
        let own = Matrix::dense(x, rows, columns).by(precision);
        let (left, right) = if rows <= columns { (own, own.transposed()) } else { (own.transposed(), own) };
        matmul(one, left, right, zero, &mut square, side);
        let squared = Matrix::dense(&square, side, side).by(precision);
        sum.copy_from_slice(&square);
        matmul(c, squared, squared, b, &mut sum, side);
        next.copy_from_slice(x);
        let sum = Matrix::dense(&sum, side, side).by(precision);
        let (left, right) = if rows <= columns { (sum, own) } else { (own, sum) };
        matmul(one, left, right, a, &mut next, columns);
        std::mem::swap(x, &mut next);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::layout::Kind;
    use super::super::random::Random;
    use super::*;

    /// Makes a random vector of length 1 the axis of a reflection, which is orthogonal, and applies it to rows.
    fn reflect(matrix: &mut [f64], columns: usize, random: &mut Random) {
        let axis: Vec<f64> = (0..columns).map(|_| random.normal()).collect();
        let norm: f64 = axis.iter().map(|value| value * value).sum();
        for row in matrix.chunks_exact_mut(columns) {
            let along: f64 = row.iter().zip(&axis).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(&axis).for_each(|(value, axis)| *value -= 2.0 * along / norm * axis);
        }
    }

    fn transposed(matrix: &[f64], rows: usize, columns: usize) -> Vec<f64> {
        (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
    }

    /// U diag(values) V^T, where U and V are products of reflections drawn from `seed`.
    fn with_singular_values(values: &[f64], columns: usize, seed: u64) -> Vec<f64> {
        let rows = values.len();
        let mut random = Random::new(seed);
        let mut matrix = vec![0.0; rows * columns];
        values.iter().enumerate().for_each(|(at, &value)| matrix[at * columns + at] = value);
        (0..3).for_each(|_| reflect(&mut matrix, columns, &mut random));
        let mut turned = transposed(&matrix, rows, columns);
        (0..3).for_each(|_| reflect(&mut turned, rows, &mut random));
        transposed(&turned, columns, rows)
    }

    /// The iteration on a number, which is what it does to each singular value.
    fn quintic(mut value: f64) -> f64 {
        let [a, b, c] = COEFFICIENTS;
        (0..STEPS).for_each(|_| value = a * value + b * value.powi(3) + c * value.powi(5));
        value
    }

    proptest! {
        /// The oracle needs no decomposition: a matrix is made from singular values that are known, and the same matrix
        /// from what the quintic makes of each.
        #[test]
        fn singular_values_go_through_the_quintic(
            values in prop::collection::vec(0.01f64..1.0, 1..12), more in 0usize..9, seed: u64, size in 1e-3f64..1e3,
        ) {
            let (rows, columns) = (values.len(), values.len() + more);
            let norm = values.iter().map(|value| value * value).sum::<f64>().sqrt();
            let expected: Vec<f64> = values.iter().map(|value| quintic(value / norm)).collect();
            let expected = with_singular_values(&expected, columns, seed);
            let given: Vec<f64> = with_singular_values(&values, columns, seed).iter().map(|x| x * size).collect();
            let mut exact = given.clone();
            orthogonalize(&mut exact, rows, columns, Precision::F32);
            prop_assert!(exact.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9));
            let mut single: Vec<f32> = given.iter().map(|&x| x as f32).collect();
            orthogonalize(&mut single, rows, columns, Precision::F32);
            prop_assert!(single.iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 2e-3));
            // The same of the matrix turned.
            let mut high: Vec<f64> = transposed(&given, rows, columns);
            orthogonalize(&mut high, columns, rows, Precision::F32);
            let turned = transposed(&high, columns, rows);
            prop_assert!(turned.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-9));
            // Rounding to bf16 moves singular values, but leaves them near one if they are not small.
            let mut half: Vec<f32> = given.iter().map(|&x| x as f32).collect();
            orthogonalize(&mut half, rows, columns, Precision::Bf16);
            let apart = half.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
            prop_assert!(apart < 0.2 * (rows as f64).sqrt(), "{apart}");
        }
    }

    #[test]
    fn singular_values_come_near_one() {
        for step in 100..=10_000 {
            let value = quintic(f64::from(step) * 1e-4);
            assert!((0.68..1.14).contains(&value), "{step}: {value}");
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        let mut zeros = vec![0.0f32; 6];
        orthogonalize(&mut zeros, 2, 3, Precision::F32);
        assert_eq!(zeros, [0.0; 6]);
    }

    fn tensor(name: &str, rows: usize, columns: usize) -> Tensor {
        Tensor { name: name.to_owned(), range: 0..rows * columns, shape: vec![rows, columns], kind: Kind::Matrix }
    }

    #[test]
    fn queries_keys_and_values_are_three_matrices() {
        let part = |offset, columns, stride| Hidden { offset, rows: 8, columns, stride };
        let own = |columns| parts(&tensor("h.3.attn.c_attn.weight", 8, columns));
        assert_eq!(own(24), [part(0, 8, 24), part(8, 8, 24), part(16, 8, 24)]);
        // Two heads of queries share one of keys and values.
        assert_eq!(own(16), [part(0, 8, 16), part(8, 4, 16), part(12, 4, 16)]);
        assert_eq!(parts(&tensor("h.3.mlp.c_fc.weight", 8, 32)), [part(0, 32, 32)]);
        assert!(is_hidden(&tensor("h.0.mlp.c_fc.weight", 8, 32)) && !is_hidden(&tensor("wte.weight", 8, 32)));
    }

    /// Two steps, by tests/readers/muon.py (torch 2.15.0, the formula in float64; `torch.optim.Muon` agrees to the digits
    /// of its bfloat16).
    #[test]
    fn two_steps_as_pytorch_has_them() {
        const WIDE: [f64; 15] = [
            0.095432688,
            -0.042863704,
            -0.069052452,
            0.091940489,
            -0.017223394,
            0.052185905,
            -0.102984320,
            0.031836388,
            0.080003745,
            -0.092514893,
            -0.040143316,
            -0.071681554,
            0.092746840,
            -0.012610757,
            -0.079992866,
        ];
        const HIGH: [f64; 15] = [
            0.095751934,
            -0.040378173,
            -0.065493808,
            0.050227033,
            -0.103108946,
            0.030606314,
            -0.037977074,
            -0.070516918,
            0.093087536,
            -0.094820704,
            0.026572710,
            0.079804375,
            -0.061218780,
            0.097593262,
            -0.009727648,
        ];
        for (rows, columns, expected) in [(3, 5, WIDE), (5, 3, HIGH)] {
            let tensor = tensor("h.0.mlp.c_fc.weight", rows, columns);
            let fill = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f32> {
                let at = |at: usize| f((at / columns) as f64, (at % columns) as f64) as f32;
                (0..rows * columns).map(at).collect()
            };
            let mut parameters = fill(&|i, j| 0.1 * (i + 2.0 * j).cos());
            let mut momentum = vec![0.0; rows * columns];
            for step in [1.0, 2.0] {
                let gradients = fill(&|i, j| 4.0 * (i * i + 3.0 * i * j + 2.0 * j * j + step).sin());
                update(Precision::F32, &tensor, &mut parameters, &gradients, &mut momentum, 0.25, [0.01, 0.1]);
            }
            let close = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() < 1e-6;
            assert!(parameters.iter().zip(&expected).all(close), "{parameters:?}");
        }
    }

    /// Values are three matrices in one tensor: each is moved as if it stood alone.
    #[test]
    fn parts_do_not_mix() {
        let mut random = Random::new(4);
        let mut numbers = || (0..4 * 12).map(|_| random.normal() as f32).collect::<Vec<f32>>();
        let (before, gradients) = (numbers(), numbers());
        let mut whole = before.clone();
        let qkv = tensor("h.0.attn.c_attn.weight", 4, 12);
        update(Precision::F32, &qkv, &mut whole, &gradients, &mut [0.0; 48], 1.0, [0.01, 0.1]);
        for part in 0..3 {
            let cut =
                |all: &[f32]| -> Vec<f32> { all.chunks(12).flat_map(|row| &row[4 * part..][..4]).copied().collect() };
            let mut alone = cut(&before);
            let own = tensor("h.0.attn.c_proj.weight", 4, 4);
            update(Precision::F32, &own, &mut alone, &cut(&gradients), &mut [0.0; 16], 1.0, [0.01, 0.1]);
            assert_eq!(alone, cut(&whole));
        }
    }
}
