//! `ciyuan eval`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use ciyuan::Error;
use ciyuan::evaluate::LanguageReport;
use ciyuan::model::{LanguageModel, WithStride};
use ciyuan::pipeline::{AnyModel, evaluate_folder};
use serde::Serialize;

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::model::load;
use super::table::languages;

/// Bits per byte of a model on held-out shards, by language
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan eval out --model model2")]
pub(super) struct Args {
    /// A folder with val/*.shard, made by `encode` or `prepare`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A folder made by `prepare` or `train`; the same as DIR where it is not given
    #[arg(long, short, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Tokens by which the window of a GPT advances, each byte counted once; half a window where it is not given
    #[arg(long, value_name = "TOKENS")]
    stride: Option<usize>,
}

#[derive(Serialize)]
struct Result {
    model: &'static str,
    languages: Vec<LanguageReport>,
    all: LanguageReport,
    seconds: BTreeMap<&'static str, f64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let (model, tokenizer) = load(args.model.as_ref().unwrap_or(&args.folder))?;
    let loaded = start.elapsed().as_secs_f64();
    let strided = match (&model, args.stride) {
        (_, None) => None,
        (AnyModel::Gpt(gpt), Some(stride)) => Some(WithStride::new(gpt, stride)?),
        _ => return Err(Failure::Usage("--stride is for a GPT; other models have no window".to_owned())),
    };
    let measured = strided.as_ref().map_or(model.language_model(), |strided| strided as &dyn LanguageModel);
    let held_out = context.with_progress(|progress| evaluate_folder(&args.folder, &tokenizer, measured, progress))?;
    let held_out = held_out.ok_or_else(|| Error::Missing { path: args.folder.join("val/*.shard") })?;
    let seconds = BTreeMap::from([("load", loaded), ("eval", start.elapsed().as_secs_f64() - loaded)]);
    let result =
        Result { model: model.language_model().name(), languages: held_out.languages, all: held_out.all, seconds };
    context.show(&result, || {
        let rows: Vec<LanguageReport> = result.languages.iter().chain([&result.all]).cloned().collect();
        languages(&rows)
    })
}
