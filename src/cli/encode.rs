//! `ciyuan encode`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ciyuan::clean::CleanCounts;
use ciyuan::pipeline::{EncodeSettings, EncodedFolder, FolderLock, check_output, encode, export_inside};
use ciyuan::shard::{InputEntry, Layout, Manifest, Tally};
use serde::Serialize;

use super::args::{BoundaryArgs, LAYOUTS, ReadArgs, RedoArgs, RejectArgs, ShardArgs, TokenizerArgs, word};
use super::context::Context;
use super::failure::Outcome;

/// Corpora to token shards
///
/// Leaves in DIR: train/*.shard, val/*.shard, manifest.json, tokenizer.json, and rejects.jsonl.zst when there were
/// records that are no documents. Run again, it goes on where it was stopped.
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan encode corpora -t tokenizer.json -o shards")]
pub(super) struct Args {
    /// Files, folders, globs, or `-` for standard input
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
    /// Also write the shards as `ciyuan export --layout` does, into a folder of DIR that has the layout's name: train.*,
    /// and val.* where documents are held out
    #[arg(long, value_parser = word::<Layout>(&LAYOUTS), help_heading = "Shards")]
    layout: Option<Layout>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rejects: RejectArgs,
    #[command(flatten)]
    redo: RedoArgs,
}

#[derive(Serialize)]
struct Result {
    documents: Tally,
    bytes: Tally,
    /// Both of each file.
    inputs: Vec<InputEntry>,
    /// What was done to texts.
    #[serde(skip_serializing_if = "CleanCounts::is_empty")]
    cleaning: CleanCounts,
    tokens: u64,
    bytes_per_token: f64,
    shards: usize,
    output: PathBuf,
    seconds: BTreeMap<&'static str, f64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let tokenizer = args.tokenizer.load()?;
    let source = args.read.source(&args.inputs, context)?;
    check_output(&args.output, &source)?;
    let load = start.elapsed().as_secs_f64();
    let _lock = FolderLock::take(&args.output)?;
    let boundaries = args.boundaries.boundaries(&tokenizer)?;
    let redo_changed = args.redo.redo_changed;
    let settings = EncodeSettings { boundaries, redo_changed, ..args.shards.settings(&args.rejects) };
    let folder = context.with_progress(|progress| {
        encode(&tokenizer, &source, &args.read.options(), &settings, &args.output, progress)
    })?;
    if let Some(layout) = args.layout {
        context.with_progress(|progress| export_inside(&args.output, layout, progress))?;
    }
    show_folder(folder, &args.output, load, start, context)
}

/// Shows what a folder of shards holds, and how long its making took since `start`.
pub(super) fn show_folder(
    folder: EncodedFolder,
    output: &Path,
    load: f64,
    start: Instant,
    context: &Context,
) -> Outcome {
    let EncodedFolder { manifest, seconds } = folder;
    let Manifest { documents, bytes, inputs, cleaning, tokens, shards, .. } = manifest;
    let result = Result {
        documents,
        bytes,
        inputs,
        cleaning,
        tokens,
        bytes_per_token: bytes.left as f64 / tokens.max(1) as f64,
        shards: shards.len(),
        output: output.to_owned(),
        seconds: BTreeMap::from([
            ("load", load),
            ("read", seconds.read),
            ("encode", seconds.encode),
            ("write", seconds.write),
        ]),
    };
    context.show(&result, || {
        let cleaning: String = result.cleaning.lines().iter().map(|line| format!("cleaning     {line}\n")).collect();
        format!(
            "documents    {documents}\nbytes        {bytes}\n{cleaning}tokens       {tokens} ({:.2} bytes a token)\nshards       {} in {}\nseconds      {:.1}\n",
            result.bytes_per_token,
            result.shards,
            output.display(),
            start.elapsed().as_secs_f64()
        )
    })
}
