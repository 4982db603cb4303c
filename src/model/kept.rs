//! Gradients of matrices in bf16, made behind the backward passes of several windows.
//!
//! A gradient is a product over tokens, xᵀ dy. In f32 a window leaves both sides as they are (`later.rs`), and adding up goes
//! through the cache once for every window. In bf16 that would take longer than the product: a window keeps both sides rounded
//! and packed, and each sum over all windows is made in the registers.

use std::ops::Range;

use rayon::prelude::*;

use super::half::{Both, PANEL, Pair, Precision, Source, add_up};
use super::layout::{Kind, Layout, parts};
use super::matmul::{Matrix, matmul_rows};
use super::panels::Line;
use super::real::Real;
use crate::vocab::TokenId;

/// Ids whose rows of the token embedding one task adds to.
const ROWS: usize = 256;

/// Panels of a left side that one task goes through: with all windows of C1 half a megabyte. With one and two it is as fast as
/// noise can tell, with sixteen not faster.
const PANELS: usize = 4;

/// Tokens that go through the feed-forward part together, forward and backward, so that what is as wide as the activation stays in
/// the second cache; a multiple of 32.
pub(super) const TOGETHER: usize = 64;

/// What one window keeps.
pub(super) struct Kept<R> {
    sides: Vec<Sides>,
    /// The left side of the product that is made next.
    rows: Vec<Line>,
    /// (T, C): the gradient by the token embeddings.
    pub(super) stream: Vec<R>,
    /// (T, C): what is added to the gradient by the output matrix at the targets, beside the products.
    pub(super) normed: Vec<R>,
}

/// Both sides of the product that is the gradient of one matrix.
struct Sides {
    place: Range<usize>,
    /// Rows and columns of the matrix.
    size: [usize; 2],
    tokens: usize,
    left: Vec<Line>,
    right: Vec<Line>,
}

impl<R: Real> Kept<R> {
    /// Nothing yet; or `None` in f32, and where the processor has nothing that multiplies bf16.
    pub(super) fn new(layout: &Layout, precision: Precision) -> Option<Self> {
        if precision.is_f32() || !precision.is_native() {
            return None;
        }
        let empty = |(place, columns): (&Range<usize>, usize)| Sides {
            place: place.clone(),
            size: [place.len() / columns, columns],
            tokens: 0,
            left: Vec::new(),
            right: Vec::new(),
        };
        Some(Self {
            sides: layout.matrices().map(empty).collect(),
            rows: Vec::new(),
            stream: Vec::new(),
            normed: Vec::new(),
        })
    }

    /// Packs rows (of tokens; rows of the matrix) that the matrix is multiplied by: for [`Kept::product`], and as left side of
    /// the gradient. They begin with a token, a multiple of 32, of so many in all. What stands before an activation is written
    /// to `before`, rounded, as left side, which may be empty.
    pub(super) fn input(
        &mut self,
        place: &Range<usize>,
        x: Source<'_, R>,
        tokens: (Range<usize>, usize),
        before: &mut [Line],
    ) {
        self.both(place, x, tokens, false, &mut [], before);
    }

    /// The same of gradients (of tokens; columns of the matrix) by what it gave, the right side; those by its biases are added
    /// to `db`, which may be empty.
    pub(super) fn output(
        &mut self,
        place: &Range<usize>,
        dy: Source<'_, R>,
        tokens: (Range<usize>, usize),
        db: &mut [R],
    ) {
        self.both(place, dy, tokens, true, db, &mut []);
    }

    fn both(
        &mut self,
        place: &Range<usize>,
        source: Source<'_, R>,
        (tokens, all): (Range<usize>, usize),
        right: bool,
        sums: &mut [R],
        before: &mut [Line],
    ) {
        let (sides, rows) = self.of(place);
        sides.tokens = all;
        let size = [tokens.len(), sides.size[usize::from(right)]];
        let side = if right { &mut sides.right } else { &mut sides.left };
        R::keep_both(source, size, Both { rows, side, right, part: [tokens.start, all], sums, before });
    }

