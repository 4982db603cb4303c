//! Rotary positions (Su et al. 2021): queries and keys are rotated by angles that grow with the position.
//!
//! Number i of the first half of a head and number i of its second half are one pair, as in GPT-NeoX and Hugging Face's
//! models, with the angle position / 10000^(2 i / D).

use super::real::Real;
use super::wide::wide;

const BASE: f64 = 10_000.0;

/// Cosines and sines of all positions, (T, D / 2) each.
#[derive(Debug, Clone)]
pub(super) struct Angles<R> {
    cosines: Vec<R>,
    sines: Vec<R>,
    half: usize,
}

impl<R: Real> Angles<R> {
    pub(super) fn new(context: usize, head_width: usize) -> Self {
        let half = head_width / 2;
        let angle = |at: usize| (at / half) as f64 * BASE.powf(-2.0 * (at % half) as f64 / head_width as f64);
        let all = |function: fn(f64) -> f64| (0..context * half).map(|at| R::of(function(angle(at)))).collect();
        Self { cosines: all(f64::cos), sines: all(f64::sin), half }
    }

    /// Rotates each head of a token at `position`.
    pub(super) fn rotate(&self, heads: &mut [R], position: usize) {
        let range = position * self.half..(position + 1) * self.half;
        rotate(heads, &self.cosines[range.clone()], &self.sines[range], R::of(1.0));
    }

    /// The gradient before the rotation from that behind it: the rotation back.
    pub(super) fn rotate_back(&self, heads: &mut [R], position: usize) {
        let range = position * self.half..(position + 1) * self.half;
        rotate(heads, &self.cosines[range.clone()], &self.sines[range], R::of(-1.0));
    }
}

wide! {
    fn rotate<R>(heads: &mut [R], cosines: &[R], sines: &[R], sign: R) {
        for head in heads.chunks_exact_mut(2 * cosines.len()) {
            let (first, second) = head.split_at_mut(cosines.len());
            for (((a, b), &cosine), &sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                let sine = sign * sine;
                (*a, *b) = (*a * cosine - *b * sine, *b * cosine + *a * sine);
            }
        }
    }
}
