//! Ids to bytes.
//!
//! The bytes of nearly every token stand in a slot of 16, the last of which is their number, so that a token is one load
//! and one store whatever its length: what is stored beyond its end, the next token overwrites. Tokens of more than 15
//! bytes, special ones, and ids beyond the table are looked up where they are kept.
//!
//! The slots go to a small buffer first, and from there to the end of the bytes that are given: it has room for what is
//! stored beyond the end. A place in it is cut to its first bytes by a mask, which changes none and spares each token a
//! comparison with the end (a fifth faster; slots stored right into the given bytes, which takes `unsafe`, were a tenth
//! faster still; four ids at once, slots of 8 bytes before those of 16, and bytes filled with zeros ahead, were slower).

use super::character_model::CharacterModel;
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::vocab::{TokenId, TokenizerSpec};

const SLOT: usize = 16;
/// The longest token in a slot.
const LONGEST: usize = SLOT - 1;
/// Ids that have a slot at the most: a file may name ids far beyond the number of its tokens.
const MAX_SLOTS: u32 = 1 << 20;
/// Ids that go to the buffer at once.
const BLOCK: usize = 128;
/// The places in the buffer at which a token of a block may begin: a power of two.
const PLACES: usize = (BLOCK * SLOT).next_power_of_two();
/// Ids by which the number of bytes is foretold, at the most, and one of how many they are at the least.
const SAMPLE: usize = 256;
const STEP: usize = 8;

/// The bytes of short tokens by id; without any, all are looked up.
#[derive(Debug, Default)]
pub(super) struct ShortTokens {
    /// The number of bytes stands last; 0 where the token is not here.
    slots: Vec<[u8; SLOT]>,
}

impl ShortTokens {
    pub(super) fn new(spec: &TokenizerSpec) -> Self {
        let mut slots = vec![[0; SLOT]; spec.vocab().id_end().min(MAX_SLOTS) as usize];
        for (id, bytes) in spec.vocab().iter() {
            if let (Some(slot), ..=LONGEST) = (slots.get_mut(id as usize), bytes.len()) {
                slot[..bytes.len()].copy_from_slice(bytes);
                slot[LONGEST] = bytes.len() as u8;
            }
        }
        Self { slots }
    }

    /// About how many bytes `ids` have, by the lengths of some of them. Those of a block are counted when they are copied.
    fn length(&self, ids: &[TokenId]) -> usize {
        if ids.len() <= BLOCK {
            return 0;
        }
        let step = (ids.len() / SAMPLE).max(STEP);
        let length = |id: &TokenId| self.slots.get(*id as usize).map_or(SLOT, |slot| usize::from(slot[LONGEST]));
        let sampled = ids.iter().step_by(step).map(length).sum::<usize>() * step;
        sampled + sampled / 8 + 4 * SLOT
    }

    /// The bytes of the first tokens of `ids` go to the buffer, as far as they are here; says how many tokens and bytes.
    #[inline]
    fn copy(&self, ids: &[TokenId], buffer: &mut [u8; PLACES + SLOT]) -> (usize, usize) {
        let (count, mut end) = (ids.len().min(BLOCK), 0);
        for (done, id) in ids[..count].iter().enumerate() {
            let Some(slot) = self.slots.get(*id as usize).filter(|slot| slot[LONGEST] > 0) else {
                return (done, end);
            };
            let at = end & (PLACES - 1);
            buffer[at..at + SLOT].copy_from_slice(slot);
            end += usize::from(slot[LONGEST]);
        }
        (count, end)
    }
}

