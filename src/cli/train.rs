//! `ciyuan train`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ciyuan::Error;
use ciyuan::model::StepReport;
use ciyuan::pipeline::{FolderLock, MODEL_FOLDER, TOKENIZER_FILE, load_tokenizer, save_model, save_tokenizer, train};
use serde::Serialize;

use super::args::ModelArgs;
use super::context::Context;
use super::failure::Outcome;

/// Train a small GPT on shards
///
/// Leaves in the output folder: model/ (model.safetensors, config.json) and tokenizer.json.
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan train out -o model2 --steps 1000 --seed 2")]
pub(super) struct Args {
    /// A folder made by `encode` or `prepare`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
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
