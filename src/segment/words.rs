//! Chinese words by the dictionary of jieba.
//!
//! Text is looked up in simplified characters, one for each traditional one, because the dictionary knows simplified
//! words only; without it traditional text falls into single characters. The most probable words come out of an
//! automaton of our own (`lexicon.rs`), the other modes from jieba-rs.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use jieba_rs::{Jieba, Token, TokenizeMode};

use super::lexicon::{Lexicon, for_each_word};

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

/// A dictionary of Chinese words with their frequencies: jieba's, of 349,045 words, and those of the user's own.
pub struct Dictionary {
    pub(super) lexicon: Lexicon,
    /// Made when a mode first needs it, which takes 0.1 s.
    pub(super) jieba: OnceLock<Jieba>,
    pub(super) fold: HashMap<char, char>,
    /// The words of the user's own, folded, and their frequencies, 0 for deleted ones.
    pub(super) user_words: BTreeMap<String, u64>,
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary").field("fold", &!self.fold.is_empty()).finish_non_exhaustive()
    }
}

impl Dictionary {
    /// The dictionary, looked up as `fold` says. Takes less than a millisecond.
    #[must_use]
    pub fn new(fold: Fold) -> Self {
        let fold = match fold {
            Fold::Simplified => fold_table(),
            Fold::None => HashMap::new(),
        };
        Self { lexicon: Lexicon::new(&fold), jieba: OnceLock::new(), fold, user_words: BTreeMap::new() }
    }

    /// The dictionary that learning uses: [`Dictionary::new`] with [`Fold::Simplified`], made once.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        BUILT_IN.clone()
    }

    /// A hash of what [`Dictionary::built_in`] is made of: words with their frequencies, and the fold.
    #[cfg(feature = "pipeline")]
    pub(crate) fn built_in_hash() -> u64 {
        static HASH: LazyLock<u64> = LazyLock::new(|| {
            use xxhash_rust::xxh3::xxh3_64;
            let parts = [super::lexicon::FILE, FOLD.as_bytes()].map(|part| xxh3_64(part).to_le_bytes());
            xxh3_64(parts.as_flattened())
        });
        *HASH
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
    pub fn words(&self, text: &str, mode: WordMode) -> Vec<Range<usize>> {
        if mode == WordMode::Words && u32::try_from(text.len()).is_ok() {
            let mut ends = Vec::new();
            self.word_ends(text, &mut ends);
            let mut start = 0;
            return ends.iter().map(|&end| std::mem::replace(&mut start, end as usize)..end as usize).collect();
        }
        self.by_jieba(text, mode)
    }

    /// Pushes the end offset of each word of `text`, which is shorter than 4 GiB: [`WordMode::Words`].
    pub fn word_ends(&self, text: &str, ends: &mut Vec<u32>) {
        self.lexicon.word_ends(text, ends);
    }

    /// The oracle of [`Dictionary::word_ends`]: jieba-rs on folded text. It does not find words of the user's own with
    /// characters that it never puts into words.
    #[must_use]
    pub fn naive_words(&self, text: &str) -> Vec<Range<usize>> {
        self.by_jieba(text, WordMode::Words)
    }

    fn by_jieba(&self, text: &str, mode: WordMode) -> Vec<Range<usize>> {
        let Some(folded) = self.folded(text) else {
            return self.cut(text, mode).into_iter().map(|word| word.byte_start..word.byte_end).collect();
        };
        // A simplified form may have another length in UTF-8: map back by characters.
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        self.cut(&folded, mode).into_iter().map(|word| starts[word.start]..starts[word.end]).collect()
    }

    fn cut<'t>(&self, text: &'t str, mode: WordMode) -> Vec<Token<'t>> {
        let jieba = self.jieba.get_or_init(|| self.jieba());
        match mode {
            WordMode::Words => jieba.cut(text, false),
            WordMode::Hmm => self.without_deleted(jieba.cut(text, true)),
            WordMode::Search => self.without_deleted(jieba.tokenize(text, TokenizeMode::Search, true)),
            WordMode::All => jieba.cut_all(text),
        }
    }

    /// Jieba-rs with the words of the user's own.
    fn jieba(&self) -> Jieba {
        if self.user_words.is_empty() {
            return Jieba::new();
        }
        // It cannot delete words: they have to be left out from the start, which takes longer.
        let (mut kept, mut deleted, mut sum) = (String::new(), false, 0);
        for_each_word(|word, frequency| match self.user_words.get(word) {
            Some(0) => deleted = true,
            Some(_) => {}
            None => sum += frequency,
        });
        if deleted {
            for_each_word(|word, frequency| {
                if self.user_words.get(word) != Some(&0) {
                    kept.push_str(&format!("{word} {frequency}\n"));
                }
            });
        }
        let mut jieba = match Jieba::with_dict(&mut kept.as_bytes()) {
            Ok(jieba) if deleted => jieba,
            _ => Jieba::new(),
        };
        for (word, frequency) in self.user_words.iter().filter(|(_, frequency)| **frequency > 0) {
            jieba.add_word(word, Some(*frequency as usize), None);
            sum += frequency;
        }
        // What its sum of frequencies lacks has a word that is found nowhere.
        if self.lexicon.sum > sum {
            jieba.add_word("\u{10FFFF}", Some((self.lexicon.sum - sum) as usize), None);
        }
        jieba
    }

    /// Deleted words that the hidden Markov model made again are cut into characters, as in Python's jieba; the shorter
    /// words inside them go with them.
    fn without_deleted<'t>(&self, words: Vec<Token<'t>>) -> Vec<Token<'t>> {
        if self.user_words.values().all(|frequency| *frequency > 0) {
            return words;
        }
        let mut kept: Vec<Token> = Vec::with_capacity(words.len());
        for word in words {
            if self.user_words.get(word.word) != Some(&0) || word.word.is_ascii() {
                kept.push(word);
                continue;
            }
            while kept.pop_if(|inside| inside.start >= word.start).is_some() {}
            kept.extend(word.word.char_indices().enumerate().map(|(index, (at, c))| Token {
                word: &word.word[at..at + c.len_utf8()],
                start: word.start + index,
                end: word.start + index + 1,
                byte_start: word.byte_start + at,
                byte_end: word.byte_start + at + c.len_utf8(),
            }));
        }
        kept
    }

    /// The text in the characters that words are looked up by, one for one; `None` when those are its own.
    #[must_use]
    pub fn folded(&self, text: &str) -> Option<String> {
        if !text.chars().any(|c| self.fold.contains_key(&c)) {
            return None;
        }
        Some(text.chars().map(|c| self.fold.get(&c).copied().unwrap_or(c)).collect())
    }
}

