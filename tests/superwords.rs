//! `--superwords`: a second stage of merges that reach over the edges between words.

use std::sync::atomic::{AtomicBool, Ordering};

use ciyuan::Error;
use ciyuan::encode::naive_encode;
use ciyuan::learn::{Counts, LearnConfig, VocabSize, naive_learn, naive_learn_more};
use ciyuan::pipeline::{CountPlan, Event, LearnSettings, Progress, learn_from_counts, load_tokenizer, partial_path};
use ciyuan::segment::{Han, HanEdges, Pattern, SUPERWORD_PATTERN, Segmenter};
use ciyuan::text::{ReadOptions, Source};
use ciyuan::vocab::TokenizerSpec;
use tokenizers::Tokenizer as Reference;

use super::common::{CORPORA, Random, Workshop, corpus, hostile, root};

fn inputs() -> Vec<String> {
    CORPORA.iter().map(|folder| root().join(folder).display().to_string()).collect()
}

fn is_superword(token: &[u8]) -> bool {
    let text = std::str::from_utf8(token).unwrap_or_default().trim();
    text.split(' ').filter(|word| word.chars().any(char::is_alphabetic)).count() > 1
}

/// Our ids are those of the plain encoder and of the reference, which loads the file that was written.
#[test]
fn the_same_ids_in_the_reference() {
    let workshop = Workshop::new();
    let inputs = inputs();
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let learn =
        |more: &[&str]| workshop.run(&[&["learn", "--vocab-size", "4000", "--json"], more, &names].concat()).json();
    let plain = learn(&["-o", "plain.json"]);
    let json = learn(&["-o", "t.json", "--superwords", "1000", "--threads", "1"]);
    assert_eq!((&json["vocab_size"], &json["counts_fingerprint"]), (&4000.into(), &plain["counts_fingerprint"]));
    let tokenizer = load_tokenizer(&workshop.path("t.json"), None, &[]).unwrap();
    let spec = tokenizer.spec();
    assert_eq!((spec.pattern(), spec.han(), spec.vocab_size()), (SUPERWORD_PATTERN, HanEdges::None, 4000));
    assert_eq!(spec.special().id("<|endoftext|>"), Some(3999));
    // Superwords are among the last tokens, and only there.
    let all: Vec<bool> = spec.vocab().iter().map(|(_, bytes)| is_superword(bytes)).collect();
    assert!(all[..2999].iter().all(|is| !is) && all[2999..].iter().filter(|is| **is).count() > 50);
    let origin = spec.origin().unwrap();
    assert_eq!((&origin["settings"]["superwords"], &origin["settings"]["pattern"]), (&1000.into(), &"ciyuan".into()));
    assert!(origin["superword-counts"].is_string() && origin["superword-counts"] != origin["counts"]);
    let mut reference = Reference::from_file(workshop.path("t.json")).unwrap();
    reference.set_encode_special_tokens(true);
    let texts = corpus();
    let mut sums = [0; 2];
    let before = load_tokenizer(&workshop.path("plain.json"), None, &[]).unwrap();
    for text in texts.iter().chain(&hostile(4_000, 5)) {
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids, reference.encode(text.as_str(), false).unwrap().get_ids(), "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
        if text.len() < 300 {
            assert_eq!(ids, naive_encode(&tokenizer, text).unwrap(), "{text:?}");
        }
        sums[0] += before.encode(text).unwrap().len();
        sums[1] += ids.len();
    }
    assert!(sums[1] < sums[0], "{sums:?}");
    // Threads and the bound of memory change nothing.
    learn(&["-o", "u.json", "--superwords", "1000", "--threads", "3", "--memory", "64MiB"]);
    assert!(std::fs::read(workshop.path("u.json")).unwrap() == std::fs::read(workshop.path("t.json")).unwrap());
}

fn settings(superwords: u32, size: u32) -> LearnSettings {
    let config = LearnConfig { vocab_size: VocabSize::Tokens(size), ..LearnConfig::default() };
    LearnSettings { superwords: Some(superwords), config, han: Han::Runs, ..LearnSettings::default() }
}

