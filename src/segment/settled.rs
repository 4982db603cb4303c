//! How far the spans of a text stand, however the text goes on.
//!
//! The scanners of the named patterns go from left to right and look at nothing before the span that they are about to
//! find. So a place in a text is settled if it is an edge of spans and no span before it is found by looking further
//! than the text goes: then any continuation has the same spans before it. Two characters tell such places
//! (`edges.rs`): whatever stands before and behind them, nothing looks further than the one behind the place.
//!
//! At the end of a text of Chinese there may be no such place for long. But a run of ideographs is held by one span, in
//! every named pattern: all are letters of one kind. Where the run follows punctuation, a blank, or a settled place, the
//! span that holds it starts with it, or with the one character before it as a lead; which, was told by the first
//! ideograph. All before that is settled, and what is behind is the beginning of one span.
//!
//! Other patterns run on a regex engine: `reach.rs` tells how far their matches are settled.

use super::classes::{IDEOGRAPH, SPACE, class_of};
use super::edges::{Edges, MARKS};
use super::named::NamedScanner;
use super::phrases;
use super::segmenter::{HanEdges, Segmenter};
use crate::error::Result;

/// How far the spans of a text are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The spans before this edge stay as they are.
    pub(crate) edge: usize,
    /// Whether the text behind it is the beginning of one span, however it goes on.
    pub(crate) one_span: bool,
}

impl Segmenter {
    /// Whether [`Segmenter::settled`] finds places in ordinary text.
    pub(crate) fn settles(&self) -> bool {
        NamedScanner::of(self.pattern().source()).is_some() || self.reach().is_some()
    }

    /// How far the spans of `text` are settled.
    ///
    /// # Errors
    ///
    /// Those of [`Segmenter::spans`].
    pub(crate) fn settled(&self, text: &str) -> Result<Settled> {
        let open = |edge| Settled { edge, one_span: false };
        let Some(scanner) = NamedScanner::of(self.pattern().source()) else {
            return Ok(open(self.reach().map_or(0, |reach| reach.settled(text))));
        };
        match scanner {
            NamedScanner::Characters => return Ok(open(text.len())),
            NamedScanner::Superwords => return Ok(open(phrases::settled(text))),
            _ => {}
        }
        let edge = last_edge(Edges::of(scanner), text);
        // Words inside a run of ideographs may change as it goes on.
        if self.edges() == HanEdges::Words || !ends_in_ideographs(&text[edge..]) {
            return Ok(open(edge));
        }
        if self.edges() == HanEdges::Chars {
            // The last one begins what a contraction may end.
            let last = text.chars().next_back().map_or(0, char::len_utf8);
            return Ok(open(text.len() - last));
        }
        let mut ends = Vec::new();
        self.spans(&text[edge..], &mut ends)?;
        ends.pop();
        let start = edge + ends.last().map_or(0, |end| *end as usize);
        Ok(Settled { edge: start, one_span: true })
    }
}

/// The last settled place of a text, or its beginning.
fn last_edge(edges: Edges, text: &str) -> usize {
    let mut characters = text.char_indices().rev();
    let Some((mut at, mut behind)) = characters.next() else { return 0 };
    for (start, before) in characters {
        if edges.between(before, behind) {
            return at;
        }
        (at, behind) = (start, before);
    }
    0
}

/// Whether a text, behind a settled place, ends in a run of ideographs that begins it, or that punctuation or a blank
/// stands before.
fn ends_in_ideographs(text: &str) -> bool {
    let mut classes = text.chars().rev().map(|c| class_of(c as u32)).peekable();
    let mut count = 0;
    while classes.next_if_eq(&IDEOGRAPH).is_some() {
        count += 1;
    }
    count > 0 && classes.next().is_none_or(|before| before == SPACE || MARKS.has(before))
}

#[cfg(test)]
mod tests {
    use super::super::testing::hostile;
    use super::*;
    use crate::segment::Pattern;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn spans(segmenter: &Segmenter, text: &str) -> Vec<u32> {
        let mut ends = Vec::new();
        segmenter.spans(text, &mut ends).unwrap();
        ends
    }

    /// Patterns on an engine: white space given back or not, gaps, matches of nothing, matches that look far ahead, look
    /// at what stands before, or backtrack.
    const OTHERS: [&str; 12] = [
        r"\w+|\s+|[^\w\s]+",
        r" ?\p{L}+|\p{N}{1,3}|[^\s\p{L}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"[a-z]+|\s+(?!\S)|\s",
        r"\d+",
        "x*",
        "(?:词元)*",
        "a[^b]*b|[a中]",
        "(?s).+",
        r"^a|\b|.",
        r"(?m)\w+$|\s",
        r"\p{L}++|\s",
        r"(?<!a)\w+|\s+(?!\S)|\s+",
    ];

    /// Every pattern with a scanner, and others, with the edges in Han runs that need no dictionary.
    static SEGMENTERS: LazyLock<Vec<Segmenter>> = LazyLock::new(|| {
        let segmenter = |(regex, edges): (&str, _)| Segmenter::new(Pattern::from_regex(regex).unwrap(), edges).unwrap();
        let edges = [HanEdges::None, HanEdges::Chars];
        let regexes = NamedScanner::KNOWN.iter().map(|(regex, _)| *regex).chain(OTHERS);
        regexes.flat_map(|regex| edges.map(|edges| segmenter((regex, edges)))).collect()
    });

