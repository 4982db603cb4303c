//! The backward pass of one window, by hand.

use std::ops::Range;

use super::activation::activate_backward;
use super::attention::attention_backward;
use super::gpt::Gpt;
use super::half::{Precision, Source, lines};
use super::kept::{Kept, TOGETHER};
use super::layers::linear_backward;
use super::layout::{Block, Linear, Norm};
use super::norms::{Stats, head_norm_backward, norm_backward};
use super::panels::{Line, Way};
use super::pass::{BlockPass, Pass};
use super::profile::{Laps, Part};
use super::real::Real;
use crate::vocab::TokenId;

/// Rows whose logits are held at a time. It decides the order of sums, so it is a part of the results.
pub(super) const HEAD_ROWS: usize = 128;

/// How products are made, and what becomes of the gradients of matrices.
struct How<'k, R> {
    precision: Precision,
    kept: Option<&'k mut Kept<R>>,
    later: bool,
}

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// The summed loss in nats of predicting `targets` after `ids` (at most T of each). Adds to `gradients` the
    /// gradient of the loss times `weight`, without those of matrices and token embeddings if the pass keeps them, or those of
    /// matrices inside the layers if it leaves them for later.
    pub(super) fn backward(
        &self,
        ids: &[TokenId],
        targets: &[TokenId],
        weight: R,
        pass: &mut Pass<R>,
        gradients: &mut [R],
    ) -> f64 {
        self.forward(ids, pass);
        let loss = self.head_backward(targets, weight, pass, gradients);
        for layer in (0..self.config().layers).rev() {
            self.block_backward(layer, ids.len(), pass, gradients);
        }
        let c = self.config().width;
        if let Some(kept) = &mut pass.kept {
            kept.stream.clear();
            kept.stream.extend_from_slice(&pass.stream[..ids.len() * c]);
        } else {
            for (row, &id) in pass.stream.chunks_exact(c).zip(ids) {
                let sum = &mut gradients[self.layout.wte.start + id as usize * c..][..c];
                sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
            }
        }
        // Empty with rotary positions.
        let positions = &mut gradients[self.layout.wpe.clone()];
        positions.iter_mut().zip(&pass.stream[..ids.len() * c]).for_each(|(sum, &value)| *sum += value);
        pass.laps.end(Part::Elementwise);
        loss
    }

    /// The loss, and the gradient by the residual stream behind the last layer, through output matrix and final norm.
    fn head_backward(&self, targets: &[TokenId], weight: R, pass: &mut Pass<R>, gradients: &mut [R]) -> f64 {
        let (c, t) = (self.config().width, targets.len());
        let loss = if pass.precision.is_f32() {
            self.head_single(targets, weight, pass, gradients)
        } else {
            self.head_half(targets, weight, pass, gradients)
        };
        pass.laps.end(Part::Head);
        pass.stream[..t * c].fill(R::default());
        let (dy, dx) = (&pass.narrow[..t * c], &mut pass.stream[..t * c]);
        self.norm_backward(&self.layout.final_norm, &pass.last[..t * c], &pass.stats, dy, dx, gradients);
        pass.laps.end(Part::Elementwise);
        loss
    }

    /// Takes the gradient by the residual stream, `pass.stream`, from behind a layer to before it.
    pub(super) fn block_backward(&self, layer: usize, t: usize, pass: &mut Pass<R>, gradients: &mut [R]) {
        let (config, c) = (self.config(), self.config().width);
        let (f, fan, qkv) = (config.hidden(), config.fan(), config.qkv());
        let block = &self.layout.blocks[layer];
        let (p, behind, later) = (&mut pass.blocks[layer], &mut pass.behind, pass.later);
        let (stream, narrow) = (&mut pass.stream[..t * c], &mut pass.narrow[..t * c]);
        let (act, fc, dqkv) = (&mut pass.act[..t * f], &mut pass.fc[..t * fan], &mut pass.qkv[..t * qkv]);
        let laps = &mut pass.laps;
        let how = &mut How { precision: p.precision, kept: pass.kept.as_mut(), later };

        if later {
            behind[..t * c].copy_from_slice(stream);
        }
        if let How { precision, kept: Some(kept), .. } = how {
            self.feed_backward(block, (&p.before, *precision), stream, [act, narrow], (kept, laps), gradients);
        } else {
            self.linear_backward(&block.out, &p.act, stream, act, how, gradients);
            laps.end(Part::MatrixMultiply);
            activate_backward(p.precision, config.form.activation, &p.fc[..t * fan], act, fc, f);
            laps.end(Part::Elementwise);
            self.linear_backward(&block.fc, &p.norm2, fc, narrow, how, gradients);
            laps.end(Part::MatrixMultiply);
        }
        self.norm_backward(&block.norm2, &p.middle[..t * c], &p.stats2, narrow, stream, gradients);
        if later {
            std::mem::swap(&mut p.fc, &mut pass.fc);
            std::mem::swap(&mut p.middle, behind);
            behind[..t * c].copy_from_slice(stream);
        }
        laps.end(Part::Elementwise);

        self.linear_backward(&block.proj, &p.mix, stream, narrow, how, gradients);
        laps.end(Part::MatrixMultiply);
        attention_backward(self.shape(t).by(p.precision), &p.qkv, &p.sums, narrow, dqkv, &mut pass.scratch);
        laps.end(Part::Attention);
        self.place_backward(block, p, dqkv, gradients);
        laps.end(Part::Elementwise);
        self.linear_backward(&block.qkv, &p.norm1, dqkv, narrow, how, gradients);
        laps.end(Part::MatrixMultiply);
        self.norm_backward(&block.norm1, &p.input[..t * c], &p.stats1, narrow, stream, gradients);
        if later {
            std::mem::swap(&mut p.qkv, &mut pass.qkv);
            std::mem::swap(&mut p.input, behind);
        }
        laps.end(Part::Elementwise);
    }

    /// From the gradient by the residual stream behind a layer to that by its second norm, some tokens after the other.
    fn feed_backward(
        &self,
        block: &Block,
        (before, precision): (&[Line], Precision),
        stream: &[R],
        [act, narrow]: [&mut [R]; 2],
        (kept, laps): (&mut Kept<R>, &mut Laps),
        gradients: &mut [R],
    ) {
        let (c, f, fan) = (self.config().width, self.config().hidden(), self.config().fan());
        let rows = stream.len() / c;
        let [into, out] = [&block.fc, &block.out];
        let matrix = |linear: &Linear| self.matrix(&linear.weight, linear.outputs, Way::Transposed, precision);
        let matrices = [matrix(into), matrix(out)];
        for (part, narrow) in narrow.chunks_mut(TOGETHER * c).enumerate() {
            let tokens = part * TOGETHER..part * TOGETHER + narrow.len() / c;
            let of = |width: usize| tokens.start * width..tokens.end * width;
            let act = &mut act[..tokens.len() * f];
            let [_, db] = both(gradients, [&out.weight, &out.bias]);
            kept.output(&out.weight, Source::Rows(&stream[of(c)]), (tokens.clone(), rows), db);
            kept.product(matrices[1], (R::default(), &[]), act);
            laps.end(Part::MatrixMultiply);
            let [_, db] = both(gradients, [&into.weight, &into.bias]);
            let dy = Source::Back(self.config().form.activation, &before[lines(tokens.start, fan)..], act);
            kept.output(&into.weight, dy, (tokens.clone(), rows), db);
            laps.end(Part::Elementwise);
            kept.product(matrices[0], (R::default(), &[]), narrow);
            laps.end(Part::MatrixMultiply);
        }
    }

    /// The gradient by queries and keys before their norm and rotation, in `dqkv`, from that behind them.
    fn place_backward(&self, block: &Block, p: &BlockPass<R>, dqkv: &mut [R], gradients: &mut [R]) {
        let config = self.config();
        let (d, all) = (config.head_width(), config.heads + config.kv_heads());
        for (position, row) in dqkv.chunks_exact_mut(config.qkv()).enumerate() {
            let row = &mut row[..all * d];
            if let Some(angles) = &self.angles {
                angles.rotate_back(row, position);
            }
            if config.form.qk_norm {
                let (queries, keys) = row.split_at_mut(config.heads * d);
                let (raw_queries, raw_keys) = p.raw[position * all * d..].split_at(config.heads * d);
                let (of_queries, of_keys) = p.reciprocals[position * all..].split_at(config.heads);
                let [dq, dk] = both(gradients, [&block.q_norm, &block.k_norm]);
                head_norm_backward(raw_queries, self.get(&block.q_norm), of_queries, queries, dq);
                head_norm_backward(raw_keys, self.get(&block.k_norm), of_keys, keys, dk);
            }
        }
    }

    fn linear_backward(
        &self,
        linear: &Linear,
        x: &[R],
        dy: &[R],
        dx: &mut [R],
        how: &mut How<'_, R>,
        gradients: &mut [R],
    ) {
        let How { precision, kept, later } = how;
        let [dw, db] = both(gradients, [&linear.weight, &linear.bias]);
        let back = self.matrix(&linear.weight, linear.outputs, Way::Transposed, *precision);
        if let Some(kept) = kept {
            let rows = dy.len() / linear.outputs;
            kept.output(&linear.weight, Source::Rows(dy), (0..rows, rows), db);
            kept.product(back, (R::of(0.0), &[]), dx);
        } else {
            linear_backward(x, back, dy, dx, (!*later).then_some(dw), db);
        }
    }

    pub(super) fn norm_backward(
        &self,
        norm: &Norm,
        x: &[R],
        stats: &[Stats<R>],
        dy: &[R],
        dx: &mut [R],
        gradients: &mut [R],
    ) {
        let dparameters = both(gradients, [&norm.scale, &norm.bias]);
        norm_backward(self.config().form.norm, x, self.get(&norm.scale), stats, dy, dx, dparameters);
    }
}

/// Two neighbouring parts of the gradients, the first before the second.
fn both<'g, R>(gradients: &'g mut [R], [first, second]: [&Range<usize>; 2]) -> [&'g mut [R]; 2] {
    let (head, tail) = gradients.split_at_mut(second.start);
    [&mut head[first.clone()], &mut tail[..second.len()]]
}
