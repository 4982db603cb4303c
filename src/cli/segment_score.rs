//! `ciyuan segment --score`: the words are counted against gold ones.

use std::path::{Path, PathBuf};

use ciyuan::Error;
use ciyuan::evaluate::{SegmentationScore, SentenceScore};

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::lines::for_each_line;
use super::segment::{Cut, cut_at};
use super::table::render;

/// Judges what `cut` does to the inputs, or without any to the text of the gold file.
pub(super) fn run(gold: &Path, inputs: &[PathBuf], seed: u64, cut: &Cut, context: &Context) -> Outcome {
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    if is_stdin(gold) && inputs.iter().any(|path| is_stdin(path)) {
        return Err(Failure::Usage("`-` is both GOLD and INPUT, but standard input can be read once only".to_owned()));
    }
    let gold_lines = lines_of(gold)?;
    if gold_lines.iter().all(|line| line.trim().is_empty()) {
        return Err(Error::NoGold { path: gold.to_owned() }.into());
    }
    let sentences = match inputs.is_empty() {
        true => cut_gold(gold, &gold_lines, cut)?,
        false => cut_inputs(&gold_lines, inputs, cut)?,
    };
    let score = SegmentationScore::of(&sentences, seed);
    context.show(&score, || text(&score))
}

fn lines_of(gold: &Path) -> Outcome<Vec<String>> {
    let mut lines = Vec::new();
    for_each_line(&[gold.to_owned()], |line| {
        lines.push(without_mark(line.text, line.number).to_owned());
        Ok(())
    })?;
    Ok(lines)
}

/// A byte order mark at the head of a file is no part of its first sentence.
fn without_mark(line: &str, number: u64) -> &str {
    if number == 1 { line.strip_prefix('\u{FEFF}').unwrap_or(line) } else { line }
}

fn words_of(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Each gold line without its white space, cut again.
fn cut_gold(path: &Path, lines: &[String], cut: &Cut) -> Outcome<Vec<SentenceScore>> {
    let mut sentences = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let gold = words_of(line);
        let text = gold.concat();
        let words: Vec<&str> = cut_at(cut, &text, path, number)?.into_iter().map(|range| &text[range]).collect();
        add(&mut sentences, &gold, &words, path, number)?;
    }
    Ok(sentences)
}

/// The lines of the inputs, one after another, each against the gold line of the same number.
fn cut_inputs(gold: &[String], inputs: &[PathBuf], cut: &Cut) -> Outcome<Vec<SentenceScore>> {
    let mut sentences = Vec::new();
    let mut gold = gold.iter();
    let mut last = (inputs[0].clone(), 0);
    for_each_line(inputs, |line| {
        let text = without_mark(line.text, line.number);
        let words: Vec<&str> =
            cut_at(cut, text, line.path, line.number)?.into_iter().map(|range| &text[range]).collect();
        // A line too many is judged by an empty one, a missing line below is taken as an empty one: only text matters.
        let gold = words_of(gold.next().map_or("", String::as_str));
        add(&mut sentences, &gold, &words, line.path, line.number)?;
        last = (line.path.to_owned(), line.number);
        Ok(())
    })?;
    for (number, line) in (last.1 + 1..).zip(gold) {
        add(&mut sentences, &words_of(line), &[], &last.0, number)?;
    }
    Ok(sentences)
}

fn add(sentences: &mut Vec<SentenceScore>, gold: &[&str], words: &[&str], path: &Path, number: u64) -> Outcome {
    let sentence = SentenceScore::of(gold, words).map_err(|error| error.in_document(path, number))?;
    if sentence.gold_words > 0 {
        sentences.push(sentence);
    }
    Ok(())
}

fn text(score: &SegmentationScore) -> String {
    let SegmentationScore { precision, recall, f1, f1_interval, gold_words, words, correct, sentences } = score;
    let head = ["sentences", "gold words", "words", "correct", "precision", "recall", "F1", "95 % interval of F1"];
    let mut row: Vec<String> = [sentences, gold_words, words, correct].map(u64::to_string).to_vec();
    row.extend([precision, recall, f1].map(|share| format!("{share:.4}")));
    row.push(match f1_interval {
        Some([low, high]) => format!("{low:.4} to {high:.4}"),
        None => "none, a single sentence has none".to_owned(),
    });
    render(&[head.map(str::to_owned).to_vec(), row])
}
