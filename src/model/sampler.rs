//! Sampling: ids drawn one after the other from what the model expects.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::cache::Cache;
use super::gpt::Gpt;
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
    /// Only the fewest of the likeliest ids whose shares come to this may be drawn (Holtzman et al. 2020); 1 for all.
    pub top_p: f64,
    /// The logits of ids that stand before are divided by it, negative ones multiplied (Keskar et al. 2019); 1 for none.
    pub repetition_penalty: f64,
    /// The start of the random numbers.
    pub seed: u64,
}

/// An id that was drawn.
#[derive(Debug, Clone, Copy)]
pub struct Draw<'d> {
    /// The id.
    pub id: TokenId,
    /// The ids that could be drawn with their shares, which sum to 1; the likeliest first.
    pub choices: &'d [(TokenId, f64)],
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { max_tokens: 120, temperature: 0.8, top_k: 50, top_p: 1.0, repetition_penalty: 1.0, seed: 0 }
    }
}

/// Draws ids from a model.
pub struct Sampler<'g> {
    gpt: &'g Gpt,
    config: SampleConfig,
    cache: Cache<f32>,
    random: Random,
}

impl SampleConfig {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a temperature that is negative or no number, a share outside 0 to 1, and a penalty that is
    /// not above 0.
    pub fn check(&self) -> Result<()> {
        let Self { temperature, top_p, repetition_penalty: penalty, .. } = *self;
        for (name, value, holds, expected) in [
            ("temperature", temperature, temperature >= 0.0 && temperature.is_finite(), "0 or more"),
            ("top-p", top_p, top_p > 0.0 && top_p <= 1.0, "above 0, and 1 at the most"),
            ("repetition-penalty", penalty, penalty > 0.0 && penalty.is_finite(), "above 0"),
        ] {
            if !holds {
                return Err(Error::Setting { name, value: value.to_string(), expected: expected.to_owned() });
            }
        }
        Ok(())
    }
}

impl<'g> Sampler<'g> {
    /// A sampler of `gpt`.
    ///
    /// # Errors
    ///
    /// As [`SampleConfig::check`].
    pub fn new(gpt: &'g Gpt, config: SampleConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { gpt, config, cache: Cache::new(gpt), random: Random::new(config.seed) })
    }

    /// Continues `prompt` (at least one id) until `end` is drawn or the length is reached; `end` is not among the ids
    /// given. `drawn` is told each id and what could have been drawn, the end too, and may stop.
    ///
    /// The model sees as many ids before the next as its context holds. When it is full, the later half of them is read
    /// again, because positions do not move.
    pub fn sample(
        &mut self,
        prompt: &[TokenId],
        end: Option<TokenId>,
        drawn: &mut dyn FnMut(Draw<'_>) -> ControlFlow<()>,
    ) -> Vec<TokenId> {
        let context = self.gpt.config().context;
        let mut ids = prompt.to_vec();
        // How many of the last ids were not read yet.
        let mut fresh = ids.len().min(context);
        self.cache.truncate(0);
        for _ in 0..self.config.max_tokens {
            if fresh > self.cache.left(self.gpt) {
                self.cache.truncate(0);
                fresh = context.div_ceil(2);
            }
            let logits = self.gpt.advance(&ids[ids.len() - fresh..], &mut self.cache);
            fresh = 1;
            let choices = choices(logits, &ids, &self.config);
            let id = draw(&choices, &mut self.random);
            if drawn(Draw { id, choices: &choices }).is_break() || Some(id) == end {
                break;
            }
            ids.push(id);
        }
        ids.split_off(prompt.len())
    }
}

/// The ids that may be drawn behind `before` with their shares, the likeliest first. As in Hugging Face's transformers:
/// penalty, temperature, top-k, top-p.
pub(super) fn choices(logits: &mut [f32], before: &[TokenId], config: &SampleConfig) -> Vec<(TokenId, f64)> {
    let penalty = config.repetition_penalty as f32;
    let mut seen = before.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        let logit = &mut logits[id as usize];
        *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
    }
    let mut order: Vec<TokenId> = (0..logits.len() as TokenId).collect();
    order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
    if config.temperature == 0.0 {
        return vec![(order[0], 1.0)];
    }
    if config.top_k > 0 {
        order.truncate(config.top_k);
    }
    let mut shares: Vec<f64> = order.iter().map(|&id| f64::from(logits[id as usize]) / config.temperature).collect();
    softmax(&mut shares);
    if config.top_p < 1.0 {
        let mut sum = 0.0;
        let before_sum = |share: &f64| {
            sum += share;
            sum - share
        };
        let count = shares.iter().map(before_sum).take_while(|&before| before < config.top_p).count();
        let kept: f64 = shares[..count].iter().sum();
        shares.truncate(count);
        shares.iter_mut().for_each(|share| *share /= kept);
    }
    order.into_iter().zip(shares).collect()
}

