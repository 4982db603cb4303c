//! Spans of ASCII text, peeled off a block of 64 bytes by bit operations.
//!
//! A block becomes one mask a class, bit i for byte i. The first span is found by shifting the masks to its start and
//! counting ones, and so on to the end of the block. Nothing is carried from block to block: a span that is not sure
//! to end inside this one, because it reaches its end, or because a byte beyond ASCII, which could belong to it,
//! stands behind it, is left to the scanner that goes character by character. So the rules here are those of
//! `scanner.rs`, for ASCII, and can be checked against them one by one.

use super::classes::{NUMBER, OTHER};
use super::rules::{Behind, Rules};

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// The classes of a block's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) letter: u64,
    pub(super) upper: u64,
    pub(super) digit: u64,
    /// The space, U+0020.
    pub(super) space: u64,
    /// All white space: the space and U+0009 to U+000D.
    pub(super) white: u64,
    /// CR and LF.
    pub(super) newline: u64,
    pub(super) apostrophe: u64,
    pub(super) slash: u64,
    /// U+0000 to U+001F without white space, and U+007F.
    pub(super) control: u64,
    /// Bytes beyond ASCII.
    pub(super) high: u64,
}

/// Ones from bit 0 on.
#[inline(always)]
fn ones(mask: u64) -> u32 {
    mask.trailing_ones()
}

/// Pushes the ends of spans from the start of the block on, which stands at `base` of the text; gives the number of
/// bytes that they cover.
#[inline(always)]
pub(super) fn peel<R: Rules>(masks: &Masks, base: usize, ends: &mut Vec<u32>) -> usize {
    let no_word = masks.digit | masks.white | masks.high;
    let marks = !(masks.letter | no_word);
    // Controls are punctuation to most patterns, whose punctuation is what is nothing else.
    let punctuation = if R::PUNCTUATION.has(OTHER) { marks } else { marks & !masks.control };
    let apostrophe = if R::APOSTROPHE_STARTS { masks.apostrophe } else { 0 };
    let lead = match R::LEAD {
        // Marks of ASCII lead letters here too, by one rule or the other.
        Some(_) => !(masks.letter | masks.digit | masks.newline | apostrophe),
        None => masks.space,
    };
    let behind = match R::BEHIND {
        Behind::Nothing => 0,
        Behind::Newlines => masks.newline,
        Behind::NewlinesAndSlashes => masks.newline | masks.slash,
    };
    // Where a span cannot end for sure: letters go on in a contraction.
    let after_letters = if R::APOSTROPHE_FOLLOWS { masks.apostrophe } else { 0 };

    let mut at = 0u32;
    while at < 64 {
        let letter = masks.letter >> at;
        let led = u32::from(letter & 1 == 0);
        let letters = ones(letter >> led);
        let mut stop = masks.high;
        let length;
        if letters > 0 && (led == 0 || lead >> at & 1 == 1) {
            length = led + if R::CASED { cased(masks, at + led, letters) } else { letters };
            stop |= after_letters;
        } else if masks.digit >> at & 1 == 1 {
            length = digits(masks, at, R::DIGITS);
        } else {
            let space = (masks.space >> at & 1) as u32;
            let marks = ones(punctuation >> at >> space);
            if marks > 0 {
                if apostrophe >> at & 1 == 1 {
                    break;
                }
                let end = at + space + marks;
                if end >= 64 {
                    break;
                }
                length = space + marks + ones(behind >> end);
            } else if R::SPACE_BEFORE_DIGITS && space == 1 && masks.digit >> at & 2 == 2 {
                length = 1 + digits(masks, at + 1, R::DIGITS);
            } else {
                length = white_space::<R>(masks, at);
            }
        }
        let end = at + length;
        if length == 0 || end >= 64 || stop >> end & 1 == 1 {
            break;
        }
        at = end;
        ends.push((base + at as usize) as u32);
    }
    at as usize
}

/// Letters from `at` on, of a run of `letters`: upper case, then lower case. ASCII has no letters without case.
#[inline(always)]
fn cased(masks: &Masks, at: u32, letters: u32) -> u32 {
    let upper = ones(masks.upper >> at);
    // Behind upper case lower case is taken to the next upper case, or to the end of the run.
    let rest = masks.upper >> at >> (upper & 63);
    let lower = rest.trailing_zeros().min(letters - upper);
    upper + lower
}

/// Digits from `at` on, at most `most`.
#[inline(always)]
fn digits(masks: &Masks, at: u32, most: usize) -> u32 {
    let digits = ones(masks.digit >> at);
    if most < 64 { digits.min(most as u32) } else { digits }
}

/// White space at `at`; 0 where none is, or where it is not seen what follows it.
#[inline(always)]
fn white_space<R: Rules>(masks: &Masks, at: u32) -> u32 {
    let white = ones(masks.white >> at);
    let end = at + white;
    if white == 0 || end >= 64 || masks.high >> end & 1 == 1 {
        return 0;
    }
    let newlines = (masks.newline >> at) & ((1 << white) - 1);
    if R::NEWLINES && newlines != 0 {
        return 64 - newlines.leading_zeros();
    }
    if R::END_WHITE_SPACE.has(NUMBER) && masks.digit >> end & 1 == 1 {
        return white;
    }
    // The last one leads what follows; a single one stays.
    (white - 1).max(1)
}
