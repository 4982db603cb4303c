//! Recurrent networks: Elman's (1990) and the LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
//! 2000), forward and backward over one window.
//!
//! ```text
//! z = x Wx + h' Wh + b          h': the state behind the token before
//! Elman:  h = tanh(z)
//! LSTM:   i, f, g, o = σ, σ, tanh, σ of the four quarters of z;  c = f c' + i g;  h = o tanh(c)
//! ```
//!
//! The token embedding E is also the output matrix: logits = h Eᵀ. The four gates are one product (C, 4 C), and the
//! products with the inputs of a whole window are one, so that only `h' Wh` is taken token by token. The gradient runs
//! back through one window (truncated backpropagation through time, Werbos 1990), while the state is carried into the next.

use super::layers::cross_entropy;
use super::layout::{Kind, Tensor};
use super::matmul::{Matrix, matmul};
use super::random::Random;
use super::real::Real;
use crate::error::{Error, Result};
use crate::vocab::TokenId;
use serde::{Deserialize, Serialize};

/// What stands between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Elman's: a tanh.
    Elman,
    /// Long short-term memory.
    Lstm,
}

impl Cell {
    /// Products of the width that a step takes.
    fn gates(self) -> usize {
        match self {
            Self::Elman => 1,
            Self::Lstm => 4,
        }
    }
}

/// The size of a recurrent network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecurrentConfig {
    /// What stands between two states.
    pub cell: Cell,
    /// V: one above the highest id.
    pub vocab_size: usize,
    /// C: numbers of an embedding and of a state.
    pub width: usize,
}

impl RecurrentConfig {
    /// Checks that the sizes make a model.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a size of 0 or beyond what a GPT may have, [`Error::Limit`] for more than 2^31 parameters.
    pub fn check(&self) -> Result<()> {
        for (name, value, max) in [("vocab-size", self.vocab_size, 1 << 24), ("width", self.width, 1 << 16)] {
            if !(1..=max).contains(&value) {
                return Err(Error::Setting { name, value: value.to_string(), expected: format!("from 1 to {max}") });
            }
        }
        match self.parameters() {
            value if value >= 1 << 31 => {
                Err(Error::Limit { what: "the number of parameters", value, max: (1 << 31) - 1 })
            }
            _ => Ok(()),
        }
    }

    /// Number of parameters; the output matrix is the embedding and counts once.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let [v, c, g] = [self.vocab_size, self.width, self.cell.gates()].map(|size| size as u64);
        v * c + 2 * c * g * c + g * c
    }

    /// Where each tensor lies: embedding (V, C), Wx and Wh (C, G C), b (G C).
    pub(super) fn tensors(&self) -> [Tensor; 4] {
        let (c, wide) = (self.width, self.cell.gates() * self.width);
        let mut start = 0;
        let mut tensor = |name: &str, shape: Vec<usize>, kind| {
            let range = start..start + shape.iter().product::<usize>();
            start = range.end;
            Tensor { name: name.to_owned(), range, shape, kind }
        };
        [
            tensor("embedding.weight", vec![self.vocab_size, c], Kind::Matrix),
            tensor("cell.input.weight", vec![c, wide], Kind::Matrix),
            tensor("cell.state.weight", vec![c, wide], Kind::Matrix),
            tensor("cell.bias", vec![wide], Kind::Bias),
        ]
    }
}

/// A recurrent network: its size and its parameters.
#[derive(Debug, Clone)]
#[allow(private_bounds)]
pub struct Recurrent<R: Real = f32> {
    pub(super) config: RecurrentConfig,
    pub(super) tensors: [Tensor; 4],
    pub(super) parameters: Vec<R>,
}

/// What a network remembers of the tokens before: h, and c of an LSTM, (C) each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State<R> {
    hidden: Vec<R>,
    cell: Vec<R>,
}

impl<R: Real> State<R> {
    /// The state before the first token.
    pub(super) fn new(config: &RecurrentConfig) -> Self {
        Self { hidden: vec![R::default(); config.width], cell: vec![R::default(); config.width] }
    }
}

