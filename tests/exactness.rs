//! The scanners of the named patterns against their regular expressions, on every set of instructions.
//!
//! A sample runs in a few seconds. The long tier takes every character there is, some 95 million random ones, runs of
//! 10 MB, and the texts that are named:
//!
//!     CIYUAN_LONG="zh.txt en.txt" cargo test --release --test suite exactness

use ciyuan::segment::{HanEdges, Instructions, NAMED_PATTERNS, NaivePattern, Pattern, Segmenter};

use super::common::{Random, corpus};

/// Texts of the long tier, if it is asked for.
fn long_tier() -> Option<Vec<String>> {
    let names = std::env::var("CIYUAN_LONG").ok()?;
    Some(names.split_whitespace().map(|name| std::fs::read_to_string(name).unwrap()).collect())
}

/// Each different pattern and its oracle.
fn patterns() -> Vec<(&'static str, Segmenter, NaivePattern)> {
    let first = |at: usize| NAMED_PATTERNS[..at].iter().all(|(_, regex)| *regex != NAMED_PATTERNS[at].1);
    let pattern = |at: usize| {
        let (name, regex) = NAMED_PATTERNS[at];
        let segmenter = Segmenter::new(Pattern::parse(name).unwrap(), HanEdges::None).unwrap();
        (name, segmenter, NaivePattern::new(regex).unwrap())
    };
    (0..NAMED_PATTERNS.len()).filter(|at| first(*at)).map(pattern).collect()
}

fn check(patterns: &[(&str, Segmenter, NaivePattern)], text: &str) {
    let mut ends = Vec::new();
    for (name, segmenter, naive) in patterns {
        let wanted = naive.spans(text).unwrap();
        for instructions in Instructions::all() {
            segmenter.spans_with(instructions, text, &mut ends).unwrap();
            if ends != wanted {
                let at = ends.iter().zip(&wanted).take_while(|(ours, theirs)| ours == theirs).count();
                let start = at.checked_sub(1).map_or(0, |before| wanted[before] as usize);
                let around = text[start..].chars().take(40).collect::<String>();
                panic!("{name}, {}, at byte {start}: {around:?}", instructions.name());
            }
        }
    }
}

#[test]
fn characters_in_contexts() {
    let patterns = patterns();
    let step = if long_tier().is_some() { 1 } else { 97 };
    let characters: Vec<char> =
        (0..0x3400).chain((0x3400..0x11_0000).step_by(step)).filter_map(char::from_u32).collect();
    assert!(characters.len() > 20_000);
    for some in characters.chunks(400) {
        let contexts = |c: &char| {
            let c = *c;
            format!("a{c}b {c}{c}1{c}\n{c}'s{c}A{c}B{c}!{c}中{c}中中，{c}\t {c}2 \n{c}é{c}\u{301}{c} ")
        };
        check(&patterns, &some.iter().map(contexts).collect::<String>());
    }
}

#[test]
fn random_characters() {
    const KINDS: [&str; 12] = [
        "abcdefghstmlrv",
        "ABCDEFGHSTMLRV",
        "0123456789",
        " \t",
        "\n\r",
        "'!/.,-_(){}=\"",
        "中文词元语言龥龦〇々",
        "，。！“”…（）：",
        "éßǅʰ한カ・ไ",
        "\u{301}\u{200D}\u{3099}\u{FEFF}\u{1}",
        "\u{A0}\u{3000}\u{2028}\u{85}",
        "½Ⅷ３٣𠮷𝒳👧",
    ];
    let patterns = patterns();
    let kinds = KINDS.map(|kind| kind.chars().collect::<Vec<char>>());
    // Some 24,000 characters a text.
    let texts = if long_tier().is_some() { 4_400 } else { 4 };
    for seed in 0..texts {
        let mut random = Random(seed);
        let mut text = String::new();
        for _ in 0..10_000 {
            // Runs of a kind, mostly short.
            let kind = &kinds[random.below(kinds.len())];
            let longest = 1 << random.below(4);
            for _ in 0..=random.below(longest) {
                text.push(kind[random.below(kind.len())]);
            }
        }
        check(&patterns, &text);
    }
}

#[test]
fn runs_of_one_class() {
    const RUNS: [&str; 18] = [
        "a",
        "A",
        "é",
        "中",
        "カ",
        "1",
        "３",
        " ",
        "\u{3000}",
        "\n",
        " \n",
        "!",
        "，",
        "'",
        "\u{301}",
        "\u{1}",
        "aB",
        "👩\u{200D}",
    ];
    let patterns = patterns();
    let bytes = if long_tier().is_some() { 10 << 20 } else { 20 << 10 };
    let mut compared = 0;
    for run in RUNS {
        let text = format!("x{}y", run.repeat(bytes / run.len()));
        let mut ends = Vec::new();
        for (name, segmenter, naive) in &patterns {
            // The engine of the oracle gives up on some of these when they are long.
            let Ok(wanted) = naive.spans(&text) else { continue };
            compared += 1;
            for instructions in Instructions::all() {
                segmenter.spans_with(instructions, &text, &mut ends).unwrap();
                assert!(ends == wanted, "{name}, {}: {run:?}", instructions.name());
            }
        }
    }
    assert!(compared > RUNS.len() * patterns.len() / 2, "{compared}");
}

#[test]
fn whole_texts() {
    let patterns = patterns();
    for text in long_tier().unwrap_or_else(corpus) {
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.floor_char_boundary(1 << 16));
            check(&patterns, part);
            rest = behind;
        }
    }
}
