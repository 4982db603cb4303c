//! Patterns without a scanner of their own, on a regex engine.
//!
//! What `regex` can express runs on it, in linear time. The look-ahead with which nearly all published patterns end,
//! `\s+(?!\S)|\s+`, is the one thing it cannot express; it is done by hand: a white-space run that ends before other
//! text gives its last character back (which then leads the next word), unless it is its only one. Digits in threes
//! from the right, `(?=(\d{3})+(?!\d))` and its like, are done by hand too: an engine looks to the end of a number at
//! each of its digits. All else that `regex` lacks (other look-around, possessive quantifiers, back-references) runs on
//! `fancy-regex` with a limit on its backtracking.

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ast::{self, Ast};

use crate::error::{Error, Result};

/// The endings that are done by hand; both mean the same, as `\s+(?!\S)` fails only on a single character.
const WHITE_SPACE_ENDINGS: [&str; 2] = [r"|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s"];

/// The ways to write digits in threes from the right, `D` for the class of digits: those that match nothing at the edges
/// of threes, and those that match the threes.
const THREES: [(&str, Threes); 5] = [
    (r"(?=(D{3})+(?!D))", Threes::Edges),
    (r"(?=(?:D{3})+(?!D))", Threes::Edges),
    (r"(?=(?:DDD)+(?!D))", Threes::Edges),
    (r"D{1,3}(?=(D{3})*(?!D))", Threes::Groups),
    (r"D{1,3}(?=(?:D{3})*(?!D))", Threes::Groups),
];
const DIGITS: [&str; 4] = [r"\d", r"\p{Nd}", r"\p{N}", "[0-9]"];

/// What the matches of digits in threes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threes {
    /// Nothing, before each three.
    Edges,
    /// Each three, and what is left before the first.
    Groups,
}

/// Backtracking steps allowed for one match of a pattern that `regex` cannot express.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// Memory for a compiled pattern; one that needs more is refused.
pub(super) const SIZE_LIMIT: usize = 10 << 20;

/// Memory for the lazy DFA of one thread; below this the default pattern's states are thrown away and built again on
/// Chinese text.
pub(super) const DFA_CACHE_BYTES: usize = 32 << 20;

