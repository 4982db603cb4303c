//! From a part of a file to its lines.
//!
//! A part that begins within a file does not see the head of it, which may have to tell the encoding; so it looks there
//! first. In most encodings a line feed is the byte 0x0A and no part of another character, so that lines are found before
//! they are decoded. In UTF-16 it is a unit of two bytes: a part begins and ends between units, never within a pair of
//! surrogates, and as places are those of the text in UTF-8, whose length before the part is not known, it counts them
//! from its own beginning, in the way of a run of frames (see `unit.rs`).

use std::io::{BufRead, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::decoding::Decoding;
use super::encoding::{Encoding, FileEncoding, FoundEncoding, HEAD, encoding_of_file};
use super::lines::LineReader;
use super::open::BytesRead;
use super::reader::ReadOptions;
use super::source::InputFile;
use super::unit::Extent;
use super::utf16::{Utf16Reader, is_pair};
use crate::error::{Error, Result};

/// The lines of a part; `read` counts the bytes that are read of it.
pub(super) fn lines_of(
    file: &InputFile,
    extent: &Extent,
    options: &ReadOptions,
    read: &BytesRead,
) -> Result<LineReader> {
    let path: Arc<Path> = file.path.as_path().into();
    match extent {
        Extent::Bytes(range) => {
            let head = head_encoding(file, options.encoding)?;
            match head.filter(|head| head.found == FoundEncoding::Utf16) {
                Some(head) => utf16_lines(file, range, head, options, read),
                None if range.start == 0 => Ok(LineReader::new(file.open(read)?, path, options)?.until(range.end)),
                None => {
                    let reader = file.open_at(range.start - 1, read)?;
                    LineReader::of_range(reader, path, options, range, decoding(head, options))
                }
            }
        }
        Extent::Frames(range) => {
            let length = Arc::new(AtomicU64::new(0));
            let reader = file.open_frames(range, length.clone(), read)?;
            match range.start {
                0 => Ok(LineReader::new(reader, path, options)?.with_length(length)),
                _ => {
                    let head = head_encoding(file, options.encoding)?;
                    LineReader::of_frames(reader, path, options, length, decoding(head, options))
                }
            }
        }
        Extent::Whole | Extent::Groups(_) => LineReader::new(file.open(read)?, path, options),
    }
}

/// What the head of a file tells of its encoding; `None` where it has nothing to tell.
pub(super) fn head_encoding(file: &InputFile, asked: Encoding) -> Result<Option<FileEncoding>> {
    if !matches!(asked, Encoding::Auto | Encoding::Utf16) {
        return Ok(None);
    }
    Ok(Some(encoding_of_file(&file.head(HEAD)?, asked)))
}

fn decoding(head: Option<FileEncoding>, options: &ReadOptions) -> Decoding {
    let of_values = Decoding::of_values(options.encoding);
    head.map_or(of_values, |head| Decoding { file: head.found, ..of_values })
}

/// The lines of a range in UTF-16.
fn utf16_lines(
    file: &InputFile,
    range: &Range<u64>,
    head: FileEncoding,
    options: &ReadOptions,
    read: &BytesRead,
) -> Result<LineReader> {
    let (path, length) = (Arc::from(file.path.as_path()), Arc::new(AtomicU64::new(u64::MAX)));
    let cut = |at| cut_between_units(file, at, head);
    let is_first = range.start == 0;
    let mark = if is_first { head.mark as u64 } else { 0 };
    let begin = if is_first { mark } else { cut(range.start)? };
    let left = cut(range.end)?.saturating_sub(begin);
    let units = Utf16Reader::new(file.open_at(begin, read)?, head.big_endian).until(left, mark, length.clone());
    let (units, decoding): (Box<dyn BufRead + Send>, _) = (Box::new(units), decoding(Some(head), options));
    if is_first {
        return Ok(LineReader::behind_mark(units, path, options, head.mark, decoding).with_length(length));
    }
    LineReader::of_frames(units, path, options, length, decoding)
}

/// The first place at `at` or behind that lies between units and not in a pair of surrogates.
fn cut_between_units(file: &InputFile, at: u64, head: FileEncoding) -> Result<u64> {
    let mark = head.mark as u64;
    let place = mark + at.saturating_sub(mark).next_multiple_of(2);
    if at >= file.bytes || place < mark + 2 {
        return Ok(at.max(place));
    }
    let mut around = Vec::new();
    let reader = file.open_at(place - 2, &BytesRead::default())?;
    reader.take(4).read_to_end(&mut around).map_err(|error| Error::io("read", &file.path, error))?;
    Ok(if is_pair(&around, head.big_endian) { place + 2 } else { place })
}
