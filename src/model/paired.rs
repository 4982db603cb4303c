//! First weights for models that are to be compared although their vocabularies differ.
//!
//! [`Gpt::new`] draws all weights from one sequence of random numbers, so that one more token in the vocabulary changes them
//! all. Here each tensor has a sequence of its own, by its name and the seed, and each row of the token embedding one by the
//! bytes of the token: models of two tokenizers begin with the same body, and with the same vector for each token that both
//! have.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::config::GptConfig;
use super::gpt::{Gpt, initialise};
use super::layout::Kind;
use super::random::Random;
use crate::error::Result;
use crate::vocab::TokenId;

impl Gpt {
    /// A model with random weights of the same deviations as those of [`Gpt::new`]. `bytes_of` gives the bytes of a token; ids
    /// without any, and those that share them, are told apart by their number.
    ///
    /// # Errors
    ///
    /// Those of [`GptConfig::check`].
    pub fn paired<'t>(config: GptConfig, seed: u64, bytes_of: impl Fn(TokenId) -> Option<&'t [u8]>) -> Result<Self> {
        let mut gpt = Self::new(config, seed)?;
        for tensor in &gpt.layout.tensors {
            let values = &mut gpt.parameters[tensor.range.clone()];
            let fill = |name: &[u8], values: &mut [f32]| {
                let mut random = Random::new(xxh3_64_with_seed(name, seed));
                initialise(tensor.kind, config.width, &mut random, values);
            };
            if tensor.kind == Kind::Matrix && tensor.shape == [config.vocab_size, config.width] {
                for (id, row) in values.chunks_exact_mut(config.width).enumerate() {
                    let id = id as TokenId;
                    let number = id.to_le_bytes();
                    let (kind, bytes) = bytes_of(id).map_or((b'n', &number[..]), |bytes| (b't', bytes));
                    fill(&[tensor.name.as_bytes(), &[0, kind], bytes].concat(), row);
                }
            } else {
                fill(tensor.name.as_bytes(), values);
            }
        }
        Ok(gpt)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::GptForm;
    use super::*;

    const SMALL: GptConfig =
        GptConfig { vocab_size: 12, context: 8, layers: 2, heads: 2, width: 16, form: GptForm::GPT2 };

    fn paired(vocab_size: usize, context: usize, tokens: &[&'static str], seed: u64) -> Gpt {
        let bytes = |id: TokenId| tokens.get(id as usize).map(|token| token.as_bytes());
        Gpt::paired(GptConfig { vocab_size, context, ..SMALL }, seed, bytes).unwrap()
    }

    #[test]
    fn bodies_and_shared_tokens_are_the_same() {
        let (one, two) = (paired(4, 8, &["a", "b", "词"], 7), paired(3, 6, &["词", "c"], 7));
        let row = |gpt: &Gpt, id: usize| {
            let start = gpt.layout.wte.start + id * SMALL.width;
            gpt.parameters[start..start + SMALL.width].to_vec()
        };
        assert_eq!(row(&one, 2), row(&two, 0));
        assert_ne!(row(&one, 0), row(&two, 1));
        // Ids without a token.
        assert_ne!(row(&one, 3), row(&two, 2));
        let body = |gpt: &Gpt| gpt.parameters[gpt.layout.blocks[0].norm1.scale.start..].to_vec();
        assert_eq!(body(&one), body(&two));
        assert_eq!(one.parameters[one.layout.wpe.clone()][..96], two.parameters[two.layout.wpe.clone()]);
        assert_ne!(body(&one), body(&paired(4, 8, &["a"], 8)));
        // Tensors of one shape are not alike.
        let [first, second] = [0, 1].map(|layer| one.parameters[one.layout.blocks[layer].fc.weight.clone()].to_vec());
        assert_ne!(first, second);
    }

    #[test]
    fn deviations_are_those_of_a_new_model() {
        let (paired, new) = (paired(12, 8, &[], 3), Gpt::<f32>::new(SMALL, 3).unwrap());
        let deviation = |gpt: &Gpt, range: std::ops::Range<usize>| {
            let values = &gpt.parameters[range];
            (values.iter().map(|value| f64::from(value * value)).sum::<f64>() / values.len() as f64).sqrt()
        };
        for tensor in &new.layout.tensors {
            let [one, other] = [&paired, &new].map(|gpt| deviation(gpt, tensor.range.clone()));
            assert!((one - other).abs() <= 0.35 * other, "{}: {one} {other}", tensor.name);
        }
    }
}
