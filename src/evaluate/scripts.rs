//! What of a text is Chinese, what is in Latin letters, and how many tokens each takes.
//!
//! Each character counts for its script: Han, Latin, another one, or none (white space, digits, punctuation, symbols,
//! combining marks: what Unicode calls Common and Inherited, and what is not assigned). A token counts for the scripts
//! of the characters that its bytes stand in, for each by its share of the token's bytes: `，词` is a half each of
//! none and of Han, and a token that is one byte or two of a Han character counts for Han as a whole. So the tokens of
//! the scripts sum up to the tokens of the text.

use serde::Serialize;

use crate::segment::Script;

/// Figures of one script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScriptReport {
    /// The script.
    pub script: Script,
    /// Its characters.
    pub characters: u64,
    /// Their share of all characters.
    pub character_share: f64,
    /// Their bytes.
    pub bytes: u64,
    /// Tokens that stand for them, in parts where a token stands for characters of several scripts; to three decimals.
    pub tokens: f64,
    /// Bytes for each of these tokens; 0 where there is none.
    pub bytes_per_token: f64,
}

/// Counts characters and tokens by script, text by text.
///
/// ```
/// use ciyuan::evaluate::ScriptCounter;
/// let mut counter = ScriptCounter::default();
/// // Tokens of 2, 4 (the last byte of 词 and 元), and 1 bytes.
/// counter.add("词元a", [2, 4, 1]);
/// let [han, latin, ..] = &counter.report()[..] else { panic!("four scripts") };
/// assert_eq!((han.characters, han.bytes, han.tokens), (2, 6, 2.0));
/// assert_eq!((latin.characters, latin.tokens), (1, 1.0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScriptCounter {
    sums: [Sums; 4],
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    characters: u64,
    bytes: u64,
    tokens: f64,
}

impl ScriptCounter {
    /// Counts a text. `lengths` are the bytes that each of its tokens stands for, in order.
    pub fn add(&mut self, text: &str, lengths: impl IntoIterator<Item = u32>) {
        let mut characters = text.chars();
        // Bytes that are left of the character at hand, and its script.
        let (mut left, mut sums) = (0, 0);
        for length in lengths {
            let mut missing = length as usize;
            while missing > 0 {
                if left == 0 {
                    let Some(c) = characters.next() else { break };
                    (left, sums) = (c.len_utf8(), Script::of(c) as usize);
                    self.sums[sums].characters += 1;
                    self.sums[sums].bytes += left as u64;
                }
                let part = left.min(missing);
                self.sums[sums].tokens += part as f64 / f64::from(length);
                (left, missing) = (left - part, missing - part);
            }
        }
    }

    /// Counts the characters of a text without tokens, and gives their number.
    pub fn add_characters(&mut self, text: &str) -> u64 {
        let mut all = 0;
        for c in text.chars() {
            let sums = &mut self.sums[Script::of(c) as usize];
            sums.characters += 1;
            sums.bytes += c.len_utf8() as u64;
            all += 1;
        }
        all
    }

    /// Adds what another counter has counted, after what this one has.
    pub fn merge(&mut self, other: &Self) {
        for (sums, more) in self.sums.iter_mut().zip(&other.sums) {
            sums.characters += more.characters;
            sums.bytes += more.bytes;
            sums.tokens += more.tokens;
        }
    }

    /// The figures of all scripts so far.
    #[must_use]
    pub fn report(&self) -> Vec<ScriptReport> {
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let all: u64 = self.sums.iter().map(|sums| sums.characters).sum();
        let report = |(script, sums): (Script, &Sums)| ScriptReport {
            script,
            characters: sums.characters,
            character_share: ratio(sums.characters as f64, all as f64),
            bytes: sums.bytes,
            tokens: (sums.tokens * 1e3).round() / 1e3,
            bytes_per_token: ratio(sums.bytes as f64, sums.tokens),
        };
        Script::ALL.into_iter().zip(&self.sums).map(report).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_are_counted_in_parts() {
        let mut counter = ScriptCounter::default();
        // `，词`, the first byte of 元, its others with `a`, ` カ`.
        counter.add("，词元a カ", [6, 1, 3, 4]);
        let tokens: Vec<f64> = counter.report().iter().map(|row| row.tokens).collect();
        let wanted = [0.5 + 1.0 + 2.0 / 3.0, 1.0 / 3.0, 0.75, 0.5 + 0.25];
        assert!(tokens.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 6e-4), "{tokens:?}");
        let none = &counter.report()[3];
        assert_eq!((none.characters, none.bytes, none.character_share), (2, 4, 2.0 / 6.0));
        assert!(ScriptCounter::default().report().iter().all(|row| row.bytes_per_token == 0.0));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_text(text: String, lengths in prop::collection::vec(1u32..9, 0..200)) {
            let (mut lengths, mut sum) = (lengths, 0);
            lengths.retain(|length| { sum += *length as usize; sum <= text.len() });
            let rest = text.len() - lengths.iter().map(|length| *length as usize).sum::<usize>();
            lengths.extend((rest > 0).then_some(rest as u32));
            let mut counter = ScriptCounter::default();
            counter.add(&text, lengths.iter().copied());
            let report = counter.report();
            prop_assert_eq!(report.iter().map(|row| row.bytes).sum::<u64>(), text.len() as u64);
            prop_assert_eq!(report.iter().map(|row| row.characters).sum::<u64>(), text.chars().count() as u64);
            let tokens: f64 = report.iter().map(|row| row.tokens).sum();
            prop_assert!((tokens - lengths.len() as f64).abs() < 2.1e-3);
            // Without tokens, and in two halves.
            let (mut plain, mut rest) = (ScriptCounter::default(), ScriptCounter::default());
            let (head, tail) = text.split_at(text.floor_char_boundary(text.len() / 2));
            let characters = plain.add_characters(head) + rest.add_characters(tail);
            plain.merge(&rest);
            prop_assert_eq!(characters, text.chars().count() as u64);
            for (plain, row) in plain.report().iter().zip(&report) {
                prop_assert_eq!((plain.characters, plain.bytes, plain.tokens), (row.characters, row.bytes, 0.0));
            }
        }
    }
}
