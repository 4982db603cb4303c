//! Ids as text: decimal numbers separated by white space, read as a stream.

use std::io::BufRead;
use std::path::Path;

use ciyuan::Error;

use super::failure::{Failure, Outcome};
use super::lines::open;

/// What stands in an input of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// An id, its line counted from 1, and its place among all ids of the input, counted from 0.
    Id { id: u32, line: u64, position: usize },
    /// The end of a line, or of a last one without a line end.
    LineEnd,
    /// More has yet to be read: whoever waits for what came of the items so far should get it now.
    Pause,
}

/// Calls `work` with each item of an input; what is kept of the input at any time has a fixed size.
pub(super) fn for_each_id(path: &Path, work: impl FnMut(Item) -> Outcome) -> Outcome {
    read(&mut open(path)?, path, work)
}

fn read(reader: &mut impl BufRead, path: &Path, mut work: impl FnMut(Item) -> Outcome) -> Outcome {
    let mut ids = Ids { path, word: Word::default(), line: 1, position: 0, offset: 0 };
    let mut in_line = false;
    loop {
        let bytes = reader.fill_buf().map_err(|error| Error::io("read", path, error))?;
        for &byte in bytes {
            ids.byte(byte, &mut work)?;
            in_line = byte != b'\n';
        }
        let length = bytes.len();
        if length == 0 {
            break;
        }
        reader.consume(length);
        work(Item::Pause)?;
    }
    ids.end_word(&mut work)?;
    if in_line { work(Item::LineEnd) } else { Ok(()) }
}

/// Where the reading of an input stands.
struct Ids<'p> {
    path: &'p Path,
    word: Word,
    line: u64,
    position: usize,
    /// Bytes read.
    offset: usize,
}

/// A word that was begun.
#[derive(Default)]
struct Word {
    /// As much of it as an error shows.
    shown: Vec<u8>,
    length: usize,
    /// Its value as far as it was read, unless it is no number of 32 bits.
    value: Option<u32>,
}

/// As much of a word as an error shows, in bytes.
const SHOWN: usize = 40;

impl Ids<'_> {
    fn byte(&mut self, byte: u8, work: &mut impl FnMut(Item) -> Outcome) -> Outcome {
        if byte.is_ascii_whitespace() {
            self.end_word(work)?;
            if byte == b'\n' {
                self.line += 1;
                work(Item::LineEnd)?;
            }
        } else {
            self.word.push(byte);
        }
        self.offset += 1;
        Ok(())
    }

    fn end_word(&mut self, work: &mut impl FnMut(Item) -> Outcome) -> Outcome {
        if self.word.length == 0 {
            return Ok(());
        }
        let word = std::mem::take(&mut self.word);
        let Some(id) = word.value else {
            let text = String::from_utf8_lossy(&word.shown).into_owned();
            let fault = Error::NotAnId { word: text, offset: self.offset - word.length };
            return Err(Failure::Library(fault.in_document(self.path, self.line)));
        };
        work(Item::Id { id, line: self.line, position: self.position })?;
        self.position += 1;
        Ok(())
    }
}

impl Word {
    fn push(&mut self, byte: u8) {
        let before = if self.length == 0 { Some(0) } else { self.value };
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
        self.value = before.zip(digit).and_then(|(value, digit)| value.checked_mul(10)?.checked_add(digit));
        self.length += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// The items of an input, read `capacity` bytes at a time, without the pauses.
    fn items(input: &[u8], capacity: usize) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        let ended = read(&mut BufReader::with_capacity(capacity, input), Path::new("ids.txt"), |item| {
            if item != Item::Pause {
                items.push(item);
            }
            Ok(())
        });
        match ended {
            Ok(()) => Ok(items),
            Err(Failure::Library(error)) => Err(error.to_string()),
            Err(_) => Err(String::new()),
        }
    }

    #[test]
    fn numbers_and_lines() {
        let id = |id, line, position| Item::Id { id, line, position };
        for capacity in [1, 2, 3, 100] {
            let found = items(b" 12\t007\r\n\n4294967295 0", capacity).unwrap();
            let end = Item::LineEnd;
            assert_eq!(found, [id(12, 1, 0), id(7, 1, 1), end, end, id(u32::MAX, 3, 2), id(0, 3, 3), end]);
            assert_eq!(items(b"", capacity).unwrap(), []);
            assert_eq!(items(b"1\n", capacity).unwrap(), [id(1, 1, 0), end]);
        }
    }

    #[test]
    fn words_that_are_no_numbers() {
        for (input, says) in [
            ("1 2\n3 x4 5", "`ids.txt`, line 2: `x4` at byte 6"),
            ("4294967296", "line 1: `4294967296` at byte 0"),
            ("+1", "`+1` at byte 0"),
            ("1\n\n-1", "line 3: `-1` at byte 3"),
            ("1.5", "`1.5`"),
            ("1,2", "`1,2`"),
            ("词", "`词` at byte 0"),
        ] {
            for capacity in [1, 100] {
                let error = items(input.as_bytes(), capacity).unwrap_err();
                assert!(error.contains(says), "{says} is not in {error}");
            }
        }
        let long = items("9".repeat(1000).as_bytes(), 10).unwrap_err();
        assert!(long.contains(&format!("`{}`", "9".repeat(SHOWN))), "{long}");
        assert!(items(b"1 \xFF", 10).unwrap_err().contains("at byte 2"));
    }
}
