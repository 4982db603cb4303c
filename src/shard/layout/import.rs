//! What all layouts share when they are read: settings, and where documents go.
//!
//! Documents are handed on piece by piece, so that one of any length costs a block of memory. A file that says its
//! documents' ends is taken at its word once its numbers agree with its length; in one that does not, the end-of-text
//! token parts them.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::foreign::open;
use super::{Layout, datatrove, llmc, megatron, nanogpt};
use crate::error::{Error, ForeignFault, Result};
use crate::vocab::TokenId;

/// How files of another program are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportSettings {
    /// The layout; one of [`Layout::READ`].
    pub layout: Layout,
    /// Ids at or above it are refused.
    pub vocab_size: u32,
    /// The token that stands at the end (for llm.c at the beginning) of documents. It is not handed on: shards have their
    /// own way to end a document. Without it a file of nanoGPT is one document, and so are all files of llm.c together.
    pub end_of_text: Option<TokenId>,
}

/// A part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'p> {
    /// The next one of the files begins; a document of the one before may go on.
    File,
    /// The next ids of the document; there may be none.
    Ids(&'p [TokenId]),
    /// The end of the document, and whether an end-of-text token stood there.
    End(bool),
}

/// Reads files of another program, in the order given, and hands their documents to `sink`. A Megatron pair may be named
/// by either file or without an ending; a datatrove file brings its index along. Files of llm.c are one sequence: a
/// document that is cut at the end of one goes on in the next.
///
/// # Errors
///
/// [`Error::Setting`] for a layout that is not read, [`Error::Missing`], [`Error::Io`], [`Error::Foreign`] for a file that
/// is not as that program writes it; those of `sink`.
pub fn import(
    settings: &ImportSettings,
    paths: &[PathBuf],
    sink: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<()> {
    let mut reading = Reading { settings: *settings, sink, held: false, begun: false, marked: false };
    for path in paths {
        (reading.sink)(Piece::File)?;
        match settings.layout {
            Layout::Megatron => megatron::read(path, &mut reading)?,
            Layout::NanoGpt => nanogpt::read(path, &mut reading)?,
            Layout::LlmC => llmc::read(path, &mut reading)?,
            Layout::Datatrove => datatrove::read(path, &mut reading)?,
            Layout::Olmo | Layout::Mds | Layout::LitData => {
                let expected = Layout::READ.map(Layout::name).join(", ");
                let (name, value) = ("layout", settings.layout.name().to_owned());
                return Err(Error::Setting {
                    name,
                    value,
                    expected: format!("one of those that are read: {expected}"),
                });
            }
        }
    }
    reading.close()
}

/// An import at work.
pub(super) struct Reading<'r> {
    settings: ImportSettings,
    sink: &'r mut dyn FnMut(Piece<'_>) -> Result<()>,
    /// Whether the last id was an end-of-text token that has not been handed on, since the document may end here.
    held: bool,
    /// Whether a document has begun that an end-of-text token parts from others.
    begun: bool,
    /// Whether that token has been seen.
    marked: bool,
}

impl Reading<'_> {
    pub(super) fn layout(&self) -> &'static str {
        self.settings.layout.name()
    }

    pub(super) fn vocab_size(&self) -> u32 {
        self.settings.vocab_size
    }

    pub(super) fn fault(&self, path: &Path, fault: ForeignFault) -> Error {
        Error::Foreign { path: path.to_owned(), layout: self.layout(), fault }
    }

    /// The length of a file.
    pub(super) fn length(&self, path: &Path) -> Result<u64> {
        open(path, self.layout()).map(|(_, length)| length)
    }

    /// The first bytes of a file.
    pub(super) fn head(&self, path: &Path, length: u64) -> Result<Vec<u8>> {
        let (file, got) = open(path, self.layout())?;
        if got < length {
            let fault = ForeignFault::Length { what: "the length in bytes", expected: length, got };
            return Err(self.fault(path, fault));
        }
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
        bytes.resize(length as usize, 0);
        Ok(bytes)
    }

    /// A whole file: an index, whose length is its own limit.
    pub(super) fn all(&self, path: &Path) -> Result<Vec<u8>> {
        let (file, length) = open(path, self.layout())?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
        Ok(bytes)
    }

    /// The next ids of a document whose end is told by [`Reading::end`]; an end-of-text token right before it is taken off.
    pub(super) fn ids(&mut self, ids: &[TokenId]) -> Result<()> {
        let Some(&last) = ids.last() else { return Ok(()) };
        self.release()?;
        self.held = Some(last) == self.settings.end_of_text;
        (self.sink)(Piece::Ids(&ids[..ids.len() - usize::from(self.held)]))
    }

    /// Hands on a token that was held, since the document goes on behind it.
    fn release(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.held) {
            return Ok(());
        }
        (self.sink)(Piece::Ids(self.settings.end_of_text.as_slice()))
    }

    /// The end of a document.
    pub(super) fn end(&mut self) -> Result<()> {
        let ended = std::mem::take(&mut self.held);
        (self.sink)(Piece::End(ended))
    }

    /// Ids of which every end-of-text token ends a document.
    pub(super) fn split_behind(&mut self, ids: &[TokenId]) -> Result<()> {
        let end_of_text = self.settings.end_of_text;
        for part in ids.split_inclusive(|&id| Some(id) == end_of_text) {
            self.begun = true;
            self.marked = end_of_text.is_some() && part.last().copied() == end_of_text;
            (self.sink)(Piece::Ids(&part[..part.len() - usize::from(self.marked)]))?;
            if self.marked {
                self.close()?;
            }
        }
        Ok(())
    }

    /// Ids of which every end-of-text token begins a document.
    pub(super) fn split_before(&mut self, ids: &[TokenId]) -> Result<()> {
        let end_of_text = self.settings.end_of_text;
        for (number, part) in ids.split(|&id| Some(id) == end_of_text).enumerate() {
            // Each part but the first stands behind a token.
            if number > 0 {
                self.close()?;
                (self.begun, self.marked) = (true, true);
            }
            if !part.is_empty() {
                self.begun = true;
                (self.sink)(Piece::Ids(part))?;
            }
        }
        Ok(())
    }

    /// Ends a document that has begun.
    pub(super) fn close(&mut self) -> Result<()> {
        let marked = std::mem::take(&mut self.marked);
        if std::mem::take(&mut self.begun) { (self.sink)(Piece::End(marked)) } else { Ok(()) }
    }
}
