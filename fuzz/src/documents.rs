//! Hostile files of every form: what is read equals what a plain reader finds, in one piece and in any parts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ciyuan::text::{
    Encoding, Extent, InputFile, ReadOptions, Record, Source, TxtDocuments, Utf8Policy, records, records_in,
};

/// What is compared of a record: its text, or that it has none; its line; where it begins, or where its fault is.
type Found = (Option<String>, u64, u64);

/// The first three bytes choose the form, the size of parts and the longest document; the rest is the file, or the text
/// that is compressed in frames of that size.
pub fn documents(data: &[u8]) {
    let [choice, unit, max, file @ ..] = data else { return };
    const NAMES: [&str; 14] = [
        "x.jsonl",
        "x.txt",
        "x.txt",
        "x.txt",
        "x.txt",
        "x.tar",
        "x.jsonl.gz",
        "x.jsonl.zst",
        "x.txt.xz",
        "x.txt.bz2",
        "x.jsonl.zst",
        "x.txt.zst",
        "x.txt",
        "x.txt",
    ];
    let kind = usize::from(*choice) % NAMES.len();
    let size = u64::from(*unit) + 1;
    let options = ReadOptions {
        txt_documents: match kind {
            2 | 11.. => TxtDocuments::Lines,
            3 => TxtDocuments::Blocks,
            _ => TxtDocuments::File,
        },
        encoding: match kind {
            12 => Encoding::Utf16,
            13 => Encoding::Auto,
            _ => Encoding::Utf8,
        },
        separator: (kind == 4).then(|| "--".to_owned()),
        on_invalid_utf8: [Utf8Policy::Reject, Utf8Policy::Replace, Utf8Policy::Skip]
            [usize::from(*choice) / NAMES.len() % 3],
        // Below the depth of nesting at which serde_json ends.
        max_document: u64::from(*max) % 100 + 1,
        ..ReadOptions::default()
    };
    let is_framed = matches!(kind, 10 | 11);
    let frames = if is_framed { frames(file, size as usize) } else { Vec::new() };
    let path = if is_framed { place(NAMES[kind], &frames.concat()) } else { place(NAMES[kind], file) };
    let files = Source::find(std::slice::from_ref(&path), None).unwrap().files;
    let Some(whole) = read(&files[0], &options) else { return };
    if (kind < 5 || is_framed) && options.on_invalid_utf8 == Utf8Policy::Reject {
        // What is in frames is what is there without them.
        let plain_kind = if is_framed { (kind - 10) * 2 } else { kind };
        assert_eq!(whole.iter().map(found).collect::<Vec<_>>(), plainly(file, plain_kind, options.max_document));
    }
    // Of these forms a record is a line, and files are cut.
    if matches!(kind, 0 | 2 | 12 | 13) {
        assert_eq!(by_parts(&files[0], &ranges(files[0].bytes, size), &options), whole);
    }
    if is_framed {
        // One or two frames a part, by the length of the document that is allowed.
        let together = 1 + usize::from(*max) % 2;
        let mut parts = Vec::new();
        let mut begin = 0;
        for frames in frames.chunks(together) {
            let end = begin + frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
            parts.push(Extent::Frames(begin..end));
            begin = end;
        }
        assert_eq!(by_parts(&files[0], &parts, &options), whole);
    }
    for record in &whole {
        match record {
            Record::Document(document) => {
                assert!(!document.text.is_empty() && document.text.len() as u64 <= 3 * options.max_document);
            }
            Record::Reject(reject) => assert!(reject.raw.len() as u64 <= options.max_document.max(1024)),
        }
    }
}

/// A folder that goes with its thread.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes the file, where no other thread does.
fn place(name: &str, bytes: &[u8]) -> PathBuf {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static FOLDER: Folder = {
            let name = format!("ciyuan-documents-{}-{}", std::process::id(), THREADS.fetch_add(1, Ordering::Relaxed));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        };
    }
    let path = FOLDER.with(|folder| folder.0.join(name));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// All records, unless the file cannot be read to its end.
fn read(file: &InputFile, options: &ReadOptions) -> Option<Vec<Record>> {
    records(file, options).ok()?.collect::<ciyuan::Result<Vec<Record>>>().ok()
}

/// A text in frames of `size` bytes, with one of nothing among them.
fn frames(text: &[u8], size: usize) -> Vec<Vec<u8>> {
    let frame = |part: &[u8]| zstd::encode_all(part, 1).unwrap();
    let mut frames: Vec<Vec<u8>> = text.chunks(size).map(frame).collect();
    frames.insert(frames.len() / 2, frame(b""));
    frames
}

