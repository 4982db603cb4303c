//! `ciyuan verify`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use ciyuan::pipeline::{Verified, verify};
use serde::Serialize;

use super::context::Context;
use super::failure::Outcome;

/// Check every checksum and sum of a folder, a shard or a model; exit code 3 when something is damaged
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan verify out")]
pub(super) struct Args {
    /// Folders made by `encode`, `prepare` or `train`, or shards
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Result {
    verified: Vec<Row>,
    seconds: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
struct Row {
    path: PathBuf,
    #[serde(flatten)]
    found: Verified,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let mut rows = Vec::new();
    for path in &args.paths {
        let found = context.with_progress(|progress| verify(path, progress))?;
        rows.push(Row { path: path.clone(), found });
    }
    let result = Result { verified: rows, seconds: BTreeMap::from([("verify", start.elapsed().as_secs_f64())]) };
    context.show(&result, || result.verified.iter().map(text).collect())
}

fn text(row: &Row) -> String {
    let Verified { shards, documents, tokens, bytes, model } = row.found;
    if shards == 0 && model {
        return format!("{}: whole; the model\n", row.path.display());
    }
    let model = if model { ", and the model" } else { "" };
    format!(
        "{}: whole; {shards} shards, {documents} documents, {tokens} tokens, {bytes} bytes of text{model}\n",
        row.path.display()
    )
}
