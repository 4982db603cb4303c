//! `ciyuan count`.

use std::path::PathBuf;

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
}

pub(super) fn run(args: &Args, context: &Context) -> Outcome {
    let tokenizer = args.tokenizer.load()?;
    let source = args.read.source(&args.inputs)?;
    let options = args.read.options();
    let mut result = Result { files: Vec::new(), total: Row { file: "total".to_owned(), ..Row::default() } };
    for file in &source.files {
        if context.stopped() {
            return Err(ciyuan::Error::Interrupted { stage: "counting" }.into());
        }
        let row = count(&tokenizer, file, &options)?;
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

fn count(tokenizer: &ciyuan::encode::Tokenizer, file: &InputFile, options: &ReadOptions) -> Outcome<Row> {
    let mut row = Row { file: file.path.display().to_string(), ..Row::default() };
    for record in records(file, options)? {
        match record? {
            Record::Document(document) => {
                let place = |error: ciyuan::Error| error.in_document(&*document.origin.file, document.origin.line);
                row.documents += 1;
                row.bytes += document.text.len() as u64;
                row.characters += document.text.chars().count() as u64;
                row.tokens += tokenizer.count(&document.text).map_err(place)? as u64;
            }
            Record::Reject(_) => row.rejected += 1,
        }
    }
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
