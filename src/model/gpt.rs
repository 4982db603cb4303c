//! The model: its parameters and its forward pass. The backward pass stands in `backward.rs`.

use std::ops::Range;

use super::activation::activate;
use super::attention::{Scratch, Shape, attention};
use super::config::{GptConfig, Positions};
use super::half::{Precision, Source, lines};
use super::kept::{Kept, TOGETHER};
use super::layers::{add_bias, linear};
use super::layout::{Block, Kind, Layout, Linear, Norm};
use super::matmul::{Matrix, matmul};
use super::norms::{Stats, head_norm, norm};
use super::panels::{Line, Panels, Way};
use super::pass::{BlockPass, Pass};
use super::profile::{Laps, Part};
use super::random::Random;
use super::real::Real;
use super::rotary::Angles;
use crate::error::Result;
use crate::vocab::TokenId;

/// A GPT: its size and its parameters.
#[derive(Debug, Clone)]
#[allow(private_bounds)]
pub struct Gpt<R: Real = f32> {
    config: GptConfig,
    pub(super) layout: Layout,
    pub(super) parameters: Vec<R>,
    /// With rotary positions.
    pub(super) angles: Option<Angles<R>>,
    /// While it is trained.
    panels: Panels,
}

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// A model with random weights: normal, with a deviation of 1/√C in the token embedding and in matrices that read
    /// the residual stream, a tenth of that in the position embedding and in matrices that add to the stream.
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
        Ok(Self::from_parts(config, parameters))
    }

    /// The model's size.
    #[must_use]
    pub fn config(&self) -> &GptConfig {
        &self.config
    }

    pub(super) fn from_parts(config: GptConfig, parameters: Vec<R>) -> Self {
        let rotary = config.form.positions == Positions::Rotary;
        let angles = rotary.then(|| Angles::new(config.context, config.head_width()));
        Self { config, layout: Layout::new(&config), parameters, angles, panels: Panels::default() }
    }

    /// Makes panels of the weights, for many products in a precision until the parameters change.
    pub(super) fn pack(&mut self, precision: Precision) {
        self.panels.fill(&self.layout, &self.parameters, precision);
    }

    /// The parameters, to be changed.
    pub(super) fn change(&mut self) -> (&Layout, &mut [R]) {
        self.panels.expire();
        (&self.layout, &mut self.parameters)
    }

    /// The same without panels.
    pub(super) fn unpacked(self) -> Self {
        Self { panels: Panels::default(), ..self }
    }

    /// The matrix (rows, outputs) at a place, or transposed, for products in a precision, with its panels if there are
    /// any.
    pub(super) fn matrix(&self, place: &Range<usize>, outputs: usize, way: Way, precision: Precision) -> Matrix<'_, R> {
        let matrix = Matrix::dense(self.get(place), place.len() / outputs, outputs);
        let matrix = if way == Way::Transposed { matrix.transposed() } else { matrix };
        matrix.by(precision).with(self.panels.of(place, way, precision))
    }

    /// The panels of the matrix at a place, or nothing.
    pub(super) fn panels_of(&self, place: &Range<usize>, way: Way, precision: Precision) -> &[Line] {
        self.panels.of(place, way, precision)
    }

    pub(super) fn get(&self, range: &Range<usize>) -> &[R] {
        &self.parameters[range.clone()]
    }

    /// The attention of a window of so many tokens.
    pub(super) fn shape(&self, tokens: usize) -> Shape {
        Shape {
            queries: tokens,
            keys: tokens,
            heads: self.config.heads,
            kv_heads: self.config.kv_heads(),
            head_width: self.config.head_width(),
            strides: [self.config.qkv(); 2],
            precision: Precision::F32,
        }
    }

    /// Runs the layers over a window of at most T ids; the norm of the last layer is left in `pass.normed`.
    pub(super) fn forward(&self, ids: &[TokenId], pass: &mut Pass<R>) {
        self.forward_each(ids, &[ids.len()], pass);
    }

    /// [`Gpt::forward`] of windows side by side, of so many ids each and at most T together: each begins at the first
    /// position and sees itself alone, and all rows go through a matrix together.
    pub(super) fn forward_each(&self, ids: &[TokenId], lengths: &[usize], pass: &mut Pass<R>) {
        let (t, c) = (ids.len(), self.config.width);
        let stream = &mut pass.last[..t * c];
        let mut start = 0;
        for &length in lengths {
            self.embed(&ids[start..start + length], 0, &mut stream[start * c..(start + length) * c]);
            start += length;
        }
        for (at, block) in self.layout.blocks.iter().enumerate() {
            if pass.kept.is_some() && at > 0 {
                let [before, p] = pass.blocks.get_disjoint_mut([at - 1, at]).expect("one behind the other");
                p.take_inputs(before);
            }
            let p = &mut pass.blocks[at];
            let kept = &mut pass.kept;
            let positions = lengths.iter().flat_map(|&length| 0..length);
            self.queries(block, positions, stream, p, kept.as_mut(), &mut pass.laps);
            self.attend(lengths, p, &mut pass.scratch);
            pass.laps.end(Part::Attention);
            self.rest(block, p, stream, kept.as_mut(), &mut pass.laps);
        }
        if let (true, [first, .., last]) = (pass.kept.is_some(), &mut pass.blocks[..]) {
            first.take_inputs(last);
        }
        self.norm(&self.layout.final_norm, stream, &mut pass.normed, &mut pass.stats);
        pass.laps.end(Part::Elementwise);
    }

    /// The attention of each window by itself. Of the sums, those of the last one stay.
    fn attend(&self, lengths: &[usize], p: &mut BlockPass<R>, scratch: &mut Scratch<R>) {
        let config = &self.config;
        let own = config.heads * config.head_width();
        let mut start = 0;
        for &length in lengths {
            let (qkv, mix) = (&p.qkv[start * config.qkv()..], &mut p.mix[start * config.width..]);
            attention(self.shape(length).by(p.precision), qkv, &qkv[own..], &mut p.sums, mix, scratch);
            start += length;
        }
    }

    /// The embeddings (T, C) of ids, the first of which stands at position `past`.
    pub(super) fn embed(&self, ids: &[TokenId], past: usize, stream: &mut [R]) {
        let c = self.config.width;
        let wte = self.get(&self.layout.wte);
        for (row, &id) in stream.chunks_exact_mut(c).zip(ids) {
            row.copy_from_slice(&wte[id as usize * c..][..c]);
        }
        // Empty with rotary positions.
        let positions = self.get(&self.layout.wpe).iter().skip(past * c);
        stream.iter_mut().zip(positions).for_each(|(x, &position)| *x += position);
    }

    /// From the residual stream (T, C) of tokens at some positions to queries, keys and values in `p`, normed and rotated as
    /// the form says.
    pub(super) fn queries(
        &self,
        block: &Block,
        positions: impl Iterator<Item = usize>,
        stream: &[R],
        p: &mut BlockPass<R>,
        kept: Option<&mut Kept<R>>,
        laps: &mut Laps,
    ) {
        let config = &self.config;
        let (rows, d) = (stream.len() / config.width, config.head_width());
        let all = config.heads + config.kv_heads();
        p.input[..stream.len()].copy_from_slice(stream);
        self.norm(&block.norm1, stream, &mut p.norm1, &mut p.stats1);
        laps.end(Part::Elementwise);
        let qkv = &mut p.qkv[..rows * config.qkv()];
        self.linear(&block.qkv, &p.norm1[..stream.len()], qkv, false, (p.precision, kept));
        laps.end(Part::MatrixMultiply);
        for ((at, row), position) in p.qkv.chunks_exact_mut(config.qkv()).take(rows).enumerate().zip(positions) {
            let row = &mut row[..all * d];
            if config.form.qk_norm {
                p.raw[at * all * d..][..all * d].copy_from_slice(row);
                let (queries, keys) = row.split_at_mut(config.heads * d);
                let (of_queries, of_keys) = p.reciprocals[at * all..][..all].split_at_mut(config.heads);
                head_norm(queries, self.get(&block.q_norm), of_queries);
                head_norm(keys, self.get(&block.k_norm), of_keys);
            }
            if let Some(angles) = &self.angles {
                angles.rotate(row, position);
            }
        }
        laps.end(Part::Elementwise);
    }

    /// From the mixed values in `p` to the residual stream behind the layer.
    pub(super) fn rest(
        &self,
        block: &Block,
        p: &mut BlockPass<R>,
        stream: &mut [R],
        mut kept: Option<&mut Kept<R>>,
        laps: &mut Laps,
    ) {
        let rows = stream.len() / self.config.width;
        let (fan, f, activation) = (self.config.fan(), self.config.hidden(), self.config.form.activation);
        self.linear(&block.proj, &p.mix[..stream.len()], stream, true, (p.precision, kept.as_deref_mut()));
        laps.end(Part::MatrixMultiply);
        p.middle[..stream.len()].copy_from_slice(stream);
        self.norm(&block.norm2, stream, &mut p.norm2, &mut p.stats2);
        laps.end(Part::Elementwise);
        if let Some(kept) = kept {
            return self.feed_forward(block, p, stream, kept, laps);
        }
        let fc = &mut p.fc[..rows * fan];
        self.linear(&block.fc, &p.norm2[..stream.len()], fc, false, (p.precision, None));
        laps.end(Part::MatrixMultiply);
        let act = &mut p.act[..rows * f];
        activate(p.precision, activation, fc, act, f);
        laps.end(Part::Elementwise);
        self.linear(&block.out, act, stream, true, (p.precision, None));
        laps.end(Part::MatrixMultiply);
    }

    /// From the second norm in `p` to the residual stream behind the layer, some tokens after the other.
    fn feed_forward(&self, block: &Block, p: &mut BlockPass<R>, stream: &mut [R], kept: &mut Kept<R>, laps: &mut Laps) {
        let (c, fan, activation) = (self.config.width, self.config.fan(), self.config.form.activation);
        let rows = stream.len() / c;
        let [into, out] = [&block.fc, &block.out];
        let matrix = |linear: &Linear| self.matrix(&linear.weight, linear.outputs, Way::Plain, p.precision);
        let matrices = [matrix(into), matrix(out)];
        p.before.resize(p.before.len().max(lines(rows, fan)), Line([0.0; 16]));
        add_bias(self.get(&out.bias), stream);
        for (part, stream) in stream.chunks_mut(TOGETHER * c).enumerate() {
            let tokens = part * TOGETHER..part * TOGETHER + stream.len() / c;
            let of = |width: usize| tokens.start * width..tokens.end * width;
            let fc = &mut p.fc[..tokens.len() * fan];
            kept.input(&into.weight, Source::Rows(&p.norm2[of(c)]), (tokens.clone(), rows), &mut []);
            kept.product(matrices[0], (R::default(), self.get(&into.bias)), fc);
            laps.end(Part::MatrixMultiply);
            let before = &mut p.before[lines(tokens.start, fan)..];
            kept.input(&out.weight, Source::Activated(activation, fc), (tokens.clone(), rows), before);
            laps.end(Part::Elementwise);
            kept.product(matrices[1], (R::of(1.0), &[]), stream);
            laps.end(Part::MatrixMultiply);
        }
    }

    pub(super) fn norm(&self, place: &Norm, x: &[R], y: &mut [R], stats: &mut [Stats<R>]) {
        norm(self.config.form.norm, x, self.get(&place.scale), self.get(&place.bias), y, stats);
    }

    fn linear(
        &self,
        place: &Linear,
        x: &[R],
        y: &mut [R],
        added: bool,
        (precision, kept): (Precision, Option<&mut Kept<R>>),
    ) {
        let matrix = self.matrix(&place.weight, place.outputs, Way::Plain, precision);
        let bias = self.get(&place.bias);
        let Some(kept) = kept else { return linear(x, matrix, bias, y, added) };
        let rows = y.len() / place.outputs;
        kept.input(&place.weight, Source::Rows(x), (0..rows, rows), &mut []);
        if added {
            add_bias(bias, y);
        }
        let start = if added { (R::of(1.0), &[][..]) } else { (R::of(0.0), bias) };
        kept.product(matrix, start, y);
    }

    /// The logits (rows, V) of some positions of the window that `forward` ran over.
    pub(super) fn logits<'p>(&self, positions: Range<usize>, pass: &'p mut Pass<R>) -> &'p mut [R] {
        let (v, c) = (self.config.vocab_size, self.config.width);
        let rows = positions.len();
        if pass.logits.len() < rows * v {
            pass.logits.resize(rows * v, R::default());
        }
        let normed = Matrix::dense(&pass.normed[positions.start * c..], rows, c);
        let head = self.matrix(&self.layout.head, c, Way::Transposed, pass.precision);
        matmul(R::of(1.0), normed, head, R::of(0.0), &mut pass.logits, v);
        &mut pass.logits[..rows * v]
    }
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
pub(super) mod tests {
    use super::super::config::{Activation, GptForm, NormKind};
    use super::super::layers::cross_entropy;
    use super::*;

