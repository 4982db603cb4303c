//! How often each distinct span occurs.
//!
//! A span is an entry of 24 bytes, in the order of first sight. One of up to eight bytes, as most words are, lies in its
//! entry; the bytes of longer ones lie one after the other in an arena. Slots of eight bytes, found by the hash of a
//! span, lead to the entries, so that looking for a span touches its slots and, as a rule, one entry; nothing is
//! allocated for a span. A map of boxed spans, which this was, takes an allocation and about three times the memory.
//! Spans of a text are looked for many at a time ([`Counts::add_spans`]), as each waits for memory twice, for its slot and
//! for its entry: those of a batch wait together.

use std::ops::Range;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::counter::{Counter, Counters, SpanSample};
use crate::error::{Error, Result};
use crate::segment::{Segmenter, prefetch};

/// Distinct spans with their counts: a monoid under [`Counts::merge`]. Equal when they hold the same spans with the same
/// counts, however these were added.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    entries: Vec<Entry>,
    /// The bytes of spans that are longer than an entry's head.
    arena: Vec<u8>,
    /// A power of two of them, a quarter free at least; none at all before the first span.
    slots: Vec<Slot>,
}

/// Bytes of a span that lie in its entry.
const HEAD: usize = 8;
const FIRST_SLOTS: usize = 64;

/// Spans that are looked for together.
const BATCH: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The span, zeros behind it; of a longer one its place in the arena.
    head: [u8; HEAD],
    count: u64,
    length: u32,
    hash: u32,
}

/// Where the entry of a span is; free where `at` is 0.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u32,
    /// The number of the entry and one.
    at: u32,
}

impl Counts {
    /// Counts the spans of `texts`, on all threads.
    ///
    /// ```
    /// use ciyuan::learn::Counts;
    /// use ciyuan::segment::{HanEdges, Pattern, Segmenter};
    /// let segmenter = Segmenter::new(Pattern::default(), HanEdges::None)?;
    /// let counts = Counts::of_texts(&segmenter, &["to be or not to be", "to be"])?;
    /// assert_eq!(counts.get(b" be"), 3);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Segmenter::spans`], and [`Error::Limit`] when a count exceeds 64 bits.
    pub fn of_texts<T: AsRef<str> + Sync>(segmenter: &Segmenter, texts: &[T]) -> Result<Self> {
        Self::of_sample(segmenter, texts, None)
    }

    /// The same of a sample of the spans, if one is given.
    pub(crate) fn of_sample<T: AsRef<str> + Sync>(
        segmenter: &Segmenter,
        texts: &[T],
        sample: Option<SpanSample>,
    ) -> Result<Self> {
        let counters = Counters::new(segmenter, sample);
        texts.par_iter().try_for_each_init(|| counters.borrow(), |counter, text| counter.add_text(text.as_ref()))?;
        Self::of_parts(counters.take())
    }

    /// The sum of the counts of parts of a corpus, added two and two on all threads.
    ///
    /// # Errors
    ///
    /// As [`Counts::merge`].
    pub fn of_parts(parts: Vec<Self>) -> Result<Self> {
        let merge = |mut left: Self, right: Self| left.merge(right).map(|()| left);
        parts.into_par_iter().map(Ok).try_reduce(Self::default, merge)
    }

    /// Adds the spans of one text. For many texts a [`Counter`] is faster, as it keeps its buffers.
    ///
    /// # Errors
    ///
    /// As [`Counts::of_texts`].
    pub fn add_text(&mut self, segmenter: &Segmenter, text: &str) -> Result<()> {
        let mut counter = Counter::with_counts(segmenter, std::mem::take(self));
        let added = counter.add_text(text);
        *self = counter.into_counts();
        added
    }

    /// Adds `count` occurrences of a span; none of them leave all as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when its count exceeds 64 bits, or for more spans, or a longer one, than 32 bits number.
    #[inline]
    pub fn add(&mut self, span: &[u8], count: u64) -> Result<()> {
        u32::try_from(span.len()).map_err(|_| limit("the length of one pre-token in bytes", span.len()))?;
        let Sought { head, length, hash, .. } = Sought::in_text(span, 0..span.len());
        self.add_hashed(span, head, length, hash, count)
    }

