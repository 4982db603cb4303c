//! A recurrent network as bytes: safetensors and config.json, and what it writes.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::checkpoint::{checksum, tensors_from, tensors_to};
use super::random::Random;
use super::recurrent::{Recurrent, RecurrentConfig, RecurrentPass, State};
use super::sampler::{Draw, SampleConfig, choices, draw};
use crate::error::{CheckpointFault, Result};
use crate::vocab::{Fingerprint, TokenId};

/// What `model_type` says in config.json.
const MODEL_TYPE: &str = "ciyuan-recurrent";

/// config.json of a recurrent network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecurrentFile {
    model_type: String,
    /// The size.
    #[serde(flatten)]
    pub size: RecurrentConfig,
    /// The end-of-text token of the shards.
    pub eos_token_id: Option<TokenId>,
    /// Fingerprint of the tokenizer.
    pub tokenizer: Fingerprint,
    /// xxh3-128 of the safetensors file, in hexadecimal.
    pub weights_checksum: String,
}

impl RecurrentFile {
    /// The configuration of a network that was trained on the ids of `tokenizer`, and whose safetensors file is `weights`.
    #[must_use]
    pub fn new(model: &Recurrent, end: Option<TokenId>, tokenizer: Fingerprint, weights: &[u8]) -> Self {
        let model_type = MODEL_TYPE.to_owned();
        let (size, weights_checksum) = (model.config, checksum(weights));
        Self { model_type, size, eos_token_id: end, tokenizer, weights_checksum }
    }

    /// Whether config.json is that of a recurrent network.
    #[must_use]
    pub fn is_one(json: &[u8]) -> bool {
        serde_json::from_slice::<serde_json::Value>(json).is_ok_and(|value| value["model_type"] == MODEL_TYPE)
    }

    /// The network in a safetensors file.
    ///
    /// # Errors
    ///
    /// [`CheckpointFault`] for a file that is not the one written with this configuration, or does not fit it.
    pub fn load(&self, weights: &[u8]) -> std::result::Result<Recurrent, CheckpointFault> {
        self.size.check().map_err(|error| CheckpointFault::Config { reason: error.to_string() })?;
        let got = checksum(weights);
        if got != self.weights_checksum {
            return Err(CheckpointFault::Checksum { expected: self.weights_checksum.clone(), got });
        }
        let tensors = self.size.tensors();
        let parameters = tensors_from(&tensors, weights)?;
        Ok(Recurrent { config: self.size, tensors, parameters })
    }
}

impl Recurrent {
    /// The network as a safetensors file.
    #[must_use]
    pub fn to_safetensors(&self) -> Vec<u8> {
        tensors_to(&self.tensors, &self.parameters)
    }

    /// Continues `prompt` (at least one id) until `end` is drawn or the length is reached; `end` is not among the ids
    /// given. `drawn` is told each id and what could have been drawn, the end too, and may stop.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for settings outside their range.
    pub fn sample(
        &self,
        prompt: &[TokenId],
        config: SampleConfig,
        end: Option<TokenId>,
        drawn: &mut dyn FnMut(Draw<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<TokenId>> {
        config.check()?;
        let mut random = Random::new(config.seed);
        let (mut state, mut pass) = (State::new(&self.config), RecurrentPass::new(&self.config, 1));
        let mut ids = prompt.to_vec();
        prompt.iter().for_each(|&id| self.forward(&[id], &mut state, &mut pass));
        for _ in 0..config.max_tokens {
            let choices = choices(self.logits(0..1, &mut pass), &ids, &config);
            let id = draw(&choices, &mut random);
            if drawn(Draw { id, choices: &choices }).is_break() || Some(id) == end {
                break;
            }
            ids.push(id);
            self.forward(&[id], &mut state, &mut pass);
        }
        Ok(ids.split_off(prompt.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        for cell in [Cell::Elman, Cell::Lstm] {
            let model = Recurrent::new(RecurrentConfig { cell, vocab_size: 12, width: 8 }, 9).unwrap();
            let weights = model.to_safetensors();
            let config = RecurrentFile::new(&model, Some(11), Fingerprint([7; 16]), &weights);
            let json = serde_json::to_vec(&config).unwrap();
            assert!(RecurrentFile::is_one(&json) && !RecurrentFile::is_one(b"{\"model_type\":\"gpt2\"}"));
            let read: RecurrentFile = serde_json::from_slice(&json).unwrap();
            assert_eq!(read.load(&weights).unwrap().parameters, model.parameters);
            let mut flipped = weights.clone();
            flipped[weights.len() - 3] ^= 1;
            assert!(matches!(read.load(&flipped), Err(CheckpointFault::Checksum { .. })));
            let mut other = read.clone();
            other.size.width = 16;
            assert!(matches!(other.load(&weights), Err(CheckpointFault::Tensor { .. })));
            other.size.width = 0;
            assert!(matches!(other.load(&weights), Err(CheckpointFault::Config { .. })));
        }
    }

    #[test]
    fn draws_until_the_end() {
        let model = Recurrent::new(RecurrentConfig { cell: Cell::Lstm, vocab_size: 12, width: 8 }, 9).unwrap();
        let config = SampleConfig { max_tokens: 30, temperature: 1.0, top_k: 0, seed: 1, ..SampleConfig::default() };
        let sample = |end| model.sample(&[3, 1], config, end, &mut |_| ControlFlow::Continue(())).unwrap();
        let ids = sample(None);
        assert_eq!((ids.len(), sample(None)), (30, ids.clone()));
        let first = ids.iter().position(|&id| id == ids[4]).unwrap();
        assert_eq!(sample(Some(ids[4])), ids[..first]);
    }
}
