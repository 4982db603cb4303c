//! Work on the documents that are read: in shares, by all threads, with results in the order of the input.
//!
//! A share is some documents of a batch, or a part of a long one, which is cut where the work comes to the same: so all
//! threads work on it, and what they need does not grow with its length.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::documents::{FileTallies, RejectSink};
use super::in_order::{Results, in_order};
use super::reading::{Batch, LinesBefore, Reading};
use crate::error::{Error, Result};
use crate::text::{Document, Part as InputPart};

/// Bytes of text that a thread takes at a time.
const SHARE_BYTES: usize = 1 << 16;
/// Bytes of text of a part of a document, which is long if it has more.
const PART_BYTES: usize = 1 << 20;
/// Text of so many batches is under way: it waits to be worked on, is worked on, or its result waits to be taken. (With two,
/// whoever writes to a disk that others write to kept all threads waiting: a tenth slower. Eight were as fast.)
const BATCHES_UNDER_WAY: usize = 4;

/// A share of a batch.
pub(super) enum Share {
    Documents(Batch),
    Part(Part),
}

/// A part of a long document.
pub(super) struct Part {
    pub(super) document: Arc<Document>,
    /// The number of its file.
    pub(super) file: usize,
    pub(super) bytes: Range<usize>,
}

/// An error in a part of a document, which begins so many bytes behind its beginning, with its place.
pub(super) fn in_part_of(document: &Document, start: usize) -> impl Fn(Error) -> Error {
    move |error| error.moved(start).in_document(&*document.origin.file, document.origin.line)
}

/// What is done with documents.
pub(super) trait Work: Sync {
    /// What comes of a share.
    type Result: Send;

    /// The parts of a long document, of about so many bytes. Those of which nothing comes may be left out.
    fn parts(&self, document: &Document, bytes: usize) -> Vec<Range<usize>>;

    /// What a thread does its shares with.
    fn worker(&self) -> impl FnMut(Share) -> Result<Self::Result> + Send;
}

/// How long it took, in seconds.
pub(super) struct Passed {
    /// What was waited for to be read, and treated.
    pub(super) reading: f64,
    /// The work, on all threads together.
    pub(super) working: f64,
}

impl Reading<'_> {
    /// Reads `parts`, has the work done, and has the results taken, one after the other in the order of the input, on a
    /// thread of its own where there are several. `lines` and `read_before` are those of [`Reading::for_each_batch`].
    ///
    /// # Errors
    ///
    /// The first of the work and of taking its results; else those of reading.
    pub(super) fn work_on<W: Work>(
        &self,
        work: &W,
        parts: &[InputPart],
        lines: &mut LinesBefore,
        rejects: RejectSink<'_>,
        read_before: u64,
        take: &mut (dyn FnMut(W::Result) -> Result<()> + Send),
    ) -> Result<(FileTallies, Passed)> {
        let (begun, nanos, mut handing_out) = (Instant::now(), AtomicU64::new(0), 0.0);
        let worker = || {
            let (mut worker, nanos) = (work.worker(), &nanos);
            move |share| {
                // After an interruption nothing of what waits is done.
                self.progress.check("reading text")?;
                let start = Instant::now();
                let done = worker(share);
                nanos.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
                done
            }
        };
        let read = |each: &mut dyn FnMut(Share, usize) -> Result<()>| {
            self.for_each_batch(parts, lines, rejects, read_before, &mut |batch| {
                let start = Instant::now();
                let done = for_each_share(work, batch, each);
                handing_out += start.elapsed().as_secs_f64();
                done
            })
        };
        let threads = rayon::current_num_threads();
        let (read, taken) = if threads == 1 {
            let mut worker = worker();
            (read(&mut |share, _| take(worker(share)?)), Ok(()))
        } else {
            let take = |mut results: Results<Result<W::Result>>| results.try_for_each(|result| take(result?));
            in_order(self.batch_bytes() * BATCHES_UNDER_WAY, worker, take, |hands| {
                // Results are taken no longer only after an error, which is given instead of this one.
                let gone = |_| Error::Interrupted { stage: "reading text" };
                read(&mut |share, bytes| hands.hand_out(share, bytes).map_err(gone))
            })
        };
        taken?;
        let working = nanos.into_inner() as f64 / 1e9 / threads as f64;
        Ok((read?, Passed { reading: begun.elapsed().as_secs_f64() - handing_out, working }))
    }
}

/// Hands on the shares of a batch in their order, each with the bytes of its text.
fn for_each_share(work: &impl Work, batch: Batch, each: &mut dyn FnMut(Share, usize) -> Result<()>) -> Result<()> {
    let (mut share, mut bytes) = (Batch::default(), 0);
    for (document, file) in batch.documents.into_iter().zip(batch.files) {
        let long = document.text.len() > PART_BYTES;
        if bytes >= SHARE_BYTES || long && bytes > 0 {
            each(Share::Documents(std::mem::take(&mut share)), std::mem::take(&mut bytes))?;
        }
        if long {
            let document = Arc::new(document);
            for bytes in work.parts(&document, PART_BYTES) {
                let weight = bytes.len();
                each(Share::Part(Part { document: Arc::clone(&document), file, bytes }), weight)?;
            }
        } else {
            bytes += document.text.len();
            share.documents.push(document);
            share.files.push(file);
        }
    }
    if share.documents.is_empty() { Ok(()) } else { each(Share::Documents(share), bytes) }
}
