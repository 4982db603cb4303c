//! `.tiktoken` files: a line a token, its bytes in base64 and its rank, which is its id.
//!
//! Reference: `load_tiktoken_bpe` in `tiktoken/load.py`. The file holds neither the pattern nor special tokens.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{MAX_ID, MAX_TOKEN_BYTES, Merge, TokenId, TokenizerSpec, Vocab};
use crate::error::{Error, Result, TokenizerFault};
use crate::segment::HanEdges;

impl TokenizerSpec {
    /// The tokenizer of a `.tiktoken` file with its pattern (a regular expression) and special tokens.
    ///
    /// # Errors
    ///
    /// [`Error::Tokenizer`] for a line that cannot be read, and for a vocabulary that does not hold together.
    pub fn from_tiktoken(file: &[u8], pattern: &str, special: Vec<(TokenId, String)>) -> Result<Self> {
        let mut tokens = Vec::new();
        for (at, line) in file.split(|&byte| byte == b'\n').enumerate() {
            if !line.iter().all(u8::is_ascii_whitespace) {
                tokens.push(parse_line(line, at + 1)?);
            }
        }
        let vocab = Vocab::new(tokens)?;
        let merges = recover_merges(&vocab)?;
        Self::new(pattern.to_owned(), HanEdges::None, vocab, merges, special, true)
    }

    /// The `.tiktoken` file of this tokenizer.
    ///
    /// # Errors
    ///
    /// [`TokenizerFault::Inexpressible`] when ranks of tokens cannot say what the merges say: when a later merge makes
    /// a lower id, or the merges do not reach a token, or Han runs are cut when encoding.
    pub fn to_tiktoken(&self) -> Result<String> {
        const FORMAT: &str = ".tiktoken";
        self.expressible_elsewhere(FORMAT)?;
        let mut recovered = recover_merges(&self.vocab)?;
        let mut own = self.merges.as_slice().to_vec();
        if own.windows(2).any(|pair| pair[0].result >= pair[1].result) {
            let why = "its merges are not in the order of the ids they make";
            return Err(Error::Tokenizer(TokenizerFault::Inexpressible { format: FORMAT, why }));
        }
        recovered.sort_by_key(|merge| merge.result);
        own.sort_by_key(|merge| merge.result);
        let all_reached = own.len() + 256 == self.vocab.len();
        if recovered != own || !(all_reached || self.whole_pieces) {
            let why = "some tokens are not what their own bytes encode to";
            return Err(Error::Tokenizer(TokenizerFault::Inexpressible { format: FORMAT, why }));
        }
        let mut file = String::new();
        for (id, bytes) in self.vocab.iter() {
            // Writing to a string cannot fail.
            let _ = writeln!(file, "{} {id}", STANDARD.encode(bytes));
        }
        Ok(file)
    }
}

fn parse_line(line: &[u8], number: usize) -> Result<(TokenId, Vec<u8>)> {
    let fault = |reason| Error::Tokenizer(TokenizerFault::TiktokenLine { line: number, reason });
    let line = std::str::from_utf8(line).map_err(|_| fault("not text"))?;
    let mut words = line.split_ascii_whitespace();
    let (Some(token), Some(rank), None) = (words.next(), words.next(), words.next()) else {
        return Err(fault("it must hold two words"));
    };
    let bytes = STANDARD.decode(token).map_err(|_| fault("the first word is not base64"))?;
    if bytes.is_empty() || bytes.len() > MAX_TOKEN_BYTES {
        return Err(fault("the token is empty, or longer than 1,024 bytes"));
    }
    let rank: u64 = rank.parse().map_err(|_| fault("the second word is not a number"))?;
    match TokenId::try_from(rank) {
        Ok(id) if id <= MAX_ID => Ok((id, bytes)),
        _ => Err(Error::Tokenizer(TokenizerFault::IdTooLarge { id: rank, max: MAX_ID })),
    }
}

/// The merge that makes each token of two bytes and more: its bytes encoded with the ranks below its own. A token that
/// comes to more than two parts has none: only a whole pre-token can be it.
fn recover_merges(vocab: &Vocab) -> std::result::Result<Vec<Merge>, TokenizerFault> {
    vocab.byte_ids()?;
    let ids = vocab.ids();
    let tokens: Vec<(TokenId, &[u8])> = vocab.iter().filter(|(_, bytes)| bytes.len() > 1).collect();
    let merges = tokens.par_iter().filter_map(|(result, bytes)| {
        let parts = two_parts(&ids, *result, bytes)?;
        let [left, right] = parts.map(|part| ids.get(part).copied());
        Some(Merge { left: left?, right: right?, result: *result })
    });
    Ok(merges.collect())
}

/// The two parts of a token before the last merge, if it comes to two.
fn two_parts<'t>(ids: &FxHashMap<&[u8], TokenId>, token: TokenId, bytes: &'t [u8]) -> Option<[&'t [u8]; 2]> {
    // Where the parts end, and the id of each with the next, if that is a token below this one.
    let mut ends: Vec<usize> = (1..=bytes.len()).collect();
    let id_of =
        |start: usize, end: usize| ids.get(&bytes[start..end]).copied().filter(|id| *id < token).unwrap_or(token);
    let mut pairs: Vec<TokenId> = (0..bytes.len() - 1).map(|at| id_of(at, at + 2)).collect();
    while ends.len() > 2 {
        let (at, id) = pairs.iter().enumerate().min_by_key(|(_, id)| **id)?;
        if *id == token {
            return None;
        }
        ends.remove(at);
        pairs.remove(at);
        let start = |part: usize| part.checked_sub(1).map_or(0, |before| ends[before]);
        if at > 0 {
            pairs[at - 1] = id_of(start(at - 1), ends[at]);
        }
        if at < pairs.len() {
            pairs[at] = id_of(start(at), ends[at + 1]);
        }
    }
    Some([&bytes[..ends[0]], &bytes[ends[0]..]])
}