fn fold_table() -> HashMap<char, char> {
    let characters: Vec<char> = FOLD.lines().filter(|line| !line.starts_with('#')).flat_map(str::chars).collect();
    characters.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::hostile;
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn every_character_is_cut_as_by_jieba() {
        for fold in [Fold::Simplified, Fold::None] {
            let dictionary = Dictionary::new(fold);
            let characters: Vec<char> = ('\0'..=char::MAX).collect();
            for some in characters.chunks(1000) {
                let text: String = some.iter().flat_map(|c| [*c, '国', *c, *c, 'a', *c, '\n']).collect();
                let words = dictionary.words(&text, WordMode::Words);
                assert_eq!(words, dictionary.naive_words(&text), "from U+{:04X} on", some[0] as u32);
            }
        }
    }

    /// Text of words, parts of words, and what stands between them.
    fn chinese() -> impl Strategy<Value = String> {
        let words = "中国科学院研究生命起源的南京市长江大桥卡拉OKT恤AT&Tc++C#B超我们學習語言國際論壇一二三〇年月日了是在和\
                     不人习近平新时代特色社会主义思想乒乓球拍卖完了结婚的和尚未龦鿿𠮷㐀，。、 \r\n.-_%+#&aZ09ａ１é";
        let characters: Vec<char> = words.chars().collect();
        let piece = (0..characters.len(), 1usize..6)
            .prop_map(move |(from, count)| characters[from..].iter().take(count).collect::<String>());
        let piece = prop_oneof![8 => piece, 1 => any::<char>().prop_map(String::from), 1 => hostile()];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_jieba(text in chinese()) {
            static BOTH: LazyLock<[Dictionary; 2]> = LazyLock::new(|| [Fold::Simplified, Fold::None].map(Dictionary::new));
            for dictionary in &*BOTH {
                let words = dictionary.words(&text, WordMode::Words);
                prop_assert_eq!(words, dictionary.naive_words(&text));
            }
        }
    }
}
