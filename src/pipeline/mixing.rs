//! The stage that makes one folder of several sources, each with its share of the ids: a mixture to train on.
//!
//! A share and the number of ids wanted say how often a source is gone through. Of 2.3 times, every document stands in the
//! mixture twice, and three tenths of them, chosen by a hash of seed, source and number, a third time. So a mixture needs
//! no lists in memory, a larger one holds every document of a smaller one, and the shares are met as nearly as chance and
//! whole documents let them. All copies stand in one random order. Held-out documents are not weighted: all of them, once.
//!
//! Documents that are gone through up to four times teach about as much as new ones (Muennighoff et al. 2023, "Scaling
//! Data-Constrained Language Models"), so that is the bound unless another one is given.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::dealing::{Dealer, Target};
use super::encoding::{checksum, make_folders};
use super::files::{TOKENIZER_FILE, load_tokenizer, save_tokenizer};
use super::importing::NO_TOKENIZER;
use super::progress::Progress;
use super::verify::verify_corpus;
use crate::error::{Error, ManifestFault, Result};
use crate::shard::{Corpus, InputEntry, MANIFEST_FILE, MANIFEST_VERSION, Manifest, ShardInfo, Split, Tally};

/// A source of a mixture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixSource {
    /// Its name, which decides what of it is chosen, with the seed.
    pub name: String,
    /// A folder of shards.
    pub folder: PathBuf,
    /// Its share, in any unit.
    pub weight: u64,
}

/// How sources are mixed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixSettings {
    /// Ids of the mixture for training; `None`: as many as there are without using a document twice.
    pub tokens: Option<u64>,
    /// How often a source may be gone through.
    pub max_epochs: f64,
    /// Start of all random numbers.
    pub seed: u64,
    /// Bytes of a shard at most.
    pub shard_size: u64,
    /// Bytes of memory for a cell of documents, about.
    pub memory: u64,
}

impl Default for MixSettings {
    fn default() -> Self {
        Self { tokens: None, max_epochs: 4.0, seed: 0, shard_size: 1 << 30, memory: 256 << 20 }
    }
}

/// What of a source goes into a mixture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixPart {
    /// Its name.
    pub name: String,
    /// Its share of the ids for training.
    pub share: f64,
    /// Its documents for training.
    pub documents: u64,
    /// Their ids.
    pub tokens: u64,
    /// How often it is gone through.
    pub epochs: f64,
    /// Ids in the mixture: those that are wanted, and when it is made those that there are.
    pub mixed_tokens: u64,
}

/// A source that was opened.
struct Opened<'s> {
    source: &'s MixSource,
    manifest: Manifest,
    corpora: [Option<Corpus>; 2],
    epochs: f64,
}

/// What a mixture would hold, from the headers of its sources alone.
///
/// # Errors
///
/// [`Error::Setting`] for sources that are fewer than one, of one name, without a share or text, or gone through too often;
/// [`Error::Missing`] for a folder without a manifest, [`Error::Fingerprint`] for one of another tokenizer; damaged shards.
pub fn plan_mix(sources: &[MixSource], settings: &MixSettings) -> Result<Vec<MixPart>> {
    let opened = open(sources)?;
    plan(&opened, settings)
}

