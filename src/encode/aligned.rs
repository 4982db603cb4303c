//! A text that a tokenizer changes, with the place that each of its bytes has in the text that was given.
//!
//! What stands in place of a character has that character's place; what is added has the place of what stands before it;
//! what is taken out is in no place. A byte of a character that stays has its own place, so that offsets are as exact as
//! for a text that is not changed.
//!
//! Reference: `NormalizedString` of Hugging Face's `tokenizers`, where each byte has the place of its whole character:
//! [`whole_characters`](super::whole_characters) makes the same of these. So of `e` and an acute accent that became `é`
//! only the `e` is its place, and of three spaces that became one only the last, as there. Tests compare with it.
//!
//! Eight bytes of places for each byte of text: this is the way of who asks for offsets. Ids alone are made without
//! (`normalize.rs`), and that the texts are the same is tested.

use std::ops::Range;
use std::str::CharIndices;

use crate::error::{Error, Result};

/// The place of a byte: first and one past the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// Before the first byte.
    const NOWHERE: Self = Self { start: 0, end: 0 };
}

/// A text and the places of its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Aligned {
    text: String,
    places: Vec<Place>,
}

impl Aligned {
    /// A text as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] for 4 GiB or more.
    pub(super) fn new(text: &str) -> Result<Self> {
        let Ok(length) = u32::try_from(text.len()) else {
            let what = "the text that a tokenizer changes, in bytes, where offsets are asked for,";
            return Err(Error::Limit { what, value: text.len() as u64, max: u64::from(u32::MAX) });
        };
        let places = (0..length).map(|at| Place { start: at, end: at + 1 }).collect();
        Ok(Self { text: text.to_owned(), places })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The places in a longer text, in which this one began at `start`.
    pub(super) fn places(&self, start: usize) -> Places<'_> {
        Places { start, changed: Some(&self.places) }
    }

    /// A part of the text.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        Self { text: self.text[range.clone()].to_owned(), places: self.places[range].to_vec() }
    }

    /// The place of some bytes.
    fn place(&self, range: Range<usize>) -> Place {
        match self.places.get(range) {
            Some([first, .., last]) => Place { start: first.start, end: last.end },
            Some([only]) => *only,
            _ => Place::NOWHERE,
        }
    }

    /// The place of the character before a byte.
    fn before(&self, end: usize) -> Place {
        self.text[..end].chars().next_back().map_or(Place::NOWHERE, |c| self.place(end - c.len_utf8()..end))
    }

    fn push(&mut self, c: char, place: Place) {
        self.text.push(c);
        self.places.resize(self.text.len(), place);
    }

    fn push_str(&mut self, text: &str, place: Place) {
        self.text.push_str(text);
        self.places.resize(self.text.len(), place);
    }

    fn push_from(&mut self, other: &Self, range: Range<usize>) {
        self.text.push_str(&other.text[range.clone()]);
        self.places.extend_from_slice(&other.places[range]);
    }

    /// Puts something before a text that is not empty: it has the place of the first character.
    pub(super) fn prepend(&mut self, before: &str) {
        let Some(first) = self.text.chars().next() else { return };
        let place = self.place(0..first.len_utf8());
        self.text.insert_str(0, before);
        self.places.splice(..0, std::iter::repeat_n(place, before.len()));
    }

    /// Puts one character in place of another, wherever it stands.
    pub(super) fn substitute(&mut self, from: char, to: char) {
        let old = std::mem::take(self);
        let mut transform = Transform::new(&old);
        old.text.chars().for_each(|c| transform.push(if c == from { to } else { c }, 0));
        *self = transform.done;
    }
}

/// Where the bytes of a part of a text stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    start: usize,
    /// For a part that was changed.
    changed: Option<&'a [Place]>,
}

impl Places<'_> {
    /// Those of a part as it is, which begins at `start`.
    pub(super) fn same(start: usize) -> Self {
        Self { start, changed: None }
    }

    /// The place of some bytes of the part.
    pub(super) fn of(&self, range: Range<usize>) -> Range<usize> {
        let Some(places) = self.changed else {
            // Of a token made of bytes and of an unknown character before them, which stands behind them, the end may
            // come first.
            return self.start + range.start..self.start + range.end.max(range.start);
        };
        let place = |at: Option<usize>| at.and_then(|at| places.get(at)).copied().unwrap_or(Place::NOWHERE);
        let (first, last) = (place(Some(range.start)), place(range.end.checked_sub(1)));
        self.start + first.start as usize..self.start + (last.end as usize).max(first.start as usize)
    }
}

/// A text that becomes another, character by character.
pub(super) struct Transform<'a> {
    old: &'a Aligned,
    /// What is left of the old text, and what was taken of it last.
    rest: CharIndices<'a>,
    taken: Range<usize>,
    done: Aligned,
}

impl<'a> Transform<'a> {
    pub(super) fn new(old: &'a Aligned) -> Self {
        Self { old, rest: old.text.char_indices(), taken: 0..0, done: Aligned::default() }
    }

    /// The next character of the new text: one more for 1, in place of the next of the old one for 0, and with the n
    /// behind that for -n.
    pub(super) fn push(&mut self, c: char, change: i32) {
        if change <= 0 {
            let replaced = self.take();
            if replaced == Some(c) {
                self.done.push_from(self.old, self.taken.clone());
            } else {
                self.done.push(c, self.old.place(self.taken.clone()));
            }
            for _ in 0..-change {
                self.take();
            }
        } else {
            self.done.push(c, self.old.place(self.taken.clone()));
        }
    }

    fn take(&mut self) -> Option<char> {
        let (at, c) = self.rest.next()?;
        self.taken = at..at + c.len_utf8();
        Some(c)
    }

    pub(super) fn finish(self) -> Aligned {
        self.done
    }
}

/// A text of which some is replaced.
pub(super) struct Replaced<'a> {
    old: &'a Aligned,
    to: &'a str,
    limit: usize,
    until: usize,
    done: Aligned,
}

impl<'a> Replaced<'a> {
    pub(super) fn new(old: &'a Aligned, to: &'a str, limit: usize) -> Self {
        Self { old, to, limit, until: 0, done: Aligned::default() }
    }

    /// What is replaced next. A text of more than `limit` bytes ends before it is whole.
    pub(super) fn found(&mut self, start: usize, end: usize) {
        if self.done.text.len() <= self.limit {
            self.done.push_from(self.old, self.until..start);
            self.done.push_str(self.to, self.old.before(end));
        }
        self.until = end;
    }

    pub(super) fn finish(mut self) -> Aligned {
        self.done.push_from(self.old, self.until..self.old.text.len());
        self.done
    }
}
