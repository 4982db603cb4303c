//! The stage that encodes files to shards.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::documents::{BadRecords, FileTallies, MaxBad, ReadTally, RejectSink, sum_of};
use super::files::{REJECTS_FILE, TOKENIZER_FILE, save_tokenizer};
use super::progress::{Progress, Unit as Count};
use super::reading::{LinesBefore, Reading, readers};
use super::settings::{Settings, settings_of};
use super::split::{ValFraction, split_of};
use super::treatment::Treatment;
use super::units::{Plan, UnitRecord, Units};
use crate::encode::{Encoder, Tokenizer};
use crate::error::{Error, Result, TokenizerFault};
use crate::shard::{
    AtomicFile, InputEntry, MANIFEST_VERSION, Manifest, ShardEntry, ShardWriter, Split, TokenizerEntry, sweep_temporary,
};
use crate::text::{Document, InputFile, ReadOptions, RejectLog, Source, Unit, plan_units};

/// Settings of encoding files.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EncodeSettings {
    /// Input files are worked on in units of about so many bytes; each gives at most one shard a split.
    pub unit_size: u64,
    /// The share of documents that are held out.
    pub val: ValFraction,
    /// What to do with records that are no documents.
    pub on_bad_record: BadRecords,
    /// How many of them there may be. Two runs may differ in it: a run that has failed by it goes on with a higher one.
    #[serde(skip)]
    pub max_bad: Option<MaxBad>,
}

impl Default for EncodeSettings {
    fn default() -> Self {
        Self { unit_size: 256 << 20, val: ValFraction::Of(0.0), on_bad_record: BadRecords::default(), max_bad: None }
    }
}

/// A folder of shards, and how long its making took.
#[derive(Debug, Clone)]
pub struct EncodedFolder {
    /// What is in it.
    pub manifest: Manifest,
    /// Seconds of reading, encoding and writing. Reading does not wait for the others, but they follow each other.
    pub seconds: EncodeSeconds,
}

/// Seconds of the parts of encoding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct EncodeSeconds {
    /// Reading and parsing files.
    pub read: f64,
    /// Text to ids.
    pub encode: f64,
    /// Ids to shards.
    pub write: f64,
}

/// Encodes the documents of `source` into shards in `output`, which must be locked by the caller. What an earlier run
/// with the same inputs and settings has finished is taken over; if that is all, nothing is done.
///
/// # Errors
///
/// [`Error::OtherSettings`] when the folder was made otherwise, [`Error::NoDocuments`], [`Error::Accounting`],
/// [`Error::TooManyBad`], those of reading, encoding and writing, [`Error::Interrupted`].
pub fn encode(
    tokenizer: &Tokenizer,
    source: &Source,
    options: &ReadOptions,
    settings: &EncodeSettings,
    output: &Path,
    progress: &Progress<'_>,
) -> Result<EncodedFolder> {
    settings.val.check()?;
    let plan = Plan {
        settings: all_settings(options, settings),
        inputs: inputs(source, progress)?,
        tokenizer: Some(tokenizer.fingerprint()),
    };
    if let Some(manifest) = Manifest::load(output)? {
        let there = Plan {
            settings: manifest.settings.clone(),
            inputs: manifest.inputs.clone(),
            tokenizer: Some(manifest.tokenizer.fingerprint),
        };
        plan.require_same(output, &there)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(EncodedFolder { manifest, seconds: EncodeSeconds::default() });
    }
    for folder in Split::ALL.map(|split| output.join(split.folder())) {
        fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        sweep_temporary(&folder)?;
    }
    let units = Units::open(output, &plan)?;
    save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE))?;
    let treatment = Treatment::new(&source.files, options, output, progress)?;
    progress.stage("encoding", source.bytes(), Count::Bytes);
    let share = settings.val.share(source.bytes());
    let reading = Reading { files: &source.files, options, treatment: &treatment, progress, readers: readers() };
    let mut run = Run { tokenizer, reading, settings, share, output, seconds: EncodeSeconds::default() };
    let planned = plan_units(&source.files, settings.unit_size, options)?;
    let (mut records, mut files) = (Vec::new(), FileTallies::new());
    let (mut before, mut lines) = (0, LinesBefore::default());
    for unit in &planned {
        let record = match units.done(unit.number, &unit.parts)? {
            Some(record) => record,
            None => {
                remove_shards(unit, output)?;
                let record = run.unit(unit, lines, &units.rejects(unit.number), before)?;
                units.finish(unit.number, &record)?;
                record
            }
        };
        for (file, tally) in &record.read {
            files.entry(*file).or_default().add(tally);
        }
        before += unit.bytes();
        lines = record.lines;
        progress.done(before);
        records.push(record);
        if let Some(limit @ MaxBad::Records(_)) = settings.max_bad {
            // Not only at the end, which may be hours away.
            limit.check(&sum_of(&files)?.documents).or_else(|error| {
                join_rejects(&units, &records, output)?;
                Err(error)
            })?;
        }
    }
    join_rejects(&units, &records, output)?;
    let manifest = fold(tokenizer, plan, &records, &files, settings.max_bad)?;
    manifest.save(output)?;
    units.remove()?;
    Ok(EncodedFolder { manifest, seconds: run.seconds })
}

