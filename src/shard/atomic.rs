//! Files that are there as a whole or not at all.
//!
//! A file is written under a temporary name in the same folder, flushed, renamed, and the folder flushed: without the
//! first flush a power cut can leave an empty file under the final name, without the last the name itself can be gone
//! (Pillai et al. 2014, *All File Systems Are Not Created Equal*). A failed flush is final: Linux may have dropped the
//! data, so it is not tried again.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The temporary name of a file that is being written.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// Flushes a complete temporary file and gives it its name.
pub(super) fn publish(file: &File, temporary: &Path, path: &Path) -> Result<()> {
    file.sync_all().map_err(|source| Error::Io { op: "flush", path: temporary.to_owned(), source })?;
    fs::rename(temporary, path).map_err(|source| Error::Io { op: "rename", path: temporary.to_owned(), source })?;
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

/// Flushes a folder, so that the names in it survive a power cut.
///
/// # Errors
///
/// [`Error::Io`] when the system refuses.
pub fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let flush = || File::open(folder)?.sync_all();
    flush().map_err(|source| Error::Io { op: "flush", path: folder.to_owned(), source })
}

/// Removes the temporary files that killed runs have left in a folder. The caller holds the folder's lock, so that no
/// other run is writing them.
///
/// # Errors
///
/// [`Error::Io`] when the system refuses.
pub fn sweep_temporary(folder: &Path) -> Result<()> {
    let error = |source| Error::Io { op: "sweep", path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") && path.is_file() {
            fs::remove_file(&path).map_err(error)?;
        }
    }
    Ok(())
}

/// A file that is written piece by piece, and is not under its name before [`AtomicFile::publish`]. Dropped before, it
/// takes its temporary file away.
pub struct AtomicFile {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    written: u64,
    published: bool,
}

impl AtomicFile {
    /// Begins a file that will lie at `path`, in place of one that is there.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let temporary = temporary(path);
        let file = File::create(&temporary).map_err(|source| Error::io("create", &temporary, source))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), temporary, file, written: 0, published: false })
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the system refuses.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| Error::io("write", &self.temporary, source))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Where the file will lie.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Flushes the file and gives it its name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the system refuses; then no file of that name has changed, and the temporary one is gone.
    pub fn publish(mut self) -> Result<()> {
        self.file.flush().map_err(|source| Error::io("write", &self.temporary, source))?;
        publish(self.file.get_ref(), &self.temporary, &self.path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.published {
            // The first error is the one to tell; what cannot be removed is swept by the next run.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a file as a whole, replacing one that is there.
///
/// # Errors
///
/// As [`AtomicFile`].
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write(bytes)?;
    file.publish()
}