/// What the forward pass of one window leaves for the backward pass, and scratch space.
pub(super) struct RecurrentPass<R> {
    /// (T, C).
    embedded: Vec<R>,
    /// (T, G C): behind their tanh or σ.
    gates: Vec<R>,
    /// (T + 1, C): h, and c of an LSTM, the first row of the window before.
    hidden: Vec<R>,
    cells: Vec<R>,
    /// (T, V).
    logits: Vec<R>,
    /// Gradients by h (T, C), by z (T, G C), and by the state that a token takes over (C).
    dhidden: Vec<R>,
    dgates: Vec<R>,
    dstate: Vec<R>,
    dcell: Vec<R>,
}

impl<R: Real> RecurrentPass<R> {
    /// For windows of at most `tokens` ids.
    pub(super) fn new(config: &RecurrentConfig, tokens: usize) -> Self {
        let (c, wide) = (config.width, config.width * config.cell.gates());
        let zeros = |len: usize| vec![R::default(); len];
        Self {
            embedded: zeros(tokens * c),
            gates: zeros(tokens * wide),
            hidden: zeros((tokens + 1) * c),
            cells: zeros((tokens + 1) * c),
            logits: zeros(tokens * config.vocab_size),
            dhidden: zeros(tokens * c),
            dgates: zeros(tokens * wide),
            dstate: zeros(c),
            dcell: zeros(c),
        }
    }
}

fn sigmoid<R: Real>(x: R) -> R {
    R::of(1.0) / (R::of(1.0) + (-x).exp())
}

#[allow(private_bounds)]
impl<R: Real> Recurrent<R> {
    /// A network with random weights: normal with a deviation of 1/√C. An LSTM's forget gates begin with a bias of 1, so
    /// that it remembers before it has learned what to forget (Jozefowicz et al. 2015).
    ///
    /// # Errors
    ///
    /// Those of [`RecurrentConfig::check`].
    pub fn new(config: RecurrentConfig, seed: u64) -> Result<Self> {
        config.check()?;
        let tensors = config.tensors();
        let mut random = Random::new(seed);
        let deviation = 1.0 / (config.width as f64).sqrt();
        let mut parameters = vec![R::default(); config.parameters() as usize];
        let [.., bias] = &tensors;
        parameters[..bias.range.start].fill_with(|| R::of(deviation * random.normal()));
        if config.cell == Cell::Lstm {
            let forget = bias.range.start + config.width;
            parameters[forget..forget + config.width].fill(R::of(1.0));
        }
        Ok(Self { config, tensors, parameters })
    }

    /// The network's size.
    #[must_use]
    pub fn config(&self) -> &RecurrentConfig {
        &self.config
    }

    /// Embedding, Wx, Wh and b.
    fn weights(&self) -> [&[R]; 4] {
        self.tensors.each_ref().map(|tensor| &self.parameters[tensor.range.clone()])
    }

    /// Runs over a window; `state` becomes that behind it.
    pub(super) fn forward(&self, ids: &[TokenId], state: &mut State<R>, pass: &mut RecurrentPass<R>) {
        let (t, c) = (ids.len(), self.config.width);
        let wide = c * self.config.cell.gates();
        let [embedding, wx, wh, bias] = self.weights();
        for (row, &id) in pass.embedded.chunks_exact_mut(c).zip(ids) {
            row.copy_from_slice(&embedding[id as usize * c..][..c]);
        }
        pass.gates.chunks_exact_mut(wide).take(t).for_each(|row| row.copy_from_slice(bias));
        let (one, wx, wh) = (R::of(1.0), Matrix::dense(wx, c, wide), Matrix::dense(wh, c, wide));
        matmul(one, Matrix::dense(&pass.embedded, t, c), wx, one, &mut pass.gates, wide);
        pass.hidden[..c].copy_from_slice(&state.hidden);
        pass.cells[..c].copy_from_slice(&state.cell);
        for at in 0..t {
            let (before, after) = pass.hidden.split_at_mut((at + 1) * c);
            let gates = &mut pass.gates[at * wide..][..wide];
            matmul(one, Matrix::dense(&before[at * c..], 1, c), wh, one, gates, wide);
            let hidden = &mut after[..c];
            match self.config.cell {
                Cell::Elman => gates.iter_mut().zip(hidden).for_each(|(z, h)| {
                    *z = z.tanh();
                    *h = *z;
                }),
                Cell::Lstm => {
                    let (before, after) = pass.cells.split_at_mut((at + 1) * c);
                    lstm(gates, &before[at * c..], &mut after[..c], hidden);
                }
            }
        }
        state.hidden.copy_from_slice(&pass.hidden[t * c..][..c]);
        state.cell.copy_from_slice(&pass.cells[t * c..][..c]);
    }

