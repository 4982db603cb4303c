//! Reading: every form in one run, what units and bad records come to, and what is refused before memory is gone.

use std::io::Write;
use std::sync::Arc;

use ciyuan::shard::{Corpus, Manifest, Split};
use ciyuan::text::{Compression, Document, ReadOptions, Record, RejectLine, Source, records};
use parquet::data_type::{ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::common::Workshop;

/// A workshop with a tokenizer `t.json`.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("learn.txt", "词元和 tokens, and more words. ".repeat(40));
    workshop.run(&["learn", "learn.txt", "-o", "t.json", "--vocab-size", "280"]).ok();
    workshop
}

fn rejects(workshop: &Workshop, out: &str) -> Vec<RejectLine> {
    let bytes = std::fs::read(workshop.path(out).join("rejects.jsonl.zst")).unwrap();
    let text = zstd::decode_all(&bytes[..]).unwrap();
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn manifest(workshop: &Workshop, out: &str) -> Manifest {
    Manifest::load(&workshop.path(out)).unwrap().unwrap()
}

/// Bytes compressed in two members, frames or streams, cut where no line ends.
fn compressed(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let pack = |half: &[u8]| match compression {
        Compression::None => half.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(half).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(half, 3).unwrap(),
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 3);
            encoder.write_all(half).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(half).unwrap();
            encoder.finish().unwrap()
        }
    };
    let (head, tail) = bytes.split_at(bytes.len() / 3);
    [pack(head), pack(tail)].concat()
}

