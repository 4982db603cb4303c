//! Recurrent networks against their definition, and gradients against central differences.

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
        let logits: Vec<f64> = (0..v).map(|to| (0..width).map(|at| h[at] * embedding[to * width + at]).sum()).collect();
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
        for at in 0..gradients.len() {
            let value = model.parameters[at];
            let mut moved = |by: f64| {
                model.parameters[at] = value + by;
                let loss = loss(&model, &[[ids, targets]]);
                model.parameters[at] = value;
                loss
            };
            let step = 1e-5;
            let expected = 0.5 * (moved(step) - moved(-step)) / (2.0 * step);
            let error = (gradients[at] - expected).abs() / (expected.abs() + 1e-3);
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
        assert!((reach[2] - square.sqrt()).abs() < 1e-5 * square.sqrt(), "{cell:?}: {} {}", reach[2], square.sqrt());
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
