//! Blocks of characters: which stand in a stretch of text, and at which edges it may be cut.
//!
//! Reading them is most of the work on Chinese. It has two parts, each of which a set of instructions may do for many
//! characters at once ([`Reading`]): which characters there are, and which are joined. Both are done plainly here, and with
//! AVX-512 in `characters_x86.rs` and `block_x86.rs`. All fill the same block.

use super::ahead::Ahead;
use super::characters::{BEYOND_CODE, Characters, count_of, decode};
use super::gathered::{self, Gathered};
use super::ids::Room;
use super::known::{self, Asked, Known, Run};
use super::memo::{FewIds, Key, Memo};
use super::whole::{LONGEST, WholePairs};
use crate::vocab::TokenId;

/// Characters of a block.
pub(super) const CHARACTERS: usize = 64;

/// The most pre-tokens that are read from.
pub(super) const PRE_TOKENS: usize = 64;

/// The most characters that are written at once, some of which may count for nothing.
pub(super) const STEP: usize = 16;

const _: () = assert!(CHARACTERS.is_multiple_of(STEP));

/// Places in a block: what is written at once may go beyond its end, and so may what is read for the last edges.
pub(super) const PLACES: usize = CHARACTERS + STEP + 1;

/// The places of these bits.
#[inline(always)]
pub(super) fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        at
    })
}

/// Some characters of a text.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) count: usize,
    /// Their code points, at most 0xFFFF.
    pub(super) codes: [u32; PLACES],
    /// Where each begins, and where the last ends.
    pub(super) starts: [u32; PLACES],
    /// Their marks, for the readings that have a use for them.
    pub(super) marks: [u32; PLACES],
    /// The ids of each by itself, and then of the pieces.
    pub(super) gathered: Gathered,
    /// What they come to when they are merged.
    pub(super) tokens: [TokenId; PLACES],
    /// Bit k: characters k and k + 1 are not cut from each other.
    pub(super) joined: u64,
    /// Bit k: some token may span the edge of characters k and k + 1, and begin or end inside one of them; or both are
    /// ASCII, of whose tokens nothing is known.
    pub(super) partial: u64,
    /// Bit k: character k is beyond the basic plane, its code says nothing.
    pub(super) beyond: u64,
    /// Bit k: in the place of a character stands a pre-token of ASCII.
    pub(super) ascii: u64,
    /// The numbers of these pre-tokens.
    pub(super) pieces: [u8; PLACES],
    /// Pieces that the memo does not know, by their first characters.
    pub(super) ahead: Ahead,
}

/// Pre-tokens of valid text, at most [`PRE_TOKENS`].
#[derive(Debug, Clone, Copy)]
pub(super) struct PreTokens<'a> {
    /// Where the first begins.
    pub(super) start: usize,
    /// Where each ends.
    pub(super) ends: &'a [u32],
    /// Bit k: pre-token k is not ASCII.
    pub(super) others: u64,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            count: 0,
            codes: [0; PLACES],
            starts: [0; PLACES],
            marks: [0; PLACES],
            gathered: Gathered::default(),
            tokens: [0; PLACES],
            joined: 0,
            partial: 0,
            beyond: 0,
            ascii: 0,
            pieces: [0; PLACES],
            ahead: Ahead::default(),
        }
    }
}

/// How far a block is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    /// The place in the text, and the pre-token that it is in.
    pub(super) at: usize,
    pub(super) piece: usize,
    /// What of the block is read.
    pub(super) count: usize,
    /// Bit k: with character k a pre-token begins. That of the first says nothing.
    pub(super) is_start: u64,
    /// As those of [`Block`].
    pub(super) beyond: u64,
    pub(super) ascii: u64,
}

impl PreTokens<'_> {
    /// Where this one begins.
    #[inline(always)]
    pub(super) fn start_of(&self, piece: usize) -> usize {
        piece.checked_sub(1).map_or(self.start, |before| self.ends[before] as usize)
    }
}

/// How blocks are read.
pub(super) trait Reading: Copy {
    /// Runs work that is compiled by itself, where that can be done, so that work around it is none the slower for it.
    fn apart(self, work: impl Work);

