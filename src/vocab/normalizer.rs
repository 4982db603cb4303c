//! Normalizers of `tokenizer.json`: what is done to a text before it is cut.
//!
//! Reference: the folder `normalizers` of Hugging Face's `tokenizers`. How they run is the subject of the room `encode`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::MAX_TOKEN_BYTES;
use super::tokenizer_json::unsupported;
use crate::error::Result;
use crate::segment::Matches;

/// One step of a normalizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum NormalizerStep {
    /// Canonical composition, with the characters of Unicode 9: the tables of the reference are that old.
    #[serde(rename = "NFC")]
    Nfc,
    /// Canonical decomposition, with the characters of Unicode 9.
    #[serde(rename = "NFD")]
    Nfd,
    /// Compatibility composition, with the characters of Unicode 9.
    #[serde(rename = "NFKC")]
    Nfkc,
    /// Compatibility decomposition, with the characters of Unicode 9.
    #[serde(rename = "NFKD")]
    Nfkd,
    /// Each character in lower case.
    Lowercase,
    /// White space at the ends goes.
    Strip {
        /// At the beginning.
        strip_left: bool,
        /// At the end.
        strip_right: bool,
    },
    /// Something before a text that is not empty.
    Prepend {
        /// What it is.
        prepend: String,
    },
    /// Something for each match.
    Replace {
        /// What is looked for.
        pattern: ReplacePattern,
        /// What stands there then.
        content: String,
    },
}

/// What [`NormalizerStep::Replace`] looks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplacePattern {
    /// These very characters.
    String(String),
    /// A regular expression for Oniguruma.
    Regex(String),
}

/// The most steps of a normalizer: what each makes of a text multiplies.
const MAX_STEPS: usize = 32;

/// The steps of the normalizer of a file; `null` has none.
pub(super) fn read_normalizer(found: &Value) -> Result<Vec<NormalizerStep>> {
    let mut steps = Vec::new();
    if !found.is_null() {
        unfold(found, &mut steps)?;
    }
    Ok(steps)
}

fn unfold(found: &Value, steps: &mut Vec<NormalizerStep>) -> Result<()> {
    if found["type"] == "Sequence" {
        let parts = found["normalizers"].as_array().map(Vec::as_slice).unwrap_or_default();
        return parts.iter().try_for_each(|part| unfold(part, steps));
    }
    let why = "known are NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace and Sequence of these; apply it to the text first";
    let step = NormalizerStep::deserialize(found).map_err(|_| unsupported("normalizer", found, why))?;
    if steps.len() == MAX_STEPS {
        return Err(unsupported("normalizer", found, "it has more than 32 steps"));
    }
    if let NormalizerStep::Replace { content, .. } | NormalizerStep::Prepend { prepend: content } = &step
        && content.len() > MAX_TOKEN_BYTES
    {
        return Err(unsupported("normalizer", found, "it writes more than 1,024 bytes at once"));
    }
    if let NormalizerStep::Replace { pattern, .. } = &step {
        match pattern {
            ReplacePattern::String(text) if text.is_empty() => {
                return Err(unsupported("normalizer", found, "it replaces nothing by something"));
            }
            ReplacePattern::String(_) => {}
            ReplacePattern::Regex(regex) => drop(Matches::new(regex)?),
        }
    }
    steps.push(step);
    Ok(())
}

/// As they stand in a file.
pub(super) fn write_normalizer(steps: &[NormalizerStep]) -> Value {
    match steps {
        [] => Value::Null,
        [step] => json!(step),
        steps => json!({"type": "Sequence", "normalizers": steps}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_written() {
        let file = json!({"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Lowercase"}]},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            {"type": "Strip", "strip_left": true, "strip_right": false},
        ]});
        let steps = read_normalizer(&file).unwrap();
        assert_eq!(steps.len(), 5);
        assert_eq!(read_normalizer(&write_normalizer(&steps)).unwrap(), steps);
        assert_eq!(write_normalizer(&[]), Value::Null);
        assert_eq!(write_normalizer(&steps[..1]), json!({"type": "NFC"}));
    }

    #[test]
    fn what_is_refused() {
        let refused = |file: Value| read_normalizer(&file).unwrap_err().to_string();
        assert!(refused(json!({"type": "BertNormalizer"})).contains("normalizer `BertNormalizer`"));
        assert!(refused(json!({"type": "Sequence", "normalizers": [{"type": "Nmt"}]})).contains("`Nmt`"));
        assert!(
            refused(json!({"type": "Replace", "pattern": {"String": ""}, "content": "a"})).contains("replaces nothing")
        );
        assert!(
            refused(json!({"type": "Replace", "pattern": {"Regex": "("}, "content": "a"})).contains("does not compile")
        );
        assert!(refused(json!("NFC")).contains("NFC"));
    }
}
