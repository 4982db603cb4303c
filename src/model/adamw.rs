//! AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

use rayon::prelude::*;

use super::layout::{Kind, Tensor};

/// Numbers that one task works on. Sums over gradients are taken chunk by chunk, so it is a part of the results.
const CHUNK: usize = 1 << 14;

/// The optimizer's settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) beta1: f64,
    pub(super) beta2: f64,
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
}

/// The optimizer's state.
#[derive(Debug, Clone)]
pub(super) struct AdamW {
    settings: Settings,
    mean: Vec<f32>,
    square: Vec<f32>,
    step: i32,
}

impl AdamW {
    pub(super) fn new(parameters: usize, settings: Settings) -> Self {
        Self { settings, mean: vec![0.0; parameters], square: vec![0.0; parameters], step: 0 }
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
        let Settings { beta1, beta2, epsilon, weight_decay } = self.settings;
        let correction1 = 1.0 - beta1.powi(self.step);
        let correction2 = 1.0 - beta2.powi(self.step);
        let rate = (learning_rate / correction1) as f32;
        let root = (1.0 / correction2.sqrt()) as f32;
        let (beta1, beta2, epsilon) = (beta1 as f32, beta2 as f32, epsilon as f32);
        for tensor in tensors {
            let decays = !matches!(tensor.kind, Kind::Scale | Kind::Bias);
            let keep = if decays { (1.0 - learning_rate * weight_decay) as f32 } else { 1.0 };
            let range = tensor.range.clone();
            let chunks = parameters[range.clone()]
                .par_chunks_mut(CHUNK)
                .zip(gradients[range.clone()].par_chunks(CHUNK))
                .zip(self.mean[range.clone()].par_chunks_mut(CHUNK))
                .zip(self.square[range].par_chunks_mut(CHUNK));
            chunks.for_each(|(((parameters, gradients), mean), square)| {
                for at in 0..parameters.len() {
                    let gradient = gradients[at] * scale;
                    mean[at] = beta1 * mean[at] + (1.0 - beta1) * gradient;
                    square[at] = beta2 * square[at] + (1.0 - beta2) * gradient * gradient;
                    parameters[at] = keep * parameters[at] - rate * mean[at] / (square[at].sqrt() * root + epsilon);
                }
            });
        }
    }
}

/// The Euclidean norm of the gradients, summed in f64 in a fixed order.
pub(super) fn norm(gradients: &[f32]) -> f64 {
    let squares: Vec<f64> =
        gradients.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|&value| f64::from(value).powi(2)).sum()).collect();
    squares.iter().sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::config::GptConfig;
    use super::super::layout::Layout;
    use super::*;

    /// Three steps against the paper's formula, written out in f64 for one decaying and one constant scalar.
    #[test]
    fn follows_the_formula() {
        let config = GptConfig { vocab_size: 1, context: 1, layers: 1, heads: 1, width: 1 };
        let layout = Layout::new(&config);
        let settings = Settings { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1 };
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
