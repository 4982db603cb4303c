//! Inputs that are others when a stopped run goes on, as a file that was cut off and got again: what was made from it is
//! done again, nothing else is, and the output is that of a run which never saw the other.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::SystemTime;

use ciyuan::pipeline::COUNTS_FILE;

use super::common::{Ran, Workshop, contents, root};

/// Without the size of units.
const SETTINGS: [&str; 2] = ["-t", "t.json"];

fn line(n: usize) -> String {
    match n % 41 {
        7 => format!("no record {n}\n"),
        11 => "{\"text\": \"同一句话。\"}\n".to_owned(),
        _ => format!("{{\"text\": \"第{n}条：语言模型学习词元。 Line {n} of the file.\"}}\n"),
    }
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(line).collect()
}

/// A tokenizer, and files of several units each: plain, compressed as one frame, compressed as many.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.json", "--vocab-size", "400"]).ok();
    workshop.write("in/a.jsonl", lines(0..300));
    workshop.write("in/b.jsonl.zst", zstd::encode_all(lines(300..600).as_bytes(), 1).unwrap());
    workshop.write("in/c.jsonl.zst", frames(600..900));
    workshop.write("in/d.jsonl", lines(900..1200));
    workshop
}

/// Lines as frames of 20, with checksums.
fn frames(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let frame = |at: usize| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(lines(at..(at + 20).min(numbers.end)).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    numbers.clone().step_by(20).flat_map(frame).collect()
}

fn cut_off(workshop: &Workshop, name: &str) -> Vec<u8> {
    let whole = std::fs::read(workshop.path(name)).unwrap();
    workshop.write(name, &whole[..whole.len() - 10]);
    whole
}

fn encode(workshop: &Workshop, output: &str, more: &[&str]) -> Ran {
    workshop.run(&[&["encode", "in", "-o", output], &SETTINGS[..], more].concat())
}

/// A run with all of its units there, which ends before its manifest.
fn almost_done(workshop: &Workshop, output: &str, more: &[&str]) {
    encode(workshop, output, &[&["--max-bad", "0.01%"], more].concat()).fails(3, &["no documents"]);
}

/// When each shard was written.
fn written(workshop: &Workshop, output: &str) -> BTreeMap<String, SystemTime> {
    let folder = workshop.path(output);
    let files = walkdir::WalkDir::new(&folder).into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "shard"))
        .map(|entry| {
            let name = entry.path().strip_prefix(&folder).unwrap().display().to_string();
            (name, entry.metadata().unwrap().modified().unwrap())
        })
        .collect()
}

/// How many shards are as they were.
fn kept(before: &BTreeMap<String, SystemTime>, after: &BTreeMap<String, SystemTime>) -> usize {
    before.iter().filter(|(name, time)| after.get(*name) == Some(time)).count()
}

#[track_caller]
fn assert_as_from_scratch(workshop: &Workshop, output: &str, more: &[&str]) {
    let _ = std::fs::remove_dir_all(workshop.path("fresh"));
    encode(workshop, "fresh", more).ok();
    let (found, wanted) = (contents(&workshop.path(output)), contents(&workshop.path("fresh")));
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, bytes) in &wanted {
        assert!(found[name] == *bytes, "{name} differs");
    }
    workshop.run(&["verify", output]).ok();
}

#[test]
fn a_file_that_was_cut_off_and_got_again() {
    let workshop = workshop();
    let more = ["--val", "0.2", "--unit-size", "4KB"];
    let whole = cut_off(&workshop, "in/b.jsonl.zst");
    encode(&workshop, "out", &more).fails(1, &["b.jsonl.zst", "cut off", "get it again"]);
    let before = written(&workshop, "out");
    assert!(before.len() > 6, "{before:?}");
    // Nothing was made from it, so there is nothing to ask for.
    workshop.write("in/b.jsonl.zst", whole);
    let again = encode(&workshop, "out", &more);
    assert!(
        again.stderr.contains("`in/b.jsonl.zst` was ") && again.stderr.contains("nothing that is done"),
        "{}",
        again.stderr
    );
    again.ok();
    assert_eq!(kept(&before, &written(&workshop, "out")), before.len());
    assert_as_from_scratch(&workshop, "out", &more);
}