pub(super) fn draw(choices: &[(TokenId, f64)], random: &mut Random) -> TokenId {
    let mut rest = random.uniform();
    for &(id, share) in choices {
        rest -= share;
        if rest < 0.0 {
            return id;
        }
    }
    // Rounding may leave a rest at the very end.
    choices[choices.len() - 1].0
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::*;

    fn gpt() -> Gpt {
        Gpt::new(GptConfig { vocab_size: 12, context: 6, layers: 1, heads: 2, width: 8, form: GptForm::GPT2 }, 9)
            .unwrap()
    }

    fn sample(config: SampleConfig, end: Option<TokenId>) -> Vec<TokenId> {
        Sampler::new(&gpt(), config).unwrap().sample(&[3, 1], end, &mut |_| ControlFlow::Continue(()))
    }

    #[test]
    fn seeds_lengths_and_ends() {
        let config = SampleConfig { max_tokens: 30, temperature: 1.0, top_k: 0, seed: 1, ..SampleConfig::default() };
        let ids = sample(config, None);
        assert_eq!((ids.len(), sample(config, None)), (30, ids.clone()));
        assert_ne!(sample(SampleConfig { seed: 2, ..config }, None), ids);
        let end = ids[4];
        let first = ids.iter().position(|&id| id == end).unwrap();
        assert_eq!(sample(config, Some(end)), ids[..first]);
    }

    #[test]
    fn sees_a_full_context_and_then_its_later_half() {
        use super::super::pass::Pass;
        let gpt = gpt();
        let config = SampleConfig { max_tokens: 12, temperature: 0.0, ..SampleConfig::default() };
        let prompt = [3, 1, 4, 1, 5, 9, 2, 6];
        let drawn = Sampler::new(&gpt, config).unwrap().sample(&prompt, None, &mut |_| ControlFlow::Continue(()));
        // The first id is drawn behind six ids, the next behind the last three, one of which it is, and so on to six.
        let mut ids = prompt.to_vec();
        let mut pass = Pass::new(gpt.config());
        for (seen, id) in [6, 3, 4, 5, 6, 3, 4, 5, 6, 3, 4, 5].into_iter().zip(&drawn) {
            gpt.forward(&ids[ids.len() - seen..], &mut pass);
            let logits = gpt.logits(seen - 1..seen, &mut pass);
            let best = (0..12).fold(0usize, |best, at| if logits[at] > logits[best] { at } else { best });
            assert_eq!(*id as usize, best);
            ids.push(*id);
        }
        assert_eq!(drawn.len(), 12);
    }

    #[test]
    fn draws_follow_the_shares() {
        let mut random = Random::new(3);
        let config = SampleConfig { temperature: 1.0, top_k: 2, ..SampleConfig::default() };
        let mut counts = [0; 4];
        let own = choices(&mut [0.0, 3f32.ln(), -1.0, -9.0], &[], &config);
        (0..30_000).for_each(|_| counts[draw(&own, &mut random) as usize] += 1);
        assert_eq!((counts[2], counts[3]), (0, 0));
        assert!((f64::from(counts[1]) / 30_000.0 - 0.75).abs() < 0.01, "{counts:?}");
        let greedy = SampleConfig { temperature: 0.0, ..config };
        assert_eq!(choices(&mut [0.0, 1.0, 5.0, 5.0], &[], &greedy), [(2, 1.0)]);
        for wrong in [
            SampleConfig { temperature: -1.0, ..config },
            SampleConfig { top_p: 0.0, ..config },
            SampleConfig { top_p: f64::NAN, ..config },
            SampleConfig { repetition_penalty: 0.0, ..config },
        ] {
            assert!(Sampler::new(&gpt(), wrong).is_err(), "{wrong:?}");
        }
    }

    /// Shares of 1/2, 1/4, 1/8, 1/8.
    #[test]
    fn the_fewest_that_come_to_a_share() {
        let halves = [0.5f32, 0.25, 0.125, 0.125].map(f32::ln);
        let ids = |top_p| {
            let config = SampleConfig { temperature: 1.0, top_k: 0, top_p, ..SampleConfig::default() };
            let own = choices(&mut halves.clone(), &[], &config);
            assert!((own.iter().map(|choice| choice.1).sum::<f64>() - 1.0).abs() < 1e-12);
            own
        };
        assert_eq!([0.1, 0.49, 0.6, 0.8, 0.99, 1.0].map(|top_p| ids(top_p).len()), [1, 1, 2, 3, 4, 4]);
        let two = ids(0.6);
        assert!((two[0].1 - 2.0 / 3.0).abs() < 1e-6 && two[0].0 == 0 && two[1].0 == 1, "{two:?}");
    }

    #[test]
    fn what_was_said_is_less_likely() {
        let config = SampleConfig { temperature: 1.0, top_k: 0, repetition_penalty: 2.0, ..SampleConfig::default() };
        let mut logits = [2.0, 1.5, -1.0, -1.5];
        let own = choices(&mut logits, &[0, 2, 0], &config);
        // Once for each id, however often it was there.
        assert_eq!(logits, [1.0, 1.5, -2.0, -1.5]);
        assert_eq!(own.iter().map(|choice| choice.0).collect::<Vec<_>>(), [1, 0, 3, 2]);
    }
}
