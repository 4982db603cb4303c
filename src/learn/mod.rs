//! Room `learn`: spans become counts, counts become merges.
//!
//! **Takes** texts and a segmenter (for [`Counts`]), or counts (for [`learn`]); **gives** pairs of tokens in the order
//! they are to be merged. **Promises** the merges of Hugging Face's `BpeTrainer` under the same settings, pair by pair:
//! the most frequent pair first, of equal ones that with the lower left id, then the lower right id, with the 256 bytes
//! in GPT-2's order as the first ids ([`TieRule`] knows the other order in use). Counts are 64 bits and checked (that
//! trainer's are 32 bits and wrap). Counts are a monoid: those of the parts of a corpus, added in any order, are those
//! of the whole; so nothing depends on threads. **Does not know** what a tokenizer becomes, nor files: those of counts
//! are bytes that come in and go out here.
//!
//! Counting has one table a thread ([`Counter`]), and sorted streams ([`CountStream`]) where counts are kept, added or
//! weighted; `counts_file.rs` describes the format in which they are kept.
//!
//! Source: Sennrich, Haddow and Birch 2016, *Neural Machine Translation of Rare Words with Subword Units*, section 3.2;
//! on bytes since GPT-2 (Radford et al. 2019).
//!
//! Other vocabularies from the same counts ([`Granularity`]): words ([`learn_words`]); single characters, which are
//! merges of spans of one character; bytes, which need none. All are byte-level tokenizers without unknown text.
//!
//! # Learning with edges that encoding does not have
//!
//! Counts may come from spans that are cut finer than the tokenizer's pattern cuts: at the edges of Chinese words, say.
//! Each merge learned so is one that the encoder can do, in the same order; where it meets text without those edges, it
//! may also merge over a place where one was. So ids of a text differ from those counted while learning, but decoding
//! is exact, and the tokenizer file holds nothing but the plain pattern and the merges, which every other library runs
//! alike.
//!
//! What words as edges gain depends on how much text a token has (`benches/RESULTS.md`, "Which pre-tokens and boundaries"):
//! small GPTs need 2.3 % fewer bits for a byte of Chinese at equal computing at 32,768 tokens and 8 MB, 1.2 % at 8,192 and
//! 10 MB, and as many at 8,192 and 40 MB, where English costs 1.4 % more. They cost 6 to 14 % more tokens of Chinese.
//!
//! # Rules, extending, going on
//!
//! [`LearnConfig`] may forbid pairs (parts of characters beside other text, two scripts in one token, long tokens) and end
//! learning where little is saved. [`learn_more`] extends a tokenizer, whose ids stay; it is also the second stage of
//! superwords, from counts of coarser spans (`pipeline/superwords.rs`). A stopped run gives what it has learned, and
//! [`learn_from`] goes on from there.
//!
//! Two pairs may make the same bytes, as `ab c` and `a bc`. As in Hugging Face's trainer, the second one is a merge to
//! the token that is there, and no id is used. Merges that begin from bytes never do this (the argument stands at the
//! head of [`vocab`](crate::vocab): a token's bytes come to its two parts in every context, or are never it); those
//! that extend a tokenizer do, where it has tokens that its own merges do not reach.
//!
//! # How
//!
//! [`learn`] keeps the words in a list for each thread (`arena.rs`), the count of frequent pairs (`pairs.rs`) and their
//! places in each list (`part.rs`), and touches, for a merge, only its places and their neighbours. [`learn_within`] has most
//! words in files, where they find no room (`rounds.rs`). `naive.rs` recounts everything each time and reads every rule off the
//! bytes, and is what both are compared with.

mod arena;
mod config;
mod count_streams;
mod counter;
mod counts;
#[cfg(feature = "counts-file")]
mod counts_file;
#[cfg(feature = "counts-file")]
mod counts_settings;
mod filling;
mod known;
mod learner;
mod naive;
mod pair_table;
mod pairs;
mod part;
mod rounds;
mod rules;
mod support;
mod tokens;
mod watch;
mod word_files;
mod words;

pub use config::{Granularity, LearnConfig, TieRule, VocabSize};
#[cfg(feature = "pipeline")]
pub(crate) use count_streams::EntryHash;
pub use count_streams::{AddedCounts, CountStream, CountsTotals, SortedCounts, WeightedCounts};
pub use counter::Counter;
#[cfg(feature = "pipeline")]
pub(crate) use counter::{Counters, SpanSample};
pub use counts::Counts;
#[cfg(feature = "counts-file")]
pub use counts_file::{COUNTS_VERSION, CountsHead, CountsReader, CountsWriter};
#[cfg(feature = "counts-file")]
pub use counts_settings::CountsSettings;
pub use learner::{Learned, learn, learn_from, learn_more, learn_more_within, learn_within};
pub use naive::{naive_learn, naive_learn_more};
pub use rounds::WordRoom;
pub use word_files::{FilesInMemory, Sink, Tap, WordFiles};
pub use words::{Entries, LearnedWords, learn_words, learn_words_of};
