//! AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), for all tensors or for those that
//! [`muon`](super::muon) does not move.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::half::Precision;
use super::layout::{Kind, Tensor};
use super::muon;
use super::wide::wide;

/// Numbers that one task works on. Sums over gradients are taken chunk by chunk, so it is a part of the results.
const CHUNK: usize = 1 << 14;

/// Embeddings move by so many times the learning rate where Muon moves the layers: each token's row sees few gradients.
const EMBEDDING_RATE: f64 = 2.0;

/// What moves the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// AdamW for all.
    AdamW,
    /// Muon for the matrices inside the layers, AdamW at twice the learning rate for the rest.
    Muon,
}

/// The optimizer's settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) optimizer: Optimizer,
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
}

/// The optimizer's state.
#[derive(Debug, Clone)]
pub(super) struct AdamW {
    settings: Settings,
    precision: Precision,
    /// Running means of gradients; Muon's momentum, where it moves a tensor.
    mean: Vec<f32>,
    /// Running means of their squares; zeros where Muon moves a tensor.
    square: Vec<f32>,
    step: u64,
}

/// A tensor with its part of everything.
struct Job<'j> {
    tensor: &'j Tensor,
    parameters: &'j mut [f32],
    gradients: &'j [f32],
    mean: &'j mut [f32],
    square: &'j mut [f32],
}

impl AdamW {
    pub(super) fn new(parameters: usize, settings: Settings) -> Self {
        let (mean, square) = (vec![0.0; parameters], vec![0.0; parameters]);
        Self { settings, precision: Precision::F32, mean, square, step: 0 }
    }

    /// The same with Muon's products in another precision.
    pub(super) fn by(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The running means of gradients and of their squares.
    pub(super) fn moments(&self) -> [&[f32]; 2] {
        [&self.mean, &self.square]
    }

    /// Goes on behind a step, with the moments of then.
    pub(super) fn go_on(&mut self, step: u64, mean: Vec<f32>, square: Vec<f32>) {
        (self.step, self.mean, self.square) = (step, mean, square);
    }

    /// One update. Gradients are scaled by `scale` first.
    pub(super) fn update(
        &mut self,
        tensors: &[Tensor],
        parameters: &mut [f32],
        gradients: &[f32],
        scale: f32,
        learning_rate: f64,
    ) {
        self.step += 1;
        let (settings, precision, step) = (self.settings, self.precision, self.step);
        let jobs = jobs(tensors, parameters, gradients, &mut self.mean, &mut self.square);
        jobs.into_par_iter().for_each(|job| match settings.optimizer {
            Optimizer::Muon if muon::is_hidden(job.tensor) => {
                let Job { tensor, parameters, gradients, mean, .. } = job;
                let rates = [learning_rate, settings.weight_decay];
                muon::update(precision, tensor, parameters, gradients, mean, scale, rates);
            }
            Optimizer::Muon => adam(job, settings, step, scale, EMBEDDING_RATE * learning_rate),
            Optimizer::AdamW => adam(job, settings, step, scale, learning_rate),
        });
    }
}

/// The tensors, which lie one behind the other, each with its part of everything.
fn jobs<'j>(
    tensors: &'j [Tensor],
    mut parameters: &'j mut [f32],
    mut gradients: &'j [f32],
    mut mean: &'j mut [f32],
    mut square: &'j mut [f32],
) -> Vec<Job<'j>> {
    let split = |tensor: &'j Tensor| {
        let count = tensor.range.len();
        Job {
            tensor,
            parameters: parameters.split_off_mut(..count).unwrap_or_default(),
            gradients: gradients.split_off(..count).unwrap_or_default(),
            mean: mean.split_off_mut(..count).unwrap_or_default(),
            square: square.split_off_mut(..count).unwrap_or_default(),
        }
    };
    tensors.iter().map(split).collect()
}

