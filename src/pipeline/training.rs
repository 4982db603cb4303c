//! The stage that trains a model.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::evaluating::open_if_there;
use super::progress::{Progress, Unit};
use crate::error::{Error, Result};
use crate::model::{Gpt, GptConfig, GptForm, StepReport, TrainConfig, Trainer};
use crate::shard::{Batches, Split};
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
    /// Seconds it took.
    pub seconds: f64,
}

/// Trains a model on the shards in `folder`. They are verified first.
///
/// # Errors
///
/// [`Error::TooShort`] without shards or with less than one window in them, those of damaged shards, of settings outside
/// their range, of divergence, and of interruption.
pub fn train(folder: &Path, settings: &ModelSettings, progress: &Progress<'_>) -> Result<Trained> {
    let needed = settings.context as u64 + 1;
    let corpus = open_if_there(folder, Split::Train)?.ok_or(Error::TooShort { tokens: 0, needed })?;
    let info = corpus.info();
    let size = settings.gpt(info.vocab_size);
    size.check()?;
    let batches = Batches::new(&corpus, settings.context, settings.training.windows(), settings.seed)?;
    let mut trainer = Trainer::new(Gpt::new(size, settings.seed)?, settings.training)?;
    corpus.verify()?;
    progress.stage("training", settings.training.steps, Unit::Steps);
    let start = Instant::now();
    let mut steps = Vec::new();
    for step in 0..settings.training.steps {
        let report = trainer.step(&batches.batch(step)?)?;
        let rate =
            (step + 1) as f64 * (settings.training.windows() * settings.context) as f64 / start.elapsed().as_secs_f64();
        progress.figure(format!("loss {:.3}, {rate:.0} tokens/s", report.loss));
        progress.done(step + 1);
        progress.check("training")?;
        steps.push(report);
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Trained { gpt: trainer.into_gpt(), end_of_text: info.end_of_text, tokenizer: info.fingerprint, steps, seconds })
}
