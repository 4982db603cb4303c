//! `ciyuan train`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ciyuan::Error;
use ciyuan::evaluate::loss_curve;
use ciyuan::model::StepReport;
use ciyuan::pipeline::{
    CHECKPOINT_CONFIG_FILE, CHECKPOINT_FILE, FolderLock, MODEL_FOLDER, ModelKind, ModelSettings, TOKENIZER_FILE,
    TrainProfile, TrainRun, load_tokenizer, save_model, save_tokenizer, train_run,
};
use ciyuan::shard::{Corpus, Split, write_atomic};
use serde::Serialize;

use super::args::{ModelArgs, bytes};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::table::render;
use super::train_all;

/// The curve of the loss.
const CURVE_FILE: &str = "loss.svg";

/// Train a small GPT on shards
///
/// Leaves in the output folder: model/ (model.safetensors, config.json), tokenizer.json, metrics.jsonl (each step's loss,
/// each evaluation's bits per byte) and loss.svg. Interrupted by Ctrl-C, it leaves checkpoint.safetensors, with a config.json
/// that says what is in it, and goes on with --resume, bit for bit as if it had not been.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan train out -o model2 --steps 1000 --seed 2
Example: ciyuan train out -o models --all")]
pub(super) struct Args {
    /// A folder made by `encode` or `prepare`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Train a model of another kind, and say its bits per byte on the held-out shards
    #[arg(long = "model", value_name = "KIND", value_parser = ["unigram", "ngram", "rnn", "lstm", "gpt"])]
    kind: Option<String>,
    /// Train a model of each kind, each in a folder of its name, and show them in one table
    #[arg(long, conflicts_with = "kind")]
    all: bool,
    /// Tokens of the longest n-grams, from 1 to 6
    #[arg(long, default_value_t = 4, value_name = "N")]
    order: usize,
    #[command(flatten)]
    model: ModelArgs,
    /// Tokens of a batch, instead of --batch: as many whole windows as they hold
    #[arg(long, value_name = "N", conflicts_with_all = ["batch", "batch_bytes"], help_heading = "Model")]
    batch_tokens: Option<u64>,
    /// Bytes of text of a batch, instead of --batch: as many whole windows as they hold, by the mean of the shards
    #[arg(long, value_name = "BYTES", value_parser = bytes, conflicts_with = "batch", help_heading = "Model")]
    batch_bytes: Option<u64>,
    /// Say at the end what took the time
    #[arg(long, help_heading = "On the way")]
    profile: bool,
    /// Write checkpoint.safetensors every N steps
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "On the way")]
    checkpoint_every: u64,
    /// Go on from the checkpoint in the output folder; the settings must be those it was begun with
    #[arg(long, help_heading = "On the way")]
    resume: bool,
    /// Evaluate on the held-out shards every N steps
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "On the way")]
    eval_every: u64,
    /// End after so many evaluations in a row without a better one; 0 for never
    #[arg(long, default_value_t = 0, value_name = "N", help_heading = "On the way")]
    patience: u64,
}

#[derive(Serialize)]
struct Result {
    model: &'static str,
    parameters: u64,
    steps: Vec<StepReport>,
    evaluations: Vec<(u64, f64)>,
    output: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<TrainProfile>,
    seconds: BTreeMap<&'static str, f64>,
}

