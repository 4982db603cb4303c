//! A pre-token pattern: a named one with its scanner, or any other regular expression on an engine.

use super::engine::Engine;
use super::lanes::Instructions;
use super::named::{DEFAULT_PATTERN, NAMED_PATTERNS, NamedScanner};
use crate::error::{Error, Result};

/// A compiled pre-token pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: String,
    cutter: Cutter,
}

#[derive(Debug, Clone)]
enum Cutter {
    Scanner(NamedScanner),
    Engine(Engine),
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
        let cutter = match NamedScanner::of(regex) {
            Some(scanner) => Cutter::Scanner(scanner),
            None => Cutter::Engine(Engine::new(regex)?),
        };
        Ok(Self { regex: regex.to_owned(), cutter })
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
        match &self.cutter {
            Cutter::Scanner(_) => true,
            Cutter::Engine(engine) => engine.is_linear(),
        }
    }

    /// Pushes the end offset of each span of `text`, which is shorter than 4 GiB. Text between matches is a span of its
    /// own, as in the HF `Split` pre-tokenizer with behaviour `Isolated`; empty matches are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern exceeds its limit.
    pub(super) fn spans(&self, instructions: Instructions, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        match &self.cutter {
            Cutter::Scanner(scanner) => {
                scanner.spans(instructions, text, ends);
                Ok(())
            }
            Cutter::Engine(engine) => engine.spans(text, ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces<'t>(pattern: &Pattern, text: &'t str) -> Vec<&'t str> {
        let (mut ends, mut start) = (Vec::new(), 0);
        pattern.spans(Instructions::best(), text, &mut ends).unwrap();
        ends.iter().map(|&end| &text[std::mem::replace(&mut start, end as usize)..end as usize]).collect()
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
    fn named_patterns_have_a_scanner() {
        for (name, regex) in NAMED_PATTERNS {
            let pattern = Pattern::parse(name).unwrap();
            assert!(matches!(pattern.cutter, Cutter::Scanner(_)) && pattern.is_linear(), "{name}");
            assert_eq!(pattern.regex(), regex);
            // A second name of a pattern is known by its first.
            let first = NAMED_PATTERNS.iter().find(|(_, other)| *other == regex).unwrap().0;
            assert_eq!(pattern.name(), Some(first));
        }
        assert_eq!(Pattern::parse("llama3").unwrap().name(), Some("cl100k"));
    }

    #[test]
    fn other_patterns_have_an_engine() {
        let pattern = Pattern::from_regex(r"\w+").unwrap();
        assert!(matches!(pattern.cutter, Cutter::Engine(_)) && pattern.is_linear() && pattern.name().is_none());
        assert!(!Pattern::from_regex(r"(?<!a)b").unwrap().is_linear());
        assert_eq!(pieces(&pattern, "ab c"), ["ab", " ", "c"]);
    }

    #[test]
    fn what_does_not_compile() {
        for regex in ["(", "[z-a]", "(?P<n", "*"] {
            assert!(matches!(Pattern::from_regex(regex), Err(Error::Pattern { .. })), "{regex}");
        }
        assert!(matches!(Pattern::parse("gpt3"), Err(Error::UnknownPattern { .. })));
        assert!(Pattern::parse("regex:gpt3").is_ok());
    }
}
