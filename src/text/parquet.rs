//! Parquet: one document a row, the text in a column of byte arrays.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::decoding::Decoding;
use super::document::{Origin, Record, Reject};
use super::reader::{ReadOptions, Records, document};
use super::source::InputFile;
use crate::error::{Error, RecordFault, Result};

/// Rows that are held at a time.
const BATCH_ROWS: usize = 256;

pub(super) fn records<'o>(file: &InputFile, options: &'o ReadOptions) -> Result<Records<'o>> {
    let handle = File::open(&file.path).map_err(|error| Error::io("open", &file.path, error))?;
    let reader = SerializedFileReader::new(handle).map_err(|error| failure(&file.path, error))?;
    let column = text_column(&reader, &file.path, &options.field)?;
    let rows = Rows {
        reader,
        path: file.path.as_path().into(),
        column,
        options,
        group: 0,
        pages: None,
        batch: Vec::new().into_iter(),
        row: 0,
    };
    Ok(Box::new(rows))
}

fn failure(path: &Path, error: ParquetError) -> Error {
    Error::Io { op: "read", path: path.to_owned(), source: std::io::Error::new(std::io::ErrorKind::InvalidData, error) }
}

/// The number of the column `field`, which must hold one byte array (or nothing) a row.
fn text_column(reader: &SerializedFileReader<File>, path: &Path, field: &str) -> Result<usize> {
    let fault = |fault| Error::Record { path: path.to_owned(), line: 0, offset: 0, fault };
    let schema = reader.metadata().file_metadata().schema_descr();
    let column = schema.columns().iter().position(|column| column.path().string() == field);
    let column = column.ok_or_else(|| fault(RecordFault::MissingField { field: field.to_owned() }))?;
    let description = schema.column(column);
    if description.physical_type() != Type::BYTE_ARRAY
        || description.max_rep_level() > 0
        || description.max_def_level() > 1
    {
        return Err(fault(RecordFault::NotAString { field: field.to_owned(), found: "a column of another type" }));
    }
    Ok(column)
}

struct Rows<'o> {
    reader: SerializedFileReader<File>,
    path: Arc<Path>,
    column: usize,
    options: &'o ReadOptions,
    /// Number of the next row group.
    group: usize,
    pages: Option<(ColumnReaderImpl<ByteArrayType>, bool)>,
    batch: std::vec::IntoIter<Option<ByteArray>>,
    row: u64,
}

impl Rows<'_> {
    /// Fills the batch; false at the end of the file.
    fn fill(&mut self) -> std::result::Result<bool, ParquetError> {
        loop {
            if self.pages.is_none() {
                if self.group == self.reader.num_row_groups() {
                    return Ok(false);
                }
                let group = self.reader.get_row_group(self.group)?;
                let optional = group.metadata().column(self.column).column_descr().max_def_level() > 0;
                let ColumnReader::ByteArrayColumnReader(reader) = group.get_column_reader(self.column)? else {
                    return Err(ParquetError::General("the column is no byte array".to_owned()));
                };
                self.pages = Some((reader, optional));
                self.group += 1;
            }
            let Some((reader, optional)) = &mut self.pages else {
                continue;
            };
            let (mut levels, mut values) = (Vec::new(), Vec::new());
            let (rows, _, _) = reader.read_records(BATCH_ROWS, optional.then_some(&mut levels), None, &mut values)?;
            if rows == 0 {
                self.pages = None;
                continue;
            }
            let mut values = values.into_iter();
            self.batch = match optional {
                false => values.map(Some).collect::<Vec<_>>(),
                true => levels.iter().map(|&level| if level > 0 { values.next() } else { None }).collect(),
            }
            .into_iter();
            return Ok(true);
        }
    }

    fn record(&mut self, value: Option<ByteArray>) -> Record {
        self.row += 1;
        let origin = Origin { file: self.path.clone(), line: self.row, offset: self.row };
        let Some(value) = value else {
            let fault = RecordFault::NotAString { field: self.options.field.clone(), found: "null" };
            return Record::Reject(Reject { origin, fault, bytes: 0, raw: Vec::new() });
        };
        let bytes = value.data();
        if bytes.len() as u64 > self.options.max_document {
            let fault = RecordFault::TooLong { max: self.options.max_document };
            return Record::Reject(Reject { origin, fault, bytes: bytes.len() as u64, raw: Vec::new() });
        }
        document(bytes.to_vec(), origin, self.options, Decoding::of_values(self.options.encoding), false)
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(value) = self.batch.next() {
                return Some(Ok(self.record(value)));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // A damaged group is not tried again.
                    self.group = self.reader.num_row_groups();
                    self.pages = None;
                    return Some(Err(failure(&self.path, error)));
                }
            }
        }
    }
}
