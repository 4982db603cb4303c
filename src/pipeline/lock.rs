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
        let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        match file.try_lock() {
            Ok(()) => {
                sweep_temporary(folder)?;
                Ok(Self { file: Some(file), path })
            }
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", path, error)),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Removed while it is still held: another run that waits for this very file would find it gone, and make its own.
        let _ = std::fs::remove_file(&self.path);
        self.file.take();
    }
}
