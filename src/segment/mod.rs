//! Room `segment`: a text becomes spans.
//!
//! **Takes** a text and **gives** the end offsets of its spans in a `Vec<u32>` that the caller reuses: pre-tokens by a
//! [`Pattern`], cut further at the edges of Chinese words or characters where [`HanEdges`] asks for it.
//! **Promises** that spans cover the text exactly, in order, without gaps, on character boundaries; that the same text
//! gives the same spans; that a pattern which would take too long ends in an error, not in other spans.
//! **Does not know** tokens, files or languages, and does no I/O.
//!
//! The named patterns are cut by scanners of our own (`scanner.rs`, `blocks.rs`; that of superwords by `phrases.rs`), any other
//! one by a regex engine (`engine.rs`), and a sequence of pre-tokenizers, as `tokenizer.json` files hold them, step by step (`steps.rs`,
//! `split.rs`); words of Chinese by an automaton (`lexicon.rs`), to which the words of a user dictionary are added
//! (`user_words.rs`). Each has its oracle: the regular expression on `fancy-regex` ([`NaivePattern`]), and jieba-rs
//! ([`Dictionary::naive_words`]). Long texts are taken in parts at safe cuts (`safe_cuts.rs`).
//!
//! # Why Han runs stand apart, and why words bound merges only while learning
//!
//! Most published patterns let one punctuation mark lead a run of letters, so that `，我们` is one pre-token and the
//! vocabulary fills with marks glued to characters. Our default pattern takes a run of Han characters by itself, as
//! Kimi's and DeepSeek's do.
//!
//! Words of the dictionary bound the merges *while learning* ([`Han::LearnWords`]): no token is learned that crosses a
//! word's edge. Encoding runs on plain Han runs, so the tokenizer stays an ordinary byte-level BPE that any library can
//! run. The same merges apply in the same order on both sides; without the edges a merge may also fire across them,
//! where its two parts happen to meet, which costs nothing and needs no dictionary when text is encoded.
//!
#![doc = include_str!("patterns.md")]

#[cfg(feature = "chinese")]
mod additions;
mod blocks;
mod class_runs;
mod classes;
#[cfg(feature = "chinese")]
mod double_array;
mod edges;
mod engine;
mod han;
mod lanes;
#[cfg(feature = "chinese")]
mod lexicon;
mod matches;
mod naive;
mod named;
mod oniguruma;
mod pages;
mod parts;
mod pattern;
mod phrases;
mod prefetch;
#[cfg(feature = "chinese")]
mod probable;
mod reach;
mod rules;
mod safe_cuts;
mod scanner;
mod script;
mod segmenter;
mod settled;
mod split;
mod steps;
#[cfg(test)]
mod testing;
#[cfg(feature = "chinese")]
mod user_words;
#[cfg(feature = "chinese")]
mod words;

pub use han::{UNICODE_VERSION, is_han};
pub use lanes::Instructions;
pub(crate) use matches::Matches;
pub use naive::NaivePattern;
pub use named::{DEFAULT_PATTERN, NAMED_PATTERNS};
pub(crate) use pages::Pages;
pub(crate) use parts::end_of_part;
pub use pattern::Pattern;
pub use phrases::SUPERWORD_PATTERN;
pub(crate) use prefetch::prefetch;
#[cfg(feature = "pipeline")]
pub(crate) use script::Ranges;
pub use script::Script;
pub(crate) use script::is_numeral;
pub(crate) use segmenter::kept_ranges;
pub use segmenter::{Han, HanEdges, Segmenter, kept_pieces};
pub(crate) use settled::Settled;
pub(crate) use steps::{Metaspace, Prepend, metaspace_of, split_by, steps_of_pattern};
#[cfg(test)]
pub(crate) use testing::hostile;
#[cfg(feature = "chinese")]
pub use words::{Dictionary, Fold, WordMode};
