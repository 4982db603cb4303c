//! Merges that start from characters, as in the vocabularies that sentencepiece learns.
//!
//! A whole text may be one pre-token there. It is cut at the edges between two characters that no token spans
//! (`cuts.rs`); with `▁` for spaces this is nearly every beginning of a word. What stands between is looked up in the
//! memo, or merged. The proof there holds for characters as it does for bytes, under two conditions that are looked
//! after here: tokens for bytes and for unknown characters take part in no merge, and a pre-token that holds an unknown
//! character is not cut, as such a token may stand for a run of them.
//!
//! Reference: `BPE::merge_word` of Hugging Face's `tokenizers`.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};

use super::cuts::{Cuts, Side};
use super::memo::{SHORT, of_few, set_of, short_key};
use super::pairs::Pairs;
use super::tokenizer::Scratch;
use crate::error::Result;
use crate::vocab::{CharacterUnits, Decoder, TokenId, TokenizerSpec, byte_tokens};

const NONE: TokenId = TokenId::MAX;
/// How many characters the table holds.
const PLANE: usize = 1 << 16;

/// How characters become tokens.
#[derive(Debug)]
pub(super) struct CharacterModel {
    /// Of each character of the basic plane: its token, and its marks for [`Cuts`].
    plane: Box<[[u32; 2]]>,
    beyond: FxHashMap<char, TokenId>,
    /// The tokens of bytes, if a character may be written so.
    bytes: Option<[Option<TokenId>; 256]>,
    /// Whether every character comes to tokens without the unknown one.
    covers_all: bool,
    unknown: Option<TokenId>,
    fuse_unknown: bool,
    cuts: Option<Cuts>,
    decoder: Decoder,
    /// What the tokens stand for, by id, where they are not first.
    texts: Vec<Box<[u8]>>,
    /// What those tokens stand for at the beginning that stand for something else there.
    firsts: FxHashMap<TokenId, Vec<u8>>,
}

impl CharacterModel {
    /// `added` gives the text of an added token.
    pub(super) fn new(
        spec: &TokenizerSpec,
        units: &CharacterUnits,
        added: impl Fn(TokenId) -> Result<Option<String>>,
    ) -> Result<Self> {
        let mut plane = vec![[NONE, 0]; PLANE].into_boxed_slice();
        let mut beyond = FxHashMap::default();
        for (id, bytes) in spec.vocab().iter() {
            if let Some(c) = only_character(bytes) {
                match plane.get_mut(c as usize) {
                    Some(entry) => entry[0] = id,
                    None => drop(beyond.insert(c, id)),
                }
            }
        }
        let of_bytes = byte_tokens(spec.vocab());
        let apart: FxHashSet<TokenId> = of_bytes.iter().flatten().copied().chain(units.unknown()).collect();
        let merged = |id| apart.contains(&id);
        let cuts = if spec.merges().as_slice().iter().any(|merge| merged(merge.left) || merged(merge.right)) {
            None
        } else {
            let made = spec.merges().as_slice().iter().filter_map(|merge| spec.vocab().token(merge.result));
            let (cuts, marks) = Cuts::new(made);
            for (entry, marks) in plane.iter_mut().zip(marks) {
                entry[1] = marks;
            }
            Some(cuts)
        };
        let mut texts = Vec::with_capacity(spec.vocab_size() as usize);
        let mut firsts = FxHashMap::default();
        for id in 0..spec.vocab_size() {
            let token = match added(id)? {
                Some(content) => content,
                None => String::from_utf8_lossy(spec.vocab().token(id).unwrap_or_default()).into_owned(),
            };
            let [text, first] = [false, true].map(|is_first| units.decoder().piece(&token, is_first));
            if first != text {
                firsts.insert(id, first);
            }
            texts.push(text.into_boxed_slice());
        }
        let covers_all = units.byte_fallback() && !of_bytes.contains(&None);
        Ok(Self {
            plane,
            beyond,
            bytes: units.byte_fallback().then_some(of_bytes),
            covers_all,
            unknown: units.unknown(),
            fuse_unknown: units.fuses_unknown(),
            cuts,
            decoder: units.decoder().clone(),
            texts,
            firsts,
        })
    }

    /// What a token stands for, where it is not the first of a text.
    pub(super) fn text(&self, id: TokenId) -> Option<&[u8]> {
        self.texts.get(id as usize).map(|text| &**text)
    }

    /// Mends the ends of a whole decoded text, whose first token is `first`.
    pub(super) fn finish(&self, first: TokenId, text: &mut Vec<u8>) {
        self.begin(first, text);
        self.decoder.strip_end(text);
    }

    /// Mends the beginning alone.
    pub(super) fn begin(&self, first: TokenId, text: &mut Vec<u8>) {
        if let (Some(other), Some(same)) = (self.firsts.get(&first), self.text(first)) {
            text.splice(..same.len(), other.iter().copied());
        }
        self.decoder.strip_start(text);
    }

    fn token(&self, c: char) -> Option<TokenId> {
        match self.plane.get(c as usize) {
            Some([id, _]) => (*id != NONE).then_some(*id),
            None => self.beyond.get(&c).copied(),
        }
    }

