//! The output matrix and the loss in bf16 on x86-64, as `head.rs` has them, straight through the tiles of the kernel.
//!
//! A part of the vocabulary at a time goes by all tokens of a window: logits of 32 tokens by 32 ids stand in the first cache
//! until they are powers, rounded, as left side of the product with the output matrix and as right side of the one with
//! rows, which is turned when it is done ([`add_up`](super::half::add_up)): so nothing is turned that is as large as logits.
//! Sums over the vocabulary are made in the same order as in the plain version, and are the same bits. Where text is only
//! scored, the sums are all that is made.
//!
//! Sixteen panels of the vocabulary by one of tokens, powers made before the tiles go on, and four or ten panels of tokens by one
//! of the vocabulary where text is scored, were as fast as noise could tell.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_permutex2var_epi16,
    _mm512_storeu_si512,
};
use std::cell::RefCell;
use std::mem::transmute;

use super::half::{PANEL, lines};
use super::half_kernel::{Multiply, Packed, Run, STEP, Start, Strides, Sums, Unit, room, unit};
use super::half_tile::{Dots, Tiles};
use super::head::{Products, Window};
use super::panels::Line;
use super::real::Real;
use crate::vocab::TokenId;

/// Panels of the vocabulary that go by all tokens together, and panels of tokens that they go by at a time: their powers are
/// two thirds of the first cache, and the matrix both ways an eighth of the second in C1.
const PART: usize = 8;
const PANELS: usize = 2;

/// A sum beyond this one says that the reference is far below other logits: the plain version finds a better one.
const LARGE: f32 = 1e30;

/// Numbers of a vector.
const LANES: usize = 16;

#[derive(Default)]
struct Space {
    x: Packed,
    /// Powers of a panel of tokens, as left side.
    left: Vec<Line>,
    /// (T, C) in whole panels.
    dx: Vec<f32>,
    /// By token, sums in lanes.
    lanes: Vec<[f32; LANES]>,
}

thread_local! {
    /// Every thread has its own, which it keeps.
    static SPACE: RefCell<Space> = RefCell::default();
}

/// Fills what a window is to be filled with; or says that it cannot be.
///
/// # Panics
///
/// If the sizes do not fit.
pub(super) fn head(window: Window<'_, f32>) -> bool {
    let [c, v] = window.sizes;
    let t = window.targets.len();
    if window.panels.is_empty() || t == 0 {
        return false;
    }
    assert!(window.panels.len() >= lines(v, c) && window.x.len() == t * c, "panels of another size");
    if let Some(products) = &window.products {
        assert!(products.panels.len() >= lines(c, v) && products.dx.len() == t * c, "panels of another size");
    }
    assert!(window.references.len() == t && window.sums.len() == t && window.logits.len() == t, "one for each token");
    // SAFETY: the processor has the unit, which takes what the function is compiled for; sizes were checked.
    #[allow(unsafe_code)]
    unsafe {
        match unit() {
            Some(Unit::Tiles) => head_by::<Tiles>(window),
            Some(Unit::Dots) => head_by::<Dots>(window),
            None => false,
        }
    }
}

