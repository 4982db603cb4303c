//! # ciyuan (词元): from Chinese and English text to token shards, and a proof of the tokenization
//!
//! 词元 is the Chinese term for *token*. This library learns byte-level BPE tokenizers from Chinese and English text,
//! encodes corpora into memory-mapped shards that language models train on, and trains a small GPT on them, to say in
//! bits per byte how good the tokenization is. The command `ciyuan` is made of it; README.md shows it at work.
//!
//! ```
//! use std::ops::ControlFlow;
//! use ciyuan::encode::Tokenizer;
//! use ciyuan::learn::{Counts, LearnConfig, VocabSize, learn};
//! use ciyuan::segment::{Han, Pattern, Segmenter};
//! use ciyuan::vocab::TokenizerSpec;
//!
//! # fn main() -> ciyuan::Result<()> {
//! let texts = ["词元是语言模型的单位。", "语言模型学习词元。", "A language model learns tokens."];
//! let (pattern, han) = (Pattern::default(), Han::Runs);
//! let regex = pattern.source().to_owned();
//!
//! // Text becomes spans, spans become counts, counts become merges.
//! let counts = Counts::of_texts(&Segmenter::new(pattern, han.learning())?, &texts)?;
//! let config = LearnConfig { vocab_size: VocabSize::Tokens(300), ..LearnConfig::default() };
//! let learned = learn(&counts, &config, &mut |_, _| ControlFlow::Continue(()))?;
//!
//! // Merges become a tokenizer, and text becomes ids.
//! let spec = TokenizerSpec::from_learned(regex, han.encoding(), &learned.pairs, &config.special)?;
//! let tokenizer = Tokenizer::new(spec)?;
//! let ids = tokenizer.encode("语言模型")?;
//! assert!(ids.len() < "语言模型".len());
//! assert_eq!(tokenizer.decode(&ids)?, "语言模型".as_bytes());
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! A room imports only rooms above it in this list; `tests/architecture.rs` reads the sources and enforces it. Each
//! room's own page says what it takes, gives, promises, and deliberately does not know.
//!
//! | room | takes → gives | feature |
//! |---|---|---|
//! | [`error`] | one error enum with fields: place, fault, remedy | |
//! | [`codec`] | the one door for bincode values, with a limit | |
//! | [`segment`] | a text → spans: pre-tokens, Chinese words | words: `chinese` |
//! | [`clean`] | a text → the text to use, or why it is not used | |
//! | [`text`] | files, folders, globs → documents | `pipeline` |
//! | [`vocab`] | what a tokenizer is; `tokenizer.json`, `.tiktoken` | |
//! | [`learn`] | spans → counts → merges | files of counts: `counts-file` |
//! | [`encode`] | texts → ids → bytes | |
//! | [`shard`] | ids → mapped shards → batches; the shards of other programs | |
//! | [`model`] | batches → a small GPT, its loss, samples; n-grams | `gpt` |
//! | [`evaluate`] | held-out ids → bits per byte, the report; tokenizers → how they compare | `pipeline` |
//! | [`pipeline`] | the stages, from files to the report | `pipeline` |
//!
//! Default features are `cli` (the command, which includes `pipeline`, and that `counts-file`), `chinese`, `gpt` and
//! `parquet`. Without default features remains the light library: segment, clean, vocab, learn, encode, shard.
//!
//! Pure rooms (`segment`, `clean`, `vocab`, `learn`, `encode`, `model`) do no I/O. The library never prints, exits or
//! reads the environment. `unsafe` stands in `shard/reader.rs` (the map), `segment/prefetch.rs` (one instruction), and where
//! vector instructions are: `segment/lanes.rs`, the files that end in `_x86.rs`, and the matrix kernels of `model` with their
//! doors (`matmul.rs`, `real.rs`, `wide.rs`, `kernel*.rs`, `half*.rs`). `tests/architecture.rs` holds the list.
//!
//! # Untrusted input
//!
//! Text, patterns, tokenizer files, shards, manifests and checkpoints may be hostile: the answer is an [`Error`], not a
//! panic, a hang or a wrong result. Lengths are checked before memory is taken, ids before they are used, checksums
//! before meaning. User patterns run in linear time where they can, else with a limit on backtracking.
//!
//! # Terms
//!
//! | English | 中文 | here |
//! |---|---|---|
//! | token | 词元 | a byte string with an id |
//! | vocabulary | 词表 | the tokens by id |
//! | merge, rank | 合并、次序 | two tokens that become one, and its place in the order of merges |
//! | pre-token | 预切分片段 | a span of text inside which merges happen |
//! | segmentation | 分词、切分 | text to spans |
//! | shard | 分片 | a file of ids |
//! | manifest | 清单 | what a folder of shards was made from and holds |
//! | bits per byte | 每字节比特数 | the loss of a model on raw text, whatever the tokenizer |

// What the vector instructions of x86-64 read is there for other processors too, where nothing reads it.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

pub mod clean;
pub mod codec;
pub mod encode;
pub mod error;
#[cfg(feature = "pipeline")]
pub mod evaluate;
pub mod learn;
#[cfg(feature = "gpt")]
pub mod model;
#[cfg(feature = "pipeline")]
pub mod pipeline;
pub mod segment;
pub mod shard;
#[cfg(feature = "pipeline")]
pub mod text;
pub mod vocab;

pub use error::{Error, Result};

/// The examples of README.md are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
