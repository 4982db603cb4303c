//! What a corpus is like before anything is made of it: how much text in which scripts and encodings, how long its
//! documents and lines are, what would be left out and why, and some of it to read.
//!
//! Documents are treated as the stages that use them would do it. Duplicates are counted whether they are to be left out
//! or not. Figures are sums, greatest ones, and the documents with the lowest hashes, so they depend on the input alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::documents::{RejectSink, sum_of};
use super::progress::{Progress, Unit};
use super::reading::{LinesBefore, Reading, readers};
use super::treatment::{Treated, Treatment};
use crate::clean::CleanCounts;
use crate::error::{RecordFault, Result};
use crate::evaluate::Script;
use crate::shard::Tally;
use crate::text::{Document, InputFile, Origin, ReadOptions, Source, whole_files};

/// Characters of a sample that are kept.
const SAMPLE_CHARACTERS: usize = 2000;

/// What a corpus is like. Characters, scripts, lines and lengths are those of the documents that would be used, as they
/// would be used.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Survey {
    /// Files.
    pub files: u64,
    /// Documents: in, to be used, rejected, filtered, deduplicated.
    pub documents: Tally,
    /// Bytes of text, likewise.
    pub bytes: Tally,
    /// Bytes that were invalid and would be replaced or skipped.
    pub repaired_bytes: u64,
    /// Byte order marks.
    pub byte_order_marks: u64,
    /// Documents whose text stands earlier, whether they are left out or not; `None` for standard input, which cannot be
    /// read twice.
    pub duplicates: Option<u64>,
    /// Characters.
    pub characters: u64,
    /// Characters by script: `han`, `latin`, `other` scripts, and `none`.
    pub scripts: BTreeMap<&'static str, u64>,
    /// Documents by the encoding they were in.
    pub encodings: BTreeMap<&'static str, u64>,
    /// Lengths of documents in characters.
    pub document_lengths: Lengths,
    /// Lengths of lines in characters, without line ends.
    pub line_lengths: Lengths,
    /// The longest document.
    pub longest: Option<Place>,
    /// Records that are no documents, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// What cleaning did, and what filters refused.
    pub cleaning: CleanCounts,
    /// Random documents, by seed.
    pub samples: Vec<Sample>,
}

/// Lengths of many things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// How many things.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The least; 0 without any.
    pub least: u64,
    /// The greatest.
    pub greatest: u64,
    /// How many are 0, and then how many have each number of binary digits: 1, 2 to 3, 4 to 7, and so on.
    #[serde(serialize_with = "without_end")]
    pub by_digits: [u64; 65],
}

impl Default for Lengths {
    fn default() -> Self {
        Self { count: 0, sum: 0, least: 0, greatest: 0, by_digits: [0; 65] }
    }
}

/// Without the zeros at the end.
fn without_end<S: serde::Serializer>(numbers: &[u64; 65], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let end = numbers.iter().rposition(|number| *number > 0).map_or(0, |last| last + 1);
    numbers[..end].serialize(serializer)
}

impl Lengths {
    fn add(&mut self, length: u64) {
        self.least = if self.count == 0 { length } else { self.least.min(length) };
        self.greatest = self.greatest.max(length);
        self.count += 1;
        self.sum += length;
        self.by_digits[(u64::BITS - length.leading_zeros()) as usize] += 1;
    }

    fn merge(&mut self, other: &Self) {
        if other.count > 0 {
            self.least = if self.count == 0 { other.least } else { self.least.min(other.least) };
        }
        self.greatest = self.greatest.max(other.greatest);
        self.count += other.count;
        self.sum += other.sum;
        self.by_digits.iter_mut().zip(other.by_digits).for_each(|(sum, more)| *sum += more);
    }
}

/// Where a document stands, and how long it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Line or row, counted from 1; 0 where the document is the whole file.
    pub line: u64,
    /// Characters.
    pub characters: u64,
}

impl Place {
    fn of(origin: &Origin, characters: u64) -> Self {
        Self { file: origin.file.display().to_string(), line: origin.line, characters }
    }
}

/// A document to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Its text, 2,000 characters at the most.
    pub text: String,
}

/// What is told of one document.
struct Measured {
    document: Document,
    left_out: Option<RecordFault>,
    bytes_before: u64,
    cleaning: CleanCounts,
    scripts: [u64; 4],
    lines: Lengths,
    key: u64,
}

