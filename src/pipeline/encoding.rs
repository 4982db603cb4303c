//! The stage that encodes files to shards.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::boundaries::Boundaries;
use super::documents::{BadRecords, MaxBad};
use super::files::{TOKENIZER_FILE, save_tokenizer};
use super::folding::Fold;
use super::progress::{Progress, Unit as Count};
use super::reading::{Reading, readers};
use super::settings::{Settings, settings_of};
use super::space::check_space;
use super::split::ValFraction;
use super::treatment::Treatment;
use super::unit_encoding::UnitEncoder;
use super::units::{Check, Plan, Units};
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::shard::{InputEntry, Manifest, Split, sweep_temporary, sync_folder};
use crate::text::{InputFile, ReadOptions, Source, plan_units};

/// Settings of encoding files.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EncodeSettings {
    /// Input files are worked on in units of about so many bytes; each has its own shards.
    pub unit_size: u64,
    /// Bytes of a shard at most. A document that is longer has a shard for itself.
    pub shard_size: u64,
    /// The share of documents that are held out.
    pub val: ValFraction,
    /// The tokens around each document.
    #[serde(flatten)]
    pub boundaries: Boundaries,
    /// What to do with records that are no documents.
    pub on_bad_record: BadRecords,
    /// How many of them there may be. Two runs may differ in it: a run that has failed by it goes on with a higher one.
    #[serde(skip)]
    pub max_bad: Option<MaxBad>,
    /// Whether units that an earlier run has made from inputs which are others now are done again; else that is an error.
    #[serde(skip)]
    pub redo_changed: bool,
}

impl Default for EncodeSettings {
    fn default() -> Self {
        let (unit_size, shard_size) = (256 << 20, 1 << 30);
        let (val, boundaries) = (ValFraction::Of(0.0), Boundaries::default());
        let on_bad_record = BadRecords::default();
        Self { unit_size, shard_size, val, boundaries, on_bad_record, max_bad: None, redo_changed: false }
    }
}

/// A folder of shards, and how long its making took.
#[derive(Debug, Clone)]
pub struct EncodedFolder {
    /// What is in it.
    pub manifest: Manifest,
    /// Seconds of reading, encoding and writing, which go on beside each other where there are several threads.
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
/// with the same settings has finished of the same inputs is taken over; if that is all, nothing is done.
///
/// # Errors
///
/// [`Error::OtherSettings`] when the folder was made otherwise, [`Error::InputChanged`] when units of it were, unless
/// [`EncodeSettings::redo_changed`], [`Error::NoDocuments`], [`Error::Accounting`],
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
    settings.boundaries.check(tokenizer)?;
    let plan = || -> Result<Plan> {
        let (settings, tokenizer) = (all_settings(options, settings), Some(tokenizer.fingerprint()));
        Ok(Plan { settings, inputs: inputs(source, progress)?, tokenizer })
    };
    if let Some(manifest) = Manifest::load(output)? {
        plan()?.require_same(output, &Plan::of(&manifest))?;
        Units::sweep(output)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(EncodedFolder { manifest, seconds: EncodeSeconds::default() });
    }
    let begun = Units::are_begun(output);
    if !begun {
        check_space(output, &source.files, tokenizer.spec().vocab_size(), progress)?;
    }
    make_folders(output)?;
    let units = Units::begin(output)?;
    let planned = plan_units(&source.files, settings.unit_size, options)?;
    let keep = |plan: Plan| units.keep(&plan, &planned, settings.redo_changed, progress).map(|()| plan);
    let treatment = Treatment::new(&source.files, options, output, progress)?;
    progress.stage("encoding", source.bytes(), Count::Bytes);
    let share = settings.val.share(source.bytes());
    let reading = Reading { files: &source.files, options, treatment: &treatment, progress, readers: readers() };
    let mut encoder = UnitEncoder::new(tokenizer, reading, settings, share, output);
    let (mut fold, mut before) = (Fold::default(), 0);
    // Where there are threads for it, the tokenizer's file is written and the inputs' checksums are made while the first
    // unit is encoded; both are there before it is done. Units that are done already belong to a plan, which comes first.
    let save = || save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE));
    let beside = rayon::current_num_threads() > 1;
    let plan = std::thread::scope(|scope| {
        let mut planning = Beside::new(scope, beside && !begun, || plan().and_then(keep))?;
        let mut saving = Beside::new(scope, beside, save)?;
        for unit in &planned {
            progress.check("encoding")?;
            let record = match units.done(unit.number, &unit.parts, Check::Whole)? {
                Some(record) => record,
                None => {
                    let place = fold.place(&unit.parts);
                    let record = encoder.unit(unit, &units.rejects(unit.number), before);
                    let record = record.map_err(|error| error.further_down(place.lines, place.bytes))?;
                    planning.wait()?;
                    units.finish(unit.number, &record)?;
                    record
                }
            };
            saving.wait()?;
            before += unit.bytes();
            progress.done(before);
            fold.add(unit.number, record);
            if let Some(limit @ MaxBad::Records(_)) = settings.max_bad {
                // Not only at the end, which may be hours away.
                limit.check(&fold.documents()).or_else(|error| {
                    fold.join_rejects(&units, output)?;
                    Err(error)
                })?;
            }
        }
        saving.wait()?;
        planning.done()
    })?;
    let manifest = fold.finish(tokenizer, plan, units, output, settings.max_bad)?;
    Ok(EncodedFolder { manifest, seconds: encoder.seconds() })
}

