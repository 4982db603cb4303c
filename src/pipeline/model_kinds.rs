//! The models by kind: trained on the same shards, saved, read and measured alike.

use std::path::Path;
use std::time::Instant;

use super::evaluating::open_if_there;
use super::files::{CONFIG_FILE, WEIGHTS_FILE, load_model, model_place, save_model};
use super::progress::{Progress, Unit};
use super::training::{ModelSettings, train};
use super::verify::verify_corpus;
use crate::error::{CheckpointFault, Error, Result};
use crate::model::{
    Cell, Gpt, LanguageModel, NGram, NGramCounts, Recurrent, RecurrentConfig, RecurrentFile, RecurrentTrainer,
    StepReport, Unigram,
};
use crate::shard::{Corpus, MANIFEST_FILE, Split, Streams, write_atomic};
use crate::vocab::{Fingerprint, TokenId};

/// The kinds, in the order in which the field came through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// The bag of words.
    Unigram,
    /// N-grams, with Kneser-Ney smoothing.
    NGram,
    /// Elman's recurrent network.
    Rnn,
    /// Long short-term memory.
    Lstm,
    /// The Transformer.
    Gpt,
}

impl ModelKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Unigram, Self::NGram, Self::Rnn, Self::Lstm, Self::Gpt];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unigram => "unigram",
            Self::NGram => "ngram",
            Self::Rnn => "rnn",
            Self::Lstm => "lstm",
            Self::Gpt => "gpt",
        }
    }
}

/// A model of any kind.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum AnyModel {
    Unigram(Unigram),
    NGram(NGram),
    Recurrent(Recurrent),
    Gpt(Gpt),
}

/// A model, and how it came to be.
#[derive(Debug, Clone)]
pub struct TrainedKind {
    /// The model.
    pub model: AnyModel,
    /// The end-of-text token of the shards.
    pub end_of_text: Option<TokenId>,
    /// The tokenizer of the shards.
    pub tokenizer: Fingerprint,
    /// What each step did; none of a model that counts.
    pub steps: Vec<StepReport>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Trains a model of a kind on the shards in `folder`, which are verified first. `order` is that of the n-grams.
///
/// # Errors
///
/// Those of [`train`], and [`Error::Setting`] for an order out of its range.
pub fn train_kind(
    folder: &Path,
    kind: ModelKind,
    settings: &ModelSettings,
    order: usize,
    progress: &Progress<'_>,
) -> Result<TrainedKind> {
    if kind == ModelKind::Gpt {
        let trained = train(folder, settings, progress)?;
        let (end_of_text, tokenizer) = (trained.end_of_text, trained.tokenizer);
        let model = AnyModel::Gpt(trained.gpt);
        return Ok(TrainedKind { model, end_of_text, tokenizer, steps: trained.steps, seconds: trained.seconds });
    }
    let needed = settings.context as u64 + 1;
    let corpus = open_if_there(folder, Split::Train)?.ok_or(Error::TooShort { tokens: 0, needed })?;
    verify_corpus(&corpus, progress)?;
    let info = corpus.info();
    let start = Instant::now();
    let (model, steps) = match kind {
        ModelKind::Unigram => {
            let mut model = Unigram::new(info.vocab_size);
            count(&corpus, progress, |ids| model.add(&ids[usize::from(info.end_of_text.is_some())..]))?;
            (AnyModel::Unigram(model), Vec::new())
        }
        ModelKind::NGram => {
            let mut counts = NGramCounts::new(order, info.vocab_size)?;
            count(&corpus, progress, |ids| counts.add(ids))?;
            (AnyModel::NGram(counts.finish()), Vec::new())
        }
        ModelKind::Rnn => recurrent(&corpus, Cell::Elman, settings, progress)?,
        ModelKind::Lstm | ModelKind::Gpt => recurrent(&corpus, Cell::Lstm, settings, progress)?,
    };
    let seconds = start.elapsed().as_secs_f64();
    Ok(TrainedKind { model, end_of_text: info.end_of_text, tokenizer: info.fingerprint, steps, seconds })
}

/// Has each document counted, with the end-of-text token before and behind it, as it is scored.
fn count(corpus: &Corpus, progress: &Progress<'_>, mut add: impl FnMut(&[TokenId]) -> Result<()>) -> Result<()> {
    let info = corpus.info();
    progress.stage("counting", info.documents, Unit::Documents);
    let mut sequence = Vec::new();
    for (done, ids) in corpus.documents().enumerate() {
        sequence.clear();
        sequence.extend(info.end_of_text.into_iter().chain(ids?).chain(info.end_of_text));
        add(&sequence)?;
        progress.done(done as u64 + 1);
        progress.check("counting")?;
    }
    Ok(())
}

fn recurrent(
    corpus: &Corpus,
    cell: Cell,
    settings: &ModelSettings,
    progress: &Progress<'_>,
) -> Result<(AnyModel, Vec<StepReport>)> {
    let ModelSettings { width, context, seed, training, .. } = *settings;
    let size = RecurrentConfig { cell, vocab_size: corpus.info().vocab_size as usize, width };
    let mut trainer = RecurrentTrainer::new(Recurrent::new(size, seed)?, context, training)?;
    let streams = Streams::new(corpus, context, training.batch)?;
    progress.stage("training", training.steps, Unit::Steps);
    let mut steps = Vec::new();
    for step in 0..training.steps {
        let report = trainer.step(&streams.batch(step)?)?;
        progress.figure(format!("loss {:.3}", report.loss));
        progress.done(step + 1);
        progress.check("training")?;
        steps.push(report);
    }
    Ok((AnyModel::Recurrent(trainer.into_model()), steps))
}

impl AnyModel {
    /// The model as that which can be measured.
    #[must_use]
    pub fn language_model(&self) -> &dyn LanguageModel {
        match self {
            Self::Unigram(model) => model,
            Self::NGram(model) => model,
            Self::Recurrent(model) => model,
            Self::Gpt(model) => model,
        }
    }

