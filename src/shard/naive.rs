//! The oracle of [`Rows`](super::Rows): all documents in memory, and the plainest loops over them.

use super::Row;
use crate::vocab::TokenId;

/// The rows of shards, given as lists of documents with their end-of-text tokens: windows with a context and
/// `packed = false`, packed documents with a context and `packed = true`, whole documents without a context.
#[must_use]
pub fn naive_rows(shards: &[Vec<Vec<TokenId>>], context: Option<usize>, packed: bool) -> Vec<Row> {
    let documents = || shards.iter().flatten().cloned();
    match context {
        None => documents().map(|document| row(vec![document])).collect(),
        Some(context) if packed => pack(documents().collect(), context + 1),
        Some(context) => {
            let mut rows = Vec::new();
            for ids in shards.iter().map(|documents| documents.concat()) {
                let mut start = 0;
                while start + context < ids.len() {
                    rows.push(row(vec![ids[start..=start + context].to_vec()]));
                    start += context;
                }
            }
            rows
        }
    }
}

fn row(parts: Vec<Vec<TokenId>>) -> Row {
    let mut row = Row::default();
    for part in parts {
        row.ids.extend(part);
        row.ends.push(row.ids.len());
    }
    row
}

fn pack(documents: Vec<Vec<TokenId>>, length: usize) -> Vec<Row> {
    let mut pieces: Vec<Vec<TokenId>> =
        documents.iter().flat_map(|document| document.chunks(length).map(<[TokenId]>::to_vec)).collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    let mut rows: Vec<Vec<Vec<TokenId>>> = Vec::new();
    for piece in pieces {
        let room = |parts: &Vec<Vec<TokenId>>| length.checked_sub(parts.concat().len() + piece.len());
        let best = (0..rows.len()).filter_map(|at| Some((room(&rows[at])?, at))).min();
        match best {
            Some((_, at)) => rows[at].push(piece),
            None => rows.push(vec![piece]),
        }
    }
    rows.into_iter().map(row).collect()
}
