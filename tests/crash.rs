//! The command is killed, stopped, and refused room at any moment: nothing half written is under a final name, and the
//! same command run again gives the same bytes.
//!
//! `tests/crash/` holds the slow ones: a kill and an error at every system call, a full disk, a power cut.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ciyuan::pipeline::FolderLock;
use ciyuan::shard::{Manifest, Shard};

use super::common::{Random, Workshop, root};

const ENCODE: [&str; 9] = ["encode", "in", "-o", "out", "-t", "t.json", "--unit-size", "40KB", "--val=0.2"];
const IMPORT: [&str; 8] = ["import", "--layout", "megatron", "made/corpus", "-t", "t.json", "-o", "out"];
const EXPORT: [&str; 6] = ["export", "whole", "--layout", "megatron", "-o", "out/corpus"];

/// Inputs of some units with some bad lines, a tokenizer, and a folder of shards to export.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let corpora = root().join("corpora/mixed").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "t.json", "--vocab-size", "400"]).ok();
    let line = |n: usize| match n % 501 {
        7 => format!("no record {n}\n"),
        _ => format!("{{\"text\": \"第{n}条：语言模型学习词元。 Line {n} of the file, and what follows it.\"}}\n"),
    };
    workshop.write("in/a.jsonl", (0..2400).map(line).collect::<String>());
    workshop.run(&["encode", "in", "-o", "whole", "-t", "t.json", "--unit-size", "40KB", "--val=0.2"]).ok();
    workshop.run(&["export", "whole", "--layout", "megatron", "-o", "made/corpus"]).ok();
    workshop
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let name = entry.path().strip_prefix(folder).unwrap().display().to_string();
        (name, std::fs::read(entry.path()).unwrap())
    };
    files.map(read).collect()
}

/// What is under a final name is whole: shards verify, and a manifest is there only with all of its shards.
fn check_final_names(folder: &Path) {
    if !folder.exists() {
        return;
    }
    for name in contents(folder).into_keys().filter(|name| name.ends_with(".shard")) {
        Shard::open(&folder.join(&name)).and_then(|shard| shard.verify()).unwrap_or_else(|error| panic!("{error}"));
    }
    if let Some(manifest) = Manifest::load(folder).unwrap() {
        manifest.shards.iter().for_each(|shard| assert!(folder.join(&shard.name).exists(), "{}", shard.name));
    }
}

fn begin_anew(workshop: &Workshop) {
    let _ = std::fs::remove_dir_all(workshop.path("out"));
}

/// A command, what it leaves when nothing happens to it, and how long it takes.
struct Undisturbed {
    arguments: &'static [&'static str],
    wanted: BTreeMap<String, Vec<u8>>,
    took: Duration,
}

impl Undisturbed {
    #[track_caller]
    fn assert_made(&self, workshop: &Workshop) {
        let found = contents(&workshop.path("out"));
        assert_eq!(found.keys().collect::<Vec<_>>(), self.wanted.keys().collect::<Vec<_>>(), "{:?}", self.arguments);
        self.wanted.iter().for_each(|(name, bytes)| assert!(found[name] == *bytes, "{name}"));
    }
}

fn commands(workshop: &Workshop) -> [Undisturbed; 3] {
    [&ENCODE[..], &EXPORT[..], &IMPORT[..]].map(|arguments| {
        begin_anew(workshop);
        let start = Instant::now();
        workshop.run(arguments).ok();
        let (took, wanted) = (start.elapsed(), contents(&workshop.path("out")));
        begin_anew(workshop);
        Undisturbed { arguments, wanted, took }
    })
}

#[test]
fn killed_at_any_moment() {
    let workshop = workshop();
    let mut random = Random(3);
    for command in commands(&workshop) {
        let mut killed = 0;
        for _ in 0..5 {
            begin_anew(&workshop);
            // Several times, and each time it goes on.
            for _ in 0..3 {
                let mut child = workshop.command(command.arguments).spawn().unwrap();
                let moment = random.below(1 + command.took.as_micros() as usize) as u64;
                std::thread::sleep(Duration::from_micros(moment));
                let _ = child.kill();
                killed += usize::from(child.wait().unwrap().code().is_none());
                check_final_names(&workshop.path("out"));
                let out = |name: &str| workshop.path("out").join(name).exists();
                if out("corpus.idx") || command.arguments == IMPORT && out("manifest.json") && !out(".import") {
                    // It came to its end, and would not write over it.
                    begin_anew(&workshop);
                }
            }
            workshop.run(command.arguments).ok();
            command.assert_made(&workshop);
        }
        assert!(killed > 0, "{:?}", command.arguments);
    }
}

