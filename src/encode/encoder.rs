//! One thread's encoder.
//!
//! A text is cut into pre-tokens; each of them is looked up in a memo, or merged. What makes Chinese fast is that its
//! pre-tokens, long runs that hardly ever come again, are cut further, where no token can span the edge of two
//! characters (`cuts.rs`): into single characters, whose ids stand in a table, and pieces of two or three, which do come
//! again.
//!
//! Tried and not faster: asking for the memo's lines of such pieces ahead, as is done for pre-tokens; a smaller memo;
//! characters read, looked up and told apart in one loop; ids of known pre-tokens gathered in a buffer; keys of long
//! pieces read as two halves that overlap; the two slots of a set compared without a jump between them.

use std::ops::Range;

use super::block::{self, Block, CHARACTERS, Plain, Reading, Work};
use super::character_model::CharacterModel;
use super::ids::{Counter, Ids};
use super::memo::{Key, SHORT, set_of, short_key};
use super::parts::Parts;
use super::prepare::{Finders, Part};
use super::tokenizer::{Scratch, Tokenizer};
use crate::error::Result;
use crate::segment::{Segmenter, kept_pieces};
use crate::vocab::TokenId;

/// Pre-tokens whose keys are made before the first of them is looked up, so that the look-ups overlap.
const BLOCK: usize = 64;

/// The high bit of every byte of a key: none of a piece of ASCII.
const NOT_ASCII: Key = 0x8080_8080_8080_8080_8080_8080_8080_8080;

/// The key of no piece: its length would be 255.
const NO_KEY: Key = Key::MAX;

/// Encodes text after text with the same scratch space: a memo of 10 MB, taken from the tokenizer and given back to it.
pub struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    ends: Vec<u32>,
    dropped: Vec<u32>,
    /// Ids that are counted where they cannot but be written.
    counted: Vec<TokenId>,
    /// Only while an encoder is dropped there is none.
    scratch: Option<Scratch>,
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take() {
            self.tokenizer.give_back(scratch);
        }
    }
}

