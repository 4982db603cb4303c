//! The output matrix and the loss, backward.
//!
//! In f32 it is what the formulas say: logits, their softmax less one for the target, times output matrix and rows. In bf16
//! softmax is not divided by its sum before it is rounded, and the target's one is not taken from it: with e = e^(logit - a
//! reference near the target's logit), of which the products over vocabulary and tokens are made,
//! dx = f (e W) - weight W[target] and dW = eᵀ (f x) - weight x at the target, where f = weight / Σ e. So an e is done with as
//! soon as its logit is there, and rounding is relative to e alone. Where there are tiles, `half_head.rs` makes e, its sums
//! and its products part by part, without logits in memory.

use super::backward::HEAD_ROWS;
use super::gpt::Gpt;
use super::layers::{cross_entropy, log_sum};
use super::matmul::{Matrix, matmul};
use super::panels::{Line, Way};
use super::pass::Pass;
use super::real::Real;
use super::wide::{highest, sum, sum_pairs, wide};
use crate::vocab::TokenId;

/// Logits that are so far above the reference become the reference: e is still far from the end of f32.
const FAR: f64 = 64.0;

/// Rows whose logits are held at a time when nothing but nats is wanted.
const NATS_ROWS: usize = 64;

/// What is made of a window by tiles: see [`half_head`](super::half_head).
pub(super) struct Window<'w, R> {
    /// (T, C): rows that the output matrix is multiplied by.
    pub(super) x: &'w [R],
    pub(super) targets: &'w [TokenId],
    pub(super) references: &'w [R],
    /// C and V.
    pub(super) sizes: [usize; 2],
    /// Panels of the output matrix transposed, for logits.
    pub(super) panels: &'w [Line],
    /// What gradients need, if they are wanted.
    pub(super) products: Option<Products<'w, R>>,
    /// By token, the sum of e, and the logit of the target.
    pub(super) sums: &'w mut [R],
    pub(super) logits: &'w mut [R],
}

/// What gradients need of a window.
pub(super) struct Products<'w, R> {
    /// Panels of the output matrix.
    pub(super) panels: &'w [Line],
    /// e as right side of products over tokens.
    pub(super) right: &'w mut Vec<Line>,
    /// (T, C): e W.
    pub(super) dx: &'w mut [R],
}

/// By token, what e is relative to, its sum, the logit of the target, and the factor of e.
pub(super) struct Tokens<R> {
    references: Vec<R>,
    sums: Vec<R>,
    logits: Vec<R>,
    factors: Vec<R>,
}

impl<R: Real> Tokens<R> {
    pub(super) fn new(tokens: usize) -> Self {
        let zeros = || vec![R::default(); tokens];
        Self { references: zeros(), sums: zeros(), logits: zeros(), factors: zeros() }
    }
}

#[allow(private_bounds)]
impl<R: Real> Gpt<R> {
    /// The loss; the gradient by the rows of the final norm goes to `pass.narrow`, that by the output matrix is added to
    /// `gradients`. In f32.
    pub(super) fn head_single(&self, targets: &[TokenId], weight: R, pass: &mut Pass<R>, gradients: &mut [R]) -> f64 {
        let (v, c, t) = (self.config().vocab_size, self.config().width, targets.len());
        let head = self.matrix(&self.layout.head, c, Way::Plain, pass.precision);
        let mut loss = 0.0;
        for start in (0..t).step_by(HEAD_ROWS) {
            let range = start..(start + HEAD_ROWS).min(t);
            self.logits(range.clone(), pass);
            let logits = &mut pass.logits[..range.len() * v];
            let narrow = &mut pass.narrow[range.start * c..range.end * c];
            let normed = Matrix::dense(&pass.normed[start * c..], range.len(), c);
            loss += cross_entropy(logits, &targets[range.clone()], weight);
            let dlogits = Matrix::dense(logits, range.len(), v);
            matmul(R::of(1.0), dlogits, head, R::of(0.0), narrow, c);
            let dhead = &mut gradients[self.layout.head.clone()];
            matmul(R::of(1.0), dlogits.transposed(), normed, R::of(1.0), dhead, c);
        }
        loss
    }

    /// The same in bf16, without the gradient by the output matrix if the pass keeps what it is made of. `pass.stream` is
    /// overwritten.
    pub(super) fn head_half(&self, targets: &[TokenId], weight: R, pass: &mut Pass<R>, gradients: &mut [R]) -> f64 {
        let (c, t, place) = (self.config().width, targets.len(), &self.layout.head);
        let matrix = self.get(place);
        self.refer(targets, pass);
        if pass.kept.is_none() || !self.head_by_tiles(targets, pass) {
            self.powers_by_rows(targets, pass);
        }
        let Pass { tokens, stream, narrow, normed, .. } = &mut *pass;
        let mut loss = 0.0;
        for (at, &target) in targets.iter().enumerate() {
            let row = at * c..(at + 1) * c;
            let factor = weight / tokens.sums[at];
            tokens.factors[at] = factor;
            loss += tokens.references[at].f64() + tokens.sums[at].f64().ln() - tokens.logits[at].f64();
            stream[row.clone()].iter_mut().zip(&normed[row.clone()]).for_each(|(scaled, &x)| *scaled = factor * x);
            let dx = narrow[row].iter_mut().zip(&matrix[target as usize * c..]);
            dx.for_each(|(dx, &own)| *dx = factor * *dx - weight * own);
        }
        let scaled = Matrix::dense(&pass.stream[..t * c], t, c).by(pass.precision);
        if let Some(kept) = &mut pass.kept {
            kept.left(place, scaled, [0, t]);
            kept.normed.clear();
            kept.normed.extend(pass.normed[..t * c].iter().map(|&x| -(weight * x)));
        } else {
            self.head_gradient(targets, weight, pass, gradients);
        }
        loss
    }

