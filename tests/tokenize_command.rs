//! `ciyuan tokenize`, `decode` and `count` by their outputs.

use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::common::{Workshop, root};

/// A tokenizer learned from Chinese with some English, as `t.json`.
fn with_tokenizer() -> Workshop {
    let workshop = Workshop::new();
    let corpus = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpus, "-o", "t.json", "--vocab-size", "700"]).ok();
    workshop
}

fn ids(output: &str) -> Vec<u64> {
    output.split_ascii_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// A command that is given its input bit by bit, with the pipe open all the while.
struct Talk {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<u8>,
}

impl Talk {
    fn new(workshop: &Workshop, arguments: &[&str]) -> Self {
        let mut child = workshop.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, answers) = channel();
        std::thread::spawn(move || BufReader::new(stdout).bytes().try_for_each(|byte| send.send(byte.unwrap())));
        Self { child, stdin, answers }
    }

    fn say(&mut self, input: &[u8]) {
        self.stdin.write_all(input).unwrap();
        self.stdin.flush().unwrap();
    }

    /// The answer up to and with a byte that does not wait for more input.
    fn answer(&self, last: u8) -> String {
        let mut answer = Vec::new();
        while answer.last() != Some(&last) {
            answer.push(self.answers.recv_timeout(Duration::from_secs(60)).expect("the answer is held back"));
        }
        String::from_utf8(answer).unwrap()
    }

    /// Ends the input, and gives the rest of the answer.
    fn end(mut self) -> String {
        drop(self.stdin);
        let rest: Vec<u8> = self.answers.iter().collect();
        assert!(self.child.wait().unwrap().success());
        String::from_utf8(rest).unwrap()
    }
}

/// Each line goes in when the answer to the one before has come out.
fn converse(workshop: &Workshop, arguments: &[&str], lines: &[&str]) -> Vec<String> {
    let mut talk = Talk::new(workshop, arguments);
    let mut answer = |line: &&str| {
        talk.say(format!("{line}\n").as_bytes());
        talk.answer(b'\n').trim_end().to_owned()
    };
    let answers = lines.iter().map(&mut answer).collect();
    assert_eq!(talk.end(), "");
    answers
}

#[test]
fn lines_are_answered_as_they_come() {
    let workshop = with_tokenizer();
    let lines = ["词元是语言模型的单位", "", "a token"];
    let tokens = converse(&workshop, &["tokenize", "-t", "t.json", "--lines"], &lines);
    assert!(tokens[1].is_empty() && ids(&tokens[0]).len() > 3);
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    assert_eq!(converse(&workshop, &["decode", "-t", "t.json", "--lines"], &tokens), lines);
    let json = converse(&workshop, &["tokenize", "-t", "t.json", "--lines", "--json"], &lines);
    let json: serde_json::Value = serde_json::from_str(&json[2]).unwrap();
    assert_eq!((&json["offsets"][0][0], json["pieces"].as_array().unwrap().len()), (&0.into(), ids(tokens[2]).len()));
}