    /// The spans of `text` up to the settled edge are there in every continuation.
    fn check(segmenter: &Segmenter, text: &str, more: &[String]) {
        let Settled { edge, one_span } = segmenter.settled(text).unwrap();
        let before = |ends: Vec<u32>| ends.into_iter().filter(|end| *end as usize <= edge).collect::<Vec<_>>();
        let wanted = before(spans(segmenter, text));
        let about = |more: &str| format!("{}, {text:?} + {more:?} at {edge}", segmenter.pattern().source());
        assert!(edge == 0 || wanted.last() == Some(&(edge as u32)), "{}", about(""));
        for more in more {
            let longer = spans(segmenter, &format!("{text}{more}"));
            let inside = longer.iter().any(|end| *end as usize > edge && (*end as usize) < text.len());
            assert!(!(one_span && inside), "{}", about(more));
            let of_rest = spans(segmenter, &format!("{}{more}", &text[edge..]));
            let rest: Vec<u32> =
                longer.iter().filter_map(|end| end.checked_sub(edge as u32)).filter(|end| *end > 0).collect();
            assert_eq!(of_rest, rest, "{}", about(more));
            assert_eq!(before(longer), wanted, "{}", about(more));
        }
    }

    /// Each pair of characters of different kinds with each kind behind it.
    #[test]
    fn every_pair_of_kinds() {
        let kinds: Vec<char> = "aAǅʰ\u{301}é1½ \t\n\r\u{A0}\u{3000}'\u{2019}!/，。\"+\0\u{E000}\u{200B}词龦〇々⼀\u{16FF0}カ・゛\u{3040}\u{3099}한s".chars().collect();
        let more: Vec<String> = kinds
            .iter()
            .map(char::to_string)
            .chain(["b!", "A词", "s ", "\n/", "词a", " a", "ll"].map(String::from))
            .collect();
        let scanned = |segmenter: &&Segmenter| {
            segmenter.edges() == HanEdges::None && NamedScanner::of(segmenter.pattern().source()).is_some()
        };
        for segmenter in SEGMENTERS.iter().filter(scanned) {
            for a in &kinds {
                for b in &kinds {
                    check(segmenter, &format!("{a}{b}"), &more);
                    check(segmenter, &format!("!{a}{b}"), &more);
                }
            }
        }
    }

    /// A contraction that comes behind the last ideograph belongs to its span, though that is cut before it.
    #[test]
    fn contractions_behind_characters_that_stand_alone() {
        let segmenter = Segmenter::new(Pattern::parse("o200k").unwrap(), HanEdges::Chars).unwrap();
        assert_eq!(segmenter.settled("词元").unwrap(), Settled { edge: 3, one_span: false });
        check(&segmenter, "词元", &["'\u{17F}a中".to_owned(), "'sa".to_owned(), "'".to_owned()]);
    }

    #[test]
    fn how_far() {
        let settled = |pattern: &str, text: &str| {
            let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
            let Settled { edge, one_span } = segmenter.settled(text).unwrap();
            (text[..edge].to_owned(), one_span)
        };
        assert_eq!(settled("cl100k", "Hello wor"), ("Hello".to_owned(), false));
        assert_eq!(settled("cl100k", "Hello "), ("Hello".to_owned(), false));
        assert_eq!(settled("cl100k", "it'"), (String::new(), false));
        assert_eq!(settled("ciyuan", "你好，世界"), ("你好，".to_owned(), true));
        assert_eq!(settled("cl100k", "你好，世界"), ("你好".to_owned(), true));
        assert_eq!(settled("gpt2", "你好，世界"), ("你好，".to_owned(), true));
        assert_eq!(settled("ciyuan", "用Rust写"), ("用Rust".to_owned(), true));
        assert_eq!(settled("cl100k", "用Rust写"), (String::new(), false));
        assert_eq!(settled("qwen2", "x=12"), ("x=".to_owned(), false));
        // On an engine.
        assert_eq!(settled("(?s).+", "Hello world"), (String::new(), false));
        assert_eq!(settled(r"\w+|\W", "Hello world"), ("Hello ".to_owned(), false));
        assert_eq!(settled(r" ?\w+|\s+(?!\S)|\s+", "one   two"), ("one  ".to_owned(), false));
        assert_eq!(settled(r" ?\w+|\s+(?!\S)|\s+", "one   "), ("one".to_owned(), false));
        assert_eq!(settled(r"\b\w+|\W", "Hello world"), (String::new(), false));
        assert_eq!(settled("a[^b]*b|a|c", "caac"), ("c".to_owned(), false));
        assert_eq!(settled("regex:(?s:.)", "词元"), ("词元".to_owned(), false));
        assert_eq!(settled("ciyuan", ""), (String::new(), false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn no_continuation_moves_them(text in hostile(), more in prop::collection::vec(hostile(), 2)) {
            for segmenter in SEGMENTERS.iter() {
                check(segmenter, &text, &more);
            }
        }
    }
}
