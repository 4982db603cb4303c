//! Megabytes of text a second that are read into documents: `cargo bench --bench read -- FOLDER TEXT...`.
//!
//! Each text is written to FOLDER in documents of about 3 KB, in every form, and stays there for the readers of others
//! (`benches/peers/read.py`). Rows: the form, with one thread and with two, and what bounds it: copying a file into
//! memory, the parser or the decoder alone on bytes that lie in memory, the decompressor alone. Medians of seven runs, all
//! rows by turns, as others work on the machine too. Megabytes are those of the decompressed file, for Parquet and
//! GB18030 those of the text in UTF-8.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ciyuan::text::{Encoding, InputFile, Part, ReadOptions, Record, Source, TxtDocuments, plan_units, records_in};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::ByteArrayType;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;

const RUNS: usize = 7;
const DOCUMENT_BYTES: usize = 3 << 10;
/// Bytes of text in a frame, or in a row group.
const BLOCK: usize = 4 << 20;
/// Bytes on disk that a thread reads at a time.
const PART_BYTES: u64 = 1 << 20;

fn main() {
    // Cargo hands its own flag on.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        println!("name a folder, and texts: cargo bench --bench read -- /tmp/read zh.txt en.txt");
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    for text in arguments {
        measure(&folder, Path::new(&text));
    }
}

/// What is measured: a name, the bytes that count, and the work, which gives a number that depends on all of it.
type Row<'r> = (String, usize, Box<dyn Fn() -> usize + 'r>);

fn measure(folder: &Path, path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let documents = documents(&text);
    let files = write(folder, name, &documents);
    let [lines, jsonl, _, _, gb18030] = &files.bytes;
    let all = text.len();
    let txt = ReadOptions { txt_documents: TxtDocuments::Lines, ..ReadOptions::default() };
    let gb = ReadOptions { encoding: Encoding::Gb18030, ..txt.clone() };
    let options = [txt, ReadOptions::default(), ReadOptions::default(), ReadOptions::default(), gb];
    let sizes = [lines.len(), jsonl.len(), jsonl.len(), all, lines.len()];
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (number, path) in files.paths.iter().enumerate() {
        for threads in [1, 2] {
            let (options, label) = (&options[number], path.file_name().unwrap().to_str().unwrap());
            let input = Source::find(std::slice::from_ref(path), None).unwrap().files;
            let work = move || read(&input, options, threads);
            rows.push((format!("{label}, {threads}"), sizes[number], Box::new(work)));
        }
    }
    let copied = || std::fs::read(&files.paths[1]).unwrap().len();
    rows.push(("copy of the jsonl".to_owned(), jsonl.len(), Box::new(copied)));
    rows.push(("serde_json on memory".to_owned(), jsonl.len(), Box::new(|| parse(jsonl))));
    rows.push(("zstd alone".to_owned(), jsonl.len(), Box::new(|| decompress(&files.paths[2]))));
    rows.push(("pages of parquet alone".to_owned(), all, Box::new(|| pages(&files.paths[3]))));
    let decode = || encoding_rs::GB18030.decode_without_bom_handling(gb18030).0.len();
    rows.push(("encoding_rs on memory".to_owned(), lines.len(), Box::new(decode)));
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..RUNS {
        for ((_, _, work), times) in rows.iter().zip(&mut times) {
            let start = Instant::now();
            std::hint::black_box(work());
            times.push(start.elapsed().as_secs_f64());
        }
    }
    println!("\n{name}: {} documents of {all} bytes\n\n| | MB/s |\n|---|---|", documents.len());
    for ((label, bytes, _), mut times) in rows.into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        println!("| {label} | {:.0} |", bytes as f64 / 1e6 / times[RUNS / 2]);
    }
}

/// Lines of a text in documents of about 3 KB.
fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let nominal = rest.floor_char_boundary(DOCUMENT_BYTES);
        let end = rest[nominal..].find('\n').map_or(rest.len(), |end| nominal + end + 1);
        let (document, behind) = rest.split_at(end);
        documents.push(document);
        rest = behind;
    }
    documents
}

struct Files {
    /// Lines, JSON Lines, the same compressed, Parquet, lines in GB18030.
    paths: [PathBuf; 5],
    bytes: [Vec<u8>; 5],
}

fn write(folder: &Path, name: &str, documents: &[&str]) -> Files {
    // A document is a line there, and has none.
    let lines: String = documents.iter().map(|document| document.replace('\n', " ") + "\n").collect();
    let json: Vec<String> =
        documents.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
    let json = json.concat().into_bytes();
    let frames: Vec<Vec<u8>> = json.chunks(BLOCK).map(|block| zstd::encode_all(block, 3).unwrap()).collect();
    let gb18030 = encoding_rs::GB18030.encode(&lines).0.into_owned();
    let bytes = [lines.into_bytes(), json, frames.concat(), parquet_file(documents), gb18030];
    let paths = ["txt", "jsonl", "jsonl.zst", "parquet", "gb18030.txt"].map(|end| folder.join(format!("{name}.{end}")));
    paths.iter().zip(&bytes).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    Files { paths, bytes }
}

fn parquet_file(documents: &[&str]) -> Vec<u8> {
    let schema = parquet::schema::parser::parse_message_type("message m { required binary text (UTF8); }").unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))
        .set_dictionary_enabled(false)
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    for documents in documents.chunks(BLOCK / DOCUMENT_BYTES) {
        let mut group = writer.next_row_group().unwrap();
        let values: Vec<_> = documents.iter().map(|document| (*document).into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// Bytes of text of all documents, on so many threads.
fn read(files: &[InputFile], options: &ReadOptions, threads: usize) -> usize {
    let units = plan_units(files, PART_BYTES, options).unwrap();
    let parts: Vec<&Part> = units.iter().flat_map(|unit| &unit.parts).collect();
    let of_part = |part: &Part| -> usize {
        let records = records_in(&files[part.file], &part.extent, options).unwrap();
        let bytes = |record| match record {
            Record::Document(document) => document.text.len(),
            Record::Reject(reject) => panic!("{reject:?}"),
        };
        records.map(|record| bytes(record.unwrap())).sum()
    };
    let (parts, of_part) = (&parts, &of_part);
    std::thread::scope(|scope| {
        let reader = |number| {
            scope.spawn(move || parts.iter().skip(number).step_by(threads).map(|part| of_part(part)).sum::<usize>())
        };
        let readers: Vec<_> = (0..threads).map(reader).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).sum()
    })
}

/// A line that is parsed and borrowed where it can be.
#[derive(serde::Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    text: std::borrow::Cow<'l, str>,
}

fn parse(jsonl: &[u8]) -> usize {
    let lines = jsonl.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice::<Line<'_>>(line).unwrap().text.len()).sum()
}

fn decompress(path: &Path) -> usize {
    let mut decoder = zstd::Decoder::new(File::open(path).unwrap()).unwrap();
    std::io::copy(&mut decoder, &mut std::io::sink()).unwrap() as usize
}

/// Bytes of the pages, decompressed and not taken apart.
fn pages(path: &Path) -> usize {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let mut bytes = 0;
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number).unwrap();
        let mut pages = group.get_column_page_reader(0).unwrap();
        while let Some(page) = pages.get_next_page().unwrap() {
            bytes += page.buffer().len();
        }
    }
    bytes
}
