//! The same input and settings give the same bytes, for any number of threads.

use std::collections::BTreeMap;
use std::path::Path;

use super::common::{CORPORA, Workshop, root};

/// Contents of the files below a folder, by name; the report's seconds left out.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let mut bytes = std::fs::read(&path).unwrap();
            if name == "report.json" {
                let mut report: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                report["seconds"] = serde_json::Value::Null;
                bytes = report.to_string().into_bytes();
            }
            if name != "report.html" {
                found.insert(name, bytes);
            }
        }
    }
    found
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let workshop = Workshop::new();
    let corpora = CORPORA.map(|folder| root().join(folder).display().to_string());
    let mut first = None;
    for threads in ["1", "2", "3", "8"] {
        let out = format!("out{threads}");
        let mut arguments = vec!["prepare", "-o", &out, "--threads", threads, "--unit-size", "40KB"];
        arguments.extend(["--steps", "6", "--context", "16", "--width", "16", "--heads", "2", "--vocab-size", "700"]);
        arguments.extend(corpora.iter().map(String::as_str));
        workshop.run(&arguments).ok();
        let made = contents(&workshop.path(&out));
        assert!(made.keys().filter(|name| name.ends_with(".shard")).count() > 8, "{:?}", made.keys());
        let first = first.get_or_insert_with(|| made.clone());
        for (name, bytes) in &made {
            assert!(first.get(name) == Some(bytes), "{name} differs with {threads} threads");
        }
        assert_eq!(first.len(), made.len());
    }
}

/// Units cut the output into other files, but not into other documents.
#[test]
fn unit_size_does_not_change_the_ids() {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.json", "--vocab-size", "600"]).ok();
    let mut texts = Vec::new();
    for size in ["1", "20KB", "1GB"] {
        let out = format!("out{size}");
        workshop.run(&["encode", &corpora, "-t", "t.json", "-o", &out, "--unit-size", size, "--val", "0"]).ok();
        let corpus = ciyuan::shard::Corpus::open(&workshop.path(&out), ciyuan::shard::Split::Train).unwrap();
        texts.push(corpus.documents().collect::<Result<Vec<_>, _>>().unwrap());
    }
    assert_eq!(texts[0].len(), 22);
    assert!(texts[0] == texts[1] && texts[1] == texts[2]);
}
