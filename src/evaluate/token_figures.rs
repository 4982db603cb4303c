//! What the tokens of a corpus are like, beside the figures that have intervals: for plots and for reading.

use std::collections::BTreeMap;
use std::time::Instant;

use super::comparison::{ComparedCorpus, TokenFigures, WorstDocument};
use super::report::ColouredPage;
use super::scripts::ScriptCounter;
use super::spans::{SpanCounter, SpanReport};
use crate::encode::Tokenizer;
use crate::error::Result;
use crate::vocab::TokenId;

/// Bytes of a page.
const PAGE_BYTES: usize = 600;
/// Documents that are shown as the worst.
const WORST: usize = 5;
/// Bytes of a document below which it is no example: a few characters are a few tokens.
const EXAMPLE_BYTES: usize = 100;
/// Characters of an excerpt.
const EXCERPT: usize = 80;

pub(super) fn bytes_of(corpus: &ComparedCorpus) -> u64 {
    corpus.documents.iter().map(|document| document.text.len() as u64).sum()
}

/// The figures of a corpus that took `seconds` to encode; `ranked` is how often each id occurs, from the commonest.
pub(super) fn figures_of(
    tokenizer: &Tokenizer,
    corpus: &ComparedCorpus,
    ids: &[Vec<TokenId>],
    ranked: &[u64],
    seconds: f64,
) -> Result<TokenFigures> {
    let (tokens, bytes) = (ranked.iter().sum(), bytes_of(corpus) as f64);
    let speed = |seconds: f64| if tokens == 0 { 0.0 } else { bytes / 1e6 / seconds.max(1e-9) };
    let text_lengths = tokenizer.text_lengths();
    let (mut decoding, mut scripts) = (0.0, ScriptCounter::default());
    let mut lengths: BTreeMap<u32, u64> = BTreeMap::new();
    for (document, ids) in corpus.documents.iter().zip(ids) {
        let start = Instant::now();
        let decoded = tokenizer.decode(ids)?;
        decoding += start.elapsed().as_secs_f64();
        let of_ids = || ids.iter().map(|id| text_lengths[*id as usize]);
        of_ids().for_each(|length| *lengths.entry(length).or_default() += 1);
        if decoded == document.text.as_bytes() && of_ids().map(u64::from).sum::<u64>() == decoded.len() as u64 {
            scripts.add(&document.text, of_ids());
        }
    }
    Ok(TokenFigures {
        tokens,
        used_share: ranked.len() as f64 / f64::from(tokenizer.spec().vocab_size()),
        seldom: ranked.iter().filter(|count| **count < 10).count() as u64,
        lengths,
        ranks: some_ranks(ranked),
        scripts: scripts.report(),
        worst: worst(corpus, ids),
        pre_tokens: pre_tokens(tokenizer, corpus)?,
        encode_megabytes_per_second: speed(seconds),
        decode_megabytes_per_second: speed(decoding),
    })
}

/// Ranks that are as far apart on a logarithmic scale, six to a doubling beyond the first, and the last one.
fn some_ranks(ranked: &[u64]) -> Vec<[u64; 2]> {
    let steps = (0..).map(|step| 2f64.powf(f64::from(step) / 6.0).round() as usize);
    let mut ranks: Vec<usize> = steps.take_while(|rank| *rank < ranked.len()).chain([ranked.len()]).collect();
    ranks.dedup();
    ranks.into_iter().filter(|rank| *rank > 0).map(|rank| [rank as u64, ranked[rank - 1]]).collect()
}

fn worst(corpus: &ComparedCorpus, ids: &[Vec<TokenId>]) -> Vec<WorstDocument> {
    let documents = || corpus.documents.iter().zip(ids).filter(|(_, ids)| !ids.is_empty());
    let is_long = |text: &str| text.len() >= EXAMPLE_BYTES;
    let any_long = documents().any(|(document, _)| is_long(&document.text));
    let mut examples: Vec<_> = documents().filter(|(document, _)| !any_long || is_long(&document.text)).collect();
    let ratio = |text: &str, ids: &[TokenId]| text.len() as f64 / ids.len() as f64;
    // Of equal ones the first stays the first.
    examples.sort_by(|(a, of_a), (b, of_b)| ratio(&a.text, of_a).total_cmp(&ratio(&b.text, of_b)));
    let example = |(document, ids): &(&super::ComparedText, &Vec<TokenId>)| WorstDocument {
        name: document.name.clone(),
        bytes: document.text.len() as u64,
        tokens: ids.len() as u64,
        bytes_per_token: ratio(&document.text, ids),
        excerpt: document.text.chars().take(EXCERPT).collect(),
    };
    examples.iter().take(WORST).map(example).collect()
}

/// The pre-tokens of a corpus, of its texts as they are.
fn pre_tokens(tokenizer: &Tokenizer, corpus: &ComparedCorpus) -> Result<SpanReport> {
    let (mut counter, mut ends) = (SpanCounter::default(), Vec::new());
    for document in &corpus.documents {
        tokenizer.segmenter().spans(&document.text, &mut ends)?;
        let mut start = 0;
        for end in &ends {
            counter.add(&document.text[std::mem::replace(&mut start, *end as usize)..*end as usize]);
        }
    }
    Ok(counter.report())
}

/// The beginning of the first document that fills a page, or of the first, by each tokenizer.
pub(super) fn pages(tokenizers: &[(String, Tokenizer)], corpus: &ComparedCorpus) -> Result<Vec<ColouredPage>> {
    let filling = corpus.documents.iter().find(|document| document.text.len() >= PAGE_BYTES);
    let Some(document) = filling.or(corpus.documents.first()) else { return Ok(Vec::new()) };
    let text = &document.text[..document.text.floor_char_boundary(PAGE_BYTES)];
    let page = |(_, tokenizer): &(String, Tokenizer)| {
        let bytes_of = |id| tokenizer.token_bytes(id).unwrap_or_default();
        Ok(ColouredPage::new(&corpus.name, &tokenizer.encode(text)?, bytes_of))
    };
    tokenizers.iter().map(page).collect()
}

#[cfg(test)]
mod tests {
    use super::super::ComparedText;
    use super::*;

    #[test]
    fn ranks_are_spread() {
        let ranked: Vec<u64> = (1..=1000).rev().collect();
        let ranks = some_ranks(&ranked);
        assert_eq!((ranks[0], ranks[1], *ranks.last().unwrap()), ([1, 1000], [2, 999], [1000, 1]));
        assert!(ranks.windows(2).all(|pair| pair[0][0] < pair[1][0]) && ranks.len() < 60);
        assert_eq!((some_ranks(&[7]), some_ranks(&[])), (vec![[1, 7]], vec![]));
    }

    #[test]
    fn the_worst_come_first() {
        let text = |name: &str, text: String| ComparedText { name: name.to_owned(), text, word_ends: None };
        let documents = vec![text("short", "a".into()), text("good", "b".repeat(200)), text("bad", "<b>".repeat(100))];
        let corpus = ComparedCorpus { name: "en".to_owned(), documents };
        let found = worst(&corpus, &[vec![0], vec![0; 50], vec![0; 150]]);
        let names: Vec<(&str, f64)> = found.iter().map(|one| (one.name.as_str(), one.bytes_per_token)).collect();
        assert_eq!(names, [("bad", 2.0), ("good", 4.0)]);
        assert_eq!(found[0].excerpt.chars().count(), EXCERPT);
        // Where all are short, they are what there is.
        let corpus = ComparedCorpus { documents: corpus.documents[..1].to_vec(), ..corpus };
        assert_eq!(worst(&corpus, &[vec![0]]).len(), 1);
    }
}
