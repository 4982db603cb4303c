//! A model as bytes: safetensors, with the names and shapes of GPT-2's published checkpoints, and config.json.

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_128;

use super::config::{Activation, GptConfig, GptForm};
use super::gpt::Gpt;
use super::layout::{Layout, Tensor};
use crate::error::CheckpointFault;
use crate::vocab::Fingerprint;

/// config.json, with the keys of Hugging Face's `GPT2Config`, and the tokenizer that the model was trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ModelConfig {
    pub model_type: String,
    pub architectures: Vec<String>,
    pub activation_function: String,
    pub layer_norm_epsilon: f64,
    pub tie_word_embeddings: bool,
    pub vocab_size: usize,
    pub n_positions: usize,
    pub n_embd: usize,
    pub n_layer: usize,
    pub n_head: usize,
    /// What the parts are, where they are not GPT-2's.
    #[serde(default, skip_serializing_if = "GptForm::is_gpt2")]
    pub form: GptForm,
    pub bos_token_id: Option<u32>,
    pub eos_token_id: Option<u32>,
    /// Fingerprint of the tokenizer.
    pub tokenizer: Fingerprint,
    /// xxh3-128 of the safetensors file, in hexadecimal.
    pub weights_checksum: String,
}

impl ModelConfig {
    /// The configuration of a GPT that was trained on the ids of `tokenizer`, and whose safetensors file is `weights`.
    #[must_use]
    pub fn new(gpt: &GptConfig, end_of_text: Option<u32>, tokenizer: Fingerprint, weights: &[u8]) -> Self {
        Self {
            model_type: model_type(gpt.form).to_owned(),
            architectures: if gpt.form.is_gpt2() { vec!["GPT2LMHeadModel".to_owned()] } else { Vec::new() },
            activation_function: activation(gpt.form).to_owned(),
            layer_norm_epsilon: 1e-5,
            tie_word_embeddings: gpt.form.tied,
            vocab_size: gpt.vocab_size,
            n_positions: gpt.context,
            n_embd: gpt.width,
            n_layer: gpt.layers,
            n_head: gpt.heads,
            form: gpt.form,
            bos_token_id: end_of_text,
            eos_token_id: end_of_text,
            tokenizer,
            weights_checksum: checksum(weights),
        }
    }

    /// The model in a safetensors file.
    ///
    /// # Errors
    ///
    /// [`CheckpointFault`] for a file that is not the one written with this configuration, or does not fit it.
    pub fn load(&self, weights: &[u8]) -> Result<Gpt, CheckpointFault> {
        let size = self.gpt()?;
        let got = checksum(weights);
        if got != self.weights_checksum {
            return Err(CheckpointFault::Checksum { expected: self.weights_checksum.clone(), got });
        }
        Gpt::from_safetensors(size, weights)
    }

    /// The size of the model.
    ///
    /// # Errors
    ///
    /// [`CheckpointFault::Config`] for another kind of model, or sizes that make none.
    pub fn gpt(&self) -> Result<GptConfig, CheckpointFault> {
        let fault = |reason: &str| CheckpointFault::Config { reason: reason.to_owned() };
        let form = self.form;
        if self.model_type != model_type(form)
            || self.activation_function != activation(form)
            || self.tie_word_embeddings != form.tied
        {
            return Err(fault(
                "only gpt2 with gelu_new and tied embeddings is supported, and the forms of this program",
            ));
        }
        if self.bos_token_id.max(self.eos_token_id).is_some_and(|id| id as usize >= self.vocab_size) {
            return Err(fault("a special token is outside the vocabulary"));
        }
        let config = GptConfig {
            vocab_size: self.vocab_size,
            context: self.n_positions,
            layers: self.n_layer,
            heads: self.n_head,
            width: self.n_embd,
            form: self.form,
        };
        config.check().map_err(|error| fault(&error.to_string()))?;
        Ok(config)
    }
}

/// GPT-2's models are those of Hugging Face; other forms have a type that no other program takes for its own.
fn model_type(form: GptForm) -> &'static str {
    if form.is_gpt2() { "gpt2" } else { "ciyuan-gpt" }
}

fn activation(form: GptForm) -> &'static str {
    match form.activation {
        Activation::Gelu => "gelu_new",
        Activation::SwiGlu => "swiglu",
        Activation::Relu2 => "relu2",
    }
}

/// xxh3-128 in hexadecimal.
pub(super) fn checksum(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// A tensor's numbers, as bytes when they are asked for.
struct Numbers<'g> {
    shape: &'g [usize],
    values: &'g [f32],
}

impl View for Numbers<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into()
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Tensors of another program as a safetensors file. Their names are distinct.
pub(super) fn serialize(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let tensors = tensors.iter().map(|(name, shape, values)| (name.as_str(), Numbers { shape, values }));
    // Loaders ask in which framework's terms names and shapes are.
    let about = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
    safetensors::serialize(tensors, Some(about)).expect("names are distinct, and lengths fit their shapes")
}

