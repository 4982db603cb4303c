//! The characters of the basic plane: the ids of each by itself, and its marks for [`Cuts`].

use super::cuts::{Cuts, NEVER_CUT, Side};
use super::pairs::{NONE, Pairs};
use crate::vocab::{TokenId, numbers_of_bytes, numbers_to_bytes};

/// A character: up to three ids, and a word of its marks, the lowest two bits of which are the number of ids.
pub(super) type Entry = [u32; 4];

/// How many ids a character has.
#[inline(always)]
pub(super) fn count_of(entry: &Entry) -> usize {
    entry[3] as usize & 3
}

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
    /// The characters of a vocabulary, and [`Cuts::new`] of the tokens that its merges make.
    pub(super) fn new((cuts, marks): (Cuts, Vec<u32>), pairs: &Pairs, byte_ids: &[TokenId; 256]) -> Self {
        let entries = (0..=0xFFFF).map(|code| {
            let Some(c) = char::from_u32(code) else { return BEYOND };
            let (ids, count) = ids_of(pairs, byte_ids, c.encode_utf8(&mut [0; 3]).as_bytes());
            [ids[0], ids[1], ids[2], count | marks[code as usize]]
        });
        let entries: Vec<Entry> = entries.collect();
        Self { entries: entries.try_into().expect("one was made for each code point of 16 bits"), cuts }
    }

    /// The characters, and the set and the masks of the cuts.
    pub(super) fn to_tables(&self) -> [Vec<u8>; 3] {
        let [set, masks] = self.cuts.to_tables();
        [numbers_to_bytes(self.entries.as_flattened()), set, masks]
    }

    /// The characters of [`Characters::to_tables`], if their ids are below `id_end`.
    pub(super) fn of_tables([entries, set, masks]: [&[u8]; 3], id_end: TokenId) -> Option<Self> {
        let numbers = numbers_of_bytes(entries)?;
        let (entries, rest) = numbers.as_chunks::<4>();
        let known = entries.iter().all(|entry| entry[..3].iter().all(|id| *id < id_end));
        // No character but those of no text is without ids.
        let said = (0..=0xFFFF).zip(entries).all(|(code, entry)| char::from_u32(code).is_none() || entry[3] & 3 > 0);
        let entries: Box<[Entry; 1 << 16]> = entries.to_vec().try_into().ok()?;
        (known && said && rest.is_empty()).then_some(Self { entries, cuts: Cuts::of_tables(set, masks)? })
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

/// The ids of one to three bytes, and how many they are.
fn ids_of(pairs: &Pairs, byte_ids: &[TokenId; 256], bytes: &[u8]) -> ([TokenId; 3], u32) {
    let id = |at: usize| bytes.get(at).map_or(0, |byte| byte_ids[usize::from(*byte)]);
    let rank = |at: usize| if at + 1 < bytes.len() { pairs.byte_rank(bytes[at], bytes[at + 1]) } else { NONE };
    let merged = |rank: u32| pairs.result(rank);
    let [first, second] = [rank(0), rank(1)];
    // The lowest rank is merged first, the left pair of equal ones; then the result with the byte that is left.
    if first == NONE && second == NONE {
        ([id(0), id(1), id(2)], bytes.len() as u32)
    } else if bytes.len() == 2 {
        ([merged(first), 0, 0], 1)
    } else if first <= second {
        match pairs.rank(merged(first), id(2)) {
            NONE => ([merged(first), id(2), 0], 2),
            rank => ([merged(rank), 0, 0], 1),
        }
    } else {
        match pairs.rank(id(0), merged(second)) {
            NONE => ([id(0), merged(second), 0], 2),
            rank => ([merged(rank), 0, 0], 1),
        }
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

#[cfg(test)]
mod tests {
    use super::super::merge::Merger;
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;

    /// All characters, and all pairs of two bytes, with merges of bytes, of a byte and a pair, of equal bytes.
    #[test]
    fn ids_of_few_bytes_are_those_of_merging() {
        let spec = TokenizerSpec::from_learned(String::from("."), HanEdges::None, &[], &[]).unwrap();
        let id = |byte: u8| spec.vocab().id(&[byte]).unwrap();
        let (lead, middle, end) = (id(0xE8), id(0xAF), id(0x8D));
        for merges in [
            vec![(lead, middle), (middle, end), (256, end)],
            vec![(middle, end), (lead, middle), (lead, 256)],
            vec![(middle, middle), (256, middle), (lead, 256), (id(0xC3), id(0xA9)), (lead, id(0x80))],
        ] {
            let spec = TokenizerSpec::from_learned(String::from("."), HanEdges::None, &merges, &[]).unwrap();
            let byte_ids = spec.vocab().byte_ids().unwrap();
            let pairs = Pairs::new(spec.merges(), &byte_ids);
            for c in '\0'..='\u{FFFF}' {
                let (mut merged, mut buffer) = (Vec::new(), [0; 3]);
                let bytes = c.encode_utf8(&mut buffer).as_bytes();
                Merger::default().merge(&pairs, &byte_ids, bytes, &mut merged);
                let (ids, count) = ids_of(&pairs, &byte_ids, bytes);
                assert_eq!(ids[..count as usize], merged, "{c:?} {merges:?}");
            }
        }
    }
}
