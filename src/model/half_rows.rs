//! Rows on their way into two products in bf16: as left side of the one by a matrix, and as one side of the one over tokens that
//! is the matrix's gradient. Both are packed from what is read once, or from what an activation makes of it, which is never
//! written as f32.
//!
//! The side of the product over tokens is read again behind all windows, so it is written past the cache: on a Zen 5 steps of
//! two configurations took 1 to 5 percent less. What stands before an activation is kept for its gradient in bf16
//! too, in the order in which it is read again.
//!
//! The activations here are those of `activation.rs` in fused operations, and by a reciprocal instead of a division.

use std::arch::x86_64::{
    __m256i, __m512, __m512i, __mmask16, _MM_HINT_T0, _mm_prefetch, _mm_sfence, _mm256_load_si256, _mm256_store_si256,
    _mm512_add_ps, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtepu16_epi32, _mm512_fmadd_ps,
    _mm512_fnmadd_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_rcp14_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_store_si512,
    _mm512_stream_si512, _mm512_sub_ps,
};
use std::f32::consts::LOG2_E;
use std::ptr;

use super::activation::{GELU_CUBE, GELU_SCALE};
use super::config::Activation;
use super::half::{Both, PANEL, Source, lines};
use super::half_kernel::{STEP, room, unit};
use super::half_pack::transposed;
use super::half_vector::{LANES, exp2, low, rounded, zipped};
use super::panels::Line;

/// Packs rows (tokens, columns) as left side, and as right side of a product over tokens, or turned as left side of one.
///
/// # Panics
///
/// If the sizes do not fit, or there is nothing that multiplies bf16.
pub(super) fn pack(source: Source<'_, f32>, [tokens, columns]: [usize; 2], to: Both<'_, f32>) {
    let Both { rows, side, right, part: [first, all], sums, before } = to;
    assert!(sums.is_empty() || sums.len() == columns, "a sum for each column");
    assert!(first.is_multiple_of(PANEL) && first + tokens <= all, "a part of the tokens");
    if let (false, Source::Activated(_, x)) = (before.is_empty(), source) {
        let (fan, gated) = (x.len() / tokens, x.len() != tokens * columns);
        assert!(before.len() >= lines(tokens, fan), "a place for each number before the activation");
        assert!(!gated || columns.is_multiple_of(LANES), "whole vectors of gates and of values");
    }
    let before = if before.is_empty() { ptr::null_mut() } else { before.as_mut_ptr() };
    let [rows, side] = [room(rows, lines(tokens, columns)), room(side, lines(columns, all))];
    let (side, stride) = (side.wrapping_add(first / PANEL * STEP), lines(1, all));
    each(source, [tokens, columns], before, To::Panels { rows, side, stride, right, sums });
}

/// Writes rows of so many columns as they are.
///
/// # Panics
///
/// As [`pack`].
pub(super) fn write(source: Source<'_, f32>, columns: usize, rows: &mut [f32]) {
    each(source, [rows.len() / columns, columns], ptr::null_mut(), To::Rows(rows));
}

/// Squares between the one that is packed and the one that is asked for; one and four are as good.
const AHEAD: usize = 2;

/// What is filled.
enum To<'t> {
    /// With room for all panels of the rows, and of the side over tokens, whose panels lie a stride apart.
    Panels {
        rows: *mut Line,
        side: *mut Line,
        stride: usize,
        right: bool,
        sums: &'t mut [f32],
    },
    Rows(&'t mut [f32]),
}

/// Fills it from a source. `before` is null, or has a place for each number before an activation.
fn each(source: Source<'_, f32>, size: [usize; 2], before: *mut Line, to: To<'_>) {
    let [tokens, columns] = size;
    assert!(source.fits(tokens, columns) && unit().is_some(), "rows of that length, and what packing takes");
    let halves = !matches!(source, Source::Back(Activation::SwiGlu, ..)) || columns.is_multiple_of(2 * LANES);
    assert!(halves, "whole vectors of gates and of values");
    // SAFETY: the processor has what the unit takes, the source has the size.
    #[allow(unsafe_code)]
    unsafe {
        match source {
            Source::Rows(x) => fill(&Plain { x, columns }, size, to),
            Source::Activated(Activation::Gelu, x) => fill(&Gelu { x, before, columns }, size, to),
            Source::Activated(Activation::Relu2, x) => fill(&Relu2 { x, before, columns }, size, to),
            Source::Activated(Activation::SwiGlu, x) => fill(&SwiGlu { x, before, hidden: columns }, size, to),
            Source::Back(Activation::Gelu, before, dy) => fill(&GeluBack { before, dy, columns }, size, to),
            Source::Back(Activation::Relu2, before, dy) => fill(&Relu2Back { before, dy, columns }, size, to),
            Source::Back(Activation::SwiGlu, before, dy) => {
                fill(&SwiGluBack { before, dy, hidden: columns / 2 }, size, to)
            }
        }
    }
}