impl<'t> Encoder<'t> {
    /// An encoder of `tokenizer`.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        let scratch = Some(tokenizer.scratch());
        Self { tokenizer, ends: Vec::new(), dropped: Vec::new(), counted: Vec::new(), scratch }
    }

    /// Appends the ids of `text`; special tokens in it are ordinary text. In case of an error nothing is appended.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<TokenId>) -> Result<()> {
        self.encode_rest_into(text, false, ids)
    }

    /// Appends the ids of `text`, which goes on from a seam (`seams.rs`) or does not; in case of an error nothing.
    pub(super) fn encode_rest_into(&mut self, text: &str, goes_on: bool, ids: &mut Vec<TokenId>) -> Result<()> {
        if self.tokenizer.is_plain() {
            return self.text_into(text, ids);
        }
        let (finders, before) = (self.tokenizer.preparation().always(), ids.len());
        // Part by part, so that there is never all of the changed text.
        for (start, part) in Parts::new(self.tokenizer, text) {
            let encoded = self.encode_parts_into(finders, part, goes_on || start > 0, ids);
            encoded.map_err(|error| error.moved(start)).inspect_err(|_| ids.truncate(before))?;
        }
        Ok(())
    }

    /// The same where these added tokens stand for themselves.
    pub(super) fn encode_parts_into(
        &mut self,
        finders: &Finders,
        text: &str,
        goes_on: bool,
        ids: &mut Vec<TokenId>,
    ) -> Result<()> {
        let (tokenizer, before) = (self.tokenizer, ids.len());
        let mut each = |part: Part<'_>| match (part, tokenizer.character_model()) {
            (Part::Token(id), _) => {
                ids.push(id);
                Ok(())
            }
            (Part::Text(text), None) => self.text_into(text, ids),
            (Part::Text(text), Some(model)) => self.characters_into(model, text, ids),
        };
        let encoded = tokenizer.preparation().parts(finders, text, goes_on, &mut each);
        encoded.inspect_err(|_| ids.truncate(before))
    }

    /// Appends the ids of a part of a text in which merges start from characters.
    fn characters_into(&mut self, model: &CharacterModel, text: &str, ids: &mut Vec<TokenId>) -> Result<()> {
        let tokenizer = self.tokenizer;
        tokenizer.segmenter().spans_and_dropped(text, &mut self.ends, &mut self.dropped)?;
        let Some(scratch) = &mut self.scratch else { return Ok(()) };
        for piece in kept_pieces(text, &self.ends, &self.dropped) {
            match tokenizer.whole_token(piece.as_bytes()) {
                Some(id) => ids.push(id),
                None => model.encode(tokenizer.pairs(), scratch, piece, ids),
            }
        }
        Ok(())
    }

    /// Appends the ids of a text that the pattern cuts as it is.
    fn text_into(&mut self, text: &str, ids: &mut Vec<TokenId>) -> Result<()> {
        let before = ids.len();
        for (start, part) in Parts::prepared(self.tokenizer, text) {
            if let Err(error) = self.part_into(part, ids) {
                ids.truncate(before);
                return Err(error.moved(start));
            }
        }
        Ok(())
    }

    /// How many ids `text` has. Few of them are written: those of pieces that are met for the first time, and where the
    /// tokenizer changes its texts.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn count(&mut self, text: &str) -> Result<usize> {
        let mut counter = Counter { count: 0, room: std::mem::take(&mut self.counted) };
        let is_plain = self.tokenizer.is_plain();
        let counted = Parts::new(self.tokenizer, text).try_for_each(|(start, part)| {
            let encoded = if is_plain {
                self.bytes_into(part.as_bytes(), true, cut_of(part), &mut counter)
            } else {
                counter.room.clear();
                let encoded = self.encode_rest_into(part, start > 0, &mut counter.room);
                counter.count += counter.room.len();
                encoded
            };
            encoded.map_err(|error| error.moved(start))
        });
        self.counted = counter.room;
        counted.map(|()| counter.count)
    }

    /// Appends the ids of bytes that may be no UTF-8; [`Segmenter::byte_spans`] states how they are cut.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_bytes_into(&mut self, bytes: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        self.encode_rest_of_bytes_into(bytes, false, ids)
    }

    /// The same for bytes that go on from a seam or do not.
    pub(super) fn encode_rest_of_bytes_into(
        &mut self,
        bytes: &[u8],
        goes_on: bool,
        ids: &mut Vec<TokenId>,
    ) -> Result<()> {
        if !self.tokenizer.is_plain() {
            return self.chunks_into(bytes, goes_on, ids);
        }
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.text_into(text, ids);
        }
        let cut = |segmenter: &Segmenter, ends: &mut _, dropped: &mut _| segmenter.byte_spans(bytes, ends, dropped);
        self.bytes_into(bytes, false, cut, ids)
    }

    /// Appends the ids of a text that is not cut into parts.
    pub(super) fn part_into(&mut self, text: &str, ids: &mut Vec<TokenId>) -> Result<()> {
        self.bytes_into(text.as_bytes(), true, cut_of(text), ids)
    }

    pub(super) fn tokenizer(&self) -> &'t Tokenizer {
        self.tokenizer
    }

    /// Where the spans are that the pattern took out of the text that was encoded last.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Range<usize>> {
        self.dropped.iter().map(|&at| {
            let start = (at as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
            start as usize..self.ends[at as usize] as usize
        })
    }

    /// Appends the ids of bytes whose valid stretches are texts by themselves; the first may go on.
    fn chunks_into(&mut self, bytes: &[u8], goes_on: bool, ids: &mut Vec<TokenId>) -> Result<()> {
        let (mut start, mut at) = (0, 0);
        for chunk in bytes.utf8_chunks() {
            if !chunk.valid().is_empty() {
                self.others_into(&bytes[start..at], ids);
                self.encode_rest_into(chunk.valid(), goes_on && at == 0, ids)?;
                start = at + chunk.valid().len();
            }
            at += chunk.valid().len() + chunk.invalid().len();
        }
        self.others_into(&bytes[start..], ids);
        Ok(())
    }

    /// Appends the ids of bytes that are no text.
    fn others_into(&mut self, bytes: &[u8], ids: &mut Vec<TokenId>) {
        match (self.tokenizer.character_model(), &mut self.scratch) {
            (Some(model), _) => model.bytes(bytes, ids),
            (None, Some(scratch)) => match self.tokenizer.whole_piece(bytes) {
                Some(id) => ids.push(id),
                None => self.tokenizer.merge(&mut scratch.merger, bytes, ids),
            },
            (None, None) => {}
        }
    }

    /// Gives the ids of `text`.
    fn bytes_into(
        &mut self,
        text: &[u8],
        is_text: bool,
        cut: impl FnOnce(&Segmenter, &mut Vec<u32>, &mut Vec<u32>) -> Result<()>,
        ids: &mut impl Ids,
    ) -> Result<()> {
        cut(self.tokenizer.segmenter(), &mut self.ends, &mut self.dropped)?;
        let Some(scratch) = &mut self.scratch else { return Ok(()) };
        let mut pieces = Pieces { tokenizer: self.tokenizer, is_text, scratch, ids };
        if self.dropped.is_empty() && !self.tokenizer.has_whole_pieces() {
            block::run(All { pieces: &mut pieces, text, ends: &self.ends });
        } else {
            kept_pieces(text, &self.ends, &self.dropped).for_each(|piece| pieces.whole_or_parts(piece));
        }
        Ok(())
    }
}

