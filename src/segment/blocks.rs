//! The edges of all spans in a block of 64 bytes at once, by bit operations.
//!
//! A block starts where a span starts. It becomes one mask a class, bit i for byte i, and the rules of a pattern become
//! operations on whole masks: a run of letters starts where a letter stands behind what is none, and so on. Nothing is
//! carried from block to block: the span that is still open at the end of the block, or before the first byte of which
//! the masks know too little, starts the next block, or is left to the scanner that goes character by character.
//! Known are ASCII, the ideographs U+4E00 to U+9FFF, and the commonest Chinese punctuation; what is in doubt besides is
//! named at [`doubts`]. The rules are those of `scanner.rs`, which says why they are those of the pattern.
//!
//! Tried before: peeling one span after the other off the masks, with a branch for each kind of span; the branches are
//! foretold badly, and it took two to three times the time. Room for all ends of a block made first and then filled, in
//! place of a push for each: no gain.

use super::classes::{HAN_LETTER, IDEOGRAPH, NUMBER, OTHER, PUNCTUATION, Set};
use super::rules::{Behind, Rules};

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// A block and the two bytes behind it, which tell what a character of three bytes is whose first byte is the last of
/// the block.
pub(super) type Block = [u8; BLOCK + 2];

/// The classes of a block's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Masks {
    /// Letters of ASCII, and of them upper case.
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
    /// Of these the first bytes of ideographs, U+4E00 to U+9FFF.
    pub(super) ideograph: u64,
    /// Of these U+9F80 to U+9FFF, some of which are later than Unicode 1.1 and in no set `[一-龥]`.
    pub(super) late: u64,
    /// And the first bytes of characters of [`WIDE_PUNCTUATION`].
    pub(super) punctuation: u64,
}

/// Ranges of common punctuation of three bytes: first, second, and range of third bytes. All of class
/// [`PUNCTUATION`] or a symbol, which no pattern tells apart from it.
pub(super) const WIDE_PUNCTUATION: [(u8, u8, u8, u8); 5] = [
    (0xE2, 0x80, 0x90, 0xA7), // ‐ to ‧: dashes, quotes, …
    (0xE3, 0x80, 0x81, 0x83), // 、。〃
    (0xE3, 0x80, 0x88, 0x91), // 〈 to 】
    (0xEF, 0xBC, 0x81, 0x8F), // ！ to ／
    (0xEF, 0xBC, 0x9A, 0xA0), // ： to ＠
];

/// What was found in a block.
pub(super) struct Found {
    /// The bytes of the spans whose ends were pushed; another span starts behind them.
    pub(super) covered: usize,
    /// Whether that one reaches what the masks do not tell enough of.
    pub(super) doubt: bool,
}

/// Pushes the ends of spans of the block that stands at `base` of the text.
#[inline(always)]
pub(super) fn push_ends<R: Rules>(masks: &Masks, base: usize, ends: &mut Vec<u32>) -> Found {
    let ideographs = whole(masks.ideograph);
    let doubts = doubts::<R>(masks, ideographs);
    // All before the first doubt is known.
    let known = (doubts & doubts.wrapping_neg()).wrapping_sub(1);
    let mut starts = starts::<R>(masks, ideographs, known) & !1;
    let covered = starts.checked_ilog2().unwrap_or(0) as usize;
    while starts != 0 {
        ends.push((base + starts.trailing_zeros() as usize) as u32);
        starts &= starts - 1;
    }
    Found { covered, doubt: doubts != 0 }
}

/// The bytes of characters of three bytes, by their first ones.
#[inline(always)]
fn whole(first: u64) -> u64 {
    first | first << 1 | first << 2
}

/// The first bytes of runs. The byte before the block is in none: a span starts here.
#[inline(always)]
fn run_starts(mask: u64) -> u64 {
    mask & !(mask << 1)
}