/// A Parquet file of texts (`None`: null) by row groups, in the column `meta.text`, with numbers in the column `id`.
fn parquet_file(groups: &[&[Option<&str>]]) -> Vec<u8> {
    let schema = "message m { optional group meta { optional binary text (UTF8); } required int64 id; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::builder().build())).unwrap();
    let mut id = 0;
    for texts in groups {
        let mut group = writer.next_row_group().unwrap();
        let values: Vec<_> = texts.iter().flatten().map(|text| (*text).into()).collect();
        let levels: Vec<i16> = texts.iter().map(|text| if text.is_some() { 2 } else { 1 }).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        column.close().unwrap();
        let ids: Vec<i64> = (id..).take(texts.len()).collect();
        id += texts.len() as i64;
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn tar_file(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

const JSONL: &str = "{\"id\": \"a\", \"meta\": {\"text\": \"词元 one\"}}\r\n\n{\"meta\": 1}\n{\"meta\": {\"text\": \"two\"}, \"id\": 2}";

#[test]
fn every_form_in_one_run() {
    let workshop = workshop();
    let lines = JSONL.as_bytes();
    for (name, compression) in [
        ("a.jsonl", Compression::None),
        ("b.jsonl.gz", Compression::Gzip),
        ("c.jsonl.zst", Compression::Zstd),
        ("d.jsonl.xz", Compression::Xz),
        ("e.jsonl.bz2", Compression::Bzip2),
    ] {
        workshop.write(&format!("in/{name}"), compressed(lines, compression));
    }
    let archive =
        tar_file(&[("x/a.jsonl", lines), ("b.txt.bz2", &compressed(b"a text", Compression::Bzip2)), ("c.md", b"no")]);
    workshop.write("in/f.tar", &archive);
    workshop.write("in/g.tgz", compressed(&archive, Compression::Gzip));
    workshop.write("in/h.parquet", parquet_file(&[&[Some("词元 one"), None], &[Some("two")]]));
    workshop.write("in/i.txt", "a text");
    let encode =
        ["encode", "in", "-t", "t.json", "-o", "out", "--val", "0", "--field", "meta.text", "--id-field", "id"];
    let json = workshop.run(&[&encode[..], &["--json"]].concat()).json();
    // Five times two lines, twice two lines and a text, two rows, a text; a bad record each, and a member of no form.
    assert_eq!(json["documents"], serde_json::json!({"in": 29, "out": 19, "rejected": 10}));
    let made = manifest(&workshop, "out");
    let each: Vec<[u64; 3]> = made
        .inputs
        .iter()
        .map(|input| input.documents.unwrap())
        .map(|tally| [tally.entered, tally.left, tally.rejected])
        .collect();
    let (lines, archive) = ([3, 2, 1], [5, 3, 2]);
    assert_eq!(each, [lines, lines, lines, lines, lines, archive, archive, lines, [1, 1, 0]]);
    assert!(made.inputs.iter().all(|input| input.text_bytes.unwrap().left > 0));
    let kept = rejects(&workshop, "out");
    assert_eq!(
        (kept[0].line, &kept[0].id, kept[0].reason.as_str()),
        (3, &None, "no field `meta.text` (--field names the field of the text)")
    );
    let member = kept.iter().find(|reject| reject.file.ends_with("f.tar/c.md")).unwrap();
    assert!(member.reason.contains("--format"), "{member:?}");
    assert_eq!(kept.last().unwrap().id.as_deref(), Some("1"));
    workshop.run(&["verify", "out"]).ok();
    // The same files by a list, in another order, and the archive's members by force.
    workshop.write("list", "in/i.txt\n\nin/a.jsonl\r\nin/h.parquet\n");
    let json = workshop.run(&["count", "@list", "-t", "t.json", "--field", "meta.text", "--json"]).json();
    let names: Vec<&str> =
        json["files"].as_array().unwrap().iter().map(|file| file["file"].as_str().unwrap()).collect();
    assert_eq!(names, ["in/i.txt", "in/a.jsonl", "in/h.parquet"]);
    let json = workshop.run(&["count", "in/f.tar", "-t", "t.json", "--format", "txt", "--json"]).json();
    assert_eq!((&json["total"]["documents"], &json["total"]["rejected"]), (&3.into(), &0.into()));
    let count = ["count", "-", "-t", "t.json", "--format", "jsonl", "--field", "meta.text", "--json"];
    let json = workshop.run_with(&count, JSONL.as_bytes()).json();
    assert_eq!((&json["total"]["documents"], &json["total"]["rejected"]), (&2.into(), &1.into()));
}

#[test]
fn templates_separators_and_identifiers() {
    let workshop = workshop();
    workshop.write("a.jsonl", "{\"t\": {\"a.b\": \"题\"}, \"text\": \"文\", \"n\": 7}\n{\"text\": \"文\", \"n\": 8}\n");
    let options = ReadOptions {
        template: Some(r"{t.a\.b}\n\n{text}".to_owned()),
        id_field: Some("n".to_owned()),
        ..ReadOptions::default()
    };
    let source = Source::find(&[workshop.path("a.jsonl")], None).unwrap();
    let found: Vec<Record> = records(&source.files[0], &options).unwrap().map(Result::unwrap).collect();
    let [Record::Document(Document { text, id, .. }), Record::Reject(reject)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((text.as_str(), id.as_deref(), reject.id.as_deref()), ("题\n\n文", Some("7"), Some("8")));
    let encode = ["encode", "a.jsonl", "-t", "t.json", "-o", "out", "--template", r"{t.a\.b}\n{text}", "--val", "0"];
    workshop.run(&encode).ok();
    assert_eq!(workshop.run(&["inspect", "out", "--document", "0"]).ok(), "题\n文\n");
    workshop
        .run(&["learn", "a.jsonl", "-o", "x.json", "--template", "{text"])
        .fails(2, &["`template` is `{text`", "braces"]);
    workshop.run(&["learn", "a.jsonl", "-o", "x.json", "--field", "a..b"]).fails(2, &["`field` is `a..b`"]);

    workshop.write("b.txt", "first\nline<|end|>\nsecond<|end|>\n \n<|end|>third");
    let encode = ["encode", "b.txt", "-t", "t.json", "-o", "cut", "--val", "0", "--separator", r"<|end|>\n"];
    workshop.run(&encode).ok();
    let document = |number: &'static str| workshop.run(&["inspect", "cut", "--document", number]).ok();
    assert_eq!([document("0"), document("1")], ["first\nline\n", "second\n"]);
    assert_eq!(document("2"), " \n<|end|>third\n");
    workshop.run(&["learn", "b.txt", "-o", "x.json", "--separator", ""]).fails(2, &["`separator`"]);
}

/// Documents, their order, and the places of rejects do not depend on where units are cut.
#[test]
fn units_cut_large_files() {
    let workshop = workshop();
    let line =
        |n: usize| if n % 50 == 7 { format!("bad {n}\r\n") } else { format!("{{\"text\": \"第{n}个词元\"}}\n") };
    workshop.write("in/a.jsonl", (0..900).map(line).collect::<String>());
    let texts: Vec<String> = (0..300).map(|n| format!("第{n}个词元 in a row")).collect();
    let rows: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
    workshop.write("in/b.parquet", parquet_file(&rows.chunks(60).collect::<Vec<_>>()));
    let mut first = None;
    for (size, shards) in [("1GB", 1), ("3KB", 8), ("1KB", 20)] {
        let out = format!("out{size}");
        let encode = ["encode", "in", "-t", "t.json", "-o", &out, "--val", "0", "--unit-size", size, "--field"];
        // The column of the Parquet file, which also is the field of the lines of another run.
        workshop.run(&[&encode[..], &["meta.text"]].concat()).ok();
        let lines = format!("lines{size}");
        let encode = ["encode", "in/a.jsonl", "-t", "t.json", "-o", &lines, "--val", "0", "--unit-size", size];
        workshop.run(&encode).ok();
        workshop.run(&["verify", &lines]).ok();
        let documents = |folder: &str| {
            let corpus = Corpus::open(&workshop.path(folder), Split::Train).unwrap();
            corpus.documents().collect::<Result<Vec<_>, _>>().unwrap()
        };
        let made = manifest(&workshop, &lines);
        assert!(made.shards.len() > shards / 2, "{} shards in units of {size}", made.shards.len());
        let places: Vec<(u64, u64)> =
            rejects(&workshop, &lines).iter().map(|reject| (reject.line, reject.offset)).collect();
        assert_eq!(
            places.iter().map(|place| place.0).collect::<Vec<_>>(),
            (0..18).map(|n| 50 * n + 8).collect::<Vec<u64>>()
        );
        let found = (documents(&out), documents(&lines), places, made.inputs, made.documents);
        assert_eq!((found.0.len(), found.1.len()), (300, 882));
        assert!(*first.get_or_insert_with(|| found.clone()) == found, "units of {size}");
    }
}

#[test]
fn more_bad_records_than_allowed() {
    let workshop = workshop();
    workshop.write("a.jsonl", "{\"text\": \"good\"}\n".repeat(97) + &"bad\n".repeat(3));
    let encode = |limit: &'static str| {
        workshop.run(&["encode", "a.jsonl", "-t", "t.json", "-o", "out", "--unit-size", "300", "--max-bad", limit])
    };
    for limit in ["2", "2.9%", "0"] {
        encode(limit).fails(3, &["3 of 100 records", "--max-bad", limit]);
        assert!(!workshop.path("out/manifest.json").exists());
        assert_eq!(rejects(&workshop, "out").len(), 3);
    }
    encode("3%").ok();
    assert_eq!(manifest(&workshop, "out").documents.rejected, 3);
    encode("5%").ok();
    let learn = |limit: &'static str| workshop.run(&["learn", "a.jsonl", "-o", "x.json", "--max-bad", limit]);
    learn("2").fails(3, &["3 of 100 records"]);
    learn("3").ok();
    learn("a few").fails(2, &["whole number of records", "percentage"]);
}

/// A record of a unit that was cut otherwise is none: the unit is done again, and nothing else is left in the folder.
#[test]
fn units_of_another_cut_are_done_again() {
    let workshop = workshop();
    let bad: String =
        (0..400).map(|n| if n == 399 { "bad\n".to_owned() } else { format!("{{\"text\": \"第{n}个\"}}\n") }).collect();
    workshop.write("a.jsonl", bad);
    let encode = |out: &'static str, limit: &'static str| {
        workshop.run(&[
            "encode",
            "a.jsonl",
            "-t",
            "t.json",
            "-o",
            out,
            "--unit-size",
            "1KB",
            "--val",
            "0",
            "--max-bad",
            limit,
        ])
    };
    encode("whole", "100%").ok();
    // It ends before the manifest, with all of its units there.
    encode("out", "0").fails(3, &["1 of 400"]);
    let record = workshop.path("out/.units/000001.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replacen("\"bytes\": ", "\"bytes\": 1", 1)).unwrap();
    std::fs::write(workshop.path("out/.units/000002.json"), "{\"read\": {}, \"shards\": [], \"rejects\": false}")
        .unwrap();
    std::fs::copy(workshop.path("out/train/000000.shard"), workshop.path("out/train/000002.shard")).unwrap();
    encode("out", "100%").ok();
    assert_eq!(manifest(&workshop, "out"), manifest(&workshop, "whole"));
    workshop.run(&["verify", "out"]).ok();
}

#[test]
fn a_dictionary_is_named() {
    let workshop = workshop();
    let samples: Vec<Vec<u8>> =
        (0..2000).map(|n| format!("{{\"text\": \"第{n}个词元 and {n}\"}}\n").into_bytes()).collect();
    let dictionary = zstd::dict::from_samples(&samples, 4096).unwrap();
    let frame = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap().compress(&samples.concat()).unwrap();
    workshop.write("a.jsonl.zst", &frame);
    workshop.run(&["learn", "a.jsonl.zst", "-o", "x.json"]).fails(1, &["a.jsonl.zst", "dictionary", "zstd -d -D"]);
    // Also where only a later frame needs it.
    workshop.write("b.jsonl.zst", [zstd::encode_all(&samples[0][..], 3).unwrap(), frame].concat());
    workshop.run(&["learn", "b.jsonl.zst", "-o", "x.json"]).fails(1, &["b.jsonl.zst", "dictionary", "zstd -d -D"]);
}

/// Runs a command with so much address space.
fn run_within(workshop: &Workshop, kilobytes: u64, arguments: &str) -> (Option<i32>, String) {
    let limited = format!("ulimit -v {kilobytes}; exec {} {arguments}", env!("CARGO_BIN_EXE_ciyuan"));
    let output =
        std::process::Command::new("sh").args(["-c", &limited]).current_dir(workshop.path(".")).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
    )
}

/// What a small file unpacks to is not kept: the limit on documents is one on memory.
#[test]
fn bombs_are_bounded() {
    let workshop = workshop();
    // 640 MiB of zeros without a line end, between two good lines.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"{\"text\": \"one\"}\n").unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..640 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.write_all(b"\n{\"text\": \"two\"}\n").unwrap();
    let bomb = encoder.finish().unwrap();
    workshop.write("bomb.jsonl.gz", &bomb);
    workshop.write("bomb.txt.gz", &bomb);
    let common = "--max-document 1MB --val 0 --threads 2 --json -t t.json";
    let (code, text) = run_within(&workshop, 600_000, &format!("encode bomb.jsonl.gz -o lines {common}"));
    assert!(code == Some(0) && text.contains("{\"in\":3,\"out\":2,\"rejected\":1}"), "{code:?} {text}");
    let kept = rejects(&workshop, "lines");
    assert_eq!((kept[0].line, kept[0].offset, kept.len()), (2, 16, 1));
    assert!(kept[0].reason.contains("--max-document"), "{kept:?}");
    for (out, how) in [("file", ""), ("cut", "--separator ==")] {
        let (code, text) = run_within(&workshop, 600_000, &format!("encode bomb.txt.gz -o {out} {how} {common}"));
        assert!(code == Some(3) && text.contains("1 rejected"), "{code:?} {text}");
    }
}

/// The same of the other compressions: one stream of zeros, put behind itself.
#[test]
fn bombs_of_every_compression_are_bounded() {
    let workshop = workshop();
    let xz = |bytes: &[u8]| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let bz2 = |bytes: &[u8]| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zst = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let zeros = vec![0; 16 << 20];
    for (form, packed) in [("xz", &xz as &dyn Fn(&[u8]) -> Vec<u8>), ("bz2", &bz2), ("zst", &zst)] {
        let bomb =
            [packed(b"{\"text\": \"one\"}\n"), packed(&zeros).repeat(40), packed(b"\n{\"text\": \"two\"}\n")].concat();
        assert!(bomb.len() < 1 << 20, "{form}: {}", bomb.len());
        workshop.write(&format!("bomb.jsonl.{form}"), &bomb);
        let common = "--max-document 1MB --val 0 --threads 2 --json -t t.json";
        let (code, text) = run_within(&workshop, 600_000, &format!("encode bomb.jsonl.{form} -o {form} {common}"));
        assert!(code == Some(0) && text.contains("{\"in\":3,\"out\":2,\"rejected\":1}"), "{form}: {code:?} {text}");
        assert!(rejects(&workshop, form)[0].reason.contains("--max-document"), "{form}");
    }
}

/// Whatever byte of a Parquet file is damaged, the answer is its rows, rejects or an error.
#[test]
fn damaged_parquet_files() {
    let workshop = Workshop::new();
    let good = parquet_file(&[&[Some("词元 one"), None, Some("two")], &[Some("three")]]);
    let options = ReadOptions { field: "meta.text".to_owned(), ..ReadOptions::default() };
    let read = |bytes: &[u8]| -> ciyuan::Result<Vec<Record>> {
        let path = workshop.write("x.parquet", bytes);
        records(&Source::find(&[path], None).unwrap().files[0], &options)?.collect()
    };
    assert_eq!(read(&good).unwrap().len(), 4);
    let (mut refused, mut read_still) = (0, 0);
    for at in 0..good.len() {
        for byte in [0x00, 0x7F, 0xFF] {
            let mut bad = good.clone();
            bad[at] = byte;
            match read(&bad) {
                Ok(records) => read_still += u32::from(records.len() <= 1000),
                Err(_) => refused += 1,
            }
        }
        assert!(read(&good[..at]).is_err());
    }
    assert_eq!(refused + read_still, 3 * good.len() as u32);
    assert!(refused > 100, "{refused}");
}

/// Who names a file twice may have wanted it twice.
#[test]
fn a_file_named_twice_is_read_once_and_said() {
    let workshop = Workshop::new();
    workshop.write("in/a.txt", "词元");
    let run = |inputs: &[&str]| {
        let output = workshop.command(&[&["count", "--json"], inputs].concat()).output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["total"]["documents"].clone(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["in"]), (1.into(), String::new()));
    let (documents, said) = run(&["in/a.txt", "in"]);
    assert!(documents == 1 && said.contains("named more than once, read once: in/a.txt"), "{said}");
    assert_eq!(run(&["in/a.txt", "in", "--quiet"]), (1.into(), String::new()));
}
