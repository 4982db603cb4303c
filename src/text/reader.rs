//! From a file to its records, one at a time.

use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use super::decoding::{Decoded, Decoding};
use super::document::{Document, Origin, Record, Reject};
use super::encoding::{Encoding, FoundEncoding, HEAD, LONGEST_MARK, encoding_of_file};
use super::source::{Form, InputFile};
use super::utf8::Utf8Policy;
use super::utf16::Utf16Reader;
use crate::clean::CleanSettings;
use crate::error::{Error, RecordFault, Result};

/// How a `.txt` file falls into documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TxtDocuments {
    /// The whole file is one document.
    #[default]
    File,
    /// Each line is a document, without its line end.
    Lines,
    /// Blocks of lines between blank lines are documents; the blank lines belong to none.
    Blocks,
}

/// How files are read, and what is done to their texts.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ReadOptions {
    /// The field (or Parquet column) that holds the text.
    pub field: String,
    /// What is a document in a `.txt` file.
    pub txt_documents: TxtDocuments,
    /// What to do with bytes that are not UTF-8.
    pub on_invalid_utf8: Utf8Policy,
    /// The longest document allowed, in bytes; a longer one is rejected, and read no further.
    pub max_document: u64,
    /// What the text is encoded in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encoding: Encoding,
    /// The largest share of a document's bytes that may be invalid, and so be replaced or skipped; all, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_invalid: Option<f64>,
    /// What is done to each text; nothing by default. [`records`] gives texts as they stand in the file.
    #[serde(flatten)]
    pub clean: CleanSettings,
}

fn is_default(encoding: &Encoding) -> bool {
    *encoding == Encoding::default()
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            field: "text".to_owned(),
            txt_documents: TxtDocuments::default(),
            on_invalid_utf8: Utf8Policy::default(),
            max_document: 1 << 30,
            encoding: Encoding::default(),
            max_invalid: None,
            clean: CleanSettings::default(),
        }
    }
}

impl ReadOptions {
    /// Whether more of a document's bytes are invalid than may be.
    pub(super) fn is_too_invalid(&self, invalid: u64, bytes: u64) -> bool {
        self.max_invalid.is_some_and(|max| invalid as f64 > max * bytes as f64)
    }
}

/// The records of one file, in order.
pub type Records<'o> = Box<dyn Iterator<Item = Result<Record>> + Send + 'o>;

/// The records of `file`.
///
/// # Errors
///
/// [`Error::Missing`] or [`Error::Io`] when the file cannot be opened; the iterator gives [`Error::Io`] when it cannot
/// be read on, for example where a compressed stream is damaged or cut off.
pub fn records<'o>(file: &InputFile, options: &'o ReadOptions) -> Result<Records<'o>> {
    if file.form == Form::Parquet {
        #[cfg(feature = "parquet")]
        return super::parquet::records(file, options);
        #[cfg(not(feature = "parquet"))]
        return Err(Error::Feature { feature: "parquet", what: "reading Parquet" });
    }
    let lines = LineReader::new(file, options)?;
    Ok(match (file.form, options.txt_documents) {
        (Form::Jsonl, _) => Box::new(super::jsonl::records(lines, options)),
        (_, TxtDocuments::File) => Box::new(std::iter::once_with(move || whole_file(lines, options))),
        (_, TxtDocuments::Lines) => Box::new(text_lines(lines, options)),
        (_, TxtDocuments::Blocks) => Box::new(Blocks { lines, options }),
    })
}

/// Lines of bytes with their places; holds one line at a time, and of a line that is too long only its head.
pub(super) struct LineReader {
    reader: Box<dyn BufRead + Send>,
    path: Arc<Path>,
    max: u64,
    line: u64,
    offset: u64,
    signature: bool,
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

impl LineReader {
    fn new(file: &InputFile, options: &ReadOptions) -> Result<Self> {
        let path: Arc<Path> = file.path.as_path().into();
        let (reader, mark, decoding) =
            decoded(file.open()?, options.encoding).map_err(|error| Error::io("read", &file.path, error))?;
        Ok(Self {
            reader,
            path,
            max: options.max_document,
            line: 0,
            offset: mark as u64,
            signature: mark > 0,
            decoding,
        })
    }

    fn origin(&self) -> Origin {
        Origin { file: self.path.clone(), line: self.line, offset: self.offset }
    }

    /// Whether a byte order mark was taken off; true once.
    pub(super) fn take_signature(&mut self) -> bool {
        std::mem::take(&mut self.signature)
    }

    fn error(&self, error: std::io::Error) -> Error {
        Error::io("read", &*self.path, error)
    }

    /// The next line; `None` at the end.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>> {
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
            length += self.skip_line()?;
        }
        self.offset += length;
        let too_long = bytes.len() as u64 > self.max;
        if too_long {
            bytes.truncate(RAW_HEAD);
        }
        Ok(Some(Line { bytes, origin, length, too_long }))
    }

    /// Reads to the end of the line without keeping it; gives its length.
    fn skip_line(&mut self) -> Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(error)),
            };
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            skipped += used as u64;
            let done = end.is_some() || buffer.is_empty();
            self.reader.consume(used);
            if done {
                return Ok(skipped);
            }
        }
    }
}

