//! The counting half of learning: from texts, or from counts that were saved, to the counts of distinct pre-tokens.
//!
//! Texts are counted by `text_counting.rs` into tables and, where memory is bounded, sorted files, which are merged as
//! streams. Counts are a monoid and the streams are sorted, so that what is learned depends on none of it: not on threads,
//! the bound, or how a corpus was parted into files of counts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::counts::{Part, Scratch, Stream, open_counts, save_counts, sum_of_parts, write_counts};
use super::documents::{ReadTally, sum_of};
use super::learning::LearnSettings;
use super::progress::{Progress, Unit};
use super::reading::{LinesBefore, Reading, readers};
use super::scratch::sweep_scratch;
use super::text_counting::{Group, TextCounter};
use super::to_learn::{Gathering, LeftOut, ToLearn};
use super::treatment::Treatment;
use crate::clean::CleanSettings;
use crate::error::{Error, Result};
use crate::learn::{
    AddedCounts, CountStream, Counts, CountsHead, CountsSettings, CountsTotals, EntryHash, SpanSample, WeightedCounts,
};
use crate::segment::{HanEdges, Segmenter};
use crate::text::{ReadOptions, Source, whole_files};

/// What is counted, or was.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)] // there is one of it in a run
pub enum CountInput {
    /// Texts, in groups: one group, or one for each weight.
    Texts(Vec<Source>, ReadOptions),
    /// Files of counts; each is a group. Texts must have been treated so before they were counted, as far as that changes
    /// them.
    Saved(Vec<PathBuf>, CleanSettings),
}

/// How counts are come by. Only the inputs and the weights decide what is learned.
#[derive(Debug, Clone)]
pub struct CountPlan {
    /// What is counted.
    pub input: CountInput,
    /// The share of each group in the bytes that are learned from, in any unit; none: every byte counts as one.
    ///
    /// Counts are multiplied so that the bytes that they stand for have these shares and their sum is as it was; see
    /// [`WeightedCounts`] for how fractions are rounded. `--min-count` and the automatic size of a vocabulary go by
    /// the counts so made.
    pub weights: Vec<u64>,
    /// About how many bytes the tables of all threads may take before they are written to files, which is looked at after
    /// every document; and how many learning may take at the end ([`Counts::memory_to_learn`]). If that needs more, most
    /// words wait in files while merges are learned: the same ones, in more time.
    pub memory: Option<u64>,
    /// The folder in which those files are, while they are needed. What runs that were killed have left of them there is
    /// removed.
    pub scratch: PathBuf,
    /// Where the counts that are learned from are kept.
    pub save: Option<PathBuf>,
}

impl CountPlan {
    /// The texts of `source`, all in memory.
    #[must_use]
    pub fn of_texts(source: &Source, options: &ReadOptions) -> Self {
        let input = CountInput::Texts(vec![source.clone()], options.clone());
        Self { input, weights: Vec::new(), memory: None, scratch: PathBuf::new(), save: None }
    }
}

/// What was counted.
pub(super) struct Counted {
    /// What is learned from; nothing where that was not asked for.
    pub(super) to_learn: ToLearn,
    /// Of all pre-tokens, those left out among them.
    pub(super) totals: CountsTotals,
    pub(super) left_out: LeftOut,
    pub(super) tally: ReadTally,
}

impl CountPlan {
    /// Comes by the counts, and keeps them where that is asked for. The table to learn from is made if `to_learn`. Of texts
    /// only a sample of the spans is counted, if one is given.
    pub(super) fn count(
        &self,
        settings: &LearnSettings,
        (segmenter, sample): (&Segmenter, Option<SpanSample>),
        to_learn: bool,
        progress: &Progress<'_>,
    ) -> Result<Counted> {
        sweep_scratch(&self.scratch);
        let scratch = Scratch::new(&self.scratch);
        let made_with = settings.counts_settings()?.of_texts_with(self.clean().changes());
        let (groups, tally) = match &self.input {
            CountInput::Texts(sources, options) => {
                let work = Work { plan: self, settings, segmenter, sample, scratch: &scratch, made_with: &made_with };
                work.count(sources, options, progress)?
            }
            CountInput::Saved(files, _) => saved(files, &made_with)?,
        };
        if tally.documents.left == 0 {
            return Err(Error::NoDocuments { rejected: tally.documents.rejected });
        }
        let least = to_learn.then_some(settings.min_pre_token_count);
        let ((to_learn, left_out), totals) = self.sum(groups, made_with, least, &scratch, progress)?;
        if matches!(to_learn, ToLearn::File(_)) {
            progress.note(format!(
                "the distinct pre-tokens do not find room in the {} bytes of --memory: merges are learned from files, which takes longer and comes to the same",
                self.memory.unwrap_or_default(),
            ));
        }
        Ok(Counted { to_learn, totals, left_out, tally })
    }

    /// What is done to texts, or was.
    pub(super) fn clean(&self) -> &CleanSettings {
        match &self.input {
            CountInput::Texts(_, options) => &options.clean,
            CountInput::Saved(_, clean) => clean,
        }
    }

