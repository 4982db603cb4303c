//! Training of a recurrent network: each row of a batch goes on where it stood a step ago, with its state carried along.

use rayon::prelude::*;

use super::adamw::{AdamW, Optimizer, Settings, norm};
use super::recurrent::{Recurrent, RecurrentPass, State};
use super::trainer::{StepReport, TrainConfig};
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// As in `trainer.rs`: parts of a batch with gradients of their own, which are added in a fixed order.
const LANES: usize = 8;

/// A recurrent network in training.
pub struct RecurrentTrainer {
    model: Recurrent,
    config: TrainConfig,
    context: usize,
    adam: AdamW,
    lanes: Vec<Lane>,
    step: u64,
}

struct Lane {
    pass: RecurrentPass<f32>,
    gradients: Vec<f32>,
    /// One of each row of the batch that is worked on here.
    states: Vec<State<f32>>,
}

impl RecurrentTrainer {
    /// Prepares to train `model` on windows of `context` tokens, through which the gradient runs back.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for settings outside their range.
    pub fn new(model: Recurrent, context: usize, config: TrainConfig) -> Result<Self> {
        config.check()?;
        if context == 0 {
            return Err(Error::Setting { name: "context", value: "0".to_owned(), expected: "at least 1".to_owned() });
        }
        let parameters = model.parameters.len();
        let TrainConfig { beta1, beta2, weight_decay, .. } = config;
        let adam =
            AdamW::new(parameters, Settings { optimizer: Optimizer::AdamW, beta1, beta2, epsilon: 1e-8, weight_decay });
        let lanes = LANES.min(config.batch);
        let lane = |at: usize| Lane {
            pass: RecurrentPass::new(&model.config, context),
            gradients: vec![0.0; parameters],
            states: (at..config.batch).step_by(lanes).map(|_| State::new(&model.config)).collect(),
        };
        let lanes = (0..lanes).map(lane).collect();
        Ok(Self { model, config, context, adam, lanes, step: 0 })
    }

    /// The model, done with training.
    #[must_use]
    pub fn into_model(self) -> Recurrent {
        self.model
    }

    /// Learns from one batch: rows of `context + 1` ids, each row going on behind the row of the step before.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when the loss is not finite.
    pub fn step(&mut self, batch: &[TokenId]) -> Result<StepReport> {
        let rows: Vec<&[TokenId]> = batch.chunks_exact(self.context + 1).collect();
        let tokens = (rows.len() * self.context) as f64;
        let (model, lanes) = (&self.model, self.lanes.len());
        let work = |(at, lane): (usize, &mut Lane)| {
            let Lane { pass, gradients, states } = lane;
            gradients.fill(0.0);
            let rows = rows.iter().skip(at).step_by(lanes).zip(states);
            rows.map(|(row, state)| {
                let window = [&row[..row.len() - 1], &row[1..]];
                model.backward(window, (1.0 / tokens) as f32, state, pass, gradients)
            })
            .sum()
        };
        let losses: Vec<f64> = self.lanes.par_iter_mut().enumerate().map(work).collect();
        let loss = losses.iter().sum::<f64>() / tokens;
        self.step += 1;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: self.step, loss });
        }
        let (first, others) = self.lanes.split_at_mut(1);
        let gradients = &mut first[0].gradients;
        for lane in others {
            gradients.iter_mut().zip(&lane.gradients).for_each(|(sum, &value)| *sum += value);
        }
        let gradient_norm = norm(gradients);
        let scale = if gradient_norm > self.config.clip { self.config.clip / gradient_norm } else { 1.0 };
        let learning_rate = self.config.rate(self.step);
        self.adam.update(&self.model.tensors, &mut self.model.parameters, gradients, scale as f32, learning_rate);
        Ok(StepReport { step: self.step, loss, learning_rate, gradient_norm })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, RecurrentConfig};
    use super::*;

    /// The token eight places back comes again: in windows of four, only a carried state knows it.
    fn batch(step: u64) -> Vec<TokenId> {
        (0..3).flat_map(|row| (0..5).map(move |at| ((step * 4 + at) * 7 % (8 + row)) as TokenId)).collect()
    }

    fn train(cell: Cell, steps: u64, threads: usize) -> (Vec<StepReport>, Recurrent) {
        let config = TrainConfig { steps, batch: 3, learning_rate: 0.01, ..TrainConfig::default() };
        let model = Recurrent::new(RecurrentConfig { cell, vocab_size: 12, width: 16 }, 5).unwrap();
        let mut trainer = RecurrentTrainer::new(model, 4, config).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let reports = pool.install(|| (0..steps).map(|step| trainer.step(&batch(step)).unwrap()).collect());
        (reports, trainer.into_model())
    }

    #[test]
    fn learns_what_can_be_learned() {
        for cell in [Cell::Elman, Cell::Lstm] {
            let (reports, _) = train(cell, 300, 2);
            assert!(reports[0].loss > 2.0 && reports[299].loss < 0.3, "{cell:?} {:?}", reports[299]);
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let (one, first) = train(Cell::Lstm, 12, 1);
        for threads in [2, 3] {
            let (many, other) = train(Cell::Lstm, 12, threads);
            assert!(one == many && first.parameters == other.parameters);
        }
    }

    #[test]
    fn what_is_refused() {
        let model = || Recurrent::new(RecurrentConfig { cell: Cell::Elman, vocab_size: 12, width: 16 }, 5).unwrap();
        assert!(RecurrentTrainer::new(model(), 0, TrainConfig::default()).is_err());
        assert!(RecurrentTrainer::new(model(), 4, TrainConfig { batch: 0, ..TrainConfig::default() }).is_err());
        let mut broken = model();
        broken.parameters[0] = f32::NAN;
        let mut trainer = RecurrentTrainer::new(broken, 4, TrainConfig { batch: 3, ..TrainConfig::default() }).unwrap();
        assert!(matches!(trainer.step(&batch(0)), Err(Error::Diverged { step: 1, .. })));
    }
}
