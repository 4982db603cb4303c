//! How a text becomes its ids: each merge, in the order in which it is done.
//!
//! Each pre-token is merged by itself, from its bytes, or from its characters where the vocabulary is of those: of all
//! pairs of neighbours that merge, the one of the lowest rank is joined, of equal ones the leftmost, until none merges.
//! The steps told here are those of this rule; that [`Tokenizer::encode`] comes to the same ids by shorter ways is what
//! its tests show.

use std::ops::Range;

use super::aligned::Places;
use super::prepare::PlacedPart;
use super::steps::{Done, merge_by_steps};
use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::segment::kept_ranges;
use crate::vocab::TokenId;

/// A pre-token, and how it becomes its ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedPiece {
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// The pre-token as the merges see it: what stands there, unless the tokenizer changes its texts.
    pub text: String,
    /// Where the tokens that merges start from stand in this text: bytes, or characters; none of an added token.
    pub units: Vec<Range<usize>>,
    /// Whether it is taken as the token that it is as a whole, without merging: the tokenizer does so with its tokens
    /// ([`TokenizerSpec::whole_pieces`](crate::vocab::TokenizerSpec::whole_pieces)). The steps are then those that would
    /// lead to the same token; there are none if merges do not lead to it.
    pub whole: bool,
    /// The merges in their order.
    pub steps: Vec<MergeStep>,
    /// The ids that it becomes.
    pub ids: Vec<TokenId>,
}

/// Two tokens that became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeStep {
    /// The rank of the merge.
    pub rank: u32,
    /// The left token.
    pub left: TokenId,
    /// The right token.
    pub right: TokenId,
    /// The token that they became.
    pub result: TokenId,
    /// Where the left token begins in the text, in bytes.
    pub offset: usize,
    /// Where it begins in the text of its piece.
    pub at: usize,
}

impl Tokenizer {
    /// The pre-tokens of `text` and the merges that each goes through; special tokens in it are ordinary text. What the
    /// pattern takes out of the text is not among them. An added token is a piece by itself.
    ///
    /// ```
    /// use ciyuan::encode::Tokenizer;
    /// use ciyuan::segment::{DEFAULT_PATTERN, HanEdges, Pattern};
    /// use ciyuan::vocab::TokenizerSpec;
    /// let pattern = Pattern::parse(DEFAULT_PATTERN)?.source().to_owned();
    /// let [h, e] = [b'h', b'e'].map(|byte| u32::from(byte) - 33); // ids of bytes in GPT-2's order
    /// let spec = TokenizerSpec::from_learned(pattern, HanEdges::None, &[(h, e)], &[])?;
    /// let pieces = Tokenizer::new(spec)?.explain("he he")?;
    /// assert_eq!((pieces.len(), pieces[1].range.clone()), (2, 2..5));
    /// let step = pieces[1].steps[0];
    /// assert_eq!((step.rank, step.left, step.right, step.result, step.offset), (0, h, e, 256, 3));
    /// # Ok::<(), ciyuan::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode_with_offsets`].
    pub fn explain(&self, text: &str) -> Result<Vec<ExplainedPiece>> {
        let mut pieces = Vec::new();
        self.preparation().placed_parts(self.preparation().always(), text, &mut |part| match part {
            PlacedPart::Token(id, range) => {
                let shown = text[range.clone()].to_owned();
                let (units, steps) = (Vec::new(), Vec::new());
                pieces.push(ExplainedPiece { range, text: shown, units, whole: true, steps, ids: vec![id] });
                Ok(())
            }
            PlacedPart::Text(text, places) => self.explain_part(text, places, &mut pieces),
        })?;
        Ok(pieces)
    }

    /// Appends the pre-tokens of a text to the pattern.
    fn explain_part(&self, text: &str, places: Places<'_>, pieces: &mut Vec<ExplainedPiece>) -> Result<()> {
        let (mut ends, mut dropped) = (Vec::new(), Vec::new());
        self.segmenter().spans_and_dropped(text, &mut ends, &mut dropped)?;
        pieces.extend(kept_ranges(&ends, &dropped).map(|range| self.explain_piece(text, range, places)));
        Ok(())
    }

