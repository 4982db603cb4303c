//! Han characters: the script property, and the runs of it in a text.

/// The Unicode version of every table and pattern here: that of regex-syntax 0.8, on which the patterns run.
///
/// It is part of a tokenizer's fingerprint: another version would class some characters otherwise.
pub const UNICODE_VERSION: &str = "16.0.0";

/// `\p{Han}` (Script=Han) of [`UNICODE_VERSION`], compared with the regex engine's own table in the test below.
const HAN: [(u32, u32); 22] = [
    (0x2E80, 0x2E99),
    (0x2E9B, 0x2EF3),
    (0x2F00, 0x2FD5),
    (0x3005, 0x3005),
    (0x3007, 0x3007),
    (0x3021, 0x3029),
    (0x3038, 0x303B),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFA6D),
    (0xFA70, 0xFAD9),
    (0x16FE2, 0x16FE3),
    (0x16FF0, 0x16FF1),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B739),
    (0x2B740, 0x2B81D),
    (0x2B820, 0x2CEA1),
    (0x2CEB0, 0x2EBE0),
    (0x2EBF0, 0x2EE5D),
    (0x2F800, 0x2FA1D),
    (0x30000, 0x3134A),
    (0x31350, 0x323AF),
];

/// Whether `c` is of the script Han.
///
/// ```
/// use ciyuan::segment::is_han;
/// assert!(is_han('词') && is_han('〇') && is_han('𠮷'));
/// assert!(!is_han('，') && !is_han('カ') && !is_han('a'));
/// ```
#[must_use]
pub fn is_han(c: char) -> bool {
    let code = c as u32;
    if (0x4E00..=0x9FFF).contains(&code) {
        return true;
    }
    let next = HAN.partition_point(|&(_, last)| last < code);
    HAN.get(next).is_some_and(|&(first, _)| first <= code)
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