/// Its first units were done before it was read so far.
#[test]
fn a_file_that_was_damaged_far_behind() {
    let workshop = workshop();
    let more = ["--val", "0.2", "--unit-size", "2KB"];
    let whole = frames(600..900);
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    workshop.write("in/c.jsonl.zst", damaged);
    encode(&workshop, "out", &more).fails(1, &["c.jsonl.zst", "get it again"]);
    let before = written(&workshop, "out");
    workshop.write("in/c.jsonl.zst", whole);
    let says = ["`out` was begun when `in/c.jsonl.zst` was", "bytes (checksum", "now it is", "--redo-changed"];
    encode(&workshop, "out", &more).fails(1, &says);
    assert_eq!(written(&workshop, "out"), before);
    let again = encode(&workshop, "out", &[&more[..], &["--redo-changed"]].concat());
    assert!(again.stderr.contains("done again"), "{}", again.stderr);
    again.ok();
    let kept = kept(&before, &written(&workshop, "out"));
    assert!(kept > 6 && kept < before.len(), "{kept} of {}", before.len());
    assert_as_from_scratch(&workshop, "out", &more);
}

#[test]
fn files_that_are_others_new_or_gone() {
    let workshop = workshop();
    let more = ["--val", "0.2", "--unit-size", "4KB"];
    let redo = ["--val", "0.2", "--unit-size", "4KB", "--redo-changed"];
    almost_done(&workshop, "out", &more);
    let before = written(&workshop, "out");
    workshop.write("in/b.jsonl.zst", zstd::encode_all(lines(2000..2300).as_bytes(), 1).unwrap());
    encode(&workshop, "out", &more).fails(1, &["`in/b.jsonl.zst` was", "--redo-changed"]);
    almost_done(&workshop, "out", &redo);
    let after = written(&workshop, "out");
    let kept_of_it = kept(&before, &after);
    assert!(kept_of_it + 3 > before.len() && before != after, "{kept_of_it} of {}", before.len());
    // One that is gone moves those behind it, one behind all others moves none.
    std::fs::remove_file(workshop.path("in/b.jsonl.zst")).unwrap();
    encode(&workshop, "out", &more).fails(1, &["`in/b.jsonl.zst` was", "now it is no input"]);
    almost_done(&workshop, "out", &redo);
    let before = written(&workshop, "out");
    workshop.write("in/e.jsonl", lines(1200..1300));
    almost_done(&workshop, "out", &more);
    // Its own lie where those of more units lay, which go at the end.
    assert!(kept(&before, &written(&workshop, "out")) + 2 >= before.len());
    // Other settings are never gone on with.
    encode(&workshop, "out", &["--val", "0.3", "--unit-size", "4KB", "--redo-changed"])
        .fails(1, &["`val`", "choose another folder"]);
    encode(&workshop, "out", &more).ok();
    assert_as_from_scratch(&workshop, "out", &more);
    // Nor is a folder that is complete.
    workshop.write("in/e.jsonl", lines(1200..1301));
    encode(&workshop, "out", &redo).fails(1, &["input file", "choose another folder"]);
}

#[test]
fn where_duplicates_are_left_out_all_is_done_again() {
    let workshop = workshop();
    let more = ["--val", "0.2", "--unit-size", "4KB", "--deduplicate"];
    almost_done(&workshop, "out", &more);
    let before = written(&workshop, "out");
    // A line of the first file comes first no more.
    workshop.write("in/00.jsonl", line(5));
    encode(&workshop, "out", &more).fails(1, &["`in/00.jsonl` was no input", "--redo-changed"]);
    encode(&workshop, "out", &[&more[..], &["--redo-changed"]].concat()).ok();
    assert_eq!(kept(&before, &written(&workshop, "out")), 0);
    assert_as_from_scratch(&workshop, "out", &more);
}

