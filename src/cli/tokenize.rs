//! `ciyuan tokenize`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

use ciyuan::encode::{Dropout, Tokenizer};
use ciyuan::evaluate::ColouredPage;
use serde::Serialize;

use super::args::TokenizerArgs;
use super::colour::{self, When};
use super::context::Context;
use super::explain;
use super::failure::Outcome;
use super::lines::{for_each_line, or_stdin, whole};
use super::stream::write_ids;

/// Text to ids: each input is one document, or with --lines each line
///
/// Ids of a document are given while it is read, as soon as what follows cannot change them; with --json, --color,
/// --allow-special or --dropout when all of it is read.
#[derive(clap::Args)]
#[command(after_help = "\
Example: echo 词元 | ciyuan tokenize -t out --color
Example: ciyuan tokenize -t out --explain 词元
Example: ciyuan tokenize -t out --lines --dropout 0.1 --seed 2 a.txt")]
pub(super) struct Args {
    /// Files; standard input where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    tokenizer: TokenizerArgs,
    /// Take each line as a document, and give its ids as soon as it is read
    #[arg(long)]
    lines: bool,
    /// Special tokens that stand for themselves in the text, by commas; `all` for all. Others are ordinary text
    #[arg(long, value_name = "LIST|all")]
    allow_special: Option<String>,
    /// Show the text coloured by token instead of ids; `auto`: on a terminal only
    #[arg(long, default_value = "never", default_missing_value = "always", num_args = 0..=1, require_equals = true, value_name = "WHEN")]
    color: When,
    /// Show how TEXT becomes its ids: of each pre-token the merges in their order, with their ranks, and what was made of
    /// what as a tree. Bytes that are no whole character stand as <E8 AF>
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["inputs", "lines", "allow_special", "dropout"], allow_hyphen_values = true)]
    explain: Option<String>,
    /// Drop each possible merge with this probability in each step (BPE-dropout): 0 for none, 1 for bytes
    #[arg(long, value_name = "P", conflicts_with = "allow_special", help_heading = "Sampling")]
    dropout: Option<f64>,
    /// Start of the random numbers of --dropout; each document has its own, by its place among the documents
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Sampling")]
    seed: u64,
}

/// A document as JSON.
#[derive(Serialize)]
struct Tokens {
    ids: Vec<u32>,
    /// First and one past the last byte of each token in the text. Where the tokenizer changes the text, or takes some of it
    /// out, they are told of the ids without special tokens and dropout alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets: Option<Vec<[usize; 2]>>,
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
    if let Some(text) = &args.explain {
        return explain::run(&tokenizer, text, context);
    }
    let encode = encoding(args, &tokenizer)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.lines {
        let mut document = 0;
        for_each_line(&args.inputs, |line| {
            let ids = encode(line.text, document).map_err(|error| error.in_document(line.path, line.number))?;
            document += 1;
            write(&mut out, &tokenizer, (line.text, &ids), None, args, context)?;
            if line.pause {
                out.flush()?;
            }
            Ok(())
        })?;
    } else if !context.json && !args.color.now() && args.allow_special.is_none() && args.dropout.is_none() {
        or_stdin(&args.inputs).iter().try_for_each(|path| write_ids(&mut out, &tokenizer, path))?;
    } else {
        for (document, path) in (0..).zip(or_stdin(&args.inputs)) {
            let start = Instant::now();
            let text = whole(&path)?;
            let read = start.elapsed().as_secs_f64();
            let ids = encode(&text, document)?;
            let seconds = Seconds { load, read, encode: start.elapsed().as_secs_f64() - read };
            write(&mut out, &tokenizer, (&text, &ids), Some(seconds), args, context)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The ids of a document, by its text and its number.
type Encoding<'t> = Box<dyn Fn(&str, u64) -> ciyuan::Result<Vec<u32>> + 't>;

fn encoding<'t>(args: &'t Args, tokenizer: &'t Tokenizer) -> Outcome<Encoding<'t>> {
    if let Some(probability) = args.dropout {
        let dropout = Dropout::new(probability, args.seed)?;
        return Ok(Box::new(move |text, number| tokenizer.encode_dropout(text, dropout.of_text(number))));
    }
    let allowed: Vec<&str> = match args.allow_special.as_deref() {
        None => return Ok(Box::new(|text, _| tokenizer.encode(text))),
        Some("all") => tokenizer.spec().special().iter().map(|(_, name)| name).collect(),
        Some(list) => list.split(',').collect(),
    };
    Ok(Box::new(move |text, _| tokenizer.encode_with(text, &allowed)))
}

fn write(
    out: &mut impl Write,
    tokenizer: &Tokenizer,
    (text, ids): (&str, &[u32]),
    seconds: Option<Seconds>,
    args: &Args,
    context: &Context,
) -> Outcome {
    if context.json {
        serde_json::to_writer(&mut *out, &tokens(tokenizer, text, ids, seconds)?).map_err(std::io::Error::from)?;
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

fn tokens(tokenizer: &Tokenizer, text: &str, ids: &[u32], seconds: Option<Seconds>) -> Outcome<Tokens> {
    let bytes = |id: &u32| tokenizer.token_bytes(*id).unwrap_or_default();
    let pieces = ids.iter().map(|id| String::from_utf8_lossy(bytes(id)).into_owned()).collect();
    let offsets = if tokenizer.changes_text() || tokenizer.segmenter().pattern().drops_text() {
        let (others, offsets) = tokenizer.encode_with_offsets(text)?;
        (others == ids).then(|| offsets.into_iter().map(|range| [range.start, range.end]).collect())
    } else {
        let mut start = 0;
        let place = |id| {
            let end = start + bytes(id).len();
            [std::mem::replace(&mut start, end), end]
        };
        Some(ids.iter().map(place).collect())
    };
    Ok(Tokens { ids: ids.to_vec(), offsets, pieces, seconds })
}

fn coloured(out: &mut impl Write, tokenizer: &Tokenizer, ids: &[u32]) -> Outcome {
    let page = ColouredPage::new("", ids, |id| tokenizer.token_bytes(id).unwrap_or_default());
    for (at, piece) in page.pieces.iter().enumerate() {
        colour::write_piece(out, at, &piece.text)?;
    }
    Ok(())
}
