//! Vocabularies of characters, as those that sentencepiece learns: merges start from characters, not from bytes.
//!
//! The tokens of such a vocabulary are kept as they are written, `▁the` and `<0x0A>`; the decoder says what text they
//! stand for. Reference: `models/bpe` and the folder `decoders` of Hugging Face's `tokenizers`.

use serde_json::Value;

use super::tokenizer_json::unsupported;
use super::{TokenId, Vocab};
use crate::error::Result;

/// What becomes of characters without a token, and how tokens are written as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CharacterUnits {
    pub(super) byte_fallback: bool,
    pub(super) unknown: Option<TokenId>,
    pub(super) fuse_unknown: bool,
    pub(super) decoder: Decoder,
}

impl CharacterUnits {
    /// Whether a character without a token is written as its bytes, where all of them have one.
    #[must_use]
    pub fn byte_fallback(&self) -> bool {
        self.byte_fallback
    }

    /// The token of all other characters without one.
    #[must_use]
    pub fn unknown(&self) -> Option<TokenId> {
        self.unknown
    }

    /// Whether one such token stands for a run of them.
    #[must_use]
    pub fn fuses_unknown(&self) -> bool {
        self.fuse_unknown
    }

    /// How tokens are written as text.
    #[must_use]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

/// The token that stands for a byte, as it is written: `<0x0A>`.
#[must_use]
pub fn byte_token(byte: u8) -> String {
    format!("<{byte:#04X}>")
}

/// The ids of the tokens that stand for bytes.
#[must_use]
pub fn byte_tokens(vocab: &Vocab) -> [Option<TokenId>; 256] {
    let ids = vocab.ids();
    std::array::from_fn(|byte| ids.get(byte_token(byte as u8).as_bytes()).copied())
}

/// How tokens of a vocabulary of characters are written as text: `Replace`, `ByteFallback`, `Fuse` and `Strip`, in this
/// order, as far as they are there, or `Metaspace`.
///
/// Bytes are given as they are. (The reference writes U+FFFD for each byte of a run of byte tokens that is no text.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoder {
    pub(super) source: Value,
    replace: Vec<(String, String)>,
    byte_fallback: bool,
    /// A character, and how many of them go at the beginning and at the end of the whole text.
    strip: Option<(char, usize, usize)>,
    /// The character that stands for a space, and whether the first token loses it.
    metaspace: Option<(char, bool)>,
}

impl Decoder {
    /// What a token stands for; `is_first` of a text.
    #[must_use]
    pub fn piece(&self, token: &str, is_first: bool) -> Vec<u8> {
        if let Some((space, first_loses_it)) = self.metaspace {
            let instead = if is_first && first_loses_it { "" } else { " " };
            return token.replace(space, instead).into_bytes();
        }
        let mut text = token.to_owned();
        for (from, to) in &self.replace {
            text = text.replace(from, to);
        }
        match byte_of(&text).filter(|_| self.byte_fallback) {
            Some(byte) => vec![byte],
            None => text.into_bytes(),
        }
    }

    /// Takes away what goes at the beginning of a whole text.
    pub fn strip_start(&self, text: &mut Vec<u8>) {
        let Some((c, start, _)) = self.strip else { return };
        let mut bytes = [0; 4];
        let c = c.encode_utf8(&mut bytes).as_bytes();
        let count = (0..start).take_while(|at| text[at * c.len()..].starts_with(c)).count();
        text.drain(..count * c.len());
    }

    /// Takes away what goes at the end of a whole text.
    pub fn strip_end(&self, text: &mut Vec<u8>) {
        let Some((c, _, stop)) = self.strip else { return };
        let mut bytes = [0; 4];
        let c = c.encode_utf8(&mut bytes).as_bytes();
        let count = (0..stop).take_while(|at| text[..text.len() - at * c.len()].ends_with(c)).count();
        text.truncate(text.len() - count * c.len());
    }
}

/// The byte of a token such as `<0x0A>`.
fn byte_of(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok()
}

