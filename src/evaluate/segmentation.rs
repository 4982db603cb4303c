//! How well words agree with a gold segmentation: precision, recall and F1.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use crate::error::{Error, Result};

/// Resamples of the sentences behind an interval.
const RESAMPLES: usize = 1000;
/// Of them, those left out at each end: the interval holds 95 %.
const TAIL: usize = RESAMPLES / 40;
/// Characters of a text that an error shows.
const SHOWN: usize = 12;

/// Words of one sentence, counted against the gold ones.
///
/// White space is no part of any word here: it only separates gold words, and cutters differ in what they do with it. A
/// word is correct when it covers the same characters as a gold one, white space aside, at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SentenceScore {
    /// Gold words.
    pub gold_words: u64,
    /// Words that are judged, without those of nothing but white space.
    pub words: u64,
    /// Words that are gold words too.
    pub correct: u64,
}

impl SentenceScore {
    /// Counts the `words` of a sentence against its `gold` ones; both are in the order of the text and cover it.
    ///
    /// ```
    /// use ciyuan::evaluate::SentenceScore;
    /// let score = SentenceScore::of(&["我们", "学习", "语言", "学"], &["我们", "学习", "语言学"])?;
    /// assert_eq!((score.gold_words, score.words, score.correct), (4, 3, 2));
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OtherText`] when the two are not of the same characters.
    pub fn of(gold: &[&str], words: &[&str]) -> Result<Self> {
        same_text(gold, words)?;
        let (gold, words) = (ends(gold), ends(words));
        let (mut in_gold, mut in_words) = (gold.iter().peekable(), words.iter().peekable());
        let (mut gold_start, mut start, mut correct) = (0, 0, 0);
        while let (Some(&&gold_end), Some(&&end)) = (in_gold.peek(), in_words.peek()) {
            correct += u64::from((gold_start, gold_end) == (start, end));
            if gold_end <= end {
                gold_start = gold_end;
                in_gold.next();
            }
            if end <= gold_end {
                start = end;
                in_words.next();
            }
        }
        Ok(Self { gold_words: gold.len() as u64, words: words.len() as u64, correct })
    }

    fn add(&mut self, other: &Self) {
        self.gold_words += other.gold_words;
        self.words += other.words;
        self.correct += other.correct;
    }

    /// 2PR / (P + R), which is this.
    fn f1(&self) -> f64 {
        share(2 * self.correct, self.gold_words + self.words)
    }
}

/// Where the words end, in characters that are no white space.
fn ends(words: &[&str]) -> Vec<usize> {
    let mut ends = Vec::with_capacity(words.len());
    let mut end = 0;
    for word in words {
        let length = word.chars().filter(|c| !c.is_whitespace()).count();
        if length > 0 {
            end += length;
            ends.push(end);
        }
    }
    ends
}

fn same_text(gold: &[&str], words: &[&str]) -> Result<()> {
    fn characters<'w>(words: &'w [&str]) -> impl Iterator<Item = char> + 'w {
        words.iter().flat_map(|word| word.chars()).filter(|c| !c.is_whitespace())
    }
    if characters(gold).eq(characters(words)) {
        return Ok(());
    }
    let at = characters(gold).zip(characters(words)).take_while(|(gold, other)| gold == other).count();
    let rest = |words| characters(words).skip(at).take(SHOWN).collect();
    Err(Error::OtherText { character: at as u64, expected: rest(gold), got: rest(words) })
}

/// How well the words of a text agree with gold ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentationScore {
    /// Share of the words that are correct; 0 where there are none.
    pub precision: f64,
    /// Share of the gold words that were found; 0 where there are none.
    pub recall: f64,
    /// Their harmonic mean; 0 where both are 0.
    pub f1: f64,
    /// The 95 % interval of F1 by a bootstrap over sentences; `None` for a single sentence, which has none.
    pub f1_interval: Option<[f64; 2]>,
    /// Gold words.
    pub gold_words: u64,
    /// Words that were judged.
    pub words: u64,
    /// Words that are gold words too.
    pub correct: u64,
    /// Sentences.
    pub sentences: u64,
}

impl SegmentationScore {
    /// Sums up sentences. Resampling takes its random numbers from `seed`; the same seed gives the same interval.
    ///
    /// The bootstrap draws as many sentences as there are, with replacement, a thousand times; the interval runs from
    /// the 26th lowest F1 to the 26th highest. The measure is that of the SIGHAN bakeoffs. Their script compares the
    /// two lists of words with `diff` instead of by place, so that its counts may differ by a few words in ten thousand.
    #[must_use]
    pub fn of(sentences: &[SentenceScore], seed: u64) -> Self {
        let mut sum = SentenceScore::default();
        sentences.iter().for_each(|sentence| sum.add(sentence));
        let SentenceScore { gold_words, words, correct } = sum;
        Self {
            precision: share(correct, words),
            recall: share(correct, gold_words),
            f1: sum.f1(),
            f1_interval: (sentences.len() > 1).then(|| interval(sentences, seed)),
            gold_words,
            words,
            correct,
            sentences: sentences.len() as u64,
        }
    }
}

fn interval(sentences: &[SentenceScore], seed: u64) -> [f64; 2] {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    // The high half of the product is uniform below the number of sentences, but for one part in 2^64 / number.
    let mut draw = || ((u128::from(random.next_u64()) * sentences.len() as u128) >> 64) as usize;
    let mut resamples = [0.0; RESAMPLES];
    for f1 in &mut resamples {
        let mut sum = SentenceScore::default();
        for _ in 0..sentences.len() {
            sum.add(&sentences[draw()]);
        }
        *f1 = sum.f1();
    }
    resamples.sort_by(f64::total_cmp);
    [resamples[TAIL], resamples[RESAMPLES - 1 - TAIL]]
}

fn share(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// The definition: the words of both as sets of spans of the text without white space, and what they have in common.
    fn oracle(gold: &[&str], words: &[&str]) -> SentenceScore {
        let spans = |words: &[&str]| {
            let mut spans = HashSet::new();
            let mut text = String::new();
            for word in words {
                let start = text.len();
                text.extend(word.split_whitespace());
                if text.len() > start {
                    spans.insert(start..text.len());
                }
            }
            spans
        };
        let (gold, words) = (spans(gold), spans(words));
        SentenceScore {
            gold_words: gold.len() as u64,
            words: words.len() as u64,
            correct: gold.intersection(&words).count() as u64,
        }
    }

    /// A text cut twice at random.
    fn cut_twice() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
        let character = prop::sample::select("我们学习学习aa \u{3000}\t，𠮷".chars().collect::<Vec<_>>());
        prop::collection::vec((character, any::<bool>(), any::<bool>()), 0..40).prop_map(|text| {
            let (mut gold, mut words) = (vec![String::new()], vec![String::new()]);
            for (c, edge, other_edge) in text {
                // Where white space is, is the cutter's business: gold words hold none.
                if !c.is_whitespace() {
                    gold.last_mut().unwrap().push(c);
                }
                words.last_mut().unwrap().push(c);
                if edge {
                    gold.push(String::new());
                }
                if other_edge {
                    words.push(String::new());
                }
            }
            (gold, words)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_the_sets_of_spans((gold, words) in cut_twice()) {
            let gold: Vec<&str> = gold.iter().map(String::as_str).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            prop_assert_eq!(SentenceScore::of(&gold, &words).unwrap(), oracle(&gold, &words));
        }
    }

    #[test]
    fn white_space_is_no_part_of_words() {
        let score =
            SentenceScore::of(&["学习", "and", "English"], &["学习", " and", " ", "\u{3000}Eng", "lish"]).unwrap();
        assert_eq!(score, SentenceScore { gold_words: 3, words: 4, correct: 2 });
    }

    #[test]
    fn another_text_is_told_from_where_it_differs() {
        let differ = |gold: &[&str], words: &[&str]| match SentenceScore::of(gold, words).unwrap_err() {
            Error::OtherText { character, expected, got } => (character, expected, got),
            other => panic!("{other}"),
        };
        assert_eq!(differ(&["我们", "学习"], &["我", "们学 刁"]), (3, "习".into(), "刁".into()));
        assert_eq!(differ(&["我们"], &["我"]), (1, "们".into(), String::new()));
        assert_eq!(differ(&[], &["一二三四五六七八九十一二三"]), (0, String::new(), "一二三四五六七八九十一二".into()));
    }

    #[test]
    fn figures() {
        let sentences = [
            SentenceScore { gold_words: 4, words: 3, correct: 2 },
            SentenceScore { gold_words: 6, words: 5, correct: 4 },
        ];
        let score = SegmentationScore::of(&sentences, 1);
        assert_eq!((score.precision, score.recall, score.f1), (0.75, 0.6, 12.0 / 18.0));
        assert_eq!((score.gold_words, score.words, score.correct, score.sentences), (10, 8, 6, 2));
        // Both ends are drawn by a quarter of the resamples: twice the first sentence, twice the second.
        assert_eq!(score.f1_interval, Some([4.0 / 7.0, 8.0 / 11.0]));
        assert_eq!(SegmentationScore::of(&sentences[..1], 1).f1_interval, None);
        let nothing = SegmentationScore::of(&[], 1);
        assert_eq!((nothing.precision, nothing.recall, nothing.f1, nothing.sentences), (0.0, 0.0, 0.0, 0));
    }

    /// The share of correct words of n equal sentences that are right or wrong as a coin falls is a binomial variable:
    /// its interval by the normal distribution is the reference.
    #[test]
    fn the_interval_is_that_of_a_binomial_variable() {
        let sentence = |n| SentenceScore { gold_words: 1, words: 1, correct: u64::from(n % 5 < 4) };
        let sentences: Vec<SentenceScore> = (0..2000).map(sentence).collect();
        let [low, high] = SegmentationScore::of(&sentences, 7).f1_interval.unwrap();
        let half = 1.96 * (0.8 * 0.2 / 2000f64).sqrt();
        assert!((low - (0.8 - half)).abs() < 0.15 * half && (high - (0.8 + half)).abs() < 0.15 * half, "{low} {high}");
        assert_eq!(SegmentationScore::of(&sentences, 7).f1_interval, Some([low, high]));
        assert_ne!(SegmentationScore::of(&sentences, 8).f1_interval, Some([low, high]));
    }
}
