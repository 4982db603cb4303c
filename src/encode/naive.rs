//! The oracle for encoding: the merge loop of the textbooks.

use super::pairs::Pairs;
use super::prepare::Part;
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
    let mut ids = Vec::new();
    let preparation = tokenizer.preparation();
    preparation.parts(preparation.always(), text, false, &mut |part| match part {
        Part::Token(id) => {
            ids.push(id);
            Ok(())
        }
        Part::Text(text) => encode_text(tokenizer, text, &mut ids),
    })?;
    Ok(ids)
}

fn encode_text(tokenizer: &Tokenizer, text: &str, ids: &mut Vec<TokenId>) -> Result<()> {
    let (mut ends, mut dropped) = (Vec::new(), Vec::new());
    tokenizer.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
    for piece in kept_pieces(text, &ends, &dropped) {
        match tokenizer.whole_token(piece.as_bytes()) {
            Some(id) => ids.push(id),
            None => {
                let mut tokens = Vec::new();
                match tokenizer.character_model() {
                    Some(model) => model.units(piece, |id, _| tokens.push(id)),
                    None => tokens.extend(tokenizer.byte_tokens(piece.as_bytes())),
                }
                merge(tokenizer.pairs(), &mut tokens);
                ids.append(&mut tokens);
            }
        }
    }
    Ok(())
}
