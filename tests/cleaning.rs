//! Encodings, normalisation, filters and duplicates, through the command.

use std::io::Write;

use ciyuan::text::RejectLine;
use serde_json::json;

use super::common::{Random, Workshop};

/// A workshop with a tokenizer `t.json`.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let text: String = (0..40).map(|n| format!("第{n}个词元 token number {n}, and some more words.\n")).collect();
    workshop.write("good.txt", text);
    workshop.run(&["learn", "good.txt", "-o", "t.json", "--vocab-size", "400"]).ok();
    workshop
}

impl Workshop {
    /// Encodes `input` into `out` with further flags; gives what is printed.
    fn encodes(&self, input: &str, out: &str, flags: &[&str]) -> serde_json::Value {
        self.run(&[&["encode", input, "-t", "t.json", "-o", out, "--val", "0", "--json"][..], flags].concat()).json()
    }

    fn document(&self, out: &str, number: u64) -> String {
        self.run(&["inspect", out, "--document", &number.to_string()]).ok()
    }

    fn manifest(&self, out: &str) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.path(out).join("manifest.json")).unwrap()).unwrap()
    }

    fn rejects(&self, out: &str) -> Vec<RejectLine> {
        let bytes = std::fs::read(self.path(out).join("rejects.jsonl.zst")).unwrap();
        let text = zstd::stream::decode_all(&bytes[..]).unwrap();
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    }
}

const SIMPLIFIED: &str = "词元是语言模型的单位。\n语言模型学习词元，而不是汉字。\n";
const TRADITIONAL: &str = "詞元是語言模型的單位。\n語言模型學習詞元，而不是漢字。\n";

fn gb18030(text: &str) -> Vec<u8> {
    encoding_rs::GB18030.encode(text).0.into_owned()
}

