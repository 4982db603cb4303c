//! `ciyuan learn`: a tokenizer extended, a stopped run gone on from, tokens wanted by name, rules of merging.

use std::sync::atomic::{AtomicBool, Ordering};

use ciyuan::Error;
use ciyuan::encode::Tokenizer;
use ciyuan::learn::{LearnConfig, VocabSize};
use ciyuan::pipeline::{CountPlan, Event, LearnSettings, Progress, learn_from_counts, partial_path};
use ciyuan::text::{ReadOptions, Source};
use ciyuan::vocab::TokenizerSpec;

use super::common::{Workshop, root};

fn text_of(language: &str) -> String {
    root().join("corpora").join(language).display().to_string()
}

fn spec(workshop: &Workshop, name: &str) -> TokenizerSpec {
    TokenizerSpec::from_json(&std::fs::read(workshop.path(name)).unwrap()).unwrap()
}

#[test]
fn a_tokenizer_is_extended_and_keeps_its_ids() {
    let workshop = Workshop::new();
    let (en, zh) = (text_of("en"), text_of("zh"));
    workshop.run(&["learn", &en, "-o", "en.json", "--vocab-size", "800", "--pattern", "cl100k"]).ok();
    workshop.run(&["learn", &zh, "--extend", "en.json", "-o", "both.json", "--vocab-size", "1400"]).ok();
    let (base, both) = (spec(&workshop, "en.json"), spec(&workshop, "both.json"));
    assert_eq!((both.vocab_size(), both.pattern()), (1400, base.pattern()));
    assert!(base.vocab().iter().all(|(id, bytes)| both.vocab().token(id) == Some(bytes)));
    assert_eq!(both.special(), base.special());
    assert_eq!(both.merges().as_slice()[..base.merges().len()], *base.merges().as_slice());
    // English is as it was, and Chinese shorter.
    let count = |tokenizer: &str, text: &str| {
        let files = ["count", "-t", tokenizer, text, "--json"];
        workshop.run(&files).json()["total"]["tokens"].as_u64().unwrap()
    };
    assert!(count("both.json", &zh) * 3 < count("en.json", &zh) * 2);
    assert!(count("both.json", &en) <= count("en.json", &en));
}

#[test]
fn what_cannot_be_extended_is_told() {
    let workshop = Workshop::new();
    let en = text_of("en");
    workshop.run(&["learn", &en, "-o", "en.json", "--vocab-size", "400"]).ok();
    let extend = |more: &[&str]| workshop.run(&[&["learn", &en, "--extend", "en.json", "-o", "x.json"], more].concat());
    extend(&["--vocab-size", "300"]).fails(2, &["300", "400"]);
    extend(&["--han", "words", "--vocab-size", "500"]).fails(2, &["`han`", "words"]);
    extend(&["--pattern", "gpt2", "--vocab-size", "500"]).fails(2, &["--pattern", "--extend"]);
    assert!(!workshop.path("x.json").exists());
}

#[test]
fn tokens_wanted_by_name_and_a_vocabulary_filled_up() {
    let workshop = Workshop::new();
    let more = ["--vocab-size", "1000", "--require", "量子力学 2.0", "--pad-to-multiple-of", "128"];
    let json = workshop.run(&[&["learn", &text_of("zh"), "-o", "t.json", "--json"][..], &more].concat()).json();
    assert_eq!(json["vocab_size"], 1024);
    let spec = spec(&workshop, "t.json");
    assert_eq!(spec.added_token(1000).map(|token| token.content.as_str()), Some("量子力学 2.0"));
    assert_eq!(
        (spec.special().name(1001), spec.special().name(1023)),
        (Some("<|reserved_0|>"), Some("<|reserved_22|>"))
    );
    let ids = workshop.run_with(&["tokenize", "-t", "t.json"], "量子力学 2.0".as_bytes()).ok();
    assert_eq!(ids.trim(), "1000");
}

#[test]
fn the_end_says_what_was_learned() {
    let workshop = Workshop::new();
    let zh = text_of("zh");
    let learn = ["learn", &zh, "-o", "t.json", "--vocab-size", "1000"];
    let text = workshop.run(&learn).ok();
    assert!(text.contains("unreachable   none") && text.contains("Han"), "{text}");
    let audit = &workshop.run(&[&learn[..], &["--json"]].concat()).json()["audit"];
    assert_eq!((&audit["tokens"], &audit["learned"], &audit["unreachable"]), (&1000.into(), &743.into(), &0.into()));
}

