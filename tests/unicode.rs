//! The table of character classes is made here, from the Unicode tables of `regex-syntax`, on which patterns run.
//!
//! `CIYUAN_WRITE_TABLES=1 cargo test unicode` writes it anew.

use regex_syntax::hir::{Class, HirKind};

use super::common::root;

/// The classes of `src/segment/classes.rs` in order: the name there, and the characters that are in it unless one
/// before took them.
const CLASSES: [(&str, &str); 21] = [
    ("KANA_LETTER", r"[\x{3040}-\x{30FF}&&\p{L}]"),
    ("KANA_MARK", r"[\x{3040}-\x{30FF}&&\p{M}]"),
    ("KANA_SYMBOL", r"[\x{3040}-\x{30FF}&&\p{S}]"),
    ("KANA_PUNCTUATION", r"[\x{3040}-\x{30FF}&&\p{P}]"),
    ("KANA_OTHER", r"[\x{3040}-\x{30FF}]"),
    ("IDEOGRAPH", "[一-龥]"),
    ("HAN_LETTER", r"[\p{Han}&&\p{L}]"),
    ("HAN_NUMBER", r"[\p{Han}&&\p{N}]"),
    ("HAN_SYMBOL", r"[\p{Han}&&\p{S}]"),
    ("HAN_MARK", r"[\p{Han}&&\p{M}]"),
    ("HAN_PUNCTUATION", r"[\p{Han}&&\p{P}]"),
    ("UPPER", r"[\p{Lu}\p{Lt}]"),
    ("LOWER", r"\p{Ll}"),
    ("LETTER", r"\p{L}"),
    ("MARK", r"\p{M}"),
    ("NUMBER", r"\p{N}"),
    ("NEWLINE", r"[\r\n]"),
    ("SPACE", r"\s"),
    ("PUNCTUATION", r"\p{P}"),
    ("SYMBOL", r"\p{S}"),
    ("OTHER", r"(?s:.)"),
];

/// The number that `src/segment/classes.rs` gives a class.
fn number(name: &str, source: &str) -> u32 {
    let line = format!("const {name}: Class = ");
    let at = source.find(&line).unwrap_or_else(|| panic!("{name} is not in classes.rs")) + line.len();
    source[at..].split(';').next().unwrap().parse().unwrap()
}

/// The class of every code point; surrogates, which no text holds, are `OTHER`.
fn classes(source: &str) -> Vec<u32> {
    let mut classes = vec![None; 0x11_0000];
    for (name, regex) in CLASSES {
        let number = number(name, source);
        let parsed = regex_syntax::parse(regex).unwrap();
        let ranges: Vec<(u32, u32)> = match parsed.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32)).collect()
            }
            // A class of one character is a literal.
            HirKind::Literal(literal) => {
                let text = str::from_utf8(&literal.0).unwrap();
                text.chars().map(|c| (c as u32, c as u32)).collect()
            }
            other => panic!("{regex} is {other:?}"),
        };
        for (first, last) in ranges {
            classes[first as usize..=last as usize].iter_mut().for_each(|class| *class = class.or(Some(number)));
        }
    }
    let other = number("OTHER", source);
    classes.into_iter().map(|class| class.unwrap_or(other)).collect()
}

fn file(classes: &[u32]) -> String {
    let mut text = String::from(
        "//! Runs of characters of one class, in order. Made by `tests/unicode.rs` from the tables of regex-syntax 0.8,\n\
         //! Unicode 16; not to be changed by hand.\n\n\
         /// The first code point of a run, times 32, and its class.\n\
         #[rustfmt::skip]\n",
    );
    let mut runs = Vec::new();
    for (code, class) in classes.iter().enumerate() {
        if code == 0 || classes[code - 1] != *class {
            runs.push(format!("0x{:x}", (code as u32) << 5 | class));
        }
    }
    text.push_str(&format!("pub(super) static RUNS: [u32; {}] = [\n", runs.len()));
    for line in runs.chunks(11) {
        text.push_str(&format!("    {},\n", line.join(", ")));
    }
    text + "];\n"
}

#[test]
fn table_of_classes_is_that_of_regex_syntax() {
    let folder = root().join("src/segment");
    let source = std::fs::read_to_string(folder.join("classes.rs")).unwrap();
    let wanted = file(&classes(&source));
    let path = folder.join("class_runs.rs");
    if std::env::var_os("CIYUAN_WRITE_TABLES").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "CIYUAN_WRITE_TABLES=1 cargo test unicode");
}
