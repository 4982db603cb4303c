//! Intervals by a paired bootstrap over documents.
//!
//! Reference: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 14: the documents are drawn again
//! with replacement, a thousand times, and an interval of 95 % runs from about the 25th lowest to about the 25th highest
//! of the thousand values, moved by what the values show of bias, and by the acceleration that the figures without one
//! document each show (BCa). All figures are ratios of two sums over documents (bytes to tokens, bits to bytes), and all
//! tokenizers are summed over the same draws: what makes one document harder than another for all of them falls out of
//! their difference.
//!
//! Texts are of very uneven length, so that a few of them make most of an error, and draws show too little of it: of the
//! intervals of differences in the test below 93.7 % held the truth. So the ends stand where those of Student's
//! distribution would be instead of the normal one's (Hesterberg 2015, "What Teachers Should Know About the Bootstrap"),
//! by as many degrees of freedom as the figures without one document each show; 94.5 % hold it then.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How often the documents are drawn again.
pub(super) const RESAMPLES: usize = 1000;
/// The normal distribution has 2.5 % above this.
const REACH: f64 = 1.959_964;
/// More documents than these are drawn in groups of neighbours, so that the time does not grow with them.
const MOST_GROUPS: usize = 4096;

/// Sums over documents, and over the same documents drawn again and again.
pub(super) struct Bootstrap {
    columns: usize,
    sums: Vec<f64>,
    /// The sums of each document, or group of them.
    groups: Vec<f64>,
    /// A row a draw; none for fewer than two documents.
    drawn: Vec<f64>,
}

/// A ratio of sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    pub(super) above: usize,
    pub(super) below: usize,
}

/// A figure, and the interval that holds it with 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure on the documents that there are.
    pub value: f64,
    /// Its interval; `None` for a single document, which has none.
    pub interval: Option<[f64; 2]>,
}

impl Bootstrap {
    /// Of rows of `columns` figures, a row a document. The same seed gives the same draws.
    pub(super) fn new(rows: &[f64], columns: usize, seed: u64) -> Self {
        let documents = rows.len() / columns;
        let size = documents.div_ceil(MOST_GROUPS).max(1) * columns;
        let mut sums = vec![0.0; columns];
        let groups: Vec<f64> = rows
            .chunks(size)
            .flat_map(|group| {
                let mut sum = vec![0.0; columns];
                group.chunks(columns).for_each(|row| add(&mut sum, row));
                sum
            })
            .collect();
        groups.chunks(columns).for_each(|group| add(&mut sums, group));
        let count = groups.len() / columns;
        let draw = |number: usize| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(xxh3_64_with_seed(&number.to_le_bytes(), seed));
            let mut sum = vec![0.0; columns];
            for _ in 0..count {
                // The high half of the product is uniform below the number, but for one part in 2^64 / number.
                let at = ((u128::from(random.next_u64()) * count as u128) >> 64) as usize;
                add(&mut sum, &groups[at * columns..(at + 1) * columns]);
            }
            sum
        };
        let resamples = if documents < 2 { 0 } else { RESAMPLES };
        let drawn = (0..resamples).into_par_iter().map(draw).collect::<Vec<_>>().concat();
        Self { columns, sums, groups, drawn }
    }

    /// The ratio of two sums.
    pub(super) fn estimate(&self, ratio: Ratio) -> Option<Estimate> {
        self.of(|sums| value(sums, ratio))
    }

    /// How much larger the ratio `b` is than `a`, as a part of `a`.
    pub(super) fn difference(&self, a: Ratio, b: Ratio) -> Option<Estimate> {
        self.of(|sums| {
            let (a, b) = (value(sums, a)?, value(sums, b)?);
            (a != 0.0).then_some(b / a - 1.0)
        })
    }

    /// A figure of the sums; `None` where there is none.
    fn of(&self, figure: impl Fn(&[f64]) -> Option<f64>) -> Option<Estimate> {
        let value = figure(&self.sums)?;
        // A draw may miss what the figure is a part of, if few documents have it: there is no interval then.
        let drawn: Option<Vec<f64>> = self.drawn.chunks(self.columns).map(&figure).collect();
        let drawn = drawn.filter(|drawn| !drawn.is_empty());
        let interval = drawn.and_then(|drawn| Some(interval(drawn, value, self.shape(&figure)?)));
        Some(Estimate { value, interval })
    }

    /// The shape of a figure's error, from its values without one group each.
    fn shape(&self, figure: impl Fn(&[f64]) -> Option<f64>) -> Option<Shape> {
        let mut rest = vec![0.0; self.columns];
        let without = self.groups.chunks(self.columns).map(|group| {
            rest.iter_mut().zip(&self.sums).zip(group).for_each(|((rest, sum), one)| *rest = sum - one);
            figure(&rest)
        });
        Some(Shape::of(&without.collect::<Option<Vec<f64>>>()?))
    }
}

