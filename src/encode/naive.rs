//! The oracle for encoding: the merge loop of the textbooks.

use super::pairs::Pairs;
use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::segment::kept_pieces;
use crate::vocab::TokenId;

/// Merges `tokens` until no pair merges: of all pairs that of the lowest rank, of equal ones the leftmost.
pub(super) fn merge(pairs: &Pairs, tokens: &mut Vec<TokenId>) {
    loop {
        let ranked = tokens
            .windows(2)
            .enumerate()
            .filter_map(|(at, pair)| pairs.get(pair[0], pair[1]).map(|(rank, result)| (rank, at, result)));
        let Some((_, at, result)) = ranked.min() else {
            return;
        };
        tokens[at] = result;
        tokens.remove(at + 1);
    }
}

/// The ids of `text`, by the plainest way; for tests.
///
/// # Errors
///
/// As [`Tokenizer::encode`].
pub fn naive_encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<TokenId>> {
    let (mut ends, mut dropped) = (Vec::new(), Vec::new());
    tokenizer.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
    let mut ids = Vec::new();
    for piece in kept_pieces(text, &ends, &dropped) {
        let piece = piece.as_bytes();
        let whole = tokenizer.token_id(piece).filter(|_| tokenizer.spec().whole_pieces());
        match whole {
            Some(id) => ids.push(id),
            None => {
                let mut tokens = tokenizer.byte_tokens(piece).collect();
                merge(tokenizer.pairs(), &mut tokens);
                ids.append(&mut tokens);
            }
        }
    }
    Ok(ids)
}
