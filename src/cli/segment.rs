//! `ciyuan segment`.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ciyuan::segment::{DEFAULT_PATTERN, HanEdges, Pattern, Segmenter};
use serde::Serialize;

use super::colour::{self, When};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::lines::for_each_line;
use super::{segment_score, segment_stats};

/// Text to Chinese words or pre-tokens: one line out for each line in, parts joined by `/`
#[derive(clap::Args)]
#[command(after_help = "\
Example: echo 我们学习语言模型 | ciyuan segment
Example: ciyuan segment --mode pretokens --pattern qwen2 --json a.txt
Example: ciyuan segment --one-per-line a.txt | sort | uniq -c
Example: ciyuan segment --mode hmm --score pku_test_gold.utf8
Example: ciyuan segment --mode pretokens --stats a.txt b.txt")]
pub(super) struct Args {
    /// Files; standard input where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Dictionary words, words with jieba's hidden Markov model, words for search, every word there is, pre-tokens, or
    /// characters
    #[arg(long, default_value = "words", value_parser = ["words", "hmm", "search", "all", "pretokens", "chars"])]
    mode: String,
    /// Look traditional characters up through their simplified form, or as they are
    #[arg(long, default_value = "simplified", value_parser = ["simplified", "none"])]
    fold: String,
    /// Words of your own: `word [frequency] [tag]` a line, as jieba reads them, the frequency 0 deletes a word; may be given several times
    #[arg(long, value_name = "FILE")]
    user_dict: Vec<PathBuf>,
    /// Pattern of the pre-tokens: a name, a regular expression, or the pre_tokenizer of a tokenizer.json. What it takes
    /// out of the text is not shown
    #[arg(long, default_value = DEFAULT_PATTERN, value_name = "NAME|REGEX")]
    pattern: String,
    /// What stands between the parts of a line. It is not escaped where it stands in the text too: to tell the two
    /// apart, use one that the text cannot hold, as in `--separator "$(printf '\037')"`, or --one-per-line, or --json
    #[arg(long, default_value = "/", value_name = "TEXT", allow_hyphen_values = true, help_heading = "Output")]
    separator: String,
    /// Give each part a line of its own, without separators, and nothing at the ends of lines
    #[arg(long, help_heading = "Output")]
    one_per_line: bool,
    /// Show the parts on backgrounds of alternate colours. `ciyuan segment --color=always a.txt | less -R`
    #[arg(long, default_value = "auto", default_missing_value = "always", num_args = 0..=1, value_name = "WHEN", help_heading = "Output")]
    color: When,
    /// Count the words against those of GOLD, a sentence a line with white space between words, as in the SIGHAN
    /// bakeoffs: precision, recall, F1. Without an INPUT the text of GOLD is cut, without its white space; else the
    /// lines of the inputs, which must be the same text
    #[arg(long, value_name = "GOLD", conflicts_with = "stats", help_heading = "Judging")]
    score: Option<PathBuf>,
    /// Start of the random numbers that resample sentences for the interval of F1
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Judging")]
    seed: u64,
    /// Tell of the spans (words or pre-tokens) how many there are, how long, and how many were seen before, instead of
    /// the spans. Each INPUT is cut as a whole, line ends included; all different spans are kept in memory
    #[arg(long, help_heading = "Judging")]
    stats: bool,
}

/// A line as JSON.
#[derive(Serialize)]
struct Words<'l> {
    words: Vec<&'l str>,
    /// First and one past the last byte of each word in the line.
    offsets: Vec<[usize; 2]>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let judged = args.score.is_some() || args.stats;
    if judged && matches!(args.mode.as_str(), "search" | "all") {
        return Err(Failure::Usage(format!(
            "--mode {} gives words that overlap, which --score and --stats cannot count; use words, hmm, pretokens or chars",
            args.mode
        )));
    }
    let cut = cutter(args)?;
    match &args.score {
        Some(gold) => segment_score::run(gold, &args.inputs, args.seed, &cut, context),
        None if args.stats => segment_stats::run(&args.inputs, &cut, context),
        None => cut_lines(args, &cut, context),
    }
}

