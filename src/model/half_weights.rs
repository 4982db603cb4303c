//! The weights of attention in bf16: from the scores of a panel of queries straight to the panels of the next products.
//!
//! A row is gone through in whole vectors, and what a query does not see is masked; weights and their gradients are rounded
//! and packed as they are made. Loops over f32, packed behind them, were slower.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_fmsub_ps, _mm512_loadu_ps, _mm512_mask_max_ps, _mm512_maskz_mov_ps,
    _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_store_si512,
    _mm512_storeu_ps, _mm512_sub_ps,
};
use std::f32::consts::{LN_2, LOG2_E};

use super::half::PANEL;
use super::half_kernel::STEP;
use super::half_vector::{LANES, exp2, low, rounded, zipped};
use super::panels::Line;

/// The scores of a panel of queries, in rows.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    /// Queries before it, a multiple of [`PANEL`], and in it.
    pub(super) start: usize,
    pub(super) count: usize,
    /// Numbers from one row of scores to the next.
    pub(super) stride: usize,
    /// What scores are multiplied by.
    pub(super) scale: f32,
}

impl Panel {
    /// Steps of products along all that it sees.
    fn steps(self) -> usize {
        self.start / PANEL + 1
    }

    /// What the query of a row sees: nothing behind the last one.
    fn seen(self, row: usize) -> usize {
        if row < self.count { self.start + row + 1 } else { 0 }
    }

    fn check(self, rows: usize) {
        let fits = self.stride >= self.start + PANEL && rows >= PANEL * self.stride;
        assert!(fits && self.start.is_multiple_of(PANEL) && self.count <= PANEL, "rows of whole panels");
    }
}

/// Half a row of weights of a step.
///
/// # Safety
///
/// The vector lies inside an allocation.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn weight(scores: *const f32, seen: usize, factor: __m512, shift: __m512) -> __m512 {
    // SAFETY: the caller's.
    let scores = unsafe { _mm512_loadu_ps(scores) };
    _mm512_maskz_mov_ps(low(seen), exp2(_mm512_fmsub_ps(scores, factor, shift)))
}

/// Packs the weights of a panel, before they are divided by their sums, as left side; `sums` become the logarithms of the
/// sums of all powers. Gives the reciprocals of the weights' sums.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn weigh(panel: Panel, scores: &[f32], rows: &mut [Line], sums: &mut [f32]) -> [f32; PANEL] {
    panel.check(scores.len());
    let steps = panel.steps();
    assert!(rows.len() >= steps * STEP && sums.len() == panel.count, "room for the panel");
    let mut reciprocals = [0.0; PANEL];
    let factor = panel.scale * LOG2_E;
    for row in 0..PANEL {
        let (seen, scores) = (panel.seen(row), scores[row * panel.stride..].as_ptr());
        let mut highest = _mm512_set1_ps(f32::MIN);
        for first in (0..seen).step_by(LANES) {
            // SAFETY: rows are as long as was checked.
            let scores = unsafe { _mm512_loadu_ps(scores.add(first)) };
            highest = _mm512_mask_max_ps(highest, low(seen - first), highest, scores);
        }
        let shift = if seen > 0 { _mm512_reduce_max_ps(highest) * factor } else { 0.0 };
        let mut sum = _mm512_setzero_ps();
        for step in 0..steps {
            let mut weights = [_mm512_setzero_ps(); 2];
            for (half, weights) in weights.iter_mut().enumerate() {
                let first = step * PANEL + half * LANES;
                // SAFETY: as above.
                *weights = unsafe {
                    weight(scores.add(first), seen.saturating_sub(first), _mm512_set1_ps(factor), _mm512_set1_ps(shift))
                };
                sum = _mm512_add_ps(sum, *weights);
            }
            // SAFETY: a line of the panel.
            unsafe { _mm512_store_si512((&raw mut rows[step * STEP + row]).cast(), rounded(weights)) };
        }
        if seen > 0 {
            let sum = _mm512_reduce_add_ps(sum);
            (sums[row], reciprocals[row]) = (shift * LN_2 + sum.ln(), 1.0 / sum);
        }
    }
    reciprocals
}

/// From scores and gradients by weights: packs the gradients by scores as left side, and those and the weights of each panel
/// of keys as right sides of products over queries, whose lines begin at `columns` and are `apart` from panel to panel.
/// `sums` are those of [`weigh`]; scores become weights.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) fn weigh_back(
    panel: Panel,
    [scores, dweights]: [&mut [f32]; 2],
    sums: &[f32],
    rows: &mut [Line],
    [dscores, weights]: [&mut [Line]; 2],
    apart: usize,
) {
    panel.check(scores.len().min(dweights.len()));
    let (steps, stride) = (panel.steps(), panel.stride);
    let fits = rows.len() >= steps * STEP && dscores.len().min(weights.len()) >= (steps - 1) * apart + STEP;
    assert!(fits && sums.len() == panel.count && panel.count > 0, "room for the panel");
    let factor = _mm512_set1_ps(panel.scale * LOG2_E);
    for pair in 0..PANEL / 2 {
        let mut products = [_mm512_setzero_ps(); 2];
        for (at, product) in products.iter_mut().enumerate() {
            let row = 2 * pair + at;
            let seen = panel.seen(row);
            let shift = _mm512_set1_ps(sums[row.min(panel.count - 1)] * LOG2_E);
            let (scores, dweights) = (scores[row * stride..].as_mut_ptr(), dweights[row * stride..].as_ptr());
            let mut sum = _mm512_setzero_ps();
            for first in (0..steps * PANEL).step_by(LANES) {
                // SAFETY: rows are as long as was checked.
                unsafe {
                    let weight = weight(scores.add(first), seen.saturating_sub(first), factor, shift);
                    sum = _mm512_fmadd_ps(weight, _mm512_loadu_ps(dweights.add(first)), sum);
                    _mm512_storeu_ps(scores.add(first), weight);
                }
            }
            *product = _mm512_set1_ps(_mm512_reduce_add_ps(sum));
        }
        for step in 0..steps {
            let mut words = [[rounded([_mm512_setzero_ps(); 2]); 2]; 2];
            for (at, &product) in products.iter().enumerate() {
                let (row, mut both) = (2 * pair + at, [[_mm512_setzero_ps(); 2]; 2]);
                let place = row * stride + step * PANEL;
                let (scores, dweights) = (scores[place..].as_ptr(), dweights[place..].as_ptr());
                let [dscores, weights] = &mut both;
                for (half, (dscore, weight)) in dscores.iter_mut().zip(weights).enumerate() {
                    // SAFETY: as above.
                    unsafe {
                        *weight = _mm512_loadu_ps(scores.add(half * LANES));
                        let apart = _mm512_sub_ps(_mm512_loadu_ps(dweights.add(half * LANES)), product);
                        *dscore = _mm512_mul_ps(*weight, apart);
                    }
                }
                (words[0][at], words[1][at]) = (rounded(both[0]), rounded(both[1]));
                // SAFETY: a line of the panel.
                unsafe { _mm512_store_si512((&raw mut rows[step * STEP + row]).cast(), words[0][at]) };
            }
            for (lines, words) in [&mut *dscores, &mut *weights].into_iter().zip(words) {
                for (half, words) in zipped(words).into_iter().enumerate() {
                    let line = &raw mut lines[step * apart + half * PANEL / 2 + pair];
                    // SAFETY: a line of the panels.
                    unsafe { _mm512_store_si512(line.cast(), words) };
                }
            }
        }
    }
}