fn big5(text: &str) -> Vec<u8> {
    encoding_rs::BIG5.encode(text).0.into_owned()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn files_in_every_encoding() {
    let workshop = workshop();
    workshop.write("in/a.txt", gb18030(SIMPLIFIED));
    workshop.write("in/b.txt", big5(TRADITIONAL));
    workshop.write("in/c.txt", utf16(&format!("\u{FEFF}{SIMPLIFIED}"), u16::to_le_bytes));
    workshop.write("in/d.txt", utf16(SIMPLIFIED, u16::to_be_bytes));
    workshop.write("in/e.txt", SIMPLIFIED);
    workshop.write("in/f.txt.gz", gzip(&gb18030(TRADITIONAL)));
    let json = workshop.encodes("in", "out", &["--encoding", "auto"]);
    assert_eq!(json["documents"], json!({"in": 6, "out": 6, "rejected": 0}));
    assert_eq!(json["cleaning"]["encodings"], json!({"gb18030": 2, "big5": 1, "utf-16": 2}));
    for (number, text) in [SIMPLIFIED, TRADITIONAL, SIMPLIFIED, SIMPLIFIED, SIMPLIFIED, TRADITIONAL].iter().enumerate()
    {
        assert_eq!(workshop.document("out", number as u64), format!("{text}\n"));
    }
    assert_eq!(workshop.manifest("out")["settings"]["encoding"], "auto");
    // Without being asked, UTF-8 alone is text.
    let json = workshop.encodes("in", "plain", &[]);
    assert_eq!(json["documents"], json!({"in": 6, "out": 1, "rejected": 5}));
    assert!(workshop.manifest("plain")["settings"].get("encoding").is_none());
    // Said, not detected.
    for (file, encoding, text) in
        [("in/a.txt", "gb18030", SIMPLIFIED), ("in/b.txt", "big5", TRADITIONAL), ("in/c.txt", "utf-16", SIMPLIFIED)]
    {
        workshop.encodes(file, encoding, &["--encoding", encoding]);
        assert_eq!(workshop.document(encoding, 0), format!("{text}\n"));
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Lines of a file in different encodings; places of what is rejected are those of the file.
#[test]
fn lines_of_other_encodings() {
    let workshop = workshop();
    let line = |text: &str| format!("{{\"text\": \"{text}\"}}\n");
    let one = "词元是语言模型的单位，模型学习它们。";
    let first = line(one).into_bytes();
    let second = gb18030(&line(one));
    let mut bad = gb18030(&line("今天天气很好，我们去公园散步。"));
    // Before the last character but one.
    let at = bad.len() - 7;
    bad.insert(at, 0xFF);
    workshop.write("mixed.jsonl", [&first[..], &second, &bad, &first].concat());
    let json = workshop.encodes("mixed.jsonl", "out", &["--encoding", "auto"]);
    assert_eq!(json["documents"], json!({"in": 4, "out": 3, "rejected": 1}));
    assert_eq!((0..3).map(|number| workshop.document("out", number)).collect::<Vec<_>>(), vec![format!("{one}\n"); 3]);
    let rejects = workshop.rejects("out");
    assert_eq!((rejects[0].line, rejects[0].offset as usize), (3, first.len() + second.len() + at));
    assert!(rejects[0].raw_base64.is_some());
    // Replaced, and counted; too many are a reason to reject.
    let json = workshop.encodes("mixed.jsonl", "replaced", &["--encoding", "auto", "--on-invalid-utf8", "replace"]);
    assert_eq!(json["documents"]["out"], 4);
    assert_eq!(workshop.manifest("replaced")["repaired_bytes"], 1);
    let few = ["--encoding", "auto", "--on-invalid-utf8", "skip", "--max-invalid", "0.001"];
    assert_eq!(workshop.encodes("mixed.jsonl", "few", &few)["documents"]["rejected"], 1);
    assert!(workshop.rejects("few")[0].reason.contains("--max-invalid"));
}

#[test]
fn half_a_pair_is_an_invalid_byte() {
    let workshop = workshop();
    let text = [utf16("词", u16::to_le_bytes), vec![0x00, 0xD8], utf16("元 tokens", u16::to_le_bytes)].concat();
    workshop.write("a.txt", text);
    let flags = ["--encoding", "utf-16", "--on-invalid-utf8"];
    assert_eq!(workshop.encodes("a.txt", "out", &[&flags[..], &["replace"]].concat())["documents"]["out"], 1);
    assert_eq!(workshop.document("out", 0), "词\u{FFFD}元 tokens\n");
    workshop
        .run(&[&["encode", "a.txt", "-t", "t.json", "-o", "no"][..], &flags, &["reject"]].concat())
        .fails(3, &["1 rejected"]);
}

#[test]
fn normalisation_is_counted() {
    let workshop = workshop();
    workshop.write("a.txt", "ＧＰＴ－４，词\u{200B}元　e\u{301}\r\n");
    workshop.encodes("a.txt", "plain", &[]);
    assert_eq!(workshop.document("plain", 0), "ＧＰＴ－４，词\u{200B}元　e\u{301}\r\n\n");
    assert!(workshop.manifest("plain").get("cleaning").is_none());
    let json = workshop.encodes("a.txt", "out", &["--normalize", "nfc,full-width,crlf,ideographic-space,zero-width"]);
    assert_eq!(workshop.document("out", 0), "GPT－4，词元 é\n\n");
    let changed = |characters| json!({"documents": 1, "characters": characters});
    assert_eq!(
        json["cleaning"]["normalized"],
        json!({"crlf": changed(1), "full-width": changed(4), "ideographic-space": changed(1), "zero-width": changed(1), "nfc": changed(2)})
    );
    // 4 characters of 3 bytes became 1 each, the space too; ZWSP took 3, CR 1, and é one of three.
    assert_eq!(json["bytes"], json!({"in": 35, "out": 20, "rejected": 0, "removed": 15}));
    let manifest = workshop.manifest("out");
    assert_eq!(
        manifest["settings"]["normalize"],
        json!(["crlf", "full-width", "ideographic-space", "zero-width", "nfc"])
    );
    workshop.run(&["encode", "a.txt", "-t", "t.json", "-o", "out", "--normalize", "nfc"]).fails(1, &["normalize"]);
    workshop
        .run(&["encode", "a.txt", "-t", "t.json", "-o", "x", "--normalize", "nfkc"])
        .fails(2, &["nfkc", "full-width"]);
    assert_eq!(workshop.run(&["verify", "out"]).ok().lines().count(), 1);
}

#[test]
fn filters_say_why() {
    let workshop = workshop();
    let lines = [
        "词元是语言模型的单位。",
        "only English words here",
        "短",
        "电话13812345678，词元词元",
        "锟斤拷锟斤拷锟斤拷词元词元",
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    workshop.write("a.txt", text);
    let flags = ["--txt-documents", "lines", "--min-han", "0.3", "--min-characters", "2", "--reject-mojibake"];
    let json = workshop.encodes("a.txt", "out", &[&flags[..], &["--personal-data", "mask"]].concat());
    assert_eq!(json["documents"], json!({"in": 5, "out": 2, "rejected": 0, "filtered": 3}));
    assert_eq!(json["cleaning"]["filtered"], json!({"han-share": 1, "too-short": 1, "mojibake": 1}));
    assert_eq!(json["cleaning"]["masked"], json!({"documents": 1, "characters": 11}));
    assert_eq!(workshop.document("out", 1), "电话***********，词元词元\n");
    let rejects: Vec<(u64, Option<String>, String)> =
        workshop.rejects("out").into_iter().map(|line| (line.line, line.raw, line.reason)).collect();
    assert_eq!(rejects.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [2, 3, 5]);
    assert_eq!(rejects[0].1.as_deref(), Some(lines[1]));
    assert_eq!(rejects[0].2, "filtered by han-share: a share of 0.0000 of Han characters, at least 0.3 (--min-han)");
    // What is left out is nothing that would end the work, and learning sees the same texts.
    workshop.encodes("a.txt", "fail", &[&flags[..], &["--on-bad-record", "fail"]].concat());
    let learned = workshop
        .run(&[&["learn", "a.txt", "-o", "x.json", "--vocab-size", "300", "--json"][..], &flags].concat())
        .json();
    assert_eq!(learned["documents"], json!({"in": 5, "out": 2, "rejected": 0, "filtered": 3}));
    let counted = workshop.run(&[&["count", "a.txt", "-t", "t.json", "--json"][..], &flags].concat()).json();
    assert_eq!((&counted["total"]["documents"], &counted["total"]["left_out"]), (&json!(2), &json!(3)));
    workshop.run(&["encode", "a.txt", "-t", "t.json", "-o", "y", "--min-han", "2"]).fails(2, &["from 0 to 1"]);
}

/// The first of equal texts stays, whatever the threads, the units and their order on the way; equal is said of the texts
/// as they would be used.
#[test]
fn duplicates() {
    let workshop = workshop();
    let mut random = Random(7);
    let (mut texts, mut expected) = (Vec::new(), Vec::new());
    for file in 0..6 {
        let lines: Vec<String> = (0..300).map(|_| format!("第{}个词元", random.below(700))).collect();
        // In full width in every second file.
        let wide =
            |c: char| if file % 2 == 1 && c.is_ascii_digit() { char::from_u32(c as u32 + 0xFEE0).unwrap() } else { c };
        workshop.write(&format!("in/{file}.txt"), lines.join("\n").chars().map(wide).collect::<String>());
        texts.extend(lines);
    }
    for text in &texts {
        if !expected.contains(text) {
            expected.push(text.clone());
        }
    }
    let flags = ["--txt-documents", "lines", "--deduplicate", "--normalize", "full-width"];
    let one = workshop.encodes("in", "one", &[&flags[..], &["--threads", "1"]].concat());
    assert_eq!(
        one["documents"],
        json!({"in": 1800, "out": expected.len(), "rejected": 0, "deduplicated": 1800 - expected.len()})
    );
    // Units smaller than a file, which are cut into parts.
    let many = workshop.encodes("in", "many", &[&flags[..], &["--threads", "3", "--unit-size", "2KB"]].concat());
    assert_eq!(many["documents"], one["documents"]);
    for number in [0, 1, expected.len() / 2, expected.len() - 1] {
        for out in ["one", "many"] {
            assert_eq!(workshop.document(out, number as u64), format!("{}\n", expected[number]));
        }
    }
    let rejects = workshop.rejects("many");
    assert_eq!(rejects.len(), 1800 - expected.len());
    assert!(rejects.iter().all(|line| line.reason.contains("stands earlier") && line.raw.is_none()));
    let left: Vec<String> = std::fs::read_dir(workshop.path("one"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}

/// In archives, whose members may have the same name, and in standard input, which is kept for the second look.
#[test]
fn duplicates_in_archives_and_standard_input() {
    let workshop = workshop();
    let texts = [["一", "二", "三"], ["二", "四", "四"], ["五", "一", "六"]].map(|lines| lines.join("\n") + "\n");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in ["b.txt", "a/a.txt", "b.txt"].iter().zip(&texts) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    workshop.write("in/x.tar", archive.into_inner().unwrap());
    workshop.write("in/y.txt", "六\n七\n");
    workshop.write("in/a.txt", "八\n");
    let flags = ["--txt-documents", "lines", "--deduplicate"];
    let shown = workshop.encodes("in", "out", &flags);
    assert_eq!(shown["documents"], json!({"in": 12, "out": 8, "rejected": 0, "deduplicated": 4}));
    let documents: Vec<String> = (0..8).map(|number| workshop.document("out", number)).collect();
    assert_eq!(documents, ["八", "一", "二", "三", "四", "五", "六", "七"].map(|text| format!("{text}\n")));
    let places: Vec<(String, u64)> =
        workshop.rejects("out").into_iter().map(|reject| (reject.file, reject.line)).collect();
    let place = |name: &str, line: u64| (format!("in/{name}"), line);
    assert_eq!(
        places,
        [place("x.tar/a/a.txt", 1), place("x.tar/a/a.txt", 3), place("x.tar/b.txt", 2), place("y.txt", 1)]
    );
    // By ranks, which find the duplicates once for all.
    let plan = ["plan", "in", "-t", "t.json", "-o", "ranks", "--val", "0"];
    workshop.run(&[&plan[..], &flags].concat()).ok();
    for rank in ["0", "1"] {
        workshop.run(&["run", "ranks", "--rank", rank, "--world-size", "2"]).ok();
    }
    workshop.run(&["merge", "ranks"]).ok();
    assert_eq!(workshop.manifest("ranks")["documents"], workshop.manifest("out")["documents"]);

    let all = texts.concat();
    let piped = [&["encode", "-", "-t", "t.json", "-o", "piped", "--val", "0", "--json"][..], &flags].concat();
    let shown = workshop.run_with(&piped, all.as_bytes()).json();
    assert_eq!(shown["documents"], json!({"in": 9, "out": 6, "rejected": 0, "deduplicated": 3}));
    for (number, text) in ["一", "二", "三", "四", "五", "六"].iter().enumerate() {
        assert_eq!(workshop.document("piped", number as u64), format!("{text}\n"));
    }
    assert!(workshop.rejects("piped").iter().all(|reject| reject.file == "-"));
    for out in ["out", "piped"] {
        let mut left = std::fs::read_dir(workshop.path(out)).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(left.all(|name| !name.to_string_lossy().ends_with(".tmp")));
    }
    let counted = workshop.run_with(&[&["count", "-", "--json"][..], &flags].concat(), all.as_bytes()).json();
    assert_eq!((&counted["total"]["documents"], &counted["total"]["left_out"]), (&json!(6), &json!(3)));
    let shown = workshop.run_with(&[&["inspect", "-", "--json"][..], &flags].concat(), all.as_bytes()).json();
    assert_eq!((&shown["documents"]["out"], &shown["duplicates"]), (&json!(6), &json!(3)));
    workshop
        .run_with(&[&["learn", "-", "-o", "l.json", "--vocab-size", "280"][..], &flags].concat(), all.as_bytes())
        .ok();
}

#[test]
fn a_corpus_is_shown() {
    let workshop = workshop();
    workshop.write("in/a.jsonl", "{\"text\": \"词元 one\"}\n{\"text\": \"词元 one\"}\nbroken\n{\"text\": \"x\"}\n");
    workshop.write("in/b.txt", gb18030(SIMPLIFIED));
    let flags = ["--encoding", "auto", "--min-characters", "2"];
    let json = workshop.run(&[&["inspect", "in", "--json"][..], &flags].concat()).json();
    assert_eq!(json["documents"], json!({"in": 5, "out": 3, "rejected": 1, "filtered": 1}));
    assert_eq!((&json["duplicates"], &json["encodings"]), (&json!(1), &json!({"utf-8": 3, "gb18030": 1})));
    assert_eq!(json["rejected"], json!({"invalid JSON": 1}));
    assert_eq!(json["samples"].as_array().unwrap().len(), 3);
    assert_eq!(json["longest"]["file"], "in/b.txt");
    let text = workshop.run(&[&["inspect", "in", "--samples", "1"][..], &flags].concat()).ok();
    for row in
        ["documents    5 in = 3 out + 1 rejected + 1 filtered", "duplicates   1", "utf-8 3", "filtered by too-short: 1"]
    {
        assert!(text.contains(row), "{row}: {text}");
    }
    let again = workshop.run(&[&["inspect", "in", "--samples", "1", "--threads", "1"][..], &flags].concat()).ok();
    assert_eq!(text, again);
    assert!(workshop.run_with(&["inspect", "-"], "词元\n".as_bytes()).ok().contains("duplicates   not known"));
    assert!(workshop.run(&["inspect", "in/*.jsonl"]).ok().contains("files        1"));
}

/// A tokenizer is learned from the texts that are encoded, and prepare does both.
#[test]
fn prepare_cleans_once_for_all() {
    let workshop = workshop();
    let text: String = (0..60).map(|n| format!("第{n}个词元　ＧＰＴ number {n}，and some more words.\n")).collect();
    workshop.write("in/a.txt", gb18030(&text));
    workshop.write("in/b.txt", gb18030(&text));
    let small =
        ["--steps", "2", "--context", "16", "--width", "16", "--heads", "2", "--vocab-size", "300", "--val", "0"];
    let flags = ["--encoding", "auto", "--deduplicate", "--normalize", "full-width,ideographic-space"];
    let report = workshop.run(&[&["prepare", "in", "-o", "out", "--json"][..], &small, &flags].concat()).json();
    assert_eq!(report["input"]["documents"], json!({"in": 2, "out": 1, "rejected": 0, "deduplicated": 1}));
    assert_eq!(report["input"]["cleaning"]["encodings"], json!({"gb18030": 2}));
    let expected = text.replace('　', " ").replace("ＧＰＴ", "GPT");
    assert_eq!(workshop.document("out", 0), format!("{expected}\n"));
    // Run again, it is complete; with other settings it is another.
    workshop.run(&[&["prepare", "in", "-o", "out", "--json"][..], &small, &flags].concat()).ok();
    workshop.run(&[&["prepare", "in", "-o", "out"][..], &small, &flags[..3]].concat()).fails(1, &["normalize"]);
}

/// Settings files know the new flags, and lists in them.
#[test]
fn settings_files() {
    let workshop = workshop();
    workshop.write("a.txt", "ＧＰＴ　词元");
    workshop
        .write("s.toml", "normalize = [\"full-width\", \"ideographic-space\"]\nmin-han = 0.1\nencoding = \"auto\"\n");
    workshop.encodes("a.txt", "out", &["--config", "s.toml"]);
    assert_eq!(workshop.document("out", 0), "GPT 词元\n");
    let printed =
        workshop.run(&["encode", "a.txt", "-t", "t.json", "-o", "x", "--config", "s.toml", "--print-config"]).ok();
    assert!(
        printed.contains("normalize = [\"full-width\", \"ideographic-space\"]") && printed.contains("min-han = 0.1"),
        "{printed}"
    );
}

/// What a tokenizer's file can say of the normalisation it was learned with stands there, and Hugging Face's library does
/// the same with it.
#[test]
fn normalisation_travels_with_the_tokenizer() {
    let workshop = workshop();
    let text = "e\u{301}te\u{301}　词元 ＧＰＴ\r\n".repeat(30);
    workshop.write("a.txt", &text);
    let ran = workshop
        .command(&[
            "learn",
            "a.txt",
            "-o",
            "n.json",
            "--vocab-size",
            "300",
            "--normalize",
            "nfc,full-width,ideographic-space",
        ])
        .output()
        .unwrap();
    let notes = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && notes.contains("cannot hold the normalisation full-width"), "{notes}");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(workshop.path("n.json")).unwrap()).unwrap();
    let space = json!({"type": "Replace", "pattern": {"String": "\u{3000}"}, "content": " "});
    assert_eq!(file["normalizer"], json!({"type": "Sequence", "normalizers": [space, {"type": "NFC"}]}));
    let ours = ciyuan::pipeline::load_tokenizer(&workshop.path("n.json"), None, &[]).unwrap();
    let theirs = tokenizers::Tokenizer::from_file(workshop.path("n.json")).unwrap();
    let ids = ours.encode(&text).unwrap();
    assert_eq!(ids, theirs.encode(text.as_str(), false).unwrap().get_ids());
    assert!(ours.decode(&ids).unwrap().starts_with("été 词元 ＧＰＴ\r\n".as_bytes()));
    // Text that is normalised so already is encoded as it is; other text would change, and is refused.
    let flags = ["--normalize", "nfc,ideographic-space"];
    workshop.run(&[&["encode", "a.txt", "-t", "n.json", "-o", "out"][..], &flags].concat()).ok();
    workshop.run(&["encode", "a.txt", "-t", "n.json", "-o", "other"]).fails(3, &["a.txt"]);
}

/// Simplified and traditional Chinese, where the build can; else a setting that says what is missing.
#[test]
fn conversion() {
    let workshop = workshop();
    workshop.write("a.txt", TRADITIONAL);
    let flags = ["encode", "a.txt", "-t", "t.json", "-o", "out", "--val", "0", "--convert", "t2s", "--json"];
    if cfg!(feature = "opencc") {
        let json = workshop.run(&flags).json();
        assert_eq!(workshop.document("out", 0), format!("{SIMPLIFIED}\n"));
        let characters = SIMPLIFIED.chars().zip(TRADITIONAL.chars()).filter(|(one, other)| one != other).count();
        assert_eq!(json["cleaning"]["converted"], json!({"documents": 1, "characters": characters}));
    } else {
        workshop.run(&flags).fails(1, &["opencc"]);
    }
}
