//! The ordinary tokens of a vocabulary: bytes by id, and ids by bytes.
//!
//! The bytes stand in one buffer, in the order of ids, with the place where those of each id end: a flat table, which
//! whatever decodes may copy as it is.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use super::TokenId;
use super::slots::{Slots, mixed, of_bytes};
use crate::error::TokenizerFault;
use crate::segment::prefetch;

/// The highest id that a vocabulary may hold; tables here are indexed by id, so a hostile file must not choose it.
pub const MAX_ID: TokenId = (1 << 24) - 1;

/// The longest token that a file may hold, in bytes. Published vocabularies stay below 256; without a bound, finding how
/// a hostile token is merged would take time in the square of its length.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// Tokens by id, in one arena of bytes. Ids may leave gaps (special tokens stand outside).
#[derive(Debug, Clone)]
pub struct Vocab {
    pub(super) bytes: Vec<u8>,
    /// Where each id's bytes end; an id without a token ends where it starts.
    pub(super) ends: Vec<u32>,
    pub(super) count: u32,
    /// Bytes of the longest token.
    pub(super) longest: u32,
    pub(super) ids: Ids,
}

/// Ids by bytes follow from bytes by id.
impl PartialEq for Vocab {
    fn eq(&self, other: &Self) -> bool {
        (&self.ends, &self.bytes) == (&other.ends, &other.bytes)
    }
}

impl Eq for Vocab {}

/// Ids by bytes.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    Slots(Slots),
    /// Where the hashes of too many tokens are alike: a map whose hash nobody can foresee.
    Map(HashMap<Box<[u8]>, TokenId>),
}

/// A token of a flat buffer: its id, and where its bytes start and end.
pub(super) type Place = (TokenId, u32, u32);

