//! Spans of a text: a pattern, and the edges inside Han runs.

#[cfg(feature = "chinese")]
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::han::han_runs;
use super::lanes::Instructions;
use super::pattern::Pattern;
#[cfg(feature = "chinese")]
use super::words::Dictionary;
use crate::error::{Error, Result};

/// What is done with Chinese, when learning and when encoding (`--han`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Han {
    /// Words of the dictionary bound the merges while learning; encoding runs on what the pattern gives.
    #[default]
    LearnWords,
    /// What the pattern gives, always.
    Runs,
    /// Words of the dictionary, when learning and when encoding.
    Words,
    /// Single characters, when learning and when encoding.
    Chars,
}

impl Han {
    /// The edges that bound merges while learning.
    #[must_use]
    pub fn learning(self) -> HanEdges {
        match self {
            Self::LearnWords | Self::Words => HanEdges::Words,
            Self::Runs => HanEdges::None,
            Self::Chars => HanEdges::Chars,
        }
    }

    /// The edges when text is encoded.
    #[must_use]
    pub fn encoding(self) -> HanEdges {
        match self {
            Self::LearnWords | Self::Runs => HanEdges::None,
            Self::Words => HanEdges::Words,
            Self::Chars => HanEdges::Chars,
        }
    }
}

/// Where Han runs are cut, on top of the pattern. With words or characters the run is also cut from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HanEdges {
    /// Nowhere.
    #[default]
    None,
    /// At the edges of words.
    Words,
    /// At every character.
    Chars,
}

/// Cuts texts into spans. Cheap to clone, shared freely between threads.
#[derive(Debug, Clone)]
pub struct Segmenter {
    pattern: Pattern,
    edges: HanEdges,
    #[cfg(feature = "chinese")]
    dictionary: Option<Arc<Dictionary>>,
}

impl Segmenter {
    /// A segmenter for `pattern`, with `edges` inside Han runs; words are those of the built-in dictionary.
    ///
    /// # Errors
    ///
    /// [`Error::Feature`] for words in a build without the feature `chinese`.
    pub fn new(pattern: Pattern, edges: HanEdges) -> Result<Self> {
        #[cfg(feature = "chinese")]
        return Ok(Self { pattern, edges, dictionary: (edges == HanEdges::Words).then(Dictionary::built_in) });
        #[cfg(not(feature = "chinese"))]
        match edges {
            HanEdges::Words => Err(Error::Feature { feature: "chinese", what: "cutting Chinese into words" }),
            _ => Ok(Self { pattern, edges }),
        }
    }

    /// The same with the words of `dictionary`, as far as words are asked for.
    #[cfg(feature = "chinese")]
    #[must_use]
    pub fn with_dictionary(pattern: Pattern, edges: HanEdges, dictionary: Arc<Dictionary>) -> Self {
        Self { pattern, edges, dictionary: (edges == HanEdges::Words).then_some(dictionary) }
    }

    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The edges inside Han runs.
    #[must_use]
    pub fn edges(&self) -> HanEdges {
        self.edges
    }

    /// Puts the end offset of each span of `text` into `ends`, which is cleared first.
    ///
    /// ```
    /// use ciyuan::segment::{HanEdges, Pattern, Segmenter};
    /// let segmenter = Segmenter::new(Pattern::default(), HanEdges::Chars)?;
    /// let mut ends = Vec::new();
    /// segmenter.spans("词元 is a token", &mut ends)?;
    /// assert_eq!(ends, [3, 6, 9, 11, 17]);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] for a text of 4 GiB or more, [`Error::PatternLimit`] when a backtracking pattern gives up.
    pub fn spans(&self, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        self.spans_with(Instructions::best(), text, ends)
    }

    /// The same with given instructions; other patterns than the named ones do without.
    ///
    /// # Errors
    ///
    /// Those of [`Segmenter::spans`].
    pub fn spans_with(&self, instructions: Instructions, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        if u32::try_from(text.len()).is_err() {
            return Err(Error::Limit {
                what: "the text of one document, in bytes,",
                value: text.len() as u64,
                max: u64::from(u32::MAX),
            });
        }
        ends.clear();
        self.pattern.spans(instructions, text, ends)?;
        if self.edges != HanEdges::None {
            let pre_tokens = std::mem::take(ends);
            let mut start = 0;
            for end in pre_tokens {
                self.cut(text, start, end as usize, ends);
                start = end as usize;
            }
        }
        Ok(())
    }

    /// Cuts the span `start..end` at the edges of its Han runs and inside them.
    fn cut(&self, text: &str, start: usize, end: usize, ends: &mut Vec<u32>) {
        let span = &text[start..end];
        if span.is_ascii() {
            ends.push(end as u32);
            return;
        }
        han_runs(span, |run| {
            if run.start > 0 && ends.last() != Some(&((start + run.start) as u32)) {
                ends.push((start + run.start) as u32);
            }
            self.cut_run(&span[run.clone()], start + run.start, ends);
        });
        if ends.last() != Some(&(end as u32)) {
            ends.push(end as u32);
        }
    }

    /// Pushes the ends inside a Han run and its own.
    fn cut_run(&self, run: &str, base: usize, ends: &mut Vec<u32>) {
        match self.edges {
            HanEdges::None => ends.push((base + run.len()) as u32),
            HanEdges::Chars => ends.extend(run.char_indices().map(|(at, c)| (base + at + c.len_utf8()) as u32)),
            HanEdges::Words =>
            {
                #[cfg(feature = "chinese")]
                if let Some(dictionary) = &self.dictionary {
                    let before = ends.len();
                    dictionary.word_ends(run, ends);
                    ends[before..].iter_mut().for_each(|end| *end += base as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pattern: &str, edges: HanEdges, text: &str) -> Vec<String> {
        let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), edges).unwrap();
        let mut ends = Vec::new();
        segmenter.spans(text, &mut ends).unwrap();
        let mut start = 0;
        ends.iter().map(|&end| text[std::mem::replace(&mut start, end as usize)..end as usize].to_owned()).collect()
    }

    #[test]
    fn characters_stand_alone_under_any_pattern() {
        assert_eq!(pieces("ciyuan", HanEdges::Chars, "a词元，b"), ["a", "词", "元", "，b"]);
        assert_eq!(pieces("cl100k", HanEdges::Chars, "a，词元b 1"), ["a", "，", "词", "元", "b", " ", "1"]);
    }

    #[test]
    #[cfg(feature = "chinese")]
    fn words_stand_apart_under_any_pattern() {
        assert_eq!(pieces("ciyuan", HanEdges::Words, "我们学习语言模型"), ["我们", "学习", "语言", "模型"]);
        assert_eq!(pieces("cl100k", HanEdges::Words, "，我们学习"), ["，", "我们", "学习"]);
        assert_eq!(pieces("ciyuan", HanEdges::None, "我们学习语言模型"), ["我们学习语言模型"]);
    }

    #[test]
    fn nothing_in_nothing_out() {
        for edges in [HanEdges::None, HanEdges::Chars] {
            assert!(pieces("ciyuan", edges, "").is_empty());
        }
    }
}
