//! Where each tensor lies in the flat vector of parameters; gradients and optimizer state lie the same way.

use std::ops::Range;

use super::config::{GptConfig, GptForm, NormKind, Positions};

/// A tensor's name, place and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The name in GPT-2's published checkpoints; what GPT-2 lacks is named in the same manner.
    pub(super) name: String,
    pub(super) range: Range<usize>,
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
}

/// How a tensor is initialised and whether it decays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A matrix that reads the residual stream, the token embedding, or the output matrix: normal, decays.
    Matrix,
    /// The position embedding: normal and narrow, decays.
    Position,
    /// A matrix whose product is added to the residual stream: normal and narrow, decays.
    Residual,
    /// The scale of a norm: ones, no decay.
    Scale,
    /// A bias: zeros, no decay.
    Bias,
}

/// The places of all tensors. Those that a form lacks are empty.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) tensors: Vec<Tensor>,
    /// Token embedding (V, C).
    pub(super) wte: Range<usize>,
    /// Position embedding (T, C).
    pub(super) wpe: Range<usize>,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    /// Output matrix (V, C): the token embedding if they are tied.
    pub(super) head: Range<usize>,
    /// C.
    pub(super) width: usize,
    pub(super) len: usize,
}

/// Scale and bias of a norm, (C) each.
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
    pub(super) outputs: usize,
}

/// The tensors of one layer.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) norm1: Norm,
    /// Queries, keys and values side by side: (C, (H + 2 K) D).
    pub(super) qkv: Linear,
    /// Scales of the norms of queries and keys, (D) each.
    pub(super) q_norm: Range<usize>,
    pub(super) k_norm: Range<usize>,
    /// (C, C).
    pub(super) proj: Linear,
    pub(super) norm2: Norm,
    /// (C, F), or (C, 2 F) with SwiGLU: gate and value side by side.
    pub(super) fc: Linear,
    /// (F, C).
    pub(super) out: Linear,
}

impl Block {
    /// Its matrices, in the order of their places.
    pub(super) fn linear(&self) -> [&Linear; 4] {
        [&self.qkv, &self.proj, &self.fc, &self.out]
    }
}

impl Layout {
    pub(super) fn new(config: &GptConfig) -> Self {
        let (c, form) = (config.width, config.form);
        let mut builder = Builder { tensors: Vec::new(), len: 0, form };
        let wte = builder.tensor("wte.weight".to_owned(), vec![config.vocab_size, c], Kind::Matrix);
        let learned = form.positions == Positions::Learned;
        let wpe = builder.tensor_if(learned, "wpe.weight".to_owned(), vec![config.context, c], Kind::Position);
        let blocks = (0..config.layers).map(|layer| builder.block(layer, config)).collect();
        let final_norm = builder.norm("ln_f", c);
        let own = builder.tensor_if(!form.tied, "lm_head.weight".to_owned(), vec![config.vocab_size, c], Kind::Matrix);
        let head = if form.tied { wte.clone() } else { own };
        Self { wte, wpe, blocks, final_norm, head, width: c, len: builder.len, tensors: builder.tensors }
    }

    /// The matrices that activations are multiplied by, with their columns, in the order of their places.
    pub(super) fn matrices(&self) -> impl Iterator<Item = (&Range<usize>, usize)> {
        let linear = self.blocks.iter().flat_map(Block::linear);
        let inside = linear.map(|linear| (&linear.weight, linear.outputs));
        let head = (&self.head, self.width);
        let first = self.head == self.wte;
        first.then_some(head).into_iter().chain(inside).chain((!first).then_some(head))
    }
}

/// The parts of numbers that are laid out as parameters are, at these places, which come one behind the other.
pub(super) fn parts<R>(
    mut numbers: &mut [R],
    places: impl Iterator<Item = Range<usize>>,
) -> impl Iterator<Item = &mut [R]> {
    let mut end = 0;
    places.map(move |place| {
        let _ = numbers.split_off_mut(..place.start - end);
        end = place.end;
        numbers.split_off_mut(..place.len()).unwrap_or_default()
    })
}

struct Builder {
    tensors: Vec<Tensor>,
    len: usize,
    form: GptForm,
}

impl Builder {
    fn tensor(&mut self, name: String, shape: Vec<usize>, kind: Kind) -> Range<usize> {
        let range = self.len..self.len + shape.iter().product::<usize>();
        self.len = range.end;
        self.tensors.push(Tensor { name, range: range.clone(), shape, kind });
        range
    }

    /// The tensor, or an empty place.
    fn tensor_if(&mut self, there: bool, name: String, shape: Vec<usize>, kind: Kind) -> Range<usize> {
        if there { self.tensor(name, shape, kind) } else { self.len..self.len }
    }

    fn block(&mut self, layer: usize, config: &GptConfig) -> Block {
        let (c, d, form) = (config.width, config.head_width(), config.form);
        let name = |part: &str| format!("h.{layer}.{part}");
        Block {
            norm1: self.norm(&name("ln_1"), c),
            qkv: self.linear(&name("attn.c_attn"), c, config.qkv(), Kind::Matrix),
            q_norm: self.tensor_if(form.qk_norm, name("attn.q_norm.weight"), vec![d], Kind::Scale),
            k_norm: self.tensor_if(form.qk_norm, name("attn.k_norm.weight"), vec![d], Kind::Scale),
            proj: self.linear(&name("attn.c_proj"), c, c, Kind::Residual),
            norm2: self.norm(&name("ln_2"), c),
            fc: self.linear(&name("mlp.c_fc"), c, config.fan(), Kind::Matrix),
            out: self.linear(&name("mlp.c_proj"), config.hidden(), c, Kind::Residual),
        }
    }

    fn norm(&mut self, name: &str, width: usize) -> Norm {
        let biased = self.form.biases && self.form.norm == NormKind::Layer;
        Norm {
            scale: self.tensor(format!("{name}.weight"), vec![width], Kind::Scale),
            bias: self.tensor_if(biased, format!("{name}.bias"), vec![width], Kind::Bias),
        }
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, kind: Kind) -> Linear {
        Linear {
            weight: self.tensor(format!("{name}.weight"), vec![inputs, outputs], kind),
            bias: self.tensor_if(self.form.biases, format!("{name}.bias"), vec![outputs], Kind::Bias),
            outputs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Activation;
    use super::*;

    #[test]
    fn covers_all_parameters() {
        let size = GptConfig { vocab_size: 300, context: 16, layers: 3, heads: 4, width: 8, form: GptForm::GPT2 };
        let other = GptForm { activation: Activation::Relu2, tied: false, kv_heads: Some(2), ..GptForm::MODERN };
        for form in [GptForm::GPT2, GptForm::MODERN, other, GptForm { biases: true, ..other }] {
            let config = GptConfig { form, ..size };
            let layout = Layout::new(&config);
            assert_eq!(layout.len as u64, config.parameters(), "{form:?}");
            assert!(layout.tensors.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
            assert!(layout.tensors.iter().all(|tensor| tensor.range.len() == tensor.shape.iter().product::<usize>()));
        }
        // GPT-2's own size, as published: 124,439,808 parameters.
        let gpt2 = GptConfig { vocab_size: 50_257, context: 1024, layers: 12, heads: 12, width: 768, ..size };
        assert_eq!(gpt2.parameters(), 124_439_808);
    }
}
