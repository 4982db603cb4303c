//! The plan that ranks work by: `.units/units.json`, beside the settings in `.units/plan.json`.
//!
//! It holds the files with all that is needed to read them, and the parts that each unit is made of, so that no rank walks
//! folders or opens files that it does not read. Whether a file is still what was planned is told by its length and time;
//! only where its time is another one is it read to compare the checksum, so that copies of a corpus are taken too.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::count_units::CountUnits;
use super::encoding::{EncodeSettings, all_settings, checksum};
use super::files::{TOKENIZER_FILE, load_tokenizer};
use super::origin::InputChange;
use super::progress::Progress;
use super::reading::Place;
use super::settings::{Settings, from_settings};
use super::treatment::{SavedDuplicates, Treatment};
use super::units::{Plan, Units, json, parse};
use crate::encode::Tokenizer;
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{InputEntry, write_atomic};
use crate::text::{Compression, Extent, Form, InputFile, Part, ReadOptions, Unit, records_in};

const FILE: &str = "units.json";
const DUPLICATES: &str = "duplicates";

/// A file to read, as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlannedFile {
    path: String,
    form: Form,
    members: Option<Form>,
    compression: Compression,
    bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    modified: Option<u64>,
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct List {
    /// Version of the program: another one may encode otherwise.
    ciyuan: String,
    files: Vec<PlannedFile>,
    units: Vec<Vec<Part>>,
    duplicates: Option<SavedDuplicates>,
    /// Of the plan that it belongs to: another process may have planned anew, and not come to this file.
    plan: String,
    /// Of this file with this field empty.
    checksum: String,
}

impl List {
    fn own_checksum(&self) -> String {
        let open = Self { checksum: String::new(), ..self.clone() };
        format!("{:032x}", xxh3_128(&open.to_json()))
    }

    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and lists always serialize")
    }
}

/// What is done with units.
pub(super) enum Work {
    Encode(EncodeSettings),
    Count(CountUnits),
}

impl Work {
    /// By the settings of a plan: a tokenizer is planned with only where text is encoded.
    fn of(plan: &Plan) -> Option<Self> {
        match plan.tokenizer {
            Some(_) => from_settings(&plan.settings).map(Self::Encode),
            None => from_settings(&plan.settings).map(Self::Count),
        }
    }

    fn all_settings(&self, options: &ReadOptions) -> Settings {
        match self {
            Self::Encode(settings) => all_settings(options, settings),
            Self::Count(settings) => settings.all_settings(options),
        }
    }
}

/// A plan that was opened.
pub(super) struct RankPlan {
    pub(super) plan: Plan,
    pub(super) units: Units,
    pub(super) options: ReadOptions,
    pub(super) work: Work,
    pub(super) files: Vec<InputFile>,
    list: List,
    output: PathBuf,
}

/// Writes the list of units of an output folder.
pub(super) fn save(
    files: &[InputFile],
    planned: Vec<Unit>,
    plan: &Plan,
    units: &Units,
    treatment: &Treatment,
) -> Result<()> {
    let files = files.iter().map(planned_file).collect::<Result<_>>()?;
    let ciyuan = env!("CARGO_PKG_VERSION").to_owned();
    let duplicates = treatment.save_duplicates(&units.file(DUPLICATES))?;
    let parts = planned.into_iter().map(|unit| unit.parts).collect();
    let mut list = List { ciyuan, files, units: parts, duplicates, plan: checksum_of(plan), checksum: String::new() };
    list.checksum = list.own_checksum();
    write_atomic(&units.file(FILE), &list.to_json())
}

fn checksum_of(plan: &Plan) -> String {
    format!("{:032x}", xxh3_128(&json(plan)))
}

fn planned_file(file: &InputFile) -> Result<PlannedFile> {
    let InputFile { form, members, compression, bytes, .. } = *file;
    let name = || Error::Setting {
        name: "INPUT",
        value: file.path.display().to_string(),
        expected: "a file with a name in UTF-8, which other processes find again".to_owned(),
    };
    let path = file.path.to_str().filter(|path| *path != "-").ok_or_else(name)?.to_owned();
    Ok(PlannedFile { path, form, members, compression, bytes, modified: modified(&file.path)?.1 })
}

/// Length of a file, and when it was changed last.
fn modified(path: &Path) -> Result<(u64, Option<u64>)> {
    let metadata = std::fs::metadata(path).map_err(|error| Error::io("read", path, error))?;
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok((metadata.len(), since.map(|since| since.as_nanos() as u64)))
}

