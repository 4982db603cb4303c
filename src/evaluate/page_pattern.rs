//! A pattern for the engine of a browser.
//!
//! JavaScript has other rules: no flags inside an expression, no possessive repetitions, and classes by the version of
//! Unicode that the browser has. So each class is written out as the ranges it has here, with both cases where case does
//! not matter; `x++` becomes `(?=(?<p1>x+))\k<p1>`, which gives back nothing either; and what has no counterpart (words'
//! edges, flags for lines, references) makes the pattern one that a page cannot have.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, HirKind};
use rustc_hash::FxHashMap;
use serde::Serialize;

/// Classes of characters, each as the first and the last character of each range.
#[derive(Debug, Default)]
pub(super) struct Sets {
    pub(super) all: Vec<Vec<u32>>,
    known: FxHashMap<Vec<u32>, usize>,
}

impl Sets {
    /// The place of a set.
    pub(super) fn place(&mut self, ranges: Vec<u32>) -> usize {
        *self.known.entry(ranges).or_insert_with_key(|ranges| {
            self.all.push(ranges.clone());
            self.all.len() - 1
        })
    }
}

/// A part of an expression: as it stands there, or a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Part {
    Source(String),
    Set(usize),
}

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    folds_case: bool,
    dot_is_all: bool,
}

/// A group that is open.
struct Group {
    start: usize,
    flags: Flags,
    is_atomic: bool,
}

struct Translation<'r, 's> {
    rest: &'r str,
    out: Vec<Part>,
    sets: &'s mut Sets,
    flags: Flags,
    groups: Vec<Group>,
    possessive: usize,
    /// Where the last thing that can be repeated begins.
    atom: Option<usize>,
}

/// The pattern in parts, for JavaScript with its flag `u`; `None` where it has no counterpart.
pub(super) fn to_javascript(regex: &str, sets: &mut Sets) -> Option<Vec<Part>> {
    let mut translation = Translation {
        rest: regex,
        out: Vec::new(),
        sets,
        flags: Flags::default(),
        groups: Vec::new(),
        possessive: 0,
        atom: None,
    };
    while !translation.rest.is_empty() {
        translation.step()?;
    }
    translation.groups.is_empty().then_some(translation.out)
}

impl Translation<'_, '_> {
    fn step(&mut self) -> Option<()> {
        let first = self.rest.chars().next()?;
        match first {
            '(' => self.open(),
            ')' => self.close(),
            '*' | '+' | '?' => self.repeat(1),
            '{' => self.repeat(self.rest.find('}')? + 1),
            '[' => self.class(class_length(self.rest)?),
            '\\' => self.escape(),
            '.' if self.flags.dot_is_all => self.class_of("(?s:.)", 1),
            '.' => self.class_of(".", 1),
            '|' | '^' | '$' => {
                self.source(&first.to_string(), 1);
                self.atom = None;
                Some(())
            }
            c => self.class(c.len_utf8()),
        }
    }

    fn source(&mut self, text: &str, taken: usize) {
        self.out.push(Part::Source(text.to_owned()));
        self.rest = &self.rest[taken..];
    }

    fn open(&mut self) -> Option<()> {
        let mut group = Group { start: self.out.len(), flags: self.flags, is_atomic: false };
        for kept in ["(?:", "(?=", "(?!", "(?<=", "(?<!"] {
            if self.rest.starts_with(kept) {
                self.source(kept, kept.len());
                self.groups.push(group);
                self.atom = None;
                return Some(());
            }
        }
        if self.rest.starts_with("(?>") {
            group.is_atomic = true;
            self.source("(?:", 3);
        } else if let Some(flags) = self.rest.strip_prefix("(?") {
            let length = flags.find([':', ')'])?;
            let mut on = true;
            for flag in flags[..length].chars() {
                match flag {
                    '-' => on = false,
                    'i' => self.flags.folds_case = on,
                    's' => self.flags.dot_is_all = on,
                    'u' if on => {}
                    _ => return None,
                }
            }
            if flags[length..].starts_with(')') {
                // For the rest of the group that it stands in.
                self.rest = &flags[length + 1..];
                self.atom = None;
                return Some(());
            }
            self.source("(?:", length + 3);
        } else {
            self.source("(?:", 1);
        }
        self.groups.push(group);
        self.atom = None;
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let Group { start, flags, is_atomic } = self.groups.pop()?;
        self.source(")", 1);
        self.flags = flags;
        if is_atomic {
            self.give_back_nothing(start);
        }
        self.atom = Some(start);
        Some(())
    }

