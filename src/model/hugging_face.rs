//! A GPT as the files of a folder that Hugging Face's transformers loads.
//!
//! GPT-2's form is `GPT2LMHeadModel`, whose files ours are already. Today's form is `Qwen3ForCausalLM`, and without norms of
//! queries and keys `LlamaForCausalLM`: matrices are (outputs, inputs) there, and queries, keys and values, gate and value
//! have one each. Rotary positions pair the halves of a head here as there. Other forms have no model there.

use serde_json::{Value, json};

use super::checkpoint::serialize;
use super::config::{Activation, GptConfig, GptForm, NormKind, Positions};
use super::gpt::Gpt;
use super::layout::{Block, Linear};
use super::norms::RMS_EPSILON;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// A tensor there: its name, shape and numbers.
pub(super) type Named = (String, Vec<usize>, Vec<f32>);

/// `model.safetensors` and `config.json`.
#[derive(Debug, Clone)]
pub struct HuggingFaceModel {
    /// The weights.
    pub weights: Vec<u8>,
    /// The configuration.
    pub config: Value,
}

impl HuggingFaceModel {
    /// The files of a GPT whose documents end with `end_of_text`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a form that is no model there.
    pub fn of(gpt: &Gpt, end_of_text: Option<TokenId>) -> Result<Self> {
        let form = gpt.config().form;
        if form.is_gpt2() {
            let config = json!({
                "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
                "layer_norm_epsilon": 1e-5, "tie_word_embeddings": true, "vocab_size": gpt.config().vocab_size,
                "n_positions": gpt.config().context, "n_embd": gpt.config().width, "n_layer": gpt.config().layers,
                "n_head": gpt.config().heads, "bos_token_id": end_of_text, "eos_token_id": end_of_text,
            });
            return Ok(Self { weights: gpt.to_safetensors(), config });
        }
        let own = GptForm { qk_norm: form.qk_norm, tied: form.tied, kv_heads: form.kv_heads, ..GptForm::MODERN };
        if form != own {
            let expected = "GPT-2's, or today's with or without --qk-norm, --untied and --kv-heads: transformers has no model \
                            of another one";
            return Err(Error::Setting { name: "form", value: told(form), expected: expected.to_owned() });
        }
        Ok(Self { weights: serialize(&tensors(gpt)), config: config(gpt.config(), end_of_text) })
    }
}

/// What of a form stands in the way.
fn told(form: GptForm) -> String {
    let parts = [
        (form.positions != Positions::Rotary, "learned positions"),
        (form.norm != NormKind::Rms, "layer norm"),
        (form.activation != Activation::SwiGlu, "no SwiGLU"),
        (form.biases, "biases"),
    ];
    let named: Vec<&str> = parts.into_iter().filter(|(stands, _)| *stands).map(|(_, name)| name).collect();
    format!("one with {}", named.join(", "))
}

fn config(size: &GptConfig, end_of_text: Option<TokenId>) -> Value {
    let (model, class) = if size.form.qk_norm { ("qwen3", "Qwen3ForCausalLM") } else { ("llama", "LlamaForCausalLM") };
    json!({
        "model_type": model, "architectures": [class], "hidden_act": "silu", "vocab_size": size.vocab_size,
        "hidden_size": size.width, "intermediate_size": size.hidden(), "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads, "num_key_value_heads": size.kv_heads(), "head_dim": size.head_width(),
        "max_position_embeddings": size.context, "rms_norm_eps": RMS_EPSILON, "attention_bias": false, "mlp_bias": false,
        // Where versions from 5 on look for it, and where those before did.
        "rope_parameters": { "rope_type": "default", "rope_theta": 10_000.0 }, "rope_theta": 10_000.0,
        "tie_word_embeddings": size.form.tied, "bos_token_id": end_of_text, "eos_token_id": end_of_text,
        "dtype": "float32",
    })
}

fn tensors(gpt: &Gpt) -> Vec<Named> {
    let (size, layout) = (gpt.config(), &gpt.layout);
    let vector = |name: String, values: &[f32]| (name, vec![values.len()], values.to_vec());
    let matrix =
        |name: &str, values: &[f32]| (name.to_owned(), vec![values.len() / size.width, size.width], values.to_vec());
    let mut all = vec![matrix("model.embed_tokens.weight", gpt.get(&layout.wte))];
    for (layer, block) in layout.blocks.iter().enumerate() {
        all.extend(block_tensors(gpt, block, &format!("model.layers.{layer}.")));
    }
    all.push(vector("model.norm.weight".to_owned(), gpt.get(&layout.final_norm.scale)));
    if !size.form.tied {
        all.push(matrix("lm_head.weight", gpt.get(&layout.head)));
    }
    all
}

