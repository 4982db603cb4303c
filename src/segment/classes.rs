//! The class of a character: what the named patterns tell apart.
//!
//! A pattern asks whether a character is in `\p{L}`, `\p{Han}`, `[^\s\p{L}\p{N}]` and the like. Each code point has one
//! [`Class`], the atom of all those sets, and each of the sets is a [`Set`] of classes: one bit test. The class comes
//! out of a table in two levels, a page of 256 code points for each different one, 44 KB in all, made by the compiler
//! from `class_runs.rs`.

use super::class_runs::RUNS;

/// The atom that a character belongs to, below 32.
pub(super) type Class = u8;

/// `\p{Lu}` and `\p{Lt}`.
pub(super) const UPPER: Class = 0;
/// `\p{Ll}`.
pub(super) const LOWER: Class = 1;
/// `\p{Lm}` and `\p{Lo}` that are neither Han nor in the kana blocks.
pub(super) const LETTER: Class = 2;
/// `\p{M}`, likewise.
pub(super) const MARK: Class = 3;
/// `\p{N}`, likewise.
pub(super) const NUMBER: Class = 4;
/// CR and LF.
pub(super) const NEWLINE: Class = 5;
/// The rest of `\s`.
pub(super) const SPACE: Class = 6;
/// `\p{P}`.
pub(super) const PUNCTUATION: Class = 7;
/// `\p{S}`.
pub(super) const SYMBOL: Class = 8;
/// `\p{C}` without white space: controls, format characters, private use, unassigned.
pub(super) const OTHER: Class = 9;
/// `[一-龥]`, the ideographs of Unicode 1.1: `\p{Lo}`, `\p{Han}`.
pub(super) const IDEOGRAPH: Class = 10;
/// The other letters of `\p{Han}`: later ideographs, compatibility ideographs, 々.
pub(super) const HAN_LETTER: Class = 11;
/// 〇 and the Hangzhou numerals: `\p{Han}`, `\p{Nl}`.
pub(super) const HAN_NUMBER: Class = 12;
/// Radicals: `\p{Han}`, `\p{So}`.
pub(super) const HAN_SYMBOL: Class = 13;
/// The marks of `\p{Han}`.
pub(super) const HAN_MARK: Class = 14;
/// The punctuation of `\p{Han}`.
pub(super) const HAN_PUNCTUATION: Class = 15;
/// Letters of the blocks Hiragana and Katakana (U+3040 to U+30FF).
pub(super) const KANA_LETTER: Class = 16;
/// Marks there.
pub(super) const KANA_MARK: Class = 17;
/// Symbols there.
pub(super) const KANA_SYMBOL: Class = 18;
/// Punctuation there: ゠ and ・.
pub(super) const KANA_PUNCTUATION: Class = 19;
/// Unassigned there.
pub(super) const KANA_OTHER: Class = 20;
/// What stands behind the last character of a text; in no set.
pub(super) const END: Class = 31;

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set(u32);

impl Set {
    pub(super) const NONE: Self = Self(0);
    /// `\p{L}`.
    pub(super) const LETTERS: Self = Self::of(&[UPPER, LOWER, LETTER, IDEOGRAPH, HAN_LETTER, KANA_LETTER]);
    /// `\p{M}`.
    pub(super) const MARKS: Self = Self::of(&[MARK, HAN_MARK, KANA_MARK]);
    /// `\p{N}`.
    pub(super) const NUMBERS: Self = Self::of(&[NUMBER, HAN_NUMBER]);
    /// `\s`.
    pub(super) const WHITE_SPACE: Self = Self::of(&[NEWLINE, SPACE]);
    /// `[\r\n]`.
    pub(super) const NEWLINES: Self = Self::of(&[NEWLINE]);
    /// `\p{P}` and `\p{S}`.
    pub(super) const PUNCTUATION: Self =
        Self::of(&[PUNCTUATION, SYMBOL, HAN_SYMBOL, HAN_PUNCTUATION, KANA_SYMBOL, KANA_PUNCTUATION]);
    /// `\p{Han}`.
    pub(super) const HAN: Self = Self::of(&[IDEOGRAPH, HAN_LETTER, HAN_NUMBER, HAN_SYMBOL, HAN_MARK, HAN_PUNCTUATION]);
    /// `[一-龥぀-ゟ゠-ヿ]`.
    pub(super) const IDEOGRAPHS_AND_KANA: Self =
        Self::of(&[IDEOGRAPH, KANA_LETTER, KANA_MARK, KANA_SYMBOL, KANA_PUNCTUATION, KANA_OTHER]);
    /// Letters and marks of them.
    pub(super) const IDEOGRAPH_AND_KANA_LETTERS: Self = Self::of(&[IDEOGRAPH, KANA_LETTER, KANA_MARK]);
    /// Punctuation and symbols of them.
    pub(super) const KANA_PUNCTUATION: Self = Self::of(&[KANA_SYMBOL, KANA_PUNCTUATION]);
    /// Every character.
    pub(super) const ALL: Self = Self((1 << (KANA_OTHER + 1)) - 1);

