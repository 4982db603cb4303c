//! Traditional to simplified Chinese and back, with the words of Taiwan and Hong Kong: OpenCC's dictionaries, run by
//! `ferrous-opencc` (feature `opencc`).
//!
//! Conversion is of words, longest match first, so it is no map of characters: 头发 becomes 頭髮, 发展 becomes 發展. A line
//! without Han characters is not looked at. What is converted twice may change twice: 乾 of 乾隆 stays for the dictionary
//! of words, not for one that has lost the word; so this step comes behind all others, once.

use std::borrow::Cow;
use std::fmt;
#[cfg(feature = "opencc")]
use std::sync::Arc;

use serde::{Deserialize, Serialize};

#[cfg(feature = "opencc")]
use super::Changed;
use super::CleanCounts;
#[cfg(not(feature = "opencc"))]
use crate::error::Error;
use crate::error::Result;
#[cfg(feature = "opencc")]
use crate::segment::is_han;

/// A conversion of OpenCC, by its name there: `s` simplified, `t` traditional, `tw` as in Taiwan, `hk` as in Hong Kong,
/// `p` with the words of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum Conversion {
    S2t,
    T2s,
    S2tw,
    Tw2s,
    S2twp,
    Tw2sp,
    S2hk,
    Hk2s,
    T2tw,
    Tw2t,
    T2hk,
    Hk2t,
}

/// A conversion, ready to run.
#[derive(Clone)]
pub(super) struct Converter {
    conversion: Conversion,
    #[cfg(feature = "opencc")]
    engine: Arc<ferrous_opencc::OpenCC>,
}

impl fmt::Debug for Converter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Converter").field(&self.conversion).finish()
    }
}

#[cfg(not(feature = "opencc"))]
impl Converter {
    /// # Errors
    ///
    /// [`Error::Feature`], always: this build has no dictionaries.
    pub(super) fn new(_: Conversion) -> Result<Self> {
        Err(Error::Feature { feature: "opencc", what: "converting simplified and traditional Chinese" })
    }

    pub(super) fn convert<'t>(&self, text: Cow<'t, str>, _: &mut CleanCounts) -> Cow<'t, str> {
        text
    }
}

#[cfg(feature = "opencc")]
impl Converter {
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) when the dictionaries of the conversion cannot be loaded.
    pub(super) fn new(conversion: Conversion) -> Result<Self> {
        use ferrous_opencc::config::BuiltinConfig;
        let config = match conversion {
            Conversion::S2t => BuiltinConfig::S2t,
            Conversion::T2s => BuiltinConfig::T2s,
            Conversion::S2tw => BuiltinConfig::S2tw,
            Conversion::Tw2s => BuiltinConfig::Tw2s,
            Conversion::S2twp => BuiltinConfig::S2twp,
            Conversion::Tw2sp => BuiltinConfig::Tw2sp,
            Conversion::S2hk => BuiltinConfig::S2hk,
            Conversion::Hk2s => BuiltinConfig::Hk2s,
            Conversion::T2tw => BuiltinConfig::T2tw,
            Conversion::Tw2t => BuiltinConfig::Tw2t,
            Conversion::T2hk => BuiltinConfig::T2hk,
            Conversion::Hk2t => BuiltinConfig::Hk2t,
        };
        let engine = ferrous_opencc::OpenCC::from_config(config).map_err(|error| {
            super::setting_error("convert", format!("{conversion:?}").to_lowercase(), &format!("loadable: {error}"))
        })?;
        Ok(Self { conversion, engine: Arc::new(engine) })
    }

    /// The converted text. Of a line that keeps its number of characters those that differ are counted, of another all.
    pub(super) fn convert<'t>(&self, text: Cow<'t, str>, counts: &mut CleanCounts) -> Cow<'t, str> {
        if text.is_ascii() {
            return text;
        }
        let (mut out, mut changed) = (String::with_capacity(text.len()), 0);
        for line in text.split_inclusive('\n') {
            if !line.contains(is_han) {
                out.push_str(line);
                continue;
            }
            let converted = self.engine.convert(line);
            changed += differing(line, &converted);
            out.push_str(&converted);
        }
        if changed == 0 {
            return text;
        }
        let Changed { documents, characters } = &mut counts.converted;
        (*documents, *characters) = (*documents + 1, *characters + changed);
        out.into()
    }
}

#[cfg(feature = "opencc")]
fn differing(before: &str, after: &str) -> u64 {
    if before == after {
        return 0;
    }
    let all = before.chars().count();
    let differ = before.chars().zip(after.chars()).filter(|(old, new)| old != new).count();
    (if all == after.chars().count() { differ } else { all }) as u64
}

#[cfg(test)]
#[cfg(feature = "opencc")]
mod tests {
    use super::*;

    fn convert(conversion: Conversion, text: &str) -> (String, u64) {
        let mut counts = CleanCounts::default();
        let text = Converter::new(conversion).unwrap().convert(text.into(), &mut counts).into_owned();
        (text, counts.converted.characters)
    }

    /// Examples of OpenCC's own tests and documentation.
    #[test]
    fn conversions() {
        for (conversion, text, expected) in [
            (Conversion::S2t, "头发发展，干燥的后面", "頭髮發展，乾燥的後面"),
            (Conversion::T2s, "頭髮發展，乾燥的後面", "头发发展，干燥的后面"),
            (Conversion::S2twp, "鼠标里面的硅二极管坏了", "滑鼠裡面的矽二極體壞了"),
            (Conversion::Tw2sp, "滑鼠裡面的矽二極體壞了", "鼠标里面的硅二极管坏了"),
            (Conversion::S2hk, "虚伪叹息", "虛偽嘆息"),
            (Conversion::S2tw, "着装污染虚伪发泄棱柱", "著裝汙染虛偽發洩稜柱"),
        ] {
            assert_eq!(convert(conversion, text).0, expected, "{conversion:?}");
        }
    }

    #[test]
    fn counted_and_left() {
        assert_eq!(convert(Conversion::T2s, "詞元\ntokens\n，é"), ("词元\ntokens\n，é".to_owned(), 1));
        assert_eq!(convert(Conversion::T2s, "词元"), ("词元".to_owned(), 0));
        assert_eq!(convert(Conversion::S2t, "tokens"), ("tokens".to_owned(), 0));
    }
}