/// Writes a mixture to `output`, which must be locked by the caller; gives what of each source is in it.
///
/// # Errors
///
/// Those of [`plan_mix`]; [`Error::Output`] for an output that holds other shards, [`Error::Limit`] for more text than can be
/// put in order in so much memory; [`Error::Io`], [`Error::Interrupted`].
pub fn mix(
    sources: &[MixSource],
    output: &Path,
    settings: &MixSettings,
    progress: &Progress<'_>,
) -> Result<(Manifest, Vec<MixPart>)> {
    let mut opened = open(sources)?;
    let mut parts = plan(&opened, settings)?;
    opened.iter_mut().zip(&parts).for_each(|(source, part)| source.epochs = part.epochs);
    let mut manifest = empty_manifest(&opened, &parts, settings, progress)?;
    if let Some(there) = Manifest::load(output)? {
        let inputs = |manifest: &Manifest| -> Vec<(String, String)> {
            manifest.inputs.iter().map(|input| (input.path.clone(), input.checksum.clone())).collect()
        };
        if there.settings == manifest.settings && inputs(&there) == inputs(&manifest) {
            progress.note(format!("`{}` is complete already", output.display()));
            for (source, part) in opened.iter().zip(&mut parts) {
                part.mixed_tokens = source.chosen_tokens(settings.seed)?;
            }
            return Ok((there, parts));
        }
        let why = "holds other shards already; choose another folder, or remove it";
        return Err(Error::Output { path: output.to_owned(), why });
    }
    make_folders(output)?;
    let lengths = tokenizer_of(&opened[0], output)?;
    let mut inputs = manifest.inputs.iter_mut();
    let mut tallies: Vec<Vec<(&mut InputEntry, u64)>> = Vec::new();
    for source in &opened {
        let shards = source.manifest.shards.iter().map(|shard| shard.documents);
        tallies.push(inputs.by_ref().zip(shards).collect());
    }
    for split in Split::ALL {
        let Some(info) = info(&opened, split, settings) else { continue };
        let (shard_size, memory) = (settings.shard_size, settings.memory);
        let target = Target { output, split, lengths: &lengths, info, shard_size, memory };
        let mut dealer = Dealer::new(&target, progress)?;
        for ((source, part), tallies) in opened.iter().zip(&mut parts).zip(&mut tallies) {
            let tokens = source.deal(settings.seed, &target, &mut dealer, tallies, progress)?;
            if split == Split::Train {
                part.mixed_tokens = tokens;
            }
        }
        manifest.shards.extend(dealer.finish(progress)?);
    }
    seal(&mut manifest, output)?;
    manifest.save(output)?;
    Ok((manifest, parts))
}

/// Ids for training in a folder of shards, by its manifest.
///
/// # Errors
///
/// [`Error::Missing`] for a folder without a manifest, those of reading it.
pub fn training_tokens(folder: &Path) -> Result<u64> {
    let manifest = Manifest::load(folder)?.ok_or_else(|| Error::Missing { path: folder.join(MANIFEST_FILE) })?;
    Ok(manifest.shards.iter().filter(|shard| shard.split == Split::Train).map(|shard| shard.tokens).sum())
}

fn open(sources: &[MixSource]) -> Result<Vec<Opened<'_>>> {
    let wrong = |value: &str, expected: &str| {
        Err(Error::Setting { name: "weight", value: value.to_owned(), expected: expected.to_owned() })
    };
    let mut opened: Vec<Opened<'_>> = Vec::new();
    for source in sources {
        if opened.iter().any(|other| other.source.name == source.name) {
            return wrong(&source.name, "a name of one source only");
        }
        if source.weight == 0 {
            return wrong(&source.name, "a source with a share above 0");
        }
        let folder = &source.folder;
        let manifest = Manifest::load(folder)?.ok_or_else(|| Error::Missing { path: folder.join(MANIFEST_FILE) })?;
        if let Some(first) = opened.first().map(|first| &first.manifest.tokenizer)
            && (first.fingerprint, first.vocab_size) != (manifest.tokenizer.fingerprint, manifest.tokenizer.vocab_size)
        {
            let (expected, got) = (first.fingerprint.to_string(), manifest.tokenizer.fingerprint.to_string());
            return Err(Error::Fingerprint { path: folder.clone(), expected, got });
        }
        let corpus = |split| {
            let shards = manifest.shards.iter().filter(move |shard| shard.split == split);
            Corpus::from_paths(&shards.map(|shard| folder.join(&shard.name)).collect::<Vec<_>>())
        };
        let corpora = [corpus(Split::ALL[0])?, corpus(Split::ALL[1])?];
        opened.push(Opened { source, manifest, corpora, epochs: 0.0 });
    }
    if opened.is_empty() {
        return wrong("none", "one source or more");
    }
    Ok(opened)
}