/// Of more text than asked for some pieces are learned from, the same for any threads and bound of memory.
#[test]
fn learned_from_a_sample() {
    let workshop = Workshop::new();
    let inputs = inputs();
    let names: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let learn = |output: &'static str, more: &[&str]| {
        let flags = ["learn", "--vocab-size", "3000", "--superwords", "100", "-o", output];
        workshop.run(&[&flags, more, &names].concat());
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(workshop.path(output)).unwrap()).unwrap();
        json["model"]["merges"].clone()
    };
    let all = learn("all.json", &[]);
    assert_eq!(learn("enough.json", &["--superword-sample", "1GB"]), all);
    let half = learn("half.json", &["--superword-sample", "160KB", "--threads", "1"]);
    let same = learn("same.json", &["--superword-sample", "160KB", "--threads", "3", "--memory", "64MiB"]);
    assert!(half == same && half != all);
    let file = |name| std::fs::read(workshop.path(name)).unwrap();
    assert!(file("half.json") == file("same.json") && file("half.json") != file("all.json"));
    // The words are the same, and most of the superwords.
    let merges = |json: &serde_json::Value| json.as_array().unwrap().clone();
    let [all, half] = [merges(&all), merges(&half)];
    let words = all.len() - 100;
    assert_eq!((half.len(), &half[..words]), (all.len(), &all[..words]));
    let shared = half[words..].iter().filter(|merge| all[words..].contains(merge)).count();
    assert!((50..100).contains(&shared), "{shared}");
}

/// Both stages by recounting, each over the pieces of its own pattern.
#[test]
fn both_stages_equal_recounting() {
    let workshop = Workshop::new();
    let text =
        "to be or not to be, that is. to be 词元是单位。词元是单位！ and so to be\n".repeat(9) + "or not; or not";
    for (superwords, size) in [(30, 330), (1, 300), (43, 300), (400, 900)] {
        assert!(same_as_recounting(&workshop, &text, &settings(superwords, size)) > 0);
    }
}

/// The same on texts of some words in any order, under rules that end a stage early, or leave out tokens.
#[test]
fn both_stages_of_random_texts_equal_recounting() {
    let workshop = Workshop::new();
    let parts =
        ["to", "be", "tobe", " ", " ", "  ", "\n", ". ", "，", "。", "词", "词元", "元", "7", "é", "\u{301}", "'s"];
    let mut learned = 0;
    for seed in 0..120 {
        let mut random = Random(seed);
        let some: Vec<&str> = (0..=random.below(8)).map(|_| parts[random.below(parts.len())]).collect();
        let text: String = (0..1 + random.below(300)).map(|_| some[random.below(some.len())]).collect();
        let superwords = 1 + random.below(40) as u32;
        let mut settings = settings(superwords, 257 + superwords + random.below(60) as u32);
        settings.config.min_count = random.below(4) as u64;
        settings.config.character_boundaries = random.below(3) == 0;
        settings.config.max_token_bytes = (random.below(3) == 0).then(|| 2 + random.below(9) as u32);
        settings.config.min_saved_per_million = (random.below(3) == 0).then(|| random.below(60_000) as u64);
        learned += same_as_recounting(&workshop, &text, &settings);
    }
    assert!(learned > 500, "{learned} superwords");
}

/// Learns both stages fast, and plainly from counts of each; says how many merges the second one has.
#[track_caller]
fn same_as_recounting(workshop: &Workshop, text: &str, settings: &LearnSettings) -> usize {
    workshop.write("a.txt", text);
    let source = Source::find(&[workshop.path("a.txt")], None).unwrap();
    let plan = CountPlan::of_texts(&source, &ReadOptions::default());
    let spec = learn_from_counts(&plan, settings, None, &Progress::silent()).unwrap().spec;
    let counts = |pattern: &str| {
        let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
        Counts::of_texts(&segmenter, &[text]).unwrap()
    };
    let (VocabSize::Tokens(size), Some(superwords)) = (settings.config.vocab_size, settings.superwords) else {
        panic!("both are numbers")
    };
    let sized = |size| LearnConfig { vocab_size: VocabSize::Tokens(size), special: vec![], ..settings.config.clone() };
    let words = naive_learn(&counts("ciyuan"), &sized(size - 1 - superwords)).unwrap().pairs;
    let base = TokenizerSpec::from_learned(SUPERWORD_PATTERN.into(), HanEdges::None, &words, &[]).unwrap();
    let size = (size - 1).min(base.vocab_size() + superwords);
    let more = naive_learn_more(&counts(SUPERWORD_PATTERN), &base, &sized(size)).unwrap().pairs;
    let pairs: Vec<(u32, u32)> = spec.merges().as_slice().iter().map(|merge| (merge.left, merge.right)).collect();
    assert_eq!(pairs, [words, more.clone()].concat(), "{text:?} {settings:?}");
    more.len()
}

