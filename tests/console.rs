//! Console examples of a Markdown file: commands with the outputs below them, each run by a shell in a folder of its own.

use std::collections::BTreeSet;
use std::path::Path;

use super::common::{CORPORA, Workshop, root};

/// A folder with corpora/ in it, as a reader has it.
pub(crate) fn workshop_with_corpora() -> Workshop {
    let workshop = Workshop::new();
    for folder in CORPORA {
        std::fs::create_dir_all(workshop.path(folder)).unwrap();
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), workshop.path(folder).join(entry.file_name())).unwrap();
        }
    }
    workshop
}

/// Runs the examples of a file; `same` says whether an output, the second, is what stands there, the first. What they leave
/// behind is removed, so that the next file finds the folder as this one did.
pub(crate) fn run_examples(workshop: &Workshop, name: &str, same: impl Fn(&str, &str) -> bool) {
    let examples = examples(&std::fs::read_to_string(root().join(name)).unwrap());
    assert!(examples.len() >= 5, "{name} has {} examples", examples.len());
    let binary = Path::new(env!("CARGO_BIN_EXE_ciyuan")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let before = names(&workshop.path("."));
    for (command, expected) in examples {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &command]).current_dir(workshop.path(".")).env("PATH", &path);
        let output = shell.output().unwrap();
        let got = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(same(&expected, &got), "{name}: {command}\ngives\n{got}\nbut there stands\n{expected}");
    }
    for name in names(&workshop.path(".")).difference(&before) {
        let path = workshop.path(name);
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
}

/// The commands of the `console` blocks with the outputs below them.
pub(crate) fn examples(text: &str) -> Vec<(String, String)> {
    let mut examples: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
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

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
