//! Words are added to the lexicon, with the meaning of `add_word` and `suggest_freq` in Python's jieba.

use std::collections::HashMap;

use super::double_array::{Growth, NARROW, WIDE, frequencies};
use super::lexicon::{IN_BLOCK, Lexicon};
use crate::error::UserWordFault;

/// The highest number of a character.
const MAX_CODE: u16 = IN_BLOCK - 1;

/// Common characters of English, the commonest first. A word of ASCII is told by its rarest character, so that little
/// text is searched for it.
const COMMON: &str = " etaoinsrhldcumfgpwyb.v-k012";

/// A lexicon that words are added to.
pub(super) struct Additions<'f> {
    lexicon: Lexicon,
    fold: &'f HashMap<char, char>,
    growth: Growth,
    /// The number of each frequency.
    numbers: HashMap<u64, usize>,
    logarithms: Vec<f64>,
    codes: Vec<u16>,
    ends: Vec<u32>,
}

impl<'f> Additions<'f> {
    /// Additions to a copy of `lexicon`, whose texts are folded by `fold`.
    pub(super) fn to(lexicon: &Lexicon, fold: &'f HashMap<char, char>) -> Self {
        let lexicon = lexicon.clone();
        Self {
            growth: Growth::of(&lexicon.array),
            numbers: lexicon.frequencies.iter().copied().zip(1..).collect(),
            logarithms: lexicon.frequencies.iter().map(|frequency| (*frequency as f64).ln()).collect(),
            codes: Vec::new(),
            ends: Vec::new(),
            lexicon,
            fold,
        }
    }

    /// The lexicon with all words.
    pub(super) fn finish(mut self) -> Lexicon {
        self.lexicon.weigh(&self.logarithms);
        self.lexicon.array.nodes.pack();
        self.lexicon
    }

    /// Adds a word with the frequency given, or with the suggested one, which it gives.
    pub(super) fn add(&mut self, word: &str, given: Option<u32>) -> Result<u64, UserWordFault> {
        let frequency = given.map_or_else(|| self.suggested(word), u64::from);
        // What is deleted is found nowhere, so its characters need not be looked for.
        self.number_characters(word, frequency > 0)?;
        let number = self.number(frequency)?;
        let Lexicon { array, characters, .. } = &mut self.lexicon;
        let full = || UserWordFault::Full { word: word.to_owned() };
        self.growth.insert(array, *characters, &self.codes, number).ok_or_else(full)?;
        self.lexicon.sum += frequency;
        Ok(frequency)
    }

    /// `suggest_freq(word, tune=False)`, operation by operation.
    fn suggested(&mut self, word: &str) -> u64 {
        // The sum has grown since the weights were made; all of them would take longer than the rest.
        self.lexicon.weigh_words_of(word, &self.logarithms);
        self.ends.clear();
        self.lexicon.word_ends(word, &mut self.ends);
        let sum = self.lexicon.sum as f64;
        let (mut product, mut start) = (1.0, 0);
        for end in &self.ends {
            let part = &word[std::mem::replace(&mut start, *end as usize)..*end as usize];
            product *= self.lexicon.frequency(part).unwrap_or(1) as f64 / sum;
        }
        ((product * sum) as u64 + 1).max(self.lexicon.frequency(word).unwrap_or(1))
    }

    /// Puts the numbers of the characters of `word` into `codes`. `found`: the word can be found in texts.
    fn number_characters(&mut self, word: &str, found: bool) -> Result<(), UserWordFault> {
        self.codes.clear();
        for c in word.chars() {
            let code = self.lexicon.code(u32::from(c));
            let mut number = code & !IN_BLOCK;
            if number == 0 {
                if self.lexicon.characters == MAX_CODE {
                    return Err(UserWordFault::Characters { word: word.to_owned(), max: usize::from(MAX_CODE) });
                }
                self.lexicon.characters += 1;
                number = self.lexicon.characters;
            }
            let new = if found { number | IN_BLOCK } else { number | code & IN_BLOCK };
            if new != code {
                self.set_code(c, new);
            }
            self.codes.push(number);
        }
        if let (true, Some(rarest)) = (found && word.is_ascii(), rarest(word)) {
            self.lexicon.allow_sign(rarest, true);
        }
        Ok(())
    }

