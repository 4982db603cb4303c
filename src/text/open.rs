//! Opening a file: the bytes that are in it, decompressed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use super::source::{Compression, InputFile};
use crate::error::{Error, Result};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

impl InputFile {
    /// The decompressed bytes of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] or [`Error::Io`] when it cannot be opened.
    pub(super) fn open(&self) -> Result<Box<dyn BufRead + Send>> {
        if self.path.as_os_str() == "-" {
            return Ok(Box::new(BufReader::with_capacity(BUFFER, std::io::stdin())));
        }
        decompressed(self.file()?, self.compression).map_err(|error| Error::io("open", &self.path, error))
    }

    /// The bytes of a file that is not compressed, from `offset` on.
    pub(super) fn open_at(&self, offset: u64) -> Result<Box<dyn BufRead + Send>> {
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| Error::io("read", &self.path, error))?;
        Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
    }

    fn file(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| Error::io("open", &self.path, error))
    }
}

/// What `reader` gives, decompressed: all members, frames or streams that follow each other.
pub(super) fn decompressed(
    reader: impl Read + Send + 'static,
    compression: Compression,
) -> std::io::Result<Box<dyn BufRead + Send>> {
    let reader: Box<dyn Read + Send> = match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(reader)),
        Compression::Zstd => Box::new(Frames(zstd::Decoder::new(reader)?)),
        Compression::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(reader)),
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(reader)),
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER, reader)))
}

/// Zstandard frames, with errors that say what to do.
struct Frames<R: Read>(zstd::Decoder<'static, BufReader<R>>);

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let text = error.to_string();
            let remedy = if text.contains("Dictionary mismatch") {
                "it needs the dictionary that it was compressed with; decompress it first, as with `zstd -d -D DICTIONARY`"
            } else if text.contains("too much memory") {
                "its window is above 128 MiB; decompress it first, as with `zstd -d --long=31`"
            } else {
                return error;
            };
            std::io::Error::new(error.kind(), format!("{text}: {remedy}"))
        })
    }
}
