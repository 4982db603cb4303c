//! `ciyuan train`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ciyuan::Error;
use ciyuan::model::StepReport;
use ciyuan::pipeline::{
    FolderLock, MODEL_FOLDER, ModelKind, TOKENIZER_FILE, load_tokenizer, save_model, save_tokenizer, train,
};
use serde::Serialize;

use super::args::ModelArgs;
use super::context::Context;
use super::failure::Outcome;
use super::train_all;

/// Train a small GPT on shards
///
/// Leaves in the output folder: model/ (model.safetensors, config.json) and tokenizer.json.
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
}

#[derive(Serialize)]
struct Result {
    model: &'static str,
    parameters: u64,
    steps: Vec<StepReport>,
    output: PathBuf,
    seconds: BTreeMap<&'static str, f64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let kinds: Vec<ModelKind> =
        ModelKind::ALL.into_iter().filter(|kind| args.all || args.kind.as_deref() == Some(kind.name())).collect();
    if !kinds.is_empty() {
        return train_all::run(&args.folder, &args.output, &kinds, &args.model.settings(), args.order, context);
    }
    if args.output.join(MODEL_FOLDER).exists() {
        return Err(Error::Output {
            path: args.output.clone(),
            why: "holds a model already; choose another folder, or remove it",
        }
        .into());
    }
    let tokenizer = load_tokenizer(&args.folder, None, &[])?;
    let _lock = FolderLock::take(&args.output)?;
    let trained = context.with_progress(|progress| {
        let trained = train(&args.folder, &args.model.settings(), progress)?;
        if trained.tokenizer != tokenizer.fingerprint() {
            let path = args.folder.join(TOKENIZER_FILE);
            return Err(Error::Fingerprint {
                path,
                expected: trained.tokenizer.to_string(),
                got: tokenizer.fingerprint().to_string(),
            });
        }
        save_tokenizer(tokenizer.spec(), &args.output.join(TOKENIZER_FILE))?;
        save_model(&trained.gpt, trained.end_of_text, trained.tokenizer, &args.output.join(MODEL_FOLDER))?;
        Ok(trained)
    })?;
    let result = Result {
        model: "gpt",
        parameters: trained.gpt.config().parameters(),
        steps: trained.steps,
        output: args.output.clone(),
        seconds: BTreeMap::from([("train", trained.seconds)]),
    };
    context.show(&result, || {
        let loss = |step: Option<&StepReport>| step.map_or(0.0, |step| step.loss);
        let [first, last] = [result.steps.first(), result.steps.last()].map(loss);
        format!(
            "model        GPT of {} parameters\ntraining     {} steps, loss {first:.3} -> {last:.3} nats a token\nseconds      {:.1}\noutput       {}\n",
            result.parameters,
            result.steps.len(),
            trained.seconds,
            args.output.display()
        )
    })
}
