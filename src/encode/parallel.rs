//! Texts on all threads: many of them, and parts of long ones.

#[cfg(feature = "pipeline")]
use std::ops::Range;

use rayon::prelude::*;

use super::encoder::Encoder;
use super::parts::Parts;
use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::vocab::TokenId;

/// Bytes of a part of a long text: long enough that a thread's memo is worth its while, short enough to share out.
const SIZE: usize = 1 << 20;

impl Tokenizer {
    /// The ids of `text`, as [`Tokenizer::encode`] gives them, on all threads. The text is cut where its pattern allows
    /// it ([`Pattern::safe_cut`](crate::segment::Pattern::safe_cut)), and what changes it before (`encode/seams.rs`); one
    /// without such places, or a text of less than some megabytes, is encoded by one thread.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_parallel(&self, text: &str) -> Result<Vec<TokenId>> {
        self.encode_parallel_by(text, false, SIZE)
    }

    /// Parts of a text of about so many bytes, which [`Encoder::encode_rest_into`] gives the ids of the whole for, as
    /// [`Tokenizer::encode_parallel`] does. A text of up to one and a half times as many, or without places to cut, is one.
    #[cfg(feature = "pipeline")]
    pub(crate) fn parts<'t>(&'t self, text: &'t str, size: usize) -> impl Iterator<Item = Range<usize>> + 't {
        Parts::of_size(self, text, size).map(|(start, part)| start..start + part.len())
    }

    /// The same for a text that goes on from a seam or does not.
    pub(super) fn encode_rest_parallel(&self, text: &str, goes_on: bool) -> Result<Vec<TokenId>> {
        self.encode_parallel_by(text, goes_on, SIZE)
    }

    fn encode_parallel_by(&self, text: &str, goes_on: bool, size: usize) -> Result<Vec<TokenId>> {
        let parts: Vec<(usize, &str)> = Parts::of_size(self, text, size).collect();
        Ok(joined(self.encode_parts(&parts, goes_on).into_iter().collect::<Result<_>>()?))
    }

    /// The ids of each text, on all threads; long texts are shared between them, as by [`Tokenizer::encode_parallel`].
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`]; the first in the order of the texts.
    pub fn encode_batch<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<TokenId>>> {
        self.encode_batch_by(texts, SIZE)
    }

    fn encode_batch_by<T: AsRef<str> + Sync>(&self, texts: &[T], size: usize) -> Result<Vec<Vec<TokenId>>> {
        let (mut parts, mut counts) = (Vec::with_capacity(texts.len()), Vec::with_capacity(texts.len()));
        for text in texts {
            let before = parts.len();
            parts.extend(Parts::of_size(self, text.as_ref(), size));
            counts.push(parts.len() - before);
        }
        let mut encoded = self.encode_parts(&parts, false).into_iter();
        let of_text = |count| encoded.by_ref().take(count).collect::<Result<_>>().map(joined);
        counts.into_iter().map(of_text).collect()
    }

    /// The ids of parts, which begin at these places of their texts; these may go on.
    fn encode_parts(&self, parts: &[(usize, &str)], goes_on: bool) -> Vec<Result<Vec<TokenId>>> {
        let encode = |encoder: &mut Encoder<'_>, (start, part): &(usize, &str)| {
            let mut ids = Vec::new();
            encoder
                .encode_rest_into(part, goes_on || *start > 0, &mut ids)
                .map(|()| ids)
                .map_err(|error| error.moved(*start))
        };
        parts.par_iter().map_init(|| Encoder::new(self), encode).collect()
    }
}

/// All ids in one.
fn joined(mut parts: Vec<Vec<TokenId>>) -> Vec<TokenId> {
    if parts.len() < 2 {
        return parts.pop().unwrap_or_default();
    }
    let mut ids = vec![0; parts.iter().map(Vec::len).sum()];
    let mut rest = ids.as_mut_slice();
    let mut places = Vec::with_capacity(parts.len());
    for part in &parts {
        let place;
        (place, rest) = rest.split_at_mut(part.len());
        places.push(place);
    }
    // A part is given back as soon as it is copied.
    places.into_par_iter().zip(parts).for_each(|(place, part)| place.copy_from_slice(&part));
    ids
}

#[cfg(test)]
mod tests {
    use super::super::testing::learned;
    use super::*;
    use crate::error::Error;
    use crate::segment::NAMED_PATTERNS;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static ALL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
        let text = "词元是词，词元也是元。\n\n  aaaaaaaa, abababab. the then there's 1234\n 56";
        let names = NAMED_PATTERNS.iter().map(|(name, _)| *name).chain([r"regex:\w+|\s+"]);
        names.map(|name| learned(name, text, 60)).collect()
    });

    #[test]
    fn the_first_error_of_a_batch() {
        let tokenizer = learned(r"regex:c|(a|aa)+(?!x)$", "", 0);
        let bad = format!("{}b", "a".repeat(60));
        let error = tokenizer.encode_batch(&["fine", &format!("c{bad}"), &bad]).unwrap_err();
        assert!(matches!(error, Error::PatternLimit { offset: 1, .. }), "{error:?}");
        assert!(tokenizer.encode_parallel(&bad).is_err());
        assert_eq!(tokenizer.encode_batch::<&str>(&[]).unwrap(), Vec::<Vec<TokenId>>::new());
    }

    #[test]
    fn an_error_in_a_part_is_one_of_the_text() {
        // A named pattern first, so that texts are cut; then one that gives up.
        let split = |regex: &str| {
            format!(r#"{{"type":"Split","pattern":{{"Regex":{}}},"behavior":"Isolated"}}"#, serde_json::json!(regex))
        };
        let pattern = crate::segment::Pattern::parse("cl100k").unwrap();
        let steps = format!("[{},{}]", split(pattern.source()), split(r"(a|aa)+(?!x)\z"));
        let tokenizer = learned(&format!(r#"{{"type":"Sequence","pretokenizers":{steps}}}"#), "", 0);
        let text = format!("one two,{}1", "aA".repeat(3)) + &format!(" {}b", "a".repeat(60)).repeat(2);
        assert!(tokenizer.segmenter().pattern().has_safe_cuts());
        let offset = |result: Result<Vec<TokenId>>| match result {
            Err(Error::PatternLimit { offset, .. }) => offset,
            other => panic!("{other:?}"),
        };
        let plain = offset(tokenizer.encode(&text));
        for size in [1, 5, 20] {
            assert_eq!(offset(tokenizer.encode_parallel_by(&text, false, size)), plain);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn parts_have_the_ids_of_the_whole(text in crate::segment::hostile(), size in 1usize..30) {
            for tokenizer in &*ALL {
                let whole = tokenizer.encode(&text).unwrap();
                prop_assert_eq!(&tokenizer.encode_parallel_by(&text, false, size).unwrap(), &whole);
                let batch = tokenizer.encode_batch_by(&[text.as_str(), "", "one two", &text], size).unwrap();
                prop_assert_eq!(&batch, &[whole.clone(), vec![], tokenizer.encode("one two").unwrap(), whole]);
            }
        }
    }
}
