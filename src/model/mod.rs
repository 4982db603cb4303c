//! Room `model`: shards become a language model and its loss.
//!
//! **Takes** windows of ids, **gives** a compact [`Gpt`] that was trained on them, what it makes of other ids in nats, and
//! ids sampled from it. **Promises** the same weights for the same seed, settings and batches, for any number of
//! threads: a batch falls into a fixed number of lanes, each with gradients of its own, which are added in a fixed order.
//! (Another processor may take another kernel of the matrix-multiply crate, and round otherwise.)
//! **Does not know** text, files or shards: bytes of a checkpoint in and out, no I/O.
//!
//! Beside it stand the models it grew out of, each a [`LanguageModel`] and so measured alike: the bag of words
//! ([`Unigram`]), n-grams of tokens with Kneser-Ney smoothing ([`NGram`]), Elman's network and the LSTM ([`Recurrent`]).
//!
//! The model is GPT-2's (Radford et al. 2019): a decoder-only Transformer with learned positions, causal attention,
//! layer norm before each part, GELU in its tanh form, and the token embedding also as output matrix. The backward pass
//! is written by hand; `gpt.rs` has it checked against central differences in f64, parameter by parameter.
//!
//! Shapes are written with: T tokens of a window, C width, H heads, D = C / H, F = 4 C, V vocabulary, L layers. Matrices
//! are row-major; `(T, C)` is T rows of C numbers.

mod adamw;
mod attention;
mod checkpoint;
mod config;
mod gpt;
mod language_model;
mod layers;
mod layout;
mod matmul;
mod ngram;
mod random;
mod real;
mod recurrent;
mod recurrent_file;
mod recurrent_trainer;
mod sampler;
mod score;
mod trainer;
mod unigram;

pub use checkpoint::ModelConfig;
pub use config::GptConfig;
pub use gpt::Gpt;
pub use language_model::LanguageModel;
pub use ngram::{MAX_ORDER, NGram, NGramCounts};
pub use recurrent::{Cell, Recurrent, RecurrentConfig};
pub use recurrent_file::RecurrentFile;
pub use recurrent_trainer::RecurrentTrainer;
pub use sampler::{SampleConfig, Sampler};
pub use score::score;
pub use trainer::{StepReport, TrainConfig, Trainer};
pub use unigram::Unigram;
