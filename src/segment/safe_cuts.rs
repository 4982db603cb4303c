//! Safe cuts of a text: places where it may be cut in two without a span becoming another.
//!
//! A place p is safe if the spans of the text are those of the part before p and then those of the part behind it. On
//! this rest whatever takes a long text in parts: the threads that share one document, and streams. A place is told to be
//! safe by the two characters beside it alone, a before and b behind, whatever stands before and behind these.
//!
//! # Why a place is safe
//!
//! The alternatives of the named patterns look ahead, but never behind. So the spans from a place on depend on the text
//! from there on, and two things are enough:
//!
//! 1. *A span ends at p*: a and b are the neighbours of an edge (`edges.rs`). Then the spans behind p are those of the
//!    part behind it.
//! 2. *No span before p is another without b*. An alternative that matches within the part before p consumes the same
//!    there; other than by a match over p, which 1 rules out, it can only notice b by looking ahead from p, as
//!    `\s+(?!\S)`, `\s+$` and the end of the text do. They look from behind white space alone, so a that is no white space
//!    is enough. (`deepseek-v3` looks ahead behind three unassigned characters too, for two of its kana block; b is none.)
//!
//! Of white space, a may be CR or LF where `\s*[\r\n]+` stands before `\s+(?!\S)`: white space that ends in a newline is
//! taken by it to its last newline, which is a, whether b or nothing follows; `\s+$`, where it stands before both, takes the
//! same. In `gpt2`, without that alternative, such places are not safe: of two newlines before a letter the first stands
//! apart, at the end of a text it does not.
//!
//! What is cut further at the edges of Han runs, inside the spans, keeps this, and so do the steps of a sequence behind
//! the first one, as each cuts the parts that the one before left, one by one. The pattern of superwords looks nowhere
//! ahead, and all that may stand behind a line break or the end of a sentence in one piece is more of these, or white
//! space (`phrases.rs`): a place between such a one and a word is safe. Other patterns are not known to have safe cuts, and
//! are not cut.

use std::ops::Range;

use super::classes::{NEWLINE, Set, class_of};
use super::edges::Edges;
use super::named::NamedScanner;
use super::phrases;
use super::rules::{Ciyuan, Cl100k, Cl100kTiktoken, DeepSeekV3, Gpt2, O200k, Qwen2, Qwen35, Rules, SeedCoder};

/// Where the texts of a named pattern may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SafeCuts {
    /// Between any two characters.
    Everywhere,
    /// Behind the end of a line or of a sentence. The pattern looks nowhere ahead.
    BehindPhrases,
    /// As the head of this file says.
    Between {
        edges: Edges,
        /// Whether `\s*[\r\n]+` stands before `\s+(?!\S)`.
        newlines: bool,
    },
}

impl SafeCuts {
    /// Those of a scanner.
    pub(super) const fn of(scanner: NamedScanner) -> Self {
        let newlines = match scanner {
            NamedScanner::Ciyuan => Ciyuan::NEWLINES,
            NamedScanner::Gpt2 => Gpt2::NEWLINES,
            NamedScanner::Cl100k => Cl100k::NEWLINES,
            NamedScanner::Cl100kTiktoken => Cl100kTiktoken::NEWLINES,
            NamedScanner::O200k => O200k::NEWLINES,
            NamedScanner::Qwen2 => Qwen2::NEWLINES,
            NamedScanner::Qwen35 => Qwen35::NEWLINES,
            NamedScanner::SeedCoder => SeedCoder::NEWLINES,
            NamedScanner::DeepSeekV3 => DeepSeekV3::NEWLINES,
            NamedScanner::Characters => return Self::Everywhere,
            NamedScanner::Superwords => return Self::BehindPhrases,
        };
        Self::Between { edges: Edges::of(scanner), newlines }
    }

    /// The last safe cut of `text` in the range, which is neither at its start nor at its end.
    pub(super) fn last(self, text: &str, within: Range<usize>) -> Option<usize> {
        // Behind the last place of the range stands the last character that begins in it.
        let end = text.ceil_char_boundary(within.end.min(text.len()));
        let mut characters = text[..end].char_indices().rev();
        let mut behind = characters.next()?;
        for before in characters {
            let (place, after) = behind;
            if place < within.start {
                return None;
            }
            if self.between(before.1, after) {
                return Some(place);
            }
            behind = before;
        }
        None
    }

    /// Whether the place between two neighbours is a safe cut.
    pub(super) fn between(self, a: char, b: char) -> bool {
        let (edges, newlines) = match self {
            Self::Everywhere => return true,
            Self::BehindPhrases => return phrases::ends_between(a, b),
            Self::Between { edges, newlines } => (edges, newlines),
        };
        let of_a = class_of(a as u32);
        edges.between(a, b) && (!Set::WHITE_SPACE.has(of_a) || of_a == NEWLINE && newlines)
    }
}

#[cfg(test)]
mod tests {
    use super::super::NaivePattern;
    use super::super::class_runs::RUNS;
    use super::super::lanes::Instructions;
    use super::super::testing::hostile;
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn spans(scanner: NamedScanner, text: &str) -> Vec<u32> {
        let mut ends = Vec::new();
        scanner.spans(Instructions::best(), text, &mut ends);
        ends
    }

    /// The safe cuts of a text, found one by one.
    fn all_cuts(cuts: SafeCuts, text: &str) -> Vec<usize> {
        let places = text.char_indices().map(|(at, _)| at);
        places
            .filter(|at| cuts.last(text, *at..at + text[*at..].chars().next().unwrap().len_utf8()) == Some(*at))
            .collect()
    }

