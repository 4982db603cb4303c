//! What all layouts share when they are written: where the files go, what goes in, and who watches.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::atomic::AtomicFile;
use super::super::{Corpus, Split};
use super::stage::Stage;
use super::{Layout, datatrove, litdata, llmc, mds, megatron, nanogpt, olmo};
use crate::error::{Error, Result, ShardFault};
use crate::vocab::TokenId;

/// How shards are written in another layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSettings {
    /// The layout.
    pub layout: Layout,
    /// The split that the shards are of: llm.c's file names say it.
    pub split: Split,
    /// Bytes of a file at most, for layouts of several files; without it what the layout's own writer takes. A document
    /// that is longer has a file for itself, but for llm.c, which cuts it.
    pub file_bytes: Option<u64>,
    /// The tokenizer's name for datatrove's metadata; without it its fingerprint.
    pub tokenizer: Option<String>,
}

impl ExportSettings {
    /// The settings that the layout's own writer has.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, split: Split::Train, file_bytes: None, tokenizer: None }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    /// Documents.
    pub documents: u64,
    /// Ids, end-of-text tokens among them.
    pub tokens: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The files, in the order in which they came to be.
    pub files: Vec<PathBuf>,
}

/// Writes a corpus in the layout of another program. `prefix` is the beginning of the files' names, or the folder of the
/// layouts that are folders; folders that lead to it are made. `watch` is told the documents done so far, and can stop the
/// work.
///
/// # Errors
///
/// [`Error::Layout`] and [`Error::Limit`] for what the layout cannot hold, found before anything is written;
/// [`Error::Output`] when files of that name are there already; [`Error::Io`], [`Error::Shard`] for a damaged shard,
/// [`Error::Interrupted`]. Then none of the files is there.
pub fn export(
    corpus: &Corpus,
    prefix: &Path,
    settings: &ExportSettings,
    watch: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Exported> {
    let stage = Stage::new(prefix)?;
    let mut export =
        Export { corpus, prefix: &stage.prefix, stage: &stage, settings, watch, done: 0, bytes: 0, files: Vec::new() };
    require_whole(corpus)?;
    match settings.layout {
        Layout::Megatron => megatron::write(&mut export)?,
        Layout::NanoGpt => nanogpt::write(&mut export)?,
        Layout::LlmC => llmc::write(&mut export)?,
        Layout::Datatrove => datatrove::write(&mut export)?,
        Layout::Olmo => olmo::write(&mut export)?,
        Layout::Mds => mds::write(&mut export)?,
        Layout::LitData => litdata::write(&mut export)?,
    }
    let info = corpus.info();
    if export.done != info.documents {
        let (entered, left) = (info.documents, export.done);
        return Err(Error::Accounting { what: "documents", entered, left, rejected: 0, treated: 0 });
    }
    let Export { bytes, files, .. } = export;
    let files = stage.publish(files)?;
    Ok(Exported { documents: info.documents, tokens: info.tokens, bytes, files })
}

/// Checks what the sizes of the files follow from: that documents are not empty, and that they cover the ids. The rest is
/// the full check's, which this does not replace.
fn require_whole(corpus: &Corpus) -> Result<()> {
    if corpus.info().documents == 0 {
        return Err(Error::NoDocuments { rejected: 0 });
    }
    for shard in corpus.shards() {
        let mut end = 0;
        let mut empty = false;
        for number in 0..shard.info().documents {
            let range = shard.document(number)?;
            empty |= range.is_empty();
            end = range.end;
        }
        if empty || end != shard.info().tokens {
            let fault = ShardFault::Impossible { why: "its documents do not cover its ids" };
            return Err(Error::Shard { path: shard.path().to_owned(), fault });
        }
    }
    Ok(())
}

/// An export at work.
pub(super) struct Export<'e> {
    pub(super) corpus: &'e Corpus,
    /// Where files are written; they come to their places together.
    pub(super) prefix: &'e Path,
    stage: &'e Stage,
    pub(super) settings: &'e ExportSettings,
    watch: &'e mut dyn FnMut(u64) -> ControlFlow<()>,
    /// Documents handed out.
    pub(super) done: u64,
    bytes: u64,
    files: Vec<PathBuf>,
}

impl Export<'_> {
    /// The path of a file: the prefix with an ending.
    pub(super) fn path(&self, ending: &str) -> PathBuf {
        let mut name = self.prefix.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        self.prefix.with_file_name(name)
    }

    /// Makes sure that no file is there whose name is the prefix and one of these endings, or begins so, and that the
    /// folder is there. A file of an earlier export that has more of them would be read along with the new ones.
    pub(super) fn claim(&self, endings: &[&str]) -> Result<()> {
        self.stage.begin(endings)
    }

    /// Makes the folder of a layout that is one; there must be nothing in it.
    pub(super) fn claim_folder(&self) -> Result<()> {
        self.stage.begin_folder()
    }

    /// Gives a file its name.
    pub(super) fn publish(&mut self, file: AtomicFile) -> Result<()> {
        let (path, bytes) = (file.path().to_owned(), file.written());
        file.publish()?;
        self.bytes += bytes;
        self.files.push(path);
        Ok(())
    }

    /// The ids of the next document, its end-of-text token behind them; `false` when there is none.
    pub(super) fn next(&mut self, ids: &mut Vec<TokenId>) -> Result<bool> {
        ids.clear();
        if self.done == self.corpus.document_count() {
            return Ok(false);
        }
        let (shard, range) = self.corpus.locate(self.done)?;
        shard.read(range, ids)?;
        self.done += 1;
        if (self.watch)(self.done).is_break() {
            return Err(Error::Interrupted { stage: "exporting" });
        }
        Ok(true)
    }

    /// The number of ids of each document, from the index alone.
    pub(super) fn lengths(&self) -> impl Iterator<Item = Result<u64>> + '_ {
        self.corpus.shards().iter().flat_map(|shard| {
            (0..shard.info().documents).map(|number| shard.document(number).map(|range| range.end - range.start))
        })
    }

    /// Refuses a vocabulary whose ids do not all fit in two bytes.
    pub(super) fn require_two_bytes(&self) -> Result<()> {
        let value = u64::from(self.corpus.info().vocab_size);
        let what = "the size of the vocabulary, for ids of two bytes,";
        if value > 1 << 16 { Err(Error::Limit { what, value, max: 1 << 16 }) } else { Ok(()) }
    }

    /// The bytes of a file at most, which must be below a limit of the layout.
    pub(super) fn file_bytes(&self, usual: u64, limit: u64) -> Result<u64> {
        let bytes = self.settings.file_bytes.unwrap_or(usual);
        if bytes >= limit {
            return Err(Error::Limit { what: "file-bytes, for this layout,", value: bytes, max: limit - 1 });
        }
        Ok(bytes)
    }

    pub(super) fn refuse(&self, why: &'static str) -> Error {
        Error::Layout { layout: self.settings.layout.name(), why }
    }
}
