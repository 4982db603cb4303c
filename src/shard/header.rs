//! The header of a shard; the room's head describes it byte by byte.

use bincode::{Decode, Encode};
use xxhash_rust::xxh3::xxh3_64;

use crate::codec;
use crate::error::ShardFault;
use crate::vocab::{Fingerprint, TokenId};

/// Length of the header: ids begin here.
pub const HEADER_BYTES: u64 = 4096;
/// The version that is written, and the highest that is read.
pub const VERSION: u32 = 1;
/// Bytes of ids that share a checksum.
pub(super) const BLOCK_BYTES: u64 = 1 << 20;
/// Bytes of the index for each block.
pub(super) const BLOCK_ENTRY_BYTES: u64 = 16;

const MAGIC: [u8; 8] = *b"\x89CIYUAN\n";
const FIELDS_AT: usize = 16;
const CHECKSUM_AT: usize = 4088;
const NO_TOKEN: u32 = u32::MAX;

/// What a shard says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardInfo {
    /// Every id is below it.
    pub vocab_size: u32,
    /// The token at the end of each document, if there is one.
    pub end_of_text: Option<TokenId>,
    /// The tokenizer that made the ids.
    pub fingerprint: Fingerprint,
    /// Number of ids, end-of-text tokens among them.
    pub tokens: u64,
    /// Number of documents.
    pub documents: u64,
    /// Bytes of text that the ids stand for.
    pub text_bytes: u64,
}

#[derive(Encode, Decode)]
struct Fields {
    width: u8,
    vocab_size: u32,
    end_of_text: u32,
    fingerprint: [u8; 16],
    tokens: u64,
    documents: u64,
    text_bytes: u64,
    block_bytes: u64,
    index_checksum: u64,
}

/// Where the parts of a shard lie, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) width: u64,
    pub(super) ids_end: u64,
    pub(super) ends_at: u64,
    pub(super) blocks_at: u64,
    pub(super) file_end: u64,
}

/// Bytes of one id of a vocabulary of so many.
pub(super) fn width_of(vocab_size: u32) -> u64 {
    if vocab_size <= 1 << 16 { 2 } else { 4 }
}

impl ShardInfo {
    /// Bytes of one id: 2 when every id fits, else 4.
    #[must_use]
    pub fn width(&self) -> u64 {
        width_of(self.vocab_size)
    }

    /// Number of blocks of ids.
    pub(super) fn blocks(&self) -> u64 {
        (self.tokens * self.width()).div_ceil(BLOCK_BYTES)
    }

    /// Where the parts lie; `None` when the numbers exceed 64 bits, as only a hostile header's do.
    pub(super) fn places(&self) -> Option<Places> {
        let width = self.width();
        let ids_end = self.tokens.checked_mul(width)?.checked_add(HEADER_BYTES)?;
        let ends_at = ids_end.checked_next_multiple_of(8)?;
        let blocks_at = self.documents.checked_mul(8)?.checked_add(ends_at)?;
        let file_end = self.blocks().checked_mul(BLOCK_ENTRY_BYTES)?.checked_add(blocks_at)?;
        Some(Places { width, ids_end, ends_at, blocks_at, file_end })
    }

    /// The header's bytes.
    pub(super) fn to_bytes(self, index_checksum: u64) -> [u8; HEADER_BYTES as usize] {
        let fields = Fields {
            width: self.width() as u8,
            vocab_size: self.vocab_size,
            end_of_text: self.end_of_text.unwrap_or(NO_TOKEN),
            fingerprint: self.fingerprint.0,
            tokens: self.tokens,
            documents: self.documents,
            text_bytes: self.text_bytes,
            block_bytes: BLOCK_BYTES,
            index_checksum,
        };
        let fields = codec::encode::<256, _>(&fields).expect("the fields have a fixed length of 65 bytes");
        let mut header = [0; HEADER_BYTES as usize];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&(fields.len() as u32).to_le_bytes());
        header[FIELDS_AT..FIELDS_AT + fields.len()].copy_from_slice(&fields);
        let checksum = xxh3_64(&header[..CHECKSUM_AT]);
        header[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// Reads a header, and the checksum of the index in it.
    pub(super) fn from_bytes(header: &[u8; HEADER_BYTES as usize]) -> Result<(Self, u64), ShardFault> {
        if header[..8] != MAGIC {
            return Err(ShardFault::Magic);
        }
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if word(8) != VERSION {
            return Err(ShardFault::Version { got: word(8), supported: VERSION });
        }
        let mut stored = [0; 8];
        stored.copy_from_slice(&header[CHECKSUM_AT..]);
        let (expected, got) = (u64::from_le_bytes(stored), xxh3_64(&header[..CHECKSUM_AT]));
        if expected != got {
            return Err(ShardFault::Header { expected, got });
        }
        let fields = header.get(FIELDS_AT..FIELDS_AT + word(12) as usize).and_then(codec::decode::<256, Fields>);
        let fields = fields.ok_or(ShardFault::Impossible { why: "its fields have another length" })?;
        let info = Self {
            vocab_size: fields.vocab_size,
            end_of_text: (fields.end_of_text != NO_TOKEN).then_some(fields.end_of_text),
            fingerprint: Fingerprint(fields.fingerprint),
            tokens: fields.tokens,
            documents: fields.documents,
            text_bytes: fields.text_bytes,
        };
        if u64::from(fields.width) != info.width() || fields.block_bytes != BLOCK_BYTES {
            return Err(ShardFault::Impossible { why: "its width of ids or of blocks is not that of this version" });
        }
        if info.end_of_text.is_some_and(|id| id >= info.vocab_size) || info.documents > info.tokens {
            return Err(ShardFault::Impossible { why: "its numbers contradict each other" });
        }
        Ok((info, fields.index_checksum))
    }
}
