//! The normalisation that a tokenizer was learned with, as the normalizer of its file.
//!
//! A tokenizer that was learned from normalised text is at its best on such text, so its file says what can be said there:
//! NFC, and the replacement of a few characters. Steps that map hundreds of characters cannot be said, as the file has no
//! table for them; who uses such a tokenizer normalises text first, and is told so.

use super::progress::Progress;
use crate::clean::Step;
use crate::vocab::{NormalizerStep, ReplacePattern, TokenizerSpec};

/// What the file can say of a step.
fn in_file(step: Step) -> Option<NormalizerStep> {
    let replace = |pattern, content: &str| Some(NormalizerStep::Replace { pattern, content: content.to_owned() });
    match step {
        Step::Crlf => replace(ReplacePattern::Regex(r"\r\n?".to_owned()), "\n"),
        Step::IdeographicSpace => replace(ReplacePattern::String("\u{3000}".to_owned()), " "),
        Step::ZeroWidth => {
            let class = "[\u{AD}\u{200B}\u{2060}\u{2061}\u{2062}\u{2063}\u{2064}\u{FEFF}]";
            replace(ReplacePattern::Regex(class.to_owned()), "")
        }
        Step::Nfc => Some(NormalizerStep::Nfc),
        Step::PrivateUse | Step::Radicals | Step::CompatibilityIdeographs | Step::FullWidth => None,
    }
}

/// The tokenizer with the steps that its file can say; the others are named in a note.
pub(super) fn with_normalizer(spec: TokenizerSpec, steps: &[Step], progress: &Progress<'_>) -> TokenizerSpec {
    let chosen: Vec<Step> = Step::ALL.into_iter().filter(|step| steps.contains(step)).collect();
    // NFC does that of the compatibility ideographs.
    let is_said =
        |step: &Step| in_file(*step).is_some() || *step == Step::CompatibilityIdeographs && chosen.contains(&Step::Nfc);
    let silent: Vec<&str> = chosen.iter().filter(|step| !is_said(step)).map(|step| step.name()).collect();
    if !silent.is_empty() {
        progress.note(format!(
            "the tokenizer's file cannot hold the normalisation {}: do it to any text before you encode it (--normalize)",
            silent.join(",")
        ));
    }
    spec.with_normalizer(chosen.into_iter().filter_map(in_file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean::{CleanCounts, Normalizer};
    use crate::encode::Tokenizer;
    use crate::segment::HanEdges;

    /// Over every character: what the file says does what the step does. (The forms of the reference, and so of our
    /// encoder, are those of Unicode 9; what is newer they leave.)
    #[test]
    fn the_file_does_what_the_step_does() {
        let spec = TokenizerSpec::from_learned("(?s).+".to_owned(), HanEdges::None, &[], &[]).unwrap();
        let known = regex::Regex::new(r"^\p{age:9.0}$").unwrap();
        for step in [Step::Crlf, Step::IdeographicSpace, Step::ZeroWidth, Step::Nfc] {
            let tokenizer = Tokenizer::new(with_normalizer(spec.clone(), &[step], &Progress::silent())).unwrap();
            let all: Vec<char> = (0..=0xFFFF).filter_map(char::from_u32).collect();
            for characters in all.chunks(64) {
                let text: String = characters
                    .iter()
                    .filter(|c| step != Step::Nfc || known.is_match(&c.to_string()))
                    .flat_map(|c| ['x', *c])
                    .collect();
                let ids = tokenizer.encode(&text).unwrap();
                let decoded = String::from_utf8(tokenizer.decode(&ids).unwrap()).unwrap();
                let expected = Normalizer::new(&[step]).normalize(&text, &mut CleanCounts::default());
                assert_eq!(decoded, expected, "{step:?}");
            }
        }
    }
}