fn plan(opened: &[Opened<'_>], settings: &MixSettings) -> Result<Vec<MixPart>> {
    let weights: u64 = opened.iter().map(|source| source.source.weight).fold(0, u64::saturating_add);
    let share = |source: &Opened<'_>| source.source.weight as f64 / weights as f64;
    let there = |source: &Opened<'_>| source.corpus(Split::Train).map_or(0, |corpus| corpus.info().tokens);
    if let Some(empty) = opened.iter().find(|source| there(source) == 0) {
        let expected = "a source with documents for training".to_owned();
        return Err(Error::Setting { name: "weight", value: empty.source.name.clone(), expected });
    }
    // What the source that ends first allows.
    let (first, most) = opened
        .iter()
        .map(|source| (source, there(source) as f64 / share(source)))
        .min_by(|one, other| one.1.total_cmp(&other.1))
        .expect("there is a source, or opening failed");
    let tokens = settings.tokens.map_or(most.floor(), |tokens| tokens as f64);
    if !(tokens >= 1.0 && tokens <= most * settings.max_epochs) {
        let expected = format!(
            "from 1 to {}, for which `{}` is gone through {} times; or another --max-epochs",
            (most * settings.max_epochs).floor(),
            first.source.name,
            settings.max_epochs
        );
        return Err(Error::Setting { name: "tokens", value: tokens.to_string(), expected });
    }
    let part = |source: &Opened<'_>| {
        let (share, tokens_there) = (share(source), there(source));
        MixPart {
            name: source.source.name.clone(),
            share,
            documents: source.corpus(Split::Train).map_or(0, Corpus::document_count),
            tokens: tokens_there,
            epochs: share * tokens / tokens_there as f64,
            mixed_tokens: (share * tokens).round() as u64,
        }
    };
    Ok(opened.iter().map(part).collect())
}

impl Opened<'_> {
    fn corpus(&self, split: Split) -> Option<&Corpus> {
        self.corpora[split as usize].as_ref()
    }

    /// How often a document stands in the mixture.
    fn copies(&self, seed: u64, split: Split, number: u64) -> u64 {
        if split == Split::Val {
            return 1;
        }
        let part = (self.epochs.fract() * 2f64.powi(64)) as u64;
        self.epochs as u64 + u64::from(self.hash(seed, [split as u64, number, u64::MAX]) < part)
    }

    /// A random number by seed, name, and some numbers.
    fn hash(&self, seed: u64, of: [u64; 3]) -> u64 {
        let mut bytes = self.source.name.as_bytes().to_vec();
        bytes.extend(of.iter().flat_map(|number| number.to_le_bytes()));
        xxh3_64_with_seed(&bytes, seed)
    }

    /// The ids of the mixture that come from here.
    fn chosen_tokens(&self, seed: u64) -> Result<u64> {
        let Some(corpus) = self.corpus(Split::Train) else { return Ok(0) };
        let end = u64::from(corpus.info().end_of_text.is_some());
        let tokens = |(number, ids): (u64, Result<Vec<_>>)| {
            Ok((ids?.len() as u64 + end) * self.copies(seed, Split::Train, number))
        };
        (0..).zip(corpus.documents()).map(tokens).sum()
    }

    /// Deals the documents of a split; gives the ids that went into the mixture. `tallies` are the inputs that its shards are,
    /// of all splits, with their documents.
    fn deal(
        &self,
        seed: u64,
        target: &Target<'_>,
        dealer: &mut Dealer<'_>,
        tallies: &mut [(&mut InputEntry, u64)],
        progress: &Progress<'_>,
    ) -> Result<u64> {
        let Some(corpus) = self.corpus(target.split) else { return Ok(0) };
        let end = u64::from(target.info.end_of_text.is_some());
        let mut tokens = 0;
        let of_split = |&(at, _): &(usize, &mut (&mut InputEntry, u64))| self.manifest.shards[at].split == target.split;
        let mut shards = tallies.iter_mut().enumerate().filter(of_split).map(|(_, tally)| tally);
        let mut shard = shards.next();
        let mut left = shard.as_ref().map_or(0, |shard| shard.1);
        for (number, ids) in (0..).zip(corpus.documents()) {
            let ids = ids?;
            while left == 0 {
                shard = shards.next();
                left = shard.as_ref().map_or(u64::MAX, |shard| shard.1);
            }
            left -= 1;
            let copies = self.copies(seed, target.split, number);
            for copy in 0..copies {
                dealer.push(self.hash(seed, [target.split as u64, number, copy]), &ids, progress)?;
            }
            tokens += copies * (ids.len() as u64 + end);
            if let Some((input, _)) = &mut shard {
                account(&mut input.documents, 1, copies);
                account(&mut input.text_bytes, target.text_bytes(&ids), copies);
            }
        }
        Ok(tokens)
    }
}

