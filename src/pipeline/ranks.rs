//! The work of many processes: each is a rank that does units of a plan.
//!
//! Units own the output, not ranks: what a unit gives depends on the plan alone, and its record is written last. So the
//! number of ranks may change between runs, any of them may be killed and run again, and one that is run twice at once
//! shares its units with its double by a lock a unit. `merging.rs` gives the bytes of [`encode`](super::encode) in one
//! process, and that goes on with what ranks have done, as ranks do with what it has done; or those of
//! [`count`](super::count).
//!
//! The folder must lie where the locks of files (`flock`) hold between the machines, as on NFS, CephFS, or Lustre mounted
//! with `flock`. Where they do not, no two processes may be given the same rank at once.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::Duration;

use super::count_units::{CountedFolder, UnitCounter};
use super::encoding::EncodeSeconds;
use super::lock::FileLock;
use super::progress::{Progress, Unit as Count};
use super::rank_plan::{RankPlan, Work};
use super::reading::{Reading, readers};
use super::unit_encoding::UnitEncoder;
use super::units::{Check, UnitRecord};
use crate::error::{Error, Result};
use crate::shard::{Manifest, Tally};
use crate::text::Unit;

/// How long a rank waits before it looks again at units that its double works on.
const WAIT: Duration = Duration::from_millis(100);

/// What a rank has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct RankDone {
    /// Units of this rank; all are done.
    pub units: usize,
    /// Those of them that this run did.
    pub encoded: usize,
    /// Documents of all of them.
    pub documents: Tally,
    /// Their ids; none where they are counted.
    pub tokens: u64,
    /// The bytes of text whose pre-tokens were counted, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_bytes: Option<u64>,
    /// How long it took to encode them.
    pub seconds: EncodeSeconds,
}

impl RankDone {
    fn add(&mut self, record: &UnitRecord) {
        self.units += 1;
        record.read.values().for_each(|tally| self.documents.add(tally.documents));
        self.tokens += record.shards.iter().map(|shard| shard.tokens).sum::<u64>();
        if let Some(counts) = &record.counts {
            self.counted_bytes = Some(self.counted_bytes.unwrap_or(0) + counts.bytes);
        }
    }
}

/// Does the units `rank`, `rank + world_size`, ... of the plan in `output`, which the caller shares with other ranks
/// ([`FolderLock::share`](super::FolderLock::share)). When it returns, all of them are done, be it by another process.
///
/// # Errors
///
/// [`Error::NoPlan`], [`Error::Setting`] for a rank beyond the world, [`Error::InputChanged`] when a file was changed
/// since the plan was made; those of reading, encoding and writing, [`Error::Interrupted`].
pub fn run_rank(output: &Path, rank: u64, world_size: u64, progress: &Progress<'_>) -> Result<RankDone> {
    if rank >= world_size {
        let expected = format!("below the world size, {world_size}");
        return Err(Error::Setting { name: "rank", value: rank.to_string(), expected });
    }
    if Manifest::load(output)?.is_some() || CountedFolder::load(output)?.is_some() {
        progress.note(format!("`{}` is complete already", output.display()));
        return Ok(RankDone::default());
    }
    let plan = RankPlan::open(output)?;
    let world_size = usize::try_from(world_size).unwrap_or(usize::MAX);
    let first = usize::try_from(rank).unwrap_or(usize::MAX);
    let own: VecDeque<Unit> = (0..plan.count()).skip(first).step_by(world_size).map(|n| plan.unit(n)).collect();
    let (read, treatment) = (own.iter().map(Unit::bytes).sum(), plan.treatment()?);
    let reading =
        Reading { files: &plan.files, options: &plan.options, treatment: &treatment, progress, readers: readers() };
    let tokenizer;
    let worker = match &plan.work {
        Work::Encode(settings) => {
            progress.stage("encoding", read, Count::Bytes);
            tokenizer = plan.tokenizer()?;
            let share = settings.val.share(plan.files.iter().map(|file| file.bytes).sum());
            Worker::Encode(UnitEncoder::new(&tokenizer, reading, settings, share, output))
        }
        Work::Count(settings) => {
            progress.stage("counting pre-tokens", read, Count::Bytes);
            Worker::Count(UnitCounter::new(settings, reading, output)?)
        }
    };
    let mut rank = Rank { plan: &plan, worker, unchanged: BTreeSet::new(), read: 0, done: RankDone::default() };
    rank.run(own, progress)?;
    let seconds = match &rank.worker {
        Worker::Encode(encoder) => encoder.seconds(),
        Worker::Count(_) => EncodeSeconds::default(),
    };
    Ok(RankDone { seconds, ..rank.done })
}

/// What does the units.
enum Worker<'r> {
    Encode(UnitEncoder<'r>),
    Count(UnitCounter<'r>),
}

/// A rank at work.
struct Rank<'r> {
    plan: &'r RankPlan,
    worker: Worker<'r>,
    /// Files that were looked at.
    unchanged: BTreeSet<usize>,
    read: u64,
    done: RankDone,
}

impl Rank<'_> {
    fn run(&mut self, mut waiting: VecDeque<Unit>, progress: &Progress<'_>) -> Result<()> {
        // Units in a row that others work on: with all that are left there is nothing to do but to wait.
        let mut held = 0;
        while let Some(unit) = waiting.pop_front() {
            progress.check("encoding")?;
            let record = match self.plan.units.done(unit.number, &unit.parts, Check::Header)? {
                Some(record) => record,
                None => match FileLock::try_take(&self.plan.units.lock(unit.number))? {
                    Some(_lock) => self.unit(&unit, progress)?,
                    None => {
                        waiting.push_back(unit);
                        held += 1;
                        if held >= waiting.len() {
                            std::thread::sleep(WAIT);
                            held = 0;
                        }
                        continue;
                    }
                },
            };
            held = 0;
            self.done.add(&record);
            self.read += unit.bytes();
            progress.done(self.read);
        }
        Ok(())
    }

    /// Does a unit that is locked.
    fn unit(&mut self, unit: &Unit, progress: &Progress<'_>) -> Result<UnitRecord> {
        // Another process may have done it before the lock was free.
        if let Some(record) = self.plan.units.done(unit.number, &unit.parts, Check::Header)? {
            return Ok(record);
        }
        for part in &unit.parts {
            if self.unchanged.insert(part.file) {
                self.plan.check_file(part.file, progress)?;
            }
        }
        let (units, number) = (&self.plan.units, unit.number);
        let record = match &mut self.worker {
            Worker::Encode(encoder) => encoder.unit(unit, &units.rejects(number), self.read),
            Worker::Count(counter) => counter.unit(unit, &units.counts(number), self.read),
        };
        let record = record.map_err(|error| {
            let place = self.plan.place(unit);
            error.further_down(place.lines, place.bytes)
        })?;
        self.plan.units.finish(unit.number, &record)?;
        self.done.encoded += 1;
        Ok(record)
    }
}
