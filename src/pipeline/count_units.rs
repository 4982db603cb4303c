//! Counting by units: what a unit gives is a file of counts beside its record, and all of them become one.
//!
//! The units are those of encoding (`ranks.rs`). Counts are a monoid, so the file at the end is that of counting all in one
//! process, byte for byte.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use serde::{Deserialize, Serialize};

use super::counting::hash_of_dictionaries;
use super::counts::{Part, Scratch, sum_of_parts, write_counts};
use super::documents::{BadRecords, FileTallies, MaxBad, ReadTally, sum_of};
use super::learning::LearnSettings;
use super::progress::Progress;
use super::reading::{LinesBefore, Reading};
use super::settings::{Settings, require_same, settings_of};
use super::text_counting::TextCounter;
use super::units::{Plan, UnitCounts, UnitRecord, Units, json, parse};
use crate::clean::CleanCounts;
use crate::error::{Error, Result};
use crate::learn::{CountsHead, CountsSettings, Granularity};
use crate::segment::{Han, Segmenter};
use crate::shard::{InputEntry, Tally, write_atomic};
use crate::text::{ReadOptions, Unit};
use crate::vocab::Fingerprint;

/// The counts of a folder that was planned by [`plan_counting`](super::plan_counting).
pub const COUNTS_FILE: &str = "corpus.ciyuan-counts";
/// What says of them what they are; it is written last.
const ABOUT_FILE: &str = "counts.json";

/// What of the settings of learning decides counts, and how they are come by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CountUnits {
    granularity: Granularity,
    pattern: String,
    han: Han,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_dict: Vec<PathBuf>,
    /// Of the user dictionaries: a rank that finds others there would count otherwise.
    dictionary: String,
    pub(super) unit_size: u64,
    on_bad_record: BadRecords,
}

impl CountUnits {
    pub(super) fn new(settings: &LearnSettings, unit_size: u64) -> Result<Self> {
        let LearnSettings { granularity, han, on_bad_record, ref pattern, ref user_dict, .. } = *settings;
        let (pattern, user_dict) = (pattern.clone(), user_dict.clone());
        let dictionary = hash_of(settings)?;
        Ok(Self { granularity, pattern, han, user_dict, dictionary, unit_size, on_bad_record })
    }

    /// With those of reading, by their long flags.
    pub(super) fn all_settings(&self, options: &ReadOptions) -> Settings {
        let mut all = settings_of(options);
        all.extend(settings_of(self));
        all
    }

    /// What the counts are made with.
    pub(super) fn made_with(&self, options: &ReadOptions) -> Result<CountsSettings> {
        Ok(self.learn().counts_settings()?.of_texts_with(options.clean.changes()))
    }

    fn learn(&self) -> LearnSettings {
        let Self { granularity, han, on_bad_record, ref pattern, ref user_dict, .. } = *self;
        let (pattern, user_dict) = (pattern.clone(), user_dict.clone());
        LearnSettings { granularity, pattern, han, user_dict, on_bad_record, ..LearnSettings::default() }
    }
}

fn hash_of(settings: &LearnSettings) -> Result<String> {
    let edges = settings.effective_han().learning();
    Ok(format!("{:016x}", hash_of_dictionaries(edges, &settings.user_dict)?))
}

/// What counts the units of a rank.
pub(super) struct UnitCounter<'r> {
    reading: Reading<'r>,
    segmenter: Segmenter,
    made_with: CountsSettings,
    on_bad_record: BadRecords,
}

impl<'r> UnitCounter<'r> {
    /// # Errors
    ///
    /// [`Error::OtherSettings`] where the dictionaries are not those of the plan in `output`.
    pub(super) fn new(settings: &CountUnits, reading: Reading<'r>, output: &Path) -> Result<Self> {
        let learn = settings.learn();
        let (path, key, here) = (output.to_owned(), "user-dict".to_owned(), hash_of(&learn)?);
        if here != settings.dictionary {
            return Err(Error::OtherSettings { path, key, there: settings.dictionary.clone(), here });
        }
        let made_with = settings.made_with(reading.options)?;
        Ok(Self { reading, segmenter: learn.segmenter()?, made_with, on_bad_record: settings.on_bad_record })
    }

