//! Pre-tokenizers as they stand in `tokenizer.json`: steps, each of which cuts what the one before left.
//!
//! Reference: the folder `pre_tokenizers` of Hugging Face's `tokenizers`. A step that would change the text before it
//! is cut, as `ByteLevel` with `add_prefix_space`, is an error that names it; `Metaspace` changes text too, but cuts it
//! where our spans can say it, and may stand where nothing behind it could see the change.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::named::{GPT2, known_spelling, pattern_of_sequence};
use super::oniguruma;
use crate::error::{Error, Result};

/// What becomes of the matches of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Behavior {
    /// They are taken out of the text.
    Removed,
    /// Each is a span.
    #[default]
    Isolated,
    /// Each goes with the span before it.
    MergedWithPrevious,
    /// Each goes with the span behind it.
    MergedWithNext,
    /// Neighbouring matches are one span.
    Contiguous,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SplitPattern {
    /// These very characters.
    String(String),
    /// A regular expression for Oniguruma.
    Regex(String),
}

/// A step. `Sequence` and `ByteLevel` stand in files only: [`flattened`] replaces them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Step {
    Split {
        pattern: SplitPattern,
        #[serde(default)]
        behavior: Behavior,
        /// Take what lies between matches for the matches.
        #[serde(default)]
        invert: bool,
    },
    Digits {
        /// Each by itself, or runs of them.
        #[serde(default)]
        individual_digits: bool,
    },
    Punctuation {
        #[serde(default)]
        behavior: Behavior,
    },
    /// Runs of word characters, and of others but white space, which is taken out.
    Whitespace,
    /// What stands between white space, which is taken out.
    WhitespaceSplit,
    CharDelimiterSplit {
        delimiter: char,
    },
    Metaspace {
        replacement: char,
        #[serde(default, skip_serializing_if = "Value::is_null")]
        add_prefix_space: Value,
        #[serde(default, skip_serializing_if = "Value::is_null")]
        prepend_scheme: Value,
        #[serde(default = "yes")]
        split: bool,
    },
    ByteLevel {
        #[serde(default = "yes")]
        add_prefix_space: bool,
        #[serde(default = "yes")]
        use_regex: bool,
    },
    Sequence {
        pretokenizers: Vec<Step>,
    },
}

impl Step {
    /// Whether text is other text behind it.
    pub(super) fn changes_text(&self) -> bool {
        matches!(self, Self::Metaspace { .. })
    }

    /// Whether what it does with a character, and with the edge behind it, is told by the characters beside that edge.
    pub(super) fn is_by_character(&self) -> bool {
        match self {
            Self::Split { pattern: SplitPattern::String(text), .. } => text.chars().count() == 1,
            Self::Split { pattern: SplitPattern::Regex(_), .. } | Self::Sequence { .. } | Self::ByteLevel { .. } => {
                false
            }
            Self::Digits { .. }
            | Self::Punctuation { .. }
            | Self::Whitespace
            | Self::WhitespaceSplit
            | Self::CharDelimiterSplit { .. }
            | Self::Metaspace { .. } => true,
        }
    }
}

fn yes() -> bool {
    true
}

/// Whether a pattern is written as JSON rather than as a regular expression, none of which starts like this.
pub(super) fn is_json(source: &str) -> bool {
    source.trim_start().strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('"'))
}

fn fault(source: &str, reason: String) -> Error {
    Error::Pattern { pattern: source.to_owned(), reason }
}

/// The steps of a pre-tokenizer in JSON, none of them `Sequence` or `ByteLevel`.
///
/// # Errors
///
/// [`Error::Pattern`] for what is no such JSON, and for steps that are not supported, or not where they stand.
pub(super) fn flattened(source: &str) -> Result<Vec<Step>> {
    let step: Step = serde_json::from_str(source).map_err(|error| fault(source, error.to_string()))?;
    let mut all = Vec::new();
    unfold(step, &mut all);
    let last = all.len().saturating_sub(1);
    let byte_level = all.iter().position(|step| matches!(step, Step::ByteLevel { .. }));
    if byte_level.is_some_and(|at| at != last) {
        return Err(fault(source, "steps behind ByteLevel would see bytes written as letters".to_owned()));
    }
    match all.last() {
        Some(Step::ByteLevel { add_prefix_space: true, .. }) => {
            let reason = "ByteLevel with add_prefix_space changes the text; set it to false, which is not its default";
            return Err(fault(source, reason.to_owned()));
        }
        Some(Step::ByteLevel { use_regex, .. }) => {
            let gpt2 = Step::Split {
                pattern: SplitPattern::Regex(GPT2.to_owned()),
                behavior: Behavior::Isolated,
                invert: false,
            };
            let with_regex = *use_regex;
            all.pop();
            all.extend(with_regex.then_some(gpt2));
        }
        _ => {}
    }
    let metaspace = all.iter().position(Step::changes_text);
    let blind = |step: &Step| matches!(step, Step::Digits { .. } | Step::Punctuation { .. });
    if metaspace.is_some_and(|at| !all[at + 1..].iter().all(blind)) {
        return Err(fault(source, "steps behind Metaspace would see the text that it changed".to_owned()));
    }
    Ok(all)
}

