//! The size and the form of a GPT.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The size and the form of a GPT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GptConfig {
    /// V: one above the highest id.
    pub vocab_size: usize,
    /// T: the longest window.
    pub context: usize,
    /// L: layers.
    pub layers: usize,
    /// H: attention heads.
    pub heads: usize,
    /// C: width, a multiple of the heads.
    pub width: usize,
    /// What its parts are; GPT-2's where a file does not say.
    #[serde(default, skip_serializing_if = "GptForm::is_gpt2")]
    pub form: GptForm,
}

/// What the parts of a GPT are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GptForm {
    /// How it knows where a token stands.
    pub positions: Positions,
    /// The norm before each part.
    pub norm: NormKind,
    /// What stands between the two matrices of the feed-forward part.
    pub activation: Activation,
    /// Whether queries and keys are normed head by head (RMSNorm with one scale for all heads; Henry et al. 2020, in
    /// the form of Qwen3).
    pub qk_norm: bool,
    /// Whether linear layers and layer norms have biases.
    pub biases: bool,
    /// Whether the token embedding is also the output matrix.
    pub tied: bool,
    /// Heads of keys and values, a divisor of the heads; each is shared by as many heads of queries (Ainslie et al.
    /// 2023). `None`: as many as heads.
    pub kv_heads: Option<usize>,
}

/// How a model knows where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// A learned vector for each position, added to the token's.
    Learned,
    /// Queries and keys are rotated by angles that grow with the position (Su et al. 2021).
    Rotary,
}

/// The norm before each part of a layer and behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    /// Mean 0, variance 1 (Ba, Kiros and Hinton 2016).
    Layer,
    /// Mean square 1 (Zhang and Sennrich 2019).
    Rms,
}

/// What stands between the two matrices of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// GELU in its tanh form (Hendrycks and Gimpel 2016).
    Gelu,
    /// SiLU of one half times the other half (Shazeer 2020).
    SwiGlu,
    /// The square of ReLU (So et al. 2021).
    Relu2,
}

impl GptForm {
    /// GPT-2's (Radford et al. 2019).
    pub const GPT2: Self = Self {
        positions: Positions::Learned,
        norm: NormKind::Layer,
        activation: Activation::Gelu,
        qk_norm: false,
        biases: true,
        tied: true,
        kv_heads: None,
    };

    /// Today's, as in Qwen3 (Qwen Team 2025).
    pub const MODERN: Self = Self {
        positions: Positions::Rotary,
        norm: NormKind::Rms,
        activation: Activation::SwiGlu,
        qk_norm: true,
        biases: false,
        tied: true,
        kv_heads: None,
    };

    /// Whether it is GPT-2's.
    #[must_use]
    pub fn is_gpt2(&self) -> bool {
        *self == Self::GPT2
    }
}

impl Default for GptForm {
    fn default() -> Self {
        Self::GPT2
    }
}

