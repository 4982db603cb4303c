//! Bad input: each case ends in an error that names the place and the remedy, or is accounted for.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ciyuan::text::RejectLine;

use super::common::Workshop;

/// A workshop with a tokenizer `t.json` and a few good documents in `good/`.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let text: String = (0..40).map(|n| format!("第{n}个词元 token number {n}, and some more words.\n")).collect();
    for n in 0..12 {
        workshop.write(&format!("good/{n:02}.txt"), format!("{n} {text}"));
    }
    workshop.run(&["learn", "good", "-o", "t.json", "--vocab-size", "400"]).ok();
    workshop
}

/// The quarantine of an output folder.
fn rejects(workshop: &Workshop, out: &str) -> Vec<RejectLine> {
    let bytes = std::fs::read(workshop.path(out).join("rejects.jsonl.zst")).unwrap();
    let text = zstd::stream::decode_all(&bytes[..]).unwrap();
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The model of a second or less.
const SMALL: [&str; 8] = ["--steps", "3", "--context", "16", "--width", "16", "--heads", "2"];
/// Enough to hold some of the twelve documents out.
const HELD_OUT: [&str; 2] = ["--val", "0.3"];

#[test]
fn files_that_are_not_there() {
    let workshop = workshop();
    for command in [
        &["prepare", "none", "-o", "out"][..],
        &["learn", "none.txt", "-o", "x.json"],
        &["encode", "*.none", "-t", "t.json", "-o", "out"],
    ] {
        workshop.run(command).fails(1, &["no such file or folder", "none", "check the name"]);
    }
    workshop
        .run(&["encode", "good", "-t", "none.json", "-o", "out"])
        .fails(1, &["no such file or folder", "none.json"]);
    workshop.run(&["verify", "none"]).fails(1, &["none"]);
    workshop.run(&["train", "good", "-o", "m"]).fails(1, &["tokenizer.json"]);
    workshop.run(&["segment", "none.txt"]).fails(1, &["none.txt"]);
}

#[test]
fn folders_without_text() {
    let workshop = workshop();
    std::fs::create_dir(workshop.path("empty")).unwrap();
    workshop.write("notes/readme.md", "x");
    workshop.run(&["learn", "empty", "-o", "x.json"]).fails(1, &["`empty` holds no file", ".txt", "0 other"]);
    workshop.run(&["prepare", "notes", "-o", "out"]).fails(1, &["`notes` holds no file", "1 other"]);
    workshop.run(&["learn", "notes/readme.md", "-o", "x.json"]).fails(2, &["cannot tell the form", "--format"]);
    workshop.run(&["learn", "notes/readme.md", "-o", "x.json", "--format", "txt", "--vocab-size", "257"]).ok();
}

#[test]
fn empty_files_are_counted_as_rejects() {
    let workshop = workshop();
    workshop.write("empty/a.txt", "");
    workshop.write("empty/b.jsonl", "\n\n");
    workshop.run(&["learn", "empty", "-o", "x.json"]).fails(3, &["no document with text", "1 rejected"]);
    workshop.write("good/empty.txt", "");
    let json = workshop.run(&["encode", "good", "-t", "t.json", "-o", "out", "--json"]).json();
    assert_eq!(json["documents"], serde_json::json!({"in": 13, "out": 12, "rejected": 1}));
    let rejects = rejects(&workshop, "out");
    assert_eq!((rejects[0].reason.as_str(), rejects[0].file.as_str()), ("empty document", "good/empty.txt"));
}

#[test]
fn unreadable_files() {
    let workshop = workshop();
    // Root may read everything; reading one's own memory at address 0 fails for everybody.
    std::os::unix::fs::symlink("/proc/self/mem", workshop.path("unreadable.txt")).unwrap();
    workshop.run(&["learn", "unreadable.txt", "-o", "x.json"]).fails(1, &["cannot read `unreadable.txt`"]);
    workshop.write("cut.txt.gz", [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B]);
    workshop.run(&["learn", "cut.txt.gz", "-o", "x.json"]).fails(1, &["cannot read `cut.txt.gz`"]);
    // A link inside a folder is not followed, and what is no file is not waited for; both are named.
    std::os::unix::fs::symlink(workshop.path("good"), workshop.path("good/loop.txt")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(workshop.path("good/socket.txt")).unwrap();
    let report = workshop.run(&[&["prepare", "good", "-o", "out", "--json"][..], &SMALL].concat()).json();
    assert_eq!(report["input"]["skipped"], serde_json::json!(["good/loop.txt", "good/socket.txt"]));
}

#[test]
fn outputs_in_the_wrong_place() {
    let workshop = workshop();
    workshop.write("file", "x");
    workshop.run(&["prepare", "good", "-o", "file"]).fails(1, &["`file` is a file, a folder is needed"]);
    workshop.run(&["learn", "good", "-o", "good"]).fails(1, &["is a folder; name a file in it"]);
    // Before anything is read, so that the work is not lost.
    for flags in
        [&["-o", "none/t.json"][..], &["-o", "new.json", "--save-counts", "none/c"], &["--save-counts", "none/c"]]
    {
        let learn = [&["learn", "good"][..], flags].concat();
        workshop.run(&learn).fails(1, &["none/", "lies in a folder that is not there; make that first"]);
        assert!(!workshop.path("new.json").exists() && !workshop.path("new.json.tmp").exists());
    }
    workshop.run(&["encode", "good", "-t", "t.json", "-o", "good/out"]).fails(1, &["lies inside an input folder"]);
    workshop.run(&["prepare", ".", "-o", "out"]).fails(1, &["lies inside an input folder"]);
    workshop.run(&["prepare", "good/00.txt", "good/01.txt", "-o", "good"]).fails(1, &["holds an input file"]);
    workshop.run(&["encode", "good", "-t", "t.json", "-o", "file/out"]).fails(1, &["a part of this path is a file"]);
    assert!(!workshop.path("good/out").exists());
}

#[test]
fn invalid_utf8() {
    let workshop = workshop();
    workshop.write("bad/a.txt", b"good \xFF\xFE bad \xE4\xB8\n");
    workshop.write("bad/b.jsonl", b"{\"text\": \"one\"}\n{\"text\": \"tw\xFFo\"}\n{\"text\": \"three\"}\n");
    let encode = |out: &'static str, policy: &'static str| {
        workshop
            .run(&["encode", "bad", "-t", "t.json", "-o", out, "--val", "0", "--on-invalid-utf8", policy, "--json"])
            .json()
    };
    assert_eq!(encode("reject", "reject")["documents"], serde_json::json!({"in": 4, "out": 2, "rejected": 2}));
    let kept = rejects(&workshop, "reject");
    assert_eq!((kept[0].file.as_str(), kept[0].line, kept[0].offset, &kept[0].raw_base64), ("bad/a.txt", 0, 5, &None));
    assert_eq!((kept[1].file.as_str(), kept[1].line, kept[1].offset), ("bad/b.jsonl", 2, 28));
    assert_eq!(kept[1].raw_base64.as_deref(), Some("eyJ0ZXh0IjogInR3/28ifQ=="));
    assert!(kept[1].reason.contains("invalid UTF-8"));

    assert_eq!(encode("replace", "replace")["documents"]["out"], 4);
    assert_eq!(workshop.run(&["inspect", "replace", "--document", "0"]).ok(), "good \u{FFFD}\u{FFFD} bad \u{FFFD}\n\n");
    assert_eq!(encode("skip", "skip")["documents"]["out"], 4);
    assert_eq!(workshop.run(&["inspect", "skip", "--document", "0"]).ok(), "good  bad \n\n");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(workshop.path("skip/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["repaired_bytes"], 5);

    let fail = ["encode", "bad", "-t", "t.json", "-o", "fail", "--on-bad-record", "fail"];
    workshop.run(&fail).fails(3, &["bad/a.txt", "byte 5", "invalid UTF-8", "quarantine"]);
    workshop.run_with(&["tokenize", "-t", "t.json"], b"ab\xFF").fails(3, &["`-`", "byte 2", "invalid UTF-8"]);
    workshop.run_with(&["segment"], b"ok\n\xFF\n").fails(3, &["line 2", "byte 3"]);
}

#[test]
fn bad_lines_of_jsonl_do_not_cost_their_neighbours() {
    let workshop = workshop();
    let lines = [
        r#"{"text": "first"}"#,
        r#"{"text": "cut"#,
        r#"{"body": "no text"}"#,
        r#"{"text": null}"#,
        r#"{"text": ["list"]}"#,
        r#"[1, 2]"#,
        r#"{"text": ""}"#,
        "   ",
        r#"{"text": "\ud800"}"#,
        r#"{"text": "last"}"#,
    ];
    workshop.write("bad.jsonl", lines.join("\r\n") + "\r\n");
    let json = workshop.run(&["encode", "bad.jsonl", "-t", "t.json", "-o", "out", "--val", "0", "--json"]).json();
    assert_eq!(json["documents"], serde_json::json!({"in": 9, "out": 2, "rejected": 7}));
    assert_eq!(json["bytes"]["out"], 9);
    let kept = rejects(&workshop, "out");
    let places: Vec<u64> = kept.iter().map(|reject| reject.line).collect();
    assert_eq!(places, [2, 3, 4, 5, 6, 7, 9]);
    let offset = |line: usize| lines[..line].iter().map(|line| line.len() as u64 + 2).sum::<u64>();
    assert_eq!(kept[1].offset, offset(2));
    assert_eq!(kept[1].raw.as_deref(), Some("{\"body\": \"no text\"}\r"));
    for (reject, reason) in kept.iter().zip([
        "invalid JSON",
        "no field `text`",
        "null",
        "an array",
        "not an object",
        "empty",
        "invalid JSON",
    ]) {
        assert!(reject.reason.contains(reason), "{reason}: {reject:?}");
    }
    assert_eq!(workshop.run(&["inspect", "out", "--document", "1"]).ok(), "last\n");
    let json = workshop
        .run(&["encode", "bad.jsonl", "-t", "t.json", "-o", "skip", "--on-bad-record", "skip", "--json"])
        .json();
    assert_eq!(json["documents"]["rejected"], 7);
    assert!(!workshop.path("skip/rejects.jsonl.zst").exists());
    let fail = ["learn", "bad.jsonl", "-o", "x.json", "--on-bad-record", "fail"];
    workshop.run(&fail).fails(3, &["bad.jsonl", "line 2", "invalid JSON"]);
}

#[test]
fn odd_characters_are_text() {
    let workshop = workshop();
    let text = "a\0b\rc\u{FEFF}d\u{2028}e\u{FFFE}\r\n";
    workshop.write("odd/a.txt", text);
    workshop.write("odd/bom.txt", format!("\u{FEFF}{text}"));
    workshop.write("odd/bom.jsonl", "\u{FEFF}{\"text\": \"x\"}\n");
    let json = workshop.run(&["encode", "odd", "-t", "t.json", "-o", "out", "--val", "0", "--json"]).json();
    assert_eq!(json["documents"]["out"], 3);
    let document = |number: &'static str| workshop.run(&["inspect", "out", "--document", number]).ok();
    assert_eq!(
        [document("0"), document("1"), document("2")],
        [format!("{text}\n"), "x\n".to_owned(), format!("{text}\n")]
    );
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(workshop.path("out/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["byte_order_marks"], 2);
}

#[test]
fn one_line_of_50_megabytes() {
    let workshop = workshop();
    let long = "词元 and tokens, ".repeat(50_000_000 / 19);
    workshop.write("long.txt", &long);
    let json = workshop.run(&["encode", "long.txt", "-t", "t.json", "-o", "out", "--val", "0", "--json"]).json();
    assert_eq!(json["bytes"]["out"].as_u64().unwrap(), long.len() as u64);
    workshop.run(&["verify", "out"]).ok();
    // A line that is longer than allowed is rejected, its neighbours are kept.
    workshop.write("lines.txt", format!("one\n{long}\ntwo\n"));
    let limited = [
        "encode",
        "lines.txt",
        "-t",
        "t.json",
        "-o",
        "lines",
        "--txt-documents",
        "lines",
        "--max-document",
        "1MB",
        "--val",
        "0",
        "--json",
    ];
    let json = workshop.run(&limited).json();
    assert_eq!(json["documents"], serde_json::json!({"in": 3, "out": 2, "rejected": 1}));
    let kept = rejects(&workshop, "lines");
    assert_eq!((kept[0].line, kept[0].offset, kept[0].raw.as_ref().unwrap().len()), (2, 4, 1024));
    assert!(kept[0].reason.contains("--max-document"));
}

#[test]
fn patterns_that_are_none() {
    let workshop = workshop();
    workshop
        .run(&["learn", "good", "-o", "x.json", "--pattern", "gpt5"])
        .fails(2, &["unknown pattern `gpt5`", "cl100k", "regex:gpt5"]);
    workshop.run(&["learn", "good", "-o", "x.json", "--pattern", "[a-"]).fails(2, &["`[a-` does not compile"]);
    workshop.write("run.txt", format!("{}b", "a".repeat(80)));
    let message = workshop
        .run(&["learn", "run.txt", "-o", "x.json", "--pattern", "(a|aa)+(?!x)$|."])
        .fails(1, &["run.txt", "byte 0", "backtracking"]);
    assert!(message.contains("simplify"), "{message}");
    assert!(!workshop.path("x.json").exists());
}

#[test]
fn negative_numbers_are_values() {
    let workshop = workshop();
    workshop
        .run(&["encode", "good", "-t", "t.json", "-o", "out", "--val", "-0.1"])
        .fails(2, &["`val` is -0.1", "from 0"]);
    workshop.run(&["train", "out", "-o", "m", "--steps", "-5"]).fails(2, &["invalid value '-5'", "--steps"]);
}

#[test]
fn vocabularies_that_cannot_be() {
    let workshop = workshop();
    workshop.run(&["learn", "good", "-o", "x.json", "--vocab-size", "256"]).fails(2, &["256 is too small", "need 257"]);
    workshop.run(&["prepare", "good", "-o", "out", "--vocab-size", "10"]).fails(2, &["10 is too small"]);
    workshop.run(&["learn", "good", "-o", "x.json", "--vocab-size", "many"]).fails(2, &["auto"]);
    let ran = workshop.run(&["learn", "good", "-o", "x.json", "--vocab-size", "50000"]);
    let text = ran.ok();
    assert!(text.contains("no more tokens than these") && text.contains(" merges\n"), "{text}");
    let json = workshop.run(&["learn", "good", "-o", "x.json", "--vocab-size", "50000", "--json"]).json();
    assert_eq!(
        (json["exhausted"].as_bool(), json["merges"].as_u64().unwrap() + 257),
        (Some(true), json["vocab_size"].as_u64().unwrap())
    );
    workshop.run(&["learn", "good", "-o", "x.json", "--special", "<|a|>,<|a|>"]).fails(3, &["twice"]);
}

#[test]
fn special_tokens_in_text_are_ordinary() {
    let workshop = workshop();
    workshop.write("special.txt", "a<|endoftext|>b");
    workshop.run(&["encode", "special.txt", "-t", "t.json", "-o", "out", "--val", "0"]).ok();
    let json = workshop.run(&["inspect", "out", "--document", "0", "--json"]).json();
    assert_eq!(json["text"], "a<|endoftext|>b");
    let end = workshop.run(&["inspect", "t.json", "--json"]).json()["special"]["<|endoftext|>"].clone();
    assert!(end.is_u64() && !json["ids"].as_array().unwrap().contains(&end));
    let allowed = workshop.run(&["tokenize", "-t", "t.json", "--allow-special", "all", "special.txt", "--json"]).json();
    assert!(allowed["ids"].as_array().unwrap().contains(&end));
    workshop
        .run_with(&["tokenize", "-t", "t.json", "--allow-special", "<|end|>"], b"x")
        .fails(2, &["`<|end|>` is no special token", "<|endoftext|>"]);
}

#[test]
fn damaged_outputs_are_found() {
    let workshop = workshop();
    workshop.run(&[&["prepare", "good", "-o", "out"][..], &SMALL, &HELD_OUT].concat()).ok();
    workshop.run(&["verify", "out"]).ok();
    let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>), code: i32, says: &[&str]| {
        let path = workshop.path("out").join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        change(&mut bad);
        std::fs::write(&path, bad).unwrap();
        workshop.run(&["verify", "out"]).fails(code, says);
        std::fs::write(&path, good).unwrap();
    };
    let flip = |at: usize| move |bytes: &mut Vec<u8>| bytes[at] ^= 1;
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    damage("train/000000.shard", &flip(4100), 3, &["000000.shard", "damaged ids in bytes 4096.."]);
    damage("train/000000.shard", &flip(45), 3, &["000000.shard", "damaged header"]);
    damage("train/000000.shard", &flip(0), 3, &["not a ciyuan shard"]);
    damage("train/000000.shard", &cut, 3, &["000000.shard", "cut off"]);
    damage("train/000000.shard", &|bytes| bytes.clear(), 3, &["too few for a shard"]);
    damage("manifest.json", &flip(300), 3, &["manifest.json"]);
    damage("manifest.json", &cut, 0, &[]); // the last newline is no part of it
    damage("tokenizer.json", &|bytes| bytes.truncate(bytes.len() / 2), 3, &["tokenizer.json", "not a tokenizer.json"]);
    damage("model/model.safetensors", &flip(5000), 3, &["model.safetensors", "changed after it was written"]);
    damage("model/config.json", &|bytes| bytes.truncate(20), 3, &["config.json"]);
    // Another tokenizer, valid in itself.
    let other = std::fs::read(workshop.path("t.json")).unwrap();
    damage("tokenizer.json", &|bytes| bytes.clone_from(&other), 3, &["was made with tokenizer"]);
    std::fs::remove_file(workshop.path("out/val/000000.shard")).unwrap();
    workshop.run(&["verify", "out"]).fails(1, &["val/000000.shard"]);
}

#[test]
fn shards_of_another_tokenizer() {
    let workshop = workshop();
    workshop.run(&[&["prepare", "good", "-o", "out", "--vocab-size", "300"][..], &SMALL, &HELD_OUT].concat()).ok();
    workshop.run(&[&["prepare", "good", "-o", "other", "--vocab-size", "320"][..], &SMALL, &HELD_OUT].concat()).ok();
    workshop.run(&["eval", "out", "--model", "other"]).fails(3, &["was made with tokenizer", "encode again"]);
    std::fs::copy(workshop.path("other/train/000000.shard"), workshop.path("out/train/000001.shard")).unwrap();
    workshop.run(&["train", "out", "-o", "m"]).fails(3, &["another tokenizer than its neighbours"]);
}

#[test]
fn folders_made_with_other_settings() {
    let workshop = workshop();
    let prepare =
        |arguments: &[&str]| workshop.run(&[&["prepare", "good", "-o", "out"][..], &SMALL, arguments].concat());
    prepare(&["--vocab-size", "300"]).ok();
    prepare(&["--vocab-size", "301"]).fails(1, &["`out` was made with `vocab-size`", "300", "301", "remove this one"]);
    prepare(&["--vocab-size", "300", "--seed", "2"]).fails(1, &["`seed` = 1"]);
    workshop.write("good/00.txt", "changed");
    prepare(&["--vocab-size", "300"]).fails(1, &["input file", "good/00.txt"]);
    workshop.run(&["encode", "good", "-t", "t.json", "-o", "shards"]).ok();
    workshop.run(&["encode", "good", "-t", "t.json", "-o", "shards", "--val", "0.5"]).fails(1, &["`val`"]);
    workshop.run(&["learn", "good", "-o", "t2.json", "--vocab-size", "401"]).ok();
    workshop.run(&["encode", "good", "-t", "t2.json", "-o", "shards"]).fails(1, &["`tokenizer`"]);
    // A model is not overwritten either.
    workshop.run(&[&["train", "shards", "-o", "m"][..], &SMALL].concat()).ok();
    workshop.run(&[&["train", "shards", "-o", "m"][..], &SMALL].concat()).fails(1, &["holds a model already"]);
}

#[test]
fn settings_outside_their_range() {
    let workshop = workshop();
    for (flag, value, says) in [
        ("--val", "1.5", "`val` is 1.5"),
        ("--val", "half", "auto"),
        ("--width", "33", "multiple of --heads"),
        ("--layers", "0", "`layers` is 0"),
        ("--learning-rate", "-1", "`learning-rate`"),
        ("--batch", "0", "`batch` is 0"),
        ("--unit-size", "5 parsecs", "no unit of bytes"),
        ("--han", "pinyin", "learn-words"),
        ("--max-document", "-5", "no whole number"),
    ] {
        let flag = format!("{flag}={value}");
        workshop.run(&["prepare", "good", "-o", "out", "--steps", "1", &flag]).fails(2, &[says]);
    }
    workshop
        .run(&["prepare", "good", "-o", "long", "--context", "100000", "--steps", "1"])
        .fails(1, &["needs 100001", "--context"]);
    workshop.run(&["prepare", "good", "-o", "none", "--val", "0.9999", "--steps", "1"]).fails(1, &["hold 0 tokens"]);
    workshop.run(&["prepare", "-", "-o", "stdin"]).fails(2, &["read twice"]);
    workshop.run(&["sample", "good"]).fails(1, &["`good` holds no model; name a folder that"]);
    workshop.run_with(&["decode", "-t", "t.json"], b"1 2 x3").fails(3, &["`x3` at byte 4"]);
    workshop.run_with(&["decode", "-t", "t.json"], b"1 400").fails(3, &["id 400 at position 1", "ids are below"]);
    workshop.run(&["tokenize"]).fails(2, &["--tokenizer"]);
}

/// A limit on the size of files stands for a full disk: the write fails in the middle of a shard.
#[test]
fn a_full_disk_is_a_clear_error_and_the_run_goes_on_later() {
    let workshop = workshop();
    workshop.write("large.txt", "词元 and tokens, ".repeat(40_000));
    let ciyuan = env!("CARGO_BIN_EXE_ciyuan");
    let limited = format!("trap '' XFSZ; ulimit -f 100; exec {ciyuan} encode large.txt -t t.json -o out --val 0");
    let output =
        std::process::Command::new("sh").args(["-c", &limited]).current_dir(workshop.path(".")).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot write") && message.contains("000000.shard.tmp"), "{message}");
    let left: Vec<_> = std::fs::read_dir(workshop.path("out/train")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    workshop.run(&["encode", "large.txt", "-t", "t.json", "-o", "out", "--val", "0"]).ok();
    workshop.run(&["verify", "out"]).ok();
}

#[test]
fn interrupted_runs_go_on_where_they_were() {
    let workshop = workshop();
    // The same run without interruption.
    let arguments = |out: &'static str, steps: &'static str| {
        let size = [
            "--vocab-size",
            "300",
            "--context",
            "16",
            "--width",
            "16",
            "--heads",
            "2",
            "--unit-size",
            "1",
            "--steps",
            steps,
        ];
        [&["prepare", "good", "-o", out][..], &size].concat()
    };
    // So many steps that the signal meets the training.
    let mut child = workshop.command(&arguments("out", "1000000")).stderr(Stdio::piped()).spawn().unwrap();
    let manifest = workshop.path("out/manifest.json");
    let begun = Instant::now();
    while !manifest.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(),
            "the run did not get to its training"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("interrupted while") && message.contains("run the same command again"), "{message}");
    assert!(!workshop.path("out/model").exists() && !workshop.path("out/report.json").exists());
    // Other settings are another run; the same ones take the tokenizer and the shards over.
    workshop.run(&arguments("out", "3")).fails(1, &["`steps`"]);
    let modified = |name: &str| std::fs::metadata(workshop.path(name)).unwrap().modified().unwrap();
    let before = ["out/tokenizer.json", "out/train/000000.shard"].map(modified);
    let mut child = workshop.command(&arguments("out", "1000000")).stderr(Stdio::piped()).spawn().unwrap();
    let lock = workshop.path("out/.lock");
    let begun = Instant::now();
    while !lock.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(),
            "the run did not begin"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    // Another run on the same folder is kept out.
    workshop.run(&arguments("out", "1000000")).fails(4, &["`out` is in use by another run"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(["out/tokenizer.json", "out/train/000000.shard"].map(modified), before);
    // A killed run leaves its lock's file behind, but not its lock.
    assert!(lock.exists());
    workshop.run(&["verify", "out"]).ok();
    workshop.run(&arguments("out", "3")).fails(1, &["`steps`"]);
}

#[test]
fn a_killed_encoding_goes_on_with_the_same_bytes() {
    let workshop = workshop();
    let text: String = (0..3000).map(|n| format!("第{n}个词元 token number {n}, and some more words.\n")).collect();
    for n in 0..60 {
        workshop.write(&format!("many/{n:02}.txt"), format!("{n} {text}"));
    }
    let arguments =
        |out: &'static str| ["encode", "many", "-t", "t.json", "-o", out, "--unit-size", "1", "--val", "0.1"];
    workshop.run(&arguments("whole")).ok();
    let mut kills = 0;
    for round in 0..8u64 {
        let mut child = workshop.command(&arguments("out")).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60 + 90 * round));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 0, "every run was over before it was killed");
    workshop.run(&arguments("out")).ok();
    workshop.run(&["verify", "out"]).ok();
    for entry in std::fs::read_dir(workshop.path("whole/train")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |out: &str| std::fs::read(workshop.path(out).join("train").join(&name)).unwrap();
        assert_eq!(read("whole"), read("out"), "{name:?}");
    }
    let count = |folder: &str| std::fs::read_dir(workshop.path(folder)).unwrap().count();
    assert_eq!((count("whole/train"), count("whole/val")), (count("out/train"), count("out/val")));
    let manifest = |out: &str| std::fs::read(workshop.path(out).join("manifest.json")).unwrap();
    assert_eq!(manifest("whole"), manifest("out"));
}
