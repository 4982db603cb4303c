//! Ids of a text that is read and not kept.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::encode::{EncodeStream, Tokenizer};
use crate::error::{Error, Result};
use crate::vocab::TokenId;

/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// Encodes what `reader` gives on all threads, and hands the ids on in the order of the text, some at a time: together
/// those of [`Tokenizer::encode_bytes`] for the whole. `path` is named in errors. Memory is bounded as
/// [`EncodeStream`] says, which names the tokenizers that keep the whole text.
///
/// # Errors
///
/// [`Error::Io`] when reading fails, those of [`Tokenizer::encode`], and those of `ids`.
pub fn encode_reader(
    tokenizer: &Tokenizer,
    mut reader: impl Read,
    path: &Path,
    mut ids: impl FnMut(&[TokenId]) -> Result<()>,
) -> Result<()> {
    let mut stream = EncodeStream::parallel(tokenizer);
    let (mut block, mut some) = (vec![0; BLOCK], Vec::new());
    loop {
        let length = match reader.read(&mut block) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("read", path, error)),
        };
        stream.push(&block[..length], &mut some)?;
        if !some.is_empty() {
            ids(&some)?;
            some.clear();
        }
    }
    stream.finish(&mut some)?;
    if some.is_empty() { Ok(()) } else { ids(&some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{HanEdges, Pattern};
    use crate::vocab::TokenizerSpec;

    fn tokenizer() -> Tokenizer {
        let pattern = Pattern::default().source().to_owned();
        Tokenizer::new(TokenizerSpec::from_learned(pattern, HanEdges::None, &[], &[]).unwrap()).unwrap()
    }

    /// Gives one byte at a time, and is interrupted before each.
    struct Slow<'b>(&'b [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            self.0.read(&mut buffer[..1])
        }
    }

    #[test]
    fn a_reader_of_any_pace() {
        let tokenizer = tokenizer();
        let bytes = ["一些词 and words\n".repeat(50).as_bytes(), b"\xFF\xE8\xAF", "尾".as_bytes()].concat();
        let mut found = Vec::new();
        let keep = |some: &[TokenId]| {
            found.extend_from_slice(some);
            Ok(())
        };
        encode_reader(&tokenizer, Slow(&bytes, false), Path::new("slow"), keep).unwrap();
        assert_eq!(found, tokenizer.encode_bytes(&bytes).unwrap());
        let nothing = |_: &[TokenId]| panic!("there are no ids");
        encode_reader(&tokenizer, &b""[..], Path::new("empty"), nothing).unwrap();
    }

    #[test]
    fn errors_end_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
        }
        let error = encode_reader(&tokenizer(), Broken, Path::new("broken"), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Io { op: "read", .. }), "{error}");
        let full = |_: &[TokenId]| Err(Error::Missing { path: "disk".into() });
        assert!(encode_reader(&tokenizer(), &b"a"[..], Path::new("text"), full).is_err());
    }
}
