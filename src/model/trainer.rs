//! Training: batches in, a better model out.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::adamw::{AdamW, Settings, norm};
use super::gpt::{Gpt, Pass};
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Parts of a batch with gradients of their own, worked on at the same time. It decides the order of sums, so it is a
/// part of the results and does not depend on the machine.
const LANES: usize = 8;

/// Settings of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Steps in all.
    pub steps: u64,
    /// Windows a step.
    pub batch: usize,
    /// The highest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// Share of the steps over which the learning rate rises to it; behind them it falls along a cosine to a tenth.
    pub warmup: f64,
    /// Decay of matrices a step, times the learning rate.
    pub weight_decay: f64,
    /// How long AdamW remembers gradients.
    pub beta1: f64,
    /// How long it remembers their squares.
    pub beta2: f64,
    /// Gradients with a larger norm are scaled down to it.
    pub clip: f64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 600,
            batch: 8,
            learning_rate: 3e-3,
            warmup: 0.05,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            clip: 1.0,
        }
    }
}

impl TrainConfig {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for one outside its range.
    pub fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::Setting { name: "batch", value: "0".to_owned(), expected: "at least 1".to_owned() });
        }
        if !(self.learning_rate > 0.0 && self.learning_rate < 1.0) {
            let expected = "above 0 and below 1".to_owned();
            return Err(Error::Setting { name: "learning-rate", value: self.learning_rate.to_string(), expected });
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 1: linear up, then a cosine down to a tenth.
    pub(super) fn rate(&self, step: u64) -> f64 {
        let Self { steps, learning_rate, warmup, .. } = *self;
        let (rise, step) = ((warmup * steps as f64).max(1.0), step as f64);
        if step <= rise {
            return learning_rate * step / rise;
        }
        let fall = ((step - rise) / (steps as f64 - rise).max(1.0)).min(1.0);
        learning_rate * (0.1 + 0.9 * 0.5 * (1.0 + (std::f64::consts::PI * fall).cos()))
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The step, from 1.
    pub step: u64,
    /// Mean loss of the batch in nats a token, before the update.
    pub loss: f64,
    /// The learning rate of the update.
    pub learning_rate: f64,
    /// The norm of the gradients, before they were scaled down.
    pub gradient_norm: f64,
}

/// A model in training.
pub struct Trainer {
    gpt: Gpt,
    config: TrainConfig,
    adam: AdamW,
    lanes: Vec<Lane>,
    step: u64,
}

struct Lane {
    pass: Pass<f32>,
    gradients: Vec<f32>,
}

impl Trainer {
    /// Prepares to train `gpt`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for settings outside their range.
    pub fn new(gpt: Gpt, config: TrainConfig) -> Result<Self> {
        config.check()?;
        let parameters = gpt.parameters.len();
        let TrainConfig { beta1, beta2, weight_decay, .. } = config;
        let adam = AdamW::new(parameters, Settings { beta1, beta2, epsilon: 1e-8, weight_decay });
        let lane = |_| Lane { pass: Pass::new(gpt.config()), gradients: vec![0.0; parameters] };
        let lanes = (0..LANES.min(config.batch)).map(lane).collect();
        Ok(Self { gpt, config, adam, lanes, step: 0 })
    }

    /// The model.
    #[must_use]
    pub fn gpt(&self) -> &Gpt {
        &self.gpt
    }

    /// The model, done with training.
    #[must_use]
    pub fn into_gpt(self) -> Gpt {
        self.gpt
    }

    /// Learns from one batch: rows of T + 1 ids, each of which is to be predicted from those before it in its row.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when the loss is not finite.
    pub fn step(&mut self, batch: &[TokenId]) -> Result<StepReport> {
        let row = self.gpt.config().context + 1;
        let rows: Vec<&[TokenId]> = batch.chunks_exact(row).collect();
        let tokens = (rows.len() * (row - 1)) as f64;
        let (gpt, lanes) = (&self.gpt, self.lanes.len());
        let losses: Vec<f64> = self
            .lanes
            .par_iter_mut()
            .enumerate()
            .map(|(at, lane)| {
                lane.gradients.fill(0.0);
                let own = rows.iter().skip(at).step_by(lanes);
                own.map(|row| {
                    gpt.backward(
                        &row[..row.len() - 1],
                        &row[1..],
                        (1.0 / tokens) as f32,
                        &mut lane.pass,
                        &mut lane.gradients,
                    )
                })
                .sum()
            })
            .collect();
        let loss = losses.iter().sum::<f64>() / tokens;
        self.step += 1;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: self.step, loss });
        }
        self.add_lanes();
        let gradients = &self.lanes[0].gradients;
        let gradient_norm = norm(gradients);
        let scale = if gradient_norm > self.config.clip { self.config.clip / gradient_norm } else { 1.0 };
        let learning_rate = self.config.rate(self.step);
        self.adam.update(&self.gpt.layout.tensors, &mut self.gpt.parameters, gradients, scale as f32, learning_rate);
        Ok(StepReport { step: self.step, loss, learning_rate, gradient_norm })
    }

    /// Adds the gradients of all lanes to those of the first, in the order of the lanes.
    fn add_lanes(&mut self) {
        let (first, others) = self.lanes.split_at_mut(1);
        for lane in others {
            let pairs = first[0].gradients.par_chunks_mut(1 << 14).zip(lane.gradients.par_chunks(1 << 14));
            pairs.for_each(|(sum, part)| sum.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::GptConfig;
    use super::*;

    const SMALL: GptConfig = GptConfig { vocab_size: 12, context: 8, layers: 2, heads: 2, width: 16 };

    /// A text that can be learned: each id is followed by one of its own.
    fn batch(step: u64) -> Vec<TokenId> {
        (0..4).flat_map(|row| (0..9).map(move |at| ((step * 5 + row * 3 + at * 7) % 12) as TokenId)).collect()
    }

    fn train(steps: u64, threads: usize) -> (Vec<StepReport>, Gpt) {
        let config = TrainConfig { steps, batch: 4, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Gpt::new(SMALL, 5).unwrap(), config).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let reports = pool.install(|| (0..steps).map(|step| trainer.step(&batch(step)).unwrap()).collect());
        (reports, trainer.into_gpt())
    }

    #[test]
    fn learns_what_can_be_learned() {
        let (reports, _) = train(300, 2);
        assert!(reports[0].loss > 12f64.ln(), "{:?}", reports[0]);
        assert!(reports[299].loss < 0.1, "{:?}", reports[299]);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let (one, gpt1) = train(12, 1);
        for threads in [2, 3, 8] {
            let (many, gpt) = train(12, threads);
            assert_eq!(one, many);
            assert_eq!(gpt1.parameters, gpt.parameters);
        }
    }

    #[test]
    fn learning_rate_rises_and_falls() {
        let (reports, _) = train(100, 2);
        let rates: Vec<f64> = reports.iter().map(|report| report.learning_rate).collect();
        assert!(
            (rates[0] - 6e-4).abs() < 1e-12 && (rates[4] - 3e-3).abs() < 1e-12 && (rates[99] - 3e-4).abs() < 1e-12,
            "{rates:?}"
        );
        assert!(rates[4..].windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn divergence_is_an_error() {
        let mut gpt = Gpt::new(SMALL, 5).unwrap();
        gpt.parameters[0] = f32::NAN;
        let mut trainer = Trainer::new(gpt, TrainConfig { batch: 4, ..TrainConfig::default() }).unwrap();
        assert!(matches!(trainer.step(&batch(0)), Err(Error::Diverged { step: 1, .. })));
    }

    #[test]
    fn settings_outside_their_range() {
        for config in [
            TrainConfig { batch: 0, ..TrainConfig::default() },
            TrainConfig { learning_rate: f64::NAN, ..TrainConfig::default() },
        ] {
            assert!(matches!(Trainer::new(Gpt::new(SMALL, 5).unwrap(), config), Err(Error::Setting { .. })));
        }
    }
}
