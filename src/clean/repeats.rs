//! How much of a text is repetition: of lines, and of runs of characters.

use std::collections::HashSet;

/// Characters of a run. Gopher looks at runs of up to ten words; ten characters are some five words of Chinese.
const RUN: usize = 10;

/// The share of lines that are the same as an earlier one, among those that are not blank; white space at their ends does
/// not tell them apart.
pub(super) fn repeated_lines(text: &str) -> f64 {
    let (mut seen, mut lines, mut repeated) = (HashSet::new(), 0u64, 0u64);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        lines += 1;
        repeated += u64::from(!seen.insert(line));
    }
    repeated as f64 / lines.max(1) as f64
}

/// The share of characters that lie in a run of ten which stands earlier in the text, too (it may overlap); white space
/// does not count.
pub(super) fn repeated_ngrams(text: &str) -> f64 {
    let (characters, ends) = visible(text);
    if ends.len() < RUN {
        return 0.0;
    }
    let mut seen = HashSet::with_capacity(ends.len());
    let (mut covered, mut until) = (0, 0);
    for start in 0..=ends.len() - RUN {
        let from = if start == 0 { 0 } else { ends[start - 1] };
        if !seen.insert(&characters[from..ends[start + RUN - 1]]) {
            // What the last run covered is not counted again.
            covered += start + RUN - until.max(start);
            until = start + RUN;
        }
    }
    covered as f64 / ends.len() as f64
}

/// The text without white space, and where its characters end.
fn visible(text: &str) -> (String, Vec<usize>) {
    let (mut characters, mut ends) = (String::with_capacity(text.len()), Vec::new());
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        characters.push(c);
        ends.push(characters.len());
    }
    (characters, ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines() {
        assert_eq!(repeated_lines("一\n 一 \r\n\n二\n一"), 0.5);
        assert_eq!((repeated_lines(""), repeated_lines("一\n\n二\n\n")), (0.0, 0.0));
    }

    #[test]
    fn runs() {
        assert_eq!(repeated_ngrams(&"啊".repeat(10)), 0.0);
        assert_eq!(repeated_ngrams(&"啊".repeat(11)), 10.0 / 11.0);
        assert_eq!(repeated_ngrams("一二三四五六七八九十 零 一二三四五六七八九十"), 10.0 / 21.0);
        assert_eq!(repeated_ngrams("词元"), 0.0);
    }

    /// Marks every character of every run that was there before.
    fn plainly(text: &str) -> f64 {
        let characters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut marked = vec![false; characters.len()];
        for start in 0..characters.len().saturating_sub(RUN - 1) {
            let run = &characters[start..start + RUN];
            if (0..start).any(|before| &characters[before..before + RUN] == run) {
                marked[start..start + RUN].fill(true);
            }
        }
        marked.iter().filter(|is| **is).count() as f64 / characters.len().max(1) as f64
    }

    proptest! {
        #[test]
        fn runs_as_marked_one_by_one(text in "[ab词 ]{0,80}|(词元abcdefghij){0,4}[a-d]{0,9}") {
            prop_assert_eq!(repeated_ngrams(&text), plainly(&text));
        }
    }
}
