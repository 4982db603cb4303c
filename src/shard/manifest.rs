//! `manifest.json`: what a folder of shards was made from, and what is in it.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::Split;
use super::atomic::write_atomic;
use super::writer::Written;
use crate::clean::CleanCounts;
use crate::error::{Error, ManifestFault, Result};
use crate::vocab::Fingerprint;

/// The name of the file.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The version that is written, and the highest that is read.
pub const MANIFEST_VERSION: u32 = 2;

/// What a run was made from and what it made. Equal inputs and settings give equal bytes: there is no clock in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form.
    pub version: u32,
    /// Version of the program that wrote it.
    pub ciyuan: String,
    /// The settings that decide the output, by their long flags.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// The tokenizer.
    pub tokenizer: TokenizerEntry,
    /// The files that were read, in order.
    pub inputs: Vec<InputEntry>,
    /// Documents in, out and rejected.
    pub documents: Tally,
    /// Bytes of text in, out and rejected.
    pub bytes: Tally,
    /// Bytes that were no UTF-8 and were replaced or skipped.
    pub repaired_bytes: u64,
    /// Byte order marks that were taken off.
    pub byte_order_marks: u64,
    /// What was done to texts beside that.
    #[serde(default, skip_serializing_if = "CleanCounts::is_empty")]
    pub cleaning: CleanCounts,
    /// Ids in all shards.
    pub tokens: u64,
    /// The shards, in order.
    pub shards: Vec<ShardEntry>,
    /// Checksum of this file with this field empty.
    pub checksum: String,
}

/// What went in, and where it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// What was read.
    #[serde(rename = "in")]
    pub entered: u64,
    /// What is in the shards.
    #[serde(rename = "out")]
    pub left: u64,
    /// What was rejected.
    pub rejected: u64,
    /// What filters refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub filtered: u64,
    /// What was left out because the same text stands earlier.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deduplicated: u64,
    /// What normalisation and masking took out of texts that were not left out (of bytes).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub removed: u64,
    /// What they added (of bytes): some composed characters take more bytes than before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Tally {
    /// Adds the tally of another part.
    pub fn add(&mut self, other: Self) {
        self.entered += other.entered;
        self.left += other.left;
        self.rejected += other.rejected;
        self.filtered += other.filtered;
        self.deduplicated += other.deduplicated;
        self.removed += other.removed;
        self.added += other.added;
    }

    /// What filters, deduplication and normalisation took out, less what they added.
    fn treated(&self) -> u64 {
        let taken = self.filtered.saturating_add(self.deduplicated).saturating_add(self.removed);
        taken.wrapping_sub(self.added)
    }

    /// What must have entered.
    fn accounted(&self) -> u64 {
        self.left.saturating_add(self.rejected).wrapping_add(self.treated())
    }

    /// The sum in words, each number as `show` has it; what is left out or changed by settings is named where there is
    /// some.
    #[must_use]
    pub fn balance(&self, show: impl Fn(u64) -> String) -> String {
        let mut out = format!("{} in = {} out + {} rejected", show(self.entered), show(self.left), show(self.rejected));
        for (sign, number, what) in [
            ('+', self.filtered, "filtered"),
            ('+', self.deduplicated, "duplicates"),
            ('+', self.removed, "taken out by cleaning"),
            ('-', self.added, "added by cleaning"),
        ] {
            if number > 0 {
                out.push_str(&format!(" {sign} {} {what}", show(number)));
            }
        }
        out
    }

    /// Checks that nothing was lost.
    ///
    /// # Errors
    ///
    /// [`Error::Accounting`] when the sum does not hold.
    pub fn check(&self, what: &'static str) -> Result<()> {
        if self.entered == self.accounted() {
            return Ok(());
        }
        let Self { entered, left, rejected, .. } = *self;
        Err(Error::Accounting { what, entered, left, rejected, treated: self.treated() as i64 })
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.balance(|number| number.to_string()))
    }
}

/// The tokenizer of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerEntry {
    /// Its file in the folder.
    pub file: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// One above its highest id.
    pub vocab_size: u32,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// Its path, as named.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// xxh3-128 of its bytes, in hexadecimal.
    pub checksum: String,
    /// Its documents; from version 2 of the manifest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Tally>,
    /// Its bytes of text; from version 2 of the manifest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_bytes: Option<Tally>,
}