/// Work that goes on beside other work, or was done before it.
struct Beside<'s, T> {
    going: Option<ScopedJoinHandle<'s, Result<T>>>,
    done: Option<T>,
}

impl<'s, T: Send + 's> Beside<'s, T> {
    /// Begins it on a thread of its own, or does it.
    fn new<'e>(scope: &'s Scope<'s, 'e>, beside: bool, work: impl FnOnce() -> Result<T> + Send + 's) -> Result<Self> {
        Ok(match beside {
            true => Self { going: Some(scope.spawn(work)), done: None },
            false => Self { going: None, done: Some(work()?) },
        })
    }

    /// Waits until it is done, and fails as it has failed.
    fn wait(&mut self) -> Result<()> {
        if let Some(thread) = self.going.take() {
            self.done = Some(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(())
    }

    fn done(mut self) -> Result<T> {
        self.wait()?;
        Ok(self.done.expect("work that does not go on was done, or its error ended everything"))
    }
}

/// Makes the folders of the shards, and takes away what killed runs have half written there.
pub(super) fn make_folders(output: &Path) -> Result<()> {
    for folder in Split::ALL.map(|split| output.join(split.folder())) {
        fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        sweep_temporary(&folder)?;
    }
    sync_folder(output)
}

pub(super) fn all_settings(options: &ReadOptions, settings: &EncodeSettings) -> Settings {
    let mut all = settings_of(options);
    all.extend(settings_of(settings));
    all
}

/// Names, lengths and checksums of the inputs. Files are read by threads of their own: those of the pool, which encode at
/// the same time, would wait for a disk.
pub(super) fn inputs(source: &Source, progress: &Progress<'_>) -> Result<Vec<InputEntry>> {
    let entry = |file: &InputFile| -> Result<InputEntry> {
        let path = file.path.display().to_string();
        if path == "-" {
            return Ok(InputEntry { path, ..InputEntry::default() });
        }
        Ok(InputEntry { path, bytes: file.bytes, checksum: checksum(&file.path, progress)?, ..InputEntry::default() })
    };
    let next = AtomicUsize::new(0);
    let some = || -> Vec<(usize, Result<InputEntry>)> {
        let numbers = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        numbers.map_while(|number| Some((number, entry(source.files.get(number)?)))).collect()
    };
    let mut entries = std::thread::scope(|scope| {
        let others = rayon::current_num_threads().min(source.files.len()).saturating_sub(1);
        let others: Vec<ScopedJoinHandle<'_, _>> = (0..others).map(|_| scope.spawn(some)).collect();
        let mut entries = some();
        for other in others {
            entries.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        entries
    });
    entries.sort_by_key(|(number, _)| *number);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The checksum of a file.
pub(super) fn checksum(path: &Path, progress: &Progress<'_>) -> Result<String> {
    let read = |error| Error::io("read", path, error);
    let (mut hash, mut buffer) = (Xxh3::new(), vec![0; 1 << 18]);
    let mut file = fs::File::open(path).map_err(read)?;
    loop {
        progress.check("reading text")?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(format!("{:032x}", hash.digest128())),
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(read(error)),
        }
    }
}
