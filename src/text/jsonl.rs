//! JSON Lines: one object a line, the text in one of its fields or composed of several.
//!
//! A line without faults is read by `json_line.rs` where it lies in the reader's buffer, or is copied to where it goes beyond
//! that; any other by serde_json, which says where the fault of a line lies. serde_json alone, which read all of them before,
//! made 0.5 to 0.9 GB/s of Chinese and English with an escape in every fifty bytes, where 1.1 to 1.5 were made then. It was
//! held up less by its bytes than by its steps from escape to escape, at each of which the processor guesses wrong, by lines
//! that grew in memory, and by texts that were copied twice. Tried before: sonic-rs was no faster; simd-json read Chinese text
//! with an escape in every sentence twice as fast, text without escapes more slowly, and gives no place of a fault.

use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use super::decoding::Decoded;
use super::document::{Document, Origin, Record, Reject};
use super::encoding::FoundEncoding;
use super::fields::{Fields, Found};
use super::json_line;
use super::lines::{Line, LineReader, Taken};
use super::reader::{ReadOptions, RecordReader};
use super::utf8;
use crate::error::{RecordFault, Result};

/// The records of JSON Lines.
pub(super) struct JsonLines<'o> {
    lines: LineReader,
    options: &'o ReadOptions,
    fields: Fields,
    scratch: Vec<u8>,
}

impl<'o> JsonLines<'o> {
    pub(super) fn new(lines: LineReader, options: &'o ReadOptions) -> Result<Self> {
        Ok(Self { lines, options, fields: Fields::of(options)?, scratch: Vec::new() })
    }

    fn record(&self, line: Line, signature: bool) -> Record {
        if line.too_long {
            return line.reject(RecordFault::TooLong { max: self.options.max_document }, 0);
        }
        let (decoding, policy) = (self.lines.decoding, self.options.on_invalid_utf8);
        // What is UTF-8 already is not copied.
        if self.is_utf8()
            && let Some(json) = utf8::text(&line.bytes)
        {
            let read = Read { repaired: 0, encoding: decoding.file, signature };
            return match self.parsed(json) {
                Ok((text, id)) => self.document(line, text, id, read),
                Err(fault) => fault.of(line),
            };
        }
        let Decoded { text: json, invalid, encoding } = match decoding.decode(line.bytes.clone(), policy) {
            Ok(decoded) => decoded,
            Err(at) => return line.reject(RecordFault::InvalidUtf8, at),
        };
        let bytes = line.bytes.len() as u64;
        if self.options.is_too_invalid(invalid, bytes) {
            return line.reject(RecordFault::TooManyInvalid { invalid, bytes }, 0);
        }
        match self.parsed(&json) {
            Ok((text, id)) => self.document(line, text, id, Read { repaired: invalid, encoding, signature }),
            Err(fault) => fault.of(line),
        }
    }

    /// The text and identifier of a line without faults; `None` where it has to be looked at more closely.
    fn plain(fields: &Fields, scratch: &mut Vec<u8>, max: u64, line: &[u8]) -> Option<(String, Option<String>)> {
        let mut found = json_line::found(line, fields, scratch)?;
        let id = fields.id(&found);
        let text = fields.take_text(&mut found).ok()?.into_owned();
        (!text.is_empty() && text.len() as u64 <= max).then_some((text, id))
    }

    /// The next record, where its line has no faults and lies in memory; or whether to look there again when it does.
    fn plain_record(&mut self) -> Result<Taken<Record>> {
        if !self.is_utf8() {
            return Ok(Taken::Refused);
        }
        let Self { lines, options, fields, scratch } = self;
        let taken = lines.take_line(|line| Self::plain(fields, scratch, options.max_document, line))?;
        Ok(taken.map(|(plain, origin)| {
            let signature = self.lines.take_signature() && origin.line == 1;
            self.plain_document(plain, origin, signature)
        }))
    }

    /// Whether the lines are UTF-8, if they are what they should be.
    fn is_utf8(&self) -> bool {
        matches!(self.lines.decoding.file, FoundEncoding::Utf8 | FoundEncoding::Utf16)
    }

    fn plain_document(&self, (text, id): (String, Option<String>), origin: Origin, signature: bool) -> Record {
        Record::Document(Document { text, id, origin, repaired: 0, encoding: self.lines.decoding.file, signature })
    }

    fn document(&self, line: Line, text: String, id: Option<String>, read: Read) -> Record {
        let fault = if text.is_empty() {
            RecordFault::Empty
        } else if text.len() as u64 > self.options.max_document {
            // A template may make a text that is longer than its line.
            RecordFault::TooLong { max: self.options.max_document }
        } else {
            let Read { repaired, encoding, signature } = read;
            return Record::Document(Document { text, id, origin: line.origin, repaired, encoding, signature });
        };
        Fault { fault, at: 0, id }.of(line)
    }

