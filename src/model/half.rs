//! Products in bf16: both matrices are rounded to bf16, and their products are added up in f32.
//!
//! A product of two bf16 is exact in f32, so the plain version rounds both and multiplies them by the kernel for f32: that is
//! what runs where the processor has nothing better, and what the fast versions (`half_kernel.rs`) are compared with. They
//! add in another order, so their results differ in the last bits of f32.

use serde::{Deserialize, Serialize};

use super::config::Activation;
use super::panels::Line;

/// What activations and weights are rounded to before they are multiplied. Weights, sums, gradients and the optimizer are
/// f32 in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// To nothing.
    #[default]
    F32,
    /// To bf16, the upper half of an f32: three significant digits, and the range of f32.
    Bf16,
}

impl Precision {
    /// Whether it is f32.
    #[must_use]
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// Whether this processor multiplies so by itself; bf16 is imitated where it does not, slower than f32.
    #[must_use]
    pub fn is_native(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.is_f32() || super::half_kernel::unit().is_some();
        #[cfg(not(target_arch = "x86_64"))]
        return self.is_f32();
    }
}

/// Rows or columns of a packed panel: two tiles.
pub(super) const PANEL: usize = 32;

/// Lines of the panels of so many rows or columns and products: a step along a panel is as deep as a panel is wide, and a line
/// holds 32 numbers.
pub(super) fn lines(count: usize, depth: usize) -> usize {
    count.div_ceil(PANEL) * depth.div_ceil(PANEL) * PANEL
}

/// Rows (tokens, columns) that are packed for two products: see [`half_rows`](super::half_rows).
#[derive(Clone, Copy)]
pub(super) enum Source<'s, R> {
    /// As they are.
    Rows(&'s [R]),
    /// What an activation makes of rows.
    Activated(Activation, &'s [R]),
    /// The gradient before an activation, from what stood there, rounded, as left side, and the gradient behind.
    Back(Activation, &'s [Line], &'s [R]),
}

/// Where rows that are packed for two products go.
pub(super) struct Both<'b, R> {
    /// The left side of a product by a matrix.
    pub(super) rows: &'b mut Vec<Line>,
    /// A side of the product over tokens: the right one, or the left one.
    pub(super) side: &'b mut Vec<Line>,
    pub(super) right: bool,
    /// The first token, a multiple of [`PANEL`], and how many the side has in all.
    pub(super) part: [usize; 2],
    /// To what the sum of all rows is added; may be empty.
    pub(super) sums: &'b mut [R],
    /// Where what stands before an activation is written, rounded, as left side; may be empty.
    pub(super) before: &'b mut [Line],
}

impl<R> Source<'_, R> {
    /// Whether it has so many rows of that length.
    pub(super) fn fits(self, tokens: usize, columns: usize) -> bool {
        let fan = |kind, hidden| if kind == Activation::SwiGlu { 2 * hidden } else { hidden };
        match self {
            Self::Rows(x) => x.len() == tokens * columns,
            Self::Activated(kind, x) => x.len() == tokens * fan(kind, columns),
            Self::Back(kind, before, dy) => {
                let hidden = dy.len().checked_div(tokens).unwrap_or_default();
                let before = before.len() >= lines(tokens, columns);
                columns == fan(kind, hidden) && before && dy.len() == tokens * hidden
            }
        }
    }
}

/// Both sides of a product over so many tokens, packed.
#[derive(Clone, Copy)]
pub(super) struct Pair<'p> {
    pub(super) left: &'p [Line],
    pub(super) right: &'p [Line],
    pub(super) tokens: usize,
}

/// The rows of a sum of products from a panel of the left sides on, or those rows added to what is there; or those of the
/// product turned; where bf16 is native.
pub(super) fn add_up(pairs: &[Pair<'_>], turned: bool, panel: usize, columns: usize, rows: &mut [f32], added: bool) {
    #[cfg(target_arch = "x86_64")]
    super::half_kernel::add_up(pairs, turned, panel, columns, rows, added);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pairs, turned, panel, columns, rows, added);
}

/// The nearest bf16, the even one of two; what is too small for a normal f32 becomes 0, as processors have it.
pub(super) fn rounded(value: f32) -> f32 {
    let bits = value.to_bits();
    if value.is_nan() {
        return f32::from_bits((bits | 0x0040_0000) & 0xFFFF_0000);
    }
    if value.is_subnormal() {
        return f32::from_bits(bits & 0x8000_0000);
    }
    f32::from_bits((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000)
}

/// A matrix in rows without gaps, rounded.
///
/// # Safety
///
/// Every element that the sizes and strides reach lies inside its allocation.
#[allow(unsafe_code)]
pub(super) unsafe fn copy([rows, columns]: [usize; 2], data: *const f32, strides: [isize; 2]) -> Vec<f32> {
    let place = |at: usize| (at / columns) as isize * strides[0] + (at % columns) as isize * strides[1];
    // SAFETY: the caller's.
    (0..rows * columns).map(|at| rounded(unsafe { *data.offset(place(at)) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_the_nearest_and_to_the_even_of_two() {
        for (value, expected) in [
            (1.0, 1.0),
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
            (-3.4e38, f32::NEG_INFINITY),
            (1e-39, 0.0),
            (f32::INFINITY, f32::INFINITY),
        ] {
            assert_eq!(rounded(value), expected, "{value}");
        }
        assert!(rounded(f32::from_bits(0x7F80_0001)).is_nan());
    }
}
