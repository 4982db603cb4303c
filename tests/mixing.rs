//! `ciyuan mix`: shares of sources, gone through several times or in part, in one random order.

use std::collections::BTreeMap;

use ciyuan::shard::{Corpus, Manifest, Split};

use super::common::{Workshop, root};

/// Two sources, 600 documents of English and 200 of Chinese, in shards of one tokenizer.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.json", "--vocab-size", "400"]).ok();
    let en =
        |n: usize| format!("{{\"text\": \"Line {n} of the English source, {}\"}}\n", "which is long ".repeat(n % 7));
    let zh = |n: usize| format!("{{\"text\": \"中文来源的第{n}条：语言模型学习词元。\"}}\n");
    workshop.write("en.jsonl", (0..600).map(en).collect::<String>());
    workshop.write("zh.jsonl", (0..200).map(zh).collect::<String>());
    for source in ["en", "zh"] {
        let input = format!("{source}.jsonl");
        workshop.run(&["encode", &input, "-o", source, "-t", "t.json", "--val=0.1", "--unit-size", "8KB"]).ok();
    }
    workshop
}

fn documents(workshop: &Workshop, folder: &str, split: Split) -> Vec<Vec<u32>> {
    let corpus = Corpus::open(&workshop.path(folder), split).unwrap();
    corpus.documents().collect::<Result<_, _>>().unwrap()
}

/// How often each document of a folder stands in a mixture, in the folder's order.
fn copies(workshop: &Workshop, mixture: &str, folder: &str, split: Split) -> Vec<usize> {
    let mut counts: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    for ids in documents(workshop, mixture, split) {
        *counts.entry(ids).or_default() += 1;
    }
    documents(workshop, folder, split).iter().map(|ids| counts.get(ids).copied().unwrap_or(0)).collect()
}

fn tokens(workshop: &Workshop, folder: &str) -> u64 {
    Corpus::open(&workshop.path(folder), Split::Train).unwrap().info().tokens
}

fn mix(workshop: &Workshop, output: &str, more: &[&str]) -> Manifest {
    workshop.run(&[&["mix", "en=en", "zh=zh", "-o", output], more].concat()).ok();
    workshop.run(&["verify", output]).ok();
    Manifest::load(&workshop.path(output)).unwrap().unwrap()
}

const HALVES: [&str; 4] = ["--weight", "en=0.5", "--weight", "zh=0.5"];

#[test]
fn nothing_twice_unless_it_is_asked_for() {
    let workshop = workshop();
    mix(&workshop, "all", &[]);
    for source in ["en", "zh"] {
        for split in Split::ALL {
            assert!(copies(&workshop, "all", source, split).iter().all(|&copies| copies == 1), "{source}");
        }
    }
    // Half and half: the smaller source in whole, the larger one in part.
    let manifest = mix(&workshop, "half", &HALVES);
    let (en, zh) = (tokens(&workshop, "en"), tokens(&workshop, "zh"));
    assert!(zh < en / 2, "{en} {zh}");
    assert!(copies(&workshop, "half", "zh", Split::Train).iter().all(|&copies| copies == 1));
    let of_en = copies(&workshop, "half", "en", Split::Train);
    assert!(of_en.iter().all(|&copies| copies <= 1));
    let share = (tokens(&workshop, "half") - zh) as f64 / zh as f64;
    assert!((0.85..1.15).contains(&share), "{share}");
    // What is left out is counted, and held-out documents are all there.
    let left_out = of_en.iter().filter(|&&copies| copies == 0).count() as u64;
    assert_eq!((manifest.documents.filtered, manifest.documents.entered), (left_out, 800));
    assert!(copies(&workshop, "half", "en", Split::Val).iter().all(|&copies| copies == 1));
    // In one order: neither source has a half for itself.
    let first: Vec<Vec<u32>> = documents(&workshop, "half", Split::Train).into_iter().take(60).collect();
    let from_zh = documents(&workshop, "zh", Split::Train).iter().filter(|ids| first.contains(ids)).count();
    assert!((8..52).contains(&from_zh), "{from_zh}");
}

