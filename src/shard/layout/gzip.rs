//! Text that is compressed as it comes, in the builds that can.

use crate::error::{Error, Result};

/// A gzip stream in memory.
#[cfg(feature = "pipeline")]
pub(super) struct Gzip(flate2::write::GzEncoder<Vec<u8>>);

#[cfg(feature = "pipeline")]
impl Gzip {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default())))
    }

    /// Takes text, and gives what is ready.
    pub(super) fn push(&mut self, text: &str) -> Result<Vec<u8>> {
        std::io::Write::write_all(&mut self.0, text.as_bytes()).map_err(in_memory)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// Gives the rest.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        self.0.finish().map_err(in_memory)
    }
}

#[cfg(feature = "pipeline")]
fn in_memory(source: std::io::Error) -> Error {
    Error::Io { op: "compress", path: "the table".into(), source }
}

/// There is none in a light build.
#[cfg(not(feature = "pipeline"))]
pub(super) struct Gzip(std::convert::Infallible);

#[cfg(not(feature = "pipeline"))]
impl Gzip {
    pub(super) fn new() -> Result<Self> {
        Err(Error::Feature { feature: "pipeline", what: "compressing the table of the layout olmo" })
    }

    pub(super) fn push(&mut self, _: &str) -> Result<Vec<u8>> {
        match self.0 {}
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        match self.0 {}
    }
}
