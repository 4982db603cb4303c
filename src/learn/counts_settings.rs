//! What decides counts beside the text.

use std::path::Path;

use super::counts_file::COUNTS_VERSION;
use crate::error::{Error, Result};
use crate::segment::{HanEdges, NAMED_PATTERNS, UNICODE_VERSION};

/// What decides counts beside the text: two files may be added, and a tokenizer learned from them, only where it is the
/// same. The granularity is not among it, as it acts by the pattern and the edges alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountsSettings {
    /// The source of the pattern.
    pub pattern: String,
    /// Where Han runs were cut.
    pub edges: HanEdges,
    /// A hash of the dictionaries by which Han runs were cut into words: of the user's, 0 without any; and of the built-in
    /// one too, unless it is that of the version of ciyuan that first wrote such files.
    pub dictionary: u64,
    /// The version of Unicode by which characters were classed.
    pub unicode: String,
    /// What was done to the characters of texts before they were counted, in words; empty where nothing was.
    pub normalization: String,
}

impl CountsSettings {
    /// Settings of this version of Unicode.
    #[must_use]
    pub fn new(pattern: &str, edges: HanEdges, dictionary: u64) -> Self {
        let (pattern, unicode, normalization) = (pattern.to_owned(), UNICODE_VERSION.to_owned(), String::new());
        Self { pattern, edges, dictionary, unicode, normalization }
    }

    /// The same settings, for texts to which this was done.
    #[must_use]
    pub fn of_texts_with(mut self, normalization: String) -> Self {
        self.normalization = normalization;
        self
    }

    /// The version of the format that can say this.
    pub(super) fn version(&self) -> u32 {
        if self.normalization.is_empty() { 1 } else { COUNTS_VERSION }
    }

    /// Fails where the counts of a file were made with others than these.
    ///
    /// # Errors
    ///
    /// [`Error::OtherCounts`] with the first setting that differs, there and here.
    pub fn require(&self, path: &Path, there: &Self) -> Result<()> {
        // By its name, which `--pattern` takes.
        let named = |regex: &str| {
            let found = NAMED_PATTERNS.iter().find(|(_, named)| *named == regex);
            found.map_or(regex, |(name, _)| name).to_owned()
        };
        let or_none = |words: &str| if words.is_empty() { "none".to_owned() } else { words.to_owned() };
        let rows = |settings: &Self| {
            [
                ("pattern", named(&settings.pattern)),
                ("edges in Han runs", format!("{:?}", settings.edges).to_lowercase()),
                ("user dictionary or dictionary of words", format!("{:016x}", settings.dictionary)),
                ("Unicode", settings.unicode.clone()),
                ("normalisation of texts", or_none(&settings.normalization)),
            ]
        };
        match rows(there).into_iter().zip(rows(self)).find(|(there, here)| there != here) {
            Some(((key, there), (_, here))) => Err(Error::OtherCounts { path: path.to_owned(), key, there, here }),
            None => Ok(()),
        }
    }
}
