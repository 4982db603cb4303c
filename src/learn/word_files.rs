//! Words in files: as tokens, where they find no room in memory (`rounds.rs`).
//!
//! A file is a list of blocks, all numbers little endian: how often each word of the block occurs and how many cells
//! follow, eight bytes each, and the cells, of two or four bytes as in memory (`arena.rs`): the tokens of each word, and an
//! edge behind it. Files are written and read once from beginning to end, by the process that made them. A word that
//! holds no pair which may be merged is not kept.
//!
//! While words are written, the counts of their pairs are added up by hash ([`Sums`]): no pair of the file occurs more often
//! than its sum says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::arena::Cell;
use super::pair_table::{Key, hash, key};
use super::rules::Rules;
use super::tokens::Tokens;
use super::watch::{Outcome, WORK, Watch};
use crate::error::Result;

/// Takes bytes one after the other.
pub type Sink<'f> = Box<dyn FnMut(&[u8]) -> Result<()> + Send + 'f>;

/// Fills a buffer with the next bytes; that there are fewer is an error.
pub type Tap<'f> = Box<dyn FnMut(&mut [u8]) -> Result<()> + Send + 'f>;

/// Files for words that find no room in memory, by number. They are needed for as long as learning takes.
pub trait WordFiles: Sync {
    /// A new file, which is written once. Bytes come a quarter of a megabyte at a time.
    ///
    /// # Errors
    ///
    /// When it cannot be made; the sink, when it cannot be written.
    fn create(&self, file: u32) -> Result<Sink<'_>>;

    /// A file from its beginning.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; the tap, when it cannot be read.
    fn open(&self, file: u32) -> Result<Tap<'_>>;

    /// A file is not needed any more.
    fn remove(&self, file: u32);
}

/// Files that are none, for tests.
#[derive(Debug, Default)]
pub struct FilesInMemory {
    files: Mutex<BTreeMap<u32, Vec<u8>>>,
    made: AtomicU32,
}

impl FilesInMemory {
    fn with<T>(&self, then: impl FnOnce(&mut BTreeMap<u32, Vec<u8>>) -> T) -> T {
        then(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many files were made.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made.load(Ordering::Relaxed)
    }

    /// Whether all files were removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.with(|files| files.is_empty())
    }
}

impl WordFiles for FilesInMemory {
    fn create(&self, file: u32) -> Result<Sink<'_>> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.with(|files| files.insert(file, Vec::new()));
        Ok(Box::new(move |bytes| {
            self.with(|files| files.entry(file).or_default().extend_from_slice(bytes));
            Ok(())
        }))
    }

    fn open(&self, file: u32) -> Result<Tap<'_>> {
        let mut from = 0;
        Ok(Box::new(move |buffer| {
            let end = from + buffer.len();
            self.with(|files| buffer.copy_from_slice(&files[&file][from..end]));
            from = end;
            Ok(())
        }))
    }

    fn remove(&self, file: u32) {
        self.with(|files| files.remove(&file));
    }
}

/// The pairs that may be merged.
#[derive(Clone, Copy)]
pub(super) struct Allowed<'t> {
    rules: Rules,
    tokens: &'t Tokens,
    /// Whether these are all pairs there are.
    all: bool,
}

impl<'t> Allowed<'t> {
    pub(super) fn new(rules: Rules, tokens: &'t Tokens) -> Self {
        Self { rules, tokens, all: rules.allow_all(tokens.longest()) }
    }

    /// Those of a word, from left to right.
    #[inline(always)]
    pub(super) fn pairs<C: Cell>(self, word: &[C]) -> impl Iterator<Item = Key> {
        let pairs = word.windows(2).map(|pair| (pair[0].into(), pair[1].into()));
        let shape = move |token| self.tokens.shape(token);
        let may_be = move |&(left, right): &(u32, u32)| self.all || self.rules.allow(shape(left), shape(right));
        pairs.filter(may_be).map(|(left, right)| key(left, right))
    }
}

/// Counts of pairs, added up by their hashes, by all threads in one list.
#[derive(Debug)]
pub(super) struct Sums {
    sums: Vec<AtomicU64>,
    bits: u32,
    /// Those that 64 bits do not hold.
    over: Mutex<BTreeSet<usize>>,
}

impl Sums {
    pub(super) fn new(bits: u32) -> Self {
        Self { sums: (0..1u64 << bits).map(|_| AtomicU64::new(0)).collect(), bits, over: Mutex::default() }
    }

