//! Held-out documents scored by a model, by language.

use std::ops::ControlFlow;

use super::anchors::Anchors;
use super::language::Language;
use super::report::LanguageReport;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::model::LanguageModel;
use crate::shard::Corpus;
use crate::vocab::TokenId;

/// What the held-out documents came to.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// A row for each language that occurs.
    pub languages: Vec<LanguageReport>,
    /// All of them together.
    pub all: LanguageReport,
}

/// Tokens of documents that are scored beside each other: work for all threads, and not much when it is to stop. What is
/// rounded depends on it, so it does not depend on the threads.
const TOGETHER: usize = 1 << 13;

/// Documents that are scored beside each other.
#[derive(Default)]
struct Documents {
    texts: Vec<Vec<u8>>,
    /// Their ids, between ends of text.
    sequences: Vec<Vec<TokenId>>,
}

/// Sums over the documents of one language.
#[derive(Default)]
struct Sums {
    documents: u64,
    bytes: Vec<u8>,
    tokens: u64,
    nats: f64,
    end_nats: f64,
}

/// Scores every document of `corpus`. `progress` is told the documents done and may stop the work.
///
/// Each document is scored by itself, behind an end-of-text token, which is how documents begin in training.
///
/// # Errors
///
/// [`Error::Shard`] for damage, [`Error::Fingerprint`] for shards of another tokenizer, [`Error::Accounting`] when
/// tokens and bytes disagree, [`Error::Interrupted`].
pub fn evaluate(
    model: &dyn LanguageModel,
    tokenizer: &Tokenizer,
    corpus: &Corpus,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<HeldOut> {
    let info = corpus.info();
    if info.fingerprint != tokenizer.fingerprint() {
        let path = corpus.shards()[0].path().to_owned();
        return Err(Error::Fingerprint {
            path,
            expected: tokenizer.fingerprint().to_string(),
            got: info.fingerprint.to_string(),
        });
    }
    let mut by_language: [Sums; 3] = Default::default();
    let (mut text_bytes, mut done) = (0, 0);
    let mut documents = corpus.documents();
    loop {
        let some = Documents::first_of(&mut documents, tokenizer, info.end_of_text)?;
        if some.texts.is_empty() {
            break;
        }
        let nats = model.nats_of_each(&some.sequences);
        for ((bytes, sequence), nats) in some.texts.iter().zip(&some.sequences).zip(nats) {
            text_bytes += bytes.len() as u64;
            let language = Language::of(&String::from_utf8_lossy(bytes));
            let sums = &mut by_language[language as usize];
            sums.add(model, bytes, sequence, &nats, info.end_of_text.is_some());
            done += 1;
            if progress(done).is_break() {
                return Err(Error::Interrupted { stage: "evaluating" });
            }
        }
    }
    // The shards say how many bytes of text went into them: all of them must have been scored.
    if text_bytes != info.text_bytes {
        return Err(Error::Accounting {
            what: "held-out bytes",
            entered: info.text_bytes,
            left: text_bytes,
            rejected: 0,
            treated: 0,
        });
    }
    let mut all = Sums::default();
    let mut languages = Vec::new();
    for (language, sums) in Language::ALL.into_iter().zip(by_language) {
        if sums.documents > 0 {
            languages.push(sums.report(language.code()));
        }
        all.documents += sums.documents;
        all.bytes.extend_from_slice(&sums.bytes);
        all.tokens += sums.tokens;
        all.nats += sums.nats;
        all.end_nats += sums.end_nats;
    }
    Ok(HeldOut { languages, all: all.report("all") })
}

impl Documents {
    /// The next of these, at least one if there is one more.
    fn first_of(
        documents: &mut impl Iterator<Item = Result<Vec<TokenId>>>,
        tokenizer: &Tokenizer,
        end: Option<TokenId>,
    ) -> Result<Self> {
        let (mut some, mut tokens) = (Self::default(), 0);
        while tokens < TOGETHER
            && let Some(ids) = documents.next()
        {
            let ids = ids?;
            some.texts.push(tokenizer.decode(&ids)?);
            some.sequences.push(end.into_iter().chain(ids).chain(end).collect());
            tokens += some.sequences.last().map_or(0, Vec::len);
        }
        Ok(some)
    }
}

impl Sums {
    /// Adds a document, whose ids may stand between ends of text, and their nats.
    fn add(&mut self, model: &dyn LanguageModel, bytes: &[u8], sequence: &[TokenId], nats: &[f64], with_ends: bool) {
        let (text, behind) = nats.split_at(nats.len() - usize::from(with_ends));
        // Without an end-of-text token there is nothing before the first id, so it is scored as if it were known: by the
        // logarithm of the vocabulary's size.
        let first = if with_ends { 0.0 } else { (model.vocab_size() as f64).ln() };
        self.documents += 1;
        self.bytes.extend_from_slice(bytes);
        self.tokens += (sequence.len() - 2 * usize::from(with_ends)) as u64;
        self.nats += first + text.iter().sum::<f64>();
        self.end_nats += behind.iter().sum::<f64>();
    }

    fn report(&self, language: &str) -> LanguageReport {
        let bytes = self.bytes.len() as f64;
        let per = |value: f64, count: f64| if count > 0.0 { value / count } else { 0.0 };
        LanguageReport {
            language: language.to_owned(),
            documents: self.documents,
            bytes: self.bytes.len() as u64,
            tokens: self.tokens,
            bytes_per_token: per(bytes, self.tokens as f64),
            bits_per_byte: per(self.nats / std::f64::consts::LN_2, bytes),
            end_bits_per_document: per(self.end_nats / std::f64::consts::LN_2, self.documents as f64),
            anchors: Anchors::of(&self.bytes),
        }
    }
}