/// Where spans start, as far as that is sure.
#[inline(always)]
fn starts<R: Rules>(masks: &Masks, ideographs: u64, known: u64) -> u64 {
    let apart = if R::APART.has(IDEOGRAPH) { ideographs } else { 0 };
    let letters = masks.letter | (ideographs & !apart);
    let marks = !(masks.letter | masks.digit | masks.white | masks.high);
    let marks = marks | whole(masks.punctuation);
    let (space, white, newline) = (masks.space, masks.white, masks.newline);

    // Punctuation takes newlines along. A carry runs through each run of them from its start on; where a run has two
    // starts, which slashes among the newlines make, the later one is left standing by the sum.
    let taken = match R::BEHIND {
        Behind::Nothing => 0,
        Behind::Newlines => taken_along(marks, newline, newline),
        Behind::NewlinesAndSlashes => taken_along(marks, newline, newline | masks.slash),
    };
    let marks = marks & !taken;
    let white = white & !taken;

    let letter_starts = run_starts(letters);
    let mark_starts = run_starts(marks);

    // One character leads letters: white space always, as what precedes it gives it back; punctuation when it stands
    // alone, and no space leads it.
    let blank = white & !newline;
    let blank_lead = if R::LEAD.is_some() { blank } else { space };
    let alone = mark_starts & !(space << 1);
    let lead = if R::MARK_BEFORE_ASCII || lead_has::<R>(PUNCTUATION) { alone & (letter_starts >> 1) } else { 0 };
    let wide = if lead_has::<R>(PUNCTUATION) { alone & masks.punctuation & (letter_starts >> 3) } else { 0 };
    let led = blank_lead << 1 | lead << 1 | wide << 3;

    let mut starts = letter_starts & !led | mark_starts & !(space << 1) | run_starts(apart);
    if R::CASED {
        starts |= masks.upper & (masks.letter & !masks.upper) << 1;
    }
    starts |= digit_starts::<R>(masks.digit, space);
    starts |= white_starts::<R>(white, newline, masks.digit | apart);

    // White space that is open at the end of what is known is cut nowhere for sure but before it.
    let open = known & white;
    let open = open & !(known & !white).checked_ilog2().map_or(0, |last| u64::MAX >> (63 - last));
    starts & known & (!open | run_starts(white))
}

/// Whether one of these may lead letters.
#[inline(always)]
fn lead_has<R: Rules>(class: u8) -> bool {
    R::LEAD.is_some_and(|lead| lead.has(class))
}

/// The bytes of `kind` that follow a run of `marks` at a newline, to the end of their run.
#[inline(always)]
fn taken_along(marks: u64, newline: u64, kind: u64) -> u64 {
    let first = newline & marks << 1;
    kind & (!kind.wrapping_add(first) | first)
}

/// What the masks do not tell enough of: characters that they have no class for, apostrophes of what may be a
/// contraction, white space between newlines, and upper case behind an ideograph where case parts words.
#[inline(always)]
fn doubts<R: Rules>(masks: &Masks, ideographs: u64) -> u64 {
    let mut doubt = masks.high & !(ideographs | whole(masks.punctuation));
    if !R::PUNCTUATION.has(OTHER) {
        doubt |= masks.control;
    }
    if R::APART.has(IDEOGRAPH) && !R::APART.has(HAN_LETTER) {
        doubt |= masks.late;
    }
    let beyond = 1 << 63;
    let before_letter = (masks.letter | masks.high) >> 1 | beyond;
    if R::APOSTROPHE_STARTS {
        doubt |= masks.apostrophe & before_letter;
    }
    if R::APOSTROPHE_FOLLOWS {
        doubt |= masks.apostrophe & before_letter & (masks.letter | ideographs) << 1;
    }
    if R::CASED && R::LETTERS.has(IDEOGRAPH) {
        doubt |= masks.upper & ideographs << 1;
    }
    if R::NEWLINES {
        // A carry from the newline before it runs through the blanks to what follows them.
        let blank = masks.white & !masks.newline;
        let behind = blank & masks.newline << 1;
        doubt |= blank.wrapping_add(behind) & !blank & masks.newline;
    }
    doubt
}

/// Starts of digits: each `R::DIGITS` of a run.
#[inline(always)]
fn digit_starts<R: Rules>(digit: u64, space: u64) -> u64 {
    if R::DIGITS == 1 {
        return digit;
    }
    let first = run_starts(digit);
    if R::DIGITS == usize::MAX {
        return if R::SPACE_BEFORE_DIGITS { first & !(space << 1) } else { first };
    }
    debug_assert_eq!(R::DIGITS, 3);
    let (mut starts, mut next) = (first, first);
    let fourth = digit & digit << 1 & digit << 2;
    loop {
        next = next << 3 & fourth;
        if next == 0 {
            return starts;
        }
        starts |= next;
    }
}

/// Starts in white space: of each run, of what stands behind its last newline, and of its last character, which is
/// given back. Blanks between newlines are in doubt, and never come here.
#[inline(always)]
fn white_starts<R: Rules>(white: u64, newline: u64, ending: u64) -> u64 {
    let mut last = white & !(white >> 1);
    if R::END_WHITE_SPACE != Set::NONE {
        debug_assert!(R::END_WHITE_SPACE.has(NUMBER) && R::END_WHITE_SPACE.has(IDEOGRAPH));
        last &= !(ending >> 1);
    }
    if !R::NEWLINES {
        return run_starts(white) | last;
    }
    let blank = white & !newline;
    run_starts(white) | blank & newline << 1 | last & !newline
}