    /// A repetition whose sign has this length.
    fn repeat(&mut self, length: usize) -> Option<()> {
        let atom = self.atom.take()?;
        let sign = &self.rest[..length];
        let is_count =
            |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ',') && text != "," && !text.is_empty();
        if sign.starts_with('{') && !is_count(&sign[1..length - 1]) {
            return None;
        }
        self.source(sign, length);
        if self.rest.starts_with('?') {
            self.source("?", 1);
        } else if self.rest.starts_with('+') {
            self.rest = &self.rest[1..];
            self.give_back_nothing(atom);
        }
        Some(())
    }

    /// Makes what begins there match once or not at all: a look-ahead is never entered again.
    fn give_back_nothing(&mut self, start: usize) {
        self.possessive += 1;
        let name = format!("p{}", self.possessive);
        self.out.insert(start, Part::Source(format!("(?=(?<{name}>")));
        self.out.push(Part::Source(format!("))\\k<{name}>")));
        let all: Vec<Part> = self.out.drain(start..).collect();
        self.out.push(Part::Source("(?:".to_owned()));
        self.out.extend(all);
        self.out.push(Part::Source(")".to_owned()));
    }

    fn escape(&mut self) -> Option<()> {
        let kind = self.rest[1..].chars().next()?;
        let braced = |rest: &str| if rest[2..].starts_with('{') { Some(rest.find('}')? + 1) } else { None };
        match kind {
            'A' | 'z' => {
                self.source(if kind == 'A' { "^" } else { "$" }, 2);
                self.atom = None;
                Some(())
            }
            'p' | 'P' => self.class(braced(self.rest).unwrap_or(3)),
            'x' => self.class(braced(self.rest).unwrap_or(4)),
            'u' => self.class(braced(self.rest).unwrap_or(6)),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 'r' | 't' | 'f' | 'v' | 'a' => self.class(2),
            c if c.is_ascii_punctuation() || c == ' ' => self.class(1 + c.len_utf8()),
            _ => None,
        }
    }

    /// A class, an escape, or a character, of this length.
    fn class(&mut self, length: usize) -> Option<()> {
        let source = self.rest.get(..length)?;
        self.class_of(source, length)
    }

    fn class_of(&mut self, source: &str, taken: usize) -> Option<()> {
        let ranges = ranges(source, self.flags.folds_case)?;
        self.atom = Some(self.out.len());
        let part = match ranges[..] {
            // One character needs no class.
            [c, end] if c == end => Part::Source(format!("\\u{{{c:x}}}")),
            _ => Part::Set(self.sets.place(ranges)),
        };
        self.out.push(part);
        self.rest = &self.rest[taken..];
        Some(())
    }
}

/// The ranges of a class, an escape, or a character.
fn ranges(source: &str, folds_case: bool) -> Option<Vec<u32>> {
    let hir = ParserBuilder::new().case_insensitive(folds_case).build().parse(source).ok()?;
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            Some(class.ranges().iter().flat_map(|range| [range.start() as u32, range.end() as u32]).collect())
        }
        HirKind::Literal(literal) => {
            let mut characters = std::str::from_utf8(&literal.0).ok()?.chars();
            let c = characters.next().filter(|_| characters.as_str().is_empty())? as u32;
            Some(vec![c, c])
        }
        _ => None,
    }
}

/// The length of the class that a text begins with, classes in it among it.
fn class_length(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        at += c.len_utf8();
        match c {
            '\\' => at += text[at..].chars().next()?.len_utf8(),
            '[' => {
                depth += 1;
                at += usize::from(text[at..].starts_with('^'));
                // There it stands for itself.
                at += usize::from(text[at..].starts_with(']'));
            }
            ']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::NAMED_PATTERNS;

    /// With each set as its number in angle brackets.
    fn shown(regex: &str) -> Option<(String, Vec<Vec<u32>>)> {
        let mut sets = Sets::default();
        let parts = to_javascript(regex, &mut sets)?;
        let shown = parts.iter().map(|part| match part {
            Part::Source(source) => source.clone(),
            Part::Set(set) => format!("<{set}>"),
        });
        Some((shown.collect(), sets.all))
    }

    #[test]
    fn what_is_written_otherwise() {
        let source = |regex: &str| shown(regex).unwrap().0;
        assert_eq!(source("a|(b)+?$"), r"\u{61}|(?:\u{62})+?$");
        assert_eq!(source("[0-9]{1,3}+"), r"(?:(?=(?<p1><0>{1,3}))\k<p1>)");
        assert_eq!(source("(?>a(?:b++)?)c"), r"(?:(?=(?<p2>(?:\u{61}(?:(?:(?=(?<p1>\u{62}+))\k<p1>))?)))\k<p2>)\u{63}");
        assert_eq!(source(r"\s+(?!\S)"), "<0>+(?!<1>)");
        assert_eq!(source(r"\A\.\z"), r"^\u{2e}$");
        assert_eq!(
            shown("(?i:'s)s").unwrap(),
            (r"(?:\u{27}<0>)\u{73}".to_owned(), vec![vec![83, 83, 115, 115, 383, 383]])
        );
        assert_eq!(shown("(?s).[a-c&&[^b]]").unwrap().1, [vec![0, 0x10FFFF], vec![97, 97, 99, 99]]);
        assert_eq!(shown("[]a][^]a]").unwrap().1[0], [93, 93, 97, 97]);
        // The same class is there once.
        assert_eq!(shown(r"\p{Han}[\p{Han}]").unwrap().1.len(), 1);
    }

    #[test]
    fn what_a_page_cannot_have() {
        for regex in [r"\bword\b", "(?m:^)a", r"(a)\1", "(?x) a", "a{,}", "(", "[a", "*", r"\G", "(?<name>a)"] {
            assert_eq!(shown(regex), None, "{regex}");
        }
        assert!(NAMED_PATTERNS.iter().all(|(_, regex)| shown(regex).is_some()));
    }
}
