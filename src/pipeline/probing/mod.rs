//! The probe: which tokenizer is better for a language model, asked of small GPTs.
//!
//! # The protocol
//!
//! - **Texts.** Held-out documents are those of a hash, and documents that share text with them are not trained on
//!   (`corpus.rs`). Tokenizers that are learned here are learned from the texts for training alone.
//! - **Parity** (`arm.rs`). A window spans the same bytes for all, a step takes the same number of windows, and all train for
//!   the same steps: equal bytes. The bodies of the models are of one size, and only embeddings differ. A second end of each
//!   training is at equal computing (`training.rs`).
//! - **Pairs.** A seed decides the weights of the body, the vector of each token by its bytes, and the order of documents:
//!   the same for all tokenizers. Differences are taken seed by seed, with an interval by Student's distribution; another one,
//!   by a bootstrap over documents, says how much the choice of held-out text matters.
//! - **Learning rates** are tried on a shorter training, with a seed of its own; each tokenizer gets its best.
//! - **Noise.** The first tokenizer is trained again with other seeds. Its difference from itself is what nothing looks like.
//! - **Plateau.** A model that is not yet better than pairs of tokens has learned how frequent tokens are and little else; when
//!   it leaves that plateau depends on chance, and an arm that is still on it looks worse by percents. Each arm is compared
//!   with n-grams of its own tokens, and there is no verdict before it is better than those of two.
//! - **Time.** Trainings stand beside each other, one on each thread (`beside.rs`). Those for learning rates come first.
//! - **Measure** (`assess.rs`). Bits of the tokens by bytes of the raw text, every byte of every document once, the end-of-text
//!   token apart. In bf16 held-out text is scored in it too, as it was trained on: the same for all.
//!
//! Here windows advance by half of a window when held-out text is scored, where the protocol of peers asks for a quarter: it
//! costs half, and is the same for all.

mod arm;
mod assess;
mod beside;
mod corpus;
mod judge;
mod settings;
mod training;
mod warnings;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::learning::LearnSettings;
use super::progress::{Progress, Unit};
use super::training::note_imitation;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::evaluate::{OverSeeds, ProbeReport, smallest_visible};
use crate::learn::{Granularity, LearnConfig, VocabSize};
use crate::model::Precision;
use arm::{Arm, Role};
use beside::{beside, workers};
pub use corpus::ProbeCorpus;
use corpus::Texts;
use judge::{Trained, judge};
pub use settings::ProbeSettings;
use training::{Run, RunRecord};

/// Where trainings are kept in a probe's folder.
const RUNS_FOLDER: &str = "runs";
/// The seeds for noise and for learning rates are far from those of the arms.
const OTHER_SEEDS: u64 = 1 << 32;
/// Fewer steps than these are no training.
const LEAST_STEPS: u64 = 20;
/// What scoring a token takes of the time of training on one.
const SCORING: f64 = 0.33;
/// What single differences deviate by before any was seen: a guess for the plan, of trainings of some megabytes.
const GUESSED_SD: f64 = 0.0015;
/// Bytes that n-grams take for each token, about: two new ones of two and three tokens at the most, each with its counts
/// and an edge in a table that is half full.
const N_GRAM_BYTES: u64 = 180;

/// A tokenizer for a probe.
#[derive(Debug, Clone)]
pub enum ProbeArm {
    /// One that there is.
    Given {
        /// Its name.
        name: String,
        /// The tokenizer.
        tokenizer: Box<Tokenizer>,
    },
    /// One to be learned from the texts for training.
    Learned {
        /// Its name.
        name: String,
        /// How.
        settings: Box<LearnSettings>,
    },
}

/// A probe, ready to run.
#[derive(Debug)]
pub struct Probe {
    settings: ProbeSettings,
    texts: Texts,
    arms: Vec<Arm>,
    steps: u64,
    /// By arm, the steps that cost what the cheapest tokenizer costs in all.
    equal_compute: Vec<u64>,
}

/// What a probe will do.
#[derive(Debug, Clone, Serialize)]
pub struct ProbePlan {
    /// The arms.
    pub arms: Vec<PlannedArm>,
    /// What activations and weights are rounded to in training.
    #[serde(skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Steps of each training.
    pub steps: u64,
    /// Trainings in all, the short ones for learning rates among them.
    pub trainings: u64,
    /// Seconds that they may take, by the speed of a few steps here.
    pub seconds: f64,
    /// Bytes of memory, about.
    pub memory: u64,
    /// The smallest relative difference that such a probe sees in half of all cases, if single differences deviate by as much
    /// as they did in the probe that this was written for; `None` for a single seed.
    pub smallest_difference: Option<f64>,
}