fn cut_lines(args: &Args, cut: &Cut, context: &Context) -> Outcome {
    let form = Form { json: context.json, colour: args.color.now(), args };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for_each_line(&args.inputs, |line| {
        form.write(&mut out, line.text, &cut_at(cut, line.text, line.path, line.number)?)?;
        if line.pause {
            out.flush()?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(())
}

/// Cuts a line of a file, or with number 0 all of it; an error tells where it stands.
pub(super) fn cut_at(cut: &Cut, text: &str, path: &Path, number: u64) -> Outcome<Vec<Range<usize>>> {
    Ok(cut(text).map_err(|error| error.in_document(path, number))?)
}

/// How a line that was cut goes out.
struct Form<'a> {
    json: bool,
    colour: bool,
    args: &'a Args,
}

impl Form<'_> {
    fn write(&self, out: &mut impl Write, line: &str, parts: &[Range<usize>]) -> std::io::Result<()> {
        if self.json {
            let words = parts.iter().map(|range| &line[range.clone()]).collect();
            let offsets = parts.iter().map(|range| [range.start, range.end]).collect();
            serde_json::to_writer(&mut *out, &Words { words, offsets })?;
            return out.write_all(b"\n");
        }
        for (at, range) in parts.iter().enumerate() {
            if at > 0 && !self.args.one_per_line {
                out.write_all(self.args.separator.as_bytes())?;
            }
            match self.colour {
                true => colour::write_piece(out, at, &line[range.clone()])?,
                false => out.write_all(line[range.clone()].as_bytes())?,
            }
            if self.args.one_per_line {
                out.write_all(b"\n")?;
            }
        }
        if self.args.one_per_line { Ok(()) } else { out.write_all(b"\n") }
    }
}

/// What cuts a text.
pub(super) type Cut = Box<dyn Fn(&str) -> ciyuan::Result<Vec<Range<usize>>>>;

fn cutter(args: &Args) -> Outcome<Cut> {
    let pattern = match args.mode.as_str() {
        "pretokens" => Pattern::parse(&args.pattern)?,
        "chars" => Pattern::characters(),
        _ => return words(args),
    };
    if !args.user_dict.is_empty() {
        return Err(Failure::Usage(format!(
            "--user-dict is for words, but --mode {} gives none; leave one out",
            args.mode
        )));
    }
    let segmenter = Segmenter::new(pattern, HanEdges::None)?;
    Ok(Box::new(move |line| {
        let (mut ends, mut dropped) = (Vec::new(), Vec::new());
        segmenter.spans_and_dropped(line, &mut ends, &mut dropped)?;
        let mut start = 0;
        let mut dropped = dropped.into_iter().peekable();
        let ranges = (0..).zip(ends).filter_map(|(at, end)| {
            let range = std::mem::replace(&mut start, end as usize)..end as usize;
            dropped.next_if_eq(&at).is_none().then_some(range)
        });
        Ok(ranges.collect())
    }))
}

#[cfg(feature = "chinese")]
fn words(args: &Args) -> Outcome<Cut> {
    use ciyuan::segment::{Fold, WordMode};
    let mode = match args.mode.as_str() {
        "hmm" => WordMode::Hmm,
        "search" => WordMode::Search,
        "all" => WordMode::All,
        _ => WordMode::Words,
    };
    let fold = if args.fold == "none" { Fold::None } else { Fold::Simplified };
    let dictionary = ciyuan::pipeline::load_dictionary(fold, &args.user_dict)?;
    Ok(Box::new(move |line| Ok(dictionary.words(line, mode))))
}

#[cfg(not(feature = "chinese"))]
fn words(_: &Args) -> Outcome<Cut> {
    Err(ciyuan::Error::Feature { feature: "chinese", what: "cutting Chinese into words" }.into())
}
