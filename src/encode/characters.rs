//! The characters of the basic plane: the ids of each by itself, and its marks for [`Cuts`].
//!
//! # Why merges may start from characters
//!
//! A piece that is not cut is merged from its bytes; its characters have a third as many tokens. The ids are the same if
//!
//! * no token that spans an edge of two characters of the piece ends or begins inside one of them
//!   ([`Characters::merge_whole`]), and
//! * merges stand behind those that make what they join ([`Pairs::are_in_order`]), as learned ones do.
//!
//! 1. By the second condition each merge makes pairs of higher ranks only, so merges are done in the order of their ranks.
//! 2. By the first, a merge joins two parts of one character, or two strings of whole characters: a string that began or
//!    ended inside a character would be, or become part of, a token over an edge that does. So what is done inside a
//!    character is what is done in it when it stands alone, up to its ids by itself.
//! 3. A merge over an edge stands behind all merges that make the characters beside the edge, as each of them makes what is
//!    joined then. When its rank comes, these characters are whole, whether merging began with bytes or with characters; so
//!    the same pairs of that rank stand there, and the leftmost is the same.
//! 4. A character that has several ids by itself is joined to none: it is in no string of whole characters.

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

/// What stands for a character beyond the basic plane. Its code point here is a surrogate's, which no text has.
static BEYOND: Entry = [0, 0, 0, NEVER_CUT];
pub(super) const BEYOND_CODE: u32 = 0xD800;

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
        let mut entries: Box<[Entry; 1 << 16]> = entries.to_vec().try_into().ok()?;
        entries[BEYOND_CODE as usize] = BEYOND;
        (known && said && rest.is_empty()).then_some(Self { entries, cuts: Cuts::of_tables(set, masks)? })
    }

    #[inline(always)]
    pub(super) fn entry(&self, code: u32) -> &Entry {
        match u16::try_from(code) {
            Ok(code) => &self.entries[usize::from(code)],
            Err(_) => &BEYOND,
        }
    }

    /// The entry of a code point of 16 bits.
    #[inline(always)]
    pub(super) fn entry_of_block(&self, code: u32) -> &Entry {
        &self.entries[(code & 0xFFFF) as usize]
    }

    pub(super) fn cuts(&self) -> &Cuts {
        &self.cuts
    }

    /// Whether some token may span the edge of two characters, of which not both are ASCII.
    #[inline(always)]
    pub(super) fn spanned(&self, before: u32, behind: u32) -> bool {
        let side = |code| Side { code, marks: self.entry(code)[3] };
        self.cuts.spanned(side(before), side(behind))
    }

    /// The same for a token that holds all of both, and for one that begins or ends inside one of them.
    #[inline(always)]
    pub(super) fn spanned_by(&self, before: u32, behind: u32) -> (bool, bool) {
        let side = |code| Side { code, marks: self.entry(code)[3] };
        self.cuts.spanned_by(side(before), side(behind))
    }

    /// Whether merges of these characters may start from the ids that each has by itself: see the head of this file.
    pub(super) fn merge_whole(&self, codes: &[u32]) -> bool {
        // Of a character beyond the basic plane nothing is known.
        let known = codes.iter().all(|code| count_of(self.entry(*code)) > 0);
        known && codes.windows(2).all(|codes| !self.spanned_by(codes[0], codes[1]).1)
    }

    /// The ids of characters, each by itself.
    pub(super) fn ids<'c>(&'c self, codes: &'c [u32]) -> impl Iterator<Item = &'c [TokenId]> + Clone {
        codes.iter().map(|code| {
            let entry = self.entry(*code);
            &entry[..count_of(entry)]
        })
    }

    /// Where a stretch that is not cut, and whose last character begins at `last`, ends at the latest at `end`.
    pub(super) fn stretch_end(&self, text: &[u8], last: usize, end: usize) -> usize {
        let (mut before, length) = decode(text, last);
        let mut at = last + length;
        while at < end {
            let (code, length) = decode(text, at);
            if (before | code) >= 0x80 && !self.spanned(before, code) {
                break;
            }
            (before, at) = (code, at + length);
        }
        at
    }

    /// The last edge inside a text that no token spans, as far as it is known: none of two ASCII characters is.
    pub(super) fn last_cut(&self, text: &str) -> Option<usize> {
        let mut characters = text.char_indices().rev();
        let (mut at, mut behind) = characters.next()?;
        for (start, before) in characters {
            let both_ascii = before.is_ascii() && behind.is_ascii();
            if !(both_ascii || self.spanned(before as u32, behind as u32)) {
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
pub(super) fn decode(text: &[u8], at: usize) -> (u32, usize) {
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
    use super::super::Tokenizer;
    use super::super::merge::Merger;
    use super::super::testing::learned;
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::{Merge, Merges, TokenizerSpec, Vocab};

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

    fn merged(tokenizer: &Tokenizer, text: &str) -> (bool, [Vec<TokenId>; 2]) {
        let codes: Vec<u32> = text.chars().map(u32::from).collect();
        let (mut merger, mut ids) = (Merger::default(), [Vec::new(), Vec::new()]);
        tokenizer.merge(&mut merger, text.as_bytes(), &mut ids[0]);
        let characters = tokenizer.characters();
        merger.merge_characters(tokenizer.pairs(), characters.ids(&codes), &mut ids[1]);
        (characters.merge_whole(&codes), ids)
    }

    #[test]
    fn merges_from_characters_are_those_from_bytes() {
        let text = include_str!("../../corpora/zh/bicycle-repair.txt");
        let (mut whole, mut others) = (0, 0);
        for merges in [300, 1200] {
            let tokenizer = learned(r"regex:\S+|\s+", text, merges);
            assert!(Pairs::are_in_order(tokenizer.spec().merges()));
            let edges: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            for length in [2, 3, 5, 11, 40] {
                for edges in edges.windows(length + 1) {
                    let (is_whole, [from_bytes, from_characters]) = merged(&tokenizer, &text[edges[0]..edges[length]]);
                    if is_whole {
                        assert_eq!(from_bytes, from_characters);
                    }
                    (whole, others) = (whole + u32::from(is_whole), others + u32::from(!is_whole));
                }
            }
        }
        assert!(whole > 3000 && others > 3000, "{whole} {others}");
    }

    /// The merge of 词 and 元 stands before what makes 词: from bytes 元 is joined to 国 before 词 is there.
    #[test]
    fn merges_out_of_order_start_from_bytes() {
        let tokens = ["词", "元", "国"].map(str::as_bytes);
        let parts = tokens.iter().flat_map(|token| [token[..2].to_vec(), token.to_vec()]);
        let both = ["词元", "元国"].map(|token| token.as_bytes().to_vec());
        let tokens =
            (0..=255u8).map(|byte| vec![byte]).chain(parts).chain(both).zip(0..).map(|(token, id)| (id, token));
        let vocab = Vocab::new(tokens.collect()).unwrap();
        let id = |bytes: &[u8]| vocab.id(bytes).unwrap();
        let merge =
            |left: &[u8], right: &[u8]| Merge { left: id(left), right: id(right), result: id(&[left, right].concat()) };
        let mut merges = vec![merge("词".as_bytes(), "元".as_bytes()), merge("元".as_bytes(), "国".as_bytes())];
        for token in ["元", "国", "词"].map(str::as_bytes) {
            merges.extend([merge(&token[..1], &token[1..2]), merge(&token[..2], &token[2..])]);
        }
        let wanted = [id("词".as_bytes()), id("元国".as_bytes())];
        assert!(!Pairs::are_in_order(&Merges::new(merges.clone(), &vocab).unwrap()));
        let spec = TokenizerSpec::new(String::from("."), HanEdges::None, vocab.clone(), merges, vec![], false).unwrap();
        let tokenizer = Tokenizer::new(spec).unwrap();
        let (is_whole, [from_bytes, from_characters]) = merged(&tokenizer, "词元国");
        assert!(is_whole && from_bytes == wanted && from_characters != wanted);
        let mut ids = Vec::new();
        let codes: Vec<u32> = "词元国".chars().map(u32::from).collect();
        tokenizer.merge_characters(&mut Merger::default(), &codes, "词元国".as_bytes(), &mut ids);
        assert_eq!(ids, wanted);
    }
}