fn adam(job: Job<'_>, settings: Settings, step: u64, scale: f32, learning_rate: f64) {
    let Settings { beta1, beta2, epsilon, weight_decay, .. } = settings;
    // Beyond so many steps the powers are 0.
    let power = i32::try_from(step).unwrap_or(i32::MAX);
    let rate = (learning_rate / (1.0 - beta1.powi(power))) as f32;
    let root = (1.0 / (1.0 - beta2.powi(power)).sqrt()) as f32;
    let (beta1, beta2, epsilon) = (beta1 as f32, beta2 as f32, epsilon as f32);
    let decays = !matches!(job.tensor.kind, Kind::Scale | Kind::Bias);
    let keep = if decays { (1.0 - learning_rate * weight_decay) as f32 } else { 1.0 };
    let chunks = job
        .parameters
        .par_chunks_mut(CHUNK)
        .zip(job.gradients.par_chunks(CHUNK))
        .zip(job.mean.par_chunks_mut(CHUNK))
        .zip(job.square.par_chunks_mut(CHUNK));
    let factors = Factors { scale, beta1, beta2, epsilon, rate, root, keep };
    chunks
        .for_each(|(((parameters, gradients), mean), square)| step_of(factors, parameters, gradients, [mean, square]));
}

/// What numbers are multiplied with in a step.
#[derive(Clone, Copy)]
struct Factors<R> {
    scale: R,
    beta1: R,
    beta2: R,
    epsilon: R,
    rate: R,
    root: R,
    keep: R,
}

wide! {
    fn step_of<R>(factors: Factors<R>, parameters: &mut [R], gradients: &[R], moments: [&mut [R]; 2]) {
        let Factors { scale, beta1, beta2, epsilon, rate, root, keep } = factors;
        let (one, [mean, square]) = (R::of(1.0), moments);
        for (((parameter, &gradient), mean), square) in parameters.iter_mut().zip(gradients).zip(mean).zip(square) {
            let gradient = gradient * scale;
            *mean = beta1 * *mean + (one - beta1) * gradient;
            *square = beta2 * *square + (one - beta2) * gradient * gradient;
            *parameter = keep * *parameter - rate * *mean / (square.sqrt() * root + epsilon);
        }
    }
}

/// The Euclidean norm of the gradients, summed in f64 in a fixed order.
pub(super) fn norm(gradients: &[f32]) -> f64 {
    let squares: Vec<f64> = gradients.par_chunks(CHUNK).map(squared).collect();
    squares.iter().sum::<f64>().sqrt()
}

wide! {
    /// The sum of squares, in lanes.
    fn squared<R>(numbers: &[R]) -> f64 {
        let mut lanes = [0.0; 16];
        let (chunks, rest) = numbers.as_chunks::<16>();
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(lane, number)| *lane += number.f64() * number.f64());
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, number)| *lane += number.f64() * number.f64());
        lanes.into_iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::layout::Layout;
    use super::*;

    /// Three steps against the paper's formula, written out in f64 for one decaying and one constant scalar.
    #[test]
    fn follows_the_formula() {
        let config = GptConfig { vocab_size: 1, context: 1, layers: 1, heads: 1, width: 1, form: GptForm::GPT2 };
        let layout = Layout::new(&config);
        let settings =
            Settings { optimizer: Optimizer::AdamW, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 };
        let mut adam = AdamW::new(layout.len, settings);
        let mut parameters = vec![0.5f32; layout.len];
        let (mut decaying, mut constant, mut mean, mut square) = (0.5f64, 0.5f64, 0.0f64, 0.0f64);
        for (step, gradient) in [0.3f64, -0.1, 0.2].into_iter().enumerate() {
            adam.update(&layout.tensors, &mut parameters, &vec![gradient as f32 * 2.0; layout.len], 0.5, 0.01);
            mean = 0.9 * mean + 0.1 * gradient;
            square = 0.99 * square + 0.01 * gradient * gradient;
            let power = step as i32 + 1;
            let update =
                0.01 * (mean / (1.0 - 0.9f64.powi(power))) / ((square / (1.0 - 0.99f64.powi(power))).sqrt() + 1e-8);
            decaying = decaying * (1.0 - 0.01 * 0.1) - update;
            constant -= update;
        }
        assert!((f64::from(parameters[layout.wte.start]) - decaying).abs() < 1e-6);
        assert!((f64::from(parameters[layout.final_norm.bias.start]) - constant).abs() < 1e-6);
    }

    #[test]
    fn norm_of_many() {
        assert!((norm(&vec![0.5; 40_000]) - 100.0).abs() < 1e-9);
    }
}