    pub(in crate::model) const SMALL: GptConfig =
        GptConfig { vocab_size: 11, context: 6, layers: 2, heads: 4, width: 16, form: GptForm::GPT2 };

    /// Every choice, in several surroundings.
    pub(in crate::model) const FORMS: [GptForm; 6] = [
        GptForm::GPT2,
        GptForm::MODERN,
        GptForm { tied: false, kv_heads: Some(2), ..GptForm::MODERN },
        GptForm { activation: Activation::Relu2, qk_norm: false, kv_heads: Some(1), ..GptForm::MODERN },
        GptForm { biases: true, norm: NormKind::Layer, activation: Activation::SwiGlu, ..GptForm::MODERN },
        GptForm { norm: NormKind::Rms, tied: false, biases: false, activation: Activation::Relu2, ..GptForm::GPT2 },
    ];

    fn loss(gpt: &Gpt<f64>, ids: &[u32], targets: &[u32], pass: &mut Pass<f64>) -> f64 {
        gpt.forward(ids, pass);
        cross_entropy(gpt.logits(0..ids.len(), pass), targets, 1.0)
    }

    /// A model whose parameters are large enough that every path matters.
    pub(in crate::model) fn shaken(config: GptConfig) -> Gpt<f64> {
        let mut gpt = Gpt::<f64>::new(config, 1).unwrap();
        let mut random = Random::new(2);
        gpt.parameters.iter_mut().for_each(|value| *value += 0.3 * random.normal());
        gpt
    }