/// The decoder of a file.
pub(super) fn read_decoder(found: &Value) -> Result<Decoder> {
    let refuse = |found: &Value| {
        let why = "known for a vocabulary of characters are Metaspace, and Sequence of Replace (by no more bytes), ByteFallback, Fuse, Strip in this order";
        unsupported("decoder", found, why)
    };
    let steps = match found["type"].as_str() {
        Some("Sequence") => found["decoders"].as_array().map(Vec::as_slice).unwrap_or_default(),
        _ => std::slice::from_ref(found),
    };
    let mut decoder =
        Decoder { source: found.clone(), replace: Vec::new(), byte_fallback: false, strip: None, metaspace: None };
    let mut last = "Replace";
    for step in steps {
        let kind = step["type"].as_str().unwrap_or_default();
        read_step(&mut decoder, &mut last, kind, step)
            .filter(|()| decoder.metaspace.is_none() || steps.len() == 1)
            .ok_or_else(|| refuse(step))?;
    }
    Ok(decoder)
}

/// Adds a step to a decoder whose last one is `last`; `None` where it does not fit.
fn read_step(decoder: &mut Decoder, last: &mut &'static str, kind: &str, step: &Value) -> Option<()> {
    match (kind, *last) {
        ("Replace", "Replace") => {
            let from = step["pattern"]["String"].as_str().filter(|from| !from.is_empty())?;
            // So no token becomes longer, whatever a file asks for.
            let to = step["content"].as_str().filter(|to| to.len() <= from.len())?;
            decoder.replace.push((from.to_owned(), to.to_owned()));
        }
        ("ByteFallback", "Replace") => (decoder.byte_fallback, *last) = (true, "ByteFallback"),
        ("Fuse", "Replace" | "ByteFallback") => *last = "Fuse",
        ("Strip", "Fuse") => {
            let mut content = step["content"].as_str()?.chars();
            let (Some(c), None) = (content.next(), content.next()) else { return None };
            let count = |name: &str| usize::try_from(step[name].as_u64()?).ok();
            (decoder.strip, *last) = (Some((c, count("start")?, count("stop")?)), "Strip");
        }
        ("Metaspace", "Replace") => {
            let mut replacement = step["replacement"].as_str()?.chars();
            let (Some(c), None) = (replacement.next(), replacement.next()) else { return None };
            let never = step["prepend_scheme"] == "never" || step["add_prefix_space"] == false;
            decoder.metaspace = Some((c, !never));
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn llama() -> Decoder {
        read_decoder(&json!({"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]}))
        .unwrap()
    }

    #[test]
    fn pieces_and_ends() {
        let decoder = llama();
        assert_eq!(decoder.piece("▁a▁", true), b" a ");
        assert_eq!(decoder.piece(&byte_token(0xE4), false), [0xE4]);
        assert_eq!(decoder.piece("<0xe4>", false), [0xE4]);
        assert_eq!(decoder.piece("<0x4>", false), b"<0x4>");
        let strip = |decoder: &Decoder, text: &str| {
            let mut text = text.as_bytes().to_vec();
            decoder.strip_start(&mut text);
            decoder.strip_end(&mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(strip(&decoder, "  a "), " a ");
        assert_eq!(strip(&decoder, ""), "");
        let both = read_decoder(&json!({"type": "Sequence", "decoders": [
            {"type": "Fuse"}, {"type": "Strip", "content": "中", "start": 2, "stop": 2}]}))
        .unwrap();
        assert_eq!(strip(&both, "中a中中中"), "a中");
        assert_eq!(strip(&both, "中中中"), "");
        let metaspace =
            read_decoder(&json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"})).unwrap();
        assert_eq!((metaspace.piece("▁a▁b", true), metaspace.piece("▁a", false)), (b"ab".to_vec(), b" a".to_vec()));
    }

    #[test]
    fn what_is_refused() {
        let refused = |found: Value| read_decoder(&found).unwrap_err().to_string();
        assert!(refused(Value::Null).contains("decoder `null`"));
        assert!(refused(json!({"type": "WordPiece"})).contains("decoder `WordPiece`"));
        let sequence = |steps: Value| json!({"type": "Sequence", "decoders": steps});
        assert!(refused(sequence(json!([{"type": "Strip", "content": " ", "start": 1, "stop": 0}]))).contains("Strip"));
        assert!(refused(sequence(json!([{"type": "Fuse"}, {"type": "ByteFallback"}]))).contains("ByteFallback"));
        assert!(
            refused(sequence(json!([{"type": "Fuse"}, {"type": "Metaspace", "replacement": "▁"}])))
                .contains("Metaspace")
        );
    }
}