#[test]
fn rules_of_merging_reach_the_learner() {
    let workshop = Workshop::new();
    let zh = text_of("zh");
    let learn = |more: &[&str]| {
        workshop.run(&[&["learn", &zh, "-o", "t.json", "--vocab-size", "1500"], more].concat()).ok();
        spec(&workshop, "t.json")
    };
    let tokens = |spec: &TokenizerSpec| spec.vocab().iter().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>();
    let plain = learn(&[]);
    let longest = |spec: &TokenizerSpec| tokens(spec).iter().map(Vec::len).max().unwrap();
    assert!(longest(&plain) > 6);
    assert_eq!(longest(&learn(&["--max-token-bytes", "6"])), 6);
    let short = tokens(&learn(&["--max-token-characters", "1"]));
    assert!(short.iter().all(|token| token.iter().filter(|byte| **byte & 0xC0 != 0x80).count() <= 1));
    let crosses = |token: &Vec<u8>| token.len() > 3 && std::str::from_utf8(token).is_err();
    assert!(tokens(&plain).iter().any(crosses));
    assert!(!tokens(&learn(&["--character-boundaries"])).iter().any(crosses));
    // Text in which a Han character stands beside a digit and a letter.
    workshop.write("mixed.txt", "第3章讲AI模型，v2 of the 模型。\n".repeat(40));
    let mixed = |more: &[&str]| {
        let all =
            ["learn", "mixed.txt", "-o", "m.json", "--vocab-size", "300", "--pattern", r"[^\n]+|\n", "--han", "runs"];
        workshop.run(&[&all[..], more].concat()).ok();
        tokens(&spec(&workshop, "m.json"))
    };
    let of_two = |token: &Vec<u8>| {
        let text = std::str::from_utf8(token).unwrap_or_default();
        let is_any = |of: fn(char) -> bool| u32::from(text.chars().any(of));
        is_any(ciyuan::segment::is_han) + is_any(|c| c.is_ascii_alphabetic()) + is_any(|c| c.is_ascii_digit()) > 1
    };
    assert!(mixed(&[]).iter().any(of_two));
    let by_script = mixed(&["--no-script-merges"]);
    assert!(!by_script.iter().any(|token| of_two(token) || crosses(token)));
    for part in ["模型", "，", "of the"] {
        let holds = |token: &Vec<u8>| String::from_utf8_lossy(token).contains(part);
        assert!(by_script.iter().any(holds), "{part:?}");
    }
    assert!(learn(&["--min-saved-per-million", "2000"]).vocab_size() < 1500);
    assert_ne!(learn(&["--ties", "raw-bytes"]).fingerprint(), plain.fingerprint());
}

#[test]
fn the_file_says_what_it_was_learned_from() {
    let workshop = Workshop::new();
    let zh = text_of("zh");
    let more = ["--vocab-size", "900", "--min-count", "3", "--json"];
    let learn = |first: &[&str]| workshop.run(&[&["learn"], first, &more].concat()).json();
    let json = learn(&[&zh, "-o", "t.json", "--threads", "1", "--save-counts", "c"]);
    let file = std::fs::read(workshop.path("t.json")).unwrap();
    // Neither threads nor the way to the counts are in it.
    for other in [&[&*zh, "--threads", "3"][..], &["--counts", "c"]] {
        learn(&[other, &["-o", "u.json"]].concat());
        assert!(std::fs::read(workshop.path("u.json")).unwrap() == file);
    }
    let learned = spec(&workshop, "t.json");
    let origin = learned.origin().unwrap();
    assert_eq!((&origin["version"], &origin["counts"]), (&json["version"], &json["counts_fingerprint"]));
    let settings = &origin["settings"];
    assert_eq!((&settings["vocab-size"]["tokens"], &settings["min-count"]), (&900.into(), &3.into()));
    assert_eq!((&settings["pattern"], &settings["han"]), (&"ciyuan".into(), &"learn-words".into()));
    // It decides no id, and goes wherever the tokenizer goes.
    let mut without: serde_json::Value = serde_json::from_slice(&file).unwrap();
    without["model"].as_object_mut().unwrap().remove("ciyuan");
    let without = TokenizerSpec::from_json(without.to_string().as_bytes()).unwrap();
    assert_eq!((without.origin(), without.fingerprint()), (None, learned.fingerprint()));
    assert!(without.clone().with_origin(origin.clone()) == learned && without != learned);
    assert!(TokenizerSpec::from_json(learned.to_json().as_bytes()).unwrap() == learned);
    let tokenizer = Tokenizer::new(learned.clone()).unwrap();
    let prebuilt = Tokenizer::from_prebuilt(&tokenizer.to_prebuilt().unwrap()).unwrap();
    assert_eq!((prebuilt.spec().origin(), prebuilt.fingerprint()), (Some(origin), learned.fingerprint()));
    assert_eq!(learned.padded(1024).unwrap().origin(), Some(origin));
    // The reference passes over it.
    let reference = tokenizers::Tokenizer::from_file(workshop.path("t.json")).unwrap();
    let text = "语言模型学习词元，a model learns tokens 2026";
    assert_eq!(tokenizer.encode(text).unwrap(), reference.encode(text, false).unwrap().get_ids());
    assert_eq!(workshop.run(&["inspect", "t.json", "--json"]).json()["learned_from"], *origin);
    assert!(workshop.run(&["inspect", "t.json"]).ok().contains("learned from    {\"counts\":"));
    // One that is extended says of what.
    workshop.run(&["learn", &text_of("en"), "--extend", "t.json", "-o", "x.json", "--vocab-size", "1000"]).ok();
    let extended = spec(&workshop, "x.json");
    assert_eq!(extended.origin().unwrap()["extends"], learned.fingerprint().to_string());
    assert_eq!(extended.origin().unwrap()["settings"]["vocab-size"]["tokens"], 1000);
}

