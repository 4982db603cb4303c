//! Edges of spans that two neighbouring characters tell, whatever stands before and behind them.
//!
//! Why a place between a and b is one, for each alternative of each named pattern (`rules.rs`):
//!
//! * A span holds characters of white space and others together only as a lead, its first character, with letters,
//!   digits or punctuation behind it, or as newlines (in o200k also slashes among them) behind punctuation.
//! * So a blank, white space but no newline, starts a span behind whatever is no white space, and was all that had to be
//!   seen.
//! * Letters (no marks, which some patterns count as punctuation), digits and punctuation never share a run, and a lead
//!   is no letter and no digit. So there is an edge where letters or digits end, and before digits; but an apostrophe
//!   behind letters may begin a contraction. Again the one character b told so: nothing further is looked at.
//! * A newline leads nothing. Where no white space follows it, and no slash, there is an edge.
//! * A pattern that takes Han apart has an edge between an ideograph and what it does not take apart, on both sides: its
//!   ideographs are in no other of its sets, and lead nothing.

use super::classes::{Class, HAN_LETTER, IDEOGRAPH, NEWLINE, NUMBER, PUNCTUATION, SPACE, SYMBOL, Set, class_of};
use super::named::NamedScanner;

const NUMBERS: Set = Set::of(&[NUMBER]);
pub(super) const MARKS: Set = Set::of(&[PUNCTUATION, SYMBOL]);

/// The edges of a pattern: what it takes apart before all else, and the ideographs among it that are in no other of its
/// sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edges {
    apart: Set,
    ideographs: Set,
}

impl Edges {
    /// Those of a scanner of more than single characters.
    pub(super) const fn of(scanner: NamedScanner) -> Self {
        let (apart, ideographs) = match scanner {
            NamedScanner::Ciyuan => (Set::HAN, Set::of(&[IDEOGRAPH, HAN_LETTER])),
            NamedScanner::DeepSeekV3 => (Set::IDEOGRAPHS_AND_KANA, Set::of(&[IDEOGRAPH])),
            _ => (Set::NONE, Set::NONE),
        };
        Self { apart, ideographs }
    }

    /// Whether two characters tell that there is an edge between them.
    pub(super) fn between(self, a: char, b: char) -> bool {
        let (of_a, of_b): (Class, Class) = (class_of(a as u32), class_of(b as u32));
        let behind_letter = NUMBERS.has(of_b) || of_b == NEWLINE || MARKS.has(of_b) && b != '\'';
        let behind_number = Set::LETTERS.has(of_b) || of_b == NEWLINE || MARKS.has(of_b);
        of_b == SPACE && !Set::WHITE_SPACE.has(of_a)
            || Set::LETTERS.has(of_a) && behind_letter
            || NUMBERS.has(of_a) && behind_number
            || MARKS.has(of_a) && NUMBERS.has(of_b)
            || of_a == NEWLINE && !Set::WHITE_SPACE.has(of_b) && b != '/'
            || self.ideographs.has(of_a) && !self.apart.has(of_b)
            || self.ideographs.has(of_b) && !self.apart.has(of_a)
    }
}
