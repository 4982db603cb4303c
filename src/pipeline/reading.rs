//! Reading: the parts of the input are read by several threads, and handed on in batches in the order of the input.
//!
//! What is handed on does not depend on the threads: parts are cut into pieces of a set size, and reader `k` of `n` reads
//! the pieces `k`, `k + n`, ... into a queue of its own, from which they are taken in turn. A full queue stops its reader:
//! it holds [`QUEUE`] batches at the most, or one document that is longer; a batch is bounded by [`BATCH_BYTES`] and one
//! document; where memory is bounded (see [`ReadOptions::within`]), so are both. With one thread there are no
//! readers, and pieces are read where they are needed.
//!
//! The first batches are small ([`FIRST_SHARE`]), and each twice as long as the one before: with whole ones all threads
//! waited until the first two pieces were read, which was an eighth of the time of a command that encodes 30 MB. Tried and
//! not faster: parts of batches handed on where readers are behind; queues twice as long.

use serde::{Deserialize, Serialize};

use super::documents::{FileTallies, RejectSink};
use super::progress::Progress;
use super::queue::{Sending, Taking, queue};
use super::treatment::Treatment;
use crate::error::{Error, Result};
use crate::text::{Document, InputFile, Part, ReadOptions, Record, Reject, pieces, records_in};

/// Bytes of text that are handed on at a time, for each thread, and for all that there may be; a longer document is a
/// batch of its own. (With 8 MiB for two threads nothing was faster, and learning took 20 MB more.)
const THREAD_BYTES: usize = 1 << 20;
const BATCH_BYTES: usize = 8 << 20;
/// With a bound on memory, a batch has this part of it, but never less than the bytes below.
const MEMORY_SHARE: u64 = 64;
const LEAST_BATCH_BYTES: u64 = 1 << 16;
/// Documents that are handed on at a time.
const BATCH_DOCUMENTS: usize = 4096;
/// Bytes on disk of the pieces that large files are cut into.
const PIECE_BYTES: u64 = 8 << 20;
/// The first batch has this part of the others' length.
const FIRST_SHARE: usize = 16;
/// Batches are read in so many parts, so that the first need not wait for more than it has.
const CHUNKS: usize = 16;
/// Text of so many batches waits for each reader.
const QUEUE: usize = 2;
/// Threads that work on text for each that reads it: reading is several times as fast.
const WORKERS_A_READER: usize = 4;

/// Documents, and which files they are of.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) documents: Vec<Document>,
    /// The number of each document's file in the source.
    pub(super) files: Vec<usize>,
}

/// Lines of a file that were read, and bytes of its frames: records of its next part count from there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LinesBefore {
    file: usize,
    lines: u64,
    bytes: u64,
}

impl LinesBefore {
    /// How many there are.
    pub(super) fn place(self) -> Place {
        Place { lines: self.lines, bytes: self.bytes }
    }
}

/// A place in a file: what was read of it up to there. A unit counts lines, and bytes of frames, from its own beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) lines: u64,
    /// Of a run of frames, decompressed; other bytes are counted from the beginning of the file everywhere.
    #[serde(default)]
    pub(super) bytes: u64,
}

impl std::ops::Add for Place {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { lines: self.lines + other.lines, bytes: self.bytes + other.bytes }
    }
}

/// What is read, and how.
pub(super) struct Reading<'r> {
    pub(super) files: &'r [InputFile],
    pub(super) options: &'r ReadOptions,
    /// What is done to documents before they are handed on.
    pub(super) treatment: &'r Treatment,
    pub(super) progress: &'r Progress<'r>,
    /// Threads that read; 0: the one that asks.
    pub(super) readers: usize,
}

/// Records of a piece that were read together.
#[derive(Default)]
struct Chunk {
    documents: Vec<Document>,
    rejects: Vec<Reject>,
    bytes: usize,
    /// Bytes of the piece that were read until then, as they lie on disk.
    read: u64,
}

