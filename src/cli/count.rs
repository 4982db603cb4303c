//! `ciyuan count`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::clean::{CleanCounts, CleanSettings};
use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::{Script, ScriptCounter, ScriptReport};
use ciyuan::pipeline::{Treated, Treatment};
use ciyuan::segment::kept_pieces;
use ciyuan::text::{InputFile, ReadOptions, Record, records};
use serde::Serialize;

use super::args::{ReadArgs, TokenizerArgs};
use super::context::Context;
use super::failure::Outcome;
use super::lines::or_stdin;
use super::table::render;

/// Tokens of files and folders, as a table: by file, in total, and by script
///
/// A token counts for the scripts of the characters that its bytes stand in, for each by its share of the token's bytes:
/// `，词` is a half each of none and of Han, and a token that is a part of a Han character counts for Han. White space,
/// digits, punctuation and symbols are of no script.
#[derive(clap::Args)]
#[command(after_help = "\
Example: ciyuan count corpora -t out
Example: git log | ciyuan count -t out --json")]
pub(super) struct Args {
    /// Files, folders, globs, or `-` for standard input, which is also read where none is named
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    tokenizer: TokenizerArgs,
    #[command(flatten)]
    read: ReadArgs,
}

#[derive(Serialize, Default)]
struct Row {
    file: String,
    documents: u64,
    rejected: u64,
    /// Documents that filters refuse or that stand there twice; `None` where the settings leave none out.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u64>,
    bytes: u64,
    characters: u64,
    tokens: u64,
    bytes_per_token: f64,
}

#[derive(Serialize)]
struct Result {
    files: Vec<Row>,
    total: Row,
    /// The total by script.
    scripts: Vec<ScriptReport>,
    seconds: Seconds,
}

#[derive(Serialize, Default)]
struct Seconds {
    load: f64,
    read: f64,
    encode: f64,
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let start = Instant::now();
    let tokenizer = args.tokenizer.load()?;
    let seconds = Seconds { load: start.elapsed().as_secs_f64(), ..Seconds::default() };
    let source = args.read.source(&or_stdin(&args.inputs), context)?;
    let options = args.read.options();
    let treatment = args.read.treatment(&source, context)?;
    let left_out = (options.clean != CleanSettings::default()).then_some(0);
    let total = Row { file: "total".to_owned(), left_out, ..Row::default() };
    let mut result = Result { files: Vec::new(), total, scripts: Vec::new(), seconds };
    let mut counter = Counter::new(&tokenizer);
    for file in &source.files {
        if context.stopped() {
            return Err(ciyuan::Error::Interrupted { stage: "counting" }.into());
        }
        let row = count(&mut counter, file, &options, &treatment, &mut result.seconds)?;
        let total = &mut result.total;
        total.documents += row.documents;
        total.rejected += row.rejected;
        total.left_out = total.left_out.zip(row.left_out).map(|(sum, more)| sum + more);
        total.bytes += row.bytes;
        total.characters += row.characters;
        total.tokens += row.tokens;
        result.files.push(row);
    }
    result.total.close();
    result.scripts = counter.scripts.report();
    context.show(&result, || text(&result))
}

fn count(
    counter: &mut Counter<'_>,
    file: &InputFile,
    options: &ReadOptions,
    treatment: &Treatment,
    seconds: &mut Seconds,
) -> Outcome<Row> {
    let (start, before) = (Instant::now(), seconds.encode);
    let left_out = (options.clean != CleanSettings::default()).then_some(0);
    let mut row = Row { file: file.path.display().to_string(), left_out, ..Row::default() };
    for record in records(file, options)? {
        match record? {
            Record::Document(document) => {
                let document = match treatment.document(document, &mut CleanCounts::default())? {
                    Treated::Kept(document) => document,
                    Treated::LeftOut(..) => {
                        row.left_out = row.left_out.map(|number| number + 1);
                        continue;
                    }
                };
                let place = |error: ciyuan::Error| error.in_document(&*document.origin.file, document.origin.line);
                row.documents += 1;
                row.bytes += document.text.len() as u64;
                row.characters += document.text.chars().count() as u64;
                let start = Instant::now();
                row.tokens += counter.add(&document.text).map_err(place)? as u64;
                seconds.encode += start.elapsed().as_secs_f64();
            }
            Record::Reject(_) => row.rejected += 1,
        }
    }
    seconds.read += start.elapsed().as_secs_f64() - (seconds.encode - before);
    row.close();
    Ok(row)
}

/// Counts the tokens of texts.
struct Counter<'t> {
    tokenizer: &'t Tokenizer,
    /// Bytes of each token.
    lengths: Vec<u32>,
    drops_text: bool,
    scripts: ScriptCounter,
}

impl<'t> Counter<'t> {
    fn new(tokenizer: &'t Tokenizer) -> Self {
        let drops_text = tokenizer.segmenter().pattern().drops_text();
        Self { tokenizer, lengths: tokenizer.text_lengths(), drops_text, scripts: ScriptCounter::default() }
    }

    /// Counts a text, and gives the number of its tokens.
    fn add(&mut self, text: &str) -> ciyuan::Result<usize> {
        let ids = self.tokenizer.encode(text)?;
        let lengths = ids.iter().map(|id| self.lengths[*id as usize]);
        if self.drops_text {
            // No token stands for what the pattern takes out.
            let (mut ends, mut dropped) = (Vec::new(), Vec::new());
            self.tokenizer.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
            self.scripts.add(&kept_pieces(text, &ends, &dropped).collect::<String>(), lengths);
        } else {
            self.scripts.add(text, lengths);
        }
        Ok(ids.len())
    }
}

impl Row {
    fn close(&mut self) {
        self.bytes_per_token = if self.tokens > 0 { self.bytes as f64 / self.tokens as f64 } else { 0.0 };
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.file.clone()];
        let numbers = [self.documents, self.rejected].into_iter().chain(self.left_out);
        let numbers = numbers.chain([self.bytes, self.characters, self.tokens]);
        cells.extend(numbers.map(|number| number.to_string()));
        cells.push(format!("{:.2}", self.bytes_per_token));
        cells
    }
}

fn text(result: &Result) -> String {
    let head = ["file", "documents", "rejected"].into_iter().chain(result.total.left_out.map(|_| "left out"));
    let head = head.chain(["bytes", "characters", "tokens", "bytes/token"]).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> =
        [head].into_iter().chain(result.files.iter().map(Row::cells)).chain([result.total.cells()]).collect();
    render(&rows) + "\n" + &render(&by_script(&result.scripts))
}

fn by_script(scripts: &[ScriptReport]) -> Vec<Vec<String>> {
    let head = ["script", "characters", "share", "bytes", "tokens", "bytes/token"].map(str::to_owned).to_vec();
    let cells = |row: &ScriptReport| {
        let name = match row.script {
            Script::Han => "Han",
            Script::Latin => "Latin",
            Script::Other => "other scripts",
            Script::None => "no script",
        };
        let ScriptReport { characters, character_share, bytes, tokens, bytes_per_token, .. } = row;
        vec![
            name.to_owned(),
            characters.to_string(),
            format!("{:.1} %", 100.0 * character_share),
            bytes.to_string(),
            format!("{tokens:.1}"),
            format!("{bytes_per_token:.2}"),
        ]
    };
    [head].into_iter().chain(scripts.iter().map(cells)).collect()
}
