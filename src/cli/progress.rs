//! Progress bars on a terminal, notes on standard error.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use ciyuan::pipeline::{Event, Unit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The bar of the stage that is going on.
pub(super) struct Bars {
    quiet: bool,
    visible: bool,
    bar: Mutex<ProgressBar>,
}

impl Bars {
    pub(super) fn new(quiet: bool) -> Self {
        let visible = !quiet && std::io::stderr().is_terminal();
        Self { quiet, visible, bar: Mutex::new(ProgressBar::hidden()) }
    }

    pub(super) fn tell(&self, event: Event) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Stage { name, total, unit } if self.visible => {
                bar.finish_and_clear();
                *bar = new_bar(name, total, unit);
            }
            Event::Stage { .. } => {}
            Event::Done(done) => bar.set_position(done),
            Event::Figure(text) => bar.set_message(text),
            Event::Note(text) if !self.quiet => bar.suspend(|| {
                // A note that cannot be shown is lost; there is nobody to tell.
                let _ = writeln!(std::io::stderr(), "ciyuan: {text}");
            }),
            Event::Note(_) | Event::Keeps => {}
        }
    }

    pub(super) fn clear(&self) {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).finish_and_clear();
    }
}

fn new_bar(name: &'static str, total: u64, unit: Unit) -> ProgressBar {
    let counts = match unit {
        Unit::Bytes => "{decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}",
        Unit::Merges | Unit::Steps | Unit::Documents | Unit::Files | Unit::Trainings => "{human_pos}/{human_len}",
    };
    let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    let template = match total {
        0 => "{prefix:20} {spinner} {human_pos} {msg} [{elapsed}]".to_owned(),
        _ => format!("{{prefix:20}} {{bar:30}} {counts} {{msg}} [{{elapsed}}, {{eta}} left]"),
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_prefix(name)
}