    fn add(&self, at: usize, count: u64) {
        let before = self.sums[at].fetch_add(count, Ordering::Relaxed);
        if before.checked_add(count).is_none() {
            self.over.lock().unwrap_or_else(PoisonError::into_inner).insert(at);
        }
    }

    /// All was added.
    pub(super) fn settle(&mut self) {
        let over = self.over.get_mut().unwrap_or_else(PoisonError::into_inner);
        over.iter().for_each(|at| *self.sums[*at].get_mut() = u64::MAX);
    }

    /// What a pair occurs at the most.
    #[inline(always)]
    pub(super) fn of(&self, pair: Key) -> u64 {
        self.sums[hash(pair, self.bits)].load(Ordering::Relaxed)
    }

    /// A number that no more than `most` sums reach, as low as may be; but some do, if there are any.
    pub(super) fn least_of(&self, most: u64) -> u64 {
        let mut levels = vec![0u64; LEVELS];
        let sums = self.sums.iter().map(|sum| sum.load(Ordering::Relaxed)).filter(|sum| *sum > 0);
        sums.for_each(|sum| levels[level(sum)] += 1);
        let (mut reached, mut least) = (0, None);
        for level in (0..LEVELS).rev().filter(|level| levels[*level] > 0) {
            reached += levels[level];
            least = Some(level).filter(|_| reached <= most).or(least).or(Some(level));
        }
        least.map_or(1, lowest)
    }
}

/// Levels of numbers: eight to a power of two.
pub(super) const LEVELS: usize = 8 * 64;

pub(super) fn level(number: u64) -> usize {
    let power = number.max(1).ilog2();
    8 * power as usize + ((u128::from(number.max(1)) << 3 >> power) & 7) as usize
}

/// The lowest number of a level.
pub(super) fn lowest(level: usize) -> u64 {
    ((8 + level as u128 % 8) << (level / 8)).div_ceil(8) as u64
}

/// Sums of one thread on their way to those of all, so that threads do not wait for each other at frequent pairs.
struct OwnSums {
    /// By the low bits of a hash: the hash, and what is to be added there.
    own: Vec<(usize, u64)>,
}

const OWN: usize = 1 << 12;

impl OwnSums {
    #[inline(always)]
    fn add(&mut self, pair: Key, count: u64, sums: &Sums) {
        let at = hash(pair, sums.bits);
        let own = &mut self.own[at % OWN];
        if own.0 == at
            && let Some(sum) = own.1.checked_add(count)
        {
            own.1 = sum;
        } else {
            let (at, sum) = std::mem::replace(own, (at, count));
            sums.add(at, sum);
        }
    }

    fn finish(self, sums: &Sums) {
        self.own.into_iter().for_each(|(at, sum)| sums.add(at, sum));
    }
}

/// Bytes that are written at a time.
const BUFFER: usize = 1 << 18;
/// Cells of a block, if it is not one longer word.
const BLOCK: usize = 1 << 15;

/// A file that was written.
pub(super) struct WordFile {
    pub(super) number: u32,
    bytes: u64,
    /// Cells of its words, with their edges.
    pub(super) cells: u64,
}

/// A file while it is written.
pub(super) struct WordWriter<'f, C> {
    sink: Sink<'f>,
    pub(super) file: WordFile,
    sums: OwnSums,
    /// What was not given to the sink yet.
    buffer: Vec<u8>,
    block: Vec<C>,
    /// The count of the words of the block.
    count: u64,
}

impl<'f, C: Cell> WordWriter<'f, C> {
    pub(super) fn create(files: &'f dyn WordFiles, number: u32) -> Result<Self> {
        let (sink, file) = (files.create(number)?, WordFile { number, bytes: 0, cells: 0 });
        let sums = OwnSums { own: vec![(0, 0); OWN] };
        Ok(Self { sink, file, sums, buffer: Vec::new(), block: Vec::new(), count: 0 })
    }

