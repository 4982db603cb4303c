//! Which pairs may be merged, by what the token they make would be.

use super::config::LearnConfig;
use crate::segment::{Script, is_numeral};
use crate::vocab::MAX_TOKEN_BYTES;

/// What the rules need to know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    bytes: u32,
    /// Bytes that begin a character, which is how many characters it has a part of, but for one that began before.
    characters: u32,
    kind: Kind,
    writing: Writing,
    /// The bytes of a part of a character, the last one lowest; of any other token 0.
    part: u32,
}

/// What of characters a token holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Whole ones.
    Whole,
    /// A beginning that so many bytes would complete.
    Begun(u32),
    /// So many bytes that do not begin one.
    Inside(u32),
    /// Anything else.
    Other,
}

/// Of which script the whole characters of a token are, for [`LearnConfig::no_script_merges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// None: white space, punctuation, symbols, marks, and what stands for no character.
    Neutral,
    Han,
    Latin,
    /// Letters of any other script.
    Other,
    Digits,
    /// More than one of them.
    Mixed,
}

impl Writing {
    fn of(c: char) -> Self {
        match Script::of(c) {
            Script::Han => Self::Han,
            _ if is_numeral(c) => Self::Digits,
            Script::Latin => Self::Latin,
            Script::Other => Self::Other,
            Script::None => Self::Neutral,
        }
    }

    /// That of a character by its bytes, the last one lowest; they may stand for none.
    fn of_bytes(bytes: u32) -> Self {
        let bytes = bytes.to_be_bytes();
        let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
        let character = std::str::from_utf8(&bytes[start..]).ok().and_then(|text| text.chars().next());
        character.map_or(Self::Neutral, Self::of)
    }

    fn and(self, right: Self) -> Self {
        match (self, right) {
            (Self::Neutral, other) | (other, Self::Neutral) => other,
            (left, right) if left == right => left,
            _ => Self::Mixed,
        }
    }
}

impl Shape {
    /// The shape of a token.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let whole = Self { bytes: 0, characters: 0, kind: Kind::Whole, writing: Writing::Neutral, part: 0 };
        let mut bytes = bytes.iter().map(|&byte| Self::of_byte(byte)).peekable();
        let mut shape = bytes.next().unwrap_or(whole);
        // Characters are completed one by one, and then put behind each other.
        let mut before = whole;
        for next in bytes {
            if shape.kind == Kind::Whole {
                before = before.and(shape);
                shape = next;
            } else {
                shape = shape.and(next);
            }
        }
        before.and(shape)
    }

    fn of_byte(byte: u8) -> Self {
        let kind = match byte {
            0..=0x7F => Kind::Whole,
            0x80..=0xBF => Kind::Inside(1),
            0xC2..=0xDF => Kind::Begun(1),
            0xE0..=0xEF => Kind::Begun(2),
            0xF0..=0xF4 => Kind::Begun(3),
            // No byte of UTF-8.
            0xC0 | 0xC1 | 0xF5..=0xFF => Kind::Other,
        };
        let characters = u32::from(!matches!(byte, 0x80..=0xBF));
        let is_part = matches!(kind, Kind::Begun(_) | Kind::Inside(_));
        let writing = if byte.is_ascii() { Writing::of(char::from(byte)) } else { Writing::Neutral };
        Self { bytes: 1, characters, kind, writing, part: if is_part { byte.into() } else { 0 } }
    }

    /// The shape of the token that two make.
    pub(super) fn and(self, right: Self) -> Self {
        if self.bytes == 0 {
            return right;
        }
        let kind = match (self.kind, right.kind) {
            (Kind::Whole, Kind::Whole) => Kind::Whole,
            (Kind::Begun(missing), Kind::Inside(more)) if missing == more => Kind::Whole,
            (Kind::Begun(missing), Kind::Inside(more)) if missing > more => Kind::Begun(missing - more),
            // A character has three bytes behind its first one at the most.
            (Kind::Inside(some), Kind::Inside(more)) if some + more <= 3 => Kind::Inside(some + more),
            _ => Kind::Other,
        };
        let is_whole = self.kind == Kind::Whole;
        let (part, writing) = match kind {
            // Both are parts, of three bytes at the most.
            Kind::Begun(_) | Kind::Inside(_) => (self.part << (8 * right.bytes) | right.part, Writing::Neutral),
            Kind::Whole if !is_whole => (0, Writing::of_bytes(self.part << (8 * right.bytes) | right.part)),
            Kind::Whole | Kind::Other => (0, self.writing.and(right.writing)),
        };
        let (bytes, characters) = (self.bytes.saturating_add(right.bytes), self.characters + right.characters);
        Self { bytes, characters, kind, writing, part }
    }
}

