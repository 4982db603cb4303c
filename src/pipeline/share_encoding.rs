//! Shares of documents become ids. A long document is cut where cutting cannot change its ids ([`Tokenizer::parts`]), so
//! that ids of four bytes each are made of a part alone: those of the whole are kept packed.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::encoding::EncodeSettings;
use super::shares::{Part, Share, Work, in_part_of};
use super::split::{hash_of_text, split_by};
use crate::encode::{Encoder, Tokenizer};
use crate::error::{Error, Result, TokenizerFault};
use crate::shard::{PackedIds, Split};
use crate::text::Document;
use crate::vocab::TokenId;

/// What becomes of documents and parts of them.
pub(super) struct ShareEncoder<'r> {
    tokenizer: &'r Tokenizer,
    settings: &'r EncodeSettings,
    /// The share of documents that are held out.
    val: f64,
    /// Where shards are written.
    output: &'r Path,
    text_lengths: TextLengths,
}

/// The ids of a share.
pub(super) enum EncodedShare {
    /// Documents, and the numbers of their files.
    Documents(Vec<(Encoded, usize)>),
    /// A part of a document, and what is told of the whole with the last one.
    Part(EncodedPart, Option<WholeDocument>),
}

/// Ids, and the bytes of text that they stand for.
pub(super) struct EncodedPart {
    pub(super) ids: PackedIds,
    pub(super) text_bytes: u64,
}

/// A document as ids.
pub(super) struct Encoded {
    pub(super) ids: EncodedPart,
    pub(super) hash: u64,
    pub(super) split: Split,
}

/// A document whose parts were encoded.
pub(super) struct WholeDocument {
    pub(super) document: Arc<Document>,
    pub(super) file: usize,
    pub(super) hash: u64,
    pub(super) split: Split,
}

impl<'r> ShareEncoder<'r> {
    pub(super) fn new(tokenizer: &'r Tokenizer, settings: &'r EncodeSettings, val: f64, output: &'r Path) -> Self {
        Self { tokenizer, settings, val, output, text_lengths: TextLengths::new(tokenizer.text_lengths()) }
    }

    pub(super) fn tokenizer(&self) -> &'r Tokenizer {
        self.tokenizer
    }

    /// Encodes a document; `ids` is room for them.
    fn document(&self, document: &Document, encoder: &mut Encoder<'_>, ids: &mut Vec<TokenId>) -> Result<Encoded> {
        let encoded = self.bytes(document, 0..document.text.len(), encoder, ids)?;
        self.check(document, encoded.text_bytes)?;
        let hash = hash_of_text(&document.text);
        Ok(Encoded { ids: encoded, hash, split: split_by(hash, self.val) })
    }

    fn part(
        &self,
        Part { document, file, bytes }: Part,
        encoder: &mut Encoder<'_>,
        ids: &mut Vec<TokenId>,
    ) -> Result<EncodedShare> {
        let last = bytes.end == document.text.len();
        let encoded = self.bytes(&document, bytes, encoder, ids)?;
        let whole = last.then(|| {
            let hash = hash_of_text(&document.text);
            WholeDocument { document, file, hash, split: split_by(hash, self.val) }
        });
        Ok(EncodedShare::Part(encoded, whole))
    }

    /// Encodes these bytes of a document.
    fn bytes(
        &self,
        document: &Document,
        bytes: Range<usize>,
        encoder: &mut Encoder<'_>,
        ids: &mut Vec<TokenId>,
    ) -> Result<EncodedPart> {
        ids.clear();
        // A token has about four bytes. Of what cannot be cut more is never held, as it would be when room is doubled.
        ids.reserve(bytes.len() / 4 + 2);
        let start = bytes.start;
        if start == 0 {
            ids.extend(self.settings.boundaries.bos);
        }
        encoder.encode_rest_into(&document.text[bytes], start > 0, ids).map_err(in_part_of(document, start))?;
        let of_shard = |fault| Error::Shard { path: self.output.to_owned(), fault };
        let packed = PackedIds::new(ids, self.tokenizer.spec().vocab_size()).map_err(of_shard)?;
        // Bytes are counted from the ids, so that the accounting would show it if they stood for less than the text.
        Ok(EncodedPart { ids: packed, text_bytes: self.text_lengths.sum(ids) })
    }

    /// An error if the ids of a document, which stand for so many bytes, do not stand for its text because the tokenizer
    /// changes it.
    pub(super) fn check(&self, document: &Document, text_bytes: u64) -> Result<()> {
        let of_text = document.text.len() as u64;
        if self.tokenizer.changes_text() && text_bytes != of_text {
            let fault = TokenizerFault::ChangedText { of_text, of_ids: text_bytes };
            return Err(Error::from(fault).in_document(&*document.origin.file, document.origin.line));
        }
        Ok(())
    }
}

impl Work for ShareEncoder<'_> {
    type Result = EncodedShare;

    fn parts(&self, document: &Document, bytes: usize) -> Vec<Range<usize>> {
        self.tokenizer.parts(&document.text, bytes).collect()
    }

    fn worker(&self) -> impl FnMut(Share) -> Result<EncodedShare> + Send {
        let (mut encoder, mut ids) = (Encoder::new(self.tokenizer), Vec::new());
        move |share| match share {
            Share::Documents(batch) => {
                let documents = batch.documents.iter().zip(batch.files);
                let encoded =
                    documents.map(|(document, file)| Ok((self.document(document, &mut encoder, &mut ids)?, file)));
                encoded.collect::<Result<_>>().map(EncodedShare::Documents)
            }
            Share::Part(part) => self.part(part, &mut encoder, &mut ids),
        }
    }
}

/// How many bytes of text ids stand for. Nearly all stand for fewer than 128, which a table of bytes holds in a quarter of
/// the cache.
struct TextLengths {
    /// [`LONG`] for those that stand for more.
    short: Vec<u8>,
    all: Vec<u32>,
}

/// A bit that no other length has.
const LONG: u8 = 128;

impl TextLengths {
    fn new(all: Vec<u32>) -> Self {
        let short = |length: &u32| u8::try_from(*length).map_or(LONG, |length| length.min(LONG));
        Self { short: all.iter().map(short).collect(), all }
    }

    fn sum(&self, ids: &[TokenId]) -> u64 {
        let (mut sum, mut some) = (0, 0);
        for id in ids {
            let length = self.short[*id as usize];
            sum += u64::from(length);
            some |= length;
        }
        match some & LONG {
            0 => sum,
            _ => ids.iter().map(|id| u64::from(self.all[*id as usize])).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_summed_as_they_are() {
        let all = vec![0, 1, 127, 128, 129, 70_000, 3];
        let lengths = TextLengths::new(all.clone());
        for ids in [&[][..], &[1, 2, 2, 6], &[0, 3], &[4, 6, 4], &[5, 1, 5, 2]] {
            assert_eq!(lengths.sum(ids), ids.iter().map(|id: &TokenId| u64::from(all[*id as usize])).sum::<u64>());
        }
    }
}
