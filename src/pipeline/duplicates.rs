//! Exact duplicates: which documents have a text that stands earlier in the input.
//!
//! A first pass gives the hash and the place of every document, in any order and from any thread; sorted by both, the
//! first of each hash is the one that stays, and the places of all others, sorted again, are what the second pass asks
//! for. So the answer depends on the order of the input alone. Two sorts with bounded memory take the place of a table of
//! all hashes, which at 24 bytes a document would not fit for the largest corpora; a Bloom filter would, but drops
//! documents that are no duplicates.
//!
//! The hash is the 128 bits of xxh3 of the text as it would be used, after cleaning. By chance two different texts of a
//! billion have the same with a probability below 2 to the power of -68; who builds such texts on purpose can do it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::scratch::ScratchFolder;
use super::sorter::{Sorter, write_records};
use crate::error::{Error, ManifestFault, Result};
use crate::shard::AtomicFile;
use crate::text::Origin;

/// Bytes of memory for sorting.
pub(super) const MEMORY: usize = 256 << 20;

/// Hash, number of the file, offset.
type Entry = [u8; 28];
/// Number of the file, offset.
type Place = [u8; 12];

/// Collects hashes and places.
pub(super) struct DuplicateFinder<'s> {
    scratch: &'s ScratchFolder,
    memory: usize,
    entries: Sorter<'s, 28>,
}

impl<'s> DuplicateFinder<'s> {
    /// A finder that uses about `memory` bytes.
    pub(super) fn new(scratch: &'s ScratchFolder, memory: usize) -> Self {
        Self { scratch, memory, entries: Sorter::new(scratch, memory) }
    }

    /// Adds a text by its hash; `offset` is its place in a file, and files are in the order of their numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be written.
    pub(super) fn push(&mut self, hash: u128, file: u32, offset: u64) -> Result<()> {
        let mut entry: Entry = [0; 28];
        entry[..16].copy_from_slice(&hash.to_be_bytes());
        entry[16..].copy_from_slice(&place(file, offset));
        self.entries.push(entry)
    }

    /// The places of all but the first of each hash, and how many they are.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be read or written.
    fn finish(self) -> Result<(Places, u64)> {
        let mut places = Sorter::<12>::new(self.scratch, self.memory);
        let (mut last, mut count) = (None, 0);
        for entry in self.entries.finish()? {
            let entry = entry?;
            let (hash, place): (&[u8], &[u8]) = entry.split_at(16);
            if last.as_ref().is_some_and(|last: &[u8; 16]| last == hash) {
                places.push(place.try_into().expect("28 bytes less 16 are 12"))?;
                count += 1;
            } else {
                last = Some(hash.try_into().expect("16 bytes were split off"));
            }
        }
        let sorted = places.finish()?;
        if count <= (self.memory / 12) as u64 {
            return Ok((Places::Memory(sorted.collect::<Result<_>>()?), count));
        }
        let path = write_records(self.scratch, sorted)?;
        let file = File::open(&path).map_err(|error| Error::io("open", &path, error))?;
        Ok((Places::File { path, file: Mutex::new(file), count }, count))
    }
}

/// What tells a document from the others of its file, and comes later for those that stand later.
pub(super) fn place_in_file(origin: &Origin) -> u64 {
    if origin.record > 0 { origin.record } else { origin.offset }
}

fn place(file: u32, offset: u64) -> Place {
    let mut place = [0; 12];
    place[..4].copy_from_slice(&file.to_be_bytes());
    place[4..].copy_from_slice(&offset.to_be_bytes());
    place
}

/// Sorted places.
enum Places {
    Memory(Vec<Place>),
    File { path: PathBuf, file: Mutex<File>, count: u64 },
}

impl Places {
    fn contains(&self, wanted: Place) -> Result<bool> {
        let (path, file, count) = match self {
            Self::Memory(places) => return Ok(places.binary_search(&wanted).is_ok()),
            Self::File { path, file, count } => (path, file, *count),
        };
        let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut found: Place = [0; 12];
            file.seek(SeekFrom::Start(12 * middle))
                .and_then(|_| file.read_exact(&mut found))
                .map_err(|error| Error::io("read", path, error))?;
            match found.cmp(&wanted) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }
}

/// The documents of an input whose text stands earlier.
pub(super) struct Duplicates {
    files: HashMap<PathBuf, u32>,
    places: Places,
    count: u64,
    /// Holds the file of the places, unless that is of somebody else.
    _scratch: Option<ScratchFolder>,
}

/// What a file of places must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedDuplicates {
    count: u64,
    checksum: String,
}

