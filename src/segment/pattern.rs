//! Pre-token patterns: named ones, and any other regular expression.
//!
//! Patterns that `regex` can express run on it, in linear time. The look-ahead with which nearly all published patterns
//! end, `\s+(?!\S)|\s+`, is the one thing it cannot express; it is done by hand: a white-space run that ends before
//! other text gives its last character back (which then leads the next word), unless it is its only one. All else that
//! `regex` lacks (other look-around, possessive quantifiers, back-references) runs on `fancy-regex` with a limit on its
//! backtracking.

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ast::{self, Ast};

use crate::error::{Error, Result};

/// The name of the default pattern.
pub const DEFAULT_PATTERN: &str = "ciyuan";

/// The named patterns and their regular expressions.
///
/// * `ciyuan`, the default: Han runs stand apart; other letters in words by case, with at most one leading mark and an
///   English contraction behind; digits in threes; punctuation with the newlines behind it; newlines; white space. It
///   equals the pattern of Moonshot's Kimi K2 (`tokenization_kimi.py`).
/// * `gpt2`: OpenAI's GPT-2 (`encoder.py`).
/// * `cl100k`: OpenAI's GPT-4, in the form of tokenizer.json files; also Llama 3.
/// * `o200k`: OpenAI's GPT-4o (`tiktoken_ext/openai_public.py`).
/// * `qwen2`: Alibaba's Qwen 2 and 3 (tokenizer.json): `cl100k` with single digits.
pub const NAMED_PATTERNS: [(&str, &str); 5] = [
    (
        DEFAULT_PATTERN,
        concat!(
            r"[\p{Han}]+",
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
    ("gpt2", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"),
    (
        "cl100k",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "o200k",
        concat!(
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
    ),
    (
        "qwen2",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
];

/// The endings that are done by hand; both mean the same, as `\s+(?!\S)` fails only on a single character.
const WHITE_SPACE_ENDINGS: [&str; 2] = [r"|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s"];

/// Backtracking steps allowed for one match of a pattern that `regex` cannot express.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// Memory for a compiled pattern; one that needs more is refused.
const SIZE_LIMIT: usize = 10 << 20;

/// Memory for the lazy DFA of one thread; below this the default pattern's states are thrown away and built again on
/// Chinese text.
const DFA_CACHE_BYTES: usize = 32 << 20;

/// A compiled pre-token pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: String,
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    /// Linear time.
    Linear(Box<regex::Regex>),
    /// Linear time, with a white-space ending: pattern 0 is what stands before it, pattern 1 its `\s+`.
    GivesBack(Box<meta::Regex>),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Default for Pattern {
    fn default() -> Self {
        Self::parse(DEFAULT_PATTERN).expect("the default pattern compiles: every test runs it")
    }
}

impl Pattern {
    /// The pattern behind a name of [`NAMED_PATTERNS`], or a regular expression. What looks like a name is taken for
    /// one; `regex:` before it says otherwise.
    ///
    /// ```
    /// use ciyuan::segment::Pattern;
    /// assert_eq!(Pattern::parse("cl100k")?.name(), Some("cl100k"));
    /// assert_eq!(Pattern::parse(r"\w+|\W+")?.regex(), r"\w+|\W+");
    /// assert!(Pattern::parse("cl1OOk").unwrap_err().to_string().contains("known: ciyuan, gpt2"));
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPattern`] for a name that is not known, [`Error::Pattern`] for an expression that does not
    /// compile.
    pub fn parse(name_or_regex: &str) -> Result<Self> {
        if let Some(regex) = name_or_regex.strip_prefix("regex:") {
            return Self::from_regex(regex);
        }
        if let Some((_, regex)) = NAMED_PATTERNS.iter().find(|(name, _)| *name == name_or_regex) {
            return Self::from_regex(regex);
        }
        let name_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name_or_regex.chars().all(name_like) {
            let known = NAMED_PATTERNS.map(|(name, _)| name).join(", ");
            return Err(Error::UnknownPattern { name: name_or_regex.to_owned(), known });
        }
        Self::from_regex(name_or_regex)
    }

    /// The pattern of a regular expression.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] when it does not compile.
    pub fn from_regex(regex: &str) -> Result<Self> {
        let engine = match linear(regex) {
            Some(engine) => engine,
            None => backtracking(regex)?,
        };
        Ok(Self { regex: regex.to_owned(), engine })
    }

    /// The regular expression.
    #[must_use]
    pub fn regex(&self) -> &str {
        &self.regex
    }

    /// The name of the pattern, if it is a named one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        NAMED_PATTERNS.iter().find(|(_, regex)| *regex == self.regex).map(|(name, _)| *name)
    }

    /// Whether the pattern runs in linear time on every text.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        !matches!(self.engine, Engine::Backtracking(_))
    }

    /// Calls `visit` with the end offset of each span of `text`. Text between matches is a span of its own, as in the
    /// HF `Split` pre-tokenizer with behaviour `Isolated`; empty matches are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern exceeds its limit.
    pub(crate) fn spans(&self, text: &str, mut visit: impl FnMut(usize)) -> Result<()> {
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
                visit(start);
            }
            visit(end);
            (done, at) = (end, end);
        }
        if done < text.len() {
            visit(text.len());
        }
        Ok(())
    }

    /// The next match at or behind `at`.
    fn find(&self, text: &str, at: usize) -> Result<Option<(usize, usize)>> {
        match &self.engine {
            Engine::Linear(regex) => Ok(regex.find_at(text, at).map(|found| (found.start(), found.end()))),
            Engine::GivesBack(regex) => {
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
            Engine::Backtracking(regex) => match regex.find_from_pos(text, at) {
                Ok(found) => Ok(found.map(|found| (found.start(), found.end()))),
                Err(_) => Err(Error::PatternLimit { pattern: self.regex.clone(), offset: at, limit: BACKTRACK_LIMIT }),
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
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn pieces<'t>(pattern: &Pattern, text: &'t str) -> Vec<&'t str> {
        let mut start = 0;
        let mut pieces = Vec::new();
        pattern
            .spans(text, |end| {
                pieces.push(&text[start..end]);
                start = end;
            })
            .unwrap();
        pieces
    }

    #[test]
    fn default_pattern_isolates_han() {
        let pattern = Pattern::default();
        assert_eq!(
            pieces(&pattern, "你好，世界！It's 2026年。"),
            ["你好", "，", "世界", "！It's", " ", "202", "6", "年", "。"]
        );
        assert_eq!(pieces(&pattern, "the   end\n\n  x"), ["the", "  ", " end", "\n\n", " ", " x"]);
    }

    #[test]
    fn named_patterns_are_linear() {
        for (name, regex) in NAMED_PATTERNS {
            let pattern = Pattern::parse(name).unwrap();
            assert!(pattern.is_linear(), "{name}");
            assert_eq!((pattern.name(), pattern.regex()), (Some(name), regex));
        }
    }

    #[test]
    fn gaps_and_empty_matches() {
        assert_eq!(pieces(&Pattern::from_regex(r"\d+").unwrap(), "ab12中3"), ["ab", "12", "中", "3"]);
        assert_eq!(pieces(&Pattern::from_regex("x*").unwrap(), "a中xxb"), ["a中", "xx", "b"]);
        assert_eq!(pieces(&Pattern::from_regex("q").unwrap(), ""), Vec::<&str>::new());
    }

    #[test]
    fn an_ending_in_a_comment_is_no_ending() {
        let regex = r"(?x)\w+ # |\s+(?!\S)|\s+";
        let mut ends = Vec::new();
        Pattern::from_regex(regex).unwrap().spans("a  b", |end| ends.push(end as u32)).unwrap();
        assert_eq!(ends, [1, 3, 4]);
        assert_eq!(ends, NaivePattern::new(regex).unwrap().spans("a  b").unwrap());
    }

    #[test]
    fn other_endings_are_left_to_backtracking() {
        assert!(!Pattern::from_regex(r"(?:\w+|\s+(?!\S)|\s+)").unwrap().is_linear());
    }

    #[test]
    fn possessive_quantifiers_are_not_repetitions_of_repetitions() {
        for regex in [r"\p{N}{1,3}+|\s+(?!\S)|\s+", r"\p{N}{1,3}+", r"a++a|b", r"x?+x"] {
            assert!(!Pattern::from_regex(regex).unwrap().is_linear(), "{regex}");
        }
        let digits = Pattern::from_regex(r"\p{N}{1,3}+|\s+(?!\S)|\s+").unwrap();
        assert_eq!(pieces(&digits, "12345"), ["123", "45"]);
        assert!(Pattern::from_regex(r"(?:a+)+b|[+]+\+").unwrap().is_linear());
    }

    #[test]
    fn what_does_not_compile() {
        for regex in ["(", "[z-a]", "(?P<n", "*"] {
            assert!(matches!(Pattern::from_regex(regex), Err(Error::Pattern { .. })), "{regex}");
        }
        assert!(matches!(Pattern::parse("gpt3"), Err(Error::UnknownPattern { .. })));
        assert!(Pattern::parse("regex:gpt3").is_ok());
    }

    #[test]
    fn too_much_backtracking_is_an_error() {
        let pattern = Pattern::from_regex(r"(a|aa)+(?!x)$").unwrap();
        let text = format!("{}b", "a".repeat(60));
        assert!(matches!(pattern.spans(&text, |_| {}), Err(Error::PatternLimit { offset: 0, .. })));
    }

    #[test]
    fn a_million_blanks_are_one_span() {
        let text = format!("{}x", " ".repeat(2_000_000));
        let mut ends = Vec::new();
        Pattern::default().spans(&text, |end| ends.push(end)).unwrap();
        assert_eq!(ends, [1_999_999, 2_000_001]);
    }

    /// Text from the classes that patterns tell apart.
    fn hostile() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            " ",
            "  ",
            "\n",
            "\r\n",
            "\t",
            "\u{A0}",
            "\u{3000}",
            "\u{2028}",
            "'s",
            "'S",
            "'\u{17F}",
            "'ll",
            "'",
            "a",
            "B",
            "ǅ",
            "ß",
            "é",
            "e\u{301}",
            "中",
            "词元",
            "〇",
            "々",
            "，",
            "。",
            "“",
            "1",
            "22",
            "３",
            "½",
            "!",
            "/",
            "…",
            "カ",
            "한",
            "ไ",
            "👩\u{200D}👧",
            "\u{FEFF}",
            "\0",
            "𠮷",
            "𝒳",
        ]);
        let any = prop_oneof![6 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
        prop::collection::vec(any, 0..40).prop_map(|pieces| pieces.concat())
    }

    static BOTH: LazyLock<Vec<(Pattern, NaivePattern)>> = LazyLock::new(|| {
        NAMED_PATTERNS
            .iter()
            .map(|(_, regex)| (Pattern::from_regex(regex).unwrap(), NaivePattern::new(regex).unwrap()))
            .collect()
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_the_plain_regex(text in hostile()) {
            for (pattern, naive) in &*BOTH {
                let mut ends = Vec::new();
                pattern.spans(&text, |end| ends.push(end as u32)).unwrap();
                prop_assert_eq!(ends, naive.spans(&text).unwrap());
            }
        }
    }
}
