//! Spans of a text: a pattern, and the edges inside Han runs.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::han::han_runs;
use super::lanes::Instructions;
use super::pattern::Pattern;
use super::reach::Reach;
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
    /// The name by which the command knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LearnWords => "learn-words",
            Self::Runs => "runs",
            Self::Words => "words",
            Self::Chars => "chars",
        }
    }

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
    /// Made when it is first asked for.
    reach: Arc<OnceLock<Option<Reach>>>,
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
        let dictionary = (edges == HanEdges::Words).then(Dictionary::built_in);
        #[cfg(feature = "chinese")]
        return Ok(Self { pattern, edges, reach: Arc::default(), dictionary });
        #[cfg(not(feature = "chinese"))]
        match edges {
            HanEdges::Words => Err(Error::Feature { feature: "chinese", what: "cutting Chinese into words" }),
            _ => Ok(Self { pattern, edges, reach: Arc::default() }),
        }
    }

    /// The same with the words of `dictionary`, as far as words are asked for.
    #[cfg(feature = "chinese")]
    #[must_use]
    pub fn with_dictionary(pattern: Pattern, edges: HanEdges, dictionary: Arc<Dictionary>) -> Self {
        Self { pattern, edges, reach: Arc::default(), dictionary: (edges == HanEdges::Words).then_some(dictionary) }
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

    /// What tells how far the matches of a pattern without a scanner are settled, if it can be told.
    pub(super) fn reach(&self) -> Option<&Reach> {
        self.reach.get_or_init(|| Reach::of(self.pattern.source())).as_ref()
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
        self.cut_all(Instructions::best(), text, ends, &mut Vec::new())
    }

    /// The same with given instructions; other patterns than the named ones do without.
    ///
    /// # Errors
    ///
    /// Those of [`Segmenter::spans`].
    pub fn spans_with(&self, instructions: Instructions, text: &str, ends: &mut Vec<u32>) -> Result<()> {
        self.cut_all(instructions, text, ends, &mut Vec::new())
    }

    /// The same, and puts the numbers of those spans into `dropped` that the pattern takes out of the text
    /// ([`Pattern::drops_text`]): no ids are made of them.
    ///
    /// ```
    /// use ciyuan::segment::{HanEdges, Pattern, Segmenter, kept_pieces};
    /// let segmenter = Segmenter::new(Pattern::parse(r#"{"type": "Whitespace"}"#)?, HanEdges::None)?;
    /// let (text, mut ends, mut dropped) = ("a token!", Vec::new(), Vec::new());
    /// segmenter.spans_and_dropped(text, &mut ends, &mut dropped)?;
    /// assert_eq!((&ends[..], &dropped[..]), (&[1, 2, 7, 8][..], &[1][..]));
    /// assert_eq!(kept_pieces(text, &ends, &dropped).collect::<Vec<_>>(), ["a", "token", "!"]);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Segmenter::spans`].
    pub fn spans_and_dropped(&self, text: &str, ends: &mut Vec<u32>, dropped: &mut Vec<u32>) -> Result<()> {
        self.cut_all(Instructions::best(), text, ends, dropped)
    }

    /// The door for bytes that may be no UTF-8: as [`Segmenter::spans_and_dropped`], on bytes.
    ///
    /// The rule: each stretch of valid UTF-8 is cut as a text by itself, and each stretch of other bytes between them is
    /// one span. What is valid is as in [`str::from_utf8`], so that a character cut off at the end, a surrogate or a
    /// byte too many are other bytes. Nothing is replaced, and all bytes are in some span.
    ///
    /// ```
    /// use ciyuan::segment::{HanEdges, Pattern, Segmenter};
    /// let segmenter = Segmenter::new(Pattern::default(), HanEdges::None)?;
    /// let (mut ends, mut dropped) = (Vec::new(), Vec::new());
    /// segmenter.byte_spans(b"two words\xFF\xE4\xB8 more", &mut ends, &mut dropped)?;
    /// assert_eq!(ends, [3, 9, 12, 17]);
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Segmenter::spans`]; the offset of [`Error::PatternLimit`] is one in `bytes`.
    pub fn byte_spans(&self, bytes: &[u8], ends: &mut Vec<u32>, dropped: &mut Vec<u32>) -> Result<()> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.spans_and_dropped(text, ends, dropped);
        }
        check_length(bytes.len())?;
        ends.clear();
        dropped.clear();
        let (mut of_text, mut gone) = (Vec::new(), Vec::new());
        let (mut start, mut after_text) = (0, true);
        for chunk in bytes.utf8_chunks() {
            if !chunk.valid().is_empty() {
                self.spans_and_dropped(chunk.valid(), &mut of_text, &mut gone).map_err(|error| error.moved(start))?;
                dropped.extend(gone.iter().map(|at| ends.len() as u32 + at));
                ends.extend(of_text.iter().map(|end| start as u32 + end));
                (start, after_text) = (start + chunk.valid().len(), true);
            }
            if !chunk.invalid().is_empty() {
                start += chunk.invalid().len();
                match ends.last_mut() {
                    Some(last) if !after_text => *last = start as u32,
                    _ => ends.push(start as u32),
                }
                after_text = false;
            }
        }
        Ok(())
    }

    fn cut_all(
        &self,
        instructions: Instructions,
        text: &str,
        ends: &mut Vec<u32>,
        dropped: &mut Vec<u32>,
    ) -> Result<()> {
        check_length(text.len())?;
        ends.clear();
        dropped.clear();
        self.pattern.spans(instructions, text, ends, dropped)?;
        if self.edges != HanEdges::None && !text.is_ascii() {
            let (pre_tokens, gone) = (std::mem::take(ends), std::mem::take(dropped));
            ends.reserve(pre_tokens.len());
            let mut gone = gone.into_iter().peekable();
            // What stands from `start` to `wide` is ASCII.
            let (mut start, mut wide) = (0, 0);
            for (at, end) in (0..).zip(pre_tokens) {
                if end as usize > wide {
                    wide = first_wide(text.as_bytes(), start.max(wide));
                }
                if gone.next_if_eq(&at).is_some() {
                    dropped.push(ends.len() as u32);
                    ends.push(end);
                } else if end as usize <= wide {
                    ends.push(end);
                } else {
                    self.cut(text, start, end as usize, ends);
                }
                start = end as usize;
            }
        }
        Ok(())
    }

    /// Cuts the span `start..end` at the edges of its Han runs and inside them.
    fn cut(&self, text: &str, start: usize, end: usize, ends: &mut Vec<u32>) {
        let span = &text[start..end];
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

/// The place of the first byte from `from` on that is not ASCII, or the end.
fn first_wide(bytes: &[u8], from: usize) -> usize {
    let chunks = bytes[from..].chunks(64);
    let from = (from + 64 * chunks.take_while(|chunk| chunk.is_ascii()).count()).min(bytes.len());
    from + bytes[from..].iter().position(|byte| !byte.is_ascii()).unwrap_or(bytes.len() - from)
}

/// Offsets are numbers of 32 bits.
fn check_length(bytes: usize) -> Result<()> {
    match u32::try_from(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Limit {
            what: "the text of one document, in bytes,",
            value: bytes as u64,
            max: u64::from(u32::MAX),
        }),
    }
}

/// The pieces of a text (or of bytes) that are not dropped; see [`Segmenter::spans_and_dropped`].
pub fn kept_pieces<'t, T>(text: &'t T, ends: &[u32], dropped: &[u32]) -> impl Iterator<Item = &'t T>
where
    T: std::ops::Index<std::ops::Range<usize>, Output = T> + ?Sized,
{
    kept_ranges(ends, dropped).map(move |range| &text[range])
}

/// Where those pieces stand.
pub(crate) fn kept_ranges(ends: &[u32], dropped: &[u32]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut dropped = dropped.iter().peekable();
    let mut start = 0;
    (0..).zip(ends).filter_map(move |(at, end)| {
        let range = std::mem::replace(&mut start, *end as usize)..*end as usize;
        dropped.next_if_eq(&&at).is_none().then_some(range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::is_han;

    #[test]
    fn ascii_of_any_length_before_han() {
        let segmenter = |edges| Segmenter::new(Pattern::default(), edges).unwrap();
        let (plain, cut) = (segmenter(HanEdges::None), segmenter(HanEdges::Chars));
        for before in 0..140 {
            let words = "a word, and ".chars().cycle().take(before).collect::<String>();
            let text = [&words, "词元", &words, "é", &words, "词", &words].concat();
            let (mut ends, mut all) = (Vec::new(), Vec::new());
            plain.spans(&text, &mut ends).unwrap();
            cut.spans(&text, &mut all).unwrap();
            let han = text.char_indices().filter(|(_, c)| is_han(*c));
            ends.extend(han.flat_map(|(at, c)| [at as u32, (at + c.len_utf8()) as u32]).filter(|end| *end > 0));
            ends.sort_unstable();
            ends.dedup();
            assert_eq!(all, ends, "{text}");
        }
    }

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
    fn what_is_dropped_keeps_its_number_behind_edges() {
        let segmenter =
            Segmenter::new(Pattern::parse(r#"{"type":"WhitespaceSplit"}"#).unwrap(), HanEdges::Chars).unwrap();
        let (text, mut ends, mut dropped) = ("词元 ab\u{3000}\n", Vec::new(), Vec::new());
        segmenter.spans_and_dropped(text, &mut ends, &mut dropped).unwrap();
        assert_eq!(kept_pieces(text, &ends, &dropped).collect::<Vec<_>>(), ["词", "元", "ab"]);
        assert_eq!(ends.last(), Some(&(text.len() as u32)));
        assert_eq!(dropped, [2, 4, 5]);
    }

    #[test]
    fn bytes_that_are_no_text_stand_apart() {
        let split = |pattern: &str, bytes: &'static [u8]| {
            let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
            let (mut ends, mut dropped) = (Vec::new(), Vec::new());
            segmenter.byte_spans(bytes, &mut ends, &mut dropped).unwrap();
            assert_eq!(ends.last().map_or(0, |end| *end as usize), bytes.len());
            kept_pieces(bytes, &ends, &dropped).collect::<Vec<_>>()
        };
        assert_eq!(split("cl100k", b""), Vec::<&[u8]>::new());
        assert_eq!(split("cl100k", b"a b"), [b"a".as_slice(), b" b"]);
        // White space before bad bytes has nothing behind it; a surrogate is three bad bytes, and all of a run are one.
        assert_eq!(split("cl100k", b"a  \xED\xA0\x80\xFFb"), [b"a".as_slice(), b"  ", b"\xED\xA0\x80\xFF", b"b"]);
        assert_eq!(split("cl100k", b"\xFF\xE4\xB8"), [b"\xFF\xE4\xB8"]);
        assert_eq!(split(r#"{"type":"WhitespaceSplit"}"#, b" a\xFF b\n"), [b"a".as_slice(), b"\xFF", b"b"]);
        let limited = Segmenter::new(Pattern::parse("(a|aa)+(?!x)$").unwrap(), HanEdges::None).unwrap();
        let bytes = [&b"b\xFF"[..], &[b'a'; 60], b"b"].concat();
        let result = limited.byte_spans(&bytes, &mut Vec::new(), &mut Vec::new());
        assert!(matches!(result, Err(Error::PatternLimit { offset: 2, .. })), "{result:?}");
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
