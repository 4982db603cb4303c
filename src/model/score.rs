//! What a model makes of a sequence, however long.

use std::ops::Range;

use rayon::prelude::*;

use super::backward::HEAD_ROWS;
use super::gpt::Gpt;
use super::layers::softmax;
use super::pass::Pass;
use crate::vocab::TokenId;

/// The nats of each id of `ids` but the first, given those before it: every one is scored once.
///
/// A sequence longer than the context is scored in windows that advance by half of it, so that every id but the first
/// ones has at least half a context before it.
#[must_use]
pub fn score(gpt: &Gpt, ids: &[TokenId]) -> Vec<f64> {
    let windows = windows(ids.len().saturating_sub(1), gpt.config().context);
    let score = |pass: &mut Pass<f32>, window: &Window| window_nats(gpt, ids, window, pass);
    let parts: Vec<Vec<f64>> = windows.par_iter().map_init(|| Pass::new(gpt.config()), score).collect();
    parts.concat()
}

/// Inputs `start..end`; the predictions made from positions `scored..end` count.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    start: usize,
    scored: usize,
    end: usize,
}

fn windows(predictions: usize, context: usize) -> Vec<Window> {
    let stride = context.div_ceil(2);
    let mut windows = Vec::new();
    let mut scored = 0;
    while scored < predictions {
        let end = if scored == 0 { context.min(predictions) } else { (scored + stride).min(predictions) };
        windows.push(Window { start: end.saturating_sub(context), scored, end });
        scored = end;
    }
    windows
}

fn window_nats(gpt: &Gpt, ids: &[TokenId], window: &Window, pass: &mut Pass<f32>) -> Vec<f64> {
    gpt.forward(&ids[window.start..window.end], pass);
    let positions: Range<usize> = window.scored - window.start..window.end - window.start;
    let targets = &ids[window.scored + 1..=window.end];
    let mut nats = Vec::with_capacity(targets.len());
    for (start, targets) in positions.step_by(HEAD_ROWS).zip(targets.chunks(HEAD_ROWS)) {
        let logits = gpt.logits(start..start + targets.len(), pass);
        let rows = logits.chunks_exact_mut(gpt.config().vocab_size);
        nats.extend(rows.zip(targets).map(|(row, &target)| {
            let logit = f64::from(row[target as usize]);
            softmax(row) - logit
        }));
    }
    nats
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::layers::cross_entropy;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_prediction_once_with_enough_before_it(predictions in 0usize..200, context in 1usize..20) {
            let mut next = 0;
            for window in windows(predictions, context) {
                prop_assert_eq!(window.scored, next);
                prop_assert!(window.end > window.scored && window.end - window.start <= context);
                prop_assert!(window.start == 0 || window.scored + 1 - window.start > context / 2);
                next = window.end;
            }
            prop_assert_eq!(next, predictions);
        }
    }

    #[test]
    fn equals_the_loss_of_the_window() {
        let config = GptConfig { vocab_size: 12, context: 6, layers: 1, heads: 2, width: 8, form: GptForm::GPT2 };
        let gpt = Gpt::<f32>::new(config, 9).unwrap();
        let ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5];
        let nats = score(&gpt, &ids);
        assert_eq!(nats.len(), 10);
        let mut pass = Pass::new(&config);
        gpt.forward(&ids[..6], &mut pass);
        let loss = cross_entropy(gpt.logits(0..6, &mut pass), &ids[1..7], 1.0);
        assert!((nats[..6].iter().sum::<f64>() - loss).abs() < 1e-5);
        // The prediction of ids[7] sees ids[3..7], three positions into the second window.
        gpt.forward(&ids[3..9], &mut pass);
        let loss = cross_entropy(&mut gpt.logits(3..4, &mut pass).to_vec(), &ids[7..8], 1.0);
        assert!((nats[6] - loss).abs() < 1e-5);
        assert!(score(&gpt, &ids[..1]).is_empty() && score(&gpt, &[]).is_empty());
    }
}
