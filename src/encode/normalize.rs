//! What a normalizer does to a text.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use crate::error::{Error, Result};
use crate::segment::Matches;
use crate::vocab::{NormalizerStep, ReplacePattern};

/// The steps of a normalizer, ready to run.
#[derive(Debug)]
pub(super) struct Normalizer(Vec<Step>);

#[derive(Debug)]
enum Step {
    Form(Form),
    Lowercase,
    Strip { left: bool, right: bool },
    Prepend(String),
    Replace { from: String, to: String },
    ReplaceMatches { matches: Matches, to: String },
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// How many bytes a normalizer may make of one, and besides; the forms of Unicode make up to 11.
const GROWTH: usize = 64;
const SPARE: usize = 1 << 16;

/// Characters that the tables of the reference do not know: to it they have no parts, join nothing and change places
/// with nothing. Of all others the forms never change.
static NEWER: LazyLock<regex::Regex> =
    LazyLock::new(|| regex::Regex::new(r"[^\p{age:9.0}]+").expect("the expression is constant, and a test runs it"));

impl Normalizer {
    /// # Errors
    ///
    /// [`Error::Pattern`] for a regular expression that does not compile.
    pub(super) fn new(steps: &[NormalizerStep]) -> Result<Self> {
        let step = |step: &NormalizerStep| {
            Ok(match step {
                NormalizerStep::Nfc => Step::Form(Form::Nfc),
                NormalizerStep::Nfd => Step::Form(Form::Nfd),
                NormalizerStep::Nfkc => Step::Form(Form::Nfkc),
                NormalizerStep::Nfkd => Step::Form(Form::Nfkd),
                NormalizerStep::Lowercase => Step::Lowercase,
                NormalizerStep::Strip { strip_left, strip_right } => {
                    Step::Strip { left: *strip_left, right: *strip_right }
                }
                NormalizerStep::Prepend { prepend } => Step::Prepend(prepend.clone()),
                NormalizerStep::Replace { pattern: ReplacePattern::String(from), content } => {
                    Step::Replace { from: from.clone(), to: content.clone() }
                }
                NormalizerStep::Replace { pattern: ReplacePattern::Regex(regex), content } => {
                    Step::ReplaceMatches { matches: Matches::new(regex)?, to: content.clone() }
                }
            })
        };
        Ok(Self(steps.iter().map(step).collect::<Result<_>>()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text behind all steps.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern gives up, [`Error::Limit`] for a text that becomes much longer.
    pub(super) fn run<'t>(&self, text: &'t str) -> Result<Cow<'t, str>> {
        let limit = GROWTH * text.len() + SPARE;
        let mut text = Cow::Borrowed(text);
        for step in &self.0 {
            // What a step leaves as it is stays borrowed.
            let changed = match step.run(&text, limit)? {
                Cow::Borrowed(same) if same.len() == text.len() => continue,
                changed => changed.into_owned(),
            };
            check_growth(changed.len(), limit)?;
            text = Cow::Owned(changed);
        }
        Ok(text)
    }
}

fn check_growth(bytes: usize, limit: usize) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::Limit { what: "the normalized text, in bytes,", value: bytes as u64, max: limit as u64 })
}

impl Step {
    /// A text of more than `limit` bytes may end before it is whole.
    fn run<'t>(&self, text: &'t str, limit: usize) -> Result<Cow<'t, str>> {
        Ok(match self {
            Self::Form(form) => form.run(text),
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            Self::Strip { left, right } => {
                let text = if *left { text.trim_start() } else { text };
                (if *right { text.trim_end() } else { text }).into()
            }
            Self::Prepend(_) if text.is_empty() => text.into(),
            Self::Prepend(before) => [before, text].concat().into(),
            Self::Replace { from, .. } if !text.contains(from) => text.into(),
            Self::Replace { from, to } => {
                let mut replaced = Replaced { text, done: 0, to, limit, out: String::with_capacity(text.len()) };
                text.match_indices(from).for_each(|(start, found)| replaced.found(start, start + found.len()));
                replaced.finish().into()
            }
            Self::ReplaceMatches { matches, to } => {
                let mut replaced = Replaced { text, done: 0, to, limit, out: String::with_capacity(text.len()) };
                matches.for_each(text, |start, end| replaced.found(start, end))?;
                replaced.finish().into()
            }
        })
    }
}