/// Tensors as a safetensors file.
pub(super) fn tensors_to(tensors: &[Tensor], parameters: &[f32]) -> Vec<u8> {
    let tensors = tensors.iter().map(|tensor| {
        let values = &parameters[tensor.range.clone()];
        (tensor.name.as_str(), Numbers { shape: &tensor.shape, values })
    });
    safetensors::serialize(tensors, None).expect("names are distinct, and lengths fit their shapes")
}

/// The numbers of exactly these tensors in a safetensors file, all finite.
pub(super) fn tensors_from(expected: &[Tensor], file: &[u8]) -> Result<Vec<f32>, CheckpointFault> {
    let tensors =
        SafeTensors::deserialize(file).map_err(|error| CheckpointFault::Safetensors { reason: error.to_string() })?;
    if tensors.len() != expected.len() {
        let reason = format!("{} tensors, where this size has {}", tensors.len(), expected.len());
        return Err(CheckpointFault::Safetensors { reason });
    }
    let mut parameters = Vec::with_capacity(file.len() / 4);
    for expected in expected {
        let fault = |why| CheckpointFault::Tensor { name: expected.name.clone(), why };
        let tensor = tensors.tensor(&expected.name).map_err(|_| fault("is missing"))?;
        if tensor.shape() != expected.shape || tensor.dtype() != Dtype::F32 {
            return Err(fault("has another shape or type than config.json says"));
        }
        parameters.extend(tensor.data().as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)));
    }
    if parameters.iter().any(|value| !value.is_finite()) {
        return Err(CheckpointFault::Safetensors { reason: "a value is not finite".to_owned() });
    }
    Ok(parameters)
}

impl Gpt {
    /// The model as a safetensors file.
    #[must_use]
    pub fn to_safetensors(&self) -> Vec<u8> {
        tensors_to(&self.layout.tensors, &self.parameters)
    }

    /// The model of this size in a safetensors file.
    ///
    /// # Errors
    ///
    /// [`CheckpointFault`] for a damaged file, and for a tensor that is missing or of another shape, type or value.
    pub fn from_safetensors(config: GptConfig, file: &[u8]) -> Result<Self, CheckpointFault> {
        let parameters = tensors_from(&Layout::new(&config).tensors, file)?;
        Ok(Self::from_parts(config, parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: GptConfig =
        GptConfig { vocab_size: 12, context: 6, layers: 1, heads: 2, width: 8, form: GptForm::GPT2 };

    #[test]
    fn round_trip() {
        let gpt = Gpt::new(SMALL, 9).unwrap();
        let file = gpt.to_safetensors();
        let back = Gpt::from_safetensors(SMALL, &file).unwrap();
        assert_eq!(gpt.parameters, back.parameters);
        assert_eq!(back.to_safetensors(), file);
        let config = ModelConfig::new(&SMALL, Some(11), Fingerprint([7; 16]), &file);
        let json = serde_json::to_string(&config).unwrap();
        let read: ModelConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(read.gpt(), Ok(SMALL));
        assert_eq!(read.load(&file).unwrap().parameters, gpt.parameters);
        let mut flipped = file.clone();
        flipped[file.len() - 3] ^= 1;
        assert!(matches!(read.load(&flipped), Err(CheckpointFault::Checksum { .. })));
    }

    #[test]
    fn other_forms_are_kept() {
        let form = GptForm { tied: false, kv_heads: Some(1), ..GptForm::MODERN };
        let size = GptConfig { form, ..SMALL };
        let gpt = Gpt::new(size, 9).unwrap();
        let file = gpt.to_safetensors();
        let json = serde_json::to_string(&ModelConfig::new(&size, None, Fingerprint([7; 16]), &file)).unwrap();
        let read: ModelConfig = serde_json::from_str(&json).unwrap();
        assert_eq!((read.gpt(), read.load(&file).unwrap().parameters), (Ok(size), gpt.parameters));
        // Files of GPT-2's form are as they were before there were others, and such a form is not taken for GPT-2's.
        let plain = serde_json::to_string(&ModelConfig::new(&SMALL, None, Fingerprint([7; 16]), &file)).unwrap();
        assert!(!plain.contains("form") && plain.contains(r#""model_type":"gpt2""#), "{plain}");
        let claimed: ModelConfig = serde_json::from_str(&json.replace("ciyuan-gpt", "gpt2")).unwrap();
        assert!(matches!(claimed.gpt(), Err(CheckpointFault::Config { .. })));
    }

    #[test]
    fn what_does_not_fit() {
        let file = Gpt::new(SMALL, 9).unwrap().to_safetensors();
        for other in
            [GptConfig { width: 16, ..SMALL }, GptConfig { layers: 2, ..SMALL }, GptConfig { vocab_size: 13, ..SMALL }]
        {
            assert!(Gpt::from_safetensors(other, &file).is_err(), "{other:?}");
        }
        for end in [0, 7, 100, file.len() - 1] {
            assert!(Gpt::from_safetensors(SMALL, &file[..end]).is_err(), "{end}");
        }
        let config = ModelConfig::new(&SMALL, Some(12), Fingerprint([7; 16]), &file);
        assert!(matches!(config.gpt(), Err(CheckpointFault::Config { .. })));
    }
}
