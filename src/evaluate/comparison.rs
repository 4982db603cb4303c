//! Tokenizers compared on the same documents, without training a model.
//!
//! Every figure is a ratio of sums over documents (`measures.rs`) and comes with an interval of 95 % by a paired
//! bootstrap (`bootstrap.rs`); so do the differences of any two tokenizers. A difference is called none where its
//! interval lies within a margin that the caller sets.
//!
//! # What to make of it
//!
//! Fewer tokens are not better tokens: words as bounds while learning cost some percent of tokens and win as much of bits
//! per byte. The nearest to a judgement here are the bits per byte of an n-gram model with Kneser-Ney smoothing, trained
//! on four fifths of the documents of all languages together and asked on the others. It holds long tokens to be dear
//! where there is little text to learn from, so the bytes it was trained on stand beside it. Entropy, the efficiency of
//! Rényi, the coefficient of Gini and the exponent of Zipf describe a distribution, and judge nothing.
//!
//! What is asked of places of tokens, words and edges leaves documents out that a tokenizer changes; `round_trip` tells
//! how many. `measures.rs` defines each figure.

use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::bootstrap::{Bootstrap, Estimate, Ratio, Verdict};
use super::distribution::Distribution;
use super::emoji::EmojiReport;
use super::measures::{Better, COLUMNS, Column, MEASURES, Measurer, Row};
use super::numbers::NumberReport;
use super::report::ColouredPage;
use super::scripts::ScriptReport;
use super::spans::SpanReport;
use super::token_figures::{bytes_of, figures_of, pages};
use super::vocabulary::VocabularyAudit;
use crate::encode::{Encoder, Tokenizer};
use crate::error::{Error, Result};
use crate::model::{NGram, NGramCounts};
use crate::vocab::{Fingerprint, TokenId};

/// One document in so many is asked of the language models, which are trained on the others.
const HELD_OUT: u64 = 5;

/// A document to compare tokenizers on.
#[derive(Debug, Clone)]
pub struct ComparedText {
    /// What people find it by: its id, or its file and line.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The ends of its words in bytes, if words are to be asked for. They cover the text.
    pub word_ends: Option<Vec<u32>>,
}

/// Documents of a language, or of whatever is to be told apart.
#[derive(Debug, Clone)]
pub struct ComparedCorpus {
    /// Its name.
    pub name: String,
    /// Its documents.
    pub documents: Vec<ComparedText>,
}

/// Texts that say the same in two languages, pair by pair.
#[derive(Debug, Clone, Default)]
pub struct ParallelTexts {
    /// Both texts of each pair.
    pub pairs: Vec<[String; 2]>,
}

/// How tokenizers are compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareConfig {
    /// The relative difference that does not matter.
    pub margin: f64,
    /// Start of all random numbers.
    pub seed: u64,
    /// Order of the n-gram model.
    pub order: usize,
}

impl Default for CompareConfig {
    fn default() -> Self {
        Self { margin: 0.005, seed: 1, order: 3 }
    }
}

/// Tokenizers compared.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The settings.
    pub config: CompareConfig,
    /// The tokenizers, in the order of all lists of values.
    pub tokenizers: Vec<ComparedTokenizer>,
    /// Figures by corpus.
    pub corpora: Vec<CorpusComparison>,
    /// Tokens of the second language for each of the first, where they say the same.
    pub parallel: Option<MeasureComparison>,
}

/// A tokenizer of a comparison.
#[derive(Debug, Clone, Serialize)]
pub struct ComparedTokenizer {
    /// Its name.
    pub name: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// One above its highest id.
    pub vocab_size: u32,
    /// Bytes of text that its n-gram models were trained on.
    pub model_bytes: u64,
    /// What its vocabulary is made of.
    pub audit: VocabularyAudit,
    /// How it cuts numbers.
    pub numbers: NumberReport,
    /// What it makes of emoji.
    pub emoji: EmojiReport,
}

/// Figures of a corpus.
#[derive(Debug, Clone, Serialize)]
pub struct CorpusComparison {
    /// The name of the corpus.
    pub name: String,
    /// Its documents.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Documents that the language models were asked.
    pub held_out: u64,
    /// The figures, each with those of all tokenizers.
    pub measures: Vec<MeasureComparison>,
    /// How each tokenizer's tokens are distributed there, and how fast they were made.
    pub tokens: Vec<TokenFigures>,
    /// The beginning of a document, by each tokenizer.
    pub pages: Vec<ColouredPage>,
}