    /// Writes the model into a folder as [`save_model`] does, and says whether it did: models that count are not saved,
    /// since counting again takes no longer than reading them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be written.
    pub fn save(&self, end_of_text: Option<TokenId>, tokenizer: Fingerprint, folder: &Path) -> Result<bool> {
        match self {
            Self::Unigram(_) | Self::NGram(_) => return Ok(false),
            Self::Gpt(gpt) => save_model(gpt, end_of_text, tokenizer, folder)?,
            Self::Recurrent(model) => {
                std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
                let weights = model.to_safetensors();
                let config = RecurrentFile::new(model, end_of_text, tokenizer, &weights);
                write_atomic(&folder.join(WEIGHTS_FILE), &weights)?;
                let mut json = serde_json::to_string_pretty(&config).expect("numbers and strings always serialize");
                json.push('\n');
                write_atomic(&folder.join(CONFIG_FILE), json.as_bytes())?;
            }
        }
        Ok(true)
    }

    /// Whether a folder is that of a model, or of a run that holds one in `model/`.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        model_place(folder).is_ok_and(|place| place.join(WEIGHTS_FILE).is_file())
    }

    /// Whether a folder holds a model as [`AnyModel::is_in`] says it, and no shards beside it, as `train` leaves it.
    #[must_use]
    pub fn is_alone_in(folder: &Path) -> bool {
        let mut of_shards = Split::ALL.into_iter().map(Split::folder).chain([MANIFEST_FILE]);
        Self::is_in(folder) && !of_shards.any(|name| folder.join(name).exists())
    }

    /// Reads a model of a kind that is saved from its folder, or from the folder of a run that holds it in `model/`; and
    /// the tokenizer that it was trained with.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`], [`Error::Missing`], [`Error::Io`], [`Error::Checkpoint`].
    pub fn load(folder: &Path) -> Result<(Self, Fingerprint)> {
        let place = model_place(folder)?;
        let read = |path: &Path| std::fs::read(path).map_err(|error| Error::io("read", path, error));
        let path = place.join(CONFIG_FILE);
        let json = read(&path)?;
        if !RecurrentFile::is_one(&json) {
            let (gpt, config) = load_model(folder)?;
            return Ok((Self::Gpt(gpt), config.tokenizer));
        }
        let config: RecurrentFile = serde_json::from_slice(&json).map_err(|error| {
            let fault = CheckpointFault::Config { reason: error.to_string() };
            Error::Checkpoint { path, fault }
        })?;
        let path = place.join(WEIGHTS_FILE);
        let model = config.load(&read(&path)?).map_err(|fault| Error::Checkpoint { path, fault })?;
        Ok((Self::Recurrent(model), config.tokenizer))
    }
}
