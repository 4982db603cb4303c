//! Parquet: one document a row, the text in a column of byte arrays, or composed of several.
//!
//! Columns inside groups are named by their path, `meta.text`; repeated ones (lists) hold no text of one row. The
//! identifier may also be a column of whole numbers. A row group is read page by page; how large a page may be, up to the
//! 2 GiB that a file can ask for, the options say (`parquet_pages.rs`).

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::decoding::{Decoded, Decoding};
use super::document::{Document, Origin, Record, Reject};
use super::encoding::FoundEncoding;
use super::fields::{Fields, Found};
use super::open::BytesRead;
use super::parquet_pages::{CheckedPages, shares_beginnings};
use super::reader::{ReadOptions, RecordReader, Records};
use super::source::InputFile;
use super::unit::Extent;
use crate::error::{Error, RecordFault, Result};

/// Rows that are held at a time, where they are not long: of their text about so many bytes.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: u64 = 1 << 20;

pub(super) fn records<'o>(file: &InputFile, extent: &Extent, options: &'o ReadOptions) -> Result<Records<'o>> {
    let (handle, reader) = open(file)?;
    let fields = Fields::of(options)?;
    let columns = columns(&reader, &file.path, &fields)?;
    let all = reader.num_row_groups();
    let groups = match extent {
        Extent::Groups(groups) => groups.start.min(all)..groups.end.min(all),
        _ => 0..all,
    };
    let rows_before = |group| u64::try_from(reader.metadata().row_group(group).num_rows()).unwrap_or(0);
    let row = (0..groups.start).map(rows_before).fold(0, u64::saturating_add);
    let path = file.path.as_path().into();
    let open = Vec::new();
    let batch = Vec::new().into_iter();
    let read = BytesRead::default();
    let rows = Rows {
        read: read.clone(),
        handle,
        reader,
        path,
        fields,
        columns,
        options,
        groups,
        open,
        rows: BATCH_ROWS,
        batch,
        row,
    };
    Ok(Records::new(rows).counting(read))
}

/// The compressed lengths of the row groups of a file.
pub(super) fn group_lengths(file: &InputFile) -> Result<Vec<u64>> {
    let (_, reader) = open(file)?;
    let groups = reader.metadata().row_groups();
    Ok(groups.iter().map(|group| u64::try_from(group.compressed_size()).unwrap_or(0)).collect())
}

fn open(file: &InputFile) -> Result<(File, SerializedFileReader<File>)> {
    let (handle, of_reader) = (file.file()?, file.file()?);
    let reader = guarded(|| SerializedFileReader::new(of_reader)).map_err(|error| failure(&file.path, error))?;
    Ok((handle, reader))
}

fn failure(path: &Path, error: ParquetError) -> Error {
    Error::Io { op: "read", path: path.to_owned(), source: std::io::Error::new(std::io::ErrorKind::InvalidData, error) }
}

/// What `read` gives; an error where it panics. The crate `parquet` checks most lengths of a damaged file, but not all.
fn guarded<T>(read: impl FnOnce() -> std::result::Result<T, ParquetError>) -> std::result::Result<T, ParquetError> {
    // What was being read is not used again after an error.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("the file is damaged".to_owned())))
}

/// A column that is read, and the field that it is.
struct Column {
    number: usize,
    node: usize,
}

/// The columns of the fields, which must hold one byte array (or nothing) a row; an identifier may be missing.
fn columns(reader: &SerializedFileReader<File>, path: &Path, fields: &Fields) -> Result<Vec<Column>> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let mut found = Vec::new();
    for (node, names, written) in fields.paths() {
        let fault = |fault| Error::Record { path: path.to_owned(), line: 0, offset: 0, fault };
        let field = written.to_owned();
        let is_it = |column: &parquet::schema::types::ColumnDescPtr| column.path().parts().iter().eq(names.iter());
        let is_only_id = fields.is_only_id(node);
        let Some(number) = schema.columns().iter().position(is_it) else {
            if is_only_id {
                continue;
            }
            return Err(fault(RecordFault::MissingField { field }));
        };
        let column = schema.column(number);
        let is_text = column.physical_type() == Type::BYTE_ARRAY;
        let is_number = matches!(column.physical_type(), Type::INT32 | Type::INT64);
        if column.max_rep_level() > 0 || !(is_text || is_number && is_only_id) {
            return Err(fault(RecordFault::NotAString { field, found: "a column of another type" }));
        }
        found.push(Column { number, node });
    }
    Ok(found)
}