#[test]
fn held_out_texts_are_encoded_at_the_end() {
    let workshop = Workshop::new();
    workshop.write("in/a.txt", "语言模型学习词元。\n".repeat(50));
    workshop.write("out/b.txt", "模型学习语言。\n");
    workshop.write("out/c.jsonl", "{\"text\": \"A language model learns words.\"}\n");
    let learn = ["learn", "in", "-o", "t.json", "--vocab-size", "300", "--held-out"];
    let json = workshop.run(&[&learn[..], &["out/b.txt", "out/c.jsonl", "--json"]].concat()).json();
    let audit = workshop.run(&["inspect", "t.json", "--audit", "--texts", "out", "--json"]).json();
    assert_eq!(json["audit"], audit);
    let rows: Vec<_> = audit["texts"].as_array().unwrap().iter().map(|row| (&row["language"], &row["bytes"])).collect();
    assert_eq!(rows, [(&"zh".into(), &22.into()), (&"en".into(), &30.into()), (&"all".into(), &52.into())]);
    let text = workshop.run(&[&learn[..], &["out"]].concat()).ok();
    assert!(text.contains("bytes/token"), "{text}");
    workshop.run(&[&learn[..], &["./in/a.txt", "out"]].concat()).fails(2, &["--held-out", "in/a.txt", "is an input"]);
    workshop.run(&[&learn[..], &["none"]].concat()).fails(1, &["none"]);
}

/// Stops while merges are learned, wherever that is, and goes on.
#[test]
fn a_stopped_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let partial = partial_path(&folder.path().join("t.json"));
    let source = Source::find(&[text_of("zh").into()], None).unwrap();
    let plan = CountPlan::of_texts(&source, &ReadOptions::default());
    let sized = |size, base: Option<&TokenizerSpec>| {
        let config = LearnConfig { vocab_size: VocabSize::Tokens(size), ..LearnConfig::default() };
        LearnSettings { config, extends: base.cloned(), ..LearnSettings::default() }
    };
    let whole = |settings: &LearnSettings| learn_from_counts(&plan, settings, None, &Progress::silent()).unwrap().spec;
    let base = whole(&sized(600, None));
    for base in [None, Some(&base)] {
        let settings = sized(2000, base);
        let expected = whole(&settings);
        for merges in [64, 800] {
            let (stop, merging) = (AtomicBool::new(false), AtomicBool::new(false));
            let tell = |event: Event| match event {
                Event::Stage { name, .. } => merging.store(name == "learning merges", Ordering::Relaxed),
                Event::Done(done) if done >= merges && merging.load(Ordering::Relaxed) => {
                    stop.store(true, Ordering::Relaxed);
                }
                _ => {}
            };
            let stopped = learn_from_counts(&plan, &settings, Some(&partial), &Progress::new(&tell, &stop));
            assert!(matches!(stopped, Err(Error::Interrupted { .. })));
            assert!(partial.exists());
            // With a smaller size the merges that were found are enough.
            let small = sized(650, base);
            let gone_on = learn_from_counts(&plan, &small, Some(&partial), &Progress::silent()).unwrap().spec;
            assert!(gone_on == whole(&small));
        }
        let gone_on = learn_from_counts(&plan, &settings, Some(&partial), &Progress::silent()).unwrap().spec;
        assert!(gone_on == expected);
        std::fs::remove_file(&partial).unwrap();
    }
}
