//! Keys and values of the ids so far, so that the next id costs one row of work.

use super::gpt::Gpt;
use super::matmul::{Matrix, matmul};
use super::pass::BlockPass;
use super::profile::Laps;
use super::real::Real;
use super::{attention::Scratch, attention::attention};
use crate::vocab::TokenId;

/// Keys and values of the ids that a model has read, and scratch space.
pub(super) struct Cache<R> {
    len: usize,
    /// Of each layer (T, 2 K D): keys of a token, then its values.
    layers: Vec<Vec<R>>,
    row: BlockPass<R>,
    stream: Vec<R>,
    normed: Vec<R>,
    logits: Vec<R>,
    scratch: Scratch<R>,
}

impl<R: Real> Cache<R> {
    /// An empty cache for `gpt`.
    pub(super) fn new(gpt: &Gpt<R>) -> Self {
        let config = gpt.config();
        let zeros = |count: usize| vec![R::default(); count];
        Self {
            len: 0,
            layers: vec![zeros(config.context * 2 * config.kv_heads() * config.head_width()); config.layers],
            row: BlockPass::new(config),
            stream: zeros(config.context * config.width),
            normed: zeros(config.width),
            logits: zeros(config.vocab_size),
            scratch: Scratch::default(),
        }
    }

    /// How many ids were read.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    /// How many ids more it can read.
    pub(super) fn left(&self, gpt: &Gpt<R>) -> usize {
        gpt.config().context - self.len
    }

    /// Forgets the ids behind the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// Reads `ids` (at least one) behind those in the cache, and gives the logits (V) of what follows the last.
    ///
    /// # Panics
    ///
    /// If there are more ids than the context has left: positions do not move, so a full cache must be truncated to 0
    /// and be given the last ids again.
    pub(super) fn advance<'c>(&self, ids: &[TokenId], cache: &'c mut Cache<R>) -> &'c mut [R] {
        let (config, rows, past) = (self.config(), ids.len(), cache.len);
        assert!(rows > 0 && past + rows <= config.context, "{rows} ids do not fit behind {past}");
        let (c, qkv, kv) = (config.width, config.qkv(), 2 * config.kv_heads() * config.head_width());
        let shape =
            super::attention::Shape { queries: rows, keys: past + rows, strides: [qkv, kv], ..self.shape(rows) };
        let (p, stream) = (&mut cache.row, &mut cache.stream[..rows * c]);
        self.embed(ids, past, stream);
        for (block, layer) in self.layout.blocks.iter().zip(&mut cache.layers) {
            self.queries(block, past.., stream, p, None, &mut Laps::default());
            for (own, kept) in p.qkv.chunks_exact(qkv).zip(layer[past * kv..].chunks_exact_mut(kv)).take(rows) {
                kept.copy_from_slice(&own[qkv - kv..]);
            }
            attention(shape, &p.qkv, layer, &mut p.sums, &mut p.mix, &mut cache.scratch);
            self.rest(block, p, stream, None, &mut Laps::default());
        }
        cache.len += rows;
        let last = &stream[(rows - 1) * c..];
        self.norm(&self.layout.final_norm, last, &mut cache.normed, &mut [(R::default(), R::default())]);
        let head = Matrix::dense(self.get(&self.layout.head), config.vocab_size, c).transposed();
        let normed = Matrix::dense(&cache.normed, 1, c);
        matmul(R::of(1.0), normed, head, R::of(0.0), &mut cache.logits, config.vocab_size);
        &mut cache.logits
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{GptConfig, GptForm};
    use super::super::gpt::tests::{FORMS, SMALL, shaken};
    use super::super::pass::Pass;
    use super::*;

    #[test]
    fn equals_the_whole_forward_pass() {
        let ids = [3, 1, 4, 1, 5, 9];
        for form in FORMS {
            let config = GptConfig { form, ..SMALL };
            let gpt = shaken(config);
            let mut pass = Pass::new(&config);
            gpt.forward(&ids, &mut pass);
            let whole = gpt.logits(0..ids.len(), &mut pass).to_vec();
            let expect = |cache: &mut Cache<f64>, part: std::ops::Range<usize>| {
                let end = part.end;
                let got = gpt.advance(&ids[part], cache);
                let close = got.iter().zip(&whole[(end - 1) * 11..]).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(close, "{form:?} up to {end}: {got:?}");
                assert_eq!(cache.len(), end);
            };
            let mut cache = Cache::new(&gpt);
            (0..6).for_each(|at| expect(&mut cache, at..at + 1));
            cache.truncate(0);
            expect(&mut cache, 0..3);
            expect(&mut cache, 3..4);
            expect(&mut cache, 4..6);
            cache.truncate(2);
            expect(&mut cache, 2..6);
        }
    }

    /// More queries than a block of attention has, in f32.
    #[test]
    fn equals_the_whole_forward_pass_over_a_long_window() {
        let form = GptForm { kv_heads: Some(2), ..GptForm::MODERN };
        let config = GptConfig { vocab_size: 50, context: 200, layers: 2, heads: 4, width: 32, form };
        let gpt = Gpt::<f32>::new(config, 4).unwrap();
        let ids: Vec<TokenId> = (0..200).map(|at| at * at % 47).collect();
        let mut pass = Pass::new(&config);
        gpt.forward(&ids, &mut pass);
        let whole = gpt.logits(199..200, &mut pass).to_vec();
        let mut cache = Cache::new(&gpt);
        gpt.advance(&ids[..130], &mut cache);
        gpt.advance(&ids[130..199], &mut cache);
        let got = gpt.advance(&ids[199..], &mut cache);
        assert!(got.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-4), "{got:?} should be {whole:?}");
    }

    #[test]
    #[should_panic(expected = "do not fit")]
    fn more_ids_than_the_context_holds() {
        let gpt = shaken(SMALL);
        gpt.advance(&[1; 7], &mut Cache::new(&gpt));
    }
}
