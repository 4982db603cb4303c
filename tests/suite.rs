//! The integration tests, one file a subject.

mod architecture;
mod bad_input;
mod command;
mod common;
mod determinism;
mod hugging_face;
mod regressions;
mod shards;
mod tiktoken;
mod tokenizer_files;
