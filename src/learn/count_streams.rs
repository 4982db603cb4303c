//! Counts as streams: sorted entries that come one after the other, added and weighted without being held in memory.
//!
//! All ways of counting end in one stream: tables in memory, files of counts, parts that found no room. What is made of
//! it depends on the entries alone, so that tokenizers are the same for any bound of memory and any number of parts.

use std::borrow::Borrow;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use xxhash_rust::xxh3::Xxh3;

use super::counts::{Counts, checked};
use super::watch::{Outcome, Watch};
use crate::error::Result;
use crate::vocab::Fingerprint;

/// Distinct spans with counts above zero, strictly ascending by their bytes.
pub trait CountStream {
    /// Goes to the next span (the first, at the beginning); whether there is one.
    ///
    /// # Errors
    ///
    /// Those of reading and of adding counts.
    fn advance(&mut self) -> Result<bool>;

    /// The span at which the stream stands.
    fn span(&self) -> &[u8];

    /// Its count.
    fn count(&self) -> u64;
}

impl<S: CountStream + ?Sized> CountStream for Box<S> {
    fn advance(&mut self) -> Result<bool> {
        (**self).advance()
    }

    fn span(&self) -> &[u8] {
        (**self).span()
    }

    fn count(&self) -> u64 {
        (**self).count()
    }
}

/// Counts in memory, owned or borrowed, as a stream.
pub struct SortedCounts<C> {
    counts: C,
    order: Vec<u32>,
    /// How many spans it has gone to.
    gone: usize,
}

impl<C: Borrow<Counts>> SortedCounts<C> {
    /// The stream of `counts`.
    #[must_use]
    pub fn new(counts: C) -> Self {
        Self { order: counts.borrow().order(true), counts, gone: 0 }
    }

    /// The same, made by this thread alone: one of a pool that waited for the others would do other work meanwhile, with
    /// tables of its own.
    #[must_use]
    pub fn by_this_thread(counts: C) -> Self {
        Self { order: counts.borrow().order(false), counts, gone: 0 }
    }

    fn entry(&self) -> (&[u8], u64) {
        self.counts.borrow().entry(self.order[self.gone - 1])
    }
}

impl<C: Borrow<Counts>> CountStream for SortedCounts<C> {
    fn advance(&mut self) -> Result<bool> {
        let more = self.gone < self.order.len();
        self.gone += usize::from(more);
        Ok(more)
    }

    fn span(&self) -> &[u8] {
        self.entry().0
    }

    fn count(&self) -> u64 {
        self.entry().1
    }
}

/// Several streams as one; the counts of a span are added.
pub struct AddedCounts<S> {
    streams: Vec<S>,
    /// The next span of each stream that has one, the lowest on top.
    next: BinaryHeap<Reverse<Next>>,
    started: bool,
    span: Vec<u8>,
    count: u64,
}

struct Next {
    span: Vec<u8>,
    stream: usize,
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        self.span.cmp(&other.span).then(self.stream.cmp(&other.stream))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next {}

impl<S: CountStream> AddedCounts<S> {
    /// The sum of `streams`.
    #[must_use]
    pub fn new(streams: Vec<S>) -> Self {
        Self { streams, next: BinaryHeap::new(), started: false, span: Vec::new(), count: 0 }
    }

    fn start(&mut self) -> Result<()> {
        self.started = true;
        for (stream, of) in self.streams.iter_mut().enumerate() {
            if of.advance()? {
                self.next.push(Reverse(Next { span: of.span().to_vec(), stream }));
            }
        }
        Ok(())
    }
}

impl<S: CountStream> CountStream for AddedCounts<S> {
    fn advance(&mut self) -> Result<bool> {
        if !self.started {
            self.start()?;
        }
        let Some(Reverse(first)) = self.next.peek() else { return Ok(false) };
        self.span.clone_from(&first.span);
        self.count = 0;
        while let Some(mut top) = self.next.peek_mut().filter(|top| top.0.span == self.span) {
            let stream = &mut self.streams[top.0.stream];
            self.count = checked(self.count, stream.count())?;
            if stream.advance()? {
                top.0.span.clear();
                top.0.span.extend_from_slice(stream.span());
            } else {
                PeekMut::pop(top);
            }
        }
        Ok(true)
    }

    fn span(&self) -> &[u8] {
        &self.span
    }

