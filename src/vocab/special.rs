//! Special tokens: marks such as `<|endoftext|>` that stand for no text.

use super::added::{AddedToken, checked};
use super::{TokenId, Vocab};
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
    pub fn new(tokens: Vec<(TokenId, String)>, vocab: &Vocab) -> Result<Self, TokenizerFault> {
        let tokens = tokens.into_iter().map(|(id, name)| AddedToken::special(id, name)).collect();
        Ok(Self::of(&checked(tokens, vocab)?))
    }

    /// The special ones of added tokens, which stand in the order of their ids.
    pub(super) fn of(tokens: &[AddedToken]) -> Self {
        Self(tokens.iter().filter(|token| token.special).map(|token| (token.id, token.content.clone())).collect())
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
