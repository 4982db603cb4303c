//! Text out of ids that come one by one, as a model makes them.

use super::tokenizer::Tokenizer;
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Takes ids and gives the text that they complete: whole characters, never a part of one.
///
/// Bytes that can be no part of a character become U+FFFD, one for each maximal invalid sequence, as soon as that is
/// known; so do, at the end, the bytes of a character that was not completed. All that is given, one after the other, is
/// `String::from_utf8_lossy` of what [`Tokenizer::decode`] gives for all ids. (But for a decoder of a vocabulary of
/// characters that takes something from the end of a text: the end is not known here.)
///
/// ```
/// use ciyuan::encode::{DecodeStream, Tokenizer};
/// use ciyuan::segment::{DEFAULT_PATTERN, HanEdges, Pattern};
/// use ciyuan::vocab::TokenizerSpec;
/// let pattern = Pattern::parse(DEFAULT_PATTERN)?.source().to_owned();
/// let tokenizer = Tokenizer::new(TokenizerSpec::from_learned(pattern, HanEdges::None, &[], &[])?)?;
/// let ids = tokenizer.encode("词a")?; // no merges: a token a byte
/// let mut stream = DecodeStream::new(&tokenizer);
/// let text: Vec<String> = ids.iter().map(|id| stream.push(*id).map(str::to_owned)).collect::<Result<_, _>>()?;
/// assert_eq!(text, ["", "", "词", "a"]);
/// stream.push(ids[0])?;
/// assert_eq!(stream.rest(), [0xE8]);
/// assert_eq!(stream.finish(), "\u{FFFD}");
/// # Ok::<(), ciyuan::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct DecodeStream<'t> {
    tokenizer: &'t Tokenizer,
    /// Bytes that are no text yet: between two calls the beginning of a character, up to three bytes.
    rest: Vec<u8>,
    text: String,
    position: usize,
}

impl<'t> DecodeStream<'t> {
    /// A stream of the ids of `tokenizer`.
    #[must_use]
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, rest: Vec::new(), text: String::new(), position: 0 }
    }

    /// Takes the next id and gives the text that it completes, often none. An id that is refused changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id without a token.
    pub fn push(&mut self, id: TokenId) -> Result<&str> {
        self.append(id)?;
        Ok(self.take())
    }

    /// Takes some ids and gives the text that they complete. Ids that are refused change nothing.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownToken`] for an id without a token.
    pub fn push_all(&mut self, ids: &[TokenId]) -> Result<&str> {
        if self.tokenizer.character_model().is_some() {
            let before = (self.rest.len(), self.position);
            for id in ids {
                if let Err(error) = self.append(*id) {
                    self.rest.truncate(before.0);
                    self.position = before.1;
                    return Err(error);
                }
            }
            return Ok(self.take());
        }
        self.tokenizer.decode_into(ids, &mut self.rest).map_err(|error| match error {
            Error::UnknownToken { id, position, vocab_size } => {
                Error::UnknownToken { id, position: self.position + position, vocab_size }
            }
            other => other,
        })?;
        self.position += ids.len();
        Ok(self.take())
    }

    fn append(&mut self, id: TokenId) -> Result<()> {
        let (token, before) = (self.tokenizer.token_of(id, self.position)?, self.rest.len());
        self.rest.extend_from_slice(token);
        if let (0, Some(model)) = (self.position, self.tokenizer.character_model()) {
            let mut first = self.rest.split_off(before);
            model.begin(id, &mut first);
            self.rest.append(&mut first);
        }
        self.position += 1;
        Ok(())
    }

    /// The bytes of a character that is not complete, at most three.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Ends the stream: U+FFFD for the bytes of a character that was not completed, else nothing. The stream may be used
    /// for other ids then.
    pub fn finish(&mut self) -> &'static str {
        let open = !self.rest.is_empty();
        self.rest.clear();
        self.position = 0;
        if open { "\u{FFFD}" } else { "" }
    }

    /// The text at the head of the bytes, as far as it is decided.
    fn take(&mut self) -> &str {
        self.text.clear();
        let mut done = 0;
        loop {
            let error = match std::str::from_utf8(&self.rest[done..]) {
                Ok(text) => {
                    self.text.push_str(text);
                    self.rest.clear();
                    return &self.text;
                }
                Err(error) => error,
            };
            let valid = done + error.valid_up_to();
            self.text.push_str(std::str::from_utf8(&self.rest[done..valid]).unwrap_or_default());
            match error.error_len() {
                Some(length) => {
                    self.text.push(char::REPLACEMENT_CHARACTER);
                    done = valid + length;
                }
                None => {
                    self.rest.drain(..valid);
                    return &self.text;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::of_tokens;
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static BYTES: LazyLock<Tokenizer> = LazyLock::new(|| {
        let tokens = ["词元".as_bytes(), b"\xE8\xAF", b"\x8D\xE5\x85", b"\xF0\x9F\x91", b"a\xFFb", b"\xED\xA0\x80"];
        of_tokens(tokens.iter().zip(300..).map(|(token, id)| (id, token.to_vec())), vec![(400, "<|end|>".to_owned())])
    });

    #[test]
    fn an_id_that_is_refused_changes_nothing() {
        let mut stream = DecodeStream::new(&BYTES);
        assert_eq!(stream.push(301).unwrap(), "");
        assert!(matches!(stream.push(299), Err(Error::UnknownToken { id: 299, position: 1, .. })));
        assert!(matches!(stream.push_all(&[302, 299]), Err(Error::UnknownToken { id: 299, position: 2, .. })));
        assert_eq!(stream.rest(), [0xE8, 0xAF]);
        assert_eq!(stream.push_all(&[302, 400]).unwrap(), "词\u{FFFD}<|end|>");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn what_is_left_is_one_replacement() {
        let mut stream = DecodeStream::new(&BYTES);
        assert_eq!(stream.push(303).unwrap(), "");
        assert_eq!(stream.rest(), [0xF0, 0x9F, 0x91]);
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert!(stream.rest().is_empty());
        assert_eq!(stream.finish(), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_the_lossy_text_of_all(
            ids in prop::collection::vec(prop_oneof![300u32..306, 0u32..256, Just(400)], 0..40),
            cut in 0usize..40,
        ) {
            let wanted = String::from_utf8_lossy(&BYTES.decode(&ids).unwrap()).into_owned();
            let mut stream = DecodeStream::new(&BYTES);
            let mut text = String::new();
            for id in &ids {
                text.push_str(stream.push(*id).unwrap());
                prop_assert!(stream.rest().len() < 4);
                // What is held back is as little as can be: the whole of it begins a character.
                prop_assert!(std::str::from_utf8(stream.rest()).err().is_none_or(|error| error.error_len().is_none()));
            }
            text.push_str(stream.finish());
            prop_assert_eq!(&text, &wanted);
            let (first, second) = ids.split_at(cut.min(ids.len()));
            let mut text = stream.push_all(first).unwrap().to_owned();
            text.push_str(stream.push_all(second).unwrap());
            text.push_str(stream.finish());
            prop_assert_eq!(text, wanted);
        }
    }
}
