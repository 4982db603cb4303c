//! Training: batches in, a better model out.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::adamw::{AdamW, Optimizer, Settings, norm};
use super::gpt::Gpt;
use super::half::Precision;
use super::kept::{self, Kept};
use super::later;
use super::pass::Pass;
use super::profile::{Clock, Laps, Part, Profile};
use super::schedule::Schedule;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Windows that are worked on at the same time, with gradients of their own but for matrices. It decides the order of sums, so
/// it is a part of the results and does not depend on the machine.
pub(super) const LANES: usize = 8;

/// Settings of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Steps in all.
    pub steps: u64,
    /// Windows of a batch.
    pub batch: usize,
    /// Batches of a step, whose gradients are added up.
    pub accumulate: usize,
    /// What moves the parameters.
    pub optimizer: Optimizer,
    /// The highest learning rate, reached after the warm-up.
    pub learning_rate: f64,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// Share of the steps over which the learning rate rises.
    pub warmup: f64,
    /// Decay of matrices a step, times the learning rate.
    pub weight_decay: f64,
    /// How long AdamW remembers gradients.
    pub beta1: f64,
    /// How long it remembers their squares.
    pub beta2: f64,
    /// Gradients with a larger norm are scaled down to it.
    pub clip: f64,
    /// What activations and weights are rounded to before they are multiplied; f32 where a file does not say.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 300,
            batch: 8,
            accumulate: 1,
            optimizer: Optimizer::Muon,
            learning_rate: 6e-3,
            schedule: Schedule::Wsd,
            warmup: 0.05,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            clip: 1.0,
            precision: Precision::F32,
        }
    }
}