    /// Adds one occurrence of each of these spans of a text.
    ///
    /// # Errors
    ///
    /// As [`Counts::add`]; the spans before are added then.
    pub(super) fn add_spans(&mut self, text: &[u8], mut spans: impl Iterator<Item = Range<usize>>) -> Result<()> {
        u32::try_from(text.len()).map_err(|_| limit("the length of one text in bytes", text.len()))?;
        let mut batch = [Sought::default(); BATCH];
        loop {
            let mut found = 0;
            for (sought, span) in batch.iter_mut().zip(&mut spans) {
                *sought = Sought::in_text(text, span);
                found += 1;
                self.slots.get(self.first_slot(sought.hash)).into_iter().for_each(prefetch);
            }
            for sought in &batch[..found] {
                let slot = self.slots.get(self.first_slot(sought.hash));
                let entry = slot.and_then(|slot| self.entries.get((slot.at as usize).wrapping_sub(1)));
                entry.into_iter().for_each(prefetch);
            }
            for Sought { head, start, length, hash } in &batch[..found] {
                let (start, end) = (*start as usize, *start as usize + *length as usize);
                self.add_hashed(&text[start..end], *head, *length, *hash, 1)?;
            }
            if found < BATCH {
                return Ok(());
            }
        }
    }

    #[inline]
    fn first_slot(&self, hash: u32) -> usize {
        hash as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn add_hashed(&mut self, span: &[u8], head: [u8; HEAD], length: u32, hash: u32, count: u64) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        if self.entries.len() >= self.slots.len() / 4 * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.at == 0 {
                return self.insert(at, span, Entry { head, count, length, hash });
            }
            if slot.hash == hash {
                let entry = &mut self.entries[slot.at as usize - 1];
                // A short span is compared by one word, its length aside.
                if entry.length == length
                    && if length as usize <= HEAD { entry.head == head } else { in_arena(&self.arena, entry) == span }
                {
                    entry.count = checked(entry.count, count)?;
                    return Ok(());
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, span: &[u8], mut entry: Entry) -> Result<()> {
        let at = u32::try_from(self.entries.len() + 1).map_err(|_| limit("distinct pre-tokens", self.entries.len()))?;
        if span.len() > HEAD {
            entry.head = (self.arena.len() as u64).to_le_bytes();
            self.arena.extend_from_slice(span);
        }
        self.entries.push(entry);
        self.slots[slot] = Slot { hash: entry.hash, at };
        Ok(())
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (2 * self.slots.len()).max(FIRST_SLOTS);
        self.slots.clear();
        self.slots.resize(slots, Slot::default());
        for (at, entry) in (1..).zip(&self.entries) {
            let mut slot = entry.hash as usize & (slots - 1);
            while self.slots[slot].at != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            self.slots[slot] = Slot { hash: entry.hash, at };
        }
    }

    /// Adds the counts of another part of the corpus.
    ///
    /// # Errors
    ///
    /// As [`Counts::add`].
    pub fn merge(&mut self, mut other: Self) -> Result<()> {
        if other.len() > self.len() {
            std::mem::swap(self, &mut other);
        }
        for entry in &other.entries {
            self.add_hashed(span_of(&other.arena, entry), entry.head, entry.length, entry.hash, entry.count)?;
        }
        Ok(())
    }

    /// The count of a span.
    #[must_use]
    pub fn get(&self, span: &[u8]) -> u64 {
        let Sought { hash, .. } = Sought::in_text(span, 0..span.len());
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get(at).filter(|slot| slot.at != 0) {
            let entry = &self.entries[slot.at as usize - 1];
            if slot.hash == hash && span_of(&self.arena, entry) == span {
                return entry.count;
            }
            at = (at + 1) & mask;
        }
        0
    }

    /// Number of distinct spans.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory that are held.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Entry>() * self.entries.capacity() + self.arena.capacity() + size_of::<Slot>() * self.slots.capacity()
    }

    /// Bytes of memory that learning merges takes, about, where they are given away to it; what threads add up in is on top,
    /// some 20 MB each.
    #[must_use]
    pub fn memory_to_learn(&self) -> u64 {
        let bytes = self.entries.iter().map(|entry| u64::from(entry.length)).sum();
        Self::memory_of_learning(self.memory() as u64, self.len() as u64, bytes)
    }

    /// Counts from which learning would take more than this may be more than lists of words hold.
    #[cfg(feature = "pipeline")]
    pub(crate) const MOST_TO_LEARN: u64 = 8 * super::arena::MAX_CELLS as u64;

    /// What learning merges takes, from counts of so many spans with so many bytes in all, that hold so much. These are
    /// there until all words are tokens, with the order of the words; then each token gets its place (`arena.rs`, `part.rs`).
    pub(crate) fn memory_of_learning(held: u64, spans: u64, bytes: u64) -> u64 {
        let tokens = bytes.saturating_add(spans).saturating_mul(size_of::<u32>() as u64);
        let order = spans.saturating_mul(size_of::<(u64, u32)>() as u64);
        held.saturating_add(order).saturating_add(tokens).max(tokens.saturating_mul(2))
    }

    /// Spans and counts, in the order in which the spans were first added; behind [`Counts::merge`] those of the larger
    /// part first. What is to be the same for any number of threads goes by [`Counts::sorted`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], u64)> {
        self.entries.iter().map(|entry| (span_of(&self.arena, entry), entry.count))
    }

