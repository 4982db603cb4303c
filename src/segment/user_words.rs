//! Words of the user's own, in the format of jieba's user dictionaries: the format, and its parser.

use std::sync::OnceLock;

use super::additions::Additions;
use super::words::{Dictionary, Fold};
use crate::error::{Error, Result, UserWordFault};

/// The longest word, in characters, so that no text can make the search for words slow.
const MAX_CHARACTERS: usize = 255;

impl Dictionary {
    /// The built-in dictionary and the words of `text`, looked up as `fold` says.
    ///
    /// ```
    /// use ciyuan::segment::{Dictionary, Fold, WordMode};
    /// let words = "云计算\n新款 iPhone 5 nz\n我们 0\n";
    /// let dictionary = Dictionary::with_user_words(Fold::Simplified, words.as_bytes())?;
    /// let text = "我们用雲計算";
    /// let words = dictionary.words(text, WordMode::Words);
    /// assert_eq!(words.into_iter().map(|word| &text[word]).collect::<Vec<_>>(), ["我", "们", "用", "雲計算"]);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # The format
    ///
    /// It is that of Python's jieba 0.42. A line is `word [frequency] [tag]`, with single spaces between: the frequency
    /// is the digits at the end or before the tag, the tag is small letters of ASCII at the end, and the rest is the
    /// word, which may have spaces. So `machine learning` is the word `machine` with a tag; `machine learning 9` is two
    /// words in one. A byte order mark and `\r` before `\n` are passed over, and so are blank lines. White space around
    /// a line is removed, and also around the word, where jieba would keep it. Tags are read and not used.
    ///
    /// Lines are taken in order, and each sees those before it:
    ///
    /// * A word with a frequency gets it, whether it is new or not.
    /// * A word without one gets what jieba suggests, so that it is just more probable than what the dictionary would
    ///   cut it into: the product of the frequencies of those parts, each by the sum of all, times the sum, without its
    ///   fraction, and one more; and no less than the word has already.
    /// * A word with the frequency 0 is deleted: it is no word any more, as if it had never stood in the dictionary.
    ///   Jieba-rs keeps it as a word of the probability 0, which spoils what stands before it in a text.
    /// * The sum of all frequencies, by which each is divided, grows by that of each line, as in jieba, even where the
    ///   word was there before.
    ///
    /// With [`Fold::Simplified`] words are folded as texts are: `雲計算` and `云计算` are the same line.
    ///
    /// # What is found
    ///
    /// In [`WordMode::Words`](super::WordMode::Words) every word of the file, also one with characters that jieba never
    /// puts into words: spaces, punctuation, full-width letters, kana, the rarest ideographs. Such characters are then
    /// part of the text in which words are sought; without such words nothing changes. The other modes run through
    /// jieba-rs with the same words and frequencies. They do not find words with such characters, and deleting words of
    /// the built-in dictionary makes their first use some tenths of a second slower. A [`Segmenter`](super::Segmenter)
    /// asks for words inside runs of Han characters only.
    ///
    /// # Errors
    ///
    /// [`Error::UserWord`] with the line: invalid UTF-8, a control character (also a tab), a frequency above
    /// 4,294,967,295, a word of more than 255 characters, or more words, characters or frequencies than there is room
    /// for. The room is for a hundred thousand words and more, for 20,722 characters that are in no built-in word, and for
    /// 125,984 frequencies that no built-in word has.
    pub fn with_user_words(fold: Fold, text: &[u8]) -> Result<Self> {
        let mut dictionary = Self::new(fold);
        dictionary.add_user_words(text)?;
        Ok(dictionary)
    }

