//! The scanner of the named patterns: spans without a regex engine.
//!
//! [`scan`] takes 64 bytes at once and finds all their spans by bit operations (`blocks.rs`); a span that reaches
//! anything that takes a closer look is found by [`next_end`], character by character. Both give what the regex of the
//! pattern matches at that place; the arguments stand at the functions. A character is looked at a few times at most:
//! a run of letters, or of white space, is followed to its end before it is known where it is cut, and what is behind
//! the cut is followed again, but is not cut by the same rule then.

use super::blocks::push_ends;
use super::classes::{Class, HAN_LETTER, IDEOGRAPH, LOWER, NEWLINE, Set, UPPER, class_at};
use super::lanes::{Lanes, RUN};
use super::rules::{Behind, Contractions, Rules};

/// Pushes the end of each span of `text`.
#[inline(always)]
pub(super) fn scan<R: Rules, L: Lanes>(lanes: L, text: &str, ends: &mut Vec<u32>) {
    let text = text.as_bytes();
    let mut at = 0;
    while at < text.len() {
        // Blocks know ASCII and much of U+2000 to U+9FFF and U+F000 to U+FFFF.
        if matches!(text[at], ..0x80 | 0xE2..=0xE9 | 0xEF)
            && let Some(block) = text[at..].first_chunk()
        {
            let found = push_ends::<R>(&lanes.masks(block), at, ends);
            at += found.covered;
            if found.covered > 0 && !found.doubt {
                continue;
            }
        }
        at = next_end::<R, L>(lanes, text, at);
        ends.push(at as u32);
    }
}

/// The end of the span that starts at `at`: the alternatives of the pattern in their order.
#[inline(always)]
fn next_end<R: Rules, L: Lanes>(lanes: L, text: &[u8], at: usize) -> usize {
    let (class, length) = class_at(text, at);
    let behind = at + length;
    if R::APART.has(class) {
        if R::APART_LETTERS.has(class) {
            return run(lanes, text, at, R::APART_LETTERS);
        }
        if R::APART_PUNCTUATION.has(class) {
            return run(lanes, text, at, R::APART_PUNCTUATION);
        }
        let unmatched = R::APART.without(R::APART_LETTERS).without(R::APART_PUNCTUATION);
        return led_or_unmatched(lanes, text, behind, unmatched, R::APART_LETTERS);
    }
    if R::APOSTROPHE_STARTS
        && text[at] == b'\''
        && let Some(end) = contraction(text, at, R::CONTRACTIONS == Contractions::Apart)
    {
        return end;
    }
    // A mark that may lead letters and is one too leads none: the run from it on is cut at the same place, see `cased`.
    if R::LETTERS.has(class) {
        return letters::<R, L>(lanes, text, at);
    }
    let space = text[at] == b' ';
    let (second, _) = class_at(text, behind);
    let leads = R::LEAD.map_or(space, |lead| lead.has(class));
    if leads && R::LETTERS.has(second) {
        return letters::<R, L>(lanes, text, behind);
    }
    if R::MARK_BEFORE_ASCII && text[at].is_ascii_punctuation() {
        let end = bytes(text, behind, |byte| byte.is_ascii_alphabetic());
        if end > behind {
            return end;
        }
    }
    if Set::NUMBERS.has(class) {
        return digits(text, at, R::DIGITS);
    }
    if R::SPACE_BEFORE_DIGITS && space && Set::NUMBERS.has(second) {
        return digits(text, behind, R::DIGITS);
    }
    if R::PUNCTUATION.has(class) || space && R::PUNCTUATION.has(second) {
        let end = run(lanes, text, behind, R::PUNCTUATION);
        return match R::BEHIND {
            Behind::Nothing => end,
            Behind::Newlines => bytes(text, end, |byte| matches!(byte, b'\r' | b'\n')),
            Behind::NewlinesAndSlashes => bytes(text, end, |byte| matches!(byte, b'\r' | b'\n' | b'/')),
        };
    }
    if R::UNMATCHED.has(class) {
        return led_or_unmatched(lanes, text, behind, R::UNMATCHED, R::LETTERS);
    }
    white_space::<R>(text, at)
}

/// The end of what starts with a character that may lead letters and that nothing else matches, and which ends at `at`:
/// of the letters, or of a run of such characters, the last of which may lead letters in its turn.
#[inline(always)]
fn led_or_unmatched<L: Lanes>(lanes: L, text: &[u8], mut at: usize, unmatched: Set, letters: Set) -> usize {
    if letters.has(class_at(text, at).0) {
        return run(lanes, text, at, letters);
    }
    loop {
        let (class, length) = class_at(text, at);
        if !unmatched.has(class) || letters.has(class_at(text, at + length).0) {
            return at;
        }
        at += length;
    }
}

