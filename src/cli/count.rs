//! `ciyuan count`.

use std::path::PathBuf;
use std::time::Instant;

use ciyuan::encode::Tokenizer;
use ciyuan::text::{InputFile, ReadOptions, Record, records};
use serde::Serialize;

use super::args::{ReadArgs, TokenizerArgs};
use super::context::Context;
use super::failure::Outcome;
use super::table::render;

/// Tokens of files, as a table
#[derive(clap::Args)]
#[command(after_help = "Example: ciyuan count corpora -t out")]
pub(super) struct Args {
    /// Files, folders, globs, or `-` for standard input
    #[arg(required = true, value_name = "INPUT")]
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
    bytes: u64,
    characters: u64,
    tokens: u64,
    bytes_per_token: f64,
}

#[derive(Serialize)]
struct Result {
    files: Vec<Row>,
    total: Row,
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
    let source = args.read.source(&args.inputs, context)?;
    let options = args.read.options();
    let mut result = Result { files: Vec::new(), total: Row { file: "total".to_owned(), ..Row::default() }, seconds };
    for file in &source.files {
        if context.stopped() {
            return Err(ciyuan::Error::Interrupted { stage: "counting" }.into());
        }
        let row = count(&tokenizer, file, &options, &mut result.seconds)?;
        let total = &mut result.total;
        total.documents += row.documents;
        total.rejected += row.rejected;
        total.bytes += row.bytes;
        total.characters += row.characters;
        total.tokens += row.tokens;
        result.files.push(row);
    }
    result.total.close();
    context.show(&result, || text(&result))
}

fn count(tokenizer: &Tokenizer, file: &InputFile, options: &ReadOptions, seconds: &mut Seconds) -> Outcome<Row> {
    let (start, before) = (Instant::now(), seconds.encode);
    let mut row = Row { file: file.path.display().to_string(), ..Row::default() };
    for record in records(file, options)? {
        match record? {
            Record::Document(document) => {
                let place = |error: ciyuan::Error| error.in_document(&*document.origin.file, document.origin.line);
                row.documents += 1;
                row.bytes += document.text.len() as u64;
                row.characters += document.text.chars().count() as u64;
                let start = Instant::now();
                row.tokens += tokenizer.count(&document.text).map_err(place)? as u64;
                seconds.encode += start.elapsed().as_secs_f64();
            }
            Record::Reject(_) => row.rejected += 1,
        }
    }
    seconds.read += start.elapsed().as_secs_f64() - (seconds.encode - before);
    row.close();
    Ok(row)
}

impl Row {
    fn close(&mut self) {
        self.bytes_per_token = if self.tokens > 0 { self.bytes as f64 / self.tokens as f64 } else { 0.0 };
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.file.clone()];
        cells.extend(
            [self.documents, self.rejected, self.bytes, self.characters, self.tokens].map(|number| number.to_string()),
        );
        cells.push(format!("{:.2}", self.bytes_per_token));
        cells
    }
}

fn text(result: &Result) -> String {
    let head =
        ["file", "documents", "rejected", "bytes", "characters", "tokens", "bytes/token"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        [head].into_iter().chain(result.files.iter().map(Row::cells)).chain([result.total.cells()]).collect();
    render(&rows)
}