impl Tokenizer {
    /// The bytes of `ids`, special tokens by their names. They are text only as a whole: an id may be part of a
    /// character. [`DecodeStream`](super::DecodeStream) gives text id by id. In a vocabulary of characters they are what its
    /// [decoder](crate::vocab::Decoder) makes of the tokens.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id without a token.
    pub fn decode(&self, ids: &[TokenId]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.short_tokens().length(ids));
        self.decode_into(ids, &mut bytes)?;
        Ok(bytes)
    }

    /// Appends the bytes of `ids`, as [`Tokenizer::decode`] gives them; nothing in case of an error.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id without a token.
    pub fn decode_into(&self, ids: &[TokenId], bytes: &mut Vec<u8>) -> Result<()> {
        if let Some(model) = self.character_model() {
            return self.decode_characters(model, ids, bytes);
        }
        let before = bytes.len();
        let mut buffer = [0; PLACES + SLOT];
        let mut done = 0;
        while done < ids.len() {
            let (count, length) = self.short_tokens().copy(&ids[done..], &mut buffer);
            bytes.extend_from_slice(&buffer[..length]);
            done += count;
            if count < BLOCK && done < ids.len() {
                let token = self.token_of(ids[done], done).inspect_err(|_| bytes.truncate(before))?;
                bytes.extend_from_slice(token);
                done += 1;
            }
        }
        Ok(())
    }

    fn decode_characters(&self, model: &CharacterModel, ids: &[TokenId], bytes: &mut Vec<u8>) -> Result<()> {
        let [first, ..] = ids else { return Ok(()) };
        let mut text = Vec::with_capacity(ids.len() * 4);
        for (position, id) in ids.iter().enumerate() {
            text.extend_from_slice(self.token_of(*id, position)?);
        }
        model.finish(*first, &mut text);
        bytes.append(&mut text);
        Ok(())
    }

    /// The bytes of the id at `position` of those given.
    pub(super) fn token_of(&self, id: TokenId, position: usize) -> Result<&[u8]> {
        let unknown = || Error::UnknownToken { id, position, vocab_size: self.spec().vocab_size() };
        self.token_bytes(id).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::of_tokens;
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// Tokens of 1 to 40 bytes, a gap in the ids, some beyond the table, a special token.
    static TOKENS: LazyLock<Tokenizer> = LazyLock::new(|| {
        let long = |n: usize| (0..n).map(|at| b'a' + at as u8 % 26).collect::<Vec<u8>>();
        let tokens = (2..=40).map(|n| (400 + n as u32, long(n)));
        let high = (2..=20).map(|n| (MAX_SLOTS - 10 + n as u32, [b"x".to_vec(), long(n)].concat()));
        of_tokens(tokens.chain(high), vec![(300, "<|endoftext|>".to_owned()), (2_000_000, "<|high|>".to_owned())])
    });

    /// One by one.
    fn plain(ids: &[TokenId]) -> Option<Vec<u8>> {
        ids.iter().map(|id| TOKENS.token_bytes(*id)).collect::<Option<Vec<_>>>().map(|tokens| tokens.concat())
    }

    #[test]
    fn every_token() {
        let known: Vec<TokenId> = (0..2_000_100).filter(|id| TOKENS.token_bytes(*id).is_some()).collect();
        assert_eq!(known.len(), 256 + 39 + 19 + 2);
        assert_eq!(TOKENS.decode(&known).unwrap(), plain(&known).unwrap());
        for id in known {
            assert_eq!(TOKENS.decode(&[id]).unwrap(), TOKENS.token_bytes(id).unwrap());
        }
        assert_eq!(TOKENS.decode(&[300]).unwrap(), b"<|endoftext|>");
    }

    #[test]
    fn an_unknown_id_leaves_what_was_there() {
        let mut bytes = b"before".to_vec();
        TOKENS.decode_into(&[402], &mut bytes).unwrap();
        for unknown in [256, 301, MAX_SLOTS - 5 + 40, 3_000_000, u32::MAX] {
            let mut ids = vec![415; 300];
            ids.insert(277, unknown);
            let error = TOKENS.decode_into(&ids, &mut bytes).unwrap_err();
            assert!(matches!(error, Error::UnknownToken { id, position: 277, vocab_size: 2_000_001 } if id == unknown));
            assert_eq!(bytes, b"beforeab");
        }
    }

    proptest! {
        #[test]
        fn equals_one_by_one(
            ids in prop::collection::vec(prop_oneof![40 => 0u32..256, 20 => 402u32..441, 1 => 0u32..1000], 0..300),
        ) {
            prop_assert_eq!(TOKENS.decode(&ids).ok(), plain(&ids));
        }
    }
}
