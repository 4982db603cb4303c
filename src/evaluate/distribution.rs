//! How the tokens of a corpus are distributed, as sums over documents.
//!
//! Four descriptors, none of which is an aim (two ways of raising Rényi's efficiency while models get worse are known,
//! Cognetta 2024), of the counts x of the tokens, N of them in all, with shares p = x / N:
//!
//! * Entropy of single tokens for each byte of text: -Σ x log2 p / bytes (Shannon 1948).
//! * Rényi's entropy of order α = 2.5 as a part of the highest there could be with so many ids V: log Σ p^α / (1 - α) / log V
//!   (Zouhar 2023, "Tokenization and the Noiseless Channel").
//! * Gini's coefficient over all ids, those that do not occur among them: Σ (2 r - V - 1) x / (V N), r the rank from the
//!   rarest. 0: all ids are used alike; near 1: a few ids are all of the text.
//! * Zipf's exponent s: the one that makes the counts likeliest when the token of rank r, from the commonest of the n that
//!   occur, has a share in proportion to r^-s (Moreno-Sánchez 2016, "Large-scale analysis of Zipf's law in English texts").
//!   It is where the mean of log r under that law is the mean of log r of the tokens. A line fitted to logarithms was not
//!   taken: it counts each of the tokens that occur once as much as the commonest.
//!
//! None of them is a ratio of sums over documents, and drawing documents again makes all of them too low or too high: a
//! draw has fewer different tokens. So a document is given what it moves a descriptor by, to the first order (its influence,
//! Hampel 1974), and the value itself once for each token: the ratio of the sums is the descriptor, and its error that of
//! the descriptor. Where the order of counts is used, an exchange of two tokens of the same count moves nothing, so ranks may
//! be held.

use super::measures::{Column, Row};
use crate::vocab::TokenId;

/// The order of Rényi's entropy.
const ORDER: f64 = 2.5;

/// What each token adds to the sums of its document, by id.
pub(super) struct Distribution {
    weights: Vec<Weights>,
    /// Whether there are two different tokens, without which there is no exponent.
    is_ranked: bool,
    /// How often each id that occurs does, from the commonest.
    pub(super) ranked: Vec<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Weights {
    bits: f64,
    renyi: f64,
    gini: f64,
    zipf: f64,
}

impl Distribution {
    /// Of the ids of all documents of a corpus, with ids below `vocab_size`.
    pub(super) fn of<'i>(documents: impl IntoIterator<Item = &'i [TokenId]>, vocab_size: u32) -> Self {
        let mut counts = vec![0u64; vocab_size as usize];
        documents.into_iter().flatten().for_each(|id| counts[*id as usize] += 1);
        let mut order: Vec<usize> = (0..counts.len()).filter(|id| counts[*id] > 0).collect();
        order.sort_by_key(|id| std::cmp::Reverse(counts[*id]));
        let ranked: Vec<u64> = order.iter().map(|id| counts[*id]).collect();
        let all = ranked.iter().sum::<u64>() as f64;
        let size = f64::from(vocab_size);

        let power: f64 = ranked.iter().map(|count| (*count as f64 / all).powf(ORDER)).sum();
        let scale = (1.0 - ORDER) * size.ln();
        let zipf = Zipf::of(&ranked);
        let mut weights = vec![Weights::default(); counts.len()];
        for same in runs(&ranked) {
            let share = ranked[same.start] as f64 / all;
            // Ranks from 1; of equal counts the mean one. From the rarest, those that do not occur come first.
            let rank = (same.start + same.end + 1) as f64 / 2.0;
            let weight = Weights {
                bits: -share.log2(),
                renyi: (power.ln() + ORDER * (share.powf(ORDER - 1.0) / power - 1.0)) / scale,
                gini: (2.0 * (size + 1.0 - rank) - size - 1.0) / size,
                zipf: zipf.as_ref().map_or(0.0, |zipf| zipf.weight(same.clone())),
            };
            order[same].iter().for_each(|id| weights[*id] = weight);
        }
        Self { weights, is_ranked: zipf.is_some(), ranked }
    }

