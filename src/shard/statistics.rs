//! Statistics of the ids of shards.

use std::collections::BTreeMap;

use super::Corpus;
use crate::error::Result;
use crate::vocab::TokenId;

/// What the ids of a corpus are like.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct IdStatistics {
    /// Documents.
    pub documents: u64,
    /// Ids, end-of-text tokens among them.
    pub tokens: u64,
    /// Ids of a document, its end-of-text token among them: the least, at 10, 50, 90 and 99 of a hundred documents, the
    /// most.
    pub lengths: [u64; 6],
    /// How many of the vocabulary occur.
    pub used: u32,
    /// How many do not.
    pub unused: u32,
    /// The most frequent ids and how often they occur; of equals the lower id comes first.
    pub frequent: Vec<(TokenId, u64)>,
}

/// How many ids are given as frequent.
const FREQUENT: usize = 20;

impl IdStatistics {
    /// Reads all ids of a corpus. Memory is 8 bytes an id of the vocabulary, and some for each distinct length.
    ///
    /// # Errors
    ///
    /// [`Error::Shard`](crate::Error::Shard) for a damaged shard.
    pub fn of(corpus: &Corpus) -> Result<Self> {
        let info = corpus.info();
        let mut counts = Vec::new();
        let mut lengths: BTreeMap<u64, u64> = BTreeMap::new();
        let mut ids = Vec::new();
        for shard in corpus.shards() {
            for number in 0..shard.info().documents {
                let range = shard.document(number)?;
                *lengths.entry(range.end - range.start).or_default() += 1;
            }
            let mut at = 0;
            while at < shard.info().tokens {
                let end = (at + (1 << 16)).min(shard.info().tokens);
                ids.clear();
                shard.read(at..end, &mut ids)?;
                for &id in &ids {
                    // As long as the highest id asks for: the size in a header may be any.
                    if counts.len() <= id as usize {
                        counts.resize(id as usize + 1, 0u64);
                    }
                    counts[id as usize] += 1;
                }
                at = end;
            }
        }
        let mut frequent: Vec<(TokenId, u64)> = (0..).zip(counts).filter(|(_, count)| *count > 0).collect();
        let used = frequent.len() as u32;
        frequent.sort_by_key(|&(id, count)| (std::cmp::Reverse(count), id));
        frequent.truncate(FREQUENT);
        Ok(Self {
            documents: info.documents,
            tokens: info.tokens,
            lengths: [0.0, 0.1, 0.5, 0.9, 0.99, 1.0].map(|share| quantile(&lengths, info.documents, share)),
            used,
            unused: info.vocab_size.saturating_sub(used),
            frequent,
        })
    }
}

/// The length that a share of the documents do not exceed: the nearest rank.
fn quantile(lengths: &BTreeMap<u64, u64>, documents: u64, share: f64) -> u64 {
    let rank = ((documents as f64 * share).ceil() as u64).clamp(1, documents.max(1));
    let mut before = 0;
    for (&length, &count) in lengths {
        before += count;
        if before >= rank {
            return length;
        }
    }
    lengths.keys().next_back().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::ShardWriter;
    use crate::vocab::Fingerprint;

    #[test]
    fn of_a_small_shard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.shard");
        let mut writer = ShardWriter::create(&path, 300, Some(0), Fingerprint([1; 16])).unwrap();
        for length in 1..=100u32 {
            let ids: Vec<u32> = (0..length).map(|at| if at % 2 == 0 { 7 } else { 200 + at }).collect();
            writer.push(&ids, 1).unwrap();
        }
        writer.finish().unwrap();
        let corpus = Corpus::from_paths(&[path]).unwrap().unwrap();
        let found = IdStatistics::of(&corpus).unwrap();
        assert_eq!((found.documents, found.tokens), (100, 5050 + 100));
        // One above each length, for the end-of-text token.
        assert_eq!(found.lengths, [2, 11, 51, 91, 100, 101]);
        // The end, 7, and the odd numbers from 1 to 99 above 200 that are in the vocabulary.
        assert_eq!((found.used, found.unused), (52, 248));
        assert_eq!(found.frequent[..3], [(7, 2550), (0, 100), (201, 99)]);
        assert_eq!(found.frequent.len(), FREQUENT);
    }
}
