//! From a text to the parts that the merges see: added tokens are found, the rest is normalized, and spaces are written
//! as the vocabulary has them.
//!
//! Reference: `AddedVocabulary::extract_and_normalize` of Hugging Face's `tokenizers`. Tokens that are not looked for in
//! the normalized text are found first; each stretch between them is normalized by itself, and the other tokens are found
//! in that. A stretch that is left is a text of its own to the pre-tokenizer.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use rustc_hash::FxHashSet;

use super::aligned::{Aligned, Places};
use super::normalize::Normalizer;
use crate::error::{Error, Result};
use crate::segment::{Metaspace, Prepend, metaspace_of};
use crate::vocab::{AddedToken, TokenId, TokenizerSpec};

/// A part of a text.
pub(super) enum Part<'t> {
    /// For the pattern and the merges.
    Text(&'t str),
    /// An added token.
    Token(TokenId),
}

/// A part of a text, and where it stands there.
pub(super) enum PlacedPart<'p> {
    /// For the pattern and the merges.
    Text(&'p str, Places<'p>),
    /// An added token.
    Token(TokenId, Range<usize>),
}

/// What takes a text apart.
#[derive(Debug)]
pub(super) struct Preparation {
    normalizer: Normalizer,
    spaces: Spaces,
    /// Those tokens that stand for themselves without being allowed.
    always: Finders,
    /// All tokens.
    all: OnceLock<Finders>,
    /// The names of the special tokens.
    special: FxHashSet<Box<str>>,
}

/// What is done about spaces before the pattern cuts.
#[derive(Debug)]
enum Spaces {
    Nothing,
    /// A text that begins with none gets one.
    Prefix,
    Metaspace(Metaspace),
}

impl Preparation {
    /// # Errors
    ///
    /// [`Error::Pattern`] for a normalizer that does not compile, [`Error::Limit`] for too many tokens.
    pub(super) fn new(spec: &TokenizerSpec) -> Result<Self> {
        let normalizer = Normalizer::new(spec.normalizer())?;
        let spaces = match metaspace_of(spec.pattern()) {
            Some((metaspace, _)) => Spaces::Metaspace(metaspace),
            None if spec.prefix_space() => Spaces::Prefix,
            None => Spaces::Nothing,
        };
        let always = Finders::new(spec.added().iter().filter(|token| !token.special), &normalizer)?;
        let special = spec.special().iter().map(|(_, name)| name.into()).collect();
        Ok(Self { normalizer, spaces, always, all: OnceLock::new(), special })
    }

    /// Whether a text without special tokens is one part, as it is.
    pub(super) fn is_none(&self) -> bool {
        self.keeps_text() && self.always.is_empty()
    }

    /// Whether each part of a text is a piece of it, byte for byte.
    fn keeps_text(&self) -> bool {
        self.normalizer.is_empty() && matches!(self.spaces, Spaces::Nothing)
    }

    pub(super) fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// A character of a normalized text as the pattern sees it.
    pub(super) fn spaced_character(&self, c: char) -> char {
        match self.spaces {
            Spaces::Metaspace(Metaspace { replacement, .. }) if c == ' ' => replacement,
            _ => c,
        }
    }

    /// What finds the tokens that are always there.
    pub(super) fn always(&self) -> &Finders {
        &self.always
    }