    /// The sum of all groups: the table to learn from, without pre-tokens that occur less often than `least` says (and with
    /// none at all, if no table is asked for), what was left out of it, and what there was in all.
    fn sum(
        &self,
        groups: Vec<Group>,
        settings: CountsSettings,
        least: Option<Option<u64>>,
        scratch: &Scratch,
        progress: &Progress<'_>,
    ) -> Result<((ToLearn, LeftOut), CountsTotals)> {
        let sum = |of: fn(&Group) -> u64| groups.iter().map(of).try_fold(0u64, u64::checked_add).unwrap_or(u64::MAX);
        let head = CountsHead { settings, documents: sum(|group| group.documents), bytes: sum(|group| group.bytes) };
        // However much memory there is, what lists of words do not hold is learned from files.
        let bound = self.memory.map(|memory| memory.min(Counts::MOST_TO_LEARN));
        let is_in_memory = |part: &Part| matches!(part, Part::Memory(_));
        if self.weights.is_empty() && groups.iter().flat_map(|group| &group.parts).all(is_in_memory) {
            let tables = groups.into_iter().flat_map(|group| group.parts).filter_map(|part| match part {
                Part::Memory(counts) => Some(counts),
                Part::File(_) => None,
            });
            let counts = Counts::of_parts(tables.collect())?;
            let totals = match &self.save {
                Some(path) => save_counts(path, &head, &counts)?,
                None => counts.totals(),
            };
            let to_learn = match least {
                Some(least) => ToLearn::of_table(counts, least, bound, (&head, &self.scratch))?,
                None => (ToLearn::Table(Counts::default()), LeftOut::default()),
            };
            return Ok((to_learn, totals));
        }
        let stored = groups.iter().flat_map(|group| &group.parts).map(Part::stored_bytes).sum();
        progress.stage("adding counts", stored, Unit::Bytes);
        let read = AtomicU64::new(0);
        let mut stream = self.weighted(groups, &head, scratch, progress, &read)?;
        let mut gathering = least.map(|least| Gathering::new(least, bound, head.clone(), &self.scratch));
        let mut entries = 0u64;
        let mut keep = |span: &[u8], count| {
            entries += 1;
            if entries.is_multiple_of(1 << 12) {
                progress.done(read.load(Ordering::Relaxed));
            }
            gathering.as_mut().map_or(Ok(()), |gathering| gathering.add(span, count))
        };
        let totals = match &self.save {
            Some(path) => write_counts(path, &head, &mut stream, progress, &mut keep)?,
            None => {
                let mut all = EntryHash::default();
                while stream.advance()? {
                    keep(stream.span(), stream.count())?;
                    all.add(stream.span(), stream.count());
                    if all.distinct.is_multiple_of(1 << 16) {
                        progress.check("adding counts")?;
                    }
                }
                all.totals()
            }
        };
        let nothing = || Ok((ToLearn::Table(Counts::default()), LeftOut::default()));
        Ok((gathering.map_or_else(nothing, Gathering::finish)?, totals))
    }

    /// The groups as one stream, each times its weight.
    fn weighted<'s>(
        &self,
        groups: Vec<Group>,
        head: &CountsHead,
        scratch: &Scratch,
        progress: &Progress<'_>,
        read: &'s AtomicU64,
    ) -> Result<Stream<'s>> {
        if self.weights.is_empty() {
            let parts = groups.into_iter().flat_map(|group| group.parts).collect();
            return sum_of_parts(parts, head, scratch, progress, read);
        }
        let all: u128 = self.weights.iter().map(|weight| u128::from(*weight)).sum();
        let mut streams = Vec::new();
        for (group, weight) in groups.into_iter().zip(&self.weights) {
            if group.bytes == 0 || *weight == 0 {
                return Err(Error::Setting {
                    name: "weight",
                    value: format!("{weight} for an input of {} bytes of text", group.bytes),
                    expected: "above 0, for inputs that hold text".to_owned(),
                });
            }
            let (numerator, denominator) =
                (u128::from(*weight) * u128::from(head.bytes), all * u128::from(group.bytes));
            let stream = sum_of_parts(group.parts, head, scratch, progress, read)?;
            streams.push(WeightedCounts::new(stream, numerator, denominator));
        }
        Ok(Box::new(AddedCounts::new(streams)))
    }
}

impl Part {
    /// Bytes of the file.
    fn stored_bytes(&self) -> u64 {
        match self {
            Self::Memory(_) => 0,
            Self::File(path) => std::fs::metadata(path).map_or(0, |file| file.len()),
        }
    }
}

/// Files of counts as groups.
fn saved(files: &[PathBuf], made_with: &CountsSettings) -> Result<(Vec<Group>, ReadTally)> {
    let mut tally = ReadTally::default();
    let mut groups = Vec::new();
    for path in files {
        let (head, _) = open_counts(path, &AtomicU64::new(0))?;
        made_with.require(path, &head.settings)?;
        groups.push(Group { parts: vec![Part::File(path.clone())], documents: head.documents, bytes: head.bytes });
        for (tally, more) in [(&mut tally.documents, head.documents), (&mut tally.bytes, head.bytes)] {
            tally.entered = tally.entered.saturating_add(more);
            tally.left = tally.entered;
        }
    }
    Ok((groups, tally))
}