#[test]
fn sources_gone_through_more_than_once() {
    let workshop = workshop();
    let zh = tokens(&workshop, "zh");
    let wanted = (5 * zh).to_string(); // 2.5 times each document of zh, about
    let manifest = mix(&workshop, "more", &[&HALVES[..], &["--tokens", &wanted, "--seed", "7"]].concat());
    let of_zh = copies(&workshop, "more", "zh", Split::Train);
    assert!(of_zh.iter().all(|&copies| copies == 2 || copies == 3));
    let thrice = of_zh.iter().filter(|&&copies| copies == 3).count() as f64 / of_zh.len() as f64;
    assert!((0.38..0.62).contains(&thrice), "{thrice}");
    let input = &manifest.inputs.iter().filter(|input| input.path.starts_with("zh")).collect::<Vec<_>>();
    let left: u64 = input.iter().map(|input| input.documents.unwrap().left).sum();
    let held_out = documents(&workshop, "zh", Split::Val).len();
    assert_eq!(left, (of_zh.iter().sum::<usize>() + held_out) as u64);
    // Copies of a document do not stand together.
    let mixed = documents(&workshop, "more", Split::Train);
    assert!(mixed.windows(2).filter(|pair| pair[0] == pair[1]).count() < mixed.len() / 20);
    // A larger mixture holds a smaller one.
    let larger = (6 * zh).to_string();
    mix(&workshop, "larger", &[&HALVES[..], &["--tokens", &larger, "--seed", "7"]].concat());
    for source in ["en", "zh"] {
        let (small, large) =
            (copies(&workshop, "more", source, Split::Train), copies(&workshop, "larger", source, Split::Train));
        assert!(small.iter().zip(&large).all(|(small, large)| small <= large) && small != large, "{source}");
    }
    let most = (9 * zh).to_string();
    let error = ["mix", "en=en", "zh=zh", "-o", "x", "--tokens", &most];
    workshop.run(&[&error[..], &HALVES].concat()).fails(2, &["`zh`", "4 times", "--max-epochs"]);
}

#[test]
fn the_same_bytes_whatever_the_memory_and_the_order_of_sources() {
    let workshop = workshop();
    let more = ["--seed", "3", "--shard-size", "6KB"];
    let first = mix(&workshop, "a", &[&HALVES[..], &more].concat());
    mix(&workshop, "b", &[&HALVES[..], &more, &["--memory", "2KB", "--threads", "1"]].concat());
    workshop.run(&[&["mix", "zh=zh", "en=en", "-o", "c"], &HALVES[..], &more].concat()).ok();
    let shards = |folder: &str| -> Vec<Vec<u8>> {
        let read = |shard: &ciyuan::shard::ShardEntry| std::fs::read(workshop.path(folder).join(&shard.name)).unwrap();
        first.shards.iter().map(read).collect()
    };
    assert!(first.shards.len() > 3);
    assert!(shards("a") == shards("b") && shards("a") == shards("c"));
    let other = mix(&workshop, "d", &[&HALVES[..], &["--seed", "4"]].concat());
    assert_ne!(documents(&workshop, "d", Split::Train), documents(&workshop, "a", Split::Train));
    assert_ne!(copies(&workshop, "d", "en", Split::Train), copies(&workshop, "a", "en", Split::Train));
    assert_eq!(other.documents.entered, first.documents.entered);
    // Again: complete. Otherwise: not over it.
    mix(&workshop, "a", &[&HALVES[..], &more].concat());
    workshop.run(&["mix", "en=en", "zh=zh", "-o", "a"]).fails(1, &["already"]);
}

#[test]
fn plans_and_wrong_mixtures() {
    let workshop = workshop();
    let plan = workshop.run(&[&["mix", "en=en", "zh=zh", "-o", "x", "--dry-run", "--json"], &HALVES[..]].concat());
    let plan: serde_json::Value = serde_json::from_str(&plan.ok()).unwrap();
    assert_eq!(plan[1]["epochs"], 1.0);
    assert_eq!(plan[0]["mixed_tokens"], plan[1]["tokens"]);
    assert!(!workshop.path("x").join("manifest.json").exists());
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "u.json", "--vocab-size", "401"]).ok();
    workshop.run(&["encode", "zh.jsonl", "-o", "other", "-t", "u.json", "--val=0.1"]).ok();
    workshop.run(&["mix", "en=en", "zh=other", "-o", "x"]).fails(3, &["other", "tokenizer"]);
    workshop.run(&["mix", "en=en", "en=zh", "-o", "x"]).fails(2, &["en", "one source"]);
    workshop.run(&["mix", "en", "-o", "x"]).fails(2, &["NAME=DIR"]);
    workshop.run(&["mix", "en=en", "zh=zh", "-o", "x", "--weight", "en=1"]).fails(2, &["`zh` has no --weight"]);
    workshop.run(&["mix", "en=en", "-o", "en"]).fails(2, &["source"]);
    workshop.run(&["mix", "en=nothing", "-o", "x"]).fails(1, &["nothing"]);
    workshop.run(&["mix", "en=en", "-o", "x", "--tokens", "0"]).fails(2, &["from 1 to"]);
}
