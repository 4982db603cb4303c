//! `encode`, `shuffle` and `inspect` of shards: what stands around documents, other layouts, a random order, statistics.

use std::collections::BTreeMap;
use std::path::Path;

use ciyuan::shard::{Corpus, Manifest, Split};

use super::common::{Workshop, root};

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    let special = ["--special", "<|endoftext|>,<|bos|>,<|im_end|>"];
    workshop.run(&[&["learn", &corpora, "-o", "t.json", "--vocab-size", "400"], &special[..]].concat()).ok();
    let line = |n: usize| format!("{{\"text\": \"第{n}条：语言模型学习词元。 Line {n} of <|bos|> it.\"}}\n");
    workshop.write("in/a.jsonl", (0..400).map(line).collect::<String>());
    workshop
}

fn encode(workshop: &Workshop, output: &str, more: &[&str]) {
    workshop.run(&[&["encode", "in", "-o", output, "-t", "t.json", "--val=0.2"], more].concat()).ok();
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
        (name, std::fs::read(entry.path()).unwrap())
    };
    files.map(read).collect()
}

fn corpus(workshop: &Workshop, folder: &str, split: Split) -> Corpus {
    Corpus::open(&workshop.path(folder), split).unwrap()
}

fn documents(workshop: &Workshop, folder: &str, split: Split) -> Vec<Vec<u32>> {
    corpus(workshop, folder, split).documents().collect::<Result<_, _>>().unwrap()
}

#[test]
fn tokens_around_documents() {
    let workshop = workshop();
    encode(&workshop, "auto", &[]);
    encode(&workshop, "none", &["--eot", "none"]);
    encode(&workshop, "both", &["--bos", "<|bos|>", "--eot", "<|im_end|>"]);
    let tokenizer = ciyuan::pipeline::load_tokenizer(&workshop.path("t.json"), None, &[]).unwrap();
    let special = |name: &str| tokenizer.spec().special().id(name).unwrap();
    let plain = documents(&workshop, "auto", Split::Train);
    assert_eq!(corpus(&workshop, "auto", Split::Train).info().end_of_text, Some(special("<|endoftext|>")));
    assert_eq!(corpus(&workshop, "none", Split::Train).info().end_of_text, None);
    assert_eq!(corpus(&workshop, "both", Split::Train).info().end_of_text, Some(special("<|im_end|>")));
    // A special token in the text is text, and no beginning.
    assert!(plain.iter().flatten().all(|&id| id != special("<|bos|>")));
    assert_eq!(documents(&workshop, "none", Split::Train), plain);
    let begun: Vec<Vec<u32>> = plain.iter().map(|ids| [&[special("<|bos|>")], &ids[..]].concat()).collect();
    assert_eq!(documents(&workshop, "both", Split::Train), begun);
    for folder in ["auto", "none", "both"] {
        workshop.run(&["verify", folder]).ok();
    }
    let tokens = |folder: &str| Manifest::load(&workshop.path(folder)).unwrap().unwrap().tokens;
    assert_eq!((tokens("none") + 400, tokens("none") + 800), (tokens("auto"), tokens("both")));
    let other = ["encode", "in", "-o", "auto", "-t", "t.json", "--val=0.2"];
    workshop.run(&[&other[..], &["--bos", "<|bos|>"]].concat()).fails(1, &["`bos`"]);
    workshop.run(&[&other[..], &["--eot", "the"]].concat()).fails(2, &["the", "<|im_end|>"]);
}

#[test]
fn encode_writes_what_export_writes() {
    let workshop = workshop();
    encode(&workshop, "plain", &[]);
    for layout in ["megatron", "nanogpt", "llmc", "datatrove", "mds", "litdata"] {
        let output = format!("with-{layout}");
        encode(&workshop, &output, &["--layout", layout]);
        for split in ["train", "val"] {
            let name = if layout == "llmc" { "corpus" } else { split };
            let target = format!("exported/{layout}/{name}");
            workshop.run(&["export", "plain", "--layout", layout, "-o", &target, "--split", split]).ok();
        }
        let wanted = contents(&workshop.path(&format!("exported/{layout}")));
        assert!(wanted.len() >= 2, "{:?}", wanted.keys());
        let found = contents(&workshop.path(&output).join(layout));
        assert!(found == wanted, "{layout}: {:?} {:?}", found.keys(), wanted.keys());
        // Again, and after a run that was killed while it exported.
        std::fs::create_dir(workshop.path(&output).join(format!(".{layout}"))).unwrap();
        std::fs::remove_dir_all(workshop.path(&output).join(layout)).unwrap();
        encode(&workshop, &output, &["--layout", layout]);
        encode(&workshop, &output, &["--layout", layout]);
        assert!(contents(&workshop.path(&output).join(layout)) == wanted, "{layout}");
        std::fs::remove_dir_all(workshop.path(&output).join(layout)).unwrap();
        assert!(contents(&workshop.path(&output)) == contents(&workshop.path("plain")));
    }
    workshop.run(&["plan", "in", "-o", "begun", "-t", "t.json"]).ok();
    workshop.run(&["export", "begun", "--layout", "mds", "-o", "m"]).fails(1, &["not complete"]);
}

