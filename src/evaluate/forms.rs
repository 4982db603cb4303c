//! The same text written in other ways: what a tokenizer makes of it.
//!
//! Texts of one meaning differ in bytes: an accent is a part of its letter or stands behind it (NFC and NFD, Unicode's
//! annex 15), a letter or digit is half as wide as a Chinese character or as wide (U+FF01 to U+FF5E, Unicode chapter 18).
//! A tokenizer that takes text as it is gives other ids for each; one that normalizes gives the same, and does not give the
//! text back. Both are told, and neither is an error.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfd_quick};

use super::measures::{Column, Row};
use crate::encode::Tokenizer;
use crate::error::Result;

/// From an ASCII character to the same as wide as a Chinese one.
const TO_FULL_WIDTH: u32 = 0xFEE0;

/// Sets what the other forms of a text come to.
pub(super) fn set_forms(tokenizer: &Tokenizer, text: &str, row: &mut Row) -> Result<()> {
    let tokens = tokenizer.count(text)? as u64;
    let (mut forms, mut returned) = (0, 0);
    if let Some(nfc) = in_nfc(text) {
        row.set(Column::NfcTexts, 1);
        row.set(Column::NfcChanged, u64::from(tokenizer.count(&nfc)? as u64 != tokens));
        (forms, returned) = (forms + 1, returned + u64::from(returns(tokenizer, &nfc)?));
    }
    if let Some(nfd) = in_nfd(text) {
        let of_form = tokenizer.count(&nfd)? as u64;
        row.set(Column::NfdTexts, 1);
        row.set(Column::NfdChanged, u64::from(of_form != tokens));
        row.set(Column::NfdTokens, of_form);
        row.set(Column::TokensBesideNfd, tokens);
        (forms, returned) = (forms + 1, returned + u64::from(returns(tokenizer, &nfd)?));
    }
    row.set(Column::Forms, forms);
    row.set(Column::FormsReturned, returned);
    let (half, full) = (half_width(text), full_width(text));
    if half != full {
        row.set(Column::HalfWidthTokens, tokenizer.count(&half)? as u64);
        row.set(Column::FullWidthTokens, tokenizer.count(&full)? as u64);
    }
    Ok(())
}

/// Whether a text comes back from its ids.
pub(super) fn returns(tokenizer: &Tokenizer, text: &str) -> Result<bool> {
    Ok(tokenizer.decode(&tokenizer.encode(text)?)? == text.as_bytes())
}

/// The text in NFC, if that is another.
fn in_nfc(text: &str) -> Option<String> {
    if is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return None;
    }
    Some(text.nfc().collect::<String>()).filter(|nfc| nfc != text)
}

/// The text in NFD, if that is another.
fn in_nfd(text: &str) -> Option<String> {
    if is_nfd_quick(text.chars()) == IsNormalized::Yes {
        return None;
    }
    Some(text.nfd().collect::<String>()).filter(|nfd| nfd != text)
}

/// The text with letters and digits of ASCII in place of wide ones.
fn half_width(text: &str) -> String {
    let narrow = |c: char| char::from_u32((c as u32).wrapping_sub(TO_FULL_WIDTH)).filter(char::is_ascii_alphanumeric);
    text.chars().map(|c| narrow(c).unwrap_or(c)).collect()
}

/// The text with wide letters and digits in place of those of ASCII.
fn full_width(text: &str) -> String {
    let wide = |c: char| char::from_u32(c as u32 + TO_FULL_WIDTH).filter(|_| c.is_ascii_alphanumeric());
    text.chars().map(|c| wide(c).unwrap_or(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::HanEdges;
    use crate::vocab::{NormalizerStep, TokenizerSpec};

    fn tokenizer(normalizer: Vec<NormalizerStep>) -> Tokenizer {
        let spec = TokenizerSpec::from_learned("(?s).+".to_owned(), HanEdges::None, &[], &[]).unwrap();
        Tokenizer::new(spec.with_normalizer(normalizer)).unwrap()
    }

    fn row(tokenizer: &Tokenizer, text: &str) -> Row {
        let mut row = Row::new();
        set_forms(tokenizer, text, &mut row).unwrap();
        row
    }

    #[test]
    fn widths() {
        assert_eq!(half_width("ＡＺａｚ０９！词A"), "AZaz09！词A");
        assert_eq!(full_width("AZaz09!词Ａ"), "ＡＺａｚ０９!词Ａ");
        // Each of a byte, or of three.
        let row = row(&tokenizer(Vec::new()), "词a１");
        assert_eq!((row.get(Column::HalfWidthTokens), row.get(Column::FullWidthTokens)), (5.0, 9.0));
        let none = super::tests::row(&tokenizer(Vec::new()), "词，");
        assert_eq!((none.get(Column::HalfWidthTokens), none.get(Column::FullWidthTokens)), (0.0, 0.0));
    }

    #[test]
    fn forms_of_unicode() {
        use Column::*;
        let get = |row: &Row, columns: &[Column]| columns.iter().map(|column| row.get(*column)).collect::<Vec<_>>();
        let plain = tokenizer(Vec::new());
        // An accent by itself is a byte longer.
        let composed = row(&plain, "é");
        assert_eq!(get(&composed, &[NfcTexts, NfcChanged, NfdTexts, NfdChanged]), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(get(&composed, &[NfdTokens, TokensBesideNfd, Forms, FormsReturned]), [3.0, 2.0, 1.0, 1.0]);
        let apart = row(&plain, "e\u{301}");
        assert_eq!(get(&apart, &[NfcTexts, NfcChanged, NfdTexts, NfdChanged]), [1.0, 1.0, 0.0, 0.0]);
        // A character for compatibility becomes another in both forms, of as many bytes.
        let other = row(&plain, "\u{F900}");
        assert_eq!(get(&other, &[NfcTexts, NfcChanged, NfdTexts, NfdChanged, Forms]), [1.0, 0.0, 1.0, 0.0, 2.0]);
        assert_eq!(get(&row(&plain, "词a"), &[NfcTexts, NfdTexts, Forms]), [0.0, 0.0, 0.0]);
        // What is normalized is counted alike, and does not come back.
        let composing = row(&tokenizer(vec![NormalizerStep::Nfc]), "é");
        assert_eq!(get(&composing, &[NfdTexts, NfdChanged, Forms, FormsReturned]), [1.0, 0.0, 1.0, 0.0]);
    }
}
