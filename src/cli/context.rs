//! What every subcommand works with: threads, the progress bar, the flag that Ctrl-C sets, and the way results go out.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ciyuan::Error;
use ciyuan::pipeline::{Event, Progress};
use serde::Serialize;

use super::args::Common;
use super::failure::{Failure, Outcome};
use super::progress::Bars;

/// The surroundings of a subcommand.
pub(super) struct Context {
    /// Whether results are given as JSON.
    pub(super) json: bool,
    bars: Bars,
    stop: Arc<AtomicBool>,
    keeps: Arc<AtomicBool>,
}

/// How long the work has to end by itself when it is interrupted. Then the process ends as if it was killed, which is safe
/// at any moment (tests/crash): a document of a gigabyte is not looked into while it is encoded, nor a flush to the disk.
const GRACE: Duration = Duration::from_millis(700);

impl Context {
    pub(super) fn new(common: &Common) -> Outcome<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(common.threads).build_global();
        pool.map_err(|error| Failure::Usage(format!("--threads {}: {error}", common.threads)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let keeps = Arc::new(AtomicBool::new(false));
        let (stopped, kept) = (stop.clone(), keeps.clone());
        // The first signal asks the work to end at the next good place, the second does not wait.
        let set = ctrlc::set_handler(move || match stopped.swap(true, Ordering::Relaxed) {
            true => leave(),
            false => drop(std::thread::spawn(end_after_grace(kept.clone()))),
        });
        set.map_err(|error| Failure::Usage(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok(Self { json: common.json, bars: Bars::new(common.quiet), stop, keeps })
    }

    /// Runs `work` with a progress that is shown on a terminal.
    pub(super) fn with_progress<T>(&self, work: impl FnOnce(&Progress<'_>) -> ciyuan::Result<T>) -> Outcome<T> {
        let tell = |event| match event {
            Event::Keeps => self.keeps.store(true, Ordering::Relaxed),
            event => self.bars.tell(event),
        };
        let result = work(&Progress::new(&tell, &self.stop));
        self.bars.clear();
        Ok(result?)
    }

    /// Tells something on standard error.
    pub(super) fn note(&self, text: &str) {
        self.bars.tell(Event::Note(text.to_owned()));
    }

    /// Whether the work is to stop.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Writes a result: as JSON if that was asked for, else as text.
    pub(super) fn show(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Outcome {
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, value).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
        } else {
            out.write_all(text().as_bytes())?;
        }
        out.flush()?;
        Ok(())
    }
}

/// Ends the process if the work does not end by itself, and has nothing to keep.
fn end_after_grace(keeps: Arc<AtomicBool>) -> impl FnOnce() + Send {
    move || {
        std::thread::sleep(GRACE);
        if !keeps.load(Ordering::Relaxed) {
            Failure::Library(Error::Interrupted { stage: "working" }).report();
            leave();
        }
    }
}

fn leave() {
    #[allow(clippy::exit)]
    std::process::exit(130);
}
