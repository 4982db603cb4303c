//! Patterns without a scanner of their own, on a regex engine.
//!
//! What `regex` can express runs on it, in linear time. The look-ahead with which nearly all published patterns end,
//! `\s+(?!\S)|\s+`, is the one thing it cannot express; it is done by hand: a white-space run that ends before other
//! text gives its last character back (which then leads the next word), unless it is its only one. All else that
//! `regex` lacks (other look-around, possessive quantifiers, back-references) runs on `fancy-regex` with a limit on its
//! backtracking.

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ast::{self, Ast};

use crate::error::{Error, Result};

/// The endings that are done by hand; both mean the same, as `\s+(?!\S)` fails only on a single character.
const WHITE_SPACE_ENDINGS: [&str; 2] = [r"|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s"];

/// Backtracking steps allowed for one match of a pattern that `regex` cannot express.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// Memory for a compiled pattern; one that needs more is refused.
const SIZE_LIMIT: usize = 10 << 20;

/// Memory for the lazy DFA of one thread; below this the default pattern's states are thrown away and built again on
/// Chinese text.
const DFA_CACHE_BYTES: usize = 32 << 20;

/// A regular expression, compiled for the engine that it needs.
#[derive(Debug, Clone)]
pub(super) enum Engine {
    /// Linear time.
    Linear(Box<regex::Regex>),
    /// Linear time, with a white-space ending: pattern 0 is what stands before it, pattern 1 its `\s+`.
    GivesBack(Box<meta::Regex>),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Engine {
    /// # Errors
    ///
    /// [`Error::Pattern`] when the expression does not compile.
    pub(super) fn new(regex: &str) -> Result<Self> {
        match linear(regex) {
            Some(engine) => Ok(engine),
            None => backtracking(regex),
        }
    }

    /// Whether it runs in linear time on every text.
    pub(super) fn is_linear(&self) -> bool {
        !matches!(self, Self::Backtracking(_))
    }

    /// Pushes the end of each match of `text`, and of each stretch between matches; empty matches are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern exceeds its limit.
    pub(super) fn spans(&self, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        let mut done = 0;
        let mut at = 0;
        while at <= text.len() {
            let Some((start, end)) = self.find(text, at)? else {
                break;
            };
            if start == end {
                // An empty match: look on behind the next character.
                at = end + text[end..].chars().next().map_or(1, char::len_utf8);
                continue;
            }
            if start > done {
                ends.push(start as u32);
            }
            ends.push(end as u32);
            (done, at) = (end, end);
        }
        if done < text.len() {
            ends.push(text.len() as u32);
        }
        Ok(())
    }

    /// The next match at or behind `at`.
    fn find(&self, text: &str, at: usize) -> Result<Option<(usize, usize)>> {
        match self {
            Self::Linear(regex) => Ok(regex.find_at(text, at).map(|found| (found.start(), found.end()))),
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

/// The engine for a pattern that `regex` can express, but for a white-space ending.
fn linear(regex: &str) -> Option<Engine> {
    for ending in WHITE_SPACE_ENDINGS {
        // A head that parses by itself is balanced, so the ending stands at the top of the alternation.
        let Some(head) = regex.strip_suffix(ending) else { continue };
        let Some(traits) = Traits::of(head) else { continue };
        if !traits.open_flags && !traits.possessive {
            let config = meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT)).hybrid_cache_capacity(DFA_CACHE_BYTES);
            let both = meta::Builder::new().configure(config).build_many(&[head, r"\s+"]).ok()?;
            return Some(Engine::GivesBack(Box::new(both)));
        }
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
        assert_eq!(pieces("x*", "a中xxb"), ["a中", "xx", "b"]);
        assert_eq!(pieces("q", ""), Vec::<&str>::new());
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
