//! Folders for files that are needed for a while.
//!
//! One goes when it is dropped. That of a run that was killed stays, until the next one is made beside it: each has a lock
//! beside it that the system lets go of with the process, so a folder whose lock is free is nobody's. (The number of a
//! process would not tell: machines that share a folder count them each by itself.)

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::lock::FileLock;
use crate::error::{Error, Result};

/// What the names of such folders begin with, and those of their locks.
const PREFIX: &str = ".ciyuan-scratch-";

/// A folder for files. It is made with the first of them, and removed with all when it is dropped, however the work ends.
pub(super) struct ScratchFolder {
    parent: PathBuf,
    made: Mutex<Option<Made>>,
    /// How many were named.
    pub(super) files: AtomicU64,
}

/// A folder that is there.
struct Made {
    folder: PathBuf,
    /// None where the file system has no locks.
    _lock: Option<FileLock>,
}

impl ScratchFolder {
    /// A folder of its own inside `parent`. When it is made, those that killed runs have left there are removed.
    pub(super) fn new(parent: &Path) -> Self {
        Self { parent: parent.to_owned(), made: Mutex::new(None), files: AtomicU64::new(0) }
    }

    /// The name of a file that is not there yet, in the folder, which is.
    pub(super) fn file(&self) -> Result<PathBuf> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match &*made {
            Some(made) => &made.folder,
            None => &made.insert(Made::new(&self.parent)?).folder,
        };
        Ok(folder.join(format!("{:06}", self.files.fetch_add(1, Ordering::Relaxed))))
    }
}

impl Made {
    fn new(parent: &Path) -> Result<Self> {
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        std::fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error))?;
        sweep_scratch(parent);
        loop {
            let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
            let folder = parent.join(format!("{PREFIX}{}-{number}.tmp", std::process::id()));
            // Locked before it is there, so that nobody takes it for one that was left.
            let lock = match FileLock::try_take(&folder.with_extension("lock")) {
                Ok(None) => continue,
                Ok(lock) => lock,
                Err(_) => None,
            };
            std::fs::create_dir(&folder).map_err(|error| Error::io("create", &folder, error))?;
            return Ok(Self { folder, _lock: lock });
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // Nothing depends on it any more; what cannot be removed is only in the way. The lock goes behind it.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders in `parent` that killed runs have left. What cannot be looked at or removed stays.
pub(super) fn sweep_scratch(parent: &Path) {
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_scratch = name.starts_with(PREFIX) && (name.ends_with(".tmp") || name.ends_with(".lock"));
        if !is_scratch {
            continue;
        }
        // Of a lock without a folder nothing is left once it was taken.
        if let Ok(Some(_lock)) = FileLock::try_take(&path.with_extension("lock")) {
            let _ = std::fs::remove_dir_all(path.with_extension("tmp"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let names = std::fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_killed_runs_left_goes_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(".ciyuan-scratch-7-0");
        std::fs::create_dir(left.with_extension("tmp")).unwrap();
        std::fs::write(left.with_extension("tmp").join("000000"), "half").unwrap();
        std::fs::write(left.with_extension("lock"), "").unwrap();
        std::fs::write(parent.path().join(".ciyuan-scratch-8-0.lock"), "").unwrap();
        std::fs::create_dir(parent.path().join("other.tmp")).unwrap();
        let live = ScratchFolder::new(parent.path());
        std::fs::write(live.file().unwrap(), "needed").unwrap();
        assert_eq!(names(parent.path()).len(), 3, "{:?}", names(parent.path()));
        let second = ScratchFolder::new(parent.path());
        assert!(second.file().unwrap() != live.file().unwrap());
        sweep_scratch(parent.path());
        assert_eq!(names(parent.path()).len(), 5);
        drop((live, second));
        assert_eq!(names(parent.path()), ["other.tmp"]);
    }
}
