//! All shards of one split as one sequence.

use std::path::{Path, PathBuf};

use super::Split;
use super::header::ShardInfo;
use super::reader::Shard;
use crate::error::{Error, Result, ShardFault};
use crate::vocab::TokenId;

/// The shards of a folder, in the order of their names.
#[derive(Debug)]
pub struct Corpus {
    shards: Vec<Shard>,
}

impl Corpus {
    /// Opens the shards of one split of a folder made by `encode` or `prepare`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] when there is none, [`Error::Io`], [`Error::Shard`] for one that is damaged or does not
    /// belong to the others.
    pub fn open(folder: &Path, split: Split) -> Result<Self> {
        let folder = folder.join(split.folder());
        let entries = std::fs::read_dir(&folder).map_err(|error| Error::io("read", &folder, error))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| Error::io("read", &folder, error))?.path();
            if path.extension().is_some_and(|extension| extension == "shard") {
                paths.push(path);
            }
        }
        paths.sort();
        Self::from_paths(&paths)?.ok_or(Error::Missing { path: folder.join("*.shard") })
    }

    /// Opens shards; `None` when there are no paths.
    ///
    /// # Errors
    ///
    /// As [`Corpus::open`].
    pub fn from_paths(paths: &[PathBuf]) -> Result<Option<Self>> {
        let shards = paths.iter().map(|path| Shard::open(path)).collect::<Result<Vec<_>>>()?;
        let Some(first) = shards.first().map(|shard| *shard.info()) else {
            return Ok(None);
        };
        for shard in &shards {
            let info = shard.info();
            let mixed = |what| Error::Shard { path: shard.path().to_owned(), fault: ShardFault::Mixed { what } };
            if info.fingerprint != first.fingerprint {
                return Err(mixed("tokenizer"));
            }
            if (info.vocab_size, info.end_of_text) != (first.vocab_size, first.end_of_text) {
                return Err(mixed("vocabulary"));
            }
        }
        Ok(Some(Self { shards }))
    }

    /// The shards.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// What the shards say of themselves, summed up.
    #[must_use]
    pub fn info(&self) -> ShardInfo {
        let mut sum = *self.shards[0].info();
        for shard in &self.shards[1..] {
            sum.tokens += shard.info().tokens;
            sum.documents += shard.info().documents;
            sum.text_bytes += shard.info().text_bytes;
        }
        sum
    }

    /// Checks every shard as a whole.
    ///
    /// # Errors
    ///
    /// As [`Shard::verify`].
    pub fn verify(&self) -> Result<()> {
        self.shards.iter().try_for_each(Shard::verify)
    }

    /// The ids of each document, in order, without its end-of-text token.
    pub fn documents(&self) -> impl Iterator<Item = Result<Vec<TokenId>>> + '_ {
        self.shards.iter().flat_map(|shard| (0..shard.info().documents).map(move |number| document(shard, number)))
    }

    /// The ids of one document, counted over all shards, without its end-of-text token.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is no such document, or it is damaged.
    pub fn document(&self, number: u64) -> Result<Vec<TokenId>> {
        let mut rest = number;
        for shard in &self.shards {
            match rest.checked_sub(shard.info().documents) {
                None => return document(shard, rest),
                Some(left) => rest = left,
            }
        }
        let fault = ShardFault::OutOfBounds { what: "document", index: number, count: self.info().documents };
        Err(Error::Shard { path: self.shards[0].path().to_owned(), fault })
    }
}

fn document(shard: &Shard, number: u64) -> Result<Vec<TokenId>> {
    let mut ids = Vec::new();
    shard.read(shard.document(number)?, &mut ids)?;
    if shard.info().end_of_text.is_some() {
        ids.pop();
    }
    Ok(ids)
}
