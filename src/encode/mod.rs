//! Room `encode`: running a tokenizer.
//!
//! **Takes** a [`TokenizerSpec`](crate::vocab::TokenizerSpec) and texts, **gives** ids; takes ids, gives bytes.
//! **Promises** the ids of the reference implementations (tiktoken, Hugging Face tokenizers) on every text, and that the
//! bytes of the ids are the bytes of the text. Special tokens in a text are ordinary text unless the caller allows them
//! by name. [`Tokenizer`] is cheap to clone and shared freely between threads; an [`Encoder`] holds one thread's
//! scratch space. **Does not know** files, documents or shards.
//!
//! `naive.rs` is the merge loop of the textbooks: find the pair of lowest rank, merge it, again. Its time grows with
//! the square of a pre-token's length, so longer ones take `merge.rs`, which keeps the pairs in a heap.

mod encoder;
mod merge;
mod naive;
mod pairs;
mod tokenizer;

pub use encoder::Encoder;
pub use naive::naive_encode;
pub use tokenizer::Tokenizer;
