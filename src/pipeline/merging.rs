//! The units that ranks have done become one folder.

use std::path::Path;

use rayon::prelude::*;

use super::count_units::{CountedFolder, CountsFold};
use super::documents::MaxBad;
use super::encoding::{EncodeSeconds, EncodedFolder};
use super::folding::Fold;
use super::progress::{Progress, Unit as Count};
use super::rank_plan::{RankPlan, Work};
use super::units::{Check, UnitRecord, Units};
use crate::error::{Error, Result};
use crate::shard::Manifest;

/// Records that are read together.
const CHUNK: usize = 1024;

/// What units came to.
#[derive(Debug, Clone)]
pub enum Merged {
    /// Shards.
    Encoded(EncodedFolder),
    /// Counts.
    Counted(CountedFolder),
}

/// Folds the units of the plan in `output`, which must be locked by the caller, when all are done. Of the shards length
/// and header are looked at; [`verify`](super::verify) checks them as a whole. Files of counts are read as a whole.
///
/// # Errors
///
/// [`Error::UnitsMissing`] that names them, [`Error::NoPlan`], [`Error::InputChanged`] when a file was changed since the
/// plan was made, and as [`encode`](super::encode) or [`count`](super::count) at its end.
pub fn merge_units(output: &Path, max_bad: Option<MaxBad>, progress: &Progress<'_>) -> Result<Merged> {
    if let Some(merged) = complete(output)? {
        Units::sweep(output)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(merged);
    }
    let plan = RankPlan::open(output)?;
    progress.stage("merging", plan.count() as u64, Count::Files);
    (0..plan.files.len()).into_par_iter().try_for_each(|file| plan.check_file(file, progress))?;
    match &plan.work {
        Work::Encode(_) => {
            let mut fold = Fold::default();
            each_record(&plan, output, progress, &mut |unit, record| fold.add(unit, record))?;
            let tokenizer = plan.tokenizer()?;
            let manifest = fold.finish(&tokenizer, plan.plan, plan.units, output, max_bad)?;
            Ok(Merged::Encoded(EncodedFolder { manifest, seconds: EncodeSeconds::default() }))
        }
        Work::Count(settings) => {
            let (mut fold, made_with) = (CountsFold::default(), settings.made_with(&plan.options)?);
            each_record(&plan, output, progress, &mut |unit, record| fold.add(unit, &record))?;
            let counted = fold.finish(made_with, plan.plan, plan.units, output, max_bad, progress)?;
            Ok(Merged::Counted(counted))
        }
    }
}

/// What a folder holds that was merged before.
fn complete(output: &Path) -> Result<Option<Merged>> {
    if let Some(manifest) = Manifest::load(output)? {
        return Ok(Some(Merged::Encoded(EncodedFolder { manifest, seconds: EncodeSeconds::default() })));
    }
    Ok(CountedFolder::load(output)?.map(Merged::Counted))
}

/// Hands on the records of all units in their order, and fails where some are not done.
fn each_record(
    plan: &RankPlan,
    output: &Path,
    progress: &Progress<'_>,
    take: &mut dyn FnMut(usize, UnitRecord),
) -> Result<()> {
    let mut missing = Vec::new();
    for (number, parts) in plan.parts().chunks(CHUNK).enumerate() {
        let first = number * CHUNK;
        progress.check("merging")?;
        let look = |(at, parts): (usize, &Vec<_>)| plan.units.done(first + at, parts, Check::Header);
        let records: Vec<Result<Option<UnitRecord>>> = parts.par_iter().enumerate().map(look).collect();
        for (unit, record) in (first..).zip(records) {
            match record? {
                Some(record) => take(unit, record),
                None => missing.push(unit),
            }
        }
        progress.done((first + parts.len()) as u64);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let (path, units, which) = (output.to_owned(), plan.count(), ranges(&missing));
    Err(Error::UnitsMissing { path, units, missing: missing.len(), which })
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
