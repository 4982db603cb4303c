//! Stage: tokenizers compared on documents, with progress.

use super::progress::{Progress, Unit};
use crate::encode::Tokenizer;
use crate::error::Result;
use crate::evaluate::{CompareConfig, ComparedCorpus, Comparison, ParallelTexts, compare};

/// As [`compare`], told to `progress`.
///
/// # Errors
///
/// Those of [`compare`], and [`Error::Interrupted`](crate::Error::Interrupted).
pub fn compare_tokenizers(
    tokenizers: &[(String, Tokenizer)],
    corpora: &[ComparedCorpus],
    parallel: Option<&ParallelTexts>,
    config: &CompareConfig,
    progress: &Progress<'_>,
) -> Result<Comparison> {
    let texts = corpora.iter().flat_map(|corpus| &corpus.documents);
    let bytes: u64 = texts.map(|document| document.text.len() as u64).sum();
    progress.stage("compare", bytes * tokenizers.len() as u64, Unit::Bytes);
    let mut through = 0;
    compare(tokenizers, corpora, parallel, config, &mut |bytes| {
        through += bytes;
        progress.done(through);
        progress.check("comparing")
    })
}
