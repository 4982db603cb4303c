//! An arm of a probe: a tokenizer, the texts in its tokens, and the size of the model that sees them.
//!
//! Arms get what is equal in bytes, not in tokens: a window spans the same bytes, so that nobody has more context, and a
//! step takes as many windows, so that equal steps are equal bytes.

use rayon::prelude::*;

use super::corpus::{Text, Texts};
use super::settings::ProbeSettings;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::model::GptConfig;
use crate::vocab::TokenId;

/// What an arm is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is compared with the others.
    Compared,
    /// The first arm again, with other seeds: how far apart equal tokenizers come.
    Noise,
    /// A scale beside them: bytes, or characters.
    Anchor,
}

/// An arm.
#[derive(Debug)]
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) tokenizer: Tokenizer,
    /// Whether it was learned from the texts for training, and from nothing else.
    pub(super) learned_here: bool,
    pub(super) train: Vec<Vec<TokenId>>,
    pub(super) held_out: Vec<Vec<TokenId>>,
    /// What ends a document: the tokenizer's own token, or else one more id.
    pub(super) end: TokenId,
    /// Bytes a token, of the texts for training.
    pub(super) bytes_per_token: f64,
    /// Held-out documents that the tokenizer does not give back.
    pub(super) lossy: u64,
    pub(super) model: GptConfig,
}

impl Arm {
    pub(super) fn new(
        name: String,
        role: Role,
        tokenizer: Tokenizer,
        learned_here: bool,
        texts: &Texts,
        settings: &ProbeSettings,
    ) -> Result<Self> {
        let encode = |texts: &[Text]| -> Result<Vec<Vec<TokenId>>> {
            texts.par_iter().map(|text| tokenizer.encode(&text.text)).collect()
        };
        let (train, held_out) = (encode(&texts.train)?, encode(&texts.held_out)?);
        let lossy = texts
            .held_out
            .par_iter()
            .zip(&held_out)
            .map(|(text, ids)| Ok(u64::from(tokenizer.decode(ids)? != text.text.as_bytes())));
        let lossy = lossy.sum::<Result<u64>>()?;
        let tokens: usize = train.iter().map(Vec::len).sum();
        let bytes_per_token = texts.train_bytes() as f64 / tokens.max(1) as f64;
        let size = tokenizer.spec().vocab_size();
        let end = tokenizer.spec().special().end_of_text().unwrap_or(size);
        let vocab_size = size.max(end + 1) as usize;
        let context = ((settings.context_bytes as f64 / bytes_per_token).round() as usize).max(2);
        let model = settings.model(vocab_size, context);
        model.check()?;
        Ok(Self { name, role, tokenizer, learned_here, train, held_out, end, bytes_per_token, lossy, model })
    }

    /// The ids of all documents for training in the order of a seed, each behind what ends the one before.
    pub(super) fn stream(&self, texts: &Texts, seed: u64) -> Vec<TokenId> {
        let mut stream = vec![self.end];
        for number in texts.order(seed) {
            stream.extend_from_slice(&self.train[number as usize]);
            stream.push(self.end);
        }
        stream
    }

    /// Windows in a stream: each begins with the last id of the one before, so that every id is predicted once.
    pub(super) fn windows(&self) -> u64 {
        let tokens = 1 + self.train.iter().map(|ids| ids.len() as u64 + 1).sum::<u64>();
        (tokens - 1) / self.model.context as u64
    }

    /// The batch of a step, counted from 0: rows of a window and one id more. The stream is begun anew behind its end.
    pub(super) fn batch(&self, stream: &[TokenId], step: u64, rows: usize) -> Vec<TokenId> {
        let (context, windows) = (self.model.context, self.windows());
        let mut batch = Vec::with_capacity(rows * (context + 1));
        for row in 0..rows as u64 {
            let start = ((step * rows as u64 + row) % windows) as usize * context;
            batch.extend_from_slice(&stream[start..=start + context]);
        }
        batch
    }

    /// Tokens that go through a model when held-out text is scored: those of a longer document than a window twice, as windows
    /// advance by half.
    pub(super) fn scored_tokens(&self) -> u64 {
        let of = |ids: &Vec<TokenId>| {
            let predictions = ids.len();
            predictions + predictions.saturating_sub(self.model.context)
        };
        self.held_out.iter().map(|ids| of(ids) as u64).sum()
    }

    /// Floating-point operations of training on a byte of text: six for each parameter that is multiplied with and each
    /// token, and those of attention, of which half is never done (Kaplan et al. 2020, section 2.1, for causal attention).
    pub(super) fn flops_per_byte(&self) -> f64 {
        self.flops_per_token() / self.bytes_per_token
    }

    pub(super) fn flops_per_token(&self) -> f64 {
        let GptConfig { context, layers, width, .. } = self.model;
        6.0 * (self.body_parameters() + self.embedding()) as f64 + (6 * layers * width * context) as f64
    }

    /// The part of them that the output matrix takes.
    pub(super) fn head_share(&self) -> f64 {
        6.0 * self.embedding() as f64 / self.flops_per_token()
    }

    /// Parameters but for those of embeddings: the same for all arms.
    pub(super) fn body_parameters(&self) -> u64 {
        // One token and one position less one of each is what a token and a position take.
        let with = |vocab_size, context| GptConfig { vocab_size, context, ..self.model }.parameters();
        let (token, position) = (with(2, 1) - with(1, 1), with(1, 2) - with(1, 1));
        with(1, 1) - token - position
    }

    fn embedding(&self) -> u64 {
        (self.model.vocab_size * self.model.width) as u64
    }

    /// An error for a vocabulary so large beside the body that the model would be one of single tokens.
    pub(super) fn check_size(&self, force: bool) -> Result<()> {
        let most = 2 * self.body_parameters();
        if force || self.embedding() <= most {
            return Ok(());
        }
        Err(Error::Setting {
            name: "width",
            value: format!("{} for the {} tokens of `{}`", self.model.width, self.model.vocab_size, self.name),
            expected: format!(
                "such that the embedding ({} parameters) is at most twice the body ({}): add --layers or --width, compare \
                 smaller vocabularies, or say --force",
                self.embedding(),
                self.body_parameters()
            ),
        })
    }
}
