//! The table of distinct pre-tokens that is learned from: what of the counts goes into it, and what it may take of memory,
//! with what learning merges from it will take.
//!
//! Counting can put aside what finds no room, learning cannot: what it learns from is in memory. So where a bound is given
//! and the table passes it, the answer is an error that names what would help, and no table of which something was
//! dropped unasked.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::learn::Counts;

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

/// Counts of pre-tokens that are told apart when a table is too large; all that is above counts as this.
const HIGHEST: usize = 1 << 12;

/// The pre-tokens with one count.
#[derive(Debug, Clone, Copy, Default)]
struct OfCount {
    distinct: u64,
    occurrences: u128,
    bytes: u64,
    /// As [`Counts::memory_of`] wants them.
    long_bytes: u64,
}

/// The table while it is filled.
pub(super) struct Table {
    counts: Counts,
    /// Rarer pre-tokens are left out.
    least: u64,
    left_out: LeftOut,
    /// What the table may take, and learning from it.
    limit: Option<u64>,
    /// Bytes of the pre-tokens in the table.
    bytes: u64,
    is_over: bool,
    /// By count, where there is a limit.
    sizes: Vec<OfCount>,
}

impl Table {
    pub(super) fn new(least: Option<u64>, limit: Option<u64>) -> Self {
        let sizes = vec![OfCount::default(); if limit.is_some() { HIGHEST + 1 } else { 0 }];
        let (counts, left_out) = (Counts::default(), LeftOut::default());
        Self { counts, least: least.unwrap_or(0), left_out, limit, bytes: 0, is_over: false, sizes }
    }

    /// Adds a pre-token, which is a new one.
    pub(super) fn add(&mut self, span: &[u8], count: u64) -> Result<()> {
        if count < self.least {
            self.left_out.add(count);
            return Ok(());
        }
        // Where there is no limit there are no sizes.
        if let Some(of_count) = self.sizes.get_mut(count.min(HIGHEST as u64) as usize) {
            of_count.distinct += 1;
            of_count.occurrences += u128::from(count);
            of_count.bytes += span.len() as u64;
            of_count.long_bytes += Counts::long_bytes(span);
        }
        if self.is_over {
            return Ok(());
        }
        self.counts.add(span, count)?;
        self.bytes += span.len() as u64;
        let held = self.counts.memory() as u64;
        let needed = Counts::memory_of_learning(held, self.counts.len() as u64, self.bytes);
        if self.limit.is_some_and(|limit| needed > limit) {
            // The rest is only measured.
            self.is_over = true;
            self.counts = Counts::default();
        }
        Ok(())
    }

    /// The table, if it found room; `saved` is where the counts were kept.
    pub(super) fn finish(self, saved: Option<&Path>) -> Result<(Counts, LeftOut)> {
        match self.limit.filter(|_| self.is_over) {
            None => Ok((self.counts, self.left_out)),
            Some(limit) => {
                let (needed, least) = self.remedy(limit);
                Err(Error::Memory { needed, limit, least, saved: saved.map(Path::to_owned) })
            }
        }
    }

    /// The memory of learning from the whole table, and the lowest count with which there is room, with what it loses of a million.
    fn remedy(&self, limit: u64) -> (u64, Option<(u64, u64)>) {
        let all: u128 = self.sizes.iter().map(|of_count| of_count.occurrences).sum();
        let (mut kept, mut needed, mut least) = (OfCount::default(), 0, None);
        for (count, of_count) in self.sizes.iter().enumerate().rev() {
            kept.distinct += of_count.distinct;
            kept.occurrences += of_count.occurrences;
            kept.bytes += of_count.bytes;
            kept.long_bytes += of_count.long_bytes;
            let held = Counts::memory_of(kept.distinct, kept.long_bytes);
            needed = Counts::memory_of_learning(held, kept.distinct, kept.bytes);
            if needed <= limit && kept.distinct > 0 {
                let lost = (all - kept.occurrences) * 1_000_000 / all.max(1);
                least = Some((count as u64, lost as u64));
            }
        }
        (needed, least)
    }
}

/// A table that is there already, without what is too rare.
pub(super) fn without_rare(counts: Counts, least: Option<u64>) -> Result<(Counts, LeftOut)> {
    if least.unwrap_or(0) <= 1 {
        return Ok((counts, LeftOut::default()));
    }
    let mut table = Table::new(least, None);
    counts.iter().try_for_each(|(span, count)| table.add(span, count))?;
    table.finish(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(spans: &[(String, u64)], least: Option<u64>, limit: Option<u64>) -> Result<(Counts, LeftOut)> {
        let mut table = Table::new(least, limit);
        spans.iter().try_for_each(|(span, count)| table.add(span.as_bytes(), *count))?;
        table.finish(None)
    }

    proptest! {
        /// What the error says would help does, and nothing less.
        #[test]
        fn the_remedies_help(
            spans in prop::collection::btree_map("[a-c]{1,20}", prop_oneof![4 => 1u64..9, 1 => 1u64..9000], 1..400),
            limit in 100u64..20_000,
        ) {
            let spans: Vec<(String, u64)> = spans.into_iter().collect();
            let whole = filled(&spans, None, None).unwrap().0;
            match filled(&spans, None, Some(limit)) {
                Ok((counts, left_out)) => {
                    prop_assert!(counts == whole && left_out == LeftOut::default());
                    prop_assert!(counts.memory_to_learn() <= limit);
                }
                Err(Error::Memory { needed, limit: named, least, .. }) => {
                    prop_assert_eq!(named, limit);
                    prop_assert!(whole.memory_to_learn() > limit);
                    prop_assert!(filled(&spans, None, Some(needed + 512)).unwrap().0 == whole);
                    if let Some((least, lost)) = least {
                        let (counts, left_out) = filled(&spans, Some(least), Some(limit + 512)).unwrap();
                        prop_assert_eq!(counts.len() as u64 + left_out.distinct, whole.len() as u64);
                        prop_assert!(counts.iter().all(|(_, count)| count >= least));
                        let all: u64 = spans.iter().map(|(_, count)| count).sum();
                        prop_assert_eq!(left_out.occurrences * 1_000_000 / all, lost);
                        prop_assert!(without_rare(whole, Some(least)).unwrap() == (counts, left_out));
                    }
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }
}