    /// Adds the words of one more user dictionary. After an error the dictionary is as it was.
    ///
    /// # Errors
    ///
    /// Those of [`Dictionary::with_user_words`].
    pub fn add_user_words(&mut self, text: &[u8]) -> Result<()> {
        let mut additions = Additions::to(&self.lexicon, &self.fold);
        let mut added = Vec::new();
        for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let wrong = |fault| Error::UserWord { path: None, line, fault };
            if let Some(UserWord { word, frequency }) = parse(bytes).map_err(wrong)? {
                let frequency = additions.add(word, frequency).map_err(wrong)?;
                added.push((self.folded(word).unwrap_or_else(|| word.to_owned()), frequency));
            }
        }
        self.lexicon = additions.finish();
        self.user_words.extend(added);
        self.jieba = OnceLock::new();
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct UserWord<'l> {
    word: &'l str,
    frequency: Option<u32>,
}

/// The word of a line; `None` for a blank one.
fn parse(line: &[u8]) -> std::result::Result<Option<UserWord<'_>>, UserWordFault> {
    let invalid = |error: std::str::Utf8Error| UserWordFault::InvalidUtf8 { column: error.valid_up_to() + 1 };
    let line = std::str::from_utf8(line).map_err(invalid)?.trim().trim_start_matches('\u{FEFF}').trim();
    if line.is_empty() {
        return Ok(None);
    }
    let (rest, _tag) = last_part(line, |byte| byte.is_ascii_lowercase());
    let (word, digits) = last_part(rest, |byte| byte.is_ascii_digit());
    let word = word.trim();
    if let Some(character) = word.chars().find(|c| c.is_control()) {
        return Err(UserWordFault::Control { word: word.to_owned(), character });
    }
    let characters = word.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(UserWordFault::TooLong { characters, max: MAX_CHARACTERS });
    }
    let number = |digits: &str| {
        // Nothing but digits: what does not fit is too large.
        digits.parse().map_err(|_| UserWordFault::Frequency { found: shortened(digits), max: u32::MAX })
    };
    Ok(Some(UserWord { word, frequency: digits.map(number).transpose()? }))
}

/// The line before its last part, and that part, if it is set off by a space and all bytes of it are of a kind.
fn last_part(line: &str, of_kind: impl Fn(u8) -> bool) -> (&str, Option<&str>) {
    match line.rsplit_once(' ') {
        Some((rest, part)) if !part.is_empty() && part.bytes().all(of_kind) => (rest, Some(part)),
        _ => (line, None),
    }
}