#[test]
fn shuffled_folders_hold_the_same_documents_in_an_order_of_the_seed() {
    let workshop = workshop();
    encode(&workshop, "plain", &["--unit-size", "8KB"]);
    encode(&workshop, "otherwise", &["--unit-size", "1GB"]);
    let shuffle = |from: &str, to: &str, more: &[&str]| {
        workshop.run(&[&["shuffle", from, "-o", to, "--shard-size", "6KB"], more].concat()).ok();
        workshop.run(&["verify", to]).ok();
        contents(&workshop.path(to))
    };
    let wanted = shuffle("plain", "a", &["--seed", "7"]);
    let manifest = Manifest::load(&workshop.path("a")).unwrap().unwrap();
    assert!(manifest.shards.len() > 4 && manifest.settings["shuffle-seed"] == 7);
    // With memory for a few documents only, another number of threads, and another spread over shards.
    assert!(shuffle("plain", "b", &["--seed", "7", "--memory", "2KB", "--threads", "1"]) == wanted);
    let spread = shuffle("otherwise", "c", &["--seed", "7", "--memory", "9KB"]);
    let shards = |of: &BTreeMap<String, Vec<u8>>| -> Vec<_> {
        of.clone().into_iter().filter(|(name, _)| name.ends_with(".shard")).collect()
    };
    assert!(shards(&spread) == shards(&wanted));
    assert!(shards(&shuffle("plain", "d", &["--seed", "8"])) != shards(&wanted));
    for split in Split::ALL {
        let (before, mut after) = (documents(&workshop, "plain", split), documents(&workshop, "a", split));
        assert_ne!(before, after);
        let mut sorted = before.clone();
        sorted.sort();
        after.sort();
        assert_eq!(sorted, after);
    }
    // Few stay where they were, and neighbours do not stay together.
    let (before, after) = (documents(&workshop, "plain", Split::Train), documents(&workshop, "a", Split::Train));
    let place = |ids: &Vec<u32>| before.iter().position(|other| other == ids).unwrap();
    let places: Vec<usize> = after.iter().map(place).collect();
    assert!(places.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count() < 10, "{places:?}");
    assert!(shuffle("plain", "a", &["--seed", "7"]) == wanted, "it is complete");
    workshop.run(&["shuffle", "plain", "-o", "a", "--seed", "8"]).fails(1, &["already"]);
    workshop.run(&["shuffle", "plain", "-o", "plain"]).fails(2, &["itself"]);
    workshop.run(&["shuffle", "nothing", "-o", "e"]).fails(1, &["nothing"]);
    workshop.run(&["shuffle", "plain", "-o", "f", "--memory", "1"]).fails(1, &["memory"]);
}

#[test]
fn inspect_shows_shards() {
    let workshop = workshop();
    encode(&workshop, "out", &[]);
    let ids = documents(&workshop, "out", Split::Train);
    for path in ["out", "out/train/000000.shard"] {
        let shown = workshop.run(&["inspect", path, "--document", "2", "--json"]).json();
        assert_eq!(shown["ids"], serde_json::json!(ids[2]));
        let text = shown["text"].as_str().unwrap();
        assert!(text.starts_with('第'), "{text}");
        assert_eq!(workshop.run(&["inspect", path, "--document", "2"]).ok(), format!("{text}\n"));
        let coloured = workshop.run(&["inspect", path, "--document", "2", "--color", "always"]).ok();
        // A character of several tokens is one piece.
        let pieces = coloured.matches("\x1b[30;48;5;").count();
        assert!(pieces > 20 && pieces <= ids[2].len(), "{coloured}");
        let statistics = workshop.run(&["inspect", path, "--statistics", "--json"]).json();
        assert_eq!(statistics["documents"], ids.len());
        let longest = ids.iter().map(|ids| ids.len() + 1).max().unwrap();
        assert_eq!(statistics["lengths"][5], longest);
        let text = workshop.run(&["inspect", path, "--statistics"]).ok();
        assert!(text.contains("at the most") && text.contains("\" \""), "{text}");
    }
    let val = workshop.run(&["inspect", "out", "--statistics", "--split", "val", "--json"]).json();
    assert_eq!(val["documents"], documents(&workshop, "out", Split::Val).len());
    workshop.run(&["inspect", "out", "--document", "400"]).fails(3, &["document"]);
    // A shard alone has no tokenizer.
    std::fs::copy(workshop.path("out/train/000000.shard"), workshop.write("alone/x/a.shard", "")).unwrap();
    let shown = workshop.run(&["inspect", "alone/x/a.shard", "--document", "0"]).ok();
    assert_eq!(shown.split_whitespace().count(), ids[0].len());
    let facts = workshop.run(&["inspect", "out"]).ok();
    assert!(facts.contains("train/000000.shard") && facts.contains("inputs"), "{facts}");
}

/// One that was there before stays.
#[test]
fn a_run_that_fails_at_once_leaves_no_folder() {
    let workshop = workshop();
    std::fs::create_dir(workshop.path("there")).unwrap();
    for (folder, stays) in [("out", false), ("there", true)] {
        for failing in [
            &["encode", "missing.jsonl", "-t", "t.json"][..],
            &["encode", "in", "-t", "missing.json"],
            &["import", "missing", "--layout", "nanogpt", "-t", "t.json"],
            &["plan", "missing.jsonl", "-t", "t.json"],
        ] {
            workshop.run(&[failing, &["-o", folder]].concat()).fails(1, &["missing", "check the name"]);
            assert_eq!(workshop.path(folder).exists(), stays, "{failing:?}");
        }
    }
}
