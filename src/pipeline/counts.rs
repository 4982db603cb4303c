//! Files of counts: written whole or not at all, read block by block, merged some at a time.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::progress::Progress;
use super::scratch::ScratchFolder;
use crate::error::{Error, Result};
use crate::learn::{
    AddedCounts, CountStream, Counts, CountsHead, CountsReader, CountsTotals, CountsWriter, SortedCounts,
};
use crate::shard::AtomicFile;

/// Files that are read at a time; more are merged in passes.
pub(super) const MOST_OPEN: usize = 64;
/// Spans between two looks at whether to stop.
const CHECKED: u64 = 1 << 16;

/// A stream of counts from anywhere.
pub(super) type Stream<'s> = Box<dyn CountStream + 's>;

/// Opens a file of counts: what it says of itself, and the stream of what it holds, which adds the bytes that it has read
/// to `read`.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], [`Error::Counts`] when it is damaged.
pub(super) fn open_counts<'s>(path: &Path, read: &'s AtomicU64) -> Result<(CountsHead, Stream<'s>)> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    let mut file = BufReader::with_capacity(1 << 17, file);
    let name = path.to_owned();
    let source = move |buffer: &mut [u8]| {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &name, error)),
            }
        }
        read.fetch_add(filled as u64, Ordering::Relaxed);
        Ok(filled)
    };
    let reader = CountsReader::open(path, source)?;
    Ok((reader.head().clone(), Box::new(reader)))
}

/// Writes a file of counts, flushed and renamed as a whole.
///
/// ```
/// use ciyuan::learn::{Counts, CountsHead, CountsSettings, SortedCounts};
/// use ciyuan::pipeline::{Progress, load_counts, save_counts};
/// use ciyuan::segment::HanEdges;
/// let mut counts = Counts::default();
/// counts.add("词元".as_bytes(), 3)?;
/// let settings = CountsSettings::new(r"\p{L}+|\P{L}+", HanEdges::None, 0);
/// let head = CountsHead { settings, documents: 1, bytes: 18 };
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("counts");
/// save_counts(&path, &head, &counts)?;
/// assert_eq!(load_counts(&path)?, (head, counts));
/// # Ok::<(), ciyuan::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Io`] when it cannot be written, [`Error::Limit`] for a pattern that is too long.
pub fn save_counts(path: &Path, head: &CountsHead, counts: &Counts) -> Result<CountsTotals> {
    write_counts(path, head, &mut SortedCounts::new(counts), &Progress::silent(), &mut |_, _| Ok(()))
}

/// Reads a file of counts into memory.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Io`], [`Error::Counts`] when it is damaged.
pub fn load_counts(path: &Path) -> Result<(CountsHead, Counts)> {
    let read = AtomicU64::new(0);
    let (head, mut stream) = open_counts(path, &read)?;
    Ok((head, Counts::of_stream(&mut stream)?))
}

/// Writes a stream to a file, flushed and renamed as a whole, and hands its entries on.
pub(super) fn write_counts(
    path: &Path,
    head: &CountsHead,
    stream: &mut (impl CountStream + ?Sized),
    progress: &Progress<'_>,
    also: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<CountsTotals> {
    let mut file = AtomicFile::create(path)?;
    let mut writer = CountsWriter::new(head, |bytes: &[u8]| file.write(bytes))?;
    push_all(&mut writer, stream, progress, also)?;
    let totals = writer.finish()?;
    file.publish()?;
    Ok(totals)
}

/// Appends a stream to a file, and hands its entries on.
fn push_all(
    writer: &mut CountsWriter<impl FnMut(&[u8]) -> Result<()>>,
    stream: &mut (impl CountStream + ?Sized),
    progress: &Progress<'_>,
    also: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<()> {
    let mut entries = 0u64;
    while stream.advance()? {
        writer.push(stream.span(), stream.count())?;
        also(stream.span(), stream.count())?;
        entries += 1;
        if entries.is_multiple_of(CHECKED) {
            progress.check("writing counts")?;
        }
    }
    Ok(())
}

/// Counts of a part of the corpus.
pub(super) enum Part {
    /// A table.
    Memory(Counts),
    /// A file; one that was made on the way is in the scratch folder, and goes with it.
    File(PathBuf),
}

/// The sum of parts, of which at most [`MOST_OPEN`] are open at once.
pub(super) fn sum_of_parts<'s>(
    mut parts: Vec<Part>,
    head: &CountsHead,
    scratch: &Scratch,
    progress: &Progress<'_>,
    read: &'s AtomicU64,
) -> Result<Stream<'s>> {
    // The first parts are merged, and what comes of them goes behind the others, so that no part is read much more often
    // than the rest.
    let ignored = AtomicU64::new(0);
    while parts.len() > MOST_OPEN {
        let rest = parts.split_off(MOST_OPEN.min(parts.len() - MOST_OPEN + 1));
        let mut sum = AddedCounts::new(streams(parts, &ignored)?);
        parts = rest;
        parts.push(scratch.write(head, &mut sum, progress)?);
    }
    Ok(Box::new(AddedCounts::new(streams(parts, read)?)))
}