    /// The tokens of the bytes of a character, if all have one.
    fn fallback(&self, c: char) -> Option<impl Iterator<Item = TokenId>> {
        let tokens = self.bytes.as_ref()?;
        let (mut ids, length) = ([0; 4], c.len_utf8());
        for (id, byte) in ids.iter_mut().zip(c.encode_utf8(&mut [0; 4]).bytes()) {
            *id = tokens[usize::from(byte)]?;
        }
        Some(ids.into_iter().take(length))
    }

    /// Calls `each` with the tokens that merges start from, and the place in the text of each. The token of unknown
    /// characters is told when the next known one comes; bytes go before it, as in the reference.
    pub(super) fn units(&self, text: &str, mut each: impl FnMut(TokenId, Range<usize>)) {
        // The unknown characters that are not told, from the first of them to the last.
        let mut unknown: Option<Range<usize>> = None;
        for (at, c) in text.char_indices() {
            let place = at..at + c.len_utf8();
            if let Some(id) = self.token(c) {
                self.tell_unknown(unknown.take(), &mut each);
                each(id, place);
            } else if let Some(ids) = self.fallback(c) {
                (at..).zip(ids).for_each(|(at, id)| each(id, at..at + 1));
            } else if let Some(run) = unknown.as_mut().filter(|_| self.fuse_unknown) {
                run.end = place.end;
            } else {
                self.tell_unknown(unknown.replace(place), &mut each);
            }
        }
        self.tell_unknown(unknown, &mut each);
    }

    /// Those tokens, and their places.
    pub(super) fn placed_units(&self, text: &str) -> (Vec<TokenId>, Vec<Range<usize>>) {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        self.units(text, |id, place| {
            ids.push(id);
            places.push(place);
        });
        (ids, places)
    }

    fn tell_unknown(&self, run: Option<Range<usize>>, each: &mut impl FnMut(TokenId, Range<usize>)) {
        if let (Some(id), Some(run)) = (self.unknown, run) {
            each(id, run);
        }
    }

    /// Appends the tokens of bytes that are no text, each by itself: those of bytes, or the unknown one.
    pub(super) fn bytes(&self, bytes: &[u8], ids: &mut Vec<TokenId>) {
        let id = |byte: &u8| self.bytes.as_ref().and_then(|tokens| tokens[usize::from(*byte)]).or(self.unknown);
        ids.extend(bytes.iter().filter_map(id));
    }

    /// Appends the ids of a pre-token.
    pub(super) fn encode(&self, pairs: &Pairs, scratch: &mut Scratch, text: &str, ids: &mut Vec<TokenId>) {
        self.parts(text, |part| self.part(pairs, scratch, &text[part], ids));
    }

    /// Calls `each` with the parts of a pre-token that may be merged by themselves, none of them empty.
    pub(super) fn parts(&self, text: &str, mut each: impl FnMut(Range<usize>)) {
        let is_unknown = |c| self.token(c).is_none() && self.fallback(c).is_none();
        let cuts = self.cuts.as_ref().filter(|_| self.covers_all || !text.chars().any(is_unknown));
        let Some(cuts) = cuts else {
            return each(0..text.len());
        };
        let (mut start, mut before) = (0, None);
        for (at, c) in text.char_indices() {
            let side = self.side(c);
            if let (Some(before), Some(side)) = (before, side)
                && is_cut(cuts, before, side)
            {
                each(start..at);
                start = at;
            }
            before = side;
        }
        if start < text.len() {
            each(start..text.len());
        }
    }

    /// Whether the edge of two characters of a pre-token is one at which it is cut, whatever else is in it.
    pub(super) fn is_cut_between(&self, a: char, b: char) -> bool {
        let cuts = self.cuts.as_ref().filter(|_| self.covers_all);
        cuts.zip(self.side(a)).zip(self.side(b)).is_some_and(|((cuts, a), b)| is_cut(cuts, a, b))
    }

    fn side(&self, c: char) -> Option<Side> {
        self.plane.get(c as usize).map(|[_, marks]| Side { code: c as u32, marks: *marks })
    }

    /// Appends the ids of a part that is not cut.
    fn part(&self, pairs: &Pairs, scratch: &mut Scratch, part: &str, ids: &mut Vec<TokenId>) {
        let bytes = part.as_bytes();
        if bytes.len() <= SHORT {
            let key = short_key(bytes, 0, bytes.len());
            if let Some(few) = scratch.memo.short(key, set_of(key)) {
                let (few, count) = of_few(few);
                return ids.extend_from_slice(&few[..count]);
            }
        }
        if let Some(known) = scratch.memo.long(bytes, 0..bytes.len()) {
            return ids.extend_from_slice(known);
        }
        let before = ids.len();
        scratch.merger.merge_tokens(pairs, |tokens| self.units(part, |id, _| tokens.push(id)), ids);
        scratch.memo.keep(bytes, 0..bytes.len(), &ids[before..]);
    }
}

/// Whether an edge is one of those that [`Cuts`] answers for, and no token spans it.
fn is_cut(cuts: &Cuts, a: Side, b: Side) -> bool {
    (a.code | b.code) >= 0x80 && !cuts.spanned(a, b)
}

/// The character that a token is, if it is one.
fn only_character(token: &[u8]) -> Option<char> {
    if token.len() > 4 {
        return None;
    }
    let mut characters = std::str::from_utf8(token).ok()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}
