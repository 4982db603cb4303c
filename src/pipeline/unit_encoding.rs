//! One unit of the input becomes its shards.
//!
//! What a unit gives depends on the unit and the settings alone: lines are counted from its own beginning, and what comes
//! before it in its file is added when the records of all units are folded ([`Fold`](super::folding::Fold)). So units can
//! be encoded in any order and place.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use rayon::prelude::*;

use super::documents::{BadRecords, FileTallies, RejectSink};
use super::encoding::{EncodeSeconds, EncodeSettings};
use super::reading::{Batch, LinesBefore, Reading};
use super::split::{SplitBounds, hash_of_text, split_by};
use super::units::UnitRecord;
use crate::encode::{Encoder, Tokenizer};
use crate::error::{Error, Result, TokenizerFault};
use crate::shard::{PackedIds, ShardEntry, ShardWriter, Split};
use crate::text::{Document, RejectLog, Unit};
use crate::vocab::TokenId;

/// A batch is handed out in so many shares at least: with the four that two threads begin with, one waits for the other
/// at the end of each batch.
const SHARES: usize = 64;

/// What all units of a run share.
pub(super) struct UnitEncoder<'r> {
    tokenizer: &'r Tokenizer,
    reading: Reading<'r>,
    settings: &'r EncodeSettings,
    share: f64,
    output: &'r Path,
    seconds: EncodeSeconds,
    text_lengths: TextLengths,
}

/// A document as ids.
struct Encoded {
    hash: u64,
    split: Split,
    ids: PackedIds,
    text_bytes: u64,
}

/// How many bytes of text ids stand for. Nearly all stand for fewer than 128, which a table of bytes holds in a quarter of
/// the cache.
struct TextLengths {
    /// [`LONG`] for those that stand for more.
    short: Vec<u8>,
    all: Vec<u32>,
}

/// A bit that no other length has.
const LONG: u8 = 128;

impl TextLengths {
    fn new(all: Vec<u32>) -> Self {
        let short = |length: &u32| u8::try_from(*length).map_or(LONG, |length| length.min(LONG));
        Self { short: all.iter().map(short).collect(), all }
    }