/// A regular expression, compiled for the engine that it needs.
#[derive(Debug, Clone)]
pub(super) enum Engine {
    /// Linear time.
    Linear(Box<regex::Regex>),
    /// Linear time, with a white-space ending: pattern 0 is what stands before it, pattern 1 its `\s+`.
    GivesBack(Box<meta::Regex>),
    /// Linear time: digits in threes from the right; the expression is that of a run of digits.
    Threes(Box<regex::Regex>, Threes),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Engine {
    /// # Errors
    ///
    /// [`Error::Pattern`] when the expression does not compile.
    pub(super) fn new(regex: &str) -> Result<Self> {
        match threes(regex).or_else(|| linear(regex)) {
            Some(engine) => Ok(engine),
            None => backtracking(regex),
        }
    }

    /// Whether it runs in linear time on every text.
    pub(super) fn is_linear(&self) -> bool {
        !matches!(self, Self::Backtracking(_))
    }

    /// Pushes the end of each match of `text`, and of each stretch between matches; a match of nothing cuts where it is.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern exceeds its limit.
    pub(super) fn spans(&self, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        let mut done = 0;
        self.for_each_match(text, |start, end| {
            if start > done {
                ends.push(start as u32);
            }
            if end > start {
                ends.push(end as u32);
            }
            done = end;
        })?;
        if done < text.len() {
            ends.push(text.len() as u32);
        }
        Ok(())
    }

    /// Calls `found` with start and end of each match, which may be a match of nothing, but not right behind another.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern exceeds its limit.
    pub(super) fn for_each_match(&self, text: &str, mut found: impl FnMut(usize, usize)) -> Result<()> {
        if let Self::Threes(digits, threes) = self {
            digits.find_iter(text).for_each(|run| threes_of(text, run.range(), *threes, &mut found));
            return Ok(());
        }
        let mut last = None;
        let mut at = 0;
        while at <= text.len() {
            let Some((start, end)) = self.find(text, at)? else {
                break;
            };
            if start < end || last != Some(end) {
                found(start, end);
                last = Some(end);
            }
            // Behind a match of nothing, look on from the next character.
            at = if start < end { end } else { end + text[end..].chars().next().map_or(1, char::len_utf8) };
        }
        Ok(())
    }

    /// The next match at or behind `at`.
    fn find(&self, text: &str, at: usize) -> Result<Option<(usize, usize)>> {
        match self {
            Self::Linear(regex) | Self::Threes(regex, _) => {
                Ok(regex.find_at(text, at).map(|found| (found.start(), found.end())))
            }
            Self::GivesBack(regex) => {
                let Some(found) = regex.find(Input::new(text).range(at..)) else { return Ok(None) };
                let mut end = found.end();
                if found.pattern().as_usize() == 1 && end < text.len() {
                    let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
                    if found.len() > last {
                        end -= last;
                    }
                }
                Ok(Some((found.start(), end)))
            }
            Self::Backtracking(regex) => match regex.find_from_pos(text, at) {
                Ok(found) => Ok(found.map(|found| (found.start(), found.end()))),
                Err(_) => {
                    Err(Error::PatternLimit { pattern: regex.as_str().to_owned(), offset: at, limit: BACKTRACK_LIMIT })
                }
            },
        }
    }
}

/// Calls `found` with the matches inside a run of digits.
fn threes_of(text: &str, run: std::ops::Range<usize>, threes: Threes, found: &mut impl FnMut(usize, usize)) {
    let mut left = text[run.clone()].chars().count();
    let mut start = run.start;
    for (at, _) in text[run.clone()].char_indices() {
        let at = run.start + at;
        if left.is_multiple_of(3) {
            match threes {
                Threes::Edges => found(at, at),
                Threes::Groups if at > start => found(std::mem::replace(&mut start, at), at),
                Threes::Groups => {}
            }
        }
        left -= 1;
    }
    if threes == Threes::Groups {
        found(start, run.end);
    }
}

/// The engine for digits in threes from the right.
fn threes(regex: &str) -> Option<Engine> {
    let ways = DIGITS.iter().flat_map(|digit| THREES.map(|(way, threes)| (digit, way.replace('D', digit), threes)));
    let (digit, _, threes) = ways.into_iter().find(|(_, way, _)| way == regex)?;
    Some(Engine::Threes(Box::new(regex::Regex::new(&format!("{digit}+")).ok()?), threes))
}

/// What stands before the white-space ending of a pattern, where the ending is done by hand.
fn head_of(regex: &str) -> Option<&str> {
    WHITE_SPACE_ENDINGS.iter().find_map(|ending| {
        // A head that parses by itself is balanced, so the ending stands at the top of the alternation.
        let head = regex.strip_suffix(ending)?;
        let traits = Traits::of(head)?;
        (!traits.open_flags && !traits.possessive).then_some(head)
    })
}

/// The expressions that an engine of linear time runs for a pattern: pattern 1 is the `\s+` of a white-space ending.
/// There are none for a pattern that backtracks, or that is done by hand as a whole.
pub(super) fn linear_expressions(regex: &str) -> Option<Vec<&str>> {
    match head_of(regex) {
        _ if threes(regex).is_some() => None,
        Some(head) => Some(vec![head, r"\s+"]),
        None => (!Traits::of(regex)?.possessive).then(|| vec![regex]),
    }
}

/// The engine for a pattern that `regex` can express, but for a white-space ending.
fn linear(regex: &str) -> Option<Engine> {
    if let Some(head) = head_of(regex) {
        let config = meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT)).hybrid_cache_capacity(DFA_CACHE_BYTES);
        let both = meta::Builder::new().configure(config).build_many(&[head, r"\s+"]).ok()?;
        return Some(Engine::GivesBack(Box::new(both)));
    }
    if Traits::of(regex)?.possessive {
        return None;
    }
    let mut builder = regex::RegexBuilder::new(regex);
    Some(Engine::Linear(Box::new(builder.size_limit(SIZE_LIMIT).dfa_size_limit(DFA_CACHE_BYTES).build().ok()?)))
}

/// What keeps a pattern from `regex`, although it would compile there.
#[derive(Default)]
struct Traits {
    /// `x++`: possessive to the engines that patterns are written for, but `(x+)+` to `regex`. The difference is real:
    /// `\p{N}{1,3}+` is at most three digits there, and any number of them here.
    possessive: bool,
    /// `(?i)` to the end of the pattern: it would reach the ending too, and could change its meaning.
    open_flags: bool,
}

impl Traits {
    /// The traits of `regex`; `None` when it does not parse.
    fn of(regex: &str) -> Option<Self> {
        let syntax = ast::parse::Parser::new().parse(regex).ok()?;
        ast::visit(&syntax, Self::default()).ok()
    }
}

impl ast::Visitor for Traits {
    type Output = Self;
    type Err = ();

    fn finish(self) -> std::result::Result<Self, ()> {
        Ok(self)
    }

    fn visit_pre(&mut self, syntax: &Ast) -> std::result::Result<(), ()> {
        match syntax {
            Ast::Repetition(outer) => self.possessive |= matches!(*outer.ast, Ast::Repetition(_)),
            Ast::Flags(_) => self.open_flags = true,
            _ => {}
        }
        Ok(())
    }
}

