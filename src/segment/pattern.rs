//! A pre-token pattern: a named one with its scanner, any other regular expression on an engine, or a sequence of steps.

use std::ops::Range;

use super::lanes::Instructions;
use super::named::{CHARACTERS, DEFAULT_PATTERN, NAMED_PATTERNS};
use super::split::{Part, Scratch, Split};
use super::steps::{Step, canonical, flattened, is_json};
use crate::error::{Error, Result};

/// A compiled pre-token pattern.
///
/// It is written as a regular expression, or, where one cannot say it, as the JSON of a pre-tokenizer in the form of
/// `tokenizer.json` files: `Split` with its five behaviours and `invert`, `Digits`, `Punctuation`, `Whitespace`,
/// `WhitespaceSplit`, `CharDelimiterSplit`, `Metaspace`, `ByteLevel`, and `Sequence` of these.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    steps: Vec<Split>,
}

impl Default for Pattern {
    fn default() -> Self {
        Self::parse(DEFAULT_PATTERN).expect("the default pattern compiles: every test runs it")
    }
}

impl Pattern {
    /// The pattern behind a name of [`NAMED_PATTERNS`], of a regular expression, or of the JSON of a pre-tokenizer. What
    /// looks like a name is taken for one; `regex:` before it says otherwise.
    ///
    /// ```
    /// use ciyuan::segment::Pattern;
    /// assert_eq!(Pattern::parse("cl100k")?.name(), Some("cl100k"));
    /// assert_eq!(Pattern::parse(r"\w+|\W+")?.source(), r"\w+|\W+");
    /// assert!(Pattern::parse("cl1OOk").unwrap_err().to_string().contains("known: ciyuan, gpt2"));
    /// assert!(Pattern::parse(r#"{"type": "Whitespace"}"#)?.drops_text());
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::UnknownPattern`] for a name that is not known, [`Error::Pattern`] for what does not compile.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(regex) = text.strip_prefix("regex:") {
            return Self::from_regex(regex);
        }
        if let Some((_, regex)) = NAMED_PATTERNS.iter().find(|(name, _)| *name == text) {
            return Self::from_regex(regex);
        }
        let name_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.chars().all(name_like) {
            let known = NAMED_PATTERNS.map(|(name, _)| name).join(", ");
            return Err(Error::UnknownPattern { name: text.to_owned(), known });
        }
        Self::from_source(text)
    }

    /// The pattern of [`Pattern::source`].
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] when it does not compile.
    pub fn from_source(source: &str) -> Result<Self> {
        if !is_json(source) {
            return Self::from_regex(source);
        }
        let source = canonical(source)?;
        if !is_json(&source) {
            return Self::from_regex(&source);
        }
        let steps =
            flattened(&source)?.iter().filter_map(|step| Split::of_step(step).transpose()).collect::<Result<_>>()?;
        Ok(Self { source, steps })
    }

    /// The pattern of a regular expression.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] when it does not compile.
    pub fn from_regex(regex: &str) -> Result<Self> {
        Ok(Self { source: regex.to_owned(), steps: vec![Split::isolated(regex)?] })
    }

    /// The pattern that takes each character by itself.
    #[must_use]
    pub fn characters() -> Self {
        Self::from_regex(CHARACTERS).expect("it is a known one, which needs no engine")
    }

    /// The regular expression, or the JSON of the steps.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The name of the pattern, if it is a named one.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        NAMED_PATTERNS.iter().find(|(_, regex)| *regex == self.source).map(|(name, _)| *name)
    }

    /// Whether the pattern runs in linear time on every text.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        self.steps.iter().all(Split::is_linear)
    }

    /// Whether [`Pattern::source`] is a regular expression, not the JSON of steps.
    #[must_use]
    pub fn is_regex(&self) -> bool {
        !is_json(&self.source)
    }

    /// Whether the pattern takes some text out, as `Whitespace` does: ids do not give it back.
    #[must_use]
    pub fn drops_text(&self) -> bool {
        self.steps.iter().any(Split::drops_text)
    }

    /// Whether the pattern writes spaces in another way before it cuts, as `Metaspace` does. Spans are those of the text
    /// as it was; a byte-level tokenizer cannot be made of it.
    #[must_use]
    pub fn changes_text(&self) -> bool {
        is_json(&self.source) && flattened(&self.source).is_ok_and(|steps| steps.iter().any(Step::changes_text))
    }

    /// The last place within `within` where `text` may be cut in two without a span becoming another: the spans of the
    /// text are those of both parts. It is neither the start nor the end of the text. Only patterns with
    /// [`Pattern::has_safe_cuts`] have such places; `segment/safe_cuts.rs` holds the proof.
    ///
    /// ```
    /// use ciyuan::segment::Pattern;
    /// let (pattern, text) = (Pattern::default(), "one two 词元");
    /// assert_eq!(pattern.safe_cut(text, 0..text.len()), Some(7));
    /// assert_eq!(pattern.safe_cut(text, 0..7), Some(3));
    /// assert_eq!(pattern.safe_cut(text, 4..7), None);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    #[must_use]
    pub fn safe_cut(&self, text: &str, within: Range<usize>) -> Option<usize> {
        self.steps.first()?.safe_cuts()?.last(text, within)
    }

