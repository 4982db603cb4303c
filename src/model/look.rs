//! What the attention of a GPT looks at: queries, keys and values of each head over a text, their scores and weights.
//!
//! The forward pass keeps queries and keys but never a whole square of weights. Here the square is the purpose, so it is
//! made again from them by the formula, in f64: softmax(q kᵀ / √D) over the tokens so far.

use super::gpt::Gpt;
use super::pass::Pass;
use super::real::Real;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// One head over a text of T tokens: what it asks for, what each token offers, and how it weighs them.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionHead {
    /// T: tokens of the text.
    pub tokens: usize,
    /// D: numbers of a query, key or value.
    pub width: usize,
    /// (T, D), normed and rotated where the form says so.
    pub queries: Vec<f64>,
    /// (T, D), as the queries; heads that share keys and values show the same ones.
    pub keys: Vec<f64>,
    /// (T, D).
    pub values: Vec<f64>,
    /// (T, T): q kᵀ / √D; 0 for tokens that come later, which are never compared.
    pub scores: Vec<f64>,
    /// (T, T): the softmax of each row's scores up to its own token; 0 for tokens that come later.
    pub weights: Vec<f64>,
}

impl AttentionHead {
    /// The weights of a token: one for each token up to itself.
    ///
    /// # Panics
    ///
    /// If there are not so many tokens.
    #[must_use]
    pub fn row(&self, token: usize) -> &[f64] {
        &self.weights[token * self.tokens..][..=token]
    }

    /// How many tokens back it looks in the mean: a weight counts by its distance. The first token, which sees only itself, is
    /// left out; 0 for a text of one token.
    #[must_use]
    pub fn distance(&self) -> f64 {
        self.mean(|row| row.iter().rev().enumerate().map(|(distance, weight)| distance as f64 * weight).sum())
    }

    /// The entropy of the weights in bits, in the mean of the tokens but the first: 0 for a head that looks at one token,
    /// and the more the wider it looks.
    #[must_use]
    pub fn entropy(&self) -> f64 {
        self.mean(|row| row.iter().filter(|weight| **weight > 0.0).map(|weight| -weight * weight.log2()).sum())
    }

    /// The two tokens with the highest weight between them, from which and to which, and that weight: the first such of the
    /// tokens but the first; none in a text of one token.
    #[must_use]
    pub fn strongest(&self) -> Option<(usize, usize, f64)> {
        let links =
            (1..self.tokens).flat_map(|from| self.row(from).iter().enumerate().map(move |(to, w)| (from, to, *w)));
        links.reduce(|best, link| if link.2 > best.2 { link } else { best })
    }

