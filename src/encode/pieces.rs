//! The ids of the pre-tokens of a text.
//!
//! Each pre-token is looked up in a memo, or merged. What makes Chinese fast is that its pre-tokens, long runs that hardly
//! ever come again, are cut further, where no token can span the edge of two characters (`cuts.rs`): into single
//! characters, whose ids stand in a table, and pieces of two or three, which do come again. With a vocabulary of much
//! Chinese the pieces are longer, and hardly come again either: all those of a block are merged together (`whole.rs`).
//! Where there is much Chinese, a block holds pre-tokens of ASCII too, in the place of a character each: lines and
//! sentences are shorter than a block.
//!
//! Tried and not faster: asking for the memo's lines of such pieces ahead, as is done for pre-tokens; a smaller memo;
//! characters read, looked up and told apart in one loop; keys of long pieces read as two halves that overlap; with o200k,
//! pieces of whole characters merged together (a fifth slower). Without AVX-512 such pieces are looked up: merging them in
//! the block, one pair at a time, gains a sixth with vocabularies of much Chinese and loses a twentieth with others. Ids of
//! single characters taken from the table only when they are written, by a choice of two places: a tenth slower. Pieces that
//! the memo does not know (with cl100k one in fifteen of several characters of Chinese, one in 33 of English, each 0.8 µs)
//! left open until there were seven or so, and merged side by side by AVX-512, a merge of each in a round: no faster. A set
//! of bits that says of most new pieces, by the hash of their key, that they are no token: making it takes what it saves.
//! Pieces of two characters in a small memo of their own, by their code points: two percent with cl100k, none with o200k.
//! Keys of pre-tokens of ASCII alone, with no set fetched for others: English a tenth slower.

use std::ops::Range;

use super::block::{Block, CHARACTERS, PRE_TOKENS, Plain, PreTokens, Reading, Work, places};
use super::ids::Ids;
use super::known::{Asked, Keys, Known, NO_KEYS, asked_of, read_keys};
use super::memo::{SHORT, of_few, set_of, short_key};
use super::tokenizer::{Scratch, Tokenizer};
use super::whole::WholePairs;

/// So many pre-tokens of 64 that are not ASCII are read together with those that are.
const MANY: u32 = 8;

/// Encoding the pieces of a text.
pub(super) struct Pieces<'e, I> {
    pub(super) tokenizer: &'e Tokenizer,
    /// Whether all pieces are valid UTF-8.
    pub(super) is_text: bool,
    pub(super) scratch: &'e mut Scratch,
    pub(super) ids: &'e mut I,
}

/// All pieces of a text, which end at `ends`.
pub(super) struct All<'a, 'e, I> {
    pub(super) pieces: &'a mut Pieces<'e, I>,
    pub(super) text: &'a [u8],
    pub(super) ends: &'a [u32],
}

impl<I: Ids> Work for All<'_, '_, I> {
    #[inline(always)]
    fn run(self, reading: impl Reading) {
        self.pieces.all(reading, self.text, self.ends);
    }
}

/// Pre-tokens of a text that are read by characters, [`Pieces::characters`].
struct Blocks<'a, 'e, I> {
    pieces: &'a mut Pieces<'e, I>,
    text: &'a [u8],
    pre_tokens: PreTokens<'a>,
    keys: &'a Keys,
}

impl<I: Ids> Work for Blocks<'_, '_, I> {
    #[inline(always)]
    fn run(self, reading: impl Reading) {
        self.pieces.characters(reading, self.text, self.pre_tokens, self.keys);
    }
}