    /// Sets what a document of these ids adds.
    pub(super) fn set(&self, ids: &[TokenId], row: &mut Row) {
        let mut sum = Weights::default();
        for weights in ids.iter().map(|id| self.weights[*id as usize]) {
            sum.bits += weights.bits;
            sum.renyi += weights.renyi;
            sum.gini += weights.gini;
            sum.zipf += weights.zipf;
        }
        row.0[Column::EntropyBits as usize] = sum.bits;
        row.0[Column::Renyi as usize] = sum.renyi;
        row.0[Column::Gini as usize] = sum.gini;
        row.0[Column::Zipf as usize] = sum.zipf;
        row.set(Column::RankedTokens, if self.is_ranked { ids.len() as u64 } else { 0 });
    }
}

/// Ranges of equal counts.
fn runs(ranked: &[u64]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut start = 0;
    ranked.chunk_by(|a, b| a == b).map(move |same| {
        let range = start..start + same.len();
        start = range.end;
        range
    })
}

/// The law of Zipf that fits best.
struct Zipf {
    exponent: f64,
    /// Mean and variance of the logarithm of the rank under it.
    mean: f64,
    variance: f64,
    logs: Vec<f64>,
}

impl Zipf {
    /// Beyond this one token is all there is.
    const STEEPEST: f64 = 64.0;

    /// Of counts from the highest; none of fewer than two.
    fn of(ranked: &[u64]) -> Option<Self> {
        if ranked.len() < 2 {
            return None;
        }
        let logs: Vec<f64> = (1..=ranked.len()).map(|rank| (rank as f64).ln()).collect();
        let sum: f64 = ranked.iter().zip(&logs).map(|(count, log)| *count as f64 * log).sum();
        let mean = sum / ranked.iter().sum::<u64>() as f64;
        let (mut low, mut high) = (0.0, Self::STEEPEST);
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            if moments(&logs, middle)[0] > mean { low = middle } else { high = middle }
        }
        let exponent = (low + high) / 2.0;
        let [_, variance] = moments(&logs, exponent);
        Some(Self { exponent, mean, variance, logs })
    }

    /// What a token adds whose count is that of all these places in the order.
    fn weight(&self, same: std::ops::Range<usize>) -> f64 {
        let count = same.len() as f64;
        let log = self.logs[same].iter().sum::<f64>() / count;
        let moved = if self.variance > 0.0 { (log - self.mean) / self.variance } else { 0.0 };
        self.exponent - moved
    }
}