/// The rules of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    boundaries: bool,
    one_script: bool,
    max_bytes: u32,
    max_characters: u32,
    per_million: u64,
}

impl Rules {
    pub(super) fn of(config: &LearnConfig) -> Self {
        Self {
            // A part of a character is of no script by itself.
            boundaries: config.character_boundaries || config.no_script_merges,
            one_script: config.no_script_merges,
            max_bytes: config.max_token_bytes.unwrap_or(u32::MAX).min(MAX_TOKEN_BYTES as u32),
            max_characters: config.max_token_characters.unwrap_or(u32::MAX),
            per_million: config.min_saved_per_million.unwrap_or(0),
        }
    }

    /// Whether any two tokens may be merged, where none is longer than so many bytes.
    pub(super) fn allow_all(&self, longest: usize) -> bool {
        let is_short = 2 * longest as u64 <= u64::from(self.max_bytes.min(self.max_characters));
        is_short && !self.boundaries && !self.one_script
    }

    /// Whether the token that two would make may be.
    pub(super) fn allow(&self, left: Shape, right: Shape) -> bool {
        let made = left.and(right);
        made.bytes <= self.max_bytes
            && made.characters <= self.max_characters
            && !(self.boundaries && made.kind == Kind::Other)
            && !(self.one_script && made.writing == Writing::Mixed)
    }

    /// Whether a pair that occurs so often is worth a token, in a text of so many.
    pub(super) fn is_worth(&self, count: u64, tokens: u128) -> bool {
        u128::from(count) * 1_000_000 >= u128::from(self.per_million) * tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_parts_of_them() {
        let kind = |bytes: &[u8]| Shape::of(bytes).kind;
        assert_eq!(kind("词a元".as_bytes()), Kind::Whole);
        assert_eq!(kind(&"词".as_bytes()[..2]), Kind::Begun(1));
        assert_eq!(kind(&"词".as_bytes()[1..]), Kind::Inside(2));
        assert_eq!(kind("a词".as_bytes().split_last().unwrap().1), Kind::Other);
        assert_eq!(kind(&"词a".as_bytes()[1..]), Kind::Other);
        assert_eq!(kind(&[0x80; 4]), Kind::Other);
        assert_eq!(kind(&[b'a', 0xFF]), Kind::Other);
        assert_eq!((Shape::of("词a元".as_bytes()).bytes, Shape::of("词a元".as_bytes()).characters), (7, 3));
    }

    #[test]
    fn scripts_of_tokens() {
        let writing = |bytes: &[u8]| Shape::of(bytes).writing;
        for (token, expected) in [
            (" the", Writing::Latin),
            ("，词元", Writing::Han),
            ("カタ", Writing::Other),
            ("，。\n", Writing::Neutral),
            ("e\u{301}", Writing::Latin),
            ("1,5٣", Writing::Digits),
            ("〇九", Writing::Han),
            ("a词", Writing::Mixed),
            ("第3", Writing::Mixed),
            ("v2", Writing::Mixed),
            ("漢カ", Writing::Mixed),
            ("词，a", Writing::Mixed),
        ] {
            assert_eq!(writing(token.as_bytes()), expected, "{token:?}");
        }
        // A surrogate, and an `A` in two bytes, are no characters.
        assert_eq!([&[0xED, 0xA0, 0x80][..], &[0xC1, 0x81]].map(writing), [Writing::Neutral; 2]);
        // However its bytes come together.
        let word = "词".as_bytes();
        for cut in 1..3 {
            assert_eq!(Shape::of(&word[..cut]).and(Shape::of(&word[cut..])), Shape::of(word));
        }
    }
}