fn unfold(step: Step, all: &mut Vec<Step>) {
    match step {
        Step::Sequence { pretokenizers } => pretokenizers.into_iter().for_each(|step| unfold(step, all)),
        step => all.push(step),
    }
}

/// The pattern of a pre-tokenizer in JSON in the shortest form: the regular expression that it comes to, or JSON of
/// its steps.
///
/// # Errors
///
/// Those of [`flattened`].
pub(super) fn canonical(source: &str) -> Result<String> {
    let steps = flattened(source)?;
    let regexes: Option<Vec<&str>> = steps.iter().map(isolated_regex).collect();
    if let Some(regexes) = regexes {
        if let Some(regex) = pattern_of_sequence(&regexes) {
            return Ok(regex.to_owned());
        }
        if let [regex] = regexes[..] {
            return Ok(known_spelling(regex).map_or_else(|| oniguruma::to_rust(regex), str::to_owned));
        }
    }
    Ok(json!({"type": "Sequence", "pretokenizers": steps}).to_string())
}

/// The regular expression of a step that is nothing else.
fn isolated_regex(step: &Step) -> Option<&str> {
    match step {
        Step::Split { pattern: SplitPattern::Regex(regex), behavior: Behavior::Isolated, .. } => Some(regex),
        _ => None,
    }
}

/// The steps of a pattern as they stand in tokenizer.json, each a JSON object: the inverse of [`canonical`].
pub(crate) fn steps_of_pattern(source: &str) -> Vec<Value> {
    if is_json(source)
        && let Ok(steps) = flattened(source)
    {
        return steps.iter().map(|step| json!(step)).collect();
    }
    vec![split_by(&oniguruma::from_rust(source))]
}

/// What `Metaspace` does to a text before it cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metaspace {
    /// What stands for a space then.
    pub(crate) replacement: char,
    pub(crate) prepend: Prepend,
}

/// Before which text `Metaspace` puts a replacement, if it begins with none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prepend {
    Never,
    /// The one at the beginning of all.
    First,
    Always,
}

/// The step `Metaspace` of a pattern, and whether it stands before all others.
pub(crate) fn metaspace_of(source: &str) -> Option<(Metaspace, bool)> {
    let steps = if is_json(source) { flattened(source).ok()? } else { return None };
    steps.iter().enumerate().find_map(|(at, step)| match step {
        Step::Metaspace { replacement, add_prefix_space, prepend_scheme, .. } => {
            let prepend = match prepend_scheme.as_str() {
                _ if *add_prefix_space == false => Prepend::Never,
                Some("never") => Prepend::Never,
                Some("first") => Prepend::First,
                _ => Prepend::Always,
            };
            Some((Metaspace { replacement: *replacement, prepend }, at == 0))
        }
        _ => None,
    })
}

/// The step that cuts at the matches of a regular expression.
pub(crate) fn split_by(regex: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_split_is_its_regex() {
        let file = r#"{"type":"Sequence","pretokenizers":[
            {"type":"Split","pattern":{"Regex":"\\p{L}+$|\\P{L}"},"behavior":"Isolated","invert":false},
            {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}"#;
        assert_eq!(canonical(file).unwrap(), r"\p{L}+(?m:$)|\P{L}");
        assert_eq!(steps_of_pattern(r"\p{L}+(?m:$)|\P{L}"), [split_by(r"\p{L}+$|\P{L}")]);
        let byte_level = r#"{"type":"ByteLevel","add_prefix_space":false}"#;
        assert_eq!(canonical(byte_level).unwrap(), GPT2);
    }

    #[test]
    fn other_steps_stay_json_and_come_back() {
        let file = r#"{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
            {"type":"Sequence","pretokenizers":[{"type":"Punctuation"},{"type":"WhitespaceSplit"}]},
            {"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}]}"#;
        let source = canonical(file).unwrap();
        assert_eq!(canonical(&source).unwrap(), source);
        assert_eq!(steps_of_pattern(&source).len(), 4);
        assert_eq!(steps_of_pattern(&source)[1], json!({"type": "Punctuation", "behavior": "Isolated"}));
    }

    #[test]
    fn what_is_refused_and_why() {
        for (file, reason) in [
            (r#"{"type":"BertPreTokenizer"}"#, "unknown variant `BertPreTokenizer`"),
            (r#"{"type":"ByteLevel"}"#, "set it to false"),
            (
                r#"{"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false},{"type":"Whitespace"}]}"#,
                "behind ByteLevel",
            ),
            (
                r#"{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"_"},{"type":"Whitespace"}]}"#,
                "behind Metaspace",
            ),
            (r#"{"type":"Split","behavior":"Isolated"}"#, "missing field `pattern`"),
            (r#"{"a":"#, "EOF"),
            ("{\n  \"type\": \"UnicodeScripts\"\n}", "unknown variant `UnicodeScripts`"),
        ] {
            let error = canonical(file).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
