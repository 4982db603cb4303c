//! Opening a file: the bytes that are in it, decompressed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use liblzma::stream::{CONCATENATED, Stream};

use super::source::{Compression, InputFile};
use crate::error::{Error, Result};

/// Bytes of a file that were read, as they lie on disk, by whoever reads them now.
pub(super) type BytesRead = Arc<AtomicU64>;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;
/// What a file compressed with xz may ask for: `xz -9` makes files that need 65 MiB.
const XZ_MEMORY: u64 = 512 << 20;

impl InputFile {
    /// The decompressed bytes of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] or [`Error::Io`] when it cannot be opened.
    pub(super) fn open(&self, read: &BytesRead) -> Result<Box<dyn BufRead + Send>> {
        if self.is_stdin() {
            let stdin = Counted { inner: std::io::stdin(), read: read.clone() };
            return Ok(Box::new(BufReader::with_capacity(BUFFER, stdin)));
        }
        decompressed(self.file()?, self.compression, read).map_err(|error| Error::io("open", &self.path, error))
    }

    /// The first decompressed bytes of the file, at most `length`: not much more is decompressed.
    pub(super) fn head(&self, length: usize) -> Result<Vec<u8>> {
        let mut head = Vec::with_capacity(length);
        let reader = without_buffer(self.file()?, self.compression, &BytesRead::default());
        let read = reader.and_then(|reader| reader.take(length as u64).read_to_end(&mut head));
        read.map_err(|error| Error::io("read", &self.path, error))?;
        Ok(head)
    }

    /// Whether it is standard input, which is read once and from its beginning.
    pub(crate) fn is_stdin(&self) -> bool {
        self.path.as_os_str() == "-" && self.spool.is_none()
    }

    /// The bytes of a file that is not compressed, from `offset` on.
    pub(super) fn open_at(&self, offset: u64, read: &BytesRead) -> Result<Box<dyn BufRead + Send>> {
        let mut file = self.file()?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| Error::io("read", &self.path, error))?;
        Ok(Box::new(BufReader::with_capacity(BUFFER, Counted { inner: file, read: read.clone() })))
    }

    /// The decompressed bytes of the frames that lie in `range`, and then of all behind them. `length` becomes that of the
    /// former when they are read; until then it is as great as can be.
    pub(super) fn open_frames(
        &self,
        range: &Range<u64>,
        length: Arc<AtomicU64>,
        read: &BytesRead,
    ) -> Result<Box<dyn BufRead + Send>> {
        length.store(u64::MAX, Ordering::Relaxed);
        let frames = Frames::new(Counted { inner: self.file()?, read: read.clone() }, range.clone(), length);
        let frames = frames.map_err(|error| Error::io("read", &self.path, error))?;
        let frames = Explained { inner: frames, tool: "zstd", before: range.start, read: read.clone() };
        Ok(Box::new(BufReader::with_capacity(BUFFER, frames)))
    }

    pub(super) fn file(&self) -> Result<File> {
        File::open(self.spool.as_ref().unwrap_or(&self.path)).map_err(|error| Error::io("open", &self.path, error))
    }
}

/// A reader whose bytes are counted.
struct Counted<R> {
    inner: R,
    read: BytesRead,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// What `reader` gives, decompressed: all members, frames or streams that follow each other. `read` counts the bytes that
/// are taken from it.
pub(super) fn decompressed(
    reader: impl Read + Send + 'static,
    compression: Compression,
    read: &BytesRead,
) -> std::io::Result<Box<dyn BufRead + Send>> {
    Ok(Box::new(BufReader::with_capacity(BUFFER, without_buffer(reader, compression, read)?)))
}

fn without_buffer(
    reader: impl Read + Send + 'static,
    compression: Compression,
    read: &BytesRead,
) -> std::io::Result<Box<dyn Read + Send>> {
    let reader = Counted { inner: reader, read: read.clone() };
    let (tool, inner): (_, Box<dyn Read + Send>) = match compression {
        Compression::None => return Ok(Box::new(reader)),
        Compression::Gzip => ("gzip", Box::new(flate2::read::MultiGzDecoder::new(reader))),
        Compression::Zstd => ("zstd", Box::new(zstd::Decoder::new(reader)?)),
        Compression::Xz => {
            let stream = Stream::new_auto_decoder(XZ_MEMORY, CONCATENATED)?;
            ("xz", Box::new(liblzma::read::XzDecoder::new_stream(reader, stream)))
        }
        Compression::Bzip2 => ("bzip2", Box::new(bzip2::read::MultiBzDecoder::new(reader))),
    };
    Ok(Box::new(Explained { inner, tool, before: 0, read: read.clone() }))
}

/// The frames of a range, and what follows.
struct Frames {
    /// `None` after an error.
    decoder: Option<zstd::Decoder<'static, BufReader<Take<Counted<File>>>>>,
    /// Where the range ends in the file, until what follows is read.
    end: Option<u64>,
    read: u64,
    length: Arc<AtomicU64>,
    /// Bytes that are asked for at once behind the range, where only the end of a line is wanted; it doubles.
    behind: usize,
}

/// Bytes that are asked for first behind a range: one block is decompressed for them, not a whole buffer.
const BEHIND: usize = 1 << 12;

impl Frames {
    fn new(mut file: Counted<File>, range: Range<u64>, length: Arc<AtomicU64>) -> std::io::Result<Self> {
        file.seek(SeekFrom::Start(range.start))?;
        let decoder = Some(zstd::Decoder::new(file.take(range.end - range.start))?);
        Ok(Self { decoder, end: Some(range.end), read: 0, length, behind: BEHIND })
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let mut room = buffer.len();
            if self.end.is_none() {
                room = room.min(self.behind);
                self.behind = self.behind.saturating_mul(2);
            }
            let read = decoder.read(&mut buffer[..room])?;
            self.read += read as u64;
            if read > 0 {
                return Ok(read);
            }
            let Some(end) = self.end.take() else { break };
            self.length.store(self.read, Ordering::Relaxed);
            let Some(decoder) = self.decoder.take() else { break };
            let mut file = decoder.finish().into_inner().into_inner();
            // Nothing is no frame.
            if file.seek(SeekFrom::End(0))? > end {
                file.seek(SeekFrom::Start(end))?;
                self.decoder = Some(zstd::Decoder::new(file.take(u64::MAX))?);
            }
        }
        Ok(0)
    }
}

