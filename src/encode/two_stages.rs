//! Tokenizers whose last merges reach over words: merged in two stages.
//!
//! The pattern of such a tokenizer (of superwords, `pipeline/superwords.rs`, or of SuperBPE, Liu and others 2025) leaves
//! words together, so its pieces are long, and hardly come again. Here the merges below a rank are done first, in the
//! pre-tokens of the pattern `ciyuan`, which do come again, and are looked up as those of any other tokenizer
//! (`pieces.rs`); then the others, between the ids that are left of a piece.
//!
//! # Why the ids are the same
//!
//! The condition is that merges stand behind those that make what they join ([`Pairs::are_in_order`]). Let the first stage
//! be the merges below any rank.
//!
//! 1. What merges of the first stage join is made by merges of the first stage. So one of the second never makes a pair for
//!    one of the first; as the lowest rank is merged first, a piece is done with the first stage before the second begins.
//! 2. The first stage may be done part by part, cut at edges that none of its tokens spans: the argument stands in
//!    `cuts.rs`. That also tells such edges; here those of two ASCII characters are wanted too, which a token spans if it
//!    holds the two side by side. The edges of the piece stay, and of those of `ciyuan` all that no token spans.
//! 3. So may the second, between two ids a and b, if no merge goes over that edge. One that does joins a token that ends
//!    with a, that is a itself or the result of a merge of the second stage whose right part ends with a, to one that begins
//!    with b. Which ids such tokens end and begin with is known of the merges. Where both may be, the pairs are looked up.
//!
//! The rank is the one that tells best which tokens are several words and which are not: all below that are and all above
//! that are not count as mistakes.

use std::slice;

use super::ids::Ids;
use super::merge::Merger;
use super::pairs::{NONE, Pairs};
use super::pieces::{All, Pieces};
use super::tokenizer::{Scratch, Tokenizer};
use super::{block, characters::decode};
use crate::error::Result;
use crate::segment::{HanEdges, Pattern, Segmenter};
use crate::vocab::{Merge, TokenId, TokenizerSpec, Vocab};

/// Bits beside the length of a token: whether a left part of a merge of the second stage may end with it, and whether a
/// right part may begin with it.
const ENDS_LEFT: u32 = 1;
const BEGINS_RIGHT: u32 = 2;
const LENGTH_SHIFT: u32 = 2;

/// The two stages of a tokenizer.
#[derive(Debug)]
pub(super) struct TwoStages {
    /// The merges of the first stage, with a pattern that cuts at words.
    first: Tokenizer,
    /// By ASCII character: those that stand behind it in some token of the first stage.
    behind: Box<[u128; 128]>,
    /// By id: how many bytes its token has, and the bits above.
    tokens: Vec<u32>,
}

/// What an encoder works in, beside its scratch space.
pub(super) struct Room {
    /// Of the first stage.
    scratch: Scratch,
    /// Ends of pre-tokens, and those that are left of them.
    words: Vec<u32>,
    parts: Vec<u32>,
    ids: Vec<TokenId>,
}

impl TwoStages {
    /// Those of a tokenizer of bytes that takes no token whole, if this cuts its texts and leaves words together, and its
    /// merges may be done so.
    pub(super) fn of(spec: &TokenizerSpec, segmenter: &Segmenter) -> Option<Self> {
        let pattern = segmenter.pattern();
        let takes_text = !pattern.drops_text() && !pattern.changes_text();
        if !takes_text || !leaves_words_together(segmenter) || !Pairs::are_in_order(spec.merges()) {
            return None;
        }
        let pattern = Pattern::default();
        let source = pattern.source().to_owned();
        let (first, second) = stages(spec, &Segmenter::new(pattern, HanEdges::None).ok()?)?;
        let made = first.iter().map(|merge| merge.result).chain(spec.vocab().byte_ids().ok()?);
        let mut made: Vec<TokenId> = made.collect();
        made.sort_unstable();
        made.dedup();
        let tokens_of_first = made.iter().filter_map(|id| Some((*id, spec.vocab().token(*id)?.to_vec())));
        let vocab = Vocab::new(tokens_of_first.collect()).ok()?;
        let behind = neighbours(&vocab);
        let first = TokenizerSpec::new(source, HanEdges::None, vocab, first.to_vec(), Vec::new(), false);
        Some(Self { first: Tokenizer::new(first.ok()?).ok()?, behind, tokens: tokens(spec, second) })
    }

