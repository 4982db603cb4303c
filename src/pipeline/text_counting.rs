//! Texts become counts: each thread keeps one table over all of them, and where memory is bounded a table that passes its
//! share is written as a sorted file and emptied.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::counts::{Part as CountsPart, Scratch};
use super::documents::{BadRecords, FileTallies, RejectSink};
use super::progress::Progress;
use super::reading::{LinesBefore, Reading};
use super::split::split_of;
use crate::error::{Error, Result};
use crate::learn::{Counter, Counters, Counts, CountsHead, CountsSettings, SortedCounts, SpanSample};
use crate::segment::Segmenter;
use crate::shard::Split;
use crate::text::{Document, Part};

/// The counts of some texts, in parts.
pub(super) struct Group {
    pub(super) parts: Vec<CountsPart>,
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

/// What counting needs beside the texts.
pub(super) struct TextCounter<'t> {
    pub(super) segmenter: &'t Segmenter,
    pub(super) made_with: &'t CountsSettings,
    /// About how many bytes the tables of all threads may take.
    pub(super) memory: Option<u64>,
    /// Where those go that find no room.
    pub(super) scratch: &'t Scratch,
    /// The share of documents that are held out, and not counted.
    pub(super) share: f64,
    /// Which spans are counted, if not all.
    pub(super) sample: Option<SpanSample>,
    pub(super) on_bad_record: BadRecords,
}

impl TextCounter<'_> {
    /// Counts the documents of `parts`; `lines` and `read_before` are those of [`Reading::for_each_batch`].
    pub(super) fn count(
        &self,
        reading: &Reading<'_>,
        parts: &[Part],
        lines: &mut LinesBefore,
        read_before: u64,
    ) -> Result<(Group, FileTallies)> {
        let fail = self.on_bad_record == BadRecords::Fail;
        let rejects = if fail { RejectSink::Fail } else { RejectSink::Count };
        let counters = Counters::new(self.segmenter, self.sample);
        let (documents, bytes, written) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
        let limit = self.memory.map(|all| (all / rayon::current_num_threads() as u64) as usize);
        let add = |counter: &mut Counter<'_>, document: &Document| -> Result<()> {
            if split_of(&document.text, self.share) == Split::Val {
                return Ok(());
            }
            let place = |error: Error| error.in_document(&*document.origin.file, document.origin.line);
            counter.add_text(&document.text).map_err(place)?;
            documents.fetch_add(1, Ordering::Relaxed);
            bytes.fetch_add(document.text.len() as u64, Ordering::Relaxed);
            if limit.is_some_and(|limit| counter.counts().memory() > limit) {
                let part = self.write_part(counter.take_counts())?;
                written.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(part);
            }
            Ok(())
        };
        let read = reading.for_each_batch(parts, lines, rejects, read_before, &mut |batch| {
            let documents = batch.documents.par_iter();
            documents.try_for_each_init(|| counters.borrow(), |counter, document| add(counter, document))
        })?;
        let mut parts = written.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Where some found no room, the rest makes room for the sum.
        let write_rest = !parts.is_empty();
        for counts in counters.take() {
            parts.push(if write_rest { self.write_part(counts)? } else { CountsPart::Memory(counts) });
        }
        Ok((Group { parts, documents: documents.into_inner(), bytes: bytes.into_inner() }, read))
    }

    fn write_part(&self, counts: Counts) -> Result<CountsPart> {
        let head = CountsHead { settings: self.made_with.clone(), documents: 0, bytes: 0 };
        self.scratch.write(&head, &mut SortedCounts::new(counts), &Progress::silent())
    }
}
