//! Room `shard`: ids become files that are mapped into memory, and batches for training.
//!
//! **Takes** the ids of documents, **gives** shard files with a manifest; opens them again and gives windows, documents
//! and packed rows; writes and reads the shards of other programs ([`Layout`]). **Promises** that a shard under its final name is whole (written under a temporary name, flushed, renamed,
//! the folder flushed), that damage is found before ids are used, and that an id outside the vocabulary is an error.
//! **Does not know** tokenizers: it keeps a fingerprint and a vocabulary size.
//!
//! # The shard file, byte by byte
//!
//! All numbers are little endian. `numpy.memmap(path, dtype="<u2" or "<u4", mode="r", offset=4096, shape=(tokens,))`
//! reads the ids.
//!
//! | offset | length | what |
//! |---|---|---|
//! | 0 | 8 | magic `89 43 49 59 55 41 4E 0A` (`\x89CIYUAN\n`) |
//! | 8 | 4 | version, u32: 1 |
//! | 12 | 4 | length of the fields that follow, u32: 65 |
//! | 16 | 1 | width of an id in bytes: 2 when `vocab_size` <= 65,536, else 4 |
//! | 17 | 4 | `vocab_size`, u32: every id is below it |
//! | 21 | 4 | id of the end-of-text token, u32; 0xFFFFFFFF when documents have none |
//! | 25 | 16 | fingerprint of the tokenizer |
//! | 41 | 8 | `tokens`, u64, end-of-text tokens among them |
//! | 49 | 8 | `documents`, u64 |
//! | 57 | 8 | bytes of text that the tokens stand for, u64 |
//! | 65 | 8 | length of a block of ids in bytes, u64: 1,048,576 |
//! | 73 | 8 | xxh3-64 of the index, u64 |
//! | 81 | 4,007 | zeros |
//! | 4,088 | 8 | xxh3-64 of bytes 0 to 4,087 |
//! | 4,096 | width x tokens | ids; each document ends with the end-of-text token, if there is one |
//! | | 0 to 7 | zeros up to a multiple of 8 |
//! | | 8 x documents | index: where each document ends, in tokens, u64 |
//! | | 16 x blocks | index: for each block of ids its xxh3-64 (u64), its highest id (u32) and zeros (u32) |
//!
//! The file has exactly this length. The header's checksum covers the index's, which covers those of the blocks. The
//! fields at 16 are one bincode value (fixed-width integers).

mod atomic;
mod batches;
mod corpus;
mod header;
mod layout;
mod manifest;
mod naive;
mod order;
mod packed;
mod packing;
mod reader;
mod rows;
mod statistics;
mod streams;
mod writer;

pub use atomic::{AtomicFile, sweep_temporary, sync_folder, write_atomic};
pub use batches::Batches;
pub use corpus::Corpus;
pub use header::{HEADER_BYTES, ShardInfo, VERSION};
pub use layout::{ExportSettings, Exported, ImportSettings, Layout, Piece, export, import};
pub use manifest::{InputEntry, MANIFEST_FILE, MANIFEST_VERSION, Manifest, ShardEntry, Tally, TokenizerEntry};
pub use naive::naive_rows;
pub use order::Order;
pub use packed::PackedIds;
pub use reader::Shard;
pub use rows::{Row, Rows};
pub use statistics::IdStatistics;
pub use streams::Streams;
pub use writer::{ShardWriter, Written};

/// Which part of the corpus a shard belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// Held out, for evaluation.
    Val,
}

impl Split {
    /// Both, in the order of reports.
    pub const ALL: [Self; 2] = [Self::Train, Self::Val];

    /// The name of its folder.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}