/// A figure of all tokenizers.
#[derive(Debug, Clone, Serialize)]
pub struct MeasureComparison {
    /// Its name.
    pub name: &'static str,
    /// Which values are the better ones.
    pub better: Better,
    /// Its value for each tokenizer; `None` where there is nothing to take it from.
    pub values: Vec<Option<Estimate>>,
    /// Differences of each two tokenizers.
    pub differences: Vec<DifferenceReport>,
}

/// How much larger a figure of one tokenizer is than that of another, as a part of the latter.
#[derive(Debug, Clone, Serialize)]
pub struct DifferenceReport {
    /// The tokenizer that is the measure, by its place.
    pub first: usize,
    /// The one compared with it.
    pub second: usize,
    /// The difference.
    pub difference: Estimate,
    /// What it comes to.
    pub verdict: Verdict,
}

/// The tokens of a corpus.
#[derive(Debug, Clone, Serialize)]
pub struct TokenFigures {
    /// Tokens.
    pub tokens: u64,
    /// Different ones, as a part of the vocabulary.
    pub used_share: f64,
    /// Tokens of the vocabulary that occur, but fewer than ten times.
    pub seldom: u64,
    /// How many of the tokens have each length in bytes.
    pub lengths: BTreeMap<u32, u64>,
    /// Ranks of tokens from the commonest, some tens of them, and how often the token of each occurs.
    pub ranks: Vec<[u64; 2]>,
    /// Characters and tokens by script, of the documents that come back from their ids.
    pub scripts: Vec<ScriptReport>,
    /// The documents with the fewest bytes a token, the worst first: of those with 100 bytes or more, if there are any.
    pub worst: Vec<WorstDocument>,
    /// Its pre-tokens: their lengths, and how often one comes that was there before, which a memo of an encoder finds.
    pub pre_tokens: SpanReport,
    /// Megabytes of text a second, encoded once on one thread. It differs from run to run.
    pub encode_megabytes_per_second: f64,
    /// The same when the ids are decoded.
    pub decode_megabytes_per_second: f64,
}

/// A document that takes many tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorstDocument {
    /// Its name, see [`ComparedText::name`].
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its tokens.
    pub tokens: u64,
    /// Bytes by tokens.
    pub bytes_per_token: f64,
    /// Its first characters.
    pub excerpt: String,
}

