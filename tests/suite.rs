//! The integration tests, one file a subject.

#![allow(clippy::unwrap_used, unreachable_pub)] // a test ends where it cannot go on

mod architecture;
mod bad_input;
mod bad_tokenizers;
mod cleaning;
mod command;
mod common;
mod compare_command;
mod compare_page;
mod console;
mod counts_command;
mod crash;
mod determinism;
mod encode_command;
mod exactness;
mod granularity;
mod hugging_face;
mod import;
mod inspect_model;
mod layouts;
mod learn_command;
mod lexicon;
mod loading;
mod mixing;
mod model_kinds;
mod patterns;
mod peers_defects;
mod probe_command;
mod ranks;
mod reading;
mod readme;
mod regressions;
mod rows;
mod segment_command;
mod shards;
mod small_corpora;
mod superwords;
mod tiktoken;
mod tokenize_command;
mod tokenizer_files;
mod tour;
mod training;
mod trim_command;
mod unicode;
mod vocabulary_edits;
