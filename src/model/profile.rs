//! Where the time of training goes, by part.
//!
//! The room reads no clock: who wants to know hands one in. Each lane asks it between two parts, and gives the time since
//! it last asked to the part that has ended, so that nothing is missed and nothing counted twice. Without a clock, each
//! such place costs one comparison.

use serde::Serialize;

/// Seconds since some moment, which never go back.
pub type Clock = fn() -> f64;

/// What time is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    MatrixMultiply,
    Attention,
    Elementwise,
    Head,
    Optimizer,
}

const PARTS: usize = 5;

/// Seconds of training by part, as the clock on the wall shows them: where lanes ran at the same time, their time is
/// shared out by what each part took in all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Profile {
    /// Products of activations and matrices inside the layers, with their gradients.
    pub matrix_multiply: f64,
    /// Attention.
    pub attention: f64,
    /// Norms, activations, embeddings, positions.
    pub elementwise: f64,
    /// The output matrix and the loss.
    pub head: f64,
    /// Adding up gradients, clipping and moving the parameters.
    pub optimizer: f64,
}

impl Profile {
    /// The parts with their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, f64); PARTS] {
        [
            ("matrix multiply", self.matrix_multiply),
            ("attention", self.attention),
            ("elementwise", self.elementwise),
            ("head", self.head),
            ("optimizer", self.optimizer),
        ]
    }

    fn of(&mut self, part: Part) -> &mut f64 {
        match part {
            Part::MatrixMultiply => &mut self.matrix_multiply,
            Part::Attention => &mut self.attention,
            Part::Elementwise => &mut self.elementwise,
            Part::Head => &mut self.head,
            Part::Optimizer => &mut self.optimizer,
        }
    }

    /// Adds `seconds`, shared out as the time in `lanes` is.
    pub(super) fn share_out<'l>(&mut self, seconds: f64, lanes: impl Iterator<Item = &'l mut Laps>) {
        let mut sum = Self::default();
        for lane in lanes {
            let spent = std::mem::take(&mut lane.spent);
            for part in ALL {
                *sum.of(part) += *{ spent }.of(part);
            }
        }
        let all: f64 = sum.parts().iter().map(|(_, seconds)| seconds).sum();
        if all > 0.0 {
            ALL.into_iter().for_each(|part| *self.of(part) += seconds * *sum.of(part) / all);
        }
    }

    /// Adds `seconds` to a part.
    pub(super) fn add(&mut self, part: Part, seconds: f64) {
        *self.of(part) += seconds;
    }
}

const ALL: [Part; PARTS] = [Part::MatrixMultiply, Part::Attention, Part::Elementwise, Part::Head, Part::Optimizer];

/// A clock that is asked between parts, and what each has taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Laps {
    clock: Option<Clock>,
    last: f64,
    spent: Profile,
}

impl Laps {
    /// Begins to count, if there is a clock.
    pub(super) fn begin(&mut self, clock: Option<Clock>) {
        (self.clock, self.last) = (clock, clock.map_or(0.0, |clock| clock()));
    }

    /// Gives the time since the last call to the part that has ended.
    pub(super) fn end(&mut self, part: Part) {
        if let Some(clock) = self.clock {
            let now = clock();
            *self.spent.of(part) += now - self.last;
            self.last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local!(static NOW: Cell<f64> = const { Cell::new(0.0) });

    /// Each look at it takes a second.
    fn slow() -> f64 {
        NOW.set(NOW.get() + 1.0);
        NOW.get()
    }

    #[test]
    fn time_goes_to_the_part_that_ended() {
        let mut lanes = [Laps::default(), Laps::default(), Laps::default()];
        lanes[0].begin(Some(slow));
        lanes[1].begin(Some(slow));
        for part in [Part::Attention, Part::Head, Part::Head] {
            lanes[0].end(part);
        }
        lanes[1].end(Part::MatrixMultiply);
        lanes[2].end(Part::Elementwise);
        let mut profile = Profile::default();
        profile.share_out(4.0, lanes.iter_mut());
        // Of the first lane 2 (the second asked in between), 1 and 1 seconds, 4 of the second, none without a clock.
        assert_eq!(profile, Profile { matrix_multiply: 2.0, attention: 1.0, head: 1.0, ..Profile::default() });
        profile.share_out(4.0, lanes.iter_mut());
        profile.add(Part::Optimizer, 0.5);
        let all: f64 = profile.parts().iter().map(|(_, seconds)| seconds).sum();
        assert_eq!(all, 4.5);
    }
}
