//! `learn --plan`, `run` and `merge`: any ranks, killed and run again, count to the bytes of `learn --save-counts`.

use ciyuan::pipeline::COUNTS_FILE;

use super::common::{Random, Workshop};

const SETTINGS: [&str; 2] = ["--normalize", "full-width"];

/// Text, a file that is cut into units with bad lines in them, a compressed file, a file that holds nothing, duplicates.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let line = |n: usize| match n % 41 {
        7 => format!("no record {n}\n"),
        11 => "{\"text\": \"同一句话。\"}\n".to_owned(),
        _ => format!("{{\"text\": \"第{n}条：语言模型学习词元１。 Line {n} of the file.\"}}\n"),
    };
    workshop.write("in/a.jsonl", (0..700).map(line).collect::<String>());
    workshop.write("in/b.txt", "一个文件。".repeat(300));
    let packed = zstd::encode_all((0..90).map(line).collect::<String>().as_bytes(), 3).unwrap();
    workshop.write("in/c.jsonl.zst", packed);
    workshop.write("in/d.jsonl", "no record\n".repeat(1000));
    workshop
}

fn counted(workshop: &Workshop, more: &[&str]) -> Vec<u8> {
    workshop.run(&[&["learn", "in", "--save-counts", "one"], &SETTINGS[..], more].concat()).ok();
    std::fs::read(workshop.path("one")).unwrap()
}

fn plan(workshop: &Workshop, output: &str, more: &[&str]) -> u64 {
    let plan = ["learn", "in", "--plan", output, "--unit-size", "4KB", "--json"];
    workshop.run(&[&plan[..], &SETTINGS, more].concat()).json()["units"].as_u64().unwrap()
}

fn run(workshop: &Workshop, output: &str, rank: u64, world: u64) -> serde_json::Value {
    let (rank, world) = (rank.to_string(), world.to_string());
    workshop.run(&["run", output, "--rank", &rank, "--world-size", &world, "--threads", "2", "--json"]).json()
}

#[track_caller]
fn assert_merged(workshop: &Workshop, output: &str, wanted: &[u8]) {
    let merged = workshop.run(&["merge", output, "--json"]).json();
    assert!(std::fs::read(workshop.path(output).join(COUNTS_FILE)).unwrap() == wanted);
    let left: Vec<String> = std::fs::read_dir(workshop.path(output))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !["counts.json", COUNTS_FILE].contains(&name.as_str()))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // A late rank, a second merge and the same plan find all done.
    run(workshop, output, 0, 2);
    assert_eq!(workshop.run(&["merge", output, "--json"]).json(), merged);
}

#[test]
fn any_number_of_ranks_counts_as_one_process() {
    let workshop = workshop();
    for more in [&[][..], &["--deduplicate"], &["--han", "chars", "--granularity", "char"]] {
        let wanted = counted(&workshop, more);
        for world in [1, 2, 7] {
            let _ = std::fs::remove_dir_all(workshop.path("out"));
            let units = plan(&workshop, "out", more);
            assert!(units > 10);
            let done: u64 =
                (0..world).rev().map(|rank| run(&workshop, "out", rank, world)["encoded"].as_u64().unwrap()).sum();
            assert_eq!(done, units);
            assert_merged(&workshop, "out", &wanted);
            plan(&workshop, "out", more);
        }
    }
    // A rank says what it has counted, and of no tokens.
    plan(&workshop, "other", &[]);
    let shown = workshop.run(&["run", "other"]).ok();
    assert!(shown.contains("\ncounted ") && !shown.contains("tokens"), "{shown}");
    // What was counted is learned from.
    let counts = format!("out/{COUNTS_FILE}");
    let chars = ["--han", "chars", "--granularity", "char", "--vocab-size", "300"];
    for (from, to) in [(counts.as_str(), "a.json"), ("one", "b.json")] {
        workshop.run(&[&["learn", "--counts", from, "-o", to], &SETTINGS[..], &chars].concat()).ok();
    }
    assert!(std::fs::read(workshop.path("a.json")).unwrap() == std::fs::read(workshop.path("b.json")).unwrap());
}

#[test]
fn killed_and_doubled_ranks_count_nothing_twice() {
    let workshop = workshop();
    let wanted = counted(&workshop, &[]);
    plan(&workshop, "out", &[]);
    workshop.run(&["merge", "out"]).fails(1, &["not done", "ciyuan run"]);
    let mut random = Random(5);
    for world in ["2", "3", "2"] {
        let start =
            |rank: &str| workshop.command(&["run", "out", "--rank", rank, "--world-size", world]).spawn().unwrap();
        let mut children = ["0", "1", "0", "1"].map(start);
        std::thread::sleep(std::time::Duration::from_millis(random.below(120) as u64));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    run(&workshop, "out", 0, 2);
    run(&workshop, "out", 1, 2);
    // A file of counts that is cut off is not done; one that is damaged is found when it is read.
    let unit = workshop.path("out/.units/000003.counts");
    let whole = std::fs::read(&unit).unwrap();
    std::fs::write(&unit, &whole[..whole.len() - 1]).unwrap();
    workshop.run(&["merge", "out"]).fails(1, &["not done: 3;"]);
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&unit, &damaged).unwrap();
    workshop.run(&["merge", "out"]).fails(3, &["000003.counts"]);
    std::fs::remove_file(&unit).unwrap();
    assert_eq!(run(&workshop, "out", 1, 2)["encoded"], 1);
    assert_merged(&workshop, "out", &wanted);
}

#[test]
fn another_plan_is_an_error_that_says_what_differs() {
    let workshop = workshop();
    workshop.write("words.txt", "词元\n");
    let words = ["--user-dict", "words.txt"];
    plan(&workshop, "out", &words);
    let again = ["learn", "in", "--plan", "out", "--unit-size", "4KB", "--normalize", "full-width"];
    workshop.run(&again).fails(1, &["dictionary"]);
    workshop.run(&[&again[..], &words, &["--han", "chars"]].concat()).fails(2, &["user-dict"]);
    workshop.write("words.txt", "词元\n模型\n");
    workshop.run(&["run", "out"]).fails(1, &["user-dict"]);
    workshop.write("words.txt", "词元\n");
    run(&workshop, "out", 0, 1);
    std::fs::write(workshop.path("in/b.txt"), "另一个文件。".repeat(250)).unwrap();
    workshop.run(&["merge", "out"]).fails(1, &["`in/b.txt` was", "b.txt"]);
    workshop.run(&["learn", "in", "--plan", "x", "--superwords", "9"]).fails(2, &["superwords"]);
    workshop.run(&["learn", "in", "--plan", "x", "-o", "t.json"]).fails(2, &["--plan"]);
}
