//! The model: parameters, forward and backward pass of one window.

use super::attention::{Shape, attention, attention_backward};
use super::config::GptConfig;
use super::layers::{
    Stats, cross_entropy, gelu, gelu_backward, layer_norm, layer_norm_backward, linear, linear_backward,
};
use super::layout::{Kind, Layout};
use super::matmul::{Matrix, matmul};
use super::random::Random;
use super::real::Real;
use crate::error::Result;
use crate::vocab::TokenId;

/// A GPT: its size and its parameters.
#[derive(Debug, Clone)]
#[allow(private_bounds)]
pub struct Gpt<R: Real = f32> {
    config: GptConfig,
    pub(super) layout: Layout,
    pub(super) parameters: Vec<R>,
}

/// What the forward pass of one window leaves for the backward pass, and scratch space.
#[derive(Clone)]
pub(super) struct Pass<R> {
    blocks: Vec<BlockPass<R>>,
    /// (T, C): the residual stream behind the last layer, and its norm.
    last: Vec<R>,
    normed: Vec<R>,
    stats: Vec<Stats<R>>,
    logits: Vec<R>,
    /// Gradients by the residual stream (T, C) and by wider rows (T, F).
    stream: Vec<R>,
    narrow: Vec<R>,
    wide: Vec<R>,
    wide2: Vec<R>,
    square: Vec<R>,
}

/// Activations of one layer.
#[derive(Clone)]
struct BlockPass<R> {
    /// (T, C): the residual stream before the layer.
    input: Vec<R>,
    norm1: Vec<R>,
    stats1: Vec<Stats<R>>,
    /// (T, 3 C).
    qkv: Vec<R>,
    /// (H, T, T).
    weights: Vec<R>,
    mix: Vec<R>,
    /// (T, C): the residual stream behind attention.
    middle: Vec<R>,
    norm2: Vec<R>,
    stats2: Vec<Stats<R>>,
    /// (T, F): before and behind GELU.
    fc: Vec<R>,
    act: Vec<R>,
}

