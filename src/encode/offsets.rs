//! Ids with the places of their tokens in the text.

use std::ops::Range;

use super::aligned::Places;
use super::character_model::CharacterModel;
use super::encoder::Encoder;
use super::parts::Parts;
use super::prepare::{Finders, PlacedPart};
use super::steps::merge_by_steps;
use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::segment::kept_ranges;
use crate::vocab::TokenId;

/// The bytes of `text` that make up all characters of which some byte is in `bytes`: what Hugging Face gives for the
/// place of a token.
///
/// ```
/// assert_eq!(ciyuan::encode::whole_characters("a词b", 2..5), 1..5);
/// assert_eq!(ciyuan::encode::whole_characters("a词b", 2..3), 1..4);
/// ```
#[must_use]
pub fn whole_characters(text: &str, bytes: Range<usize>) -> Range<usize> {
    text.floor_char_boundary(bytes.start)..text.ceil_char_boundary(bytes.end)
}

impl Tokenizer {
    /// The ids of `text`, and for each the bytes of the text that its token is; special tokens are ordinary text.
    ///
    /// Tokens stand one behind the other, in the order of the text. There are gaps between them only where the pattern
    /// takes text out ([`Pattern::drops_text`](crate::segment::Pattern::drops_text)). A token may begin or end inside a
    /// character: [`whole_characters`] gives the characters that it has a part in, two tokens the same one then. An added
    /// token has the place of all it stands for, the white space with it that it takes.
    ///
    /// Where the tokenizer changes the text first, the places are still those in the text that is given: what a normalizer
    /// made has the place of what it made it of, as Hugging Face's library counts it. Two tokens may have the same place
    /// then, and there may be gaps.
    ///
    /// ```
    /// use ciyuan::encode::Tokenizer;
    /// use ciyuan::segment::{HanEdges, Pattern};
    /// use ciyuan::vocab::TokenizerSpec;
    /// let pattern = Pattern::parse("cl100k")?.source().to_owned();
    /// let spec = TokenizerSpec::from_learned(pattern, HanEdges::None, &[], &[])?; // no merges: a token a byte
    /// let (ids, offsets) = Tokenizer::new(spec)?.encode_with_offsets("a词")?;
    /// assert_eq!((ids.len(), offsets), (4, vec![0..1, 1..2, 2..3, 3..4]));
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`], and [`Limit`](crate::Error::Limit) for 4 GiB or more of text that is changed.
    pub fn encode_with_offsets(&self, text: &str) -> Result<(Vec<TokenId>, Vec<Range<usize>>)> {
        let (mut ids, mut offsets) = (Vec::new(), Vec::new());
        Encoder::new(self).encode_with_offsets_into(text, &mut ids, &mut offsets)?;
        Ok((ids, offsets))
    }

    /// The same where the special tokens named in `allowed` stand for themselves, as in [`Tokenizer::encode_with`].
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::encode_with_offsets`] and of [`Tokenizer::encode_with`].
    pub fn encode_with_allowed_offsets(
        &self,
        text: &str,
        allowed: &[&str],
    ) -> Result<(Vec<TokenId>, Vec<Range<usize>>)> {
        let finders = self.preparation().allowing(self.spec(), allowed)?;
        let (mut ids, mut offsets) = (Vec::new(), Vec::new());
        Encoder::new(self).parts_with_offsets_into(&finders, text, &mut ids, &mut offsets)?;
        Ok((ids, offsets))
    }
}

