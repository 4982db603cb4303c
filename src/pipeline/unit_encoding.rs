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
        Ok(UnitRecord { parts: unit.parts.clone(), read, place: lines.place(), shards, rejects, counts: None })
    }

    /// Encodes the documents of a unit, each batch while the one before is written: a disk, and the one thread that
    /// counts and checks what goes to it, would else keep all threads waiting. With one thread there is nothing to win.
    /// Flushing every four megabytes of ids there, so that less is left for the end, changed nothing that could be measured.
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
        let encode = |encoder: &mut Encoder<'_>, document: &Document| -> Result<Encoded> {
            // A token has about four bytes.
            let mut ids = Vec::with_capacity(document.text.len() / 4 + 2);
            ids.extend(self.settings.boundaries.bos);
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
    out: Out,
    seconds: f64,
}

impl<'r> Written<'r> {
    fn new(writers: [SplitWriter<'r>; 2]) -> Self {
        Self { writers, out: Out::new(), seconds: 0.0 }
    }

    fn write(&mut self, batch: EncodedBatch) -> Result<()> {
        let start = Instant::now();
        for (document, file) in batch.documents.into_iter().zip(batch.files) {
            let [documents, bytes] = self.out.entry(file).or_default();
            *documents += 1;
            *bytes += document.text_bytes;
            self.writers[document.split as usize].push(&document.ids, document.text_bytes)?;
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
