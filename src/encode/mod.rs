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
//! (`cuts.rs`, which holds the proof), and what is left is merged (`merge.rs`).
//! Each of these shortcuts has its condition, and `paths.rs` says which of them a tokenizer takes. `prebuilt.rs` writes a
//! tokenizer with its tables, to be loaded in some milliseconds.

mod characters;
mod cuts;
mod encoder;
mod memo;
mod merge;
mod naive;
mod pairs;
mod paths;
mod prebuilt;
mod prefetch;
mod reached;
mod tokenizer;

pub use encoder::Encoder;
pub use naive::naive_encode;
pub use paths::Paths;
pub use tokenizer::Tokenizer;
