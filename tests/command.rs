//! The command by its outputs and exit codes, on good input.

use std::io::Read;
use std::process::Stdio;

use super::common::{CORPORA, Workshop, root};

/// A tokenizer learned from corpora/ in a workshop, as `t.json`.
fn with_tokenizer() -> Workshop {
    let workshop = Workshop::new();
    let corpora = CORPORA.map(|folder| root().join(folder).display().to_string());
    let mut arguments = vec!["learn", "-o", "t.json", "--vocab-size", "1500"];
    arguments.extend(corpora.iter().map(String::as_str));
    workshop.run(&arguments).ok();
    workshop
}

#[test]
fn prepare_does_the_whole_way() {
    let workshop = Workshop::new();
    let corpora = CORPORA.map(|folder| root().join(folder).display().to_string());
    let mut arguments =
        vec!["prepare", "-o", "out", "--steps", "30", "--context", "32", "--width", "32", "--heads", "2"];
    arguments.extend(corpora.iter().map(String::as_str));
    let text = workshop.run(&arguments).ok();
    for part in
        ["documents   183 in = 183 out + 0 rejected", "held out", "bits/byte", "xz -9", "unigram", "report.html"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    for name in [
        "tokenizer.json",
        "tokenizer.tiktoken",
        "train/000000.shard",
        "val/000000.shard",
        "manifest.json",
        "model/model.safetensors",
        "model/config.json",
        "report.html",
        "report.json",
    ] {
        assert!(workshop.path("out").join(name).is_file(), "{name}");
    }
    assert!(!workshop.path("out/.units").exists() && !workshop.path("out/.lock").exists());

    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(workshop.path("out/report.json")).unwrap()).unwrap();
    let languages: Vec<&str> =
        report["languages"].as_array().unwrap().iter().map(|row| row["language"].as_str().unwrap()).collect();
    assert_eq!(languages, ["zh", "en"]);
    for row in report["languages"].as_array().unwrap() {
        let bits = row["bits_per_byte"].as_f64().unwrap();
        assert!(bits > 1.0 && bits < 6.5, "{row}");
        assert!(row["anchors"]["xz"].as_f64().unwrap() > 1.0);
    }
    let held = |key: &str| report["val"][key].as_u64().unwrap();
    assert_eq!(report["all"]["bytes"].as_u64().unwrap(), held("bytes"));
    assert_eq!(
        report["train"]["bytes"].as_u64().unwrap() + held("bytes"),
        report["input"]["bytes"]["out"].as_u64().unwrap()
    );
    let losses: Vec<f64> =
        report["model"]["steps"].as_array().unwrap().iter().map(|step| step["loss"].as_f64().unwrap()).collect();
    assert!(losses.len() == 30 && losses[29] < losses[0] - 0.5, "{losses:?}");
    assert_eq!(report["samples"].as_array().unwrap().len(), 2);

    let page = std::fs::read_to_string(workshop.path("out/report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("bits per byte"));
    for forbidden in ["<script", "http://", "https://", "@import", "url("] {
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(forbidden), "the page has {forbidden}");
    }

    // What was made is whole, and the other commands use it.
    assert!(workshop.run(&["verify", "out"]).ok().contains("whole; 2 shards, 183 documents"));
    let text = workshop.run(&["eval", "out"]).ok();
    let bits = format!("{:.3}", report["all"]["bits_per_byte"].as_f64().unwrap());
    assert!(text.lines().any(|line| line.starts_with("all") && line.contains(&bits)), "{bits} is not in {text}");
    let sample = ["sample", "out", "--prompt", "今天", "--max-tokens", "20", "--seed", "3"];
    let text = workshop.run(&sample).ok();
    assert!(text.starts_with("今天") && text.ends_with('\n') && text.len() > 10, "{text:?}");
    assert_eq!(workshop.run(&sample).ok(), text);
    let json = workshop.run(&[&sample[..], &["--json"]].concat()).json();
    assert_eq!(format!("今天{}\n", json["continuation"].as_str().unwrap()), text);

    // Run again, it takes over what is there.
    let before = std::fs::read(workshop.path("out/model/model.safetensors")).unwrap();
    let again = workshop.run(&arguments);
    assert!(again.stderr.contains("complete already"), "{}", again.stderr);
    again.ok();
    assert_eq!(std::fs::read(workshop.path("out/model/model.safetensors")).unwrap(), before);
    // And a model can be trained from the same shards with another seed.
    let train = [
        "train",
        "out",
        "-o",
        "m2",
        "--steps",
        "5",
        "--context",
        "16",
        "--width",
        "16",
        "--heads",
        "2",
        "--seed",
        "2",
        "--json",
    ];
    assert_eq!(workshop.run(&train).json()["steps"].as_array().unwrap().len(), 5);
    assert!(
        workshop.run(&["eval", "out", "--model", "m2", "--json"]).json()["all"]["bits_per_byte"].as_f64().unwrap()
            > 1.0
    );
}

#[test]
fn segment() {
    let workshop = Workshop::new();
    let text = "我们学习语言模型\n\n國際論壇 and English\n".as_bytes();
    assert_eq!(workshop.run_with(&["segment"], text).ok(), "我们/学习/语言/模型\n\n國際/論壇/ /and/ /English\n");
    let plain = workshop.run_with(&["segment", "--fold", "none"], text).ok();
    assert!(plain.contains("國/際/論/壇"), "{plain}");
    assert_eq!(workshop.run_with(&["segment", "--mode", "hmm"], "网易杭研大厦".as_bytes()).ok(), "网易/杭研/大厦\n");
    assert!(workshop.run_with(&["segment", "--mode", "search"], "中国科学院".as_bytes()).ok().contains("科学/学院"));
    assert!(workshop.run_with(&["segment", "--mode", "all"], "中国科学院".as_bytes()).ok().contains("科学院"));
    let pretokens = workshop.run_with(&["segment", "--mode", "pretokens"], "你好，it's 2026".as_bytes()).ok();
    assert_eq!(pretokens, "你好/，it's/ /202/6\n");
    let json = workshop.run_with(&["segment", "--json"], "学习语言\n".as_bytes()).json();
    assert_eq!(json, serde_json::json!({"words": ["学习", "语言"], "offsets": [[0, 6], [6, 12]]}));
}

#[test]
fn words_of_the_user_s_own() {
    let workshop = Workshop::new();
    workshop.write("own.txt", "\u{FEFF}词元 5 n\r\n\r\n雲計算 nz\r\n研究生 0\r\n");
    workshop.write("more.txt", "元宇宙\nNew York 3\n");
    let segment = |arguments: &[&str], text: &str| {
        workshop.run_with(&[&["segment"][..], arguments].concat(), text.as_bytes()).ok()
    };
    let own = ["--user-dict", "own.txt", "--user-dict", "more.txt"];
    assert_eq!(segment(&[], "词元与云计算、元宇宙"), "词/元/与/云/计算/、/元/宇宙\n");
    assert_eq!(segment(&own, "词元与云计算、元宇宙"), "词元/与/云计算/、/元宇宙\n");
    assert_eq!(segment(&own, "我在New York研究生命"), "我/在/New York/研究/生命\n");
    assert_eq!(segment(&[&own[..], &["--fold", "none"]].concat(), "雲計算云计算"), "雲計算/云/计算\n");
    for mode in ["hmm", "search", "all"] {
        let words = segment(&[&own[..], &["--mode", mode]].concat(), "他是词元研究生");
        assert!(words.contains("/词元/") && !words.contains("研究生"), "{mode}: {words}");
    }

    workshop.write("bad.txt", "词元\n\n云\t5\n");
    workshop.write("large.txt", "词元 99999999999 n\n");
    workshop.write("bytes.txt", b"a\nb\xFF\n");
    let fails = |file: &str, texts: &[&str]| workshop.run_with(&["segment", "--user-dict", file], b"a").fails(3, texts);
    fails("bad.txt", &["`bad.txt`, line 3", "`云\\t5`", "U+0009", "`word [frequency] [tag]`"]);
    fails("large.txt", &["`large.txt`, line 1", "99999999999", "4294967295", "smaller"]);
    fails("bytes.txt", &["`bytes.txt`, line 2", "invalid UTF-8 at byte 2", "save the file as UTF-8"]);
    workshop.run_with(&["segment", "--user-dict", "none.txt"], b"a").fails(1, &["no such file", "none.txt"]);
    workshop
        .run_with(&["segment", "--user-dict", "own.txt", "--mode", "pretokens"], b"a")
        .fails(2, &["--user-dict", "--mode pretokens"]);
    let printed = workshop.run(&[&["segment", "--print-config"][..], &own].concat()).ok();
    assert!(printed.contains("user-dict = [\"own.txt\", \"more.txt\"]"), "{printed}");
}

#[test]
fn words_of_the_user_s_own_bound_merges() {
    let workshop = Workshop::new();
    // 天气预报 is a word of the built-in dictionary.
    workshop.write("a.txt", "天气预报。\n".repeat(50));
    workshop.write("own.txt", "天气预报 0\n天气预 900000000\n");
    let tokens = |arguments: &[&str]| {
        let learn = ["learn", "a.txt", "-o", "t.json", "--vocab-size", "300"];
        workshop.run(&[&learn[..], arguments].concat()).ok();
        workshop.run(&["inspect", "t.json", "--tokens", "256..299"]).ok()
    };
    let built_in = tokens(&[]);
    assert!(built_in.contains("\"天气预报\""), "{built_in}");
    let own = tokens(&["--user-dict", "own.txt"]);
    assert!(own.contains("\"天气预\"") && !own.contains("预报") && own.contains("\"报\""), "{own}");

    let learn = ["learn", "a.txt", "-o", "t.json", "--user-dict"];
    let fails = |arguments: &[&str], code, texts: &[&str]| {
        workshop.run(&[&learn[..], arguments].concat()).fails(code, texts);
    };
    fails(&["own.txt", "--han", "words"], 2, &["`user-dict`", "--han words", "tokenizer file does not hold them"]);
    fails(&["own.txt", "--han", "runs"], 2, &["`user-dict`", "--han runs", "learn-words"]);
    workshop.write("bad.txt", "云\t5\n");
    fails(&["bad.txt"], 3, &["`bad.txt`, line 1"]);
    fails(&["none.txt"], 1, &["none.txt"]);
}

#[test]
fn prepare_notes_what_is_in_user_dictionaries() {
    let workshop = Workshop::new();
    let zh = root().join("corpora/zh").display().to_string();
    workshop.write("own.txt", "词元\n");
    let prepare = ["prepare", &zh, "-o", "out", "--steps", "1", "--context", "16", "--width", "16", "--heads", "2"];
    let with = [&prepare[..], &["--vocab-size", "400", "--user-dict", "own.txt"]].concat();
    workshop.run(&with).ok();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(workshop.path("out/report.json")).unwrap()).unwrap();
    let noted = &report["settings"]["user-dict"][0];
    assert_eq!((noted[0].as_str().unwrap(), noted[1].as_str().unwrap().len()), ("own.txt", 32));
    assert!(workshop.run(&with).stderr.contains("complete already"));
    workshop.write("own.txt", "词元 5\n");
    workshop.run(&with).fails(1, &["user-dict", "choose another folder"]);
}