    /// Sets the code of what `c` is looked up as, and so of all characters that are looked up so.
    fn set_code(&mut self, c: char, code: u16) {
        let key = *self.fold.get(&c).unwrap_or(&c);
        let folded = self.fold.iter().filter(|(_, to)| **to == key).map(|(from, _)| *from);
        let same = (!self.fold.contains_key(&key)).then_some(key);
        for c in folded.chain(same) {
            self.lexicon.set_code(c, code);
        }
        if c.is_ascii() && code & IN_BLOCK != 0 {
            self.lexicon.allow_sign(c as u8, false);
        }
    }

    /// The number of a frequency, 0 for none.
    fn number(&mut self, frequency: u64) -> Result<usize, UserWordFault> {
        if frequency == 0 {
            return Ok(0);
        }
        if let Some(number) = self.numbers.get(&frequency) {
            return Ok(*number);
        }
        let number = self.numbers.len() + 1;
        if number > frequencies(WIDE) {
            return Err(UserWordFault::Frequencies { frequency, max: frequencies(WIDE) });
        }
        if number > frequencies(self.lexicon.array.filter) {
            debug_assert_eq!(self.lexicon.array.filter, NARROW);
            self.lexicon.array.widen();
        }
        self.numbers.insert(frequency, number);
        self.lexicon.frequencies.push(frequency);
        self.logarithms.push((frequency as f64).ln());
        Ok(number)
    }
}

