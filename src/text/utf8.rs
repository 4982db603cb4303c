//! What to do with bytes that are not UTF-8.

use std::borrow::Cow;

/// The policy for invalid bytes, `--on-invalid-utf8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Utf8Policy {
    /// The document is rejected, with the offset of the first invalid byte.
    #[default]
    Reject,
    /// Each maximal invalid sequence becomes one U+FFFD, as the Unicode Standard recommends (chapter 3, "U+FFFD
    /// Substitution of Maximal Subparts").
    Replace,
    /// Invalid bytes are left out.
    Skip,
}

/// The text in `bytes`, and how many bytes were no UTF-8; under [`Utf8Policy::Reject`] the offset of the first such
/// byte is the error.
pub(super) fn decode(bytes: Vec<u8>, policy: Utf8Policy) -> Result<(String, u64), u64> {
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok((text, 0)),
        Err(error) => error,
    };
    let offset = error.utf8_error().valid_up_to() as u64;
    let bytes = error.into_bytes();
    let invalid = bytes.utf8_chunks().map(|chunk| chunk.invalid().len() as u64).sum();
    match policy {
        Utf8Policy::Reject => Err(offset),
        Utf8Policy::Replace => Ok((String::from_utf8_lossy(&bytes).into_owned(), invalid)),
        Utf8Policy::Skip => Ok((bytes.utf8_chunks().map(|chunk| Cow::from(chunk.valid())).collect(), invalid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let bytes = b"ab\xE4\xB8c\xFF\xFE".to_vec();
        assert_eq!(decode(bytes.clone(), Utf8Policy::Reject), Err(2));
        assert_eq!(decode(bytes.clone(), Utf8Policy::Replace), Ok(("ab\u{FFFD}c\u{FFFD}\u{FFFD}".into(), 4)));
        assert_eq!(decode(bytes, Utf8Policy::Skip), Ok(("abc".into(), 4)));
    }

    #[test]
    fn valid_text_is_untouched() {
        let text = "词元\0\r\u{FEFF}\u{2028}\u{FFFE}";
        for policy in [Utf8Policy::Reject, Utf8Policy::Replace, Utf8Policy::Skip] {
            assert_eq!(decode(text.as_bytes().to_vec(), policy), Ok((text.to_owned(), 0)));
        }
    }
}