/// Mean and variance of the logarithm of the rank.
fn moments(logs: &[f64], exponent: f64) -> [f64; 2] {
    let (mut all, mut first, mut second) = (0.0, 0.0, 0.0);
    for log in logs {
        let weight = (-exponent * log).exp();
        all += weight;
        first += weight * log;
        second += weight * log * log;
    }
    let mean = first / all;
    [mean, second / all - mean * mean]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Entropy in bits a token, Rényi's efficiency, Gini's coefficient and Zipf's exponent.
    fn sums(documents: &[Vec<TokenId>], vocab_size: u32) -> [f64; 4] {
        let distribution = Distribution::of(documents.iter().map(Vec::as_slice), vocab_size);
        let mut sums = [0.0; 5];
        for ids in documents {
            let mut row = Row::new();
            distribution.set(ids, &mut row);
            let columns = [Column::EntropyBits, Column::Renyi, Column::Gini, Column::Zipf, Column::RankedTokens];
            sums.iter_mut().zip(columns).for_each(|(sum, column)| *sum += row.get(column));
        }
        let tokens: f64 = documents.iter().map(|ids| ids.len() as f64).sum();
        [sums[0] / tokens, sums[1] / tokens, sums[2] / tokens, sums[3] / sums[4]]
    }

    fn near(found: [f64; 4], wanted: [f64; 4]) {
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
    }

    #[test]
    fn by_hand() {
        // Four tokens, four times each, of sixteen ids: two bits, half of the highest efficiency, no slope. Of the ids from
        // the rarest, twelve are 0, and 4 * ((26 + 28 + 30 + 32) - 4 * 17) / (16 * 16) is 0.75.
        let even: Vec<TokenId> = (0..16).map(|at| at % 4).collect();
        near(sums(&[even], 16), [2.0, 0.5, 0.75, 0.0]);
        // Four and one: the rank 2 has a fourth of the share of the rank 1, so the exponent is 2.
        let uneven = vec![vec![1, 1, 1], vec![0, 1]];
        let entropy = -(0.8 * 0.8f64.log2() + 0.2 * 0.2f64.log2());
        let renyi = (0.8f64.powf(2.5) + 0.2f64.powf(2.5)).log2() / -1.5;
        near(sums(&uneven, 2), [entropy, renyi, (2.0 * (4.0 * 2.0 + 1.0) - 3.0 * 5.0) / (2.0 * 5.0), 2.0]);
        // One token has no rank beside another.
        assert!(sums(&[vec![3, 3]], 4)[3].is_nan());
        assert_eq!(Distribution::of([], 4).ranked, Vec::<u64>::new());
    }

    /// The definitions, without documents.
    fn oracle(ids: &[TokenId], vocab_size: u32) -> [f64; 4] {
        let mut counts = vec![0.0; vocab_size as usize];
        ids.iter().for_each(|id| counts[*id as usize] += 1.0);
        let (all, size) = (ids.len() as f64, f64::from(vocab_size));
        let shares = || counts.iter().filter(|count| **count > 0.0).map(|count| count / all);
        let entropy = -shares().map(|share| share * share.log2()).sum::<f64>();
        let renyi = shares().map(|share| share.powf(2.5)).sum::<f64>().ln() / -1.5 / size.ln();
        let pairs = counts.iter().flat_map(|a: &f64| counts.iter().map(move |b| (a - b).abs()));
        let gini = pairs.sum::<f64>() / (2.0 * size * all);
        let mut ranked: Vec<f64> = shares().collect();
        ranked.sort_by(|a, b| b.total_cmp(a));
        // The likelihood by steps of a hundredth.
        let likelihood = |exponent: f64| {
            let law: Vec<f64> = (1..=ranked.len()).map(|rank| (rank as f64).powf(-exponent)).collect();
            let whole: f64 = law.iter().sum();
            ranked.iter().zip(law).map(|(share, law)| share * (law / whole).ln()).sum::<f64>()
        };
        let steps = (0..=800).map(|step| f64::from(step) / 100.0);
        let zipf = steps.max_by(|a, b| likelihood(*a).total_cmp(&likelihood(*b))).unwrap();
        [entropy, renyi, gini, zipf]
    }

    fn documents() -> impl Strategy<Value = Vec<Vec<TokenId>>> {
        let id = prop_oneof![0..3u32, 0..12u32, 0..40u32];
        prop::collection::vec(prop::collection::vec(id, 1..60), 2..20)
    }

    proptest! {
        #[test]
        fn sums_are_the_definitions(documents in documents()) {
            let ids: Vec<TokenId> = documents.concat();
            prop_assume!(ids.iter().any(|id| *id != ids[0]));
            let (found, wanted) = (sums(&documents, 50), oracle(&ids, 50));
            for (found, wanted) in found.iter().zip(wanted).take(3) {
                prop_assert!((found - wanted).abs() < 1e-9, "{} {}", found, wanted);
            }
            // Steeper laws than 8 are not looked for there.
            prop_assert!((found[3] - wanted[3]).abs() < 0.0051 || found[3] > 7.99, "{} {}", found[3], wanted[3]);
        }
    }

    /// What the sums without a document say is what the definitions say without it, to the first order.
    #[test]
    fn documents_move_what_they_are_said_to() {
        let draw = |n: u64| xxhash_rust::xxh3::xxh3_64_with_seed(&n.to_le_bytes(), 7);
        let id = |n: u64| ((draw(n) % 1000) as f64 / 1000.0).powi(3) * 30.0;
        let documents: Vec<Vec<TokenId>> =
            (0..200).map(|at| (0..50 + at % 40).map(|n| id(1000 * at + n) as TokenId).collect()).collect();
        let distribution = Distribution::of(documents.iter().map(Vec::as_slice), 40);
        let (whole, tokens) = (sums(&documents, 40), documents.concat().len() as f64);
        for (at, ids) in documents.iter().enumerate().step_by(17) {
            let mut row = Row::new();
            distribution.set(ids, &mut row);
            let mut rest = documents.clone();
            rest.remove(at);
            let again = sums(&rest, 40);
            let columns = [Column::EntropyBits, Column::Renyi, Column::Gini, Column::Zipf];
            for ((whole, again), column) in whole.iter().zip(again).zip(columns) {
                let count = ids.len() as f64;
                let said = (whole * tokens - row.get(column)) / (tokens - count) - whole;
                let moved = again - whole;
                assert!((said - moved).abs() < 0.1 * moved.abs() + 2e-5, "{column:?}: {said} {moved}");
            }
        }
    }
}
