//! BPE-dropout: segmentations drawn at random.
//!
//! The rule is algorithm 1 of Provilkov, Emelianenko and Voita 2020, "BPE-Dropout: Simple and Effective Subword
//! Regularization": a pre-token is merged step by step, and in each step each place where a merge is possible is dropped
//! with a probability p, for this step alone. Of the places that are left the one of the lowest rank is merged, of equal
//! ones the leftmost; the step in which none is left is the last. Which merges are possible does not change while places
//! are dropped, so here they are asked one by one in the order of their ranks, up to the first that is not dropped: the
//! others would not be merged in this step whatever became of them. With p = 0 this is ordinary merging, with p = 1 a
//! token a byte. Where merges start from characters, it is a token a character, or what stands for one that is none.
//!
//! Hugging Face's `tokenizers` draws in the same way, but also for places whose tokens are gone since: when such a one
//! is not dropped, the places dropped before it are asked again in the same step. So it drops a little less: of merges
//! `a b`, `ab c`, `b c` and the text `abc` at p = 0.5 it gives `ab c` with 0.1875 (measured: 0.1873 of 200,000), the
//! rule of the paper, and this one, with 0.25. As there, a pre-token that is a token as a whole is merged like any other
//! where p is not 0.
//!
//! Random numbers are Xoshiro256++ (Blackman and Vigna 2021), one stream for a text: the ids depend on the text, p and
//! the seed, on nothing else. Time is O(n log n / (1 - p)) for a pre-token of n bytes, and O(n log n) for p = 1.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::prepare::Part;
use super::steps::merge_by_steps;
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::segment::kept_pieces;
use crate::vocab::TokenId;

/// How segmentations are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    probability: f64,
    seed: u64,
}

impl Dropout {
    /// Merges are dropped with this probability. As each step draws anew, a merge that was dropped is mostly done later,
    /// and the more so the longer the pre-token: the paper takes 0.1 for most languages, 0.6 for Chinese and Japanese.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a probability that is not from 0 to 1.
    pub fn new(probability: f64, seed: u64) -> Result<Self> {
        if !(0.0..=1.0).contains(&probability) {
            let (name, expected) = ("dropout", "a number from 0 to 1".to_owned());
            return Err(Error::Setting { name, value: probability.to_string(), expected });
        }
        Ok(Self { probability, seed })
    }

    /// The same for one of many texts: each number has a seed of its own, so that texts can be encoded in any order, on
    /// any thread, and equal ones are not cut alike.
    #[must_use]
    pub fn of_text(self, number: u64) -> Self {
        Self { seed: xxh3_64_with_seed(&number.to_le_bytes(), self.seed), ..self }
    }
}

impl Tokenizer {
    /// The ids of `text` in a segmentation drawn at random; special tokens in it are ordinary text. They decode to the
    /// same as those of [`Tokenizer::encode`], which they are where the probability is 0. Added tokens are never split.
    ///
    /// ```
    /// use ciyuan::encode::{Dropout, Tokenizer};
    /// # use ciyuan::{segment::HanEdges, vocab::TokenizerSpec};
    /// # let spec = TokenizerSpec::from_learned(".+".to_owned(), HanEdges::None, &[(64, 65)], &[])?;
    /// # let tokenizer = Tokenizer::new(spec)?;
    /// let ids = tokenizer.encode_dropout("ababab", Dropout::new(0.3, 7)?)?;
    /// assert_eq!(ids, tokenizer.encode_dropout("ababab", Dropout::new(0.3, 7)?)?);
    /// assert_eq!(tokenizer.decode(&ids)?, b"ababab");
    /// assert_eq!(tokenizer.encode_dropout("ababab", Dropout::new(0.0, 7)?)?, tokenizer.encode("ababab")?);
    /// assert_eq!(tokenizer.encode_dropout("ababab", Dropout::new(1.0, 7)?)?.len(), 6);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_dropout(&self, text: &str, dropout: Dropout) -> Result<Vec<TokenId>> {
        if dropout.probability == 0.0 {
            return self.encode(text);
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(dropout.seed);
        let (mut ends, mut dropped, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        self.preparation().parts(self.preparation().always(), text, false, &mut |part| match part {
            Part::Token(id) => {
                ids.push(id);
                Ok(())
            }
            Part::Text(text) => {
                self.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
                for piece in kept_pieces(text, &ends, &dropped) {
                    let taken = || uniform(&mut random) >= dropout.probability;
                    let (units, _) = self.units(piece);
                    let merged = merge_by_steps(self.pairs(), units.into_iter(), taken, |_| {});
                    ids.extend(merged.into_iter().map(|(_, id)| id));
                }
                Ok(())
            }
        })?;
        Ok(ids)
    }
}

/// Uniform in [0, 1): 53 random bits, so that 1 is never reached.
fn uniform(random: &mut Xoshiro256PlusPlus) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    /// Merges `a b`, `ab c`, `b c`, `c ab`: each text of a, b and c has many segmentations.
    static TINY: LazyLock<Tokenizer> = LazyLock::new(|| {
        // The bytes a, b, c have the ids 64, 65, 66.
        let pairs = [(64, 65), (256, 66), (65, 66), (66, 256)];
        let spec = TokenizerSpec::from_learned("(?s).+".to_owned(), HanEdges::None, &pairs, &[]).unwrap();
        Tokenizer::new(spec).unwrap()
    });