impl TrainConfig {
    /// Windows of a step.
    #[must_use]
    pub fn windows(&self) -> usize {
        self.batch * self.accumulate
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for one outside its range.
    pub fn check(&self) -> Result<()> {
        let wrong =
            |name, value: String, expected: &str| Err(Error::Setting { name, value, expected: expected.to_owned() });
        for (name, value) in [("batch", self.batch), ("accumulate", self.accumulate)] {
            if !(1..=1 << 20).contains(&value) {
                return wrong(name, value.to_string(), "from 1 to 1048576");
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate < 1.0) {
            return wrong("learning-rate", self.learning_rate.to_string(), "above 0 and below 1");
        }
        if !(0.0..=1.0).contains(&self.warmup) {
            return wrong("warmup", self.warmup.to_string(), "a share from 0 to 1");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay * self.learning_rate < 0.5) {
            return wrong(
                "weight-decay",
                self.weight_decay.to_string(),
                "0 or more, and times --learning-rate below 0.5",
            );
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return wrong("clip", self.clip.to_string(), "above 0");
        }
        Ok(())
    }

    /// The learning rate of a step, counted from 1.
    pub(super) fn rate(&self, step: u64) -> f64 {
        self.learning_rate * self.schedule.factor(step, self.steps, self.warmup)
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
    spare: Spare,
    step: u64,
    clock: Option<Clock>,
    profile: Profile,
}

struct Lane {
    /// What is kept of a window for gradients of matrices, in bf16.
    kept: Option<Kept<f32>>,
    /// In f32 they are made of what the passes of a window leave.
    pass: Option<Pass<f32>>,
    laps: Laps,
    gradients: Vec<f32>,
}

/// What passes use for the time of a window where all that is needed behind them is kept: as many as there are threads, in
/// place of one a lane, so that they stay in a cache.
type Spare = Mutex<Vec<Pass<f32>>>;

fn lanes(gpt: &Gpt, config: &TrainConfig) -> Vec<Lane> {
    let lane = |_| {
        let kept = Kept::new(&gpt.layout, config.precision);
        let pass = kept.is_none().then(|| Pass { later: true, ..Pass::new(gpt.config()).by(config.precision) });
        Lane { kept, pass, laps: Laps::default(), gradients: vec![0.0; gpt.parameters.len()] }
    };
    (0..LANES.min(config.windows())).map(lane).collect()
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
        let TrainConfig { optimizer, beta1, beta2, weight_decay, .. } = config;
        let adam = AdamW::new(parameters, Settings { optimizer, beta1, beta2, epsilon: 1e-8, weight_decay })
            .by(config.precision);
        let (lanes, spare, profile) = (lanes(&gpt, &config), Spare::default(), Profile::default());
        Ok(Self { lanes, spare, gpt, config, adam, step: 0, clock: None, profile })
    }

    /// The same training as far as it is, to be ended after another number of steps.
    #[must_use]
    pub fn with_steps(&self, steps: u64) -> Self {
        let (gpt, config) = (self.gpt.clone(), TrainConfig { steps, ..self.config });
        let (adam, clock, profile) = (self.adam.clone(), self.clock, Profile::default());
        let (lanes, spare) = (lanes(&gpt, &config), Spare::default());
        Self { lanes, spare, gpt, config, adam, step: self.step, clock, profile }
    }

    /// Has the steps that follow measured by a clock.
    pub fn measure(&mut self, clock: Clock) {
        self.clock = Some(clock);
    }

    /// What the steps that were measured took.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Steps that are done.
    #[must_use]
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The model.
    #[must_use]
    pub fn gpt(&self) -> &Gpt {
        &self.gpt
    }

    /// The optimizer's running means of gradients and of their squares.
    pub(super) fn moments(&self) -> [&[f32]; 2] {
        self.adam.moments()
    }

    /// Goes on behind a step, with the moments of then.
    pub(super) fn go_on(&mut self, step: u64, mean: Vec<f32>, square: Vec<f32>) {
        self.step = step;
        self.adam.go_on(step, mean, square);
    }

    /// The model, done with training.
    #[must_use]
    pub fn into_gpt(self) -> Gpt {
        self.gpt.unpacked()
    }

    /// Learns from the batches of one step: rows of T + 1 ids, each of which is to be predicted from those before it in
    /// its row. Memory does not grow with them: gradients are added up, as many windows at a time as there are lanes.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when the loss or a gradient is not finite; the parameters are those before the step.
    pub fn step(&mut self, batch: &[TokenId]) -> Result<StepReport> {
        let row = self.gpt.config().context + 1;
        let rows: Vec<&[TokenId]> = batch.chunks_exact(row).collect();
        let tokens = (rows.len() * (row - 1)) as f64;
        let before = seconds(self.clock);
        self.gpt.pack(self.config.precision);
        self.profile.add(Part::Optimizer, seconds(self.clock) - before);
        let weight = (1.0 / tokens) as f32;
        let loss = self.backward(&rows, weight) / tokens;
        self.step += 1;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: self.step, loss });
        }
        let start = seconds(self.clock);
        let gradients = &self.lanes[0].gradients;
        let gradient_norm = norm(gradients);
        if !gradient_norm.is_finite() {
            return Err(Error::Diverged { step: self.step, loss });
        }
        let scale = if gradient_norm > self.config.clip { self.config.clip / gradient_norm } else { 1.0 };
        let learning_rate = self.config.rate(self.step);
        let (layout, parameters) = self.gpt.change();
        self.adam.update(&layout.tensors, parameters, gradients, scale as f32, learning_rate);
        self.profile.add(Part::Optimizer, seconds(self.clock) - start);
        Ok(StepReport { step: self.step, loss, learning_rate, gradient_norm })
    }

    /// The summed loss of all rows. Gradients of matrices are made behind the windows of all lanes, and go to the first; those
    /// of the rest each lane adds up.
    fn backward(&mut self, rows: &[&[TokenId]], weight: f32) -> f64 {
        let (layout, clock) = (&self.gpt.layout, self.clock);
        let keeps = self.lanes[0].kept.is_some();
        let own = if keeps { kept::small(layout) } else { later::others(layout) };
        self.lanes.par_iter_mut().for_each(|lane| lane.begin(clock, &own));
        if keeps && !self.gpt.config().form.tied {
            self.lanes[0].gradients[self.gpt.layout.wte.clone()].fill(0.0);
        }
        let mut loss = 0.0;
        for (at, rows) in rows.chunks(self.lanes.len()).enumerate() {
            let (gpt, spare, start) = (&self.gpt, &self.spare, seconds(clock));
            let windows = self.lanes.par_iter_mut().zip(rows);
            let losses = windows.map(|(lane, row)| lane.backward(gpt, row, weight, spare, clock));
            let losses: Vec<f64> = losses.collect();
            loss += losses.iter().sum::<f64>();
            self.share_out(seconds(clock) - start);
            if keeps {
                self.add_kept(rows, at > 0);
            } else {
                self.add_later(rows, at > 0);
            }
        }
        self.add_lanes(&own);
        loss
    }

    /// Gradients of matrices inside the layers from what windows have left, written or added to what is there.
    fn add_later(&mut self, rows: &[&[TokenId]], added: bool) {
        let start = seconds(self.clock);
        let mut gradients = std::mem::take(&mut self.lanes[0].gradients);
        let windows: Vec<_> = self.lanes.iter().take(rows.len()).filter_map(|lane| lane.pass.as_ref()).collect();
        later::add_products(&windows, &self.gpt.layout, self.gpt.config().context, &mut gradients, added);
        self.lanes[0].gradients = gradients;
        self.profile.add(Part::MatrixMultiply, seconds(self.clock) - start);
    }

    /// Gradients of matrices and embeddings from what windows have kept, written or added to what is there.
    fn add_kept(&mut self, rows: &[&[TokenId]], added: bool) {
        let (layout, clock) = (&self.gpt.layout, self.clock);
        let mut gradients = std::mem::take(&mut self.lanes[0].gradients);
        let kept: Vec<_> = self.lanes.iter().take(rows.len()).filter_map(|lane| lane.kept.as_ref()).collect();
        for (head, part) in [(false, Part::MatrixMultiply), (true, Part::Head)] {
            let start = seconds(clock);
            kept::add_products(&kept, layout, head, &mut gradients, added);
            self.profile.add(part, seconds(clock) - start);
        }
        let start = seconds(clock);
        let targets: Vec<_> = kept.iter().zip(rows).map(|(kept, row)| (&kept.normed[..], &row[1..])).collect();
        kept::add_rows(&targets, layout.width, &mut gradients[layout.head.clone()]);
        let ids: Vec<_> = kept.iter().zip(rows).map(|(kept, row)| (&kept.stream[..], &row[..row.len() - 1])).collect();
        kept::add_rows(&ids, layout.width, &mut gradients[layout.wte.clone()]);
        self.profile.add(Part::Elementwise, seconds(clock) - start);
        self.lanes[0].gradients = gradients;
    }

    /// Shares out the time in which all lanes worked.
    fn share_out(&mut self, seconds: f64) {
        self.profile.share_out(seconds, self.lanes.iter_mut().map(|lane| &mut lane.laps));
    }

    /// Adds these parts of the gradients of all lanes to those of the first, in the order of the lanes.
    fn add_lanes(&mut self, parts: &[Range<usize>]) {
        const CHUNK: usize = 1 << 12;
        let start = seconds(self.clock);
        let (first, others) = self.lanes.split_at_mut(1);
        for part in parts {
            // Chunk by chunk, so that a sum stays in the cache until the last lane is added.
            first[0].gradients[part.clone()].par_chunks_mut(CHUNK).enumerate().for_each(|(at, sum)| {
                for lane in &*others {
                    let part = &lane.gradients[part.start + at * CHUNK..];
                    sum.iter_mut().zip(part).for_each(|(sum, &value)| *sum += value);
                }
            });
        }
        self.profile.add(Part::Optimizer, seconds(self.clock) - start);
    }
}