/// Asks for a square of rows of so many parts side by side, gates and values, of so many numbers: it comes from far away in
/// pieces of two lines, which a processor does not foresee.
#[inline]
#[target_feature(enable = "sse")]
fn ask(numbers: &[f32], [row, column]: [usize; 2], [parts, length]: [usize; 2]) {
    for row in row..row + PANEL {
        for part in 0..parts {
            let place = (row * parts + part) * length + column;
            for line in [0, LANES] {
                _mm_prefetch::<_MM_HINT_T0>(numbers.as_ptr().wrapping_add(place + line).cast());
            }
        }
    }
}

/// Where 16 numbers of a row of so many stand in bf16, in the order of panels: the line, and the half of it.
#[inline(always)]
fn place([row, column]: [usize; 2], columns: usize) -> [usize; 2] {
    let step = row / PANEL * columns.div_ceil(PANEL) + column / PANEL;
    [step * STEP + row % PANEL, column % PANEL / LANES]
}

/// Rows that are read, or made of others.
trait Numbers {
    /// What they are made of, to be asked for, in so many parts of so many numbers a row: but for what was written a moment ago,
    /// and what is read as it lies, which a processor foresees.
    fn far(&self) -> Option<(&[f32], [usize; 2])> {
        None
    }

    /// So many of 16 neighbours, and zeros.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512, and the place is inside the rows.
    #[allow(unsafe_code)]
    unsafe fn at(&self, row: usize, column: usize, mask: __mmask16) -> __m512;
}

/// # Safety
///
/// The processor has AVX512-BF16 and AVX512-BW, there is room for all panels, and there are numbers of that size.
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn fill<N: Numbers>(numbers: &N, [tokens, columns]: [usize; 2], to: To<'_>) {
    let (rows, side, stride, right, sums) = match to {
        To::Panels { rows, side, stride, right, sums } => (rows, side, stride, right, sums),
        To::Rows(rows) => {
            for (row, to) in rows.chunks_exact_mut(columns).enumerate() {
                for (at, to) in to.chunks_mut(LANES).enumerate() {
                    let mask = low(to.len());
                    // SAFETY: inside the numbers and the row.
                    unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), mask, numbers.at(row, at * LANES, mask)) };
                }
            }
            return;
        }
    };
    let [panels, steps] = [tokens.div_ceil(PANEL), columns.div_ceil(PANEL)];
    for panel in 0..panels {
        for step in 0..steps {
            if let Some((numbers, parts)) = numbers.far() {
                let next = panel * steps + step + AHEAD;
                ask(numbers, [next / steps * PANEL, next % steps * PANEL], parts);
            }
            // SAFETY: a step of each; columns beyond the last are masked, rows beyond the last left out.
            unsafe {
                let rows = rows.add((panel * steps + step) * STEP);
                let side = side.add(step * stride + panel * STEP);
                let all = square(numbers, [panel * PANEL, step * PANEL], [tokens, columns], right, rows, side);
                for (half, all) in all.into_iter().enumerate() {
                    let first = step * PANEL + half * LANES;
                    if first < sums.len() {
                        let (sums, mask) = (sums.as_mut_ptr().add(first), low(columns - first));
                        _mm512_mask_storeu_ps(sums, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, sums), all));
                    }
                }
            }
        }
    }
    // What was written past the cache is there for other threads.
    _mm_sfence();
}

/// Packs a square; gives the sum of its rows.
///
/// # Safety
///
/// As [`fill`].
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn square<N: Numbers>(
    numbers: &N,
    [first, column]: [usize; 2],
    [tokens, columns]: [usize; 2],
    right: bool,
    rows: *mut Line,
    side: *mut Line,
) -> [__m512; 2] {
    let masks = [low(columns - column), low((columns - column).saturating_sub(LANES))];
    let mut sums = [_mm512_setzero_ps(); 2];
    let [mut first_half, mut second_half] = [[_mm512_setzero_si512(); PANEL / 2]; 2];
    // SAFETY: the caller's.
    unsafe {
        for (pair, (words, others)) in first_half.iter_mut().zip(&mut second_half).enumerate() {
            let mut both = [_mm512_setzero_si512(); 2];
            for (at, both) in both.iter_mut().enumerate() {
                let row = first + 2 * pair + at;
                if row < tokens {
                    let halves = [numbers.at(row, column, masks[0]), numbers.at(row, column + LANES, masks[1])];
                    sums = [_mm512_add_ps(sums[0], halves[0]), _mm512_add_ps(sums[1], halves[1])];
                    *both = rounded(halves);
                }
                _mm512_store_si512(rows.add(2 * pair + at).cast(), *both);
            }
            [*words, *others] = zipped(both);
        }
        for (half, words) in [first_half, second_half].into_iter().enumerate() {
            let words: [__m512i; PANEL / 2] = if right { words } else { transposed(words) };
            for (at, words) in words.into_iter().enumerate() {
                _mm512_stream_si512(side.add(half * PANEL / 2 + at).cast(), words);
            }
        }
    }
    sums
}