    /// Spans and counts, by the bytes of the span.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&[u8], u64)> {
        self.order(true).into_iter().map(|at| self.entry(at)).collect()
    }

    /// The numbers of the entries, by the bytes of their spans; found by all threads, or by this one.
    pub(super) fn order(&self, by_all: bool) -> Vec<u32> {
        let span = |at: u32| self.entry(at).0;
        // Most spans differ in their first eight bytes, which are compared as one number.
        let mut order: Vec<(u64, u32)> = (0..self.entries.len() as u32).map(|at| (first_bytes(span(at)), at)).collect();
        let compare =
            |left: &(u64, u32), right: &(u64, u32)| left.0.cmp(&right.0).then_with(|| span(left.1).cmp(span(right.1)));
        if by_all {
            order.par_sort_unstable_by(compare)
        } else {
            order.sort_unstable_by(compare)
        }
        order.into_iter().map(|(_, at)| at).collect()
    }

    pub(super) fn entry(&self, at: u32) -> (&[u8], u64) {
        let entry = &self.entries[at as usize];
        (span_of(&self.arena, entry), entry.count)
    }
}

impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(span, count)| other.get(span) == count)
    }
}

impl Eq for Counts {}

fn in_arena<'a>(arena: &'a [u8], entry: &Entry) -> &'a [u8] {
    let start = u64::from_le_bytes(entry.head) as usize;
    &arena[start..start + entry.length as usize]
}

fn span_of<'a>(arena: &'a [u8], entry: &'a Entry) -> &'a [u8] {
    if entry.length as usize <= HEAD { &entry.head[..entry.length as usize] } else { in_arena(arena, entry) }
}

/// What is known of a span before it is looked for.
#[derive(Debug, Clone, Copy, Default)]
struct Sought {
    /// The first eight bytes, zeros behind a shorter span.
    head: [u8; HEAD],
    start: u32,
    length: u32,
    hash: u32,
}

impl Sought {
    /// Of a span of a text of at most 4 GiB.
    #[inline]
    fn in_text(text: &[u8], span: Range<usize>) -> Self {
        let (start, length) = (span.start as u32, span.len() as u32);
        if let (Some(sixteen), 0..=15) = (text[span.start..].first_chunk(), span.len()) {
            // Without a jump that depends on the length.
            let bytes = u128::from_le_bytes(*sixteen) & !(u128::MAX << (8 * span.len()));
            let words = [bytes as u64, (bytes >> 64) as u64];
            return Self { head: words[0].to_le_bytes(), start, length, hash: hash_of_words(words, length) };
        }
        let span = &text[span];
        let head = head_of(span.get(..HEAD).unwrap_or(span));
        let hash = match span.len() {
            ..=15 => hash_of_words(
                [u64::from_le_bytes(head), u64::from_le_bytes(head_of(span.get(HEAD..).unwrap_or(&[])))],
                length,
            ),
            _ => xxh3_64(span) as u32,
        };
        Self { head, start, length, hash }
    }
}

/// A span of up to eight bytes, zeros behind it. Two reads that may overlap make it, as a copy of a length that is not
/// known is a call.
#[inline]
fn head_of(span: &[u8]) -> [u8; HEAD] {
    let length = span.len();
    let word = match (span.first_chunk::<4>(), span.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
        }
        _ => match *span {
            [] => 0,
            [a] => u64::from(a),
            [a, b] => u64::from(a) | u64::from(b) << 8,
            [a, b, c, ..] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        },
    };
    word.to_le_bytes()
}

/// The upper and the lower half of a product, as wyhash and its kind mix.
#[inline]
fn hash_of_words([first, last]: [u64; 2], length: u32) -> u32 {
    let first = first ^ u64::from(length).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let product = u128::from(first ^ 0xA076_1D64_78BD_642F) * u128::from(last ^ 0xE703_7ED1_A0B4_28DB);
    (product as u64 ^ (product >> 64) as u64) as u32
}

fn first_bytes(span: &[u8]) -> u64 {
    u64::from_be_bytes(span.first_chunk().copied().unwrap_or_else(|| head_of(span)))
}

pub(super) fn checked(left: u64, right: u64) -> Result<u64> {
    // An error that is made for each sum, and dropped, took a twentieth of the time.
    match left.checked_add(right) {
        Some(sum) => Ok(sum),
        None => Err(Error::Limit { what: "the count of one pre-token", value: u64::MAX, max: u64::MAX - 1 }),
    }
}

