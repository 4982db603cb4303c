//! Special tokens: marks such as `<|endoftext|>` that stand for no text.

use super::{MAX_ID, TokenId, Vocab};
use crate::error::TokenizerFault;

/// Special tokens with their ids, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpecialTokens(Vec<(TokenId, String)>);

impl SpecialTokens {
    /// The name of the end-of-text token, by which documents are told apart.
    pub const END_OF_TEXT: &'static str = "<|endoftext|>";

    /// Checks that ids and names are free.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Special`] for a name or id that is taken, an empty name, or an id that is too large.
    pub fn new(mut tokens: Vec<(TokenId, String)>, vocab: &Vocab) -> Result<Self, TokenizerFault> {
        tokens.sort();
        for (at, (id, content)) in tokens.iter().enumerate() {
            let fault = |why| TokenizerFault::Special { content: content.clone(), id: *id, why };
            if content.is_empty() {
                return Err(fault("has no name"));
            }
            if *id > MAX_ID {
                return Err(TokenizerFault::IdTooLarge { id: u64::from(*id), max: MAX_ID });
            }
            if vocab.token(*id).is_some() {
                return Err(fault("has the id of an ordinary token"));
            }
            if tokens[..at].iter().any(|(other, name)| other == id || name == content) {
                return Err(fault("has an id or a name that stands there twice"));
            }
        }
        Ok(Self(tokens))
    }

    /// Ids and names, by id.
    pub fn iter(&self) -> impl Iterator<Item = (TokenId, &str)> {
        self.0.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id of a name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<TokenId> {
        self.iter().find(|(_, other)| *other == name).map(|(id, _)| id)
    }

    /// The name of an id.
    #[must_use]
    pub fn name(&self, id: TokenId) -> Option<&str> {
        let at = self.0.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(&self.0[at].1)
    }

    /// The id of [`SpecialTokens::END_OF_TEXT`], if there is one.
    #[must_use]
    pub fn end_of_text(&self) -> Option<TokenId> {
        self.id(Self::END_OF_TEXT)
    }

    /// One above the highest id; 0 when there is none.
    #[must_use]
    pub fn id_end(&self) -> TokenId {
        self.0.last().map_or(0, |(id, _)| id + 1)
    }
}
