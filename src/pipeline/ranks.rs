//! Encoding by many processes: a plan, ranks that do its units, and the fold.
//!
//! Units own the output, not ranks: what a unit gives depends on the plan alone, and its record is written last. So the
//! number of ranks may change between runs, any of them may be killed and run again, and one that is run twice at once
//! shares its units with its double by a lock a unit. `merge` gives the bytes of [`encode`](super::encode) in one process,
//! and that goes on with what ranks have done, as ranks do with what it has done.
//!
//! The folder must lie where the locks of files (`flock`) hold between the machines, as on NFS, CephFS, or Lustre mounted
//! with `flock`. Where they do not, no two processes may be given the same rank at once.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use rayon::prelude::*;

use super::documents::MaxBad;
use super::encoding::{EncodeSeconds, EncodeSettings, EncodedFolder, all_settings, inputs, make_folders};
use super::files::{TOKENIZER_FILE, save_tokenizer};
use super::folding::Fold;
use super::lock::FileLock;
use super::progress::{Progress, Unit as Count};
use super::rank_plan::{self, RankPlan};
use super::reading::{Reading, readers};
use super::space::check_space;
use super::treatment::Treatment;
use super::unit_encoding::UnitEncoder;
use super::units::{Check, Plan, UnitRecord, Units};
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::shard::{Manifest, Tally};
use crate::text::{ReadOptions, Source, Unit, plan_units};

/// How long a rank waits before it looks again at units that its double works on.
const WAIT: Duration = Duration::from_millis(100);
/// Records that are read together when they are merged.
const CHUNK: usize = 1024;

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

/// What a rank has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct RankDone {
    /// Units of this rank; all are done.
    pub units: usize,
    /// Those of them that this run did.
    pub encoded: usize,
    /// Documents of all of them.
    pub documents: Tally,
    /// Their ids.
    pub tokens: u64,
    /// How long it took.
    pub seconds: EncodeSeconds,
}

impl RankDone {
    fn add(&mut self, record: &UnitRecord) {
        self.units += 1;
        record.read.values().for_each(|tally| self.documents.add(tally.documents));
        self.tokens += record.shards.iter().map(|shard| shard.tokens).sum::<u64>();
    }
}

/// Plans the encoding of `source` into `output`, which must be locked by the caller. Every file is read once, for its
/// checksum, and with deduplication once more. What one process or ranks have done in the folder stays.
///
/// # Errors
///
/// [`Error::OtherSettings`] when the folder was made otherwise, [`Error::Setting`] for standard input; those of reading
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
    let units = Units::open(output, &plan)?;
    save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE))?;
    let treatment = Treatment::new(&source.files, options, output, progress)?;
    rank_plan::save(&source.files, planned, &units, &treatment)?;
    Ok(Planned { units: count, files, bytes, duplicates: treatment.duplicates() })
}

/// Does the units `rank`, `rank + world_size`, ... of the plan in `output`, which the caller shares with other ranks
/// ([`FolderLock::share`](super::FolderLock::share)). When it returns, all of them are done, be it by another process.
///
/// # Errors
///
/// [`Error::NoPlan`], [`Error::Setting`] for a rank beyond the world, [`Error::OtherSettings`] when a file was changed
/// since the plan was made; those of reading, encoding and writing, [`Error::Interrupted`].
pub fn run_rank(output: &Path, rank: u64, world_size: u64, progress: &Progress<'_>) -> Result<RankDone> {
    if rank >= world_size {
        let expected = format!("below the world size, {world_size}");
        return Err(Error::Setting { name: "rank", value: rank.to_string(), expected });
    }
    if Manifest::load(output)?.is_some() {
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(RankDone::default());
    }
    let plan = RankPlan::open(output)?;
    let world_size = usize::try_from(world_size).unwrap_or(usize::MAX);
    let first = usize::try_from(rank).unwrap_or(usize::MAX);
    let own: VecDeque<Unit> = (0..plan.count()).skip(first).step_by(world_size).map(|n| plan.unit(n)).collect();
    progress.stage("encoding", own.iter().map(Unit::bytes).sum(), Count::Bytes);
    let (tokenizer, treatment) = (plan.tokenizer()?, plan.treatment()?);
    let reading =
        Reading { files: &plan.files, options: &plan.options, treatment: &treatment, progress, readers: readers() };
    let share = plan.settings.val.share(plan.files.iter().map(|file| file.bytes).sum());
    let encoder = UnitEncoder::new(&tokenizer, reading, &plan.settings, share, output);
    let mut rank = Rank { plan: &plan, encoder, unchanged: BTreeSet::new(), read: 0, done: RankDone::default() };
    rank.run(own, progress)?;
    Ok(RankDone { seconds: rank.encoder.seconds(), ..rank.done })
}

