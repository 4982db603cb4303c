//! What every subcommand works with: threads, the progress bar, the flag that Ctrl-C sets, and the way results go out.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
}

impl Context {
    pub(super) fn new(common: &Common) -> Outcome<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(common.threads).build_global();
        pool.map_err(|error| Failure::Usage(format!("--threads {}: {error}", common.threads)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        // The first signal asks the work to end at the next good place, the second does not wait.
        let set = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                #[allow(clippy::exit)]
                std::process::exit(130);
            }
        });
        set.map_err(|error| Failure::Usage(format!("cannot listen for Ctrl-C: {error}")))?;
        Ok(Self { json: common.json, bars: Bars::new(common.quiet), stop })
    }

    /// Runs `work` with a progress that is shown on a terminal.
    pub(super) fn with_progress<T>(&self, work: impl FnOnce(&Progress<'_>) -> ciyuan::Result<T>) -> Outcome<T> {
        let tell = |event| self.bars.tell(event);
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
