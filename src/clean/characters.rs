//! The steps of normalisation that are about single characters, as functions of one.

use unicode_normalization::char::{decompose_canonical, decompose_compatible};

use super::private_use;
use super::radicals::SUPPLEMENT;

/// A letter or digit of full width as ASCII (the block of half and full width forms, U+FF00).
pub(super) fn full_width(c: char) -> Option<char> {
    match c {
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => char::from_u32(c as u32 - 0xFEE0),
        _ => None,
    }
}

pub(super) fn ideographic_space(c: char) -> Option<char> {
    (c == '\u{3000}').then_some(' ')
}

pub(super) fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

/// A radical as an ideograph: those of Kangxi by their compatibility mapping, those of the supplement by the table.
pub(super) fn radical(c: char) -> Option<char> {
    match c {
        '\u{2F00}'..='\u{2FD5}' => only(c, |c, push| decompose_compatible(c, push)),
        '\u{2E80}'..='\u{2EF3}' => {
            SUPPLEMENT.binary_search_by_key(&c, |(radical, _)| *radical).ok().map(|at| SUPPLEMENT[at].1)
        }
        _ => None,
    }
}

/// A compatibility ideograph as the unified one, by its canonical mapping. Twelve characters of the block are unified
/// themselves and have none.
pub(super) fn compatibility_ideograph(c: char) -> Option<char> {
    match c {
        '\u{F900}'..='\u{FAFF}' | '\u{2F800}'..='\u{2FA1F}' => {
            only(c, |c, push| decompose_canonical(c, push)).filter(|unified| *unified != c)
        }
        _ => None,
    }
}

pub(super) fn private_use(c: char) -> Option<char> {
    if matches!(c, '\u{E766}'..='\u{E864}') { private_use::assigned(c) } else { None }
}

/// What `decompose` gives, where it is one character.
fn only(c: char, decompose: impl Fn(char, &mut dyn FnMut(char))) -> Option<char> {
    let (mut first, mut more) = (None, false);
    decompose(c, &mut |part| {
        more |= first.is_some();
        first = first.or(Some(part));
    });
    first.filter(|_| !more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization;

    fn all() -> impl Iterator<Item = char> {
        (0..=0x10_FFFF).filter_map(char::from_u32)
    }

    /// NFKC is the oracle where it says the same; the differences are those that are meant.
    #[test]
    fn the_tables_against_compatibility_forms() {
        let nfkc = |c: char| c.nfkc().collect::<String>();
        for c in all() {
            if let Some(to) = full_width(c) {
                assert!(to.is_ascii_alphanumeric());
                assert_eq!(nfkc(c), to.to_string());
            }
            if let Some(to) = radical(c).filter(|_| nfkc(c) != c.to_string()) {
                assert_eq!(nfkc(c), to.to_string(), "{c:?}");
            }
            if let Some(to) = compatibility_ideograph(c) {
                assert_eq!(c.nfc().collect::<String>(), to.to_string(), "{c:?}");
            }
        }
        // As many as there are: 62 letters and digits; 214 radicals and 114 of the supplement; 1002 ideographs.
        let counts: [fn(char) -> Option<char>; 3] = [full_width, radical, compatibility_ideograph];
        assert_eq!(counts.map(|map| all().filter(|c| map(*c).is_some()).count()), [62, 214 + 114, 1002]);
        assert!(all().filter(|c| ('！'..='～').contains(c)).all(|c| full_width(c).is_some() == c.is_alphanumeric()));
    }

    /// What is taken away is invisible to Unicode, too: default ignorable.
    #[test]
    fn zero_width_is_ignorable() {
        let ignorable = regex::Regex::new(r"^\p{Default_Ignorable_Code_Point}$").unwrap();
        let gone: Vec<char> = all().filter(|c| is_zero_width(*c)).collect();
        assert_eq!(gone.len(), 8);
        assert!(gone.iter().all(|c| ignorable.is_match(&c.to_string())));
    }
}
