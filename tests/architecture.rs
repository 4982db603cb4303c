//! The laws of the house, read off the sources: imports run one way, pure rooms do no I/O, `unsafe` stands where it is
//! allowed, files are short.

use std::path::{Path, PathBuf};

use super::common::root;

/// The rooms in order: each may import those before it.
const ROOMS: [&str; 13] = [
    "error", "codec", "segment", "clean", "text", "vocab", "learn", "encode", "shard", "model", "evaluate", "pipeline",
    "cli",
];

/// Rooms that do no I/O and print nothing.
const PURE: [&str; 7] = ["codec", "segment", "clean", "vocab", "learn", "encode", "model"];

/// The only files with `unsafe`.
const UNSAFE: [&str; 25] = [
    "encode/block_x86.rs",
    "encode/characters_x86.rs",
    "encode/gathered_x86.rs",
    "encode/known_x86.rs",
    "encode/merge_x86.rs",
    "encode/whole_x86.rs",
    "model/half.rs",
    "model/half_attention.rs",
    "model/half_head.rs",
    "model/half_kernel.rs",
    "model/half_pack.rs",
    "model/half_rows.rs",
    "model/half_tile.rs",
    "model/half_vector.rs",
    "model/half_weights.rs",
    "model/kernel.rs",
    "model/kernel_pack.rs",
    "model/kernel_tile.rs",
    "model/matmul.rs",
    "model/real.rs",
    "model/wide.rs",
    "segment/lanes.rs",
    "segment/prefetch.rs",
    "shard/reader.rs",
    "text/json_string_x86.rs",
];

const MAX_LINES: usize = 700;

struct SourceFile {
    /// Path below src/, with slashes.
    name: String,
    text: String,
}

impl SourceFile {
    fn room(&self) -> &str {
        let first = self.name.split('/').next().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The code before the tests, without comments.
    fn code(&self) -> impl Iterator<Item = &str> {
        let end = self.text.find("#[cfg(test)]").unwrap_or(self.text.len());
        self.text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<SourceFile> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    assert!(paths.len() > 50, "the sources were not found");
    let name = |path: &Path| path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
    paths.iter().map(|path| SourceFile { name: name(path), text: std::fs::read_to_string(path).unwrap() }).collect()
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|other| *other == room)
}

/// The rooms that a line names: `crate::room` and `ciyuan::room`.
fn rooms_in(line: &str) -> Vec<&str> {
    let after =
        |prefix: &str| line.match_indices(prefix).map(|(at, found)| &line[at + found.len()..]).collect::<Vec<_>>();
    [after("crate::"), after("ciyuan::")]
        .concat()
        .into_iter()
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
        .filter(|room| rank(room).is_some())
        .collect()
}

#[test]
fn imports_run_one_way() {
    let mut seen = 0;
    for file in sources().iter().filter(|file| !matches!(file.room(), "lib" | "main")) {
        let own =
            rank(file.room()).unwrap_or_else(|| panic!("{} is in no room; add it to the list in order", file.name));
        // Tests inside a file may use later rooms to make what they need.
        for room in file.code().flat_map(rooms_in) {
            seen += 1;
            assert!(rank(room).unwrap() <= own, "{} imports `{room}`, which comes after its own room", file.name);
        }
    }
    assert!(seen > 100, "the imports were not found");
}

#[test]
fn pure_rooms_do_no_io() {
    const FORBIDDEN: [&str; 9] =
        ["std::fs", "std::env", "std::io", "std::net", "std::process", "std::time", "println!", "eprintln!", "print!"];
    for file in sources().iter().filter(|file| PURE.contains(&file.room())) {
        for line in file.code() {
            for word in FORBIDDEN {
                assert!(!line.contains(word), "{} uses {word}: {line}", file.name);
            }
        }
    }
}

#[test]
fn the_library_does_not_exit_or_read_the_environment() {
    for file in sources().iter().filter(|file| !matches!(file.room(), "cli" | "main")) {
        for line in file.code() {
            let forbidden = line.contains("process::exit") || line.contains("std::env::") || line.contains("print!(");
            assert!(!forbidden, "{}: {line}", file.name);
        }
    }
}

#[test]
fn unsafe_stands_where_it_is_allowed() {
    let mut found = Vec::new();
    for file in sources() {
        let blocks = file.code().filter(|line| line.contains("unsafe ") && !line.contains("unsafe_code")).count();
        if blocks > 0 {
            found.push(file.name.clone());
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE);
}

#[test]
fn files_are_short_and_have_a_head() {
    let mut lengths = Vec::new();
    for file in sources() {
        let lines = file.text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines: would a reader find two rooms in one?", file.name);
        assert!(file.text.starts_with("//!"), "{} does not say what it is", file.name);
        lengths.push(lines);
    }
    lengths.sort();
    assert!(lengths[lengths.len() / 2] <= 260, "the median file has {} lines", lengths[lengths.len() / 2]);
}

#[test]
fn no_unwrap_outside_tests() {
    for file in sources() {
        for line in file.code() {
            assert!(!line.contains(".unwrap()"), "{}: {line}", file.name);
            assert!(!line.contains("todo!(") && !line.contains("unimplemented!("), "{}: {line}", file.name);
        }
    }
}

#[test]
fn the_top_level_is_as_planned() {
    let git = root().join(".git");
    let known = [
        ".ci",
        ".git",
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "README.zh.md",
        "benches",
        "clippy.toml",
        "corpora",
        "examples",
        "fuzz",
        "out",
        "rustfmt.toml",
        "src",
        "target",
        "tests",
    ];
    // Only in a checkout: a packaged crate holds other files.
    if git.exists() {
        for entry in std::fs::read_dir(root()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name.as_str()), "`{name}` at the top level is not in the plan");
        }
    }
}
