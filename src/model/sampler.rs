//! Sampling: ids drawn one after the other from what the model expects.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::gpt::{Gpt, Pass};
use super::layers::softmax;
use super::random::Random;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Settings of sampling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampleConfig {
    /// The most ids to draw.
    pub max_tokens: usize,
    /// Divides the logits: below 1 likely ids become likelier; 0 always takes the likeliest.
    pub temperature: f64,
    /// Only so many of the likeliest ids may be drawn; 0 for all.
    pub top_k: usize,
    /// The start of the random numbers.
    pub seed: u64,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { max_tokens: 120, temperature: 0.8, top_k: 50, seed: 0 }
    }
}

/// Draws ids from a model.
pub struct Sampler<'g> {
    gpt: &'g Gpt,
    config: SampleConfig,
    pass: Pass<f32>,
    random: Random,
}

impl SampleConfig {
    /// Checks the settings.
    pub(super) fn check(&self) -> Result<()> {
        if self.temperature >= 0.0 && self.temperature.is_finite() {
            return Ok(());
        }
        let (value, expected) = (self.temperature.to_string(), "0 or more".to_owned());
        Err(Error::Setting { name: "temperature", value, expected })
    }
}

impl<'g> Sampler<'g> {
    /// A sampler of `gpt`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a temperature that is negative or no number.
    pub fn new(gpt: &'g Gpt, config: SampleConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { gpt, config, pass: Pass::new(gpt.config()), random: Random::new(config.seed) })
    }

    /// Continues `prompt` (at least one id) until `end` is drawn or the length is reached; `end` is not among the ids
    /// given. `drawn` is told each id, and may stop.
    pub fn sample(
        &mut self,
        prompt: &[TokenId],
        end: Option<TokenId>,
        drawn: &mut dyn FnMut(TokenId) -> ControlFlow<()>,
    ) -> Vec<TokenId> {
        let context = self.gpt.config().context;
        let mut ids = prompt.to_vec();
        for _ in 0..self.config.max_tokens {
            let window = &ids[ids.len().saturating_sub(context)..];
            self.gpt.forward(window, &mut self.pass);
            let last = window.len() - 1;
            let id = draw(self.gpt.logits(last..last + 1, &mut self.pass), &self.config, &mut self.random);
            if Some(id) == end || drawn(id).is_break() {
                break;
            }
            ids.push(id);
        }
        ids.split_off(prompt.len())
    }
}

pub(super) fn draw(logits: &mut [f32], config: &SampleConfig, random: &mut Random) -> TokenId {
    let mut order: Vec<TokenId> = (0..logits.len() as TokenId).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
    if config.temperature == 0.0 {
        return order[0];
    }
    if config.top_k > 0 {
        order.truncate(config.top_k);
    }
    let mut shares: Vec<f64> = order.iter().map(|&id| f64::from(logits[id as usize]) / config.temperature).collect();
    softmax(&mut shares);
    let mut rest = random.uniform();
    for (&id, share) in order.iter().zip(&shares) {
        rest -= share;
        if rest < 0.0 {
            return id;
        }
    }
    // Rounding may leave a rest at the very end.
    order[order.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::super::config::GptConfig;
    use super::*;

    fn gpt() -> Gpt {
        Gpt::new(GptConfig { vocab_size: 12, context: 6, layers: 1, heads: 2, width: 8 }, 9).unwrap()
    }

    fn sample(config: SampleConfig, end: Option<TokenId>) -> Vec<TokenId> {
        Sampler::new(&gpt(), config).unwrap().sample(&[3, 1], end, &mut |_| ControlFlow::Continue(()))
    }

    #[test]
    fn seeds_lengths_and_ends() {
        let config = SampleConfig { max_tokens: 30, temperature: 1.0, top_k: 0, seed: 1 };
        let ids = sample(config, None);
        assert_eq!((ids.len(), sample(config, None)), (30, ids.clone()));
        assert_ne!(sample(SampleConfig { seed: 2, ..config }, None), ids);
        let end = ids[4];
        let first = ids.iter().position(|&id| id == end).unwrap();
        assert_eq!(sample(config, Some(end)), ids[..first]);
    }

    #[test]
    fn draws_follow_the_shares() {
        let mut random = Random::new(3);
        let config = SampleConfig { temperature: 1.0, top_k: 2, ..SampleConfig::default() };
        let mut counts = [0; 4];
        (0..30_000).for_each(|_| counts[draw(&mut [0.0, 3f32.ln(), -1.0, -9.0], &config, &mut random) as usize] += 1);
        assert_eq!((counts[2], counts[3]), (0, 0));
        assert!((f64::from(counts[1]) / 30_000.0 - 0.75).abs() < 0.01, "{counts:?}");
        let greedy = SampleConfig { temperature: 0.0, ..config };
        assert_eq!(draw(&mut [0.0, 1.0, 5.0, 5.0], &greedy, &mut random), 2);
        assert!(Sampler::new(&gpt(), SampleConfig { temperature: -1.0, ..config }).is_err());
    }
}
