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
