//! `ciyuan train --model KIND` and `--all`: the models that the GPT grew out of, on the same shards and by the same measure.

use std::collections::BTreeMap;
use std::path::Path;

use ciyuan::Error;
use ciyuan::pipeline::{
    FolderLock, MODEL_FOLDER, ModelKind, ModelSettings, TOKENIZER_FILE, evaluate_folder, load_tokenizer,
    save_tokenizer, train_kind,
};
use serde::Serialize;

use super::context::Context;
use super::failure::Outcome;
use super::table::render;

/// A row of the table.
#[derive(Serialize)]
struct Row {
    model: &'static str,
    parameters: u64,
    seconds: f64,
    /// By language, and `all`; empty when nothing was held out.
    bits_per_byte: BTreeMap<String, f64>,
    saved: bool,
}

/// Trains, saves and measures each kind. Of several, each has a folder of its name in the output folder.
pub(super) fn run(
    folder: &Path,
    output: &Path,
    kinds: &[ModelKind],
    settings: &ModelSettings,
    order: usize,
    context: &Context,
) -> Outcome {
    let places = kinds.iter().map(|kind| match kinds.len() {
        1 => output.to_owned(),
        _ => output.join(kind.name()),
    });
    let places: Vec<_> = places.collect();
    if places.iter().any(|place| place.join(MODEL_FOLDER).exists()) {
        let why = "holds a model already; choose another folder, or remove it";
        return Err(Error::Output { path: output.to_owned(), why }.into());
    }
    let tokenizer = load_tokenizer(folder, None, &[])?;
    let _lock = FolderLock::take(output)?;
    let mut rows = Vec::new();
    for (&kind, place) in kinds.iter().zip(&places) {
        let row = context.with_progress(|progress| {
            let trained = train_kind(folder, kind, settings, order, progress)?;
            if trained.tokenizer != tokenizer.fingerprint() {
                let (expected, got) = (trained.tokenizer.to_string(), tokenizer.fingerprint().to_string());
                return Err(Error::Fingerprint { path: folder.join(TOKENIZER_FILE), expected, got });
            }
            let saved = trained.model.save(trained.end_of_text, trained.tokenizer, &place.join(MODEL_FOLDER))?;
            if saved {
                save_tokenizer(tokenizer.spec(), &place.join(TOKENIZER_FILE))?;
            }
            let model = trained.model.language_model();
            let held_out = evaluate_folder(folder, &tokenizer, model, progress)?;
            let reports = held_out.iter().flat_map(|held_out| held_out.languages.iter().chain([&held_out.all]));
            let bits_per_byte = reports.map(|row| (row.language.clone(), row.bits_per_byte)).collect();
            let seconds = trained.seconds;
            Ok(Row { model: model.name(), parameters: model.parameters(), seconds, bits_per_byte, saved })
        })?;
        rows.push(row);
    }
    if rows.iter().any(|row| !row.saved) {
        context.note("unigram and ngram are not saved: count again to ask them");
    }
    context.show(&rows, || table(&rows))
}

fn table(rows: &[Row]) -> String {
    let languages: Vec<&String> = rows.iter().flat_map(|row| row.bits_per_byte.keys()).collect();
    // `all` stands last.
    let shown = ["zh", "en", "other", "all"].into_iter().filter(|name| languages.iter().any(|other| other == name));
    let shown: Vec<&str> = shown.collect();
    let head = ["model", "parameters", "seconds"].into_iter().map(str::to_owned);
    let head = head.chain(shown.iter().map(|name| format!("bits/byte {name}"))).collect();
    let line = |row: &Row| {
        let mut cells = vec![row.model.to_owned(), row.parameters.to_string(), format!("{:.1}", row.seconds)];
        cells
            .extend(shown.iter().map(|&name| row.bits_per_byte.get(name).map_or(String::new(), |b| format!("{b:.3}"))));
        cells
    };
    render(&[head].into_iter().chain(rows.iter().map(line)).collect::<Vec<_>>())
}
