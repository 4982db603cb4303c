//! What is learned from: the table of distinct pre-tokens, or a file of them where the table finds no room in memory.
//!
//! The table and what learning merges from it takes are bounded together ([`Counts::memory_to_learn`]). What passes the
//! bound is written to a file of counts, and merges are learned from that, most words in files and some in memory at a time
//! ([`learn_within`]): the same merges, in more time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::counts::{Scratch, ScratchCounts, open_counts};
use crate::error::{Error, Result};
use crate::learn::{
    CountStream, Counts, CountsHead, LearnConfig, Learned, LearnedWords, Sink, SortedCounts, Tap, WordFiles, WordRoom,
    learn_from, learn_more, learn_more_within, learn_within, learn_words, learn_words_of,
};
use crate::vocab::TokenizerSpec;

/// What `ciyuan learn` takes as the bound where none is given.
pub const LEARN_MEMORY: u64 = 1 << 30;

/// Told the tokens made and the most there will be; may stop learning.
type Report<'r> = &'r mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// Pre-tokens that were left out of learning as too rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LeftOut {
    /// Distinct ones.
    pub distinct: u64,
    /// Their occurrences.
    pub occurrences: u64,
}

impl LeftOut {
    fn add(&mut self, count: u64) {
        self.distinct += 1;
        self.occurrences = self.occurrences.saturating_add(count);
    }
}

/// The distinct pre-tokens of a corpus.
pub(super) enum ToLearn {
    /// All in memory.
    Table(Counts),
    /// In a file.
    File(Apart),
}

/// Pre-tokens in a file, in ascending order.
pub(super) struct Apart {
    path: PathBuf,
    memory: u64,
    /// The folder of the file, and of those that learning needs.
    scratch: Scratch,
}

impl ToLearn {
    /// A table that is there already, without what is too rare; where it finds no room it goes to a file.
    pub(super) fn of_table(
        counts: Counts,
        least: Option<u64>,
        bound: Option<u64>,
        (head, folder): (&CountsHead, &Path),
    ) -> Result<(Self, LeftOut)> {
        if least.unwrap_or(0) <= 1 && bound.is_none_or(|bound| counts.memory_to_learn() <= bound) {
            return Ok((Self::Table(counts), LeftOut::default()));
        }
        let mut gathering = Gathering::new(least, bound, head.clone(), folder);
        let mut stream = SortedCounts::new(counts);
        while stream.advance()? {
            gathering.add(stream.span(), stream.count())?;
        }
        gathering.finish()
    }

    /// Learns merges from it, behind those found so far.
    pub(super) fn learn(self, config: &LearnConfig, so_far: &Learned, report: Report<'_>) -> Result<Learned> {
        match self {
            Self::Table(counts) => learn_from(counts, config, so_far, report),
            Self::File(apart) => apart.read(|counts, room| learn_within(counts, room, config, so_far, report)),
        }
    }

    /// Learns merges from it that extend a tokenizer.
    pub(super) fn learn_more(self, base: &TokenizerSpec, config: &LearnConfig, report: Report<'_>) -> Result<Learned> {
        match self {
            Self::Table(counts) => learn_more(counts, base, config, report),
            Self::File(apart) => apart.read(|counts, room| learn_more_within(counts, room, base, config, report)),
        }
    }

    /// Learns words from it.
    pub(super) fn learn_words(&self, config: &LearnConfig, report: Report<'_>) -> Result<LearnedWords> {
        match self {
            Self::Table(counts) => learn_words(counts, config, report),
            Self::File(apart) => {
                let entries = |each: &mut dyn FnMut(&[u8], u64) -> Result<()>| {
                    apart.read(|counts, _| {
                        while counts.advance()? {
                            each(counts.span(), counts.count())?;
                        }
                        Ok(())
                    })
                };
                learn_words_of(&entries, config, report)
            }
        }
    }
}

impl Apart {
    fn read<T>(&self, then: impl FnOnce(&mut dyn CountStream, WordRoom<'_>) -> Result<T>) -> Result<T> {
        let read = AtomicU64::new(0);
        let (_, mut stream) = open_counts(&self.path, &read)?;
        let files = ScratchWords { scratch: &self.scratch, paths: Mutex::default() };
        then(&mut stream, WordRoom { memory: self.memory, files: &files })
    }
}

/// What is learned from, while it is gathered.
pub(super) struct Gathering {
    counts: Counts,
    /// Rarer pre-tokens are left out.
    least: u64,
    left_out: LeftOut,
    /// Bytes of the pre-tokens in the table.
    bytes: u64,
    /// What the table may take, and learning from it.
    bound: Option<u64>,
    head: CountsHead,
    folder: PathBuf,
    /// Where all goes that the table did not hold.
    file: Option<(Scratch, ScratchCounts)>,
}

impl Gathering {
    pub(super) fn new(least: Option<u64>, bound: Option<u64>, head: CountsHead, folder: &Path) -> Self {
        let (counts, left_out, folder) = (Counts::default(), LeftOut::default(), folder.to_owned());
        Self { counts, least: least.unwrap_or(0), left_out, bytes: 0, bound, head, folder, file: None }
    }

