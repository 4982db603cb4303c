//! Learning from more words than find room in memory, merge by merge the same: most words wait in files, and in memory
//! are those that the next merges touch.
//!
//! **A round.** The words that hold a pair which occurs `least` times or more are read into memory, and learned from as ever
//! (`pairs.rs`) while there is a pair as frequent as that; then they go back to the others. `least` is the lowest with which
//! they find room. It is exact:
//!
//! - A pair that was as frequent as `least` when the round began is in words in memory only, so it is counted right. So are
//!   all pairs of a new token, which is made in these words alone.
//! - Any other pair was rarer, and no count rises, so it does not come up in this round.
//! - A count would rise where a pair makes a token that already stands in the text. When a tokenizer is extended a pair may make
//!   a token that is there already; that it stands nowhere yet need not be argued for tokenizers from anywhere, as the round
//!   ends with this merge.
//!
//! So words that wait are not touched by the merges of a round, and no merge is ever done a second time.
//!
//! **Which words.** The counts of all pairs would take more memory than there is. Those that may be the most frequent are
//! counted (by sums over hashes, which no pair of the hash exceeds), and the words of each are measured; for rarer pairs the
//! sums tell what they occur at the most. A word is read with the first of its pairs. Where even the words of the most frequent
//! pair find no room, that pair is merged while all words go from one file to another.
//!
//! Rounds go by how often words are touched: a word of eight bytes is by six merges or so, most of them among the first. Words
//! of a gigabyte of source code that would take 217 MB (`Counts::memory_to_learn`) take 6 rounds within 128 MiB, 13 within 64
//! and 29 within 32. Each round reads the files three times and writes them once.
//!
//! Tried and lost: reading words by the sums alone (one reading less, but where a sum is that of many pairs, many rounds for
//! little); counting as many pairs as the memory holds (a fifth slower); room for a place with each cell (17, 43 and 83 rounds).

use std::cmp::Reverse;

use rayon::prelude::*;

use super::arena::{Arena, Cell, MAX_CELLS};
use super::pair_table::{Count, Key, PairCounts, PairTable, key};
use super::pairs::{Best, MAX_PARTS, Made, Pairs};
use super::rules::Rules;
use super::tokens::Tokens;
use super::watch::{Outcome, WORK, Watch};
use super::word_files::{Allowed, LEVELS, Sums, WordFile, WordFiles, WordWriter, each_word, level, lowest};
use crate::error::{Error, Result};

/// Where words that find no room in memory wait, and how much there is.
#[derive(Clone, Copy)]
pub struct WordRoom<'f> {
    /// Bytes of memory that words and their pairs may take, about. What threads add up in is on top, some 20 MB each.
    pub memory: u64,
    /// Files for the rest. They take about two bytes (four for more than 64,500 tokens) for each byte of the distinct pre-tokens,
    /// and as much again while one is made of the other.
    pub files: &'f dyn WordFiles,
}

/// Bytes of a place in the list of its pair, with what lists have to spare, and those of the pairs that it comes to be in.
const PLACE_BYTES: u64 = 12;
/// Bytes of a place while its pair is merged.
const MERGED_BYTES: u64 = 16;
/// What of the memory cells and places may take, in eighths. The rest is for sums, of the last round and of the next, and for
/// what says which words are read.
const CELLS_PART: u64 = 5;
const SUMS_PART: u64 = 2;
/// Bits of the hashes of pairs, by which they are added up.
const BITS: std::ops::RangeInclusive<u32> = 6..=24;
/// Pairs that are counted before a round, at the most: as many as a half of the memory holds, which has no words yet, with the
/// bytes of one and what tables have to spare. More than that many take longer than they save.
const COUNTED_PART: u64 = 2;
const COUNTED_BYTES: u64 = 72;
const MOST_COUNTED: u64 = 1 << 16;

/// More memory than this is not made use of: the places of all cells in it are numbers of 32 bits ([`MAX_CELLS`]).
const MOST_MEMORY: u64 = 2 * MAX_CELLS as u64;