    pub(super) fn room(&self) -> Room {
        Room { scratch: self.first.scratch(), words: Vec::new(), parts: Vec::new(), ids: Vec::new() }
    }

    /// Takes the scratch space back for the next encoder.
    pub(super) fn give_back(&self, room: Room) {
        self.first.give_back(room.scratch);
    }

    /// Gives the ids of `text`, whose pieces by the pattern of `tokenizer` end at `ends`.
    pub(super) fn encode(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        ends: &[u32],
        (room, merger): (&mut Room, &mut Merger),
        ids: &mut impl Ids,
    ) -> Result<()> {
        let Room { scratch, words, parts, ids: first } = room;
        self.first.segmenter().spans(text, words)?;
        self.safe_edges(text.as_bytes(), words, ends, parts);
        first.clear();
        let mut pieces = Pieces { tokenizer: &self.first, is_text: true, scratch, ids: first };
        block::run(All { pieces: &mut pieces, text: text.as_bytes(), ends: parts });
        self.merge(tokenizer.pairs(), merger, first, ends, ids);
        Ok(())
    }

    /// Puts into `parts` those of the ends of pre-tokens that no token of the first stage spans, and those of pieces.
    fn safe_edges(&self, text: &[u8], words: &[u32], ends: &[u32], parts: &mut Vec<u32>) {
        parts.clear();
        let mut ends = ends.iter().copied().peekable();
        for &word in words {
            while let Some(end) = ends.next_if(|end| *end < word) {
                parts.push(end);
            }
            if ends.next_if_eq(&word).is_some() || !self.spanned(text, word as usize) {
                parts.push(word);
            }
        }
    }

    /// Whether a token of the first stage may span the edge of two characters at `at`, which is inside the text.
    #[inline]
    fn spanned(&self, text: &[u8], at: usize) -> bool {
        let [a, b] = [text[at - 1], text[at]];
        if (a | b) < 0x80 {
            return self.behind[usize::from(a)] >> b & 1 == 1;
        }
        let start = text[..at].iter().rposition(|byte| byte & 0xC0 != 0x80).unwrap_or(0);
        self.first.characters().spanned(decode(text, start).0, decode(text, at).0)
    }

    /// Gives what the merges of the second stage leave of these ids, in pieces that end at `ends`.
    fn merge(&self, pairs: &Pairs, merger: &mut Merger, first: &[TokenId], ends: &[u32], ids: &mut impl Ids) {
        let mut ends = ends.iter().copied();
        let (mut end, mut place) = (ends.next().unwrap_or(0), 0);
        // Ids before `done` are given; those from `start` on belong together, and some of them merge or none.
        let (mut done, mut start, mut merges) = (0, 0, false);
        let mut left = 0;
        for at in 0..=first.len() {
            // Behind the last one stands none, to which nothing is joined.
            let token = first.get(at).map_or(0, |id| self.tokens[*id as usize]);
            if left & ENDS_LEFT != 0 && token & BEGINS_RIGHT != 0 {
                merges |= pairs.rank(first[at - 1], first[at]) != NONE;
            } else {
                if merges {
                    ids.some(&first[done..start]);
                    let together = first[start..at].iter().map(slice::from_ref);
                    ids.merged(|ids| merger.merge_characters(pairs, together, ids));
                    done = at;
                }
                (start, merges) = (at, false);
            }
            place += token >> LENGTH_SHIFT;
            // Behind the end of a piece nothing is joined to it.
            left = if place == end { 0 } else { token };
            if place == end {
                end = ends.next().unwrap_or(0);
            }
        }
        ids.some(&first[done..]);
    }
}

