//! From a file, or a part of one, to its records, one at a time.

use std::io::Read;
use std::sync::atomic::Ordering;

use super::decoding::{Decoded, Decoding};
use super::document::{Document, Origin, Record, Reject};
use super::encoding::{Encoding, FoundEncoding};
use super::fields::Fields;
use super::lines::{Line, LineReader, RAW_HEAD};
use super::open::BytesRead;
use super::parts::lines_of;
use super::separated::Separated;
use super::source::{Form, InputFile};
use super::unit::Extent;
use super::utf8::{self, Utf8Policy};
use crate::clean::CleanSettings;
#[cfg(not(feature = "parquet"))]
use crate::error::Error;
use crate::error::{RecordFault, Result};

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
    /// The field (or Parquet column) that holds the text: a name, or names with dots between where objects lie in
    /// objects, `meta.text`. A dot that belongs to a name is written `\.`, a backslash `\\`.
    pub field: String,
    /// The text from several fields, instead of [`ReadOptions::field`]: text with fields in braces,
    /// `{title}\n\n{text}`. `\n`, `\t`, `\r` and `\\` are what they are elsewhere, `{{` and `}}` are braces. A record
    /// that lacks one of the fields is rejected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub template: Option<String>,
    /// The field (or Parquet column) that identifies a record, kept in [`Document::id`]; it may be missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id_field: Option<String>,
    /// What is a document in a `.txt` file.
    pub txt_documents: TxtDocuments,
    /// What stands between the documents of a `.txt` file, instead of [`ReadOptions::txt_documents`]. It belongs to
    /// none, and white space alone is no document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub separator: Option<String>,
    /// What to do with bytes that are not UTF-8.
    pub on_invalid_utf8: Utf8Policy,
    /// The longest document allowed, in bytes; a longer one is rejected, and read no further.
    pub max_document: u64,
    /// About how many bytes reading may take; it decides how much is read ahead, and nothing of what is read. See
    /// [`ReadOptions::within`].
    #[serde(skip)]
    pub memory: Option<u64>,
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
            template: None,
            id_field: None,
            txt_documents: TxtDocuments::default(),
            separator: None,
            on_invalid_utf8: Utf8Policy::default(),
            max_document: 1 << 30,
            memory: None,
            encoding: Encoding::default(),
            max_invalid: None,
            clean: CleanSettings::default(),
        }
    }
}

impl ReadOptions {
    /// Checks the options, so that what cannot be is an error before anything is read.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for a path or template that is none, and for an empty separator.
    pub fn check(&self) -> Result<()> {
        if self.separator.as_deref() == Some("") {
            let expected = "at least one character".to_owned();
            return Err(crate::Error::Setting { name: "separator", value: "empty".to_owned(), expected });
        }
        Fields::of(self).map(|_| ())
    }

    /// The same options for reading in about `memory` bytes. A document may be a thirty-second of them at the most, as
    /// there are several at a time on their way, and some copies of each; a mebibyte is always allowed.
    #[must_use]
    pub fn within(mut self, memory: u64) -> Self {
        self.memory = Some(memory);
        self.max_document = self.max_document.min((memory / 32).max(1 << 20));
        self
    }

    /// The longest page of a Parquet file that is read, decompressed: an eighth of the memory, or the longest document where
    /// memory is not bounded. A page holds some documents, so that 64 MiB are allowed where there is memory for them.
    #[cfg(feature = "parquet")]
    pub(super) fn max_page(&self) -> u64 {
        self.max_document.max(64 << 20).min(self.memory.map_or(u64::MAX, |memory| (memory / 8).max(1 << 20)))
    }

    /// Whether more of a document's bytes are invalid than may be.
    pub(super) fn is_too_invalid(&self, invalid: u64, bytes: u64) -> bool {
        self.max_invalid.is_some_and(|max| invalid as f64 > max * bytes as f64)
    }
}

/// What gives records, and can say how many lines it has read.
pub(super) trait RecordReader: Iterator<Item = Result<Record>> + Send {
    fn lines(&self) -> u64 {
        0
    }

    /// Of a part whose offsets count from its own beginning: how long it is.
    fn frame_bytes(&self) -> u64 {
        0
    }
}

