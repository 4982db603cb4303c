//! Which shortcuts a tokenizer takes, and why not the others.
//!
//! Each shortcut stands on a condition that is tested when a tokenizer is made; where it does not hold, the plain way is
//! taken, which gives the same ids.
//!
//! | shortcut | condition | tested in |
//! |---|---|---|
//! | merges in words of 64 bits (`pairs.rs`) | ids and ranks below 2²¹, no crowd of pairs on the same slots | `Pairs::new` |
//! | ids by bytes in words of 32 bits (`vocab/slots.rs`) | no crowd of tokens on the same slots | `Vocab::new` |
//! | tokens known to be reached without merging them (`reached.rs`) | merges come after those of their parts, one a token | `walk` |
//! | pre-tokens by blocks (`encoder.rs`) | no token but those that merges reach is taken whole, no text is dropped | `Encoder` |
//! | merges over words behind all others (`two_stages.rs`) | besides, merges come after those that make what they join | `TwoStages::of` |
//! | cuts between characters (`cuts.rs`) | none: the table of cuts says no where a token may reach over | `Cuts::new` |
//! | merges from characters' ids (`characters.rs`) | merges come after those that make what they join | `Pairs::are_in_order` |
//! | many of these at once (`whole.rs`) | besides, ids and ranks below 2²⁰, no crowd of pairs on the same slots | `WholePairs::new` |
//! | ids of 24 bits in the memo (`memo.rs`) | none: no vocabulary has a higher one ([`MAX_ID`](crate::vocab::MAX_ID)) | `Vocab::new` |

use serde::Serialize;

use super::reached::Way;
use super::tokenizer::Tokenizer;

/// The ways that a tokenizer takes, each with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Paths {
    /// How the merge of two tokens is looked up.
    pub pairs: &'static str,
    /// How the id of a token's bytes is looked up.
    pub tokens: &'static str,
    /// How it is known which tokens their bytes merge to.
    pub reached: &'static str,
    /// How pre-tokens are taken.
    pub pieces: &'static str,
    /// Tokens that no merges reach.
    pub unreached: usize,
}