pub(super) fn all_settings(options: &ReadOptions, settings: &EncodeSettings) -> Settings {
    let mut all = settings_of(options);
    all.extend(settings_of(settings));
    all
}

/// Names, lengths and checksums of the inputs.
pub(super) fn inputs(source: &Source, progress: &Progress<'_>) -> Result<Vec<InputEntry>> {
    let entry = |file: &InputFile| -> Result<InputEntry> {
        let path = file.path.display().to_string();
        if path == "-" {
            return Ok(InputEntry { path, ..InputEntry::default() });
        }
        Ok(InputEntry { path, bytes: file.bytes, checksum: checksum(&file.path, progress)?, ..InputEntry::default() })
    };
    let entries: Vec<Result<InputEntry>> = source.files.par_iter().map(entry).collect();
    entries.into_iter().collect()
}

/// The checksum of a file.
pub(super) fn checksum(path: &Path, progress: &Progress<'_>) -> Result<String> {
    progress.check("reading text")?;
    let mut hash = Xxh3::new();
    let copied = fs::File::open(path).and_then(|mut input| std::io::copy(&mut input, &mut hash));
    copied.map_err(|error| Error::io("read", path, error))?;
    Ok(format!("{:032x}", hash.digest128()))
}

/// What all units of a run share.
struct Run<'r> {
    tokenizer: &'r Tokenizer,
    reading: Reading<'r>,
    settings: &'r EncodeSettings,
    share: f64,
    output: &'r Path,
    seconds: EncodeSeconds,
}

/// A document as ids.
struct Encoded {
    split: Split,
    ids: Vec<u32>,
    text_bytes: u64,
}

impl Run<'_> {
    /// Encodes one unit to its shards. The unit before it ended at `lines`.
    fn unit(&mut self, unit: &Unit, mut lines: LinesBefore, rejects: &Path, before: u64) -> Result<UnitRecord> {
        let mut writers: [Option<ShardWriter>; 2] = [None, None];
        let mut log = RejectLog::new(rejects);
        let sink = match self.settings.on_bad_record {
            BadRecords::Quarantine => RejectSink::Keep(&mut log),
            BadRecords::Skip => RejectSink::Count,
            BadRecords::Fail => RejectSink::Fail,
        };
        let begun = Instant::now();
        let (mut encode, mut write) = (0.0, 0.0);
        // What is out is what is written, counted there, not what was handed on.
        let mut out: BTreeMap<usize, [u64; 2]> = BTreeMap::new();
        let mut read = self.reading.for_each_batch(&unit.parts, &mut lines, sink, before, &mut |batch| {
            let start = Instant::now();
            let encoded = self.encode_batch(&batch.documents)?;
            encode += start.elapsed().as_secs_f64();
            let start = Instant::now();
            for (document, file) in encoded.into_iter().zip(batch.files) {
                let [documents, bytes] = out.entry(file).or_default();
                *documents += 1;
                *bytes += document.text_bytes;
                let slot = &mut writers[document.split as usize];
                let writer = match slot {
                    Some(writer) => writer,
                    None => slot.insert(self.writer(unit, document.split)?),
                };
                writer.push(&document.ids, document.text_bytes)?;
            }
            write += start.elapsed().as_secs_f64();
            Ok(())
        })?;
        self.seconds.read += begun.elapsed().as_secs_f64() - encode - write;
        self.seconds.encode += encode;
        let begun = Instant::now();
        let rejects = log.finish()?;
        let mut shards = Vec::new();
        for (file, tally) in &mut read {
            [tally.documents.left, tally.bytes.left] = out.get(file).copied().unwrap_or_default();
        }
        for (split, writer) in Split::ALL.into_iter().zip(writers) {
            let Some(writer) = writer else { continue };
            let written = writer.finish()?;
            shards.push(ShardEntry {
                name: shard_name(unit, split),
                split,
                documents: written.info.documents,
                tokens: written.info.tokens,
                bytes: written.info.text_bytes,
                file_bytes: written.file_bytes,
                checksum: format!("{:016x}", written.checksum),
            });
        }
        self.seconds.write += write + begun.elapsed().as_secs_f64();
        Ok(UnitRecord { parts: unit.parts.clone(), read, lines, shards, rejects })
    }

    fn writer(&self, unit: &Unit, split: Split) -> Result<ShardWriter> {
        let spec = self.tokenizer.spec();
        let path = self.output.join(shard_name(unit, split));
        ShardWriter::create(&path, spec.vocab_size(), spec.special().end_of_text(), self.tokenizer.fingerprint())
    }

    /// Encodes documents on all threads; the results are in the order of the documents.
    fn encode_batch(&self, batch: &[Document]) -> Result<Vec<Encoded>> {
        let lengths = self.tokenizer.text_lengths();
        let encode = |encoder: &mut Encoder<'_>, document: &Document| -> Result<Encoded> {
            let mut ids = Vec::new();
            let place = |error: Error| error.in_document(&*document.origin.file, document.origin.line);
            encoder.encode_into(&document.text, &mut ids).map_err(place)?;
            // Bytes are counted from the ids, so that the accounting would show it if they stood for less than the text.
            let text_bytes: u64 = ids.iter().map(|&id| u64::from(lengths[id as usize])).sum();
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

fn shard_name(unit: &Unit, split: Split) -> String {
    format!("{}/{:06}.shard", split.folder(), unit.number)
}

/// Takes shards away that a run which cut its units otherwise has left.
fn remove_shards(unit: &Unit, output: &Path) -> Result<()> {
    for split in Split::ALL {
        let path = output.join(shard_name(unit, split));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("remove", path, error)),
            _ => {}
        }
    }
    Ok(())
}

