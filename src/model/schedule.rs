//! The learning rate of a step.

use serde::{Deserialize, Serialize};

/// The share of the steps over which [`Schedule::Wsd`] falls (Hägele et al. 2024 find little gain beyond 20 %; short
/// runs gain from more).
const DECAY: f64 = 0.4;

/// How the learning rate goes behind the warm-up, over which it rises linearly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Down to a tenth along half a cosine (Loshchilov and Hutter 2017).
    Cosine,
    /// Warm-up, stable, decay: constant, then down to 0 in a line over the last 40 % of the steps (Hu et al. 2024).
    Wsd,
}

impl Schedule {
    /// The factor of the highest learning rate at a step, counted from 1, of `steps`; `warmup` is a share of them.
    #[must_use]
    pub fn factor(self, step: u64, steps: u64, warmup: f64) -> f64 {
        let (step, steps) = (step as f64, steps as f64);
        let rise = (warmup * steps).max(1.0);
        let up = (step / rise).min(1.0);
        match self {
            Self::Cosine if step <= rise => up,
            Self::Cosine => {
                let fall = ((step - rise) / (steps - rise).max(1.0)).min(1.0);
                0.1 + 0.9 * 0.5 * (1.0 + (std::f64::consts::PI * fall).cos())
            }
            // The last step still moves: what is left counts it.
            Self::Wsd => up * ((steps - step + 1.0) / (DECAY * steps).max(1.0)).clamp(0.0, 1.0),
        }
    }
}

/// After how many steps of [`Schedule::Wsd`] the learning rate begins to fall in a training of `steps`. Up to there
/// trainings of all lengths are the same, but for their warm-up.
#[must_use]
pub fn decay_begins(steps: u64) -> u64 {
    ((1.0 - DECAY) * steps as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: Schedule) -> Vec<f64> {
        (1..=100).map(|step| schedule.factor(step, 100, 0.05)).collect()
    }

    #[test]
    fn cosine() {
        let factors = factors(Schedule::Cosine);
        assert!((factors[0] - 0.2).abs() < 1e-12 && (factors[4] - 1.0).abs() < 1e-12);
        // Half of the way between 1 and a tenth at half of the fall: step 52.5.
        assert!((f64::midpoint(factors[51], factors[52]) - 0.55).abs() < 1e-3);
        assert!((factors[99] - 0.1).abs() < 1e-12);
        assert!(factors[4..].windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn the_fall_begins_behind_the_steps_that_are_told() {
        for steps in 1..300 {
            let begins = decay_begins(steps);
            assert!(Schedule::Wsd.factor(begins + 1, steps, 0.0) == 1.0, "{steps}");
            assert!(Schedule::Wsd.factor(begins + 3, steps, 0.0) < 1.0 || steps < 4, "{steps}");
        }
    }

    #[test]
    fn warm_up_stable_decay() {
        let factors = factors(Schedule::Wsd);
        assert!((factors[0] - 0.2).abs() < 1e-12);
        assert!(factors[4..61].iter().all(|&factor| factor == 1.0), "{factors:?}");
        assert!((factors[80] - 0.5).abs() < 1e-12 && (factors[99] - 1.0 / 40.0).abs() < 1e-12, "{factors:?}");
        assert!(factors[60..].windows(2).all(|pair| pair[0] > pair[1]));
    }

    #[test]
    fn few_steps() {
        for schedule in [Schedule::Cosine, Schedule::Wsd] {
            for steps in 1..6 {
                for step in 1..=steps + 1 {
                    let factor = schedule.factor(step, steps, 0.05);
                    assert!(
                        (0.0..=1.0).contains(&factor) && (step > steps || factor > 0.0),
                        "{schedule:?} {step} of {steps}: {factor}"
                    );
                }
            }
        }
    }
}