/// [`head`] by a unit.
///
/// # Safety
///
/// The processor has it and AVX-512, and sizes are as [`head`] checks them.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn head_by<M: Multiply>(window: Window<'_, f32>) -> bool {
    let unit = M::begin();
    let Window { x, targets, references, sizes: [c, v], panels: ahead, mut products, sums, logits } = window;
    let (t, steps, ids) = (targets.len(), c.div_ceil(PANEL), v.div_ceil(PANEL));
    let (stride, width) = (lines(1, t), steps * PANEL);
    let mut space = SPACE.take();
    space.x.fill::<false>(x, Strides { count: t, depth: c, outer: c, inner: 1 });
    space.lanes.clear();
    space.lanes.resize(t, [0.0; LANES]);
    let left = room(&mut space.left, PANELS * PART * STEP);
    let right = products.as_mut().map(|products| {
        space.dx.resize(t.next_multiple_of(PANEL) * width, 0.0);
        room(products.right, ids * stride)
    });
    let mut squares: [Sums; 2] = [[0.0; PANEL * PANEL]; 2];
    for first in (0..ids).step_by(PART) {
        let count = PART.min(ids - first);
        for start in (0..t).step_by(PANELS * PANEL) {
            let panels = PANELS.min((t - start).div_ceil(PANEL));
            // The tiles multiply one square while the other one is gone through.
            for at in 0..=count * panels {
                if at < count * panels {
                    let (id, panel) = (first + at / panels, start / PANEL + at % panels);
                    // SAFETY: panels are as large as the sizes say; there is room for all that is written.
                    unsafe {
                        let (x, matrix) = (space.x.part(panel, 0, steps), ahead.as_ptr().add(id * steps * STEP));
                        let run = Run::new(x, matrix, steps);
                        let run = match &products {
                            Some(products) if id + 1 == first + count => {
                                let back = products.panels.as_ptr().add(first * STEP);
                                run.asking(back, count * STEP, at % panels, panels)
                            }
                            _ => run.asking(matrix.add(steps * STEP), steps * STEP, at % panels, panels),
                        };
                        unit.tile(run, squares[at % 2].as_mut_ptr(), PANEL, Start::NOTHING);
                    }
                }
                if let Some(at) = at.checked_sub(1) {
                    let (id, panel, square) = (at / panels, at % panels, &mut squares[at % 2]);
                    let tokens = start + panel * PANEL..t.min(start + (panel + 1) * PANEL);
                    let step = tokens.start / PANEL;
                    take(square, first + id, &targets[tokens.clone()], &mut logits[tokens.clone()]);
                    let has = PANEL.min(v - (first + id) * PANEL);
                    powers(square, has, &references[tokens.clone()], &mut space.lanes[tokens]);
                    if let Some(right) = right {
                        // SAFETY: as above.
                        unsafe {
                            let right = right.add((first + id) * stride + step * STEP);
                            pack(square, left.add((panel * PART + id) * STEP), right);
                        }
                    }
                }
            }
            let Some(Products { panels: back, .. }) = &products else { continue };
            for column in 0..steps {
                for panel in 0..panels {
                    // SAFETY: as above.
                    unsafe {
                        let matrix = back.as_ptr().add(column * lines(1, v) + first * STEP);
                        let sums = space.dx.as_mut_ptr().add((start + panel * PANEL) * width + column * PANEL);
                        let from = if first == 0 { Start::NOTHING } else { Start { data: sums, stride: width } };
                        let run = Run::new(left.add(panel * PART * STEP), matrix, count);
                        let run = if column + 1 < steps {
                            run.asking(matrix.add(lines(1, v)), count * STEP, panel, panels)
                        } else {
                            // What logits go on with: the same ids for other tokens, or the next ones.
                            let id = if start + PANELS * PANEL < t { first } else { first + count };
                            run.asking(ahead.as_ptr().add(id * steps * STEP), steps * STEP, panel, panels)
                        };
                        unit.tile(run, sums, width, from);
                    }
                }
            }
        }
    }
    if let Some(Products { dx, .. }) = products {
        dx.chunks_exact_mut(c).zip(space.dx.chunks_exact(width)).for_each(|(dx, sums)| dx.copy_from_slice(&sums[..c]));
    }
    sums.iter_mut().zip(&space.lanes).for_each(|(sum, lanes)| *sum = lanes.iter().sum());
    SPACE.set(space);
    sums.iter().all(|sum| *sum <= LARGE)
}

