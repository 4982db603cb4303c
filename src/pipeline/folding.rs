//! The records of all units become one manifest and one file of rejects.
//!
//! A sum in the order of the units, which one process makes as it goes and `merge` from the records that ranks have left:
//! the same records give the same bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use super::documents::{FileTallies, MaxBad, ReadTally, sum_of};
use super::files::{REJECTS_FILE, TOKENIZER_FILE};
use super::reading::Place;
use super::units::{Plan, UnitRecord, Units};
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::shard::{AtomicFile, MANIFEST_VERSION, Manifest, ShardEntry, Split, Tally, TokenizerEntry};
use crate::text::{Extent, Part, RejectLine};

/// What the units came to so far, given in their order.
#[derive(Default)]
pub(super) struct Fold {
    files: FileTallies,
    documents: Tally,
    shards: [Vec<ShardEntry>; 2],
    /// Units that have rejects, and where in their file they begin.
    rejects: Vec<(usize, Place)>,
    /// The file that the last unit ended in, and where.
    end: (usize, Place),
}

impl Fold {
    /// Where in its file the next unit begins.
    pub(super) fn place(&self, parts: &[Part]) -> Place {
        match parts.first() {
            Some(Part { file, extent, .. }) if begins_within(extent) && *file == self.end.0 => self.end.1,
            _ => Place::default(),
        }
    }

    /// Adds the next unit.
    pub(super) fn add(&mut self, unit: usize, record: UnitRecord) {
        let before = self.place(&record.parts);
        if let Some(last) = record.parts.last() {
            // Only a unit of one part begins within a file.
            self.end = (last.file, before + record.place);
        }
        for (file, tally) in &record.read {
            self.files.entry(*file).or_default().add(tally);
            self.documents.add(tally.documents);
        }
        if record.rejects {
            self.rejects.push((unit, before));
        }
        for shard in record.shards {
            self.shards[shard.split as usize].push(shard);
        }
    }

    /// The documents so far.
    pub(super) fn documents(&self) -> Tally {
        self.documents
    }

    /// Writes the rejects of all units as one file: a Zstandard file is a sequence of frames. None is written where there
    /// are none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn join_rejects(&self, units: &Units, output: &Path) -> Result<()> {
        if self.rejects.is_empty() {
            return Ok(());
        }
        let mut all = AtomicFile::create(&output.join(REJECTS_FILE))?;
        for &(unit, before) in &self.rejects {
            let path = units.rejects(unit);
            let read = |error| Error::io("read", &path, error);
            let mut file = File::open(&path).map_err(read)?;
            if before != Place::default() {
                all.write(&further_down(file, before).map_err(read)?)?;
                continue;
            }
            let mut buffer = vec![0; 1 << 16];
            loop {
                match file.read(&mut buffer).map_err(read)? {
                    0 => break,
                    length => all.write(&buffer[..length])?,
                }
            }
        }
        all.publish()
    }

    /// Writes what belongs to all units, the manifest last, and takes the records of the units away.
    ///
    /// # Errors
    ///
    /// [`Error::Accounting`], [`Error::TooManyBad`], [`Error::NoDocuments`], [`Error::Io`].
    pub(super) fn finish(
        self,
        tokenizer: &Tokenizer,
        plan: Plan,
        units: Units,
        output: &Path,
        max_bad: Option<MaxBad>,
    ) -> Result<Manifest> {
        self.join_rejects(&units, output)?;
        let manifest = self.manifest(tokenizer, plan, max_bad)?;
        remove_strays(&manifest, output)?;
        manifest.save(output)?;
        units.remove()?;
        Ok(manifest)
    }

    /// The manifest of all units, if what went in is accounted for.
    fn manifest(self, tokenizer: &Tokenizer, plan: Plan, max_bad: Option<MaxBad>) -> Result<Manifest> {
        let shards = self.shards.concat();
        let mut read: ReadTally = sum_of(&self.files)?;
        // What the shards say that they hold.
        read.documents.left = shards.iter().map(|shard| shard.documents).sum();
        read.bytes.left = shards.iter().map(|shard| shard.bytes).sum();
        read.check()?;
        max_bad.map_or(Ok(()), |limit| limit.check(&read.documents))?;
        if read.documents.left == 0 {
            return Err(Error::NoDocuments { rejected: read.documents.rejected });
        }
        let mut inputs = plan.inputs;
        for (number, input) in inputs.iter_mut().enumerate() {
            let tally = self.files.get(&number).map(|tally| (tally.documents, tally.bytes));
            let (documents, bytes) = tally.unwrap_or_default();
            (input.documents, input.text_bytes) = (Some(documents), Some(bytes));
        }
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
}

/// Whether a part begins within its file, and its places are counted from there.
fn begins_within(extent: &Extent) -> bool {
    matches!(extent, Extent::Bytes(range) | Extent::Frames(range) if range.start > 0)
}

/// The rejects of a unit that begins at a place of their file.
fn further_down(rejects: File, place: Place) -> std::io::Result<Vec<u8>> {
    let mut out = zstd::Encoder::new(Vec::new(), 3)?;
    for line in BufReader::new(zstd::Decoder::new(rejects)?).lines() {
        let mut reject: RejectLine = serde_json::from_str(&line?)?;
        reject.line += place.lines;
        reject.offset += place.bytes;
        serde_json::to_writer(&mut out, &reject)?;
        out.write_all(b"\n")?;
    }
    out.finish()
}

/// Takes shards away that belong to no unit, as those of a run which cut its units otherwise.
fn remove_strays(manifest: &Manifest, output: &Path) -> Result<()> {
    let names: BTreeSet<&str> = manifest.shards.iter().map(|shard| shard.name.as_str()).collect();
    for split in Split::ALL {
        let folder = output.join(split.folder());
        let error = |error| Error::io("sweep", &folder, error);
        for entry in std::fs::read_dir(&folder).map_err(error)? {
            let name = entry.map_err(error)?.file_name().to_string_lossy().into_owned();
            let stem = name.strip_suffix(".shard").or_else(|| name.strip_suffix(".shard.tmp"));
            let ours = stem.is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'));
            let name = format!("{}/{name}", split.folder());
            if ours && !names.contains(name.as_str()) {
                std::fs::remove_file(output.join(&name)).map_err(error)?;
            }
        }
    }
    Ok(())
}

impl ReadTally {
    /// What was read for the shards of a manifest.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let Manifest { documents, bytes, repaired_bytes, byte_order_marks, ref cleaning, .. } = *manifest;
        Self { documents, bytes, repaired_bytes, byte_order_marks, cleaning: cleaning.clone() }
    }
}