/// The end of the run of characters of `set` from `at` on.
#[inline(always)]
fn run<L: Lanes>(lanes: L, text: &[u8], mut at: usize, set: Set) -> usize {
    loop {
        if set.has(IDEOGRAPH) && set.has(HAN_LETTER) && matches!(text.get(at), Some(0xE4..=0xE9)) {
            at = ideographs(lanes, text, at);
        }
        let (class, length) = class_at(text, at);
        if !set.has(class) {
            return at;
        }
        at += length;
    }
}

/// The end of the run of ideographs U+4E00 to U+9FFF from `at` on, or a place inside it near the end of the text.
#[inline(always)]
fn ideographs<L: Lanes>(lanes: L, text: &[u8], mut at: usize) -> usize {
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let length = lanes.ideographs(block);
        at += length;
        if length < RUN {
            break;
        }
    }
    at
}

/// The end of the bytes from `at` on that are `wanted`.
#[inline(always)]
fn bytes(text: &[u8], at: usize, wanted: impl Fn(u8) -> bool) -> usize {
    at + text[at..].iter().take_while(|byte| wanted(**byte)).count()
}

/// The end of a run of at most `most` digits from `at` on.
#[inline(always)]
fn digits(text: &[u8], mut at: usize, most: usize) -> usize {
    for _ in 0..most {
        let (class, length) = class_at(text, at);
        if !Set::NUMBERS.has(class) {
            break;
        }
        at += length;
    }
    at
}

/// The end of the letters from `at` on, where one is.
#[inline(always)]
fn letters<R: Rules, L: Lanes>(lanes: L, text: &[u8], at: usize) -> usize {
    if !R::CASED {
        return run(lanes, text, at, R::LETTERS);
    }
    let end = cased::<R, L>(lanes, text, at);
    if R::APOSTROPHE_FOLLOWS { contraction(text, end, true).unwrap_or(end) } else { end }
}

/// The end of the match of `X*Y+|X+Y*` at `at`, where a letter is.
///
/// X and Y share the letters without case and the marks. `X*` takes all it can; if lower case follows, `Y+` goes on
/// from there. If not, `X*` gives back until `Y+` matches, which is at the last shared character, and `Y+` takes that
/// one alone, because X but not Y follows it. Without a shared character the second alternative takes the run of X.
///
/// A shared character may be a mark that could also have led the letters. The match is the same then: behind it the
/// rest of the run is either empty of Y, and the mark is the last shared character, or ends where the run ends.
#[inline(always)]
fn cased<R: Rules, L: Lanes>(lanes: L, text: &[u8], at: usize) -> usize {
    let shared = R::LETTERS.without(Set::of(&[UPPER, LOWER]));
    let mut end = at;
    let mut behind_shared = None;
    let class: Class = loop {
        // Letters without case are shared, ideographs among them.
        let after = run(lanes, text, end, shared);
        if after > end {
            (end, behind_shared) = (after, Some(after));
        }
        let (class, length) = class_at(text, end);
        if class != UPPER {
            break class;
        }
        end += length;
    };
    if class == LOWER {
        return run(lanes, text, end, R::LETTERS.without(Set::of(&[UPPER])));
    }
    behind_shared.unwrap_or(end)
}

/// The end of the contraction at `at`, if one is there.
#[inline(always)]
fn contraction(text: &[u8], at: usize, any_case: bool) -> Option<usize> {
    let folded = |byte: u8| if any_case { byte.to_ascii_lowercase() } else { byte };
    let [apostrophe, rest @ ..] = text.get(at..)? else { return None };
    if *apostrophe != b'\'' {
        return None;
    }
    let first = folded(*rest.first()?);
    let second = rest.get(1).copied();
    match (first, second.map(folded)) {
        (b's' | b't' | b'm' | b'd', _) => Some(at + 2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(at + 3),
        // U+017F is an s to a regex that takes any case.
        (0xC5, _) if any_case && second == Some(0xBF) => Some(at + 3),
        _ => None,
    }
}

/// The end of the white space at `at`: `\s+$` where the pattern has it, `\s*[\r\n]+`, then `\s+(?!\S)|\s+`, which
/// gives the last character of the run back where text follows, unless it is the only one.
#[inline(always)]
fn white_space<R: Rules>(text: &[u8], at: usize) -> usize {
    let (mut end, mut last, mut behind_newline) = (at, at, None);
    let next = loop {
        let (class, length) = class_at(text, end);
        if !Set::WHITE_SPACE.has(class) {
            break class;
        }
        (last, end) = (end, end + length);
        if class == NEWLINE {
            behind_newline = Some(end);
        }
    };
    debug_assert!(end > at, "the alternatives leave nothing but white space");
    let at_end = end == text.len();
    match behind_newline {
        Some(newline) if R::NEWLINES && !(R::WHOLE_AT_END && at_end) => newline,
        _ if at_end || last == at || R::END_WHITE_SPACE.has(next) => end,
        _ => last,
    }
}