    /// The logits (rows, V) of some positions of the window that `forward` ran over.
    pub(super) fn logits<'p>(&self, positions: std::ops::Range<usize>, pass: &'p mut RecurrentPass<R>) -> &'p mut [R] {
        let RecurrentConfig { vocab_size: v, width: c, .. } = self.config;
        let rows = positions.len();
        let hidden = Matrix::dense(&pass.hidden[(positions.start + 1) * c..], rows, c);
        let [embedding, ..] = self.weights();
        let output = Matrix::dense(embedding, v, c).transposed();
        matmul(R::of(1.0), hidden, output, R::of(0.0), &mut pass.logits, v);
        &mut pass.logits[..rows * v]
    }

    /// The summed loss in nats of predicting `targets` after `ids`. Adds to `gradients` the gradient of the loss times
    /// `weight`; the state that the window began with counts as constant. `state` becomes that behind the window.
    pub(super) fn backward(
        &self,
        [ids, targets]: [&[TokenId]; 2],
        weight: R,
        state: &mut State<R>,
        pass: &mut RecurrentPass<R>,
        gradients: &mut [R],
    ) -> f64 {
        self.forward(ids, state, pass);
        let loss = cross_entropy(self.logits(0..ids.len(), pass), targets, weight);
        let RecurrentConfig { vocab_size: v, width: c, .. } = self.config;
        let (t, one) = (ids.len(), R::of(1.0));
        let dlogits = Matrix::dense(&pass.logits, t, v);
        let [embedding, ..] = self.weights();
        matmul(one, dlogits, Matrix::dense(embedding, v, c), R::of(0.0), &mut pass.dhidden, c);
        let hidden = Matrix::dense(&pass.hidden[c..], t, c);
        let [place, ..] = self.tensors.each_ref().map(|tensor| tensor.range.clone());
        matmul(one, dlogits.transposed(), hidden, one, &mut gradients[place], c);
        self.through_time(t, pass);
        self.weights_backward(ids, pass, gradients);
        loss
    }

    /// From the gradient by each h through the logits to that by each z.
    pub(super) fn through_time(&self, t: usize, pass: &mut RecurrentPass<R>) {
        let c = self.config.width;
        let wide = c * self.config.cell.gates();
        let [_, _, wh, _] = self.weights();
        let back = Matrix::dense(wh, c, wide).transposed();
        pass.dstate.fill(R::default());
        pass.dcell.fill(R::default());
        for at in (0..t).rev() {
            pass.dstate.iter_mut().zip(&pass.dhidden[at * c..]).for_each(|(sum, &own)| *sum += own);
            let (gates, dgates) = (&pass.gates[at * wide..][..wide], &mut pass.dgates[at * wide..][..wide]);
            match self.config.cell {
                Cell::Elman => dgates.iter_mut().zip(gates).zip(&pass.dstate).for_each(|((dz, &h), &dh)| {
                    *dz = dh * (R::of(1.0) - h * h);
                }),
                Cell::Lstm => {
                    let cells = [&pass.cells[at * c..][..c], &pass.cells[(at + 1) * c..][..c]];
                    lstm_backward(gates, cells, &pass.dstate, &mut pass.dcell, dgates);
                }
            }
            matmul(R::of(1.0), Matrix::dense(dgates, 1, wide), back, R::of(0.0), &mut pass.dstate, c);
        }
    }

    /// From the gradient by each z to those of all weights.
    fn weights_backward(&self, ids: &[TokenId], pass: &mut RecurrentPass<R>, gradients: &mut [R]) {
        let (t, c) = (ids.len(), self.config.width);
        let wide = c * self.config.cell.gates();
        let (one, dgates) = (R::of(1.0), Matrix::dense(&pass.dgates, t, wide));
        let [embedding, wx, wh, bias] = self.tensors.each_ref().map(|tensor| tensor.range.clone());
        let inputs = Matrix::dense(&pass.embedded, t, c).transposed();
        matmul(one, inputs, dgates, one, &mut gradients[wx], wide);
        let before = Matrix::dense(&pass.hidden, t, c).transposed();
        matmul(one, before, dgates, one, &mut gradients[wh], wide);
        for row in pass.dgates.chunks_exact(wide).take(t) {
            gradients[bias.clone()].iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
        }
        self.inputs_backward(t, pass);
        for (row, &id) in pass.dhidden.chunks_exact(c).zip(ids) {
            let place = embedding.start + id as usize * c;
            gradients[place..place + c].iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
        }
    }

    /// The gradient by each embedded token, in `pass.dhidden`.
    fn inputs_backward(&self, t: usize, pass: &mut RecurrentPass<R>) {
        let c = self.config.width;
        let wide = c * self.config.cell.gates();
        let [_, wx, ..] = self.weights();
        let (dgates, wx) = (Matrix::dense(&pass.dgates, t, wide), Matrix::dense(wx, c, wide).transposed());
        matmul(R::of(1.0), dgates, wx, R::of(0.0), &mut pass.dhidden, c);
    }

    /// How far a token reaches: the norm of the gradient of the last id's nats by the embedding of the token `1 + at`
    /// places before it. In an Elman network it falls or grows by a factor a token (Bengio et al. 1994).
    ///
    /// # Panics
    ///
    /// If an id is outside the vocabulary.
    #[must_use]
    pub fn gradient_by_distance(&self, ids: &[TokenId]) -> Vec<f64> {
        let Some((&target, ids)) = ids.split_last().filter(|(_, before)| !before.is_empty()) else {
            return Vec::new();
        };
        let RecurrentConfig { vocab_size: v, width: c, .. } = self.config;
        let t = ids.len();
        let mut pass = RecurrentPass::new(&self.config, t);
        self.forward(ids, &mut State::new(&self.config), &mut pass);
        cross_entropy(self.logits(t - 1..t, &mut pass), &[target], R::of(1.0));
        let [embedding, ..] = self.weights();
        let dlogits = Matrix::dense(&pass.logits, 1, v);
        matmul(R::of(1.0), dlogits, Matrix::dense(embedding, v, c), R::of(0.0), &mut pass.dhidden[(t - 1) * c..], c);
        self.through_time(t, &mut pass);
        self.inputs_backward(t, &mut pass);
        let norm = |row: &[R]| row.iter().map(|value| value.f64().powi(2)).sum::<f64>().sqrt();
        pass.dhidden.chunks_exact(c).rev().map(norm).collect()
    }
}

