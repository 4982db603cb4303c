//! One unit of the input becomes its shards.
//!
//! What a unit gives depends on the unit and the settings alone: lines are counted from its own beginning, and what comes
//! before it in its file is added when the records of all units are folded ([`Fold`](super::folding::Fold)). So units can
//! be encoded in any order and place.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::documents::{BadRecords, FileTallies, RejectSink};
use super::encoding::{EncodeSeconds, EncodeSettings};
use super::reading::{LinesBefore, Reading};
use super::share_encoding::{Encoded, EncodedPart, EncodedShare, ShareEncoder, WholeDocument};
use super::split::SplitBounds;
use super::units::UnitRecord;
use crate::encode::Tokenizer;
use crate::error::Result;
use crate::shard::{ShardEntry, ShardWriter, Split};
use crate::text::{RejectLog, Unit};

/// What all units of a run share.
pub(super) struct UnitEncoder<'r> {
    reading: Reading<'r>,
    shares: ShareEncoder<'r>,
    settings: &'r EncodeSettings,
    output: &'r Path,
    seconds: EncodeSeconds,
}

impl<'r> UnitEncoder<'r> {
    /// An encoder that writes to `output`, where a document is held out by a share of `val`.
    pub(super) fn new(
        tokenizer: &'r Tokenizer,
        reading: Reading<'r>,
        settings: &'r EncodeSettings,
        val: f64,
        output: &'r Path,
    ) -> Self {
        let shares = ShareEncoder::new(tokenizer, settings, val, output);
        Self { reading, shares, settings, output, seconds: EncodeSeconds::default() }
    }

    /// How long its units took so far.
    pub(super) fn seconds(&self) -> EncodeSeconds {
        self.seconds
    }

    /// Encodes one unit to its shards; its rejects go to the file `rejects`. `before` is how many bytes of input were
    /// read before, for the progress.
    ///
    /// # Errors
    ///
    /// Those of reading, encoding and writing; their lines are counted from the beginning of the unit.
    pub(super) fn unit(&mut self, unit: &Unit, rejects: &Path, before: u64) -> Result<UnitRecord> {
        let mut log = RejectLog::new(rejects);
        let sink = match self.settings.on_bad_record {
            BadRecords::Quarantine => RejectSink::Keep(&mut log),
            BadRecords::Skip => RejectSink::Count,
            BadRecords::Fail => RejectSink::Fail,
        };
        let (mut lines, mut written) = (LinesBefore::default(), Written::new(&self.shares, self.writers(unit.number)));
        let mut write = |share| written.write(share);
        let read = self.reading.work_on(&self.shares, &unit.parts, &mut lines, sink, before, &mut write);
        let (mut read, passed) = read?;
        let begun = Instant::now();
        let rejects = log.finish()?;
        set_out(&mut read, &written.out);
        let mut shards = Vec::new();
        for writer in written.writers {
            shards.extend(writer.finish()?);
        }
        let (parts, place, split) = (unit.parts.clone(), lines.place(), written.split);
        self.seconds.write += written.seconds + begun.elapsed().as_secs_f64();
        self.seconds.read += passed.reading;
        self.seconds.encode += passed.working;
        Ok(UnitRecord { parts, read, place, split, shards, rejects, counts: None })
    }

    fn writers(&self, unit: usize) -> [SplitWriter<'_>; 2] {
        let (tokenizer, output, settings) = (self.shares.tokenizer(), self.output, self.settings);
        Split::ALL.map(|split| SplitWriter { tokenizer, output, settings, unit, split, writer: None, done: Vec::new() })
    }
}

/// Documents and bytes that were written, by file.
type Out = BTreeMap<usize, [u64; 2]>;

/// What was written of a unit.
struct Written<'w> {
    shares: &'w ShareEncoder<'w>,
    writers: [SplitWriter<'w>; 2],
    split: SplitBounds,
    out: Out,
    /// Of the document whose last part is not there yet.
    parts: Vec<EncodedPart>,
    seconds: f64,
}

impl<'w> Written<'w> {
    fn new(shares: &'w ShareEncoder<'w>, writers: [SplitWriter<'w>; 2]) -> Self {
        Self { shares, writers, split: SplitBounds::default(), out: Out::new(), parts: Vec::new(), seconds: 0.0 }
    }

    fn write(&mut self, share: EncodedShare) -> Result<()> {
        let start = Instant::now();
        match share {
            EncodedShare::Documents(documents) => {
                for (Encoded { ids, hash, split }, file) in documents {
                    self.document(&[ids], file, hash, split)?;
                }
            }
            EncodedShare::Part(part, whole) => {
                self.parts.push(part);
                if let Some(WholeDocument { document, file, hash, split }) = whole {
                    let parts = std::mem::take(&mut self.parts);
                    self.shares.check(&document, text_bytes_of(&parts))?;
                    self.document(&parts, file, hash, split)?;
                }
            }
        }
        self.seconds += start.elapsed().as_secs_f64();
        Ok(())
    }

    fn document(&mut self, parts: &[EncodedPart], file: usize, hash: u64, split: Split) -> Result<()> {
        let [documents, bytes] = self.out.entry(file).or_default();
        let text_bytes = text_bytes_of(parts);
        *documents += 1;
        *bytes += text_bytes;
        self.split.add(hash, split);
        self.writers[split as usize].push(parts, text_bytes)
    }
}

fn text_bytes_of(parts: &[EncodedPart]) -> u64 {
    parts.iter().map(|part| part.text_bytes).sum()
}

/// What is out is what was written, counted there, not what was handed on.
fn set_out(read: &mut FileTallies, out: &Out) {
    for (file, tally) in read {
        [tally.documents.left, tally.bytes.left] = out.get(file).copied().unwrap_or_default();
    }
}

/// The shards of one unit and split: `000017.shard`, and `000017_001.shard` and so on where that becomes too large. In the
/// order of their names they are in the order of their documents.
struct SplitWriter<'r> {
    tokenizer: &'r Tokenizer,
    output: &'r Path,
    settings: &'r EncodeSettings,
    unit: usize,
    split: Split,
    writer: Option<ShardWriter>,
    done: Vec<ShardEntry>,
}

impl SplitWriter<'_> {
    /// Appends a document, of which these are the parts; they stand for so many bytes.
    fn push(&mut self, parts: &[EncodedPart], text_bytes: u64) -> Result<()> {
        let tokens = parts.iter().map(|part| part.ids.tokens()).sum();
        if self.writer.as_ref().is_some_and(|writer| writer.file_bytes_with(tokens) > self.settings.shard_size) {
            self.finish_shard()?;
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let spec = self.tokenizer.spec();
                let path = self.output.join(self.name());
                let end_of_text = self.settings.boundaries.end_of_text(self.tokenizer);
                let fingerprint = self.tokenizer.fingerprint();
                self.writer.insert(ShardWriter::create(&path, spec.vocab_size(), end_of_text, fingerprint)?)
            }
        };
        for part in parts {
            writer.extend_packed(&part.ids)?;
        }
        writer.end_document(text_bytes)
    }

    fn name(&self) -> String {
        let (folder, unit) = (self.split.folder(), self.unit);
        match self.done.len() {
            0 => format!("{folder}/{unit:06}.shard"),
            number => format!("{folder}/{unit:06}_{number:03}.shard"),
        }
    }

    fn finish_shard(&mut self) -> Result<()> {
        let (name, split) = (self.name(), self.split);
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let written = writer.finish()?;
        self.done.push(ShardEntry::of(name, split, &written));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<ShardEntry>> {
        self.finish_shard()?;
        Ok(self.done)
    }
}
