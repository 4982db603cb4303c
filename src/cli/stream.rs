//! The ids of an input while it is read.

use std::io::{BufRead, Write};
use std::path::Path;

use ciyuan::Error;
use ciyuan::encode::{EncodeStream, Tokenizer};

use super::failure::Outcome;
use super::lines::{open, text};

/// Writes the ids of an input on one line, as soon as what follows cannot change them. What is kept of the input is what
/// may still change.
pub(super) fn write_ids(out: &mut impl Write, tokenizer: &Tokenizer, path: &Path) -> Outcome {
    let mut reader = open(path)?;
    let mut unread = Unread { path, bytes: Vec::new(), line: 1, offset: 0 };
    let (mut stream, mut ids) = (EncodeStream::eager(tokenizer), Vec::new());
    let mut separator = "";
    loop {
        let more = reader.fill_buf().map_err(|error| Error::io("read", path, error))?;
        let length = more.len();
        unread.bytes.extend_from_slice(more);
        reader.consume(length);
        let text = unread.text(length == 0)?;
        let pushed = stream.push(text.as_bytes(), &mut ids);
        let ended = pushed.and_then(|()| if length == 0 { stream.finish(&mut ids) } else { Ok(()) });
        ended.map_err(|error| error.in_document(path, 0))?;
        let taken = text.len();
        unread.drop_front(taken);
        for id in ids.drain(..) {
            write!(out, "{separator}{id}")?;
            separator = " ";
        }
        if length == 0 {
            break;
        }
        out.flush()?;
    }
    out.write_all(b"\n")?;
    Ok(())
}

/// The part of an input that is not text yet, and where it begins.
struct Unread<'p> {
    path: &'p Path,
    bytes: Vec<u8>,
    line: u64,
    offset: u64,
}

impl Unread<'_> {
    /// Its text, without a character whose end has yet to be read, unless there is no more to read.
    fn text(&self, at_end: bool) -> Outcome<&str> {
        let whole = match std::str::from_utf8(&self.bytes) {
            Err(error) if error.error_len().is_none() && !at_end => error.valid_up_to(),
            _ => self.bytes.len(),
        };
        text(&self.bytes[..whole], self.path, self.line, self.offset)
    }

    fn drop_front(&mut self, bytes: usize) {
        self.line += self.bytes[..bytes].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.offset += bytes as u64;
        self.bytes.drain(..bytes);
    }
}