    /// Reads the character or the pre-token of ASCII at `place` into a block that has room, and as many of those behind it
    /// as it will. Places behind them may be written too, with codes of 16 bits.
    fn some(self, text: &[u8], pre_tokens: PreTokens<'_>, block: &mut Block, place: &mut Place);

    /// Bit k: some token may span the edge of characters k and k + 1 of the first `count`, or both are ASCII; and they are,
    /// or such a token may begin or end inside one of them. Bits from `count - 1` on say nothing. Writes the entries of these
    /// characters too, to [`Gathered`].
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> (u64, u64);

    /// Writes the ids of those of these pre-tokens that the memo knows.
    fn known(self, memo: &Memo, asked: &[Asked], run: &mut Run) -> Known;

    /// The ids of a short piece, if the memo knows them.
    fn find(self, memo: &Memo, key: Key, set: usize) -> Option<FewIds>;

    /// The bits of the characters of a block that have more than one id, and more than two. [`Reading::joined`] has been
    /// called.
    fn more(self, block: &Block) -> [u64; 2];

    /// Writes the ids of the pieces that begin with the characters `heads`, and says how many they are.
    fn write(self, gathered: &Gathered, heads: u64, room: &mut Room) -> usize;

    /// Whether [`Reading::merge`] is faster than looking pieces up in a memo.
    const MERGES: bool;

    /// The first id of each character of the block, and the bits of those that have no more. [`Reading::joined`] has been
    /// called.
    fn tokens(self, block: &mut Block) -> u64;

    /// As [`WholePairs::merge`]; pieces have at most [`LONGEST`] tokens.
    fn merge(self, pairs: &WholePairs, tokens: &mut [TokenId; PLACES], ends: u64, count: usize) -> u64;
}

/// Work that is compiled once for each set of instructions. `run` must be inlined, and what it calls where it counts.
pub(super) trait Work {
    fn run(self, reading: impl Reading);
}

/// Runs work with the fastest instructions that this machine has.
#[inline]
pub(super) fn run(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    {
        use super::block_x86::{Avx2, Avx512};
        if let Some(lanes) = Avx512::<true>::detect() {
            return lanes.run(work);
        }
        if let Some(lanes) = Avx512::<false>::detect() {
            return lanes.run(work);
        }
        if let Some(lanes) = Avx2::detect() {
            return lanes.run(work);
        }
    }
    work.run(Plain);
}

/// Character by character. Runs everywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Reading for Plain {
    #[inline(always)]
    fn apart(self, work: impl Work) {
        work.run(self);
    }

    #[inline(always)]
    fn some(self, text: &[u8], PreTokens { ends, others, .. }: PreTokens<'_>, block: &mut Block, place: &mut Place) {
        let Place { at, piece, count, .. } = *place;
        let end = ends[piece] as usize;
        block.starts[count] = at as u32;
        if others >> piece & 1 == 0 {
            (block.codes[count], block.pieces[count]) = (0, piece as u8);
            place.ascii |= 1 << count;
            place.at = end;
        } else {
            let (code, length) = decode(text, at);
            block.codes[count] = code;
            place.beyond |= u64::from(code == BEYOND_CODE) << count;
            place.at = at + length;
        }
        let is_end = place.at == end;
        (place.piece, place.count) = (piece + usize::from(is_end), count + 1);
        place.is_start |= u64::from(is_end) << count << 1;
    }

    #[inline(always)]
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> (u64, u64) {
        for (entry, code) in block.gathered.ids.iter_mut().zip(&block.codes[..count]) {
            *entry = *characters.entry_of_block(*code);
        }
        let edges = block.codes[..count].windows(2).enumerate();
        edges.fold((0, 0), |(joined, partial), (at, codes)| {
            let both_ascii = (codes[0] | codes[1]) < 0x80;
            let (by_whole, by_part) = characters.spanned_by(codes[0], codes[1]);
            (joined | u64::from(by_whole | by_part | both_ascii) << at, partial | u64::from(by_part | both_ascii) << at)
        })
    }

    #[inline(always)]
    fn known(self, memo: &Memo, asked: &[Asked], run: &mut Run) -> Known {
        known::plain(memo, asked, run)
    }

    #[inline(always)]
    fn find(self, memo: &Memo, key: Key, set: usize) -> Option<FewIds> {
        memo.short(key, set)
    }

    #[inline(always)]
    fn more(self, block: &Block) -> [u64; 2] {
        gathered::plain_more(block)
    }

    #[inline(always)]
    fn write(self, gathered: &Gathered, heads: u64, room: &mut Room) -> usize {
        gathered::plain_write(gathered, heads, room)
    }

    const MERGES: bool = false;

    fn tokens(self, block: &mut Block) -> u64 {
        let Block { tokens, gathered, count, .. } = block;
        let places = tokens.iter_mut().zip(&gathered.ids[..*count]).enumerate();
        places.fold(0, |single, (at, (token, entry))| {
            *token = entry[0];
            single | u64::from(count_of(entry) == 1) << at
        })
    }

    fn merge(self, pairs: &WholePairs, tokens: &mut [TokenId; PLACES], ends: u64, count: usize) -> u64 {
        pairs.merge(tokens, ends, count)
    }
}

