//! The stage that trains a model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, CHECKPOINT_FILE, METRICS_FILE, Metrics, Notes};
use super::evaluating::open_if_there;
use super::free_memory::check_memory;
use super::progress::{Progress, Unit};
use super::settings::settings_of;
use super::verify::verify_corpus;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::evaluate::evaluate;
use crate::model::{Gpt, GptConfig, GptForm, Precision, Profile, StepReport, TrainConfig, Trainer};
use crate::shard::{Batches, Corpus, ShardInfo, Split};
use crate::vocab::{Fingerprint, TokenId};

/// Size and training of a model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ModelSettings {
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width.
    pub width: usize,
    /// Tokens of a window.
    pub context: usize,
    /// What the parts of the model are; GPT-2's where a file does not say.
    #[serde(default)]
    pub form: GptForm,
    /// The start of all random numbers: weights and batches.
    pub seed: u64,
    /// The training.
    #[serde(flatten)]
    pub training: TrainConfig,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            layers: 2,
            heads: 4,
            width: 96,
            context: 128,
            form: GptForm::GPT2,
            seed: 1,
            training: TrainConfig::default(),
        }
    }
}

impl ModelSettings {
    /// The size of the model for a vocabulary.
    #[must_use]
    pub fn gpt(&self, vocab_size: u32) -> GptConfig {
        let Self { layers, heads, width, context, form, .. } = *self;
        GptConfig { vocab_size: vocab_size as usize, context, layers, heads, width, form }
    }
}

/// A model, and how it came to be.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub gpt: Gpt,
    /// The end-of-text token of the shards.
    pub end_of_text: Option<TokenId>,
    /// The tokenizer of the shards.
    pub tokenizer: Fingerprint,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// Step and held-out bits per byte of each evaluation on the way.
    pub evaluations: Vec<(u64, f64)>,
    /// Seconds it took, without those before it was resumed.
    pub seconds: f64,
    /// The same by part, if it was asked for.
    pub profile: Option<TrainProfile>,
}

/// Seconds of a training by part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TrainProfile {
    /// What the model took.
    #[serde(flatten)]
    pub model: Profile,
    /// Reading batches.
    pub data: f64,
    /// What is left: evaluations, checkpoints, metrics.
    pub other: f64,
}

impl TrainProfile {
    /// The parts with their names.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, f64)> {
        self.model.parts().into_iter().chain([("data", self.data), ("other", self.other)]).collect()
    }
}

/// Seconds since it was first asked.
fn clock() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs_f64()
}

/// What a training leaves on the way, beside the model at its end.
#[derive(Clone, Copy, Default)]
pub struct TrainRun<'r> {
    /// Where checkpoint and metrics go; nothing is written without it.
    pub output: Option<&'r Path>,
    /// Steps between checkpoints; 0 for none but when it is interrupted.
    pub checkpoint_every: u64,
    /// Whether to go on from the checkpoint in the output folder.
    pub resume: bool,
    /// The tokenizer, to evaluate on the way.
    pub tokenizer: Option<&'r Tokenizer>,
    /// Steps between evaluations on the held-out shards; 0 for none.
    pub eval_every: u64,
    /// So many evaluations in a row without a better one end the training; 0 for never.
    pub patience: u64,
    /// Whether to measure the time of each part.
    pub profile: bool,
}

/// Trains a model on the shards in `folder`. They are verified first.
///
/// # Errors
///
/// [`Error::TooShort`] without shards or with less than one window in them, those of damaged shards, of settings outside
/// their range, of divergence, and of interruption; [`Error::NoMemory`] for a model that is too large for this machine.
pub fn train(folder: &Path, settings: &ModelSettings, progress: &Progress<'_>) -> Result<Trained> {
    train_run(folder, settings, &TrainRun::default(), progress)
}

