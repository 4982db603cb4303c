//! The report as data: `report.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::anchors::Anchors;
use crate::clean::CleanCounts;
use crate::model::{GptConfig, StepReport, TrainConfig};
use crate::shard::Tally;
use crate::vocab::Fingerprint;

/// All that `prepare` found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the program.
    pub ciyuan: String,
    /// The settings, by their long flags.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// What was read.
    pub input: InputReport,
    /// The tokenizer.
    pub tokenizer: TokenizerReport,
    /// The shards for training.
    pub train: CorpusReport,
    /// The shards held out.
    pub val: CorpusReport,
    /// The model.
    pub model: ModelReport,
    /// Held-out figures by language; empty when nothing was held out.
    pub languages: Vec<LanguageReport>,
    /// Held-out figures of all languages together.
    pub all: Option<LanguageReport>,
    /// Continuations that the model wrote.
    pub samples: Vec<SampleReport>,
    /// Held-out text, cut into its tokens.
    pub pages: Vec<ColouredPage>,
    /// Seconds of each stage. All else is the same for the same input, settings and processor.
    pub seconds: BTreeMap<String, f64>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputReport {
    /// Files read.
    pub files: u64,
    /// Files passed over, because their form is not known.
    pub skipped: Vec<String>,
    /// Documents in, out and rejected.
    pub documents: Tally,
    /// Bytes of text in, out and rejected.
    pub bytes: Tally,
    /// Bytes that were no UTF-8 and were replaced or skipped.
    pub repaired_bytes: u64,
    /// Byte order marks that were taken off.
    pub byte_order_marks: u64,
    /// The same of each file, in order.
    #[serde(default)]
    pub each: Vec<FileReport>,
    /// What was done to texts beside that.
    #[serde(default, skip_serializing_if = "CleanCounts::is_empty")]
    pub cleaning: CleanCounts,
}

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Its path, as named.
    pub path: String,
    /// Documents in, out and rejected.
    pub documents: Tally,
    /// Bytes of text in, out and rejected.
    pub bytes: Tally,
}

/// The tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenizerReport {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The name of its pattern, or the regular expression.
    pub pattern: String,
    /// What was done with Chinese.
    pub han: String,
    /// One above its highest id.
    pub vocab_size: u32,
    /// Its merges.
    pub merges: u64,
    /// How many tokens of each length in bytes there are; special tokens are not counted.
    pub lengths: BTreeMap<u32, u64>,
    /// The longest tokens that hold Han characters, and the longest others.
    pub longest: Vec<String>,
}

/// Shards of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CorpusReport {
    /// Files.
    pub shards: u64,
    /// Documents.
    pub documents: u64,
    /// Ids, end-of-text tokens among them.
    pub tokens: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// The model and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// Its size.
    pub gpt: GptConfig,
    /// Its parameters.
    pub parameters: u64,
    /// How it was trained.
    pub training: TrainConfig,
    /// Tokens it was trained on, counted as often as they were seen.
    pub tokens: u64,
    /// Every step.
    pub steps: Vec<StepReport>,
}

impl ModelReport {
    /// The mean loss of the last steps, in nats a token: a tenth of all, at least one; 0 without steps.
    #[must_use]
    pub fn final_loss(&self) -> f64 {
        let count = (self.steps.len() / 10).max(1).min(self.steps.len());
        let last = &self.steps[self.steps.len() - count..];
        last.iter().map(|step| step.loss).sum::<f64>() / count.max(1) as f64
    }
}

/// Held-out figures of one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanguageReport {
    /// `zh`, `en`, `other` or `all`.
    pub language: String,
    /// Documents.
    pub documents: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Tokens, without end-of-text tokens.
    pub tokens: u64,
    /// Bytes of text a token.
    pub bytes_per_token: f64,
    /// The model's bits for each byte of text.
    pub bits_per_byte: f64,
    /// Its bits for the end of each document, which is no text and not in the figure above.
    pub end_bits_per_document: f64,
    /// What to compare that with.
    pub anchors: Anchors,
}

/// A continuation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleReport {
    /// The language of the prompt.
    pub language: String,
    /// The beginning of a held-out document.
    pub prompt: String,
    /// What the model wrote behind it.
    pub continuation: String,
}

/// A page of text, cut into its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColouredPage {
    /// The language of the text.
    pub language: String,
    /// The text, piece by piece.
    pub pieces: Vec<ColouredPiece>,
}

/// A token, or the tokens that make up one character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColouredPiece {
    /// The text.
    pub text: String,
    /// The ids.
    pub ids: Vec<u32>,
}

impl ColouredPage {
    /// The page of `ids`, whose bytes `bytes_of` gives.
    #[must_use]
    pub fn new<'b>(language: &str, ids: &[u32], bytes_of: impl Fn(u32) -> &'b [u8]) -> Self {
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        let mut held = Vec::new();
        for &id in ids {
            bytes.extend_from_slice(bytes_of(id));
            held.push(id);
            // A piece ends where the bytes are whole characters; bytes that never will be are shown as U+FFFD.
            let text = match std::str::from_utf8(&bytes) {
                Ok(text) => text.to_owned(),
                Err(error) if error.error_len().is_none() && bytes.len() < 16 => continue,
                Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
            };
            pieces.push(ColouredPiece { text, ids: std::mem::take(&mut held) });
            bytes.clear();
        }
        if !held.is_empty() {
            pieces.push(ColouredPiece { text: String::from_utf8_lossy(&bytes).into_owned(), ids: held });
        }
        Self { language: language.to_owned(), pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_characters() {
        let tokens: [&[u8]; 5] = [b"a", b"\xE8\xAF", b"\x8D", b" \xE5", b"\xFF"];
        let page = ColouredPage::new("zh", &[0, 1, 2, 3], |id| tokens[id as usize]);
        let texts: Vec<&str> = page.pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts, ["a", "词", " \u{FFFD}"]);
        assert_eq!(page.pieces[1].ids, [1, 2]);
        assert_eq!(ColouredPage::new("zh", &[4, 0], |id| tokens[id as usize]).pieces.len(), 2);
    }

    #[test]
    fn final_loss_is_a_mean() {
        use crate::model::GptForm;
        let step = |step, loss| StepReport { step, loss, learning_rate: 0.0, gradient_norm: 0.0 };
        let gpt = GptConfig { vocab_size: 1, context: 1, layers: 1, heads: 1, width: 1, form: GptForm::GPT2 };
        let report = |steps| ModelReport { gpt, parameters: 0, training: TrainConfig::default(), tokens: 0, steps };
        assert_eq!(report((1..=20).map(|n| step(n, n as f64)).collect()).final_loss(), 19.5);
        assert_eq!(report(vec![step(1, 4.0)]).final_loss(), 4.0);
    }
}