/// The text of a file without its byte order mark, whose length is told, and how its records are decoded.
fn decoded(
    mut reader: Box<dyn BufRead + Send>,
    encoding: Encoding,
) -> std::io::Result<(Box<dyn BufRead + Send>, usize, Decoding)> {
    let mut head = Vec::new();
    // A pipe may give less than is there at first. Who says the encoding waits for no more than a mark.
    let wanted = if matches!(encoding, Encoding::Auto | Encoding::Utf16) { HEAD } else { LONGEST_MARK };
    (&mut reader).take(wanted as u64).read_to_end(&mut head)?;
    let file = encoding_of_file(&head, encoding);
    let decoding = Decoding { file: file.found, each: encoding == Encoding::Auto };
    let rest = std::io::Cursor::new(head.split_off(file.mark)).chain(reader);
    let reader: Box<dyn BufRead + Send> = match file.found {
        FoundEncoding::Utf16 => Box::new(Utf16Reader::new(rest, file.big_endian)),
        _ => Box::new(rest),
    };
    Ok((reader, file.mark, decoding))
}

/// How much of a record that is too long goes into the quarantine.
const RAW_HEAD: usize = 1 << 10;

impl Line {
    /// Takes a carriage return off that belongs to the line end.
    fn without_carriage_return(mut self) -> Self {
        if self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        self
    }

    /// The record that this line is, by itself.
    fn into_record(self, options: &ReadOptions, decoding: Decoding, signature: bool) -> Record {
        if self.too_long {
            return self.reject(RecordFault::TooLong { max: options.max_document }, 0);
        }
        document(self.bytes, self.origin, options, decoding, signature)
    }

    /// The reject that this line is; the fault lies `at` bytes into it.
    pub(super) fn reject(mut self, fault: RecordFault, at: u64) -> Record {
        self.origin.offset += at;
        Record::Reject(Reject { origin: self.origin, fault, bytes: self.length, raw: self.bytes })
    }
}

/// The document in `bytes`, or the reject they are.
pub(super) fn document(
    bytes: Vec<u8>,
    mut origin: Origin,
    options: &ReadOptions,
    decoding: Decoding,
    signature: bool,
) -> Record {
    let length = bytes.len() as u64;
    // A whole file is its own copy: its bytes are not quarantined.
    let keep = |bytes: &[u8]| {
        if origin.line == 0 { Vec::new() } else { bytes.to_vec() }
    };
    // Valid UTF-8 that is decoded as another encoding may come to be rejected, too.
    let may_fail = decoding.file != FoundEncoding::Utf8 || std::str::from_utf8(&bytes).is_err();
    let raw = if may_fail { keep(&bytes) } else { Vec::new() };
    match decoding.decode(bytes, options.on_invalid_utf8) {
        Ok(decoded) if decoded.text.is_empty() => {
            Record::Reject(Reject { origin, fault: RecordFault::Empty, bytes: length, raw: Vec::new() })
        }
        Ok(decoded) if options.is_too_invalid(decoded.invalid, length) => {
            let fault = RecordFault::TooManyInvalid { invalid: decoded.invalid, bytes: length };
            Record::Reject(Reject { origin, fault, bytes: length, raw })
        }
        Ok(Decoded { text, invalid, encoding }) => {
            Record::Document(Document { text, origin, repaired: invalid, encoding, signature })
        }
        Err(at) => {
            origin.offset += at;
            Record::Reject(Reject { origin, fault: RecordFault::InvalidUtf8, bytes: length, raw })
        }
    }
}

fn whole_file(mut lines: LineReader, options: &ReadOptions) -> Result<Record> {
    let mut bytes = Vec::new();
    let limit = lines.max.saturating_add(1);
    (&mut lines.reader).take(limit).read_to_end(&mut bytes).map_err(|error| lines.error(error))?;
    let origin = lines.origin();
    if bytes.len() as u64 > lines.max {
        let length = bytes.len() as u64;
        return Ok(Record::Reject(Reject {
            origin,
            fault: RecordFault::TooLong { max: lines.max },
            bytes: length,
            raw: Vec::new(),
        }));
    }
    Ok(document(bytes, origin, options, lines.decoding, lines.signature))
}

fn text_lines(mut lines: LineReader, options: &ReadOptions) -> impl Iterator<Item = Result<Record>> + '_ {
    std::iter::from_fn(move || {
        loop {
            let line = match lines.next_line().transpose()? {
                Ok(line) => line.without_carriage_return(),
                Err(error) => return Some(Err(error)),
            };
            // A blank line separates and is no document.
            if !line.bytes.iter().all(u8::is_ascii_whitespace) {
                let signature = lines.take_signature();
                return Some(Ok(line.into_record(options, lines.decoding, signature)));
            }
        }
    })
}

/// Documents between blank lines.
struct Blocks<'o> {
    lines: LineReader,
    options: &'o ReadOptions,
}

impl Iterator for Blocks<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut block: Option<(Vec<u8>, Origin)> = None;
        let mut too_long = false;
        loop {
            let line = match self.lines.next_line() {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let line = match line {
                Some(line) if !line.bytes.iter().all(u8::is_ascii_whitespace) => line,
                Some(_) if block.is_none() => continue,
                _ => break,
            };
            let (bytes, _) = block.get_or_insert_with(|| (Vec::new(), line.origin.clone()));
            if !bytes.is_empty() {
                bytes.push(b'\n');
            }
            if line.too_long || (bytes.len() + line.bytes.len()) as u64 > self.options.max_document {
                too_long = true;
            }
            if !too_long {
                bytes.extend_from_slice(&line.bytes);
            }
        }
        let (mut bytes, origin) = block?;
        if too_long {
            let length = self.lines.offset - origin.offset;
            bytes.truncate(RAW_HEAD);
            let fault = RecordFault::TooLong { max: self.options.max_document };
            return Some(Ok(Record::Reject(Reject { origin, fault, bytes: length, raw: bytes })));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let signature = self.lines.take_signature();
        Some(Ok(document(bytes, origin, self.options, self.lines.decoding, signature)))
    }
}
