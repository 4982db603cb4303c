//! The ids of a document in the width of a shard, packed by the thread that made them while they are in its cache. The one
//! thread that writes then moves half as much memory where ids have two bytes.

use super::header::width_of;
use crate::error::ShardFault;
use crate::vocab::TokenId;

/// The ids of a document as they lie in a shard, for [`ShardWriter::push_packed`](super::ShardWriter::push_packed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedIds {
    pub(super) bytes: Vec<u8>,
    /// Bytes of each.
    pub(super) width: u64,
    pub(super) highest: TokenId,
}

impl PackedIds {
    /// Packs ids of a vocabulary of so many.
    ///
    /// # Errors
    ///
    /// [`ShardFault::TokenOutOfRange`], its index counted from the first of `ids`.
    pub fn new(ids: &[TokenId], vocab_size: u32) -> Result<Self, ShardFault> {
        let highest = highest_of(ids, vocab_size)?;
        let width = width_of(vocab_size);
        let mut bytes = vec![0; ids.len() * width as usize];
        pack(ids, width, &mut bytes);
        Ok(Self { bytes, width, highest })
    }

    /// How many there are.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.bytes.len() as u64 / self.width
    }

    /// The ids again.
    pub(super) fn to_ids(&self) -> Vec<TokenId> {
        let ids = self.bytes.chunks_exact(self.width as usize);
        ids.map(|id| id.iter().rev().fold(0, |high, byte| high << 8 | TokenId::from(*byte))).collect()
    }
}

/// The highest of ids, 0 of none, if all are below `vocab_size`.
pub(super) fn highest_of(ids: &[TokenId], vocab_size: u32) -> Result<TokenId, ShardFault> {
    let highest = ids.iter().copied().fold(0, TokenId::max);
    if highest < vocab_size {
        return Ok(highest);
    }
    let index = ids.iter().take_while(|id| **id < vocab_size).count();
    let id = ids.get(index).copied().unwrap_or(highest);
    Err(ShardFault::TokenOutOfRange { id, index: index as u64, vocab_size })
}

/// Writes ids side by side; in two bytes they must fit. Both loops are of a kind that compilers do many ids at once of.
pub(super) fn pack(ids: &[TokenId], width: u64, places: &mut [u8]) {
    if width == 2 {
        let places = places.as_chunks_mut().0.iter_mut();
        places.zip(ids).for_each(|(place, id)| *place = (*id as u16).to_le_bytes());
    } else {
        let places = places.as_chunks_mut().0.iter_mut();
        places.zip(ids).for_each(|(place, id)| *place = id.to_le_bytes());
    }
}

/// The highest of packed ids, 0 of none.
pub(super) fn highest_of_packed(bytes: &[u8], width: u64) -> TokenId {
    if width == 2 {
        let ids = bytes.as_chunks().0.iter();
        ids.map(|id| u16::from_le_bytes(*id)).fold(0, u16::max).into()
    } else {
        bytes.as_chunks().0.iter().map(|id| TokenId::from_le_bytes(*id)).fold(0, TokenId::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::shard::ShardWriter;
    use crate::vocab::Fingerprint;

    fn writer(folder: &std::path::Path, name: &str, vocab_size: u32) -> ShardWriter {
        ShardWriter::create(&folder.join(name), vocab_size, Some(3), Fingerprint([7; 16])).unwrap()
    }

    /// Packed documents give the bytes of the file that the same ids give, across the ends of blocks too.
    #[test]
    fn packed_ids_are_written_as_ids_are() {
        let folder = tempfile::tempdir().unwrap();
        for vocab_size in [1 << 16, (1 << 16) + 1] {
            let [mut packed, mut plain] = ["packed", "plain"].map(|name| writer(folder.path(), name, vocab_size));
            let mut random = 1u32;
            for length in [0, 1, 400_000, 7, 0, 1_200_000, 123_457, 2] {
                // Each document has highest ids of its own, at its beginning.
                let top = vocab_size - 1 - length as u32 % 1000;
                let ids: Vec<TokenId> = (0..length as u32)
                    .map(|place| {
                        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        if place == 0 { top } else { (random >> 8) % (top / 2) }
                    })
                    .collect();
                let document = PackedIds::new(&ids, vocab_size).unwrap();
                assert_eq!(document.tokens(), length as u64);
                packed.push_packed(&document, 5).unwrap();
                plain.push(&ids, 5).unwrap();
            }
            assert_eq!(packed.finish().unwrap(), plain.finish().unwrap());
            let read = |name| std::fs::read(folder.path().join(name)).unwrap();
            assert!(read("packed") == read("plain"), "{vocab_size}");
        }
    }

    #[test]
    fn ids_outside_the_vocabulary_are_refused() {
        let fault = PackedIds::new(&[1, 65_535, 65_536, 70_000], 1 << 16).unwrap_err();
        assert!(matches!(fault, ShardFault::TokenOutOfRange { id: 65_536, index: 2, vocab_size: 65_536 }), "{fault:?}");
        let folder = tempfile::tempdir().unwrap();
        let mut shard = writer(folder.path(), "shard", 1 << 16);
        shard.push(&[5, 5], 1).unwrap();
        let error = shard.push_packed(&PackedIds::new(&[1, 65_536], 70_000).unwrap(), 1).unwrap_err();
        let Error::Shard { fault, .. } = error else { panic!("{error:?}") };
        assert!(matches!(fault, ShardFault::TokenOutOfRange { id: 65_536, index: 4, .. }), "{fault:?}");
    }

    /// Of another vocabulary they are what they are, in any width.
    #[test]
    fn ids_of_another_width_are_packed_anew() {
        let folder = tempfile::tempdir().unwrap();
        for (of_ids, of_shard) in [(70_000, 1 << 16), (1 << 16, 70_000), (500, 1000)] {
            let [mut packed, mut plain] = ["packed", "plain"].map(|name| writer(folder.path(), name, of_shard));
            let ids = [7, 499, 0, 258];
            packed.push_packed(&PackedIds::new(&ids, of_ids).unwrap(), 9).unwrap();
            plain.push(&ids, 9).unwrap();
            assert_eq!(packed.finish().unwrap(), plain.finish().unwrap());
            let read = |name| std::fs::read(folder.path().join(name)).unwrap();
            assert_eq!(read("packed"), read("plain"));
        }
    }
}
