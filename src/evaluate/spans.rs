//! What the spans of a text are like: how many, how long, and how often one was seen before.
//!
//! Encoders keep what they found for a span, and look it up when the span comes again. How much that saves is a
//! property of the text and of how it is cut: nearly all English words were seen before, few runs of Chinese were.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::segment::is_han;

/// What the spans of a text are like.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanReport {
    /// Characters of the text.
    pub characters: u64,
    /// Han characters of the text, in whatever spans.
    pub han_characters: u64,
    /// Share of the characters that are Han.
    pub han_share: f64,
    /// All spans.
    pub all: SpanFigures,
    /// The spans of nothing but Han characters.
    pub han: SpanFigures,
}

/// Figures of some spans. Shares and means of nothing are 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SpanFigures {
    /// Spans.
    pub spans: u64,
    /// Different ones.
    pub distinct: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Their mean length in characters.
    pub mean_length: f64,
    /// The shortest length in characters that 99 % of them do not exceed.
    pub p99_length: u64,
    /// Length of the longest, in characters.
    pub longest: u64,
    /// Share of the spans that were seen before in the text: how often a memo without limit finds one.
    pub repeated: f64,
    /// Share of the bytes that stand in such spans.
    pub repeated_bytes: f64,
}

/// Counts spans one by one. It keeps each different span once and nothing else, so its memory grows as the vocabulary
/// of the text does.
///
/// ```
/// use ciyuan::evaluate::SpanCounter;
/// let mut counter = SpanCounter::default();
/// for span in ["我们", "学习", "，", "我们", "学"] {
///     counter.add(span);
/// }
/// let report = counter.report();
/// assert_eq!((report.all.spans, report.all.distinct, report.han.spans), (5, 4, 4));
/// assert_eq!((report.han.repeated, report.han_characters), (0.25, 7));
/// ```
#[derive(Debug, Default)]
pub struct SpanCounter {
    seen: FxHashSet<Box<str>>,
    han_characters: u64,
    /// Spans of nothing but Han characters.
    han: Sums,
    other: Sums,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    spans: u64,
    bytes: u64,
    repeated: u64,
    repeated_bytes: u64,
    /// How many spans there are of each length in characters.
    lengths: BTreeMap<u64, u64>,
}

impl SpanCounter {
    /// Counts a span.
    pub fn add(&mut self, span: &str) {
        let (mut characters, mut han) = (0, 0);
        for c in span.chars() {
            characters += 1;
            han += u64::from(!c.is_ascii() && is_han(c));
        }
        self.han_characters += han;
        let bytes = span.len() as u64;
        let repeated = self.seen.contains(span);
        if !repeated {
            self.seen.insert(span.into());
        }
        let sums = if han > 0 && han == characters { &mut self.han } else { &mut self.other };
        sums.spans += 1;
        sums.bytes += bytes;
        sums.repeated += u64::from(repeated);
        sums.repeated_bytes += if repeated { bytes } else { 0 };
        *sums.lengths.entry(characters).or_default() += 1;
    }

    /// The figures of all spans so far.
    #[must_use]
    pub fn report(&self) -> SpanReport {
        let mut all = self.han.clone();
        all.add(&self.other);
        let characters = all.characters();
        SpanReport {
            characters,
            han_characters: self.han_characters,
            han_share: share(self.han_characters, characters),
            all: all.figures(),
            han: self.han.figures(),
        }
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.spans += other.spans;
        self.bytes += other.bytes;
        self.repeated += other.repeated;
        self.repeated_bytes += other.repeated_bytes;
        for (length, count) in &other.lengths {
            *self.lengths.entry(*length).or_default() += count;
        }
    }

    fn characters(&self) -> u64 {
        self.lengths.iter().map(|(length, count)| length * count).sum()
    }

    fn figures(&self) -> SpanFigures {
        SpanFigures {
            spans: self.spans,
            distinct: self.spans - self.repeated,
            bytes: self.bytes,
            mean_length: share(self.characters(), self.spans),
            p99_length: self.p99(),
            longest: self.lengths.last_key_value().map_or(0, |(length, _)| *length),
            repeated: share(self.repeated, self.spans),
            repeated_bytes: share(self.repeated_bytes, self.bytes),
        }
    }

    fn p99(&self) -> u64 {
        let mut below = 0;
        for (length, count) in &self.lengths {
            below += count;
            if u128::from(below) * 100 >= u128::from(self.spans) * 99 {
                return *length;
            }
        }
        0
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definitions, read off a list of all spans.
    fn oracle(spans: &[&str], only_han: bool) -> SpanFigures {
        let wanted = |span: &&&str| !only_han || (!span.is_empty() && span.chars().all(is_han));
        let seen_before = |at: usize| spans[..at].contains(&spans[at]);
        let chosen: Vec<(&str, bool)> =
            (0..spans.len()).filter(|at| wanted(&&spans[*at])).map(|at| (spans[at], seen_before(at))).collect();
        if chosen.is_empty() {
            return SpanFigures::default();
        }
        let mut lengths: Vec<u64> = chosen.iter().map(|(span, _)| span.chars().count() as u64).collect();
        lengths.sort_unstable();
        let bytes = |spans: &[(&str, bool)]| spans.iter().map(|(span, _)| span.len() as u64).sum::<u64>();
        let repeated: Vec<(&str, bool)> = chosen.iter().copied().filter(|(_, repeated)| *repeated).collect();
        let different: std::collections::HashSet<&str> = chosen.iter().map(|(span, _)| *span).collect();
        SpanFigures {
            spans: chosen.len() as u64,
            distinct: different.len() as u64,
            bytes: bytes(&chosen),
            mean_length: lengths.iter().sum::<u64>() as f64 / chosen.len() as f64,
            p99_length: lengths[(99 * lengths.len()).div_ceil(100) - 1],
            longest: *lengths.last().unwrap(),
            repeated: repeated.len() as f64 / chosen.len() as f64,
            repeated_bytes: bytes(&repeated) as f64 / bytes(&chosen) as f64,
        }
    }

    proptest! {
        #[test]
        fn equals_the_definitions(spans in prop::collection::vec("[我们学a，]{1,3}|[学习]{1,6}", 0..250)) {
            let spans: Vec<&str> = spans.iter().map(String::as_str).collect();
            let mut counter = SpanCounter::default();
            spans.iter().for_each(|span| counter.add(span));
            let report = counter.report();
            prop_assert_eq!(&report.all, &oracle(&spans, false));
            prop_assert_eq!(&report.han, &oracle(&spans, true));
            let text = spans.concat();
            let han = text.chars().filter(|c| is_han(*c)).count() as u64;
            prop_assert_eq!((report.characters, report.han_characters), (text.chars().count() as u64, han));
        }
    }

    #[test]
    fn the_99th_percentile_leaves_out_one_in_a_hundred() {
        let figures = |long: usize| {
            let mut counter = SpanCounter::default();
            (0..100).for_each(|n| counter.add(if n < long { "长长长长长" } else { "短" }));
            counter.report().han
        };
        assert_eq!((figures(1).p99_length, figures(1).longest), (1, 5));
        assert_eq!(figures(2).p99_length, 5);
        assert_eq!(SpanCounter::default().report().all, SpanFigures::default());
    }
}