    /// Adds to `found` the probability of every segmentation that follows `tokens`, by the algorithm as it is written.
    fn exact(tokens: &[TokenId], p: f64, weight: f64, found: &mut BTreeMap<Vec<TokenId>, f64>) {
        let pair = |at: usize| TINY.pairs().get(tokens[at], tokens[at + 1]).map(|(rank, result)| (rank, at, result));
        let mut possible: Vec<_> = (0..tokens.len() - 1).filter_map(pair).collect();
        possible.sort();
        let mut weight = weight;
        for (_, at, result) in possible {
            let mut after = tokens.to_vec();
            after[at] = result;
            after.remove(at + 1);
            exact(&after, p, weight * (1.0 - p), found);
            weight *= p;
        }
        *found.entry(tokens.to_vec()).or_default() += weight;
    }

    #[test]
    fn rates_are_those_of_the_paper() {
        const DRAWS: u64 = 20_000;
        for (text, p) in [("abc", 0.5), ("abcab", 0.1), ("cabcabc", 0.6)] {
            let mut wanted = BTreeMap::new();
            exact(&TINY.byte_tokens(text.as_bytes()).collect::<Vec<_>>(), p, 1.0, &mut wanted);
            assert!((wanted.values().sum::<f64>() - 1.0).abs() < 1e-12);
            let dropout = Dropout::new(p, 1).unwrap();
            let mut seen: BTreeMap<Vec<TokenId>, u64> = BTreeMap::new();
            for draw in 0..DRAWS {
                *seen.entry(TINY.encode_dropout(text, dropout.of_text(draw)).unwrap()).or_default() += 1;
            }
            assert!(seen.keys().all(|ids| wanted.contains_key(ids)), "{text}");
            for (ids, expected) in wanted {
                let rate = seen.get(&ids).map_or(0.0, |count| *count as f64 / DRAWS as f64);
                let deviation = (expected * (1.0 - expected) / DRAWS as f64).sqrt();
                assert!((rate - expected).abs() <= 4.0 * deviation, "{text} {ids:?}: {rate}, not {expected}");
            }
        }
        let mut wanted = BTreeMap::new();
        exact(&[64, 65, 66], 0.5, 1.0, &mut wanted);
        assert_eq!(wanted[&vec![256, 66]], 0.25);
    }

    #[test]
    fn the_same_everywhere() {
        let draw = |seed| TINY.encode_dropout("abcabcab", Dropout::new(0.4, seed).unwrap()).unwrap();
        assert_eq!([draw(1), draw(2), draw(3)], GOLDEN.map(<[TokenId]>::to_vec));
        assert_ne!(Dropout::new(0.4, 1).unwrap().of_text(0), Dropout::new(0.4, 1).unwrap().of_text(1));
    }

    /// What the seeds 1, 2 and 3 give; another generator or another order of draws gives something else.
    const GOLDEN: [&[TokenId]; 3] = [&[257, 257, 256], &[257, 257, 256], &[257, 256, 66, 256]];

    #[test]
    fn probabilities_that_are_none() {
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = Dropout::new(wrong, 1).unwrap_err().to_string();
            assert!(error.contains("`dropout`") && error.contains("from 0 to 1"), "{error}");
        }
    }

    #[test]
    fn whole_tokens_are_merged_like_others() {
        let pattern = "(?s).+".to_owned();
        let words = [b"xy".to_vec()];
        let spec = TokenizerSpec::from_words(pattern, HanEdges::None, &[], &words, &[]).unwrap();
        let tokenizer = Tokenizer::new(spec).unwrap();
        assert_eq!(tokenizer.encode_dropout("xy", Dropout::new(0.0, 1).unwrap()).unwrap(), [256]);
        assert_eq!(tokenizer.encode_dropout("xy", Dropout::new(0.1, 1).unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn long_pieces_do_not_take_quadratic_time() {
        let text = "abc".repeat(50_000);
        let ids = TINY.encode_dropout(&text, Dropout::new(0.5, 1).unwrap()).unwrap();
        assert_eq!(TINY.decode(&ids).unwrap(), text.as_bytes());
    }

    proptest! {
        #[test]
        fn the_text_comes_back(text in prop_oneof!["[abc]{0,80}", any::<String>()], p in 0.0f64..=1.0, seed: u64) {
            let draw = |p| TINY.encode_dropout(&text, Dropout::new(p, seed).unwrap()).unwrap();
            prop_assert_eq!(TINY.decode(&draw(p)).unwrap(), text.as_bytes());
            prop_assert_eq!(draw(0.0), TINY.encode(&text).unwrap());
            // So small that no number is below it.
            prop_assert_eq!(draw(f64::MIN_POSITIVE), TINY.encode(&text).unwrap());
            prop_assert_eq!(draw(1.0).len(), text.len());
        }
    }
}