    /// References: the logits of targets, but for how they are rounded.
    fn refer(&self, targets: &[TokenId], pass: &mut Pass<R>) {
        let (c, matrix) = (self.config().width, self.get(&self.layout.head));
        for (at, (x, &target)) in pass.normed.chunks_exact(c).zip(targets).enumerate() {
            pass.tokens.references[at] = dot(x, &matrix[target as usize * c..][..c]);
        }
    }

    /// e of a window and its sums by tiles, if that can be; and its products, if the pass keeps what gradients are made of.
    fn head_by_tiles(&self, targets: &[TokenId], pass: &mut Pass<R>) -> bool {
        let (c, t, place) = (self.config().width, targets.len(), &self.layout.head);
        let Pass { kept, tokens, narrow, normed, precision, .. } = pass;
        let [panels, back] = [Way::Transposed, Way::Plain].map(|way| self.panels_of(place, way, *precision));
        let products = kept.as_mut().map(|kept| Products {
            panels: back,
            right: kept.whole_right(place, t),
            dx: &mut narrow[..t * c],
        });
        R::head(Window {
            x: &normed[..t * c],
            targets,
            references: &tokens.references[..t],
            sizes: [c, self.config().vocab_size],
            panels,
            products,
            sums: &mut tokens.sums[..t],
            logits: &mut tokens.logits[..t],
        })
    }

    /// The nats of a target behind each of the first rows of `pass.normed`.
    pub(super) fn nats(&self, targets: &[TokenId], pass: &mut Pass<R>) -> Vec<f64> {
        if !pass.precision.is_f32() {
            self.refer(targets, pass);
            if self.head_by_tiles(targets, pass) {
                let Tokens { references, sums, logits, .. } = &pass.tokens;
                let each = references.iter().zip(sums).zip(logits).take(targets.len());
                return each.map(|((reference, sum), logit)| reference.f64() + sum.f64().ln() - logit.f64()).collect();
            }
        }
        let mut nats = Vec::with_capacity(targets.len());
        for (at, targets) in targets.chunks(NATS_ROWS).enumerate() {
            let logits = self.logits(at * NATS_ROWS..at * NATS_ROWS + targets.len(), pass);
            let rows = logits.chunks_exact(self.config().vocab_size).zip(targets);
            nats.extend(rows.map(|(row, &target)| log_sum(row) - row[target as usize].f64()));
        }
        nats
    }

    /// The same through logits of some rows at a time. What is needed of e for the gradient by the output matrix is kept, or
    /// made again.
    fn powers_by_rows(&self, targets: &[TokenId], pass: &mut Pass<R>) {
        let (v, c, t) = (self.config().vocab_size, self.config().width, targets.len());
        let head = self.matrix(&self.layout.head, c, Way::Plain, pass.precision);
        for start in (0..t).step_by(HEAD_ROWS) {
            let range = start..(start + HEAD_ROWS).min(t);
            self.logits(range.clone(), pass);
            let logits = &mut pass.logits[..range.len() * v];
            let tokens = &mut pass.tokens;
            for (at, row) in range.clone().zip(logits.chunks_exact_mut(v)) {
                tokens.logits[at] = row[targets[at] as usize];
                (tokens.references[at], tokens.sums[at]) = powers(row, tokens.references[at]);
            }
            let e = Matrix::dense(logits, range.len(), v);
            matmul(R::of(1.0), e, head, R::of(0.0), &mut pass.narrow[range.start * c..range.end * c], c);
            if let Some(kept) = &mut pass.kept {
                kept.right(&self.layout.head, e, [start, t]);
            }
        }
    }

    /// Adds the gradient by the output matrix, with e made again.
    fn head_gradient(&self, targets: &[TokenId], weight: R, pass: &mut Pass<R>, gradients: &mut [R]) {
        let (v, c, t) = (self.config().vocab_size, self.config().width, targets.len());
        let dhead = &mut gradients[self.layout.head.clone()];
        for start in (0..t).step_by(HEAD_ROWS) {
            let range = start..(start + HEAD_ROWS).min(t);
            self.logits(range.clone(), pass);
            let logits = &mut pass.logits[..range.len() * v];
            for (at, row) in range.clone().zip(logits.chunks_exact_mut(v)) {
                powers(row, pass.tokens.references[at]);
            }
            let e = Matrix::dense(logits, range.len(), v);
            let scaled = Matrix::dense(&pass.stream[start * c..], range.len(), c).by(pass.precision);
            matmul(R::of(1.0), e.transposed(), scaled, R::of(1.0), dhead, c);
        }
        for (x, &target) in pass.normed.chunks_exact(c).zip(targets) {
            let sum = dhead[target as usize * c..].iter_mut().zip(x);
            sum.for_each(|(sum, &x)| *sum += -(weight * x));
        }
    }
}

wide! {
    fn dot<R>(left: &[R], right: &[R]) -> R {
        sum_pairs(left, right, |left, right| left * right)
    }
}

wide! {
    /// A row of logits (V) becomes e^(logit - reference); gives the reference, which is the highest logit if that is far
    /// above, and the sum.
    fn powers<R>(row: &mut [R], reference: R) -> (R, R) {
        let highest = highest(row);
        let reference = if highest - reference > R::of(FAR) { highest } else { reference };
        row.iter_mut().for_each(|value| *value = (*value - reference).exp());
        (reference, sum(row, |value| value))
    }
}
