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
#[path = "recurrent_tests.rs"]
mod tests;
