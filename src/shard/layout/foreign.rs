//! The ids of a foreign file, read in blocks and checked against the vocabulary.
//!
//! Files are read, not mapped: nobody promises that another program has written them once and for all. What is in memory
//! is a block, whatever a file says of itself.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::import::Reading;
use crate::error::{Error, ForeignFault, Result};
use crate::vocab::TokenId;

/// Ids that are read at a time.
const BLOCK: u64 = 1 << 16;

/// How an id lies in a file; all are little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdType {
    U8,
    I8,
    I16,
    I32,
    I64,
    U16,
    U32,
}

impl IdType {
    /// Megatron's codes for whole numbers.
    pub(super) fn of_megatron(code: u8) -> Option<Self> {
        let kinds = [(1, Self::U8), (2, Self::I8), (3, Self::I16), (4, Self::I32), (5, Self::I64), (8, Self::U16)];
        kinds.into_iter().find(|&(number, _)| number == code).map(|(_, kind)| kind)
    }

    /// Bytes of an id.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::I64 => 8,
        }
    }

    /// Appends the numbers in `bytes` to `ids`; if one is no id below `vocab_size`, gives it and its place instead.
    fn push(self, bytes: &[u8], vocab_size: u32, ids: &mut Vec<TokenId>) -> std::result::Result<(), (i64, u64)> {
        match self {
            Self::U8 => push(words::<1>(bytes).map(|word| u8::from_le_bytes(word).into()), vocab_size, ids),
            Self::I8 => push(words::<1>(bytes).map(|word| i8::from_le_bytes(word).into()), vocab_size, ids),
            Self::I16 => push(words::<2>(bytes).map(|word| i16::from_le_bytes(word).into()), vocab_size, ids),
            Self::U16 => push(words::<2>(bytes).map(|word| u16::from_le_bytes(word).into()), vocab_size, ids),
            Self::I32 => push(words::<4>(bytes).map(|word| i32::from_le_bytes(word).into()), vocab_size, ids),
            Self::U32 => push(words::<4>(bytes).map(|word| u32::from_le_bytes(word).into()), vocab_size, ids),
            Self::I64 => push(words::<8>(bytes).map(i64::from_le_bytes), vocab_size, ids),
        }
    }
}

fn push(
    numbers: impl Iterator<Item = i64>,
    vocab_size: u32,
    ids: &mut Vec<TokenId>,
) -> std::result::Result<(), (i64, u64)> {
    for (number, at) in numbers.zip(0..) {
        if !(0..i64::from(vocab_size)).contains(&number) {
            return Err((number, at));
        }
        ids.push(number as TokenId);
    }
    Ok(())
}

/// Bytes as words; a rest is left out.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// A regular file and its length.
pub(super) fn open(path: &Path, layout: &'static str) -> Result<(File, u64)> {
    let io = |error| Error::io("open", path, error);
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(Error::Foreign { path: path.to_owned(), layout, fault: ForeignFault::NotAFile });
    }
    Ok((File::open(path).map_err(io)?, metadata.len()))
}

/// The ids of a file from some byte on.
pub(super) struct Stream {
    path: PathBuf,
    layout: &'static str,
    file: File,
    kind: IdType,
    vocab_size: u32,
    /// Ids in all.
    count: u64,
    /// Ids read.
    read: u64,
    bytes: Vec<u8>,
    ids: Vec<TokenId>,
    /// Where in `ids` the next one stands.
    next: usize,
}

impl Stream {
    /// Opens a file whose ids begin at byte `start`.
    pub(super) fn open(path: &Path, start: u64, kind: IdType, reading: &Reading<'_>) -> Result<Self> {
        let (mut file, length) = open(path, reading.layout())?;
        file.seek(SeekFrom::Start(start)).map_err(|error| Error::io("read", path, error))?;
        let length = length.saturating_sub(start);
        let count = length / kind.bytes();
        if length % kind.bytes() != 0 {
            let expected = start + count * kind.bytes();
            let fault = ForeignFault::Length { what: "the length in bytes", expected, got: start + length };
            return Err(reading.fault(path, fault));
        }
        let (layout, vocab_size) = (reading.layout(), reading.vocab_size());
        let (bytes, ids) = (Vec::new(), Vec::new());
        Ok(Self { path: path.to_owned(), layout, file, kind, vocab_size, count, read: 0, bytes, ids, next: 0 })
    }

    /// Checks that the file has as many ids as was said elsewhere.
    pub(super) fn require(&self, count: u64, reading: &Reading<'_>) -> Result<()> {
        if self.count == count {
            return Ok(());
        }
        let fault = ForeignFault::Length { what: "the number of its ids", expected: count, got: self.count };
        Err(reading.fault(&self.path, fault))
    }

    /// Reads the next block; `false` at the end.
    pub(super) fn fill(&mut self) -> Result<bool> {
        let count = (self.count - self.read).min(BLOCK);
        self.bytes.resize((count * self.kind.bytes()) as usize, 0);
        self.file.read_exact(&mut self.bytes).map_err(|error| Error::io("read", &self.path, error))?;
        self.ids.clear();
        self.next = 0;
        self.kind.push(&self.bytes, self.vocab_size, &mut self.ids).map_err(|(id, at)| {
            let fault = ForeignFault::TokenOutOfRange { id, index: self.read + at, vocab_size: self.vocab_size };
            Error::Foreign { path: self.path.clone(), layout: self.layout, fault }
        })?;
        self.read += count;
        Ok(count > 0)
    }

    /// The ids of the block.
    pub(super) fn ids(&self) -> &[TokenId] {
        &self.ids
    }

    /// Hands on the next `count` ids, which the caller has made sure are there.
    pub(super) fn take(&mut self, mut count: u64, sink: &mut dyn FnMut(&[TokenId]) -> Result<()>) -> Result<()> {
        while count > 0 {
            if self.next == self.ids.len() && !self.fill()? {
                break;
            }
            let ids = &self.ids[self.next..];
            let ids = &ids[..ids.len().min(usize::try_from(count).unwrap_or(usize::MAX))];
            sink(ids)?;
            self.next += ids.len();
            count -= ids.len() as u64;
        }
        Ok(())
    }
}
