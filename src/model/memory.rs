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
    /// token. Logits are held for 128 rows alone. In bf16 a lane also keeps what gradients of matrices are made of and what is
    /// multiplied next, in GPT-2's form 2 (16 L C + 9 C + V) bytes a token, and the weights of one head with their gradients,
    /// 4 T bytes a token; of its gradients then only those of vectors are touched, so that this is more than it takes; and
    /// where tiles multiply, no logits are held.
    #[must_use]
    pub fn memory(&self, gpt: &GptConfig) -> u64 {
        let lanes = LANES.min(self.windows()) as u64;
        let own = gpt.parameters().saturating_sub(inside(gpt));
        let parameters = gpt.parameters().saturating_mul(6).saturating_add(own.saturating_mul(lanes.saturating_sub(1)));
        let kept = if self.precision.is_f32() { 0 } else { kept(gpt).saturating_mul(gpt.context as u64) };
        let pass = activations(gpt).saturating_mul(gpt.context as u64);
        let logits = (HEAD_ROWS.min(gpt.context) as u64).saturating_mul(gpt.vocab_size as u64);
        parameters
            .saturating_add(lanes.saturating_mul(pass.saturating_add(logits).saturating_add(kept)))
            .saturating_mul(FLOAT)
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

/// Half of the numbers, which are half as long, that a lane in bf16 keeps for each token: the fields of `Kept`, and the columns
/// of attention.
fn kept(gpt: &GptConfig) -> u64 {
    let [c, l, v] = [gpt.width, gpt.layers, gpt.vocab_size].map(|size| size as u64);
    let [qkv, fan, hidden] = [gpt.qkv(), gpt.fan(), gpt.hidden()].map(|size| size as u64);
    (l * (5 * c + qkv + fan + hidden) + c + v + fan.max(hidden)).div_ceil(2) + 2 * c + gpt.context as u64
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
