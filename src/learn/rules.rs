//! Which pairs may be merged, by what the token they make would be.

use super::config::LearnConfig;

/// What the rules need to know of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    bytes: u32,
    /// Bytes that begin a character, which is how many characters it has a part of, but for one that began before.
    characters: u32,
    kind: Kind,
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

impl Shape {
    /// The shape of a token.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let whole = Self { bytes: 0, characters: 0, kind: Kind::Whole };
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
        Self { bytes: 1, characters: u32::from(!matches!(byte, 0x80..=0xBF)), kind }
    }

    /// The shape of the token that two make.
    pub(super) fn and(self, right: Self) -> Self {
        let kind = match (self.kind, right.kind) {
            _ if self.bytes == 0 => right.kind,
            (Kind::Whole, Kind::Whole) => Kind::Whole,
            (Kind::Begun(missing), Kind::Inside(more)) if missing == more => Kind::Whole,
            (Kind::Begun(missing), Kind::Inside(more)) if missing > more => Kind::Begun(missing - more),
            // A character has three bytes behind its first one at the most.
            (Kind::Inside(some), Kind::Inside(more)) if some + more <= 3 => Kind::Inside(some + more),
            _ => Kind::Other,
        };
        let (bytes, characters) = (self.bytes.saturating_add(right.bytes), self.characters + right.characters);
        Self { bytes, characters, kind }
    }
}

/// The rules of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    boundaries: bool,
    max_bytes: u32,
    max_characters: u32,
    per_million: u64,
}

impl Rules {
    pub(super) fn of(config: &LearnConfig) -> Self {
        Self {
            boundaries: config.character_boundaries,
            max_bytes: config.max_token_bytes.unwrap_or(u32::MAX),
            max_characters: config.max_token_characters.unwrap_or(u32::MAX),
            per_million: config.min_saved_per_million.unwrap_or(0),
        }
    }

    /// Whether the token that two would make may be.
    pub(super) fn allow(&self, left: Shape, right: Shape) -> bool {
        let made = left.and(right);
        made.bytes <= self.max_bytes
            && made.characters <= self.max_characters
            && !(self.boundaries && made.kind == Kind::Other)
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
}
