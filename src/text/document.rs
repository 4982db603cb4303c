//! What comes out of a file: documents, and the records that are none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::encoding::FoundEncoding;
use crate::error::{Error, RecordFault};

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named; `-` for standard input; of an archive, `archive/member`.
    pub file: Arc<Path>,
    /// Line (or row) on which the record begins, counted from 1; 0 where the record is the whole file.
    pub line: u64,
    /// Byte offset of the record in the decompressed file; for Parquet the row.
    pub offset: u64,
    /// In an archive, the number of the record in all of it, counted from 1: its members may have the same name. 0
    /// elsewhere.
    pub record: u64,
}

/// One text, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text, never empty.
    pub text: String,
    /// What [`ReadOptions::id_field`](super::ReadOptions::id_field) holds: a string, or a whole number of 64 bits in
    /// decimal. `None` where there is no such field, or where it holds something else.
    pub id: Option<String>,
    /// Where it stands.
    pub origin: Origin,
    /// Bytes that were invalid and were replaced or skipped.
    pub repaired: u64,
    /// What it was encoded in.
    pub encoding: FoundEncoding,
    /// Whether a byte order mark was taken off right before this document.
    pub signature: bool,
}

/// A record that is no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where the record stands; the offset is that of the fault.
    pub origin: Origin,
    /// As [`Document::id`], where so much could be read.
    pub id: Option<String>,
    /// Why it is no document.
    pub fault: RecordFault,
    /// Length of the record in bytes, as far as it was read.
    pub bytes: u64,
    /// The record's bytes; empty where the record is the whole file, which is its own copy.
    pub raw: Vec<u8>,
}

impl Reject {
    /// The error that `--on-bad-record fail` ends with.
    #[must_use]
    pub fn into_error(self) -> Error {
        let Origin { file, line, offset, .. } = self.origin;
        Error::Record { path: PathBuf::from(&*file), line, offset, fault: self.fault }
    }
}

/// What a reader gives for each record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A text.
    Document(Document),
    /// A record that is no document.
    Reject(Reject),
}