    fn mean(&self, of: impl Fn(&[f64]) -> f64) -> f64 {
        let rows = self.tokens.saturating_sub(1);
        (1..self.tokens).map(|token| of(self.row(token))).sum::<f64>() / rows.max(1) as f64
    }
}

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// What each head does over a text, by layer.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a text without tokens or of more than the context holds, [`Error::UnknownToken`].
    pub fn look(&self, ids: &[TokenId]) -> Result<Vec<Vec<AttentionHead>>> {
        self.check_window(ids)?;
        let mut pass = Pass::new(self.config());
        self.forward(ids, &mut pass);
        let heads = 0..self.config().heads;
        Ok(pass
            .blocks
            .iter()
            .map(|block| heads.clone().map(|head| self.head(head, ids.len(), &block.qkv)).collect())
            .collect())
    }

    /// Checks that ids are such as one window may hold.
    pub(super) fn check_window(&self, ids: &[TokenId]) -> Result<()> {
        let (context, vocab_size) = (self.config().context, self.config().vocab_size);
        if ids.is_empty() || ids.len() > context {
            let expected = format!("from 1 to {context} tokens, the context of the model");
            return Err(Error::Setting { name: "text", value: format!("of {} tokens", ids.len()), expected });
        }
        match ids.iter().position(|&id| id as usize >= vocab_size) {
            Some(position) => Err(Error::UnknownToken { id: ids[position], position, vocab_size: vocab_size as u32 }),
            None => Ok(()),
        }
    }

    /// One head, from rows of H queries, K keys and K values.
    fn head(&self, head: usize, tokens: usize, qkv: &[R]) -> AttentionHead {
        let config = self.config();
        let (width, shared) = (config.head_width(), config.heads / config.kv_heads());
        let part = |first: usize| -> Vec<f64> {
            let rows = qkv.chunks_exact(config.qkv()).take(tokens);
            rows.flat_map(|row| row[first * width..][..width].iter().map(|value| value.f64())).collect()
        };
        let [queries, keys, values] =
            [head, config.heads + head / shared, config.heads + config.kv_heads() + head / shared].map(part);
        let mut scores = vec![0.0; tokens * tokens];
        let mut weights = scores.clone();
        for (at, query) in queries.chunks_exact(width).enumerate() {
            let scores = &mut scores[at * tokens..][..=at];
            for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
                *score = query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>() / (width as f64).sqrt();
            }
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - highest).exp()).sum();
            let weights = &mut weights[at * tokens..];
            weights.iter_mut().zip(&*scores).for_each(|(weight, score)| *weight = (score - highest).exp() / sum);
        }
        AttentionHead { tokens, width, queries, keys, values, scores, weights }
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::gpt::tests::{FORMS, SMALL, shaken};
    use super::*;
    use proptest::prelude::*;

    const IDS: [u32; 6] = [3, 1, 4, 1, 5, 9];

    /// The weights of the first layer of a GPT-2, number by number from the parameters.
    fn plain_first_layer(gpt: &Gpt<f64>, ids: &[u32]) -> Vec<Vec<Vec<f64>>> {
        let GptConfig { width: c, heads, .. } = *gpt.config();
        let (d, block) = (c / heads, &gpt.layout.blocks[0]);
        let [wte, wpe, scale, shift, weight, bias] = [
            &gpt.layout.wte,
            &gpt.layout.wpe,
            &block.norm1.scale,
            &block.norm1.bias,
            &block.qkv.weight,
            &block.qkv.bias,
        ]
        .map(|range| gpt.get(range));
        let projected = |at: usize, id: u32| -> Vec<f64> {
            let x: Vec<f64> = (0..c).map(|i| wte[id as usize * c + i] + wpe[at * c + i]).collect();
            let mean = x.iter().sum::<f64>() / c as f64;
            let variance = x.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / c as f64;
            let normed = |i: usize| (x[i] - mean) / (variance + 1e-5).sqrt() * scale[i] + shift[i];
            (0..3 * c).map(|to| bias[to] + (0..c).map(|i| normed(i) * weight[i * 3 * c + to]).sum::<f64>()).collect()
        };
        let rows: Vec<Vec<f64>> = ids.iter().enumerate().map(|(at, &id)| projected(at, id)).collect();
        let score = |head: usize, from: usize, to: usize| -> f64 {
            (0..d).map(|i| rows[from][head * d + i] * rows[to][c + head * d + i]).sum::<f64>() / (d as f64).sqrt()
        };
        let weights = |head: usize, from: usize| -> Vec<f64> {
            let all: Vec<f64> = (0..=from).map(|to| score(head, from, to).exp()).collect();
            all.iter().map(|value| value / all.iter().sum::<f64>()).collect()
        };
        (0..heads).map(|head| (0..ids.len()).map(|from| weights(head, from)).collect()).collect()
    }

    #[test]
    fn the_first_layer_equals_the_plain_matrix() {
        let gpt = shaken(SMALL);
        let plain = plain_first_layer(&gpt, &IDS);
        let looked = gpt.look(&IDS).unwrap();
        assert_eq!((looked.len(), looked[0].len()), (2, 4));
        for (head, plain) in looked[0].iter().zip(&plain) {
            for (token, plain) in plain.iter().enumerate() {
                let row = head.row(token);
                assert!(row.iter().zip(plain).all(|(a, b)| (a - b).abs() < 1e-9), "{row:?} should be {plain:?}");
            }
        }
    }

    /// What the model mixed is what these weights make of these values: they are those it used, in each form and layer.
    #[test]
    fn the_weights_are_those_of_the_forward_pass() {
        for form in FORMS {
            let gpt = shaken(GptConfig { form, ..SMALL });
            let mut pass = Pass::new(gpt.config());
            gpt.forward(&IDS, &mut pass);
            let looked = gpt.look(&IDS).unwrap();
            for (layer, block) in looked.iter().zip(&pass.blocks) {
                for (at, head) in layer.iter().enumerate() {
                    for token in 0..IDS.len() {
                        let row = head.row(token);
                        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                        let later = &head.weights[token * head.tokens + token + 1..][..head.tokens - token - 1];
                        assert!(later.iter().all(|weight| *weight == 0.0), "{later:?} looks ahead");
                        for i in 0..head.width {
                            let mixed: f64 =
                                row.iter().enumerate().map(|(to, w)| w * head.values[to * head.width + i]).sum();
                            let expected = block.mix[token * 16 + at * head.width + i];
                            assert!((mixed - expected).abs() < 1e-12, "{form:?}: {mixed} should be {expected}");
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn f32_shows_what_f64_does(ids in prop::collection::vec(0..11u32, 1..=6), form in 0..FORMS.len()) {
            let double = shaken(GptConfig { form: FORMS[form], ..SMALL });
            let single = Gpt::<f32>::from_parts(*double.config(), double.parameters.iter().map(|&x| x as f32).collect());
            let (expected, got) = (double.look(&ids).unwrap(), single.look(&ids).unwrap());
            for (expected, got) in expected.iter().flatten().zip(got.iter().flatten()) {
                for (a, b) in expected.weights.iter().zip(&got.weights) {
                    prop_assert!((a - b).abs() < 1e-3, "{} should be {}", b, a);
                }
            }
        }
    }

    #[test]
    fn figures_of_a_head() {
        let weights = vec![1.0, 0.0, 0.0, 0.25, 0.75, 0.0, 0.5, 0.5, 0.0];
        let head = AttentionHead {
            tokens: 3,
            width: 0,
            queries: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
            scores: Vec::new(),
            weights,
        };
        assert_eq!(head.distance(), (0.25 + 1.5) / 2.0);
        let second = 0.25 * 2.0 - 0.75 * 0.75f64.log2();
        assert!((head.entropy() - (second + 1.0) / 2.0).abs() < 1e-12);
        assert_eq!(head.strongest(), Some((1, 1, 0.75)));
        let one = AttentionHead { tokens: 1, weights: vec![1.0], ..head };
        assert_eq!((one.distance(), one.entropy(), one.strongest()), (0.0, 0.0, None));
    }

    #[test]
    fn texts_that_do_not_fit() {
        let gpt = shaken(GptConfig { form: GptForm::MODERN, ..SMALL });
        let refused = |ids: &[u32]| gpt.look(ids).unwrap_err();
        assert!(matches!(refused(&[]), Error::Setting { name: "text", .. }));
        assert!(refused(&[1; 7]).to_string().contains("from 1 to 6 tokens"), "{}", refused(&[1; 7]));
        assert!(matches!(refused(&[1, 11]), Error::UnknownToken { id: 11, position: 1, vocab_size: 11 }));
    }
}
