//! Room `vocab`: what a tokenizer *is*, without how it runs.
//!
//! **Takes** the bytes of a `tokenizer.json` or `.tiktoken` file, or learned merges, and **gives** a [`TokenizerSpec`]:
//! pattern, tokens, merges, added tokens, what is done to a text before and to its ids behind; and back. **Promises**
//! that a spec is whole: all 256 bytes are tokens (or, where merges start from characters, every character comes to some
//! token), every merge joins two tokens into a third, no two ids share their bytes, so that whatever runs it needs no
//! checks. What a file holds beyond that is an error that names the component, never passed over. **Does not know** texts
//! or files. A tokenizer is edited (`edit.rs`, `reserve.rs`) by making another.
//!
//! # Two ways to write the same merges
//!
//! `tokenizer.json` lists merges by rank. `.tiktoken` lists tokens by rank and merges any two neighbours whose bytes
//! make a token, lowest rank first. At the moment before a token `t` is made somewhere, no merge has crossed its ends, and
//! of the merges inside its bytes each was the lowest there when it was done. So they are those that `t` encoded by itself
//! begins with, and the two parts that stand there are the two that `t` by itself comes to before the last merge. No other
//! pair ever becomes `t`, and a token that by itself never comes to two parts is never made at all: only a whole pre-token
//! can be it. So the list of these merges, each with the rank of its token, gives the same ids on every text.
//! [`TokenizerSpec::from_tiktoken`] recovers each token's merge so (`recovery.rs`).

mod added;
mod byte_level;
mod character_units;
mod edit;
mod fingerprint;
mod json_lists;
mod merges;
mod normalizer;
mod post_processor;
mod recovery;
mod reserve;
mod slots;
mod spec;
mod special;
mod tables;
mod tiktoken;
mod tokenizer_json;
mod tokens;
mod tsv;

pub use added::AddedToken;
pub use byte_level::{byte_of_char, char_of_byte, gpt2_byte_order};
pub use character_units::{CharacterUnits, Decoder, byte_token, byte_tokens};
pub use edit::Reduced;
pub use fingerprint::Fingerprint;
pub use merges::{Merge, Merges};
pub use normalizer::{NormalizerStep, ReplacePattern};
pub use post_processor::PostProcessor;
pub use spec::TokenizerSpec;
pub use special::SpecialTokens;
use tables::searches_end;
pub(crate) use tables::{STRETCH, numbers_of_bytes, numbers_to_bytes};
pub use tokens::{MAX_ID, MAX_TOKEN_BYTES, Vocab};
pub use tsv::{escape_token, unescape_token};

/// The number of a token.
pub type TokenId = u32;
