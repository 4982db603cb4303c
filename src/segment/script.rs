//! Of which script a character is: Han, Latin, another one, or none; and whether it is a numeral.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use serde::Serialize;

use super::han::is_han;

/// The scripts that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Script {
    /// Chinese characters.
    Han,
    /// Latin letters.
    Latin,
    /// Letters of other scripts.
    Other,
    /// White space, digits, punctuation, symbols.
    None,
}

impl Script {
    /// All scripts, in the order of reports.
    pub const ALL: [Self; 4] = [Self::Han, Self::Latin, Self::Other, Self::None];

    /// The script of a character.
    ///
    /// ```
    /// use ciyuan::segment::Script;
    /// assert_eq!(['词', 'é', 'カ', '，'].map(Script::of), [Script::Han, Script::Latin, Script::Other, Script::None]);
    /// ```
    #[must_use]
    pub fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::Latin,
            '\0'..='\x7F' => Self::None,
            '\u{4E00}'..='\u{9FFF}' => Self::Han,
            _ if is_han(c) => Self::Han,
            _ if LATIN.has(c) => Self::Latin,
            _ if NO_SCRIPT.has(c) => Self::None,
            _ => Self::Other,
        }
    }
}

static LATIN: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"\p{Latin}"));
static NO_SCRIPT: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"[\p{Common}\p{Inherited}\p{Cn}\p{Co}]"));

/// Whether a character is a digit or another numeral, of whatever script, but no Chinese character.
pub(crate) fn is_numeral(c: char) -> bool {
    match c {
        '\0'..='\x7F' => c.is_ascii_digit(),
        _ => !is_han(c) && NUMERALS.has(c),
    }
}

static NUMERALS: LazyLock<Ranges> = LazyLock::new(|| Ranges::of(r"\p{N}"));

/// Characters as ranges, in order.
pub(crate) struct Ranges(Vec<(char, char)>);

impl Ranges {
    /// The characters of a class.
    pub(crate) fn of(class: &str) -> Self {
        match regex_syntax::parse(class).map(|hir| hir.into_kind()) {
            Ok(HirKind::Class(Class::Unicode(class))) => {
                Self(class.ranges().iter().map(|range| (range.start(), range.end())).collect())
            }
            _ => Self(Vec::new()),
        }
    }

    /// The first and the last character of each range, as numbers; only reports write them.
    #[cfg(feature = "pipeline")]
    pub(crate) fn flat(&self) -> Vec<u32> {
        self.0.iter().flat_map(|(start, end)| [*start as u32, *end as u32]).collect()
    }

    pub(crate) fn has(&self, c: char) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < c);
        self.0.get(at).is_some_and(|(start, _)| *start <= c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_equal_their_regex() {
        let regexes = [r"^\p{Han}", r"^\p{Latin}", r"", r"^[\p{Common}\p{Inherited}\p{Cn}\p{Co}]"]
            .map(|regex| regex::Regex::new(regex).unwrap());
        let mut seen = [0; 4];
        // Every third, as the regex is slow; all of the first 64 K.
        for c in ('\0'..='\u{FFFF}').chain(('\u{10000}'..=char::MAX).step_by(3)) {
            let script = Script::of(c);
            seen[script as usize] += 1;
            let text = c.to_string();
            let matches = [0, 1, 3].map(|at| regexes[at].is_match(&text));
            let wanted = [Script::Han, Script::Latin, Script::None].map(|other| other == script);
            assert_eq!(matches, wanted, "U+{:04X}", c as u32);
        }
        assert!(seen.iter().all(|count| *count > 1000), "{seen:?}");
    }

    #[test]
    fn numerals_of_every_script() {
        let numeral = regex::Regex::new(r"^[\p{N}--\p{Han}]").unwrap();
        for c in ('\0'..='\u{FFFF}').chain(('\u{10000}'..=char::MAX).step_by(3)) {
            assert_eq!(is_numeral(c), numeral.is_match(&c.to_string()), "U+{:04X}", c as u32);
        }
        assert!(
            ['7', '７', '٣', '½', 'Ⅳ'].into_iter().all(is_numeral) && !['〇', '一', 'a'].into_iter().any(is_numeral)
        );
    }
}
