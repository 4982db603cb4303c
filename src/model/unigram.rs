//! The bag of words as a model: a token costs what its share of all tokens says, whatever stands before it.
//!
//! `P(w) = (c(w) + 1) / (N + V)` (add-one, Laplace 1814): exact counts, and no token costs infinitely much.

use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Counts of single tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unigram {
    counts: Vec<u64>,
    total: u64,
}

impl Unigram {
    /// A model of a vocabulary of this size, which has seen nothing.
    #[must_use]
    pub fn new(vocab_size: u32) -> Self {
        Self { counts: vec![0; vocab_size as usize], total: 0 }
    }

    /// Counts tokens.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id that is not below the size of the vocabulary; those before it are counted.
    pub fn add(&mut self, ids: &[TokenId]) -> Result<()> {
        let vocab_size = self.counts.len() as u32;
        for (position, &id) in ids.iter().enumerate() {
            let count = self.counts.get_mut(id as usize).ok_or(Error::UnknownToken { id, position, vocab_size })?;
            *count += 1;
            self.total += 1;
        }
        Ok(())
    }

    /// How often each token was seen, by id.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What a token costs, in nats; an id outside the vocabulary costs as much as one that was never seen.
    #[must_use]
    pub fn nats(&self, id: TokenId) -> f64 {
        let count = self.counts.get(id as usize).copied().unwrap_or(0);
        ((self.total + self.counts.len() as u64) as f64 / (count + 1) as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_are_those_of_the_formula_and_sum_to_one(ids in prop::collection::vec(0..7u32, 0..50)) {
            let mut model = Unigram::new(7);
            model.add(&ids).unwrap();
            let mut sum = 0.0;
            for id in 0..7 {
                let seen = ids.iter().filter(|&&other| other == id).count();
                let share = (seen as f64 + 1.0) / (ids.len() as f64 + 7.0);
                prop_assert!((model.nats(id) + share.ln()).abs() < 1e-12);
                sum += (-model.nats(id)).exp();
            }
            prop_assert!((sum - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn ids_outside_the_vocabulary() {
        let error = Unigram::new(3).add(&[1, 3]).unwrap_err();
        assert!(matches!(error, Error::UnknownToken { id: 3, position: 1, vocab_size: 3 }));
    }
}
