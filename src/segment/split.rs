//! One step of a pattern: what it finds in a text, and what becomes of that.
//!
//! Reference: `NormalizedString::split` of Hugging Face's `tokenizers`, whose five behaviours these are.

use super::engine::Engine;
use super::lanes::Instructions;
use super::named::NamedScanner;
use super::oniguruma;
use super::safe_cuts::SafeCuts;
use super::steps::{Behavior, SplitPattern, Step};
use crate::error::Result;

/// A compiled step.
#[derive(Debug, Clone)]
pub(super) struct Split {
    finder: Finder,
    behavior: Behavior,
    invert: bool,
}

#[derive(Debug, Clone)]
enum Finder {
    /// Gives spans, not matches: only for `Isolated`.
    Scanner(NamedScanner),
    Engine(Engine),
}

/// What `Punctuation` takes for it: ASCII signs, and the category P as `unicode_categories` 0.1 has it, the crate which
/// the reference asks; that is Unicode 7, without what was added or changed since.
const PUNCTUATION: &str = concat!(
    r"[[!-/:-@\[-`{-~]\x{166D}\x{111C9}[\p{P}--[\x{61D}\x{9FD}\x{A76}\x{C77}\x{C84}\x{1B4E}\x{1B4F}\x{1B7D}-\x{1B7F}",
    r"\x{2E43}-\x{2E4F}\x{2E52}-\x{2E5D}\x{10D6E}\x{10EAD}\x{10F55}-\x{10F59}\x{10F86}-\x{10F89}\x{113D4}\x{113D5}",
    r"\x{113D7}\x{113D8}\x{1144B}-\x{1144F}\x{1145A}\x{1145B}\x{1145D}\x{11660}-\x{1166C}\x{116B9}\x{1183B}",
    r"\x{11944}-\x{11946}\x{119E2}\x{11A3F}-\x{11A46}\x{11A9A}-\x{11A9C}\x{11A9E}-\x{11AA2}\x{11B00}-\x{11B09}",
    r"\x{11BE1}\x{11C41}-\x{11C45}\x{11C70}\x{11C71}\x{11EF7}\x{11EF8}\x{11F43}-\x{11F4F}\x{11FFF}\x{12FF1}\x{12FF2}",
    r"\x{16D6D}-\x{16D6F}\x{16E97}-\x{16E9A}\x{16FE2}\x{1E5FF}\x{1E95E}\x{1E95F}]]]",
);

/// A part of a text on the way: its end, and whether it is a match, or, behind a step, taken out.
pub(super) type Part = (u32, bool);

/// What [`Split::parts`] works in.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) parts: Vec<Part>,
    ends: Vec<u32>,
}

impl Split {
    /// The step that cuts at each match of a regular expression.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`](crate::Error::Pattern) when it does not compile.
    pub(super) fn isolated(regex: &str) -> Result<Self> {
        let finder = match NamedScanner::of(regex) {
            Some(scanner) => Finder::Scanner(scanner),
            None => Finder::Engine(Engine::new(regex)?),
        };
        Ok(Self { finder, behavior: Behavior::Isolated, invert: false })
    }

    /// Where its texts may be cut, as far as that is known.
    pub(super) fn safe_cuts(&self) -> Option<SafeCuts> {
        match self.finder {
            Finder::Scanner(scanner) if self.is_isolated() => Some(SafeCuts::of(scanner)),
            _ => None,
        }
    }

    /// A step of a file; `None` where it does not cut.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`](crate::Error::Pattern) when its expression does not compile.
    pub(super) fn of_step(step: &Step) -> Result<Option<Self>> {
        let (regex, behavior, invert) = match step {
            Step::Split { pattern: SplitPattern::String(text), behavior, invert } => {
                (regex::escape(text), *behavior, *invert)
            }
            Step::Split { pattern: SplitPattern::Regex(regex), behavior, invert } => {
                (oniguruma::to_rust(regex), *behavior, *invert)
            }
            Step::Digits { individual_digits: true } => (r"\p{N}".to_owned(), Behavior::Isolated, false),
            Step::Digits { individual_digits: false } => (r"\p{N}".to_owned(), Behavior::Contiguous, false),
            Step::Punctuation { behavior } => (PUNCTUATION.to_owned(), *behavior, false),
            Step::Whitespace => (r"\w+|[^\w\s]+".to_owned(), Behavior::Removed, true),
            Step::WhitespaceSplit => (r"\s".to_owned(), Behavior::Removed, false),
            Step::CharDelimiterSplit { delimiter } => (regex::escape(&delimiter.to_string()), Behavior::Removed, false),
            Step::Metaspace { replacement, split: true, .. } => {
                (format!("[ {}]", regex::escape(&replacement.to_string())), Behavior::MergedWithNext, false)
            }
            Step::Metaspace { split: false, .. } | Step::ByteLevel { .. } | Step::Sequence { .. } => return Ok(None),
        };
        if behavior == Behavior::Isolated {
            return Self::isolated(&regex).map(Some);
        }
        Ok(Some(Self { finder: Finder::Engine(Engine::new(&regex)?), behavior, invert }))
    }

