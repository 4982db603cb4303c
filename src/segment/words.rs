//! Chinese words by the dictionary of jieba.
//!
//! The plain version: jieba-rs itself, on text folded character for character from traditional to simplified, because
//! its dictionary knows simplified words only (without the fold, traditional text falls into single characters).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use jieba_rs::{Jieba, TokenizeMode};

/// Traditional characters and their simplified forms; source and licence stand in the file's head.
const FOLD: &str = include_str!("fold.txt");

static BUILT_IN: LazyLock<Arc<Dictionary>> = LazyLock::new(|| Arc::new(Dictionary::new(Fold::Simplified)));

/// Which form of a character is looked up in the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fold {
    /// The simplified form.
    #[default]
    Simplified,
    /// The character as it stands.
    None,
}

/// How text is cut into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WordMode {
    /// The most probable sequence of dictionary words; characters outside them stand alone.
    #[default]
    Words,
    /// The same, with jieba's hidden Markov model joining characters outside the dictionary into new words.
    Hmm,
    /// As `Hmm`, and the shorter words inside long ones before them, as search engines index them.
    Search,
    /// Every dictionary word at every place; they overlap.
    All,
}

/// A dictionary of Chinese words with their frequencies.
pub struct Dictionary {
    jieba: Jieba,
    fold: Option<HashMap<char, char>>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary").field("fold", &self.fold.is_some()).finish_non_exhaustive()
    }
}

impl Dictionary {
    /// jieba's dictionary of 349,045 words, looked up as `fold` says. Takes about 0.1 s.
    #[must_use]
    pub fn new(fold: Fold) -> Self {
        Self { jieba: Jieba::new(), fold: (fold == Fold::Simplified).then(fold_table) }
    }

    /// The dictionary that learning uses: [`Dictionary::new`] with [`Fold::Simplified`], made once.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        BUILT_IN.clone()
    }

    /// The words of `text` as byte ranges. In the modes `Words` and `Hmm` they cover the text exactly, in order; in
    /// the others they may overlap and leave gaps.
    ///
    /// ```
    /// use ciyuan::segment::{Dictionary, WordMode};
    /// let text = "我們學習語言";
    /// let words = Dictionary::built_in().words(text, WordMode::Words);
    /// assert_eq!(words.into_iter().map(|word| &text[word]).collect::<Vec<_>>(), ["我們", "學習", "語言"]);
    /// ```
    #[must_use]
    pub fn words(&self, text: &str, mode: WordMode) -> Vec<std::ops::Range<usize>> {
        let Some(folded) = self.folded(text) else {
            return self.cut(text, mode).into_iter().map(|word| word.byte_start..word.byte_end).collect();
        };
        // A simplified form may have another length in UTF-8: map back by characters.
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        self.cut(&folded, mode).into_iter().map(|word| starts[word.start]..starts[word.end]).collect()
    }

    /// Calls `visit` with the end of each word of a Han run.
    pub(super) fn word_ends(&self, run: &str, mut visit: impl FnMut(usize)) {
        for word in self.words(run, WordMode::Words) {
            visit(word.end);
        }
    }

    fn cut<'t>(&self, text: &'t str, mode: WordMode) -> Vec<jieba_rs::Token<'t>> {
        match mode {
            WordMode::Words => self.jieba.cut(text, false),
            WordMode::Hmm => self.jieba.cut(text, true),
            WordMode::Search => self.jieba.tokenize(text, TokenizeMode::Search, true),
            WordMode::All => self.jieba.cut_all(text),
        }
    }

    /// The text in simplified characters; `None` when it holds no other.
    fn folded(&self, text: &str) -> Option<String> {
        let fold = self.fold.as_ref()?;
        if !text.chars().any(|c| fold.contains_key(&c)) {
            return None;
        }
        Some(text.chars().map(|c| fold.get(&c).copied().unwrap_or(c)).collect())
    }
}

fn fold_table() -> HashMap<char, char> {
    let characters: Vec<char> = FOLD.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars).collect();
    characters.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, mode: WordMode) -> Vec<&str> {
        Dictionary::built_in().words(text, mode).into_iter().map(|word| &text[word]).collect()
    }

    #[test]
    fn fold_table_is_one_for_one() {
        let table = fold_table();
        assert_eq!(table.len(), 4105);
        assert_eq!((table[&'學'], table[&'國'], table[&'龍']), ('学', '国', '龙'));
        assert!(table.iter().all(|(from, to)| from != to));
    }

    #[test]
    fn traditional_words_are_found_through_simplified_ones() {
        assert_eq!(words("國際論壇討論語言學", WordMode::Words), ["國際", "論壇", "討論", "語言學"]);
        let plain = Dictionary::new(Fold::None);
        assert_eq!(plain.words("國際論壇", WordMode::Words).len(), 4);
    }

    #[test]
    fn spans_survive_a_fold_that_changes_the_length() {
        // 㑮 (3 bytes) folds to 𫝈 (4 bytes).
        assert_eq!(words("㑮學習", WordMode::Words), ["㑮", "學習"]);
    }

    #[test]
    fn modes() {
        assert_eq!(words("他来到了网易杭研大厦", WordMode::Words), ["他", "来到", "了", "网易", "杭", "研", "大厦"]);
        assert_eq!(words("他来到了网易杭研大厦", WordMode::Hmm), ["他", "来到", "了", "网易", "杭研", "大厦"]);
        assert_eq!(words("中国科学院", WordMode::Search), ["中国", "科学", "学院", "科学院", "中国科学院"]);
        assert!(words("中国科学院", WordMode::All).contains(&"科学"));
    }

    #[test]
    fn any_text_is_covered() {
        for text in ["", " \r\n", "a1+c++，。\u{200D}👩‍👧😀𠮷〇", "中文English混排１２３"] {
            for mode in [WordMode::Words, WordMode::Hmm] {
                assert_eq!(words(text, mode).concat(), text);
            }
        }
    }
}