    /// What finds those, and the special tokens that are `allowed`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownSpecial`] for a name that is none of them, [`Error::Limit`] for too many tokens.
    pub(super) fn allowing(&self, spec: &TokenizerSpec, allowed: &[&str]) -> Result<Cow<'_, Finders>> {
        if let Some(name) = allowed.iter().find(|name| !self.special.contains(**name)) {
            let known = spec.special().iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownSpecial { name: (*name).to_owned(), known });
        }
        let allowed: FxHashSet<&str> = allowed.iter().copied().collect();
        if allowed.is_empty() {
            return Ok(Cow::Borrowed(&self.always));
        }
        let find = || {
            let wanted = |token: &&AddedToken| !token.special || allowed.contains(token.content.as_str());
            Finders::new(spec.added().iter().filter(wanted), &self.normalizer)
        };
        if allowed.len() < self.special.len() {
            return find().map(Cow::Owned);
        }
        // All are, which is what is asked for most.
        if let Some(all) = self.all.get() {
            return Ok(Cow::Borrowed(all));
        }
        let all = find()?;
        Ok(Cow::Borrowed(self.all.get_or_init(|| all)))
    }

    /// The text of an added token as it is looked for.
    ///
    /// # Errors
    ///
    /// Those of the normalizer.
    pub(super) fn content(&self, token: &AddedToken) -> Result<String> {
        content(token, &self.normalizer)
    }

    /// Calls `each` with the parts of a text, none of them empty. `goes_on` says that the text is the rest of another, cut
    /// at a seam (`seams.rs`): what is done to the beginning of a text, or of a stretch, is not done to its own.
    ///
    /// # Errors
    ///
    /// Those of `each`, and [`Error::PatternLimit`] when a pattern of the normalizer gives up.
    pub(super) fn parts(
        &self,
        finders: &Finders,
        text: &str,
        goes_on: bool,
        each: &mut impl FnMut(Part<'_>) -> Result<()>,
    ) -> Result<()> {
        split(finders.raw.as_ref(), text, &mut |range, id| {
            if let Some(id) = id {
                return each(Part::Token(id));
            }
            let (is_first, goes_on) = (range.start == 0 && !goes_on, range.start == 0 && goes_on);
            let normalized = self.normalizer.run(&text[range], goes_on)?;
            split(finders.normalized.as_ref(), &normalized, &mut |range, id| match id {
                Some(id) => each(Part::Token(id)),
                None => {
                    let (is_first, goes_on) = (is_first && range.start == 0, goes_on && range.start == 0);
                    each(Part::Text(&self.spaced(&normalized[range], is_first, goes_on)))
                }
            })
        })
    }

    /// As [`Preparation::parts`], with where each part stands.
    ///
    /// # Errors
    ///
    /// Those of [`Preparation::parts`], and [`Error::Limit`] for 4 GiB or more of text that is changed.
    pub(super) fn placed_parts(
        &self,
        finders: &Finders,
        text: &str,
        each: &mut impl FnMut(PlacedPart<'_>) -> Result<()>,
    ) -> Result<()> {
        split(finders.raw.as_ref(), text, &mut |range, id| match id {
            Some(id) => each(PlacedPart::Token(id, range)),
            None if self.keeps_text() => kept_parts(finders, text, range, each),
            None => self.changed_parts(finders, text, range, each),
        })
    }

    /// The parts of `text[outer]`, which is normalized first.
    fn changed_parts(
        &self,
        finders: &Finders,
        text: &str,
        outer: Range<usize>,
        each: &mut impl FnMut(PlacedPart<'_>) -> Result<()>,
    ) -> Result<()> {
        let normalized = self.normalizer.run_aligned(&text[outer.clone()])?;
        split(finders.normalized.as_ref(), normalized.text(), &mut |inner, id| match id {
            Some(id) => each(PlacedPart::Token(id, normalized.places(outer.start).of(inner))),
            None => {
                let is_first = outer.start == 0 && inner.start == 0;
                let mut part = normalized.slice(inner);
                self.space(&mut part, is_first);
                each(PlacedPart::Text(part.text(), part.places(outer.start)))
            }
        })
    }

    /// A text with its spaces as the vocabulary has them; `is_first` of all, or the rest of one that began before.
    fn spaced<'t>(&self, text: &'t str, is_first: bool, goes_on: bool) -> Cow<'t, str> {
        match self.spaces {
            Spaces::Nothing => text.into(),
            Spaces::Prefix if goes_on || text.starts_with(' ') => text.into(),
            Spaces::Prefix => [" ", text].concat().into(),
            Spaces::Metaspace(Metaspace { replacement, prepend }) => {
                let mut written = String::with_capacity(text.len() + 4);
                let wanted = prepend == Prepend::Always || prepend == Prepend::First && is_first;
                if wanted && !goes_on && !text.starts_with([' ', replacement]) {
                    written.push(replacement);
                }
                written.extend(text.chars().map(|c| if c == ' ' { replacement } else { c }));
                written.into()
            }
        }
    }

    /// The same for a text with places.
    fn space(&self, text: &mut Aligned, is_first: bool) {
        match self.spaces {
            Spaces::Prefix if !text.text().starts_with(' ') => text.prepend(" "),
            Spaces::Nothing | Spaces::Prefix => {}
            Spaces::Metaspace(Metaspace { replacement, prepend }) => {
                text.substitute(' ', replacement);
                let wanted = prepend == Prepend::Always || prepend == Prepend::First && is_first;
                if wanted && !text.text().starts_with(replacement) {
                    text.prepend(replacement.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }
}

/// The parts of `text[outer]`, which stays as it is.
fn kept_parts(
    finders: &Finders,
    text: &str,
    outer: Range<usize>,
    each: &mut impl FnMut(PlacedPart<'_>) -> Result<()>,
) -> Result<()> {
    split(finders.normalized.as_ref(), &text[outer.clone()], &mut |inner, id| {
        let range = outer.start + inner.start..outer.start + inner.end;
        match id {
            Some(id) => each(PlacedPart::Token(id, range)),
            None => each(PlacedPart::Text(&text[range.clone()], Places::same(range.start))),
        }
    })
}

/// What finds added tokens in a text as it is, and in a normalized one.
#[derive(Debug, Clone, Default)]
pub(super) struct Finders {
    raw: Option<Finder>,
    normalized: Option<Finder>,
}

#[derive(Debug, Clone)]
struct Finder {
    automaton: AhoCorasick,
    tokens: Vec<AddedToken>,
}

/// The longest normalized form of a token, in bytes, so that many tokens of a file do not become many times as much.
const LONGEST: usize = 1 << 12;

fn content(token: &AddedToken, normalizer: &Normalizer) -> Result<String> {
    if !token.normalized {
        return Ok(token.content.clone());
    }
    let content = normalizer.run(&token.content, false)?;
    let (bytes, max) = (content.len(), LONGEST.max(token.content.len()));
    if bytes > max {
        let what = "the normalized text of an added token, in bytes,";
        return Err(Error::Limit { what, value: bytes as u64, max: max as u64 });
    }
    Ok(content.into_owned())
}

impl Finders {
    fn new<'a>(tokens: impl Iterator<Item = &'a AddedToken>, normalizer: &Normalizer) -> Result<Self> {
        let (normalized, raw): (Vec<_>, Vec<_>) = tokens.cloned().partition(|token| token.normalized);
        Ok(Self { raw: Finder::new(raw, normalizer)?, normalized: Finder::new(normalized, normalizer)? })
    }

    fn is_empty(&self) -> bool {
        self.raw.is_none() && self.normalized.is_none()
    }
}

impl Finder {
    fn new(mut tokens: Vec<AddedToken>, normalizer: &Normalizer) -> Result<Option<Self>> {
        let mut contents = tokens.iter().map(|token| content(token, normalizer)).collect::<Result<Vec<_>>>()?;
        // A normalizer may leave nothing of a token, which then stands nowhere.
        let mut kept = contents.iter().map(|content| !content.is_empty());
        tokens.retain(|_| kept.next().unwrap_or_default());
        contents.retain(|content| !content.is_empty());
        if tokens.is_empty() {
            return Ok(None);
        }
        // Names that contain each other: the longest counts, as in tiktoken and HF.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(contents);
        let automaton = automaton.map_err(|_| Error::Limit {
            what: "the number of added tokens",
            value: tokens.len() as u64,
            max: u64::from(u32::MAX),
        })?;
        Ok(Some(Self { automaton, tokens }))
    }
}

/// Calls `each` with the parts of a text, none of them empty but tokens: where each is, and which token, if it is one.
fn split(
    finder: Option<&Finder>,
    text: &str,
    each: &mut impl FnMut(Range<usize>, Option<TokenId>) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    for found in finder.iter().flat_map(|finder| finder.automaton.find_iter(text).map(move |found| (*finder, found))) {
        let (finder, found) = found;
        let token = &finder.tokens[found.pattern().as_usize()];
        let (mut start, mut end) = (found.start(), found.end());
        if token.single_word && (ends_with_word(&text[..start]) || starts_with_word(&text[end..])) {
            continue;
        }
        if token.lstrip {
            // White space that the token before has taken is gone.
            start = text[..start].trim_end().len().max(done);
        }
        if token.rstrip {
            end = text.len() - text[end..].trim_start().len();
        }
        if done < start {
            each(done..start, None)?;
        }
        // A token in white space that the one before has taken, and would take it too, is gone with it. (The reference
        // panics where more of it is gone than the token.)
        if start > end {
            continue;
        }
        if start < end {
            each(start..end, Some(token.id))?;
        }
        done = end;
    }
    if done < text.len() {
        each(done..text.len(), None)?;
    }
    Ok(())
}

pub(super) fn is_word(c: char) -> bool {
    regex_syntax::try_is_word_character(c).unwrap_or_default()
}

fn ends_with_word(text: &str) -> bool {
    text.chars().next_back().is_some_and(is_word)
}

fn starts_with_word(text: &str) -> bool {
    text.chars().next().is_some_and(is_word)
}
