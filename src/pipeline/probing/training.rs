//! One training of a probe, and its record on disk: a probe that was stopped goes on behind the last training that it
//! finished.
//!
//! # Equal computing
//!
//! Tokenizers that make more tokens of a text cost more for the same bytes. So each training has two ends: one after all
//! steps, and one after as many as cost what the cheapest arm costs for all of its own. Both share the steps of the high
//! learning rate; where the shorter one begins to lower it, it goes on by itself (Hägele et al. 2024, "Scaling Laws and
//! Compute-Optimal Training Beyond Fixed Training Durations"). It differs from a training of that length in the length of
//! its warm-up alone.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::super::progress::Progress;
use super::arm::Arm;
use super::assess::{Assessment, assess};
use super::corpus::Texts;
use super::settings::ProbeSettings;
use crate::error::{Error, Result};
use crate::model::{Gpt, Optimizer, Schedule, TrainConfig, Trainer, decay_begins};
use crate::shard::write_atomic;

/// Points of a curve of losses.
const POINTS: u64 = 100;

/// A training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Run {
    /// The arm, by its place.
    pub(super) arm: usize,
    pub(super) seed: u64,
    pub(super) learning_rate: f64,
    pub(super) steps: u64,
    /// Steps of the end at equal computing, where it is another one.
    pub(super) short: Option<u64>,
    /// Whether held-out text is cut to see what a cut costs.
    pub(super) with_cuts: bool,
}

/// What a training came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// Steps, and bits for each byte of the texts they saw, in the mean since the point before.
    pub(super) curve: Vec<(u64, f64)>,
    pub(super) full: Assessment,
    pub(super) short: Option<Assessment>,
    /// Seconds of it all.
    pub(super) seconds: f64,
}

impl Run {
    /// The settings of training. Muon for the body, because AdamW at these sizes stays for long at the frequencies of single
    /// tokens, and for another time with each seed.
    pub(super) fn config(&self, settings: &ProbeSettings) -> TrainConfig {
        TrainConfig {
            steps: self.steps,
            batch: settings.batch,
            learning_rate: self.learning_rate,
            optimizer: Optimizer::Muon,
            schedule: Schedule::Wsd,
            precision: settings.precision,
            ..TrainConfig::default()
        }
    }

    /// A trainer that has done nothing yet.
    pub(super) fn trainer(&self, arm: &Arm, settings: &ProbeSettings) -> Result<Trainer> {
        Trainer::new(paired_model(arm, self.seed)?, self.config(settings))
    }

    /// The file that keeps it: named by a hash of all that decides it.
    pub(super) fn file(&self, arm: &Arm, texts: &Texts, settings: &ProbeSettings) -> PathBuf {
        let decided = (
            (env!("CARGO_PKG_VERSION"), arm.tokenizer.fingerprint().to_string(), texts.hash),
            (self.seed, self.learning_rate.to_bits(), self.steps, self.short, self.with_cuts),
            (arm.model, settings.batch, settings.cuts),
        );
        let mut decided = format!("{decided:?}");
        if !settings.precision.is_f32() {
            // The second way of training in it: scored in it too, Muon's products and the head's powers rounded.
            decided += &format!("{:?} 2", settings.precision);
        }
        let hash = xxh3_128(decided.as_bytes());
        PathBuf::from(format!("{hash:032x}.json"))
    }

    /// The record in `folder`, or else that of the training done now, which is then kept there.
    pub(super) fn record(
        &self,
        arm: &Arm,
        texts: &Texts,
        settings: &ProbeSettings,
        folder: &Path,
        progress: &Progress<'_>,
    ) -> Result<RunRecord> {
        let path = folder.join(self.file(arm, texts, settings));
        match std::fs::read(&path) {
            // What cannot be read is trained again: it is our own file, and its place is known.
            Ok(bytes) => {
                if let Ok(record) = serde_json::from_slice(&bytes) {
                    return Ok(record);
                }
                progress.note(format!("{}: damaged; the training is done again", path.display()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", &path, error)),
        }
        let record = self.train(arm, texts, settings, progress)?;
        let bytes = serde_json::to_vec(&record).map_err(|error| Error::io("write", &path, error.into()))?;
        write_atomic(&path, &bytes)?;
        // As it will be read when the probe goes on: numbers may come out of text with another last bit.
        serde_json::from_slice(&bytes).map_err(|error| Error::io("read", &path, error.into()))
    }

    fn train(&self, arm: &Arm, texts: &Texts, settings: &ProbeSettings, progress: &Progress<'_>) -> Result<RunRecord> {
        let start = Instant::now();
        let stream = arm.stream(texts, self.seed);
        let mut trainer = self.trainer(arm, settings)?;
        let to_bits = 1.0 / (std::f64::consts::LN_2 * arm.bytes_per_token);
        let every = self.steps.div_ceil(POINTS).max(1);
        let (mut curve, mut sum, mut steps_in_sum) = (Vec::new(), 0.0, 0);
        let mut short = None;
        let cuts = if self.with_cuts { settings.cuts } else { 0 };
        for step in 0..self.steps {
            if let Some(steps) = self.short.filter(|steps| step == decay_begins(*steps)) {
                short = Some(self.branch(&trainer, steps, &stream, arm, texts, settings, progress)?);
            }
            let report = trainer.step(&arm.batch(&stream, step, settings.batch))?;
            sum += report.loss * to_bits;
            steps_in_sum += 1;
            if (step + 1) % every == 0 || step + 1 == self.steps {
                curve.push((step + 1, sum / f64::from(steps_in_sum)));
                progress.figure(format!(
                    "{}, seed {}: {:.3} bits per byte",
                    arm.name,
                    self.seed,
                    sum / f64::from(steps_in_sum)
                ));
                (sum, steps_in_sum) = (0.0, 0);
            }
            progress.check("probing")?;
        }
        let full = assess(trainer.gpt(), arm, texts, settings.precision, cuts)?;
        Ok(RunRecord { curve, full, short, seconds: start.elapsed().as_secs_f64() })
    }

    /// The end after fewer steps.
    #[allow(clippy::too_many_arguments)]
    fn branch(
        &self,
        trainer: &Trainer,
        steps: u64,
        stream: &[u32],
        arm: &Arm,
        texts: &Texts,
        settings: &ProbeSettings,
        progress: &Progress<'_>,
    ) -> Result<Assessment> {
        let mut trainer = trainer.with_steps(steps);
        while trainer.steps_done() < steps {
            trainer.step(&arm.batch(stream, trainer.steps_done(), settings.batch))?;
            progress.check("probing")?;
        }
        assess(trainer.gpt(), arm, texts, settings.precision, 0)
    }
}

/// A new model whose body has the weights that the seed gives for every tokenizer, and whose embedding of a token has those
/// that seed and bytes of the token give: tokens that two tokenizers share begin as the same vector (Tao et al. 2025,
/// "TokSuite", do it by one vocabulary for all).
fn paired_model(arm: &Arm, seed: u64) -> Result<Gpt> {
    Gpt::paired(arm.model, seed, |id| arm.tokenizer.token_bytes(id))
}