#[test]
fn ids_come_while_a_document_is_read() {
    let workshop = with_tokenizer();
    // More than is read at once, in lines of different lengths, with characters that lie over the edges.
    let text: String = (0..12_000).map(|n| format!("词元是 {n} tokens, 语言模型的单位。\n")).collect();
    let streamed = workshop.run_with(&["tokenize", "-t", "t.json"], text.as_bytes()).ok();
    let whole = workshop.run_with(&["tokenize", "-t", "t.json", "--json"], text.as_bytes()).json();
    assert!(text.len() > 1 << 19 && whole["ids"].as_array().unwrap().len() > 100_000);
    let wanted: Vec<u64> = whole["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert!(ids(&streamed) == wanted, "ids differ");

    let mut talk = Talk::new(&workshop, &["tokenize", "-t", "t.json"]);
    // A character in two parts. What stands before the last blank is settled, and is two ids at the least.
    talk.say(b"one two \xE8");
    let first = talk.answer(b' ');
    talk.say(b"\xAF\x8D three");
    let all = first + &talk.end();
    assert_eq!(all, workshop.run_with(&["tokenize", "-t", "t.json"], "one two 词 three".as_bytes()).ok());

    let bad = [text.as_bytes(), b"\xFF"].concat();
    let offset = format!("byte {}", text.len());
    workshop.run_with(&["tokenize", "-t", "t.json"], &bad).fails(3, &["`-`, line 12001", &offset, "UTF-8"]);
    workshop.run_with(&["tokenize", "-t", "t.json"], b"a\n\xE8\xAF").fails(3, &["line 2, byte 2"]);
}

#[test]
fn what_is_no_id_is_named_with_its_place() {
    let workshop = with_tokenizer();
    let decode = |input: &[u8]| workshop.run_with(&["decode", "-t", "t.json"], input);
    decode(b"1 2\n3 x4").fails(3, &["`-`, line 2", "`x4` at byte 6", "separated by white space"]);
    decode(b"1\n2\n\n3 700 5").fails(3, &["`-`, line 4", "id 700 at position 3", "ids are below 700"]);
    decode(b"-1").fails(3, &["line 1", "`-1`"]);
    // What stands before has come out.
    assert_eq!(decode(b"65 66 x").stdout, "bc");
    workshop.write("a.ids", "64\n");
    workshop.write("b.ids", "64\n99999999999\n");
    workshop.run(&["decode", "-t", "t.json", "a.ids", "b.ids"]).fails(3, &["`b.ids`, line 2", "`99999999999`"]);
    assert_eq!(decode(b"").ok(), "");
    assert_eq!(workshop.run_with(&["decode", "-t", "t.json", "--lines"], b"64\n\n65").ok(), "a\n\nb\n");
}

#[test]
fn merges_are_explained() {
    let workshop = with_tokenizer();
    let text = "词元, the tokens";
    let explain = ["tokenize", "-t", "t.json", "--explain", text];
    let shown = workshop.run(&explain).ok();
    assert!(shown.contains("  step    rank    byte  merge\n") && shown.contains("└─ "), "{shown}");
    let pieces = workshop.run(&[&explain[..], &["--json"]].concat()).json();
    let wanted = ids(&workshop.run_with(&["tokenize", "-t", "t.json"], text.as_bytes()).ok());
    let mut found = Vec::new();
    let mut end = 0;
    for piece in pieces.as_array().unwrap() {
        assert_eq!((&piece["offsets"][0], &piece["whole"]), (&end.into(), &false.into()));
        end = piece["offsets"][1].as_u64().unwrap();
        let tokens = piece["ids"].as_array().unwrap();
        let steps = piece["steps"].as_array().unwrap();
        // Each merge takes one token away.
        assert_eq!(piece["text"].as_str().unwrap().len() - steps.len(), tokens.len());
        assert_eq!(piece["tokens"].as_array().unwrap().len(), tokens.len());
        found.extend(tokens.iter().map(|id| id.as_u64().unwrap()));
    }
    assert_eq!((found, end), (wanted, text.len() as u64));
    // Characters begin with merges of their bytes.
    let parts = |step: &serde_json::Value| step["parts"][0].as_str().unwrap().to_owned();
    let steps = pieces[0]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| parts(step) == "<E8>" && step["offset"] == 0), "{steps:?}");
    assert_eq!(workshop.run(&["tokenize", "-t", "t.json", "--explain", ""]).ok(), "");
    workshop.run(&[&explain[..], &["--lines"]].concat()).fails(2, &["--explain", "--lines"]);
}

#[test]
fn segmentations_are_drawn() {
    let workshop = with_tokenizer();
    let text = "词元是语言模型的单位。\n词元是语言模型的单位。\n";
    let tokenize = |arguments: &[&str]| {
        workshop.run_with(&[&["tokenize", "-t", "t.json"][..], arguments].concat(), text.as_bytes()).ok()
    };
    let plain = tokenize(&[]);
    assert_eq!(tokenize(&["--dropout", "0"]), plain);
    assert_eq!(ids(&tokenize(&["--dropout", "1"])).len(), text.len());
    let drawn = tokenize(&["--dropout", "0.5"]);
    assert_eq!(tokenize(&["--dropout", "0.5", "--seed", "1"]), drawn);
    assert_ne!(tokenize(&["--dropout", "0.5", "--seed", "2"]), drawn);
    assert!(ids(&drawn).len() > ids(&plain).len());
    assert_eq!(workshop.run_with(&["decode", "-t", "t.json"], drawn.as_bytes()).ok(), text);
    // Equal lines have random numbers of their own.
    let lines = tokenize(&["--dropout", "0.5", "--lines"]);
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines.len() == 2 && lines[0] != lines[1], "{lines:?}");
    workshop
        .run_with(&["tokenize", "-t", "t.json", "--dropout", "1.5"], b"a")
        .fails(2, &["`dropout` is 1.5", "from 0 to 1"]);
}

