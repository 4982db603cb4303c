//! What becomes of emoji.
//!
//! An emoji is a character, or several of them: with a colour of skin, of two letters that make a flag, joined to others by
//! U+200D. What counts as one is stated in Unicode's annex 51, section 1.4.9, by the expression below, without characters
//! that are emoji only where a program likes them so (`©`, `#`). A tokenizer is asked for a fixed list, and for what texts hold.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use super::forms::returns;
use super::measures::{Column, Row};
use super::numbers::ends_inside;
use crate::encode::Tokenizer;
use crate::error::Result;

/// Of one character, from the older and the newer ones.
const SINGLE: [&str; 20] = [
    "😀", "😂", "🤣", "😊", "😍", "🙏", "👍", "🎉", "🔥", "💯", "🚀", "✅", "🐶", "🍎", "🏠", "🌙", "🤖", "🥺", "🫠",
    "🪿",
];

/// Of several: presentation, colours of skin, flags, keys, and those joined by U+200D.
const SEQUENCES: [&str; 20] = [
    "❤️",
    "☀️",
    "✌️",
    "👍🏽",
    "👋🏻",
    "🙏🏿",
    "🇨🇳",
    "🇺🇸",
    "🇬🇧",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "1️⃣",
    "#️⃣",
    "👩‍💻",
    "👨‍👩‍👧‍👦",
    "👩🏽‍🚀",
    "🏳️‍🌈",
    "❤️‍🔥",
    "🧑‍🤝‍🧑",
    "🐻‍❄️",
    "🤷‍♀️",
];

static EMOJI: LazyLock<Regex> = LazyLock::new(|| {
    let pictograph = r"[\p{Emoji}--[0-9#*\p{RI}]]";
    let modified = r"(?:\x{FE0F}|\p{Emoji_Modifier}|[\x{E0020}-\x{E007E}]+\x{E007F})";
    let joined = format!(r"(?:\x{{200D}}{pictograph}{modified}*)");
    let regex = format!(
        r"\p{{RI}}\p{{RI}}|[0-9#*]\x{{FE0F}}?\x{{20E3}}|{pictograph}(?:{modified}+{joined}*|{joined}+)|[\p{{Emoji_Presentation}}--\p{{RI}}]"
    );
    Regex::new(&regex).expect("the expression is constant, and a test runs it")
});

/// What a tokenizer makes of a fixed list of emoji, twenty of one character and twenty of several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EmojiReport {
    /// Tokens for each of one character.
    pub tokens_per_emoji: f64,
    /// The share of them that are one token.
    pub kept_whole: f64,
    /// Tokens for each of several characters.
    pub tokens_per_sequence: f64,
    /// The share of them that are one token.
    pub sequences_kept_whole: f64,
    /// The share of all that come back from their ids.
    pub returned: f64,
}

