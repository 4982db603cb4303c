//! `ciyuan inspect`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ciyuan::encode::Tokenizer;
use ciyuan::pipeline::{AnyModel, load_tokenizer, save_prebuilt};
use ciyuan::shard::{MANIFEST_FILE, Manifest, Shard, ShardInfo, Split};
use serde_json::{Value, json};

use super::args::ReadArgs;
use super::audit::{audit_of, audit_table, strict_findings};
use super::colour::When;
use super::context::Context;
use super::failure::{Failure, Outcome};
use super::inspect_model::{self, LookArgs};
use super::inspect_shards;
use super::survey::{self, SurveyArgs};
use super::table::render;

/// Look into a tokenizer, a shard, a folder of shards, a model, or a corpus
///
/// Of a corpus (files of text, or a folder without a manifest.json) it shows documents, bytes and characters, scripts,
/// encodings, lengths, duplicates, what would be left out with the settings given and why, and random documents.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan inspect out --document 3
Example: ciyuan inspect out --statistics
Example: ciyuan inspect out --bag
Example: ciyuan inspect out --attention 今天天气很好 --output attention.html
Example: ciyuan inspect corpora --encoding auto --min-han 0.3 --reject-mojibake
Example: ciyuan inspect tokenizer.json --audit --texts corpora")]
pub(super) struct Args {
    /// A tokenizer.json, a .tiktoken file (with --pattern), a shard, a folder made by `encode`, `prepare` or `train`, or files of text: a file, a folder, a glob, or `-`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Show the text of a document, counted from 0, coloured by token (of a folder or a shard)
    #[arg(long, value_name = "N")]
    document: Option<u64>,
    /// When the text of a document is coloured
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    color: When,
    /// Show statistics of ids and of lengths of documents (of a folder or a shard); all ids are read
    #[arg(long, conflicts_with = "document")]
    statistics: bool,
    /// Which documents are meant
    #[arg(long, default_value = "train", value_parser = ["train", "val"])]
    split: String,
    /// Show tokens by id, from A to before B (of a tokenizer)
    #[arg(long, value_name = "A..B")]
    tokens: Option<String>,
    /// Pattern of a .tiktoken file: a name, or a regular expression
    #[arg(long, value_name = "NAME|REGEX")]
    pattern: Option<String>,
    /// Write the tokenizer with its tables, as FILE.ciyuan, which is loaded in some milliseconds wherever a tokenizer is
    #[arg(long, value_name = "FILE")]
    prebuilt: Option<PathBuf>,
    /// Show the vocabulary as a table with tabs: id, token, kind (of a tokenizer)
    #[arg(long, conflicts_with = "tokens")]
    tsv: bool,
    /// Show what the vocabulary is made of: tokens by class and length, those that no text comes to (of a tokenizer)
    #[arg(long, conflicts_with_all = ["tokens", "tsv"])]
    audit: bool,
    /// With --audit, end with code 3 where tokens are found that no text comes to, that reach over the edge of a character, that are long and Chinese, that look special, or that --texts does not use
    #[arg(long, requires = "audit")]
    strict: bool,
    /// With --audit, show what texts use of the vocabulary, by language: files, folders, globs, or `-`
    #[arg(long, value_name = "INPUT", num_args = 1.., requires = "audit")]
    texts: Vec<PathBuf>,
    /// Show the bag of words of the documents: how often each token stands there, and in how many of them (of a folder or a shard)
    #[arg(long, conflicts_with_all = ["document", "statistics"])]
    bag: bool,
    /// With --bag, so many of the most frequent tokens
    #[arg(long, default_value_t = 20, value_name = "N", requires = "bag")]
    top: usize,
    #[command(flatten)]
    look: LookArgs,
    #[command(flatten)]
    survey: SurveyArgs,
    #[command(flatten)]
    read: ReadArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    if let Some(shown) = inspect_model::run(&args.path, &args.look, context) {
        return shown;
    }
    let of_shards = args.document.is_some() || args.statistics || args.bag;
    if !of_shards && !args.read.has_format() && is_model(&args.path) {
        return show(context, &inspect_model::facts(&args.path)?);
    }
    if !of_shards && (is_corpus(&args.path) || args.read.has_format()) {
        return survey::run(&args.path, &args.survey, &args.read, context);
    }
    let is_shard = args.path.extension().is_some_and(|extension| extension == "shard");
    if args.path.is_dir() || is_shard {
        let split = if args.split == "val" { Split::Val } else { Split::Train };
        if let Some(number) = args.document {
            return inspect_shards::document(&args.path, split, number, args.color, context);
        }
        if args.statistics {
            return inspect_shards::statistics(&args.path, split, context);
        }
        if args.bag {
            return inspect_shards::bag(&args.path, split, args.top, context);
        }
    }
    if args.path.is_dir() {
        return folder(&args.path, context);
    }
    if is_shard {
        let shard = Shard::open(&args.path)?;
        return show(context, &shard_facts(shard.info(), &args.path)?);
    }
    let tokenizer = load_tokenizer(&args.path, args.pattern.as_deref(), &[])?;
    if let Some(path) = &args.prebuilt {
        save_prebuilt(&tokenizer, path)?;
        context.note(&format!("wrote {}", path.display()));
    }
    if args.tsv {
        let table = tokenizer.spec().to_tsv();
        return context.show(&table.lines().collect::<Vec<_>>(), || table.clone());
    }
    if args.audit {
        return audit(args, &tokenizer, context);
    }
    match &args.tokens {
        Some(range) => tokens(&tokenizer, range, context),
        None => show(context, &tokenizer_facts(&tokenizer)),
    }
}

