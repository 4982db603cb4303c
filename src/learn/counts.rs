//! How often each distinct span occurs.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::error::{Error, Result};
use crate::segment::{Segmenter, kept_pieces};

/// Distinct spans with their counts: a monoid under [`Counts::merge`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    spans: FxHashMap<Box<[u8]>, u64>,
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
        texts
            .par_iter()
            .try_fold(Self::default, |mut counts, text| counts.add_text(segmenter, text.as_ref()).map(|()| counts))
            .try_reduce(Self::default, |mut left, right| left.merge(right).map(|()| left))
    }

    /// Adds the spans of one text.
    ///
    /// # Errors
    ///
    /// As [`Counts::of_texts`].
    pub fn add_text(&mut self, segmenter: &Segmenter, text: &str) -> Result<()> {
        let (mut ends, mut dropped) = (Vec::new(), Vec::new());
        segmenter.spans_and_dropped(text, &mut ends, &mut dropped)?;
        kept_pieces(text, &ends, &dropped).try_for_each(|piece| self.add(piece.as_bytes(), 1))
    }

    /// Adds `count` occurrences of a span.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when its count exceeds 64 bits.
    pub fn add(&mut self, span: &[u8], count: u64) -> Result<()> {
        match self.spans.get_mut(span) {
            Some(known) => *known = checked(*known, count)?,
            None => {
                self.spans.insert(span.into(), count);
            }
        }
        Ok(())
    }

    /// Adds the counts of another part of the corpus.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when a count exceeds 64 bits.
    pub fn merge(&mut self, mut other: Self) -> Result<()> {
        if other.spans.len() > self.spans.len() {
            std::mem::swap(self, &mut other);
        }
        for (span, count) in other.spans {
            match self.spans.entry(span) {
                std::collections::hash_map::Entry::Occupied(mut known) => {
                    *known.get_mut() = checked(*known.get(), count)?
                }
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(count);
                }
            }
        }
        Ok(())
    }

    /// The count of a span.
    #[must_use]
    pub fn get(&self, span: &[u8]) -> u64 {
        self.spans.get(span).copied().unwrap_or(0)
    }

    /// Number of distinct spans.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Spans and counts, by the bytes of the span.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&[u8], u64)> {
        let mut spans: Vec<(&[u8], u64)> = self.spans.iter().map(|(span, &count)| (&**span, count)).collect();
        spans.sort_unstable();
        spans
    }
}

fn checked(left: u64, right: u64) -> Result<u64> {
    left.checked_add(right).ok_or(Error::Limit {
        what: "the count of one pre-token",
        value: u64::MAX,
        max: u64::MAX - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn overflow_is_an_error() {
        let mut counts = Counts::default();
        counts.add(b"a", u64::MAX).unwrap();
        assert!(matches!(counts.add(b"a", 1), Err(Error::Limit { .. })));
        assert!(matches!(counts.clone().merge(counts), Err(Error::Limit { .. })));
    }

    proptest! {
        #[test]
        fn any_tree_of_merges_gives_the_same(spans in prop::collection::vec(("[ab]{1,3}", 1u64..9), 0..40), cut in 0usize..40) {
            let count = |spans: &[(String, u64)]| {
                let mut counts = Counts::default();
                spans.iter().for_each(|(span, count)| counts.add(span.as_bytes(), *count).unwrap());
                counts
            };
            let (left, right) = spans.split_at(cut.min(spans.len()));
            let (mut forward, mut backward) = (count(left), count(right));
            forward.merge(count(right)).unwrap();
            backward.merge(count(left)).unwrap();
            let whole = count(&spans);
            prop_assert_eq!(forward.sorted(), whole.sorted());
            prop_assert_eq!(backward.sorted(), whole.sorted());
        }
    }
}