    /// Text and identifier of the object `json`.
    fn parsed(&self, json: &str) -> std::result::Result<(String, Option<String>), Fault> {
        let fault = |fault, at, id| Fault { fault, at, id };
        let mut found = self.fields.nothing();
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let value = Value { fields: &self.fields, node: 0, found: &mut found };
        value.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(|error| {
            let full = error.to_string();
            let reason = full.split(" at line ").next().unwrap_or_default().to_owned();
            let column = error.column();
            fault(RecordFault::InvalidJson { column, reason }, column.saturating_sub(1) as u64, None)
        })?;
        if found[0] != Found::Other(OBJECT) {
            return Err(fault(RecordFault::NotAnObject, 0, None));
        }
        let id = self.fields.id(&found);
        match self.fields.take_text(&mut found) {
            Ok(text) => Ok((text.into_owned(), id)),
            Err(missing) => Err(fault(missing, 0, id)),
        }
    }
}

impl Iterator for JsonLines<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let is_apart = match self.plain_record() {
                Ok(Taken::Made(record)) => return Some(Ok(record)),
                Ok(Taken::Refused) => false,
                Ok(Taken::Apart) => true,
                Err(error) => return Some(Err(error)),
            };
            let line = match self.lines.next_line().transpose()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if line.is_blank() {
                continue;
            }
            let signature = self.lines.take_signature() && line.is_first();
            if is_apart
                && !line.too_long
                && let Some(plain) =
                    Self::plain(&self.fields, &mut self.scratch, self.options.max_document, &line.bytes)
            {
                return Some(Ok(self.plain_document(plain, line.origin, signature)));
            }
            return Some(Ok(self.record(line, signature)));
        }
    }
}

impl RecordReader for JsonLines<'_> {
    fn lines(&self) -> u64 {
        self.lines.line
    }

    fn frame_bytes(&self) -> u64 {
        self.lines.frame_bytes()
    }
}

/// What was seen while a line was read.
struct Read {
    /// Bytes that were invalid.
    repaired: u64,
    encoding: FoundEncoding,
    /// Whether a byte order mark stood before it.
    signature: bool,
}

/// What is wrong with a line, where in it, and whose it is.
struct Fault {
    fault: RecordFault,
    at: u64,
    id: Option<String>,
}

impl Fault {
    fn of(self, line: Line) -> Record {
        match line.reject(self.fault, self.at) {
            Record::Reject(reject) => Record::Reject(Reject { id: self.id, ..reject }),
            document => document,
        }
    }
}

pub(super) const OBJECT: &str = "an object";

/// Reads the value of a node, and of the nodes in it; of a field that stands there twice, the first.
pub(super) struct Value<'f, 'v, 'j> {
    pub(super) fields: &'f Fields,
    pub(super) node: usize,
    pub(super) found: &'v mut Vec<Found<'j>>,
}

impl<'j> Value<'_, '_, 'j> {
    fn is<E>(self, found: Found<'j>) -> std::result::Result<(), E> {
        self.found[self.node] = found;
        Ok(())
    }
}