#[test]
fn tokenize_and_decode() {
    let workshop = with_tokenizer();
    let text = "词元是 tokens。\nIt's 2026 <|endoftext|>\n";
    let ids = workshop.run_with(&["tokenize", "-t", "t.json"], text.as_bytes()).ok();
    assert!(ids.trim_end().split(' ').all(|id| id.parse::<u32>().unwrap() < 1500), "{ids}");
    assert_eq!(workshop.run_with(&["decode", "-t", "t.json"], ids.as_bytes()).ok(), text);

    let json = workshop.run_with(&["tokenize", "-t", "t.json", "--json"], text.as_bytes()).json();
    let listed: Vec<String> = json["ids"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(listed.join(" "), ids.trim_end());
    let offsets = json["offsets"].as_array().unwrap();
    assert_eq!(offsets.last().unwrap()[1].as_u64().unwrap(), text.len() as u64);
    assert!(offsets.windows(2).all(|pair| pair[0][1] == pair[1][0]));

    let lines = workshop.run_with(&["tokenize", "-t", "t.json", "--lines"], text.as_bytes()).ok();
    assert_eq!(lines.lines().count(), 2);
    assert_eq!(workshop.run_with(&["decode", "-t", "t.json", "--lines"], lines.as_bytes()).ok(), text);
    let special = workshop.run_with(&["tokenize", "-t", "t.json", "--allow-special", "all"], text.as_bytes()).ok();
    assert!(special.split_ascii_whitespace().any(|id| id == "1499"), "{special}");
    let colour = workshop.run_with(&["tokenize", "-t", "t.json", "--color"], text.as_bytes()).ok();
    assert!(colour.contains("\u{1b}[30;48;5;") && colour.contains("词"), "{colour}");
    assert_eq!(workshop.run_with(&["tokenize", "-t", "t.json"], b"").ok(), "\n");
}

#[test]
fn count_encode_inspect_verify() {
    let workshop = with_tokenizer();
    workshop.write("in/a.txt", "词元 tokens\n");
    workshop.write("in/b.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two two\"}\n");
    workshop.write("in/notes.md", "not read");
    let table = workshop.run(&["count", "in", "-t", "t.json"]).ok();
    let names: Vec<&str> = table.lines().map(|line| line.split("  ").next().unwrap()).collect();
    let scripts = ["script", "Han", "Latin", "other scripts", "no script"];
    assert_eq!(names, [&["file", "in/a.txt", "in/b.jsonl", "total", ""][..], &scripts].concat(), "{table}");
    let json = workshop.run(&["count", "in", "-t", "t.json", "--json"]).json();
    assert_eq!((&json["total"]["documents"], &json["total"]["bytes"]), (&3.into(), &24.into()));
    assert_eq!(json["files"][0]["characters"], 10);
    // Without a tokenizer the same, less the tokens; on any number of threads.
    let plain = workshop.run(&["count", "in", "--json"]).json();
    for key in ["documents", "rejected", "bytes", "characters"] {
        assert_eq!(plain["total"][key], json["total"][key], "{key}");
    }
    assert!(plain["total"].get("tokens").is_none() && plain["scripts"][0].get("tokens").is_none(), "{plain}");
    assert_eq!(plain["scripts"][0]["characters"], json["scripts"][0]["characters"]);
    let table = workshop.run(&["count", "in", "--threads", "1"]).ok();
    assert!(table.starts_with("file        documents  rejected  bytes  characters\n"), "{table}");
    assert!(table.contains("script         characters   share  bytes\n"), "{table}");
    workshop.run(&["count", "in", "--pattern", "gpt2"]).fails(2, &["--tokenizer"]);

    let json = workshop.run(&["encode", "in", "-t", "t.json", "-o", "shards", "--val", "0", "--json"]).json();
    assert_eq!(json["documents"], serde_json::json!({"in": 3, "out": 3, "rejected": 0}));
    assert!(json["seconds"]["encode"].as_f64().is_some());
    assert!(workshop.run(&["verify", "shards", "shards/train/000000.shard"]).ok().lines().count() == 2);
    assert!(workshop.run(&["inspect", "shards"]).ok().contains("train/000000.shard"));
    assert_eq!(workshop.run(&["inspect", "shards", "--document", "2"]).ok(), "two two\n");
    assert_eq!(workshop.run(&["inspect", "shards", "--document", "0"]).ok(), "词元 tokens\n\n");
    let json = workshop.run(&["inspect", "shards/train/000000.shard", "--json"]).json();
    assert_eq!((&json["documents"], &json["vocab_size"], &json["id_bytes"]), (&3.into(), &1500.into(), &2.into()));
    let json = workshop.run(&["inspect", "t.json", "--json"]).json();
    assert_eq!(
        (&json["vocab_size"], &json["pattern"], &json["special"]["<|endoftext|>"]),
        (&1500.into(), &"ciyuan".into(), &1499.into())
    );
    assert!(workshop.run(&["inspect", "t.json", "--tokens", "0..3"]).ok().starts_with("0\t\"!\"\n1\t\"\\\"\"\n"));
    assert!(
        workshop.run(&["inspect", "t.json", "--tsv"]).ok().starts_with("id\ttoken\tkind\n0\t!\tbyte\n1\t\"\tbyte\n")
    );
}

#[test]
fn tiktoken_files_go_out_and_in() {
    let workshop = with_tokenizer();
    let corpora = root().join("corpora/zh").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.tiktoken", "--vocab-size", "800"]).ok();
    workshop.run(&["learn", &corpora, "-o", "same.json", "--vocab-size", "800"]).ok();
    let text = "词元是语言模型的单位。".as_bytes();
    let ids = workshop.run_with(&["tokenize", "-t", "same.json"], text).ok();
    assert_eq!(workshop.run_with(&["tokenize", "-t", "t.tiktoken", "--pattern", "ciyuan"], text).ok(), ids);
    workshop.run_with(&["tokenize", "-t", "t.tiktoken"], text).fails(2, &["pattern"]);
    let special = [
        "tokenize",
        "-t",
        "t.tiktoken",
        "--pattern",
        "ciyuan",
        "--special-ids",
        "<|endoftext|>=799",
        "--allow-special",
        "all",
    ];
    assert_eq!(workshop.run_with(&special, b"<|endoftext|>").ok(), "799\n");
    // What the format cannot say is kept in one that can.
    let wanted = ["learn", &corpora, "-o", "w.tiktoken", "--vocab-size", "800", "--require", "自行车"];
    workshop.run(&wanted).fails(3, &["cannot be written as .tiktoken", "kept in `w.tiktoken.json`"]);
    workshop.run(&["learn", &corpora, "-o", "w.json", "--vocab-size", "800", "--require", "自行车"]).ok();
    assert!(!workshop.path("w.tiktoken").exists());
    let [kept, wanted] = ["w.tiktoken.json", "w.json"].map(|name| std::fs::read(workshop.path(name)).unwrap());
    assert!(kept == wanted);
}

#[test]
fn forms_of_input() {
    use std::io::Write;
    let workshop = with_tokenizer();
    let jsonl = "{\"body\": \"一\"}\n{\"body\": \"二\"}\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(jsonl.as_bytes()).unwrap();
    let member = gz.finish().unwrap();
    // Two members in one file, as pigz and bgzip write them.
    workshop.write("in/a.jsonl.gz", [member.clone(), member].concat());
    let frame = zstd::bulk::compress(jsonl.as_bytes(), 3).unwrap();
    workshop.write("in/b.jsonl.zst", [frame.clone(), frame].concat());
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(jsonl.as_bytes()).unwrap();
    workshop.write("in/c.jsonl.xz", xz.finish().unwrap());
    let json = workshop.run(&["count", "in", "-t", "t.json", "--field", "body", "--json"]).json();
    let documents: Vec<u64> =
        json["files"].as_array().unwrap().iter().map(|file| file["documents"].as_u64().unwrap()).collect();
    assert_eq!(documents, [4, 4, 2]);

    workshop.write("lines.txt", "one\r\n\r\ntwo\n  \nthree");
    for (mode, documents, bytes) in [("file", 1, 19), ("lines", 3, 11), ("blocks", 3, 11)] {
        let json = workshop.run(&["count", "lines.txt", "-t", "t.json", "--txt-documents", mode, "--json"]).json();
        assert_eq!(
            (&json["total"]["documents"], &json["total"]["bytes"]),
            (&documents.into(), &bytes.into()),
            "{mode}"
        );
    }
    let json = workshop
        .run_with(&["count", "-", "--format", "jsonl", "--field", "body", "-t", "t.json", "--json"], jsonl.as_bytes())
        .json();
    assert_eq!(json["total"]["documents"], 2);
}

#[test]
fn parquet_input() {
    use parquet::data_type::{ByteArray, ByteArrayType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    let workshop = with_tokenizer();
    let schema = parse_message_type("message m { OPTIONAL BYTE_ARRAY text (UTF8); REQUIRED INT32 n; }").unwrap();
    let file = std::fs::File::create(workshop.path("a.parquet")).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema.into(), WriterProperties::builder().build().into()).unwrap();
    for _ in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let values = [ByteArray::from("词元"), ByteArray::from("tokens"), ByteArray::from(vec![0xFF])];
        column.typed::<ByteArrayType>().write_batch(&values, Some(&[1, 0, 1, 1]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<parquet::data_type::Int32Type>().write_batch(&[1, 2, 3, 4], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    let json = workshop.run(&["count", "a.parquet", "-t", "t.json", "--json"]).json();
    assert_eq!(
        (&json["total"]["documents"], &json["total"]["rejected"], &json["total"]["bytes"]),
        (&4.into(), &4.into(), &24.into())
    );
    workshop
        .run(&["count", "a.parquet", "-t", "t.json", "--field", "body"])
        .fails(3, &["a.parquet", "`body`", "--field"]);
    workshop.run(&["count", "a.parquet", "-t", "t.json", "--field", "n"]).fails(3, &["another type"]);
}

#[test]
fn settings_come_from_a_file_and_flags_override_it() {
    let workshop = Workshop::new();
    workshop.write("a.txt", "aaaa bbbb aaaa bbbb\n");
    workshop.write("ciyuan.toml", "vocab-size = 258\npattern = \"gpt2\"\nsteps = 5\n");
    let size = |arguments: &[&str]| workshop.run(arguments).json()["vocab_size"].as_u64().unwrap();
    let learn = ["learn", "a.txt", "-o", "t.json", "--json", "--config", "ciyuan.toml"];
    assert_eq!(size(&learn), 258);
    assert_eq!(size(&[&learn[..], &["--vocab-size", "259"]].concat()), 259);
    let printed = workshop
        .run(&["learn", "a.txt", "-o", "t.json", "--config", "ciyuan.toml", "--han", "runs", "--print-config"])
        .ok();
    for line in ["vocab-size = 258", "pattern = \"gpt2\"", "han = \"runs\"", "min-count = 2", "quiet = false"] {
        assert!(printed.lines().any(|other| other == line), "{line} is not in {printed}");
    }
    // What is printed can be read.
    workshop.write("printed.toml", &printed);
    assert_eq!(size(&["learn", "a.txt", "-o", "t.json", "--json", "--config", "printed.toml"]), 258);
    workshop.write("wrong.toml", "vocabulary = 258\n");
    workshop
        .run(&["learn", "a.txt", "-o", "t.json", "--config", "wrong.toml"])
        .fails(2, &["wrong.toml", "`vocabulary`"]);
    workshop.run(&["learn", "a.txt", "-o", "t.json", "--config", "none.toml"]).fails(2, &["none.toml"]);
}

#[test]
fn help_shows_an_example_of_every_command() {
    let workshop = Workshop::new();
    let help = workshop.run(&["--help"]).ok();
    for command in [
        "prepare",
        "segment",
        "learn",
        "trim",
        "tokenize",
        "decode",
        "count",
        "encode",
        "export",
        "import",
        "inspect",
        "verify",
        "train",
        "eval",
        "sample",
        "completions",
        "man",
    ] {
        assert!(help.contains(command), "{command}");
        assert!(workshop.run(&[command, "--help"]).ok().contains("Example: "), "{command}");
    }
    assert!(workshop.run(&["--version"]).ok().starts_with("ciyuan 0."));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(workshop.run(&["completions", shell]).ok().contains("tokenize"), "{shell}");
    }
    assert!(workshop.run(&["man"]).ok().contains(".TH ciyuan 1"));
    workshop.run(&["man", "-o", "man"]).ok();
    let page = std::fs::read_to_string(workshop.path("man/ciyuan-prepare.1")).unwrap();
    assert!(page.contains("ciyuan\\-prepare") && page.contains("vocab\\-size"), "{page}");
}

#[test]
fn a_closed_pipe_is_a_quiet_success() {
    let workshop = with_tokenizer();
    workshop.write("long.txt", "词元 tokens\n".repeat(200_000));
    for arguments in [&["segment", "long.txt"][..], &["tokenize", "-t", "t.json", "--lines", "long.txt"]] {
        let mut child = workshop.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr)),
            (Some(0), "".into()),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_full_output_is_an_error() {
    let workshop = with_tokenizer();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = workshop.command(&["inspect", "t.json"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
}
