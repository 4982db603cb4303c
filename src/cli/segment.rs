//! `ciyuan segment`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use ciyuan::segment::{DEFAULT_PATTERN, HanEdges, Pattern, Segmenter};
use serde::Serialize;

use super::context::Context;
use super::failure::{Failure, Outcome};
use super::lines::for_each_line;

/// Text to Chinese words or pre-tokens: one line out for each line in, parts joined by `/`
#[derive(clap::Args)]
#[command(after_help = "Example: echo 我们学习语言模型 | ciyuan segment")]
pub(super) struct Args {
    /// Files; standard input where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Dictionary words, words with jieba's hidden Markov model, words for search, every word there is, or pre-tokens
    #[arg(long, default_value = "words", value_parser = ["words", "hmm", "search", "all", "pretokens"])]
    mode: String,
    /// Look traditional characters up through their simplified form, or as they are
    #[arg(long, default_value = "simplified", value_parser = ["simplified", "none"])]
    fold: String,
    /// Words of your own: `word [frequency] [tag]` a line, as jieba reads them, the frequency 0 deletes a word; may be given several times
    #[arg(long, value_name = "FILE")]
    user_dict: Vec<PathBuf>,
    /// Pattern of the pre-tokens: a name, or a regular expression
    #[arg(long, default_value = DEFAULT_PATTERN, value_name = "NAME|REGEX")]
    pattern: String,
}

#[derive(Serialize)]
struct Line<'l> {
    words: Vec<&'l str>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let cut = cutter(args)?;
    for_each_line(&args.inputs, |line| {
        let words: Vec<&str> = cut(line)?.into_iter().map(|range| &line[range]).collect();
        if context.json {
            serde_json::to_writer(&mut out, &Line { words }).map_err(std::io::Error::from)?;
        } else {
            out.write_all(words.join("/").as_bytes())?;
        }
        out.write_all(b"\n")?;
        Ok(())
    })?;
    out.flush()?;
    Ok(())
}

type Cut = Box<dyn Fn(&str) -> Outcome<Vec<std::ops::Range<usize>>>>;

/// What cuts a line.
fn cutter(args: &Args) -> Outcome<Cut> {
    if args.mode != "pretokens" {
        return words(args);
    }
    if !args.user_dict.is_empty() {
        return Err(Failure::Usage(
            "--user-dict is for words, but --mode pretokens gives none; leave one out".to_owned(),
        ));
    }
    let segmenter = Segmenter::new(Pattern::parse(&args.pattern)?, HanEdges::None)?;
    Ok(Box::new(move |line| {
        let mut ends = Vec::new();
        segmenter.spans(line, &mut ends)?;
        let mut start = 0;
        Ok(ends.into_iter().map(|end| std::mem::replace(&mut start, end as usize)..end as usize).collect())
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