    /// Adds a pre-token, which stands behind all that were added.
    pub(super) fn add(&mut self, span: &[u8], count: u64) -> Result<()> {
        if count < self.least {
            self.left_out.add(count);
            return Ok(());
        }
        if let Some((_, file)) = &mut self.file {
            return file.push(span, count);
        }
        self.counts.add(span, count)?;
        self.bytes += span.len() as u64;
        let held = self.counts.memory() as u64;
        let needed = Counts::memory_of_learning(held, self.counts.len() as u64, self.bytes);
        if self.bound.is_some_and(|bound| needed > bound) {
            let scratch = Scratch::new(&self.folder);
            let mut file = scratch.begin(&self.head)?;
            // They stand in the table as they came.
            std::mem::take(&mut self.counts).iter().try_for_each(|(span, count)| file.push(span, count))?;
            self.file = Some((scratch, file));
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(ToLearn, LeftOut)> {
        let to_learn = match self.file {
            None => ToLearn::Table(self.counts),
            Some((scratch, file)) => {
                let (path, memory) = (file.finish()?, self.bound.unwrap_or(u64::MAX));
                ToLearn::File(Apart { path, memory, scratch })
            }
        };
        Ok((to_learn, self.left_out))
    }
}

/// A table without what is too rare.
pub(super) fn without_rare(counts: Counts, least: Option<u64>) -> Result<(Counts, LeftOut)> {
    let (least, mut left_out, mut kept) = (least.unwrap_or(0), LeftOut::default(), Counts::default());
    if least <= 1 {
        return Ok((counts, left_out));
    }
    for (span, count) in counts.iter() {
        if count < least { left_out.add(count) } else { kept.add(span, count)? }
    }
    Ok((kept, left_out))
}

/// Words in the scratch folder.
struct ScratchWords<'s> {
    scratch: &'s Scratch,
    paths: Mutex<BTreeMap<u32, PathBuf>>,
}

impl ScratchWords<'_> {
    fn with<T>(&self, then: impl FnOnce(&mut BTreeMap<u32, PathBuf>) -> T) -> T {
        then(&mut self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl WordFiles for ScratchWords<'_> {
    fn create(&self, number: u32) -> Result<Sink<'_>> {
        let path = self.scratch.file()?;
        let mut file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        self.with(|paths| paths.insert(number, path.clone()));
        Ok(Box::new(move |bytes| file.write_all(bytes).map_err(|error| Error::io("write", &path, error))))
    }

    fn open(&self, number: u32) -> Result<Tap<'_>> {
        let path = self.with(|paths| paths.get(&number).cloned()).unwrap_or_default();
        let file = File::open(&path).map_err(|error| Error::io("open", &path, error))?;
        let mut file = BufReader::with_capacity(1 << 17, file);
        Ok(Box::new(move |buffer| file.read_exact(buffer).map_err(|error| Error::io("read", &path, error))))
    }

    fn remove(&self, number: u32) {
        // What cannot be removed goes with the folder.
        let _ = self.with(|paths| paths.remove(&number)).map(std::fs::remove_file);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::learn::{CountsSettings, VocabSize, learn};
    use crate::segment::HanEdges;

    const GO_ON: fn(u64, u64) -> ControlFlow<()> = |_, _| ControlFlow::Continue(());

    proptest! {
        /// Whatever finds room, what is learned is the same; and nothing is left behind.
        #[test]
        fn a_bound_changes_nothing(
            spans in prop::collection::btree_map("[a-c词]{1,9}", prop_oneof![4 => 1u64..9, 1 => 1u64..9000], 1..60),
            bound in 0u64..20_000,
            least in prop::option::of(0u64..4),
        ) {
            let mut counts = Counts::default();
            spans.iter().for_each(|(span, count)| counts.add(span.as_bytes(), *count).unwrap());
            let folder = tempfile::tempdir().unwrap();
            let head = CountsHead { settings: CountsSettings::new(".", HanEdges::Chars, 7), documents: 1, bytes: 2 };
            let of = |bound| ToLearn::of_table(counts.clone(), least, bound, (&head, folder.path())).unwrap();
            let (bounded, left_out) = of(Some(bound));
            let (free, left_out_of_all) = of(None);
            prop_assert_eq!(left_out, left_out_of_all);
            let ToLearn::Table(kept) = free else { panic!("there is no bound") };
            prop_assert_eq!(kept.len() as u64 + left_out.distinct, counts.len() as u64);
            prop_assert!(kept.iter().all(|(_, count)| count >= least.unwrap_or(0)));
            prop_assert_eq!(matches!(bounded, ToLearn::Table(_)), kept.memory_to_learn() <= bound);
            let config = LearnConfig { vocab_size: VocabSize::Tokens(290), special: vec![], ..LearnConfig::default() };
            let words = bounded.learn_words(&config, &mut { GO_ON }).unwrap();
            prop_assert_eq!(words, learn_words(&kept, &config, &mut { GO_ON }).unwrap());
            let learned = bounded.learn(&config, &Learned::default(), &mut { GO_ON }).unwrap();
            prop_assert_eq!(learned, learn(&kept, &config, &mut { GO_ON }).unwrap());
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
