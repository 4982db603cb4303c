//! What the pipeline tells its caller while it works, and how it is stopped.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// What a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of input files.
    Bytes,
    /// Merges.
    Merges,
    /// Training steps.
    Steps,
    /// Documents.
    Documents,
    /// Files.
    Files,
    /// Trainings of a model.
    Trainings,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A stage begins; `total` is 0 when it is not known.
    Stage {
        /// Its name.
        name: &'static str,
        /// How much there is to do.
        total: u64,
        /// Of what.
        unit: Unit,
    },
    /// So much of the stage is done.
    Done(u64),
    /// A figure to show beside the stage, such as the loss.
    Figure(String),
    /// Something that a person should know.
    Note(String),
    /// From here on a stop is worth waiting for: what was done is kept when the work ends. Before, ending the process
    /// loses no more than ending the work.
    Keeps,
}

/// Where events go, and the flag that stops the work.
#[derive(Clone, Copy)]
pub struct Progress<'p> {
    tell: &'p (dyn Fn(Event) + Sync),
    stop: &'p AtomicBool,
}

static NEVER: AtomicBool = AtomicBool::new(false);

impl<'p> Progress<'p> {
    /// Events go to `tell`; work ends soon after `stop` is set.
    pub fn new(tell: &'p (dyn Fn(Event) + Sync), stop: &'p AtomicBool) -> Self {
        Self { tell, stop }
    }

    /// Tells nobody and never stops.
    #[must_use]
    pub fn silent() -> Progress<'static> {
        Progress { tell: &|_| {}, stop: &NEVER }
    }

    pub(super) fn stage(&self, name: &'static str, total: u64, unit: Unit) {
        (self.tell)(Event::Stage { name, total, unit });
    }

    pub(super) fn done(&self, done: u64) {
        (self.tell)(Event::Done(done));
    }

    pub(super) fn figure(&self, text: String) {
        (self.tell)(Event::Figure(text));
    }

    pub(super) fn note(&self, text: String) {
        (self.tell)(Event::Note(text));
    }

    /// Says that what is done from here on is kept when the work is stopped.
    pub(super) fn keeps(&self) {
        (self.tell)(Event::Keeps);
    }

    /// An error when the work is to stop.
    pub(super) fn check(&self, stage: &'static str) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted { stage }) } else { Ok(()) }
    }

    /// The same for the callbacks of other rooms.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