/// Counts something that stands in the mixture so many times; none is one that was left out.
fn account(tally: &mut Option<Tally>, size: u64, copies: u64) {
    let tally = tally.get_or_insert_default();
    tally.entered += size * copies.max(1);
    tally.left += size * copies;
    tally.filtered += if copies == 0 { size } else { 0 };
}

/// The vocabulary, and how many documents and about how many ids a split will have; `None` for a split that no source has.
fn info(opened: &[Opened<'_>], split: Split, settings: &MixSettings) -> Option<ShardInfo> {
    let mut sum: Option<ShardInfo> = None;
    for source in opened {
        let Some(info) = source.corpus(split).map(Corpus::info) else { continue };
        let times = if split == Split::Val { 1.0 } else { source.epochs };
        let sum = sum.get_or_insert(ShardInfo { tokens: 0, documents: 0, text_bytes: 0, ..info });
        sum.tokens += (info.tokens as f64 * times) as u64;
        sum.documents += (0..info.documents).map(|number| source.copies(settings.seed, split, number)).sum::<u64>();
    }
    sum
}

/// The manifest of a mixture, but for what is in it. Every shard of the sources is an input, and is verified.
fn empty_manifest(
    opened: &[Opened<'_>],
    parts: &[MixPart],
    settings: &MixSettings,
    progress: &Progress<'_>,
) -> Result<Manifest> {
    let mut inputs = Vec::new();
    let mut mixed = serde_json::Map::new();
    for Opened { source, manifest, corpora, .. } in opened {
        corpora.iter().flatten().try_for_each(|corpus| verify_corpus(corpus, progress))?;
        for shard in &manifest.shards {
            let path = source.folder.join(&shard.name);
            let checksum = checksum(&path, progress)?;
            let path = path.display().to_string();
            inputs.push(InputEntry { path, bytes: shard.file_bytes, checksum, documents: None, text_bytes: None });
        }
        let entry = json!({ "weight": source.weight, "settings": manifest.settings });
        mixed.insert(source.name.clone(), entry);
    }
    let settings = [
        ("mix", serde_json::Value::Object(mixed)),
        ("mix-tokens", parts.iter().map(|part| part.mixed_tokens).sum::<u64>().into()),
        ("mix-seed", settings.seed.into()),
        ("mix-shard-size", settings.shard_size.into()),
    ];
    Ok(Manifest {
        version: MANIFEST_VERSION,
        ciyuan: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
        tokenizer: opened[0].manifest.tokenizer.clone(),
        inputs,
        documents: Tally::default(),
        bytes: Tally::default(),
        repaired_bytes: 0,
        byte_order_marks: 0,
        cleaning: crate::clean::CleanCounts::default(),
        tokens: 0,
        shards: Vec::new(),
        checksum: String::new(),
    })
}

/// Copies the tokenizer; gives the bytes of text that each id stands for.
fn tokenizer_of(source: &Opened<'_>, output: &Path) -> Result<Vec<u32>> {
    let entry = &source.manifest.tokenizer;
    if entry.fingerprint == NO_TOKENIZER {
        return Ok(Vec::new());
    }
    let tokenizer = load_tokenizer(&source.source.folder.join(&entry.file), None, &[])?;
    save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE))?;
    Ok(tokenizer.text_lengths())
}

/// Adds up what the inputs and the shards say, and checks that it is the same.
fn seal(manifest: &mut Manifest, output: &Path) -> Result<()> {
    for input in &manifest.inputs {
        manifest.documents.add(input.documents.unwrap_or_default());
        manifest.bytes.add(input.text_bytes.unwrap_or_default());
    }
    manifest.tokens = manifest.shards.iter().map(|shard| shard.tokens).sum();
    let fault = |fault: ManifestFault| Error::Manifest { path: output.join(MANIFEST_FILE), fault };
    *manifest = Manifest::from_json(manifest.to_json().as_bytes()).map_err(fault)?;
    Ok(())
}
