//! What is done to documents between reading and use: cleaned, refused by filters, left out as duplicates.
//!
//! All stages that read documents ask the same [`Treatment`], so that a tokenizer is learned from the very texts that are
//! encoded, and what a report says would be left out is what is left out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::documents::{FileTallies, RejectSink};
pub(super) use super::duplicates::SavedDuplicates;
use super::duplicates::{DuplicateFinder, Duplicates, MEMORY, place_in_file};
use super::progress::{Progress, Unit};
use super::reading::{Batch, LinesBefore, Reading, readers};
use super::spool::Spool;
use crate::clean::{CleanCounts, Cleaned, Cleaner};
use crate::error::{RecordFault, Result};
use crate::text::{Document, FoundEncoding, InputFile, ReadOptions, Reject, whole_files};

/// How the documents of an input are treated; by default they are left as they are.
pub struct Treatment {
    cleaner: Option<Cleaner>,
    duplicates: Option<Duplicates>,
    spool: Option<Spool>,
}

/// What a document came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Treated {
    /// The document to use.
    Kept(Document),
    /// The document is left out: [`RecordFault::Filtered`] or [`RecordFault::Duplicate`].
    LeftOut(Document, RecordFault),
}

impl Treatment {
    /// The treatment that `options` ask for. With deduplication all of `files` are read now, and what finds no room in
    /// memory waits in `scratch` for as long as the treatment lives; so does standard input, which is read but once: all
    /// of it is kept there, and `files` are then to be read as [`Treatment::spooled`] has them.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for bounds that cannot be; [`Error::Io`](crate::Error::Io) where standard
    /// input cannot be kept; those of reading.
    pub fn new<'f>(
        files: impl IntoIterator<Item = &'f InputFile>,
        options: &ReadOptions,
        scratch: &Path,
        progress: &Progress<'_>,
    ) -> Result<Self> {
        // Settings that cannot be are an error even where they do nothing.
        let cleaner = Cleaner::new(&options.clean)?;
        let cleaner = (!options.clean.leaves_texts()).then_some(cleaner);
        let mut treatment = Self { cleaner, duplicates: None, spool: None };
        if options.clean.deduplicate {
            let files: Vec<InputFile> = files.into_iter().cloned().collect();
            if let Some(stdin) = files.iter().find(|file| file.is_stdin()) {
                treatment.spool = Some(Spool::keep(stdin, &mut std::io::stdin(), scratch, progress)?);
            }
            let files = treatment.spooled(&files).into_owned();
            let memory = options.memory.map_or(MEMORY, |memory| MEMORY.min(memory as usize / 4));
            treatment.duplicates = Some(treatment.find_duplicates(&files, options, scratch, progress, memory)?);
        }
        Ok(treatment)
    }

    /// The treatment that `options` ask for, where the duplicates of `files` were found before and
    /// [saved](Self::save_duplicates) at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Manifest`](crate::Error::Manifest) for a file of duplicates that is damaged,
    /// [`Error::Io`](crate::Error::Io).
    pub(super) fn with_duplicates(
        files: &[InputFile],
        options: &ReadOptions,
        saved: Option<&SavedDuplicates>,
        path: &Path,
    ) -> Result<Self> {
        let cleaner = Cleaner::new(&options.clean)?;
        let cleaner = (!options.clean.leaves_texts()).then_some(cleaner);
        let duplicates = saved.map(|saved| Duplicates::open(numbers_of(files), saved, path, MEMORY)).transpose()?;
        Ok(Self { cleaner, duplicates, spool: None })
    }

    /// Keeps the places of the duplicates in a file; nothing without deduplication.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io).
    pub(super) fn save_duplicates(&self, path: &Path) -> Result<Option<SavedDuplicates>> {
        self.duplicates.as_ref().map(|duplicates| duplicates.save(path)).transpose()
    }

    /// The treatment that leaves all documents as they are.
    pub(super) fn nothing() -> Self {
        Self { cleaner: None, duplicates: None, spool: None }
    }

    fn find_duplicates(
        &self,
        files: &[InputFile],
        options: &ReadOptions,
        scratch: &Path,
        progress: &Progress<'_>,
        memory: usize,
    ) -> Result<Duplicates> {
        progress.stage("finding duplicates", files.iter().map(|file| file.bytes).sum(), Unit::Bytes);
        Duplicates::find(numbers_of(files), scratch, memory, |finder: &mut DuplicateFinder<'_>| {
            let reading = Reading { files, options, treatment: self, progress, readers: readers() };
            let (parts, lines) = (whole_files(files), &mut LinesBefore::default());
            let hashed = reading.for_each_batch(&parts, lines, RejectSink::Count, 0, &mut |batch| {
                let documents = batch.documents.par_iter();
                let hashes: Vec<u128> = documents.map(|document| xxh3_128(document.text.as_bytes())).collect();
                for ((document, file), hash) in batch.documents.iter().zip(&batch.files).zip(hashes) {
                    finder.push(hash, *file as u32, place_in_file(&document.origin))?;
                }
                Ok(())
            });
            hashed.map(drop)
        })
    }

    /// `files`, standard input among them from where it was kept, if it was.
    #[must_use]
    pub fn spooled<'f>(&self, files: &'f [InputFile]) -> Cow<'f, [InputFile]> {
        match &self.spool {
            Some(spool) if files.iter().any(InputFile::is_stdin) => {
                let kept = |file: &InputFile| if file.is_stdin() { spool.file.clone() } else { file.clone() };
                files.iter().map(kept).collect()
            }
            _ => Cow::Borrowed(files),
        }
    }

    /// How many documents are left out as duplicates; `None` without deduplication.
    #[must_use]
    pub fn duplicates(&self) -> Option<u64> {
        self.duplicates.as_ref().map(Duplicates::count)
    }

    /// Treats one document; what was done is added to `counts`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when the places of duplicates cannot be read.
    pub fn document(&self, mut document: Document, counts: &mut CleanCounts) -> Result<Treated> {
        if document.encoding != FoundEncoding::Utf8 {
            *counts.encodings.entry(document.encoding.name().to_owned()).or_default() += 1;
        }
        let cleaned = match &self.cleaner {
            Some(cleaner) => cleaner.clean(&document.text, counts),
            None => Cleaned::Kept(Cow::Borrowed("")),
        };
        match cleaned {
            Cleaned::Refused(refusal) => {
                return Ok(Treated::LeftOut(document, RecordFault::Filtered { why: refusal.to_string() }));
            }
            Cleaned::Kept(Cow::Owned(text)) => document.text = text,
            Cleaned::Kept(Cow::Borrowed(_)) => {}
        }
        match &self.duplicates {
            Some(duplicates) if duplicates.contains(&document.origin)? => {
                Ok(Treated::LeftOut(document, RecordFault::Duplicate))
            }
            _ => Ok(Treated::Kept(document)),
        }
    }

    /// Treats the documents of a batch on all threads; those that stay are in their order, the others are accounted for.
    pub(super) fn batch(&self, batch: Batch, rejects: &mut RejectSink<'_>, tallies: &mut FileTallies) -> Result<Batch> {
        let is_plain = |document: &Document| document.encoding == FoundEncoding::Utf8;
        if self.cleaner.is_none() && self.duplicates.is_none() && batch.documents.iter().all(is_plain) {
            return Ok(batch);
        }
        let treat = |document: Document| {
            let (bytes, mut counts) = (document.text.len() as u64, CleanCounts::default());
            self.document(document, &mut counts).map(|treated| (treated, bytes, counts))
        };
        let treated: Vec<Result<(Treated, u64, CleanCounts)>> = batch.documents.into_par_iter().map(treat).collect();
        let mut kept = Batch::default();
        for (treated, file) in treated.into_iter().zip(batch.files) {
            let tally = tallies.entry(file).or_default();
            let (treated, bytes, counts) = treated?;
            tally.cleaning.add(&counts);
            match treated {
                Treated::Kept(document) => {
                    let now = document.text.len() as u64;
                    tally.bytes.removed += bytes.saturating_sub(now);
                    tally.bytes.added += now.saturating_sub(bytes);
                    kept.documents.push(document);
                    kept.files.push(file);
                }
                Treated::LeftOut(document, fault) => {
                    let is_duplicate = fault == RecordFault::Duplicate;
                    for (tally, more) in [(&mut tally.documents, 1), (&mut tally.bytes, bytes)] {
                        *(if is_duplicate { &mut tally.deduplicated } else { &mut tally.filtered }) += more;
                    }
                    rejects.leave_out(&left_out(document, fault, bytes))?;
                }
            }
        }
        Ok(kept)
    }
}

fn numbers_of(files: &[InputFile]) -> HashMap<PathBuf, u32> {
    files.iter().map(|file| file.path.clone()).zip(0..).collect()
}

/// The line for a document that is left out. Its text is kept, but for what is there anyhow: a whole file, a duplicate.
fn left_out(document: Document, fault: RecordFault, bytes: u64) -> Reject {
    let there = document.origin.line == 0 || fault == RecordFault::Duplicate;
    let raw = if there { Vec::new() } else { document.text.into_bytes() };
    Reject { origin: document.origin, id: document.id, fault, bytes, raw }
}
