//! Reading a shard through a memory map.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use xxhash_rust::xxh3::xxh3_64;

use super::header::{BLOCK_BYTES, BLOCK_ENTRY_BYTES, HEADER_BYTES, Places, ShardInfo};
use crate::error::{Error, Result, ShardFault};
use crate::vocab::TokenId;

/// A shard, mapped into memory.
///
/// Opening checks the header and the exact length, in the same time for every size; [`Shard::verify`] checks all. Ids
/// are compared with the vocabulary's size whenever they are read.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    map: Mmap,
    info: ShardInfo,
    places: Places,
    index_checksum: u64,
}

impl Shard {
    /// Opens a shard.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Io`], and [`Error::Shard`] for a file that is no shard, or not whole.
    pub fn open(path: &Path) -> Result<Self> {
        let fault = |fault| Error::Shard { path: path.to_owned(), fault };
        let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        let length = file.metadata().map_err(|error| Error::io("read", path, error))?.len();
        if length < HEADER_BYTES {
            return Err(fault(ShardFault::TooShort { bytes: length }));
        }
        let map = map(&file).map_err(|error| Error::io("map", path, error))?;
        let header = map.first_chunk().ok_or(fault(ShardFault::TooShort { bytes: length }))?;
        let (info, index_checksum) = ShardInfo::from_bytes(header).map_err(fault)?;
        let places = info.places().ok_or(fault(ShardFault::Impossible { why: "it is larger than any file" }))?;
        if places.file_end != map.len() as u64 {
            return Err(fault(ShardFault::Length { expected: places.file_end, got: map.len() as u64 }));
        }
        Ok(Self { path: path.to_owned(), map, info, places, index_checksum })
    }

    /// What the shard says of itself.
    #[must_use]
    pub fn info(&self) -> &ShardInfo {
        &self.info
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checksum of the header, which covers all checksums inside.
    #[must_use]
    pub fn checksum(&self) -> u64 {
        xxh3_64(self.bytes(0..HEADER_BYTES))
    }

    /// Checks everything: the index, every block of ids, that no id is outside the vocabulary, that documents are in
    /// order and end with the end-of-text token.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] for the first thing that is wrong.
    pub fn verify(&self) -> Result<()> {
        let index = self.bytes(self.places.ends_at..self.places.file_end);
        let got = xxh3_64(index);
        if got != self.index_checksum {
            return Err(self.fault(ShardFault::Index { expected: self.index_checksum, got }));
        }
        if self.bytes(self.places.ids_end..self.places.ends_at).iter().any(|&byte| byte != 0) {
            return Err(self.fault(ShardFault::Impossible { why: "bytes between ids and index are not zero" }));
        }
        for block in 0..self.info.blocks() {
            self.verify_block(block)?;
        }
        let mut ids = Vec::new();
        let mut before = 0;
        for document in 0..self.info.documents {
            let range = self.document(document)?;
            if range.start != before || range.end == before {
                return Err(self.fault(ShardFault::Impossible { why: "its documents are not in order" }));
            }
            before = range.end;
            ids.clear();
            self.read(range.end - 1..range.end, &mut ids)?;
            if self.info.end_of_text.is_some_and(|end| ids != [end]) {
                return Err(
                    self.fault(ShardFault::Impossible { why: "a document does not end with the end-of-text token" })
                );
            }
        }
        if before != self.info.tokens {
            return Err(self.fault(ShardFault::Impossible { why: "its documents do not cover its ids" }));
        }
        Ok(())
    }

    fn verify_block(&self, block: u64) -> Result<()> {
        let entry = self.places.blocks_at + block * BLOCK_ENTRY_BYTES;
        let start = HEADER_BYTES + block * BLOCK_BYTES;
        let end = (start + BLOCK_BYTES).min(self.places.ids_end);
        if xxh3_64(self.bytes(start..end)) != self.number(entry) {
            return Err(self.fault(ShardFault::Block { start, end }));
        }
        let highest = highest(self.bytes(start..end), self.places.width);
        if highest >= self.info.vocab_size {
            // Says which id it is, and where.
            let first = block * BLOCK_BYTES / self.places.width;
            self.read(first..first + (end - start) / self.places.width, &mut Vec::new())?;
        }
        if u64::from(highest) != self.number(entry + 8) {
            return Err(self.fault(ShardFault::Impossible { why: "the highest id of a block is not the one stated" }));
        }
        Ok(())
    }

    /// The ids of a document as a range of tokens, its end-of-text token among them.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is no such document, or the index is damaged.
    pub fn document(&self, number: u64) -> Result<Range<u64>> {
        if number >= self.info.documents {
            return Err(self.fault(ShardFault::OutOfBounds {
                what: "document",
                index: number,
                count: self.info.documents,
            }));
        }
        let end = |number: u64| self.number(self.places.ends_at + number * 8);
        let range = number.checked_sub(1).map_or(0, end)..end(number);
        if range.start > range.end || range.end > self.info.tokens {
            return Err(self.fault(ShardFault::Impossible { why: "its documents are not in order" }));
        }
        Ok(range)
    }

    /// Appends the ids of `range` to `ids`.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] for a range beyond the shard, and for an id outside the vocabulary.
    pub fn read(&self, range: Range<u64>, ids: &mut Vec<TokenId>) -> Result<()> {
        if range.end > self.info.tokens || range.start > range.end {
            return Err(self.fault(ShardFault::OutOfBounds {
                what: "token",
                index: range.end,
                count: self.info.tokens,
            }));
        }
        let (width, vocab_size) = (self.places.width, self.info.vocab_size);
        let bytes = self.bytes(HEADER_BYTES + range.start * width..HEADER_BYTES + range.end * width);
        let first = ids.len();
        let highest = append(bytes, width, ids);
        let beyond = || ids[first..].iter().position(|&id| id >= vocab_size);
        if let Some(at) = (highest >= vocab_size).then(beyond).flatten() {
            let fault = ShardFault::TokenOutOfRange { id: ids[first + at], index: range.start + at as u64, vocab_size };
            ids.truncate(first);
            return Err(self.fault(fault));
        }
        Ok(())
    }

    fn fault(&self, fault: ShardFault) -> Error {
        Error::Shard { path: self.path.clone(), fault }
    }

    /// Bytes of the file; the ranges asked for lie inside, by the length that was checked when it was opened.
    fn bytes(&self, range: Range<u64>) -> &[u8] {
        &self.map[range.start as usize..range.end as usize]
    }

    fn number(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.bytes(at..at + 8));
        u64::from_le_bytes(bytes)
    }
}