/// How the error of a figure differs from a normal distribution of known width.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    /// How much the error grows with the figure.
    acceleration: f64,
    /// How many standard errors the interval reaches to each side.
    reach: f64,
}

impl Shape {
    /// Of the values of a figure without one group each, two or more.
    fn of(without: &[f64]) -> Self {
        let count = without.len() as f64;
        let mean = without.iter().sum::<f64>() / count;
        let moment = |power| without.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
        let (second, third, fourth) = (moment(2), moment(3), moment(4));
        if second <= 0.0 {
            return Self { acceleration: 0.0, reach: REACH };
        }
        // Satterthwaite's: twice the square of the error's variance by the variance of what is known of it. For figures of
        // a normal distribution that is their number.
        let freedom = 2.0 * second * second / (fourth - second * second / count).max(0.0);
        // Draws have the spread of the groups about their own mean, which is smaller by this.
        let narrow = (count / (count - 1.0)).sqrt();
        Self {
            acceleration: third / (6.0 * second.powf(1.5)),
            reach: narrow * student_quantile(freedom.min(count - 1.0)),
        }
    }
}

/// The interval of a figure of this value that was drawn so often.
fn interval(mut drawn: Vec<f64>, value: f64, Shape { acceleration, reach }: Shape) -> [f64; 2] {
    drawn.sort_by(f64::total_cmp);
    let below = drawn.partition_point(|drawn| *drawn < value);
    let equal = drawn.partition_point(|drawn| *drawn <= value) - below;
    let count = drawn.len() as f64;
    let bias = normal_quantile(((below as f64 + equal as f64 / 2.0) / count).clamp(0.5 / count, 1.0 - 0.5 / count));
    let share = |tail: f64| normal(bias + (bias + tail) / (1.0 - acceleration * (bias + tail)).max(0.01));
    // Which value from an end has this share beyond it; Efron and Tibshirani 1993, section 12.5.
    let place = |share: f64| (((count + 1.0) * share).floor() as usize).clamp(1, drawn.len());
    [drawn[place(share(-reach)) - 1], drawn[drawn.len() - place(1.0 - share(reach))]]
}

/// How far from 0 Student's distribution of so many degrees of freedom, one or more, has 2.5 % beyond; Abramowitz and
/// Stegun 1964, formula 26.7.5.
fn student_quantile(freedom: f64) -> f64 {
    let of = |factors: [f64; 4]| {
        let [seventh, fifth, third, first] = factors;
        seventh * REACH.powi(7) + fifth * REACH.powi(5) + third * REACH.powi(3) + first * REACH
    };
    let terms = [
        of([0.0, 0.0, 1.0, 1.0]) / (4.0 * freedom),
        of([0.0, 5.0, 16.0, 3.0]) / (96.0 * freedom.powi(2)),
        of([3.0, 19.0, 17.0, -15.0]) / (384.0 * freedom.powi(3)),
    ];
    REACH + terms.iter().sum::<f64>()
}

/// The share of the normal distribution below `x`; Abramowitz and Stegun 1964, formula 7.1.26.
fn normal(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let factors = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let above = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t) * (-z * z).exp() / 2.0;
    if x < 0.0 { above } else { 1.0 - above }
}

/// Below which a share of the normal distribution is.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if normal(middle) < share { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

fn add(sum: &mut [f64], row: &[f64]) {
    sum.iter_mut().zip(row).for_each(|(sum, figure)| *sum += figure);
}

fn value(sums: &[f64], Ratio { above, below }: Ratio) -> Option<f64> {
    (sums[below] != 0.0).then(|| sums[above] / sums[below])
}

