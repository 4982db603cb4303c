//! The ids of a text that goes on: which of them stay, whatever follows.
//!
//! A prompt ends in the middle of a text. Its last ids are then not those that the whole text has at that place: `wor`
//! has other ids than the first half of `world`. A model that is to go on from a prompt, or whoever encodes a text while
//! it grows, takes only the ids that are settled.
//!
//! # Which are settled
//!
//! Those of the text before a place where the ids of any continuation fall into two parts, of which the first depends
//! on nothing behind the place:
//!
//! 1. The last edge of pre-tokens that stays an edge, with all pre-tokens before it (`segment/settled.rs`, which
//!    argues by the patterns). Pre-tokens are encoded by themselves.
//! 2. If what follows that edge is the beginning of one pre-token: the last safe cut in it, an edge of two characters
//!    that no token of merges spans (`cuts.rs`, which has the proof). Both characters are there, so whether a token spans
//!    them does not depend on what follows. Only a pre-token that is taken as a token as a whole, and is not what merges
//!    make of it, is not cut there: if one begins with all that is there, the place is not taken.
//!
//! The rest of the text, with whatever follows, can then be encoded by itself: the scanners look at nothing before a
//! pre-token, and a run of ideographs without its beginning ends where it ended. Here too a token taken as a whole could
//! begin at the cut, and the place is not taken if one does.
//!
//! This errs on the side of calling too little settled: words of letters stay open to their ends, and a pattern that
//! backtracks, or that is a sequence of steps, settles nothing.

use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::segment::Settled;
use crate::vocab::TokenId;

/// The ids of the beginning of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixIds {
    /// The ids of the text as it is: those of [`Tokenizer::encode`].
    pub ids: Vec<TokenId>,
    /// How many of them stay, however the text goes on.
    pub settled: usize,
    /// How many bytes of the text those stand for. The ids behind them are those of the text from there on, encoded by
    /// itself, however it goes on.
    pub settled_bytes: usize,
}

impl PrefixIds {
    /// How many ids at the end may still change.
    #[must_use]
    pub fn open(&self) -> usize {
        self.ids.len() - self.settled
    }
}

impl Tokenizer {
    /// The ids of a text that may go on, and how many of them are the first ids of every text that begins so. Special
    /// tokens are ordinary text, as in [`Tokenizer::encode`].
    ///
    /// ```
    /// use ciyuan::encode::Tokenizer;
    /// # use ciyuan::segment::{HanEdges, Pattern};
    /// # use ciyuan::vocab::TokenizerSpec;
    /// # let pattern = Pattern::parse("cl100k")?.source().to_owned();
    /// # let spec = TokenizerSpec::from_learned(pattern, HanEdges::None, &[(71, 68), (86, 78), (257, 81)], &[])?;
    /// # let tokenizer = Tokenizer::new(spec)?;
    /// let prefix = tokenizer.encode_prefix("hello wo")?;
    /// let (settled, whole) = (&prefix.ids[..prefix.settled], tokenizer.encode("hello world")?);
    /// assert_eq!(tokenizer.decode(settled)?, b"hello");
    /// assert!(whole.starts_with(settled) && !whole.starts_with(&prefix.ids));
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_prefix(&self, text: &str) -> Result<PrefixIds> {
        let ids = self.encode(text)?;
        if !self.is_plain() {
            return Ok(PrefixIds { ids, settled: 0, settled_bytes: 0 });
        }
        let Settled { edge, one_span } = self.segmenter().settled(text)?;
        let begun = &text[edge..];
        let is_free = |begun: &str| !self.begins_whole_piece(begun.as_bytes());
        let cut = self.characters().last_cut(begun).filter(|cut| one_span && is_free(begun) && is_free(&begun[*cut..]));
        let settled_bytes = edge + cut.unwrap_or(0);
        let (mut settled, mut bytes) = (0, 0);
        while bytes < settled_bytes {
            bytes += self.spec().vocab().token(ids[settled]).map_or(0, <[u8]>::len);
            settled += 1;
        }
        debug_assert_eq!(bytes, settled_bytes, "no id spans the place");
        Ok(PrefixIds { ids, settled, settled_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Counts, LearnConfig, VocabSize, learn};
    use crate::segment::{HanEdges, Pattern, Segmenter};
    use crate::vocab::TokenizerSpec;
    use proptest::prelude::*;
    use std::ops::ControlFlow;
    use std::sync::LazyLock;

    const TEXT: &str = "词元是词，词元也是元。，词，词元 the then there 诋词诋词 'll it'll 元a词 12 元元";

    /// A small tokenizer with tokens that join characters, marks and characters, and parts of characters.
    fn tokenizer(pattern: &str, edges: HanEdges, words: &[&str]) -> Tokenizer {
        let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
        let counts = Counts::of_texts(&segmenter, &[TEXT]).unwrap();
        let config = LearnConfig {
            vocab_size: VocabSize::Tokens(285),
            special: Vec::new(),
            min_count: 1,
            ..LearnConfig::default()
        };
        let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap();
        let regex = segmenter.pattern().source().to_owned();
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Tokenizer::new(TokenizerSpec::from_words(regex, edges, &learned.pairs, &words, &[]).unwrap()).unwrap()
    }

    static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
        let mut tokenizers: Vec<Tokenizer> =
            ["ciyuan", "gpt2", "cl100k", "cl100k-tiktoken", "o200k", "qwen2", "deepseek-v3", "regex:(?s).+"]
                .map(|pattern| tokenizer(pattern, HanEdges::None, &[]))
                .into();
        tokenizers.push(tokenizer("cl100k", HanEdges::None, &["，元词是", "元词诋也"]));
        tokenizers.push(tokenizer("o200k", HanEdges::Chars, &[]));
        tokenizers.push(tokenizer(r" ?\p{L}+|[^\s\p{L}]+|\s+(?!\S)|\s+", HanEdges::None, &["诋 "]));
        #[cfg(feature = "chinese")]
        tokenizers.push(tokenizer("ciyuan", HanEdges::Words, &[]));
        tokenizers
    });