/// An arm of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedArm {
    /// Its name.
    pub name: String,
    /// Ids.
    pub vocab_size: u64,
    /// Bytes a token.
    pub bytes_per_token: f64,
    /// Tokens of a window.
    pub context: u64,
    /// Parameters.
    pub parameters: u64,
    /// Steps at equal computing.
    pub equal_compute_steps: u64,
    /// Trainings.
    pub trainings: u64,
}

impl Probe {
    /// Splits the texts, learns the tokenizers that are to be learned, and encodes.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for settings that cannot be, among them fewer than two tokenizers and a vocabulary that is too large
    /// beside the model; [`Error::TooFewDocuments`] for a corpus that cannot be split, [`Error::TooShort`] for less text than
    /// twenty steps take; those of learning and encoding.
    pub fn new(
        arms: Vec<ProbeArm>,
        corpora: Vec<ProbeCorpus>,
        settings: ProbeSettings,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        settings.check()?;
        if arms.len() < 2 {
            let expected = "two or more".to_owned();
            return Err(Error::Setting { name: "tokenizers", value: arms.len().to_string(), expected });
        }
        note_imitation(settings.precision, progress);
        let texts = Texts::new(corpora, settings.val)?;
        let mut ready = Vec::new();
        for arm in arms {
            progress.check("probing")?;
            let (name, tokenizer, learned) = match arm {
                ProbeArm::Given { name, tokenizer } => (name, *tokenizer, false),
                ProbeArm::Learned { name, settings } => (name, learn(&settings, &texts, progress)?, true),
            };
            ready.push(Arm::new(name, Role::Compared, tokenizer, learned, &texts, &settings)?);
        }
        ready.iter().try_for_each(|arm| arm.check_size(settings.force))?;
        if settings.noise {
            let first = &ready[0];
            let (name, tokenizer) = (format!("{} again", first.name), first.tokenizer.clone());
            ready.push(Arm::new(name, Role::Noise, tokenizer, true, &texts, &settings)?);
        }
        if settings.anchors {
            let size = ready.iter().map(|arm| arm.model.vocab_size).min().unwrap_or(0) as u32;
            for (name, granularity) in [("bytes", Granularity::Byte), ("characters", Granularity::Char)] {
                let config = LearnConfig { vocab_size: VocabSize::Tokens(size.max(258)), ..LearnConfig::default() };
                let how = LearnSettings { granularity, config, ..LearnSettings::default() };
                let tokenizer = learn(&how, &texts, progress)?;
                ready.push(Arm::new(name.to_owned(), Role::Anchor, tokenizer, true, &texts, &settings)?);
            }
        }
        Self::of_arms(ready, texts, settings)
    }

    fn of_arms(arms: Vec<Arm>, texts: Texts, settings: ProbeSettings) -> Result<Self> {
        let windows = arms.iter().map(Arm::windows).min().unwrap_or(0);
        let steps = (windows as f64 * settings.epochs / settings.batch as f64) as u64;
        if steps < LEAST_STEPS {
            let needed = LEAST_STEPS * settings.batch as u64 * arms[0].model.context as u64;
            let tokens = arms[0].train.iter().map(|ids| ids.len() as u64).sum();
            return Err(Error::TooShort { tokens, needed });
        }
        let cost = |arm: &Arm| arm.flops_per_token() * arm.model.context as f64;
        let compared = || arms.iter().filter(|arm| arm.role == Role::Compared);
        let least = compared().map(cost).fold(f64::INFINITY, f64::min);
        let equal = |arm: &Arm| match settings.equal_compute && arm.role == Role::Compared {
            true => ((least / cost(arm) * steps as f64) as u64).min(steps),
            false => steps,
        };
        let equal_compute = arms.iter().map(equal).collect();
        Ok(Self { settings, texts, arms, steps, equal_compute })
    }

