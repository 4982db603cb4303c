//! Numbers that are of a person: mobile telephones of mainland China, and identity cards.
//!
//! A number is a run of digits with nothing of its kind beside it: a letter or digit of ASCII before or behind makes it a
//! part of something else (a hash, an order number). Mobile numbers are `1[3-9]` and nine digits, in one or as 3-4-4 with
//! a space or hyphen, with or without 86 before; identity numbers must have the right check character.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::identity::is_identity_number;
use super::{Changed, CleanCounts, Filter, Refusal};

/// What is done with personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonalData {
    /// Nothing.
    #[default]
    Keep,
    /// Each digit becomes `*`.
    Mask,
    /// The text is refused.
    Reject,
}

static NUMBERS: LazyLock<Regex> = LazyLock::new(|| {
    // Eighteen digits first: those of Hebei begin with 13, as mobile numbers do.
    Regex::new(r"[1-9][0-9]{16}[0-9Xx]|(?:\+?86[ -]?)?1[3-9][0-9](?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})")
        .expect("the expression is constant, and a test runs it")
});

impl PersonalData {
    pub(super) fn is_kept(&self) -> bool {
        *self == Self::Keep
    }

    /// The text to use, or its refusal.
    pub(super) fn treat<'t>(self, text: Cow<'t, str>, counts: &mut CleanCounts) -> Result<Cow<'t, str>, Refusal> {
        if self == Self::Keep {
            return Ok(text);
        }
        let found = numbers(&text);
        if found.is_empty() {
            return Ok(text);
        }
        if self == Self::Reject {
            let why = format!("{} numbers of telephones or identity cards (--personal-data reject)", found.len());
            return Err(Refusal { filter: Filter::PersonalData, why });
        }
        let (mut masked, mut done, mut digits) = (String::with_capacity(text.len()), 0, 0);
        for range in found {
            masked.push_str(&text[done..range.start]);
            for c in text[range.clone()].chars() {
                let hidden = c.is_ascii_alphanumeric();
                digits += u64::from(hidden);
                masked.push(if hidden { '*' } else { c });
            }
            done = range.end;
        }
        masked.push_str(&text[done..]);
        let Changed { documents, characters } = &mut counts.masked;
        (*documents, *characters) = (*documents + 1, *characters + digits);
        Ok(masked.into())
    }
}

/// Where numbers stand, in order.
fn numbers(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|first| at + first) {
        // The run of digits that begins here; what it is part of begins and ends with it.
        let run = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        at = start + run;
        if is_within(&bytes[..start]) {
            continue;
        }
        let begin = if start > 0 && bytes[start - 1] == b'+' { start - 1 } else { start };
        // No more than a number's length behind, however long the text is.
        let mut window = (start + 20).min(text.len());
        while !text.is_char_boundary(window) {
            window -= 1;
        }
        let Some(number) = NUMBERS.find(&text[begin..window]).filter(|number| number.start() == 0) else { continue };
        let end = begin + number.end();
        let whole = bytes.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        // A mobile number has 11 to 17 characters.
        if whole && (number.len() != 18 || is_identity_number(number.as_str())) {
            found.push(begin..end);
            at = at.max(end);
        }
    }
    found
}

/// Whether what follows these bytes belongs to them: to a name, or to the fraction of a number.
fn is_within(before: &[u8]) -> bool {
    match before {
        [.., digit, b'.'] => digit.is_ascii_digit(),
        [.., last] => last.is_ascii_alphanumeric() || *last == b'_',
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(text: &str) -> String {
        PersonalData::Mask.treat(text.into(), &mut CleanCounts::default()).unwrap().into_owned()
    }

    #[test]
    fn what_is_masked() {
        for (text, masked) in [
            ("电话13812345678，", "电话***********，"),
            ("138-1234-5678 或 138 1234 5678", "***-****-**** 或 *** **** ****"),
            ("+8613812345678", "+*************"),
            ("86-13812345678", "**-***********"),
            ("身份证11010519491231002X。", "身份证******************。"),
            ("13812345678/13912345678", "***********/***********"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(masked), masked);
        }
        let of_hebei = |check| format!("13010519491231002{check}");
        let masked: Vec<String> = "0123456789X".chars().map(|check| mask(&of_hebei(check))).collect();
        assert_eq!(masked.iter().filter(|text| **text == "*".repeat(18)).count(), 1);
    }

    #[test]
    fn what_is_something_else() {
        for text in [
            "12812345678",  // no mobile number begins so
            "138123456789", // a digit too many
            "1381234567",   // one too few
            "a13812345678", // part of a name
            "13812345678b",
            "110105194912310021", // the check character is wrong
            "11010519491231002X1",
            "0013812345678",
            "3.1415926535897932384626433832795",
            "0.13812345678",
            "id_13812345678",
            "2026年11月26日",
            "",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn counted_and_refused() {
        let mut counts = CleanCounts::default();
        let text = "13812345678、11010519491231002X";
        PersonalData::Mask.treat(text.into(), &mut counts).unwrap();
        assert_eq!(counts.masked, Changed { documents: 1, characters: 29 });
        let refusal = PersonalData::Reject.treat(text.into(), &mut counts).unwrap_err();
        assert_eq!((refusal.filter, refusal.why.starts_with("2 numbers")), (Filter::PersonalData, true));
        assert_eq!(PersonalData::Reject.treat("词元".into(), &mut counts).unwrap(), "词元");
    }
}
