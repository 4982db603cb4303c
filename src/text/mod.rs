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
//! A `.txt` file is one document (or one a line, one a block between blank lines, or what stands between separators); a
//! `.jsonl` file holds one JSON object a line, its text a field or composed of several; a `.parquet` file one document a
//! row; a `.tar` archive any of these but Parquet. Each but Parquet may be compressed: `.gz` (all members), `.zst` (all
//! frames), `.xz`, `.bz2` (all streams).
//!
//! [`plan_units`] cuts inputs into parts that are read apart from each other, [`records_in`] reads one.

mod archive;
mod decoding;
mod document;
mod encoding;
mod fields;
mod frames;
mod json_line;
mod json_string;
#[cfg(target_arch = "x86_64")]
mod json_string_x86;
mod jsonl;
mod lines;
mod open;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "parquet")]
mod parquet_pages;
mod parts;
mod reader;
mod rejects;
mod separated;
mod source;
mod unit;
mod utf16;
mod utf8;

pub use document::{Document, Origin, Record, Reject};
pub use encoding::{Encoding, FoundEncoding};
pub use reader::{ReadOptions, Records, TxtDocuments, records, records_in};
pub use rejects::{RejectLine, RejectLog};
pub use source::{Compression, Form, InputFile, KNOWN_EXTENSIONS, Source};
pub use unit::{Extent, Part, Unit, plan_units};
pub(crate) use unit::{pieces, whole_files};
pub use utf8::Utf8Policy;
