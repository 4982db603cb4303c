//! From text to counts: what one thread needs, and keeps from text to text.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counts::Counts;
use crate::error::Result;
use crate::segment::{Segmenter, kept_ranges};

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
        Self { segmenter, ends: Vec::new(), dropped: Vec::new(), counts }
    }

    /// Adds the spans of a text.
    ///
    /// # Errors
    ///
    /// As [`Counts::of_texts`].
    pub fn add_text(&mut self, text: &str) -> Result<()> {
        self.segmenter.spans_and_dropped(text, &mut self.ends, &mut self.dropped)?;
        self.counts.add_spans(text.as_bytes(), kept_ranges(&self.ends, &self.dropped))
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
    idle: Mutex<Vec<Counter<'s>>>,
}

impl<'s> Counters<'s> {
    pub(crate) fn new(segmenter: &'s Segmenter) -> Self {
        Self { segmenter, idle: Mutex::new(Vec::new()) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Counter<'s>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A counter, until it is dropped.
    pub(crate) fn borrow(&self) -> Borrowed<'_, 's> {
        let counter = self.idle().pop().unwrap_or_else(|| Counter::new(self.segmenter));
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
        let counters = Counters::new(&segmenter);
        for half in texts.chunks(1000) {
            half.par_iter().try_for_each_init(|| counters.borrow(), |counter, text| counter.add_text(text)).unwrap();
        }
        assert!(Counts::of_parts(counters.take()).unwrap() == plain);
        assert!(counters.take().is_empty());
        assert!(Counts::of_texts(&segmenter, &texts).unwrap() == plain);
    }
}
