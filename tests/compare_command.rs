//! `ciyuan compare` by its outputs.

use serde_json::Value;

use super::common::{Workshop, root};

fn with_tokenizers() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "words.json", "--vocab-size", "700"]).ok();
    workshop.run(&["learn", &corpora, "-o", "runs.json", "--vocab-size", "700", "--han", "runs"]).ok();
    workshop.run(&["learn", &corpora, "-o", "bytes.json", "--vocab-size", "257"]).ok();
    workshop
}

fn on(language: &str) -> String {
    format!("{language}={}", root().join("corpora").join(language).display())
}

fn measure<'j>(json: &'j Value, corpus: usize, name: &str) -> &'j Value {
    let measures = json["corpora"][corpus]["measures"].as_array().unwrap();
    measures.iter().find(|measure| measure["name"] == name).unwrap()
}

#[test]
fn figures_intervals_and_verdicts() {
    let workshop = with_tokenizers();
    let (zh, en) = (on("zh"), on("en"));
    let texts = ["--on", &zh, &en, "--txt-documents", "lines"];
    let compare = |more: &[&str]| {
        workshop.run(&[&["compare", "bytes.json", "ours=words.json", "runs.json"][..], &texts, more].concat())
    };
    let json = compare(&["--json"]).json();
    let names: Vec<&str> =
        json["tokenizers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bytes", "ours", "runs"]);
    for corpus in [0, 1] {
        let compression = measure(&json, corpus, "bytes_per_token");
        assert_eq!(compression["values"][0]["value"], 1.0);
        assert_eq!(compression["values"][0]["interval"], serde_json::json!([1.0, 1.0]));
        let differences = compression["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 3);
        assert_eq!((&differences[0]["first"], &differences[0]["second"]), (&0.into(), &1.into()));
        assert_eq!((&compression["better"], &differences[0]["verdict"]), (&"higher".into(), &"more".into()));
        for name in ["round_trip", "words_kept_whole", "kneser_ney_bits_per_byte", "boundary_f1"] {
            for value in measure(&json, corpus, name)["values"].as_array().unwrap() {
                let bounds = value["interval"].as_array().unwrap();
                let [low, value, high] =
                    [&bounds[0], &value["value"], &bounds[1]].map(|figure| figure.as_f64().unwrap());
                assert!(low <= value && value <= high && value >= 0.0, "{name}: {low} {value} {high}");
            }
        }
        assert_eq!(measure(&json, corpus, "round_trip")["values"][1]["value"], 1.0);
        let bits =
            |at: usize| measure(&json, corpus, "kneser_ney_bits_per_byte")["values"][at]["value"].as_f64().unwrap();
        assert!(bits(1) < 8.0 && bits(1) > 0.5);
    }
    // The same again, but for the speed.
    let without_speed = |mut json: Value| {
        for corpus in json["corpora"].as_array_mut().unwrap() {
            for tokens in corpus["tokens"].as_array_mut().unwrap() {
                tokens["encode_megabytes_per_second"] = Value::Null;
                tokens["decode_megabytes_per_second"] = Value::Null;
            }
        }
        json
    };
    let again = compare(&["--json", "--threads", "1"]).json();
    assert_eq!(without_speed(again), without_speed(json));
    let shown = compare(&[]).ok();
    for wanted in ["zh: ", "en: ", "bytes per token", "ours to bytes", "better", "zh: runs beside ours: "] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    assert!(compare(&["--markdown"]).ok().contains("| figure | bytes | ours | runs |"));
}

