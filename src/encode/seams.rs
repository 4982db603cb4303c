//! Seams of a text that is changed before it is encoded: places where it may be cut in two, whose ids are those of both
//! parts, the second of which goes on from the first.
//!
//! For tokenizers that change nothing these are the safe cuts of the pattern. Others look for added tokens, normalize, and
//! write spaces in another way (`prepare.rs`). A seam is told by the two characters beside the place, a before and b
//! behind, and the one behind b. They are followed through all that is done to a text; at each step the place must stay one
//! at which the step does to the whole what it does to both parts:
//!
//! - *Added tokens*: none holds a and b beside each other, so each stands in one part, and what is found from left to right
//!   in the first part, and then in the second, is what is found in the whole. None ends in a, so what stands behind the
//!   place is the rest of a stretch, or a token. Where tokens take the white space beside them, a is none: it ends what they
//!   take. Where a token wants no word beside it, it does not begin with b, or a is no word.
//! - *Forms of Unicode*: b is a character at which every form begins anew, and so is the one behind it; a is too, so it is
//!   alone, and the form keeps a and b as they are. No mark goes over such a place, and nothing joins b.
//! - *Lowercase* takes character by character. *Replace*: what is replaced does not hold a and b beside each other, and if
//!   it ends in a, or begins with b, it is that character alone.
//! - *Strip*: a is no white space. So the end of the first part keeps it, and the white space that is stripped behind b, if
//!   there is nothing else, ends at a. *Prepend*, stripping the beginning, and a space before a text: these are not done to
//!   what goes on.
//! - *The pattern*: the place is a safe cut of it. For merges of characters it is one at which pre-tokens are cut
//!   (`cuts.rs`), whatever else they hold, if the pattern takes each character by itself.
//!
//! A regular expression in the normalizer, a form of Unicode behind something that is replaced by nothing or by marks, or a
//! pattern without safe cuts, leave no seams: such texts are taken whole.

use std::iter::once;
use std::ops::Range;

use rustc_hash::FxHashSet;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::{IsNormalized, is_nfc_quick, is_nfkc_quick};

use super::normalize::{Form, Step};
use super::prepare::is_word;
use super::tokenizer::Tokenizer;
use crate::vocab::AddedToken;

/// What of the added tokens tells seams.
#[derive(Debug)]
pub(super) struct Seams {
    raw: TokenEdges,
    normalized: TokenEdges,
}

/// The same of the tokens that are looked for at once.
#[derive(Debug, Default)]
struct TokenEdges {
    /// Neighbours inside a token.
    pairs: FxHashSet<(char, char)>,
    lasts: FxHashSet<char>,
    /// Whether one takes white space.
    strips: bool,
    /// First characters of those that want no word beside them.
    first_of_words: FxHashSet<char>,
}

/// A place that is followed.
#[derive(Clone, Copy)]
struct Place {
    a: char,
    b: char,
    /// Whether forms of Unicode begin anew at the character behind b.
    begins_behind: bool,
}

impl Seams {
    /// None for a tokenizer whose texts have no seams.
    pub(super) fn new(tokenizer: &Tokenizer) -> Option<Self> {
        let (spec, preparation) = (tokenizer.spec(), tokenizer.preparation());
        let pattern = tokenizer.segmenter().pattern();
        let may_be_cut = match tokenizer.character_model() {
            Some(_) => pattern.is_by_character() && !spec.whole_pieces(),
            None => pattern.has_safe_cuts(),
        };
        if !may_be_cut || has_none(preparation.normalizer().steps()) {
            return None;
        }
        let mut seams = Self { raw: TokenEdges::default(), normalized: TokenEdges::default() };
        for token in spec.added().iter().filter(|token| !token.special) {
            let edges = if token.normalized { &mut seams.normalized } else { &mut seams.raw };
            edges.add(token, &preparation.content(token).ok()?);
        }
        Some(seams)
    }

    /// The last seam of `text` in the range, which is neither at its start nor at its end.
    pub(super) fn last(&self, tokenizer: &Tokenizer, text: &str, within: Range<usize>) -> Option<usize> {
        // Two more characters are seen behind the last place of the range.
        let end = text.ceil_char_boundary(within.end.min(text.len()));
        let mut next = text[end..].chars().next();
        let mut characters = text[..end].char_indices().rev();
        let (mut at, mut b) = characters.next()?;
        for (before, a) in characters {
            if at < within.start {
                return None;
            }
            if self.is_seam(tokenizer, a, b, next) {
                return Some(at);
            }
            (next, at, b) = (Some(b), before, a);
        }
        None
    }

    fn is_seam(&self, tokenizer: &Tokenizer, a: char, b: char, next: Option<char>) -> bool {
        let preparation = tokenizer.preparation();
        let place = Place { a, b, begins_behind: next.is_some_and(begins) };
        let through = || {
            let place = self.raw.kept(place)?;
            let place = preparation.normalizer().steps().iter().try_fold(place, through_step)?;
            self.normalized.kept(place)
        };
        let Some(Place { a, b, .. }) = through() else { return false };
        let [a, b] = [a, b].map(|c| preparation.spaced_character(c));
        match tokenizer.character_model() {
            Some(model) => model.is_cut_between(a, b),
            None => tokenizer.segmenter().pattern().is_safe_between(a, b),
        }
    }
}

impl TokenEdges {
    fn add(&mut self, token: &AddedToken, content: &str) {
        self.pairs.extend(content.chars().zip(content.chars().skip(1)));
        self.lasts.extend(content.chars().next_back());
        self.strips |= token.lstrip || token.rstrip;
        self.first_of_words.extend(content.chars().next().filter(|_| token.single_word));
    }