fn block_tensors(gpt: &Gpt, block: &Block, prefix: &str) -> Vec<Named> {
    let size = gpt.config();
    let (head, hidden) = (size.head_width(), size.hidden());
    let (queries, keys) = (size.heads * head, size.kv_heads() * head);
    let vector = |name: &str, values: &[f32]| (format!("{prefix}{name}.weight"), vec![values.len()], values.to_vec());
    let matrix = |name: &str, linear: &Linear, first: usize, count: usize| {
        let (shape, values) = columns(gpt.get(&linear.weight), linear.outputs, first, count);
        (format!("{prefix}{name}.weight"), shape, values)
    };
    let mut all = vec![
        vector("input_layernorm", gpt.get(&block.norm1.scale)),
        matrix("self_attn.q_proj", &block.qkv, 0, queries),
        matrix("self_attn.k_proj", &block.qkv, queries, keys),
        matrix("self_attn.v_proj", &block.qkv, queries + keys, keys),
        matrix("self_attn.o_proj", &block.proj, 0, size.width),
        vector("post_attention_layernorm", gpt.get(&block.norm2.scale)),
        matrix("mlp.gate_proj", &block.fc, 0, hidden),
        matrix("mlp.up_proj", &block.fc, hidden, hidden),
        matrix("mlp.down_proj", &block.out, 0, size.width),
    ];
    if size.form.qk_norm {
        all.push(vector("self_attn.q_norm", gpt.get(&block.q_norm)));
        all.push(vector("self_attn.k_norm", gpt.get(&block.k_norm)));
    }
    all
}

/// Some columns of a matrix (inputs, outputs), as a matrix of its own (columns, inputs).
fn columns(values: &[f32], outputs: usize, first: usize, count: usize) -> (Vec<usize>, Vec<f32>) {
    let inputs = values.len() / outputs;
    let numbers = (first..first + count).flat_map(|column| (0..inputs).map(move |row| values[row * outputs + column]));
    (vec![count, inputs], numbers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    const SIZE: GptConfig =
        GptConfig { vocab_size: 30, context: 8, layers: 2, heads: 4, width: 24, form: GptForm::MODERN };

    fn exported(form: GptForm) -> HuggingFaceModel {
        HuggingFaceModel::of(&Gpt::new(GptConfig { form, ..SIZE }, 3).unwrap(), Some(29)).unwrap()
    }

    #[test]
    fn columns_of_a_matrix() {
        let (shape, values) = columns(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 1, 2);
        assert_eq!((shape, values), (vec![2, 2], vec![2.0, 5.0, 3.0, 6.0]));
    }

    #[test]
    fn every_number_is_there_once() {
        let grouped = GptForm { qk_norm: false, tied: false, kv_heads: Some(2), ..GptForm::MODERN };
        for (form, class) in [(GptForm::MODERN, "Qwen3ForCausalLM"), (grouped, "LlamaForCausalLM")] {
            let HuggingFaceModel { weights, config } = exported(form);
            assert_eq!(config["architectures"][0], class);
            let tensors = SafeTensors::deserialize(&weights).unwrap();
            let numbers: usize =
                tensors.tensors().iter().map(|(_, tensor)| tensor.shape().iter().product::<usize>()).sum();
            assert_eq!(numbers as u64, GptConfig { form, ..SIZE }.parameters());
            let shape = |name: &str| tensors.tensor(name).unwrap().shape().to_vec();
            let kv_heads = config["num_key_value_heads"].as_u64().unwrap() as usize;
            assert_eq!(shape("model.layers.1.self_attn.k_proj.weight"), [6 * kv_heads, 24]);
            assert_eq!(shape("model.layers.0.mlp.down_proj.weight"), [24, SIZE.hidden()]);
            assert_eq!(tensors.tensor("lm_head.weight").is_ok(), !form.tied);
        }
    }

    #[test]
    fn forms_without_a_model_there() {
        assert_eq!(exported(GptForm::GPT2).config["architectures"][0], "GPT2LMHeadModel");
        let gpt = |form| Gpt::new(GptConfig { form, ..SIZE }, 3).unwrap();
        let odd = GptForm { activation: Activation::Relu2, biases: true, ..GptForm::MODERN };
        let error = HuggingFaceModel::of(&gpt(odd), None).unwrap_err();
        assert!(error.to_string().contains("no SwiGLU, biases"), "{error}");
    }
}
