//! The report as text for a terminal.

use std::fmt::Write;

use super::report::{LanguageReport, Report};
use crate::shard::Tally;

/// The report in some forty lines, for people.
#[must_use]
pub fn to_text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(report, &mut out);
    out
}

/// What went in and where it is, with grouped digits.
pub(super) fn accounted(tally: &Tally) -> String {
    let [entered, left, rejected] = [tally.entered, tally.left, tally.rejected].map(grouped);
    let mut text = format!("{entered} in = {left} out + {rejected} rejected");
    for (number, what) in [(tally.filtered, "filtered"), (tally.deduplicated, "deduplicated")] {
        if number > 0 {
            text.push_str(&format!(" + {} {what}", grouped(number)));
        }
    }
    text
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    let input = &report.input;
    writeln!(out, "input       {} files{}", grouped(input.files), skipped(&input.skipped))?;
    for (what, tally) in [("documents", &input.documents), ("bytes", &input.bytes)] {
        writeln!(out, "{what:<12}{}", tally.balance(grouped))?;
    }
    if input.repaired_bytes > 0 {
        writeln!(out, "            {} invalid bytes repaired", grouped(input.repaired_bytes))?;
    }
    for line in input.cleaning.lines() {
        writeln!(out, "            {line}")?;
    }
    let tokenizer = &report.tokenizer;
    writeln!(
        out,
        "tokenizer   {} tokens, pattern {}, Chinese: {}",
        grouped(u64::from(tokenizer.vocab_size)),
        tokenizer.pattern,
        tokenizer.han
    )?;
    for (what, corpus) in [("train", &report.train), ("held out", &report.val)] {
        let [shards, documents, tokens, bytes] =
            [corpus.shards, corpus.documents, corpus.tokens, corpus.bytes].map(grouped);
        writeln!(out, "{what:<12}{shards} shards, {documents} documents, {bytes} bytes, {tokens} tokens")?;
    }
    let model = &report.model;
    let gpt = &model.gpt;
    writeln!(
        out,
        "model       GPT of {} parameters ({} layers, {} heads, width {}, context {})",
        grouped(model.parameters),
        gpt.layers,
        gpt.heads,
        gpt.width,
        gpt.context
    )?;
    let first = model.steps.first().map_or(0.0, |step| step.loss);
    writeln!(
        out,
        "training    {} steps, {} tokens, loss {first:.3} -> {:.3} nats a token",
        grouped(model.steps.len() as u64),
        grouped(model.tokens),
        model.final_loss()
    )?;
    out.push('\n');
    languages(report, out)?;
    for sample in &report.samples {
        writeln!(out, "\n{}: {} >>>{}", sample.language, one_line(&sample.prompt), one_line(&sample.continuation))?;
    }
    Ok(())
}

fn languages(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.languages.is_empty() {
        return writeln!(
            out,
            "No document was held out, so there are no bits per byte; give more documents or a larger --val."
        );
    }
    writeln!(
        out,
        "{:<10}{:>10}{:>12}{:>12} | {:>12}{:>10}{:>10}{:>10}",
        "held out", "documents", "bytes", "bytes/token", "bits/byte", "zstd -19", "xz -9", "unigram"
    )?;
    let mut row = |row: &LanguageReport| {
        let anchors = &row.anchors;
        writeln!(
            out,
            "{:<10}{:>10}{:>12}{:>12.2} | {:>12.3}{:>10.3}{:>10.3}{:>10.3}",
            row.language,
            grouped(row.documents),
            grouped(row.bytes),
            row.bytes_per_token,
            row.bits_per_byte,
            anchors.zstd,
            anchors.xz,
            anchors.unigram
        )
    };
    report.languages.iter().chain(&report.all).try_for_each(&mut row)
}

fn skipped(names: &[String]) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(", {} skipped: {}", grouped(names.len() as u64), shortened(names))
    }
}

/// The first of many names, and how many more there are.
#[must_use]
pub fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Digits in threes.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn one_line(text: &str) -> String {
    text.replace('\n', "⏎").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_shortened() {
        let names: Vec<String> = (1..=7).map(|n| n.to_string()).collect();
        assert_eq!(
            (shortened(&names[..5]), shortened(&names)),
            ("1, 2, 3, 4, 5".into(), "1, 2, 3, 4, 5 and 2 more".into())
        );
    }

    #[test]
    fn digits_in_threes() {
        assert_eq!(
            [0, 7, 999, 1000, 123_456, 1_234_567].map(grouped),
            ["0", "7", "999", "1,000", "123,456", "1,234,567"]
        );
    }
}