    /// Counts one unit into the file `path`. `before` is how many bytes of input were read before, for the progress.
    pub(super) fn unit(&self, unit: &Unit, path: &Path, before: u64) -> Result<UnitRecord> {
        let scratch = Scratch::new(path.parent().unwrap_or(Path::new("")));
        let (segmenter, made_with, memory) = (&self.segmenter, &self.made_with, self.reading.options.memory);
        let (scratch, on_bad_record) = (&scratch, self.on_bad_record);
        let counter = TextCounter { segmenter, made_with, memory, scratch, share: 0.0, sample: None, on_bad_record };
        let mut lines = LinesBefore::default();
        let (group, read) = counter.count(&self.reading, &unit.parts, &mut lines, before)?;
        let (documents, bytes) = (group.documents, group.bytes);
        let head = CountsHead { settings: made_with.clone(), documents, bytes };
        let ignored = AtomicU64::new(0);
        let mut sum = sum_of_parts(group.parts, &head, scratch, self.reading.progress, &ignored)?;
        let totals = write_counts(path, &head, &mut sum, self.reading.progress, &mut |_, _| Ok(()))?;
        let file_bytes = std::fs::metadata(path).map_err(|error| Error::io("read", path, error))?.len();
        let counts = Some(UnitCounts { documents, bytes, file_bytes, fingerprint: totals.fingerprint });
        let (parts, place) = (unit.parts.clone(), lines.place());
        Ok(UnitRecord { parts, read, place, counts, ..UnitRecord::default() })
    }
}

/// A folder with the counts of a corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedFolder {
    /// Version of this program.
    pub ciyuan: String,
    /// The settings that decided the counts.
    pub settings: Settings,
    /// The files that were counted.
    pub inputs: Vec<InputEntry>,
    /// Documents read; `left` are those that were counted.
    pub documents: Tally,
    /// Bytes of text, likewise.
    pub bytes: Tally,
    /// What was done to texts.
    #[serde(default, skip_serializing_if = "CleanCounts::is_empty")]
    pub cleaning: CleanCounts,
    /// The file of counts, in the folder.
    pub counts: String,
    /// Distinct pre-tokens.
    pub distinct_pre_tokens: u64,
    /// Of the pre-tokens and their counts.
    pub counts_fingerprint: Fingerprint,
}

impl CountedFolder {
    /// What is said of the counts of a folder that is complete.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(ABOUT_FILE);
        match std::fs::read(&path) {
            Ok(text) => parse(&path, &text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    /// Fails with what differs between what the folder was made by and `plan`.
    pub(super) fn require_same(&self, folder: &Path, plan: &Plan) -> Result<()> {
        require_same(folder, &self.settings, &plan.settings)?;
        let (settings, inputs) = (self.settings.clone(), self.inputs.clone());
        plan.require_same(folder, &Plan { settings, inputs, tokenizer: None })
    }
}

/// What the units came to so far, given in their order.
#[derive(Default)]
pub(super) struct CountsFold {
    files: FileTallies,
    units: Vec<usize>,
    documents: u64,
    bytes: u64,
}

impl CountsFold {
    pub(super) fn add(&mut self, unit: usize, record: &UnitRecord) {
        for (file, tally) in &record.read {
            self.files.entry(*file).or_default().add(tally);
        }
        if let Some(counts) = &record.counts {
            self.units.push(unit);
            self.documents += counts.documents;
            self.bytes += counts.bytes;
        }
    }

    /// Writes the counts of all units, says what they are, and takes the records of the units away.
    ///
    /// # Errors
    ///
    /// [`Error::Accounting`], [`Error::TooManyBad`], [`Error::NoDocuments`], [`Error::Counts`] for a damaged file of a
    /// unit, [`Error::Io`].
    pub(super) fn finish(
        self,
        made_with: CountsSettings,
        plan: Plan,
        units: Units,
        output: &Path,
        max_bad: Option<MaxBad>,
        progress: &Progress<'_>,
    ) -> Result<CountedFolder> {
        let tally: ReadTally = sum_of(&self.files)?;
        max_bad.map_or(Ok(()), |limit| limit.check(&tally.documents))?;
        if tally.documents.left == 0 {
            return Err(Error::NoDocuments { rejected: tally.documents.rejected });
        }
        let head = CountsHead { settings: made_with, documents: self.documents, bytes: self.bytes };
        let parts = self.units.iter().map(|&unit| Part::File(units.counts(unit))).collect();
        let scratch = Scratch::new(&units.file(""));
        let ignored = AtomicU64::new(0);
        let mut sum = sum_of_parts(parts, &head, &scratch, progress, &ignored)?;
        let totals = write_counts(&output.join(COUNTS_FILE), &head, &mut sum, progress, &mut |_, _| Ok(()))?;
        let mut inputs = plan.inputs;
        for (number, input) in inputs.iter_mut().enumerate() {
            let tally = self.files.get(&number).map(|tally| (tally.documents, tally.bytes));
            let (documents, bytes) = tally.unwrap_or_default();
            (input.documents, input.text_bytes) = (Some(documents), Some(bytes));
        }
        let folder = CountedFolder {
            ciyuan: env!("CARGO_PKG_VERSION").to_owned(),
            settings: plan.settings,
            inputs,
            documents: tally.documents,
            bytes: tally.bytes,
            cleaning: tally.cleaning,
            counts: COUNTS_FILE.to_owned(),
            distinct_pre_tokens: totals.distinct,
            counts_fingerprint: totals.fingerprint,
        };
        write_atomic(&output.join(ABOUT_FILE), &json(&folder))?;
        drop((sum, scratch));
        units.remove()?;
        Ok(folder)
    }
}
