//! The pages of a Parquet column, looked at before they are read: how much memory they take is what they say.
//!
//! The crate `parquet` takes memory as a page asks for it, and a file of a few bytes may ask for gigabytes: with the length
//! of a page, with how many values a dictionary or a list of lengths has, or with a page in gzip, which is decompressed to
//! its end whatever its header says. So the header of each page is read here first, and a page above the bound is an error
//! that names its place. The header is a struct of Thrift's compact protocol (`PageHeader` of
//! [parquet.thrift](https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift)).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::atomic::Ordering;

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

use super::open::BytesRead;

type Result<T> = std::result::Result<T, ParquetError>;

/// Bytes that are read at once for a header.
const BUFFER: usize = 1 << 10;
/// Structs in structs that a header may have; there are three.
const MAX_DEPTH: usize = 8;
/// Bytes that a value of a dictionary takes besides those of its text.
const DICTIONARY_VALUE: u64 = 32;
/// A byte of deflate becomes no more than so many.
const GZIP_RATIO: u64 = 1032;

/// Pages of a column in a row group.
pub(super) struct CheckedPages {
    pages: Box<dyn PageReader>,
    file: BufReader<File>,
    /// Where the next header stands, and where the column ends.
    at: u64,
    end: u64,
    compression: Compression,
    /// Whether the column says that values may share their beginnings, so that a short page may hold many long ones.
    shares: bool,
    /// Whether values may be missing.
    has_levels: bool,
    /// The longest page allowed.
    max: u64,
    /// Counts what is read.
    read: BytesRead,
}

/// What the header of a page says.
#[derive(Debug, Default, PartialEq)]
struct PageHeader {
    kind: u64,
    decompressed: u64,
    compressed: u64,
    values: u64,
    /// Bytes of levels, which are not compressed, where the page says so.
    levels: u64,
}

/// `PageType::INDEX_PAGE`, which is passed over, and `DICTIONARY_PAGE`.
const INDEX_PAGE: u64 = 1;
const DICTIONARY_PAGE: u64 = 2;

impl CheckedPages {
    /// The `pages` of a column that lies in `file`, none above `max` bytes.
    pub(super) fn new(
        pages: Box<dyn PageReader>,
        file: File,
        column: &ColumnChunkMetaData,
        max: u64,
        read: BytesRead,
    ) -> Self {
        let (at, length) = column.byte_range();
        let file = BufReader::with_capacity(BUFFER, file);
        let (shares, has_levels) = (shares_beginnings(column), column.column_descr().max_def_level() > 0);
        let (end, compression) = (at.saturating_add(length), column.compression());
        Self { pages, file, at, end, compression, shares, has_levels, max, read }
    }

    /// Looks at the header of the page that comes next.
    fn check_next(&mut self) -> Result<()> {
        while self.at < self.end {
            let place = self.at;
            self.file.seek(SeekFrom::Start(place))?;
            // It may hold the least and the greatest value of its page.
            let mut header = Header { reader: (&mut self.file).take(self.max), read: 0 };
            let mut found = PageHeader::default();
            header.fields(0, 0, &mut |parent, field, value| found.set(parent, field, value))?;
            let body = place.saturating_add(header.read);
            self.at = body.saturating_add(found.compressed);
            if found.kind != INDEX_PAGE {
                return self.check(place, body, &found);
            }
        }
        Ok(())
    }

    fn check(&mut self, place: u64, body: u64, header: &PageHeader) -> Result<()> {
        let mut most = header.decompressed.max(header.compressed);
        if header.kind == DICTIONARY_PAGE {
            // A value has four bytes at least; those of numbers are no shorter.
            if header.values > header.decompressed / 4 {
                return Err(damaged(place, "more values than bytes"));
            }
            most = most.max(header.values.saturating_mul(DICTIONARY_VALUE));
        }
        if matches!(self.compression, Compression::GZIP(_)) && header.compressed > self.max / GZIP_RATIO {
            self.file.seek(SeekFrom::Start(body.saturating_add(header.levels)))?;
            let page = (&mut self.file).take(header.compressed.saturating_sub(header.levels));
            let mut text = MultiGzDecoder::new(page).take(self.max.saturating_add(1));
            // Damage is found by its reader.
            most = most.max(std::io::copy(&mut text, &mut std::io::sink()).unwrap_or(0));
        }
        if most > self.max {
            return Err(self.too_long(place, most));
        }
        Ok(())
    }

