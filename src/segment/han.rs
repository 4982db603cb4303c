//! Han characters: the script property, and the runs of it in a text.

use super::classes::{Set, class_of};

/// The Unicode version of every table and pattern here: that of regex-syntax 0.8, on which the patterns run.
///
/// It is part of a tokenizer's fingerprint: another version would class some characters otherwise.
pub const UNICODE_VERSION: &str = "16.0.0";

/// Whether `c` is of the script Han.
///
/// ```
/// use ciyuan::segment::is_han;
/// assert!(is_han('词') && is_han('〇') && is_han('𠮷'));
/// assert!(!is_han('，') && !is_han('カ') && !is_han('a'));
/// ```
#[must_use]
pub fn is_han(c: char) -> bool {
    Set::HAN.has(class_of(c as u32))
}

/// Calls `visit` with the byte range of each maximal Han run in `text`.
pub(crate) fn han_runs(text: &str, mut visit: impl FnMut(std::ops::Range<usize>)) {
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (is_han(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                visit(from..at);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        visit(from..text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_regex_on_every_character() {
        let regex = regex::Regex::new(r"^\p{Han}$").unwrap();
        let mut buffer = [0; 4];
        for c in '\0'..=char::MAX {
            assert_eq!(is_han(c), regex.is_match(c.encode_utf8(&mut buffer)), "U+{:04X}", c as u32);
        }
    }

    #[test]
    fn unicode_version_is_that_of_the_engine() {
        // U+A7CB was assigned in Unicode 16, U+A7D2 comes in 17.
        let letter = regex::Regex::new(r"^\p{L}$").unwrap();
        assert!(letter.is_match("\u{A7CB}") && !letter.is_match("\u{A7D2}"));
    }

    #[test]
    fn runs() {
        let mut runs = Vec::new();
        han_runs("a词元b，分词", |run| runs.push(run));
        assert_eq!(runs, [1..7, 11..17]);
        han_runs("", |_| panic!("an empty text has no run"));
    }
}