/// One step of an LSTM; the gates come as z and are left behind their functions.
fn lstm<R: Real>(gates: &mut [R], before: &[R], cell: &mut [R], hidden: &mut [R]) {
    let c = cell.len();
    for at in 0..c {
        let [i, f, g, o] = [0, c, 2 * c, 3 * c].map(|start| gates[start + at]);
        let [i, f, g, o] = [sigmoid(i), sigmoid(f), g.tanh(), sigmoid(o)];
        [gates[at], gates[c + at], gates[2 * c + at], gates[3 * c + at]] = [i, f, g, o];
        cell[at] = f * before[at] + i * g;
        hidden[at] = o * cell[at].tanh();
    }
}

/// From the gradients by h and c behind a step to those by z, and in `dcell` by c before it.
fn lstm_backward<R: Real>(gates: &[R], [before, cell]: [&[R]; 2], dhidden: &[R], dcell: &mut [R], dgates: &mut [R]) {
    let (c, one) = (cell.len(), R::of(1.0));
    for at in 0..c {
        let [i, f, g, o] = [0, c, 2 * c, 3 * c].map(|start| gates[start + at]);
        let tanh = cell[at].tanh();
        let down = dcell[at] + dhidden[at] * o * (one - tanh * tanh);
        dgates[at] = down * g * i * (one - i);
        dgates[c + at] = down * before[at] * f * (one - f);
        dgates[2 * c + at] = down * i * (one - g * g);
        dgates[3 * c + at] = dhidden[at] * tanh * o * (one - o);
        dcell[at] = down * f;
    }
}

