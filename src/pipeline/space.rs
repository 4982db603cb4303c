//! Whether there is room for an output, told before the work.

use std::path::Path;

use super::progress::Progress;
use crate::error::{Error, Result};
use crate::text::{Compression, Form, InputFile};

/// Bytes of text that a token stands for, about: from 3 to 5 with the usual vocabularies, in Chinese and English.
const BYTES_A_TOKEN: u64 = 4;

/// Bytes that the shards of these files take, about. Compressed text is three times as long, columns of Parquet twice.
fn estimate(files: &[InputFile], vocab_size: u32) -> u64 {
    let width = if vocab_size <= 1 << 16 { 2 } else { 4 };
    let text = |file: &InputFile| {
        let factor = match (file.compression, file.form) {
            (Compression::None, Form::Parquet) => 2,
            (Compression::None, _) => 1,
            _ => 3,
        };
        file.bytes.saturating_mul(factor)
    };
    (files.iter().map(text).fold(0, u64::saturating_add) / BYTES_A_TOKEN).saturating_mul(width)
}

/// Checks that there is room for the shards of these files in a folder. An estimate is no measure: with half of it there
/// is room for surely too little, which is an error, and with less than all of it there may be, which is a note.
///
/// # Errors
///
/// [`Error::NoSpace`].
pub(super) fn check_space(output: &Path, files: &[InputFile], vocab_size: u32, progress: &Progress<'_>) -> Result<()> {
    match free(output) {
        Some(free) => check(output, estimate(files, vocab_size), free, progress),
        // A system that does not tell is one that may have room.
        None => Ok(()),
    }
}

fn check(output: &Path, needed: u64, free: u64, progress: &Progress<'_>) -> Result<()> {
    if free < needed / 2 {
        return Err(Error::NoSpace { path: output.to_owned(), needed, free });
    }
    if free < needed {
        let path = output.display();
        progress.note(format!("`{path}` needs about {needed} bytes, and {free} are free: the disk may become full"));
    }
    Ok(())
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    #[test]
    fn room_is_told_before_the_work() {
        let file = |compression| InputFile {
            path: PathBuf::from("a"),
            form: Form::Jsonl,
            members: None,
            compression,
            bytes: 4000,
            spool: None,
        };
        let files = [file(Compression::None), file(Compression::Zstd)];
        assert_eq!((estimate(&files, 65_536), estimate(&files, 65_537)), (8000, 16_000));
        let (notes, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let tell = |_| {
            notes.fetch_add(1, Ordering::Relaxed);
        };
        let progress = Progress::new(&tell, &stop);
        assert!(check(Path::new("out"), 8000, 8000, &progress).is_ok());
        assert_eq!(notes.load(Ordering::Relaxed), 0);
        assert!(check(Path::new("out"), 8000, 4000, &progress).is_ok());
        assert_eq!(notes.load(Ordering::Relaxed), 1);
        let error = check(Path::new("out"), 8000, 3999, &progress).unwrap_err();
        assert!(error.to_string().contains("8000") && error.to_string().contains("3999"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_system_tells_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(folder.path()).is_some_and(|bytes| bytes > 0));
        assert!(free(&folder.path().join("nothing")).is_none());
    }
}