/// Parts of `size` bytes.
fn ranges(bytes: u64, size: u64) -> Vec<Extent> {
    (0..bytes.div_ceil(size)).map(|part| Extent::Bytes(part * size..((part + 1) * size).min(bytes))).collect()
}

/// The records of parts in order, their places counted from the beginning of the file.
fn by_parts(file: &InputFile, parts: &[Extent], options: &ReadOptions) -> Vec<Record> {
    let (mut all, mut lines, mut bytes) = (Vec::new(), 0, 0);
    for part in parts {
        let mut records = records_in(file, part, options).unwrap();
        for record in &mut records {
            let mut record = record.unwrap();
            let origin = match &mut record {
                Record::Document(document) => &mut document.origin,
                Record::Reject(reject) => &mut reject.origin,
            };
            origin.line += lines;
            origin.offset += bytes;
            all.push(record);
        }
        lines += records.lines();
        bytes += records.frame_bytes();
    }
    all
}

fn found(record: &Record) -> Found {
    match record {
        Record::Document(document) => (Some(document.text.clone()), document.origin.line, document.origin.offset),
        // The offset of a reject is that of its fault, which a plain reader does not know.
        Record::Reject(reject) => (None, reject.origin.line, 0),
    }
}

/// What is in a file, with all of it in memory and no thought of speed.
fn plainly(file: &[u8], kind: usize, max: u64) -> Vec<Found> {
    let (head, text) = match file.strip_prefix(b"\xEF\xBB\xBF") {
        Some(text) => (3, text),
        None => (0, file),
    };
    let blank = |bytes: &[u8]| bytes.len() as u64 <= max && bytes.iter().all(u8::is_ascii_whitespace);
    let keep = |bytes: &[u8]| {
        let text = (bytes.len() as u64 <= max).then(|| std::str::from_utf8(bytes).ok().map(str::to_owned)).flatten();
        text.filter(|text| !text.is_empty())
    };
    let place = |text: Option<String>, line: u64, at: usize| {
        let offset = if text.is_some() { (head + at) as u64 } else { 0 };
        (text, line, offset)
    };
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        lines.push((at, line.strip_suffix(b"\n").unwrap_or(line)));
        at += line.len();
    }
    let mut all = Vec::new();
    match kind {
        0 => {
            for (number, (at, line)) in lines.iter().enumerate().filter(|(_, (_, line))| !blank(line)) {
                let json = keep(line).and_then(|line| first_text(&line)).filter(|text| !text.is_empty());
                all.push(place(json, number as u64 + 1, *at));
            }
        }
        1 => all.push(place(keep(text), 0, 0)),
        2 => {
            for (number, (at, line)) in lines.iter().enumerate() {
                // The limit is on the line with its carriage return.
                let long = line.len() as u64 > max;
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if long || !blank(line) {
                    all.push(place(keep(line).filter(|_| !long), number as u64 + 1, *at));
                }
            }
        }
        3 => {
            let mut number = 0;
            while number < lines.len() {
                let end = lines[number..].iter().position(|(_, line)| blank(line)).map_or(lines.len(), |n| number + n);
                if end > number {
                    let block = lines[number..end].iter().map(|(_, line)| *line).collect::<Vec<_>>().join(&b'\n');
                    let long = block.len() as u64 > max;
                    let block = block.strip_suffix(b"\r").unwrap_or(&block);
                    all.push(place(keep(block).filter(|_| !long), number as u64 + 1, lines[number].0));
                }
                number = end + 1;
            }
        }
        _ => {
            let (mut begin, mut rest) = (0, true);
            while rest {
                let length = text[begin..].windows(2).position(|pair| pair == b"--");
                let piece = &text[begin..length.map_or(text.len(), |length| begin + length)];
                let line = text[..begin].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
                if !blank(piece) {
                    all.push(place(keep(piece), line, begin));
                }
                rest = length.is_some();
                begin += piece.len() + 2;
            }
        }
    }
    all
}

/// The first `text` of an object, and nothing else of it.
fn first_text(json: &str) -> Option<String> {
    struct First(Option<serde_json::Value>);
    impl<'de> serde::Deserialize<'de> for First {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Pairs)
        }
    }
    struct Pairs;
    impl<'de> serde::de::Visitor<'de> for Pairs {
        type Value = First;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<First, A::Error> {
            let mut first = First(None);
            while let Some(name) = map.next_key::<String>()? {
                if name == "text" && first.0.is_none() {
                    first.0 = Some(map.next_value()?);
                } else {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
            Ok(first)
        }
    }
    let First(value) = serde_json::from_str(json).ok()?;
    value?.as_str().map(str::to_owned)
}
