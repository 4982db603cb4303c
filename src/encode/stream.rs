//! Ids out of a text that comes in pieces.

use super::encoder::Encoder;
use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Bytes that are gathered before they are encoded.
const SIZE: usize = 1 << 18;
/// The same for each thread, where there are several.
const SIZE_OF_THREAD: usize = 4 << 20;

/// Takes a text in pieces and gives its ids: those that [`Tokenizer::encode_bytes`] gives for the whole, which are those
/// of [`Tokenizer::encode`] if it is UTF-8. Pieces may end anywhere, in a character too.
///
/// What has come is encoded up to the last place where that is right whatever follows: where the pattern may be cut
/// ([`Pattern::safe_cut`](crate::segment::Pattern::safe_cut)); where a tokenizer that changes its texts, by a normalizer,
/// added tokens or in spaces, may be cut (`encode/seams.rs`); where the ids are settled ([`Tokenizer::encode_prefix`]), if
/// the pattern runs on a regex engine; or where a stretch begins that is UTF-8 again. So memory is bounded by twice the
/// longest stretch without such a place, some words in ordinary text, and a constant.
///
/// Three kinds of tokenizers know no such place and keep the whole of a text until it ends; their ids are right too, but
/// come all at the end: those whose pattern backtracks or is a sequence of steps that does not begin with a named one;
/// those that change their texts and whose pattern has no safe cuts; those whose normalizer replaces the matches of a
/// regular expression, or brings text into a form of Unicode behind other replacements that take away or write marks.
/// [`EncodeStream::is_bounded`] tells them.
///
/// ```
/// use ciyuan::encode::{EncodeStream, Tokenizer};
/// use ciyuan::segment::{DEFAULT_PATTERN, HanEdges, Pattern};
/// use ciyuan::vocab::TokenizerSpec;
/// let pattern = Pattern::parse(DEFAULT_PATTERN)?.source().to_owned();
/// let tokenizer = Tokenizer::new(TokenizerSpec::from_learned(pattern, HanEdges::None, &[], &[])?)?;
/// let (mut stream, mut ids) = (EncodeStream::new(&tokenizer), Vec::new());
/// for piece in "词元, a token".as_bytes().chunks(4) {
///     stream.push(piece, &mut ids)?; // ids could be written and cleared here
/// }
/// stream.finish(&mut ids)?;
/// assert_eq!(ids, tokenizer.encode("词元, a token")?);
/// # Ok::<(), ciyuan::Error>(())
/// ```
pub struct EncodeStream<'t> {
    tokenizer: &'t Tokenizer,
    encoder: Encoder<'t>,
    /// What is not encoded yet, where it begins, and whether it goes on from a seam there.
    pending: Vec<u8>,
    start: usize,
    goes_on: bool,
    /// How much of it there must be before a place is looked for, and at the least.
    wanted: usize,
    size: usize,
    way: Way,
    parallel: bool,
}

/// How the place is found up to which ids are given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The last seam.
    Seam,
    /// The last settled id.
    Settled,
}