/// Compares `tokenizers` on `corpora`. `done` is told the bytes of text that a tokenizer is through with, and may end
/// the work.
///
/// # Errors
///
/// [`Error::Setting`] for fewer than two tokenizers or a margin that is not from 0 to 1; those of [`Tokenizer::encode`],
/// and of `done`.
pub fn compare(
    tokenizers: &[(String, Tokenizer)],
    corpora: &[ComparedCorpus],
    parallel: Option<&ParallelTexts>,
    config: &CompareConfig,
    done: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Comparison> {
    check(tokenizers, config)?;
    let count = tokenizers.len();
    let mut rows: Vec<Vec<f64>> =
        corpora.iter().map(|corpus| vec![0.0; corpus.documents.len() * COLUMNS * count]).collect();
    let mut tokens: Vec<Vec<TokenFigures>> = vec![Vec::new(); corpora.len()];
    let mut compared = Vec::new();
    for (at, (name, tokenizer)) in tokenizers.iter().enumerate() {
        let (mut encoded, mut distributions) = (Vec::new(), Vec::new());
        for (corpus, figures) in corpora.iter().zip(&mut tokens) {
            let (ids, seconds) = encode(tokenizer, corpus)?;
            let all_ids = ids.iter().map(Vec::as_slice);
            let distribution = Distribution::of(all_ids, tokenizer.spec().vocab_size());
            figures.push(figures_of(tokenizer, corpus, &ids, &distribution.ranked, seconds)?);
            encoded.push(ids);
            distributions.push(distribution);
        }
        let models = Models::train(tokenizer, corpora, &encoded, config.order)?;
        let numbers = NumberReport::of(tokenizer)?;
        let measurer = Measurer::new(tokenizer, &numbers);
        for (((corpus, ids), rows), distribution) in corpora.iter().zip(&encoded).zip(&mut rows).zip(&distributions) {
            let documents = corpus.documents.par_iter().zip(ids);
            let measured: Result<Vec<Row>> = documents
                .map(|(document, ids)| {
                    let mut row = measurer.row(&document.text, document.word_ends.as_deref(), ids, config.seed)?;
                    distribution.set(ids, &mut row);
                    models.score(&document.text, ids, &mut row)?;
                    Ok(row)
                })
                .collect();
            for (row, all) in measured?.into_iter().zip(rows.chunks_mut(COLUMNS * count)) {
                all[at * COLUMNS..(at + 1) * COLUMNS].copy_from_slice(&row.0);
            }
            done(bytes_of(corpus))?;
        }
        compared.push(ComparedTokenizer {
            name: name.clone(),
            fingerprint: tokenizer.fingerprint(),
            vocab_size: tokenizer.spec().vocab_size(),
            model_bytes: models.bytes,
            audit: VocabularyAudit::of(tokenizer),
            numbers,
            emoji: EmojiReport::of(tokenizer)?,
        });
    }
    let corpora = corpora.iter().zip(rows).zip(tokens).map(|((corpus, rows), tokens)| {
        let bootstrap = Bootstrap::new(&rows, COLUMNS * count, config.seed);
        let measures = MEASURES.iter().map(|measure| {
            let ratios: Vec<Ratio> = (0..count).map(|at| measure.ratio(at)).collect();
            measure_of(measure.name, measure.better, &bootstrap, &ratios, config.margin)
        });
        Ok(CorpusComparison {
            name: corpus.name.clone(),
            documents: corpus.documents.len() as u64,
            bytes: bytes_of(corpus),
            held_out: corpus.documents.iter().filter(|document| is_held_out(&document.text)).count() as u64,
            measures: measures.collect(),
            tokens,
            pages: pages(tokenizers, corpus)?,
        })
    });
    let corpora = corpora.collect::<Result<_>>()?;
    let parallel = parallel.map(|texts| premium(tokenizers, texts, config)).transpose()?;
    Ok(Comparison { config: config.clone(), tokenizers: compared, corpora, parallel })
}

fn check(tokenizers: &[(String, Tokenizer)], config: &CompareConfig) -> Result<()> {
    if tokenizers.len() < 2 {
        let expected = "two or more".to_owned();
        return Err(Error::Setting { name: "tokenizers", value: tokenizers.len().to_string(), expected });
    }
    if !(0.0..=1.0).contains(&config.margin) {
        let expected = "a number from 0 to 1".to_owned();
        return Err(Error::Setting { name: "margin", value: config.margin.to_string(), expected });
    }
    Ok(())
}

fn is_held_out(text: &str) -> bool {
    xxh3_64(text.as_bytes()).is_multiple_of(HELD_OUT)
}

/// The ids of all documents, and how long they took on one thread.
fn encode(tokenizer: &Tokenizer, corpus: &ComparedCorpus) -> Result<(Vec<Vec<TokenId>>, f64)> {
    let (start, mut encoder) = (Instant::now(), Encoder::new(tokenizer));
    let ids = corpus.documents.iter().map(|document| {
        let mut ids = Vec::new();
        encoder.encode_into(&document.text, &mut ids)?;
        Ok(ids)
    });
    let ids = ids.collect::<Result<Vec<_>>>()?;
    Ok((ids, start.elapsed().as_secs_f64()))
}

/// Language models of single tokens and of n-grams.
struct Models {
    unigram: NGram,
    n_gram: NGram,
    bytes: u64,
}

impl Models {
    fn train(
        tokenizer: &Tokenizer,
        corpora: &[ComparedCorpus],
        ids: &[Vec<Vec<TokenId>>],
        order: usize,
    ) -> Result<Self> {
        let size = tokenizer.spec().vocab_size();
        let (mut unigram, mut n_gram) = (NGramCounts::new(1, size)?, NGramCounts::new(order, size)?);
        let mut bytes = 0;
        for (corpus, ids) in corpora.iter().zip(ids) {
            for (document, ids) in corpus.documents.iter().zip(ids).filter(|(document, _)| !is_held_out(&document.text))
            {
                unigram.add(ids)?;
                n_gram.add(ids)?;
                bytes += document.text.len() as u64;
            }
        }
        let (unigram, n_gram) = rayon::join(|| unigram.finish(), || n_gram.finish());
        Ok(Self { unigram, n_gram, bytes })
    }

    /// Asks for a document that was held out.
    fn score(&self, text: &str, ids: &[TokenId], row: &mut Row) -> Result<()> {
        if self.bytes > 0 && is_held_out(text) {
            row.set(Column::ScoredBytes, text.len() as u64);
            row.0[Column::UnigramBits as usize] = self.unigram.nats(ids)? / std::f64::consts::LN_2;
            row.0[Column::KneserNeyBits as usize] = self.n_gram.nats(ids)? / std::f64::consts::LN_2;
        }
        Ok(())
    }
}

fn measure_of(
    name: &'static str,
    better: Better,
    bootstrap: &Bootstrap,
    ratios: &[Ratio],
    margin: f64,
) -> MeasureComparison {
    let values = ratios.iter().map(|ratio| bootstrap.estimate(*ratio)).collect();
    let pairs = (0..ratios.len()).flat_map(|first| (first + 1..ratios.len()).map(move |second| (first, second)));
    let differences = pairs.filter_map(|(first, second)| {
        let difference = bootstrap.difference(ratios[first], ratios[second])?;
        Some(DifferenceReport { first, second, difference, verdict: Verdict::of(&difference, margin) })
    });
    MeasureComparison { name, better, values, differences: differences.collect() }
}

/// Tokens of the second text for each of the first.
fn premium(
    tokenizers: &[(String, Tokenizer)],
    texts: &ParallelTexts,
    config: &CompareConfig,
) -> Result<MeasureComparison> {
    let mut rows = vec![0.0; 2 * tokenizers.len() * texts.pairs.len()];
    for (at, (_, tokenizer)) in tokenizers.iter().enumerate() {
        let mut encoder = Encoder::new(tokenizer);
        for (pair, row) in texts.pairs.iter().zip(rows.chunks_mut(2 * tokenizers.len())) {
            for (text, tokens) in pair.iter().zip(&mut row[2 * at..]) {
                *tokens = encoder.count(text)? as f64;
            }
        }
    }
    let bootstrap = Bootstrap::new(&rows, 2 * tokenizers.len(), config.seed);
    let ratios: Vec<Ratio> = (0..tokenizers.len()).map(|at| Ratio { above: 2 * at + 1, below: 2 * at }).collect();
    Ok(measure_of("tokens_of_second_per_first", Better::Lower, &bootstrap, &ratios, config.margin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;

    /// All bytes, and merges of these texts from the left.
    fn tokenizer(texts: &[&str]) -> Tokenizer {
        let order = crate::vocab::gpt2_byte_order();
        let byte = |byte: u8| order.iter().position(|other| *other == byte).unwrap() as u32;
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for text in texts {
            let mut left = byte(text.as_bytes()[0]);
            for next in &text.as_bytes()[1..] {
                let pair = (left, byte(*next));
                left = match pairs.iter().position(|other| *other == pair) {
                    Some(at) => 256 + at as u32,
                    None => {
                        pairs.push(pair);
                        255 + pairs.len() as u32
                    }
                };
            }
        }
        Tokenizer::new(TokenizerSpec::from_learned("(?s).+".to_owned(), HanEdges::None, &pairs, &[]).unwrap()).unwrap()
    }

    fn corpus(name: &str, texts: impl Iterator<Item = String>) -> ComparedCorpus {
        let documents = texts
            .map(|text| ComparedText { name: String::new(), word_ends: Some(vec![text.len() as u32]), text })
            .collect();
        ComparedCorpus { name: name.to_owned(), documents }
    }

    fn corpora() -> Vec<ComparedCorpus> {
        let texts = |word: &'static str| (0..60).map(move |n| word.repeat(1 + n % 7) + &n.to_string());
        vec![corpus("zh", texts("词元")), corpus("en", texts("token "))]
    }

    fn compared(names: &[(&str, &[&str])], parallel: Option<&ParallelTexts>) -> Comparison {
        let tokenizers: Vec<_> = names.iter().map(|(name, texts)| ((*name).to_owned(), tokenizer(texts))).collect();
        compare(&tokenizers, &corpora(), parallel, &CompareConfig::default(), &mut |_| Ok(())).unwrap()
    }

    fn measure<'c>(comparison: &'c Comparison, corpus: usize, name: &str) -> &'c MeasureComparison {
        comparison.corpora[corpus].measures.iter().find(|measure| measure.name == name).unwrap()
    }

    #[test]
    fn the_better_of_two() {
        let comparison = compared(&[("bytes", &[]), ("words", &["词元", "token "])], None);
        for corpus in [0, 1] {
            let bytes_per_token = measure(&comparison, corpus, "bytes_per_token");
            assert_eq!(bytes_per_token.values[0].unwrap().value, 1.0);
            assert_eq!(bytes_per_token.differences.len(), 1);
            assert_eq!(bytes_per_token.differences[0].verdict, Verdict::More);
            let bits = measure(&comparison, corpus, "kneser_ney_bits_per_byte");
            let [Some(bytes), Some(words)] = bits.values[..] else { panic!("{bits:?}") };
            assert!(words.value < bytes.value && words.value > 0.0, "{bits:?}");
            assert_eq!(measure(&comparison, corpus, "round_trip").values[1].unwrap().value, 1.0);
        }
        assert!(measure(&comparison, 1, "tokens_per_han_character").values[0].is_none());
        let figures = &comparison.corpora[0].tokens[0];
        assert_eq!(figures.tokens, comparison.corpora[0].bytes);
        assert!(comparison.tokenizers[0].model_bytes > 0 && comparison.corpora[0].held_out > 0);
    }

    #[test]
    fn a_tokenizer_is_like_itself() {
        let comparison = compared(&[("one", &["词元"]), ("same", &["词元"])], None);
        for measure in comparison.corpora.iter().flat_map(|corpus| &corpus.measures) {
            assert!(measure.differences.iter().all(|one| one.verdict == Verdict::NoDifference), "{measure:?}");
        }
    }

    #[test]
    fn what_a_language_costs_beside_another() {
        let pairs = (0..20).map(|n| ["token ".repeat(n + 1), "词元".repeat(n + 1)]).collect();
        let parallel = ParallelTexts { pairs };
        let comparison = compared(&[("bytes", &[]), ("words", &["词元"])], Some(&parallel));
        let values: Vec<f64> = comparison.parallel.unwrap().values.iter().map(|value| value.unwrap().value).collect();
        assert_eq!(values, [1.0, 1.0 / 6.0]);
    }

    #[test]
    fn distributions_and_pre_tokens() {
        let comparison = compared(&[("bytes", &[]), ("words", &["词元", "token "])], None);
        for name in ["entropy_per_byte", "renyi_efficiency", "gini_of_ids", "zipf_exponent"] {
            let descriptor = measure(&comparison, 0, name);
            assert_eq!(descriptor.better, Better::Neither);
            for value in &descriptor.values {
                let Some(Estimate { value, interval: Some([low, high]) }) = *value else { panic!("{descriptor:?}") };
                assert!(low < value && value < high && value > 0.0, "{descriptor:?}");
            }
        }
        // Each document is one pre-token, and some come again.
        let figures = &comparison.corpora[1].tokens[1];
        assert_eq!((figures.pre_tokens.all.spans, figures.pre_tokens.all.repeated), (60, 0.0));
        assert!(figures.decode_megabytes_per_second > 0.0);
    }

    #[test]
    fn what_is_refused() {
        let (one, mut go_on) = ([("one".to_owned(), tokenizer(&[]))], |_| Ok(()));
        let error = compare(&one, &corpora(), None, &CompareConfig::default(), &mut go_on).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "tokenizers", .. }));
        let two = [one[0].clone(), one[0].clone()];
        let config = CompareConfig { margin: -1.0, ..CompareConfig::default() };
        assert!(compare(&two, &corpora(), None, &config, &mut go_on).is_err());
        let config = CompareConfig { order: 9, ..CompareConfig::default() };
        assert!(compare(&two, &corpora(), None, &config, &mut go_on).is_err());
        // Nothing to compare on is an answer: no figures.
        let nothing = ComparedCorpus { name: "zh".to_owned(), documents: Vec::new() };
        let comparison = compare(&two, &[nothing], None, &CompareConfig::default(), &mut go_on).unwrap();
        assert!(comparison.corpora[0].measures.iter().all(|measure| measure.values == [None, None]));
    }
}