impl<R: Real> Pass<R> {
    pub(super) fn new(config: &GptConfig) -> Self {
        let [t, c, h] = [config.context, config.width, config.heads];
        let zeros = |len: usize| vec![R::default(); len];
        let stats = vec![(R::default(), R::default()); t];
        let block = BlockPass {
            input: zeros(t * c),
            norm1: zeros(t * c),
            stats1: stats.clone(),
            qkv: zeros(t * 3 * c),
            weights: zeros(h * t * t),
            mix: zeros(t * c),
            middle: zeros(t * c),
            norm2: zeros(t * c),
            stats2: stats.clone(),
            fc: zeros(t * 4 * c),
            act: zeros(t * 4 * c),
        };
        Self {
            blocks: vec![block; config.layers],
            last: zeros(t * c),
            normed: zeros(t * c),
            stats,
            logits: zeros(t * config.vocab_size),
            stream: zeros(t * c),
            narrow: zeros(t * c),
            wide: zeros(t * 4 * c),
            wide2: zeros(t * 4 * c),
            square: zeros(t * t),
        }
    }
}

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// A model with random weights: normal, with a deviation of 1/√C in the token embedding and in matrices that read the
    /// residual stream, a tenth of that in the position embedding and in matrices that add to the stream.
    ///
    /// GPT-2's fixed 0.02 fits its widths. At width 96 a short training stayed at the frequencies of single tokens for
    /// longer with it: 1,200 steps of 4 windows of 64 tokens on corpora/ ended at 3.25 held-out bits per byte, with the
    /// deviations here at 3.16.
    ///
    /// # Errors
    ///
    /// Those of [`GptConfig::check`].
    pub fn new(config: GptConfig, seed: u64) -> Result<Self> {
        config.check()?;
        let layout = Layout::new(&config);
        let mut random = Random::new(seed);
        let mut parameters = vec![R::default(); layout.len];
        for tensor in &layout.tensors {
            initialise(tensor.kind, config.width, &mut random, &mut parameters[tensor.range.clone()]);
        }
        Ok(Self { config, layout, parameters })
    }

    /// The model's size.
    #[must_use]
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    pub(super) fn from_parts(config: GptConfig, parameters: Vec<R>) -> Self {
        Self { config, layout: Layout::new(&config), parameters }
    }

    fn get(&self, range: &std::ops::Range<usize>) -> &[R] {
        &self.parameters[range.clone()]
    }

    fn shape(&self, tokens: usize) -> Shape {
        Shape { tokens, heads: self.config.heads, width: self.config.width }
    }

    /// Runs the layers over a window of at most T ids; the norm of the last layer is left in `pass.normed`.
    pub(super) fn forward(&self, ids: &[TokenId], pass: &mut Pass<R>) {
        let (t, c) = (ids.len(), self.config.width);
        let (wte, wpe) = (self.get(&self.layout.wte), self.get(&self.layout.wpe));
        let mut stream = std::mem::take(&mut pass.last);
        for ((row, &id), position) in stream.chunks_exact_mut(c).zip(ids).zip(wpe.chunks_exact(c)) {
            let embedding = &wte[id as usize * c..][..c];
            row.iter_mut().zip(embedding).zip(position).for_each(|((x, &e), &p)| *x = e + p);
        }
        for (block, p) in self.layout.blocks.iter().zip(&mut pass.blocks) {
            p.input[..t * c].copy_from_slice(&stream[..t * c]);
            layer_norm(
                &p.input[..t * c],
                self.get(&block.norm1.scale),
                self.get(&block.norm1.bias),
                &mut p.norm1,
                &mut p.stats1,
            );
            linear(&p.norm1, self.get(&block.qkv.weight), self.get(&block.qkv.bias), &mut p.qkv[..t * 3 * c]);
            attention(self.shape(t), &p.qkv, &mut p.weights, &mut p.mix);
            linear(&p.mix, self.get(&block.proj.weight), self.get(&block.proj.bias), &mut p.middle[..t * c]);
            p.middle.iter_mut().zip(&p.input).take(t * c).for_each(|(y, &x)| *y += x);
            layer_norm(
                &p.middle[..t * c],
                self.get(&block.norm2.scale),
                self.get(&block.norm2.bias),
                &mut p.norm2,
                &mut p.stats2,
            );
            linear(&p.norm2, self.get(&block.fc.weight), self.get(&block.fc.bias), &mut p.fc[..t * 4 * c]);
            gelu(&p.fc[..t * 4 * c], &mut p.act);
            linear(&p.act, self.get(&block.out.weight), self.get(&block.out.bias), &mut stream[..t * c]);
            stream.iter_mut().zip(&p.middle).take(t * c).for_each(|(y, &x)| *y += x);
        }
        let norm = &self.layout.final_norm;
        layer_norm(&stream[..t * c], self.get(&norm.scale), self.get(&norm.bias), &mut pass.normed, &mut pass.stats);
        pass.last = stream;
    }

    /// The logits (rows, V) of some positions of the window that `forward` ran over.
    pub(super) fn logits<'p>(&self, positions: std::ops::Range<usize>, pass: &'p mut Pass<R>) -> &'p mut [R] {
        let (v, c) = (self.config.vocab_size, self.config.width);
        let rows = positions.len();
        let normed = Matrix::dense(&pass.normed[positions.start * c..], rows, c);
        let wte = Matrix::dense(self.get(&self.layout.wte), v, c).transposed();
        matmul(R::of(1.0), normed, wte, R::of(0.0), &mut pass.logits, v);
        &mut pass.logits[..rows * v]
    }

    /// The summed loss in nats of predicting `targets` after `ids` (at most T of each). Adds to `gradients` the
    /// gradient of the loss times `weight`.
    pub(super) fn backward(
        &self,
        ids: &[TokenId],
        targets: &[TokenId],
        weight: R,
        pass: &mut Pass<R>,
        gradients: &mut [R],
    ) -> f64 {
        self.forward(ids, pass);
        let loss = cross_entropy(self.logits(0..ids.len(), pass), targets, weight);
        self.head_backward(ids.len(), pass, gradients);
        for layer in (0..self.config.layers).rev() {
            self.block_backward(layer, ids.len(), pass, gradients);
        }
        let c = self.config.width;
        for ((row, &id), position) in pass.stream.chunks_exact(c).zip(ids).zip(0..) {
            for start in [self.layout.wte.start + id as usize * c, self.layout.wpe.start + position * c] {
                gradients[start..start + c].iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
            }
        }
        loss
    }

    /// From the gradient by the logits to that by the residual stream, through output matrix and final norm.
    fn head_backward(&self, t: usize, pass: &mut Pass<R>, gradients: &mut [R]) {
        let (v, c) = (self.config.vocab_size, self.config.width);
        let dlogits = Matrix::dense(&pass.logits, t, v);
        let wte = Matrix::dense(self.get(&self.layout.wte), v, c);
        matmul(R::of(1.0), dlogits, wte, R::of(0.0), &mut pass.narrow, c);
        let normed = Matrix::dense(&pass.normed, t, c);
        matmul(R::of(1.0), dlogits.transposed(), normed, R::of(1.0), &mut gradients[self.layout.wte.clone()], c);
        pass.stream.fill(R::default());
        let norm = &self.layout.final_norm;
        let [dscale, dbias] = both(gradients, [&norm.scale, &norm.bias]);
        layer_norm_backward(
            &pass.last[..t * c],
            self.get(&norm.scale),
            &pass.stats,
            &pass.narrow,
            &mut pass.stream,
            dscale,
            dbias,
        );
    }

    /// Takes the gradient by the residual stream, `pass.stream`, from behind a layer to before it.
    fn block_backward(&self, layer: usize, t: usize, pass: &mut Pass<R>, gradients: &mut [R]) {
        let c = self.config.width;
        let block = &self.layout.blocks[layer];
        let p = &pass.blocks[layer];
        let (narrow, wide, wide2) = (&mut pass.narrow, &mut pass.wide, &mut pass.wide2);
        let stream = &mut pass.stream;

        let [dw, db] = both(gradients, [&block.out.weight, &block.out.bias]);
        linear_backward(&p.act, self.get(&block.out.weight), &stream[..t * c], wide, dw, db);
        gelu_backward(&p.fc[..t * 4 * c], wide);
        let [dw, db] = both(gradients, [&block.fc.weight, &block.fc.bias]);
        linear_backward(&p.norm2, self.get(&block.fc.weight), &wide[..t * 4 * c], narrow, dw, db);
        let [dscale, dbias] = both(gradients, [&block.norm2.scale, &block.norm2.bias]);
        layer_norm_backward(&p.middle[..t * c], self.get(&block.norm2.scale), &p.stats2, narrow, stream, dscale, dbias);

        let [dw, db] = both(gradients, [&block.proj.weight, &block.proj.bias]);
        linear_backward(&p.mix, self.get(&block.proj.weight), &stream[..t * c], narrow, dw, db);
        attention_backward(self.shape(t), &p.qkv, &p.weights, narrow, wide2, &mut pass.square);
        let [dw, db] = both(gradients, [&block.qkv.weight, &block.qkv.bias]);
        linear_backward(&p.norm1, self.get(&block.qkv.weight), &wide2[..t * 3 * c], narrow, dw, db);
        let [dscale, dbias] = both(gradients, [&block.norm1.scale, &block.norm1.bias]);
        layer_norm_backward(&p.input[..t * c], self.get(&block.norm1.scale), &p.stats1, narrow, stream, dscale, dbias);
    }
}

