//! Room `encode`: running a tokenizer.
//!
//! **Takes** a [`TokenizerSpec`](crate::vocab::TokenizerSpec) and texts, **gives** ids; takes ids, gives bytes.
//! **Promises** the ids of the reference implementations (tiktoken, Hugging Face tokenizers) on every text, and that the
//! bytes of the ids are the bytes of the text, unless the tokenizer changes it first ([`Tokenizer::changes_text`]).
//! Special tokens in a text are ordinary text unless the caller allows them by name. [`Tokenizer`] is cheap to clone and
//! shared freely between threads; an [`Encoder`] holds one thread's scratch space; an [`EncodeStream`] takes a text in
//! pieces, a [`DecodeStream`] gives one so. **Does not know** files, documents or shards.
//!
//! `naive.rs` is the merge loop of the textbooks: find the pair of lowest rank, merge it, again. It is the oracle. What
//! runs is `encoder.rs`, and for pre-tokens `pieces.rs`: they are looked up in a memo (`memo.rs`), many at a time
//! (`known.rs`), and among the tokens if it does not know them (`ahead.rs`). Chinese ones are cut where no token can reach
//! over (`cuts.rs`, which holds the proof) and their ids put together by blocks of characters (`block.rs`, `gathered.rs`).
//! What is left is merged (`merge.rs`), many pieces at once where there are many (`whole.rs`). Where a pattern leaves words
//! together, merges inside words are done first, and those over their edges behind them (`two_stages.rs`). Long texts are
//! taken in parts (`parts.rs`): a part after the other, on all threads (`parallel.rs`), or as they come (`stream.rs`).
//! Where the merges themselves are wanted (`explain.rs`), or some of them
//! are left out (`dropout.rs`), they are done one by one (`steps.rs`). `prefix.rs` says which ids of a text stay however
//! the text goes on.
//!
//! A tokenizer may do more to a text: `prepare.rs` finds added tokens, `normalize.rs` normalizes what is between them,
//! and `character_model.rs` merges characters instead of bytes. A text of one that does none of this does not pass there.
//! Long ones are cut where this changes no id (`seams.rs`). Ids go where `ids.rs` says, to be kept or counted.
//! Where tokens are asked for with their places in the text (`offsets.rs`, `explain.rs`), `aligned.rs` follows each byte
//! through what is done to it, and `forms.rs` each character through Unicode's forms.
//!
//! Each of these shortcuts has its condition, and `paths.rs` says which of them a tokenizer takes. `prebuilt.rs` writes a
//! tokenizer with its tables, to be loaded in some milliseconds. `unreachable.rs` says which tokens no text comes to.

mod ahead;
mod aligned;
mod block;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod block_x86;
mod character_model;
mod characters;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod characters_x86;
mod cuts;
mod decode;
mod decode_stream;
mod dropout;
mod encoder;
mod explain;
mod forms;
mod gathered;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod gathered_x86;
mod ids;
mod known;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod known_x86;
mod memo;
mod merge;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod merge_x86;
mod naive;
mod normalize;
mod offsets;
mod pairs;
mod parallel;
mod parts;
mod paths;
mod pieces;
mod prebuilt;
mod prefix;
mod prepare;
mod reached;
mod seams;
mod steps;
mod stream;
#[cfg(test)]
mod testing;
mod tokenizer;
mod two_stages;
mod unreachable;
mod whole;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod whole_x86;

pub use decode_stream::DecodeStream;
pub use dropout::Dropout;
pub use encoder::Encoder;
pub use explain::{ExplainedPiece, MergeStep};
pub use naive::naive_encode;
pub use offsets::whole_characters;
pub use paths::Paths;
pub use prefix::PrefixIds;
pub use stream::EncodeStream;
pub use tokenizer::Tokenizer;
