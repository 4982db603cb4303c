//! The stage that makes shards of the shards of other programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::encoding::checksum;
use super::files::{TOKENIZER_FILE, save_tokenizer};
use super::progress::{Progress, Unit};
use super::units::json;
use crate::encode::Tokenizer;
use crate::error::{Error, Result};
use crate::shard::{
    ImportSettings, InputEntry, Layout, MANIFEST_FILE, MANIFEST_VERSION, Manifest, Piece, ShardEntry, ShardWriter,
    Split, Tally, TokenizerEntry, import, sweep_temporary, write_atomic,
};
use crate::vocab::{Fingerprint, TokenId};

/// The fingerprint of ids whose tokenizer nobody knows.
pub const NO_TOKENIZER: Fingerprint = Fingerprint([0; 16]);

/// A shard is ended behind the document with which it has so many ids.
const SHARD_TOKENS: u64 = 1 << 27;

/// What the ids of foreign files stand for.
#[derive(Debug, Clone, Copy)]
pub enum Vocabulary<'v> {
    /// The tokenizer that made them.
    Of(&'v Tokenizer),
    /// Nothing is known but how many there are, and which one ends a document.
    Size {
        /// One above the highest id.
        size: u32,
        /// The token that ends a document, if there is one.
        end_of_text: Option<TokenId>,
    },
}

impl Vocabulary<'_> {
    fn size(&self) -> u32 {
        match self {
            Self::Of(tokenizer) => tokenizer.spec().vocab_size(),
            Self::Size { size, .. } => *size,
        }
    }

    fn end_of_text(&self) -> Option<TokenId> {
        match self {
            Self::Of(tokenizer) => tokenizer.spec().special().end_of_text(),
            Self::Size { end_of_text, .. } => *end_of_text,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Of(tokenizer) => tokenizer.fingerprint(),
            Self::Size { .. } => NO_TOKENIZER,
        }
    }
}

/// The files of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFiles {
    /// Their layout.
    pub layout: Layout,
    /// Those for training, in order.
    pub train: Vec<PathBuf>,
    /// Those that are held out, in order.
    pub val: Vec<PathBuf>,
}

/// What an import has made.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The folder's manifest.
    pub manifest: Manifest,
    /// Documents that had no end-of-text token and were given one.
    pub ended: u64,
}

/// Makes shards in `output`, which must be locked by the caller, of the files of another program. An import that was
/// stopped begins anew when it is asked for again. A document without any
/// ids is rejected where no end-of-text token makes it one, since a shard has no empty documents.
///
/// # Errors
///
/// [`Error::Output`] when the folder holds a manifest, [`Error::Setting`] for a vocabulary without room, and those of
/// [`import`]; [`Error::NoDocuments`], [`Error::Interrupted`].
pub fn import_files(
    files: &ImportFiles,
    vocabulary: Vocabulary<'_>,
    output: &Path,
    progress: &Progress<'_>,
) -> Result<Imported> {
    check_vocabulary(vocabulary)?;
    let begun = output.join(BEGUN_FILE);
    if output.join(MANIFEST_FILE).exists() && !begun.exists() {
        return Err(holds_shards(output));
    }
    // The parts of each file that was named.
    let mut inputs = Vec::new();
    for path in files.train.iter().chain(&files.val) {
        let entries = parts(path, files.layout).into_iter().map(|path| {
            let bytes = std::fs::metadata(&path).map_err(|error| Error::io("read", &path, error))?.len();
            let checksum = checksum(&path, progress)?;
            Ok(InputEntry { path: path.display().to_string(), bytes, checksum, documents: None, text_bytes: None })
        });
        inputs.push(entries.collect::<Result<Vec<_>>>()?);
    }
    // What is imported, so that the same import takes away what it has left when it was killed, and no other's shards.
    let this = json(&(files.layout.name(), vocabulary.size(), vocabulary.fingerprint(), &inputs));
    let is_ours = std::fs::read(&begun).is_ok_and(|there| there == this);
    if let Some(manifest) = Manifest::load(output)? {
        if !is_ours {
            return Err(holds_shards(output));
        }
        // It was killed when all was done.
        remove(&begun)?;
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(Imported { manifest, ended: 0 });
    }
    progress.stage("importing", (files.train.len() + files.val.len()) as u64, Unit::Files);
    let lengths = match vocabulary {
        Vocabulary::Of(tokenizer) => {
            save_tokenizer(tokenizer.spec(), &output.join(TOKENIZER_FILE))?;
            tokenizer.text_lengths()
        }
        Vocabulary::Size { .. } => Vec::new(),
    };
    let mut shards = Shards {
        vocabulary,
        output,
        lengths,
        split: Split::Train,
        writer: None,
        entries: Vec::new(),
        document: (0, 0),
        begun_in: None,
        documents: Tally::default(),
        files: Vec::new(),
        ended: 0,
        progress,
    };
    for split in Split::ALL {
        let folder = output.join(split.folder());
        std::fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        sweep(&folder, is_ours)?;
    }
    write_atomic(&begun, &this)?;
    let mut done = 0;
    for (split, paths) in [(Split::Train, &files.train), (Split::Val, &files.val)] {
        shards.split = split;
        let (vocab_size, end_of_text) = (vocabulary.size(), vocabulary.end_of_text());
        let settings = ImportSettings { layout: files.layout, vocab_size, end_of_text };
        import(&settings, paths, &mut |piece| shards.take(piece))?;
        shards.finish_shard()?;
        done += paths.len() as u64;
        progress.done(done);
    }
    let ended = shards.ended;
    let manifest = shards.manifest(files.layout, inputs)?;
    manifest.save(output)?;
    remove(&begun)?;
    Ok(Imported { manifest, ended })
}

