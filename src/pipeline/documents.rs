//! Documents in batches: read one after the other, worked on in parallel, bad records accounted for.

use serde::{Deserialize, Serialize};

use super::progress::Progress;
use super::treatment::Treatment;
use crate::clean::CleanCounts;
use crate::error::Result;
use crate::shard::Tally;
use crate::text::{Document, InputFile, ReadOptions, Record, Reject, RejectLog, records};

/// What to do with records that are no documents, `--on-bad-record`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BadRecords {
    /// Count them, and keep them in `rejects.jsonl.zst`.
    #[default]
    Quarantine,
    /// Count them.
    Skip,
    /// End with the first.
    Fail,
}

/// Bytes of text that are held at a time; a longer document is a batch of its own.
const BATCH_BYTES: usize = 8 << 20;
/// Documents that are held at a time.
const BATCH_DOCUMENTS: usize = 4096;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReadTally {
    /// `left` is what was handed on.
    pub(super) documents: Tally,
    pub(super) bytes: Tally,
    pub(super) repaired_bytes: u64,
    pub(super) byte_order_marks: u64,
    #[serde(default)]
    pub(super) cleaning: CleanCounts,
}

impl ReadTally {
    /// Adds what was read besides.
    pub(super) fn add(&mut self, other: &Self) {
        self.documents.add(other.documents);
        self.bytes.add(other.bytes);
        self.repaired_bytes += other.repaired_bytes;
        self.byte_order_marks += other.byte_order_marks;
        self.cleaning.add(&other.cleaning);
    }
}

/// How rejects are dealt with.
pub(super) enum RejectSink<'r> {
    /// They end the work.
    Fail,
    /// They are only counted: by policy, or because this is not the pass that keeps them.
    Count,
    /// They are kept.
    Keep(&'r mut RejectLog),
    /// Somebody is told of each.
    Tell(&'r mut dyn FnMut(&Reject)),
}

impl RejectSink<'_> {
    fn take(&mut self, reject: Reject) -> Result<()> {
        match self {
            Self::Fail => Err(reject.into_error()),
            Self::Count => Ok(()),
            Self::Keep(log) => log.push(&reject),
            Self::Tell(tell) => {
                tell(&reject);
                Ok(())
            }
        }
    }

    /// A document that is left out by a setting: nothing is wrong with it that could end the work.
    pub(super) fn leave_out(&mut self, reject: &Reject) -> Result<()> {
        match self {
            Self::Fail | Self::Count => Ok(()),
            Self::Keep(log) => log.push(reject),
            Self::Tell(tell) => {
                tell(reject);
                Ok(())
            }
        }
    }
}

/// Reads `files` and hands their documents on in batches, treated. `read_before` is how many bytes of input earlier calls have
/// read, for the progress, which is told after every batch.
pub(super) fn for_each_batch(
    files: &[InputFile],
    options: &ReadOptions,
    treatment: &Treatment,
    mut rejects: RejectSink<'_>,
    progress: &Progress<'_>,
    read_before: u64,
    work: &mut dyn FnMut(Vec<Document>) -> Result<()>,
) -> Result<ReadTally> {
    let mut tally = ReadTally::default();
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    let mut read = read_before;
    for file in files {
        let mut seen = 0;
        for record in records(file, options)? {
            tally.documents.entered += 1;
            match record? {
                Record::Document(document) => {
                    tally.bytes.entered += document.text.len() as u64;
                    tally.repaired_bytes += document.repaired;
                    tally.byte_order_marks += u64::from(document.signature);
                    seen = document.origin.offset;
                    batch_bytes += document.text.len();
                    batch.push(document);
                }
                Record::Reject(reject) => {
                    tally.bytes.entered += reject.bytes;
                    tally.documents.rejected += 1;
                    tally.bytes.rejected += reject.bytes;
                    rejects.take(reject)?;
                }
            }
            if batch_bytes >= BATCH_BYTES || batch.len() >= BATCH_DOCUMENTS {
                hand_on(treatment.batch(std::mem::take(&mut batch), &mut rejects, &mut tally)?, &mut tally, work)?;
                batch_bytes = 0;
                progress.done(read + seen.min(file.bytes));
                progress.check("reading text")?;
            }
        }
        read += file.bytes;
    }
    hand_on(treatment.batch(batch, &mut rejects, &mut tally)?, &mut tally, work)?;
    progress.done(read);
    progress.check("reading text")?;
    Ok(tally)
}

fn hand_on(
    batch: Vec<Document>,
    tally: &mut ReadTally,
    work: &mut dyn FnMut(Vec<Document>) -> Result<()>,
) -> Result<()> {
    tally.documents.left += batch.len() as u64;
    tally.bytes.left += batch.iter().map(|document| document.text.len() as u64).sum::<u64>();
    if batch.is_empty() { Ok(()) } else { work(batch) }
}
