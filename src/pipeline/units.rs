//! A folder of shards in the making: what was planned, and which units are done.
//!
//! `.units/plan.json` holds the settings, inputs and tokenizer that the units belong to; `.units/000017.json` is written
//! when all of unit 17 lies under its final names, with what it was made from. A run that finds them takes over those that
//! it would make the same ([`Origin`]).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::documents::FileTallies;
use super::origin::{InputChange, Origin};
use super::progress::Progress;
use super::reading::Place;
use super::settings::{Settings, require_same};
use super::split::SplitBounds;
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{InputEntry, Manifest, Shard, ShardEntry, sync_folder, write_atomic};
use crate::text::{Part, Unit};
use crate::vocab::Fingerprint;

/// What the units belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    pub(super) inputs: Vec<InputEntry>,
    /// The tokenizer, where it was given and not learned.
    pub(super) tokenizer: Option<Fingerprint>,
}

impl Plan {
    /// Fails with what differs between the plan of `folder` and this one.
    pub(super) fn require_same(&self, folder: &Path, there: &Self) -> Result<()> {
        self.require_same_but_inputs(folder, there)?;
        let other = |key: &str, there: String, here: String| Error::OtherSettings {
            path: folder.to_owned(),
            key: key.to_owned(),
            there,
            here,
        };
        if there.inputs.len() != self.inputs.len() {
            return Err(other("number of input files", there.inputs.len().to_string(), self.inputs.len().to_string()));
        }
        // What was read of a file is known at the end.
        let is_same = |there: &InputEntry, here: &InputEntry| {
            (&there.path, there.bytes, &there.checksum) == (&here.path, here.bytes, &here.checksum)
        };
        let text = |entry: &InputEntry| format!("{} ({} bytes, checksum {})", entry.path, entry.bytes, entry.checksum);
        match there.inputs.iter().zip(&self.inputs).find(|(there, here)| !is_same(there, here)) {
            Some((there, here)) => Err(other("input file", text(there), text(here))),
            None => Ok(()),
        }
    }

    fn require_same_but_inputs(&self, folder: &Path, there: &Self) -> Result<()> {
        require_same(folder, &there.settings, &self.settings)?;
        if there.tokenizer == self.tokenizer {
            return Ok(());
        }
        let text = |fingerprint: Option<Fingerprint>| {
            fingerprint.map_or_else(|| "none".to_owned(), |fingerprint| fingerprint.to_string())
        };
        let (path, key) = (folder.to_owned(), "tokenizer".to_owned());
        Err(Error::OtherSettings { path, key, there: text(there.tokenizer), here: text(self.tokenizer) })
    }

    /// The plan of a folder that is complete.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let (settings, inputs) = (manifest.settings.clone(), manifest.inputs.clone());
        Self { settings, inputs, tokenizer: Some(manifest.tokenizer.fingerprint) }
    }
}

impl Plan {
    /// Keeps the plan of `folder` in a file; if one is there already, it must be the same, but where nothing of the folder
    /// `is_done` yet it may be of other inputs.
    pub(super) fn keep(&self, folder: &Path, path: &Path, is_done: bool) -> Result<()> {
        match Self::load(path)? {
            Some(there) if is_done => self.require_same(folder, &there),
            Some(there) if there == *self => Ok(()),
            there => {
                there.map_or(Ok(()), |there| self.require_same_but_inputs(folder, &there))?;
                write_atomic(path, &json(self))
            }
        }
    }

    /// The plan that was kept in a file.
    fn load(path: &Path) -> Result<Option<Self>> {
        match std::fs::read(path) {
            Ok(text) => parse(path, &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }
}

/// A record as it lies on disk. (No flattened struct: those of JSON have no numbers for keys.)
#[derive(Serialize, Deserialize)]
struct Done<R> {
    /// The name of what the unit was made from.
    made_from: String,
    unit: R,
}

/// What a unit came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnitRecord {
    /// What the unit is: a record of another one, as of a program that cut otherwise, is none.
    pub(super) parts: Vec<Part>,
    /// What was read of each file.
    pub(super) read: FileTallies,
    /// What was read of its last file, which may go on in the next unit.
    pub(super) place: Place,
    /// By which limits its documents are split as they were.
    pub(super) split: SplitBounds,
    pub(super) shards: Vec<ShardEntry>,
    pub(super) rejects: bool,
    /// Where it was counted, not encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counts: Option<UnitCounts>,
}

/// The file of counts of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnitCounts {
    /// Documents that were counted, and the bytes of their text.
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) file_bytes: u64,
    pub(super) fingerprint: Fingerprint,
}

/// How much of a shard is looked at to take it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// All of it.
    Whole,
    /// Its length and its header, whose checksum covers all others: some microseconds.
    Header,
}

/// The folder of the units.
pub(super) struct Units {
    folder: PathBuf,
    output: PathBuf,
    /// What they are made from, when the plan is known.
    origin: OnceLock<Origin>,
}

impl Units {
    /// Opens the units of an output folder, or begins them.
    ///
    /// # Errors
    ///
    /// Those of [`Units::begin`] and [`Units::keep`].
    pub(super) fn open(
        output: &Path,
        plan: &Plan,
        planned: &[Unit],
        redo_changed: bool,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let units = Self::begin(output)?;
        units.keep(plan, planned, redo_changed, progress)?;
        Ok(units)
    }