impl Chunk {
    /// Bytes of memory, about.
    fn weight(&self) -> usize {
        self.bytes + size_of_val(&self.documents[..]) + size_of_val(&self.rejects[..])
    }
}

/// How long a piece is that was read.
#[derive(Clone, Copy)]
struct Length {
    lines: u64,
    /// Of a run of frames, decompressed.
    bytes: u64,
}

enum Message {
    Chunk(Chunk),
    /// The piece is read.
    End(Length),
    Failed(Error),
}

/// How many threads read beside those that work.
pub(super) fn readers() -> usize {
    match rayon::current_num_threads() {
        1 => 0,
        threads => threads.div_ceil(WORKERS_A_READER),
    }
}

impl Reading<'_> {
    /// Reads `parts` and hands their documents on in batches. `read_before` is how many bytes of input earlier calls have
    /// read, for the progress, which is told after every batch; `lines` is where the last part before these ended.
    pub(super) fn for_each_batch(
        &self,
        parts: &[Part],
        lines: &mut LinesBefore,
        rejects: RejectSink<'_>,
        read_before: u64,
        work: &mut dyn FnMut(Batch) -> Result<()>,
    ) -> Result<FileTallies> {
        let files = self.treatment.spooled(self.files);
        Reading { files: &files, ..*self }.for_each_batch_of(parts, lines, rejects, read_before, work)
    }

    fn for_each_batch_of(
        &self,
        parts: &[Part],
        lines: &mut LinesBefore,
        rejects: RejectSink<'_>,
        read_before: u64,
        work: &mut dyn FnMut(Batch) -> Result<()>,
    ) -> Result<FileTallies> {
        let mut all = Vec::new();
        for part in parts {
            all.extend(pieces(self.files, part, PIECE_BYTES, self.options)?);
        }
        let tallies = FileTallies::new();
        let (batch, batch_bytes, read) = (Batch::default(), 0, read_before);
        let share = FIRST_SHARE;
        let mut intake = Intake { reading: self, rejects, work, lines, tallies, batch, batch_bytes, share, read };
        let readers = self.readers.min(all.len());
        if readers == 0 {
            self.read_here(&all, &mut intake)?;
        } else {
            self.read_beside(&all, readers, &mut intake)?;
        }
        intake.hand_on()?;
        self.progress.done(intake.read);
        self.progress.check("reading text")?;
        Ok(intake.tallies)
    }

    fn read_here(&self, pieces: &[Part], intake: &mut Intake<'_, '_>) -> Result<()> {
        for piece in pieces {
            intake.begin(piece);
            let length = self.read_piece(piece, &mut |chunk| intake.chunk(piece, chunk))?;
            intake.end(piece, length);
        }
        Ok(())
    }

    fn read_beside(&self, pieces: &[Part], readers: usize, intake: &mut Intake<'_, '_>) -> Result<()> {
        std::thread::scope(|scope| {
            // The queues end before the scope waits for the readers, which an error leaves with nobody to read for.
            let mut queues: Vec<Taking<Message>> = Vec::new();
            for reader in 0..readers {
                let (sending, taking) = queue(QUEUE * self.batch_bytes(), 1);
                queues.push(taking);
                scope.spawn(move || self.read_every(pieces.iter().skip(reader).step_by(readers), sending));
            }
            for (number, piece) in pieces.iter().enumerate() {
                intake.begin(piece);
                loop {
                    match queues[number % readers].next() {
                        Some(Message::Chunk(chunk)) => intake.chunk(piece, chunk)?,
                        Some(Message::End(length)) => break intake.end(piece, length),
                        Some(Message::Failed(error)) => return Err(error),
                        // The reader has panicked, and the scope says so when it ends.
                        None => return Err(Error::Interrupted { stage: "reading text" }),
                    }
                }
            }
            Ok(())
        })
    }

    /// What a reader does.
    fn read_every<'p>(&self, pieces: impl Iterator<Item = &'p Part>, mut queue: Sending<Message>) {
        for piece in pieces {
            let gone = |_| Error::Interrupted { stage: "reading text" };
            let read = self.read_piece(piece, &mut |chunk| {
                let weight = chunk.weight();
                queue.send(Message::Chunk(chunk), weight).map_err(gone)
            });
            let failed = read.is_err();
            // Nobody takes what is read after an error elsewhere.
            if queue.send(read.map_or_else(Message::Failed, Message::End), 0).is_err() || failed {
                return;
            }
        }
    }

    /// Reads a piece, and gives its length.
    fn read_piece(&self, piece: &Part, take: &mut dyn FnMut(Chunk) -> Result<()>) -> Result<Length> {
        let (mut chunk, chunk_bytes) = (Chunk::default(), self.batch_bytes() / CHUNKS);
        let mut records = records_in(&self.files[piece.file], &piece.extent, self.options)?;
        while let Some(record) = records.next() {
            match record? {
                Record::Document(document) => {
                    chunk.bytes += document.text.len();
                    chunk.documents.push(document);
                }
                Record::Reject(reject) => {
                    chunk.bytes += reject.raw.len();
                    chunk.rejects.push(reject);
                }
            }
            if chunk.bytes >= chunk_bytes || chunk.documents.len() + chunk.rejects.len() >= BATCH_DOCUMENTS / CHUNKS {
                chunk.read = records.bytes_read();
                take(std::mem::take(&mut chunk))?;
            }
        }
        chunk.read = records.bytes_read();
        let length = Length { lines: records.lines(), bytes: records.frame_bytes() };
        take(chunk)?;
        Ok(length)
    }

    /// Bytes of text that are handed on at a time.
    pub(super) fn batch_bytes(&self) -> usize {
        let most = BATCH_BYTES.min(THREAD_BYTES.saturating_mul(rayon::current_num_threads()));
        let share = |memory: u64| (memory / MEMORY_SHARE).clamp(LEAST_BATCH_BYTES, most as u64) as usize;
        self.options.memory.map_or(most, share)
    }
}

