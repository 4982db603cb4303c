//! Batches of windows for training, in an order that a seed decides.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::corpus::Corpus;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Windows of `context + 1` tokens, drawn at random with replacement: inputs and, one further on, what they predict.
///
/// The batch of a step depends on (seed, step) alone, so training can begin again at any step.
#[derive(Debug)]
pub struct Batches<'c> {
    corpus: &'c Corpus,
    window: u64,
    batch: usize,
    seed: u64,
    /// Where the windows of each shard end, counted over all shards.
    ends: Vec<u64>,
}

impl<'c> Batches<'c> {
    /// Batches of `batch` windows from `corpus`.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] when no shard holds one window.
    pub fn new(corpus: &'c Corpus, context: usize, batch: usize, seed: u64) -> Result<Self> {
        let window = context as u64 + 1;
        let mut ends = Vec::new();
        let mut total = 0;
        for shard in corpus.shards() {
            total += (shard.info().tokens + 1).saturating_sub(window);
            ends.push(total);
        }
        if total == 0 {
            let tokens = corpus.shards().iter().map(|shard| shard.info().tokens).max().unwrap_or(0);
            return Err(Error::TooShort { tokens, needed: window });
        }
        Ok(Self { corpus, window, batch, seed, ends })
    }

    /// The batch of a step: `batch` rows of `context + 1` ids.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when a shard is damaged.
    pub fn batch(&self, step: u64) -> Result<Vec<TokenId>> {
        // Steps share no randomness: each seeds a generator of its own. The multiplier is that of SplitMix64.
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut ids = Vec::with_capacity(self.batch * self.window as usize);
        let total = self.ends.last().copied().unwrap_or(0);
        for _ in 0..self.batch {
            // Multiply and shift: uniform but for a bias of at most total / 2^64.
            let at = ((u128::from(random.next_u64()) * u128::from(total)) >> 64) as u64;
            let shard = self.ends.partition_point(|&end| end <= at);
            let start = at - shard.checked_sub(1).map_or(0, |before| self.ends[before]);
            self.corpus.shards()[shard].read(start..start + self.window, &mut ids)?;
        }
        Ok(ids)
    }
}
