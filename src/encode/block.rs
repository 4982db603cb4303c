//! Blocks of characters: which stand in a stretch of text, and at which edges it may be cut.
//!
//! Reading them is most of the work on Chinese. It has two parts, each of which a set of instructions may do for many
//! characters at once ([`Reading`]); the plain one is here, `block_x86.rs` has another. Both fill the same block.

use super::characters::{BEYOND_CODE, Characters, count_of, decode};
use super::gathered::{self, Gathered};
use super::ids::Room;
use super::known::{self, Asked, Known};
use super::memo::{FewIds, Key, Memo};
use super::whole::{LONGEST, WholePairs};
use crate::vocab::TokenId;

/// Characters of a block.
pub(super) const CHARACTERS: usize = 64;

/// The most pre-tokens that are read from.
pub(super) const PRE_TOKENS: usize = 64;

/// The most characters that are written at once, some of which may count for nothing.
pub(super) const STEP: usize = 16;

/// Places in a block: what is written at once may go beyond its end, and so may what is read for the last edges.
pub(super) const PLACES: usize = CHARACTERS + STEP + 1;

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
            tokens: [0; PLACES],
            joined: 0,
            partial: 0,
            beyond: 0,
            ascii: 0,
            pieces: [0; PLACES],
        }
    }
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
    /// Writes characters of three bytes to the block from place `count` on: the one at `at`, and as many of those behind
    /// it as it will, at most `most`. Gives their number. Places behind them may be written too, with codes of 16 bits.
    fn three_bytes(self, text: &[u8], at: usize, most: usize, block: &mut Block, count: usize) -> usize;

    /// Bit k: some token may span the edge of characters k and k + 1 of the first `count`, or both are ASCII; and they are,
    /// or such a token may begin or end inside one of them. Bits from `count - 1` on say nothing.
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> (u64, u64);

    /// Writes the ids of the first of these pre-tokens, as many as the memo knows.
    fn known(self, memo: &Memo, asked: &[Asked], room: &mut Room) -> Known;

    /// The ids of a short piece, if the memo knows them.
    fn find(self, memo: &Memo, key: Key, set: usize) -> Option<FewIds>;

    /// The bits of the characters of a block that have more than one id, and more than two. [`Reading::joined`] has been
    /// called.
    fn more(self, characters: &Characters, block: &Block) -> [u64; 2];

    /// Writes the ids of the pieces that begin with the characters `heads`, and says how many they are.
    fn write(self, gathered: &Gathered, heads: u64, room: &mut Room) -> usize;

    /// Whether [`Reading::merge`] is faster than looking pieces up in a memo.
    const MERGES: bool;

    /// The first id of each character of the block, and the bits of those that have no more.
    fn tokens(self, characters: &Characters, block: &mut Block) -> u64;

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
        if let Some(lanes) = Avx512::detect() {
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
    fn three_bytes(self, text: &[u8], at: usize, _: usize, block: &mut Block, count: usize) -> usize {
        (block.codes[count], block.starts[count]) = (decode(text, at).0, at as u32);
        1
    }

    #[inline(always)]
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> (u64, u64) {
        let edges = block.codes[..count].windows(2).enumerate();
        edges.fold((0, 0), |(joined, partial), (at, codes)| {
            let both_ascii = (codes[0] | codes[1]) < 0x80;
            let (by_whole, by_part) = characters.spanned_by(codes[0], codes[1]);
            (joined | u64::from(by_whole | by_part | both_ascii) << at, partial | u64::from(by_part | both_ascii) << at)
        })
    }

    #[inline(always)]
    fn known(self, memo: &Memo, asked: &[Asked], room: &mut Room) -> Known {
        known::plain(memo, asked, room)
    }

    #[inline(always)]
    fn find(self, memo: &Memo, key: Key, set: usize) -> Option<FewIds> {
        memo.short(key, set)
    }

    #[inline(always)]
    fn more(self, characters: &Characters, block: &Block) -> [u64; 2] {
        gathered::plain_more(characters, block)
    }

    #[inline(always)]
    fn write(self, gathered: &Gathered, heads: u64, room: &mut Room) -> usize {
        gathered::plain_write(gathered, heads, room)
    }

    const MERGES: bool = false;

    fn tokens(self, characters: &Characters, block: &mut Block) -> u64 {
        let Block { tokens, codes, count, .. } = block;
        let places = tokens.iter_mut().zip(&codes[..*count]).enumerate();
        places.fold(0, |single, (at, (token, code))| {
            let entry = characters.entry_of_block(*code);
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
        let PreTokens { ends, others, .. } = pre_tokens;
        let ((mut at, mut piece), mut count) = (from, 0);
        let (mut is_start, mut beyond, mut ascii) = (0u64, 0u64, 0u64);
        while piece < ends.len() && count < CHARACTERS {
            if others >> piece & 1 == 0 {
                (self.codes[count], self.starts[count], self.pieces[count]) = (0, at as u32, piece as u8);
                ascii |= 1 << count;
                // Nothing is joined to it from either side.
                is_start |= 3 << count;
                (at, count, piece) = (ends[piece] as usize, count + 1, piece + 1);
                continue;
            }
            let behind = (piece + (others >> piece).trailing_ones() as usize).min(ends.len());
            let end = ends[behind - 1] as usize;
            while at < end && count < CHARACTERS {
                if text[at] >> 4 == 0xE {
                    let most = ((end - at) / 3).min(CHARACTERS - count);
                    let read = reading.three_bytes(text, at, most, self, count);
                    let stop = at + 3 * read;
                    while piece < ends.len() && (ends[piece] as usize) <= stop {
                        is_start |= 1u64.checked_shl((count + (ends[piece] as usize - at) / 3) as u32).unwrap_or(0);
                        piece += 1;
                    }
                    (at, count) = (stop, count + read);
                } else {
                    let (code, length) = decode(text, at);
                    beyond |= u64::from(code == BEYOND_CODE) << count;
                    (self.codes[count], self.starts[count]) = (code, at as u32);
                    (at, count) = (at + length, count + 1);
                    let ended = ends[piece] as usize == at;
                    piece += usize::from(ended);
                    is_start |= u64::from(ended).checked_shl(count as u32).unwrap_or(0);
                }
            }
        }
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

    /// What a block says of a text: where it stopped, what stands in it, and its masks.
    type Said = ((usize, usize), Vec<(u32, u32)>, [u64; 4]);

    fn read(reading: impl Reading, characters: &Characters, text: &str, pre_tokens: PreTokens<'_>) -> Vec<Said> {
        let (mut from, mut said) = ((0, 0), Vec::new());
        // What another block left behind says nothing.
        let mut block = Block { codes: [0xFFFF; PLACES], ..Block::default() };
        while from.1 < pre_tokens.ends.len() {
            let stop = block.read(reading, characters, text.as_bytes(), pre_tokens, from);
            assert!(from.0 < stop.0 && pre_tokens.start_of(stop.1) <= stop.0);
            let read = block.codes.iter().zip(&block.starts).take(block.count).map(|(code, start)| (*code, *start));
            said.push((stop, read.collect(), [block.joined, block.partial, block.beyond, block.ascii]));
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
            if let Some(lanes) = super::super::block_x86::Avx512::detect() {
                assert_eq!(read(lanes, characters, text, pre_tokens), wanted, "AVX-512: {text:?}");
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

    proptest! {
        #[test]
        fn readings_agree(text in hostile(), times in 1usize..20, cuts in proptest::collection::vec(any::<u16>(), 0..9)) {
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