impl<'j> DeserializeSeed<'j> for Value<'_, '_, 'j> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'j>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for Value<'_, '_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let Self { fields, node, found } = self;
        found[node] = Found::Other(OBJECT);
        if !fields.has_children(node) {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(child) = map.next_key_seed(Name { fields, node })? {
            match child.filter(|child| found[*child] == Found::Missing) {
                Some(node) => map.next_value_seed(Value { fields, node, found })?,
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }

    fn visit_seq<A: de::SeqAccess<'j>>(self, mut items: A) -> std::result::Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.is(Found::Other("an array"))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'j str) -> std::result::Result<(), E> {
        self.is(Found::Text(text.into()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<(), E> {
        self.is(Found::Text(text.to_owned().into()))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> std::result::Result<(), E> {
        self.is(Found::Other("true or false"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<(), E> {
        self.is(Found::Whole(number.into()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<(), E> {
        self.is(Found::Whole(number.into()))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> std::result::Result<(), E> {
        self.is(Found::Other("a number"))
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<(), E> {
        self.is(Found::Other("null"))
    }
}

/// Reads the name of a field, and gives the child of the node that it names.
struct Name<'f> {
    fields: &'f Fields,
    node: usize,
}

impl<'j> DeserializeSeed<'j> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: de::Deserializer<'j>>(self, deserializer: D) -> std::result::Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<Option<usize>, E> {
        Ok(self.fields.child(self.node, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text and identifier of a line, or its fault.
    fn parsed(json: &str, options: &ReadOptions) -> std::result::Result<(String, Option<String>), RecordFault> {
        let lines = LineReader::new(Box::new(std::io::empty()), std::path::Path::new("x").into(), options).unwrap();
        let reader = JsonLines::new(lines, options).unwrap();
        let parsed = reader.parsed(json).map_err(|fault| fault.fault);
        if let Some(plain) = JsonLines::plain(&reader.fields, &mut Vec::new(), u64::MAX, json.as_bytes()) {
            assert_eq!(Ok(plain), parsed, "{json}");
        }
        parsed
    }

    fn field(json: &str, name: &str) -> std::result::Result<String, RecordFault> {
        parsed(json, &ReadOptions { field: name.to_owned(), ..ReadOptions::default() }).map(|(text, _)| text)
    }

    fn fault(json: &str) -> RecordFault {
        field(json, "text").unwrap_err()
    }

    #[test]
    fn fields() {
        assert_eq!(
            field(r#"{"id": {"text": "no"}, "text": "词元\n\u4e2d\ud83d\ude00"}"#, "text").unwrap(),
            "词元\n中😀"
        );
        assert_eq!(field(r#"{"te\u0078t": "\u0000\uFEFF"}"#, "text").unwrap(), "\0\u{FEFF}");
        assert_eq!(field(r#"{"text": "first", "text": "second"}"#, "text").unwrap(), "first");
    }

    #[test]
    fn faults() {
        assert_eq!(fault(r#"{"txt": "x"}"#), RecordFault::MissingField { field: "text".into() });
        for (value, found) in [
            ("null", "null"),
            ("7", "a number"),
            ("-7.5", "a number"),
            ("[1]", "an array"),
            ("{}", "an object"),
            ("true", "true or false"),
        ] {
            assert_eq!(
                fault(&format!("{{\"text\": {value}}}")),
                RecordFault::NotAString { field: "text".into(), found }
            );
        }
        for json in ["[1, 2]", "7", "-7", "7.5", "\"text\"", "null", "false"] {
            assert_eq!(fault(json), RecordFault::NotAnObject, "{json}");
        }
        for json in [
            "{\"text\": \"x\"",
            "{\"text\": \"x\"} {",
            "{\"text\": \"\\ud800\"}",
            "{'text': 1}",
            "nul",
            "{\"text\": \"a\u{1}b\"}",
        ] {
            assert!(matches!(fault(json), RecordFault::InvalidJson { .. }), "{json}");
        }
    }

    #[test]
    fn nested_fields() {
        let json = r#"{"text": "no", "meta": {"text": "词", "x": {"text": "元"}}, "meta": {"y": "z"}, "a.b": "dot"}"#;
        assert_eq!(field(json, "meta.text").unwrap(), "词");
        assert_eq!(field(json, "meta.x.text").unwrap(), "元");
        assert_eq!(field(json, r"a\.b").unwrap(), "dot");
        let missing = |field: &str| RecordFault::MissingField { field: field.to_owned() };
        // The first of two fields of one name counts, also where the second would hold what is looked for.
        assert_eq!(field(json, "meta.y"), Err(missing("meta.y")));
        assert_eq!(field(json, "text.x"), Err(missing("text.x")));
        assert_eq!(field(json, "a.b"), Err(missing("a.b")));
        let found = RecordFault::NotAString { field: "meta".into(), found: "an object" };
        assert_eq!(field(json, "meta"), Err(found));
    }

    #[test]
    fn several_fields_and_the_identifier() {
        let mut options = ReadOptions {
            template: Some(r"{title}\n{m.text}".to_owned()),
            id_field: Some("m".to_owned()),
            ..ReadOptions::default()
        };
        let json =
            r#"{"m": {"id": 18446744073709551615, "text": "文"}, "title": "题\n", "n": -5, "f": 1.5, "s": "\u8bcd"}"#;
        // The identifier may be a part of what is read for the text: here it is an object, and so none.
        assert_eq!(parsed(json, &options).unwrap(), ("题\n\n文".to_owned(), None));
        for (field, id) in
            [("m.id", Some("18446744073709551615")), ("n", Some("-5")), ("f", None), ("s", Some("词")), ("none", None)]
        {
            options.id_field = Some(field.to_owned());
            assert_eq!(parsed(json, &options).unwrap().1.as_deref(), id, "{field}");
        }
    }

    /// Lines without faults are read fast, whatever lies beside their text, and whatever the order; others are not.
    #[test]
    fn what_is_read_fast() {
        let options = ReadOptions { id_field: Some("meta.id".to_owned()), ..ReadOptions::default() };
        let fields = Fields::of(&options).unwrap();
        let plain = |json: &[u8], max| JsonLines::plain(&fields, &mut Vec::new(), max, json);
        let long = r"词元\n".repeat(30);
        let json =
            [r#" { "aé": [1, {"text": "no"}], "text" : ""#, &long, r#"", "n":-1.5e3 ,"meta":{"id":7}, "text":null} "#];
        let json = json.concat();
        let text = "词元\n".repeat(30);
        assert_eq!(plain(json.as_bytes(), 210), Some((text.clone(), Some("7".to_owned()))));
        assert_eq!(parsed(&json, &options).unwrap(), (text, Some("7".to_owned())));
        assert_eq!(plain(json.as_bytes(), 209), None);
        let nested = format!(r#"{{"text": "x", "y": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
        let faults =
            ["{}", "", "[1]", r#"{"text": ""}"#, r#"{"text": 1}"#, r#"{"text": "x",}"#, r#"{"text": "x"} {"#, &nested];
        assert!(faults.iter().all(|json| plain(json.as_bytes(), 210).is_none()));
        let json = r#"{"a": "é", "text": "词\n元", "b": "é", "c": ["é"]}"#.as_bytes();
        assert!(plain(json, 210).is_some());
        for at in 0..json.len() {
            let mut damaged = json.to_vec();
            damaged[at] = 0xFF;
            assert_eq!(plain(&damaged, 210), None, "{at}");
        }
    }

    /// Whatever part of them the reader holds at once.
    #[test]
    fn lines_that_lie_in_parts() {
        let long = "词元\\n".repeat(40);
        let lines = [
            "\u{FEFF}{\"text\": \"first\", \"id\": 1}",
            &format!("{{\"id\": \"a\", \"text\": \"{long}\"}}"),
            "  ",
            "{\"text\": \"\"}",
            &format!("{{\"text\": \"{long}"),
            "{\"text\": \"\\u8bcd\\u5143\"}\r",
            &format!("{{\"text\": \"{}\"}}", long.repeat(4)),
            "{\"text\": \"last\", \"id\": 7}",
        ];
        let text = lines.join("\n");
        let options = ReadOptions { id_field: Some("id".to_owned()), max_document: 1000, ..ReadOptions::default() };
        let read = |capacity: usize| -> Vec<String> {
            let bytes = std::io::Cursor::new(text.clone().into_bytes());
            let reader = Box::new(std::io::BufReader::with_capacity(capacity, bytes));
            let lines = LineReader::new(reader, std::path::Path::new("x").into(), &options).unwrap();
            JsonLines::new(lines, &options).unwrap().map(|record| format!("{:?}", record.unwrap())).collect()
        };
        let whole = read(1 << 16);
        assert_eq!((whole.len(), whole.iter().filter(|record| record.contains("Reject")).count()), (7, 3));
        for capacity in [1, 2, 7, 30, 64, 500] {
            assert_eq!(read(capacity), whole, "{capacity}");
        }
    }

    /// serde_json's own value tree is the plainest reader of a field.
    #[test]
    fn equal_to_the_value_tree() {
        use proptest::prelude::*;
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\"text\"",
            "\"meta\"",
            "\"meta\": {\"text\": \"x\"}",
            "{\"text\": \"词\"}",
            " ",
            "1",
            "-0",
            "1e9",
            "null",
            "\\ud83d",
            "\\ude00",
            "\\u0000",
            "\\n",
            "\\",
            "词",
            "\0",
            "\u{FEFF}",
            "\r",
            "\"text\": \"a\"",
        ]);
        let mut runner = proptest::test_runner::TestRunner::default();
        let run = runner.run(&prop::collection::vec(piece, 0..12), |pieces| {
            for json in
                [pieces.concat(), format!("{{{}}}", pieces.concat()), format!("{{\"text\": \"{}\"}}", pieces.concat())]
            {
                for (path, pointer) in [("text", "/text"), ("meta.text", "/meta/text")] {
                    let found = field(&json, path);
                    match serde_json::from_str::<serde_json::Value>(&json) {
                        // The tree keeps the last of two fields of one name.
                        Ok(tree) if json.matches("text\"").count() < 2 && json.matches("meta\"").count() < 2 => {
                            let wanted = tree.pointer(pointer).and_then(|value| value.as_str());
                            prop_assert_eq!(found.ok(), wanted.map(str::to_owned), "{}", json);
                        }
                        Ok(_) => {}
                        // A fault in what is not looked for is none: a lone surrogate in another field.
                        Err(_) if serde_json::from_str::<IgnoredAny>(&json).is_ok() => {}
                        Err(_) => prop_assert!(matches!(found, Err(RecordFault::InvalidJson { .. })), "{}", json),
                    }
                }
            }
            Ok(())
        });
        run.unwrap();
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let nested = format!("{}1{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(field(&format!("{{\"a\": {nested}, \"text\": \"x\"}}"), "text").unwrap(), "x");
        assert_eq!(fault(&nested), RecordFault::NotAnObject);
        assert!(matches!(fault(&nested[..1_000_000]), RecordFault::InvalidJson { .. }));
    }
}
