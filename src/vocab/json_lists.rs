//! The two long lists of a `tokenizer.json`, its vocabulary and its merges, read into one buffer each.
//!
//! A string for each of some hundred thousand entries would take more time and memory than all else. A list that is
//! longer than a vocabulary may be is refused where it becomes so, before it takes memory.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MAX_ID;

/// Tokens in byte-level form with their ids, in the order they are written in; a map would hide a token that stands
/// there twice.
#[derive(Default)]
pub(super) struct Entries {
    text: String,
    /// Where each token ends, and its id.
    ends: Vec<(u32, u64)>,
}

/// Merges by rank, left and right part in byte-level form.
#[derive(Default)]
pub(super) struct MergeList {
    text: String,
    /// Where the left part ends, and the right one.
    ends: Vec<[u32; 2]>,
}

impl Entries {
    pub(super) fn of<'t>(entries: impl Iterator<Item = (&'t str, u64)>) -> Self {
        let mut all = Self::default();
        for (token, id) in entries {
            all.text.push_str(token);
            all.ends.push((all.text.len() as u32, id));
        }
        all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
        starts.zip(&self.ends).map(|(start, (end, id))| (&self.text[start as usize..*end as usize], *id))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

impl MergeList {
    pub(super) fn of<'t>(merges: impl Iterator<Item = [&'t str; 2]>) -> Self {
        let mut all = Self::default();
        merges.for_each(|[left, right]| all.push(left, right));
        all
    }

    fn push(&mut self, left: &str, right: &str) {
        self.text.push_str(left);
        let end = self.text.len() as u32;
        self.text.push_str(right);
        self.ends.push([end, self.text.len() as u32]);
    }

    /// The parts of each merge; both empty where it does not have two.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).map(|rank| self.parts(rank))
    }

    /// The parts of the merge of a rank.
    pub(super) fn parts(&self, rank: usize) -> (&str, &str) {
        let start = rank.checked_sub(1).map_or(0, |before| self.ends[before][1]);
        let [middle, end] = self.ends[rank];
        let part = |start: u32, end: u32| &self.text[start as usize..end as usize];
        (part(start, middle), part(middle, end))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Refuses one more entry than a vocabulary may have.
fn room<E: Error>(count: usize, what: &str) -> Result<(), E> {
    if count <= MAX_ID as usize {
        return Ok(());
    }
    Err(E::custom(format_args!("more than {} {what}, the most that a vocabulary may have", MAX_ID + 1)))
}

/// Places in a list are numbers of 32 bits.
fn fits<E: Error>(text: &str) -> Result<(), E> {
    if u32::try_from(text.len()).is_ok() { Ok(()) } else { Err(E::custom("the list holds 4 GiB of text and more")) }
}

/// Appends a string of the file.
struct Append<'b>(&'b mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        fits(self.0)
    }
}

/// Appends a merge: `"a b"`, which every version of the library reads, or `["a", "b"]`, which newer ones write.
struct AppendMerge<'b>(&'b mut MergeList);

impl<'de> DeserializeSeed<'de> for AppendMerge<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AppendMerge<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a merge, as \"a b\" or [\"a\", \"b\"]")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let pair = text.split_once(' ').filter(|(_, right)| !right.contains(' '));
        let (left, right) = pair.unwrap_or_default();
        self.0.push(left, right);
        fits(&self.0.text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let list = self.0;
        let mut ends = [0; 2];
        for end in &mut ends {
            if seq.next_element_seed(Append(&mut list.text))?.is_none() {
                return Err(A::Error::custom("a merge joins two tokens"));
            }
            *end = list.text.len() as u32;
        }
        if seq.next_element_seed(Append(&mut String::new()))?.is_some() {
            return Err(A::Error::custom("a merge joins two tokens"));
        }
        list.ends.push(ends);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tokens and ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Entries::default();
                while map.next_key_seed(Append(&mut entries.text))?.is_some() {
                    room(entries.ends.len(), "tokens")?;
                    entries.ends.push((entries.text.len() as u32, map.next_value()?));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

impl<'de> Deserialize<'de> for MergeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = MergeList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of merges")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<MergeList, A::Error> {
                let mut list = MergeList::default();
                while seq.next_element_seed(AppendMerge(&mut list))?.is_some() {
                    room(list.ends.len() - 1, "merges")?;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (token, id) in self.iter() {
            map.serialize_entry(token, &id)?;
        }
        map.end()
    }
}

impl Serialize for MergeList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The library reads one form or the other, not both in a file.
        let as_pairs = self.text.contains(' ');
        let mut seq = serializer.serialize_seq(Some(self.len()))?;
        let mut both = String::new();
        for (left, right) in self.iter() {
            if as_pairs {
                seq.serialize_element(&[left, right])?;
            } else {
                both.clear();
                both.extend([left, " ", right]);
                seq.serialize_element(&both)?;
            }
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_merges() {
        let list: MergeList = serde_json::from_str(r#"["a b", ["c", "d\u0120"], "abc", "a b c", ["", "x"]]"#).unwrap();
        let parts: Vec<(&str, &str)> = list.iter().collect();
        assert_eq!(parts, [("a", "b"), ("c", "dĠ"), ("", ""), ("", ""), ("", "x")]);
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"["a b","c dĠ"," "," "," x"]"#);
        for wrong in [r#"[["a"]]"#, r#"[["a", "b", "c"]]"#, "[1]", "[null]", "{}", r#"["a b""#, r#"["\ud800 b"]"#] {
            assert!(serde_json::from_str::<MergeList>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_has_a_limit() {
        assert!(room::<serde_json::Error>(MAX_ID as usize, "tokens").is_ok());
        let error = room::<serde_json::Error>(MAX_ID as usize + 1, "tokens").unwrap_err().to_string();
        assert!(error.contains("more than 16777216 tokens"), "{error}");
    }

    #[test]
    fn entries_keep_their_order_and_those_that_are_there_twice() {
        let entries: Entries = serde_json::from_str(r#"{"b": 1, "a\n": 0, "b": 7}"#).unwrap();
        assert_eq!(entries.iter().collect::<Vec<_>>(), [("b", 1), ("a\n", 0), ("b", 7)]);
        assert_eq!(serde_json::to_string(&entries).unwrap(), r#"{"b":1,"a\n":0,"b":7}"#);
        for wrong in [r#"{"a": -1}"#, r#"{"a": "1"}"#, r#"{"a": 1.5}"#, r#"["a"]"#, r#"{"\udc00": 1}"#] {
            assert!(serde_json::from_str::<Entries>(wrong).is_err(), "{wrong}");
        }
    }
}