impl Encoder<'_> {
    /// Appends the ids of `text` and their offsets in it, as [`Tokenizer::encode_with_offsets`] gives them; nothing in
    /// case of an error.
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::encode_with_offsets`].
    pub fn encode_with_offsets_into(
        &mut self,
        text: &str,
        ids: &mut Vec<TokenId>,
        offsets: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        self.parts_with_offsets_into(self.tokenizer().preparation().always(), text, ids, offsets)
    }

    /// The same where these added tokens stand for themselves.
    fn parts_with_offsets_into(
        &mut self,
        finders: &Finders,
        text: &str,
        ids: &mut Vec<TokenId>,
        offsets: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        let (tokenizer, before) = (self.tokenizer(), (ids.len(), offsets.len()));
        let placed = tokenizer.preparation().placed_parts(finders, text, &mut |part| match part {
            PlacedPart::Token(id, range) => {
                ids.push(id);
                offsets.push(range);
                Ok(())
            }
            PlacedPart::Text(text, places) => match tokenizer.character_model() {
                Some(model) => self.characters_with_offsets_into(model, text, places, ids, offsets),
                None => self.text_with_offsets_into(text, places, ids, offsets),
            },
        });
        placed.inspect_err(|_| {
            ids.truncate(before.0);
            offsets.truncate(before.1);
        })
    }

    /// Appends the ids and offsets of a text to the pattern.
    fn text_with_offsets_into(
        &mut self,
        text: &str,
        places: Places<'_>,
        ids: &mut Vec<TokenId>,
        offsets: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        for (start, part) in Parts::prepared(self.tokenizer(), text) {
            let first = ids.len();
            self.part_into(part, ids).map_err(|error| error.moved(places.of(start..start).start))?;
            self.place(start, places, &ids[first..], offsets);
        }
        Ok(())
    }

    /// The same for merges of characters, done one by one: a token may stand for a character, for one byte of one, or for
    /// a run of unknown ones.
    fn characters_with_offsets_into(
        &mut self,
        model: &CharacterModel,
        text: &str,
        places: Places<'_>,
        ids: &mut Vec<TokenId>,
        offsets: &mut Vec<Range<usize>>,
    ) -> Result<()> {
        let tokenizer = self.tokenizer();
        let (mut ends, mut dropped) = (Vec::new(), Vec::new());
        tokenizer.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
        for piece in kept_ranges(&ends, &dropped) {
            if let Some(id) = tokenizer.whole_token(text[piece.clone()].as_bytes()) {
                ids.push(id);
                offsets.push(places.of(piece));
                continue;
            }
            model.parts(&text[piece.clone()], |part| {
                let start = piece.start + part.start;
                let (units, at) = model.placed_units(&text[start..piece.start + part.end]);
                let merged = merge_by_steps(tokenizer.pairs(), units.into_iter(), || true, |_| {});
                let next = merged.iter().skip(1).map(|(first, _)| *first as usize).chain([at.len()]);
                for ((first, id), next) in merged.iter().zip(next) {
                    ids.push(*id);
                    offsets.push(places.of(start + at[*first as usize].start..start + at[next - 1].end));
                }
            });
        }
        Ok(())
    }

    /// Appends the offsets of the ids of the text that was encoded last, which begins at `start` of a part. No token
    /// reaches over a gap, so one that would begin at the start of a gap begins behind it.
    fn place(&self, start: usize, places: Places<'_>, ids: &[TokenId], offsets: &mut Vec<Range<usize>>) {
        let mut gaps = self.gaps().peekable();
        let mut at = 0;
        offsets.extend(ids.iter().map(|&id| {
            while let Some(gap) = gaps.next_if(|gap| gap.start == at) {
                at = gap.end;
            }
            let from = at;
            at += self.tokenizer().token_bytes(id).map_or(0, <[u8]>::len);
            places.of(start + from..start + at)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::learned;
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
        let text = "词元是词，词元也是元。aaaaaaaa abababab the then there";
        let whitespace = r#"{"type":"Whitespace"}"#;
        ["ciyuan", "cl100k", r"regex:\w+", whitespace].iter().map(|pattern| learned(pattern, text, 40)).collect()
    });

    #[test]
    fn what_is_taken_out_is_jumped_over() {
        let tokenizer = &TOKENIZERS[3];
        let (ids, offsets) = tokenizer.encode_with_offsets("  ab\u{3000}\n词元 !").unwrap();
        assert_eq!(ids.len(), 3);
        assert_eq!(offsets, [2..4, 8..14, 15..16]);
    }

    #[test]
    fn a_token_may_end_inside_a_character() {
        let text = "我a";
        let (_, offsets) = TOKENIZERS[0].encode_with_offsets(text).unwrap();
        assert_eq!(offsets, [0..1, 1..2, 2..3, 3..4]);
        let whole: Vec<_> = offsets.into_iter().map(|bytes| whole_characters(text, bytes)).collect();
        assert_eq!(whole, [0..3, 0..3, 0..3, 3..4]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn offsets_hold_their_tokens(text in "[词元是，the ab\n\u{3000}!é]{0,60}") {
            for tokenizer in &*TOKENIZERS {
                let (ids, offsets) = tokenizer.encode_with_offsets(&text).unwrap();
                prop_assert_eq!(&ids, &tokenizer.encode(&text).unwrap());
                prop_assert_eq!(ids.len(), offsets.len());
                let mut done = 0;
                for (id, bytes) in ids.iter().zip(offsets) {
                    prop_assert_eq!(tokenizer.token_bytes(*id).unwrap(), &text.as_bytes()[bytes.clone()]);
                    // What lies between is what the pattern takes out.
                    let gap = text.get(done..bytes.start).unwrap_or_default();
                    prop_assert!(gap.chars().all(char::is_whitespace));
                    prop_assert!(done == bytes.start || tokenizer.segmenter().pattern().drops_text() && !gap.is_empty());
                    done = bytes.end;
                }
            }
        }
    }
}