fn backtracking(regex: &str) -> Result<Engine> {
    let compiled = fancy_regex::RegexBuilder::new(regex).backtrack_limit(BACKTRACK_LIMIT).build();
    let failure = |error: fancy_regex::Error| Error::Pattern { pattern: regex.to_owned(), reason: error.to_string() };
    Ok(Engine::Backtracking(Box::new(compiled.map_err(failure)?)))
}

#[cfg(test)]
mod tests {
    use super::super::NaivePattern;
    use super::super::named::NamedScanner;
    use super::super::testing::hostile;
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn engine(regex: &str) -> Engine {
        Engine::new(regex).unwrap()
    }

    fn pieces<'t>(regex: &str, text: &'t str) -> Vec<&'t str> {
        let (mut ends, mut start) = (Vec::new(), 0);
        engine(regex).spans(text, &mut ends).unwrap();
        ends.iter().map(|&end| &text[std::mem::replace(&mut start, end as usize)..end as usize]).collect()
    }

    #[test]
    fn gaps_and_empty_matches() {
        assert_eq!(pieces(r"\d+", "ab12中3"), ["ab", "12", "中", "3"]);
        assert_eq!(pieces("x*", "a中xxb"), ["a", "中", "xx", "b"]);
        assert_eq!(pieces("q", ""), Vec::<&str>::new());
    }

    #[test]
    fn threes_from_the_right() {
        let text = "1 12 123 1234 1234567 a１２３４５b";
        for digit in [r"\d", r"\p{N}"] {
            for (way, threes) in THREES {
                let regex = way.replace('D', digit);
                assert!(engine(&regex).is_linear(), "{regex}");
                let mut matches = Vec::new();
                engine(&regex).for_each_match(text, |start, end| matches.push((start, end))).unwrap();
                let plain = fancy_regex::Regex::new(&regex).unwrap();
                let plain: Vec<(usize, usize)> = plain
                    .find_iter(text)
                    .map(|found| found.map(|found| (found.start(), found.end())).unwrap())
                    .collect();
                assert_eq!(matches, plain, "{regex}, {threes:?}");
            }
        }
        assert_eq!(pieces(r"(?=(\d{3})+(?!\d))", "ab1234567"), ["ab1", "234", "567"]);
        let million = "7".repeat(1_000_000);
        assert_eq!(pieces(r"(?=(\d{3})+(?!\d))", &million).len(), 333_334);
    }

    #[test]
    fn an_ending_in_a_comment_is_no_ending() {
        let regex = r"(?x)\w+ # |\s+(?!\S)|\s+";
        let mut ends = Vec::new();
        engine(regex).spans("a  b", &mut ends).unwrap();
        assert_eq!(ends, [1, 3, 4]);
        assert_eq!(ends, NaivePattern::new(regex).unwrap().spans("a  b").unwrap());
    }

    #[test]
    fn other_endings_are_left_to_backtracking() {
        assert!(!engine(r"(?:\w+|\s+(?!\S)|\s+)").is_linear());
    }

    #[test]
    fn possessive_quantifiers_are_not_repetitions_of_repetitions() {
        for regex in [r"\p{N}{1,3}+|\s+(?!\S)|\s+", r"\p{N}{1,3}+", r"a++a|b", r"x?+x"] {
            assert!(!engine(regex).is_linear(), "{regex}");
        }
        assert_eq!(pieces(r"\p{N}{1,3}+|\s+(?!\S)|\s+", "12345"), ["123", "45"]);
        assert!(engine(r"(?:a+)+b|[+]+\+").is_linear());
    }

    #[test]
    fn too_much_backtracking_is_an_error() {
        let text = format!("{}b", "a".repeat(60));
        let result = engine(r"(a|aa)+(?!x)$").spans(&text, &mut Vec::new());
        assert!(matches!(result, Err(Error::PatternLimit { offset: 0, .. })));
    }

    #[test]
    fn a_million_blanks_are_one_span() {
        let text = format!("{}x", " ".repeat(2_000_000));
        assert_eq!(pieces(r" ?x+|\s+(?!\S)|\s+", &text), [&text[..1_999_999], " x"]);
    }

    /// The published patterns that an engine of linear time can run are the test of its white-space ending.
    static BOTH: LazyLock<Vec<(Engine, NaivePattern)>> = LazyLock::new(|| {
        let both = |(regex, _): &(&str, _)| (engine(regex), NaivePattern::new(regex).unwrap());
        NamedScanner::KNOWN.iter().map(both).filter(|(engine, _)| engine.is_linear()).collect()
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn equals_the_plain_regex(text in hostile()) {
            prop_assert!(BOTH.len() >= 6);
            for (engine, naive) in &*BOTH {
                let mut ends = Vec::new();
                engine.spans(&text, &mut ends).unwrap();
                prop_assert_eq!(ends, naive.spans(&text).unwrap());
            }
        }
    }
}