/// The logits of targets in a panel of the vocabulary.
#[inline(always)]
fn take(square: &Sums, id: usize, targets: &[TokenId], logits: &mut [f32]) {
    for (at, (&target, logit)) in targets.iter().zip(logits).enumerate() {
        if target as usize / PANEL == id {
            *logit = square[at * PANEL + target as usize % PANEL];
        }
    }
}

/// Logits of some tokens become powers, of which so many are added to their sums; all others are 0.
#[inline(always)]
fn powers(square: &mut Sums, has: usize, references: &[f32], lanes: &mut [[f32; LANES]]) {
    let (rows, _) = square.as_chunks_mut::<PANEL>();
    for ((row, &reference), lanes) in rows.iter_mut().zip(references).zip(lanes) {
        row.iter_mut().for_each(|value| *value = Real::exp(*value - reference));
        row[has..].fill(0.0);
        // By way of registers: the compiler takes rows and lanes for one memory otherwise.
        let mut sums = *lanes;
        for half in row.as_chunks::<LANES>().0 {
            sums.iter_mut().zip(half).for_each(|(sum, value)| *sum += value);
        }
        *lanes = sums;
    }
    rows[references.len()..].as_flattened_mut().fill(0.0);
}

/// Rounds a square, and packs it as a step of a left side and of a right side.
///
/// # Safety
///
/// There is room for a step in both.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn pack(square: &Sums, left: *mut Line, right: *mut Line) {
    /// Number n of one row and number n of the next, from a number on.
    const fn pairs(first: usize) -> [u16; 2 * LANES] {
        let mut order = [0; 2 * LANES];
        let mut at = 0;
        while at < 2 * LANES {
            order[at] = (first + at / 2 + at % 2 * PANEL) as u16;
            at += 1;
        }
        order
    }
    const ORDERS: [[u16; 2 * LANES]; 2] = [pairs(0), pairs(LANES)];
    // SAFETY: rows are inside the square, lines inside a step; vectors of bf16 and of words have one length.
    unsafe {
        let orders = [_mm512_loadu_si512(ORDERS[0].as_ptr().cast()), _mm512_loadu_si512(ORDERS[1].as_ptr().cast())];
        for pair in 0..PANEL / 2 {
            let mut rows = [orders[0]; 2];
            for (at, rounded) in rows.iter_mut().enumerate() {
                let row = square.as_ptr().add((2 * pair + at) * PANEL);
                let numbers = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(row.add(LANES)), _mm512_loadu_ps(row));
                *rounded = transmute::<__m512bh, __m512i>(numbers);
                _mm512_storeu_si512(left.add(2 * pair + at).cast(), *rounded);
            }
            for (half, order) in orders.into_iter().enumerate() {
                let words = _mm512_permutex2var_epi16(rows[0], order, rows[1]);
                _mm512_storeu_si512(right.add(half * PANEL / 2 + pair).cast(), words);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::half::rounded;
    use super::super::half_kernel::pack_b;
    use super::super::kernel::Strided;
    use super::super::random::Random;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// What the formulas say, in f64 of what is rounded; sizes cross each border of the loops.
        #[test]
        fn is_as_the_formulas_say(
            t in prop_oneof![1usize..70, 90usize..140], c in 1usize..70, v in prop_oneof![1usize..70, 250usize..600], seed: u64,
        ) {
            if unit().is_none() {
                return Ok(());
            }
            let mut random = Random::new(seed);
            let x: Vec<f32> = (0..t * c).map(|_| random.normal() as f32).collect();
            let matrix: Vec<f32> = (0..v * c).map(|_| 0.5 * random.normal() as f32).collect();
            let targets: Vec<TokenId> = (0..t).map(|at| (at * at * 7 % v) as TokenId).collect();
            let references: Vec<f32> = (0..t).map(|_| random.normal() as f32).collect();
            let [mut ahead, mut back] = [Vec::new(), Vec::new()];
            // SAFETY: the matrix has V rows of C, and the processor was asked for.
            #[allow(unsafe_code)]
            unsafe {
                let (data, one, row) = (matrix.as_ptr(), 1, c as isize);
                pack_b(Strided { data, rows: one, columns: row }, [c, v], &mut ahead);
                pack_b(Strided { data, rows: row, columns: one }, [v, c], &mut back);
            }
            let (mut right, mut dx) = (Vec::new(), vec![f32::NAN; t * c]);
            let (mut sums, mut logits) = (vec![0.0; t], vec![0.0; t]);
            let products = Products { panels: &back, right: &mut right, dx: &mut dx };
            let window = Window {
                x: &x, targets: &targets, references: &references, sizes: [c, v], panels: &ahead,
                products: Some(products), sums: &mut sums, logits: &mut logits,
            };
            prop_assert!(head(window));
            let [mut alone, mut logits_alone] = [vec![0.0; t], vec![0.0; t]];
            let window = Window {
                x: &x, targets: &targets, references: &references, sizes: [c, v], panels: &ahead,
                products: None, sums: &mut alone, logits: &mut logits_alone,
            };
            prop_assert!(head(window));
            prop_assert_eq!((&alone, &logits_alone), (&sums, &logits));
            for (at, x) in x.chunks(c).enumerate() {
                let logit = |id: usize| -> f64 {
                    let row = matrix[id * c..][..c].iter().zip(x);
                    row.map(|(&a, &b)| f64::from(rounded(a)) * f64::from(rounded(b))).sum()
                };
                let powers: Vec<f64> = (0..v).map(|id| (logit(id) - f64::from(references[at])).exp()).collect();
                let sum: f64 = powers.iter().sum();
                prop_assert!((f64::from(sums[at]) - sum).abs() < 1e-4 * sum);
                prop_assert!((f64::from(logits[at]) - logit(targets[at] as usize)).abs() < 1e-4);
                for column in 0..c {
                    let product = |id: usize| powers[id] * f64::from(matrix[id * c + column]);
                    let (own, whole) = (0..v).map(product).fold((0.0, 0.0), |(a, b), p| (a + p, b + p.abs()));
                    prop_assert!((f64::from(dx[at * c + column]) - own).abs() < 0.01 * whole);
                }
                for (id, power) in powers.iter().enumerate() {
                    // A line has pairs of tokens of 16 ids.
                    let line = id / PANEL * lines(1, t) + at / PANEL * STEP + id % PANEL / LANES * LANES + at % PANEL / 2;
                    let word = right[line].0[id % LANES].to_bits();
                    let half = f32::from_bits(if at % 2 == 0 { word << 16 } else { word & 0xFFFF_0000 });
                    prop_assert!((f64::from(half) - power).abs() < 0.005 * power, "{half} should be {power}");
                }
            }
        }
    }

    /// A reference far below the logits is refused, and so is what is no number.
    #[test]
    fn far_references_are_refused() {
        if unit().is_none() {
            return;
        }
        let (mut ahead, mut back, matrix) = (Vec::new(), Vec::new(), [1.0f32; 2]);
        // SAFETY: two rows of one number, and the processor was asked for.
        #[allow(unsafe_code)]
        unsafe {
            pack_b(Strided { data: matrix.as_ptr(), rows: 1, columns: 1 }, [1, 2], &mut ahead);
            pack_b(Strided { data: matrix.as_ptr(), rows: 1, columns: 1 }, [2, 1], &mut back);
        }
        for (x, fits) in [(60.0, true), (100.0, false), (f32::NAN, false), (f32::INFINITY, false)] {
            let window = Window {
                x: &[x],
                targets: &[1],
                references: &[0.0],
                sizes: [1, 2],
                panels: &ahead,
                products: Some(Products { panels: &back, right: &mut Vec::new(), dx: &mut [0.0] }),
                sums: &mut [0.0],
                logits: &mut [0.0],
            };
            assert_eq!(head(window), fits, "{x}");
        }
    }
}
