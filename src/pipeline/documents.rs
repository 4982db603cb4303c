//! What becomes of records: documents are counted, those that are none are kept, counted, or end the work.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clean::CleanCounts;
use crate::error::{Error, Result};
use crate::shard::Tally;
use crate::text::{Reject, RejectLog};

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

/// How many records may be no documents, `--max-bad`. It decides whether a run fails, not what it makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxBad {
    /// So many.
    Records(u64),
    /// So many of a hundred records.
    Percent(f64),
}

impl MaxBad {
    /// Whether there are more.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyBad`] when there are.
    pub fn check(self, documents: &Tally) -> Result<()> {
        let (rejected, entered) = (documents.rejected, documents.entered);
        let limit = match self {
            Self::Records(most) if rejected > most => most.to_string(),
            Self::Percent(most) if rejected as f64 * 100.0 > most * entered as f64 => format!("{most}%"),
            _ => return Ok(()),
        };
        Err(Error::TooManyBad { rejected, entered, limit })
    }
}

impl FromStr for MaxBad {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = match text.strip_suffix('%') {
            Some(share) => share.trim().parse().ok().filter(|share| (0.0..=100.0).contains(share)).map(Self::Percent),
            None => text.parse().ok().map(Self::Records),
        };
        let expected = "a whole number of records, or a percentage as `0.1%`".to_owned();
        found.ok_or_else(|| Error::Setting { name: "max-bad", value: format!("`{text}`"), expected })
    }
}

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

    /// Checks that nothing was lost.
    pub(super) fn check(&self) -> Result<()> {
        self.documents.check("documents")?;
        self.bytes.check("bytes")
    }
}

/// What was read of each file, by its number in the source.
pub(super) type FileTallies = BTreeMap<usize, ReadTally>;

/// The sum of all files, each of which must hold by itself.
pub(super) fn sum_of(files: &FileTallies) -> Result<ReadTally> {
    let mut sum = ReadTally::default();
    for tally in files.values() {
        tally.check()?;
        sum.add(tally);
    }
    sum.check()?;
    Ok(sum)
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
    pub(super) fn take(&mut self, reject: Reject) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_bad_records() {
        let tally = |rejected| Tally { entered: 1000, left: 1000 - rejected, rejected, ..Tally::default() };
        for (limit, most) in [("0", 0), ("7", 7), ("0.7%", 7), ("0%", 0), ("100%", 1000)] {
            let limit: MaxBad = limit.parse().unwrap();
            assert!(limit.check(&tally(most)).is_ok(), "{limit:?}");
            assert!(most == 1000 || limit.check(&tally(most + 1)).is_err(), "{limit:?}");
        }
        assert!(MaxBad::Percent(0.0).check(&Tally::default()).is_ok());
        for bad in ["", "%", "-1", "1.5", "101%", "-1%", "nan%", "x"] {
            assert!(bad.parse::<MaxBad>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_file_must_hold() {
        let tally = |entered, left| ReadTally {
            documents: Tally { entered, left, ..Tally::default() },
            ..ReadTally::default()
        };
        assert!(sum_of(&FileTallies::from([(0, tally(3, 3)), (4, tally(2, 2))])).is_ok());
        // The sum would hold.
        assert!(sum_of(&FileTallies::from([(0, tally(3, 2)), (4, tally(2, 3))])).is_err());
    }
}