/// Whether words stand together in a piece of the pattern.
fn leaves_words_together(segmenter: &Segmenter) -> bool {
    let mut ends = Vec::new();
    segmenter.spans("one two three", &mut ends).is_ok() && ends.first().is_some_and(|end| *end > 4)
}

/// The merges of both stages; `None` if there is nothing for the first.
fn stages<'s>(spec: &'s TokenizerSpec, words: &Segmenter) -> Option<(&'s [Merge], &'s [Merge])> {
    let merges = spec.merges().as_slice();
    let mut ends = Vec::new();
    let mut has_edge = |merge: &Merge| {
        let text = spec.vocab().token(merge.result).and_then(|token| std::str::from_utf8(token).ok());
        text.is_some_and(|text| words.spans(text, &mut ends).is_ok() && ends.len() > 1)
    };
    let (mut score, mut best, mut rank) = (0, 0, 0);
    for (at, merge) in merges.iter().enumerate() {
        score += if has_edge(merge) { -1 } else { 1 };
        if score >= best {
            (best, rank) = (score, at + 1);
        }
    }
    (rank > 0).then(|| merges.split_at(rank))
}

/// By ASCII character, those behind it in some token.
fn neighbours(vocab: &Vocab) -> Box<[u128; 128]> {
    let mut behind = Box::new([0; 128]);
    for pair in vocab.iter().flat_map(|(_, token)| token.windows(2)) {
        if (pair[0] | pair[1]) < 0x80 {
            behind[usize::from(pair[0])] |= 1 << pair[1];
        }
    }
    behind
}

