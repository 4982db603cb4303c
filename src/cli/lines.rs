//! Lines of text from files or standard input, for the commands that work as filters.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ciyuan::Error;
use ciyuan::error::RecordFault;

use super::failure::Outcome;

fn open(path: &Path) -> Outcome<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    Ok(Box::new(BufReader::with_capacity(1 << 18, file)))
}

/// Standard input where no file is named.
pub(super) fn or_stdin(inputs: &[PathBuf]) -> Vec<PathBuf> {
    if inputs.is_empty() { vec![PathBuf::from("-")] } else { inputs.to_vec() }
}

/// Calls `work` with each line of the inputs, without its line end.
pub(super) fn for_each_line(inputs: &[PathBuf], mut work: impl FnMut(&str) -> Outcome) -> Outcome {
    for path in or_stdin(inputs) {
        let mut reader = open(&path)?;
        let (mut line, mut offset) = (0, 0);
        loop {
            let mut bytes = Vec::new();
            let length = reader.read_until(b'\n', &mut bytes).map_err(|error| Error::io("read", &path, error))?;
            if length == 0 {
                break;
            }
            line += 1;
            let text = text(&bytes, &path, line, offset)?;
            work(text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text)))?;
            offset += length as u64;
        }
    }
    Ok(())
}

/// The whole of an input.
pub(super) fn whole(path: &Path) -> Outcome<String> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|error| Error::io("read", path, error))?;
    text(&bytes, path, 0, 0)?;
    // The line above has checked it; this gives the bytes over without a copy.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

fn text<'b>(bytes: &'b [u8], path: &Path, line: u64, offset: u64) -> Outcome<&'b str> {
    let fault = |error: std::str::Utf8Error| Error::Record {
        path: path.to_owned(),
        line,
        offset: offset + error.valid_up_to() as u64,
        fault: RecordFault::InvalidUtf8,
    };
    Ok(std::str::from_utf8(bytes).map_err(fault)?)
}