impl GptConfig {
    /// Checks that the sizes make a model.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a size of 0, a width that the heads do not divide, heads that those of keys and values do
    /// not divide, and an odd width of a head that would be rotated; [`Error::Limit`] beyond 2^31 parameters.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab-size", self.vocab_size, 1 << 24),
            ("context", self.context, 1 << 20),
            ("layers", self.layers, 1 << 10),
            ("heads", self.heads, 1 << 10),
            ("width", self.width, 1 << 16),
            ("kv-heads", self.kv_heads(), 1 << 10),
        ];
        for (name, value, max) in sizes {
            if value == 0 || value > max {
                return Err(Error::Setting { name, value: value.to_string(), expected: format!("from 1 to {max}") });
            }
        }
        let wrong = |name, value: usize, expected| Err(Error::Setting { name, value: value.to_string(), expected });
        if !self.width.is_multiple_of(self.heads) {
            return wrong("width", self.width, format!("a multiple of --heads ({})", self.heads));
        }
        if !self.heads.is_multiple_of(self.kv_heads()) {
            return wrong("kv-heads", self.kv_heads(), format!("a divisor of --heads ({})", self.heads));
        }
        if self.form.positions == Positions::Rotary && !self.head_width().is_multiple_of(2) {
            let expected = format!("a multiple of twice --heads ({}), because rotary positions take pairs", self.heads);
            return wrong("width", self.width, expected);
        }
        match self.parameters() {
            count if count >= 1 << 31 => {
                Err(Error::Limit { what: "the number of parameters", value: count, max: (1 << 31) - 1 })
            }
            _ => Ok(()),
        }
    }

    /// K: heads of keys and values.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.form.kv_heads.unwrap_or(self.heads)
    }

    /// D: width of a head.
    #[must_use]
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// F: rows of the feed-forward part's second matrix. 4 C; with SwiGLU, which has a matrix more, 8/3 C rounded up to
    /// a multiple of 16, so that the parameters are as many.
    #[must_use]
    pub fn hidden(&self) -> usize {
        match self.form.activation {
            Activation::Gelu | Activation::Relu2 => 4 * self.width,
            Activation::SwiGlu => (8 * self.width).div_ceil(3).next_multiple_of(16),
        }
    }

    /// Columns of the feed-forward part's first matrix: F, or 2 F with SwiGLU.
    pub(super) fn fan(&self) -> usize {
        if self.form.activation == Activation::SwiGlu { 2 * self.hidden() } else { self.hidden() }
    }

    /// Numbers of a token's queries, keys and values: (H + 2 K) D.
    pub(super) fn qkv(&self) -> usize {
        (self.heads + 2 * self.kv_heads()) * self.head_width()
    }

    /// Number of parameters; an output matrix that is the embedding counts once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let form = self.form;
        let [v, t, l, c, f] =
            [self.vocab_size, self.context, self.layers, self.width, self.hidden()].map(|size| size as u64);
        let [qkv, fan, d] = [self.qkv(), self.fan(), self.head_width()].map(|size| size as u64);
        let bias = u64::from(form.biases);
        let norm = c + if form.norm == NormKind::Layer { bias * c } else { 0 };
        let attention = c * qkv + c * c + bias * (qkv + c) + if form.qk_norm { 2 * d } else { 0 };
        let layer = 2 * norm + attention + c * fan + f * c + bias * (fan + c);
        let positions = if form.positions == Positions::Learned { t * c } else { 0 };
        let embeddings = if form.tied { v * c } else { 2 * v * c };
        embeddings + positions + l * layer + norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: GptConfig =
        GptConfig { vocab_size: 300, context: 16, layers: 3, heads: 4, width: 24, form: GptForm::MODERN };

    #[test]
    fn files_of_older_versions_are_gpt2() {
        let json = r#"{"vocab_size":300,"context":16,"layers":3,"heads":4,"width":24}"#;
        let config: GptConfig = serde_json::from_str(json).unwrap();
        assert_eq!(config, GptConfig { form: GptForm::GPT2, ..SMALL });
        assert_eq!(serde_json::to_string(&config).unwrap(), json);
        let modern = serde_json::to_string(&SMALL).unwrap();
        assert_eq!(serde_json::from_str::<GptConfig>(&modern).unwrap(), SMALL);
        assert!(
            modern.contains(r#""positions":"rotary","norm":"rms","activation":"swiglu","qk_norm":true"#),
            "{modern}"
        );
    }

    #[test]
    fn sizes_that_make_no_model() {
        let kv_heads = |count| GptConfig { form: GptForm { kv_heads: Some(count), ..GptForm::MODERN }, ..SMALL };
        assert!(SMALL.check().is_ok() && kv_heads(2).check().is_ok());
        for (config, name) in [
            (GptConfig { layers: 0, ..SMALL }, "layers"),
            (GptConfig { width: 26, ..SMALL }, "width"),
            (GptConfig { width: 28, ..SMALL }, "width"),
            (kv_heads(3), "kv-heads"),
            (kv_heads(0), "kv-heads"),
        ] {
            assert!(matches!(config.check(), Err(Error::Setting { name: got, .. }) if got == name), "{config:?}");
        }
        assert!(GptConfig { width: 28, form: GptForm::GPT2, ..SMALL }.check().is_ok());
    }
}
