//! Settings of a probe.

use serde::{Deserialize, Serialize};

use super::super::split::ValFraction;
use crate::error::{Error, Result};
use crate::model::{GptConfig, GptForm, Precision};

/// Settings of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProbeSettings {
    /// Trainings of each tokenizer, the same seeds for all.
    pub seeds: u64,
    /// The first seed.
    pub seed: u64,
    /// The relative difference that does not matter.
    pub margin: f64,
    /// Bytes of text that a window spans, about.
    pub context_bytes: u64,
    /// Windows a step.
    pub batch: usize,
    /// How often the texts for training are gone through.
    pub epochs: f64,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width.
    pub width: usize,
    /// What the parts of the model are.
    pub form: GptForm,
    /// What activations and weights are rounded to before they are multiplied in training, and when held-out text is scored.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
    /// Learning rates to try; the best for each tokenizer is taken.
    pub learning_rates: Vec<f64>,
    /// The part of a training that each is tried for.
    pub sweep: f64,
    /// Held-out documents.
    pub val: ValFraction,
    /// Whether bytes and characters are trained beside the tokenizers, with one seed each.
    pub anchors: bool,
    /// Whether the first tokenizer is trained again with other seeds, to see what equal tokenizers differ by.
    pub noise: bool,
    /// Whether tokenizers are compared after equal computing, too.
    pub equal_compute: bool,
    /// Places of each corpus where held-out text is cut to see what a prompt's end costs.
    pub cuts: usize,
    /// Whether a vocabulary may be large beside the model.
    pub force: bool,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            seeds: 5,
            seed: 1,
            margin: 0.005,
            context_bytes: 1024,
            batch: 8,
            epochs: 1.0,
            layers: 2,
            heads: 4,
            width: 128,
            form: GptForm::MODERN,
            precision: Precision::F32,
            learning_rates: vec![3e-3, 6e-3, 12e-3],
            sweep: 0.25,
            val: ValFraction::Auto,
            anchors: true,
            noise: true,
            equal_compute: true,
            cuts: 100,
            force: false,
        }
    }
}

impl ProbeSettings {
    pub(super) fn check(&self) -> Result<()> {
        let wrong =
            |name, value: String, expected: &str| Err(Error::Setting { name, value, expected: expected.to_owned() });
        if self.seeds == 0 || self.seeds > 1000 {
            return wrong("seeds", self.seeds.to_string(), "from 1 to 1000");
        }
        if !(0.0..=1.0).contains(&self.margin) {
            return wrong("margin", self.margin.to_string(), "a number from 0 to 1");
        }
        if !(16..=1 << 20).contains(&self.context_bytes) {
            return wrong("context-bytes", self.context_bytes.to_string(), "from 16 to 1048576");
        }
        if !(self.epochs > 0.0 && self.epochs <= 1000.0) {
            return wrong("epochs", self.epochs.to_string(), "above 0 and at most 1000");
        }
        if !(self.sweep > 0.0 && self.sweep <= 1.0) {
            return wrong("sweep", self.sweep.to_string(), "above 0 and at most 1");
        }
        if self.learning_rates.is_empty() || self.learning_rates.iter().any(|rate| !(*rate > 0.0 && *rate < 1.0)) {
            return wrong("learning-rates", format!("{:?}", self.learning_rates), "numbers above 0 and below 1");
        }
        if self.batch == 0 {
            return wrong("batch", "0".to_owned(), "at least 1");
        }
        self.val.check()
    }

    pub(super) fn model(&self, vocab_size: usize, context: usize) -> GptConfig {
        let Self { layers, heads, width, form, .. } = *self;
        GptConfig { vocab_size, context, layers, heads, width, form }
    }
}