impl<'t> EncodeStream<'t> {
    /// A stream of texts for `tokenizer`.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self::of_size(tokenizer, SIZE)
    }

    /// The same on all threads: it gathers some megabytes for each of them.
    #[must_use]
    pub fn parallel(tokenizer: &'t Tokenizer) -> Self {
        Self { parallel: true, ..Self::of_size(tokenizer, SIZE_OF_THREAD * rayon::current_num_threads()) }
    }

    /// The same for whoever waits for the ids: it gathers nothing, and gives with each piece what is settled then. (As
    /// much is looked at again as was not, so pieces of some kilobytes at the least are faster than many small ones.)
    #[must_use]
    pub fn eager(tokenizer: &'t Tokenizer) -> Self {
        let way = if tokenizer.is_plain() { Way::Settled } else { Way::Seam };
        Self { way, ..Self::of_size(tokenizer, 1) }
    }

    fn of_size(tokenizer: &'t Tokenizer, size: usize) -> Self {
        let by_ids = tokenizer.is_plain() && !tokenizer.has_seams();
        let way = if by_ids { Way::Settled } else { Way::Seam };
        let (encoder, pending) = (Encoder::new(tokenizer), Vec::new());
        Self { tokenizer, encoder, pending, start: 0, goes_on: false, wanted: size, size, way, parallel: false }
    }

    /// Whether memory is bounded on texts of any length; if not, the whole of a text is kept until it ends.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.tokenizer.has_seams() || self.tokenizer.is_plain() && self.tokenizer.segmenter().settles()
    }

    /// Takes the next piece and appends the ids that are sure, often none. After an error the stream may only be
    /// dropped.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`]; [`Error::Limit`](crate::Error::Limit) for 4 GiB or more without a place to cut at.
    pub fn push(&mut self, piece: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        for some in piece.chunks(self.size.max(SIZE)) {
            self.pending.extend_from_slice(some);
            if self.pending.len() < self.wanted {
                continue;
            }
            match self.way {
                Way::Seam => self.encode_to_seam(ids)?,
                Way::Settled => self.encode_settled(ids)?,
            }
            if u32::try_from(self.pending.len()).is_err() {
                let what = "a stretch of text without a place to cut at, in bytes,";
                return Err(Error::Limit { what, value: self.pending.len() as u64, max: u64::from(u32::MAX) });
            }
            // Without a place the next look is at twice as much, so that the time is linear in the length.
            self.wanted = self.size.max(2 * self.pending.len());
        }
        Ok(())
    }

    /// Ends the text and appends the rest of its ids. The stream may be used for another text then.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn finish(&mut self, ids: &mut Vec<TokenId>) -> Result<()> {
        self.encode(self.pending.len(), false, ids)?;
        (self.start, self.wanted) = (0, self.size);
        Ok(())
    }

    /// Encodes what stands before the last seam, or before the last stretch of UTF-8.
    ///
    /// Each stretch is a text by itself. The last one may go on, which changes nothing: what is a seam is told by the
    /// characters beside it.
    fn encode_to_seam(&mut self, ids: &mut Vec<TokenId>) -> Result<()> {
        let (mut start, mut last) = (0, None);
        for chunk in self.pending.utf8_chunks() {
            let text = chunk.valid();
            if let Some(seam) = self.tokenizer.last_seam(text, 0..text.len()) {
                last = Some((start + seam, true));
            } else if start > 0 && !text.is_empty() {
                last = Some((start, false));
            }
            start += text.len() + chunk.invalid().len();
        }
        last.map_or(Ok(()), |(end, goes_on)| self.encode(end, goes_on, ids))
    }

    /// Encodes what is settled. A stretch of UTF-8 begins for sure where a whole character stands behind what can be none.
    fn encode_settled(&mut self, ids: &mut Vec<TokenId>) -> Result<()> {
        let (mut start, mut last) = (0, 0..0);
        for chunk in self.pending.utf8_chunks() {
            if !chunk.valid().is_empty() {
                last = start..start + chunk.valid().len();
            }
            start += chunk.valid().len() + chunk.invalid().len();
        }
        let text = last.len();
        self.encode(last.start, false, ids)?;
        let Ok(text) = std::str::from_utf8(&self.pending[..text]) else { return Ok(()) };
        let prefix = self.tokenizer.encode_prefix(text).map_err(|error| error.moved(self.start))?;
        ids.extend_from_slice(&prefix.ids[..prefix.settled]);
        self.drop_front(prefix.settled_bytes);
        Ok(())
    }

    /// Encodes the bytes before a place at which the rest goes on or begins anew.
    fn encode(&mut self, end: usize, goes_on: bool, ids: &mut Vec<TokenId>) -> Result<()> {
        let bytes = &self.pending[..end];
        let encoded = match std::str::from_utf8(bytes) {
            Ok(text) if self.parallel => {
                self.tokenizer.encode_rest_parallel(text, self.goes_on).map(|some| ids.extend(some))
            }
            _ => self.encoder.encode_rest_of_bytes_into(bytes, self.goes_on, ids),
        };
        encoded.map_err(|error| error.moved(self.start))?;
        self.drop_front(end);
        self.goes_on = goes_on;
        Ok(())
    }

    fn drop_front(&mut self, bytes: usize) {
        self.pending.drain(..bytes);
        self.start += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{changing, learned};
    use super::*;
    use crate::segment::NAMED_PATTERNS;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static ALL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
        let text = "词元是词，词元也是元。\n\n  aaaaaaaa, abababab. the then there's 1234\n 56";
        let others = [r"regex:\w+|\s+", r"regex:\b\w+|\s+", r#"{"type":"WhitespaceSplit"}"#];
        let names = NAMED_PATTERNS.iter().map(|(name, _)| *name).chain(others);
        names.map(|name| learned(name, text, 60)).chain(changing()).collect()
    });

    /// The ids of pieces of these lengths, in turn.
    fn streamed(stream: &mut EncodeStream<'_>, bytes: &[u8], lengths: &[usize]) -> Vec<TokenId> {
        let (mut ids, mut done) = (Vec::new(), 0);
        for length in lengths.iter().cycle() {
            if done == bytes.len() {
                break;
            }
            let end = bytes.len().min(done + length);
            stream.push(&bytes[done..end], &mut ids).unwrap();
            done = end;
        }
        stream.finish(&mut ids).unwrap();
        ids
    }

    /// Text, and text with other bytes in it.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            3 => crate::segment::hostile().prop_map(String::into_bytes),
            2 => super::super::testing::TEXT_TO_CHANGE.prop_map(String::into_bytes),
            1 => prop::collection::vec(prop::sample::select(vec![0xFFu8, 0xE8, 0xAF, 0x8D, 0xF0, 0x9F, b'a']), 0..6),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn ids_come_before_the_end() {
        let text = "some words, 一些词。\n".repeat(100);
        for tokenizer in &*ALL {
            for mut stream in [EncodeStream::of_size(tokenizer, 64), EncodeStream::eager(tokenizer)] {
                let mut ids = Vec::new();
                for piece in text.as_bytes().chunks(32) {
                    stream.push(piece, &mut ids).unwrap();
                }
                let bounded = stream.is_bounded();
                assert_eq!(ids.is_empty(), !bounded, "{}", tokenizer.spec().to_json());
                assert!(stream.pending.len() < 128 || !bounded, "{}", stream.pending.len());
                stream.finish(&mut ids).unwrap();
                assert_eq!(ids, tokenizer.encode(&text).unwrap());
            }
        }
    }

    /// A stretch without cuts takes no quadratic time, and what comes behind it is bounded again.
    #[test]
    fn a_long_stretch_without_cuts() {
        let text = format!("{} and words {}", "-".repeat(1 << 20), "more of it ".repeat(200_000));
        let (mut stream, mut ids) = (EncodeStream::of_size(&ALL[0], 16), Vec::new());
        stream.push(text.as_bytes(), &mut ids).unwrap();
        assert!(stream.pending.len() < 64);
        stream.finish(&mut ids).unwrap();
        assert_eq!(ids, ALL[0].encode(&text).unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn equals_the_whole(
            bytes in bytes(), size in 1usize..40, lengths in prop::collection::vec(1usize..50, 1..5),
        ) {
            for tokenizer in &*ALL {
                let whole = tokenizer.encode_bytes(&bytes).unwrap();
                let mut stream = EncodeStream::of_size(tokenizer, size);
                // Twice: it may be used again.
                prop_assert_eq!(&streamed(&mut stream, &bytes, &lengths), &whole);
                prop_assert_eq!(&streamed(&mut stream, &bytes, &[1]), &whole);
                let mut stream = EncodeStream { parallel: true, ..EncodeStream::of_size(tokenizer, size) };
                prop_assert_eq!(&streamed(&mut stream, &bytes, &lengths), &whole);
                prop_assert_eq!(&streamed(&mut EncodeStream::eager(tokenizer), &bytes, &lengths), &whole);
            }
        }
    }
}
