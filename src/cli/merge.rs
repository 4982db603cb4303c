//! `ciyuan merge`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ciyuan::pipeline::{CountedFolder, FolderLock, MaxBad, Merged, merge_units};

use super::context::Context;
use super::encode::show_folder;
use super::failure::Outcome;

/// Fold the units that ranks have done
///
/// Leaves in DIR what `ciyuan encode` leaves, byte for byte; or, of a plan by `learn --plan`, the file of counts that
/// `ciyuan learn --save-counts` writes. Units that are not done are named, and nothing is changed.
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
    let merged = context.with_progress(|progress| merge_units(&args.folder, args.max_bad, progress))?;
    match merged {
        Merged::Encoded(folder) => show_folder(folder, &args.folder, 0.0, start, context),
        Merged::Counted(counted) => context.show(&counted, || text(&counted, &args.folder)),
    }
}

fn text(counted: &CountedFolder, folder: &Path) -> String {
    let CountedFolder { documents, bytes, cleaning, distinct_pre_tokens, counts, .. } = counted;
    let cleaning: String = cleaning.lines().iter().map(|line| format!("cleaning     {line}\n")).collect();
    let counts = folder.join(counts);
    let counts = counts.display();
    format!(
        "documents    {documents}\nbytes        {bytes}\n{cleaning}pre-tokens   {distinct_pre_tokens} distinct\ncounts       {counts}\nnext         ciyuan learn --counts {counts} -o tokenizer.json\n"
    )
}
