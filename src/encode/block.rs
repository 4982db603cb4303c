//! Blocks of characters: which stand in a stretch of text, and at which edges it may be cut.
//!
//! Reading them is most of the work on Chinese. It has two parts, each of which a set of instructions may do for many
//! characters at once ([`Reading`]); the plain one is here, `block_x86.rs` has another. Both fill the same block.

use super::characters::{BEYOND_CODE, Characters, decode};

/// Characters of a block.
pub(super) const CHARACTERS: usize = 64;

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
    /// Bit k: characters k and k + 1 are not cut from each other.
    pub(super) joined: u64,
    /// Bit k: character k is beyond the basic plane, its code says nothing.
    pub(super) beyond: u64,
}

impl Default for Block {
    fn default() -> Self {
        Self { count: 0, codes: [0; PLACES], starts: [0; PLACES], marks: [0; PLACES], joined: 0, beyond: 0 }
    }
}

/// How blocks are read.
pub(super) trait Reading: Copy {
    /// Writes characters of three bytes to the block from place `count` on: the one at `at`, and as many of those behind
    /// it as it will, at most `most`. Gives their number. Places behind them may be written too, with codes of 16 bits.
    fn three_bytes(self, text: &[u8], at: usize, most: usize, block: &mut Block, count: usize) -> usize;

    /// Bit k: some token may span the edge of characters k and k + 1 of the first `count`, or both are ASCII. Bits from
    /// `count - 1` on say nothing.
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> u64;
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
    fn joined(self, characters: &Characters, block: &mut Block, count: usize) -> u64 {
        let edges = block.codes[..count].windows(2).enumerate();
        edges.fold(0, |joined, (at, codes)| {
            let both_ascii = (codes[0] | codes[1]) < 0x80;
            joined | u64::from(characters.spanned(codes[0], codes[1]) | both_ascii) << at
        })
    }
}

impl Block {
    /// Reads characters of valid text from `start` to `end`, as many as there is room for, and gives the place where it
    /// stopped, and how many pieces end before it. `pieces` are the ends of pre-tokens from `start` on, where text is cut
    /// in any case; the last is `end`.
    ///
    /// The text before the place where it stops is cut there, unless the block holds a single stretch that is not.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        reading: impl Reading,
        characters: &Characters,
        text: &[u8],
        (start, end): (usize, usize),
        pieces: &[u32],
    ) -> (usize, usize) {
        let (mut at, mut count, mut piece) = (start, 0, 0);
        let (mut is_start, mut beyond) = (0u64, 0u64);
        while at < end && count < CHARACTERS {
            if text[at] >> 4 == 0xE {
                let most = ((end - at) / 3).min(CHARACTERS - count);
                let read = reading.three_bytes(text, at, most, self, count);
                let stop = at + 3 * read;
                while (pieces[piece] as usize) < stop {
                    is_start |= 1 << (count + (pieces[piece] as usize - at) / 3);
                    piece += 1;
                }
                (at, count) = (stop, count + read);
            } else {
                let (code, length) = decode(text, at);
                let of_piece = pieces[piece] as usize == at;
                piece += usize::from(of_piece);
                is_start |= u64::from(of_piece) << count;
                beyond |= u64::from(code == BEYOND_CODE) << count;
                (self.codes[count], self.starts[count]) = (code, at as u32);
                (at, count) = (at + length, count + 1);
            }
        }
        let mut joined = reading.joined(characters, self, count) & !(is_start >> 1);
        if at < end && count > 1 {
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
        (self.count, self.joined, self.beyond) = (count, joined, beyond);
        (at, piece)
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

    /// What a block says of a text.
    type Said = (usize, usize, Vec<(u32, u32)>, u64, u64);

    fn read(reading: impl Reading, characters: &Characters, text: &str, pieces: &[u32]) -> Vec<Said> {
        let (mut at, mut piece, mut said) = (0, 0, Vec::new());
        // What another block left behind says nothing.
        let mut block = Block { codes: [0xFFFF; PLACES], ..Block::default() };
        while at < text.len() {
            let range = (at, text.len());
            let (stop, ended) = block.read(reading, characters, text.as_bytes(), range, &pieces[piece..]);
            assert!(at < stop && pieces[..piece + ended].iter().all(|end| *end as usize <= stop));
            let read = block.codes.iter().zip(&block.starts).take(block.count).map(|(code, start)| (*code, *start));
            said.push((stop, ended, read.collect(), block.joined, block.beyond));
            (at, piece) = (stop, piece + ended);
        }
        said
    }

    fn check(text: &str, pieces: &[u32]) {
        let characters = SPANNING.characters();
        let wanted = read(Plain, characters, text, pieces);
        let codes: Vec<u32> = wanted.iter().flat_map(|said| said.2.iter().map(|(code, _)| *code)).collect();
        let plain = text.chars().map(|c| u16::try_from(c as u32).map_or(BEYOND_CODE, u32::from));
        assert_eq!(codes, plain.collect::<Vec<_>>(), "{text:?}");
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = super::super::block_x86::Avx512::detect() {
            assert_eq!(read(lanes, characters, text, pieces), wanted, "AVX-512: {text:?}");
        }
    }

    #[test]
    fn runs_of_every_length() {
        let [said] = &read(Plain, SPANNING.characters(), "的一是在一的", &[18])[..] else {
            panic!("it is one block")
        };
        assert!(said.3 & 7 != 0 && said.3 & 24 != 24, "{said:?}");
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