impl RankPlan {
    /// Opens the plan of an output folder.
    ///
    /// # Errors
    ///
    /// [`Error::NoPlan`], also for one of other inputs, [`Error::Manifest`] for one that is damaged, [`Error::OtherSettings`] for one of another version.
    pub(super) fn open(output: &Path) -> Result<Self> {
        let none = || Error::NoPlan { path: output.to_owned() };
        let (units, plan) = Units::load(output)?.ok_or_else(none)?;
        let path = units.file(FILE);
        if !path.exists() {
            return Err(none());
        }
        let text = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        let list: List = parse(&path, &text)?;
        let version = env!("CARGO_PKG_VERSION");
        if list.ciyuan != version {
            let (key, there, here) = ("version of ciyuan".to_owned(), list.ciyuan, version.to_owned());
            return Err(Error::OtherSettings { path: output.to_owned(), key, there, here });
        }
        let damaged = |reason: &str| {
            let fault = ManifestFault::Json { reason: reason.to_owned() };
            Error::Manifest { path: path.clone(), fault }
        };
        let got = list.own_checksum();
        if got != list.checksum {
            let fault = ManifestFault::Checksum { expected: list.checksum, got };
            return Err(Error::Manifest { path, fault });
        }
        if list.plan != checksum_of(&plan) {
            return Err(none());
        }
        let known = list.units.iter().flatten().all(|part| part.file < list.files.len());
        if !known || list.files.len() != plan.inputs.len() || list.units.iter().any(Vec::is_empty) {
            return Err(damaged("its units are not those of its files"));
        }
        let (Some(options), Some(work)) = (from_settings(&plan.settings), Work::of(&plan)) else {
            return Err(damaged("its settings cannot be read"));
        };
        if work.all_settings(&options) != plan.settings {
            return Err(damaged("its settings are not those of this program"));
        }
        let file = |file: &PlannedFile| InputFile {
            path: PathBuf::from(&file.path),
            form: file.form,
            members: file.members,
            compression: file.compression,
            bytes: file.bytes,
            spool: None,
        };
        let files = list.files.iter().map(file).collect();
        Ok(Self { plan, units, options, work, files, list, output: output.to_owned() })
    }

    /// How many units there are.
    pub(super) fn count(&self) -> usize {
        self.list.units.len()
    }

    /// The parts of all units.
    pub(super) fn parts(&self) -> &[Vec<Part>] {
        &self.list.units
    }

    /// A unit by its number.
    pub(super) fn unit(&self, number: usize) -> Unit {
        Unit { number, parts: self.list.units[number].clone() }
    }

    /// The tokenizer in the folder, which must be the one that was planned with.
    pub(super) fn tokenizer(&self) -> Result<Tokenizer> {
        let path = self.output.join(TOKENIZER_FILE);
        let tokenizer = load_tokenizer(&path, None, &[])?;
        let got = tokenizer.fingerprint();
        match self.plan.tokenizer {
            Some(expected) if expected != got => {
                Err(Error::Fingerprint { path, expected: expected.to_string(), got: got.to_string() })
            }
            _ => Ok(tokenizer),
        }
    }

    /// What is done to documents, with the duplicates that were found when the plan was made.
    pub(super) fn treatment(&self) -> Result<Treatment> {
        let saved = self.list.duplicates.as_ref();
        Treatment::with_duplicates(&self.files, &self.options, saved, &self.units.file(DUPLICATES))
    }

    /// Checks that a file is the one that was planned.
    ///
    /// # Errors
    ///
    /// [`Error::InputChanged`] that says what differs, [`Error::Missing`].
    pub(super) fn check_file(&self, number: usize, progress: &Progress<'_>) -> Result<()> {
        let (file, planned) = (&self.files[number], &self.list.files[number]);
        let (bytes, modified) = modified(&file.path)?;
        if bytes == planned.bytes && modified == planned.modified {
            return Ok(());
        }
        let checksum = checksum(&file.path, progress)?;
        let here = InputEntry { path: planned.path.clone(), bytes, checksum, ..InputEntry::default() };
        let there = std::slice::from_ref(&self.plan.inputs[number]);
        InputChange::between(there, &[here]).map_or(Ok(()), |change| Err(change.error(&self.output)))
    }

    /// Where in its file a unit begins. The file is read for that, which is only done for a message.
    pub(super) fn place(&self, unit: &Unit) -> Place {
        let Part { file, extent, .. } = &unit.parts[0];
        let before = match extent {
            Extent::Bytes(range) => Extent::Bytes(0..range.start),
            Extent::Frames(range) => Extent::Frames(0..range.start),
            Extent::Whole | Extent::Groups(_) => return Place::default(),
        };
        let Ok(mut records) = records_in(&self.files[*file], &before, &self.options) else {
            return Place::default();
        };
        while let Some(Ok(_)) = records.next() {}
        Place { lines: records.lines(), bytes: records.frame_bytes() }
    }
}