impl Lane {
    /// Begins a step with these parts of the gradients at 0.
    fn begin(&mut self, clock: Option<Clock>, parts: &[Range<usize>]) {
        self.laps.begin(clock);
        parts.iter().for_each(|part| self.gradients[part.clone()].fill(0.0));
        self.laps.end(Part::Optimizer);
    }

    /// The summed loss of a row of T + 1 ids, each of which but the first is predicted.
    fn backward(&mut self, gpt: &Gpt, row: &[TokenId], weight: f32, spare: &Spare, clock: Option<Clock>) -> f64 {
        let lent = || spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || Pass::new(gpt.config()).by(Precision::Bf16);
        let mut pass = self.pass.take().or_else(lent).unwrap_or_else(new);
        (pass.kept, pass.laps) = (self.kept.take(), std::mem::take(&mut self.laps));
        pass.laps.begin(clock);
        let loss = gpt.backward(&row[..row.len() - 1], &row[1..], weight, &mut pass, &mut self.gradients);
        (self.kept, self.laps) = (pass.kept.take(), std::mem::take(&mut pass.laps));
        if self.kept.is_some() {
            spare.lock().unwrap_or_else(PoisonError::into_inner).push(pass);
        } else {
            self.pass = Some(pass);
        }
        loss
    }
}

