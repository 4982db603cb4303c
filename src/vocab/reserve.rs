//! Tokens that are put into a tokenizer by name: texts that must be one token, and special tokens without a use yet.

use rustc_hash::FxHashSet;

use super::added::checked;
use super::byte_level::push_bytes;
use super::{AddedToken, MAX_ID, SpecialTokens, TokenizerSpec};
use crate::error::{Error, Result, TokenizerFault};

/// The highest multiple that a vocabulary is filled up to.
const MAX_MULTIPLE: u32 = 1 << 16;

impl TokenizerSpec {
    /// This tokenizer with a token for each of `texts`, in their order, with the ids from
    /// [`TokenizerSpec::vocab_size`] on.
    ///
    /// They are added tokens that are no special ones: wherever such a text stands it is that token, before the pattern
    /// cuts what is around it. That is how `tokenizer.json` can say it of any text, and merges could not: a pre-token may
    /// end inside of it. A tokenizer with such tokens tells no places of its tokens in a text.
    ///
    /// A text that is an ordinary or an added token already is left what it is, so it may still be merged further, cut by
    /// the pattern, or be made by no merge at all: whoever must be sure encodes it.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Special`] for an empty text, and for one that is written in `tokenizer.json` as another token is,
    /// such as `Ġ` for the space; [`Error::Tokenizer`] for a vocabulary of characters.
    pub fn with_required(&self, texts: &[String]) -> Result<Self> {
        self.only_bytes()?;
        let mut names = self.names();
        let mut next = self.vocab_size();
        let mut added = self.added.clone();
        for text in texts.iter().filter(|text| self.vocab.id(text.as_bytes()).is_none()) {
            let mut written_so = Vec::new();
            if push_bytes(text, &mut written_so).is_ok() && self.vocab.id(&written_so).is_some() {
                let why = "is how another token is written in tokenizer.json";
                return Err(TokenizerFault::Special { content: text.clone(), id: next, why }.into());
            }
            if names.insert(text) {
                added.push(AddedToken { special: false, ..AddedToken::special(next, text.clone()) });
                next += 1;
            }
        }
        self.of_added(added)
    }

    /// This tokenizer with special tokens `<|reserved_0|>`, `<|reserved_1|>` and so on behind all others, those names
    /// left out that are taken, so that the size of the vocabulary is a multiple of `multiple`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a multiple that is 0 or above 65,536, [`Error::Tokenizer`] when there would be too many ids,
    /// and for a vocabulary of characters.
    pub fn padded(&self, multiple: u32) -> Result<Self> {
        self.only_bytes()?;
        if !(1..=MAX_MULTIPLE).contains(&multiple) {
            let expected = format!("from 1 to {MAX_MULTIPLE}");
            return Err(Error::Setting { name: "multiple-of", value: multiple.to_string(), expected });
        }
        let end = self.vocab_size().next_multiple_of(multiple);
        if end > MAX_ID + 1 {
            return Err(TokenizerFault::IdTooLarge { id: u64::from(end) - 1, max: MAX_ID }.into());
        }
        let names = self.names();
        let is_free = |name: &String| !names.contains(name.as_str()) && self.vocab.id(name.as_bytes()).is_none();
        let free = (0..).map(|number: u32| format!("<|reserved_{number}|>")).filter(is_free);
        let reserved = (self.vocab_size()..end).zip(free).map(|(id, name)| AddedToken::special(id, name));
        self.of_added(self.added.iter().cloned().chain(reserved).collect())
    }

    fn names(&self) -> FxHashSet<&str> {
        self.added.iter().map(|token| token.content.as_str()).collect()
    }

    fn of_added(&self, added: Vec<AddedToken>) -> Result<Self> {
        let added = checked(added, &self.vocab)?;
        Ok(Self { special: SpecialTokens::of(&added), added, ..self.clone() })
    }
}