/// So many of 16 numbers of a slice.
///
/// # Safety
///
/// They are inside the slice.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(numbers: &[f32], place: usize, mask: __mmask16) -> __m512 {
    // SAFETY: the caller's; what is masked is not read.
    unsafe { _mm512_maskz_loadu_ps(mask, numbers.as_ptr().wrapping_add(place)) }
}

/// 16 numbers in bf16, of a row of so many.
///
/// # Safety
///
/// They are inside the lines.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn halves(before: &[Line], at: [usize; 2], columns: usize) -> __m512 {
    let [line, half] = place(at, columns);
    // SAFETY: the caller's.
    let halves = unsafe { _mm256_load_si256(before.as_ptr().wrapping_add(line).cast::<__m256i>().wrapping_add(half)) };
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
}

/// 16 numbers of a row of so many, as they are; they are written to lines in bf16, if there are any.
///
/// # Safety
///
/// They are inside the lines.
#[allow(unsafe_code)]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn leave(before: *mut Line, numbers: __m512, at: [usize; 2], columns: usize) -> __m512 {
    if !before.is_null() {
        let halves = _mm512_castsi512_si256(rounded([numbers, _mm512_setzero_ps()]));
        let [line, half] = place(at, columns);
        // SAFETY: the caller's.
        unsafe { _mm256_store_si256(before.wrapping_add(line).cast::<__m256i>().wrapping_add(half), halves) };
    }
    numbers
}

/// 1 / (1 + e^-x).
#[inline]
#[target_feature(enable = "avx512f")]
fn sigmoid(x: __m512) -> __m512 {
    let x = _mm512_mul_ps(x, _mm512_set1_ps(-LOG2_E));
    // Between powers whose reciprocals f32 has.
    let x = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(100.0)), _mm512_set1_ps(-100.0));
    let sum = _mm512_add_ps(_mm512_set1_ps(1.0), exp2(x));
    let near = _mm512_rcp14_ps(sum);
    _mm512_mul_ps(near, _mm512_fnmadd_ps(sum, near, _mm512_set1_ps(2.0)))
}

macro_rules! numbers {
    (
        $(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* },
        $(far $x:ident in $parts:literal * $part:ident,)?
        |$own:ident, $row:ident, $column:ident, $mask:ident| $body:expr
    ) => {
        $(#[$meta])*
        struct $name<'n> {
            $($field: $type),*
        }

        impl Numbers for $name<'_> {
            $(
                #[inline]
                fn far(&self) -> Option<(&[f32], [usize; 2])> {
                    Some((self.$x, [$parts, self.$part]))
                }
            )?

            #[allow(unsafe_code)]
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
            unsafe fn at(&self, $row: usize, $column: usize, $mask: __mmask16) -> __m512 {
                let $own = self;
                // SAFETY: the caller's.
                unsafe { $body }
            }
        }
    };
}

