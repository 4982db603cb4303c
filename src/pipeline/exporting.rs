//! The stage that writes shards in the layouts of other programs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::lock::{FileLock, FolderLock};
use super::progress::{Progress, Unit};
use super::verify::verify_corpus;
use crate::error::{Error, Result};
use crate::shard::{Corpus, ExportSettings, Exported, Layout, MANIFEST_FILE, Manifest, Split, export, sync_folder};

/// Writes the shards of one split of `folder` in the layout of another program, under names that begin with `prefix`. They
/// are verified first: most layouts have no checksums, so that damage would never be found behind them. The folder is
/// shared with others who read it, and a second export to the same names is kept out.
///
/// # Errors
///
/// [`Error::Locked`], [`Error::Output`] for a folder whose shards are not all there yet; those of damaged shards and of
/// [`export`].
pub fn export_folder(
    folder: &Path,
    prefix: &Path,
    settings: &ExportSettings,
    progress: &Progress<'_>,
) -> Result<Exported> {
    let _source = share(folder)?;
    if folder.join(".units").is_dir() && !folder.join(MANIFEST_FILE).exists() {
        let why = "is not complete; let `ciyuan encode`, or `run` and `merge`, come to their end before it is exported";
        return Err(Error::Output { path: folder.to_owned(), why });
    }
    let corpus = Corpus::open(folder, settings.split)?;
    let _target = lock_target(prefix)?;
    export_corpus(&corpus, prefix, settings, progress)
}

fn export_corpus(
    corpus: &Corpus,
    prefix: &Path,
    settings: &ExportSettings,
    progress: &Progress<'_>,
) -> Result<Exported> {
    verify_corpus(corpus, progress)?;
    progress.stage("exporting", corpus.info().documents, Unit::Documents);
    export(corpus, prefix, settings, &mut |done| {
        progress.done(done);
        progress.flow()
    })
}

/// A share of a folder to read; none where nobody can write, so that nobody does.
fn share(folder: &Path) -> Result<Option<FolderLock>> {
    match FolderLock::share(folder) {
        Err(Error::Io { source, .. })
            if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
        {
            Ok(None)
        }
        lock => lock.map(Some),
    }
}

/// Keeps other exports from the names that begin with `prefix`.
fn lock_target(prefix: &Path) -> Result<Option<FileLock>> {
    // What is no name is an error of the export, which says so.
    let Some(stem) = prefix.file_name() else { return Ok(None) };
    let parent = prefix.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error))?;
    let lock = FileLock::try_take(&parent.join(format!(".{}.lock", stem.to_string_lossy())))?;
    lock.map(Some).ok_or_else(|| Error::Locked { path: prefix.to_owned() })
}

/// Writes all splits of `folder`, which must be complete and locked by the caller, in another layout into a folder inside
/// it, which has the layout's name and comes to be as a whole. Gives that folder; one that is there already is left.
///
/// # Errors
///
/// As [`export_folder`].
pub fn export_inside(folder: &Path, layout: Layout, progress: &Progress<'_>) -> Result<PathBuf> {
    let (target, stage) = (folder.join(layout.name()), folder.join(format!(".{}", layout.name())));
    if target.is_dir() {
        progress.note(format!("`{}` is there already", target.display()));
        return Ok(target);
    }
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|error| Error::io("remove", &stage, error))?;
    }
    fs::create_dir(&stage).map_err(|error| Error::io("create", &stage, error))?;
    let manifest = Manifest::load(folder)?.ok_or_else(|| Error::Missing { path: folder.join(MANIFEST_FILE) })?;
    for split in Split::ALL {
        if manifest.shards.iter().any(|shard| shard.split == split) {
            // The names of llm.c's files say the split themselves.
            let name = if layout == Layout::LlmC { "corpus" } else { split.folder() };
            let settings = ExportSettings { split, ..ExportSettings::new(layout) };
            export_corpus(&Corpus::open(folder, split)?, &stage.join(name), &settings, progress)?;
        }
    }
    fs::rename(&stage, &target).map_err(|error| Error::io("rename", &stage, error))?;
    sync_folder(folder)?;
    Ok(target)
}