/// By id, [`TwoStages::tokens`] with these merges of the second stage.
fn tokens(spec: &TokenizerSpec, second: &[Merge]) -> Vec<u32> {
    let mut tokens = vec![0; spec.vocab().id_end() as usize];
    for (id, token) in spec.vocab().iter() {
        tokens[id as usize] = (token.len() as u32) << LENGTH_SHIFT;
    }
    // From the last merge on: what makes a token stands before all that joins it.
    for merge in second.iter().rev() {
        let made = tokens[merge.result as usize];
        tokens[merge.left as usize] |= ENDS_LEFT | made & BEGINS_RIGHT;
        tokens[merge.right as usize] |= BEGINS_RIGHT | made & ENDS_LEFT;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::naive_encode;
    use super::super::testing::learned;
    use super::*;
    use crate::learn::{Counts, LearnConfig, VocabSize, learn, learn_more};
    use crate::segment::{SUPERWORD_PATTERN, hostile};

    const TEXT: &str = "to be, or not to be: that is the question. To be 12345 or 1234 (be/to) a/b. don't, don't\n\n\
        词元是单位，词元是单位。不是词元，是单位！ 词 元，to be 是 1234。 ￥1234 ￥12 the words' end; the words' end\n";

    /// Some merges learned with the pattern `fine`, and more with the pattern `coarse`.
    fn superwords(fine: &str, coarse: &str, [words, all]: [u32; 2]) -> Tokenizer {
        let counts = |pattern: &str| {
            let segmenter = Segmenter::new(Pattern::parse(pattern).unwrap(), HanEdges::None).unwrap();
            Counts::of_texts(&segmenter, &[TEXT]).unwrap()
        };
        let config = |merges| LearnConfig {
            vocab_size: VocabSize::Tokens(256 + merges),
            special: vec![],
            min_count: 1,
            ..LearnConfig::default()
        };
        let go_on = &mut |_, _| ControlFlow::Continue(());
        let source = Pattern::parse(coarse).unwrap().source().to_owned();
        let spec = |pairs: &[_]| TokenizerSpec::from_learned(source.clone(), HanEdges::None, pairs, &[]).unwrap();
        let first = learn(counts(fine), &config(words), go_on).unwrap().pairs;
        let more = learn_more(counts(coarse), &spec(&first), &config(all), go_on).unwrap().pairs;
        Tokenizer::new(spec(&[first, more].concat())).unwrap()
    }

    static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
        let lines = r"regex:[^\n]+|\n+";
        let two = [("ciyuan", SUPERWORD_PATTERN), ("cl100k", lines), ("gpt2", r"regex:(?s).+"), ("o200k", lines)];
        let staged = two.iter().flat_map(|(fine, coarse)| {
            [[60, 160], [100, 110], [3, 100], [120, 300]].map(|sizes| superwords(fine, coarse, sizes))
        });
        let unstaged = [lines, r"regex:(?s).+", SUPERWORD_PATTERN].map(|pattern| learned(pattern, TEXT, 150));
        staged.chain(unstaged).collect()
    });

    #[track_caller]
    fn check(tokenizer: &Tokenizer, text: &str) {
        assert!(tokenizer.two_stages().is_some());
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(ids, naive_encode(tokenizer, text).unwrap(), "{text:?} by {:?}", tokenizer.spec().pattern());
        assert_eq!(tokenizer.count(text).unwrap(), ids.len());
    }

    #[test]
    fn the_text_that_was_learned_from() {
        for tokenizer in &*TOKENIZERS {
            check(tokenizer, TEXT);
            check(tokenizer, &TEXT.repeat(30));
        }
    }

    #[test]
    fn the_first_stage_is_what_was_learned_of_words() {
        let first = |sizes| {
            let tokenizer = superwords("ciyuan", SUPERWORD_PATTERN, sizes);
            tokenizer.two_stages().map(|stages| stages.first.spec().merges().len())
        };
        assert_eq!([first([40, 90]), first([60, 100]), first([60, 60])], [40, 60, 60].map(Some));
    }

    #[test]
    fn who_has_no_two_stages() {
        // One whose pattern cuts at words, and one with a merge before one that makes what it joins.
        assert!(learned("ciyuan", TEXT, 100).two_stages().is_none());
        let spec = |is_in_order: bool| {
            let plain = TokenizerSpec::from_learned(SUPERWORD_PATTERN.to_owned(), HanEdges::None, &[], &[]).unwrap();
            let id = |byte: u8| plain.vocab().id(&[byte]).unwrap();
            let pairs = [(id(b'a'), id(b'b')), (256, id(b'c'))];
            let spec = TokenizerSpec::from_learned(SUPERWORD_PATTERN.to_owned(), HanEdges::None, &pairs, &[]).unwrap();
            let mut merges = spec.merges().as_slice().to_vec();
            if !is_in_order {
                merges.reverse();
            }
            TokenizerSpec::new(spec.pattern().to_owned(), HanEdges::None, spec.vocab().clone(), merges, vec![], false)
        };
        let has_stages = |is_in_order| Tokenizer::new(spec(is_in_order).unwrap()).unwrap().two_stages().is_some();
        assert_eq!([has_stages(true), has_stages(false)], [true, false]);
    }

    fn text() -> impl Strategy<Value = String> {
        let parts = [
            "to", "be", " ", " to be", ", ", "or", "/", "1", "234", "词元", "是", "，", "。", "\n", "￥", "'", "t",
            "don't", "T", "𠮷", "é",
        ];
        let mixed =
            proptest::collection::vec(prop::sample::select(parts.to_vec()), 0..60).prop_map(|parts| parts.concat());
        let places = (0..TEXT.len(), 0..TEXT.len()).prop_map(|(a, b)| {
            let [a, b] = [a.min(b), a.max(b)].map(|at| TEXT.floor_char_boundary(at));
            TEXT[a..b].to_owned() + &TEXT[a..]
        });
        prop_oneof![mixed, places, hostile()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn equals_the_plain_loop(text in text()) {
            for tokenizer in &*TOKENIZERS {
                check(tokenizer, &text);
            }
        }
    }
}
