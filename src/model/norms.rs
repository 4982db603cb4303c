//! Layer norm and RMSNorm, forward and backward.

use super::config::NormKind;
use super::real::Real;
use super::wide::{sum, sum_pairs, wide};

/// Added to the variance in a layer norm, as in GPT-2.
const LAYER_EPSILON: f64 = 1e-5;
/// Added to the mean square in RMSNorm, as in Qwen3.
pub(super) const RMS_EPSILON: f64 = 1e-6;

/// Mean (0 in RMSNorm) and reciprocal deviation of a row.
pub(super) type Stats<R> = (R, R);

#[inline(always)]
fn stats<R: Real>(kind: NormKind, x: &[R]) -> Stats<R> {
    let count = R::of(x.len() as f64);
    match kind {
        NormKind::Layer => {
            let mean = sum(x, |value| value) / count;
            let variance = sum(x, |value| (value - mean) * (value - mean)) / count;
            (mean, R::of(1.0) / (variance + R::of(LAYER_EPSILON)).sqrt())
        }
        NormKind::Rms => {
            let square = sum(x, |value| value * value) / count;
            (R::default(), R::of(1.0) / (square + R::of(RMS_EPSILON)).sqrt())
        }
    }
}

wide! {
    /// y (T, C) = (x - mean) / deviation * scale + bias, row by row; `bias` may be empty.
    pub(super) fn norm<R>(
        kind: NormKind,
        x: &[R],
        scale: &[R],
        bias: &[R],
        y: &mut [R],
        all: &mut [Stats<R>],
    ) {
        let width = scale.len();
        for ((x, y), kept) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(all) {
            let (mean, reciprocal) = stats(kind, x);
            for ((y, &x), &scale) in y.iter_mut().zip(x).zip(scale) {
                *y = (x - mean) * reciprocal * scale;
            }
            y.iter_mut().zip(bias).for_each(|(y, &bias)| *y += bias);
            *kept = (mean, reciprocal);
        }
    }
}

wide! {
    /// dx (T, C) += gradient by x; `dparameters`, those by scale and bias (C), += theirs. The bias may be empty.
    pub(super) fn norm_backward<R>(
        kind: NormKind,
        x: &[R],
        scale: &[R],
        stats: &[Stats<R>],
        dy: &[R],
        dx: &mut [R],
        dparameters: [&mut [R]; 2],
    ) {
        let width = scale.len();
        let [dscale, dbias] = dparameters;
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)).zip(stats);
        for (((x, dy), dx), &(mean, reciprocal)) in rows {
            row_backward(kind, x, scale, (mean, reciprocal), dy, dx, dscale);
            dbias.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy);
        }
    }
}

/// One row of [`norm_backward`], without the bias. The gradients by the normed row are written to `dx` last, because it already
/// holds a sum; the others are all made in one pass.
#[inline(always)]
fn row_backward<R: Real>(
    kind: NormKind,
    x: &[R],
    scale: &[R],
    (mean, reciprocal): Stats<R>,
    dy: &[R],
    dx: &mut [R],
    dscale: &mut [R],
) {
    let count = R::of(scale.len() as f64);
    let [mut products, mut shifts] = [[R::default(); 16]; 2];
    let (scales, scale_rest) = scale.as_chunks::<16>();
    let ((dys, dy_rest), (xs, x_rest)) = (dy.as_chunks::<16>(), x.as_chunks::<16>());
    let (dscales, dscale_rest) = dscale.as_chunks_mut::<16>();
    for (((scale, dy), x), dscale) in scales.iter().zip(dys).zip(xs).zip(dscales) {
        for at in 0..16 {
            let (share, apart) = (dy[at] * scale[at], x[at] - mean);
            dscale[at] += dy[at] * (apart * reciprocal);
            products[at] += share * apart;
            shifts[at] += share;
        }
    }
    for (at, (((&scale, &dy), &x), dscale)) in scale_rest.iter().zip(dy_rest).zip(x_rest).zip(dscale_rest).enumerate() {
        let (share, apart) = (dy * scale, x - mean);
        *dscale += dy * (apart * reciprocal);
        products[at] += share * apart;
        shifts[at] += share;
    }
    let product = products.into_iter().sum::<R>() * reciprocal / count * reciprocal;
    let shift = match kind {
        NormKind::Layer => shifts.into_iter().sum::<R>() / count,
        NormKind::Rms => R::default(),
    };
    for (((dx, &dy), &scale), &x) in dx.iter_mut().zip(dy).zip(scale).zip(x) {
        *dx += (dy * scale - shift - (x - mean) * product) * reciprocal;
    }
}

wide! {
    /// RMSNorm of each head (D) of a token, in place; gives the reciprocals of the deviations to `reciprocals`.
    pub(super) fn head_norm<R>(heads: &mut [R], scale: &[R], reciprocals: &mut [R]) {
        for (head, kept) in heads.chunks_exact_mut(scale.len()).zip(reciprocals) {
            let (_, reciprocal) = stats(NormKind::Rms, head);
            head.iter_mut().zip(scale).for_each(|(x, &scale)| *x *= reciprocal * scale);
            *kept = reciprocal;
        }
    }
}

wide! {
    /// The gradient by each head `x` before [`head_norm`] instead of that behind it, in `dy`; dscale += its gradient.
    pub(super) fn head_norm_backward<R>(
        x: &[R],
        scale: &[R],
        reciprocals: &[R],
        dy: &mut [R],
        dscale: &mut [R],
    ) {
        let width = scale.len();
        for ((x, dy), &reciprocal) in x.chunks_exact(width).zip(dy.chunks_exact_mut(width)).zip(reciprocals) {
            for ((dscale, dy), &x) in dscale.iter_mut().zip(&mut *dy).zip(x) {
                *dscale += *dy * x * reciprocal;
            }
            dy.iter_mut().zip(scale).for_each(|(dy, &scale)| *dy *= scale);
            let product = sum_pairs(x, dy, |x, dy| x * dy) * reciprocal * reciprocal / R::of(width as f64);
            dy.iter_mut().zip(x).for_each(|(dy, &x)| *dy = (*dy - x * product) * reciprocal);
        }
    }
}