/// Where chunks go.
struct Intake<'i, 's> {
    reading: &'i Reading<'i>,
    rejects: RejectSink<'s>,
    work: &'i mut dyn FnMut(Batch) -> Result<()>,
    lines: &'i mut LinesBefore,
    tallies: FileTallies,
    batch: Batch,
    batch_bytes: usize,
    /// The batch will have this part of the length of later ones.
    share: usize,
    /// Bytes of input, as they lie on disk, whose pieces are done.
    read: u64,
}

impl Intake<'_, '_> {
    fn begin(&mut self, piece: &Part) {
        if self.lines.file != piece.file {
            *self.lines = LinesBefore { file: piece.file, ..LinesBefore::default() };
        }
    }

    fn end(&mut self, piece: &Part, length: Length) {
        self.lines.lines += length.lines;
        self.lines.bytes += length.bytes;
        self.read += piece.bytes;
    }

    fn chunk(&mut self, piece: &Part, chunk: Chunk) -> Result<()> {
        let tally = self.tallies.entry(piece.file).or_default();
        for mut document in chunk.documents {
            document.origin.line += self.lines.lines;
            document.origin.offset += self.lines.bytes;
            tally.documents.entered += 1;
            tally.bytes.entered += document.text.len() as u64;
            tally.repaired_bytes += document.repaired;
            tally.byte_order_marks += u64::from(document.signature);
            self.batch_bytes += document.text.len();
            self.batch.documents.push(document);
            self.batch.files.push(piece.file);
        }
        for mut reject in chunk.rejects {
            reject.origin.line += self.lines.lines;
            reject.origin.offset += self.lines.bytes;
            tally.documents.entered += 1;
            tally.documents.rejected += 1;
            tally.bytes.entered += reject.bytes;
            tally.bytes.rejected += reject.bytes;
            self.rejects.take(reject)?;
        }
        let (bytes, documents) = (self.reading.batch_bytes() / self.share, BATCH_DOCUMENTS / self.share);
        if self.batch_bytes >= bytes || self.batch.documents.len() >= documents {
            self.share = (self.share / 2).max(1);
            self.hand_on()?;
            // Of what is read ahead, a part belongs to the next piece. How long standard input is nobody knows.
            let is_stdin = self.reading.files[piece.file].is_stdin();
            self.reading.progress.done(self.read + chunk.read.min(if is_stdin { u64::MAX } else { piece.bytes }));
            self.reading.progress.check("reading text")?;
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        let batch = self.reading.treatment.batch(batch, &mut self.rejects, &mut self.tallies)?;
        for (document, file) in batch.documents.iter().zip(&batch.files) {
            let tally = self.tallies.entry(*file).or_default();
            tally.documents.left += 1;
            tally.bytes.left += document.text.len() as u64;
        }
        if batch.documents.is_empty() { Ok(()) } else { (self.work)(batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::progress::Event;
    use super::*;
    use std::io::Write;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use crate::text::{RejectLog, Source, plan_units, records};

    /// Everything that comes out, with any number of readers and any size of units, is what one reader gives.
    #[test]
    fn readers_and_units_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..60_000)
            .map(|n| if n % 997 == 0 { format!("bad {n}\n") } else { format!("{{\"text\": \"第{n}个词元 {n}\"}}\r\n") })
            .collect();
        // Larger than a piece, so that several readers share it.
        std::fs::write(folder.path().join("a.jsonl"), lines.repeat(6)).unwrap();
        std::fs::write(folder.path().join("b.txt"), "一个文件").unwrap();
        std::fs::write(folder.path().join("c.txt"), "").unwrap();
        std::fs::write(folder.path().join("d.jsonl"), &lines[..900]).unwrap();
        let files = Source::find(&[folder.path().to_owned()], None).unwrap().files;
        assert!(files[0].bytes > 2 * PIECE_BYTES / 2 + 1 && files.len() == 4);
        let options = ReadOptions::default();
        let mut wanted = (Vec::new(), Vec::new());
        for (number, file) in files.iter().enumerate() {
            for record in records(file, &options).unwrap() {
                match record.unwrap() {
                    Record::Document(document) => wanted.0.push((number, document)),
                    Record::Reject(reject) => wanted.1.push((reject.origin.line, reject.origin.offset)),
                }
            }
        }
        let mut tallies = Vec::new();
        for (readers, unit_size) in [(0, 1 << 40), (1, 1 << 40), (3, 1 << 40), (2, 3 << 20), (0, 1 << 20), (5, 5 << 20)]
        {
            let (treatment, progress) = (Treatment::nothing(), Progress::silent());
            let reading =
                Reading { files: &files, options: &options, treatment: &treatment, progress: &progress, readers };
            let log_path = folder.path().join("rejects.zst");
            let mut log = RejectLog::new(&log_path);
            let (mut found, mut lines, mut tally) = (Vec::new(), LinesBefore::default(), FileTallies::new());
            for unit in plan_units(&files, unit_size, &options).unwrap() {
                let read =
                    reading.for_each_batch(&unit.parts, &mut lines, RejectSink::Keep(&mut log), 0, &mut |batch| {
                        found.extend(batch.files.into_iter().zip(batch.documents));
                        Ok(())
                    });
                for (file, part) in read.unwrap() {
                    tally.entry(file).or_default().add(&part);
                }
            }
            assert!(found == wanted.0, "{readers} readers, units of {unit_size}");
            assert!(log.finish().unwrap());
            let rejects = zstd::decode_all(std::fs::File::open(&log_path).unwrap()).unwrap();
            let place = |line: &[u8]| {
                let line: crate::text::RejectLine = serde_json::from_slice(line).unwrap();
                (line.line, line.offset)
            };
            let rejects: Vec<_> = rejects.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(place).collect();
            assert_eq!(rejects, wanted.1, "{readers} readers, units of {unit_size}");
            super::super::documents::sum_of(&tally).unwrap();
            tallies.push(tally);
        }
        assert!(tallies.iter().all(|tally| *tally == tallies[0]));
        assert_eq!(tallies[0][&2].documents.rejected, 1);
    }

    /// Of compressed files the compressed bytes count, so that the remaining time is that of the whole.
    #[test]
    fn progress_follows_the_bytes_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let line = |n: u32| {
            let letters = (0..40u32).map(|k| format!("{:x}", n.wrapping_mul(2_654_435_761).wrapping_mul(k * 2 + 1)));
            format!("{{\"text\": \"{}\"}}\n", letters.collect::<String>())
        };
        let lines = (0..40_000).map(line).collect::<String>().into_bytes();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&lines).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(&lines).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(lines.len() as u64);
        archive.append_data(&mut header, "a.jsonl", &lines[..]).unwrap();
        let frames = lines.chunks(lines.len() / 3).flat_map(|part| zstd::encode_all(part, 1).unwrap()).collect();
        let files: [(&str, Vec<u8>); 6] = [
            ("a.jsonl", lines.clone()),
            ("b.jsonl.gz", gzip.finish().unwrap()),
            ("c.jsonl.zst", zstd::encode_all(&lines[..], 1).unwrap()),
            ("d.jsonl.zst", frames),
            ("e.jsonl.xz", xz.finish().unwrap()),
            ("f.tar.zst", zstd::encode_all(&archive.into_inner().unwrap()[..], 1).unwrap()),
        ];
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let files = Source::find(&[path], None).unwrap().files;
            let (documents, told) = (AtomicU64::new(0), Mutex::new(Vec::new()));
            let tell = |event| {
                if let Event::Done(done) = event {
                    told.lock().unwrap().push((documents.load(Ordering::Relaxed), done));
                }
            };
            let (stop, treatment, options) = (AtomicBool::new(false), Treatment::nothing(), ReadOptions::default());
            let progress = Progress::new(&tell, &stop);
            let reading =
                Reading { files: &files, options: &options, treatment: &treatment, progress: &progress, readers: 0 };
            let parts = crate::text::whole_files(&files);
            let read =
                reading.for_each_batch(&parts, &mut LinesBefore::default(), RejectSink::Count, 0, &mut |batch| {
                    documents.fetch_add(batch.documents.len() as u64, Ordering::Relaxed);
                    Ok(())
                });
            assert_eq!(read.unwrap()[&0].documents.left, 40_000);
            let told = told.into_inner().unwrap();
            assert!(told.len() > 5 && told.is_sorted_by_key(|(_, done)| *done), "{name}: {told:?}");
            assert_eq!(told.last(), Some(&(40_000, files[0].bytes)), "{name}");
            for (documents, done) in told {
                let (of_text, of_disk) = (documents as f64 / 40_000.0, done as f64 / files[0].bytes as f64);
                assert!((of_text - of_disk).abs() < 0.15, "{name}: {of_text} of the text, {of_disk} of the bytes");
            }
        }
    }

    /// The first error in the order of the input ends it, whatever the readers are at.
    #[test]
    fn the_first_error_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..40 {
            std::fs::write(folder.path().join(format!("{n:02}.txt.gz")), "no gzip").unwrap();
        }
        std::fs::write(folder.path().join("00.txt"), "good").unwrap();
        let files = Source::find(&[folder.path().to_owned()], None).unwrap().files;
        let options = ReadOptions::default();
        let unit = plan_units(&files, 1 << 30, &options).unwrap().remove(0);
        for readers in [0, 1, 4] {
            let (treatment, progress) = (Treatment::nothing(), Progress::silent());
            let reading =
                Reading { files: &files, options: &options, treatment: &treatment, progress: &progress, readers };
            let read = |work: &mut dyn FnMut(Batch) -> Result<()>| {
                reading.for_each_batch(&unit.parts, &mut LinesBefore::default(), RejectSink::Count, 0, work)
            };
            let error = read(&mut |_| Ok(())).unwrap_err();
            assert!(error.to_string().contains("00.txt.gz"), "{error}");
        }
    }
}