    /// What [`Probe::run`] will do. A few steps are done to see how long they take.
    ///
    /// # Errors
    ///
    /// Those of training.
    pub fn plan(&self) -> Result<ProbePlan> {
        let seconds_per_flop = self.seconds_per_flop()?;
        let (mut flops, mut trainings, mut arms) = (0.0, 0, Vec::new());
        for (at, arm) in self.arms.iter().enumerate() {
            let seeds = self.seeds_of(arm).len() as u64;
            let swept = if self.sweeps(arm) { self.settings.learning_rates.len() as u64 } else { 0 };
            // Behind the branch the shorter training does two fifths of its steps by itself.
            let (ends, branch) = match self.equal_compute[at] {
                short if short < self.steps => (2, 0.4 * short as f64),
                _ => (1, 0.0),
            };
            let steps = seeds as f64 * (self.steps as f64 + branch) + swept as f64 * self.sweep_steps() as f64;
            let scored = (seeds * ends + swept) as f64 * arm.scored_tokens() as f64;
            flops += steps * self.step_flops(arm) + SCORING * scored * arm.flops_per_token();
            trainings += seeds + swept;
            arms.push(PlannedArm {
                name: arm.name.clone(),
                vocab_size: arm.model.vocab_size as u64,
                bytes_per_token: arm.bytes_per_token,
                context: arm.model.context as u64,
                parameters: arm.model.parameters(),
                equal_compute_steps: self.equal_compute[at],
                trainings: seeds + swept,
            });
        }
        let largest = (0..self.arms.len()).map(|arm| self.training_memory(arm)).max().unwrap_or(0);
        let tokens = |arm: &Arm| arm.train.iter().map(|ids| ids.len() as u64).sum::<u64>();
        // Counted when all are trained; the system does not get back what trainings took, so that they come on top of it.
        let n_grams =
            N_GRAM_BYTES * self.arms.iter().filter(|arm| arm.role != Role::Anchor).map(tokens).max().unwrap_or(0);
        let tokens: u64 = self.arms.iter().map(tokens).sum();
        Ok(ProbePlan {
            arms,
            precision: self.settings.precision,
            steps: self.steps,
            trainings,
            seconds: flops * seconds_per_flop,
            // Of each training that runs at the same time; the texts, and their ids.
            memory: workers(trainings as usize) as u64 * largest + n_grams + tokens * 8 + 2 * self.texts.train_bytes(),
            smallest_difference: (self.settings.seeds > 1)
                .then(|| smallest_visible(self.settings.seeds as u32, GUESSED_SD)),
        })
    }

    /// Bytes that a training takes, and that of a branch, which goes on beside it.
    fn training_memory(&self, arm: usize) -> u64 {
        let run = self.run_of(arm, OTHER_SEEDS, self.settings.learning_rates[0]);
        let one = run.config(&self.settings).memory(&self.arms[arm].model);
        if run.short.is_some() { 2 * one } else { one }
    }

    fn step_flops(&self, arm: &Arm) -> f64 {
        arm.flops_per_token() * (self.settings.batch * arm.model.context) as f64
    }

    /// Seconds of a floating-point operation, by some steps of the first arm in as many trainings beside each other as there
    /// will be.
    fn seconds_per_flop(&self) -> Result<f64> {
        const TIMED: u64 = 3;
        let arm = &self.arms[0];
        let timed = Run { steps: TIMED + 1, ..self.run_of(0, OTHER_SEEDS, self.settings.learning_rates[0]) };
        let stream = arm.stream(&self.texts, self.settings.seed);
        let workers = workers(self.arms.iter().map(|arm| self.seeds_of(arm).len()).sum());
        let seconds = beside(&vec![0.0; workers], &|_| {
            let mut trainer = timed.trainer(arm, &self.settings)?;
            trainer.step(&arm.batch(&stream, 0, self.settings.batch))?;
            let start = Instant::now();
            for step in 1..=TIMED {
                trainer.step(&arm.batch(&stream, step, self.settings.batch))?;
            }
            Ok(start.elapsed().as_secs_f64())
        })?;
        Ok(seconds.iter().sum::<f64>() / (workers as f64).powi(2) / (TIMED as f64 * self.step_flops(arm)))
    }

    fn sweep_steps(&self) -> u64 {
        ((self.steps as f64 * self.settings.sweep) as u64).max(LEAST_STEPS).min(self.steps)
    }

    fn sweeps(&self, arm: &Arm) -> bool {
        arm.role == Role::Compared && self.settings.learning_rates.len() > 1
    }

    fn seeds_of(&self, arm: &Arm) -> Vec<u64> {
        let ProbeSettings { seed, seeds, .. } = self.settings;
        match arm.role {
            Role::Compared => (seed..seed + seeds).collect(),
            Role::Noise => (seed..seed + seeds).map(|seed| seed ^ OTHER_SEEDS).collect(),
            Role::Anchor => vec![seed],
        }
    }

    fn run_of(&self, arm: usize, seed: u64, learning_rate: f64) -> Run {
        let short = self.equal_compute[arm];
        Run {
            arm,
            seed,
            learning_rate,
            steps: self.steps,
            short: (short < self.steps).then_some(short),
            with_cuts: self.arms[arm].role != Role::Noise,
        }
    }

