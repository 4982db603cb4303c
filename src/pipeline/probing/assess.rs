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
use crate::model::{Gpt, score};
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

/// Asks a model.
pub(super) fn assess(gpt: &Gpt, arm: &Arm, texts: &Texts, cuts: usize) -> Result<Assessment> {
    let lengths = arm.tokenizer.text_lengths();
    let length = |id: TokenId| u64::from(lengths.get(id as usize).copied().unwrap_or(0));
    let mut documents = Vec::with_capacity(texts.held_out.len());
    let mut places = vec![vec![[0.0; 2]; PLACES.len()]; texts.names.len()];
    // Documents one after the other: each is scored by all threads.
    for (text, ids) in texts.held_out.iter().zip(&arm.held_out) {
        let bits = bits_behind(gpt, arm.end, ids)?;
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
    let cuts =
        (0..texts.names.len()).map(|corpus| cost_of_cuts(gpt, arm, texts, corpus, cuts)).collect::<Result<_>>()?;
    Ok(Assessment { documents, places, cuts })
}

/// Bits of each id, behind the end of a document.
fn bits_behind(gpt: &Gpt, end: TokenId, ids: &[TokenId]) -> Result<Vec<f64>> {
    let sequence: Vec<TokenId> = [end].iter().chain(ids).copied().collect();
    let bits: Vec<f64> = score(gpt, &sequence).into_iter().map(|nats| nats / std::f64::consts::LN_2).collect();
    match bits.iter().find(|bits| !bits.is_finite()) {
        Some(loss) => Err(Error::Diverged { step: 0, loss: *loss }),
        None => Ok(bits),
    }
}

fn cost_of_cuts(gpt: &Gpt, arm: &Arm, texts: &Texts, corpus: usize, cuts: usize) -> Result<Option<f64>> {
    let documents: Vec<&Text> = texts.held_out.iter().filter(|text| text.corpus == corpus).collect();
    let costs: Vec<Option<f64>> = (0..cuts as u64)
        .into_par_iter()
        .map(|number| {
            let random = |what: u64, below: usize| {
                let hash = xxh3_64_with_seed(&number.to_le_bytes(), CUT_SEED + what);
                ((u128::from(hash) * below as u128) >> 64) as usize
            };
            let text = &documents[random(0, documents.len())].text;
            match place_of_cut(text, random(1, text.len())) {
                Some(at) => cost_of_cut(gpt, arm, text, at),
                None => Ok(None),
            }
        })
        .collect::<Result<_>>()?;
    let known: Vec<f64> = costs.into_iter().flatten().collect();
    Ok((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64))
}

/// The character at or behind a byte, if there is text before it and enough behind it.
fn place_of_cut(text: &str, at: usize) -> Option<usize> {
    let at = (at.max(1)..text.len()).find(|at| text.is_char_boundary(*at))?;
    (at + BEHIND_CUT < text.len()).then_some(at)
}

fn cost_of_cut(gpt: &Gpt, arm: &Arm, text: &str, at: usize) -> Result<Option<f64>> {
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
    let bits = |ids: &[TokenId], ends: &[usize]| -> Result<f64> {
        let count = ends.partition_point(|end| end <= common);
        Ok(bits_behind(gpt, arm.end, &ids[..count])?.iter().sum())
    };
    Ok(Some(bits(&cut, &cut_ends)? - bits(&whole, &whole_ends)?))
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
