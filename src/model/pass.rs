//! What the forward pass of one window leaves for the backward pass, and scratch space.

use super::attention::Scratch;
use super::config::GptConfig;
use super::half::Precision;
use super::head::Tokens;
use super::kept::Kept;
use super::norms::Stats;
use super::panels::Line;
use super::profile::Laps;
use super::real::Real;

/// What the forward pass of one window leaves for the backward pass, and scratch space.
pub(super) struct Pass<R> {
    /// How products are made.
    pub(super) precision: Precision,
    pub(super) blocks: Vec<BlockPass<R>>,
    /// (T, C): the residual stream behind the last layer, and its norm.
    pub(super) last: Vec<R>,
    pub(super) normed: Vec<R>,
    pub(super) stats: Vec<Stats<R>>,
    /// Of a block of rows, (rows, V).
    pub(super) logits: Vec<R>,
    /// Gradients by the residual stream (T, C), by rows beside it (T, C), by queries, keys and values (T, (H + 2 K) D),
    /// and by the rows before (T, F or 2 F) and behind (T, F) the activation.
    pub(super) stream: Vec<R>,
    pub(super) narrow: Vec<R>,
    pub(super) qkv: Vec<R>,
    pub(super) fc: Vec<R>,
    pub(super) act: Vec<R>,
    pub(super) scratch: Scratch<R>,
    /// Of the loss.
    pub(super) tokens: Tokens<R>,
    /// (T, C): a gradient by the residual stream behind a matrix, until there is a place for it.
    pub(super) behind: Vec<R>,
    /// Whether gradients of matrices inside the layers are made later: see [`later`](super::later).
    pub(super) later: bool,
    /// What is kept for the gradients of matrices in bf16, instead of adding them up at once.
    pub(super) kept: Option<Kept<R>>,
    pub(super) laps: Laps,
}

/// Activations of one layer.
#[derive(Clone)]
pub(super) struct BlockPass<R> {
    /// How products are made.
    pub(super) precision: Precision,
    /// (T, C): the residual stream before the layer.
    pub(super) input: Vec<R>,
    pub(super) norm1: Vec<R>,
    pub(super) stats1: Vec<Stats<R>>,
    /// (T, (H + 2 K) D).
    pub(super) qkv: Vec<R>,
    /// (T, (H + K) D): queries and keys before their norm, and the reciprocals of its deviations (T, H + K).
    pub(super) raw: Vec<R>,
    pub(super) reciprocals: Vec<R>,
    /// (H, T): the logarithms of the sums in attention's softmax.
    pub(super) sums: Vec<R>,
    pub(super) mix: Vec<R>,
    /// (T, C): the residual stream behind attention.
    pub(super) middle: Vec<R>,
    pub(super) norm2: Vec<R>,
    pub(super) stats2: Vec<Stats<R>>,
    /// (T, F or 2 F) and (T, F): before and behind the activation.
    pub(super) fc: Vec<R>,
    pub(super) act: Vec<R>,
    /// (T, F or 2 F): before the activation, rounded, as left side, where a pass keeps sides of products.
    pub(super) before: Vec<Line>,
}

impl<R: Real> BlockPass<R> {
    pub(super) fn new(config: &GptConfig) -> Self {
        let (t, c) = (config.context, config.width);
        let zeros = |width: usize| vec![R::default(); t * width];
        let stats = vec![(R::default(), R::default()); t];
        let normed = if config.form.qk_norm { config.heads + config.kv_heads() } else { 0 };
        Self {
            precision: Precision::F32,
            input: zeros(c),
            norm1: zeros(c),
            stats1: stats.clone(),
            qkv: zeros(config.qkv()),
            raw: zeros(normed * config.head_width()),
            reciprocals: zeros(normed),
            sums: zeros(config.heads),
            mix: zeros(c),
            middle: zeros(c),
            norm2: zeros(c),
            stats2: stats,
            fc: zeros(config.fan()),
            act: zeros(config.hidden()),
            before: Vec::new(),
        }
    }
}

impl<R> BlockPass<R> {
    /// Behind a backward pass that leaves gradients of matrices for later: what each matrix was multiplied by, in the order of
    /// [`Block::linear`](super::layout::Block::linear), and the gradient by what it gave, which stands where the forward pass
    /// left what is wanted no more.
    pub(super) fn sides(&self) -> [[&[R]; 2]; 4] {
        [[&self.norm1, &self.qkv], [&self.mix, &self.input], [&self.norm2, &self.fc], [&self.act, &self.middle]]
    }

    /// Takes over the space for what matrices are multiplied with and give, from a layer that needs it no more.
    pub(super) fn take_inputs(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.norm1, &mut other.norm1);
        std::mem::swap(&mut self.mix, &mut other.mix);
        std::mem::swap(&mut self.norm2, &mut other.norm2);
        std::mem::swap(&mut self.fc, &mut other.fc);
        std::mem::swap(&mut self.act, &mut other.act);
    }
}

impl<R: Real> Pass<R> {
    pub(super) fn new(config: &GptConfig) -> Self {
        let (t, c) = (config.context, config.width);
        let zeros = |width: usize| vec![R::default(); t * width];
        Self {
            precision: Precision::F32,
            blocks: vec![BlockPass::new(config); config.layers],
            last: zeros(c),
            normed: zeros(c),
            stats: vec![(R::default(), R::default()); t],
            logits: Vec::new(),
            stream: zeros(c),
            narrow: zeros(c),
            qkv: zeros(config.qkv()),
            fc: zeros(config.fan()),
            act: zeros(config.hidden()),
            scratch: Scratch::default(),
            tokens: Tokens::new(t),
            behind: zeros(c),
            later: false,
            kept: None,
            laps: Laps::default(),
        }
    }

    /// The same, with products in another precision.
    pub(super) fn by(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.blocks.iter_mut().for_each(|block| block.precision = precision);
        self
    }
}