/// What counting a text needs.
struct Work<'w> {
    plan: &'w CountPlan,
    settings: &'w LearnSettings,
    segmenter: &'w Segmenter,
    sample: Option<SpanSample>,
    scratch: &'w Scratch,
    made_with: &'w CountsSettings,
}

impl Work<'_> {
    fn count(
        &self,
        sources: &[Source],
        options: &ReadOptions,
        progress: &Progress<'_>,
    ) -> Result<(Vec<Group>, ReadTally)> {
        let all = sources.iter().map(Source::bytes).sum();
        let treatment =
            Treatment::new(sources.iter().flat_map(|source| &source.files), options, &self.plan.scratch, progress)?;
        progress.stage("counting pre-tokens", all, Unit::Bytes);
        let share = self.settings.val.share(all);
        let (mut groups, mut tally, mut read) = (Vec::new(), ReadTally::default(), 0);
        for source in sources {
            let (group, of_group) = self.count_group(source, options, &treatment, share, read, progress)?;
            groups.push(group);
            tally.add(&of_group);
            read += source.bytes();
        }
        self.settings.max_bad.map_or(Ok(()), |limit| limit.check(&tally.documents))?;
        Ok((groups, tally))
    }

    fn count_group(
        &self,
        source: &Source,
        options: &ReadOptions,
        treatment: &Treatment,
        share: f64,
        read_before: u64,
        progress: &Progress<'_>,
    ) -> Result<(Group, ReadTally)> {
        let Self { segmenter, sample, made_with, scratch, .. } = *self;
        let (memory, on_bad_record) = (self.plan.memory, self.settings.on_bad_record);
        let counter = TextCounter { segmenter, made_with, memory, scratch, share, sample, on_bad_record };
        let reading = Reading { files: &source.files, options, treatment, progress, readers: readers() };
        let lines = &mut LinesBefore::default();
        let (group, read) = counter.count(&reading, &whole_files(&source.files), lines, read_before)?;
        Ok((group, sum_of(&read)?))
    }
}

/// What of the settings of counts the dictionaries decide, where Han runs are cut into words: see
/// [`CountsSettings::dictionary`].
pub(super) fn hash_of_dictionaries(edges: HanEdges, files: &[PathBuf]) -> Result<u64> {
    let of_files = hash_of_files(files)?;
    #[cfg(feature = "chinese")]
    let built_in = crate::segment::Dictionary::built_in_hash();
    #[cfg(not(feature = "chinese"))]
    let built_in = FIRST_DICTIONARY;
    Ok(if edges == HanEdges::Words { hash_of_both(built_in, of_files) } else { of_files })
}

/// The built-in dictionary of the first version of the format, whose files do not name it.
const FIRST_DICTIONARY: u64 = 0xB98B_5180_39C1_38AC;

fn hash_of_both(built_in: u64, files: u64) -> u64 {
    if built_in == FIRST_DICTIONARY {
        return files;
    }
    xxhash_rust::xxh3::xxh3_64([built_in, files].map(u64::to_le_bytes).as_flattened())
}

/// A hash of the user dictionaries, in order; 0 without any.
fn hash_of_files(files: &[PathBuf]) -> Result<u64> {
    let hash = |path: &PathBuf| std::fs::read(Path::new(path)).map_err(|error| Error::io("read", path, error));
    let hashes = files.iter().map(|path| hash(path).map(|text| xxhash_rust::xxh3::xxh3_64(&text)));
    let hashes: Vec<u8> = hashes.collect::<Result<Vec<u64>>>()?.into_iter().flat_map(u64::to_le_bytes).collect();
    Ok(if files.is_empty() { 0 } else { xxhash_rust::xxh3::xxh3_64(&hashes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts by another built-in dictionary are other counts; those that were made before it was named are by the first.
    #[test]
    fn dictionaries_are_told_apart() {
        let all = [(FIRST_DICTIONARY, 0), (FIRST_DICTIONARY, 7), (1, 0), (2, 0), (1, 7), (7, 1)];
        let hashes: std::collections::BTreeSet<u64> =
            all.iter().map(|(built_in, files)| hash_of_both(*built_in, *files)).collect();
        assert_eq!(hashes.len(), all.len());
        assert_eq!(hash_of_both(FIRST_DICTIONARY, 7), 7);
        #[cfg(feature = "chinese")]
        {
            // With another dictionary this is another number, and FIRST_DICTIONARY stays.
            let is_first = crate::segment::Dictionary::built_in_hash() == FIRST_DICTIONARY;
            assert_eq!(hash_of_dictionaries(HanEdges::Words, &[]).unwrap() == 0, is_first);
            assert_eq!(hash_of_dictionaries(HanEdges::Chars, &[]).unwrap(), 0);
        }
    }
}
