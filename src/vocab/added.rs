//! Added tokens: strings that are found in a text before its pre-tokens are, whatever the merges would make of them.
//!
//! Reference: `AddedVocabulary` of Hugging Face's `tokenizers`. Special tokens are among them. They stand for themselves
//! only where the caller allows them; the others always do, as a part of the vocabulary.

use rustc_hash::FxHashSet;

use super::{MAX_ID, TokenId, Vocab};
use crate::error::TokenizerFault;

/// An added token, and where in a text it may stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddedToken {
    /// Its id.
    pub id: TokenId,
    /// What stands for it in a text.
    pub content: String,
    /// Whether it is a mark that stands for no text.
    pub special: bool,
    /// Whether it stands only where no word character is beside it.
    pub single_word: bool,
    /// Whether it takes the white space before it.
    pub lstrip: bool,
    /// Whether it takes the white space behind it.
    pub rstrip: bool,
    /// Whether it is looked for in the normalized text, in its normalized form.
    pub normalized: bool,
}

impl AddedToken {
    /// A special token that stands anywhere.
    #[must_use]
    pub fn special(id: TokenId, content: String) -> Self {
        Self { id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }
    }

    /// Whether it is like those of [`AddedToken::special`].
    pub(super) fn is_plain(&self) -> bool {
        self.special && !(self.single_word || self.lstrip || self.rstrip || self.normalized)
    }
}

/// Checks that ids and names are free, and puts the tokens in the order of their ids. A token of the vocabulary may be
/// an added token too, under its own id.
pub(super) fn checked(mut tokens: Vec<AddedToken>, vocab: &Vocab) -> Result<Vec<AddedToken>, TokenizerFault> {
    tokens.sort();
    let (mut names, mut before) = (FxHashSet::default(), None);
    for AddedToken { id, content, .. } in &tokens {
        let fault = |why| TokenizerFault::Special { content: content.clone(), id: *id, why };
        if content.is_empty() {
            return Err(fault("has no name"));
        }
        if *id > MAX_ID {
            return Err(TokenizerFault::IdTooLarge { id: u64::from(*id), max: MAX_ID });
        }
        if vocab.token(*id).is_some_and(|bytes| bytes != content.as_bytes()) {
            return Err(fault("has the id of an ordinary token"));
        }
        if before.replace(*id) == Some(*id) || !names.insert(content) {
            return Err(fault("has an id or a name that stands there twice"));
        }
    }
    Ok(tokens)
}
