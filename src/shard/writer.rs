//! Writing a shard.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::atomic::{publish, temporary};
use super::header::{BLOCK_BYTES, HEADER_BYTES, ShardInfo};
use super::packed::{PackedIds, highest_of, highest_of_packed, pack};
use crate::error::{Error, Result, ShardFault};
use crate::vocab::{Fingerprint, TokenId};

/// The file is flushed after so many blocks, while text is encoded, so that little is left for the end, where nothing else
/// is done.
const FLUSHED_BLOCKS: usize = 8;

/// Writes a shard document by document. Nothing is under the final name before [`ShardWriter::finish`]; a writer that
/// is dropped before takes its temporary file away.
pub struct ShardWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    info: ShardInfo,
    ends: Vec<u64>,
    /// The block that is being filled, and its highest id.
    block: Vec<u8>,
    highest: TokenId,
    /// Checksum and highest id of each full block.
    blocks: Vec<(u64, TokenId)>,
}

/// A shard that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// What it says of itself.
    pub info: ShardInfo,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Checksum of the header, which covers all checksums inside.
    pub checksum: u64,
}

impl ShardWriter {
    /// Begins a shard that will lie at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be created.
    pub fn create(
        path: &Path,
        vocab_size: u32,
        end_of_text: Option<TokenId>,
        fingerprint: Fingerprint,
    ) -> Result<Self> {
        let info = ShardInfo { vocab_size, end_of_text, fingerprint, tokens: 0, documents: 0, text_bytes: 0 };
        let temporary = temporary(path);
        let create = || -> std::io::Result<File> {
            let mut file = File::create(&temporary)?;
            file.write_all(&[0; HEADER_BYTES as usize])?;
            Ok(file)
        };
        let file = create().map_err(|source| Error::Io { op: "create", path: temporary.clone(), source })?;
        let block = Vec::with_capacity(BLOCK_BYTES as usize);
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file: Some(file),
            info,
            ends: Vec::new(),
            block,
            highest: 0,
            blocks: Vec::new(),
        })
    }

    /// Appends a document: its ids, without the end-of-text token, which is added, and the bytes they stand for.
    ///
    /// # Errors
    ///
    /// [`ShardFault::TokenOutOfRange`] for an id outside the vocabulary, [`Error::Io`] when the file cannot be written.
    pub fn push(&mut self, ids: &[TokenId], text_bytes: u64) -> Result<()> {
        self.extend(ids)?;
        self.end_document(text_bytes)
    }

    /// Appends ids to the document that [`ShardWriter::end_document`] will end.
    ///
    /// # Errors
    ///
    /// As [`ShardWriter::push`].
    pub fn extend(&mut self, mut ids: &[TokenId]) -> Result<()> {
        while !ids.is_empty() {
            let room = (BLOCK_BYTES as usize - self.block.len()) / self.info.width() as usize;
            let (now, later) = ids.split_at(ids.len().min(room));
            self.extend_block(now)?;
            if self.block.len() as u64 == BLOCK_BYTES {
                self.write_block()?;
            }
            ids = later;
        }
        Ok(())
    }

    /// Appends ids for which there is room in the block.
    fn extend_block(&mut self, ids: &[TokenId]) -> Result<()> {
        let highest = highest_of(ids, self.info.vocab_size).map_err(|fault| self.fault(fault))?;
        let (start, width) = (self.block.len(), self.info.width());
        self.block.resize(start + ids.len() * width as usize, 0);
        pack(ids, width, &mut self.block[start..]);
        self.highest = self.highest.max(highest);
        self.info.tokens += ids.len() as u64;
        Ok(())
    }

    /// A fault of ids that were to be appended.
    fn fault(&self, mut fault: ShardFault) -> Error {
        if let ShardFault::TokenOutOfRange { index, .. } = &mut fault {
            *index += self.info.tokens;
        }
        Error::Shard { path: self.path.clone(), fault }
    }

    /// Appends a document, as [`ShardWriter::push`] does; ids that were packed in another width are packed anew.
    ///
    /// # Errors
    ///
    /// As [`ShardWriter::push`].
    pub fn push_packed(&mut self, ids: &PackedIds, text_bytes: u64) -> Result<()> {
        self.extend_packed(ids)?;
        self.end_document(text_bytes)
    }

    /// Appends ids to the document that [`ShardWriter::end_document`] will end.
    ///
    /// # Errors
    ///
    /// As [`ShardWriter::push`].
    pub fn extend_packed(&mut self, ids: &PackedIds) -> Result<()> {
        if ids.width != self.info.width() || ids.highest >= self.info.vocab_size {
            return self.extend(&ids.to_ids());
        }
        let (width, mut bytes) = (ids.width, &ids.bytes[..]);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_BYTES as usize - self.block.len()));
            // The highest of a document is that of its parts only where there is one.
            let highest = if now.len() == ids.bytes.len() { ids.highest } else { highest_of_packed(now, width) };
            self.block.extend_from_slice(now);
            self.highest = self.highest.max(highest);
            self.info.tokens += now.len() as u64 / width;
            if self.block.len() as u64 == BLOCK_BYTES {
                self.write_block()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Ends a document, with the end-of-text token if there is one; its ids stand for so many bytes.
    ///
    /// # Errors
    ///
    /// As [`ShardWriter::push`].
    pub fn end_document(&mut self, text_bytes: u64) -> Result<()> {
        let end_of_text = self.info.end_of_text;
        self.extend(end_of_text.as_slice())?;
        self.info.documents += 1;
        self.info.text_bytes += text_bytes;
        self.ends.push(self.info.tokens);
        Ok(())
    }

    /// Bytes that the file will have when a document of so many ids, without the end-of-text token, has been added.
    #[must_use]
    pub fn file_bytes_with(&self, ids: u64) -> u64 {
        let end = u64::from(self.info.end_of_text.is_some());
        let (tokens, documents) = (self.info.tokens + ids + end, self.info.documents + 1);
        ShardInfo { tokens, documents, ..self.info }.places().map_or(u64::MAX, |places| places.file_end)
    }

    /// Ids so far.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.info.tokens
    }

    /// Documents so far.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.info.documents
    }

    fn write_block(&mut self) -> Result<()> {
        self.blocks.push((xxh3_64(&self.block), self.highest));
        let block = std::mem::take(&mut self.block);
        self.write(&block)?;
        if self.blocks.len().is_multiple_of(FLUSHED_BLOCKS) {
            let flushed = self.file.as_ref().map_or(Ok(()), File::sync_data);
            flushed.map_err(|source| Error::Io { op: "flush", path: self.temporary.clone(), source })?;
        }
        (self.block, self.highest) = (block, 0);
        self.block.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|source| Error::Io { op: "write", path: self.temporary.clone(), source })
    }

    /// Completes the shard and gives it its name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the system refuses; then nothing is under the final name.
    pub fn finish(mut self) -> Result<Written> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        let ids_bytes = self.info.tokens * self.info.width();
        self.write(&[0; 8][..(ids_bytes.next_multiple_of(8) - ids_bytes) as usize])?;
        let mut index: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        for (checksum, highest) in &self.blocks {
            index.extend_from_slice(&checksum.to_le_bytes());
            index.extend_from_slice(&u64::from(*highest).to_le_bytes());
        }
        self.write(&index)?;
        let mut hash = Xxh3::new();
        hash.update(&index);
        let header = self.info.to_bytes(hash.digest());
        let error = |source| Error::Io { op: "write", path: self.temporary.clone(), source };
        let mut file = self.file.take().expect("the file is there until `finish`, which consumes the writer");
        let file_bytes = file.stream_position().map_err(error)?;
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header)).map_err(error)?;
        publish(&file, &self.temporary, &self.path)?;
        Ok(Written { info: self.info, file_bytes, checksum: xxh3_64(&header) })
    }
}

impl Drop for ShardWriter {
    fn drop(&mut self) {
        if self.temporary.exists() {
            // What cannot be removed is swept by the next run.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
