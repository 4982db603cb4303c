//! The console examples of README.md and README.zh.md: each is run, and gives what stands there.

use super::common::root;
use super::console::{run_examples, workshop_with_corpora};

#[test]
fn examples_give_what_stands_below_them() {
    let workshop = workshop_with_corpora();
    // The folder that the main command makes. Its model is another here: no example shows what depends on it.
    let small = ["--steps", "2", "--context", "16", "--width", "16", "--heads", "2"];
    workshop.run(&[&["prepare", "corpora", "-o", "out"][..], &small].concat()).ok();
    for name in ["README.md", "README.zh.md"] {
        run_examples(&workshop, name, |expected, got| expected == got);
    }
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
