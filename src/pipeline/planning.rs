//! Plans of work that many processes share: the units, and what they belong to.

use std::path::Path;

use super::count_units::{CountUnits, CountedFolder};
use super::encoding::{EncodeSettings, all_settings, inputs, make_folders};
use super::files::{TOKENIZER_FILE, save_tokenizer};
use super::learning::LearnSettings;
use super::progress::Progress;
use super::rank_plan;
use super::space::check_space;
use super::treatment::Treatment;
use super::units::{Plan, Units};
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::shard::Manifest;
use crate::text::{ReadOptions, Source, plan_units};

/// A plan that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Planned {
    /// Units of work.
    pub units: usize,
    /// Files to read.
    pub files: usize,
    /// Their bytes as they lie on disk.
    pub bytes: u64,
    /// Documents that are left out as duplicates; they were found while planning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<u64>,
}

/// Plans the encoding of `source` into `output`, which must be locked by the caller. Every file is read once, for its
/// checksum, and with deduplication once more. What one process or ranks have done in the folder stays.
///
/// # Errors
///
/// [`Error::OtherSettings`] when the folder was made otherwise, [`Error::InputChanged`] when units that are done were,
/// unless [`EncodeSettings::redo_changed`], [`Error::Setting`] for standard input; those of reading
/// and writing.
pub fn plan_encoding(
    tokenizer: &Tokenizer,
    source: &Source,
    options: &ReadOptions,
    settings: &EncodeSettings,
    output: &Path,
    progress: &Progress<'_>,
) -> Result<Planned> {
    settings.val.check()?;
    settings.boundaries.check(tokenizer)?;
    let plan = Plan {
        settings: all_settings(options, settings),
        inputs: inputs(source, progress)?,
        tokenizer: Some(tokenizer.fingerprint()),
    };
    let planned = plan_units(&source.files, settings.unit_size, options)?;
    let (count, files, bytes) = (planned.len(), source.files.len(), source.bytes());
    if let Some(manifest) = Manifest::load(output)? {
        plan.require_same(output, &Plan::of(&manifest))?;
        Units::sweep(output)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(Planned { units: count, files, bytes, duplicates: None });
    }
    if !Units::are_begun(output) {
        check_space(output, &source.files, tokenizer.spec().vocab_size(), progress)?;
    }
    make_folders(output)?;
    let units = Units::open(output, &plan, &planned, settings.redo_changed, progress)?;
    save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE))?;
    let treatment = Treatment::new(&source.files, options, output, progress)?;
    rank_plan::save(&source.files, planned, &plan, &units, &treatment)?;
    Ok(Planned { units: count, files, bytes, duplicates: treatment.duplicates() })
}

/// Plans the counting of `source` into [`COUNTS_FILE`](super::COUNTS_FILE) of `output`, which must be locked by the
/// caller, in units of about `unit_size` bytes; `redo_changed` is that of [`EncodeSettings`]. Of the settings only those matter that decide counts; no document is held
/// out.
///
/// # Errors
///
/// Those of [`plan_encoding`], of [`LearnSettings::check`], and [`Error::Setting`] for superwords, which are counted in
/// two passes.
pub fn plan_counting(
    source: &Source,
    options: &ReadOptions,
    settings: &LearnSettings,
    unit_size: u64,
    redo_changed: bool,
    output: &Path,
    progress: &Progress<'_>,
) -> Result<Planned> {
    settings.check()?;
    if let Some(superwords) = settings.superwords {
        let expected = "left out: the text is read a second time for them, by what was learned".to_owned();
        return Err(Error::Setting { name: "superwords", value: superwords.to_string(), expected });
    }
    let work = CountUnits::new(settings, unit_size)?;
    let plan = Plan { settings: work.all_settings(options), inputs: inputs(source, progress)?, tokenizer: None };
    let planned = plan_units(&source.files, unit_size, options)?;
    let (count, files, bytes) = (planned.len(), source.files.len(), source.bytes());
    if let Some(manifest) = Manifest::load(output)? {
        // Shards, which is an error that says what differs.
        plan.require_same(output, &Plan::of(&manifest))?;
    }
    if let Some(counted) = CountedFolder::load(output)? {
        counted.require_same(output, &plan)?;
        Units::sweep(output)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(Planned { units: count, files, bytes, duplicates: None });
    }
    let units = Units::open(output, &plan, &planned, redo_changed, progress)?;
    let treatment = Treatment::new(&source.files, options, output, progress)?;
    rank_plan::save(&source.files, planned, &plan, &units, &treatment)?;
    Ok(Planned { units: count, files, bytes, duplicates: treatment.duplicates() })
}