/// The same, with checkpoints, metrics and evaluations on the way. A training that was stopped and resumed gives the
/// same losses and the same model, bit for bit.
///
/// # Errors
///
/// Those of [`train`]; [`Error::Missing`] without the checkpoint or the held-out shards that are asked for,
/// [`Error::Checkpoint`] for a damaged one, [`Error::OtherSettings`] for one of another training or other shards.
pub fn train_run(
    folder: &Path,
    settings: &ModelSettings,
    run: &TrainRun<'_>,
    progress: &Progress<'_>,
) -> Result<Trained> {
    let needed = settings.context as u64 + 1;
    let corpus = open_if_there(folder, Split::Train)?.ok_or(Error::TooShort { tokens: 0, needed })?;
    let info = corpus.info();
    let size = settings.gpt(info.vocab_size);
    size.check()?;
    settings.training.check()?;
    check_memory("training", settings.training.memory(&size), progress)?;
    let batches = Batches::new(&corpus, settings.context, settings.training.windows(), settings.seed)?;
    let held_out = match (run.eval_every, run.tokenizer) {
        (1.., Some(tokenizer)) => Some((Corpus::open(folder, Split::Val)?, tokenizer)),
        _ => None,
    };
    verify_corpus(&corpus, progress)?;
    held_out.iter().try_for_each(|(corpus, _)| verify_corpus(corpus, progress))?;
    let mut training = Training::begin(size, settings, run, &info)?;
    note_imitation(settings.training.precision, progress);
    progress.stage("training", settings.training.steps, Unit::Steps);
    if run.profile {
        training.trainer.measure(clock);
    }
    if training.checkpoint.is_some() {
        progress.keeps();
    }
    let (start, first, mut data) = (Instant::now(), training.steps.len() as u64, 0.0);
    for step in first..settings.training.steps {
        let before = Instant::now();
        let batch = batches.batch(step)?;
        data += before.elapsed().as_secs_f64();
        let report = training.step(&batch)?;
        let tokens = (step + 1 - first) as f64 * (settings.training.windows() * settings.context) as f64;
        progress.figure(format!("loss {:.3}, {:.0} tokens/s", report.loss, tokens / start.elapsed().as_secs_f64()));
        progress.done(step + 1);
        if let Some((corpus, tokenizer)) = held_out.as_ref().filter(|_| (step + 1).is_multiple_of(run.eval_every)) {
            training.evaluate(corpus, tokenizer, progress)?;
        }
        if run.checkpoint_every > 0 && (step + 1).is_multiple_of(run.checkpoint_every) {
            training.checkpoint()?;
        }
        if let Err(interrupted) = progress.check("training") {
            training.checkpoint()?;
            return Err(interrupted);
        }
        if run.patience > 0 && training.stale() >= run.patience {
            progress.note(format!("step {}: no better for {} evaluations, training ends", step + 1, run.patience));
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let profile = run.profile.then(|| {
        let model = training.trainer.profile();
        let known = data + model.parts().iter().map(|(_, seconds)| seconds).sum::<f64>();
        TrainProfile { model, data, other: (seconds - known).max(0.0) }
    });
    Ok(Trained { profile, ..training.end(info.end_of_text, info.fingerprint, seconds) })
}

/// A training with what it leaves on the way.
struct Training {
    trainer: Trainer,
    steps: Vec<StepReport>,
    notes: Notes,
    checkpoint: Option<PathBuf>,
    metrics: Option<Metrics>,
}

impl Training {
    fn begin(size: GptConfig, settings: &ModelSettings, run: &TrainRun<'_>, info: &ShardInfo) -> Result<Self> {
        let mut own = settings_of(settings);
        own.insert("tokenizer".to_owned(), info.fingerprint.to_string().into());
        own.insert("tokens".to_owned(), info.tokens.into());
        own.insert("documents".to_owned(), info.documents.into());
        own.insert("eval-every".to_owned(), run.eval_every.into());
        let checkpoint = run.output.map(|output| output.join(CHECKPOINT_FILE));
        let (trainer, steps, notes) = match &checkpoint {
            Some(path) if run.resume => {
                let (resumed, notes) = checkpoint::load(path, &own, size, settings.training)?;
                (resumed.trainer, resumed.steps, notes)
            }
            _ => {
                let trainer = Trainer::new(Gpt::new(size, settings.seed)?, settings.training)?;
                (trainer, Vec::new(), Notes { settings: own, evaluations: Vec::new() })
            }
        };
        let metrics = run.output.map(|output| Metrics::behind(output.join(METRICS_FILE), steps.len() as u64));
        Ok(Self { trainer, steps, notes, checkpoint, metrics: metrics.transpose()? })
    }

    fn step(&mut self, batch: &[TokenId]) -> Result<StepReport> {
        let report = self.trainer.step(batch)?;
        self.steps.push(report);
        self.metrics.iter_mut().try_for_each(|metrics| metrics.add(&report))?;
        Ok(report)
    }

    fn evaluate(&mut self, corpus: &Corpus, tokenizer: &Tokenizer, progress: &Progress<'_>) -> Result<()> {
        let held_out = evaluate(self.trainer.gpt(), tokenizer, corpus, &mut |_| progress.flow())?;
        let step = self.steps.len() as u64;
        let line = Evaluation {
            step,
            bits_per_byte: held_out.all.bits_per_byte,
            languages: held_out.languages.iter().map(|row| (row.language.clone(), row.bits_per_byte)).collect(),
        };
        self.notes.evaluations.push((step, line.bits_per_byte.to_bits()));
        self.metrics.iter_mut().try_for_each(|metrics| metrics.add(&line))
    }

    fn checkpoint(&self) -> Result<()> {
        let mut path = self.checkpoint.iter();
        path.try_for_each(|path| checkpoint::save(path, &self.trainer, &self.steps, &self.notes))
    }

    /// Evaluations since the best.
    fn stale(&self) -> u64 {
        let values = self.notes.evaluations.iter().map(|&(_, bits)| f64::from_bits(bits)).enumerate();
        let best = values.min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        best.map_or(0, |(at, _)| (self.notes.evaluations.len() - 1 - at) as u64)
    }

    fn end(self, end_of_text: Option<TokenId>, tokenizer: Fingerprint, seconds: f64) -> Trained {
        let own = self.notes.evaluations.iter();
        let evaluations = own.map(|&(step, bits)| (step, f64::from_bits(bits))).collect();
        let (gpt, steps) = (self.trainer.into_gpt(), self.steps);
        Trained { gpt, end_of_text, tokenizer, steps, evaluations, seconds, profile: None }
    }
}

/// A line of the metrics.
#[derive(Serialize)]
struct Evaluation {
    step: u64,
    bits_per_byte: f64,
    languages: BTreeMap<String, f64>,
}
/// Says so where products in a precision are imitated.
pub(super) fn note_imitation(precision: Precision, progress: &Progress<'_>) {
    if !precision.is_native() {
        let note = "this processor has no products in bf16: they are imitated, and slower than --precision f32";
        progress.note(note.to_owned());
    }
}
