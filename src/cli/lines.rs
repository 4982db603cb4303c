//! Lines of text from files or standard input, for the commands that work as filters.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ciyuan::Error;

use super::failure::Outcome;

/// A line of an input.
pub(super) struct Line<'l> {
    /// The line without its line end.
    pub(super) text: &'l str,
    /// The input it stands in.
    pub(super) path: &'l Path,
    /// Its number in that input, counted from 1.
    pub(super) number: u64,
    /// Whether the next line has yet to be read: whoever waits for the answer to this one should get it now.
    pub(super) pause: bool,
}

/// Bytes read ahead. At least as many as standard input reads by itself, which then adds no buffer of its own.
const AHEAD: usize = 1 << 18;

/// An input, opened to be read.
pub(super) fn open(path: &Path) -> Outcome<BufReader<Box<dyn Read>>> {
    let source: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(path).map_err(|error| Error::io("open", path, error))?),
    };
    Ok(BufReader::with_capacity(AHEAD, source))
}

/// Standard input where no file is named.
pub(super) fn or_stdin(inputs: &[PathBuf]) -> Vec<PathBuf> {
    if inputs.is_empty() { vec![PathBuf::from("-")] } else { inputs.to_vec() }
}

/// Calls `work` with each line of the inputs.
pub(super) fn for_each_line(inputs: &[PathBuf], mut work: impl FnMut(Line<'_>) -> Outcome) -> Outcome {
    for path in or_stdin(inputs) {
        let mut reader = open(&path)?;
        let mut bytes = Vec::new();
        let (mut number, mut offset) = (0, 0);
        loop {
            bytes.clear();
            let length = reader.read_until(b'\n', &mut bytes).map_err(|error| Error::io("read", &path, error))?;
            if length == 0 {
                break;
            }
            number += 1;
            let text = text(&bytes, &path, number, offset)?;
            let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
            work(Line { text, path: &path, number, pause: !reader.buffer().contains(&b'\n') })?;
            offset += length as u64;
        }
    }
    Ok(())
}

/// The whole of an input.
pub(super) fn whole(path: &Path) -> Outcome<String> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
    text(&bytes, path, 1, 0)?;
    // The line above has checked it; this gives the bytes over without a copy.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// The text of bytes that begin at `offset` of an input, in line `first`.
pub(super) fn text<'b>(bytes: &'b [u8], path: &Path, first: u64, offset: u64) -> Outcome<&'b str> {
    let fault = |error: std::str::Utf8Error| {
        let good = &bytes[..error.valid_up_to()];
        let line = first + good.iter().filter(|byte| **byte == b'\n').count() as u64;
        Error::NotUtf8 { path: path.to_owned(), line, offset: offset + good.len() as u64 }
    };
    Ok(std::str::from_utf8(bytes).map_err(fault)?)
}
