//! Where each tensor lies in the flat vector of parameters; gradients and optimizer state lie the same way.

use std::ops::Range;

use super::config::GptConfig;

/// A tensor's name, place and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The name in GPT-2's published checkpoints.
    pub(super) name: String,
    pub(super) range: Range<usize>,
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
}

/// How a tensor is initialised and whether it decays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A matrix that reads the residual stream, or the token embedding: normal, decays.
    Matrix,
    /// The position embedding: normal and narrow, decays.
    Position,
    /// A matrix whose product is added to the residual stream: normal and narrow, decays.
    Residual,
    /// The scale of a layer norm: ones, no decay.
    Scale,
    /// A bias: zeros, no decay.
    Bias,
}

/// The places of all tensors.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) tensors: Vec<Tensor>,
    /// Token embedding (V, C), also the output matrix.
    pub(super) wte: Range<usize>,
    /// Position embedding (T, C).
    pub(super) wpe: Range<usize>,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    pub(super) len: usize,
}

/// Scale and bias of a layer norm, (C) each.
#[derive(Debug, Clone)]
pub(super) struct Norm {
    pub(super) scale: Range<usize>,
    pub(super) bias: Range<usize>,
}

/// Weight (inputs, outputs) and bias (outputs) of a linear layer: y = x w + b.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

/// The tensors of one layer.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) norm1: Norm,
    /// Queries, keys and values side by side: (C, 3 C).
    pub(super) qkv: Linear,
    /// (C, C).
    pub(super) proj: Linear,
    pub(super) norm2: Norm,
    /// (C, F).
    pub(super) fc: Linear,
    /// (F, C).
    pub(super) out: Linear,
}

impl Layout {
    pub(super) fn new(config: &GptConfig) -> Self {
        let c = config.width;
        let mut builder = Builder { tensors: Vec::new(), len: 0 };
        let wte = builder.tensor("wte.weight".to_owned(), vec![config.vocab_size, c], Kind::Matrix);
        let wpe = builder.tensor("wpe.weight".to_owned(), vec![config.context, c], Kind::Position);
        let block = |layer: usize, builder: &mut Builder| Block {
            norm1: builder.norm(&format!("h.{layer}.ln_1"), c),
            qkv: builder.linear(&format!("h.{layer}.attn.c_attn"), c, 3 * c, Kind::Matrix),
            proj: builder.linear(&format!("h.{layer}.attn.c_proj"), c, c, Kind::Residual),
            norm2: builder.norm(&format!("h.{layer}.ln_2"), c),
            fc: builder.linear(&format!("h.{layer}.mlp.c_fc"), c, 4 * c, Kind::Matrix),
            out: builder.linear(&format!("h.{layer}.mlp.c_proj"), 4 * c, c, Kind::Residual),
        };
        let blocks = (0..config.layers).map(|layer| block(layer, &mut builder)).collect();
        let final_norm = builder.norm("ln_f", c);
        Self { wte, wpe, blocks, final_norm, len: builder.len, tensors: builder.tensors }
    }
}

struct Builder {
    tensors: Vec<Tensor>,
    len: usize,
}

impl Builder {
    fn tensor(&mut self, name: String, shape: Vec<usize>, kind: Kind) -> Range<usize> {
        let range = self.len..self.len + shape.iter().product::<usize>();
        self.len = range.end;
        self.tensors.push(Tensor { name, range: range.clone(), shape, kind });
        range
    }

    fn norm(&mut self, name: &str, width: usize) -> Norm {
        Norm {
            scale: self.tensor(format!("{name}.weight"), vec![width], Kind::Scale),
            bias: self.tensor(format!("{name}.bias"), vec![width], Kind::Bias),
        }
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, kind: Kind) -> Linear {
        Linear {
            weight: self.tensor(format!("{name}.weight"), vec![inputs, outputs], kind),
            bias: self.tensor(format!("{name}.bias"), vec![outputs], Kind::Bias),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_all_parameters() {
        let config = GptConfig { vocab_size: 300, context: 16, layers: 3, heads: 2, width: 8 };
        let layout = Layout::new(&config);
        assert_eq!(layout.len as u64, config.parameters());
        assert!(layout.tensors.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
        // GPT-2's own size, as published: 124,439,808 parameters.
        let gpt2 = GptConfig { vocab_size: 50_257, context: 1024, layers: 12, heads: 12, width: 768 };
        assert_eq!(gpt2.parameters(), 124_439_808);
    }
}