    /// Trains and judges. Trainings are kept in `folder`, and those that are there already are not done again.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`] when a loss is no number, [`Error::Interrupted`], [`Error::Io`].
    pub fn run(&self, folder: &Path, progress: &Progress<'_>) -> Result<ProbeReport> {
        let folder = folder.join(RUNS_FOLDER);
        std::fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        let trainings: usize = self
            .arms
            .iter()
            .map(|arm| self.seeds_of(arm).len() + if self.sweeps(arm) { self.settings.learning_rates.len() } else { 0 })
            .sum();
        let done = Done { folder, count: AtomicU64::new(0), progress };
        progress.stage("probing", trainings as u64, Unit::Trainings);
        let sweeps = self.sweep(&done)?;
        // The noise and the anchors have the rate of the first arm.
        let rate = |sweep: &Vec<(f64, f64)>| {
            let best = sweep.iter().min_by(|one, other| one.1.total_cmp(&other.1));
            best.or(sweeps[0].iter().min_by(|one, other| one.1.total_cmp(&other.1))).map(|(rate, _)| *rate)
        };
        let rates: Vec<f64> =
            sweeps.iter().map(|sweep| rate(sweep).unwrap_or(self.settings.learning_rates[0])).collect();
        let run = |at: usize, seed: u64| self.run_of(at, seed, rates[at]);
        let all = self.arms.iter().enumerate();
        let runs: Vec<Run> = all
            .clone()
            .flat_map(|(at, arm)| self.seeds_of(arm).into_iter().map(move |seed| (at, seed)))
            .map(|(at, seed)| run(at, seed))
            .collect();
        let mut records = done.records(self, &runs)?.into_iter();
        let trained: Vec<Trained<'_>> = all
            .zip(sweeps.iter().zip(&rates))
            .map(|((at, arm), (sweep, &learning_rate))| Trained {
                arm,
                learning_rate,
                sweep: sweep.clone(),
                steps: [self.steps, self.equal_compute[at]],
                records: records.by_ref().take(self.seeds_of(arm).len()).collect(),
            })
            .collect();
        judge(&trained, &self.texts, &self.settings)
    }

    /// By arm, the learning rates that were tried, if they are, and what each came to.
    fn sweep(&self, done: &Done<'_>) -> Result<Vec<Vec<(f64, f64)>>> {
        let rates = |arm: &Arm| if self.sweeps(arm) { &self.settings.learning_rates[..] } else { &[] };
        let run = |at: usize, rate: f64| Run {
            steps: self.sweep_steps(),
            short: None,
            with_cuts: false,
            ..self.run_of(at, OTHER_SEEDS - 1, rate)
        };
        let all = self.arms.iter().enumerate();
        let runs: Vec<Run> = all
            .flat_map(|(at, arm)| rates(arm).iter().map(move |rate| (at, *rate)))
            .map(|(at, rate)| run(at, rate))
            .collect();
        let mut records = done.records(self, &runs)?.into_iter();
        let of = |arm: &Arm| {
            rates(arm).iter().zip(records.by_ref()).map(|(rate, record)| (*rate, self.mean_bits(&record))).collect()
        };
        Ok(self.arms.iter().map(of).collect())
    }

    /// Bits per byte in the mean of the corpora.
    fn mean_bits(&self, record: &RunRecord) -> f64 {
        let count = self.texts.names.len();
        let (mut bits, mut bytes) = (vec![0.0; count], vec![0.0; count]);
        for (text, of_text) in self.texts.held_out.iter().zip(&record.full.documents) {
            bits[text.corpus] += of_text;
            bytes[text.corpus] += text.text.len() as f64;
        }
        OverSeeds::of(&bits.iter().zip(&bytes).map(|(bits, bytes)| bits / bytes).collect::<Vec<_>>()).mean
    }
}

/// What was done so far.
struct Done<'p> {
    folder: PathBuf,
    count: AtomicU64,
    progress: &'p Progress<'p>,
}

impl Done<'_> {
    /// The records of trainings, in their order, several done beside each other.
    fn records(&self, probe: &Probe, runs: &[Run]) -> Result<Vec<RunRecord>> {
        let cost = |run: &Run| run.steps as f64 * probe.step_flops(&probe.arms[run.arm]);
        beside(&runs.iter().map(cost).collect::<Vec<_>>(), &|at| {
            let (run, arm) = (&runs[at], &probe.arms[runs[at].arm]);
            let record = run.record(arm, &probe.texts, &probe.settings, &self.folder, self.progress)?;
            self.progress.done(self.count.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(record)
        })
    }
}

/// A tokenizer learned from the texts for training.
fn learn(settings: &LearnSettings, texts: &Texts, progress: &Progress<'_>) -> Result<Tokenizer> {
    let train: Vec<&str> = texts.train.iter().map(|text| text.text.as_str()).collect();
    Tokenizer::new(settings.learn_from_texts(&train, progress)?)
}
