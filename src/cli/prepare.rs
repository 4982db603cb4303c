//! `ciyuan prepare`.

use std::path::{Path, PathBuf};

use ciyuan::evaluate::to_text;
use ciyuan::pipeline::{
    FolderLock, MODEL_FOLDER, PrepareSettings, REJECTS_FILE, REPORT_FILE, REPORT_PAGE, TIKTOKEN_FILE, TOKENIZER_FILE,
    prepare,
};
use ciyuan::shard::MANIFEST_FILE;

use super::args::{LearnArgs, ModelArgs, ReadArgs, RejectArgs, ShardArgs};
use super::context::Context;
use super::failure::Outcome;

/// The whole way: learn a tokenizer, encode to shards, train a small GPT on them, report
///
/// Leaves in DIR: tokenizer.json, tokenizer.tiktoken, train/*.shard, val/*.shard, manifest.json, model/, report.html,
/// report.json, and rejects.jsonl.zst when there were records that are no documents. Run again, it goes on where it was
/// stopped.
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan prepare corpora -o out")]
pub(super) struct Args {
    /// Files, folders or globs
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    learn: LearnArgs,
    #[command(flatten)]
    shards: ShardArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rejects: RejectArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let source = args.read.source(&args.inputs, context)?;
    let encode = args.shards.settings(&args.rejects);
    let learn = args.learn.settings(encode.val, &args.rejects);
    let settings = PrepareSettings { read: args.read.options(), learn, encode, model: args.model.settings() };
    ciyuan::pipeline::check_output(&args.output, &source)?;
    let _lock = FolderLock::take(&args.output)?;
    let report = context.with_progress(|progress| prepare(&source, &settings, &args.output, progress))?;
    context.show(&report, || {
        let total: f64 = report.seconds.values().sum();
        let stages: Vec<String> =
            report.seconds.iter().map(|(stage, seconds)| format!("{stage} {seconds:.1}")).collect();
        format!("{}\nseconds     {total:.1} ({})\n{}", to_text(&report), stages.join(", "), places(&args.output))
    })
}

/// Where everything lies.
fn places(output: &Path) -> String {
    let rows = [
        ("tokenizer", vec![TOKENIZER_FILE, TIKTOKEN_FILE]),
        ("shards", vec!["train", "val", MANIFEST_FILE]),
        ("rejects", vec![REJECTS_FILE]),
        ("model", vec![MODEL_FOLDER]),
        ("report", vec![REPORT_PAGE, REPORT_FILE]),
    ];
    let mut out = String::new();
    for (what, names) in rows {
        let paths = names.iter().map(|name| output.join(name)).filter(|path| path.exists());
        let there: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        if !there.is_empty() {
            out.push_str(&format!("{what:<12}{}\n", there.join(", ")));
        }
    }
    out
}
