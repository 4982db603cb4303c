//! Documents into shards in the order of a random number that each of them has, in two steps and bounded memory.
//!
//! First the documents are dealt into cells by the highest bits of their number, each a file that finds room in memory;
//! then one cell after the other is sorted and written. So the order depends on the numbers alone, and every disk reads and
//! writes in sequence. (tokshuf-rs of DCLM does the same; shuffling within a window, as datatrove and dolma do, is none of
//! the whole.)

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::progress::{Progress, Unit};
use super::scratch::ScratchFolder;
use crate::error::{Error, Result};
use crate::shard::{ShardEntry, ShardInfo, ShardWriter, Split};
use crate::vocab::TokenId;

/// Most cells, each of which is a file that is open.
const MOST_CELLS: u64 = 512;
/// Bytes of a document in a cell besides its ids: its number, its length.
const ENTRY: u64 = 16;

/// Where the shards of a split go.
pub(super) struct Target<'t> {
    pub(super) output: &'t Path,
    pub(super) split: Split,
    /// Bytes of text that each id stands for.
    pub(super) lengths: &'t [u32],
    /// Of the documents that will come: how many ids and documents, and their vocabulary.
    pub(super) info: ShardInfo,
    /// Bytes of a shard at most.
    pub(super) shard_size: u64,
    /// Bytes of memory for a cell, about.
    pub(super) memory: u64,
}

impl Target<'_> {
    /// Bytes of text of a document.
    pub(super) fn text_bytes(&self, ids: &[TokenId]) -> u64 {
        ids.iter().map(|&id| u64::from(self.lengths.get(id as usize).copied().unwrap_or(0))).sum()
    }

    fn cells(&self) -> Result<u64> {
        // In memory an id has four bytes, and a cell may be somewhat larger than the average.
        let bytes = self.info.tokens.saturating_mul(4).saturating_add(self.info.documents.saturating_mul(ENTRY + 24));
        let bytes = bytes.saturating_add(bytes / 4);
        let cells = bytes.div_ceil(self.memory.max(1)).next_power_of_two();
        if cells > MOST_CELLS {
            let what = "the memory needed to put so much text in a random order, in bytes,";
            return Err(Error::Limit { what, value: bytes.div_ceil(MOST_CELLS), max: self.memory });
        }
        Ok(cells)
    }
}

/// Takes documents in any order.
pub(super) struct Dealer<'t> {
    target: &'t Target<'t>,
    // Their folder goes with it.
    _scratch: ScratchFolder,
    cells: Vec<(PathBuf, BufWriter<File>)>,
    entry: Vec<u8>,
    dealt: u64,
}

impl<'t> Dealer<'t> {
    /// # Errors
    ///
    /// [`Error::Limit`] for more text than cells find room for in memory, [`Error::Io`].
    pub(super) fn new(target: &'t Target<'t>, progress: &Progress<'_>) -> Result<Self> {
        let scratch = ScratchFolder::new(target.output);
        let mut cells = Vec::new();
        for _ in 0..target.cells()? {
            let path = scratch.file()?;
            let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
            cells.push((path, BufWriter::with_capacity(1 << 16, file)));
        }
        progress.stage("dealing documents", target.info.documents, Unit::Documents);
        Ok(Self { target, _scratch: scratch, cells, entry: Vec::new(), dealt: 0 })
    }

    /// Takes a document, without its end-of-text token, and its number.
    pub(super) fn push(&mut self, key: u64, ids: &[TokenId], progress: &Progress<'_>) -> Result<()> {
        // With one cell all bits are shifted out, which is no shift of 64 bits.
        let cell = (u128::from(key) * self.cells.len() as u128) >> 64;
        self.entry.clear();
        self.entry.extend(key.to_le_bytes());
        self.entry.extend((ids.len() as u64).to_le_bytes());
        self.entry.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        let (path, file) = &mut self.cells[cell as usize];
        file.write_all(&self.entry).map_err(|error| Error::io("write", path.as_path(), error))?;
        self.dealt += 1;
        if self.dealt.is_multiple_of(1024) {
            progress.done(self.dealt);
            progress.check("shuffling")?;
        }
        Ok(())
    }

    /// Writes all documents in their order: by their numbers, and where those are the same, as they came.
    pub(super) fn finish(mut self, progress: &Progress<'_>) -> Result<Vec<ShardEntry>> {
        progress.stage("writing documents in their order", self.dealt, Unit::Documents);
        for (path, file) in &mut self.cells {
            file.flush().map_err(|error| Error::io("write", path.as_path(), error))?;
        }
        let mut shards = Shards { target: self.target, writer: None, done: Vec::new() };
        let mut written = 0u64;
        for (path, file) in std::mem::take(&mut self.cells) {
            drop(file);
            for (_, _, ids) in sorted(&path)? {
                shards.push(&ids)?;
                written += 1;
                if written.is_multiple_of(1024) {
                    progress.done(written);
                    progress.check("shuffling")?;
                }
            }
            std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
        }
        shards.finish_shard()?;
        Ok(shards.done)
    }
}

/// The documents of a cell in their order.
fn sorted(path: &Path) -> Result<Vec<(u64, usize, Vec<TokenId>)>> {
    let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let (mut documents, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((head, after)) = rest.split_at_checked(ENTRY as usize) {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        let length = usize::try_from(word(8)).unwrap_or(usize::MAX).saturating_mul(4);
        let Some((ids, after)) = after.split_at_checked(length) else { break };
        let ids = ids.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
        documents.push((word(0), documents.len(), ids));
        rest = after;
    }
    if !rest.is_empty() {
        let short = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        return Err(Error::Io { op: "read", path: path.to_owned(), source: short });
    }
    documents.sort_unstable_by_key(|&(key, place, _)| (key, place));
    Ok(documents)
}

/// The shards of a split, one after the other.
struct Shards<'t> {
    target: &'t Target<'t>,
    writer: Option<ShardWriter>,
    done: Vec<ShardEntry>,
}

impl Shards<'_> {
    fn push(&mut self, ids: &[TokenId]) -> Result<()> {
        let Target { output, info, shard_size, .. } = self.target;
        if self.writer.as_ref().is_some_and(|writer| writer.file_bytes_with(ids.len() as u64) > *shard_size) {
            self.finish_shard()?;
        }
        let name = self.name();
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(ShardWriter::create(
                &output.join(name),
                info.vocab_size,
                info.end_of_text,
                info.fingerprint,
            )?),
        };
        writer.push(ids, self.target.text_bytes(ids))
    }

    fn name(&self) -> String {
        format!("{}/{:06}.shard", self.target.split.folder(), self.done.len())
    }

    fn finish_shard(&mut self) -> Result<()> {
        let name = self.name();
        let Some(writer) = self.writer.take() else { return Ok(()) };
        self.done.push(ShardEntry::of(name, self.target.split, &writer.finish()?));
        Ok(())
    }
}
