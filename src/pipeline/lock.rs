//! One run a folder.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::shard::sweep_temporary;

/// The name of the lock's file.
const LOCK_FILE: &str = ".lock";

/// Keeps other runs out of a folder while it lives. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    file: Option<File>,
    path: PathBuf,
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
        std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
        let path = folder.join(LOCK_FILE);
        loop {
            let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
            match file.try_lock() {
                Ok(()) if is_still_there(&file, &path) => {
                    sweep_temporary(folder)?;
                    return Ok(Self { file: Some(file), path });
                }
                // The run that held it has ended in between and taken the file away: this lock keeps nobody out.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Locked { path: folder.to_owned() }),
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

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while it is still held, so that nobody else's lock is removed.
        let _ = std::fs::remove_file(&self.path);
        self.file.take();
    }
}