/// A rank at work.
struct Rank<'r> {
    plan: &'r RankPlan,
    encoder: UnitEncoder<'r>,
    /// Files that were looked at.
    unchanged: BTreeSet<usize>,
    read: u64,
    done: RankDone,
}

impl Rank<'_> {
    fn run(&mut self, mut waiting: VecDeque<Unit>, progress: &Progress<'_>) -> Result<()> {
        // Units in a row that others work on: with all that are left there is nothing to do but to wait.
        let mut held = 0;
        while let Some(unit) = waiting.pop_front() {
            progress.check("encoding")?;
            let record = match self.plan.units.done(unit.number, &unit.parts, Check::Header)? {
                Some(record) => record,
                None => match FileLock::try_take(&self.plan.units.lock(unit.number))? {
                    Some(_lock) => self.unit(&unit, progress)?,
                    None => {
                        waiting.push_back(unit);
                        held += 1;
                        if held >= waiting.len() {
                            std::thread::sleep(WAIT);
                            held = 0;
                        }
                        continue;
                    }
                },
            };
            held = 0;
            self.done.add(&record);
            self.read += unit.bytes();
            progress.done(self.read);
        }
        Ok(())
    }

    /// Does a unit that is locked.
    fn unit(&mut self, unit: &Unit, progress: &Progress<'_>) -> Result<UnitRecord> {
        // Another process may have done it before the lock was free.
        if let Some(record) = self.plan.units.done(unit.number, &unit.parts, Check::Header)? {
            return Ok(record);
        }
        for part in &unit.parts {
            if self.unchanged.insert(part.file) {
                self.plan.check_file(part.file, progress)?;
            }
        }
        let record = self.encoder.unit(unit, &self.plan.units.rejects(unit.number), self.read);
        let record = record.map_err(|error| {
            let place = self.plan.place(unit);
            error.further_down(place.lines, place.bytes)
        })?;
        self.plan.units.finish(unit.number, &record)?;
        self.done.encoded += 1;
        Ok(record)
    }
}

/// Folds the units of the plan in `output`, which must be locked by the caller, when all are done. Of the shards length
/// and header are looked at; [`verify`](super::verify) checks them as a whole.
///
/// # Errors
///
/// [`Error::UnitsMissing`] that names them, [`Error::NoPlan`], [`Error::OtherSettings`] when a file was changed since the
/// plan was made, and as [`encode`](super::encode) at its end.
pub fn merge_units(output: &Path, max_bad: Option<MaxBad>, progress: &Progress<'_>) -> Result<EncodedFolder> {
    if let Some(manifest) = Manifest::load(output)? {
        Units::sweep(output)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(EncodedFolder { manifest, seconds: EncodeSeconds::default() });
    }
    let plan = RankPlan::open(output)?;
    progress.stage("merging", plan.count() as u64, Count::Files);
    (0..plan.files.len()).into_par_iter().try_for_each(|file| plan.check_file(file, progress))?;
    let (mut fold, mut missing) = (Fold::default(), Vec::new());
    for (number, parts) in plan.parts().chunks(CHUNK).enumerate() {
        let first = number * CHUNK;
        progress.check("merging")?;
        let look = |(at, parts): (usize, &Vec<_>)| plan.units.done(first + at, parts, Check::Header);
        let records: Vec<Result<Option<UnitRecord>>> = parts.par_iter().enumerate().map(look).collect();
        for (unit, record) in (first..).zip(records) {
            match record? {
                Some(record) => fold.add(unit, record),
                None => missing.push(unit),
            }
        }
        progress.done((first + parts.len()) as u64);
    }
    if !missing.is_empty() {
        let (path, units, which) = (output.to_owned(), plan.count(), ranges(&missing));
        return Err(Error::UnitsMissing { path, units, missing: missing.len(), which });
    }
    let tokenizer = plan.tokenizer()?;
    let manifest = fold.finish(&tokenizer, plan.plan, plan.units, output, max_bad)?;
    Ok(EncodedFolder { manifest, seconds: EncodeSeconds::default() })
}

/// Ascending numbers in words: `3, 5-9, 12`; the first of them, where they are many.
fn ranges(numbers: &[usize]) -> String {
    const SHOWN: usize = 16;
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |&(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let shown: Vec<String> = ranges.iter().take(SHOWN).map(text).collect();
    shown.join(", ") + if ranges.len() > SHOWN { ", ..." } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_words() {
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2, 5, 7-8");
        let many: Vec<usize> = (0..100).map(|n| 2 * n).collect();
        assert!(ranges(&many).ends_with("28, 30, ..."));
    }
}
