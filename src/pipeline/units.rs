//! A folder of shards in the making: what was planned, and which units are done.
//!
//! `.units/plan.json` holds the settings, inputs and tokenizer that the units belong to; `.units/000017.json` is written
//! when all of unit 17 lies under its final names. A run that finds them takes them over.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::documents::FileTallies;
use super::reading::Place;
use super::settings::{Settings, require_same};
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{InputEntry, Manifest, Shard, ShardEntry, sync_folder, write_atomic};
use crate::text::Part;
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
        require_same(folder, &there.settings, &self.settings)?;
        let other = |key: &str, there: String, here: String| Error::OtherSettings {
            path: folder.to_owned(),
            key: key.to_owned(),
            there,
            here,
        };
        if there.tokenizer != self.tokenizer {
            let text = |fingerprint: Option<Fingerprint>| {
                fingerprint.map_or_else(|| "none".to_owned(), |fingerprint| fingerprint.to_string())
            };
            return Err(other("tokenizer", text(there.tokenizer), text(self.tokenizer)));
        }
        if there.inputs.len() != self.inputs.len() {
            return Err(other("number of input files", there.inputs.len().to_string(), self.inputs.len().to_string()));
        }
        there
            .inputs
            .iter()
            .zip(&self.inputs)
            .try_for_each(|(there, here)| Self::require_same_input(folder, there, here))
    }

    /// Fails with what differs between a file as it was planned and as it is.
    pub(super) fn require_same_input(folder: &Path, there: &InputEntry, here: &InputEntry) -> Result<()> {
        // What was read of a file is known at the end.
        if (&there.path, there.bytes, &there.checksum) == (&here.path, here.bytes, &here.checksum) {
            return Ok(());
        }
        let text = |entry: &InputEntry| format!("{} ({} bytes, checksum {})", entry.path, entry.bytes, entry.checksum);
        let (path, key) = (folder.to_owned(), "input file".to_owned());
        Err(Error::OtherSettings { path, key, there: text(there), here: text(here) })
    }

    /// The plan of a folder that is complete.
    pub(super) fn of(manifest: &Manifest) -> Self {
        let (settings, inputs) = (manifest.settings.clone(), manifest.inputs.clone());
        Self { settings, inputs, tokenizer: Some(manifest.tokenizer.fingerprint) }
    }
}

impl Plan {
    /// Keeps the plan of `folder` in a file; if one is there already, it must be the same.
    pub(super) fn keep(&self, folder: &Path, path: &Path) -> Result<()> {
        match std::fs::read(path) {
            Ok(text) => self.require_same(folder, &parse(path, &text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_atomic(path, &json(self)),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }
}

/// What a unit came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnitRecord {
    /// What the unit is: a record of another one, as of a program that cut otherwise, is none.
    pub(super) parts: Vec<Part>,
    /// What was read of each file.
    pub(super) read: FileTallies,
    /// What was read of its last file, which may go on in the next unit.
    pub(super) place: Place,
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
}

impl Units {
    /// Opens the units of an output folder, or begins them.
    ///
    /// # Errors
    ///
    /// Those of [`Units::begin`] and [`Units::keep`].
    pub(super) fn open(output: &Path, plan: &Plan) -> Result<Self> {
        let units = Self::begin(output)?;
        units.keep(plan)?;
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
        Ok(Self { folder, output: output.to_owned() })
    }

    /// Keeps what the units belong to; units that were begun before must belong to the same.
    ///
    /// # Errors
    ///
    /// [`Error::OtherSettings`] when they were begun otherwise, [`Error::Io`], [`Error::Manifest`].
    pub(super) fn keep(&self, plan: &Plan) -> Result<()> {
        plan.keep(&self.output, &self.folder.join("plan.json"))
    }

    /// The units of an output folder and what they belong to, if they were begun.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Manifest`].
    pub(super) fn load(output: &Path) -> Result<Option<(Self, Plan)>> {
        let folder = output.join(".units");
        let path = folder.join("plan.json");
        match std::fs::read(&path) {
            Ok(text) => Ok(Some((Self { folder, output: output.to_owned() }, parse(&path, &text)?))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
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

    /// A unit that is done, if its shards are as they were written. What is not is done again.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn done(&self, number: usize, parts: &[Part], check: Check) -> Result<Option<UnitRecord>> {
        let path = self.path(number, "json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", path, error)),
        };
        let Ok(record) = serde_json::from_slice::<UnitRecord>(&text) else {
            return Ok(None);
        };
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
            record.parts == parts && record.shards.iter().all(whole) && record.counts.iter().all(counted)
        };
        Ok(Some(record).filter(is_whole))
    }

    /// Says that a unit is done.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be written.
    pub(super) fn finish(&self, number: usize, record: &UnitRecord) -> Result<()> {
        write_atomic(&self.path(number, "json"), &json(record))
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