    fn too_long(&self, place: u64, bytes: u64) -> ParquetError {
        let max = self.max;
        ParquetError::General(format!(
            "the page at byte {place} takes {bytes} bytes or more, and {max} are allowed; allow more with --memory, or with \
             --max-document where no --memory is given, or write the file with shorter pages"
        ))
    }

    /// Looks at a page whose bytes are there: lists of lengths say how many they hold, and are made so long.
    fn check_lists(&self, place: u64, page: &Page) -> Result<()> {
        let (values, encoding, data) = match page {
            Page::DictionaryPage { .. } => return Ok(()),
            // The levels of values that may be missing say how long they are.
            Page::DataPage { num_values, encoding, buf, .. } if self.has_levels => {
                let length = buf.first_chunk().map_or(u32::MAX, |length| u32::from_le_bytes(*length)) as usize;
                (*num_values, *encoding, buf.get(length.saturating_add(4)..).unwrap_or_default())
            }
            Page::DataPage { num_values, encoding, buf, .. } => (*num_values, *encoding, &buf[..]),
            Page::DataPageV2 { num_values, encoding, buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = (*def_levels_byte_len as usize).saturating_add(*rep_levels_byte_len as usize);
                (*num_values, *encoding, buf.get(levels..).unwrap_or_default())
            }
        };
        let lists = match encoding {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            Encoding::DELTA_BYTE_ARRAY if self.shares => 2,
            Encoding::DELTA_BYTE_ARRAY => return Err(damaged(place, "another encoding than its column says")),
            _ => return Ok(()),
        };
        if u64::from(values).saturating_mul(4) > self.max {
            return Err(self.too_long(place, u64::from(values).saturating_mul(4)));
        }
        match lists_end(data, lists, values.into()) {
            Some(_) => Ok(()),
            None => Err(damaged(place, "a list of lengths that is longer than its page")),
        }
    }
}

/// Whether the pages of a column may hold values that share their beginnings with the one before.
pub(super) fn shares_beginnings(column: &ColumnChunkMetaData) -> bool {
    column.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY)
}

