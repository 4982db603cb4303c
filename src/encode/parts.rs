//! Long texts in parts, which have the ids of the whole.
//!
//! A text is cut where its pattern has a safe cut ([`Pattern::safe_cut`](crate::segment::Pattern::safe_cut)): the
//! pre-tokens of the parts are those of the whole, and ids depend on pre-tokens alone. One that is changed first is cut at
//! a seam (`seams.rs`). Where it is cut depends on the text and on the size of a part, never on threads.

use super::tokenizer::Tokenizer;
use crate::segment::end_of_part;

/// Bytes of a part that is encoded after another: few enough that its spans stay in a cache.
const SIZE: usize = 1 << 18;

/// The parts of a text, and where they begin.
pub(super) struct Parts<'t> {
    tokenizer: &'t Tokenizer,
    way: Way,
    text: &'t str,
    start: usize,
    size: usize,
}

/// How a text is cut.
#[derive(Clone, Copy)]
enum Way {
    Not,
    /// Nothing is done to it before the pattern.
    AtSafeCuts,
    AtSeams,
}

impl<'t> Parts<'t> {
    /// Parts for one thread.
    pub(super) fn new(tokenizer: &'t Tokenizer, text: &'t str) -> Self {
        Self::of_size(tokenizer, text, SIZE)
    }

    /// Parts of a text that is prepared for the pattern.
    pub(super) fn prepared(tokenizer: &'t Tokenizer, text: &'t str) -> Self {
        let way = if tokenizer.segmenter().pattern().has_safe_cuts() { Way::AtSafeCuts } else { Way::Not };
        Self { tokenizer, way, text, start: 0, size: SIZE }
    }

    /// Parts of about `size` bytes, as far as there are cuts. A text of up to one and a half of it is one part.
    pub(super) fn of_size(tokenizer: &'t Tokenizer, text: &'t str, size: usize) -> Self {
        // Whether there are seams is asked for long texts alone: it takes some time at first.
        let way = if text.len() > size && tokenizer.has_seams() { Way::AtSeams } else { Way::Not };
        Self { tokenizer, way, text, start: 0, size }
    }

    /// Where the first part of what is left ends.
    #[inline(never)]
    fn end(&self, rest: &str) -> usize {
        match self.way {
            Way::Not => rest.len(),
            Way::AtSafeCuts => {
                end_of_part(rest, self.size, |within| self.tokenizer.segmenter().pattern().safe_cut(rest, within))
            }
            Way::AtSeams => end_of_part(rest, self.size, |within| self.tokenizer.last_seam(rest, within)),
        }
    }
}

impl<'t> Iterator for Parts<'t> {
    type Item = (usize, &'t str);

    #[inline]
    fn next(&mut self) -> Option<(usize, &'t str)> {
        let start = self.start;
        let rest = &self.text[start..];
        if rest.is_empty() {
            return None;
        }
        let short = rest.len() <= self.size + self.size / 2;
        let end = if short { rest.len() } else { self.end(rest) };
        self.start += end;
        Some((start, &rest[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::learned;
    use super::*;

    #[test]
    fn parts_are_the_text() {
        let tokenizer = learned("cl100k", "", 0);
        let text = format!("one two {}词元，单位 {} end", "run".repeat(40), "=".repeat(300));
        // Cuts: before `two`, the run, the comma, the line of marks and the end.
        for (size, wanted) in [(1, 6), (2, 6), (3, 5), (7, 5), (16, 5), (100, 4), (1000, 1)] {
            let mut end = 0;
            let mut count = 0;
            for (start, part) in Parts::of_size(&tokenizer, &text, size) {
                assert_eq!((start, part), (end, &text[end..end + part.len()]));
                assert!(!part.is_empty());
                (end, count) = (end + part.len(), count + 1);
            }
            assert_eq!(end, text.len());
            assert_eq!(count, wanted, "{size}");
        }
        assert_eq!(Parts::of_size(&tokenizer, "", 4).count(), 0);
    }

    #[test]
    fn other_patterns_have_one_part() {
        let tokenizer = learned(r"regex:\w+|\W+", "", 0);
        assert_eq!(Parts::of_size(&tokenizer, "one two three", 1).collect::<Vec<_>>(), [(0, "one two three")]);
    }
}