fn limit(what: &'static str, value: usize) -> Error {
    Error::Limit { what, value: value as u64, max: u64::from(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn overflow_is_an_error() {
        for span in [b"a".as_slice(), b"longer than a head"] {
            let mut counts = Counts::default();
            counts.add(span, u64::MAX).unwrap();
            assert!(matches!(counts.add(span, 1), Err(Error::Limit { .. })));
            assert!(matches!(counts.clone().merge(counts), Err(Error::Limit { .. })));
        }
    }

    #[test]
    fn spans_of_every_length_are_told_apart() {
        let mut counts = Counts::default();
        let spans: Vec<Vec<u8>> = (0..40).flat_map(|length| [vec![0; length], vec![255; length]]).skip(1).collect();
        (1..).zip(&spans).for_each(|(count, span)| counts.add(span, count).unwrap());
        (1..).zip(&spans).for_each(|(count, span)| assert_eq!(counts.get(span), count, "{span:?}"));
        assert_eq!(counts.len(), spans.len());
        counts.add(b"never", 0).unwrap();
        assert_eq!((counts.get(b"never"), counts.len()), (0, spans.len()));
    }

    #[test]
    fn memory_is_what_the_parts_hold() {
        let mut counts = Counts::default();
        assert_eq!(counts.memory(), 0);
        (0..10_000u64).for_each(|n| counts.add(format!("word number {n}").as_bytes(), n + 1).unwrap());
        let least = counts.iter().map(|(span, _)| span.len() + 24 + 10).sum::<usize>();
        assert!((least..4 * least).contains(&counts.memory()), "{} is not near {least}", counts.memory());
    }

    fn counted(spans: &[(Vec<u8>, u64)]) -> Counts {
        let mut counts = Counts::default();
        spans.iter().for_each(|(span, count)| counts.add(span, *count).unwrap());
        counts
    }

    /// Short and long spans that often repeat, and differ late, in zeros, or in length.
    fn spans() -> impl Strategy<Value = Vec<(Vec<u8>, u64)>> {
        let span = prop_oneof![
            prop::collection::vec(0u8..3, 0..12),
            prop::collection::vec(254u8..=255, 5..20),
            "[ab]{1,3}".prop_map(String::into_bytes),
        ];
        prop::collection::vec((span, 0u64..9), 0..300)
    }

    proptest! {
        #[test]
        fn spans_of_a_text_are_added_as_one_by_one(spans in prop::collection::vec("[ab]{1,20}", 0..300)) {
            let text = spans.concat();
            let mut one_by_one = Counts::default();
            spans.iter().for_each(|span| one_by_one.add(span.as_bytes(), 1).unwrap());
            let mut ends = spans.iter().scan(0, |end, span| {
                *end += span.len();
                Some(*end - span.len()..*end)
            });
            let mut together = Counts::default();
            together.add_spans(text.as_bytes(), &mut ends).unwrap();
            prop_assert!(together == one_by_one);
            prop_assert_eq!(together.iter().collect::<Vec<_>>(), one_by_one.iter().collect::<Vec<_>>());
        }

        #[test]
        fn as_an_ordered_map_counts(spans in spans()) {
            let mut oracle = BTreeMap::<&[u8], u64>::new();
            let mut seen = Vec::new();
            for (span, count) in spans.iter().filter(|(_, count)| *count > 0) {
                let known = oracle.entry(span).or_default();
                if *known == 0 {
                    seen.push(span.as_slice());
                }
                *known += count;
            }
            let counts = counted(&spans);
            prop_assert_eq!(counts.sorted(), oracle.iter().map(|(span, count)| (*span, *count)).collect::<Vec<_>>());
            prop_assert_eq!(counts.iter().map(|(span, _)| span).collect::<Vec<_>>(), seen);
            prop_assert!(oracle.iter().all(|(span, count)| counts.get(span) == *count));
            prop_assert!(spans.iter().all(|(span, _)| counts.get(span) == oracle.get(span.as_slice()).copied().unwrap_or(0)));
        }

        #[test]
        fn any_tree_of_merges_gives_the_same(spans in spans(), cuts in prop::collection::vec(0usize..300, 1..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(spans.len())).collect();
            cuts.extend([0, spans.len()]);
            cuts.sort_unstable();
            let parts: Vec<Counts> = cuts.windows(2).map(|cut| counted(&spans[cut[0]..cut[1]])).collect();
            let whole = counted(&spans);
            let (mut forward, mut backward) = (Counts::default(), Counts::default());
            parts.iter().for_each(|part| forward.merge(part.clone()).unwrap());
            parts.iter().rev().for_each(|part| backward.merge(part.clone()).unwrap());
            for merged in [forward, backward, Counts::of_parts(parts).unwrap()] {
                prop_assert_eq!(merged.sorted(), whole.sorted());
                prop_assert!(merged == whole);
            }
        }

        #[test]
        fn counts_that_differ_are_not_equal(spans in spans(), span in "[ab]{1,9}") {
            let (counts, mut more) = (counted(&spans), counted(&spans));
            more.add(span.as_bytes(), 1).unwrap();
            prop_assert!(counts != more);
            prop_assert!(more != counts);
        }
    }
}
