//! One thread's encoder.

use super::merge::HeapMerger;
use super::naive;
use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::segment::{Segmenter, kept_pieces};
use crate::vocab::TokenId;

/// Pre-tokens of more bytes than this go to the heap, whose time does not grow with the square of their length.
const PLAIN_BYTES: usize = 64;

/// Encodes text after text with the same scratch space.
pub struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    ends: Vec<u32>,
    dropped: Vec<u32>,
    tokens: Vec<TokenId>,
    merger: HeapMerger,
}

impl<'t> Encoder<'t> {
    /// An encoder of `tokenizer`.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, ends: Vec::new(), dropped: Vec::new(), tokens: Vec::new(), merger: HeapMerger::default() }
    }

    /// Appends the ids of `text`; special tokens in it are ordinary text.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_into(&mut self, text: &str, ids: &mut Vec<TokenId>) -> Result<()> {
        self.bytes_into(
            text.as_bytes(),
            |segmenter, ends, dropped| segmenter.spans_and_dropped(text, ends, dropped),
            ids,
        )
    }

    /// Appends the ids of bytes that may be no UTF-8; [`Segmenter::byte_spans`] states how they are cut.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_bytes_into(&mut self, bytes: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        self.bytes_into(bytes, |segmenter, ends, dropped| segmenter.byte_spans(bytes, ends, dropped), ids)
    }

    fn bytes_into(
        &mut self,
        bytes: &[u8],
        cut: impl FnOnce(&Segmenter, &mut Vec<u32>, &mut Vec<u32>) -> Result<()>,
        ids: &mut Vec<TokenId>,
    ) -> Result<()> {
        let (mut ends, mut dropped) = (std::mem::take(&mut self.ends), std::mem::take(&mut self.dropped));
        let done = cut(self.tokenizer.segmenter(), &mut ends, &mut dropped);
        if done.is_ok() {
            kept_pieces(bytes, &ends, &dropped).for_each(|piece| self.piece(piece, ids));
        }
        (self.ends, self.dropped) = (ends, dropped);
        done
    }

    /// Appends the ids of one pre-token.
    fn piece(&mut self, piece: &[u8], ids: &mut Vec<TokenId>) {
        if self.tokenizer.spec().whole_pieces()
            && let Some(id) = self.tokenizer.token_id(piece)
        {
            ids.push(id);
            return;
        }
        let tokens = self.tokenizer.byte_tokens(piece);
        if piece.len() <= PLAIN_BYTES {
            self.tokens.clear();
            self.tokens.extend(tokens);
            naive::merge(self.tokenizer.pairs(), &mut self.tokens);
            ids.extend_from_slice(&self.tokens);
        } else {
            self.merger.merge(self.tokenizer.pairs(), tokens, ids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tokenizer, naive_encode};
    use super::*;
    use crate::learn::{Counts, LearnConfig, VocabSize, learn};
    use crate::segment::{HanEdges, Pattern, Segmenter};
    use crate::vocab::TokenizerSpec;
    use proptest::prelude::*;
    use std::ops::ControlFlow;
    use std::sync::LazyLock;

    /// A small tokenizer with tokens of one character, some characters, and parts of characters.
    fn tokenizer(pattern: &str, text: &str, merges: u32) -> Tokenizer {
        let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
        let counts = Counts::of_texts(&segmenter, &[text]).unwrap();
        let special = vec!["<|endoftext|>".to_owned(), "<|end|>".to_owned(), "<|end|>er".to_owned()];
        let config = LearnConfig { vocab_size: VocabSize::Tokens(259 + merges), special, min_count: 1 };
        let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(())).unwrap();
        let regex = segmenter.pattern().source().to_owned();
        Tokenizer::new(TokenizerSpec::from_learned(regex, HanEdges::None, &learned.pairs, &config.special).unwrap())
            .unwrap()
    }

    static SMALL: LazyLock<Tokenizer> =
        LazyLock::new(|| tokenizer("ciyuan", "词元是词，词元也是元。aaaaaaaa abababab the then there", 40));
    /// One span a text, so that all tokens meet.
    static WHOLE: LazyLock<Tokenizer> =
        LazyLock::new(|| tokenizer(r"regex:(?s).+", "aaaabaaabbabaaaab 词元元词词元", 60));

    #[test]
    fn special_tokens_are_text_unless_allowed() {
        let text = "a<|endoftext|>b<|end|>er";
        let plain = SMALL.encode(text).unwrap();
        assert!(plain.iter().all(|&id| SMALL.spec().special().name(id).is_none()));
        assert_eq!(SMALL.decode(&plain).unwrap(), text.as_bytes());
        let special = SMALL.spec().special();
        let ids = SMALL.encode_with(text, &["<|endoftext|>", "<|end|>", "<|end|>er"]).unwrap();
        let a = SMALL.token_id(b"a").unwrap();
        let b = SMALL.token_id(b"b").unwrap();
        assert_eq!(ids, [a, special.end_of_text().unwrap(), b, special.id("<|end|>er").unwrap()]);
        assert_eq!(SMALL.decode(&ids).unwrap(), text.as_bytes());
        assert_eq!(SMALL.encode_with(text, &[]).unwrap(), plain);
        assert!(SMALL.encode_with(text, &["<|none|>"]).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_come_back() {
        for bytes in [
            &b""[..],
            b"the then",
            b"\xFF",
            "词\u{10FFFF}".as_bytes(),
            b"\xE8\xAF\x8D\xE8\xAF",
            b"aa\xF0\x9F aaaa\xC0\x80",
        ] {
            let ids = SMALL.encode_bytes(bytes).unwrap();
            assert_eq!(SMALL.decode(&ids).unwrap(), bytes);
        }
        assert_eq!(SMALL.encode_bytes("词元aaaa".as_bytes()).unwrap(), SMALL.encode("词元aaaa").unwrap());
    }

    #[test]
    fn unknown_ids_are_errors() {
        let error = SMALL.decode(&[1, 70_000]).unwrap_err().to_string();
        assert!(error.contains("id 70000 at position 1"), "{error}");
    }

    #[test]
    fn long_runs_do_not_take_quadratic_time() {
        // A plain loop over a million would take hours.
        for run in ["a".repeat(1_000_000), "词元".repeat(300_000), " ".repeat(1_000_000)] {
            let ids = WHOLE.encode(&run).unwrap();
            assert_eq!(WHOLE.decode(&ids).unwrap(), run.as_bytes());
        }
    }

    #[test]
    fn batches_keep_their_order() {
        let texts: Vec<String> = (0..500).map(|n| format!("the {n} 词元")).collect();
        let batch = SMALL.encode_batch(&texts).unwrap();
        for (text, ids) in texts.iter().zip(batch) {
            assert_eq!(ids, SMALL.encode(text).unwrap());
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab ]{0,300}", "[词元是，a ]{0,60}", any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn equals_the_plain_loop_and_returns(text in text()) {
            for tokenizer in [&*SMALL, &*WHOLE] {
                let ids = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(&ids, &naive_encode(tokenizer, &text).unwrap());
                prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.as_bytes());
                prop_assert_eq!(tokenizer.count(&text).unwrap(), ids.len());
            }
        }

        #[test]
        fn heap_equals_loop_on_every_length(bytes in prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0xE8]), 0..200)) {
            let mut plain: Vec<TokenId> = WHOLE.byte_tokens(&bytes).collect();
            let mut heap = Vec::new();
            HeapMerger::default().merge(WHOLE.pairs(), plain.clone().into_iter(), &mut heap);
            naive::merge(WHOLE.pairs(), &mut plain);
            prop_assert_eq!(heap, plain);
        }
    }
}
