//! Loops over numbers, compiled three times: for any processor, and for those with AVX2 and AVX-512, whose vectors are
//! twice and four times as long.
//!
//! Which is taken is decided when the program runs. All do the same operations in the same order (nothing is fused), so
//! all give the same bits.

/// Whether the processor has AVX2 and fused multiplication and addition.
pub(super) fn avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Whether the processor has AVX-512 too.
pub(super) fn avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return avx2() && std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Makes a function over a [`Real`](super::real::Real) that runs the loops of its body in long vectors.
macro_rules! wide {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<$real:ident>($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name<$real: $crate::model::real::Real>($($argument: $type),*) $(-> $out)? {
            #[inline(always)]
            fn plain<$real: $crate::model::real::Real>($($argument: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn long<$real: $crate::model::real::Real>($($argument: $type),*) $(-> $out)? {
                    plain($($argument),*)
                }
                #[target_feature(enable = "avx512f")]
                fn longest<$real: $crate::model::real::Real>($($argument: $type),*) $(-> $out)? {
                    plain($($argument),*)
                }
                if $crate::model::wide::avx512() {
                    // SAFETY: the processor has what the function was compiled for.
                    #[allow(unsafe_code)]
                    return unsafe { longest($($argument),*) };
                }
                if $crate::model::wide::avx2() {
                    // SAFETY: the processor has what the function was compiled for.
                    #[allow(unsafe_code)]
                    return unsafe { long($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    };
}
pub(super) use wide;

/// Sums that one addition each is kept in; they are added up in order at the end.
const LANES: usize = 16;

/// The sum of what `value` makes of each number. In lanes, because a processor cannot add in vectors what must be added
/// one after the other.
#[inline(always)]
pub(super) fn sum<R: super::real::Real>(numbers: &[R], value: impl Fn(R) -> R) -> R {
    let mut lanes = [R::default(); LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &number)| *lane += value(number));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, &number)| *lane += value(number));
    lanes.into_iter().sum()
}

/// [`sum`] over pairs.
#[inline(always)]
pub(super) fn sum_pairs<R: super::real::Real>(left: &[R], right: &[R], value: impl Fn(R, R) -> R) -> R {
    let mut lanes = [R::default(); LANES];
    let ((chunks, rest), (others, other)) = (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for (chunk, others) in chunks.iter().zip(others) {
        for at in 0..LANES {
            lanes[at] += value(chunk[at], others[at]);
        }
    }
    lanes.iter_mut().zip(rest.iter().zip(other)).for_each(|(lane, (&left, &right))| *lane += value(left, right));
    lanes.into_iter().sum()
}

/// The highest number; `numbers` is not empty.
#[inline(always)]
pub(super) fn highest<R: super::real::Real>(numbers: &[R]) -> R {
    let higher = |a: R, b: R| if b > a { b } else { a };
    let mut lanes = [numbers[0]; LANES];
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &number)| *lane = higher(*lane, number));
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(numbers[0], higher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    wide! {
        /// The functions above by the short name and the long.
        fn all<R>(left: &[R], right: &[R]) -> (R, R, R) {
            (sum(left, |x| x * x), sum_pairs(left, right, |x, y| x * y), highest(left))
        }
    }

    proptest! {
        #[test]
        fn equal_the_plain_loops(pairs in prop::collection::vec((-50i32..50, -50i32..50), 1..70)) {
            let (left, right): (Vec<f32>, Vec<f32>) = pairs.iter().map(|&(x, y)| (x as f32, y as f32)).unzip();
            let square: f32 = left.iter().map(|x| x * x).sum();
            let product: f32 = left.iter().zip(&right).map(|(x, y)| x * y).sum();
            let max = left.iter().copied().fold(f32::MIN, f32::max);
            // Whole numbers: no sum rounds.
            prop_assert_eq!(all(&left, &right), (square, product, max));
        }
    }
}
