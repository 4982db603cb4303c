//! Weights in the order in which the kernel reads them: made once a step, and used by all windows of a batch.
//!
//! Each matrix stands there twice, as the forward pass multiplies by it and transposed, as the backward pass does. Where
//! there is no kernel they stay empty, and products are made as without them.

use std::ops::Range;

use rayon::prelude::*;

use super::half::Precision;
use super::layout::Layout;
use super::matmul::Matrix;
use super::real::Real;

/// A line of the cache.
#[repr(align(64))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Line(#[allow(dead_code)] pub(super) [f32; 16]);

/// The panels of all matrices of a model.
#[derive(Debug, Clone, Default)]
pub(super) struct Panels {
    matrices: Vec<Packed>,
    precision: Precision,
    /// Whether they are those of the parameters as they are now.
    current: bool,
}

#[derive(Debug, Clone)]
struct Packed {
    start: usize,
    /// Inputs and outputs.
    size: [usize; 2],
    panels: [Vec<Line>; 2],
}

/// Which way a matrix is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    Transposed,
}

impl Panels {
    /// Makes the panels of `parameters` for products in a precision.
    pub(super) fn fill<R: Real>(&mut self, layout: &Layout, parameters: &[R], precision: Precision) {
        if self.matrices.is_empty() || self.precision != precision {
            self.precision = precision;
            let empty = |(place, outputs): (&Range<usize>, usize)| Packed {
                start: place.start,
                size: [place.len() / outputs, outputs],
                panels: [Vec::new(), Vec::new()],
            };
            self.matrices = layout.matrices().map(empty).collect();
        }
        self.matrices.par_iter_mut().for_each(|packed| {
            let [inputs, outputs] = packed.size;
            let matrix = Matrix::dense(&parameters[packed.start..][..inputs * outputs], inputs, outputs).by(precision);
            let [plain, transposed] = &mut packed.panels;
            matrix.pack(plain);
            matrix.transposed().pack(transposed);
        });
        self.current = true;
    }

    /// The parameters are about to change.
    pub(super) fn expire(&mut self) {
        self.current = false;
    }

    /// The panels of the matrix at a place for products in a precision, or nothing.
    pub(super) fn of(&self, place: &Range<usize>, way: Way, precision: Precision) -> &[Line] {
        let found = self.matrices.binary_search_by_key(&place.start, |packed| packed.start);
        match found {
            Ok(at) if self.current && self.precision == precision => &self.matrices[at].panels[way as usize],
            _ => &[],
        }
    }
}
