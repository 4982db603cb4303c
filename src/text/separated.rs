//! A text in which a string stands between the documents, such as `<|endoftext|>`.

use std::io::{BufRead, ErrorKind};

use memchr::memmem::Finder;

use super::document::{Origin, Record};
use super::lines::{LineReader, RAW_HEAD};
use super::reader::{ReadOptions, RecordReader, document, too_long};
use crate::error::Result;

/// Documents between separators. It holds one at a time, and of one that is too long only its head.
pub(super) struct Separated<'o> {
    lines: LineReader,
    options: &'o ReadOptions,
    separator: Finder<'static>,
    /// Line feeds that were read.
    feeds: u64,
    ended: bool,
}

/// What stands between two separators.
struct Piece {
    bytes: Vec<u8>,
    origin: Origin,
    length: u64,
}

impl<'o> Separated<'o> {
    pub(super) fn new(lines: LineReader, separator: &str, options: &'o ReadOptions) -> Self {
        let separator = Finder::new(separator).into_owned();
        Self { lines, options, separator, feeds: 0, ended: false }
    }

    fn piece(&mut self) -> Result<Option<Piece>> {
        if self.ended {
            return Ok(None);
        }
        let origin = Origin { line: self.feeds + 1, ..self.lines.origin() };
        let separator = self.separator.needle().len();
        // What was read and not found to be the separator; of what is too long only its end, after the head.
        let (mut head, mut bytes, mut length) = (Vec::new(), Vec::new(), 0u64);
        loop {
            let buffer = match self.lines.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.lines.error(error)),
            };
            if buffer.is_empty() {
                self.ended = true;
                break;
            }
            let found = end_of_separator(&self.separator, &bytes, buffer);
            let used = found.unwrap_or(buffer.len());
            bytes.extend_from_slice(&buffer[..used]);
            self.feeds += memchr::memchr_iter(b'\n', &buffer[..used]).count() as u64;
            self.lines.reader.consume(used);
            self.lines.offset += used as u64;
            length += used as u64;
            if found.is_some() {
                bytes.truncate(bytes.len() - separator);
                length -= separator as u64;
                break;
            }
            if length > self.lines.max.saturating_add(separator as u64) {
                if head.is_empty() {
                    head.extend_from_slice(&bytes[..bytes.len().min(RAW_HEAD)]);
                }
                bytes.drain(..bytes.len().saturating_sub(separator - 1));
            }
        }
        if !head.is_empty() {
            // It may hold the beginning of the separator.
            head.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            bytes = head;
        }
        Ok(Some(Piece { bytes, origin, length }))
    }
}

/// Where in `buffer` the first separator ends that is not within `before`, which holds none.
fn end_of_separator(separator: &Finder<'_>, before: &[u8], buffer: &[u8]) -> Option<usize> {
    let most = separator.needle().len() - 1;
    let tail = &before[before.len().saturating_sub(most)..];
    let across = [tail, &buffer[..buffer.len().min(most)]].concat();
    if let Some(at) = separator.find(&across) {
        return Some(at + most + 1 - tail.len());
    }
    separator.find(buffer).map(|at| at + most + 1)
}

impl Iterator for Separated<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Piece { bytes, origin, length } = match self.piece().transpose()? {
                Ok(piece) => piece,
                Err(error) => return Some(Err(error)),
            };
            if length > self.options.max_document {
                return Some(Ok(too_long(origin, length, bytes, self.options)));
            }
            if !bytes.iter().all(u8::is_ascii_whitespace) {
                let signature = self.lines.take_signature();
                return Some(Ok(document(bytes, origin, self.options, self.lines.decoding, signature)));
            }
        }
    }
}

impl RecordReader for Separated<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{BufReader, Read};
    use std::path::Path;

    /// Gives so many bytes at a time.
    struct Steps(std::io::Cursor<Vec<u8>>, usize);

    impl Read for Steps {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    fn read(text: &str, separator: &str, step: usize, max: u64) -> Vec<std::result::Result<(String, u64, u64), u64>> {
        let options = ReadOptions { max_document: max, ..ReadOptions::default() };
        let reader = Box::new(BufReader::with_capacity(step, Steps(std::io::Cursor::new(text.into()), step)));
        let lines = LineReader::new(reader, Path::new("x").into(), &options).unwrap();
        let found = Separated::new(lines, separator, &options).map(|record| match record.unwrap() {
            Record::Document(document) => Ok((document.text, document.origin.line, document.origin.offset)),
            Record::Reject(reject) => {
                assert!(text.as_bytes()[reject.origin.offset as usize..].starts_with(&reject.raw));
                Err(reject.bytes)
            }
        });
        found.collect()
    }

    proptest! {
        #[test]
        fn equal_to_a_split_of_the_whole(
            text in "([ab中\n]{0,9}(ab|aab|中\n|--){0,2}){0,9}",
            separator in prop::sample::select(vec!["ab", "aab", "aa", "\n", "中\n", "--", "b\na", "中"]),
            step in 1usize..40,
            max in 1u64..20,
        ) {
            let (mut wanted, mut at) = (Vec::new(), 0);
            for piece in text.split(separator) {
                let line = text[..at].matches('\n').count() as u64 + 1;
                let long = piece.len() as u64 > max;
                if long || !piece.trim().is_empty() {
                    wanted.push(if long { Err(piece.len() as u64) } else { Ok((piece.to_owned(), line, at as u64)) });
                }
                at += piece.len() + separator.len();
            }
            prop_assert_eq!(read(&text, separator, step, max), wanted);
        }
    }
}
