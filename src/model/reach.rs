//! How far back a GPT learns: the gradient of the last token's loss by what the tokens before it put in.
//!
//! The same question to a recurrent network stands in `recurrent.rs`. There the gradient passes through every token between
//! two, in a GPT attention takes it from one to the other in one step, however far apart they are (Vaswani et al. 2017).

use super::gpt::Gpt;
use super::layers::cross_entropy;
use super::matmul::{Matrix, matmul};
use super::pass::Pass;
use super::real::Real;
use crate::error::Result;
use crate::vocab::TokenId;

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// The norm of the gradient of the last id's nats by the embedding, with its position, of the token `1 + at` places
    /// before it; nothing for fewer than two ids.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for more ids than the context and the one behind it,
    /// [`Error::UnknownToken`](crate::Error::UnknownToken).
    pub fn gradient_by_distance(&self, ids: &[TokenId]) -> Result<Vec<f64>> {
        let Some((&target, before)) = ids.split_last().filter(|(_, before)| !before.is_empty()) else {
            return Ok(Vec::new());
        };
        self.check_window(before)?;
        self.check_window(&[target])?;
        let (t, c, v) = (before.len(), self.config().width, self.config().vocab_size);
        let mut pass = Pass::new(self.config());
        // Wanted are the gradients by the stream; those by the parameters come with them.
        let mut gradients = vec![R::default(); self.layout.len];
        self.forward(before, &mut pass);
        cross_entropy(self.logits(t - 1..t, &mut pass), &[target], R::of(1.0));
        let (one, dlogits) = (R::of(1.0), Matrix::dense(&pass.logits, 1, v));
        let head = Matrix::dense(self.get(&self.layout.head), v, c);
        // Nothing else is asked of the positions before the last.
        pass.narrow.fill(R::default());
        matmul(one, dlogits, head, R::of(0.0), &mut pass.narrow[(t - 1) * c..], c);
        pass.stream.fill(R::default());
        let (dy, dx) = (&pass.narrow[..t * c], &mut pass.stream[..t * c]);
        self.norm_backward(&self.layout.final_norm, &pass.last[..t * c], &pass.stats, dy, dx, &mut gradients);
        for layer in (0..self.config().layers).rev() {
            self.block_backward(layer, t, &mut pass, &mut gradients);
        }
        let norm = |row: &[R]| row.iter().map(|value| value.f64().powi(2)).sum::<f64>().sqrt();
        Ok(pass.stream[..t * c].chunks_exact(c).rev().map(norm).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::gpt::tests::{SMALL, shaken};
    use super::*;
    use crate::error::Error;

    /// What is moved is one number of what the token at a position puts in: of the learned position, or, where there are
    /// none, of the embedding of an id that stands once and that the output has no part in.
    fn nats(gpt: &mut Gpt<f64>, ids: &[u32], [position, number]: [usize; 2], by: f64) -> f64 {
        let c = gpt.config().width;
        let place = match gpt.layout.wpe.is_empty() {
            false => gpt.layout.wpe.start + position * c + number,
            true => gpt.layout.wte.start + ids[position] as usize * c + number,
        };
        let (last, before) = ids.split_last().unwrap();
        let kept = gpt.parameters[place];
        gpt.parameters[place] += by;
        let mut pass = Pass::new(gpt.config());
        gpt.forward(before, &mut pass);
        gpt.parameters[place] = kept;
        cross_entropy(gpt.logits(before.len() - 1..before.len(), &mut pass), &[*last], 1.0)
    }

    #[test]
    fn equals_the_central_difference() {
        let ids = [3, 1, 4, 10, 5, 9, 2];
        let shared = GptForm { tied: false, kv_heads: Some(2), ..GptForm::MODERN };
        for form in [GptForm::GPT2, shared] {
            let mut gpt = shaken(GptConfig { form, ..SMALL });
            let reach = gpt.gradient_by_distance(&ids).unwrap();
            assert_eq!(reach.len(), 6);
            for (at, got) in reach.iter().enumerate() {
                let position = 5 - at;
                let square: f64 = (0..16)
                    .map(|number| {
                        let [above, below] = [1e-5, -1e-5].map(|by| nats(&mut gpt, &ids, [position, number], by));
                        ((above - below) / 2e-5).powi(2)
                    })
                    .sum();
                let expected = square.sqrt();
                assert!((got - expected).abs() < 1e-5 * expected, "{form:?} at {position}: {got} should be {expected}");
            }
        }
    }

    #[test]
    fn texts_that_do_not_fit() {
        let gpt = shaken(SMALL);
        assert!(
            gpt.gradient_by_distance(&[]).unwrap().is_empty() && gpt.gradient_by_distance(&[3]).unwrap().is_empty()
        );
        assert!(matches!(gpt.gradient_by_distance(&[1; 8]).unwrap_err(), Error::Setting { .. }));
        assert!(matches!(gpt.gradient_by_distance(&[1, 11]).unwrap_err(), Error::UnknownToken { id: 11, .. }));
        assert!(matches!(gpt.gradient_by_distance(&[11, 1]).unwrap_err(), Error::UnknownToken { id: 11, .. }));
    }
}
