//! Tokens that are merges, words, characters or bytes: each kind falls back to bytes, is a standard file, and trains.

use std::str::FromStr;

use ciyuan::encode::{Tokenizer, naive_encode};
use ciyuan::learn::{Granularity, LearnConfig, VocabSize};
use ciyuan::pipeline::{LearnSettings, Progress, learn_tokenizer};
use ciyuan::segment::Han;
use ciyuan::text::{ReadOptions, Source};
use ciyuan::vocab::TokenizerSpec;
use tokenizers::Tokenizer as Reference;

use super::common::{CORPORA, Workshop, corpus, hostile, root};

fn learned(granularity: Granularity, han: Han) -> Tokenizer {
    let source = Source::find(&CORPORA.map(|folder| root().join(folder)), None).unwrap();
    let config = LearnConfig { vocab_size: VocabSize::Tokens(12_000), ..LearnConfig::default() };
    let settings = LearnSettings { granularity, han, config, ..LearnSettings::default() };
    let learned = learn_tokenizer(&source, &ReadOptions::default(), &settings, &Progress::silent()).unwrap();
    Tokenizer::new(learned.spec).unwrap()
}

fn pieces(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
    let ids = tokenizer.encode(text).unwrap();
    ids.iter().map(|id| String::from_utf8_lossy(tokenizer.token_bytes(*id).unwrap()).into_owned()).collect()
}

#[test]
fn each_kind_gives_the_ids_of_the_reference() {
    let texts = corpus();
    let hostile = hostile(3_000, 7);
    for (granularity, han) in [
        (Granularity::Bpe, Han::LearnWords),
        (Granularity::Word, Han::Runs),
        (Granularity::Word, Han::Chars),
        (Granularity::Char, Han::LearnWords),
        (Granularity::Byte, Han::LearnWords),
    ] {
        let tokenizer = learned(granularity, han);
        let json = tokenizer.spec().to_json();
        assert_eq!(TokenizerSpec::from_json(json.as_bytes()).unwrap(), *tokenizer.spec());
        let mut reference = Reference::from_str(&json).unwrap();
        reference.set_encode_special_tokens(true);
        for text in texts.iter().chain(&hostile) {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids, reference.encode(text.as_str(), false).unwrap().get_ids(), "{granularity:?} {text:?}");
            assert_eq!(ids, naive_encode(&tokenizer, text).unwrap());
            assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
        }
    }
}

#[test]
fn words_are_tokens_and_others_fall_into_characters() {
    let tokenizer = learned(Granularity::Word, Han::default());
    assert_eq!(pieces(&tokenizer, "我们学习中国，我们"), ["我们", "学习", "中国", "，", "我们"]);
    // Not a word of that text: its characters are.
    assert_eq!(pieces(&tokenizer, "我学"), ["我", "学"]);
    // A character that was not seen falls into parts of it.
    assert!(tokenizer.encode("龘").unwrap().len() > 1);
    let json = tokenizer.spec().to_json();
    assert_eq!(TokenizerSpec::from_json(json.as_bytes()).unwrap(), *tokenizer.spec());
    // Dictionary words cannot be said there.
    assert!(Reference::from_str(&json).is_err());
    assert!(tokenizer.spec().to_tiktoken().is_err());
}

#[test]
fn characters_and_bytes() {
    let tokenizer = learned(Granularity::Char, Han::default());
    assert_eq!(pieces(&tokenizer, "我们a b，\n"), ["我", "们", "a", " ", "b", "，", "\n"]);
    let one = |bytes: &[u8]| std::str::from_utf8(bytes).map_or(bytes.len() < 4, |text| text.chars().count() == 1);
    assert!(tokenizer.spec().vocab().iter().all(|(_, bytes)| one(bytes)));
    let tokenizer = learned(Granularity::Byte, Han::default());
    assert_eq!((tokenizer.spec().vocab_size(), tokenizer.encode("词元 a").unwrap().len()), (257, 8));
}

#[test]
fn each_kind_is_trained_on() {
    let workshop = Workshop::new();
    let text: String = (0..40).map(|n| format!("第{n}个词元 token number {n}, and some more words.\n")).collect();
    for n in 0..12 {
        workshop.write(&format!("good/{n:02}.txt"), format!("{n} {text}"));
    }
    let small = ["--steps", "3", "--context", "16", "--width", "16", "--heads", "2", "--val", "0.3", "--json"];
    for (granularity, size) in [("word", 300), ("char", 265), ("byte", 257)] {
        let (name, wanted) = (granularity, size.to_string());
        let arguments = ["prepare", "good", "-o", name, "--granularity", name, "--vocab-size", &wanted];
        let report = workshop.run(&[&arguments[..], &small].concat()).json();
        assert_eq!(report["tokenizer"]["vocab_size"], size, "{report}");
        let han = if granularity == "word" { "words" } else { "runs" };
        assert_eq!(report["tokenizer"]["han"], han, "{report}");
        let languages = report["languages"].as_array().unwrap();
        let bits = |row: &serde_json::Value| row["bits_per_byte"].as_f64().unwrap();
        assert!(!languages.is_empty() && languages.iter().all(|row| bits(row) > 0.5 && bits(row) < 9.0), "{report}");
    }
}
