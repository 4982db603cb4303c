//! `ciyuan segment`: its forms of output, its stream, its score against gold words, its statistics, and bad input.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use ciyuan::segment::{Dictionary, HanEdges, Pattern, Segmenter, WordMode, is_han};
use serde_json::{Value, json};

use super::common::{Workshop, root};

const TEXT: &str = "我们学习语言模型\n\n國際論壇 and\r\n";

#[test]
fn forms_of_output() {
    let workshop = Workshop::new();
    let segment = |flags: &[&str]| workshop.run_with(&[&["segment"][..], flags].concat(), TEXT.as_bytes()).ok();
    assert_eq!(segment(&[]), "我们/学习/语言/模型\n\n國際/論壇/ /and\n");
    assert_eq!(segment(&["--separator", "--"]), "我们--学习--语言--模型\n\n國際--論壇-- --and\n");
    assert_eq!(segment(&["--separator="]), "我们学习语言模型\n\n國際論壇 and\n");
    assert_eq!(segment(&["--one-per-line"]), "我们\n学习\n语言\n模型\n國際\n論壇\n \nand\n");
    assert_eq!(segment(&["--mode", "chars"]), "我/们/学/习/语/言/模/型\n\n國/際/論/壇/ /a/n/d\n");
    let steps = r#"{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"WhitespaceSplit"}]}"#;
    assert_eq!(segment(&["--mode", "pretokens", "--pattern", steps]), "我们学习语言模型\n\n國際論壇/and\n");
    // What is printed as settings holds the separator too, and can be given again.
    let printed = workshop.run(&["segment", "--one-per-line", "--print-config"]).ok();
    workshop.write("printed.toml", &printed);
    assert_eq!(segment(&["--config", "printed.toml"]), segment(&["--one-per-line"]));
    assert!(workshop.run(&["segment", "--help"]).ok().contains("not escaped"));
}

#[test]
fn json_has_the_place_of_every_word() {
    let workshop = Workshop::new();
    let text = "\n中国科学院 a𠮷\r\n";
    for mode in ["words", "hmm", "search", "all", "pretokens", "chars"] {
        let lines = workshop.run_with(&["segment", "--mode", mode, "--json"], text.as_bytes()).ok();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]), (2, &json!({"words": [], "offsets": []})), "{mode}");
        let words = lines[1]["words"].as_array().unwrap();
        let offsets = lines[1]["offsets"].as_array().unwrap();
        assert!(words.len() == offsets.len() && words.len() > 2, "{mode}: {lines:?}");
        for (word, offset) in words.iter().zip(offsets) {
            let at = |end: usize| offset[end].as_u64().unwrap() as usize;
            assert_eq!(word.as_str().unwrap(), &"中国科学院 a𠮷"[at(0)..at(1)], "{mode}");
        }
    }
}

#[test]
fn colours_change_no_character() {
    let workshop = Workshop::new();
    let segment = |flags: &[&str]| workshop.run_with(&[&["segment"][..], flags].concat(), TEXT.as_bytes()).ok();
    let plain = segment(&[]);
    assert!(!plain.contains('\u{1b}') && segment(&["--color", "auto"]) == plain, "a pipe is no terminal");
    assert_eq!(segment(&["--color=never"]), plain);
    let coloured = segment(&["--color", "always"]);
    assert!(coloured.starts_with("\u{1b}[30;48;5;153m我们\u{1b}[0m/\u{1b}[30;48;5;222m学习\u{1b}[0m/"), "{coloured}");
    let mut bare = String::new();
    let mut parts = coloured.split('\u{1b}');
    bare.push_str(parts.next().unwrap());
    parts.for_each(|part| bare.push_str(part.split_once('m').unwrap().1));
    assert_eq!(bare, plain);
    assert_eq!(segment(&["--color", "always", "--json"]), segment(&["--json"]));
    workshop.run(&["segment", "--color", "sometimes"]).fails(2, &["auto, always, never"]);
    // One settings file serves both commands that colour.
    workshop.write("ciyuan.toml", "color = true\n");
    assert_eq!(segment(&["--config", "ciyuan.toml"]), coloured);
    workshop.write("ciyuan.toml", "color = \"auto\"\n");
    assert_eq!(segment(&["--config", "ciyuan.toml"]), plain);
    let printed = workshop.run(&["tokenize", "-t", "t.json", "--config", "ciyuan.toml", "--print-config"]).ok();
    assert!(printed.contains("color = \"auto\""), "{printed}");
}