impl Survey {
    /// Reads the documents of `source`; `samples` of them are kept, which `seed` chooses. What finding duplicates has no
    /// room for waits in the folder `scratch`.
    ///
    /// # Errors
    ///
    /// Those of reading and of [`Treatment::new`], [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn of(
        source: &Source,
        options: &ReadOptions,
        samples: usize,
        seed: u64,
        scratch: &Path,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        let mut of_all = options.clone();
        // Standard input is kept on disk for that only where it is asked for.
        of_all.clean.deduplicate |= !source.files.iter().any(InputFile::is_stdin);
        let treatment = Treatment::new(&source.files, &of_all, scratch, progress)?;
        let mut survey =
            Self { files: source.files.len() as u64, duplicates: treatment.duplicates(), ..Self::default() };
        let (mut rejected, mut chosen) = (BTreeMap::new(), BTreeSet::new());
        let mut count = |reject: &crate::text::Reject| *rejected.entry(reason(&reject.fault)).or_default() += 1;
        progress.stage("reading text", source.bytes(), Unit::Bytes);
        let as_it_is = Treatment::nothing();
        let tell = RejectSink::Tell(&mut count);
        let files = treatment.spooled(&source.files);
        let reading = Reading { files: &files, options, treatment: &as_it_is, progress, readers: readers() };
        let (parts, lines) = (whole_files(&files), &mut LinesBefore::default());
        let read = sum_of(&reading.for_each_batch(&parts, lines, tell, 0, &mut |batch| {
            let measure = |document| measure(document, &treatment, options.clean.deduplicate, seed);
            let measured: Vec<Result<Measured>> = batch.documents.into_par_iter().map(measure).collect();
            for measured in measured {
                survey.add(measured?, samples, &mut chosen);
            }
            Ok(())
        })?)?;
        for (sum, of_files) in [(&mut survey.documents, read.documents), (&mut survey.bytes, read.bytes)] {
            (sum.entered, sum.rejected) = (of_files.entered, of_files.rejected);
        }
        (survey.repaired_bytes, survey.byte_order_marks) = (read.repaired_bytes, read.byte_order_marks);
        survey.documents.check("documents")?;
        survey.bytes.check("bytes")?;
        survey.rejected = rejected;
        survey.samples = chosen.into_iter().map(|(_, _, sample)| sample.0).collect();
        Ok(survey)
    }

    fn add(&mut self, measured: Measured, samples: usize, chosen: &mut BTreeSet<(u64, u64, Ordered)>) {
        let Measured { document, left_out, bytes_before, cleaning, scripts, lines, key } = measured;
        self.cleaning.add(&cleaning);
        *self.encodings.entry(document.encoding.name()).or_default() += 1;
        let tallies = [(&mut self.documents, 1), (&mut self.bytes, bytes_before)];
        if let Some(fault) = left_out {
            for (tally, more) in tallies {
                *(if fault == RecordFault::Duplicate { &mut tally.deduplicated } else { &mut tally.filtered }) += more;
            }
            return;
        }
        let (bytes, characters) = (document.text.len() as u64, scripts.iter().sum::<u64>());
        self.documents.left += 1;
        self.bytes.left += bytes;
        self.bytes.removed += bytes_before.saturating_sub(bytes);
        self.bytes.added += bytes.saturating_sub(bytes_before);
        self.characters += characters;
        for (script, characters) in NAMES.into_iter().zip(scripts) {
            *self.scripts.entry(script).or_default() += characters;
        }
        self.document_lengths.add(characters);
        self.line_lengths.merge(&lines);
        let place = Place::of(&document.origin, characters);
        if self.longest.as_ref().is_none_or(|longest| characters > longest.characters) {
            self.longest = Some(place.clone());
        }
        // The lowest keys stay; of the same key (which is chance) the first.
        chosen.insert((key, self.documents.left, Ordered(Sample { place, text: head(&document.text) })));
        if chosen.len() > samples {
            chosen.pop_last();
        }
    }
}

/// A sample in a set that is ordered by what stands before it.
#[derive(Debug, PartialEq, Eq)]
struct Ordered(Sample);

