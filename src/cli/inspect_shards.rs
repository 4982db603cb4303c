//! `ciyuan inspect` of shards: a document, coloured by token; statistics of ids and lengths.

use std::path::{Path, PathBuf};

use ciyuan::encode::Tokenizer;
use ciyuan::evaluate::ColouredPage;
use ciyuan::model::Bag;
use ciyuan::pipeline::{TOKENIZER_FILE, load_tokenizer};
use ciyuan::shard::{Corpus, IdStatistics, MANIFEST_FILE, Split};
use serde_json::json;

use super::colour::{self, When};
use super::context::Context;
use super::failure::Outcome;
use super::table::render;

/// Opens a shard, or one split of a folder of shards.
pub(super) fn open(path: &Path, split: Split) -> Outcome<Corpus> {
    if path.is_dir() {
        return Ok(Corpus::open(path, split)?);
    }
    let corpus = Corpus::from_paths(&[path.to_owned()])?;
    corpus.ok_or_else(|| ciyuan::Error::Missing { path: path.to_owned() }.into())
}

/// The tokenizer of shards: that of their folder, if it has one that they were made with.
fn tokenizer_of(path: &Path, corpus: &Corpus) -> Outcome<Option<Tokenizer>> {
    let folder = if path.is_dir() { Some(path) } else { path.parent().and_then(Path::parent) };
    let folder: PathBuf = folder.map_or_else(PathBuf::new, Path::to_owned);
    let file = folder.join(TOKENIZER_FILE);
    if !file.exists() {
        return Ok(None);
    }
    let tokenizer = load_tokenizer(&file, None, &[])?;
    let (expected, got) = (corpus.info().fingerprint, tokenizer.fingerprint());
    if expected == got {
        return Ok(Some(tokenizer));
    }
    // A shard that lies beside a folder's tokenizer by chance is shown without; a folder must fit together.
    if path.is_dir() && path.join(MANIFEST_FILE).exists() {
        let (expected, got) = (expected.to_string(), got.to_string());
        return Err(ciyuan::Error::Fingerprint { path: file, expected, got }.into());
    }
    Ok(None)
}

/// Shows a document: its text, coloured by token on a terminal; without a tokenizer its ids.
pub(super) fn document(path: &Path, split: Split, number: u64, colours: When, context: &Context) -> Outcome {
    let corpus = open(path, split)?;
    let ids = corpus.document(number)?;
    let Some(tokenizer) = tokenizer_of(path, &corpus)? else {
        let words: Vec<String> = ids.iter().map(u32::to_string).collect();
        return context.show(&json!({"document": number, "ids": ids}), || words.join(" ") + "\n");
    };
    let text = String::from_utf8_lossy(&tokenizer.decode(&ids)?).into_owned();
    let mut shown = Vec::new();
    if colours.now() {
        let page = ColouredPage::new("", &ids, |id| tokenizer.token_bytes(id).unwrap_or_default());
        for (at, piece) in page.pieces.iter().enumerate() {
            colour::write_piece(&mut shown, at, &piece.text)?;
        }
    } else {
        shown.extend_from_slice(text.as_bytes());
    }
    shown.push(b'\n');
    context
        .show(&json!({"document": number, "ids": ids, "text": text}), || String::from_utf8_lossy(&shown).into_owned())
}

/// A token for the eye, where there is a tokenizer.
fn name(tokenizer: Option<&Tokenizer>, id: u32) -> String {
    let bytes = tokenizer.and_then(|tokenizer| tokenizer.decode(&[id]).ok());
    bytes.map_or_else(String::new, |bytes| format!("{:?}", String::from_utf8_lossy(&bytes)))
}

/// Shows the bag of words: the `top` tokens, how often they stand in the documents, and in how many of them.
pub(super) fn bag(path: &Path, split: Split, top: usize, context: &Context) -> Outcome {
    let corpus = open(path, split)?;
    let tokenizer = tokenizer_of(path, &corpus)?;
    let mut bag = Bag::default();
    for ids in corpus.documents() {
        bag.add(&ids?);
        if context.stopped() {
            return Err(ciyuan::Error::Interrupted { stage: "counting" }.into());
        }
    }
    let found = bag.top(top);
    let counts = |id: u32| [bag.counts(), bag.holders()].map(|counts| counts[id as usize]);
    let share = |count: u64| count as f64 / bag.tokens().max(1) as f64;
    let object = |&id: &u32| {
        let [count, documents] = counts(id);
        json!({
            "id": id, "token": name(tokenizer.as_ref(), id), "count": count, "share": share(count),
            "documents": documents,
        })
    };
    let value = json!({
        "documents": bag.documents(), "tokens": bag.tokens(), "distinct": bag.distinct(),
        "top": found.iter().map(object).collect::<Vec<_>>(),
    });
    context.show(&value, || {
        let head = ["id", "token", "count", "share", "documents"].map(str::to_owned).to_vec();
        let row = |&id: &u32| {
            let [count, documents] = counts(id);
            let share = format!("{:.2} %", 100.0 * share(count));
            vec![id.to_string(), name(tokenizer.as_ref(), id), count.to_string(), share, documents.to_string()]
        };
        let table = render(&[head].into_iter().chain(found.iter().map(row)).collect::<Vec<_>>());
        format!(
            "documents  {}\ntokens     {}, {} different ones\n\n{table}",
            bag.documents(),
            bag.tokens(),
            bag.distinct()
        )
    })
}

/// Shows statistics of ids and lengths.
pub(super) fn statistics(path: &Path, split: Split, context: &Context) -> Outcome {
    let corpus = open(path, split)?;
    let found = IdStatistics::of(&corpus)?;
    let tokenizer = tokenizer_of(path, &corpus)?;
    let name = |id: u32| name(tokenizer.as_ref(), id);
    context.show(&found, || {
        let [least, tenth, half, ninety, ninety_nine, most] = found.lengths;
        let head = ["id", "token", "count", "share"].map(str::to_owned).to_vec();
        let rows = found.frequent.iter().map(|&(id, count)| {
            let share = 100.0 * count as f64 / found.tokens.max(1) as f64;
            vec![id.to_string(), name(id), count.to_string(), format!("{share:.2} %")]
        });
        let table = render(&[head].into_iter().chain(rows).collect::<Vec<_>>());
        format!(
            "documents       {}\ntokens          {}\ntokens each     {least} at the least, 10 %: {tenth}, half: {half}, 90 %: {ninety}, 99 %: {ninety_nine}, {most} at the most\nids             {} of the vocabulary occur, {} do not\n\n{table}",
            found.documents, found.tokens, found.used, found.unused
        )
    })
}
