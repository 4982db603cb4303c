//! What stands at the beginning and at the end of each document.

use serde::{Deserialize, Serialize};

use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Which token ends a document, `--eot`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndOfText {
    /// The end-of-text token of the tokenizer, if it has one.
    #[default]
    Auto,
    /// None: a shard then knows documents by its index alone.
    None,
    /// This special token.
    #[serde(untagged)]
    Token(TokenId),
}

/// The tokens around each document. They stand for no bytes of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Boundaries {
    /// A special token that begins each document, `--bos`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bos: Option<TokenId>,
    /// What ends it.
    #[serde(skip_serializing_if = "is_auto", default)]
    pub eot: EndOfText,
}

fn is_auto(end: &EndOfText) -> bool {
    *end == EndOfText::Auto
}

impl Boundaries {
    /// Checks that both are special tokens of `tokenizer`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where one is not.
    pub fn check(self, tokenizer: &Tokenizer) -> Result<()> {
        let end = if let EndOfText::Token(id) = self.eot { Some(id) } else { None };
        for (name, id) in [("bos", self.bos), ("eot", end)] {
            if let Some(id) = id.filter(|&id| tokenizer.spec().special().name(id).is_none()) {
                let expected = "a special token of the tokenizer".to_owned();
                return Err(Error::Setting { name, value: id.to_string(), expected });
            }
        }
        Ok(())
    }

    /// The token that ends a document.
    #[must_use]
    pub fn end_of_text(self, tokenizer: &Tokenizer) -> Option<TokenId> {
        match self.eot {
            EndOfText::Auto => tokenizer.spec().special().end_of_text(),
            EndOfText::None => None,
            EndOfText::Token(id) => Some(id),
        }
    }
}
