//! What a model makes of a sequence, however long.

use rayon::prelude::*;

use super::gpt::Gpt;
use super::half::Precision;
use super::language_model::LanguageModel;
use super::pass::Pass;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// The nats of each id of `ids` but the first, given those before it: every one is scored once.
///
/// A sequence longer than the context is scored in windows that advance by half of it, so that every id but the first
/// ones has at least half a context before it.
#[must_use]
pub fn score(gpt: &Gpt, ids: &[TokenId]) -> Vec<f64> {
    score_by(gpt, ids, half_context(gpt))
}

/// [`score`] of many sequences, with products in a precision. Windows of all of them are scored beside each other, by weights
/// that are packed once, and short ones in one pass: a product of few rows fills neither tiles nor registers.
#[must_use]
pub fn score_all(gpt: &Gpt, sequences: &[Vec<TokenId>], precision: Precision) -> Vec<Vec<f64>> {
    let mut gpt = gpt.clone();
    gpt.pack(precision);
    score_each(&gpt, sequences, half_context(&gpt), precision)
}

/// The stride that is taken where none is asked for: half of the context.
pub(super) fn half_context(gpt: &Gpt) -> usize {
    gpt.config().context.div_ceil(2)
}

/// [`score_by`] of each of many sequences, as [`score_all`] does it, by weights that are packed for each product if they are
/// not packed yet.
pub(super) fn score_each(gpt: &Gpt, sequences: &[Vec<TokenId>], stride: usize, precision: Precision) -> Vec<Vec<f64>> {
    let context = gpt.config().context;
    let of = |ids: &Vec<TokenId>| windows(ids.len().saturating_sub(1), context, stride);
    let all: Vec<_> =
        sequences.iter().flat_map(|ids| of(ids).into_iter().map(move |window| (&ids[..], window))).collect();
    let pass = || Pass::new(gpt.config()).by(precision);
    let score = |pass: &mut Pass<f32>, windows: &&[Part<'_>]| nats_of(gpt, windows, pass);
    let parts: Vec<Vec<f64>> = groups(&all, context).par_iter().map_init(pass, score).collect();
    let mut nats = parts.into_iter().flatten();
    sequences.iter().map(|ids| nats.by_ref().take(ids.len().saturating_sub(1)).collect()).collect()
}

/// [`score`], in windows that advance by `stride` tokens, from 1 to the context: each id but the first ones then has at
/// least the context less the stride before it.
fn score_by(gpt: &Gpt, ids: &[TokenId], stride: usize) -> Vec<f64> {
    let windows = windows(ids.len().saturating_sub(1), gpt.config().context, stride);
    let score = |pass: &mut Pass<f32>, window: Window| nats_of(gpt, &[(ids, window)], pass);
    let parts: Vec<Vec<f64>> = windows.into_par_iter().map_init(|| Pass::new(gpt.config()), score).collect();
    parts.concat()
}

/// A GPT that is measured in windows of a stride of one's own: a smaller one gives tokens more before them, and takes
/// longer.
#[derive(Debug, Clone, Copy)]
pub struct WithStride<'g> {
    gpt: &'g Gpt,
    stride: usize,
}

impl<'g> WithStride<'g> {
    /// Measures `gpt` in windows that advance by `stride` tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a stride of 0 or above the context.
    pub fn new(gpt: &'g Gpt, stride: usize) -> Result<Self> {
        let context = gpt.config().context;
        if stride == 0 || stride > context {
            let expected = format!("from 1 to the tokens of a window ({context})");
            return Err(Error::Setting { name: "stride", value: stride.to_string(), expected });
        }
        Ok(Self { gpt, stride })
    }
}

impl LanguageModel for WithStride<'_> {
    fn name(&self) -> &'static str {
        self.gpt.name()
    }

    fn parameters(&self) -> u64 {
        self.gpt.parameters()
    }

    fn vocab_size(&self) -> usize {
        self.gpt.vocab_size()
    }

    fn nats(&self, ids: &[TokenId]) -> Vec<f64> {
        score_by(self.gpt, ids, self.stride)
    }

    fn nats_of_each(&self, sequences: &[Vec<TokenId>]) -> Vec<Vec<f64>> {
        score_each(self.gpt, sequences, self.stride, Precision::F32)
    }
}

