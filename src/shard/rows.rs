//! Rows for training: windows, whole documents, or packed documents, each found by its number.
//!
//! Numbers follow the order of the shards; [`Order`](super::Order) shuffles them. Windows and documents take no memory beyond
//! what the corpus has; packing is a plan of 16 bytes a document or piece.

use super::Corpus;
use super::packing::{Packed, Packing, pack};
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// A row is counted in 32 bits.
const MOST_CONTEXT: u32 = u32::MAX - 1;

/// A row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its ids: the inputs but for the last, and the targets but for the first.
    pub ids: Vec<TokenId>,
    /// Where its parts end. What follows an end knows nothing of what stands before it: a model that keeps parts apart
    /// begins positions and attention anew there.
    pub ends: Vec<usize>,
}

/// The rows of a corpus.
#[derive(Debug)]
pub struct Rows<'c> {
    corpus: &'c Corpus,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Windows begin `context` ids apart; where those of each shard end, counted over all.
    Windows {
        context: u64,
        ends: Vec<u64>,
    },
    Documents,
    Packed(Packing),
}

impl<'c> Rows<'c> {
    /// Windows of `context + 1` ids, across documents: each begins with the last id of the one before, so that every id of
    /// a shard but its first is predicted once. What is left behind the last whole window of a shard is in none.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] when no shard holds one window, [`Error::Setting`] for a context of 0.
    pub fn windows(corpus: &'c Corpus, context: usize) -> Result<Self> {
        let context = row_length(context)? - 1;
        let mut total = 0;
        let mut ends = Vec::new();
        for shard in corpus.shards() {
            total += shard.info().tokens.saturating_sub(1) / context;
            ends.push(total);
        }
        if total == 0 {
            let tokens = corpus.shards().iter().map(|shard| shard.info().tokens).max().unwrap_or(0);
            return Err(Error::TooShort { tokens, needed: context + 1 });
        }
        Ok(Self { corpus, kind: Kind::Windows { context, ends } })
    }

    /// Whole documents, of any length, their end-of-text token among their ids.
    #[must_use]
    pub fn documents(corpus: &'c Corpus) -> Self {
        Self { corpus, kind: Kind::Documents }
    }

    /// Documents packed into rows of at most `context + 1` ids; one that is longer is cut into full rows and a rest. Every
    /// id stands in one row.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a context of 0, [`Error::Shard`] for a damaged index.
    pub fn packed(corpus: &'c Corpus, context: usize) -> Result<Self> {
        let row = row_length(context)?;
        let mut pieces = Vec::new();
        for (number, shard) in corpus.shards().iter().enumerate() {
            for document in 0..shard.info().documents {
                let range = shard.document(document)?;
                let mut start = range.start;
                while start < range.end {
                    let length = (range.end - start).min(row);
                    pieces.push(Packed { shard: number as u32, start, length: length as u32 });
                    start += length;
                }
            }
        }
        Ok(Self { corpus, kind: Kind::Packed(pack(&pieces, row as u32)) })
    }

    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.kind {
            Kind::Windows { ends, .. } => ends.last().copied().unwrap_or(0),
            Kind::Documents => self.corpus.document_count(),
            Kind::Packed(packing) => packing.ends.len() as u64,
        }
    }

    /// Reads a row in place of what `row` holds.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when there is no such row, [`Error::Shard`] when a shard is damaged.
    pub fn read(&self, number: u64, row: &mut Row) -> Result<()> {
        row.ids.clear();
        row.ends.clear();
        if number >= self.count() {
            return Err(Error::Limit {
                what: "the number of a row",
                value: number,
                max: self.count().saturating_sub(1),
            });
        }
        match &self.kind {
            Kind::Windows { context, ends } => {
                let shard = ends.partition_point(|&end| end <= number);
                let start = (number - shard.checked_sub(1).map_or(0, |before| ends[before])) * context;
                self.corpus.shards()[shard].read(start..start + context + 1, &mut row.ids)?;
                row.ends.push(row.ids.len());
            }
            Kind::Documents => {
                let (shard, range) = self.corpus.locate(number)?;
                shard.read(range, &mut row.ids)?;
                row.ends.push(row.ids.len());
            }
            Kind::Packed(packing) => {
                let at = number as usize;
                let first = at.checked_sub(1).map_or(0, |before| packing.ends[before]) as usize;
                for piece in &packing.pieces[first..packing.ends[at] as usize] {
                    let range = piece.start..piece.start + u64::from(piece.length);
                    self.corpus.shards()[piece.shard as usize].read(range, &mut row.ids)?;
                    row.ends.push(row.ids.len());
                }
            }
        }
        Ok(())
    }
}

/// Ids of a row, for a context in its range.
fn row_length(context: usize) -> Result<u64> {
    match u32::try_from(context) {
        Ok(context @ 1..=MOST_CONTEXT) => Ok(u64::from(context) + 1),
        _ => {
            let expected = format!("from 1 to {MOST_CONTEXT}");
            Err(Error::Setting { name: "context", value: context.to_string(), expected })
        }
    }
}
