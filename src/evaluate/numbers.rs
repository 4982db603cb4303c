//! How numbers are cut.
//!
//! Arithmetic is learned better where the digits of a number are always grouped alike, and from the right (Singh and Strouse
//! 2024, "Tokenization counts"). A tokenizer is asked for a fixed set of numbers: all of one and two digits, and some
//! hundreds of each length up to eight, by themselves. The numbers of a text are then held against the cut that most
//! numbers of their length get there.

use std::collections::BTreeMap;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::measures::{Column, Row};
use crate::encode::Tokenizer;
use crate::error::Result;

/// Digits of the longest numbers that are asked for.
const LONGEST: usize = 8;
/// Numbers of each length from three digits on.
const ASKED: u64 = 300;

/// How a tokenizer cuts numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberReport {
    /// By which rule all of them are cut, if by one.
    pub grouping: Grouping,
    /// Digits of a whole group, where there is a rule.
    pub width: Option<u32>,
    /// Numbers of one to eight digits.
    pub lengths: Vec<NumberLength>,
}

/// The rule by which numbers are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// A token for each digit.
    SingleDigits,
    /// A token for each number.
    Whole,
    /// Groups of one width, the last of which may be shorter: `123 45`.
    LeftToRight,
    /// Groups of one width, the first of which may be shorter: `12 345`.
    RightToLeft,
    /// Numbers of the same length are cut in different ways, or those of different lengths by different rules.
    Mixed,
}

/// Numbers of one length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberLength {
    /// Their digits.
    pub digits: u32,
    /// How many were asked for.
    pub numbers: u64,
    /// Tokens for each digit, in the mean.
    pub tokens_per_digit: f64,
    /// The digits of each group, as most of them are cut; of two cuts that are as common, the one with the shorter first
    /// group.
    pub commonest: Vec<u32>,
    /// The share of those that are.
    pub share: f64,
}