/// A shard of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEntry {
    /// Its path below the folder.
    pub name: String,
    /// Its split.
    pub split: Split,
    /// Its documents.
    pub documents: u64,
    /// Its ids.
    pub tokens: u64,
    /// Bytes of text that they stand for.
    pub bytes: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// xxh3-64 of its header, which covers all checksums inside; in hexadecimal.
    pub checksum: String,
}

impl ShardEntry {
    /// The entry of a shard that was written.
    #[must_use]
    pub fn of(name: String, split: Split, written: &Written) -> Self {
        Self {
            name,
            split,
            documents: written.info.documents,
            tokens: written.info.tokens,
            bytes: written.info.text_bytes,
            file_bytes: written.file_bytes,
            checksum: format!("{:016x}", written.checksum),
        }
    }
}

impl Manifest {
    /// The file's text, with its checksum.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut sealed = self.clone();
        sealed.checksum = self.own_checksum();
        let mut text =
            serde_json::to_string_pretty(&sealed).expect("strings, numbers and maps with string keys always serialize");
        text.push('\n');
        text
    }

    fn own_checksum(&self) -> String {
        let mut open = self.clone();
        open.checksum.clear();
        let text = serde_json::to_string(&open).expect("strings, numbers and maps with string keys always serialize");
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }

    /// Reads the text of a manifest, and checks its checksum, its sums and the names in it.
    ///
    /// # Errors
    ///
    /// The fault that was found.
    pub fn from_json(text: &[u8]) -> std::result::Result<Self, ManifestFault> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let json = |error: serde_json::Error| ManifestFault::Json { reason: error.to_string() };
        let Versioned { version } = serde_json::from_slice(text).map_err(json)?;
        if !(1..=MANIFEST_VERSION).contains(&version) {
            return Err(ManifestFault::Version { got: version, supported: MANIFEST_VERSION });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(json)?;
        let got = manifest.own_checksum();
        if got != manifest.checksum {
            return Err(ManifestFault::Checksum { expected: manifest.checksum, got });
        }
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> std::result::Result<(), ManifestFault> {
        for name in self.shards.iter().map(|shard| &shard.name).chain([&self.tokenizer.file]) {
            let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
            if name.is_empty() || !plain {
                return Err(ManifestFault::Name { name: name.clone() });
            }
        }
        let sum = |of: fn(&ShardEntry) -> u64| self.shards.iter().map(of).fold(0, u64::saturating_add);
        let sums = [
            ("documents out", self.documents.left, sum(|shard| shard.documents)),
            ("bytes out", self.bytes.left, sum(|shard| shard.bytes)),
            ("tokens", self.tokens, sum(|shard| shard.tokens)),
            ("documents in", self.documents.entered, self.documents.accounted()),
            ("bytes in", self.bytes.entered, self.bytes.accounted()),
        ];
        let files = if self.version == 1 { Vec::new() } else { self.sums_of_files() };
        let sums = sums.into_iter().chain(files);
        match sums.into_iter().find(|(_, stated, found)| stated != found) {
            Some((what, stated, found)) => Err(ManifestFault::Sum { what, stated, found }),
            None => Ok(()),
        }
    }

    /// What the files add up to, and each of them.
    fn sums_of_files(&self) -> Vec<(&'static str, u64, u64)> {
        type Of = fn(&InputEntry) -> Option<Tally>;
        let mut sums = Vec::new();
        let wholes: [(_, _, Of); 2] = [
            ("documents of the inputs", self.documents, |input| input.documents),
            ("bytes of the inputs", self.bytes, |input| input.text_bytes),
        ];
        for (what, whole, of) in wholes {
            let mut parts = [0u64; 5];
            let fields =
                |tally: &Tally| [tally.entered, tally.left, tally.rejected, tally.filtered, tally.deduplicated];
            for tally in self.inputs.iter().map(|input| of(input).unwrap_or_default()) {
                sums.push((what, tally.entered, tally.accounted()));
                parts.iter_mut().zip(fields(&tally)).for_each(|(sum, part)| *sum = sum.saturating_add(part));
            }
            sums.extend(fields(&whole).into_iter().zip(parts).map(|(stated, found)| (what, stated, found)));
        }
        sums
    }

    /// Reads the manifest of a folder; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::Manifest`].
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST_FILE);
        match std::fs::read(&path) {
            Ok(text) => Self::from_json(&text).map(Some).map_err(|fault| Error::Manifest { path, fault }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    }

    /// Writes the manifest of a folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the system refuses.
    pub fn save(&self, folder: &Path) -> Result<()> {
        write_atomic(&folder.join(MANIFEST_FILE), self.to_json().as_bytes())
    }
}
