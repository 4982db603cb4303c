//! What learning would take, from counting a sample: an estimate, before hours of reading.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::learning::LearnSettings;
use super::progress::Progress;
use super::treatment::{Treated, Treatment};
use crate::clean::CleanCounts;
use crate::error::Result;
use crate::learn::{Counts, VocabSize};
use crate::text::{InputFile, ReadOptions, Record, Source, records};

/// Bytes of text that are counted for the estimate, spread over the files by their length.
pub const SAMPLE_BYTES: u64 = 4 << 20;
/// Less than this is not read of a file; its part of the sample goes to the next.
const LEAST_OF_FILE: u64 = 16 << 10;
/// The sample is counted in pieces of this size, so that all threads have work.
const PIECE_BYTES: usize = 64 << 10;

/// What would be learned from, with what, and what it would take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnEstimate {
    /// Files, and their bytes on disk.
    pub files: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Threads that would work.
    pub threads: usize,
    /// The source of the pattern.
    pub pattern: String,
    /// Where Han runs are cut while learning: `none`, `words` or `chars`.
    pub edges: String,
    /// Tokens to learn.
    pub vocab_size: VocabSize,
    /// Bytes of text of the sample.
    pub sample_bytes: u64,
    /// Files that the sample is of.
    pub sample_files: u64,
    /// Distinct pre-tokens in the sample.
    pub sample_distinct: u64,
    /// Estimated: distinct pre-tokens of all. It goes by Heaps' law, through a half of the sample and the whole.
    pub estimated_distinct: u64,
    /// Estimated: bytes of the table of counts that is learned from. While counting, each thread has a table, which is no
    /// larger.
    pub estimated_memory: u64,
    /// Estimated: seconds of counting, by the speed of the sample and the bytes on disk; a compressed file takes longer.
    /// Merging comes on top.
    pub estimated_count_seconds: f64,
}

impl LearnEstimate {
    /// Counts a sample of `source`.
    ///
    /// # Errors
    ///
    /// Those of the settings, of reading, and of segmenting.
    pub fn of(source: &Source, options: &ReadOptions, settings: &LearnSettings) -> Result<Self> {
        settings.check()?;
        let counts_settings = settings.counts_settings()?;
        let segmenter = settings.segmenter()?;
        let (sample, sample_files) = sample(source, options)?;
        let pieces: Vec<&str> = sample.iter().flat_map(|text| pieces(text)).collect();
        let sample_bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        // Patterns and dictionaries make their tables with the first text; that is no part of the speed.
        Counts::of_texts(&segmenter, &pieces[..pieces.len().min(1)])?;
        let start = Instant::now();
        let count = |first: usize| {
            let half: Vec<&str> = pieces.iter().skip(first).step_by(2).copied().collect();
            Counts::of_texts(&segmenter, &half)
        };
        let half = count(0)?;
        let half_distinct = half.len();
        let all = Counts::of_parts(vec![half, count(1)?])?;
        let seconds = start.elapsed().as_secs_f64();
        let half_bytes: usize = pieces.iter().step_by(2).map(|piece| piece.len()).sum();
        let bytes = source.bytes();
        let times = bytes as f64 / sample_bytes.max(1) as f64;
        let distinct = heaps(half_bytes, half_distinct, sample_bytes, all.len(), bytes.max(sample_bytes as u64));
        Ok(Self {
            files: source.files.len() as u64,
            bytes,
            threads: rayon::current_num_threads(),
            pattern: counts_settings.pattern,
            edges: format!("{:?}", counts_settings.edges).to_lowercase(),
            vocab_size: settings.config.vocab_size,
            sample_bytes: sample_bytes as u64,
            sample_files,
            sample_distinct: all.len() as u64,
            estimated_distinct: distinct,
            estimated_memory: (all.memory() as f64 / all.len().max(1) as f64 * distinct as f64) as u64,
            estimated_count_seconds: seconds * times,
        })
    }
}

/// The distinct words of `bytes`, where a half of a sample and the whole have so many: Heaps' law, V = k n^b.
fn heaps(half_bytes: usize, half: usize, whole_bytes: usize, whole: usize, bytes: u64) -> u64 {
    if half == 0 || half_bytes >= whole_bytes {
        return whole as u64;
    }
    let growth = |more: f64, fewer: f64| (more / fewer).ln();
    let power = growth(whole as f64, half as f64) / growth(whole_bytes as f64, half_bytes as f64);
    (whole as f64 * (bytes as f64 / whole_bytes as f64).powf(power.clamp(0.0, 1.0))).round() as u64
}