    /// y = the first rows of what was packed last times `w`, and y times a factor or biases: see [`matmul_rows`].
    pub(super) fn product(&self, w: Matrix<'_, R>, start: (R, &[R]), y: &mut [R]) {
        let [_, columns] = w.size();
        matmul_rows((&self.rows, y.len() / columns), w, start, y, columns);
    }

    /// Keeps rows of the left side (tokens, rows of the matrix), from a token on, a multiple of 32, of so many tokens in all.
    pub(super) fn left(&mut self, place: &Range<usize>, x: Matrix<'_, R>, [first, tokens]: [usize; 2]) {
        x.transposed().keep(false, [first, tokens], &mut self.of(place).0.left);
    }

    /// The same of the right side (tokens, columns of the matrix).
    pub(super) fn right(&mut self, place: &Range<usize>, dy: Matrix<'_, R>, [first, tokens]: [usize; 2]) {
        let (sides, _) = self.of(place);
        sides.tokens = tokens;
        dy.keep(true, [first, tokens], &mut sides.right);
    }

    /// The right side for so many tokens, to be filled.
    pub(super) fn whole_right(&mut self, place: &Range<usize>, tokens: usize) -> &mut Vec<Line> {
        let (sides, _) = self.of(place);
        sides.tokens = tokens;
        &mut sides.right
    }

    /// Bytes that are held.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let sides = self.sides.iter().map(|sides| sides.left.len() + sides.right.len()).sum::<usize>();
        size_of::<Line>() * (sides + self.rows.len()) + size_of::<R>() * (self.stream.len() + self.normed.len())
    }

    /// The sides of a matrix, and what is multiplied by it next.
    fn of(&mut self, place: &Range<usize>) -> (&mut Sides, &mut Vec<Line>) {
        let sides = self.sides.iter_mut().find(|sides| sides.place == *place);
        (sides.expect("all matrices are there"), &mut self.rows)
    }
}

/// Adds the gradients of all matrices that windows have kept to `gradients`, or writes them; of the output matrix, whose sides
/// have changed places, or of those inside the layers.
pub(super) fn add_products(windows: &[&Kept<f32>], layout: &Layout, head: bool, gradients: &mut [f32], added: bool) {
    let Some(first) = windows.first() else { return };
    let own = parts(gradients, first.sides.iter().map(|sides| sides.place.clone()));
    let mut tasks = Vec::new();
    for ((at, sides), own) in first.sides.iter().enumerate().zip(own) {
        if (sides.place == layout.head) == head {
            let tasks_of = own.chunks_mut(PANELS * PANEL * sides.size[1]).enumerate();
            tasks.extend(tasks_of.map(|(task, rows)| (at, task * PANELS, rows)));
        }
    }
    tasks.into_par_iter().for_each(|(at, panel, rows)| {
        let pairs: Vec<Pair<'_>> = windows
            .iter()
            .map(|kept| &kept.sides[at])
            .map(|sides| Pair { left: &sides.left, right: &sides.right, tokens: sides.tokens })
            .collect();
        add_up(&pairs, head, panel, first.sides[at].size[1], rows, added);
    });
}

/// Adds rows (T, C) of windows, each to the row of its id, in the order of windows and tokens: gradients by token embeddings
/// and by the output matrix.
pub(super) fn add_rows(windows: &[(&[f32], &[TokenId])], width: usize, matrix: &mut [f32]) {
    matrix.par_chunks_mut(ROWS * width).enumerate().for_each(|(at, rows)| {
        for (own, ids) in windows {
            for (row, &id) in own.chunks_exact(width).zip(*ids) {
                if id as usize / ROWS == at {
                    let sum = &mut rows[id as usize % ROWS * width..][..width];
                    sum.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value);
                }
            }
        }
    });
}

/// The places of what is not kept: each lane adds up its own.
pub(super) fn small(layout: &Layout) -> Vec<Range<usize>> {
    let is_small = |kind| matches!(kind, Kind::Position | Kind::Scale | Kind::Bias);
    layout.tensors.iter().filter(|tensor| is_small(tensor.kind)).map(|tensor| tensor.range.clone()).collect()
}