    fn count(&self) -> u64 {
        self.count
    }
}

/// A stream whose counts are multiplied by a fraction.
///
/// What rounding leaves over is carried to the next span in order, so that the sum of the counts is right to within one.
/// Each count rounded by itself would lose, or double, all of a source whose spans occur once, as Chinese runs do; by the
/// carry every so many of them stay, evenly spread over the order of the bytes. A span whose count becomes zero is left
/// out. It depends on the entries alone.
pub struct WeightedCounts<S> {
    stream: S,
    numerator: u64,
    denominator: u64,
    carried: u128,
    count: u64,
}

impl<S: CountStream> WeightedCounts<S> {
    /// `stream` with its counts times `numerator` and by `denominator`, which is not zero. Both are halved together until
    /// they have 63 bits.
    #[must_use]
    pub fn new(stream: S, numerator: u128, denominator: u128) -> Self {
        let bits = 128 - numerator.max(denominator).leading_zeros();
        let shift = bits.saturating_sub(63);
        let denominator = (denominator >> shift).max(1) as u64;
        let numerator = (numerator >> shift) as u64;
        Self { stream, numerator, denominator, carried: u128::from(denominator / 2), count: 0 }
    }
}

impl<S: CountStream> CountStream for WeightedCounts<S> {
    fn advance(&mut self) -> Result<bool> {
        while self.stream.advance()? {
            let exact = u128::from(self.stream.count()) * u128::from(self.numerator) + self.carried;
            self.carried = exact % u128::from(self.denominator);
            let whole = exact / u128::from(self.denominator);
            self.count = u64::try_from(whole).or_else(|_| checked(u64::MAX, 1))?;
            if self.count > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn span(&self) -> &[u8] {
        self.stream.span()
    }

    fn count(&self) -> u64 {
        self.count
    }
}

impl Counts {
    /// The counts of a stream.
    ///
    /// # Errors
    ///
    /// Those of the stream, and as [`Counts::add`].
    pub fn of_stream(stream: &mut (impl CountStream + ?Sized)) -> Result<Self> {
        let mut counts = Self::default();
        while stream.advance()? {
            counts.add(stream.span(), stream.count())?;
        }
        Ok(counts)
    }

    /// Adds entries of a stream until learning from them would take so many bytes of memory, at least one; whether there are
    /// more.
    pub(super) fn add_stream(
        &mut self,
        stream: &mut dyn CountStream,
        memory: u64,
        watch: &mut Watch<'_>,
    ) -> Outcome<bool> {
        let mut bytes = 0;
        while stream.advance()? {
            self.add(stream.span(), stream.count())?;
            bytes += stream.span().len() as u64;
            // An entry is looked for as long as it takes to go by many cells.
            watch.worked(64 + stream.span().len())?;
            if Self::memory_of_learning(self.memory() as u64, self.len() as u64, bytes) > memory {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Number, sum and fingerprint of the entries.
    #[must_use]
    pub fn totals(&self) -> CountsTotals {
        let mut hash = EntryHash::default();
        self.sorted().into_iter().for_each(|(span, count)| hash.add(span, count));
        hash.totals()
    }
}

/// Number, sum and fingerprint of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountsTotals {
    /// Distinct pre-tokens.
    pub distinct: u64,
    /// The sum of their counts.
    pub sum: u128,
    /// xxh3 (128 bits) over all entries in order: length (8 bytes), bytes, and count (8 bytes) of each, little endian.
    pub fingerprint: Fingerprint,
}

/// Bytes that are hashed at once.
const GATHERED: usize = 1 << 14;

/// What [`CountsTotals`] says, while the entries come.
#[derive(Clone, Default)]
pub(crate) struct EntryHash {
    pub(crate) distinct: u64,
    sum: u128,
    hash: Xxh3,
    /// Some bytes at a time are slow to hash: they are gathered.
    gathered: Vec<u8>,
}

impl EntryHash {
    pub(crate) fn add(&mut self, span: &[u8], count: u64) {
        self.distinct += 1;
        self.sum += u128::from(count);
        self.gathered.extend_from_slice(&(span.len() as u64).to_le_bytes());
        self.gathered.extend_from_slice(span);
        self.gathered.extend_from_slice(&count.to_le_bytes());
        if self.gathered.len() >= GATHERED {
            self.hash.update(&self.gathered);
            self.gathered.clear();
        }
    }

    pub(crate) fn totals(&self) -> CountsTotals {
        let mut hash = self.hash.clone();
        hash.update(&self.gathered);
        let fingerprint = Fingerprint(hash.digest128().to_be_bytes());
        CountsTotals { distinct: self.distinct, sum: self.sum, fingerprint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use proptest::prelude::*;

    fn of(spans: &[(String, u64)]) -> Counts {
        let mut counts = Counts::default();
        spans.iter().for_each(|(span, count)| counts.add(span.as_bytes(), *count).unwrap());
        counts
    }

    fn weighted(counts: &Counts, numerator: u128, denominator: u128) -> Counts {
        Counts::of_stream(&mut WeightedCounts::new(SortedCounts::new(counts), numerator, denominator)).unwrap()
    }

    #[test]
    fn one_thread_gives_the_order_of_all() {
        // So many that all threads would sort them.
        let counts = of(&(0..9000).map(|n| (format!("{:x} span", n * 7919 % 9001), n + 1)).collect::<Vec<_>>());
        let by_this_thread = SortedCounts::by_this_thread(&counts).order;
        let spans: Vec<&[u8]> = by_this_thread.iter().map(|at| counts.entry(*at).0).collect();
        assert!(spans.is_sorted_by(|a, b| a < b) && spans.len() == 9000);
        assert_eq!(by_this_thread, SortedCounts::new(&counts).order);
    }

    #[test]
    fn spans_that_occur_once_keep_their_share() {
        let once: Vec<(String, u64)> = (0..1000).map(|n| (format!("span {n}"), 1)).collect();
        for (numerator, denominator, sum) in [(1, 10, 100), (9, 10, 900), (3, 2, 1500), (1, 3000, 0), (1, 1999, 1)] {
            assert_eq!(weighted(&of(&once), numerator, denominator).totals().sum, sum, "{numerator} / {denominator}");
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let counts = of(&[("a".to_owned(), u64::MAX)]);
        let mut sum = AddedCounts::new(vec![SortedCounts::new(&counts), SortedCounts::new(&counts)]);
        assert!(matches!(sum.advance(), Err(Error::Limit { .. })));
        assert!(matches!(WeightedCounts::new(SortedCounts::new(&counts), 2, 1).advance(), Err(Error::Limit { .. })));
        assert_eq!(weighted(&counts, u128::MAX, u128::MAX).totals(), counts.totals());
    }

    #[test]
    fn the_fingerprint_is_that_of_the_bytes_stated() {
        let counts = of(&[("b".to_owned(), 2), ("词".to_owned(), 1 << 40)]);
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, b'b', 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice("词".as_bytes());
        bytes.extend_from_slice(&(1u64 << 40).to_le_bytes());
        let fingerprint = Fingerprint(xxhash_rust::xxh3::xxh3_128(&bytes).to_be_bytes());
        assert_eq!(counts.totals(), CountsTotals { distinct: 2, sum: 2 + (1 << 40), fingerprint });
    }

    fn spans() -> impl Strategy<Value = Vec<(String, u64)>> {
        prop::collection::vec(("[ab]{0,4}", 1u64..9), 0..40)
    }

    proptest! {
        #[test]
        fn streams_are_added_as_tables_are(parts in prop::collection::vec(spans(), 0..6)) {
            let tables: Vec<Counts> = parts.iter().map(|spans| of(spans)).collect();
            let mut sum = AddedCounts::new(tables.iter().map(SortedCounts::new).collect());
            let mut seen = Vec::new();
            while sum.advance().unwrap() {
                seen.push((sum.span().to_vec(), sum.count()));
            }
            prop_assert!(!sum.advance().unwrap());
            let whole = Counts::of_parts(tables).unwrap();
            prop_assert_eq!(seen, whole.sorted().into_iter().map(|(span, count)| (span.to_vec(), count)).collect::<Vec<_>>());
        }

        /// Each count is off by less than one, and the sum by a half at most.
        #[test]
        fn weights_are_fractions(spans in spans(), numerator in 1u128..50, denominator in 1u128..50) {
            let counts = of(&spans);
            let weighted = weighted(&counts, numerator, denominator);
            for (span, count) in counts.iter() {
                let off = u128::from(weighted.get(span)) * denominator;
                prop_assert!(off.abs_diff(u128::from(count) * numerator) < denominator);
            }
            let sum = weighted.totals().sum * denominator;
            prop_assert!(2 * sum.abs_diff(counts.totals().sum * numerator) <= denominator);
            prop_assert!(weighted.len() <= counts.len());
        }
    }
}