/// No room for files above a size, at every size that matters: the error of the system names the file.
#[test]
fn no_room_for_files_of_any_size() {
    let workshop = workshop();
    for command in commands(&workshop) {
        let Undisturbed { arguments, ref wanted, .. } = command;
        let largest = wanted.values().map(Vec::len).max().unwrap() / 512;
        let (mut refused, mut limit) = (0, 0);
        while limit <= largest + 1 {
            begin_anew(&workshop);
            // The signal that would end the command is ignored, so that it sees the error.
            let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
            let mut shell = std::process::Command::new("sh");
            let program = env!("CARGO_BIN_EXE_ciyuan");
            shell.current_dir(workshop.path("")).args(["-c", &script, "sh", program]).args(arguments);
            let output = shell.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            check_final_names(&workshop.path("out"));
            match output.status.code() {
                Some(0) => command.assert_made(&workshop),
                Some(1) => {
                    assert!(said.contains("cannot ") && said.contains("too large"), "{said}");
                    assert!(said.contains(workshop.path("out").file_name().unwrap().to_str().unwrap()), "{said}");
                    refused += 1;
                    workshop.run(arguments).ok();
                    command.assert_made(&workshop);
                }
                code => panic!("{code:?}: {said}"),
            }
            limit += 1 + largest / 7;
        }
        assert!(refused > 3, "{arguments:?}: {refused}");
    }
}

#[test]
fn interrupted_it_ends_with_130_and_goes_on() {
    let workshop = workshop();
    let [command, ..] = commands(&workshop);
    let mut interrupted = 0;
    for part in 0..10 {
        let child = workshop.command(command.arguments).spawn().unwrap();
        std::thread::sleep(command.took * part / 10);
        let pid = child.id().to_string();
        let _ = std::process::Command::new("kill").args(["-INT", &pid]).output().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        check_final_names(&workshop.path("out"));
        match output.status.code() {
            Some(130) => {
                assert!(said.contains("run the same command again"), "{said}");
                interrupted += 1;
            }
            // Before the handler is there the system ends it; at its end there is nothing left to stop.
            None | Some(0) => {}
            code => panic!("{code:?}: {said}"),
        }
        if output.status.success() {
            begin_anew(&workshop);
        }
    }
    assert!(interrupted > 0);
    workshop.run(command.arguments).ok();
    command.assert_made(&workshop);
}

/// Work that cannot look whether to stop, as a read of standard input that never comes, is ended after a while.
#[test]
fn interrupted_while_it_waits_for_text() {
    let workshop = workshop();
    let commands: [&[&str]; 4] = [
        &["encode", "-", "-o", "out", "-t", "t.json"],
        &["learn", "-", "-o", "out/t.json"],
        &["count", "-", "-t", "t.json"],
        &["tokenize", "-", "-t", "t.json"],
    ];
    for arguments in commands {
        begin_anew(&workshop);
        std::fs::create_dir(workshop.path("out")).unwrap();
        let mut command = workshop.command(arguments);
        // Nobody reads what it says meanwhile.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // More than a pipe holds: when it is written, the command is at work, and its handler stands.
        input.write_all("词元和模型。\n".repeat(20_000).as_bytes()).unwrap();
        let pid = child.id().to_string();
        std::process::Command::new("kill").args(["-INT", &pid]).output().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(130), "{arguments:?}: {said}");
        assert!(said.contains("run the same command again"), "{said}");
        check_final_names(&workshop.path("out"));
        drop(input);
        let leaves =
            |name: &&String| name.ends_with(".json") && !name.starts_with(".units/") && *name != "tokenizer.json";
        assert_eq!(contents(&workshop.path("out")).keys().filter(leaves).count(), 0);
        // With the text it comes to its end.
        workshop.run_with(arguments, "词元和模型。\n".repeat(20_000).as_bytes()).ok();
    }
}

#[test]
fn a_second_writer_is_kept_out() {
    let workshop = workshop();
    std::fs::create_dir(workshop.path("out")).unwrap();
    let lock = FolderLock::take(&workshop.path("out")).unwrap();
    workshop.run(&ENCODE).fails(4, &["in use by another run", "out"]);
    drop(lock);
    workshop.run(&ENCODE).ok();
    // Those who read a folder share it, and leave nothing in it.
    let before = contents(&workshop.path("whole"));
    let (first, second) =
        (FolderLock::share(&workshop.path("whole")).unwrap(), FolderLock::share(&workshop.path("whole")).unwrap());
    assert!(FolderLock::take(&workshop.path("whole")).is_err());
    workshop.run(&EXPORT).ok();
    drop(first);
    assert!(FolderLock::take(&workshop.path("whole")).is_err());
    drop(second);
    assert!(contents(&workshop.path("whole")) == before);
    drop(FolderLock::take(&workshop.path("whole")).unwrap());
}

/// An export that was killed between the moves of its files: those that were moved are taken away, others are not.
#[test]
fn a_half_moved_export_begins_anew() {
    let workshop = workshop();
    workshop.run(&EXPORT).ok();
    let wanted = contents(&workshop.path("out"));
    let length = wanted["corpus.bin"].len();
    let stage = workshop.path("out/.corpus.export");
    let half = |length: usize| {
        std::fs::create_dir(&stage).unwrap();
        std::fs::rename(workshop.path("out/corpus.idx"), stage.join("corpus.idx")).unwrap();
        std::fs::write(stage.join("moves"), format!("{length} corpus.bin\n7 corpus.idx\n")).unwrap();
    };
    half(length);
    workshop.run(&EXPORT).ok();
    assert!(contents(&workshop.path("out")) == wanted);
    // A file of that name which is another one.
    half(length + 1);
    workshop.run(&EXPORT).fails(1, &["already"]);
    assert!(std::fs::read(workshop.path("out/corpus.bin")).unwrap() == wanted["corpus.bin"]);
}