    fn sum(&self, ids: &[TokenId]) -> u64 {
        let (mut sum, mut some) = (0, 0);
        for id in ids {
            let length = self.short[*id as usize];
            sum += u64::from(length);
            some |= length;
        }
        match some & LONG {
            0 => sum,
            _ => ids.iter().map(|id| u64::from(self.all[*id as usize])).sum(),
        }
    }
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
        let (seconds, text_lengths) = (EncodeSeconds::default(), TextLengths::new(tokenizer.text_lengths()));
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
        let mut lines = LinesBefore::default();
        let (mut read, written, passed) = self.read_and_write(unit, &mut lines, sink, before)?;
        self.seconds.read += begun.elapsed().as_secs_f64() - passed.encoding - passed.handing_on;
        self.seconds.encode += passed.encoding;
        let begun = Instant::now();
        let rejects = log.finish()?;
        set_out(&mut read, &written.out);
        let mut shards = Vec::new();
        for writer in written.writers {
            shards.extend(writer.finish()?);
        }
        self.seconds.write += written.seconds + begun.elapsed().as_secs_f64();
        let (parts, place, split) = (unit.parts.clone(), lines.place(), written.split);
        Ok(UnitRecord { parts, read, place, split, shards, rejects, counts: None })
    }

    /// Encodes the documents of a unit, each batch while the one before is written: a disk, and the one thread that
    /// counts and checks what goes to it, would else keep all threads waiting. With one thread there is nothing to win.
    /// Tried and not faster with two: batches handed to the threads before the one before is done (short documents were a
    /// tenth slower).
    fn read_and_write(
        &self,
        unit: &Unit,
        lines: &mut LinesBefore,
        sink: RejectSink<'_>,
        before: u64,
    ) -> Result<(FileTallies, Written<'r>, Passed)> {
        let (mut written, mut passed) = (Written::new(self.writers(unit.number)), Passed::default());
        let mut encoded_by = |batch: Batch, hand_on: &mut dyn FnMut(EncodedBatch) -> Result<()>| {
            let start = Instant::now();
            let documents = self.encode_batch(&batch.documents)?;
            passed.encoding += start.elapsed().as_secs_f64();
            let start = Instant::now();
            hand_on(EncodedBatch { documents, files: batch.files })?;
            passed.handing_on += start.elapsed().as_secs_f64();
            Ok(())
        };
        if rayon::current_num_threads() == 1 {
            let mut work = |batch| encoded_by(batch, &mut |encoded| written.write(encoded));
            let read = self.reading.for_each_batch(&unit.parts, lines, sink, before, &mut work)?;
            return Ok((read, written, passed));
        }
        let (read, written) = std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            let writing = scope.spawn(move || -> Result<Written<'r>> {
                receiver.into_iter().try_for_each(|encoded| written.write(encoded))?;
                Ok(written)
            });
            // The writer is gone only after an error of its own, which is given instead of this one.
            let gone = |_| Error::Interrupted { stage: "writing shards" };
            let mut work = |batch| encoded_by(batch, &mut |encoded| sender.send(encoded).map_err(gone));
            let read = self.reading.for_each_batch(&unit.parts, lines, sink, before, &mut work);
            drop(sender);
            (read, writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let written = written?;
        Ok((read?, written, passed))
    }

    fn writers(&self, unit: usize) -> [SplitWriter<'r>; 2] {
        let (tokenizer, output, settings) = (self.tokenizer, self.output, self.settings);
        Split::ALL.map(|split| SplitWriter { tokenizer, output, settings, unit, split, writer: None, done: Vec::new() })
    }

    /// Encodes documents on all threads; the results are in the order of the documents.
    fn encode_batch(&self, batch: &[Document]) -> Result<Vec<Encoded>> {
        let scratch = || (Encoder::new(self.tokenizer), Vec::new());
        let documents = batch.par_iter().with_max_len((batch.len() / SHARES).max(1));
        let encoded = documents.map_init(scratch, |(encoder, ids), document| self.encode(document, encoder, ids));
        let encoded: Vec<Result<Encoded>> = encoded.collect();
        encoded.into_iter().collect()
    }

    /// Encodes a document; `ids` is room for them.
    fn encode(&self, document: &Document, encoder: &mut Encoder<'_>, ids: &mut Vec<TokenId>) -> Result<Encoded> {
        ids.clear();
        // A token has about four bytes. Of a very long document more is never held, as it would be when room is doubled.
        ids.reserve(document.text.len() / 4 + 2);
        ids.extend(self.settings.boundaries.bos);
        let place = |error: Error| error.in_document(&*document.origin.file, document.origin.line);
        encoder.encode_into(&document.text, ids).map_err(place)?;
        let of_shard = |fault| Error::Shard { path: self.output.to_owned(), fault };
        let packed = PackedIds::new(ids, self.tokenizer.spec().vocab_size()).map_err(of_shard)?;
        // Bytes are counted from the ids, so that the accounting would show it if they stood for less than the text.
        let text_bytes = self.text_lengths.sum(ids);
        let of_text = document.text.len() as u64;
        if self.tokenizer.changes_text() && text_bytes != of_text {
            return Err(place(TokenizerFault::ChangedText { of_text, of_ids: text_bytes }.into()));
        }
        let hash = hash_of_text(&document.text);
        Ok(Encoded { hash, split: split_by(hash, self.share), ids: packed, text_bytes })
    }
}

/// The documents of a batch as ids, and the numbers of their files.
struct EncodedBatch {
    documents: Vec<Encoded>,
    files: Vec<usize>,
}

/// Seconds of the thread that reads and encodes.
#[derive(Default)]
struct Passed {
    encoding: f64,
    /// Writing, or waiting for it.
    handing_on: f64,
}

/// Documents and bytes that were written, by file.
type Out = BTreeMap<usize, [u64; 2]>;

/// What was written of a unit.
struct Written<'r> {
    writers: [SplitWriter<'r>; 2],
    split: SplitBounds,
    out: Out,
    seconds: f64,
}

impl<'r> Written<'r> {
    fn new(writers: [SplitWriter<'r>; 2]) -> Self {
        Self { writers, split: SplitBounds::default(), out: Out::new(), seconds: 0.0 }
    }

    fn write(&mut self, batch: EncodedBatch) -> Result<()> {
        let start = Instant::now();
        for (document, file) in batch.documents.into_iter().zip(batch.files) {
            let [documents, bytes] = self.out.entry(file).or_default();
            *documents += 1;
            *bytes += document.text_bytes;
            self.split.add(document.hash, document.split);
            self.writers[document.split as usize].push(&document)?;
        }
        self.seconds += start.elapsed().as_secs_f64();
        Ok(())
    }
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
    fn push(&mut self, document: &Encoded) -> Result<()> {
        if self
            .writer
            .as_ref()
            .is_some_and(|writer| writer.file_bytes_with(document.ids.tokens()) > self.settings.shard_size)
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
        writer.push_packed(&document.ids, document.text_bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_summed_as_they_are() {
        let all = vec![0, 1, 127, 128, 129, 70_000, 3];
        let lengths = TextLengths::new(all.clone());
        for ids in [&[][..], &[1, 2, 2, 6], &[0, 3], &[4, 6, 4], &[5, 1, 5, 2]] {
            assert_eq!(lengths.sum(ids), ids.iter().map(|id: &TokenId| u64::from(all[*id as usize])).sum::<u64>());
        }
    }
}