    fn kept(&self, place: Place) -> Option<Place> {
        let Place { a, b, .. } = place;
        let is_touched = self.lasts.contains(&a)
            || self.pairs.contains(&(a, b))
            || self.strips && a.is_whitespace()
            || self.first_of_words.contains(&b) && is_word(a);
        (!is_touched).then_some(place)
    }
}

/// Whether a normalizer leaves no seams.
fn has_none(steps: &[Step]) -> bool {
    let is_by_match = |step: &Step| matches!(step, Step::ReplaceMatches { .. });
    // Behind such a step nothing is known of the character behind b.
    let hides = |step: &Step| matches!(step, Step::Replace { to, .. } if to.is_empty() || !to.chars().all(begins));
    let forms_behind = steps.iter().skip_while(|step| !hides(step)).any(|step| matches!(step, Step::Form(_)));
    steps.iter().any(is_by_match) || forms_behind
}

/// The place behind a step, if it stays one.
fn through_step(place: Place, step: &Step) -> Option<Place> {
    let Place { a, b, begins_behind } = place;
    match step {
        Step::Form(form) => {
            (begins(a) && begins(b) && begins_behind && keeps(*form, a) && keeps(*form, b)).then_some(place)
        }
        Step::Lowercase => Some(Place { a: lowered(a)?, b: lowered(b)?, begins_behind }),
        Step::Strip { .. } => (!a.is_whitespace()).then_some(place),
        Step::Prepend(_) => Some(place),
        Step::Replace { from, to } => {
            if from.chars().zip(from.chars().skip(1)).any(|pair| pair == (a, b)) {
                return None;
            }
            let replaced = |c: char, touches: bool, by: Option<char>| match (touches, only(from) == Some(c)) {
                (false, _) => Some(c),
                (true, true) => by,
                (true, false) => None,
            };
            let a = replaced(a, from.ends_with(a), to.chars().next_back())?;
            let b = replaced(b, from.starts_with(b), to.chars().next())?;
            Some(Place { a, b, begins_behind })
        }
        Step::ReplaceMatches { .. } => None,
    }
}

/// Whether every form of Unicode begins anew at a character: it is no mark, and is joined to nothing before it.
fn begins(c: char) -> bool {
    let is_yes = |quick| quick == IsNormalized::Yes;
    c.is_ascii() || canonical_combining_class(c) == 0 && is_yes(is_nfc_quick(once(c))) && is_yes(is_nfkc_quick(once(c)))
}

fn keeps(form: Form, c: char) -> bool {
    c.is_ascii() || *form.run(c.encode_utf8(&mut [0; 4])) == *c.encode_utf8(&mut [0; 4])
}

fn lowered(c: char) -> Option<char> {
    let mut lower = c.to_lowercase();
    lower.next().filter(|_| lower.next().is_none())
}

/// The character that a text is, if it is one.
fn only(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::super::encoder::Encoder;
    use super::super::testing::{TEXT_TO_CHANGE, changing};
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;
    use unicode_normalization::UnicodeNormalization;

    static TOKENIZERS: LazyLock<Vec<Tokenizer>> = LazyLock::new(changing);

    /// The seams of a text, found one by one.
    fn all_seams(tokenizer: &Tokenizer, text: &str) -> Vec<usize> {
        let places = text.char_indices().map(|(at, c)| at..at + c.len_utf8());
        places.filter_map(|place| tokenizer.last_seam(text, place.clone()).filter(|at| *at == place.start)).collect()
    }

    /// The definition, at every seam of a text. Gives how many there are.
    fn check(tokenizer: &Tokenizer, text: &str) -> usize {
        let whole = tokenizer.encode(text).unwrap();
        let mut encoder = Encoder::new(tokenizer);
        let seams = all_seams(tokenizer, text);
        for seam in &seams {
            let mut ids = Vec::new();
            encoder.encode_rest_into(&text[..*seam], false, &mut ids).unwrap();
            encoder.encode_rest_into(&text[*seam..], true, &mut ids).unwrap();
            let parts = (&text[..*seam], &text[*seam..]);
            assert_eq!(ids, whole, "{parts:?} {}", tokenizer.spec().to_json());
        }
        seams.len()
    }

    /// A text of several scripts has seams in each of these tokenizers, also where a marked letter stands by.
    #[test]
    fn there_are_seams() {
        let text = "some words, 一些词。e\u{301} Слово, й; 가나다 (x)\n";
        let cut = TOKENIZERS.iter().filter(|tokenizer| tokenizer.has_seams());
        assert_eq!(cut.clone().count(), TOKENIZERS.len() - 5);
        for tokenizer in cut {
            assert!(check(tokenizer, text) > 1, "{}", tokenizer.spec().to_json());
        }
        assert!(TOKENIZERS.iter().all(Tokenizer::changes_text));
    }

    /// `begins` is kept by the forms and by lowercase, so that it needs to be asked for the text as it was alone.
    #[test]
    fn characters_that_begin_become_such_ones() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32).filter(|c| begins(*c)) {
            let text = c.to_string();
            assert!(
                [text.nfc().next(), text.nfd().next(), text.nfkc().next(), text.nfkd().next()]
                    .iter()
                    .flatten()
                    .all(|c| begins(*c)),
                "{c:?}"
            );
            assert!(c.to_lowercase().next().is_some_and(begins), "{c:?}");
        }
        // What comes of such a character and marks behind it.
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let text = c.to_string();
            let first = text.nfd().next().unwrap();
            assert!(!(text.nfc().eq(text.chars()) && begins(first)) || begins(c), "{c:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn both_parts_are_the_whole(text in prop_oneof![3 => TEXT_TO_CHANGE, 1 => crate::segment::hostile()]) {
            for tokenizer in &*TOKENIZERS {
                check(tokenizer, &text);
            }
        }
    }
}