numbers!(
    Plain { x: &'n [f32], columns: usize },
    far x in 1 * columns,
    |own, row, column, mask| load(own.x, row * own.columns + column, mask)
);

/// The factors of x and of its cube in what GELU takes the sigmoid of.
const GELU: [f32; 2] = [(2.0 * GELU_SCALE) as f32, (2.0 * GELU_SCALE * GELU_CUBE) as f32];

numbers!(
    Gelu { x: &'n [f32], before: *mut Line, columns: usize },
    far x in 1 * columns,
    |own, row, column, mask| {
        let x = load(own.x, row * own.columns + column, mask);
        let x = leave(own.before, x, [row, column], own.columns);
        let slope = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(GELU[1]), _mm512_set1_ps(GELU[0]));
        _mm512_mul_ps(x, sigmoid(_mm512_mul_ps(x, slope)))
    }
);

numbers!(
    GeluBack { before: &'n [Line], dy: &'n [f32], columns: usize },
    |own, row, column, mask| {
        let x = halves(own.before, [row, column], own.columns);
        let dy = load(own.dy, row * own.columns + column, mask);
        let square = _mm512_mul_ps(x, x);
        let slope = _mm512_fmadd_ps(square, _mm512_set1_ps(GELU[1]), _mm512_set1_ps(GELU[0]));
        let share = sigmoid(_mm512_mul_ps(x, slope));
        let slope = _mm512_fmadd_ps(square, _mm512_set1_ps(3.0 * GELU[1]), _mm512_set1_ps(GELU[0]));
        let rest = _mm512_mul_ps(_mm512_mul_ps(x, slope), _mm512_sub_ps(_mm512_set1_ps(1.0), share));
        _mm512_mul_ps(dy, _mm512_fmadd_ps(share, rest, share))
    }
);

numbers!(
    Relu2 { x: &'n [f32], before: *mut Line, columns: usize },
    far x in 1 * columns,
    |own, row, column, mask| {
        let x = load(own.x, row * own.columns + column, mask);
        let above = _mm512_max_ps(leave(own.before, x, [row, column], own.columns), _mm512_setzero_ps());
        _mm512_mul_ps(above, above)
    }
);

numbers!(
    Relu2Back { before: &'n [Line], dy: &'n [f32], columns: usize },
    |own, row, column, mask| {
        let above = _mm512_max_ps(halves(own.before, [row, column], own.columns), _mm512_setzero_ps());
        let dy = load(own.dy, row * own.columns + column, mask);
        _mm512_mul_ps(dy, _mm512_add_ps(above, above))
    }
);

numbers!(
    SwiGlu { x: &'n [f32], before: *mut Line, hidden: usize },
    far x in 2 * hidden,
    |own, row, column, mask| {
        let place = row * 2 * own.hidden + column;
        let parts = [load(own.x, place, mask), load(own.x, place + own.hidden, mask)];
        // Beyond the gates stand values.
        let before = if mask == 0 { ptr::null_mut() } else { own.before };
        let gate = leave(before, parts[0], [row, column], 2 * own.hidden);
        let value = leave(before, parts[1], [row, column + own.hidden], 2 * own.hidden);
        _mm512_mul_ps(_mm512_mul_ps(gate, sigmoid(gate)), value)
    }
);

numbers!(
    /// Neighbours are all of the gate or all of the value.
    SwiGluBack { before: &'n [Line], dy: &'n [f32], hidden: usize },
    |own, row, column, mask| {
        let at = column % own.hidden;
        let gate = halves(own.before, [row, at], 2 * own.hidden);
        let dy = load(own.dy, row * own.hidden + at, mask);
        let share = sigmoid(gate);
        if column < own.hidden {
            let value = halves(own.before, [row, at + own.hidden], 2 * own.hidden);
            let rest = _mm512_mul_ps(gate, _mm512_sub_ps(_mm512_set1_ps(1.0), share));
            _mm512_mul_ps(_mm512_mul_ps(dy, value), _mm512_fmadd_ps(share, rest, share))
        } else {
            _mm512_mul_ps(dy, _mm512_mul_ps(gate, share))
        }
    }
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::activation::{activate, activate_backward};
    use super::super::half::Precision;
    use super::super::half_kernel::keep;
    use super::super::half_pack::{self, Side};
    use super::super::kernel::Strided;
    use super::super::random::Random;
    use super::*;

    /// The numbers of lines.
    fn numbers(lines: &[Line]) -> Vec<f32> {
        let words = lines.iter().flat_map(|line| line.0.map(f32::to_bits));
        words.flat_map(|word| [word << 16, word & 0xFFFF_0000]).map(f32::from_bits).collect()
    }

    /// Whether they are the same but for what rounding makes of the last bits of f32.
    fn close(got: &[Line], expected: &[Line]) -> bool {
        let near = |(got, expected): (f32, f32)| (got - expected).abs() <= 0.008 * expected.abs() + 1e-4;
        got.len() == expected.len() && numbers(got).into_iter().zip(numbers(expected)).all(near)
    }

    proptest! {
        #[test]
        fn is_as_one_after_the_other(
            tokens in 1usize..70, hidden in prop_oneof![1usize..70, select(vec![16usize, 48, 96])],
            kind in select(vec![None, Some(Activation::Gelu), Some(Activation::Relu2), Some(Activation::SwiGlu)]),
            back: bool, right: bool, seed: u64,
        ) {
            let gated = kind == Some(Activation::SwiGlu);
            if unit().is_none() || (gated && back && !hidden.is_multiple_of(LANES)) {
                return Ok(());
            }
            let fan = if gated { 2 * hidden } else { hidden };
            let columns = if back { fan } else { hidden };
            let mut random = Random::new(seed);
            let mut draw = |count: usize| -> Vec<f32> { (0..count).map(|_| 2.0 * random.normal() as f32).collect() };
            let (mut x, dy) = (draw(tokens * fan), draw(tokens * hidden));
            let left = |x: &[f32], columns: usize| {
                let (mut panels, side) = (Vec::new(), Side { data: x.as_ptr(), outer: columns as isize, inner: 1 });
                let to = room(&mut panels, lines(x.len() / columns, columns));
                // SAFETY: the matrix has that size, and the processor was asked for.
                #[allow(unsafe_code)]
                unsafe {
                    half_pack::pack::<false>(side, x.len() / columns, columns, to, lines(1, columns));
                }
                panels
            };
            let expected_before = left(&x, fan);
            if back {
                // What stands before the activation is kept rounded.
                x.iter_mut().for_each(|x| *x = super::super::half::rounded(*x));
            }
            let mut plain = vec![0.0; tokens * columns];
            let source = match (kind, back) {
                (None, _) => {
                    plain.copy_from_slice(&x);
                    Source::Rows(&x)
                }
                (Some(kind), false) => {
                    activate(Precision::F32, kind, &x, &mut plain, hidden);
                    Source::Activated(kind, &x)
                }
                (Some(kind), true) => {
                    activate_backward(Precision::F32, kind, &x, &dy, &mut plain, hidden);
                    Source::Back(kind, &expected_before, &dy)
                }
            };
            let (mut rows, mut side, mut sums) = (Vec::new(), Vec::new(), vec![1.0; columns]);
            let keeps = kind.is_some() && !back && (!gated || hidden.is_multiple_of(LANES));
            let mut before = vec![Line([0.0; 16]); if keeps { expected_before.len() } else { 0 }];
            let both =
                Both { rows: &mut rows, side: &mut side, right, part: [0, tokens], sums: &mut sums, before: &mut before };
            pack(source, [tokens, columns], both);
            if keeps {
                prop_assert_eq!(numbers(&before), numbers(&expected_before));
            }
            let mut written = vec![f32::NAN; plain.len()];
            write(source, columns, &mut written);
            let near = |(got, expected): (&f32, &f32)| (got - expected).abs() <= 2e-5 * expected.abs() + 1e-4;
            prop_assert!(written.iter().zip(&plain).all(near));
            let (expected_rows, mut expected_side) = (left(&plain, columns), Vec::new());
            let (row, turned) = (columns as isize, [columns, tokens]);
            let matrix = |rows, columns| Strided { data: plain.as_ptr(), rows, columns };
            // SAFETY: the matrix has that size, and the processor was asked for.
            #[allow(unsafe_code)]
            unsafe {
                let (matrix, size) = if right { (matrix(row, 1), [tokens, columns]) } else { (matrix(1, row), turned) };
                keep(right, matrix, size, [0, tokens], &mut expected_side);
            }
            prop_assert!(close(&rows, &expected_rows) && close(&side, &expected_side));
            // In two parts, of which the first is of whole panels, it is the same.
            let first = (tokens / PANEL * PANEL / 2).next_multiple_of(PANEL).min(tokens / PANEL * PANEL);
            let (mut parts, mut scratch) = (Vec::new(), Vec::new());
            for part in [0..first, first..tokens] {
                let [fan, hidden] = [fan, hidden].map(|width| part.start * width..part.end * width);
                let source = match source {
                    _ if part.is_empty() => continue,
                    Source::Rows(x) => Source::Rows(&x[fan]),
                    Source::Activated(kind, x) => Source::Activated(kind, &x[fan]),
                    Source::Back(kind, before, dy) => {
                        Source::Back(kind, &before[lines(part.start, columns)..], &dy[hidden])
                    }
                };
                let side = &mut parts;
                let both = Both { rows: &mut scratch, side, right, part: [part.start, tokens], sums: &mut [], before: &mut [] };
                pack(source, [part.len(), columns], both);
            }
            prop_assert_eq!(numbers(&parts), numbers(&side));
            for (column, sum) in sums.into_iter().enumerate() {
                let (own, whole) = plain.chunks(columns).fold((1.0, 1.0), |(a, b), row| (a + row[column], b + row[column].abs()));
                prop_assert!((sum - own).abs() <= 1e-5 * whole, "{column}: {sum} should be {own}");
            }
        }
    }
}
