//! The oracle for spans: the whole pattern, as published, on a backtracking engine.

use crate::error::{Error, Result};

/// A pattern that runs the plainest way: match after match of `fancy-regex`. Slow, and limited by the engine's stack;
/// for tests.
#[derive(Debug)]
pub struct NaivePattern {
    regex: fancy_regex::Regex,
}

impl NaivePattern {
    /// The pattern of a regular expression.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] when the expression does not compile.
    pub fn new(regex: &str) -> Result<Self> {
        let failure =
            |error: fancy_regex::Error| Error::Pattern { pattern: regex.to_owned(), reason: error.to_string() };
        Ok(Self { regex: fancy_regex::Regex::new(regex).map_err(failure)? })
    }

    /// End offsets of the spans of `text`: each match, and each stretch between matches. A match of nothing cuts where
    /// it is.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when the engine gives up on this text.
    pub fn spans(&self, text: &str) -> Result<Vec<u32>> {
        let mut ends = Vec::new();
        let mut done = 0;
        for found in self.regex.find_iter(text) {
            let limit =
                |_| Error::PatternLimit { pattern: self.regex.as_str().to_owned(), offset: done, limit: 1_000_000 };
            let found = found.map_err(limit)?;
            if found.start() > done {
                ends.push(found.start() as u32);
            }
            if found.end() > found.start() {
                ends.push(found.end() as u32);
            }
            done = found.end();
        }
        if done < text.len() {
            ends.push(text.len() as u32);
        }
        Ok(ends)
    }
}
