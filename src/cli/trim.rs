//! `ciyuan trim`.

use std::path::{Path, PathBuf};

use ciyuan::Error;
use ciyuan::encode::Tokenizer;
use ciyuan::pipeline::save_tokenizer;
use ciyuan::shard::write_atomic;
use ciyuan::vocab::{Fingerprint, Reduced, TokenId, TokenizerSpec};
use serde::Serialize;

use super::args::{ReadArgs, TokenizerArgs};
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::table::render;

/// Take tokens out of a tokenizer, and put tokens in by name
///
/// In this order: tokens that no text ever comes to are taken out, then those that the texts of --unused do not use, then
/// --require puts tokens in, then the last merges go until the vocabulary has the size asked for. Bytes and added tokens
/// always stay, and so does what a token that stays is made of. Ids move up where tokens are gone; --ids says where to.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan trim -t tokenizer.json -o small.json --vocab-size 32000
Example: ciyuan trim -t tokenizer.json -o ours.json --unused corpora --ids ids.tsv
Example: ciyuan trim -t tokenizer.json -o more.json --require 词元 --require 大模型 --multiple-of 64 --reserve")]
pub(super) struct Args {
    #[command(flatten)]
    tokenizer: TokenizerArgs,
    /// Output file: tokenizer.json, or in tiktoken's form with the extension .tiktoken
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Take the last merges out until this many tokens are left, bytes and added tokens among them
    #[arg(long, value_name = "N")]
    vocab_size: Option<u32>,
    /// Take out tokens that no text ever comes to, as their own merges do not make them
    #[arg(long)]
    unreachable: bool,
    /// Take out tokens that occur in none of these files, folders or globs
    #[arg(long, value_name = "INPUT", num_args = 1..)]
    unused: Vec<PathBuf>,
    /// Text that must be a token, as an added token that is found before the pattern cuts; may be given several times. A
    /// text that is a token already stays what it is
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    require: Vec<String>,
    /// Make the size of the vocabulary a multiple of N by taking out the last merges, or with --reserve by adding tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    multiple_of: Option<u32>,
    /// Add special tokens `<|reserved_0|>`, `<|reserved_1|>` and so on up to the multiple
    #[arg(long, requires = "multiple_of")]
    reserve: bool,
    /// Write a table of the old and the new id of each token that stays, with a tab between, a line a token
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Serialize)]
struct Result {
    /// Documents read for --unused.
    documents: u64,
    /// Tokens before, added ones among them.
    before: u64,
    /// Tokens after.
    after: u64,
    /// Tokens of before that are gone.
    removed: u64,
    /// Of those, by reason.
    unreachable: u64,
    unused: u64,
    last: u64,
    /// Tokens that were to go and stay, as others are made of them.
    kept_for_others: u64,
    /// Tokens that --require added.
    required: u64,
    reserved: u64,
    /// Texts of --require that do not come to one token when they are encoded by themselves.
    not_one_token: Vec<String>,
    vocab_size: u32,
    merges: usize,
    fingerprint: Fingerprint,
    output: PathBuf,
}

/// A tokenizer on its way, and where the tokens of the first one are in it.
struct Work {
    spec: TokenizerSpec,
    ids: Vec<Option<TokenId>>,
    kept_for_others: u64,
}