    /// Adds a word, without its edge, and the counts of its pairs to `sums`.
    pub(super) fn push(&mut self, word: &[C], count: u64, allowed: Allowed<'_>, sums: &Sums) -> Result<()> {
        let mut holds_any = false;
        for pair in allowed.pairs(word) {
            self.sums.add(pair, count, sums);
            holds_any = true;
        }
        if !holds_any {
            return Ok(());
        }
        if self.count != count || self.block.len() >= BLOCK {
            self.end_block()?;
            self.count = count;
        }
        self.block.extend_from_slice(word);
        self.block.push(C::EDGE);
        self.file.cells += word.len() as u64 + 1;
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.buffer.extend_from_slice(&self.count.to_le_bytes());
        self.buffer.extend_from_slice(&(self.block.len() as u64).to_le_bytes());
        C::write(&self.block, &mut self.buffer);
        self.block.clear();
        if self.buffer.len() >= BUFFER { self.empty() } else { Ok(()) }
    }

    fn empty(&mut self) -> Result<()> {
        self.file.bytes += self.buffer.len() as u64;
        (self.sink)(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self, sums: &Sums) -> Result<WordFile> {
        self.end_block()?;
        self.empty()?;
        self.sums.finish(sums);
        Ok(self.file)
    }
}

/// A file while it is read.
struct WordReader<'f, C> {
    tap: Tap<'f>,
    left: u64,
    bytes: Vec<u8>,
    block: Vec<C>,
}

impl<'f, C: Cell> WordReader<'f, C> {
    fn open(files: &'f dyn WordFiles, file: &WordFile) -> Result<Self> {
        let tap = files.open(file.number)?;
        Ok(Self { tap, left: file.bytes, bytes: Vec::new(), block: Vec::new() })
    }

    /// The next block, and the count of its words.
    fn next(&mut self) -> Result<Option<(&[C], u64)>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut head = [[0; 8]; 2];
        (self.tap)(head.as_flattened_mut())?;
        let [count, cells] = head.map(u64::from_le_bytes);
        self.bytes.resize(cells as usize * size_of::<C>(), 0);
        (self.tap)(&mut self.bytes)?;
        self.left -= (head.as_flattened().len() + self.bytes.len()) as u64;
        self.block.clear();
        C::read(&self.bytes, &mut self.block);
        Ok(Some((&self.block, count)))
    }
}

/// Gives each word of some files, without its edge, and its count to `each`, with one of `states`, one for each file.
pub(super) fn each_word<C: Cell, S: Send>(
    (files, all): (&dyn WordFiles, &[WordFile]),
    states: &mut [S],
    watch: &mut Watch<'_>,
    each: impl Fn(&mut S, &[C], u64) -> Result<()> + Sync,
) -> Outcome<()> {
    let readers = all.iter().map(|file| WordReader::<C>::open(files, file));
    let mut readers = readers.collect::<Result<Vec<_>>>()?;
    let work = WORK / all.len().max(1);
    let some = |reader: &mut WordReader<'_, C>, state: &mut S| -> Result<usize> {
        let mut cells = 0;
        while cells < work {
            let Some((block, count)) = reader.next()? else { break };
            cells += block.len();
            // The last edge ends a word, too, and has none behind it.
            let words = block[..block.len() - 1].split(|cell| *cell == C::EDGE);
            words.into_iter().try_for_each(|word| each(state, word, count))?;
        }
        Ok(cells)
    };
    loop {
        let read = readers.par_iter_mut().zip(states.par_iter_mut()).map(|(reader, state)| some(reader, state));
        match read.sum::<Result<usize>>()? {
            0 => return Ok(()),
            cells => watch.worked(cells)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_numbers() {
        for number in (1..5000).chain([u64::MAX - 1, u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 40]) {
            let level = level(number);
            assert!(level < LEVELS && lowest(level) <= number && (level + 1 == LEVELS || number < lowest(level + 1)));
        }
        // Eight to a power of two.
        assert_eq!([1, 8, 9, 16, 17, 18, 1 << 20].map(level), [0, 24, 25, 32, 32, 33, 160]);
    }

    #[test]
    fn sums_that_few_reach() {
        let mut sums = Sums::new(6);
        assert_eq!(sums.least_of(9), 1);
        [5, 5, 5, 100, 100, 1 << 40].iter().zip(0..).for_each(|(sum, at)| sums.add(at, *sum));
        assert_eq!([0, 1, 2, 3, 5, 6, 99].map(|most| sums.least_of(most)), [1 << 40, 1 << 40, 1 << 40, 96, 96, 5, 5]);
        sums.add(7, u64::MAX);
        sums.add(7, 9);
        sums.settle();
        assert_eq!(sums.least_of(1), 15 << 60);
        assert_eq!(sums.sums[7].load(Ordering::Relaxed), u64::MAX);
    }
}
