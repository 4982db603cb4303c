//! `ciyuan tokenize`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::ColouredPage;
use serde::Serialize;

use super::args::TokenizerArgs;
use super::colour::{self, When};
use super::context::Context;
use super::failure::Outcome;
use super::lines::{for_each_line, or_stdin, whole};

/// Text to ids: each input is one document, or with --lines each line
#[derive(clap::Args)]
#[command(after_help = "Example: echo 词元 | ciyuan tokenize -t out --color")]
pub(super) struct Args {
    /// Files; standard input where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    tokenizer: TokenizerArgs,
    /// Take each line as a document
    #[arg(long)]
    lines: bool,
    /// Special tokens that stand for themselves in the text, by commas; `all` for all. Others are ordinary text
    #[arg(long, value_name = "LIST|all")]
    allow_special: Option<String>,
    /// Show the text coloured by token instead of ids; `auto`: on a terminal only
    #[arg(long, default_value = "never", default_missing_value = "always", num_args = 0..=1, require_equals = true, value_name = "WHEN")]
    color: When,
}

/// A document as JSON.
#[derive(Serialize)]
struct Tokens {
    ids: Vec<u32>,
    /// First and one past the last byte of each token in the text.
    offsets: Vec<[usize; 2]>,
    /// The tokens' bytes as text; U+FFFD where a token is no whole character.
    pieces: Vec<String>,
    /// Of whole inputs, not of lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Seconds>,
}

#[derive(Serialize, Clone, Copy)]
struct Seconds {
    load: f64,
    read: f64,
    encode: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let tokenizer = args.tokenizer.load()?;
    let load = start.elapsed().as_secs_f64();
    let names: Vec<&str> = tokenizer.spec().special().iter().map(|(_, name)| name).collect();
    let allowed: Vec<&str> = match args.allow_special.as_deref() {
        None => Vec::new(),
        Some("all") => names,
        Some(list) => list.split(',').collect(),
    };
    let encode =
        |text: &str| if allowed.is_empty() { tokenizer.encode(text) } else { tokenizer.encode_with(text, &allowed) };
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.lines {
        for_each_line(&args.inputs, |line| write(&mut out, &tokenizer, &encode(line.text)?, None, args, context))?;
    } else {
        for path in or_stdin(&args.inputs) {
            let start = Instant::now();
            let text = whole(&path)?;
            let read = start.elapsed().as_secs_f64();
            let ids = encode(&text)?;
            let seconds = Seconds { load, read, encode: start.elapsed().as_secs_f64() - read };
            write(&mut out, &tokenizer, &ids, Some(seconds), args, context)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn write(
    out: &mut impl Write,
    tokenizer: &Tokenizer,
    ids: &[u32],
    seconds: Option<Seconds>,
    args: &Args,
    context: &Context,
) -> Outcome {
    if context.json {
        serde_json::to_writer(&mut *out, &tokens(tokenizer, ids, seconds)).map_err(std::io::Error::from)?;
    } else if args.color.now() {
        coloured(out, tokenizer, ids)?;
    } else {
        for (at, id) in ids.iter().enumerate() {
            write!(out, "{}{id}", if at > 0 { " " } else { "" })?;
        }
    }
    out.write_all(b"\n")?;
    Ok(())
}

fn tokens(tokenizer: &Tokenizer, ids: &[u32], seconds: Option<Seconds>) -> Tokens {
    let mut start = 0;
    let mut tokens = Tokens { ids: ids.to_vec(), offsets: Vec::new(), pieces: Vec::new(), seconds };
    for &id in ids {
        let bytes = tokenizer.token_bytes(id).unwrap_or_default();
        tokens.offsets.push([start, start + bytes.len()]);
        tokens.pieces.push(String::from_utf8_lossy(bytes).into_owned());
        start += bytes.len();
    }
    tokens
}

fn coloured(out: &mut impl Write, tokenizer: &Tokenizer, ids: &[u32]) -> Outcome {
    let page = ColouredPage::new("", ids, |id| tokenizer.token_bytes(id).unwrap_or_default());
    for (at, piece) in page.pieces.iter().enumerate() {
        colour::write_piece(out, at, &piece.text)?;
    }
    Ok(())
}
