//! One thread's encoder.
//!
//! A text is cut into pre-tokens, and these into pieces, which are looked up or merged (`pieces.rs`).

use std::ops::Range;

use super::block;
use super::character_model::CharacterModel;
use super::ids::{Counter, Ids};
use super::parts::Parts;
use super::pieces::{All, Pieces};
use super::prepare::{Finders, Part};
use super::tokenizer::{Scratch, Tokenizer};
use super::two_stages::Room;
use crate::error::Result;
use crate::segment::{Segmenter, kept_pieces};
use crate::vocab::TokenId;

/// Encodes text after text with the same scratch space: a memo of 10 MB, taken from the tokenizer and given back to it.
pub struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    ends: Vec<u32>,
    dropped: Vec<u32>,
    /// Ids that are counted where they cannot but be written.
    counted: Vec<TokenId>,
    /// Only while an encoder is dropped there is none.
    scratch: Option<Scratch>,
    /// Of a tokenizer that merges in two stages, once it has encoded.
    room: Option<Room>,
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take() {
            self.tokenizer.give_back(scratch);
        }
        if let (Some(stages), Some(room)) = (self.tokenizer.two_stages(), self.room.take()) {
            stages.give_back(room);
        }
    }
}

impl<'t> Encoder<'t> {
    /// An encoder of `tokenizer`.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        let scratch = Some(tokenizer.scratch());
        Self { tokenizer, ends: Vec::new(), dropped: Vec::new(), counted: Vec::new(), scratch, room: None }
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
    pub(crate) fn encode_rest_into(&mut self, text: &str, goes_on: bool, ids: &mut Vec<TokenId>) -> Result<()> {
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
                self.cut_into(part, &mut counter)
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
        self.cut_into(text, ids)
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

    /// Gives the ids of a text that is not cut into parts.
    fn cut_into(&mut self, text: &str, ids: &mut impl Ids) -> Result<()> {
        let tokenizer = self.tokenizer;
        let (Some(stages), Some(scratch)) = (tokenizer.two_stages(), &mut self.scratch) else {
            return self.bytes_into(text.as_bytes(), true, cut_of(text), ids);
        };
        tokenizer.segmenter().spans_and_dropped(text, &mut self.ends, &mut self.dropped)?;
        let room = self.room.get_or_insert_with(|| stages.room());
        stages.encode(tokenizer, text, &self.ends, (room, &mut scratch.merger), ids)
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
