//! `ciyuan merge`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::pipeline::{FolderLock, MaxBad, merge_units};

use super::context::Context;
use super::encode::show_folder;
use super::failure::Outcome;

/// Fold the units that ranks have done
///
/// Leaves in DIR what `ciyuan encode` leaves, byte for byte. Units that are not done are named, and nothing is changed.
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan merge shards")]
pub(super) struct Args {
    /// A folder made by `plan` and filled by `run`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// End with code 3 where more records than so many, or than such a share, are no documents
    #[arg(long, value_name = "N|P%")]
    max_bad: Option<MaxBad>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    if !args.folder.is_dir() {
        return Err(ciyuan::Error::Missing { path: args.folder.clone() }.into());
    }
    let _lock = FolderLock::take(&args.folder)?;
    let folder = context.with_progress(|progress| merge_units(&args.folder, args.max_bad, progress))?;
    show_folder(folder, &args.folder, 0.0, start, context)
}
