//! The stage that writes shards in the layouts of other programs.

use std::path::Path;

use super::progress::{Progress, Unit};
use crate::error::Result;
use crate::shard::{Corpus, ExportSettings, Exported, export};

/// Writes the shards of one split of `folder` in the layout of another program, under names that begin with `prefix`. They
/// are verified first: most layouts have no checksums, so that damage would never be found behind them.
///
/// # Errors
///
/// Those of damaged shards and of [`export`].
pub fn export_folder(
    folder: &Path,
    prefix: &Path,
    settings: &ExportSettings,
    progress: &Progress<'_>,
) -> Result<Exported> {
    let corpus = Corpus::open(folder, settings.split)?;
    corpus.verify()?;
    progress.stage("exporting", corpus.info().documents, Unit::Documents);
    export(&corpus, prefix, settings, &mut |done| {
        progress.done(done);
        progress.flow()
    })
}