/// A decoder, with errors that say where the file is at fault, and what to do.
struct Explained<R: Read> {
    inner: R,
    /// What tests a whole file of that kind.
    tool: &'static str,
    /// Bytes of the file that others read, and those that were read here.
    before: u64,
    read: BytesRead,
}

impl<R: Read> Read for Explained<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            // Of the system, not of what is in the file.
            if error.raw_os_error().is_some() || error.kind() == std::io::ErrorKind::Interrupted {
                return error;
            }
            let text = error.to_string();
            let remedy = self.remedy(&text);
            std::io::Error::new(error.kind(), format!("{text}: {remedy}"))
        })
    }
}

impl<R: Read> Explained<R> {
    fn remedy(&self, error: &str) -> String {
        if error.contains("Dictionary mismatch") {
            return "it needs the dictionary that it was compressed with; decompress it first, as with `zstd -d -D DICTIONARY`"
                .to_owned();
        }
        if error.contains("too much memory") {
            return "its window is above 128 MiB; decompress it first, as with `zstd -d --long=31`".to_owned();
        }
        if error.contains("memory limit") {
            return "it needs above 512 MiB; decompress it first, as with `xz -d`".to_owned();
        }
        let read = self.before + self.read.load(Ordering::Relaxed);
        let tool = self.tool;
        format!(
            "it is cut off or damaged in its first {read} bytes, as `{tool} -t` shows too; get it again, or leave it out"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn files_that_are_cut_off_or_damaged() {
        let text: Vec<u8> = (0..90_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        let mut zstandard = zstd::Encoder::new(Vec::new(), 1).unwrap();
        // Without a checksum nobody sees that a byte is another.
        zstandard.include_checksum(true).unwrap();
        zstandard.write_all(&text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (ending, tool, bytes) in [
            ("gz", "gzip", gzip.finish().unwrap()),
            ("zst", "zstd", zstandard.finish().unwrap()),
            ("xz", "xz", xz.finish().unwrap()),
            ("bz2", "bzip2", bzip2.finish().unwrap()),
        ] {
            let cut = &bytes[..bytes.len() / 2];
            let damaged: Vec<u8> =
                bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from((90..110).contains(&at))).collect();
            for (bytes, at_most) in [(cut, cut.len() as u64), (&damaged, damaged.len() as u64)] {
                let path = folder.path().join(format!("a.txt.{ending}"));
                std::fs::write(&path, bytes).unwrap();
                let file = crate::text::Source::find(&[path], None).unwrap().files.remove(0);
                let mut reader = file.open(&BytesRead::default()).unwrap();
                let error = reader.read_to_end(&mut Vec::new()).unwrap_err().to_string();
                let (_, place) = error.split_once("cut off or damaged in its first ").unwrap();
                let (place, remedy) = place.split_once(' ').unwrap();
                assert!(
                    place.parse::<u64>().unwrap() <= at_most && remedy.contains(&format!("`{tool} -t`")),
                    "{error}"
                );
            }
        }
    }

    /// A part of a file says where in the file.
    #[test]
    fn frames_that_are_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl.zst");
        let good = zstd::encode_all(&b"{}\n"[..], 1).unwrap();
        std::fs::write(&path, [&good[..], &good, b"no frame"].concat()).unwrap();
        let file = crate::text::Source::find(&[path], None).unwrap().files.remove(0);
        let range = good.len() as u64..file.bytes;
        let mut reader = file.open_frames(&range, Arc::default(), &BytesRead::default()).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains(&format!("in its first {} bytes", file.bytes)), "{error}");
    }

    #[test]
    fn an_xz_file_that_asks_for_all_memory() {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all("词元".as_bytes()).unwrap();
        let mut bytes = encoder.finish().unwrap();
        let read = |bytes: &[u8]| {
            let mut text = String::new();
            let reader = decompressed(std::io::Cursor::new(bytes.to_vec()), Compression::Xz, &BytesRead::default());
            reader.and_then(|mut reader| reader.read_to_string(&mut text)).map(|_| text)
        };
        assert_eq!(read(&bytes).unwrap(), "词元");
        // The header of the first block: its size, flags, the filter LZMA2 with one byte, which stands for 4 GiB.
        assert_eq!(bytes[12..16], [2, 0, 0x21, 1]);
        bytes[16] = 40;
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes[12..20]);
        bytes[20..24].copy_from_slice(&checksum.sum().to_le_bytes());
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("above 512 MiB"), "{error}");
    }
}
