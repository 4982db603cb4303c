//! The models that the GPT grew out of, by the command: trained, saved, read and measured alike.

use ciyuan::pipeline::AnyModel;
use ciyuan::shard::{Corpus, Split, Streams};

use super::common::Workshop;

const SMALL: [&str; 12] =
    ["--steps", "6", "--context", "16", "--width", "16", "--heads", "2", "--layers", "1", "--batch", "3"];

/// Shards with something held out, and a small model.
fn shards() -> Workshop {
    let workshop = Workshop::new();
    let line = |at: usize| {
        format!("第{at}句话说今天天气很好。 Sentence {at} says the weather is fine today, as it was {}.\n", at % 7)
    };
    workshop.write("texts/a.txt", (0..300).map(line).collect::<String>());
    let prepare = ["prepare", "texts", "-o", "out", "--vocab-size", "400", "--txt-documents", "lines", "--val", "0.1"];
    workshop.run(&[&prepare[..], &SMALL].concat()).ok();
    workshop
}

#[test]
fn all_kinds_in_one_table() {
    let workshop = shards();
    let all = [&["train", "out", "-o", "models", "--all"][..], &SMALL].concat();
    let rows = workshop.run(&[&all[..], &["--json"]].concat()).json();
    let rows = rows.as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["unigram", "ngram", "rnn", "lstm", "gpt"]);
    let bits: Vec<f64> = rows.iter().map(|row| row["bits_per_byte"]["all"].as_f64().unwrap()).collect();
    assert!(bits[1] < 0.5 * bits[0], "n-grams know what a bag of words cannot: {bits:?}");
    assert!(bits.iter().all(|bits| (0.01..8.0).contains(bits)), "{bits:?}");
    for (row, name) in rows.iter().zip(names).skip(2) {
        let folder = format!("models/{name}");
        let read = workshop.run(&["eval", "out", "--model", &folder, "--json"]).json();
        assert_eq!((&read["model"], &read["all"]["bits_per_byte"]), (&row["model"], &row["bits_per_byte"]["all"]));
        let sample = ["sample", &folder, "--prompt", "今天", "--max-tokens", "8", "--seed", "3"];
        let text = workshop.run(&sample).ok();
        assert!(text.starts_with("今天") && text == workshop.run(&sample).ok(), "{text:?}");
        let parameters = AnyModel::load(&workshop.path(&folder)).unwrap().0.language_model().parameters();
        assert_eq!(row["parameters"].as_u64().unwrap(), parameters);
    }
    workshop.run(&all).fails(1, &["holds a model already"]);
    let bad = workshop.run(&["sample", "models/rnn", "--prompt", "今天", "--temperature=-1"]);
    assert_eq!(bad.stdout, "");
    bad.fails(2, &["temperature", "0 or more"]);
}

#[test]
fn one_kind() {
    let workshop = shards();
    let train = |more: &[&str]| workshop.run(&[&["train", "out", "-o", "m", "--json"][..], more, &SMALL].concat());
    let row = train(&["--model", "ngram", "--order", "2"]).json();
    assert_eq!((row[0]["model"].as_str(), row[0]["saved"].as_bool()), (Some("ngram"), Some(false)));
    train(&["--model", "ngram", "--order", "7"]).fails(2, &["order", "from 1 to 6"]);
    train(&["--model", "bigram"]).fails(2, &["bigram", "unigram"]);
    train(&["--model", "lstm"]).ok();
    let path = workshop.path("m/model/config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("\"width\": 16", "\"width\": 17")).unwrap();
    workshop.run(&["eval", "out", "--model", "m"]).fails(3, &["another shape"]);
}

/// Each row goes on behind itself, over the ends of shards and from the last token to the first.
#[test]
fn streams_go_on() {
    let workshop = shards();
    let corpus = Corpus::open(&workshop.path("out"), Split::Train).unwrap();
    let mut all = Vec::new();
    for shard in corpus.shards() {
        shard.read(0..shard.info().tokens, &mut all).unwrap();
    }
    let (rows, context) = (3, 16);
    let streams = Streams::new(&corpus, context, rows).unwrap();
    for step in [0, 1, 2, 400, 1_000_000_007] {
        let batch = streams.batch(step).unwrap();
        for (row, ids) in batch.chunks(context + 1).enumerate() {
            let start = all.len() * row / rows + (step as usize * context) % all.len();
            let expected: Vec<u32> = (start..start + context + 1).map(|at| all[at % all.len()]).collect();
            assert_eq!(ids, expected, "step {step}, row {row}");
        }
    }
    assert!(Streams::new(&corpus, all.len(), 1).is_err());
}
