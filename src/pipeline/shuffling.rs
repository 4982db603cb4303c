//! The stage that puts the documents of a folder of shards in a random order.
//!
//! Each document has a random number by the seed, its split and its number in the folder; their order is that of these
//! numbers (`dealing.rs`). So it depends on the seed and on the order of the documents before, not on memory, threads, or
//! how they were spread over shards.

use std::path::{Path, PathBuf};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::dealing::{Dealer, Target};
use super::encoding::make_folders;
use super::files::{TOKENIZER_FILE, load_tokenizer, save_tokenizer};
use super::importing::NO_TOKENIZER;
use super::progress::Progress;
use super::verify::verify_corpus;
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{Corpus, MANIFEST_FILE, Manifest, ShardEntry, Split};

/// How a folder is shuffled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffleSettings {
    /// Start of all random numbers.
    pub seed: u64,
    /// Bytes of a shard at most.
    pub shard_size: u64,
    /// Bytes of memory for a cell, about.
    pub memory: u64,
}

impl Default for ShuffleSettings {
    fn default() -> Self {
        Self { seed: 0, shard_size: 1 << 30, memory: 256 << 20 }
    }
}

/// Writes the documents of `folder` to `output`, which must be locked by the caller, in an order by the seed.
///
/// # Errors
///
/// [`Error::Missing`] for a folder without a manifest, [`Error::Output`] for an output that has one already and was made
/// otherwise, [`Error::Limit`] for more text than cells find room for in memory; damaged shards, [`Error::Io`],
/// [`Error::Interrupted`].
pub fn shuffle(folder: &Path, output: &Path, settings: &ShuffleSettings, progress: &Progress<'_>) -> Result<Manifest> {
    let mut manifest = Manifest::load(folder)?.ok_or_else(|| Error::Missing { path: folder.join(MANIFEST_FILE) })?;
    let before = manifest.to_json();
    manifest.settings.insert("shuffle-seed".to_owned(), settings.seed.into());
    manifest.settings.insert("shuffle-shard-size".to_owned(), settings.shard_size.into());
    if let Some(there) = Manifest::load(output)? {
        if (&there.settings, &there.inputs, there.tokens) == (&manifest.settings, &manifest.inputs, manifest.tokens) {
            progress.note(format!("`{}` is complete already", output.display()));
            return Ok(there);
        }
        let why = "holds other shards already; choose another folder, or remove it";
        return Err(Error::Output { path: output.to_owned(), why });
    }
    make_folders(output)?;
    let mut lengths = Vec::new();
    if manifest.tokenizer.fingerprint != NO_TOKENIZER {
        let tokenizer = load_tokenizer(&folder.join(&manifest.tokenizer.file), None, &[])?;
        save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE))?;
        lengths = tokenizer.text_lengths();
    }
    let mut shards = Vec::new();
    for split in Split::ALL {
        let paths: Vec<PathBuf> = of_split(&manifest, split).map(|shard| folder.join(&shard.name)).collect();
        let Some(corpus) = Corpus::from_paths(&paths)? else { continue };
        verify_corpus(&corpus, progress)?;
        let ShuffleSettings { seed, shard_size, memory } = *settings;
        let target = Target { output, split, lengths: &lengths, info: corpus.info(), shard_size, memory };
        shards.extend(shuffle_split(&corpus, &target, seed, progress)?);
    }
    manifest.shards = shards;
    // The same documents, so the sums are those of the folder; where they are not, something was lost.
    let json = manifest.to_json();
    let path = output.join(MANIFEST_FILE);
    let manifest = Manifest::from_json(json.as_bytes()).map_err(|fault| Error::Manifest { path, fault })?;
    if Manifest::load(folder)?.is_none_or(|now| now.to_json() != before) {
        let fault = ManifestFault::Json { reason: "it was changed while its shards were shuffled".to_owned() };
        return Err(Error::Manifest { path: folder.join(MANIFEST_FILE), fault });
    }
    manifest.save(output)?;
    Ok(manifest)
}

fn of_split(manifest: &Manifest, split: Split) -> impl Iterator<Item = &ShardEntry> {
    manifest.shards.iter().filter(move |shard| shard.split == split)
}

/// The random number of a document, the higher bits of which are its cell.
fn key(seed: u64, split: Split, number: u64) -> u64 {
    // Two rounds: neighbouring seeds, and the two splits, have nothing in common.
    let stream = Xoshiro256PlusPlus::seed_from_u64(seed ^ ((split as u64 + 1) << 60)).next_u64();
    Xoshiro256PlusPlus::seed_from_u64(stream ^ number).next_u64()
}

fn shuffle_split(corpus: &Corpus, target: &Target<'_>, seed: u64, progress: &Progress<'_>) -> Result<Vec<ShardEntry>> {
    let mut dealer = Dealer::new(target, progress)?;
    for (number, ids) in (0..).zip(corpus.documents()) {
        dealer.push(key(seed, target.split, number), &ids?, progress)?;
    }
    dealer.finish(progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_and_of_their_seed() {
        let mut keys: Vec<u64> = (0..4096).map(|number| key(7, Split::Train, number)).collect();
        // Every sixteenth of the range holds about as many.
        for part in 0..16 {
            let count = keys.iter().filter(|&&key| key >> 60 == part).count();
            assert!((190..330).contains(&count), "{part}: {count}");
        }
        keys.extend((0..4096).map(|number| key(8, Split::Train, number)));
        keys.extend((0..4096).map(|number| key(7, Split::Val, number)));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 3 * 4096);
    }
}