    #[test]
    fn every_gradient_equals_the_central_difference() {
        for form in FORMS {
            let mut gpt = shaken(GptConfig { form, ..SMALL });
            let mut pass = Pass::new(gpt.config());
            // A full window and a short one; ids that repeat, and one that is its own target.
            for (ids, targets) in
                [([3, 1, 4, 1, 5, 9].as_slice(), [1, 4, 1, 5, 9, 9].as_slice()), (&[2, 7, 1], &[7, 1, 8])]
            {
                let mut gradients = vec![0.0; gpt.layout.len];
                gpt.backward(ids, targets, 0.5, &mut pass, &mut gradients);
                compare_with_differences(&mut gpt, ids, targets, 0.5, &gradients);
            }
        }
    }

    fn compare_with_differences(gpt: &mut Gpt<f64>, ids: &[u32], targets: &[u32], weight: f64, gradients: &[f64]) {
        let mut pass = Pass::new(gpt.config());
        for tensor in gpt.layout.tensors.clone() {
            for at in tensor.range {
                let value = gpt.parameters[at];
                let step = 1e-5;
                gpt.parameters[at] = value + step;
                let above = loss(gpt, ids, targets, &mut pass);
                gpt.parameters[at] = value - step;
                let below = loss(gpt, ids, targets, &mut pass);
                gpt.parameters[at] = value;
                let expected = weight * (above - below) / (2.0 * step);
                let error = (gradients[at] - expected).abs() / (expected.abs() + 1e-3);
                let form = gpt.config.form;
                assert!(error < 1e-5, "{} at {at}: {} should be {expected}; {form:?}", tensor.name, gradients[at]);
            }
        }
    }

