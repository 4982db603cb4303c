//! `plan`, `run` and `merge`: any ranks, killed, doubled and run again, give the bytes of `encode` in one process.

use std::collections::BTreeMap;
use std::process::Child;

use ciyuan::pipeline::FolderLock;
use ciyuan::shard::{Corpus, Manifest, Shard, Split};

use super::common::{Random, Workshop, contents, root};

const SETTINGS: [&str; 6] = ["-t", "t.json", "--unit-size", "4KB", "--val", "0.2"];

/// A tokenizer and inputs: text, a file that is cut into units with bad lines in them, a compressed file, duplicates.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.json", "--vocab-size", "400"]).ok();
    let line = |n: usize| match n % 41 {
        7 => format!("no record {n}\n"),
        11 => "{\"text\": \"同一句话。\"}\n".to_owned(),
        _ => format!("{{\"text\": \"第{n}条：语言模型学习词元。 Line {n} of the file.\"}}\n"),
    };
    workshop.write("in/a.jsonl", (0..700).map(line).collect::<String>());
    workshop.write("in/b.txt", "一个文件。".repeat(300));
    let packed = zstd::encode_all((0..90).map(line).collect::<String>().as_bytes(), 3).unwrap();
    workshop.write("in/c.jsonl.zst", packed);
    workshop.write("in/d.jsonl", "no record\n");
    workshop
}

fn encode(workshop: &Workshop, output: &str, more: &[&str]) -> BTreeMap<String, Vec<u8>> {
    workshop.run(&[&["encode", "in", "-o", output], &SETTINGS[..], more].concat()).ok();
    contents(&workshop.path(output))
}

fn plan(workshop: &Workshop, output: &str, more: &[&str]) -> u64 {
    let planned = workshop.run(&[&["plan", "in", "-o", output, "--json"], &SETTINGS[..], more].concat()).json();
    planned["units"].as_u64().unwrap()
}

fn rank<'r>(output: &'r str, rank: &'r str, world_size: &'r str) -> [&'r str; 6] {
    ["run", output, "--rank", rank, "--world-size", world_size]
}

#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, wanted: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, bytes) in wanted {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

#[test]
fn any_number_of_ranks_gives_the_bytes_of_one_process() {
    let workshop = workshop();
    let wanted = encode(&workshop, "one", &[]);
    assert!(wanted.keys().filter(|name| name.ends_with(".shard")).count() > 20);
    assert!(wanted.contains_key("rejects.jsonl.zst"));
    for world in ["1", "2", "7"] {
        let output = format!("ranks{world}");
        let units = plan(&workshop, &output, &[]);
        assert!(units > 10);
        let mut done = 0;
        for number in (0..world.parse().unwrap()).rev() {
            let number: u64 = number;
            let arguments = rank(&output, &number.to_string(), world).map(str::to_owned);
            let arguments: Vec<&str> =
                arguments.iter().map(String::as_str).chain(["--json", "--threads", "2"]).collect();
            let ran = workshop.run(&arguments).json();
            assert_eq!(ran["units"], ran["encoded"]);
            done += ran["units"].as_u64().unwrap();
        }
        assert_eq!(done, units);
        let merged = workshop.run(&["merge", &output, "--json"]).json();
        assert_eq!(merged["documents"]["in"], 792);
        assert_same(&contents(&workshop.path(&output)), &wanted);
        // A late rank and a second merge find all done.
        workshop.run(&rank(&output, "0", "2")).ok();
        workshop.run(&["merge", &output]).ok();
        assert_same(&contents(&workshop.path(&output)), &wanted);
        workshop.run(&["verify", &output]).ok();
    }
}

