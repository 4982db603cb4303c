//! What all models of text have in common, so that one measure fits them: the nats of a sequence, token by token.

use rayon::prelude::*;

use super::gpt::Gpt;
use super::half::Precision;
use super::ngram::NGram;
use super::recurrent::{Recurrent, RecurrentPass, State};
use super::score::{half_context, score, score_each};
use super::unigram::Unigram;
use crate::vocab::TokenId;

/// Tokens that a recurrent network scores at once; its state is carried on, so it is no part of the results.
const WINDOW: usize = 64;

/// A model that says how likely each token is behind those before it.
pub trait LanguageModel: Sync {
    /// What it is called: `gpt`, `lstm`, `rnn`, `ngram`, `unigram`.
    fn name(&self) -> &'static str;

    /// How many numbers it has learned; of models that count, how many counts.
    fn parameters(&self) -> u64;

    /// One above the highest id.
    fn vocab_size(&self) -> usize;

    /// The nats of each id of `ids` but the first, given those before it. All ids must be below the vocabulary's size.
    fn nats(&self, ids: &[TokenId]) -> Vec<f64>;

    /// [`LanguageModel::nats`] of each sequence, on all threads; for a GPT the same but for rounding.
    fn nats_of_each(&self, sequences: &[Vec<TokenId>]) -> Vec<Vec<f64>> {
        sequences.par_iter().map(|ids| self.nats(ids)).collect()
    }
}

impl LanguageModel for Gpt {
    fn name(&self) -> &'static str {
        "gpt"
    }

    fn parameters(&self) -> u64 {
        self.config().parameters()
    }

    fn vocab_size(&self) -> usize {
        self.config().vocab_size
    }

    fn nats(&self, ids: &[TokenId]) -> Vec<f64> {
        score(self, ids)
    }

    fn nats_of_each(&self, sequences: &[Vec<TokenId>]) -> Vec<Vec<f64>> {
        score_each(self, sequences, half_context(self), Precision::F32)
    }
}

impl LanguageModel for Recurrent {
    fn name(&self) -> &'static str {
        match self.config.cell {
            super::Cell::Elman => "rnn",
            super::Cell::Lstm => "lstm",
        }
    }

    fn parameters(&self) -> u64 {
        self.config.parameters()
    }

    fn vocab_size(&self) -> usize {
        self.config.vocab_size
    }

    fn nats(&self, ids: &[TokenId]) -> Vec<f64> {
        let (mut state, mut pass) = (State::new(&self.config), RecurrentPass::new(&self.config, WINDOW));
        let inputs = &ids[..ids.len().saturating_sub(1)];
        let mut nats = Vec::with_capacity(inputs.len());
        for (window, targets) in inputs.chunks(WINDOW).zip(ids.get(1..).unwrap_or_default().chunks(WINDOW)) {
            self.forward(window, &mut state, &mut pass);
            let logits = self.logits(0..window.len(), &mut pass);
            nats.extend(
                logits.chunks_exact(self.config.vocab_size).zip(targets).map(|(row, &target)| cost(row, target)),
            );
        }
        nats
    }
}

/// The nats of a token under logits, in f64.
fn cost(logits: &[f32], target: TokenId) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - top).exp()).sum();
    sum.ln() + f64::from(top) - f64::from(logits[target as usize])
}

impl LanguageModel for NGram {
    fn name(&self) -> &'static str {
        "ngram"
    }

    fn parameters(&self) -> u64 {
        self.len() as u64
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size() as usize
    }

    /// Documents must have been counted with what stands before their first token.
    fn nats(&self, ids: &[TokenId]) -> Vec<f64> {
        let mut nats = self.each(ids).expect("the ids are below the vocabulary's size");
        nats.drain(..nats.len().min(1));
        nats
    }
}

impl LanguageModel for Unigram {
    fn name(&self) -> &'static str {
        "unigram"
    }

    fn parameters(&self) -> u64 {
        self.counts().len() as u64
    }

    fn vocab_size(&self) -> usize {
        self.counts().len()
    }

    fn nats(&self, ids: &[TokenId]) -> Vec<f64> {
        ids.iter().skip(1).map(|&id| self.nats(id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::cross_entropy;
    use super::super::{Cell, NGramCounts, RecurrentConfig};
    use super::*;

    #[test]
    fn a_long_sequence_is_scored_as_one_window() {
        let ids: Vec<u32> = (0..200u32).map(|at| at * at % 11).collect();
        for cell in [Cell::Elman, Cell::Lstm] {
            let model = Recurrent::<f32>::new(RecurrentConfig { cell, vocab_size: 11, width: 8 }, 3).unwrap();
            let nats = LanguageModel::nats(&model, &ids);
            let mut pass = RecurrentPass::new(model.config(), 199);
            model.forward(&ids[..199], &mut State::new(model.config()), &mut pass);
            let loss = cross_entropy(model.logits(0..199, &mut pass), &ids[1..], 1.0);
            assert!(nats.len() == 199 && (nats.iter().sum::<f64>() - loss).abs() < 1e-3, "{loss}");
            assert!(LanguageModel::nats(&model, &[]).is_empty() && LanguageModel::nats(&model, &[1]).is_empty());
        }
    }

    #[test]
    fn models_that_count() {
        let (mut counts, mut unigram) = (NGramCounts::new(3, 5).unwrap(), Unigram::new(5));
        for document in [[4, 1, 2, 4], [4, 2, 1, 4]] {
            counts.add(&document).unwrap();
            unigram.add(&document[1..]).unwrap();
        }
        let ngram = counts.finish();
        let nats = LanguageModel::nats(&ngram, &[4, 1, 2]);
        let [whole, first] = [ngram.nats(&[4, 1, 2]).unwrap(), ngram.nats(&[4]).unwrap()];
        assert!(nats.len() == 2 && (nats.iter().sum::<f64>() - (whole - first)).abs() < 1e-12);
        assert!(LanguageModel::nats(&ngram, &[]).is_empty());
        let share = (2.0 + 1.0) / (6.0 + 5.0);
        assert!((LanguageModel::nats(&unigram, &[4, 1])[0] + f64::ln(share)).abs() < 1e-12);
        let sequences = vec![vec![4, 1, 2], vec![], vec![4, 4]];
        for model in [&ngram as &dyn LanguageModel, &unigram] {
            let each: Vec<Vec<f64>> = sequences.iter().map(|ids| model.nats(ids)).collect();
            assert_eq!(model.nats_of_each(&sequences), each);
        }
    }
}
