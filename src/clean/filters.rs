//! Bounds that a text must keep, and the refusal of one that does not.
//!
//! Each filter measures one figure of a text and is off unless its bound is given. Shares are of characters without white
//! space unless said otherwise, so that they mean the same in Chinese, which has little of it, and in English. They follow
//! the rules of Gopher (Rae et al. 2021, arXiv 2112.11446, table A1) and C4 (Raffel et al. 2020, arXiv 1910.10683) where
//! those count words, with characters instead.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::classes::{Kind, kind};
use super::mojibake::mojibake;
use super::repeats::{repeated_lines, repeated_ngrams};
use super::setting_error;
use crate::error::Result;

/// The filters by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Cleaning left no text.
    NothingLeft,
    /// Too few characters.
    TooShort,
    /// Too many characters.
    TooLong,
    /// Too small a share of Han characters.
    HanShare,
    /// Too large a share of letters of scripts beside Han and Latin.
    ScriptMix,
    /// Too large a share of symbols.
    SymbolShare,
    /// Too large a share of lines that stood there before.
    RepeatedLines,
    /// Too large a share of characters inside runs that stood there before.
    RepeatedNgrams,
    /// Too small a share of lines that end as sentences do.
    LineEnds,
    /// Text that was decoded wrongly.
    Mojibake,
    /// Numbers of telephones or identity cards.
    PersonalData,
}

impl Filter {
    /// Its name, as in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NothingLeft => "nothing-left",
            Self::TooShort => "too-short",
            Self::TooLong => "too-long",
            Self::HanShare => "han-share",
            Self::ScriptMix => "script-mix",
            Self::SymbolShare => "symbol-share",
            Self::RepeatedLines => "repeated-lines",
            Self::RepeatedNgrams => "repeated-ngrams",
            Self::LineEnds => "line-ends",
            Self::Mojibake => "mojibake",
            Self::PersonalData => "personal-data",
        }
    }
}

/// Why a text is not used: the filter, what was measured, and the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The filter that refused it.
    pub filter: Filter,
    /// What was measured and the bound, in words.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filtered by {}: {}", self.filter.name(), self.why)
    }
}

impl Refusal {
    pub(super) fn nothing_left() -> Self {
        Self { filter: Filter::NothingLeft, why: "every character was taken away".to_owned() }
    }

    fn count(filter: Filter, got: u64, bound: &str, value: u64, flag: &str) -> Self {
        Self { filter, why: format!("{got} characters, {bound} {value} ({flag})") }
    }

    fn share(filter: Filter, what: &str, got: f64, bound: &str, value: f64, flag: &str) -> Self {
        Self { filter, why: format!("a share of {got:.4} {what}, {bound} {value} ({flag})") }
    }
}

/// The bounds; none by default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// The fewest characters, white space among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_characters: Option<u64>,
    /// The most characters, white space among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_characters: Option<u64>,
    /// The smallest share of Han characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_han: Option<f64>,
    /// The largest share of letters that are neither Han nor Latin among all letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_other_scripts: Option<f64>,
    /// The largest share of characters that are no letter, mark, numeral or punctuation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_symbols: Option<f64>,
    /// The largest share of lines that are the same as an earlier one; blank lines do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_repeated_lines: Option<f64>,
    /// The largest share of characters inside runs of ten that stand earlier in the text, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_repeated_ngrams: Option<f64>,
    /// The smallest share of lines whose last character ends a sentence: `。！？…；：` and the Latin ones, with closing
    /// quotes and brackets behind them; blank lines do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_line_ends: Option<f64>,
    /// Whether text that was decoded wrongly is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reject_mojibake: bool,
}

