//! Megabytes of text a second that are read into documents.
//!
//!     cargo bench --bench read -- FOLDER [--peers PYTHON] TEXT...
//!     cargo bench --bench read -- FOLDER --lengths 10,100,1000 TEXT...
//!
//! Each text is written to FOLDER in documents of about 3 KB, in every form, and stays there for the readers of others
//! (`benches/peers/read.py`), which PYTHON runs between the rows of ours. Rows: the form, with one thread and with two, and
//! what bounds it: copying a file into memory, the parser or the decoder alone on bytes that lie in memory, the
//! decompressor alone. Medians of five runs (slowest..fastest), all rows by turns, as others work on the machine too; then
//! two of the rows right beside what bounds them, as a share of its speed: the median of 31 turns (least..most).
//! Megabytes are those of the decompressed file, for Parquet, GB18030, long documents (of about 300 KB) and documents with an
//! escape for each character that is not ASCII those of the text in UTF-8.
//!
//! The second form reads the text over and over, as JSON Lines of so many megabytes, and gives the cost of each length.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // a benchmark prints, and ends where it cannot go on

#[path = "common/parquet_file.rs"]
mod parquet_file;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ciyuan::text::{Encoding, InputFile, Part, ReadOptions, Record, Source, TxtDocuments, plan_units, records_in};
use parquet::file::reader::{FileReader, SerializedFileReader};

const RUNS: usize = 5;
/// How often a row runs beside what bounds it.
const TURNS: usize = 31;
/// Rows, and those that bound them.
const BOUNDS: [(&str, &str); 2] = [("jsonl.zst, 1", "zstd alone"), ("parquet, 1", "pages of parquet alone")];
const DOCUMENT_BYTES: usize = 3 << 10;
/// Documents that make a long one, of about 300 KB.
const LONG: usize = 100;
/// Bytes of text in a frame, or in a row group.
const BLOCK: usize = 4 << 20;
/// Bytes on disk that a thread reads at a time.
const PART_BYTES: u64 = 1 << 20;

fn main() {
    // Cargo hands its own flag on.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        println!("name a folder, and texts: cargo bench --bench read -- /tmp/read zh.txt en.txt");
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    let mut value = |name: &str| arguments.next_if(|next| next == name).and_then(|_| arguments.next());
    let (lengths, peers) = (value("--lengths"), value("--peers"));
    for text in arguments {
        match &lengths {
            Some(lengths) => measure_lengths(&folder, Path::new(&text), lengths),
            None => measure(&folder, Path::new(&text), peers.as_deref()),
        }
    }
}

/// What is measured: a name, the bytes that count, and the work, which gives a number that depends on all of it.
type Row<'r> = (String, usize, Box<dyn Fn() -> usize + 'r>);

fn measure(folder: &Path, path: &Path, peers: Option<&str>) {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let documents = documents(&text);
    let files = write(folder, name, &documents);
    let [lines, jsonl, _, _, _, gb18030, ..] = &files.bytes;
    let all = text.len();
    let (json, txt) =
        (ReadOptions::default(), ReadOptions { txt_documents: TxtDocuments::Lines, ..ReadOptions::default() });
    let gb = ReadOptions { encoding: Encoding::Gb18030, ..txt.clone() };
    let options = [txt, json.clone(), json.clone(), json.clone(), json.clone(), gb, json.clone(), json];
    let sizes = [lines.len(), jsonl.len(), jsonl.len(), jsonl.len(), all, lines.len(), all, all];
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
    rows.push(("gzip alone".to_owned(), jsonl.len(), Box::new(|| unzip(&files.paths[2]))));
    rows.push(("zstd alone".to_owned(), jsonl.len(), Box::new(|| decompress(&files.paths[3]))));
    rows.push(("pages of parquet alone".to_owned(), all, Box::new(|| pages(&files.paths[4]))));
    let decode = || encoding_rs::GB18030.decode_without_bom_handling(gb18030).0.len();
    rows.push(("encoding_rs on memory".to_owned(), lines.len(), Box::new(decode)));
    let mut times = vec![Vec::new(); rows.len()];
    let mut of_peers: BTreeMap<String, (f64, Vec<f64>)> = BTreeMap::new();
    for _ in 0..RUNS {
        for ((_, _, work), times) in rows.iter().zip(&mut times) {
            let start = Instant::now();
            std::hint::black_box(work());
            times.push(start.elapsed().as_secs_f64());
        }
        for (label, megabytes, seconds) in peers.map_or_else(Vec::new, |python| run_peers(python, folder, name)) {
            of_peers.entry(label).or_insert((megabytes, Vec::new())).1.push(seconds);
        }
    }
    println!("\n{name}: {} documents of {all} bytes\n\n| | MB/s |\n|---|---|", documents.len());
    for ((label, bytes, _), times) in rows.iter().zip(times) {
        print_row(label, *bytes as f64 / 1e6, times);
    }
    for (label, (megabytes, times)) in of_peers {
        print_row(&label, megabytes, times);
    }
    for (row, bound) in BOUNDS {
        print_share(row, bound, &rows);
    }
}

