//! The table of what each named pattern does with what comes up in Chinese and English text is made here.
//!
//! `CIYUAN_WRITE_TABLES=1 cargo test patterns` writes it anew.

use ciyuan::segment::{HanEdges, NAMED_PATTERNS, Pattern, Segmenter};

use super::common::root;

/// What it is, and an example.
const SAMPLES: [(&str, &str); 24] = [
    ("contraction", "we don't"),
    ("in capitals", "WE'LL"),
    ("hyphens", "a well-known one"),
    ("address", "https://a.cn/b?c=1"),
    ("e-mail", "me@mail.cn"),
    ("number", "12345.6"),
    ("with a unit", "3.5km 20%"),
    ("code", "getHTTPName(x_1)"),
    ("indentation", "{\n    if a"),
    ("punctuation, newlines", "end!\n\nNew"),
    ("blanks", "a   b "),
    ("Chinese", "你好，世界。"),
    ("quotes", "他说：“好”"),
    ("date", "2026年11月"),
    ("mixed", "用Rust写"),
    ("full width", "ＡＢ１２"),
    ("〇 and 々", "二〇年人々"),
    ("rare ideographs", "𠮷龦㐀"),
    ("Japanese", "東京のカメラ・店"),
    ("Korean", "한국어 말"),
    ("Thai", "ภาษาไทย"),
    ("emoji, joined", "👩\u{200D}👧!"),
    ("combining mark", "e\u{301}te\u{301}"),
    ("no-break space", "a\u{A0}b"),
];

fn visible(span: &str) -> String {
    let mut shown = String::new();
    for c in span.chars() {
        match c {
            ' ' => shown.push('␣'),
            '\n' => shown.push('⏎'),
            '\u{A0}' => shown.push('⍽'),
            '\u{200D}' => shown.push_str("[ZWJ]"),
            c => shown.push(c),
        }
    }
    shown
}

fn table() -> String {
    let mut text = String::from(
        "# What the named patterns do\n\n\
         Made by `tests/patterns.rs`. `␣` is a space, `⏎` a newline, `⍽` U+00A0, `[ZWJ]` U+200D; spans stand apart by `¦`. \
         Patterns that cut all of these alike share a row of an example.\n",
    );
    let names: Vec<&str> = NAMED_PATTERNS.iter().map(|(name, _)| *name).collect();
    for (what, sample) in SAMPLES {
        text.push_str(&format!("\n{what}: `{}`\n\n| spans | patterns |\n|---|---|\n", visible(sample)));
        let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
        for name in &names {
            let segmenter = Segmenter::new(Pattern::parse(name).unwrap(), HanEdges::None).unwrap();
            let (mut ends, mut start) = (Vec::new(), 0);
            segmenter.spans(sample, &mut ends).unwrap();
            let span = |end: &u32| visible(&sample[std::mem::replace(&mut start, *end as usize)..*end as usize]);
            let spans = ends.iter().map(span).collect::<Vec<_>>().join("¦");
            match rows.iter_mut().find(|(other, _)| *other == spans) {
                Some((_, patterns)) => patterns.push(name),
                None => rows.push((spans, vec![name])),
            }
        }
        for (spans, patterns) in rows {
            let patterns = if patterns.len() == names.len() { "all".to_owned() } else { patterns.join(", ") };
            text.push_str(&format!("| `{spans}` | {patterns} |\n"));
        }
    }
    text
}

#[test]
fn the_table_says_what_they_do() {
    let path = root().join("src/segment/patterns.md");
    let wanted = table();
    if std::env::var_os("CIYUAN_WRITE_TABLES").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "CIYUAN_WRITE_TABLES=1 cargo test patterns");
    // Whatever the text, spans cover it on the edges of characters: the samples would show it if they did not.
    for (_, sample) in SAMPLES {
        for (name, _) in NAMED_PATTERNS {
            let segmenter = Segmenter::new(Pattern::parse(name).unwrap(), HanEdges::None).unwrap();
            let mut ends = Vec::new();
            segmenter.spans(sample, &mut ends).unwrap();
            assert!(ends.iter().all(|end| sample.is_char_boundary(*end as usize)), "{name} {sample}");
            assert_eq!(ends.last().map(|end| *end as usize), Some(sample.len()), "{name} {sample}");
        }
    }
}
