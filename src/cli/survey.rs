//! What `ciyuan inspect INPUT` shows of a corpus.

use std::path::Path;

use ciyuan::pipeline::{Lengths, Sample, Survey};

use super::args::ReadArgs;
use super::context::Context;
use super::failure::Outcome;
use super::table::render;

/// The samples that are shown.
#[derive(clap::Args)]
pub(super) struct SurveyArgs {
    /// Documents to show, chosen at random (of a corpus)
    #[arg(long, default_value_t = 10, value_name = "N")]
    samples: usize,
    /// Start of the random numbers that choose them
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

/// Characters of a sample that a terminal is shown.
const SHOWN: usize = 200;

pub(super) fn run(path: &Path, args: &SurveyArgs, read: &ReadArgs, context: &Context) -> Outcome {
    let source = read.source(&[path.to_owned()], context)?;
    let (options, scratch) = (read.options(), std::env::temp_dir());
    let survey =
        context.with_progress(|progress| Survey::of(&source, &options, args.samples, args.seed, &scratch, progress))?;
    context.show(&survey, || text(&survey))
}

fn text(survey: &Survey) -> String {
    let mut out = format!(
        "files        {}\ndocuments    {}\nbytes        {}\ncharacters   {}\n",
        survey.files, survey.documents, survey.bytes, survey.characters
    );
    let mut row = |name: &str, value: String| out.push_str(&format!("{name:<13}{value}\n"));
    let all = survey.characters.max(1) as f64;
    let share = |(name, characters): (&&str, &u64)| format!("{name} {:.1} %", 100.0 * *characters as f64 / all);
    row("scripts", survey.scripts.iter().map(share).collect::<Vec<_>>().join(", "));
    let encodings = survey.encodings.iter().map(|(name, documents)| format!("{name} {documents}"));
    row("encodings", encodings.collect::<Vec<_>>().join(", "));
    row("marks", format!("{} byte order marks", survey.byte_order_marks));
    row("repaired", format!("{} invalid bytes", survey.repaired_bytes));
    row("duplicates", survey.duplicates.map_or_else(|| "not known".to_owned(), |number| number.to_string()));
    if let Some(longest) = &survey.longest {
        row("longest", format!("{}, line {}: {} characters", longest.file, longest.line, longest.characters));
    }
    for (why, records) in &survey.rejected {
        row("rejected", format!("{records}: {why}"));
    }
    for line in survey.cleaning.lines() {
        row("cleaning", line);
    }
    out.push('\n');
    out.push_str(&lengths(&survey.document_lengths, &survey.line_lengths));
    survey.samples.iter().for_each(|sample| out.push_str(&shown(sample)));
    out
}

/// How many documents and lines there are of each length.
fn lengths(documents: &Lengths, lines: &Lengths) -> String {
    let mut rows = vec![["characters", "documents", "lines"].map(str::to_owned).to_vec()];
    let last = |lengths: &Lengths| lengths.by_digits.iter().rposition(|number| *number > 0).unwrap_or(0);
    for digits in 0..=last(documents).max(last(lines)) {
        let range = match digits {
            0 => "0".to_owned(),
            1 => "1".to_owned(),
            _ => format!("{} to {}", 1u128 << (digits - 1), (1u128 << digits) - 1),
        };
        rows.push(vec![range, documents.by_digits[digits].to_string(), lines.by_digits[digits].to_string()]);
    }
    let mut row = |name: &str, of: fn(&Lengths) -> u64| {
        rows.push(vec![name.to_owned(), of(documents).to_string(), of(lines).to_string()]);
    };
    row("all", |lengths| lengths.count);
    row("least", |lengths| lengths.least);
    row("mean", |lengths| lengths.sum / lengths.count.max(1));
    row("greatest", |lengths| lengths.greatest);
    render(&rows)
}

fn shown(sample: &Sample) -> String {
    let Sample { place, text } = sample;
    let head: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let more = if place.characters > SHOWN as u64 { " …" } else { "" };
    format!("\n{}, line {}, {} characters\n  {head}{more}\n", place.file, place.line, place.characters)
}