#[test]
fn a_line_goes_out_as_soon_as_it_came_in() {
    let workshop = Workshop::new();
    let mut child = workshop.command(&["segment"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (send, lines) = std::sync::mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || stdout.lines().for_each(|line| send.send(line.unwrap()).unwrap()));
    // The pipe stays open all the while: a line that waits for the end of the input never comes.
    let next = || lines.recv_timeout(Duration::from_secs(60)).expect("the line was held back");
    stdin.write_all("学习语言\n".as_bytes()).unwrap();
    assert_eq!(next(), "学习/语言");
    // Two lines and the beginning of a third in one write.
    stdin.write_all("我们\n语言模型\n学习".as_bytes()).unwrap();
    assert_eq!([next(), next()], ["我们", "语言/模型"]);
    stdin.write_all("模型\n".as_bytes()).unwrap();
    assert_eq!(next(), "学习/模型");
    drop(stdin);
    reader.join().unwrap();
    assert!(child.wait().unwrap().success() && lines.recv().is_err());
}

/// A gold file as the bakeoff has them, of words by a rule of its own: words of jieba's with every seventh cut apart,
/// two spaces or U+3000 between them.
fn gold() -> String {
    let dictionary = Dictionary::built_in();
    let mut gold = String::new();
    for name in ["zh", "zh_trad", "en"] {
        let mut files: Vec<_> =
            std::fs::read_dir(root().join("corpora").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for (number, line) in std::fs::read_to_string(&files[0]).unwrap().lines().enumerate() {
            let mut words = Vec::new();
            for (at, range) in dictionary.words(line, WordMode::Hmm).into_iter().enumerate() {
                let word = &line[range];
                match word.chars().next() {
                    Some(first) if at % 7 == 3 => words.extend([&word[..first.len_utf8()], &word[first.len_utf8()..]]),
                    _ => words.push(word),
                }
            }
            words.retain(|word| !word.trim().is_empty());
            gold.push_str(&words.join(if number % 2 == 0 { "  " } else { "\u{3000}" }));
            gold.push('\n');
        }
    }
    gold
}

/// The bakeoff's measure by its definition: sets of spans.
fn oracle(gold: &str, cut: impl Fn(&str) -> Vec<String>) -> [u64; 4] {
    let spans = |words: &mut dyn Iterator<Item = &str>| {
        let mut at = 0;
        let mut spans = HashSet::new();
        for word in words {
            spans.insert((at, at + word.len()));
            at += word.len();
        }
        spans
    };
    let mut sums = [0; 4];
    for line in gold.lines().filter(|line| !line.trim().is_empty()) {
        let text: String = line.split_whitespace().collect();
        let gold = spans(&mut line.split_whitespace());
        let words = spans(&mut cut(&text).iter().map(String::as_str));
        let counts = [gold.len(), words.len(), gold.intersection(&words).count(), 1];
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count as u64);
    }
    sums
}

fn pre_tokens(pattern: &str, text: &str) -> Vec<String> {
    let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
    let mut ends = Vec::new();
    segmenter.spans(text, &mut ends).unwrap();
    let mut start = 0;
    ends.iter().map(|&end| text[std::mem::replace(&mut start, end as usize)..end as usize].to_owned()).collect()
}

#[test]
fn score_is_the_measure_of_the_bakeoff() {
    let workshop = Workshop::new();
    let gold = gold();
    workshop.write("gold.txt", &gold);
    let words = |mode| {
        move |text: &str| -> Vec<String> {
            Dictionary::built_in().words(text, mode).into_iter().map(|range| text[range].to_owned()).collect()
        }
    };
    let cases: [(&[&str], [u64; 4]); 4] = [
        (&["--mode", "words"], oracle(&gold, words(WordMode::Words))),
        (&["--mode", "hmm"], oracle(&gold, words(WordMode::Hmm))),
        (&["--mode", "pretokens"], oracle(&gold, |text| pre_tokens("ciyuan", text))),
        (&["--mode", "pretokens", "--pattern", "(?s)."], oracle(&gold, |text| pre_tokens("(?s).", text))),
    ];
    for (flags, [gold_words, cut, correct, sentences]) in cases {
        let json = workshop.run(&[&["segment", "--score", "gold.txt", "--json"][..], flags].concat()).json();
        let counts = ["gold_words", "words", "correct", "sentences"].map(|key| json[key].as_u64().unwrap());
        assert_eq!(counts, [gold_words, cut, correct, sentences], "{flags:?}");
        assert!(sentences > 10 && correct > 0 && correct < gold_words, "{flags:?} {counts:?}");
        let [precision, recall, f1] = ["precision", "recall", "f1"].map(|key| json[key].as_f64().unwrap());
        assert_eq!((precision, recall), (correct as f64 / cut as f64, correct as f64 / gold_words as f64));
        assert!((f1 - 2.0 * precision * recall / (precision + recall)).abs() < 1e-12, "{f1}");
        let [low, high] = [0, 1].map(|end| json["f1_interval"][end].as_f64().unwrap());
        assert!(low < f1 && f1 < high && high - low < 0.4, "{low} {f1} {high}");
        let table = workshop.run(&[&["segment", "--score", "gold.txt"][..], flags].concat()).ok();
        let row = format!("{precision:.4}  {recall:.4}  {f1:.4}");
        assert!(table.split('\n').nth(1).unwrap().replace("    ", "  ").contains(&row), "{row} is not in {table}");
    }
    let seeded = |seed| workshop.run(&["segment", "--score", "gold.txt", "--seed", seed, "--json"]).json();
    assert_eq!(seeded("1"), workshop.run(&["segment", "--score", "gold.txt", "--json"]).json());
    assert_eq!(seeded("2")["f1"], seeded("1")["f1"]);
    assert_ne!(seeded("2")["f1_interval"], seeded("1")["f1_interval"]);
}

#[test]
fn score_of_a_few_words_by_hand() {
    let workshop = Workshop::new();
    workshop.write("gold.txt", "我们  学习  语言  模型\n\n语言模型　学习\n");
    let score = workshop.run(&["segment", "--score", "gold.txt", "--json"]).json();
    // 我们/学习/语言/模型 is right, 语言/模型/学习 has one word right.
    let expected = json!({
        "precision": 5.0 / 7.0, "recall": 5.0 / 6.0, "f1": 10.0 / 13.0, "f1_interval": score["f1_interval"],
        "gold_words": 6, "words": 7, "correct": 5, "sentences": 2,
    });
    assert_eq!(score, expected);
    // Of two sentences, a quarter of the samples are twice the worse one, and a quarter twice the better one.
    assert_eq!(score["f1_interval"], json!([0.4, 1.0]));

    workshop.write("one.txt", "我们  学习\n");
    assert_eq!(workshop.run(&["segment", "--score", "one.txt", "--json"]).json()["f1_interval"], Value::Null);
    let table = workshop.run(&["segment", "--score", "one.txt"]).ok();
    assert!(table.contains("1.0000  1.0000  1.0000") && table.contains("a single sentence has none"), "{table}");
}

#[test]
fn score_of_inputs() {
    let workshop = Workshop::new();
    let gold = "我们  学习  语言  模型\n\n國際  論壇　and  English\n";
    workshop.write("gold.txt", gold);
    let score = |flags: &[&str], input: &str| {
        let ran = workshop.run_with(&[&["segment", "--json", "--score"][..], flags].concat(), input.as_bytes());
        ran.json()
    };
    let own = score(&["gold.txt"], "");
    assert_eq!((&own["correct"], &own["sentences"]), (&6.into(), &2.into()), "{own}");
    // White space in the input belongs to the text that is cut, and to no word: `andEnglish` falls apart.
    let spaced = score(&["gold.txt", "-"], "我们学习语言模型\n\n國際論壇 and English\n");
    assert_eq!((&spaced["correct"], &spaced["words"], &spaced["gold_words"]), (&8.into(), &8.into(), &8.into()));
    // Several inputs are one text; blank lines at the end may be missing or more; marks and line ends do not matter.
    workshop.write("a.txt", "\u{FEFF}我们学习 语言模型");
    workshop.write("b.txt", "\r\n國際論壇and English\r\n\n\n");
    assert_eq!(score(&["gold.txt", "a.txt", "b.txt"], ""), spaced);
    workshop.write("dos.txt", format!("\u{FEFF}{}\r\n\r\n", gold.replace('\n', "\r\n")));
    assert_eq!(score(&["dos.txt"], ""), own);
    assert_eq!(score(&["dos.txt", "a.txt", "b.txt"], ""), spaced);
    assert_eq!(score(&["-", "a.txt", "b.txt"], gold), spaced);
}

#[test]
fn gold_files_that_cannot_be() {
    let workshop = Workshop::new();
    workshop.write("gold.txt", "我们  学习\n语言  模型\n");
    workshop.write("empty.txt", "");
    workshop.write("blank.txt", "\u{FEFF}\n \u{3000}\r\n");
    workshop.write("broken.txt", b"\xE6\x88\x91\n\xE4\xBB\xAC \xCE\xD2\n");
    let fails = |flags: &[&str], input: &str, code: i32, says: &[&str]| {
        workshop.run_with(&[&["segment", "--score"][..], flags].concat(), input.as_bytes()).fails(code, says);
    };
    fails(&["none.txt"], "", 1, &["no such file", "none.txt"]);
    fails(&["empty.txt"], "", 3, &["`empty.txt` holds no word", "a sentence a line"]);
    fails(&["blank.txt"], "", 3, &["`blank.txt` holds no word"]);
    fails(&["broken.txt"], "", 3, &["`broken.txt`, line 2, byte 8", "invalid UTF-8", "iconv"]);
    fails(
        &["gold.txt", "broken.txt"],
        "",
        3,
        &["`broken.txt`, line 1", "`们学习` is expected, but the end of the line"],
    );
    fails(&["gold.txt", "none.txt"], "", 1, &["none.txt"]);
    // Another character, a line too few, a line too many, lines cut elsewhere.
    let same = "white space aside";
    let other = "我们学习\n语言摸型\n";
    fails(&["gold.txt", "-"], other, 3, &["`-`, line 2", "after 2 characters `模型` is expected", "`摸型`", same]);
    fails(&["gold.txt", "-"], "我们学习\n", 3, &["`-`, line 2", "`语言模型` is expected", "the end of the line"]);
    fails(&["gold.txt", "empty.txt"], "", 3, &["`empty.txt`, line 1", "`我们学习` is expected"]);
    let longer = "我们学习\n语言模型\n\n三\n";
    fails(&["gold.txt", "-"], longer, 3, &["`-`, line 4", "the end of the line is expected", "`三`"]);
    fails(&["gold.txt", "-"], "我们\n学习\n语言模型\n", 3, &["`-`, line 1", "`学习` is expected"]);
    fails(&["-", "-"], "我们\n", 2, &["once only"]);
    for mode in ["search", "all"] {
        fails(&["gold.txt", "--mode", mode], "", 2, &["overlap", "words, hmm, pretokens or chars"]);
        workshop.run(&["segment", "--stats", "--mode", mode]).fails(2, &["overlap"]);
    }
    fails(&["gold.txt", "--stats"], "", 2, &["--stats", "cannot be used with"]);
}

/// The definitions, read off the list of all spans.
fn figures(spans: &[String], wanted: impl Fn(&str) -> bool) -> Value {
    let mut seen = HashSet::new();
    let chosen: Vec<(&String, bool)> =
        spans.iter().map(|span| (span, !seen.insert(span))).filter(|(span, _)| wanted(span)).collect();
    let mut lengths: Vec<usize> = chosen.iter().map(|(span, _)| span.chars().count()).collect();
    lengths.sort_unstable();
    let bytes: usize = chosen.iter().map(|(span, _)| span.len()).sum();
    let repeated: Vec<usize> = chosen.iter().filter(|(_, repeated)| *repeated).map(|(span, _)| span.len()).collect();
    json!({
        "spans": chosen.len(),
        "distinct": chosen.iter().map(|(span, _)| span).collect::<HashSet<_>>().len(),
        "bytes": bytes,
        "mean_length": lengths.iter().sum::<usize>() as f64 / lengths.len() as f64,
        "p99_length": lengths[(99 * lengths.len()).div_ceil(100) - 1],
        "longest": lengths.last(),
        "repeated": repeated.len() as f64 / chosen.len() as f64,
        "repeated_bytes": repeated.iter().sum::<usize>() as f64 / bytes as f64,
    })
}

#[test]
fn stats_are_those_of_all_spans() {
    let workshop = Workshop::new();
    let text = gold().replace("  ", "");
    workshop.write("a.txt", &text);
    workshop.write("b.txt", "學習 again and again 学习\r\n\r\n");
    let whole = [text.as_str(), "學習 again and again 学习\r\n\r\n"];
    let words = |text: &str| -> Vec<String> {
        Dictionary::built_in().words(text, WordMode::Words).into_iter().map(|range| text[range].to_owned()).collect()
    };
    let cases: [(&[&str], Vec<String>); 3] = [
        (&["--mode", "words"], whole.iter().flat_map(|text| words(text)).collect()),
        (&["--mode", "pretokens"], whole.iter().flat_map(|text| pre_tokens("ciyuan", text)).collect()),
        (
            &["--mode", "pretokens", "--pattern", "cl100k"],
            whole.iter().flat_map(|text| pre_tokens("cl100k", text)).collect(),
        ),
    ];
    for (flags, spans) in cases {
        let arguments = [&["segment", "--stats", "a.txt", "b.txt"][..], flags].concat();
        let json = workshop.run(&[&arguments[..], &["--json"]].concat()).json();
        let characters = whole.iter().map(|text| text.chars().count()).sum::<usize>();
        let han = whole.iter().flat_map(|text| text.chars()).filter(|c| is_han(*c)).count();
        let expected = json!({
            "characters": characters,
            "han_characters": han,
            "han_share": han as f64 / characters as f64,
            "all": figures(&spans, |_| true),
            "han": figures(&spans, |span| span.chars().all(is_han)),
        });
        assert_eq!(json, expected, "{flags:?}");
        // No byte is lost, and both languages are in the text.
        assert_eq!(json["all"]["bytes"], whole.concat().len());
        assert!(json["han"]["spans"].as_u64() > Some(20) && json["han"]["bytes"] != json["all"]["bytes"], "{json}");
        let table = workshop.run(&arguments).ok();
        let row = format!("{:.1} %", 100.0 * json["han"]["repeated_bytes"].as_f64().unwrap());
        let line = table.lines().find(|line| line.starts_with("bytes seen before")).unwrap();
        assert!(line.ends_with(&row) && table.ends_with(" %\n"), "{table}");
    }
}

#[test]
fn stats_of_little_text() {
    let workshop = Workshop::new();
    let nothing = workshop.run(&["segment", "--stats", "--json"]).json();
    assert_eq!((&nothing["all"]["spans"], &nothing["all"]["mean_length"]), (&0.into(), &0.0.into()));
    assert!(workshop.run(&["segment", "--stats"]).ok().ends_with("0 of 0 characters are Han, 0.0 %\n"));
    workshop.run_with(&["segment", "--stats"], b"ok\nno\xFF").fails(3, &["`-`, line 2, byte 5", "invalid UTF-8"]);
    let pattern = ["segment", "--mode", "pretokens", "--pattern", "(a|aa)+(?!x)$|."];
    let run = format!("ok\n{}b\n", "a".repeat(80));
    workshop.run_with(&pattern, run.as_bytes()).fails(1, &["`-`, line 2", "backtracking"]);
}