/// The values of a column in a row group, some at a time.
enum Cells {
    Bytes(ColumnReaderImpl<parquet::data_type::ByteArrayType>),
    Int(ColumnReaderImpl<parquet::data_type::Int32Type>),
    Long(ColumnReaderImpl<parquet::data_type::Int64Type>),
}

/// What stands in a row.
#[derive(Clone)]
enum Cell {
    Null,
    Bytes(ByteArray),
    Whole(i64),
}

impl Cells {
    /// The cells of the next rows; `level` is that of a value which is there, if others may be missing.
    fn read(&mut self, rows: usize, level: i16) -> std::result::Result<Vec<Cell>, ParquetError> {
        match self {
            Self::Bytes(reader) => read(reader, rows, level, Cell::Bytes),
            Self::Int(reader) => read(reader, rows, level, |number| Cell::Whole(number.into())),
            Self::Long(reader) => read(reader, rows, level, Cell::Whole),
        }
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    level: i16,
    cell: impl Fn(T::T) -> Cell,
) -> std::result::Result<Vec<Cell>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    reader.read_records(rows, (level > 0).then_some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(cell);
    if level == 0 {
        return Ok(values.collect());
    }
    let cells = levels.iter().map(|&at| if at == level { values.next().unwrap_or(Cell::Null) } else { Cell::Null });
    Ok(cells.collect())
}

struct Rows<'o> {
    /// Bytes of pages that were read.
    read: BytesRead,
    handle: File,
    reader: SerializedFileReader<File>,
    path: Arc<Path>,
    fields: Fields,
    columns: Vec<Column>,
    options: &'o ReadOptions,
    /// Row groups that are not begun.
    groups: Range<usize>,
    /// The columns of the row group under way, with the levels of their values.
    open: Vec<(Cells, i16)>,
    /// Rows of it that are held at a time.
    rows: usize,
    /// Rows, each with its cells in the order of the columns.
    batch: std::vec::IntoIter<Vec<Cell>>,
    row: u64,
}

