//! The bag of words of a corpus: how often each token stands in it, and in how many documents.
//!
//! The second number is the document frequency of information retrieval (Spärck Jones 1972): a token that stands in every
//! document tells nothing of any one of them, however often it stands there.

use crate::vocab::TokenId;

/// Counts of tokens and of the documents that hold them. Order is forgotten: that is what makes it a bag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bag {
    counts: Vec<u64>,
    holders: Vec<u64>,
    /// The last document that held each token, counted from 1.
    last: Vec<u64>,
    documents: u64,
    tokens: u64,
}

impl Bag {
    /// Counts the tokens of one document. Memory grows with the highest id that was seen, 24 bytes each.
    pub fn add(&mut self, document: &[TokenId]) {
        self.documents += 1;
        self.tokens += document.len() as u64;
        for &id in document {
            let id = id as usize;
            if self.counts.len() <= id {
                [&mut self.counts, &mut self.holders, &mut self.last]
                    .into_iter()
                    .for_each(|list| list.resize(id + 1, 0));
            }
            self.counts[id] += 1;
            if self.last[id] != self.documents {
                self.last[id] = self.documents;
                self.holders[id] += 1;
            }
        }
    }

    /// How often each token was seen, by id, up to the highest id that was.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The document-count vector: how many documents hold each token, by id, up to the highest id that was seen.
    #[must_use]
    pub fn holders(&self) -> &[u64] {
        &self.holders
    }

    /// Documents that were added.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Tokens that were added.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// How many different tokens were seen.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.counts.iter().filter(|count| **count > 0).count()
    }

    /// The `count` most frequent tokens; of equals the lower id comes first.
    #[must_use]
    pub fn top(&self, count: usize) -> Vec<TokenId> {
        let mut ids: Vec<TokenId> =
            (0..self.counts.len() as TokenId).filter(|&id| self.counts[id as usize] > 0).collect();
        ids.sort_by_key(|&id| (std::cmp::Reverse(self.counts[id as usize]), id));
        ids.truncate(count);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_plain_count(documents in prop::collection::vec(prop::collection::vec(0..9u32, 0..12), 0..8)) {
            let mut bag = Bag::default();
            documents.iter().for_each(|document| bag.add(document));
            let all = documents.concat();
            let count = |id: u32| all.iter().filter(|&&other| other == id).count() as u64;
            let holders = |id: u32| documents.iter().filter(|document| document.contains(&id)).count() as u64;
            let end = all.iter().max().map_or(0, |highest| highest + 1);
            prop_assert_eq!(bag.counts(), (0..end).map(count).collect::<Vec<_>>());
            prop_assert_eq!(bag.holders(), (0..end).map(holders).collect::<Vec<_>>());
            prop_assert_eq!((bag.documents(), bag.tokens()), (documents.len() as u64, all.len() as u64));
            let top = bag.top(4);
            let distinct = (0..9).filter(|&id| count(id) > 0).count();
            prop_assert_eq!((bag.distinct(), top.len()), (distinct, distinct.min(4)));
            for pair in top.windows(2) {
                prop_assert!(count(pair[0]) > count(pair[1]) || count(pair[0]) == count(pair[1]) && pair[0] < pair[1]);
            }
            let least = top.last().map_or(0, |&id| count(id));
            let left = (0..9).filter(|id| !top.contains(id)).all(|id| count(id) <= least);
            prop_assert!(left || top.is_empty());
        }
    }
}
