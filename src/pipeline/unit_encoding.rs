//! One unit of the input becomes its shards.
//!
//! What a unit gives depends on the unit and the settings alone: lines are counted from its own beginning, and what comes
//! before it in its file is added when the records of all units are folded ([`Fold`](super::folding::Fold)). So units can
//! be encoded in any order and place.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;

use super::documents::{BadRecords, FileTallies, RejectSink};
use super::encoding::{EncodeSeconds, EncodeSettings};
use super::reading::{Batch, LinesBefore, Reading};
use super::split::split_of;
use super::units::UnitRecord;
use crate::encode::{Encoder, Tokenizer};
use crate::error::{Error, Result, TokenizerFault};
use crate::shard::{ShardEntry, ShardWriter, Split};
use crate::text::{Document, RejectLog, Unit};

/// What all units of a run share.
pub(super) struct UnitEncoder<'r> {
    tokenizer: &'r Tokenizer,
    reading: Reading<'r>,
    settings: &'r EncodeSettings,
    share: f64,
    output: &'r Path,
    seconds: EncodeSeconds,
    text_lengths: Vec<u32>,
}

/// A document as ids.
struct Encoded {
    split: Split,
    ids: Vec<u32>,
    text_bytes: u64,
}

impl<'r> UnitEncoder<'r> {
    /// An encoder that writes to `output`, where a document is held out by a share of `share`.
    pub(super) fn new(
        tokenizer: &'r Tokenizer,
        reading: Reading<'r>,
        settings: &'r EncodeSettings,
        share: f64,
        output: &'r Path,
    ) -> Self {
        let (seconds, text_lengths) = (EncodeSeconds::default(), tokenizer.text_lengths());
        Self { tokenizer, reading, settings, share, output, seconds, text_lengths }
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
        let begun = Instant::now();
        let (mut encode, mut write) = (0.0, 0.0);
        let mut writers = self.writers(unit.number);
        let mut out = BTreeMap::new();
        let mut lines = LinesBefore::default();
        let mut read = self.reading.for_each_batch(&unit.parts, &mut lines, sink, before, &mut |batch| {
            let start = Instant::now();
            let encoded = self.encode_batch(&batch.documents)?;
            encode += start.elapsed().as_secs_f64();
            let start = Instant::now();
            write_batch(&batch, encoded, &mut writers, &mut out)?;
            write += start.elapsed().as_secs_f64();
            Ok(())
        })?;
        let reading = begun.elapsed().as_secs_f64() - encode - write;
        let begun = Instant::now();
        let rejects = log.finish()?;
        set_out(&mut read, &out);
        let mut shards = Vec::new();
        for writer in writers {
            shards.extend(writer.finish()?);
        }
        self.seconds.read += reading;
        self.seconds.encode += encode;
        self.seconds.write += write + begun.elapsed().as_secs_f64();
        Ok(UnitRecord { parts: unit.parts.clone(), read, place: lines.place(), shards, rejects, counts: None })
    }

    fn writers(&self, unit: usize) -> [SplitWriter<'r>; 2] {
        let (tokenizer, output, settings) = (self.tokenizer, self.output, self.settings);
        Split::ALL.map(|split| SplitWriter { tokenizer, output, settings, unit, split, writer: None, done: Vec::new() })
    }

    /// Encodes documents on all threads; the results are in the order of the documents.
    fn encode_batch(&self, batch: &[Document]) -> Result<Vec<Encoded>> {
        let encode = |encoder: &mut Encoder<'_>, document: &Document| -> Result<Encoded> {
            let mut ids: Vec<u32> = self.settings.boundaries.bos.into_iter().collect();
            let place = |error: Error| error.in_document(&*document.origin.file, document.origin.line);
            encoder.encode_into(&document.text, &mut ids).map_err(place)?;
            // Bytes are counted from the ids, so that the accounting would show it if they stood for less than the text.
            let text_bytes: u64 = ids.iter().map(|&id| u64::from(self.text_lengths[id as usize])).sum();
            let of_text = document.text.len() as u64;
            if self.tokenizer.changes_text() && text_bytes != of_text {
                return Err(place(TokenizerFault::ChangedText { of_text, of_ids: text_bytes }.into()));
            }
            Ok(Encoded { split: split_of(&document.text, self.share), ids, text_bytes })
        };
        let encoded: Vec<Result<Encoded>> =
            batch.par_iter().map_init(|| Encoder::new(self.tokenizer), encode).collect();
        encoded.into_iter().collect()
    }
}

/// Documents and bytes that were written, by file.
type Out = BTreeMap<usize, [u64; 2]>;

fn write_batch(batch: &Batch, encoded: Vec<Encoded>, writers: &mut [SplitWriter<'_>; 2], out: &mut Out) -> Result<()> {
    for (document, file) in encoded.into_iter().zip(&batch.files) {
        let [documents, bytes] = out.entry(*file).or_default();
        *documents += 1;
        *bytes += document.text_bytes;
        writers[document.split as usize].push(&document.ids, document.text_bytes)?;
    }
    Ok(())
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
    fn push(&mut self, ids: &[u32], text_bytes: u64) -> Result<()> {
        if self
            .writer
            .as_ref()
            .is_some_and(|writer| writer.file_bytes_with(ids.len() as u64) > self.settings.shard_size)
        {
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
        writer.push(ids, text_bytes)
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