    pub(super) const fn of(classes: &[Class]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < classes.len() {
            bits |= 1 << classes[at];
            at += 1;
        }
        Self(bits)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    #[inline(always)]
    pub(super) const fn has(self, class: Class) -> bool {
        self.0 >> class & 1 == 1
    }
}

const PAGE: usize = 256;
const PAGES: usize = 0x11_0000 / PAGE;
/// Different pages: those of one class only, once a class, and those that are mixed.
const DIFFERENT: usize = count_pages();

struct Table {
    page: [u8; PAGES],
    classes: [Class; DIFFERENT * PAGE],
}

static TABLE: Table = table();

/// First code point and class of a run of `class_runs.rs`.
const fn run(at: usize) -> (usize, Class) {
    ((RUNS[at] >> 5) as usize, (RUNS[at] & 31) as Class)
}

/// The end of the run `at`.
const fn run_end(at: usize) -> usize {
    if at + 1 < RUNS.len() { run(at + 1).0 } else { PAGES * PAGE }
}

const fn count_pages() -> usize {
    let (mut seen, mut count, mut at, mut page) = (0u32, 0, 0, 0);
    while page < PAGES {
        let end = (page + 1) * PAGE;
        while run_end(at) <= page * PAGE {
            at += 1;
        }
        if run_end(at) < end {
            count += 1;
        } else if seen >> run(at).1 & 1 == 0 {
            seen |= 1 << run(at).1;
            count += 1;
        }
        page += 1;
    }
    count
}

const fn table() -> Table {
    let mut table = Table { page: [0; PAGES], classes: [0; DIFFERENT * PAGE] };
    // The page that holds one class only, by class.
    let mut uniform = [u8::MAX; 32];
    let (mut next, mut at, mut page) = (0, 0, 0);
    while page < PAGES {
        while run_end(at) <= page * PAGE {
            at += 1;
        }
        let class = run(at).1 as usize;
        if run_end(at) >= (page + 1) * PAGE && uniform[class] != u8::MAX {
            table.page[page] = uniform[class];
        } else {
            if run_end(at) >= (page + 1) * PAGE {
                uniform[class] = next;
            }
            table.page[page] = next;
            let mut offset = 0;
            while offset < PAGE {
                while run_end(at) <= page * PAGE + offset {
                    at += 1;
                }
                table.classes[next as usize * PAGE + offset] = run(at).1;
                offset += 1;
            }
            next += 1;
        }
        page += 1;
    }
    table
}

/// The class of a code point.
#[inline(always)]
pub(super) fn class_of(code: u32) -> Class {
    let page = TABLE.page[code as usize >> 8] as usize;
    TABLE.classes[page << 8 | code as usize & 0xFF]
}

/// The class and the length in bytes of the character at `at`; [`END`] and 0 behind the last one.
///
/// `text` is valid UTF-8 and `at` on the edge of a character: other bytes give some class, and at worst a panic.
#[inline(always)]
pub(super) fn class_at(text: &[u8], at: usize) -> (Class, usize) {
    let tail = |offset: usize| u32::from(text[at + offset] & 0x3F);
    let Some(&lead) = text.get(at) else { return (END, 0) };
    let code = u32::from(lead);
    match lead {
        ..0x80 => (class_of(code), 1),
        0x80..0xE0 => (class_of((code & 0x1F) << 6 | tail(1)), 2),
        0xE0..0xF0 => (class_of((code & 0x0F) << 12 | tail(1) << 6 | tail(2)), 3),
        _ => (class_of((code & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3)), 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each set beside the regular expression that it stands for, on every character.
    #[test]
    fn sets_equal_their_regex() {
        let sets = [
            (r"\p{L}", Set::LETTERS),
            (r"\p{M}", Set::MARKS),
            (r"\p{N}", Set::NUMBERS),
            (r"\s", Set::WHITE_SPACE),
            (r"[\r\n]", Set::NEWLINES),
            (r"[\p{P}\p{S}]", Set::PUNCTUATION),
            (r"\p{Han}", Set::HAN),
            ("[一-龥\u{3040}-\u{309F}\u{30A0}-\u{30FF}]", Set::IDEOGRAPHS_AND_KANA),
            (r"[[一-龥\x{3040}-\x{30FF}]&&[\p{L}\p{M}]]", Set::IDEOGRAPH_AND_KANA_LETTERS),
            (r"[\x{3040}-\x{30FF}&&[\p{P}\p{S}]]", Set::KANA_PUNCTUATION),
            (r"[\p{Lu}\p{Lt}]", Set::of(&[UPPER])),
            (r"\p{Ll}", Set::of(&[LOWER])),
            (r"(?s).", Set::ALL),
            (r"[a&&b]", Set::NONE),
        ];
        for (regex, set) in sets {
            let compiled = regex::Regex::new(&format!("^{regex}$")).unwrap();
            let mut buffer = [0; 4];
            for c in '\0'..=char::MAX {
                let text = c.encode_utf8(&mut buffer);
                let (class, length) = class_at(text.as_bytes(), 0);
                assert_eq!(set.has(class), compiled.is_match(text), "{regex} U+{:04X}", c as u32);
                assert_eq!(length, c.len_utf8());
            }
        }
        assert_eq!(class_at(b"a", 1), (END, 0));
        assert!(!Set::ALL.has(END));
    }
}