impl NumberReport {
    /// Asks a tokenizer.
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::encode`].
    pub fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let mut lengths = Vec::new();
        let mut all_cuts: Vec<Vec<u32>> = Vec::new();
        for digits in 1..=LONGEST {
            let mut cuts: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
            for number in numbers(digits) {
                *cuts.entry(groups(tokenizer, &number)?).or_default() += 1;
            }
            lengths.push(NumberLength::of(digits, &cuts));
            all_cuts.extend(cuts.into_keys());
        }
        let (grouping, width) = rule(&all_cuts);
        Ok(Self { grouping, width, lengths })
    }

    /// Sets what the numbers of a text come to, by the ends of its tokens in bytes.
    pub(super) fn set(&self, text: &str, token_ends: &[u32], row: &mut Row) {
        let (mut digits, mut tokens, mut known, mut alike) = (0, 0, 0, 0);
        for (start, end) in digit_runs(text.as_bytes()) {
            let inside = ends_inside(token_ends, start, end);
            digits += (end - start) as u64;
            tokens += inside.len() as u64 + 1;
            if let Some(length) = self.lengths.get(end - start - 1) {
                known += 1;
                alike += u64::from(cut_of(start, end, inside).eq(length.commonest.iter().copied()));
            }
        }
        row.set(Column::Digits, digits);
        row.set(Column::DigitTokens, tokens);
        row.set(Column::Numbers, known);
        row.set(Column::NumbersAlike, alike);
    }
}

impl NumberLength {
    fn of(digits: usize, cuts: &BTreeMap<Vec<u32>, u64>) -> Self {
        let numbers: u64 = cuts.values().sum();
        let tokens: u64 = cuts.iter().map(|(cut, count)| cut.len() as u64 * count).sum();
        // The first of those that are as common.
        let most = cuts.values().copied().max().unwrap_or(0);
        let commonest = cuts.iter().find(|(_, count)| **count == most).map(|(cut, _)| cut.clone());
        Self {
            digits: digits as u32,
            numbers,
            tokens_per_digit: tokens as f64 / (numbers * digits as u64) as f64,
            commonest: commonest.unwrap_or_default(),
            share: most as f64 / numbers as f64,
        }
    }
}

/// The numbers of so many digits that are asked for.
fn numbers(digits: usize) -> impl Iterator<Item = String> {
    let low = if digits == 1 { 0 } else { 10u64.pow(digits as u32 - 1) };
    let range = 10u64.pow(digits as u32) - low;
    let asked = if digits < 3 { range } else { ASKED };
    (0..asked).map(move |at| {
        let number = if digits < 3 { at } else { xxh3_64_with_seed(&at.to_le_bytes(), digits as u64) % range };
        (low + number).to_string()
    })
}

/// The digits of each group of a number by itself.
fn groups(tokenizer: &Tokenizer, number: &str) -> Result<Vec<u32>> {
    let (_, places) = tokenizer.encode_with_offsets(number)?;
    let mut ends: Vec<u32> = places.iter().map(|place| place.end as u32).collect();
    // A space that a tokenizer puts before a text is a token without digits.
    ends.retain(|end| *end > 0 && *end < number.len() as u32);
    ends.dedup();
    Ok(cut_of(0, number.len(), &ends).collect())
}

/// The lengths between a start, the ends inside, and the end.
fn cut_of(start: usize, end: usize, inside: &[u32]) -> impl Iterator<Item = u32> {
    let starts = std::iter::once(start as u32).chain(inside.iter().copied());
    starts.zip(inside.iter().copied().chain([end as u32])).map(|(start, end)| end - start)
}

/// The ends of tokens inside a range of bytes.
pub(super) fn ends_inside(token_ends: &[u32], start: usize, end: usize) -> &[u32] {
    let first = token_ends.partition_point(|at| *at as usize <= start);
    let length = token_ends[first..].iter().take_while(|at| (**at as usize) < end).count();
    &token_ends[first..first + length]
}

/// Runs of ASCII digits.
fn digit_runs(text: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].iter().position(u8::is_ascii_digit)?;
        at = start + text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        Some((start, at))
    })
}

/// The rule that all cuts follow, and its width.
fn rule(cuts: &[Vec<u32>]) -> (Grouping, Option<u32>) {
    for width in 1..=LONGEST as u32 {
        let whole = |groups: &[u32]| groups.iter().all(|group| *group == width);
        let to_the_right = |cut: &Vec<u32>| cut.split_last().is_some_and(|(last, rest)| *last <= width && whole(rest));
        let to_the_left =
            |cut: &Vec<u32>| cut.split_first().is_some_and(|(first, rest)| *first <= width && whole(rest));
        let grouping = match width {
            1 => Grouping::SingleDigits,
            width if width == LONGEST as u32 => Grouping::Whole,
            _ => Grouping::LeftToRight,
        };
        if cuts.iter().all(to_the_right) {
            return (grouping, Some(width));
        }
        if cuts.iter().all(to_the_left) {
            return (Grouping::RightToLeft, Some(width));
        }
    }
    (Grouping::Mixed, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::TokenizerSpec;

    /// Bytes and all pairs of digits, or no pairs, with pre-tokens of this pattern.
    fn tokenizer(pattern: &str, pairs: bool) -> Tokenizer {
        let order = crate::vocab::gpt2_byte_order();
        let byte = |byte: u8| order.iter().position(|other| *other == byte).unwrap() as u32;
        let digits = || (b'0'..=b'9').map(byte);
        let pairs: Vec<(u32, u32)> =
            if pairs { digits().flat_map(|a| digits().map(move |b| (a, b))).collect() } else { Vec::new() };
        Tokenizer::new(TokenizerSpec::from_learned(pattern.to_owned(), HanEdges::None, &pairs, &[]).unwrap()).unwrap()
    }

    fn report(pattern: &str, pairs: bool) -> NumberReport {
        NumberReport::of(&tokenizer(pattern, pairs)).unwrap()
    }

    #[test]
    fn rules() {
        let rule = |pattern, pairs| {
            let report = report(pattern, pairs);
            (report.grouping, report.width)
        };
        assert_eq!(rule("(?s).+", false), (Grouping::SingleDigits, Some(1)));
        assert_eq!(rule("[0-9]{1,2}", true), (Grouping::LeftToRight, Some(2)));
        assert_eq!(rule("[0-9]{1,2}(?=(?:[0-9]{2})*$)", true), (Grouping::RightToLeft, Some(2)));
        assert_eq!(super::rule(&[vec![3], vec![2, 1]]), (Grouping::Mixed, None));
        assert_eq!(super::rule(&[vec![3], vec![8]]), (Grouping::Whole, Some(8)));
        assert_eq!(super::rule(&[vec![3, 3], vec![2, 3]]), (Grouping::RightToLeft, Some(3)));
    }

    #[test]
    fn lengths() {
        let report = report("[0-9]{1,2}", true);
        let NumberLength { digits, numbers, tokens_per_digit, ref commonest, share } = report.lengths[4];
        assert_eq!((digits, numbers, tokens_per_digit, share), (5, ASKED, 0.6, 1.0));
        assert_eq!(commonest, &[2, 2, 1]);
        assert_eq!(report.lengths.iter().map(|one| one.numbers).collect::<Vec<_>>()[..2], [10, 90]);
    }

    #[test]
    fn numbers_of_a_text() {
        let report = report("[0-9]{1,2}", true);
        // `12` and `345` are as they mostly are; of `67` a token ends inside. `123456789` is too long to be known.
        let text = "12年345a67 123456789";
        let mut row = Row::new();
        let ends = [2, 5, 7, 8, 9, 10, 11, 12, 21];
        assert_eq!(text.len(), 21);
        report.set(text, &ends, &mut row);
        let get = [Column::Digits, Column::DigitTokens, Column::Numbers, Column::NumbersAlike].map(|one| row.get(one));
        assert_eq!(get, [16.0, 1.0 + 2.0 + 2.0 + 1.0, 3.0, 2.0]);
        let mut none = Row::new();
        report.set("词", &[3], &mut none);
        assert_eq!(none.get(Column::Digits), 0.0);
    }
}
