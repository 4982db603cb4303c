//! The merges of a run of learning that was stopped, beside its output: the same command goes on from them.
//!
//! A JSON object of the settings, the fingerprint of the counts, and the pairs by rank with their counts. Merges of a
//! vocabulary are a beginning of those of a larger one, so its size may be another when it goes on: with a smaller one the
//! merges that were found are written. What does not fit, or is damaged, is passed over, and learning begins anew.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::learning::LearnSettings;
use super::progress::Progress;
use super::settings::{Settings, settings_of};
use crate::error::{Error, Result};
use crate::learn::Learned;
use crate::shard::write_atomic;
use crate::vocab::{Fingerprint, TokenId};

const VERSION: u32 = 1;

/// Settings that a stopped run may go on without.
const FREE: [&str; 2] = ["vocab-size", "special"];

/// What the file holds.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct State {
    version: u32,
    settings: Settings,
    /// Of the pre-tokens and their counts.
    counts_fingerprint: Fingerprint,
    /// Of the tokenizer that is extended.
    extends: Option<Fingerprint>,
    pairs: Vec<(TokenId, TokenId)>,
    counts: Vec<u64>,
    /// Of the pairs and their counts.
    checksum: String,
}

/// The file of a run, and what it must say to be of that run.
pub(super) struct Partial<'p> {
    path: &'p Path,
    settings: Settings,
    counts_fingerprint: Fingerprint,
    extends: Option<Fingerprint>,
}

/// Where the merges of a stopped run are kept that was to make `output`: its name with `.partial` behind it.
#[must_use]
pub fn partial_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

impl<'p> Partial<'p> {
    pub(super) fn new(path: &'p Path, settings: &LearnSettings, counts_fingerprint: Fingerprint) -> Self {
        let extends = settings.extends.as_ref().map(|base| base.fingerprint());
        let mut settings = settings_of(settings);
        settings.retain(|key, _| !FREE.contains(&key.as_str()));
        Self { path, settings, counts_fingerprint, extends }
    }

    /// What was learned before; nothing if there is no file, or one that does not fit.
    pub(super) fn load(&self, progress: &Progress<'_>) -> Learned {
        let Ok(file) = std::fs::read(self.path) else { return Learned::default() };
        let state = serde_json::from_slice::<State>(&file).ok().filter(|state| self.fits(state));
        let Some(state) = state else {
            let path = self.path.display();
            progress.note(format!("{path} is not of these counts and settings, or damaged: learning begins anew"));
            return Learned::default();
        };
        progress.note(format!("goes on from the {} merges in {}", state.pairs.len(), self.path.display()));
        Learned { pairs: state.pairs, counts: state.counts, exhausted: false, interrupted: true }
    }

    fn fits(&self, state: &State) -> bool {
        state.version == VERSION
            && state.settings == self.settings
            && state.counts_fingerprint == self.counts_fingerprint
            && state.extends == self.extends
            && state.pairs.len() == state.counts.len()
            && state.checksum == checksum(&state.pairs, &state.counts)
    }

    /// Keeps what was learned.
    pub(super) fn save(&self, learned: &Learned) -> Result<()> {
        let state = State {
            version: VERSION,
            settings: self.settings.clone(),
            counts_fingerprint: self.counts_fingerprint,
            extends: self.extends,
            pairs: learned.pairs.clone(),
            counts: learned.counts.clone(),
            checksum: checksum(&learned.pairs, &learned.counts),
        };
        let json = serde_json::to_vec(&state).map_err(|error| Error::io("write", self.path, error.into()))?;
        write_atomic(self.path, &json)
    }
}

fn checksum(pairs: &[(TokenId, TokenId)], counts: &[u64]) -> String {
    let numbers = pairs.iter().flat_map(|(left, right)| [u64::from(*left), u64::from(*right)]);
    let bytes: Vec<u8> = numbers.chain(counts.iter().copied()).flat_map(u64::to_le_bytes).collect();
    format!("{:016x}", xxh3_64(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{LearnConfig, VocabSize};

    #[test]
    fn only_what_fits_is_gone_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = partial_path(&folder.path().join("tokenizer.json"));
        assert!(path.ends_with("tokenizer.json.partial"));
        let settings = LearnSettings::default();
        let learned =
            Learned { pairs: vec![(64, 65), (256, 66)], counts: vec![7, 5], exhausted: false, interrupted: true };
        let partial = Partial::new(&path, &settings, Fingerprint([1; 16]));
        assert_eq!(partial.load(&Progress::silent()), Learned::default());
        partial.save(&learned).unwrap();
        assert_eq!(partial.load(&Progress::silent()), learned);
        // Another size goes on, other counts or rules do not.
        let larger = LearnConfig { vocab_size: VocabSize::Tokens(9999), ..LearnConfig::default() };
        let larger = LearnSettings { config: larger, ..LearnSettings::default() };
        assert_eq!(Partial::new(&path, &larger, Fingerprint([1; 16])).load(&Progress::silent()), learned);
        let other = LearnConfig { character_boundaries: true, ..LearnConfig::default() };
        let other = LearnSettings { config: other, ..LearnSettings::default() };
        for partial in
            [Partial::new(&path, &settings, Fingerprint([2; 16])), Partial::new(&path, &other, Fingerprint([1; 16]))]
        {
            assert_eq!(partial.load(&Progress::silent()), Learned::default());
        }
        // Nor does a file in which a number was changed.
        let file = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, file.replace("[256,66]", "[256,67]")).unwrap();
        assert_eq!(partial.load(&Progress::silent()), Learned::default());
    }
}
