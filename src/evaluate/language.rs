//! Which language a document counts for: a rule of thumb by script, made for reporting Chinese and English apart.

/// Language of a document, by its letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Chinese: at least one Han character for every four Latin letters.
    Zh,
    /// English, or any other text in Latin letters, program code among it.
    En,
    /// Neither Han nor Latin letters.
    Other,
}

impl Language {
    /// All languages, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Zh, Self::En, Self::Other];

    /// The language that `text` counts for.
    ///
    /// A Han character carries about as much as four Latin letters, so the scripts are weighed 4 to 1: Chinese prose
    /// full of English terms is Chinese, an English page that quotes a Chinese name is English.
    ///
    /// ```
    /// use ciyuan::evaluate::Language;
    /// assert_eq!(Language::of("用 cargo build 编译这个项目"), Language::Zh);
    /// assert_eq!(Language::of("The word 词元 means token."), Language::En);
    /// assert_eq!(Language::of("3.14"), Language::Other);
    /// ```
    #[must_use]
    pub fn of(text: &str) -> Self {
        let (mut han, mut latin) = (0u64, 0u64);
        for c in text.chars() {
            if c.is_ascii_alphabetic() {
                latin += 1;
            } else if !c.is_ascii() && crate::segment::is_han(c) {
                han += 1;
            }
        }
        match (han, latin) {
            (0, 0) => Self::Other,
            _ if 4 * han >= latin => Self::Zh,
            _ => Self::En,
        }
    }

    /// `zh`, `en` or `other`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
            Self::Other => "other",
        }
    }
}