impl Filters {
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) for a share that is not from 0 to 1, and for bounds that no text keeps.
    pub(super) fn check(&self) -> Result<()> {
        for (name, share) in [
            ("min-han", self.min_han),
            ("max-other-scripts", self.max_other_scripts),
            ("max-symbols", self.max_symbols),
            ("max-repeated-lines", self.max_repeated_lines),
            ("max-repeated-ngrams", self.max_repeated_ngrams),
            ("min-line-ends", self.min_line_ends),
        ] {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(setting_error(name, share, "a share, from 0 to 1"));
            }
        }
        match (self.min_characters, self.max_characters) {
            (Some(min), Some(max)) if min > max => {
                Err(setting_error("max-characters", max, &format!("{min} at least, as --min-characters says")))
            }
            _ => Ok(()),
        }
    }

    /// The first bound that the text does not keep; cheap ones are looked at first.
    pub(super) fn refuse(&self, text: &str) -> Option<Refusal> {
        self.refuse_length(text)
            .or_else(|| self.refuse_kinds(text))
            .or_else(|| self.refuse_lines(text))
            .or_else(|| {
                let found = self.reject_mojibake.then(|| mojibake(text)).flatten()?;
                Some(Refusal { filter: Filter::Mojibake, why: format!("{found} (--reject-mojibake)") })
            })
            .or_else(|| {
                let max = self.max_repeated_ngrams?;
                let got = repeated_ngrams(text);
                let what = "of characters in repeated runs of ten";
                let flag = "--max-repeated-ngrams";
                (got > max).then(|| Refusal::share(Filter::RepeatedNgrams, what, got, "at most", max, flag))
            })
    }

    fn refuse_length(&self, text: &str) -> Option<Refusal> {
        if self.min_characters.is_none() && self.max_characters.is_none() {
            return None;
        }
        let got = text.chars().count() as u64;
        if let Some(min) = self.min_characters.filter(|min| got < *min) {
            return Some(Refusal::count(Filter::TooShort, got, "at least", min, "--min-characters"));
        }
        let max = self.max_characters.filter(|max| got > *max)?;
        Some(Refusal::count(Filter::TooLong, got, "at most", max, "--max-characters"))
    }

    fn refuse_kinds(&self, text: &str) -> Option<Refusal> {
        if self.min_han.is_none() && self.max_other_scripts.is_none() && self.max_symbols.is_none() {
            return None;
        }
        let kinds = Kinds::of(text);
        if let Some(min) = self.min_han.filter(|min| kinds.han_share() < *min) {
            let (got, what) = (kinds.han_share(), "of Han characters");
            return Some(Refusal::share(Filter::HanShare, what, got, "at least", min, "--min-han"));
        }
        if let Some(max) = self.max_other_scripts.filter(|max| kinds.other_share() > *max) {
            let (got, what, flag) = (kinds.other_share(), "of letters of other scripts", "--max-other-scripts");
            return Some(Refusal::share(Filter::ScriptMix, what, got, "at most", max, flag));
        }
        let max = self.max_symbols.filter(|max| kinds.symbol_share() > *max)?;
        let got = kinds.symbol_share();
        Some(Refusal::share(Filter::SymbolShare, "of symbols", got, "at most", max, "--max-symbols"))
    }

    fn refuse_lines(&self, text: &str) -> Option<Refusal> {
        if let Some(max) = self.max_repeated_lines {
            let got = repeated_lines(text);
            if got > max {
                let (what, flag) = ("of repeated lines", "--max-repeated-lines");
                return Some(Refusal::share(Filter::RepeatedLines, what, got, "at most", max, flag));
            }
        }
        let min = self.min_line_ends?;
        let got = line_ends(text);
        let (what, flag) = ("of lines that end as a sentence does", "--min-line-ends");
        (got < min).then(|| Refusal::share(Filter::LineEnds, what, got, "at least", min, flag))
    }
}

fn share(part: u64, all: u64) -> f64 {
    part as f64 / all.max(1) as f64
}

/// Characters by kind.
#[derive(Default)]
struct Kinds {
    /// All but white space.
    visible: u64,
    han: u64,
    latin: u64,
    other: u64,
    symbols: u64,
}

impl Kinds {
    fn of(text: &str) -> Self {
        let mut kinds = Self::default();
        for c in text.chars() {
            let kind = kind(c);
            kinds.visible += u64::from(kind != Kind::Space);
            match kind {
                Kind::Han => kinds.han += 1,
                Kind::Latin => kinds.latin += 1,
                Kind::OtherLetter => kinds.other += 1,
                Kind::Symbol => kinds.symbols += 1,
                Kind::Space | Kind::Digit | Kind::Punctuation => {}
            }
        }
        kinds
    }

