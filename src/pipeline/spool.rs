//! Standard input that is to be read twice: kept in a file, for as long as it is needed.
//!
//! Duplicates are found by reading all documents before any is used. A pipe gives its text once, so it is copied to disk,
//! byte by byte as it came; memory does not grow with it. Keeping the hashes and waiting with the documents instead would
//! take the same disk, or memory without a bound.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use super::progress::{Progress, Unit};
use super::scratch::ScratchFolder;
use crate::error::{Error, Result};
use crate::text::InputFile;

/// Bytes that are copied at a time.
const BUFFER: usize = 1 << 18;

/// Standard input in a file, which goes when this goes.
pub(super) struct Spool {
    pub(super) file: InputFile,
    _scratch: ScratchFolder,
}

impl Spool {
    /// Keeps all that `input` gives for the file `stdin` in a file in `scratch`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Interrupted`].
    pub(super) fn keep(
        stdin: &InputFile,
        input: &mut dyn Read,
        scratch: &Path,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let scratch = ScratchFolder::new(scratch);
        let path = scratch.file()?;
        let mut file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        progress.stage("keeping standard input", 0, Unit::Bytes);
        let (mut buffer, mut bytes) = (vec![0; BUFFER], 0);
        loop {
            let read = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", &stdin.path, error)),
            };
            file.write_all(&buffer[..read]).map_err(|error| Error::io("write", &path, error))?;
            bytes += read as u64;
            progress.done(bytes);
            progress.check("reading text")?;
        }
        let file = InputFile { bytes, spool: Some(path), ..stdin.clone() };
        Ok(Self { file, _scratch: scratch })
    }
}
