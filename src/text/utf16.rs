//! UTF-16 as UTF-8, on the way in.
//!
//! What is no UTF-16 (half of a surrogate pair, a single last byte) becomes the byte 0xFF, which is no UTF-8, so that the
//! policy for invalid bytes deals with it where it deals with all others, document by document: one U+FFFD, one byte
//! counted. Places in such a file are therefore those of its UTF-8.

use std::io::{BufRead, Read, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The byte that stands for what is no UTF-16.
const INVALID: u8 = 0xFF;
/// Bytes of input that are taken at a time.
const CHUNK: usize = 1 << 16;

/// Reads UTF-16 and gives UTF-8.
pub(super) struct Utf16Reader<R> {
    inner: R,
    big_endian: bool,
    /// The first half of a unit.
    half: Option<u8>,
    /// The first half of a pair.
    high: Option<u16>,
    ended: bool,
    out: Vec<u8>,
    at: usize,
    /// Bytes that were given before those in `out`.
    before: u64,
    /// Bytes of input until another reader begins, and where the length of the text before it is told.
    until: Option<(u64, Arc<AtomicU64>)>,
}

impl<R: BufRead> Utf16Reader<R> {
    pub(super) fn new(inner: R, big_endian: bool) -> Self {
        let (out, at, before, until) = (Vec::new(), 0, 0, None);
        Self { inner, big_endian, half: None, high: None, ended: false, out, at, before, until }
    }

    /// The same reader, which tells in `length` how long the text of its first `input` bytes is, with `before` more, when
    /// it has read so far. It reads on.
    pub(super) fn until(mut self, input: u64, before: u64, length: Arc<AtomicU64>) -> Self {
        self.before = before;
        self.until = Some((input, length));
        self.pass(0);
        self
    }

    /// Counts bytes of input.
    fn pass(&mut self, read: usize) {
        let Some((left, length)) = &mut self.until else { return };
        *left -= (read as u64).min(*left);
        if *left == 0 || self.ended {
            // Half of a pair that has no other half, as no pair is cut.
            let open = u64::from(self.high.is_some());
            length.store(self.before + self.out.len() as u64 + open, Ordering::Relaxed);
            self.until = None;
        }
    }

    /// Takes the next input.
    fn refill(&mut self) -> Result<()> {
        self.before += self.out.len() as u64;
        self.out.clear();
        self.at = 0;
        while self.out.is_empty() && !self.ended {
            let mut chunk = [0; CHUNK];
            let most = self.until.as_ref().map_or(CHUNK as u64, |(left, _)| *left).min(CHUNK as u64) as usize;
            let read = match self.inner.read(&mut chunk[..most]) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            chunk[..read].iter().for_each(|byte| self.byte(*byte));
            if read == 0 {
                self.ended = true;
                let open = usize::from(self.high.take().is_some()) + usize::from(self.half.take().is_some());
                self.out.extend(std::iter::repeat_n(INVALID, open));
            }
            self.pass(read);
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) {
        match self.half.take() {
            None => self.half = Some(byte),
            Some(first) if self.big_endian => self.unit(u16::from_be_bytes([first, byte])),
            Some(first) => self.unit(u16::from_le_bytes([first, byte])),
        }
    }

    fn unit(&mut self, unit: u16) {
        let mut push = |units: &[u16]| match char::decode_utf16(units.iter().copied()).next() {
            Some(Ok(c)) => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => self.out.push(INVALID),
        };
        match (self.high.take(), unit) {
            (Some(high), 0xDC00..=0xDFFF) => push(&[high, unit]),
            (high, _) => {
                if high.is_some() {
                    push(&[0xD800]);
                }
                if matches!(unit, 0xD800..=0xDBFF) {
                    self.high = Some(unit);
                } else {
                    push(&[unit]);
                }
            }
        }
    }
}

/// Whether these are the four bytes of a pair of surrogates.
pub(super) fn is_pair(bytes: &[u8], big_endian: bool) -> bool {
    let unit = |first: u8, second: u8| u16::from_be_bytes(if big_endian { [first, second] } else { [second, first] });
    let [a, b, c, d] = *bytes else { return false };
    (0xD800..0xDC00).contains(&unit(a, b)) && (0xDC00..0xE000).contains(&unit(c, d))
}

impl<R: BufRead> BufRead for Utf16Reader<R> {
    fn fill_buf(&mut self) -> Result<&[u8]> {
        if self.at == self.out.len() {
            self.refill()?;
        }
        Ok(&self.out[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.out.len());
    }
}

impl<R: BufRead> Read for Utf16Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives one to three bytes at a time.
    struct Drops<'b>(&'b [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            self.1 = self.1 % 3 + 1;
            let (now, later) = self.0.split_at(self.1.min(self.0.len()).min(buffer.len()));
            buffer[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    fn read(bytes: &[u8], big_endian: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let drops = std::io::BufReader::with_capacity(5, Drops(bytes, 0));
        Utf16Reader::new(drops, big_endian).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn halves() {
        assert_eq!(read(b"a\0\x00\xD8b\0", false), b"a\xFFb");
        assert_eq!(read(b"\x00\xDC\x00\xD8\x40\xD8\x00\xDC", false), b"\xFF\xFF\xF0\xA0\x80\x80");
        assert_eq!(read(b"\0a\xD8\x00\0", true), b"a\xFF\xFF");
        assert_eq!(read(b"", true), b"");
    }

    proptest! {
        #[test]
        fn text_comes_back(text in any::<String>(), big_endian in any::<bool>()) {
            let bytes = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let units: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            prop_assert_eq!(read(&units, big_endian), text.as_bytes());
        }

        #[test]
        fn any_units_as_the_standard_library_has_it(units in proptest::collection::vec(
            prop_oneof![any::<u16>(), 0xD700u16..0xE100, Just(0xD800), Just(0xDC00)], 0..20,
        )) {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let text = String::from_utf16_lossy(&units);
            let got = read(&bytes, false);
            // U+FFFD of the text itself aside, each replacement is one invalid byte.
            prop_assume!(!units.contains(&0xFFFD));
            prop_assert_eq!(String::from_utf8_lossy(&got), text);
        }
    }
}