impl WordRoom<'_> {
    /// As much of it as can be made use of.
    pub(super) fn usable(self) -> Self {
        Self { memory: self.memory.min(MOST_MEMORY), ..self }
    }

    /// What a table of words may take before they go to files, where sums are already.
    pub(super) fn of_table(&self) -> u64 {
        self.memory / 8 * (8 - SUMS_PART)
    }
}

/// What the words give to be merged, all of them in memory or most of them in files.
pub(super) enum Supply<'f, C> {
    Whole(Box<Pairs<C>>),
    Rounds(Box<Rounds<'f, C>>),
}

impl<C: Cell> Supply<'_, C> {
    /// The most frequent pair that may be merged; of equal ones the lowest.
    pub(super) fn best(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Option<Best>> {
        match self {
            Self::Whole(pairs) => pairs.best(tokens, watch),
            Self::Rounds(rounds) => rounds.best(tokens, watch),
        }
    }

    /// Merges a pair everywhere; `result` is the token that it makes, and whether that is a new one.
    pub(super) fn merge(
        &mut self,
        best: &Best,
        result: (u32, bool),
        tokens: &Tokens,
        watch: &mut Watch<'_>,
    ) -> Outcome<Made> {
        match self {
            Self::Whole(pairs) => Ok(pairs.merge(best, result.0, tokens)),
            Self::Rounds(rounds) => rounds.merge(best, result, tokens, watch),
        }
    }
}

/// Words in files, and those of a round in memory.
pub(super) struct Rounds<'f, C> {
    room: WordRoom<'f>,
    rules: Rules,
    /// Pairs below this are never asked for, nor more merges than this.
    fewest: u64,
    merges: usize,
    /// Merges that were done.
    done: usize,
    /// Bits of the hashes of pairs.
    bits: u32,
    /// How many files were made.
    made: u32,
    /// A file for each part, between two rounds.
    files: Vec<WordFile>,
    /// The files of the words that are not in memory, in a round and before the first.
    writers: Vec<WordWriter<'f, C>>,
    /// Of the pairs in the files.
    sums: Sums,
    /// Of so many of the highest sums the pairs are counted.
    counted: u64,
    round: Option<Round<C>>,
}

/// The words in memory.
struct Round<C> {
    pairs: Pairs<C>,
    least: u64,
    is_over: bool,
}

/// What comes behind a round.
enum Begun {
    /// Another one.
    Round,
    /// Not even the words of the most frequent pair find room.
    NoRoom(Best),
    NoPair,
}

impl<'f, C: Cell> Rounds<'f, C> {
    /// No words yet.
    pub(super) fn new(room: WordRoom<'f>, rules: Rules, fewest: u64, merges: usize) -> Result<Self> {
        let sums = room.memory / 8 * SUMS_PART / 2 / size_of::<u64>() as u64;
        let bits = sums.max(1).ilog2().clamp(*BITS.start(), *BITS.end());
        let parts = rayon::current_num_threads().clamp(1, MAX_PARTS);
        let mut rounds = Self {
            room,
            rules,
            fewest: fewest.max(1),
            merges,
            done: 0,
            bits,
            made: 0,
            files: Vec::new(),
            writers: Vec::new(),
            sums: Sums::new(bits),
            counted: MOST_COUNTED,
            round: None,
        };
        rounds.writers = rounds.new_files(parts)?;
        Ok(rounds)
    }

    /// Bytes that cells and places may take.
    fn bytes(&self) -> u64 {
        self.room.memory / 8 * CELLS_PART
    }

