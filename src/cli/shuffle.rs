//! `ciyuan shuffle`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::pipeline::{EncodeSeconds, EncodedFolder, FolderLock, ShuffleSettings, shuffle};

use super::args::bytes;
use super::context::Context;
use super::encode::show_folder;
use super::failure::{Failure, Outcome};

/// Put the documents of a folder of shards in a random order
///
/// Writes the same documents to another folder, each split in an order of all its documents by the seed: the same for any
/// memory and number of threads, and however the documents were spread over shards.
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan shuffle shards -o shuffled --seed 7")]
pub(super) struct Args {
    /// A folder made by `encode`, `merge` or `import`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    order: OrderArgs,
}

/// A random order of documents, and the shards that they are written to.
#[derive(Clone, Copy, clap::Args)]
pub(super) struct OrderArgs {
    /// Start of all random numbers
    #[arg(long, default_value_t = ShuffleSettings::default().seed, value_name = "N")]
    pub(super) seed: u64,
    /// Bytes of a shard at most; a document that is longer has a shard for itself
    #[arg(long, default_value = "1GiB", value_parser = bytes, value_name = "BYTES")]
    pub(super) shard_size: u64,
    /// Bytes of memory to sort in, about
    #[arg(long, default_value = "256MiB", value_parser = bytes, value_name = "BYTES")]
    pub(super) memory: u64,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let same = |path: &PathBuf| path.canonicalize().ok();
    if same(&args.output).is_some() && same(&args.output) == same(&args.folder) {
        return Err(Failure::Usage("a folder cannot be shuffled into itself; name another one by --output".to_owned()));
    }
    let _source = FolderLock::share(&args.folder)?;
    let _lock = FolderLock::take(&args.output)?;
    let OrderArgs { seed, shard_size, memory } = args.order;
    let settings = ShuffleSettings { seed, shard_size, memory };
    let manifest = context.with_progress(|progress| shuffle(&args.folder, &args.output, &settings, progress))?;
    show_folder(EncodedFolder { manifest, seconds: EncodeSeconds::default() }, &args.output, 0.0, start, context)
}
