//! The named patterns as settings of one scanner.
//!
//! All of them are made of the same alternatives in the same order: contractions, runs of letters with one mark before
//! them, digits, punctuation with newlines behind it, newlines, white space. [`Rules`] says in which form a pattern has
//! each; the compiler makes one scanner of `scanner.rs` for each implementation.

use super::classes::{OTHER, SPACE, Set};

/// How English contractions (`'s 't 're 've 'm 'll 'd`) are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contractions {
    /// Not at all: an apostrophe is punctuation like any other.
    Unknown,
    /// As a span of their own, in lower case.
    ApartLower,
    /// As a span of their own, in any case; `ſ` (U+017F) is an `s` then.
    Apart,
    /// With the letters before them, in any case.
    WithLetters,
}

/// What a run of punctuation takes along behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    Nothing,
    /// `[\r\n]*`
    Newlines,
    /// `[\r\n/]*`
    NewlinesAndSlashes,
}

/// The alternatives of a pattern.
pub(super) trait Rules {
    /// These stand apart from the rest, before all else.
    const APART: Set = Set::NONE;
    /// Runs of them, in two kinds that stand apart from one another; what is neither is unmatched but as a lead of the
    /// first kind.
    const APART_LETTERS: Set = Self::APART;
    const APART_PUNCTUATION: Set = Set::NONE;
    const CONTRACTIONS: Contractions = Contractions::Apart;
    /// The characters of a run of letters.
    const LETTERS: Set = Set::LETTERS;
    /// A run of letters ends before upper case behind lower case: `X*Y+|X+Y*`, X all but `\p{Ll}`, Y all but `\p{Lu}`
    /// and `\p{Lt}`.
    const CASED: bool = false;
    /// One of these may lead a run of letters; `None` for a space only.
    const LEAD: Option<Set> = Some(Set::ALL.without(Set::NEWLINES).without(Set::LETTERS).without(Set::NUMBERS));
    /// The most digits of a span.
    const DIGITS: usize = 3;
    /// Whether a space may lead digits.
    const SPACE_BEFORE_DIGITS: bool = false;
    /// The characters of a run of punctuation, which a space may lead.
    const PUNCTUATION: Set = Set::ALL.without(Set::WHITE_SPACE).without(Set::LETTERS).without(Set::NUMBERS);
    const BEHIND: Behind = Behind::Newlines;
    /// Whether `\s*[\r\n]+` stands before `\s+(?!\S)|\s+`.
    const NEWLINES: bool = true;
    /// Whether `\s+$` stands before both.
    const WHOLE_AT_END: bool = false;
    /// White space is followed by nothing before these: they were taken out of the text by an earlier pattern.
    const END_WHITE_SPACE: Set = Set::NONE;
    /// Whether a mark of ASCII may lead letters of ASCII.
    const MARK_BEFORE_ASCII: bool = false;
    /// What no alternative matches, but as a lead of letters; what of it leads none is a span, in a run.
    const UNMATCHED: Set = Set::NONE;

    /// Whether a contraction may start a span.
    const APOSTROPHE_STARTS: bool = matches!(Self::CONTRACTIONS, Contractions::Apart | Contractions::ApartLower);
    /// Whether a contraction may follow letters.
    const APOSTROPHE_FOLLOWS: bool = matches!(Self::CONTRACTIONS, Contractions::WithLetters);
}

/// `gpt2`
pub(super) struct Gpt2;

impl Rules for Gpt2 {
    const CONTRACTIONS: Contractions = Contractions::ApartLower;
    const LEAD: Option<Set> = None;
    const DIGITS: usize = usize::MAX;
    const SPACE_BEFORE_DIGITS: bool = true;
    const BEHIND: Behind = Behind::Nothing;
    const NEWLINES: bool = false;
}

/// `cl100k` in tokenizer.json files, Llama 3.
pub(super) struct Cl100k;

impl Rules for Cl100k {}

/// `cl100k` in tiktoken.
pub(super) struct Cl100kTiktoken;

impl Rules for Cl100kTiktoken {
    const WHOLE_AT_END: bool = true;
}

/// `qwen2`, and `bailing`, which is written otherwise and cuts the same.
pub(super) struct Qwen2;

impl Rules for Qwen2 {
    const DIGITS: usize = 1;
}

/// `qwen3.5`
pub(super) struct Qwen35;

impl Rules for Qwen35 {
    const LETTERS: Set = Set::LETTERS.and(Set::MARKS);
    const DIGITS: usize = 1;
    const PUNCTUATION: Set = Cl100k::PUNCTUATION.without(Set::MARKS);
}

/// `seed-coder`
pub(super) struct SeedCoder;

impl Rules for SeedCoder {
    const DIGITS: usize = 1;
    const BEHIND: Behind = Behind::Nothing;
}

/// `o200k`
pub(super) struct O200k;

impl Rules for O200k {
    const CONTRACTIONS: Contractions = Contractions::WithLetters;
    const LETTERS: Set = Set::LETTERS.and(Set::MARKS);
    const CASED: bool = true;
    const BEHIND: Behind = Behind::NewlinesAndSlashes;
}

/// `ciyuan` and `kimi-k2`
pub(super) struct Ciyuan;

impl Rules for Ciyuan {
    const APART: Set = Set::HAN;
    const CONTRACTIONS: Contractions = Contractions::WithLetters;
    const LETTERS: Set = O200k::LETTERS.without(Set::HAN);
    const CASED: bool = true;
}

/// `deepseek-v3`
pub(super) struct DeepSeekV3;

impl Rules for DeepSeekV3 {
    const APART: Set = Set::IDEOGRAPHS_AND_KANA;
    const APART_LETTERS: Set = Set::IDEOGRAPH_AND_KANA_LETTERS;
    const APART_PUNCTUATION: Set = Set::KANA_PUNCTUATION;
    const CONTRACTIONS: Contractions = Contractions::Unknown;
    const LETTERS: Set = Set::LETTERS.and(Set::MARKS).without(Self::APART);
    const LEAD: Option<Set> = Some(Set::of(&[SPACE, OTHER]));
    const PUNCTUATION: Set = Set::PUNCTUATION.without(Self::APART);
    const END_WHITE_SPACE: Set = Set::NUMBERS.and(Self::APART);
    const MARK_BEFORE_ASCII: bool = true;
    const UNMATCHED: Set = Set::of(&[OTHER]);
}

#[cfg(test)]
mod tests {
    use super::super::classes::{HAN_LETTER, HAN_MARK, HAN_NUMBER, IDEOGRAPH, LOWER, UPPER};
    use super::*;

    #[test]
    fn han_is_out_of_the_letters_of_the_default() {
        for class in [IDEOGRAPH, HAN_LETTER, HAN_MARK, HAN_NUMBER] {
            assert!(Ciyuan::APART.has(class) && !Ciyuan::LETTERS.has(class));
        }
        assert!(Ciyuan::LETTERS.has(UPPER) && Ciyuan::LETTERS.has(LOWER));
    }
}