#[test]
fn tokens_are_counted_by_script() {
    let workshop = with_tokenizer();
    let text = "词元 is a token, カ 1\n".repeat(20);
    let json = workshop.run_with(&["count", "-t", "t.json", "--json"], text.as_bytes()).json();
    assert_eq!((&json["files"][0]["file"], &json["total"]["bytes"]), (&"-".into(), &text.len().into()));
    let scripts = json["scripts"].as_array().unwrap();
    let told: Vec<_> = scripts.iter().map(|row| (row["script"].as_str().unwrap(), &row["characters"])).collect();
    let [han, latin, other, none] = [40, 160, 20, 160].map(serde_json::Value::from);
    assert_eq!(told, [("han", &han), ("latin", &latin), ("other", &other), ("none", &none)]);
    let tokens: f64 = scripts.iter().map(|row| row["tokens"].as_f64().unwrap()).sum();
    assert!((tokens - json["total"]["tokens"].as_f64().unwrap()).abs() < 2.1e-3, "{json}");
    let share: f64 = scripts.iter().map(|row| row["character_share"].as_f64().unwrap()).sum();
    assert!((share - 1.0).abs() < 1e-9);
    let table = workshop.run_with(&["count", "-t", "t.json"], text.as_bytes()).ok();
    assert!(table.lines().any(|line| line.starts_with("Han") && line.contains("10.5 %")), "{table}");
}

/// Offsets are those in the text, where a pattern takes some of it out; where a tokenizer changes the text too.
#[test]
fn offsets_are_those_of_the_text() {
    let workshop = with_tokenizer();
    let file = std::fs::read_to_string(workshop.path("t.json")).unwrap();
    let mut file: serde_json::Value = serde_json::from_str(&file).unwrap();
    file["pre_tokenizer"] = serde_json::json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
    ]});
    std::fs::write(workshop.path("dropping.json"), file.to_string()).unwrap();
    file["normalizer"] = serde_json::json!({"type": "NFKC"});
    std::fs::write(workshop.path("changing.json"), file.to_string()).unwrap();
    let text = " the 词 ﬁ";
    std::fs::write(workshop.path("text.txt"), text).unwrap();
    let tokens = |tokenizer: &str| -> serde_json::Value {
        let output = workshop.run(&["tokenize", "-t", tokenizer, "--json", "text.txt"]).ok();
        serde_json::from_str(&output).unwrap()
    };
    let dropping = tokens("dropping.json");
    let offsets: Vec<[usize; 2]> = serde_json::from_value(dropping["offsets"].clone()).unwrap();
    let covered: String =
        offsets.iter().flat_map(|[start, end]| &text.as_bytes()[*start..*end]).map(|b| *b as char).collect();
    let wanted: String = text.bytes().filter(|byte| *byte != b' ').map(char::from).collect();
    assert_eq!(covered, wanted);
    let changing = tokens("changing.json");
    assert_ne!(changing["ids"], dropping["ids"]);
    // `fi` that was `ﬁ`, whatever tokens it has.
    assert_eq!(changing["offsets"].as_array().unwrap().last().unwrap(), &serde_json::json!([9, 12]));
    let explained = workshop.run(&["tokenize", "-t", "changing.json", "--json", "--explain", text]).json();
    let last = explained.as_array().unwrap().last().unwrap();
    assert_eq!((&last["text"], &last["offsets"]), (&"fi".into(), &serde_json::json!([9, 12])));
    assert!(workshop.run(&["tokenize", "-t", "changing.json", "--explain", text]).ok().contains("\"fi\"  bytes 9..12"));
}

/// In a vocabulary of characters the first token stands for something else than later ones: texts come back whole.
#[test]
fn texts_of_characters_come_back() {
    let workshop = Workshop::new();
    std::fs::write(workshop.path("t.json"), super::loading::llama().to_string()).unwrap();
    for text in ["the cat", "  词 the", "é\u{10FFFF}"] {
        let ids = workshop.run_with(&["tokenize", "-t", "t.json"], text.as_bytes()).ok();
        assert_eq!(workshop.run_with(&["decode", "-t", "t.json"], ids.as_bytes()).ok(), text);
        let twice = format!("{ids}\n{ids}\n").replace("\n\n", "\n");
        let lines = workshop.run_with(&["decode", "-t", "t.json", "--lines"], twice.as_bytes()).ok();
        assert_eq!(lines, format!("{text}\n{text}\n"));
    }
}
