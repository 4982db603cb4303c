//! Documents of megabytes, which threads share between them: what comes of them is what comes of the whole.

use ciyuan::learn::Counts;
use ciyuan::pipeline::{CountPlan, LearnSettings, Progress, ValFraction, count, load_counts};
use ciyuan::segment::{Han, Pattern, Segmenter};
use ciyuan::shard::{Corpus, Split};
use ciyuan::text::{ReadOptions, Source};

use super::common::{Workshop, contents, learned, root};

/// Short ones, long ones, and one without a place to cut.
fn texts() -> Vec<String> {
    let sentence = |n: usize| format!("第{n}条：语言模型学习词元。 Line {n} of it, don't\u{e9}.\n");
    let long: String = (0..60_000).map(sentence).collect();
    assert!(long.len() > 3 << 20);
    vec!["kurz".into(), long.clone(), "两".into(), "a".repeat(2_500_000), long.repeat(2)]
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text }))).collect()
}

fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.json", "--vocab-size", "400", "--special", "<|bos|>"]).ok();
    workshop.write("a.jsonl", lines(&texts()));
    workshop
}

fn documents(workshop: &Workshop, folder: &str) -> Vec<Vec<u32>> {
    Corpus::open(&workshop.path(folder), Split::Train).unwrap().documents().collect::<Result<_, _>>().unwrap()
}

#[test]
fn they_have_the_ids_of_the_whole() {
    let workshop = workshop();
    let tokenizer = ciyuan::pipeline::load_tokenizer(&workshop.path("t.json"), None, &[]).unwrap();
    let bos = tokenizer.spec().special().id("<|bos|>").unwrap();
    let ids = |text: &String| [&[bos], &tokenizer.encode(text).unwrap()[..]].concat();
    let wanted: Vec<Vec<u32>> = texts().iter().map(ids).collect();
    let encode = ["encode", "a.jsonl", "--val", "0", "--bos", "<|bos|>"];
    for threads in ["1", "2", "3"] {
        let output = format!("out{threads}");
        workshop.run(&[&encode[..], &["-t", "t.json", "-o", &output, "--threads", threads]].concat()).ok();
        assert!(documents(&workshop, &output) == wanted, "{threads}");
        assert!(contents(&workshop.path(&output)) == contents(&workshop.path("out1")), "{threads}");
    }

    // With a normalizer too, as long as it leaves the text as it is.
    let file = std::fs::read(workshop.path("t.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&file).unwrap();
    json["normalizer"] = serde_json::json!({ "type": "NFC" });
    workshop.write("nfc.json", json.to_string());
    workshop.run(&[&encode[..], &["-t", "nfc.json", "-o", "nfc"]].concat()).ok();
    assert!(documents(&workshop, "nfc") == wanted);
    let long = &texts()[1];

    // What is taken off the beginning of a text is not taken off its parts.
    json["normalizer"] = serde_json::json!({ "type": "Strip", "strip_left": true, "strip_right": false });
    workshop.write("strip.json", json.to_string());
    workshop.run(&[&encode[..], &["-t", "strip.json", "-o", "strip"]].concat()).ok();
    assert!(documents(&workshop, "strip") == wanted);
    for (place, changed) in [(0, format!("e\u{301}{long}")), (1, format!("{long}e\u{301}"))] {
        let bytes = [changed.len().to_string(), (changed.len() - 1).to_string()];
        workshop.write("a.jsonl", lines(&["eins".into(), changed]));
        let output = format!("changed{place}");
        workshop
            .run(&[&encode[..], &["-t", "nfc.json", "-o", &output]].concat())
            .fails(3, &["a.jsonl", "line 2", &bytes[0], &bytes[1]]);
    }
}

#[test]
fn they_are_counted_as_the_whole() {
    let workshop = workshop();
    let source = Source::find(&[workshop.path("a.jsonl")], None).unwrap();
    let options = ReadOptions::default();
    let (texts, tokenizer) = (texts(), ciyuan::pipeline::load_tokenizer(&workshop.path("t.json"), None, &[]).unwrap());
    let segmenter = Segmenter::new(Pattern::default(), Han::default().learning()).unwrap();
    let counts = Counts::of_texts(&segmenter, &texts).unwrap();
    let bytes: usize = texts.iter().map(String::len).sum();
    let tokens: usize = texts.iter().map(|text| tokenizer.encode(text).unwrap().len()).sum();
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    for threads in ["1", "2", "3"] {
        let (output, saved) = (format!("{threads}.json"), format!("{threads}.counts"));
        let learn = ["learn", "a.jsonl", "--vocab-size", "500", "--threads", threads];
        workshop.run(&[&learn[..], &["-o", &output, "--save-counts", &saved]].concat()).ok();
        let (head, of_command) = load_counts(&workshop.path(&saved)).unwrap();
        assert_eq!((head.documents, head.bytes), (5, bytes as u64));
        assert!(of_command == counts, "{threads}");

        for (more, tokens) in [(&["-t", "t.json"][..], Some(tokens as u64)), (&[], None)] {
            let count = ["count", "a.jsonl", "--threads", threads, "--json"];
            let total = workshop.run(&[&count[..], more].concat()).json()["total"].clone();
            let figures = ["documents", "bytes", "characters", "tokens"].map(|key| total[key].as_u64());
            assert_eq!(figures, [Some(5), Some(bytes as u64), Some(characters as u64), tokens]);
        }
    }
    let merges = learned(&texts, Pattern::default().source(), Han::default(), 500);
    let of_command = ciyuan::pipeline::load_tokenizer(&workshop.path("1.json"), None, &[]).unwrap();
    assert_eq!(of_command.spec().merges(), merges.spec().merges());

    // Those that encoding holds out are not counted, a long one among them.
    workshop.run(&["encode", "a.jsonl", "-t", "t.json", "--val", "0.7", "-o", "split"]).ok();
    let of_split = |split| -> Vec<String> {
        let corpus = Corpus::open(&workshop.path("split"), split).unwrap();
        let text = |ids: Vec<u32>| String::from_utf8(tokenizer.decode(&ids).unwrap()).unwrap();
        corpus.documents().map(|ids| text(ids.unwrap())).collect()
    };
    let kept = of_split(Split::Train);
    assert!(
        kept.iter().any(|text| text.len() > 1 << 20) && of_split(Split::Val).iter().any(|text| text.len() > 1 << 20)
    );
    let held_out = CountPlan { save: Some(workshop.path("some")), ..CountPlan::of_texts(&source, &options) };
    let settings = LearnSettings { val: ValFraction::Of(0.7), ..LearnSettings::default() };
    count(&held_out, &settings, &Progress::silent()).unwrap();
    let (head, of_some) = load_counts(&workshop.path("some")).unwrap();
    assert_eq!((head.documents, head.bytes), (kept.len() as u64, kept.iter().map(|text| text.len() as u64).sum()));
    assert!(Counts::of_texts(&segmenter, &kept).unwrap() == of_some);
}
