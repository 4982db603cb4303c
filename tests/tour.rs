//! The tour for people who learn the field, in both languages: each command is run, and gives what stands below it.
//!
//! Most of it is exact. What a trained model gives may differ in the last digits between processors, whose kernels add in
//! another order: fractions are compared to 3 %, or 0.02; powers of ten to a factor of 2; the bars of a loss to a step.

use super::common::root;
use super::console::{examples, run_examples, workshop_with_corpora};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Whether an output is what stands there, word by word; `[..]` stands for any word.
fn alike(expected: &str, got: &str) -> bool {
    let words = |text: &str| -> Vec<Vec<String>> {
        let separators = |c: char| c.is_whitespace() || "{}[],:\"".contains(c);
        let line = |line: &str| {
            line.replace("[..]", "⋯").split(separators).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        text.lines().map(line).collect()
    };
    let (expected, got) = (words(expected), words(got));
    let same = |(expected, got): (&Vec<String>, &Vec<String>)| {
        expected.len() == got.len() && expected.iter().zip(got).all(|(expected, got)| same_word(expected, got))
    };
    expected.len() == got.len() && expected.iter().zip(&got).all(same)
}

fn same_word(expected: &str, got: &str) -> bool {
    if expected == got || expected == "⋯" {
        return true;
    }
    let levels = |word: &str| word.chars().map(|c| BARS.iter().position(|bar| *bar == c)).collect::<Option<Vec<_>>>();
    if let (Some(expected), Some(got)) = (levels(expected), levels(got)) {
        return expected.len() == got.len() && expected.iter().zip(&got).all(|(a, b)| a.abs_diff(*b) <= 1);
    }
    if !expected.contains('.') && !expected.contains('e') {
        return false;
    }
    match (expected.parse::<f64>(), got.parse::<f64>()) {
        (Ok(a), Ok(b)) if expected.contains('e') => a * b > 0.0 && (a.log10() - b.log10()).abs() < 0.302,
        (Ok(a), Ok(b)) => (a - b).abs() <= (0.03 * a.abs()).max(0.0201),
        _ => false,
    }
}

#[test]
fn outputs_are_compared_as_told() {
    assert!(alike("a  1 0.50 [..] ▁▃\n", "a 1 0.515 9.9 ▂▂\n"));
    assert!(alike("6.4e-23\n{\"loss\":7.42}", "9.9e-23\n{\"loss\":7.41}"));
    let differ = ["a 1", "b", "1 0.50", "1 0.60", "[..]", "1 2", "▁", "▃", "1e-3", "3e-3", "1", "1\n1", "5.0", "5.2"];
    for pair in differ.chunks(2) {
        assert!(!alike(pair[0], pair[1]), "{pair:?}");
    }
}

#[test]
fn every_step_gives_what_stands_below_it() {
    let workshop = workshop_with_corpora();
    for name in ["examples/tour.md", "examples/tour.zh.md"] {
        run_examples(&workshop, name, alike);
    }
}

/// A reader of either language takes the same steps, with sentences of that language.
#[test]
fn both_languages_take_the_same_steps() {
    let steps = |name: &str| -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let calls = |command: &str| {
            let calls = command.split("ciyuan ").skip(1);
            calls.filter_map(|call| call.split_whitespace().next().map(str::to_owned)).collect()
        };
        examples(&text).iter().map(|(command, _)| calls(command)).collect()
    };
    let steps = ["examples/tour.md", "examples/tour.zh.md"].map(steps);
    assert_eq!(steps[0], steps[1]);
    assert!(steps[0].len() > 15 && steps[0].iter().filter(|calls| calls.is_empty()).count() <= 1, "{:?}", steps[0]);
}