    /// The definition, at every safe cut of a text. Gives how many there are.
    fn check(text: &str, spans: impl Fn(NamedScanner, &str) -> Vec<u32>) -> usize {
        let mut found = 0;
        for (_, scanner) in NamedScanner::KNOWN {
            let whole = spans(scanner, text);
            for cut in all_cuts(SafeCuts::of(scanner), text) {
                let mut parts = spans(scanner, &text[..cut]);
                parts.extend(spans(scanner, &text[cut..]).iter().map(|end| cut as u32 + end));
                assert_eq!(parts, whole, "{scanner:?}: {:?} | {:?}", &text[..cut], &text[cut..]);
                found += 1;
            }
        }
        found
    }

    /// Every text of up to four characters of these, one or more for everything that a rule names.
    #[test]
    fn all_short_texts() {
        const CHARACTERS: [char; 17] = [
            ' ', '\n', '\r', '\u{A0}', 'a', 's', 'B', '1', '\'', '!', '/', '中', '〇', 'カ', '\u{3040}', '\u{301}',
            '\0',
        ];
        let mut texts = vec![String::new()];
        let mut found = 0;
        for _ in 0..4 {
            texts = texts.iter().flat_map(|text| CHARACTERS.map(|c| format!("{text}{c}"))).collect();
            for text in &texts {
                // A sample of the longest, and all of the others.
                if text.chars().count() == 4 && !xxhash_rust::xxh3::xxh3_64(text.as_bytes()).is_multiple_of(4) {
                    continue;
                }
                found += check(text, spans);
            }
        }
        assert!(found > 200_000, "{found}");
    }

    /// The first and the last character of each run of a class, behind and before one of each kind.
    #[test]
    fn the_edges_of_every_class() {
        let edges = RUNS.windows(2).flat_map(|pair| [pair[0] >> 5, (pair[1] >> 5) - 1]);
        for c in edges.filter_map(char::from_u32) {
            check(&format!("a{c} {c}1{c}\n{c}中{c}!{c}\r{c}"), spans);
        }
    }

    /// What the rules leave out is left out for a reason.
    #[test]
    fn places_that_are_not_safe() {
        for (scanner, text, place) in [
            (NamedScanner::Gpt2, "a\n\nb", 3),
            (NamedScanner::O200k, "!\n/b", 2),
            (NamedScanner::Cl100k, "!\na", 1),
            (NamedScanner::Cl100k, "a   b", 2),
            (NamedScanner::Cl100k, "1234", 1),
            (NamedScanner::Ciyuan, "a's", 1),
            (NamedScanner::Ciyuan, "中〇", 3),
            (NamedScanner::O200k, "a\u{301}", 1),
        ] {
            assert!(!all_cuts(SafeCuts::of(scanner), text).contains(&place), "{scanner:?} {text:?}");
            let mut parts = spans(scanner, &text[..place]);
            parts.extend(spans(scanner, &text[place..]).iter().map(|end| place as u32 + end));
            assert_ne!(parts, spans(scanner, text), "{scanner:?} {text:?}");
        }
    }

    #[test]
    fn ranges() {
        let cuts = SafeCuts::of(NamedScanner::Cl100k);
        let text = "ab cd，ef中 x";
        assert_eq!(all_cuts(cuts, text), [2, 5, 13]);
        assert_eq!(cuts.last(text, 0..text.len()), Some(13));
        assert_eq!(cuts.last(text, 0..13), Some(5));
        assert_eq!(cuts.last(text, 5..13), Some(5));
        assert_eq!(cuts.last(text, 6..13), None);
        assert_eq!(cuts.last(text, 0..1000), Some(13));
        assert_eq!(cuts.last(text, 0..0), None);
        assert_eq!(cuts.last("", 0..9), None);
        // Neither the start nor the end is one.
        assert_eq!(SafeCuts::Everywhere.last("中", 0..3), None);
        assert_eq!(SafeCuts::Everywhere.last("中元", 0..6), Some(3));
    }

    /// Texts of every kind have cuts enough; phrases end with lines and sentences alone.
    #[test]
    fn there_are_cuts() {
        for text in ["a line of words", "词元，单位。", "f(x)=a[1];", "一行\n一行\n", "2026年11月"] {
            let text = text.repeat(20);
            for (_, scanner) in NamedScanner::KNOWN {
                let count = all_cuts(SafeCuts::of(scanner), &text).len();
                let has_ends = scanner != NamedScanner::Superwords || text.contains(['。', '\n']);
                assert_eq!(count >= 19, has_ends, "{scanner:?} {count} {text}");
            }
        }
    }

    static NAIVE: LazyLock<Vec<(NamedScanner, NaivePattern)>> = LazyLock::new(|| {
        NamedScanner::KNOWN.iter().map(|(regex, scanner)| (*scanner, NaivePattern::new(regex).unwrap())).collect()
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn hostile_texts_by_the_plain_regex(text in hostile()) {
            for (scanner, naive) in &*NAIVE {
                let whole = naive.spans(&text).unwrap();
                for cut in all_cuts(SafeCuts::of(*scanner), &text) {
                    let mut parts = naive.spans(&text[..cut]).unwrap();
                    parts.extend(naive.spans(&text[cut..]).unwrap().iter().map(|end| cut as u32 + end));
                    prop_assert_eq!(&parts, &whole, "{:?} at {}", scanner, cut);
                }
            }
        }

        #[test]
        fn hostile_texts_by_the_scanners(text in hostile()) {
            check(&text, spans);
        }
    }
}
