//! `ciyuan count`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::evaluate::{Script, ScriptReport};
use ciyuan::pipeline::{CorpusCount, FileCount};
use serde::Serialize;

use super::args::{OptionalTokenizerArgs, ReadArgs};
use super::context::Context;
use super::failure::Outcome;
use super::lines::or_stdin;
use super::table::render;

/// Documents, bytes, characters and tokens of files and folders, as a table: by file, in total, and by script
///
/// A token counts for the scripts of the characters that its bytes stand in, for each by its share of the token's bytes:
/// `，词` is a half each of none and of Han, and a token that is a part of a Han character counts for Han. White space,
/// digits, punctuation and symbols are of no script.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan count corpora
Example: ciyuan count corpora -t out
Example: git log | ciyuan count -t out --json")]
pub(super) struct Args {
    /// Files, folders, globs, or `-` for standard input, which is also read where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    tokenizer: OptionalTokenizerArgs,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Serialize)]
struct Result {
    files: Vec<FileCount>,
    total: FileCount,
    /// The total by script.
    scripts: Vec<ByScript>,
    seconds: Seconds,
}

/// The figures of a script, with those of tokens where there is a tokenizer.
#[derive(Serialize)]
#[serde(untagged)]
enum ByScript {
    Tokens(ScriptReport),
    Characters { script: Script, characters: u64, character_share: f64, bytes: u64 },
}

#[derive(Serialize)]
struct Seconds {
    load: f64,
    read: f64,
    encode: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let tokenizer = args.tokenizer.load()?;
    let load = start.elapsed().as_secs_f64();
    let source = args.read.source(&or_stdin(&args.inputs), context)?;
    let (options, scratch, start) = (args.read.options(), std::env::temp_dir(), Instant::now());
    let counted =
        context.with_progress(|progress| CorpusCount::of(&source, &options, tokenizer.as_ref(), &scratch, progress))?;
    let CorpusCount { files, total, scripts, encode_seconds: encode } = counted;
    let read = start.elapsed().as_secs_f64() - encode;
    let by_script = |report: ScriptReport| match (tokenizer.is_some(), report) {
        (true, report) => ByScript::Tokens(report),
        (false, ScriptReport { script, characters, character_share, bytes, .. }) => {
            ByScript::Characters { script, characters, character_share, bytes }
        }
    };
    let scripts = scripts.into_iter().map(by_script).collect();
    let result = Result { files, total, scripts, seconds: Seconds { load, read, encode } };
    context.show(&result, || text(&result))
}

fn cells(row: &FileCount) -> Vec<String> {
    let mut cells = vec![row.file.clone()];
    let numbers = [row.documents, row.rejected].into_iter().chain(row.left_out);
    let numbers = numbers.chain([row.bytes, row.characters]).chain(row.tokens);
    cells.extend(numbers.map(|number| number.to_string()));
    cells.extend(row.bytes_per_token.map(|bytes| format!("{bytes:.2}")));
    cells
}

fn text(result: &Result) -> String {
    let Result { files, total, scripts, .. } = result;
    let head = ["file", "documents", "rejected"].into_iter().chain(total.left_out.map(|_| "left out"));
    let head = head.chain(["bytes", "characters"]).chain(total.tokens.iter().flat_map(|_| ["tokens", "bytes/token"]));
    let head = head.map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = [head].into_iter().chain(files.iter().map(cells)).chain([cells(total)]).collect();
    render(&rows) + "\n" + &render(&by_script(scripts))
}

fn by_script(scripts: &[ByScript]) -> Vec<Vec<String>> {
    let has_tokens = matches!(scripts, [ByScript::Tokens(_), ..]);
    let head = ["script", "characters", "share", "bytes"].into_iter();
    let head = head.chain(["tokens", "bytes/token"].into_iter().filter(|_| has_tokens)).map(str::to_owned).collect();
    let cells = |row: &ByScript| {
        let (script, characters, share, bytes) = match row {
            ByScript::Tokens(row) => (row.script, row.characters, row.character_share, row.bytes),
            ByScript::Characters { script, characters, character_share, bytes } => {
                (*script, *characters, *character_share, *bytes)
            }
        };
        let name = match script {
            Script::Han => "Han",
            Script::Latin => "Latin",
            Script::Other => "other scripts",
            Script::None => "no script",
        };
        let mut cells =
            vec![name.to_owned(), characters.to_string(), format!("{:.1} %", 100.0 * share), bytes.to_string()];
        if let ByScript::Tokens(ScriptReport { tokens, bytes_per_token, .. }) = row {
            cells.extend([format!("{tokens:.1}"), format!("{bytes_per_token:.2}")]);
        }
        cells
    };
    [head].into_iter().chain(scripts.iter().map(cells)).collect()
}