/// Is there while the shards of an import are not all there, and says which import that is.
const BEGUN_FILE: &str = ".import";

fn holds_shards(folder: &Path) -> Error {
    Error::Output { path: folder.to_owned(), why: "holds shards already; choose another folder, or remove it" }
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|error| Error::io("remove", path, error))
}

fn check_vocabulary(vocabulary: Vocabulary<'_>) -> Result<()> {
    let (size, end) = (vocabulary.size(), vocabulary.end_of_text());
    if size == 0 || end.is_some_and(|end| end >= size) {
        let expected = "above every id, that of the end-of-text token among them".to_owned();
        return Err(Error::Setting { name: "vocab-size", value: size.to_string(), expected });
    }
    Ok(())
}

/// The files that a path stands for.
fn parts(path: &Path, layout: Layout) -> Vec<PathBuf> {
    let with = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    match layout {
        Layout::Megatron => {
            let named = path.extension().is_some_and(|extension| extension == "bin" || extension == "idx");
            let stem = if named { path.with_extension("") } else { path.to_owned() };
            vec![with(&stem, ".bin"), with(&stem, ".idx")]
        }
        Layout::Datatrove => vec![path.to_owned(), with(path, ".index")],
        _ => vec![path.to_owned()],
    }
}

/// Documents on their way to shards.
struct Shards<'s> {
    vocabulary: Vocabulary<'s>,
    output: &'s Path,
    /// The bytes that each id stands for.
    lengths: Vec<u32>,
    split: Split,
    writer: Option<(String, ShardWriter)>,
    entries: Vec<ShardEntry>,
    /// Ids and bytes of the document so far.
    document: (u64, u64),
    /// The file in which it began.
    begun_in: Option<usize>,
    documents: Tally,
    /// The documents and bytes of text that began in each file so far.
    files: Vec<[Tally; 2]>,
    ended: u64,
    progress: &'s Progress<'s>,
}

