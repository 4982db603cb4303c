//! Room `text`: files become documents.
//!
//! **Takes** names of files, folders, globs or `-`; **gives** [`Document`]s in a stable order: as named, within a folder
//! by the bytes of the path. **Promises** that nothing is lost on the way: what is no document comes out as a
//! [`Reject`] with file, line, byte offset and reason, one bad record never costs its neighbours, and memory is bounded
//! by the longest document allowed. Text is handed on byte for byte; only a byte order mark at the head of a file, which
//! is a signature and no text, is taken off (and said so by [`Document::signature`]). Text in another [`Encoding`], where
//! that is asked for, is handed on in UTF-8.
//! **Does not know** what becomes of the documents.
//!
//! A `.txt` file is one document (or one a line, or one a block between blank lines); a `.jsonl` file holds one JSON
//! object a line; a `.parquet` file one document a row. Each may be compressed: `.gz` (all members), `.zst` (all
//! frames), `.xz`.

mod decoding;
mod document;
mod encoding;
mod jsonl;
#[cfg(feature = "parquet")]
mod parquet;
mod reader;
mod rejects;
mod source;
mod unit;
mod utf16;
mod utf8;

pub use document::{Document, Origin, Record, Reject};
pub use encoding::{Encoding, FoundEncoding};
pub use reader::{ReadOptions, Records, TxtDocuments, records};
pub use rejects::{RejectLine, RejectLog};
pub use source::{Compression, Form, InputFile, KNOWN_EXTENSIONS, Source};
pub use unit::{Unit, plan_units};
pub use utf8::Utf8Policy;