    fn han_share(&self) -> f64 {
        share(self.han, self.visible)
    }

    fn other_share(&self) -> f64 {
        share(self.other, self.han + self.latin + self.other)
    }

    fn symbol_share(&self) -> f64 {
        share(self.symbols, self.visible)
    }
}

/// What ends a sentence, in Chinese and in Latin punctuation; the colon and the semicolon end clauses that go on in the
/// next line.
const ENDS: &str = "。！？…；：．.!?;:";
/// What may stand behind that.
const CLOSES: &str = "”’」』）》〉】〕\"')]";

/// The share of lines that end as a sentence does, among those that are not blank.
fn line_ends(text: &str) -> f64 {
    let (mut lines, mut ended) = (0, 0);
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        lines += 1;
        let closed = line.trim_end_matches(|c| CLOSES.contains(c));
        ended += u64::from(closed.ends_with(|c| ENDS.contains(c)));
    }
    share(ended, lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(filters: Filters, text: &str) -> Option<(Filter, String)> {
        filters.check().unwrap();
        filters.refuse(text).map(|refusal| (refusal.filter, refusal.to_string()))
    }

    /// Each bound refuses the one text and not the other, which lies on the bound.
    #[test]
    fn each_bound() {
        let none = Filters::default;
        for (filters, kept, out, filter, why) in [
            (Filters { min_characters: Some(2), ..none() }, "词元", "词", Filter::TooShort, "1 characters, at least 2"),
            (
                Filters { max_characters: Some(2), ..none() },
                "词元",
                "词元x",
                Filter::TooLong,
                "3 characters, at most 2",
            ),
            (
                Filters { min_han: Some(0.5), ..none() },
                "词 \n\u{3000}a",
                "词，a",
                Filter::HanShare,
                "a share of 0.3333 of Han",
            ),
            (
                Filters { max_other_scripts: Some(0.25), ..none() },
                "词ab я1234",
                "词a я1234",
                Filter::ScriptMix,
                "0.3333 of letters of other scripts, at most 0.25",
            ),
            (Filters { max_symbols: Some(0.5), ..none() }, "词+，=", "词+=", Filter::SymbolShare, "0.6667 of symbols"),
            (
                Filters { max_repeated_lines: Some(0.25), ..none() },
                "一\n一\n\n\n二\n三",
                "一\n一\n二",
                Filter::RepeatedLines,
                "0.3333 of repeated lines",
            ),
            (
                Filters { min_line_ends: Some(0.5), ..none() },
                "他说：“好。”\n\n标题",
                "好。 \n标题\n目录",
                Filter::LineEnds,
                "0.3333 of lines that end",
            ),
            (
                Filters { max_repeated_ngrams: Some(0.1), ..none() },
                "一二三四五六七八九十",
                "一二三四五六七八九十一二三四五六七八九十",
                Filter::RepeatedNgrams,
                "0.5000 of characters in repeated runs",
            ),
            (Filters { reject_mojibake: true, ..none() }, "斤拷", "锟斤拷锟斤拷", Filter::Mojibake, "锟斤拷"),
        ] {
            assert_eq!(refused(filters.clone(), kept), None, "{kept}");
            let (by, text) = refused(filters, out).expect(out);
            assert_eq!(by, filter);
            assert!(text.contains(why), "{text}");
            assert_eq!(serde_json::to_value(filter).unwrap(), filter.name());
        }
    }

    #[test]
    fn bounds_that_cannot_be() {
        let wrong = |filters: Filters| filters.check().unwrap_err().to_string();
        assert!(wrong(Filters { min_han: Some(1.5), ..Filters::default() }).contains("min-han"));
        assert!(wrong(Filters { max_symbols: Some(f64::NAN), ..Filters::default() }).contains("from 0 to 1"));
        let bounds = Filters { min_characters: Some(3), max_characters: Some(2), ..Filters::default() };
        assert!(wrong(bounds).contains("3 at least"));
    }

    #[test]
    fn shares_of_nothing() {
        assert_eq!((line_ends("\n \n"), Kinds::of(" ").han_share(), Kinds::of("1").other_share()), (0.0, 0.0, 0.0));
    }
}
