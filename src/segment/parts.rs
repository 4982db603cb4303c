//! Long texts in parts, each of which can be worked on by itself. Where a text is cut depends on the text and on the size of
//! a part, never on threads.

use std::ops::Range;

use super::pattern::Pattern;

/// Where the first part of a text ends, of about `size` bytes: `last` finds the last place within a range where the text
/// may be cut. A text of up to one and a half times as many bytes is one part.
pub(crate) fn end_of_part(text: &str, size: usize, last: impl Fn(Range<usize>) -> Option<usize>) -> usize {
    if text.len() <= size + size / 2 {
        return text.len();
    }
    if let Some(cut) = last(0..size) {
        return cut;
    }
    // A long stretch without one. The range doubles, so that the time is linear in the length.
    let mut from = size;
    while from < text.len() {
        if let Some(cut) = last(from..2 * from) {
            return cut;
        }
        from *= 2;
    }
    text.len()
}

impl Pattern {
    /// The parts of a text, of about so many bytes, whose spans are those of the text: cut at [`Pattern::safe_cut`].
    #[cfg(any(test, feature = "pipeline"))]
    pub(crate) fn safe_parts<'t>(&'t self, text: &'t str, size: usize) -> impl Iterator<Item = Range<usize>> + 't {
        let mut start = 0;
        std::iter::from_fn(move || {
            let (from, rest) = (start, &text[start..]);
            if self.has_safe_cuts() {
                start += end_of_part(rest, size, |within| self.safe_cut(rest, within));
            } else {
                start = text.len();
            }
            (start > from).then_some(from..start)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::segmenter::{HanEdges, Segmenter};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_of_about_the_size() {
        let pattern = Pattern::parse("cl100k").unwrap();
        let text = "one two 词元，单位 three ".repeat(50) + &"=".repeat(300);
        let parts: Vec<Range<usize>> = pattern.safe_parts(&text, 100).collect();
        assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, text.len()));
        assert!(
            parts.windows(2).all(|two| two[0].end == two[1].start && (1..=150).contains(&two[0].len())),
            "{parts:?}"
        );
        assert!(parts.len() > text.len() / 150 && parts[0].len() > 80, "{parts:?}");
        let whole = Pattern::parse(r"regex:\w+|\W+").unwrap();
        assert!(whole.safe_parts(&text, 100).eq(std::iter::once(0..text.len())));
        assert_eq!(whole.safe_parts("", 100).count(), 0);
    }

    proptest! {
        #[test]
        fn spans_of_parts_are_those_of_the_text(text in super::super::hostile(), size in 1usize..30) {
            for (name, _) in super::super::NAMED_PATTERNS {
                let segmenter = Segmenter::new(Pattern::parse(name).unwrap(), HanEdges::None).unwrap();
                let spans = |text: &str| {
                    let mut ends = Vec::new();
                    segmenter.spans(text, &mut ends).unwrap();
                    ends
                };
                let mut ends = Vec::new();
                for part in segmenter.pattern().safe_parts(&text, size) {
                    ends.extend(spans(&text[part.clone()]).into_iter().map(|end| end + part.start as u32));
                }
                prop_assert_eq!(ends, spans(&text));
            }
        }
    }
}