    fn new_files(&mut self, parts: usize) -> Result<Vec<WordWriter<'f, C>>> {
        let first = self.made;
        self.made += parts as u32;
        (first..self.made).map(|number| WordWriter::create(self.room.files, number)).collect()
    }

    /// Adds words, before the first round.
    pub(super) fn add(&mut self, arenas: Vec<Arena<C>>, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<()> {
        // With fewer arenas than parts, each part gets some in turn.
        let first = arenas.len() % self.writers.len();
        self.put(arenas, tokens, watch)?;
        self.writers.rotate_left(first);
        Ok(())
    }

    /// Puts the words of each list into one of the files.
    fn put(&mut self, mut arenas: Vec<Arena<C>>, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<()> {
        let (allowed, sums) = (Allowed::new(self.rules, tokens), &self.sums);
        arenas.par_iter_mut().for_each(Arena::compact);
        for some in arenas.chunks(self.writers.len()) {
            let mut parts: Vec<_> = some.iter().map(Arena::words).zip(&mut self.writers).collect();
            let work = WORK / parts.len();
            let mut cells = usize::MAX;
            while cells > 0 {
                let put = parts.par_iter_mut().map(|(words, writer)| {
                    let mut cells = 0;
                    while cells < work {
                        let Some((word, count)) = words.next() else { break };
                        writer.push(word, count, allowed, sums)?;
                        cells += word.len() + 1;
                    }
                    Ok(cells)
                });
                cells = put.sum::<Result<usize>>()?;
                watch.worked(cells)?;
            }
        }
        Ok(())
    }

    /// The most frequent pair that may be merged; of equal ones the lowest.
    fn best(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Option<Best>> {
        loop {
            if let Some(round) = self.round.as_mut().filter(|round| !round.is_over) {
                if let Some(best) = round.pairs.best(tokens, watch)? {
                    return Ok(Some(best));
                }
                if round.least <= self.fewest {
                    return Ok(None);
                }
            }
            self.end_round(tokens, watch)?;
            match self.begin_round(tokens, watch)? {
                Begun::Round => {}
                Begun::NoRoom(best) => return Ok(Some(best)),
                Begun::NoPair => return Ok(None),
            }
        }
    }

    /// Merges a pair everywhere.
    fn merge(
        &mut self,
        best: &Best,
        (result, is_new): (u32, bool),
        tokens: &Tokens,
        watch: &mut Watch<'_>,
    ) -> Outcome<Made> {
        self.done += 1;
        match &mut self.round {
            Some(round) => {
                round.is_over = !is_new;
                Ok(round.pairs.merge(best, result, tokens))
            }
            None => self.merge_in_files(best.pair, result, tokens, watch),
        }
    }

    /// Puts the words in memory behind the others.
    fn end_round(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<()> {
        if let Some(round) = self.round.take() {
            self.put(round.pairs.into_arenas(), tokens, watch)?;
        }
        Ok(self.close()?)
    }

    fn close(&mut self) -> Result<()> {
        for writer in std::mem::take(&mut self.writers) {
            self.files.push(writer.finish(&self.sums)?);
        }
        self.sums.settle();
        Ok(())
    }

    fn all(&self) -> (&'f dyn WordFiles, &[WordFile]) {
        (self.room.files, &self.files)
    }

    /// Reads the words of the most frequent pairs, as many as find room.
    fn begin_round(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Begun> {
        let allowed = Allowed::new(self.rules, tokens);
        let all: u64 = self.files.iter().map(|file| file.cells).sum();
        if all.saturating_mul(cell_bytes::<C>()) <= self.bytes() {
            let cells = self.files.iter().map(|file| file.cells as usize).collect();
            self.read_round(cells, self.fewest, |_| true, tokens, watch)?;
            return Ok(Begun::Round);
        }
        let frequent = self.frequent(tokens, watch)?;
        let Some(first) = frequent.pairs.first() else { return Ok(Begun::NoPair) };
        let (table, sums) = (frequent.table(), std::mem::replace(&mut self.sums, Sums::new(1)));
        let rank = |word: &[C]| allowed.pairs(word).map(|pair| frequent.rank(pair, &table, &sums)).min();
        let mut sizes = vec![vec![0; frequent.ranks()]; self.files.len()];
        each_word(self.all(), &mut sizes, watch, |sizes: &mut Vec<u64>, word: &[C], _| {
            if let Some(rank) = rank(word) {
                sizes[rank] += word.len() as u64 + 1;
            }
            Ok(())
        })?;
        let (fit, least) = frequent.fit::<C>(&sizes, self.bytes());
        if fit == 0 {
            return Ok(Begun::NoRoom(Best::anywhere(first.key, first.count)));
        }
        let cells = sizes.iter().map(|sizes| sizes[..fit].iter().sum::<u64>() as usize).collect();
        let is_wanted = |word: &[C]| rank(word).is_some_and(|rank| rank < fit);
        self.read_round(cells, least.max(self.fewest), is_wanted, tokens, watch)?;
        Ok(Begun::Round)
    }

    /// Reads those words that are wanted, of so many cells in each file, and puts the others into new files.
    fn read_round(
        &mut self,
        cells: Vec<usize>,
        least: u64,
        is_wanted: impl Fn(&[C]) -> bool + Sync,
        tokens: &Tokens,
        watch: &mut Watch<'_>,
    ) -> Outcome<()> {
        let (allowed, sums) = (Allowed::new(self.rules, tokens), Sums::new(self.bits));
        let writers = self.new_files(self.files.len())?;
        let parts = cells.into_iter().map(Arena::with_room).zip(writers);
        let mut parts: Vec<(Arena<C>, WordWriter<'_, C>)> = parts.collect();
        each_word(self.all(), &mut parts, watch, |(arena, writer), word, count| {
            if !is_wanted(word) {
                return writer.push(word, count, allowed, &sums);
            }
            arena.push_cells(word, count);
            Ok(())
        })?;
        self.remove_files();
        let (arenas, writers) = parts.into_iter().unzip();
        (self.writers, self.sums) = (writers, sums);
        let pairs = Pairs::new(arenas, self.rules, least, (self.done, self.merges), tokens);
        self.round = Some(Round { pairs, least, is_over: false });
        Ok(())
    }

    /// The most frequent pairs of all files, about as many as may be counted at a time; none, if none may be merged.
    fn frequent(&mut self, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Frequent> {
        let counts = self.files.len() as u64 + 1;
        let mut most = (self.room.memory / COUNTED_PART / COUNTED_BYTES / counts).min(MOST_COUNTED);
        let mut least = self.sums.least_of(self.counted.min(most)).max(self.fewest);
        loop {
            let Some((mut pairs, highest)) = self.count_pairs(least, most as usize, tokens, watch)? else {
                // Each sum is that of several pairs. Of the highest ones all are counted, however many there are.
                self.counted = self.counted.min(most) / 2;
                most = if self.counted > 0 { most } else { u64::MAX };
                least = self.sums.least_of(self.counted).max(self.fewest);
                continue;
            };
            if !pairs.is_empty() || least <= self.fewest {
                pairs.sort_unstable_by_key(|pair| (Reverse(pair.count), pair.key));
                return Ok(Frequent { pairs, least });
            }
            // Sums promised more than there was: these are the pairs as frequent as the next one, however many.
            (least, most) = (if highest > 0 { highest } else { least / 2 }.max(self.fewest), u64::MAX);
        }
    }

    /// The pairs that occur `least` times or more, if no more than `most` have to be counted for it; and how often the most
    /// frequent one of those counted occurs.
    fn count_pairs(&self, least: u64, most: usize, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Option<Counted>> {
        let (allowed, sums) = (Allowed::new(self.rules, tokens), &self.sums);
        let mut tables: Vec<PairCounts> = self.files.iter().map(|_| PairCounts::new()).collect();
        each_word(self.all(), &mut tables, watch, |table, word: &[C], count| {
            if table.len() <= most {
                allowed.pairs(word).filter(|pair| sums.of(*pair) >= least).for_each(|pair| table.add(pair, count));
            }
            Ok(())
        })?;
        if tables.iter().any(|table| table.len() > most) {
            return Ok(None);
        }
        let (pairs, overflow) = PairCounts::sum(&tables);
        if let Some(&pair) = overflow.first() {
            let (left, right) = tokens.ids(pair);
            return Err(Error::CountOverflow { left, right }.into());
        }
        let highest = pairs.iter().map(|pair| pair.1).max().unwrap_or(0);
        let frequent = pairs.into_iter().filter(|(_, count)| *count >= least);
        let places = |key| tables.iter().map(|table| u64::from(table.places(key))).sum();
        let pairs = frequent.map(|(key, count)| FrequentPair { key, count, places: places(key) });
        Ok(Some((pairs.collect(), highest)))
    }

    /// Merges a pair in all words while they go from one file to another.
    fn merge_in_files(&mut self, pair: Key, result: u32, tokens: &Tokens, watch: &mut Watch<'_>) -> Outcome<Made> {
        let (allowed, sums) = (Allowed::new(self.rules, tokens), Sums::new(self.bits));
        let writers = self.new_files(self.files.len())?;
        let mut parts: Vec<(WordWriter<'_, C>, u64)> = writers.into_iter().map(|writer| (writer, 0)).collect();
        each_word(self.all(), &mut parts, watch, |(writer, made), word, count| {
            let merged = merge_word(word, pair, C::of(result));
            *made = made.saturating_add(count.saturating_mul((word.len() - merged.len()) as u64));
            writer.push(&merged, count, allowed, &sums)
        })?;
        self.remove_files();
        let (writers, made): (_, Vec<u64>) = parts.into_iter().unzip();
        (self.writers, self.sums) = (writers, sums);
        self.close()?;
        // No places: its time is that of reading, which was told.
        Ok(Made { tokens: made.into_iter().fold(0, u64::saturating_add), ..Made::default() })
    }
}

impl<C> Rounds<'_, C> {
    /// The words of the files are in others now.
    fn remove_files(&mut self) {
        self.files.drain(..).for_each(|file| self.room.files.remove(file.number));
    }
}

impl<C> Drop for Rounds<'_, C> {
    fn drop(&mut self) {
        self.remove_files();
        self.writers.drain(..).for_each(|writer| self.room.files.remove(writer.file.number));
    }
}

/// A word in which a pair is merged, from left to right.
fn merge_word<C: Cell>(word: &[C], pair: Key, result: C) -> Vec<C> {
    let mut merged = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [left, behind @ ..] = rest {
        let is_pair = behind.first().is_some_and(|&right| key((*left).into(), right.into()) == pair);
        merged.push(if is_pair { result } else { *left });
        rest = if is_pair { &behind[1..] } else { behind };
    }
    merged
}

/// A pair that was counted.
struct FrequentPair {
    key: Key,
    count: u64,
    /// In how many places it is.
    places: u64,
}

/// Frequent pairs, and the highest count of all that were counted.
type Counted = (Vec<FrequentPair>, u64);

/// The most frequent pairs, in the order in which they would be merged, and from which count on they are all there.
struct Frequent {
    pairs: Vec<FrequentPair>,
    least: u64,
}

/// Bytes of a cell, where any may be a place.
fn cell_bytes<C>() -> u64 {
    size_of::<C>() as u64 + PLACE_BYTES / 2
}

impl Frequent {
    /// The place of each pair.
    fn table(&self) -> PairTable {
        let mut table = PairTable::new();
        self.pairs.iter().for_each(|pair| _ = table.entry(pair.key));
        table
    }

    /// The frequent pairs have ranks of their own, the others by what they occur at the most.
    #[inline(always)]
    fn rank(&self, pair: Key, table: &PairTable, sums: &Sums) -> usize {
        match table.find(pair) {
            Some(rank) => rank as usize,
            None => self.pairs.len() + LEVELS - 1 - level(sums.of(pair).min(self.least - 1)),
        }
    }

    fn ranks(&self) -> usize {
        self.pairs.len() + LEVELS
    }

    /// How many of the first ranks find room with their words, and from which count on these are all pairs. `sizes` are cells
    /// by the first rank of their word. Places are needed for pairs of these ranks alone.
    fn fit<C>(&self, sizes: &[Vec<u64>], room: u64) -> (usize, u64) {
        let (mut cells, mut places, mut most, mut fit) = (0, 0, 0, (0, u64::MAX));
        for rank in 0..self.ranks() {
            cells += sizes.iter().map(|sizes| sizes[rank]).sum::<u64>();
            let of_pair = self.pairs.get(rank).map_or(0, |pair| pair.places);
            (places, most) = (places + of_pair, of_pair.max(most));
            let bytes = match rank < self.pairs.len() {
                true => cells * size_of::<C>() as u64 + places * PLACE_BYTES + most * MERGED_BYTES,
                false => cells * cell_bytes::<C>(),
            };
            if bytes > room {
                break;
            }
            match (self.pairs.get(rank), self.pairs.get(rank + 1)) {
                // Pairs that are as frequent as each other come together.
                (Some(pair), Some(next)) if next.count == pair.count => {}
                (Some(_), Some(next)) => fit = (rank + 1, next.count + 1),
                (Some(_), None) => fit = (rank + 1, self.least),
                (None, _) => fit = (rank + 1, lowest(self.ranks() - 1 - rank).min(self.least)),
            }
        }
        fit
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::super::learner::tests::{base, config, counts, many, rules, token_bytes, words};
    use super::super::{
        Counts, FilesInMemory, LearnConfig, Learned, SortedCounts, VocabSize, learn, learn_from, learn_more,
        learn_more_within, learn_within,
    };
    use super::*;

    const GO_ON: fn(u64, u64) -> ControlFlow<()> = |_, _| ControlFlow::Continue(());

    fn within(all: &Counts, memory: u64, config: &LearnConfig) -> (Learned, u32) {
        let files = FilesInMemory::default();
        let room = WordRoom { memory, files: &files };
        let stream = &mut SortedCounts::new(all);
        let learned = learn_within(stream, room, config, &Learned::default(), &mut { GO_ON }).unwrap();
        assert!(files.is_empty());
        (learned, files.made())
    }

    /// However much memory there is, neither a round nor a table on the way to the files has more cells than places.
    #[test]
    fn places_are_numbers_of_32_bits() {
        let files = FilesInMemory::default();
        let room = WordRoom { memory: u64::MAX, files: &files }.usable();
        let rounds = Rounds::<u16>::new(WordRoom { memory: 1 << 20, ..room }, Rules::of(&config(1)), 1, 1).unwrap();
        assert_eq!(rounds.bytes(), 5 << 17);
        assert!(room.memory / 8 * CELLS_PART / 2 < MAX_CELLS as u64);
        assert!(Counts::memory_of_learning(0, 0, MAX_CELLS as u64) > room.of_table());
        #[cfg(feature = "pipeline")]
        assert!(Counts::memory_of_learning(0, 0, MAX_CELLS as u64) >= Counts::MOST_TO_LEARN);
        // A bound that is lower stays.
        assert_eq!(WordRoom { memory: 7, ..room }.usable().memory, 7);
    }

    #[test]
    fn a_pair_of_equal_tokens() {
        let pair = key(1, 1);
        for (word, wanted) in [(&[1u16, 1, 1][..], &[9u16, 1][..]), (&[2, 1, 1, 1, 1], &[2, 9, 9]), (&[1], &[1])] {
            assert_eq!(merge_word(word, pair, 9), wanted);
        }
    }

    /// Where a third of the words find room, merges come in rounds; where none do, each takes a reading of its own.
    #[test]
    fn rounds_are_few() {
        let all = many();
        let whole = learn(&all, &config(1000), &mut { GO_ON }).unwrap();
        let bytes: u64 = all.iter().map(|(span, _)| span.len() as u64 + 1).sum();
        let parts = rayon::current_num_threads().clamp(1, MAX_PARTS) as u32;
        for (memory, least, most) in [(100 * bytes, 2, 2), (4 * bytes, 3, 60), (0, 1001, u32::MAX)] {
            let (learned, files) = within(&all, memory, &config(1000));
            assert!(learned == whole, "{memory}");
            assert!(
                (least * parts..=most.saturating_mul(parts)).contains(&files),
                "{memory}: {files} of {parts} parts"
            );
        }
    }

    #[test]
    fn counts_that_64_bits_do_not_hold() {
        let all = counts(&[("xab", u64::MAX), ("yab", 1), ("cdcdcd", 9)]);
        for memory in [0, 100, 10_000] {
            let files = FilesInMemory::default();
            let room = WordRoom { memory, files: &files };
            let stream = &mut SortedCounts::new(&all);
            let overflow = learn_within(stream, room, &config(2), &Learned::default(), &mut { GO_ON });
            assert!(matches!(overflow, Err(Error::CountOverflow { left: 64, right: 65 })), "{overflow:?}");
        }
    }

    #[test]
    fn stopped_anywhere_it_goes_on() {
        let all = many();
        let whole = learn(&all, &config(300), &mut { GO_ON }).unwrap();
        for memory in [0, 20_000, 60_000] {
            let (mut so_far, mut stops) = (Learned::default(), 0);
            loop {
                let files = FilesInMemory::default();
                let room = WordRoom { memory, files: &files };
                // More is done each time, as the first calls do not come behind a merge.
                let mut calls = 3 + stops;
                let mut stop = |_: u64, _: u64| {
                    calls -= 1;
                    if calls == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                so_far = learn_within(&mut SortedCounts::new(&all), room, &config(300), &so_far, &mut stop).unwrap();
                assert!(files.is_empty());
                if !so_far.interrupted {
                    break;
                }
                assert_eq!(so_far.pairs, whole.pairs[..so_far.pairs.len()]);
                so_far.interrupted = false;
                stops += 1;
            }
            assert!(so_far == whole && stops > 0, "{memory}: stopped {stops} times");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn merges_are_those_of_words_in_memory(words in words(), config in rules(), memory in 0u64..2500, auto in 0u8..5) {
            let all = counts(&words);
            let vocab_size = if auto == 0 { VocabSize::Auto } else { config.vocab_size };
            let config = LearnConfig { vocab_size, ..config };
            let whole = learn(&all, &config, &mut { GO_ON }).unwrap();
            prop_assert_eq!(within(&all, memory, &config).0, whole);
        }

        #[test]
        fn it_goes_on_within_little_memory(words in words(), config in rules(), memory in 0u64..2500, part in 0.0..1.0) {
            let all = counts(&words);
            let whole = learn(&all, &config, &mut { GO_ON }).unwrap();
            let cut = (part * whole.pairs.len() as f64) as usize;
            let (pairs, counts) = (whole.pairs[..cut].to_vec(), whole.counts[..cut].to_vec());
            let so_far = Learned { pairs, counts, exhausted: false, interrupted: true };
            let files = FilesInMemory::default();
            let room = WordRoom { memory, files: &files };
            let learned = learn_within(&mut SortedCounts::new(&all), room, &config, &so_far, &mut { GO_ON }).unwrap();
            prop_assert_eq!(&learned, &learn_from(&all, &config, &so_far, &mut { GO_ON }).unwrap());
            prop_assert_eq!(learned, whole);
        }

        /// Tokens of the base that its merges do not reach are made by pairs here: counts rise.
        #[test]
        fn extending_within_little_memory(
            words in words(),
            others in words(),
            config in rules(),
            (merges, more, memory) in (0u32..20, 0u32..20, 0u64..2500),
            whole in prop::collection::btree_set("[abc]{2,5}|[a词]{2,3}", 0..6),
        ) {
            let learned = learn(counts(&others), &self::config(merges), &mut { GO_ON }).unwrap();
            let made = token_bytes(&learned.pairs);
            let is_new = |word: &&str| made.iter().all(|token| token != word.as_bytes());
            let whole: Vec<&str> = whole.iter().map(String::as_str).filter(is_new).collect();
            let base = base(&learned.pairs, &whole);
            let all = counts(&words);
            let config = LearnConfig { vocab_size: VocabSize::Tokens(base.vocab_size() + more), ..config };
            let files = FilesInMemory::default();
            let room = WordRoom { memory, files: &files };
            let within = learn_more_within(&mut SortedCounts::new(&all), room, &base, &config, &mut { GO_ON }).unwrap();
            prop_assert_eq!(within, learn_more(&all, &base, &config, &mut { GO_ON }).unwrap());
            prop_assert!(files.is_empty());
        }
    }
}