/// With `auto` the share that is held out follows the bytes of all files: units whose documents stay on their sides stay.
#[test]
fn the_share_that_is_held_out_follows_all_files() {
    let workshop = workshop();
    let more = ["--val", "auto", "--unit-size", "64KB"];
    workshop.write("in/a.jsonl", lines(0..60_000));
    almost_done(&workshop, "out", &more);
    let before = written(&workshop, "out");
    workshop.write("in/d.jsonl", lines(900..1240));
    encode(&workshop, "out", &[&more[..], &["--redo-changed"]].concat()).ok();
    let kept = kept(&before, &written(&workshop, "out"));
    assert!(kept > before.len() / 4 && kept < before.len() - 2, "{kept} of {}", before.len());
    assert_as_from_scratch(&workshop, "out", &more);
}

#[test]
fn ranks_go_on_with_a_new_plan() {
    let workshop = workshop();
    let more = ["--val", "0.2", "--unit-size", "4KB"];
    let plan = |more: &[&str]| workshop.run(&[&["plan", "in", "-o", "out"], &SETTINGS[..], more].concat());
    let rank = |number: &str| workshop.run(&["run", "out", "--rank", number, "--world-size", "2", "--json"]);
    plan(&more).ok();
    rank("0").ok();
    workshop.write("in/b.jsonl.zst", zstd::encode_all(lines(2000..2900).as_bytes(), 1).unwrap());
    let failed = ["0", "1"].map(|number| rank(number).stderr).concat() + &workshop.run(&["merge", "out"]).stderr;
    assert!(failed.contains("`in/b.jsonl.zst` was") && failed.contains("--redo-changed"), "{failed}");
    plan(&[&more[..], &["--redo-changed"]].concat()).ok();
    let done = ["1", "0"].map(|number| rank(number).json());
    assert!(done[1]["encoded"].as_u64() < done[1]["units"].as_u64(), "{done:?}");
    workshop.run(&["merge", "out"]).ok();
    assert_as_from_scratch(&workshop, "out", &more);
    // Where one process has gone on with other inputs, the list of units that ranks work by is an old one.
    std::fs::remove_dir_all(workshop.path("out")).unwrap();
    plan(&more).ok();
    workshop.write("in/d.jsonl", lines(900..1500));
    almost_done(&workshop, "out", &more);
    rank("0").fails(1, &["holds no plan", "ciyuan plan"]);
    plan(&more).ok();
    assert_eq!(rank("0").json()["encoded"], 0);
    rank("1").ok();
    workshop.run(&["merge", "out"]).ok();
    assert_as_from_scratch(&workshop, "out", &more);
}

#[test]
fn counting_by_ranks_goes_on_with_a_new_plan() {
    let workshop = workshop();
    let plan = |more: &[&str]| workshop.run(&[&["learn", "in", "--plan", "out", "--unit-size", "4KB"], more].concat());
    plan(&[]).ok();
    workshop.run(&["run", "out"]).ok();
    workshop.write("in/d.jsonl", lines(900..1100));
    plan(&[]).fails(1, &["`in/d.jsonl` was", "--redo-changed"]);
    plan(&["--redo-changed"]).ok();
    let ran = workshop.run(&["run", "out", "--json"]).json();
    let (units, done) = (ran["units"].as_u64().unwrap(), ran["encoded"].as_u64().unwrap());
    assert!(done > 0 && done < units / 2, "{done} of {units}");
    workshop.run(&["merge", "out"]).ok();
    workshop.run(&["learn", "in", "--save-counts", "one"]).ok();
    let read = |name: &str| std::fs::read(workshop.path(name)).unwrap();
    assert!(read(&format!("out/{COUNTS_FILE}")) == read("one"));
}

/// Text is learned from before anything is written, so that all of it may be others until then.
#[test]
fn prepare_goes_on_when_nothing_is_done() {
    let workshop = workshop();
    let small = ["--vocab-size", "300", "--context", "16", "--width", "16", "--heads", "2", "--steps", "2", "--quiet"];
    let prepare = || workshop.run(&[&["prepare", "in", "-o", "out"], &small[..]].concat());
    let whole = cut_off(&workshop, "in/b.jsonl.zst");
    prepare().fails(1, &["b.jsonl.zst", "get it again"]);
    workshop.write("in/b.jsonl.zst", whole);
    prepare().ok();
    workshop.write("in/d.jsonl", lines(0..10));
    prepare().fails(1, &["input file", "in/d.jsonl"]);
}
