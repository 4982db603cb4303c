//! What a normalizer does to a text.

use std::borrow::Cow;
use std::sync::LazyLock;

use unicode_normalization::{
    IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick,
};

use super::aligned::{Aligned, Replaced as AlignedReplaced, Transform};
use super::forms::for_each_change;
use crate::error::{Error, Result};
use crate::segment::Matches;
use crate::vocab::{NormalizerStep, ReplacePattern};

/// The steps of a normalizer, ready to run.
#[derive(Debug)]
pub(super) struct Normalizer(Vec<Step>);

#[derive(Debug)]
pub(super) enum Step {
    Form(Form),
    Lowercase,
    Strip { left: bool, right: bool },
    Prepend(String),
    Replace { from: String, to: String },
    ReplaceMatches { matches: Matches, to: String },
}

/// A normal form of Unicode.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
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

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The text behind all steps. `goes_on` says that it is the rest of another: nothing is put before it, and nothing at
    /// its beginning taken away.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern gives up, [`Error::Limit`] for a text that becomes much longer.
    pub(super) fn run<'t>(&self, text: &'t str, goes_on: bool) -> Result<Cow<'t, str>> {
        let limit = GROWTH * text.len() + SPARE;
        let mut text = Cow::Borrowed(text);
        for step in &self.0 {
            // What a step leaves as it is stays borrowed.
            let changed = match step.run(&text, goes_on, limit)? {
                Cow::Borrowed(same) if same.len() == text.len() => continue,
                changed => changed.into_owned(),
            };
            check_growth(changed.len(), limit)?;
            text = Cow::Owned(changed);
        }
        Ok(text)
    }

    /// The same with the place of each byte in `text`.
    ///
    /// # Errors
    ///
    /// Those of [`Normalizer::run`], and [`Error::Limit`] for a text of 4 GiB or more.
    pub(super) fn run_aligned(&self, text: &str) -> Result<Aligned> {
        let limit = GROWTH * text.len() + SPARE;
        let mut aligned = Aligned::new(text)?;
        for step in &self.0 {
            step.run_aligned(&mut aligned, limit)?;
            check_growth(aligned.text().len(), limit)?;
        }
        Ok(aligned)
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
    fn run<'t>(&self, text: &'t str, goes_on: bool, limit: usize) -> Result<Cow<'t, str>> {
        Ok(match self {
            Self::Form(form) => form.run(text),
            Self::Lowercase => text.chars().flat_map(char::to_lowercase).collect::<String>().into(),
            Self::Strip { left, right } => {
                let text = if *left && !goes_on { text.trim_start() } else { text };
                (if *right { text.trim_end() } else { text }).into()
            }
            Self::Prepend(_) if goes_on || text.is_empty() => text.into(),
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

impl Step {
    /// The same for a text with places.
    fn run_aligned(&self, text: &mut Aligned, limit: usize) -> Result<()> {
        match self {
            Self::Form(form) => form.run_aligned(text),
            Self::Lowercase => {
                let old = std::mem::take(text);
                let mut transform = Transform::new(&old);
                for c in old.text().chars() {
                    c.to_lowercase().zip([0, 1, 1]).for_each(|(c, change)| transform.push(c, change));
                }
                *text = transform.finish();
            }
            Self::Strip { left, right } => {
                let whole = text.text();
                let start = if *left { whole.len() - whole.trim_start().len() } else { 0 };
                let end = if *right { whole.trim_end().len().max(start) } else { whole.len() };
                *text = text.slice(start..end);
            }
            Self::Prepend(before) => text.prepend(before),
            Self::Replace { from, to } => {
                let mut replaced = AlignedReplaced::new(text, to, limit);
                text.text().match_indices(from).for_each(|(start, found)| replaced.found(start, start + found.len()));
                *text = replaced.finish();
            }
            Self::ReplaceMatches { matches, to } => {
                let mut replaced = AlignedReplaced::new(text, to, limit);
                matches.for_each(text.text(), |start, end| replaced.found(start, end))?;
                *text = replaced.finish();
            }
        }
        Ok(())
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
    pub(super) fn run(self, text: &str) -> Cow<'_, str> {
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

    fn run_aligned(self, text: &mut Aligned) {
        if text.text().is_ascii() || self.is_sure(text.text()) {
            return;
        }
        let old = std::mem::take(text);
        let (mut transform, mut done) = (Transform::new(&old), 0);
        let whole = old.text();
        for newer in NEWER.find_iter(whole) {
            for_each_change(self, &whole[done..newer.start()], &mut |c, change| transform.push(c, change));
            newer.as_str().chars().for_each(|c| transform.push(c, 0));
            done = newer.end();
        }
        for_each_change(self, &whole[done..], &mut |c, change| transform.push(c, change));
        *text = transform.finish();
    }

    /// Whether it joins characters.
    pub(super) fn composes(self) -> bool {
        matches!(self, Self::Nfc | Self::Nfkc)
    }

    /// Whether it takes characters for others that mean the same.
    pub(super) fn is_compatible(self) -> bool {
        matches!(self, Self::Nfkc | Self::Nfkd)
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
    use proptest::prelude::*;

    fn run(steps: &[NormalizerStep], text: &str) -> String {
        Normalizer::new(steps).unwrap().run(text, false).unwrap().into_owned()
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

    /// Characters that some form takes apart, joins or puts in another order.
    const MARKS: &str = "[ae\u{301}\u{323}éậﬁİ가ᄀ\u{1161}\u{11a8}１ 　\u{1E2AE}]{0,12}";

    fn step() -> impl Strategy<Value = NormalizerStep> {
        let replace = |regex, content: &str| {
            let pattern = if regex {
                ReplacePattern::Regex("\\s+|^.".to_owned())
            } else {
                ReplacePattern::String("a".to_owned())
            };
            NormalizerStep::Replace { pattern, content: content.to_owned() }
        };
        prop_oneof![
            prop::sample::select(vec![
                NormalizerStep::Nfc,
                NormalizerStep::Nfd,
                NormalizerStep::Nfkc,
                NormalizerStep::Nfkd,
                NormalizerStep::Lowercase,
                NormalizerStep::Prepend { prepend: "▁".to_owned() },
            ]),
            any::<[bool; 2]>().prop_map(|[left, right]| NormalizerStep::Strip { strip_left: left, strip_right: right }),
            (any::<bool>(), "[a▁]{0,3}").prop_map(move |(regex, content)| replace(regex, &content)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// The same text with and without places, whose characters never go back.
        #[test]
        fn places_change_nothing(
            steps in prop::collection::vec(step(), 0..5),
            text in prop_oneof![crate::segment::hostile(), MARKS, any::<String>()],
        ) {
            let normalizer = Normalizer::new(&steps).unwrap();
            let aligned = normalizer.run_aligned(&text).unwrap();
            prop_assert_eq!(&normalizer.run(&text, false).unwrap(), aligned.text());
            let places = aligned.places(0);
            let mut last = 0..0;
            for at in 0..aligned.text().len() {
                let place = super::super::whole_characters(&text, places.of(at..at + 1));
                prop_assert!(last.start <= place.start && last.end <= place.end && place.start <= place.end);
                last = place;
            }
            prop_assert!(last.end <= text.len());
        }
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