impl Duplicates {
    /// Lets `collect` give all documents of `files` to a finder, by the numbers of the files, and asks it.
    ///
    /// # Errors
    ///
    /// Those of `collect`, and [`Error::Io`] when a file in `parent` cannot be read or written.
    pub(super) fn find(
        files: HashMap<PathBuf, u32>,
        parent: &Path,
        memory: usize,
        collect: impl FnOnce(&mut DuplicateFinder<'_>) -> Result<()>,
    ) -> Result<Self> {
        let scratch = ScratchFolder::new(parent);
        let mut finder = DuplicateFinder::new(&scratch, memory);
        collect(&mut finder)?;
        let (places, count) = finder.finish()?;
        Ok(Self { files, places, count, _scratch: Some(scratch) })
    }

    /// Keeps the places in a file: 12 bytes each, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub(super) fn save(&self, path: &Path) -> Result<SavedDuplicates> {
        let (mut file, mut hash) = (AtomicFile::create(path)?, Xxh3::new());
        let mut write = |bytes: &[u8]| {
            hash.update(bytes);
            file.write(bytes)
        };
        match &self.places {
            Places::Memory(places) => places.iter().try_for_each(|place| write(place))?,
            Places::File { path: from, .. } => {
                let read = |error| Error::io("read", from, error);
                let (mut from, mut buffer) = (File::open(from).map_err(read)?, vec![0; 1 << 18]);
                loop {
                    match from.read(&mut buffer).map_err(read)? {
                        0 => break,
                        length => write(&buffer[..length])?,
                    }
                }
            }
        }
        let checksum = format!("{:032x}", hash.digest128());
        file.publish()?;
        Ok(SavedDuplicates { count: self.count, checksum })
    }

    /// The duplicates of `files` that were [saved](Self::save); with `memory` bytes of them they are read into memory.
    ///
    /// # Errors
    ///
    /// [`Error::Manifest`] for a file that is not the one that was saved, [`Error::Io`].
    pub(super) fn open(
        files: HashMap<PathBuf, u32>,
        saved: &SavedDuplicates,
        path: &Path,
        memory: usize,
    ) -> Result<Self> {
        let read = |error| Error::io("read", path, error);
        let (mut from, mut hash) = (File::open(path).map_err(read)?, Xxh3::new());
        std::io::copy(&mut from, &mut hash).map_err(read)?;
        let got = format!("{:032x}", hash.digest128());
        if got != saved.checksum {
            let (name, expected) = (path.display().to_string(), saved.checksum.clone());
            let fault = ManifestFault::File { name, expected, got };
            return Err(Error::Manifest { path: path.to_owned(), fault });
        }
        let count = saved.count;
        let places = if count <= (memory / 12) as u64 {
            let bytes = std::fs::read(path).map_err(read)?;
            Places::Memory(bytes.as_chunks::<12>().0.to_vec())
        } else {
            Places::File { path: path.to_owned(), file: Mutex::new(from), count }
        };
        Ok(Self { files, places, count, _scratch: None })
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether the document that stands here is one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file of places cannot be read.
    pub(super) fn contains(&self, origin: &Origin) -> Result<bool> {
        // The members of an archive have its path before their names.
        let mut paths = origin.file.ancestors().take(if origin.record > 0 { usize::MAX } else { 1 });
        match paths.find_map(|path| self.files.get(path)) {
            Some(file) => self.places.contains(place(*file, place_in_file(origin))),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// The plain way: in order of places, what was seen before.
    fn plainly(entries: &[(u128, u32, u64)]) -> HashSet<(u32, u64)> {
        let mut in_order = entries.to_vec();
        in_order.sort_unstable_by_key(|(_, file, offset)| (*file, *offset));
        let mut seen = HashSet::new();
        in_order.into_iter().filter(|(hash, ..)| !seen.insert(*hash)).map(|(_, file, offset)| (file, offset)).collect()
    }

    proptest! {
        /// In any order, in memory or in files.
        #[test]
        fn the_first_stays(
            entries in proptest::collection::hash_map((0u32..4, 0u64..300), 0u128..30, 0..120),
            memory in prop_oneof![1usize..200, Just(1 << 20)],
        ) {
            let entries: Vec<(u128, u32, u64)> =
                entries.into_iter().map(|((file, offset), hash)| (hash << 90 | hash, file, offset)).collect();
            let names = ["a", "b", "c", "d"].map(PathBuf::from);
            let folder = tempfile::tempdir().unwrap();
            let files = (0..).zip(names.iter().cloned()).map(|(number, name)| (name, number)).collect();
            let duplicates = Duplicates::find(files, folder.path(), memory, |finder| {
                entries.iter().try_for_each(|(hash, file, offset)| finder.push(*hash, *file, *offset))
            }).unwrap();
            let expected = plainly(&entries);
            prop_assert_eq!(duplicates.count(), expected.len() as u64);
            for (number, name) in (0..).zip(&names) {
                for offset in 0..300 {
                    let origin = Origin { file: name.as_path().into(), line: 1, offset, record: 0 };
                    prop_assert_eq!(duplicates.contains(&origin).unwrap(), expected.contains(&(number, offset)));
                }
            }
            let path = folder.path().join("saved");
            let saved = duplicates.save(&path).unwrap();
            let files = (0..).zip(names.iter().cloned()).map(|(number, name)| (name, number)).collect();
            let opened = Duplicates::open(files, &saved, &path, memory).unwrap();
            for (number, name) in (0..).zip(&names) {
                for offset in 0..300 {
                    let origin = Origin { file: name.as_path().into(), line: 1, offset, record: 0 };
                    prop_assert_eq!(opened.contains(&origin).unwrap(), expected.contains(&(number, offset)));
                }
            }
            std::fs::write(&path, [1]).unwrap();
            prop_assert!(Duplicates::open(HashMap::new(), &saved, &path, memory).is_err());
            std::fs::remove_file(&path).unwrap();
            let elsewhere = Origin { file: Path::new("e").into(), line: 1, offset: 0, record: 0 };
            prop_assert!(!duplicates.contains(&elsewhere).unwrap());
            drop(duplicates);
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
