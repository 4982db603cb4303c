//! `ciyuan segment --stats`: what the spans of a text are like.

use std::path::PathBuf;

use ciyuan::evaluate::{SpanCounter, SpanFigures, SpanReport};

use super::context::Context;
use super::failure::Outcome;
use super::lines::{or_stdin, whole};
use super::segment::{Cut, cut_at};
use super::table::render;

/// Counts what `cut` makes of the inputs. Each is cut as a whole, as the encoder cuts documents, and held in memory.
pub(super) fn run(inputs: &[PathBuf], cut: &Cut, context: &Context) -> Outcome {
    let mut counter = SpanCounter::default();
    for path in or_stdin(inputs) {
        let text = whole(&path)?;
        for range in cut_at(cut, &text, &path, 0)? {
            counter.add(&text[range]);
        }
    }
    let report = counter.report();
    context.show(&report, || text(&report))
}

fn text(report: &SpanReport) -> String {
    type Cell = fn(&SpanFigures) -> String;
    let rows: [(&str, Cell); 8] = [
        ("spans", |figures| figures.spans.to_string()),
        ("distinct", |figures| figures.distinct.to_string()),
        ("bytes", |figures| figures.bytes.to_string()),
        ("mean length in characters", |figures| format!("{:.2}", figures.mean_length)),
        ("99 % are no longer than", |figures| figures.p99_length.to_string()),
        ("longest", |figures| figures.longest.to_string()),
        ("spans seen before", |figures| percent(figures.repeated)),
        ("bytes seen before", |figures| percent(figures.repeated_bytes)),
    ];
    let mut cells = vec![["", "all", "all Han"].map(str::to_owned).to_vec()];
    cells.extend(rows.map(|(name, cell)| vec![name.to_owned(), cell(&report.all), cell(&report.han)]));
    let SpanReport { characters, han_characters, han_share, .. } = report;
    format!("{}{han_characters} of {characters} characters are Han, {}\n", render(&cells), percent(*han_share))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