impl<I: Ids> Pieces<'_, I> {
    /// Appends the ids of the pre-tokens of `text` with these ends.
    #[inline(always)]
    fn all(&mut self, reading: impl Reading, text: &[u8], ends: &[u32]) {
        let (mut keys, mut start) = (NO_KEYS, 0);
        for ends in ends.chunks(PRE_TOKENS) {
            let others = read_keys(&self.scratch.memo, text, start, ends, &mut keys);
            let pre_tokens = PreTokens { start, ends, others };
            if self.is_text && others.count_ones() >= MANY {
                reading.apart(Blocks { pieces: self, text, pre_tokens, keys: &keys });
            } else {
                self.chunk(reading, text, pre_tokens, &keys);
            }
            start = ends[ends.len() - 1] as usize;
        }
    }

    /// Appends the ids of pre-tokens of which few, if any, are not ASCII.
    #[inline(always)]
    fn chunk(&mut self, reading: impl Reading, text: &[u8], pre_tokens: PreTokens<'_>, keys: &Keys) {
        let PreTokens { ends, others, .. } = pre_tokens;
        let Scratch { memo, run, .. } = &mut *self.scratch;
        let Known { missed, ids } = reading.known(memo, &keys[..ends.len()], run);
        let vocab = self.tokenizer.spec().vocab();
        run.ahead.begin();
        for at in places(missed & !others) {
            run.ahead.ask(memo, vocab, at, text, pre_tokens.start_of(at)..ends[at] as usize, keys[at]);
        }
        run.ahead.ask_further(vocab);
        let (mut left, mut written) = (missed, 0);
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            let run = &self.scratch.run;
            let before = usize::from(run.before[at]);
            self.ids.some(&run.room.first(before)[written..]);
            written = before;
            let (start, mut behind) = (pre_tokens.start_of(at), at + 1);
            let end = ends[at] as usize;
            if others >> at & 1 == 0 {
                let hash = run.ahead.hash(at);
                self.new_one(reading, text, start..end, keys[at], hash);
            } else if self.is_text {
                // With all pre-tokens behind it that are not ASCII either.
                behind = at + ((others & left) >> at).trailing_ones() as usize;
                let pre_tokens = PreTokens { start, ends: &ends[at..behind], others: u64::MAX };
                reading.apart(Blocks { pieces: self, text, pre_tokens, keys });
            } else {
                self.parts(&text[start..end]);
            }
            left &= u64::MAX.checked_shl(behind as u32).unwrap_or(0);
        }
        self.ids.some(&self.scratch.run.room.first(ids)[written..]);
    }

    /// Appends the ids of pre-tokens of valid text, cut where that is safe. Of those that are ASCII these are the keys.
    #[inline(always)]
    fn characters<R: Reading>(&mut self, reading: R, text: &[u8], pre_tokens: PreTokens<'_>, keys: &Keys) {
        let characters = self.tokenizer.characters();
        let pairs = if R::MERGES { self.tokenizer.whole_pairs() } else { None };
        let PreTokens { start, ends, .. } = pre_tokens;
        let (mut at, mut piece) = (start, 0);
        while piece < ends.len() {
            let begin = at;
            let block = &mut self.scratch.block;
            (at, piece) = block.read(reading, characters, text, pre_tokens, (at, piece));
            let is_inside = piece < ends.len() && at > pre_tokens.start_of(piece);
            if is_inside && block.joined.count_ones() as usize + 1 == block.count {
                let last = block.starts[block.count - 1] as usize;
                at = characters.stretch_end(text, last, ends[piece] as usize);
                self.part(text, begin, at);
                piece += usize::from(at == ends[piece] as usize);
            } else {
                match pairs {
                    Some(pairs) => self.merged_at_once(reading, pairs, text, keys),
                    None => self.looked_up(reading, text, keys),
                }
            }
        }
    }

    /// Appends the ids of the block, whose pieces of several characters are looked up.
    ///
    /// Single characters and pieces of several are told apart once for the block, and their ids gathered in one loop: a
    /// jump that is not foreseen costs as much as some characters.
    #[inline(always)]
    fn looked_up(&mut self, reading: impl Reading, text: &[u8], keys: &Keys) {
        let Scratch { block, memo, .. } = &mut *self.scratch;
        let Block { count, joined, beyond, ascii, .. } = **block;
        block.begin(reading);
        let mut missed = 0;
        for at in places(ascii) {
            let (key, set) = keys[block.pieces[at] as usize % PRE_TOKENS];
            match reading.find(memo, key, set) {
                Some(few) => block.gathered.put(at, few),
                None => missed |= 1 << at,
            }
        }
        let mut heads = !(joined << 1) & u64::MAX >> (CHARACTERS - count);
        let piece_of = |block: &Block, at: usize| {
            let behind = at + 1 + (joined >> at).trailing_ones() as usize;
            (block.starts[at] as usize..block.starts[behind] as usize, at..behind)
        };
        let (vocab, mut left) = (self.tokenizer.spec().vocab(), 0u64);
        block.ahead.begin();
        for at in places(heads & (joined | beyond | missed)) {
            let (piece, _) = piece_of(block, at);
            let asked = asked_of(text, piece.clone());
            match reading.find(memo, asked.0, asked.1) {
                Some(few) => block.gathered.put(at, few),
                None => {
                    block.ahead.ask(memo, vocab, at, text, piece, asked);
                    left |= 1 << at;
                }
            }
        }
        block.ahead.ask_further(vocab);
        for at in places(left) {
            let Scratch { block, room, .. } = &mut *self.scratch;
            let ((piece, characters), hash) = (piece_of(block, at), block.ahead.hash(at));
            self.ids.gathered(reading, &block.gathered, heads & !(u64::MAX << at), room);
            heads &= u64::MAX << at << 1;
            self.several(text, piece, characters, hash);
        }
        let Scratch { block, room, .. } = &mut *self.scratch;
        self.ids.gathered(reading, &block.gathered, heads, room);
    }

    /// Appends the ids of the block, whose pieces of whole characters are merged all at once.
    #[inline(always)]
    fn merged_at_once(&mut self, reading: impl Reading, pairs: &WholePairs, text: &[u8], keys: &Keys) {
        let Scratch { block, memo, .. } = &mut *self.scratch;
        let Block { count, mut joined, ascii, .. } = **block;
        let mut single = reading.tokens(block) & !ascii;
        for at in places(ascii) {
            let (key, set) = keys[block.pieces[at] as usize % PRE_TOKENS];
            if let Some((ids, 1)) = memo.short(key, set).map(of_few) {
                block.tokens[at] = ids[0];
                single |= 1 << at;
            }
        }
        let merged = joined & !block.not_whole(single);
        let left = reading.merge(pairs, &mut block.tokens, !merged, count);
        joined &= !merged;
        // The first of the block's tokens that is not written yet.
        let mut token = 0;
        for at in places(left & !(joined << 1) & (!single | joined)) {
            let behind = at + 1 + (joined >> at).trailing_ones() as usize;
            let below = |place: usize| u64::MAX.checked_shr((CHARACTERS - place) as u32).unwrap_or(0);
            let before = |place: usize| (left & below(place)).count_ones() as usize;
            let block = &self.scratch.block;
            self.ids.some(&block.tokens[token..before(at)]);
            token = before(behind);
            let (start, end) = (block.starts[at] as usize, block.starts[behind] as usize);
            self.piece(text, (start, end), at..behind);
        }
        self.ids.some(&self.scratch.block.tokens[token..left.count_ones() as usize]);
    }

    /// Appends the ids of these characters of the block, or of this pre-token of ASCII in it.
    #[inline]
    fn piece(&mut self, text: &[u8], (start, end): (usize, usize), characters: Range<usize>) {
        if end - start <= SHORT {
            let key = short_key(text, start, end);
            if let Some(few) = self.scratch.memo.short(key, set_of(key)) {
                return self.ids.few(few);
            }
        }
        self.several(text, start..end, characters, None);
    }

    /// Appends the ids of a pre-token that may be a token as a whole.
    pub(super) fn whole_or_parts(&mut self, piece: &[u8]) {
        match self.tokenizer.whole_piece(piece) {
            Some(id) => self.ids.some(&[id]),
            None => self.parts(piece),
        }
    }

    /// Appends the ids of a piece, cut where that is safe.
    fn parts(&mut self, piece: &[u8]) {
        if piece.is_ascii() {
            return self.part(piece, 0, piece.len());
        }
        // A stretch of bytes that are no text has no characters.
        if self.is_text || std::str::from_utf8(piece).is_ok() {
            let pre_tokens = PreTokens { start: 0, ends: &[piece.len() as u32], others: u64::MAX };
            self.characters(Plain, piece, pre_tokens, &NO_KEYS);
        } else {
            self.part(piece, 0, piece.len());
        }
    }

    /// Appends the ids of the piece `text[start..end]`, which is not cut. More of the text than the piece is wanted for
    /// its key: bytes behind it may be loaded with it.
    fn part(&mut self, text: &[u8], start: usize, end: usize) {
        if end - start <= SHORT {
            let key = short_key(text, start, end);
            if let Some(few) = self.scratch.memo.short(key, set_of(key)) {
                return self.ids.few(few);
            }
        }
        self.longer(text, start..end);
    }

    /// Appends the ids of a pre-token of ASCII that was not among the memo's short ones when its chunk began.
    #[inline(always)]
    fn new_one(
        &mut self,
        reading: impl Reading,
        text: &[u8],
        piece: Range<usize>,
        (key, set): Asked,
        hash: Option<u64>,
    ) {
        match (hash, reading.find(&self.scratch.memo, key, set)) {
            (None, _) => self.longer(text, piece),
            // Another of the chunk was the same.
            (_, Some(few)) => self.ids.few(few),
            (hash, None) => self.merged(text, piece, hash),
        }
    }

    /// Appends the ids of a piece that is none of the memo's short ones.
    fn longer(&mut self, text: &[u8], piece: Range<usize>) {
        match self.scratch.memo.long(text, piece.clone()) {
            Some(known) => self.ids.some(known),
            None => self.merged(text, piece, None),
        }
    }

    /// Appends the ids of a piece that is none of the memo's short ones, these characters of the block. If its hash is known
    /// the memo knows nothing of it.
    fn several(&mut self, text: &[u8], piece: Range<usize>, characters: Range<usize>, hash: Option<u64>) {
        let known = if hash.is_none() { self.scratch.memo.long(text, piece.clone()) } else { None };
        match known {
            Some(known) => self.ids.some(known),
            None => self.merged_characters(text, piece, characters, hash),
        }
    }

    /// As [`Pieces::merged`], of these characters of the block.
    #[cold]
    fn merged_characters(&mut self, text: &[u8], place: Range<usize>, characters: Range<usize>, hash: Option<u64>) {
        let piece = &text[place.clone()];
        let Scratch { memo, merger, block, .. } = &mut *self.scratch;
        let (tokenizer, codes) = (self.tokenizer, &block.codes[characters]);
        let ids = self.ids.merged(|ids| match tokenizer.reached(piece, hash) {
            Some(id) => ids.push(id),
            // A pre-token of ASCII has no codes.
            None if piece.is_ascii() => tokenizer.merge(merger, piece, ids),
            None => tokenizer.merge_characters(merger, codes, piece, ids),
        });
        memo.keep(text, place, ids);
    }

    /// Appends the ids of a piece that is a token, or else by merging, and keeps them. Looking tokens up when they are
    /// met saves filling the memo with all of them at first.
    #[cold]
    fn merged(&mut self, text: &[u8], place: Range<usize>, hash: Option<u64>) {
        let piece = &text[place.clone()];
        let Scratch { memo, merger, .. } = &mut *self.scratch;
        let tokenizer = self.tokenizer;
        let ids = self.ids.merged(|ids| match tokenizer.reached(piece, hash) {
            Some(id) => ids.push(id),
            None => tokenizer.merge(merger, piece, ids),
        });
        memo.keep(text, place, ids);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::testing::learned;
    use super::super::{Tokenizer, naive_encode};

    const TEXT: &str = include_str!("../../corpora/zh/bicycle-repair.txt");
    static CHARACTERS: LazyLock<Vec<char>> = LazyLock::new(|| TEXT.chars().collect());
    /// One of words of Chinese, and one with tokens that begin and end inside characters.
    static CHINESE: LazyLock<[Tokenizer; 2]> = LazyLock::new(|| {
        let lines: String = TEXT.split_inclusive(['。', '，', '\n']).flat_map(|part| [part, part, "\n\n"]).collect();
        [learned("ciyuan", &lines, 2500), learned(r"regex:\S+|\s+", TEXT, 1500)]
    });

    #[test]
    fn words_of_chinese_are_merged_at_once() {
        assert!(CHINESE[0].whole_pairs().is_some());
        for tokenizer in &*CHINESE {
            assert_eq!(tokenizer.encode(TEXT).unwrap(), naive_encode(tokenizer, TEXT).unwrap());
        }
    }

    proptest! {
        /// Stretches of real text, and what may stand between them.
        #[test]
        fn chinese_among_others(
            parts in proptest::collection::vec(
                (any::<u16>(), 0usize..40, prop::sample::select(vec!["", "\n", " ", "，", "the then ", "é", "𠮷", "a", "。\n\n"])),
                1..60,
            ),
        ) {
            let mut text = String::new();
            for (start, length, between) in parts {
                text.extend(CHARACTERS.iter().cycle().skip(usize::from(start) % CHARACTERS.len()).take(length));
                text.push_str(between);
            }
            for tokenizer in &*CHINESE {
                let ids = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(&ids, &naive_encode(tokenizer, &text).unwrap());
                prop_assert_eq!(tokenizer.count(&text).unwrap(), ids.len());
            }
        }
    }
}