/// A text of which some is replaced.
struct Replaced<'s> {
    text: &'s str,
    done: usize,
    to: &'s str,
    limit: usize,
    out: String,
}

impl Replaced<'_> {
    fn found(&mut self, start: usize, end: usize) {
        if self.out.len() <= self.limit {
            self.out.push_str(&self.text[self.done..start]);
            self.out.push_str(self.to);
        }
        self.done = end;
    }

    fn finish(mut self) -> String {
        self.out.push_str(&self.text[self.done..]);
        self.out
    }
}

impl Form {
    fn run(self, text: &str) -> Cow<'_, str> {
        if text.is_ascii() || self.is_sure(text) {
            return text.into();
        }
        let (mut normalized, mut done) = (String::with_capacity(text.len()), 0);
        for newer in NEWER.find_iter(text) {
            self.push(&text[done..newer.start()], &mut normalized);
            normalized.push_str(newer.as_str());
            done = newer.end();
        }
        self.push(&text[done..], &mut normalized);
        normalized.into()
    }

    /// Whether a look at each character by itself says that the text has this form.
    fn is_sure(self, text: &str) -> bool {
        let quick = match self {
            Self::Nfc => is_nfc_quick(text.chars()),
            Self::Nfd => is_nfd_quick(text.chars()),
            Self::Nfkc => is_nfkc_quick(text.chars()),
            Self::Nfkd => is_nfkd_quick(text.chars()),
        };
        quick == IsNormalized::Yes
    }

    fn push(self, text: &str, normalized: &mut String) {
        match self {
            Self::Nfc => normalized.extend(text.nfc()),
            Self::Nfd => normalized.extend(text.nfd()),
            Self::Nfkc => normalized.extend(text.nfkc()),
            Self::Nfkd => normalized.extend(text.nfkd()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(steps: &[NormalizerStep], text: &str) -> String {
        Normalizer::new(steps).unwrap().run(text).unwrap().into_owned()
    }

    #[test]
    fn each_step() {
        let replace = |pattern, content: &str| NormalizerStep::Replace { pattern, content: content.to_owned() };
        let prepend = NormalizerStep::Prepend { prepend: "▁".to_owned() };
        assert_eq!(run(&[NormalizerStep::Nfc], "e\u{301}中"), "é中");
        assert_eq!(run(&[NormalizerStep::Nfkc], "ﬁ１"), "fi1");
        assert_eq!(run(&[NormalizerStep::Nfd], "é"), "e\u{301}");
        assert_eq!(run(&[NormalizerStep::Lowercase], "ΑΣ İ"), "ας i\u{307}".replace('ς', "σ"));
        assert_eq!(run(&[NormalizerStep::Strip { strip_left: true, strip_right: false }], "\u{3000} a "), "a ");
        assert_eq!(run(std::slice::from_ref(&prepend), ""), "");
        assert_eq!(run(&[prepend, replace(ReplacePattern::String(" ".to_owned()), "▁")], "a  b"), "▁a▁▁b");
        assert_eq!(run(&[replace(ReplacePattern::Regex(" {2,}".to_owned()), "_")], "a  b   "), "a_b_");
        assert_eq!(run(&[], "a"), "a");
    }

    /// A step that only takes away at the ends gives a shorter text, not the same.
    #[test]
    fn what_is_left_is_taken() {
        let strip = NormalizerStep::Strip { strip_left: true, strip_right: true };
        assert_eq!(run(&[strip, NormalizerStep::Prepend { prepend: "_".to_owned() }], " "), "");
    }

    /// U+1E2AE of Unicode 14 is a mark to which the reference is blind, so it stays between others.
    #[test]
    fn newer_characters_are_none_of_the_forms() {
        assert_eq!(run(&[NormalizerStep::Nfc], "a\u{1E2AE}\u{323}"), "a\u{1E2AE}\u{323}");
        assert_eq!(run(&[NormalizerStep::Nfc], "e\u{301}\u{1E2AE}e\u{301}"), "é\u{1E2AE}é");
    }
}