impl Block {
    /// Reads pre-tokens of valid text from `from` on, a place and the pre-token that it is in, as many as there is room for,
    /// and says where it stopped.
    ///
    /// The text before the place where it stops is cut there, unless the block holds a single stretch that is not.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        reading: impl Reading,
        characters: &Characters,
        text: &[u8],
        pre_tokens: PreTokens<'_>,
        from: (usize, usize),
    ) -> (usize, usize) {
        let ends = pre_tokens.ends;
        let mut place = Place { at: from.0, piece: from.1, ..Place::default() };
        while place.piece < ends.len() && place.count < CHARACTERS {
            reading.some(text, pre_tokens, self, &mut place);
        }
        let Place { mut at, piece, mut count, is_start, beyond, ascii } = place;
        let (joined, partial) = reading.joined(characters, self, count);
        let mut joined = joined & !(is_start >> 1);
        if piece < ends.len() && at > pre_tokens.start_of(piece) && count > 1 {
            // The last stretch may go on: it is left to the next block.
            let last = joined << (CHARACTERS - (count - 1));
            let kept = count - 1 - last.leading_ones() as usize;
            if kept > 0 {
                count = kept;
                at = self.starts[kept] as usize;
            }
        }
        joined &= !(u64::MAX << (count - 1));
        self.starts[count] = at as u32;
        (self.count, self.joined, self.partial) = (count, joined, partial & joined);
        (self.beyond, self.ascii) = (beyond, ascii);
        (at, piece)
    }

    /// Begins putting ids together: those of each character by itself.
    #[inline(always)]
    pub(super) fn begin(&mut self, reading: impl Reading) {
        let [two, three] = reading.more(self);
        self.gathered.more = [two, three, 0];
    }

    /// The edges of pieces that are not to be merged from their characters' ids: those in which a character has not a
    /// single id, or a token may begin or end inside one, or that are long.
    #[inline(always)]
    pub(super) fn not_whole(&self, single: u64) -> u64 {
        let Self { count, joined, partial, .. } = *self;
        let inside = joined | joined << 1;
        let all = u64::MAX >> (CHARACTERS - count);
        // So many edges one behind the other, a power of two.
        let doubled = (0..LONGEST.trailing_zeros()).map(|bits| 1 << bits);
        let long = doubled.fold(joined, |long, by: u32| long & long >> by);
        let (mut bad, mut found) = ((!single & all | partial | long) & inside, 0);
        while bad != 0 {
            let at = bad.trailing_zeros();
            let start = at - (joined << 1 << (63 - at)).leading_ones();
            let behind = at + (joined >> at).trailing_ones();
            let edges = !(u64::MAX << (behind - start)) << start;
            found |= edges;
            bad &= !(edges | 1 << behind);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::Tokenizer;
    use super::super::testing::learned;
    use super::*;
    use crate::segment::hostile;

    /// One whose tokens span many edges, with the ends and the beginnings of characters too.
    static SPANNING: LazyLock<Tokenizer> = LazyLock::new(|| {
        let text = "的一是在不了有和人这词元，国é中a文𠮷。丁七万丈三上下";
        let texts = (0..text.len()).filter_map(|at| text.get(at..)).collect::<String>();
        let texts = texts + &('\u{4E00}'..'\u{4F00}').flat_map(|c| ['的', c, c, '，']).collect::<String>();
        learned(r"regex:\S+|\s+", &texts, 400)
    });

    /// What a block says of a text: where it stopped, what stands in it, its masks, and its pre-tokens of ASCII.
    type Said = ((usize, usize), Vec<(u32, u32)>, [u64; 4], Vec<u8>);

    fn read(reading: impl Reading, characters: &Characters, text: &str, pre_tokens: PreTokens<'_>) -> Vec<Said> {
        let (mut from, mut said) = ((0, 0), Vec::new());
        // What another block left behind says nothing.
        let mut block = Block { codes: [0xFFFF; PLACES], ..Block::default() };
        while from.1 < pre_tokens.ends.len() {
            let stop = block.read(reading, characters, text.as_bytes(), pre_tokens, from);
            assert!(from.0 < stop.0 && pre_tokens.start_of(stop.1) <= stop.0);
            let read = block.codes.iter().zip(&block.starts).take(block.count).map(|(code, start)| (*code, *start));
            let pieces = (0..block.count).filter(|at| block.ascii >> at & 1 == 1).map(|at| block.pieces[at]).collect();
            said.push((stop, read.collect(), [block.joined, block.partial, block.beyond, block.ascii], pieces));
            from = stop;
        }
        said
    }

    /// Pre-tokens that end at these places.
    fn check(text: &str, ends: &[u32]) {
        let characters = SPANNING.characters();
        let starts = [&[0], ends].concat();
        let is_other = |at: usize| !text[starts[at] as usize..starts[at + 1] as usize].is_ascii();
        let others = (0..ends.len()).fold(0, |others, at| others | u64::from(is_other(at)) << at);
        for others in [others, u64::MAX] {
            let pre_tokens = PreTokens { start: 0, ends, others };
            let wanted = read(Plain, characters, text, pre_tokens);
            let read_ones: Vec<(u32, u32)> = wanted.iter().flat_map(|said| said.1.iter().copied()).collect();
            let plain = text.char_indices().filter_map(|(at, c)| {
                let piece = ends.iter().position(|end| *end as usize > at).unwrap();
                if others >> piece & 1 == 1 {
                    Some((u16::try_from(c as u32).map_or(BEYOND_CODE, u32::from), at as u32))
                } else {
                    (starts[piece] as usize == at).then_some((0, at as u32))
                }
            });
            assert_eq!(read_ones, plain.collect::<Vec<_>>(), "{text:?}");
            #[cfg(target_arch = "x86_64")]
            {
                use super::super::block_x86::Avx512;
                if let Some(lanes) = Avx512::<false>::detect() {
                    assert_eq!(read(lanes, characters, text, pre_tokens), wanted, "AVX-512: {text:?}");
                }
                // Text behind it is read too, and says nothing.
                for behind in ["", "a", "词"] {
                    let text = format!("{text}{}", behind.repeat(64));
                    if let Some(lanes) = Avx512::<true>::detect() {
                        assert_eq!(read(lanes, characters, &text, pre_tokens), wanted, "AVX-512 of bytes: {text:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn pieces_that_are_not_whole() {
        // Two pieces, of four characters and of two.
        let block = |partial| Block { count: 6, joined: 0b10111, partial, ..Block::default() };
        assert_eq!(block(0).not_whole(u64::MAX), 0);
        assert_eq!(block(0).not_whole(!0b000100), 0b00111);
        assert_eq!(block(0).not_whole(!0b100000), 0b10000);
        assert_eq!(block(0).not_whole(!0b001001), 0b00111);
        assert_eq!(block(0b00010).not_whole(u64::MAX), 0b00111);
        assert_eq!(block(0b10001).not_whole(u64::MAX), 0b10111);
        for count in 1..=CHARACTERS {
            let joined = u64::MAX >> (CHARACTERS - count) >> 1;
            let wanted = if count > LONGEST { joined } else { 0 };
            assert_eq!(Block { count, joined, ..Block::default() }.not_whole(u64::MAX), wanted);
        }
        let alone = Block { count: 3, ..Block::default() };
        assert_eq!(alone.not_whole(0), 0);
    }

    #[test]
    fn runs_of_every_length() {
        for length in 1..200 {
            let text: String = "词元，国é中a文𠮷".chars().cycle().take(length).collect();
            check(&text, &[text.len() as u32]);
            let text: String = "的一是在不了有和人这".chars().cycle().take(length).collect();
            check(&text, &[text.len() as u32]);
        }
    }

    #[test]
    fn pre_tokens_of_ascii_of_every_length() {
        for length in 1..200 {
            // Behind characters of each length, so that it begins at any place of a step, and in front of some.
            for before in [
                "",
                "词",
                "词é",
                "𠮷",
                "𠮷𠮷é词",
                "的一是在不了有和人这词元国中文",
                "中a文中a文中a文中a文中a文中a文中a",
            ] {
                for behind in ["元é", "𠮷元"] {
                    let text = format!("{before}{}{behind}", "a".repeat(length));
                    let ends = [before.len(), before.len() + length, text.len()].map(|end| end as u32);
                    check(&text, &ends[usize::from(before.is_empty())..]);
                }
            }
        }
        for count in 1..PRE_TOKENS as u32 {
            check(&"ab ".repeat(count as usize), &(1..=count).map(|end| 3 * end).collect::<Vec<_>>());
            check(&"a".repeat(count as usize), &(1..=count).collect::<Vec<_>>());
            check(&"词".repeat(count as usize), &(1..=count).map(|end| 3 * end).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn readings_agree(
            text in hostile(),
            times in 1usize..20,
            cuts in proptest::collection::vec(any::<u16>(), 0..PRE_TOKENS),
        ) {
            let text = format!("词{}元", text.repeat(times));
            let edges: Vec<u32> = text.char_indices().skip(1).map(|(at, _)| at as u32).collect();
            let mut pieces: Vec<u32> = cuts.iter().map(|cut| edges[usize::from(*cut) % edges.len()]).collect();
            pieces.push(text.len() as u32);
            pieces.sort_unstable();
            pieces.dedup();
            check(&text, &pieces);
        }
    }
}