/// Stopped in either stage, it goes on to the same tokenizer.
#[test]
fn a_stopped_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let partial = partial_path(&folder.path().join("t.json"));
    let source = Source::find(&[root().join("corpora/en")], None).unwrap();
    let plan = CountPlan::of_texts(&source, &ReadOptions::default());
    let settings = settings(300, 1500);
    let whole = learn_from_counts(&plan, &settings, None, &Progress::silent()).unwrap().spec;
    for stage in ["learning merges", "learning superwords"] {
        let (stop, reached) = (AtomicBool::new(false), AtomicBool::new(false));
        let tell = |event: Event| match event {
            Event::Stage { name, .. } => reached.store(name == stage, Ordering::Relaxed),
            Event::Done(done) if done >= 100 && reached.load(Ordering::Relaxed) => stop.store(true, Ordering::Relaxed),
            _ => {}
        };
        let stopped = learn_from_counts(&plan, &settings, Some(&partial), &Progress::new(&tell, &stop));
        assert!(matches!(stopped, Err(Error::Interrupted { .. })));
        assert!(partial.exists());
        let gone_on = learn_from_counts(&plan, &settings, Some(&partial), &Progress::silent()).unwrap().spec;
        assert!(gone_on == whole);
        std::fs::remove_file(&partial).unwrap();
    }
}

#[test]
fn what_is_refused() {
    let workshop = Workshop::new();
    workshop.write("a.txt", "some words of some text\n".repeat(9));
    workshop.run(&["learn", "a.txt", "--save-counts", "c"]).ok();
    let learn = |more: &[&str]| workshop.run(&[&["learn", "-o", "t.json", "--superwords", "9"], more].concat());
    learn(&["a.txt"]).fails(2, &["vocab-size", "auto", "--superwords", "the last of so many tokens"]);
    learn(&["a.txt", "--vocab-size", "265"]).fails(2, &["`superwords` is 9"]);
    learn(&["a.txt", "--vocab-size", "300", "--superwords", "0"]).fails(2, &["superwords"]);
    learn(&["a.txt", "--vocab-size", "300", "--han", "words"]).fails(2, &["`superwords`", "--han learn-words"]);
    learn(&["a.txt", "--vocab-size", "300", "--granularity", "char"]).fails(2, &["`superwords`"]);
    learn(&["--counts", "c", "--vocab-size", "300"]).fails(2, &["superwords", "read twice", "counts hold words"]);
    learn(&["-", "--vocab-size", "300"]).fails(2, &["superwords", "standard input"]);
    learn(&["a.txt", "--vocab-size", "300", "--superword-pattern", "("]).fails(2, &["`(`"]);
    workshop.run(&["learn", "a.txt", "-o", "t.json", "--superword-pattern", "."]).fails(2, &["--superwords"]);
    workshop.run(&["learn", "a.txt", "-o", "t.json", "--superword-sample", "9"]).fails(2, &["--superwords"]);
    learn(&["a.txt", "--vocab-size", "300", "--superword-sample", "0"]).fails(2, &["`superword-sample` is 0"]);
    assert!(!workshop.path("t.json").exists());
    // The whole text as one piece is a pattern too.
    learn(&["a.txt", "--vocab-size", "280", "--superword-pattern", r"(?s).+"]).ok();
    let tokenizer = load_tokenizer(&workshop.path("t.json"), None, &[]).unwrap();
    assert!(tokenizer.spec().vocab().iter().any(|(_, bytes)| bytes.windows(2).any(|pair| pair == b"t\n")));
}

/// The whole way with superwords: the tokenizer that is written says of what it is, and the shards are of its ids.
#[test]
fn prepared_with_superwords() {
    let workshop = Workshop::new();
    for number in 0..12 {
        workshop.write(&format!("in/{number}.txt"), format!("to be or not to be, {number} 词元是单位。\n").repeat(20));
    }
    let model = ["--steps", "3", "--context", "16", "--width", "16", "--heads", "2", "--val", "0.3"];
    let learning = ["--vocab-size", "320", "--superwords", "30"];
    workshop.run(&[&["prepare", "in", "-o", "out"][..], &learning, &model].concat()).ok();
    let tokenizer = load_tokenizer(&workshop.path("out"), None, &[]).unwrap();
    let origin = tokenizer.spec().origin().unwrap();
    assert_eq!(
        (&origin["settings"]["superwords"], &origin["version"]),
        (&30.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(tokenizer.spec().vocab().iter().any(|(_, bytes)| is_superword(bytes)));
    let text = workshop.run(&["inspect", "out", "--document", "0"]).ok();
    assert!(text.starts_with("to be or not to be, "), "{text}");
    workshop.run(&["verify", "out"]).ok();
}