#[cfg(test)]
mod tests {
    // Recurrent networks against their definition, and gradients against central differences.
    use super::*;

    const SIZE: [usize; 2] = [11, 6];

    fn config(cell: Cell) -> RecurrentConfig {
        RecurrentConfig { cell, vocab_size: SIZE[0], width: SIZE[1] }
    }

    /// A network whose parameters are large enough that every path matters.
    fn shaken(cell: Cell) -> Recurrent<f64> {
        let mut model = Recurrent::<f64>::new(config(cell), 1).unwrap();
        let mut random = Random::new(2);
        model.parameters.iter_mut().for_each(|value| *value += 0.4 * random.normal());
        model
    }

    /// The loss by the formulas of the file's head, number by number.
    fn plain_loss(model: &Recurrent<f64>, ids: &[u32], targets: &[u32], h: &mut Vec<f64>, c: &mut [f64]) -> f64 {
        let [v, width] = SIZE;
        let [embedding, wx, wh, bias] = model.weights();
        let wide = bias.len();
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut loss = 0.0;
        for (&id, &target) in ids.iter().zip(targets) {
            let z: Vec<f64> = (0..wide)
                .map(|to| {
                    let sum = |from: usize| {
                        embedding[id as usize * width + from] * wx[from * wide + to] + h[from] * wh[from * wide + to]
                    };
                    bias[to] + (0..width).map(sum).sum::<f64>()
                })
                .collect();
            *h = match model.config.cell {
                Cell::Elman => z.iter().map(|z| z.tanh()).collect(),
                Cell::Lstm => (0..width)
                    .map(|at| {
                        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| z[gate * width + at]);
                        c[at] = sigma(f) * c[at] + sigma(i) * g.tanh();
                        sigma(o) * c[at].tanh()
                    })
                    .collect(),
            };
            let logits: Vec<f64> =
                (0..v).map(|to| (0..width).map(|at| h[at] * embedding[to * width + at]).sum()).collect();
            loss += logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[target as usize];
        }
        loss
    }

    fn loss(model: &Recurrent<f64>, windows: &[[&[u32]; 2]]) -> f64 {
        let (mut h, mut c) = (vec![0.0; SIZE[1]], vec![0.0; SIZE[1]]);
        windows.iter().map(|[ids, targets]| plain_loss(model, ids, targets, &mut h, &mut c)).sum()
    }

    #[test]
    fn every_gradient_equals_the_central_difference_of_the_definition() {
        let ids: &[u32] = &[3, 1, 4, 1, 5, 9, 2];
        let targets: &[u32] = &[1, 4, 1, 5, 9, 9, 8];
        for cell in [Cell::Elman, Cell::Lstm] {
            let mut model = shaken(cell);
            let mut pass = RecurrentPass::new(&model.config, 8);
            let mut gradients = vec![0.0; model.parameters.len()];
            let mut state = State::new(&model.config);
            let got = model.backward([ids, targets], 0.5, &mut state, &mut pass, &mut gradients);
            assert!((got - loss(&model, &[[ids, targets]])).abs() < 1e-12, "{cell:?}");
            for (at, gradient) in gradients.iter().enumerate() {
                let value = model.parameters[at];
                let mut moved = |by: f64| {
                    model.parameters[at] = value + by;
                    let loss = loss(&model, &[[ids, targets]]);
                    model.parameters[at] = value;
                    loss
                };
                let step = 1e-5;
                let expected = 0.5 * (moved(step) - moved(-step)) / (2.0 * step);
                let error = (gradient - expected).abs() / (expected.abs() + 1e-3);
                assert!(error < 1e-5, "{cell:?} at {at}: {} should be {expected}", gradients[at]);
            }
        }
    }

    #[test]
    fn the_state_is_carried_from_window_to_window() {
        let ids: &[u32] = &[3, 1, 4, 1, 5, 9, 2, 6];
        let (inputs, targets) = (&ids[..7], &ids[1..]);
        for cell in [Cell::Elman, Cell::Lstm] {
            let model = shaken(cell);
            let mut pass = RecurrentPass::new(&model.config, 8);
            let mut gradients = vec![0.0; model.parameters.len()];
            let mut state = State::new(&model.config);
            let mut window = |range: std::ops::Range<usize>| {
                let window = [&inputs[range.clone()], &targets[range]];
                model.backward(window, 1.0, &mut state, &mut pass, &mut gradients)
            };
            let parts = window(0..3) + window(3..7);
            assert!((parts - loss(&model, &[[inputs, targets]])).abs() < 1e-12);
            // Without the state it is another loss.
            let apart = loss(&model, &[[&inputs[..3], &targets[..3]]]) + loss(&model, &[[&inputs[3..], &targets[3..]]]);
            assert!((parts - apart).abs() > 1e-3);
        }
    }

    #[test]
    fn the_reach_of_a_token_equals_the_central_difference() {
        // Ids that occur once each, and a target of its own: moving an embedding that is no output moves one input. All
        // embeddings are outputs too, so what they do there is taken off: the same embedding, moved at the end only.
        let ids: &[u32] = &[3, 1, 4, 5, 9, 2];
        for cell in [Cell::Elman, Cell::Lstm] {
            let model = shaken(cell);
            let reach = model.gradient_by_distance(ids);
            assert_eq!(reach.len(), 5);
            let [_, wx, _, bias] = model.weights();
            let (wide, width) = (bias.len(), SIZE[1]);
            // The input of position 2 moves as its z does: by dx Wx. A bias of that position alone is made by hand here.
            let nats = |moved: &[f64]| {
                let mut pass = RecurrentPass::new(&model.config, 8);
                let mut state = State::new(&model.config);
                model.forward(&ids[..2], &mut state, &mut pass);
                let mut other = model.clone();
                let place = other.tensors[3].range.clone();
                other.parameters[place].iter_mut().zip(moved).for_each(|(bias, by)| *bias += by);
                other.forward(&ids[2..3], &mut state, &mut pass);
                model.forward(&ids[3..5], &mut state, &mut pass);
                cross_entropy(model.logits(1..2, &mut pass), &ids[5..], 1.0)
            };
            let square: f64 = (0..width)
                .map(|from| {
                    let by = |step: f64| wx[from * wide..][..wide].iter().map(|w| w * step).collect::<Vec<_>>();
                    ((nats(&by(1e-5)) - nats(&by(-1e-5))) / 2e-5).powi(2)
                })
                .sum();
            assert!(
                (reach[2] - square.sqrt()).abs() < 1e-5 * square.sqrt(),
                "{cell:?}: {} {}",
                reach[2],
                square.sqrt()
            );
        }
        assert!(shaken(Cell::Lstm).gradient_by_distance(&[3]).is_empty());
    }

    /// Bengio et al. 1994: behind a state matrix that shrinks, an Elman network's gradient falls by a factor a token. An LSTM
    /// carries its cell through the forget gate, with the same matrices.
    #[test]
    fn the_gradient_of_an_elman_network_vanishes_and_that_of_an_lstm_does_not() {
        let ids: Vec<u32> = (0..41).map(|at| at * 7 % 11).collect();
        let reach = |cell: Cell| {
            let mut model = Recurrent::<f64>::new(config(cell), 5).unwrap();
            let [_, _, state, bias] = model.tensors.clone();
            model.parameters[state.range].iter_mut().for_each(|value| *value *= 0.4);
            if cell == Cell::Lstm {
                let width = SIZE[1];
                model.parameters[bias.range.start + width..][..width].fill(4.0);
            }
            let reach = model.gradient_by_distance(&ids);
            reach[39] / reach[0]
        };
        let (elman, lstm) = (reach(Cell::Elman), reach(Cell::Lstm));
        assert!(elman < 1e-9 && lstm > 1e-3, "{elman:e} {lstm:e}");
    }
}