impl Tokenizer {
    /// The ways that this tokenizer takes when it encodes.
    #[must_use]
    pub fn paths(&self) -> Paths {
        let pattern = self.segmenter().pattern();
        Paths {
            pairs: if self.pairs().narrow().is_some() {
                "fast: words of 64 bits"
            } else {
                "plain: a map, as ids or ranks are 2^21 and more, or too many pairs fall together"
            },
            tokens: if self.spec().vocab().has_slots() {
                "fast: words of 32 bits"
            } else {
                "plain: a map, as too many tokens fall together"
            },
            reached: match self.reached_tokens().way {
                Way::Known => "fast: merges were recovered from the tokens",
                Way::Walked => "fast: merges come after those of their parts",
                Way::Read => "fast: read with the tables",
                Way::Merged => {
                    "plain: each token was merged, as a merge comes before that of its part, or two make a token"
                }
            },
            pieces: if pattern.drops_text() {
                "plain: one by one, as the pattern drops text"
            } else if self.has_whole_pieces() {
                "plain: one by one, as some tokens that merges do not reach are taken as whole pre-tokens"
            } else if self.two_stages().is_some() {
                "fast: by blocks, then the merges that reach over words"
            } else {
                "fast: by blocks"
            },
            unreached: self.spec().vocab().len() - self.reached_tokens().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::naive_encode;
    use crate::segment::{HanEdges, Pattern};
    use crate::vocab::{Merge, TokenId, TokenizerSpec, Vocab};

    const TEXT: &str = "abc xabc abcabc ab bc 词元abc词元 aabbcc";

    /// The bytes, and tokens with ids from `first`; merges by their bytes.
    fn tokenizer(first: TokenId, tokens: &[&str], merges: &[(&str, &str)], whole: bool, pattern: &str) -> Tokenizer {
        let bytes = (0..=255u8).map(|byte| (TokenId::from(byte), vec![byte]));
        let more = (first..).zip(tokens).map(|(id, token)| (id, token.as_bytes().to_vec()));
        let vocab = Vocab::new(bytes.chain(more).collect()).unwrap();
        let id = |token: &str| vocab.id(token.as_bytes()).unwrap();
        let merge = |(left, right): &(&str, &str)| Merge {
            left: id(left),
            right: id(right),
            result: id(&format!("{left}{right}")),
        };
        let merges = merges.iter().map(merge).collect();
        let pattern = Pattern::parse(pattern).unwrap().source().to_owned();
        Tokenizer::new(TokenizerSpec::new(pattern, HanEdges::None, vocab, merges, vec![], whole).unwrap()).unwrap()
    }

    /// The ways, after a look at the ids: those of the plain loop, as they are and from the tables.
    #[track_caller]
    fn paths(tokenizer: &Tokenizer) -> Paths {
        let wanted = naive_encode(tokenizer, TEXT).unwrap();
        assert_eq!(tokenizer.encode(TEXT).unwrap(), wanted);
        let again = Tokenizer::from_prebuilt(&tokenizer.to_prebuilt().unwrap()).unwrap();
        assert_eq!(again.encode(TEXT).unwrap(), wanted);
        assert_eq!((again.spec(), again.fingerprint()), (tokenizer.spec(), tokenizer.spec().fingerprint()));
        let (paths, read) = (tokenizer.paths(), again.paths());
        assert_eq!(Paths { reached: paths.reached, ..read }, paths);
        paths
    }

    #[test]
    fn a_vocabulary_that_breaks_no_condition_is_fast() {
        let paths = paths(&tokenizer(300, &["ab", "abc"], &[("a", "b"), ("ab", "c")], true, "cl100k"));
        assert_eq!(paths.unreached, 0);
        assert!([paths.pairs, paths.tokens, paths.reached, paths.pieces].iter().all(|path| path.starts_with("fast")));
    }

    #[test]
    fn a_pattern_that_leaves_words_together() {
        let merges = [("a", "b"), ("ab", "c"), ("c", " "), ("abc", " ")];
        let tokenizer = |merges| tokenizer(300, &["ab", "abc", "c ", "abc "], merges, true, r"regex:[^\n]+|\n");
        assert!(paths(&tokenizer(&merges)).pieces.ends_with("reach over words"));
        // A merge that comes before that of a part.
        let merges = [("ab", "c"), ("a", "b"), ("c", " "), ("abc", " ")];
        assert_eq!(paths(&tokenizer(&merges)).pieces, "fast: by blocks");
    }

    #[test]
    fn ids_of_more_than_21_bits() {
        let paths = paths(&tokenizer(1 << 21, &["ab", "abc"], &[("a", "b"), ("ab", "c")], true, "cl100k"));
        assert!(paths.pairs.starts_with("plain") && paths.pieces.starts_with("fast"), "{paths:?}");
    }

    #[test]
    fn merges_before_their_parts() {
        let paths = paths(&tokenizer(300, &["ab", "abc"], &[("ab", "c"), ("a", "b")], true, "cl100k"));
        assert!(paths.reached.starts_with("plain"), "{paths:?}");
    }

    #[test]
    fn two_merges_of_one_token() {
        let merges = [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")];
        let paths = paths(&tokenizer(300, &["ab", "bc", "abc"], &merges, true, "cl100k"));
        assert!(paths.reached.starts_with("plain"), "{paths:?}");
        assert_eq!(paths.unreached, 0);
    }

    #[test]
    fn tokens_that_merges_do_not_reach() {
        // "bc" comes first, so that "abc" by way of "ab" is never made.
        let merges = [("b", "c"), ("a", "b"), ("ab", "c")];
        let tokens = ["ab", "bc", "abc", "词元"];
        let whole = paths(&tokenizer(300, &tokens, &merges, true, "cl100k"));
        assert!(whole.pieces.contains("whole pre-tokens") && whole.reached.starts_with("fast"), "{whole:?}");
        assert_eq!(whole.unreached, 2);
        // Where tokens are not taken whole, they are as if they were not there.
        let merged = paths(&tokenizer(300, &tokens, &merges, false, "cl100k"));
        assert!(merged.pieces.starts_with("fast"), "{merged:?}");
    }

    #[test]
    fn patterns_that_drop_text() {
        let pattern = r#"{"type": "Whitespace"}"#;
        let paths = paths(&tokenizer(300, &["ab"], &[("a", "b")], true, pattern));
        assert!(paths.pieces.contains("drops text"), "{paths:?}");
    }
}
