//! Whether a folder, or a shard, is as it was written.

use std::path::Path;

use rayon::prelude::*;

use super::files::{MODEL_FOLDER, TOKENIZER_FILE, load_tokenizer};
use super::importing::NO_TOKENIZER;
use super::model_kinds::AnyModel;
use super::progress::{Progress, Unit};
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{Corpus, MANIFEST_FILE, Manifest, Shard, ShardEntry};
use crate::vocab::Fingerprint;

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Verified {
    /// Shards.
    pub shards: u64,
    /// Documents.
    pub documents: u64,
    /// Ids.
    pub tokens: u64,
    /// Bytes of text that they stand for.
    pub bytes: u64,
    /// Whether there was a model.
    pub model: bool,
}

/// Verifies a shard, or a folder: the manifest's own checksum and sums, every shard as a whole and against the manifest,
/// that the tokenizer is the one the shards were made with, that the bytes of all ids are the bytes stated, and the
/// model if there is one. Ids that were imported without a tokenizer stand for no bytes. Of a folder that `train` has made, the
/// model's weights against their checksum and shapes, and that the tokenizer beside it is the one it was trained with.
///
/// # Errors
///
/// The first thing that is wrong; [`Error::Missing`] when there is nothing to verify, [`Error::Interrupted`].
pub fn verify(path: &Path, progress: &Progress<'_>) -> Result<Verified> {
    if !path.is_dir() {
        let shard = Shard::open(path)?;
        shard.verify()?;
        let info = shard.info();
        return Ok(Verified {
            shards: 1,
            documents: info.documents,
            tokens: info.tokens,
            bytes: info.text_bytes,
            model: false,
        });
    }
    let Some(manifest) = Manifest::load(path)? else {
        return verify_model_alone(path);
    };
    let lengths = text_lengths(path, &manifest)?;
    progress.stage("verifying", manifest.shards.len() as u64, Unit::Files);
    let results: Vec<Result<()>> =
        manifest.shards.par_iter().map(|entry| verify_shard(path, &manifest, entry, &lengths, progress)).collect();
    results.into_iter().collect::<Result<()>>()?;
    progress.done(manifest.shards.len() as u64);
    let model = path.join(MODEL_FOLDER);
    if model.is_dir() {
        verify_model(&model, Some(manifest.tokenizer.fingerprint))?;
    }
    Ok(Verified {
        shards: manifest.shards.len() as u64,
        documents: manifest.documents.left,
        tokens: manifest.tokens,
        bytes: manifest.bytes.left,
        model: model.is_dir(),
    })
}

/// Verifies a folder that holds a model and no shards, which would want their manifest.
fn verify_model_alone(folder: &Path) -> Result<Verified> {
    if !AnyModel::is_alone_in(folder) {
        return Err(Error::Missing { path: folder.join(MANIFEST_FILE) });
    }
    // The folder of the model itself has no tokenizer.
    let path = folder.join(TOKENIZER_FILE);
    let beside = if path.exists() { Some(load_tokenizer(&path, None, &[])?.fingerprint()) } else { None };
    verify_model(folder, beside)?;
    Ok(Verified { model: true, ..Verified::default() })
}

/// Verifies a model against its checksum, and that it was trained with this tokenizer, if there is one.
fn verify_model(folder: &Path, tokenizer: Option<Fingerprint>) -> Result<()> {
    let (_, made_with) = AnyModel::load(folder)?;
    match tokenizer.filter(|tokenizer| *tokenizer != made_with) {
        Some(tokenizer) => {
            let (expected, got) = (tokenizer.to_string(), made_with.to_string());
            Err(Error::Fingerprint { path: folder.to_owned(), expected, got })
        }
        None => Ok(()),
    }
}

/// The bytes that each id stands for, by the folder's tokenizer; none where ids were imported without one.
fn text_lengths(folder: &Path, manifest: &Manifest) -> Result<Vec<u32>> {
    if manifest.tokenizer.fingerprint == NO_TOKENIZER {
        return Ok(Vec::new());
    }
    let path = folder.join(&manifest.tokenizer.file);
    let tokenizer = load_tokenizer(&path, None, &[])?;
    if tokenizer.fingerprint() != manifest.tokenizer.fingerprint {
        let expected = manifest.tokenizer.fingerprint.to_string();
        return Err(Error::Fingerprint { path, expected, got: tokenizer.fingerprint().to_string() });
    }
    Ok(tokenizer.text_lengths())
}

/// Verifies the shards of a split, and looks between them whether to stop.
pub(super) fn verify_corpus(corpus: &Corpus, progress: &Progress<'_>) -> Result<()> {
    corpus.shards().iter().try_for_each(|shard| {
        progress.check("verifying")?;
        shard.verify()
    })
}

fn verify_shard(
    folder: &Path,
    manifest: &Manifest,
    entry: &ShardEntry,
    lengths: &[u32],
    progress: &Progress<'_>,
) -> Result<()> {
    progress.check("verifying")?;
    let shard = Shard::open(&folder.join(&entry.name))?;
    let fault = |fault| Error::Manifest { path: folder.join(MANIFEST_FILE), fault };
    let got = format!("{:016x}", shard.checksum());
    if got != entry.checksum {
        return Err(fault(ManifestFault::File { name: entry.name.clone(), expected: entry.checksum.clone(), got }));
    }
    let info = shard.info();
    if info.fingerprint != manifest.tokenizer.fingerprint {
        let expected = manifest.tokenizer.fingerprint.to_string();
        return Err(Error::Fingerprint { path: shard.path().to_owned(), expected, got: info.fingerprint.to_string() });
    }
    shard.verify()?;
    let mut bytes = 0u64;
    let mut ids = Vec::new();
    let mut at = 0;
    while at < info.tokens {
        let end = (at + (1 << 16)).min(info.tokens);
        ids.clear();
        shard.read(at..end, &mut ids)?;
        bytes += ids.iter().map(|&id| u64::from(lengths.get(id as usize).copied().unwrap_or(0))).sum::<u64>();
        at = end;
    }
    let sums = [
        ("documents of a shard", entry.documents, info.documents),
        ("tokens of a shard", entry.tokens, info.tokens),
        ("bytes of a shard", entry.bytes, info.text_bytes),
        ("bytes of a shard's ids", entry.bytes, bytes),
    ];
    match sums.into_iter().find(|(_, stated, found)| stated != found) {
        Some((what, stated, found)) => Err(fault(ManifestFault::Sum { what, stated, found })),
        None => Ok(()),
    }
}
