//! The size of a GPT.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The size of a GPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GptConfig {
    /// V: one above the highest id.
    pub vocab_size: usize,
    /// T: the longest window.
    pub context: usize,
    /// L: layers.
    pub layers: usize,
    /// H: attention heads.
    pub heads: usize,
    /// C: width, a multiple of the heads.
    pub width: usize,
}

impl GptConfig {
    /// Checks that the sizes make a model.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a size of 0, a width that the heads do not divide, and a model beyond 2^31 parameters.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab-size", self.vocab_size, 1 << 24),
            ("context", self.context, 1 << 20),
            ("layers", self.layers, 1 << 10),
            ("heads", self.heads, 1 << 10),
            ("width", self.width, 1 << 16),
        ];
        for (name, value, max) in sizes {
            if value == 0 || value > max {
                return Err(Error::Setting { name, value: value.to_string(), expected: format!("from 1 to {max}") });
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            let expected = format!("a multiple of --heads ({})", self.heads);
            return Err(Error::Setting { name: "width", value: self.width.to_string(), expected });
        }
        match self.parameters() {
            count if count >= 1 << 31 => {
                Err(Error::Limit { what: "the number of parameters", value: count, max: (1 << 31) - 1 })
            }
            _ => Ok(()),
        }
    }

    /// Number of parameters; the output matrix is the embedding and counts once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let [v, t, l, c] = [self.vocab_size, self.context, self.layers, self.width].map(|size| size as u64);
        v * c + t * c + l * (12 * c * c + 13 * c) + 2 * c
    }
}
