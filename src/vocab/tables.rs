//! The parts of a tokenizer as tables of bytes, and back: what a prebuilt file holds (`encode/prebuilt.rs`).
//!
//! What is read is checked so far that no look-up can go wrong: ids and places lie inside what they point into. That a
//! table fits the tokens is taken on trust.

use super::added::checked;
use super::byte_level::gpt2_byte_order;
use super::slots::Slots;
use super::tokens::Ids;
use super::{MAX_ID, Merge, Merges, SpecialTokens, TokenId, TokenizerSpec, Vocab};
use crate::error::Result;

/// Numbers as little-endian bytes.
pub(crate) fn numbers_to_bytes(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Numbers of little-endian bytes; `None` when a part of one is left.
pub(crate) fn numbers_of_bytes(bytes: &[u8]) -> Option<Vec<u32>> {
    let (numbers, rest) = bytes.as_chunks();
    rest.is_empty().then(|| numbers.iter().map(|number| u32::from_le_bytes(*number)).collect())
}

/// Slots of which one must be empty, so that a look-up passes over fewer than twice as many.
pub(crate) const STRETCH: usize = 1 << 11;

/// Whether slots are as many as a table has, a power of two, and look-ups among them end soon.
pub(crate) fn searches_end<T>(slots: &[T], is_empty: impl Fn(&T) -> bool) -> bool {
    let stretches = || slots.chunks(STRETCH).all(|slots| slots.iter().any(&is_empty));
    slots.len() >= 2 && slots.len().is_power_of_two() && stretches()
}

impl Vocab {
    /// Bytes, ends, and ids by bytes, which are empty where they are in no table.
    pub(crate) fn to_tables(&self) -> [Vec<u8>; 3] {
        let ids = self.slots().map(Slots::to_table).unwrap_or_default();
        [self.bytes.clone(), numbers_to_bytes(&self.ends), ids]
    }

    /// The vocabulary of [`Vocab::to_tables`], or the number of the table that is wrong, and why.
    pub(crate) fn of_tables([bytes, ends, ids]: [&[u8]; 3]) -> std::result::Result<Self, (usize, &'static str)> {
        let ends = numbers_of_bytes(ends).filter(|ends| ends.len() <= MAX_ID as usize + 1);
        let ends = ends.ok_or((1, "it is no list of places"))?;
        if !ends.is_sorted() || ends.last().copied().unwrap_or(0) as usize != bytes.len() {
            return Err((1, "tokens do not follow each other, or do not end where their bytes end"));
        }
        let (mut start, mut count, mut longest) = (0, 0, 0);
        for end in &ends {
            count += u32::from(*end > start);
            longest = longest.max(end - start);
            start = *end;
        }
        let mut vocab = Self { bytes: bytes.to_vec(), ends, count, longest, ids: Ids::Map(Default::default()) };
        vocab.ids = if ids.is_empty() {
            vocab.find_ids().map_err(|_| (0, "two tokens have the same bytes"))?
        } else {
            Ids::Slots(Slots::of_table(ids, vocab.id_end()).ok_or((2, "ids are not there, or the table is too full"))?)
        };
        Ok(vocab)
    }
}

impl Merges {
    pub(crate) fn to_table(&self) -> Vec<u8> {
        let numbers = self.as_slice().iter().flat_map(|merge| [merge.left, merge.right, merge.result]);
        numbers.flat_map(u32::to_le_bytes).collect()
    }

    /// The merges of [`Merges::to_table`], if their ids are below `id_end`.
    pub(crate) fn of_table(table: &[u8], id_end: TokenId) -> Option<Self> {
        let (merges, rest) = table.as_chunks::<12>();
        let number =
            |bytes: &[u8; 12], at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut highest = 0;
        let merge = |bytes: &[u8; 12]| {
            let merge = Merge { left: number(bytes, 0), right: number(bytes, 4), result: number(bytes, 8) };
            highest = highest.max(merge.left).max(merge.right).max(merge.result);
            merge
        };
        let list: Vec<Merge> = merges.iter().map(merge).collect();
        (rest.is_empty() && (list.is_empty() || highest < id_end)).then(|| Self::trusted(list))
    }
}

impl TokenizerSpec {
    /// A `tokenizer.json` of the 256 bytes alone, with all else that this tokenizer is.
    pub(crate) fn without_tokens(&self) -> String {
        let bytes = gpt2_byte_order().map(|byte| vec![byte]);
        let tokens = bytes.into_iter().filter_map(|bytes| Some((self.vocab.id(&bytes)?, bytes))).collect();
        let vocab = Vocab::new(tokens).expect("tokens of a vocabulary have ids and bytes of their own");
        Self { vocab, merges: Merges::default(), ..self.clone() }.to_json()
    }

    /// The tokenizer of [`TokenizerSpec::without_tokens`] with its tokens and merges.
    pub(crate) fn with_tokens(json: &[u8], vocab: Vocab, merges: Merges) -> Result<Self> {
        let rest = Self::from_json(json)?;
        vocab.byte_ids()?;
        let added = checked(rest.added, &vocab)?;
        Ok(Self { vocab, merges, special: SpecialTokens::of(&added), added, ..rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches() {
        let end = |slots: &[u8]| searches_end(slots, |slot| *slot == 0);
        assert!(end(&[1, 0]) && !end(&[1, 1]) && !end(&[0]) && !end(&[]) && !end(&[0, 0, 0]));
        let mut slots = vec![1; 2 * STRETCH];
        slots[5] = 0;
        assert!(!end(&slots));
        slots[STRETCH] = 0;
        assert!(end(&slots));
    }
}