/// Beginnings of files, and of how many.
fn sample(source: &Source, options: &ReadOptions) -> Result<(Vec<String>, u64)> {
    // Texts as they would be counted; only that duplicates are left in, as finding them takes reading all.
    let mut of_sample = options.clone();
    of_sample.clean.deduplicate = false;
    let treatment = Treatment::new([], &of_sample, Path::new(""), &Progress::silent())?;
    let (all, mut texts, mut files, mut due) = (source.bytes().max(1), Vec::new(), 0, 0u64);
    let (last, readable) = (source.files.len().saturating_sub(1), |file: &InputFile| file.path.as_os_str() != "-");
    for (number, file) in source.files.iter().enumerate().filter(|(_, file)| readable(file)) {
        due += (u128::from(SAMPLE_BYTES) * u128::from(file.bytes) / u128::from(all)) as u64;
        if due < LEAST_OF_FILE && number < last {
            continue;
        }
        files += 1;
        for record in records(file, options)? {
            if let Record::Document(document) = record?
                && let Treated::Kept(document) = treatment.document(document, &mut CleanCounts::default())?
            {
                let mut text = document.text;
                text.truncate(text.floor_char_boundary(due as usize));
                due -= text.len() as u64;
                texts.push(text);
            }
            // What is left may be less than a character.
            if due < 4 {
                break;
            }
        }
    }
    Ok((texts, files))
}

fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE_BYTES));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_by_heaps_law() {
        // Twice the text, twice the words: so it goes on. No new ones: there will be none.
        assert_eq!(heaps(100, 50, 200, 100, 2000), 1000);
        assert_eq!(heaps(100, 80, 200, 80, 2000), 80);
        // 71 times 100 to the power of log2(71 / 50).
        assert_eq!(heaps(100, 50, 200, 71, 20_000), 730);
        assert_eq!((heaps(0, 0, 0, 0, 0), heaps(0, 0, 5, 3, 10), heaps(5, 3, 5, 3, 10)), (0, 3, 3));
    }

    #[test]
    fn the_sample_is_cleaned() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{\"text\": \"词元１２\"}\n{\"text\": \"１\"}\n";
        std::fs::write(folder.path().join("a.jsonl"), lines).unwrap();
        let source = Source::find(&[folder.path().to_owned()], None).unwrap();
        let mut options = ReadOptions::default();
        options.clean.normalize = vec![crate::clean::Step::FullWidth];
        options.clean.filters.min_characters = Some(2);
        options.clean.deduplicate = true;
        assert_eq!(sample(&source, &options).unwrap().0, ["词元12"]);
    }

    #[test]
    fn the_sample_is_spread_over_the_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, words) in [("a.txt", 400_000), ("b.txt", 200_000), ("c.txt", 10)] {
            let text: String = (0..words).map(|n| format!("{name}词{n} ")).collect();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let source = Source::find(&[folder.path().to_owned()], None).unwrap();
        let (texts, files) = sample(&source, &ReadOptions::default()).unwrap();
        assert_eq!(files, 3);
        let bytes: Vec<u64> = texts.iter().map(|text| text.len() as u64).collect();
        assert!(
            bytes.iter().sum::<u64>() <= SAMPLE_BYTES && bytes.iter().sum::<u64>() > SAMPLE_BYTES - 1000,
            "{bytes:?}"
        );
        assert!(bytes[0] > 2 * bytes[1] - 100_000 && bytes[2] < 1000, "{bytes:?}");
        let estimate = LearnEstimate::of(&source, &ReadOptions::default(), &LearnSettings::default()).unwrap();
        assert_eq!((estimate.files, estimate.bytes, estimate.sample_bytes), (3, source.bytes(), bytes.iter().sum()));
        assert!(estimate.estimated_distinct > estimate.sample_distinct, "{estimate:?}");
        assert_eq!(texts.concat().len(), texts.iter().flat_map(|text| pieces(text)).map(str::len).sum::<usize>());
    }
}
