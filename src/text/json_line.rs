//! A line that holds one JSON object, read fast: its own strings are copied once, without their escapes.
//!
//! serde_json reads all that is not a string of the object itself, and the whole line where anything is wrong with it, or
//! unusual: so what is no document, and what is said of it, is told by one parser alone.

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny};

use super::fields::{Fields, Found};
use super::json_string::unescape;
use super::jsonl::{OBJECT, Value};
use super::utf8;

/// Objects and arrays that may lie in a value which is left to serde_json: it takes no more than 127 inside each other.
const NESTED: usize = 100;

/// What the object in `line` holds, by the nodes of `fields`; `None` where serde_json has to be asked. `scratch` is room.
pub(super) fn found<'l>(line: &'l [u8], fields: &Fields, scratch: &mut Vec<u8>) -> Option<Vec<Found<'l>>> {
    let mut found = fields.nothing();
    found[0] = Found::Other(OBJECT);
    let mut object = Object { line, at: 0, checked: 0, scratch };
    object.skip(b'{')?;
    loop {
        object.skip(b'"')?;
        let child = fields.child(0, object.name()?).filter(|child| found[*child] == Found::Missing);
        object.skip(b':')?;
        if object.next()? == b'"' {
            object.at += 1;
            let text = object.string(child.is_some())?;
            if let Some(child) = child {
                found[child] = Found::Text(text.into());
            }
        } else {
            object.other(child, fields, &mut found)?;
        }
        match object.next()? {
            b',' => object.at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    object.at += 1;
    let is_over = object.line[object.at..].iter().all(|byte| is_space(*byte));
    (is_over && utf8::text(&line[object.checked..]).is_some()).then_some(found)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// An object that is read.
struct Object<'l, 's> {
    line: &'l [u8],
    at: usize,
    /// What lies before is known to be UTF-8. What is left out of that are strings which are wanted: they are UTF-8 if
    /// they are without their escapes, as these are cut off between characters.
    checked: usize,
    scratch: &'s mut Vec<u8>,
}

impl<'l> Object<'l, '_> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.line.get(self.at)?;
            if !is_space(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes over this byte, and white space before it.
    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    /// A name, behind its quotation mark.
    fn name(&mut self) -> Option<&'l str> {
        let rest = &self.line[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
        self.at += length + 1;
        (rest[length] == b'"').then(|| std::str::from_utf8(&rest[..length]).ok())?
    }

    /// A string, behind its quotation mark; nothing of one that is not wanted, unless it is none.
    fn string(&mut self, wanted: bool) -> Option<String> {
        let begin = self.at;
        let (length, end) = unescape(&self.line[begin..], self.scratch)?;
        self.at = begin + length + 1;
        if !wanted {
            return Some(String::new());
        }
        utf8::text(&self.line[self.checked..begin])?;
        self.checked = self.at;
        utf8::text(&self.scratch[..end]).map(str::to_owned)
    }

    /// A value that is no string.
    fn other(&mut self, child: Option<usize>, fields: &Fields, found: &mut Vec<Found<'l>>) -> Option<()> {
        let rest = &self.line[self.at..];
        let mut deserializer = serde_json::Deserializer::from_slice(rest);
        match child {
            Some(node) => Value { fields, node, found }.deserialize(&mut deserializer).ok()?,
            None => _ = IgnoredAny::deserialize(&mut deserializer).ok()?,
        }
        let length = deserializer.into_iter::<IgnoredAny>().byte_offset();
        let nested = rest[..length].iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
        self.at += length;
        (nested <= NESTED).then_some(())
    }
}
