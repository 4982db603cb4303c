//! Which documents are held out.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::shard::Split;

/// The share of documents that are held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValFraction {
    /// A tenth, but about 400 KB of text at the most: enough to tell tokenizers apart, and quick to evaluate.
    Auto,
    /// This share, from 0 to below 1.
    #[serde(untagged)]
    Of(f64),
}

const AUTO_BYTES: f64 = 400_000.0;

impl ValFraction {
    /// Checks the share.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when it is not from 0 to below 1.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Of(share) if !(0.0..1.0).contains(&share) => Err(Error::Setting {
                name: "val",
                value: share.to_string(),
                expected: "`auto`, or from 0 to below 1".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The share for inputs of so many bytes.
    #[must_use]
    pub fn share(self, input_bytes: u64) -> f64 {
        match self {
            Self::Auto => (AUTO_BYTES / (input_bytes.max(1) as f64)).min(0.1),
            Self::Of(share) => share,
        }
    }
}

/// The hash of a document by which it is held out.
pub(super) fn hash_of_text(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// The split of a document, by a hash of its text: the same wherever it stands and whatever else is read, so the split
/// stays as it is when the corpus grows, and equal documents are never on both sides.
pub(super) fn split_of(text: &str, share: f64) -> Split {
    split_by(hash_of_text(text), share)
}

/// The split of a document, by its hash.
pub(super) fn split_by(hash: u64, share: f64) -> Split {
    if hash < limit_of(share) { Split::Val } else { Split::Train }
}

/// Documents whose hash is below it are held out.
fn limit_of(share: f64) -> u64 {
    // 2^64 as f64; the product is below it because the share is below 1.
    (share * 18_446_744_073_709_551_616.0) as u64
}

/// The least and the greatest limit by which documents are split as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SplitBounds {
    least: u64,
    greatest: u64,
}

impl Default for SplitBounds {
    /// Those of no documents: every limit splits them the same way.
    fn default() -> Self {
        Self { least: 0, greatest: u64::MAX }
    }
}

impl SplitBounds {
    /// Adds a document by its hash.
    pub(super) fn add(&mut self, hash: u64, split: Split) {
        match split {
            // It is below a limit, so there is a number above it.
            Split::Val => self.least = self.least.max(hash.saturating_add(1)),
            Split::Train => self.greatest = self.greatest.min(hash),
        }
    }

    /// Whether the documents are split the same way with `share` held out.
    pub(super) fn is_of(&self, share: f64) -> bool {
        (self.least..=self.greatest).contains(&limit_of(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let held = |share| (0..10_000).filter(|n: &u32| split_of(&n.to_string(), share) == Split::Val).count();
        assert_eq!(held(0.0), 0);
        assert!((900..1100).contains(&held(0.1)), "{}", held(0.1));
        assert!((4700..5300).contains(&held(0.5)), "{}", held(0.5));
    }

    #[test]
    fn a_larger_share_keeps_what_was_held_out() {
        for n in 0..1000 {
            let text = n.to_string();
            assert!(split_of(&text, 0.1) == Split::Train || split_of(&text, 0.2) == Split::Val);
        }
    }

    #[test]
    fn automatic_share() {
        assert_eq!(ValFraction::Auto.share(300_000), 0.1);
        assert_eq!(ValFraction::Auto.share(40_000_000), 0.01);
        assert_eq!(ValFraction::Auto.share(0), 0.1);
        for bad in [1.0, -0.1, f64::NAN] {
            assert!(ValFraction::Of(bad).check().is_err());
        }
    }
}
