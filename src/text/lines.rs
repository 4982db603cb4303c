//! Lines of bytes with their places, of a whole stream or of a range of a file.

use std::io::{BufRead, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::decoding::{Decoding, decoded};
use super::document::{Origin, Record, Reject};
use super::reader::ReadOptions;
use crate::error::{Error, RecordFault, Result};

/// How much of a record that is too long goes into the quarantine.
pub(super) const RAW_HEAD: usize = 1 << 10;

/// Lines with their places; holds one line at a time, and of a line that is too long only its head.
pub(super) struct LineReader {
    pub(super) reader: Box<dyn BufRead + Send>,
    path: Arc<Path>,
    /// The longest line allowed.
    pub(super) max: u64,
    /// Lines that were read.
    pub(super) line: u64,
    /// Where the next one begins.
    pub(super) offset: u64,
    /// Where it would begin without the mark before it.
    begin: u64,
    /// Lines that begin here or behind are not read.
    end: u64,
    /// Of a run of frames: its decompressed length, once it is known. The line that begins right there is read here, and
    /// not by the reader of the frames behind, who cannot tell whether a line begins with them.
    length: Option<Arc<AtomicU64>>,
    signature: bool,
    /// How its records are decoded.
    pub(super) decoding: Decoding,
}

/// A line without its line feed, and where it stands.
pub(super) struct Line {
    pub(super) bytes: Vec<u8>,
    pub(super) origin: Origin,
    /// Length with line end, also of what was not kept.
    pub(super) length: u64,
    /// Longer than allowed: `bytes` is only its head.
    pub(super) too_long: bool,
}

/// What became of a line that lies in memory, or would.
pub(super) enum Taken<T> {
    Made(T),
    /// Nothing was made of it, or there is none.
    Refused,
    /// It was not looked at: it has to be brought together first.
    Apart,
}

impl<T> Taken<T> {
    pub(super) fn map<U>(self, to: impl FnOnce(T) -> U) -> Taken<U> {
        match self {
            Self::Made(made) => Taken::Made(to(made)),
            Self::Refused => Taken::Refused,
            Self::Apart => Taken::Apart,
        }
    }
}

impl LineReader {
    /// The lines of a stream. A byte order mark at its head is taken off.
    pub(super) fn new(reader: Box<dyn BufRead + Send>, path: Arc<Path>, options: &ReadOptions) -> Result<Self> {
        let (reader, mark, decoding) =
            decoded(reader, options.encoding).map_err(|error| Error::io("read", &*path, error))?;
        Ok(Self::behind_mark(reader, path, options, mark, decoding))
    }

    /// The lines of a stream that begins behind a mark of so many bytes, or none.
    pub(super) fn behind_mark(
        reader: Box<dyn BufRead + Send>,
        path: Arc<Path>,
        options: &ReadOptions,
        mark: usize,
        decoding: Decoding,
    ) -> Self {
        let (max, offset, signature) = (options.max_document, mark as u64, mark > 0);
        Self { reader, path, max, line: 0, offset, begin: 0, end: u64::MAX, length: None, signature, decoding }
    }

    /// The lines that begin in `range`, which is not at the head of the file. `reader` is at the byte before the range:
    /// where that is a line feed, a line begins with the range.
    pub(super) fn of_range(
        reader: Box<dyn BufRead + Send>,
        path: Arc<Path>,
        options: &ReadOptions,
        range: &Range<u64>,
        decoding: Decoding,
    ) -> Result<Self> {
        let (before, end, max) = (range.start.saturating_sub(1), range.end, options.max_document);
        let (line, signature, length) = (0, false, None);
        let mut lines =
            Self { reader, path, max, line, offset: before, begin: before, end, length, signature, decoding };
        // The line that began earlier is another reader's. Where it goes on behind the range there is no line here.
        let left = range.end.saturating_sub(before);
        lines.offset += lines.skip_line(|skipped| skipped >= left)?;
        lines.begin = lines.offset;
        Ok(lines)
    }

    /// The lines of a run of frames, or of a part in UTF-16, that is not at the head of the file: those that begin behind
    /// its first byte, up to the one that begins with what is behind the part. `reader` goes on there, and says in `length`
    /// where that is. Offsets count from the beginning of the part.
    pub(super) fn of_frames(
        reader: Box<dyn BufRead + Send>,
        path: Arc<Path>,
        options: &ReadOptions,
        length: Arc<AtomicU64>,
        decoding: Decoding,
    ) -> Result<Self> {
        let (max, end) = (options.max_document, u64::MAX);
        let (line, offset, begin, signature) = (0, 0, 0, false);
        let known = Some(length.clone());
        let mut lines = Self { reader, path, max, line, offset, begin, end, length: known, signature, decoding };
        lines.offset = lines.skip_line(|skipped| skipped > length.load(Ordering::Relaxed))?;
        lines.begin = lines.offset;
        Ok(lines)
    }

    /// The same reader, as that of the first frames of a file.
    pub(super) fn with_length(mut self, length: Arc<AtomicU64>) -> Self {
        self.length = Some(length);
        self
    }

    /// Of a run of frames that is read: its decompressed length; 0 for others.
    pub(super) fn frame_bytes(&self) -> u64 {
        self.length.as_ref().map_or(0, |length| length.load(Ordering::Relaxed))
    }

    fn is_over(&self) -> bool {
        match &self.length {
            Some(length) => self.begin > length.load(Ordering::Relaxed),
            None => self.begin >= self.end,
        }
    }

    /// The same reader, which ends before the first line that begins at `end` or behind.
    pub(super) fn until(mut self, end: u64) -> Self {
        self.end = end;
        self
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { file: self.path.clone(), line: self.line, offset: self.offset, record: 0 }
    }

    /// Whether a byte order mark was taken off; true once.
    pub(super) fn take_signature(&mut self) -> bool {
        std::mem::take(&mut self.signature)
    }

    pub(super) fn error(&self, error: std::io::Error) -> Error {
        Error::io("read", &*self.path, error)
    }

    /// The next line; `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>> {
        if self.is_over() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        // One byte more than allowed tells that a line is too long; its line end may come on top.
        let limit = self.max.saturating_add(2);
        let mut length =
            (&mut self.reader).take(limit).read_until(b'\n', &mut bytes).map_err(|error| self.error(error))? as u64;
        if length == 0 {
            return Ok(None);
        }
        self.line += 1;
        let origin = self.origin();
        let ended = bytes.last() == Some(&b'\n');
        if ended {
            bytes.pop();
        }
        if !ended && length == limit {
            length += self.skip_line(|_| false)?;
        }
        self.offset += length;
        self.begin = self.offset;
        let too_long = bytes.len() as u64 > self.max;
        if too_long {
            bytes.truncate(RAW_HEAD);
        }
        Ok(Some(Line { bytes, origin, length, too_long }))
    }

    /// Hands the next line to `take` where it lies in memory, and goes on behind it if something is made of it; else it is
    /// the next one still.
    pub(super) fn take_line<T>(&mut self, take: impl FnOnce(&[u8]) -> Option<T>) -> Result<Taken<(T, Origin)>> {
        if self.is_over() {
            return Ok(Taken::Refused);
        }
        let buffer = match self.reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(Taken::Apart),
            Err(error) => return Err(self.error(error)),
        };
        let Some(end) = memchr::memchr(b'\n', buffer) else { return Ok(Taken::Apart) };
        let line = Some(&buffer[..end]).filter(|line| line.len() as u64 <= self.max);
        let Some(taken) = line.and_then(take) else { return Ok(Taken::Refused) };
        self.reader.consume(end + 1);
        self.line += 1;
        let origin = self.origin();
        self.offset += end as u64 + 1;
        self.begin = self.offset;
        Ok(Taken::Made((taken, origin)))
    }

    /// Reads to the end of the line without keeping it, or not far behind where so many bytes are enough; gives how many
    /// they were.
    fn skip_line(&mut self, is_enough: impl Fn(u64) -> bool) -> Result<u64> {
        let mut skipped = 0;
        while !is_enough(skipped) {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(error)),
            };
            let end = memchr::memchr(b'\n', buffer);
            let used = end.map_or(buffer.len(), |end| end + 1);
            skipped += used as u64;
            let done = end.is_some() || buffer.is_empty();
            self.reader.consume(used);
            if done {
                break;
            }
        }
        Ok(skipped)
    }
}

impl Line {
    /// Whether nothing but white space is in it.
    pub(super) fn is_blank(&self) -> bool {
        !self.too_long && self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether it is at the head of the file, behind the mark: a reader of a later part knows nothing of a mark.
    pub(super) fn is_first(&self) -> bool {
        self.origin.line == 1
    }

    /// Takes a carriage return off that belongs to the line end.
    pub(super) fn without_carriage_return(mut self) -> Self {
        if self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        self
    }

    /// The reject that this line is; the fault lies `at` bytes into it.
    pub(super) fn reject(mut self, fault: RecordFault, at: u64) -> Record {
        self.origin.offset += at;
        Record::Reject(Reject { origin: self.origin, id: None, fault, bytes: self.length, raw: self.bytes })
    }
}