/// The speed of a row as a share of that of the row that bounds it, each right behind the other.
fn print_share(row: &str, bound: &str, rows: &[Row<'_>]) {
    let work = |name: &str| &rows.iter().find(|(label, ..)| label.ends_with(name)).unwrap().2;
    let seconds = |work: &dyn Fn() -> usize| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    };
    let mut shares: Vec<f64> = (0..TURNS).map(|_| seconds(work(bound)) / seconds(work(row))).collect();
    shares.sort_by(f64::total_cmp);
    let [least, middle, most] = [0, TURNS / 2, TURNS - 1].map(|at| 100.0 * shares[at]);
    println!("| {row}, percent of {bound} | {middle:.0} ({least:.0}..{most:.0}) |");
}

fn print_row(label: &str, megabytes: f64, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    let rate = |at: usize| megabytes / times[at];
    let last = times.len() - 1;
    println!("| {label} | {:.0} ({:.0}..{:.0}) |", rate(times.len() / 2), rate(last), rate(0));
}

/// What the readers of others take for the same files, once each: a name, megabytes, seconds.
fn run_peers(python: &str, folder: &Path, name: &str) -> Vec<(String, f64, f64)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/read.py");
    let output = std::process::Command::new(python).args([script, "--once"]).arg(folder).arg(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let row = |line: &str| {
        let [label, megabytes, seconds] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        Some((label.to_owned(), megabytes.parse().ok()?, seconds.parse().ok()?))
    };
    String::from_utf8(output.stdout).unwrap().lines().filter_map(row).collect()
}

/// The cost of a byte by the length of the file, in megabytes.
fn measure_lengths(folder: &Path, path: &Path, lengths: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let json = json_lines(&documents(&text));
    println!("\n{name}, JSON Lines\n\n| length | nanoseconds a byte, one thread | two |\n|---|---|---|");
    for length in lengths.split(',') {
        let path = folder.join(format!("{name}.{length}.jsonl"));
        let (wanted, mut written) = (length.parse::<u64>().unwrap() * 1_000_000, 0);
        let mut file = File::create(&path).unwrap();
        while written < wanted {
            file.write_all(&json).unwrap();
            written += json.len() as u64;
        }
        // The last line may be cut off: it ends the file without a line end, and is a reject.
        let end = json[..((json.len() as u64 - (written - wanted)) as usize)].iter().rposition(|byte| *byte == b'\n');
        let whole = written - json.len() as u64 + end.map_or(0, |end| end as u64 + 1);
        file.set_len(whole).unwrap();
        let input = Source::find(std::slice::from_ref(&path), None).unwrap().files;
        let options = ReadOptions::default();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..RUNS {
            for (threads, times) in (1..).zip(&mut times) {
                let start = Instant::now();
                std::hint::black_box(read(&input, &options, threads));
                times.push(start.elapsed().as_secs_f64() * 1e9 / whole as f64);
            }
        }
        std::fs::remove_file(&path).unwrap();
        times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
        let [one, two] = times.map(|times| format!("{:.3} ({:.3}..{:.3})", times[RUNS / 2], times[RUNS - 1], times[0]));
        println!("| {length} MB | {one} | {two} |");
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
    /// Lines, JSON Lines, the same compressed in two ways, Parquet, lines in GB18030, JSON Lines of long documents, and
    /// with an escape for each character that is not ASCII.
    paths: [PathBuf; 8],
    bytes: [Vec<u8>; 8],
}

fn write(folder: &Path, name: &str, documents: &[&str]) -> Files {
    // A document is a line there, and has none.
    let lines: String = documents.iter().map(|document| document.replace('\n', " ") + "\n").collect();
    let json = json_lines(documents);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&json).unwrap();
    let frames: Vec<Vec<u8>> = json.chunks(BLOCK).map(|block| zstd::encode_all(block, 3).unwrap()).collect();
    let gb18030 = encoding_rs::GB18030.encode(&lines).0.into_owned();
    let mut escaped = Vec::new();
    for c in std::str::from_utf8(&json).unwrap().chars() {
        match c {
            '\0'..='\x7f' => escaped.push(c as u8),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(escaped, "\\u{unit:04x}").unwrap()),
        }
    }
    let bytes = [
        lines.into_bytes(),
        json,
        gzip.finish().unwrap(),
        frames.concat(),
        parquet_file::parquet_file(documents),
        gb18030,
        json_lines(&documents.chunks(LONG).map(<[&str]>::concat).collect::<Vec<_>>()),
        escaped,
    ];
    let paths = ["txt", "jsonl", "jsonl.gz", "jsonl.zst", "parquet", "gb18030.txt", "long.jsonl", "escaped.jsonl"];
    let paths = paths.map(|end| folder.join(format!("{name}.{end}")));
    paths.iter().zip(&bytes).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    Files { paths, bytes }
}

fn json_lines(documents: &[impl AsRef<str>]) -> Vec<u8> {
    let line = |text: &str| serde_json::json!({ "text": text }).to_string() + "\n";
    documents.iter().map(|document| line(document.as_ref())).collect::<String>().into_bytes()
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

fn unzip(path: &Path) -> usize {
    let mut decoder = flate2::read::MultiGzDecoder::new(File::open(path).unwrap());
    std::io::copy(&mut decoder, &mut std::io::sink()).unwrap() as usize
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
