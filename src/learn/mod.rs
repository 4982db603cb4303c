//! Room `learn`: spans become counts, counts become merges.
//!
//! **Takes** texts and a segmenter (for [`Counts`]), or counts (for [`learn`]); **gives** pairs of tokens in the order
//! they are to be merged. **Promises** the merges of Hugging Face's `BpeTrainer` under the same settings, pair by pair:
//! the most frequent pair first, of equal ones that with the lower left id, then the lower right id, with the 256 bytes
//! in GPT-2's order as the first ids. Counts are 64 bits and checked (that trainer's are 32 bits and wrap). Counts are a
//! monoid: those of the parts of a corpus, added in any order, are those of the whole; so nothing depends on threads.
//! **Does not know** what a tokenizer becomes, nor files: those of counts are bytes that come in and go out here.
//!
//! Counting has one table a thread ([`Counter`]), and sorted streams ([`CountStream`]) where counts are kept, added or
//! weighted; `counts_file.rs` describes the format in which they are kept.
//!
//! Source: Sennrich, Haddow and Birch 2016, *Neural Machine Translation of Rare Words with Subword Units*, section 3.2;
//! on bytes since GPT-2 (Radford et al. 2019).
//!
//! Other vocabularies from the same counts ([`Granularity`]): words ([`learn_words`]); single characters, which are merges
//! of spans of one character; bytes, which need none. All are byte-level tokenizers without unknown text.
//!
//! [`learn`] keeps the count of every pair and the words it occurs in, and recounts only the words that a merge
//! touches; `naive.rs` recounts everything each time, and is what it is compared with.

mod config;
mod count_streams;
mod counter;
mod counts;
#[cfg(feature = "counts-file")]
mod counts_file;
mod learner;
mod naive;
mod words;

pub use config::{Granularity, LearnConfig, VocabSize};
pub use count_streams::{AddedCounts, CountStream, CountsTotals, SortedCounts, WeightedCounts};
pub use counter::Counter;
#[cfg(feature = "pipeline")]
pub(crate) use counter::Counters;
pub use counts::Counts;
#[cfg(feature = "counts-file")]
pub use counts_file::{COUNTS_VERSION, CountsHead, CountsReader, CountsSettings, CountsWriter};
pub use learner::{Learned, learn};
pub use naive::naive_learn;
pub use words::{LearnedWords, learn_words};
