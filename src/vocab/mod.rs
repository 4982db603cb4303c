//! Room `vocab`: what a tokenizer *is*, without how it runs.
//!
//! **Takes** the bytes of a `tokenizer.json` or `.tiktoken` file, or learned merges, and **gives** a [`TokenizerSpec`]:
//! pattern, tokens, merges, added tokens, what is done to a text before and to its ids behind; and back. **Promises**
//! that a spec is whole: all 256 bytes are tokens (or, where merges start from characters, every character comes to some
//! token), every merge joins two tokens into a third, no two ids share their bytes, so that whatever runs it needs no
//! checks. What a file holds beyond that is an error that names the component, never passed over. **Does not know** texts
//! or files.
//!
//! # Two ways to write the same merges
//!
//! `tokenizer.json` lists merges by rank. `.tiktoken` lists tokens by rank and merges any two neighbours whose bytes
//! make a token, lowest rank first. The two agree on every text if each token, encoded by the merges alone, comes out
//! as itself. Why: at the moment before a token `t` of rank r is made somewhere, all merges below r inside its bytes
//! are done and none crossed its ends, so the parts that stand there are those of `t` encoded by itself up to r; these
//! are the two parts of its listed merge. So no other pair ever offers itself for `t`. Tokens learned here have this
//! property by construction: the pair that a learner merges stands between two edges, and is what its bytes come to.
//! [`TokenizerSpec::from_tiktoken`] recovers each token's merge by encoding it with the ranks below.

mod added;
mod byte_level;
mod character_units;
mod fingerprint;
mod merges;
mod normalizer;
mod post_processor;
mod spec;
mod special;
mod tiktoken;
mod tokenizer_json;
mod tokens;
mod tsv;

pub use added::AddedToken;
pub use byte_level::{byte_of_char, char_of_byte, gpt2_byte_order};
pub use character_units::{CharacterUnits, Decoder, byte_token, byte_tokens};
pub use fingerprint::Fingerprint;
pub use merges::{Merge, Merges};
pub use normalizer::{NormalizerStep, ReplacePattern};
pub use post_processor::PostProcessor;
pub use spec::TokenizerSpec;
pub use special::SpecialTokens;
pub use tokens::{MAX_ID, MAX_TOKEN_BYTES, Vocab};
pub use tsv::{escape_token, unescape_token};

/// The number of a token.
pub type TokenId = u32;
