//! The stage that evaluates a model, and what the report shows of it.

use std::ops::ControlFlow;
use std::path::Path;

use super::progress::{Progress, Unit};
use super::verify::verify_corpus;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::evaluate::{ColouredPage, HeldOut, Language, SampleReport, evaluate};
use crate::model::{Gpt, LanguageModel, SampleConfig, Sampler};
use crate::shard::{Corpus, Split};

/// Evaluates a model on the held-out shards in `folder`; `None` when there are none. They are verified first.
///
/// # Errors
///
/// Those of damaged shards and of [`evaluate`].
pub fn evaluate_folder(
    folder: &Path,
    tokenizer: &Tokenizer,
    model: &dyn LanguageModel,
    progress: &Progress<'_>,
) -> Result<Option<HeldOut>> {
    let Some(corpus) = open_if_there(folder, Split::Val)? else {
        return Ok(None);
    };
    verify_corpus(&corpus, progress)?;
    progress.stage("evaluating", corpus.info().documents, Unit::Documents);
    let tell = &mut |done| {
        progress.done(done);
        progress.flow()
    };
    evaluate(model, tokenizer, &corpus, tell).map(Some)
}

pub(super) fn open_if_there(folder: &Path, split: Split) -> Result<Option<Corpus>> {
    match Corpus::open(folder, split) {
        Ok(corpus) => Ok(Some(corpus)),
        Err(Error::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tokens of a prompt, and of a page.
const PROMPT_TOKENS: usize = 12;
const PAGE_TOKENS: usize = 220;

/// For Chinese and English the first held-out document (or else the first for training): its page by token, and a
/// continuation of its beginning.
pub(super) fn show(
    folder: &Path,
    tokenizer: &Tokenizer,
    gpt: &Gpt,
    seed: u64,
) -> Result<(Vec<SampleReport>, Vec<ColouredPage>)> {
    let (mut samples, mut pages) = (Vec::new(), Vec::new());
    for language in [Language::Zh, Language::En] {
        let Some(ids) = first_document(folder, tokenizer, language)? else {
            continue;
        };
        let bytes_of = |id| tokenizer.token_bytes(id).unwrap_or_default();
        pages.push(ColouredPage::new(language.code(), &ids[..ids.len().min(PAGE_TOKENS)], bytes_of));
        let prompt = whole_characters(tokenizer, &ids[..ids.len().min(PROMPT_TOKENS)])?;
        let end = tokenizer.spec().special().end_of_text();
        let sequence: Vec<u32> = end.into_iter().chain(prompt.iter().copied()).collect();
        let mut sampler = Sampler::new(gpt, SampleConfig { seed, ..SampleConfig::default() })?;
        let drawn = sampler.sample(&sequence, end, &mut |_| ControlFlow::Continue(()));
        samples.push(SampleReport {
            language: language.code().to_owned(),
            prompt: String::from_utf8_lossy(&tokenizer.decode(prompt)?).into_owned(),
            continuation: String::from_utf8_lossy(&tokenizer.decode(&drawn)?).into_owned(),
        });
    }
    Ok((samples, pages))
}

fn first_document(folder: &Path, tokenizer: &Tokenizer, language: Language) -> Result<Option<Vec<u32>>> {
    for split in [Split::Val, Split::Train] {
        let Some(corpus) = open_if_there(folder, split)? else {
            continue;
        };
        for ids in corpus.documents() {
            let ids = ids?;
            if Language::of(&String::from_utf8_lossy(&tokenizer.decode(&ids)?)) == language {
                return Ok(Some(ids));
            }
        }
    }
    Ok(None)
}

/// The longest beginning of `ids` that is whole characters.
fn whole_characters<'i>(tokenizer: &Tokenizer, ids: &'i [u32]) -> Result<&'i [u32]> {
    for end in (1..=ids.len()).rev() {
        if std::str::from_utf8(&tokenizer.decode(&ids[..end])?).is_ok() {
            return Ok(&ids[..end]);
        }
    }
    Ok(&ids[..ids.len().min(1)])
}