/// What a difference comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval lies within the margin on both sides of 0: whichever is larger, it does not matter.
    NoDifference,
    /// The interval lies above 0.
    More,
    /// The interval lies below 0.
    Less,
    /// The interval holds 0 and reaches beyond the margin: more documents would tell.
    Undecided,
}

impl Verdict {
    /// Of a relative difference, by the margin that matters.
    ///
    /// ```
    /// use ciyuan::evaluate::{Estimate, Verdict};
    /// let of = |interval| Verdict::of(&Estimate { value: 0.0, interval }, 0.005);
    /// assert_eq!(of(Some([-0.004, 0.003])), Verdict::NoDifference);
    /// assert_eq!(of(Some([0.001, 0.004])), Verdict::NoDifference);
    /// assert_eq!(of(Some([0.001, 0.006])), Verdict::More);
    /// assert_eq!(of(Some([-0.02, -0.01])), Verdict::Less);
    /// assert_eq!(of(Some([-0.02, 0.01])), Verdict::Undecided);
    /// assert_eq!(of(None), Verdict::Undecided);
    /// ```
    #[must_use]
    pub fn of(difference: &Estimate, margin: f64) -> Self {
        match difference.interval {
            Some([low, high]) if -margin <= low && high <= margin => Self::NoDifference,
            Some([low, _]) if low > 0.0 => Self::More,
            Some([_, high]) if high < 0.0 => Self::Less,
            _ => Self::Undecided,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Ratio = Ratio { above: 0, below: 1 };
    const SECOND: Ratio = Ratio { above: 2, below: 1 };

    /// Uniform numbers from 0 to 1.
    struct Uniform(Xoshiro256PlusPlus);

    impl Uniform {
        fn new(seed: u64) -> Self {
            Self(Xoshiro256PlusPlus::seed_from_u64(seed))
        }

        fn next(&mut self) -> f64 {
            (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// Documents of uneven length, of which two tokenizers make tokens; in the mean 0.3 and `0.3 * factor` a byte.
    fn rows(random: &mut Uniform, documents: usize, factor: f64) -> Vec<f64> {
        let row = |_| {
            let bytes = 50.0 + 2000.0 * random.next().powi(3);
            let hard = 0.5 + random.next();
            let mut tokens = |mean: f64| bytes * mean * hard * (0.8 + 0.4 * random.next());
            [tokens(0.3), bytes, tokens(0.3 * factor)]
        };
        (0..documents).flat_map(row).collect()
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let (mut held, mut differences) = (0, 0);
        const RUNS: usize = 2000;
        for run in 0..RUNS {
            let bootstrap = Bootstrap::new(&rows(&mut Uniform::new(run as u64), 150, 1.1), 3, run as u64);
            let within = |estimate: Option<Estimate>, truth: f64| {
                let [low, high] = estimate.unwrap().interval.unwrap();
                usize::from((low..=high).contains(&truth))
            };
            held += within(bootstrap.estimate(FIRST), 0.3);
            differences += within(bootstrap.difference(FIRST, SECOND), 0.1);
        }
        // 93 to 97 %.
        assert!((1860..=1940).contains(&held), "{held} of {RUNS}");
        assert!((1860..=1940).contains(&differences), "{differences} of {RUNS}");
    }

    #[test]
    fn equal_tokenizers_are_seldom_told_apart() {
        let (mut alarms, mut alike) = (0, 0);
        for run in 0..400 {
            // A standard error is 1.4 %: an interval that leaves 10 % is one that lies five of them from 0.
            let bootstrap = Bootstrap::new(&rows(&mut Uniform::new(5000 + run), 300, 1.0), 3, run);
            let difference = bootstrap.difference(FIRST, SECOND).unwrap();
            alarms += u32::from(matches!(Verdict::of(&difference, 0.005), Verdict::More | Verdict::Less));
            alike += u32::from(Verdict::of(&difference, 0.1) == Verdict::NoDifference);
        }
        assert!(alarms <= 32, "{alarms} of 400");
        assert_eq!(alike, 400);
    }

    #[test]
    fn pairs_are_told_apart_that_means_are_not() {
        // Documents differ by a factor of three, the tokenizers by one in a hundred.
        let bootstrap = Bootstrap::new(&rows(&mut Uniform::new(1), 300, 1.02), 3, 1);
        let [first, second] = [FIRST, SECOND].map(|ratio| bootstrap.estimate(ratio).unwrap().interval.unwrap());
        assert!(first[1] > second[0], "{first:?} {second:?}");
        assert_eq!(Verdict::of(&bootstrap.difference(FIRST, SECOND).unwrap(), 0.005), Verdict::More);
        assert_eq!(Verdict::of(&bootstrap.difference(SECOND, FIRST).unwrap(), 0.005), Verdict::Less);
    }

    #[test]
    fn the_normal_distribution() {
        for (x, share) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.959_964, 0.025), (3.0, 0.998_650_1)] {
            assert!((normal(x) - share).abs() < 2e-7, "{x}");
            assert!((normal_quantile(share) - x).abs() < 1e-4, "{share}");
        }
    }

    /// By tables.
    #[test]
    fn the_distribution_of_student() {
        for (freedom, wanted) in [(10.0, 2.228_139), (30.0, 2.042_272), (100.0, 1.983_972), (1e12, REACH)] {
            assert!((student_quantile(freedom) - wanted).abs() < 5e-4, "{freedom}");
        }
    }

    /// Without bias and acceleration, the 25th value from each end.
    #[test]
    fn a_plain_interval() {
        let drawn: Vec<f64> = (0..1000).map(f64::from).collect();
        let plain = Shape { acceleration: 0.0, reach: REACH };
        assert_eq!(interval(drawn.clone(), 499.5, plain), [24.0, 975.0]);
        // What reaches beyond all draws ends at the last ones.
        assert_eq!(interval(drawn, 499.5, Shape { reach: 9.0, ..plain }), [0.0, 999.0]);
    }

    #[test]
    fn shapes() {
        assert_eq!(Shape::of(&[0.5; 9]), Shape { acceleration: 0.0, reach: REACH });
        // Deviations of -3, 1, 1, 1: sums of 12, 24 (of what is taken away) and 84.
        let Shape { acceleration, reach } = Shape::of(&[7.0, 11.0, 11.0, 11.0]);
        assert!((acceleration - 24.0 / (6.0 * 12f64.powf(1.5))).abs() < 1e-12, "{acceleration}");
        // 288 / (84 - 36) is 6, and four groups have three degrees of freedom.
        assert!((reach - (4.0f64 / 3.0).sqrt() * student_quantile(3.0)).abs() < 1e-12, "{reach}");
        // Among a hundred groups, one of which makes all of the error, two degrees are left.
        let mut one = [0.0; 100];
        one[7] = 1.0;
        let freedom = 2.0 * 0.99 * 0.99 / (0.99f64.powi(4) + 99.0 * 0.01f64.powi(4) - 0.99 * 0.99 / 100.0);
        assert!((1.9..2.2).contains(&freedom), "{freedom}");
        assert!((Shape::of(&one).reach - (100.0f64 / 99.0).sqrt() * student_quantile(freedom)).abs() < 1e-9);
    }

    #[test]
    fn figures() {
        let rows = [1.0, 2.0, 0.0, 3.0, 6.0, 0.0];
        let bootstrap = Bootstrap::new(&rows, 3, 7);
        assert_eq!(bootstrap.estimate(FIRST), Some(Estimate { value: 0.5, interval: Some([0.5, 0.5]) }));
        assert_eq!(bootstrap.estimate(Ratio { above: 0, below: 2 }), None);
        let single = Bootstrap::new(&rows[..3], 3, 7).estimate(FIRST);
        assert_eq!(single, Some(Estimate { value: 0.5, interval: None }));
        assert_eq!(Bootstrap::new(&[], 3, 7).estimate(FIRST), None);
    }

    #[test]
    fn seeds_and_groups() {
        let rows = rows(&mut Uniform::new(3), 3 * MOST_GROUPS, 1.0);
        let of = |seed| Bootstrap::new(&rows, 3, seed).estimate(FIRST).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1).interval, of(2).interval);
        let (tokens, bytes) = rows.chunks(3).fold((0.0, 0.0), |(tokens, bytes), row| (tokens + row[0], bytes + row[1]));
        assert!((of(1).value - tokens / bytes).abs() < 1e-9);
    }
}
