//! From text to counts: what one thread needs, and keeps from text to text.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use super::counts::Counts;
use crate::error::Result;
use crate::segment::{Segmenter, kept_ranges};

/// Some of all distinct spans, as a hash of each decides: the same whatever text they stand in, and how it is parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SpanSample {
    /// Those with hashes below it.
    limit: u64,
}

impl SpanSample {
    /// About so many bytes of so many; `None` if that is all of them.
    #[cfg(any(test, feature = "pipeline"))]
    pub(crate) fn of(wanted: u64, all: u64) -> Option<Self> {
        let limit = (u128::from(wanted) << 64) / u128::from(all.max(1));
        Some(Self { limit: limit.try_into().ok()? })
    }

    fn has(self, span: &[u8]) -> bool {
        xxh3_64(span) < self.limit
    }
}

/// Counts the spans of texts, one after the other. One a thread; [`Counts::of_parts`] adds what they counted.
///
/// ```
/// use ciyuan::learn::Counter;
/// use ciyuan::segment::{HanEdges, Pattern, Segmenter};
/// let segmenter = Segmenter::new(Pattern::default(), HanEdges::None)?;
/// let mut counter = Counter::new(&segmenter);
/// counter.add_text("to be or not to be")?;
/// counter.add_text("to be")?;
/// assert_eq!(counter.into_counts().get(b" be"), 3);
/// # Ok::<(), ciyuan::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Counter<'s> {
    segmenter: &'s Segmenter,
    /// Which spans are counted, if not all.
    sample: Option<SpanSample>,
    ends: Vec<u32>,
    dropped: Vec<u32>,
    counts: Counts,
}

impl<'s> Counter<'s> {
    /// A counter that has counted nothing.
    #[must_use]
    pub fn new(segmenter: &'s Segmenter) -> Self {
        Self::with_counts(segmenter, Counts::default())
    }

    pub(super) fn with_counts(segmenter: &'s Segmenter, counts: Counts) -> Self {
        Self { segmenter, sample: None, ends: Vec::new(), dropped: Vec::new(), counts }
    }

    /// Adds the spans of a text.
    ///
    /// # Errors
    ///
    /// As [`Counts::of_texts`].
    pub fn add_text(&mut self, text: &str) -> Result<()> {
        self.segmenter.spans_and_dropped(text, &mut self.ends, &mut self.dropped)?;
        let spans = kept_ranges(&self.ends, &self.dropped);
        let Some(sample) = self.sample else { return self.counts.add_spans(text.as_bytes(), spans) };
        self.counts.add_spans(text.as_bytes(), spans.filter(|span| sample.has(&text.as_bytes()[span.clone()])))
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What was counted so far, which is then forgotten here.
    #[must_use]
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// What was counted.
    #[must_use]
    pub fn into_counts(self) -> Counts {
        self.counts
    }
}

/// As many counters as threads have asked for at a time: a thread borrows one and gives it back, counts and all.
pub(crate) struct Counters<'s> {
    segmenter: &'s Segmenter,
    sample: Option<SpanSample>,
    idle: Mutex<Vec<Counter<'s>>>,
}

impl<'s> Counters<'s> {
    /// Counters of these spans, or of all.
    pub(crate) fn new(segmenter: &'s Segmenter, sample: Option<SpanSample>) -> Self {
        Self { segmenter, sample, idle: Mutex::new(Vec::new()) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Counter<'s>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A counter, until it is dropped.
    pub(crate) fn borrow(&self) -> Borrowed<'_, 's> {
        let new = || Counter { sample: self.sample, ..Counter::new(self.segmenter) };
        let counter = self.idle().pop().unwrap_or_else(new);
        Borrowed { counters: self, counter }
    }

    /// What each counter has counted, which is then forgotten.
    pub(crate) fn take(&self) -> Vec<Counts> {
        self.idle().drain(..).map(Counter::into_counts).collect()
    }
}

/// A counter that goes back to the others when it is dropped.
pub(crate) struct Borrowed<'c, 's> {
    counters: &'c Counters<'s>,
    counter: Counter<'s>,
}

impl<'s> Deref for Borrowed<'_, 's> {
    type Target = Counter<'s>;

    fn deref(&self) -> &Counter<'s> {
        &self.counter
    }
}

impl<'s> DerefMut for Borrowed<'_, 's> {
    fn deref_mut(&mut self) -> &mut Counter<'s> {
        &mut self.counter
    }
}

impl Drop for Borrowed<'_, '_> {
    fn drop(&mut self) {
        let counter = std::mem::replace(&mut self.counter, Counter::new(self.counters.segmenter));
        self.counters.idle().push(counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{HanEdges, Pattern};
    use rayon::prelude::*;

    #[test]
    fn counters_of_many_threads_count_each_text_once() {
        let segmenter = Segmenter::new(Pattern::default(), HanEdges::Chars).unwrap();
        let texts: Vec<String> = (0..2000).map(|n| format!("词元 number {} and {}", n % 50, n % 7)).collect();
        let mut plain = Counts::default();
        texts.iter().for_each(|text| plain.add_text(&segmenter, text).unwrap());
        assert_eq!(plain.get("词".as_bytes()), 2000);
        let counters = Counters::new(&segmenter, None);
        for half in texts.chunks(1000) {
            half.par_iter().try_for_each_init(|| counters.borrow(), |counter, text| counter.add_text(text)).unwrap();
        }
        assert!(Counts::of_parts(counters.take()).unwrap() == plain);
        assert!(counters.take().is_empty());
        assert!(Counts::of_texts(&segmenter, &texts).unwrap() == plain);
    }

    #[test]
    fn a_sample_of_spans() {
        assert_eq!(
            [SpanSample::of(10, 10), SpanSample::of(10, 9), SpanSample::of(0, 0)],
            [None, None, SpanSample::of(0, 1)]
        );
        let segmenter = Segmenter::new(Pattern::from_regex("(?s).+").unwrap(), HanEdges::None).unwrap();
        let texts: Vec<String> = (0..3000).map(|n| format!("a word {n}")).collect();
        let all = Counts::of_texts(&segmenter, &texts).unwrap();
        let counted =
            |texts: &[String], wanted| Counts::of_sample(&segmenter, texts, SpanSample::of(wanted, 1000)).unwrap();
        let some = counted(&texts, 300);
        let share = some.totals().sum as f64 / all.totals().sum as f64;
        assert!((0.25..0.35).contains(&share), "{share}");
        // All of a span, or nothing, wherever it stands; a larger sample has those of a smaller one.
        assert!(some.iter().all(|(span, count)| all.get(span) == count && counted(&texts, 301).get(span) == count));
        let mut halves = counted(&texts[..1500], 300);
        halves.merge(counted(&texts[1500..], 300)).unwrap();
        assert!(halves == some && counted(&texts, 1000) == all && counted(&texts, 0).is_empty());
    }
}
