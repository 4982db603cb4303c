//! The characters of the basic plane: the ids of each by itself, and its marks for [`Cuts`].

use super::cuts::{Cuts, NEVER_CUT, Side};
use super::merge::Merger;
use super::pairs::Pairs;
use crate::vocab::TokenId;

/// A character: up to three ids, and a word of its marks, the lowest two bits of which are the number of ids.
type Entry = [u32; 4];

/// All of the basic plane, and the safe cuts between them.
#[derive(Debug)]
pub(super) struct Characters {
    entries: Box<[Entry; 1 << 16]>,
    cuts: Cuts,
}

/// What stands for a character beyond the basic plane, and its code point here.
static BEYOND: Entry = [0, 0, 0, NEVER_CUT];
const BEYOND_CODE: u32 = u32::MAX;

/// Characters of a block.
pub(super) const CHARACTERS: usize = 64;

/// Some characters of a text.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) count: usize,
    pub(super) entries: [Entry; CHARACTERS],
    /// Where each begins, and where the last ends.
    pub(super) starts: [u32; CHARACTERS + 1],
    /// Bit k: characters k and k + 1 are not cut from each other.
    pub(super) joined: u64,
    /// Bit k: character k is beyond the basic plane, its entry says nothing.
    pub(super) beyond: u64,
}

impl Default for Block {
    fn default() -> Self {
        Self { count: 0, entries: [BEYOND; CHARACTERS], starts: [0; CHARACTERS + 1], joined: 0, beyond: 0 }
    }
}

impl Characters {
    /// The characters of a vocabulary, of which `spans` are the tokens that merges make.
    pub(super) fn new<'t>(spans: impl Iterator<Item = &'t [u8]>, pairs: &Pairs, byte_ids: &[TokenId; 256]) -> Self {
        let (cuts, marks) = Cuts::new(spans);
        let mut merger = Merger::default();
        let mut ids = Vec::new();
        let entries = (0..=0xFFFF).map(|code| {
            let Some(c) = char::from_u32(code) else { return BEYOND };
            ids.clear();
            merger.merge(pairs, byte_ids, c.encode_utf8(&mut [0; 3]).as_bytes(), &mut ids);
            let mut entry = [0, 0, 0, ids.len() as u32 | marks.get(&code).copied().unwrap_or(0)];
            entry[..ids.len()].copy_from_slice(&ids);
            entry
        });
        let entries: Vec<Entry> = entries.collect();
        Self { entries: entries.try_into().expect("one was made for each code point of 16 bits"), cuts }
    }

    #[inline(always)]
    fn entry(&self, code: u32) -> &Entry {
        match u16::try_from(code) {
            Ok(code) => &self.entries[usize::from(code)],
            Err(_) => &BEYOND,
        }
    }

    /// Reads characters of valid text from `start` to `end` into `block`, as many as it holds, and gives the place where
    /// it stopped. `pieces` are the ends of pre-tokens from `start` on, where text is cut in any case; the last is `end`.
    ///
    /// The text before the place where it stops is cut there, unless the block holds a single stretch that is not.
    pub(super) fn read(&self, text: &[u8], start: usize, end: usize, pieces: &[u32], block: &mut Block) -> usize {
        // Three loops, each of which needs few registers.
        let (mut at, mut count, mut piece) = (start, 0, 0);
        let (mut codes, mut is_start, mut beyond) = ([0; CHARACTERS], 0, 0);
        let text = &text[..end];
        while at < end && count < CHARACTERS {
            let (code, length) = decode(text, at);
            let of_piece = pieces[piece] as usize == at;
            piece += usize::from(of_piece);
            is_start |= u64::from(of_piece) << count;
            beyond |= u64::from(code == BEYOND_CODE) << count;
            (codes[count], block.starts[count]) = (code, at as u32);
            (at, count) = (at + length, count + 1);
        }
        for (entry, code) in block.entries[..count].iter_mut().zip(&codes) {
            *entry = *self.entry(*code);
        }
        let mut joined = 0;
        for (at, (entries, codes)) in block.entries[..count].windows(2).zip(codes.windows(2)).enumerate() {
            let side = |at: usize| Side { code: codes[at], marks: entries[at][3] };
            let both_ascii = (codes[0] | codes[1]) < 0x80;
            joined |= u64::from(self.cuts.spanned(side(0), side(1)) | both_ascii) << at;
        }
        joined &= !(is_start >> 1);
        if at < end {
            // The last stretch may go on: it is left to the next block.
            let last = joined << (CHARACTERS - (count - 1));
            let kept = count - 1 - last.leading_ones() as usize;
            if kept > 0 {
                count = kept;
                at = block.starts[kept] as usize;
            }
        }
        block.starts[count] = at as u32;
        (block.count, block.joined, block.beyond) = (count, joined & !(u64::MAX << (count - 1)), beyond);
        at
    }

    /// Where a stretch that is not cut, and whose last character begins at `last`, ends at the latest at `end`.
    pub(super) fn stretch_end(&self, text: &[u8], last: usize, end: usize) -> usize {
        let side = |code| Side { code, marks: self.entry(code)[3] };
        let (mut before, length) = decode(text, last);
        let mut at = last + length;
        while at < end {
            let (code, length) = decode(text, at);
            if (before | code) >= 0x80 && !self.cuts.spanned(side(before), side(code)) {
                break;
            }
            (before, at) = (code, at + length);
        }
        at
    }

    /// The last edge inside a text that no token spans, as far as it is known: none of two ASCII characters is.
    pub(super) fn last_cut(&self, text: &str) -> Option<usize> {
        let side = |c: char| Side { code: c as u32, marks: self.entry(c as u32)[3] };
        let mut characters = text.char_indices().rev();
        let (mut at, mut behind) = characters.next()?;
        for (start, before) in characters {
            let both_ascii = before.is_ascii() && behind.is_ascii();
            if !(both_ascii || self.cuts.spanned(side(before), side(behind))) {
                return Some(at);
            }
            (at, behind) = (start, before);
        }
        None
    }
}

/// The code point at `at` of valid text, or [`BEYOND_CODE`], and its length.
#[inline(always)]
fn decode(text: &[u8], at: usize) -> (u32, usize) {
    if let Some([first @ 0xE0..0xF0, second, third]) = text.get(at..at + 3) {
        let [first, second, third] = [first, second, third].map(|byte| u32::from(*byte));
        return ((first & 0x0F) << 12 | (second & 0x3F) << 6 | third & 0x3F, 3);
    }
    decode_other(text, at)
}

fn decode_other(text: &[u8], at: usize) -> (u32, usize) {
    let first = text[at];
    match first {
        0..0x80 => (u32::from(first), 1),
        0x80..0xE0 => ((u32::from(first) & 0x1F) << 6 | u32::from(text[at + 1] & 0x3F), 2),
        _ => (BEYOND_CODE, 4),
    }
}