/// The rarest character of a word of ASCII.
fn rarest(word: &str) -> Option<u8> {
    word.bytes().max_by_key(|byte| COMMON.find(char::from(*byte)).unwrap_or(COMMON.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::LazyLock;

    use super::super::lexicon::for_each_word;
    use super::super::words::{Dictionary, Fold, WordMode};
    use super::*;
    use proptest::prelude::*;

    /// The built-in words and what begins them, as Python's jieba keeps them.
    static BUILT_IN: LazyLock<HashMap<String, u64>> = LazyLock::new(|| {
        let mut words = HashMap::new();
        for_each_word(|word, frequency| {
            words.insert(word.to_owned(), frequency);
            for (at, _) in word.char_indices().skip(1) {
                words.entry(word[..at].to_owned()).or_insert(0);
            }
        });
        words
    });

    /// Python's jieba, as it is written there, but for the characters that it puts into words.
    struct Plain<'d> {
        dictionary: &'d Dictionary,
        frequencies: HashMap<String, u64>,
        total: u64,
        in_words: HashSet<char>,
    }

    impl<'d> Plain<'d> {
        fn of(dictionary: &'d Dictionary, words: &[(String, Option<u32>)]) -> Self {
            let (frequencies, in_words) = (HashMap::new(), HashSet::new());
            let mut plain = Plain { dictionary, frequencies, total: 60_101_964, in_words };
            words.iter().for_each(|(word, frequency)| plain.add_word(word, *frequency));
            plain
        }

        fn folded(&self, text: &str) -> Vec<char> {
            text.chars().map(|c| self.dictionary.fold.get(&c).copied().unwrap_or(c)).collect()
        }

        fn get(&self, word: &[char]) -> Option<u64> {
            let word: String = word.iter().collect();
            self.frequencies.get(&word).or_else(|| BUILT_IN.get(&word)).copied()
        }

        fn add_word(&mut self, word: &str, frequency: Option<u32>) {
            let word = self.folded(word);
            let frequency = frequency.map_or_else(|| self.suggest_freq(&word), u64::from);
            self.frequencies.insert(word.iter().collect(), frequency);
            self.total += frequency;
            for end in 1..word.len() {
                if self.get(&word[..end]).is_none() {
                    self.frequencies.insert(word[..end].iter().collect(), 0);
                }
            }
            if frequency > 0 {
                self.in_words.extend(&word);
            }
        }

        fn suggest_freq(&self, word: &[char]) -> u64 {
            let total = self.total as f64;
            let (mut frequency, mut start) = (1.0, 0);
            for end in self.cut(word) {
                frequency *= self.get(&word[start..end]).unwrap_or(1) as f64 / total;
                start = end;
            }
            ((frequency * total) as u64 + 1).max(self.get(word).unwrap_or(1))
        }

        fn in_block(&self, c: char) -> bool {
            let jieba = matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{2A6DF}');
            jieba || c.is_ascii_alphanumeric() || "+#&._%-".contains(c) || self.in_words.contains(&c)
        }

        /// The ends of words, in characters.
        fn cut(&self, text: &[char]) -> Vec<usize> {
            let (mut ends, mut at) = (Vec::new(), 0);
            while at < text.len() {
                let end = at + text[at..].iter().take_while(|c| self.in_block(**c)).count();
                if end == at {
                    at += if text[at..].starts_with(&['\r', '\n']) { 2 } else { 1 };
                    ends.push(at);
                    continue;
                }
                self.cut_block(&text[at..end], at, &mut ends);
                at = end;
            }
            ends
        }

        fn cut_block(&self, block: &[char], before: usize, ends: &mut Vec<usize>) {
            let log_total = (self.total as f64).ln();
            let mut route = vec![(0.0, 0); block.len() + 1];
            for start in (0..block.len()).rev() {
                let mut words: Vec<usize> = Vec::new();
                for end in start + 1..=block.len() {
                    match self.get(&block[start..end]) {
                        Some(0) => {}
                        Some(_) => words.push(end),
                        None => break,
                    }
                }
                if words.is_empty() {
                    words.push(start + 1);
                }
                let known = |end: usize| self.get(&block[start..end]).filter(|known| *known > 0).unwrap_or(1) as f64;
                let weighed = words.into_iter().map(|end| (known(end).ln() - log_total + route[end].0, end));
                route[start] = weighed.max_by(|a, b| a.partial_cmp(b).unwrap()).unwrap();
            }
            let (mut at, mut joined) = (0, false);
            while at < block.len() {
                let end = route[at].1;
                let letter = end - at == 1 && block[at].is_ascii_alphanumeric();
                if letter && joined {
                    ends.pop();
                }
                ends.push(before + end);
                (at, joined) = (end, letter);
            }
        }
    }

    fn file(words: &[(String, Option<u32>)]) -> String {
        // A tag, so that a word ending in small letters is no tag itself.
        let line = |(word, frequency): &(String, Option<u32>)| match frequency {
            Some(frequency) => format!("{word} {frequency} x\n"),
            None => format!("{word} x\n"),
        };
        words.iter().map(line).collect()
    }

    fn dictionary(fold: Fold, words: &[(String, Option<u32>)]) -> Dictionary {
        Dictionary::with_user_words(fold, file(words).as_bytes()).unwrap()
    }

    fn owned(words: &[(&str, Option<u32>)]) -> Vec<(String, Option<u32>)> {
        words.iter().map(|(word, frequency)| ((*word).to_owned(), *frequency)).collect()
    }

    fn assert_equal(fold: Fold, words: &[(String, Option<u32>)], texts: &[String]) {
        let dictionary = dictionary(fold, words);
        let plain = Plain::of(&dictionary, words);
        assert_eq!(dictionary.lexicon.sum, plain.total, "{words:?}");
        for (word, frequency) in &plain.frequencies {
            assert_eq!(dictionary.lexicon.frequency(word), Some(*frequency), "{word:?} of {words:?}");
        }
        for text in texts {
            let got: Vec<usize> = dictionary.words(text, WordMode::Words).iter().map(|word| word.end).collect();
            let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let expected: Vec<usize> = plain.cut(&plain.folded(text)).iter().map(|end| offsets[*end]).collect();
            assert_eq!(got, expected, "{text:?} with {words:?}, {fold:?}");
        }
    }

    fn pieces() -> impl Strategy<Value = String> {
        let text = "研究生命起源的人云计算機國際論壇乒乓球拍卖完了中国科学院γ射线〇ＡＢカラ，（注）\u{31350}𠮷㑮髮发\
                    New York c++ iPhone15.AT&T T恤 é-_  的了";
        let characters: Vec<char> = text.chars().collect();
        let piece = (0..characters.len(), 1usize..5)
            .prop_map(move |(from, count)| characters[from..].iter().take(count).collect::<String>());
        prop_oneof![12 => piece, 1 => any::<char>().prop_map(String::from), 1 => Just("\r\n".to_owned())]
    }

    /// Words that a line can hold.
    fn word() -> impl Strategy<Value = String> {
        // A byte order mark is taken out before the ends are trimmed: a space may stand beside it.
        let word = |pieces: Vec<String>| {
            pieces.concat().replace(|c: char| c.is_control() || c == '\u{FEFF}', "").trim().to_owned()
        };
        prop::collection::vec(pieces(), 1..3).prop_map(word).prop_filter("a word", |word| {
            // A number at the end would be the frequency.
            !word.is_empty() && word.rsplit_once(' ').is_none_or(|(_, end)| !end.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn equals_jieba_as_it_is_written(
            words in prop::collection::vec((word(), prop_oneof![3 => Just(None), 2 => Just(Some(0)), 3 => (1u32..2000).prop_map(Some), 1 => any::<u32>().prop_map(Some)]), 0..12),
            texts in prop::collection::vec(prop::collection::vec((pieces(), any::<prop::sample::Index>(), any::<bool>()), 0..12), 6),
        ) {
            // Some of the texts' pieces are words.
            let piece = |(piece, index, word): &(String, prop::sample::Index, bool)| {
                if *word && !words.is_empty() { index.get(&words).0.clone() } else { piece.clone() }
            };
            let texts: Vec<String> = texts.iter().map(|text| text.iter().map(piece).collect()).collect();
            for fold in [Fold::Simplified, Fold::None] {
                assert_equal(fold, &words, &texts);
            }
        }
    }

    /// What Python's jieba 0.42.1 gives, whose sum of frequencies is 3 higher: it counts a word twice.
    #[test]
    fn suggestions_are_those_of_python() {
        let suggested = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| ((*word).to_owned(), None)).collect();
            let dictionary = dictionary(Fold::None, &words);
            words.iter().map(|(word, _)| dictionary.user_words[word]).collect::<Vec<u64>>()
        };
        for (word, frequency) in
            [("云计算", 1), ("台中", 69), ("AT", 1), ("研究生", 1817), ("好人", 563), ("我们", 98_741), ("的了", 4688)]
        {
            assert_eq!(suggested(&[word]), [frequency], "{word}");
        }
        // Each sees those before it.
        assert_eq!(suggested(&["的了", "的了生命", "台中"]), [4688, 1, 69]);
    }

    #[test]
    fn words_of_python_s_example() {
        let words = owned(&[
            ("云计算", Some(5)),
            ("李小福", Some(2)),
            ("创新办", Some(3)),
            ("韩玉赏鉴", Some(3)),
            ("八一双鹿", None),
            ("台中", None),
            ("研究生", Some(0)),
            ("生命起源", None),
        ]);
        let dictionary = dictionary(Fold::Simplified, &words);
        let cut = |text: &str, mode| {
            let words = dictionary.words(text, mode);
            words.into_iter().map(|word| text[word].to_owned()).collect::<Vec<_>>().join("/")
        };
        for (text, words) in [
            ("李小福是创新办主任也是云计算方面的专家", "李小福/是/创新办/主任/也/是/云计算/方面/的/专家"),
            ("研究生命起源的人", "研究/生命起源/的/人"),
            ("「台中」應該不會被切開。", "「/台中/」/應該/不會/被/切開/。"),
            ("雲計算與韓玉賞鑒", "雲計算/與/韓玉賞鑒"),
        ] {
            assert_eq!(cut(text, WordMode::Words), words);
        }
        assert_eq!(cut("他是研究生", WordMode::Words), "他/是/研究/生");
        assert_eq!(cut("李小福是研究生", WordMode::Hmm), "李小福/是/研究/生");
        assert_eq!(cut("雲計算的研究生命", WordMode::Search), "計算/雲計算/的/研究/生命");
        assert!(!cut("云计算研究生", WordMode::All).split('/').any(|word| word == "研究生"));
        assert!(cut("云计算研究生", WordMode::All).starts_with("云/云计算/"));
    }

    /// The same words and frequencies are in jieba-rs.
    #[test]
    fn equals_jieba_rs() {
        let texts = "研究生命起源的人买了A型设备云计算台中我们学习語言學，AT&T的云计算AT、T恤衫好人们".to_owned();
        let characters: Vec<char> = texts.chars().collect();
        for words in [
            &[("云计算", None), ("台中", None), ("台中", None), ("我们", Some(3)), ("T恤衫", Some(9))][..],
            &[
                ("研究生", Some(0)),
                ("A型", Some(0)),
                ("A型", Some(0)),
                ("型设备", None),
                ("的", Some(0)),
                ("云计", None),
            ],
        ] {
            let dictionary = dictionary(Fold::Simplified, &owned(words));
            for start in 0..characters.len() {
                for step in 1..4 {
                    let text: String = characters[start..].iter().step_by(step).collect();
                    assert_eq!(dictionary.words(&text, WordMode::Words), dictionary.naive_words(&text), "{text}");
                }
            }
        }
    }

    /// The model of jieba-rs would join the characters of deleted words again.
    #[test]
    fn deleted_words_do_not_come_back() {
        let jieba = jieba_rs::Jieba::new();
        assert_eq!(
            jieba.cut("网易杭研大厦", true).iter().map(|word| word.word).collect::<Vec<_>>(),
            ["网易", "杭研", "大厦"]
        );
        let dictionary = dictionary(Fold::Simplified, &owned(&[("杭研", Some(0))]));
        for mode in [WordMode::Hmm, WordMode::Search] {
            assert_eq!(dictionary.words("网易杭研大厦", mode), [0..6, 6..9, 9..12, 12..18]);
        }
    }

    #[test]
    fn every_character_can_be_in_words() {
        let words = owned(&[
            ("New York", None),
            ("iPhone", Some(9)),
            ("カラオケ", None),
            ("ＡＢＣ", None),
            ("（注）", Some(5)),
            ("二〇二六", None),
            ("\u{31350}\u{31351}", None),
            ("㑮髮", None),
            ("😀，", Some(1)),
        ]);
        let dictionary = dictionary(Fold::Simplified, &words);
        for (word, _) in &words {
            for (before, after) in [("", ""), ("我们", "我们"), (" ", " "), ("a b，", "\r\n"), ("\n", "x y Z")] {
                let text = format!("{before}{word}{after}");
                let range = before.len()..before.len() + word.len();
                // Letters beside letters are no edge.
                assert!(dictionary.words(&text, WordMode::Words).contains(&range), "{text:?}");
                assert_eq!(dictionary.words(&text, WordMode::Hmm).concat_len(), text.len());
            }
        }
        let text = "㑮发 ＡＢ（注 a New Yor iPhon";
        assert_eq!(dictionary.words(text, WordMode::Words)[0], 0..6);
        assert_eq!(dictionary.words("㑮髮㑮发", WordMode::Words), [0..6, 6..12]);
    }

    trait ConcatLen {
        fn concat_len(&self) -> usize;
    }

    impl ConcatLen for Vec<std::ops::Range<usize>> {
        /// The length of what the ranges cover without gaps.
        fn concat_len(&self) -> usize {
            self.iter().fold(0, |at, word| {
                assert_eq!(word.start, at);
                word.end
            })
        }
    }

    /// Without such words nothing changes, not even where probabilities are equal.
    #[test]
    fn texts_without_the_words_are_cut_as_before() {
        let before = Dictionary::new(Fold::Simplified);
        // Deleting what is no word, and words with a character that text does not have.
        let after = dictionary(Fold::Simplified, &owned(&[("（注）", Some(0)), ("a b", Some(0))]));
        let same_sum = Dictionary::with_user_words(Fold::Simplified, b"\n\n").unwrap();
        let text = "我们（注）學習a b，c++ New York. 的的的的的的的的！AT&T？研究生命起源，１２３　龦".repeat(3);
        for start in (0..text.len()).filter(|start| text.is_char_boundary(*start)) {
            let expected = before.words(&text[start..], WordMode::Words);
            assert_eq!(after.words(&text[start..], WordMode::Words), expected);
            assert_eq!(same_sum.words(&text[start..], WordMode::Words), expected);
        }
    }

    /// Many words, so that children move, and many frequencies, so that the filter narrows.
    #[test]
    fn many_words_are_all_found() {
        let mut characters: Vec<char> = BUILT_IN.keys().filter_map(|word| word.chars().next()).collect();
        characters.sort_unstable();
        characters.dedup();
        let mut random = 1u64;
        let mut number = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % below
        };
        let mut words: HashMap<String, u32> = HashMap::new();
        for frequency in 1_000_001..1_020_000 {
            let mut word: String = (0..2 + number(3)).map(|_| characters[number(characters.len())]).collect();
            // Characters that are in no word yet, at each place.
            word.insert(0, if frequency % 7 == 0 { 'カ' } else { characters[number(50)] });
            words.insert(word, frequency);
        }
        let listed: Vec<_> = words.iter().map(|(word, frequency)| (word.clone(), Some(*frequency))).collect();
        let dictionary = dictionary(Fold::None, &listed);
        assert_eq!(dictionary.lexicon.array.filter, WIDE);
        for (word, frequency) in &words {
            assert_eq!(dictionary.lexicon.frequency(word), Some(u64::from(*frequency)), "{word}");
        }
        for_each_word(|word, frequency| {
            let expected = words.get(word).map_or(frequency, |frequency| u64::from(*frequency));
            assert_eq!(dictionary.lexicon.frequency(word), Some(expected), "{word}");
        });
        // No other beginnings of words than there should be.
        let begun: HashSet<String> = words.keys().map(|word| word.chars().take(2).collect()).collect();
        for first in &characters {
            for second in &characters[..60] {
                let both: String = [*first, *second].iter().collect();
                let known = BUILT_IN.contains_key(&both) || begun.contains(&both);
                assert_eq!(dictionary.lexicon.frequency(&both).is_some(), known, "{both}");
            }
        }
        let texts: Vec<String> =
            listed.chunks(5).take(50).map(|some| some.iter().map(|(word, _)| word.as_str()).collect()).collect();
        let plain = Plain::of(&dictionary, &listed);
        for text in &texts {
            let ends: Vec<usize> = dictionary.words(text, WordMode::Words).iter().map(|word| word.end).collect();
            let offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            assert_eq!(ends, plain.cut(&plain.folded(text)).iter().map(|end| offsets[*end]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn too_many_characters_or_frequencies_are_an_error() {
        let lexicon = Lexicon::new(&HashMap::new());
        let fold = HashMap::new();
        let mut additions = Additions::to(&lexicon, &fold);
        let fault =
            ('\u{AC00}'..).try_for_each(|c| additions.add(&format!("{c}{c}"), Some(1)).map(|_| ())).unwrap_err();
        assert!(matches!(fault, UserWordFault::Characters { max: 32_767, .. }), "{fault}");
        let fault = (1..).try_for_each(|number| additions.add("人人", Some(number)).map(|_| ())).unwrap_err();
        assert!(matches!(fault, UserWordFault::Frequencies { max: 131_071, .. }), "{fault}");
    }
}