    /// Whether the place between two neighbours in a text is one of [`Pattern::safe_cut`].
    pub(crate) fn is_safe_between(&self, a: char, b: char) -> bool {
        self.steps.first().and_then(Split::safe_cuts).is_some_and(|cuts| cuts.between(a, b))
    }

    /// Whether its steps look at each character by itself: wherever a text is cut, the spans of both parts are those of
    /// the whole, but for the one that is cut.
    pub(crate) fn is_by_character(&self) -> bool {
        is_json(&self.source) && flattened(&self.source).is_ok_and(|steps| steps.iter().all(Step::is_by_character))
    }

    /// Whether places are known where its texts may be cut: those of the named patterns, and of a sequence of steps
    /// that begins with one.
    #[must_use]
    pub fn has_safe_cuts(&self) -> bool {
        self.steps.first().is_some_and(|step| step.safe_cuts().is_some())
    }

    /// Pushes the end offset of each span of `text`, which is shorter than 4 GiB, and into `dropped` the numbers of
    /// those spans that the pattern takes out. Text between matches is a span of its own.
    ///
    /// # Errors
    ///
    /// [`Error::PatternLimit`] when a backtracking pattern exceeds its limit.
    pub(super) fn spans(
        &self,
        instructions: Instructions,
        text: &str,
        ends: &mut Vec<u32>,
        dropped: &mut Vec<u32>,
    ) -> Result<()> {
        match self.steps.as_slice() {
            [step] if step.is_isolated() => step.ends(instructions, text, ends),
            _ => {
                let parts = self.parts(instructions, text)?;
                let first = ends.len();
                ends.extend(parts.iter().map(|(end, _)| *end));
                let out = parts.iter().enumerate().filter(|(_, (_, out))| *out);
                dropped.extend(out.map(|(at, _)| (first + at) as u32));
                Ok(())
            }
        }
    }

    /// The parts of `text` behind all steps, each of which cuts the parts that the one before left.
    fn parts(&self, instructions: Instructions, text: &str) -> Result<Vec<Part>> {
        let (mut parts, mut finer) = (vec![(text.len() as u32, false)], Vec::new());
        parts.truncate(text.len());
        let mut scratch = Scratch::default();
        for step in &self.steps {
            let mut start = 0;
            for &(end, out) in &parts {
                if out {
                    finer.push((end, out));
                } else {
                    let part = &text[start as usize..end as usize];
                    step.parts(instructions, part, &mut scratch).map_err(|error| error.moved(start as usize))?;
                    finer.extend(scratch.parts.iter().map(|&(end, out)| (start + end, out)));
                }
                start = end;
            }
            std::mem::swap(&mut parts, &mut finer);
            finer.clear();
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces<'t>(pattern: &Pattern, text: &'t str) -> Vec<&'t str> {
        let (mut ends, mut start) = (Vec::new(), 0);
        pattern.spans(Instructions::best(), text, &mut ends, &mut Vec::new()).unwrap();
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
            assert!(pattern.steps[0].has_scanner() && pattern.is_linear() && pattern.has_safe_cuts(), "{name}");
            assert_eq!(pattern.source(), regex);
            // A second name of a pattern is known by its first.
            let first = NAMED_PATTERNS.iter().find(|(_, other)| *other == regex).unwrap().0;
            assert_eq!(pattern.name(), Some(first));
        }
        assert_eq!(Pattern::parse("llama3").unwrap().name(), Some("cl100k"));
    }

    #[test]
    fn other_patterns_have_an_engine() {
        let pattern = Pattern::from_regex(r"\w+").unwrap();
        assert!(!pattern.steps[0].has_scanner() && pattern.is_linear() && pattern.name().is_none());
        assert!(!pattern.has_safe_cuts() && pattern.safe_cut("ab c", 0..4).is_none());
        assert!(!Pattern::from_regex(r"(?<!a)b").unwrap().is_linear());
        assert_eq!(pieces(&pattern, "ab c"), ["ab", " ", "c"]);
    }

    #[test]
    fn steps_of_a_file() {
        let pattern = Pattern::parse(r#"{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"▁"}]}"#);
        let pattern = pattern.unwrap();
        assert!(pattern.changes_text() && !pattern.drops_text() && pattern.is_linear());
        assert_eq!(pieces(&pattern, "a  b▁c "), ["a", " ", " b", "▁c", " "]);
        assert!(!Pattern::default().changes_text());
        assert!(Pattern::parse(r#"{"type":"Whitespace"}"#).unwrap().drops_text());
    }

    #[test]
    fn a_limit_in_a_later_step_names_the_place_in_the_text() {
        let split =
            |regex: &str| format!(r#"{{"type":"Split","pattern":{{"Regex":"{regex}"}},"behavior":"Isolated"}}"#);
        let steps = format!(r#"{{"type":"Sequence","pretokenizers":[{},{}]}}"#, split("中"), split(r"(a|aa)+(?!x)\\z"));
        let text = format!("中{}b", "a".repeat(60));
        let result =
            Pattern::parse(&steps).unwrap().spans(Instructions::best(), &text, &mut Vec::new(), &mut Vec::new());
        assert!(matches!(result, Err(Error::PatternLimit { offset: 3, .. })), "{result:?}");
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
