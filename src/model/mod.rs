//! Room `model`: shards become a language model and its loss.
//!
//! **Takes** windows of ids, **gives** a compact [`Gpt`] that was trained on them, what it makes of other ids in nats, and
//! ids sampled from it. **Promises** the same weights for the same seed, settings and batches, for any number of
//! threads: a batch goes through a fixed number of lanes, and gradients are added in the order of lanes and windows.
//! (Another processor may take another kernel of the matrix-multiply crate, and round otherwise.)
//! **Does not know** text, files or shards: bytes of a checkpoint in and out, no I/O.
//!
//! Beside it stand the models it grew out of, each a [`LanguageModel`] and so measured alike: the bag of words
//! ([`Unigram`]), n-grams of tokens with Kneser-Ney smoothing ([`NGram`]), Elman's network and the LSTM ([`Recurrent`]).
//!
//! The model is a decoder-only Transformer of GPT-2's form (Radford et al. 2019): learned positions, causal attention,
//! layer norm before each part, GELU in its tanh form, biases, and the token embedding also as output matrix; or of
//! today's: rotary positions, RMSNorm, SwiGLU, norms of queries and keys, no biases, shared heads of keys and values
//! ([`GptForm`]). The backward pass is written by hand; `gpt.rs` has it checked against central differences in f64,
//! parameter by parameter, for each form.
//!
//! Shapes are written with: T tokens of a window, C width, H heads, K heads of keys and values, D = C / H, F rows of the
//! feed-forward part's second matrix, V vocabulary, L layers. Matrices are row-major; `(T, C)` is T rows of C numbers.

mod activation;
mod adamw;
mod attention;
mod backward;
mod bag;
mod cache;
mod checkpoint;
mod config;
mod golden;
mod gpt;
mod half;
#[cfg(target_arch = "x86_64")]
mod half_attention;
#[cfg(target_arch = "x86_64")]
mod half_head;
#[cfg(target_arch = "x86_64")]
mod half_kernel;
#[cfg(target_arch = "x86_64")]
mod half_pack;
#[cfg(target_arch = "x86_64")]
mod half_rows;
#[cfg(target_arch = "x86_64")]
mod half_tile;
#[cfg(target_arch = "x86_64")]
mod half_vector;
#[cfg(target_arch = "x86_64")]
mod half_weights;
mod head;
mod hugging_face;
mod kept;
#[cfg(target_arch = "x86_64")]
mod kernel;
#[cfg(target_arch = "x86_64")]
mod kernel_pack;
#[cfg(target_arch = "x86_64")]
mod kernel_tile;
mod language_model;
mod later;
mod layers;
mod layout;
mod look;
mod matmul;
mod memory;
mod muon;
mod ngram;
mod norms;
mod paired;
mod panels;
mod pass;
mod profile;
mod random;
mod reach;
mod real;
mod recurrent;
mod recurrent_file;
mod recurrent_trainer;
mod resume;
mod rotary;
mod sampler;
mod schedule;
mod score;
mod trainer;
mod unigram;
mod wide;

pub use adamw::Optimizer;
pub use bag::Bag;
pub use checkpoint::ModelConfig;
pub use config::{Activation, GptConfig, GptForm, NormKind, Positions};
pub use gpt::Gpt;
pub use half::Precision;
pub use hugging_face::HuggingFaceModel;
pub use language_model::LanguageModel;
pub use look::AttentionHead;
pub use ngram::{MAX_ORDER, NGram, NGramCounts};
pub use profile::{Clock, Profile};
pub use recurrent::{Cell, Recurrent, RecurrentConfig};
pub use recurrent_file::RecurrentFile;
pub use recurrent_trainer::RecurrentTrainer;
pub use resume::Resumed;
pub use sampler::{Draw, SampleConfig, Sampler};
pub use schedule::{Schedule, decay_begins};
pub use score::{WithStride, score, score_all};
pub use trainer::{StepReport, TrainConfig, Trainer};
pub use unigram::Unigram;