    #[test]
    fn gradients_are_added_up() {
        let gpt = shaken(SMALL);
        let mut pass = Pass::new(&SMALL);
        let mut once = vec![0.0; gpt.layout.len];
        gpt.backward(&[3, 1, 4], &[1, 4, 1], 1.0, &mut pass, &mut once);
        let mut twice = once.clone();
        gpt.backward(&[3, 1, 4], &[1, 4, 1], 1.0, &mut pass, &mut twice);
        assert!(once.iter().zip(&twice).all(|(once, twice)| (2.0 * once - twice).abs() < 1e-12));
    }

    #[test]
    fn later_tokens_do_not_change_earlier_logits() {
        for form in FORMS {
            let gpt = shaken(GptConfig { form, ..SMALL });
            let mut pass = Pass::new(gpt.config());
            gpt.forward(&[3, 1, 4, 1, 5, 9], &mut pass);
            let long = gpt.logits(0..3, &mut pass).to_vec();
            gpt.forward(&[3, 1, 4], &mut pass);
            let short = gpt.logits(0..3, &mut pass).to_vec();
            assert!(long.iter().zip(&short).all(|(a, b)| (a - b).abs() < 1e-12));
            gpt.forward(&[3, 2, 4], &mut pass);
            let changed = gpt.logits(0..3, &mut pass);
            let change = |row: usize| {
                let rows = long[row * 11..(row + 1) * 11].iter().zip(&changed[row * 11..]);
                rows.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
            };
            assert!(change(0) < 1e-12 && change(1) > 1e-3 && change(2) > 1e-3, "{form:?}");
        }
    }