fn damaged(place: u64, what: &str) -> ParquetError {
    ParquetError::General(format!("the page at byte {place} is damaged: it has {what}"))
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let place = self.at;
        self.check_next()?;
        self.read.fetch_add(self.at - place, Ordering::Relaxed);
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            self.check_lists(place, page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::NYI("pages are read in order".to_owned()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(ParquetError::NYI("pages are read in order".to_owned()))
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageHeader {
    /// A number of the header, or of the struct in field `parent` of it. Of one that stands there twice, the greatest
    /// counts for memory.
    fn set(&mut self, parent: u64, field: u64, value: u64) {
        match (parent, field) {
            (0, 1) => self.kind = value,
            (0, 2) => self.decompressed = self.decompressed.max(value),
            (0, 3) => self.compressed = value,
            (7, 1) => self.values = self.values.max(value),
            (8, 5 | 6) => self.levels = self.levels.saturating_add(value),
            _ => {}
        }
    }
}

/// A header under way.
struct Header<R> {
    reader: R,
    read: u64,
}

impl<R: Read> Header<R> {
    /// Goes through the fields of a struct, which is that in field `parent`, and tells the numbers.
    fn fields(&mut self, parent: u64, depth: usize, tell: &mut dyn FnMut(u64, u64, u64)) -> Result<()> {
        let mut field = 0u64;
        loop {
            let head = self.byte()?;
            let (more, kind) = (u64::from(head >> 4), head & 0xF);
            if kind == 0 {
                return Ok(());
            }
            field = if more == 0 { zigzag(self.number()?)? } else { field + more };
            let is_number = kind == 5;
            // A reader that does not look at the kind of a field must not read it otherwise.
            if parent == 0 && field <= 4 && !is_number {
                return Err(ParquetError::General("the header of a page is damaged".to_owned()));
            }
            match kind {
                5 => tell(parent, field, zigzag(self.number()?)?),
                12 if depth < MAX_DEPTH => self.fields(if depth == 0 { field } else { u64::MAX }, depth + 1, tell)?,
                kind => self.pass(kind, depth)?,
            }
        }
    }

    /// Passes over a value.
    fn pass(&mut self, kind: u8, depth: usize) -> Result<()> {
        match kind {
            // True and false are kinds of their own.
            1 | 2 => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.number().map(drop),
            7 => self.bytes(8),
            8 => {
                let length = self.number()?;
                self.bytes(length)
            }
            9 | 10 if depth < MAX_DEPTH => {
                let head = self.byte()?;
                let length = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                let kind = head & 0xF;
                (0..length).try_for_each(|_| if kind <= 2 { self.bytes(1) } else { self.pass(kind, depth + 1) })
            }
            12 if depth < MAX_DEPTH => self.fields(u64::MAX, depth + 1, &mut |_, _, _| {}),
            _ => Err(ParquetError::General("the header of a page is damaged".to_owned())),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn bytes(&mut self, length: u64) -> Result<()> {
        let read = std::io::copy(&mut (&mut self.reader).take(length), &mut std::io::sink())?;
        self.read += read;
        if read == length { Ok(()) } else { Err(ParquetError::EOF("the header of a page is cut off".to_owned())) }
    }

    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << (7 * place);
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(ParquetError::General("the header of a page is damaged".to_owned()))
    }
}

/// The number that a zigzag number stands for, which is none below zero here.
fn zigzag(number: u64) -> Result<u64> {
    match number & 1 {
        0 => Ok(number >> 1),
        _ => Err(ParquetError::General("the header of a page has a length below zero".to_owned())),
    }
}

/// Where so many lists of lengths end that follow each other, none of them with more than `most` numbers; `None` where
/// they are none. (Parquet's DELTA_BINARY_PACKED; their numbers are not looked at.)
fn lists_end(data: &[u8], lists: usize, most: u64) -> Option<usize> {
    let mut at = 0;
    for _ in 0..lists {
        let mut header = Header { reader: data.get(at..)?, read: 0 };
        let (block, parts, count) = (header.number().ok()?, header.number().ok()?, header.number().ok()?);
        header.number().ok()?;
        if count > most || parts == 0 || parts > data.len() as u64 || block == 0 || !block.is_multiple_of(parts) {
            return None;
        }
        let each = block / parts;
        // The first number stands in the head.
        let mut left = count.saturating_sub(1);
        while left > 0 {
            header.number().ok()?;
            let mut bytes = 0u64;
            for _ in 0..parts {
                let width = u64::from(header.byte().ok()?);
                // Parts behind the last number have no bytes, whatever their width.
                bytes = bytes.saturating_add(if left > 0 { width.saturating_mul(each) / 8 } else { 0 });
                left = left.saturating_sub(each);
            }
            header.bytes(bytes).ok()?;
        }
        at += usize::try_from(header.read).ok()?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{ReadOptions, Record, Source, records};
    use parquet::basic::{GzipLevel, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::file::writer::SerializedFileWriter;
    use std::sync::Arc;

    /// A file of one column, whose values are there wherever `required`, and elsewhere but every fifth.
    fn file_of(texts: &[String], required: bool, properties: WriterPropertiesBuilder) -> Vec<u8> {
        let repetition = if required { "required" } else { "optional" };
        let schema = format!("message m {{ {repetition} binary text (UTF8); }}");
        let schema = Arc::new(parquet::schema::parser::parse_message_type(&schema).unwrap());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let there = |at: usize| required || at % 5 != 3;
        let values: Vec<ByteArray> =
            (0..texts.len()).filter(|at| there(*at)).map(|at| texts[at].as_str().into()).collect();
        let levels: Vec<i16> = (0..texts.len()).map(|at| there(at).into()).collect();
        column.typed::<ByteArrayType>().write_batch(&values, (!required).then_some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.into_inner().unwrap()
    }

    /// What is read of a file in so much memory, or the error.
    fn read(bytes: &[u8], memory: u64) -> std::result::Result<Vec<Record>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        let source = Source::find(&[path], None).unwrap();
        let options = ReadOptions::default().within(memory);
        let found = records(&source.files[0], &options).unwrap().collect::<crate::Result<Vec<Record>>>();
        found.map_err(|error| error.to_string())
    }

    fn plain() -> WriterPropertiesBuilder {
        WriterProperties::builder().set_dictionary_enabled(false)
    }

    /// Replaces the number at `at` by another.
    fn with_number(bytes: &[u8], at: usize, number: u64) -> Vec<u8> {
        let old = bytes[at..].iter().position(|byte| *byte < 0x80).unwrap() + 1;
        let mut new = Vec::new();
        let mut left = number;
        while left >= 0x80 {
            new.push(left as u8 | 0x80);
            left >>= 7;
        }
        new.push(left as u8);
        [&bytes[..at], &new, &bytes[at + old..]].concat()
    }

    /// Where the length of the first page stands, and behind it that of its bytes: behind the magic number and the kind.
    const LENGTH: usize = 7;

    fn compressed_length(bytes: &[u8]) -> usize {
        LENGTH + bytes[LENGTH..].iter().position(|byte| *byte < 0x80).unwrap() + 2
    }

    #[test]
    fn real_files_of_every_kind() {
        let texts: Vec<String> =
            (0..700).map(|n| "词元是语言模型的单位。".repeat(n % 7 + 1) + &n.to_string()).collect();
        let encodings = [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];
        let compressions = [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::default()),
            Compression::ZSTD(ZstdLevel::default()),
        ];
        for (number, encoding) in encodings.into_iter().cycle().take(24).enumerate() {
            let compression = compressions[number / 3 % 4];
            let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][number / 12];
            for (required, dictionary) in [(true, false), (false, false), (false, true)] {
                let properties = WriterProperties::builder()
                    .set_dictionary_enabled(dictionary)
                    .set_writer_version(version)
                    .set_encoding(encoding)
                    .set_compression(compression)
                    .set_write_batch_size(64)
                    .set_data_page_size_limit(2000);
                let bytes = file_of(&texts, required, properties);
                let found = read(&bytes, 1 << 30).unwrap();
                let found: Vec<Option<&str>> = found
                    .iter()
                    .map(|record| match record {
                        Record::Document(document) => Some(document.text.as_str()),
                        Record::Reject(_) => None,
                    })
                    .collect();
                let there = |at: usize| required || at % 5 != 3;
                let wanted: Vec<Option<&str>> =
                    texts.iter().enumerate().map(|(at, text)| there(at).then_some(text.as_str())).collect();
                assert_eq!(found, wanted, "{encoding}, {compression}, {version:?}, {required}, {dictionary}");
                // Headers are found where they are.
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("a");
                std::fs::write(&path, &bytes).unwrap();
                let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
                let group = reader.get_row_group(0).unwrap();
                let pages = group.get_column_page_reader(0).unwrap();
                let column = group.metadata().column(0);
                let mut pages =
                    CheckedPages::new(pages, File::open(&path).unwrap(), column, 1 << 20, BytesRead::default());
                let mut count = 0;
                while pages.get_next_page().unwrap().is_some() {
                    count += 1;
                }
                assert!(count >= 2 && pages.at == pages.end && pages.read.load(Ordering::Relaxed) > 0, "{count}");
            }
        }
    }

    /// Lengths that a file claims, and lengths that it has: an error with the file and the place, in every compression.
    #[test]
    fn hostile_lengths() {
        let texts: Vec<String> = (0..300).map(|n| format!("第{n}个词元")).collect();
        for compression in
            [Compression::SNAPPY, Compression::GZIP(GzipLevel::default()), Compression::ZSTD(ZstdLevel::default())]
        {
            let bytes = file_of(&texts, true, plain().set_compression(compression));
            for claimed in [i32::MAX as u64, 1 << 30] {
                for at in [LENGTH, compressed_length(&bytes)] {
                    let error = read(&with_number(&bytes, at, claimed << 1), 64 << 20).unwrap_err();
                    assert!(error.contains("a.parquet") && error.contains("page at byte 4 takes"), "{error}");
                    assert!(error.contains(&claimed.to_string()) && error.contains("--memory"), "{error}");
                }
            }
            // Below zero.
            assert!(read(&with_number(&bytes, LENGTH, 3), 64 << 20).unwrap_err().contains("below zero"));
            // Twenty megabytes of one letter, which are a page in some kilobytes.
            let bomb = file_of(&["a".repeat(20 << 20)], true, plain().set_compression(compression));
            let error = read(&bomb, 64 << 20).unwrap_err();
            assert!(error.contains("page at byte 4 takes") && error.contains("8388608 are allowed"), "{error}");
            // With the memory for it, it is read, and is a document or one that is too long.
            assert_eq!(read(&bomb, 1 << 30).unwrap().len(), 1);
            assert!(bomb.len() < 2 << 20);
            let liar = with_number(&bomb, LENGTH, 100 << 1);
            let error = read(&liar, 64 << 20).unwrap_err();
            let is_gzip = matches!(compression, Compression::GZIP(_));
            assert!(!is_gzip || error.contains("page at byte 4 takes"), "{error}");
        }
    }

    #[test]
    fn hostile_counts() {
        // A dictionary says how many values it has.
        let texts: Vec<String> = (0..300).map(|n| format!("第{}个词元", n % 100)).collect();
        let bytes = file_of(&texts, true, WriterProperties::builder());
        let found = bytes.windows(2).position(|pair| pair == [0x4C, 0x15]).unwrap() + 2;
        assert_eq!(bytes[found..found + 2], [200, 1]);
        let error = read(&with_number(&bytes, found, (i32::MAX as u64) << 1), 64 << 20).unwrap_err();
        assert!(error.contains("a.parquet") && error.contains("more values than bytes"), "{error}");
        // A list of lengths does, too; that of the beginnings comes before that of the rest.
        for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            for required in [true, false] {
                let bytes = file_of(&texts, required, plain().set_encoding(encoding));
                let values = if required { 300 } else { 240 };
                // Numbers in a block, parts of it, values: 128, 4 and so many.
                let count = [0x80, 0x01, 0x04, values as u8 | 0x80, (values >> 7) as u8];
                let places: Vec<usize> =
                    (0..bytes.len() - 5).filter(|at| bytes[*at..*at + 5] == count).map(|at| at + 3).collect();
                assert_eq!(places.len(), if encoding == Encoding::DELTA_BYTE_ARRAY { 2 } else { 1 });
                for at in places {
                    let error = read(&with_number(&bytes, at, 16_383), 64 << 20).unwrap_err();
                    assert!(error.contains("a.parquet") && error.contains("a list of lengths"), "{error}");
                }
            }
        }
    }

    /// Any bytes in place of a header are answered.
    #[test]
    fn damaged_headers() {
        let texts: Vec<String> = (0..50).map(|n| format!("第{n}个词元")).collect();
        let bytes = file_of(&texts, false, WriterProperties::builder());
        for at in 4..60 {
            for byte in [0, 1, 0x1C, 0x19, 0x15, 0x7F, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at] = byte;
                if let Ok(found) = read(&damaged, 64 << 20) {
                    assert!(found.len() <= 50, "{at}, {byte}");
                }
            }
        }
        let deep: Vec<u8> = [0x1C].repeat(100);
        assert!(Header { reader: &deep[..], read: 0 }.fields(0, 0, &mut |_, _, _| {}).is_err());
    }
}
