//! Telling how far learning is, often enough that it can be stopped within a second.

use std::ops::ControlFlow;

use crate::error::Error;

/// Cells that are looked at between two reports at the most, or little more.
pub(super) const WORK: usize = 1 << 22;

/// Tokens learned between two reports at the most.
const TOKENS: u64 = 64;

/// Who is told of what is done, and may stop it.
pub(super) struct Watch<'a> {
    progress: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    done: u64,
    most: u64,
    work: usize,
    told: u64,
}

/// What a part of learning gives.
pub(super) type Outcome<T> = Result<T, Halt>;

/// Why learning does not go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// Progress said that it is enough.
    Stopped,
    /// There was an error.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Watch<'a> {
    pub(super) fn new(progress: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>, done: usize, most: usize) -> Self {
        let (done, most) = (done as u64, most as u64);
        Self { progress, done, most, work: 0, told: done }
    }

    /// So many cells were looked at.
    pub(super) fn worked(&mut self, cells: usize) -> Outcome<()> {
        self.work += cells;
        if self.work < WORK && self.done < self.told + TOKENS {
            return Ok(());
        }
        (self.work, self.told) = (0, self.done);
        if (self.progress)(self.done, self.most).is_break() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// So many tokens are learned, the last one by a merge at so many places.
    pub(super) fn learned(&mut self, tokens: usize, places: usize) -> Outcome<()> {
        self.done = tokens as u64;
        // A place that is jumped to takes as long as some cells in a row.
        self.worked(8 * places)
    }
}