/// Cuts a text, for [`Encoder::bytes_into`].
fn cut_of(text: &str) -> impl FnOnce(&Segmenter, &mut Vec<u32>, &mut Vec<u32>) -> Result<()> {
    move |segmenter, ends, dropped| segmenter.spans_and_dropped(text, ends, dropped)
}

/// Encoding the pieces of a text.
struct Pieces<'e, I> {
    tokenizer: &'e Tokenizer,
    /// Whether all pieces are valid UTF-8.
    is_text: bool,
    scratch: &'e mut Scratch,
    ids: &'e mut I,
}

/// All pieces of a text, which end at `ends`.
struct All<'a, 'e, I> {
    pieces: &'a mut Pieces<'e, I>,
    text: &'a [u8],
    ends: &'a [u32],
}

impl<I: Ids> Work for All<'_, '_, I> {
    #[inline(always)]
    fn run(self, reading: impl Reading) {
        self.pieces.all(reading, self.text, self.ends);
    }
}

impl<I: Ids> Pieces<'_, I> {
    /// Appends the ids of the pre-tokens of `text` with these ends.
    #[inline(always)]
    fn all(&mut self, reading: impl Reading, text: &[u8], ends: &[u32]) {
        let mut start = 0;
        for ends in ends.chunks(BLOCK) {
            let (keys, others) = self.keys(text, start, ends);
            let mut at = 0;
            while at < ends.len() {
                let end = ends[at] as usize;
                if others >> at & 1 == 0 {
                    let (key, set) = keys[at];
                    match self.scratch.memo.short(key, set) {
                        Some(few) => self.ids.few(few),
                        None => self.longer(&text[start..end]),
                    }
                    (start, at) = (end, at + 1);
                } else if self.is_text {
                    // With all pre-tokens behind it that are not ASCII either.
                    let behind = at + (others >> at).trailing_ones() as usize;
                    self.characters(reading, text, start, &ends[at..behind]);
                    (start, at) = (ends[behind - 1] as usize, behind);
                } else {
                    self.parts(&text[start..end]);
                    (start, at) = (end, at + 1);
                }
            }
        }
    }

    /// The keys of short pre-tokens, and their sets, which are asked for on the way; [`NO_KEY`] for longer
    /// ones. Bit k: pre-token k is not ASCII.
    #[inline(always)]
    fn keys(&self, text: &[u8], start: usize, ends: &[u32]) -> ([(Key, usize); BLOCK], u64) {
        let (mut keys, mut others) = ([(NO_KEY, 0); BLOCK], 0);
        let mut from = start;
        for (at, (key, end)) in keys.iter_mut().zip(ends).enumerate() {
            let end = *end as usize;
            if end - from <= SHORT {
                let of_piece = short_key(text, from, end);
                // Others are not looked up as they are.
                let set = if of_piece & NOT_ASCII == 0 { set_of(of_piece) } else { 0 };
                others |= u64::from(of_piece & NOT_ASCII != 0) << at;
                *key = (of_piece, set);
                self.scratch.memo.prefetch(set);
            } else {
                others |= u64::from(!text[from..end].is_ascii()) << at;
            }
            from = end;
        }
        (keys, others)
    }

    /// Appends the ids of pre-tokens of valid text, cut where that is safe. `pieces` are their ends.
    #[inline(always)]
    fn characters(&mut self, reading: impl Reading, text: &[u8], start: usize, pieces: &[u32]) {
        let characters = self.tokenizer.characters();
        let end = pieces[pieces.len() - 1] as usize;
        let (mut at, mut piece) = (start, 0);
        while at < end {
            let begin = at;
            let block = &mut self.scratch.block;
            let (stop, ended) = block.read(reading, characters, text, (at, end), &pieces[piece..]);
            (at, piece) = (stop, piece + ended);
            if at < end && block.joined.count_ones() as usize + 1 == block.count {
                let last = block.starts[block.count - 1] as usize;
                let piece_end =
                    pieces[piece..].iter().find(|end| **end as usize > last).map_or(end, |end| *end as usize);
                at = characters.stretch_end(text, last, piece_end);
                self.part(text, begin, at);
                piece += pieces[piece..].iter().take_while(|end| **end as usize <= at).count();
            } else {
                self.block(text);
            }
        }
    }

    /// Appends the ids of the block of characters.
    ///
    /// Single characters and pieces of several are told apart once for the block, and their ids gathered in one loop: a
    /// jump that is not foreseen costs as much as some characters.
    #[inline(always)]
    fn block(&mut self, text: &[u8]) {
        let Block { count, joined, beyond, .. } = *self.scratch.block;
        self.scratch.gathered.characters(self.tokenizer.characters(), &self.scratch.block.codes[..count]);
        let mut heads = !(joined << 1) & u64::MAX >> (CHARACTERS - count);
        let mut others = heads & (joined | beyond);
        while others != 0 {
            let at = others.trailing_zeros() as usize;
            others &= others - 1;
            let behind = at + 1 + (joined >> at).trailing_ones() as usize;
            let Scratch { block, gathered, memo, .. } = &mut *self.scratch;
            let (start, end) = (block.starts[at] as usize, block.starts[behind] as usize);
            if end - start <= SHORT {
                let key = short_key(text, start, end);
                if let Some(few) = memo.short(key, set_of(key)) {
                    gathered.put(at, few);
                    continue;
                }
            }
            self.ids.gathered(gathered, heads & !(u64::MAX << at));
            heads &= u64::MAX << at << 1;
            self.several(&text[start..end], at..behind);
        }
        self.ids.gathered(&mut self.scratch.gathered, heads);
    }

    /// Appends the ids of a pre-token that may be a token as a whole.
    fn whole_or_parts(&mut self, piece: &[u8]) {
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
            self.characters(Plain, piece, 0, &[piece.len() as u32]);
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
        self.longer(&text[start..end]);
    }

    /// Appends the ids of a piece that is none of the memo's short ones.
    fn longer(&mut self, piece: &[u8]) {
        match self.scratch.memo.long(piece) {
            Some(known) => self.ids.some(known),
            None => self.merged(piece),
        }
    }

    /// Appends the ids of a piece that is none of the memo's short ones, these characters of the block.
    fn several(&mut self, piece: &[u8], characters: Range<usize>) {
        match self.scratch.memo.long(piece) {
            Some(known) => self.ids.some(known),
            None => self.merged_characters(piece, characters),
        }
    }

    /// As [`Pieces::merged`], of these characters of the block.
    #[cold]
    fn merged_characters(&mut self, piece: &[u8], characters: Range<usize>) {
        let Scratch { memo, merger, block, .. } = &mut *self.scratch;
        let (tokenizer, codes) = (self.tokenizer, &block.codes[characters]);
        let ids = self.ids.merged(|ids| match tokenizer.reached(piece) {
            Some(id) => ids.push(id),
            None => tokenizer.merge_characters(merger, codes, piece, ids),
        });
        memo.keep(piece, ids);
    }

    /// Appends the ids of a piece that is a token, or else by merging, and keeps them. Looking tokens up when they are
    /// met saves filling the memo with all of them at first.
    #[cold]
    fn merged(&mut self, piece: &[u8]) {
        let Scratch { memo, merger, .. } = &mut *self.scratch;
        let tokenizer = self.tokenizer;
        let ids = self.ids.merged(|ids| match tokenizer.reached(piece) {
            Some(id) => ids.push(id),
            None => tokenizer.merge(merger, piece, ids),
        });
        memo.keep(piece, ids);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::{HeapMerger, Merger};
    use super::super::testing::learned;
    use super::super::{Tokenizer, naive, naive_encode};
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static SMALL: LazyLock<Tokenizer> =
        LazyLock::new(|| learned("ciyuan", "词元是词，词元也是元。aaaaaaaa abababab the then there", 40));
    /// One span a text, so that all tokens meet.
    static WHOLE: LazyLock<Tokenizer> =
        LazyLock::new(|| learned(r"regex:(?s).+", "aaaabaaabbabaaaab 词元元词词元", 60));

    #[test]
    fn special_tokens_are_text_unless_allowed() {
        let text = "a<|endoftext|>b<|end|>er";
        let plain = SMALL.encode(text).unwrap();
        assert!(plain.iter().all(|&id| SMALL.spec().special().name(id).is_none()));
        assert_eq!(SMALL.decode(&plain).unwrap(), text.as_bytes());
        let special = SMALL.spec().special();
        let ids = SMALL.encode_with(text, &["<|endoftext|>", "<|end|>", "<|end|>er"]).unwrap();
        let a = SMALL.token_id(b"a").unwrap();
        let b = SMALL.token_id(b"b").unwrap();
        assert_eq!(ids, [a, special.end_of_text().unwrap(), b, special.id("<|end|>er").unwrap()]);
        assert_eq!(SMALL.decode(&ids).unwrap(), text.as_bytes());
        assert_eq!(SMALL.encode_with(text, &[]).unwrap(), plain);
        assert!(SMALL.encode_with(text, &["<|none|>"]).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_come_back() {
        for bytes in [
            &b""[..],
            b"the then",
            b"\xFF",
            "词\u{10FFFF}".as_bytes(),
            b"\xE8\xAF\x8D\xE8\xAF",
            b"aa\xF0\x9F aaaa\xC0\x80",
        ] {
            let ids = SMALL.encode_bytes(bytes).unwrap();
            assert_eq!(SMALL.decode(&ids).unwrap(), bytes);
        }
        assert_eq!(SMALL.encode_bytes("词元aaaa".as_bytes()).unwrap(), SMALL.encode("词元aaaa").unwrap());
    }

    #[test]
    fn a_pattern_that_changes_text_is_refused() {
        let pattern = r#"{"type":"Metaspace","replacement":"▁"}"#.to_owned();
        let spec = TokenizerSpec::from_learned(pattern, HanEdges::None, &[], &[]).unwrap();
        assert!(Tokenizer::new(spec).unwrap_err().to_string().contains("takes text as it is"));
    }

    #[test]
    fn unknown_ids_are_errors() {
        let error = SMALL.decode(&[1, 70_000]).unwrap_err().to_string();
        assert!(error.contains("id 70000 at position 1"), "{error}");
    }

    #[test]
    fn long_runs_do_not_take_quadratic_time() {
        // A plain loop over a million would take hours.
        for run in ["a".repeat(1_000_000), "词元".repeat(300_000), " ".repeat(1_000_000)] {
            let ids = WHOLE.encode(&run).unwrap();
            assert_eq!(WHOLE.decode(&ids).unwrap(), run.as_bytes());
        }
    }

    #[test]
    fn batches_keep_their_order() {
        let texts: Vec<String> = (0..500).map(|n| format!("the {n} 词元")).collect();
        let batch = SMALL.encode_batch(&texts).unwrap();
        for (text, ids) in texts.iter().zip(batch) {
            assert_eq!(ids, SMALL.encode(text).unwrap());
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab ]{0,300}", "[词元是，a ]{0,60}", any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn equals_the_plain_loop_and_returns(text in text()) {
            for tokenizer in [&*SMALL, &*WHOLE] {
                let ids = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(&ids, &naive_encode(tokenizer, &text).unwrap());
                prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
                prop_assert_eq!(tokenizer.count(&text).unwrap(), ids.len());
            }
        }

        #[test]
        fn heap_equals_loop_on_every_length(bytes in prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0xE8]), 0..200)) {
            let mut plain: Vec<TokenId> = WHOLE.byte_tokens(&bytes).collect();
            let (mut merged, mut heap) = (Vec::new(), Vec::new());
            WHOLE.merge(&mut Merger::default(), &bytes, &mut merged);
            HeapMerger::default().merge(WHOLE.pairs(), plain.clone().into_iter(), &mut heap);
            naive::merge(WHOLE.pairs(), &mut plain);
            prop_assert_eq!(&heap, &plain);
            prop_assert_eq!(merged, plain);
        }
    }
}
