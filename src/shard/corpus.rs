//! All shards of one split as one sequence.

use std::ops::Range;
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
    /// Where the documents of each shard end, counted over all.
    document_ends: Vec<u64>,
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
        let add = |before: &mut u64, shard: &Shard| {
            // Each document has 8 bytes in a file of the length that its header says: the sum fits.
            *before = before.saturating_add(shard.info().documents);
            Some(*before)
        };
        let document_ends = shards.iter().scan(0, add).collect();
        Ok(Some(Self { shards, document_ends }))
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
            sum.tokens = sum.tokens.saturating_add(shard.info().tokens);
            sum.documents = sum.documents.saturating_add(shard.info().documents);
            sum.text_bytes = sum.text_bytes.saturating_add(shard.info().text_bytes);
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

    /// The number of documents in all shards.
    #[must_use]
    pub fn document_count(&self) -> u64 {
        self.document_ends.last().copied().unwrap_or(0)
    }

    /// The ids of one document, counted over all shards, without its end-of-text token.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is no such document, or it is damaged.
    pub fn document(&self, number: u64) -> Result<Vec<TokenId>> {
        let (shard, place) = self.shard_of(number)?;
        document(shard, place)
    }

    /// The shard that holds a document, and its number in there.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is no such document.
    pub fn shard_of(&self, number: u64) -> Result<(&Shard, u64)> {
        let at = self.document_ends.partition_point(|&end| end <= number);
        let before = at.checked_sub(1).map_or(0, |before| self.document_ends[before]);
        let none = || {
            let fault = ShardFault::OutOfBounds { what: "document", index: number, count: self.document_count() };
            Error::Shard { path: self.shards[0].path().to_owned(), fault }
        };
        Ok((self.shards.get(at).ok_or_else(none)?, number - before))
    }

    /// The shard that holds a document, and the tokens of that which are the document's, its end-of-text token among them.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`] when there is no such document, or the index is damaged.
    pub fn locate(&self, number: u64) -> Result<(&Shard, Range<u64>)> {
        let (shard, place) = self.shard_of(number)?;
        Ok((shard, shard.document(place)?))
    }

    /// The number of a document's ids, its end-of-text token among them.
    ///
    /// # Errors
    ///
    /// As [`Corpus::locate`].
    pub fn length(&self, number: u64) -> Result<u64> {
        self.locate(number).map(|(_, range)| range.end - range.start)
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
