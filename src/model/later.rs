//! Gradients of matrices inside the layers in f32, made behind the backward passes of several windows.
//!
//! A gradient is a product over tokens, xᵀ dy. If each window added its own to sums of its lane, every lane would have sums as
//! large as the model, which would go through memory once for every window, be cleared before a step and added up behind it.
//! Instead a window leaves both sides where its passes made them ([`BlockPass::sides`](super::pass::BlockPass::sides)), and a
//! part of a gradient is added up over all windows, one after the other, while it is in the cache.

use std::ops::Range;

use rayon::prelude::*;

use super::layout::{Layout, parts};
use super::matmul::{Matrix, matmul};
use super::pass::Pass;

/// Rows of a matrix whose gradient one task makes: the fewer, the oftener the other side is packed. (256 were as fast as noise
/// can tell.)
const ROWS: usize = 512;

/// Adds the gradients of the matrices inside the layers by windows of so many tokens each to `gradients`, or writes them.
pub(super) fn add_products(windows: &[&Pass<f32>], layout: &Layout, tokens: usize, gradients: &mut [f32], added: bool) {
    let inside = || {
        layout.blocks.iter().enumerate().flat_map(|(layer, block)| {
            block.linear().into_iter().enumerate().map(move |(which, linear)| (layer, which, linear))
        })
    };
    let own = parts(gradients, inside().map(|(_, _, linear)| linear.weight.clone()));
    let mut tasks = Vec::new();
    for ((layer, which, linear), own) in inside().zip(own) {
        let rows = own.chunks_mut(ROWS * linear.outputs).enumerate();
        tasks.extend(rows.map(|(part, rows)| (layer, which, part * ROWS, linear, rows)));
    }
    tasks.into_par_iter().for_each(|(layer, which, first, linear, rows)| {
        let (outputs, count) = (linear.outputs, rows.len() / linear.outputs);
        let inputs = linear.weight.len() / outputs;
        for (at, window) in windows.iter().enumerate() {
            let block = &window.blocks[layer];
            let [x, dy] = block.sides()[which];
            let x = Matrix::new(&x[first..], tokens, count, inputs).transposed();
            let dy = Matrix::dense(dy, tokens, outputs).by(block.precision);
            matmul(1.0, x, dy, if added || at > 0 { 1.0 } else { 0.0 }, rows, outputs);
        }
    });
}

/// The places of what is not made later: each lane adds up its own.
pub(super) fn others(layout: &Layout) -> Vec<Range<usize>> {
    let inside = |place: &Range<usize>| {
        layout.blocks.iter().any(|block| block.linear().iter().any(|linear| linear.weight == *place))
    };
    let others = layout.tensors.iter().filter(|tensor| !inside(&tensor.range));
    others.map(|tensor| tensor.range.clone()).collect()
}