/// Two neighbouring parts of the gradients, the first before the second.
fn both<'g, R>(gradients: &'g mut [R], [first, second]: [&std::ops::Range<usize>; 2]) -> [&'g mut [R]; 2] {
    let (head, tail) = gradients.split_at_mut(second.start);
    [&mut head[first.clone()], &mut tail[..second.len()]]
}

/// Gives a tensor, or a part of one, its first values.
pub(super) fn initialise<R: Real>(kind: Kind, width: usize, random: &mut Random, values: &mut [R]) {
    let wide = 1.0 / (width as f64).sqrt();
    match kind {
        Kind::Matrix => values.fill_with(|| R::of(wide * random.normal())),
        Kind::Position | Kind::Residual => values.fill_with(|| R::of(0.1 * wide * random.normal())),
        Kind::Scale => values.fill(R::of(1.0)),
        Kind::Bias => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: GptConfig = GptConfig { vocab_size: 11, context: 6, layers: 2, heads: 2, width: 8 };

    fn loss(gpt: &Gpt<f64>, ids: &[u32], targets: &[u32], pass: &mut Pass<f64>) -> f64 {
        gpt.forward(ids, pass);
        cross_entropy(gpt.logits(0..ids.len(), pass), targets, 1.0)
    }

    /// A model whose parameters are large enough that every path matters.
    fn shaken() -> Gpt<f64> {
        let mut gpt = Gpt::<f64>::new(SMALL, 1).unwrap();
        let mut random = Random::new(2);
        gpt.parameters.iter_mut().for_each(|value| *value += 0.3 * random.normal());
        gpt
    }

    #[test]
    fn every_gradient_equals_the_central_difference() {
        let mut gpt = shaken();
        let mut pass = Pass::new(&SMALL);
        // A full window and a short one; ids that repeat, and one that is its own target.
        for (ids, targets) in [([3, 1, 4, 1, 5, 9].as_slice(), [1, 4, 1, 5, 9, 9].as_slice()), (&[2, 7, 1], &[7, 1, 8])]
        {
            let mut gradients = vec![0.0; gpt.layout.len];
            let weight = 0.5;
            gpt.backward(ids, targets, weight, &mut pass, &mut gradients);
            for tensor in gpt.layout.tensors.clone() {
                for at in tensor.range {
                    let value = gpt.parameters[at];
                    let step = 1e-5;
                    gpt.parameters[at] = value + step;
                    let above = loss(&gpt, ids, targets, &mut pass);
                    gpt.parameters[at] = value - step;
                    let below = loss(&gpt, ids, targets, &mut pass);
                    gpt.parameters[at] = value;
                    let expected = weight * (above - below) / (2.0 * step);
                    let error = (gradients[at] - expected).abs() / (expected.abs() + 1e-3);
                    assert!(error < 1e-5, "{} at {at}: {} should be {expected}", tensor.name, gradients[at]);
                }
            }
        }
    }

    #[test]
    fn gradients_are_added_up() {
        let gpt = shaken();
        let mut pass = Pass::new(&SMALL);
        let mut once = vec![0.0; gpt.layout.len];
        gpt.backward(&[3, 1, 4], &[1, 4, 1], 1.0, &mut pass, &mut once);
        let mut twice = once.clone();
        gpt.backward(&[3, 1, 4], &[1, 4, 1], 1.0, &mut pass, &mut twice);
        assert!(once.iter().zip(&twice).all(|(once, twice)| (2.0 * once - twice).abs() < 1e-12));
    }

    #[test]
    fn later_tokens_do_not_change_earlier_logits() {
        let gpt = shaken();
        let mut pass = Pass::new(&SMALL);
        gpt.forward(&[3, 1, 4, 1, 5, 9], &mut pass);
        let long = gpt.logits(0..3, &mut pass).to_vec();
        gpt.forward(&[3, 1, 4], &mut pass);
        let short = gpt.logits(0..3, &mut pass).to_vec();
        assert!(long.iter().zip(&short).all(|(a, b)| (a - b).abs() < 1e-12));
        gpt.forward(&[3, 2, 4], &mut pass);
        assert!(long.iter().zip(gpt.logits(0..3, &mut pass)).any(|(a, b)| (a - *b).abs() > 1e-3));
    }

    #[test]
    fn f32_follows_f64() {
        let double = shaken();
        let single = Gpt::<f32>::from_parts(SMALL, double.parameters.iter().map(|&value| value as f32).collect());
        let (ids, targets) = ([3, 1, 4, 1, 5, 9], [1, 4, 1, 5, 9, 2]);
        let mut expected = vec![0.0; double.layout.len];
        let mut got = vec![0.0; double.layout.len];
        let exact = double.backward(&ids, &targets, 1.0, &mut Pass::new(&SMALL), &mut expected);
        let rough = single.backward(&ids, &targets, 1.0, &mut Pass::new(&SMALL), &mut got);
        assert!((exact - rough).abs() < 1e-4 * exact);
        for tensor in &double.layout.tensors {
            let range = tensor.range.clone();
            let scale = expected[range.clone()].iter().fold(0.0f64, |a, b| a.max(b.abs()));
            let error = expected[range.clone()]
                .iter()
                .zip(&got[range])
                .map(|(a, b)| (a - f64::from(*b)).abs())
                .fold(0.0, f64::max);
            assert!(error <= 2e-4 * scale, "{}: {error} of {scale}", tensor.name);
        }
    }

    #[test]
    fn a_new_model_is_about_as_good_as_guessing() {
        let config = GptConfig { vocab_size: 500, context: 32, layers: 2, heads: 4, width: 64 };
        let gpt = Gpt::<f32>::new(config, 3).unwrap();
        let mut pass = Pass::new(&config);
        // The embedding is the output matrix too, so an id that is its own target would be likelier than chance.
        let ids: Vec<u32> = (0..33).map(|n| n * 13 % 500).collect();
        gpt.forward(&ids[..32], &mut pass);
        let loss = cross_entropy(gpt.logits(0..32, &mut pass), &ids[1..], 1.0) / 32.0;
        // Its logits have a variance of about one, and guessing with such confidence costs half a nat.
        assert!((loss - 500f64.ln() - 0.5).abs() < 0.3, "{loss}");
    }
}