/// Whether a folder is that of a model, and not of a run, which has shards too.
fn is_model(path: &Path) -> bool {
    AnyModel::is_in(path) && !path.join(MANIFEST_FILE).exists()
}

/// Whether a path names texts: a folder that `encode` has not made, a glob, standard input, a file whose name says so.
fn is_corpus(path: &Path) -> bool {
    if path.is_dir() {
        return !path.join(MANIFEST_FILE).exists();
    }
    let name = path.as_os_str().to_string_lossy();
    let bare = [".gz", ".zst", ".xz", ".bz2"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    name == "-"
        || name.starts_with('@')
        || [".txt", ".jsonl", ".parquet", ".tar", ".tgz"].iter().any(|end| bare.ends_with(end))
}

/// Facts by name, in order.
type Facts = Vec<(&'static str, Value)>;

fn show(context: &Context, facts: &Facts) -> Outcome {
    let object: BTreeMap<&str, &Value> = facts.iter().map(|(name, value)| (*name, value)).collect();
    context.show(&object, || {
        let line = |(name, value): &(&str, Value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{:<16}{text}\n", name.replace('_', " "))
        };
        facts.iter().map(line).collect()
    })
}

fn shard_facts(info: &ShardInfo, path: &Path) -> Outcome<Facts> {
    let bytes = std::fs::metadata(path).map_err(|error| ciyuan::Error::io("read", path, error))?.len();
    Ok(vec![
        ("documents", json!(info.documents)),
        ("tokens", json!(info.tokens)),
        ("bytes", json!(info.text_bytes)),
        ("bytes_per_token", json!(ratio(info.text_bytes, info.tokens))),
        ("vocab_size", json!(info.vocab_size)),
        ("id_bytes", json!(info.width())),
        ("end_of_text", json!(info.end_of_text)),
        ("tokenizer", json!(info.fingerprint)),
        ("file_bytes", json!(bytes)),
    ])
}

fn ratio(bytes: u64, tokens: u64) -> f64 {
    (bytes as f64 / tokens.max(1) as f64 * 1000.0).round() / 1000.0
}

fn tokenizer_facts(tokenizer: &Tokenizer) -> Facts {
    let spec = tokenizer.spec();
    let pattern = tokenizer.segmenter().pattern();
    let paths = tokenizer.paths();
    let partial = spec.vocab().iter().filter(|(_, bytes)| std::str::from_utf8(bytes).is_err()).count();
    let special: BTreeMap<&str, u32> = spec.special().iter().map(|(id, name)| (name, id)).collect();
    let mut facts = vec![
        ("vocab_size", json!(spec.vocab_size())),
        ("merges", json!(spec.merges().len())),
        ("special", json!(special)),
        ("no_whole_text", json!(partial)),
        ("pattern", json!(pattern.name().unwrap_or(pattern.source()))),
        ("drops_text", json!(pattern.drops_text())),
        ("changes_text", json!(tokenizer.changes_text())),
        ("linear_pattern", json!(pattern.is_linear())),
        ("han", json!(spec.han())),
        ("unreached", json!(paths.unreached)),
        ("path_of_pairs", json!(paths.pairs)),
        ("path_of_tokens", json!(paths.tokens)),
        ("path_of_reached", json!(paths.reached)),
        ("path_of_pieces", json!(paths.pieces)),
        ("fingerprint", json!(tokenizer.fingerprint())),
    ];
    // What the file says that it was learned from.
    facts.extend(spec.origin().map(|origin| ("learned_from", origin.clone())));
    facts
}

fn audit(args: &Args, tokenizer: &Tokenizer, context: &Context) -> Outcome {
    let audit = audit_of(tokenizer, &args.texts, &args.read, context)?;
    context.show(&audit, || audit_table(&audit))?;
    match strict_findings(&audit).filter(|_| args.strict) {
        Some(findings) => Err(ciyuan::Error::Audit { path: args.path.clone(), findings }.into()),
        None => Ok(()),
    }
}

fn tokens(tokenizer: &Tokenizer, range: &str, context: &Context) -> Outcome {
    let wrong = || Failure::Usage(format!("`{range}` is not A..B, as in 256..300"));
    let (first, end) = range.split_once("..").ok_or_else(wrong)?;
    let (first, end): (u32, u32) = (first.parse().map_err(|_| wrong())?, end.parse().map_err(|_| wrong())?);
    let known = (first..end.min(tokenizer.spec().vocab_size())).filter_map(|id| Some((id, tokenizer.token_bytes(id)?)));
    let rows: Vec<(u32, String)> = known
        .map(|(id, bytes)| {
            (
                id,
                format!(
                    "\"{}\"",
                    bytes
                        .utf8_chunks()
                        .map(|chunk| {
                            let invalid: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
                            chunk.valid().escape_debug().to_string() + &invalid
                        })
                        .collect::<String>()
                ),
            )
        })
        .collect();
    context.show(&rows, || rows.iter().map(|(id, text)| format!("{id}\t{text}\n")).collect())
}

fn folder(path: &Path, context: &Context) -> Outcome {
    let manifest = Manifest::load(path)?.ok_or_else(|| ciyuan::Error::Missing { path: path.join(MANIFEST_FILE) })?;
    context.show(&manifest, || {
        let head = ["shard", "documents", "tokens", "bytes", "bytes/token", "file bytes"].map(str::to_owned).to_vec();
        let rows = manifest.shards.iter().map(|shard| {
            let mut cells = vec![shard.name.clone()];
            cells.extend([shard.documents, shard.tokens, shard.bytes].map(|number| number.to_string()));
            cells.push(format!("{:.3}", ratio(shard.bytes, shard.tokens)));
            cells.push(shard.file_bytes.to_string());
            cells
        });
        let table = render(&[head].into_iter().chain(rows).collect::<Vec<_>>());
        format!(
            "{table}\ninputs      {} files\ndocuments   {}\nbytes       {}\ntokens      {}\ntokenizer   {}, {} tokens\nmade by     ciyuan {}\n",
            manifest.inputs.len(),
            manifest.documents,
            manifest.bytes,
            manifest.tokens,
            manifest.tokenizer.fingerprint,
            manifest.tokenizer.vocab_size,
            manifest.ciyuan
        )
    })
}