impl EmojiReport {
    /// Asks a tokenizer.
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::encode`].
    pub fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let ask = |list: &[&str]| -> Result<[f64; 3]> {
            let mut sums = [0.0; 3];
            for emoji in list {
                let tokens = tokens(tokenizer, emoji)?;
                sums[0] += tokens as f64;
                sums[1] += f64::from(u8::from(tokens == 1));
                sums[2] += f64::from(u8::from(returns(tokenizer, emoji)?));
            }
            Ok(sums.map(|sum| sum / list.len() as f64))
        };
        let ([per_emoji, whole, back], [per_sequence, whole_sequences, sequences_back]) =
            (ask(&SINGLE)?, ask(&SEQUENCES)?);
        Ok(Self {
            tokens_per_emoji: per_emoji,
            kept_whole: whole,
            tokens_per_sequence: per_sequence,
            sequences_kept_whole: whole_sequences,
            returned: (back + sequences_back) / 2.0,
        })
    }
}

/// Tokens that have a part in a text by itself: a space that is put before it has none.
fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<u64> {
    let (_, places) = tokenizer.encode_with_offsets(text)?;
    Ok(places.iter().filter(|place| !place.is_empty()).count() as u64)
}

/// Sets what the emoji of a text come to; `token_ends` in bytes are known where the text comes back.
pub(super) fn set_emoji(tokenizer: &Tokenizer, text: &str, token_ends: Option<&[u32]>, row: &mut Row) -> Result<()> {
    // Keys like `1️⃣` need more than ASCII, too.
    if text.is_ascii() {
        return Ok(());
    }
    let (mut emoji, mut tokens, mut whole, mut joined, mut returned) = (0, 0, 0, 0, 0);
    for found in EMOJI.find_iter(text) {
        if let Some(token_ends) = token_ends {
            let inside = ends_inside(token_ends, found.start(), found.end()).len() as u64;
            emoji += 1;
            tokens += inside + 1;
            whole += u64::from(inside == 0);
        }
        if found.as_str().contains('\u{200D}') {
            joined += 1;
            returned += u64::from(returns(tokenizer, found.as_str())?);
        }
    }
    row.set(Column::Emoji, emoji);
    row.set(Column::EmojiTokens, tokens);
    row.set(Column::WholeEmoji, whole);
    row.set(Column::JoinedEmoji, joined);
    row.set(Column::JoinedReturned, returned);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::{NormalizerStep, TokenizerSpec};

    fn spec() -> TokenizerSpec {
        TokenizerSpec::from_learned("(?s).+".to_owned(), HanEdges::None, &[], &[]).unwrap()
    }

    #[test]
    fn what_an_emoji_is() {
        for emoji in SINGLE.iter().chain(&SEQUENCES) {
            let text = format!("词{emoji}a{emoji}{emoji}");
            let found: Vec<&str> = EMOJI.find_iter(&text).map(|found| found.as_str()).collect();
            assert_eq!(found, [*emoji; 3]);
        }
        for none in ["©", "™", "#", "*", "12", "词元", "→", "☀", "\u{200D}", "🇨"] {
            assert!(!EMOJI.is_match(none), "{none}");
        }
        assert!(SINGLE.iter().all(|emoji| emoji.chars().count() == 1));
        assert!(SEQUENCES.iter().all(|emoji| emoji.chars().count() > 1));
    }

    #[test]
    fn bytes_alone() {
        let report = EmojiReport::of(&Tokenizer::new(spec()).unwrap()).unwrap();
        // `✅` has three bytes, the others four.
        assert_eq!((report.tokens_per_emoji, report.kept_whole, report.returned), (79.0 / 20.0, 0.0, 1.0));
        let bytes: usize = SEQUENCES.iter().map(|emoji| emoji.len()).sum();
        assert_eq!((report.tokens_per_sequence, report.sequences_kept_whole), (bytes as f64 / 20.0, 0.0));
    }

    #[test]
    fn emoji_of_a_text() {
        use Column::*;
        let row = |tokenizer: &Tokenizer, ends: Option<&[u32]>| {
            let mut row = Row::new();
            set_emoji(tokenizer, "好😀👩‍💻", ends, &mut row).unwrap();
            [Emoji, EmojiTokens, WholeEmoji, JoinedEmoji, JoinedReturned].map(|column| row.get(column))
        };
        let plain = Tokenizer::new(spec()).unwrap();
        // One token for `好😀`, three for the rest of 4, 3 and 4 bytes.
        assert_eq!(row(&plain, Some(&[7, 11, 14, 18])), [2.0, 4.0, 1.0, 1.0, 1.0]);
        let to = String::new();
        let dropping = NormalizerStep::Replace {
            pattern: crate::vocab::ReplacePattern::String("\u{200D}".to_owned()),
            content: to,
        };
        let dropping = Tokenizer::new(spec().with_normalizer(vec![dropping])).unwrap();
        assert_eq!(row(&dropping, None), [0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
