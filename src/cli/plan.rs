//! `ciyuan plan`.

use std::path::{Path, PathBuf};

use ciyuan::pipeline::{EncodeSettings, FolderLock, Planned, check_output, plan_encoding};
use serde::Serialize;

use super::args::{BoundaryArgs, ReadArgs, RedoArgs, RejectArgs, ShardArgs, TokenizerArgs};
use super::context::Context;
use super::failure::Outcome;

/// Plan the encoding of a corpus by many processes
///
/// DIR holds the plan: the files and the units of work. `ciyuan run DIR` does units, in any number of processes on any
/// machines that share DIR; `ciyuan merge DIR` folds them to what `ciyuan encode` makes in one process, byte for byte.
/// Name inputs by absolute paths, or run all from the same folder.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan plan /data/corpora -t tokenizer.json -o /data/shards
Example: ciyuan run /data/shards --rank 3 --world-size 64
Example: ciyuan merge /data/shards")]
pub(super) struct Args {
    /// Files, folders, or globs
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    tokenizer: TokenizerArgs,
    #[command(flatten)]
    shards: ShardArgs,
    #[command(flatten)]
    boundaries: BoundaryArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rejects: RejectArgs,
    #[command(flatten)]
    redo: RedoArgs,
}

#[derive(Serialize)]
struct Result {
    #[serde(flatten)]
    planned: Planned,
    output: PathBuf,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let tokenizer = args.tokenizer.load()?;
    let source = args.read.source(&args.inputs, context)?;
    check_output(&args.output, &source)?;
    let _lock = FolderLock::take(&args.output)?;
    let boundaries = args.boundaries.boundaries(&tokenizer)?;
    let redo_changed = args.redo.redo_changed;
    let settings = EncodeSettings { boundaries, redo_changed, ..args.shards.settings(&args.rejects) };
    let planned = context.with_progress(|progress| {
        plan_encoding(&tokenizer, &source, &args.read.options(), &settings, &args.output, progress)
    })?;
    show_plan(planned, &args.output, context)
}

/// Shows a plan, and how it is gone on with.
pub(super) fn show_plan(planned: Planned, output: &Path, context: &Context) -> Outcome {
    context.show(&Result { planned, output: output.to_owned() }, || {
        let Planned { units, files, bytes, duplicates } = planned;
        let duplicates = duplicates.map_or_else(String::new, |count| format!("duplicates   {count}\n"));
        let output = output.display();
        format!(
            "units        {units}\nfiles        {files}, {bytes} bytes\n{duplicates}next         ciyuan run {output} --rank R --world-size W, for each R from 0 to below W; then ciyuan merge {output}\n"
        )
    })
}