/// The records of a file or a part of one, in order. Each is a document or a reject; an error ends them.
///
/// ```
/// use ciyuan::text::{ReadOptions, Record, Source, records};
/// # fn main() -> ciyuan::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("news.jsonl");
/// std::fs::write(&path, "{\"id\": 7, \"text\": \"词元\"}\n{\"id\": 8}\n").unwrap();
/// let options = ReadOptions { id_field: Some("id".to_owned()), ..ReadOptions::default() };
/// let source = Source::find(&[path], None)?;
/// let records = records(&source.files[0], &options)?.collect::<ciyuan::Result<Vec<Record>>>()?;
/// let [Record::Document(document), Record::Reject(reject)] = &records[..] else { panic!("{records:?}") };
/// assert_eq!((document.text.as_str(), document.id.as_deref(), document.origin.line), ("词元", Some("7"), 1));
/// assert_eq!((reject.id.as_deref(), reject.origin.line, reject.origin.offset), (Some("8"), 2, 28));
/// # Ok(())
/// # }
/// ```
pub struct Records<'o> {
    reader: Box<dyn RecordReader + 'o>,
    read: BytesRead,
}

impl<'o> Records<'o> {
    pub(super) fn new(reader: impl RecordReader + 'o) -> Self {
        Self { reader: Box::new(reader), read: BytesRead::default() }
    }

    /// The same, whose bytes are counted here.
    pub(super) fn counting(self, read: BytesRead) -> Self {
        Self { read, ..self }
    }

    /// Bytes that were read of the file so far, as they lie on disk: some more than those of the records that were given,
    /// as they are read ahead.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Lines that were read, of a part of a file that is cut between lines: so many are before the lines of the next
    /// part. 0 for other files.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.reader.lines()
    }

    /// Bytes of a run of frames that was read, decompressed, or of a part in UTF-16, as UTF-8: so many are before the
    /// offsets of the next part. 0 for other parts, whose offsets count from the beginning of the file.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        self.reader.frame_bytes()
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next()
    }
}

/// The records of `file`.
///
/// # Errors
///
/// [`Error::Missing`](crate::Error::Missing) or [`Error::Io`](crate::Error::Io) when the file cannot be opened, those of
/// [`ReadOptions::check`]; the iterator gives [`Error::Io`](crate::Error::Io) when it cannot be read on, for example
/// where a compressed stream is damaged or cut off.
pub fn records<'o>(file: &InputFile, options: &'o ReadOptions) -> Result<Records<'o>> {
    records_in(file, &Extent::Whole, options)
}

/// The records of a part of `file`, as [`plan_units`](super::plan_units) cuts it: those whose first byte lies in it.
/// [`Origin::line`] counts from the beginning of the part, [`Origin::offset`] from that of the file; of a run of frames,
/// and of a part in UTF-16, both count from its own.
///
/// # Errors
///
/// As [`records`].
pub fn records_in<'o>(file: &InputFile, extent: &Extent, options: &'o ReadOptions) -> Result<Records<'o>> {
    options.check()?;
    match file.form {
        #[cfg(feature = "parquet")]
        Form::Parquet => super::parquet::records(file, extent, options),
        #[cfg(not(feature = "parquet"))]
        Form::Parquet => Err(Error::Feature { feature: "parquet", what: "reading Parquet" }),
        Form::Tar => super::archive::records(file, options),
        form @ (Form::Txt | Form::Jsonl) => {
            let read = BytesRead::default();
            let lines = lines_of(file, extent, options, &read)?;
            Ok(text_records(form, lines, options)?.counting(read))
        }
    }
}

/// The records of a stream of text.
pub(super) fn text_records<'o>(form: Form, lines: LineReader, options: &'o ReadOptions) -> Result<Records<'o>> {
    Ok(match (form, &options.separator, options.txt_documents) {
        (Form::Jsonl, ..) => Records::new(super::jsonl::JsonLines::new(lines, options)?),
        (_, Some(separator), _) => Records::new(Separated::new(lines, separator, options)),
        (_, None, TxtDocuments::File) => Records::new(WholeFile { lines: Some(lines), options }),
        (_, None, TxtDocuments::Lines) => Records::new(TextLines { lines, options }),
        (_, None, TxtDocuments::Blocks) => Records::new(Blocks { lines, options }),
    })
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
    let reject = |origin, fault, raw| Record::Reject(Reject { origin, id: None, fault, bytes: length, raw });
    let mut bytes = bytes;
    if matches!(decoding.file, FoundEncoding::Utf8 | FoundEncoding::Utf16) {
        bytes = match utf8::into_text(bytes) {
            Ok(text) if text.is_empty() => return reject(origin, RecordFault::Empty, Vec::new()),
            Ok(text) => {
                let (id, repaired, encoding) = (None, 0, decoding.file);
                return Record::Document(Document { text, id, origin, repaired, encoding, signature });
            }
            Err(bytes) => bytes,
        };
    }
    // A whole file is its own copy: its bytes are not quarantined.
    let raw = if origin.line == 0 { Vec::new() } else { bytes.clone() };
    match decoding.decode(bytes, options.on_invalid_utf8) {
        Ok(decoded) if decoded.text.is_empty() => reject(origin, RecordFault::Empty, Vec::new()),
        Ok(decoded) if options.is_too_invalid(decoded.invalid, length) => {
            reject(origin, RecordFault::TooManyInvalid { invalid: decoded.invalid, bytes: length }, raw)
        }
        Ok(Decoded { text, invalid, encoding }) => {
            Record::Document(Document { text, id: None, origin, repaired: invalid, encoding, signature })
        }
        Err(at) => {
            origin.offset += at;
            reject(origin, RecordFault::InvalidUtf8, raw)
        }
    }
}