    fn settled<'t>(tokenizer: &Tokenizer, text: &'t str) -> &'t str {
        &text[..tokenizer.encode_prefix(text).unwrap().settled_bytes]
    }

    #[test]
    fn chinese_is_settled_at_the_last_safe_cut() {
        let [ciyuan, _, cl100k, ..] = &TOKENIZERS[..] else { panic!("all are there") };
        assert!(ciyuan.token_id("词元".as_bytes()).is_some() && ciyuan.token_id("元是".as_bytes()).is_none());
        // No token joins 元 and 也, one joins 词 and 元.
        assert_eq!(settled(ciyuan, "元也词元"), "元也");
        assert_eq!(settled(ciyuan, "元也词"), "元也");
        assert_eq!(settled(ciyuan, "the 元"), "the ");
        assert_eq!(settled(cl100k, "the"), "");
        let prefix = cl100k.encode_prefix("元也。").unwrap();
        assert_eq!((prefix.settled_bytes, prefix.open()), (6, 2));
        assert_eq!(cl100k.encode_prefix("").unwrap(), PrefixIds { ids: Vec::new(), settled: 0, settled_bytes: 0 });
    }

    #[test]
    fn a_token_taken_whole_keeps_its_beginnings_open() {
        let whole = &TOKENIZERS[8];
        let whole_id = whole.token_id("元词诋也".as_bytes()).unwrap();
        assert_eq!(whole.encode("元词诋也").unwrap(), [whole_id]);
        assert_eq!((settled(whole, "元词"), settled(&TOKENIZERS[2], "元词")), ("", "元"));
        assert_eq!(settled(whole, "元词也"), "元词");
        // The rest by itself would be taken whole.
        assert_eq!((settled(whole, "也元"), settled(&TOKENIZERS[2], "也元")), ("", "也"));
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[词元是也诋，。 a'l1\n]{0,12}", 2 => "[词元诋也是]{1,8}", 1 => "[the '/\n]{0,12}", 1 => any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn settled_ids_stay(text in text(), more in prop::collection::vec(text(), 4)) {
            for tokenizer in TOKENIZERS.iter() {
                let PrefixIds { ids, settled, settled_bytes } = tokenizer.encode_prefix(&text).unwrap();
                prop_assert_eq!(&ids, &tokenizer.encode(&text).unwrap());
                prop_assert_eq!(tokenizer.decode(&ids[..settled]).unwrap(), &text.as_bytes()[..settled_bytes]);
                for more in &more {
                    let longer = tokenizer.encode(&format!("{text}{more}")).unwrap();
                    prop_assert!(longer.starts_with(&ids[..settled]), "{:?} + {:?}: {}", text, more, settled);
                    let rest = tokenizer.encode(&format!("{}{more}", &text[settled_bytes..])).unwrap();
                    prop_assert_eq!(&longer[settled..], rest, "{:?} + {:?}: {}", text, more, settled_bytes);
                }
            }
        }
    }
}