    fn explain_piece(&self, text: &str, range: Range<usize>, places: Places<'_>) -> ExplainedPiece {
        let piece = &text[range.clone()];
        let merges = self.spec().merges().as_slice();
        let (tokens, units) = self.units(piece);
        let mut steps = Vec::new();
        let tell = |Done { rank, at }| {
            let merge = merges[rank as usize];
            let at = units[at as usize].start;
            let offset = places.of(range.start + at..range.start + at + 1).start;
            steps.push(MergeStep { rank, left: merge.left, right: merge.right, result: merge.result, offset, at });
        };
        let merged = merge_by_steps(self.pairs(), tokens.into_iter(), || true, tell);
        let mut ids: Vec<TokenId> = merged.into_iter().map(|(_, id)| id).collect();
        let whole = self.whole_token(piece.as_bytes());
        if let Some(id) = whole
            && ids[..] != [id]
        {
            steps.clear();
            ids = vec![id];
        }
        let text = piece.to_owned();
        ExplainedPiece { range: places.of(range), text, units, whole: whole.is_some(), steps, ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{HanEdges, Pattern};
    use crate::vocab::TokenizerSpec;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn byte(byte: u8) -> TokenId {
        let order = crate::vocab::gpt2_byte_order();
        order.iter().position(|other| *other == byte).unwrap() as TokenId
    }

    /// Merges of parts of 词 and of letters, which meet in more than one order; `words` are tokens that no merge makes.
    fn tokenizer(pattern: &str, words: &[&str]) -> Tokenizer {
        let [e8, af, x8d] = "词".bytes().map(byte).collect::<Vec<_>>()[..] else { panic!("three bytes") };
        let [a, b, c] = [b'a', b'b', b'c'].map(byte);
        let pairs = [(e8, af), (256, x8d), (b, c), (a, b), (a, 258), (259, 259), (a, a), (262, 262), (259, 262)];
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let pattern = Pattern::parse(pattern).unwrap().source().to_owned();
        let spec = TokenizerSpec::from_words(pattern, HanEdges::None, &pairs, &words, &[]).unwrap();
        Tokenizer::new(spec).unwrap()
    }

    static PLAIN: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("cl100k", &[]));
    static LONG: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("regex:(?s).+", &[]));
    static WHOLE: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("cl100k", &[" cab", "，词"]));
    static DROPS: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer(r#"{"type": "Whitespace"}"#, &[]));

    /// The ids of a piece by its steps alone, each checked against what stands there.
    fn replay(tokenizer: &Tokenizer, text: &str, piece: &ExplainedPiece) -> Vec<TokenId> {
        let bytes = &text.as_bytes()[piece.range.clone()];
        let mut tokens: Vec<(usize, TokenId)> = (piece.range.start..).zip(tokenizer.byte_tokens(bytes)).collect();
        for step in &piece.steps {
            let at = tokens.iter().position(|(offset, _)| *offset == step.offset).unwrap();
            assert_eq!((tokens[at].1, tokens[at + 1].1), (step.left, step.right));
            let merge = tokenizer.spec().merges().as_slice()[step.rank as usize];
            assert_eq!((merge.left, merge.right, merge.result), (step.left, step.right, step.result));
            tokens[at].1 = step.result;
            tokens.remove(at + 1);
        }
        tokens.into_iter().map(|(_, token)| token).collect()
    }

    #[test]
    fn steps_in_their_order() {
        let pieces = PLAIN.explain("词abc").unwrap();
        let [piece] = &pieces[..] else { panic!("one pre-token: {pieces:?}") };
        let steps: Vec<(u32, TokenId, usize)> =
            piece.steps.iter().map(|step| (step.rank, step.result, step.offset)).collect();
        assert_eq!(steps, [(0, 256, 0), (1, 257, 0), (2, 258, 4), (4, 260, 3)]);
        assert_eq!((&piece.ids[..], piece.whole), (&[257, 260][..], false));
    }

    #[test]
    fn of_equal_ranks_the_leftmost_comes_first() {
        let steps = |text| LONG.explain(text).unwrap()[0].steps.iter().map(|step| step.offset).collect::<Vec<_>>();
        assert_eq!(steps("aaaaa"), [0, 2, 0]);
        assert!(LONG.explain("").unwrap().is_empty());
    }

    #[test]
    fn tokens_taken_whole() {
        let pieces = WHOLE.explain("词 cab，词bc").unwrap();
        let told: Vec<_> = pieces.iter().map(|piece| (piece.range.clone(), piece.whole, piece.steps.len())).collect();
        // 词 is what its merges give, ` cab` is not; `，词bc` is no token.
        assert_eq!(told, [(0..3, true, 2), (3..7, true, 0), (7..15, false, 3)]);
        assert_eq!(pieces[1].ids, [WHOLE.token_id(b" cab").unwrap()]);
    }

    #[test]
    fn long_pieces_do_not_take_quadratic_time() {
        let text = "a".repeat(200_000);
        let pieces = LONG.explain(&text).unwrap();
        assert_eq!(pieces[0].ids, LONG.encode(&text).unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn replaying_the_steps_gives_the_ids(text in prop_oneof!["[abc词， ]{0,60}", "[ab]{0,120}", any::<String>()]) {
            for tokenizer in [&*PLAIN, &*LONG, &*WHOLE, &*DROPS] {
                let mut ids = Vec::new();
                for piece in tokenizer.explain(&text).unwrap() {
                    let replayed = replay(tokenizer, &text, &piece);
                    prop_assert!(replayed == piece.ids || piece.whole && piece.steps.is_empty());
                    ids.extend(piece.ids);
                }
                prop_assert_eq!(ids, tokenizer.encode(&text).unwrap());
            }
        }
    }
}