impl Args {
    fn settings(&self) -> Outcome<ModelSettings> {
        let mut settings = self.model.settings();
        let tokens = match (self.batch_tokens, self.batch_bytes) {
            (Some(tokens), _) => tokens,
            (None, Some(bytes)) => {
                let info = Corpus::open(&self.folder, Split::Train)?.info();
                // Rounded down, in numbers that hold the product.
                let tokens = u128::from(bytes) * u128::from(info.tokens) / u128::from(info.text_bytes.max(1));
                u64::try_from(tokens).unwrap_or(u64::MAX)
            }
            (None, None) => return Ok(settings),
        };
        settings.training.batch = usize::try_from(tokens).unwrap_or(usize::MAX) / settings.context.max(1);
        if settings.training.batch == 0 {
            let name = if self.batch_tokens.is_some() { "batch-tokens" } else { "batch-bytes" };
            let expected = format!("what a window of {} tokens holds, or more", settings.context);
            let value = self.batch_tokens.or(self.batch_bytes).unwrap_or_default().to_string();
            return Err(Error::Setting { name, value, expected }.into());
        }
        Ok(settings)
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let settings = args.settings()?;
    let kinds: Vec<ModelKind> =
        ModelKind::ALL.into_iter().filter(|kind| args.all || args.kind.as_deref() == Some(kind.name())).collect();
    if !kinds.is_empty() {
        return train_all::run(&args.folder, &args.output, &kinds, &settings, args.order, context);
    }
    if args.output.join(MODEL_FOLDER).exists() {
        return Err(Error::Output {
            path: args.output.clone(),
            why: "holds a model already; choose another folder, or remove it",
        }
        .into());
    }
    if args.patience > 0 && args.eval_every == 0 {
        return Err(Failure::Usage("--patience counts evaluations; give --eval-every too".to_owned()));
    }
    let checkpoint = args.output.join(CHECKPOINT_FILE);
    if checkpoint.exists() && !args.resume {
        let why = "holds a training that has not ended; go on with --resume, or choose another folder";
        return Err(Error::Output { path: args.output.clone(), why }.into());
    }
    let tokenizer = load_tokenizer(&args.folder, None, &[])?;
    let _lock = FolderLock::take(&args.output)?;
    let trained = context.with_progress(|progress| {
        let run = TrainRun {
            output: Some(&args.output),
            checkpoint_every: args.checkpoint_every,
            resume: args.resume,
            tokenizer: Some(&tokenizer),
            eval_every: args.eval_every,
            patience: args.patience,
            profile: args.profile,
        };
        let trained = train_run(&args.folder, &settings, &run, progress)?;
        if trained.tokenizer != tokenizer.fingerprint() {
            let path = args.folder.join(TOKENIZER_FILE);
            return Err(Error::Fingerprint {
                path,
                expected: trained.tokenizer.to_string(),
                got: tokenizer.fingerprint().to_string(),
            });
        }
        save_tokenizer(tokenizer.spec(), &args.output.join(TOKENIZER_FILE))?;
        write_atomic(&args.output.join(CURVE_FILE), loss_curve(&trained.steps).as_bytes())?;
        save_model(&trained.gpt, trained.end_of_text, trained.tokenizer, &args.output.join(MODEL_FOLDER))?;
        // The model is there: the checkpoint has done its work.
        for path in [&checkpoint, &args.output.join(CHECKPOINT_CONFIG_FILE)] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(trained)
    })?;
    let result = Result {
        model: "gpt",
        parameters: trained.gpt.config().parameters(),
        steps: trained.steps,
        evaluations: trained.evaluations,
        output: args.output.clone(),
        profile: trained.profile,
        seconds: BTreeMap::from([("train", trained.seconds)]),
    };
    context.show(&result, || {
        let loss = |step: Option<&StepReport>| step.map_or(0.0, |step| step.loss);
        let [first, last] = [result.steps.first(), result.steps.last()].map(loss);
        let own = result.evaluations.last();
        let held_out = own.map_or_else(String::new, |(_, bits)| format!("held out     {bits:.4} bits per byte\n"));
        format!(
            "model        GPT of {} parameters\ntraining     {} steps, loss {first:.3} -> {last:.3} nats a token\nloss         {}\n{held_out}seconds      {:.1}\noutput       {}\n{}",
            result.parameters,
            result.steps.len(),
            sparkline(&result.steps),
            trained.seconds,
            args.output.display(),
            result.profile.as_ref().map_or_else(String::new, by_part)
        )
    })
}

/// Where the time went.
fn by_part(profile: &TrainProfile) -> String {
    let parts = profile.parts();
    let all: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let head = ["part", "seconds", "share"].map(str::to_owned).to_vec();
    let row = |(part, seconds): (&str, f64)| {
        vec![part.to_owned(), format!("{seconds:.2}"), format!("{:.1} %", 100.0 * seconds / all.max(f64::MIN_POSITIVE))]
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(parts.into_iter().map(row)).collect();
    format!("\n{}", render(&rows))
}

/// The loss in a line of at most 60 blocks, each the mean of as many steps.
fn sparkline(steps: &[StepReport]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mean = |steps: &[StepReport]| steps.iter().map(|step| step.loss).sum::<f64>() / steps.len() as f64;
    let means: Vec<f64> = steps.chunks(steps.len().div_ceil(60).max(1)).map(mean).collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let block = |mean: &f64| BLOCKS[((mean - low) / (high - low).max(1e-9) * 7.0).round() as usize];
    means.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines() {
        let steps = |losses: &[f64]| -> Vec<StepReport> {
            let step = |(&loss, step)| StepReport { step, loss, learning_rate: 0.0, gradient_norm: 0.0 };
            losses.iter().zip(1..).map(step).collect()
        };
        assert_eq!(sparkline(&steps(&[8.0, 4.5, 1.0])), "█▅▁");
        assert_eq!(sparkline(&steps(&[2.0])), "▁");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&steps(&[1.0; 121])).chars().count(), 41);
    }
}
