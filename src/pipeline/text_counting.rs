//! Texts become counts: each thread keeps one table over all of them, and where memory is bounded a table that passes its
//! share is written as a sorted file and emptied.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::counts::{Part as CountsPart, Scratch};
use super::documents::{BadRecords, FileTallies, RejectSink};
use super::progress::Progress;
use super::reading::{LinesBefore, Reading};
use super::shares::{Part, Share, Work, in_part_of};
use super::split::split_of;
use crate::error::Result;
use crate::learn::{Counter, Counters, Counts, CountsHead, CountsSettings, SortedCounts, SpanSample};
use crate::segment::Segmenter;
use crate::shard::Split;
use crate::text::{Document, Part as InputPart};

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
        parts: &[InputPart],
        lines: &mut LinesBefore,
        read_before: u64,
    ) -> Result<(Group, FileTallies)> {
        let fail = self.on_bad_record == BadRecords::Fail;
        let rejects = if fail { RejectSink::Fail } else { RejectSink::Count };
        let counters = Counters::new(self.segmenter, self.sample);
        let limit = self.memory.map(|all| (all / rayon::current_num_threads() as u64) as usize);
        let counting = Counting { of: self, counters, limit, written: Mutex::new(Vec::new()) };
        let (mut documents, mut bytes) = (0, 0);
        let mut take = |more: Sums| {
            documents += more.documents;
            bytes += more.bytes;
            Ok(())
        };
        let (read, _) = reading.work_on(&counting, parts, lines, rejects, read_before, &mut take)?;
        let mut parts = counting.written.into_inner().unwrap_or_else(PoisonError::into_inner);
        // Where some found no room, the rest makes room for the sum.
        let write_rest = !parts.is_empty();
        for counts in counting.counters.take() {
            let part =
                if write_rest { self.write_part(SortedCounts::new(counts))? } else { CountsPart::Memory(counts) };
            parts.push(part);
        }
        Ok((Group { parts, documents, bytes }, read))
    }

    fn write_part(&self, mut counts: SortedCounts<Counts>) -> Result<CountsPart> {
        let head = CountsHead { settings: self.made_with.clone(), documents: 0, bytes: 0 };
        self.scratch.write(&head, &mut counts, &Progress::silent())
    }
}

/// The work of counting.
struct Counting<'c> {
    of: &'c TextCounter<'c>,
    counters: Counters<'c>,
    /// About how many bytes a table may take.
    limit: Option<usize>,
    /// Tables that were written.
    written: Mutex<Vec<CountsPart>>,
}

/// What was counted of a share.
#[derive(Default)]
struct Sums {
    documents: u64,
    bytes: u64,
}

impl Counting<'_> {
    /// Counts a text, which is a document or a part of one.
    fn add(&self, counter: &mut Counter<'_>, document: &Document, text: Range<usize>) -> Result<()> {
        let place = in_part_of(document, text.start);
        counter.add_text(&document.text[text]).map_err(place)?;
        if self.limit.is_some_and(|limit| counter.counts().memory() > limit) {
            let part = self.of.write_part(SortedCounts::by_this_thread(counter.take_counts()))?;
            self.written.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        }
        Ok(())
    }
}

impl Work for Counting<'_> {
    type Result = Sums;

    fn parts(&self, document: &Document, bytes: usize) -> Vec<Range<usize>> {
        match split_of(&document.text, self.of.share) {
            Split::Val => Vec::new(),
            Split::Train => self.of.segmenter.pattern().safe_parts(&document.text, bytes).collect(),
        }
    }

    fn worker(&self) -> impl FnMut(Share) -> Result<Sums> + Send {
        let mut counter = self.counters.borrow();
        move |share| {
            let mut sums = Sums::default();
            match share {
                Share::Documents(batch) => {
                    for document in &batch.documents {
                        if split_of(&document.text, self.of.share) == Split::Train {
                            self.add(&mut counter, document, 0..document.text.len())?;
                            sums.documents += 1;
                            sums.bytes += document.text.len() as u64;
                        }
                    }
                }
                Share::Part(Part { document, bytes, .. }) => {
                    sums.documents += u64::from(bytes.start == 0);
                    sums.bytes += bytes.len() as u64;
                    self.add(&mut counter, &document, bytes)?;
                }
            }
            Ok(sums)
        }
    }
}
