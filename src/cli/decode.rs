//! `ciyuan decode`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use ciyuan::Error;

use super::args::TokenizerArgs;
use super::context::Context;
use super::failure::Outcome;
use super::lines::{for_each_line, or_stdin, whole};

/// Ids to text: decimal numbers separated by white space
#[derive(clap::Args)]
#[command(after_help = "Example: echo 词元 | ciyuan tokenize -t out | ciyuan decode -t out")]
pub(super) struct Args {
    /// Files; standard input where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    tokenizer: TokenizerArgs,
    /// Decode each line by itself, and end it with a newline
    #[arg(long)]
    lines: bool,
}

pub(super) fn run(args: &Args, _: &Context) -> Outcome {
    let tokenizer = args.tokenizer.load()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.lines {
        for_each_line(&args.inputs, |line| {
            out.write_all(&tokenizer.decode(&ids(line.text)?)?)?;
            out.write_all(b"\n")?;
            Ok(())
        })?;
    } else {
        for path in or_stdin(&args.inputs) {
            out.write_all(&tokenizer.decode(&ids(&whole(&path)?)?)?)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn ids(text: &str) -> ciyuan::Result<Vec<u32>> {
    let offset = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    let id = |word: &str| {
        word.parse().map_err(|_| Error::NotAnId { word: word.chars().take(40).collect(), offset: offset(word) })
    };
    text.split_ascii_whitespace().map(id).collect()
}
