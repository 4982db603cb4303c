//! JSON Lines: one object a line, the text in one of its fields.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};

use super::decoding::{Decoded, Decoding};
use super::document::{Document, Record};
use super::reader::{Line, LineReader, ReadOptions};
use crate::error::{RecordFault, Result};

pub(super) fn records(mut lines: LineReader, options: &ReadOptions) -> impl Iterator<Item = Result<Record>> + '_ {
    std::iter::from_fn(move || {
        loop {
            let line = match lines.next_line().transpose()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if !line.bytes.iter().all(u8::is_ascii_whitespace) || line.too_long {
                let signature = lines.take_signature();
                return Some(Ok(record(line, options, lines.decoding, signature)));
            }
        }
    })
}

fn record(line: Line, options: &ReadOptions, decoding: Decoding, signature: bool) -> Record {
    if line.too_long {
        return line.reject(RecordFault::TooLong { max: options.max_document }, 0);
    }
    let Decoded { text: json, invalid, encoding } = match decoding.decode(line.bytes.clone(), options.on_invalid_utf8) {
        Ok(decoded) => decoded,
        Err(at) => return line.reject(RecordFault::InvalidUtf8, at),
    };
    let bytes = line.bytes.len() as u64;
    if options.is_too_invalid(invalid, bytes) {
        return line.reject(RecordFault::TooManyInvalid { invalid, bytes }, 0);
    }
    match field(&json, &options.field) {
        Ok(text) if text.is_empty() => line.reject(RecordFault::Empty, 0),
        Ok(text) => {
            let (text, origin) = (text.into_owned(), line.origin);
            Record::Document(Document { text, origin, repaired: invalid, encoding, signature })
        }
        Err((fault, at)) => line.reject(fault, at),
    }
}

/// The string in the field `name` of the object `json`, or the fault and its offset.
fn field<'j>(json: &'j str, name: &str) -> std::result::Result<Cow<'j, str>, (RecordFault, u64)> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = Field { name }.deserialize(&mut deserializer).and_then(|found| deserializer.end().map(|()| found));
    match found {
        Ok(Found::Text(text)) => Ok(text),
        Ok(Found::Missing) => Err((RecordFault::MissingField { field: name.to_owned() }, 0)),
        Ok(Found::Other(found)) => Err((RecordFault::NotAString { field: name.to_owned(), found }, 0)),
        Ok(Found::NotAnObject) => Err((RecordFault::NotAnObject, 0)),
        Err(error) => {
            let full = error.to_string();
            let reason = full.split(" at line ").next().unwrap_or_default().to_owned();
            let column = error.column();
            Err((RecordFault::InvalidJson { column, reason }, column.saturating_sub(1) as u64))
        }
    }
}

/// What a field holds.
enum Found<'j> {
    Text(Cow<'j, str>),
    Missing,
    Other(&'static str),
    NotAnObject,
}

/// Reads an object and keeps one field of it; the first, should it stand there twice.
struct Field<'n> {
    name: &'n str,
}

impl<'j> DeserializeSeed<'j> for Field<'_> {
    type Value = Found<'j>;

    fn deserialize<D: de::Deserializer<'j>>(self, deserializer: D) -> std::result::Result<Found<'j>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for Field<'_> {
    type Value = Found<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> std::result::Result<Found<'j>, A::Error> {
        let mut found = Found::Missing;
        while let Some(key) = map.next_key_seed(Text)? {
            let wanted = matches!(&key, Found::Text(key) if key == self.name) && matches!(found, Found::Missing);
            if wanted {
                found = map.next_value_seed(Text)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: de::SeqAccess<'j>>(self, mut items: A) -> std::result::Result<Found<'j>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NotAnObject)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> std::result::Result<Found<'j>, E> {
        Ok(Found::NotAnObject)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> std::result::Result<Found<'j>, E> {
        Ok(Found::NotAnObject)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> std::result::Result<Found<'j>, E> {
        Ok(Found::NotAnObject)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> std::result::Result<Found<'j>, E> {
        Ok(Found::NotAnObject)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> std::result::Result<Found<'j>, E> {
        Ok(Found::NotAnObject)
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<Found<'j>, E> {
        Ok(Found::NotAnObject)
    }
}

/// Reads a string, borrowed where it holds no escapes, and names what else it may find.
struct Text;

impl<'j> DeserializeSeed<'j> for Text {
    type Value = Found<'j>;

    fn deserialize<D: de::Deserializer<'j>>(self, deserializer: D) -> std::result::Result<Found<'j>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for Text {
    type Value = Found<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'j str) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> std::result::Result<Found<'j>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an object"))
    }

    fn visit_seq<A: de::SeqAccess<'j>>(self, mut items: A) -> std::result::Result<Found<'j>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an array"))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Other("true or false"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_unit<E: de::Error>(self) -> std::result::Result<Found<'j>, E> {
        Ok(Found::Other("null"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> RecordFault {
        field(json, "text").unwrap_err().0
    }

    #[test]
    fn fields() {
        assert_eq!(
            field(r#"{"id": {"text": "no"}, "text": "词元\n\u4e2d\ud83d\ude00"}"#, "text").unwrap(),
            "词元\n中😀"
        );
        assert!(matches!(field(r#"{"text": "plain"}"#, "text"), Ok(Cow::Borrowed("plain"))));
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
    fn deep_nesting_costs_no_stack() {
        let nested = format!("{}1{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(field(&format!("{{\"a\": {nested}, \"text\": \"x\"}}"), "text").unwrap(), "x");
        assert_eq!(fault(&nested), RecordFault::NotAnObject);
        assert!(matches!(fault(&nested[..1_000_000]), RecordFault::InvalidJson { .. }));
    }
}