/// So that an error fits on a line.
fn shortened(digits: &str) -> String {
    match digits.get(..30) {
        Some(start) => format!("{start}... ({} digits)", digits.len()),
        None => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HanEdges, Pattern, Segmenter};
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;
    use std::sync::{Arc, LazyLock};

    fn parsed(line: &str) -> (&str, Option<u32>) {
        let UserWord { word, frequency } = parse(line.as_bytes()).unwrap().unwrap();
        (word, frequency)
    }

    #[test]
    fn lines() {
        assert_eq!(parsed("云计算 5 n"), ("云计算", Some(5)));
        assert_eq!(parsed("云计算 5"), ("云计算", Some(5)));
        assert_eq!(parsed("云计算 n"), ("云计算", None));
        assert_eq!(parsed("云计算"), ("云计算", None));
        assert_eq!(parsed("\u{FEFF}云计算 005 nz\r"), ("云计算", Some(5)));
        assert_eq!(parsed(" \u{3000}云计算  5  "), ("云计算", Some(5)));
        assert_eq!(parsed("New York"), ("New York", None));
        assert_eq!(parsed("New York 3"), ("New York", Some(3)));
        assert_eq!(parsed("machine learning"), ("machine", None));
        assert_eq!(parsed("machine learning 9"), ("machine learning", Some(9)));
        assert_eq!(parsed("Windows 11 nz"), ("Windows", Some(11)));
        assert_eq!(parsed("iOS 17 3 nz"), ("iOS 17", Some(3)));
        assert_eq!(parsed("5"), ("5", None));
        assert_eq!(parsed("n"), ("n", None));
        assert_eq!(parsed("词 -5"), ("词 -5", None));
        assert_eq!(parsed("词 5 N"), ("词 5 N", None));
        assert_eq!(parsed("词 4294967295"), ("词", Some(u32::MAX)));
        for blank in ["", " ", "\r", "\u{FEFF}", "\u{3000}\t"] {
            assert_eq!(parse(blank.as_bytes()), Ok(None));
        }
    }

    #[test]
    fn bad_lines() {
        assert_eq!(parse(b"\xE4\xBA\x91\xFF"), Err(UserWordFault::InvalidUtf8 { column: 4 }));
        let control = UserWordFault::Control { word: "词\t5".to_owned(), character: '\t' };
        assert_eq!(parse("词\t5".as_bytes()), Err(control.clone()));
        assert!(control.to_string().contains("`词\\t5` holds the control character U+0009"), "{control}");
        assert!(matches!(parse(b"a\rb"), Err(UserWordFault::Control { character: '\r', .. })));
        for digits in ["4294967296", "99999999999999999999999999999999999999999999999999"] {
            let fault = parse(format!("词 {digits} n").as_bytes()).unwrap_err();
            assert!(matches!(fault, UserWordFault::Frequency { .. }) && fault.to_string().len() < 150, "{fault}");
        }
        assert!(parse("字".repeat(255).as_bytes()).is_ok());
        assert_eq!(parse("字".repeat(256).as_bytes()), Err(UserWordFault::TooLong { characters: 256, max: 255 }));
    }

    #[test]
    fn errors_name_the_line_and_change_nothing() {
        let mut dictionary = Dictionary::with_user_words(Fold::None, "云计算\n".as_bytes()).unwrap();
        let error = dictionary.add_user_words("我们 0\n\n词\t5\n".as_bytes()).unwrap_err();
        assert!(matches!(error, Error::UserWord { path: None, line: 3, .. }), "{error}");
        let text = error.in_user_dictionary("own.txt").to_string();
        assert!(text.starts_with("user dictionary `own.txt`, line 3: `词\\t5` holds"), "{text}");
        let mut ends = Vec::new();
        dictionary.word_ends("我们云计算", &mut ends);
        assert_eq!(ends, [6, 15]);
    }

    #[test]
    fn a_segmenter_cuts_by_them() {
        let dictionary = Arc::new(Dictionary::with_user_words(Fold::Simplified, "云计算\n".as_bytes()).unwrap());
        let mut ends = Vec::new();
        for (edges, expected) in [(HanEdges::Words, &[3, 12, 14][..]), (HanEdges::None, &[12, 14])] {
            let segmenter = Segmenter::with_dictionary(Pattern::default(), edges, dictionary.clone());
            segmenter.spans("用雲計算 a", &mut ends).unwrap();
            assert_eq!(ends, expected);
        }
    }

    proptest! {
        /// Lines are read as by the regular expression in jieba 0.42.1, but for the white space around the word. What is too
        /// large for a frequency is an error.
        #[test]
        fn equals_the_expression_of_jieba(line in "[a词 ]{0,3}( ?[0-9]{0,3}| ?[a-z]{0,2}| ?[A词]{0,2}){0,4}") {
            static JIEBA: LazyLock<Regex> =
                LazyLock::new(|| Regex::new("^(.+?)( [0-9]+)?( [a-z]+)?$").unwrap());
            let expected = JIEBA.captures(line.trim()).map(|found| {
                let frequency: Option<u64> = found.get(2).map(|digits| digits.as_str().trim().parse().unwrap());
                (found[1].trim().to_owned(), frequency)
            });
            let got = parse(line.as_bytes());
            if expected.as_ref().and_then(|(_, frequency)| *frequency) > Some(u64::from(u32::MAX)) {
                prop_assert!(matches!(got, Err(UserWordFault::Frequency { .. })), "{got:?}");
            } else {
                let own = |UserWord { word, frequency }: UserWord<'_>| (word.to_owned(), frequency.map(u64::from));
                prop_assert_eq!(got.unwrap().map(own), expected);
            }
        }
    }
}
