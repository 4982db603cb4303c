//! How much memory a training takes, told before it starts.

use super::backward::HEAD_ROWS;
use super::config::GptConfig;
use super::trainer::{LANES, TrainConfig};

/// Bytes of a number.
const FLOAT: u64 = 4;

impl TrainConfig {
    /// Bytes that training a model of this size takes, but for the corpus and scratch space of some hundreds of kilobytes a
    /// thread: for each parameter its weight, which also stands there twice in the order of the kernel, two moments, and a
    /// gradient (24 bytes a parameter); for each lane (at most 8) but the first another gradient of all that is no matrix inside
    /// a layer; for each lane what the passes of a window leave, in GPT-2's form 4 (16 L C + 16 C + L (H + 4) + 2) bytes a
    /// token. Logits are held for 128 rows alone.
    ///
    /// Where the processor multiplies bf16 and that is asked for, a lane keeps what gradients of matrices are made of, in GPT-2's
    /// form 2 (16 L C + 9 C + V) bytes a token; what passes leave, 4 (7 L C + 19 C + L (H + 4) + 2) bytes a token and the weights
    /// of one head with their gradients, 4 T bytes a token, is there once a thread.
    #[must_use]
    pub fn memory(&self, gpt: &GptConfig) -> u64 {
        let lanes = LANES.min(self.windows()) as u64;
        let parameters = gpt.parameters().saturating_mul(6);
        let context = gpt.context as u64;
        let windows = if !self.precision.is_f32() && self.precision.is_native() {
            let passes = lanes.min(rayon::current_num_threads() as u64);
            let [kept, left] = [lanes.saturating_mul(kept(gpt)), passes.saturating_mul(left(gpt))];
            context.saturating_mul(kept.saturating_add(left))
        } else {
            let own = gpt.parameters().saturating_sub(inside(gpt)).saturating_mul(lanes.saturating_sub(1));
            let logits = (HEAD_ROWS.min(gpt.context) as u64).saturating_mul(gpt.vocab_size as u64);
            let pass = activations(gpt).saturating_mul(context).saturating_add(logits);
            own.saturating_add(lanes.saturating_mul(pass))
        };
        parameters.saturating_add(windows).saturating_mul(FLOAT)
    }
}

/// Parameters in the matrices inside the layers.
fn inside(gpt: &GptConfig) -> u64 {
    let [c, l, qkv, fan, hidden] = [gpt.width, gpt.layers, gpt.qkv(), gpt.fan(), gpt.hidden()].map(|size| size as u64);
    l.saturating_mul(c).saturating_mul(qkv + c + fan + hidden)
}

/// Numbers that a pass keeps for each token; the fields of `Pass` and `BlockPass`, one after the other.
fn activations(gpt: &GptConfig) -> u64 {
    let [c, h, l] = [gpt.width, gpt.heads, gpt.layers].map(|size| size as u64);
    let [qkv, fan, hidden] = [gpt.qkv(), gpt.fan(), gpt.hidden()].map(|size| size as u64);
    let normed = if gpt.form.qk_norm { h + gpt.kv_heads() as u64 } else { 0 };
    let stats = 2;
    let layer = 5 * c + 2 * stats + qkv + normed * (gpt.head_width() as u64 + 1) + h + fan + hidden;
    l * layer + 5 * c + stats + qkv + fan + hidden
}

/// Numbers that a pass touches for each token where sides of products are kept: as [`activations`], but what matrices multiply and
/// give is there for one layer, and what stands before the activation is half as long; and the columns of attention.
fn left(gpt: &GptConfig) -> u64 {
    let [c, l] = [gpt.width, gpt.layers].map(|size| size as u64);
    let [fan, hidden] = [gpt.fan(), gpt.hidden()].map(|size| size as u64);
    let shared = 3 * c + fan + hidden;
    activations(gpt) - l * shared + l * fan.div_ceil(2) + 3 * c + gpt.context as u64
}

/// Half of the numbers, which are half as long, that a lane in bf16 keeps for each token: the fields of `Kept`.
pub(super) fn kept(gpt: &GptConfig) -> u64 {
    let [c, l, v] = [gpt.width, gpt.layers, gpt.vocab_size].map(|size| size as u64);
    let [qkv, fan, hidden] = [gpt.qkv(), gpt.fan(), gpt.hidden()].map(|size| size as u64);
    (l * (5 * c + qkv + fan + hidden) + c + v + fan.max(qkv)).div_ceil(2) + 2 * c
}

#[cfg(test)]
mod tests {
    use super::super::config::GptForm;
    use super::super::later;
    use super::super::layout::Layout;
    use super::super::pass::Pass;
    use super::*;

    /// Numbers in a pass, counted.
    fn counted(pass: &Pass<f32>) -> usize {
        let blocks = pass.blocks.iter().map(|block| {
            let stats = 2 * (block.stats1.len() + block.stats2.len());
            let parts =
                [&block.input, &block.norm1, &block.qkv, &block.raw, &block.reciprocals, &block.sums, &block.mix];
            let others = [&block.middle, &block.norm2, &block.fc, &block.act];
            stats + parts.into_iter().chain(others).map(Vec::len).sum::<usize>()
        });
        let own = [&pass.last, &pass.normed, &pass.stream, &pass.narrow, &pass.behind, &pass.qkv, &pass.fc, &pass.act];
        blocks.sum::<usize>() + 2 * pass.stats.len() + own.into_iter().map(Vec::len).sum::<usize>()
    }

    #[test]
    fn it_is_what_is_allocated() {
        for form in [GptForm::GPT2, GptForm::MODERN, GptForm { kv_heads: Some(1), ..GptForm::MODERN }] {
            let gpt = GptConfig { vocab_size: 50, context: 16, layers: 3, heads: 4, width: 24, form };
            let lane = counted(&Pass::new(&gpt)) as u64 + 16 * 50;
            let own: usize = later::others(&Layout::new(&gpt)).into_iter().map(|place| place.len()).sum();
            for (batch, lanes) in [(1, 1), (2, 2), (64, 8)] {
                let config = TrainConfig { batch, accumulate: 1, ..TrainConfig::default() };
                let gradients = gpt.parameters() + (lanes - 1) * own as u64;
                assert_eq!(config.memory(&gpt), 4 * (5 * gpt.parameters() + gradients + lanes * lane), "{form:?}");
            }
        }
    }

    #[test]
    fn sizes_beyond_all_bounds() {
        let gpt = GptConfig {
            vocab_size: 1 << 24,
            context: 1 << 20,
            layers: 1 << 10,
            heads: 1,
            width: 1 << 16,
            form: GptForm::MODERN,
        };
        assert!(TrainConfig::default().memory(&gpt) > 1 << 50);
    }
}