impl Shards<'_> {
    fn take(&mut self, piece: Piece<'_>) -> Result<()> {
        match piece {
            Piece::File => {
                self.files.push([Tally::default(); 2]);
                Ok(())
            }
            Piece::Ids(ids) => {
                self.progress.check("importing")?;
                self.begun_in.get_or_insert(self.files.len() - 1);
                self.document.0 += ids.len() as u64;
                self.document.1 += ids.iter().map(|&id| u64::from(self.length(id))).sum::<u64>();
                if ids.is_empty() { Ok(()) } else { self.writer()?.extend(ids) }
            }
            Piece::End(marked) => self.end(marked),
        }
    }

    fn length(&self, id: TokenId) -> u32 {
        self.lengths.get(id as usize).copied().unwrap_or(0)
    }

    fn end(&mut self, marked: bool) -> Result<()> {
        let (ids, bytes) = std::mem::take(&mut self.document);
        let end_of_text = self.vocabulary.end_of_text();
        let file = self.begun_in.take().unwrap_or(self.files.len() - 1);
        let [documents_of_file, bytes_of_file] = &mut self.files[file];
        self.documents.entered += 1;
        documents_of_file.entered += 1;
        if ids == 0 && end_of_text.is_none() {
            self.documents.rejected += 1;
            documents_of_file.rejected += 1;
            return Ok(());
        }
        documents_of_file.left += 1;
        bytes_of_file.add(Tally { entered: bytes, left: bytes, ..Tally::default() });
        self.ended += u64::from(end_of_text.is_some() && !marked);
        let writer = self.writer()?;
        writer.end_document(bytes)?;
        if writer.tokens() >= SHARD_TOKENS { self.finish_shard() } else { Ok(()) }
    }

    /// The writer of the shard that is being filled.
    fn writer(&mut self) -> Result<&mut ShardWriter> {
        let begun = match self.writer.take() {
            Some(begun) => begun,
            None => {
                let number = self.entries.iter().filter(|entry| entry.split == self.split).count();
                let name = format!("{}/{number:06}.shard", self.split.folder());
                let (size, end) = (self.vocabulary.size(), self.vocabulary.end_of_text());
                let path = self.output.join(&name);
                let writer = ShardWriter::create(&path, size, end, self.vocabulary.fingerprint())?;
                (name, writer)
            }
        };
        Ok(&mut self.writer.insert(begun).1)
    }

    fn finish_shard(&mut self) -> Result<()> {
        let Some((name, writer)) = self.writer.take() else { return Ok(()) };
        let written = writer.finish()?;
        self.documents.left += written.info.documents;
        self.entries.push(ShardEntry {
            name,
            split: self.split,
            documents: written.info.documents,
            tokens: written.info.tokens,
            bytes: written.info.text_bytes,
            file_bytes: written.file_bytes,
            checksum: format!("{:016x}", written.checksum),
        });
        Ok(())
    }

    /// The manifest of the shards, by the parts of each file; the first part is what documents are counted with, an index
    /// beside it holds none.
    fn manifest(self, layout: Layout, mut inputs: Vec<Vec<InputEntry>>) -> Result<Manifest> {
        self.documents.check("documents")?;
        if self.documents.left == 0 {
            return Err(Error::NoDocuments { rejected: self.documents.rejected });
        }
        let bytes = self.entries.iter().map(|entry| entry.bytes).sum();
        for (parts, [documents, text_bytes]) in inputs.iter_mut().zip(self.files) {
            (parts[0].documents, parts[0].text_bytes) = (Some(documents), Some(text_bytes));
        }
        Ok(Manifest {
            version: MANIFEST_VERSION,
            ciyuan: env!("CARGO_PKG_VERSION").to_owned(),
            settings: BTreeMap::from([("layout".to_owned(), layout.name().into())]),
            tokenizer: TokenizerEntry {
                file: TOKENIZER_FILE.to_owned(),
                fingerprint: self.vocabulary.fingerprint(),
                vocab_size: self.vocabulary.size(),
            },
            inputs: inputs.concat(),
            documents: self.documents,
            bytes: Tally { entered: bytes, left: bytes, ..Tally::default() },
            repaired_bytes: 0,
            byte_order_marks: 0,
            cleaning: Default::default(),
            tokens: self.entries.iter().map(|entry| entry.tokens).sum(),
            shards: self.entries,
            checksum: String::new(),
        })
    }
}

/// Removes the half-written files of a killed run, and its shards if they are ours. Else they may be anyone's, as of an
/// `encode` that was stopped, and are left alone.
fn sweep(folder: &Path, is_ours: bool) -> Result<()> {
    sweep_temporary(folder)?;
    let error = |error| Error::io("read", folder, error);
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if path.extension().is_some_and(|extension| extension == "shard") {
            if !is_ours {
                return Err(holds_shards(folder));
            }
            remove(&path)?;
        }
    }
    Ok(())
}