    /// A share of each tensor's largest gradient: of bf16's three digits some are lost on the way through the layers.
    #[test]
    fn bf16_follows_f32() {
        let (ids, targets): (Vec<u32>, Vec<u32>) =
            ((0..70).map(|n| n * n % 53).collect(), (1..71).map(|n| n * n % 53).collect());
        for form in FORMS {
            let config = GptConfig { vocab_size: 53, context: 70, width: 48, form, ..SMALL };
            let gpt = Gpt::<f32>::new(config, 1).unwrap();
            let (mut expected, mut got) = (vec![0.0; gpt.layout.len], vec![0.0; gpt.layout.len]);
            let exact = gpt.backward(&ids, &targets, 1.0, &mut Pass::new(&config), &mut expected);
            let mut pass = Pass::new(&config).by(Precision::Bf16);
            let rough = gpt.backward(&ids, &targets, 1.0, &mut pass, &mut got);
            assert!((exact - rough).abs() < 1e-3 * exact, "{exact} {rough}");
            for tensor in &gpt.layout.tensors {
                let (expected, got) = (&expected[tensor.range.clone()], &got[tensor.range.clone()]);
                let scale = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                let error = expected.iter().zip(got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(error <= 0.05 * scale, "{}: {error} of {scale}; {form:?}", tensor.name);
            }
        }
    }

    #[test]
    fn f32_follows_f64() {
        let (ids, targets): (Vec<u32>, Vec<u32>) =
            ((0..150).map(|n| n * n % 53).collect(), (1..151).map(|n| n * n % 53).collect());
        for form in FORMS {
            let config = GptConfig { vocab_size: 53, context: 150, width: 48, form, ..SMALL };
            let mut double = Gpt::<f64>::new(config, 1).unwrap();
            let mut random = Random::new(2);
            double.parameters.iter_mut().for_each(|value| *value = f64::from((*value + 0.05 * random.normal()) as f32));
            let single = Gpt::<f32>::from_parts(config, double.parameters.iter().map(|&value| value as f32).collect());
            let (mut expected, mut got) = (vec![0.0; double.layout.len], vec![0.0; double.layout.len]);
            let exact = double.backward(&ids, &targets, 1.0, &mut Pass::new(&config), &mut expected);
            let rough = single.backward(&ids, &targets, 1.0, &mut Pass::new(&config), &mut got);
            assert!((exact - rough).abs() < 1e-5 * exact, "{exact} {rough}");
            for tensor in &double.layout.tensors {
                let (expected, got) = (&expected[tensor.range.clone()], &got[tensor.range.clone()]);
                let scale = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                let errors = expected.iter().zip(got).map(|(a, b)| (a - f64::from(*b)).abs());
                let error = errors.fold(0.0, f64::max);
                assert!(error <= 1e-4 * scale, "{}: {error} of {scale}; {form:?}", tensor.name);
            }
        }
    }

    #[test]
    fn a_new_model_is_about_as_good_as_guessing() {
        let config = GptConfig { vocab_size: 500, context: 32, layers: 2, heads: 4, width: 64, form: GptForm::GPT2 };
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