impl Ord for Ordered {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// In the order of [`Script::ALL`].
const NAMES: [&str; 4] = ["han", "latin", "other", "none"];

fn head(text: &str) -> String {
    text.chars().take(SAMPLE_CHARACTERS).collect()
}

fn measure(document: Document, treatment: &Treatment, deduplicate: bool, seed: u64) -> Result<Measured> {
    let (bytes_before, mut cleaning) = (document.text.len() as u64, CleanCounts::default());
    let (document, fault) = match treatment.document(document, &mut cleaning)? {
        Treated::Kept(document) => (document, None),
        Treated::LeftOut(document, fault) => (document, Some(fault)),
    };
    let duplicate = fault == Some(RecordFault::Duplicate);
    // A duplicate that is not to be left out is a document like any other.
    let left_out = fault.filter(|_| !duplicate || deduplicate);
    let mut scripts = [0; 4];
    let mut lines = Lengths::default();
    if left_out.is_none() {
        document.text.chars().for_each(|c| scripts[Script::of(c) as usize] += 1);
        document.text.lines().for_each(|line| lines.add(line.chars().count() as u64));
    }
    let mut place = document.origin.file.as_os_str().as_encoded_bytes().to_vec();
    place.extend(document.origin.offset.to_le_bytes());
    let key = xxh3_64_with_seed(&place, seed);
    Ok(Measured { document, left_out, bytes_before, cleaning, scripts, lines, key })
}

/// The kind of a fault, without its figures.
fn reason(fault: &RecordFault) -> String {
    match fault {
        RecordFault::InvalidUtf8 => "invalid bytes".to_owned(),
        RecordFault::InvalidJson { .. } => "invalid JSON".to_owned(),
        RecordFault::TooManyInvalid { .. } => "too many invalid bytes".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_add_up() {
        let of = |numbers: &[u64]| {
            let mut lengths = Lengths::default();
            numbers.iter().for_each(|number| lengths.add(*number));
            lengths
        };
        let mut sum = of(&[3, 0]);
        sum.merge(&of(&[]));
        sum.merge(&of(&[8, u64::MAX >> 1]));
        assert_eq!(sum, of(&[0, 3, 8, u64::MAX >> 1]));
        assert_eq!(
            (sum.least, sum.by_digits[0], sum.by_digits[2], sum.by_digits[4], sum.by_digits[63]),
            (0, 1, 1, 1, 1)
        );
        assert_eq!(serde_json::to_value(of(&[1, 2])).unwrap()["by_digits"], serde_json::json!([0, 1, 1]));
    }

    #[test]
    fn a_small_corpus() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{\"text\": \"词元 ab\\nя\"}\n{\"text\": \"词元 ab\\nя\"}\nnone\n{\"text\": \"短\"}\n";
        std::fs::write(folder.path().join("a.jsonl"), lines).unwrap();
        let gb = encoding_rs::GB18030.encode("词元是语言模型的单位，模型学习它们。").0.into_owned();
        std::fs::write(folder.path().join("b.txt"), gb).unwrap();
        let source = Source::find(&[folder.path().to_owned()], None).unwrap();
        let mut options = ReadOptions { encoding: crate::text::Encoding::Auto, ..ReadOptions::default() };
        options.clean.filters.min_characters = Some(2);
        let of = |options: &ReadOptions, seed| {
            Survey::of(&source, options, 2, seed, folder.path(), &Progress::silent()).unwrap()
        };
        let survey = of(&options, 0);
        assert_eq!((survey.documents.entered, survey.documents.left, survey.documents.rejected), (5, 3, 1));
        assert_eq!((survey.documents.filtered, survey.duplicates, survey.documents.deduplicated), (1, Some(1), 0));
        assert_eq!(survey.encodings, BTreeMap::from([("utf-8", 3), ("gb18030", 1)]));
        assert_eq!(survey.rejected, BTreeMap::from([("invalid JSON".to_owned(), 1)]));
        assert_eq!(survey.scripts, BTreeMap::from([("han", 4 + 16), ("latin", 4), ("other", 2), ("none", 4 + 2)]));
        assert_eq!((survey.characters, survey.document_lengths.sum, survey.line_lengths.count), (32, 32, 5));
        let longest = survey.longest.as_ref().unwrap();
        assert_eq!((longest.file.ends_with("b.txt"), longest.line, longest.characters), (true, 0, 18));
        assert_eq!(survey.samples.len(), 2);
        assert_eq!(of(&options, 0), survey);
        assert!((1..20).any(|seed| of(&options, seed).samples != survey.samples));
        options.clean.deduplicate = true;
        let survey = of(&options, 0);
        assert_eq!((survey.documents.left, survey.documents.deduplicated, survey.characters), (2, 1, 25));
    }
}
