//! What a trained model makes of held-out text: bits of each document, by place in it, and what a cut costs.
//!
//! Every byte of every document is scored once, behind the token that ends documents; what the end itself costs is not
//! among its bits. Sums are in f64.
//!
//! # What a cut costs
//!
//! A prompt ends where people stop typing, not where a token ends. So each corpus is cut at random characters: the text
//! before the cut is encoded by itself, and so is what follows, and the bits of the tokens from there on, up to where both
//! ways have a token end at the same place again, 16 bytes behind the cut or more, are set beside those of the text as it is
//! encoded uncut. Their difference is what a prompt's end costs at this place (Phan et al. 2024, "Understanding and
//! Mitigating Tokenization Bias in Language Models").

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::arm::Arm;
use super::corpus::{Text, Texts};
use crate::error::{Error, Result};
use crate::model::{Gpt, Precision, score_all};
use crate::vocab::TokenId;

/// Where the ranges of places in a document begin, in bytes.
pub(super) const PLACES: [u64; 8] = [0, 64, 128, 256, 512, 1024, 2048, 4096];
/// Bytes behind a cut that are scored at least.
const BEHIND_CUT: usize = 16;
/// Held-out documents are cut by the same random numbers in all probes, so that cuts are the same for all seeds.
const CUT_SEED: u64 = 0x6375_7473;

/// What a model makes of held-out text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Assessment {
    /// Bits of each held-out document.
    pub(super) documents: Vec<f64>,
    /// By corpus and range of places, bits and bytes.
    pub(super) places: Vec<Vec<[f64; 2]>>,
    /// By corpus, bits that a cut costs, in the mean; `None` where there is no place to cut.
    pub(super) cuts: Vec<Option<f64>>,
}

/// Asks a model, with products in a precision.
pub(super) fn assess(gpt: &Gpt, arm: &Arm, texts: &Texts, precision: Precision, cuts: usize) -> Result<Assessment> {
    let lengths = arm.tokenizer.text_lengths();
    let length = |id: TokenId| u64::from(lengths.get(id as usize).copied().unwrap_or(0));
    let bits = |sequences: &[&[TokenId]]| bits_behind(gpt, arm.end, sequences, precision);
    let held_out: Vec<&[TokenId]> = arm.held_out.iter().map(Vec::as_slice).collect();
    let mut documents = Vec::with_capacity(texts.held_out.len());
    let mut places = vec![vec![[0.0; 2]; PLACES.len()]; texts.names.len()];
    for ((text, ids), bits) in texts.held_out.iter().zip(&arm.held_out).zip(bits(&held_out)?) {
        let mut at = 0;
        for (id, bits) in ids.iter().zip(&bits) {
            let range = PLACES.iter().rposition(|start| *start <= at).unwrap_or(0);
            let [sum, bytes] = &mut places[text.corpus][range];
            *sum += bits;
            *bytes += length(*id) as f64;
            at += length(*id);
        }
        let has = text.text.len() as u64;
        if at != has && arm.lossy == 0 && !arm.tokenizer.changes_text() {
            return Err(Error::Accounting { what: "held-out bytes", entered: has, left: at, rejected: 0, treated: 0 });
        }
        documents.push(bits.iter().sum());
    }
    let mut costs = Vec::new();
    for corpus in 0..texts.names.len() {
        let cuts = cut(gpt, arm, texts, corpus, cuts)?;
        let bits = bits(&cuts.iter().flatten().map(Vec::as_slice).collect::<Vec<_>>())?;
        let sums: Vec<f64> = bits.iter().map(|bits| bits.iter().sum()).collect();
        let all: f64 = sums.as_chunks().0.iter().map(|[cut, whole]| cut - whole).sum();
        costs.push((!cuts.is_empty()).then(|| all / cuts.len() as f64));
    }
    Ok(Assessment { documents, places, cuts: costs })
}

