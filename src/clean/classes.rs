//! What kind of character one is, for filters.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

use crate::segment::is_han;

/// The kinds that filters tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    Han,
    Latin,
    /// Letters and marks of other scripts.
    OtherLetter,
    Digit,
    Punctuation,
    /// All the rest: symbols, controls, code points for private use, U+FFFD.
    Symbol,
}

static LATIN: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"[\p{Latin}&&\p{L}]"));
static LETTER: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"[\p{L}\p{M}]"));
static NUMERAL: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"\p{N}"));
static PUNCTUATION: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"\p{P}"));

/// The kind of a character, by its script and general category in Unicode.
pub(super) fn kind(c: char) -> Kind {
    match c {
        'a'..='z' | 'A'..='Z' => Kind::Latin,
        '0'..='9' => Kind::Digit,
        '\u{4E00}'..='\u{9FFF}' => Kind::Han,
        _ if c.is_whitespace() => Kind::Space,
        _ if PUNCTUATION.has(c) => Kind::Punctuation,
        _ if is_han(c) => Kind::Han,
        _ if LATIN.has(c) => Kind::Latin,
        _ if LETTER.has(c) => Kind::OtherLetter,
        _ if NUMERAL.has(c) => Kind::Digit,
        _ => Kind::Symbol,
    }
}

/// Characters as ranges, in order.
struct Ranges(Vec<(char, char)>);

impl Ranges {
    /// The characters of a class, which a test reads.
    fn of(class: &str) -> Self {
        match regex_syntax::parse(class).map(|hir| hir.into_kind()) {
            Ok(HirKind::Class(Class::Unicode(class))) => {
                Self(class.ranges().iter().map(|range| (range.start(), range.end())).collect())
            }
            _ => Self(Vec::new()),
        }
    }

    fn has(&self, c: char) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < c);
        self.0.get(at).is_some_and(|(start, _)| *start <= c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let kinds = |text: &str| text.chars().map(kind).collect::<Vec<_>>();
        assert_eq!(kinds("词々𠀀"), [Kind::Han; 3]);
        assert_eq!(kinds("aZéＡ"), [Kind::Latin; 4]);
        assert_eq!(kinds("カяक\u{301}"), [Kind::OtherLetter; 4]);
        assert_eq!(kinds("0９½"), [Kind::Digit; 3]);
        assert_eq!(kinds("，。.!《—、"), [Kind::Punctuation; 7]);
        assert_eq!(kinds("+￥€😀\u{0}\u{E000}\u{FFFD}|"), [Kind::Symbol; 8]);
        assert_eq!(kinds(" \n\u{3000}\u{A0}"), [Kind::Space; 4]);
    }
}
