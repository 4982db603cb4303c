//! Differences of trained models, seed by seed.
//!
//! Two tokenizers are each trained with the same seeds: a seed decides the weights of the body and the order of documents,
//! so that what it brings is in both and falls out of their difference. A difference is a part of the first value, its
//! interval of 95 % that of Student's distribution over seeds, and its effect size is Cohen's d_z, mean by deviation of the
//! differences (Lakens 2013, "Calculating and reporting effect sizes").

use serde::{Deserialize, Serialize};

use super::bootstrap::{Estimate, Verdict};

/// A figure over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OverSeeds {
    /// The mean.
    pub mean: f64,
    /// The deviation of single seeds; `None` for one seed.
    pub sd: Option<f64>,
}

/// How much larger a figure of one tokenizer is than that of another, seed by seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedDifference {
    /// The mean difference as a part of the first figure, and its interval; none for a single seed.
    pub difference: Estimate,
    /// The deviation of single differences.
    pub sd: Option<f64>,
    /// Mean by deviation; `None` where differences do not deviate.
    pub effect_size: Option<f64>,
    /// What it comes to.
    pub verdict: Verdict,
}

impl OverSeeds {
    /// Of one value a seed, one at least.
    ///
    /// ```
    /// use ciyuan::evaluate::OverSeeds;
    /// assert_eq!(OverSeeds::of(&[1.0, 3.0]), OverSeeds { mean: 2.0, sd: Some(2f64.sqrt()) });
    /// assert_eq!(OverSeeds::of(&[1.0]), OverSeeds { mean: 1.0, sd: None });
    /// ```
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, sd: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()) }
    }
}

impl PairedDifference {
    /// Of the values of two tokenizers, seed by seed, as many of one as of the other.
    ///
    /// ```
    /// use ciyuan::evaluate::{PairedDifference, Verdict};
    /// let difference = PairedDifference::of(&[2.0, 2.1, 2.2], &[1.98, 2.08, 2.18], 0.005);
    /// assert_eq!(difference.verdict, Verdict::Less);
    /// ```
    #[must_use]
    pub fn of(first: &[f64], second: &[f64], margin: f64) -> Self {
        let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| second / first - 1.0).collect();
        let OverSeeds { mean, sd } = OverSeeds::of(&differences);
        let reach =
            sd.map(|sd| student_quantile(differences.len() as u32 - 1) * sd / (differences.len() as f64).sqrt());
        let difference = Estimate { value: mean, interval: reach.map(|reach| [mean - reach, mean + reach]) };
        Self {
            difference,
            sd,
            effect_size: sd.filter(|sd| *sd > 0.0).map(|sd| mean / sd),
            verdict: Verdict::of(&difference, margin),
        }
    }
}

/// The smallest relative difference whose interval of 95 % leaves 0 out in half of all experiments with so many seeds, two
/// at least, where single differences deviate by `sd`.
#[must_use]
pub fn smallest_visible(seeds: u32, sd: f64) -> f64 {
    student_quantile(seeds - 1) * sd / f64::from(seeds).sqrt()
}

/// How far from 0 Student's distribution of so many degrees of freedom has 2.5 % beyond.
pub(super) fn student_quantile(freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, 20.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if student_within(middle, freedom) < 0.95 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The share of Student's distribution from `-t` to `t`; Abramowitz and Stegun 1964, formulas 26.7.3 and 26.7.4.
fn student_within(t: f64, freedom: u32) -> f64 {
    let angle = (t / f64::from(freedom).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let is_odd = freedom % 2 == 1;
    // The powers of the cosine, each with the product of the fractions before it.
    let mut term = if is_odd { cos } else { 1.0 };
    let mut sum = 0.0;
    let mut power = if is_odd { 1 } else { 0 };
    while power + 2 <= freedom {
        sum += term;
        term *= cos * cos * f64::from(power + 1) / f64::from(power + 2);
        power += 2;
    }
    if is_odd { std::f64::consts::FRAC_2_PI * (angle + sin * sum) } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    /// By tables.
    #[test]
    fn quantiles_of_student() {
        let table = [(1, 12.706_205), (2, 4.302_653), (3, 3.182_446), (4, 2.776_445), (5, 2.570_582), (9, 2.262_157)];
        for (freedom, wanted) in table.into_iter().chain([(30, 2.042_272), (100, 1.983_972)]) {
            assert!((student_quantile(freedom) - wanted).abs() < 1e-5, "{freedom}: {}", student_quantile(freedom));
        }
    }

    struct Normal(Xoshiro256PlusPlus);

    impl Normal {
        fn next(&mut self) -> f64 {
            let mut uniform = || ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
        }

        /// Bits per byte of so many seeds: what a seed brings to both is much, what it brings to one little.
        fn pair(&mut self, seeds: usize, factor: f64) -> [Vec<f64>; 2] {
            let of_seed = |_| {
                let common = 2.0 + 0.02 * self.next();
                [common * (1.0 + 0.001 * self.next()), common * factor * (1.0 + 0.001 * self.next())]
            };
            let pairs: Vec<[f64; 2]> = (0..seeds).map(of_seed).collect();
            [0, 1].map(|at| pairs.iter().map(|pair| pair[at]).collect())
        }
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut normal = Normal(Xoshiro256PlusPlus::seed_from_u64(1));
        for seeds in [2, 3, 5] {
            let mut held = 0;
            for _ in 0..4000 {
                let [first, second] = normal.pair(seeds, 0.99);
                let [low, high] = PairedDifference::of(&first, &second, 0.005).difference.interval.unwrap();
                held += u32::from((low..=high).contains(&-0.01));
            }
            // 93 to 97 %.
            assert!((3720..=3880).contains(&held), "{seeds} seeds: {held} of 4000");
        }
    }

    #[test]
    fn equal_tokenizers_are_seldom_told_apart() {
        let mut normal = Normal(Xoshiro256PlusPlus::seed_from_u64(2));
        let told = (0..4000).filter(|_| {
            let [first, second] = normal.pair(5, 1.0);
            matches!(PairedDifference::of(&first, &second, 0.0).verdict, Verdict::More | Verdict::Less)
        });
        let told = told.count();
        assert!((120..=280).contains(&told), "{told} of 4000");
    }

    #[test]
    fn half_of_all_experiments_see_the_smallest_difference() {
        let mut normal = Normal(Xoshiro256PlusPlus::seed_from_u64(3));
        // A difference of two deviates by the root of two of what each does.
        let factor = 1.0 - smallest_visible(5, 0.001 * 2f64.sqrt());
        let seen = (0..4000).filter(|_| {
            let [first, second] = normal.pair(5, factor);
            PairedDifference::of(&first, &second, 0.0).verdict == Verdict::Less
        });
        let seen = seen.count();
        assert!((1800..=2300).contains(&seen), "{seen} of 4000");
    }

    #[test]
    fn single_seeds_and_equal_differences() {
        let one = PairedDifference::of(&[2.0], &[1.0], 0.005);
        assert_eq!((one.difference.value, one.difference.interval, one.sd), (-0.5, None, None));
        assert_eq!((one.effect_size, one.verdict), (None, Verdict::Undecided));
        let same = PairedDifference::of(&[2.0, 3.0], &[2.0, 3.0], 0.005);
        assert_eq!((same.sd, same.effect_size, same.verdict), (Some(0.0), None, Verdict::NoDifference));
    }
}
