//! The quarantine: rejected records as JSON lines, compressed with Zstandard.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use serde::{Deserialize, Serialize};

use super::document::Reject;
use crate::error::{Error, Result};

/// A line of `rejects.jsonl.zst`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectLine {
    /// The file, as it was named.
    pub file: String,
    /// Byte offset of the fault in the decompressed file.
    pub offset: u64,
    /// Line of the record, counted from 1; 0 where it is the whole file.
    pub line: u64,
    /// What identifies the record, where a field for it was named and could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<String>,
    /// Why it is no document.
    pub reason: String,
    /// The record, where it is text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw: Option<String>,
    /// The record in base64, where it is not text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw_base64: Option<String>,
}

impl From<&Reject> for RejectLine {
    fn from(reject: &Reject) -> Self {
        let (raw, raw_base64) = match std::str::from_utf8(&reject.raw) {
            Ok("") => (None, None),
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(base64::engine::general_purpose::STANDARD.encode(&reject.raw))),
        };
        Self {
            file: reject.origin.file.display().to_string(),
            offset: reject.origin.offset,
            line: reject.origin.line,
            id: reject.id.clone(),
            reason: reject.fault.to_string(),
            raw,
            raw_base64,
        }
    }
}

/// Writes rejects to a file that comes to be with the first of them. The files of several logs may be joined: a
/// Zstandard file is a sequence of frames.
///
/// ```
/// use ciyuan::text::{ReadOptions, Record, RejectLine, RejectLog, Source, records};
/// # fn main() -> ciyuan::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (input, output) = (folder.path().join("a.jsonl"), folder.path().join("rejects.jsonl.zst"));
/// std::fs::write(&input, b"{\"text\": \"good\"}\n{\"text\": \"\xFF\"}\n").unwrap();
/// let (source, options) = (Source::find(&[input], None)?, ReadOptions::default());
/// let mut log = RejectLog::new(&output);
/// for record in records(&source.files[0], &options)? {
///     if let Record::Reject(reject) = record? {
///         log.push(&reject)?;
///     }
/// }
/// assert!(log.finish()?);
/// let line = zstd::decode_all(std::fs::File::open(&output).unwrap()).unwrap();
/// let line: RejectLine = serde_json::from_slice(&line).unwrap();
/// assert_eq!((line.line, line.offset, line.raw_base64.as_deref()), (2, 27, Some("eyJ0ZXh0IjogIv8ifQ==")));
/// # Ok(())
/// # }
/// ```
pub struct RejectLog {
    path: PathBuf,
    writer: Option<zstd::Encoder<'static, File>>,
}

impl RejectLog {
    /// A log that will write to `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writer: None }
    }

    /// Adds a reject.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be written.
    pub fn push(&mut self, reject: &Reject) -> Result<()> {
        let mut line = serde_json::to_vec(&RejectLine::from(reject)).map_err(|error| self.error(error.into()))?;
        line.push(b'\n');
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file = File::create(&self.path).map_err(|error| self.error(error))?;
                let encoder = zstd::Encoder::new(file, 3).map_err(|error| self.error(error))?;
                self.writer.insert(encoder)
            }
        };
        writer.write_all(&line).map_err(|source| Error::Io { op: "write", path: self.path.clone(), source })
    }

    /// Completes the file and flushes it to disk; gives whether there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be written.
    pub fn finish(mut self) -> Result<bool> {
        let Some(writer) = self.writer.take() else {
            return Ok(false);
        };
        let file = writer.finish().map_err(|error| self.error(error))?;
        file.sync_all().map_err(|error| self.error(error))?;
        Ok(true)
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Io { op: "write", path: self.path.clone(), source }
    }
}
