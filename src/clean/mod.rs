//! Room `clean`: what is done to a text before it is used, and which texts are not used at all.
//!
//! **Takes** a text and [`CleanSettings`]; **gives** the text to use, which is borrowed where nothing was changed, or the
//! [`Refusal`] with what was measured and the bound. **Promises** that with the settings left as they are nothing is done,
//! that each step is one of a list in a fixed order ([`Step`]), that a text which was normalised is not changed again, and
//! that everything done is counted ([`CleanCounts`]). Steps and filters are pure functions of one text: what one text
//! comes to does not depend on its neighbours. **Does not know** files, documents, duplicates or tokenizers.
//!
//! # Why nothing is the default, and why no NFKC
//!
//! Tokenizers give back the bytes they were given, so every change is a loss that only the owner of a corpus can decide
//! on. NFKC changes 5 to 9 % of all characters of Chinese text, nearly all of them punctuation (`，` becomes `,`), which
//! tells languages apart; what is wanted of it (letters and digits of full width, the ideographic space, radicals) are
//! steps by themselves here.

mod characters;
mod classes;
mod convert;
mod counts;
mod filters;
mod identity;
mod mojibake;
mod normalize;
mod personal;
mod private_use;
mod radicals;
mod repeats;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use convert::Conversion;
use convert::Converter;
pub use counts::{Changed, CleanCounts};
pub use filters::{Filter, Filters, Refusal};
pub use identity::is_identity_number;
pub use normalize::{Normalizer, Step};
pub use personal::PersonalData;

use crate::error::{Error, Result};

/// All that is done to texts; nothing by default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CleanSettings {
    /// Steps of normalisation; they are done in the order of [`Step::ALL`], however they stand here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub normalize: Vec<Step>,
    /// Conversion between simplified and traditional Chinese, behind those steps; it needs the feature `opencc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub convert: Option<Conversion>,
    /// What is done with numbers of telephones and identity cards.
    #[serde(skip_serializing_if = "PersonalData::is_kept")]
    pub personal_data: PersonalData,
    /// The bounds a text must keep.
    #[serde(flatten)]
    pub filters: Filters,
    /// Whether a document whose text was there before is left out. This room only says so: who reads documents does it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deduplicate: bool,
}

impl CleanSettings {
    /// Whether nothing is done to a text by itself.
    #[must_use]
    pub fn leaves_texts(&self) -> bool {
        Self { deduplicate: false, ..self.clone() } == Self::default()
    }

    /// What is done to the characters of a text, in words by commas; empty where nothing is. Filters are not among it: they
    /// choose texts, and change none.
    ///
    /// ```
    /// use ciyuan::clean::{CleanSettings, Step};
    /// let settings = CleanSettings { normalize: vec![Step::Nfc, Step::Crlf], ..CleanSettings::default() };
    /// assert_eq!(settings.changes(), "crlf,nfc");
    /// ```
    #[must_use]
    pub fn changes(&self) -> String {
        let steps = Step::ALL.into_iter().filter(|step| self.normalize.contains(step));
        let mut words: Vec<String> = steps.map(|step| step.name().to_owned()).collect();
        words.extend(self.convert.and_then(|name| Some(serde_json::to_value(name).ok()?.as_str()?.to_owned())));
        if self.personal_data == PersonalData::Mask {
            words.push("mask-personal-data".to_owned());
        }
        words.join(",")
    }
}

/// What a text came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Cleaned<'t> {
    /// The text to use.
    Kept(Cow<'t, str>),
    /// The text is not to be used.
    Refused(Refusal),
}

/// Cleans texts: normalisation first, conversion and personal data next, then the filters, which so see what would be used.
///
/// ```
/// use ciyuan::clean::{CleanCounts, CleanSettings, Cleaned, Cleaner, Step};
///
/// # fn main() -> ciyuan::Result<()> {
/// let settings = CleanSettings { normalize: vec![Step::FullWidth], ..CleanSettings::default() };
/// let mut counts = CleanCounts::default();
/// let cleaned = Cleaner::new(&settings)?.clean("ＧＰＴ－４，２０２６年", &mut counts);
/// assert_eq!(cleaned, Cleaned::Kept("GPT－4，2026年".into()));
/// assert_eq!(counts.normalized[&Step::FullWidth].characters, 8);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cleaner {
    normalizer: Normalizer,
    converter: Option<Converter>,
    personal_data: PersonalData,
    filters: Filters,
}

impl Cleaner {
    /// # Errors
    ///
    /// [`Error::Setting`] for a share that is not from 0 to 1, and for a longest text below the shortest;
    /// [`Error::Feature`] for a conversion in a build without them.
    pub fn new(settings: &CleanSettings) -> Result<Self> {
        settings.filters.check()?;
        let CleanSettings { personal_data, filters, .. } = settings.clone();
        let converter = settings.convert.map(Converter::new).transpose()?;
        Ok(Self { normalizer: Normalizer::new(&settings.normalize), converter, personal_data, filters })
    }

    /// What `text` comes to; what was done is added to `counts`.
    #[must_use]
    pub fn clean<'t>(&self, text: &'t str, counts: &mut CleanCounts) -> Cleaned<'t> {
        let text = self.normalizer.normalize(text, counts);
        let text = match &self.converter {
            Some(converter) => converter.convert(text, counts),
            None => text,
        };
        let text = match self.personal_data.treat(text, counts) {
            Ok(text) => text,
            Err(refusal) => return refused(refusal, counts),
        };
        // A text of which nothing is left is no document.
        let refusal = if text.is_empty() { Some(Refusal::nothing_left()) } else { self.filters.refuse(&text) };
        match refusal {
            Some(refusal) => refused(refusal, counts),
            None => Cleaned::Kept(text),
        }
    }
}

fn refused<'t>(refusal: Refusal, counts: &mut CleanCounts) -> Cleaned<'t> {
    *counts.filtered.entry(refusal.filter).or_default() += 1;
    Cleaned::Refused(refusal)
}

fn setting_error(name: &'static str, value: impl ToString, expected: &str) -> Error {
    Error::Setting { name, value: value.to_string(), expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_done_by_default() {
        let settings = CleanSettings::default();
        assert!(settings.leaves_texts());
        assert_eq!(serde_json::to_string(&settings).unwrap(), "{}");
        let mut counts = CleanCounts::default();
        let text = "\u{FEFF}ＡＢＣ　\r\n13812345678锟斤拷e\u{301}⼀豈\u{E81E}";
        let cleaned = Cleaner::new(&settings).unwrap().clean(text, &mut counts);
        assert!(matches!(cleaned, Cleaned::Kept(Cow::Borrowed(same)) if same == text));
        assert!(counts.is_empty());
    }

    #[test]
    fn filters_see_what_would_be_used() {
        let settings = CleanSettings {
            normalize: vec![Step::ZeroWidth],
            filters: Filters { min_characters: Some(3), ..Filters::default() },
            ..CleanSettings::default()
        };
        let cleaner = Cleaner::new(&settings).unwrap();
        let mut counts = CleanCounts::default();
        let Cleaned::Refused(refusal) = cleaner.clean("词\u{200B}元", &mut counts) else { panic!("it is too short") };
        assert_eq!(refusal.to_string(), "filtered by too-short: 2 characters, at least 3 (--min-characters)");
        assert_eq!(counts.filtered[&Filter::TooShort], 1);
        let Cleaned::Refused(refusal) = cleaner.clean("\u{200B}", &mut counts) else { panic!("nothing is left") };
        assert_eq!(refusal.filter, Filter::NothingLeft);
    }
}