    /// The units of an output folder whose plan is not known yet: none may be finished before [`Units::keep`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn begin(output: &Path) -> Result<Self> {
        let folder = output.join(".units");
        if !folder.is_dir() {
            std::fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
            sync_folder(output)?;
        }
        Ok(Self { folder, output: output.to_owned(), origin: OnceLock::new() })
    }

    /// Keeps what the units, `planned`, belong to. Units that were begun before must belong to the same settings. Inputs
    /// may have changed where no unit that is done was made from them, or where such units may be done again
    /// (`redo_changed`).
    ///
    /// # Errors
    ///
    /// [`Error::OtherSettings`] and [`Error::InputChanged`] when they were begun otherwise, [`Error::Io`],
    /// [`Error::Manifest`].
    pub(super) fn keep(
        &self,
        plan: &Plan,
        planned: &[Unit],
        redo_changed: bool,
        progress: &Progress<'_>,
    ) -> Result<()> {
        let (path, origin) = (self.folder.join("plan.json"), Origin::of(plan));
        match Plan::load(&path)? {
            Some(there) => {
                plan.require_same_but_inputs(&self.output, &there)?;
                if let Some(change) = InputChange::between(&there.inputs, &plan.inputs) {
                    let lost = self.lost(&Origin::of(&there), &origin, planned)?;
                    if !lost.is_empty() && !redo_changed {
                        return Err(change.error(&self.output));
                    }
                    progress.note(change.note(lost.len()));
                    for path in lost {
                        std::fs::remove_file(&path).map_err(|error| Error::io("remove", path, error))?;
                    }
                    write_atomic(&path, &json(plan))?;
                }
            }
            None => write_atomic(&path, &json(plan))?,
        }
        self.origin.get_or_init(|| origin);
        Ok(())
    }

    /// The records of units that are done by the plan as it was and not by this one.
    fn lost(&self, there: &Origin, here: &Origin, planned: &[Unit]) -> Result<Vec<PathBuf>> {
        let read = |error| Error::io("read", &self.folder, error);
        let mut lost = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(read)? {
            let name = entry.map_err(read)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            let Some(number) = number else { continue };
            let Some(Done { made_from, unit }) = self.record(number)? else { continue };
            let is_planned = planned.get(number).is_some_and(|planned| planned.parts == unit.parts);
            if there.holds(&unit, &made_from) && !(is_planned && here.holds(&unit, &made_from)) {
                lost.push(self.path(number, "json"));
            }
        }
        Ok(lost)
    }

    /// The units of an output folder and what they belong to, if they were begun.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Manifest`].
    pub(super) fn load(output: &Path) -> Result<Option<(Self, Plan)>> {
        let folder = output.join(".units");
        let Some(plan) = Plan::load(&folder.join("plan.json"))? else { return Ok(None) };
        let origin = OnceLock::from(Origin::of(&plan));
        Ok(Some((Self { folder, output: output.to_owned(), origin }, plan)))
    }

    /// Takes away what a run that was killed after its manifest stood has left of its units.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn sweep(output: &Path) -> Result<()> {
        let folder = output.join(".units");
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &folder, error)),
            _ => Ok(()),
        }
    }

    /// Whether units of an output folder were begun.
    pub(super) fn are_begun(output: &Path) -> bool {
        output.join(".units").is_dir()
    }

    /// A file of all units.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn path(&self, number: usize, extension: &str) -> PathBuf {
        self.folder.join(format!("{number:06}.{extension}"))
    }

    /// The file by which a process that works on a unit keeps others from it.
    pub(super) fn lock(&self, number: usize) -> PathBuf {
        self.path(number, "lock")
    }

    /// The file of a unit's rejects.
    pub(super) fn rejects(&self, number: usize) -> PathBuf {
        self.path(number, "rejects.zst")
    }

    /// The file of a unit's counts.
    pub(super) fn counts(&self, number: usize) -> PathBuf {
        self.path(number, "counts")
    }

    /// The record of a unit; none where it cannot be read, as that of another version.
    fn record(&self, number: usize) -> Result<Option<Done<UnitRecord>>> {
        let path = self.path(number, "json");
        match std::fs::read(&path) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    /// A unit that is done, if it was made from what the plan names and its shards are as they were written. What is not is
    /// done again.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn done(&self, number: usize, parts: &[Part], check: Check) -> Result<Option<UnitRecord>> {
        // None is done before the plan is known.
        let Some(origin) = self.origin.get() else { return Ok(None) };
        let Some(Done { made_from, unit: record }) = self.record(number)? else { return Ok(None) };
        let whole = |entry: &ShardEntry| {
            Shard::open(&self.output.join(&entry.name)).is_ok_and(|shard| {
                format!("{:016x}", shard.checksum()) == entry.checksum
                    && (check == Check::Header || shard.verify().is_ok())
            })
        };
        // A file of counts is checked as a whole where it is read, which is once.
        let counted = |counts: &UnitCounts| {
            std::fs::metadata(self.counts(number)).is_ok_and(|file| file.len() == counts.file_bytes)
        };
        let is_whole = |record: &UnitRecord| {
            record.parts == parts
                && origin.holds(record, &made_from)
                && record.shards.iter().all(whole)
                && record.counts.iter().all(counted)
        };
        Ok(Some(record).filter(is_whole))
    }

    /// Says that a unit is done.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be written.
    pub(super) fn finish(&self, number: usize, unit: &UnitRecord) -> Result<()> {
        let origin = self.origin.get().expect("a unit is finished when the plan was kept");
        write_atomic(&self.path(number, "json"), &json(&Done { made_from: origin.name(unit), unit }))
    }

    /// Takes the folder of the units away, when the manifest stands.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be removed.
    pub(super) fn remove(self) -> Result<()> {
        std::fs::remove_dir_all(&self.folder).map_err(|error| Error::io("remove", &self.folder, error))
    }
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("strings, numbers and maps with string keys always serialize")
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(path: &Path, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let fault = ManifestFault::Json { reason: error.to_string() };
        Error::Manifest { path: path.to_owned(), fault }
    })
}
