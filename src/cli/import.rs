//! `ciyuan import`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::pipeline::{FolderLock, ImportFiles, Imported, Vocabulary, import_files, load_tokenizer};
use ciyuan::shard::{Layout, Tally};
use serde::Serialize;

use super::args::{special_ids, word};
use super::context::Context;
use super::failure::{Failure, Outcome};

/// Make shards of the shards of another program
///
/// Leaves in DIR: train/*.shard, val/*.shard and manifest.json, and with --tokenizer a tokenizer.json, as `encode` does.
/// Every length and every id is checked. In files that do not say where documents end (nanogpt, llmc) the end-of-text token
/// does; the files of llmc are one sequence, to be named in order. A document without that token is given one.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan import --layout nanogpt train.bin --val-files val.bin -t tokenizer.json -o shards
Example: ciyuan import --layout megatron corpus_text_document --vocab-size 32000 -o shards")]
pub(super) struct Args {
    /// Files for training: of a Megatron pair either one, or their name without an ending; of datatrove the .ds files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The layout: of Megatron-LM, nanoGPT, llm.c and modded-nanogpt, or datatrove and nanotron
    #[arg(long, value_parser = word::<Layout>(&["megatron", "nanogpt", "llmc", "datatrove"]))]
    layout: Layout,
    /// Files that are held out
    #[arg(long, value_name = "FILE", num_args = 1..)]
    val_files: Vec<PathBuf>,
    /// Output folder
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// The tokenizer that made the ids: a tokenizer.json, a .tiktoken file (with --pattern), or a folder with one
    #[arg(long, short, value_name = "FILE", required_unless_present = "vocab_size")]
    tokenizer: Option<PathBuf>,
    /// Pattern of a .tiktoken file: a name, or a regular expression
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
    /// Special tokens of a .tiktoken file, as NAME=ID,NAME=ID
    #[arg(long, value_name = "LIST")]
    special_ids: Option<String>,
    /// Without the tokenizer: one above the highest id
    #[arg(long, value_name = "N")]
    vocab_size: Option<u32>,
    /// Without the tokenizer: the id of the token that ends a document
    #[arg(long, value_name = "ID", requires = "vocab_size")]
    end_of_text: Option<u32>,
}

#[derive(Serialize)]
struct Result {
    documents: Tally,
    tokens: u64,
    bytes: u64,
    shards: usize,
    /// Documents that were given an end-of-text token.
    ended: u64,
    output: PathBuf,
    seconds: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let tokenizer = match &args.tokenizer {
        Some(path) => Some(load_tokenizer(path, args.pattern.as_deref(), &special_ids(args.special_ids.as_deref())?)?),
        None => None,
    };
    let vocabulary = match (&tokenizer, args.vocab_size) {
        (Some(tokenizer), _) => Vocabulary::Of(tokenizer),
        (None, Some(size)) => Vocabulary::Size { size, end_of_text: args.end_of_text },
        (None, None) => return Err(Failure::Usage("give --tokenizer or --vocab-size".to_owned())),
    };
    let files = ImportFiles { layout: args.layout, train: args.files.clone(), val: args.val_files.clone() };
    let _lock = FolderLock::take(&args.output)?;
    let Imported { manifest, ended } =
        context.with_progress(|progress| import_files(&files, vocabulary, &args.output, progress))?;
    let result = Result {
        documents: manifest.documents,
        tokens: manifest.tokens,
        bytes: manifest.bytes.left,
        shards: manifest.shards.len(),
        ended,
        output: args.output.clone(),
        seconds: start.elapsed().as_secs_f64(),
    };
    context.show(&result, || {
        let Tally { entered, left, rejected, .. } = result.documents;
        let ended = match ended {
            0 => String::new(),
            ended => format!(", {ended} of them given an end-of-text token"),
        };
        format!(
            "documents    {entered} in = {left} out + {rejected} rejected{ended}\ntokens       {}\nshards       {} in {}\n",
            result.tokens,
            result.shards,
            args.output.display()
        )
    })
}
