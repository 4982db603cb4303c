//! The matches of a regular expression as `tokenizer.json` writes them, for who puts something else in their place.

use super::engine::Engine;
use super::oniguruma;
use crate::error::Result;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Matches(Engine);

impl Matches {
    /// The matches of an expression in Oniguruma's spelling.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`](crate::Error::Pattern) when it does not compile.
    pub(crate) fn new(regex: &str) -> Result<Self> {
        Ok(Self(Engine::new(&oniguruma::to_rust(regex))?))
    }

    /// Calls `found` with start and end of each match in `text`.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`](crate::Error::PatternLimit) when a backtracking pattern exceeds its limit.
    pub(crate) fn for_each(&self, text: &str, found: impl FnMut(usize, usize)) -> Result<()> {
        self.0.for_each_match(text, found)
    }
}