/// The manifest of all units, if what went in is accounted for.
fn fold(
    tokenizer: &Tokenizer,
    plan: Plan,
    records: &[UnitRecord],
    files: &FileTallies,
    max_bad: Option<MaxBad>,
) -> Result<Manifest> {
    let mut read = sum_of(files)?;
    // What the shards say that they hold.
    let shards = || records.iter().flat_map(|record| &record.shards);
    read.documents.left = shards().map(|shard| shard.documents).sum();
    read.bytes.left = shards().map(|shard| shard.bytes).sum();
    read.check()?;
    max_bad.map_or(Ok(()), |limit| limit.check(&read.documents))?;
    if read.documents.left == 0 {
        return Err(Error::NoDocuments { rejected: read.documents.rejected });
    }
    let mut inputs = plan.inputs;
    for (number, input) in inputs.iter_mut().enumerate() {
        let (documents, bytes) = files.get(&number).map(|tally| (tally.documents, tally.bytes)).unwrap_or_default();
        (input.documents, input.text_bytes) = (Some(documents), Some(bytes));
    }
    let shards: Vec<ShardEntry> = Split::ALL
        .into_iter()
        .flat_map(|split| {
            records
                .iter()
                .flat_map(move |record| record.shards.iter().filter(move |shard| shard.split == split).cloned())
        })
        .collect();
    Ok(Manifest {
        version: MANIFEST_VERSION,
        ciyuan: env!("CARGO_PKG_VERSION").to_owned(),
        settings: plan.settings,
        tokenizer: TokenizerEntry {
            file: TOKENIZER_FILE.to_owned(),
            fingerprint: tokenizer.fingerprint(),
            vocab_size: tokenizer.spec().vocab_size(),
        },
        inputs,
        documents: read.documents,
        bytes: read.bytes,
        repaired_bytes: read.repaired_bytes,
        byte_order_marks: read.byte_order_marks,
        cleaning: read.cleaning,
        tokens: shards.iter().map(|shard| shard.tokens).sum(),
        shards,
        checksum: String::new(),
    })
}

/// Joins the rejects of all units: a Zstandard file is a sequence of frames.
fn join_rejects(units: &Units, records: &[UnitRecord], output: &Path) -> Result<()> {
    let mut all: Option<AtomicFile> = None;
    for (number, _) in records.iter().enumerate().filter(|(_, record)| record.rejects) {
        let path = units.rejects(number);
        let joined = match &mut all {
            Some(joined) => joined,
            None => all.insert(AtomicFile::create(&output.join(REJECTS_FILE))?),
        };
        // Piece by piece: where most of a corpus is rejected, they are as long as it.
        let io = |error| Error::io("read", &path, error);
        let mut reader = std::io::BufReader::with_capacity(1 << 18, fs::File::open(&path).map_err(io)?);
        loop {
            let piece = reader.fill_buf().map_err(io)?;
            if piece.is_empty() {
                break;
            }
            joined.write(piece)?;
            let length = piece.len();
            reader.consume(length);
        }
    }
    all.map_or(Ok(()), AtomicFile::publish)
}

impl ReadTally {
    /// What was read for the shards of a manifest.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let Manifest { documents, bytes, repaired_bytes, byte_order_marks, ref cleaning, .. } = *manifest;
        Self { documents, bytes, repaired_bytes, byte_order_marks, cleaning: cleaning.clone() }
    }
}