/// Lines of rejects are those of the file, wherever their unit begins.
#[test]
fn rejects_have_the_lines_of_their_files() {
    let workshop = workshop();
    let wanted = encode(&workshop, "one", &[]);
    let rejects = zstd::decode_all(&wanted["rejects.jsonl.zst"][..]).unwrap();
    let mut seen = 0;
    for line in rejects.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let reject: serde_json::Value = serde_json::from_slice(line).unwrap();
        if reject["file"] == "in/a.jsonl" {
            let number = reject["line"].as_u64().unwrap() - 1;
            assert_eq!(reject["raw"], format!("no record {number}"));
            seen += 1;
        }
    }
    assert_eq!(seen, 17);
    // Those of errors too, though the rank knows nothing of what comes before.
    plan(&workshop, "fail", &["--on-bad-record", "fail"]);
    let mut lines = Vec::new();
    for number in ["0", "1", "2", "3", "4", "5", "6"] {
        let ran = workshop.run(&rank("fail", number, "7"));
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        let line = ran.stderr.split("line ").nth(1).unwrap().split(',').next().unwrap();
        lines.push(line.parse::<u64>().unwrap());
        assert_eq!((lines[lines.len() - 1] - 1) % 41, 7, "{}", ran.stderr);
    }
    assert!(lines.iter().max() > Some(&200), "{lines:?}");
}

#[test]
fn killed_and_doubled_ranks_change_nothing() {
    let workshop = workshop();
    let wanted = encode(&workshop, "one", &[]);
    plan(&workshop, "out", &[]);
    let mut random = Random(8);
    let start = |arguments: &[&str]| workshop.command(arguments).spawn().unwrap();
    // Ranks of several worlds at once, each twice; some are killed at any moment.
    for world in ["2", "3", "2"] {
        let mut children: Vec<Child> = Vec::new();
        for number in ["0", "1", "0", "1"] {
            children.push(start(&rank("out", number, world)));
        }
        std::thread::sleep(std::time::Duration::from_millis(random.below(120) as u64));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    let mut children: Vec<Child> = ["0", "1", "1", "0"].map(|number| start(&rank("out", number, "2"))).into();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    workshop.run(&["merge", "out"]).ok();
    assert_same(&contents(&workshop.path("out")), &wanted);
}

#[test]
fn one_process_goes_on_with_what_ranks_have_done() {
    let workshop = workshop();
    let wanted = encode(&workshop, "one", &[]);
    plan(&workshop, "out", &[]);
    workshop.run(&rank("out", "1", "3")).ok();
    let found = encode(&workshop, "out", &[]);
    assert_same(&found, &wanted);
}

#[test]
fn units_that_are_not_done_are_named() {
    let workshop = workshop();
    let units = plan(&workshop, "out", &[]);
    workshop.run(&rank("out", "0", "2")).ok();
    let missing = (units / 2).to_string();
    let says = [missing.as_str(), "of the", "1, 3, 5", "ciyuan run"];
    workshop.run(&["merge", "out"]).fails(1, &says);
    workshop.run(&rank("out", "1", "2")).ok();
    // A shard that is damaged is not done.
    let shard = workshop.path("out/train/000004.shard");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes.pop();
    std::fs::write(&shard, &bytes).unwrap();
    workshop.run(&["merge", "out"]).fails(1, &["not done: 4;"]);
    let again = workshop.run(&[&rank("out", "0", "2")[..], &["--json"]].concat()).json();
    assert_eq!(again["encoded"], 1);
    workshop.run(&["merge", "out"]).ok();
    let wanted = encode(&workshop, "one", &[]);
    assert_same(&contents(&workshop.path("out")), &wanted);
}

#[test]
fn changed_inputs_are_an_error_that_says_what_differs() {
    let workshop = workshop();
    plan(&workshop, "out", &[]);
    let input = workshop.path("in/b.txt");
    let text = std::fs::read(&input).unwrap();
    // The same bytes with another time are the same file.
    std::fs::write(&input, &text).unwrap();
    workshop.run(&rank("out", "0", "2")).ok();
    std::fs::write(&input, "另一个文件。".repeat(250)).unwrap();
    assert_eq!(std::fs::metadata(&input).unwrap().len(), text.len() as u64, "only the checksum tells");
    let says = ["`in/b.txt` was", "checksum", "--redo-changed"];
    let failed = ["0", "1"].map(|number| workshop.run(&rank("out", number, "2")).code);
    assert!(failed.contains(&Some(1)), "{failed:?}");
    workshop.run(&["merge", "out"]).fails(1, &says);
    std::fs::remove_file(&input).unwrap();
    workshop.run(&["merge", "out"]).fails(1, &["no such file", "in/b.txt"]);
    std::fs::write(&input, &text).unwrap();
    workshop.run(&rank("out", "1", "2")).ok();
    // Nor is a plan of other settings gone on with.
    let other = workshop.run(&["plan", "in", "-o", "out", "-t", "t.json", "--unit-size", "5KB", "--val", "0.2"]);
    other.fails(1, &["unit-size"]);
    workshop.run(&["merge", "out"]).ok();
}

#[test]
fn duplicates_and_filters_are_those_of_one_process() {
    let workshop = workshop();
    let more = ["--deduplicate", "--min-han", "0.05"];
    let wanted = encode(&workshop, "one", &more);
    let manifest = Manifest::load(&workshop.path("one")).unwrap().unwrap();
    assert!(manifest.documents.deduplicated > 10, "{:?}", manifest.documents);
    plan(&workshop, "out", &more);
    for number in ["2", "0", "1"] {
        workshop.run(&rank("out", number, "3")).ok();
    }
    workshop.run(&["merge", "out"]).ok();
    assert_same(&contents(&workshop.path("out")), &wanted);
}

#[test]
fn ranks_keep_those_out_who_want_a_folder_for_themselves() {
    let workshop = workshop();
    plan(&workshop, "out", &[]);
    let shared = FolderLock::share(&workshop.path("out")).unwrap();
    for arguments in [&["merge", "out"][..], &[&["encode", "in", "-o", "out"], &SETTINGS[..]].concat()] {
        workshop.run(arguments).fails(4, &["in use"]);
    }
    workshop.run(&rank("out", "0", "1")).ok();
    drop(shared);
    let own = FolderLock::take(&workshop.path("out")).unwrap();
    workshop.run(&rank("out", "0", "1")).fails(4, &["in use"]);
    drop(own);
    workshop.run(&["merge", "out"]).ok();
    // What is no plan, or a damaged one.
    workshop.run(&["run", "in"]).fails(1, &["no plan", "ciyuan plan"]);
    workshop.run(&["run", "nowhere"]).fails(1, &["nowhere"]);
    plan(&workshop, "damaged", &[]);
    let list = workshop.path("damaged/.units/units.json");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replacen("\"bytes\":", "\"bytes\":1", 1)).unwrap();
    workshop.run(&["run", "damaged"]).fails(3, &["checksum"]);
    let piped = [&["plan", "-", "-o", "piped"], &SETTINGS[..]].concat();
    workshop.run_with(&piped, b"text").fails(2, &["INPUT"]);
}