/// The reject of a record above the limit, `length` bytes as far as it was read.
pub(super) fn too_long(origin: Origin, length: u64, mut head: Vec<u8>, options: &ReadOptions) -> Record {
    head.truncate(RAW_HEAD);
    let fault = RecordFault::TooLong { max: options.max_document };
    Record::Reject(Reject { origin, id: None, fault, bytes: length, raw: head })
}

/// A file that is one document.
struct WholeFile<'o> {
    lines: Option<LineReader>,
    options: &'o ReadOptions,
}

impl WholeFile<'_> {
    fn read(&self, mut lines: LineReader) -> Result<Record> {
        let mut bytes = Vec::new();
        let limit = lines.max.saturating_add(1);
        (&mut lines.reader).take(limit).read_to_end(&mut bytes).map_err(|error| lines.error(error))?;
        let origin = lines.origin();
        if bytes.len() as u64 > lines.max {
            return Ok(too_long(origin, bytes.len() as u64, Vec::new(), self.options));
        }
        Ok(document(bytes, origin, self.options, lines.decoding, lines.take_signature()))
    }
}

impl Iterator for WholeFile<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.lines.take().map(|lines| self.read(lines))
    }
}

impl RecordReader for WholeFile<'_> {}

/// Documents of a line each.
struct TextLines<'o> {
    lines: LineReader,
    options: &'o ReadOptions,
}

impl TextLines<'_> {
    fn record(&mut self, line: Line) -> Record {
        if line.too_long {
            return line.reject(RecordFault::TooLong { max: self.options.max_document }, 0);
        }
        let signature = self.lines.take_signature() && line.is_first();
        document(line.bytes, line.origin, self.options, self.lines.decoding, signature)
    }
}

impl Iterator for TextLines<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.lines.next_line().transpose()? {
                Ok(line) => line.without_carriage_return(),
                Err(error) => return Some(Err(error)),
            };
            // A blank line separates and is no document.
            if !line.is_blank() {
                return Some(Ok(self.record(line)));
            }
        }
    }
}

impl RecordReader for TextLines<'_> {
    fn lines(&self) -> u64 {
        self.lines.line
    }

    fn frame_bytes(&self) -> u64 {
        self.lines.frame_bytes()
    }
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
        let mut over = false;
        // A blank line after the block is no part of it.
        let mut end = 0;
        loop {
            let line = match self.lines.next_line() {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let line = match line {
                Some(line) if !line.is_blank() => line,
                Some(_) if block.is_none() => continue,
                _ => break,
            };
            end = self.lines.offset;
            let (bytes, _) = block.get_or_insert_with(|| (Vec::new(), line.origin.clone()));
            if !bytes.is_empty() {
                bytes.push(b'\n');
            }
            over |= line.too_long || (bytes.len() + line.bytes.len()) as u64 > self.options.max_document;
            if over {
                // Its head is enough for the quarantine.
                bytes.truncate(RAW_HEAD);
            } else {
                bytes.extend_from_slice(&line.bytes);
            }
        }
        let (mut bytes, origin) = block?;
        if over {
            let length = end - origin.offset;
            return Some(Ok(too_long(origin, length, bytes, self.options)));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let signature = self.lines.take_signature();
        Some(Ok(document(bytes, origin, self.options, self.lines.decoding, signature)))
    }
}

impl RecordReader for Blocks<'_> {}