fn streams(parts: Vec<Part>, read: &AtomicU64) -> Result<Vec<Stream<'_>>> {
    let stream = |part| match part {
        Part::Memory(counts) => Ok(Box::new(SortedCounts::new(counts)) as Stream<'_>),
        Part::File(path) => open_counts(&path, read).map(|(_, stream)| stream),
    };
    parts.into_iter().map(stream).collect()
}

/// Parts that find no room in memory.
pub(super) struct Scratch(ScratchFolder);

impl Scratch {
    /// Parts in a folder of their own inside `parent`.
    pub(super) fn new(parent: &Path) -> Self {
        Self(ScratchFolder::new(parent))
    }

    /// The name of a file that is not there yet, in the folder, which is.
    pub(super) fn file(&self) -> Result<PathBuf> {
        self.0.file()
    }

    /// Writes a part.
    pub(super) fn write(
        &self,
        head: &CountsHead,
        stream: &mut (impl CountStream + ?Sized),
        progress: &Progress<'_>,
    ) -> Result<Part> {
        let mut file = self.begin(head)?;
        push_all(&mut file.writer, stream, progress, &mut |_, _| Ok(()))?;
        file.finish().map(Part::File)
    }

    /// Begins a file. It is not flushed to the disk: after a power cut nobody asks for it.
    pub(super) fn begin(&self, head: &CountsHead) -> Result<ScratchCounts> {
        let path = self.file()?;
        let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
        let file = Rc::new(RefCell::new(BufWriter::new(file)));
        let (of_sink, name) = (Rc::clone(&file), path.clone());
        let sink: CountsSink = Box::new(move |bytes: &[u8]| {
            of_sink.borrow_mut().write_all(bytes).map_err(|error| Error::io("write", &name, error))
        });
        Ok(ScratchCounts { path, file, writer: CountsWriter::new(head, sink)? })
    }
}

type CountsSink = Box<dyn FnMut(&[u8]) -> Result<()>>;

/// A file of counts in the scratch folder, while it is written.
pub(super) struct ScratchCounts {
    path: PathBuf,
    file: Rc<RefCell<BufWriter<File>>>,
    writer: CountsWriter<CountsSink>,
}

impl ScratchCounts {
    /// Appends a pre-token with its count, behind those before it.
    pub(super) fn push(&mut self, span: &[u8], count: u64) -> Result<()> {
        self.writer.push(span, count)
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<PathBuf> {
        self.writer.finish()?;
        self.file.borrow_mut().flush().map_err(|error| Error::io("write", &self.path, error))?;
        Ok(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::CountsSettings;
    use crate::segment::HanEdges;

    /// More parts than are open at once, in files and in memory, give the sum of all; the folder goes.
    #[test]
    fn parts_are_merged_in_passes() {
        let folder = tempfile::tempdir().unwrap();
        let head = CountsHead { settings: CountsSettings::new(".", HanEdges::Chars, 7), documents: 1, bytes: 2 };
        for number in [0, 1, 2, MOST_OPEN, MOST_OPEN + 1, 3 * MOST_OPEN] {
            let scratch = Scratch::new(folder.path());
            let mut whole = Counts::default();
            let mut parts = Vec::new();
            for part in 0..number {
                let mut counts = Counts::default();
                for span in 0..20 {
                    counts.add(format!("{}", span * part % 31).as_bytes(), span as u64 + 1).unwrap();
                }
                whole.merge(counts.clone()).unwrap();
                parts.push(match part % 3 {
                    0 => Part::Memory(counts),
                    _ => scratch.write(&head, &mut SortedCounts::new(counts), &Progress::silent()).unwrap(),
                });
            }
            let read = AtomicU64::new(0);
            let mut stream = sum_of_parts(parts, &head, &scratch, &Progress::silent(), &read).unwrap();
            assert!(Counts::of_stream(&mut stream).unwrap() == whole, "{number} parts");
            drop((stream, scratch));
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