/// Bytes that are copied at a time, of whole ids.
const BLOCK: usize = 1024;

/// Appends the ids in `bytes`, and gives the highest of them, 0 where there is none.
///
/// The map is read once, into a block: what is checked is what is handed out, even if somebody changes the file meanwhile.
/// The highest id is found in vector instructions, a first one above a bound is not; and sooner in the block than among
/// the ids that are handed out, which take twice the room.
fn append(bytes: &[u8], width: u64, ids: &mut Vec<TokenId>) -> TokenId {
    let (mut block, mut most) = ([0; BLOCK], 0);
    ids.reserve(bytes.len() / width as usize);
    for part in bytes.chunks(BLOCK) {
        let block = &mut block[..part.len()];
        block.copy_from_slice(part);
        most = most.max(highest(block, width));
        if width == 2 {
            ids.extend(block.as_chunks::<2>().0.iter().map(|id| u32::from(u16::from_le_bytes(*id))));
        } else {
            ids.extend(block.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)));
        }
    }
    most
}

/// The highest of the ids in `bytes`, 0 where there is none.
fn highest(bytes: &[u8], width: u64) -> TokenId {
    if width == 2 {
        let ids = bytes.as_chunks::<2>().0.iter().map(|id| u16::from_le_bytes(*id));
        ids.fold(0, u16::max).into()
    } else {
        bytes.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).fold(0, u32::max)
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: a map is sound as long as nobody changes the file under it. Shards are written once: they come to their
    // name by a rename and are never written, truncated or extended afterwards by this program, and a run that replaces
    // one renames another file over it, which leaves this map as it is. All that is read from the map is checked as
    // bytes, so a foreign change would at worst be reported as damage or, if the file is cut off, end the process.
    unsafe { Mmap::map(file) }
}