impl Rows<'_> {
    /// Fills the batch; false at the end.
    fn fill(&mut self) -> std::result::Result<bool, ParquetError> {
        loop {
            if self.open.is_empty() && !self.begin()? {
                return Ok(false);
            }
            let mut columns = Vec::new();
            for (cells, level) in &mut self.open {
                columns.push(cells.read(self.rows, *level)?);
            }
            let rows = columns.first().map_or(0, Vec::len);
            if columns.iter().any(|cells| cells.len() != rows) {
                return Err(ParquetError::General("the columns of a row group differ in length".to_owned()));
            }
            if rows == 0 {
                self.open.clear();
                continue;
            }
            let row = |at: usize| columns.iter().map(|cells| cells[at].clone()).collect();
            self.batch = (0..rows).map(row).collect::<Vec<Vec<Cell>>>().into_iter();
            return Ok(true);
        }
    }

    /// Begins the next row group; false where there is none.
    fn begin(&mut self) -> std::result::Result<bool, ParquetError> {
        let Some(number) = self.groups.next() else {
            return Ok(false);
        };
        let group = self.reader.get_row_group(number)?;
        let text =
            |column: &Column| u64::try_from(group.metadata().column(column.number).uncompressed_size()).unwrap_or(0);
        let of_row = self.columns.iter().map(text).fold(0, u64::saturating_add)
            / u64::try_from(group.metadata().num_rows()).unwrap_or(0).max(1);
        self.rows = (BATCH_BYTES / of_row.max(1)).clamp(1, BATCH_ROWS as u64) as usize;
        for column in &self.columns {
            let metadata = group.metadata().column(column.number);
            let descriptor = metadata.column_descr_ptr();
            if shares_beginnings(metadata) {
                self.rows = 1;
            }
            let (level, kind) = (descriptor.max_def_level(), descriptor.physical_type());
            let (pages, file) = (group.get_column_page_reader(column.number)?, self.handle.try_clone()?);
            let pages = Box::new(CheckedPages::new(pages, file, metadata, self.options.max_page(), self.read.clone()));
            let cells = match kind {
                Type::BYTE_ARRAY => Cells::Bytes(ColumnReaderImpl::new(descriptor, pages)),
                Type::INT32 => Cells::Int(ColumnReaderImpl::new(descriptor, pages)),
                Type::INT64 => Cells::Long(ColumnReaderImpl::new(descriptor, pages)),
                _ => return Err(ParquetError::General("a column is of another type than the file says".to_owned())),
            };
            self.open.push((cells, level));
        }
        Ok(true)
    }

    fn record(&mut self, cells: &[Cell]) -> Record {
        self.row += 1;
        let origin = Origin { file: self.path.clone(), line: self.row, offset: self.row, record: 0 };
        let max = self.options.max_document;
        let (mut found, mut repaired, mut encoding) = (self.fields.nothing(), 0, FoundEncoding::Utf8);
        let decoding = Decoding::of_values(self.options.encoding);
        let (mut read, mut raw, mut fault) = (0, Vec::new(), None);
        for (column, cell) in self.columns.iter().zip(cells) {
            found[column.node] = match cell {
                Cell::Null => Found::Other("null"),
                Cell::Whole(number) => Found::Whole((*number).into()),
                Cell::Bytes(bytes) => {
                    let is_text = !self.fields.is_only_id(column.node);
                    read += if is_text { bytes.len() as u64 } else { 0 };
                    if is_text && bytes.len() as u64 > max {
                        fault = Some(RecordFault::TooLong { max });
                        break;
                    }
                    match decoding.decode(bytes.data().to_vec(), self.options.on_invalid_utf8) {
                        Ok(Decoded { text, invalid, encoding: of_cell }) => {
                            if is_text {
                                repaired += invalid;
                                encoding = of_cell;
                            }
                            if is_text && invalid > 0 {
                                // For the quarantine, if more is invalid than may be.
                                raw = bytes.data().to_vec();
                            }
                            Found::Text(text.into())
                        }
                        // An identifier that cannot be read is none.
                        Err(_) if !is_text => Found::Missing,
                        Err(_) => {
                            raw = bytes.data().to_vec();
                            fault = Some(RecordFault::InvalidUtf8);
                            break;
                        }
                    }
                }
            };
        }
        let id = self.fields.id(&found);
        let fault = match fault.map_or_else(|| self.fields.take_text(&mut found), Err) {
            Ok(_) if self.options.is_too_invalid(repaired, read) => {
                RecordFault::TooManyInvalid { invalid: repaired, bytes: read }
            }
            Ok(text) if text.is_empty() => RecordFault::Empty,
            Ok(text) if text.len() as u64 > max => RecordFault::TooLong { max },
            Ok(text) => {
                let text = text.into_owned();
                return Record::Document(Document { text, id, origin, repaired, encoding, signature: false });
            }
            Err(fault) => fault,
        };
        Record::Reject(Reject { origin, id, fault, bytes: read, raw })
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(cells) = self.batch.next() {
                return Some(Ok(self.record(&cells)));
            }
            match guarded(|| self.fill()) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // A damaged group is not tried again.
                    self.groups = 0..0;
                    self.open.clear();
                    return Some(Err(failure(&self.path, error)));
                }
            }
        }
    }
}

impl RecordReader for Rows<'_> {}
