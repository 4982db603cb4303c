//! `ciyuan probe` by its outputs.

use serde_json::Value;

use super::common::{Workshop, root};

/// A probe that takes seconds: models of some thousand parameters.
const SMALL: &str = "--txt-documents lines --seeds 2 --width 16 --layers 1 --heads 2 --batch 2 --context-bytes 64 --epochs 0.2 \
                     --val 0.1 --cuts 8 --force --learning-rates 0.002,0.004";

fn probe(workshop: &Workshop, arguments: &[&str], more: &[&str]) -> super::common::Ran {
    let on: Vec<String> =
        ["zh", "en"].map(|language| format!("{language}={}", root().join("corpora").join(language).display())).into();
    let on = ["--on", &on[0], &on[1]];
    let small: Vec<&str> = SMALL.split_whitespace().collect();
    workshop.run(&[&["probe"][..], arguments, &on, &small, more].concat())
}

/// The report but for times.
fn timeless(mut report: Value) -> Value {
    report["seconds"] = Value::Null;
    report
}

#[test]
fn a_tokenizer_is_no_better_than_itself() {
    let workshop = Workshop::new();
    let corpora = root().join("corpora").display().to_string();
    workshop.run(&["learn", &corpora, "-o", "one.json", "--vocab-size", "400"]).ok();
    let report = probe(&workshop, &["one.json", "same=one.json"], &["-o", "out", "--json", "--no-anchors"]).json();
    for corpus in report["corpora"].as_array().unwrap() {
        let difference = &corpus["differences"][0];
        for at in ["equal_bytes", "equal_compute"] {
            assert_eq!(difference[at]["difference"]["value"], 0.0, "{difference}");
            assert_eq!(difference[at]["verdict"], "no-difference");
        }
        // Other seeds make another model, of which a difference is left.
        assert_ne!(corpus["noise"]["difference"]["value"], 0.0);
        let bits = corpus["arms"][0]["bits_per_byte"]["mean"].as_f64().unwrap();
        assert!(bits > 0.5 && bits < 8.0, "{bits}");
    }
    let names: Vec<&str> =
        report["corpora"].as_array().unwrap().iter().map(|corpus| corpus["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["zh", "en", "mean"]);
    // So little training is no ground for a verdict.
    assert_eq!(report["corpora"][0]["differences"][0]["holds"], false);
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("no better than n-grams") && warnings.contains("not learned from the texts"),
        "{warnings}"
    );
}

#[test]
fn arms_are_learned_and_trainings_kept() {
    let workshop = Workshop::new();
    let vary = ["--vary", "han=learn-words,chars", "--vary", "vocab-size=400"];
    let run = || probe(&workshop, &vary, &["-o", "out", "--json"]).json();
    let first = run();
    let arms: Vec<(&str, bool)> = first["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| (arm["name"].as_str().unwrap(), arm["anchor"].as_bool().unwrap()))
        .collect();
    assert_eq!(arms, [("learn-words", false), ("chars", false), ("bytes", true), ("characters", true)]);
    // Bytes have one byte a token, and as many bytes in a window as the others.
    assert_eq!(first["arms"][2]["bytes_per_token"], 1.0);
    for arm in first["arms"].as_array().unwrap() {
        let bytes = arm["bytes_per_token"].as_f64().unwrap() * arm["context"].as_f64().unwrap();
        assert!((bytes - 64.0).abs() < 3.0, "{arm}");
        assert_eq!(arm["body_parameters"], first["arms"][0]["body_parameters"]);
    }
    // Single characters are more tokens, so that equal computing is fewer steps.
    let steps = |at: usize| first["arms"][at]["steps"].as_array().unwrap().clone();
    assert!(steps(0)[0] == steps(1)[0] && steps(0)[0] == steps(0)[1]);
    assert!(steps(1)[1].as_u64().unwrap() <= steps(1)[0].as_u64().unwrap());
    for file in ["report.html", "report.json", "report.md"] {
        assert!(workshop.path("out").join(file).exists(), "{file}");
    }
    let page = std::fs::read_to_string(workshop.path("out").join("report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script") && page.contains("chars to learn-words"));

    // All are kept: a second start trains nothing. One that is gone or damaged is trained again, to the same figures.
    let runs = workshop.path("out").join("runs");
    let mut files: Vec<_> = std::fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // Two arms with two seeds and two learning rates, two seeds for noise, and two anchors.
    assert_eq!(files.len(), 12);
    let times = |files: &[std::path::PathBuf]| -> Vec<_> {
        files.iter().map(|file| std::fs::metadata(file).unwrap().modified().unwrap()).collect()
    };
    let before = times(&files);
    std::fs::remove_file(&files[0]).unwrap();
    std::fs::write(&files[1], "{\"curve\"").unwrap();
    assert_eq!(timeless(run()), timeless(first));
    let after = times(&files);
    assert_eq!(before[2..], after[2..]);
    assert!(before[0] != after[0] && before[1] != after[1]);
}

#[test]
fn plans_and_what_cannot_be() {
    let workshop = Workshop::new();
    let vary = ["--vary", "han=learn-words,runs,words", "--vary", "vocab-size=400"];
    let plan = probe(&workshop, &vary, &["--dry-run", "--json"]).json();
    assert_eq!(plan["trainings"], 3 * 4 + 2 + 2);
    assert!(plan["seconds"].as_f64().unwrap() > 0.0 && plan["steps"].as_u64().unwrap() >= 20);
    assert!(plan["precision"].is_null());
    let plan = probe(&workshop, &vary, &["--dry-run", "--json", "--precision", "bf16"]).json();
    assert_eq!(plan["precision"], "bf16");
    assert!(plan["smallest_difference"].as_f64().unwrap() > 0.0);
    assert!(!workshop.path("out").exists());
    probe(&workshop, &["--vary", "han=learn-words"], &["-o", "out"]).fails(2, &["tokenizers", "two or more"]);
    probe(&workshop, &["--vary", "han=many,runs"], &["-o", "out"]).fails(2, &["--vary", "many"]);
    workshop.write("one.txt", "one line\n");
    let single = ["probe", "--vary", "han=learn-words,runs", "-o", "out", "--on", "zh=one.txt"];
    workshop.run(&single).fails(1, &["`zh` has no documents", "--txt-documents"]);
}

/// Trainings in bf16 are others than those in f32, come to nearly the same, and are said to be so.
#[test]
fn in_bf16() {
    let workshop = Workshop::new();
    let vary = ["--vary", "han=learn-words,chars", "--vary", "vocab-size=400", "--no-anchors", "--no-noise"];
    let run = |more: &[&str]| probe(&workshop, &vary, &[&["-o", "out"], more].concat());
    let files = || std::fs::read_dir(workshop.path("out").join("runs")).unwrap().count();
    let single = run(&["--json"]).json();
    assert_eq!((files(), single["precision"].is_null()), (8, true));
    let half = run(&["--json", "--precision", "bf16"]).json();
    assert_eq!((files(), half["precision"].as_str()), (16, Some("bf16")));
    let bits = |report: &Value| report["corpora"][2]["arms"][0]["bits_per_byte"]["mean"].as_f64().unwrap();
    assert!((bits(&single) - bits(&half)).abs() < 0.02, "{} {}", bits(&single), bits(&half));
    // Kept, and said.
    let again = run(&["--precision", "bf16"]).ok();
    assert!(files() == 16 && again.starts_with("trained in bf16 on "), "{again}");
    assert!(run(&[]).ok().starts_with("trained on "));
}
