//! What MDS and litdata share: files of samples, with a table of where each begins.
//!
//! | offset | what |
//! |---|---|
//! | 0 | number of samples n, u32 |
//! | 4 | where each begins and the last one ends, in bytes from the start of the file, u32 x (n + 1) |
//! | | whatever the layout puts here |
//! | | the samples |
//!
//! The files are planned from the lengths of the documents alone, so a table can be written before its samples, and no
//! file is ever in memory.

use super::export::Export;
use super::push_ids;
use crate::error::{Error, Result};
use crate::shard::AtomicFile;

/// Such a layout.
pub(super) struct Chunks {
    /// Bytes of an id.
    pub(super) width: u64,
    /// What stands between table and samples.
    pub(super) extra: Vec<u8>,
    /// What a file counts against its room besides the samples: once, and for each sample.
    pub(super) counted: (u64, u64),
    /// What stands before the ids of a document of so many ids.
    pub(super) head: fn(length: u64, width: u64) -> Vec<u8>,
}

impl Chunks {
    /// The bytes of a sample.
    fn sample(&self, length: u64) -> u64 {
        (self.head)(length, self.width).len() as u64 + self.width * length
    }

    /// Bytes before the samples.
    fn before(&self, samples: u64) -> u64 {
        4 * (samples + 2) + self.extra.len() as u64
    }

    /// How many documents each file takes: as many as `room` bytes allow, but at least one.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when a file would have 2^32 bytes, which its table cannot say.
    pub(super) fn plan(&self, export: &Export<'_>, room: u64) -> Result<Vec<u64>> {
        let (once, each) = self.counted;
        let mut counts = Vec::new();
        let (mut bytes, mut count) = (0, 0);
        for length in export.lengths() {
            let sample = self.sample(length?);
            if count > 0 && room < once + each * (count + 1) + bytes + sample {
                counts.push(count);
                (bytes, count) = (0, 0);
            }
            (bytes, count) = (bytes + sample, count + 1);
            let (what, value) = ("the bytes of a file of this layout", self.before(count) + bytes);
            if value > u64::from(u32::MAX) {
                return Err(Error::Limit { what, value, max: u32::MAX.into() });
            }
        }
        counts.push(count);
        Ok(counts)
    }

    /// Writes a file with the next `count` documents, and gives its bytes and its ids.
    pub(super) fn write(&self, export: &mut Export<'_>, name: &str, count: u64) -> Result<(u64, u64)> {
        let mut file = AtomicFile::create(&export.prefix.join(name))?;
        file.write(&(count as u32).to_le_bytes())?;
        let mut at = self.before(count);
        file.write(&(at as u32).to_le_bytes())?;
        for number in export.done..export.done + count {
            at += self.sample(export.corpus.length(number)?);
            file.write(&(at as u32).to_le_bytes())?;
        }
        file.write(&self.extra)?;
        let (mut ids, mut tokens) = (Vec::new(), 0);
        for _ in 0..count {
            export.next(&mut ids)?;
            let mut bytes = (self.head)(ids.len() as u64, self.width);
            push_ids(&mut bytes, &ids, self.width);
            file.write(&bytes)?;
            tokens += ids.len() as u64;
        }
        let written = file.written();
        export.publish(file)?;
        Ok((written, tokens))
    }
}
