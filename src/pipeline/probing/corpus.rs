//! The texts of a probe: what models are trained on, and what they are asked.
//!
//! Documents are held out by a hash of their text, as everywhere ([`split_of`]). A document for training that shares much
//! with held-out ones, a page under another name or with another date, would tell a model what it is asked; so it is left
//! out, and counted. "Shares much" is measured in shingles, all runs of 16 characters (Broder 1997, "On the resemblance and
//! containment of documents").

use rayon::prelude::*;
use rustc_hash::FxHashSet;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::super::split::{ValFraction, split_of};
use crate::error::{Error, Result};
use crate::shard::Split;

/// Characters of a shingle.
const SHINGLE: usize = 16;
/// The share of a document's shingles from which on it is taken for a copy of held-out text.
const COPIED: f64 = 0.05;

/// Documents of a language.
#[derive(Debug, Clone)]
pub struct ProbeCorpus {
    /// Its name.
    pub name: String,
    /// Its documents.
    pub documents: Vec<String>,
}

/// A document, and of which corpus it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) corpus: usize,
    pub(super) text: String,
}

/// Texts to train on, and to ask.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) names: Vec<String>,
    pub(super) train: Vec<Text>,
    pub(super) held_out: Vec<Text>,
    /// Documents that were left out of training because they are like held-out ones.
    pub(super) near_duplicates: u64,
    /// Of all texts, those for training and those held out apart.
    pub(super) hash: u64,
}

impl Texts {
    /// Splits the documents of all corpora. Each corpus has its own share held out, so that a small one has its part.
    pub(super) fn new(corpora: Vec<ProbeCorpus>, val: ValFraction) -> Result<Self> {
        val.check()?;
        let names = corpora.iter().map(|corpus| corpus.name.clone()).collect();
        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for (number, corpus) in corpora.into_iter().enumerate() {
            let bytes: u64 = corpus.documents.iter().map(|text| text.len() as u64).sum();
            let share = val.share(bytes);
            for text in corpus.documents.into_iter().filter(|text| !text.is_empty()) {
                let side = if split_of(&text, share) == Split::Val { &mut held_out } else { &mut train };
                side.push(Text { corpus: number, text });
            }
            for (texts, what) in [(&train, "for training"), (&held_out, "held out")] {
                if texts.iter().all(|text: &Text| text.corpus != number) {
                    return Err(Error::TooFewDocuments { corpus: corpus.name, what });
                }
            }
        }
        let before = train.len();
        let known: FxHashSet<u64> = held_out.iter().flat_map(|text| shingles(&text.text)).collect();
        let copied: Vec<bool> = train.par_iter().map(|text| is_copy(&text.text, &known)).collect();
        let mut copied = copied.into_iter();
        train.retain(|_| !copied.next().unwrap_or(false));
        let near_duplicates = (before - train.len()) as u64;
        let hash_of =
            |texts: &[Text], seed| texts.iter().fold(seed, |hash, text| xxh3_64_with_seed(text.text.as_bytes(), hash));
        let hash = hash_of(&held_out, hash_of(&train, 0) ^ 1);
        if train.is_empty() {
            let corpus = "all corpora".to_owned();
            return Err(Error::TooFewDocuments { corpus, what: "for training that is not like what is held out" });
        }
        Ok(Self { names, train, held_out, near_duplicates, hash })
    }

    /// Bytes to train on.
    pub(super) fn train_bytes(&self) -> u64 {
        self.train.iter().map(|text| text.text.len() as u64).sum()
    }

    /// The order of the documents for training that a seed gives.
    pub(super) fn order(&self, seed: u64) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.train.len() as u32).collect();
        // By a hash of the number, which no two numbers share as their bytes are all there is to it; if two did, the sort
        // is stable.
        order.sort_by_key(|number| xxh3_64_with_seed(&number.to_le_bytes(), seed));
        order
    }
}

/// Hashes of all shingles of a text.
fn shingles(text: &str) -> impl Iterator<Item = u64> {
    let starts = text.char_indices().map(|(at, _)| at);
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]).skip(SHINGLE);
    starts.zip(ends).map(|(start, end)| xxh3_64(&text.as_bytes()[start..end]))
}

fn is_copy(text: &str, known: &FxHashSet<u64>) -> bool {
    let (mut all, mut copied) = (0u64, 0u64);
    for shingle in shingles(text) {
        all += 1;
        copied += u64::from(known.contains(&shingle));
    }
    copied as f64 > COPIED * all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(name: &str, documents: impl Iterator<Item = String>) -> ProbeCorpus {
        ProbeCorpus { name: name.to_owned(), documents: documents.collect() }
    }

    fn page(number: usize) -> String {
        (0..80).map(|word| format!("w{} ", number * 1000 + word * 7 % 991)).collect()
    }

    #[test]
    fn shingles_of_a_text() {
        let all: Vec<u64> = shingles("词元abcdefghijklmnop").collect();
        let of = |text: &str| xxh3_64(text.as_bytes());
        assert_eq!(all, [of("词元abcdefghijklmn"), of("元abcdefghijklmno"), of("abcdefghijklmnop")]);
        assert_eq!(shingles("fifteen letters").count(), 0);
    }

    #[test]
    fn documents_like_held_out_ones_are_left_out() {
        let plain = Texts::new(vec![corpus("en", (0..100).map(page))], ValFraction::Of(0.2)).unwrap();
        assert_eq!(plain.near_duplicates, 0);
        assert_eq!(plain.train.len() + plain.held_out.len(), 100);
        assert!((8..40).contains(&plain.held_out.len()), "{}", plain.held_out.len());
        // The held-out ones again with one word more: wherever the hash puts them, none is trained on.
        let again: Vec<String> = plain.held_out.iter().map(|text| format!("Updated. {}", text.text)).collect();
        let copies = again.len() as u64;
        let texts = Texts::new(vec![corpus("en", (0..100).map(page).chain(again))], ValFraction::Of(0.2)).unwrap();
        let held_copies = texts.held_out.iter().filter(|text| text.text.starts_with("Updated")).count() as u64;
        assert!(texts.near_duplicates >= copies - held_copies && copies > held_copies);
        assert!(texts.train.iter().all(|text| !text.text.starts_with("Updated")));
    }

    #[test]
    fn orders_are_permutations_by_seed() {
        let texts = Texts::new(vec![corpus("en", (0..100).map(page))], ValFraction::Of(0.2)).unwrap();
        let [one, two] = [1, 2].map(|seed| texts.order(seed));
        assert_ne!(one, two);
        assert_eq!(one, texts.order(1));
        let mut sorted = two;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(at, number)| at == *number as usize));
    }

    #[test]
    fn a_corpus_without_a_side() {
        let few = vec![corpus("en", (0..100).map(page)), corpus("zh", ["词元".to_owned()].into_iter())];
        let error = Texts::new(few, ValFraction::Of(0.2)).unwrap_err();
        assert!(matches!(error, Error::TooFewDocuments { ref corpus, .. } if corpus == "zh"), "{error}");
    }
}