    /// Whether it runs in linear time on every text.
    pub(super) fn is_linear(&self) -> bool {
        match &self.finder {
            Finder::Engine(engine) => engine.is_linear(),
            Finder::Scanner(_) => true,
        }
    }

    /// Whether it takes text out.
    pub(super) fn drops_text(&self) -> bool {
        self.behavior == Behavior::Removed
    }

    /// Whether one of our scanners does it.
    #[cfg(test)]
    pub(super) fn has_scanner(&self) -> bool {
        matches!(self.finder, Finder::Scanner(_))
    }

    /// Pushes the end of each span of `text`, for a step that is `Isolated`; nothing else is asked for it.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`](crate::Error::PatternLimit) when a backtracking pattern exceeds its limit.
    pub(super) fn ends(&self, instructions: Instructions, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        match &self.finder {
            Finder::Scanner(scanner) => {
                scanner.spans(instructions, text, ends);
                Ok(())
            }
            Finder::Engine(engine) => engine.spans(text, ends),
        }
    }

    /// Whether [`Split::ends`] says all there is to say.
    pub(super) fn is_isolated(&self) -> bool {
        self.behavior == Behavior::Isolated
    }

    /// Puts the parts of `text` into `scratch`, whose content does not matter before.
    ///
    /// # Errors
    ///
    /// As [`Split::ends`].
    pub(super) fn parts(&self, instructions: Instructions, text: &str, scratch: &mut Scratch) -> Result<()> {
        let Scratch { parts, ends } = scratch;
        parts.clear();
        let engine = match &self.finder {
            Finder::Engine(engine) => engine,
            Finder::Scanner(scanner) => {
                ends.clear();
                scanner.spans(instructions, text, ends);
                parts.extend(ends.iter().map(|end| (*end, false)));
                return Ok(());
            }
        };
        let mut done = 0;
        engine.for_each_match(text, |start, end| {
            if start > done {
                parts.push((start as u32, self.invert));
            }
            parts.push((end as u32, !self.invert));
            done = end;
        })?;
        if done < text.len() {
            parts.push((text.len() as u32, self.invert));
        }
        behave(self.behavior, parts);
        // Matches of nothing have done their part.
        let mut start = 0;
        parts.retain(|(end, _)| std::mem::replace(&mut start, *end) < *end);
        Ok(())
    }
}

/// Joins matches to their neighbours, as the reference does; what is taken out keeps its mark.
fn behave(behavior: Behavior, parts: &mut Vec<Part>) {
    match behavior {
        Behavior::Removed => {}
        Behavior::Isolated => parts.iter_mut().for_each(|part| part.1 = false),
        Behavior::Contiguous => join(parts, |is_match, before| is_match == before),
        Behavior::MergedWithPrevious => join(parts, |is_match, before| is_match && !before),
        Behavior::MergedWithNext => {
            // From the right, a part that joins moves the start of its right neighbour, so its own end goes.
            let mut before = false;
            for at in (0..parts.len()).rev() {
                let is_match = std::mem::replace(&mut parts[at].1, false);
                if is_match && !before && at + 1 < parts.len() {
                    parts[at].1 = true;
                }
                before = is_match;
            }
            parts.retain_mut(|part| !part.1);
        }
    }
}

/// Joins each part to the one before it where `joins` says so of the two.
fn join(parts: &mut Vec<Part>, joins: impl Fn(bool, bool) -> bool) {
    let (mut kept, mut before) = (0, false);
    for at in 0..parts.len() {
        let (end, is_match) = parts[at];
        if kept > 0 && joins(is_match, before) {
            parts[kept - 1].0 = end;
        } else {
            parts[kept] = (end, false);
            kept += 1;
        }
        before = is_match;
    }
    parts.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the reference's own documentation.
    #[test]
    fn five_behaviours() {
        let text = "the-final--countdown";
        for (behavior, wanted) in [
            (Behavior::Removed, vec!["the", "final", "countdown"]),
            (Behavior::Isolated, vec!["the", "-", "final", "-", "-", "countdown"]),
            (Behavior::MergedWithPrevious, vec!["the-", "final-", "-", "countdown"]),
            (Behavior::MergedWithNext, vec!["the", "-final", "-", "-countdown"]),
            (Behavior::Contiguous, vec!["the", "-", "final", "--", "countdown"]),
        ] {
            let step = Step::Split { pattern: SplitPattern::String("-".to_owned()), behavior, invert: false };
            let mut scratch = Scratch::default();
            Split::of_step(&step).unwrap().unwrap().parts(Instructions::best(), text, &mut scratch).unwrap();
            let mut start = 0;
            let pieces = scratch
                .parts
                .iter()
                .map(|(end, out)| (std::mem::replace(&mut start, *end as usize), *end as usize, *out));
            let kept: Vec<&str> = pieces.filter(|(_, _, out)| !out).map(|(start, end, _)| &text[start..end]).collect();
            assert_eq!(kept, wanted, "{behavior:?}");
        }
    }
}
