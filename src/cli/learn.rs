//! `ciyuan learn`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ciyuan::Error;
use ciyuan::pipeline::{LearnedTokenizer, ValFraction, learn_tokenizer, save_tokenizer};
use ciyuan::shard::{Tally, write_atomic};
use ciyuan::vocab::Fingerprint;
use serde::Serialize;

use super::args::{LearnArgs, ReadArgs, RejectArgs};
use super::context::Context;
use super::failure::Outcome;

/// Learn a tokenizer from text
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan learn corpora/zh corpora/en -o tokenizer.json --vocab-size 4096")]
pub(super) struct Args {
    /// Files, folders, globs, or `-` for standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Output file: tokenizer.json, or in tiktoken's form with the extension .tiktoken
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    learn: LearnArgs,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    rejects: RejectArgs,
}

#[derive(Serialize)]
struct Result {
    documents: Tally,
    bytes: Tally,
    distinct_pre_tokens: u64,
    vocab_size: u32,
    merges: usize,
    /// Merges asked for beyond those that the text held.
    exhausted: bool,
    fingerprint: Fingerprint,
    output: PathBuf,
    seconds: BTreeMap<&'static str, f64>,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let source = args.read.source(&args.inputs, context)?;
    if args.output.is_dir() {
        return Err(Error::Output { path: args.output.clone(), why: "is a folder; name a file in it" }.into());
    }
    let settings = args.learn.settings(ValFraction::Of(0.0), args.rejects.on_bad_record);
    let learned = context.with_progress(|progress| {
        let learned = learn_tokenizer(&source, &args.read.options(), &settings, progress)?;
        if args.output.extension().is_some_and(|extension| extension == "tiktoken") {
            write_atomic(&args.output, learned.spec.to_tiktoken()?.as_bytes())?;
        } else {
            save_tokenizer(&learned.spec, &args.output)?;
        }
        Ok(learned)
    })?;
    let LearnedTokenizer { spec, documents, bytes, distinct, exhausted, seconds } = learned;
    let result = Result {
        documents,
        bytes,
        distinct_pre_tokens: distinct,
        vocab_size: spec.vocab_size(),
        merges: spec.merges().len(),
        exhausted: exhausted.is_some(),
        fingerprint: spec.fingerprint(),
        output: args.output.clone(),
        seconds: BTreeMap::from([("count", seconds[0]), ("merge", seconds[1])]),
    };
    context.show(&result, || text(&result))
}

fn text(result: &Result) -> String {
    let Result { documents, bytes, distinct_pre_tokens, vocab_size, merges, exhausted, output, seconds, .. } = result;
    let fewer = if *exhausted { "\nThe text held no more tokens than these, fewer than asked for." } else { "" };
    let row = |tally: &Tally| format!("{} in = {} out + {} rejected", tally.entered, tally.left, tally.rejected);
    format!(
        "documents    {}\nbytes        {}\npre-tokens   {distinct_pre_tokens} distinct\nvocabulary   {vocab_size} tokens, {merges} merges{fewer}\nseconds      count {:.1}, merge {:.1}\ntokenizer    {}\n",
        row(documents),
        row(bytes),
        seconds["count"],
        seconds["merge"],
        output.display()
    )
}
