//! One run a folder, or several that share it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::scratch::sweep_scratch;
use crate::error::{Error, Result};
use crate::shard::sweep_temporary;

/// The name of the lock's file.
const LOCK_FILE: &str = ".lock";

/// Keeps other runs out of a folder while it lives. The system lets go of it when the process ends, however it ends. A folder
/// that it made, and into which nothing came, goes with it: a run that fails at once leaves nothing behind.
#[derive(Debug)]
pub struct FolderLock {
    _lock: FileLock,
    /// Dropped behind the lock, whose file stands in the folder.
    _made: Option<MadeFolder>,
}

/// A folder that is removed if it is empty.
#[derive(Debug)]
struct MadeFolder(PathBuf);

impl Drop for MadeFolder {
    fn drop(&mut self) {
        // One with something in it stays, as it cannot be removed so.
        let _ = std::fs::remove_dir(&self.0);
    }
}

impl FolderLock {
    /// Makes the folder if it is not there, locks it, and removes what killed runs have half written in it.
    ///
    /// # Errors
    ///
    /// [`Error::Output`] for a file, [`Error::Locked`] when another run has it, [`Error::Io`].
    pub fn take(folder: &Path) -> Result<Self> {
        if folder.exists() && !folder.is_dir() {
            return Err(Error::Output {
                path: folder.to_owned(),
                why: "is a file, a folder is needed; choose another name",
            });
        }
        // A run that made the folder, and failed at once, may have taken it away in between.
        let (lock, made) = make_and_lock(folder).or_else(|_| make_and_lock(folder))?;
        let lock = lock.ok_or_else(|| Error::Locked { path: folder.to_owned() })?;
        sweep_temporary(folder)?;
        sweep_scratch(folder);
        Ok(Self { _lock: lock, _made: made })
    }

    /// Locks a folder together with others who share it, against those who take it for themselves.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Locked`] when a run has it for itself, [`Error::Io`].
    pub fn share(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::Missing { path: folder.to_owned() });
        }
        let lock = FileLock::try_lock(&folder.join(LOCK_FILE), true)?;
        let lock = lock.ok_or_else(|| Error::Locked { path: folder.to_owned() })?;
        Ok(Self { _lock: lock, _made: None })
    }
}

/// Makes a folder if it is not there, and locks it, unless another has it.
fn make_and_lock(folder: &Path) -> Result<(Option<FileLock>, Option<MadeFolder>)> {
    let made = (!folder.exists()).then(|| MadeFolder(folder.to_owned()));
    std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    Ok((FileLock::try_take(&folder.join(LOCK_FILE))?, made))
}

/// A lock by a file that is there for as long as it is locked.
#[derive(Debug)]
pub(super) struct FileLock {
    file: Option<File>,
    path: PathBuf,
    shared: bool,
}

impl FileLock {
    /// Takes a lock; `None` when another has it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>> {
        Self::try_lock(path, false)
    }

    fn try_lock(path: &Path, shared: bool) -> Result<Option<Self>> {
        loop {
            // Nothing is cut off if the name leads to a file of another kind.
            let file = File::options().write(true).create(true).truncate(false).open(path);
            let file = file.map_err(|error| Error::io("create", path, error))?;
            match if shared { file.try_lock_shared() } else { file.try_lock() } {
                Ok(()) if is_still_there(&file, path) => {
                    return Ok(Some(Self { file: Some(file), path: path.to_owned(), shared }));
                }
                // Who held it has ended in between and taken the file away: this lock keeps nobody out.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", path, error)),
            }
        }
    }
}

/// Whether the file that was opened is the one that has this name now.
#[cfg(unix)]
fn is_still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), path.metadata()) {
        (Ok(opened), Ok(named)) => identity(opened) == identity(named),
        _ => false,
    }
}

/// Elsewhere a file that is open keeps its name.
#[cfg(not(unix))]
fn is_still_there(_: &File, _: &Path) -> bool {
    true
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Of those who share it the last has it for itself now, where the system lets a lock change its kind.
        let alone = !self.shared || self.file.as_ref().is_some_and(|file| file.try_lock().is_ok());
        let is_ours = self.file.as_ref().is_some_and(|file| is_still_there(file, &self.path));
        if alone && is_ours {
            // Removed while it is still held, so that nobody else's lock is removed.
            let _ = std::fs::remove_file(&self.path);
        }
        self.file.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_made_for_nothing_goes_with_its_lock() {
        let there = tempfile::tempdir().unwrap();
        drop(FolderLock::take(there.path()).unwrap());
        assert!(there.path().is_dir(), "it was there before");
        let made = there.path().join("made");
        let lock = FolderLock::take(&made).unwrap();
        assert!(matches!(FolderLock::take(&made), Err(Error::Locked { .. })));
        assert!(made.is_dir());
        drop(lock);
        assert!(!made.exists());
        let lock = FolderLock::take(&made).unwrap();
        std::fs::write(made.join("a"), "").unwrap();
        drop(lock);
        assert!(made.join("a").is_file());
    }
}