/// What the clock shows, if there is one.
fn seconds(clock: Option<Clock>) -> f64 {
    clock.map_or(0.0, |clock| clock())
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::gpt::tests::FORMS;
    use super::*;

    const SMALL: GptConfig =
        GptConfig { vocab_size: 12, context: 8, layers: 2, heads: 2, width: 16, form: GptForm::GPT2 };

    /// A text that can be learned: each id is followed by one of its own.
    fn batch_of(step: u64) -> Vec<TokenId> {
        (0..4).flat_map(|row| (0..9).map(move |at| ((step * 5 + row * 3 + at * 7) % 12) as TokenId)).collect()
    }

    fn train(steps: u64, threads: usize, optimizer: Optimizer) -> (Vec<StepReport>, Gpt) {
        train_by(Precision::F32, steps, threads, optimizer)
    }

    fn train_by(precision: Precision, steps: u64, threads: usize, optimizer: Optimizer) -> (Vec<StepReport>, Gpt) {
        let config = TrainConfig { steps, batch: 4, optimizer, precision, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Gpt::new(SMALL, 5).unwrap(), config).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let reports = pool.install(|| (0..steps).map(|step| trainer.step(&batch_of(step)).unwrap()).collect());
        (reports, trainer.into_gpt())
    }

    #[test]
    fn learns_what_can_be_learned() {
        for optimizer in [Optimizer::AdamW, Optimizer::Muon] {
            let (reports, _) = train(300, 2, optimizer);
            assert!(reports[0].loss > 12f64.ln(), "{:?}", reports[0]);
            assert!(reports[299].loss < 0.1, "{optimizer:?}: {:?}", reports[299]);
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        for optimizer in [Optimizer::AdamW, Optimizer::Muon] {
            for precision in [Precision::F32, Precision::Bf16] {
                let (one, gpt1) = train_by(precision, 12, 1, optimizer);
                for threads in [2, 3, 8] {
                    let (many, gpt) = train_by(precision, 12, threads, optimizer);
                    assert_eq!(one, many);
                    assert_eq!(gpt1.parameters, gpt.parameters);
                }
            }
        }
    }

    /// The loss of two hundred steps in bf16 goes as that in f32 does.
    #[test]
    fn bf16_learns_as_f32_does() {
        for optimizer in [Optimizer::AdamW, Optimizer::Muon] {
            let [half, single] =
                [Precision::Bf16, Precision::F32].map(|precision| train_by(precision, 200, 2, optimizer).0);
            for (half, single) in half.iter().zip(&single) {
                let within = 0.02 + 0.02 * single.loss;
                assert!((half.loss - single.loss).abs() < within, "{optimizer:?}: {half:?} {single:?}");
            }
        }
    }

    /// What windows keep or leave for later gives the gradients that a window after the other adds up, for batches of less than
    /// a group of windows and more.
    #[test]
    fn gradients_are_those_added_up_at_once() {
        for (form, precision) in FORMS.into_iter().flat_map(|form| [(form, Precision::F32), (form, Precision::Bf16)]) {
            let size = GptConfig { vocab_size: 70, context: 40, layers: 2, heads: 4, width: 48, form };
            for windows in [3, 19] {
                let config = TrainConfig { batch: windows, precision, ..TrainConfig::default() };
                let rows: Vec<TokenId> = (0..windows as u32 * 41).map(|at| at * at % 67).collect();
                let rows: Vec<&[TokenId]> = rows.chunks_exact(41).collect();
                let mut trainer = Trainer::new(Gpt::new(size, 5).unwrap(), config).unwrap();
                trainer.gpt.pack(precision);
                // What a step before has left counts for nothing.
                trainer.lanes.iter_mut().for_each(|lane| lane.gradients.fill(3.0));
                let loss = trainer.backward(&rows, 0.01);
                let (mut pass, mut all) = (Pass::new(&size).by(precision), vec![0.0; trainer.gpt.layout.len]);
                let mut at_once =
                    |row: &&[TokenId]| trainer.gpt.backward(&row[..40], &row[1..], 0.01, &mut pass, &mut all);
                let expected: f64 = rows.iter().map(&mut at_once).sum();
                for tensor in &trainer.gpt.layout.tensors {
                    let [got, expected] = [&trainer.lanes[0].gradients, &all].map(|all| &all[tensor.range.clone()]);
                    let highest = expected.iter().fold(0.0f32, |highest, value| highest.max(value.abs()));
                    let differ = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(differ <= 1e-5 * highest, "{}: {differ} of {highest}, {form:?} {precision:?}", tensor.name);
                }
                assert!((loss - expected).abs() < 1e-9 * expected);
            }
        }
    }

    /// A lane in bf16 holds what was foretold, and passes are as few as the threads that work at the same time.
    #[test]
    fn bf16_keeps_what_was_foretold() {
        if !Precision::Bf16.is_native() {
            return;
        }
        for form in FORMS {
            let size = GptConfig { vocab_size: 96, context: 128, layers: 3, heads: 4, width: 96, form };
            let config = TrainConfig { batch: 5, precision: Precision::Bf16, ..TrainConfig::default() };
            let mut trainer = Trainer::new(Gpt::new(size, 5).unwrap(), config).unwrap();
            let batch: Vec<TokenId> = (0..5 * 129).map(|at| at * at % 67).collect();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            pool.install(|| (0..3).for_each(|_| assert!(trainer.step(&batch).unwrap().loss.is_finite())));
            let foretold = 4 * 128 * super::super::memory::kept(&size) as usize;
            for lane in &trainer.lanes {
                let held = lane.kept.as_ref().unwrap().bytes();
                assert!((held..held + held / 8).contains(&foretold), "{foretold} is not {held}, {form:?}");
                assert!(lane.pass.is_none());
            }
            let passes = trainer.spare.lock().unwrap().len();
            assert!((1..=2).contains(&passes), "{passes} for two threads");
        }
    }

    /// Four batches of two windows are a batch of eight.
    #[test]
    fn gradients_accumulate() {
        let step = |batch, accumulate| {
            let config = TrainConfig { batch, accumulate, ..TrainConfig::default() };
            let mut trainer = Trainer::new(Gpt::new(SMALL, 5).unwrap(), config).unwrap();
            let report = trainer.step(&[batch_of(0), batch_of(1)].concat()).unwrap();
            (report, trainer.into_gpt().parameters)
        };
        let (report, parameters) = step(8, 1);
        assert_eq!((report, parameters.clone()), step(2, 4));
        // And in one lane, where sums come in another order, they are nearly so.
        let config = TrainConfig { batch: 1, ..TrainConfig::default() };
        let mut trainer = Trainer::new(Gpt::new(SMALL, 5).unwrap(), config).unwrap();
        let alone = trainer.step(&[batch_of(0), batch_of(1)].concat()).unwrap();
        assert!((alone.loss - report.loss).abs() < 1e-6 && (alone.gradient_norm - report.gradient_norm).abs() < 1e-4);
    }

    /// Gradients of a small norm and of a large one move the parameters alike once they are clipped to the smaller.
    #[test]
    fn large_gradients_are_clipped() {
        let first = |clip| {
            let config = TrainConfig { clip, batch: 4, optimizer: Optimizer::AdamW, ..TrainConfig::default() };
            let mut trainer = Trainer::new(Gpt::new(SMALL, 5).unwrap(), config).unwrap();
            let report = trainer.step(&batch_of(0)).unwrap();
            assert!(report.gradient_norm > 0.1, "{report:?}");
            norm(trainer.moments()[0])
        };
        // After one step the mean is a tenth of the gradient.
        assert!((first(1e-3) - 1e-4).abs() < 1e-8 && (first(2e-3) - 2e-4).abs() < 1e-8);
    }

    #[test]
    fn divergence_is_an_error() {
        let mut gpt = Gpt::new(SMALL, 5).unwrap();
        gpt.parameters[0] = f32::NAN;
        let mut trainer = Trainer::new(gpt, TrainConfig { batch: 4, ..TrainConfig::default() }).unwrap();
        assert!(matches!(trainer.step(&batch_of(0)), Err(Error::Diverged { step: 1, .. })));
    }

    #[test]
    fn settings_outside_their_range() {
        for config in [
            TrainConfig { batch: 0, ..TrainConfig::default() },
            TrainConfig { accumulate: 0, ..TrainConfig::default() },
            TrainConfig { learning_rate: f64::NAN, ..TrainConfig::default() },
            TrainConfig { warmup: 1.5, ..TrainConfig::default() },
            TrainConfig { weight_decay: f64::INFINITY, ..TrainConfig::default() },
            TrainConfig { clip: 0.0, ..TrainConfig::default() },
        ] {
            assert!(matches!(Trainer::new(Gpt::new(SMALL, 5).unwrap(), config), Err(Error::Setting { .. })));
        }
    }
}
