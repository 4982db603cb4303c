//! The ordinary tokens of a vocabulary: bytes by id.

use rustc_hash::FxHashMap;

use super::TokenId;
use crate::error::TokenizerFault;

/// The highest id that a vocabulary may hold; tables here are indexed by id, so a hostile file must not choose it.
pub const MAX_ID: TokenId = (1 << 24) - 1;

/// The longest token that a file may hold, in bytes. Published vocabularies stay below 256; without a bound, finding how
/// a hostile token is merged would take time in the square of its length.
pub const MAX_TOKEN_BYTES: usize = 1024;

/// Tokens by id, in one arena of bytes. Ids may leave gaps (special tokens stand outside).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocab {
    bytes: Vec<u8>,
    /// Where each id's bytes end; an id without a token ends where it starts.
    ends: Vec<u32>,
    count: u32,
}

impl Vocab {
    /// The vocabulary of `tokens`, in any order.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::IdTooLarge`], [`TokenizerFault::DuplicateToken`] for two tokens with the same bytes or id.
    pub fn new(mut tokens: Vec<(TokenId, Vec<u8>)>) -> Result<Self, TokenizerFault> {
        tokens.sort();
        let mut vocab = Self::default();
        let mut seen = FxHashMap::default();
        for (id, bytes) in &tokens {
            if *id > MAX_ID || vocab.bytes.len() + bytes.len() > u32::MAX as usize {
                return Err(TokenizerFault::IdTooLarge { id: u64::from(*id), max: MAX_ID });
            }
            if let Some(first) = seen.insert(bytes.as_slice(), *id) {
                return Err(TokenizerFault::DuplicateToken { first, second: *id });
            }
            if (*id as usize) < vocab.ends.len() {
                return Err(TokenizerFault::DuplicateToken { first: *id, second: *id });
            }
            vocab.ends.resize(*id as usize, vocab.bytes.len() as u32);
            vocab.bytes.extend_from_slice(bytes);
            vocab.ends.push(vocab.bytes.len() as u32);
            vocab.count += 1;
        }
        Ok(vocab)
    }

    /// The bytes of a token; `None` for an id without one.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<&[u8]> {
        let end = *self.ends.get(id as usize)? as usize;
        let start = (id as usize).checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        (start < end).then(|| &self.bytes[start..end])
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
        let mut ids = [None; 256];
        for (id, bytes) in self.iter() {
            if let [byte] = bytes {
                ids[usize::from(*byte)] = Some(id);
            }
        }
        let mut found = [0; 256];
        for (byte, id) in ids.into_iter().enumerate() {
            found[byte] = id.ok_or(TokenizerFault::MissingByte { byte: byte as u8 })?;
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
