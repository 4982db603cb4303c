//! The stage that puts the documents of a folder of shards in a random order, in two steps and bounded memory.
//!
//! Each document has a random number by the seed, its split and its number in the folder; their order is that of these
//! numbers. First the documents are dealt into cells by the highest bits of their number, each a file that finds room in
//! memory; then one cell after the other is sorted and written. So the order depends on the seed and on the order of the
//! documents before, not on memory, threads, or how they were spread over shards, and every disk reads and writes in
//! sequence. (tokshuf-rs of DCLM does the same; shuffling within a window, as datatrove and dolma do, is none of the whole.)

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::encoding::make_folders;
use super::files::{TOKENIZER_FILE, load_tokenizer, save_tokenizer};
use super::importing::NO_TOKENIZER;
use super::progress::{Progress, Unit};
use super::sorter::ScratchFolder;
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{Corpus, MANIFEST_FILE, Manifest, ShardEntry, ShardInfo, ShardWriter, Split};
use crate::vocab::TokenId;

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

/// Most cells, each of which is a file that is open.
const MOST_CELLS: u64 = 512;
/// Bytes of a document in a cell besides its ids: its number, its length.
const ENTRY: u64 = 16;

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
        corpus.verify()?;
        let target = Target { output, split, lengths: &lengths, info: corpus.info(), shard_size: settings.shard_size };
        shards.extend(shuffle_split(&corpus, &target, settings, progress)?);
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

fn shuffle_split(
    corpus: &Corpus,
    target: &Target<'_>,
    settings: &ShuffleSettings,
    progress: &Progress<'_>,
) -> Result<Vec<ShardEntry>> {
    let info = corpus.info();
    // In memory an id has four bytes, and a cell may be somewhat larger than the average.
    let bytes = info.tokens * 4 + info.documents * (ENTRY + 24);
    let cells = (bytes + bytes / 4).div_ceil(settings.memory.max(1)).next_power_of_two();
    if cells > MOST_CELLS {
        let what = "the memory needed to shuffle so much text, in bytes,";
        return Err(Error::Limit { what, value: (bytes + bytes / 4).div_ceil(MOST_CELLS), max: settings.memory });
    }
    let scratch = ScratchFolder::new(target.output);
    progress.stage("dealing documents", info.documents, Unit::Documents);
    let files = deal(corpus, target.split, cells, settings.seed, &scratch, progress)?;
    progress.stage("writing documents in their order", info.documents, Unit::Documents);
    let mut shards = Shards { target, writer: None, done: Vec::new() };
    let mut written = 0;
    for path in files {
        for (_, _, ids) in sorted(&path)? {
            shards.push(&ids)?;
            written += 1;
            if written % 1024 == 0 {
                progress.done(written);
                progress.check("shuffling")?;
            }
        }
        std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, error))?;
    }
    shards.finish_shard()?;
    Ok(shards.done)
}

/// Deals the documents into cells; gives their files, in order.
fn deal(
    corpus: &Corpus,
    split: Split,
    cells: u64,
    seed: u64,
    scratch: &ScratchFolder,
    progress: &Progress<'_>,
) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for _ in 0..cells {
        let path = scratch.file()?;
        let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        files.push((path, BufWriter::with_capacity(1 << 16, file)));
    }
    let mut entry = Vec::new();
    for (number, ids) in (0..).zip(corpus.documents()) {
        let (ids, key) = (ids?, key(seed, split, number));
        // With one cell all bits are shifted out, which is no shift of 64 bits.
        let cell = (u128::from(key) * u128::from(cells)) >> 64;
        entry.clear();
        entry.extend(key.to_le_bytes());
        entry.extend((ids.len() as u64).to_le_bytes());
        entry.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        let (path, file) = &mut files[cell as usize];
        file.write_all(&entry).map_err(|error| Error::io("write", path.as_path(), error))?;
        if number % 1024 == 0 {
            progress.done(number);
            progress.check("shuffling")?;
        }
    }
    let end = |(path, mut file): (PathBuf, BufWriter<File>)| match file.flush() {
        Ok(()) => Ok(path),
        Err(error) => Err(Error::io("write", path, error)),
    };
    files.into_iter().map(end).collect()
}

/// The documents of a cell in their order: by their numbers, and where those are the same, as they were dealt.
fn sorted(path: &Path) -> Result<Vec<(u64, usize, Vec<TokenId>)>> {
    let bytes = std::fs::read(path).map_err(|error| Error::io("read", path, error))?;
    let (mut documents, mut rest) = (Vec::new(), &bytes[..]);
    while let Some((head, after)) = rest.split_at_checked(ENTRY as usize) {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| head[at + byte]));
        let length = usize::try_from(word(8)).unwrap_or(usize::MAX).saturating_mul(4);
        let Some((ids, after)) = after.split_at_checked(length) else { break };
        let ids = ids.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
        documents.push((word(0), documents.len(), ids));
        rest = after;
    }
    if !rest.is_empty() {
        let short = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        return Err(Error::Io { op: "read", path: path.to_owned(), source: short });
    }
    documents.sort_unstable_by_key(|&(key, place, _)| (key, place));
    Ok(documents)
}

/// Where the shards of a split go.
struct Target<'t> {
    output: &'t Path,
    split: Split,
    /// Bytes of text that each id stands for.
    lengths: &'t [u32],
    info: ShardInfo,
    shard_size: u64,
}

/// The shards of a split, one after the other.
struct Shards<'t> {
    target: &'t Target<'t>,
    writer: Option<ShardWriter>,
    done: Vec<ShardEntry>,
}

impl Shards<'_> {
    fn push(&mut self, ids: &[TokenId]) -> Result<()> {
        let Target { output, lengths, info, shard_size, .. } = self.target;
        if self.writer.as_ref().is_some_and(|writer| writer.file_bytes_with(ids.len() as u64) > *shard_size) {
            self.finish_shard()?;
        }
        let name = self.name();
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(ShardWriter::create(
                &output.join(name),
                info.vocab_size,
                info.end_of_text,
                info.fingerprint,
            )?),
        };
        writer.push(ids, ids.iter().map(|&id| u64::from(lengths.get(id as usize).copied().unwrap_or(0))).sum())
    }

    fn name(&self) -> String {
        format!("{}/{:06}.shard", self.target.split.folder(), self.done.len())
    }

    fn finish_shard(&mut self) -> Result<()> {
        let name = self.name();
        let Some(writer) = self.writer.take() else { return Ok(()) };
        self.done.push(ShardEntry::of(name, self.target.split, &writer.finish()?));
        Ok(())
    }
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
