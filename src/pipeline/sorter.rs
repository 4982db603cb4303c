//! Sorting more records than memory holds: sorted runs in files, merged when they are read.
//!
//! Records are arrays of bytes, and their order is that of their bytes; numbers in them are written high byte first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use super::scratch::ScratchFolder;
use crate::error::{Error, Result};

/// Most runs that are open at once; when there are as many, they become one.
const MOST_RUNS: usize = 64;

/// Takes records in any order and gives them in theirs.
pub(super) struct Sorter<'s, const N: usize> {
    scratch: &'s ScratchFolder,
    /// Records that are held.
    most: usize,
    held: Vec<[u8; N]>,
    runs: Vec<PathBuf>,
}

impl<'s, const N: usize> Sorter<'s, N> {
    /// A sorter that holds about `memory` bytes.
    pub(super) fn new(scratch: &'s ScratchFolder, memory: usize) -> Self {
        Self { scratch, most: (memory / N).max(1), held: Vec::new(), runs: Vec::new() }
    }

    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be written.
    pub(super) fn push(&mut self, record: [u8; N]) -> Result<()> {
        self.held.push(record);
        if self.held.len() < self.most {
            return Ok(());
        }
        self.held.sort_unstable();
        let run = write_records(self.scratch, self.held.drain(..).map(Ok))?;
        self.runs.push(run);
        if self.runs.len() == MOST_RUNS {
            let all = Merged::<N>::new(std::mem::take(&mut self.runs), Vec::new())?;
            self.runs.push(write_records(self.scratch, all)?);
        }
        Ok(())
    }

    /// All records, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read.
    pub(super) fn finish(mut self) -> Result<Merged<N>> {
        self.held.sort_unstable();
        Merged::new(self.runs, self.held)
    }
}

/// Writes records to a file of their own.
pub(super) fn write_records<const N: usize>(
    scratch: &ScratchFolder,
    records: impl Iterator<Item = Result<[u8; N]>>,
) -> Result<PathBuf> {
    let path = scratch.file()?;
    let io = |error| Error::io("write", &path, error);
    let mut file = BufWriter::with_capacity(1 << 16, File::create(&path).map_err(io)?);
    for record in records {
        file.write_all(&record?).map_err(io)?;
    }
    file.flush().map_err(io)?;
    Ok(path)
}

/// Sorted records of several runs, in order.
pub(super) struct Merged<const N: usize> {
    runs: Vec<Run<N>>,
    /// The first record of each run.
    firsts: BinaryHeap<Reverse<([u8; N], usize)>>,
}

enum Run<const N: usize> {
    Memory(std::vec::IntoIter<[u8; N]>),
    File { path: PathBuf, reader: BufReader<File> },
}

impl<const N: usize> Merged<N> {
    fn new(files: Vec<PathBuf>, held: Vec<[u8; N]>) -> Result<Self> {
        let mut runs = vec![Run::Memory(held.into_iter())];
        for path in files {
            let file = File::open(&path).map_err(|error| Error::io("open", &path, error))?;
            runs.push(Run::File { path, reader: BufReader::with_capacity(1 << 16, file) });
        }
        let mut firsts = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            if let Some(record) = run.next()? {
                firsts.push(Reverse((record, number)));
            }
        }
        Ok(Self { runs, firsts })
    }
}

impl<const N: usize> Run<N> {
    fn next(&mut self) -> Result<Option<[u8; N]>> {
        let (path, reader) = match self {
            Self::Memory(records) => return Ok(records.next()),
            Self::File { path, reader } => (path, reader),
        };
        let mut record = [0; N];
        let mut filled = 0;
        while filled < N {
            match reader.read(&mut record[filled..]).map_err(|error| Error::io("read", &*path, error))? {
                0 if filled == 0 => {
                    // It is not needed any more, and others may want the room.
                    let _ = std::fs::remove_file(&*path);
                    return Ok(None);
                }
                0 => return Err(Error::io("read", &*path, std::io::ErrorKind::UnexpectedEof.into())),
                read => filled += read,
            }
        }
        Ok(Some(record))
    }
}

impl<const N: usize> Iterator for Merged<N> {
    type Item = Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first = self.firsts.peek_mut()?;
        let Reverse((record, number)) = *first;
        match self.runs[number].next() {
            Ok(Some(next)) => *first = Reverse((next, number)),
            Ok(None) => drop(PeekMut::pop(first)),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(record))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use proptest::prelude::*;

    fn sorted(records: &[[u8; 2]], memory: usize) -> (Vec<[u8; 2]>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let scratch = ScratchFolder::new(folder.path());
        let mut sorter = Sorter::new(&scratch, memory);
        records.iter().for_each(|record| sorter.push(*record).unwrap());
        let sorted = sorter.finish().unwrap().map(Result::unwrap).collect();
        let files = scratch.files.load(Ordering::Relaxed) as usize;
        drop(scratch);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the folder goes");
        (sorted, files)
    }

    #[test]
    fn many_runs_become_one() {
        let records: Vec<[u8; 2]> = (0..1000u32).map(|n| (n.wrapping_mul(40_503) as u16).to_be_bytes()).collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        assert_eq!(sorted(&records, 1 << 20), (expected.clone(), 0));
        let (got, files) = sorted(&records, 10);
        assert_eq!(got, expected);
        assert!(files > 200, "{files}");
    }

    proptest! {
        #[test]
        fn as_in_memory(records in proptest::collection::vec(any::<[u8; 2]>(), 0..200), memory in 1usize..60) {
            let mut expected = records.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(&records, memory).0, expected);
        }
    }
}