/// Bits of each id of sequences, behind the end of a document.
fn bits_behind(gpt: &Gpt, end: TokenId, sequences: &[&[TokenId]], precision: Precision) -> Result<Vec<Vec<f64>>> {
    let sequences: Vec<Vec<TokenId>> = sequences.iter().map(|ids| [&[end], *ids].concat()).collect();
    let mut all = score_all(gpt, &sequences, precision);
    all.iter_mut().flatten().for_each(|nats| *nats /= std::f64::consts::LN_2);
    match all.iter().flatten().find(|bits| !bits.is_finite()) {
        Some(loss) => Err(Error::Diverged { step: 0, loss: *loss }),
        None => Ok(all),
    }
}

/// The ids around random places of a corpus, cut there and whole.
fn cut(gpt: &Gpt, arm: &Arm, texts: &Texts, corpus: usize, cuts: usize) -> Result<Vec<[Vec<TokenId>; 2]>> {
    let documents: Vec<&Text> = texts.held_out.iter().filter(|text| text.corpus == corpus).collect();
    let all: Vec<Option<_>> = (0..cuts as u64)
        .into_par_iter()
        .map(|number| {
            let random = |what: u64, below: usize| {
                let hash = xxh3_64_with_seed(&number.to_le_bytes(), CUT_SEED + what);
                ((u128::from(hash) * below as u128) >> 64) as usize
            };
            let text = &documents[random(0, documents.len())].text;
            match place_of_cut(text, random(1, text.len())) {
                Some(at) => cut_at(gpt, arm, text, at),
                None => Ok(None),
            }
        })
        .collect::<Result<_>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// The character at or behind a byte, if there is text before it and enough behind it.
fn place_of_cut(text: &str, at: usize) -> Option<usize> {
    let at = (at.max(1)..text.len()).find(|at| text.is_char_boundary(*at))?;
    (at + BEHIND_CUT < text.len()).then_some(at)
}

/// The ids around a place, cut there and whole, up to where both have a token's end again.
fn cut_at(gpt: &Gpt, arm: &Arm, text: &str, at: usize) -> Result<Option<[Vec<TokenId>; 2]>> {
    // As much before the cut as leaves room for what is behind it, in bytes, so that all arms see the same.
    let window = (gpt.config().context as f64 * arm.bytes_per_token) as usize;
    let start = (at.saturating_sub(window * 3 / 4)..=at).find(|start| text.is_char_boundary(*start)).unwrap_or(at);
    let stop = (at + 8 * BEHIND_CUT..text.len()).find(|stop| text.is_char_boundary(*stop)).unwrap_or(text.len());
    let (before, behind) = (&text[start..at], &text[at..stop]);
    let encode = |text: &str| arm.tokenizer.encode(text);
    let (whole, first, second) = (encode(&text[start..stop])?, encode(before)?, encode(behind)?);
    let cut: Vec<TokenId> = first.iter().chain(&second).copied().collect();
    let lengths = |ids: &[TokenId]| -> Vec<usize> {
        let length = |id: &TokenId| arm.tokenizer.token_bytes(*id).map_or(0, <[u8]>::len);
        ids.iter()
            .scan(0, |end, id| {
                *end += length(id);
                Some(*end)
            })
            .collect()
    };
    let (whole_ends, cut_ends) = (lengths(&whole), lengths(&cut));
    let wanted = before.len() + BEHIND_CUT;
    let Some(common) = whole_ends.iter().find(|end| **end >= wanted && cut_ends.binary_search(end).is_ok()) else {
        return Ok(None);
    };
    let up_to = |mut ids: Vec<TokenId>, ends: &[usize]| {
        ids.truncate(ends.partition_point(|end| end <= common));
        ids
    };
    Ok(Some([up_to(cut, &cut_ends), up_to(whole, &whole_ends)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_cut() {
        let text = "词元 and some text behind it";
        assert_eq!(place_of_cut(text, 0), Some(3));
        assert_eq!(place_of_cut(text, 4), Some(6));
        assert_eq!(place_of_cut(text, 7), Some(7));
        assert_eq!(place_of_cut(text, text.len() - BEHIND_CUT), None);
        assert_eq!(place_of_cut("short", 1), None);
    }
}
