//! A Parquet file of texts, as the benchmarks read them.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::ByteArrayType;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// Bytes of text in a row group.
const GROUP: usize = 4 << 20;

/// The file, of one column `text` in Zstandard, in row groups of about 4 MB.
pub(crate) fn parquet_file(documents: &[&str]) -> Vec<u8> {
    let schema = parquet::schema::parser::parse_message_type("message m { required binary text (UTF8); }").unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_dictionary_enabled(false)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut rest = documents;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |document: &&&str| {
            bytes += document.len();
            bytes <= GROUP
        };
        let (documents, behind) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        let mut group = writer.next_row_group().unwrap();
        let values: Vec<_> = documents.iter().map(|document| (*document).into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        rest = behind;
    }
    writer.into_inner().unwrap()
}
