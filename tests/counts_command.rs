//! `ciyuan learn` from counts: kept, added, weighted, bounded in memory; and what it refuses.

use std::path::Path;

use ciyuan::learn::{Counts, CountsHead, CountsSettings};
use ciyuan::pipeline::{load_counts, save_counts};
use ciyuan::segment::HanEdges;

use super::common::{CORPORA, Workshop, root};

const SIZE: [&str; 2] = ["--vocab-size", "1500"];

fn corpora() -> Vec<String> {
    CORPORA.iter().map(|folder| root().join(folder).display().to_string()).collect()
}

/// Runs `ciyuan learn` with `first`, then the size, and gives its JSON.
fn learn(workshop: &Workshop, first: &[&str]) -> serde_json::Value {
    workshop.run(&[&["learn", "--json"], first, &SIZE].concat()).json()
}

fn bytes(workshop: &Workshop, name: &str) -> Vec<u8> {
    std::fs::read(workshop.path(name)).unwrap()
}

fn files_in(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn counts_of_parts_in_any_order_give_the_tokenizer_of_the_whole() {
    let workshop = Workshop::new();
    let corpora = corpora();
    let inputs: Vec<&str> = corpora.iter().map(String::as_str).collect();
    let whole = learn(&workshop, &[&inputs[..], &["-o", "whole.json", "--save-counts", "whole"]].concat());
    let mut bytes_of_parts = 0;
    for (number, input) in inputs.iter().enumerate() {
        let part = format!("part{number}");
        let json = learn(&workshop, &[input, "-o", "part.json", "--save-counts", &part, "--threads", "2"]);
        bytes_of_parts += json["bytes"]["out"].as_u64().unwrap();
        assert_ne!(bytes(&workshop, "part.json"), bytes(&workshop, "whole.json"));
    }
    assert_eq!(whole["bytes"]["out"], bytes_of_parts);
    for order in [["part0", "part1", "part2", "part3"], ["part3", "part1", "part0", "part2"]] {
        let arguments = [&["--counts"], &order[..], &["-o", "sum.json", "--save-counts", "sum"]].concat();
        let sum = learn(&workshop, &arguments);
        assert!(bytes(&workshop, "sum.json") == bytes(&workshop, "whole.json"));
        assert!(bytes(&workshop, "sum") == bytes(&workshop, "whole"));
        for key in ["documents", "bytes", "distinct_pre_tokens", "counts_fingerprint", "fingerprint", "version"] {
            assert_eq!(sum[key], whole[key], "{key}");
        }
    }
    // A file given twice counts twice, as text does.
    let twice = learn(&workshop, &["--counts", "whole", "whole", "-o", "twice.json"]);
    assert_eq!(twice["distinct_pre_tokens"], whole["distinct_pre_tokens"]);
    assert_ne!(twice["counts_fingerprint"], whole["counts_fingerprint"]);
    // Other sizes and words from the same counts.
    workshop.run(&["learn", "--counts", "whole", "-o", "small.json", "--vocab-size", "700"]).ok();
    let arguments = [&["learn", "-o", "direct.json", "--vocab-size", "700"], &inputs[..]].concat();
    workshop.run(&arguments).ok();
    assert!(bytes(&workshop, "small.json") == bytes(&workshop, "direct.json"));
}

#[test]
fn any_bound_of_memory_and_number_of_threads_gives_the_same_bytes() {
    let workshop = Workshop::new();
    let corpora = corpora();
    let inputs: Vec<&str> = corpora.iter().map(String::as_str).collect();
    learn(&workshop, &[&inputs[..], &["-o", "t.json", "--save-counts", "c"]].concat());
    std::fs::create_dir_all(workshop.path("out")).unwrap();
    // The smallest bound writes the counts of every document, many more files than are open at once.
    for (memory, threads) in [("1", "1"), ("1", "3"), ("200KB", "2"), ("1GiB", "2")] {
        let bound = ["--save-counts", "out/c", "--memory", memory, "--threads", threads];
        let counted = learn(&workshop, &[&inputs[..], &bound].concat());
        assert!(bytes(&workshop, "out/c") == bytes(&workshop, "c"), "{memory}, {threads} threads");
        assert_eq!(files_in(&workshop.path("out")), ["c"]);
        assert!(counted["documents"]["out"].as_u64() > Some(0) && counted.get("vocab_size").is_none());
    }
    // Where words find no room, merges are learned from files.
    let needed = load_counts(&workshop.path("c")).unwrap().1.memory_to_learn();
    for (memory, threads) in [(needed, "1"), (needed, "3"), (needed - 1, "2"), (needed / 4, "1"), (needed / 4, "3")] {
        let is_note = memory < needed;
        let memory = memory.to_string();
        let bound = ["-o", "out/t.json", "--save-counts", "out/c", "--memory", &memory, "--threads", threads];
        let run = workshop.run(&[&["learn"], &inputs[..], &bound, &SIZE].concat());
        assert_eq!(run.stderr.contains("merges are learned from files"), is_note, "{memory}");
        run.ok();
        assert!(bytes(&workshop, "out/t.json") == bytes(&workshop, "t.json"), "{memory}, {threads} threads");
        assert!(bytes(&workshop, "out/c") == bytes(&workshop, "c"), "{memory}, {threads} threads");
        assert_eq!(files_in(&workshop.path("out")), ["c", "t.json"]);
    }
    // Counts that wait in files are removed also when the work fails.
    workshop.write("bad/a.jsonl", "{\"text\": \"some words\"}\n".repeat(500) + "nothing\n");
    let fails = ["learn", "bad", "-o", "out/u.json", "--memory", "1", "--on-bad-record", "fail"];
    workshop.run(&fails).fails(3, &["a.jsonl", "line 501"]);
    assert_eq!(files_in(&workshop.path("out")), ["c", "t.json"]);
}

/// What a killed run has left in files goes with the next run beside it.
#[test]
fn killed_while_counts_wait_in_files() {
    use std::io::Write;
    let workshop = Workshop::new();
    std::fs::create_dir_all(workshop.path("out")).unwrap();
    let bounded = ["learn", "-", "--format", "jsonl", "-o", "out/t.json", "--memory", "1"];
    let mut child = workshop.command(&bounded).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    while !files_in(&workshop.path("out")).iter().any(|name| name.ends_with(".tmp")) {
        stdin.write_all("{\"text\": \"some words\"}\n".repeat(500).as_bytes()).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(files_in(&workshop.path("out")).iter().any(|name| name.ends_with(".tmp")));
    workshop.write("in.jsonl", "{\"text\": \"some words\"}\n".repeat(9));
    workshop.run(&["learn", "in.jsonl", "-o", "out/t.json", "--vocab-size", "260"]).ok();
    assert_eq!(files_in(&workshop.path("out")), ["t.json"]);
}

/// Merges, words and superwords within a third of the memory that they would take.
#[test]
fn whatever_is_learned_within_little_memory() {
    let workshop = Workshop::new();
    let corpora = corpora();
    let inputs: Vec<&str> = corpora.iter().map(String::as_str).collect();
    learn(&workshop, &[&inputs[..], &["-o", "base.json", "--save-counts", "c"]].concat());
    let memory = (load_counts(&workshop.path("c")).unwrap().1.memory_to_learn() / 3).to_string();
    std::fs::create_dir_all(workshop.path("out")).unwrap();
    for settings in [
        &["--granularity", "word"][..],
        &["--granularity", "char"],
        &["--superwords", "90"],
        &["--character-boundaries", "--no-script-merges", "--max-token-bytes", "9", "--ties", "raw-bytes"],
        &["--vocab-size", "auto"],
        &["--min-pre-token-count", "2"],
        &["--extend", "base.json", "--vocab-size", "1700"],
    ] {
        let size = if settings.contains(&"--vocab-size") { &[][..] } else { &SIZE };
        let learn = |output: &str, more: &[&str]| {
            workshop.run(&[&["learn", "-o", output], &inputs[..], settings, size, more].concat()).ok();
            bytes(&workshop, output)
        };
        assert!(learn("out/t.json", &["--memory", &memory]) == learn("t.json", &[]), "{settings:?}");
        assert_eq!(files_in(&workshop.path("out")), ["t.json"]);
    }
}

#[test]
fn pre_tokens_that_are_rare_can_be_left_out() {
    let workshop = Workshop::new();
    let corpora = corpora();
    let inputs: Vec<&str> = corpora.iter().map(String::as_str).collect();
    let whole = learn(&workshop, &[&inputs[..], &["-o", "t.json", "--save-counts", "c"]].concat());
    let (head, counts) = load_counts(&workshop.path("c")).unwrap();
    // Without the rarest it is learned as from counts that do not have them; from counts or from text.
    let mut frequent = Counts::default();
    counts.iter().filter(|(_, count)| *count >= 3).for_each(|(span, count)| frequent.add(span, count).unwrap());
    save_counts(&workshop.path("f"), &head, &frequent).unwrap();
    let expected = learn(&workshop, &["--counts", "f", "-o", "f.json"]);
    let lost: u64 = counts.iter().filter(|(_, count)| *count < 3).map(|(_, count)| count).sum();
    let rare = ["--min-pre-token-count", "3", "-o", "u.json"];
    for first in [&["--counts", "c", "--memory", "1GiB"], &inputs[..]] {
        let json = learn(&workshop, &[first, &rare].concat());
        assert_eq!(json["fingerprint"], expected["fingerprint"]);
        assert_ne!(json["fingerprint"], whole["fingerprint"]);
        assert_eq!(json["counts_fingerprint"], whole["counts_fingerprint"]);
        assert_eq!(json["left_out"]["distinct"], counts.len() - frequent.len());
        assert_eq!(json["left_out"]["occurrences"], lost);
    }
    let text = workshop.run(&[&["learn", "--counts", "c"], &rare[..], &SIZE].concat()).ok();
    assert!(text.contains(&format!("as too rare, {lost} occurrences")), "{text}");
}

#[test]
fn text_is_counted_without_learning() {
    let workshop = Workshop::new();
    let corpora = corpora();
    let inputs: Vec<&str> = corpora.iter().map(String::as_str).collect();
    let learned = learn(&workshop, &[&inputs[..], &["-o", "t.json", "--save-counts", "c"]].concat());
    for (number, input) in inputs.iter().enumerate() {
        learn(&workshop, &[input, "--save-counts", &format!("part{number}")]);
    }
    // Files of counts are added so, too.
    let sum = learn(&workshop, &["--counts", "part1", "part0", "part3", "part2", "--save-counts", "sum"]);
    assert!(bytes(&workshop, "sum") == bytes(&workshop, "c"));
    for key in ["documents", "bytes", "distinct_pre_tokens", "counts_fingerprint", "version"] {
        assert_eq!(sum[key], learned[key], "{key}");
    }
    let text = workshop.run(&["learn", inputs[0], "--save-counts", "again"]).ok();
    assert!(text.contains("distinct") && text.contains("again") && !text.contains("vocabulary"), "{text}");
    workshop.run(&["learn", inputs[0], "--save-counts", "."]).fails(1, &["is a folder"]);
    let held_out = ["learn", inputs[0], "--save-counts", "x", "--held-out", inputs[1]];
    workshop.run(&held_out).fails(2, &["--output"]);
    assert_eq!(files_in(&workshop.path("")), ["again", "c", "part0", "part1", "part2", "part3", "sum", "t.json"]);
}

/// The bytes that counts stand for.
fn text_bytes(counts: &Counts, keep: impl Fn(&str) -> bool) -> f64 {
    let of = |(span, count): (&[u8], u64)| {
        if keep(std::str::from_utf8(span).unwrap()) { span.len() as u64 * count } else { 0 }
    };
    counts.iter().map(of).sum::<u64>() as f64
}

#[test]
fn weights_are_shares_of_bytes() {
    let workshop = Workshop::new();
    // Words that occur once, and words that often do.
    let once: String = (0..20_000)
        .map(|n| format!("a{}\n", (0..5).map(|at| char::from(b'a' + (n >> (3 * at)) as u8 % 8)).collect::<String>()))
        .collect();
    workshop.write("once/x.txt", &once);
    workshop.write("often/x.txt", "词元 模型 语言\n".repeat(300));
    workshop.run(&["learn", "once", "-o", "t.json", "--save-counts", "o"]).ok();
    workshop.run(&["learn", "often", "-o", "t.json", "--save-counts", "f"]).ok();
    let (_, unweighted) = load_counts(&workshop.path("o")).unwrap();
    let words = text_bytes(&unweighted, |span| span.starts_with('a')) / text_bytes(&unweighted, |_| true);
    for (one, other, share) in [("1", "1", 0.5), ("0.1", "0.9", 0.1), ("30", "10", 0.75)] {
        let (a, b) = (format!("once={one}"), format!("often={other}"));
        let weights = ["once", "often", "--weight", &a, "--weight", &b, "-o", "t.json", "--save-counts", "c"];
        learn(&workshop, &weights);
        let (head, counts) = load_counts(&workshop.path("c")).unwrap();
        let all = text_bytes(&counts, |_| true);
        assert!((all / head.bytes as f64 - 1.0).abs() < 0.01, "{all} bytes of {}", head.bytes);
        let got = text_bytes(&counts, |span| span.starts_with('a')) / all;
        assert!((got - share * words).abs() < 0.01, "{got} is not {share} times {words}");
        // The same from files of counts, in the other order and within no memory.
        let (a, b) = (format!("o={one}"), format!("f={other}"));
        let arguments = ["--counts", "f", "o", "--weight", &a, "--weight", &b];
        learn(&workshop, &[&arguments[..], &["--save-counts", "d", "--memory", "1"]].concat());
        learn(&workshop, &[&arguments[..], &["-o", "u.json"]].concat());
        assert!(
            bytes(&workshop, "d") == bytes(&workshop, "c") && bytes(&workshop, "u.json") == bytes(&workshop, "t.json")
        );
    }
    let learn = |more: &[&str]| workshop.run(&[&["learn", "once", "often", "-o", "t.json"], more].concat());
    learn(&["--weight", "none=1", "--weight", "once=1"]).fails(2, &["`none`", "no input", "`once`", "`often`"]);
    learn(&["--weight", "once=1"]).fails(2, &["`often`", "no --weight"]);
    learn(&["--weight", "once=1", "--weight", "once=2"]).fails(2, &["`once` twice"]);
    learn(&["--weight", "once"]).fails(2, &["PATH=SHARE"]);
    learn(&["--weight", "once=0", "--weight", "often=1"]).fails(2, &["the share 0"]);
    // The second input holds no file that the first has not.
    workshop
        .run(&["learn", "once", "once/x.txt", "-o", "t.json", "--weight", "once=1", "--weight", "once/x.txt=1"])
        .fails(2, &["weight", "0 bytes"]);
}

#[test]
fn what_is_refused() {
    let workshop = Workshop::new();
    workshop.write("a.txt", "some words of some text\n".repeat(9));
    workshop.write("empty.txt", "");
    workshop.run(&["learn", "a.txt", "-o", "t.json", "--save-counts", "c"]).ok();
    let before = bytes(&workshop, "t.json");
    let from = |more: &[&str]| workshop.run(&[&["learn", "-o", "t.json", "--counts"], more].concat());
    from(&["c", "--pattern", "gpt2"]).fails(3, &["`c`", "pattern = `ciyuan`, but `gpt2`"]);
    from(&["c", "--han", "chars"]).fails(3, &["`c`", "edges in Han runs", "`words`", "`chars`"]);
    workshop.write("own.txt", "词元\n");
    from(&["c", "--user-dict", "own.txt"]).fails(3, &["`c`", "user dictionary"]);
    from(&["none"]).fails(1, &["`none`"]);
    from(&["a.txt"]).fails(3, &["a.txt", "not a file of counts"]);
    from(&["c", "a.txt", "--granularity", "char"]).fails(3, &["`c`", "pattern"]);
    let good = bytes(&workshop, "c");
    for place in [8, 20, good.len() / 2, good.len() - 30, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[place] ^= 0x10;
        workshop.write("damaged", &damaged);
        from(&["damaged"]).fails(3, &["counts `damaged`"]);
        workshop.write("damaged", &good[..place]);
        from(&["c", "damaged"]).fails(3, &["counts `damaged`", "ends too early"]);
    }
    workshop.run(&["learn", "empty.txt", "-o", "t.json", "--save-counts", "e"]).fails(3, &["no document with text"]);
    workshop.run(&["learn", "none*.txt", "-o", "t.json"]).fails(1, &["none*.txt"]);
    workshop.run(&["learn", "-o", "t.json"]).fails(2, &["INPUT"]);
    workshop.run(&["learn", "a.txt"]).fails(2, &["--output"]);
    workshop.run(&["learn", "a.txt", "--counts", "c", "-o", "t.json"]).fails(2, &["cannot be used with"]);
    workshop.run(&["learn", "a.txt", "-o", "t.json", "--save-counts", "."]).fails(1, &["is a folder"]);
    assert!(bytes(&workshop, "t.json") == before);
    assert_eq!(files_in(&workshop.path("")), ["a.txt", "c", "damaged", "empty.txt", "own.txt", "t.json"]);
}

#[test]
fn a_dry_run_reads_a_sample_and_writes_nothing() {
    let workshop = Workshop::new();
    workshop.write("in/a.txt", "词元 tokens and words\n".repeat(400_000));
    workshop.write("in/b.txt", "other words\n".repeat(1000));
    let dry = ["learn", "in", "--dry-run", "--vocab-size", "700", "--threads", "2"];
    let text = workshop.run(&dry).ok();
    for part in ["files        2 of 9612000 bytes", "threads      2", "700 tokens", "edges        words", "estimated"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let json = workshop.run(&[&dry[..], &["--json", "-o", "t.json"]].concat()).json();
    assert_eq!(
        (&json["files"], &json["bytes"], &json["vocab_size"]["tokens"]),
        (&2.into(), &9_612_000.into(), &700.into())
    );
    let sample = json["sample_bytes"].as_u64().unwrap();
    assert!(sample > 4_000_000 && sample <= ciyuan::pipeline::SAMPLE_BYTES, "{sample}");
    assert!(json["estimated_memory"].as_u64().unwrap() > 0 && json["estimated_count_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(files_in(&workshop.path("")), ["in"]);
    workshop.run(&[&dry[..], &["--weight", "x=1"]].concat()).fails(2, &["`x`", "no input"]);
}

/// The counts of the golden file: 3,000 pre-tokens that share much, and some that share nothing.
fn golden_counts() -> Counts {
    let mut counts = Counts::default();
    for number in 0..3000u64 {
        counts.add(format!("pre-token {number:05}").as_bytes(), number * number + 1).unwrap();
    }
    for (span, count) in [(&b""[..], 1), (b"\xFF\0", u64::MAX), ("词元".as_bytes(), 2)] {
        counts.add(span, count).unwrap();
    }
    counts
}

/// Counts of texts that were changed are no counts of other texts: what was done to them is asked for again.
#[test]
fn normalisation_must_be_the_same() {
    let workshop = Workshop::new();
    workshop.write("a.txt", "词元１２３ and tokens １２３\r\n".repeat(30));
    let wide = ["--normalize", "full-width,crlf"];
    workshop.run(&[&["learn", "a.txt", "--save-counts", "wide.counts"][..], &wide].concat()).ok();
    workshop.run(&["learn", "a.txt", "--save-counts", "plain.counts"]).ok();
    let learn = ["learn", "-o", "t.json", "--vocab-size", "265", "--counts"];
    let says = &["wide.counts", "normalisation of texts", "`crlf,full-width`", "`none`"];
    workshop.run(&[&learn[..], &["wide.counts"]].concat()).fails(3, says);
    workshop.run(&[&learn[..], &["plain.counts", "wide.counts"]].concat()).fails(3, says);
    let says = &["plain.counts", "`none`", "`crlf,full-width`"];
    workshop.run(&[&learn[..], &["wide.counts", "plain.counts"], &wide].concat()).fails(3, says);
    // With the same it is the tokenizer of the texts, with the steps that its file can hold.
    workshop.run(&[&learn[..], &["wide.counts"], &wide].concat()).ok();
    let texts = ["learn", "a.txt", "-o", "u.json", "--vocab-size", "265"];
    workshop.run(&[&texts[..], &wide].concat()).ok();
    assert!(bytes(&workshop, "t.json") == bytes(&workshop, "u.json"));
}

/// Written by the first version of the format, from these counts. Every later one reads it, and writes what it reads;
/// only zstd may pack the same otherwise.
#[test]
fn golden_file_of_version_1() {
    let golden = root().join("tests/golden/v1.ciyuan-counts");
    let head = CountsHead {
        settings: CountsSettings {
            pattern: r"\p{L}+|\P{L}+".to_owned(),
            edges: HanEdges::Words,
            dictionary: 0x0123_4567_89AB_CDEF,
            unicode: "16.0.0".to_owned(),
            normalization: String::new(),
        },
        documents: 12,
        bytes: 3456,
    };
    let (read, counts) = load_counts(&golden).unwrap();
    assert_eq!(read, head);
    assert!(counts == golden_counts());
    assert!(std::fs::metadata(&golden).unwrap().len() < 30_000, "its blocks are packed");
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("again");
    let totals = save_counts(&again, &head, &counts).unwrap();
    assert_eq!(totals, counts.totals());
    assert_eq!(load_counts(&again).unwrap(), (head, counts));
}
