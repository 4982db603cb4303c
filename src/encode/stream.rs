//! Ids out of a text that comes in pieces.

use super::encoder::Encoder;
use super::tokenizer::Tokenizer;
use crate::error::Result;
use crate::segment::Pattern;
use crate::vocab::TokenId;

/// Bytes that are gathered before they are encoded.
const SIZE: usize = 1 << 18;
/// The same for each thread, where there are several.
const SIZE_OF_THREAD: usize = 4 << 20;

/// Takes a text in pieces and gives its ids: those that [`Tokenizer::encode_bytes`] gives for the whole, which are those
/// of [`Tokenizer::encode`] if it is UTF-8. Pieces may end anywhere, in a character too.
///
/// What has come is encoded up to the last place where the pattern may be cut ([`Pattern::safe_cut`]), or where a
/// stretch begins that is UTF-8 again. So memory is bounded by twice the longest stretch without such a place, some words
/// in ordinary text, and a constant. Patterns that have none ([`Pattern::has_safe_cuts`]), and tokenizers that change a
/// text, keep the whole of it until it ends: their ids are right too, but come all at the end.
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
    /// What is not encoded yet, and where it begins.
    pending: Vec<u8>,
    start: usize,
    /// How much of it there must be before a cut is looked for.
    wanted: usize,
    size: usize,
    parallel: bool,
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

    fn of_size(tokenizer: &'t Tokenizer, size: usize) -> Self {
        let encoder = Encoder::new(tokenizer);
        Self { tokenizer, encoder, pending: Vec::new(), start: 0, wanted: size, size, parallel: false }
    }

    /// Takes the next piece and appends the ids that are sure, often none. After an error the stream may only be
    /// dropped.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`]; [`Error::Limit`](crate::Error::Limit) for 4 GiB or more without a place to cut at.
    pub fn push(&mut self, piece: &[u8], ids: &mut Vec<TokenId>) -> Result<()> {
        for some in piece.chunks(self.size) {
            self.pending.extend_from_slice(some);
            if self.pending.len() < self.wanted {
                continue;
            }
            // A stretch that is too long to be encoded is refused now.
            let too_long = u32::try_from(self.pending.len()).is_err().then_some(self.pending.len());
            let pattern = self.tokenizer.takes_parts().then(|| self.tokenizer.segmenter().pattern());
            if let Some(cut) = pattern.and_then(|pattern| last_cut(pattern, &self.pending)).or(too_long) {
                self.encode(cut, ids)?;
            }
            // Without a cut the next look is at twice as much, so that the time is linear in the length.
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
        self.encode(self.pending.len(), ids)?;
        (self.start, self.wanted) = (0, self.size);
        Ok(())
    }

    fn encode(&mut self, end: usize, ids: &mut Vec<TokenId>) -> Result<()> {
        let bytes = &self.pending[..end];
        let encoded = match std::str::from_utf8(bytes) {
            Ok(text) if self.parallel => self.tokenizer.encode_parallel(text).map(|some| ids.extend(some)),
            _ => self.encoder.encode_bytes_into(bytes, ids),
        };
        encoded.map_err(|error| error.moved(self.start))?;
        self.pending.drain(..end);
        self.start += end;
        Ok(())
    }
}

/// The last place where bytes may be cut whatever comes behind them.
///
/// Each stretch of UTF-8 is cut as a text by itself, so a safe cut of one is a safe cut of all. The last stretch may go
/// on, which changes nothing: what is safe is told by the two characters beside the place. A stretch begins for sure where
/// a whole character stands behind what can be none.
fn last_cut(pattern: &Pattern, bytes: &[u8]) -> Option<usize> {
    let (mut start, mut last) = (0, None);
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        if start > 0 && !text.is_empty() {
            last = Some(start);
        }
        if let Some(cut) = pattern.safe_cut(text, 0..text.len()) {
            last = Some(start + cut);
        }
        start += text.len() + chunk.invalid().len();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::testing::learned;
    use super::*;
    use crate::segment::NAMED_PATTERNS;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static ALL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
        let text = "词元是词，词元也是元。\n\n  aaaaaaaa, abababab. the then there's 1234\n 56";
        let others = [r"regex:\w+|\s+", r#"{"type":"WhitespaceSplit"}"#];
        let names = NAMED_PATTERNS.iter().map(|(name, _)| *name).chain(others);
        names.map(|name| learned(name, text, 60)).collect()
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
            1 => prop::collection::vec(prop::sample::select(vec![0xFFu8, 0xE8, 0xAF, 0x8D, 0xF0, 0x9F, b'a']), 0..6),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn ids_come_before_the_end() {
        let text = "some words, 一些词。\n".repeat(100);
        for tokenizer in &*ALL {
            let (mut stream, mut ids) = (EncodeStream::of_size(tokenizer, 64), Vec::new());
            stream.push(text.as_bytes(), &mut ids).unwrap();
            let cuts = tokenizer.segmenter().pattern().has_safe_cuts();
            assert_eq!(ids.is_empty(), !cuts);
            assert!(stream.pending.len() < 128 || !cuts, "{}", stream.pending.len());
            stream.finish(&mut ids).unwrap();
            assert_eq!(ids, tokenizer.encode(&text).unwrap());
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
            }
        }
    }
}