#[test]
fn gold_words_and_parallel_lines() {
    let workshop = with_tokenizers();
    std::fs::write(workshop.path("gold.txt"), "我们 学习 语言\n\n词元 是 单位 。\n").unwrap();
    std::fs::write(workshop.path("a.txt"), "one token\nwe learn\n").unwrap();
    std::fs::write(workshop.path("b.txt"), "一个词元\n我们学习\n").unwrap();
    let compare = |more: &[&str]| workshop.run(&[&["compare", "bytes.json", "words.json"][..], more].concat());
    let json = compare(&["--gold", "gold.txt", "--parallel", "a.txt,b.txt", "--json"]).json();
    assert_eq!((&json["corpora"][0]["name"], &json["corpora"][0]["documents"]), (&"gold".into(), &2.into()));
    // Six words of eleven characters, three bytes each; the full stop is no word.
    assert_eq!(measure(&json, 0, "tokens_per_word")["values"][0]["value"], 33.0 / 6.0);
    assert_eq!(measure(&json, 0, "boundary_recall")["values"][0]["value"], 1.0);
    assert_eq!(json["parallel"]["values"][0]["value"], 24.0 / 17.0);
    std::fs::write(workshop.path("c.txt"), "one line\n").unwrap();
    compare(&["--parallel", "a.txt,c.txt"]).fails(2, &["one has 2 lines, the other 1"]);
    compare(&["--parallel", "a.txt"]).fails(2, &["A,B"]);
    std::fs::write(workshop.path("empty.txt"), "\n").unwrap();
    compare(&["--gold", "empty.txt"]).fails(3, &["empty.txt"]);
}

/// Figures that a text shows by hand, of single bytes.
#[test]
fn numbers_emoji_and_forms() {
    let workshop = with_tokenizers();
    std::fs::write(workshop.path("text.txt"), "é 1a\n词😀123\n").unwrap();
    let texts = ["--on", "all=text.txt", "--txt-documents", "lines"];
    let compare = |more: &[&str]| workshop.run(&[&["compare", "bytes.json", "words.json"][..], &texts, more].concat());
    let json = compare(&["--json"]).json();
    let value = |name: &str| measure(&json, 0, name)["values"][0]["value"].clone();
    // `é` is two bytes, and three in NFD; `1a` are two, and six when they are wide.
    let wanted = [
        ("count_changed_by_nfd", 1.0),
        ("tokens_in_nfd", 6.0 / 5.0),
        ("forms_returned", 1.0),
        ("tokens_in_full_width", (9.0 + 16.0) / (5.0 + 10.0)),
        ("tokens_per_digit", 1.0),
        ("numbers_cut_alike", 1.0),
        ("tokens_per_emoji", 4.0),
        ("emoji_kept_whole", 0.0),
        ("lost_bytes", 0.0),
    ];
    for (name, wanted) in wanted {
        assert_eq!(value(name), wanted, "{name}");
    }
    // No document is another in NFC, and no emoji is joined.
    assert!(value("count_changed_by_nfc").is_null() && value("joined_emoji_returned").is_null());
    assert_eq!(measure(&json, 0, "zipf_exponent")["better"], "neither");
    assert_eq!(json["tokenizers"][0]["numbers"]["grouping"], "single_digits");
    assert_eq!(
        json["tokenizers"][0]["numbers"]["lengths"][7]["commonest"],
        serde_json::json!([1, 1, 1, 1, 1, 1, 1, 1])
    );
    assert_eq!(json["tokenizers"][0]["emoji"]["returned"], 1.0);
    for style in [&[][..], &["--markdown"]] {
        let shown = compare(style).ok();
        for wanted in ["zipf exponent", "tokens in full width", "1-1-1-1-1-1-1-1 (100 %)", "decoding"] {
            assert!(shown.contains(wanted), "{wanted} in {shown}");
        }
    }
}

#[test]
fn what_is_refused() {
    let workshop = with_tokenizers();
    let zh = on("zh");
    workshop.run(&["compare", "words.json", "--on", &zh]).fails(2, &["2 values"]);
    workshop.run(&["compare", "words.json", "runs.json"]).fails(2, &["--on zh=FILE"]);
    workshop.run(&["compare", "words.json", "runs.json", "--on", "corpora"]).fails(2, &["LANGUAGE=INPUT"]);
    workshop.run(&["compare", "words.json", "none.json", "--on", &zh]).fails(1, &["none.json"]);
    workshop.run(&["compare", "words.json", "runs.json", "--on", &zh, "--margin", "7"]).fails(2, &["margin"]);
    workshop.run(&["compare", "words.json", "runs.json", "--on", &zh, "--order", "0"]).fails(2, &["order"]);
}
