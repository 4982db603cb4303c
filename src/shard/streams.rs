//! Batches for models that carry a state: each row goes on where it stood.

use super::corpus::Corpus;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// The tokens of all shards as a circle, read from `rows` places that are equally far apart.
#[derive(Debug)]
pub struct Streams<'c> {
    corpus: &'c Corpus,
    /// Tokens before each shard, and all.
    starts: Vec<u64>,
    rows: u64,
    context: u64,
}

impl<'c> Streams<'c> {
    /// Reads `rows` rows of `context + 1` tokens a step.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] for fewer tokens than one row takes.
    pub fn new(corpus: &'c Corpus, context: usize, rows: usize) -> Result<Self> {
        let mut starts = vec![0];
        for shard in corpus.shards() {
            starts.push(starts[starts.len() - 1] + shard.info().tokens);
        }
        let (tokens, needed) = (starts[starts.len() - 1], context as u64 + 1);
        if tokens < needed {
            return Err(Error::TooShort { tokens, needed });
        }
        Ok(Self { corpus, starts, rows: rows as u64, context: context as u64 })
    }

    /// The rows of a step: the first token of each is the last of the same row a step ago.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when a shard is damaged.
    pub fn batch(&self, step: u64) -> Result<Vec<TokenId>> {
        let tokens = self.starts[self.starts.len() - 1];
        let mut ids = Vec::new();
        for row in 0..self.rows {
            let begin = (u128::from(tokens) * u128::from(row) / u128::from(self.rows)) as u64;
            let ahead = (u128::from(step) * u128::from(self.context) % u128::from(tokens)) as u64;
            self.read((begin + ahead) % tokens, self.context + 1, &mut ids)?;
        }
        Ok(ids)
    }

    /// Reads on from a place, over the ends of shards, and from the last to the first.
    fn read(&self, mut at: u64, mut left: u64, ids: &mut Vec<TokenId>) -> Result<()> {
        while left > 0 {
            let shard = self.starts.partition_point(|&start| start <= at) - 1;
            let end = self.starts[shard + 1].min(at + left);
            self.corpus.shards()[shard].read(at - self.starts[shard]..end - self.starts[shard], ids)?;
            left -= end - at;
            at = if end == self.starts[self.starts.len() - 1] { 0 } else { end };
        }
        Ok(())
    }
}
