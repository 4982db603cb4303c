//! `ciyuan trim` and `ciyuan inspect --audit` by their outputs.

use std::collections::HashSet;

use serde_json::Value;

use super::common::{Workshop, root};

/// A tokenizer learned from Chinese with some English, as `t.json`.
fn with_tokenizer() -> Workshop {
    let workshop = Workshop::new();
    let corpus = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpus, "-o", "t.json", "--vocab-size", "700"]).ok();
    workshop
}

fn ids(workshop: &Workshop, tokenizer: &str, text: &str) -> Vec<u64> {
    let output = workshop.run_with(&["tokenize", "-t", tokenizer], text.as_bytes()).ok();
    output.split_ascii_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// The table of --ids.
fn table(workshop: &Workshop, name: &str) -> Vec<(u64, u64)> {
    let text = std::fs::read_to_string(workshop.path(name)).unwrap();
    let line =
        |line: &str| line.split_once('\t').map(|(old, new)| (old.parse().unwrap(), new.parse().unwrap())).unwrap();
    text.lines().map(line).collect()
}

#[test]
fn the_last_merges_go() {
    let workshop = with_tokenizer();
    let trim = |more: &[&str]| workshop.run(&[&["trim", "-t", "t.json", "-o"][..], more].concat());
    let json = trim(&["small.json", "--vocab-size", "400", "--ids", "ids.tsv", "--json"]).json();
    let facts = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(["before", "removed", "last", "after", "vocab_size"].map(facts), [700, 300, 300, 400, 400]);
    let inspect = workshop.run(&["inspect", "small.json", "--json"]).json();
    assert_eq!((&inspect["fingerprint"], &inspect["special"]["<|endoftext|>"]), (&json["fingerprint"], &399.into()));
    let expected: Vec<(u64, u64)> = (0..399).map(|id| (id, id)).chain([(699, 399)]).collect();
    assert_eq!(table(&workshop, "ids.tsv"), expected);
    let shown = trim(&["small.json", "--vocab-size", "400"]).ok();
    assert!(shown.lines().any(|line| line.starts_with("removed") && line.ends_with(" 300")), "{shown}");
    // Down to a multiple, or up with --reserve.
    assert_eq!(trim(&["a.json", "--multiple-of", "128", "--json"]).json()["vocab_size"], 640);
    let padded = trim(&["b.json", "--multiple-of", "128", "--reserve", "--json"]).json();
    assert_eq!((&padded["vocab_size"], &padded["reserved"], &padded["removed"]), (&768.into(), &68.into(), &0.into()));
    assert_eq!(ids(&workshop, "b.json", "词元 tokens"), ids(&workshop, "t.json", "词元 tokens"));
    // Nothing asked for: the same tokenizer.
    trim(&["same.json"]).ok();
    let read = |name: &str| std::fs::read_to_string(workshop.path(name)).unwrap();
    assert_eq!(read("same.json"), read("t.json"));
    trim(&["x.json", "--vocab-size", "256"]).fails(2, &["256 is too small"]);
    trim(&["x.json", "--reserve"]).fails(2, &["--multiple-of"]);
    trim(&["."]).fails(1, &["folder"]);
}

#[test]
fn what_texts_do_not_use_goes() {
    let workshop = with_tokenizer();
    let text = "词元是语言模型的单位。\nThe tokens of a language model.\n";
    workshop.write("texts/a.txt", text);
    let json = workshop
        .run(&["trim", "-t", "t.json", "-o", "u.json", "--ids", "ids.tsv", "--json", "--unused", "texts"])
        .json();
    let fact = |name: &str| json[name].as_u64().unwrap();
    assert_eq!((fact("documents"), fact("before") - fact("unused")), (1, fact("after")));
    assert!(fact("unused") > 100 && fact("kept_for_others") > 0, "{json}");
    let new: std::collections::HashMap<u64, u64> = table(&workshop, "ids.tsv").into_iter().collect();
    let old_ids = ids(&workshop, "t.json", text);
    assert_eq!(ids(&workshop, "u.json", text), old_ids.iter().map(|id| new[id]).collect::<Vec<_>>());
    // Those that stay are bytes, the end of text, what is used, and what that is made of.
    let used: HashSet<u64> = old_ids.into_iter().filter(|id| *id > 255).collect();
    assert_eq!(fact("after"), 257 + used.len() as u64 + fact("kept_for_others"));
    workshop.write("empty/a.jsonl", "{}\n");
    workshop
        .run(&["trim", "-t", "t.json", "-o", "v.json", "--unused", "empty"])
        .fails(2, &["no document was read", "passed over 1 records"]);
}

#[test]
fn tokens_by_name() {
    let workshop = with_tokenizer();
    let trim = |more: &[&str]| workshop.run(&[&["trim", "-t", "t.json", "-o"][..], more].concat());
    let json = trim(&["n.json", "--require", "New York", "--require", "-x-", "--vocab-size", "500", "--json"]).json();
    let told = ["required", "vocab_size", "last"].map(|name| json[name].as_u64().unwrap());
    assert_eq!((told, &json["not_one_token"]), ([2, 500, 202], &serde_json::json!([])));
    let found = ids(&workshop, "n.json", "a New York-x-b");
    assert!(found.contains(&498) && found.contains(&499), "{found:?}");
    trim(&["n.json", "--require", ""]).fails(3, &["has no name"]);
    trim(&["n.tiktoken", "--require", "New York"]).fails(3, &["cannot be written as .tiktoken"]);
}

/// Merges of a file that no text comes to: of `abc` by way of `ab`, where `bc` comes first.
#[test]
fn unreachable_tokens_go() {
    let workshop = with_tokenizer();
    let text = std::fs::read_to_string(workshop.path("t.json")).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    file["added_tokens"] = serde_json::json!([]);
    let vocab = file["model"]["vocab"].as_object_mut().unwrap();
    vocab.retain(|_, id| id.as_u64().unwrap() < 256);
    for (id, token) in (256..).zip(["qx", "xj", "qxj", "qxjqxj"]) {
        vocab.insert(token.to_owned(), id.into());
    }
    file["model"]["merges"] = serde_json::json!(["x j", "q x", "qx j", "qxj qxj"]);
    std::fs::write(workshop.path("t.json"), file.to_string()).unwrap();
    let audit = workshop.run(&["inspect", "t.json", "--audit", "--json"]).json();
    assert_eq!((&audit["unreachable"], &audit["first_unreachable"][1]["token"]), (&2.into(), &"qxjqxj".into()));
    let shown = workshop.run(&["inspect", "t.json", "--audit"]).ok();
    assert!(shown.contains("unreachable   2, the first `qxj` `qxjqxj`"), "{shown}");
    let json = workshop.run(&["trim", "-t", "t.json", "-o", "r.json", "--unreachable", "--json"]).json();
    assert_eq!((&json["unreachable"], &json["merges"], &json["vocab_size"]), (&2.into(), &2.into(), &258.into()));
    assert_eq!(ids(&workshop, "r.json", "qxjqxj"), ids(&workshop, "t.json", "qxjqxj"));
    assert!(workshop.run(&["inspect", "r.json", "--audit"]).ok().contains("unreachable   none"));
    let strict = workshop.run(&["inspect", "t.json", "--audit", "--strict"]);
    assert!(strict.stdout.contains("no text comes to it"), "{}", strict.stdout);
    strict.fails(3, &["t.json", "2 tokens: no text comes to it"]);
    workshop.run(&["inspect", "r.json", "--audit", "--strict"]).ok();
    // With text that uses one of two tokens the other is found.
    workshop.write("a.txt", "xj");
    workshop.run(&["inspect", "r.json", "--audit", "--strict", "--texts", "a.txt"]).fails(3, &["1 tokens: not used"]);
    workshop.run(&["inspect", "r.json", "--strict"]).fails(2, &["--audit"]);
}

#[test]
fn a_vocabulary_is_audited() {
    let workshop = with_tokenizer();
    workshop.write("a.txt", "词元是语言模型的单位。");
    workshop.write("b.txt", "The tokens of a language model.");
    let audit = workshop.run(&["inspect", "t.json", "--audit", "--json", "--texts", "a.txt", "b.txt"]).json();
    let classes = audit["classes"].as_array().unwrap();
    let sum: u64 = classes.iter().map(|row| row["tokens"].as_u64().unwrap()).sum();
    assert_eq!((sum, &audit["tokens"], &audit["learned"]), (700, &700.into(), &443.into()));
    // What is learned here is reached, every token of it.
    assert_eq!(audit["unreachable"], 0);
    let texts = audit["texts"].as_array().unwrap();
    let languages: Vec<&str> = texts.iter().map(|row| row["language"].as_str().unwrap()).collect();
    assert_eq!(languages, ["zh", "en", "all"]);
    let tokens =
        |name: &str| workshop.run(&["count", "-t", "t.json", "--json", name]).json()["total"]["tokens"].clone();
    assert_eq!([&texts[0]["tokens"], &texts[1]["tokens"]], [&tokens("a.txt"), &tokens("b.txt")]);
    let shown = workshop.run(&["inspect", "t.json", "--audit", "--texts", "a.txt"]).ok();
    for line in ["Han ", "across characters ", "unreachable   none", "zh "] {
        assert!(shown.lines().any(|other| other.starts_with(line)), "{line}: {shown}");
    }
    workshop.run(&["inspect", "t.json", "--texts", "a.txt"]).fails(2, &["--audit"]);
}
