//! Room `encode`: running a tokenizer.
//!
//! **Takes** a [`TokenizerSpec`](crate::vocab::TokenizerSpec) and texts, **gives** ids; takes ids, gives bytes.
//! **Promises** the ids of the reference implementations (tiktoken, Hugging Face tokenizers) on every text, and that the
//! bytes of the ids are the bytes of the text. Special tokens in a text are ordinary text unless the caller allows them
//! by name. [`Tokenizer`] is cheap to clone and shared freely between threads; an [`Encoder`] holds one thread's
//! scratch space. **Does not know** files, documents or shards.
//!
//! `naive.rs` is the merge loop of the textbooks: find the pair of lowest rank, merge it, again. It is the oracle. What
//! runs is `encoder.rs`: pre-tokens are looked up in a memo (`memo.rs`), Chinese ones cut where no token can reach over
//! (`cuts.rs`, which holds the proof), and what is left is merged (`merge.rs`). Where the merges themselves are wanted
//! (`explain.rs`), or some of them are left out (`dropout.rs`), they are done one by one (`steps.rs`). `prefix.rs` says
//! which ids of a text stay, however the text goes on.

mod characters;
mod cuts;
mod dropout;
mod encoder;
mod explain;
mod memo;
mod merge;
mod naive;
mod pairs;
mod prefetch;
mod prefix;
mod steps;
mod tokenizer;

pub use dropout::Dropout;
pub use encoder::Encoder;
pub use explain::{ExplainedPiece, MergeStep};
pub use naive::naive_encode;
pub use prefix::PrefixIds;
pub use tokenizer::Tokenizer;