impl Work {
    /// Goes on with fewer tokens; how many are gone.
    fn go_on(&mut self, reduced: Reduced) -> u64 {
        let before = count(&self.spec);
        for place in &mut self.ids {
            *place = place.and_then(|id| reduced.ids[id as usize]);
        }
        self.kept_for_others += reduced.kept_for_others as u64;
        self.spec = reduced.spec;
        before - count(&self.spec)
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    if args.output.is_dir() {
        return Err(Error::Output { path: args.output.clone(), why: "is a folder; name a file in it" }.into());
    }
    let tokenizer = args.tokenizer.load()?;
    let spec = tokenizer.spec().clone();
    let (before, ids) = (count(&spec), all_ids(&spec));
    let mut work = Work { spec, ids, kept_for_others: 0 };
    let unreachable = match args.unreachable {
        true => take_out(&mut work, &tokenizer.unreachable())?,
        false => 0,
    };
    let (mut documents, mut unused) = (0, 0);
    if !args.unused.is_empty() {
        let tokenizer = Tokenizer::new(work.spec.clone())?;
        let used;
        (documents, used) = used_by(&tokenizer, args, context)?;
        unused = work.go_on(work.spec.pruned(|id| used[id as usize])?);
    }
    let size = work.spec.vocab_size();
    work.spec = work.spec.with_required(&args.require)?;
    let required = u64::from(work.spec.vocab_size() - size);
    let last = match size_asked_for(args, &work.spec)? {
        Some(size) => work.go_on(work.spec.truncated(size)?),
        None => 0,
    };
    let size = work.spec.vocab_size();
    if let (true, Some(multiple)) = (args.reserve, args.multiple_of) {
        work.spec = work.spec.padded(multiple)?;
    }
    let result = Result {
        documents,
        before,
        after: count(&work.spec),
        removed: unreachable + unused + last,
        unreachable,
        unused,
        last,
        kept_for_others: work.kept_for_others,
        required,
        reserved: u64::from(work.spec.vocab_size() - size),
        not_one_token: not_one_token(&work.spec, &args.require)?,
        vocab_size: work.spec.vocab_size(),
        merges: work.spec.merges().len(),
        fingerprint: work.spec.fingerprint(),
        output: args.output.clone(),
    };
    write(&work, args)?;
    context.show(&result, || text(&result))
}

/// The tokens of a tokenizer, added ones among them.
fn count(spec: &TokenizerSpec) -> u64 {
    all_ids(spec).iter().flatten().count() as u64
}

/// Each id that has a token, by itself.
fn all_ids(spec: &TokenizerSpec) -> Vec<Option<TokenId>> {
    let is_token = |id: &TokenId| spec.vocab().token(*id).is_some() || spec.added_token(*id).is_some();
    (0..spec.vocab_size()).map(|id| Some(id).filter(is_token)).collect()
}

/// Takes out tokens by their ids, which are in order.
fn take_out(work: &mut Work, ids: &[TokenId]) -> Outcome<u64> {
    Ok(work.go_on(work.spec.pruned(|id| ids.binary_search(&id).is_err())?))
}

/// How many documents there are, and by id whether they use the token.
fn used_by(tokenizer: &Tokenizer, args: &Args, context: &Context) -> Outcome<(u64, Vec<bool>)> {
    let mut used = vec![false; tokenizer.spec().vocab_size() as usize];
    let documents = args.read.for_each_document(&args.unused, context, |document| {
        let place = |error: Error| error.in_document(&*document.origin.file, document.origin.line);
        tokenizer.encode(&document.text).map_err(place)?.into_iter().for_each(|id| used[id as usize] = true);
        Ok(())
    })?;
    if documents == 0 {
        return Err(Failure::Usage("--unused: no document was read, so every token would be unused".to_owned()));
    }
    Ok((documents, used))
}

/// The size to cut the vocabulary to, if it is to be cut.
fn size_asked_for(args: &Args, spec: &TokenizerSpec) -> Outcome<Option<u32>> {
    let size = args.vocab_size.unwrap_or(u32::MAX).min(spec.vocab_size());
    match args.multiple_of {
        Some(multiple) if !args.reserve => Ok(Some(size / multiple * multiple)),
        _ => Ok(args.vocab_size),
    }
}

fn not_one_token(spec: &TokenizerSpec, texts: &[String]) -> Outcome<Vec<String>> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let tokenizer = Tokenizer::new(spec.clone())?;
    let mut found = Vec::new();
    for text in texts {
        if tokenizer.encode(text)?.len() != 1 {
            found.push(text.clone());
        }
    }
    Ok(found)
}

fn write(work: &Work, args: &Args) -> Outcome {
    if is_tiktoken(&args.output) {
        write_atomic(&args.output, work.spec.to_tiktoken()?.as_bytes())?;
    } else {
        save_tokenizer(&work.spec, &args.output)?;
    }
    if let Some(path) = &args.ids {
        let line = |(old, new): (usize, &Option<TokenId>)| new.map(|new| format!("{old}\t{new}\n"));
        let table: String = work.ids.iter().enumerate().filter_map(line).collect();
        write_atomic(path, table.as_bytes())?;
    }
    Ok(())
}

fn is_tiktoken(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tiktoken")
}

fn text(result: &Result) -> String {
    let rows = [
        ("tokens before", result.before),
        ("unreachable", result.unreachable),
        ("unused", result.unused),
        ("last ones", result.last),
        ("removed", result.removed),
        ("kept for others", result.kept_for_others),
        ("required", result.required),
        ("reserved", result.reserved),
        ("tokens after", result.after),
    ];
    let table = render(&rows.map(|(name, value)| vec![name.to_owned(), value.to_string()]));
    let documents = match result.documents {
        0 => String::new(),
        documents => format!("{documents} documents were read for the unused ones.\n"),
    };
    let more: String =
        result.not_one_token.iter().map(|text| format!("`{text}` by itself comes to more than one token.\n")).collect();
    format!("{table}{documents}{more}{} merges, written to {}\n", result.merges, result.output.display())
}
