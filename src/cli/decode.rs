//! `ciyuan decode`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use ciyuan::Error;

use super::args::TokenizerArgs;
use super::context::Context;
use super::failure::Outcome;
use super::ids::{Item, for_each_id};
use super::lines::or_stdin;

/// Ids to text: decimal numbers separated by white space, decoded as they are read
#[derive(clap::Args)]
#[command(after_help = "\
Example: echo 词元 | ciyuan tokenize -t out | ciyuan decode -t out
Example: ciyuan tokenize -t out --lines a.txt | ciyuan decode -t out --lines")]
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
    let vocab_size = tokenizer.spec().vocab_size();
    // What a token of a vocabulary of characters stands for depends on where it stands in its text, so a text is decoded
    // as a whole.
    let as_whole = tokenizer.spec().characters().is_some();
    let mut kept = Vec::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    for path in or_stdin(&args.inputs) {
        for_each_id(&path, |item| {
            match item {
                Item::Id { id, line, position } => {
                    let unknown = || Error::UnknownToken { id, position, vocab_size }.in_document(&path, line);
                    let token = tokenizer.token_bytes(id).ok_or_else(unknown)?;
                    if as_whole {
                        kept.push(id);
                    } else {
                        out.write_all(token)?;
                    }
                }
                Item::LineEnd if args.lines => {
                    out.write_all(&tokenizer.decode(&std::mem::take(&mut kept))?)?;
                    out.write_all(b"\n")?;
                }
                Item::LineEnd => {}
                Item::Pause => out.flush()?,
            }
            Ok(())
        })?;
        out.write_all(&tokenizer.decode(&std::mem::take(&mut kept))?)?;
    }
    out.flush()?;
    Ok(())
}