/// Inputs `start..end`; the predictions made from positions `scored..end` count.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    start: usize,
    scored: usize,
    end: usize,
}

fn windows(predictions: usize, context: usize, stride: usize) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut scored = 0;
    while scored < predictions {
        let end = if scored == 0 { context.min(predictions) } else { (scored + stride).min(predictions) };
        windows.push(Window { start: end.saturating_sub(context), scored, end });
        scored = end;
    }
    windows
}

/// A window, and the sequence it is one of.
type Part<'i> = (&'i [TokenId], Window);

/// Windows that fit into so many rows together, in their order.
fn groups<'w, 'i>(mut windows: &'w [Part<'i>], rows: usize) -> Vec<&'w [Part<'i>]> {
    let mut groups = Vec::new();
    while !windows.is_empty() {
        let ends = windows.iter().scan(0, |sum, (_, window)| {
            *sum += window.end - window.start;
            Some(*sum)
        });
        let (group, rest) = windows.split_at(ends.take_while(|end| *end <= rows).count().max(1));
        groups.push(group);
        windows = rest;
    }
    groups
}

/// The nats of what windows predict, one window behind the other.
fn nats_of(gpt: &Gpt, windows: &[Part<'_>], pass: &mut Pass<f32>) -> Vec<f64> {
    let c = gpt.config().width;
    let ids: Vec<TokenId> = windows.iter().flat_map(|(ids, window)| &ids[window.start..window.end]).copied().collect();
    let lengths: Vec<usize> = windows.iter().map(|(_, window)| window.end - window.start).collect();
    gpt.forward_each(&ids, &lengths, pass);
    // The rows that count move together.
    let (mut targets, mut at) = (Vec::with_capacity(ids.len()), 0);
    for (ids, window) in windows {
        let end = at + window.end - window.start;
        pass.normed.copy_within((end - (window.end - window.scored)) * c..end * c, targets.len() * c);
        targets.extend_from_slice(&ids[window.scored + 1..=window.end]);
        at = end;
    }
    gpt.nats(&targets, pass)
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::gpt::tests::FORMS;
    use super::super::layers::cross_entropy;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_prediction_once_with_enough_before_it(
            predictions in 0usize..200, (context, stride) in (1usize..20).prop_flat_map(|context| (Just(context), 1..=context)),
        ) {
            let mut next = 0;
            for window in windows(predictions, context, stride) {
                prop_assert_eq!(window.scored, next);
                prop_assert!(window.end > window.scored && window.end - window.start <= context);
                prop_assert!(window.start == 0 || window.scored + 1 - window.start > context - stride);
                next = window.end;
            }
            prop_assert_eq!(next, predictions);
        }
    }

    /// The plain definition: each id by itself, behind as many as its window has before it.
    #[test]
    fn a_stride_gives_each_id_what_stands_before_it_in_its_window() {
        let config = GptConfig { vocab_size: 12, context: 6, layers: 1, heads: 2, width: 8, form: GptForm::GPT2 };
        let gpt = Gpt::<f32>::new(config, 9).unwrap();
        let ids: Vec<TokenId> = (0..29).map(|at| at * at * 5 % 12).collect();
        let mut pass = Pass::new(&config);
        for stride in 1..=6 {
            let nats = WithStride::new(&gpt, stride).unwrap().nats(&ids);
            assert_eq!(nats.len(), 28);
            for (at, &got) in nats.iter().enumerate() {
                // The first window predicts 6 ids; each later one `stride` more, the last what is left.
                let end = if at < 6 { 6 } else { (6 + ((at - 6) / stride + 1) * stride).min(28) };
                let seen = &ids[end - 6..=at];
                gpt.forward(seen, &mut pass);
                let logits = gpt.logits(seen.len() - 1..seen.len(), &mut pass);
                let expected = cross_entropy(logits, &ids[at + 1..at + 2], 1.0);
                assert!((got - expected).abs() < 1e-5, "stride {stride}, id {at}: {got} should be {expected}");
            }
        }
        assert_eq!(WithStride::new(&gpt, 3).unwrap().nats(&ids), score(&gpt, &ids));
        for stride in [0, 7] {
            assert!(matches!(WithStride::new(&gpt, stride), Err(Error::Setting { name: "stride", .. })));
        }
    }

    #[test]
    fn many_are_scored_as_each() {
        let config = GptConfig { vocab_size: 40, context: 6, layers: 2, heads: 2, width: 16, form: GptForm::MODERN };
        let gpt = Gpt::<f32>::new(config, 9).unwrap();
        let sequences: Vec<Vec<TokenId>> =
            [0, 1, 2, 7, 29, 3].map(|length| (0..length).map(|at| at * at * 5 % 37).collect()).into();
        let each: Vec<Vec<f64>> = sequences.iter().map(|ids| score(&gpt, ids)).collect();
        assert_eq!(score_all(&gpt, &sequences, Precision::F32), each);
        let half = score_all(&gpt, &sequences, Precision::Bf16);
        for (half, single) in half.concat().into_iter().zip(each.concat()) {
            assert!((half - single).abs() < 0.02 * single, "{half} should be near {single}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// A sequence among others comes to what it comes to alone: windows that share a pass share no more than that.
        #[test]
        fn neighbours_change_nothing(lengths in prop::collection::vec(0usize..90, 1..12), form in 0..FORMS.len()) {
            let size = GptConfig { vocab_size: 70, context: 40, layers: 2, heads: 4, width: 48, form: FORMS[form] };
            let gpt = Gpt::<f32>::new(size, 9).unwrap();
            let ids = |(at, length): (usize, &usize)| (0..*length).map(|id| ((id + at) * id * 5 % 67) as TokenId).collect();
            let sequences: Vec<Vec<TokenId>> = lengths.iter().enumerate().map(ids).collect();
            let half = |sequences: &[Vec<TokenId>]| score_all(&gpt, sequences, Precision::Bf16);
            let each: Vec<_> = sequences.iter().flat_map(|ids| half(std::slice::from_ref(ids))).collect();
            prop_assert_eq!(half(&sequences), each);
            let strided = WithStride::new(&gpt, 7).unwrap();
            prop_assert_eq!(gpt.nats_of_each(&sequences), score_all(&gpt, &sequences, Precision::F32));
            for model in [&gpt as &dyn LanguageModel, &strided] {
                for (ids, nats) in sequences.iter().zip(model.nats_of_each(&sequences)) {
                    let each = model.nats(ids);
                    prop_assert_eq!(each.len(), nats.len());
                    // In f32 a product of three rows or fewer is summed in another order.
                    let close = each.iter().zip(&nats).all(|(each, nats)| (each - nats).abs() < 1e-5 * each.max(1.0));
                    prop_assert!(close, "{:?} should be {:?}", nats, each);
                }
            }
        }

        #[test]
        fn windows_fall_into_groups(lengths in prop::collection::vec(1usize..40, 0..60), rows in 40usize..90) {
            let windows: Vec<Part<'_>> =
                lengths.iter().map(|&end| (&[][..], Window { start: 0, scored: 0, end })).collect();
            let groups = groups(&windows, rows);
            prop_assert_eq!(groups.iter().map(|group| group.len()).sum::<usize>(), windows.len());
            let sum = |group: &[Part<'_>]| group.iter().map(|(_, window)| window.end).sum::<usize>();
            prop_assert!(groups.iter().all(|group| !group.is_empty() && sum(group) <= rows));
            prop_assert!(groups.windows(2).all(|pair| sum(pair[0]) + pair[1][0].1.end > rows));
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
