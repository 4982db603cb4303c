//! `ciyuan inspect` of models and of the bag of words: what is shown is what is there.

use ciyuan::shard::{Corpus, Split};

use super::common::Workshop;

const SIZE: [&str; 10] = ["--context", "32", "--width", "32", "--heads", "2", "--layers", "2", "--batch", "4"];

/// Shards, and the folder of a GPT trained on them for a moment.
fn shards() -> Workshop {
    let workshop = Workshop::new();
    let line = |at: usize| {
        format!("第{at}句话说今天天气很好。 Sentence {at} says the weather is fine today, as it was {}.\n", at % 7)
    };
    workshop.write("texts/a.txt", (0..200).map(line).collect::<String>());
    let prepare = ["prepare", "texts", "-o", "out", "--vocab-size", "400", "--txt-documents", "lines", "--val", "0.1"];
    workshop.run(&[&prepare[..], &SIZE, &["--steps", "6"]].concat()).ok();
    workshop
}

#[test]
fn attention_as_figures_numbers_and_picture() {
    let workshop = shards();
    let text = "今天 <the> weather";
    let look = ["inspect", "out", "--attention", text, "--output", "page.html"];
    let shown = workshop.run(&[&look[..], &["--json"]].concat()).json();
    let tokens = shown["tokens"].as_array().unwrap();
    assert_eq!(tokens[0], "<|endoftext|>");
    let heads = shown["heads"].as_array().unwrap();
    let places: Vec<_> = heads.iter().map(|head| (head["layer"].as_u64(), head["head"].as_u64())).collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(layer, head)| (Some(layer), Some(head))));
    for head in heads {
        let rows = head["weights"].as_array().unwrap();
        assert_eq!(rows.len(), tokens.len());
        for (at, row) in rows.iter().enumerate() {
            let row: Vec<f64> = row.as_array().unwrap().iter().map(|weight| weight.as_f64().unwrap()).collect();
            assert!(row.len() == at + 1 && (row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
        }
        let [from, to] = ["from", "to"].map(|end| head["strongest"][end].as_u64().unwrap() as usize);
        assert_eq!(head["strongest"]["weight"], rows[from][to]);
    }
    let page = std::fs::read_to_string(workshop.path("page.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("head 1.1") && page.contains("&lt;") && !page.contains("<the>"));
    let table = workshop.run(&["inspect", "out", "--attention", text]).ok();
    assert_eq!(table.lines().count(), 1 + 4, "{table}");
    assert!(table.contains("1.1") && table.contains("strongest link"), "{table}");

    let one = workshop.run(&["inspect", "out", "--attention", text, "--head", "1.0", "--json"]).json();
    assert_eq!(one["weights"], heads[2]["weights"]);
    let row = |name: &str, at: usize| -> Vec<f64> {
        one[name][at].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let (query, key) = (row("queries", 2), row("keys", 1));
    let score = query.iter().zip(&key).map(|(q, k)| q * k).sum::<f64>() / 16f64.sqrt();
    assert!(one["width"] == 16 && (score - row("scores", 2)[1]).abs() < 1e-9);
    let numbers = workshop.run(&["inspect", "out", "--attention", text, "--head", "1.0"]).ok();
    assert!(numbers.contains("the first 4 of 16 numbers") && numbers.contains("query · key / √16"), "{numbers}");
    assert!(numbers.contains(&format!("{:.2}", row("scores", 2)[1])), "{numbers}");

    workshop.run(&["inspect", "out", "--attention", text, "--head", "2.0"]).fails(2, &["2.0", "0.0 to 1.1"]);
    workshop.run(&["inspect", "out", "--attention", &text.repeat(9)]).fails(2, &["from 1 to 32 tokens"]);
    workshop.run(&["inspect", "out", "--attention", text, "--reach", text]).fails(2, &["--reach"]);
    workshop.run(&["inspect", "out", "--output", "page.html"]).fails(2, &["--attention"]);
}

/// Trained a little by the command: in the RNN hardly anything comes back over 48 tokens, in the LSTM more.
#[test]
fn the_reach_of_an_rnn_and_an_lstm() {
    let workshop = shards();
    for kind in ["rnn", "lstm"] {
        let train = ["train", "out", "-o", kind, "--model", kind, "--steps", "40", "--learning-rate", "0.02"];
        workshop.run(&[&train[..], &SIZE].concat()).ok();
    }
    let text = "Sentence 5 says the weather is fine today, as it was 3. 第5句话说今天天气很好。".repeat(2);
    let reach = ["inspect", "rnn", "--reach", &text, "--beside", "lstm", "out", "--output", "reach.svg"];
    let shown = workshop.run(&[&reach[..], &["--json"]].concat()).json();
    let norms = |at: usize| -> Vec<f64> {
        let norms = shown["models"][at]["gradient_by_distance"].as_array().unwrap();
        norms.iter().map(|norm| norm.as_f64().unwrap()).collect()
    };
    let [rnn, lstm, gpt] = [0, 1, 2].map(norms);
    assert!(rnn.len() == lstm.len() && rnn.len() > 48 && gpt.len() == 32, "{} {}", rnn.len(), gpt.len());
    let fall = |norms: &[f64]| norms[47] / norms[0];
    assert!(fall(&rnn) < 1e-6, "{:e}", fall(&rnn));
    assert!(fall(&lstm) > 100.0 * fall(&rnn), "{:e} {:e}", fall(&lstm), fall(&rnn));
    let picture = std::fs::read_to_string(workshop.path("reach.svg")).unwrap();
    assert!(picture.contains("<svg") && ["rnn", "lstm", "gpt"].iter().all(|name| picture.contains(name)));
    let table = workshop.run(&reach).ok();
    assert!(table.starts_with("tokens back") && table.contains(&format!("{:.1e}", rnn[31])), "{table}");

    workshop.run(&["inspect", "rnn", "--attention", "a"]).fails(2, &["no attention"]);
    workshop.run(&["inspect", "rnn", "--reach", ""]).fails(2, &["two tokens"]);
    workshop.write("other/a.txt", "another text of other tokens");
    let other = ["prepare", "other", "-o", "out2", "--vocab-size", "270", "--steps", "1", "--val", "0"];
    workshop.run(&[&other[..], &["--context", "4", "--width", "8", "--heads", "1"]].concat()).ok();
    workshop.run(&["inspect", "rnn", "--reach", "abc", "--beside", "out2"]).fails(2, &["out2", "other tokens"]);
}

#[test]
fn the_bag_equals_a_plain_count() {
    let workshop = shards();
    let shown = workshop.run(&["inspect", "out", "--bag", "--top", "1000", "--json"]).json();
    let corpus = Corpus::open(&workshop.path("out"), Split::Train).unwrap();
    let documents: Vec<Vec<u32>> = corpus.documents().map(|ids| ids.unwrap()).collect();
    let tokens: usize = documents.iter().map(Vec::len).sum();
    assert_eq!((&shown["documents"], &shown["tokens"]), (&documents.len().into(), &tokens.into()));
    let top = shown["top"].as_array().unwrap();
    assert_eq!(shown["distinct"], top.len());
    let mut left = tokens;
    for row in top {
        let id = row["id"].as_u64().unwrap() as u32;
        let count = documents.iter().flatten().filter(|other| **other == id).count();
        let holders = documents.iter().filter(|document| document.contains(&id)).count();
        assert_eq!((&row["count"], &row["documents"]), (&count.into(), &holders.into()), "{row}");
        assert!((row["share"].as_f64().unwrap() - count as f64 / tokens as f64).abs() < 1e-12);
        left -= count;
    }
    assert_eq!(left, 0);
    let table = workshop.run(&["inspect", "out", "--bag", "--top", "3"]).ok();
    assert_eq!(table.lines().count(), 3 + 1 + 3, "{table}");
    let first = &top[0];
    assert!(table.lines().nth(4).unwrap().starts_with(&first["id"].to_string()), "{table}");
    workshop.run(&["inspect", "out", "--top", "3"]).fails(2, &["--bag"]);
    workshop.run(&["inspect", "texts", "--bag"]).fails(1, &["texts/train"]);
}

#[test]
fn the_folder_of_a_model_is_shown_as_one() {
    let workshop = shards();
    let size = ["--context", "32", "--width", "32", "--batch", "4", "--steps", "3"];
    for (kind, own) in [("gpt", &["--heads", "2", "--layers", "1", "--form", "modern"][..]), ("lstm", &[])] {
        workshop.run(&[&["train", "out", "-o", kind, "--model", kind][..], &size, own].concat()).ok();
        let facts = workshop.run(&["inspect", kind, "--json"]).json();
        let tokenizer = workshop.run(&["inspect", &format!("{kind}/tokenizer.json"), "--json"]).json();
        assert_eq!((&facts["model"], &facts["width"], &facts["vocab_size"]), (&kind.into(), &32.into(), &400.into()));
        assert_eq!(facts["tokenizer"], tokenizer["fingerprint"]);
        let text = workshop.run(&["inspect", kind]).ok();
        assert!(
            text.starts_with(&format!("model           {kind}\nparameters      {}\n", facts["parameters"])),
            "{text}"
        );
    }
    let gpt = workshop.run(&["inspect", "gpt", "--json"]).json();
    assert_eq!((&gpt["layers"], &gpt["heads"], &gpt["context"]), (&1.into(), &2.into(), &32.into()));
    assert_eq!(gpt["form"]["positions"], "rotary");
    // The folder of a run shows its shards, and texts beside a model are read where their form is named.
    assert!(workshop.run(&["inspect", "out"]).ok().contains("train/000000.shard"));
    workshop.write("gpt/a.txt", "text");
    assert_eq!(workshop.run(&["inspect", "gpt", "--format", "txt", "--json"]).json()["documents"]["out"], 1);
}