impl Vocab {
    /// The vocabulary of `tokens`, in any order.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::IdTooLarge`], [`TokenizerFault::DuplicateToken`] for two tokens with the same bytes or id.
    pub fn new(tokens: Vec<(TokenId, Vec<u8>)>) -> Result<Self, TokenizerFault> {
        let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(tokens.len()));
        for (id, token) in tokens {
            let start = bytes.len();
            bytes.extend_from_slice(&token);
            let end = u32::try_from(bytes.len());
            let end = end.map_err(|_| TokenizerFault::IdTooLarge { id: u64::from(id), max: MAX_ID })?;
            places.push((id, start as u32, end));
        }
        Self::from_flat(bytes, places)
    }

    /// The vocabulary of tokens that stand in `bytes` one behind the other, in any order of ids.
    pub(super) fn from_flat(bytes: Vec<u8>, mut places: Vec<Place>) -> Result<Self, TokenizerFault> {
        let of = |place: &Place| &bytes[place.1 as usize..place.2 as usize];
        let in_order = places.is_sorted_by(|a, b| a.0 < b.0);
        if !in_order {
            places.sort_by(|a, b| (a.0, of(a)).cmp(&(b.0, of(b))));
        }
        if let Some((id, ..)) = places.last().filter(|place| place.0 > MAX_ID) {
            return Err(TokenizerFault::IdTooLarge { id: u64::from(*id), max: MAX_ID });
        }
        if let Some(pair) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(TokenizerFault::DuplicateToken { first: pair[0].0, second: pair[1].0 });
        }
        let in_a_row: Vec<u8> = if in_order { Vec::new() } else { places.iter().flat_map(of).copied().collect() };
        let bytes = if in_order { bytes } else { in_a_row };
        let mut ends = Vec::with_capacity(places.last().map_or(0, |place| place.0 as usize + 1));
        let (mut end, mut longest) = (0, 0);
        for (id, start, stop) in &places {
            ends.resize(*id as usize, end);
            end += stop - start;
            longest = longest.max(stop - start);
            ends.push(end);
        }
        let mut vocab = Self { bytes, ends, count: places.len() as u32, longest, ids: Ids::Map(HashMap::new()) };
        vocab.ids = vocab.find_ids()?;
        Ok(vocab)
    }

    /// Ids by bytes, and whether there are two for the same ones.
    pub(super) fn find_ids(&self) -> Result<Ids, TokenizerFault> {
        let mut slots = Slots::new(self.len(), self.id_end());
        for (id, bytes) in self.iter() {
            match slots.insert(mixed(of_bytes(bytes)), id, |other| self.token(other) == Some(bytes)) {
                Ok(None) => {}
                Ok(Some(first)) => return Err(TokenizerFault::DuplicateToken { first, second: id }),
                Err(_) => return self.map_of_ids(),
            }
        }
        Ok(Ids::Slots(slots))
    }

    fn map_of_ids(&self) -> Result<Ids, TokenizerFault> {
        let mut map = HashMap::new();
        for (id, bytes) in self.iter() {
            if let Some(first) = map.insert(bytes.into(), id) {
                return Err(TokenizerFault::DuplicateToken { first, second: id });
            }
        }
        Ok(Ids::Map(map))
    }

    /// The id of a token's bytes.
    #[must_use]
    pub fn id(&self, bytes: &[u8]) -> Option<TokenId> {
        if bytes.len() > self.longest() { None } else { self.id_of_hash(bytes, mixed(of_bytes(bytes))) }
    }

    /// As [`Vocab::id`], with the hash of these bytes, which [`Vocab::ask`] gives.
    #[inline]
    pub(crate) fn id_of_hash(&self, bytes: &[u8], hash: u64) -> Option<TokenId> {
        match &self.ids {
            Ids::Slots(slots) => slots.find(hash, |id| self.token(id) == Some(bytes)),
            Ids::Map(map) => map.get(bytes).copied(),
        }
    }

    /// Asks for the memory that a look-up of these bytes will read first, and gives their hash.
    #[inline]
    pub(crate) fn ask(&self, bytes: &[u8]) -> u64 {
        let hash = mixed(of_bytes(bytes));
        if let Ids::Slots(slots) = &self.ids {
            slots.ask(hash);
        }
        hash
    }

    /// Asks for what a look-up will read next, once there is what [`Vocab::ask`] has asked for; it is of this id.
    #[inline]
    pub(crate) fn ask_end(&self, hash: u64) -> Option<TokenId> {
        let Ids::Slots(slots) = &self.ids else { return None };
        let id = slots.find(hash, |_| true)?;
        prefetch(self.ends.get(id as usize)?);
        Some(id)
    }

    /// Asks for what it will read at last, once there is what [`Vocab::ask_end`] has asked for.
    #[inline]
    pub(crate) fn ask_bytes(&self, id: TokenId) {
        if let Some(first) = self.token(id).and_then(<[u8]>::first) {
            prefetch(first);
        }
    }

    /// Whether [`Vocab::id`] has a table of slots.
    pub(crate) fn has_slots(&self) -> bool {
        self.slots().is_some()
    }

    /// The table behind [`Vocab::id`], if it is one of slots: what makes hashes of its own looks up there.
    pub(super) fn slots(&self) -> Option<&Slots> {
        match &self.ids {
            Ids::Slots(slots) => Some(slots),
            Ids::Map(_) => None,
        }
    }

    /// The bytes of a token; `None` for an id without one.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&[u8]> {
        let end = *self.ends.get(id as usize)? as usize;
        let start = (id as usize).checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        (start < end).then(|| &self.bytes[start..end])
    }

    /// Bytes of the longest token.
    pub(super) fn longest(&self) -> usize {
        self.longest as usize
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One above the highest id.
    #[must_use]
    pub fn id_end(&self) -> TokenId {
        self.ends.len() as TokenId
    }

    /// Ids and bytes of all tokens, by id.
    pub fn iter(&self) -> impl Iterator<Item = (TokenId, &[u8])> {
        (0..self.id_end()).filter_map(|id| Some((id, self.token(id)?)))
    }

    /// Ids by bytes.
    #[must_use]
    pub fn ids(&self) -> FxHashMap<&[u8], TokenId> {
        self.iter().map(|(id, bytes)| (bytes, id)).collect()
    }

    /// The id of each byte.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::MissingByte`] when one has no token.
    pub fn byte_ids(&self) -> Result<[TokenId; 256], TokenizerFault> {
        let mut found = [0; 256];
        for (byte, id) in (0..=255).zip(&mut found) {
            *id = self.id(&[byte]).ok_or(TokenizerFault::MissingByte { byte })?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_lookups() {
        let vocab = Vocab::new(vec![(5, b"ab".to_vec()), (1, b"a".to_vec()), (3, b"b".to_vec())]).unwrap();
        assert_eq!((vocab.len(), vocab.id_end()), (3, 6));
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6].map(|id| vocab.token(id)),
            [None, Some(&b"a"[..]), None, Some(b"b"), None, Some(b"ab"), None]
        );
        assert_eq!(vocab.ids()[&b"ab"[..]], 5);
        assert_eq!(vocab.byte_ids(), Err(TokenizerFault::MissingByte { byte: 0 }));
        // What is asked for is what is read.
        for bytes in [&b"a"[..], b"b", b"ab", b"ba", b"c"] {
            let hash = vocab.ask(bytes);
            assert_eq!((vocab.id_of_hash(bytes, hash), vocab.ask_end(hash)), (vocab.id(bytes), vocab.id(bytes)));
        }
    }

    #[test]
    fn what_is_refused() {
        let new = |tokens: &[(u32, &str)]| {
            Vocab::new(tokens.iter().map(|(id, token)| (*id, token.as_bytes().to_vec())).collect())
        };
        assert_eq!(new(&[(1, "a"), (2, "a")]), Err(TokenizerFault::DuplicateToken { first: 1, second: 2 }));
        assert_eq!(new(&[(1, "a"), (1, "b")]), Err(TokenizerFault::DuplicateToken { first: 1, second: 1 }));
        assert_eq!(new(&[(1 << 24, "a")]), Err(TokenizerFault::IdTooLarge { id: 1 << 24, max: MAX_ID }));
    }
}
