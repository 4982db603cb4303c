//! What in a vocabulary may do harm, with examples.
//!
//! None of it makes a tokenizer wrong. Tokens that no text comes to are never trained (Land and Bartolo 2024, "Fishing for
//! Magikarp"); tokens that reach over the edge of a character end texts that are none (Jang et al. 2024); long Chinese tokens
//! that are whole sentences are what web pages repeat, advertisements and worse, and stand for a place where a model knows
//! little; ordinary tokens that look like special ones let text speak as a prompt's frame. Duplicates by a space or by case are
//! what byte-level merges do everywhere, so they are told and are no ground to refuse.

use std::collections::HashSet;

use serde::Serialize;

use super::vocabulary::{SHOWN, TokenAudit, TokenClass};
use crate::encode::Tokenizer;
use crate::vocab::{TokenId, escape_token};

/// Chinese tokens of so many characters are looked at by people.
const LONG_HAN: usize = 6;

/// What may do harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// No text comes to the token.
    Unreachable,
    /// Bytes that reach over the edge of a character.
    AcrossCharacters,
    /// A Chinese token of six characters or more.
    LongHan,
    /// An ordinary token that looks like a special one, as `<|user|>` or `[INST]`.
    SpecialLookAlike,
    /// A token that differs from another by a space before it.
    SpaceDuplicate,
    /// A token that differs from another by capitals.
    CaseDuplicate,
    /// A learned token that the given texts do not use.
    NeverUsed,
}

impl FindingKind {
    /// Whether a strict audit fails for it.
    #[must_use]
    pub fn is_strict(self) -> bool {
        !matches!(self, Self::SpaceDuplicate | Self::CaseDuplicate)
    }
}

/// Tokens of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What they are.
    pub kind: FindingKind,
    /// How many.
    pub tokens: u64,
    /// The first of them; of long ones the longest.
    pub examples: Vec<TokenAudit>,
}

/// What is found in a vocabulary, kinds without tokens left out. `unreachable` are those that no text comes to.
pub(super) fn findings(tokenizer: &Tokenizer, unreachable: &[TokenId]) -> Vec<Finding> {
    let ordinary: Vec<(TokenId, &[u8])> = (0..tokenizer.spec().vocab_size())
        .filter(|id| tokenizer.spec().added_token(*id).is_none())
        .filter_map(|id| Some((id, tokenizer.token_bytes(id)?)))
        .collect();
    let ids = |wanted: &dyn Fn(&[u8]) -> bool| -> Vec<TokenId> {
        ordinary.iter().filter(|(_, bytes)| wanted(bytes)).map(|(id, _)| *id).collect()
    };
    let of_text = |wanted: fn(&str) -> bool| move |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(wanted);
    let known: HashSet<&[u8]> = ordinary.iter().map(|(_, bytes)| *bytes).collect();
    let mut long = ids(&of_text(is_long_han));
    long.sort_by_key(|id| (std::cmp::Reverse(tokenizer.token_bytes(*id).map_or(0, <[u8]>::len)), *id));
    let spaced = ids(&|bytes| {
        let bare = bytes.strip_prefix(b" ").filter(|bare| bare.iter().any(|byte| *byte != b' '));
        bare.is_some_and(|bare| known.contains(bare))
    });
    // Single bytes are in every vocabulary.
    let capital = ids(&|bytes| {
        let lower = std::str::from_utf8(bytes).map(str::to_lowercase);
        bytes.len() > 1 && lower.is_ok_and(|lower| lower.as_bytes() != bytes && known.contains(lower.as_bytes()))
    });
    let kinds = [
        (FindingKind::Unreachable, unreachable.to_vec()),
        (FindingKind::AcrossCharacters, ids(&|bytes| TokenClass::of(bytes) == TokenClass::Crossing)),
        (FindingKind::LongHan, long),
        (FindingKind::SpecialLookAlike, ids(&of_text(looks_special))),
        (FindingKind::SpaceDuplicate, spaced),
        (FindingKind::CaseDuplicate, capital),
    ];
    kinds.into_iter().filter_map(|(kind, ids)| finding(tokenizer, kind, &ids)).collect()
}

/// A finding of these tokens; none of no tokens.
pub(super) fn finding(tokenizer: &Tokenizer, kind: FindingKind, ids: &[TokenId]) -> Option<Finding> {
    let show = |id: &TokenId| {
        let bytes = tokenizer.token_bytes(*id).unwrap_or_default();
        TokenAudit { id: *id, token: escape_token(bytes) }
    };
    let examples = ids.iter().take(SHOWN).map(show).collect();
    (!ids.is_empty()).then_some(Finding { kind, tokens: ids.len() as u64, examples })
}

/// Chinese characters in a row, perhaps behind a space or a mark: `_日本毛片免费视频观看` is one.
fn is_long_han(token: &str) -> bool {
    token.chars().filter(|c| crate::segment::is_han(*c)).count() >= LONG_HAN
}

/// Names of special tokens that stand between angle brackets alone, as tags of HTML do.
const KNOWN: [&str; 16] = [
    "s",
    "pad",
    "unk",
    "bos",
    "eos",
    "mask",
    "sep",
    "cls",
    "user",
    "assistant",
    "system",
    "think",
    "tool",
    "bot",
    "eod",
    "start_of_turn",
];

/// `<|name|>`, `<<NAME>>`, `[NAME]`, and `<name>` for some names; each perhaps with a `/` before the name, or behind a space.
fn looks_special(token: &str) -> bool {
    let token = token.trim_start_matches(' ');
    let between = |open: &str, close: &str| {
        let inside = token.strip_prefix(open)?.strip_suffix(close)?;
        Some(inside.strip_prefix('/').unwrap_or(inside))
    };
    let is_name = |name: &str| {
        name.chars().any(char::is_alphabetic) && name.chars().all(|c| c.is_alphanumeric() || "_-▁".contains(c))
    };
    let is_capitals = |name: &str| is_name(name) && !name.contains(char::is_lowercase);
    [("<|", "|>"), ("<｜", "｜>")].into_iter().any(|(open, close)| between(open, close).is_some_and(is_name))
        || between("<<", ">>").is_some_and(is_capitals)
        || between("[", "]").is_some_and(|name| is_capitals(name) && name.len() > 2)
        || between("<", ">").is_some_and(|name| KNOWN.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_special() {
        for token in
            ["<|endoftext|>", "<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", " <|im_start|>", "<｜end▁of▁sentence｜>"]
        {
            assert!(looks_special(token), "{token}");
        }
        for token in ["<", "<>", "<|", "a<s>", "[1]", "[i]", "[A]", "<-", "->", "< s >", "<div>", "</b>", "词元", "<=>"]
        {
            assert!(!looks_special(token), "{token}");
        }
    }

    #[test]
    fn long_tokens() {
        assert!(is_long_han("_日本毛片免费视频观看") && is_long_han("习近平新时代"));
        assert!(!is_long_han("自然语言处") && !is_long_han("internationalization"));
    }
}