#[test]
fn rank_and_world_size_are_those_of_the_scheduler() {
    let workshop = workshop();
    plan(&workshop, "out", &[]);
    let mut command = workshop.command(&["run", "out", "--json"]);
    command.env("AWS_BATCH_JOB_ARRAY_INDEX", "1").env("AWS_BATCH_JOB_ARRAY_SIZE", "4");
    let ran: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!((ran["rank"].as_u64(), ran["world_size"].as_u64()), (Some(1), Some(4)));
    workshop.run(&["run", "out", "--rank", "1"]).fails(2, &["--world-size"]);
}

#[test]
fn shards_are_no_larger_than_asked_for() {
    let workshop = workshop();
    encode(&workshop, "one", &["--unit-size", "1GB"]);
    encode(&workshop, "small", &["--unit-size", "1GB", "--shard-size", "6KB"]);
    let documents = |output: &str, split| {
        let corpus = Corpus::open(&workshop.path(output), split).unwrap();
        corpus.documents().collect::<Result<Vec<_>, _>>().unwrap()
    };
    for split in Split::ALL {
        assert!(documents("one", split) == documents("small", split));
    }
    let manifest = Manifest::load(&workshop.path("small")).unwrap().unwrap();
    assert!(manifest.shards.len() > 8);
    for shard in &manifest.shards {
        let info = *Shard::open(&workshop.path("small").join(&shard.name)).unwrap().info();
        assert!(shard.file_bytes <= 6000 || info.documents == 1, "{shard:?}");
    }
    assert!(manifest.shards.iter().any(|shard| shard.name == "train/000000_001.shard"), "{:?}", manifest.shards);
    workshop.run(&["verify", "small"]).ok();
}
