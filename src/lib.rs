//! ciyuan
pub mod codec;
pub mod error;
#[cfg(feature = "pipeline")]
pub mod text;
pub mod segment;
pub use error::{Error, Result};
pub mod vocab;
pub mod learn;
pub mod encode;
pub mod shard;
#[cfg(feature = "gpt")]
pub mod model;
#[cfg(feature = "pipeline")]
pub mod evaluate;
#[cfg(feature = "pipeline")]
pub mod pipeline;
