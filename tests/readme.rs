//! The console examples of README.md and README.zh.md: each is run, and gives what stands there.

use std::collections::BTreeSet;
use std::path::Path;

use super::common::{CORPORA, Workshop, root};

/// The commands of the `console` blocks with the outputs below them.
fn examples(readme: &str) -> Vec<(String, String)> {
    let mut examples: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some(command)) if inside => examples.push((command.to_owned(), String::new())),
            _ if inside => {
                let (_, output) = examples.last_mut().expect("a block begins with a command");
                output.push_str(line);
                output.push('\n');
            }
            _ => {}
        }
    }
    examples
}

#[test]
fn examples_give_what_stands_below_them() {
    let workshop = Workshop::new();
    for folder in CORPORA {
        std::fs::create_dir_all(workshop.path(folder)).unwrap();
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), workshop.path(folder).join(entry.file_name())).unwrap();
        }
    }
    // The folder that the main command makes. Its model is another here: no example shows what depends on it.
    let small = ["--steps", "2", "--context", "16", "--width", "16", "--heads", "2"];
    workshop.run(&[&["prepare", "corpora", "-o", "out"][..], &small].concat()).ok();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_ciyuan")).parent().unwrap();
    let before = names(&workshop.path("."));
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    for name in ["README.md", "README.zh.md"] {
        let examples = examples(&std::fs::read_to_string(root().join(name)).unwrap());
        assert!(examples.len() >= 5, "{name} has {} examples", examples.len());
        for (command, expected) in examples {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", &command]).current_dir(workshop.path(".")).env("PATH", &path);
            let output = shell.output().unwrap();
            let got = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{name}: {command}: {}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(got, expected, "{name}: {command}");
        }
        // The other one finds the folder as this one did.
        for name in names(&workshop.path(".")).difference(&before) {
            let path = workshop.path(name);
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The two commands that .ci/run takes from README.md, and that the Chinese one repeats.
#[test]
fn both_readmes_name_the_two_commands() {
    for name in ["README.md", "README.zh.md"] {
        let readme = std::fs::read_to_string(root().join(name)).unwrap();
        for command in ["cargo run --release -- prepare corpora -o out ", "cargo test "] {
            assert!(readme.lines().any(|line| line.starts_with(command) && line.contains('#')), "{name}: {command}");
        }
    }
}
